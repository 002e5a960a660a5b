#include "app_bench.h"

#include "core/publish.h"

/* ---- ports ---- */

static void queue_post(struct sp_executor *self, struct sp_task *task) {
    struct bench_queue *q = SP_CONTAINER_OF(self, struct bench_queue, executor);
    task->next = NULL;
    *q->tail = task;
    q->tail = &task->next;
}

void bench_sweep_replays(struct bench *b, struct sp_replay *table) {
    uint8_t hash[SP_SHA256_BYTES] = {0};
    for (uint32_t i = 0; i < 2 * SP_REPLAY_ENTRIES_DEFAULT; i++) {
        memcpy(hash, &i, sizeof(i));
        if (i == SP_REPLAY_ENTRIES_DEFAULT) b->now_ms += 2000; /* all of them have expired */
        assert_int_not_equal(sp_replay_add(table, hash, b->now_ms + 1, b->now_ms), SP_REPLAY_SEEN);
        if (i > SP_REPLAY_ENTRIES_DEFAULT && sp_replay_entries(table) < i / 2) return;
    }
    fail_msg("it was never full");
}

void bench_run(struct bench *b) {
    struct bench_queue *q = &b->queue;
    while (q->head != NULL) {
        struct sp_task *t = q->head;
        q->head = t->next;
        if (q->head == NULL) q->tail = &q->head;
        t->run(t);
    }
}

static int64_t clock_ms(void *arg) {
    return ((struct bench *)arg)->now_ms;
}
static int64_t boot_ms(void *arg) {
    const struct bench *b = arg;
    return b->now_ms - b->wall_ahead_ms;
}

/* A hash is "plain:" or "old:" and the password; the second kind wants to be hashed anew. */
static bool phc_is(sp_slice phc, const char *kind, sp_slice password) {
    sp_slice prefix = sp_slice_cstr(kind);
    return sp_slice_starts(phc, prefix) &&
           sp_slice_eq(sp_slice_of(phc.p + prefix.n, phc.n - prefix.n), password);
}

static sp_status hash_submit(void *arg, struct sp_hash_job *job) {
    struct bench *b = arg;
    if (b->hash_full) return sp_err(SP_E_BUSY);
    b->hashes += job->op != SP_HASH_WORK;
    job->status = SP_SUCCESS;
    if (job->op == SP_HASH_WORK) {
        job->status = job->work(job);
    } else if (job->op == SP_HASH_MAKE) {
        job->is_common = job->is_new && sp_slice_eq_cstr(job->password, "common pw");
        char text[256];
        int n = snprintf(text, sizeof(text), "plain:%.*s", SP_SLICE_FMT(job->password));
        job->status = SP_TEXT_SET(&job->phc, sp_slice_of(text, (size_t)n));
    } else {
        bool old = phc_is(SP_TEXT_SLICE(&job->phc), "old:", job->password);
        job->matches = old || phc_is(SP_TEXT_SLICE(&job->phc), "plain:", job->password);
        job->needs_rehash = old;
    }
    sp_executor_post(job->executor, &job->task);
    return SP_SUCCESS;
}

static enum sp_reject authn_check(void *arg, sp_slice token, int64_t now_ms, enum sp_authn_flags flags,
                                  struct sp_claims *ret) {
    struct bench *b = arg;
    const struct sp_claims *claims;
    sp_verifier_enter(b->reader);
    const unsigned how = (unsigned)flags; /* the same bits: see server/authn.c */
    enum sp_reject r = sp_verifier_check_flags(b->verifier, b->reader, how, token, now_ms / 1000, &claims);
    if (r == SP_REJECT_NONE) {
        *ret = *claims;
    } else {
        sp_verifier_exit(b->reader);
    }
    return r;
}

static void authn_release(void *arg) {
    sp_verifier_exit(((struct bench *)arg)->reader);
}

static sp_status authn_set_keys(void *arg, const struct sp_jwk *keys, size_t n) {
    return sp_verifier_set_keys(((struct bench *)arg)->verifier, keys, n);
}

/* ---- beginning and end ---- */

