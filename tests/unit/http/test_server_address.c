/* Connections by address: exact counts, whatever comes and goes, in a table so full that slots collide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/server_llhttp.h"

enum { ADDRESSES = 40, MAX_EACH = 3, STEPS = 200000 };

struct fixture {
    struct address_table table;
    uint32_t random;
    size_t counts[ADDRESSES];
    uint64_t keys[ADDRESSES];
};

static int setup(void **state) {
    static struct fixture f;
    f = (struct fixture){.random = 1};
    *state = &f;
    return sp_ok(sp_http_address_init(&f.table, 1)) ? 0 : -1; /* the smallest table: 64 slots */
}

static int teardown(void **state) {
    struct fixture *f = *state;
    sp_http_address_done(&f->table);
    return 0;
}

static uint32_t next_random(struct fixture *f) {
    f->random = f->random * 1664525 + 1013904223;
    return f->random >> 8;
}

static void come(struct fixture *f, uint32_t who) {
    const uint8_t address[4] = {10, 0, 0, (uint8_t)who};
    uint64_t key = 0;
    const bool welcome = sp_http_address_enter(&f->table, address, sizeof(address), MAX_EACH, &key);
    assert_int_equal(welcome, f->counts[who] < MAX_EACH);
    if (!welcome) return;
    f->counts[who]++;
    f->keys[who] = key;
}

static void go(struct fixture *f, uint32_t who) {
    if (f->counts[who] == 0) return;
    f->counts[who]--;
    sp_http_address_leave(&f->table, f->keys[who]);
}

static void counts_stay_exact_while_addresses_come_and_go(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < STEPS; i++) {
        const uint32_t who = next_random(f) % ADDRESSES;
        if (next_random(f) % 2 == 0) {
            come(f, who);
        } else {
            go(f, who);
        }
    }
    for (uint32_t who = 0; who < ADDRESSES; who++) {
        while (f->counts[who] > 0) go(f, who);
    }
    for (size_t i = 0; i <= f->table.mask; i++) assert_int_equal(f->table.slots[i].key, 0);
}

static void short_and_long_address_are_not_the_same(void **state) {
    struct fixture *f = *state;
    const uint8_t address[8] = {10, 0, 0, 1};
    uint64_t four = 0, eight = 0;
    assert_true(sp_http_address_enter(&f->table, address, 4, 1, &four));
    assert_true(sp_http_address_enter(&f->table, address, 8, 1, &eight));
    assert_true(four != eight);
    assert_false(sp_http_address_enter(&f->table, address, 4, 1, &four));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_stay_exact_while_addresses_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(short_and_long_address_are_not_the_same, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
