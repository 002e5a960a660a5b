/* The public library among enemies: servers and people on the way who answer what nobody asked for, names
 * that are never resolved, a machine without descriptors, and threads and processes that come and go
 * meanwhile. */
#include "fake_http.h"
#include "support.h"
#include "verify/handle.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CREDENTIAL "orders:spcs_of_the_tests"

struct world {
    struct fake_http http;
    char url[64];
    struct sp_jwk key;
    char jwk[1024];
    struct ids ids;
    struct token token;
    struct sp_options options;
    struct sallyport *sp;
};
static struct world w;

static int64_t now_s(void) {
    return sp_clock_wall_ms(&sp_clock_system) / 1000;
}
static void begin(void) {
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(sizeof w.jwk - 1);
    memset(&w, 0, sizeof w);
    fake_http_start(&w.http, ISSUER, CREDENTIAL);
    fake_http_url(&w.http, w.url, sizeof w.url);
    w.key = make_jwk("k1", SP_ALG_ES256);
    assert_true(sp_ok(sp_jwk_write_public(SP_TEXT_SLICE(&w.key.kid), SP_ALG_ES256, w.key.key, &jwk)));
    memcpy(w.jwk, jwk.p, jwk.n);
    fake_set_keys(&w.http.feed, w.jwk);
    w.ids = make_ids(7, 1);
    struct sp_claims c = make_claims(&w.ids);
    c.iat = now_s();
    c.exp = now_s() + LIFETIME_S;
    c.roles = SP_SLICE_LIT("reader");
    c.has_roles = true;
    w.token = issue(&w.key, &c);
    w.options = (struct sp_options)SP_OPTIONS_INIT;
    w.options.issuer = ISSUER;
    w.options.audience = AUDIENCE;
    w.options.feed_url = w.url;
    w.options.credential = CREDENTIAL;
    w.options.cache_bytes = 1 << 20;
}
static void open_it(void) {
    if (sp_open(&w.options, &w.sp) != SP_OPEN_OK) fail_msg("%s", sp_open_error());
}
static void end(void) {
    sp_close(w.sp);
    fake_http_stop(&w.http);
    sp_jwk_done(&w.key);
}
static enum sp_verdict verify_by(struct sp_token *claims) {
    struct sp_request request = SP_REQUEST_INIT;
    request.token = w.token.text;
    request.token_bytes = w.token.n;
    return sp_verify(w.sp, &request, claims);
}
static struct sp_stats stats_now(void) {
    struct sp_stats s = SP_STATS_INIT;
    sp_stats_get(w.sp, &s);
    return s;
}
#define assert_says(verdict, name) assert_string_equal(sp_verdict_code(verdict), #name)

/* ---- answers ---- */

static bool has_errors(void *arg) {
    return stats_now().errors >= *(const uint64_t *)arg;
}
/* Stale while it is so, and fresh by itself when it is over. */
static void suffer(int manner) {
    uint64_t two = 2;
    atomic_store(&w.http.manner, manner);
    open_it();
    assert_true(fake_http_wait(has_errors, &two));
    assert_says(verify_by(NULL), stale);
    atomic_store(&w.http.manner, FAKE_GOOD);
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    assert_says(verify_by(NULL), accepted);
}

static void redirect_to_another_host_is_not_shown_the_credential(void **state) {
    (void)state;
    struct fake_http elsewhere;
    char url[64];
    begin();
    fake_http_start(&elsewhere, ISSUER, CREDENTIAL);
    fake_http_url(&elsewhere, url, sizeof url);
    w.http.redirect_to = url;
    suffer(FAKE_REDIRECT);
    pthread_mutex_lock(&elsewhere.lock);
    assert_int_equal(elsewhere.requests, 0);
    pthread_mutex_unlock(&elsewhere.lock);
    end();
    fake_http_stop(&elsewhere);
}
static void compressed_answers_are_not_unpacked(void **state) {
    (void)state;
    begin();
    suffer(FAKE_GZIP);
    end();
}
static void answers_without_a_head_are_no_answers(void **state) {
    (void)state;
    begin();
    suffer(FAKE_OLD);
    end();
}
static void empty_success_is_no_answer(void **state) {
    (void)state;
    begin();
    suffer(FAKE_204);
    end();
}

