/* libsallyport: verifying. The header is the contract; verifier.h does the work, freshness.h proves that it
 * is up to date, and this joins the two:
 *
 *   what is proved is read, then the token is looked up, then the clock is read.
 *
 * A verdict of "not good" stands without any proof, since more revocations never make a token good; but for
 * one that may come from not knowing: an unknown key is a stale answer, when we are stale. */
#include "verify/handle.h"

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
    to->issued_at = c.iat;
    to->expires_at = c.exp;
    to->authenticated_at = c.auth_time;
}

/* ---- verdicts ---- */

/* Inside enter/exit. */
static enum sp_verdict check_unfollowed(struct sallyport *sp, struct sp_seat *seat, sp_slice token,
                                        struct sp_token *claims) {
    const struct sp_claims *c = NULL;
    int64_t now_s = sp_clock_wall_ms(&sp_clock_system) / 1000;
    enum sp_reject r = sp_verifier_check(sp->verifier, seat->reader, token, now_s, &c);
    if (c != NULL && claims != NULL) copy_claims(sp, c, sp_verifier_claims_block(seat->reader), claims);
    return sp_verdict_of(r);
}

static enum sp_verdict check_followed(struct sallyport *sp, struct sp_seat *seat, sp_slice token,
                                      struct sp_token *claims) {
    const struct sp_claims *c = NULL;
    struct sp_freshness_seen seen = sp_freshness_before(&sp->freshness);
    enum sp_reject r = sp_verifier_check(sp->verifier, seat->reader, token, seen.wall_ms / 1000, &c);
    enum sp_verdict v = sp_verdict_of(r);
    bool is_fresh = sp_freshness_after(&sp->freshness, &seen) == SP_FRESH;
    if (!is_fresh && !sp->accepts_unproven && (v == SP_ACCEPTED || v == SP_UNKNOWN_KEY)) return SP_STALE;
    if (v != SP_ACCEPTED || claims == NULL) return v;
    copy_claims(sp, c, sp_verifier_claims_block(seat->reader), claims);
    claims->is_stale = !is_fresh;
    return v;
}

static enum sp_verdict check_bearer(struct sallyport *sp, struct sp_seat *seat, sp_slice token,
                                    struct sp_token *claims) {
    sp_verifier_enter(seat->reader);
    enum sp_verdict v =
        sp->is_followed ? check_followed(sp, seat, token, claims) : check_unfollowed(sp, seat, token, claims);
    sp_verifier_exit(seat->reader);
    return v;
}

static void count(struct sp_seat *seat, enum sp_verdict v) {
    sp_seat_count(seat, v == SP_ACCEPTED ? SP_SEAT_ACCEPTED : SP_SEAT_REFUSED);
    if (v == SP_REVOKED) sp_seat_count(seat, SP_SEAT_REVOKED);
    if (v == SP_STALE) sp_seat_count(seat, SP_SEAT_STALE);
}

enum sp_verdict sp_verify(struct sallyport *sp, const struct sp_request *request, struct sp_token *claims) {
    if (sp == NULL || request == NULL || request->size != sizeof *request || request->token == NULL)
        return SP_BAD_REQUEST;
    if (request->scheme != SP_SCHEME_BEARER && request->scheme != SP_SCHEME_DPOP) return SP_BAD_REQUEST;
    if (sp_seats_are_a_childs(&sp->seats)) return SP_CLOSED;
    struct sp_seat *seat = sp_seats_mine(&sp->seats);
    if (seat == NULL) return SP_NO_MEMORY;
    enum sp_verdict v =
        request->scheme == SP_SCHEME_DPOP
            ? SP_BAD_PROOF
            : check_bearer(sp, seat, sp_slice_of(request->token, request->token_bytes), claims);
    count(seat, v);
    return v;
}

int sp_permits(const struct sp_token *claims, const char *permission) {
    if (claims == NULL || claims->owner == NULL || permission == NULL) return 0;
    struct sallyport *sp = claims->owner;
    sp_slice wanted = sp_slice_cstr(permission);
    if (sp_seats_are_a_childs(&sp->seats)) return 0;
    if (!sp->is_followed)
        return sp_permissions_grant(sp_slice_of(claims->permissions.p, claims->permissions.n), wanted);
    struct sp_seat *seat = sp_seats_mine(&sp->seats);
    if (seat == NULL) return 0;
    sp_verifier_enter(seat->reader);
    bool grants = sp_role_table_grants(&sp->roles, sp_slice_of(claims->roles.p, claims->roles.n), wanted);
    sp_verifier_exit(seat->reader);
    return grants;
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
                               SP_FOLLOWER_WRONG_ISSUER, SP_FOLLOWER_WRONG_DIGEST, SP_FOLLOWER_FOREIGN);
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

/* A caller that was compiled with an older header has a shorter struct. */
void sp_stats_get(struct sallyport *sp, struct sp_stats *ret_stats) {
    struct sp_stats s = {.size = ret_stats->size};
    size_t n = ret_stats->size < sizeof s ? ret_stats->size : sizeof s;
    if (n < offsetof(struct sp_stats, staleness_ms)) return;
    if (sp_seats_are_a_childs(&sp->seats)) {
        s.state = SP_STATE_STALE;
        s.staleness_ms = UINT64_MAX;
    } else {
        s.state = state_of(sp, &s.staleness_ms);
        add_verifier(sp, &s);
        if (sp->follower != NULL) add_feed(sp->follower, &s);
    }
    memcpy(ret_stats, &s, n);
}
