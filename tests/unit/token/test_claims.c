#include "forge.h"
#include "token/claims_own.h"

static struct sp_claims_scratch scratch;

static const char full[] = "{\"iss\":\"https://issuer.example\",\"sub\":\"u1\",\"aud\":[\"api\",\"other "
                           "one\"],\"client_id\":\"web\",\"iat\":1700000000,"
                           "\"exp\":1700000900,\"nbf\":1700000000,\"jti\":\"j1\",\"sid\":\"s1\",\"auth_"
                           "time\":1699999999,\"acr\":\"level1\",\"amr\":[\"pwd\",\"otp\"],"
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
    assert_true(sp_slice_eq_cstr(c->acr, "level1"));
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

static void packed_claims_outlive_what_they_were_read_from(void **state) {
    (void)state;
    char *json = strdup(full);
    struct sp_claims c = parse(json), copy;
    struct sp_claims_packed packed;
    uint8_t *block = malloc(sp_claims_bytes(&c)); /* exact, so that a sanitizer sees one byte too many */
    assert_true(json != NULL && block != NULL);
    assert_status(sp_claims_pack(&c, block, &packed), SP_OK);
    memset(json, 'x', strlen(json));
    free(json);
    memset(&scratch, 0xee, sizeof scratch);
    sp_claims_unpack(&packed, block, &copy);
    assert_full(&copy);
    free(block);
}

static bool same_strings(struct sp_claims a, struct sp_claims b) {
    struct sp_claims_packed x, y;
    uint8_t block_a[SP_PAYLOAD_BYTES_MAX], block_b[SP_PAYLOAD_BYTES_MAX];
    size_t n = sp_claims_bytes(&a);
    assert_status(sp_claims_pack(&a, block_a, &x), SP_OK);
    assert_status(sp_claims_pack(&b, block_b, &y), SP_OK);
    return n == sp_claims_bytes(&b) && memcmp(block_a, block_b, n) == 0 && x.flags == y.flags &&
           memcmp(x.string_n, y.string_n, sizeof x.string_n) == 0 && x.iat == y.iat && x.exp == y.exp &&
           x.nbf == y.nbf && x.auth_time == y.auth_time && x.epu == y.epu && x.epg == y.epg;
}

static void packed_claims_unpack_to_the_same(void **state) {
    (void)state;
    static uint8_t block[SP_PAYLOAD_BYTES_MAX];
    struct sp_claims c = parse(full), again;
    struct sp_claims_packed packed;
    assert_status(sp_claims_pack(&c, block, &packed), SP_OK);
    sp_claims_unpack(&packed, block, &again);
    assert_full(&again);
    assert_true(same_strings(c, again));
    assert_true(sp_claims_packed_has(&packed, SP_CLAIMS_JKT));
    sp_claims_init(&c);
    assert_status(sp_claims_pack(&c, block, &packed), SP_OK);
    sp_claims_unpack(&packed, block, &again);
    assert_true(same_strings(c, again) && again.iss.p == NULL && again.jkt.p == NULL);
    assert_false(sp_claims_packed_has(&packed, SP_CLAIMS_JKT));
    uint8_t *long_one = calloc(1, UINT16_MAX + 1);
    assert_non_null(long_one);
    c.iss = sp_slice_of(long_one, UINT16_MAX + 1);
    assert_status(sp_claims_pack(&c, block, &packed), SP_E_LIMIT);
    free(long_one);
}

static const char of_ours[] =
    "{\"iss\":\"https://issuer.example\",\"sub\":\"u1\",\"aud\":\"api\",\"client_id\":\"web\","
    "\"iat\":1700000000,\"exp\":1700000900,\"jti\":\"j1\",\"sid\":\"s1\",\"auth_time\":1699999999,"
    "\"acr\":\"level1\",\"amr\":[\"pwd\",\"otp\"],\"roles\":[\"admin\"],\"permissions\":[],\"scope\":"
    "\"openid a:b\","
    "\"epu\":4294967295,\"epg\":0,\"cnf\":{\"jkt\":\"t1\"}}";

static bool is_read_alike(sp_slice payload, bool *ret_own) {
    static struct sp_claims_scratch other;
    struct sp_claims own, tree;
    enum sp_reject r = sp_claims_parse_tree(payload, SP_CLAIMS_ACCESS_TOKEN, &other, &tree);
    *ret_own = sp_claims_parse_own(payload, &scratch, &own);
    return !*ret_own || (sp_reject_is_ok(r) && same_strings(own, tree));
}

static void payload_of_ours_is_read_without_the_tree_alike(void **state) {
    (void)state;
    bool own;
    assert_true(is_read_alike(sp_slice_cstr(of_ours), &own));
    assert_true(own);
}

/* Each byte of it replaced by what means something in JSON, left out, and doubled: either the tree reads the
 * same, or it is left to the tree. */
