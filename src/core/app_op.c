/* The frame of an asynchronous use case: app_internal.h tells the idea. */
#include "core/app_internal.h"

#include "base/assert.h"

/* ---- birth ---- */

/* Cut at a character; what is not printable UTF-8 becomes '?', because it will be shown to people. */
static sp_slice printable(sp_slice value, char *room, size_t cap) {
    size_t n = value.n < cap ? value.n : cap;
    if (n < value.n) {
        while (n > 0 && (value.p[n] & 0xC0) == 0x80) n--;
    }
    if (n == 0) return SP_SLICE_EMPTY;
    memcpy(room, value.p, n);
    if (!sp_utf8_printable(sp_slice_of(room, n))) {
        for (size_t i = 0; i < n; i++) {
            if (room[i] < 0x20 || room[i] > 0x7E) room[i] = '?';
        }
    }
    return sp_slice_of(room, n);
}

#define SET_PRINTABLE(text, value)                                                                           \
    do {                                                                                                     \
        char room_[sizeof((text)->s)];                                                                       \
        /* cannot fail: cut to the text's own capacity */                                                    \
        SP_IGNORE(SP_TEXT_SET((text), printable((value), room_, sizeof(room_))));                            \
    } while (0)

static void set_actor(struct sp_op *op) {
    if (!op->has_principal) return;
    if (op->principal.is_local_admin) {
        sp_audit_actor_admin(op->principal.uid, &op->actor);
    } else if (op->principal.is_client) {
        sp_audit_actor_client(SP_TEXT_SLICE(&op->principal.client_id), &op->actor);
    } else {
        sp_audit_actor_user(op->principal.user_id, &op->actor);
    }
}

static void copy_call(struct sp_op *op, const struct sp_call *call) {
    op->executor = call->executor;
    op->channel = call->channel;
    SET_PRINTABLE(&op->address, call->address);
    SET_PRINTABLE(&op->user_agent, call->user_agent);
    SET_PRINTABLE(&op->request_id, call->request_id);
    op->has_principal = call->principal != NULL;
    if (op->has_principal) op->principal = *call->principal;
    set_actor(op);
}

static struct sp_op *op_alloc(struct sp_app *app, const struct sp_op_kind *kind) {
    sp_assert(kind->size >= sizeof(struct sp_op));
    struct sp_op *op = calloc(1, kind->size);
    if (op == NULL) return NULL;
    op->kind = kind;
    op->app = app;
    op->now_ms = sp_app_now_ms(app);
    for (size_t i = 0; i < SP_ARRAY_LEN(op->secret); i++) sp_buf_init(&op->secret[i], SP_PASSWORD_BYTES_MAX);
    for (size_t i = 0; i < SP_OP_AUDITS_MAX; i++) op->audits[i] = (struct sp_audit_entry)SP_AUDIT_ENTRY_INIT;
    return op;
}

static void refusal_run(struct sp_task *task) {
    struct sp_refusal *r = SP_CONTAINER_OF(task, struct sp_refusal, task);
    struct sp_refusal copy = {.kind = r->kind, .done = r->done, .arg = r->arg};
    /* release: the fields are read above, and whoever takes the place next may write them. */
    atomic_store_explicit(&r->taken, false, memory_order_release);
    copy.kind->say(NULL, copy.done, copy.arg, SP_OUTCOME_INTERNAL);
}

/* With the reserve used up as well, the answer comes from inside the call: a lost answer would be worse. */
static void refuse_without_memory(struct sp_app *app, struct sp_executor *executor,
                                  const struct sp_op_kind *kind, sp_any_done *done, void *arg) {
    for (size_t i = 0; i < SP_APP_RESERVE; i++) {
        struct sp_refusal *r = &app->reserve[i];
        bool expected = false;
        if (!atomic_compare_exchange_strong(&r->taken, &expected, true)) continue;
        r->kind = kind;
        r->done = done;
        r->arg = arg;
        r->task.run = refusal_run;
        sp_executor_post(executor, &r->task);
        return;
    }
    kind->say(NULL, done, arg, SP_OUTCOME_INTERNAL);
}

void *sp_op_new(struct sp_app *app, const struct sp_call *call, const struct sp_op_kind *kind,
                sp_any_done *done, void *arg) {
    struct sp_op *op = op_alloc(app, kind);
    if (op == NULL) {
        refuse_without_memory(app, call->executor, kind, done, arg);
        return NULL;
    }
    op->done = done;
    op->arg = arg;
    copy_call(op, call);
    return op;
}

