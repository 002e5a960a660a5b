/* The public library among enemies: servers and people on the way who answer what nobody asked for, names
 * that are never resolved, a machine without descriptors, and threads and processes that come and go
 * meanwhile. */
#include "fake_http.h"
#include "support.h"
#include "verify/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64url.h"

#define CREDENTIAL "orders:spcs_of_the_tests"

struct world {
    struct fake_http http;
    char url[64];
    struct sp_jwk key, other_key;
    char jwk[512], other_jwk[512];
    struct ids ids;
    struct token token;
    struct sp_options options;
    struct sallyport *sp;
};
static struct world w;

static int64_t now_s(void) {
    return sp_clock_wall_ms(&sp_clock_system) / 1000;
}
static void write_jwk(const struct sp_jwk *key, char *ret, size_t cap) {
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(cap - 1);
    assert_true(sp_ok(sp_jwk_write_public(SP_TEXT_SLICE(&key->kid), SP_ALG_ES256, key->key, &jwk)));
    memcpy(ret, jwk.p, jwk.n);
}
static void begin(void) {
    memset(&w, 0, sizeof w);
    fake_http_start(&w.http, ISSUER, CREDENTIAL);
    fake_http_url(&w.http, w.url, sizeof w.url);
    w.key = make_jwk("k1", SP_ALG_ES256);
    w.other_key = make_jwk("k2", SP_ALG_ES256);
    write_jwk(&w.key, w.jwk, sizeof w.jwk);
    write_jwk(&w.other_key, w.other_jwk, sizeof w.other_jwk);
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
    sp_jwk_done(&w.other_key);
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

/* ---- tokens ---- */

/* Whoever has it is the feed for verifiers; the tokens of the issuer he cannot make. */
static void feed_key_signs_no_tokens(void **state) {
    (void)state;
    char kid[SP_BASE64URL_CHARS(SP_SHA256_BYTES) + 1] = {0};
    begin();
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    sp_base64url_encode(SP_SLICE_ARRAY(w.http.feed.kid), kid);
    struct sp_jwk feed = {.has_kid = true, .algs = SP_ALG_BIT(SP_ALG_EDDSA), .key = w.http.feed.key};
    struct sp_claims c = make_claims(&w.ids);
    c.iat = now_s();
    c.exp = now_s() + LIFETIME_S;
    const char *const kids[] = {kid, "k1"};
    for (size_t i = 0; i < SP_ARRAY_LEN(kids); i++) {
        assert_true(sp_ok(SP_TEXT_SET(&feed.kid, sp_slice_cstr(kids[i]))));
        w.token = issue(&feed, &c);
        enum sp_verdict v = verify_by(NULL);
        assert_true(v == SP_UNKNOWN_KEY || v == SP_NOT_ALLOWED);
    }
    end();
}

/* ---- a machine without descriptors ---- */

static void set_descriptors_max(rlim_t n) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}
static rlim_t descriptors_max(void) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur;
}
static rlim_t next_descriptor(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    (void)close(fd);
    return (rlim_t)fd;
}
/* As many as opening needs and no more: it cannot connect, until there are more. */
static void without_descriptors_it_does_not_open_or_waits_for_them(void **state) {
    (void)state;
    enum sp_open_result r = SP_OPEN_SYSTEM;
    begin();
    rlim_t usual = descriptors_max(), first = next_descriptor();
    for (rlim_t n = 0; r != SP_OPEN_OK; n++) {
        assert_in_range(n, 0, 32);
        set_descriptors_max(first + n);
        r = sp_open(&w.options, &w.sp);
        if (r != SP_OPEN_OK) assert_int_equal(r, SP_OPEN_SYSTEM);
    }
    uint64_t three = 3;
    bool tried = fake_http_wait(has_errors, &three);
    enum sp_verdict meanwhile = verify_by(NULL);
    set_descriptors_max(usual);
    assert_true(tried);
    assert_says(meanwhile, stale);
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    end();
}

