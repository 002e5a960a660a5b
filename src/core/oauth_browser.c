#include "core/oauth_browser.h"

#include "core/oauth_redirect.h"
#include "token/id_token.h"
#include "token/ids.h"

void sp_browser_init(struct sp_browser *b, struct sp_op *op) {
    b->op = op;
    b->next = SP_AUTHZ_ERROR;
    sp_buf_init(&b->location, SP_LOCATION_BYTES_MAX);
    sp_buf_init(&b->sealed, SP_OAUTH_SEALED_BYTES_MAX);
    sp_buf_init(&b->new_cookie, SP_OAUTH_SEALED_BYTES_MAX);
}

void sp_browser_done(struct sp_browser *b) {
    sp_client_release(b->client);
    sp_buf_done(&b->location);
    sp_buf_done(&b->sealed);
    sp_buf_done(&b->new_cookie);
    sp_wipe(b, sizeof(*b));
}

/* ---- what is said ---- */

static void fill_page(const struct sp_browser *b, struct sp_authz_result *ret) {
    ret->request = sp_buf_slice(&b->sealed);
    if (b->has_csrf) ret->csrf = SP_SLICE_ARRAY(b->csrf);
    if (b->client != NULL) {
        ret->client_id = SP_TEXT_SLICE(&b->client->row.id);
        ret->client_name = SP_TEXT_SLICE(&b->client->row.name);
    }
    ret->username = SP_TEXT_SLICE(&b->username);
    ret->goes_to = SP_TEXT_SLICE(&b->request.redirect_uri);
    ret->failed = b->failed;
    ret->lost_cookie = b->lost_cookie;
    if (b->next != SP_AUTHZ_CONSENT) return;
    ret->scope = SP_TEXT_SLICE(&b->granted);
    ret->permissions = SP_TEXT_SLICE(&b->permissions);
}

static void fill(const struct sp_browser *b, struct sp_authz_result *ret) {
    ret->next = b->next;
    ret->trouble = b->trouble;
    if (b->next == SP_AUTHZ_REDIRECT) {
        ret->location = sp_buf_slice(&b->location);
    } else if (b->next != SP_AUTHZ_ERROR) {
        fill_page(b, ret);
    }
    ret->sets_cookie = b->sets_cookie;
    ret->expires_cookie = b->expires_cookie && !b->sets_cookie;
    if (b->sets_cookie) ret->cookie = sp_buf_slice(&b->new_cookie);
    ret->device_token = b->device_token;
}

static sp_status build_error(struct sp_browser *b, struct sp_oauth_trouble trouble);

/* Our own trouble. What was built until then is not said. */
static void fill_failed(struct sp_browser *b, enum sp_outcome outcome, struct sp_authz_result *ret) {
    const struct sp_oauth_trouble trouble = sp_oauth_trouble_told(b->op, outcome);
    b->sets_cookie = b->expires_cookie = false;
    b->device_token = SP_SLICE_EMPTY;
    b->trouble = trouble;
    b->next = SP_AUTHZ_ERROR;
    /* Without memory for an address the page will do. */
    if (b->may_redirect) SP_IGNORE(build_error(b, trouble));
    fill(b, ret);
}

void sp_browser_say(struct sp_browser *b, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_authz_result result = {.next = SP_AUTHZ_ERROR};
    if (b == NULL) {
        result.trouble = sp_oauth_trouble_told(NULL, outcome);
    } else if (outcome != SP_OUTCOME_OK) {
        fill_failed(b, outcome, &result);
    } else {
        fill(b, &result);
    }
    ((sp_authz_done *)done)(arg, &result);
}

static void finish(struct sp_browser *b, sp_status built) {
    if (sp_ok(built)) {
        sp_op_finish(b->op, SP_OUTCOME_OK);
    } else {
        sp_op_fail(b->op, built);
    }
}

/* ---- the request in hand ---- */

void sp_browser_find_client(struct sp_browser *b, sp_slice client_id) {
    sp_client_release(b->client);
    b->client = sp_live_clients_get(b->op->app->clients, client_id);
}

bool sp_browser_accept(struct sp_browser *b) {
    sp_browser_find_client(b, SP_TEXT_SLICE(&b->request.client_id));
    const char *fault = sp_authz_still_good(b->client, &b->request);
    b->may_redirect = fault == NULL;
    if (fault != NULL) sp_browser_error(b, SP_OAUTH_INVALID_REQUEST, fault);
    return b->may_redirect;
}

bool sp_browser_open(struct sp_browser *b, enum sp_seal_kind kind, sp_slice text) {
    struct sp_app *app = b->op->app;
    sp_status s = sp_unseal_request(app, kind, text, b->op->now_ms / 1000, &b->request);
    if (sp_is(s, SP_E_NOMEM)) {
        sp_op_fail(b->op, s);
        return false;
    }
    if (!sp_ok(s)) {
        sp_browser_error(b, SP_OAUTH_INVALID_REQUEST,
                         "this page is too old, or was not made here: go back to where you came from");
        return false;
    }
    return sp_browser_accept(b);
}

