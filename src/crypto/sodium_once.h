/* libsodium chooses its fastest implementations and learns the page size in sodium_init. Whoever needs either
 * calls this first; it costs one load after the first time. Internal to src/crypto. */
#ifndef SP_CRYPTO_SODIUM_ONCE_H
#define SP_CRYPTO_SODIUM_ONCE_H

#include "base/status.h"

sp_status sp_sodium_once(void); /* SP_E_UNAVAILABLE: the system has no randomness */

#endif
