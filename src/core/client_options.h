/* What a client may be made with: the options of `client add` and `client set`, and what is wrong with them.
 *
 * Whether options fit together is decided here, at the one door through which they come, so that nobody who
 * reads a row has to ask again: a public client has no secret and no client_credentials, keys belong to
 * private_key_jwt, an authorization code needs a redirect URI. Rows from before there were options have an
 * empty auth_method: sp_client_row_complete.
 *
 * Pure; any thread. */
#ifndef SP_CORE_CLIENT_OPTIONS_H
#define SP_CORE_CLIENT_OPTIONS_H

#include "core/rows.h"

enum {
    SP_CLIENT_OPTION_BYTES_MAX = 4096,  /* of the longest list, and of the keys: as a row has room for */
    SP_CLIENT_URI_BYTES_MAX = 512,      /* as much as a pushed request and a code have room for */
    SP_CLIENT_AUDIENCE_BYTES_MAX = 256, /* of a token's audience altogether, so one must fit */
    SP_CLIENT_SCOPE_BYTES_MAX = 128,    /* of one word: as a permission */
    SP_CLIENT_SCOPES_BYTES_MAX = 512, /* of all: who asks for none gets all, and a session has so much room */
    SP_CLIENT_REDIRECT_URIS_MAX = 32,
    SP_CLIENT_POST_LOGOUT_URIS_MAX = 16,
    SP_CLIENT_AUDIENCES_MAX = 32,
    SP_CLIENT_KEYS_MAX = 16, /* each assertion may look at them all */
    SP_CLIENT_SECRET_OWN_CHARS_MIN = 32,
    SP_CLIENT_SECRET_OWN_CHARS_MAX = 128, /* with the id it must fit into a Basic credential */
    /* Different characters of a secret that somebody brings: 32 random ones of base64 have 25. Hexadecimal
     * has no more than 16 to offer, of which 32 random ones have 14. */
    SP_CLIENT_SECRET_OWN_DISTINCT_MIN = 16,
    SP_CLIENT_SECRET_OWN_DISTINCT_HEX_MIN = 10,
};

#define SP_CLIENT_AUTH_BASIC "client_secret_basic" /* what is not said; client_secret_post will do, too */
#define SP_CLIENT_AUTH_POST "client_secret_post"
#define SP_CLIENT_AUTH_PRIVATE_KEY_JWT "private_key_jwt"
#define SP_CLIENT_AUTH_NONE "none" /* a public client */

#define SP_GRANT_AUTHORIZATION_CODE "authorization_code"
#define SP_GRANT_REFRESH_TOKEN "refresh_token"
#define SP_GRANT_CLIENT_CREDENTIALS "client_credentials"

/* Lists are word lists. Empty: none, or what is not said. Borrowed. */
struct sp_client_options {
    bool feed; /* may follow the feed of revocations */
    bool trusted, require_par, require_dpop;
    bool keeps_refresh; /* its refresh tokens are not rotated */
    sp_slice name, auth_method, grants, scopes, audiences, redirect_uris, post_logout_redirect_uris;
    sp_slice backchannel_logout_uri;
    sp_slice jwks; /* JSON */
};