void sp_background_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    (void)op, (void)done, (void)arg, (void)outcome;
}
const struct sp_op_kind sp_op_kind_background = {.size = sizeof(struct sp_op), .say = sp_background_say};

void sp_background_began(struct sp_app *app) {
    pthread_mutex_lock(&app->background_mutex);
    app->background_n++;
    pthread_mutex_unlock(&app->background_mutex);
}

void *sp_op_background(struct sp_app *app, const struct sp_op *like, const struct sp_op_kind *kind) {
    struct sp_op *op = op_alloc(app, kind);
    if (op == NULL) return NULL;
    op->executor = &app->inline_executor;
    op->is_background = true;
    if (like != NULL) {
        op->channel = like->channel;
        op->address = like->address;
        op->user_agent = like->user_agent;
        op->request_id = like->request_id;
        op->actor = like->actor;
    } else {
        SP_IGNORE(SP_TEXT_SET(&op->actor, SP_AUDIT_ACTOR_SYSTEM)); /* fits */
    }
    sp_background_began(app);
    return op;
}

/* ---- end ---- */

void sp_background_ended(struct sp_app *app) {
    pthread_mutex_lock(&app->background_mutex);
    sp_assert(app->background_n > 0);
    if (--app->background_n == 0) pthread_cond_broadcast(&app->background_idle);
    pthread_mutex_unlock(&app->background_mutex);
}

static void op_free(struct sp_op *op) {
    struct sp_app *app = op->app;
    bool is_background = op->is_background;
    if (op->kind->release != NULL) op->kind->release(op);
    sp_store_read_done(&op->read);
    for (size_t i = 0; i < SP_ARRAY_LEN(op->secret); i++) sp_buf_done(&op->secret[i]);
    for (size_t i = 0; i < SP_OP_AUDITS_MAX; i++) sp_audit_entry_done(&op->audits[i]);
    sp_free_wiped(op, op->kind->size);
    if (is_background) sp_background_ended(app);
}

static void deliver(struct sp_task *task) {
    struct sp_op *op = SP_CONTAINER_OF(task, struct sp_op, task);
    op->kind->say(op, op->done, op->arg, op->outcome);
    op_free(op);
}

void sp_op_finish(struct sp_op *op, enum sp_outcome outcome) {
    op->outcome = outcome;
    op->task.run = deliver;
    if (op->is_later) {
        deliver(&op->task);
    } else {
        sp_executor_post(op->executor, &op->task);
    }
}

enum sp_outcome sp_outcome_of(sp_status status) {
    sp_assert(!sp_ok(status));
    if (sp_is(status, SP_E_UNAVAILABLE) || sp_is(status, SP_E_BUSY)) return SP_OUTCOME_STORE_UNAVAILABLE;
    if (sp_is(status, SP_E_UNKNOWN)) return SP_OUTCOME_OUTCOME_UNKNOWN;
    return SP_OUTCOME_INTERNAL;
}

void sp_op_fail(struct sp_op *op, sp_status status) {
    sp_op_finish(op, sp_outcome_of(status));
}

void sp_plain_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_plain_result result = {.outcome = outcome};
    if (op != NULL) result.why = op->why;
    if (op != NULL && outcome == SP_OUTCOME_OK) result.count = ((struct sp_plain_op *)(void *)op)->count;
    ((sp_plain_done *)done)(arg, &result);
}

/* ---- change sets and records ---- */

struct sp_change *sp_op_change(struct sp_op *op, enum sp_change_kind kind) {
    sp_assert(op->changes_n < SP_OP_CHANGES_MAX);
    struct sp_change *c = &op->changes[op->changes_n++];
    *c = (struct sp_change){.kind = kind};
    return c;
}

void sp_op_reset(struct sp_op *op) {
    op->changes_n = 0;
    op->audits_n = 0; /* the entries keep their memory, and are built anew */
}

static sp_slice or_else(sp_slice given, sp_slice otherwise) {
    return given.n != 0 ? given : otherwise;
}

