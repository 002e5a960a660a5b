/* The follower's machine: what is open, what comes next, and when. See follow.h.
 *
 *            DUE_KEYS     DUE_SNAPSHOT DUE_STREAM  GOT         LOST        LEAVE
 *   WAIT     KEYS         SNAPSHOT     OPEN        -           WAIT        GONE
 *   KEYS     -            -            -           WAIT (now)  WAIT (late) GONE
 *   SNAPSHOT -            -            -           WAIT (now)  WAIT (late) GONE
 *   OPEN     -            -            -           STREAM      WAIT (late) GONE
 *   STREAM   -            -            -           -           WAIT (late) GONE
 *   GONE     -            -            -           -           -           -
 *
 * One state has one exchange (keys, snapshot, stream); everything that goes wrong with it, and everything in
 * it that does not fit, is LOST. What is to be done next is not a state but three facts (no trusted key, no
 * base, neither), looked at when the wait is over; so no path can forget one of them. Beside it, while the
 * stream is open, run the two errands: the question for the time and the acknowledgement.
 *
 * Turned down: a state for each reason to be disconnected (they differ in what is counted, not in what is
 * done), and loading the snapshot beside the open stream (rows and events would interleave, and the chain
 * would have two ends). */
#include "verify/follow_internal.h"

#include "base/assert.h"
#include "base/base64url.h"
#include "base/table.h"

enum state { WAIT, KEYS, SNAPSHOT, OPEN, STREAM, GONE, STATES };
enum event { DUE_KEYS, DUE_SNAPSHOT, DUE_STREAM, GOT, LOST, LEAVE, EVENTS };
enum action { NOTHING, ASK_KEYS, ASK_SNAPSHOT, ASK_STREAM, OPENED, GO_ON, RETRY, END };

struct row {
    struct sp_table_key key;
    enum action action;
};
static const struct row rows[] = {
    {{WAIT, DUE_KEYS, KEYS}, ASK_KEYS},
    {{WAIT, DUE_SNAPSHOT, SNAPSHOT}, ASK_SNAPSHOT},
    {{WAIT, DUE_STREAM, OPEN}, ASK_STREAM},
    {{WAIT, GOT, WAIT}, NOTHING}, /* the tail of what was stopped */
    {{WAIT, LOST, WAIT}, NOTHING},
    {{WAIT, LEAVE, GONE}, END},

    {{KEYS, DUE_KEYS, KEYS}, NOTHING}, /* only asked in WAIT */
    {{KEYS, DUE_SNAPSHOT, KEYS}, NOTHING},
    {{KEYS, DUE_STREAM, KEYS}, NOTHING},
    {{KEYS, GOT, WAIT}, GO_ON},
    {{KEYS, LOST, WAIT}, RETRY},
    {{KEYS, LEAVE, GONE}, END},

    {{SNAPSHOT, DUE_KEYS, SNAPSHOT}, NOTHING},
    {{SNAPSHOT, DUE_SNAPSHOT, SNAPSHOT}, NOTHING},
    {{SNAPSHOT, DUE_STREAM, SNAPSHOT}, NOTHING},
    {{SNAPSHOT, GOT, WAIT}, GO_ON},
    {{SNAPSHOT, LOST, WAIT}, RETRY},
    {{SNAPSHOT, LEAVE, GONE}, END},

    {{OPEN, DUE_KEYS, OPEN}, NOTHING},
    {{OPEN, DUE_SNAPSHOT, OPEN}, NOTHING},
    {{OPEN, DUE_STREAM, OPEN}, NOTHING},
    {{OPEN, GOT, STREAM}, OPENED},
    {{OPEN, LOST, WAIT}, RETRY},
    {{OPEN, LEAVE, GONE}, END},

    {{STREAM, DUE_KEYS, STREAM}, NOTHING},
    {{STREAM, DUE_SNAPSHOT, STREAM}, NOTHING},
    {{STREAM, DUE_STREAM, STREAM}, NOTHING},
    {{STREAM, GOT, STREAM}, NOTHING},
    {{STREAM, LOST, WAIT}, RETRY},
    {{STREAM, LEAVE, GONE}, END},

    {{GONE, DUE_KEYS, GONE}, NOTHING},
    {{GONE, DUE_SNAPSHOT, GONE}, NOTHING},
    {{GONE, DUE_STREAM, GONE}, NOTHING},
    {{GONE, GOT, GONE}, NOTHING},
    {{GONE, LOST, GONE}, NOTHING},
    {{GONE, LEAVE, GONE}, NOTHING},
};