static _Atomic long epoll_countdown = -1; /* calls until one fails; -1: none will */
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e) {
    if (atomic_load(&epoll_countdown) >= 0 && atomic_fetch_sub(&epoll_countdown, 1) == 0) {
        errno = ENOSPC; /* fs.epoll.max_user_watches */
        return -1;
    }
    return __real_epoll_ctl(epoll, op, fd, e);
}
static void socket_that_could_not_be_watched_is_no_end(void **state) {
    (void)state;
    /* Two for our own descriptors, then sockets of keys, snapshot and stream. */
    for (long n = 0; n < 5; n++) {
        begin();
        atomic_store(&epoll_countdown, n);
        enum sp_open_result r = sp_open(&w.options, &w.sp);
        if (r == SP_OPEN_OK) assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
        assert_true(atomic_exchange(&epoll_countdown, -1) < 0);
        assert_int_equal(r, n < 2 ? SP_OPEN_SYSTEM : SP_OPEN_OK);
        end();
    }
}

/* ---- threads and processes ---- */

enum { THREADS = 64, ROUNDS = 400 };
struct witness {
    pthread_t thread;
    uint64_t calls, accepted, contradictions;
};
static _Atomic bool witnesses_stop;
/* Whoever was once revoked is never let in again, whatever else changes. */
static void *watch_verdicts(void *arg) {
    struct witness *me = arg;
    struct sp_token claims;
    bool was_revoked = false;
    while (!atomic_load(&witnesses_stop)) {
        enum sp_verdict v = verify_by(&claims);
        me->calls++;
        me->accepted += v == SP_ACCEPTED;
        me->contradictions += v == SP_ACCEPTED && was_revoked;
        me->contradictions += v != SP_ACCEPTED && v != SP_REVOKED && v != SP_UNKNOWN_KEY && v != SP_STALE;
        if (v == SP_ACCEPTED && sp_permits(&claims, "documents:delete") != 0) me->contradictions++;
        was_revoked |= v == SP_REVOKED;
        if (me->calls % 64 == 0) (void)sched_yield(); /* two processors have other things to do, too */
    }
    return NULL;
}
static void change_all(unsigned round) {
    static const char *const roles[] = {"{\"reader\":[\"documents:read\"]}",
                                        "{\"writer\":[\"documents:*\"]}"};
    struct ids other = make_ids(100 + round, 100 + round);
    pthread_mutex_lock(&w.http.lock);
    fake_set_roles(&w.http.feed, roles[round % 2]);
    fake_set_keys(&w.http.feed, round % 4 == 1 ? w.other_jwk : w.jwk);
    (void)fake_raise_user(&w.http.feed, other.sub.b, round + 1, now_s() + 1000);
    (void)fake_revoke_jti(&w.http.feed, other.jti.b, now_s() + 1000);
    w.http.changes++;
    pthread_cond_broadcast(&w.http.changed);
    pthread_mutex_unlock(&w.http.lock);
}
static bool has_applied(void *arg) {
    return stats_now().seq >= *(const uint64_t *)arg;
}
static void many_threads_agree_while_everything_changes(void **state) {
    (void)state;
    static struct witness witnesses[THREADS];
    begin();
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    memset(witnesses, 0, sizeof witnesses);
    atomic_store(&witnesses_stop, false);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&witnesses[i].thread, NULL, watch_verdicts, &witnesses[i]), 0);
    uint64_t seq = 0, accepted = 0;
    bool applied = true;
    for (unsigned round = 0; applied && round < ROUNDS; round++) {
        change_all(round);
        if (round == ROUNDS / 2) fake_http_revoke(&w.http, w.ids.jti.b, now_s() + 1000);
        seq += round == ROUNDS / 2 ? 3 : 2;
        applied = fake_http_wait(has_applied, &seq);
    }
    atomic_store(&witnesses_stop, true);
    assert_true(applied);
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(witnesses[i].thread, NULL);
        assert_int_equal(witnesses[i].contradictions, 0);
        accepted += witnesses[i].accepted;
    }
    assert_true(accepted > 0);
    assert_says(verify_by(NULL), revoked);
    end();
}

static void closing_while_it_connects_is_always_the_end(void **state) {
    (void)state;
    static const int manners[] = {FAKE_GOOD, FAKE_HANG, FAKE_CUT, FAKE_503, FAKE_HUGE_LINE, FAKE_ONE_BYTE};
    begin();
    for (int i = 0; i < 60; i++) {
        atomic_store(&w.http.manner, manners[(size_t)i % SP_ARRAY_LEN(manners)]);
        w.options.follow = i % 2 == 0 ? SP_FOLLOW_THREAD : SP_FOLLOW_BY_CALLER;
        open_it();
        for (int step = 0; step < i; step++) (void)!sp_wait_fresh(w.sp, 1);
        sp_close(w.sp);
    }
    atomic_store(&w.http.manner, FAKE_GOOD);
    w.sp = NULL;
    end();
}

