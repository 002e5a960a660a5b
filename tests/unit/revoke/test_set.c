#include "set_support.h"

#include "revoke/shards.h"

static void added_id_is_revoked_and_no_other(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_JTI, 1, T0 + 10, T0);
    assert_true(has(&f, SP_REVOKE_JTI, 1, T0));
    assert_false(has(&f, SP_REVOKE_JTI, 2, T0));
    fixture_done(&f);
}

static void jti_and_sid_of_the_same_bytes_are_different(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_JTI, 1, T0 + 10, T0);
    assert_false(has(&f, SP_REVOKE_SID, 1, T0));
    fixture_done(&f);
}

static void entry_holds_through_its_expiry_and_not_after(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_SID, 7, T0 + 10, T0);
    assert_true(has(&f, SP_REVOKE_SID, 7, T0 + 9));
    assert_true(has(&f, SP_REVOKE_SID, 7, T0 + 10));
    assert_false(has(&f, SP_REVOKE_SID, 7, T0 + 11));
    fixture_done(&f);
}

static void adding_again_extends_and_never_shortens(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_SID, 7, T0 + 10, T0);
    add(&f, SP_REVOKE_SID, 7, T0 + 5, T0);
    assert_true(has(&f, SP_REVOKE_SID, 7, T0 + 10));
    add(&f, SP_REVOKE_SID, 7, T0 + 20, T0);
    assert_true(has(&f, SP_REVOKE_SID, 7, T0 + 20));
    assert_int_equal(stats(&f).entries, 1);
    fixture_done(&f);
}

static void far_expiry_never_lapses_and_past_expiry_always_has(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add(&f, SP_REVOKE_JTI, 1, INT64_MAX, T0);
    add(&f, SP_REVOKE_JTI, 2, INT64_MIN, T0);
    assert_true(has(&f, SP_REVOKE_JTI, 1, INT64_MAX));
    assert_false(has(&f, SP_REVOKE_JTI, 2, T0));
    fixture_done(&f);
}

static void id_that_cannot_be_added_reads_as_revoked(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    uint8_t longest[SP_REVOKE_ID_BYTES_MAX + 1] = {0};
    sp_slice bad[] = {SP_SLICE_EMPTY, SP_SLICE_ARRAY(longest)};
    sp_slice good = sp_slice_of(longest, SP_REVOKE_ID_BYTES_MAX);
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        assert_true(sp_is(sp_revoke_set_add(f.set, SP_REVOKE_JTI, bad[i], T0, T0), SP_E_MALFORMED));
        assert_true(sp_revoke_set_contains(f.set, SP_REVOKE_JTI, bad[i], T0));
    }
    assert_false(sp_revoke_set_contains(f.set, SP_REVOKE_JTI, good, T0));
    fixture_done(&f);
}

static uint64_t hash_all_the_same(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id) {
    (void)key, (void)kind, (void)id;
    return 0;
}

static void equal_fingerprints_keep_the_later_expiry(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.hash_for_test = hash_all_the_same});
    add(&f, SP_REVOKE_JTI, 1, T0 + 10, T0);
    add(&f, SP_REVOKE_JTI, 2, T0 + 5, T0);
    assert_true(has(&f, SP_REVOKE_JTI, 1, T0 + 10));
    assert_true(has(&f, SP_REVOKE_JTI, 2, T0 + 5));
    fixture_done(&f);
}

/* Distinct fingerprints that all belong to the last line of the last shard, so that the search wraps, and
 * that share all bits of the filter. */
static uint64_t hash_to_one_line(const uint8_t *key, enum sp_revoke_kind kind, sp_slice id) {
    uint64_t n;
    (void)key, (void)kind;
    memcpy(&n, id.p, sizeof n);
    return UINT64_MAX << 41 | n << 28 | 0xfffffffu;
}

static void colliding_places_lose_nobody(void **state) {
    (void)state;
    struct fixture f =
        fixture_new(&(struct sp_revoke_set_opts){.hash_for_test = hash_to_one_line, .mix_for_test = 1});
    for (uint64_t i = 0; i < 2000; i++) add(&f, SP_REVOKE_JTI, i, T0 + 10, T0);
    for (uint64_t i = 0; i < 2000; i++) assert_true(has(&f, SP_REVOKE_JTI, i, T0));
    assert_false(has(&f, SP_REVOKE_JTI, 2000, T0));
    assert_true(stats(&f).rebuilds > 0);
    fixture_done(&f);
}

