/* Things that are not a compact JWS but come from the same family: JWE, JSON serializations, detached
 * payloads, several at once. */
#include "forge.h"

static void jwe_is_refused(void **state) {
    (void)state;
    /* RFC 7516 A.1, shortened: five segments */
    forge_assert_refused(
        SP_SLICE_LIT(
            "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJ."
            "48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6ji."
            "XFBoMYUZodetZdvTiFvSkQ"),
        "malformed");
    forge_assert_refused(
        forge_sign(SP_ALG_ES256,
                   "{\"alg\":\"ES256\",\"enc\":\"A256GCM\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}",
                   FORGE_CLAIMS),
        "bad_header");
    forge_assert_refused(forge_join(SP_SLICE_LIT("{\"alg\":\"dir\",\"enc\":\"A256GCM\"}"), SP_SLICE_LIT("x"),
                                    SP_SLICE_LIT("y")),
                         "bad_header");
}

static void json_serializations_are_refused(void **state) {
    (void)state;
    static char json[FORGE_TOKEN_MAX];
    sp_slice token = forge_token(SP_ALG_ES256, FORGE_CLAIMS);
    struct sp_jws jws;
    assert_reject(sp_jws_split(token, &jws), "ok");
    snprintf(json, sizeof json, "{\"payload\":\"%.*s\",\"protected\":\"%.*s\",\"signature\":\"%.*s\"}",
             SP_SLICE_FMT(jws.payload), SP_SLICE_FMT(jws.header), SP_SLICE_FMT(jws.signature));
    forge_assert_refused(sp_slice_cstr(json), "malformed");
    snprintf(json, sizeof json,
             "{\"payload\":\"%.*s\",\"signatures\":[{\"protected\":\"%.*s\",\"signature\":\"%.*s\"}]}",
             SP_SLICE_FMT(jws.payload), SP_SLICE_FMT(jws.header), SP_SLICE_FMT(jws.signature));
    forge_assert_refused(sp_slice_cstr(json), "malformed");
    /* with dots in it, so that it splits in three (CVE-2022-3102 and CVE-2022-39227 played with this) */
    snprintf(json, sizeof json,
             "{\"  %.*s.\":\"\",\"protected\":\"%.*s\",\"payload\":\"%.*s.\",\"signature\":\"%.*s\"}",
             SP_SLICE_FMT(jws.header), SP_SLICE_FMT(jws.header), SP_SLICE_FMT(jws.payload),
             SP_SLICE_FMT(jws.signature));
    forge_assert_refused(sp_slice_cstr(json), "not_canonical");
}

static void detached_payload_is_refused(void **state) {
    (void)state;
    static char text[FORGE_TOKEN_MAX];
    struct sp_jws jws;
    assert_reject(sp_jws_split(forge_token(SP_ALG_ES256, FORGE_CLAIMS), &jws), "ok");
    snprintf(text, sizeof text, "%.*s..%.*s", SP_SLICE_FMT(jws.header), SP_SLICE_FMT(jws.signature));
    forge_assert_refused(sp_slice_cstr(text), "bad_signature");
}

static void scheme_and_lists_in_front_are_refused(void **state) {
    (void)state;
    static char text[FORGE_TOKEN_MAX];
    sp_slice token = forge_token(SP_ALG_ES256, FORGE_CLAIMS);
    snprintf(text, sizeof text, "Bearer %.*s", SP_SLICE_FMT(token));
    forge_assert_refused(sp_slice_cstr(text), "not_canonical");
    snprintf(text, sizeof text, "%.*s,%.*s", SP_SLICE_FMT(token), SP_SLICE_FMT(token));
    forge_assert_refused(sp_slice_cstr(text), "malformed");
}

static void refresh_token_is_not_an_access_token(void **state) {
    (void)state;
    forge_assert_refused(
        SP_SLICE_LIT("sprt_AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        "malformed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jwe_is_refused),
        cmocka_unit_test(json_serializations_are_refused),
        cmocka_unit_test(detached_payload_is_refused),
        cmocka_unit_test(scheme_and_lists_in_front_are_refused),
        cmocka_unit_test(refresh_token_is_not_an_access_token),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
