/* Texts that we give out to get them back: authorization codes, pushed requests, the request behind a page,
 * the cookie of a sign-in.
 *
 * Each is AEAD (crypto/aead.h) over a small binary record, under a key derived from the master key for its
 * kind alone, so that one kind can never be read as another; base64url. Whoever has the text learns nothing
 * from it and can change nothing in it. Expiry is inside. Turned down: rows in the store (every page view of
 * a stranger would be a write, and a table to bound), and tables in memory (a restart, or another node, would
 * forget them). */
#ifndef SP_CORE_OAUTH_SEAL_H
#define SP_CORE_OAUTH_SEAL_H

#include "base/buf.h"
#include "core/oauth.h"

/* An authorization request that was found good, and everything that a later step needs of it. */
struct sp_authz_request {
    int64_t expires_s;
    bool is_pushed; /* by PAR, whose client was authenticated */
    sp_text128 client_id;
    sp_text512 redirect_uri;
    bool redirect_uri_sent; /* else the client's only one: the token request then need not repeat it */
    sp_text1024 state;
    sp_text256 nonce;
    sp_text64 code_challenge;
    sp_text512 scope; /* asked for, within the client's */
    sp_text256 aud;   /* word list of resources; empty: the default audience */
    sp_text64 jkt;    /* dpop_jkt, or of the proof at PAR */
    sp_text128 login_hint;
    bool has_max_age;
    int64_t max_age_s;
    bool prompt_none, prompt_login, prompt_consent;
    bool has_hint; /* an id_token_hint of ours came along: whoever signs in must be that user */
    uint8_t hint_user[SP_ROW_ID_BYTES];
    /* The sign-in that was made for this very request: prompt=login and max_age are met by it, and by no
     * other one, so that a stranger's request does not pass for one that this person has signed in for.
     * Zeros: none yet. */
    uint8_t signed_in[SP_ROW_SID_BYTES];
    /* Of a consent page: the hash of the scope that it shows. Roles may grow while it is open, and nobody is
     * to allow what he has not seen. Zeros: none was shown. */
    uint8_t shown[SP_ROW_HASH_BYTES];
};

/* What a code stands for. */
struct sp_authz_code {
    int64_t expires_s;
    uint8_t sid[SP_ROW_SID_BYTES]; /* that the session will have: single use */
    uint8_t parent[SP_ROW_SID_BYTES];
    uint8_t user_id[SP_ROW_ID_BYTES];
    sp_text128 client_id;
    uint8_t redirect_uri_hash[SP_ROW_HASH_BYTES];
    bool redirect_uri_sent;
    sp_text256 nonce;
    sp_text64 code_challenge;
    sp_text512 scope; /* consented */
    sp_text256 aud;
    sp_text64 jkt, acr, amr;
    int64_t auth_time_s;
};

/* The cookie of a sign-in: which session, and a secret that only its browser has (the row's own, so
 * that a sid alone, which stands in tokens and lists, is no cookie). */
struct sp_sso_cookie {
    uint8_t sid[SP_ROW_SID_BYTES];
    uint8_t secret[SP_ROW_SECRET_BYTES];
};

enum sp_seal_kind { SP_SEAL_CODE, SP_SEAL_PUSHED, SP_SEAL_PAGE, SP_SEAL_LOGOUT, SP_SEAL_SSO, SP_SEAL_KINDS };

/* Append the sealed text to *ret. SP_E_LIMIT, SP_E_NOMEM, SP_E_UNAVAILABLE (no randomness). */
sp_status sp_seal_code(struct sp_app *app, const struct sp_authz_code *code, struct sp_buf *ret);
sp_status sp_seal_request(struct sp_app *app, enum sp_seal_kind kind, const struct sp_authz_request *request,
                          struct sp_buf *ret); /* PUSHED, PAGE or LOGOUT */
sp_status sp_seal_sso(struct sp_app *app, const struct sp_sso_cookie *cookie, struct sp_buf *ret);
/* SP_E_MALFORMED: not ours, or of another kind; SP_E_REFUSED: expired. Outputs are written on success only;
 * wipe. */
sp_status sp_unseal_code(struct sp_app *app, sp_slice text, int64_t now_s, struct sp_authz_code *ret);
sp_status sp_unseal_request(struct sp_app *app, enum sp_seal_kind kind, sp_slice text, int64_t now_s,
                            struct sp_authz_request *ret);
sp_status sp_unseal_sso(struct sp_app *app, sp_slice text, struct sp_sso_cookie *ret);

#endif