static void lapsed_entries_give_their_memory_back(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    for (uint64_t i = 0; i < 20000; i++) add(&f, SP_REVOKE_SID, i, T0 + 10, T0);
    add(&f, SP_REVOKE_SID, 20000, T0 + 50, T0);
    size_t before = stats(&f).slots;
    sp_revoke_set_expire(f.set, T0 + 10);
    assert_int_equal(stats(&f).entries, 20001);
    sp_revoke_set_expire(f.set, T0 + 11);
    assert_int_equal(stats(&f).entries, 1);
    assert_true(stats(&f).slots < before);
    assert_true(has(&f, SP_REVOKE_SID, 20000, T0 + 50));
    assert_int_equal(sp_reclaim_pending(f.reclaim), 0);
    fixture_done(&f);
}

static void steady_stream_does_not_grow_without_bound(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    for (uint64_t i = 0; i < 200000; i++)
        add(&f, SP_REVOKE_SID, i, T0 + (int64_t)i / 100 + 1, T0 + (int64_t)i / 100);
    assert_true(stats(&f).slots <= SP_SHARDS * 40); /* of 200,000 added, 200 are in force */
    fixture_done(&f);
}

static void full_set_refuses_new_entries_and_keeps_the_old(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.entries_max = 100});
    uint64_t n = 0;
    while (sp_ok(sp_revoke_set_add(f.set, SP_REVOKE_JTI, id_of(&n), T0 + 10, T0))) n++;
    assert_int_equal(n, 100);
    assert_true(sp_is(sp_revoke_set_add(f.set, SP_REVOKE_JTI, id_of(&n), T0 + 10, T0), SP_E_LIMIT));
    for (uint64_t i = 0; i < n; i++) assert_true(has(&f, SP_REVOKE_JTI, i, T0 + 10));
    add(&f, SP_REVOKE_JTI, 0, T0 + 99, T0); /* what is there can still be extended */
    add(&f, SP_REVOKE_JTI, n, T0 + 99, T0 + 11);
    assert_true(has(&f, SP_REVOKE_JTI, n, T0 + 99));
    assert_true(has(&f, SP_REVOKE_JTI, 0, T0 + 99));
    fixture_done(&f);
}

static void more_than_the_maximum_is_refused(void **state) {
    (void)state;
    struct sp_revoke_set *s = NULL;
    struct sp_revoke_set_opts o = {.random = &sp_random_system, .entries_max = SP_REVOKE_ENTRIES_MAX + 1};
    assert_true(sp_is(sp_revoke_set_new(&o, &s), SP_E_LIMIT));
    assert_null(s);
}

static const uint8_t key_a[SP_REVOKE_KEY_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t key_b[SP_REVOKE_KEY_BYTES] = {1};

/* The 16th vector of the paper on SipHash: the key and the input count up from 0. */
static void fingerprint_is_siphash_over_kind_and_id(void **state) {
    (void)state;
    static const uint8_t id[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.key = key_a});
    enum sp_revoke_kind zero = (enum sp_revoke_kind)0; /* only here: the first byte of the vector */
    assert_int_equal(sp_revoke_set_fingerprint(f.set, zero, SP_SLICE_ARRAY(id)), 0xa129ca6149be45e5u);
    fixture_done(&f);
}

static void rekeyed_set_makes_the_other_sets_fingerprints(void **state) {
    (void)state;
    uint64_t id = 7;
    uint8_t key[SP_REVOKE_KEY_BYTES];
    struct fixture server = fixture_new(NULL), verifier = fixture_new(NULL);
    uint32_t before = sp_revoke_set_generation(verifier.set);
    sp_revoke_set_key(server.set, key);
    assert_true(sp_ok(sp_revoke_set_rekey(verifier.set, key)));
    assert_int_not_equal(sp_revoke_set_generation(verifier.set), before);
    uint64_t fp = sp_revoke_set_fingerprint(server.set, SP_REVOKE_SID, id_of(&id));
    assert_int_equal(sp_revoke_set_fingerprint(verifier.set, SP_REVOKE_SID, id_of(&id)), fp);
    add_fingerprint(&verifier, fp, T0 + 10, T0);
    assert_true(has(&verifier, SP_REVOKE_SID, id, T0 + 10));
    fixture_done(&server);
    fixture_done(&verifier);
}

