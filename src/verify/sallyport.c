/* libsallyport: verifying. The header is the contract; verifier.h does the work, freshness.h proves that it
 * is up to date, and this joins the two:
 *
 *   what is proved is read, then the token is looked up, then the clock is read.
 *
 * A proof of possession comes last, when the token is good in every other respect: only then is its key one
 * that the issuer knows, and the place that it takes among those that were seen paid for with a token.
 *
 * A verdict of "not good" stands without any proof, since more revocations never make a token good; but for
 * one that may come from not knowing: an unknown key is a stale answer, when we are stale. */
#include "verify/handle.h"

#include "token/ids.h"
#include "token/permission.h"

_Static_assert(SP_TOKEN_TEXT_BYTES >= SP_VERIFIER_BLOCK_BYTES_MAX, "claims fit");

/* ---- copying claims out ---- */

static struct sp_string string_of(sp_slice s) {
    return (struct sp_string){.p = (const char *)s.p, .n = s.n};
}
static bool has_space(sp_slice s) {
    return s.n != 0 && memchr(s.p, ' ', s.n) != NULL;
}

/* In place: a list of words is shorter than the packed list that it is made from. */
static struct sp_string audience_words(struct sp_strings aud, char *text) {
    if (aud.bytes.p == NULL) return (struct sp_string){NULL, 0};
    char *begin = text + ((const char *)aud.bytes.p - text), *at = begin;
    sp_slice each;
    while (sp_strings_next(&aud, &each)) {
        if (has_space(each) || each.n == 0) continue;
        if (at != begin) *at++ = ' ';
        memmove(at, each.p, each.n);
        at += each.n;
    }
    return (struct sp_string){.p = begin, .n = (size_t)(at - begin)};
}

static void copy_claims(struct sallyport *sp, const struct sp_claims *from, sp_slice block,
                        struct sp_token *to) {
    struct sp_claims c = *from;
    if (block.n != 0) memcpy(to->text, block.p, block.n);
    sp_claims_rebase(&c, block, (const uint8_t *)to->text);
    to->text_bytes = block.n;
    to->owner = sp;
    to->is_stale = 0;
    to->subject = string_of(c.sub);
    to->session = string_of(c.sid);
    to->id = string_of(c.jti);
    to->client_id = string_of(c.client_id);
    to->issuer = string_of(c.iss);
    to->audience = audience_words(c.aud, to->text);
    to->scope = string_of(c.scope);
    to->roles = string_of(c.roles);
    to->permissions = string_of(c.permissions);
    to->amr = string_of(c.amr);
    to->acr = string_of(c.acr);
    to->key = string_of(c.jkt);
    sp_id id;
    to->is_client = sp_slice_eq(c.sub, c.client_id) &&
                    sp_subject_of(c.sub, c.client_id, &id) == SP_SUBJECT_CLIENT; /* seldom even asked */
    to->issued_at = c.iat;
    to->expires_at = c.exp;
    to->authenticated_at = c.auth_time;
}

/* ---- proofs ---- */

static _Thread_local enum sp_dpop_fault proof_fault = SP_DPOP_NONE;

const char *sp_proof_fault(void) {
    return sp_dpop_fault_code(proof_fault);
}
const char *sp_proof_fault_text(void) {
    return sp_dpop_fault_doc(proof_fault);
}

const char *sp_dpop_nonce(const struct sallyport *sp, char ret[SP_DPOP_NONCE_BYTES]) {
    _Static_assert(SP_DPOP_NONCE_BYTES == SP_DPOP_NONCE_CHARS + 1, "a nonce and its NUL");
    sp_dpop_nonce_make(&sp->proofs.nonces, sp_clock_boot_ms(&sp_clock_system), ret);
    ret[SP_DPOP_NONCE_CHARS] = 0;
    return ret;
}

/* One call of sp_verify. */
struct call {
    struct sallyport *sp;
    struct sp_seat *seat;
    const struct sp_request *request;
    sp_slice token;
    struct sp_token *ret; /* may be NULL */
};

/* RFC 9449 section 7.1: a token that is bound to no key is none for the scheme DPoP, else the proof would
 * look as if it protected something. */
static enum sp_dpop_fault check_proof(const struct call *call, const struct sp_claims *claims,
                                      int64_t wall_ms) {
    const struct sp_request *r = call->request;
    const sp_slice url = sp_slice_cstr(r->url);
    const struct sp_dpop_expect expect = {.method = sp_slice_cstr(r->method),
                                          .urls = &url,
                                          .urls_n = 1,
                                          .access_token = call->token,
                                          .jkt = claims->jkt,
                                          .now_s = wall_ms / 1000,
                                          .keys = &call->seat->dpop_keys};
    if (claims->jkt.p == NULL) return SP_DPOP_UNBOUND_TOKEN;
    return sp_proofs_check(&call->sp->proofs, sp_slice_cstr(r->proof), &expect, wall_ms,
                           sp_clock_boot_ms(&sp_clock_system), &call->seat->dpop);
}

