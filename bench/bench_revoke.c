/* What a lookup in the revocation set and a check of a token cost, in one thread.
 *
 *   bench_revoke [entries] [tokens]     default 1,000,000 revoked ids and 100,000 distinct HS256 tokens
 *
 * Compare figures of one run with each other; they move from machine to machine. */
#include <time.h>

#include "base/mem.h"
#include "token/issue.h"
#include "verify/verifier.h"

#define T0 1800000000
#define LOOKUPS 4000000u
#define ISSUER "https://issuer.example"

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(sp_status st, const char *what) {
    if (sp_ok(st)) return;
    fprintf(stderr, "bench_revoke: %s: %s\n", what, sp_code_name(st.code));
    exit(1);
}

/* A cheap permutation, so that lookups go to no predictable place. */
static uint64_t scatter(uint64_t i) {
    i = (i ^ (i >> 31)) * 0x9e3779b97f4a7c15u;
    return i ^ (i >> 29);
}

static size_t bench_lookups(const char *label, struct sp_revoke_set *set, uint64_t from, uint64_t n) {
    size_t found = 0;
    double t = now_ns();
    for (uint64_t i = 0; i < LOOKUPS; i++) {
        uint64_t id[2] = {from + scatter(i) % n, 0};
        found += sp_revoke_set_contains(set, SP_REVOKE_JTI, SP_SLICE_ARRAY(id), T0);
    }
    printf("%-44s %8.1f ns\n", label, (now_ns() - t) / LOOKUPS);
    return found;
}

static void bench_set(size_t entries) {
    SP_AUTO_FREE(sp_reclaim) reclaim = NULL;
    SP_AUTO_FREE(sp_revoke_set) set = NULL;
    struct sp_reclaim_reader *reader = NULL;
    must(sp_reclaim_new(4, &reclaim), "reclaim");
    must(sp_reclaim_reader_join(reclaim, &reader), "reader");
    must(sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = reclaim, .random = &sp_random_system},
                           &set),
         "set");
    double t = now_ns();
    for (uint64_t i = 0; i < entries; i++) {
        uint64_t id[2] = {i, 0};
        must(sp_revoke_set_add(set, SP_REVOKE_JTI, SP_SLICE_ARRAY(id), T0 + 900, T0), "add");
    }
    printf("%-44s %8.1f ns\n", "add, growth included", (now_ns() - t) / (double)entries);
    sp_reclaim_enter(reader);
    size_t hits = bench_lookups("lookup, hit", set, 0, entries);
    size_t misses = LOOKUPS - bench_lookups("lookup, miss", set, entries, entries);
    sp_reclaim_exit(reader);
    struct sp_revoke_set_stats st;
    sp_revoke_set_stats(set, &st);
    printf("%-44s %8.1f\n", "bytes an entry", (double)st.bytes / (double)st.entries);
    if (hits != LOOKUPS || misses != LOOKUPS) printf("wrong answers: %zu hits, %zu misses\n", hits, misses);
    t = now_ns();
    for (uint64_t i = 0; i < LOOKUPS; i++) {
        sp_reclaim_enter(reader);
        sp_reclaim_exit(reader);
    }
    printf("%-44s %8.1f ns\n", "enter and exit", (now_ns() - t) / LOOKUPS);
    sp_reclaim_reader_leave(reclaim, reader);
}

struct token {
    uint8_t *p;
    size_t n;
};

static struct token make_token(const struct sp_jwk *jwk, uint64_t i) {
    sp_id jti = {.b = {0}}, sub = {.b = {0}};
    sp_sid sid = {.b = {0}};
    char jti_text[SP_ID_CHARS], sub_text[SP_ID_CHARS], sid_text[SP_SID_CHARS];
    memcpy(jti.b, &i, sizeof i);
    memcpy(sub.b, &i, sizeof i);
    memcpy(sid.b, &i, sizeof i);
    sp_id_text(jti, jti_text);
    sp_id_text(sub, sub_text);
    sp_sid_text(sid, sid_text);
    struct sp_claims c;
    sp_claims_init(&c);
    c.iss = SP_SLICE_LIT(ISSUER);
    c.aud = sp_strings_one(SP_SLICE_LIT("api"));
    c.sub = SP_SLICE_ARRAY(sub_text);
    c.jti = SP_SLICE_ARRAY(jti_text);
    c.sid = SP_SLICE_ARRAY(sid_text);
    c.client_id = SP_SLICE_LIT("app");
    c.iat = T0;
    c.exp = T0 + 900;
    c.has_permissions = true;
    c.permissions = SP_SLICE_LIT("orders:read orders:write");
    SP_AUTO(sp_buf) payload = SP_BUF_INIT(SP_TOKEN_BYTES_MAX), out = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
    struct sp_jws_issue_header h = {
        .alg = SP_ALG_HS256, .kid = SP_TEXT_SLICE(&jwk->kid), .typ = SP_SLICE_LIT("at+jwt")};
    must(sp_claims_write_json(&c, &payload), "claims");
    must(sp_jws_issue_with_key(&h, sp_buf_slice(&payload), jwk->key, &out), "token");
    struct token t = {.p = malloc(out.n), .n = out.n};
    if (t.p == NULL) exit(1);
    memcpy(t.p, out.p, out.n);
    return t;
}

