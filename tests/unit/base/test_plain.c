#include "check.h"

#include "base/plain.h"

static const enum sp_plain kinds[] = {SP_PLAIN_ANY, SP_PLAIN_ASCII, SP_PLAIN_WORD};

/* What the header says, byte by byte. */
static bool is_plain(unsigned c, enum sp_plain kind) {
    if (c == '"' || c == '\\' || c < 0x20) return false;
    if (kind == SP_PLAIN_ANY) return true;
    return c < 0x80 && (kind == SP_PLAIN_ASCII || (c != ' ' && c != 0x7f));
}

static size_t run(const uint8_t *p, size_t n, enum sp_plain kind) {
    return (size_t)(sp_plain_end(p, p + n, kind) - p);
}

/* Lengths that take each of the widths, and the rests of each. */
enum { LENGTH_MAX = 16 + 16 + 8 + 7 };

static void each_byte_at_each_place_ends_a_run_or_does_not(void **state) {
    (void)state;
    uint8_t text[LENGTH_MAX];
    for (size_t k = 0; k < 3; k++) {
        for (size_t n = 1; n <= sizeof text; n++) {
            for (size_t at = 0; at < n; at++) {
                for (unsigned c = 0; c < 256; c++) {
                    memset(text, 'x', sizeof text);
                    text[at] = (uint8_t)c;
                    assert_int_equal(run(text, n, kinds[k]), is_plain(c, kinds[k]) ? n : at);
                }
            }
        }
    }
}

/* Comparing eight bytes at once borrows from the neighbour above: what follows an end must not matter. */
static void the_first_of_two_ends_counts(void **state) {
    (void)state;
    const uint8_t ends[] = {0x00, 0x1f, '"', '\\'};
    uint8_t text[LENGTH_MAX];
    for (size_t k = 0; k < 3; k++) {
        for (size_t at = 0; at + 1 < sizeof text; at++) {
            for (unsigned c = 0; c < 256; c++) {
                memset(text, 'x', sizeof text);
                text[at] = ends[c % sizeof ends];
                text[at + 1] = (uint8_t)c;
                assert_int_equal(run(text, sizeof text, kinds[k]), at);
            }
        }
    }
}

/* A byte that is nearly an end, right before one and right after. */
static void neighbours_of_an_end_are_plain(void **state) {
    (void)state;
    const uint8_t near[] = {'!', '#', '[', ']', '~', '0'};
    uint8_t text[LENGTH_MAX];
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < sizeof near; i++) {
            memset(text, near[i], sizeof text);
            assert_int_equal(run(text, sizeof text, kinds[k]), sizeof text);
            for (size_t at = 0; at < sizeof text; at++) {
                memset(text, near[i], sizeof text);
                text[at] = '"';
                assert_int_equal(run(text, sizeof text, kinds[k]), at);
            }
        }
    }
}

static void nothing_is_an_empty_run(void **state) {
    (void)state;
    uint8_t quote = '"';
    for (size_t k = 0; k < 3; k++) assert_int_equal(run(&quote, 0, kinds[k]), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_at_each_place_ends_a_run_or_does_not),
        cmocka_unit_test(the_first_of_two_ends_counts),
        cmocka_unit_test(neighbours_of_an_end_are_plain),
        cmocka_unit_test(nothing_is_an_empty_run),
    };
    return cmocka_run_group_tests_name("base/plain", tests, NULL, NULL);
}
