/* One authorization code, and one proof, redeemed on several loops at the same moment: whatever the order,
 * one gets tokens and nobody keeps them. For the thread sanitizer, too. */
#include "token_bench.h"

#include "core/app_internal.h"
#include "lane.h"
#include "token/dpop.h"

enum { THREADS = 4, ROUNDS = 40 };

struct redeemer {
    struct lane_queue queue;
    struct bench *b;
    const struct sp_oauth_token_request *requests; /* one a round; the same for all */
    pthread_barrier_t *together;
    enum sp_oauth_error error[ROUNDS];
    pthread_t thread;
};

struct answer {
    uint32_t answers;
    enum sp_oauth_error error;
};
static void answered(void *arg, const struct sp_oauth_tokens_result *r) {
    struct answer *a = arg;
    a->error = r->trouble.error;
    a->answers++;
}

static void *redeem(void *arg) {
    struct redeemer *r = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct answer a = {0};
        struct sp_call call = bench_call(r->b);
        call.executor = &r->queue.executor;
        pthread_barrier_wait(r->together);
        sp_oauth_token(r->b->app, &call, &r->requests[i], answered, &a);
        lane_until(&r->queue, &a.answers);
        r->error[i] = a.error;
    }
    return NULL;
}

static void race(struct bench *b, const struct sp_oauth_token_request requests[ROUNDS],
                 struct redeemer redeemers[THREADS]) {
    pthread_barrier_t together;
    assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        redeemers[i] = (struct redeemer){.b = b, .requests = requests, .together = &together};
        lane_init(&redeemers[i].queue);
        assert_int_equal(pthread_create(&redeemers[i].thread, NULL, redeem, &redeemers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(redeemers[i].thread, NULL);
    pthread_barrier_destroy(&together);
}

static uint32_t number_of(const struct redeemer redeemers[THREADS], int round, enum sp_oauth_error error) {
    uint32_t n = 0;
    for (int i = 0; i < THREADS; i++) n += redeemers[i].error[round] == error;
    return n;
}

static struct redeemer redeemers[THREADS];

static void one_code_on_many_loops_gives_once_and_then_nothing(void **state) {
    BENCH;
    static struct sp_authz_code codes[ROUNDS];
    static char texts[ROUNDS][SP_OAUTH_SEALED_BYTES_MAX];
    struct sp_oauth_token_request requests[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        codes[i] = code_new(b, "app");
        const sp_slice text = code_text(b, &codes[i]);
        memcpy(texts[i], text.p, text.n);
        requests[i] = code_request(as_public("app"), sp_slice_of(texts[i], text.n));
        requests[i].redirect_uri = SP_SLICE_LIT("https://app.example/cb");
    }
    race(b, requests, redeemers);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(number_of(redeemers, i, SP_OAUTH_NONE), 1);
        assert_int_equal(number_of(redeemers, i, SP_OAUTH_INVALID_GRANT), THREADS - 1);
        assert_int_equal(bench_session(b, codes[i].sid).cause, SP_END_CODE_REPLAYED);
    }
    assert_int_equal(bench_records(b, "code_redeemed"), ROUNDS);
    assert_int_equal(bench_records(b, "code_replayed"), ROUNDS); /* once, however many came */
}

static void one_proof_on_many_loops_passes_once(void **state) {
    BENCH;
    static char texts[ROUNDS][SP_DPOP_BYTES_MAX];
    struct sp_oauth_token_request requests[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        requests[i] = client_request("");
        requests[i].dpop = proof_new(b, (struct proof){0});
        memcpy(texts[i], requests[i].dpop.proof.p, requests[i].dpop.proof.n);
        requests[i].dpop.proof.p = (const uint8_t *)texts[i];
    }
    race(b, requests, redeemers);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(number_of(redeemers, i, SP_OAUTH_NONE), 1);
        assert_int_equal(number_of(redeemers, i, SP_OAUTH_INVALID_DPOP_PROOF), THREADS - 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_code_on_many_loops_gives_once_and_then_nothing,
                                        token_setup_memory, oauth_teardown),
        cmocka_unit_test_setup_teardown(one_proof_on_many_loops_passes_once, token_setup_memory,
                                        oauth_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
