/* Each use case as the request that a client makes for it, and the answer as the use case's result again.
 *
 * In cookie mode that is a page of ours in a browser, with the session's CSRF token; otherwise a program with
 * tokens in bodies and headers. Whoever presents a refresh token may hang up while it is decided. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base64url.h"
#include "sim_http.h"

/* ---- what the app itself said ---- */

/* The answer does not tell whether the tripwire fired; and it must tell the rest as it was. So the handlers'
 * call is intercepted by the linker (see meson.build). */
typedef void refresh_call(struct sp_app *app, const struct sp_call *call, const struct sp_refresh_request *in,
                          sp_tokens_done *done, void *arg);
refresh_call __real_sp_app_refresh, __wrap_sp_app_refresh;

static struct sim_http *current;

struct overheard {
    char id[SIM_ID_CHARS];
    uint64_t number;
    sp_tokens_done *done;
    void *arg;
};

static struct sim_conn *conn_of(uint64_t number) {
    for (size_t i = 0; i < SIM_CONNS; i++) {
        struct sim_exchange *x = current->conns[i].exchange;
        if (x != NULL && x->number == number && x->will_be_lost) return &current->conns[i];
    }
    return NULL;
}

static void keep_result(struct sim_exchange *x, const struct sp_tokens_result *r) {
    x->result = *r;
    x->has_result = true;
    if (r->outcome != SP_OUTCOME_OK) return;
    sp_assert(r->access_token.n <= sizeof(x->result_access) &&
              r->refresh_token.n <= sizeof(x->result_refresh));
    memcpy(x->result_access, r->access_token.p, r->access_token.n);
    memcpy(x->result_refresh, r->refresh_token.p, r->refresh_token.n);
    x->result.access_token.p = (const uint8_t *)x->result_access;
    x->result.refresh_token.p = (const uint8_t *)x->result_refresh;
}

static void overhear(void *arg, const struct sp_tokens_result *result) {
    struct overheard *o = arg;
    struct sim_said *said = &current->said[current->said_n++ % SP_ARRAY_LEN(current->said)];
    struct sim_conn *c = conn_of(o->number);
    memcpy(said->id, o->id, sizeof(said->id));
    said->outcome = result->outcome;
    said->reuse_detected = result->reuse_detected;
    if (c != NULL) keep_result(c->exchange, result);
    o->done(o->arg, result);
    free(o);
}

void __wrap_sp_app_refresh(struct sp_app *app, const struct sp_call *call,
                           const struct sp_refresh_request *in, sp_tokens_done *done, void *arg) {
    struct overheard *o = calloc(1, sizeof(*o));
    sp_assert(o != NULL && call->request_id.n == sizeof(o->id));
    if (!sp_slice_to_u64(call->user_agent, &o->number)) o->number = 0; /* a foe's, who should not get here */
    struct sim_conn *c = conn_of(o->number);
    if (c != NULL) close(c->fd);
    if (c != NULL) c->fd = -1;
    memcpy(o->id, call->request_id.p, sizeof(o->id));
    o->done = done;
    o->arg = arg;
    __real_sp_app_refresh(app, call, in, overhear, o);
}

static const struct sim_said *said_of(const struct sim_http *h, const struct sim_answer *a) {
    for (size_t i = 0; i < SP_ARRAY_LEN(h->said); i++) {
        if (memcmp(h->said[i].id, a->id, sizeof(h->said[i].id)) == 0) return &h->said[i];
    }
    return NULL;
}

static void opened(struct sim *s) {
    current = sim_http_of(s);
    sim_http_open(s);
}

/* ---- from an answer to a result ---- */

