#include "core/client_auth.h"

#include "core/client_options.h"
#include "core/client_uri.h"
#include "core/oauth_internal.h"
#include "token/client_assertion.h"

/* Why somebody was not let in: for the record, never for the answer. */
struct refusal {
    const char *reason; /* static; NULL: let in */
    struct sp_oauth_trouble trouble;
};

/* One answer for all that is wrong with a credential. */
static struct refusal refused(const char *reason) {
    return (struct refusal){reason,
                            sp_oauth_trouble_of(SP_OAUTH_INVALID_CLIENT, "client authentication failed")};
}

static bool has_method(const struct sp_client *c, const char *method) {
    return c != NULL && sp_slice_eq_cstr(SP_TEXT_SLICE(&c->row.auth_method), method);
}

/* ---- secrets ---- */

/* client_secret_basic takes both ways of sending a secret: which one a library prefers is not the client's to
 * know, and neither is weaker than the other. */
static bool takes_secret(const struct sp_client *c, enum sp_client_shown how) {
    return has_method(c, SP_CLIENT_AUTH_BASIC) ||
           (how == SP_CLIENT_SHOWS_POST && has_method(c, SP_CLIENT_AUTH_POST));
}

/* The secret is compared whoever it is, so that an unknown id takes as long as a wrong secret. */
static struct refusal judge_secret(const struct sp_app *app, const struct sp_client *c,
                                   const struct sp_client_proof *shown) {
    const bool is_right = sp_client_has_secret(c, shown->secret, sp_app_now_ms(app));
    if (c == NULL) return refused("unknown");
    if (!takes_secret(c, shown->how)) return refused("other_method");
    return is_right ? (struct refusal){0} : refused("wrong");
}

/* ---- assertions ---- */

struct assertion_check {
    struct sp_check_scratch scratch;
    struct sp_buf url;       /* of the endpoint */
    struct sp_buf token_url; /* of /oauth2/token */
};

static void assertion_check_free(struct assertion_check *a) {
    if (a == NULL) return;
    sp_buf_done(&a->url);
    sp_buf_done(&a->token_url);
    free(a);
}

enum { ENDPOINT_URL_BYTES_MAX = 1024 }; /* an issuer and a path of ours */

/* NULL: no memory. */
static struct assertion_check *assertion_check_new(const struct sp_app *app, sp_slice path) {
    struct assertion_check *a = malloc(sizeof(*a));
    if (a == NULL) return NULL;
    a->url = (struct sp_buf)SP_BUF_INIT(ENDPOINT_URL_BYTES_MAX);
    a->token_url = (struct sp_buf)SP_BUF_INIT(ENDPOINT_URL_BYTES_MAX);
    sp_status s = sp_app_url(app, path, &a->url);
    if (sp_ok(s)) s = sp_app_url(app, SP_SLICE_LIT("/oauth2/token"), &a->token_url);
    if (sp_ok(s)) return a;
    assertion_check_free(a);
    return NULL;
}

static struct refusal remember(struct sp_app *app, const struct sp_client_assertion *assertion,
                               int64_t now_ms) {
    switch (sp_replay_add(app->assertions, assertion->id, assertion->replay_until_ms, now_ms)) {
    case SP_REPLAY_NEW: return (struct refusal){0};
    case SP_REPLAY_SEEN: return refused(sp_client_assertion_fault_code(SP_CLIENT_ASSERTION_REPLAYED));
    case SP_REPLAY_FULL: break;
    }
    struct refusal full = {
        sp_client_assertion_fault_code(SP_CLIENT_ASSERTION_TABLE_FULL),
        sp_oauth_trouble_of(SP_OAUTH_TEMPORARILY_UNAVAILABLE, "too many assertions at a time")};
    full.trouble.retry_after_s = 1;
    return full;
}

