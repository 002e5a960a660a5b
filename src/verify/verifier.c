/* The verifier. See verifier.h for what it promises.
 *
 * Two halves, as in token/check.h. What depends only on the token's bytes and on the key (form, header,
 * signature, claims) is done once and kept in the cache; what depends on now, on epochs and on revocation is
 * judged on every call, by the same function for a cached token and for a new one, so that the warm path can
 * never be laxer than the cold one. The warm path takes no lock, allocates nothing and parses nothing.
 *
 * Order on the cold path: size, form, header, algorithm, key, signature (sp_check_signature), then as on the
 * warm path: times, issuer, audience, epochs, jti, sid. Nothing of a payload is believed before its
 * signature.
 *
 * Counters belong to readers: one writer each, no line shared between threads; stats adds them up. */
#include "verify/verifier.h"

#include <pthread.h>

struct counters {
    _Atomic uint64_t hits, misses;
    _Atomic uint64_t verdicts[SP_REJECT_COUNT];
};

struct sp_verifier_reader {
    struct sp_verifier *v;
    struct sp_reclaim_reader *seat;
    struct sp_verifier_reader *next;              /* guarded by the verifier's lock */
    struct counters counters;                     /* written by the reader's thread only */
    struct sp_claims claims;                      /* the last that were accepted, */
    sp_slice block;                               /* and what they borrow */
    struct sp_token_facts facts;                  /* the last token that was not in the cache, */
    uint8_t strings[SP_VERIFIER_BLOCK_BYTES_MAX]; /* and its block */
    struct sp_check_memo memo;
    struct sp_check_scratch scratch;
};

struct sp_verifier {
    _Atomic(struct sp_keyset *) keys;
    _Atomic uint32_t closed;
    struct sp_check_policy policy; /* its slices are names below */
    struct sp_reclaim *reclaim;
    struct sp_revoke_set *set;
    struct sp_epochs *epochs;
    struct sp_token_cache *cache; /* NULL: none */
    sp_text256 issuer, audience, typ;
    pthread_mutex_t lock; /* swaps of keys; guards all below */
    struct sp_verifier_reader *readers;
    struct counters gone; /* of readers that have ended */
};

_Static_assert(sizeof(sp_id) == SP_EPOCHS_SUB_BYTES, "epochs are kept by id of user");

