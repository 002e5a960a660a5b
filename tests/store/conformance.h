/* The suite in rooms; each gives its tests to the one program, which runs them against the backend it is
 * told. */
#ifndef TESTS_STORE_CONFORMANCE_H
#define TESTS_STORE_CONFORMANCE_H

#include "fixture.h"

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, conformance_setup, conformance_teardown)

int conformance_setup(void **state);
int conformance_teardown(void **state);

int conformance_directory(void); /* users, roles, keys */
int conformance_rotate(void);
int conformance_ends(void); /* inserts, ends, epochs, purge */
int conformance_prune(void);
int conformance_feed(void);
int conformance_clients(void);
int conformance_consents(void);
int conformance_families(void); /* and the outbox of logouts */
int conformance_sets(void);     /* atomicity, audit, events, paging, concurrency */

#endif
