/* Back-channel logout: the outbox is emptied, one client a hand.
 *
 *   an event, the tick        wake: a task on the thread that delivers
 *   wake                      takes clients of which something is due, SP_LOGOUTS_AT_ONCE at most
 *   a client that is taken    one logout: token, POST, and what became of it into the store
 *
 *   2xx                                  done, on record
 *   400                                  the client's own no (section 2.8): done, on record as failed
 *   anything else, or no answer          again later: this logout, and this client, wait twice as long
 *   older than SP_LOGOUT_KEPT_MS then    given up, with all others of the client that are as old
 *   client gone, no address, HS256       given up at once, all of the client's
 *
 * The store's outbox is the truth; the queue in memory is where to look first, and is read anew when it may
 * lack something: after a start, and when there was no memory for a row. A logout is delivered at least once:
 * again when we die, or the store fails, between the client's answer and our own note of it.
 *
 * Only what was tried in vain is given up for its age, so that a clock that jumps forward loses nothing
 * unheard. Waiting goes by the clock since boot; what is stored goes by the wall clock and is cut to the
 * longest wait when it is read.
 *
 * Turned down: a logout that fails is tried again alone, while others of its client go on (a client that is
 * away would be asked for each session of its users); a client's first failure stops it until an
 * administrator looks (nobody would). */
#include "core/backchannel.h"

#include "base/assert.h"
#include "core/app_internal.h"
#include "core/oauth.h"
#include "token/id_token.h"
#include "token/ids.h"

enum {
    GIVEN_UP_AT_ONCE = 32,    /* rows in a change set, under one record */
    PAYLOAD_BYTES_MAX = 2048, /* issuer and client id at their longest, every character escaped */
    BODY_BYTES_MAX = 8 * 1024,
    HTTP_BAD_REQUEST = 400,
};

/* How a logout leaves the outbox. */
enum logout_end { DELIVERED, REFUSED, TOO_OLD, CLIENT_GONE, NO_ADDRESS, NO_OPENID };
static const char *const end_names[] = {"delivered",   "refused",    "too_old",
                                        "client_gone", "no_address", "no_openid"};

struct logout_op {
    struct sp_op base;
    struct sp_logout_client *client;    /* taken */
    const struct sp_client *registered; /* held; NULL: gone */
    struct sp_delivery delivery;
    struct sp_buf body;
    enum logout_end end;
    size_t n; /* of waits, and of the changes that go with them */
    struct sp_logout_wait waits[GIVEN_UP_AT_ONCE];
    struct sp_change changes[GIVEN_UP_AT_ONCE + 1]; /* and the record, which may be left out */
    bool has_record;
};

static struct logout_op *logout_of(struct sp_op *op) {
    return (struct logout_op *)(void *)op;
}

static int64_t boot_ms(const struct sp_app *app) {
    return sp_clock_boot_ms(&app->deps.clock);
}

static void lock(struct sp_backchannel *b) {
    pthread_mutex_lock(&b->mutex);
}
static void unlock(struct sp_backchannel *b) {
    pthread_mutex_unlock(&b->mutex);
}

/* ---- waking ---- */

static void wake(struct sp_app *app) {
    struct sp_backchannel *b = &app->backchannel;
    if (app->deps.deliver.submit == NULL) return;
    lock(b);
    const bool posts = !b->is_woken;
    b->is_woken = true;
    if (posts) sp_background_began(app);
    unlock(b);
    if (posts) sp_executor_post(app->deps.deliver.executor, &b->wake);
}

/* ---- the queue ---- */

/* Twice as long after each failure, and not at the same moment as everybody else: from 3/4 to 5/4 of it. */
static int64_t wait_ms(const struct sp_app *app, uint32_t failures) {
    int64_t ms = SP_LOGOUT_RETRY_MS;
    uint32_t dice = UINT32_MAX / 2;
    for (uint32_t i = 1; i < failures && ms < SP_LOGOUT_RETRY_MAX_MS; i++) ms *= 2;
    if (ms > SP_LOGOUT_RETRY_MAX_MS) ms = SP_LOGOUT_RETRY_MAX_MS;
    SP_IGNORE(sp_random_fill(&app->deps.random, &dice, sizeof(dice))); /* without it: no dice */
    return ms * 3 / 4 + (int64_t)((uint64_t)ms / 2 * dice / UINT32_MAX);
}