struct sp_table sp_follower_table(void) {
    return SP_TABLE(rows, STATES, EVENTS);
}

enum {
    /* The first new connection comes within this, the next within twice as much, ... A second server that
     * starts meets all verifiers at once: each waits between half of it and all of it, at random. */
    RETRY_FIRST_MS = 100,
    RETRY_MAX_MS = 10 * 1000, /* well within the usual staleness of 30 s */
    DENIED_FAILURES = 5,      /* a credential does not become right within milliseconds */
    KEYS_TIMEOUT_MS = 10 * 1000,
    OPEN_TIMEOUT_MS = 10 * 1000,
    SNAPSHOT_SILENCE_MS = 10 * 1000, /* between two pieces of it */
    ERRAND_TIMEOUT_MS = 5 * 1000,
    ACK_SPACING_MS = 10, /* what is revoked meanwhile goes into the next one: at most 100 requests a second */
    UPKEEP_MS = 5 * 1000,
    LOOK_MS = 1000, /* at clocks and staleness, when nothing else happens */
    LEAVE_MS = 500, /* for the acknowledgement that is under way, and for the last one */
    GAPS_BEFORE_SNAPSHOT = 2,
};

static const int64_t timeouts_ms[SP_EXCHANGES] = {
    [SP_EX_KEYS] = KEYS_TIMEOUT_MS,   [SP_EX_SNAPSHOT] = SNAPSHOT_SILENCE_MS,
    [SP_EX_STREAM] = OPEN_TIMEOUT_MS, [SP_EX_NONCE] = ERRAND_TIMEOUT_MS,
    [SP_EX_ACK] = ERRAND_TIMEOUT_MS,
};

/* ---- counting ---- */

static const struct {
    const char *event, *detail;
} notes[SP_FOLLOWER_COUNTS] = {
#define NOTE_(name, event_, detail_) {event_, detail_},
    SP_FOLLOWER_TABLE(NOTE_)
#undef NOTE_
};

static void tell(struct sp_follower *f, const char *event, const char *detail) {
    if (f->opts.log != NULL) f->opts.log(f->opts.log_arg, event, detail);
}
void sp_follower_note(struct sp_follower *f, enum sp_follower_count what) {
    atomic_fetch_add_explicit(&f->counts[what], 1, memory_order_relaxed);
    if (notes[what].event != NULL) tell(f, notes[what].event, notes[what].detail);
}
uint64_t sp_follower_counted(const struct sp_follower *f, enum sp_follower_count what) {
    return atomic_load_explicit(&f->counts[what], memory_order_relaxed);
}
uint64_t sp_follower_seq(const struct sp_follower *f) {
    return atomic_load_explicit(&f->seq_for_others, memory_order_relaxed);
}
enum sp_follower_count sp_follower_trouble(sp_status s) {
    return sp_is(s, SP_E_NOMEM) ? SP_FOLLOWER_NO_MEMORY : SP_FOLLOWER_MALFORMED;
}

/* ---- exchanges ---- */