static void set_with_entries_keeps_its_key(void **state) {
    (void)state;
    uint8_t key[SP_REVOKE_KEY_BYTES];
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.key = key_a});
    uint32_t generation = sp_revoke_set_generation(f.set);
    add(&f, SP_REVOKE_JTI, 1, T0 + 10, T0);
    assert_true(sp_is(sp_revoke_set_rekey(f.set, key_b), SP_E_CONFLICT));
    sp_revoke_set_key(f.set, key);
    assert_memory_equal(key, key_a, sizeof key);
    assert_int_equal(sp_revoke_set_generation(f.set), generation);
    assert_true(has(&f, SP_REVOKE_JTI, 1, T0));
    sp_revoke_set_expire(f.set, T0 + 11);
    assert_true(sp_ok(sp_revoke_set_rekey(f.set, key_b)));
    sp_revoke_set_key(f.set, key);
    assert_memory_equal(key, key_b, sizeof key);
    fixture_done(&f);
}

static void cleared_set_forgets_all_and_goes_on(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.key = key_a});
    sp_revoke_set_clear(f.set); /* of nothing */
    for (uint64_t i = 0; i < 10000; i++) add(&f, SP_REVOKE_JTI, i, (int64_t)UINT32_MAX, T0);
    sp_revoke_set_clear(f.set);
    assert_int_equal(stats(&f).entries, 0);
    for (uint64_t i = 0; i < 10000; i++) assert_false(has(&f, SP_REVOKE_JTI, i, T0));
    assert_true(sp_ok(sp_revoke_set_rekey(f.set, key_b)));
    add(&f, SP_REVOKE_JTI, 1, T0 + 10, T0);
    assert_true(has(&f, SP_REVOKE_JTI, 1, T0));
    fixture_done(&f);
}

static void zero_is_no_fingerprint(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    assert_true(sp_is(sp_revoke_set_add_fingerprint(f.set, 0, T0 + 10, T0), SP_E_MALFORMED));
    assert_int_equal(stats(&f).entries, 0);
    assert_true(has_fingerprint(&f, 0, T0)); /* of an id that could not have been added */
    fixture_done(&f);
}

static void lowest_and_highest_fingerprint_are_entries_like_others(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.mix_for_test = 1});
    const uint64_t ends[] = {1, UINT64_MAX, UINT64_MAX >> SP_SHARD_BITS, (UINT64_MAX >> SP_SHARD_BITS) + 1};
    for (size_t i = 0; i < SP_ARRAY_LEN(ends); i++) add_fingerprint(&f, ends[i], T0 + 10, T0);
    for (size_t i = 0; i < SP_ARRAY_LEN(ends); i++) assert_true(has_fingerprint(&f, ends[i], T0 + 10));
    assert_false(has_fingerprint(&f, 2, T0));
    assert_false(has_fingerprint(&f, UINT64_MAX - 1, T0));
    fixture_done(&f);
}

static void empty_set_holds_no_tables(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    assert_int_equal(stats(&f).bytes, 0);
    add(&f, SP_REVOKE_JTI, 1, T0 + 10, T0);
    assert_in_range(stats(&f).bytes, 1, 1024);
    sp_revoke_set_expire(f.set, T0 + 11);
    assert_int_equal(stats(&f).bytes, 0);
    assert_in_range(stats(&f).peak_bytes, 1, 1024);
    fixture_done(&f);
}

