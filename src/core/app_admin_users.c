/* Users: add, show, list, edit. */
#include "core/app_admin.h"

#include "base/assert.h"

/* ---- what is accepted ---- */

/* Every role exists now. The live table is as fresh as the store's writer; a role that is deleted a moment
 * later leaves a name that grants nothing, which is what deleting it at any other moment does. */
static bool roles_exist(struct sp_app *app, sp_slice roles) {
    sp_slice word, permissions;
    bool all = true;
    sp_seats_enter(app->seats);
    const struct sp_roles *table = sp_live_roles_get(app->roles);
    while (all && sp_words_next(&roles, &word)) all = sp_ok(sp_roles_find(table, word, &permissions));
    sp_seats_leave(app->seats);
    return all;
}

enum sp_outcome sp_admin_accept_roles(struct sp_app *app, sp_slice words, sp_text1024 *ret) {
    sp_status s = sp_user_roles_accept(words, ret);
    if (sp_is(s, SP_E_LIMIT)) return SP_OUTCOME_LIMIT_EXCEEDED;
    if (sp_is(s, SP_E_MALFORMED)) return SP_OUTCOME_INVALID_REQUEST;
    if (!sp_ok(s)) return SP_OUTCOME_INTERNAL;
    return roles_exist(app, SP_TEXT_SLICE(ret)) ? SP_OUTCOME_OK : SP_OUTCOME_UNKNOWN_ROLE;
}

/* Leaves the prepared password in op->secret[0]. */
static enum sp_outcome accept_password(struct sp_op *op, sp_slice password, sp_slice name) {
    enum sp_outcome o = sp_op_judge_password(op, password, name);
    if (o != SP_OUTCOME_OK) return o;
    sp_buf_clear(&op->secret[0]);
    return sp_ok(sp_password_prepare(password, &op->secret[0])) ? SP_OUTCOME_OK : SP_OUTCOME_INTERNAL;
}

/* ---- answers ---- */

static void users_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_users_result result = {.outcome = outcome};
    if (op != NULL) result.why = op->why;
    if (op != NULL && outcome == SP_OUTCOME_OK) {
        struct sp_admin_op *a = sp_admin_of(op);
        bool is_page = op->read.kind == SP_READ_USERS;
        result.rows = is_page ? op->read.ret.users : &a->user;
        result.n = is_page ? op->read.ret.n : 1;
        result.next = sp_buf_slice(&a->cursor);
    }
    ((sp_users_done *)done)(arg, &result);
}

static void forget_password(struct sp_user_row *row) {
    sp_wipe(&row->password, sizeof(row->password));
}

/* ---- add ---- */

static const struct sp_op_kind add_kind = {
    .size = sizeof(struct sp_admin_op), .say = users_say, .release = sp_admin_release};

static void added(struct sp_op *op, sp_status status) {
    forget_password(&sp_admin_of(op)->user);
    if (sp_is(status, SP_E_CONFLICT)) {
        sp_op_finish(op, SP_OUTCOME_ALREADY_EXISTS);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        sp_admin_of(op)->user.version = 1; /* as the store has set it */
        sp_op_finish(op, SP_OUTCOME_OK);
    }
}

static void add_commit(struct sp_op *op) {
    struct sp_admin_op *a = sp_admin_of(op);
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("roles", SP_TEXT_SLICE(&a->user.roles))};
    const struct sp_audit_event event = {
        .action = SP_AUDIT_USER_ADDED,
        .target = SP_TEXT_SLICE(&a->user_text),
        .username = SP_TEXT_SLICE(&a->user.display),
        .detail = detail,
        .detail_n = SP_ARRAY_LEN(detail),
    };
    sp_op_change(op, SP_CHANGE_USER_INSERT)->user_insert.row = &a->user;
    sp_status s = sp_op_audit(op, &event);
    if (!sp_ok(s)) {
        sp_op_fail(op, s);
        return;
    }
    sp_op_commit(op, added);
}

static void add_hashed(struct sp_op *op, sp_status status) {
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    sp_admin_of(op)->user.password = op->hash.phc;
    add_commit(op);
}