static int64_t sooner(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void sp_follower_restart(struct sp_follower *f, enum sp_exchange x) {
    struct exchange *e = &f->exchanges[x];
    if (e->running) e->unwanted = true;
    e->wanted = true;
}
static void stop(struct sp_follower *f, enum sp_exchange x) {
    struct exchange *e = &f->exchanges[x];
    e->wanted = false;
    if (e->running) e->unwanted = true;
}
/* Is what is said about it still wanted? */
static bool is_live(const struct sp_follower *f, enum sp_exchange x) {
    return f->exchanges[x].running && !f->exchanges[x].unwanted;
}
bool sp_follower_is_busy(const struct sp_follower *f, enum sp_exchange x) {
    return f->exchanges[x].wanted || f->exchanges[x].running;
}

/* ---- the machine ---- */

/* Between half of it and all of it: without random bytes, all of it. */
static int64_t jittered(struct sp_follower *f, int64_t ms) {
    uint32_t r = 0;
    if (!sp_ok(sp_random_fill(f->opts.random, &r, sizeof r))) return ms;
    return ms - (int64_t)(((uint64_t)ms / 2 * r) >> 32);
}
int64_t sp_follower_delay_ms(struct sp_follower *f, unsigned failures) {
    unsigned doublings = failures == 0 ? 0 : failures - 1;
    int64_t max = f->opts.max_staleness_ms / 3 < RETRY_MAX_MS ? f->opts.max_staleness_ms / 3 : RETRY_MAX_MS;
    int64_t ms = doublings > 16 ? max : (int64_t)RETRY_FIRST_MS << doublings;
    return jittered(f, ms < max ? ms : max);
}

static void stop_all(struct sp_follower *f) {
    f->greeted = f->fitted.is_set = false;
    f->question.due_ms = INT64_MAX;
    for (unsigned x = 0; x < SP_EXCHANGES; x++) stop(f, (enum sp_exchange)x);
    sp_feed_reader_free(f->reader);
    f->reader = NULL;
}

static void act(struct sp_follower *f, enum action action, struct sp_now now) {
    switch (action) {
    case NOTHING: break;
    case ASK_KEYS: sp_follower_restart(f, SP_EX_KEYS); break;
    case ASK_SNAPSHOT: sp_follower_restart(f, SP_EX_SNAPSHOT); break;
    case ASK_STREAM: sp_follower_restart(f, SP_EX_STREAM); break;
    case OPENED: sp_follower_stream_opened(f, now); break;
    case GO_ON: f->due_ms = now.boot_ms; break;
    case RETRY:
        stop_all(f);
        f->failures++;
        f->due_ms = now.boot_ms + sp_follower_delay_ms(f, f->failures);
        break;
    case END: stop_all(f); break;
    }
}

static void step(struct sp_follower *f, enum event event, struct sp_now now) {
    const struct sp_table table = sp_follower_table();
    const struct row *row = sp_table_find(&table, f->state, event);
    sp_assert(row != NULL);
    f->state = row->key.next;
    act(f, row->action, now);
}

void sp_follower_misfit(struct sp_follower *f, struct sp_now now, enum sp_follower_count why) {
    sp_follower_note(f, why);
    if (why == SP_FOLLOWER_GAP && ++f->strikes >= GAPS_BEFORE_SNAPSHOT) f->need_snapshot = true;
    if (why == SP_FOLLOWER_DENIED && f->failures < DENIED_FAILURES) f->failures = DENIED_FAILURES;
    if (why == SP_FOLLOWER_UNKNOWN_KEY) f->need_keys = true;
    sp_follower_reconnect(f, now);
}

void sp_follower_reconnect(struct sp_follower *f, struct sp_now now) {
    f->at = f->good; /* what came after it comes again, and does no harm twice */
    atomic_store_explicit(&f->seq_for_others, f->at.seq, memory_order_relaxed);
    step(f, LOST, now);
}

void sp_follower_close(struct sp_follower *f, uint64_t seq) {
    if (!f->closed) sp_verifier_close(f->opts.verifier);
    f->closed = true;
    f->need_snapshot = true;
    if (seq > f->closed_seq) f->closed_seq = seq;
}

enum sp_follower_count sp_follower_check_signature(struct sp_follower *f, const uint8_t *kid,
                                                   const struct sp_feed_signed *text,
                                                   const uint8_t *signature) {
    sp_status s = sp_feed_trust_verify(&f->trust, kid, text, signature);
    if (sp_ok(s)) return SP_FOLLOWER_FINE;
    if (sp_is(s, SP_E_NOT_FOUND)) return SP_FOLLOWER_UNKNOWN_KEY;
    return sp_is(s, SP_E_NOMEM) ? SP_FOLLOWER_NO_MEMORY : SP_FOLLOWER_BAD_SIGNATURE;
}

static enum event what_is_due(const struct sp_follower *f) {
    if (f->need_keys) return DUE_KEYS;
    return f->need_snapshot ? DUE_SNAPSHOT : DUE_STREAM;
}

/* ---- acknowledgements ---- */

static bool has_news(const struct sp_follower *f) {
    return !f->has_acked || f->acked.seq != f->at.seq || !sp_same32(f->acked_roles, f->roles.digest) ||
           !sp_same32(f->acked_keys, f->keys.digest);
}
/* Nothing can be said before both documents are in force. */
static bool can_ack(const struct sp_follower *f) {
    return f->has_epoch && f->roles.in_force && f->keys.in_force && !f->rolled_back;
}
/* With news: so long after the last one. */
static int64_t earliest_ack_ms(const struct sp_follower *f) {
    return f->ack.due_ms - sp_feed_ack_period_ms(f->opts.max_staleness_ms) + ACK_SPACING_MS;
}
static void look_at_ack(struct sp_follower *f, struct sp_now now) {
    if (f->state != STREAM || !f->greeted || !can_ack(f) || sp_follower_is_busy(f, SP_EX_ACK)) return;
    bool retrying = f->ack.failures != 0;
    if (now.boot_ms >= f->ack.due_ms || (!retrying && has_news(f) && now.boot_ms >= earliest_ack_ms(f)))
        sp_follower_restart(f, SP_EX_ACK);
}
/* When it is to be looked at again. */
static int64_t ack_moment(const struct sp_follower *f) {
    if (f->state != STREAM || !f->greeted || !can_ack(f) || sp_follower_is_busy(f, SP_EX_ACK))
        return INT64_MAX;
    bool soon = has_news(f) && f->ack.failures == 0;
    return soon ? earliest_ack_ms(f) : f->ack.due_ms;
}

static sp_status write_ack(struct sp_follower *f) {
    struct sp_buf *b = &f->body;
    SP_TRY(sp_buf_append_cstr(b, "{\"verifier\":"));
    SP_TRY(sp_buf_append_json_string(b, SP_TEXT_SLICE(&f->instance)));
    SP_TRY(sp_buf_append_cstr(b, ",\"epoch\":\""));
    SP_TRY(sp_buf_append_base64url(b, SP_SLICE_ARRAY(f->epoch)));
    SP_TRY(sp_buf_printf(b, "\",\"seq\":%llu,\"roles\":\"", (unsigned long long)f->at.seq));
    SP_TRY(sp_buf_append_base64url(b, SP_SLICE_ARRAY(f->roles.digest)));
    SP_TRY(sp_buf_append_cstr(b, "\",\"keys\":\""));
    SP_TRY(sp_buf_append_base64url(b, SP_SLICE_ARRAY(f->keys.digest)));
    SP_TRY(sp_buf_printf(b, "\",\"max_staleness_s\":%lld",
                         (long long)((f->opts.max_staleness_ms + 999) / 1000))); /* not less */
    return sp_buf_append_cstr(b, f->state == GONE ? ",\"leaving\":true}" : "}");
}
static bool begin_ack(struct sp_follower *f, struct sp_now now) {
    sp_buf_clear(&f->body);
    f->acking = f->at;
    memcpy(f->acking_roles, f->roles.digest, sizeof f->acking_roles);
    memcpy(f->acking_keys, f->keys.digest, sizeof f->acking_keys);
    f->ack.due_ms = now.boot_ms + sp_feed_ack_period_ms(f->opts.max_staleness_ms);
    return sp_ok(write_ack(f));
}
static void pay_goodbye(struct sp_follower *f) {
    f->exchanges[SP_EX_ACK].wanted = f->owes_goodbye;
    f->owes_goodbye = false;
}
static void ack_ended(struct sp_follower *f, struct sp_now now, enum sp_outcome outcome) {
    if (f->owes_goodbye) pay_goodbye(f);
    if (outcome != SP_OUTCOME_DONE) {
        f->ack.failures++;
        f->ack.due_ms = now.boot_ms + sp_follower_delay_ms(f, f->ack.failures);
        return;
    }
    f->ack.failures = 0;
    f->has_acked = true;
    f->acked = f->acking;
    memcpy(f->acked_roles, f->acking_roles, sizeof f->acked_roles);
    memcpy(f->acked_keys, f->acking_keys, sizeof f->acked_keys);
    sp_follower_note(f, SP_FOLLOWER_ACK);
}

/* ---- what to do ---- */

static bool fill_stream(struct sp_follower *f, struct sp_follower_command *c) {
    struct sp_feed_position at = {.seq = f->at.seq};
    memcpy(at.epoch, f->epoch, sizeof at.epoch);
    f->last_event_id[sp_feed_position_text(&at, f->last_event_id)] = 0;
    c->last_event_id = f->last_event_id;
    (void)snprintf(f->target, sizeof f->target, "/feed?verifier=%.*s", (int)f->instance.n, f->instance.s);
    c->target = f->target;
    return true;
}
/* False: it cannot be begun, for want of memory or random bytes. */
static bool fill(struct sp_follower *f, enum sp_exchange x, struct sp_now now,
                 struct sp_follower_command *c) {
    switch (x) {
    case SP_EX_KEYS:
        sp_buf_clear(&f->answer);
        c->target = "/feed/keys";
        return true;
    case SP_EX_SNAPSHOT:
        sp_follower_snapshot_begun(f);
        c->target = "/feed/snapshot";
        return true;
    case SP_EX_STREAM: return fill_stream(f, c);
    case SP_EX_NONCE:
        c->target = "/feed/nonce";
        sp_buf_clear(&f->answer);
        if (!sp_follower_write_question(f, now)) return false;
        c->body = sp_buf_slice(&f->body);
        return true;
    case SP_EX_ACK:
        c->target = "/feed/ack";
        if (!begin_ack(f, now)) return false;
        c->body = sp_buf_slice(&f->body);
        return true;
    case SP_EXCHANGES: break;
    }
    return false;
}

static bool begin(struct sp_follower *f, enum sp_exchange x, struct sp_now now,
                  struct sp_follower_command *c) {
    struct exchange *e = &f->exchanges[x];
    e->wanted = false;
    *c = (struct sp_follower_command){.verb = SP_FOLLOWER_START, .exchange = x};
    e->running = true;
    e->deadline_ms = now.boot_ms + (f->state == GONE ? LEAVE_MS : timeouts_ms[x]);
    if (fill(f, x, now, c)) return true;
    sp_follower_ended(f, x, now, SP_OUTCOME_LOST);
    return false;
}

bool sp_follower_next(struct sp_follower *f, struct sp_now now, struct sp_follower_command *ret) {
    for (unsigned x = 0; x < SP_EXCHANGES; x++) {
        struct exchange *e = &f->exchanges[x];
        if (!e->unwanted) continue;
        e->running = e->unwanted = false;
        *ret = (struct sp_follower_command){.verb = SP_FOLLOWER_STOP, .exchange = (enum sp_exchange)x};
        return true;
    }
    for (unsigned x = 0; x < SP_EXCHANGES; x++) {
        struct sp_follower_command c;
        if (!f->exchanges[x].wanted || !begin(f, (enum sp_exchange)x, now, &c)) continue;
        *ret = c;
        return true;
    }
    return false;
}

int64_t sp_follower_wait_until(const struct sp_follower *f) {
    int64_t at = f->state == GONE ? INT64_MAX : sooner(f->look_ms, ack_moment(f));
    if (f->state == WAIT) at = sooner(at, f->due_ms);
    if (f->state == STREAM) at = sooner(at, f->silent_ms);
    if (f->state == STREAM && !sp_follower_is_busy(f, SP_EX_NONCE)) at = sooner(at, f->question.due_ms);
    for (unsigned x = 0; x < SP_EXCHANGES; x++)
        if (is_live(f, (enum sp_exchange)x)) at = sooner(at, f->exchanges[x].deadline_ms);
    return at;
}

/* ---- what happened ---- */

static void lost_exchange(struct sp_follower *f, enum sp_exchange x, struct sp_now now,
                          enum sp_follower_count why) {
    if (x == SP_EX_NONCE || x == SP_EX_ACK) {
        sp_follower_note(f, why);
        return;
    }
    sp_follower_misfit(f, now, why);
}

static void look_at_deadlines(struct sp_follower *f, struct sp_now now) {
    for (unsigned i = 0; i < SP_EXCHANGES; i++) {
        enum sp_exchange x = (enum sp_exchange)i;
        if (!is_live(f, x) || now.boot_ms < f->exchanges[x].deadline_ms) continue;
        stop(f, x);
        if (x == SP_EX_NONCE) sp_follower_time_answered(f, now, SP_OUTCOME_LOST);
        if (x == SP_EX_ACK) ack_ended(f, now, SP_OUTCOME_LOST);
        lost_exchange(f, x, now, SP_FOLLOWER_TIMEOUT);
    }
}

/* Lets what has lapsed go, by a clock that is not ahead of itself; and tells when freshness came or went. */
static void upkeep(struct sp_follower *f, struct sp_now now) {
    uint64_t age_ms;
    bool is_fresh = sp_freshness_now(f->opts.freshness, &age_ms) == SP_FRESH && !f->closed;
    if (is_fresh != f->was_fresh)
        tell(f, is_fresh ? "fresh" : "stale",
             is_fresh ? "revocations are known up to now" : "tokens are refused until the feed is back");
    f->was_fresh = is_fresh;
    f->look_ms = now.boot_ms + LOOK_MS;
    if (now.boot_ms < f->upkeep_ms) return;
    f->upkeep_ms = now.boot_ms + UPKEEP_MS;
    sp_verifier_tick(f->opts.verifier, now.wall_ms / 1000);
}

void sp_follower_tick(struct sp_follower *f, struct sp_now now) {
    if (f->state == GONE) {
        look_at_deadlines(f, now);
        return;
    }
    sp_follower_watch_clocks(f, now);
    look_at_deadlines(f, now);
    if (f->state == WAIT && now.boot_ms >= f->due_ms) step(f, what_is_due(f), now);
    if (f->state == STREAM && now.boot_ms >= f->silent_ms) sp_follower_misfit(f, now, SP_FOLLOWER_SILENCE);
    if (f->state == STREAM && f->greeted && now.boot_ms >= f->question.due_ms &&
        !sp_follower_is_busy(f, SP_EX_NONCE))
        sp_follower_restart(f, SP_EX_NONCE);
    look_at_ack(f, now);
    upkeep(f, now);
}

void sp_follower_begun(struct sp_follower *f, enum sp_exchange x, struct sp_now now) {
    if (!is_live(f, x) || x != SP_EX_STREAM) return;
    f->exchanges[x].deadline_ms = INT64_MAX; /* from here on the beats tell */
    step(f, GOT, now);
}

/* Before anything that comes is used: what lapses by a clock that is ahead for a moment has to be fetched
 * again, and an answer must not vouch for a proof that is older than a jump. */
static void look_at_clocks(struct sp_follower *f, struct sp_now now) {
    if (f->state != GONE) sp_follower_watch_clocks(f, now);
}

void sp_follower_bytes(struct sp_follower *f, enum sp_exchange x, struct sp_now now, sp_slice piece) {
    look_at_clocks(f, now);
    if (!is_live(f, x)) return;
    switch (x) {
    case SP_EX_KEYS:
        if (!sp_ok(sp_buf_append(&f->answer, piece))) sp_follower_misfit(f, now, SP_FOLLOWER_MALFORMED);
        break;
    case SP_EX_SNAPSHOT:
        f->exchanges[x].deadline_ms = now.boot_ms + SNAPSHOT_SILENCE_MS;
        sp_follower_snapshot_bytes(f, now, piece);
        break;
    case SP_EX_STREAM:
        if (f->state == STREAM) sp_follower_stream_bytes(f, now, piece);
        look_at_ack(f, now);
        break;
    case SP_EX_NONCE:
        if (f->answer.n + piece.n > ANSWER_BYTES_MAX || !sp_ok(sp_buf_append(&f->answer, piece)))
            sp_buf_clear(&f->answer); /* then it does not parse */
        break;
    case SP_EX_ACK:
    case SP_EXCHANGES: break;
    }
}

static void keys_ended(struct sp_follower *f, struct sp_now now) {
    sp_status s = sp_feed_trust_offer(&f->trust, sp_buf_slice(&f->answer));
    if (!sp_ok(s)) {
        sp_follower_misfit(f, now, sp_is(s, SP_E_REFUSED) ? SP_FOLLOWER_UNTRUSTED : sp_follower_trouble(s));
        return;
    }
    f->need_keys = false;
    step(f, GOT, now);
}

static enum sp_follower_count trouble_of(enum sp_outcome outcome) {
    switch (outcome) {
    case SP_OUTCOME_DENIED: return SP_FOLLOWER_DENIED;
    case SP_OUTCOME_FAILURE: return SP_FOLLOWER_FAILURE;
    case SP_OUTCOME_LOST:
    case SP_OUTCOME_DONE: break; /* a stream has no end of its own */
    }
    return SP_FOLLOWER_LOST;
}

void sp_follower_ended(struct sp_follower *f, enum sp_exchange x, struct sp_now now,
                       enum sp_outcome outcome) {
    look_at_clocks(f, now); /* while it runs still: a question that is older than a jump is asked again */
    bool live = is_live(f, x);
    f->exchanges[x].running = f->exchanges[x].unwanted = false;
    if (!live) return;
    if (x == SP_EX_NONCE) sp_follower_time_answered(f, now, outcome);
    if (x == SP_EX_ACK) ack_ended(f, now, outcome);
    if (x == SP_EX_KEYS && outcome == SP_OUTCOME_DONE)
        keys_ended(f, now);
    else if (x == SP_EX_SNAPSHOT && outcome == SP_OUTCOME_DONE) {
        if (sp_follower_snapshot_ended(f, now)) step(f, GOT, now);
    } else if (x == SP_EX_STREAM || outcome != SP_OUTCOME_DONE)
        lost_exchange(f, x, now, trouble_of(outcome));
}

/* An acknowledgement that is under way is waited for: if it came after the goodbye it would call us back. */
void sp_follower_leave(struct sp_follower *f, struct sp_now now) {
    struct exchange *ack = &f->exchanges[SP_EX_ACK];
    bool says_goodbye = f->state == STREAM && can_ack(f), waits = says_goodbye && is_live(f, SP_EX_ACK);
    step(f, LEAVE, now);
    if (waits) {
        ack->unwanted = false;
        ack->deadline_ms = sooner(ack->deadline_ms, now.boot_ms + LEAVE_MS);
        f->owes_goodbye = true;
    } else if (says_goodbye) {
        ack->wanted = true;
    }
}
bool sp_follower_is_gone(const struct sp_follower *f) {
    for (unsigned x = 0; x < SP_EXCHANGES; x++)
        if (sp_follower_is_busy(f, (enum sp_exchange)x)) return false;
    return f->state == GONE;
}

/* ---- life ---- */

static sp_status copy_opts(struct sp_follower *f, const struct sp_follower_opts *opts) {
    f->opts = *opts;
    if (opts->issuer.n == 0 || !sp_feed_instance_valid(opts->instance)) return sp_err(SP_E_MALFORMED);
    SP_TRY(SP_TEXT_SET(&f->issuer, opts->issuer));
    SP_TRY(SP_TEXT_SET(&f->instance, opts->instance));
    f->opts.issuer = SP_TEXT_SLICE(&f->issuer);
    f->opts.instance = SP_TEXT_SLICE(&f->instance);
    return SP_SUCCESS;
}

sp_status sp_follower_new(const struct sp_follower_opts *opts, struct sp_now now, struct sp_follower **ret) {
    SP_AUTO_FREE(sp_follower) f = calloc(1, sizeof *f);
    if (f == NULL) return sp_err(SP_E_NOMEM);
    SP_TRY(copy_opts(f, opts));
    sp_feed_trust_init(&f->trust, f->opts.issuer, opts->pin);
    sp_buf_init(&f->answer, SP_FEED_KEYS_BYTES_MAX);
    sp_buf_init(&f->body, ANSWER_BYTES_MAX);
    f->state = WAIT;
    f->need_keys = f->need_snapshot = true;
    f->due_ms = now.boot_ms;
    f->look_ms = f->upkeep_ms = now.boot_ms;
    f->question.due_ms = INT64_MAX;
    f->offset_high_ms = INT64_MIN;
    *ret = sp_steal(&f);
    return SP_SUCCESS;
}

void sp_follower_free(struct sp_follower *f) {
    if (f == NULL) return;
    sp_feed_trust_done(&f->trust);
    sp_feed_reader_free(f->reader);
    free(f->roles.held);
    free(f->keys.held);
    sp_buf_done(&f->answer);
    sp_buf_done(&f->body);
    free(f);
}
