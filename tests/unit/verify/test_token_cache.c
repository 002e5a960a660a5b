#include <pthread.h>

#include "support.h"

struct cache {
    struct sp_reclaim *reclaim;
    struct sp_reclaim_reader *reader;
    struct sp_token_cache *c;
};

/* splitmix64: another number for each n. */
static uint64_t spread(uint64_t n) {
    uint64_t z = (n + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The same key in every run. Under one in some thousand more tokens in use than a bucket holds want to be in
 * one, and what is counted below would be chance. */
static sp_status same_key(void *arg, void *p, size_t n) {
    (void)arg;
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = (uint8_t)spread(i << 32);
    return SP_SUCCESS;
}

static struct cache cache_new(size_t bytes) {
    static const struct sp_random random = {same_key, NULL};
    struct cache k = {0};
    assert_true(sp_ok(sp_reclaim_new(4, &k.reclaim)));
    assert_true(sp_ok(sp_reclaim_reader_join(k.reclaim, &k.reader)));
    assert_true(sp_ok(sp_token_cache_new(bytes, k.reclaim, &random, &k.c)));
    return k;
}
static void cache_done(struct cache *k) {
    sp_token_cache_free(k->c);
    sp_reclaim_reader_leave(k->reclaim, k->reader);
    sp_reclaim_free(k->reclaim);
}
static struct sp_token_cache_stats cache_stats(struct cache *k) {
    struct sp_token_cache_stats st;
    sp_token_cache_stats(k->c, &st);
    return st;
}

/* What the cache holds need not be a token: only bytes with an end that tells them apart, as even as that of
 * a signature. */
#define TEXT_BYTES 400
static sp_slice text_of(uint32_t n, char *buf) {
    memset(buf, 'x', TEXT_BYTES);
    (void)snprintf(buf + TEXT_BYTES - 17, 17, "%016llx", (unsigned long long)spread(n));
    return sp_slice_of(buf, TEXT_BYTES);
}
static void insert_text(struct cache *k, sp_slice text, uint32_t n, uint64_t identity, int64_t exp) {
    struct ids ids = make_ids(n, n);
    struct sp_claims claims = make_claims(&ids);
    struct sp_token_facts facts = {.key_identity = identity, .addressee = SP_REJECT_NONE};
    uint8_t block[SP_PAYLOAD_BYTES_MAX];
    claims.exp = exp;
    assert_true(sp_ok(sp_claims_pack(&claims, block, &facts.claims)));
    sp_token_cache_insert(k->c, NULL, text, &facts, sp_slice_of(block, sp_claims_bytes(&claims)), T0);
}
static void insert(struct cache *k, uint32_t n, uint64_t identity, int64_t exp) {
    char buf[TEXT_BYTES];
    insert_text(k, text_of(n, buf), n, identity, exp);
}
static void assert_says(const struct sp_cached_token *e, uint32_t n) {
    struct ids ids = make_ids(n, n);
    struct sp_claims claims;
    sp_claims_unpack(&e->facts->claims, e->block.p, &claims);
    assert_true(sp_slice_eq_cstr(claims.iss, ISSUER));
    assert_true(sp_slice_eq(claims.jti, SP_SLICE_ARRAY(ids.jti_text)));
    assert_true(sp_slice_eq_cstr(claims.permissions, "orders:read orders:write"));
}
/* The identity of the key under which the token stands there, 0 when it does not. */
static uint64_t find(struct cache *k, uint32_t n) {
    char buf[TEXT_BYTES];
    struct sp_cached_token e;
    uint64_t identity = 0;
    sp_reclaim_enter(k->reader);
    if (sp_token_cache_find(k->c, NULL, text_of(n, buf), &e)) {
        identity = e.facts->key_identity;
        assert_says(&e, n);
    }
    sp_reclaim_exit(k->reader);
    return identity;
}

static void inserted_token_is_found_and_no_other(void **state) {
    (void)state;
    struct cache k = cache_new(SP_TOKEN_CACHE_BYTES_MIN);
    insert(&k, 1, 5, T0 + 9);
    assert_int_equal(find(&k, 1), 5);
    assert_int_equal(find(&k, 2), 0);
    cache_done(&k);
}

static void same_tail_with_another_head_is_not_found(void **state) {
    (void)state;
    struct cache k = cache_new(SP_TOKEN_CACHE_BYTES_MIN);
    char buf[TEXT_BYTES];
    insert(&k, 1, 5, T0 + 9);
    sp_slice text = text_of(1, buf);
    struct sp_cached_token e;
    sp_reclaim_enter(k.reader);
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        buf[i] ^= 1;
        assert_false(sp_token_cache_find(k.c, NULL, text, &e));
        buf[i] ^= 1;
    }
    assert_false(sp_token_cache_find(k.c, NULL, sp_slice_of(buf + 1, TEXT_BYTES - 1), &e));
    assert_false(sp_token_cache_find(k.c, NULL, sp_slice_of(buf, SP_TOKEN_CACHE_TAIL_BYTES - 1), &e));
    assert_false(sp_token_cache_find(k.c, NULL, SP_SLICE_EMPTY, &e));
    assert_true(sp_token_cache_find(k.c, NULL, text, &e));
    sp_reclaim_exit(k.reader);
    cache_done(&k);
}

static void token_under_a_new_key_replaces_itself(void **state) {
    (void)state;
    struct cache k = cache_new(SP_TOKEN_CACHE_BYTES_MIN);
    insert(&k, 1, 5, T0 + 9);
    insert(&k, 1, 6, T0 + 9);
    assert_int_equal(find(&k, 1), 6);
    assert_int_equal(cache_stats(&k).entries, 1);
    cache_done(&k);
}

static void flood_of_valid_tokens_stays_within_the_bytes(void **state) {
    (void)state;
    struct cache k = cache_new(SP_TOKEN_CACHE_BYTES_MIN);
    for (uint32_t n = 1; n < 5000; n++) {
        insert(&k, n, 5, T0 + 9);
        assert_true(cache_stats(&k).bytes <= SP_TOKEN_CACHE_BYTES_MIN);
    }
    assert_true(cache_stats(&k).evictions > 1000);
    assert_true(cache_stats(&k).entries > 10);
    cache_done(&k);
}

/* A reader that stays inside holds back what is evicted: the bound holds all the same. */
static void bound_holds_while_nothing_can_be_reclaimed(void **state) {
    (void)state;
    struct cache k = cache_new(SP_TOKEN_CACHE_BYTES_MIN);
    sp_reclaim_enter(k.reader);
    for (uint32_t n = 1; n < 2000; n++) {
        insert(&k, n, 5, T0 + 9);
        assert_true(cache_stats(&k).bytes <= SP_TOKEN_CACHE_BYTES_MIN);
    }
    assert_true(cache_stats(&k).skipped > 0);
    sp_reclaim_exit(k.reader);
    (void)sp_reclaim_collect(k.reclaim);
    insert(&k, 2000, 5, T0 + 9);
    assert_int_equal(find(&k, 2000), 5);
    cache_done(&k);
}

static void tokens_in_use_survive_a_flood(void **state) {
    (void)state;
    struct cache k = cache_new(4 * SP_TOKEN_CACHE_BYTES_MIN);
    uint32_t kept = 0;
    for (uint32_t n = 1; n <= 20; n++) insert(&k, n, 5, T0 + 9);
    for (uint32_t n = 1000; n < 4000; n++) {
        insert(&k, n, 5, T0 + 9);
        for (uint32_t hot = 1; hot <= 20; hot++) (void)find(&k, hot);
    }
    for (uint32_t hot = 1; hot <= 20; hot++) kept += find(&k, hot) != 0;
    assert_in_range(kept, 15, 20);
    cache_done(&k);
}

static void expired_tokens_go_before_those_in_use(void **state) {
    (void)state;
    struct cache k = cache_new(4 * SP_TOKEN_CACHE_BYTES_MIN);
    uint32_t kept = 0;
    for (uint32_t n = 1; n <= 100; n++) {
        insert(&k, n, 5, n % 2 != 0 ? T0 - 61 : T0 + 9);
        (void)find(&k, n);
    }
    for (uint32_t n = 1000; n < 1090; n++) insert(&k, n, 5, T0 + 9);
    for (uint32_t n = 2; n <= 100; n += 2) kept += find(&k, n) != 0;
    assert_true(kept >= 40);
    cache_done(&k);
}

static void evicted_token_stays_readable_until_its_reader_exits(void **state) {
    (void)state;
    struct cache k = cache_new(SP_TOKEN_CACHE_BYTES_MIN);
    char buf[TEXT_BYTES];
    insert(&k, 1, 5, T0 + 9);
    sp_reclaim_enter(k.reader);
    struct sp_cached_token e;
    assert_true(sp_token_cache_find(k.c, NULL, text_of(1, buf), &e));
    for (uint32_t n = 2; n < 500; n++) insert(&k, n, 5, T0 + 9);
    assert_says(&e, 1);
    sp_reclaim_exit(k.reader);
    cache_done(&k);
}

static void cache_may_end_before_what_waits_is_reclaimed(void **state) {
    (void)state;
    struct cache k = cache_new(SP_TOKEN_CACHE_BYTES_MIN);
    struct sp_reclaim_reader *other = NULL;
    assert_true(sp_ok(sp_reclaim_reader_join(k.reclaim, &other)));
    sp_reclaim_enter(other); /* a reader of something else that shares the reclaim */
    for (uint32_t n = 1; n < 500; n++) insert(&k, n, 5, T0 + 9);
    assert_true(sp_reclaim_pending(k.reclaim) > 0);
    sp_token_cache_free(sp_steal(&k.c));
    sp_reclaim_exit(other);
    assert_int_equal(sp_reclaim_collect(k.reclaim), 0);
    cache_done(&k);
}

/* Tokens that come again and again, a third of the cache, beside ten times the cache of valid ones that come
 * once. Who misses is verified and inserted, as by the verifier; so much for the first quarter. */
static void flood_of_valid_tokens_does_not_wash_out_those_in_use(void **state) {
    (void)state;
    enum { IN_USE = 400, FLOOD = 16000 };
    struct cache k = cache_new(CACHE_BYTES);
    uint32_t missed = 0;
    for (uint32_t n = 0; n < FLOOD; n++) {
        uint32_t in_use = 1 + n % IN_USE;
        insert(&k, 100000 + n, 5, T0 + 9);
        if (find(&k, in_use) != 0) continue;
        insert(&k, in_use, 5, T0 + 9);
        missed += n >= FLOOD / 4;
    }
    assert_true(missed < FLOOD / 100);
    assert_true(cache_stats(&k).evictions > FLOOD / 2);
    cache_done(&k);
}

/* Every token asked for all the time: a segment that is emptied must still make room. */
static void cache_full_of_tokens_in_use_takes_new_ones(void **state) {
    (void)state;
    struct cache k = cache_new(SP_TOKEN_CACHE_BYTES_MIN);
    for (uint32_t n = 1; n <= 2000; n++) {
        insert(&k, n, 5, T0 + 9);
        assert_int_equal(find(&k, n), 5);
        for (uint32_t old = n > 60 ? n - 60 : 1; old < n; old++) (void)find(&k, old);
    }
    assert_int_equal(cache_stats(&k).skipped, 0);
    cache_done(&k);
}

/* What an attacker could do best: many tokens with one tail. They share a bucket and a tag, and none is ever
 * taken for another. */
static void many_tokens_with_one_tail_are_told_apart(void **state) {
    (void)state;
    struct cache k = cache_new(CACHE_BYTES);
    char buf[TEXT_BYTES];
    uint32_t found = 0;
    for (uint32_t n = 1; n <= 100; n++) {
        sp_slice text = text_of(7, buf);
        (void)snprintf(buf, 9, "%08x", n);
        insert_text(&k, text, n, n, T0 + 9);
    }
    sp_reclaim_enter(k.reader);
    for (uint32_t n = 1; n <= 200; n++) {
        struct sp_cached_token e;
        sp_slice text = text_of(7, buf);
        (void)snprintf(buf, 9, "%08x", n);
        if (!sp_token_cache_find(k.c, NULL, text, &e)) continue;
        assert_int_equal(e.facts->key_identity, n);
        assert_says(&e, n);
        found++;
    }
    sp_reclaim_exit(k.reader);
    assert_in_range(found, 1, 8); /* as many as a bucket holds */
    cache_done(&k);
}

/* Tokens of every length, up to the longest, and one byte more: what fits is found whole, what does not is
 * counted. */
static void tokens_of_every_length_are_found_or_skipped(void **state) {
    (void)state;
    struct cache k = cache_new(4 * CACHE_BYTES);
    static char text[SP_TOKEN_BYTES_MAX + 1];
    memset(text, 'x', sizeof text);
    for (size_t n = SP_TOKEN_CACHE_TAIL_BYTES; n <= SP_TOKEN_BYTES_MAX; n += 101) {
        struct sp_cached_token e;
        (void)snprintf(text + n - 8, 9, "%08zx", n);
        insert_text(&k, sp_slice_of(text, n), (uint32_t)n, 5, T0 + 9);
        sp_reclaim_enter(k.reader);
        assert_true(sp_token_cache_find(k.c, NULL, sp_slice_of(text, n), &e));
        assert_says(&e, (uint32_t)n);
        sp_reclaim_exit(k.reader);
        memset(text + n - 8, 'x', 9);
    }
    uint64_t entries = cache_stats(&k).entries;
    insert_text(&k, sp_slice_of(text, sizeof text), 1, 5, T0 + 9);
    insert_text(&k, sp_slice_of(text, SP_TOKEN_CACHE_TAIL_BYTES - 1), 1, 5, T0 + 9);
    assert_int_equal(cache_stats(&k).entries, entries);
    cache_done(&k);
}

/* Against a model that knows, for every token ever inserted, under which key it stood there last: what is
 * found is that, whatever was evicted, moved, replaced or reclaimed in between; and the bytes stay within
 * bounds. */
#define MODEL_TOKENS 3000
#define MODEL_STEPS 60000
struct model {
    struct cache k;
    uint64_t identity[MODEL_TOKENS]; /* 0: never inserted */
    uint64_t random;
    size_t bytes, found;
};

static uint32_t draw(struct model *m, uint32_t n) {
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(m->random >> 33) % n;
}
/* A few often, most seldom. */
static uint32_t draw_token(struct model *m) {
    return draw(m, 2) == 0 ? draw(m, 40) : draw(m, MODEL_TOKENS);
}

static void model_step(struct model *m) {
    uint32_t n = draw_token(m);
    if (draw(m, 4) == 0) {
        uint64_t before = cache_stats(&m->k).skipped;
        uint64_t identity = draw(m, 10) == 0 ? m->identity[n] + 1 : m->identity[n] + (m->identity[n] == 0);
        insert(&m->k, n, identity, draw(m, 8) == 0 ? T0 - 100 : T0 + 9);
        if (cache_stats(&m->k).skipped == before) m->identity[n] = identity;
    } else {
        uint64_t identity = find(&m->k, n);
        m->found += identity != 0;
        assert_true(identity == 0 || identity == m->identity[n]);
    }
    assert_true(cache_stats(&m->k).bytes <= m->bytes);
}

static void model_run(size_t bytes, uint64_t seed, bool reader_lingers) {
    static struct model m;
    struct sp_reclaim_reader *other = NULL;
    memset(&m, 0, sizeof m);
    m = (struct model){.k = cache_new(bytes), .random = seed, .bytes = bytes};
    assert_true(sp_ok(sp_reclaim_reader_join(m.k.reclaim, &other)));
    for (size_t i = 0; i < MODEL_STEPS; i++) {
        if (reader_lingers && i % 5000 == 100) sp_reclaim_enter(other);
        if (reader_lingers && i % 5000 == 3000) sp_reclaim_exit(other);
        model_step(&m);
    }
    struct sp_token_cache_stats st = cache_stats(&m.k);
    assert_true(m.found > MODEL_STEPS / 10);
    assert_int_equal(reader_lingers, st.skipped != 0);
    assert_true(st.evictions != 0 && st.entries < MODEL_TOKENS);
    sp_reclaim_reader_leave(m.k.reclaim, other);
    cache_done(&m.k);
}

static void random_operations_agree_with_a_model(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        model_run(SP_TOKEN_CACHE_BYTES_MIN, seed, false);
        model_run(SP_TOKEN_CACHE_BYTES_MIN + 12345, seed, true);
        model_run(CACHE_BYTES, seed, false);
    }
}

