/* What it costs to check a token, against the floors of the same run.
 *
 *   bench_verify [tokens] [revoked ids]     default 1,000,000 and 10,000,000 (4 GB of memory, about a minute)
 *
 * Warm: tokens that were checked before, drawn by zipf 0.99, so that a few thousand are in the processor's
 * caches and most are not; the claims are copied out. The floor is a bare loop over the same draws: one keyed
 * index by the end of the signature, one comparison in full, and nothing else. Cold: tokens without a cache;
 * the floor is the bare signature check of the same library, key prepared, over as many bytes.
 *
 * Times are CPU times of the thread, the best of several rounds in which the rows take turns, so that what
 * else runs on the machine moves all alike. Compare figures of one run with each other. */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include <math.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sodium.h>

#include "base/ct.h"
#include "base/mem.h"
#include "token/issue.h"
#include "verify/verifier.h"

#define T0 1800000000
#define ISSUER "https://issuer.example"
#define DRAWS (1u << 21) /* a round; several times what the processor's caches hold */
#define ROUNDS 5
#define COLD_TOKENS 64u
#define HUGE_PAGE ((size_t)2 * 1024 * 1024)
#define ADDS_PER_S 50000

static double cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(sp_status st, const char *what) {
    if (sp_ok(st)) return;
    fprintf(stderr, "bench_verify: %s: %s\n", what, sp_code_name(st.code));
    exit(1);
}
static void must_be(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "bench_verify: %s failed\n", what);
    exit(1);
}

/* As a cache of any kind would hold it: in large pages, so that the floor is not ours alone. */
static void *huge(size_t n) {
    size_t size = (n + 2 * HUGE_PAGE) / HUGE_PAGE * HUGE_PAGE;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must_be(p != MAP_FAILED, "mmap");
    (void)madvise(p, size, MADV_HUGEPAGE);
    return p;
}

/* Tokens: claims as our server writes them, 450 to 600 bytes. */

struct ids {
    char sub[SP_ID_CHARS], jti[SP_ID_CHARS], sid[SP_SID_CHARS];
};

static struct ids make_ids(uint64_t i) {
    sp_id id = {.b = {0}};
    sp_sid sid = {.b = {0}};
    struct ids r;
    memcpy(id.b, &i, sizeof i);
    memcpy(sid.b, &i, sizeof i);
    sp_id_text(id, r.jti);
    sp_sid_text(sid, r.sid);
    id.b[15] = 1;
    sp_id_text(id, r.sub);
    return r;
}

static struct sp_claims make_claims(const struct ids *ids) {
    struct sp_claims c;
    sp_claims_init(&c);
    c.iss = SP_SLICE_LIT(ISSUER);
    c.aud = sp_strings_one(SP_SLICE_LIT("api"));
    c.sub = SP_SLICE_ARRAY(ids->sub);
    c.jti = SP_SLICE_ARRAY(ids->jti);
    c.sid = SP_SLICE_ARRAY(ids->sid);
    c.client_id = SP_SLICE_LIT("app");
    c.iat = c.auth_time = T0;
    c.exp = T0 + 900;
    c.amr = SP_SLICE_LIT("pwd");
    c.has_roles = c.has_permissions = c.has_epu = c.has_epg = true;
    c.roles = SP_SLICE_LIT("editor");
    c.permissions = SP_SLICE_LIT("orders:read orders:write");
    return c;
}

/* Writes the token at `to`; its length. */
static size_t make_token(const struct sp_jwk *jwk, enum sp_alg alg, uint64_t i, uint8_t *to, size_t cap) {
    struct ids ids = make_ids(i);
    struct sp_claims c = make_claims(&ids);
    SP_AUTO(sp_buf) payload = SP_BUF_INIT(SP_TOKEN_BYTES_MAX), out = SP_BUF_INIT(SP_TOKEN_BYTES_MAX);
    struct sp_jws_issue_header h = {
        .alg = alg, .kid = SP_TEXT_SLICE(&jwk->kid), .typ = SP_SLICE_LIT("at+jwt")};
    must(sp_claims_write_json(&c, &payload), "claims");
    must(sp_jws_issue_with_key(&h, sp_buf_slice(&payload), jwk->key, &out), "token");
    must_be(out.n <= cap, "room for the token");
    memcpy(to, out.p, out.n);
    return out.n;
}

