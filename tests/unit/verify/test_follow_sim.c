/* The promise of the feed, against random worlds: while a verifier does not say that it is stale, it accepts
 * nothing whose revocation was acknowledged longer ago than the bound, and grants nothing that a role lost
 * longer ago.
 *
 * A seed makes a world: a server that revokes, restarts, loses its last revocations or begins a new epoch; a
 * network that delays, cuts, drops, doubles and reorders events, plays old ones again and turns bits; a
 * machine whose wall clock jumps and whose boot-time clock may stand still (then the wall clock shows it);
 * and a verifier that is killed and begins anew. The model beside it is a list: what was revoked, and when.
 *
 * SEEDS=n and SEED=first change how many and which; the failing one is printed. */
#include "follow_rig.h"

enum {
    STEPS = 400,
    BOUND_MS = 3000,
    /* What the bound does not count: clocks of different rates, and times cut to milliseconds. */
    SLACK_MS = 20,
    MARGIN_S = 120, /* an entry outlives its token: leeway and skew */
    REVOKED_MAX = STEPS,
    TABLES_MAX = STEPS + 1,
};

struct revoked {
    uint8_t id[16];
    int64_t at_ms;   /* real time of the acknowledgement */
    int64_t exp_s;   /* a token of it would pass until then */
    bool is_lost;    /* by the server */
    bool is_excused; /* ... and nobody can know it any more */
};

struct call {
    enum { IDLE, ASKED, ANSWERED } phase;
    struct sp_buf question, answer;
};

struct world {
    struct rig rig; /* its clocks are the verifier's */
    uint64_t random;
    int64_t real_ms;
    int64_t drift_ppm; /* of the verifier's boot-time clock */
    struct call calls[SP_EXCHANGES];
    struct sp_buf pipe; /* the stream: written by the server, not read yet */
    struct sp_buf old_beat;
    uint64_t streamed; /* revocations that were put into the pipe, by seq */
    bool stream_open, holds;
    unsigned hostility; /* of 100 events that many are tampered with */
    struct revoked revoked[REVOKED_MAX];
    size_t n;
    int64_t lost_ms[TABLES_MAX]; /* real time at which the n-th role table took the place of the one before */
    size_t tables;
    int64_t next_beat_ms;
    unsigned fresh_steps;
};

static struct world w;

