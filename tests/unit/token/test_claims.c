#include "forge.h"

static struct sp_claims_scratch scratch;

static const char full[] = "{\"iss\":\"https://issuer.example\",\"sub\":\"u1\",\"aud\":[\"api\",\"other "
                           "one\"],\"client_id\":\"web\",\"iat\":1700000000,"
                           "\"exp\":1700000900,\"nbf\":1700000000,\"jti\":\"j1\",\"sid\":\"s1\",\"auth_"
                           "time\":1699999999,\"amr\":[\"pwd\",\"otp\"],"
                           "\"roles\":[\"admin\",\"viewer\"],\"permissions\":[],\"scope\":\"openid "
                           "a:b\",\"epu\":4294967295,\"epg\":0,\"cnf\":{\"jkt\":\"t1\"}}";

static struct sp_claims parse(const char *json) {
    struct sp_claims c;
    assert_reject(sp_claims_parse(sp_slice_cstr(json), SP_CLAIMS_ACCESS_TOKEN, &scratch, &c), "ok");
    return c;
}

static void assert_full(const struct sp_claims *c) {
    assert_true(sp_slice_eq_cstr(c->iss, "https://issuer.example"));
    assert_true(sp_slice_eq_cstr(c->sub, "u1"));
    assert_true(sp_slice_eq_cstr(c->client_id, "web"));
    assert_true(sp_slice_eq_cstr(c->jti, "j1"));
    assert_true(sp_slice_eq_cstr(c->sid, "s1"));
    assert_true(sp_slice_eq_cstr(c->jkt, "t1"));
    assert_true(sp_slice_eq_cstr(c->scope, "openid a:b"));
    assert_true(sp_slice_eq_cstr(c->amr, "pwd otp"));
    assert_true(sp_slice_eq_cstr(c->roles, "admin viewer"));
    assert_true(c->has_roles && c->has_permissions && c->permissions.n == 0);
    assert_int_equal(sp_strings_count(c->aud), 2);
    assert_true(sp_strings_contain(c->aud, SP_SLICE_LIT("other one")));
    assert_true(c->iat == 1700000000 && c->exp == 1700000900 && c->nbf == 1700000000 &&
                c->auth_time == 1699999999);
    assert_true(c->has_epu && c->epu == UINT32_MAX && c->has_epg && c->epg == 0);
}

static void every_claim_is_read(void **state) {
    (void)state;
    struct sp_claims c = parse(full);
    assert_full(&c);
}

static void written_claims_are_what_was_read(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    struct sp_claims c = parse(full);
    assert_status(sp_claims_write_json(&c, &out), SP_OK);
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&out), full));
}

static void absent_claims_are_absent_and_not_written(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    struct sp_claims c = parse("{}"), empty;
    sp_claims_init(&empty);
    assert_null(c.iss.p);
    assert_int_equal(c.exp, SP_CLAIM_NO_DATE);
    assert_false(c.has_roles || c.has_permissions || c.has_epu || c.has_epg);
    assert_status(sp_claims_write_json(&empty, &out), SP_OK);
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&out), "{}"));
}

static void escaped_values_are_unescaped(void **state) {
    (void)state;
    struct sp_claims c =
        parse("{\"iss\":\"a\\/"
              "b\",\"roles\":[\"\\u0061dmin\",\"x\"],\"aud\":[\"\\u0041\",\"b\"],\"sub\":\"\\ud83d\\ude00\","
              "\"scope\":\"\\u0061 b\"}");
    assert_true(sp_slice_eq_cstr(c.iss, "a/b"));
    assert_true(sp_slice_eq_cstr(c.roles, "admin x"));
    assert_true(sp_slice_eq_cstr(c.sub, "\xf0\x9f\x98\x80"));
    assert_true(sp_slice_eq_cstr(c.scope, "a b"));
    assert_true(sp_strings_contain(c.aud, SP_SLICE_LIT("A")) && sp_strings_contain(c.aud, SP_SLICE_LIT("b")));
}

