/* Our side of bench/classic.py: makes the tokens that both sides check, and checks them with our verifier.
 *
 *   sallyport_blocklist FOLDER TOKENS REVOKED
 *
 * Writes FOLDER/key (base64url), FOLDER/tokens and FOLDER/revoked (a jti a line), says "ready", and then
 * answers each line of its input with one of JSON: `cold` and `warm` check tokens for ROUND_S and give the
 * rate, `memory` what the revoked ids take. A worker of many short rounds, so that both sides can take turns
 * on one core.
 *
 * Every REVOKED_EACH-th token is revoked, the other revoked ids are no token's; whoever lets a revoked token
 * pass, or refuses another, has measured nothing, and ends with an error. */
#include <time.h>

#include "base/mem.h"
#include "token/issue.h"
#include "verify/verifier.h"

#define ISSUER "https://issuer.example"
#define REVOKED_EACH 100u /* classic.mjs knows it, too */
#define LIFETIME_S 3600
#define ROUND_S 0.5
#define CLOCK_EACH 256u /* tokens between two looks at the clock */
#define CACHE_BYTES_A_TOKEN 2048u
#define PATH_BYTES_MAX 4096u
#define KEY_CHARS_MAX 128u
#define TOKENS_MAX 10000000u
#define STRIDE 618970019u /* a prime beyond TOKENS_MAX: steps of it come to every token */

static void must(sp_status st, const char *what) {
    if (sp_ok(st)) return;
    fprintf(stderr, "sallyport_blocklist: %s: %s\n", what, sp_code_name(st.code));
    exit(1);
}
static void must_be(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "sallyport_blocklist: %s failed\n", what);
    exit(1);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- what both sides are given ---- */