#define SP_CLIENT_FAULT_TABLE(X)                                                                             \
    X(NONE, "ok", "Nothing is wrong")                                                                        \
    X(NAME, "name", "The name is not printable UTF-8")                                                       \
    X(AUTH_METHOD, "auth_method",                                                                            \
      "auth_method is client_secret_basic, client_secret_post, private_key_jwt or none")                     \
    X(GRANT, "grant", "Grants are authorization_code, refresh_token and client_credentials")                 \
    X(GRANT_NEEDS_CONFIDENTIAL, "grant_needs_confidential",                                                  \
      "client_credentials is for clients that authenticate themselves")                                      \
    X(GRANT_NEEDS_CODE, "grant_needs_authorization_code",                                                    \
      "refresh_token is of no use without authorization_code")                                               \
    X(SCOPE, "scope",                                                                                        \
      "A scope has 1 to 128 printable ASCII characters without spaces, quotes and backslashes")              \
    X(AUDIENCE, "audience", "An audience is an absolute URI without a fragment")                             \
    X(REDIRECT_URI_MISSING, "redirect_uri_missing", "authorization_code needs a redirect URI")               \
    X(URI_MALFORMED, "uri_malformed",                                                                        \
      "A URI is not absolute, or has characters that do not belong into one")                                \
    X(URI_FRAGMENT, "uri_fragment", "A URI has a fragment")                                                  \
    X(URI_USERINFO, "uri_userinfo", "A URI has a user name")                                                 \
    X(URI_WILDCARD, "uri_wildcard", "A URI has a wildcard: they are compared as they are")                   \
    X(URI_SCHEME, "uri_scheme",                                                                              \
      "A URI must be https, or http on 127.0.0.1, [::1] or localhost; a redirect URI of a public client "    \
      "may have a scheme like com.example.app")                                                              \
    X(TOO_LONG, "too_long", "A value, or a list of them, is too long")                                       \
    X(TOO_MANY, "too_many", "A list has too many members")                                                   \
    X(JWKS_MISSING, "jwks_missing", "private_key_jwt needs jwks: the public keys of the client")             \
    X(JWKS_WITHOUT_USE, "jwks_without_use", "jwks is for private_key_jwt")                                   \
    X(JWKS_MALFORMED, "jwks_malformed", "jwks is not a JWK Set whose keys can be told apart by their kid")   \
    X(JWKS_PRIVATE, "jwks_private",                                                                          \
      "jwks holds a private or a symmetric key, which nobody else may have: replace it, and give the "       \
      "public keys")                                                                                         \
    X(JWKS_UNSUPPORTED, "jwks_unsupported",                                                                  \
      "jwks has a key that cannot be used: of another type or alg, or weak")                                 \
    X(FEED_NEEDS_SECRET, "feed_needs_secret", "The feed is followed with a secret")                          \
    X(ROTATION_NEEDED, "rotation_needed", "The refresh tokens of a public client are rotated")               \
    X(BACKCHANNEL_NEEDS_OPENID, "backchannel_needs_openid",                                                  \
      "Logout tokens are for others to check, which they cannot while tokens.alg is HS256")                  \
    X(NO_SECRET, "no_secret", "This client does not authenticate itself by a secret")                        \
    X(SECRET_TOO_SHORT, "secret_too_short", "A secret has 32 characters at least")                           \
    X(SECRET_TOO_LONG, "secret_too_long", "A secret has 128 characters at most")                             \
    X(SECRET_CHARACTERS, "secret_characters",                                                                \
      "A secret has printable ASCII characters only, without spaces")                                        \
    X(SECRET_NOT_RANDOM, "secret_not_random",                                                                \
      "A secret comes from a random generator: this one has too few different characters")                   \
    X(MEMORY, "memory", "Out of memory")

enum sp_client_fault {
#define SP_CLIENT_FAULT_ENUM_(name, code, doc) SP_CLIENT_FAULT_##name,
    SP_CLIENT_FAULT_TABLE(SP_CLIENT_FAULT_ENUM_)
#undef SP_CLIENT_FAULT_ENUM_
        SP_CLIENT_FAULT_COUNT
};
/* Stable: the `reason` of an answer. */
const char *sp_client_fault_code(enum sp_client_fault fault);
const char *sp_client_fault_doc(enum sp_client_fault fault); /* a sentence */

/* NONE: what the options say is in *row, and all else there is as it was. */
enum sp_client_fault sp_client_options_apply(const struct sp_client_options *options,
                                             struct sp_client_row *row);

/* Does it authenticate itself by a secret? */
bool sp_client_has_secret_method(const struct sp_client_row *row);

/* A secret that somebody made elsewhere. Its hash is a plain SHA-256, which is as good as the secret is
 * random: what is short, or has few different characters, is refused. That it came from a generator cannot be
 * seen, and is the operator's word. */
enum sp_client_fault sp_client_secret_own_check(sp_slice secret);

/* Rows from before clients had options say nothing of how they authenticate: as every client did then. */
void sp_client_row_complete(struct sp_client_row *row);

/* Has `next` less than `was` of what tokens of its own could carry: grants, scopes, audiences? */
bool sp_client_is_narrower(const struct sp_client_row *next, const struct sp_client_row *was);

#endif
