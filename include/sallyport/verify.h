/* libsallyport: is this access token good, now? Checked in this process, in less than a microsecond, with
 * revocation.
 *
 *   struct sp_options options = SP_OPTIONS_INIT;
 *   options.issuer = "https://id.example.com";
 *   options.audience = "https://api.example.com";
 *   options.feed_url = "https://id.example.com";
 *   options.credential_file = "/etc/myservice/sallyport.credential";
 *   struct sallyport *sp;
 *   if (sp_open(&options, &sp) != SP_OPEN_OK) ...
 *   if (!sp_wait_fresh(sp, 5000)) ... the server is away: tokens are refused as stale until it is back
 *
 *   struct sp_request request = SP_REQUEST_INIT;
 *   request.token = token;   request.token_bytes = n;
 *   struct sp_token claims;
 *   if (sp_verify(sp, &request, &claims) == SP_ACCEPTED && sp_permits(&claims, "documents:read")) ...
 *
 * What it does: follows the server's revocation feed (docs/feed.md) on a thread of its own, or on the
 * caller's loop, and keeps what is revoked, the keys and the role table in memory. sp_verify looks there:
 * signature (or the cache of tokens whose signature was good before), times, issuer, audience, revocation by
 * token, session, user and everyone. When it cannot prove that it knows everything that was revoked up to
 * max_staleness ago it says SP_STALE, and lets nobody in.
 *
 * Threads: everything may be called from any thread at any time, but for what says otherwise. sp_verify and
 * sp_permits take no lock, wait for nothing and, once a thread has called them before, allocate nothing; but
 * for a DPoP proof, whose key OpenSSL has to make first, and which is entered into a table under a short
 * lock. Fork: in a child of fork the handle is dead, since no thread of ours follows the feed there:
 * sp_verify says SP_CLOSED, sp_permits 0; open a new one, in the child. exec: no descriptor of ours is
 * inherited; while the name of the server is being resolved, a pair of sockets of libcurl's may be, which
 * leads nowhere.
 *
 * ABI: structs that callers fill begin with their own size; new members are added at the end. */
#ifndef SALLYPORT_VERIFY_H
#define SALLYPORT_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SP_API __attribute__((visibility("default")))
#define SP_MUST_USE __attribute__((warn_unused_result))
#else
#define SP_API
#define SP_MUST_USE
#endif

#define SALLYPORT_VERSION_MAJOR 0
#define SALLYPORT_VERSION_MINOR 1

/* ---- opening ---- */

struct sallyport;

enum sp_algorithm { /* or-ed in sp_options.algorithms */
                    SP_ALGORITHM_ES256 = 1,
                    SP_ALGORITHM_HS256 = 2, /* only with jwks_file: the feed never carries secrets */
                    SP_ALGORITHM_RS256 = 4,
                    SP_ALGORITHM_PS256 = 8,
                    SP_ALGORITHM_EDDSA = 16
};

enum sp_when_stale {
    SP_WHEN_STALE_REFUSE = 0,
    /* Accept what is good by all that is known, and say so (sp_token.is_stale). Whoever was revoked since the
     * feed was lost gets in: choose this only where being down is worse. */
    SP_WHEN_STALE_ACCEPT_UNPROVEN = 1
};

enum sp_follow {
    SP_FOLLOW_THREAD = 0,   /* a thread of the library's, made by sp_open, with all signals blocked */
    SP_FOLLOW_BY_CALLER = 1 /* sp_follow_fd and sp_follow_step */
};

