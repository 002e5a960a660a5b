/* The public library, over real sockets, threads and processes. */
#include "fake_http.h"
#include "support.h"
#include "verify/handle.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define CREDENTIAL "orders:spcs_of_the_tests"

struct world {
    struct fake_http http;
    char url[64], credential_path[128];
    struct sp_jwk key;
    struct ids ids;
    struct token token;
    struct sp_options options;
    struct sallyport *sp;
    struct sp_token claims;
};
static struct world w;

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) < 0, 0);
    assert_int_equal(fclose(file), 0);
}
static int64_t now_s(void) {
    return sp_clock_wall_ms(&sp_clock_system) / 1000;
}
static struct sp_claims good_claims(void) {
    struct sp_claims c = make_claims(&w.ids);
    c.iat = now_s();
    c.exp = now_s() + LIFETIME_S;
    c.roles = SP_SLICE_LIT("reader");
    c.has_roles = true;
    return c;
}
static void write_jwk(const struct sp_jwk *key, struct sp_buf *out, const char **ret) {
    assert_true(sp_ok(sp_jwk_write_public(SP_TEXT_SLICE(&key->kid), alg_of(key), key->key, out)));
    assert_true(sp_ok(sp_buf_cstr(out, ret)));
}

static void begin(void) {
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(4096);
    const char *text;
    memset(&w, 0, sizeof w);
    fake_http_start(&w.http, ISSUER, CREDENTIAL);
    fake_http_url(&w.http, w.url, sizeof w.url);
    w.key = make_jwk("k1", SP_ALG_ES256);
    write_jwk(&w.key, &jwk, &text);
    fake_set_keys(&w.http.feed, text);
    w.ids = make_ids(7, 1);
    struct sp_claims c = good_claims();
    w.token = issue(&w.key, &c);
    (void)snprintf(w.credential_path, sizeof w.credential_path, "/tmp/sallyport-test-XXXXXX");
    int fd = mkstemp(w.credential_path);
    assert_true(fd >= 0);
    (void)close(fd);
    write_file(w.credential_path, CREDENTIAL "\n");
    w.options = (struct sp_options)SP_OPTIONS_INIT;
    w.options.issuer = ISSUER;
    w.options.audience = AUDIENCE;
    w.options.feed_url = w.url;
    w.options.credential_file = w.credential_path;
    w.options.instance = "test-1";
    w.options.cache_bytes = 1 << 20;
}
static void open_it(void) {
    enum sp_open_result r = sp_open(&w.options, &w.sp);
    if (r != SP_OPEN_OK) fail_msg("%s", sp_open_error());
}
static void end(void) {
    sp_close(w.sp);
    fake_http_stop(&w.http);
    sp_jwk_done(&w.key);
    (void)unlink(w.credential_path);
}
static enum sp_verdict verify_text(const char *text, size_t n, struct sp_token *claims) {
    struct sp_request request = SP_REQUEST_INIT;
    request.token = text;
    request.token_bytes = n;
    return sp_verify(w.sp, &request, claims);
}
static enum sp_verdict verify(void) {
    return verify_text(w.token.text, w.token.n, &w.claims);
}
static struct sp_stats stats_now(void) {
    struct sp_stats s = SP_STATS_INIT;
    sp_stats_get(w.sp, &s);
    return s;
}
static bool is_refused(void *arg) {
    (void)arg;
    if (w.options.follow == SP_FOLLOW_BY_CALLER) sp_follow_step(w.sp);
    return verify() == SP_REVOKED;
}
/* A revocation is enforced a moment before it is counted. */
static bool has_applied(void *arg) {
    return stats_now().seq >= *(const uint64_t *)arg;
}
static bool has_errors(void *arg) {
    const uint64_t *n = arg;
    return stats_now().errors >= *n;
}
#define assert_says(verdict, name) assert_string_equal(sp_verdict_code(verdict), #name)

/* ---- following ---- */