static void reserved_set_grows_no_more(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    add_fingerprint(&f, spread(1000000), T0 + 10, T0);
    assert_true(sp_ok(sp_revoke_set_reserve(f.set, 100000)));
    struct sp_revoke_set_stats before = stats(&f);
    for (uint64_t i = 0; i < 100000; i++) add_fingerprint(&f, spread(i), T0 + 10, T0);
    assert_int_equal(stats(&f).rebuilds, before.rebuilds);
    assert_int_equal(stats(&f).bytes, before.bytes);
    assert_true(has_fingerprint(&f, spread(1000000), T0 + 10));
    assert_true(sp_ok(sp_revoke_set_reserve(f.set, 0)));
    fixture_done(&f);
}

static void more_than_fits_cannot_be_reserved(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.entries_max = 100});
    add_fingerprint(&f, 1, T0 + 10, T0);
    assert_true(sp_ok(sp_revoke_set_reserve(f.set, 99)));
    assert_true(sp_is(sp_revoke_set_reserve(f.set, 100), SP_E_LIMIT));
    assert_true(sp_is(sp_revoke_set_reserve(f.set, SIZE_MAX), SP_E_LIMIT));
    fixture_done(&f);
}

/* What is promised for ten million, at a size that a test can afford; the shards grow alone at any size. */
#define MANY 300000

static void growth_holds_little_more_than_the_end(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    for (uint64_t i = 0; i < MANY; i++) add_fingerprint(&f, spread(i), T0 + 10, T0);
    struct sp_revoke_set_stats st = stats(&f);
    assert_int_equal(st.entries, MANY);
    assert_true(st.bytes < (size_t)23 * MANY);
    assert_true(st.peak_bytes < st.bytes + st.bytes / 4);
    assert_true(st.filter_bytes < st.bytes / 10);
    fixture_done(&f);
}

/* As they come from the dump of another set, or from somebody who chose them. */
static void fingerprints_in_order_spread_over_the_set(void **state) {
    (void)state;
    struct fixture f = {0};
    assert_true(sp_ok(sp_reclaim_new(8, &f.reclaim)));
    assert_true(sp_ok(sp_reclaim_reader_join(f.reclaim, &f.reader)));
    assert_true(sp_ok(sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = f.reclaim}, &f.set)));
    for (uint64_t i = 1; i <= MANY; i++) add_fingerprint(&f, i << 20, T0 + 10, T0);
    struct sp_revoke_set_stats st = stats(&f);
    assert_true(st.peak_bytes < st.bytes + st.bytes / 4); /* in one shard it would be nearly twice */
    for (uint64_t i = 1; i <= MANY; i++) assert_true(has_fingerprint(&f, i << 20, T0 + 10));
    fixture_done(&f);
}

/* The filter has done its work when most misses end in it: it is counted here by asking a set without. */
static void hint_is_of_the_place_and_not_of_the_fingerprint(void **state) {
    (void)state;
    const uint64_t fp = 0x0123456789abcdef;
    struct fixture plain = fixture_new(&(struct sp_revoke_set_opts){.mix_for_test = 1});
    struct fixture mixed = fixture_new(&(struct sp_revoke_set_opts){.mix_for_test = 0x9e3779b97f4a7c15});
    assert_int_equal(sp_revoke_set_hint(plain.set, fp), fp >> 32);
    assert_int_equal(sp_revoke_set_hint(mixed.set, fp), fp * 0x9e3779b97f4a7c15 >> 32);
    fixture_done(&plain);
    fixture_done(&mixed);
}

static void filter_never_hides_an_entry(void **state) {
    (void)state;
    struct fixture with = fixture_new(NULL);
    struct fixture without = fixture_new(&(struct sp_revoke_set_opts){.without_filter = true});
    for (uint64_t i = 0; i < 50000; i++) {
        add_fingerprint(&with, spread(i), T0 + 10, T0);
        add_fingerprint(&without, spread(i), T0 + 10, T0);
    }
    assert_int_equal(stats(&without).filter_bytes, 0);
    for (uint64_t i = 0; i < 100000; i++) {
        assert_true(has_fingerprint(&with, spread(i), T0) == (i < 50000));
        assert_true(has_fingerprint(&without, spread(i), T0) == (i < 50000));
    }
    fixture_done(&with);
    fixture_done(&without);
}

