/* Random histories of a whole app over the memory store; sim.h tells how, docs/internals/session.md what is
 * promised.
 *
 *   SP_SEEDS=n          so many seeds         SP_FIRST_SEED=n   from there
 *   SP_SEED=n           this one, told        */
#include "sim_app.h"

static void promises_hold_over_random_histories(void **state) {
    (void)state;
    struct sim_counts c = {0};
    sim_main(&sim_app_server, &c);
    if (getenv("SP_SEED") != NULL) return;
    /* A simulation in which nothing happens proves nothing. */
    assert_true(c.refreshes > 0 && c.trips > 0 && c.caught > 0 && c.retries_served > 0 && c.same > 0);
    assert_true(c.superseded > 0 && c.heals > 0 && c.restarts > 0 && c.restores > 0 && c.forged > 0);
    assert_true(c.reports > 0 && c.ends > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(promises_hold_over_random_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
