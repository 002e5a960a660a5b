/* Who follows the feed, and what they have confirmed; who waits to hear of it is in feed_receipts.c.
 *
 * A verifier has a seat in a table that grows, found by a hash of its name. Names come from whoever holds a
 * credential: the hash is keyed, and the table has a maximum. A seat is given up by saying goodbye, after a
 * day of silence, or to a newcomer when all are taken: that of a verifier that is neither connected nor live,
 * or else one of the credential that has the most, if the newcomer's has at least two fewer. So nobody with a
 * credential of his own can push the verifiers of others out of receipts by making up names.
 *
 * Turned down: seats in the store (a restart would know who was there, but not what they have applied since,
 * and within seconds everybody who is alive has said so again). */
#include "base/assert.h"
#include "core/feed_internal.h"

enum { SEATS_FIRST = 16 };
_Static_assert(SP_FEED_VERIFIERS_MAX < UINT16_MAX, "the index holds seat + 1");

/* ---- seats ---- */

static uint64_t hash_of(const struct sp_feed *f, sp_slice client, sp_slice instance) {
    uint8_t name[sizeof(((struct feed_seat *)0)->client.s) + 1 + SP_FEED_INSTANCE_BYTES_MAX];
    memcpy(name, client.p, client.n);
    name[client.n] = '/'; /* in neither */
    memcpy(name + client.n + 1, instance.p, instance.n);
    return sp_siphash(f->node, sp_slice_of(name, client.n + 1 + instance.n));
}

static uint64_t hash_of_client(const struct sp_feed *f, sp_slice client) {
    return sp_siphash(f->node, client);
}

static size_t index_mask(const struct sp_feed *f) {
    return 2 * f->verifiers_cap - 1;
}
static void index_add(struct sp_feed *f, size_t seat) {
    size_t at = f->verifiers[seat].hash & index_mask(f);
    while (f->index[at] != 0) at = (at + 1) & index_mask(f);
    f->index[at] = (uint16_t)(seat + 1);
}
static void index_build(struct sp_feed *f) {
    memset(f->index, 0, 2 * f->verifiers_cap * sizeof(*f->index));
    for (size_t i = 0; i < f->verifiers_cap; i++) {
        if (f->verifiers[i].taken) index_add(f, i);
    }
}

static struct feed_seat *find(const struct sp_feed *f, sp_slice client, sp_slice instance) {
    if (f->verifiers_cap == 0) return NULL;
    const uint64_t hash = hash_of(f, client, instance);
    for (size_t at = hash & index_mask(f); f->index[at] != 0; at = (at + 1) & index_mask(f)) {
        struct feed_seat *v = &f->verifiers[f->index[at] - 1];
        if (v->hash == hash && sp_slice_eq(SP_TEXT_SLICE(&v->client), client) &&
            sp_slice_eq(SP_TEXT_SLICE(&v->instance), instance))
            return v;
    }
    return NULL;
}

static bool grow(struct sp_feed *f) {
    const size_t cap = f->verifiers_cap == 0 ? SEATS_FIRST : 2 * f->verifiers_cap;
    if (cap > SP_FEED_VERIFIERS_MAX) return false;
    struct feed_seat *seats = calloc(cap, sizeof(*seats));
    uint16_t *index = calloc(2 * cap, sizeof(*index));
    if (seats == NULL || index == NULL) {
        free(seats);
        free(index);
        return false;
    }
    if (f->verifiers_cap != 0) memcpy(seats, f->verifiers, f->verifiers_cap * sizeof(*seats));
    free(f->verifiers);
    free(f->index);
    f->verifiers = seats;
    f->index = index;
    f->verifiers_cap = cap;
    index_build(f);
    return true;
}

/* As long as it may let anybody in: after an acknowledgement it may have heard beats, until the next one was
 * due (docs/feed.md), and is fresh for its staleness from the last of them. */
bool sp_feed_is_live(const struct feed_seat *v, int64_t boot_ms) {
    const int64_t staleness_ms = (int64_t)v->max_staleness_s * 1000;
    return v->taken && v->has_acked &&
           boot_ms - v->acked_boot_ms <= staleness_ms + sp_feed_ack_period_ms(staleness_ms);
}
static bool is_idle(const struct feed_seat *v, int64_t boot_ms) {
    return v->taken && v->streams == 0 && !sp_feed_is_live(v, boot_ms);
}

