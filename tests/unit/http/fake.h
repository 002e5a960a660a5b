/* A server and an app that are not there: requests are made from text, replies are kept, use cases write down
 * what they were asked and end as they are told, later, as the real ones do. Link-time doubles of
 * http/server.h, loop/loop.h and core/app.h. */
#ifndef SP_TESTS_HTTP_FAKE_H
#define SP_TESTS_HTTP_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/app.h"
#include "core/live_clients.h"
#include "core/oauth.h"
#include "http/api.h"

enum { FAKE_HEADERS_MAX = 32, FAKE_TEXT_MAX = 65536 };

struct reply {
    int status;
    int times; /* replies sent */
    bool streamed, ended;
    size_t n_headers;
    struct {
        char name[64];
        char value[8192];
    } header[FAKE_HEADERS_MAX];
    char body[FAKE_TEXT_MAX];
    size_t body_n;
};

/* What the next use case ends with, and what all of them were asked, one line each. */
struct fake {
    enum sp_outcome outcome;
    struct sp_why why;
    bool registration;
    sp_slice device_token;
    enum sp_session_mode mode; /* 0: as asked */
    sp_slice access_token;
    uint32_t count;
    sp_status ready;
    const struct sp_session_view *views;
    size_t n_views;
    const struct sp_user_row *users;
    size_t n_users;
    sp_slice next;
    sp_slice secret; /* of a client */
    struct sp_feed *feed;
    enum sp_client_check client;         /* what a service's credential is found to be ... */
    struct sp_client_facts client_facts; /* ... and whose */
    int64_t now_ms;
    char calls[FAKE_TEXT_MAX];
    sp_slice permissions;
    sp_slice scope, roles, acr;
    int64_t login_ahead_s; /* of 300 s ago, when everybody has logged in */
    bool is_client;
    sp_slice issuer; /* empty: https://iss */
    enum sp_alg alg;
    bool no_openid;
    struct sp_oauth_trouble trouble; /* what the use cases of OAuth end with, ... */
    struct sp_authz_result authz;    /* ... and what the browser is to see */
    struct sp_oauth_introspection introspection;
    bool is_dpop;      /* the tokens that are given are bound */
    bool no_challenge; /* a 401 without one is meant */
    struct sp_http_peer peer;
    void *listener;
    sp_status stream_refused; /* what sp_http_stream_begin fails with */
    char log[4096];           /* text fields of the last line: "name=value " each */
    char warning[4096];       /* the last line that was a warning, likewise */
    size_t warnings;
};
extern struct fake fake;
extern struct reply reply;

/* For doubles in other files: one line of fake.calls; what runs after the handler; what every call has. */
struct fake_work {
    void (*run)(void);
    void *done, *arg;
    enum sp_session_mode mode;
};
extern struct fake_work later;
void fake_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void fake_later(void (*run)(void), void *done, void *arg);
void fake_check_call(const struct sp_call *call);

/* cmocka setup and teardown: an api with the public origin https://app.example; https://spa.example may read
 * answers (CORS). */
int fake_setup(void **state);
int fake_teardown(void **state);

/* Sends a request and lets what it started finish. `line` is "POST /auth/login?x=y"; the rest are "Name:
 * value", ended by NULL. */
void ask(const char *line, const char *body, ...) __attribute__((sentinel));
/* The same with a body of n bytes. */
void ask_bytes(const char *line, sp_slice body, ...) __attribute__((sentinel));

/* A request that nobody was given yet, for code below the api; good until the next one. */
struct sp_http_req *fake_request(const char *line);
/* What the server tells the owner of the stream that was begun last. */
void fake_stream_drained(void);
void fake_stream_gone(enum sp_http_gone why);
bool fake_stream_open(void);

/* {"error": ...} of this status, as RFC 6749 section 5.2 wants it. */
void assert_oauth_error(int status, const char *error);
/* The i-th value of a header, or NULL. */
const char *header(const char *name, size_t i);
void assert_status(int status);
/* A problem of this status and code, in the form of RFC 9457. */
void assert_problem(int status, const char *code);
void assert_body(const char *json);
void assert_calls(const char *lines);
/* Both cookies are expired by this reply. */
void assert_cookies_expired(void);
void assert_no_cookies(void);

/* Tokens that the fake app knows. */
#define GOOD "good.token"   /* a user with the role `staff`, which grants documents:read */
#define ADMIN "admin.token" /* sallyport:admin */
#define BOUND "bound.token" /* GOOD's user, bound to the key of the proof "good.proof" */
#define FORM "Content-Type: application/x-www-form-urlencoded"
#define JSON "Content-Type: application/json"
#define BEARER "Authorization: Bearer " GOOD
#define BEARER_ADMIN "Authorization: Bearer " ADMIN
#define COOKIES "Cookie: __Host-sp_access=" GOOD "; __Host-sp_refresh=" REFRESH
#define ORIGIN "Origin: https://app.example"
#define CSRF "X-CSRF-Token: CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"
/* A refresh token whose sid is the good session's. */
#define REFRESH "sprt_AQEREREREREREREREREREREREREREQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SID "ERERERERERERERERERERERERERE"
#define SUB "IiIiIiIiIiIiIiIiIiIiIg"

#endif
