/* What the use cases of a browser share: the authorization request in hand, the sign-in of that browser, and
 * the ways in which they end: a page, or a redirect.
 *
 * Nothing is kept between two requests of a browser. The page carries the authorization request, sealed; the
 * cookie carries the sign-in, which is a session row like any other and is looked up each time. So two tabs
 * cannot get in each other's way, and what a person ends in the list of sessions is ended here as well.
 *
 * A sign-in's cookie is as good as its secret, which is the row's own: its refresh token was thrown away when
 * it was made, so nobody rotates it, and only logging in once more changes the secret (oauth_signin.c). Being
 * used keeps it from expiring, as refreshing keeps any other session, by a reissue on the side: at most one
 * write in SP_SIGNIN_TOUCH_MS, however often a client asks (prompt=none).
 *
 * A use case begins with a struct sp_browser_op (login with one of its own) and ends by one of the functions
 * below that finish the op. Our own trouble after a request was found good is told to the client as
 * temporarily_unavailable or server_error: it waits for an answer that a page would not give it. */
#ifndef SP_CORE_OAUTH_BROWSER_H
#define SP_CORE_OAUTH_BROWSER_H

#include "core/oauth_request.h"
#include "core/oauth_step.h"

enum {
    SP_SIGNIN_TOUCH_MS = 15 * 60 * 1000, /* of days of idle time; a quarter of it where that is shorter */
    /* A registered address with everything at its longest behind it, each byte of the state escaped; or ours
     * with a sealed request. */
    SP_LOCATION_BYTES_MAX = 512 + 3 * SP_OAUTH_STATE_BYTES_MAX + 3 * 256 + SP_OAUTH_SEALED_BYTES_MAX + 512,
};
#define SP_AUTHORIZE_PATH "/oauth2/authorize"

struct sp_browser {
    struct sp_op *op;

    /* The request in hand, and its client (a reference). may_redirect: both were found good, and the address
     * may be told what goes wrong from here on. */
    struct sp_authz_request request;
    const struct sp_client *client;
    bool may_redirect;

    /* The sign-in. */
    bool has_cookie; /* one of ours was shown */
    struct sp_sso_cookie cookie;
    struct sp_authz_signin_facts signin;
    struct sp_session_row session; /* signin.is_on */
    struct sp_user_row user;
    sp_text512 granted; /* of request.scope, to this user */

    /* The answer. */
    enum sp_authz_next next;
    struct sp_oauth_trouble trouble;
    enum sp_outcome failed;
    struct sp_buf location, sealed, new_cookie;
    char csrf[SP_CSRF_TEXT_BYTES];
    bool has_csrf, sets_cookie, expires_cookie, lost_cookie;
    sp_text256 username;
    sp_text512 permissions;
    sp_slice device_token; /* the op's */
};
void sp_browser_init(struct sp_browser *b, struct sp_op *op);
void sp_browser_done(struct sp_browser *b);
/* Says what the answer is. b NULL: there was no memory for an op. */
void sp_browser_say(struct sp_browser *b, sp_any_done *done, void *arg, enum sp_outcome outcome);

/* ---- the request in hand ---- */

/* Opens a sealed request and finds its client again. False: the op is finished, with a page, because nobody
 * knows where to. */
bool sp_browser_open(struct sp_browser *b, enum sp_seal_kind kind, sp_slice text);
/* b->request was opened: finds its client, and holds the one against the other. False as above. */
bool sp_browser_accept(struct sp_browser *b);
/* b->client = the client of this id, or NULL. */
void sp_browser_find_client(struct sp_browser *b, sp_slice client_id);
/* Whom an id_token of ours, which may have expired, names. SP_E_REFUSED: it is none, or (client_id not empty)
 * another client's; SP_E_NOMEM. */
struct sp_hint {
    uint8_t user_id[SP_ROW_ID_BYTES];
    uint8_t sid[SP_ROW_SID_BYTES];
    bool has_sid;
    sp_text128 client_id;
};
sp_status sp_browser_hint(struct sp_app *app, sp_slice id_token, sp_slice client_id, struct sp_hint *ret);
/* Puts the hint of an authorization request into it. One that cannot be read names nobody: only a client that
 * asks for no page is refused for it, because it would otherwise be answered for whoever is there.
 * SP_E_NOMEM.
 */
sp_status sp_browser_hint_request(struct sp_app *app, sp_slice id_token, struct sp_authz_request *request);

/* ---- ends: each finishes the op ---- */

void sp_browser_error(struct sp_browser *b, enum sp_oauth_error error, const char *description); /* page */
void sp_browser_show_login(struct sp_browser *b);
void sp_browser_show_consent(struct sp_browser *b);
void sp_browser_redirect_error(struct sp_browser *b, struct sp_oauth_trouble trouble);
/* To our own /oauth2/authorize, with the request: there it is found out anew what comes next. */
void sp_browser_redirect_self(struct sp_browser *b);
void sp_browser_redirect_code(struct sp_browser *b);

/* The same without the end; on failure the answer is as it was. */
sp_status sp_browser_build_login(struct sp_browser *b);
sp_status sp_browser_build_self(struct sp_browser *b);

/* ---- the sign-in (oauth_sso.c) ---- */

/* For use cases that look it up. */
struct sp_browser_op;
typedef void sp_browser_step(struct sp_browser_op *op);
struct sp_browser_op {
    struct sp_op base;
    struct sp_browser b;
    sp_browser_step *then;
    struct sp_session_policy policy;
};
void sp_browser_op_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome);
void sp_browser_op_release(struct sp_op *op);

/* Opens the cookie: b->has_cookie, b->cookie. One that is none of ours is to expire. SP_E_NOMEM. */
sp_status sp_browser_open_cookie(struct sp_browser *b, sp_slice cookie);
/* Looks the sign-in of the opened cookie up: b->signin, session, user. `then` may be called at once. */
void sp_browser_find_signin(struct sp_browser_op *op, sp_browser_step *then);
/* Is this row the cookie's, and does it live? */
bool sp_signin_is_good(const struct sp_app *app, const struct sp_session_row *row,
                       const struct sp_sso_cookie *cookie, int64_t now_ms,
                       const struct sp_session_policy *policy);

/* A page's CSRF token: bound to the sign-in and to the sealed request in the same form, under a label of its
 * own, so that it is neither that of /auth nor that of another page. */
void sp_browser_csrf_token(struct sp_app *app, const uint8_t *sid, sp_slice sealed,
                           char ret[SP_CSRF_TEXT_BYTES]);
bool sp_browser_csrf_valid(struct sp_app *app, const uint8_t *sid, sp_slice sealed, sp_slice presented);

/* b->granted: what of the request's scope this person may give, by the roles of the moment. What was left out
 * is told by the scope in the token's answer, and is no error. */
sp_status sp_browser_grant(struct sp_browser *b);

#endif