static void expiry_takes_large_sets_in_turns(void **state) {
    (void)state;
    struct fixture f = fixture_new(NULL);
    size_t turns = 0, left = 600000;
    assert_true(sp_ok(sp_revoke_set_reserve(f.set, left)));
    for (uint64_t i = 0; i < left; i++) add_fingerprint(&f, spread(i), T0 + 10, T0);
    while (stats(&f).entries != 0) {
        sp_revoke_set_expire(f.set, T0 + 11);
        assert_true(stats(&f).entries < left); /* each turn gets on */
        left = stats(&f).entries;
        turns++;
    }
    assert_in_range(turns, 2, SP_SHARDS);
    assert_int_equal(stats(&f).bytes, 0);
    fixture_done(&f);
}

static void full_set_that_has_lapsed_elsewhere_takes_more(void **state) {
    (void)state;
    struct fixture f = fixture_new(&(struct sp_revoke_set_opts){.entries_max = 1000});
    for (uint64_t i = 0; i < 1000; i++) add_fingerprint(&f, spread(i), T0 + (i < 10 ? 1 : 10), T0);
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(sp_is(sp_revoke_set_add_fingerprint(f.set, spread(2000 + i), T0 + 10, T0), SP_E_LIMIT));
        assert_false(has_fingerprint(&f, spread(2000 + i), T0));
    }
    for (uint64_t i = 0; i < 10; i++) add_fingerprint(&f, spread(2000 + i), T0 + 10, T0 + 2);
    assert_true(sp_is(sp_revoke_set_add_fingerprint(f.set, spread(3000), T0 + 10, T0 + 3), SP_E_LIMIT));
    fixture_done(&f);
}

/* Against a plain table: random adds, lookups, expiries and dumps under a clock that moves on. */
#define MODEL_IDS 4096
#define MODEL_STEPS 200000

struct model {
    struct fixture f;
    uint64_t seed, rng;
    size_t step;
    int64_t now;
    int64_t expiry[2][MODEL_IDS]; /* the reference: 0 is never added */
    struct sp_revoke_dump cursor;
    int64_t due[2][MODEL_IDS]; /* in force since the dump began, and until when; 0: given */
    uint64_t fp[2][MODEL_IDS];
};

static void model_begin(struct model *m) {
    *m = (struct model){.f = fixture_new(NULL), .seed = test_seed(), .now = T0};
    m->rng = m->seed;
    for (uint64_t id = 0; id < MODEL_IDS; id++)
        for (size_t kind = 0; kind < 2; kind++)
            m->fp[kind][id] =
                sp_revoke_set_fingerprint(m->f.set, (enum sp_revoke_kind)(kind + 1), id_of(&id));
}

static void model_add(struct model *m, enum sp_revoke_kind kind, uint64_t id, int64_t until) {
    int64_t *ref = &m->expiry[kind - SP_REVOKE_JTI][id], *due = &m->due[kind - SP_REVOKE_JTI][id];
    assert_model(sp_ok(sp_revoke_set_add(m->f.set, kind, id_of(&id), until, m->now)), m->seed, m->step);
    if (until <= *ref) return;
    if (*due != 0 && *due >= m->now) *due = until; /* extended in time: still to be given */
    *ref = until;
}

static void model_dump_begins(struct model *m) {
    m->cursor = (struct sp_revoke_dump){0};
    memcpy(m->due, m->expiry, sizeof m->due);
}

/* At the end of a dump only what has lapsed may be missing. */
static void model_dump_ends(struct model *m) {
    for (size_t kind = 0; kind < 2; kind++)
        for (size_t id = 0; id < MODEL_IDS; id++)
            assert_model(m->due[kind][id] == 0 || m->due[kind][id] < m->now, m->seed, m->step);
    model_dump_begins(m);
}

static void model_given(struct model *m, struct sp_revoke_entry e) {
    for (uint64_t id = 0; id < MODEL_IDS; id++)
        for (size_t kind = 0; kind < 2; kind++) {
            if (m->fp[kind][id] != e.fingerprint) continue;
            assert_model(m->expiry[kind][id] == (int64_t)e.expiry_s && m->now <= (int64_t)e.expiry_s, m->seed,
                         m->step);
            m->due[kind][id] = 0;
            return;
        }
    fail_msg("an entry that nobody added: SP_TEST_SEED=%#llx", (unsigned long long)m->seed);
}

