#include "fake.h"

#include <jansson.h>

#include "loop/loop.h"

struct fake fake;
struct reply reply;
static struct sp_http_api *api;

/* ---- the server ---- */

struct sp_http_req {
    enum sp_http_method method;
    sp_slice method_text, path, query, body;
    size_t n;
    struct sp_http_header header[FAKE_HEADERS_MAX];
    bool replied;
};

enum sp_http_method sp_http_req_method(const struct sp_http_req *r) {
    return r->method;
}
sp_slice sp_http_req_method_text(const struct sp_http_req *r) {
    return r->method_text;
}
sp_slice sp_http_req_path(const struct sp_http_req *r) {
    return r->path;
}
sp_slice sp_http_req_query(const struct sp_http_req *r) {
    return r->query;
}
sp_slice sp_http_req_body(const struct sp_http_req *r) {
    return r->body;
}
size_t sp_http_req_header_count(const struct sp_http_req *r) {
    return r->n;
}
const struct sp_http_header *sp_http_req_header_at(const struct sp_http_req *r, size_t i) {
    assert_true(i < r->n);
    return &r->header[i];
}
enum sp_http_presence sp_http_req_header(const struct sp_http_req *r, const char *name, sp_slice *ret_value) {
    size_t seen = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (!sp_slice_eq_nocase(r->header[i].name, sp_slice_cstr(name))) continue;
        if (seen++ == 0 && ret_value != NULL) *ret_value = r->header[i].value;
    }
    return seen == 0 ? SP_HTTP_ABSENT : seen == 1 ? SP_HTTP_SINGLE : SP_HTTP_REPEATED;
}
const struct sp_http_peer *sp_http_req_peer(const struct sp_http_req *r) {
    (void)r;
    return &fake.peer;
}
void *sp_http_req_user(const struct sp_http_req *r) {
    (void)r;
    return fake.listener;
}
int64_t sp_http_req_wall_ms(const struct sp_http_req *r) {
    (void)r;
    return 1700000300000; /* five minutes after the login of everybody here */
}
int64_t sp_http_req_boot_ms(const struct sp_http_req *r) {
    (void)r;
    return 0;
}
struct sp_loop *sp_http_req_loop(const struct sp_http_req *r) {
    (void)r;
    return NULL;
}
struct sp_executor *sp_loop_executor(struct sp_loop *loop) {
    (void)loop;
    return NULL;
}
/* Timers are set and never run: what comes of them is the end-to-end tests'. */
void sp_loop_timer_init(struct sp_loop_timer *timer, struct sp_loop *loop,
                        void (*run)(struct sp_loop_timer *timer)) {
    (void)loop;
    memset(&timer->ev, 0, sizeof(timer->ev));
    timer->run = run;
}
void sp_loop_timer_start(struct sp_loop_timer *timer, int64_t delay_ms) {
    (void)timer;
    (void)delay_ms;
}
void sp_loop_timer_cancel(struct sp_loop_timer *timer) {
    (void)timer;
}
bool sp_loop_timer_is_running(const struct sp_loop_timer *timer) {
    (void)timer;
    return false;
}
int64_t sp_loop_boot_ms(struct sp_loop *loop) {
    (void)loop;
    return 0;
}

static void keep(char *to, size_t cap, sp_slice s) {
    assert_true(s.n < cap);
    if (s.n != 0) memcpy(to, s.p, s.n);
    to[s.n] = '\0';
}

/* Holds the handler to what the real server demands of headers. */
static void keep_header(const struct sp_http_header *h) {
    for (size_t i = 0; i < h->value.n; i++) assert_true(h->value.p[i] >= 0x20 && h->value.p[i] != 0x7F);
    assert_true(reply.n_headers < FAKE_HEADERS_MAX);
    keep(reply.header[reply.n_headers].name, sizeof(reply.header[0].name), h->name);
    keep(reply.header[reply.n_headers].value, sizeof(reply.header[0].value), h->value);
    reply.n_headers++;
}

sp_status sp_http_reply(struct sp_http_req *req, const struct sp_http_response *response) {
    assert_false(req->replied);
    req->replied = true;
    reply.times++;
    reply.status = response->status;
    for (size_t i = 0; i < response->n_headers; i++) keep_header(&response->headers[i]);
    keep(reply.body, sizeof(reply.body), response->body);
    reply.body_n = response->body.n;
    if (response->status == 204) assert_int_equal(response->body.n, 0);
    return SP_SUCCESS;
}

/* One at a time. What is written stands in reply.body. */
struct sp_http_stream {
    struct sp_http_stream_opts opts;
    bool open;
};
static struct sp_http_stream stream;