sp_status sp_op_audit(struct sp_op *op, const struct sp_audit_event *event) {
    sp_assert(op->audits_n < SP_OP_AUDITS_MAX);
    struct sp_audit_event full = *event;
    full.actor = or_else(event->actor, SP_TEXT_SLICE(&op->actor));
    full.address = or_else(event->address, SP_TEXT_SLICE(&op->address));
    full.user_agent = or_else(event->user_agent, SP_TEXT_SLICE(&op->user_agent));
    full.request_id = or_else(event->request_id, SP_TEXT_SLICE(&op->request_id));
    struct sp_audit_entry *entry = &op->audits[op->audits_n];
    SP_TRY(sp_audit_build(&full, op->now_ms, &op->app->deps.random, entry));
    op->audits_n++;
    *sp_op_change(op, SP_CHANGE_AUDIT) = sp_audit_entry_change(entry);
    return SP_SUCCESS;
}

static void record_written(struct sp_op *op, sp_status status) {
    if (!sp_ok(status)) {
        SP_LOG(&op->app->deps.log, SP_LOG_WARN, "audit_record_lost",
               SP_LOGF_TEXT("reason", sp_slice_cstr(sp_code_name(status.code))));
    }
    sp_op_finish(op, SP_OUTCOME_OK);
}

static bool is_first_of_its_minute(const struct sp_op *op, const struct sp_audit_event *event) {
    struct sp_audit_event full = *event;
    full.actor = or_else(event->actor, SP_TEXT_SLICE(&op->actor));
    return sp_audit_coalesce(op->app->coalescer, &full, op->now_ms) == SP_AUDIT_WRITE;
}

static void append_aside(struct sp_op *side, const struct sp_audit_event *event) {
    sp_status built = sp_op_audit(side, event);
    if (sp_ok(built)) {
        sp_op_commit(side, record_written);
    } else {
        record_written(side, built);
    }
}

bool sp_op_audit_coalesced(const struct sp_op *op, const struct sp_audit_event *event) {
    if (!is_first_of_its_minute(op, event)) return false;
    struct sp_op *side = sp_op_background(op->app, op, &sp_op_kind_background);
    if (side != NULL) append_aside(side, event);
    return true;
}

void sp_op_audit_denial(struct sp_app *app, const struct sp_call *call, const struct sp_audit_event *event) {
    struct sp_op *side = sp_op_background(app, NULL, &sp_op_kind_background);
    if (side == NULL) return;
    side->actor.n = 0;
    copy_call(side, call);
    side->executor = &app->inline_executor;
    if (is_first_of_its_minute(side, event)) {
        append_aside(side, event);
    } else {
        sp_op_finish(side, SP_OUTCOME_OK);
    }
}

void sp_op_audit_system(struct sp_app *app, const struct sp_audit_event *event) {
    struct sp_op *op = sp_op_background(app, NULL, &sp_op_kind_background);
    if (op != NULL) append_aside(op, event);
}

void sp_op_actor_user(struct sp_op *op, const uint8_t *user_id) {
    sp_audit_actor_user(user_id, &op->actor);
}

/* ---- asking ---- */

static void commit_done(struct sp_store_commit *c) {
    struct sp_op *op = SP_CONTAINER_OF(c, struct sp_op, commit);
    op->is_later = true;
    op->next(op, c->status);
}

void sp_op_commit_changes(struct sp_op *op, struct sp_change *changes, size_t n, sp_op_step *next) {
    op->next = next;
    op->commit =
        (struct sp_store_commit){.executor = op->executor, .done = commit_done, .changes = changes, .n = n};
    sp_store_commit_submit(op->app->deps.store, &op->commit);
}

void sp_op_commit(struct sp_op *op, sp_op_step *next) {
    sp_op_commit_changes(op, op->changes, op->changes_n, next);
}

struct sp_store_read *sp_op_read_begin(struct sp_op *op, enum sp_read_kind kind) {
    sp_store_read_done(&op->read);
    op->read = (struct sp_store_read){.kind = kind, .tenant = SP_TENANT_DEFAULT, .limit = 1};
    return &op->read;
}

static void read_done(struct sp_store_read *r) {
    struct sp_op *op = SP_CONTAINER_OF(r, struct sp_op, read);
    op->is_later = true;
    op->next(op, r->status);
}

void sp_op_read(struct sp_op *op, sp_op_step *next) {
    op->next = next;
    op->read.executor = op->executor;
    op->read.done = read_done;
    sp_store_read_submit(op->app->deps.store, &op->read);
}

static void proof_ended(struct sp_op *op) {
    if (op->is_proving) atomic_store(&op->app->proving, false);
    op->is_proving = false;
}

