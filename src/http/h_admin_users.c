/* Administration of users.
 *
 *   POST   /admin/v1/users                  {name, password?, roles?: [..]} -> 201 the user
 *   GET    /admin/v1/users?after=&limit=    -> 200 {users: [..], next: cursor | null}
 *   GET    /admin/v1/users/{user}           -> 200 the user
 *   DELETE /admin/v1/users/{user}           -> 200 {sessions_ended}
 *   POST   /admin/v1/users/{user}/disable, .../enable   -> 200 {sessions_ended}
 *   POST   /admin/v1/users/{user}/erase?after=SEQ -> 200 {user_id, complete, erased, sessions_ended, total,
 *     next | null}; while not complete, go on with {user_id} and after=next
 *   PUT    /admin/v1/users/{user}/roles     {roles: [..]} -> 200 {sessions_ended}
 *   PUT    /admin/v1/users/{user}/password  {password}    -> 200 {sessions_ended}
 *
 * {user} is a name or an id, percent-encoded; a name with '/' or '\' in it is reached by its id. A user:
 *   {id, name, display, roles: [..], disabled, version, created_at, password_changed_at} */
#include "http/exchange.h"
#include "http/handlers.h"

static void put_user(struct sp_json_out *o, const struct sp_user_row *row) {
    sp_json_out_object(o, NULL);
    sp_json_out_base64url(o, "id", SP_SLICE_ARRAY(row->id));
    sp_json_out_text(o, "name", SP_TEXT_SLICE(&row->name));
    sp_json_out_text(o, "display", SP_TEXT_SLICE(&row->display));
    sp_json_out_words(o, "roles", SP_TEXT_SLICE(&row->roles));
    sp_json_out_bool(o, "disabled", row->disabled);
    sp_json_out_u64(o, "version", row->version);
    sp_json_out_time_ms(o, "created_at", row->created_ms);
    sp_json_out_time_ms(o, "password_changed_at", row->password_changed_ms);
    sp_json_out_object_end(o);
}

static void reply_user(struct sp_exchange *x, const struct sp_users_result *r, int status) {
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome_why(x, r->outcome, &r->why);
        return;
    }
    if (r->n != 1) {
        sp_x_outcome(x, SP_OUTCOME_INTERNAL);
        return;
    }
    put_user(&x->json, &r->rows[0]);
    sp_x_reply(x, status);
}

static void show_done(void *arg, const struct sp_users_result *r) {
    reply_user(arg, r, 200);
}
static void add_done(void *arg, const struct sp_users_result *r) {
    reply_user(arg, r, 201);
}

static void list_done(void *arg, const struct sp_users_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_array(&x->json, "users");
    for (size_t i = 0; i < r->n; i++) put_user(&x->json, &r->rows[i]);
    sp_json_out_array_end(&x->json);
    if (r->next.n != 0) {
        sp_json_out_text(&x->json, "next", r->next);
    } else {
        sp_json_out_null(&x->json, "next");
    }
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

static void edit_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_revoked_count(arg, r);
}

void sp_h_admin_users(struct sp_exchange *x) {
    uint32_t limit;
    if (sp_x_read_limit(x, &limit) == SP_ANSWERED) return;
    sp_app_users_list(x->app, &x->call, sp_query_get(&x->query, "after"), limit, list_done, x);
}

void sp_h_admin_user(struct sp_exchange *x) {
    sp_app_user_show(x->app, &x->call, x->segment[0], show_done, x);
}

void sp_h_admin_user_add(struct sp_exchange *x) {
    struct sp_user_add_request in = {.name = SP_SLICE_EMPTY};
    SP_AUTO(sp_buf) roles = SP_BUF_INIT(sizeof(((sp_text1024 *)0)->s));
    struct sp_json_in_field fields[] = {
        {"name", SP_JSON_IN_LABEL, true, SP_NAME_BYTES_MAX, {.text = &in.name}},
        {"password", SP_JSON_IN_TEXT, false, SP_PASSWORD_BYTES_MAX, {.text = &in.password}},
        {"roles", SP_JSON_IN_WORDS, false, roles.max, {.words = &roles}},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    in.roles = sp_buf_slice(&roles);
    sp_app_user_add(x->app, &x->call, &in, add_done, x);
}

static void edit(struct sp_exchange *x, enum sp_user_edit what, sp_slice value) {
    sp_app_user_edit(x->app, &x->call, x->segment[0], what, value, edit_done, x);
}

void sp_h_admin_user_delete(struct sp_exchange *x) {
    edit(x, SP_USER_DELETE, SP_SLICE_EMPTY);
}
void sp_h_admin_user_disable(struct sp_exchange *x) {
    edit(x, SP_USER_DISABLE, SP_SLICE_EMPTY);
}
void sp_h_admin_user_enable(struct sp_exchange *x) {
    edit(x, SP_USER_ENABLE, SP_SLICE_EMPTY);
}

void sp_h_admin_user_roles(struct sp_exchange *x) {
    SP_AUTO(sp_buf) roles = SP_BUF_INIT(sizeof(((sp_text1024 *)0)->s));
    struct sp_json_in_field fields[] = {{"roles", SP_JSON_IN_WORDS, true, roles.max, {.words = &roles}}};
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    edit(x, SP_USER_SET_ROLES, sp_buf_slice(&roles));
}

void sp_h_admin_user_password(struct sp_exchange *x) {
    sp_slice password = SP_SLICE_EMPTY;
    struct sp_json_in_field fields[] = {
        {"password", SP_JSON_IN_TEXT, true, SP_PASSWORD_BYTES_MAX, {.text = &password}}};
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    edit(x, SP_USER_SET_PASSWORD, password);
}

/* ---- erase ---- */

static void erase_done(void *arg, const struct sp_erase_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_base64url(&x->json, "user_id", SP_SLICE_ARRAY(r->user_id));
    sp_json_out_bool(&x->json, "complete", r->complete);
    sp_json_out_u64(&x->json, "erased", r->erased);
    sp_json_out_u64(&x->json, "sessions_ended", r->sessions_ended);
    sp_json_out_u64(&x->json, "total", r->total);
    if (r->complete) {
        sp_json_out_null(&x->json, "next");
    } else {
        sp_json_out_u64(&x->json, "next", r->next_seq);
    }
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

void sp_h_admin_user_erase(struct sp_exchange *x) {
    sp_slice text = sp_query_get(&x->query, "after");
    uint64_t after = 0;
    if (text.n != 0 && !sp_slice_to_u64(text, &after)) {
        sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, "after");
        return;
    }
    sp_app_user_erase(x->app, &x->call, x->segment[0], after, erase_done, x);
}
