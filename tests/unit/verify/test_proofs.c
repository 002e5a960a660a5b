/* Proofs of possession at the public library: what is checked beside the token, and what a service hears. */
#include "../../attacks/forge_dpop.h"
#include "support.h"
#include "verify/handle.h"

#include <pthread.h>
#include <unistd.h>

#define URL "https://api.example/orders"
#define assert_says(verdict, code) assert_string_equal(sp_verdict_code(verdict), #code)
#define assert_bad_proof(verdict, code)                                                                      \
    do {                                                                                                     \
        assert_says(verdict, bad_proof);                                                                     \
        assert_string_equal(sp_proof_fault(), code);                                                         \
    } while (0)

static struct world {
    struct sp_jwk issuer;
    struct sp_sig_key *key; /* the client's */
    char jkt[SP_JKT_CHARS];
    struct ids ids;
    struct token token;
    struct sallyport *sp;
    struct sp_token claims;
    unsigned jti;
} w;

static int64_t now_s(void) {
    return sp_clock_wall_ms(&sp_clock_system) / 1000;
}
static struct sp_claims good_claims(void) {
    struct sp_claims c = make_claims(&w.ids);
    c.iat = now_s();
    c.exp = now_s() + LIFETIME_S;
    c.jkt = SP_SLICE_ARRAY(w.jkt);
    return c;
}

static void write_jwks(char *path) {
    SP_AUTO(sp_buf) set = SP_BUF_INIT(8192);
    const struct sp_jwk_public_row row = {
        .kid = SP_TEXT_SLICE(&w.issuer.kid), .alg = alg_of(&w.issuer), .key = w.issuer.key};
    assert_true(sp_ok(sp_jwks_write_public(&row, 1, &set)));
    FILE *file = fdopen(mkstemp(path), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(set.p, 1, set.n, file), set.n);
    assert_int_equal(fclose(file), 0);
}

static void begin_with(size_t dpop_proofs, int need_nonce) {
    char path[] = "/tmp/sallyport-test-XXXXXX";
    memset(&w, 0, sizeof w);
    w.issuer = make_jwk("k1", SP_ALG_EDDSA);
    assert_true(sp_ok(sp_sig_key_generate(SP_ALG_ES256, &sp_random_system, &w.key)));
    forge_jkt(w.key, w.jkt);
    w.ids = make_ids(7, 1);
    struct sp_claims c = good_claims();
    w.token = issue(&w.issuer, &c);
    write_jwks(path);
    struct sp_options options = SP_OPTIONS_INIT;
    options.issuer = ISSUER;
    options.audience = AUDIENCE;
    options.jwks_file = path;
    options.dpop_proofs = dpop_proofs;
    options.dpop_require_nonce = need_nonce;
    assert_int_equal(sp_open(&options, &w.sp), SP_OPEN_OK);
    (void)unlink(path);
}
static void begin(void) {
    begin_with(0, 0);
}
static void end(void) {
    sp_close(w.sp);
    sp_jwk_done(&w.issuer);
    sp_sig_key_free(w.key);
}

/* A proof for the token; a jti of its own each time, unless `p` has one. Static storage. */
static const char *proof_with(struct proof_parts p) {
    static char text[SP_DPOP_BYTES_MAX + 1];
    char ath[SP_JKT_CHARS + 1], jti[32];
    forge_ath(slice_of(&w.token), ath);
    (void)snprintf(jti, sizeof jti, "jti-%u", w.jti++);
    if (p.alg == 0 && p.key == NULL) p.key = w.key;
    if (p.jti == NULL) p.jti = jti;
    if (p.ath == NULL) p.ath = ath;
    if (p.iat == 0) p.iat = now_s();
    sp_slice proof = forge_proof(p);
    memcpy(text, proof.p, proof.n);
    text[proof.n] = 0;
    return text;
}
static struct sp_request request_with(const char *proof) {
    struct sp_request r = SP_REQUEST_INIT;
    r.scheme = SP_SCHEME_DPOP;
    r.token = w.token.text;
    r.token_bytes = w.token.n;
    r.method = "GET";
    r.url = URL;
    r.proof = proof;
    return r;
}
static enum sp_verdict verify(const char *proof) {
    struct sp_request r = request_with(proof);
    return sp_verify(w.sp, &r, &w.claims);
}