static void *verify_once(void *arg) {
    *(enum sp_verdict *)arg = verify_by(NULL);
    return NULL;
}
static void thread_without_a_seat_lets_nobody_in(void **state) {
    (void)state;
    static struct sp_verifier_reader *taken[SP_RECLAIM_READERS_MAX];
    size_t n = 0;
    pthread_t thread;
    enum sp_verdict without, with;
    begin();
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    while (n < SP_RECLAIM_READERS_MAX && sp_ok(sp_verifier_reader_new(w.sp->verifier, &taken[n]))) n++;
    assert_int_equal(pthread_create(&thread, NULL, verify_once, &without), 0);
    (void)pthread_join(thread, NULL);
    while (n != 0) sp_verifier_reader_free(taken[--n]);
    assert_int_equal(pthread_create(&thread, NULL, verify_once, &with), 0);
    (void)pthread_join(thread, NULL);
    assert_says(without, no_memory);
    assert_says(with, accepted);
    end();
}

static int exit_status_of(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
/* The thread that follows may be anywhere, and so may those that verify. */
static void child_of_a_fork_in_mid_step_gets_nothing_and_hangs_nowhere(void **state) {
    (void)state;
    static struct witness witnesses[4];
    if (HAS_TSAN) skip();
    begin();
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    atomic_store(&witnesses_stop, false);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&witnesses[i].thread, NULL, watch_verdicts, &witnesses[i]), 0);
    for (unsigned i = 0; i < 30; i++) {
        change_all(i);
        pid_t pid = fork();
        if (pid == 0) {
            (void)alarm(60); /* it hangs */
            int wrong = verify_by(NULL) != SP_CLOSED;
            wrong |= (stats_now().accepted != 0) << 1;
            sp_close(w.sp);
            if (CHILD_MAY_HANG) _exit(wrong);
            w.options.follow = SP_FOLLOW_BY_CALLER;
            wrong |= (sp_open(&w.options, &w.sp) != SP_OPEN_OK) << 2;
            wrong |= (sp_wait_fresh(w.sp, 20000) != 1) << 3;
            wrong |= (verify_by(NULL) == SP_CLOSED) << 4;
            sp_close(w.sp);
            _exit(wrong);
        }
        assert_int_equal(exit_status_of(pid), 0);
    }
    atomic_store(&witnesses_stop, true);
    for (size_t i = 0; i < 4; i++) (void)pthread_join(witnesses[i].thread, NULL);
    end();
}

/* ---- callers ---- */

static void no_handle_is_no_crash(void **state) {
    (void)state;
    struct sp_stats s = SP_STATS_INIT;
    struct sp_token claims = {0};
    begin();
    sp_close(NULL);
    assert_says(verify_by(&claims), bad_request); /* w.sp is NULL: sp_open failed, and nobody looked */
    assert_int_equal(sp_permits(&claims, "documents:read"), 0);
    assert_int_equal(sp_permits(NULL, "documents:read"), 0);
    assert_int_equal(sp_wait_fresh(NULL, 1000), 0);
    assert_int_equal(sp_follow_fd(NULL), -1);
    sp_follow_step(NULL);
    s.seq = 5;
    sp_stats_get(NULL, &s);
    assert_int_equal(s.seq, 0);
    assert_int_equal(s.size, sizeof s);
    assert_int_equal(s.state, SP_STATE_STALE);
    end();
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
        cmocka_unit_test(feed_key_signs_no_tokens),
        cmocka_unit_test(without_descriptors_it_does_not_open_or_waits_for_them),
        cmocka_unit_test(socket_that_could_not_be_watched_is_no_end),
        cmocka_unit_test(many_threads_agree_while_everything_changes),
        cmocka_unit_test(closing_while_it_connects_is_always_the_end),
        cmocka_unit_test(thread_without_a_seat_lets_nobody_in),
        cmocka_unit_test(child_of_a_fork_in_mid_step_gets_nothing_and_hangs_nowhere),
        cmocka_unit_test(no_handle_is_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
