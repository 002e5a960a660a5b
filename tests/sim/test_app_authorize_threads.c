/* Several loops ask for codes by one sign-in and redeem them, while it ends and its client changes: for the
 * thread sanitizer, and for what must hold whatever the order. */
#include "oauth_bench.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 3, BEFORE = 30, AFTER = 10 }; /* rounds of each, before the end and after it */

struct lane {
    struct sp_executor executor;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct sp_task *head, **tail;
    struct bench *b;
    const char *cookie;
    pthread_barrier_t *barrier;
    struct page page;
    struct redeemed redeemed;
    uint8_t sids[BEFORE + AFTER][SP_ROW_SID_BYTES];
    uint32_t n, signed_out, bad;
    pthread_t thread;
};

static void lane_post(struct sp_executor *self, struct sp_task *task) {
    struct lane *l = SP_CONTAINER_OF(self, struct lane, executor);
    pthread_mutex_lock(&l->mutex);
    task->next = NULL;
    *l->tail = task;
    l->tail = &task->next;
    pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->mutex);
}

static void lane_until(struct lane *l, const uint32_t *answers) {
    while (*answers == 0) {
        pthread_mutex_lock(&l->mutex);
        while (l->head == NULL) pthread_cond_wait(&l->cond, &l->mutex);
        struct sp_task *t = l->head;
        l->head = t->next;
        if (l->head == NULL) l->tail = &l->head;
        pthread_mutex_unlock(&l->mutex);
        t->run(t);
    }
}

static struct sp_call call_of(struct lane *l) {
    struct sp_call call = bench_call(l->b);
    call.executor = &l->executor;
    return call;
}

static void redeemed_done(void *arg, const struct sp_oauth_tokens_result *r) {
    struct redeemed *p = arg;
    p->answers++;
    p->error = r->trouble.error;
}

/* Not oauth_redeem: that runs the bench's own queue. */
static void redeem(struct lane *l) {
    char code[SP_LOCATION_BYTES_MAX];
    struct sp_authz_code opened;
    const struct sp_call call = call_of(l);
    memset(&l->redeemed, 0, sizeof(l->redeemed));
    if (!oauth_param(&l->page, "code", code, sizeof(code))) {
        l->bad++;
        return;
    }
    const struct sp_oauth_token_request in = {.client = {.id = SP_SLICE_LIT("own")},
                                              .grant_type = SP_SLICE_LIT("authorization_code"),
                                              .code = sp_slice_cstr(code),
                                              .redirect_uri = SP_SLICE_LIT("https://own.example/cb"),
                                              .code_verifier = SP_SLICE_LIT(OAUTH_VERIFIER)};
    sp_oauth_token(l->b->app, &call, &in, redeemed_done, &l->redeemed);
    lane_until(l, &l->redeemed.answers);
    if (l->redeemed.error != SP_OAUTH_NONE) {
        l->bad += l->redeemed.error != SP_OAUTH_INVALID_GRANT;
        return;
    }
    l->bad += !sp_ok(sp_unseal_code(l->b->app, sp_slice_cstr(code), l->b->now_ms / 1000, &opened));
    memcpy(l->sids[l->n++], opened.sid, SP_ROW_SID_BYTES);
}

static void one_round(struct lane *l) {
    const struct sp_authz_params params = {.client_id = SP_SLICE_LIT("own"),
                                           .response_type = SP_SLICE_LIT("code"),
                                           .redirect_uri = SP_SLICE_LIT("https://own.example/cb"),
                                           .scope = SP_SLICE_LIT("openid"),
                                           .code_challenge = SP_SLICE_LIT(OAUTH_CHALLENGE),
                                           .code_challenge_method = SP_SLICE_LIT("S256")};
    const struct sp_call call = call_of(l);
    memset(&l->page, 0, sizeof(l->page));
    sp_oauth_authorize(l->b->app, &call, &params, sp_slice_cstr(l->cookie), oauth_page_done, &l->page);
    lane_until(l, &l->page.answers);
    if (l->page.next == SP_AUTHZ_LOGIN) {
        l->signed_out++;
    } else {
        redeem(l);
    }
}

static void *lane_run(void *arg) {
    struct lane *l = arg;
    for (int i = 0; i < BEFORE; i++) {
        if (i == BEFORE / 2) pthread_barrier_wait(l->barrier); /* the sign-in ends from here on */
        one_round(l);
    }
    pthread_barrier_wait(l->barrier); /* it has ended */
    const uint32_t before = l->signed_out;
    for (int i = 0; i < AFTER; i++) one_round(l);
    l->bad += l->signed_out - before != AFTER;
    return NULL;
}

/* The client's row is replaced under the feet of those who look at it. */
static void change_client(struct bench *b) {
    struct sp_client_row row = oauth_client_row(b, "own");
    row.trusted = true;
    for (int i = 0; i < 10; i++) oauth_client_put(b, &row);
}

static void nothing_that_came_of_a_sign_in_outlives_it_whatever_the_order(void **state) {
    struct bench *b = *state;
    static struct lane lanes[THREADS];
    pthread_barrier_t barrier;
    const struct page in = oauth_sign_in(b, "ada");
    const struct sp_sso_cookie cookie = oauth_open_cookie(b, in.cookie);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    for (size_t i = 0; i < THREADS; i++) {
        lanes[i] = (struct lane){.executor = {lane_post}, .b = b, .cookie = in.cookie, .barrier = &barrier};
        lanes[i].tail = &lanes[i].head;
        assert_int_equal(pthread_mutex_init(&lanes[i].mutex, NULL), 0);
        assert_int_equal(pthread_cond_init(&lanes[i].cond, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&lanes[i].thread, NULL, lane_run, &lanes[i]), 0);
    change_client(b);
    pthread_barrier_wait(&barrier);
    oauth_session_end(b, cookie.sid);
    pthread_barrier_wait(&barrier);
    uint32_t n = 0;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(lanes[i].thread, NULL), 0);
        assert_int_equal(lanes[i].bad, 0);
        for (uint32_t k = 0; k < lanes[i].n; k++, n++)
            assert_int_equal(bench_session(b, lanes[i].sids[k]).state, SP_SESSION_ENDED);
        pthread_mutex_destroy(&lanes[i].mutex);
        pthread_cond_destroy(&lanes[i].cond);
    }
    assert_in_range(n, THREADS * BEFORE / 2, THREADS * BEFORE);
    pthread_barrier_destroy(&barrier);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_that_came_of_a_sign_in_outlives_it_whatever_the_order,
                                        oauth_setup_memory, oauth_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
