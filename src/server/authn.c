/* A reader for each thread that ever checks a token: made at its first check, given back by the thread's end.
 */
#include "server/authn.h"

#include <pthread.h>

#include "base/assert.h"

struct sp_authn_local {
    struct sp_verifier *verifier;
    pthread_key_t reader_key;
};

static void reader_ended(void *reader) {
    sp_verifier_reader_free(reader);
}

sp_status sp_authn_local_new(struct sp_verifier *verifier, struct sp_authn_local **ret) {
    struct sp_authn_local *a = calloc(1, sizeof(*a));
    if (a == NULL) return sp_err(SP_E_NOMEM);
    a->verifier = verifier;
    if (pthread_key_create(&a->reader_key, reader_ended) != 0) {
        free(a);
        return sp_err(SP_E_UNAVAILABLE);
    }
    *ret = a;
    return SP_SUCCESS;
}

void sp_authn_local_free(struct sp_authn_local *a) {
    if (a == NULL) return;
    sp_verifier_reader_free(pthread_getspecific(a->reader_key)); /* ours; the other threads have ended */
    pthread_key_delete(a->reader_key);
    free(a);
}

static sp_status reader_of_thread(struct sp_authn_local *a, struct sp_verifier_reader **ret) {
    struct sp_verifier_reader *reader = pthread_getspecific(a->reader_key);
    if (reader == NULL) {
        SP_TRY(sp_verifier_reader_new(a->verifier, &reader));
        if (pthread_setspecific(a->reader_key, reader) != 0) {
            sp_verifier_reader_free(reader);
            return sp_err(SP_E_NOMEM);
        }
    }
    *ret = reader;
    return SP_SUCCESS;
}

_Static_assert((int)SP_AUTHN_IGNORE_END == (int)SP_VERIFY_IGNORE_END &&
                   (int)SP_AUTHN_PROOF_BY_CALLER == (int)SP_VERIFY_PROOF_BY_CALLER &&
                   (int)SP_AUTHN_ANY_AUDIENCE == (int)SP_VERIFY_ANY_AUDIENCE,
               "the flags of the port are the verifier's");

static enum sp_reject check(void *arg, sp_slice token, int64_t now_ms, enum sp_authn_flags flags,
                            struct sp_claims *ret) {
    struct sp_authn_local *a = arg;
    struct sp_verifier_reader *reader;
    if (!sp_ok(reader_of_thread(a, &reader))) return SP_REJECT_INTERNAL;
    const struct sp_claims *claims = NULL;
    sp_verifier_enter(reader);
    enum sp_reject verdict =
        sp_verifier_check_flags(a->verifier, reader, (unsigned)flags, token, now_ms / 1000, &claims);
    if (verdict == SP_REJECT_NONE) {
        *ret = *claims;
    } else {
        sp_verifier_exit(reader);
    }
    return verdict;
}

static void release(void *arg) {
    struct sp_authn_local *a = arg;
    sp_verifier_exit(pthread_getspecific(a->reader_key));
}

static sp_status set_keys(void *arg, const struct sp_jwk *keys, size_t n) {
    struct sp_authn_local *a = arg;
    return sp_verifier_set_keys(a->verifier, keys, n);
}

struct sp_authn sp_authn_local_port(struct sp_authn_local *a) {
    return (struct sp_authn){.check = check, .release = release, .set_keys = set_keys, .arg = a};
}
