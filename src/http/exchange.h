/* One request in our hands, from its arrival to its reply: what was learned about it, and the answer as it
 * grows.
 *
 * Made by api.c, on the heap, because a use case may finish later; freed by the reply, which every path
 * reaches exactly once (and after which the exchange is gone). Private to this layer. */
#ifndef SP_HTTP_EXCHANGE_H
#define SP_HTTP_EXCHANGE_H

#include "base/ip.h"
#include "core/app.h"
#include "core/feed.h"
#include "core/live_clients.h"
#include "core/oauth.h"
#include "http/api.h"
#include "http/form.h"
#include "http/json_in.h"
#include "http/json_out.h"
#include "http/route.h"

enum {
    SP_REQUEST_ID_BYTES = 16, /* prefix of the api, and a counter */
    SP_REQUEST_ID_CHARS = 22,
    SP_REPLY_HEADERS_MAX = 24, /* the fullest: seven X-Auth-*, three Set-Cookie, and what every answer has */
    SP_REPLY_HEADER_TEXT_BYTES_MAX = 32 * 1024, /* two cookies and every X-Auth-* at their largest */
    SP_PAGE_DEFAULT = 50,
    SP_PAGE_MAX = 200, /* rows of a page: keeps an answer below a few MiB */
};

struct sp_http_api {
    struct sp_app *app;
    struct sp_cookie_names cookies;
    sp_text256 origin_texts[SP_ORIGINS_MAX];
    sp_slice origins[SP_ORIGINS_MAX]; /* of the texts beside */
    size_t n_origins;
    sp_text256 cors_texts[SP_ORIGINS_MAX];
    sp_slice cors[SP_ORIGINS_MAX]; /* likewise */
    size_t n_cors;
    sp_text64 hsts; /* empty: not said */
    struct sp_cidr proxies[SP_PROXIES_MAX];
    size_t n_proxies;
    struct sp_log log;
    void (*seen)(void *arg, const struct sp_http_seen *seen);
    void *seen_arg;
    enum sp_http_request_log request_log;
    sp_status (*metrics)(void *arg, const struct sp_measures *measures, struct sp_buf *ret);
    void *metrics_arg;
    struct sp_feed_streams *streams; /* NULL until somebody follows */
    struct sp_receipt_wait *waits;   /* of revocations (receipt.c) */
    int64_t origin_said_us;          /* the last `origin_refused` in the log; 0: none yet */
    bool draining;
    uid_t euid;
    uint8_t id_prefix[SP_REQUEST_ID_BYTES - 8];
    uint64_t id_counter;
};

enum sp_credential { SP_CREDENTIAL_NONE, SP_CREDENTIAL_BEARER, SP_CREDENTIAL_COOKIE, SP_CREDENTIAL_SOCKET };

struct sp_exchange {
    struct sp_http_api *api;
    struct sp_app *app;
    struct sp_http_req *req;
    const struct sp_route *route;            /* NULL until found */
    const struct sp_route *sibling;          /* any row of the path, the method's or not; NULL until found */
    sp_slice segment[SP_ROUTE_SEGMENTS_MAX]; /* decoded */
    struct sp_query query;
    uint8_t *text; /* what was decoded of path and query */
    uint8_t *form; /* what was decoded of a form; wiped */
    size_t form_n;
    char request_id[SP_REQUEST_ID_CHARS];
    int64_t
        began_us; /* CLOCK_MONOTONIC, for the log and metrics; the loop's own clock stands still meanwhile */

    struct sp_cookies cookies;
    enum sp_credential credential; /* what was found; USER and ADMIN routes: and found good */
    sp_slice access_token;         /* BEARER; COOKIE: may be empty when only the refresh cookie came */
    bool is_dpop;                  /* BEARER: by the scheme DPoP */
    bool shows_authorization;      /* CLIENT routes: with an Authorization header */
    struct sp_principal principal;
    struct sp_client_facts client; /* FEED routes */
    struct sp_call call;
    char address[SP_IP_TEXT_BYTES]; /* the client's, when a proxy has told it; call.address borrows it */
    struct sp_json_in body;
    bool wants_device_token; /* in the answer's body */
    bool ends_cookies;       /* success of this use case leaves nothing that our cookies could be good for */

    const char *wrong_parameter; /* of a form; static */
    /* What would have been needed: for the challenge of a refusal. */
    struct {
        sp_slice scope, acr;
        bool has_max_age;
        int64_t max_age_s;
    } wanted;

    struct sp_buf out;
    struct sp_json_out json; /* writes to out */
    struct {
        const char *name;
        size_t at, n; /* value, in header_text */
    } header[SP_REPLY_HEADERS_MAX];
    size_t n_headers;
    struct sp_buf header_text;
    bool failed; /* the answer could not be built */
};

/* A refusal answers; whoever asked stops. */
enum sp_step { SP_GO_ON, SP_ANSWERED };

enum sp_problem {
#define X(name, status, code, title) SP_PROBLEM_##name,
#include "http/problems.def"
#undef X
    SP_PROBLEM_COUNT
};

int64_t sp_x_clock_us(void);

/* ---- the answer (reply.c) ---- */

/* Adds a header to whatever the answer will be. `name` is static. */
void sp_x_header(struct sp_exchange *x, const char *name, sp_slice value);
/* Ends the exchange with x->json as body (if anything was written), or without one. A body that could not be
 * built becomes a 500. */
