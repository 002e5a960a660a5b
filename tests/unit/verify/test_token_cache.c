#include "support.h"

struct cache {
    struct sp_reclaim *reclaim;
    struct sp_reclaim_reader *reader;
    struct sp_token_cache *c;
};

static struct cache cache_new(size_t bytes) {
    struct cache k = {0};
    assert_true(sp_ok(sp_reclaim_new(4, &k.reclaim)));
    assert_true(sp_ok(sp_reclaim_reader_join(k.reclaim, &k.reader)));
    assert_true(sp_ok(sp_token_cache_new(bytes, k.reclaim, &sp_random_system, &k.c)));
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

/* What the cache holds need not be a token: only bytes with an end that tells them apart. */
#define TEXT_BYTES 400
static sp_slice text_of(uint32_t n, char *buf) {
    memset(buf, 'x', TEXT_BYTES);
    (void)snprintf(buf + TEXT_BYTES - 17, 17, "%016x", n);
    return sp_slice_of(buf, TEXT_BYTES);
}
static void insert_text(struct cache *k, sp_slice text, uint32_t n, uint64_t identity, int64_t exp) {
    struct ids ids = make_ids(n, n);
    struct sp_claims claims = make_claims(&ids);
    struct sp_token_facts facts = {.key_identity = identity, .addressee = SP_REJECT_NONE};
    uint8_t block[SP_PAYLOAD_BYTES_MAX];
    claims.exp = exp;
    assert_true(sp_ok(sp_claims_pack(&claims, block, &facts.claims)));
    sp_token_cache_insert(k->c, text, &facts, sp_slice_of(block, sp_claims_bytes(&claims)), T0);
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
        cmocka_unit_test(unreasonable_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