static void changed_payload_of_ours_is_read_alike_or_left_to_the_tree(void **state) {
    (void)state;
    static const char others[] = "\"\\{}[]:,0159-+.eE aZ \t\n\x01\x1f\x7f\x80\xc3\xff";
    char text[sizeof of_ours + 1];
    size_t n = sizeof of_ours - 1, accepted = 0;
    bool own;
    for (size_t at = 0; at < n; at++) {
        for (size_t i = 0; i < sizeof others; i++) { /* the NUL too */
            memcpy(text, of_ours, n);
            text[at] = others[i];
            assert_true(is_read_alike(sp_slice_of(text, n), &own));
            accepted += own;
        }
        memmove(text + at, of_ours + at + 1, n - at - 1);
        assert_true(is_read_alike(sp_slice_of(text, n - 1), &own));
        memcpy(text, of_ours, at + 1);
        memcpy(text + at + 1, of_ours + at, n - at);
        assert_true(is_read_alike(sp_slice_of(text, n + 1), &own));
    }
    assert_true(accepted > n / 4); /* letters in values */
}

static void what_only_the_tree_may_refuse_is_left_to_it(void **state) {
    (void)state;
    static const char *const left[] = {"",
                                       "{}",
                                       "{\"sub\":\"a\",\"iss\":\"b\"}",
                                       "{\"iss\":\"a\",\"iss\":\"b\"}",
                                       "{\"iss\":\"a\"} ",
                                       "{\"iss\":\"a\",\"other\":1}",
                                       "{ \"iss\":\"a\"}",
                                       "{\"iss\":\"\\u0061\"}",
                                       "{\"iss\":\"\xc3\xa4\"}",
                                       "{\"aud\":[\"a\"]}",
                                       "{\"exp\":01}",
                                       "{\"exp\":1.0}",
                                       "{\"exp\":253402300800}",
                                       "{\"epu\":4294967296}",
                                       "{\"exp\":\"1\"}",
                                       "{\"amr\":[\"a b\"]}",
                                       "{\"amr\":[\"\"]}",
                                       "{\"amr\":[\"a\",]}",
                                       "{\"cnf\":{\"jkt\":\"\"}}",
                                       "{\"cnf\":{\"jkt\":\"a\",\"x\":1}}",
                                       "{\"iss\":\"a\""};
    struct sp_claims c;
    for (size_t i = 0; i < SP_ARRAY_LEN(left); i++)
        assert_false(sp_claims_parse_own(sp_slice_cstr(left[i]), &scratch, &c));
}

/* Is it read by the short way? Then the tree must read the same. */
static bool date_is_of_ours(const char *digits, size_t n) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(64);
    bool own;
    assert_status(sp_buf_append_cstr(&b, "{\"exp\":"), SP_OK);
    assert_status(sp_buf_append(&b, sp_slice_of(digits, n)), SP_OK);
    assert_status(sp_buf_append_u8(&b, '}'), SP_OK);
    assert_true(is_read_alike(sp_buf_slice(&b), &own));
    return own;
}

/* Eight digits are read at once: so every length, and each digit replaced by the neighbours of digits and by
 * bytes that differ from one in a bit. */
static void dates_of_every_length_are_digits_only(void **state) {
    (void)state;
    static const char date[] = "135790864213", others[] = "/:\xb0\x10 p";
    char text[sizeof date];
    for (size_t n = 1; n < sizeof date; n++) {
        assert_true(date_is_of_ours(date, n));
        for (size_t at = 0; at < n; at++) {
            for (size_t i = 0; i < sizeof others; i++) { /* the NUL too */
                memcpy(text, date, n);
                text[at] = others[i];
                assert_false(date_is_of_ours(text, n));
            }
        }
    }
}

/* The tree has SP_PAYLOAD_NODES values and no more. */
static void too_many_words_are_left_to_the_tree(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(SP_PAYLOAD_BYTES_MAX);
    struct sp_claims c;
    assert_status(sp_buf_append_cstr(&b, "{\"permissions\":["), SP_OK);
    for (size_t i = 0; i < SP_PAYLOAD_NODES; i++)
        assert_status(sp_buf_append_cstr(&b, i == 0 ? "\"a\"" : ",\"a\""), SP_OK);
    assert_status(sp_buf_append_cstr(&b, "]}"), SP_OK);
    assert_false(sp_claims_parse_own(sp_buf_slice(&b), &scratch, &c));
    assert_reject(sp_claims_parse(sp_buf_slice(&b), SP_CLAIMS_ACCESS_TOKEN, &scratch, &c), "bad_payload");
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
        cmocka_unit_test(packed_claims_outlive_what_they_were_read_from),
        cmocka_unit_test(packed_claims_unpack_to_the_same),
        cmocka_unit_test(payload_of_ours_is_read_without_the_tree_alike),
        cmocka_unit_test(changed_payload_of_ours_is_read_alike_or_left_to_the_tree),
        cmocka_unit_test(what_only_the_tree_may_refuse_is_left_to_it),
        cmocka_unit_test(dates_of_every_length_are_digits_only),
        cmocka_unit_test(too_many_words_are_left_to_the_tree),
        cmocka_unit_test(largest_payload_fits_the_arena),
        cmocka_unit_test(other_peoples_jwts_are_read_for_their_registered_claims_only),
        cmocka_unit_test(one_audience_is_written_as_a_string),
        cmocka_unit_test(claims_that_could_not_be_read_back_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
