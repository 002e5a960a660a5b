/* POST of the consent page: the person allows the client what the page has shown, or does not.
 *
 * The form brings the request back, sealed, with a CSRF token that is bound to it and to the sign-in. Then
 * everything is looked at anew, as if the request had just come, only that consent is no question any more.
 * When something else has become one (the sign-in ended, another person signed in, it is too old by now, the
 * person's roles are others than when the page was made, so that it did not say what would be granted),
 * nothing is decided here: the way leads back to /oauth2/authorize, which shows what is due. The same for a
 * token that does not fit, because another tab may have signed in meanwhile; what that redirect can do, any
 * link can.
 *
 * What is remembered is what was given, together with what had been given before, if that still counts. */
#include "core/oauth_browser.h"

struct consent_op {
    struct sp_browser_op browser;
    bool csrf_is_good;
    bool allowed;
    struct sp_consent_row row;
};
static const struct sp_op_kind consent_kind = {
    .size = sizeof(struct consent_op), .say = sp_browser_op_say, .release = sp_browser_op_release};

static struct consent_op *consent_of(struct sp_op *op) {
    return (struct consent_op *)(void *)op;
}

/* ---- what goes on record ---- */

static struct sp_audit_event event_of(struct consent_op *op, enum sp_audit_action action,
                                      enum sp_audit_outcome outcome, sp_text64 *user,
                                      struct sp_log_field detail[2]) {
    struct sp_browser *b = &op->browser.b;
    sp_audit_actor_user(b->user.id, user);
    detail[0] = SP_LOGF_TEXT("client", SP_TEXT_SLICE(&b->request.client_id));
    detail[1] = SP_LOGF_TEXT("scope", SP_TEXT_SLICE(&b->granted));
    return (struct sp_audit_event){.action = action,
                                   .outcome = outcome,
                                   .target = SP_TEXT_SLICE(user),
                                   .sid = b->session.sid,
                                   .detail = detail,
                                   .detail_n = 2};
}

/* ---- no ---- */

static void deny(struct consent_op *op) {
    sp_text64 user;
    struct sp_log_field detail[2];
    const struct sp_audit_event event = event_of(op, SP_AUDIT_CONSENT_DENIED, SP_AUDIT_DENIED, &user, detail);
    sp_op_audit_coalesced(&op->browser.base, &event);
    sp_browser_redirect_error(&op->browser.b,
                              sp_oauth_trouble_of(SP_OAUTH_ACCESS_DENIED, "the person did not allow it"));
}

/* ---- yes ---- */

static void consented(struct sp_op *base, sp_status status) {
    struct consent_op *op = consent_of(base);
    if (sp_ok(status)) {
        sp_browser_redirect_code(&op->browser.b);
    } else if (sp_is(status, SP_E_CONFLICT)) { /* the user or the client is not what it was a moment ago */
        sp_browser_redirect_self(&op->browser.b);
    } else {
        sp_op_fail(base, status);
    }
}

static sp_status changes(struct consent_op *op) {
    struct sp_op *base = &op->browser.base;
    struct sp_browser *b = &op->browser.b;
    sp_text64 user;
    struct sp_log_field detail[2];
    sp_op_reset(base);
    sp_op_change(base, SP_CHANGE_USER_EXPECT)->user_expect =
        (struct sp_user_expect){.tenant = SP_TENANT_DEFAULT,
                                .id = op->row.user_id,
                                .expect_version = SP_VERSION_ANY,
                                .ret_user = &b->user};
    sp_op_change(base, SP_CHANGE_CLIENT_EXPECT)->client_expect =
        (struct sp_client_expect){.tenant = SP_TENANT_DEFAULT,
                                  .id = SP_TEXT_SLICE(&op->row.client_id),
                                  .expect_version = SP_VERSION_ANY};
    sp_op_change(base, SP_CHANGE_CONSENT_PUT)->consent_put.row = &op->row;
    const struct sp_audit_event event = event_of(op, SP_AUDIT_CONSENT_GIVEN, SP_AUDIT_OK, &user, detail);
    return sp_op_audit(base, &event);
}