/* ---- a full table ---- */

enum { SHARES = 2 * SP_FEED_VERIFIERS_MAX };
struct shares {
    uint16_t first[SHARES];            /* by hash of the client: its first seat + 1 */
    uint16_t n[SP_FEED_VERIFIERS_MAX]; /* by first seat: how many there are of this client */
};

/* Where a client is, or would be. */
static size_t share_at(const struct sp_feed *f, const struct shares *s, uint64_t client_hash) {
    size_t at = client_hash % SHARES;
    while (s->first[at] != 0 && f->verifiers[s->first[at] - 1].client_hash != client_hash)
        at = (at + 1) % SHARES;
    return at;
}

/* Returns the first seat of the client that has the most. */
static size_t count_shares(const struct sp_feed *f, struct shares *ret) {
    size_t most = 0;
    memset(ret, 0, sizeof(*ret));
    sp_assert(f->verifiers != NULL);
    for (size_t i = 0; i < f->verifiers_cap; i++) {
        const size_t at = share_at(f, ret, f->verifiers[i].client_hash);
        if (ret->first[at] == 0) ret->first[at] = (uint16_t)(i + 1);
        const size_t first = ret->first[at] - 1u;
        if (++ret->n[first] > ret->n[most]) most = first;
    }
    return most;
}

/* All seats are taken: one of whoever has the most of them, unless that would only change who that is. */
static struct feed_seat *fair_seat(struct sp_feed *f, uint64_t client_hash) {
    struct shares shares;
    const size_t most = count_shares(f, &shares);
    const size_t first = shares.first[share_at(f, &shares, client_hash)];
    const unsigned mine = first == 0 ? 0 : shares.n[first - 1];
    struct feed_seat *found = NULL;
    if (shares.n[most] < mine + 2) return NULL;
    for (size_t i = most; i < f->verifiers_cap; i++) {
        struct feed_seat *v = &f->verifiers[i];
        if (v->client_hash != f->verifiers[most].client_hash) continue;
        if (found == NULL || v->heard_boot_ms < found->heard_boot_ms) found = v;
    }
    return found;
}

/* A free seat; when all are taken that of whoever is neither connected nor live, and was so for longest. */
static struct feed_seat *free_seat(struct sp_feed *f, int64_t boot_ms) {
    struct feed_seat *found = NULL;
    for (size_t i = 0; i < f->verifiers_cap; i++) {
        struct feed_seat *v = &f->verifiers[i];
        if (!v->taken) return v;
        if (is_idle(v, boot_ms) && (found == NULL || v->heard_boot_ms < found->heard_boot_ms)) found = v;
    }
    const size_t cap = f->verifiers_cap;
    if (grow(f)) return &f->verifiers[cap];
    return found;
}

static struct feed_seat *take_seat(struct sp_feed *f, sp_slice client, sp_slice instance, int64_t boot_ms) {
    struct feed_seat *v = find(f, client, instance);
    if (v != NULL) return v;
    const uint64_t client_hash = hash_of_client(f, client);
    v = free_seat(f, boot_ms);
    if (v == NULL && f->verifiers_cap == SP_FEED_VERIFIERS_MAX) v = fair_seat(f, client_hash);
    if (v == NULL) return NULL;
    const bool was_taken = v->taken;
    *v = (struct feed_seat){.taken = true,
                            .hash = hash_of(f, client, instance),
                            .client_hash = client_hash,
                            .heard_boot_ms = boot_ms,
                            .since_ms = sp_clock_wall_ms(&f->clock)};
    sp_assert(sp_ok(SP_TEXT_SET(&v->client, client)) && sp_ok(SP_TEXT_SET(&v->instance, instance)));
    if (was_taken) {
        sp_feed_seat_lost(f, (size_t)(v - f->verifiers));
        index_build(f);
    } else {
        index_add(f, (size_t)(v - f->verifiers));
    }
    return v;
}

static void leave_seat(struct sp_feed *f, struct feed_seat *v) {
    *v = (struct feed_seat){.taken = false};
    index_build(f);
}

