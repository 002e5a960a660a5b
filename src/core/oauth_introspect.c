/* POST /oauth2/introspect (RFC 7662): what is this token worth now? For resources that cannot check tokens
 * themselves, and for tokens that nobody can check, as refresh tokens are.
 *
 *   an access token   the verifier, then the user's name
 *   a refresh token   its session, as the machine would decide a refresh at this moment; nothing changes
 *
 * A stranger's token, a broken one and one that is over are all told as inactive (RFC 7662 section 2.2), and
 * so is one that is none of the asking client's business. */
#include "core/oauth_internal.h"

#include "core/tripwire.h"
#include "token/ids.h"

struct introspect_op {
    struct sp_op base;
    const struct sp_client *client;
    struct sp_refresh_token token;
    struct sp_session_row session; /* of a refresh token */
    struct sp_meta_row meta;
    enum sp_proof proof;

    bool active, is_refresh, has_user, has_session;
    uint8_t user_id[SP_ROW_ID_BYTES];
    /* What is told: the texts that result slices borrow. */
    char sub_text[SP_ID_CHARS], jti_text[SP_ID_CHARS], sid_text[SP_SID_CHARS];
    sp_text128 client_id;
    sp_text256 username, aud;
    sp_text512 scope;
    sp_text64 jkt, acr, amr;
    int64_t exp_s, iat_s, auth_time_s;
};

static struct introspect_op *introspect_of(struct sp_op *op) {
    return (struct introspect_op *)(void *)op;
}

static void fill(const struct introspect_op *op, struct sp_oauth_introspection *ret) {
    ret->active = true;
    ret->is_refresh_token = op->is_refresh;
    ret->client_id = SP_TEXT_SLICE(&op->client_id);
    ret->sub = op->has_user ? SP_SLICE_ARRAY(op->sub_text) : ret->client_id;
    ret->username = SP_TEXT_SLICE(&op->username);
    ret->scope = SP_TEXT_SLICE(&op->scope);
    if (!op->is_refresh) ret->jti = SP_SLICE_ARRAY(op->jti_text);
    if (op->has_session) ret->sid = SP_SLICE_ARRAY(op->sid_text);
    ret->jkt = SP_TEXT_SLICE(&op->jkt);
    ret->acr = SP_TEXT_SLICE(&op->acr);
    ret->amr = SP_TEXT_SLICE(&op->amr);
    ret->aud = SP_TEXT_SLICE(&op->aud);
    ret->exp_s = op->exp_s;
    ret->iat_s = op->iat_s;
    ret->auth_time_s = op->auth_time_s;
}

static void introspect_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_oauth_introspection result = {.trouble = sp_oauth_trouble_told(base, outcome)};
    if (base != NULL && outcome == SP_OUTCOME_OK && introspect_of(base)->active)
        fill(introspect_of(base), &result);
    ((sp_oauth_introspect_done *)done)(arg, &result);
}
static void introspect_release(struct sp_op *op) {
    sp_client_release(introspect_of(op)->client);
}
static const struct sp_op_kind kind = {
    .size = sizeof(struct introspect_op), .say = introspect_say, .release = introspect_release};

static void tell_inactive(struct introspect_op *op) {
    op->active = false;
    sp_op_finish(&op->base, SP_OUTCOME_OK);
}

static void tell_active(struct introspect_op *op) {
    op->active = true;
    sp_op_finish(&op->base, SP_OUTCOME_OK);
}

/* ---- whose it is ---- */

/* The verifier knows of a disabled user by the epoch, which is raised with it; whose refresh token it is
 * says only the row. */
static void user_read(struct sp_op *base, sp_status status) {
    struct introspect_op *op = introspect_of(base);
    const bool gone = sp_is(status, SP_E_NOT_FOUND);
    if (!sp_ok(status) && !gone) {
        sp_op_fail(base, status);
    } else if (gone || base->read.ret.users[0].disabled) {
        tell_inactive(op);
    } else {
        op->username = base->read.ret.users[0].display;
        tell_active(op);
    }
}

static void read_user(struct introspect_op *op) {
    sp_id user;
    memcpy(user.b, op->user_id, sizeof(user.b));
    sp_id_text(user, op->sub_text);
    op->has_user = true;
    sp_op_read_begin(&op->base, SP_READ_USER_BY_ID)->key = SP_SLICE_ARRAY(op->user_id);
    sp_op_read(&op->base, user_read);
}

