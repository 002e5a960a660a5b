/* The server that is not there: requests are made from text, replies and streams are kept and held to what
 * the real server demands. What a use case was asked, and that it ends later, is kept here too; the use cases
 * are in fake_auth.c, fake_admin.c and fake_oauth.c. Doubles of http/server.h and loop/loop.h. */
#include "fake.h"

#include <jansson.h>

#include "fake_internal.h"
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

/* ---- what use cases are asked, and when they end ---- */

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

static sp_status write_metrics(void *arg, const struct sp_measures *m, struct sp_buf *ret) {
    (void)arg;
    return sp_buf_printf(ret, "# store %s\n", m->store_name);
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
