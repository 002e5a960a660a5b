#include "token_bench.h"

#include "core/app_internal.h"
#include "core/oauth_seal.h"
#include "forge_dpop.h"
#include "token/ids.h"

#define OK(expr) assert_int_equal((expr).code, SP_OK)
#define SET(t, text) OK(SP_TEXT_SET((t), sp_slice_cstr(text)))

/* ---- beginning and end ---- */

struct sp_client_row token_svc_row(struct bench *b) {
    struct sp_client_row row = oauth_client_row(b, "svc");
    row.is_public = false;
    SET(&row.auth_method, "client_secret_basic");
    SET(&row.grants, "authorization_code refresh_token client_credentials");
    SET(&row.audiences, "https://api.example https://files.example");
    sp_client_subject(SP_SLICE_LIT("svc"), row.subject);
    row.epoch = 7;
    row.secrets[0].used = true;
    row.secrets[0].created_ms = b->now_ms;
    sp_client_secret_hash(SP_SLICE_LIT(TOKEN_SECRET), row.secrets[0].hash);
    return row;
}

static int begin(void **state) {
    struct bench *b = *state;
    const struct sp_client_row row = token_svc_row(b);
    oauth_client_put(b, &row);
    b->now_ms += 10000;
    return forge.jwks.n != 0 ? 0 : forge_setup(NULL); /* RSA keys take a third of a second: once a program */
}
int token_setup_memory(void **state) {
    return oauth_setup_memory(state) == 0 ? begin(state) : -1;
}
int token_setup_sqlite(void **state) {
    return oauth_setup_sqlite(state) == 0 ? begin(state) : -1;
}
struct sp_client_proof as_public(const char *id) {
    return (struct sp_client_proof){.how = SP_CLIENT_SHOWS_NOTHING, .id = sp_slice_cstr(id)};
}
struct sp_client_proof with_secret(const char *id, const char *secret) {
    return (struct sp_client_proof){
        .how = SP_CLIENT_SHOWS_BASIC, .id = sp_slice_cstr(id), .secret = sp_slice_cstr(secret)};
}
struct sp_client_proof as_svc(void) {
    return with_secret("svc", TOKEN_SECRET);
}

/* ---- codes ---- */

static void allow(struct bench *b, const uint8_t *user_id, const char *client) {
    struct sp_consent_row row = {.tenant = SP_TENANT_DEFAULT, .granted_ms = b->now_ms};
    memcpy(row.user_id, user_id, sizeof(row.user_id));
    SET(&row.client_id, client);
    SET(&row.scopes, "openid profile documents:read documents:write");
    struct sp_change c = {.kind = SP_CHANGE_CONSENT_PUT, .consent_put = {.row = &row}};
    OK(sp_store_commit_wait(b->store, &c, 1, NULL));
}

struct sp_authz_code code_new(struct bench *b, const char *client) {
    const struct sp_user_row ada = bench_user(b, "ada");
    allow(b, ada.id, client);
    struct sp_authz_code code = {.expires_s = b->now_ms / 1000 + SP_OAUTH_CODE_TTL_S,
                                 .redirect_uri_sent = true,
                                 .auth_time_s = b->now_ms / 1000 - 5};
    char uri[128];
    sp_sid sid;
    OK(sp_sid_new(sp_keys_sid_tag(b->app->keys), SP_SLICE_ARRAY(ada.id), &sp_random_system, &sid));
    memcpy(code.sid, sid.b, sizeof(code.sid));
    memcpy(code.user_id, ada.id, sizeof(code.user_id));
    SET(&code.client_id, client);
    snprintf(uri, sizeof(uri), "https://%s.example/cb", client);
    sp_sha256(sp_slice_cstr(uri), code.redirect_uri_hash);
    SET(&code.nonce, "n-1");
    SET(&code.code_challenge, OAUTH_CHALLENGE);
    SET(&code.scope, "openid profile documents:read documents:write");
    SET(&code.acr, SP_ACR_PASSWORD);
    SET(&code.amr, "pwd");
    return code;
}

sp_slice code_text(struct bench *b, const struct sp_authz_code *code) {
    static char texts[4][SP_OAUTH_SEALED_BYTES_MAX];
    static unsigned next;
    SP_AUTO(sp_buf) sealed = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX);
    OK(sp_seal_code(b->app, code, &sealed));
    char *text = texts[next++ % SP_ARRAY_LEN(texts)];
    memcpy(text, sealed.p, sealed.n);
    return sp_slice_of(text, sealed.n);
}

struct sp_oauth_token_request code_request(struct sp_client_proof client, sp_slice code) {
    static char uris[4][128];
    static unsigned next;
    char *uri = uris[next++ % SP_ARRAY_LEN(uris)];
    const int n = snprintf(uri, sizeof(uris[0]), "https://%.*s.example/cb", SP_SLICE_FMT(client.id));
    return (struct sp_oauth_token_request){.client = client,
                                           .grant_type = SP_SLICE_LIT("authorization_code"),
                                           .code = code,
                                           .redirect_uri = sp_slice_of(uri, (size_t)n),
                                           .code_verifier = SP_SLICE_LIT(OAUTH_VERIFIER)};
}

/* ---- asking ---- */

