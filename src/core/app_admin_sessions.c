/* The list of sessions, of everyone or of one user. The store's meta row is read first: whether a session
 * that stands there as active is over may depend on the session floor.
 *
 * In a list of everyone's, the users' names are read one by one, each user of the page once: a page bounds
 * it, and a join in the port would be for this one reader. A user who is gone has no name any more. */
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
    struct sp_store_read page; /* the sessions, while names are read; the views borrow from it */
    sp_text256 *names;         /* heap, one a view; empty: not known */
    size_t named;              /* views before this one have their names */
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
    struct sessions_op *s = sessions_of(op);
    free(s->views);
    free(s->names);
    sp_store_read_done(&s->page);
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

/* ---- names ---- */

static void name_next(struct sessions_op *s);

/* One read serves every session of the user. */
static void set_name(struct sessions_op *s, const uint8_t *user_id, const sp_text256 *name) {
    for (size_t i = s->named; i < s->views_n; i++) {
        if (memcmp(s->views[i].row->user_id, user_id, SP_ROW_ID_BYTES) != 0) continue; /* public */
        s->names[i] = *name;
        s->views[i].username = SP_TEXT_SLICE(&s->names[i]);
    }
}

static void user_read(struct sp_op *op, sp_status status) {
    struct sessions_op *s = sessions_of(op);
    if (!sp_ok(status) && !sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_fail(op, status);
        return;
    }
    if (sp_ok(status)) set_name(s, op->read.ret.users[0].id, &op->read.ret.users[0].display);
    s->named++;
    name_next(s);
}

static void name_next(struct sessions_op *s) {
    struct sp_op *op = &s->admin.plain.base;
    while (s->named < s->views_n && s->views[s->named].username.n != 0) s->named++;
    if (s->named == s->views_n) {
        sp_op_finish(op, SP_OUTCOME_OK);
        return;
    }
    struct sp_store_read *read = sp_op_read_begin(op, SP_READ_USER_BY_ID);
    read->key = SP_SLICE_ARRAY(s->views[s->named].row->user_id);
    sp_op_read(op, user_read);
}

static void begin_names(struct sessions_op *s) {
    struct sp_op *op = &s->admin.plain.base;
    s->names = calloc(s->views_n + 1, sizeof(*s->names));
    if (s->names == NULL) {
        sp_op_fail(op, sp_err(SP_E_NOMEM));
        return;
    }
    s->page = op->read; /* the rows change hands; the op's read is used again */
    memset(&op->read.ret, 0, sizeof(op->read.ret));
    name_next(s);
}

static void sessions_read(struct sp_op *op, sp_status status) {
    struct sessions_op *s = sessions_of(op);
    if (sp_ok(status)) status = make_views(s);
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else if (s->of_one_user) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        begin_names(s);
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