static enum sp_reject read_hint(struct sp_app *app, sp_slice id_token, struct sp_check_scratch *scratch,
                                struct sp_id_token_hint *ret) {
    size_t n = 0;
    sp_seats_enter(app->seats);
    const struct sp_jwk *keys = sp_snapshot_verification(sp_keys_now(app->keys), &n);
    const struct sp_jwks set = {.keys = (struct sp_jwk *)(uintptr_t)keys, .n = n}; /* only looked at */
    const struct sp_key_lookup lookup = sp_key_lookup_jwks(&set);
    enum sp_reject r =
        sp_id_token_hint_read(id_token, &lookup, SP_TEXT_SLICE(&app->config.issuer), scratch, ret);
    sp_seats_leave(app->seats);
    return r;
}

static sp_status hint_of(const struct sp_id_token_hint *read, sp_slice client_id, struct sp_hint *ret) {
    struct sp_hint hint = {.has_sid = read->sid.p != NULL};
    sp_id user;
    sp_sid sid = {0};
    if (!sp_ok(sp_id_parse(read->sub, &user)) || (hint.has_sid && !sp_ok(sp_sid_parse(read->sid, &sid))) ||
        !sp_ok(SP_TEXT_SET(&hint.client_id, read->client_id)) ||
        (client_id.n != 0 && !sp_slice_eq(client_id, read->client_id)))
        return sp_err(SP_E_REFUSED);
    memcpy(hint.user_id, user.b, sizeof(hint.user_id));
    memcpy(hint.sid, sid.b, sizeof(hint.sid));
    *ret = hint;
    return SP_SUCCESS;
}

sp_status sp_browser_hint(struct sp_app *app, sp_slice id_token, sp_slice client_id, struct sp_hint *ret) {
    struct sp_check_scratch *scratch = malloc(sizeof(*scratch)); /* 90 KiB: not for a loop's stack */
    if (scratch == NULL) return sp_err(SP_E_NOMEM);
    struct sp_id_token_hint read;
    sp_status s = sp_err(SP_E_REFUSED);
    if (read_hint(app, id_token, scratch, &read) == SP_REJECT_NONE) s = hint_of(&read, client_id, ret);
    free(scratch); /* id_tokens are no secrets */
    return s;
}

sp_status sp_browser_hint_request(struct sp_app *app, sp_slice id_token, struct sp_authz_request *request) {
    struct sp_hint hint = {0};
    if (id_token.n == 0) return SP_SUCCESS;
    sp_status s = sp_browser_hint(app, id_token, SP_TEXT_SLICE(&request->client_id), &hint);
    if (!sp_ok(s) && !sp_is(s, SP_E_REFUSED)) return s;
    request->has_hint = sp_ok(s) || request->prompt_none;
    memcpy(request->hint_user, hint.user_id, sizeof(request->hint_user)); /* zeros: nobody's id */
    return SP_SUCCESS;
}

/* ---- pages ---- */

void sp_browser_error(struct sp_browser *b, enum sp_oauth_error error, const char *description) {
    b->next = SP_AUTHZ_ERROR;
    b->trouble = sp_oauth_trouble_of(error, description);
    finish(b, SP_SUCCESS);
}

/* Seals the request into b->sealed. Each page has its own time. */
static sp_status seal(struct sp_browser *b) {
    b->request.expires_s = b->op->now_ms / 1000 + SP_OAUTH_PAGE_TTL_S;
    sp_buf_clear(&b->sealed);
    return sp_seal_request(b->op->app, SP_SEAL_PAGE, &b->request, &b->sealed);
}

sp_status sp_browser_build_login(struct sp_browser *b) {
    SP_TRY(seal(b));
    if (b->username.n == 0)
        SP_IGNORE(SP_TEXT_SET(&b->username, SP_TEXT_SLICE(&b->request.login_hint))); /* fits */
    b->next = SP_AUTHZ_LOGIN;
    return SP_SUCCESS;
}

void sp_browser_show_login(struct sp_browser *b) {
    finish(b, sp_browser_build_login(b));
}

static sp_status list_permissions(struct sp_browser *b) {
    sp_slice rest = SP_TEXT_SLICE(&b->granted), word;
    b->permissions.n = 0;
    while (sp_words_next(&rest, &word)) {
        if (!sp_scope_is_protocol_word(word)) SP_TRY(SP_OAUTH_WORDS_ADD(&b->permissions, word));
    }
    return SP_SUCCESS;
}

