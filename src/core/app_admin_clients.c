/* Clients: list, show, add, a new secret, disable, enable, delete. */
#include "core/app_admin.h"

enum {
    /* Below what the table can hold: the publisher must never meet a durable client that no table takes, and
     * additions that are on their way at one moment go as far as the difference. */
    CLIENTS_MAX = SP_CLIENTS_MAX - 256,
};

struct client_op {
    struct sp_admin_op admin;
    sp_text64 id;
    enum sp_client_edit what;            /* of an edit */
    int64_t overlap_ms;                  /* of a rotation */
    struct sp_client_row row;            /* as found, and then as it will be */
    char secret[SP_CLIENT_SECRET_CHARS]; /* wiped with the op */
    bool has_secret;
    bool is_under_way; /* counted in app->under_way */
};

static struct client_op *client_of(struct sp_op *op) {
    return (struct client_op *)(void *)op;
}

/* Not even hashes leave. */
static void forget_hashes(struct sp_client_row *row) {
    for (size_t i = 0; i < SP_ARRAY_LEN(row->secrets); i++)
        sp_wipe(row->secrets[i].hash, sizeof(row->secrets[i].hash));
}

static void clients_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_clients_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        struct client_op *c = client_of(op);
        const bool is_page = op->read.kind == SP_READ_CLIENTS;
        result.rows = is_page ? op->read.ret.clients : &c->row;
        result.n = is_page ? op->read.ret.n : 1;
        result.next = sp_buf_slice(&c->admin.cursor);
        result.now_ms = op->now_ms;
        if (c->has_secret) result.secret = SP_SLICE_ARRAY(c->secret);
    }
    ((sp_clients_done *)done)(arg, &result);
}

static void rows_release(struct sp_op *op) {
    if (client_of(op)->is_under_way) atomic_fetch_sub(&op->app->under_way.clients, 1);
    sp_admin_release(op);
}

static const struct sp_op_kind rows_kind = {
    .size = sizeof(struct client_op), .say = clients_say, .release = rows_release};
static const struct sp_op_kind edit_kind = {
    .size = sizeof(struct client_op), .say = sp_plain_say, .release = sp_admin_release};

/* ---- finding ---- */

static void read_client(struct client_op *c, sp_op_step *found) {
    struct sp_op *op = &c->admin.plain.base;
    sp_op_read_begin(op, SP_READ_CLIENT)->key = SP_TEXT_SLICE(&c->id);
    sp_op_read(op, found);
}

static void find(struct client_op *c, sp_slice id, sp_op_step *found) {
    if (sp_client_id_valid(id) && sp_ok(SP_TEXT_SET(&c->id, id))) {
        read_client(c, found);
    } else {
        sp_op_finish(&c->admin.plain.base, SP_OUTCOME_NOT_FOUND);
    }
}

/* false: there is none, or the store has failed; the op has ended. */
static bool take_row(struct sp_op *op, sp_status status) {
    if (sp_is(status, SP_E_NOT_FOUND)) {
        sp_op_finish(op, SP_OUTCOME_NOT_FOUND);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        client_of(op)->row = op->read.ret.clients[0];
    }
    return sp_ok(status);
}

/* ---- list, show ---- */

static void listed(struct sp_op *op, sp_status status) {
    struct sp_buf *cursor = &client_of(op)->admin.cursor;
    if (!sp_ok(status)) {
        sp_op_fail(op, status);
        return;
    }
    for (uint32_t i = 0; i < op->read.ret.n; i++) forget_hashes(&op->read.ret.clients[i]);
    sp_buf_clear(cursor);
    sp_status s = SP_SUCCESS;
    if (op->read.ret.more && op->read.ret.n != 0)
        s = sp_buf_append_base64url(cursor, SP_TEXT_SLICE(&op->read.ret.clients[op->read.ret.n - 1].id));
    sp_op_finish(op, sp_ok(s) ? SP_OUTCOME_OK : SP_OUTCOME_INTERNAL);
}

