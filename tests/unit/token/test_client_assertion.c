#include "forge.h"
#include "token/client_assertion.h"

#define CLIENT "billing"
#define ISSUER "https://issuer.example"
#define assert_fault(f, wanted) assert_string_equal(sp_client_assertion_fault_code(f), (wanted))

static const sp_slice audiences[] = {SP_SLICE_LIT(ISSUER), SP_SLICE_LIT(ISSUER "/oauth2/token")};
static char set[16384];

/* The set of these algorithms' keys, as the client registered it. */
static sp_slice jwks_of(uint32_t algs) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(sizeof set);
    struct sp_jwk_public_row rows[SP_ALG_COUNT];
    size_t n = 0;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        if ((algs & SP_ALG_BIT(alg)) == 0) continue;
        rows[n++] = (struct sp_jwk_public_row){.kid = sp_slice_cstr(sp_alg_name((enum sp_alg)alg)),
                                               .alg = (enum sp_alg)alg,
                                               .key = forge.keys[alg]};
    }
    assert_status(sp_jwks_write_public(rows, n, &out), SP_OK);
    memcpy(set, out.p, out.n);
    return sp_slice_of(set, out.n);
}

static struct sp_client_assertion_expect expect_of(sp_slice jwks) {
    return (struct sp_client_assertion_expect){.client_id = SP_SLICE_LIT(CLIENT),
                                               .jwks = jwks,
                                               .audiences = audiences,
                                               .audiences_n = SP_ARRAY_LEN(audiences),
                                               .now_s = FORGE_NOW};
}
static enum sp_client_assertion_fault check_with(sp_slice token, struct sp_client_assertion_expect e,
                                                 struct sp_client_assertion *ret) {
    struct sp_client_assertion a, before;
    memset(&a, 0x5a, sizeof a);
    before = a;
    enum sp_client_assertion_fault f = sp_client_assertion_check(token, &e, &forge_scratch, &a);
    if (f != SP_CLIENT_ASSERTION_NONE) assert_memory_equal(&a, &before, sizeof a);
    if (ret != NULL) *ret = a;
    return f;
}
static enum sp_client_assertion_fault check(sp_slice token) {
    return check_with(token, expect_of(jwks_of(SP_ALG_PUBLIC)), NULL);
}

static const char *claims_with(const char *aud, long long exp, const char *more) {
    static char text[4096];
    snprintf(text, sizeof text,
             "{\"iss\":\"" CLIENT "\",\"sub\":\"" CLIENT "\",\"aud\":%s,\"exp\":%lld,\"jti\":\"j1\"%s}", aud,
             exp, more);
    return text;
}
#define GOOD claims_with("\"" ISSUER "\"", FORGE_NOW + 60, "")
#define HEADER "{\"alg\":\"ES256\",\"kid\":\"ES256\"}"

static sp_slice sign(const char *payload) {
    return forge_sign(SP_ALG_ES256, HEADER, payload);
}

static void client_that_signs_is_that_client(void **state) {
    (void)state;
    struct sp_client_assertion a;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        char header[96];
        if (alg == SP_ALG_HS256) continue;
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}", sp_alg_name((enum sp_alg)alg),
                 sp_alg_name((enum sp_alg)alg));
        sp_slice token = forge_sign((enum sp_alg)alg, header, GOOD);
        assert_fault(check_with(token, expect_of(jwks_of(SP_ALG_PUBLIC)), &a), "ok");
        assert_int_equal(a.exp, FORGE_NOW + 60);
        assert_true(a.iat == SP_CLAIM_NO_DATE);
        assert_int_equal(a.replay_until_ms, (FORGE_NOW + 60) * 1000LL);
    }
}

static void one_key_need_not_be_named(void **state) {
    (void)state;
    sp_slice token = forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\"}", GOOD);
    assert_fault(check_with(token, expect_of(jwks_of(SP_ALG_BIT(SP_ALG_ES256))), NULL), "ok");
    token = forge_sign(SP_ALG_RS256, "{\"alg\":\"RS256\"}", GOOD);
    assert_fault(check_with(token, expect_of(jwks_of(SP_ALG_BIT(SP_ALG_ES256))), NULL), "no_key");
}

