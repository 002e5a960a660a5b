/* Clients at the token endpoint and its neighbours, on the bench of oauth_bench.h: what they send, as values,
 * and what they are answered.
 *
 * Beside the public clients "app" and "other" there is "svc": confidential, with every grant, the audiences
 * api.example and files.example, and the secret TOKEN_SECRET. Codes are minted here, without a browser. The
 * clock stands ten seconds after the start, so that proofs of that moment are from after it. */
#ifndef SP_TESTS_SIM_TOKEN_BENCH_H
#define SP_TESTS_SIM_TOKEN_BENCH_H

#include "oauth_bench.h"

#define TOKEN_SECRET "spcs_0123456789abcdef0123456789abcdef0123456789a"

struct granted {
    uint32_t answers;
    enum sp_oauth_error error;
    const char *description; /* static, or NULL */
    bool wants_nonce;
    char access[SP_ACCESS_TOKEN_BYTES_MAX + 1];
    char refresh[129], id_token[4097], scope[513];
    bool is_dpop;
    int64_t expires_s;
};

int token_setup_memory(void **state);
int token_setup_sqlite(void **state);
#define TOKEN_TESTS(f)                                                                                       \
    cmocka_unit_test_setup_teardown(f, token_setup_memory, oauth_teardown),                                  \
        cmocka_unit_test_setup_teardown(f, token_setup_sqlite, oauth_teardown)

struct sp_client_row token_svc_row(struct bench *b);
struct sp_client_proof as_public(const char *id);
struct sp_client_proof as_svc(void);
struct sp_client_proof with_secret(const char *id, const char *secret);

/* ---- codes ---- */

/* Of ada, for the client, as a good authorization request would have made it. */
struct sp_authz_code code_new(struct bench *b, const char *client);
/* Static storage: good until the fourth after it. */
sp_slice code_text(struct bench *b, const struct sp_authz_code *code);
/* A good redemption of it. */
struct sp_oauth_token_request code_request(struct sp_client_proof client, sp_slice code);

/* ---- asking ---- */

void token_begin(struct bench *b, const struct sp_oauth_token_request *in, struct granted *ret);
struct granted token_ask(struct bench *b, struct sp_oauth_token_request in);
/* A session of the client, by a fresh code. */
struct granted token_session(struct bench *b, struct sp_client_proof client);
/* The same with its sid. */
struct granted token_session_sid(struct bench *b, struct sp_client_proof client,
                                 uint8_t sid[SP_ROW_SID_BYTES]);
struct sp_oauth_token_request refresh_request(struct sp_client_proof client, const struct granted *with);
struct granted token_refresh(struct bench *b, struct sp_client_proof client, const struct granted *with);
struct sp_oauth_token_request client_request(const char *scope);

/* Compares reason codes, so that a failure names them. */
#ifndef assert_reject
#define assert_reject(r, wanted) assert_string_equal(sp_reject_code(r), (wanted))
#endif
#define assert_error(g, name) assert_string_equal(sp_oauth_code((g).error), sp_oauth_code(SP_OAUTH_##name))

/* ---- claims ---- */

/* What the verifier says of an access token of any audience, its proof aside. */
enum sp_reject token_check(struct bench *b, const char *access);
/* The same, and its payload as text: static storage. */
const char *token_payload(const char *jws);
struct sp_principal token_principal(struct bench *b, const char *access);

/* ---- proofs ---- */

/* By the key of ES256 or EdDSA, made at the bench's moment, with a jti of its own. NULL: left out. Static
 * storage: good until the fourth after it. */
struct proof {
    bool other_key;
    const char *method, *path, *token, *nonce; /* NULL: POST, /oauth2/token, none, none */
    int64_t age_s;
};
struct sp_dpop_shown proof_new(struct bench *b, struct proof p);
sp_slice proof_jkt(bool other_key);

#endif
