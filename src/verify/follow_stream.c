/* The events of the stream, and what does not fit in them (docs/feed.md). */
#include "base/json.h"
#include "verify/follow_internal.h"

enum {
    HELLO_MS = 10 * 1000,
    BEAT_MS_MIN = 100, /* whatever the server promises */
    BEAT_MS_MAX = 20 * 1000,
    BEATS_MISSED = 3,
};

/* SP_FOLLOWER_FINE: it fits. */
typedef enum sp_follower_count (*on_event)(struct sp_follower *f, struct sp_now now,
                                           const struct sp_feed_event *e);

void sp_follower_stream_opened(struct sp_follower *f, struct sp_now now) {
    f->greeted = false;
    f->silent_ms = now.boot_ms + HELLO_MS;
    sp_feed_reader_free(f->reader);
    f->reader = NULL;
    if (!sp_ok(sp_feed_reader_new(&f->reader))) sp_follower_misfit(f, now, SP_FOLLOWER_NO_MEMORY);
}

static void heard_a_beat(struct sp_follower *f, struct sp_now now) {
    f->silent_ms = now.boot_ms + BEATS_MISSED * f->beat_ms;
}

static enum sp_follower_count on_hello(struct sp_follower *f, struct sp_now now,
                                       const struct sp_feed_event *e) {
    struct sp_feed_hello h;
    if (!sp_ok(sp_feed_read_hello(e->data, &h))) return SP_FOLLOWER_MALFORMED;
    if (!sp_slice_eq(h.issuer, f->opts.issuer)) return SP_FOLLOWER_WRONG_ISSUER;
    if (memcmp(h.epoch, f->epoch, sizeof h.epoch) != 0) {
        f->need_snapshot = true;
        return SP_FOLLOWER_NEW_EPOCH;
    }
    f->greeted = true;
    f->beat_ms = h.beat_ms < BEAT_MS_MIN ? BEAT_MS_MIN : h.beat_ms > BEAT_MS_MAX ? BEAT_MS_MAX : h.beat_ms;
    memcpy(f->node, h.node, sizeof f->node);
    heard_a_beat(f, now);
    sp_follower_ask_time(f, now.boot_ms);
    sp_follower_note(f, SP_FOLLOWER_CONNECT);
    return SP_FOLLOWER_FINE;
}

/* Not signed, and need not be: all that it can do is make us connect again, or load a snapshot. */
static enum sp_follower_count on_reset(struct sp_follower *f, struct sp_now now,
                                       const struct sp_feed_event *e) {
    struct sp_json_node nodes[8];
    struct sp_json doc = {.nodes = nodes, .cap = SP_ARRAY_LEN(nodes)};
    (void)now;
    if (!sp_ok(sp_json_parse(e->data, &doc)) || nodes[0].type != SP_JSON_OBJECT) return SP_FOLLOWER_MALFORMED;
    const struct sp_json_node *reason = sp_json_get(&doc, &nodes[0], "reason");
    if (reason == NULL) return SP_FOLLOWER_MALFORMED;
    if (sp_json_string_is(reason, "ahead")) {
        f->rolled_back = true;
        return SP_FOLLOWER_ROLLBACK;
    }
    f->need_snapshot = true;
    return SP_FOLLOWER_RESET;
}

static enum sp_follower_count hold(struct document *d, const struct sp_feed_event *e) {
    return sp_ok(sp_follower_hold(d, e->data)) ? SP_FOLLOWER_FINE : SP_FOLLOWER_NO_MEMORY;
}
static enum sp_follower_count on_roles(struct sp_follower *f, struct sp_now now,
                                       const struct sp_feed_event *e) {
    (void)now;
    return hold(&f->roles, e);
}
static enum sp_follower_count on_keys(struct sp_follower *f, struct sp_now now,
                                      const struct sp_feed_event *e) {
    (void)now;
    return hold(&f->keys, e);
}

/* Enforced even when it is not the next one: it revokes, whatever is missing before it. */
static enum sp_follower_count on_revocation(struct sp_follower *f, struct sp_now now,
                                            const struct sp_feed_event *e) {
    uint8_t epoch[SP_FEED_EPOCH_BYTES];
    struct sp_feed_revocation r;
    if (!sp_ok(sp_feed_read_revocation(e->name, e->id, e->data, epoch, &r))) return SP_FOLLOWER_MALFORMED;
    if (!sp_ok(sp_follower_apply(f, now, &r))) return SP_FOLLOWER_NO_MEMORY;
    if (memcmp(epoch, f->epoch, sizeof epoch) != 0 || r.seq != f->at.seq + 1) return SP_FOLLOWER_GAP;
    sp_feed_chain_link(f->at.head, &r, f->at.head);
    f->at.seq = r.seq;
    atomic_store_explicit(&f->seq_for_others, r.seq, memory_order_relaxed);
    return SP_FOLLOWER_FINE;
}

/* ---- beats ---- */