static FILE *create(const char *folder, const char *name) {
    char path[PATH_BYTES_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    must_be(n > 0 && (size_t)n < sizeof path, "the folder's name");
    FILE *f = fopen(path, "w");
    must_be(f != NULL, path);
    return f;
}
static void put_line(FILE *f, sp_slice line) {
    must_be(fwrite(line.p, 1, line.n, f) == line.n && fputc('\n', f) != EOF, "writing");
}

/* All tokens are of one length. */
struct tokens {
    uint8_t *p;
    size_t n, bytes;
};
static sp_slice token(const struct tokens *t, size_t i) {
    return sp_slice_of(t->p + i * t->bytes, t->bytes);
}

static struct sp_jwk make_key(const char *folder) {
    struct sp_jwk jwk = {.has_kid = true, .algs = SP_ALG_BIT(SP_ALG_HS256)};
    SP_AUTO(sp_buf) secret = SP_BUF_INIT(SP_SIG_PRIVATE_BYTES_MAX);
    char text[KEY_CHARS_MAX];
    must(SP_TEXT_SET(&jwk.kid, SP_SLICE_LIT("bench-key-1")), "kid");
    must(sp_sig_key_generate(SP_ALG_HS256, &sp_random_system, &jwk.key), "key");
    must(sp_sig_key_export_private(jwk.key, &secret), "key");
    must_be(SP_BASE64URL_CHARS(secret.n) <= sizeof text, "the key's length");
    sp_base64url_encode(sp_buf_slice(&secret), text);
    FILE *f = create(folder, "key");
    put_line(f, sp_slice_of((const uint8_t *)text, SP_BASE64URL_CHARS(secret.n)));
    must_be(fclose(f) == 0, "key");
    return jwk;
}

static sp_id random_id(void) {
    sp_id id;
    must(sp_random_fill(&sp_random_system, id.b, sizeof id.b), "random");
    return id;
}

/* Claims as our server writes them. */
static void write_claims(sp_id id, int64_t now, struct sp_buf *payload) {
    char sub[SP_ID_CHARS], jti[SP_ID_CHARS], sid[SP_SID_CHARS];
    sp_sid session = {.b = {0}};
    struct sp_claims c;
    memcpy(session.b, id.b, sizeof id.b);
    sp_id_text(id, jti);
    sp_id_text(random_id(), sub);
    sp_sid_text(session, sid);
    sp_claims_init(&c);
    c.iss = SP_SLICE_LIT(ISSUER);
    c.aud = sp_strings_one(SP_SLICE_LIT("api"));
    c.sub = SP_SLICE_ARRAY(sub);
    c.jti = SP_SLICE_ARRAY(jti);
    c.sid = SP_SLICE_ARRAY(sid);
    c.client_id = SP_SLICE_LIT("app");
    c.iat = c.auth_time = now;
    c.exp = now + LIFETIME_S;
    c.amr = SP_SLICE_LIT("pwd");
    c.has_roles = c.has_permissions = c.has_epu = c.has_epg = true;
    c.roles = SP_SLICE_LIT("editor");
    c.permissions = SP_SLICE_LIT("orders:read orders:write");
    must(sp_claims_write_json(&c, payload), "claims");
}

static void make_token(const struct sp_jwk *jwk, sp_id id, int64_t now, struct sp_buf *out) {
    SP_AUTO(sp_buf) payload = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
    struct sp_jws_issue_header h = {
        .alg = SP_ALG_HS256, .kid = SP_TEXT_SLICE(&jwk->kid), .typ = SP_SLICE_LIT("at+jwt")};
    write_claims(id, now, &payload);
    must(sp_jws_issue_with_key(&h, sp_buf_slice(&payload), jwk->key, out), "token");
}

/* Into our set and into the file for theirs. */
static void revoke(struct sp_revoke_set *set, sp_id id, int64_t now, FILE *file) {
    char text[SP_ID_CHARS];
    sp_id_text(id, text);
    put_line(file, SP_SLICE_ARRAY(text));
    must(sp_revoke_set_add(set, SP_REVOKE_JTI, SP_SLICE_ARRAY(id.b), now + LIFETIME_S, now), "revoke");
}

/* ---- the verifiers ---- */

struct side {
    struct sp_verifier *v;
    struct sp_verifier_reader *reader;
    size_t next; /* the token that the next round begins with */
};

static struct side side_new(struct sp_reclaim *reclaim, const struct sp_jwk *jwk, size_t cache_bytes) {
    struct side s = {0};
    struct sp_verifier_opts opts = {.issuer = SP_SLICE_LIT(ISSUER),
                                    .audience = SP_SLICE_LIT("api"),
                                    .alg_mask = SP_ALG_BIT(SP_ALG_HS256),
                                    .cache_bytes = cache_bytes,
                                    .reclaim = reclaim,
                                    .random = &sp_random_system};
    must(sp_verifier_new(&opts, &s.v), "verifier");
    must(sp_verifier_set_keys(s.v, jwk, 1), "keys");
    must(sp_verifier_reader_new(s.v, &s.reader), "reader");
    return s;
}

static void check(struct side *s, const struct tokens *t, size_t i, int64_t now) {
    const struct sp_claims *claims;
    sp_verifier_enter(s->reader);
    enum sp_reject r = sp_verifier_check(s->v, s->reader, token(t, i), now, &claims);
    bool right = i % REVOKED_EACH == 0 ? r == SP_REJECT_REVOKED : sp_reject_is_ok(r) && claims->exp >= now;
    sp_verifier_exit(s->reader);
    must_be(right, "a token's verdict");
}

/* Tokens are checked in the order in which they lie, as received ones would be at hand; the cache was filled
 * in another, so that neighbours here are nowhere near each other there. */
static void fill_cache(struct side *s, const struct tokens *t, int64_t now) {
    for (size_t i = 0, at = 0; i < t->n; i++, at = (at + STRIDE) % t->n) check(s, t, at, now);
}

static void run_round(struct side *s, const struct tokens *t) {
    int64_t now = (int64_t)time(NULL);
    double begin = now_s(), took = 0;
    size_t n = 0;
    for (; took < ROUND_S; took = now_s() - begin)
        for (size_t i = 0; i < CLOCK_EACH; i++, n++) {
            check(s, t, s->next, now);
            if (++s->next == t->n) s->next = 0;
        }
    printf("{\"rate\":%.0f}\n", (double)n / took);
}

static void tell_memory(const struct side *s) {
    struct sp_revoke_set_stats st;
    sp_revoke_set_stats(sp_verifier_revoke_set(s->v), &st);
    printf("{\"ids\":%zu,\"bytes\":%zu,\"peak_bytes\":%zu}\n", st.entries, st.bytes, st.peak_bytes);
}

static void answer(const char *line, struct side *cold, struct side *warm, const struct tokens *t) {
    if (strcmp(line, "cold\n") == 0)
        run_round(cold, t);
    else if (strcmp(line, "warm\n") == 0)
        run_round(warm, t);
    else if (strcmp(line, "memory\n") == 0)
        tell_memory(cold);
    else
        must_be(false, "a command");
    must_be(fflush(stdout) == 0, "answering");
}

static struct tokens make_tokens(const char *folder, size_t n, const sp_id *ids, const struct sp_jwk *jwk,
                                 int64_t now) {
    struct tokens t = {.n = n};
    FILE *f = create(folder, "tokens");
    for (size_t i = 0; i < n; i++) {
        SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
        make_token(jwk, ids[i], now, &out);
        if (i == 0) {
            t.bytes = out.n;
            t.p = malloc(n * t.bytes);
            must_be(t.p != NULL, "memory");
        }
        must_be(out.n == t.bytes, "equal lengths");
        memcpy(t.p + i * t.bytes, out.p, out.n);
        put_line(f, sp_buf_slice(&out));
    }
    must_be(fclose(f) == 0, "tokens");
    return t;
}

static void make_revoked(const char *folder, size_t revoked, const sp_id *ids, size_t n, int64_t now,
                         const struct side *sides) {
    FILE *f = create(folder, "revoked"), *nowhere = fopen("/dev/null", "w");
    must_be(nowhere != NULL, "/dev/null");
    for (size_t i = 0; i < revoked; i++) {
        sp_id id = i * REVOKED_EACH < n ? ids[i * REVOKED_EACH] : random_id();
        revoke(sp_verifier_revoke_set(sides[0].v), id, now, f);
        revoke(sp_verifier_revoke_set(sides[1].v), id, now, nowhere);
    }
    must_be(fclose(f) == 0 && fclose(nowhere) == 0, "revoked");
}

int main(int argc, char **argv) {
    must_be(argc == 4, "usage: sallyport_blocklist FOLDER TOKENS REVOKED; this");
    size_t n = strtoul(argv[2], NULL, 10), revoked = strtoul(argv[3], NULL, 10);
    must_be(n > 0 && n <= TOKENS_MAX && revoked >= (n + REVOKED_EACH - 1) / REVOKED_EACH,
            "enough revoked ids");
    int64_t now = (int64_t)time(NULL);
    sp_id *ids = malloc(n * sizeof *ids);
    must_be(ids != NULL, "memory");
    for (size_t i = 0; i < n; i++) ids[i] = random_id();
    struct sp_jwk jwk = make_key(argv[1]);
    struct tokens t = make_tokens(argv[1], n, ids, &jwk, now);
    struct sp_reclaim *reclaim = NULL;
    must(sp_reclaim_new(8, &reclaim), "reclaim");
    struct side sides[] = {side_new(reclaim, &jwk, 0), side_new(reclaim, &jwk, n * CACHE_BYTES_A_TOKEN)};
    make_revoked(argv[1], revoked, ids, n, now, sides);
    fill_cache(&sides[1], &t, now);
    printf("ready\n");
    fflush(stdout);
    char line[32];
    while (fgets(line, sizeof line, stdin) != NULL) answer(line, &sides[0], &sides[1], &t);
    return 0;
}
