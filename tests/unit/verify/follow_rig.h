/* A follower, the verifier that it feeds, clocks that a test moves, and a server in the same memory. */
#ifndef TEST_FOLLOW_RIG_H
#define TEST_FOLLOW_RIG_H

#include "fake_feed.h"
#include "support.h"
#include "verify/follow.h"

enum { STALENESS_MS = 30 * 1000, LOGGED_MAX = 8192 };
#define SERVER_AHEAD_MS 777000 /* its boot-time clock against ours */
#define UNTIL (T0 + 3600)

/* Two that tests revoke. */
static const uint8_t id_a[20] = {1, 2, 3}, id_b[20] = {4, 5, 6};
#define JTI_A sp_slice_of(id_a, 16)
#define SID_B sp_slice_of(id_b, 20)

struct rig {
    int64_t boot_ms, wall_ms;
    struct sp_clock clock;
    struct fake_feed server;
    struct sp_reclaim *reclaim;
    struct sp_verifier *verifier;
    struct sp_verifier_reader *reader;
    struct sp_role_table roles;
    struct sp_freshness freshness;
    struct sp_follower *f;
    /* What the server does not answer, or answers with. */
    bool mute[SP_EXCHANGES];
    enum sp_outcome outcome[SP_EXCHANGES]; /* SP_OUTCOME_DONE: as it should be */
    bool silent;                           /* no beats */
    int64_t beats_held_ms;                 /* beats were written this long ago */
    int64_t server_behind_ms;              /* its boot-time clock stood still for this long */
    /* A hook that changes what is answered. */
    void (*alter)(struct rig *r, enum sp_exchange x, struct sp_buf *answer);
    /* What it did. */
    bool running[SP_EXCHANGES];
    unsigned started[SP_EXCHANGES];
    char last_event_id[64];
    char ack[1024], question[1024];
    int64_t next_beat_ms, stream_started_ms;
    char logged[LOGGED_MAX];
    size_t logged_n;
};

static inline int64_t rig_wall(void *arg) {
    return ((struct rig *)arg)->wall_ms;
}
static inline int64_t rig_boot(void *arg) {
    return ((struct rig *)arg)->boot_ms;
}
static inline void rig_log(void *arg, const char *event, const char *detail) {
    struct rig *r = arg;
    (void)detail;
    int n = snprintf(r->logged + r->logged_n, LOGGED_MAX - r->logged_n, "%s ", event);
    if (n > 0 && (size_t)n < LOGGED_MAX - r->logged_n) r->logged_n += (size_t)n;
}
static inline struct sp_now rig_now(const struct rig *r) {
    return (struct sp_now){.boot_ms = r->boot_ms, .wall_ms = r->wall_ms};
}
static inline uint64_t rig_server_ms(const struct rig *r) {
    return (uint64_t)(r->boot_ms + SERVER_AHEAD_MS - r->server_behind_ms);
}
static inline uint64_t counted(const struct rig *r, enum sp_follower_count what) {
    return sp_follower_counted(r->f, what);
}
static inline bool was_logged(const struct rig *r, const char *event) {
    char word[64];
    (void)snprintf(word, sizeof word, "%s ", event);
    return strstr(r->logged, word) != NULL;
}
static inline bool is_fresh(struct rig *r) {
    uint64_t age_ms;
    return sp_freshness_now(&r->freshness, &age_ms) == SP_FRESH && sp_verifier_is_open(r->verifier);
}
static inline uint64_t staleness(struct rig *r) {
    uint64_t age_ms;
    (void)!sp_freshness_now(&r->freshness, &age_ms);
    return age_ms;
}
static inline bool is_revoked(struct rig *r, enum sp_revoke_kind kind, sp_slice id) {
    sp_verifier_enter(r->reader);
    bool is = sp_revoke_set_contains(sp_verifier_revoke_set(r->verifier), kind, id, r->wall_ms / 1000);
    sp_verifier_exit(r->reader);
    return is;
}
static inline bool grants(struct rig *r, const char *role, const char *permission) {
    sp_verifier_enter(r->reader);
    bool is = sp_role_table_permits(&r->roles, sp_slice_cstr(role), (struct sp_permission_limit){0},
                                    sp_slice_cstr(permission));
    sp_verifier_exit(r->reader);
    return is;
}

/* ---- driving ---- */

static inline void rig_bytes(struct rig *r, enum sp_exchange x, sp_slice bytes) {
    if (r->running[x]) sp_follower_bytes(r->f, x, rig_now(r), bytes);
}
static inline void rig_answer(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    if (r->alter != NULL) r->alter(r, x, b);
    sp_follower_begun(r->f, x, rig_now(r));
    rig_bytes(r, x, sp_buf_slice(b));
    if (x == SP_EX_STREAM) return;
    r->running[x] = false;
    sp_follower_ended(r->f, x, rig_now(r), SP_OUTCOME_DONE);
}