static struct sp_jwk make_jwk(enum sp_alg alg) {
    struct sp_jwk jwk = {.has_kid = true, .algs = SP_ALG_BIT(alg)};
    must(SP_TEXT_SET(&jwk.kid, SP_SLICE_LIT("bench-key-1")), "kid");
    must(sp_sig_key_generate(alg, &sp_random_system, &jwk.key), "key");
    return jwk;
}

/* All tokens have the same length, so one block with a stride is enough. */
struct tokens {
    uint8_t *p;
    size_t n, bytes, stride;
};
static sp_slice token(const struct tokens *t, size_t i) {
    return sp_slice_of(t->p + i * t->stride, t->bytes);
}

static struct tokens make_tokens(const struct sp_jwk *jwk, enum sp_alg alg, size_t n) {
    uint8_t first[SP_TOKEN_BYTES_MAX];
    struct tokens t = {.n = n, .bytes = make_token(jwk, alg, 0, first, sizeof first)};
    t.stride = (t.bytes + 63) / 64 * 64;
    t.p = huge(n * t.stride);
    for (size_t i = 0; i < n; i++)
        must_be(make_token(jwk, alg, i, t.p + i * t.stride, t.stride) == t.bytes, "equal lengths");
    return t;
}

/* Draws: zipf over ranks, and a permutation from ranks to tokens, so that neighbours in rank are nowhere
 * near. */

static uint64_t random_state = 0x9e3779b97f4a7c15u;
static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint32_t *shuffled(size_t n) {
    uint32_t *p = malloc(n * sizeof *p);
    must_be(p != NULL, "memory");
    for (size_t i = 0; i < n; i++) p[i] = (uint32_t)i;
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = next_random() % (i + 1);
        uint32_t v = p[i];
        p[i] = p[j];
        p[j] = v;
    }
    return p;
}

static double *zipf_sums(size_t n) {
    double *sums = malloc(n * sizeof *sums), sum = 0;
    must_be(sums != NULL, "memory");
    for (size_t i = 0; i < n; i++) sums[i] = sum += pow((double)(i + 1), -0.99);
    return sums;
}

