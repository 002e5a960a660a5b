/* The nth allocation fails, for every n: of opening, and of everything that a follower does. It may become
 * stale; it may not crash, leak, forget a revocation and stay fresh, or stay stale when memory is back. */
#include "follow_rig.h"
#include "verify/handle.h"

#include <unistd.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);

static _Atomic long countdown = -1; /* allocations until one fails; -1: never */
static bool armed_all;              /* that one and all after it */

/* The server in memory and the tests themselves are not the ones to be tried. */
static bool is_paused;
static bool fails(void) {
    if (is_paused || atomic_load(&countdown) < 0) return false;
    if (atomic_load(&countdown) == 0) {
        if (!armed_all) atomic_store(&countdown, -1);
        return true;
    }
    atomic_fetch_sub(&countdown, 1);
    return false;
}
void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n) {
    return fails() ? NULL : __real_realloc(p, n);
}
void *__wrap_aligned_alloc(size_t align, size_t n) {
    return fails() ? NULL : __real_aligned_alloc(align, n);
}

static struct rig rig;

/* As rig_run and rig_pass, with the server's memory safe: its answers are made before the failure is armed
 * again, and told to the follower under fire. */
static void serve(const struct sp_follower_command *given) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    struct sp_follower_command c = *given;
    enum sp_exchange x = c.exchange;
    is_paused = true;
    rig.running[x] = true;
    switch (x) {
    case SP_EX_KEYS: fake_write_feed_keys(&rig.server, &b); break;
    case SP_EX_SNAPSHOT: fake_write_snapshot(&rig.server, rig.wall_ms / 1000, &b); break;
    case SP_EX_STREAM:
        rig.next_beat_ms = rig.boot_ms + FAKE_BEAT_MS;
        fake_write_beginning(&rig.server, c.last_event_id, rig_server_ms(&rig), &b);
        break;
    case SP_EX_NONCE: assert_true(fake_write_answer(&rig.server, c.body, rig_server_ms(&rig), &b)); break;
    case SP_EX_ACK:
    case SP_EXCHANGES: break;
    }
    is_paused = false;
    sp_follower_begun(rig.f, x, rig_now(&rig));
    sp_follower_bytes(rig.f, x, rig_now(&rig), sp_buf_slice(&b));
    if (x == SP_EX_STREAM) return;
    rig.running[x] = false;
    sp_follower_ended(rig.f, x, rig_now(&rig), SP_OUTCOME_DONE);
}
static void run(void) {
    struct sp_follower_command c;
    while (sp_follower_next(rig.f, rig_now(&rig), &c)) {
        if (c.verb == SP_FOLLOWER_STOP)
            rig.running[c.exchange] = false;
        else
            serve(&c);
    }
}
static void pass(int64_t ms) {
    for (int64_t at = 0; at < ms; at += 50) {
        SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
        rig.boot_ms += 50;
        rig.wall_ms += 50;
        if (rig.running[SP_EX_STREAM] && rig.boot_ms >= rig.next_beat_ms) {
            rig.next_beat_ms = rig.boot_ms + FAKE_BEAT_MS;
            is_paused = true;
            fake_write_beat(&rig.server, rig_server_ms(&rig), &b);
            is_paused = false;
            rig_bytes(&rig, SP_EX_STREAM, sp_buf_slice(&b));
        }
        sp_follower_tick(rig.f, rig_now(&rig));
        run();
    }
}

enum { REVOKED = 300 }; /* enough for the set and the map to grow */

static void id_of(uint32_t i, uint8_t ret[16]) {
    memset(ret, 0x77, 16);
    memcpy(ret, &i, sizeof i);
}
static void revoke_many(void) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    uint8_t id[16];
    is_paused = true;
    uint64_t from = fake_seq(&rig.server);
    for (uint32_t i = 0; i < REVOKED; i++) {
        id_of(i, id);
        (void)fake_revoke_jti(&rig.server, id, UNTIL);
        if (i % 4 == 0) (void)fake_raise_user(&rig.server, id, 3, UNTIL);
    }
    fake_set_roles(&rig.server, "{\"reader\":[\"documents:*\"]}");
    fake_write_revocations(&rig.server, from, &b);
    fake_write_documents(&rig.server, &b);
    is_paused = false;
    rig_bytes(&rig, SP_EX_STREAM, sp_buf_slice(&b));
}
static void fresh_means_complete(long n) {
    uint8_t id[16];
    if (!is_fresh(&rig) || sp_follower_seq(rig.f) < fake_seq(&rig.server)) return;
    for (uint32_t i = 0; i < REVOKED; i++) {
        id_of(i, id);
        if (!is_revoked(&rig, SP_REVOKE_JTI, SP_SLICE_ARRAY(id)))
            fail_msg("allocation %ld: fresh without revocation %u", n, i);
    }
}