/* Threads insert and find in a cache that is always too small; what is found must be whole, under whichever
 * key. For the thread sanitizer above all. */
#define RACE_STEPS 20000
struct race {
    struct cache k;
    _Atomic size_t wrong, found;
};

static void race_find(struct race *race, struct sp_reclaim_reader *reader, uint32_t n) {
    char buf[TEXT_BYTES];
    struct sp_cached_token e;
    struct ids ids = make_ids(n, n);
    struct sp_claims claims;
    sp_reclaim_enter(reader);
    if (sp_token_cache_find(race->k.c, NULL, text_of(n, buf), &e)) {
        sp_claims_unpack(&e.facts->claims, e.block.p, &claims);
        bool right =
            sp_slice_eq(claims.jti, SP_SLICE_ARRAY(ids.jti_text)) && e.facts->key_identity % 7 == n % 7;
        atomic_fetch_add(&race->wrong, !right);
        atomic_fetch_add(&race->found, 1);
    }
    sp_reclaim_exit(reader);
}

static void *race_run(void *arg) {
    struct race *race = arg;
    struct sp_reclaim_reader *reader = NULL;
    if (!sp_ok(sp_reclaim_reader_join(race->k.reclaim, &reader))) return NULL;
    for (uint32_t i = 0, at = (uint32_t)(uintptr_t)&reader; i < RACE_STEPS; i++, at = at * 69069 + 1) {
        uint32_t n = 1 + (at >> 16) % ((at >> 8) % 2 == 0 ? 20 : 500);
        if (i % 4 == 0)
            insert(&race->k, n, n % 7 + 7 * (1 + i % 3), T0 + 9);
        else
            race_find(race, reader, n);
    }
    sp_reclaim_reader_leave(race->k.reclaim, reader);
    return NULL;
}

