/* One key, many threads: the promise of sig.h. Meant for ThreadSanitizer as well. */
#include "crypto_test.h"

#include "crypto/sig.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 50 };

struct worker {
    pthread_t thread;
    struct sp_sig_key *key;
    enum sp_alg alg;
    int failures;
};

static void *sign_and_verify(void *arg) {
    struct worker *w = arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t sig[SP_SIG_BYTES_MAX];
        size_t n = 0;
        sp_slice text = sp_slice_of(&i, sizeof i);
        struct sp_sig_key *mine = sp_sig_key_ref(w->key);
        if (!sp_ok(sp_sig_sign(mine, w->alg, text, sig, sizeof sig, &n))) w->failures++;
        if (!sp_ok(sp_sig_verify(mine, w->alg, text, sp_slice_of(sig, n)))) w->failures++;
        if (sp_ok(sp_sig_verify(mine, w->alg, SP_SLICE_LIT("x"), sp_slice_of(sig, n)))) w->failures++;
        sp_sig_key_free(mine);
    }
    return NULL;
}

static void one_key_serves_many_threads(void **state) {
    (void)state;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        struct worker workers[THREADS] = {0};
        SP_AUTO_FREE(sp_sig_key) key = NULL;
        assert_status(sp_sig_key_generate((enum sp_alg)alg, &sp_random_system, &key), SP_OK);
        for (int i = 0; i < THREADS; i++) {
            workers[i].key = key;
            workers[i].alg = (enum sp_alg)alg;
            assert_int_equal(pthread_create(&workers[i].thread, NULL, sign_and_verify, &workers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(workers[i].thread, NULL);
            assert_int_equal(workers[i].failures, 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_key_serves_many_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
