/* What becomes of a group whose COMMIT has failed: tables that say what is durable, and fail when told to. */
#include "fixture.h"
#include "store/apply.h"

enum { REVOCATIONS = 3 };

struct disk {
    struct sp_tables tables;
    uint64_t durable; /* revocations up to this seq are there */
    int reads_left;   /* before one fails; negative: none does */
    uint64_t published[8];
    size_t n;
    unsigned counted;
};

static sp_status put(struct sp_tables *t, const struct sp_revocation_row *row) {
    (void)t, (void)row;
    return SP_SUCCESS;
}
static sp_status exists(struct sp_tables *t, uint64_t seq) {
    struct disk *d = SP_CONTAINER_OF(t, struct disk, tables);
    if (d->reads_left == 0) return sp_err(SP_E_UNAVAILABLE);
    d->reads_left--;
    return seq <= d->durable ? SP_SUCCESS : sp_err(SP_E_NOT_FOUND);
}
/* The outbox of this disk holds what is durable, and nothing else is asked of it. */
static sp_status logout_get(struct sp_tables *t, uint64_t seq, struct sp_logout_row *ret) {
    SP_TRY(exists(t, seq));
    *ret = (struct sp_logout_row){.seq = seq, .tries = 5}; /* as it is now */
    return SP_SUCCESS;
}
static sp_status logout_put(struct sp_tables *t, const struct sp_logout_row *row) {
    (void)t, (void)row;
    return SP_SUCCESS;
}
static sp_status logouts_count(struct sp_tables *t, uint32_t *ret) {
    SP_CONTAINER_OF(t, struct disk, tables)->counted++;
    *ret = 0;
    return SP_SUCCESS;
}
static const struct sp_tables_ops ops = {.revocation_put = put,
                                         .revocation_exists = exists,
                                         .logout_get = logout_get,
                                         .logout_put = logout_put,
                                         .logouts_count = logouts_count};

static void publish(void *arg, const struct sp_store_event *event) {
    struct disk *d = arg;
    assert_true(d->n < SP_ARRAY_LEN(d->published));
    if (event->kind == SP_EVENT_LOGOUT) assert_int_equal(event->logout->tries, 5);
    d->published[d->n++] = event->kind == SP_EVENT_LOGOUT ? event->logout->seq : event->revocation->seq;
}

/* A group that has been applied and not committed: its COMMIT is about to fail. */
static void group_of_revocations(struct disk *d, struct sp_apply *a) {
    static const struct sp_meta_row meta;
    static const uint8_t jti[SP_ROW_ID_BYTES] = {1};
    struct sp_change c[REVOCATIONS];
    struct sp_store_commit set = {.changes = c, .n = REVOCATIONS};
    *d = (struct disk){.tables = {&ops}, .reads_left = -1};
    sp_apply_init(a, &d->tables, &meta);
    a->env.publisher = (struct sp_publisher){.publish = publish, .arg = d};
    for (size_t i = 0; i < REVOCATIONS; i++)
        c[i] = (struct sp_change){.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {.jti = jti, .expires_s = 1}};
    assert_true(sp_ok(sp_apply_set(a, &set)));
    assert_int_equal(d->n, 0);
}

static void settling_publishes_what_happened_and_nothing_else(void **state) {
    (void)state;
    struct disk d;
    struct sp_apply a;
    group_of_revocations(&d, &a);
    assert_true(sp_ok(sp_apply_settle(&a)));
    assert_int_equal(d.n, 0);
    sp_apply_done(&a);
    group_of_revocations(&d, &a);
    d.durable = REVOCATIONS;
    assert_true(sp_ok(sp_apply_settle(&a)));
    assert_int_equal(d.n, REVOCATIONS);
    sp_apply_done(&a);
}

/* A sequence that goes back is how followers of the feed see that a server has lost revocations. */
static void settling_that_fails_half_way_goes_on_where_it_was(void **state) {
    (void)state;
    for (int reads = 0; reads < REVOCATIONS; reads++) {
        struct disk d;
        struct sp_apply a;
        group_of_revocations(&d, &a);
        d.durable = REVOCATIONS;
        d.reads_left = reads;
        assert_false(sp_ok(sp_apply_settle(&a)));
        assert_int_equal(d.n, reads);
        d.reads_left = -1;
        assert_true(sp_ok(sp_apply_settle(&a)));
        assert_int_equal(d.n, REVOCATIONS);
        for (size_t i = 0; i < d.n; i++) assert_int_equal(d.published[i], i + 1);
        sp_apply_done(&a);
    }
}

/* A group that has put three into the outbox, and does not know whether it has. */
static void settling_publishes_the_logouts_that_are_there(void **state) {
    (void)state;
    static const struct sp_meta_row meta;
    const struct sp_session_row ended = make_session(1, 1);
    struct disk d = {.tables = {&ops}, .reads_left = 2, .durable = 2};
    struct sp_apply a;
    sp_apply_init(&a, &d.tables, &meta);
    a.env.publisher = (struct sp_publisher){.publish = publish, .arg = &d};
    for (unsigned i = 0; i < 3; i++) assert_true(sp_ok(sp_apply_logout(&a, &ended)));
    assert_int_equal(a.now.meta.logout_seq, 3);
    assert_int_equal(d.counted, 1);
    assert_false(sp_ok(sp_apply_settle(&a))); /* the third look fails */
    d.reads_left = -1;
    assert_true(sp_ok(sp_apply_settle(&a)));
    assert_int_equal(d.n, 2);
    assert_int_equal(d.published[0], 1);
    assert_int_equal(d.published[1], 2);
    sp_apply_reload(&a, &meta);
    assert_true(sp_ok(sp_apply_logout(&a, &ended)));
    assert_int_equal(d.counted, 2); /* what was kept count of may not have happened */
    sp_apply_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settling_publishes_what_happened_and_nothing_else),
        cmocka_unit_test(settling_that_fails_half_way_goes_on_where_it_was),
        cmocka_unit_test(settling_publishes_the_logouts_that_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
