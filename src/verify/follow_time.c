/* The follower and time: questions to the server, what beats prove, and clocks that jump (docs/feed.md,
 * Freshness). */
#include "verify/follow_internal.h"

enum {
    QUESTION_PERIOD_MS = 5 * 60 * 1000,
    QUESTION_SPACING_MS = 1000, /* when an answer did not help: another node gave it */
    RHO_INVERSE = 2000,         /* rho = 500 ppm: how much two clocks' rates may differ */
};
/* Beyond this two boot-time clocks are not of one world, and the arithmetic below stays far from overflow. */
#define SPAN_MS_MAX ((uint64_t)1 << 42)

static int64_t offset_of(struct sp_now now) {
    return now.wall_ms - now.boot_ms;
}
static bool has_moved(int64_t offset_ms, int64_t was_ms) {
    return offset_ms - was_ms > SP_FRESHNESS_JUMP_MS || was_ms - offset_ms > SP_FRESHNESS_JUMP_MS;
}

void sp_follower_ask_time(struct sp_follower *f, int64_t at_ms) {
    if (at_ms < f->question.due_ms) f->question.due_ms = at_ms;
}

/* Nothing that was proved counts until the server has answered a question that is asked from now on. */
static void clock_broke(struct sp_follower *f, struct sp_now now) {
    if (!f->has_jumped) sp_follower_note(f, SP_FOLLOWER_CLOCK_JUMP);
    sp_freshness_forget(f->opts.freshness);
    f->anchor.is_set = false;
    f->has_jumped = true;
    if (!f->greeted) return; /* the next connection asks */
    sp_follower_ask_time(f, now.boot_ms);
    if (sp_follower_is_busy(f, SP_EX_NONCE)) sp_follower_restart(f, SP_EX_NONCE);
}

/* A wall clock that goes back makes tokens valid again whose revocations may have been dropped as lapsed: the
 * base is loaded again, from a server that has not forgotten them. */
static bool watch_backwards(struct sp_follower *f, struct sp_now now) {
    int64_t offset_ms = offset_of(now);
    bool went_back = f->offset_high_ms != INT64_MIN && offset_ms < f->offset_high_ms - SP_FRESHNESS_JUMP_MS;
    if (went_back || offset_ms > f->offset_high_ms) f->offset_high_ms = offset_ms;
    return went_back;
}

void sp_follower_watch_clocks(struct sp_follower *f, struct sp_now now) {
    bool went_back = watch_backwards(f, now);
    bool moved = f->is_anchored && has_moved(offset_of(now), f->offset_ms);
    bool seen = sp_freshness_jumped(f->opts.freshness);
    if (went_back || (!f->has_jumped && (moved || seen))) clock_broke(f, now);
    if (!went_back) return;
    f->need_snapshot = true;
    sp_follower_reconnect(f, now);
}

/* ---- what is proved ---- */

/* as_of, or SP_FRESHNESS_NEVER. One millisecond less, since both clocks are cut to milliseconds. */
static int64_t as_of(const struct anchor *a, uint64_t b_ms) {
    bool later = b_ms >= a->server_ms;
    uint64_t span = later ? b_ms - a->server_ms : a->server_ms - b_ms;
    if (span > SPAN_MS_MAX) return SP_FRESHNESS_NEVER;
    int64_t ms = (int64_t)span, drift = ms / RHO_INVERSE + 1;
    return a->t0_ms + (later ? ms - drift : -ms - drift);
}

static bool is_anchor_of(const struct anchor *a, const uint8_t *node) {
    return a->is_set && memcmp(a->node, node, sizeof a->node) == 0;
}

static void prove(struct sp_follower *f, struct sp_now now) {
    const struct fitted *b = &f->fitted;
    if (!b->is_set || !is_anchor_of(&f->anchor, b->node)) return;
    int64_t at_ms = as_of(&f->anchor, b->server_ms);
    if (at_ms > now.boot_ms) { /* our clock stood still while the server's went on */
        clock_broke(f, now);
        return;
    }
    sp_freshness_prove(f->opts.freshness, at_ms);
    /* The beats fit and yet are old: the server's clock stood still, if they were not held up. */
    if (now.boot_ms - at_ms > f->opts.max_staleness_ms)
        sp_follower_ask_time(f, f->asked.boot_ms + QUESTION_SPACING_MS);
}

static void want_anchor(struct sp_follower *f, const uint8_t *node) {
    if (!is_anchor_of(&f->anchor, node)) sp_follower_ask_time(f, f->asked.boot_ms + QUESTION_SPACING_MS);
}

/* Within a history a higher seq is later, within a run of the server its clock says so. Otherwise what counts
 * is what the beat proves: it was signed after the other one had come. */
