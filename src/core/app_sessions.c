/* Own sessions: the live ones, newest first, then the ended ones that are still remembered, last end first.
 *
 * The store pages by sid, which is random, so all pages are walked and the best are kept: every live one, and
 * the latest ends.
 *
 * Whoever asks may be a thief with a copy of the session's tokens. If the list told him at once that the
 * client has refreshed, he would present his copy inside the retry window every time, be given the client's
 * own successor, and never trip. So times of live sessions lag: a refresh shows only when its window is over.
 */
#include "core/app_internal.h"

#include "core/session.h"

enum {
    SP_OWN_PAGE = 50,       /* rows of 3 KiB: bounds one read */
    SP_OWN_LIVE_MAX = 1000, /* a limit of sessions a user that is not set should not cost unbounded memory */
    SP_OWN_ENDED_MAX = 50,  /* ends shown: "why was I logged out?" is asked about the last ones */
};

/* No window is longer, so none is open any more when its refresh is shown. */
#define SHOWN_AFTER_MS ((int64_t)SP_GRACE_MAX_MS)

struct kept {
    struct sp_session_row row;
    enum sp_end_cause over;
    int64_t order_ms; /* created (live), over since (ended) */
};

struct own_op {
    struct sp_op base;
    struct sp_session_policy policy;
    int64_t floor_ms; /* since when sessions below the floor are over */
    uint8_t after[SP_ROW_SID_BYTES];
    struct kept *live;
    size_t live_n, live_cap;
    struct kept *ended; /* SP_OWN_ENDED_MAX */
    size_t ended_n;
    struct sp_session_view *views;
    size_t views_n;
};

static void own_release(struct sp_op *base) {
    struct own_op *op = (struct own_op *)(void *)base;
    sp_free_wiped(op->live, op->live_cap * sizeof(*op->live));
    sp_free_wiped(op->ended, op->ended == NULL ? 0 : SP_OWN_ENDED_MAX * sizeof(*op->ended));
    free(op->views);
}

static void own_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    const struct own_op *op = (const struct own_op *)(const void *)base;
    struct sp_sessions_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        result.views = op->views;
        result.n = op->views_n;
    }
    ((sp_sessions_done *)done)(arg, &result);
}
static const struct sp_op_kind own_kind = {
    .size = sizeof(struct own_op), .say = own_say, .release = own_release};

/* ---- keeping ---- */

static int64_t over_since_ms(const struct own_op *op, const struct sp_session_row *row,
                             enum sp_end_cause over) {
    if (row->state != SP_SESSION_ACTIVE) return row->ended_ms;
    if (over == SP_END_EXPIRED_IDLE) return row->idle_expires_ms;
    if (over == SP_END_EXPIRED_ABSOLUTE) return row->absolute_expires_ms;
    return op->floor_ms;
}

static sp_status keep_live(struct own_op *op, const struct kept *k) {
    if (op->live_n == SP_OWN_LIVE_MAX) return SP_SUCCESS;
    if (op->live_n == op->live_cap) {
        size_t cap = op->live_cap == 0 ? 16 : op->live_cap * 2;
        struct kept *more = calloc(cap, sizeof(*more));
        if (more == NULL) return sp_err(SP_E_NOMEM);
        if (op->live_n != 0) memcpy(more, op->live, op->live_n * sizeof(*more));
        sp_free_wiped(op->live, op->live_cap * sizeof(*op->live));
        op->live = more;
        op->live_cap = cap;
    }
    op->live[op->live_n++] = *k;
    return SP_SUCCESS;
}

static sp_status keep_ended(struct own_op *op, const struct kept *k) {
    if (k->order_ms + op->base.app->config.end_kept_s * 1000 < op->base.now_ms) return SP_SUCCESS;
    if (op->ended == NULL) op->ended = calloc(SP_OWN_ENDED_MAX, sizeof(*op->ended));
    if (op->ended == NULL) return sp_err(SP_E_NOMEM);
    if (op->ended_n < SP_OWN_ENDED_MAX) {
        op->ended[op->ended_n++] = *k;
        return SP_SUCCESS;
    }
    size_t oldest = 0;
    for (size_t i = 1; i < op->ended_n; i++) {
        if (op->ended[i].order_ms < op->ended[oldest].order_ms) oldest = i;
    }
    if (op->ended[oldest].order_ms < k->order_ms) op->ended[oldest] = *k;
    return SP_SUCCESS;
}

/* The latest rotation whose window is over; the login before there is one. Of a session that rotated more
 * often than the row remembers since then, only that it was there. */
