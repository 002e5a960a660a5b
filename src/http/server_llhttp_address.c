/* Connections by client address: an exact count in an open-addressed table of 64-bit keyed hashes.
 *
 * The seed is the server's own, so that nobody can choose addresses which meet in one slot. Two addresses
 * with the same hash would share a count: at 10,000 connections once in 10^11 servers. The table never grows:
 * it has four slots for each possible connection. Deleting shifts the cluster back, so there are no
 * tombstones to fill it. */
#include "http/server_llhttp.h"

#include "base/assert.h"

sp_status sp_http_address_init(struct address_table *t, size_t connections_max) {
    size_t n = 64;
    while (n < 4 * connections_max) n *= 2;
    t->slots = calloc(n, sizeof(t->slots[0]));
    if (t->slots == NULL) return sp_err(SP_E_NOMEM);
    t->mask = n - 1;
    return sp_random_fill(&sp_random_system, t->seed, sizeof(t->seed));
}

void sp_http_address_done(struct address_table *t) {
    free(t->slots);
    t->slots = NULL;
}

/* One round of multiply-and-fold with a secret on both sides; the input has at most 8 bytes. */
static uint64_t key_of(const struct address_table *t, const void *address, size_t n) {
    uint64_t v = 0;
    memcpy(&v, address, n);
    const __uint128_t m = (__uint128_t)(v ^ t->seed[0]) * (t->seed[1] ^ n ^ UINT64_C(0x9e3779b97f4a7c15));
    const uint64_t h = (uint64_t)m ^ (uint64_t)(m >> 64);
    return h == 0 ? 1 : h;
}

static size_t find(const struct address_table *t, uint64_t key) {
    size_t i = key & t->mask;
    while (t->slots[i].key != 0 && t->slots[i].key != key) i = (i + 1) & t->mask;
    return i;
}

bool sp_http_address_enter(struct address_table *t, const void *address, size_t n, size_t max,
                           uint64_t *ret_key) {
    const uint64_t key = key_of(t, address, n);
    const size_t i = find(t, key);
    if (t->slots[i].key == key && t->slots[i].n >= max) return false;
    t->slots[i].key = key;
    t->slots[i].n++;
    *ret_key = key;
    return true;
}

static void remove_slot(struct address_table *t, size_t hole) {
    for (size_t i = (hole + 1) & t->mask; t->slots[i].key != 0; i = (i + 1) & t->mask) {
        const size_t home = t->slots[i].key & t->mask;
        if (((i - home) & t->mask) < ((i - hole) & t->mask)) continue; /* must not move before its home */
        t->slots[hole] = t->slots[i];
        hole = i;
    }
    t->slots[hole].key = 0;
    t->slots[hole].n = 0;
}

void sp_http_address_leave(struct address_table *t, uint64_t key) {
    const size_t i = find(t, key);
    sp_assert(t->slots[i].key == key && t->slots[i].n > 0);
    if (--t->slots[i].n == 0) remove_slot(t, i);
}
