/* The feed as it stands: chain, backlog, watchers, frames. Documents and keys are in feed_documents.c,
 * snapshots in feed_export.c, verifiers in feed_verifiers.c, receipts and lag in feed_receipts.c.
 *
 * Turned down: a queue for each subscriber (a slow one would hold memory, and 2,000 copies of a revocation
 * would be made under the lock); the store as the backlog (a read per subscriber and revocation); a signature
 * for each revocation (a millisecond sooner proved, for 16 us of the writer's time each: revoking needs no
 * proof, only being complete does). */
#include "core/feed.h"

#include "core/feed_chain.h"
#include "core/feed_internal.h"

enum { BACKLOG_FIRST = 256 };

void sp_feed_fingerprint_key(const struct sp_keys *keys, uint8_t ret[SP_REVOKE_KEY_BYTES]) {
    uint8_t mac[SP_SHA256_BYTES];
    sp_hmac(sp_keys_sid_tag(keys), SP_SLICE_LIT("sallyport revocation fingerprints 1"), mac);
    memcpy(ret, mac, SP_REVOKE_KEY_BYTES);
    sp_wipe(mac, sizeof(mac));
}

/* ---- beginning and end ---- */

sp_status sp_feed_new(const struct sp_feed_opts *opts, struct sp_feed **ret) {
    struct sp_feed *f = calloc(1, sizeof(*f));
    if (f == NULL) return sp_err(SP_E_NOMEM);
    sp_assert(pthread_mutex_init(&f->lock, NULL) == 0);
    f->clock = opts->clock;
    f->seats = opts->seats;
    f->keys = opts->keys;
    f->live_roles = opts->roles;
    f->revoked = opts->revoked;
    f->epochs = opts->epochs;
    sp_status s = SP_TEXT_SET(&f->issuer, opts->issuer);
    if (sp_ok(s)) s = sp_random_fill(opts->random, f->node, sizeof(f->node));
    if (sp_ok(s)) s = sp_feed_publish_roles(f);
    if (sp_ok(s)) s = sp_feed_publish_keys(f);
    if (!sp_ok(s)) {
        sp_feed_free(f);
        return s;
    }
    *ret = f;
    return SP_SUCCESS;
}

void sp_feed_free(struct sp_feed *f) {
    if (f == NULL) return;
    sp_assert(f->watchers == NULL && f->waiters == NULL);
    sp_feed_verifiers_done(f);
    sp_feed_document_unref(f->roles_document);
    sp_feed_document_unref(f->keys_document);
    free(f->backlog.ring);
    sp_assert(pthread_mutex_destroy(&f->lock) == 0);
    free(f);
}

/* ---- the backlog ---- */

static struct sp_feed_revocation *backlog_at(const struct feed_backlog *b, size_t i) {
    return &b->ring[(b->first + i) & (b->cap - 1)];
}

static bool backlog_grow(struct feed_backlog *b) {
    const size_t cap = b->cap == 0 ? BACKLOG_FIRST : b->cap * 2;
    struct sp_feed_revocation *ring = calloc(cap, sizeof(*ring));
    if (ring == NULL) return false;
    for (size_t i = 0; i < b->n; i++) ring[i] = *backlog_at(b, i);
    free(b->ring);
    b->ring = ring;
    b->cap = cap;
    b->first = 0;
    return true;
}

/* Without room the oldest makes it. Without any memory nothing is kept: whoever lacks it takes a snapshot. */
static void backlog_add(struct feed_backlog *b, const struct sp_feed_revocation *r) {
    if (b->n != 0 && backlog_at(b, b->n - 1)->seq + 1 != r->seq) b->n = 0;
    if (b->n == b->cap && b->cap < SP_FEED_BACKLOG_MAX) (void)backlog_grow(b);
    if (b->cap == 0) return;
    if (b->n == b->cap) {
        b->first = (b->first + 1) & (b->cap - 1);
        b->n--;
    }
    b->n++;
    *backlog_at(b, b->n - 1) = *r;
}

