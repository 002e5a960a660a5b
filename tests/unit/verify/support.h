/* Keys, tokens and a verifier for the tests of this layer. */
#ifndef TEST_VERIFY_SUPPORT_H
#define TEST_VERIFY_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token/issue.h"
#include "verify/verifier.h"

/* ThreadSanitizer allows no threads in a child of a process with threads. */
#if defined(__SANITIZE_THREAD__)
#define HAS_TSAN true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_TSAN true
#endif
#endif
#ifndef HAS_TSAN
#define HAS_TSAN false
#endif

/* In such a child AddressSanitizer's allocator waits for ever for a lock that another thread held at the
 * fork: LLVM before 18 (llvm-project#75290), GCC before 15. */
#if defined(__clang__)
#if __has_feature(address_sanitizer) && __clang_major__ < 18
#define CHILD_MAY_HANG true
#endif
#elif defined(__SANITIZE_ADDRESS__) && __GNUC__ < 15
#define CHILD_MAY_HANG true
#endif
#ifndef CHILD_MAY_HANG
#define CHILD_MAY_HANG false
#endif

#define T0 1800000000
#define LIFETIME_S 900
#define ISSUER "https://issuer.example"
#define AUDIENCE "https://api.example"

static inline struct sp_jwk make_jwk(const char *kid, enum sp_alg alg) {
    struct sp_jwk jwk = {.has_kid = true, .algs = SP_ALG_BIT(alg)};
    assert_true(sp_ok(SP_TEXT_SET(&jwk.kid, sp_slice_cstr(kid))));
    assert_true(sp_ok(sp_sig_key_generate(alg, &sp_random_system, &jwk.key)));
    return jwk;
}

/* The claims of a good token of user `user`; id `n` makes jti and sid. */
struct ids {
    sp_id sub, jti;
    sp_sid sid;
    char sub_text[SP_ID_CHARS], jti_text[SP_ID_CHARS], sid_text[SP_SID_CHARS];
};
static inline struct ids make_ids(uint32_t user, uint32_t n) {
    struct ids ids = {0};
    memcpy(ids.sub.b, &user, sizeof user);
    memcpy(ids.jti.b, &n, sizeof n);
    memcpy(ids.sid.b, &n, sizeof n);
    sp_id_text(ids.sub, ids.sub_text);
    sp_id_text(ids.jti, ids.jti_text);
    sp_sid_text(ids.sid, ids.sid_text);
    return ids;
}
static inline struct sp_claims make_claims(const struct ids *ids) {
    struct sp_claims c;
    sp_claims_init(&c);
    c.iss = SP_SLICE_LIT(ISSUER);
    c.aud = sp_strings_one(SP_SLICE_LIT(AUDIENCE));
    c.sub = SP_SLICE_ARRAY(ids->sub_text);
    c.jti = SP_SLICE_ARRAY(ids->jti_text);
    c.sid = SP_SLICE_ARRAY(ids->sid_text);
    c.client_id = SP_SLICE_LIT("app");
    c.iat = T0;
    c.exp = T0 + LIFETIME_S;
    c.has_epu = c.has_epg = true;
    c.epu = c.epg = 1;
    c.has_permissions = true;
    c.permissions = SP_SLICE_LIT("orders:read orders:write");
    return c;
}

struct token {
    char text[SP_TOKEN_BYTES_MAX];
    size_t n;
};
static inline sp_slice slice_of(const struct token *t) {
    return sp_slice_of(t->text, t->n);
}
static inline enum sp_alg alg_of(const struct sp_jwk *jwk) {
    for (unsigned a = 0; a < SP_ALG_COUNT; a++)
        if (jwk->algs == SP_ALG_BIT(a)) return (enum sp_alg)a;
    fail_msg("a key of one algorithm is needed");
    return SP_ALG_ES256;
}
static inline struct token issue_typ(const struct sp_jwk *jwk, const struct sp_claims *claims,
                                     const char *typ) {
    SP_AUTO(sp_buf) payload = SP_BUF_INIT(SP_TOKEN_BYTES_MAX), out = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
    struct sp_jws_issue_header h = {
        .alg = alg_of(jwk), .kid = SP_TEXT_SLICE(&jwk->kid), .typ = sp_slice_cstr(typ)};
    struct token t = {0};
    assert_true(sp_ok(sp_claims_write_json(claims, &payload)));
    assert_true(sp_ok(sp_jws_issue_with_key(&h, sp_buf_slice(&payload), jwk->key, &out)));
    memcpy(t.text, out.p, out.n);
    t.n = out.n;
    return t;
}
static inline struct token issue(const struct sp_jwk *jwk, const struct sp_claims *claims) {
    return issue_typ(jwk, claims, "at+jwt");
}

struct fixture {
    struct sp_reclaim *reclaim;
    struct sp_verifier *v;
    struct sp_verifier_reader *reader;
    struct sp_jwk key;
    struct ids ids;
    struct sp_claims claims;
    struct token token; /* good from T0 */
};

#define CACHE_BYTES ((size_t)1024 * 1024)

static inline struct sp_verifier_opts opts_with(struct sp_reclaim *reclaim, size_t cache_bytes) {
    return (struct sp_verifier_opts){
        .issuer = SP_SLICE_LIT(ISSUER),
        .audience = SP_SLICE_LIT(AUDIENCE),
        .alg_mask = SP_ALG_ALL,
        .cache_bytes = cache_bytes,
        .reclaim = reclaim,
        .random = &sp_random_system,
    };
}

static inline void fixture_init(struct fixture *f, enum sp_alg alg, size_t cache_bytes) {
    memset(f, 0, sizeof *f);
    assert_true(sp_ok(sp_reclaim_new(8, &f->reclaim)));
    struct sp_verifier_opts opts = opts_with(f->reclaim, cache_bytes);
    assert_true(sp_ok(sp_verifier_new(&opts, &f->v)));
    assert_true(sp_ok(sp_verifier_reader_new(f->v, &f->reader)));
    f->key = make_jwk("k1", alg);
    assert_true(sp_ok(sp_verifier_set_keys(f->v, &f->key, 1)));
    f->ids = make_ids(7, 1);
    f->claims = make_claims(&f->ids);
    f->token = issue(&f->key, &f->claims);
}
static inline void fixture_done(struct fixture *f) {
    sp_verifier_reader_free(f->reader);
    sp_verifier_free(f->v);
    sp_reclaim_free(f->reclaim);
    sp_jwk_done(&f->key);
}

static inline enum sp_reject check_flags(struct fixture *f, const struct token *t, unsigned flags,
                                         int64_t now) {
    const struct sp_claims *claims = NULL;
    sp_verifier_enter(f->reader);
    enum sp_reject r = sp_verifier_check_flags(f->v, f->reader, flags, slice_of(t), now, &claims);
    if ((r == SP_REJECT_NONE) != (claims != NULL)) r = SP_REJECT_UNSET;
    sp_verifier_exit(f->reader);
    return r;
}
static inline enum sp_reject check(struct fixture *f, const struct token *t, int64_t now) {
    return check_flags(f, t, SP_VERIFY_STRICT, now);
}
#define assert_verdict(got, name) assert_string_equal(sp_reject_code(got), sp_reject_code(SP_REJECT_##name))

static inline struct sp_verifier_stats stats(struct fixture *f) {
    struct sp_verifier_stats st;
    sp_verifier_stats(f->v, &st);
    return st;
}

#endif
