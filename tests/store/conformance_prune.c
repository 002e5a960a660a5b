/* Pruning the audit log: whole records from its beginning, or nothing. */
#include "conformance.h"

static void append_records(struct fixture *f, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        struct sp_change c = {.kind = SP_CHANGE_AUDIT,
                              .audit = {.time_ms = NOW_MS,
                                        .action = SP_SLICE_LIT("login"),
                                        .body = SP_SLICE_LIT("{}"),
                                        .personal = SP_SLICE_LIT("{\"salt\":\"x\"}")}};
        assert_commits(f, &c);
    }
}

static void hash_of(struct fixture *f, uint64_t seq, uint8_t ret[SP_ROW_HASH_BYTES]) {
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 1, .after_seq = seq - 1};
    read_all(f, &r);
    assert_int_equal(r.ret.n, 1);
    assert_int_equal(r.ret.audit[0].seq, seq);
    memcpy(ret, r.ret.audit[0].hash, SP_ROW_HASH_BYTES);
    sp_store_read_done(&r);
}

static struct sp_change prune_of(uint64_t expect_base, uint64_t up_to, const uint8_t *hash) {
    return (struct sp_change){.kind = SP_CHANGE_AUDIT_PRUNE, .audit_prune = {expect_base, up_to, hash}};
}

/* What is left: from the base to the head, each linked to the one before, under a seal that covers both. */
static void assert_log(struct fixture *f, uint64_t base, uint64_t count) {
    struct sp_meta_row meta = read_meta(f);
    uint8_t head[SP_ROW_HASH_BYTES], mac[SP_ROW_HASH_BYTES];
    assert_int_equal(meta.audit_base, base);
    assert_int_equal(meta.audit_count, count);
    memcpy(head, meta.audit_base_hash, sizeof(head));
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = SP_READ_PAGE_MAX};
    read_all(f, &r);
    assert_int_equal(r.ret.n, count - base);
    for (uint32_t i = 0; i < r.ret.n; i++) {
        const struct sp_audit_row *row = &r.ret.audit[i];
        assert_int_equal(row->seq, base + 1 + i);
        chain_link(NULL, row->seq, head, sp_slice_of(row->body, row->body_n), head);
        assert_memory_equal(row->hash, head, sizeof(head));
    }
    sp_store_read_done(&r);
    assert_memory_equal(meta.audit_head, head, sizeof(head));
    chain_seal(NULL, &meta, mac);
    assert_memory_equal(meta.audit_mac, mac, sizeof(mac));
}

static void pruned_records_are_gone_and_the_rest_is_a_chain(void **state) {
    struct fixture *f = *state;
    uint8_t fourth[SP_ROW_HASH_BYTES], sixth[SP_ROW_HASH_BYTES];
    append_records(f, 10);
    hash_of(f, 4, fourth);
    hash_of(f, 6, sixth);
    struct sp_change c = prune_of(0, 4, fourth);
    assert_commits(f, &c);
    assert_memory_equal(read_meta(f).audit_base_hash, fourth, sizeof(fourth));
    assert_log(f, 4, 10);
    fixture_reopen(f);
    assert_log(f, 4, 10);
    c = prune_of(4, 6, sixth);
    assert_commits(f, &c);
    append_records(f, 2);
    assert_log(f, 6, 12);
}

static void pruning_takes_its_record_along(void **state) {
    struct fixture *f = *state;
    uint8_t hash[SP_ROW_HASH_BYTES];
    append_records(f, 5);
    hash_of(f, 3, hash);
    struct sp_change set[] = {prune_of(0, 3, hash),
                              {.kind = SP_CHANGE_AUDIT, .audit = {.body = SP_SLICE_LIT("{\"p\":1}")}}};
    assert_int_equal(commit_set(f, set, 2, NULL), SP_OK);
    assert_log(f, 3, 6);
}

static void personal_values_are_pruned_with_their_records(void **state) {
    struct fixture *f = *state;
    uint8_t hash[SP_ROW_HASH_BYTES];
    append_records(f, 4);
    hash_of(f, 2, hash);
    struct sp_change c = prune_of(0, 2, hash);
    assert_commits(f, &c);
    const uint64_t seqs[] = {1, 2, 3};
    struct sp_change erase = {.kind = SP_CHANGE_PERSONAL_ERASE, .personal_erase = {.seqs = seqs, .n = 3}};
    assert_commits(f, &erase);
    assert_int_equal(erase.personal_erase.ret_erased, 1);
}

