#include "core/oauth_request.h"

#include "base/base64url.h"
#include "core/oauth_redirect.h"

_Static_assert(sizeof(((struct sp_authz_request *)0)->state.s) == SP_OAUTH_STATE_BYTES_MAX, "as promised");
_Static_assert(sizeof(((struct sp_authz_request *)0)->nonce.s) == SP_OAUTH_NONCE_BYTES_MAX, "as promised");

/* What a check works on. */
struct check {
    const struct sp_app *app;
    const struct sp_authz_facts *facts;
    const struct sp_authz_params *params;
    struct sp_authz_request *request;
};

static struct sp_oauth_trouble fine(void) {
    return sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
}

static struct sp_oauth_trouble invalid(const char *description) {
    return sp_oauth_trouble_of(SP_OAUTH_INVALID_REQUEST, description);
}

/* Sent empty is not sent: RFC 6749 3.1. */
static bool has(sp_slice value) {
    return value.n != 0;
}

/* ---- whom to, and where to ---- */

static const char *client_fault(const struct sp_client *client) {
    if (client == NULL) return "there is no such client";
    return client->row.disabled ? "the client is disabled" : NULL;
}

/* The only one that is registered; false when there are none, or several. */
static bool only_redirect_uri(const struct sp_client *client, sp_slice *ret) {
    sp_slice list = SP_TEXT_SLICE(&client->row.redirect_uris), first, second;
    if (!sp_words_next(&list, &first) || sp_words_next(&list, &second)) return false;
    *ret = first;
    return true;
}

/* NULL: request->redirect_uri is set, and registered. */
static const char *place_fault(const struct check *c) {
    const struct sp_client *client = c->facts->client;
    sp_slice uri = c->params->redirect_uri;
    c->request->redirect_uri_sent = has(uri);
    if (has(uri) && !sp_client_has_redirect_uri(client, uri))
        return "this redirect_uri is not registered for the client";
    if (!has(uri) && !only_redirect_uri(client, &uri))
        return "redirect_uri is missing, and the client has not registered exactly one";
    if (!sp_redirect_target_valid(uri) || !sp_ok(SP_TEXT_SET(&c->request->redirect_uri, uri)))
        return "this redirect_uri cannot be used";
    return NULL;
}

/* RFC 6749 appendix A.5: VSCHAR. */
static bool is_visible(sp_slice s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] > 0x7E) return false;
    }
    return true;
}

/* ---- one check for each thing that the client can be told ---- */

static struct sp_oauth_trouble check_state(const struct check *c) {
    const sp_slice state = c->params->state;
    if (!is_visible(state)) return invalid("state has characters that it may not have");
    if (!sp_ok(SP_TEXT_SET(&c->request->state, state))) return invalid("state is too long");
    return fine();
}

static struct sp_oauth_trouble check_unsupported(const struct check *c) {
    if (has(c->params->request))
        return sp_oauth_trouble_of(SP_OAUTH_REQUEST_NOT_SUPPORTED, "request objects are not supported");
    if (has(c->params->request_uri)) /* one of ours is opened before this */
        return sp_oauth_trouble_of(SP_OAUTH_REQUEST_URI_NOT_SUPPORTED,
                                   "a request_uri is good only when it was given here");
    if (has(c->params->registration))
        return sp_oauth_trouble_of(SP_OAUTH_REGISTRATION_NOT_SUPPORTED, "registration is not supported");
    return fine();
}

static struct sp_oauth_trouble check_response(const struct check *c) {
    const sp_slice type = c->params->response_type, mode = c->params->response_mode;
    if (!has(type)) return invalid("response_type is missing");
    if (!sp_slice_eq_cstr(type, "code"))
        return sp_oauth_trouble_of(SP_OAUTH_UNSUPPORTED_RESPONSE_TYPE, "response_type must be code");
    if (has(mode) && !sp_slice_eq_cstr(mode, "query"))
        return sp_oauth_trouble_of(SP_OAUTH_UNSUPPORTED_RESPONSE_MODE, "response_mode must be query");
    return fine();
}

static struct sp_oauth_trouble check_client(const struct check *c) {
    const struct sp_client *client = c->facts->client;
    if (!sp_client_may_grant(client, SP_SLICE_LIT("authorization_code")))
        return sp_oauth_trouble_of(SP_OAUTH_UNAUTHORIZED_CLIENT, "the client may not use authorization_code");
    if (client->row.require_par && !c->facts->pushed)
        return invalid("the client must push its authorization requests");
    return fine();
}

/* `plain`, and no method at all, which means plain, would show the verifier to whoever sees the request (RFC
 * 9700 2.1.1). */