static enum sp_follower_count check_beat(struct sp_follower *f, const struct sp_feed_beat *b) {
    struct sp_feed_signed text;
    if (!sp_ok(sp_feed_signed_beat(f->opts.issuer, f->epoch, b, &text))) return SP_FOLLOWER_MALFORMED;
    return sp_follower_check_signature(f, b->kid, &text, b->signature);
}

/* Does it say exactly what was applied? */
static enum sp_follower_count check_place(struct sp_follower *f, const struct sp_feed_beat *b) {
    if (b->seq < f->signed_seq) {
        f->rolled_back = true;
        return SP_FOLLOWER_ROLLBACK;
    }
    f->signed_seq = b->seq;
    if (b->seq != f->at.seq || !sp_same32(b->head, f->at.head)) return SP_FOLLOWER_GAP;
    f->good = f->at;
    f->strikes = 0;
    return SP_FOLLOWER_FINE;
}

/* The chain goes through the last place that the server had signed before it went back: nothing is lost. */
static enum sp_follower_count caught_up(struct sp_follower *f) {
    if (!f->rolled_back) return SP_FOLLOWER_FINE;
    f->rolled_back = false;
    sp_follower_note(f, SP_FOLLOWER_CAUGHT_UP);
    if (!f->owes_snapshot) return SP_FOLLOWER_FINE;
    f->need_snapshot = true;
    return SP_FOLLOWER_RESET;
}

/* The documents in force are those that it names. */
static bool is_covered(const struct sp_follower *f, const struct sp_feed_beat *b) {
    return f->roles.in_force && sp_same32(f->roles.digest, b->roles) && f->keys.in_force &&
           sp_same32(f->keys.digest, b->keys);
}

/* One that names others puts them into force when it is known to be the younger one; until then it proves
 * nothing, and the next one, half a second later, may. */
static enum sp_follower_count cover(struct sp_follower *f, struct sp_now now, const struct sp_feed_beat *b) {
    if (is_covered(f, b)) return SP_FOLLOWER_FINE;
    if (!sp_follower_has_document(&f->roles, b->roles) || !sp_follower_has_document(&f->keys, b->keys))
        return SP_FOLLOWER_WRONG_DIGEST;
    enum beat_age age = sp_follower_age_of(f, b);
    if (age != BEAT_LATER) return age == BEAT_EARLIER ? SP_FOLLOWER_OLD_DOCUMENT : SP_FOLLOWER_FINE;
    sp_status s = sp_follower_cover(f, now, b);
    return sp_ok(s) ? SP_FOLLOWER_FINE : sp_follower_trouble(s);
}

#define SP_FITS(expr)                                                                                        \
    do {                                                                                                     \
        enum sp_follower_count sp_fits_ = (expr);                                                            \
        if (sp_fits_ != SP_FOLLOWER_FINE) return sp_fits_;                                                   \
    } while (0)

static enum sp_follower_count on_beat(struct sp_follower *f, struct sp_now now,
                                      const struct sp_feed_event *e) {
    struct sp_feed_beat b;
    if (!sp_ok(sp_feed_read_beat(e->data, &b))) return SP_FOLLOWER_MALFORMED;
    SP_FITS(check_beat(f, &b));
    sp_follower_note(f, SP_FOLLOWER_BEAT);
    SP_FITS(check_place(f, &b));
    SP_FITS(caught_up(f));
    SP_FITS(cover(f, now, &b));
    f->failures = 0;
    heard_a_beat(f, now);
    if (is_covered(f, &b)) sp_follower_fitted(f, now, &b);
    return SP_FOLLOWER_FINE;
}

static const struct {
    const char *name;
    on_event on;
} events[] = {
    {"revoke", on_revocation}, {"epoch", on_revocation}, {"beat", on_beat},
    {"roles", on_roles},       {"keys", on_keys},        {"reset", on_reset},
};

/* What we do not know is passed over: if it mattered, the chain or a digest will say so. */
static enum sp_follower_count take_event(struct sp_follower *f, struct sp_now now,
                                         const struct sp_feed_event *e) {
    if (!f->greeted) return sp_slice_eq_cstr(e->name, "hello") ? on_hello(f, now, e) : SP_FOLLOWER_MALFORMED;
    for (size_t i = 0; i < SP_ARRAY_LEN(events); i++)
        if (sp_slice_eq_cstr(e->name, events[i].name)) return events[i].on(f, now, e);
    return SP_FOLLOWER_FINE;
}

static enum sp_follower_count take_piece(struct sp_follower *f, struct sp_now now, sp_slice piece) {
    for (;;) {
        struct sp_feed_event e;
        bool complete;
        sp_status s = sp_feed_reader_next(f->reader, &piece, &complete, &e);
        if (!sp_ok(s)) return sp_follower_trouble(s);
        if (!complete) return SP_FOLLOWER_FINE;
        SP_FITS(take_event(f, now, &e));
    }
}

void sp_follower_stream_bytes(struct sp_follower *f, struct sp_now now, sp_slice piece) {
    enum sp_follower_count trouble = take_piece(f, now, piece);
    if (trouble != SP_FOLLOWER_FINE) sp_follower_misfit(f, now, trouble);
}