static void follows_and_refuses_what_is_revoked(void **state) {
    (void)state;
    begin();
    atomic_store(&w.http.manner, FAKE_HANG); /* or it may be fresh before we have asked */
    open_it();
    assert_says(verify(), stale);
    atomic_store(&w.http.manner, FAKE_GOOD);
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    assert_says(verify(), accepted);
    assert_int_equal(w.claims.subject.n, SP_ID_CHARS);
    assert_int_equal(sp_permits(&w.claims, "documents:read"), 1);
    assert_int_equal(sp_permits(&w.claims, "documents:write"), 0); /* nor what only the token says: */
    assert_int_equal(sp_permits(&w.claims, "orders:read"), 0);
    fake_http_revoke(&w.http, w.ids.jti.b, now_s() + 1000);
    uint64_t one = 1;
    assert_true(fake_http_wait(is_refused, NULL));
    assert_true(fake_http_wait(has_applied, &one));
    struct sp_stats s = stats_now();
    assert_int_equal(s.state, SP_STATE_FRESH);
    assert_int_equal(s.seq, 1);
    assert_true(s.accepted >= 1 && s.revoked >= 1 && s.stale == 1 && s.beats >= 1 && s.revocations == 1);
    end();
}

static void follows_on_the_callers_loop(void **state) {
    (void)state;
    begin();
    w.options.follow = SP_FOLLOW_BY_CALLER;
    open_it();
    assert_true(sp_follow_fd(w.sp) >= 0);
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    assert_says(verify(), accepted);
    fake_http_revoke(&w.http, w.ids.jti.b, now_s() + 1000);
    assert_true(fake_http_wait(is_refused, NULL));
    end();
    assert_non_null(strstr(w.http.last_ack, "\"leaving\":true"));
}

static void says_goodbye_when_closed(void **state) {
    (void)state;
    begin();
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    end();
    assert_non_null(strstr(w.http.last_ack, "\"leaving\":true"));
    assert_non_null(strstr(w.http.last_ack, "\"verifier\":\"test-1\""));
}

static void closes_at_once_when_nobody_is_there(void **state) {
    (void)state;
    begin();
    w.options.feed_url = "http://127.0.0.1:1";
    open_it();
    uint64_t one = 1;
    assert_true(fake_http_wait(has_errors, &one));
    assert_int_equal(stats_now().state, SP_STATE_CONNECTING);
    assert_int_equal(sp_wait_fresh(w.sp, 1), 0);
    end();
}

static void bytes_that_come_singly_are_enough(void **state) {
    (void)state;
    begin();
    atomic_store(&w.http.manner, FAKE_ONE_BYTE);
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    end();
}

static void wrong_manner_then_good(int manner) {
    uint64_t two = 2;
    begin();
    atomic_store(&w.http.manner, manner);
    open_it();
    assert_true(fake_http_wait(has_errors, &two));
    assert_says(verify(), stale);
    atomic_store(&w.http.manner, FAKE_GOOD);
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    end();
}
static void server_that_is_busy_is_asked_again(void **state) {
    (void)state;
    wrong_manner_then_good(FAKE_503);
}
static void redirect_is_not_followed(void **state) {
    (void)state;
    wrong_manner_then_good(FAKE_REDIRECT);
    assert_int_equal(w.http.elsewhere, 0);
}
static void line_without_end_is_given_up(void **state) {
    (void)state;
    wrong_manner_then_good(FAKE_HUGE_LINE);
}
static void stream_that_breaks_within_a_chunk_is_resumed(void **state) {
    (void)state;
    wrong_manner_then_good(FAKE_CUT);
}
/* SIGPIPE has its default here: whoever got one would not come back. */
static void broken_connections_on_the_callers_loop_raise_no_signal(void **state) {
    (void)state;
    begin();
    (void)signal(SIGPIPE, SIG_DFL);
    w.options.follow = SP_FOLLOW_BY_CALLER;
    atomic_store(&w.http.manner, FAKE_CUT);
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 300), 0);
    atomic_store(&w.http.manner, FAKE_GOOD);
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    end();
}

static bool was_denied(void *arg) {
    (void)arg;
    pthread_mutex_lock(&w.http.lock);
    bool denied = w.http.denied != 0;
    pthread_mutex_unlock(&w.http.lock);
    return denied;
}
static void credential_file_is_read_again_after_a_refusal(void **state) {
    (void)state;
    begin();
    write_file(w.credential_path, "orders:an_old_secret\n");
    open_it();
    assert_true(fake_http_wait(was_denied, NULL));
    write_file(w.credential_path, CREDENTIAL "\n");
    assert_int_equal(sp_wait_fresh(w.sp, 30000), 1);
    end();
}

