/* Those whom the model does not know: what they ask for must be refused, or change nothing.
 *
 * A foe's page rides on the visitor's cookies, which a browser would add, but it knows neither them nor the
 * token against forgery; a cookie of its own it can plant from a neighbouring site. If one of them had its
 * way, the model would also see a session end that nobody has ended. */
#include <stdio.h>
#include <string.h>

#include "sim_http.h"

enum { FOE_EVERY_MS = 40 * 1000, LOOK_EVERY_MS = 20 * 1000 };

void sim_own_page(struct sim *s, struct sim_ask *ask) {
    const uint64_t browser = sim_below(s, 3); /* old ones send only the first, and not with GET */
    if (browser != 0) ask->origin = SIM_ORIGIN;
    if (browser != 1) ask->fetch_site = "same-origin";
}

/* ---- other sites' pages ---- */

static struct sim_family *some_family(struct sim *s, enum sp_session_mode mode) {
    if (s->families_n == 0) return NULL;
    const uint32_t recent = s->families_n < 12 ? s->families_n : 12;
    struct sim_family *f = s->families[s->families_n - 1 - sim_below(s, recent)];
    return f->born && f->mode == mode ? f : NULL;
}

static const char *newest_refresh(const struct sim_family *f) {
    const char *newest = NULL;
    for (size_t g = 0; g < f->generations_n; g++)
        newest = f->generations[g].issued ? f->generations[g].text : newest;
    return newest;
}

static const struct sim_access *newest_access(const struct sim_family *f) {
    return f->access_at == 0 ? NULL : &f->access[(f->access_at - 1) % SIM_ACCESS_KEPT];
}

/* 401 is as good a refusal of what needs an access token, when that is over. */
static void foe_answered(struct sim *s, struct sim_exchange *x, const struct sim_answer *a) {
    if (a == NULL) return;
    const bool expected = a->status == x->status && strcmp(a->code, x->code) == 0;
    if (!expected && strcmp(a->code, "invalid_token") != 0)
        sim_fail(s, "%s: %d %s", x->what, a->status, a->code);
    const bool keeps = x->status == 401; /* a jar that is beyond repair is emptied */
    if (a->refresh_cookie.p != NULL && !keeps) sim_fail(s, "%s: cookies were changed", x->what);
}

static void send_foe(struct sim *s, const char *what, const struct sim_ask *ask, int status,
                     const char *code) {
    struct sim_exchange *x = sim_exchange_new(s, what);
    x->answered = foe_answered;
    x->is_cookie = true;
    x->status = status;
    x->code = code;
    sim_ask_write(s, ask, &x->request);
    sim_trace(s, "%s", what);
    sim_exchange_send(s, x, sp_http_listener_public);
}

static void from_elsewhere(struct sim *s, struct sim_ask *ask) {
    switch (sim_below(s, 5)) {
    case 0: ask->origin = "https://evil.example"; break;
    case 1: ask->origin = "null"; break;
    case 2: ask->fetch_site = "cross-site"; break;
    case 3:
        ask->origin = SIM_ORIGIN;
        ask->fetch_site = "same-site";
        break;
    default: break; /* says nothing of where it comes from */
    }
}

/* The visitor's browser adds the cookies; the page does not know them. */
static void forge_request(struct sim *s, struct sim_ask ask, const char *own_csrf) {
    from_elsewhere(s, &ask);
    ask.csrf = own_csrf;
    send_foe(s, "another site's page", &ask, 403, "origin_refused");
}

static void forge_token(struct sim *s, struct sim_ask ask, const char *own_csrf) {
    sim_own_page(s, &ask);
    ask.csrf = own_csrf;
    send_foe(s, "a page without the token", &ask, 403, "csrf_failed");
}