static enum sp_outcome outcome_of(struct sim *s, const struct sim_exchange *x, const struct sim_answer *a) {
    if (a == NULL) return SP_OUTCOME_STORE_UNAVAILABLE; /* the connection broke before it had arrived */
    if (a->status < 300) return SP_OUTCOME_OK;
    if (strcmp(a->code, "not_ready") == 0) return SP_OUTCOME_STORE_UNAVAILABLE;
    for (int o = SP_OUTCOME_OK + 1; o < SP_OUTCOME_COUNT; o++) {
        if (strcmp(a->code, sp_outcome_code((enum sp_outcome)o)) != 0) continue;
        if (sp_outcome_http_status((enum sp_outcome)o) != a->status)
            sim_fail(s, "%s: %d", a->code, a->status);
        return (enum sp_outcome)o;
    }
    sim_fail(s, "%s was refused: %d %s", x->what, a->status, a->code);
}

static void plain_answered(struct sim *s, struct sim_exchange *x, const struct sim_answer *a) {
    const struct sp_plain_result result = {.outcome = outcome_of(s, x, a)};
    const bool over = result.outcome == SP_OUTCOME_OK && x->is_cookie && a->refresh_cookie.p != NULL;
    if (over && (a->refresh_cookie.n != 0 || a->access_cookie.n != 0))
        sim_fail(s, "%s leaves cookies", x->what);
    if (x->plain_done != NULL) x->plain_done(x->arg, &result);
}

/* A claim that is an id, from an access token that is ours. */
static void read_claim(struct sim *s, sp_slice token, const char *name, uint8_t *ret, size_t n) {
    uint8_t payload[4096];
    const uint8_t *from = memchr(token.p, '.', token.n);
    sp_assert(from != NULL);
    from++;
    const uint8_t *to = memchr(from, '.', token.n - (size_t)(from - token.p));
    size_t payload_n;
    SIM_OK(s,
           sp_base64url_decode(sp_slice_of(from, (size_t)(to - from)), payload, sizeof(payload), &payload_n));
    json_t *claims = json_loadb((const char *)payload, payload_n, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(claims, name));
    if (text == NULL) sim_fail(s, "a token without %s", name);
    SIM_OK(s, sp_base64url_decode_exact(sp_slice_cstr(text), ret, n));
    json_decref(claims);
}

/* Whose tokens these are, by each of the three ways in which the answer says so. */
static void read_ids(struct sim *s, const struct sim_answer *a, struct sp_tokens_result *t) {
    uint8_t sid[SP_ROW_SID_BYTES], refresh[SP_REFRESH_BYTES];
    const size_t prefix = sizeof(SP_REFRESH_PREFIX) - 1;
    SIM_OK(s, sp_base64url_decode_exact(sim_answer_text(a, "session_id"), t->sid, sizeof(t->sid)));
    read_claim(s, t->access_token, "sid", sid, sizeof(sid));
    read_claim(s, t->access_token, "sub", t->user_id, sizeof(t->user_id));
    if (t->refresh_token.n != SP_REFRESH_CHARS) sim_fail(s, "a refresh token of another length");
    SIM_OK(s, sp_base64url_decode_exact(sp_slice_of(t->refresh_token.p + prefix, SP_REFRESH_CHARS - prefix),
                                        refresh, sizeof(refresh)));
    if (memcmp(sid, t->sid, sizeof(sid)) != 0 || memcmp(refresh + 2, t->sid, sizeof(sid)) != 0)
        sim_fail(s, "tokens of two sessions in one answer");
}

static void check_csrf(struct sim *s, const struct sim_exchange *x, const struct sim_answer *a,
                       const uint8_t *sid) {
    const sp_slice text = sim_answer_text(a, "csrf_token");
    if (x->is_cookie != (text.n != 0)) sim_fail(s, "%s: csrf_token", x->what);
    if (x->is_cookie && !sp_app_csrf_valid(sim_app_of(s)->app, sid, text))
        sim_fail(s, "a csrf_token of another session");
}

