#include "crypto_test.h"

#include "crypto/digest.h"
#include "crypto/sig.h"

static bool known(const char *text) {
    return sp_hs256_secret_is_well_known(sp_slice_cstr(text));
}

static void secrets_of_tutorials_are_known(void **state) {
    (void)state;
    static const char *const examples[] = {
        "your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "YOUR-512-BIT-SECRET-your-512-bit-secret",
        "secretsecretsecretsecretsecretsecret",
        "keyboard cat keyboard cat keyboard cat",
        "django-insecure-zzzzzzzzzzzzzzzzz",
        "changeme-changeme-changeme-changeme",
        "qwertyuiopasdfghjklzxcvbnm123456",
        "0123456789abcdef0123456789abcdef",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abababababababababababababababab",
        "My Super Secret Key, 32 bytes long",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\n",
        "",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(examples); i++) assert_true(known(examples[i]));
}

static void keys_of_the_rfcs_are_known_as_bytes(void **state) {
    (void)state;
    struct test_bytes a1 = test_base64url(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
    assert_true(sp_hs256_secret_is_well_known(test_slice(&a1)));
    a1.p[0] ^= 1;
    assert_false(sp_hs256_secret_is_well_known(test_slice(&a1)));
}

static void patterns_are_known(void **state) {
    (void)state;
    uint8_t zeros[32] = {0}, counting[32], down[64];
    for (uint8_t i = 0; i < 32; i++) counting[i] = i;
    for (uint8_t i = 0; i < 64; i++) down[i] = (uint8_t)(7 - 3 * i);
    assert_true(sp_hs256_secret_is_well_known(SP_SLICE_ARRAY(zeros)));
    assert_true(sp_hs256_secret_is_well_known(SP_SLICE_ARRAY(counting)));
    assert_true(sp_hs256_secret_is_well_known(SP_SLICE_ARRAY(down)));
}

static void a_public_key_taken_as_secret_is_known(void **state) {
    (void)state;
    assert_true(known(
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"));
}

/* The same in every run: of all random texts a few do say "secret". */
static void random_secrets_are_not_known(void **state) {
    (void)state;
    for (int i = 0; i < 2000; i++) {
        uint8_t bytes[SP_SHA256_BYTES];
        char text[SP_BASE64URL_CHARS(sizeof bytes)];
        sp_sha256(sp_slice_of(&i, sizeof i), bytes);
        sp_base64url_encode(SP_SLICE_ARRAY(bytes), text);
        assert_false(sp_hs256_secret_is_well_known(SP_SLICE_ARRAY(bytes)));
        assert_false(sp_hs256_secret_is_well_known(SP_SLICE_ARRAY(text)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_of_tutorials_are_known),
        cmocka_unit_test(keys_of_the_rfcs_are_known_as_bytes),
        cmocka_unit_test(patterns_are_known),
        cmocka_unit_test(a_public_key_taken_as_secret_is_known),
        cmocka_unit_test(random_secrets_are_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