void sp_app_clients_list(struct sp_app *app, const struct sp_call *call, sp_slice after, uint32_t limit,
                         sp_clients_done *done, void *arg) {
    struct client_op *c = sp_admin_op_new(app, call, &rows_kind, (sp_any_done *)done, arg);
    if (c == NULL) return;
    struct sp_op *op = &c->admin.plain.base;
    if (!sp_ok(sp_admin_cursor_read(after, sizeof(c->row.id.s), &c->admin.cursor))) {
        sp_op_finish(op, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    struct sp_store_read *read = sp_op_read_begin(op, SP_READ_CLIENTS);
    read->after = sp_buf_slice(&c->admin.cursor);
    read->limit = sp_admin_limit(limit);
    sp_op_read(op, listed);
}

static void shown(struct sp_op *op, sp_status status) {
    if (!take_row(op, status)) return;
    forget_hashes(&client_of(op)->row);
    sp_op_finish(op, SP_OUTCOME_OK);
}

void sp_app_client_show(struct sp_app *app, const struct sp_call *call, sp_slice id, sp_clients_done *done,
                        void *arg) {
    struct client_op *c = sp_admin_op_new(app, call, &rows_kind, (sp_any_done *)done, arg);
    if (c != NULL) find(c, id, shown);
}

/* ---- changes ---- */

static sp_status record(struct client_op *c, enum sp_audit_action action, const struct sp_log_field *detail,
                        size_t n) {
    const struct sp_audit_event event = {
        .action = action, .target = SP_TEXT_SLICE(&c->id), .detail = detail, .detail_n = n};
    return sp_op_audit(&c->admin.plain.base, &event);
}

static void put_row(struct client_op *c, uint64_t expect_version) {
    sp_op_change(&c->admin.plain.base, SP_CHANGE_CLIENT_PUT)->client_put =
        (struct sp_client_put){.row = &c->row, .expect_version = expect_version};
}

static void commit(struct client_op *c, sp_status built, sp_op_step *next) {
    struct sp_op *op = &c->admin.plain.base;
    if (sp_ok(built)) {
        sp_op_commit(op, next);
    } else {
        sp_op_fail(op, built);
    }
}

static sp_status make_secret(struct client_op *c, struct sp_client_secret *ret) {
    const struct sp_op *op = &c->admin.plain.base;
    uint8_t hash[SP_ROW_HASH_BYTES];
    SP_TRY(sp_client_secret_new(&op->app->deps.random, c->secret, hash));
    *ret = (struct sp_client_secret){.used = true, .created_ms = op->now_ms};
    memcpy(ret->hash, hash, sizeof(hash));
    c->has_secret = true;
    return SP_SUCCESS;
}

/* ---- add ---- */

static void added(struct sp_op *op, sp_status status) {
    struct client_op *c = client_of(op);
    forget_hashes(&c->row);
    if (sp_is(status, SP_E_CONFLICT)) {
        sp_op_finish(op, SP_OUTCOME_ALREADY_EXISTS);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        c->row.version = 1; /* as the store has set it */
        sp_op_finish(op, SP_OUTCOME_OK);
    }
}

static bool is_room(struct client_op *c) {
    struct sp_app *app = c->admin.plain.base.app;
    const size_t others = atomic_fetch_add(&app->under_way.clients, 1);
    c->is_under_way = true;
    const size_t n = sp_live_clients_count(app->clients);
    return n < CLIENTS_MAX && n + others < SP_CLIENTS_MAX;
}

/* The client of first-party sessions is the server's own, and no program's. */
static enum sp_outcome add_accept(struct client_op *c, const struct sp_client_add_request *in) {
    const struct sp_op *op = &c->admin.plain.base;
    if (!sp_client_id_valid(in->id)) return SP_OUTCOME_INVALID_REQUEST;
    if (sp_slice_eq(in->id, SP_TEXT_SLICE(&op->app->config.client_id))) return SP_OUTCOME_ALREADY_EXISTS;
    if (!is_room(c)) return SP_OUTCOME_LIMIT_EXCEEDED;
    c->row.tenant = SP_TENANT_DEFAULT;
    c->row.feed = in->feed;
    c->row.created_ms = op->now_ms;
    const bool fits = sp_ok(SP_TEXT_SET(&c->id, in->id)) && sp_ok(SP_TEXT_SET(&c->row.id, in->id));
    return fits ? SP_OUTCOME_OK : SP_OUTCOME_INVALID_REQUEST;
}

void sp_app_client_add(struct sp_app *app, const struct sp_call *call, const struct sp_client_add_request *in,
                       sp_clients_done *done, void *arg) {
    struct client_op *c = sp_admin_op_new(app, call, &rows_kind, (sp_any_done *)done, arg);
    if (c == NULL) return;
    const enum sp_outcome o = add_accept(c, in);
    if (o != SP_OUTCOME_OK) {
        sp_op_finish(&c->admin.plain.base, o);
        return;
    }
    const struct sp_log_field detail[] = {
        SP_LOGF_TEXT("feed", in->feed ? SP_SLICE_LIT("yes") : SP_SLICE_LIT("no"))};
    sp_status s = make_secret(c, &c->row.secrets[0]);
    put_row(c, SP_VERSION_ABSENT);
    if (sp_ok(s)) s = record(c, SP_AUDIT_CLIENT_CREATED, detail, SP_ARRAY_LEN(detail));
    commit(c, s, added);
}

/* ---- a new secret ---- */

/* The place that is given up: an empty one, then one that has lapsed or will, the sooner the better. */
static struct sp_client_secret *place_for_next(struct sp_client_row *row) {
    struct sp_client_secret *least = &row->secrets[0];
    for (size_t i = 0; i < SP_ARRAY_LEN(row->secrets); i++) {
        struct sp_client_secret *s = &row->secrets[i];
        if (!s->used) return s;
        const bool lapses_sooner =
            s->expires_ms != 0 && (least->expires_ms == 0 || s->expires_ms < least->expires_ms);
        if (lapses_sooner) least = s;
    }
    return least;
}

static void let_lapse(struct sp_client_secret *secret, int64_t at_ms, int64_t now_ms) {
    if (!secret->used) return;
    if (secret->expires_ms == 0 || secret->expires_ms > at_ms) secret->expires_ms = at_ms;
    if (secret->expires_ms <= now_ms) sp_wipe(secret, sizeof(*secret));
}

static sp_status build_rotation(struct client_op *c) {
    const int64_t now_ms = c->admin.plain.base.now_ms;
    struct sp_client_secret *next = place_for_next(&c->row);
    for (size_t i = 0; i < SP_ARRAY_LEN(c->row.secrets); i++)
        let_lapse(&c->row.secrets[i], now_ms + c->overlap_ms, now_ms);
    SP_TRY(make_secret(c, next));
    put_row(c, c->row.version);
    const struct sp_log_field detail[] = {SP_LOGF_I64("overlap_s", c->overlap_ms / 1000)};
    return record(c, SP_AUDIT_CLIENT_SECRET_ROTATED, detail, SP_ARRAY_LEN(detail));
}

static void rotation_found(struct sp_op *op, sp_status status);

static void rotated(struct sp_op *op, sp_status status) {
    struct client_op *c = client_of(op);
    if (sp_is(status, SP_E_CONFLICT)) {
        if (sp_admin_may_retry(op)) read_client(c, rotation_found);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        forget_hashes(&c->row);
        c->row.version++; /* as the store has set it */
        sp_op_finish(op, SP_OUTCOME_OK);
    }
}

static void rotation_found(struct sp_op *op, sp_status status) {
    if (take_row(op, status)) commit(client_of(op), build_rotation(client_of(op)), rotated);
}

void sp_app_client_rotate(struct sp_app *app, const struct sp_call *call, sp_slice id, int64_t overlap_s,
                          sp_clients_done *done, void *arg) {
    struct client_op *c = sp_admin_op_new(app, call, &rows_kind, (sp_any_done *)done, arg);
    if (c == NULL) return;
    if (overlap_s < 0 || overlap_s > SP_CLIENT_OVERLAP_S_MAX) {
        sp_op_finish(&c->admin.plain.base, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    c->overlap_ms = overlap_s * 1000;
    find(c, id, rotation_found);
}

/* ---- disable, enable, delete ---- */

static sp_status build_edit(struct client_op *c) {
    if (c->what == SP_CLIENT_DELETE) {
        sp_op_change(&c->admin.plain.base, SP_CHANGE_CLIENT_DELETE)->client_delete =
            (struct sp_client_delete){
                .tenant = SP_TENANT_DEFAULT, .id = SP_TEXT_SLICE(&c->id), .expect_version = c->row.version};
        return record(c, SP_AUDIT_CLIENT_DELETED, NULL, 0);
    }
    c->row.disabled = c->what == SP_CLIENT_DISABLE;
    put_row(c, c->row.version);
    return record(c, c->row.disabled ? SP_AUDIT_CLIENT_DISABLED : SP_AUDIT_CLIENT_ENABLED, NULL, 0);
}

/* Asked for what is already so: done, without a record that says something changed. */
static bool is_so_already(const struct client_op *c) {
    if (c->what == SP_CLIENT_DISABLE) return c->row.disabled;
    return c->what == SP_CLIENT_ENABLE && !c->row.disabled;
}

static void edit_found(struct sp_op *op, sp_status status);

static void edited(struct sp_op *op, sp_status status) {
    if (sp_is(status, SP_E_CONFLICT)) {
        if (sp_admin_may_retry(op)) read_client(client_of(op), edit_found);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        sp_op_finish(op, SP_OUTCOME_OK);
    }
}

static void edit_found(struct sp_op *op, sp_status status) {
    struct client_op *c = client_of(op);
    if (!take_row(op, status)) return;
    if (is_so_already(c)) {
        sp_op_finish(op, SP_OUTCOME_OK);
    } else {
        commit(c, build_edit(c), edited);
    }
}

void sp_app_client_edit(struct sp_app *app, const struct sp_call *call, sp_slice id, enum sp_client_edit what,
                        sp_plain_done *done, void *arg) {
    struct client_op *c = sp_admin_op_new(app, call, &edit_kind, (sp_any_done *)done, arg);
    if (c == NULL) return;
    c->what = what;
    find(c, id, edit_found);
}