sp_status sp_http_stream_begin(struct sp_http_req *req, const struct sp_http_response *head,
                               const struct sp_http_stream_opts *opts, struct sp_http_stream **ret_stream) {
    assert_false(stream.open);
    assert_non_null(opts->on_gone);
    SP_TRY(sp_http_reply(req, head));
    if (!sp_ok(fake.stream_refused)) {
        reply.status = 500;
        return fake.stream_refused;
    }
    reply.streamed = true;
    stream = (struct sp_http_stream){.opts = *opts, .open = true};
    *ret_stream = &stream;
    return SP_SUCCESS;
}
sp_status sp_http_stream_write(struct sp_http_stream *s, sp_slice bytes) {
    assert_true(s->open);
    assert_true(bytes.n < sizeof(reply.body) - reply.body_n);
    if (bytes.n > 0) memcpy(reply.body + reply.body_n, bytes.p, bytes.n);
    reply.body_n += bytes.n;
    reply.body[reply.body_n] = '\0';
    return SP_SUCCESS;
}
sp_status sp_http_chunk_make(sp_slice bytes, struct sp_buf *framed, struct sp_http_chunk *ret_chunk) {
    SP_TRY(sp_buf_append(framed, bytes));
    const sp_slice own = sp_slice_of(framed->p + framed->n - bytes.n, bytes.n);
    *ret_chunk = (struct sp_http_chunk){own, own};
    return SP_SUCCESS;
}
sp_status sp_http_stream_write_chunk(struct sp_http_stream *s, const struct sp_http_chunk *chunk) {
    return sp_http_stream_write(s, chunk->bytes);
}
size_t sp_http_stream_pending(const struct sp_http_stream *s) {
    assert_true(s->open);
    return 0;
}
void sp_http_stream_end(struct sp_http_stream *s) {
    assert_true(s->open);
    s->open = false;
    reply.ended = true;
}
void sp_http_stream_abort(struct sp_http_stream *s) {
    assert_true(s->open);
    s->open = false;
}

void fake_stream_drained(void) {
    assert_true(stream.open && stream.opts.on_drained != NULL);
    stream.opts.on_drained(stream.opts.arg);
}
void fake_stream_gone(enum sp_http_gone why) {
    assert_true(stream.open);
    stream.open = false;
    stream.opts.on_gone(stream.opts.arg, why);
}
bool fake_stream_open(void) {
    return stream.open;
}

/* ---- the app ---- */

struct fake_work later;

void fake_say(const char *fmt, ...) {
    size_t n = strlen(fake.calls);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(fake.calls + n, sizeof(fake.calls) - n, fmt, ap);
    va_end(ap);
    assert_true(m >= 0 && n + (size_t)m + 2 < sizeof(fake.calls));
    fake.calls[n + (size_t)m] = '\n';
    fake.calls[n + (size_t)m + 1] = '\0';
}
#define S(s) (int)(s).n, (s).n == 0 ? "" : (const char *)(s).p

void fake_later(void (*run)(void), void *done, void *arg) {
    assert_null(later.run);
    later.run = run;
    later.done = done;
    later.arg = arg;
}

void fake_check_call(const struct sp_call *call) {
    assert_int_equal(call->request_id.n, 22);
    bool admin = fake.listener == (void *)sp_http_listener_admin;
    assert_int_equal(call->channel, admin ? SP_CHANNEL_ADMIN_SOCKET : SP_CHANNEL_HTTP);
    assert_true(admin == (call->address.n == 0));
}

const char *sp_outcome_code(enum sp_outcome o) {
    switch (o) {
#define X(name, status, code, title)                                                                         \
    case SP_OUTCOME_##name:                                                                                  \
        return code;
#include "core/outcomes.def"
#undef X
    case SP_OUTCOME_COUNT: break;
    }
    return "?";
}
const char *sp_outcome_title(enum sp_outcome o) {
    return sp_outcome_code(o);
}
int sp_outcome_http_status(enum sp_outcome o) {
    static const int status[] = {
#define X(name, status, code, title) [SP_OUTCOME_##name] = (status),
#include "core/outcomes.def"
#undef X
    };
    return status[o];
}
const char *sp_end_cause_name(enum sp_end_cause cause) {
    return cause == SP_END_LOGOUT ? "logout" : cause == SP_END_EXPIRED_IDLE ? "expired_idle" : "other";
}