static struct sp_logout_wait wait_of(const struct sp_app *app, const struct sp_logout_row *row) {
    const int64_t most_ms = SP_LOGOUT_RETRY_MAX_MS + SP_LOGOUT_RETRY_MAX_MS / 4;
    int64_t left_ms = row->tries == 0 ? 0 : row->next_ms - sp_app_now_ms(app);
    if (left_ms < 0) left_ms = 0;
    if (left_ms > most_ms) left_ms = most_ms;
    struct sp_logout_wait w = {.seq = row->seq,
                               .due_ms = boot_ms(app) + left_ms,
                               .created_ms = row->created_ms,
                               .tries = row->tries};
    memcpy(w.sid, row->sid, sizeof(w.sid));
    memcpy(w.user_id, row->user_id, sizeof(w.user_id));
    return w;
}

/* With the lock. */
static void put(struct sp_backchannel *b, sp_slice client_id, const struct sp_logout_wait *w) {
    if (!sp_ok(sp_logout_queue_put(&b->queue, client_id, w))) b->is_incomplete = true;
}

/* What was popped goes back as it is; due_ms may have changed. */
static void put_back(struct logout_op *op) {
    struct sp_backchannel *b = &op->base.app->backchannel;
    lock(b);
    for (size_t i = 0; i < op->n; i++) put(b, SP_TEXT_SLICE(&op->client->id), &op->waits[i]);
    unlock(b);
    op->n = 0;
}

static void hold_client(struct logout_op *op, int64_t ms) {
    struct sp_backchannel *b = &op->base.app->backchannel;
    lock(b);
    op->client->not_before_ms = boot_ms(op->base.app) + ms;
    unlock(b);
}

/* ---- ends of an op ---- */

static void logout_release(struct sp_op *base) {
    struct logout_op *op = logout_of(base);
    struct sp_backchannel *b = &base->app->backchannel;
    lock(b);
    sp_logout_queue_give_back(&b->queue, op->client);
    unlock(b);
    sp_client_release(op->registered);
    sp_buf_done(&op->body);
    sp_backchannel_tick(base->app);
}
static const struct sp_op_kind logout_kind = {
    .size = sizeof(struct logout_op), .say = sp_background_say, .release = logout_release};

/* Nothing that the client has to do with: it is tried again, and has not been tried. */
static void postpone(struct logout_op *op, int64_t ms) {
    hold_client(op, ms);
    put_back(op);
    sp_op_finish(&op->base, SP_OUTCOME_OK);
}

/* ---- out of the outbox ---- */

static void settle(struct logout_op *op, enum logout_end end);
static void settle_more(struct logout_op *op);

static sp_status build_record(struct logout_op *op) {
    struct sp_op *base = &op->base;
    const struct sp_logout_wait *first = &op->waits[0];
    const bool is_one = op->n == 1, is_ok = op->end == DELIVERED;
    struct sp_log_field detail[4];
    size_t n = 0;
    detail[n++] = SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->client->id));
    detail[n++] = is_one ? SP_LOGF_I64("tries", (int64_t)first->tries + (op->end <= REFUSED ? 1 : 0))
                         : SP_LOGF_I64("logouts", (int64_t)op->n);
    if (!is_ok) detail[n++] = SP_LOGF_TEXT("reason", sp_slice_cstr(end_names[op->end]));
    const struct sp_audit_event event = {.action = SP_AUDIT_LOGOUT_NOTIFIED,
                                         .outcome = is_ok ? SP_AUDIT_OK : SP_AUDIT_FAILED,
                                         .actor = SP_AUDIT_ACTOR_SYSTEM,
                                         .target = SP_TEXT_SLICE(&op->client->id),
                                         .sid = is_one ? first->sid : NULL,
                                         .detail = detail,
                                         .detail_n = n};
    /* A client that is dead for good gets one record a minute, whatever happens to its sessions. */
    op->has_record = is_ok || sp_audit_coalesce(base->app->coalescer, &event, base->now_ms) == SP_AUDIT_WRITE;
    return op->has_record ? sp_op_audit(base, &event) : SP_SUCCESS;
}

