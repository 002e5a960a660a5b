#include "logout_bench.h"

#include <stdio.h>

#define OK(expr) assert_int_equal((expr).code, SP_OK)
#define SET(t, text) OK(SP_TEXT_SET((t), sp_slice_cstr(text)))

/* ---- the port ---- */

static void copy(char *to, size_t cap, sp_slice from) {
    assert_true(from.n < cap);
    memcpy(to, from.p, from.n);
    to[from.n] = 0;
}

static sp_status submit(void *arg, struct sp_delivery *job) {
    struct logout_bench *l = arg;
    if (l->is_stopped) return sp_err(SP_E_BUSY);
    l->submissions++;
    if (l->n == LOGOUT_SENT_MAX && logout_open(l) == 0) l->n = 0;
    assert_true(l->n < LOGOUT_SENT_MAX);
    struct sent *s = &l->sent[l->n++];
    s->job = job;
    copy(s->url, sizeof(s->url), job->url);
    copy(s->body, sizeof(s->body), job->body);
    return SP_SUCCESS;
}

static void finish(struct logout_bench *l, struct sent *s, enum sp_delivery_result result, int status) {
    struct sp_delivery *job = s->job;
    assert_non_null(job);
    s->job = NULL;
    job->result = result;
    job->http_status = status;
    job->reason = "of the bench";
    sp_executor_post(job->executor, &job->task);
    bench_run(&l->b);
}
void logout_answer(struct logout_bench *l, struct sent *s, int status) {
    finish(l, s, SP_DELIVERY_ANSWERED, status);
}
void logout_tell(struct logout_bench *l, struct sent *s, enum sp_delivery_result result) {
    finish(l, s, result, 0);
}

static bool is_to(const struct sent *s, const char *client_id) {
    char url[256];
    snprintf(url, sizeof(url), "https://%s.example/logout", client_id);
    return s->job != NULL && strcmp(s->url, url) == 0;
}
struct sent *logout_to(struct logout_bench *l, const char *client_id) {
    for (size_t i = 0; i < l->n; i++) {
        if (is_to(&l->sent[i], client_id)) return &l->sent[i];
    }
    return NULL;
}
size_t logout_open(struct logout_bench *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) n += l->sent[i].job != NULL;
    return n;
}

/* ---- beginning and end ---- */

static int setup(void **state, enum sp_alg alg) {
    struct logout_bench *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    bench_defaults(&l->b);
    l->b.config.alg = alg;
    l->b.deliver = (struct sp_deliver){.submit = submit, .executor = &l->b.queue.executor, .arg = l};
    bench_open(&l->b);
    *state = l;
    return 0;
}
int logout_setup(void **state) {
    return setup(state, SP_ALG_ES256);
}
int logout_setup_hs256(void **state) {
    return setup(state, SP_ALG_HS256);
}

static void stop(struct logout_bench *l) {
    l->is_stopped = true;
    for (size_t i = 0; i < l->n; i++) {
        if (l->sent[i].job != NULL) finish(l, &l->sent[i], SP_DELIVERY_STOPPED, 0);
    }
    l->n = 0;
}

int logout_teardown(void **state) {
    LOGOUTS;
    stop(l);
    bench_close(b);
    free(l);
    return 0;
}

void logout_restart(struct logout_bench *l) {
    stop(l);
    bench_stop(&l->b);
    l->is_stopped = false;
    bench_start(&l->b);
    logout_after(l, 0);
}

/* ---- clients and sessions ---- */

static void put_client(struct logout_bench *l, const char *id, const char *uri) {
    struct sp_client_row row = {
        .tenant = SP_TENANT_DEFAULT, .is_public = true, .rotate_refresh = true, .created_ms = l->b.now_ms};
    SET(&row.id, id);
    SET(&row.auth_method, "none");
    SET(&row.backchannel_logout_uri, uri);
    row.subject[0] = (uint8_t)id[0];
    struct sp_change c = {.kind = SP_CHANGE_CLIENT_PUT,
                          .client_put = {.row = &row, .expect_version = SP_VERSION_ANY}};
    OK(sp_store_commit_wait(l->b.store, &c, 1, NULL));
}
void logout_client(struct logout_bench *l, const char *id) {
    char uri[256];
    snprintf(uri, sizeof(uri), "https://%s.example/logout", id);
    put_client(l, id, uri);
}
void logout_client_without_uri(struct logout_bench *l, const char *id) {
    put_client(l, id, "");
}
void logout_client_delete(struct logout_bench *l, const char *id) {
    struct sp_change c = {.kind = SP_CHANGE_CLIENT_DELETE,
                          .client_delete = {.tenant = SP_TENANT_DEFAULT,
                                            .id = sp_slice_cstr(id),
                                            .expect_version = SP_VERSION_ANY}};
    OK(sp_store_commit_wait(l->b.store, &c, 1, NULL));
}

