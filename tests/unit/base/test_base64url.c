#include "check.h"

#include "base/base64url.h"

static sp_status decode(const char *text, uint8_t *out, size_t cap, size_t *ret_n) {
    return sp_base64url_decode(sp_slice_cstr(text), out, cap, ret_n);
}

/* RFC 4648 section 10, without the padding. */
static void vectors_of_rfc_4648(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[16] = {0};
        uint8_t bytes[16];
        size_t n = 99, chars = SP_BASE64URL_CHARS(strlen(rows[i][0]));
        sp_base64url_encode(sp_slice_cstr(rows[i][0]), text);
        assert_string_equal(text, rows[i][1]);
        assert_int_equal(chars, strlen(rows[i][1]));
        assert_int_equal(SP_BASE64URL_BYTES(chars), strlen(rows[i][0]));
        assert_ok(decode(rows[i][1], bytes, sizeof(bytes), &n));
        assert_int_equal(n, strlen(rows[i][0]));
        if (n != 0) assert_memory_equal(bytes, rows[i][0], n);
    }
}

/* What decodes must encode to the same text: there is no second text for any bytes. Three characters over
 * all values cover every digit, place and trailing bit. */
static void decoding_is_injective(void **state) {
    (void)state;
    for (unsigned v = 0; v < 256u * 256u; v++) {
        const uint8_t text[3] = {'A', (uint8_t)(v >> 8), (uint8_t)v};
        for (size_t n = 2; n <= 3; n++) {
            uint8_t bytes[3];
            char again[4];
            size_t got;
            if (!sp_ok(sp_base64url_decode(sp_slice_of(text, n), bytes, sizeof(bytes), &got))) continue;
            assert_int_equal(got, n - 1);
            sp_base64url_encode(sp_slice_of(bytes, got), again);
            assert_memory_equal(again, text, n);
        }
    }
}

static void every_byte_in_every_place_round_trips(void **state) {
    (void)state;
    for (unsigned v = 0; v < 256; v++)
        for (size_t n = 1; n <= 9; n++) {
            uint8_t in[9], out[9];
            char text[12];
            for (size_t i = 0; i < n; i++) in[i] = (uint8_t)(v + 37 * i);
            sp_base64url_encode(sp_slice_of(in, n), text);
            assert_ok(sp_base64url_decode_exact(sp_slice_of(text, SP_BASE64URL_CHARS(n)), out, n));
            assert_memory_equal(in, out, n);
        }
}

/* Long texts go by blocks, the rest by groups: every byte in every place must mean in both what it means in a
 * text of four characters. The text ends where its memory ends, and so does the output. */
static void every_byte_in_every_place_of_a_long_text_means_the_same(void **state) {
    (void)state;
    enum { CHARS = 70, BYTES = SP_BASE64URL_BYTES(CHARS) };
    uint8_t *text = malloc(CHARS), *out = malloc(BYTES), group[3];
    assert_true(text != NULL && out != NULL);
    for (size_t n = CHARS - 22; n <= CHARS; n += 2)
        for (size_t at = 0; at < n / 4 * 4; at++)
            for (unsigned c = 0; c < 256; c++) {
                size_t got, first = at / 4 * 4;
                uint8_t *p = text + (CHARS - n), *q = out + (BYTES - SP_BASE64URL_BYTES(n));
                memset(p, 'A', n);
                p[at] = (uint8_t)c;
                bool alone = sp_ok(sp_base64url_decode(sp_slice_of(p + first, 4), group, 3, &got));
                bool whole = sp_ok(sp_base64url_decode(sp_slice_of(p, n), q, SP_BASE64URL_BYTES(n), &got));
                assert_int_equal(whole, alone);
                if (whole) assert_memory_equal(q + first / 4 * 3, group, 3);
            }
    free(text);
    free(out);
}

static void a_text_decodes_in_place(void **state) {
    (void)state;
    uint8_t bytes[150], text[SP_BASE64URL_CHARS(150)];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t got, chars = SP_BASE64URL_CHARS(n);
        sp_base64url_encode(sp_slice_of(bytes, n), (char *)text);
        assert_ok(sp_base64url_decode(sp_slice_of(text, chars), text, sizeof text, &got));
        assert_int_equal(got, n);
        assert_memory_equal(text, bytes, n);
    }
}

static void other_texts_are_refused(void **state) {
    (void)state;
    static const char *const rows[] = {"Zg==", "Zg=", "Z",   "Zm9vY", "Zm9v\n", " Zm9v", "Zm 9v",  "Zm+v",
                                       "Zm/v", "Zh",  "Zm9", "Zn",    "Z-\xff", "====",  "Zm9\xc3"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[16];
        size_t n = 99;
        assert_code(decode(rows[i], out, sizeof(out), &n), SP_E_MALFORMED);
        assert_int_equal(n, 99);
    }
    uint8_t out[16];
    size_t n;
    assert_code(sp_base64url_decode(SP_SLICE_LIT("Zm\0v"), out, sizeof(out), &n), SP_E_MALFORMED);
}

static void a_small_output_is_a_limit_not_an_overflow(void **state) {
    (void)state;
    uint8_t out[4] = {0, 0, 0, 0xaa};
    size_t n = 99;
    assert_code(decode("Zm9vYg", out, 3, &n), SP_E_LIMIT);
    assert_int_equal(n, 99);
    assert_int_equal(out[3], 0xaa);
    assert_ok(decode("Zm9v", out, 3, &n));
    assert_int_equal(n, 3);
}

static void exact_means_exact(void **state) {
    (void)state;
    uint8_t out[8];
    assert_ok(sp_base64url_decode_exact(SP_SLICE_LIT("Zm9v"), out, 3));
    assert_code(sp_base64url_decode_exact(SP_SLICE_LIT("Zm9v"), out, 2), SP_E_MALFORMED);
    assert_code(sp_base64url_decode_exact(SP_SLICE_LIT("Zm9v"), out, 4), SP_E_MALFORMED);
    assert_code(sp_base64url_decode_exact(SP_SLICE_LIT("Zm9"), out, 3), SP_E_MALFORMED);
    assert_ok(sp_base64url_decode_exact(SP_SLICE_EMPTY, out, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_rfc_4648),
        cmocka_unit_test(decoding_is_injective),
        cmocka_unit_test(every_byte_in_every_place_round_trips),
        cmocka_unit_test(every_byte_in_every_place_of_a_long_text_means_the_same),
        cmocka_unit_test(a_text_decodes_in_place),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(a_small_output_is_a_limit_not_an_overflow),
        cmocka_unit_test(exact_means_exact),
    };
    return cmocka_run_group_tests_name("base/base64url", tests, NULL, NULL);
}
