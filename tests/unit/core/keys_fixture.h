/* Keys in a table that stands for the store, plans carried out in it, and a ring opened from it: for the
 * tests of the keys. */
#ifndef TEST_CORE_KEYS_FIXTURE_H
#define TEST_CORE_KEYS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/keys.h"

enum { DAY_S = 24 * 3600, ROWS_MAX = 2048 };
#define T0 INT64_C(1790000000000)

static const uint8_t master[SP_MASTER_KEY_BYTES] = {1, 2, 3};

static inline struct sp_key_schedule usual(void) {
    return (struct sp_key_schedule){
        .alg = SP_ALG_ES256,
        .rotate_every_s = 30 * DAY_S,
        .announce_s = 3600,
        .access_ttl_max_s = 900,
        .absolute_ttl_s = 30 * DAY_S,
    };
}

/* A store of rows in an array: what KEY_PUT does. */
struct table {
    struct sp_key_row *rows;
    size_t n;
};

static inline void table_init(struct table *t) {
    t->rows = calloc(ROWS_MAX, sizeof(*t->rows));
    t->n = 0;
    assert_non_null(t->rows);
}

static inline void table_done(struct table *t) {
    free(t->rows);
}

static inline struct sp_key_row *row_of(struct table *t, sp_slice kid) {
    for (size_t i = 0; i < t->n; i++) {
        if (sp_slice_eq(SP_TEXT_SLICE(&t->rows[i].kid), kid)) return &t->rows[i];
    }
    return NULL;
}

static inline void put(struct table *t, const struct sp_key_row *row, uint64_t expect) {
    struct sp_key_row *at = row_of(t, SP_TEXT_SLICE(&row->kid));
    if (at == NULL) {
        assert_true(expect == SP_VERSION_ABSENT);
        assert_true(t->n < ROWS_MAX);
        at = &t->rows[t->n++];
        *at = *row;
        at->version = 1;
    } else {
        assert_true(expect == at->version);
        uint64_t version = at->version;
        *at = *row;
        at->version = version + 1;
    }
}

static inline void carry_out(struct table *t, const struct sp_key_plan *plan, int64_t now_ms,
                             const struct sp_key_schedule *schedule) {
    struct sp_key_changes made = SP_KEY_CHANGES_INIT;
    assert_true(sp_ok(sp_keys_carry_out(plan, t->rows, t->n, SP_SLICE_ARRAY(master), &sp_random_system,
                                        now_ms, schedule, &made)));
    for (size_t i = 0; i < made.n; i++) {
        struct sp_change c = sp_key_change_put(&made, i);
        put(t, c.key_put.row, c.key_put.expect_version);
    }
    sp_key_changes_done(&made);
}

static inline size_t run_plan(struct table *t, int64_t now_ms, const struct sp_key_schedule *schedule) {
    struct sp_key_plan plan;
    sp_keys_plan(t->rows, t->n, now_ms, schedule, &plan);
    carry_out(t, &plan, now_ms, schedule);
    return plan.n;
}

static inline size_t count(const struct table *t, enum sp_key_use use, enum sp_key_state state) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += t->rows[i].use == use && t->rows[i].state == state;
    return n;
}

static inline struct sp_key_row *only(struct table *t, enum sp_key_use use, enum sp_key_state state) {
    assert_int_equal(count(t, use, state), 1);
    for (size_t i = 0; i < t->n; i++) {
        if (t->rows[i].use == use && t->rows[i].state == state) return &t->rows[i];
    }
    return NULL;
}

/* A ring with what it stands on. */
struct ring {
    struct sp_reclaim *reclaim;
    struct sp_seats *seats;
    struct sp_keys *keys;
};

static inline sp_status ring_try(struct ring *r, struct table *t, const uint8_t *key) {
    assert_true(sp_ok(sp_reclaim_new(16, &r->reclaim)));
    assert_true(sp_ok(sp_seats_new(r->reclaim, &r->seats)));
    r->keys = NULL;
    return sp_keys_new(r->seats, sp_slice_of(key, SP_MASTER_KEY_BYTES), t->rows, t->n, &r->keys);
}

static inline void ring_init(struct ring *r, struct table *t) {
    assert_true(sp_ok(ring_try(r, t, master)));
}

static inline void ring_done(struct ring *r) {
    sp_keys_free(r->keys);
    sp_seats_free(r->seats);
    sp_reclaim_free(r->reclaim);
}

#endif