#define OK(expr) assert_int_equal((expr).code, SP_OK)

void bench_defaults(struct bench *b) {
    memset(b, 0, sizeof(*b));
    b->queue.executor.post = queue_post;
    b->queue.tail = &b->queue.head;
    b->now_ms = (int64_t)BENCH_BEGIN_MS_HIGH * 1000;
    b->config = (struct sp_app_config){.alg = SP_ALG_ES256,
                                       .access_ttl_s = 900,
                                       .idle_ttl_s = 7 * 86400,
                                       .absolute_ttl_s = 30 * 86400,
                                       .grace_ms = SP_GRACE_DEFAULT_MS,
                                       .reuse = SP_REUSE_SESSION,
                                       .sessions_max = 100,
                                       .embed_permissions = true,
                                       .key_announce_s = 60,
                                       .end_kept_s = 30 * 86400};
    OK(SP_TEXT_SET(&b->config.issuer, SP_SLICE_LIT("https://auth.example")));
    OK(SP_TEXT_SET(&b->config.audience, SP_SLICE_LIT("https://api.example")));
    OK(SP_TEXT_SET(&b->config.client_id, SP_SLICE_LIT("first-party")));
}

static void hear(void *arg, enum sp_log_level level, const char *event, const struct sp_log_field *fields,
                 size_t n) {
    (void)level, (void)fields, (void)n;
    struct bench *b = arg;
    if (strcmp(event, "audit_checkpoint") == 0) b->checkpoints++;
}

void bench_start_begin(struct bench *b) {
    struct sp_verifier_opts opts = {.issuer = SP_TEXT_SLICE(&b->config.issuer),
                                    .audience = SP_TEXT_SLICE(&b->config.audience),
                                    .alg_mask = SP_ALG_ALL,
                                    .reclaim = b->reclaim,
                                    .random = &sp_random_system};
    OK(sp_verifier_new(&opts, &b->verifier));
    OK(sp_verifier_reader_new(b->verifier, &b->reader));
}

sp_status bench_start_app(struct bench *b) {
    static const uint8_t master_key[SP_MASTER_KEY_BYTES] = {7};
    struct sp_app_deps deps = {
        .store = b->store,
        .clock = {clock_ms, boot_ms, b},
        .random = sp_random_system,
        .log = {hear, b},
        .authn = {.check = authn_check, .release = authn_release, .set_keys = authn_set_keys, .arg = b},
        .hasher = {hash_submit, b},
        .deliver = b->deliver,
        .revoked = sp_verifier_revoke_set(b->verifier),
        .epochs = sp_verifier_epochs(b->verifier),
        .reclaim = b->reclaim,
        .master_key = SP_SLICE_ARRAY(master_key)};
    return sp_app_open(&b->config, &deps, &b->app);
}

void bench_start_undo(struct bench *b) {
    sp_verifier_reader_free(b->reader);
    sp_verifier_free(b->verifier);
}

void bench_start(struct bench *b) {
    bench_start_begin(b);
    OK(bench_start_app(b));
}

void bench_stop(struct bench *b) {
    bench_run(b);
    sp_app_free(b->app);
    b->app = NULL;
    sp_verifier_reader_free(b->reader);
    sp_verifier_free(b->verifier);
}

struct sp_user_row bench_user_new(struct bench *b, const char *name, const char *phc) {
    struct sp_user_row row = {.tenant = SP_TENANT_DEFAULT, .created_ms = b->now_ms};
    OK(sp_random_fill(&sp_random_system, row.id, sizeof(row.id)));
    OK(SP_TEXT_SET(&row.name, sp_slice_cstr(name)));
    OK(SP_TEXT_SET(&row.display, sp_slice_cstr(name)));
    OK(SP_TEXT_SET(&row.password, sp_slice_cstr(phc)));
    OK(SP_TEXT_SET(&row.roles, SP_SLICE_LIT("writer")));
    struct sp_change c = {.kind = SP_CHANGE_USER_INSERT, .user_insert = {&row}};
    OK(sp_store_commit_wait(b->store, &c, 1, NULL));
    return row;
}