static void fill(struct sp_principal *p, const char *roles) {
    memset(p, 0, sizeof(*p));
    memset(p->user_id, 0x22, sizeof(p->user_id));
    memset(p->sid, 0x11, sizeof(p->sid));
    p->exp_s = 1700000900;
    p->auth_time_s = 1700000000 + fake.login_ahead_s;
    assert_true(sp_ok(SP_TEXT_SET(&p->client_id, SP_SLICE_LIT("web"))));
    assert_true(sp_ok(SP_TEXT_SET(&p->roles, fake.roles.p != NULL ? fake.roles : sp_slice_cstr(roles))));
    assert_true(sp_ok(SP_TEXT_SET(&p->scope, fake.scope)));
    assert_true(sp_ok(SP_TEXT_SET(&p->acr, fake.acr)));
    p->is_client = fake.is_client;
}

enum sp_reject sp_app_authenticate(struct sp_app *app, sp_slice token, struct sp_principal *ret) {
    (void)app;
    if (sp_slice_eq_cstr(token, "stale.token")) return SP_REJECT_STALE;
    if (sp_slice_eq_cstr(token, "broken.token")) return SP_REJECT_INTERNAL;
    if (sp_slice_eq_cstr(token, GOOD)) {
        fill(ret, "staff");
    } else if (sp_slice_eq_cstr(token, ADMIN)) {
        fill(ret, "admin");
    } else {
        return SP_REJECT_BAD_SIGNATURE;
    }
    return SP_REJECT_NONE;
}
bool sp_app_permits(struct sp_app *app, const struct sp_principal *p, sp_slice permission) {
    (void)app;
    if (p->is_local_admin || sp_words_contain(SP_TEXT_SLICE(&p->roles), SP_SLICE_LIT("admin"))) return true;
    return sp_slice_eq_cstr(permission, "documents:read");
}
sp_status sp_app_permissions(struct sp_app *app, const struct sp_principal *p, struct sp_buf *ret) {
    (void)app;
    (void)p;
    return sp_buf_append(ret, fake.permissions);
}
void sp_app_audit_denial(struct sp_app *app, const struct sp_call *call, sp_slice permission,
                         sp_slice target) {
    (void)app;
    fake_check_call(call);
    fake_say("denial %.*s %.*s", S(permission), S(target));
}
void sp_app_csrf_token(struct sp_app *app, const uint8_t *sid, char ret[SP_CSRF_TEXT_BYTES]) {
    (void)app;
    memset(ret, sid[0] == 0x11 ? 'C' : 'X', SP_CSRF_TEXT_BYTES);
}
bool sp_app_csrf_valid(struct sp_app *app, const uint8_t *sid, sp_slice presented) {
    char wanted[SP_CSRF_TEXT_BYTES];
    sp_app_csrf_token(app, sid, wanted);
    return sp_slice_eq(presented, SP_SLICE_ARRAY(wanted));
}
sp_status sp_app_jwks(struct sp_app *app, struct sp_buf *ret) {
    (void)app;
    return sp_ok(fake.ready) ? sp_buf_append_cstr(ret, "{\"keys\":[]}") : fake.ready;
}
sp_status sp_app_ready(struct sp_app *app) {
    (void)app;
    return fake.ready;
}
const struct sp_app_config *sp_app_config(const struct sp_app *app) {
    (void)app;
    static struct sp_app_config config = {.issuer = {.n = 11, .s = "https://iss"}};
    if (fake.issuer.n != 0) assert_true(sp_ok(SP_TEXT_SET(&config.issuer, fake.issuer)));
    if (fake.issuer.n == 0) assert_true(sp_ok(SP_TEXT_SET(&config.issuer, SP_SLICE_LIT("https://iss"))));
    config.alg = fake.alg;
    config.registration_enabled = fake.registration;
    return &config;
}

