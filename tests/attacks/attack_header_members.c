/* Headers that ask to be believed: a key inside, an address to fetch one from, extensions to honour, a
 * payload that is not encoded. */
#include "forge.h"

static void extensions_are_refused(void **state) {
    (void)state;
    static const char *const members[] = {
        "\"crit\":[\"b64\"],\"b64\":false",
        "\"b64\":false",
        "\"b64\":true",
        "\"crit\":[\"exp\"]",
        "\"crit\":[]",
        "\"crit\":null",
        "\"crit\":\"exp\"",
        "\"crit\":[\"alg\"]",
        "\"crit\":[\"http://example/x\"],\"http://example/x\":1",
        "\"cr\\u0069t\":[\"x\"]",
        "\"crit\":{}",
        "\"b64\":\"false\"",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(members); i++) {
        char header[256];
        snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",%s}",
                 members[i]);
        forge_assert_refused(forge_sign(SP_ALG_ES256, header, FORGE_CLAIMS), "crit_unsupported");
    }
}

/* The attacker signs with a key of his own and puts it, or where to find it, into the header. */
static void key_in_the_header_is_never_used(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_sig_key) own = NULL;
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(4096);
    char header[2048];
    assert_status(sp_sig_key_generate(SP_ALG_ES256, &sp_random_system, &own), SP_OK);
    assert_status(sp_jwk_write_public(SP_SLICE_LIT("ES256"), SP_ALG_ES256, own, &jwk), SP_OK);
    snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"jwk\":%.*s}",
             SP_SLICE_FMT(sp_buf_slice(&jwk)));
    sp_slice payload = SP_SLICE_LIT(FORGE_CLAIMS);
    forge_assert_refused(forge_sign_slices(SP_ALG_ES256, own, sp_slice_cstr(header), payload),
                         "bad_signature");
    snprintf(header, sizeof header,
             "{\"alg\":\"ES256\",\"kid\":\"attacker\",\"typ\":\"at+jwt\",\"jwk\":%.*s}",
             SP_SLICE_FMT(sp_buf_slice(&jwk)));
    forge_assert_refused(forge_sign_slices(SP_ALG_ES256, own, sp_slice_cstr(header), payload), "unknown_kid");
}

static void addresses_and_certificates_change_nothing(void **state) {
    (void)state;
    static const char *const members[] = {
        "\"jku\":\"https://attacker.example/jwks.json\"",
        "\"jku\":\"file:///etc/passwd\"",
        "\"x5u\":\"https://attacker.example/c.pem\"",
        "\"x5c\":[\"MIIB\"]",
        "\"x5t\":\"AAAA\"",
        "\"x5t#S256\":\"AAAA\"",
        "\"jwk\":{}",
        "\"jwk\":null",
        "\"jwk\":\"x\"",
    };
    SP_AUTO_FREE(sp_sig_key) own = NULL;
    assert_status(sp_sig_key_generate(SP_ALG_ES256, &sp_random_system, &own), SP_OK);
    for (size_t i = 0; i < SP_ARRAY_LEN(members); i++) {
        char header[256];
        snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",%s}",
                 members[i]);
        sp_slice h = sp_slice_cstr(header), p = SP_SLICE_LIT(FORGE_CLAIMS);
        assert_reject(forge_check(forge_sign_slices(SP_ALG_ES256, own, h, p)), "bad_signature");
        assert_reject(forge_check(forge_sign(SP_ALG_ES256, header, FORGE_CLAIMS)),
                      "ok"); /* ours may carry them */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extensions_are_refused),
        cmocka_unit_test(key_in_the_header_is_never_used),
        cmocka_unit_test(addresses_and_certificates_change_nothing),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