static void copied_claims_outlive_what_they_were_read_from(void **state) {
    (void)state;
    char *json = strdup(full);
    struct sp_claims c = parse(json), copy;
    uint8_t *block = malloc(sp_claims_bytes(&c)); /* exact, so that a sanitizer sees one byte too many */
    assert_true(json != NULL && block != NULL);
    sp_claims_copy(&c, block, &copy);
    memset(json, 'x', strlen(json));
    free(json);
    memset(&scratch, 0xee, sizeof scratch);
    assert_full(&copy);
    free(block);
}

static void largest_payload_fits_the_arena(void **state) {
    (void)state;
    static char json[SP_PAYLOAD_BYTES_MAX + 1];
    int n = snprintf(json, sizeof json, "{\"roles\":[\"\\u0061\"");
    while ((size_t)n < sizeof json - 8) n += snprintf(json + n, sizeof json - (size_t)n, ",\"abcde\"");
    snprintf(json + n - 2, 4, "\"]}");
    struct sp_claims c;
    enum sp_reject r = sp_claims_parse(sp_slice_cstr(json), SP_CLAIMS_ACCESS_TOKEN, &scratch, &c);
    assert_reject(r, "ok");
    assert_int_equal(sp_words_count(c.roles), 766);
}

static void other_peoples_jwts_are_read_for_their_registered_claims_only(void **state) {
    (void)state;
    struct sp_claims c;
    sp_slice json = SP_SLICE_LIT("{\"iss\":\"i\",\"exp\":5,\"roles\":\"admin\",\"permissions\":{},\"scope\":["
                                 "1],\"cnf\":7,\"epu\":\"x\",\"amr\":null}");
    assert_reject(sp_claims_parse(json, SP_CLAIMS_JWT, &scratch, &c), "ok");
    assert_false(c.has_roles || c.has_permissions || c.has_epu);
    assert_null(c.scope.p);
    assert_reject(sp_claims_parse(json, SP_CLAIMS_ACCESS_TOKEN, &scratch, &c), "bad_payload");
    assert_reject(sp_claims_parse(SP_SLICE_LIT("{\"sub\":1}"), SP_CLAIMS_JWT, &scratch, &c), "bad_payload");
}

static void one_audience_is_written_as_a_string(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    struct sp_claims c;
    sp_claims_init(&c);
    c.aud = sp_strings_one(SP_SLICE_LIT("a\"b"));
    assert_status(sp_claims_write_json(&c, &out), SP_OK);
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&out), "{\"aud\":\"a\\\"b\"}"));
}

static void claims_that_could_not_be_read_back_are_not_written(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    struct sp_claims c;
    sp_claims_init(&c);
    c.sub = SP_SLICE_LIT("\xff");
    assert_status(sp_claims_write_json(&c, &out), SP_E_MALFORMED);
    sp_claims_init(&c);
    c.has_roles = true;
    c.roles = SP_SLICE_LIT("a  b");
    assert_status(sp_claims_write_json(&c, &out), SP_E_MALFORMED);
    sp_claims_init(&c);
    c.exp = -1;
    assert_status(sp_claims_write_json(&c, &out), SP_E_MALFORMED);
    assert_int_equal(out.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_claim_is_read),
        cmocka_unit_test(written_claims_are_what_was_read),
        cmocka_unit_test(absent_claims_are_absent_and_not_written),
        cmocka_unit_test(escaped_values_are_unescaped),
        cmocka_unit_test(copied_claims_outlive_what_they_were_read_from),
        cmocka_unit_test(largest_payload_fits_the_arena),
        cmocka_unit_test(other_peoples_jwts_are_read_for_their_registered_claims_only),
        cmocka_unit_test(one_audience_is_written_as_a_string),
        cmocka_unit_test(claims_that_could_not_be_read_back_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