static void run_tokens(void) {
    struct sp_tokens_result r = {
        .outcome = fake.outcome, .mode = fake.mode == 0 ? later.mode : fake.mode, .why = fake.why};
    if (r.outcome == SP_OUTCOME_INVALID_PROOF) r.trouble = &fake.trouble;
    if (r.outcome == SP_OUTCOME_OK) {
        r.access_token = fake.access_token.n != 0 ? fake.access_token : SP_SLICE_LIT("new.access");
        r.access_expires_in_s = 900;
        r.refresh_token = SP_SLICE_LIT("sprt_new");
        r.refresh_expires_in_s = 604800;
        r.device_token = fake.device_token;
        memset(r.sid, 0x11, sizeof(r.sid));
    }
    ((sp_tokens_done *)later.done)(later.arg, &r);
}
static void run_plain(void) {
    const struct sp_plain_result r = {.outcome = fake.outcome, .count = fake.count, .why = fake.why};
    ((sp_plain_done *)later.done)(later.arg, &r);
}
static void run_sessions(void) {
    const struct sp_sessions_result r = {fake.outcome, fake.views, fake.n_views, fake.next};
    ((sp_sessions_done *)later.done)(later.arg, &r);
}
static void run_users(void) {
    const struct sp_users_result r = {fake.outcome, fake.users, fake.n_users, fake.next};
    ((sp_users_done *)later.done)(later.arg, &r);
}
static void run_roles(void) {
    static const struct sp_role_row row = {.version = 2,
                                           .name = {5, "staff"},
                                           .permissions = {14, "documents:read"},
                                           .updated_ms = 1700000000123};
    const struct sp_roles_result r = {fake.outcome, &row, 1};
    ((sp_roles_done *)later.done)(later.arg, &r);
}
/* A hash here is what a careless handler would show. */
static void run_clients(void) {
    static const struct sp_client_row row = {
        .id = {6, "orders"},
        .version = 4,
        .feed = true,
        .created_ms = 1700000000000,
        .secrets = {{true, "HASH", 1700000000000, 1700000060000}, {true, "HASH", 1700000001000, 0}}};
    const struct sp_clients_result r = {fake.outcome, &row, 1, fake.next, fake.secret, fake.now_ms};
    ((sp_clients_done *)later.done)(later.arg, &r);
}
static void run_keys(void) {
    static const struct sp_key_row row = {.kid = {2, "k1"},
                                          .use = SP_KEY_ACCESS,
                                          .alg = {5, "ES256"},
                                          .state = SP_KEY_SIGNING,
                                          .created_ms = 1700000000000,
                                          .signing_from_ms = 1700000000000,
                                          .sealed = {6, "SECRET"}};
    const struct sp_keys_result r = {fake.outcome, &row, 1};
    ((sp_keys_done *)later.done)(later.arg, &r);
}
static void run_audit(void) {
    static char body[] = "{\"n\":1}";
    static const struct sp_audit_row row = {.seq = 7,
                                            .time_ms = 1700000000000,
                                            .action = {5, "login"},
                                            .outcome = {2, "ok"},
                                            .body = body,
                                            .body_n = 7};
    const struct sp_audit_result r = {fake.outcome, &row, 1, 0};
    ((sp_audit_done *)later.done)(later.arg, &r);
}
static void run_checkpoint(void) {
    const struct sp_audit_checkpoint_result r = {.outcome = fake.outcome, .checkpoint = {.count = 9}};
    ((sp_audit_checkpoint_done *)later.done)(later.arg, &r);
}
static void run_erase(void) {
    const struct sp_erase_result r = {
        .outcome = fake.outcome, .complete = true, .total = 9, .erased = 2, .sessions_ended = 1};
    ((sp_erase_done *)later.done)(later.arg, &r);
}
static void run_backup(void) {
    const struct sp_backup_result r = {.outcome = fake.outcome, .state = SP_BACKUP_NONE};
    ((sp_backup_done *)later.done)(later.arg, &r);
}
static void run_audit_prune(void) {
    const struct sp_audit_prune_result r = {
        .outcome = fake.outcome, .complete = true, .proved = 9, .base = 9, .total = 9, .pruned = 4};
    ((sp_audit_prune_done *)later.done)(later.arg, &r);
}

static void run_audit_verify(void) {
    const struct sp_audit_verify_result r = {
        .outcome = fake.outcome, .complete = true, .records = 6, .total = 9, .bad_seq = 7, .why = "hash"};
    ((sp_audit_verify_done *)later.done)(later.arg, &r);
}
static void run_status(void) {
    const struct sp_status_result r = {
        .outcome = fake.outcome, .store_name = "memory", .started_ms = 1700000000000};
    ((sp_status_done *)later.done)(later.arg, &r);
}

static void run_measures(void) {
    const struct sp_measures m = {.outcome = fake.outcome, .store_name = "memory"};
    ((sp_measures_done *)later.done)(later.arg, &m);
}

static sp_status write_metrics(void *arg, const struct sp_measures *m, struct sp_buf *ret) {
    (void)arg;
    return sp_buf_printf(ret, "# store %s\n", m->store_name);
}