struct sp_options {
    uint32_t size; /* SP_OPTIONS_INIT sets it */
    /* All texts are copied. */
    const char *issuer;   /* exactly the tokens' `iss`; required */
    const char *audience; /* one of the tokens' `aud`, exactly; required */
    /* Where the server is: http or https, without query, and without the path of a route. NULL: no feed; then
     * jwks_file is required, and revocation, which nobody tells us, is not checked. https is required unless
     * the host is localhost or a loopback address. Proxies of the environment are not used, redirects are not
     * followed. */
    const char *feed_url;
    const char *credential; /* "NAME:SECRET", or (exactly one of the two) ... */
    const char
        *credential_file;  /* ... a file that holds it, read by sp_open and again when the server says 401 */
    const char *feed_key;  /* thumbprint of the feed's key (`sallyport key list`), or of a predecessor that
                            * vouches for it. NULL: the server is asked, once, over TLS */
    const char *ca_file;   /* PEM, instead of the system's; NULL: the system's */
    const char *jwks_file; /* keys of access tokens, instead of a feed */
    const char *instance;  /* our name in `sallyport verifiers`; NULL: host name and random characters */
    uint32_t algorithms;   /* enum sp_algorithm; 0: ES256, RS256, PS256, EDDSA */
    uint32_t leeway_s;     /* for exp, nbf and iat: 0 to 60; default 0 */
    uint32_t max_staleness_ms; /* 1,000 to 3,600,000; 0: 30,000 */
    enum sp_when_stale when_stale;
    enum sp_follow follow;
    size_t cache_bytes; /* for verified tokens; 0: 64 MiB; SP_NO_CACHE: none */
    /* What happens with the feed, for a log: `event` is a stable name ("connected", "stale", "gap"), `detail`
     * a sentence without secrets. Called by the thread that follows, so it may neither wait nor call into
     * this library; both texts are good until it returns. NULL: nobody asks. */
    void (*log)(void *arg, const char *event, const char *detail);
    void *log_arg;
    /* DPoP: how many proofs are remembered at a time, so that none passes twice; each for a minute. 0:
     * 131,072. When that many came within a minute, further ones are refused (SP_BUSY). 64 to 16,777,216. */
    size_t dpop_proofs;
    /* 1: a proof must carry a nonce of this process (sp_dpop_nonce), or is refused (SP_NONCE_REQUIRED). 0:
     * only one that may have been seen before the wall clock was set back must. */
    int dpop_require_nonce;
};
#define SP_NO_CACHE ((size_t)-1)
#ifdef __cplusplus
static inline struct sp_options sp_options_init() {
    struct sp_options zeros = sp_options();
    zeros.size = sizeof zeros;
    return zeros;
}
#define SP_OPTIONS_INIT sp_options_init()
#else
#define SP_OPTIONS_INIT                                                                                      \
    { .size = sizeof(struct sp_options) }
#endif

enum sp_open_result {
    SP_OPEN_OK = 0,
    SP_OPEN_BAD_OPTION = 1, /* sp_open_error says which */
    SP_OPEN_NO_MEMORY = 2,
    SP_OPEN_UNREADABLE = 3, /* credential_file, jwks_file or ca_file */
    SP_OPEN_BAD_FILE = 4,   /* ... is not what it should be */
    SP_OPEN_SYSTEM = 5      /* threads, descriptors, randomness */
};
/* Opens, and begins to follow; does not wait for the server, which may come later. *ret_sp is set only on
 * success. */
SP_API enum sp_open_result sp_open(const struct sp_options *options, struct sallyport **ret_sp) SP_MUST_USE;
/* A sentence about the last sp_open of this thread that failed. Static or thread-local storage; never NULL.
 */
SP_API const char *sp_open_error(void);
/* Stops following, says goodbye to the server (at most 1.5 s), frees everything. No other call may be under
 * way or follow, sp_permits of its tokens neither. NULL is fine. In a child of fork it closes the child's
 * copies of descriptors and says nothing. */
SP_API void sp_close(struct sallyport *sp);
/* Waits until tokens can be accepted, at most timeout_ms: 1 when so, 0 otherwise. At once 1 without a feed.
 * With SP_FOLLOW_BY_CALLER it steps by itself, and only the following thread may call it. */
SP_API int sp_wait_fresh(struct sallyport *sp, uint32_t timeout_ms) SP_MUST_USE;

/* ---- following on the caller's loop: only with SP_FOLLOW_BY_CALLER, from one thread ---- */

/* Readable when there is something to do. One descriptor, the same for ever; close-on-exec. -1: there is
 * nothing to be followed by the caller. */
