/* HTTP Basic (RFC 7617): how services show their credential. */
#ifndef SP_HTTP_BASIC_H
#define SP_HTTP_BASIC_H

#include "base/slice.h"
#include "base/status.h"

/* Of "user:password". Ours have at most 64 + 1 + 128 (a secret that somebody brought); a client of /oauth2
 * may encode each of these characters as three (RFC 6749 section 2.3.1). */
enum { SP_BASIC_BYTES_MAX = 3 * 64 + 1 + 3 * 128 };

struct sp_basic {
    uint8_t bytes[SP_BASIC_BYTES_MAX]; /* wipe after use */
    sp_slice user, password;           /* borrow from bytes */
};

/* From an Authorization value: the scheme in any case, one SP or more, canonical base64 with padding, of
 * "user:password" where the user has no colon. SP_E_UNSUPPORTED: another scheme; SP_E_MALFORMED; SP_E_LIMIT.
 */
sp_status sp_basic_parse(sp_slice authorization, struct sp_basic *ret);

#endif