void sp_app_login(struct sp_app *app, const struct sp_call *call, const struct sp_login_request *in,
                  sp_tokens_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("login %.*s|%.*s|%.*s|%s", S(in->username), S(in->password), S(in->device),
             in->mode == SP_MODE_COOKIE ? "cookie" : "token");
    if (in->device_token.n != 0) fake_say("device %.*s", S(in->device_token));
    later.mode = in->mode;
    fake_later(run_tokens, done, arg);
}
void sp_app_register(struct sp_app *app, const struct sp_call *call, const struct sp_register_request *in,
                     sp_tokens_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("register %.*s|%.*s|%.*s|%s", S(in->username), S(in->password), S(in->device),
             in->mode == SP_MODE_COOKIE ? "cookie" : "token");
    later.mode = in->mode;
    fake_later(run_tokens, done, arg);
}
void sp_app_refresh(struct sp_app *app, const struct sp_call *call, const struct sp_refresh_request *in,
                    sp_tokens_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("refresh %.*s|%zu|%s", S(in->refresh_token), in->attempt.n,
             in->mode == SP_MODE_COOKIE ? "cookie" : "token");
    later.mode = in->mode;
    fake_later(run_tokens, done, arg);
}
void sp_app_logout(struct sp_app *app, const struct sp_call *call, const struct sp_logout_request *in,
                   sp_plain_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("logout %.*s|%.*s", S(in->refresh_token), S(in->access_token));
    fake_later(run_plain, done, arg);
}
static void need_principal(const struct sp_call *call) {
    fake_check_call(call);
    assert_non_null(call->principal);
}
void sp_app_logout_all(struct sp_app *app, const struct sp_call *call, sp_plain_done *done, void *arg) {
    (void)app;
    need_principal(call);
    fake_say("logout_all");
    fake_later(run_plain, done, arg);
}
void sp_app_password_change(struct sp_app *app, const struct sp_call *call,
                            const struct sp_password_request *in, sp_plain_done *done, void *arg) {
    (void)app;
    need_principal(call);
    fake_say("password %.*s|%.*s", S(in->current), S(in->wanted));
    fake_later(run_plain, done, arg);
}
void sp_app_sessions_own(struct sp_app *app, const struct sp_call *call, sp_sessions_done *done, void *arg) {
    (void)app;
    need_principal(call);
    fake_say("sessions_own");
    fake_later(run_sessions, done, arg);
}
void sp_app_session_end_own(struct sp_app *app, const struct sp_call *call, sp_slice sid, sp_plain_done *done,
                            void *arg) {
    (void)app;
    need_principal(call);
    fake_say("session_end_own %.*s", S(sid));
    fake_later(run_plain, done, arg);
}

