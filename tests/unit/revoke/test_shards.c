/* What the tables rest on: places in the order of hashes, and memory of zeros. */
#include "support.h"

#include "revoke/pages.h"
#include "revoke/shards.h"

static uint64_t in_shard(uint64_t hash, uint64_t shard) {
    return hash >> SP_SHARD_BITS | shard << (64 - SP_SHARD_BITS);
}

static void places_follow_the_order_of_hashes(void **state) {
    (void)state;
    uint64_t rng = test_seed();
    for (int i = 0; i < 100000; i++) {
        uint64_t shard = next_random(&rng) % SP_SHARDS;
        uint64_t a = in_shard(next_random(&rng), shard), b = in_shard(next_random(&rng), shard);
        uint32_t n = (uint32_t)(next_random(&rng) % 100000 + 1);
        assert_true(sp_shard_place(a, n) < n);
        if (a < b) assert_true(sp_shard_place(a, n) <= sp_shard_place(b, n));
    }
    assert_int_equal(sp_shard_place(0, 7), 0);
    assert_int_equal(sp_shard_place(UINT64_MAX, 7), 6);
}

static void hash_behind_is_the_first_of_the_next_line(void **state) {
    (void)state;
    uint64_t rng = test_seed();
    for (int i = 0; i < 100000; i++) {
        uint64_t hash = next_random(&rng);
        struct sp_shard_table t = {.lines = (uint32_t)(next_random(&rng) % 50000 + 1)};
        uint32_t place = sp_shard_place(hash, t.lines);
        uint64_t behind = sp_shard_hash_behind(&t, hash);
        assert_int_equal(sp_shard_place(behind - 1, t.lines), place);
        assert_int_equal(sp_shard_of(behind - 1), sp_shard_of(hash));
        if (place + 1 == t.lines)
            assert_int_equal(behind, (uint64_t)(sp_shard_of(hash) + 1) << (64 - SP_SHARD_BITS));
        else
            assert_int_equal(sp_shard_place(behind, t.lines), place + 1);
    }
}

static void hash_behind_an_absent_table_is_the_next_shard(void **state) {
    (void)state;
    assert_int_equal(sp_shard_hash_behind(NULL, 5), (uint64_t)1 << (64 - SP_SHARD_BITS));
    assert_int_equal(sp_shard_hash_behind(NULL, UINT64_MAX), 0);
}

static void pages_are_zero_aligned_and_all_there(void **state) {
    (void)state;
    static const size_t sizes[] = {1,      64, 65, 65535, 65536, 70000, (2 << 20) - 1, 2 << 20, (2 << 20) + 1,
                                   5000000};
    for (size_t i = 0; i < SP_ARRAY_LEN(sizes); i++) {
        uint8_t *p = sp_pages_new(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(sp_pages_bytes(sizes[i]) >= sizes[i]);
        for (size_t n = 0; n < sp_pages_bytes(sizes[i]); n++) assert_int_equal(p[n], 0);
        memset(p, 0xff, sp_pages_bytes(sizes[i]));
        sp_pages_free(p, sizes[i]);
    }
    sp_pages_free(NULL, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_follow_the_order_of_hashes),
        cmocka_unit_test(hash_behind_is_the_first_of_the_next_line),
        cmocka_unit_test(hash_behind_an_absent_table_is_the_next_shard),
        cmocka_unit_test(pages_are_zero_aligned_and_all_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
