/* A session for an application that checks its people itself and wants only sessions:
 *
 *   the subject's user by its reserved name -> one commit: make or update the user, expect it, insert the
 * session
 *
 * A subject is the application's own text. Its user stands under the name "ext:" + subject, byte for byte,
 * which no name of the directory can become (directory.h), so the two namespaces cannot meet. The user's id
 * is drawn like every other: an id computed from the subject would come back when a deleted subject signs in
 * again, together with the raised epoch of the deleted one, and ids are never reused. Two first sessions of
 * one subject at once meet in the store: the second insert conflicts, and finds the user when it reads again.
 *
 * Such a user has no password and cannot be given one. The application is the authority on its roles: when it
 * names them, they replace what was there, and taking one away raises the epoch as it does everywhere. */
#include "core/app_admin.h"

#include "core/directory.h"

struct session_add_op {
    struct sp_tokens_op t;
    sp_text256 name;
    bool has_roles;
    sp_text1024 roles; /* wanted */
    sp_text512 scope;
    sp_text64 amr;
    sp_text128 device;
    int64_t auth_time_s; /* 0: now */
    bool is_new;
    struct sp_user_row user; /* as it will be written */
    struct sp_session_row row;
    struct sp_change *expect, *insert;
};

static const struct sp_op_kind session_add_kind = {
    .size = sizeof(struct session_add_op), .say = sp_tokens_say, .release = sp_tokens_release};

static struct session_add_op *add_of(struct sp_op *op) {
    return (struct session_add_op *)(void *)op;
}

static void read_user(struct session_add_op *op);

/* ---- the commit ---- */

static void committed(struct sp_op *base, sp_status status) {
    struct session_add_op *op = add_of(base);
    if (sp_is(status, SP_E_CONFLICT)) {
        if (sp_admin_may_retry(base)) read_user(op);
        return;
    }
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    atomic_fetch_add_explicit(&base->app->counters.sessions_added, 1, memory_order_relaxed);
    sp_session_begun(&op->t, &op->row, op->expect, op->insert);
    sp_tokens_issue(&op->t);
}

/* ---- the change set ---- */

static sp_status record(struct session_add_op *op, enum sp_audit_action action, const uint8_t *sid,
                        const struct sp_log_field *detail, size_t n) {
    sp_text64 target;
    sp_audit_actor_user(op->user.id, &target);
    return sp_op_audit(&op->t.base, &(struct sp_audit_event){.action = action,
                                                             .outcome = SP_AUDIT_OK,
                                                             .target = SP_TEXT_SLICE(&target),
                                                             .sid = sid,
                                                             .username = SP_TEXT_SLICE(&op->name),
                                                             .detail = detail,
                                                             .detail_n = n});
}

static sp_status add_new_user(struct session_add_op *op) {
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("roles", SP_TEXT_SLICE(&op->roles))};
    sp_id id;
    SP_TRY(sp_id_random(&op->t.base.app->deps.random, &id));
    memset(&op->user, 0, sizeof(op->user));
    op->user.tenant = SP_TENANT_DEFAULT;
    memcpy(op->user.id, id.b, sizeof(op->user.id));
    op->user.name = op->user.display = op->name;
    op->user.roles = op->roles;
    op->user.created_ms = op->t.base.now_ms;
    sp_op_change(&op->t.base, SP_CHANGE_USER_INSERT)->user_insert.row = &op->user;
    return record(op, SP_AUDIT_USER_ADDED, NULL, detail, SP_ARRAY_LEN(detail));
}

static sp_status add_changed_roles(struct session_add_op *op) {
    struct sp_op *base = &op->t.base;
    const sp_slice before = SP_TEXT_SLICE(&op->user.roles), after = SP_TEXT_SLICE(&op->roles);
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("before", before), SP_LOGF_TEXT("after", after)};
    const bool raise = !sp_words_within(before, after);
    SP_TRY(record(op, SP_AUDIT_USER_ROLES_CHANGED, NULL, detail, SP_ARRAY_LEN(detail)));
    op->user.roles = op->roles;
    sp_op_change(base, SP_CHANGE_USER_UPDATE)->user_update = (struct sp_user_update){
        .row = &op->user,
        .expect_version = op->user.version,
        .raise_epoch = raise,
        .epoch_expires_s = raise ? sp_app_epoch_expires_s(base->app, base->now_ms) : 0,
    };
    return SP_SUCCESS;
}