static struct refusal judge_assertion(struct sp_app *app, const struct sp_client *c, sp_slice text,
                                      struct assertion_check *a) {
    const int64_t now_ms = sp_app_now_ms(app);
    /* The token endpoint stands for the whole server: RFC 7523 section 3, and for pushed requests RFC 9126
     * section 2, which asks for all three. */
    const sp_slice audiences[] = {SP_TEXT_SLICE(&app->config.issuer), sp_buf_slice(&a->url),
                                  sp_buf_slice(&a->token_url)};
    const struct sp_client_assertion_expect expect = {
        .client_id = SP_TEXT_SLICE(&c->row.id),
        .jwks = SP_TEXT_SLICE(&c->row.jwks),
        .audiences = audiences,
        .audiences_n = SP_ARRAY_LEN(audiences),
        .now_s = now_ms / 1000,
    };
    struct sp_client_assertion assertion;
    const enum sp_client_assertion_fault fault =
        sp_client_assertion_check(text, &expect, &a->scratch, &assertion);
    if (fault == SP_CLIENT_ASSERTION_INTERNAL)
        return (struct refusal){sp_client_assertion_fault_code(fault),
                                sp_oauth_trouble_of(SP_OAUTH_SERVER_ERROR, NULL)};
    if (fault != SP_CLIENT_ASSERTION_NONE) return refused(sp_client_assertion_fault_code(fault));
    /* What was used before this start is not remembered. */
    if (sp_client_assertion_may_predate(&assertion, app->started_ms / 1000)) return refused("before_start");
    if (sp_replay_may_have_forgotten(app->assertions, assertion.replay_until_ms))
        return refused("clock_set_back");
    /* A disabled client leaves nothing behind. */
    return c->row.disabled ? (struct refusal){0} : remember(app, &assertion, now_ms);
}

/* ---- the decision ---- */

static struct refusal judge(struct sp_app *app, const struct sp_client *c,
                            const struct sp_client_proof *shown, struct assertion_check *a) {
    struct refusal r = {0};
    switch (shown->how) {
    case SP_CLIENT_SHOWS_BASIC:
    case SP_CLIENT_SHOWS_POST: r = judge_secret(app, c, shown); break;
    case SP_CLIENT_SHOWS_ASSERTION:
        if (!has_method(c, SP_CLIENT_AUTH_PRIVATE_KEY_JWT))
            r = refused(c == NULL ? "unknown" : "other_method");
        else
            r = judge_assertion(app, c, shown->assertion, a);
        break;
    case SP_CLIENT_SHOWS_NOTHING:
        if (!has_method(c, SP_CLIENT_AUTH_NONE)) r = refused(c == NULL ? "unknown" : "other_method");
        break;
    }
    /* Only who has shown what is right makes this reason appear on record. */
    return r.reason == NULL && c->row.disabled ? refused("disabled") : r;
}

static struct sp_oauth_trouble decide(struct sp_app *app, const struct sp_call *call,
                                      const struct sp_client_proof *shown, sp_slice id,
                                      struct assertion_check *a, const struct sp_client **ret) {
    const struct sp_client *c = sp_live_clients_get(app->clients, id);
    const struct refusal r = judge(app, c, shown, a);
    if (r.reason == NULL) {
        *ret = c;
        return sp_oauth_trouble_of(SP_OAUTH_NONE, NULL);
    }
    sp_client_record_refusal(app, call, c != NULL, id, r.reason);
    sp_client_release(c);
    return r.trouble;
}

/* An assertion names its client. What it says besides is looked at under that client's keys only, and a
 * client_id beside it must say the same. */
static struct sp_oauth_trouble decide_assertion(struct sp_app *app, const struct sp_call *call,
                                                const struct sp_client_proof *shown, sp_slice path,
                                                const struct sp_client **ret) {
    struct assertion_check *a = assertion_check_new(app, path);
    if (a == NULL) return sp_oauth_trouble_of(SP_OAUTH_SERVER_ERROR, NULL);
    sp_slice named = SP_SLICE_EMPTY;
    sp_text64 id = {0};
    struct sp_oauth_trouble t;
    const bool is_read =
        sp_client_assertion_peek(shown->assertion, &a->scratch, &named) == SP_CLIENT_ASSERTION_NONE &&
        sp_ok(SP_TEXT_SET(&id, named)); /* `named` lies in the scratch */
    const char *fault = !is_read                                                          ? "malformed"
                        : shown->id.n != 0 && !sp_slice_eq(shown->id, SP_TEXT_SLICE(&id)) ? "wrong_client"
                                                                                          : NULL;
    if (fault == NULL) {
        t = decide(app, call, shown, SP_TEXT_SLICE(&id), a, ret);
    } else {
        sp_client_record_refusal(app, call, false, shown->id, fault);
        t = refused(fault).trouble;
    }
    assertion_check_free(a);
    return t;
}