static void hash_done(struct sp_task *task) {
    struct sp_hash_job *job = SP_CONTAINER_OF(task, struct sp_hash_job, task);
    struct sp_op *op = SP_CONTAINER_OF(job, struct sp_op, hash);
    op->is_later = true;
    proof_ended(op);
    if (sp_ok(job->status) && job->is_common) {
        sp_op_reject_password(op, SP_PASSWORD_COMMON);
        return;
    }
    op->next(op, job->status);
}

static sp_status submit(struct sp_op *op, sp_op_step *next) {
    op->next = next;
    op->hash.task.run = hash_done;
    op->hash.executor = op->executor;
    const sp_status taken = op->app->deps.hasher.submit(op->app->deps.hasher.arg, &op->hash);
    if (!sp_ok(taken)) proof_ended(op);
    return taken;
}

static void submit_hash(struct sp_op *op, sp_op_step *next) {
    const sp_status taken = submit(op, next);
    if (sp_ok(taken)) return;
    sp_op_finish(op, sp_is(taken, SP_E_BUSY) ? SP_OUTCOME_OVERLOADED : sp_outcome_of(taken));
}

void sp_op_hash(struct sp_op *op, sp_slice password, const sp_text256 *phc, sp_op_step *next) {
    op->hash = (struct sp_hash_job){.op = phc == NULL ? SP_HASH_MAKE : SP_HASH_VERIFY, .password = password};
    if (phc != NULL) op->hash.phc = *phc;
    submit_hash(op, next);
}

void sp_op_hash_new(struct sp_op *op, sp_slice password, sp_op_step *next) {
    op->hash = (struct sp_hash_job){.op = SP_HASH_MAKE, .is_new = true, .password = password};
    submit_hash(op, next);
}

static sp_status run_work(struct sp_hash_job *job) {
    struct sp_op *op = SP_CONTAINER_OF(job, struct sp_op, hash);
    return op->work(op);
}

static void set_work(struct sp_op *op, sp_op_work_fn *work) {
    op->work = work;
    op->hash = (struct sp_hash_job){.op = SP_HASH_WORK, .work = run_work};
}

void sp_op_work(struct sp_op *op, sp_op_work_fn *work, sp_op_step *next) {
    set_work(op, work);
    const sp_status taken = submit(op, next);
    if (!sp_ok(taken)) next(op, taken);
}

void sp_op_proof(struct sp_op *op, bool is_long, sp_op_work_fn *work, sp_op_step *next) {
    bool expected = false;
    if (!is_long) {
        next(op, work(op));
        return;
    }
    op->is_proving = atomic_compare_exchange_strong(&op->app->proving, &expected, true);
    if (op->is_proving) {
        set_work(op, work);
        submit_hash(op, next);
    } else {
        sp_op_finish(op, SP_OUTCOME_OVERLOADED);
    }
}

/* ---- one's own account ---- */

enum sp_outcome sp_op_judge_own_session(const struct sp_op *op) {
    if (!op->has_principal || op->principal.is_local_admin) return SP_OUTCOME_INVALID_TOKEN;
    if (sp_app_is_own_session(op->app, &op->principal)) return SP_OUTCOME_OK;
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("permission", SP_SLICE_LIT("a session of one's own")),
                                          SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->principal.client_id))};
    const struct sp_audit_event event = {.action = SP_AUDIT_PERMISSION_DENIED,
                                         .outcome = SP_AUDIT_DENIED,
                                         .target = SP_TEXT_SLICE(&op->actor),
                                         .sid = op->principal.is_client ? NULL : op->principal.sid,
                                         .detail = detail,
                                         .detail_n = SP_ARRAY_LEN(detail)};
    sp_op_audit_coalesced(op, &event);
    return SP_OUTCOME_PERMISSION_DENIED;
}

/* ---- new passwords ---- */

void sp_op_reject_password(struct sp_op *op, enum sp_password_fault fault) {
    op->why.reason = sp_password_fault_name(fault);
    sp_op_finish(op, SP_OUTCOME_PASSWORD_REJECTED);
}

enum sp_outcome sp_op_judge_password(struct sp_op *op, sp_slice given, sp_slice name) {
    enum sp_password_fault fault = sp_password_judge(given, name);
    if (fault == SP_PASSWORD_ACCEPTED) return SP_OUTCOME_OK;
    if (fault == SP_PASSWORD_NOT_JUDGED) return SP_OUTCOME_INTERNAL;
    op->why.reason = sp_password_fault_name(fault);
    return SP_OUTCOME_PASSWORD_REJECTED;
}