static sp_status add_user(struct session_add_op *op) {
    if (op->is_new) return add_new_user(op);
    bool same = sp_slice_eq(SP_TEXT_SLICE(&op->user.roles), SP_TEXT_SLICE(&op->roles));
    return !op->has_roles || same ? SP_SUCCESS : add_changed_roles(op);
}

/* The user is expected after it was written, so that token and session are decided on what stands there then.
 */
static sp_status add_session(struct session_add_op *op) {
    struct sp_op *base = &op->t.base;
    op->t.user = op->user;
    const struct sp_session_birth birth = {.mode = SP_MODE_TOKEN,
                                           .device = SP_TEXT_SLICE(&op->device),
                                           .scope = SP_TEXT_SLICE(&op->scope),
                                           .amr = SP_TEXT_SLICE(&op->amr),
                                           .auth_time_s =
                                               op->auth_time_s != 0 ? op->auth_time_s : base->now_ms / 1000};
    SP_TRY(sp_session_row_new(&op->t, &birth, &op->row));
    op->expect = sp_op_change(base, SP_CHANGE_USER_EXPECT);
    op->expect->user_expect = (struct sp_user_expect){.tenant = SP_TENANT_DEFAULT,
                                                      .id = op->row.user_id,
                                                      .expect_version = SP_VERSION_ANY,
                                                      .ret_user = &op->t.user};
    op->insert = sp_op_change(base, SP_CHANGE_SESSION_INSERT);
    op->insert->session_insert =
        (struct sp_session_insert){.row = &op->row, .live_max = base->app->config.sessions_max};
    return record(op, SP_AUDIT_SESSION_CREATED, op->row.sid, NULL, 0);
}

static void commit(struct session_add_op *op) {
    struct sp_op *base = &op->t.base;
    base->now_ms = sp_app_now_ms(base->app);
    sp_op_reset(base);
    sp_status s = add_user(op);
    if (sp_ok(s)) s = add_session(op);
    if (sp_ok(s)) {
        sp_op_commit(base, committed);
    } else {
        sp_op_fail(base, s);
    }
}

/* ---- the way there ---- */

static void user_found(struct sp_op *base, sp_status status) {
    struct session_add_op *op = add_of(base);
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(base, status);
        return;
    }
    op->is_new = !sp_ok(status);
    if (!op->is_new) op->user = base->read.ret.users[0];
    if (!op->is_new && op->user.disabled) {
        sp_op_finish(base, SP_OUTCOME_USER_DISABLED);
    } else {
        commit(op);
    }
}

static void read_user(struct session_add_op *op) {
    sp_op_read_begin(&op->t.base, SP_READ_USER_BY_NAME)->key = SP_TEXT_SLICE(&op->name);
    sp_op_read(&op->t.base, user_found);
}

static bool words_fit(sp_slice words, size_t room) {
    return words.n == 0 || (words.n <= room && sp_words_valid(words, room));
}

/* What the application says happened must have happened: a time to come would outlive every rule about how
 * fresh a login has to be. */
static bool texts_are_good(struct session_add_op *op, const struct sp_session_add_request *in) {
    const bool words = words_fit(in->scope, sizeof(op->scope.s)) && words_fit(in->amr, sizeof(op->amr.s));
    if (!words || !sp_utf8_printable(in->device)) return false;
    if (in->auth_time_s < 0 || in->auth_time_s > op->t.base.now_ms / 1000) return false;
    op->auth_time_s = in->auth_time_s;
    return sp_ok(SP_TEXT_SET(&op->scope, in->scope)) && sp_ok(SP_TEXT_SET(&op->amr, in->amr)) &&
           sp_ok(SP_TEXT_SET(&op->device, in->device)) && sp_ok(sp_external_name(in->subject, &op->name));
}

void sp_app_session_add(struct sp_app *app, const struct sp_call *call,
                        const struct sp_session_add_request *in, sp_tokens_done *done, void *arg) {
    struct session_add_op *op = sp_op_new(app, call, &session_add_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    sp_tokens_init(&op->t);
    if (!texts_are_good(op, in)) {
        sp_op_finish(&op->t.base, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    op->has_roles = in->has_roles;
    enum sp_outcome o = sp_admin_accept_roles(app, in->roles, &op->roles);
    if (o == SP_OUTCOME_OK) {
        read_user(op);
    } else {
        sp_op_finish(&op->t.base, o);
    }
}