struct sp_oauth_trouble sp_client_authenticate(struct sp_app *app, const struct sp_call *call,
                                               const struct sp_client_proof *shown, sp_slice path,
                                               const struct sp_client **ret) {
    if (shown->how == SP_CLIENT_SHOWS_ASSERTION) return decide_assertion(app, call, shown, path, ret);
    if (shown->how == SP_CLIENT_SHOWS_NOTHING && shown->id.n == 0)
        return sp_oauth_trouble_of(SP_OAUTH_INVALID_REQUEST, "no client is named");
    return decide(app, call, shown, shown->id, NULL, ret);
}

/* ---- what a client may ---- */

bool sp_client_may_grant(const struct sp_client *c, sp_slice grant_type) {
    return grant_type.n != 0 && sp_words_contain(SP_TEXT_SLICE(&c->row.grants), grant_type);
}

bool sp_client_inherits(const struct sp_client *c, const struct sp_session_row *row) {
    return c != NULL && row->created_ms < c->row.created_ms;
}

static bool is_among(sp_slice uris, sp_slice sent) {
    sp_slice uri;
    while (sp_words_next(&uris, &uri)) {
        if (sp_uri_is_registered(uri, sent)) return true;
    }
    return false;
}

bool sp_client_has_redirect_uri(const struct sp_client *c, sp_slice uri) {
    return is_among(SP_TEXT_SLICE(&c->row.redirect_uris), uri);
}

bool sp_client_has_post_logout_uri(const struct sp_client *c, sp_slice uri) {
    return is_among(SP_TEXT_SLICE(&c->row.post_logout_redirect_uris), uri);
}

/* ---- audience and scope ---- */

sp_status sp_client_audience(const struct sp_app *app, const struct sp_client *c, const sp_slice *resources,
                             size_t n, sp_text256 *ret) {
    sp_slice list = SP_TEXT_SLICE(&c->row.audiences), first = SP_SLICE_EMPTY;
    if (list.n == 0) list = SP_TEXT_SLICE(&app->config.audience);
    sp_text256 audience = {0};
    for (size_t i = 0; i < n; i++) {
        if (resources[i].n == 0 || !sp_words_contain(list, resources[i])) return sp_err(SP_E_REFUSED);
        if (sp_words_contain(SP_TEXT_SLICE(&audience), resources[i])) continue;
        if (!sp_ok(SP_OAUTH_WORDS_ADD(&audience, resources[i]))) return sp_err(SP_E_REFUSED);
    }
    if (n == 0 && sp_words_next(&list, &first)) SP_TRY(SP_TEXT_SET(&audience, first));
    *ret = audience;
    return SP_SUCCESS;
}

sp_status sp_client_scope(const struct sp_client *c, sp_slice asked, sp_text512 *ret) {
    const sp_slice all = SP_TEXT_SLICE(&c->row.scopes);
    sp_slice rest = asked.n != 0 ? asked : all, word;
    sp_text512 scope = {0};
    if (!sp_words_valid(rest, rest.n)) return sp_err(SP_E_MALFORMED);
    while (sp_words_next(&rest, &word)) {
        if (!sp_words_contain(all, word)) return sp_err(SP_E_REFUSED);
        if (!sp_words_contain(SP_TEXT_SLICE(&scope), word)) SP_TRY(SP_OAUTH_WORDS_ADD(&scope, word));
    }
    *ret = scope;
    return SP_SUCCESS;
}
