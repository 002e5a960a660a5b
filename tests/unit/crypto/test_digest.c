#include "crypto_test.h"

#include "crypto/digest.h"

static void sha256_gives_the_digests_of_fips_180(void **state) {
    (void)state;
    uint8_t out[SP_SHA256_BYTES];
    sp_sha256(SP_SLICE_LIT("abc"), out);
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sp_sha256(SP_SLICE_EMPTY, out);
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void sha256_in_pieces_is_sha256_of_the_whole(void **state) {
    (void)state;
    uint8_t text[300], whole[SP_SHA256_BYTES], pieces[SP_SHA256_BYTES];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)i;
    sp_sha256(SP_SLICE_ARRAY(text), whole);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        struct sp_sha256 s;
        sp_sha256_init(&s);
        sp_sha256_update(&s, sp_slice_of(text, cut));
        sp_sha256_update(&s, sp_slice_of(text + cut, sizeof text - cut));
        sp_sha256_final(&s, pieces);
        assert_memory_equal(pieces, whole, sizeof whole);
    }
}

static void copied_sha256_states_go_separate_ways(void **state) {
    (void)state;
    struct sp_sha256 a, b;
    uint8_t out[SP_SHA256_BYTES];
    sp_sha256_init(&a);
    sp_sha256_update(&a, SP_SLICE_LIT("ab"));
    b = a;
    sp_sha256_update(&b, SP_SLICE_LIT("x"));
    sp_sha256_final(&b, out);
    sp_sha256_update(&a, SP_SLICE_LIT("c"));
    sp_sha256_final(&a, out);
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void hmac_gives_the_tags_of_rfc_4231(void **state) {
    (void)state;
    uint8_t out[SP_SHA256_BYTES], long_key[131];
    memset(long_key, 0xaa, sizeof long_key);
    sp_hmac_sha256(SP_SLICE_LIT("Jefe"), SP_SLICE_LIT("what do ya want for nothing?"), out);
    assert_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    sp_hmac_sha256(SP_SLICE_ARRAY(long_key),
                   SP_SLICE_LIT("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void prepared_hmac_key_serves_again_and_in_parts(void **state) {
    (void)state;
    struct sp_hmac_key key;
    struct sp_hmac_stream stream;
    uint8_t a[SP_SHA256_BYTES], b[SP_SHA256_BYTES];
    const sp_slice parts[] = {SP_SLICE_LIT("what do ya "), SP_SLICE_EMPTY, SP_SLICE_LIT("want for nothing?")};
    sp_hmac_key_init(&key, SP_SLICE_LIT("Jefe"));
    sp_hmac_parts(&key, parts, 3, a);
    sp_hmac(&key, SP_SLICE_LIT("what do ya want for nothing?"), b);
    assert_memory_equal(a, b, sizeof a);
    sp_hmac_begin(&stream, &key);
    for (size_t i = 0; i < 3; i++) sp_hmac_update(&stream, parts[i]);
    sp_hmac_final(&stream, b);
    assert_memory_equal(a, b, sizeof a);
    assert_hex(a, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    sp_hmac_key_done(&key);
}

static void hkdf_gives_the_keys_of_rfc_5869(void **state) {
    (void)state;
    uint8_t out[82];
    struct test_bytes ikm = test_hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                      salt = test_hex("000102030405060708090a0b0c"), info = test_hex("f0f1f2f3f4f5f6f7f8f9");
    sp_hkdf_sha256(test_slice(&ikm), test_slice(&salt), test_slice(&info), out, 42);
    assert_hex(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    sp_hkdf_sha256(test_slice(&ikm), SP_SLICE_EMPTY, SP_SLICE_EMPTY, out, 42);
    assert_hex(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

static void siphash_gives_the_first_vectors_of_its_paper(void **state) {
    (void)state;
    uint8_t key[SP_SIPHASH_KEY_BYTES], text[15];
    for (uint8_t i = 0; i < sizeof key; i++) key[i] = i;
    for (uint8_t i = 0; i < sizeof text; i++) text[i] = i;
    uint64_t v = sp_siphash(key, SP_SLICE_ARRAY(text));
    assert_hex((const uint8_t *)&v, "e545be4961ca29a1");
    v = sp_siphash(key, SP_SLICE_EMPTY);
    assert_hex((const uint8_t *)&v, "310e0edd47db6f72");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_digests_of_fips_180),
        cmocka_unit_test(sha256_in_pieces_is_sha256_of_the_whole),
        cmocka_unit_test(copied_sha256_states_go_separate_ways),
        cmocka_unit_test(hmac_gives_the_tags_of_rfc_4231),
        cmocka_unit_test(prepared_hmac_key_serves_again_and_in_parts),
        cmocka_unit_test(hkdf_gives_the_keys_of_rfc_5869),
        cmocka_unit_test(siphash_gives_the_first_vectors_of_its_paper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
