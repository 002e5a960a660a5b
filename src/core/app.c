/* What needs no store: who is it, what may it, and the small things that stand in the app itself. */
#include "core/app_internal.h"

#include "base/base64url.h"
#include "base/ct.h"
#include "token/ids.h"

struct sp_feed *sp_app_feed(struct sp_app *app) {
    return app->feed;
}

const struct sp_app_config *sp_app_config(const struct sp_app *app) {
    return &app->config;
}

uint64_t sp_app_boots(const struct sp_app *app) {
    return app->boots;
}

sp_status sp_app_ready(struct sp_app *app) {
    return app->deps.store->ops->health(app->deps.store);
}

sp_status sp_app_url(const struct sp_app *app, sp_slice path, struct sp_buf *ret) {
    return sp_buf_append_url(ret, SP_TEXT_SLICE(&app->config.issuer), path);
}

/* ---- who calls ---- */

/* A principal is a value that outlives the token, so a claim that does not fit our rows is not one of our
 * tokens. */
static bool texts_fit(const struct sp_claims *c, struct sp_principal *p) {
    p->has_scope = c->scope.p != NULL;
    return sp_ok(SP_TEXT_SET(&p->client_id, c->client_id)) && sp_ok(SP_TEXT_SET(&p->roles, c->roles)) &&
           sp_ok(SP_TEXT_SET(&p->scope, c->scope)) && sp_ok(SP_TEXT_SET(&p->jkt, c->jkt)) &&
           sp_ok(SP_TEXT_SET(&p->acr, c->acr));
}

/* Every token has a session, but those of clients that act on their own. */
static bool ids_fit(const struct sp_claims *c, struct sp_principal *p) {
    sp_id subject, jti;
    sp_sid sid = {{0}};
    const enum sp_subject whose = sp_subject_of(c->sub, c->client_id, &subject);
    if (whose == SP_SUBJECT_UNKNOWN || !sp_ok(sp_id_parse(c->jti, &jti))) return false;
    p->is_client = whose == SP_SUBJECT_CLIENT;
    if (!p->is_client && !sp_ok(sp_sid_parse(c->sid, &sid))) return false;
    memcpy(p->user_id, subject.b, sizeof(p->user_id));
    memcpy(p->jti, jti.b, sizeof(p->jti));
    memcpy(p->sid, sid.b, sizeof(p->sid));
    return true;
}

static enum sp_reject principal_of(const struct sp_claims *c, struct sp_principal *ret) {
    struct sp_principal p = {.exp_s = c->exp};
    if (c->auth_time != SP_CLAIM_NO_DATE) p.auth_time_s = c->auth_time;
    if (!ids_fit(c, &p) || !texts_fit(c, &p)) return SP_REJECT_BAD_PAYLOAD;
    *ret = p;
    return SP_REJECT_NONE;
}

enum sp_reject sp_app_principal(struct sp_app *app, sp_slice access_token, enum sp_authn_flags flags,
                                struct sp_principal *ret) {
    struct sp_claims claims;
    const struct sp_authn *authn = &app->deps.authn;
    SP_CHECK(authn->check(authn->arg, access_token, sp_app_now_ms(app), flags, &claims));
    enum sp_reject fits = principal_of(&claims, ret);
    authn->release(authn->arg);
    return fits;
}

enum sp_reject sp_app_authenticate(struct sp_app *app, sp_slice access_token, struct sp_principal *ret) {
    return sp_app_principal(app, access_token, SP_AUTHN_STRICT, ret);
}

static struct sp_permission_limit limit_of(const struct sp_principal *p) {
    return (struct sp_permission_limit){.scope = p->has_scope ? SP_TEXT_SLICE(&p->scope) : SP_SLICE_EMPTY,
                                        .is_client = p->is_client};
}

bool sp_app_permits(struct sp_app *app, const struct sp_principal *p, sp_slice permission) {
    if (p->is_local_admin) return sp_permission_valid(permission, SP_PERMISSION_WANTED);
    sp_seats_enter(app->seats);
    bool granted =
        sp_roles_permit(sp_live_roles_get(app->roles), SP_TEXT_SLICE(&p->roles), limit_of(p), permission);
    sp_seats_leave(app->seats);
    return granted;
}

sp_status sp_app_permissions_of(struct sp_app *app, sp_slice roles, struct sp_permission_limit limit,
                                struct sp_buf *ret) {
    static const sp_slice everything = {(const uint8_t *)"*", 1};
    SP_AUTO(sp_buf) granted = SP_BUF_INIT(SP_ACCESS_TOKEN_BYTES_MAX);
    if (limit.is_client) return sp_permissions_intersect(limit.scope, everything, ret);
    sp_seats_enter(app->seats);
    sp_status s =
        sp_roles_permissions(sp_live_roles_get(app->roles), roles, limit.scope.p == NULL ? ret : &granted);
    sp_seats_leave(app->seats);
    if (!sp_ok(s) || limit.scope.p == NULL) return s;
    return sp_permissions_intersect(sp_buf_slice(&granted), limit.scope, ret);
}