static void stale_may_be_accepted_when_the_caller_says_so(void **state) {
    (void)state;
    begin();
    w.options.when_stale = SP_WHEN_STALE_ACCEPT_UNPROVEN;
    w.options.follow = SP_FOLLOW_BY_CALLER;
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    assert_says(verify(), accepted);
    assert_int_equal(w.claims.is_stale, 0);
    w.sp->freshness.max_staleness_ms = -1; /* nothing is ever fresh again */
    assert_says(verify(), accepted);
    assert_int_equal(w.claims.is_stale, 1);
    fake_http_revoke(&w.http, w.ids.jti.b, now_s() + 1000);
    assert_true(fake_http_wait(is_refused, NULL)); /* what is known counts */
    end();
}

/* ---- threads ---- */

static _Atomic bool readers_stop;
static void *read_on(void *arg) {
    struct sp_token claims;
    _Atomic uint64_t *wrong = arg;
    while (!atomic_load(&readers_stop)) {
        enum sp_verdict v = verify_text(w.token.text, w.token.n, &claims);
        if (v == SP_ACCEPTED && sp_permits(&claims, "documents:read") != 1) atomic_fetch_add(wrong, 1);
        if (v != SP_ACCEPTED && v != SP_REVOKED) atomic_fetch_add(wrong, 1);
    }
    return NULL;
}
static void threads_read_while_the_feed_writes(void **state) {
    (void)state;
    pthread_t threads[4];
    _Atomic uint64_t wrong = 0;
    begin();
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    atomic_store(&readers_stop, false);
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, read_on, &wrong), 0);
    for (uint32_t i = 0; i < 500; i++) {
        uint8_t id[16] = {9};
        memcpy(id + 1, &i, sizeof i);
        fake_http_revoke(&w.http, id, now_s() + 1000);
    }
    fake_http_revoke(&w.http, w.ids.jti.b, now_s() + 1000);
    assert_true(fake_http_wait(is_refused, NULL));
    atomic_store(&readers_stop, true);
    for (size_t i = 0; i < 4; i++) (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    uint64_t all = 501;
    assert_true(fake_http_wait(has_applied, &all));
    end();
}

static void *verify_once(void *arg) {
    _Atomic uint64_t *accepted = arg;
    struct sp_token claims;
    if (verify_text(w.token.text, w.token.n, &claims) == SP_ACCEPTED) atomic_fetch_add(accepted, 1);
    return NULL;
}
static void seats_come_back_when_threads_end(void **state) {
    (void)state;
    _Atomic uint64_t accepted = 0;
    enum { THREADS = 300 };
    begin();
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, verify_once, &accepted), 0);
        (void)pthread_join(thread, NULL);
    }
    assert_int_equal(atomic_load(&accepted), THREADS);
    assert_int_equal(stats_now().accepted, THREADS); /* counted although they are gone */
    assert_null(w.sp->seats.first);
    end();
}

static void thread_that_outlives_a_handle_meets_the_next_one(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) { /* this thread's seat of the handle before is of no use and no harm */
        begin();
        open_it();
        assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
        assert_says(verify(), accepted);
        end();
    }
}

/* ---- processes ---- */

static int exit_status_of(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
static void child_of_fork_gets_nothing_from_the_parents_handle(void **state) {
    (void)state;
    begin();
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    assert_says(verify(), accepted);
    uint64_t connects = stats_now().connects;
    pid_t pid = fork();
    if (pid == 0) {
        int wrong = verify() != SP_CLOSED;
        wrong |= (sp_permits(&w.claims, "documents:read") != 0) << 1;
        wrong |= (sp_wait_fresh(w.sp, 1) != 0) << 2;
        wrong |= (stats_now().state != SP_STATE_STALE) << 3;
        sp_close(w.sp);
        if (HAS_TSAN || CHILD_MAY_HANG) _exit(wrong);
        if (sp_open(&w.options, &w.sp) != SP_OPEN_OK) _exit(99);
        wrong |= (sp_wait_fresh(w.sp, 20000) != 1) << 4;
        wrong |= (verify() != SP_ACCEPTED) << 5;
        sp_close(w.sp);
        _exit(wrong);
    }
    assert_int_equal(exit_status_of(pid), 0);
    assert_says(verify(), accepted);
    assert_int_equal(stats_now().connects, connects); /* the child's close did not cut the parent's stream */
    end();
}

static size_t descriptors_after_exec(void) {
    int fds[2];
    char out[4096] = {0};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], 1);
        (void)execl("/bin/sh", "sh", "-c", "ls /proc/self/fd", (char *)NULL);
        _exit(127);
    }
    (void)close(fds[1]);
    for (size_t n = 0;;) {
        ssize_t got = read(fds[0], out + n, sizeof out - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
    }
    (void)close(fds[0]);
    assert_int_equal(exit_status_of(pid), 0);
    size_t lines = 0;
    for (const char *p = out; *p != 0; p++) lines += *p == '\n';
    return lines;
}
static void exec_inherits_no_descriptor(void **state) {
    (void)state;
    begin();
    size_t before = descriptors_after_exec();
    open_it();
    assert_int_equal(sp_wait_fresh(w.sp, 20000), 1);
    assert_int_equal(descriptors_after_exec(), before);
    end();
}

