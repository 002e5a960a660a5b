/* The proof of freshness, as checks read it and as the follower writes it. */
#include "support.h"
#include "verify/freshness.h"

enum { BOUND_MS = 30000 };

struct clocks {
    int64_t boot_ms, wall_ms;
};
static int64_t read_wall(void *arg) {
    return ((struct clocks *)arg)->wall_ms;
}
static int64_t read_boot(void *arg) {
    return ((struct clocks *)arg)->boot_ms;
}

struct fixture_f {
    struct clocks c;
    struct sp_clock clock;
    struct sp_freshness f;
};
static void begin(struct fixture_f *x) {
    memset(x, 0, sizeof *x);
    x->c = (struct clocks){.boot_ms = 1000000, .wall_ms = (int64_t)T0 * 1000};
    x->clock = (struct sp_clock){read_wall, read_boot, &x->c};
    sp_freshness_init(&x->f, BOUND_MS, &x->clock);
}
static void pass(struct fixture_f *x, int64_t ms) {
    x->c.boot_ms += ms;
    x->c.wall_ms += ms;
}
static bool is_fresh(struct fixture_f *x) {
    uint64_t age_ms;
    return sp_freshness_now(&x->f, &age_ms) == SP_FRESH;
}
static void prove_now(struct fixture_f *x) {
    sp_freshness_anchor(&x->f, x->c.boot_ms, x->c.wall_ms);
    sp_freshness_prove(&x->f, x->c.boot_ms);
}

static void nothing_is_proved_in_the_beginning(void **state) {
    struct fixture_f x;
    uint64_t age_ms;
    (void)state;
    begin(&x);
    assert_int_equal(sp_freshness_now(&x.f, &age_ms), SP_NOT_FRESH);
    assert_true(age_ms == UINT64_MAX);
    assert_false(sp_freshness_ever(&x.f));
}

static void bound_is_inclusive(void **state) {
    struct fixture_f x;
    (void)state;
    begin(&x);
    prove_now(&x);
    pass(&x, BOUND_MS);
    assert_true(is_fresh(&x));
    pass(&x, 1);
    assert_false(is_fresh(&x));
    assert_true(sp_freshness_ever(&x.f));
}

static void proof_only_rises(void **state) {
    struct fixture_f x;
    (void)state;
    begin(&x);
    prove_now(&x);
    sp_freshness_prove(&x.f, x.c.boot_ms - 20000);
    pass(&x, BOUND_MS);
    assert_true(is_fresh(&x));
}

static void proof_of_the_future_is_none(void **state) {
    struct fixture_f x;
    (void)state;
    begin(&x);
    prove_now(&x);
    sp_freshness_prove(&x.f, x.c.boot_ms + 1);
    assert_false(is_fresh(&x));
}

/* What was proved while a check was under way does not count for it: it may have looked before. */
static void check_counts_what_was_proved_before_it_looked(void **state) {
    struct fixture_f x;
    (void)state;
    begin(&x);
    prove_now(&x);
    pass(&x, BOUND_MS - 10);
    struct sp_freshness_seen seen = sp_freshness_before(&x.f);
    pass(&x, 20);
    prove_now(&x);
    assert_int_equal(sp_freshness_after(&x.f, &seen), SP_NOT_FRESH);
    assert_true(is_fresh(&x));
}

static void check_that_was_held_up_is_no_jump(void **state) {
    struct fixture_f x;
    (void)state;
    begin(&x);
    prove_now(&x);
    struct sp_freshness_seen seen = sp_freshness_before(&x.f);
    pass(&x, 5000);
    assert_int_equal(sp_freshness_after(&x.f, &seen), SP_FRESH);
    assert_false(sp_freshness_jumped(&x.f));
}

static void clocks_may_move_apart_by_a_second_and_no_more(void **state) {
    struct fixture_f x;
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        begin(&x);
        prove_now(&x);
        x.c.wall_ms += sign * SP_FRESHNESS_JUMP_MS;
        assert_true(is_fresh(&x));
        x.c.wall_ms += sign;
        assert_false(is_fresh(&x));
        assert_true(sp_freshness_jumped(&x.f));
        x.c.wall_ms -= sign; /* as if nothing had been */
        assert_false(is_fresh(&x));
        sp_freshness_forget(&x.f);
        sp_freshness_anchor(&x.f, x.c.boot_ms, x.c.wall_ms);
        assert_false(is_fresh(&x)); /* an anchor alone proves nothing */
        sp_freshness_prove(&x.f, x.c.boot_ms);
        assert_true(is_fresh(&x));
    }
}

/* A check that began before the jump was dealt with may not use what it read with the new distance. */
static void old_proof_never_meets_the_new_distance(void **state) {
    struct fixture_f x;
    (void)state;
    begin(&x);
    prove_now(&x);
    struct sp_freshness_seen seen = sp_freshness_before(&x.f);
    x.c.wall_ms += 60000; /* our boot-time clock stood still for a minute */
    sp_freshness_forget(&x.f);
    sp_freshness_anchor(&x.f, x.c.boot_ms, x.c.wall_ms);
    assert_int_equal(sp_freshness_after(&x.f, &seen), SP_NOT_FRESH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_proved_in_the_beginning),
        cmocka_unit_test(bound_is_inclusive),
        cmocka_unit_test(proof_only_rises),
        cmocka_unit_test(proof_of_the_future_is_none),
        cmocka_unit_test(check_counts_what_was_proved_before_it_looked),
        cmocka_unit_test(check_that_was_held_up_is_no_jump),
        cmocka_unit_test(clocks_may_move_apart_by_a_second_and_no_more),
        cmocka_unit_test(old_proof_never_meets_the_new_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