SP_API int sp_follow_fd(const struct sallyport *sp) SP_MUST_USE;
/* Does what there is to do, without waiting (for up to some milliseconds while a snapshot is loaded). */
SP_API void sp_follow_step(struct sallyport *sp);

/* ---- verifying ---- */

#define SP_VERDICT_TABLE(X)                                                                                  \
    X(ACCEPTED, 0, "accepted")                                                                               \
    X(MALFORMED, 1, "malformed")                                                                             \
    X(BAD_SIGNATURE, 2, "bad_signature")                                                                     \
    X(UNKNOWN_KEY, 3, "unknown_key")                                                                         \
    X(NOT_ALLOWED, 4, "not_allowed")                                                                         \
    X(EXPIRED, 5, "expired")                                                                                 \
    X(NOT_YET_VALID, 6, "not_yet_valid")                                                                     \
    X(BAD_ISSUER, 7, "bad_issuer")                                                                           \
    X(BAD_AUDIENCE, 8, "bad_audience")                                                                       \
    X(REVOKED, 9, "revoked")                                                                                 \
    X(STALE, 10, "stale")                                                                                    \
    X(PROOF_REQUIRED, 11, "proof_required")                                                                  \
    X(BAD_PROOF, 12, "bad_proof")                                                                            \
    X(BAD_REQUEST, 13, "bad_request")                                                                        \
    X(CLOSED, 14, "closed")                                                                                  \
    X(NO_MEMORY, 15, "no_memory")                                                                            \
    X(NONCE_REQUIRED, 16, "nonce_required")                                                                  \
    X(BUSY, 17, "busy")

enum sp_verdict {
#define SP_VERDICT_ENUM_(name, value, code) SP_##name = (value),
    SP_VERDICT_TABLE(SP_VERDICT_ENUM_)
#undef SP_VERDICT_ENUM_
};

enum sp_scheme { SP_SCHEME_BEARER = 0, SP_SCHEME_DPOP = 1 };

/* All borrowed for the call. */
struct sp_request {
    uint32_t size;
    enum sp_scheme scheme; /* of the Authorization header */
    const char *token;     /* the compact JWS, without the scheme */
    size_t token_bytes;
    /* With SP_SCHEME_DPOP (RFC 9449): the request's method as it came ("GET"), its URL as the client wrote it
     * (scheme, host and path; a query may follow and is ignored), and the value of its one DPoP header; NULL:
     * it has none. Build the URL from the service's own public address and the path of the request, never
     * from the Host header alone: the sender chooses that. */
    const char *method, *url, *proof;
};
#ifdef __cplusplus
static inline struct sp_request sp_request_init() {
    struct sp_request zeros = sp_request();
    zeros.size = sizeof zeros;
    return zeros;
}
#define SP_REQUEST_INIT sp_request_init()
#else
#define SP_REQUEST_INIT                                                                                      \
    { .size = sizeof(struct sp_request) }
#endif

/* A text inside a struct sp_token; not NUL-terminated. Absent: p is NULL and n is 0. */
struct sp_string {
    const char *p;
    size_t n;
};
/* No `text` of a token that is accepted is longer. */
#define SP_TOKEN_TEXT_BYTES 6144

/* What an accepted token says. The caller's; its strings point into `text`, so it is not to be copied by
 * assignment, and they are good as long as it is. Word lists are separated by one space. */
struct sp_token {
    struct sp_string subject, session, id; /* sub, sid, jti */
    struct sp_string client_id, issuer;
    struct sp_string key; /* cnf.jkt: thumbprint of the key whose proof was checked; absent: a bearer token */
    struct sp_string audience; /* a word list; an audience with a space in it is left out */
    struct sp_string scope, roles, permissions, amr; /* word lists; permissions as the token has them */
    struct sp_string acr; /* with authenticated_at, what step-up asks for (RFC 9470) */
    int is_client;        /* the subject is the client itself: no user, no roles (client_credentials) */
    int64_t issued_at, expires_at, authenticated_at; /* Unix seconds; INT64_MIN: absent */
    int is_stale;                                    /* with SP_WHEN_STALE_ACCEPT_UNPROVEN */
    /* Ours. */
    struct sallyport *owner;
    size_t text_bytes;
    char text[SP_TOKEN_TEXT_BYTES];
};