static void bound_token_passes_with_a_proof_of_its_key(void **state) {
    (void)state;
    begin();
    for (int warm = 0; warm < 2; warm++) {
        memset(&w.claims, 0, sizeof w.claims);
        assert_says(verify(proof_with((struct proof_parts){0})), accepted);
        assert_int_equal(w.claims.key.n, SP_JKT_CHARS);
        assert_memory_equal(w.claims.key.p, w.jkt, SP_JKT_CHARS);
        assert_string_equal(sp_proof_fault(), "ok");
    }
    end();
}

static void bound_token_does_not_pass_without(void **state) {
    (void)state;
    begin();
    memset(&w.claims, 0x5a, sizeof w.claims);
    struct sp_request r = request_with(NULL);
    assert_says(sp_verify(w.sp, &r, &w.claims), proof_required);
    assert_string_equal(sp_proof_fault(), "missing");
    r.proof = "";
    assert_says(sp_verify(w.sp, &r, &w.claims), proof_required);
    r.scheme = SP_SCHEME_BEARER;
    r.proof = proof_with((struct proof_parts){0}); /* whoever says Bearer shows nothing */
    assert_says(sp_verify(w.sp, &r, &w.claims), proof_required);
    for (size_t i = 0; i < sizeof w.claims; i++) assert_int_equal(((const uint8_t *)&w.claims)[i], 0x5a);
    end();
}

static void unbound_token_does_not_pass_as_dpop(void **state) {
    (void)state;
    begin();
    struct sp_claims c = good_claims();
    c.jkt = SP_SLICE_EMPTY;
    w.token = issue(&w.issuer, &c);
    struct sp_request r = request_with(NULL);
    assert_bad_proof(verify(proof_with((struct proof_parts){0})), "unbound_token");
    assert_bad_proof(sp_verify(w.sp, &r, NULL), "unbound_token");
    r.scheme = SP_SCHEME_BEARER;
    assert_says(sp_verify(w.sp, &r, &w.claims), accepted);
    assert_null(w.claims.key.p);
    end();
}

static void proof_is_for_this_request(void **state) {
    (void)state;
    begin();
    assert_bad_proof(verify(proof_with((struct proof_parts){.htm = "POST"})), "wrong_method");
    assert_bad_proof(verify(proof_with((struct proof_parts){.htu = "https://api.example/"})), "wrong_url");
    assert_bad_proof(verify(proof_with((struct proof_parts){.ath = ""})), "wrong_token");
    assert_bad_proof(verify(proof_with((struct proof_parts){.iat = now_s() - 120})), "too_old");
    assert_bad_proof(verify(proof_with((struct proof_parts){.iat = now_s() + 120})), "in_future");
    assert_bad_proof(verify("a.b"), "malformed");
    assert_true(strlen(sp_proof_fault_text()) > 10);
    assert_says(verify(proof_with((struct proof_parts){.htu = URL "?page=2"})), accepted);
    assert_string_equal(sp_proof_fault(), "ok");
    end();
}

static void proof_by_another_key_is_refused(void **state) {
    (void)state;
    begin();
    SP_AUTO_FREE(sp_sig_key) thief = NULL;
    assert_true(sp_ok(sp_sig_key_generate(SP_ALG_ES256, &sp_random_system, &thief)));
    assert_bad_proof(verify(proof_with((struct proof_parts){.key = thief})), "wrong_key");
    end();
}

static void proof_passes_once(void **state) {
    (void)state;
    begin();
    const char *proof = proof_with((struct proof_parts){0});
    assert_says(verify(proof), accepted);
    assert_bad_proof(verify(proof), "replayed");
    assert_bad_proof(verify(proof_with((struct proof_parts){.jti = "jti-0"})), "replayed"); /* signed anew */
    assert_says(verify(proof_with((struct proof_parts){0})), accepted);
    end();
}

