/* POST /oauth2/token: which client, may it have this grant, and then the grant's own file.
 *
 *   authenticate -> require_dpop -> grant_type -> allowed for this client -> oauth_grant_*.c
 *
 * Whoever is not a client of ours learns nothing about grants, codes or tokens. */
#include "core/oauth_internal.h"

#include "core/client_options.h"

/* ---- the answer ---- */

static void fill(const struct sp_tokens_op *op, struct sp_oauth_tokens_result *ret) {
    ret->access_token = sp_buf_slice(&op->access);
    ret->id_token = sp_buf_slice(&op->id_token);
    if (op->gives_refresh) ret->refresh_token = SP_SLICE_ARRAY(op->refresh_text);
    ret->scope = SP_TEXT_SLICE(&op->scope);
    ret->is_dpop = op->jkt.n != 0;
    ret->expires_in_s = op->access_exp_s - op->base.now_ms / 1000;
}

void sp_oauth_tokens_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_oauth_tokens_result result = {.trouble = sp_oauth_trouble_told(base, outcome)};
    if (base != NULL && outcome == SP_OUTCOME_OK) {
        fill((const struct sp_tokens_op *)(const void *)base, &result);
    }
    ((sp_oauth_tokens_done *)done)(arg, &result);
}

/* ---- grants ---- */

void *sp_oauth_grant_op(struct sp_app *app, const struct sp_oauth_grant *g, const struct sp_op_kind *kind) {
    struct sp_tokens_op *op = sp_op_new(app, g->call, kind, (sp_any_done *)g->done, g->arg);
    if (op == NULL) {
        sp_client_release(g->client);
        return NULL;
    }
    sp_tokens_init(op);
    op->client = g->client;
    if (op->client != NULL) sp_audit_actor_client(SP_TEXT_SLICE(&op->client->row.id), &op->base.actor);
    return op;
}

typedef void grant_fn(struct sp_app *app, const struct sp_oauth_grant *g);
static const struct {
    const char *name;
    grant_fn *go;
} grants[] = {
    {SP_GRANT_AUTHORIZATION_CODE, sp_oauth_grant_code},
    {SP_GRANT_REFRESH_TOKEN, sp_oauth_grant_refresh},
    {SP_GRANT_CLIENT_CREDENTIALS, sp_oauth_grant_client},
};

static grant_fn *grant_of(sp_slice name) {
    for (size_t i = 0; i < SP_ARRAY_LEN(grants); i++) {
        if (sp_slice_eq_cstr(name, grants[i].name)) return grants[i].go;
    }
    return NULL;
}

static void refuse(struct sp_app *app, const struct sp_oauth_grant *g, struct sp_oauth_trouble trouble) {
    static const struct sp_op_kind kind = {
        .size = sizeof(struct sp_tokens_op), .say = sp_oauth_tokens_say, .release = sp_tokens_release};
    struct sp_tokens_op *op = sp_oauth_grant_op(app, g, &kind);
    if (op != NULL) sp_oauth_refuse_as(&op->base, trouble);
}

/* NONE, or why this client may not have this grant. */
static struct sp_oauth_trouble judge(const struct sp_client *client,
                                     const struct sp_oauth_token_request *in) {
    if (in->grant_type.n == 0) return sp_oauth_trouble_of(SP_OAUTH_INVALID_REQUEST, "grant_type is missing");
    if (grant_of(in->grant_type) == NULL)
        return sp_oauth_trouble_of(SP_OAUTH_UNSUPPORTED_GRANT_TYPE,
                                   "supported are authorization_code, refresh_token and client_credentials");
    if (!sp_client_may_grant(client, in->grant_type))
        return sp_oauth_trouble_of(SP_OAUTH_UNAUTHORIZED_CLIENT, "the client may not use this grant_type");
    if (client->row.require_dpop && in->dpop.proof.p == NULL)
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_DPOP_PROOF, "this client must show a DPoP proof");
    if (in->n_resources > SP_OAUTH_RESOURCES_MAX)
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_TARGET, "too many resources");
    return sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
}

void sp_oauth_token(struct sp_app *app, const struct sp_call *call, const struct sp_oauth_token_request *in,
                    sp_oauth_tokens_done *done, void *arg) {
    struct sp_oauth_grant g = {.call = call, .in = in, .done = done, .arg = arg};
    struct sp_oauth_trouble t =
        sp_client_authenticate(app, call, &in->client, SP_SLICE_LIT("/oauth2/token"), &g.client);
    if (t.error == SP_OAUTH_NONE) t = judge(g.client, in);
    if (t.error == SP_OAUTH_NONE) {
        grant_of(in->grant_type)(app, &g);
    } else {
        refuse(app, &g, t);
    }
}
