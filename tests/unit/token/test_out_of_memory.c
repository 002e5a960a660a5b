/* Fails the nth allocation, ours and OpenSSL's, for every n until a run succeeds. Each failed run must say
 * so, leave its output alone and leak nothing (LeakSanitizer looks). libsodium allocates nothing here. */
#include "forge_dpop.h"
#include "token/client_assertion.h"
#include "token/replay.h"
#include "token/roles.h"

#include <openssl/crypto.h>

enum { ALLOCATIONS_MAX = 20000 };

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long until_failure = -1; /* negative: never */

static bool fails(void) {
    return until_failure >= 0 && until_failure-- == 0;
}
void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n) {
    return fails() ? NULL : __real_realloc(p, n);
}

static void *openssl_malloc(size_t n, const char *file, int line) {
    (void)file, (void)line;
    return fails() ? NULL : __real_malloc(n);
}
static void *openssl_realloc(void *p, size_t n, const char *file, int line) {
    (void)file, (void)line;
    return fails() ? NULL : __real_realloc(p, n);
}
static void openssl_free(void *p, const char *file, int line) {
    (void)file, (void)line;
    free(p);
}

/* Runs `attempt` with the nth allocation failing, n = 0, 1, 2, ... until it succeeds. */
static void torture(sp_status (*attempt)(void)) {
    for (long n = 0; n < ALLOCATIONS_MAX; n++) {
        until_failure = n;
        sp_status s = attempt();
        bool failed_one = until_failure < 0;
        until_failure = -1;
        if (sp_ok(s) && !failed_one) return;
    }
    fail_msg("still failing after %d allocations", ALLOCATIONS_MAX);
}

static struct sp_sig_public ec_public, rsa_public;
static sp_slice token_es256, token_rs256;
static sp_slice proof_es256, assertion;
static char client_jwks[1024];

static sp_status attempt_keys(void) {
    SP_AUTO_FREE(sp_sig_key) ec = NULL;
    SP_AUTO_FREE(sp_sig_key) rsa = NULL;
    SP_TRY(sp_sig_key_from_ec(SP_SLICE_ARRAY(ec_public.x), SP_SLICE_ARRAY(ec_public.y), &ec));
    return sp_sig_key_from_rsa(sp_slice_of(rsa_public.n, rsa_public.n_bytes),
                               sp_slice_of(rsa_public.e, rsa_public.e_bytes), &rsa);
}

static sp_status attempt_roles(void) {
    static const struct sp_roles_entry rows[] = {
        {.name = SP_SLICE_LIT("a"), .permissions = SP_SLICE_LIT("x y")},
        {.name = SP_SLICE_LIT("b"), .permissions = SP_SLICE_LIT("y z:*")}};
    SP_AUTO_FREE(sp_roles) roles = NULL;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(1024);
    SP_TRY(sp_roles_new(rows, 2, &roles));
    return sp_roles_permissions(roles, SP_SLICE_LIT("a b"), &out);
}

static sp_status attempt_issue(void) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
    const struct sp_jws_issue_header header = {
        .alg = SP_ALG_ES256, .kid = SP_SLICE_LIT("ES256"), .typ = SP_SLICE_LIT("at+jwt")};
    sp_status s = sp_jws_issue_with_key(&header, SP_SLICE_LIT(FORGE_CLAIMS), forge.keys[SP_ALG_ES256], &out);
    if (!sp_ok(s)) assert_int_equal(out.n, 0);
    return s;
}

static sp_status attempt_set(void) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(64 * 1024);
    struct sp_jwks set = SP_JWKS_INIT;
    const struct sp_jwk_public_row rows[] = {
        {.kid = SP_SLICE_LIT("a"), .alg = SP_ALG_ES256, .key = forge.keys[SP_ALG_ES256]},
        {.kid = SP_SLICE_LIT("b"), .alg = SP_ALG_RS256, .key = forge.keys[SP_ALG_RS256]},
        {.kid = SP_SLICE_LIT("c"), .alg = SP_ALG_EDDSA, .key = forge.keys[SP_ALG_EDDSA]}};
    SP_TRY(sp_jwks_write_public(rows, 3, &out));
    SP_TRY(sp_jwks_parse(sp_buf_slice(&out), SP_JWK_PUBLIC_ONLY, &set));
    size_t n = set.n;
    sp_jwks_done(&set);
    return n == 3 ? SP_SUCCESS : sp_err(SP_E_NOMEM);
}

/* A good token may come out as "could not be checked" or, where OpenSSL does not say why it failed, as a bad
 * signature; never as anything that blames the token's form, and a bad one is never good. */
static sp_status attempt_check(void) {
    sp_slice tokens[] = {token_es256, token_rs256};
    for (size_t i = 0; i < 2; i++) {
        enum sp_reject r = forge_check(tokens[i]);
        if (sp_reject_is_ok(r)) continue;
        assert_true(r == SP_REJECT_INTERNAL || r == SP_REJECT_BAD_SIGNATURE);
        return sp_err(SP_E_NOMEM);
    }
    return SP_SUCCESS;
}