void sp_x_reply(struct sp_exchange *x, int status);
/* Ends the exchange with a streamed answer: its headers now, what x->json held is dropped. Logged and counted
 * once, with this status, before a byte of the body. Fails as sp_http_stream_begin does; the client then has
 * its answer, and the exchange is gone as well: whoever wants to stream keeps an object of his own. */
sp_status sp_x_stream(struct sp_exchange *x, int status, const struct sp_http_stream_opts *opts,
                      struct sp_http_stream **ret_stream);
/* Ends the exchange with a problem. What x->json held is dropped. */
void sp_x_problem(struct sp_exchange *x, enum sp_problem problem);
void sp_x_problem_detail(struct sp_exchange *x, enum sp_problem problem, const char *detail);
/* `field`: which one, or NULL. */
void sp_x_problem_body(struct sp_exchange *x, enum sp_json_in_error e, const char *field);
void sp_x_outcome(struct sp_exchange *x, enum sp_outcome outcome);
/* With what the client may know beside: `reason` in the body, Retry-After. */
void sp_x_outcome_why(struct sp_exchange *x, enum sp_outcome outcome, const struct sp_why *why);
/* Ends the exchange with an error of OAuth: JSON (RFC 6749 section 5.2), or the error page. */
void sp_x_trouble(struct sp_exchange *x, const struct sp_oauth_trouble *trouble);
void sp_x_oauth_error(struct sp_exchange *x, enum sp_oauth_error error, const char *description);
/* 204, or the outcome's problem. */
void sp_x_done_plain(struct sp_exchange *x, const struct sp_plain_result *result);
/* 200 {"sessions_ended": n}, or the outcome's problem. */
void sp_x_done_count(struct sp_exchange *x, const struct sp_plain_result *result);
void sp_x_set_cookie(struct sp_exchange *x, enum sp_cookie_kind kind, sp_slice value, int64_t max_age_s);
void sp_x_expire_cookies(struct sp_exchange *x);
/* The nonce that the client's next DPoP proof needs. */
void sp_x_dpop_nonce(struct sp_exchange *x);

/* ---- receipts (receipt.c) ---- */

/* As sp_x_done_plain and sp_x_done_count, for what revokes: with `Prefer: wait=N` the answer waits until
 * every live verifier has confirmed, at most N seconds, and says how many have. */
void sp_x_done_revoked(struct sp_exchange *x, const struct sp_plain_result *result);
void sp_x_done_revoked_count(struct sp_exchange *x, const struct sp_plain_result *result);
/* `wait` of a Prefer header (RFC 7240): false when there is none that can be read. */
bool sp_prefer_wait(sp_slice prefer, uint32_t *ret_wait_s);
/* Answers all that wait with what they have: a stop has begun. */
void sp_receipts_hurry(struct sp_http_api *api);

/* ---- credentials (credential.c) ---- */

/* Fills x->cookies. */
void sp_x_read_cookies(struct sp_exchange *x);
/* Finds what the request carries, without judging it: 400 for two at once or a malformed header, 401 for a
 * repeated cookie or a scheme that is not ours. */
enum sp_step sp_x_find_credential(struct sp_exchange *x);
/* Demands a good access token, and its proof when it is bound. */
enum sp_step sp_x_authenticate(struct sp_exchange *x);
enum sp_step sp_x_authorize_admin(struct sp_exchange *x);
/* Answers that this permission is missing, and records it. `target` may be empty. */
void sp_x_deny(struct sp_exchange *x, sp_slice permission, sp_slice target);
/* The DPoP header, and what its proof must be for. 401 or invalid_dpop_proof for a repeated one. */
enum sp_step sp_x_read_dpop(struct sp_exchange *x, struct sp_dpop_shown *ret);
/* Ends the exchange: no proof where one is needed, or one that does not hold. */
void sp_x_refuse_proof(struct sp_exchange *x, const struct sp_oauth_trouble *trouble);
/* A service: FEED routes. */
enum sp_step sp_x_authenticate_client(struct sp_exchange *x);
/* Whoever may administer, and who has the permission sallyport:metrics. */
enum sp_step sp_x_authorize_metrics(struct sp_exchange *x);
/* Whether the page that sent this may act with cookies (origin.c). */
enum sp_step sp_x_origin_rule(struct sp_exchange *x);
/* X-CSRF-Token against this session. */
enum sp_step sp_x_csrf_token(struct sp_exchange *x, const uint8_t *sid);
/* The token in an Authorization value: the scheme in any case, one SP or more, an RFC 6750 b64token.
 * SP_E_UNSUPPORTED: another scheme. */
sp_status sp_bearer_parse(sp_slice authorization, sp_slice *ret_token);
/* The same of any scheme. */
sp_status sp_token_parse(sp_slice authorization, sp_slice scheme, sp_slice *ret_token);

/* ---- the body (body.c) ---- */

enum sp_step sp_x_check_body(struct sp_exchange *x);
/* Parses the body into fields; an absent optional body reads as {}. */
enum sp_step sp_x_read_body(struct sp_exchange *x, struct sp_json_in_field *fields, size_t n);
bool sp_x_has_body(const struct sp_exchange *x);
/* The same of a form: of the body, or of the query with GET. Once an exchange: values borrow from it. */
enum sp_step sp_x_read_form(struct sp_exchange *x, const struct sp_form_field *fields, size_t n);
/* `limit` and friends of a list. */
enum sp_step sp_x_read_limit(struct sp_exchange *x, uint32_t *ret_limit);

#endif
