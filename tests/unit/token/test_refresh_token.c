#include "forge.h"
#include "token/refresh_token.h"

static struct sp_refresh_key keys[2];
static struct sp_refresh_token token;

static int setup(void **state) {
    (void)state;
    uint8_t a[SP_REFRESH_KEY_BYTES], b[SP_REFRESH_KEY_BYTES];
    memset(a, 1, sizeof a);
    memset(b, 2, sizeof b);
    sp_refresh_key_init(&keys[0], 7, a);
    sp_refresh_key_init(&keys[1], 9, b);
    token = (struct sp_refresh_token){.key_id = 7, .generation = 3};
    memset(token.sid.b, 0x5a, sizeof token.sid.b);
    memset(token.secret, 0xc3, sizeof token.secret);
    return 0;
}

static const struct sp_refresh_key *find(void *arg, uint8_t id) {
    (void)arg;
    for (size_t i = 0; i < SP_ARRAY_LEN(keys); i++)
        if (keys[i].id == id) return &keys[i];
    return NULL;
}

static sp_status parse(const char *text, size_t n, struct sp_refresh_token *ret) {
    return sp_refresh_token_parse(sp_slice_of(text, n), find, NULL, ret);
}

static void encoded_token_comes_back(void **state) {
    (void)state;
    char text[SP_REFRESH_CHARS];
    struct sp_refresh_token back;
    sp_refresh_token_encode(&token, &keys[0], text);
    assert_memory_equal(text, "sprt_AQ", 7);
    assert_status(parse(text, sizeof text, &back), SP_OK);
    assert_int_equal(back.key_id, 7);
    assert_int_equal(back.generation, 3);
    assert_true(sp_sid_eq(back.sid, token.sid));
    assert_memory_equal(back.secret, token.secret, sizeof token.secret);
    sp_refresh_token_done(&back);
}

/* Computed independently with Python's hmac. So that two builds, or two versions, cannot disagree without
 * this test noticing. */
static void wire_form_is_fixed(void **state) {
    (void)state;
    char text[SP_REFRESH_CHARS + 1] = "";
    uint8_t secret[SP_REFRESH_SECRET_BYTES];
    static const uint8_t wanted[SP_REFRESH_SECRET_BYTES] = {0x3f, 0xdb, 0x40, 0x96, 0x30, 0x1d, 0x00, 0x10,
                                                            0xa8, 0xfb, 0xec, 0xee, 0x9c, 0xec, 0x32, 0x17};
    sp_refresh_token_encode(&token, &keys[0], text);
    assert_string_equal(text, "sprt_AQdaWlpaWlpaWlpaWlpaWlpaWlpaWgAAAAM1jpAw8ZdJS8PDw8PDw8PDw8PDw8PDw8M");
    memcpy(secret, token.secret, sizeof secret);
    sp_refresh_ratchet(&keys[0], token.sid, 3, secret);
    assert_memory_equal(secret, wanted, sizeof secret);
}

static void no_changed_character_before_the_secret_passes(void **state) {
    (void)state;
    char text[SP_REFRESH_CHARS];
    struct sp_refresh_token back = {.generation = 12345};
    sp_refresh_token_encode(&token, &keys[0], text);
    const size_t secret_at = 5 + (34 * 8 + 5) / 6;
    for (size_t i = 0; i < secret_at; i++) {
        char before = text[i];
        text[i] = before == 'A' ? 'B' : 'A';
        assert_false(sp_ok(parse(text, sizeof text, &back)));
        text[i] = before;
    }
    assert_int_equal(back.generation, 12345);
}

static void every_other_length_is_malformed(void **state) {
    (void)state;
    char text[SP_REFRESH_CHARS + 8] = {0};
    struct sp_refresh_token back;
    sp_refresh_token_encode(&token, &keys[0], text);
    for (size_t n = 0; n <= sizeof text; n++)
        assert_status(parse(text, n, &back), n == SP_REFRESH_CHARS ? SP_OK : SP_E_MALFORMED);
}

