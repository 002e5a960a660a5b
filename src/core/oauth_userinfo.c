/* /oauth2/userinfo (OpenID Connect Core section 5.3): who is it, for whoever has an access token with
 * `openid`.
 *
 * Of any audience: the token shows that a person let a client know who they are, whatever else it is for. */
#include "core/oauth_internal.h"

#include "token/ids.h"

struct userinfo_op {
    struct sp_op base;
    struct sp_principal who;
    char sub[SP_ID_CHARS];
    sp_text256 name;
};

static struct userinfo_op *userinfo_of(struct sp_op *op) {
    return (struct userinfo_op *)(void *)op;
}

static void userinfo_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_oauth_userinfo result = {.trouble = sp_oauth_trouble_told(base, outcome)};
    if (base != NULL && outcome == SP_OUTCOME_OK) {
        const struct userinfo_op *op = userinfo_of(base);
        result.sub = SP_SLICE_ARRAY(op->sub);
        result.preferred_username = result.name = SP_TEXT_SLICE(&op->name);
    }
    ((sp_oauth_userinfo_done *)done)(arg, &result);
}
static const struct sp_op_kind kind = {.size = sizeof(struct userinfo_op), .say = userinfo_say};

static bool has_scope(const struct sp_principal *p, sp_slice word) {
    return p->has_scope && sp_words_contain(SP_TEXT_SLICE(&p->scope), word);
}

static void user_read(struct sp_op *base, sp_status status) {
    struct userinfo_op *op = userinfo_of(base);
    const bool gone = sp_is(status, SP_E_NOT_FOUND);
    if (!sp_ok(status) && !gone) {
        sp_op_fail(base, status);
        return;
    }
    if (gone || base->read.ret.users[0].disabled) {
        sp_op_finish(base, SP_OUTCOME_INVALID_TOKEN);
        return;
    }
    if (has_scope(&op->who, SP_SLICE_LIT("profile"))) op->name = base->read.ret.users[0].display;
    sp_op_finish(base, SP_OUTCOME_OK);
}

/* NONE and op->who, or what is wrong. */
static struct sp_oauth_trouble authenticate(struct userinfo_op *op, sp_slice token, bool is_dpop_scheme,
                                            const struct sp_dpop_shown *dpop) {
    struct sp_app *app = op->base.app;
    struct sp_oauth_trouble t = sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
    const enum sp_reject verdict =
        sp_app_principal(app, token, SP_AUTHN_PROOF_BY_CALLER | SP_AUTHN_ANY_AUDIENCE, &op->who);
    if (!sp_reject_is_ok(verdict)) return sp_oauth_trouble_of_reject(verdict);
    if (!sp_reject_is_ok(
            sp_oauth_dpop_of_token(app, token, SP_TEXT_SLICE(&op->who.jkt), is_dpop_scheme, dpop, &t)))
        return t;
    if (op->who.is_client || !has_scope(&op->who, SP_SLICE_LIT("openid")))
        return sp_oauth_trouble_of(SP_OAUTH_INSUFFICIENT_SCOPE, "the token lacks the scope openid");
    return t;
}

void sp_oauth_userinfo(struct sp_app *app, const struct sp_call *call, sp_slice access_token,
                       bool is_dpop_scheme, const struct sp_dpop_shown *dpop, sp_oauth_userinfo_done *done,
                       void *arg) {
    struct userinfo_op *op = sp_op_new(app, call, &kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    const struct sp_oauth_trouble t = authenticate(op, access_token, is_dpop_scheme, dpop);
    if (t.error != SP_OAUTH_NONE) {
        sp_oauth_refuse_as(&op->base, t);
        return;
    }
    sp_id user;
    memcpy(user.b, op->who.user_id, sizeof(user.b));
    sp_id_text(user, op->sub);
    sp_op_read_begin(&op->base, SP_READ_USER_BY_ID)->key = SP_SLICE_ARRAY(op->who.user_id);
    sp_op_read(&op->base, user_read);
}