/* ---- an access token ---- */

/* The caller's, or for a resource that is the caller's. */
static bool is_for_caller(const struct introspect_op *op, const struct sp_claims *c) {
    struct sp_strings rest = c->aud;
    sp_slice aud;
    if (sp_slice_eq(c->client_id, SP_TEXT_SLICE(&op->client->row.id))) return true;
    while (sp_strings_next(&rest, &aud)) {
        if (sp_words_contain(SP_TEXT_SLICE(&op->client->row.audiences), aud)) return true;
    }
    return false;
}

/* False: it has an audience that does not fit, and so is none that we have made. */
static bool take_audience(struct introspect_op *op, struct sp_strings list) {
    sp_slice aud;
    while (sp_strings_next(&list, &aud)) {
        if (!sp_ok(SP_OAUTH_WORDS_ADD(&op->aud, aud))) return false;
    }
    return true;
}

static bool take_texts(struct introspect_op *op, const struct sp_claims *c) {
    return take_audience(op, c->aud) && sp_ok(SP_TEXT_SET(&op->client_id, c->client_id)) &&
           sp_ok(SP_TEXT_SET(&op->scope, c->scope)) && sp_ok(SP_TEXT_SET(&op->jkt, c->jkt)) &&
           sp_ok(SP_TEXT_SET(&op->acr, c->acr)) && sp_ok(SP_TEXT_SET(&op->amr, c->amr));
}

static bool take_ids(struct introspect_op *op, const struct sp_claims *c) {
    sp_id subject;
    const enum sp_subject whose = sp_subject_of(c->sub, c->client_id, &subject);
    op->has_user = whose == SP_SUBJECT_USER;
    op->has_session = c->sid.n == sizeof(op->sid_text);
    if (whose == SP_SUBJECT_UNKNOWN || c->jti.n != sizeof(op->jti_text)) return false;
    memcpy(op->user_id, subject.b, sizeof(op->user_id));
    memcpy(op->jti_text, c->jti.p, sizeof(op->jti_text));
    if (op->has_session) memcpy(op->sid_text, c->sid.p, sizeof(op->sid_text));
    return true;
}

static bool take_claims(struct introspect_op *op, const struct sp_claims *c) {
    if (!is_for_caller(op, c) || !take_ids(op, c) || !take_texts(op, c)) return false;
    op->exp_s = c->exp;
    op->iat_s = c->iat;
    op->auth_time_s = c->auth_time != SP_CLAIM_NO_DATE ? c->auth_time : 0;
    return true;
}

static void introspect_access(struct introspect_op *op, sp_slice token) {
    struct sp_app *app = op->base.app;
    const struct sp_authn *authn = &app->deps.authn;
    struct sp_claims claims;
    const enum sp_reject verdict = authn->check(authn->arg, token, sp_app_now_ms(app),
                                                SP_AUTHN_PROOF_BY_CALLER | SP_AUTHN_ANY_AUDIENCE, &claims);
    const struct sp_oauth_trouble t = sp_oauth_trouble_of_reject(verdict);
    if (!sp_reject_is_ok(verdict) && t.error != SP_OAUTH_INVALID_TOKEN) {
        sp_oauth_refuse_as(&op->base, t); /* "inactive" would be untrue, and a resource may remember it */
        return;
    }
    const bool taken = sp_reject_is_ok(verdict) && take_claims(op, &claims);
    if (sp_reject_is_ok(verdict)) authn->release(authn->arg);
    if (!taken) {
        tell_inactive(op);
    } else if (op->has_user) {
        read_user(op);
    } else {
        tell_active(op);
    }
}

/* ---- a refresh token ---- */