static void need_admin(struct sp_app *app, const struct sp_call *call) {
    need_principal(call);
    assert_true(sp_app_permits(app, call->principal, SP_SLICE_LIT("sallyport:admin")));
}
void sp_app_user_add(struct sp_app *app, const struct sp_call *call, const struct sp_user_add_request *in,
                     sp_users_done *done, void *arg) {
    need_admin(app, call);
    fake_say("user_add %.*s|%.*s|%.*s", S(in->name), S(in->password), S(in->roles));
    fake_later(run_users, done, arg);
}
void sp_app_session_add(struct sp_app *app, const struct sp_call *call,
                        const struct sp_session_add_request *in, sp_tokens_done *done, void *arg) {
    need_admin(app, call);
    fake_say("session_add %.*s|%s%.*s|%.*s|%.*s|%.*s|%lld", S(in->subject), in->has_roles ? "roles " : "",
             S(in->roles), S(in->scope), S(in->amr), S(in->device), (long long)in->auth_time_s);
    later.mode = SP_MODE_TOKEN;
    fake_later(run_tokens, done, arg);
}
void sp_app_user_show(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                      sp_users_done *done, void *arg) {
    need_admin(app, call);
    fake_say("user_show %.*s", S(name_or_id));
    fake_later(run_users, done, arg);
}
void sp_app_users_list(struct sp_app *app, const struct sp_call *call, sp_slice after, uint32_t limit,
                       sp_users_done *done, void *arg) {
    need_admin(app, call);
    fake_say("users_list %.*s|%u", S(after), limit);
    fake_later(run_users, done, arg);
}
void sp_app_user_edit(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                      enum sp_user_edit what, sp_slice value, sp_plain_done *done, void *arg) {
    need_admin(app, call);
    fake_say("user_edit %.*s|%d|%.*s", S(name_or_id), (int)what, S(value));
    fake_later(run_plain, done, arg);
}
void sp_app_roles_list(struct sp_app *app, const struct sp_call *call, sp_roles_done *done, void *arg) {
    need_admin(app, call);
    fake_say("roles_list");
    fake_later(run_roles, done, arg);
}
void sp_app_role_set(struct sp_app *app, const struct sp_call *call, sp_slice name, sp_slice permissions,
                     sp_plain_done *done, void *arg) {
    need_admin(app, call);
    fake_say("role_set %.*s|%.*s", S(name), S(permissions));
    fake_later(run_plain, done, arg);
}
void sp_app_role_delete(struct sp_app *app, const struct sp_call *call, sp_slice name, sp_plain_done *done,
                        void *arg) {
    need_admin(app, call);
    fake_say("role_delete %.*s", S(name));
    fake_later(run_plain, done, arg);
}
void sp_app_sessions_list(struct sp_app *app, const struct sp_call *call, sp_slice user, bool with_ended,
                          sp_slice after, uint32_t limit, sp_sessions_done *done, void *arg) {
    need_admin(app, call);
    fake_say("sessions_list %.*s|%d|%.*s|%u", S(user), with_ended, S(after), limit);
    fake_later(run_sessions, done, arg);
}
void sp_app_revoke(struct sp_app *app, const struct sp_call *call, enum sp_revoke_target target,
                   sp_slice value, sp_plain_done *done, void *arg) {
    need_admin(app, call);
    fake_say("revoke %d|%.*s", (int)target, S(value));
    fake_later(run_plain, done, arg);
}
void sp_app_clients_list(struct sp_app *app, const struct sp_call *call, sp_slice after, uint32_t limit,
                         sp_clients_done *done, void *arg) {
    need_admin(app, call);
    fake_say("clients_list %.*s|%u", S(after), limit);
    fake_later(run_clients, done, arg);
}
void sp_app_client_show(struct sp_app *app, const struct sp_call *call, sp_slice id, sp_clients_done *done,
                        void *arg) {
    need_admin(app, call);
    fake_say("client_show %.*s", S(id));
    fake_later(run_clients, done, arg);
}
void sp_app_client_add(struct sp_app *app, const struct sp_call *call, const struct sp_client_add_request *in,
                       sp_clients_done *done, void *arg) {
    need_admin(app, call);
    const struct sp_client_options *o = &in->options;
    fake_say("client_add %.*s|%.*s|%d|%.*s|%.*s|%.*s|%d", S(in->id), S(in->secret), o->feed,
             S(o->auth_method), S(o->redirect_uris), S(o->jwks), o->keeps_refresh);
    fake_later(run_clients, done, arg);
}
void sp_app_client_set(struct sp_app *app, const struct sp_call *call, sp_slice id,
                       const struct sp_client_options *options, uint64_t expect_version,
                       sp_clients_done *done, void *arg) {
    need_admin(app, call);
    fake_say("client_set %.*s|%llu|%.*s|%d", S(id), (unsigned long long)expect_version, S(options->scopes),
             options->trusted);
    fake_later(run_clients, done, arg);
}
void sp_app_client_rotate(struct sp_app *app, const struct sp_call *call, sp_slice id,
                          const struct sp_client_rotate_request *in, sp_clients_done *done, void *arg) {
    need_admin(app, call);
    fake_say("client_rotate %.*s|%lld|%.*s", S(id), (long long)in->overlap_s, S(in->secret));
    fake_later(run_clients, done, arg);
}
void sp_app_client_edit(struct sp_app *app, const struct sp_call *call, sp_slice id, enum sp_client_edit what,
                        sp_plain_done *done, void *arg) {
    need_admin(app, call);
    fake_say("client_edit %.*s|%d", S(id), (int)what);
    fake_later(run_plain, done, arg);
}
struct sp_feed *sp_app_feed(struct sp_app *app) {
    (void)app;
    return fake.feed;
}
enum sp_client_check sp_app_client_check(struct sp_app *app, const struct sp_call *call, sp_slice id,
                                         sp_slice secret, struct sp_client_facts *ret_facts) {
    (void)app;
    (void)call;
    fake_say("client_check %.*s|%.*s", S(id), S(secret));
    if (fake.client != SP_CLIENT_REFUSED) *ret_facts = fake.client_facts;
    return fake.client;
}
enum sp_client_check sp_app_client_check_again(struct sp_app *app, struct sp_client_facts *facts) {
    (void)app;
    *facts = fake.client_facts;
    return fake.client;
}
void sp_app_keys_list(struct sp_app *app, const struct sp_call *call, sp_keys_done *done, void *arg) {
    need_admin(app, call);
    fake_say("keys_list");
    fake_later(run_keys, done, arg);
}
void sp_app_key_rotate(struct sp_app *app, const struct sp_call *call, enum sp_key_use use, bool immediately,
                       sp_keys_done *done, void *arg) {
    need_admin(app, call);
    fake_say("key_rotate %d|%d", (int)use, immediately);
    fake_later(run_keys, done, arg);
}
void sp_app_key_revoke(struct sp_app *app, const struct sp_call *call, sp_slice kid, sp_plain_done *done,
                       void *arg) {
    need_admin(app, call);
    fake_say("key_revoke %.*s", S(kid));
    fake_later(run_plain, done, arg);
}
void sp_app_audit_list(struct sp_app *app, const struct sp_call *call, const struct sp_audit_query *in,
                       sp_audit_done *done, void *arg) {
    need_admin(app, call);
    fake_say("audit_list %llu|%u|%.*s|%.*s|%lld|%lld", (unsigned long long)in->after_seq, in->limit,
             SP_SLICE_FMT(in->user), SP_SLICE_FMT(in->action), (long long)in->since_ms,
             (long long)in->until_ms);
    fake_later(run_audit, done, arg);
}
void sp_app_audit_checkpoint(struct sp_app *app, const struct sp_call *call, sp_audit_checkpoint_done *done,
                             void *arg) {
    (void)app, (void)call;
    fake_say("audit_checkpoint");
    fake_later(run_checkpoint, done, arg);
}
void sp_app_user_erase(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                       uint64_t after_seq, sp_erase_done *done, void *arg) {
    (void)app, (void)call;
    fake_say("user_erase %.*s|%llu", SP_SLICE_FMT(name_or_id), (unsigned long long)after_seq);
    fake_later(run_erase, done, arg);
}
void sp_app_backup_start(struct sp_app *app, const struct sp_call *call, sp_slice path, sp_backup_done *done,
                         void *arg) {
    (void)app, (void)call;
    fake_say("backup_start %.*s", SP_SLICE_FMT(path));
    fake_later(run_backup, done, arg);
}
void sp_app_backup_status(struct sp_app *app, const struct sp_call *call, sp_backup_done *done, void *arg) {
    (void)app, (void)call;
    fake_say("backup_status");
    fake_later(run_backup, done, arg);
}
void sp_app_audit_prune(struct sp_app *app, const struct sp_call *call,
                        const struct sp_audit_checkpoint *checkpoint, sp_audit_prune_done *done, void *arg) {
    need_admin(app, call);
    fake_say("audit_prune %llu|%lld|%02x|%02x", (unsigned long long)checkpoint->count,
             (long long)checkpoint->time_ms, checkpoint->head[0], checkpoint->mac[31]);
    fake_later(run_audit_prune, done, arg);
}
void sp_app_audit_verify(struct sp_app *app, const struct sp_call *call,
                         const struct sp_audit_verify_request *in, sp_audit_verify_done *done, void *arg) {
    need_admin(app, call);
    fake_say("audit_verify %llu|%llu", (unsigned long long)in->after_seq,
             (unsigned long long)(in->checkpoint == NULL ? 0 : in->checkpoint->count));
    fake_later(run_audit_verify, done, arg);
}
void sp_app_status(struct sp_app *app, const struct sp_call *call, sp_status_done *done, void *arg) {
    need_admin(app, call);
    fake_say("status");
    fake_later(run_status, done, arg);
}