static int64_t shown_seen_ms(const struct sp_session_row *row, int64_t now_ms) {
    const int64_t until_ms = now_ms - SHOWN_AFTER_MS;
    for (size_t i = 0; i < SP_ROW_ROTATIONS_KEPT; i++) {
        if (row->rotated_ms[i] == 0) return row->created_ms;
        if (row->rotated_ms[i] < until_ms) return row->rotated_ms[i];
    }
    return row->created_ms > until_ms ? row->created_ms : until_ms;
}

/* The end of idleness follows what is shown, not what is so: it would tell the same to the millisecond. */
static void blur(struct sp_session_row *row, const struct own_op *op) {
    row->last_seen_ms = shown_seen_ms(row, op->base.now_ms);
    int64_t idle_ms = row->last_seen_ms + op->base.app->config.idle_ttl_s * 1000;
    row->idle_expires_ms = idle_ms < row->absolute_expires_ms ? idle_ms : row->absolute_expires_ms;
}

static sp_status keep(struct own_op *op, const struct sp_session_row *row) {
    struct kept k = {.row = *row, .over = sp_session_over(row, op->base.now_ms, &op->policy)};
    sp_wipe(k.row.secret, sizeof(k.row.secret));
    if (k.over == SP_END_NONE) blur(&k.row, op);
    k.order_ms = k.over == SP_END_NONE ? row->created_ms : over_since_ms(op, row, k.over);
    return k.over == SP_END_NONE ? keep_live(op, &k) : keep_ended(op, &k);
}

static sp_status keep_page(struct own_op *op) {
    for (uint32_t i = 0; i < op->base.read.ret.n; i++) SP_TRY(keep(op, &op->base.read.ret.sessions[i]));
    return SP_SUCCESS;
}

/* ---- showing ---- */

static int later_first(const void *a, const void *b) {
    int64_t x = ((const struct kept *)a)->order_ms, y = ((const struct kept *)b)->order_ms;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void view(struct own_op *op, struct kept *list, size_t n) {
    if (n == 0) return;
    qsort(list, n, sizeof(*list), later_first);
    for (size_t i = 0; i < n; i++) {
        bool current = memcmp(list[i].row.sid, op->base.principal.sid, SP_ROW_SID_BYTES) == 0;
        op->views[op->views_n++] =
            (struct sp_session_view){.row = &list[i].row, .over = list[i].over, .current = current};
    }
}

static void show(struct own_op *op) {
    op->views = calloc(op->live_n + op->ended_n + 1, sizeof(*op->views));
    if (op->views == NULL) {
        sp_op_finish(&op->base, SP_OUTCOME_INTERNAL);
        return;
    }
    view(op, op->live, op->live_n);
    view(op, op->ended, op->ended_n);
    sp_op_finish(&op->base, SP_OUTCOME_OK);
}

/* ---- walking ---- */

static void read_page(struct own_op *op, bool is_first);

static void page_read(struct sp_op *base, sp_status status) {
    struct own_op *op = (struct own_op *)(void *)base;
    sp_status s = sp_ok(status) ? keep_page(op) : status;
    if (!sp_ok(s)) {
        sp_op_fail(base, s);
        return;
    }
    bool more = base->read.ret.more && base->read.ret.n > 0;
    if (more) memcpy(op->after, base->read.ret.sessions[base->read.ret.n - 1].sid, sizeof(op->after));
    if (more) {
        read_page(op, false);
    } else {
        show(op);
    }
}

static void read_page(struct own_op *op, bool is_first) {
    struct sp_store_read *r = sp_op_read_begin(&op->base, SP_READ_USER_SESSIONS);
    r->key = SP_SLICE_ARRAY(op->base.principal.user_id);
    r->sid_tag = op->base.principal.sid;
    if (!is_first) r->after = SP_SLICE_ARRAY(op->after);
    r->limit = SP_OWN_PAGE;
    sp_op_read(&op->base, page_read);
}

static void meta_read(struct sp_op *base, sp_status status) {
    struct own_op *op = (struct own_op *)(void *)base;
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->policy = sp_app_policy(base->app, &base->read.ret.meta);
    op->floor_ms = base->read.ret.meta.floor_ms;
    read_page(op, true);
}

void sp_app_sessions_own(struct sp_app *app, const struct sp_call *call, sp_sessions_done *done, void *arg) {
    struct own_op *op = sp_op_new(app, call, &own_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    const enum sp_outcome own = sp_op_judge_own_session(&op->base);
    if (own != SP_OUTCOME_OK) {
        sp_op_finish(&op->base, own);
        return;
    }
    sp_op_read_begin(&op->base, SP_READ_META);
    sp_op_read(&op->base, meta_read);
}