static sp_status build_consent(struct sp_browser *b) {
    sp_sha256(SP_TEXT_SLICE(&b->granted), b->request.shown);
    SP_TRY(seal(b));
    SP_TRY(list_permissions(b));
    sp_browser_csrf_token(b->op->app, b->signin.sid, sp_buf_slice(&b->sealed), b->csrf);
    b->has_csrf = true;
    b->username = b->user.display;
    b->next = SP_AUTHZ_CONSENT;
    return SP_SUCCESS;
}

void sp_browser_show_consent(struct sp_browser *b) {
    finish(b, build_consent(b));
}

/* ---- redirects ---- */

static sp_status begin_redirect(struct sp_browser *b) {
    sp_buf_clear(&b->location);
    return sp_redirect_begin(SP_TEXT_SLICE(&b->request.redirect_uri), &b->location);
}

/* state as it came, and who answers (RFC 9207). */
static sp_status end_redirect(struct sp_browser *b) {
    const sp_slice state = SP_TEXT_SLICE(&b->request.state);
    if (state.n != 0) SP_TRY(sp_redirect_param(&b->location, "state", state));
    SP_TRY(sp_redirect_param(&b->location, "iss", SP_TEXT_SLICE(&b->op->app->config.issuer)));
    b->next = SP_AUTHZ_REDIRECT;
    return SP_SUCCESS;
}

static sp_status build_error(struct sp_browser *b, struct sp_oauth_trouble trouble) {
    SP_TRY(begin_redirect(b));
    SP_TRY(sp_redirect_param(&b->location, "error", sp_slice_cstr(sp_oauth_code(trouble.error))));
    SP_TRY(sp_redirect_param(&b->location, "error_description", sp_slice_cstr(trouble.description)));
    return end_redirect(b);
}

void sp_browser_redirect_error(struct sp_browser *b, struct sp_oauth_trouble trouble) {
    finish(b, build_error(b, trouble));
}

sp_status sp_browser_build_self(struct sp_browser *b) {
    SP_AUTO(sp_buf) uri = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX + sizeof(SP_OAUTH_REQUEST_URI_PREFIX));
    SP_TRY(seal(b));
    SP_TRY(sp_buf_append_cstr(&uri, SP_OAUTH_REQUEST_URI_PREFIX));
    SP_TRY(sp_buf_append(&uri, sp_buf_slice(&b->sealed)));
    sp_buf_clear(&b->location);
    SP_TRY(sp_app_url(b->op->app, SP_SLICE_LIT(SP_AUTHORIZE_PATH), &b->location));
    SP_TRY(sp_redirect_param(&b->location, "client_id", SP_TEXT_SLICE(&b->request.client_id)));
    SP_TRY(sp_redirect_param(&b->location, "request_uri", sp_buf_slice(&uri)));
    b->next = SP_AUTHZ_REDIRECT;
    return SP_SUCCESS;
}

void sp_browser_redirect_self(struct sp_browser *b) {
    finish(b, sp_browser_build_self(b));
}

/* ---- codes ---- */

sp_status sp_browser_grant(struct sp_browser *b) {
    return sp_oauth_scope_of_user(b->op->app, SP_TEXT_SLICE(&b->request.scope), SP_TEXT_SLICE(&b->user.roles),
                                  &b->granted);
}

static sp_status fill_code(const struct sp_browser *b, struct sp_authz_code *code) {
    struct sp_app *app = b->op->app;
    const struct sp_authz_request *r = &b->request;
    sp_sid sid;
    SP_TRY(sp_sid_new(sp_keys_sid_tag(app->keys), SP_SLICE_ARRAY(b->user.id), &app->deps.random, &sid));
    *code = (struct sp_authz_code){.expires_s = b->op->now_ms / 1000 + SP_OAUTH_CODE_TTL_S,
                                   .client_id = r->client_id,
                                   .redirect_uri_sent = r->redirect_uri_sent,
                                   .nonce = r->nonce,
                                   .code_challenge = r->code_challenge,
                                   .scope = b->granted,
                                   .aud = r->aud,
                                   .jkt = r->jkt,
                                   .acr = b->session.acr,
                                   .amr = b->session.amr,
                                   .auth_time_s = b->signin.auth_time_s};
    memcpy(code->sid, sid.b, sizeof(code->sid));
    memcpy(code->parent, b->session.sid, sizeof(code->parent));
    memcpy(code->user_id, b->user.id, sizeof(code->user_id));
    sp_sha256(SP_TEXT_SLICE(&r->redirect_uri), code->redirect_uri_hash);
    return SP_SUCCESS;
}

static sp_status build_code(struct sp_browser *b) {
    SP_AUTO(sp_buf) text = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX);
    struct sp_authz_code code;
    SP_TRY(fill_code(b, &code));
    SP_TRY(sp_seal_code(b->op->app, &code, &text));
    SP_TRY(begin_redirect(b));
    SP_TRY(sp_redirect_param(&b->location, "code", sp_buf_slice(&text)));
    return end_redirect(b);
}

void sp_browser_redirect_code(struct sp_browser *b) {
    finish(b, build_code(b));
}