void sp_app_measure(struct sp_app *app, const struct sp_call *call, sp_measures_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("measure");
    fake_later(run_measures, done, arg);
}

/* ---- asking ---- */

static void log_write(void *arg, enum sp_log_level level, const char *event,
                      const struct sp_log_field *fields, size_t n) {
    (void)arg;
    int at = snprintf(fake.log, sizeof(fake.log), "%s ", event);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].type != SP_LOG_TEXT) continue;
        at += snprintf(fake.log + at, sizeof(fake.log) - (size_t)at, "%s=%.*s ", fields[i].name,
                       S(fields[i].text));
        assert_true((size_t)at < sizeof(fake.log));
    }
    if (level != SP_LOG_WARN) return;
    memcpy(fake.warning, fake.log, sizeof(fake.warning));
    fake.warnings++;
}

int fake_setup(void **state) {
    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.outcome = SP_OUTCOME_OK;
    fake.peer.kind = SP_HTTP_PEER_TCP;
    memcpy(fake.peer.address, "192.0.2.1", 10);
    fake.listener = sp_http_listener_public;
    fake.permissions = SP_SLICE_LIT("documents:read");
    memset(&later, 0, sizeof(later));
    static const sp_slice origin[] = {{(const uint8_t *)"https://app.example", 19}};
    static const sp_slice shared[] = {{(const uint8_t *)"https://spa.example", 19}};
    const struct sp_http_api_config config = {.public_origins = origin,
                                              .n_public_origins = 1,
                                              .cors_origins = shared,
                                              .n_cors_origins = 1,
                                              .log = {log_write, NULL},
                                              .metrics = write_metrics,
                                              .random = sp_random_system};
    return sp_ok(sp_http_api_new(NULL, &config, &api)) ? 0 : -1;
}

int fake_teardown(void **state) {
    (void)state;
    sp_http_api_free(api);
    api = NULL;
    return 0;
}