/* What is refused for another reason takes no place, so that nobody can use up another's proof or the table.
 */
static void refused_proof_is_not_remembered(void **state) {
    (void)state;
    begin();
    const char *proof = proof_with((struct proof_parts){0});
    struct sp_request r = request_with(proof);
    r.url = "https://api.example/other";
    assert_bad_proof(sp_verify(w.sp, &r, NULL), "wrong_url");
    assert_int_equal(sp_replay_entries(w.sp->proofs.seen), 0);
    assert_says(verify(proof), accepted);
    assert_int_equal(sp_replay_entries(w.sp->proofs.seen), 1);
    end();
}

static void too_many_proofs_make_the_service_busy(void **state) {
    (void)state;
    begin_with(64, 0);
    for (int i = 0; i < 64; i++) assert_says(verify(proof_with((struct proof_parts){0})), accepted);
    assert_says(verify(proof_with((struct proof_parts){0})), busy);
    end();
}

static void nonce_is_asked_for_and_then_good(void **state) {
    (void)state;
    begin_with(0, 1);
    char nonce[SP_DPOP_NONCE_BYTES];
    assert_says(verify(proof_with((struct proof_parts){0})), nonce_required);
    assert_string_equal(sp_dpop_nonce(w.sp, nonce), nonce);
    assert_int_equal(strlen(nonce), SP_DPOP_NONCE_BYTES - 1);
    assert_says(verify(proof_with((struct proof_parts){.nonce = nonce})), accepted);
    assert_says(verify(proof_with((struct proof_parts){.nonce = nonce})),
                accepted); /* as often as one likes */
    nonce[0] = nonce[0] == 'A' ? 'B' : 'A';
    assert_says(verify(proof_with((struct proof_parts){.nonce = nonce})), nonce_required);
    assert_int_equal(sp_replay_entries(w.sp->proofs.seen), 2);
    end();
}

static void nonce_of_another_process_is_none(void **state) {
    (void)state;
    begin_with(0, 1);
    struct sallyport *first = w.sp;
    struct world kept = w;
    char nonce[SP_DPOP_NONCE_BYTES];
    (void)sp_dpop_nonce(first, nonce);
    begin_with(0, 1);
    assert_says(verify(proof_with((struct proof_parts){.nonce = nonce})), nonce_required);
    end();
    w = kept;
    end();
}

/* At times of our choice: `now_s` by the wall, `boot_s` since boot. */
static enum sp_dpop_fault check_at(struct sp_proofs *p, const char *proof, int64_t wall_s, int64_t boot_s) {
    const sp_slice url = SP_SLICE_LIT(URL);
    static struct sp_dpop_scratch scratch;
    const struct sp_dpop_expect expect = {.method = SP_SLICE_LIT("GET"),
                                          .urls = &url,
                                          .urls_n = 1,
                                          .access_token = slice_of(&w.token),
                                          .now_s = wall_s};
    return sp_proofs_check(p, sp_slice_cstr(proof), &expect, wall_s * 1000, boot_s * 1000, &scratch);
}
/* Has the table come across everything that it holds. */
static void pass_through(struct sp_proofs *p, int64_t wall_s) {
    const uint8_t nothing[SP_SHA256_BYTES] = {0};
    for (int i = 0; i < 1024; i++)
        assert_int_equal(sp_replay_add(p->seen, nothing, 0, wall_s * 1000), SP_REPLAY_NEW);
    assert_int_equal(sp_replay_entries(p->seen), 0);
}