/* What was given before counts unless it was for a client that had this id earlier. It is dropped when both
 * together are more than a row holds: then the person is asked again, which is no harm. */
static void remember(struct consent_op *op, const struct sp_consent_row *before) {
    const struct sp_browser *b = &op->browser.b;
    op->row = (struct sp_consent_row){.tenant = SP_TENANT_DEFAULT,
                                      .client_id = b->request.client_id,
                                      .granted_ms = op->browser.base.now_ms};
    memcpy(op->row.user_id, b->user.id, sizeof(op->row.user_id));
    SP_IGNORE(SP_TEXT_SET(&op->row.scopes, SP_TEXT_SLICE(&b->granted))); /* half as long as the room */
    if (before == NULL || before->granted_ms < b->client->row.created_ms) return;
    const sp_text1024 alone = op->row.scopes;
    sp_slice rest = SP_TEXT_SLICE(&before->scopes), word;
    while (sp_words_next(&rest, &word)) {
        if (sp_words_contain(SP_TEXT_SLICE(&op->row.scopes), word)) continue;
        if (sp_ok(SP_OAUTH_WORDS_ADD(&op->row.scopes, word))) continue;
        op->row.scopes = alone;
        return;
    }
}

static void before_read(struct sp_op *base, sp_status status) {
    struct consent_op *op = consent_of(base);
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(base, status);
        return;
    }
    remember(op, sp_ok(status) ? &base->read.ret.consents[0] : NULL);
    sp_status built = changes(op);
    if (sp_ok(built)) {
        sp_op_commit(base, consented);
    } else {
        sp_op_fail(base, built);
    }
}

static void allow(struct consent_op *op) {
    struct sp_store_read *r = sp_op_read_begin(&op->browser.base, SP_READ_CONSENT);
    r->key = SP_SLICE_ARRAY(op->browser.b.user.id);
    r->after = SP_TEXT_SLICE(&op->browser.b.request.client_id);
    sp_op_read(&op->browser.base, before_read);
}

/* ---- the way there ---- */

/* What would be granted is what the page has said. */
static bool was_shown(const struct sp_browser *b) {
    uint8_t hash[SP_SHA256_BYTES];
    sp_sha256(SP_TEXT_SLICE(&b->granted), hash);
    return memcmp(hash, b->request.shown, sizeof(hash)) == 0; /* public */
}

static void decide(struct sp_browser_op *browser) {
    struct consent_op *op = consent_of(&browser->base);
    struct sp_browser *b = &browser->b;
    const struct sp_authz_consent_facts given = {.just_given = true};
    const struct sp_authz_step step =
        sp_authz_step(&b->request, &b->signin, &given, browser->base.now_ms / 1000);
    if (!op->csrf_is_good || step.kind != SP_STEP_CODE) {
        sp_browser_redirect_self(b);
        return;
    }
    sp_status s = sp_browser_grant(b);
    if (!sp_ok(s)) {
        sp_op_fail(&browser->base, s);
    } else if (!was_shown(b)) {
        sp_browser_redirect_self(b);
    } else if (op->allowed) {
        allow(op);
    } else {
        deny(op);
    }
}

void sp_oauth_consent(struct sp_app *app, const struct sp_call *call, const struct sp_authz_consent *in,
                      sp_authz_done *done, void *arg) {
    struct consent_op *op = sp_op_new(app, call, &consent_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    struct sp_browser *b = &op->browser.b;
    sp_browser_init(b, &op->browser.base);
    op->allowed = in->allowed;
    if (!sp_browser_open(b, SP_SEAL_PAGE, in->request)) return;
    sp_status s = sp_browser_open_cookie(b, in->cookie);
    if (!sp_ok(s)) {
        sp_op_fail(&op->browser.base, s);
        return;
    }
    op->csrf_is_good = b->has_cookie && sp_browser_csrf_valid(app, b->cookie.sid, in->request, in->csrf);
    sp_browser_find_signin(&op->browser, decide);
}