static void threads_find_whole_tokens_while_others_are_written(void **state) {
    (void)state;
    static struct race race;
    race.k = cache_new(SP_TOKEN_CACHE_BYTES_MIN);
    pthread_t t[3];
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, race_run, &race), 0);
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&race.wrong), 0);
    assert_true(atomic_load(&race.found) > 0);
    assert_true(cache_stats(&race.k).evictions > 100);
    cache_done(&race.k);
}

static void unreasonable_sizes_are_refused(void **state) {
    (void)state;
    struct sp_token_cache *c = NULL;
    assert_true(
        sp_is(sp_token_cache_new(SP_TOKEN_CACHE_BYTES_MIN - 1, NULL, &sp_random_system, &c), SP_E_LIMIT));
    assert_true(
        sp_is(sp_token_cache_new(SP_TOKEN_CACHE_BYTES_MAX + 1, NULL, &sp_random_system, &c), SP_E_LIMIT));
    assert_null(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inserted_token_is_found_and_no_other),
        cmocka_unit_test(same_tail_with_another_head_is_not_found),
        cmocka_unit_test(token_under_a_new_key_replaces_itself),
        cmocka_unit_test(flood_of_valid_tokens_stays_within_the_bytes),
        cmocka_unit_test(bound_holds_while_nothing_can_be_reclaimed),
        cmocka_unit_test(tokens_in_use_survive_a_flood),
        cmocka_unit_test(expired_tokens_go_before_those_in_use),
        cmocka_unit_test(evicted_token_stays_readable_until_its_reader_exits),
        cmocka_unit_test(cache_may_end_before_what_waits_is_reclaimed),
        cmocka_unit_test(flood_of_valid_tokens_does_not_wash_out_those_in_use),
        cmocka_unit_test(cache_full_of_tokens_in_use_takes_new_ones),
        cmocka_unit_test(many_tokens_with_one_tail_are_told_apart),
        cmocka_unit_test(tokens_of_every_length_are_found_or_skipped),
        cmocka_unit_test(random_operations_agree_with_a_model),
        cmocka_unit_test(threads_find_whole_tokens_while_others_are_written),
        cmocka_unit_test(unreasonable_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