static void count_settled(const struct logout_op *op, size_t n) {
    struct sp_app_counters *c = &op->base.app->counters;
    _Atomic uint64_t *of = op->end == DELIVERED ? &c->logouts_delivered : &c->logouts_given_up;
    atomic_fetch_add_explicit(of, n, memory_order_relaxed);
}

static void commit_settled(struct logout_op *op);

static void settled(struct sp_op *base, sp_status status) {
    struct logout_op *op = logout_of(base);
    const size_t failed = base->commit.failed;
    if (sp_is(status, SP_E_CONFLICT) && failed < op->n) { /* made room for newer ones: gone anyway */
        count_settled(op, 1);
        op->n--;
        memmove(&op->waits[failed], &op->waits[failed + 1], (op->n - failed) * sizeof(op->waits[0]));
        commit_settled(op);
    } else if (sp_ok(status)) {
        count_settled(op, op->n);
        settle_more(op);
    } else {
        postpone(op, SP_LOGOUT_RETRY_MS);
    }
}

static void commit_settled(struct logout_op *op) {
    if (op->n == 0) {
        settle_more(op);
        return;
    }
    for (size_t i = 0; i < op->n; i++) {
        op->changes[i] =
            (struct sp_change){.kind = SP_CHANGE_LOGOUT_DONE, .logout_done = {.seq = op->waits[i].seq}};
    }
    size_t n = op->n;
    if (op->has_record) op->changes[n++] = op->base.changes[0];
    sp_op_commit_changes(&op->base, op->changes, n, settled);
}

/* Those in op->waits. */
static void settle(struct logout_op *op, enum logout_end end) {
    op->end = end;
    op->base.now_ms = sp_app_now_ms(op->base.app);
    sp_op_reset(&op->base);
    if (sp_ok(build_record(op)))
        commit_settled(op);
    else
        postpone(op, SP_LOGOUT_RETRY_MS);
}

/* More of the client's that end in the same way: all, or (given up for its age) those that are as old. */
static void pop_more(struct logout_op *op) {
    struct sp_app *app = op->base.app;
    struct sp_backchannel *b = &app->backchannel;
    const int64_t before_ms = sp_app_now_ms(app) - SP_LOGOUT_KEPT_MS;
    lock(b);
    for (bool more = true; more && op->n < GIVEN_UP_AT_ONCE; op->n += more) {
        struct sp_logout_wait *w = &op->waits[op->n];
        more = op->end == TOO_OLD ? sp_logout_client_pop_old(&b->queue, op->client, before_ms, w)
                                  : sp_logout_client_pop(&b->queue, op->client, w);
    }
    unlock(b);
}

static void settle_more(struct logout_op *op) {
    op->n = 0;
    if (op->end > REFUSED && !atomic_load(&op->base.app->is_stopping)) pop_more(op);
    if (op->n != 0)
        settle(op, op->end);
    else
        sp_op_finish(&op->base, SP_OUTCOME_OK);
}

static void give_up(struct logout_op *op, enum logout_end end) {
    op->end = end;
    pop_more(op);
    if (op->n != 0)
        settle(op, end);
    else
        sp_op_finish(&op->base, SP_OUTCOME_OK);
}

/* ---- what became of a try ---- */

/* The wait before the next try, of the logout and of the client; *ret_first: it had worked before. */
static int64_t count_failure(struct logout_op *op, bool *ret_first) {
    struct sp_app *app = op->base.app;
    struct sp_backchannel *b = &app->backchannel;
    struct sp_logout_wait *w = &op->waits[0];
    const int64_t own_ms = wait_ms(app, ++w->tries);
    atomic_fetch_add_explicit(&app->counters.logouts_failed, 1, memory_order_relaxed);
    lock(b);
    const uint32_t failures = ++op->client->failures;
    op->client->not_before_ms = boot_ms(app) + wait_ms(app, failures);
    unlock(b);
    w->due_ms = boot_ms(app) + own_ms;
    *ret_first = failures == 1;
    return own_ms;
}

/* Also when the store did not take it: what is lost then is a number. */
static void tried(struct sp_op *base, sp_status status) {
    struct logout_op *op = logout_of(base);
    if (sp_is(status, SP_E_CONFLICT)) { /* made room for newer ones: it is not tried again */
        atomic_fetch_add_explicit(&base->app->counters.logouts_given_up, op->n, memory_order_relaxed);
        op->n = 0;
    }
    put_back(op);
    sp_op_finish(base, SP_OUTCOME_OK);
}