static void typ_may_say_what_it_is_and_nothing_else(void **state) {
    (void)state;
#define TYP(typ) forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"" typ "\"}", GOOD)
    assert_fault(check(TYP("JWT")), "ok");
    assert_fault(check(TYP("client-authentication+jwt")), "ok");
    assert_fault(check(TYP("application/client-authentication+jwt")), "ok");
    assert_fault(check(TYP("at+jwt")), "bad_typ");
    assert_fault(check(TYP("dpop+jwt")), "bad_typ");
    assert_fault(check(TYP("logout+jwt")), "bad_typ");
#undef TYP
}

static void audience_is_one_of_ours(void **state) {
    (void)state;
#define AUD(aud) check(sign(claims_with(aud, FORGE_NOW + 60, "")))
    assert_fault(AUD("\"" ISSUER "/oauth2/token\""), "ok");
    assert_fault(AUD("[\"https://other.example\",\"" ISSUER "\"]"), "ok");
    assert_fault(AUD("[\"" ISSUER "\"]"), "ok");
    assert_fault(AUD("\"https://other.example\""), "wrong_audience");
    assert_fault(AUD("\"" ISSUER "/\""), "wrong_audience");
    assert_fault(AUD("\"" ISSUER " " ISSUER "\""), "wrong_audience");
    assert_fault(AUD("[]"), "wrong_audience");
    assert_fault(AUD("[[\"" ISSUER "\"]]"), "malformed");
    assert_fault(AUD("{\"" ISSUER "\":1}"), "malformed");
    assert_fault(AUD("null"), "malformed");
#undef AUD
}

static void issuer_and_subject_are_both_the_client(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{\"sub\":\"billing\",\"aud\":\"" ISSUER "\",\"exp\":1700000060,\"jti\":\"j\"}",
        "{\"iss\":\"billing\",\"aud\":\"" ISSUER "\",\"exp\":1700000060,\"jti\":\"j\"}",
        "{\"iss\":\"billing\",\"sub\":\"other\",\"aud\":\"" ISSUER "\",\"exp\":1700000060,\"jti\":\"j\"}",
        "{\"iss\":\"other\",\"sub\":\"billing\",\"aud\":\"" ISSUER "\",\"exp\":1700000060,\"jti\":\"j\"}",
        "{\"iss\":\"Billing\",\"sub\":\"Billing\",\"aud\":\"" ISSUER "\",\"exp\":1700000060,\"jti\":\"j\"}"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) assert_fault(check(sign(bad[i])), "wrong_client");
    struct sp_client_assertion_expect e = expect_of(jwks_of(SP_ALG_PUBLIC));
    e.client_id = SP_SLICE_EMPTY;
    assert_fault(check_with(sign("{\"aud\":\"" ISSUER "\",\"exp\":1700000060,\"jti\":\"j\"}"), e, NULL),
                 "wrong_client");
}

static void times_are_near(void **state) {
    (void)state;
#define EXP(exp, more) check(sign(claims_with("\"" ISSUER "\"", (exp), more)))
    assert_fault(EXP(FORGE_NOW + 1, ""), "ok");
    assert_fault(EXP(FORGE_NOW, ""), "expired");
    assert_fault(EXP(FORGE_NOW - 1, ""), "expired");
    assert_fault(EXP(FORGE_NOW + 305, ""), "ok"); /* five minutes, by a clock that is five seconds ahead */
    assert_fault(EXP(FORGE_NOW + 306, ""), "too_long");
    assert_fault(EXP(FORGE_NOW + 60, ",\"iat\":1700000005"), "ok");
    assert_fault(EXP(FORGE_NOW + 60, ",\"iat\":1700000006"), "in_future");
    assert_fault(EXP(FORGE_NOW + 60, ",\"nbf\":1700000006"), "in_future");
    assert_fault(EXP(FORGE_NOW + 60, ",\"iat\":\"1700000000\""), "malformed");
    assert_fault(
        check(sign("{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"" ISSUER "\",\"jti\":\"j\"}")),
        "missing_claim");
#undef EXP
}