/* The reader's thread is the only one that writes, so no read-modify-write is needed. */
static void count(_Atomic uint64_t *c) {
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* A jti of ours by its 16 bytes, any other by its characters. 0: too long to be revoked. */
static uint64_t jti_mark(const struct sp_verifier *v, sp_slice text) {
    sp_id id;
    bool ours = sp_ok(sp_id_parse(text, &id));
    return sp_revoke_set_fingerprint(v->set, SP_REVOKE_JTI, ours ? SP_SLICE_ARRAY(id.b) : text);
}
static uint64_t sid_mark(const struct sp_verifier *v, sp_slice text) {
    sp_sid sid;
    bool ours = sp_ok(sp_sid_parse(text, &sid));
    return sp_revoke_set_fingerprint(v->set, SP_REVOKE_SID, ours ? SP_SLICE_ARRAY(sid.b) : text);
}

/* A token that could not be revoked is refused, whoever signed it. */
static enum sp_reject make_marks(const struct sp_verifier *v, const struct sp_claims *claims,
                                 struct sp_token_marks *ret) {
    struct sp_token_marks m = {0};
    if (sp_subject_of(claims->sub, claims->client_id, &m.sub) == SP_SUBJECT_UNKNOWN)
        return SP_REJECT_BAD_PAYLOAD;
    m.jti = jti_mark(v, claims->jti);
    if (m.jti == 0) return SP_REJECT_BAD_PAYLOAD;
    if (claims->sid.p != NULL && (m.sid = sid_mark(v, claims->sid)) == 0) return SP_REJECT_BAD_PAYLOAD;
    *ret = m;
    return SP_REJECT_NONE;
}

/* Gathers the claims of a new token in the reader's own block. They are never longer than the payload; if
 * they were, the token is refused rather than cut. */
static enum sp_reject gather_claims(struct sp_verifier_reader *r, const struct sp_claims *claims,
                                    sp_slice *ret_block) {
    size_t n = sp_claims_bytes(claims);
    if (n > sizeof r->strings) return SP_REJECT_BAD_PAYLOAD;
    if (!sp_ok(sp_claims_pack(claims, r->strings, &r->facts.claims))) return SP_REJECT_BAD_PAYLOAD;
    *ret_block = sp_slice_of(r->strings, n);
    return SP_REJECT_NONE;
}

/* The cold path: everything that depends only on the bytes, the keys and the policy. */
static enum sp_reject verify_signature(struct sp_verifier *v, struct sp_verifier_reader *r,
                                       const struct sp_keyset *keys, sp_slice token, int64_t now_s,
                                       struct sp_cached_token *ret) {
    struct sp_cached_token new = {.facts = &r->facts};
    struct sp_key_lookup lookup = sp_keyset_lookup(keys);
    struct sp_checked checked;
    SP_CHECK(sp_check_signature_memo(token, &lookup, &v->policy, &r->scratch, &r->memo, &checked));
    r->facts.generation = sp_revoke_set_generation(v->set); /* before the marks are made */
    SP_CHECK(make_marks(v, &checked.claims, &r->facts.marks));
    SP_CHECK(gather_claims(r, &checked.claims, &new.block));
    r->facts.addressee = sp_check_addressee(&checked.claims, &v->policy);
    r->facts.key_identity = sp_keyset_identity(keys, checked.jwk);
    /* A token that expires with this call would only push out others. */
    if (v->cache != NULL && checked.claims.exp > now_s)
        sp_token_cache_insert(v->cache, v->set, token, new.facts, new.block, now_s);
    *ret = new;
    return SP_REJECT_NONE;
}

/* Does what was found out then still hold? The key is still trusted, and the marks are those of this set. */
static bool still_holds(const struct sp_verifier *v, const struct sp_keyset *keys,
                        const struct sp_token_facts *facts) {
    return sp_keyset_has(keys, facts->key_identity) && facts->generation == sp_revoke_set_generation(v->set);
}

/* What is known of the token, from the cache or found out now. */
static enum sp_reject find_facts(struct sp_verifier *v, struct sp_verifier_reader *r, sp_slice token,
                                 int64_t now_s, struct sp_cached_token *ret) {
    const struct sp_keyset *keys = atomic_load_explicit(&v->keys, memory_order_seq_cst);
    if (v->cache != NULL && sp_token_cache_find(v->cache, v->set, token, ret) &&
        still_holds(v, keys, ret->facts)) {
        count(&r->counters.hits);
        return SP_REJECT_NONE;
    }
    count(&r->counters.misses);
    return verify_signature(v, r, keys, token, now_s, ret);
}

static enum sp_reject judge_revocation(const struct sp_verifier *v, const struct sp_token_facts *facts,
                                       int64_t now_s) {
    const struct sp_token_marks *m = &facts->marks;
    sp_slice sub = SP_SLICE_ARRAY(m->sub.b);
    if (sp_epochs_check(v->epochs, sub, facts->claims.epu, facts->claims.epg) != SP_EPOCH_CURRENT)
        return SP_REJECT_REVOKED;
    if (sp_revoke_set_contains_fingerprint(v->set, m->jti, now_s)) return SP_REJECT_REVOKED;
    if (m->sid != 0 && sp_revoke_set_contains_fingerprint(v->set, m->sid, now_s)) return SP_REJECT_REVOKED;
    return SP_REJECT_NONE;
}

/* The time at which a token is judged whose end does not matter: the last second of its life, at most now. */
static int64_t before_end(int64_t exp, int64_t now_s) {
    return exp != SP_CLAIM_NO_DATE && now_s >= exp ? exp - 1 : now_s;
}

/* What is judged afresh, for cached and new tokens alike. */
static enum sp_reject judge(const struct sp_verifier *v, const struct sp_token_facts *facts, unsigned flags,
                            int64_t now_s) {
    const struct sp_claims_packed *c = &facts->claims;
    bool ignore_end = (flags & SP_VERIFY_IGNORE_END) != 0;
    int64_t at = ignore_end ? before_end(c->exp, now_s) : now_s;
    const struct sp_check_times times = {.exp = c->exp, .nbf = c->nbf, .iat = c->iat};
    SP_CHECK(sp_check_times(times, v->policy.leeway_s, at));
    if (facts->addressee != SP_REJECT_BAD_AUDIENCE || (flags & SP_VERIFY_ANY_AUDIENCE) == 0)
        SP_CHECK(facts->addressee); /* the issuer is compared first, so BAD_AUDIENCE says that it is right */
    if (!ignore_end) SP_CHECK(judge_revocation(v, facts, now_s));
    if (sp_claims_packed_has(c, SP_CLAIMS_JKT) && (flags & SP_VERIFY_PROOF_BY_CALLER) == 0)
        return SP_REJECT_PROOF_REQUIRED;
    return SP_REJECT_NONE;
}

static enum sp_reject check(struct sp_verifier *v, struct sp_verifier_reader *r, unsigned flags,
                            sp_slice token, int64_t now_s) {
    /* seq_cst, and read before the sets: who closes because an add failed is seen by every later check. */
    bool closed = atomic_load_explicit(&v->closed, memory_order_seq_cst) != 0;
    if (closed && (flags & SP_VERIFY_IGNORE_END) == 0) return SP_REJECT_STALE;
    struct sp_cached_token found;
    SP_CHECK(find_facts(v, r, token, now_s, &found));
    SP_CHECK(judge(v, found.facts, flags, now_s));
    r->block = found.block;
    sp_claims_unpack(&found.facts->claims, found.block.p, &r->claims);
    return SP_REJECT_NONE;
}

enum sp_reject sp_verifier_check_flags(struct sp_verifier *v, struct sp_verifier_reader *reader,
                                       unsigned flags, sp_slice token, int64_t now_s,
                                       const struct sp_claims **ret_claims) {
    sp_assert(reader->v == v && sp_reclaim_is_inside(reader->seat));
    enum sp_reject verdict = check(v, reader, flags, token, now_s);
    count(&reader->counters.verdicts[verdict]);
    if (ret_claims != NULL) *ret_claims = sp_reject_is_ok(verdict) ? &reader->claims : NULL;
    return verdict;
}

enum sp_reject sp_verifier_check(struct sp_verifier *v, struct sp_verifier_reader *reader, sp_slice token,
                                 int64_t now_s, const struct sp_claims **ret_claims) {
    return sp_verifier_check_flags(v, reader, SP_VERIFY_STRICT, token, now_s, ret_claims);
}

sp_slice sp_verifier_claims_block(const struct sp_verifier_reader *reader) {
    return reader->block;
}

sp_status sp_verifier_set_keys(struct sp_verifier *v, const struct sp_jwk *keys, size_t n) {
    struct sp_keyset *next = NULL;
    pthread_mutex_lock(&v->lock); /* so that `prev` is still the current one when it is replaced */
    struct sp_keyset *prev = atomic_load_explicit(&v->keys, memory_order_relaxed);
    sp_status st = sp_keyset_new(keys, n, prev, &next);
    if (sp_ok(st)) atomic_store_explicit(&v->keys, next, memory_order_seq_cst); /* publishes the set */
    pthread_mutex_unlock(&v->lock);
    if (sp_ok(st)) sp_keyset_retire(prev, v->reclaim);
    return st;
}

struct sp_revoke_set *sp_verifier_revoke_set(struct sp_verifier *v) {
    return v->set;
}
struct sp_epochs *sp_verifier_epochs(struct sp_verifier *v) {
    return v->epochs;
}

void sp_verifier_tick(struct sp_verifier *v, int64_t now_s) {
    sp_revoke_set_expire(v->set, now_s);
    sp_epochs_expire(v->epochs, now_s);
    (void)sp_reclaim_collect(v->reclaim);
}

void sp_verifier_close(struct sp_verifier *v) {
    atomic_fetch_add_explicit(&v->closed, 1, memory_order_seq_cst);
}
void sp_verifier_open(struct sp_verifier *v) {
    uint32_t before = atomic_fetch_sub_explicit(&v->closed, 1, memory_order_seq_cst);
    sp_assert(before != 0);
}
bool sp_verifier_is_open(const struct sp_verifier *v) {
    return atomic_load_explicit(&v->closed, memory_order_seq_cst) == 0;
}

sp_status sp_verifier_reader_new(struct sp_verifier *v, struct sp_verifier_reader **ret) {
    struct sp_verifier_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return sp_err(SP_E_NOMEM);
    sp_status st = sp_reclaim_reader_join(v->reclaim, &r->seat);
    if (!sp_ok(st)) {
        free(r);
        return st;
    }
    r->v = v;
    pthread_mutex_lock(&v->lock);
    r->next = v->readers;
    v->readers = r;
    pthread_mutex_unlock(&v->lock);
    *ret = r;
    return SP_SUCCESS;
}

static void add_counters(struct counters *to, struct counters *from) {
    atomic_fetch_add_explicit(&to->hits, atomic_load_explicit(&from->hits, memory_order_relaxed),
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&to->misses, atomic_load_explicit(&from->misses, memory_order_relaxed),
                              memory_order_relaxed);
    for (size_t i = 0; i < SP_REJECT_COUNT; i++)
        atomic_fetch_add_explicit(&to->verdicts[i],
                                  atomic_load_explicit(&from->verdicts[i], memory_order_relaxed),
                                  memory_order_relaxed);
}

void sp_verifier_reader_free(struct sp_verifier_reader *reader) {
    if (reader == NULL) return;
    struct sp_verifier *v = reader->v;
    pthread_mutex_lock(&v->lock);
    struct sp_verifier_reader **at = &v->readers;
    while (*at != reader) at = &(*at)->next;
    *at = reader->next;
    add_counters(&v->gone, &reader->counters);
    pthread_mutex_unlock(&v->lock);
    sp_reclaim_reader_leave(v->reclaim, reader->seat);
    sp_free_wiped(reader, sizeof *reader); /* held decoded tokens */
}

void sp_verifier_enter(struct sp_verifier_reader *reader) {
    sp_reclaim_enter(reader->seat);
}
void sp_verifier_exit(struct sp_verifier_reader *reader) {
    sp_reclaim_exit(reader->seat);
}

void sp_verifier_stats(struct sp_verifier *v, struct sp_verifier_stats *ret) {
    struct counters sum = {0};
    pthread_mutex_lock(&v->lock);
    add_counters(&sum, &v->gone);
    for (struct sp_verifier_reader *r = v->readers; r != NULL; r = r->next) add_counters(&sum, &r->counters);
    pthread_mutex_unlock(&v->lock);
    *ret = (struct sp_verifier_stats){.hits = sum.hits, .misses = sum.misses};
    for (size_t i = 0; i < SP_REJECT_COUNT; i++) ret->verdicts[i] = sum.verdicts[i];
    if (v->cache != NULL) sp_token_cache_stats(v->cache, &ret->cache);
}

static sp_status set_policy(struct sp_verifier *v, const struct sp_verifier_opts *opts) {
    if (opts->issuer.n == 0 || opts->audience.n == 0) return sp_err(SP_E_MALFORMED); /* "not checked" */
    if (opts->leeway_s > SP_CHECK_LEEWAY_MAX_S) return sp_err(SP_E_LIMIT);
    SP_TRY(SP_TEXT_SET(&v->issuer, opts->issuer));
    SP_TRY(SP_TEXT_SET(&v->audience, opts->audience));
    SP_TRY(SP_TEXT_SET(&v->typ, opts->typ));
    v->policy =
        sp_check_policy_access_token(SP_TEXT_SLICE(&v->issuer), SP_TEXT_SLICE(&v->audience), opts->alg_mask);
    if (opts->typ.n != 0) v->policy.typ = SP_TEXT_SLICE(&v->typ);
    v->policy.leeway_s = opts->leeway_s;
    return SP_SUCCESS;
}

static sp_status set_tables(struct sp_verifier *v, const struct sp_verifier_opts *opts) {
    struct sp_keyset *none;
    SP_TRY(sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = opts->reclaim, .random = opts->random},
                             &v->set));
    SP_TRY(sp_epochs_new(&(struct sp_epochs_opts){.reclaim = opts->reclaim, .random = opts->random},
                         &v->epochs));
    if (opts->cache_bytes != 0)
        SP_TRY(sp_token_cache_new(opts->cache_bytes, opts->reclaim, opts->random, &v->cache));
    SP_TRY(sp_keyset_new(NULL, 0, NULL, &none));
    atomic_init(&v->keys, none);
    return SP_SUCCESS;
}

sp_status sp_verifier_new(const struct sp_verifier_opts *opts, struct sp_verifier **ret) {
    SP_AUTO_FREE(sp_verifier) v = calloc(1, sizeof *v);
    if (v == NULL) return sp_err(SP_E_NOMEM);
    pthread_mutex_init(&v->lock, NULL);
    v->reclaim = opts->reclaim;
    SP_TRY(set_policy(v, opts));
    SP_TRY(set_tables(v, opts));
    *ret = sp_steal(&v);
    return SP_SUCCESS;
}

void sp_verifier_free(struct sp_verifier *v) {
    if (v == NULL) return;
    sp_assert(v->readers == NULL);
    sp_token_cache_free(v->cache);
    sp_keyset_free(atomic_load_explicit(&v->keys, memory_order_relaxed));
    sp_epochs_free(v->epochs);
    sp_revoke_set_free(v->set);
    pthread_mutex_destroy(&v->lock);
    free(v);
}
