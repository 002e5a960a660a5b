#include "forge.h"

static const struct sp_jws_issue_header header = {
    .alg = SP_ALG_ES256, .kid = SP_SLICE_LIT("ES256"), .typ = SP_SLICE_LIT("at+jwt")};

static void issued_token_is_accepted_for_every_algorithm(void **state) {
    (void)state;
    for (int alg = 0; alg < SP_ALG_COUNT; alg++) {
        SP_AUTO(sp_buf) token = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
        const struct sp_jws_issue_header h = {.alg = (enum sp_alg)alg,
                                              .kid = sp_slice_cstr(sp_alg_name((enum sp_alg)alg)),
                                              .typ = SP_SLICE_LIT("at+jwt")};
        assert_status(sp_jws_issue_with_key(&h, SP_SLICE_LIT(FORGE_CLAIMS), forge.keys[alg], &token), SP_OK);
        assert_reject(forge_check(sp_buf_slice(&token)), "ok");
    }
}

static void header_is_written_in_a_fixed_order(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
    assert_status(sp_jws_begin(&header, SP_SLICE_LIT("{}"), &out), SP_OK);
    /* {"alg":"ES256","typ":"at+jwt","kid":"ES256"} */
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&out),
                                 "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IkVTMjU2In0.e30"));
}

static void kid_is_escaped(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
    struct sp_jws_header_scratch scratch;
    struct sp_jws_header got;
    struct sp_jws jws;
    struct sp_jws_issue_header h = header;
    h.kid = SP_SLICE_LIT("a\",\"alg\":\"none\\\n");
    assert_status(sp_jws_begin(&h, SP_SLICE_LIT("{}"), &out), SP_OK);
    assert_status(sp_jws_finish(SP_SLICE_LIT("x"), &out), SP_OK);
    assert_reject(sp_jws_split(sp_buf_slice(&out), &jws), "ok");
    assert_reject(sp_jws_header_parse(jws.header, &scratch, &got), "ok");
    assert_true(sp_slice_eq(got.kid, h.kid));
    h.kid = SP_SLICE_LIT("\xff");
    assert_status(sp_jws_begin(&h, SP_SLICE_LIT("{}"), &out), SP_E_MALFORMED);
}

static void token_that_nobody_would_read_is_not_issued(void **state) {
    (void)state;
    static uint8_t payload[SP_TOKEN_BYTES_MAX];
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4 * SP_TOKEN_BYTES_MAX);
    memset(payload, ' ', sizeof payload);
    assert_status(sp_jws_issue_with_key(&header, SP_SLICE_ARRAY(payload), forge.keys[SP_ALG_ES256], &out),
                  SP_E_LIMIT);
    assert_int_equal(out.n, 0);
}

static sp_status broken_signer(void *arg, sp_slice input, uint8_t *sig, size_t cap, size_t *ret_n) {
    (void)arg, (void)input, (void)sig, (void)cap, (void)ret_n;
    return sp_err(SP_E_UNAVAILABLE);
}

static void failed_signature_leaves_no_token(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
    assert_status(sp_jws_issue(&header, SP_SLICE_LIT("{}"), broken_signer, NULL, &out), SP_E_UNAVAILABLE);
    assert_int_equal(out.n, 0);
    assert_status(sp_jws_issue_with_key(&header, SP_SLICE_LIT("{}"), forge.keys[SP_ALG_RS256], &out),
                  SP_E_REFUSED);
    assert_int_equal(out.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issued_token_is_accepted_for_every_algorithm),
        cmocka_unit_test(header_is_written_in_a_fixed_order),
        cmocka_unit_test(kid_is_escaped),
        cmocka_unit_test(token_that_nobody_would_read_is_not_issued),
        cmocka_unit_test(failed_signature_leaves_no_token),
    };
    return cmocka_run_group_tests(tests, forge_setup, forge_teardown);
}