static void another_version_is_malformed_and_another_key_not_found(void **state) {
    (void)state;
    char text[SP_REFRESH_CHARS];
    struct sp_refresh_token back, other = token;
    struct sp_refresh_key stranger = keys[0];
    stranger.id = other.key_id = 8;
    sp_refresh_token_encode(&other, &stranger, text);
    assert_status(parse(text, sizeof text, &back), SP_E_NOT_FOUND);
    stranger = keys[0];
    stranger.id = other.key_id = 9; /* claims the second key's id under the first key's tag */
    sp_refresh_token_encode(&other, &stranger, text);
    assert_status(parse(text, sizeof text, &back), SP_E_CRYPTO);
    sp_refresh_token_encode(&token, &keys[0], text);
    text[6] = 'g'; /* version 2 */
    assert_status(parse(text, sizeof text, &back), SP_E_MALFORMED);
}

static void trailing_bits_and_padding_are_malformed(void **state) {
    (void)state;
    char text[SP_REFRESH_CHARS];
    struct sp_refresh_token back;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    sp_refresh_token_encode(&token, &keys[0], text);
    const char *last = strchr(alphabet, text[sizeof text - 1]);
    for (int bits = 1; bits < 4; bits++) {
        text[sizeof text - 1] = alphabet[(last - alphabet) | bits];
        assert_status(parse(text, sizeof text, &back), SP_E_MALFORMED);
    }
    text[sizeof text - 1] = '=';
    assert_status(parse(text, sizeof text, &back), SP_E_MALFORMED);
}

static void ratchet_forward_is_that_many_steps(void **state) {
    (void)state;
    uint8_t stepped[16], jumped[16];
    memcpy(stepped, token.secret, 16);
    memcpy(jumped, token.secret, 16);
    for (uint32_t g = 3; g < 53; g++) sp_refresh_ratchet(&keys[0], token.sid, g, stepped);
    assert_status(sp_refresh_ratchet_forward(&keys[0], token.sid, 3, 53, 50, jumped), SP_OK);
    assert_memory_equal(stepped, jumped, 16);
    assert_status(sp_refresh_ratchet_forward(&keys[0], token.sid, 53, 53, 0, jumped), SP_OK);
    assert_memory_equal(stepped, jumped, 16);
}

static void ratchet_never_goes_back_or_beyond_its_bound(void **state) {
    (void)state;
    uint8_t secret[16];
    memcpy(secret, token.secret, 16);
    assert_status(sp_refresh_ratchet_forward(&keys[0], token.sid, 3, 2, 100, secret), SP_E_LIMIT);
    assert_status(sp_refresh_ratchet_forward(&keys[0], token.sid, 3, 104, 100, secret), SP_E_LIMIT);
    assert_status(sp_refresh_ratchet_forward(&keys[0], token.sid, 0, UINT32_MAX, 100, secret), SP_E_LIMIT);
    assert_memory_equal(secret, token.secret, 16);
    assert_status(sp_refresh_ratchet_forward(&keys[0], token.sid, UINT32_MAX - 1, UINT32_MAX, 1, secret),
                  SP_OK);
}

static void successor_depends_on_everything(void **state) {
    (void)state;
    uint8_t base[16], other[16];
    sp_sid sid = token.sid;
    memcpy(base, token.secret, 16);
    sp_refresh_ratchet(&keys[0], sid, 3, base);
    memcpy(other, token.secret, 16);
    sp_refresh_ratchet(&keys[1], sid, 3, other);
    assert_memory_not_equal(base, other, 16);
    memcpy(other, token.secret, 16);
    sp_refresh_ratchet(&keys[0], sid, 4, other);
    assert_memory_not_equal(base, other, 16);
    sid.b[19] ^= 1;
    memcpy(other, token.secret, 16);
    sp_refresh_ratchet(&keys[0], sid, 3, other);
    assert_memory_not_equal(base, other, 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoded_token_comes_back),
        cmocka_unit_test(wire_form_is_fixed),
        cmocka_unit_test(no_changed_character_before_the_secret_passes),
        cmocka_unit_test(every_other_length_is_malformed),
        cmocka_unit_test(another_version_is_malformed_and_another_key_not_found),
        cmocka_unit_test(trailing_bits_and_padding_are_malformed),
        cmocka_unit_test(ratchet_forward_is_that_many_steps),
        cmocka_unit_test(ratchet_never_goes_back_or_beyond_its_bound),
        cmocka_unit_test(successor_depends_on_everything),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