sp_status sp_feed_load(struct sp_feed *f, const struct sp_revocation_row *rows, size_t n) {
    feed_lock(f);
    for (size_t i = 0; i < n; i++) {
        const struct sp_feed_revocation r = sp_feed_revocation_of(&rows[i]);
        backlog_add(&f->backlog, &r);
    }
    feed_unlock(f);
    return SP_SUCCESS;
}

/* Rows that do not end where the chain stands are not its tail. */
void sp_feed_load_position(struct sp_feed *f, const uint8_t epoch[SP_FEED_EPOCH_BYTES], uint64_t seq,
                           const uint8_t head[SP_FEED_HEAD_BYTES]) {
    feed_lock(f);
    memcpy(f->at.epoch, epoch, sizeof(f->at.epoch));
    f->at.seq = seq;
    memcpy(f->head, head, sizeof(f->head));
    struct feed_backlog *b = &f->backlog;
    if (b->n != 0 && backlog_at(b, b->n - 1)->seq != seq) b->n = 0;
    feed_unlock(f);
}

void sp_feed_publish_revocation(struct sp_feed *f, const struct sp_revocation_row *row,
                                const uint8_t head[SP_FEED_HEAD_BYTES]) {
    const struct sp_feed_revocation r = sp_feed_revocation_of(row);
    feed_lock(f);
    backlog_add(&f->backlog, &r);
    f->at.seq = r.seq;
    memcpy(f->head, head, sizeof(f->head));
    sp_feed_probe_published(f, r.seq);
    sp_feed_tell_watchers(f);
    feed_unlock(f);
}

/* The first seq that is there, or the one that comes next. */
static uint64_t backlog_begin(const struct sp_feed *f) {
    return f->backlog.n == 0 ? f->at.seq + 1 : backlog_at(&f->backlog, 0)->seq;
}

sp_status sp_feed_copy(struct sp_feed *f, uint64_t after_seq, uint64_t until_seq,
                       struct sp_feed_revocation *ret, size_t most, size_t *ret_n) {
    sp_status s = SP_SUCCESS;
    feed_lock(f);
    const uint64_t begin = backlog_begin(f);
    if (until_seq > f->at.seq) until_seq = f->at.seq;
    if (after_seq > f->at.seq) {
        s = sp_err(SP_E_CONFLICT);
    } else if (after_seq + 1 < begin) {
        s = sp_err(SP_E_NOT_FOUND);
    } else {
        size_t n = until_seq > after_seq ? (size_t)(until_seq - after_seq) : 0;
        if (n > most) n = most;
        for (size_t i = 0; i < n; i++) ret[i] = *backlog_at(&f->backlog, (size_t)(after_seq + 1 - begin) + i);
        *ret_n = n;
    }
    feed_unlock(f);
    return s;
}

const char *sp_feed_why_not(struct sp_feed *f, const struct sp_feed_position *from) {
    const char *why = NULL;
    feed_lock(f);
    if (memcmp(from->epoch, f->at.epoch, sizeof(from->epoch)) != 0) {
        why = "epoch";
    } else if (from->seq > f->at.seq) {
        why = "ahead";
    } else if (from->seq + 1 < backlog_begin(f)) {
        why = "backlog";
    }
    feed_unlock(f);
    return why;
}

/* ---- watchers ---- */

static void watcher_run(struct sp_task *task) {
    struct sp_feed_watcher *w = SP_CONTAINER_OF(task, struct sp_feed_watcher, task);
    /* Before it looks: what is published from here on posts it again. */
    atomic_store(&w->posted, false);
    if (w->news != NULL) w->news(w);
}

void sp_feed_tell_watchers(struct sp_feed *f) {
    for (struct sp_feed_watcher *w = f->watchers; w != NULL; w = w->next) {
        if (!atomic_exchange(&w->posted, true)) sp_executor_post(w->executor, &w->task);
    }
}

void sp_feed_watch(struct sp_feed *f, struct sp_feed_watcher *w) {
    w->task.run = watcher_run;
    atomic_init(&w->posted, false);
    feed_lock(f);
    w->next = f->watchers;
    f->watchers = w;
    feed_unlock(f);
}

