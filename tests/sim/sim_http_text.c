/* Requests as text, in the forms that clients and proxies give them; answers from text, strictly.
 *
 * The reader is none of the server's code: what both understood wrongly would pass. An answer is judged here
 * by what holds for all of them; what it says is for whoever asked. */
#include <stdio.h>
#include <string.h>

#include "base/base64url.h"
#include "sim_http.h"

#define JWT_BEGINS "eyJhbGciOi" /* {"alg": */

/* ---- a request ---- */

void sim_text_add(struct sim_text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(t->p + t->n, sizeof(t->p) - t->n, format, args);
    va_end(args);
    sp_assert(n >= 0 && (size_t)n < sizeof(t->p) - t->n);
    t->n += (size_t)n;
}

static void add_cookies(const struct sim_ask *ask, struct sim_text *t) {
    if (ask->access_cookie.n == 0 && ask->refresh_cookie.n == 0) return;
    sim_text_add(t, "Cookie: theme=dark");
    if (ask->access_cookie.n != 0)
        sim_text_add(t, "; __Host-sp_access=%.*s", SP_SLICE_FMT(ask->access_cookie));
    if (ask->refresh_cookie.n != 0)
        sim_text_add(t, "; __Host-sp_refresh=%.*s", SP_SLICE_FMT(ask->refresh_cookie));
    sim_text_add(t, "\r\n");
}