static enum sp_outcome add_accept(struct sp_admin_op *a, const struct sp_user_add_request *in) {
    struct sp_op *op = &a->plain.base;
    sp_id id;
    sp_status name = sp_name_accept(in->name, &a->user.name, &a->user.display);
    if (!sp_ok(name)) return sp_is(name, SP_E_NOMEM) ? SP_OUTCOME_INTERNAL : SP_OUTCOME_INVALID_REQUEST;
    enum sp_outcome o = sp_admin_accept_roles(op->app, in->roles, &a->user.roles);
    if (o == SP_OUTCOME_OK && in->password.n != 0)
        o = accept_password(op, in->password, SP_TEXT_SLICE(&a->user.name));
    if (o != SP_OUTCOME_OK) return o;
    if (!sp_ok(sp_id_random(&op->app->deps.random, &id))) return SP_OUTCOME_INTERNAL;
    memcpy(a->user.id, id.b, sizeof(id.b));
    sp_audit_actor_user(a->user.id, &a->user_text);
    a->user.tenant = SP_TENANT_DEFAULT;
    a->user.created_ms = op->now_ms;
    a->user.password_changed_ms = in->password.n != 0 ? op->now_ms : 0;
    return SP_OUTCOME_OK;
}

void sp_app_user_add(struct sp_app *app, const struct sp_call *call, const struct sp_user_add_request *in,
                     sp_users_done *done, void *arg) {
    struct sp_admin_op *a = sp_admin_op_new(app, call, &add_kind, (sp_any_done *)done, arg);
    if (a == NULL) return;
    struct sp_op *op = &a->plain.base;
    enum sp_outcome o = add_accept(a, in);
    if (o != SP_OUTCOME_OK) {
        sp_op_finish(op, o);
    } else if (in->password.n == 0) {
        add_commit(op);
    } else {
        sp_op_hash_new(op, sp_buf_slice(&op->secret[0]), add_hashed);
    }
}

/* ---- show, list ---- */

static void shown(struct sp_op *op, sp_status status) {
    (void)status; /* found */
    forget_password(&sp_admin_of(op)->user);
    sp_op_finish(op, SP_OUTCOME_OK);
}

void sp_app_user_show(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                      sp_users_done *done, void *arg) {
    struct sp_admin_op *a = sp_admin_op_new(app, call, &add_kind, (sp_any_done *)done, arg);
    if (a != NULL) sp_admin_find(a, name_or_id, shown);
}

static void listed(struct sp_op *op, sp_status status) {
    struct sp_admin_op *a = sp_admin_of(op);
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    for (uint32_t i = 0; i < op->read.ret.n; i++) forget_password(&op->read.ret.users[i]);
    sp_status s = SP_SUCCESS;
    if (op->read.ret.more && op->read.ret.n != 0) {
        sp_buf_clear(&a->cursor);
        s = sp_buf_append_base64url(&a->cursor, SP_TEXT_SLICE(&op->read.ret.users[op->read.ret.n - 1].name));
    } else {
        sp_buf_clear(&a->cursor);
    }
    sp_op_finish(op, sp_ok(s) ? SP_OUTCOME_OK : SP_OUTCOME_INTERNAL);
}