/* `claims` may be NULL when the verdict is enough. It is written only with SP_ACCEPTED. A verdict that is not
 * SP_ACCEPTED lets nobody in. SP_STALE: the token may be good, and it cannot be proved that it was not
 * revoked, or its key is not known yet; a service answers 503. Any other is the token's fault: 401.
 * SP_BUSY: 503. SP_PROOF_REQUIRED: the token is bound to a key (cnf), and came without a proof.
 * SP_NONCE_REQUIRED: 401, with the header DPoP-Nonce (sp_dpop_nonce) and error="use_dpop_nonce". */
SP_API enum sp_verdict sp_verify(struct sallyport *sp, const struct sp_request *request,
                                 struct sp_token *claims) SP_MUST_USE;
/* Is `permission` granted? 1 or 0. By one of the token's roles, by the role table as it is now (without a
 * feed: by the token's own permissions), and, when the token has a scope, by a word of it as well. A client's
 * own token (is_client) has no roles: there the scope alone decides. `claims` came from an accepted
 * sp_verify. */
SP_API int sp_permits(const struct sp_token *claims, const char *permission) SP_MUST_USE;

/* ---- proofs of possession (DPoP, RFC 9449) ---- */

/* What is wrong with the proof that the last sp_verify of this thread saw: "wrong_url"; and a sentence for
 * people, which may go into error_description. "ok" when it was not the proof. Static storage; never NULL. */
SP_API const char *sp_proof_fault(void);
SP_API const char *sp_proof_fault_text(void);

#define SP_DPOP_NONCE_BYTES 23
/* The nonce to send in the header DPoP-Nonce, with a NUL at its end. It changes every two minutes; the one
 * before is good for as long again. Send it with SP_NONCE_REQUIRED, and with every answer to spare clients a
 * round trip. Any thread. Returns `ret`. */
SP_API const char *sp_dpop_nonce(const struct sallyport *sp, char ret[SP_DPOP_NONCE_BYTES]);

/* "bad_signature"; and a sentence for people. Static storage; never NULL. */
SP_API const char *sp_verdict_code(enum sp_verdict verdict);
SP_API const char *sp_verdict_text(enum sp_verdict verdict);

/* ---- looking inside ---- */

enum sp_state {
    SP_STATE_CONNECTING = 0, /* never was fresh yet */
    SP_STATE_FRESH = 1,
    SP_STATE_STALE = 2,
    SP_STATE_UNFOLLOWED = 3 /* keys by jwks_file: nothing to be fresh about */
};

struct sp_stats {
    uint32_t size; /* set by the caller: SP_STATS_INIT */
    enum sp_state state;
    uint64_t staleness_ms; /* now - as_of; UINT64_MAX: never was fresh */
    uint64_t seq;          /* revocations enforced up to here, in this feed epoch */
    uint64_t accepted;     /* verdicts */
    uint64_t refused;      /* of all kinds, these among them: */
    uint64_t revoked, stale;
    uint64_t cache_hits, cache_misses;
    uint64_t cache_entries, cache_bytes;
    uint64_t revocations; /* entries in the set */
    uint64_t revocation_bytes;
    /* The feed, since sp_open. */
    uint64_t connects, snapshots, beats, nonces, acks;
    uint64_t gaps, bad_signatures, resets, silences, clock_jumps, errors;
};
#ifdef __cplusplus
static inline struct sp_stats sp_stats_init() {
    struct sp_stats zeros = sp_stats();
    zeros.size = sizeof zeros;
    return zeros;
}
#define SP_STATS_INIT sp_stats_init()
#else
#define SP_STATS_INIT                                                                                        \
    { .size = sizeof(struct sp_stats) }
#endif
/* Takes locks; for once a second, not once a request. */
SP_API void sp_stats_get(struct sallyport *sp, struct sp_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