void sp_feed_verifiers_done(struct sp_feed *f) {
    free(f->verifiers);
    free(f->index);
}

/* ---- acknowledgements ---- */

/* The index of the keys document with this digest, 0 when it is none of the last. */
static uint64_t keys_index_of(const struct sp_feed *f, const uint8_t *digest) {
    const uint64_t newest = f->keys_document->index;
    for (uint64_t i = newest; i != 0 && newest - i < FEED_KEYS_REMEMBERED; i--) {
        if (memcmp(f->keys_before[i % FEED_KEYS_REMEMBERED], digest, SP_FEED_DIGEST_BYTES) == 0) return i;
    }
    return 0;
}

static void note_ack(struct sp_feed *f, struct feed_seat *v, const struct sp_feed_ack *ack, int64_t boot_ms) {
    const bool has_roles = memcmp(f->roles_document->digest, ack->roles, SP_FEED_DIGEST_BYTES) == 0;
    const bool is_overtaken = v->has_acked && ack->at.seq < v->seq;
    if (!is_overtaken) {
        v->seq = ack->at.seq;
        v->roles_index = has_roles ? f->roles_document->index : 0;
        v->keys_index = keys_index_of(f, ack->keys);
    }
    v->has_acked = true;
    v->acked_boot_ms = v->heard_boot_ms = boot_ms;
    v->acked_ms = sp_clock_wall_ms(&f->clock);
    v->max_staleness_s = ack->max_staleness_s;
    (void)SP_TEXT_SET(&v->address, ack->address); /* for people: one that does not fit is left out */
}

/* An older acknowledgement that was overtaken on the way changes nothing but that the verifier lives. */
static sp_status acknowledge(struct sp_feed *f, const struct sp_feed_ack *ack) {
    const int64_t boot_ms = sp_clock_boot_ms(&f->clock);
    if (memcmp(ack->at.epoch, f->at.epoch, sizeof(f->at.epoch)) != 0 || ack->at.seq > f->at.seq)
        return sp_err(SP_E_CONFLICT);
    if (ack->leaving) {
        struct feed_seat *leaving = find(f, ack->client, ack->instance);
        if (leaving == NULL) return SP_SUCCESS;
        sp_feed_seat_confirmed(f, (size_t)(leaving - f->verifiers), UINT64_MAX);
        leave_seat(f, leaving);
        return SP_SUCCESS;
    }
    struct feed_seat *v = take_seat(f, ack->client, ack->instance, boot_ms);
    if (v == NULL) return sp_err(SP_E_BUSY);
    note_ack(f, v, ack, boot_ms);
    sp_feed_seat_confirmed(f, (size_t)(v - f->verifiers), v->seq);
    f->counts.acks++;
    return SP_SUCCESS;
}

sp_status sp_feed_acknowledge(struct sp_feed *f, const struct sp_feed_ack *ack) {
    feed_lock(f);
    sp_status s = acknowledge(f, ack);
    feed_unlock(f);
    return s;
}

void sp_feed_attach(struct sp_feed *f, sp_slice client, sp_slice instance, sp_slice address) {
    const int64_t boot_ms = sp_clock_boot_ms(&f->clock);
    feed_lock(f);
    f->counts.subscribers++;
    struct feed_seat *v = instance.n == 0 ? NULL : take_seat(f, client, instance, boot_ms);
    if (v != NULL) {
        v->streams++;
        v->heard_boot_ms = boot_ms;
        (void)SP_TEXT_SET(&v->address, address);
    }
    feed_unlock(f);
}

void sp_feed_detach(struct sp_feed *f, sp_slice client, sp_slice instance) {
    feed_lock(f);
    sp_assert(f->counts.subscribers != 0);
    f->counts.subscribers--;
    struct feed_seat *v = instance.n == 0 ? NULL : find(f, client, instance);
    if (v != NULL && v->streams != 0) {
        v->streams--;
        v->heard_boot_ms = sp_clock_boot_ms(&f->clock);
    }
    feed_unlock(f);
}

/* ---- looking ---- */

