/* OAuth 2.0 and OpenID Connect: the use cases behind /oauth2 (RFC 6749 with RFC 9700's choices, RFC 7009,
 * 7662, 8707, 9068, 9126, 9207, 9449; OpenID Connect Core, RP-Initiated and Back-Channel Logout).
 *
 * As in core/app.h: asynchronous, `done` exactly once on call->executor, results good only during it, all
 * arguments copied before the call returns. What is read from a request comes as decoded values; a parameter
 * that was not sent is a slice with p == NULL, one that was sent empty counts as not sent (RFC 6749 3.1).
 * Repeated parameters never get here.
 *
 * No code, no pushed request and no page in between is kept anywhere: each is a sealed text (oauth_seal.h)
 * that only this server can make and read. A code is single-use because it holds the id of the session that
 * it will become, and the store inserts a session once. */
#ifndef SP_CORE_OAUTH_H
#define SP_CORE_OAUTH_H

#include "core/app.h"
#include "token/dpop_nonce.h"

enum sp_oauth_error {
#define X(name, status, code) SP_OAUTH_##name,
#include "core/oauth_errors.def"
#undef X
    SP_OAUTH_ERROR_COUNT
};
int sp_oauth_http_status(enum sp_oauth_error e);
const char *sp_oauth_code(enum sp_oauth_error e);

enum {
    SP_OAUTH_RESOURCES_MAX = 8,    /* `resource` in one request; more are invalid_target */
    SP_OAUTH_CODE_TTL_S = 60,      /* RFC 6749 4.1.2 allows 10 minutes; a browser needs a second */
    SP_OAUTH_PAR_TTL_S = 90,       /* RFC 9126: between 5 and 600 seconds */
    SP_OAUTH_PAGE_TTL_S = 600,     /* a person may take this long on a page of ours */
    SP_OAUTH_ID_TOKEN_TTL_S = 300, /* it says that somebody has just logged in, and is read at once */
    SP_OAUTH_STATE_BYTES_MAX = 1024,
    SP_OAUTH_NONCE_BYTES_MAX = 256,
    SP_OAUTH_SEALED_BYTES_MAX = 6144, /* the longest sealed text: a request with everything at its longest */
};
#define SP_OAUTH_REQUEST_URI_PREFIX "urn:ietf:params:oauth:request_uri:"
#define SP_ACR_PASSWORD "urn:sallyport:acr:password"

/* ---- who asks ---- */

enum sp_client_shown {
    SP_CLIENT_SHOWS_NOTHING,
    SP_CLIENT_SHOWS_BASIC,
    SP_CLIENT_SHOWS_POST,
    SP_CLIENT_SHOWS_ASSERTION
};
/* What a request shows of its client; more than one way at once is refused before (invalid_request). */
struct sp_client_proof {
    enum sp_client_shown how;
    sp_slice id;        /* client_id; empty with an assertion alone, which then names it */
    sp_slice secret;    /* BASIC, POST; decoded */
    sp_slice assertion; /* ASSERTION */
};
/* A DPoP header, and what its proof must be about. p == NULL: none was sent. */
struct sp_dpop_shown {
    sp_slice proof;
    sp_slice method; /* "POST" */
    sp_slice path;   /* "/oauth2/token"; the issuer is put before it */
};

/* What went wrong, for every result below: NONE is success. */
struct sp_oauth_trouble {
    enum sp_oauth_error error;
    const char *description; /* static, for developers; NULL: none */
    uint32_t retry_after_s;  /* SLOW_DOWN, TEMPORARILY_UNAVAILABLE */
    bool wants_nonce;        /* USE_DPOP_NONCE: the answer carries sp_oauth_dpop_nonce */
};

/* ---- POST /oauth2/token ---- */

struct sp_oauth_token_request {
    struct sp_client_proof client;
    struct sp_dpop_shown dpop;
    sp_slice grant_type, code, redirect_uri, code_verifier, refresh_token, scope;
    sp_slice attempt; /* ours: see sp_refresh_request; base64url text of 16 bytes */
    const sp_slice *resources;
    size_t n_resources;
};
struct sp_oauth_tokens_result {
    struct sp_oauth_trouble trouble;
    sp_slice access_token, refresh_token, id_token; /* the last two may be empty */
    sp_slice scope;                                 /* what was granted */
    bool is_dpop;                                   /* token_type */
    int64_t expires_in_s;
};
typedef void sp_oauth_tokens_done(void *arg, const struct sp_oauth_tokens_result *result);
void sp_oauth_token(struct sp_app *app, const struct sp_call *call, const struct sp_oauth_token_request *in,
                    sp_oauth_tokens_done *done, void *arg);

