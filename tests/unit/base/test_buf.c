#include "check.h"

#include "base/buf.h"
#include "base/mem.h"

/* Allocations fail when their turn comes (--wrap=malloc). */
static int allocations_left = -1;
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n) {
    if (allocations_left == 0) return NULL;
    if (allocations_left > 0) allocations_left--;
    return __real_malloc(n);
}

static void appends_keep_order(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(64);
    assert_ok(sp_buf_append_cstr(&b, "ab"));
    assert_ok(sp_buf_append(&b, SP_SLICE_LIT("cd")));
    assert_ok(sp_buf_append_u8(&b, 'e'));
    assert_ok(sp_buf_append_i64_text(&b, INT64_MIN));
    assert_ok(sp_buf_printf(&b, "%s=%d", "x", 7));
    assert_slice(sp_buf_slice(&b), "abcde-9223372036854775808x=7");
}

static void integers_are_big_endian(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(12);
    assert_ok(sp_buf_append_u32be(&b, 0x01020304));
    assert_ok(sp_buf_append_u64be(&b, 0x05060708090a0b0c));
    assert_slice(sp_buf_slice(&b), "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c");
}

static void growth_keeps_what_was_there(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(5000);
    for (int i = 0; i < 5000; i++) assert_ok(sp_buf_append_u8(&b, (uint8_t)(i * 7)));
    for (int i = 0; i < 5000; i++) assert_int_equal(b.p[i], (uint8_t)(i * 7));
    assert_true(b.cap <= b.max);
}

static void the_maximum_is_exact(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(4);
    assert_ok(sp_buf_append_cstr(&b, "abcd"));
    assert_code(sp_buf_append_u8(&b, 'e'), SP_E_LIMIT);
    assert_slice(sp_buf_slice(&b), "abcd");
}

static void a_zero_maximum_holds_nothing(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(0);
    assert_ok(sp_buf_append(&b, SP_SLICE_EMPTY));
    assert_code(sp_buf_append_u8(&b, 'a'), SP_E_LIMIT);
}

static void a_huge_reservation_does_not_wrap(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(16);
    uint8_t *p = NULL;
    assert_ok(sp_buf_append_cstr(&b, "abc"));
    assert_code(sp_buf_reserve(&b, SIZE_MAX, &p), SP_E_LIMIT);
    assert_code(sp_buf_reserve(&b, SIZE_MAX - 2, &p), SP_E_LIMIT);
    assert_code(sp_buf_append_hex(&b, sp_slice_of(b.p, SIZE_MAX / 2 + 2)), SP_E_LIMIT);
    assert_code(sp_buf_append_base64url(&b, sp_slice_of(b.p, SIZE_MAX)), SP_E_LIMIT);
    assert_null(p);
    assert_int_equal(b.n, 3);
}

static void a_failed_allocation_leaves_the_buffer_alone(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(4096);
    assert_ok(sp_buf_append_cstr(&b, "kept"));
    uint8_t *before = b.p, *p = NULL;
    allocations_left = 0;
    sp_status s = sp_buf_reserve(&b, 1000, &p);
    allocations_left = -1;
    assert_code(s, SP_E_NOMEM);
    assert_ptr_equal(b.p, before);
    assert_slice(sp_buf_slice(&b), "kept");
    assert_ok(sp_buf_append_cstr(&b, "!"));
}

static void json_string_that_does_not_fit_leaves_nothing_behind(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(8);
    assert_ok(sp_buf_append_cstr(&b, "x"));
    assert_code(sp_buf_append_json_string(&b, SP_SLICE_LIT("abcdefg")), SP_E_LIMIT);
    assert_slice(sp_buf_slice(&b), "x");
}

static void json_string_escapes_what_it_must(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(128);
    assert_ok(sp_buf_append_json_string(&b, SP_SLICE_LIT("a\"b\\c\n\x1f\0/\xc3\xa9\x7f")));
    assert_slice(sp_buf_slice(&b), "\"a\\\"b\\\\c\\u000a\\u001f\\u0000/\xc3\xa9\x7f\"");
}

static void hex_and_base64url_append(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(64);
    assert_ok(sp_buf_append_hex(&b, SP_SLICE_LIT("\x00\xff\x1a")));
    assert_ok(sp_buf_append_base64url(&b, SP_SLICE_LIT("\xff\xfe")));
    assert_ok(sp_buf_append_hex(&b, SP_SLICE_EMPTY));
    assert_ok(sp_buf_append_base64url(&b, SP_SLICE_EMPTY));
    assert_slice(sp_buf_slice(&b), "00ff1a__4");
}

static void cstr_ends_in_nul_and_counts_it(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(4);
    const char *s = NULL;
    assert_ok(sp_buf_cstr(&b, &s));
    assert_string_equal(s, "");
    assert_ok(sp_buf_append_cstr(&b, "abc"));
    assert_ok(sp_buf_cstr(&b, &s));
    assert_string_equal(s, "abc");
    assert_int_equal(b.n, 3);
    assert_ok(sp_buf_append_u8(&b, 'd'));
    assert_code(sp_buf_cstr(&b, &s), SP_E_LIMIT);
}

static void truncate_and_clear_wipe(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(64);
    assert_ok(sp_buf_append_cstr(&b, "secret"));
    sp_buf_truncate(&b, 2);
    assert_memory_equal(b.p, "se\0\0\0\0", 6);
    sp_buf_clear(&b);
    assert_memory_equal(b.p, "\0\0\0\0\0\0", 6);
    assert_int_equal(b.n, 0);
}

static void done_may_be_called_twice_and_the_buffer_used_again(void **state) {
    (void)state;
    struct sp_buf b;
    sp_buf_init(&b, 16);
    sp_buf_done(&b);
    assert_ok(sp_buf_append_cstr(&b, "again"));
    sp_buf_done(&b);
    sp_buf_done(&b);
    assert_int_equal(b.n, 0);
}

static void url_below_another_has_one_slash_and_is_whole_or_not_there(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(20);
    assert_ok(sp_buf_append_url(&b, SP_SLICE_LIT("https://a"), SP_SLICE_LIT("/b")));
    assert_slice(sp_buf_slice(&b), "https://a/b");
    assert_code(sp_buf_append_url(&b, SP_SLICE_LIT("https://"), SP_SLICE_LIT("/long")), SP_E_LIMIT);
    assert_slice(sp_buf_slice(&b), "https://a/b");
    sp_buf_clear(&b);
    assert_ok(sp_buf_append_url(&b, SP_SLICE_LIT("https://a/"), SP_SLICE_LIT("/b")));
    assert_slice(sp_buf_slice(&b), "https://a/b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_keep_order),
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(growth_keeps_what_was_there),
        cmocka_unit_test(the_maximum_is_exact),
        cmocka_unit_test(a_zero_maximum_holds_nothing),
        cmocka_unit_test(a_huge_reservation_does_not_wrap),
        cmocka_unit_test(a_failed_allocation_leaves_the_buffer_alone),
        cmocka_unit_test(json_string_that_does_not_fit_leaves_nothing_behind),
        cmocka_unit_test(json_string_escapes_what_it_must),
        cmocka_unit_test(hex_and_base64url_append),
        cmocka_unit_test(cstr_ends_in_nul_and_counts_it),
        cmocka_unit_test(truncate_and_clear_wipe),
        cmocka_unit_test(url_below_another_has_one_slash_and_is_whole_or_not_there),
        cmocka_unit_test(done_may_be_called_twice_and_the_buffer_used_again),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