static enum sp_http_method method_of(sp_slice text) {
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        if (sp_slice_eq_cstr(text, names[i])) return (enum sp_http_method)i;
    }
    return SP_HTTP_OTHER;
}

static void read_line(struct sp_http_req *r, const char *line) {
    const char *space = strchr(line, ' ');
    assert_non_null(space);
    r->method_text = sp_slice_of(line, (size_t)(space - line));
    r->method = method_of(r->method_text);
    const char *target = space + 1;
    const char *q = strchr(target, '?');
    r->path = q == NULL ? sp_slice_cstr(target) : sp_slice_of(target, (size_t)(q - target));
    r->query = q == NULL ? SP_SLICE_EMPTY : sp_slice_cstr(q + 1);
}

struct sp_http_req *fake_request(const char *line) {
    static struct sp_http_req r;
    r = (struct sp_http_req){.n = 0};
    read_line(&r, line);
    memset(&reply, 0, sizeof(reply));
    return &r;
}

static void ask_v(const char *line, sp_slice body, va_list ap) {
    struct sp_http_req r = {.body = body};
    read_line(&r, line);
    const char *h;
    while ((h = va_arg(ap, const char *)) != NULL) {
        const char *colon = strstr(h, ": ");
        assert_non_null(colon);
        assert_true(r.n < FAKE_HEADERS_MAX);
        r.header[r.n].name = sp_slice_of(h, (size_t)(colon - h));
        r.header[r.n++].value = sp_slice_cstr(colon + 2);
    }
    memset(&reply, 0, sizeof(reply));
    fake.calls[0] = '\0';
    sp_http_api_on_request(api, &r);
    if (later.run != NULL) {
        assert_false(r.replied);
        void (*run)(void) = later.run;
        later.run = NULL;
        run();
    }
    assert_true(r.replied);
    assert_int_equal(reply.times, 1);
}

void ask(const char *line, const char *body, ...) {
    va_list ap;
    va_start(ap, body);
    ask_v(line, sp_slice_cstr(body), ap);
    va_end(ap);
}

void ask_bytes(const char *line, sp_slice body, ...) {
    va_list ap;
    va_start(ap, body);
    ask_v(line, body, ap);
    va_end(ap);
}

const char *header(const char *name, size_t nth) {
    for (size_t i = 0; i < reply.n_headers; i++) {
        if (strcmp(reply.header[i].name, name) == 0 && nth-- == 0) return reply.header[i].value;
    }
    return NULL;
}

void assert_status(int status) {
    if (reply.status != status) print_error("reply: %d %s\n", reply.status, reply.body);
    assert_int_equal(reply.status, status);
    assert_string_equal(header("X-Content-Type-Options", 0), "nosniff");
    const bool is_page = header("Content-Type", 0) != NULL &&
                         strcmp(header("Content-Type", 0), "text/html; charset=utf-8") == 0;
    assert_string_equal(header("Referrer-Policy", 0), is_page ? "same-origin" : "no-referrer");
    assert_non_null(strstr(header("Content-Security-Policy", 0), "default-src 'none'"));
    assert_non_null(header("Cache-Control", 0));
    assert_int_equal(strlen(header("X-Request-Id", 0)), 22);
    if (status == 401 && !fake.no_challenge) assert_non_null(header("WWW-Authenticate", 0));
    if (status == 503) assert_non_null(header("Retry-After", 0));
}

void assert_problem(int status, const char *code) {
    assert_status(status);
    assert_string_equal(header("Content-Type", 0), "application/problem+json");
    assert_string_equal(header("Cache-Control", 0), "no-store");
    json_error_t err;
    json_t *j = json_loadb(reply.body, reply.body_n, JSON_REJECT_DUPLICATES, &err);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "code")), code);
    assert_int_equal(json_integer_value(json_object_get(j, "status")), status);
    assert_non_null(json_string_value(json_object_get(j, "title")));
    const char *type = json_string_value(json_object_get(j, "type"));
    assert_non_null(type);
    assert_int_equal(strncmp(type, "urn:sallyport:problem:", 22), 0);
    assert_string_equal(type + 22, code);
    json_decref(j);
}

void assert_body(const char *json) {
    assert_string_equal(header("Content-Type", 0), "application/json");
    assert_string_equal(reply.body, json);
}

void assert_calls(const char *lines) {
    assert_string_equal(fake.calls, lines);
}

void assert_cookies_expired(void) {
    assert_string_equal(header("Set-Cookie", 0),
                        "__Host-sp_access=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax");
    assert_string_equal(header("Set-Cookie", 1),
                        "__Host-sp_refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict");
}

void assert_no_cookies(void) {
    assert_null(header("Set-Cookie", 0));
}