/* ---- verdicts ---- */

static unsigned flags_of(const struct sp_request *request) {
    return request->scheme == SP_SCHEME_DPOP ? SP_VERIFY_PROOF_BY_CALLER : SP_VERIFY_STRICT;
}

/* The token is good; what is left is the proof. Inside enter/exit. */
static enum sp_verdict accept(const struct call *call, const struct sp_claims *claims, int64_t wall_ms,
                              bool is_fresh) {
    if (call->request->scheme == SP_SCHEME_DPOP) {
        proof_fault = check_proof(call, claims, wall_ms);
        if (proof_fault != SP_DPOP_NONE) return sp_verdict_of_proof(proof_fault);
    }
    if (call->ret == NULL) return SP_ACCEPTED;
    copy_claims(call->sp, claims, sp_verifier_claims_block(call->seat->reader), call->ret);
    call->ret->is_stale = !is_fresh;
    return SP_ACCEPTED;
}

/* Inside enter/exit. */
static enum sp_verdict check_unfollowed(const struct call *call) {
    const struct sp_claims *c = NULL;
    int64_t wall_ms = sp_clock_wall_ms(&sp_clock_system);
    enum sp_verdict v = sp_verdict_of(sp_verifier_check_flags(
        call->sp->verifier, call->seat->reader, flags_of(call->request), call->token, wall_ms / 1000, &c));
    return v == SP_ACCEPTED ? accept(call, c, wall_ms, true) : v;
}

static enum sp_verdict check_followed(const struct call *call) {
    struct sallyport *sp = call->sp;
    const struct sp_claims *c = NULL;
    struct sp_freshness_seen seen = sp_freshness_before(&sp->freshness);
    enum sp_verdict v = sp_verdict_of(sp_verifier_check_flags(
        sp->verifier, call->seat->reader, flags_of(call->request), call->token, seen.wall_ms / 1000, &c));
    bool is_fresh = sp_freshness_after(&sp->freshness, &seen) == SP_FRESH;
    if (!is_fresh && !sp->accepts_unproven && (v == SP_ACCEPTED || v == SP_UNKNOWN_KEY)) return SP_STALE;
    return v == SP_ACCEPTED ? accept(call, c, seen.wall_ms, is_fresh) : v;
}

static enum sp_verdict check(const struct call *call) {
    sp_verifier_enter(call->seat->reader);
    enum sp_verdict v = call->sp->is_followed ? check_followed(call) : check_unfollowed(call);
    sp_verifier_exit(call->seat->reader);
    return v;
}

static void count(struct sp_seat *seat, enum sp_verdict v) {
    sp_seat_count(seat, v == SP_ACCEPTED ? SP_SEAT_ACCEPTED : SP_SEAT_REFUSED);
    if (v == SP_REVOKED) sp_seat_count(seat, SP_SEAT_REVOKED);
    if (v == SP_STALE) sp_seat_count(seat, SP_SEAT_STALE);
}

static bool is_complete(const struct sp_request *r) {
    if (r->size != sizeof *r || r->token == NULL) return false;
    if (r->scheme == SP_SCHEME_BEARER) return true;
    return r->scheme == SP_SCHEME_DPOP && r->method != NULL && r->url != NULL;
}

enum sp_verdict sp_verify(struct sallyport *sp, const struct sp_request *request, struct sp_token *claims) {
    proof_fault = SP_DPOP_NONE;
    if (sp == NULL || request == NULL || !is_complete(request)) return SP_BAD_REQUEST;
    if (sp_seats_are_a_childs(&sp->seats)) return SP_CLOSED;
    struct sp_seat *seat = sp_seats_mine(&sp->seats);
    if (seat == NULL) return SP_NO_MEMORY;
    const struct call call = {.sp = sp,
                              .seat = seat,
                              .request = request,
                              .token = sp_slice_of(request->token, request->token_bytes),
                              .ret = claims};
    enum sp_verdict v = check(&call);
    count(seat, v);
    return v;
}

static sp_slice slice_of(struct sp_string s) {
    return sp_slice_of(s.p, s.n);
}

int sp_permits(const struct sp_token *claims, const char *permission) {
    if (claims == NULL || claims->owner == NULL || permission == NULL) return 0;
    struct sallyport *sp = claims->owner;
    sp_slice wanted = sp_slice_cstr(permission);
    const struct sp_permission_limit limit = {.scope = slice_of(claims->scope),
                                              .is_client = claims->is_client != 0};
    if (sp_seats_are_a_childs(&sp->seats)) return 0;
    if (!sp->is_followed) return sp_permissions_permit(slice_of(claims->permissions), limit, wanted);
    struct sp_seat *seat = sp_seats_mine(&sp->seats);
    if (seat == NULL) return 0;
    sp_verifier_enter(seat->reader);
    bool permits = sp_role_table_permits(&sp->roles, slice_of(claims->roles), limit, wanted);
    sp_verifier_exit(seat->reader);
    return permits;
}

