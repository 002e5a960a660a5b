/* The sessions of a client that was disabled or deleted: ended in the background, by one walk over all
 * sessions, page by page.
 *
 * Nothing waits for it. The table of live clients refuses the client's refresh tokens at once; the walk is
 * for the access tokens that it still has of people, and so that nobody finds sessions in a list that are
 * good for nothing. There is one walk at a time, for however many clients; those that come while one is under
 * way wait for the next. It ends what was there when the client went and nothing younger, unless the client
 * is gone and so can have begun nothing since (the clock was set back). So it can be begun again: disabling a
 * disabled client does, and so does making a client, for those that an earlier one of its id has left. A
 * restart forgets it.
 *
 * Turned down: an index of sessions by client (a write more at every login, for what happens once a year). */
#include "core/app_internal.h"
#include "token/ids.h"

/* Sessions that are read at a time: half a megabyte, and milliseconds of the writer's time. */
enum { SWEEP_PAGE = 256 };

struct sp_swept_client {
    sp_text64 id, actor;
    int64_t until_ms; /* sessions that began later are not meant */
    uint32_t ended;
};

struct sweep_op {
    struct sp_op base;
    struct sp_swept_client *clients; /* heap, n_clients */
    size_t n_clients;
    sp_sid after;
    bool has_after, has_more;
    size_t n; /* of the next two: sessions to be ended */
    struct sp_change changes[SWEEP_PAGE];
    size_t whose[SWEEP_PAGE]; /* index into clients */
};

static struct sweep_op *sweep_of(struct sp_op *op) {
    return (struct sweep_op *)(void *)op;
}

static void begin(struct sp_app *app);

/* ---- the list of clients ---- */

static struct sp_swept_client *find(struct sp_swept_client *all, size_t n, sp_slice id) {
    for (size_t i = 0; i < n; i++) {
        if (sp_slice_eq(SP_TEXT_SLICE(&all[i].id), id)) return &all[i];
    }
    return NULL;
}

static bool make_room(struct sp_client_sweep *sweep) {
    if (sweep->n < sweep->cap) return true;
    const size_t cap = sweep->cap == 0 ? 4 : 2 * sweep->cap; /* each id once */
    struct sp_swept_client *more = realloc(sweep->waiting, cap * sizeof(*more));
    if (more == NULL) return false;
    sweep->waiting = more;
    sweep->cap = cap;
    return true;
}

static bool put(struct sp_client_sweep *sweep, const struct sp_swept_client *client) {
    struct sp_swept_client *same = find(sweep->waiting, sweep->n, SP_TEXT_SLICE(&client->id));
    if (same == NULL && !make_room(sweep)) return false;
    if (same == NULL) same = &sweep->waiting[sweep->n++];
    *same = *client;
    return true;
}

static void log_trouble(struct sp_app *app, const char *reason) {
    SP_LOG(&app->deps.log, SP_LOG_WARN, "client_sessions_left",
           SP_LOGF_TEXT("reason", sp_slice_cstr(reason)));
}

void sp_client_sweep(struct sp_app *app, const struct sp_op *like, sp_slice client_id, int64_t until_ms) {
    struct sp_client_sweep *sweep = &app->client_sweep;
    struct sp_swept_client client = {.actor = like->actor, .until_ms = until_ms};
    if (!sp_ok(SP_TEXT_SET(&client.id, client_id))) return; /* it is a client's id */
    pthread_mutex_lock(&app->background_mutex);
    const bool is_put = put(sweep, &client), begins = is_put && !sweep->is_under_way;
    if (begins) sweep->is_under_way = true;
    pthread_mutex_unlock(&app->background_mutex);
    if (!is_put) log_trouble(app, "no memory");
    if (begins) begin(app);
}

void sp_client_sweep_done(struct sp_app *app) {
    free(app->client_sweep.waiting);
}

/* ---- the walk ---- */

/* The next walk begins before this one is forgotten, so that sp_app_free waits for it. */
static void sweep_release(struct sp_op *op) {
    struct sp_app *app = op->app;
    struct sp_client_sweep *sweep = &app->client_sweep;
    free(sweep_of(op)->clients);
    pthread_mutex_lock(&app->background_mutex);
    const bool goes_on = sweep->n != 0 && !atomic_load(&app->is_stopping);
    sweep->is_under_way = goes_on;
    pthread_mutex_unlock(&app->background_mutex);
    if (goes_on) begin(app);
}
static const struct sp_op_kind sweep_kind = {
    .size = sizeof(struct sweep_op), .say = sp_background_say, .release = sweep_release};

static void read_page(struct sweep_op *s);