static struct sp_oauth_trouble check_pkce(const struct check *c) {
    const sp_slice challenge = c->params->code_challenge;
    uint8_t hash[SP_SHA256_BYTES];
    if (!has(challenge)) return invalid("code_challenge is missing");
    if (!sp_slice_eq_cstr(c->params->code_challenge_method, "S256"))
        return invalid("code_challenge_method must be S256");
    if (!sp_ok(sp_base64url_decode_exact(challenge, hash, sizeof(hash))) ||
        !sp_ok(SP_TEXT_SET(&c->request->code_challenge, challenge)))
        return invalid("code_challenge is no SHA-256 in base64url");
    return fine();
}

static sp_status drop_word(sp_text512 *list, sp_slice word) {
    const sp_text512 before = *list;
    sp_slice rest = SP_TEXT_SLICE(&before), each;
    list->n = 0;
    while (sp_words_next(&rest, &each)) {
        if (!sp_slice_eq(each, word)) SP_TRY(SP_OAUTH_WORDS_ADD(list, each));
    }
    return SP_SUCCESS;
}

/* What OpenID Connect Core section 5.4 asks claims with that this server has for nobody. Libraries ask for
 * `openid profile email` unless they are told otherwise, and section 3.1.2.1 has such words ignored. */
static bool is_of_absent_claims(sp_slice word) {
    static const char *const words[] = {"email", "address", "phone"};
    for (size_t i = 0; i < SP_ARRAY_LEN(words); i++) {
        if (sp_slice_eq_cstr(word, words[i])) return true;
    }
    return false;
}

sp_status sp_authz_scope_meant(sp_slice asked, sp_text512 *ret) {
    sp_slice rest = asked, word;
    const bool as_it_is = !sp_words_valid(asked, asked.n) || !sp_words_contain(asked, SP_SLICE_LIT("openid"));
    ret->n = 0;
    if (as_it_is) return SP_TEXT_SET(ret, asked);
    while (sp_words_next(&rest, &word)) {
        if (!is_of_absent_claims(word)) SP_TRY(SP_OAUTH_WORDS_ADD(ret, word));
    }
    return SP_SUCCESS;
}

/* offline_access is left out for a client that could do nothing with it, as OpenID Connect Core section 11
 * says; and of a client's scopes as a whole, openid is left out where there is no OpenID Connect. */
static struct sp_oauth_trouble check_scope(const struct check *c) {
    const struct sp_client *client = c->facts->client;
    sp_text512 *scope = &c->request->scope, meant;
    const struct sp_oauth_trouble bad = sp_oauth_trouble_of(
        SP_OAUTH_INVALID_SCOPE, "scope has a word that is malformed, or not one of the scopes of the client");
    if (!sp_ok(sp_authz_scope_meant(c->params->scope, &meant))) return bad;
    const sp_slice asked = SP_TEXT_SLICE(&meant);
    if (!sp_ok(sp_client_scope(client, asked, scope))) return bad;
    const bool openid = sp_words_contain(asked, SP_SLICE_LIT("openid"));
    if (openid && !c->facts->openid)
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_SCOPE, "openid is not offered here");
    if (openid && !has(c->params->redirect_uri))
        return invalid("redirect_uri is missing, which OpenID Connect requires");
    sp_status s = SP_SUCCESS;
    if (!c->facts->openid) s = drop_word(scope, SP_SLICE_LIT("openid"));
    if (sp_ok(s) && !sp_client_may_grant(client, SP_SLICE_LIT("refresh_token")))
        s = drop_word(scope, SP_SLICE_LIT("offline_access"));
    return sp_ok(s) ? fine() : bad;
}

static struct sp_oauth_trouble check_resource(const struct check *c) {
    const struct sp_authz_params *p = c->params;
    const struct sp_oauth_trouble bad =
        sp_oauth_trouble_of(SP_OAUTH_INVALID_TARGET, "a resource is not one of the client's");
    if (p->n_resources == 0) return fine();
    if (p->n_resources > SP_OAUTH_RESOURCES_MAX) return bad;
    sp_status s =
        sp_client_audience(c->app, c->facts->client, p->resources, p->n_resources, &c->request->aud);
    return sp_ok(s) ? fine() : bad;
}

static struct sp_oauth_trouble check_nonce(const struct check *c) {
    if (!sp_utf8_printable(c->params->nonce)) return invalid("nonce has characters that it may not have");
    if (!sp_ok(SP_TEXT_SET(&c->request->nonce, c->params->nonce))) return invalid("nonce is too long");
    return fine();
}