static void describe(const struct sp_feed *f, const struct feed_seat *v, int64_t boot_ms,
                     struct sp_feed_verifier *ret) {
    *ret = (struct sp_feed_verifier){.client = v->client,
                                     .instance = v->instance,
                                     .address = v->address,
                                     .is_live = sp_feed_is_live(v, boot_ms),
                                     .is_attached = v->streams != 0,
                                     .has_acked = v->has_acked,
                                     .seq = v->seq,
                                     .behind = v->has_acked ? f->at.seq - v->seq : 0,
                                     .has_roles = v->roles_index == f->roles_document->index,
                                     .has_keys = v->keys_index == f->keys_document->index,
                                     .since_ms = v->since_ms,
                                     .acked_ms = v->acked_ms,
                                     .max_staleness_s = v->max_staleness_s};
}

static int compare_names(const struct feed_seat *v, sp_slice client, sp_slice instance) {
    const int order = sp_slice_cmp(SP_TEXT_SLICE(&v->client), client);
    return order != 0 ? order : sp_slice_cmp(SP_TEXT_SLICE(&v->instance), instance);
}
static int compare_seats(const void *a, const void *b) {
    const struct feed_seat *const *x = a, *const *y = b;
    return compare_names(*x, SP_TEXT_SLICE(&(*y)->client), SP_TEXT_SLICE(&(*y)->instance));
}

size_t sp_feed_verifiers(struct sp_feed *f, sp_slice after_client, sp_slice after_instance,
                         struct sp_feed_verifier *ret, size_t most) {
    const struct feed_seat *found[SP_FEED_VERIFIERS_MAX];
    size_t n = 0;
    feed_lock(f);
    const int64_t boot_ms = sp_clock_boot_ms(&f->clock);
    for (size_t i = 0; i < f->verifiers_cap; i++) {
        const struct feed_seat *v = &f->verifiers[i];
        const bool from_start = after_client.n == 0;
        if (v->taken && (from_start || compare_names(v, after_client, after_instance) > 0)) found[n++] = v;
    }
    if (n > 1) qsort(found, n, sizeof(const void *), compare_seats);
    if (n > most) n = most;
    for (size_t i = 0; i < n; i++) describe(f, found[i], boot_ms, &ret[i]);
    feed_unlock(f);
    return n;
}

void sp_feed_count(struct sp_feed *f, struct sp_feed_counts *ret) {
    feed_lock(f);
    struct sp_feed_counts c = f->counts;
    const int64_t boot_ms = sp_clock_boot_ms(&f->clock);
    c.at = f->at;
    c.live = c.known = c.attached = 0;
    c.behind_max = 0;
    for (size_t i = 0; i < f->verifiers_cap; i++) {
        const struct feed_seat *v = &f->verifiers[i];
        c.known += v->taken;
        c.attached += v->taken && v->streams != 0;
        if (!sp_feed_is_live(v, boot_ms)) continue;
        c.live++;
        if (f->at.seq - v->seq > c.behind_max) c.behind_max = f->at.seq - v->seq;
    }
    feed_unlock(f);
    *ret = c;
}

bool sp_feed_keys_confirmed(struct sp_feed *f) {
    bool all = true;
    feed_lock(f);
    const int64_t boot_ms = sp_clock_boot_ms(&f->clock);
    for (size_t i = 0; i < f->verifiers_cap && all; i++) {
        const struct feed_seat *v = &f->verifiers[i];
        all = !sp_feed_is_live(v, boot_ms) || v->keys_index == f->keys_document->index;
    }
    feed_unlock(f);
    return all;
}

void sp_feed_tick(struct sp_feed *f) {
    bool any = false;
    feed_lock(f);
    const int64_t boot_ms = sp_clock_boot_ms(&f->clock);
    for (size_t i = 0; i < f->verifiers_cap; i++) {
        struct feed_seat *v = &f->verifiers[i];
        if (!is_idle(v, boot_ms) || boot_ms - v->heard_boot_ms <= (int64_t)SP_FEED_FORGET_S * 1000) continue;
        sp_feed_seat_lost(f, i);
        *v = (struct feed_seat){.taken = false};
        any = true;
    }
    if (any) index_build(f); /* once for all of them: a fleet falls silent together */
    sp_feed_probe_tick(f, boot_ms);
    feed_unlock(f);
}