void sp_feed_unwatch(struct sp_feed *f, struct sp_feed_watcher *w) {
    feed_lock(f);
    struct sp_feed_watcher **at = &f->watchers;
    while (*at != NULL && *at != w) at = &(*at)->next;
    if (*at != NULL) *at = w->next;
    feed_unlock(f);
    w->news = NULL; /* a task that is under way finds nothing to call: it runs on this very thread */
}

/* ---- frames ---- */

static void take_frame(struct sp_feed *f, struct sp_feed_frame *ret) {
    feed_lock(f);
    ret->at = f->at;
    ret->beat.seq = f->at.seq;
    memcpy(ret->beat.head, f->head, sizeof(f->head));
    ret->roles = f->roles_document;
    ret->keys = f->keys_document;
    atomic_fetch_add(&ret->roles->refs, 1);
    atomic_fetch_add(&ret->keys->refs, 1);
    feed_unlock(f);
    memcpy(ret->beat.node, f->node, sizeof(f->node));
    memcpy(ret->beat.roles, ret->roles->digest, SP_FEED_DIGEST_BYTES);
    memcpy(ret->beat.keys, ret->keys->digest, SP_FEED_DIGEST_BYTES);
}

void sp_feed_frame_done(struct sp_feed_frame *frame) {
    sp_feed_document_unref(frame->roles);
    sp_feed_document_unref(frame->keys);
    frame->roles = frame->keys = NULL;
}

void sp_feed_look(struct sp_feed *f, struct sp_feed_frame *ret) {
    memset(ret, 0, sizeof(*ret));
    take_frame(f, ret);
}

sp_status sp_feed_beat(struct sp_feed *f, struct sp_feed_frame *ret) {
    struct sp_feed_frame frame;
    struct sp_feed_signed text;
    memset(&frame, 0, sizeof(frame));
    /* First the clock, then the rest: whoever had an answer before this moment is in what follows. */
    frame.beat.boot_ms = (uint64_t)sp_clock_boot_ms(&f->clock);
    take_frame(f, &frame);
    sp_status s = sp_feed_signed_beat(SP_TEXT_SLICE(&f->issuer), frame.at.epoch, &frame.beat, &text);
    if (sp_ok(s)) s = sp_feed_sign(f, &text, frame.beat.kid, frame.beat.signature);
    if (!sp_ok(s)) {
        sp_feed_frame_done(&frame);
        return s;
    }
    feed_lock(f);
    f->counts.beats++;
    feed_unlock(f);
    *ret = frame;
    return SP_SUCCESS;
}

void sp_feed_hello(struct sp_feed *f, struct sp_feed_hello *ret) {
    feed_lock(f);
    *ret = (struct sp_feed_hello){
        .issuer = SP_TEXT_SLICE(&f->issuer), .seq = f->at.seq, .beat_ms = SP_FEED_BEAT_MS};
    memcpy(ret->epoch, f->at.epoch, sizeof(ret->epoch));
    feed_unlock(f);
    memcpy(ret->node, f->node, sizeof(ret->node));
}

sp_status sp_feed_answer_nonce(struct sp_feed *f, const uint8_t nonce[SP_FEED_NONCE_BYTES],
                               struct sp_feed_nonce_answer *ret) {
    struct sp_feed_nonce_answer a;
    struct sp_feed_signed text;
    memset(&a, 0, sizeof(a));
    memcpy(a.nonce, nonce, sizeof(a.nonce));
    memcpy(a.node, f->node, sizeof(a.node));
    /* Rounded up: a later S claims less freshness. */
    a.boot_ms = (uint64_t)sp_clock_boot_ms(&f->clock) + 1;
    feed_lock(f);
    memcpy(a.epoch, f->at.epoch, sizeof(a.epoch));
    f->counts.nonces++;
    feed_unlock(f);
    SP_TRY(sp_feed_signed_nonce(SP_TEXT_SLICE(&f->issuer), &a, &text));
    SP_TRY(sp_feed_sign(f, &text, a.kid, a.signature));
    *ret = a;
    return SP_SUCCESS;
}

void sp_feed_count_reset(struct sp_feed *f) {
    feed_lock(f);
    f->counts.resets++;
    feed_unlock(f);
}