static void proof_that_was_used_does_not_come_back_with_the_clock(void **state) {
    (void)state;
    begin();
    struct sp_proofs p = {0};
    char nonce[SP_DPOP_NONCE_BYTES] = {0}, used[SP_DPOP_BYTES_MAX + 1], with_nonce[SP_DPOP_BYTES_MAX + 1];
    const int64_t wall_s = 1700000000, boot_s = 5000;
    assert_true(sp_ok(sp_proofs_init(&p, 64, false, &sp_random_system)));
    sp_dpop_nonce_make(&p.nonces, boot_s * 1000, nonce);
    (void)snprintf(used, sizeof used, "%s", proof_with((struct proof_parts){.iat = wall_s}));
    (void)snprintf(with_nonce, sizeof with_nonce, "%s",
                   proof_with((struct proof_parts){.iat = wall_s, .nonce = nonce}));
    assert_int_equal(check_at(&p, used, wall_s, boot_s), SP_DPOP_NONE);
    assert_int_equal(check_at(&p, with_nonce, wall_s, boot_s), SP_DPOP_NONE);
    pass_through(&p, wall_s + 100);
    assert_int_equal(check_at(&p, used, wall_s + 100, boot_s + 100), SP_DPOP_TOO_OLD);
    assert_int_equal(
        check_at(&p, proof_with((struct proof_parts){.iat = wall_s + 100}), wall_s + 100, boot_s + 100),
        SP_DPOP_NONE); /* as long as the clock goes forward nobody needs a nonce */
    /* Set back by 100 s: both are in time once more, and the nonce has not lapsed by the clock since boot. */
    assert_int_equal(check_at(&p, used, wall_s, boot_s + 100), SP_DPOP_NONCE_REQUIRED);
    assert_int_equal(check_at(&p, with_nonce, wall_s, boot_s + 100), SP_DPOP_NONCE_REQUIRED);
    sp_dpop_nonce_make(&p.nonces, (boot_s + 100) * 1000, nonce);
    const char *fresh = proof_with((struct proof_parts){.iat = wall_s, .nonce = nonce});
    assert_int_equal(check_at(&p, fresh, wall_s, boot_s + 100), SP_DPOP_NONE);
    assert_int_equal(check_at(&p, fresh, wall_s, boot_s + 100), SP_DPOP_REPLAYED);
    sp_proofs_done(&p);
    end();
}

static void request_that_is_not_described_is_a_mistake(void **state) {
    (void)state;
    begin();
    struct sp_request r = request_with(proof_with((struct proof_parts){0}));
    r.url = NULL;
    assert_says(sp_verify(w.sp, &r, NULL), bad_request);
    r = request_with(r.proof);
    r.method = NULL;
    assert_says(sp_verify(w.sp, &r, NULL), bad_request);
    r.scheme = (enum sp_scheme)7;
    assert_says(sp_verify(w.sp, &r, NULL), bad_request);
    end();
}

static void token_that_is_bad_is_bad_whatever_the_proof(void **state) {
    (void)state;
    begin();
    struct sp_claims c = good_claims();
    c.exp = c.iat - 1;
    c.iat -= 100;
    w.token = issue(&w.issuer, &c);
    assert_says(verify(proof_with((struct proof_parts){0})), expired);
    assert_string_equal(sp_proof_fault(), "ok");
    assert_int_equal(sp_replay_entries(w.sp->proofs.seen), 0);
    end();
}

static void options_that_cannot_be_meant_are_refused(void **state) {
    (void)state;
    struct sp_options options = SP_OPTIONS_INIT;
    options.issuer = ISSUER;
    options.audience = AUDIENCE;
    options.jwks_file = "/nonexistent";
    options.dpop_proofs = 63;
    struct sallyport *sp = NULL;
    assert_int_equal(sp_open(&options, &sp), SP_OPEN_BAD_OPTION);
    options.dpop_proofs = ((size_t)16 << 20) + 1;
    assert_int_equal(sp_open(&options, &sp), SP_OPEN_BAD_OPTION);
    options.dpop_proofs = 0;
    options.dpop_require_nonce = 2;
    assert_int_equal(sp_open(&options, &sp), SP_OPEN_BAD_OPTION);
    assert_non_null(strstr(sp_open_error(), "dpop_require_nonce"));
}

/* ---- scopes and clients ---- */

static void verify_bearer(struct sp_claims c) {
    struct sp_request r = SP_REQUEST_INIT;
    c.jkt = SP_SLICE_EMPTY;
    w.token = issue(&w.issuer, &c);
    r.token = w.token.text;
    r.token_bytes = w.token.n;
    assert_says(sp_verify(w.sp, &r, &w.claims), accepted);
}

