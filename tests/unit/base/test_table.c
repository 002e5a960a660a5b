#include "check.h"

#include "base/table.h"

enum { CLOSED, OPEN, STATES };
enum { EV_PUSH, EV_PULL, EVENTS };

struct row {
    struct sp_table_key key;
    char action;
};

static void assert_report(struct sp_table_report got, enum sp_table_verdict verdict, unsigned state,
                          unsigned event) {
    assert_int_equal(got.verdict, verdict);
    assert_int_equal(got.state, state);
    assert_int_equal(got.event, event);
}

static void a_complete_table_passes_and_answers(void **state) {
    (void)state;
    static const struct row rows[] = {{{OPEN, EV_PULL, CLOSED}, 'd'},
                                      {{CLOSED, EV_PUSH, OPEN}, 'a'},
                                      {{CLOSED, EV_PULL, CLOSED}, 'b'},
                                      {{OPEN, EV_PUSH, OPEN}, 'c'}};
    const struct sp_table t = SP_TABLE(rows, STATES, EVENTS);
    assert_report(sp_table_check(&t), SP_TABLE_COMPLETE, 0, 0);
    const struct row *row = sp_table_find(&t, OPEN, EV_PUSH);
    assert_non_null(row);
    assert_int_equal(row->action, 'c');
    assert_null(sp_table_find(&t, OPEN, EVENTS));
}

static void a_forgotten_pair_is_named(void **state) {
    (void)state;
    static const struct row rows[] = {
        {{CLOSED, EV_PUSH, OPEN}, 'a'}, {{CLOSED, EV_PULL, CLOSED}, 'b'}, {{OPEN, EV_PULL, CLOSED}, 'd'}};
    const struct sp_table t = SP_TABLE(rows, STATES, EVENTS);
    assert_report(sp_table_check(&t), SP_TABLE_MISSING, OPEN, EV_PUSH);
}

static void a_pair_that_stands_twice_is_named(void **state) {
    (void)state;
    static const struct row rows[] = {{{CLOSED, EV_PUSH, OPEN}, 'a'},
                                      {{CLOSED, EV_PULL, CLOSED}, 'b'},
                                      {{OPEN, EV_PUSH, OPEN}, 'c'},
                                      {{OPEN, EV_PULL, CLOSED}, 'd'},
                                      {{CLOSED, EV_PULL, OPEN}, 'e'}};
    const struct sp_table t = SP_TABLE(rows, STATES, EVENTS);
    assert_report(sp_table_check(&t), SP_TABLE_TWICE, CLOSED, EV_PULL);
}

static void a_state_that_does_not_exist_is_named(void **state) {
    (void)state;
    static const struct row rows[] = {{{CLOSED, EV_PUSH, STATES}, 'a'}};
    const struct sp_table t = SP_TABLE(rows, STATES, EVENTS);
    assert_report(sp_table_check(&t), SP_TABLE_OUT_OF_RANGE, CLOSED, EV_PUSH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_complete_table_passes_and_answers),
        cmocka_unit_test(a_forgotten_pair_is_named),
        cmocka_unit_test(a_pair_that_stands_twice_is_named),
        cmocka_unit_test(a_state_that_does_not_exist_is_named),
    };
    return cmocka_run_group_tests_name("base/table", tests, NULL, NULL);
}
