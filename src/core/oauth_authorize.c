/* GET or POST /oauth2/authorize: read the request, find the sign-in, and see what comes next.
 *
 *   parameters, or a sealed request -> sign-in of the cookie -> step -> (consent given before -> step) -> end
 *
 * A request_uri is one of ours: of a pushed request (RFC 9126), or of a request that comes back from the
 * login page, which is the same thing with another seal. Both stand for the whole request, so that of the
 * other parameters only client_id is looked at, as RFC 9126 section 4 wants it. */
#include "core/oauth_browser.h"

static const struct sp_op_kind authorize_kind = {
    .size = sizeof(struct sp_browser_op), .say = sp_browser_op_say, .release = sp_browser_op_release};

/* ---- what comes next ---- */

/* The request comes from a login, without the cookie that went with it: the next login would end in the same
 * way, and so on. */
static bool has_lost_cookie(const struct sp_browser *b) {
    return !b->has_cookie && !sp_row_id_is_none(b->request.signed_in, sizeof(b->request.signed_in));
}

static void act(struct sp_browser_op *op, struct sp_authz_step step) {
    struct sp_browser *b = &op->b;
    switch (step.kind) {
    case SP_STEP_LOGIN:
        b->lost_cookie = has_lost_cookie(b);
        sp_browser_show_login(b);
        return;
    case SP_STEP_CONSENT: sp_browser_show_consent(b); return;
    case SP_STEP_CODE: sp_browser_redirect_code(b); return;
    case SP_STEP_SECOND_FACTOR: /* nobody has one: there is no page for it */
        step.error = SP_OAUTH_UNMET_AUTHENTICATION_REQUIREMENTS;
        break;
    case SP_STEP_ERROR: break;
    }
    sp_browser_redirect_error(b, sp_oauth_trouble_of(step.error, NULL));
}

/* A public client shows nothing, and an address that is not https (an app's own scheme, a port of the
 * loopback) is whoever's took it on that device. So what was allowed once is no answer to the next who asks
 * under this id: that may be another program, and nobody would see it. */
static bool is_anybodys(const struct sp_browser *b) {
    const bool is_web = sp_slice_starts(SP_TEXT_SLICE(&b->request.redirect_uri), SP_SLICE_LIT("https:"));
    return b->client->row.is_public && !is_web;
}

static void consent_read(struct sp_op *base, sp_status status) {
    struct sp_browser_op *op = (struct sp_browser_op *)(void *)base;
    struct sp_browser *b = &op->b;
    struct sp_authz_consent_facts facts = {.is_anybodys = is_anybodys(b),
                                           .wanted = SP_TEXT_SLICE(&b->granted),
                                           .client_created_ms = b->client->row.created_ms};
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(base, status);
        return;
    }
    if (sp_ok(status)) {
        const struct sp_consent_row *row = &base->read.ret.consents[0];
        facts.was_given = true;
        facts.granted_ms = row->granted_ms;
        facts.given = SP_TEXT_SLICE(&row->scopes);
    }
    act(op, sp_authz_step(&b->request, &b->signin, &facts, base->now_ms / 1000));
}

static void read_consent(struct sp_browser_op *op) {
    struct sp_store_read *r = sp_op_read_begin(&op->base, SP_READ_CONSENT);
    r->key = SP_SLICE_ARRAY(op->b.user.id);
    r->after = SP_TEXT_SLICE(&op->b.request.client_id);
    sp_op_read(&op->base, consent_read);
}

/* As if consent were given; only where that is all that would be missing does the store have to be asked. */
static void decide(struct sp_browser_op *op) {
    struct sp_browser *b = &op->b;
    const struct sp_authz_consent_facts facts = {.is_needless = b->client->row.trusted, .just_given = true};
    const struct sp_authz_step step = sp_authz_step(&b->request, &b->signin, &facts, op->base.now_ms / 1000);
    if (step.kind != SP_STEP_CODE) {
        act(op, step);
        return;
    }
    sp_status s = sp_browser_grant(b);
    if (!sp_ok(s)) {
        sp_op_fail(&op->base, s);
    } else if (facts.is_needless) {
        act(op, step);
    } else {
        read_consent(op);
    }
}