sp_status sp_app_permissions(struct sp_app *app, const struct sp_principal *p, struct sp_buf *ret) {
    if (p->is_local_admin) return sp_buf_append_cstr(ret, "*");
    return sp_app_permissions_of(app, SP_TEXT_SLICE(&p->roles), limit_of(p), ret);
}

bool sp_app_is_own_session(const struct sp_app *app, const struct sp_principal *p) {
    return !p->is_local_admin && !p->is_client &&
           sp_slice_eq(SP_TEXT_SLICE(&p->client_id), SP_TEXT_SLICE(&app->config.client_id));
}

static bool has_session(const struct sp_principal *p) {
    return p != NULL && !p->is_local_admin && !p->is_client;
}

void sp_app_audit_denial(struct sp_app *app, const struct sp_call *call, sp_slice permission,
                         sp_slice target) {
    struct sp_log_field detail[] = {SP_LOGF_TEXT("permission", permission)};
    struct sp_audit_event event = {.action = SP_AUDIT_PERMISSION_DENIED,
                                   .outcome = SP_AUDIT_DENIED,
                                   .target = target.n != 0 ? target : permission,
                                   .sid = has_session(call->principal) ? call->principal->sid : NULL,
                                   .detail = detail,
                                   .detail_n = SP_ARRAY_LEN(detail)};
    sp_op_audit_denial(app, call, &event);
}

void sp_app_audit_reload(struct sp_app *app, enum sp_reload how, sp_slice changed, sp_slice needs_restart) {
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("changed", changed),
                                          SP_LOGF_TEXT("needs_restart", needs_restart)};
    const struct sp_audit_event event = {.action = SP_AUDIT_CONFIG_RELOADED,
                                         .outcome = how == SP_RELOAD_TAKEN ? SP_AUDIT_OK : SP_AUDIT_FAILED,
                                         .detail = detail,
                                         .detail_n = SP_ARRAY_LEN(detail)};
    sp_op_audit_system(app, &event);
}

/* ---- CSRF ---- */

_Static_assert(SP_CSRF_TEXT_BYTES == SP_BASE64URL_CHARS(SP_SHA256_BYTES), "the text of one HMAC");

void sp_app_csrf_token(struct sp_app *app, const uint8_t *sid, char ret[SP_CSRF_TEXT_BYTES]) {
    const sp_slice parts[] = {SP_SLICE_LIT("sallyport csrf v1"), sp_slice_of(sid, SP_ROW_SID_BYTES)};
    uint8_t mac[SP_SHA256_BYTES];
    sp_hmac_parts(sp_keys_csrf(app->keys), parts, SP_ARRAY_LEN(parts), mac);
    sp_base64url_encode(SP_SLICE_ARRAY(mac), ret);
}

bool sp_app_csrf_valid(struct sp_app *app, const uint8_t *sid, sp_slice presented) {
    char expected[SP_CSRF_TEXT_BYTES];
    sp_app_csrf_token(app, sid, expected);
    return sp_ct_equal(SP_SLICE_ARRAY(expected), presented);
}

/* ---- keys and policy ---- */

sp_status sp_app_jwks(struct sp_app *app, struct sp_buf *ret) {
    sp_seats_enter(app->seats);
    sp_status s = sp_buf_append(ret, sp_snapshot_jwks(sp_keys_now(app->keys)));
    sp_seats_leave(app->seats);
    return s;
}

struct sp_session_policy sp_app_policy(const struct sp_app *app, const struct sp_meta_row *meta) {
    return (struct sp_session_policy){.grace_ms = app->config.grace_ms,
                                      .reuse = app->config.reuse,
                                      .alive_ms = app->alive_ms,
                                      .ready_ms = app->ready_ms,
                                      .incarnation = meta->incarnation,
                                      .session_floor = meta->session_floor,
                                      .floor_cause = meta->floor_cause};
}

int64_t sp_app_epoch_expires_s(const struct sp_app *app, int64_t now_ms) {
    return now_ms / 1000 + app->access_ttl_max_s + SP_REVOKE_SLACK_S;
}

struct sp_key_schedule sp_app_key_schedule(const struct sp_app *app) {
    return (struct sp_key_schedule){.alg = app->config.alg,
                                    .rotate_every_s = app->config.key_rotate_every_s,
                                    .announce_s = app->config.key_announce_s,
                                    .access_ttl_max_s = app->access_ttl_max_s,
                                    .absolute_ttl_s = app->config.absolute_ttl_s,
                                    .hold_announced =
                                        app->feed != NULL && !sp_feed_keys_confirmed(app->feed)};
}