void bench_user_put(struct bench *b, const struct sp_user_row *row) {
    struct sp_change c = {.kind = SP_CHANGE_USER_UPDATE,
                          .user_update = {.row = row, .expect_version = SP_VERSION_ANY}};
    OK(sp_store_commit_wait(b->store, &c, 1, NULL));
}

void bench_open(struct bench *b) {
    OK(sp_reclaim_new(16, &b->reclaim));
    if (b->store == NULL) OK(sp_store_memory_new(&b->store));
    bench_start(b);
    struct sp_role_row role = {.tenant = SP_TENANT_DEFAULT};
    OK(SP_TEXT_SET(&role.name, SP_SLICE_LIT("writer")));
    OK(SP_TEXT_SET(&role.permissions, SP_SLICE_LIT("documents:read documents:write")));
    struct sp_change c = {.kind = SP_CHANGE_ROLE_PUT,
                          .role_put = {.row = &role, .expect_version = SP_VERSION_ANY}};
    OK(sp_store_commit_wait(b->store, &c, 1, NULL));
    bench_user_new(b, "ada", "plain:correct horse");
}

void bench_close(struct bench *b) {
    bench_stop(b);
    sp_store_close(b->store);
    sp_reclaim_free(b->reclaim);
}

int bench_setup(void **state) {
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    bench_defaults(b);
    bench_open(b);
    *state = b;
    return 0;
}

int bench_teardown(void **state) {
    bench_close(*state);
    free(*state);
    return 0;
}

/* ---- calls ---- */

struct sp_call bench_call(struct bench *b) {
    return (struct sp_call){.executor = &b->queue.executor,
                            .address = SP_SLICE_LIT("192.0.2.7"),
                            .user_agent = SP_SLICE_LIT("bench/1"),
                            .request_id = SP_SLICE_LIT("r-1")};
}

struct sp_call bench_call_admin(struct bench *b) {
    static const struct sp_principal root = {.is_local_admin = true, .uid = 0};
    struct sp_call call = bench_call(b);
    call.principal = &root;
    return call;
}

struct sp_call bench_call_as(struct bench *b, const struct tokens *t) {
    struct sp_call call = bench_call(b);
    assert_int_equal(sp_app_authenticate(b->app, sp_slice_of(t->access, t->access_n), &b->principal),
                     SP_REJECT_NONE);
    call.principal = &b->principal;
    return call;
}

void bench_tokens_done(void *arg, const struct sp_tokens_result *r) {
    struct tokens *t = arg;
    t->answers++;
    t->outcome = r->outcome;
    t->reuse_detected = r->reuse_detected;
    if (r->outcome != SP_OUTCOME_OK) return;
    assert_true(r->access_token.n <= sizeof(t->access) && r->refresh_token.n <= sizeof(t->refresh));
    memcpy(t->access, r->access_token.p, t->access_n = r->access_token.n);
    memcpy(t->refresh, r->refresh_token.p, t->refresh_n = r->refresh_token.n);
    t->access_s = r->access_expires_in_s;
    t->refresh_s = r->refresh_expires_in_s;
    memcpy(t->sid, r->sid, sizeof(t->sid));
}

void bench_plain_done(void *arg, const struct sp_plain_result *r) {
    struct plain *p = arg;
    p->answers++;
    p->outcome = r->outcome;
    p->count = r->count;
}

struct tokens bench_login_as(struct bench *b, const char *name, const char *password,
                             enum sp_session_mode mode) {
    struct tokens t = {0};
    struct sp_call call = bench_call(b);
    struct sp_login_request in = {.username = sp_slice_cstr(name),
                                  .password = sp_slice_cstr(password),
                                  .device = SP_SLICE_LIT("laptop"),
                                  .mode = mode};
    sp_app_login(b->app, &call, &in, bench_tokens_done, &t);
    assert_int_equal(t.answers, 0); /* never from inside the call */
    bench_run(b);
    assert_int_equal(t.answers, 1);
    return t;
}

struct tokens bench_login(struct bench *b) {
    struct tokens t = bench_login_as(b, "ada", "correct horse", SP_MODE_TOKEN);
    assert_int_equal(t.outcome, SP_OUTCOME_OK);
    return t;
}