static void record(struct sp_app *app, const struct sp_swept_client *client) {
    const struct sp_log_field detail[] = {SP_LOGF_I64("sessions", client->ended)};
    const struct sp_audit_event event = {.action = SP_AUDIT_CLIENT_SESSIONS_ENDED,
                                         .actor = SP_TEXT_SLICE(&client->actor),
                                         .target = SP_TEXT_SLICE(&client->id),
                                         .detail = detail,
                                         .detail_n = SP_ARRAY_LEN(detail)};
    sp_op_audit_system(app, &event);
}

static void finish(struct sweep_op *s) {
    for (size_t i = 0; i < s->n_clients; i++) {
        if (s->clients[i].ended != 0) record(s->base.app, &s->clients[i]);
    }
    sp_op_finish(&s->base, SP_OUTCOME_OK);
}

/* What was ended until then stays on record. */
static void give_up(struct sweep_op *s, sp_status status) {
    log_trouble(s->base.app, sp_code_name(status.code));
    finish(s);
}

static void next_page(struct sweep_op *s) {
    if (s->has_more && !atomic_load(&s->base.app->is_stopping)) {
        read_page(s);
    } else {
        finish(s);
    }
}

/* Somebody else has ended it meanwhile: the others are tried without it. */
static void leave_out(struct sweep_op *s, size_t i) {
    s->n--;
    memmove(&s->changes[i], &s->changes[i + 1], (s->n - i) * sizeof(s->changes[0]));
    memmove(&s->whose[i], &s->whose[i + 1], (s->n - i) * sizeof(s->whose[0]));
}

static void end_sessions(struct sweep_op *s);

static void ended(struct sp_op *op, sp_status status) {
    struct sweep_op *s = sweep_of(op);
    if (sp_is(status, SP_E_CONFLICT)) {
        leave_out(s, op->commit.failed);
        end_sessions(s);
    } else if (!sp_ok(status)) {
        give_up(s, status);
    } else {
        for (size_t i = 0; i < s->n; i++) s->clients[s->whose[i]].ended++;
        next_page(s);
    }
}

static void end_sessions(struct sweep_op *s) {
    if (s->n == 0) {
        next_page(s);
    } else {
        sp_op_commit_changes(&s->base, s->changes, s->n, ended);
    }
}

static bool is_gone(struct sp_app *app, sp_slice client_id) {
    const struct sp_client *client = sp_live_clients_get(app->clients, client_id);
    const bool gone = client == NULL || client->row.disabled;
    sp_client_release(client);
    return gone;
}

/* Borrows the sid from the page. */
static void look_at(struct sweep_op *s, const struct sp_session_row *row) {
    struct sp_swept_client *client = find(s->clients, s->n_clients, SP_TEXT_SLICE(&row->client_id));
    if (client == NULL || row->state != SP_SESSION_ACTIVE) return;
    if (row->created_ms > client->until_ms && !is_gone(s->base.app, SP_TEXT_SLICE(&client->id))) return;
    s->changes[s->n].kind = SP_CHANGE_SESSION_END;
    s->changes[s->n].session_end = (struct sp_session_end){
        .tenant = row->tenant,
        .sid = row->sid,
        .expect_generation = SP_GENERATION_ANY,
        .state = SP_SESSION_ENDED,
        .cause = SP_END_CLIENT_REVOKED,
        .now_ms = sp_app_now_ms(s->base.app),
    };
    s->whose[s->n++] = (size_t)(client - s->clients);
}

static void page_read(struct sp_op *op, sp_status status) {
    struct sweep_op *s = sweep_of(op);
    if (!sp_ok(status)) {
        give_up(s, status);
        return;
    }
    const uint32_t n = op->read.ret.n;
    s->n = 0;
    for (uint32_t i = 0; i < n; i++) look_at(s, &op->read.ret.sessions[i]);
    s->has_more = n != 0 && op->read.ret.more;
    if (n != 0) memcpy(s->after.b, op->read.ret.sessions[n - 1].sid, sizeof(s->after.b));
    s->has_after = true;
    end_sessions(s);
}

static void read_page(struct sweep_op *s) {
    struct sp_store_read *read = sp_op_read_begin(&s->base, SP_READ_SESSIONS);
    read->after = s->has_after ? SP_SLICE_ARRAY(s->after.b) : SP_SLICE_EMPTY;
    read->limit = SWEEP_PAGE;
    sp_op_read(&s->base, page_read);
}

/* Whoever calls has set is_under_way. */
static void begin(struct sp_app *app) {
    struct sp_client_sweep *sweep = &app->client_sweep;
    struct sweep_op *s = sp_op_background(app, NULL, &sweep_kind);
    pthread_mutex_lock(&app->background_mutex);
    if (s == NULL) {
        sweep->is_under_way = false; /* they wait for the next client that goes */
    } else {
        s->clients = sweep->waiting;
        s->n_clients = sweep->n;
        *sweep = (struct sp_client_sweep){.is_under_way = true};
    }
    pthread_mutex_unlock(&app->background_mutex);
    if (s == NULL)
        log_trouble(app, "no memory");
    else
        read_page(s);
}