void logout_begin(struct logout_bench *l, const char *client_id, uint8_t ret_sid[SP_ROW_SID_BYTES]) {
    const struct sp_user_row ada = bench_user(&l->b, "ada");
    struct sp_session_row row = {.tenant = SP_TENANT_DEFAULT,
                                 .mode = SP_MODE_TOKEN,
                                 .state = SP_SESSION_ACTIVE,
                                 .backchannel = true,
                                 .created_ms = l->b.now_ms,
                                 .idle_expires_ms = l->b.now_ms + 86400 * 1000,
                                 .absolute_expires_ms = l->b.now_ms + 86400 * 1000};
    memcpy(row.user_id, ada.id, sizeof(row.user_id));
    const uint32_t number = ++l->sids;
    memcpy(row.sid, "sid-", 4);
    memcpy(row.sid + 4, &number, sizeof(number));
    SET(&row.client_id, client_id);
    struct sp_change c = {.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &row}};
    OK(sp_store_commit_wait(l->b.store, &c, 1, NULL));
    memcpy(ret_sid, row.sid, sizeof(row.sid));
}

void logout_end(struct logout_bench *l, const uint8_t *sid) {
    struct sp_change c = {.kind = SP_CHANGE_SESSION_END,
                          .session_end = {.tenant = SP_TENANT_DEFAULT,
                                          .sid = sid,
                                          .expect_generation = SP_GENERATION_ANY,
                                          .state = SP_SESSION_ENDED,
                                          .cause = SP_END_LOGOUT,
                                          .now_ms = l->b.now_ms}};
    OK(sp_store_commit_wait(l->b.store, &c, 1, NULL));
    bench_run(&l->b);
}

void logout_one(struct logout_bench *l, const char *client_id) {
    uint8_t sid[SP_ROW_SID_BYTES];
    logout_begin(l, client_id, sid);
    logout_end(l, sid);
}

void logout_after(struct logout_bench *l, int64_t ms) {
    l->b.now_ms += ms;
    sp_app_tick(l->b.app, &l->b.queue.executor);
    bench_run(&l->b);
}

/* ---- looking ---- */

uint32_t logout_rows(struct logout_bench *l) {
    struct sp_store_read r = {
        .kind = SP_READ_LOGOUTS, .tenant = SP_TENANT_DEFAULT, .limit = SP_READ_PAGE_MAX};
    OK(sp_store_read_wait(l->b.store, &r));
    const uint32_t n = r.ret.n;
    sp_store_read_done(&r);
    return n;
}

static void measured(void *arg, const struct sp_measures *m) {
    *(struct sp_measures *)arg = *m;
}
struct sp_measures logout_measures(struct logout_bench *l) {
    struct sp_measures m = {.outcome = SP_OUTCOME_INTERNAL};
    const struct sp_call call = bench_call(&l->b);
    sp_app_measure(l->b.app, &call, measured, &m);
    bench_run(&l->b);
    assert_int_equal(m.outcome, SP_OUTCOME_OK);
    return m;
}

uint32_t logout_records(struct logout_bench *l, const char *outcome) {
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .tenant = SP_TENANT_DEFAULT, .limit = SP_READ_PAGE_MAX};
    uint32_t n = 0;
    OK(sp_store_read_wait(l->b.store, &r));
    for (uint32_t i = 0; i < r.ret.n; i++)
        n += sp_slice_eq_cstr(SP_TEXT_SLICE(&r.ret.audit[i].action), "logout_notified") &&
             sp_slice_eq_cstr(SP_TEXT_SLICE(&r.ret.audit[i].outcome), outcome);
    sp_store_read_done(&r);
    return n;
}

bool logout_record_says(struct logout_bench *l, const char *text) {
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .tenant = SP_TENANT_DEFAULT, .limit = SP_READ_PAGE_MAX};
    bool says = false;
    OK(sp_store_read_wait(l->b.store, &r));
    for (uint32_t i = 0; i < r.ret.n; i++) {
        const struct sp_audit_row *row = &r.ret.audit[i];
        if (!sp_slice_eq_cstr(SP_TEXT_SLICE(&row->action), "logout_notified")) continue;
        says = memmem(row->body, row->body_n, text, strlen(text)) != NULL;
    }
    sp_store_read_done(&r);
    return says;
}
