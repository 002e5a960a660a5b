/* Depth and breadth that are meant to exhaust a parser. */
#include "forge.h"

static const char *nested(const char *open, const char *inner, const char *close, int depth) {
    static char text[8192];
    text[0] = 0;
    char *at = text;
    at += snprintf(at, 64, "{\"exp\":1700000900,\"x\":");
    for (int i = 0; i < depth; i++) at += snprintf(at, 16, "%s", open);
    at += snprintf(at, 16, "%s", inner);
    for (int i = 0; i < depth; i++) at += snprintf(at, 16, "%s", close);
    snprintf(at, 16, "}");
    return text;
}

static void deep_payloads_are_refused(void **state) {
    (void)state;
    static const int depths[] = {SP_JSON_DEPTH_MAX, 100, 1000};
    for (size_t i = 0; i < SP_ARRAY_LEN(depths); i++) {
        assert_reject(forge_check(forge_token(SP_ALG_HS256, nested("[", "", "]", depths[i]))), "bad_payload");
        assert_reject(forge_check(forge_token(SP_ALG_HS256, nested("{\"a\":", "1", "}", depths[i]))),
                      "bad_payload");
        assert_reject(forge_check(forge_token(SP_ALG_HS256, nested("[", "", "", depths[i]))), "bad_payload");
    }
}

static void deep_headers_are_refused(void **state) {
    (void)state;
    char header[1024] = "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\",\"x\":",
         *at = header + strlen(header);
    for (int i = 0; i < 200; i++) *at++ = '[';
    for (int i = 0; i < 200; i++) *at++ = ']';
    snprintf(at, 2, "}");
    forge_assert_refused(forge_sign(SP_ALG_ES256, header, FORGE_CLAIMS), "bad_header");
}

static void broad_payloads_are_refused(void **state) {
    (void)state;
    static char text[8192];
    char *at = text + snprintf(text, 64, "{\"exp\":1700000900,\"x\":[1");
    for (int i = 0; i < 2 * SP_PAYLOAD_NODES; i++) at += snprintf(at, 8, ",1");
    snprintf(at, 8, "]}");
    assert_reject(forge_check(forge_token(SP_ALG_HS256, text)), "bad_payload");
}

static void headers_beyond_their_maximum_are_refused(void **state) {
    (void)state;
    static char header[4096];
    memset(header, ' ', sizeof header - 1);
    const char *json = "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"at+jwt\"}";
    memcpy(header, json, strlen(json));
    forge_assert_refused(forge_sign(SP_ALG_ES256, header, FORGE_CLAIMS), "oversize");
}

static void tokens_beyond_the_maximum_are_refused_before_anything(void **state) {
    (void)state;
    static char payload[SP_TOKEN_BYTES_MAX];
    memset(payload, ' ', sizeof payload - 1);
    forge_assert_refused(forge_token(SP_ALG_HS256, payload), "oversize");
    static uint8_t junk[1 << 20];
    memset(junk, '.', sizeof junk);
    forge_assert_refused(SP_SLICE_ARRAY(junk), "oversize");
}

static void largest_token_is_read(void **state) {
    (void)state;
    static char payload[SP_TOKEN_BYTES_MAX];
    const char *json = "{\"iss\":\"https://issuer.example\",\"aud\":\"api\",\"exp\":1700000900}";
    size_t header = strlen("{\"alg\":\"HS256\",\"kid\":\"HS256\",\"typ\":\"at+jwt\"}");
    size_t room = SP_TOKEN_BYTES_MAX - SP_BASE64URL_CHARS(header) - SP_BASE64URL_CHARS(32) - 2;
    memset(payload, ' ', SP_BASE64URL_BYTES(room));
    memcpy(payload, json, strlen(json));
    assert_reject(forge_check(forge_token(SP_ALG_HS256, payload)), "ok");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deep_payloads_are_refused),
        cmocka_unit_test(deep_headers_are_refused),
        cmocka_unit_test(broad_payloads_are_refused),
        cmocka_unit_test(headers_beyond_their_maximum_are_refused),
        cmocka_unit_test(tokens_beyond_the_maximum_are_refused_before_anything),
        cmocka_unit_test(largest_token_is_read),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
