/* What the tests of src/crypto share. */
#ifndef SP_TESTS_CRYPTO_TEST_H
#define SP_TESTS_CRYPTO_TEST_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "base/base64url.h"
#include "base/mem.h"
#include "base/ports.h"

#define assert_status(s, wanted) assert_int_equal((s).code, (wanted))

struct test_bytes {
    uint8_t p[2048];
    size_t n;
};
static inline sp_slice test_slice(const struct test_bytes *b) {
    return sp_slice_of(b->p, b->n);
}
static inline struct test_bytes test_hex(const char *text) {
    struct test_bytes b = {.n = 0};
    for (; text[0] != 0; text += 2) {
        const char pair[3] = {text[0], text[1], 0};
        assert_true(b.n < sizeof b.p);
        b.p[b.n++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return b;
}
static inline struct test_bytes test_base64url(const char *text) {
    struct test_bytes b = {.n = 0};
    assert_status(sp_base64url_decode(sp_slice_cstr(text), b.p, sizeof b.p, &b.n), SP_OK);
    return b;
}
static inline void assert_hex(const uint8_t *p, const char *wanted) {
    struct test_bytes b = test_hex(wanted);
    assert_memory_equal(p, b.p, b.n);
}

static inline sp_status test_no_random(void *arg, void *p, size_t n) {
    (void)arg, (void)p, (void)n;
    return sp_err(SP_E_UNAVAILABLE);
}
static const struct sp_random test_random_broken = {.fill = test_no_random};

#endif