static void add_body(struct sim *s, const char *body, struct sim_text *t) {
    const size_t n = strlen(body), first = n < 2 ? n : 1 + sim_below(s, n - 1);
    sim_text_add(t, "Content-Type: application/json\r\n");
    if (sim_chance(s, 70)) {
        sim_text_add(t, "Content-Length: %zu\r\n\r\n%s", n, body);
        return;
    }
    sim_text_add(t, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%.*s\r\n", first, (int)first, body);
    if (first < n) sim_text_add(t, "%zx\r\n%s\r\n", n - first, body + first);
    sim_text_add(t, "0\r\n\r\n");
}

/* The same request in the forms that clients and proxies give it. */
void sim_ask_write(struct sim *s, const struct sim_ask *ask, struct sim_text *t) {
    const char *absolute = sim_chance(s, 5) ? "https://auth.example" : "";
    sim_text_add(t, "%s %s%s HTTP/1.1\r\nHost: auth.example\r\n", ask->method, absolute, ask->path);
    if (ask->number != 0) sim_text_add(t, "User-Agent: %llu\r\n", (unsigned long long)ask->number);
    if (ask->bearer.n != 0) sim_text_add(t, "authorization: Bearer %.*s\r\n", SP_SLICE_FMT(ask->bearer));
    if (ask->origin != NULL) sim_text_add(t, "Origin: %s\r\n", ask->origin);
    if (ask->fetch_site != NULL) sim_text_add(t, "Sec-Fetch-Site: %s\r\n", ask->fetch_site);
    if (ask->csrf != NULL) sim_text_add(t, "X-CSRF-Token: %s\r\n", ask->csrf);
    add_cookies(ask, t);
    if (ask->body != NULL) {
        add_body(s, ask->body, t);
    } else {
        sim_text_add(t, "\r\n");
    }
}

/* ---- an answer: its form ---- */

struct reading {
    struct sim *sim;
    const struct sim_exchange *x;
    struct sim_answer *a;
    bool has_length, has_no_store, is_json, is_problem, has_challenge;
    size_t length;
    unsigned cookies;
};

static bool is(sp_slice name, const char *text) {
    return sp_slice_eq_nocase(name, sp_slice_cstr(text));
}

static bool ends_with(sp_slice s, const char *end) {
    const size_t n = strlen(end);
    return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

/* name=value; Path=/; Max-Age=n; HttpOnly; Secure; SameSite=... */
static void read_cookie(struct reading *r, sp_slice line) {
    static const struct {
        const char *begin, *end;
    } kinds[] = {{"__Host-sp_access=", "; HttpOnly; Secure; SameSite=Lax"},
                 {"__Host-sp_refresh=", "; HttpOnly; Secure; SameSite=Strict"},
                 {"__Host-sp_device=", "; HttpOnly; Secure; SameSite=Strict"}};
    sp_slice *const values[] = {&r->a->access_cookie, &r->a->refresh_cookie, &(sp_slice){.p = NULL}};
    for (size_t i = 0; i < SP_ARRAY_LEN(kinds); i++) {
        const size_t n = strlen(kinds[i].begin);
        if (!sp_slice_starts(line, sp_slice_cstr(kinds[i].begin))) continue;
        const char *after = memmem(line.p, line.n, "; Path=/; Max-Age=", 18);
        if (after == NULL || !ends_with(line, kinds[i].end))
            sim_fail(r->sim, "a cookie without its attributes");
        if ((r->cookies & 1u << i) != 0) sim_fail(r->sim, "a cookie is set twice");
        r->cookies |= 1u << i;
        *values[i] = sp_slice_of(line.p + n, (size_t)(after - (const char *)line.p) - n);
        return;
    }
    sim_fail(r->sim, "a cookie that is none of ours");
}

static void read_header(struct reading *r, sp_slice name, sp_slice value) {
    if (is(name, "Content-Length")) {
        if (r->has_length) sim_fail(r->sim, "two lengths");
        r->has_length = true;
        r->length = strtoul((const char *)value.p, NULL, 10);
    }
    if (is(name, "Cache-Control")) r->has_no_store = sp_slice_eq_cstr(value, "no-store");
    if (is(name, "Connection")) r->a->closes = is(value, "close");
    if (is(name, "Content-Type")) r->is_json = sp_slice_eq_cstr(value, "application/json");
    if (is(name, "Content-Type")) r->is_problem = sp_slice_eq_cstr(value, "application/problem+json");
    if (is(name, "WWW-Authenticate")) r->has_challenge = true;
    if (is(name, "Set-Cookie")) read_cookie(r, value);
    if (is(name, "X-Request-Id") && value.n == SIM_ID_CHARS) memcpy(r->a->id, value.p, value.n);
}

static void read_head(struct reading *r) {
    const char *at = memmem(r->a->head, r->a->head_n, "\r\n", 2), *end = r->a->head + r->a->head_n - 2;
    if (memcmp(r->a->head, "HTTP/1.1 ", 9) != 0) sim_fail(r->sim, "no status line");
    r->a->status = (int)strtol(r->a->head + 9, NULL, 10);
    for (at += 2; at < end;) {
        const char *colon = memchr(at, ':', (size_t)(end - at)),
                   *stop = memmem(at, (size_t)(end - at) + 2, "\r\n", 2);
        if (colon == NULL || colon > stop || colon[1] != ' ') sim_fail(r->sim, "a header without form");
        read_header(r, sp_slice_of(at, (size_t)(colon - at)),
                    sp_slice_of(colon + 2, (size_t)(stop - colon) - 2));
        at = stop + 2;
    }
}

static void read_body(struct reading *r) {
    struct sim_answer *a = r->a;
    a->body = sp_slice_of(a->head + a->head_n, r->length);
    if (r->length == 0) return;
    a->json = json_loadb((const char *)a->body.p, a->body.n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(a->json)) sim_fail(r->sim, "a body that is no JSON object");
    if (a->status < 400) return;
    const sp_slice code = sim_answer_text(a, "code");
    if (code.n >= sizeof(a->code)) sim_fail(r->sim, "a long code");
    memcpy(a->code, code.p, code.n);
}

/* ---- an answer: what it must not be ---- */

/* Where values begin, so that chance does not write one. */
static size_t values_like(sp_slice text, const char *begin) {
    const size_t n = strlen(begin);
    size_t found = 0;
    for (size_t i = 1; i + n <= text.n; i++) {
        const bool starts = text.p[i - 1] == '"' || text.p[i - 1] == '=' || text.p[i - 1] == ' ';
        found += starts && memcmp(text.p + i, begin, n) == 0;
    }
    return found;
}

static void judge_tokens(struct sim *s, const struct sim_exchange *x, const struct sim_answer *a) {
    const sp_slice head = sp_slice_of(a->head, a->head_n);
    const bool good = a->status < 300 && x->skip == 0;
    const size_t in_head = good && x->secrets == SIM_TOKENS_IN_COOKIES,
                 in_body = good && x->secrets == SIM_TOKENS_IN_BODY;
    if (values_like(head, SP_REFRESH_PREFIX) != in_head || values_like(head, JWT_BEGINS) != in_head)
        sim_fail(s, "%s: tokens in the head of the answer", x->what);
    if (values_like(a->body, SP_REFRESH_PREFIX) != in_body || values_like(a->body, JWT_BEGINS) != in_body)
        sim_fail(s, "%s: tokens in the body of the answer", x->what);
    const char *all = a->head;
    if (memmem(all, a->n, "the first password", 18) != NULL ||
        memmem(all, a->n, "the second password", 19) != NULL)
        sim_fail(s, "%s: a password in the answer", x->what);
}

static void judge_form(const struct reading *r) {
    const struct sim_answer *a = r->a;
    const struct sim_exchange *x = r->x;
    if (!r->has_no_store) sim_fail(r->sim, "%s: an answer that may be kept", x->what);
    if (a->id[0] == 0) sim_fail(r->sim, "%s: no request id", x->what);
    if ((r->length > 0) != (r->is_json || r->is_problem)) sim_fail(r->sim, "%s: a body of no type", x->what);
    if ((a->status >= 400) != r->is_problem) sim_fail(r->sim, "%s: %d without a problem", x->what, a->status);
    if (r->is_problem && sim_answer_number(a, "status") != a->status)
        sim_fail(r->sim, "%s: two statuses", x->what);
    if (a->status == 401 && !r->has_challenge) sim_fail(r->sim, "%s: 401 without a challenge", x->what);
    if (r->cookies != 0 && !x->is_cookie) sim_fail(r->sim, "%s: a cookie in token mode", x->what);
}

static void judge(const struct reading *r) {
    const struct sim_answer *a = r->a;
    struct sim *s = r->sim;
    judge_form(r);
    judge_tokens(s, r->x, a);
    const bool excused = (s->down || sim_app_of(s)->had_trouble) && a->status == 503;
    if (a->status >= 500 && !excused)
        sim_fail(s, "%s: %d %s without a fault", r->x->what, a->status, a->code);
    if (r->x->skip > 0 && a->status != 200) sim_fail(s, "the request before %s: %d", r->x->what, a->status);
}

size_t sim_answer_read(struct sim *s, const struct sim_exchange *x, const char *p, size_t n,
                       struct sim_answer *ret) {
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    struct reading r = {.sim = s, .x = x, .a = ret};
    *ret = (struct sim_answer){.head = p, .head_n = (size_t)(end - p) + 4};
    read_head(&r);
    if (r.has_length == (ret->status == 204)) sim_fail(s, "%s: no length, or one of nothing", x->what);
    if (n - ret->head_n < r.length) return 0;
    ret->n = ret->head_n + r.length;
    read_body(&r);
    judge(&r);
    return ret->n;
}

void sim_answer_done(struct sim_answer *a) {
    json_decref(a->json);
    a->json = NULL;
}

sp_slice sim_answer_text(const struct sim_answer *a, const char *name) {
    const char *text = json_string_value(json_object_get(a->json, name));
    return text == NULL ? SP_SLICE_EMPTY : sp_slice_cstr(text);
}

int64_t sim_answer_number(const struct sim_answer *a, const char *name) {
    return json_integer_value(json_object_get(a->json, name));
}
