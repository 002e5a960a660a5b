/* Random histories of a whole app over the memory store.
 *
 * Honest clients keep to the protocol of docs/internals/session.md, in short: the same attempt for every
 * retry of a refresh, however late; without attempts retry only while the window of a rotation that may have
 * happened is certainly open when the retry is decided (grace - life after the first request), else log in
 * again; replace the stored token only if it is the one that was presented; superseded means: use the newest
 * token that is stored; three refreshes in a grace time at most; a browser begins none within the grace time
 * of the last success, and keeps the attempt when a request was never answered.
 *
 * Promised: one successor of a generation and one live generation of a family; what was acknowledged as over
 * is over; the honest are never tripped or locked out; a thief is caught at his use or at the next honest
 * one, outside the windows; forgers change nothing; restarts lose nothing.
 *
 *   SP_SEEDS=n   so many seeds     SP_FIRST_SEED=n   from there     SP_SEED=n   this one, told in full */
#include "sim_app.h"

static void promises_hold_over_random_histories(void **state) {
    (void)state;
    struct sim_counts c = {0};
    sim_main(&sim_app_server, &c);
    if (getenv("SP_SEED") != NULL || getenv("SP_SEEDS") != NULL) return;
    /* A simulation in which nothing happens proves nothing. */
    assert_true(c.refreshes > 0 && c.trips > 0 && c.caught > 0 && c.retries_served > 0 && c.same > 0);
    if (sim_is_shortened()) return;
    assert_true(c.superseded > 0 && c.heals > 0 && c.restarts > 0 && c.restores > 0 && c.forged > 0);
    assert_true(c.reports > 0 && c.ends > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(promises_hold_over_random_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