static void copy(char *to, size_t cap, sp_slice from) {
    assert_true(from.n < cap);
    if (from.n != 0) memcpy(to, from.p, from.n);
    to[from.n] = 0;
}
#define COPY(to, from) copy((to), sizeof(to), (from))

static void granted_done(void *arg, const struct sp_oauth_tokens_result *r) {
    struct granted *g = arg;
    g->answers++;
    g->error = r->trouble.error;
    g->description = r->trouble.description;
    g->wants_nonce = r->trouble.wants_nonce;
    COPY(g->access, r->access_token);
    COPY(g->refresh, r->refresh_token);
    COPY(g->id_token, r->id_token);
    COPY(g->scope, r->scope);
    g->is_dpop = r->is_dpop;
    g->expires_s = r->expires_in_s;
    if (g->error != SP_OAUTH_NONE)
        assert_int_equal(r->access_token.n + r->refresh_token.n + r->id_token.n, 0);
}

void token_begin(struct bench *b, const struct sp_oauth_token_request *in, struct granted *ret) {
    const struct sp_call call = bench_call(b);
    memset(ret, 0, sizeof(*ret));
    sp_oauth_token(b->app, &call, in, granted_done, ret);
    assert_int_equal(ret->answers, 0); /* never from inside the call */
}

struct granted token_ask(struct bench *b, struct sp_oauth_token_request in) {
    struct granted g;
    token_begin(b, &in, &g);
    bench_run(b);
    assert_int_equal(g.answers, 1);
    return g;
}

struct granted token_session_sid(struct bench *b, struct sp_client_proof client,
                                 uint8_t sid[SP_ROW_SID_BYTES]) {
    char id[65];
    COPY(id, client.id);
    const struct sp_authz_code code = code_new(b, id);
    const struct granted g = token_ask(b, code_request(client, code_text(b, &code)));
    assert_error(g, NONE);
    memcpy(sid, code.sid, SP_ROW_SID_BYTES);
    return g;
}

struct granted token_session(struct bench *b, struct sp_client_proof client) {
    uint8_t sid[SP_ROW_SID_BYTES];
    return token_session_sid(b, client, sid);
}

struct sp_oauth_token_request refresh_request(struct sp_client_proof client, const struct granted *with) {
    return (struct sp_oauth_token_request){.client = client,
                                           .grant_type = SP_SLICE_LIT("refresh_token"),
                                           .refresh_token = sp_slice_cstr(with->refresh)};
}

struct granted token_refresh(struct bench *b, struct sp_client_proof client, const struct granted *with) {
    return token_ask(b, refresh_request(client, with));
}

struct sp_oauth_token_request client_request(const char *scope) {
    return (struct sp_oauth_token_request){
        .client = as_svc(), .grant_type = SP_SLICE_LIT("client_credentials"), .scope = sp_slice_cstr(scope)};
}

/* ---- claims ---- */

enum sp_reject token_check(struct bench *b, const char *access) {
    struct sp_principal p;
    return sp_app_principal(b->app, sp_slice_cstr(access), SP_AUTHN_PROOF_BY_CALLER | SP_AUTHN_ANY_AUDIENCE,
                            &p);
}

struct sp_principal token_principal(struct bench *b, const char *access) {
    struct sp_principal p;
    assert_reject(
        sp_app_principal(b->app, sp_slice_cstr(access), SP_AUTHN_PROOF_BY_CALLER | SP_AUTHN_ANY_AUDIENCE, &p),
        "ok");
    return p;
}

const char *token_payload(const char *jws) {
    static char text[SP_ACCESS_TOKEN_BYTES_MAX];
    const char *first = strchr(jws, '.'), *second = strchr(first + 1, '.');
    size_t n = 0;
    OK(sp_base64url_decode(sp_slice_of(first + 1, (size_t)(second - first - 1)), (uint8_t *)text,
                           sizeof(text) - 1, &n));
    text[n] = 0;
    return text;
}

/* ---- proofs ---- */

sp_slice proof_jkt(bool other_key) {
    static char texts[2][SP_JKT_CHARS];
    forge_jkt(forge.keys[other_key ? SP_ALG_EDDSA : SP_ALG_ES256], texts[other_key]);
    return SP_SLICE_ARRAY(texts[other_key]);
}

struct sp_dpop_shown proof_new(struct bench *b, struct proof p) {
    static unsigned serial;
    char jti[32], url[256], ath[SP_JKT_CHARS + 1] = "";
    const char *method = p.method != NULL ? p.method : "POST";
    const char *path = p.path != NULL ? p.path : "/oauth2/token";
    snprintf(jti, sizeof(jti), "proof-%u", serial++);
    snprintf(url, sizeof(url), "https://auth.example%s", path);
    if (p.token != NULL) forge_ath(sp_slice_cstr(p.token), ath);
    const sp_slice text = forge_proof((struct proof_parts){.alg = p.other_key ? SP_ALG_EDDSA : SP_ALG_ES256,
                                                           .jti = jti,
                                                           .htm = method,
                                                           .htu = url,
                                                           .ath = ath,
                                                           .nonce = p.nonce != NULL ? p.nonce : "",
                                                           .iat = b->now_ms / 1000 - p.age_s});
    return (struct sp_dpop_shown){
        .proof = text, .method = sp_slice_cstr(method), .path = sp_slice_cstr(path)};
}
