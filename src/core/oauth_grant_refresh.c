/* grant_type=refresh_token (RFC 6749 section 6): the machine of POST /auth/refresh, through the door for
 * clients.
 *
 * What differs: the session must be the client's; scope and resources may be narrowed, for the access token
 * that is given and nothing else; a confidential client may be one whose tokens are not rotated. A token of
 * another client, or of a first-party session, is refused and recorded, and never trips: a client must not be
 * able to end what is not its own. */
#include "core/app_refresh.h"

#include "base/base64url.h"
#include "core/oauth_request.h"

static const struct sp_op_kind kind = {
    .size = sizeof(struct sp_refresh_op), .say = sp_oauth_tokens_say, .release = sp_tokens_release};

/* NONE, or what is wrong with what is asked for. */
static struct sp_oauth_trouble take_narrowing(struct sp_refresh_op *op,
                                              const struct sp_oauth_token_request *in) {
    struct sp_app *app = op->t.base.app;
    op->t.scope_asked = in->scope.n != 0;
    if (!sp_words_valid(in->scope, sizeof(op->t.scope.s)) ||
        !sp_ok(sp_authz_scope_meant(in->scope, &op->t.scope)))
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_SCOPE,
                                   "scope is too long, or not words with one space between");
    if (in->n_resources == 0) return sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
    if (!sp_ok(sp_client_audience(app, op->t.client, in->resources, in->n_resources, &op->t.aud)))
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_TARGET, "not a resource of this client");
    return sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
}

/* Empty stays empty. */
static bool decode_attempt(sp_slice text, uint8_t room[SP_ROW_ATTEMPT_BYTES], sp_slice *ret) {
    *ret = SP_SLICE_EMPTY;
    if (text.n == 0) return true;
    if (!sp_ok(sp_base64url_decode_exact(text, room, SP_ROW_ATTEMPT_BYTES))) return false;
    *ret = sp_slice_of(room, SP_ROW_ATTEMPT_BYTES);
    return true;
}

static struct sp_oauth_trouble take(struct sp_refresh_op *op, const struct sp_oauth_token_request *in,
                                    uint8_t room[SP_ROW_ATTEMPT_BYTES], sp_slice *ret_attempt) {
    if (in->refresh_token.n == 0)
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_REQUEST, "refresh_token is missing");
    if (!decode_attempt(in->attempt, room, ret_attempt))
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_REQUEST, "the attempt is not base64url of 16 bytes");
    return take_narrowing(op, in);
}

void sp_oauth_grant_refresh(struct sp_app *app, const struct sp_oauth_grant *g) {
    struct sp_refresh_op *op = sp_oauth_grant_op(app, g, &kind);
    if (op == NULL) return;
    uint8_t room[SP_ROW_ATTEMPT_BYTES];
    struct sp_refresh_request in = {
        .refresh_token = g->in->refresh_token, .mode = SP_MODE_TOKEN, .dpop = &g->in->dpop};
    const struct sp_oauth_trouble t = take(op, g->in, room, &in.attempt);
    if (t.error != SP_OAUTH_NONE) {
        sp_oauth_refuse_as(&op->t.base, t);
        return;
    }
    op->client_id = g->client->row.id;
    op->keeps_token = !g->client->row.is_public && !g->client->row.rotate_refresh;
    op->t.gives_refresh = true;
    sp_refresh_begin(op, &in);
}