static uint64_t draw(void) {
    uint64_t z = (w.random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static uint64_t below(uint64_t n) {
    return draw() % n;
}
static bool one_in(uint64_t n) {
    return below(n) == 0;
}
static sp_status draw_random(void *arg, void *p, size_t n) {
    uint8_t *bytes = p;
    (void)arg;
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)draw();
    return SP_SUCCESS;
}
static const struct sp_random world_random = {draw_random, NULL};

static uint64_t server_ms(void) {
    return (uint64_t)(w.real_ms + SERVER_AHEAD_MS);
}

/* With SEED given: what the follower says, when. */
static void trace(void *arg, const char *event, const char *detail) {
    (void)arg;
    (void)detail;
    fprintf(stderr, "%lld: %s\n", (long long)w.real_ms, event);
}

/* ---- the verifier ---- */

static void begin_verifier(void) {
    struct rig *r = &w.rig;
    struct sp_verifier_opts v = opts_with(r->reclaim, 0);
    assert_true(sp_ok(sp_verifier_new(&v, &r->verifier)));
    assert_true(sp_ok(sp_verifier_reader_new(r->verifier, &r->reader)));
    sp_role_table_init(&r->roles, r->reclaim);
    sp_freshness_init(&r->freshness, BOUND_MS, &r->clock);
    struct sp_follower_opts opts = rig_opts(r);
    opts.max_staleness_ms = BOUND_MS;
    opts.random = &world_random;
    opts.log = getenv("SEED") != NULL ? trace : NULL;
    assert_true(sp_ok(sp_follower_new(&opts, rig_now(r), &r->f)));
}
static void drop_calls(void) {
    for (unsigned x = 0; x < SP_EXCHANGES; x++) {
        sp_buf_done(&w.calls[x].question);
        sp_buf_done(&w.calls[x].answer);
        w.calls[x] = (struct call){.question = SP_BUF_INIT(4096), .answer = SP_BUF_INIT(FAKE_BYTES_MAX)};
    }
    w.stream_open = false;
    sp_buf_clear(&w.pipe);
}
static void end_verifier(void) {
    struct rig *r = &w.rig;
    sp_follower_free(r->f);
    sp_verifier_reader_free(r->reader);
    sp_role_table_done(&r->roles);
    sp_verifier_free(r->verifier);
    drop_calls();
}

/* ---- the network ---- */

static void open_stream(const char *last_event_id) {
    sp_buf_clear(&w.pipe);
    w.stream_open = true;
    fake_write_beginning(&w.rig.server, last_event_id, server_ms(), &w.pipe);
    w.streamed = fake_seq(&w.rig.server);
}
static void put_event(const struct sp_buf *event) {
    unsigned what = below(100) < w.hostility ? 1 + (unsigned)below(4) : 0;
    size_t at = w.pipe.n;
    if (what == 1) return; /* dropped */
    assert_true(sp_ok(sp_buf_append(&w.pipe, sp_buf_slice(event))));
    if (what == 2) assert_true(sp_ok(sp_buf_append(&w.pipe, sp_buf_slice(event))));
    if (what == 3) w.pipe.p[at + below(event->n)] ^= (uint8_t)(1u << below(7));
    if (what == 4 && w.old_beat.n != 0) assert_true(sp_ok(sp_buf_append(&w.pipe, sp_buf_slice(&w.old_beat))));
}
/* Each table grants one thing, which no other does. */
static void put_documents(void) {
    SP_AUTO(sp_buf) e = SP_BUF_INIT(FAKE_BYTES_MAX);
    fake_write_documents(&w.rig.server, &e);
    put_event(&e);
}
static void change_roles(void) {
    char roles[64];
    if (w.tables == TABLES_MAX) return;
    (void)snprintf(roles, sizeof roles, "{\"reader\":[\"table:t%zu\"]}", w.tables);
    w.lost_ms[w.tables++] = w.real_ms;
    fake_set_roles(&w.rig.server, roles);
    if (w.stream_open) put_documents();
    w.next_beat_ms = w.real_ms;
}
static void feed_stream(void) {
    const struct fake_feed *s = &w.rig.server;
    if (!w.stream_open) return;
    for (; w.streamed < fake_seq(s); w.streamed++) {
        SP_AUTO(sp_buf) e = SP_BUF_INIT(4096);
        assert_true(sp_ok(sp_feed_write_revocation(s->epoch, &s->log[w.streamed], &e)));
        put_event(&e);
    }
    if (w.real_ms < w.next_beat_ms) return;
    w.next_beat_ms = w.real_ms + FAKE_BEAT_MS;
    SP_AUTO(sp_buf) e = SP_BUF_INIT(4096);
    fake_write_beat(s, server_ms(), &e);
    put_event(&e);
    if (one_in(4)) {
        sp_buf_clear(&w.old_beat);
        fake_write_documents(s, &w.old_beat);
        assert_true(sp_ok(sp_buf_append(&w.old_beat, sp_buf_slice(&e))));
    }
}

static void carry_out(void) {
    struct sp_follower_command c;
    while (sp_follower_next(w.rig.f, rig_now(&w.rig), &c)) {
        struct call *call = &w.calls[c.exchange];
        sp_buf_clear(&call->question);
        sp_buf_clear(&call->answer);
        call->phase = c.verb == SP_FOLLOWER_START ? ASKED : IDLE;
        if (c.exchange == SP_EX_STREAM) w.stream_open = false;
        if (c.verb == SP_FOLLOWER_STOP) continue;
        if (c.last_event_id != NULL) assert_true(sp_ok(sp_buf_append_cstr(&call->question, c.last_event_id)));
        assert_true(sp_ok(sp_buf_append(&call->question, c.body)));
    }
}

static void server_answers(enum sp_exchange x) {
    struct call *call = &w.calls[x];
    const char *text;
    call->phase = ANSWERED;
    switch (x) {
    case SP_EX_KEYS: fake_write_feed_keys(&w.rig.server, &call->answer); break;
    case SP_EX_SNAPSHOT: fake_write_snapshot(&w.rig.server, T0, &call->answer); break;
    case SP_EX_NONCE:
        assert_true(
            fake_write_answer(&w.rig.server, sp_buf_slice(&call->question), server_ms(), &call->answer));
        break;
    case SP_EX_STREAM:
        assert_true(sp_ok(sp_buf_cstr(&call->question, &text)));
        open_stream(text);
        sp_follower_begun(w.rig.f, x, rig_now(&w.rig));
        break;
    case SP_EX_ACK:
    case SP_EXCHANGES: break;
    }
    if (call->answer.n != 0 && below(100) < w.hostility) call->answer.p[below(call->answer.n)] ^= 4;
}
static void answer_arrives(enum sp_exchange x) {
    struct call *call = &w.calls[x];
    call->phase = IDLE;
    sp_follower_begun(w.rig.f, x, rig_now(&w.rig));
    sp_follower_bytes(w.rig.f, x, rig_now(&w.rig), sp_buf_slice(&call->answer));
    sp_follower_ended(w.rig.f, x, rig_now(&w.rig), one_in(20) ? SP_OUTCOME_FAILURE : SP_OUTCOME_DONE);
}
static void move_call(enum sp_exchange x) {
    struct call *call = &w.calls[x];
    if (call->phase == IDLE || one_in(3)) return; /* slow */
    if (one_in(40)) {
        call->phase = IDLE;
        sp_follower_ended(w.rig.f, x, rig_now(&w.rig), SP_OUTCOME_LOST);
    } else if (call->phase == ASKED) {
        server_answers(x);
    } else if (x != SP_EX_STREAM) {
        answer_arrives(x);
    }
}
static void move_stream(void) {
    if (!w.stream_open || w.holds || w.pipe.n == 0) return;
    size_t n = one_in(3) ? 1 + below(w.pipe.n) : w.pipe.n;
    sp_follower_bytes(w.rig.f, SP_EX_STREAM, rig_now(&w.rig), sp_slice_of(w.pipe.p, n));
    memmove(w.pipe.p, w.pipe.p + n, w.pipe.n - n);
    sp_buf_truncate(&w.pipe, w.pipe.n - n);
}
static void cut_stream(void) {
    if (!w.stream_open) return;
    w.stream_open = false;
    w.calls[SP_EX_STREAM].phase = IDLE;
    sp_follower_ended(w.rig.f, SP_EX_STREAM, rig_now(&w.rig), SP_OUTCOME_LOST);
}

/* ---- what happens ---- */

static void revoke_one(void) {
    struct revoked *r = &w.revoked[w.n];
    memset(r, 0, sizeof *r);
    memcpy(r->id, &w.n, sizeof w.n);
    r->id[15] = 1;
    r->exp_s = T0 + (one_in(3) ? 30 + (int64_t)below(60) : 900);
    r->at_ms = w.real_ms;
    w.n++;
    (void)fake_revoke_jti(&w.rig.server, r->id, r->exp_s + MARGIN_S);
}

/* What the verifier does not have yet when the server loses it, it can never learn. What it has it keeps. */
static void server_goes_back(void) {
    struct fake_feed *s = &w.rig.server;
    size_t n = s->n - s->epoch_from < 3 ? s->n - s->epoch_from : 3;
    for (size_t i = s->n - n; i < s->n; i++) {
        for (size_t j = 0; j < w.n; j++) {
            struct revoked *r = &w.revoked[j];
            if (memcmp(r->id, s->log[i].id, 16) != 0) continue;
            r->is_lost = true;
            r->is_excused |= !is_revoked(&w.rig, SP_REVOKE_JTI, SP_SLICE_ARRAY(r->id));
        }
    }
    fake_forget(s, n);
    if (w.streamed > s->n) w.streamed = s->n;
    fake_restart(s, (uint8_t)draw());
    cut_stream();
}
/* A verifier that begins anew does not know what the server has lost; and one that has seen it lapse, by a
 * clock that is set back later, cannot learn it again. */
static void excuse_lost(bool begins_anew) {
    for (size_t j = 0; j < w.n; j++) {
        struct revoked *r = &w.revoked[j];
        bool has_lapsed = w.rig.wall_ms / 1000 > r->exp_s + MARGIN_S;
        r->is_excused |= r->is_lost && (begins_anew || has_lapsed);
    }
}
static void jump_clocks(void) {
    int64_t ms = 1100 + (int64_t)below(200 * 1000);
    switch (below(4)) {
    case 0: w.rig.wall_ms += ms; break;
    case 1: w.rig.wall_ms -= ms; break;
    case 2: w.rig.boot_ms += ms, w.rig.wall_ms += ms, w.real_ms += ms; break; /* suspended */
    default: w.rig.wall_ms += ms, w.real_ms += ms; break; /* paused, and set right by the host */
    }
}
static void something_happens(void) {
    if (one_in(5)) revoke_one();
    if (one_in(15)) change_roles();
    if (one_in(60)) cut_stream();
    if (one_in(50)) w.holds = !w.holds;
    if (w.holds && one_in(20)) w.holds = false;
    if (one_in(100)) jump_clocks();
    if (one_in(150)) fake_restart(&w.rig.server, (uint8_t)draw()), cut_stream();
    if (one_in(250)) server_goes_back();
    if (one_in(200)) fake_new_epoch(&w.rig.server, (uint8_t)draw()), cut_stream();
    if (one_in(200)) w.rig.server.backlog_from = w.rig.server.n;
    if (one_in(150)) {
        end_verifier();
        begin_verifier();
        excuse_lost(true);
    }
}

static void pass_time(void) {
    int64_t ms = 1 + (int64_t)below(one_in(20) ? 1000 : 100);
    w.real_ms += ms;
    w.rig.boot_ms += ms;
    w.rig.wall_ms += ms;
    if (w.drift_ppm != 0 &&
        w.real_ms % (1000000 / 400) < ms) { /* 400 ppm fast or slow: one tick now and then */
        w.rig.boot_ms += w.drift_ppm > 0;
        w.rig.wall_ms += w.drift_ppm > 0;
    }
}

/* ---- the promise ---- */

static void keep_the_promise(uint64_t seed) {
    if (!is_fresh(&w.rig)) return;
    w.fresh_steps++;
    for (size_t i = 0; i < w.n; i++) {
        const struct revoked *r = &w.revoked[i];
        bool bound_is_over = w.real_ms - r->at_ms > BOUND_MS + SLACK_MS;
        bool would_pass = w.rig.wall_ms / 1000 <= r->exp_s;
        if (!bound_is_over || !would_pass || r->is_excused) continue;
        if (!is_revoked(&w.rig, SP_REVOKE_JTI, SP_SLICE_ARRAY(r->id)))
            fail_msg(
                "seed %llu: revocation %zu, acknowledged %lld ms ago, is not enforced by a fresh verifier",
                (unsigned long long)seed, i, (long long)(w.real_ms - r->at_ms));
    }
}

static void grant_what_is_granted(uint64_t seed) {
    if (!is_fresh(&w.rig)) return;
    for (size_t i = 1; i < w.tables; i++) {
        char old[32];
        (void)snprintf(old, sizeof old, "table:t%zu", i - 1);
        if (w.real_ms - w.lost_ms[i] > BOUND_MS + SLACK_MS && grants(&w.rig, "reader", old))
            fail_msg("seed %llu: role table %zu was replaced %lld ms ago, and a fresh verifier grants by it",
                     (unsigned long long)seed, i - 1, (long long)(w.real_ms - w.lost_ms[i]));
    }
}

static void live_through(uint64_t seed) {
    struct rig *r = &w.rig;
    memset(&w, 0, sizeof w);
    w.random = seed;
    r->boot_ms = 5000000;
    r->wall_ms = (int64_t)T0 * 1000;
    r->clock = (struct sp_clock){rig_wall, rig_boot, r};
    w.real_ms = 1000;
    w.drift_ppm = (int64_t)below(3) - 1;
    w.hostility = one_in(2) ? 0 : (unsigned)below(10);
    sp_buf_init(&w.pipe, FAKE_BYTES_MAX);
    sp_buf_init(&w.old_beat, FAKE_BYTES_MAX);
    fake_init(&r->server, ISSUER, 1);
    change_roles();
    assert_true(sp_ok(sp_reclaim_new(8, &r->reclaim)));
    drop_calls();
    begin_verifier();
    for (unsigned i = 0; i < STEPS; i++) {
        pass_time();
        something_happens();
        excuse_lost(false);
        feed_stream();
        for (unsigned x = 0; x < SP_EXCHANGES; x++) move_call((enum sp_exchange)x);
        move_stream();
        if (!one_in(4)) sp_follower_tick(r->f, rig_now(r));
        carry_out();
        keep_the_promise(seed);
        grant_what_is_granted(seed);
    }
    end_verifier();
    for (unsigned x = 0; x < SP_EXCHANGES; x++) {
        sp_buf_done(&w.calls[x].question);
        sp_buf_done(&w.calls[x].answer);
    }
    sp_buf_done(&w.pipe);
    sp_buf_done(&w.old_beat);
    sp_reclaim_free(r->reclaim);
    fake_done(&r->server);
}

static uint64_t from_environment(const char *name, uint64_t otherwise) {
    uint64_t v;
    const char *text = getenv(name);
    return text != NULL && sp_slice_to_u64(sp_slice_cstr(text), &v) ? v : otherwise;
}

static void fresh_verifier_enforces_what_was_acknowledged_before_the_bound(void **state) {
    uint64_t first = from_environment("SEED", 1), n = from_environment("SEEDS", 1500), fresh = 0;
    (void)state;
    for (uint64_t seed = first; seed < first + n; seed++) {
        live_through(seed);
        fresh += w.fresh_steps;
    }
    /* A verifier that is never fresh keeps every promise. */
    print_message("%llu worlds, fresh in %llu of 100 steps\n", (unsigned long long)n,
                  (unsigned long long)(fresh * 100 / (n * STEPS)));
    assert_true(fresh * 100 / (n * STEPS) >= 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_verifier_enforces_what_was_acknowledged_before_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