/* select_account is another word for login here: a browser has one sign-in at a time. */
static bool set_prompt(struct sp_authz_request *r, sp_slice word) {
    if (sp_slice_eq_cstr(word, "none")) {
        r->prompt_none = true;
    } else if (sp_slice_eq_cstr(word, "login") || sp_slice_eq_cstr(word, "select_account")) {
        r->prompt_login = true;
    } else if (sp_slice_eq_cstr(word, "consent")) {
        r->prompt_consent = true;
    } else {
        return false;
    }
    return true;
}

static struct sp_oauth_trouble check_prompt(const struct check *c) {
    struct sp_authz_request *r = c->request;
    sp_slice list = c->params->prompt, word;
    while (sp_words_next(&list, &word)) {
        if (!set_prompt(r, word)) return invalid("prompt has an unknown value");
    }
    if (r->prompt_none && (r->prompt_login || r->prompt_consent)) return invalid("prompt=none stands alone");
    return fine();
}

static struct sp_oauth_trouble check_max_age(const struct check *c) {
    uint64_t seconds;
    if (!has(c->params->max_age)) return fine();
    if (!sp_slice_to_u64(c->params->max_age, &seconds)) return invalid("max_age is no number of seconds");
    c->request->has_max_age = true;
    c->request->max_age_s =
        seconds < (uint64_t)SP_OAUTH_MAX_AGE_S_MAX ? (int64_t)seconds : SP_OAUTH_MAX_AGE_S_MAX;
    return fine();
}

/* RFC 9470 section 5: what cannot be met is said at once, before anybody signs in for it. */
static struct sp_oauth_trouble check_acr(const struct check *c) {
    const sp_slice wanted = c->params->acr_values;
    if (!has(wanted) || sp_words_contain(wanted, SP_SLICE_LIT(SP_ACR_PASSWORD))) return fine();
    return sp_oauth_trouble_of(SP_OAUTH_UNMET_AUTHENTICATION_REQUIREMENTS,
                               "none of the acr_values can be met here");
}

static struct sp_oauth_trouble check_jkt(const struct check *c) {
    const sp_slice jkt = c->params->dpop_jkt;
    if (!has(jkt)) return fine();
    if (!sp_jkt_valid(jkt) || !sp_ok(SP_TEXT_SET(&c->request->jkt, jkt)))
        return invalid("dpop_jkt is no thumbprint");
    return fine();
}

/* A hint that cannot be shown in the form is no reason to refuse anybody. */
static struct sp_oauth_trouble check_hint(const struct check *c) {
    const sp_slice hint = c->params->login_hint;
    if (sp_utf8_printable(hint)) SP_IGNORE(SP_TEXT_SET(&c->request->login_hint, hint));
    return fine();
}

/* In the order in which the faults are told: state first, because the others carry it. */
static struct sp_oauth_trouble (*const checks[])(const struct check *) = {
    check_state, check_unsupported, check_response, check_client, check_pkce, check_scope, check_resource,
    check_nonce, check_prompt,      check_max_age,  check_acr,    check_jkt,  check_hint,
};

void sp_authz_check(const struct sp_app *app, const struct sp_authz_facts *facts,
                    const struct sp_authz_params *params, struct sp_authz_checked *ret) {
    memset(ret, 0, sizeof(*ret));
    const struct check c = {.app = app, .facts = facts, .params = params, .request = &ret->request};
    /* A client that pushes has told by its credential who it is. */
    const bool is_unnamed = facts->client == NULL && !has(params->client_id);
    const char *fault = is_unnamed ? "client_id is missing" : client_fault(facts->client);
    if (fault == NULL) fault = place_fault(&c);
    if (fault != NULL) {
        ret->trouble = invalid(fault);
        return;
    }
    ret->may_redirect = true;
    ret->request.client_id = facts->client->row.id;
    for (size_t i = 0; i < SP_ARRAY_LEN(checks); i++) {
        ret->trouble = checks[i](&c);
        if (ret->trouble.error != SP_OAUTH_NONE) return;
    }
}

const char *sp_authz_still_good(const struct sp_client *client, const struct sp_authz_request *request) {
    const sp_slice uri = SP_TEXT_SLICE(&request->redirect_uri);
    const char *fault = client_fault(client);
    if (fault != NULL) return fault;
    if (!sp_slice_eq(SP_TEXT_SLICE(&client->row.id), SP_TEXT_SLICE(&request->client_id)))
        return "the request is another client's";
    if (!sp_client_may_grant(client, SP_SLICE_LIT("authorization_code")))
        return "the client may not use authorization_code";
    if (client->row.require_par && !request->is_pushed)
        return "the client must push its authorization requests";
    if (!sp_client_has_redirect_uri(client, uri) || !sp_redirect_target_valid(uri))
        return "this redirect_uri is not registered for the client any more";
    return NULL;
}