static void note_try(struct logout_op *op, int64_t own_ms) {
    const struct sp_logout_wait *w = &op->waits[0];
    op->changes[0] = (struct sp_change){
        .kind = SP_CHANGE_LOGOUT_TRIED,
        .logout_tried = {.seq = w->seq, .tries = w->tries, .next_ms = sp_app_now_ms(op->base.app) + own_ms}};
    sp_op_commit_changes(&op->base, op->changes, 1, tried);
}

static void failed(struct logout_op *op) {
    const struct sp_logout_wait *w = &op->waits[0];
    bool is_first;
    const int64_t own_ms = count_failure(op, &is_first);
    if (is_first) {
        SP_LOG(&op->base.app->deps.log, SP_LOG_WARN, "logout_not_delivered",
               SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->client->id)),
               SP_LOGF_I64("status", op->delivery.http_status),
               SP_LOGF_TEXT("reason", sp_slice_cstr(op->delivery.reason)));
    }
    const int64_t age_ms = sp_app_now_ms(op->base.app) - w->created_ms;
    if (age_ms > SP_LOGOUT_KEPT_MS || w->tries >= SP_LOGOUT_TRIES_MAX)
        settle(op, TOO_OLD);
    else
        note_try(op, own_ms);
}

static void answered(struct logout_op *op) {
    struct sp_backchannel *b = &op->base.app->backchannel;
    const int status = op->delivery.http_status;
    const bool is_success = status >= 200 && status < 300;
    if (!is_success && status != HTTP_BAD_REQUEST) {
        failed(op);
        return;
    }
    lock(b);
    op->client->failures = 0;
    unlock(b);
    settle(op, is_success ? DELIVERED : REFUSED);
}

static void hold_all(struct sp_app *app) {
    struct sp_backchannel *b = &app->backchannel;
    lock(b);
    b->not_sent_before_ms = boot_ms(app) + SP_LOGOUT_UNABLE_MS;
    unlock(b);
}

static void delivered(struct sp_task *task) {
    struct sp_delivery *job = SP_CONTAINER_OF(task, struct sp_delivery, task);
    struct logout_op *op = SP_CONTAINER_OF(job, struct logout_op, delivery);
    op->base.is_later = true;
    switch (job->result) {
    case SP_DELIVERY_ANSWERED: answered(op); return;
    case SP_DELIVERY_FAILED: failed(op); return;
    case SP_DELIVERY_UNABLE: hold_all(op->base.app); break;
    case SP_DELIVERY_STOPPED: break;
    }
    postpone(op, 0);
}

/* ---- a try ---- */

static sp_status write_payload(struct logout_op *op, struct sp_buf *ret) {
    struct sp_app *app = op->base.app;
    const struct sp_logout_wait *w = &op->waits[0];
    char sub[SP_ID_CHARS], jti[SP_ID_CHARS], sid[SP_SID_CHARS];
    sp_id id, user;
    sp_sid session;
    SP_TRY(sp_id_random(&app->deps.random, &id));
    memcpy(user.b, w->user_id, sizeof(user.b));
    memcpy(session.b, w->sid, sizeof(session.b));
    sp_id_text(id, jti);
    sp_id_text(user, sub);
    sp_sid_text(session, sid);
    const int64_t now_s = sp_app_now_ms(app) / 1000;
    return sp_logout_token_write_json(&(struct sp_logout_token){.iss = SP_TEXT_SLICE(&app->config.issuer),
                                                                .aud = SP_TEXT_SLICE(&op->client->id),
                                                                .jti = SP_SLICE_ARRAY(jti),
                                                                .iat = now_s,
                                                                .exp = now_s + SP_LOGOUT_TOKEN_TTL_S,
                                                                .sub = SP_SLICE_ARRAY(sub),
                                                                .sid = SP_SLICE_ARRAY(sid)},
                                      ret);
}