static void model_dump_step(struct model *m) {
    struct sp_revoke_entry page[32];
    bool end;
    size_t n = dump_step(&m->f, &m->cursor, m->now, page, 1 + next_random(&m->rng) % 32, &end);
    for (size_t i = 0; i < n; i++) model_given(m, page[i]);
    if (end) model_dump_ends(m);
}

static void model_step(struct model *m, uint64_t r) {
    uint64_t id = (r >> 8) % MODEL_IDS;
    enum sp_revoke_kind kind = (r >> 40) & 1 ? SP_REVOKE_SID : SP_REVOKE_JTI;
    const int64_t *ref = &m->expiry[kind - SP_REVOKE_JTI][id];
    if (r % 16 < 5) {
        model_add(m, kind, id, m->now + (int64_t)((r >> 48) % 600) - 10);
    } else if (r % 1024 == 15) {
        sp_revoke_set_expire(m->f.set, m->now);
    } else if (r % 64 == 14) {
        m->now += (int64_t)((r >> 48) % 8);
    } else if (r % 256 == 13) {
        model_dump_step(m);
    }
    assert_model(has(&m->f, kind, id, m->now) == (*ref != 0 && m->now <= *ref), m->seed, m->step);
}

static void behaves_as_a_plain_table(void **state) {
    (void)state;
    static struct model m;
    model_begin(&m);
    for (m.step = 0; m.step < MODEL_STEPS; m.step++) model_step(&m, next_random(&m.rng));
    for (bool end = false; !end;) { /* the last dump, to its end */
        struct sp_revoke_entry page[64];
        size_t n = dump_step(&m.f, &m.cursor, m.now, page, SP_ARRAY_LEN(page), &end);
        for (size_t i = 0; i < n; i++) model_given(&m, page[i]);
    }
    model_dump_ends(&m);
    fixture_done(&m.f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_id_is_revoked_and_no_other),
        cmocka_unit_test(jti_and_sid_of_the_same_bytes_are_different),
        cmocka_unit_test(entry_holds_through_its_expiry_and_not_after),
        cmocka_unit_test(adding_again_extends_and_never_shortens),
        cmocka_unit_test(far_expiry_never_lapses_and_past_expiry_always_has),
        cmocka_unit_test(id_that_cannot_be_added_reads_as_revoked),
        cmocka_unit_test(equal_fingerprints_keep_the_later_expiry),
        cmocka_unit_test(colliding_places_lose_nobody),
        cmocka_unit_test(lapsed_entries_give_their_memory_back),
        cmocka_unit_test(steady_stream_does_not_grow_without_bound),
        cmocka_unit_test(full_set_refuses_new_entries_and_keeps_the_old),
        cmocka_unit_test(more_than_the_maximum_is_refused),
        cmocka_unit_test(fingerprint_is_siphash_over_kind_and_id),
        cmocka_unit_test(cleared_set_forgets_all_and_goes_on),
        cmocka_unit_test(rekeyed_set_makes_the_other_sets_fingerprints),
        cmocka_unit_test(set_with_entries_keeps_its_key),
        cmocka_unit_test(zero_is_no_fingerprint),
        cmocka_unit_test(lowest_and_highest_fingerprint_are_entries_like_others),
        cmocka_unit_test(empty_set_holds_no_tables),
        cmocka_unit_test(reserved_set_grows_no_more),
        cmocka_unit_test(more_than_fits_cannot_be_reserved),
        cmocka_unit_test(growth_holds_little_more_than_the_end),
        cmocka_unit_test(fingerprints_in_order_spread_over_the_set),
        cmocka_unit_test(hint_is_of_the_place_and_not_of_the_fingerprint),
        cmocka_unit_test(filter_never_hides_an_entry),
        cmocka_unit_test(expiry_takes_large_sets_in_turns),
        cmocka_unit_test(full_set_that_has_lapsed_elsewhere_takes_more),
        cmocka_unit_test(behaves_as_a_plain_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