static void take_session(struct introspect_op *op) {
    const struct sp_session_row *row = &op->session;
    const int64_t end_ms =
        row->idle_expires_ms < row->absolute_expires_ms ? row->idle_expires_ms : row->absolute_expires_ms;
    op->is_refresh = op->has_session = true;
    sp_sid_text(op->token.sid, op->sid_text);
    memcpy(op->user_id, row->user_id, sizeof(op->user_id));
    op->client_id = row->client_id;
    op->aud = row->aud;
    op->scope = row->scope;
    op->jkt = row->jkt;
    op->acr = row->acr;
    op->amr = row->amr;
    op->exp_s = end_ms / 1000;
    op->iat_s = (row->rotated_ms[0] != 0 ? row->rotated_ms[0] : row->created_ms) / 1000;
    op->auth_time_s = row->auth_time_s;
}

/* As a refresh with it would be decided now: asked, and not carried out. */
static bool would_refresh(const struct introspect_op *op) {
    struct sp_app *app = op->base.app;
    const struct sp_session_policy policy = sp_app_policy(app, &op->meta);
    const struct sp_refresh_event event = {
        .proof = op->proof, .generation = op->token.generation, .same_client = true};
    const enum sp_session_action action =
        sp_session_step(&op->session, &event, sp_app_now_ms(app), &policy).action;
    return action == SP_ACT_ROTATE || action == SP_ACT_SAME || action == SP_ACT_SUCCESSOR ||
           action == SP_ACT_HEAL;
}

static void judge(struct introspect_op *op) {
    if (!would_refresh(op)) {
        tell_inactive(op);
        return;
    }
    take_session(op);
    read_user(op);
}

static sp_status prove(struct sp_op *base) {
    struct introspect_op *op = introspect_of(base);
    op->proof = sp_app_refresh_prove(base->app, &op->session, &op->token);
    return SP_SUCCESS;
}

static void proved(struct sp_op *base, sp_status status) {
    if (sp_ok(status)) {
        judge(introspect_of(base));
    } else {
        sp_op_fail(base, status);
    }
}

static bool is_own_session(const struct introspect_op *op) {
    return op->session.mode == SP_MODE_TOKEN && !sp_client_inherits(op->client, &op->session) &&
           sp_slice_eq(SP_TEXT_SLICE(&op->session.client_id), SP_TEXT_SLICE(&op->client->row.id));
}

static void session_read(struct sp_op *base, sp_status status) {
    struct introspect_op *op = introspect_of(base);
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(base, status);
        return;
    }
    if (sp_ok(status)) op->session = base->read.ret.sessions[0];
    if (!sp_ok(status) || !is_own_session(op) || !sp_ok(sp_session_row_check(&op->session))) {
        tell_inactive(op);
    } else {
        sp_op_proof(base, sp_tripwire_is_long(&op->session, &op->token), prove, proved);
    }
}

static void meta_read(struct sp_op *base, sp_status status) {
    struct introspect_op *op = introspect_of(base);
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->meta = base->read.ret.meta;
    sp_op_read_begin(base, SP_READ_SESSION)->key = SP_SLICE_ARRAY(op->token.sid.b);
    sp_op_read(base, session_read);
}

/* ---- which of them ---- */

static void begin(struct introspect_op *op, sp_slice token) {
    if (sp_ok(sp_app_refresh_parse(op->base.app, token, &op->token))) {
        sp_op_read_begin(&op->base, SP_READ_META);
        sp_op_read(&op->base, meta_read);
    } else {
        introspect_access(op, token);
    }
}

void sp_oauth_introspect(struct sp_app *app, const struct sp_call *call,
                         const struct sp_oauth_about_request *in, sp_oauth_introspect_done *done, void *arg) {
    struct introspect_op *op = sp_op_new(app, call, &kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    const struct sp_oauth_trouble t =
        sp_client_authenticate(app, call, &in->client, SP_SLICE_LIT("/oauth2/introspect"), &op->client);
    if (t.error != SP_OAUTH_NONE) {
        sp_oauth_refuse_as(&op->base, t);
    } else if (op->client->row.is_public) { /* whoever found a token could ask: RFC 7662 section 2.1 */
        sp_oauth_refuse(&op->base, SP_OAUTH_UNAUTHORIZED_CLIENT, "not for public clients");
    } else if (in->token.n == 0) {
        sp_oauth_refuse(&op->base, SP_OAUTH_INVALID_REQUEST, "token is missing");
    } else {
        sp_audit_actor_client(SP_TEXT_SLICE(&op->client->row.id), &op->base.actor);
        begin(op, in->token);
    }
}