static void tokens_of(struct sim *s, struct sim_exchange *x, const struct sim_answer *a,
                      struct sp_tokens_result *t) {
    t->access_token = x->is_cookie ? a->access_cookie : sim_answer_text(a, "access_token");
    t->refresh_token = x->is_cookie ? a->refresh_cookie : sim_answer_text(a, "refresh_token");
    t->access_expires_in_s = sim_answer_number(a, "expires_in");
    t->refresh_expires_in_s = sim_answer_number(a, "refresh_expires_in");
    read_ids(s, a, t);
    if (!s->down) check_csrf(s, x, a, t->sid);
}

static void tokens_answered(struct sim *s, struct sim_exchange *x, const struct sim_answer *a) {
    struct sp_tokens_result t = {.outcome = outcome_of(s, x, a)};
    if (t.outcome == SP_OUTCOME_OK) tokens_of(s, x, a, &t);
    x->tokens_done(x->arg, &t);
}

/* Cookies that are good for nothing any more are taken back; others never. */
static void check_expired(struct sim *s, const struct sim_exchange *x, const struct sim_answer *a,
                          enum sp_outcome outcome) {
    const bool expired = a->refresh_cookie.p != NULL && a->refresh_cookie.n == 0;
    if (outcome != SP_OUTCOME_OK && expired != (x->is_cookie && outcome == SP_OUTCOME_INVALID_GRANT))
        sim_fail(s, "%s: cookies after %s", x->what, sp_outcome_code(outcome));
}

static void refresh_answered(struct sim *s, struct sim_exchange *x, const struct sim_answer *a) {
    struct sp_tokens_result t = {.outcome = outcome_of(s, x, a)};
    const struct sim_said *said = a == NULL ? NULL : said_of(sim_http_of(s), a);
    if (said != NULL && said->outcome != t.outcome)
        sim_fail(s, "a refresh was %s, and the answer says %s", sp_outcome_code(said->outcome),
                 sp_outcome_code(t.outcome));
    t.reuse_detected = said != NULL && said->reuse_detected;
    if (a != NULL) check_expired(s, x, a, t.outcome);
    if (t.outcome == SP_OUTCOME_OK) tokens_of(s, x, a, &t);
    x->tokens_done(x->arg, &t);
}

/* ---- requests ---- */

static void send_plain(struct sim *s, const char *what, const struct sim_ask *ask, void *listener,
                       sp_plain_done *done, void *arg) {
    struct sim_exchange *x = sim_exchange_new(s, what);
    x->answered = plain_answered;
    x->plain_done = done;
    x->arg = arg;
    x->is_cookie = ask->access_cookie.n != 0 || ask->refresh_cookie.n != 0;
    sim_ask_write(s, ask, &x->request);
    sim_exchange_send(s, x, listener);
}

static void send_tokens(struct sim *s, struct sim_exchange *x, bool is_cookie, const struct sim_ask *ask,
                        sp_tokens_done *done, void *arg) {
    x->is_cookie = is_cookie;
    x->secrets = is_cookie ? SIM_TOKENS_IN_COOKIES : SIM_TOKENS_IN_BODY;
    x->tokens_done = done;
    x->arg = arg;
    sim_ask_write(s, ask, &x->request);
    sim_exchange_send(s, x, sp_http_listener_public);
}

/* Some access cookie of the session is in the jar, good or not: it must not matter. */
static sp_slice access_in_jar(struct sim *s, const struct sim_family *f) {
    const struct sim_access *a = &f->access[sim_below(s, SIM_ACCESS_KEPT)];
    return a->text == NULL ? SP_SLICE_EMPTY : sp_slice_of(a->text, a->n);
}

