#include "crypto/secret.h"

#include "crypto/sodium_once.h"

#include <sodium.h>

static sp_status new_pages(size_t n, uint8_t **ret_p) {
    SP_TRY(sp_sodium_once());
    uint8_t *p = sodium_malloc(n);
    if (p == NULL) return sp_err(SP_E_NOMEM);
    *ret_p = p;
    return SP_SUCCESS;
}

static void replace(struct sp_secret *s, uint8_t *p, size_t n) {
    sp_secret_done(s);
    s->p_ = p;
    s->n_ = n;
}

sp_status sp_secret_set(struct sp_secret *s, sp_slice value) {
    uint8_t *p;
    if (value.n == 0 || value.n > SP_SECRET_BYTES_MAX) return sp_err(SP_E_LIMIT);
    SP_TRY(new_pages(value.n, &p));
    memcpy(p, value.p, value.n);
    replace(s, p, value.n);
    return SP_SUCCESS;
}

sp_status sp_secret_random(struct sp_secret *s, size_t n, const struct sp_random *random) {
    uint8_t *p;
    if (n == 0 || n > SP_SECRET_BYTES_MAX) return sp_err(SP_E_LIMIT);
    SP_TRY(new_pages(n, &p));
    sp_status filled = sp_random_fill(random, p, n);
    if (!sp_ok(filled)) {
        sodium_free(p);
        return filled;
    }
    replace(s, p, n);
    return SP_SUCCESS;
}

void sp_secret_done(struct sp_secret *s) {
    if (s->p_ != NULL) sodium_free(s->p_); /* wipes */
    s->p_ = NULL;
    s->n_ = 0;
}
