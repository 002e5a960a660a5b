#include "oauth_bench.h"

#include <unistd.h>

#include "core/app_internal.h"
#include "store/sqlite.h"

#define OK(expr) assert_int_equal((expr).code, SP_OK)
#define SET(t, text) OK(SP_TEXT_SET((t), sp_slice_cstr(text)))

/* ---- a store that waits ---- */

struct waiting_store {
    struct sp_store store;
    struct sp_store *inner;
    char dir[64];     /* empty: the inner one has none */
    uint32_t fail_in; /* so many requests from now the store fails once; 0: never */
    enum sp_code fail_with;
    bool failed;
};

static struct waiting_store *waiting_of(struct sp_store *s) {
    return SP_CONTAINER_OF(s, struct waiting_store, store);
}

static void commit_run(struct sp_task *task) {
    struct sp_store_commit *c = SP_CONTAINER_OF(task, struct sp_store_commit, task);
    c->done(c);
}
static bool is_to_fail(struct waiting_store *w) {
    const bool now = w->fail_in == 1;
    if (w->fail_in != 0) w->fail_in--;
    w->failed |= now;
    return now;
}
/* UNKNOWN: it has happened, but nobody knows. */
static void waiting_commit(struct sp_store *s, struct sp_store_commit *c) {
    struct waiting_store *w = waiting_of(s);
    const bool fails = is_to_fail(w);
    if (!fails || w->fail_with == SP_E_UNKNOWN)
        c->status = sp_store_commit_wait(w->inner, c->changes, c->n, &c->failed);
    if (fails) c->status = sp_err(w->fail_with);
    c->task.run = commit_run;
    sp_executor_post(c->executor, &c->task);
}

static void read_run(struct sp_task *task) {
    struct sp_store_read *r = SP_CONTAINER_OF(task, struct sp_store_read, task);
    r->done(r);
}
static void waiting_read(struct sp_store *s, struct sp_store_read *r) {
    struct sp_executor *executor = r->executor;
    void (*done)(struct sp_store_read *) = r->done;
    if (is_to_fail(waiting_of(s))) {
        r->status = sp_err(SP_E_UNAVAILABLE);
    } else {
        r->status = sp_store_read_wait(waiting_of(s)->inner, r);
    }
    r->executor = executor;
    r->done = done;
    r->task.run = read_run;
    sp_executor_post(executor, &r->task);
}

static void waiting_set_env(struct sp_store *s, const struct sp_store_env *env) {
    waiting_of(s)->inner->ops->set_env(waiting_of(s)->inner, env);
}
static sp_status waiting_health(struct sp_store *s) {
    return waiting_of(s)->inner->ops->health(waiting_of(s)->inner);
}

static void waiting_close(struct sp_store *s) {
    struct waiting_store *w = waiting_of(s);
    char command[128];
    sp_store_close(w->inner);
    snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    if (w->dir[0] != 0) assert_int_equal(system(command), 0);
    free(w);
}

