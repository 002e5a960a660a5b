/* Who holds the private keys. core asks for a signature by kid and never sees the key, so that a separate
 * process can hold them one day. */
#ifndef SP_CORE_SIGNER_H
#define SP_CORE_SIGNER_H

#include "base/buf.h"

struct sp_signer {
    /* Appends the raw JWS signature of `input` to `ret`. SP_E_NOT_FOUND: no such key. Any thread, synchronous
     * (tens of microseconds). */
    sp_status (*sign)(void *arg, sp_slice kid, sp_slice input, struct sp_buf *ret);
    void *arg;
};

#endif
