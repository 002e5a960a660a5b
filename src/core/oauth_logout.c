/* GET or POST /oauth2/logout (OpenID Connect RP-Initiated Logout 1.0): a client sends the browser here to be
 * signed out.
 *
 *   id_token_hint of the person who is signed in     the sign-in ends, with all that came from it
 *   ... while nobody is signed in                    the session that the hint names ends, if it is there
 *   ... of somebody else, or no hint that is ours    the person is asked
 *   the page's answer                                the sign-in ends
 *
 * A hint is an id_token, which clients hold and log; so the worst that one can do is to end what it was
 * issued for. A session with offline_access outlives a logout, as it was asked for by name: it is ended by
 * its client (/oauth2/revoke), from the list of sessions, or by taking the consent back.
 *
 * From here the browser goes to an address that the client has registered for it, or nowhere: whatever else
 * was asked for, the person is told on a page that it is done. */
#include "core/oauth_browser.h"

#include "core/oauth_redirect.h"

struct end_op {
    struct sp_browser_op browser;
    bool confirmed, has_hint;
    struct sp_hint hint;
};
static const struct sp_op_kind end_kind = {
    .size = sizeof(struct end_op), .say = sp_browser_op_say, .release = sp_browser_op_release};

static struct end_op *end_of(struct sp_op *op) {
    return (struct end_op *)(void *)op;
}

/* ---- where to, then ---- */

/* The request in hand is only that address (redirect_uri) and state; empty: nowhere. */
static sp_status build_leave(struct sp_browser *b) {
    const sp_slice uri = SP_TEXT_SLICE(&b->request.redirect_uri), state = SP_TEXT_SLICE(&b->request.state);
    b->expires_cookie = true;
    b->next = SP_AUTHZ_GOODBYE;
    if (uri.n == 0) return SP_SUCCESS;
    sp_buf_clear(&b->location);
    SP_TRY(sp_redirect_begin(uri, &b->location));
    if (state.n != 0) SP_TRY(sp_redirect_param(&b->location, "state", state));
    b->next = SP_AUTHZ_REDIRECT;
    return SP_SUCCESS;
}

static void leave(struct sp_browser *b) {
    sp_status s = build_leave(b);
    if (sp_ok(s)) {
        sp_op_finish(b->op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(b->op, s);
    }
}

static bool is_registered(const struct sp_client *client, sp_slice uri) {
    return client != NULL && !client->row.disabled && sp_redirect_target_valid(uri) &&
           sp_client_has_post_logout_uri(client, uri);
}

/* An address that is not the client's, or a state that is none, is passed over: the person wants to be out.
 */
static void take_place(struct sp_browser *b, const struct sp_authz_logout *in) {
    const sp_slice uri = in->post_logout_redirect_uri;
    if (uri.n == 0 || !is_registered(b->client, uri)) return;
    if (!sp_ok(SP_TEXT_SET(&b->request.redirect_uri, uri))) return;
    SP_IGNORE(SP_TEXT_SET(&b->request.state, in->state)); /* too long: left out */
}

/* ---- ending ---- */

static void ended(struct sp_op *base, sp_status status) {
    struct end_op *op = end_of(base);
    if (sp_ok(status) || sp_is(status, SP_E_CONFLICT)) { /* it was over already */
        leave(&op->browser.b);
    } else {
        sp_op_fail(base, status);
    }
}

static sp_status changes(struct end_op *op, const uint8_t *sid, const uint8_t *user_id) {
    struct sp_op *base = &op->browser.base;
    sp_text64 target;
    const struct sp_log_field detail[] = {
        SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->browser.b.request.client_id))};
    sp_op_change(base, SP_CHANGE_SESSION_END)->session_end =
        (struct sp_session_end){.tenant = SP_TENANT_DEFAULT,
                                .sid = sid,
                                .user_id = user_id,
                                .expect_generation = SP_GENERATION_ANY,
                                .state = SP_SESSION_ENDED,
                                .cause = SP_END_LOGOUT,
                                .now_ms = base->now_ms};
    sp_audit_actor_user(user_id, &target);
    sp_op_actor_user(base, user_id);
    return sp_op_audit(base, &(struct sp_audit_event){.action = SP_AUDIT_LOGOUT,
                                                      .outcome = SP_AUDIT_OK,
                                                      .target = SP_TEXT_SLICE(&target),
                                                      .sid = sid,
                                                      .detail = detail,
                                                      .detail_n = detail[0].text.n != 0 ? 1 : 0});
}

static void end(struct end_op *op, const uint8_t *sid, const uint8_t *user_id) {
    sp_status built = changes(op, sid, user_id);
    if (sp_ok(built)) {
        sp_op_commit(&op->browser.base, ended);
    } else {
        sp_op_fail(&op->browser.base, built);
    }
}