static void bench_checks(const char *label, struct sp_verifier *v, struct sp_verifier_reader *reader,
                         const struct token *tokens, size_t n, size_t checks) {
    size_t bad = 0;
    double t = now_ns();
    for (uint64_t i = 0; i < checks; i++) {
        const struct token *token = &tokens[scatter(i) % n];
        sp_verifier_enter(reader);
        bad += !sp_reject_is_ok(sp_verifier_check(v, reader, sp_slice_of(token->p, token->n), T0, NULL));
        sp_verifier_exit(reader);
    }
    printf("%-44s %8.1f ns\n", label, (now_ns() - t) / (double)checks);
    if (bad != 0) printf("refused: %zu\n", bad);
}

static void bench_verifier(const struct sp_jwk *jwk, const struct token *tokens, size_t n,
                           size_t cache_bytes) {
    SP_AUTO_FREE(sp_reclaim) reclaim = NULL;
    SP_AUTO_FREE(sp_verifier) v = NULL;
    struct sp_verifier_reader *reader = NULL;
    must(sp_reclaim_new(4, &reclaim), "reclaim");
    struct sp_verifier_opts opts = {.issuer = SP_SLICE_LIT(ISSUER),
                                    .audience = SP_SLICE_LIT("api"),
                                    .alg_mask = SP_ALG_ALL,
                                    .cache_bytes = cache_bytes,
                                    .reclaim = reclaim,
                                    .random = &sp_random_system};
    must(sp_verifier_new(&opts, &v), "verifier");
    must(sp_verifier_set_keys(v, jwk, 1), "keys");
    must(sp_verifier_reader_new(v, &reader), "reader");
    if (cache_bytes == 0) {
        bench_checks("check, HS256, no cache", v, reader, tokens, n, n);
    } else {
        for (size_t i = 0; i < 4; i++)
            bench_checks(i == 0 ? "check, filling the cache" : "check, warm, uniform over all tokens", v,
                         reader, tokens, n, 5 * n);
        bench_checks("check, warm, one of 16", v, reader, tokens, 16, LOOKUPS);
        struct sp_verifier_stats st;
        sp_verifier_stats(v, &st);
        printf("%-44s %8.1f (%zu of %zu in the cache, %zu hits, %zu misses)\n", "bytes a cached token",
               (double)st.cache.bytes / (double)st.cache.entries, (size_t)st.cache.entries, n,
               (size_t)st.hits, (size_t)st.misses);
    }
    sp_verifier_reader_free(reader);
}

int main(int argc, char **argv) {
    size_t entries = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
    struct sp_jwk jwk = {.has_kid = true, .algs = SP_ALG_BIT(SP_ALG_HS256)};
    must(SP_TEXT_SET(&jwk.kid, SP_SLICE_LIT("k1")), "kid");
    must(sp_sig_key_generate(SP_ALG_HS256, &sp_random_system, &jwk.key), "key");
    bench_set(entries == 0 ? 1 : entries);
    struct token *tokens = calloc(n < 16 ? 16 : n, sizeof *tokens);
    if (tokens == NULL) return 1;
    if (n < 16) n = 16;
    for (size_t i = 0; i < n; i++) tokens[i] = make_token(&jwk, i);
    printf("%-44s %8zu\n", "bytes a token", tokens[0].n);
    bench_verifier(&jwk, tokens, n, 0);
    bench_verifier(&jwk, tokens, n, n * 2048 + SP_TOKEN_CACHE_BYTES_MIN);
    for (size_t i = 0; i < n; i++) free(tokens[i].p);
    free(tokens);
    sp_jwk_done(&jwk);
    return 0;
}