static void jti_is_required_and_short(void **state) {
    (void)state;
    char text[1024], jti[SP_CLIENT_ASSERTION_JTI_BYTES_MAX + 2];
    memset(jti, 'j', sizeof jti);
    jti[SP_CLIENT_ASSERTION_JTI_BYTES_MAX + 1] = 0;
    snprintf(text, sizeof text,
             "{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"" ISSUER
             "\",\"exp\":1700000060,\"jti\":\"%s\"}",
             jti);
    assert_fault(check(sign(text)), "malformed");
    jti[SP_CLIENT_ASSERTION_JTI_BYTES_MAX] = 0;
    snprintf(text, sizeof text,
             "{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"" ISSUER
             "\",\"exp\":1700000060,\"jti\":\"%s\"}",
             jti);
    assert_fault(check(sign(text)), "ok");
    assert_fault(
        check(sign("{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"" ISSUER "\",\"exp\":1700000060}")),
        "missing_claim");
    assert_fault(check(sign("{\"iss\":\"billing\",\"sub\":\"billing\",\"aud\":\"" ISSUER
                            "\",\"exp\":1700000060,\"jti\":\"\"}")),
                 "missing_claim");
}

static void id_tells_clients_and_jtis_apart(void **state) {
    (void)state;
    struct sp_client_assertion a, b, c;
    struct sp_client_assertion_expect e = expect_of(jwks_of(SP_ALG_PUBLIC));
    assert_fault(check_with(sign(GOOD), e, &a), "ok");
    assert_fault(check_with(sign(claims_with("\"" ISSUER "\"", FORGE_NOW + 61, "")), e, &b), "ok");
    assert_memory_equal(a.id, b.id, sizeof a.id); /* the same jti, signed anew */
    e.client_id = SP_SLICE_LIT("billin");
    assert_fault(check_with(sign("{\"iss\":\"billin\",\"sub\":\"billin\",\"aud\":\"" ISSUER
                                 "\",\"exp\":1700000060,\"jti\":\"gj1\"}"),
                            e, &c),
                 "ok");
    assert_memory_not_equal(a.id, c.id, sizeof a.id);
}

static void assertion_from_before_the_start_may_have_been_used(void **state) {
    (void)state;
    struct sp_client_assertion a = {.exp = 2000, .iat = 1900};
    assert_false(sp_client_assertion_may_predate(&a, 1895));
    assert_true(sp_client_assertion_may_predate(&a, 1896));
    a.iat = SP_CLAIM_NO_DATE; /* made five minutes before its end at the earliest */
    assert_false(sp_client_assertion_may_predate(&a, 1695));
    assert_true(sp_client_assertion_may_predate(&a, 1696));
}

static void peek_names_who_it_says_it_is(void **state) {
    (void)state;
    sp_slice name = SP_SLICE_EMPTY;
    sp_slice token =
        forge_join(SP_SLICE_LIT("{}"), SP_SLICE_LIT("{\"sub\":\"bil\\u006cing\"}"), SP_SLICE_EMPTY);
    assert_fault(sp_client_assertion_peek(token, &forge_scratch, &name), "ok");
    assert_true(sp_slice_eq_cstr(name, "billing"));
    static const char *const bad[] = {
        "", "{}", "{\"sub\":1}", "{\"sub\":\"\"}", "{\"sub\":\"a\",\"sub\":\"b\"}", "x"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        token = forge_join(SP_SLICE_LIT("{}"), sp_slice_cstr(bad[i]), SP_SLICE_EMPTY);
        assert_fault(sp_client_assertion_peek(token, &forge_scratch, &name), "malformed");
    }
    assert_fault(sp_client_assertion_peek(SP_SLICE_LIT("a.b"), &forge_scratch, &name), "malformed");
    assert_fault(sp_client_assertion_peek(SP_SLICE_LIT("e30.e3=.x"), &forge_scratch, &name), "malformed");
}