enum beat_age sp_follower_age_of(struct sp_follower *f, const struct sp_feed_beat *b) {
    const struct covered *c = &f->covered;
    if (!c->is_set) return BEAT_LATER;
    if (memcmp(c->epoch, f->epoch, sizeof c->epoch) == 0 && b->seq > c->seq) return BEAT_LATER;
    if (memcmp(c->node, b->node, sizeof c->node) == 0)
        return b->boot_ms >= c->server_ms ? BEAT_LATER : BEAT_EARLIER;
    want_anchor(f, b->node);
    bool is_later = is_anchor_of(&f->anchor, b->node) && as_of(&f->anchor, b->boot_ms) >= c->at_ms;
    return is_later ? BEAT_LATER : BEAT_UNKNOWN;
}

void sp_follower_fitted(struct sp_follower *f, struct sp_now now, const struct sp_feed_beat *b) {
    f->fitted = (struct fitted){.is_set = true, .server_ms = b->boot_ms};
    memcpy(f->fitted.node, b->node, sizeof b->node);
    want_anchor(f, b->node);
    prove(f, now);
}

/* ---- questions ---- */

bool sp_follower_write_question(struct sp_follower *f, struct sp_now now) {
    f->asked = now;
    sp_buf_clear(&f->body);
    if (!sp_ok(sp_random_fill(f->opts.random, f->nonce, sizeof f->nonce))) {
        sp_follower_note(f, SP_FOLLOWER_NO_RANDOM);
        return false;
    }
    return sp_ok(sp_buf_append_cstr(&f->body, "{\"nonce\":\"")) &&
           sp_ok(sp_buf_append_base64url(&f->body, SP_SLICE_ARRAY(f->nonce))) &&
           sp_ok(sp_buf_append_cstr(&f->body, "\"}"));
}

/* SP_FOLLOWER_FINE: it is the server's answer to our question. */
static enum sp_follower_count read_answer(struct sp_follower *f, struct sp_feed_nonce_answer *a) {
    struct sp_feed_signed text;
    if (!sp_ok(sp_feed_read_nonce_answer(sp_buf_slice(&f->answer), a))) return SP_FOLLOWER_MALFORMED;
    if (memcmp(a->nonce, f->nonce, sizeof f->nonce) != 0) return SP_FOLLOWER_BAD_SIGNATURE;
    if (memcmp(a->epoch, f->epoch, sizeof f->epoch) != 0) return SP_FOLLOWER_NEW_EPOCH;
    if (!sp_ok(sp_feed_signed_nonce(f->opts.issuer, a, &text))) return SP_FOLLOWER_MALFORMED;
    return sp_follower_check_signature(f, a->kid, &text, a->signature);
}

static void ask_again(struct sp_follower *f, struct sp_now now) {
    f->question.failures++;
    f->question.due_ms = now.boot_ms + sp_follower_delay_ms(f, f->question.failures);
}

/* The distance of the clocks belongs to the anchor that it was noted with: with a younger one beside an old
 * anchor, jumps too short to be seen would add up. */
static void take_distance(struct sp_follower *f, struct sp_now now) {
    f->offset_ms = offset_of(now);
    f->is_anchored = true;
    f->has_jumped = false;
    sp_freshness_anchor(f->opts.freshness, now.boot_ms, now.wall_ms);
}
/* An anchor of another node than the stream's proves nothing, and does not replace one that does. */
static void take_anchor(struct sp_follower *f, struct sp_now now, const struct sp_feed_nonce_answer *a) {
    bool is_ours = memcmp(a->node, f->node, sizeof f->node) == 0;
    if (is_ours || !f->anchor.is_set) take_distance(f, now);
    if (!is_ours) {
        f->question.due_ms = f->asked.boot_ms + QUESTION_SPACING_MS;
        return;
    }
    f->anchor = (struct anchor){.is_set = true, .server_ms = a->boot_ms, .t0_ms = f->asked.boot_ms};
    memcpy(f->anchor.node, a->node, sizeof a->node);
}

static void take_answer(struct sp_follower *f, struct sp_now now, const struct sp_feed_nonce_answer *a) {
    f->question.failures = 0;
    f->question.due_ms = now.boot_ms + QUESTION_PERIOD_MS - sp_follower_delay_ms(f, 16);
    take_anchor(f, now, a);
    sp_follower_note(f, SP_FOLLOWER_NONCE);
    prove(f, now);
}

void sp_follower_time_answered(struct sp_follower *f, struct sp_now now, enum sp_outcome outcome) {
    struct sp_feed_nonce_answer a;
    if (outcome != SP_OUTCOME_DONE) {
        ask_again(f, now);
        return;
    }
    enum sp_follower_count trouble = read_answer(f, &a);
    if (trouble != SP_FOLLOWER_FINE) {
        sp_follower_note(f, trouble);
        ask_again(f, now);
    } else if (has_moved(offset_of(now), offset_of(f->asked))) {
        ask_again(f, now); /* the clocks moved while we waited: t0 means nothing */
    } else {
        take_answer(f, now, &a);
    }
}