static struct sp_store *waiting_new(bool sqlite) {
    static const struct sp_store_ops ops = {.name = "waiting sqlite",
                                            .commit = waiting_commit,
                                            .read = waiting_read,
                                            .set_env = waiting_set_env,
                                            .health = waiting_health,
                                            .close = waiting_close};
    struct waiting_store *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->store.ops = &ops;
    if (!sqlite) {
        OK(sp_store_memory_new(&w->inner));
        return &w->store;
    }
    snprintf(w->dir, sizeof(w->dir), "/tmp/oauth-bench-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    const struct sp_sqlite_opts opts = {.dir = w->dir};
    OK(sp_store_sqlite_open(&opts, &w->inner));
    return &w->store;
}

/* ---- beginning and end ---- */

struct sp_client_row oauth_client_row(struct bench *b, const char *id) {
    struct sp_client_row row = {.tenant = SP_TENANT_DEFAULT, .is_public = true, .created_ms = b->now_ms};
    char text[128];
    SET(&row.id, id);
    snprintf(text, sizeof(text), "The %s", id);
    SET(&row.name, text);
    SET(&row.auth_method, "none");
    SET(&row.grants, "authorization_code refresh_token");
    SET(&row.scopes, "openid profile offline_access documents:read documents:write documents:burn");
    snprintf(text, sizeof(text), "https://%s.example/cb", id);
    SET(&row.redirect_uris, text);
    snprintf(text, sizeof(text), "https://%s.example/bye?x=1", id);
    SET(&row.post_logout_redirect_uris, text);
    row.rotate_refresh = true;
    row.subject[0] = (uint8_t)id[0];
    return row;
}

void oauth_client_put(struct bench *b, const struct sp_client_row *row) {
    struct sp_change c = {.kind = SP_CHANGE_CLIENT_PUT,
                          .client_put = {.row = row, .expect_version = SP_VERSION_ANY}};
    OK(sp_store_commit_wait(b->store, &c, 1, NULL));
}

void oauth_client_delete(struct bench *b, const char *id) {
    struct sp_change c = {.kind = SP_CHANGE_CLIENT_DELETE,
                          .client_delete = {.tenant = SP_TENANT_DEFAULT,
                                            .id = sp_slice_cstr(id),
                                            .expect_version = SP_VERSION_ANY}};
    OK(sp_store_commit_wait(b->store, &c, 1, NULL));
}

void oauth_user_disable(struct bench *b, const char *name) {
    struct plain p = {0};
    const struct sp_call call = bench_call_admin(b);
    sp_app_user_edit(b->app, &call, sp_slice_cstr(name), SP_USER_DISABLE, SP_SLICE_EMPTY, bench_plain_done,
                     &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
}

void oauth_session_end(struct bench *b, const uint8_t *sid) {
    struct sp_change c = {.kind = SP_CHANGE_SESSION_END,
                          .session_end = {.tenant = SP_TENANT_DEFAULT,
                                          .sid = sid,
                                          .expect_generation = SP_GENERATION_ANY,
                                          .state = SP_SESSION_ENDED,
                                          .cause = SP_END_USER_ENDED,
                                          .now_ms = b->now_ms}};
    OK(sp_store_commit_wait(b->store, &c, 1, NULL));
}

static void add_role(struct bench *b) {
    struct sp_role_row role = {.tenant = SP_TENANT_DEFAULT};
    SET(&role.name, "writer");
    SET(&role.permissions, "documents:read documents:write");
    struct sp_change c = {.kind = SP_CHANGE_ROLE_PUT,
                          .role_put = {.row = &role, .expect_version = SP_VERSION_ANY}};
    OK(sp_store_commit_wait(b->store, &c, 1, NULL));
}

static void open_over(struct bench *b, struct sp_store *store) {
    OK(sp_reclaim_new(16, &b->reclaim));
    b->store = store;
    bench_start(b);
    add_role(b);
    bench_user_new(b, "ada", "plain:correct horse");
    bench_user_new(b, "bob", "plain:battery staple");
    struct sp_client_row row = oauth_client_row(b, "app");
    oauth_client_put(b, &row);
    row = oauth_client_row(b, "other");
    oauth_client_put(b, &row);
    row = oauth_client_row(b, "own");
    row.trusted = true;
    oauth_client_put(b, &row);
}

void oauth_store_fail(struct bench *b, uint32_t in, enum sp_code with) {
    struct waiting_store *w = waiting_of(b->store);
    w->fail_in = in;
    w->fail_with = with;
    w->failed = false;
}
bool oauth_store_failed(struct bench *b) {
    waiting_of(b->store)->fail_in = 0;
    return waiting_of(b->store)->failed;
}

void oauth_run_some(struct bench *b, uint32_t n) {
    struct bench_queue *q = &b->queue;
    for (; n != 0 && q->head != NULL; n--) {
        struct sp_task *t = q->head;
        q->head = t->next;
        if (q->head == NULL) q->tail = &q->head;
        t->run(t);
    }
}

static int setup(void **state, struct sp_store *store) {
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    bench_defaults(b);
    open_over(b, store);
    b->now_ms += 1000; /* a proof or an assertion from now on is from after the start */
    *state = b;
    return 0;
}
int oauth_setup_memory(void **state) {
    struct sp_store *store;
    OK(sp_store_memory_new(&store));
    return setup(state, store);
}
int oauth_setup_sqlite(void **state) {
    return setup(state, waiting_new(true));
}
int oauth_setup_faulty(void **state) {
    return setup(state, waiting_new(false));
}
int oauth_teardown(void **state) {
    return bench_teardown(state);
}

/* ---- pages ---- */

static void copy(char *to, size_t cap, sp_slice from) {
    assert_true(from.n < cap);
    if (from.n != 0) memcpy(to, from.p, from.n);
    to[from.n] = 0;
}
#define COPY(to, from) copy((to), sizeof(to), (from))

void oauth_page_done(void *arg, const struct sp_authz_result *r) {
    struct page *p = arg;
    p->answers++;
    p->next = r->next;
    p->error = r->trouble.error;
    p->retry_after_s = r->trouble.retry_after_s;
    p->failed = r->failed;
    p->sets_cookie = r->sets_cookie;
    p->lost_cookie = r->lost_cookie;
    p->expires_cookie = r->expires_cookie;
    COPY(p->location, r->location);
    COPY(p->request, r->request);
    COPY(p->csrf, r->csrf);
    COPY(p->client_id, r->client_id);
    COPY(p->client_name, r->client_name);
    COPY(p->username, r->username);
    COPY(p->scope, r->scope);
    COPY(p->permissions, r->permissions);
    COPY(p->cookie, r->cookie);
    COPY(p->device_token, r->device_token);
}

static void answered(struct bench *b, const struct page *p) {
    assert_int_equal(p->answers, 0); /* never from inside the call */
    bench_run(b);
    assert_int_equal(p->answers, 1);
}

struct sp_authz_params oauth_params(const char *client_id) {
    static char uris[4][64];
    static unsigned next;
    char *uri = uris[next++ % 4];
    snprintf(uri, sizeof(uris[0]), "https://%s.example/cb", client_id);
    return (struct sp_authz_params){.client_id = sp_slice_cstr(client_id),
                                    .response_type = SP_SLICE_LIT("code"),
                                    .redirect_uri = sp_slice_cstr(uri),
                                    .scope = SP_SLICE_LIT("openid documents:read"),
                                    .state = SP_SLICE_LIT("s-1"),
                                    .nonce = SP_SLICE_LIT("n-1"),
                                    .code_challenge = SP_SLICE_LIT(OAUTH_CHALLENGE),
                                    .code_challenge_method = SP_SLICE_LIT("S256")};
}

struct page oauth_ask(struct bench *b, const struct sp_authz_params *params, const char *cookie) {
    struct page p = {0};
    const struct sp_call call = bench_call(b);
    sp_oauth_authorize(b->app, &call, params, sp_slice_cstr(cookie), oauth_page_done, &p);
    answered(b, &p);
    return p;
}

struct page oauth_follow(struct bench *b, const struct page *from, const char *cookie) {
    char client_id[128], uri[SP_LOCATION_BYTES_MAX];
    assert_next(from, REDIRECT);
    assert_int_equal(strncmp(from->location, "https://auth.example/oauth2/authorize?", 38), 0);
    assert_true(oauth_param(from, "client_id", client_id, sizeof(client_id)));
    assert_true(oauth_param(from, "request_uri", uri, sizeof(uri)));
    const struct sp_authz_params params = {.client_id = sp_slice_cstr(client_id),
                                           .request_uri = sp_slice_cstr(uri)};
    return oauth_ask(b, &params, cookie);
}

struct page oauth_login(struct bench *b, const char *request, const char *name, const char *password,
                        const char *cookie) {
    struct page p = {0};
    const struct sp_call call = bench_call(b);
    const struct sp_authz_login in = {.request = sp_slice_cstr(request),
                                      .username = sp_slice_cstr(name),
                                      .password = sp_slice_cstr(password),
                                      .cookie = sp_slice_cstr(cookie)};
    sp_oauth_login(b->app, &call, &in, oauth_page_done, &p);
    answered(b, &p);
    return p;
}

struct page oauth_consent(struct bench *b, const char *request, const char *csrf, const char *cookie,
                          bool allowed) {
    struct page p = {0};
    const struct sp_call call = bench_call(b);
    const struct sp_authz_consent in = {.request = sp_slice_cstr(request),
                                        .csrf = sp_slice_cstr(csrf),
                                        .cookie = sp_slice_cstr(cookie),
                                        .allowed = allowed};
    sp_oauth_consent(b->app, &call, &in, oauth_page_done, &p);
    answered(b, &p);
    return p;
}

struct page oauth_logout(struct bench *b, const struct sp_authz_logout *in) {
    struct page p = {0};
    const struct sp_call call = bench_call(b);
    sp_oauth_logout(b->app, &call, in, oauth_page_done, &p);
    answered(b, &p);
    return p;
}

struct page oauth_sign_in(struct bench *b, const char *name) {
    const struct sp_authz_params params = oauth_params("own");
    const struct page ask = oauth_ask(b, &params, NULL);
    assert_next(&ask, LOGIN);
    const char *password = strcmp(name, "ada") == 0 ? "correct horse" : "battery staple";
    const struct page p = oauth_login(b, ask.request, name, password, NULL);
    assert_next(&p, REDIRECT);
    assert_true(p.sets_cookie);
    return p;
}

struct page oauth_code(struct bench *b, const struct sp_authz_params *params, const char *cookie) {
    struct page p = oauth_ask(b, params, cookie);
    if (p.next == SP_AUTHZ_CONSENT) p = oauth_consent(b, p.request, p.csrf, cookie, true);
    assert_next(&p, REDIRECT);
    char code[SP_LOCATION_BYTES_MAX];
    if (!oauth_param(&p, "code", code, sizeof(code))) fail_msg("no code: %s", p.location);
    return p;
}

/* ---- looking ---- */

static int hex(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void decode(const char *from, size_t n, char *to, size_t cap) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        char c = from[i];
        assert_true((unsigned char)c > 0x20 && (unsigned char)c < 0x7F);
        if (c == '%') {
            assert_true(i + 2 < n && hex(from[i + 1]) >= 0 && hex(from[i + 2]) >= 0);
            c = (char)(hex(from[i + 1]) << 4 | hex(from[i + 2]));
            i += 2;
        }
        assert_true(at + 1 < cap);
        to[at++] = c;
    }
    to[at] = 0;
}

bool oauth_param(const struct page *page, const char *name, char *ret, size_t cap) {
    const char *at = strchr(page->location, '?');
    const size_t name_n = strlen(name);
    unsigned found = 0;
    while (at != NULL) {
        at++;
        const char *end = strchr(at, '&');
        const size_t n = end == NULL ? strlen(at) : (size_t)(end - at);
        if (n > name_n && strncmp(at, name, name_n) == 0 && at[name_n] == '=') {
            found++;
            decode(at + name_n + 1, n - name_n - 1, ret, cap);
        }
        at = end;
    }
    return found == 1;
}

void assert_told(const struct page *page, enum sp_oauth_error error) {
    assert_next(page, REDIRECT);
    assert_param(page, "error", sp_oauth_code(error));
    assert_param(page, "state", "s-1");
    assert_param(page, "iss", "https://auth.example");
    char code[8];
    assert_false(oauth_param(page, "code", code, sizeof(code)));
}

struct sp_authz_code oauth_open_code(struct bench *b, const struct page *page) {
    struct sp_authz_code code = {0};
    char text[SP_LOCATION_BYTES_MAX];
    assert_true(oauth_param(page, "code", text, sizeof(text)));
    OK(sp_unseal_code(b->app, sp_slice_cstr(text), b->now_ms / 1000, &code));
    return code;
}

struct sp_sso_cookie oauth_open_cookie(struct bench *b, const char *cookie) {
    struct sp_sso_cookie c = {0};
    OK(sp_unseal_sso(b->app, sp_slice_cstr(cookie), &c));
    return c;
}

static void redeemed_done(void *arg, const struct sp_oauth_tokens_result *r) {
    struct redeemed *p = arg;
    p->answers++;
    p->error = r->trouble.error;
    COPY(p->access, r->access_token);
    COPY(p->refresh, r->refresh_token);
    COPY(p->id_token, r->id_token);
    COPY(p->scope, r->scope);
}

struct redeemed oauth_redeem(struct bench *b, const char *client_id, const struct page *with) {
    struct redeemed p = {0};
    char code[SP_LOCATION_BYTES_MAX], uri[64];
    assert_true(oauth_param(with, "code", code, sizeof(code)));
    snprintf(uri, sizeof(uri), "https://%s.example/cb", client_id);
    const struct sp_call call = bench_call(b);
    const struct sp_oauth_token_request in = {.client = {.id = sp_slice_cstr(client_id)},
                                              .grant_type = SP_SLICE_LIT("authorization_code"),
                                              .code = sp_slice_cstr(code),
                                              .redirect_uri = sp_slice_cstr(uri),
                                              .code_verifier = SP_SLICE_LIT(OAUTH_VERIFIER)};
    sp_oauth_token(b->app, &call, &in, redeemed_done, &p);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    struct sp_authz_code opened;
    if (sp_ok(sp_unseal_code(b->app, sp_slice_cstr(code), b->now_ms / 1000, &opened)))
        memcpy(p.sid, opened.sid, sizeof(p.sid));
    return p;
}