/* The whole story with the failure armed at its nth allocation. True when there was none left to fail. */
static bool story(long n, bool all) {
    rig_init_unfollowed(&rig);
    struct sp_follower_opts opts = rig_opts(&rig);
    opts.log = NULL;
    atomic_store(&countdown, n);
    armed_all = all;
    sp_status s = sp_follower_new(&opts, rig_now(&rig), &rig.f);
    if (sp_ok(s)) {
        pass(500);
        revoke_many();
        pass(1000);
        fresh_means_complete(n);
        if (rig.running[SP_EX_STREAM]) sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
        rig.running[SP_EX_STREAM] = false;
        pass(1000);
    } else {
        assert_true(sp_is(s, SP_E_NOMEM));
    }
    bool done = atomic_load(&countdown) > 0;
    atomic_store(&countdown, -1);
    if (sp_ok(s)) {
        pass(25 * 1000); /* memory is back */
        if (!is_fresh(&rig)) fail_msg("allocation %ld: not fresh when memory is back", n);
        fresh_means_complete(n);
        assert_int_equal(sp_follower_seq(rig.f), fake_seq(&rig.server));
        assert_true(grants(&rig, "reader", "documents:write"));
    }
    rig_done(&rig);
    return done;
}
static void follower_survives_the_failure_of_each_allocation(void **state) {
    (void)state;
    long n = 0;
    while (!story(n, false)) n++;
    assert_true(n > 20);
}
static void follower_survives_the_failure_of_all_allocations_from_one_on(void **state) {
    (void)state;
    long n = 0;
    while (!story(n, true)) n++;
}

/* ---- opening ---- */

static void opening_survives_the_failure_of_each_allocation(void **state) {
    (void)state;
    char path[] = "/tmp/sallyport-oom-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a:b\n", 4), 4);
    (void)close(fd);
    struct sp_options o = SP_OPTIONS_INIT;
    struct sallyport *sp = NULL;
    o.issuer = o.audience = ISSUER;
    o.feed_url = "http://127.0.0.1:1";
    o.credential_file = path;
    o.follow = SP_FOLLOW_BY_CALLER;
    o.cache_bytes = SP_NO_CACHE;
    assert_int_equal(sp_open(&o, &sp), SP_OPEN_OK); /* what is made once in a process */
    sp_close(sp);
    for (long n = 0;; n++) {
        sp = NULL;
        atomic_store(&countdown, n);
        armed_all = false;
        enum sp_open_result r = sp_open(&o, &sp);
        bool done = atomic_load(&countdown) > 0;
        atomic_store(&countdown, -1);
        assert_true((r == SP_OPEN_OK) == (sp != NULL));
        if (r != SP_OPEN_OK) assert_int_equal(r, SP_OPEN_NO_MEMORY);
        sp_close(sp);
        if (done) break;
    }
    (void)unlink(path);
}

static void first_call_of_a_thread_without_memory_lets_nobody_in(void **state) {
    (void)state;
    char path[] = "/tmp/sallyport-oom-XXXXXX";
    int fd = mkstemp(path);
    static const char set[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"k1\",\"alg\":\"HS256\","
                              "\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]}";
    assert_int_equal(write(fd, set, sizeof set - 1), sizeof set - 1);
    (void)close(fd);
    struct sp_options o = SP_OPTIONS_INIT;
    struct sallyport *sp = NULL;
    o.issuer = o.audience = ISSUER;
    o.jwks_file = path;
    o.algorithms = SP_ALGORITHM_HS256;
    assert_int_equal(sp_open(&o, &sp), SP_OPEN_OK);
    struct sp_request request = SP_REQUEST_INIT;
    request.token = "x";
    request.token_bytes = 1;
    for (long n = 0; n < 2; n++) {
        atomic_store(&countdown, n);
        armed_all = true;
        enum sp_verdict v = sp_verify(sp, &request, NULL);
        atomic_store(&countdown, -1);
        assert_int_equal(v, SP_NO_MEMORY);
    }
    assert_int_equal(sp_verify(sp, &request, NULL), SP_MALFORMED);
    sp_close(sp);
    (void)unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follower_survives_the_failure_of_each_allocation),
        cmocka_unit_test(follower_survives_the_failure_of_all_allocations_from_one_on),
        cmocka_unit_test(opening_survives_the_failure_of_each_allocation),
        cmocka_unit_test(first_call_of_a_thread_without_memory_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