enum { POURED_MAX = 24 << 20 }; /* what lies in the buffers of two sockets, and more than we would keep */
static void head_without_end_is_cut_off(void **state) {
    (void)state;
    begin();
    suffer(FAKE_HEADS);
    end();
    assert_in_range(atomic_load(&w.http.poured), 0, POURED_MAX);
}
static void interim_answers_without_end_are_cut_off(void **state) {
    (void)state;
    begin();
    suffer(FAKE_INTERIM);
    end();
    assert_in_range(atomic_load(&w.http.poured), 0, POURED_MAX);
}
/* To what needs a few bytes at most. */
static void answers_without_end_to_questions_are_cut_off(void **state) {
    (void)state;
    begin();
    suffer(FAKE_BODIES);
    end();
    assert_in_range(atomic_load(&w.http.poured), 0, POURED_MAX);
}

/* ---- names ---- */

/* Ours is found before the system's, by libcurl too: a name server that does not answer, until we let it. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool holds;
    int inside;
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **ret) {
    (void)node, (void)service, (void)hints, (void)ret;
    pthread_mutex_lock(&resolver.lock);
    resolver.inside++;
    while (resolver.holds) pthread_cond_wait(&resolver.changed, &resolver.lock);
    resolver.inside--;
    pthread_cond_broadcast(&resolver.changed);
    pthread_mutex_unlock(&resolver.lock);
    return EAI_AGAIN;
}
static void hold_resolver(bool holds) {
    pthread_mutex_lock(&resolver.lock);
    resolver.holds = holds;
    pthread_cond_broadcast(&resolver.changed);
    while (!holds && resolver.inside != 0) pthread_cond_wait(&resolver.changed, &resolver.lock);
    pthread_mutex_unlock(&resolver.lock);
}
static bool is_resolving(void *arg) {
    (void)arg;
    if (w.options.follow == SP_FOLLOW_BY_CALLER) sp_follow_step(w.sp);
    pthread_mutex_lock(&resolver.lock);
    bool is = resolver.inside != 0;
    pthread_mutex_unlock(&resolver.lock);
    return is;
}
static void begin_resolving(enum sp_follow how) {
    begin();
    hold_resolver(true);
    w.options.feed_url = "https://id.example.com";
    w.options.follow = how;
    open_it();
    assert_true(fake_http_wait(is_resolving, NULL));
}
static void closing_does_not_wait_for_a_name_server(void **state) {
    (void)state;
    begin_resolving(SP_FOLLOW_THREAD);
    end(); /* would not come back */
    hold_resolver(false);
}
static bool has_given_up(void *arg) {
    (void)arg;
    sp_follow_step(w.sp);
    return stats_now().errors != 0;
}
static void stepping_does_not_wait_for_a_name_server(void **state) {
    (void)state;
    begin_resolving(SP_FOLLOW_BY_CALLER);
    assert_true(fake_http_wait(has_given_up, NULL));
    end();
    hold_resolver(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redirect_to_another_host_is_not_shown_the_credential),
        cmocka_unit_test(compressed_answers_are_not_unpacked),
        cmocka_unit_test(answers_without_a_head_are_no_answers),
        cmocka_unit_test(empty_success_is_no_answer),
        cmocka_unit_test(head_without_end_is_cut_off),
        cmocka_unit_test(interim_answers_without_end_are_cut_off),
        cmocka_unit_test(answers_without_end_to_questions_are_cut_off),
        cmocka_unit_test(closing_does_not_wait_for_a_name_server),
        cmocka_unit_test(stepping_does_not_wait_for_a_name_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