struct tokens bench_login_cookie(struct bench *b) {
    struct tokens t = bench_login_as(b, "ada", "correct horse", SP_MODE_COOKIE);
    assert_int_equal(t.outcome, SP_OUTCOME_OK);
    return t;
}

static void refresh_begin(struct bench *b, const struct tokens *with, const char *attempt,
                          enum sp_session_mode mode, struct tokens *ret) {
    struct sp_call call = bench_call(b);
    struct sp_refresh_request in = {.refresh_token = sp_slice_of(with->refresh, with->refresh_n),
                                    .attempt = sp_slice_cstr(attempt),
                                    .mode = mode};
    sp_app_refresh(b->app, &call, &in, bench_tokens_done, ret);
    assert_int_equal(ret->answers, 0);
}

void bench_refresh_begin(struct bench *b, const struct tokens *with, const char *attempt,
                         struct tokens *ret) {
    refresh_begin(b, with, attempt, SP_MODE_TOKEN, ret);
}

struct tokens bench_refresh_mode(struct bench *b, const struct tokens *with, const char *attempt,
                                 enum sp_session_mode mode) {
    struct tokens t = {0};
    refresh_begin(b, with, attempt, mode, &t);
    bench_run(b);
    assert_int_equal(t.answers, 1);
    return t;
}

struct tokens bench_refresh(struct bench *b, const struct tokens *with) {
    return bench_refresh_mode(b, with, NULL, SP_MODE_TOKEN);
}

static struct plain logout(struct bench *b, const struct sp_logout_request *in) {
    struct plain p = {0};
    struct sp_call call = bench_call(b);
    sp_app_logout(b->app, &call, in, bench_plain_done, &p);
    assert_int_equal(p.answers, 0);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p;
}

struct plain bench_logout_refresh(struct bench *b, const struct tokens *with) {
    return logout(b,
                  &(struct sp_logout_request){.refresh_token = sp_slice_of(with->refresh, with->refresh_n)});
}

struct plain bench_logout_access(struct bench *b, const struct tokens *with) {
    return logout(b, &(struct sp_logout_request){.access_token = sp_slice_of(with->access, with->access_n)});
}

/* ---- looking ---- */

void bench_assert_same_refresh(const struct tokens *x, const struct tokens *y) {
    assert_int_equal(x->refresh_n, y->refresh_n);
    assert_memory_equal(x->refresh, y->refresh, x->refresh_n);
}

enum sp_reject bench_check(struct bench *b, const struct tokens *t) {
    struct sp_principal p;
    return sp_app_authenticate(b->app, sp_slice_of(t->access, t->access_n), &p);
}

struct sp_session_row bench_session(struct bench *b, const uint8_t *sid) {
    struct sp_store_read r = {.kind = SP_READ_SESSION,
                              .tenant = SP_TENANT_DEFAULT,
                              .key = sp_slice_of(sid, SP_ROW_SID_BYTES),
                              .limit = 1};
    OK(sp_store_read_wait(b->store, &r));
    struct sp_session_row row = r.ret.sessions[0];
    sp_store_read_done(&r);
    return row;
}

struct sp_user_row bench_user(struct bench *b, const char *name) {
    struct sp_store_read r = {
        .kind = SP_READ_USER_BY_NAME, .tenant = SP_TENANT_DEFAULT, .key = sp_slice_cstr(name), .limit = 1};
    OK(sp_store_read_wait(b->store, &r));
    struct sp_user_row row = r.ret.users[0];
    sp_store_read_done(&r);
    return row;
}

uint32_t bench_records(struct bench *b, const char *action) {
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .tenant = SP_TENANT_DEFAULT, .limit = SP_READ_PAGE_MAX};
    OK(sp_store_read_wait(b->store, &r));
    uint32_t n = 0;
    for (uint32_t i = 0; i < r.ret.n; i++)
        n += sp_slice_eq_cstr(SP_TEXT_SLICE(&r.ret.audit[i].action), action);
    sp_store_read_done(&r);
    return n;
}