/* ---- without a feed ---- */

static void open_with_file(const struct sp_jwk *key) {
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(4096);
    const char *text;
    char path[160], set[4200];
    begin();
    write_jwk(key != NULL ? key : &w.key, &jwk, &text);
    (void)snprintf(path, sizeof path, "%s.jwks", w.credential_path);
    (void)snprintf(set, sizeof set, "{\"keys\":[%s]}", text);
    write_file(path, set);
    w.options.feed_url = w.options.credential_file = NULL;
    w.options.jwks_file = path;
    open_it();
    (void)unlink(path);
}
static void keys_of_a_file_verify_without_a_feed(void **state) {
    (void)state;
    open_with_file(NULL);
    assert_int_equal(sp_wait_fresh(w.sp, 0), 1);
    assert_int_equal(sp_follow_fd(w.sp), -1);
    assert_says(verify(), accepted);
    assert_int_equal(sp_permits(&w.claims, "orders:read"), 1); /* the token's own */
    assert_int_equal(sp_permits(&w.claims, "documents:read"), 0);
    assert_int_equal(stats_now().state, SP_STATE_UNFOLLOWED);
    char *c = &w.token.text[w.token.n - 10];
    *c = *c == 'A' ? 'B' : 'A'; /* still base64url */
    assert_says(verify(), bad_signature);
    end();
}

static void claims_are_copied_out_whole(void **state) {
    (void)state;
    open_with_file(NULL);
    struct sp_claims c = good_claims();
    uint8_t packed[256];
    size_t n = sp_strings_pack(SP_SLICE_LIT("https://other.example"), packed, sizeof packed);
    n += sp_strings_pack(SP_SLICE_LIT("with a space"), packed + n, sizeof packed - n);
    n += sp_strings_pack(SP_SLICE_LIT(AUDIENCE), packed + n, sizeof packed - n);
    c.aud = (struct sp_strings){.is_one = false, .bytes = sp_slice_of(packed, n)};
    c.auth_time = c.iat - 5;
    w.token = issue(&w.key, &c);
    for (int warm = 0; warm < 2; warm++) {
        memset(&w.claims, 0xee, sizeof w.claims);
        assert_says(verify(), accepted);
        assert_int_equal(w.claims.audience.n, strlen("https://other.example " AUDIENCE));
        assert_memory_equal(w.claims.audience.p, "https://other.example " AUDIENCE, w.claims.audience.n);
        assert_memory_equal(w.claims.issuer.p, ISSUER, w.claims.issuer.n);
        assert_memory_equal(w.claims.roles.p, "reader", 6);
        assert_null(w.claims.scope.p);
        assert_int_equal(w.claims.expires_at, c.exp);
        assert_int_equal(w.claims.authenticated_at, c.iat - 5);
        assert_true(w.claims.subject.p >= w.claims.text &&
                    w.claims.subject.p < w.claims.text + sizeof w.claims.text);
    }
    end();
}

