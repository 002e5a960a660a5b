/* Random histories of a whole server: clients, thieves and administrators whose requests are bytes.
 *
 * Actors, promises and environment are test_sim_app.c's (docs/internals/session.md states them); here they
 * go through parser, routes, credentials, cookies, CSRF and JSON, in both directions. sim_http.h says what is
 * promised beside. */
#include "sim_http.h"

static void promises_hold_over_random_histories_of_bytes(void **state) {
    (void)state;
    struct sim_counts c = {0};
    const struct sim_server server = sim_http_server();
    sim_main(&server, &c);
    print_message("# %llu requests\n", (unsigned long long)sim_http_exchanges());
    if (getenv("SP_SEED") != NULL || getenv("SP_SEEDS") != NULL || sim_is_shortened()) return;
    /* A simulation in which nothing happens proves nothing. */
    assert_true(c.refreshes > 0 && c.trips > 0 && c.caught > 0 && c.retries_served > 0 && c.same > 0);
    assert_true(c.restarts > 0 && c.restores > 0 && c.forged > 0 && c.ends > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(promises_hold_over_random_histories_of_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
