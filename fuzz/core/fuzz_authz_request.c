/* Authorization requests and the redirects that answer them. A line of the input is a parameter,
 * "name=value"; a first line "redirect=" names what the client has registered, and may be anything.
 *
 * What must hold, whatever was sent: nobody is sent anywhere but to a registered address, with our parameters
 * behind it and nothing between; the location is one line of visible characters without a fragment, and each
 * of our parameters can be read back from it exactly once; what was found good is within its bounds. */
#include "base/assert.h"
#include "core/oauth_redirect.h"
#include "core/oauth_request.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 8192, LOCATION_MAX = 8192 };

static struct sp_app *app;
static struct sp_client client;

#define SET(t, text) sp_assert(sp_ok(SP_TEXT_SET((t), sp_slice_cstr(text))))

static void begin_once(void) {
    if (app != NULL) return;
    app = calloc(1, sizeof(*app));
    sp_assert(app != NULL);
    SET(&app->config.audience, "https://api.example");
    SET(&client.row.id, "app");
    SET(&client.row.grants, "authorization_code refresh_token");
    SET(&client.row.scopes, "openid profile offline_access documents:read");
}

/* ---- reading ---- */

static const struct {
    const char *name;
    size_t at;
} names[] = {
#define P(name)                                                                                              \
    { #name, offsetof(struct sp_authz_params, name) }
    P(client_id),    P(response_type), P(response_mode), P(redirect_uri),
    P(scope),        P(state),         P(nonce),         P(code_challenge),
    P(prompt),       P(max_age),       P(acr_values),    P(code_challenge_method),
    P(login_hint),   P(id_token_hint), P(dpop_jkt),      P(request),
    P(registration),
#undef P
};

static void set(struct sp_authz_params *p, sp_slice resources[SP_OAUTH_RESOURCES_MAX + 1], sp_slice line) {
    const uint8_t *eq = line.n == 0 ? NULL : memchr(line.p, '=', line.n);
    if (eq == NULL) return;
    const sp_slice name = sp_slice_of(line.p, (size_t)(eq - line.p));
    const sp_slice value = sp_slice_of(eq + 1, line.n - name.n - 1);
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        if (sp_slice_eq_cstr(name, names[i].name)) *(sp_slice *)(void *)((char *)p + names[i].at) = value;
    }
    if (sp_slice_eq_cstr(name, "redirect")) {
        if (!sp_ok(SP_TEXT_SET(&client.row.redirect_uris, value))) client.row.redirect_uris.n = 0;
    } else if (sp_slice_eq_cstr(name, "resource") && p->n_resources <= SP_OAUTH_RESOURCES_MAX) {
        resources[p->n_resources++] = value;
    }
}

/* '\n' ends a line; "\x1E" stands for it, so that values can have one. */
static void read_all(uint8_t *text, size_t n, struct sp_authz_params *p, sp_slice *resources) {
    size_t begin = 0;
    for (size_t i = 0; i <= n; i++) {
        if (i < n && text[i] != '\n') {
            if (text[i] == 0x1E) text[i] = '\n';
            continue;
        }
        set(p, resources, sp_slice_of(text + begin, i - begin));
        begin = i + 1;
    }
    p->resources = resources;
}

/* ---- what must hold ---- */