/* ---- POST /oauth2/revoke, /oauth2/introspect ---- */

struct sp_oauth_about_request {
    struct sp_client_proof client;
    sp_slice token, hint;
};
struct sp_oauth_plain_result {
    struct sp_oauth_trouble trouble;
};
typedef void sp_oauth_plain_done(void *arg, const struct sp_oauth_plain_result *result);
/* NONE for unknown and foreign tokens alike. A refresh token, of any generation, ends its session; an access
 * token of a session is refused from now on by its jti. */
void sp_oauth_revoke(struct sp_app *app, const struct sp_call *call, const struct sp_oauth_about_request *in,
                     sp_oauth_plain_done *done, void *arg);

struct sp_oauth_introspection {
    struct sp_oauth_trouble trouble;
    bool active; /* false: nothing else is set */
    bool is_refresh_token;
    sp_slice sub, client_id, username, scope, jti, sid, jkt, acr;
    sp_slice aud;                      /* word list */
    sp_slice amr;                      /* word list */
    int64_t exp_s, iat_s, auth_time_s; /* 0: not told */
};
typedef void sp_oauth_introspect_done(void *arg, const struct sp_oauth_introspection *result);
/* By confidential clients (others: UNAUTHORIZED_CLIENT). An access token is told to a client that it was
 * issued to, or that one of its audiences belongs to (the client's `audiences`); a refresh token to its
 * client alone; to others it is inactive. */
void sp_oauth_introspect(struct sp_app *app, const struct sp_call *call,
                         const struct sp_oauth_about_request *in, sp_oauth_introspect_done *done, void *arg);

/* ---- /oauth2/userinfo ---- */

struct sp_oauth_userinfo {
    struct sp_oauth_trouble trouble; /* INVALID_TOKEN, INSUFFICIENT_SCOPE (openid), ... */
    sp_slice sub;
    sp_slice preferred_username, name; /* with the scope `profile` */
};
typedef void sp_oauth_userinfo_done(void *arg, const struct sp_oauth_userinfo *result);
/* The access token of any audience, with `openid` among its scope; with its proof when it is bound. */
void sp_oauth_userinfo(struct sp_app *app, const struct sp_call *call, sp_slice access_token,
                       bool is_dpop_scheme, const struct sp_dpop_shown *dpop, sp_oauth_userinfo_done *done,
                       void *arg);

/* ---- authorization requests ---- */

struct sp_authz_params {
    sp_slice client_id, response_type, response_mode, redirect_uri, scope, state, nonce, code_challenge,
        code_challenge_method, prompt, max_age, acr_values, login_hint, id_token_hint, dpop_jkt, request,
        request_uri, registration;
    const sp_slice *resources;
    size_t n_resources;
};

struct sp_oauth_par_request {
    struct sp_client_proof client;
    struct sp_dpop_shown dpop;
    struct sp_authz_params params;
};
struct sp_oauth_par_result {
    struct sp_oauth_trouble trouble;
    sp_slice request_uri;
    int64_t expires_in_s;
};
typedef void sp_oauth_par_done(void *arg, const struct sp_oauth_par_result *result);
void sp_oauth_par(struct sp_app *app, const struct sp_call *call, const struct sp_oauth_par_request *in,
                  sp_oauth_par_done *done, void *arg);

