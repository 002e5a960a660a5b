/* The list of sessions, of everyone or of one user. The store's meta row is read first: whether a session
 * that stands there as active is over may depend on the session floor. */
#include "core/app_admin.h"

#include "base/base64url.h"

struct sessions_op {
    struct sp_admin_op admin;
    bool of_one_user;
    bool with_ended;
    uint32_t limit;
    uint8_t after[SP_SID_BYTES];
    bool has_after;
    struct sp_session_policy policy;
    struct sp_session_view *views; /* heap */
    size_t views_n;
};

static struct sessions_op *sessions_of(struct sp_op *op) {
    return (struct sessions_op *)(void *)op;
}

static void sessions_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_sessions_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        struct sessions_op *s = sessions_of(op);
        result.views = s->views;
        result.n = s->views_n;
        result.next = sp_buf_slice(&s->admin.cursor);
    }
    ((sp_sessions_done *)done)(arg, &result);
}

static void sessions_release(struct sp_op *op) {
    free(sessions_of(op)->views);
    sp_admin_release(op);
}
static const struct sp_op_kind sessions_kind = {
    .size = sizeof(struct sessions_op), .say = sessions_say, .release = sessions_release};

static bool is_current(const struct sp_op *op, const struct sp_session_row *row) {
    return op->has_principal && !op->principal.is_local_admin &&
           memcmp(op->principal.sid, row->sid, sizeof(row->sid)) == 0; /* public */
}

static void add_view(struct sessions_op *s, struct sp_session_row *row) {
    struct sp_op *op = &s->admin.plain.base;
    const enum sp_end_cause over = sp_session_over(row, op->now_ms, &s->policy);
    sp_wipe(row->secret, sizeof(row->secret));
    if (over != SP_END_NONE && !s->with_ended) return;
    s->views[s->views_n++] = (struct sp_session_view){
        .row = row,
        .over = over,
        .current = is_current(op, row),
        .username = s->of_one_user ? SP_TEXT_SLICE(&s->admin.user.display) : SP_SLICE_EMPTY,
    };
}

static sp_status make_views(struct sessions_op *s) {
    struct sp_op *op = &s->admin.plain.base;
    const uint32_t n = op->read.ret.n;
    s->views = calloc((size_t)n + 1, sizeof(*s->views));
    if (s->views == NULL) return sp_err(SP_E_NOMEM);
    for (uint32_t i = 0; i < n; i++) add_view(s, &op->read.ret.sessions[i]);
    if (!op->read.ret.more || n == 0) return SP_SUCCESS;
    return sp_buf_append_base64url(&s->admin.cursor, SP_SLICE_ARRAY(op->read.ret.sessions[n - 1].sid));
}

static void sessions_read(struct sp_op *op, sp_status status) {
    if (sp_ok(status)) status = make_views(sessions_of(op));
    if (sp_ok(status)) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(op, status);
    }
}

static void meta_read(struct sp_op *op, sp_status status) {
    struct sessions_op *s = sessions_of(op);
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    s->policy = sp_app_policy(op->app, &op->read.ret.meta);
    struct sp_store_read *read =
        sp_op_read_begin(op, s->of_one_user ? SP_READ_USER_SESSIONS : SP_READ_SESSIONS);
    if (s->of_one_user) {
        read->key = SP_SLICE_ARRAY(s->admin.user.id);
        read->sid_tag = s->admin.sid_tag;
    }
    if (s->has_after) read->after = SP_SLICE_ARRAY(s->after);
    read->limit = s->limit;
    sp_op_read(op, sessions_read);
}

static void read_meta(struct sp_op *op, sp_status status) {
    (void)status; /* found, where a user was asked for */
    sp_op_read_begin(op, SP_READ_META);
    sp_op_read(op, meta_read);
}

void sp_app_sessions_list(struct sp_app *app, const struct sp_call *call, sp_slice user, bool with_ended,
                          sp_slice after, uint32_t limit, sp_sessions_done *done, void *arg) {
    struct sessions_op *s = sp_admin_op_new(app, call, &sessions_kind, (sp_any_done *)done, arg);
    if (s == NULL) return;
    struct sp_op *op = &s->admin.plain.base;
    s->with_ended = with_ended;
    s->limit = sp_admin_limit(limit);
    s->of_one_user = user.n != 0;
    s->has_after = after.n != 0;
    if (s->has_after && !sp_ok(sp_base64url_decode_exact(after, s->after, sizeof(s->after)))) {
        sp_op_finish(op, SP_OUTCOME_INVALID_REQUEST);
    } else if (s->of_one_user) {
        sp_admin_find(&s->admin, user, read_meta);
    } else {
        read_meta(op, SP_SUCCESS);
    }
}
