/* Proofs of possession at our own endpoints: checked by token/dpop.h, remembered here so that none passes
 * twice, and given nonces.
 *
 * What was seen before this start is not remembered, nor what had expired before the clock was set back. So a
 * proof that may be one of those is good only with a nonce, which is of this start and since then. */
#include "core/oauth_internal.h"

sp_status sp_oauth_dpop_open(struct sp_app *app) {
    SP_TRY(sp_dpop_nonces_init(&app->nonces, &app->deps.random));
    return sp_replay_new(SP_REPLAY_ENTRIES_DEFAULT, &app->deps.random, &app->proofs);
}

/* ---- nonces ---- */

static int64_t look_at_clocks(struct sp_app *app) {
    const int64_t boot_ms = sp_clock_boot_ms(&app->deps.clock);
    sp_dpop_nonces_look(&app->nonces, sp_app_now_ms(app), boot_ms);
    return boot_ms;
}

void sp_oauth_dpop_nonce(struct sp_app *app, char ret[SP_DPOP_NONCE_CHARS]) {
    sp_dpop_nonce_make(&app->nonces, look_at_clocks(app), ret);
}

/* ---- one proof ---- */

static struct sp_oauth_trouble trouble_of(enum sp_dpop_fault fault) {
    struct sp_oauth_trouble t = sp_oauth_trouble_of(SP_OAUTH_INVALID_DPOP_PROOF, sp_dpop_fault_doc(fault));
    if (fault == SP_DPOP_NONCE_REQUIRED) {
        t.error = SP_OAUTH_USE_DPOP_NONCE;
        t.wants_nonce = true;
    } else if (fault == SP_DPOP_TABLE_FULL) {
        t.error = SP_OAUTH_TEMPORARILY_UNAVAILABLE;
        t.retry_after_s = 1;
    } else if (fault == SP_DPOP_INTERNAL) {
        t.error = SP_OAUTH_SERVER_ERROR;
    }
    return t;
}

static bool may_be_forgotten(const struct sp_app *app, const struct sp_dpop *proof) {
    return sp_dpop_may_predate(proof, app->started_ms / 1000) ||
           sp_replay_may_have_forgotten(app->proofs, proof->replay_until_ms);
}

/* A nonce that is given must be good; one is needed where the rule says so, and from a proof that may have
 * been used and forgotten. */
static enum sp_dpop_fault judge_nonce(struct sp_app *app, const struct sp_dpop *proof,
                                      enum sp_dpop_nonce_rule rule) {
    if (proof->nonce.p != NULL) {
        const bool good = sp_dpop_nonce_is_good(&app->nonces, look_at_clocks(app), proof->nonce);
        return good ? SP_DPOP_NONE : SP_DPOP_NONCE_REQUIRED;
    }
    const bool demanded = rule == SP_DPOP_NONCE_AS_CONFIGURED && app->config.dpop_nonce;
    return demanded || may_be_forgotten(app, proof) ? SP_DPOP_NONCE_REQUIRED : SP_DPOP_NONE;
}

static enum sp_dpop_fault look(struct sp_app *app, const struct sp_dpop_shown *shown,
                               enum sp_dpop_nonce_rule rule, sp_slice access_token, sp_slice jkt,
                               struct sp_dpop_scratch *scratch, struct sp_oauth_proof *ret) {
    SP_AUTO(sp_buf) url = SP_BUF_INIT(SP_HTU_BYTES_MAX);
    struct sp_dpop proof;
    if (!sp_ok(sp_app_url(app, shown->path, &url))) return SP_DPOP_INTERNAL;
    const sp_slice urls[] = {sp_buf_slice(&url)};
    const struct sp_dpop_expect expect = {.method = shown->method,
                                          .urls = urls,
                                          .urls_n = SP_ARRAY_LEN(urls),
                                          .access_token = access_token,
                                          .jkt = jkt,
                                          .now_s = sp_app_now_ms(app) / 1000};
    enum sp_dpop_fault fault = sp_dpop_check(shown->proof, &expect, scratch, &proof);
    if (fault == SP_DPOP_NONE) fault = judge_nonce(app, &proof, rule);
    if (fault != SP_DPOP_NONE) return fault;
    memcpy(ret->id, proof.id, sizeof(ret->id));
    ret->until_ms = proof.replay_until_ms;
    SP_IGNORE(SP_TEXT_SET(&ret->jkt, SP_SLICE_ARRAY(proof.jkt))); /* fits */
    return SP_DPOP_NONE;
}

