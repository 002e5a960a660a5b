/* Clients: list, show, add, change, a new secret, disable, enable, delete. */
#include "core/app_admin.h"

enum {
    /* Below what the table can hold: the publisher must never meet a durable client that no table takes, and
     * additions that are on their way at one moment go as far as the difference. */
    CLIENTS_MAX = SP_CLIENTS_MAX - 256,
};

struct client_op {
    struct sp_admin_op admin;
    sp_text64 id;
    enum sp_client_edit what;    /* of an edit */
    int64_t overlap_ms;          /* of a rotation */
    struct sp_client_row row;    /* as found, and then as it will be */
    struct sp_client_row wanted; /* of a change: options alone */
    uint64_t expect_version;     /* of a change */
    bool brings_secret;          /* the caller's own, of which this is the hash */
    uint8_t own_hash[SP_ROW_HASH_BYTES];
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
    if (op != NULL) result.why = op->why;
    if (op != NULL && outcome == SP_OUTCOME_OK) {
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

static void refuse(struct client_op *c, enum sp_client_fault fault) {
    struct sp_op *op = &c->admin.plain.base;
    op->why.reason = sp_client_fault_code(fault);
    op->why.detail = sp_client_fault_doc(fault);
    sp_op_finish(op, fault == SP_CLIENT_FAULT_MEMORY ? SP_OUTCOME_INTERNAL : SP_OUTCOME_INVALID_REQUEST);
}

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
        sp_client_row_complete(&client_of(op)->row);
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
    for (uint32_t i = 0; i < op->read.ret.n; i++) {
        forget_hashes(&op->read.ret.clients[i]);
        sp_client_row_complete(&op->read.ret.clients[i]);
    }
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

/* A row from before clients had subjects gets its own with the next change. */
static struct sp_client_put *put_row(struct client_op *c, uint64_t expect_version) {
    if (!sp_client_has_subject(&c->row)) sp_client_subject(SP_TEXT_SLICE(&c->row.id), c->row.subject);
    struct sp_client_put *put = &sp_op_change(&c->admin.plain.base, SP_CHANGE_CLIENT_PUT)->client_put;
    *put = (struct sp_client_put){.row = &c->row, .expect_version = expect_version};
    return put;
}

/* Access tokens of its own that were issued until now are refused. */
static void raise_epoch(struct client_op *c, struct sp_client_put *put) {
    const struct sp_op *op = &c->admin.plain.base;
    c->row.epoch = (uint32_t)(op->now_ms / 1000); /* or one more than it is: the store sees to that */
    put->raise_epoch = true;
    put->epoch_expires_s = sp_app_epoch_expires_s(op->app, op->now_ms);
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
    *ret = (struct sp_client_secret){.used = true, .created_ms = op->now_ms};
    if (c->brings_secret) {
        memcpy(ret->hash, c->own_hash, sizeof(ret->hash));
        return SP_SUCCESS;
    }
    SP_TRY(sp_client_secret_new(&op->app->deps.random, c->secret, ret->hash));
    c->has_secret = true;
    return SP_SUCCESS;
}

/* Of a secret that the caller brings, only the hash is kept, from the very beginning. */
static enum sp_client_fault take_secret(struct client_op *c, sp_slice secret) {
    if (secret.n == 0) return SP_CLIENT_FAULT_NONE;
    const enum sp_client_fault fault = sp_client_secret_own_check(secret);
    if (fault != SP_CLIENT_FAULT_NONE) return fault;
    sp_client_secret_hash(secret, c->own_hash);
    c->brings_secret = true;
    return SP_CLIENT_FAULT_NONE;
}

static struct sp_log_field yes_or_no(const char *key, bool value) {
    return SP_LOGF_TEXT(key, value ? SP_SLICE_LIT("yes") : SP_SLICE_LIT("no"));
}

enum { OPTION_FIELDS_MAX = 12 };

/* What decides who may come in and what for; texts that are empty are left out. */
static size_t describe(const struct sp_client_row *row, struct sp_log_field ret[OPTION_FIELDS_MAX]) {
    const struct sp_log_field texts[] = {
        SP_LOGF_TEXT("auth_method", SP_TEXT_SLICE(&row->auth_method)),
        SP_LOGF_TEXT("grants", SP_TEXT_SLICE(&row->grants)),
        SP_LOGF_TEXT("scopes", SP_TEXT_SLICE(&row->scopes)),
        SP_LOGF_TEXT("audiences", SP_TEXT_SLICE(&row->audiences)),
        SP_LOGF_TEXT("redirect_uris", SP_TEXT_SLICE(&row->redirect_uris)),
        SP_LOGF_TEXT("backchannel_logout_uri", SP_TEXT_SLICE(&row->backchannel_logout_uri)),
    };
    size_t n = 0;
    ret[n++] = yes_or_no("feed", row->feed);
    for (size_t i = 0; i < SP_ARRAY_LEN(texts); i++) {
        if (texts[i].text.n != 0) ret[n++] = texts[i];
    }
    if (row->trusted) ret[n++] = yes_or_no("trusted", true);
    if (!row->rotate_refresh) ret[n++] = yes_or_no("rotate_refresh", false);
    return n;
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
        /* Whatever somebody else of this id has left: nobody inherits sessions. */
        sp_client_sweep(op->app, op, SP_TEXT_SLICE(&c->id), op->now_ms - 1);
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

/* The first of now, now + 1, now + 2, now + 4 ... that is not refused for a client of this id that was
 * deleted a moment ago, or before the clock was set back. */
static uint32_t first_epoch(const struct sp_app *app, const uint8_t *subject, int64_t now_ms) {
    const uint32_t now = (uint32_t)(now_ms / 1000);
    uint32_t more = 0;
    sp_seats_enter(app->seats);
    while (more < UINT32_MAX / 4 && sp_epochs_check(app->deps.epochs, sp_slice_of(subject, SP_ROW_ID_BYTES),
                                                    now + more, UINT32_MAX) != SP_EPOCH_CURRENT)
        more = more == 0 ? 1 : 2 * more;
    sp_seats_leave(app->seats);
    return now + more;
}

/* The client of first-party sessions is the server's own, and no program's. */
static enum sp_outcome add_accept(struct client_op *c, sp_slice id) {
    const struct sp_op *op = &c->admin.plain.base;
    if (!sp_client_id_valid(id)) return SP_OUTCOME_INVALID_REQUEST;
    if (sp_slice_eq(id, SP_TEXT_SLICE(&op->app->config.client_id))) return SP_OUTCOME_ALREADY_EXISTS;
    if (!is_room(c)) return SP_OUTCOME_LIMIT_EXCEEDED;
    c->row.tenant = SP_TENANT_DEFAULT;
    c->row.created_ms = op->now_ms;
    sp_client_subject(id, c->row.subject);
    c->row.epoch = first_epoch(op->app, c->row.subject, op->now_ms);
    const bool fits = sp_ok(SP_TEXT_SET(&c->id, id)) && sp_ok(SP_TEXT_SET(&c->row.id, id));
    return fits ? SP_OUTCOME_OK : SP_OUTCOME_INVALID_REQUEST;
}

static enum sp_client_fault apply_options(const struct client_op *c, const struct sp_client_options *options,
                                          struct sp_client_row *row) {
    const enum sp_client_fault fault = sp_client_options_apply(options, row);
    const bool has_uri = row->backchannel_logout_uri.n != 0;
    if (fault != SP_CLIENT_FAULT_NONE || !has_uri) return fault;
    const bool has_openid = sp_oauth_has_openid(c->admin.plain.base.app);
    return has_openid ? SP_CLIENT_FAULT_NONE : SP_CLIENT_FAULT_BACKCHANNEL_NEEDS_OPENID;
}

static enum sp_client_fault add_options(struct client_op *c, const struct sp_client_add_request *in) {
    const enum sp_client_fault fault = apply_options(c, &in->options, &c->row);
    if (fault != SP_CLIENT_FAULT_NONE) return fault;
    if (in->secret.n != 0 && !sp_client_has_secret_method(&c->row)) return SP_CLIENT_FAULT_NO_SECRET;
    return take_secret(c, in->secret);
}

static sp_status build_client(struct client_op *c) {
    struct sp_log_field detail[OPTION_FIELDS_MAX];
    if (sp_client_has_secret_method(&c->row)) SP_TRY(make_secret(c, &c->row.secrets[0]));
    put_row(c, SP_VERSION_ABSENT);
    return record(c, SP_AUDIT_CLIENT_CREATED, detail, describe(&c->row, detail));
}

void sp_app_client_add(struct sp_app *app, const struct sp_call *call, const struct sp_client_add_request *in,
                       sp_clients_done *done, void *arg) {
    struct client_op *c = sp_admin_op_new(app, call, &rows_kind, (sp_any_done *)done, arg);
    if (c == NULL) return;
    const enum sp_outcome o = add_accept(c, in->id);
    if (o != SP_OUTCOME_OK) {
        sp_op_finish(&c->admin.plain.base, o);
        return;
    }
    const enum sp_client_fault fault = add_options(c, in);
    if (fault == SP_CLIENT_FAULT_NONE) {
        commit(c, build_client(c), added);
    } else {
        refuse(c, fault);
    }
}

/* ---- change ---- */

/* What is not among the options stays. */
static void keep_identity(struct sp_client_row *next, const struct sp_client_row *was) {
    next->tenant = was->tenant;
    next->version = was->version;
    next->id = was->id;
    next->disabled = was->disabled;
    next->epoch = was->epoch;
    next->created_ms = was->created_ms;
    memcpy(next->subject, was->subject, sizeof(next->subject));
    memcpy(next->secrets, was->secrets, sizeof(next->secrets));
    if (!sp_client_has_secret_method(next)) sp_wipe(next->secrets, sizeof(next->secrets));
}

static bool same_text(sp_slice a, sp_slice b, const char *name, struct sp_buf *changed) {
    const bool same = sp_slice_eq(a, b);
    /* a list that is cut is still a record */
    if (!same) SP_IGNORE(sp_buf_printf(changed, "%s%s", changed->n == 0 ? "" : " ", name));
    return same;
}

static bool same_flag(bool a, bool b, const char *name, struct sp_buf *changed) {
    return same_text(sp_slice_of("1", a), sp_slice_of("1", b), name, changed);
}

/* Names what differs, in words. */
static bool is_same(const struct sp_client_row *a, const struct sp_client_row *b, struct sp_buf *changed) {
    bool same = true;
#define SAME_TEXT(member)                                                                                    \
    same &= same_text(SP_TEXT_SLICE(&a->member), SP_TEXT_SLICE(&b->member), #member, changed)
#define SAME_FLAG(member) same &= same_flag(a->member, b->member, #member, changed)
    SAME_TEXT(name);
    SAME_TEXT(auth_method);
    SAME_TEXT(grants);
    SAME_TEXT(scopes);
    SAME_TEXT(audiences);
    SAME_TEXT(redirect_uris);
    SAME_TEXT(post_logout_redirect_uris);
    SAME_TEXT(backchannel_logout_uri);
    SAME_TEXT(jwks);
    SAME_FLAG(feed);
    SAME_FLAG(rotate_refresh);
    SAME_FLAG(trusted);
    SAME_FLAG(require_par);
    SAME_FLAG(require_dpop);
#undef SAME_TEXT
#undef SAME_FLAG
    return same;
}

enum { CHANGED_BYTES_MAX = 256 }; /* every name */

static sp_status build_change(struct client_op *c, sp_slice changed, bool is_narrower) {
    struct sp_log_field detail[1 + OPTION_FIELDS_MAX] = {SP_LOGF_TEXT("changed", changed)};
    struct sp_client_put *put = put_row(c, c->row.version);
    if (is_narrower) raise_epoch(c, put);
    return record(c, SP_AUDIT_CLIENT_CHANGED, detail, 1 + describe(&c->row, detail + 1));
}

static void change_found(struct sp_op *op, sp_status status);

/* `again`: what to do with the row that somebody else has changed meanwhile. */
static void put_again(struct sp_op *op, sp_status status, sp_op_step *again) {
    struct client_op *c = client_of(op);
    if (sp_is(status, SP_E_CONFLICT)) {
        if (sp_admin_may_retry(op)) read_client(c, again);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        forget_hashes(&c->row);
        c->row.version++; /* as the store has set it */
        sp_op_finish(op, SP_OUTCOME_OK);
    }
}

static void changed(struct sp_op *op, sp_status status) {
    put_again(op, status, change_found);
}

static void change(struct client_op *c) {
    SP_AUTO(sp_buf) names = SP_BUF_INIT(CHANGED_BYTES_MAX);
    struct sp_op *op = &c->admin.plain.base;
    keep_identity(&c->wanted, &c->row);
    if (is_same(&c->wanted, &c->row, &names)) {
        forget_hashes(&c->row);
        sp_op_finish(op, SP_OUTCOME_OK);
        return;
    }
    const bool is_narrower = sp_client_is_narrower(&c->wanted, &c->row);
    c->row = c->wanted;
    commit(c, build_change(c, sp_buf_slice(&names), is_narrower), changed);
}

static void change_found(struct sp_op *op, sp_status status) {
    struct client_op *c = client_of(op);
    if (!take_row(op, status)) return;
    if (c->expect_version != SP_VERSION_ANY && c->expect_version != c->row.version) {
        sp_op_finish(op, SP_OUTCOME_CHANGED_MEANWHILE);
    } else {
        change(c);
    }
}

void sp_app_client_set(struct sp_app *app, const struct sp_call *call, sp_slice id,
                       const struct sp_client_options *options, uint64_t expect_version,
                       sp_clients_done *done, void *arg) {
    struct client_op *c = sp_admin_op_new(app, call, &rows_kind, (sp_any_done *)done, arg);
    if (c == NULL) return;
    const enum sp_client_fault fault = apply_options(c, options, &c->wanted);
    if (fault != SP_CLIENT_FAULT_NONE) {
        refuse(c, fault);
        return;
    }
    c->expect_version = expect_version;
    find(c, id, change_found);
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
    put_again(op, status, rotation_found);
}

static void rotation_found(struct sp_op *op, sp_status status) {
    struct client_op *c = client_of(op);
    if (!take_row(op, status)) return;
    if (sp_client_has_secret_method(&c->row)) {
        commit(c, build_rotation(c), rotated);
    } else {
        refuse(c, SP_CLIENT_FAULT_NO_SECRET);
    }
}

void sp_app_client_rotate(struct sp_app *app, const struct sp_call *call, sp_slice id,
                          const struct sp_client_rotate_request *in, sp_clients_done *done, void *arg) {
    struct client_op *c = sp_admin_op_new(app, call, &rows_kind, (sp_any_done *)done, arg);
    if (c == NULL) return;
    const enum sp_client_fault fault = take_secret(c, in->secret);
    if (in->overlap_s < 0 || in->overlap_s > SP_CLIENT_OVERLAP_S_MAX) {
        sp_op_finish(&c->admin.plain.base, SP_OUTCOME_INVALID_REQUEST);
    } else if (fault != SP_CLIENT_FAULT_NONE) {
        refuse(c, fault);
    } else {
        c->overlap_ms = in->overlap_s * 1000;
        find(c, id, rotation_found);
    }
}

/* ---- disable, enable, delete ---- */

static sp_status build_delete(struct client_op *c) {
    const struct sp_op *op = &c->admin.plain.base;
    sp_op_change(&c->admin.plain.base, SP_CHANGE_CLIENT_DELETE)->client_delete = (struct sp_client_delete){
        .tenant = SP_TENANT_DEFAULT,
        .id = SP_TEXT_SLICE(&c->id),
        .expect_version = c->row.version,
        .epoch_expires_s = sp_app_epoch_expires_s(op->app, op->now_ms),
    };
    return record(c, SP_AUDIT_CLIENT_DELETED, NULL, 0);
}

static sp_status build_edit(struct client_op *c) {
    if (c->what == SP_CLIENT_DELETE) return build_delete(c);
    c->row.disabled = c->what == SP_CLIENT_DISABLE;
    struct sp_client_put *put = put_row(c, c->row.version);
    if (c->row.disabled) raise_epoch(c, put);
    return record(c, c->row.disabled ? SP_AUDIT_CLIENT_DISABLED : SP_AUDIT_CLIENT_ENABLED, NULL, 0);
}

/* Asked for what is already so: done, without a record that says something changed. */
static bool is_so_already(const struct client_op *c) {
    if (c->what == SP_CLIENT_DISABLE) return c->row.disabled;
    return c->what == SP_CLIENT_ENABLE && !c->row.disabled;
}

/* Its sessions are ended once more when it was disabled before: a restart may have kept them from it. Up to
 * this moment, not to that when it was asked: until the commit its codes were good. */
static void finish_edit(struct client_op *c) {
    struct sp_op *op = &c->admin.plain.base;
    const int64_t until_ms = sp_app_now_ms(op->app);
    if (c->what != SP_CLIENT_ENABLE) sp_client_sweep(op->app, op, SP_TEXT_SLICE(&c->id), until_ms);
    sp_op_finish(op, SP_OUTCOME_OK);
}

static void edit_found(struct sp_op *op, sp_status status);

static void edited(struct sp_op *op, sp_status status) {
    if (sp_is(status, SP_E_CONFLICT)) {
        if (sp_admin_may_retry(op)) read_client(client_of(op), edit_found);
    } else if (!sp_ok(status)) {
        sp_op_fail(op, status);
    } else {
        finish_edit(client_of(op));
    }
}

static void edit_found(struct sp_op *op, sp_status status) {
    struct client_op *c = client_of(op);
    if (!take_row(op, status)) return;
    if (is_so_already(c)) {
        finish_edit(c);
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