/* What the browser is to see next. */
enum sp_authz_next {
    SP_AUTHZ_REDIRECT, /* to `location`: 303 */
    SP_AUTHZ_LOGIN,    /* the login page */
    SP_AUTHZ_CONSENT,  /* the consent page */
    SP_AUTHZ_LOGOUT,   /* the page that asks whether to log out */
    SP_AUTHZ_GOODBYE,  /* logged out, and nowhere to go */
    SP_AUTHZ_ERROR,    /* the error page: for the person, because no address may be trusted with it */
};
struct sp_authz_result {
    enum sp_authz_next next;
    struct sp_oauth_trouble trouble; /* ERROR; of LOGIN after a failed attempt retry_after_s alone */
    sp_slice location;               /* REDIRECT: whole, ours or a registered one */
    /* LOGIN, CONSENT, LOGOUT: for the form. */
    sp_slice request;                /* sealed */
    sp_slice csrf;                   /* CONSENT, LOGOUT: bound to the sign-in */
    sp_slice client_id, client_name; /* the name may be empty */
    sp_slice username;    /* CONSENT, LOGOUT: as displayed; LOGIN: as typed, or the hint; perhaps empty */
    sp_slice scope;       /* CONSENT: what would be granted, word list */
    sp_slice permissions; /* CONSENT: those of `scope` that are permissions, word list */
    /* LOGIN, CONSENT, LOGOUT: where the browser may be sent once the page was answered (redirect_uri,
     * post_logout_redirect_uri); may be empty. Browsers hold a form to the page's form-action through every
     * redirect after it, so the page must name the address' origin. */
    sp_slice goes_to;
    enum sp_outcome failed; /* LOGIN: OK, or why the attempt before failed: INVALID_CREDENTIALS,
                               TOO_MANY_ATTEMPTS, OVERLOADED, STORE_UNAVAILABLE, OUTCOME_UNKNOWN */
    bool lost_cookie;       /* LOGIN: the password was right, but the browser did not send our cookie back */
    /* The sign-in's cookie: what to do with it. */
    bool sets_cookie;    /* to `cookie`, for the length of the browser's session */
    bool expires_cookie; /* what it names is over, or is no cookie of ours */
    sp_slice cookie;
    sp_slice device_token; /* after a login: for the device cookie, as /auth/login does */
};
typedef void sp_authz_done(void *arg, const struct sp_authz_result *result);

/* GET or POST /oauth2/authorize. `cookie`: of the sign-in, or empty. */
void sp_oauth_authorize(struct sp_app *app, const struct sp_call *call, const struct sp_authz_params *params,
                        sp_slice cookie, sp_authz_done *done, void *arg);
/* POST of the login page; the caller has applied the Origin rule. On success REDIRECT to /oauth2/authorize of
 * our own with the sealed request, and the cookie. */
struct sp_authz_login {
    sp_slice request, username, password, device_token;
    sp_slice cookie; /* of an earlier sign-in, which ends when another person signs in */
};
void sp_oauth_login(struct sp_app *app, const struct sp_call *call, const struct sp_authz_login *in,
                    sp_authz_done *done, void *arg);
/* POST of the consent page; the caller has applied the Origin rule. */
struct sp_authz_consent {
    sp_slice request, csrf, cookie;
    bool allowed;
};
void sp_oauth_consent(struct sp_app *app, const struct sp_call *call, const struct sp_authz_consent *in,
                      sp_authz_done *done, void *arg);
/* GET or POST /oauth2/logout (RP-Initiated Logout 1.0). Without a good id_token_hint of the sign-in's person,
 * or a confirmation from the page, LOGOUT asks first. */
struct sp_authz_logout {
    sp_slice id_token_hint, client_id, post_logout_redirect_uri, state, cookie;
    bool confirmed; /* the page's POST: then csrf and request (which holds the rest) count */
    sp_slice csrf, request;
};
void sp_oauth_logout(struct sp_app *app, const struct sp_call *call, const struct sp_authz_logout *in,
                     sp_authz_done *done, void *arg);

/* ---- consents that a person has given: GET /auth/consents, DELETE /auth/consents/{client} ---- */

struct sp_consents_result {
    enum sp_outcome outcome;
    const struct sp_consent_row *rows;
    size_t n;
};
typedef void sp_consents_done(void *arg, const struct sp_consents_result *result);
void sp_app_consents_own(struct sp_app *app, const struct sp_call *call, sp_consents_done *done, void *arg);
/* Takes it back, and ends the sessions that the client has of the person. */
void sp_app_consent_end_own(struct sp_app *app, const struct sp_call *call, sp_slice client_id,
                            sp_plain_done *done, void *arg);

/* ---- DPoP for resources of our own (/auth, /admin/v1) ---- */

/* A principal of a token that may be bound: with is_dpop_scheme the token must be bound and the proof good,
 * without it the token must not be bound. PROOF_REQUIRED, BAD_PROOF (fault texts in *ret_trouble), or as
 * sp_app_authenticate. */
enum sp_reject sp_app_authenticate_dpop(struct sp_app *app, sp_slice access_token, bool is_dpop_scheme,
                                        const struct sp_dpop_shown *dpop, struct sp_principal *ret,
                                        struct sp_oauth_trouble *ret_trouble);
/* The nonce of the moment, for DPoP-Nonce (token/dpop_nonce.h). */
void sp_oauth_dpop_nonce(struct sp_app *app, char ret[SP_DPOP_NONCE_CHARS]);

/* What discovery may promise. */
bool sp_oauth_has_openid(const struct sp_app *app); /* id_tokens can be checked by others: not with HS256 */

#endif
