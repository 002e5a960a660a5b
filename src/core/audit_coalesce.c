/* Coalescing: a table of (action, outcome, actor, target, reason) by keyed hash, a few neighbouring slots for
 * each key.
 *
 * Invariants: an entry with repeats that nobody has taken is never thrown away; an entry whose minute is over
 * and that has none is free. When a key finds no place, the event is counted for its action alone: the record
 * then says how many there were, not who. So a minute costs at most `max` records and one for each action,
 * whatever an attacker sends. Reasons are static texts of ours, a few for an action, and so no way around
 * that. The hash is keyed, so that nobody can choose names that crowd each other out.
 */
#include <pthread.h>

#include "base/assert.h"
#include "core/audit.h"

enum {
    NEIGHBOURS = 8,
    REASON_BYTES_MAX = 32, /* a word of ours; of a longer one the first bytes decide */
};

struct entry {
    bool taken;
    uint64_t hash;
    struct sp_audit_repeats repeats;
};
struct sp_audit_coalescer {
    pthread_mutex_t mutex; /* guards everything below */
    uint8_t key[SP_SIPHASH_KEY_BYTES];
    size_t mask;
    struct sp_audit_repeats crowd[SP_AUDIT_ACTION_COUNT]; /* what found no place */
    struct entry entries[];
};

static size_t round_up(size_t n) {
    size_t r = NEIGHBOURS;
    while (r < n && r < SP_AUDIT_COALESCE_MAX) r *= 2;
    return r;
}

sp_status sp_audit_coalescer_new(size_t max, const struct sp_random *random,
                                 struct sp_audit_coalescer **ret) {
    const size_t slots = round_up(max);
    struct sp_audit_coalescer *c = calloc(1, sizeof(*c) + slots * sizeof(c->entries[0]));
    if (c == NULL) return sp_err(SP_E_NOMEM);
    sp_status s = sp_random_fill(random, c->key, sizeof(c->key));
    if (!sp_ok(s)) {
        free(c);
        return s;
    }
    c->mask = slots - 1;
    sp_assert(pthread_mutex_init(&c->mutex, NULL) == 0);
    *ret = c;
    return SP_SUCCESS;
}

void sp_audit_coalescer_free(struct sp_audit_coalescer *c) {
    if (c == NULL) return;
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

/* Texts that are longer than a column count by what the column keeps: the same record would be written. */
static void set_cut(sp_text64 *t, sp_slice s) {
    t->n = (uint16_t)(s.n < sizeof(t->s) ? s.n : sizeof(t->s));
    if (t->n != 0) memcpy(t->s, s.p, t->n);
}

static struct sp_audit_repeats repeats_of(const struct sp_audit_event *event, int64_t now_ms) {
    struct sp_audit_repeats r = {
        .action = event->action, .outcome = event->outcome, .reason = event->reason, .since_ms = now_ms};
    set_cut(&r.actor, event->actor);
    set_cut(&r.target, event->target);
    return r;
}

static uint64_t hash_of(const struct sp_audit_coalescer *c, const struct sp_audit_repeats *r) {
    uint8_t in[4 + sizeof(r->actor.s) + sizeof(r->target.s) + REASON_BYTES_MAX];
    const size_t reason_n = r->reason == NULL ? 0 : strnlen(r->reason, REASON_BYTES_MAX);
    size_t n = 0;
    in[n++] = (uint8_t)r->action;
    in[n++] = (uint8_t)r->outcome;
    in[n++] = (uint8_t)r->actor.n;
    in[n++] = (uint8_t)r->target.n;
    memcpy(in + n, r->actor.s, r->actor.n);
    n += r->actor.n;
    memcpy(in + n, r->target.s, r->target.n);
    n += r->target.n;
    if (reason_n != 0) memcpy(in + n, r->reason, reason_n);
    n += reason_n;
    return sp_siphash(c->key, sp_slice_of(in, n));
}

/* A clock that went back must not keep a minute open for hours. */
static bool minute_is_over(const struct sp_audit_repeats *r, int64_t now_ms) {
    return now_ms - r->since_ms >= SP_AUDIT_COALESCE_MS || r->since_ms - now_ms >= SP_AUDIT_COALESCE_MS;
}

static bool is_free(const struct entry *e, int64_t now_ms) {
    return !e->taken || (e->repeats.count == 0 && minute_is_over(&e->repeats, now_ms));
}

static void count_in_crowd(struct sp_audit_coalescer *c, const struct sp_audit_repeats *r) {
    struct sp_audit_repeats *crowd = &c->crowd[r->action];
    if (crowd->count == 0) {
        *crowd =
            (struct sp_audit_repeats){.action = r->action, .outcome = r->outcome, .since_ms = r->since_ms};
    }
    crowd->count++;
}

static enum sp_audit_admission admit(struct sp_audit_coalescer *c, const struct sp_audit_repeats *r,
                                     int64_t now_ms) {
    const uint64_t hash = hash_of(c, r);
    struct entry *place = NULL;
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        struct entry *e = &c->entries[(hash + i) & c->mask];
        if (e->taken && e->hash == hash && !is_free(e, now_ms)) {
            e->repeats.count++;
            return SP_AUDIT_COUNTED;
        }
        if (place == NULL && is_free(e, now_ms)) place = e;
    }
    if (place == NULL) {
        count_in_crowd(c, r);
        return SP_AUDIT_COUNTED;
    }
    *place = (struct entry){.taken = true, .hash = hash, .repeats = *r};
    return SP_AUDIT_WRITE;
}

enum sp_audit_admission sp_audit_coalesce(struct sp_audit_coalescer *c, const struct sp_audit_event *event,
                                          int64_t now_ms) {
    const struct sp_audit_repeats r = repeats_of(event, now_ms);
    pthread_mutex_lock(&c->mutex);
    enum sp_audit_admission admission = admit(c, &r, now_ms);
    pthread_mutex_unlock(&c->mutex);
    return admission;
}

/* Hands the repeats over when their minute is over. */
static bool take(struct sp_audit_repeats *r, int64_t now_ms, struct sp_audit_repeats *ret) {
    if (r->count == 0 || !minute_is_over(r, now_ms)) return false;
    *ret = *r;
    r->count = 0;
    return true;
}

size_t sp_audit_coalescer_take(struct sp_audit_coalescer *c, int64_t now_ms, struct sp_audit_repeats *ret,
                               size_t cap) {
    size_t n = 0;
    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < SP_AUDIT_ACTION_COUNT && n < cap; i++) n += take(&c->crowd[i], now_ms, &ret[n]);
    for (size_t i = 0; i <= c->mask && n < cap; i++) {
        if (!c->entries[i].taken || !take(&c->entries[i].repeats, now_ms, &ret[n])) continue;
        c->entries[i].taken = false;
        n++;
    }
    pthread_mutex_unlock(&c->mutex);
    return n;
}

void sp_audit_repeats_event(const struct sp_audit_repeats *r,
                            struct sp_log_field field[SP_AUDIT_REPEATS_FIELDS], struct sp_audit_event *ret) {
    field[0] = SP_LOGF_I64("repeats", (int64_t)r->count);
    field[1] = SP_LOGF_I64("since_ms", r->since_ms);
    if (r->reason != NULL) field[2] = SP_LOGF_TEXT("reason", sp_slice_cstr(r->reason));
    *ret = (struct sp_audit_event){
        .action = r->action,
        .outcome = r->outcome,
        .actor = SP_TEXT_SLICE(&r->actor),
        .target = SP_TEXT_SLICE(&r->target),
        .detail = field,
        .detail_n = r->reason != NULL ? 3 : 2,
    };
}