static void scope_limits_what_is_permitted(void **state) {
    (void)state;
    begin();
    struct sp_claims c = good_claims(); /* orders:read orders:write */
    verify_bearer(c);
    assert_int_equal(sp_permits(&w.claims, "orders:write"), 1);
    assert_null(w.claims.scope.p);
    c.scope = SP_SLICE_LIT("openid orders:read mail:send");
    verify_bearer(c);
    assert_int_equal(sp_permits(&w.claims, "orders:read"), 1);
    assert_int_equal(sp_permits(&w.claims, "orders:write"), 0);
    assert_int_equal(sp_permits(&w.claims, "mail:send"), 0);
    assert_int_equal(sp_permits(&w.claims, "openid"), 0);
    c.scope = SP_SLICE_LIT("");
    for (int warm = 0; warm < 2; warm++) {
        verify_bearer(c);
        assert_non_null(w.claims.scope.p); /* "" is not "absent", in the cache neither */
        assert_int_equal(sp_permits(&w.claims, "orders:read"), 0);
    }
    end();
}

static void client_is_permitted_its_scope(void **state) {
    (void)state;
    begin();
    struct sp_claims c = good_claims();
    c.sub = c.client_id = SP_SLICE_LIT("reports");
    c.sid = SP_SLICE_EMPTY;
    c.scope = SP_SLICE_LIT("orders:read");
    verify_bearer(c);
    assert_int_equal(w.claims.is_client, 1);
    assert_int_equal(sp_permits(&w.claims, "orders:read"), 1);
    assert_int_equal(sp_permits(&w.claims, "orders:write"), 0); /* although `permissions` has it */
    verify_bearer(good_claims());
    assert_int_equal(w.claims.is_client, 0);
    end();
}

static void how_the_person_logged_in_is_told(void **state) {
    (void)state;
    begin();
    struct sp_claims c = good_claims();
    c.acr = SP_SLICE_LIT("urn:sallyport:acr:password");
    c.auth_time = c.iat - 60;
    verify_bearer(c);
    assert_int_equal(w.claims.acr.n, c.acr.n);
    assert_memory_equal(w.claims.acr.p, c.acr.p, c.acr.n);
    assert_int_equal(w.claims.authenticated_at, c.auth_time);
    end();
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 20 };
static char proofs[ROUNDS][SP_DPOP_BYTES_MAX + 1];
static _Atomic int accepted;
static void *use_all(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        struct sp_request r = request_with(proofs[i]);
        if (sp_verify(w.sp, &r, NULL) == SP_ACCEPTED) atomic_fetch_add(&accepted, 1);
    }
    return arg;
}
static void each_proof_passes_in_one_thread(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    begin();
    for (int i = 0; i < ROUNDS; i++)
        (void)snprintf(proofs[i], sizeof proofs[i], "%s", proof_with((struct proof_parts){0}));
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, use_all, NULL), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&accepted), ROUNDS);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bound_token_passes_with_a_proof_of_its_key),
        cmocka_unit_test(bound_token_does_not_pass_without),
        cmocka_unit_test(unbound_token_does_not_pass_as_dpop),
        cmocka_unit_test(proof_is_for_this_request),
        cmocka_unit_test(proof_by_another_key_is_refused),
        cmocka_unit_test(proof_passes_once),
        cmocka_unit_test(refused_proof_is_not_remembered),
        cmocka_unit_test(too_many_proofs_make_the_service_busy),
        cmocka_unit_test(nonce_is_asked_for_and_then_good),
        cmocka_unit_test(nonce_of_another_process_is_none),
        cmocka_unit_test(proof_that_was_used_does_not_come_back_with_the_clock),
        cmocka_unit_test(request_that_is_not_described_is_a_mistake),
        cmocka_unit_test(token_that_is_bad_is_bad_whatever_the_proof),
        cmocka_unit_test(options_that_cannot_be_meant_are_refused),
        cmocka_unit_test(scope_limits_what_is_permitted),
        cmocka_unit_test(client_is_permitted_its_scope),
        cmocka_unit_test(how_the_person_logged_in_is_told),
        cmocka_unit_test(each_proof_passes_in_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