static void unreadable_keys_are_our_trouble(void **state) {
    (void)state;
    assert_fault(check_with(sign(GOOD), expect_of(SP_SLICE_LIT("{")), NULL), "internal");
    assert_fault(check_with(sign(GOOD), expect_of(SP_SLICE_LIT("{\"keys\":[]}")), NULL), "no_key");
}

#define P256                                                                                                 \
    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","                \
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\""
#define ED25519 "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""

static void set_to_register_has_only_usable_public_keys(void **state) {
    (void)state;
#define SET(s) sp_client_jwks_check(SP_SLICE_LIT(s))
    assert_status(SET("{" P256 "}"), SP_OK);
    assert_status(SET("{\"keys\":[{" P256 "}]}"), SP_OK);
    assert_status(SET("{\"keys\":[{\"kid\":\"a\"," P256 "},{\"kid\":\"b\"," ED25519 "}]}"), SP_OK);
    assert_status(SET("{\"keys\":[{\"kid\":\"a\"," P256 "},{\"kid\":\"a\"," ED25519 "}]}"), SP_E_MALFORMED);
    assert_status(SET("{\"keys\":[{\"kid\":\"a\"," P256 "},{" ED25519 "}]}"), SP_E_MALFORMED);
    assert_status(SET("{\"keys\":[]}"), SP_E_UNSUPPORTED);
    assert_status(SET("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"\",\"y\":\"\"}]}"),
                  SP_E_UNSUPPORTED);
    assert_status(SET("{\"keys\":[{\"use\":\"enc\"," P256 "}]}"), SP_E_UNSUPPORTED);
    assert_status(SET("{" P256 ",\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\"}"), SP_E_REFUSED);
    assert_status(SET("{\"keys\":[{" ED25519 "},{" P256 ",\"d\":\"x\"}]}"), SP_E_REFUSED);
    assert_status(
        SET("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T\"}]}"),
        SP_E_REFUSED);
    assert_status(SET("{\"keys\":[{" P256 "," P256 "}]}"), SP_E_MALFORMED);
    assert_status(SET(""), SP_E_MALFORMED);
    assert_status(SET("[]"), SP_E_MALFORMED);
    assert_status(SET("{\"keys\":{}}"), SP_E_MALFORMED);
    static uint8_t long_one[SP_CLIENT_JWKS_BYTES_MAX + 1];
    memset(long_one, ' ', sizeof long_one);
    assert_status(sp_client_jwks_check(SP_SLICE_ARRAY(long_one)), SP_E_LIMIT);
#undef SET
}

static void faults_have_codes_and_sentences(void **state) {
    (void)state;
    for (unsigned f = 0; f < SP_CLIENT_ASSERTION_FAULT_COUNT; f++) {
        assert_true(strlen(sp_client_assertion_fault_code((enum sp_client_assertion_fault)f)) > 1);
        assert_true(strlen(sp_client_assertion_fault_doc((enum sp_client_assertion_fault)f)) > 10);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_that_signs_is_that_client),
        cmocka_unit_test(one_key_need_not_be_named),
        cmocka_unit_test(typ_may_say_what_it_is_and_nothing_else),
        cmocka_unit_test(audience_is_one_of_ours),
        cmocka_unit_test(issuer_and_subject_are_both_the_client),
        cmocka_unit_test(times_are_near),
        cmocka_unit_test(jti_is_required_and_short),
        cmocka_unit_test(id_tells_clients_and_jtis_apart),
        cmocka_unit_test(assertion_from_before_the_start_may_have_been_used),
        cmocka_unit_test(peek_names_who_it_says_it_is),
        cmocka_unit_test(unreadable_keys_are_our_trouble),
        cmocka_unit_test(set_to_register_has_only_usable_public_keys),
        cmocka_unit_test(faults_have_codes_and_sentences),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