static inline void rig_serve(struct rig *r, const struct sp_follower_command *c) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    enum sp_exchange x = c->exchange;
    r->running[x] = true;
    r->started[x]++;
    if (x == SP_EX_NONCE) (void)snprintf(r->question, sizeof r->question, "%.*s", SP_SLICE_FMT(c->body));
    if (r->mute[x]) return;
    if (r->outcome[x] != SP_OUTCOME_DONE) {
        r->running[x] = false;
        sp_follower_ended(r->f, x, rig_now(r), r->outcome[x]);
        return;
    }
    switch (x) {
    case SP_EX_KEYS: fake_write_feed_keys(&r->server, &b); break;
    case SP_EX_SNAPSHOT: fake_write_snapshot(&r->server, r->wall_ms / 1000, &b); break;
    case SP_EX_STREAM:
        (void)snprintf(r->last_event_id, sizeof r->last_event_id, "%s", c->last_event_id);
        r->next_beat_ms = r->boot_ms + FAKE_BEAT_MS;
        r->stream_started_ms = r->boot_ms;
        fake_write_beginning(&r->server, c->last_event_id, rig_server_ms(r), &b);
        break;
    case SP_EX_NONCE: assert_true(fake_write_answer(&r->server, c->body, rig_server_ms(r), &b)); break;
    case SP_EX_ACK: (void)snprintf(r->ack, sizeof r->ack, "%.*s", SP_SLICE_FMT(c->body)); break;
    case SP_EXCHANGES: fail();
    }
    rig_answer(r, x, &b);
}

static inline void rig_run(struct rig *r) {
    struct sp_follower_command c;
    while (sp_follower_next(r->f, rig_now(r), &c)) {
        if (c.verb == SP_FOLLOWER_STOP)
            r->running[c.exchange] = false;
        else
            rig_serve(r, &c);
    }
}

static inline void rig_send_beat(struct rig *r) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    fake_write_beat(&r->server, rig_server_ms(r) - (uint64_t)r->beats_held_ms, &b);
    if (r->alter != NULL) r->alter(r, SP_EX_STREAM, &b);
    rig_bytes(r, SP_EX_STREAM, sp_buf_slice(&b));
}
/* Revocations that were made after seq, to the open stream. */
static inline void rig_send_revocations(struct rig *r, uint64_t seq) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    fake_write_revocations(&r->server, seq, &b);
    rig_bytes(r, SP_EX_STREAM, sp_buf_slice(&b));
    rig_run(r);
}
static inline void rig_send_documents(struct rig *r) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    fake_write_documents(&r->server, &b);
    rig_bytes(r, SP_EX_STREAM, sp_buf_slice(&b));
    rig_run(r);
}

/* Moves both clocks on; beats and ticks happen when they are due. */
static inline void rig_pass(struct rig *r, int64_t ms) {
    int64_t end_ms = r->boot_ms + ms, last_ms = -1;
    for (unsigned idle = 0;; idle = r->boot_ms == last_ms ? idle + 1 : 0) {
        assert_true(idle < 20); /* nobody may wait for a moment that is over */
        last_ms = r->boot_ms;
        int64_t at_ms = sp_follower_wait_until(r->f);
        bool beats = r->running[SP_EX_STREAM] && !r->silent && !r->mute[SP_EX_STREAM];
        if (beats && r->next_beat_ms < at_ms) at_ms = r->next_beat_ms;
        if (at_ms > end_ms) at_ms = end_ms;
        if (at_ms < r->boot_ms) at_ms = r->boot_ms;
        r->wall_ms += at_ms - r->boot_ms;
        r->boot_ms = at_ms;
        if (beats && r->next_beat_ms <= r->boot_ms) {
            r->next_beat_ms = r->boot_ms + FAKE_BEAT_MS;
            rig_send_beat(r);
        }
        sp_follower_tick(r->f, rig_now(r));
        rig_run(r);
        if (r->boot_ms >= end_ms) return;
    }
}

static inline sp_status rig_random(void *arg, void *p, size_t n) {
    uint8_t *bytes = p;
    (void)arg;
    static uint8_t next;
    for (size_t i = 0; i < n; i++) bytes[i] = next++;
    return SP_SUCCESS;
}
static const struct sp_random rig_randomness = {rig_random, NULL};

static inline struct sp_follower_opts rig_opts(struct rig *r) {
    return (struct sp_follower_opts){
        .issuer = SP_SLICE_LIT(ISSUER),
        .instance = SP_SLICE_LIT("unit-1"),
        .max_staleness_ms = STALENESS_MS,
        .verifier = r->verifier,
        .roles = &r->roles,
        .freshness = &r->freshness,
        .random = &rig_randomness,
        .log = rig_log,
        .log_arg = r,
    };
}
/* Everything but the follower. */
static inline void rig_init_unfollowed(struct rig *r) {
    memset(r, 0, sizeof *r);
    r->boot_ms = 5000000;
    r->wall_ms = (int64_t)T0 * 1000;
    r->clock = (struct sp_clock){rig_wall, rig_boot, r};
    fake_init(&r->server, ISSUER, 1);
    assert_true(sp_ok(sp_reclaim_new(8, &r->reclaim)));
    struct sp_verifier_opts opts = opts_with(r->reclaim, 0);
    assert_true(sp_ok(sp_verifier_new(&opts, &r->verifier)));
    assert_true(sp_ok(sp_verifier_reader_new(r->verifier, &r->reader)));
    sp_role_table_init(&r->roles, r->reclaim);
    sp_freshness_init(&r->freshness, STALENESS_MS, &r->clock);
}
static inline void rig_init(struct rig *r) {
    rig_init_unfollowed(r);
    struct sp_follower_opts opts = rig_opts(r);
    assert_true(sp_ok(sp_follower_new(&opts, rig_now(r), &r->f)));
}
static inline void rig_done(struct rig *r) {
    sp_follower_free(r->f);
    sp_verifier_reader_free(r->reader);
    sp_role_table_done(&r->roles);
    sp_verifier_free(r->verifier);
    sp_reclaim_free(r->reclaim);
    fake_done(&r->server);
}
/* Connected and fresh. */
static inline void rig_init_fresh(struct rig *r) {
    rig_init(r);
    rig_pass(r, 10);
    assert_true(is_fresh(r));
}

#endif