/* A token needs no escape in a form: base64url and dots. */
static sp_status write_body(struct logout_op *op) {
    SP_AUTO(sp_buf) payload = SP_BUF_INIT(PAYLOAD_BYTES_MAX);
    SP_AUTO(sp_buf) token = SP_BUF_INIT(BODY_BYTES_MAX);
    SP_TRY(write_payload(op, &payload));
    SP_TRY(sp_app_sign_json(op->base.app, SP_SLICE_LIT(SP_LOGOUT_TOKEN_TYP), sp_buf_slice(&payload), &token));
    SP_TRY(sp_buf_append_cstr(&op->body, "logout_token="));
    return sp_buf_append(&op->body, sp_buf_slice(&token));
}

static sp_status submit(struct logout_op *op) {
    const struct sp_deliver *deliver = &op->base.app->deps.deliver;
    SP_TRY(write_body(op));
    op->delivery = (struct sp_delivery){.task = {.run = delivered},
                                        .executor = &op->base.app->inline_executor,
                                        .url = SP_TEXT_SLICE(&op->registered->row.backchannel_logout_uri),
                                        .body = sp_buf_slice(&op->body),
                                        .timeout_ms = SP_LOGOUT_TIMEOUT_MS,
                                        .reason = ""};
    return deliver->submit(deliver->arg, &op->delivery);
}

static void try_one(struct logout_op *op) {
    struct sp_backchannel *b = &op->base.app->backchannel;
    lock(b);
    op->n = sp_logout_client_pop(&b->queue, op->client, &op->waits[0]);
    unlock(b);
    if (op->n == 0)
        sp_op_finish(&op->base, SP_OUTCOME_OK);
    else if (!sp_ok(submit(op)))
        postpone(op, SP_LOGOUT_RETRY_MS);
}

static void begin(struct sp_app *app, struct sp_logout_client *client) {
    struct sp_backchannel *b = &app->backchannel;
    struct logout_op *op = sp_op_background(app, NULL, &logout_kind);
    if (op == NULL) { /* no memory */
        lock(b);
        client->not_before_ms = boot_ms(app) + SP_LOGOUT_RETRY_MS;
        sp_logout_queue_give_back(&b->queue, client);
        unlock(b);
        return;
    }
    op->client = client;
    sp_buf_init(&op->body, BODY_BYTES_MAX);
    op->registered = sp_live_clients_get(app->clients, SP_TEXT_SLICE(&client->id));
    if (op->registered == NULL)
        give_up(op, CLIENT_GONE);
    else if (op->registered->row.backchannel_logout_uri.n == 0)
        give_up(op, NO_ADDRESS);
    else if (!sp_oauth_has_openid(app))
        give_up(op, NO_OPENID);
    else
        try_one(op);
}

/* ---- reading the outbox ---- */

struct read_op {
    struct sp_op base;
    uint64_t after_seq, until_seq;
};

static void read_release(struct sp_op *base) {
    struct sp_backchannel *b = &base->app->backchannel;
    lock(b);
    b->is_reading = false;
    unlock(b);
    sp_backchannel_tick(base->app);
}
static const struct sp_op_kind read_kind = {
    .size = sizeof(struct read_op), .say = sp_background_say, .release = read_release};

static void read_page(struct read_op *op);

static void read_failed(struct read_op *op, sp_status status) {
    struct sp_backchannel *b = &op->base.app->backchannel;
    SP_LOG(&op->base.app->deps.log, SP_LOG_WARN, "logouts_not_read",
           SP_LOGF_TEXT("reason", sp_slice_cstr(sp_code_name(status.code))));
    lock(b);
    b->is_incomplete = true;
    unlock(b);
    sp_op_finish(&op->base, SP_OUTCOME_OK);
}

static void page_read(struct sp_op *base, sp_status status) {
    struct read_op *op = (struct read_op *)(void *)base;
    struct sp_backchannel *b = &base->app->backchannel;
    if (!sp_ok(status)) {
        read_failed(op, status);
        return;
    }
    const struct sp_logout_row *rows = base->read.ret.logouts;
    const uint32_t n = base->read.ret.n;
    bool more = base->read.ret.more && n != 0;
    lock(b);
    for (uint32_t i = 0; i < n && rows[i].seq <= op->until_seq; i++) {
        const struct sp_logout_wait w = wait_of(base->app, &rows[i]);
        put(b, SP_TEXT_SLICE(&rows[i].client_id), &w);
    }
    unlock(b);
    if (n != 0) op->after_seq = rows[n - 1].seq;
    more = more && op->after_seq < op->until_seq && !atomic_load(&base->app->is_stopping);
    if (more)
        read_page(op);
    else
        sp_op_finish(base, SP_OUTCOME_OK);
}