static void what_does_not_fit_prunes_nothing(void **state) {
    struct fixture *f = *state;
    uint8_t third[SP_ROW_HASH_BYTES], fifth[SP_ROW_HASH_BYTES], sixth[SP_ROW_HASH_BYTES], other[32] = {1};
    append_records(f, 6);
    hash_of(f, 3, third);
    hash_of(f, 5, fifth);
    hash_of(f, 6, sixth);
    struct sp_change first = prune_of(0, 3, third);
    assert_commits(f, &first);
    struct sp_change refused[] = {
        prune_of(0, 5, fifth),          /* the base is another by now */
        prune_of(4, 5, fifth),          /* ... or is not yet there */
        prune_of(3, 3, third),          /* nothing */
        prune_of(3, 2, third),          /* back */
        prune_of(3, 5, third),          /* another record's hash */
        prune_of(3, 5, other),          /* nobody's hash */
        prune_of(3, 6, sixth),          /* the newest record stays */
        prune_of(3, 7, sixth),          /* beyond the end */
        prune_of(3, UINT64_MAX, sixth), /* far beyond */
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(refused); i++) assert_refuses(f, &refused[i]);
    assert_log(f, 3, 6);
    struct sp_change c = prune_of(3, 5, fifth);
    assert_commits(f, &c);
    assert_log(f, 5, 6);
}

static void more_than_a_step_is_refused(void **state) {
    struct fixture *f = *state;
    enum { ALL = SP_AUDIT_PRUNE_MOST + 2 };
    uint8_t hash[SP_ROW_HASH_BYTES];
    struct sp_change *set = calloc(ALL, sizeof(*set));
    assert_non_null(set);
    for (size_t i = 0; i < ALL; i++)
        set[i] = (struct sp_change){.kind = SP_CHANGE_AUDIT, .audit = {.body = SP_SLICE_LIT("{}")}};
    assert_int_equal(commit_set(f, set, ALL, NULL), SP_OK);
    free(set);
    hash_of(f, SP_AUDIT_PRUNE_MOST + 1, hash);
    struct sp_change c = prune_of(0, SP_AUDIT_PRUNE_MOST + 1, hash);
    assert_refuses(f, &c);
    hash_of(f, SP_AUDIT_PRUNE_MOST, hash);
    c = prune_of(0, SP_AUDIT_PRUNE_MOST, hash);
    assert_commits(f, &c);
    assert_log(f, SP_AUDIT_PRUNE_MOST, ALL);
}

static void a_pruning_that_is_undone_prunes_nothing(void **state) {
    struct fixture *f = *state;
    uint8_t hash[SP_ROW_HASH_BYTES];
    const uint8_t nobody[16] = {0xee};
    append_records(f, 4);
    hash_of(f, 2, hash);
    struct sp_change set[] = {
        prune_of(0, 2, hash),
        {.kind = SP_CHANGE_USER_DELETE,
         .user_delete = {.tenant = 1, .id = nobody, .expect_version = SP_VERSION_ANY}},
    };
    size_t failed = 0;
    assert_int_equal(commit_set(f, set, 2, &failed), SP_E_CONFLICT);
    assert_int_equal(failed, 1);
    assert_log(f, 0, 4);
    const uint64_t seq = 1;
    struct sp_change erase = {.kind = SP_CHANGE_PERSONAL_ERASE, .personal_erase = {.seqs = &seq, .n = 1}};
    assert_commits(f, &erase);
    assert_int_equal(erase.personal_erase.ret_erased, 1);
}

static void pages_begin_where_the_log_does(void **state) {
    struct fixture *f = *state;
    uint8_t hash[SP_ROW_HASH_BYTES];
    append_records(f, 9);
    hash_of(f, 5, hash);
    struct sp_change c = prune_of(0, 5, hash);
    assert_commits(f, &c);
    static const struct { uint64_t after, first; } cases[] = {{0, 6}, {3, 6}, {5, 6}, {6, 7}};
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 2, .after_seq = cases[i].after};
        read_all(f, &r);
        assert_int_equal(r.ret.n, 2);
        assert_int_equal(r.ret.audit[0].seq, cases[i].first);
        assert_true(r.ret.more);
        sp_store_read_done(&r);
    }
}

int conformance_prune(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(pruned_records_are_gone_and_the_rest_is_a_chain),
        STORE_TEST(pruning_takes_its_record_along),
        STORE_TEST(personal_values_are_pruned_with_their_records),
        STORE_TEST(what_does_not_fit_prunes_nothing),
        STORE_TEST(more_than_a_step_is_refused),
        STORE_TEST(a_pruning_that_is_undone_prunes_nothing),
        STORE_TEST(pages_begin_where_the_log_does),
    };
    return cmocka_run_group_tests_name("prune", tests, NULL, NULL);
}
