#include "crypto/sodium_once.h"

#include <sodium.h>

/* sodium_init is itself idempotent and thread-safe (it holds a lock of its own), so there is no state here.
 */
sp_status sp_sodium_once(void) {
    return sodium_init() < 0 ? sp_err(SP_E_UNAVAILABLE) : SP_SUCCESS;
}
