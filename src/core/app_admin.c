#include "core/app_admin.h"

#include "base/assert.h"
#include "base/base64url.h"

void *sp_admin_op_new(struct sp_app *app, const struct sp_call *call, const struct sp_op_kind *kind,
                      sp_any_done *done, void *arg) {
    sp_assert(kind->size >= sizeof(struct sp_admin_op));
    struct sp_admin_op *op = sp_op_new(app, call, kind, done, arg);
    if (op != NULL) sp_buf_init(&op->cursor, SP_CURSOR_BYTES_MAX);
    return op;
}

void sp_admin_release(struct sp_op *op) {
    sp_buf_done(&sp_admin_of(op)->cursor);
}

/* ---- finding a user ---- */

static void found_id(struct sp_admin_op *a, bool exists) {
    struct sp_op *op = &a->plain.base;
    a->user_exists = exists;
    sp_audit_actor_user(a->user.id, &a->user_text);
    sp_user_tag(sp_keys_sid_tag(op->app->keys), SP_SLICE_ARRAY(a->user.id), a->sid_tag);
    a->found(op, SP_SUCCESS);
}

static void take_user(struct sp_admin_op *a) {
    a->user = a->plain.base.read.ret.users[0];
    found_id(a, true);
}

/* The id stands in a->user, if the text was one. */
static void not_found(struct sp_admin_op *a) {
    if (a->id_will_do) {
        found_id(a, false);
    } else {
        sp_op_finish(&a->plain.base, SP_OUTCOME_NOT_FOUND);
    }
}

static void found_by_name(struct sp_op *op, sp_status status) {
    if (sp_is(status, SP_E_NOT_FOUND)) {
        not_found(sp_admin_of(op));
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        take_user(sp_admin_of(op));
    }
}

static sp_status name_of(sp_slice who, sp_text256 *ret) {
    sp_slice subject;
    return sp_name_external_subject(who, &subject) ? sp_external_name(subject, ret)
                                                   : sp_name_normalize(who, ret);
}

static void find_by_name(struct sp_admin_op *a) {
    struct sp_op *op = &a->plain.base;
    sp_status name = name_of(SP_TEXT_SLICE(&a->who), &a->name);
    if (sp_is(name, SP_E_NOMEM)) {
        sp_op_finish(op, SP_OUTCOME_INTERNAL);
        return;
    }
    if (!sp_ok(name)) { /* a text that no name can be */
        not_found(a);
        return;
    }
    sp_op_read_begin(op, SP_READ_USER_BY_NAME)->key = SP_TEXT_SLICE(&a->name);
    sp_op_read(op, found_by_name);
}

static void found_by_id(struct sp_op *op, sp_status status) {
    if (sp_is(status, SP_E_NOT_FOUND)) {
        find_by_name(sp_admin_of(op));
    } else {
        found_by_name(op, status);
    }
}

static void read_by_id(struct sp_admin_op *a, sp_op_step *next) {
    struct sp_op *op = &a->plain.base;
    sp_op_read_begin(op, SP_READ_USER_BY_ID)->key = SP_SLICE_ARRAY(a->user.id);
    sp_op_read(op, next);
}

void sp_admin_find(struct sp_admin_op *a, sp_slice name_or_id, sp_op_step *found) {
    sp_id id;
    a->found = found;
    if (!sp_ok(SP_TEXT_SET(&a->who, name_or_id))) {
        sp_op_finish(&a->plain.base, SP_OUTCOME_NOT_FOUND); /* longer than any name */
        return;
    }
    if (!sp_ok(sp_id_parse(name_or_id, &id))) {
        a->id_will_do = false;
        find_by_name(a);
        return;
    }
    memcpy(a->user.id, id.b, sizeof(id.b));
    read_by_id(a, found_by_id);
}

void sp_admin_find_again(struct sp_admin_op *a, sp_op_step *found) {
    a->found = found;
    read_by_id(a, found_by_name);
}

void sp_admin_find_or_id(struct sp_admin_op *a, sp_slice name_or_id, sp_op_step *found) {
    a->id_will_do = true;
    sp_admin_find(a, name_or_id, found);
}

void sp_admin_find_or_id_again(struct sp_admin_op *a, sp_op_step *found) {
    a->id_will_do = true;
    sp_admin_find_again(a, found);
}

bool sp_admin_may_retry(struct sp_op *op) {
    if (++op->tries > SP_OP_RETRIES_MAX) {
        sp_op_finish(op, SP_OUTCOME_CHANGED_MEANWHILE);
        return false;
    }
    sp_op_reset(op);
    return true;
}

/* ---- pages ---- */

uint32_t sp_admin_limit(uint32_t limit) {
    if (limit == 0) return SP_ADMIN_PAGE_DEFAULT;
    return limit < SP_READ_PAGE_MAX ? limit : SP_READ_PAGE_MAX;
}

sp_status sp_admin_cursor_read(sp_slice text, size_t max, struct sp_buf *ret) {
    uint8_t *p = NULL;
    size_t n = 0;
    if (text.n == 0) return SP_SUCCESS;
    SP_TRY(sp_buf_reserve(ret, max, &p));
    SP_TRY(sp_base64url_decode(text, p, max, &n));
    sp_buf_advance(ret, n);
    return SP_SUCCESS;
}

/* ---- parts of change sets ---- */

struct sp_change *sp_admin_end_sessions(struct sp_admin_op *a, enum sp_end_cause cause) {
    struct sp_op *op = &a->plain.base;
    struct sp_change *c = sp_op_change(op, SP_CHANGE_SESSIONS_END);
    c->sessions_end = (struct sp_sessions_end){
        .tenant = SP_TENANT_DEFAULT,
        .user_id = a->user.id,
        .sid_tag = a->sid_tag,
        .state = SP_SESSION_ENDED,
        .cause = cause,
        .now_ms = op->now_ms,
    };
    return c;
}
