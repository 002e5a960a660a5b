/* POST /oauth2/par (RFC 9126): the client authenticates itself, the request is checked as it would be at the
 * authorization endpoint, and its sealed text is the request_uri.
 *
 * No store: the text is all there is. So it is not for one use only (the RFC says SHOULD, with reloading in
 * mind), but for 90 seconds and for one client; what it leads to is a page, and codes are for one use. */
#include "core/oauth_browser.h"

struct par_op {
    struct sp_op base;
    const struct sp_client *client;
    struct sp_authz_checked checked;
    struct sp_buf request_uri;
};

static void par_release(struct sp_op *base) {
    struct par_op *op = (struct par_op *)(void *)base;
    sp_client_release(op->client);
    sp_buf_done(&op->request_uri);
}

static void par_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    const struct par_op *op = (const struct par_op *)(const void *)base;
    struct sp_oauth_par_result result = {.trouble = sp_oauth_trouble_told(base, outcome)};
    if (outcome == SP_OUTCOME_OK) {
        result.request_uri = sp_buf_slice(&op->request_uri);
        result.expires_in_s = SP_OAUTH_PAR_TTL_S;
    }
    ((sp_oauth_par_done *)done)(arg, &result);
}
static const struct sp_op_kind par_kind = {
    .size = sizeof(struct par_op), .say = par_say, .release = par_release};

/* The key that the code will be bound to: of the proof, or named; both must agree (RFC 9449 10.1).
 *
 * A public client is whoever says so, and strangers must not fill the table that all proofs need. So its
 * proof is not spent: who shows a copy of it gets what is good with a key that he does not have. */
static struct sp_oauth_trouble bind_key(struct par_op *op, const struct sp_dpop_shown *dpop) {
    sp_text64 *jkt = &op->checked.request.jkt;
    struct sp_oauth_proof proof;
    struct sp_oauth_trouble t = sp_oauth_dpop_look(op->base.app, dpop, SP_DPOP_NONCE_AS_CONFIGURED,
                                                   SP_SLICE_EMPTY, SP_SLICE_EMPTY, &proof);
    if (t.error != SP_OAUTH_NONE || proof.jkt.n == 0) return t;
    if (jkt->n != 0 && !sp_slice_eq(SP_TEXT_SLICE(jkt), SP_TEXT_SLICE(&proof.jkt)))
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_DPOP_PROOF, "the proof is by another key than dpop_jkt");
    *jkt = proof.jkt;
    return op->client->row.is_public ? t : sp_oauth_dpop_remember(op->base.app, &proof);
}

static struct sp_oauth_trouble check(struct par_op *op, const struct sp_oauth_par_request *in) {
    const struct sp_authz_params *p = &in->params;
    const struct sp_authz_facts facts = {
        .client = op->client, .openid = sp_oauth_has_openid(op->base.app), .pushed = true};
    if (p->request_uri.n != 0)
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_REQUEST, "request_uri cannot be pushed");
    if (p->client_id.n != 0 && !sp_slice_eq(p->client_id, SP_TEXT_SLICE(&op->client->row.id)))
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_REQUEST, "client_id is another client's");
    sp_authz_check(op->base.app, &facts, p, &op->checked);
    if (op->checked.trouble.error != SP_OAUTH_NONE) return op->checked.trouble;
    return bind_key(op, &in->dpop); /* last: a good proof is good once */
}

static sp_status seal(struct par_op *op, sp_slice id_token_hint) {
    struct sp_authz_request *request = &op->checked.request;
    SP_TRY(sp_browser_hint_request(op->base.app, id_token_hint, request));
    request->is_pushed = true;
    request->expires_s = op->base.now_ms / 1000 + SP_OAUTH_PAR_TTL_S;
    SP_TRY(sp_buf_append_cstr(&op->request_uri, SP_OAUTH_REQUEST_URI_PREFIX));
    return sp_seal_request(op->base.app, SP_SEAL_PUSHED, request, &op->request_uri);
}

void sp_oauth_par(struct sp_app *app, const struct sp_call *call, const struct sp_oauth_par_request *in,
                  sp_oauth_par_done *done, void *arg) {
    struct par_op *op = sp_op_new(app, call, &par_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    sp_buf_init(&op->request_uri, sizeof(SP_OAUTH_REQUEST_URI_PREFIX) + SP_OAUTH_SEALED_BYTES_MAX);
    struct sp_oauth_trouble t =
        sp_client_authenticate(app, call, &in->client, SP_SLICE_LIT("/oauth2/par"), &op->client);
    if (t.error == SP_OAUTH_NONE) t = check(op, in);
    if (t.error != SP_OAUTH_NONE) {
        sp_oauth_refuse_as(&op->base, t);
        return;
    }
    sp_status s = seal(op, in->params.id_token_hint);
    if (sp_ok(s)) {
        sp_op_finish(&op->base, SP_OUTCOME_OK);
    } else {
        sp_op_fail(&op->base, s);
    }
}