static void bound_token_is_no_bearer_token(void **state) {
    (void)state;
    struct sp_request request = SP_REQUEST_INIT;
    open_with_file(NULL);
    struct sp_claims c = good_claims();
    c.jkt = SP_SLICE_LIT("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    w.token = issue(&w.key, &c);
    assert_says(verify(), proof_required);
    request.scheme = SP_SCHEME_DPOP;
    request.token = w.token.text;
    request.token_bytes = w.token.n;
    assert_says(sp_verify(w.sp, &request, NULL), bad_request); /* of what request? */
    request.method = "GET";
    request.url = "https://api.example/";
    assert_says(sp_verify(w.sp, &request, NULL), proof_required);
    end();
}

static void calls_that_are_wrong_let_nobody_in(void **state) {
    (void)state;
    struct sp_request request = SP_REQUEST_INIT;
    open_with_file(NULL);
    assert_says(sp_verify(NULL, &request, NULL), bad_request);
    assert_says(sp_verify(w.sp, NULL, NULL), bad_request);
    assert_says(sp_verify(w.sp, &request, NULL), bad_request);
    request.token = "";
    assert_says(sp_verify(w.sp, &request, NULL), malformed);
    request.token = w.token.text;
    request.token_bytes = w.token.n;
    assert_says(sp_verify(w.sp, &request, NULL), accepted);
    request.size = 0;
    assert_says(sp_verify(w.sp, &request, NULL), bad_request);
    request.size = sizeof request;
    request.scheme = (enum sp_scheme)7;
    assert_says(sp_verify(w.sp, &request, NULL), bad_request);
    assert_int_equal(sp_permits(NULL, "a"), 0);
    assert_int_equal(sp_permits(&w.claims, NULL), 0);
    end();
}

/* ---- opening ---- */

static void refuse(enum sp_open_result want, const char *about) {
    w.sp = NULL;
    assert_int_equal(sp_open(&w.options, &w.sp), want);
    assert_null(w.sp);
    assert_non_null(strstr(sp_open_error(), about));
}
#define REFUSES(change, result, about)                                                                       \
    do {                                                                                                     \
        struct sp_options saved_ = w.options;                                                                \
        change;                                                                                              \
        refuse(result, about);                                                                               \
        w.options = saved_;                                                                                  \
    } while (0)
static void options_that_cannot_be_meant_are_refused(void **state) {
    (void)state;
    struct sp_options *o = &w.options;
    begin();
    REFUSES(o->size = 0, SP_OPEN_BAD_OPTION, "SP_OPTIONS_INIT");
    REFUSES(o->issuer = NULL, SP_OPEN_BAD_OPTION, "issuer");
    REFUSES(o->audience = "", SP_OPEN_BAD_OPTION, "audience");
    REFUSES(o->feed_url = NULL, SP_OPEN_BAD_OPTION, "feed_url or jwks_file");
    REFUSES(o->jwks_file = "/x", SP_OPEN_BAD_OPTION, "jwks_file");
    REFUSES(o->credential_file = NULL, SP_OPEN_BAD_OPTION, "credential");
    REFUSES(o->credential = "a:b", SP_OPEN_BAD_OPTION, "credential");
    REFUSES((o->credential = "no colon", o->credential_file = NULL), SP_OPEN_BAD_OPTION, "credential");
    REFUSES(o->feed_url = "http://id.example.com", SP_OPEN_BAD_OPTION, "https");
    REFUSES(o->feed_url = "http://127.evil.example", SP_OPEN_BAD_OPTION, "https");
    REFUSES(o->feed_url = "http://127.0.0.1.nip.io", SP_OPEN_BAD_OPTION, "https");
    REFUSES(o->feed_url = "http://127.0.0.1.", SP_OPEN_BAD_OPTION, "https");
    REFUSES(o->feed_url = "http://127.0.0.1.5", SP_OPEN_BAD_OPTION, "https");
    REFUSES(o->feed_url = "http://127.0.0.256", SP_OPEN_BAD_OPTION, "https");
    REFUSES(o->feed_url = "http://localhost.evil.example", SP_OPEN_BAD_OPTION, "https");
    REFUSES(o->feed_url = "http://[::ffff:8.8.8.8]", SP_OPEN_BAD_OPTION, "https");
    REFUSES(o->feed_url = "http://127.0.0.1@evil.example", SP_OPEN_BAD_OPTION, "feed_url");
    REFUSES(o->feed_url = "https://a:b@id.example.com", SP_OPEN_BAD_OPTION, "feed_url");
    REFUSES(o->feed_url = "https://id.example.com/?q=1", SP_OPEN_BAD_OPTION, "feed_url");
    REFUSES(o->feed_url = "file:///etc/passwd", SP_OPEN_BAD_OPTION, "feed_url");
    REFUSES(o->feed_url = "id.example.com", SP_OPEN_BAD_OPTION, "feed_url");
    REFUSES(o->algorithms = SP_ALGORITHM_HS256, SP_OPEN_BAD_OPTION, "HS256");
    REFUSES(o->algorithms = 64, SP_OPEN_BAD_OPTION, "algorithms");
    REFUSES(o->leeway_s = 61, SP_OPEN_BAD_OPTION, "leeway_s");
    REFUSES(o->max_staleness_ms = 999, SP_OPEN_BAD_OPTION, "max_staleness_ms");
    REFUSES(o->cache_bytes = 5, SP_OPEN_BAD_OPTION, "cache_bytes");
    REFUSES(o->instance = "a b", SP_OPEN_BAD_OPTION, "instance");
    REFUSES(o->feed_key = "short", SP_OPEN_BAD_OPTION, "feed_key");
    REFUSES(o->follow = (enum sp_follow)9, SP_OPEN_BAD_OPTION, "follow");
    REFUSES(o->credential_file = "/nowhere", SP_OPEN_UNREADABLE, "/nowhere");
    REFUSES(o->ca_file = "/nowhere", SP_OPEN_UNREADABLE, "/nowhere");
    REFUSES(o->ca_file = w.credential_path, SP_OPEN_BAD_FILE, "ca_file");
    write_file(w.credential_path, "just a line\n");
    REFUSES(o->leeway_s = 0, SP_OPEN_BAD_FILE, "credential_file");
    assert_null(strstr(sp_open_error(), "just"));
    end();
}

static void every_refusal_has_a_verdict_and_every_verdict_a_sentence(void **state) {
    (void)state;
    assert_int_equal(sp_verdict_of(SP_REJECT_NONE), SP_ACCEPTED);
    for (int r = 0; r < SP_REJECT_COUNT; r++) {
        enum sp_verdict v = sp_verdict_of((enum sp_reject)r);
        assert_true((v == SP_ACCEPTED) == (r == SP_REJECT_NONE));
        assert_string_not_equal(sp_verdict_code(v), "unknown");
        assert_true(strlen(sp_verdict_text(v)) > 10);
    }
    assert_int_equal(sp_verdict_of((enum sp_reject)1000), SP_NO_MEMORY);
    assert_string_equal(sp_verdict_code((enum sp_verdict)1000), "unknown");
    assert_non_null(sp_verdict_text((enum sp_verdict)1000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_and_refuses_what_is_revoked),
        cmocka_unit_test(follows_on_the_callers_loop),
        cmocka_unit_test(says_goodbye_when_closed),
        cmocka_unit_test(closes_at_once_when_nobody_is_there),
        cmocka_unit_test(bytes_that_come_singly_are_enough),
        cmocka_unit_test(server_that_is_busy_is_asked_again),
        cmocka_unit_test(redirect_is_not_followed),
        cmocka_unit_test(line_without_end_is_given_up),
        cmocka_unit_test(stream_that_breaks_within_a_chunk_is_resumed),
        cmocka_unit_test(broken_connections_on_the_callers_loop_raise_no_signal),
        cmocka_unit_test(credential_file_is_read_again_after_a_refusal),
        cmocka_unit_test(stale_may_be_accepted_when_the_caller_says_so),
        cmocka_unit_test(threads_read_while_the_feed_writes),
        cmocka_unit_test(seats_come_back_when_threads_end),
        cmocka_unit_test(thread_that_outlives_a_handle_meets_the_next_one),
        cmocka_unit_test(child_of_fork_gets_nothing_from_the_parents_handle),
        cmocka_unit_test(exec_inherits_no_descriptor),
        cmocka_unit_test(keys_of_a_file_verify_without_a_feed),
        cmocka_unit_test(claims_are_copied_out_whole),
        cmocka_unit_test(bound_token_is_no_bearer_token),
        cmocka_unit_test(calls_that_are_wrong_let_nobody_in),
        cmocka_unit_test(options_that_cannot_be_meant_are_refused),
        cmocka_unit_test(every_refusal_has_a_verdict_and_every_verdict_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