struct sp_oauth_trouble sp_oauth_dpop_look(struct sp_app *app, const struct sp_dpop_shown *shown,
                                           enum sp_dpop_nonce_rule rule, sp_slice access_token, sp_slice jkt,
                                           struct sp_oauth_proof *ret) {
    memset(ret, 0, sizeof(*ret));
    if (shown == NULL || shown->proof.p == NULL) return sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
    struct sp_dpop_scratch *scratch = malloc(sizeof(*scratch)); /* 20 KiB: not for every thread's stack */
    if (scratch == NULL) return trouble_of(SP_DPOP_INTERNAL);
    const enum sp_dpop_fault fault = look(app, shown, rule, access_token, jkt, scratch, ret);
    free(scratch); /* proofs are no secrets */
    return fault == SP_DPOP_NONE ? sp_oauth_trouble_of(SP_OAUTH_NONE, NULL) : trouble_of(fault);
}

struct sp_oauth_trouble sp_oauth_dpop_remember(struct sp_app *app, struct sp_oauth_proof *proof) {
    if (proof->jkt.n == 0 || proof->is_remembered) return sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
    switch (sp_replay_add(app->proofs, proof->id, proof->until_ms, sp_app_now_ms(app))) {
    case SP_REPLAY_NEW: proof->is_remembered = true; return sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
    case SP_REPLAY_SEEN: return trouble_of(SP_DPOP_REPLAYED);
    case SP_REPLAY_FULL: break;
    }
    return trouble_of(SP_DPOP_TABLE_FULL);
}

struct sp_oauth_trouble sp_oauth_dpop_check(struct sp_app *app, const struct sp_dpop_shown *shown,
                                            enum sp_dpop_nonce_rule rule, sp_slice access_token, sp_slice jkt,
                                            sp_text64 *ret_jkt) {
    struct sp_oauth_proof proof;
    struct sp_oauth_trouble t = sp_oauth_dpop_look(app, shown, rule, access_token, jkt, &proof);
    if (t.error == SP_OAUTH_NONE) t = sp_oauth_dpop_remember(app, &proof);
    if (t.error == SP_OAUTH_NONE) *ret_jkt = proof.jkt;
    return t;
}

/* ---- resources of our own ---- */

static enum sp_reject refuse(enum sp_reject why, enum sp_oauth_error error, enum sp_dpop_fault fault,
                             struct sp_oauth_trouble *ret_trouble) {
    *ret_trouble = sp_oauth_trouble_of(error, sp_dpop_fault_doc(fault));
    return why;
}

/* A token that is bound is nothing without its proof, and whoever shows a proof for one that is not takes it
 * for another: RFC 9449 section 7.1, 7.2. */
enum sp_reject sp_oauth_dpop_of_token(struct sp_app *app, sp_slice access_token, sp_slice jkt,
                                      bool is_dpop_scheme, const struct sp_dpop_shown *dpop,
                                      struct sp_oauth_trouble *ret_trouble) {
    const bool shown = dpop != NULL && dpop->proof.p != NULL;
    if (!is_dpop_scheme && jkt.n == 0) return SP_REJECT_NONE;
    if (!is_dpop_scheme)
        return refuse(SP_REJECT_PROOF_REQUIRED, SP_OAUTH_INVALID_TOKEN, SP_DPOP_MISSING, ret_trouble);
    if (jkt.n == 0)
        return refuse(SP_REJECT_BAD_PROOF, SP_OAUTH_INVALID_TOKEN, SP_DPOP_UNBOUND_TOKEN, ret_trouble);
    if (!shown)
        return refuse(SP_REJECT_PROOF_REQUIRED, SP_OAUTH_INVALID_DPOP_PROOF, SP_DPOP_MISSING, ret_trouble);
    sp_text64 proved;
    const struct sp_oauth_trouble t =
        sp_oauth_dpop_check(app, dpop, SP_DPOP_NONCE_IF_GIVEN, access_token, jkt, &proved);
    if (t.error == SP_OAUTH_NONE) return SP_REJECT_NONE;
    *ret_trouble = t;
    return t.error == SP_OAUTH_SERVER_ERROR ? SP_REJECT_INTERNAL : SP_REJECT_BAD_PROOF;
}

enum sp_reject sp_app_authenticate_dpop(struct sp_app *app, sp_slice access_token, bool is_dpop_scheme,
                                        const struct sp_dpop_shown *dpop, struct sp_principal *ret,
                                        struct sp_oauth_trouble *ret_trouble) {
    struct sp_principal p;
    SP_CHECK(sp_app_principal(app, access_token, SP_AUTHN_PROOF_BY_CALLER, &p));
    SP_CHECK(
        sp_oauth_dpop_of_token(app, access_token, SP_TEXT_SLICE(&p.jkt), is_dpop_scheme, dpop, ret_trouble));
    *ret = p;
    return SP_REJECT_NONE;
}
