/* Memory for a long-lived secret (master key, refresh keys, HMAC keys): pages of its own between guard pages,
 * kept out of core dumps and, where the limits allow, out of swap; wiped when it ends. There is deliberately
 * no function that prints or formats one.
 *
 *   SP_AUTO(sp_secret) master = SP_SECRET_INIT;
 *   SP_TRY(sp_secret_random(&master, 32, &sp_random_system));
 *
 * Costs three or four pages each: not for per-request values, which live on the stack and are wiped there.
 * One owner; sp_secret_slice may be read by many threads. */
#ifndef SP_CRYPTO_SECRET_H
#define SP_CRYPTO_SECRET_H

#include "base/mem.h"
#include "base/ports.h"
#include "base/slice.h"
#include "base/status.h"

#define SP_SECRET_BYTES_MAX                                                                                  \
    4096 /* the largest, a PKCS#8 RSA-8192 key, needs 4.7 KB sealed and never lives here */

struct sp_secret {
    uint8_t *p_; /* use sp_secret_slice */
    size_t n_;
};

#define SP_SECRET_INIT                                                                                       \
    { .p_ = NULL, .n_ = 0 }

/* Replaces what it held with a copy of `value`. SP_E_LIMIT, SP_E_NOMEM; on failure it is as it was. */
sp_status sp_secret_set(struct sp_secret *s, sp_slice value);
/* Replaces what it held with n random bytes. */
sp_status sp_secret_random(struct sp_secret *s, size_t n, const struct sp_random *random);
void sp_secret_done(struct sp_secret *s); /* wipes, frees; empty and usable again */

static inline bool sp_secret_is_empty(const struct sp_secret *s) {
    return s->n_ == 0;
}
/* Borrowed until the secret changes or ends. */
static inline sp_slice sp_secret_slice(const struct sp_secret *s) {
    return (sp_slice){s->p_, s->n_};
}

#endif