static void act_elsewhere(struct sim *s, const struct sim_family *f) {
    static const struct sim_ask acts[] = {
        {.method = "POST", .path = "/auth/logout"},
        {.method = "POST", .path = "/auth/logout-all"},
        {.method = "POST",
         .path = "/auth/password",
         .body = "{\"current_password\":\"x\",\"new_password\":\"the foe's password\"}"},
        {.method = "DELETE", .path = "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAAA"},
    };
    struct sim_ask ask = acts[sim_below(s, SP_ARRAY_LEN(acts))];
    const struct sim_access *a = newest_access(f);
    const char *refresh = newest_refresh(f);
    char csrf[SP_CSRF_TEXT_BYTES + 1] = "";
    /* The token of the foe's own session: genuine, and of no use. */
    sp_app_csrf_token(sim_app_of(s)->app, (const uint8_t[SP_ROW_SID_BYTES]){9}, csrf);
    if (a == NULL || refresh == NULL) return;
    ask.access_cookie = sp_slice_of(a->text, a->n);
    if (strcmp(ask.path, "/auth/logout") == 0) ask.refresh_cookie = sp_slice_of(refresh, SP_REFRESH_CHARS);
    const char *own_csrf = sim_chance(s, 50) ? csrf : NULL;
    if (sim_chance(s, 50)) {
        forge_request(s, ask, own_csrf);
    } else {
        forge_token(s, ask, own_csrf);
    }
}

static void refresh_elsewhere(struct sim *s, const struct sim_family *f) {
    const char *refresh = newest_refresh(f);
    if (refresh == NULL) return;
    forge_request(s,
                  (struct sim_ask){.method = "POST",
                                   .path = "/auth/refresh",
                                   .body = "{}",
                                   .refresh_cookie = sp_slice_of(refresh, SP_REFRESH_CHARS)},
                  NULL);
}

static void log_in_elsewhere(struct sim *s) {
    char body[128];
    const struct sim_user *u = &s->users[sim_below(s, s->users_n)];
    snprintf(body, sizeof(body), "{\"username\":\"%s\",\"password\":\"%s\",\"mode\":\"cookie\"}", u->name,
             sim_app_password(false));
    forge_request(s, (struct sim_ask){.method = "POST", .path = "/auth/login", .body = body}, NULL);
}

/* ---- two stories about who is asking ---- */

static void two_credentials(struct sim *s, const struct sim_family *f) {
    const struct sim_access *a = newest_access(f);
    const char *refresh = newest_refresh(f);
    if (a == NULL || refresh == NULL) return;
    char body[256];
    struct sim_ask ask = {.method = "GET",
                          .path = "/auth/me",
                          .bearer = sp_slice_of(a->text, a->n),
                          .access_cookie = sp_slice_of(a->text, a->n)};
    if (sim_chance(s, 50)) {
        snprintf(body, sizeof(body), "{\"refresh_token\":\"%.*s\"}", SP_REFRESH_CHARS, refresh);
        ask = (struct sim_ask){.method = "POST",
                               .path = "/auth/refresh",
                               .body = body,
                               .refresh_cookie = sp_slice_of(refresh, SP_REFRESH_CHARS)};
        sim_own_page(s, &ask);
    }
    send_foe(s, "two credentials", &ask, 400, "ambiguous_credentials");
}

static void repeated_cookie(struct sim *s, const struct sim_family *f) {
    const char *refresh = newest_refresh(f);
    if (refresh == NULL) return;
    char twice[256];
    const int n =
        snprintf(twice, sizeof(twice), "%.*s; __Host-sp_refresh=planted", SP_REFRESH_CHARS, refresh);
    struct sim_ask ask = {.method = "POST",
                          .path = "/auth/refresh",
                          .body = "{}",
                          .refresh_cookie = sp_slice_of(twice, (size_t)n)};
    sim_own_page(s, &ask);
    send_foe(s, "a cookie twice", &ask, 401, "repeated_cookie");
}

/* ---- people who hang up ---- */

/* In the middle of a request that changes something: it must not have been heard. Or after one that changes
 * nothing. */
static void hang_up(struct sim *s) {
    struct sim_text t = {.n = 0};
    struct sim_family *f = some_family(s, SP_MODE_TOKEN);
    const struct sim_access *a = f == NULL ? NULL : newest_access(f);
    if (a == NULL) return;
    struct sim_ask ask = {.method = "GET", .path = "/auth/sessions", .bearer = sp_slice_of(a->text, a->n)};
    const bool whole = sim_chance(s, 50);
    if (!whole)
        ask = (struct sim_ask){.method = "POST", .path = "/auth/logout", .bearer = ask.bearer, .body = "{}"};
    sim_ask_write(s, &ask, &t);
    if (!whole) t.n -= 1 + sim_below(s, t.n - 1);
    sim_http_abandon(s, &t);
}