/* As above: where OpenSSL does not say why, the proof's key or signature is to blame, and nothing else. */
static sp_status attempt_proof(void) {
    enum sp_dpop_fault f = proof_check(proof_es256, proof_expect(), NULL);
    if (f == SP_DPOP_NONE) return SP_SUCCESS;
    assert_true(f == SP_DPOP_INTERNAL || f == SP_DPOP_BAD_KEY || f == SP_DPOP_BAD_SIGNATURE);
    return sp_err(SP_E_NOMEM);
}

static sp_status attempt_assertion(void) {
    const sp_slice audience = SP_SLICE_LIT("api");
    const struct sp_client_assertion_expect e = {.client_id = SP_SLICE_LIT("c"),
                                                 .jwks = sp_slice_cstr(client_jwks),
                                                 .audiences = &audience,
                                                 .audiences_n = 1,
                                                 .now_s = FORGE_NOW};
    struct sp_client_assertion a;
    enum sp_client_assertion_fault f = sp_client_assertion_check(assertion, &e, &forge_scratch, &a);
    if (f == SP_CLIENT_ASSERTION_NONE) return SP_SUCCESS;
    assert_true(f == SP_CLIENT_ASSERTION_INTERNAL || f == SP_CLIENT_ASSERTION_NO_KEY ||
                f == SP_CLIENT_ASSERTION_BAD_SIGNATURE);
    return sp_err(SP_E_NOMEM);
}

static sp_status attempt_replay(void) {
    SP_AUTO_FREE(sp_replay) table = NULL;
    return sp_replay_new(SP_REPLAY_ENTRIES_MIN, &sp_random_system, &table);
}

static void proofs_survive(void **state) {
    (void)state;
    torture(attempt_proof);
}
static void assertions_survive(void **state) {
    (void)state;
    torture(attempt_assertion);
}
static void replay_tables_survive(void **state) {
    (void)state;
    torture(attempt_replay);
}
static void keys_survive(void **state) {
    (void)state;
    torture(attempt_keys);
}
static void roles_survive(void **state) {
    (void)state;
    torture(attempt_roles);
}
static void issuing_survives(void **state) {
    (void)state;
    torture(attempt_issue);
}
static void key_sets_survive(void **state) {
    (void)state;
    torture(attempt_set);
}
static void checking_survives(void **state) {
    (void)state;
    torture(attempt_check);
}

/* What is forged lies in memory that is soon forged in again. */
static sp_slice keep(sp_slice token) {
    static uint8_t text[2][FORGE_TOKEN_MAX];
    static int n;
    uint8_t *to = text[n++];
    memcpy(to, token.p, token.n);
    return sp_slice_of(to, token.n);
}

static int make_assertion(void) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(sizeof client_jwks - 1);
    const struct sp_jwk_public_row row = {
        .kid = SP_SLICE_LIT("k"), .alg = SP_ALG_ES256, .key = forge.keys[SP_ALG_ES256]};
    if (!sp_ok(sp_jwks_write_public(&row, 1, &out))) return -1;
    memcpy(client_jwks, out.p, out.n);
    assertion =
        keep(forge_sign(SP_ALG_ES256, "{\"alg\":\"ES256\",\"kid\":\"k\"}",
                        "{\"iss\":\"c\",\"sub\":\"c\",\"aud\":\"api\",\"exp\":1700000060,\"jti\":\"j\"}"));
    proof_es256 = keep(forge_proof((struct proof_parts){.alg = SP_ALG_ES256}));
    return sp_ok(attempt_proof()) && sp_ok(attempt_assertion()) ? 0 : -1;
}

static int setup(void **state) {
    if (forge_setup(state) != 0 || make_assertion() != 0) return -1;
    if (!sp_ok(sp_sig_key_public(forge.keys[SP_ALG_ES256], &ec_public))) return -1;
    if (!sp_ok(sp_sig_key_public(forge.keys[SP_ALG_RS256], &rsa_public))) return -1;
    token_es256 = forge_token(SP_ALG_ES256, FORGE_CLAIMS);
    token_rs256 = forge_token(SP_ALG_RS256, FORGE_CLAIMS);
    /* once without failures: what OpenSSL sets up for the whole process is not what is tested */
    return sp_ok(attempt_keys()) && sp_ok(attempt_check()) && sp_ok(attempt_issue()) && sp_ok(attempt_set())
               ? 0
               : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_survive),       cmocka_unit_test(roles_survive),
        cmocka_unit_test(issuing_survives),   cmocka_unit_test(key_sets_survive),
        cmocka_unit_test(checking_survives),  cmocka_unit_test(proofs_survive),
        cmocka_unit_test(assertions_survive), cmocka_unit_test(replay_tables_survive),
    };
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) return 1;
    return cmocka_run_group_tests(tests, setup, forge_teardown);
}