static void hinted_read(struct sp_op *base, sp_status status) {
    struct end_op *op = end_of(base);
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(base, status);
        return;
    }
    const struct sp_session_row *row = sp_ok(status) ? &base->read.ret.sessions[0] : NULL;
    const bool is_theirs = row != NULL && row->state == SP_SESSION_ACTIVE && !row->offline &&
                           memcmp(row->user_id, op->hint.user_id, sizeof(row->user_id)) == 0 &&
                           sp_slice_eq(SP_TEXT_SLICE(&row->client_id), SP_TEXT_SLICE(&op->hint.client_id));
    if (is_theirs) {
        end(op, op->hint.sid, op->hint.user_id);
    } else {
        leave(&op->browser.b);
    }
}

static void end_hinted(struct end_op *op) {
    struct sp_store_read *r = sp_op_read_begin(&op->browser.base, SP_READ_SESSION);
    r->key = SP_SLICE_ARRAY(op->hint.sid);
    sp_op_read(&op->browser.base, hinted_read);
}

/* ---- asking ---- */

static sp_status build_question(struct sp_browser *b) {
    b->request.expires_s = b->op->now_ms / 1000 + SP_OAUTH_PAGE_TTL_S;
    SP_TRY(sp_seal_request(b->op->app, SP_SEAL_LOGOUT, &b->request, &b->sealed));
    sp_browser_csrf_token(b->op->app, b->signin.sid, sp_buf_slice(&b->sealed), b->csrf);
    b->has_csrf = true;
    b->username = b->user.display;
    b->next = SP_AUTHZ_LOGOUT;
    return SP_SUCCESS;
}

static void ask(struct sp_browser *b) {
    sp_buf_clear(&b->sealed);
    sp_status s = build_question(b);
    if (sp_ok(s)) {
        sp_op_finish(b->op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(b->op, s);
    }
}

/* ---- the way there ---- */

static void decide(struct sp_browser_op *browser) {
    struct end_op *op = end_of(&browser->base);
    struct sp_browser *b = &browser->b;
    const bool is_the_persons =
        op->has_hint && memcmp(op->hint.user_id, b->signin.user_id, sizeof(op->hint.user_id)) == 0;
    if (!b->signin.is_on) {
        if (op->has_hint && op->hint.has_sid) {
            end_hinted(op);
        } else {
            leave(b);
        }
    } else if (op->confirmed || is_the_persons) {
        end(op, b->signin.sid, b->signin.user_id);
    } else {
        ask(b);
    }
}

/* The page's answer. One that does not fit (its sign-in is another by now, or it has expired) is no answer:
 * the person is asked again. */
static sp_status take_answer(struct end_op *op, const struct sp_authz_logout *in) {
    struct sp_browser *b = &op->browser.b;
    struct sp_authz_request request;
    sp_status s = sp_unseal_request(op->browser.base.app, SP_SEAL_LOGOUT, in->request,
                                    op->browser.base.now_ms / 1000, &request);
    if (sp_is(s, SP_E_NOMEM)) return s;
    if (!sp_ok(s)) return SP_SUCCESS;
    b->request = request;
    sp_browser_find_client(b, SP_TEXT_SLICE(&request.client_id));
    if (!is_registered(b->client, SP_TEXT_SLICE(&request.redirect_uri))) b->request.redirect_uri.n = 0;
    op->confirmed =
        b->has_cookie && sp_browser_csrf_valid(op->browser.base.app, b->cookie.sid, in->request, in->csrf);
    return SP_SUCCESS;
}

static sp_status take_question(struct end_op *op, const struct sp_authz_logout *in) {
    struct sp_browser *b = &op->browser.b;
    sp_slice client_id = in->client_id;
    if (in->id_token_hint.n != 0) {
        sp_status s = sp_browser_hint(op->browser.base.app, in->id_token_hint, client_id, &op->hint);
        if (!sp_ok(s) && !sp_is(s, SP_E_REFUSED)) return s;
        op->has_hint = sp_ok(s);
    }
    if (op->has_hint) client_id = SP_TEXT_SLICE(&op->hint.client_id);
    sp_browser_find_client(b, client_id);
    if (b->client == NULL) return SP_SUCCESS;
    b->request.client_id = b->client->row.id;
    take_place(b, in);
    return SP_SUCCESS;
}

void sp_oauth_logout(struct sp_app *app, const struct sp_call *call, const struct sp_authz_logout *in,
                     sp_authz_done *done, void *arg) {
    struct end_op *op = sp_op_new(app, call, &end_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    struct sp_browser *b = &op->browser.b;
    sp_browser_init(b, &op->browser.base);
    sp_status s = sp_browser_open_cookie(b, in->cookie);
    if (sp_ok(s)) s = in->confirmed ? take_answer(op, in) : take_question(op, in);
    if (sp_ok(s)) {
        sp_browser_find_signin(&op->browser, decide);
    } else {
        sp_op_fail(&op->browser.base, s);
    }
}