/* ---- the request ---- */

/* SP_E_MALFORMED, SP_E_REFUSED: none of ours, expired, or another client's. */
static sp_status unseal(struct sp_browser *b, const struct sp_authz_params *params) {
    const sp_slice prefix = SP_SLICE_LIT(SP_OAUTH_REQUEST_URI_PREFIX);
    const sp_slice uri = params->request_uri;
    const int64_t now_s = b->op->now_ms / 1000;
    const sp_slice sealed = sp_slice_of(uri.p + prefix.n, uri.n - prefix.n);
    sp_status s = sp_unseal_request(b->op->app, SP_SEAL_PUSHED, sealed, now_s, &b->request);
    if (sp_is(s, SP_E_MALFORMED)) s = sp_unseal_request(b->op->app, SP_SEAL_PAGE, sealed, now_s, &b->request);
    SP_TRY(s);
    const bool is_theirs = sp_slice_eq(params->client_id, SP_TEXT_SLICE(&b->request.client_id));
    return is_theirs ? SP_SUCCESS : sp_err(SP_E_REFUSED);
}

/* Page errors, because a request_uri that is none tells no address either. */
static bool open_request_uri(struct sp_browser_op *op, const struct sp_authz_params *params) {
    sp_status s = unseal(&op->b, params);
    if (sp_ok(s)) return sp_browser_accept(&op->b);
    if (sp_is(s, SP_E_NOMEM)) {
        sp_op_fail(&op->base, s);
    } else {
        sp_browser_error(&op->b, SP_OAUTH_INVALID_REQUEST_URI,
                         "request_uri has expired, or is not one that this client was given here");
    }
    return false;
}

static bool take_params(struct sp_browser_op *op, const struct sp_authz_params *params) {
    struct sp_browser *b = &op->b;
    struct sp_authz_checked checked;
    sp_browser_find_client(b, params->client_id);
    const struct sp_authz_facts facts = {.client = b->client, .openid = sp_oauth_has_openid(op->base.app)};
    sp_authz_check(op->base.app, &facts, params, &checked);
    b->request = checked.request;
    b->may_redirect = checked.may_redirect;
    if (checked.trouble.error == SP_OAUTH_NONE) {
        sp_status s = sp_browser_hint_request(op->base.app, params->id_token_hint, &b->request);
        if (!sp_ok(s)) sp_op_fail(&op->base, s);
        return sp_ok(s);
    }
    if (checked.may_redirect) {
        sp_browser_redirect_error(b, checked.trouble);
    } else {
        sp_browser_error(b, checked.trouble.error, checked.trouble.description);
    }
    return false;
}

static bool take_request(struct sp_browser_op *op, const struct sp_authz_params *params) {
    /* Somebody else's is never fetched; whoever sent it is told in the way of all other parameters. */
    if (!sp_slice_starts(params->request_uri, SP_SLICE_LIT(SP_OAUTH_REQUEST_URI_PREFIX)))
        return take_params(op, params);
    const char *fault = NULL;
    if (params->client_id.n == 0) fault = "client_id is missing";
    if (params->request.n != 0) fault = "request and request_uri exclude each other";
    if (fault == NULL) return open_request_uri(op, params);
    sp_browser_error(&op->b, SP_OAUTH_INVALID_REQUEST, fault);
    return false;
}

void sp_oauth_authorize(struct sp_app *app, const struct sp_call *call, const struct sp_authz_params *params,
                        sp_slice cookie, sp_authz_done *done, void *arg) {
    struct sp_browser_op *op = sp_op_new(app, call, &authorize_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    sp_browser_init(&op->b, &op->base);
    if (!take_request(op, params)) return;
    sp_status s = sp_browser_open_cookie(&op->b, cookie);
    if (sp_ok(s)) {
        sp_browser_find_signin(op, decide);
    } else {
        sp_op_fail(&op->base, s);
    }
}
