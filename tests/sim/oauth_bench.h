/* Browsers and clients on the bench: what a person sees and sends at the authorization endpoint, as values.
 *
 * Over the memory store, or over SQLite in a folder of its own behind a store that waits: one thread, and the
 * clock is moved. Clients "app" (with consent), "other" (likewise) and "own" (trusted) are there, and the
 * people ada and bob, writers both. */
#ifndef SP_TESTS_SIM_OAUTH_BENCH_H
#define SP_TESTS_SIM_OAUTH_BENCH_H

#include "app_bench.h"

#include "core/oauth_browser.h"

#define OAUTH_CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" /* RFC 7636 appendix B */
#define OAUTH_VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

/* What a browser was answered. */
struct page {
    uint32_t answers;
    enum sp_authz_next next;
    enum sp_oauth_error error;
    uint32_t retry_after_s;
    char location[SP_LOCATION_BYTES_MAX + 1];
    char request[SP_OAUTH_SEALED_BYTES_MAX + 1];
    char csrf[SP_CSRF_TEXT_BYTES + 1];
    char client_id[129], client_name[129], username[257], scope[513], permissions[513];
    enum sp_outcome failed;
    bool sets_cookie, expires_cookie, lost_cookie;
    char cookie[SP_OAUTH_SEALED_BYTES_MAX + 1];
    char device_token[SP_DEVICE_TOKEN_CHARS + 1];
};

int oauth_setup_memory(void **state);
int oauth_setup_sqlite(void **state);
int oauth_setup_faulty(void **state); /* memory, in a store that can be told to fail */
int oauth_teardown(void **state);
#define OAUTH_TESTS(f)                                                                                       \
    cmocka_unit_test_setup_teardown(f, oauth_setup_memory, oauth_teardown),                                  \
        cmocka_unit_test_setup_teardown(f, oauth_setup_sqlite, oauth_teardown)

/* oauth_setup_faulty: the request to the store that comes as number `in` from now fails (reads with
 * UNAVAILABLE; commits with `with`, of which UNKNOWN happens all the same). */
void oauth_store_fail(struct bench *b, uint32_t in, enum sp_code with);
/* From now on none fails. Whether one did. */
bool oauth_store_failed(struct bench *b);
/* At most n of the tasks that are posted. */
void oauth_run_some(struct bench *b, uint32_t n);

/* A public client with the code flow and everything that the tests ask for. */
struct sp_client_row oauth_client_row(struct bench *b, const char *id);
void oauth_client_put(struct bench *b, const struct sp_client_row *row);
void oauth_client_delete(struct bench *b, const char *id);
void oauth_user_disable(struct bench *b, const char *name);
void oauth_session_end(struct bench *b, const uint8_t *sid);

/* A good request of a client: openid and documents:read, state "s-1". */
struct sp_authz_params oauth_params(const char *client_id);

void oauth_page_done(void *arg, const struct sp_authz_result *r);
struct page oauth_ask(struct bench *b, const struct sp_authz_params *params, const char *cookie);
/* Where a redirect to our own /oauth2/authorize leads. */
struct page oauth_follow(struct bench *b, const struct page *from, const char *cookie);
struct page oauth_login(struct bench *b, const char *request, const char *name, const char *password,
                        const char *cookie);
struct page oauth_consent(struct bench *b, const char *request, const char *csrf, const char *cookie,
                          bool allowed);
struct page oauth_logout(struct bench *b, const struct sp_authz_logout *in);

/* Signed in for the client "own": the answer to the login, with its cookie. */
struct page oauth_sign_in(struct bench *b, const char *name);
/* All the way, with consent; ends in the redirect with the code. */
struct page oauth_code(struct bench *b, const struct sp_authz_params *params, const char *cookie);

/* The decoded value of a parameter of the page's location; false: it is not there, or twice. */
bool oauth_param(const struct page *page, const char *name, char *ret, size_t cap);
#define assert_param(page, name, value)                                                                      \
    do {                                                                                                     \
        char text_[SP_LOCATION_BYTES_MAX];                                                                   \
        if (!oauth_param((page), (name), text_, sizeof(text_))) fail_msg("no %s", (name));                   \
        assert_string_equal(text_, (value));                                                                 \
    } while (0)
/* A redirect to the client's address with this error, the state and iss. */
void assert_told(const struct page *page, enum sp_oauth_error error);
#define assert_next(page, what) assert_int_equal((page)->next, SP_AUTHZ_##what)

struct sp_authz_code oauth_open_code(struct bench *b, const struct page *page);
struct sp_sso_cookie oauth_open_cookie(struct bench *b, const char *cookie);

/* At the token endpoint, as a public client. */
struct redeemed {
    uint32_t answers;
    enum sp_oauth_error error;
    char access[SP_ACCESS_TOKEN_BYTES_MAX + 1];
    char refresh[129], id_token[4097], scope[513];
    uint8_t sid[SP_ROW_SID_BYTES];
};
struct redeemed oauth_redeem(struct bench *b, const char *client_id, const struct page *with);

#endif