/* ---- looking inside ---- */

static enum sp_state state_of(struct sallyport *sp, uint64_t *ret_staleness_ms) {
    *ret_staleness_ms = 0;
    if (!sp->is_followed) return SP_STATE_UNFOLLOWED;
    enum sp_freshness_verdict v = sp_freshness_now(&sp->freshness, ret_staleness_ms);
    if (v == SP_FRESH && sp_verifier_is_open(sp->verifier)) return SP_STATE_FRESH;
    return sp_freshness_ever(&sp->freshness) ? SP_STATE_STALE : SP_STATE_CONNECTING;
}

static uint64_t sum_of(const struct sp_follower *f, const enum sp_follower_count *which, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += sp_follower_counted(f, which[i]);
    return sum;
}
#define SUM_OF(f, ...)                                                                                       \
    sum_of((f), (const enum sp_follower_count[]){__VA_ARGS__},                                               \
           sizeof((const enum sp_follower_count[]){__VA_ARGS__}) / sizeof(enum sp_follower_count))

static void add_feed(const struct sp_follower *f, struct sp_stats *s) {
    s->seq = sp_follower_seq(f);
    s->connects = sp_follower_counted(f, SP_FOLLOWER_CONNECT);
    s->snapshots = sp_follower_counted(f, SP_FOLLOWER_SNAPSHOT);
    s->beats = sp_follower_counted(f, SP_FOLLOWER_BEAT);
    s->nonces = sp_follower_counted(f, SP_FOLLOWER_NONCE);
    s->acks = sp_follower_counted(f, SP_FOLLOWER_ACK);
    s->gaps = SUM_OF(f, SP_FOLLOWER_GAP, SP_FOLLOWER_ROLLBACK);
    s->bad_signatures = SUM_OF(f, SP_FOLLOWER_BAD_SIGNATURE, SP_FOLLOWER_UNKNOWN_KEY, SP_FOLLOWER_UNTRUSTED,
                               SP_FOLLOWER_WRONG_ISSUER, SP_FOLLOWER_WRONG_DIGEST, SP_FOLLOWER_OLD_DOCUMENT,
                               SP_FOLLOWER_FOREIGN);
    s->resets = SUM_OF(f, SP_FOLLOWER_RESET, SP_FOLLOWER_NEW_EPOCH);
    s->silences = SUM_OF(f, SP_FOLLOWER_SILENCE, SP_FOLLOWER_TIMEOUT);
    s->clock_jumps = sp_follower_counted(f, SP_FOLLOWER_CLOCK_JUMP);
    s->errors = SUM_OF(f, SP_FOLLOWER_LOST, SP_FOLLOWER_FAILURE, SP_FOLLOWER_DENIED, SP_FOLLOWER_MALFORMED,
                       SP_FOLLOWER_NO_MEMORY, SP_FOLLOWER_NO_RANDOM);
}

static void add_verifier(struct sallyport *sp, struct sp_stats *s) {
    struct sp_verifier_stats v;
    struct sp_revoke_set_stats r;
    uint64_t counts[SP_SEAT_COUNTS];
    sp_verifier_stats(sp->verifier, &v);
    sp_revoke_set_stats(sp_verifier_revoke_set(sp->verifier), &r);
    sp_seats_sum(&sp->seats, counts);
    s->accepted = counts[SP_SEAT_ACCEPTED];
    s->refused = counts[SP_SEAT_REFUSED];
    s->revoked = counts[SP_SEAT_REVOKED];
    s->stale = counts[SP_SEAT_STALE];
    s->cache_hits = v.hits;
    s->cache_misses = v.misses;
    s->cache_entries = v.cache.entries;
    s->cache_bytes = v.cache.bytes;
    s->revocations = r.entries;
    s->revocation_bytes = r.bytes;
}

/* A caller that was compiled with an older header has a shorter struct. Without a handle, and in a child of
 * fork, nothing is known. */
void sp_stats_get(struct sallyport *sp, struct sp_stats *ret_stats) {
    struct sp_stats s = {.size = ret_stats->size};
    size_t n = ret_stats->size < sizeof s ? ret_stats->size : sizeof s;
    if (n < offsetof(struct sp_stats, staleness_ms)) return;
    if (sp == NULL || sp_seats_are_a_childs(&sp->seats)) {
        s.state = SP_STATE_STALE;
        s.staleness_ms = UINT64_MAX;
    } else {
        s.state = state_of(sp, &s.staleness_ms);
        add_verifier(sp, &s);
        if (sp->follower != NULL) add_feed(sp->follower, &s);
    }
    memcpy(ret_stats, &s, n);
}