static void foe(struct sim *s, struct sim_event *e) {
    if (s->now_ms >= s->until_ms) return;
    sim_at(s, e, s->now_ms + sim_between(s, 1, 2 * (int64_t)FOE_EVERY_MS), foe);
    if (s->down) return;
    struct sim_family *f = some_family(s, SP_MODE_COOKIE);
    const uint64_t what = sim_below(s, 6);
    if (what == 0) hang_up(s);
    if (what == 1) log_in_elsewhere(s);
    if (f == NULL) return;
    if (what == 2) refresh_elsewhere(s, f);
    if (what == 3) two_credentials(s, f);
    if (what == 4) repeated_cookie(s, f);
    if (what == 5) act_elsewhere(s, f);
}

/* ---- looks at access tokens: what was over when the question was sent must be refused; what passes now, and
 * did then, must pass ---- */

static void check_me(struct sim *s, const struct sim_exchange *x, const struct sim_answer *a) {
    char sid[SP_BASE64URL_CHARS(SP_ROW_SID_BYTES) + 1] = "";
    sp_base64url_encode(SP_SLICE_ARRAY(x->family->sid), sid);
    if (!sp_slice_eq_cstr(sim_answer_text(a, "session_id"), sid))
        sim_fail(s, "%s shows another session", x->what);
    if (x->must == SIM_ACCESS_REFUSED)
        sim_fail(s, "family %u: an access token passes that is over", x->family->index);
}

/* What was issued since the last change has been read is what the user has. */
static void check_roles(struct sim *s, const struct sim_family *f, const struct sim_answer *a) {
    const struct sim_app_user *u = sim_app_user_of(s, f->user);
    const char *role = json_string_value(json_array_get(json_object_get(a->json, "roles"), 0));
    const bool has_role = role != NULL && strcmp(role, SIM_ROLE) == 0;
    if (!u->roles_unsure && has_role != u->has_role)
        sim_fail(s, "user %u: the roles are not those that were set", f->user->index);
}

static void looked(struct sim *s, struct sim_exchange *x, const struct sim_answer *a) {
    if (a == NULL || s->down) return;
    if (a->status == 200) check_me(s, x, a);
    const struct sim_access *now = x->arg;
    const bool same = now->text != NULL && memmem(x->request.p, x->request.n, now->text, now->n) != NULL;
    if (!same || x->must != SIM_ACCESS_PASS || sim_app_access_must(s, x->family, now) != SIM_ACCESS_PASS)
        return;
    if (a->status != 200)
        sim_fail(s, "family %u: a good access token is refused: %s", x->family->index, a->code);
    check_roles(s, x->family, a);
}

static void look(struct sim *s, struct sim_event *e) {
    if (s->now_ms >= s->until_ms) return;
    sim_at(s, e, s->now_ms + sim_between(s, 1, 2 * (int64_t)LOOK_EVERY_MS), look);
    struct sim_family *f = some_family(s, sim_chance(s, 50) ? SP_MODE_COOKIE : SP_MODE_TOKEN);
    if (s->down || f == NULL) return;
    struct sim_access *a = &f->access[sim_below(s, SIM_ACCESS_KEPT)];
    if (a->text == NULL) return;
    const sp_slice token = sp_slice_of(a->text, a->n);
    struct sim_ask ask = {.method = "GET", .path = "/auth/me"};
    *(f->mode == SP_MODE_COOKIE ? &ask.access_cookie : &ask.bearer) = token;
    struct sim_exchange *x = sim_exchange_new(s, "a look");
    x->answered = looked;
    x->family = f;
    x->arg = a;
    x->must = sim_app_access_must(s, f, a);
    sim_ask_write(s, &ask, &x->request);
    sim_exchange_send(s, x, sp_http_listener_public);
}

void sim_http_foes_begin(struct sim *s) {
    struct sim_http *h = sim_http_of(s);
    sim_at(s, &h->foe, s->now_ms + FOE_EVERY_MS, foe);
    sim_at(s, &h->look, s->now_ms + LOOK_EVERY_MS, look);
}