static void refresh(struct sim *s, struct sim_family *f, const struct sp_refresh_request *in,
                    sp_tokens_done *done, void *arg) {
    const bool is_cookie = in->mode == SP_MODE_COOKIE;
    char body[512] = "{}", attempt[64] = "", text[SP_BASE64URL_CHARS(SP_ROW_ATTEMPT_BYTES) + 1] = "";
    if (in->attempt.n != 0) {
        sp_base64url_encode(in->attempt, text);
        snprintf(attempt, sizeof(attempt), "\"attempt\":\"%s\"", text);
    }
    struct sim_exchange *x = sim_exchange_new(s, "a refresh");
    struct sim_ask ask = {.method = "POST", .path = "/auth/refresh", .body = body, .number = x->number};
    if (is_cookie) {
        snprintf(body, sizeof(body), "{%s}", attempt);
        ask.refresh_cookie = in->refresh_token;
        ask.access_cookie = access_in_jar(s, f);
        sim_own_page(s, &ask);
    } else {
        snprintf(body, sizeof(body), "{\"refresh_token\":\"%.*s\"%s%s}", SP_SLICE_FMT(in->refresh_token),
                 attempt[0] == 0 ? "" : ",", attempt);
    }
    x->answered = refresh_answered;
    x->will_be_lost = sim_chance(s, 5);
    send_tokens(s, x, is_cookie, &ask, done, arg);
}

static void login(struct sim *s, const struct sp_login_request *in, sp_tokens_done *done, void *arg) {
    const bool is_cookie = in->mode == SP_MODE_COOKIE;
    char body[512];
    snprintf(body, sizeof(body), "{\"username\":\"%.*s\",\"password\":\"%.*s\",\"mode\":\"%s\"}",
             SP_SLICE_FMT(in->username), SP_SLICE_FMT(in->password), is_cookie ? "cookie" : "token");
    struct sim_ask ask = {.method = "POST", .path = "/auth/login", .body = body};
    if (is_cookie || sim_chance(s, 20)) sim_own_page(s, &ask);
    struct sim_exchange *x = sim_exchange_new(s, "a login");
    x->answered = tokens_answered;
    send_tokens(s, x, is_cookie, &ask, done, arg);
}

static const char *csrf_of(struct sim *s, const struct sim_family *f, char text[SP_CSRF_TEXT_BYTES + 1]) {
    sp_app_csrf_token(sim_app_of(s)->app, f->sid, text);
    text[SP_CSRF_TEXT_BYTES] = 0;
    return text;
}

/* By a person: with cookies as our page, or with a header. */
static void send_as(struct sim *s, const char *what, const struct sim_person *p, struct sim_ask ask,
                    sp_plain_done *done, void *arg) {
    char csrf[SP_CSRF_TEXT_BYTES + 1];
    const sp_slice token = sp_slice_of(p->access->text, p->access->n);
    if (p->family->mode == SP_MODE_COOKIE) {
        ask.access_cookie = token;
        ask.csrf = csrf_of(s, p->family, csrf);
        sim_own_page(s, &ask);
    } else {
        ask.bearer = token;
    }
    send_plain(s, what, &ask, sp_http_listener_public, done, arg);
}

static void logout(struct sim *s, struct sim_family *f, const struct sp_logout_request *in,
                   sp_plain_done *done, void *arg) {
    char body[256], csrf[SP_CSRF_TEXT_BYTES + 1];
    struct sim_ask ask = {.method = "POST", .path = "/auth/logout"};
    if (f->mode == SP_MODE_COOKIE) {
        ask.access_cookie = in->access_token;
        ask.refresh_cookie = in->refresh_token;
        ask.csrf = csrf_of(s, f, csrf);
        sim_own_page(s, &ask);
    } else if (in->refresh_token.n != 0) {
        snprintf(body, sizeof(body), "{\"refresh_token\":\"%.*s\"}", SP_SLICE_FMT(in->refresh_token));
        ask.body = body;
    } else {
        ask.bearer = in->access_token;
    }
    send_plain(s, "a logout", &ask, sp_http_listener_public, done, arg);
}

static void logout_all(struct sim *s, const struct sim_person *p, sp_plain_done *done, void *arg) {
    send_as(s, "a logout of all", p, (struct sim_ask){.method = "POST", .path = "/auth/logout-all"}, done,
            arg);
}

