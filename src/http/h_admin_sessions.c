/* Administration of sessions, and revocation.
 *
 *   GET    /admin/v1/sessions?user=&ended=true|false&after=&limit=
 *     -> 200 {sessions: [{user_id, username | null, client_id, refreshes, session_id, ...as in
 * h_sessions.c}], next: cursor | null} DELETE /admin/v1/sessions/{sid}   -> 204, also when it had ended
 * before POST   /admin/v1/revocations      exactly one of {jti}, {session}, {user}, {everyone: true} -> 200
 * {sessions_ended}
 *   POST   /admin/v1/sessions         {subject, roles?: [..], scope?, amr?: [..], device?, mode?: "token",
 *                                      auth_time?} -> 201 {user_id, ... as login's answer} */
#include "http/exchange.h"
#include "http/h_sessions.h"
#include "http/handlers.h"

static void put_text_or_null(struct sp_json_out *o, const char *name, sp_slice text) {
    if (text.n != 0) {
        sp_json_out_text(o, name, text);
    } else {
        sp_json_out_null(o, name);
    }
}

static void put_session(struct sp_json_out *o, const struct sp_session_view *v) {
    sp_json_out_object(o, NULL);
    sp_json_out_base64url(o, "user_id", SP_SLICE_ARRAY(v->row->user_id));
    put_text_or_null(o, "username", v->username);
    sp_json_out_text(o, "client_id", SP_TEXT_SLICE(&v->row->client_id));
    sp_json_out_u64(o, "refreshes", v->row->refreshes);
    sp_session_view_write(o, v);
    sp_json_out_object_end(o);
}

static void list_done(void *arg, const struct sp_sessions_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_array(&x->json, "sessions");
    for (size_t i = 0; i < r->n; i++) put_session(&x->json, &r->views[i]);
    sp_json_out_array_end(&x->json);
    put_text_or_null(&x->json, "next", r->next);
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

void sp_h_admin_sessions(struct sp_exchange *x) {
    uint32_t limit;
    if (sp_x_read_limit(x, &limit) == SP_ANSWERED) return;
    sp_slice ended = sp_query_get(&x->query, "ended");
    bool with_ended = sp_slice_eq_cstr(ended, "true");
    if (ended.n != 0 && !with_ended && !sp_slice_eq_cstr(ended, "false")) {
        sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, "ended");
        return;
    }
    sp_app_sessions_list(x->app, &x->call, sp_query_get(&x->query, "user"), with_ended,
                         sp_query_get(&x->query, "after"), limit, list_done, x);
}

static void end_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_revoked(arg, r);
}

void sp_h_admin_session_end(struct sp_exchange *x) {
    sp_app_revoke(x->app, &x->call, SP_TARGET_SESSION, x->segment[0], end_done, x);
}

static void revoke_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_revoked_count(arg, r);
}

void sp_h_admin_revoke(struct sp_exchange *x) {
    enum { ID_CHARS_MAX = 64 };
    sp_slice value[3] = {SP_SLICE_EMPTY, SP_SLICE_EMPTY, SP_SLICE_EMPTY};
    bool everyone = false;
    struct sp_json_in_field fields[] = {
        {"jti", SP_JSON_IN_LABEL, false, ID_CHARS_MAX, {.text = &value[0]}},
        {"session", SP_JSON_IN_LABEL, false, ID_CHARS_MAX, {.text = &value[1]}},
        {"user", SP_JSON_IN_LABEL, false, SP_NAME_BYTES_MAX, {.text = &value[2]}},
        {"everyone", SP_JSON_IN_BOOL, false, 0, {.flag = &everyone}},
    };
    static const enum sp_revoke_target targets[] = {SP_TARGET_JTI, SP_TARGET_SESSION, SP_TARGET_USER,
                                                    SP_TARGET_EVERYONE};
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    size_t given = 0, which = 0;
    for (size_t i = 0; i < SP_ARRAY_LEN(fields); i++) {
        if (!fields[i].present) continue;
        given++;
        which = i;
    }
    /* {everyone: false} asks for nothing: a mistake that must not be guessed about */
    if (given != 1 || (targets[which] == SP_TARGET_EVERYONE && !everyone)) {
        sp_x_outcome(x, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    sp_slice what = targets[which] == SP_TARGET_EVERYONE ? SP_SLICE_EMPTY : value[which];
    sp_app_revoke(x->app, &x->call, targets[which], what, revoke_done, x);
}

/* ---- sessions for an application that checks its people itself ---- */

static void add_done(void *arg, const struct sp_tokens_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_base64url(&x->json, "user_id", SP_SLICE_ARRAY(r->user_id));
    sp_tokens_write(x, r);
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 201);
}

void sp_h_admin_session_add(struct sp_exchange *x) {
    enum { MODE_BYTES_MAX = 16 };
    struct sp_session_add_request in = {.subject = SP_SLICE_EMPTY};
    sp_slice mode = SP_SLICE_LIT("token");
    SP_AUTO(sp_buf) roles = SP_BUF_INIT(sizeof(((sp_text1024 *)0)->s));
    SP_AUTO(sp_buf) amr = SP_BUF_INIT(sizeof(((sp_text64 *)0)->s));
    struct sp_json_in_field fields[] = {
        {"subject", SP_JSON_IN_LABEL, true, SP_EXTERNAL_SUBJECT_BYTES_MAX, {.text = &in.subject}},
        {"roles", SP_JSON_IN_WORDS, false, roles.max, {.words = &roles}},
        {"scope", SP_JSON_IN_LABEL, false, sizeof(((sp_text512 *)0)->s), {.text = &in.scope}},
        {"amr", SP_JSON_IN_WORDS, false, amr.max, {.words = &amr}},
        {"device", SP_JSON_IN_LABEL, false, SP_DEVICE_BYTES_MAX, {.text = &in.device}},
        {"mode", SP_JSON_IN_LABEL, false, MODE_BYTES_MAX, {.text = &mode}},
        {"auth_time", SP_JSON_IN_COUNT, false, INT64_MAX / 1000, {.count = &in.auth_time_s}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    if (!sp_slice_eq_cstr(mode, "token")) { /* cookies are for the browser, and this is the application */
        sp_x_problem_body(x, SP_JSON_IN_BAD_VALUE, "mode");
        return;
    }
    in.has_roles = fields[1].present;
    in.roles = sp_buf_slice(&roles);
    in.amr = sp_buf_slice(&amr);
    sp_app_session_add(x->app, &x->call, &in, add_done, x);
}