static void read_page(struct read_op *op) {
    struct sp_store_read *r = sp_op_read_begin(&op->base, SP_READ_LOGOUTS);
    r->after_seq = op->after_seq;
    r->limit = SP_READ_PAGE_MAX;
    sp_op_read(&op->base, page_read);
}

/* What comes from here on is heard of by itself. */
static void read_outbox(struct sp_app *app) {
    struct sp_backchannel *b = &app->backchannel;
    struct read_op *op = sp_op_background(app, NULL, &read_kind);
    lock(b);
    b->not_read_before_ms = boot_ms(app) + SP_LOGOUT_RELOAD_MS;
    b->is_reading = op != NULL;
    b->is_incomplete = op == NULL;
    if (op != NULL) {
        sp_logout_queue_clear(&b->queue);
        op->until_seq = b->heard_seq;
    }
    unlock(b);
    if (op != NULL) read_page(op);
}

/* ---- deciding what to do ---- */

/* With the lock. The queue is made anew when nobody holds a client of it. */
static bool wants_reading(const struct sp_backchannel *b, int64_t now_ms) {
    return b->is_incomplete && !b->is_reading && now_ms >= b->not_read_before_ms;
}

static bool may_send(const struct sp_backchannel *b, int64_t now_ms) {
    return now_ms >= b->not_sent_before_ms && b->queue.taken < SP_LOGOUTS_AT_ONCE;
}

static void wake_run(struct sp_task *task) {
    struct sp_backchannel *b = SP_CONTAINER_OF(task, struct sp_backchannel, wake);
    struct sp_app *app = SP_CONTAINER_OF(b, struct sp_app, backchannel);
    const int64_t now_ms = boot_ms(app);
    struct sp_logout_client *client;
    bool reads;
    lock(b);
    b->is_woken = false;
    unlock(b);
    do {
        client = NULL;
        lock(b);
        reads = wants_reading(b, now_ms);
        if (!reads && !atomic_load(&app->is_stopping) && may_send(b, now_ms))
            client = sp_logout_queue_take(&b->queue, now_ms);
        reads = reads && b->queue.taken == 0;
        unlock(b);
        if (client != NULL) begin(app, client);
    } while (client != NULL);
    if (reads && !atomic_load(&app->is_stopping)) read_outbox(app);
    sp_background_ended(app);
}

void sp_backchannel_tick(struct sp_app *app) {
    struct sp_backchannel *b = &app->backchannel;
    const int64_t now_ms = boot_ms(app);
    lock(b);
    const bool is_due =
        wants_reading(b, now_ms) || (may_send(b, now_ms) && sp_logout_queue_is_due(&b->queue, now_ms));
    unlock(b);
    if (is_due && !atomic_load(&app->is_stopping)) wake(app);
}

void sp_backchannel_hear(struct sp_app *app, const struct sp_logout_row *row) {
    struct sp_backchannel *b = &app->backchannel;
    const struct sp_logout_wait w = wait_of(app, row);
    lock(b);
    b->heard_seq = row->seq;
    put(b, SP_TEXT_SLICE(&row->client_id), &w);
    unlock(b);
    wake(app);
}

size_t sp_backchannel_waiting(struct sp_app *app) {
    struct sp_backchannel *b = &app->backchannel;
    lock(b);
    const size_t n = b->queue.waiting + b->queue.taken;
    unlock(b);
    return n;
}

/* ---- life ---- */

void sp_backchannel_init(struct sp_app *app) {
    sp_assert(pthread_mutex_init(&app->backchannel.mutex, NULL) == 0);
    app->backchannel.wake.run = wake_run;
}

void sp_backchannel_begin(struct sp_app *app, uint64_t last_seq) {
    app->backchannel.heard_seq = last_seq;
    app->backchannel.is_incomplete = last_seq != 0;
}

void sp_backchannel_done(struct sp_app *app) {
    sp_logout_queue_done(&app->backchannel.queue);
    pthread_mutex_destroy(&app->backchannel.mutex);
}
