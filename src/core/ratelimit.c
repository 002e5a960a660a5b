#include "core/ratelimit.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/ip.h"
#include "crypto/digest.h"

enum {
    WAYS = 8,
    SETS = SP_RATELIMIT_BUCKETS / WAYS,
    V6_NETWORK_BYTES = 8, /* what one household or server has; who has more, has it by /64 */
    NAME_BYTES_MAX = 256, /* longer ones are hashed by what fits; names of users do */
};

struct bucket {
    uint64_t key;
    int64_t full_ms; /* at or before now: full, which is as good as free */
};

struct table {
    pthread_mutex_t mutex;  /* guards the buckets */
    struct bucket *buckets; /* SETS * WAYS */
    struct sp_throttle_rate rate;
};

struct sp_ratelimit {
    uint8_t hash_key[SP_SIPHASH_KEY_BYTES];
    struct table tables[SP_THROTTLE_CLASSES];
};

const char *sp_throttle_class_name(enum sp_throttle_class c) {
    static const char *const names[SP_THROTTLE_CLASSES] = {"account", "device", "address", "register",
                                                           "password"};
    sp_assert(c < SP_THROTTLE_CLASSES);
    return names[c];
}

/* ---- beginning and end ---- */

static sp_status fill_tables(struct sp_ratelimit *r, const struct sp_throttle_rate *rates) {
    for (size_t i = 0; i < SP_THROTTLE_CLASSES; i++) {
        if (rates[i].burst != 0 && rates[i].refill_ms <= 0) return sp_err(SP_E_MALFORMED);
        r->tables[i].rate = rates[i];
        if (rates[i].burst == 0) continue;
        r->tables[i].buckets = calloc(SP_RATELIMIT_BUCKETS, sizeof(struct bucket));
        if (r->tables[i].buckets == NULL) return sp_err(SP_E_NOMEM);
    }
    return SP_SUCCESS;
}

sp_status sp_ratelimit_new(const struct sp_throttle_rate rates[SP_THROTTLE_CLASSES],
                           const struct sp_random *random, struct sp_ratelimit **ret) {
    struct sp_ratelimit *r = calloc(1, sizeof(*r));
    if (r == NULL) return sp_err(SP_E_NOMEM);
    for (size_t i = 0; i < SP_THROTTLE_CLASSES; i++)
        sp_assert(pthread_mutex_init(&r->tables[i].mutex, NULL) == 0);
    sp_status s = sp_random_fill(random, r->hash_key, sizeof(r->hash_key));
    if (sp_ok(s)) s = fill_tables(r, rates);
    if (!sp_ok(s)) {
        sp_ratelimit_free(r);
        return s;
    }
    *ret = r;
    return SP_SUCCESS;
}

void sp_ratelimit_free(struct sp_ratelimit *r) {
    if (r == NULL) return;
    for (size_t i = 0; i < SP_THROTTLE_CLASSES; i++) {
        pthread_mutex_destroy(&r->tables[i].mutex);
        free(r->tables[i].buckets);
    }
    free(r);
}

/* ---- keys ---- */

uint64_t sp_ratelimit_key(const struct sp_ratelimit *r, enum sp_throttle_class c, sp_slice name) {
    uint8_t in[1 + NAME_BYTES_MAX] = {(uint8_t)c};
    size_t n = name.n < NAME_BYTES_MAX ? name.n : NAME_BYTES_MAX;
    if (n != 0) memcpy(in + 1, name.p, n);
    return sp_siphash(r->hash_key, sp_slice_of(in, 1 + n));
}

uint64_t sp_ratelimit_address_key(const struct sp_ratelimit *r, enum sp_throttle_class c, sp_slice address) {
    sp_ip ip;
    if (!sp_ok(sp_ip_parse(address, &ip))) return sp_ratelimit_key(r, c, address);
    return sp_ratelimit_key(r, c, sp_slice_of(ip.b, sp_ip_is_v4(&ip) ? sizeof(ip.b) : V6_NETWORK_BYTES));
}

/* ---- buckets ---- */

/* NULL: the bucket is full. Under the mutex, as are the two below. */
static struct bucket *look_up(struct table *t, uint64_t key, int64_t now_ms) {
    struct bucket *set = &t->buckets[(key % SETS) * WAYS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key && set[i].full_ms > now_ms) return &set[i];
    }
    return NULL;
}

/* A place for a bucket that was full: the one that is nearest to full is given up, if it is not full already.
 */
static struct bucket *make_room(struct table *t, uint64_t key) {
    struct bucket *set = &t->buckets[(key % SETS) * WAYS], *cheapest = set;
    for (size_t i = 1; i < WAYS; i++) {
        if (set[i].full_ms < cheapest->full_ms) cheapest = &set[i];
    }
    cheapest->key = key;
    return cheapest;
}

static int64_t take(struct table *t, uint64_t key, int64_t now_ms) {
    const int64_t empty_ms = now_ms + (int64_t)t->rate.burst * t->rate.refill_ms;
    struct bucket *b = look_up(t, key, now_ms);
    const int64_t full_ms = (b == NULL ? now_ms : b->full_ms) + t->rate.refill_ms;
    if (full_ms > empty_ms) return full_ms - empty_ms;
    if (b == NULL) b = make_room(t, key);
    b->full_ms = full_ms;
    return 0;
}

int64_t sp_ratelimit_take(struct sp_ratelimit *r, enum sp_throttle_class c, uint64_t key, int64_t now_ms) {
    sp_assert(c < SP_THROTTLE_CLASSES);
    struct table *t = &r->tables[c];
    if (t->rate.burst == 0) return 0;
    pthread_mutex_lock(&t->mutex);
    int64_t wait_ms = take(t, key, now_ms);
    pthread_mutex_unlock(&t->mutex);
    return wait_ms;
}

void sp_ratelimit_refund(struct sp_ratelimit *r, enum sp_throttle_class c, uint64_t key, int64_t now_ms) {
    sp_assert(c < SP_THROTTLE_CLASSES);
    struct table *t = &r->tables[c];
    if (t->rate.burst == 0) return;
    pthread_mutex_lock(&t->mutex);
    struct bucket *b = look_up(t, key, now_ms);
    if (b != NULL) b->full_ms -= t->rate.refill_ms;
    pthread_mutex_unlock(&t->mutex);
}