static size_t rank_of(const double *sums, size_t n, double at) {
    size_t low = 0, high = n - 1;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (sums[mid] < at)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static uint32_t *make_draws(size_t n) {
    uint32_t *of_rank = shuffled(n), *draws = malloc(DRAWS * sizeof *draws);
    double *sums = zipf_sums(n);
    must_be(draws != NULL, "memory");
    for (size_t i = 0; i < DRAWS; i++) {
        double at = (double)(next_random() >> 11) / 9007199254740992.0 * sums[n - 1];
        draws[i] = of_rank[rank_of(sums, n, at)];
    }
    free(sums);
    free(of_rank);
    return draws;
}

/* The floor of the warm path. */

struct bare {
    uint64_t *index; /* tag in the upper half, number of the token plus one in the lower; open addressing */
    uint8_t *copies;
    uint64_t mask, key[2];
};

static uint64_t tail_hash(const struct bare *b, sp_slice t) {
    uint64_t x[2];
    memcpy(x, t.p + t.n - sizeof x, sizeof x);
    unsigned __int128 m = (unsigned __int128)(x[0] ^ b->key[0]) * (x[1] ^ b->key[1]);
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static struct bare bare_new(const struct tokens *t) {
    struct bare b = {.mask = 1};
    while (b.mask < 2 * t->n) b.mask *= 2;
    b.index = huge(b.mask * sizeof *b.index);
    b.copies = huge(t->n * t->stride);
    memcpy(b.copies, t->p, t->n * t->stride);
    b.mask--;
    must(sp_random_fill(&sp_random_system, (uint8_t *)b.key, sizeof b.key), "random");
    for (size_t i = 0; i < t->n; i++) {
        uint64_t h = tail_hash(&b, token(t, i)), at = h & b.mask;
        while (b.index[at] != 0) at = (at + 1) & b.mask;
        b.index[at] = (h >> 32) << 32 | (i + 1);
    }
    return b;
}

static bool bare_find(const struct bare *b, const struct tokens *t, sp_slice s) {
    uint64_t h = tail_hash(b, s);
    for (uint64_t at = h & b->mask; b->index[at] != 0; at = (at + 1) & b->mask) {
        if (b->index[at] >> 32 != h >> 32) continue;
        const uint8_t *copy = b->copies + ((uint32_t)b->index[at] - 1) * t->stride;
        for (size_t i = 0; i < t->bytes; i += 64) __builtin_prefetch(copy + i);
        if (sp_ct_equal(sp_slice_of(copy, t->bytes), s)) return true;
    }
    return false;
}

/* What has just been received is in the cache: so the callers' copies, which fill half a gigabyte here, are
 * asked for a few draws ahead, for the bare loop and the verifier alike. */
static void receive(const struct tokens *t, const uint32_t *draws, size_t i) {
    const uint8_t *p = token(t, draws[(i + 4) % DRAWS]).p;
    for (size_t n = 0; n < t->stride; n += 64) __builtin_prefetch(p + n);
}

static double bare_round(const struct bare *b, const struct tokens *t, const uint32_t *draws) {
    size_t found = 0;
    double begin = cpu_ns();
    for (size_t i = 0; i < DRAWS; i++) {
        receive(t, draws, i);
        found += bare_find(b, t, token(t, draws[i]));
    }
    double ns = (cpu_ns() - begin) / DRAWS;
    must_be(found == DRAWS, "bare loop");
    return ns;
}

/* The verifier. */

struct bench {
    struct sp_reclaim *reclaim;
    struct sp_verifier *v;
};

static struct bench bench_new(const struct sp_jwk *jwk, size_t cache_bytes) {
    struct bench b;
    must(sp_reclaim_new(16, &b.reclaim), "reclaim");
    struct sp_verifier_opts opts = {.issuer = SP_SLICE_LIT(ISSUER),
                                    .audience = SP_SLICE_LIT("api"),
                                    .alg_mask = SP_ALG_ALL,
                                    .cache_bytes = cache_bytes,
                                    .reclaim = b.reclaim,
                                    .random = &sp_random_system};
    must(sp_verifier_new(&opts, &b.v), "verifier");
    must(sp_verifier_set_keys(b.v, jwk, 1), "keys");
    return b;
}
static void bench_done(struct bench *b) {
    sp_verifier_free(b->v);
    sp_reclaim_free(b->reclaim);
}

/* Keeps the claims, as libsallyport does for its callers. */
static bool check(struct sp_verifier *v, struct sp_verifier_reader *reader, sp_slice t) {
    const struct sp_claims *claims = NULL;
    struct sp_claims kept = {.exp = 0};
    uint8_t strings[SP_VERIFIER_BLOCK_BYTES_MAX];
    sp_verifier_enter(reader);
    if (sp_reject_is_ok(sp_verifier_check(v, reader, t, T0, &claims))) {
        sp_slice block = sp_verifier_claims_block(reader);
        kept = *claims;
        memcpy(strings, block.p, block.n);
        sp_claims_rebase(&kept, block, strings);
    }
    sp_verifier_exit(reader);
    return kept.exp == T0 + 900 && kept.iss.n != 0 && kept.iss.p[0] == 'h';
}

/* One pass over the draws, from somewhere in their middle, so that two threads do not walk side by side. */
static double warm_round(struct sp_verifier *v, struct sp_verifier_reader *reader, const struct tokens *t,
                         const uint32_t *draws, size_t from) {
    size_t ok = 0;
    double begin = cpu_ns();
    for (size_t i = from; i < from + DRAWS; i++) {
        receive(t, draws, i);
        ok += check(v, reader, token(t, draws[i % DRAWS]));
    }
    double ns = (cpu_ns() - begin) / DRAWS;
    must_be(ok == DRAWS, "warm checks");
    return ns;
}

struct warm_thread {
    struct sp_verifier *v;
    const struct tokens *t;
    const uint32_t *draws;
    size_t from;
    double ns;
    pthread_t thread;
};

static void *warm_run(void *arg) {
    struct warm_thread *w = arg;
    struct sp_verifier_reader *reader = NULL;
    must(sp_verifier_reader_new(w->v, &reader), "reader");
    w->ns = warm_round(w->v, reader, w->t, w->draws, w->from);
    sp_verifier_reader_free(reader);
    return NULL;
}

/* Checks a nanosecond of two threads at once. */
static double two_threads(struct sp_verifier *v, const struct tokens *t, const uint32_t *draws) {
    struct warm_thread w[2];
    double rate = 0;
    for (size_t i = 0; i < SP_ARRAY_LEN(w); i++) {
        w[i] = (struct warm_thread){.v = v, .t = t, .draws = draws, .from = i * (DRAWS / 2)};
        must_be(pthread_create(&w[i].thread, NULL, warm_run, &w[i]) == 0, "thread");
    }
    for (size_t i = 0; i < SP_ARRAY_LEN(w); i++) {
        pthread_join(w[i].thread, NULL);
        rate += 1 / w[i].ns;
    }
    return rate;
}

/* Revocations that arrive meanwhile. */
struct adder {
    struct sp_verifier *v;
    uint64_t next;
    _Atomic bool stop;
    pthread_t thread;
};

static void add_revoked(struct sp_verifier *v, uint64_t i) {
    uint64_t id[2] = {i, 7}; /* none is a token's: those have 0 or 1 here */
    must(sp_revoke_set_add(sp_verifier_revoke_set(v), SP_REVOKE_JTI, SP_SLICE_ARRAY(id), T0 + 900, T0),
         "add");
}

static void *adder_run(void *arg) {
    struct adder *a = arg;
    while (!atomic_load(&a->stop)) {
        for (int i = 0; i < ADDS_PER_S / 1000; i++) add_revoked(a->v, a->next++);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

static double two_threads_beside_adds(struct sp_verifier *v, const struct tokens *t, const uint32_t *draws,
                                      uint64_t *next) {
    struct adder a = {.v = v, .next = *next};
    must_be(pthread_create(&a.thread, NULL, adder_run, &a) == 0, "thread");
    double rate = two_threads(v, t, draws);
    atomic_store(&a.stop, true);
    pthread_join(a.thread, NULL);
    *next = a.next;
    return rate;
}

static void row(const char *label, double ns, double of, double wanted) {
    printf("%-52s %9.1f ns %11.0f /s", label, ns, 1e9 / ns);
    if (of > 0) printf("   %.3f of the floor, wanted %.2f%s", of, wanted, of >= wanted ? "" : "   MISSED");
    printf("\n");
    fflush(stdout);
}
static double least(double a, double b) {
    return a < b ? a : b;
}
static double most(double a, double b) {
    return a > b ? a : b;
}

static void fill(struct sp_verifier *v, struct sp_verifier_reader *reader, const struct tokens *t) {
    double begin = cpu_ns();
    for (size_t i = 0; i < t->n; i++) must_be(check(v, reader, token(t, i)), "first check");
    row("first check of each, HS256, put into the cache", (cpu_ns() - begin) / (double)t->n, 0, 0);
    struct sp_verifier_stats st;
    sp_verifier_stats(v, &st);
    printf("%-52s %9.0f bytes, %zu of %zu tokens\n", "a cached token",
           (double)st.cache.bytes / (double)st.cache.entries, (size_t)st.cache.entries, t->n);
}

static void bench_warm(size_t n, size_t revoked) {
    struct sp_jwk jwk = make_jwk(SP_ALG_HS256);
    struct tokens t = make_tokens(&jwk, SP_ALG_HS256, n);
    uint32_t *draws = make_draws(n);
    printf("%-52s %9zu, %zu distinct, %zu revoked ids\n", "bytes a token", t.bytes, n, revoked);
    struct bare bare = bare_new(&t);
    struct bench b = bench_new(&jwk, n * 1024 + ((size_t)1 << 22));
    struct sp_verifier_reader *reader = NULL;
    must(sp_verifier_reader_new(b.v, &reader), "reader");
    uint64_t next = 0;
    while (next < revoked) add_revoked(b.v, next++);
    fill(b.v, reader, &t);
    double floor_ns = 1e9, warm_ns = 1e9, two = 0, beside = 0;
    for (int i = 0; i < ROUNDS; i++) {
        floor_ns = least(floor_ns, bare_round(&bare, &t, draws));
        warm_ns = least(warm_ns, warm_round(b.v, reader, &t, draws, 0));
        two = most(two, two_threads(b.v, &t, draws));
        beside = most(beside, two_threads_beside_adds(b.v, &t, draws, &next));
    }
    row("bare loop: keyed index, comparison in full", floor_ns, 0, 0);
    row("warm check, zipf 0.99", warm_ns, floor_ns / warm_ns, 0.5);
    row("two threads (of one)", 1 / two, two * warm_ns, 1.8);
    row("two threads, 50,000 revocations/s (of one)", 1 / beside, beside * warm_ns, 1.6);
    sp_verifier_reader_free(reader);
    bench_done(&b);
    sp_jwk_done(&jwk);
    free(draws);
}

/* Cold: against the bare signature check. */

struct signed_text {
    sp_slice input;
    uint8_t sig[SP_SIG_BYTES_MAX];
    size_t sig_n;
};

static struct signed_text text_of(sp_slice t) {
    struct sp_jws jws;
    struct signed_text r;
    must_be(sp_jws_split(t, &jws) == SP_REJECT_NONE, "split");
    r.input = jws.signing_input;
    must(sp_base64url_decode(jws.signature, r.sig, sizeof r.sig, &r.sig_n), "signature");
    return r;
}

/* A key of the library itself, prepared once. */
struct bare_key {
    enum sp_alg alg;
    EVP_PKEY_CTX *ctx;
    uint8_t ed25519[32];
    struct sp_hmac_key hmac;
};

static struct bare_key bare_key_new(const struct sp_jwk *jwk, enum sp_alg alg) {
    struct bare_key k = {.alg = alg};
    struct sp_sig_public pub;
    SP_AUTO(sp_buf) private = SP_BUF_INIT(SP_SIG_PRIVATE_BYTES_MAX);
    must(sp_sig_key_export_private(jwk->key, &private), "export");
    if (alg == SP_ALG_HS256) {
        sp_hmac_key_init(&k.hmac, sp_buf_slice(&private));
    } else if (alg == SP_ALG_EDDSA) {
        must(sp_sig_key_public(jwk->key, &pub), "public");
        memcpy(k.ed25519, pub.x, sizeof k.ed25519);
    } else {
        const uint8_t *at = private.p;
        EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &at, (long)private.n);
        k.ctx = EVP_PKEY_CTX_new(pkey, NULL);
        must_be(EVP_PKEY_verify_init(k.ctx) == 1 && EVP_PKEY_CTX_set_signature_md(k.ctx, EVP_sha256()) == 1,
                "prepare");
        EVP_PKEY_free(pkey);
    }
    return k;
}

/* r and s as ASN.1, done before the clock starts. */
static void to_der(struct signed_text *t) {
    ECDSA_SIG *sig = ECDSA_SIG_new();
    uint8_t *p = t->sig;
    BIGNUM *r = BN_bin2bn(t->sig, 32, NULL), *s = BN_bin2bn(t->sig + 32, 32, NULL);
    must_be(sig != NULL && ECDSA_SIG_set0(sig, r, s) == 1, "signature");
    t->sig_n = (size_t)i2d_ECDSA_SIG(sig, &p);
    ECDSA_SIG_free(sig);
}

static bool bare_verify(const struct bare_key *k, const struct signed_text *t) {
    uint8_t digest[SP_SHA256_BYTES];
    if (k->alg == SP_ALG_EDDSA)
        return crypto_sign_verify_detached(t->sig, t->input.p, t->input.n, k->ed25519) == 0;
    if (k->alg == SP_ALG_HS256) {
        sp_hmac(&k->hmac, t->input, digest);
        return sp_ct_equal(SP_SLICE_ARRAY(digest), sp_slice_of(t->sig, t->sig_n));
    }
    SHA256(t->input.p, t->input.n, digest);
    return EVP_PKEY_verify(k->ctx, t->sig, t->sig_n, digest, sizeof digest) == 1;
}

static double cold_round(struct bench *b, struct sp_verifier_reader *reader, const struct tokens *t,
                         unsigned checks) {
    double begin = cpu_ns();
    for (unsigned i = 0; i < checks; i++) must_be(check(b->v, reader, token(t, i % t->n)), "cold check");
    return (cpu_ns() - begin) / checks;
}
static double bare_sig_round(const struct bare_key *k, const struct signed_text *texts, unsigned checks) {
    double begin = cpu_ns();
    for (unsigned i = 0; i < checks; i++) must_be(bare_verify(k, &texts[i % COLD_TOKENS]), "bare check");
    return (cpu_ns() - begin) / checks;
}

static void bench_cold(enum sp_alg alg, unsigned checks, double wanted) {
    struct sp_jwk jwk = make_jwk(alg);
    struct tokens t = make_tokens(&jwk, alg, COLD_TOKENS);
    struct bench b = bench_new(&jwk, 0);
    struct bare_key k = bare_key_new(&jwk, alg);
    struct signed_text texts[COLD_TOKENS];
    struct sp_verifier_reader *reader = NULL;
    double floor_ns = 1e9, cold_ns = 1e9;
    char label[64];
    must(sp_verifier_reader_new(b.v, &reader), "reader");
    for (size_t i = 0; i < COLD_TOKENS; i++) {
        texts[i] = text_of(token(&t, i));
        if (alg == SP_ALG_ES256) to_der(&texts[i]);
    }
    for (int i = 0; i < 3 * ROUNDS; i++) {
        floor_ns = least(floor_ns, bare_sig_round(&k, texts, checks));
        cold_ns = least(cold_ns, cold_round(&b, reader, &t, checks));
    }
    (void)snprintf(label, sizeof label, "%s: bare signature check (%zu-byte tokens)", sp_alg_name(alg),
                   t.bytes);
    row(label, floor_ns, 0, 0);
    (void)snprintf(label, sizeof label, "%s: cold check", sp_alg_name(alg));
    row(label, cold_ns, floor_ns / cold_ns, wanted);
    EVP_PKEY_CTX_free(k.ctx);
    sp_verifier_reader_free(reader);
    bench_done(&b);
    sp_jwk_done(&jwk);
}

int main(int argc, char **argv) {
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    size_t revoked = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000000;
    must_be(n >= COLD_TOKENS && n <= UINT32_MAX - 1 && sodium_init() >= 0, "start");
    bench_cold(SP_ALG_HS256, 20000, 0.45);
    bench_cold(SP_ALG_ES256, 300, 0.95);
    bench_cold(SP_ALG_RS256, 600, 0.95);
    bench_cold(SP_ALG_EDDSA, 300, 0.95);
    bench_warm(n, revoked);
    return 0;
}
