/* Compact JWS of Wycheproof and of the RFCs, checked as `verify --raw` does. Rows of scope `core` must come
 * out as they say. Rows with algorithms that we do not offer are valid elsewhere and refused here. `policy`
 * and `erratum` are labels that the RFCs leave open or that are wrong; they run, so that a sanitizer sees
 * them, and nothing is claimed about the outcome. */
#include "vectors.h"

#include "token/check.h"

static struct sp_check_scratch scratch;

static const struct sp_check_policy raw = {
    .algs = SP_ALG_ALL, .kid = SP_CHECK_KID_OPTIONAL, .raw = true, .profile = SP_CLAIMS_JWT};

/* A set that cannot be read at all verifies nothing. */
static struct sp_jwks keys_of(const json_t *row) {
    struct sp_jwks jwks = SP_JWKS_INIT;
    char *text = json_dumps(json_object_get(row, "jwks"), JSON_COMPACT);
    assert_non_null(text);
    if (!sp_ok(sp_jwks_parse(sp_slice_cstr(text), SP_JWK_WITH_SECRETS, &jwks))) assert_int_equal(jwks.n, 0);
    free(text);
    return jwks;
}

static void jws_comes_out_as_the_row_says(void **state) {
    const json_t *row = *state;
    const char *scope = vectors_text(row, "scope");
    bool valid = json_is_true(json_object_get(row, "valid"));
    struct sp_jwks jwks = keys_of(row);
    struct sp_key_lookup lookup = sp_key_lookup_jwks(&jwks);
    struct sp_checked checked;
    enum sp_reject r =
        sp_check_token(sp_slice_cstr(vectors_text(row, "jws")), &lookup, &raw, 0, &scratch, &checked);
    sp_jwks_done(&jwks);
    assert_int_not_equal(r, SP_REJECT_UNSET);
    assert_int_not_equal(r, SP_REJECT_INTERNAL);
    if (strcmp(scope, "core") == 0) assert_int_equal(sp_reject_is_ok(r), valid);
    if (strcmp(scope, "other-alg") == 0) assert_int_equal(r, SP_REJECT_ALG_NOT_ALLOWED);
}

int main(void) {
    int wycheproof = vectors_run("wycheproof-jws.jsonl", jws_comes_out_as_the_row_says);
    int rfc = vectors_run("rfc-jws.jsonl", jws_comes_out_as_the_row_says);
    return wycheproof != 0 ? wycheproof : rfc;
}