void sp_app_users_list(struct sp_app *app, const struct sp_call *call, sp_slice after, uint32_t limit,
                       sp_users_done *done, void *arg) {
    struct sp_admin_op *a = sp_admin_op_new(app, call, &add_kind, (sp_any_done *)done, arg);
    if (a == NULL) return;
    struct sp_op *op = &a->plain.base;
    if (!sp_ok(sp_admin_cursor_read(after, SP_NAME_BYTES_MAX, &a->cursor))) {
        sp_op_finish(op, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    struct sp_store_read *read = sp_op_read_begin(op, SP_READ_USERS);
    read->after = sp_buf_slice(&a->cursor);
    read->limit = sp_admin_limit(limit);
    sp_op_read(op, listed);
}

/* ---- edit ---- */

struct edit_op {
    struct sp_admin_op admin;
    enum sp_user_edit what;
    sp_text1024 roles; /* SET_ROLES: wanted */
    sp_text256 phc;    /* SET_PASSWORD: once it has been hashed */
    struct sp_user_row changed;
    struct sp_change *ends; /* in the change set; its count is the answer's */
};
static const struct sp_op_kind edit_kind = {
    .size = sizeof(struct edit_op), .say = sp_plain_say, .release = sp_admin_release};

static void edit_found(struct sp_op *op, sp_status status);

static void edited(struct sp_op *op, sp_status status) {
    struct edit_op *e = (struct edit_op *)(void *)op;
    if (sp_is(status, SP_E_CONFLICT)) {
        if (sp_admin_may_retry(op)) sp_admin_find_again(&e->admin, edit_found);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        if (e->ends != NULL) e->admin.plain.count = e->ends->sessions_end.ret_ended;
        sp_op_finish(op, SP_OUTCOME_OK);
    }
}

enum raise { RAISE_NOT, RAISE_EPOCH };

static void change_user(struct edit_op *e, enum raise raise) {
    struct sp_op *op = &e->admin.plain.base;
    sp_op_change(op, SP_CHANGE_USER_UPDATE)->user_update = (struct sp_user_update){
        .row = &e->changed,
        .expect_version = e->admin.user.version,
        .raise_epoch = raise == RAISE_EPOCH,
        .epoch_expires_s = raise == RAISE_EPOCH ? sp_app_epoch_expires_s(op->app, op->now_ms) : 0,
    };
}

static sp_status record(struct edit_op *e, enum sp_audit_action action, const struct sp_log_field *detail,
                        size_t n) {
    const struct sp_audit_event event = {
        .action = action,
        .target = SP_TEXT_SLICE(&e->admin.user_text),
        .username = SP_TEXT_SLICE(&e->admin.user.display),
        .detail = detail,
        .detail_n = n,
    };
    return sp_op_audit(&e->admin.plain.base, &event);
}

static sp_status build_disable(struct edit_op *e) {
    e->changed.disabled = true;
    change_user(e, RAISE_EPOCH);
    e->ends = sp_admin_end_sessions(&e->admin, SP_END_USER_DISABLED);
    return record(e, SP_AUDIT_USER_DISABLED, NULL, 0);
}

static sp_status build_enable(struct edit_op *e) {
    e->changed.disabled = false;
    change_user(e, RAISE_NOT);
    return record(e, SP_AUDIT_USER_ENABLED, NULL, 0);
}

/* The epoch is raised while the user is still there to have one. */
static sp_status build_delete(struct edit_op *e) {
    struct sp_op *op = &e->admin.plain.base;
    e->ends = sp_admin_end_sessions(&e->admin, SP_END_USER_DELETED);
    sp_op_change(op, SP_CHANGE_USER_EPOCH)->user_epoch =
        (struct sp_user_epoch){.tenant = SP_TENANT_DEFAULT,
                               .id = e->admin.user.id,
                               .expires_s = sp_app_epoch_expires_s(op->app, op->now_ms)};
    sp_op_change(op, SP_CHANGE_USER_DELETE)->user_delete = (struct sp_user_delete){
        .tenant = SP_TENANT_DEFAULT, .id = e->admin.user.id, .expect_version = e->admin.user.version};
    return record(e, SP_AUDIT_USER_DELETED, NULL, 0);
}

/* Tokens that carry a role that was taken away must not outlive it; one that was given can wait for the next
 * refresh. */
static sp_status build_roles(struct edit_op *e) {
    const sp_slice before = SP_TEXT_SLICE(&e->admin.user.roles), after = SP_TEXT_SLICE(&e->roles);
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("before", before), SP_LOGF_TEXT("after", after)};
    e->changed.roles = e->roles;
    change_user(e, sp_words_within(before, after) ? RAISE_NOT : RAISE_EPOCH);
    return record(e, SP_AUDIT_USER_ROLES_CHANGED, detail, SP_ARRAY_LEN(detail));
}

static sp_status build_password(struct edit_op *e) {
    e->changed.password = e->phc;
    e->changed.password_changed_ms = e->admin.plain.base.now_ms;
    change_user(e, RAISE_NOT);
    e->ends = sp_admin_end_sessions(&e->admin, SP_END_PASSWORD_CHANGE);
    return record(e, SP_AUDIT_USER_PASSWORD_SET, NULL, 0);
}

static sp_status build_edit(struct edit_op *e) {
    e->changed = e->admin.user;
    e->ends = NULL;
    switch (e->what) {
    case SP_USER_DISABLE: return build_disable(e);
    case SP_USER_ENABLE: return build_enable(e);
    case SP_USER_DELETE: return build_delete(e);
    case SP_USER_SET_ROLES: return build_roles(e);
    case SP_USER_SET_PASSWORD: return build_password(e);
    }
    return sp_err(SP_E_UNSUPPORTED);
}

static void edit_commit(struct edit_op *e) {
    struct sp_op *op = &e->admin.plain.base;
    sp_status s = build_edit(e);
    if (sp_ok(s)) {
        sp_op_commit(op, edited);
    } else {
        sp_op_fail(op, s);
    }
}

static void edit_hashed(struct sp_op *op, sp_status status) {
    struct edit_op *e = (struct edit_op *)(void *)op;
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    e->phc = op->hash.phc;
    edit_commit(e);
}

/* The name is part of the judgement, so it had to be found first. */
static void edit_hash(struct edit_op *e) {
    struct sp_op *op = &e->admin.plain.base;
    if (sp_name_is_external(
            SP_TEXT_SLICE(&e->admin.user.name))) { /* its application checks it, nobody else */
        sp_op_finish(op, SP_OUTCOME_PASSWORD_REJECTED);
        return;
    }
    enum sp_outcome o = accept_password(op, sp_buf_slice(&op->secret[1]), SP_TEXT_SLICE(&e->admin.user.name));
    if (o != SP_OUTCOME_OK) {
        sp_op_finish(op, o);
        return;
    }
    sp_op_hash_new(op, sp_buf_slice(&op->secret[0]), edit_hashed);
}

/* Asked for what is already so: done, without a record that says something changed. */
static bool is_so_already(const struct edit_op *e) {
    const struct sp_user_row *user = &e->admin.user;
    if (e->what == SP_USER_DISABLE) return user->disabled;
    if (e->what == SP_USER_ENABLE) return !user->disabled;
    if (e->what == SP_USER_SET_ROLES)
        return sp_slice_eq(SP_TEXT_SLICE(&user->roles), SP_TEXT_SLICE(&e->roles));
    return false;
}

static void edit_found(struct sp_op *op, sp_status status) {
    (void)status; /* found */
    struct edit_op *e = (struct edit_op *)(void *)op;
    if (is_so_already(e)) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else if (e->what == SP_USER_SET_PASSWORD && e->phc.n == 0) {
        edit_hash(e);
    } else {
        edit_commit(e);
    }
}

static enum sp_outcome edit_accept(struct edit_op *e, sp_slice value) {
    struct sp_op *op = &e->admin.plain.base;
    if (e->what == SP_USER_SET_ROLES) return sp_admin_accept_roles(op->app, value, &e->roles);
    if (e->what != SP_USER_SET_PASSWORD) return SP_OUTCOME_OK;
    sp_status s = sp_buf_append(&op->secret[1], value);
    if (sp_is(s, SP_E_LIMIT)) return sp_op_judge_password(op, value, SP_SLICE_EMPTY);
    return sp_ok(s) ? SP_OUTCOME_OK : SP_OUTCOME_INTERNAL;
}

void sp_app_user_edit(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                      enum sp_user_edit what, sp_slice value, sp_plain_done *done, void *arg) {
    struct edit_op *e = sp_admin_op_new(app, call, &edit_kind, (sp_any_done *)done, arg);
    if (e == NULL) return;
    e->what = what;
    enum sp_outcome o = edit_accept(e, value);
    if (o != SP_OUTCOME_OK) {
        sp_op_finish(&e->admin.plain.base, o);
        return;
    }
    sp_admin_find(&e->admin, name_or_id, edit_found);
}