static void end_own(struct sim *s, const struct sim_person *p, sp_slice sid, sp_plain_done *done, void *arg) {
    char path[128];
    snprintf(path, sizeof(path), "/auth/sessions/%.*s", SP_SLICE_FMT(sid));
    send_as(s, "an end of a session", p, (struct sim_ask){.method = "DELETE", .path = path}, done, arg);
}

static void password(struct sim *s, const struct sim_person *p, const struct sp_password_request *in,
                     sp_plain_done *done, void *arg) {
    char body[256];
    snprintf(body, sizeof(body), "{\"current_password\":\"%.*s\",\"new_password\":\"%.*s\"}",
             SP_SLICE_FMT(in->current), SP_SLICE_FMT(in->wanted));
    send_as(s, "a change of password", p,
            (struct sim_ask){.method = "POST", .path = "/auth/password", .body = body}, done, arg);
}

/* ---- administrators: on the admin socket ---- */

static void administer(struct sim *s, const char *method, const char *path, const char *body,
                       sp_plain_done *done, void *arg) {
    const struct sim_ask ask = {.method = method, .path = path, .body = body};
    send_plain(s, path, &ask, sp_http_listener_admin, done, arg);
}

static void revoke_it(struct sim *s, enum sp_revoke_target target, sp_slice what, sp_plain_done *done,
                      void *arg) {
    static const char *const names[] = {
        [SP_TARGET_JTI] = "jti", [SP_TARGET_SESSION] = "session", [SP_TARGET_USER] = "user"};
    char body[128] = "{\"everyone\":true}";
    if (target != SP_TARGET_EVERYONE)
        snprintf(body, sizeof(body), "{\"%s\":\"%.*s\"}", names[target], SP_SLICE_FMT(what));
    administer(s, "POST", "/admin/v1/revocations", body, done, arg);
}

static void user_edit(struct sim *s, sp_slice name, enum sp_user_edit what, sp_slice value,
                      sp_plain_done *done, void *arg) {
    static const struct {
        const char *verb, *body;
    } edits[] = {[SP_USER_DISABLE] = {"disable", NULL},
                 [SP_USER_ENABLE] = {"enable", NULL},
                 [SP_USER_SET_PASSWORD] = {"password", "{\"password\":\"%.*s\"}"},
                 [SP_USER_SET_ROLES] = {"roles", "{\"roles\":[%.*s]}"}};
    char path[128], body[128], role[32];
    if (what == SP_USER_SET_ROLES && value.n != 0) {
        const int n = snprintf(role, sizeof(role), "\"%.*s\"", SP_SLICE_FMT(value));
        value = sp_slice_of(role, (size_t)n);
    }
    snprintf(path, sizeof(path), "/admin/v1/users/%.*s/%s", SP_SLICE_FMT(name), edits[what].verb);
    if (edits[what].body == NULL) {
        administer(s, "POST", path, NULL, done, arg);
        return;
    }
    snprintf(body, sizeof(body), edits[what].body, SP_SLICE_FMT(value));
    administer(s, "PUT", path, body, done, arg);
}

static void rotate(struct sim *s, enum sp_key_use use, bool immediately) {
    char body[128];
    snprintf(body, sizeof(body), "{\"use\":\"%s\",\"immediately\":%s}",
             use == SP_KEY_ACCESS ? "access" : "refresh", immediately ? "true" : "false");
    administer(s, "POST", "/admin/v1/keys/rotate", body, NULL, NULL);
}

const struct sim_door sim_http_door = {.open = opened,
                                       .drain = sim_http_drain,
                                       .close = sim_http_close,
                                       .refresh = refresh,
                                       .login = login,
                                       .logout = logout,
                                       .logout_all = logout_all,
                                       .end_own = end_own,
                                       .password = password,
                                       .revoke = revoke_it,
                                       .user_edit = user_edit,
                                       .rotate = rotate};
