/* The birth of a session: what login and POST /admin/v1/sessions put into its row. Who may have one, and how
 * that was proved, is their matter. */
#include "core/app_internal.h"

#include "token/ids.h"

static sp_status new_ids(const struct sp_tokens_op *t, const struct sp_session_birth *birth,
                         struct sp_session_row *row, sp_sid *ret_sid) {
    struct sp_app *app = t->base.app;
    if (birth->sid != NULL) {
        memcpy(ret_sid->b, birth->sid, sizeof(ret_sid->b));
    } else {
        SP_TRY(
            sp_sid_new(sp_keys_sid_tag(app->keys), SP_SLICE_ARRAY(t->user.id), &app->deps.random, ret_sid));
    }
    return sp_random_fill(&app->deps.random, row->secret, sizeof(row->secret));
}

/* The refresh token of generation 0, under the key of the moment; the session keeps that key. */
static void first_refresh_token(struct sp_tokens_op *t, struct sp_session_row *row, sp_sid sid) {
    struct sp_app *app = t->base.app;
    sp_seats_enter(app->seats);
    const struct sp_refresh_key *key = sp_snapshot_refresh_current(sp_keys_now(app->keys));
    struct sp_refresh_token token = {.key_id = key->id, .sid = sid, .generation = 0};
    memcpy(token.secret, row->secret, sizeof(token.secret));
    sp_refresh_token_encode(&token, key, t->refresh_text);
    row->refresh_key = key->id;
    sp_seats_leave(app->seats);
    sp_refresh_token_done(&token);
}

static void set_times(struct sp_tokens_op *t, struct sp_session_row *row) {
    const struct sp_app_config *config = &t->base.app->config;
    int64_t now_ms = t->base.now_ms;
    int64_t absolute_ms = now_ms + config->absolute_ttl_s * 1000;
    int64_t idle_ms = now_ms + config->idle_ttl_s * 1000;
    row->created_ms = row->last_seen_ms = now_ms;
    row->absolute_expires_ms = absolute_ms;
    row->idle_expires_ms = idle_ms < absolute_ms ? idle_ms : absolute_ms;
    row->access_exp_max_s = t->access_exp_s = now_ms / 1000 + config->access_ttl_s;
}

/* Whose session it is, and what came with it. */
static sp_status set_client(const struct sp_app_config *config, const struct sp_session_birth *birth,
                            struct sp_session_row *row) {
    if (birth->client == NULL) {
        row->client_id = config->client_id;
        row->aud = config->audience;
        return SP_SUCCESS;
    }
    row->client_id = birth->client->id;
    row->backchannel = birth->client->backchannel_logout_uri.n != 0;
    row->offline = birth->offline;
    if (birth->parent != NULL) memcpy(row->parent, birth->parent, sizeof(row->parent));
    return SP_TEXT_SET(&row->aud, birth->aud);
}

sp_status sp_session_row_new(struct sp_tokens_op *t, const struct sp_session_birth *birth,
                             struct sp_session_row *ret) {
    const struct sp_app_config *config = &t->base.app->config;
    sp_sid sid;
    memset(ret, 0, sizeof(*ret));
    SP_TRY(new_ids(t, birth, ret, &sid));
    SP_TRY(set_client(config, birth, ret));
    ret->tenant = SP_TENANT_DEFAULT;
    memcpy(ret->sid, sid.b, sizeof(ret->sid));
    memcpy(ret->user_id, t->user.id, sizeof(ret->user_id));
    SP_TRY(SP_TEXT_SET(&ret->scope, birth->scope));
    SP_TRY(SP_TEXT_SET(&ret->amr, birth->amr));
    SP_TRY(SP_TEXT_SET(&ret->device, birth->device));
    SP_TRY(SP_TEXT_SET(&ret->acr, birth->acr));
    SP_TRY(SP_TEXT_SET(&ret->jkt, birth->jkt));
    ret->mode = birth->mode;
    ret->address = t->base.address;
    ret->user_agent = t->base.user_agent;
    ret->state = SP_SESSION_ACTIVE;
    ret->auth_time_s = birth->auth_time_s;
    set_times(t, ret);
    first_refresh_token(t, ret, sid);
    return SP_SUCCESS;
}

static void record_evicted(const struct sp_op *op, const struct sp_session_row *row, uint32_t evicted) {
    if (evicted == 0) return;
    char target[SP_ID_CHARS];
    sp_id user;
    memcpy(user.b, row->user_id, sizeof(user.b));
    sp_id_text(user, target);
    struct sp_log_field detail[] = {SP_LOGF_I64("sessions", evicted)};
    struct sp_audit_event event = {.action = SP_AUDIT_SESSIONS_EVICTED,
                                   .outcome = SP_AUDIT_OK,
                                   .target = SP_SLICE_ARRAY(target),
                                   .sid = row->sid,
                                   .detail = detail,
                                   .detail_n = SP_ARRAY_LEN(detail)};
    sp_op_audit_coalesced(op, &event);
}

void sp_session_begun(struct sp_tokens_op *t, const struct sp_session_row *row,
                      const struct sp_change *expect, const struct sp_change *insert) {
    t->global_epoch = expect->user_expect.ret_global_epoch;
    t->session = *row;
    if (insert != NULL) record_evicted(&t->base, row, insert->session_insert.ret_evicted);
}