static int hex(uint8_t c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool decodes_to(sp_slice text, sp_slice value) {
    size_t at = 0;
    for (size_t i = 0; i < text.n; i++, at++) {
        uint8_t c = text.p[i];
        if (c == '%') {
            sp_assert(i + 2 < text.n && hex(text.p[i + 1]) >= 0 && hex(text.p[i + 2]) >= 0);
            c = (uint8_t)(hex(text.p[i + 1]) << 4 | hex(text.p[i + 2]));
            i += 2;
        }
        if (at >= value.n || value.p[at] != c) return false;
    }
    return at == value.n;
}

/* What stands behind the registered address is exactly: separator, state, iss. */
static void check_location(sp_slice location, sp_slice uri, sp_slice state) {
    static const char iss[] = "iss=https%3A%2F%2Fauth.example";
    sp_assert(sp_slice_starts(location, uri));
    for (size_t i = 0; i < location.n; i++) {
        sp_assert(location.p[i] > 0x20 && location.p[i] < 0x7F && location.p[i] != '#');
    }
    sp_slice rest = sp_slice_of(location.p + uri.n, location.n - uri.n);
    const bool has_query = memchr(uri.p, '?', uri.n) != NULL;
    const uint8_t last = uri.p[uri.n - 1];
    if (!has_query || (last != '?' && last != '&')) {
        sp_assert(rest.n != 0 && rest.p[0] == (has_query ? '&' : '?'));
        rest = sp_slice_of(rest.p + 1, rest.n - 1);
    }
    if (state.n != 0) {
        sp_assert(sp_slice_starts(rest, SP_SLICE_LIT("state=")));
        const uint8_t *end = memchr(rest.p, '&', rest.n);
        sp_assert(end != NULL && memchr(rest.p + 6, '=', (size_t)(end - rest.p) - 6) == NULL);
        sp_assert(decodes_to(sp_slice_of(rest.p + 6, (size_t)(end - rest.p) - 6), state));
        rest = sp_slice_of(end + 1, rest.n - (size_t)(end - rest.p) - 1);
    }
    sp_assert(sp_slice_eq_cstr(rest, iss));
}

static void check_redirect(const struct sp_authz_request *request) {
    SP_AUTO(sp_buf) location = SP_BUF_INIT(LOCATION_MAX);
    const sp_slice uri = SP_TEXT_SLICE(&request->redirect_uri), state = SP_TEXT_SLICE(&request->state);
    sp_assert(sp_client_has_redirect_uri(&client, uri));
    sp_assert(sp_ok(sp_redirect_begin(uri, &location)));
    if (state.n != 0) sp_assert(sp_ok(sp_redirect_param(&location, "state", state)));
    sp_assert(sp_ok(sp_redirect_param(&location, "iss", SP_SLICE_LIT("https://auth.example"))));
    check_location(sp_buf_slice(&location), uri, state);
}

static void check_good(const struct sp_authz_request *r, const struct sp_authz_params *p) {
    sp_assert(r->code_challenge.n == 43 && sp_slice_eq_cstr(p->response_type, "code"));
    sp_assert(sp_slice_eq_cstr(p->code_challenge_method, "S256"));
    sp_assert(sp_words_within(SP_TEXT_SLICE(&r->scope), SP_TEXT_SLICE(&client.row.scopes)));
    sp_assert(!r->prompt_none || (!r->prompt_login && !r->prompt_consent));
    sp_assert(r->max_age_s >= 0 && r->max_age_s <= SP_OAUTH_MAX_AGE_S_MAX);
    sp_assert(r->jkt.n == 0 || r->jkt.n == 43);
    sp_assert(p->n_resources == 0 || sp_slice_eq_cstr(SP_TEXT_SLICE(&r->aud), "https://api.example"));
    sp_assert(sp_utf8_printable(SP_TEXT_SLICE(&r->nonce)) &&
              sp_utf8_printable(SP_TEXT_SLICE(&r->login_hint)));
    sp_assert(!r->is_pushed && !r->has_hint && r->expires_s == 0);
    sp_assert(sp_authz_still_good(&client, r) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    begin_once();
    SET(&client.row.redirect_uris, "https://app.example/cb com.example.app:/cb?x http://127.0.0.1/cb");
    static uint8_t text[INPUT_MAX];
    if (size != 0) memcpy(text, data, size);
    struct sp_authz_params params = {0};
    sp_slice resources[SP_OAUTH_RESOURCES_MAX + 1];
    read_all(text, size, &params, resources);
    const struct sp_authz_facts facts = {.client = &client, .openid = true};
    struct sp_authz_checked checked;
    sp_authz_check(app, &facts, &params, &checked);
    sp_assert(checked.may_redirect || checked.trouble.error != SP_OAUTH_NONE);
    sp_assert(checked.trouble.error == SP_OAUTH_NONE || checked.trouble.description != NULL);
    if (checked.may_redirect) check_redirect(&checked.request);
    if (checked.trouble.error == SP_OAUTH_NONE) check_good(&checked.request, &params);
    return 0;
}
