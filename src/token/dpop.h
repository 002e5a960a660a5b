/* Proofs of possession (DPoP, RFC 9449): a JWT that a client signs anew for each request with a key of its
 * own, which the proof carries with it. It shows that whoever sends a token holds the key to which the token
 * is bound (cnf.jkt), so that a token alone is of no use to a thief.
 *
 * What is checked here depends on the proof and on the request alone: form, typ, algorithm, key, signature,
 * method, URL, time, the access token's hash, and which key it must be. Two things are left to the caller,
 * who has the memory for them: that no proof passes twice (token/replay.h, with `id` and `replay_until_ms`),
 * and the nonce (token/dpop_nonce.h). Both belong at the end, when everything else is good: otherwise
 * strangers fill the table.
 *
 * The key is an attacker's as long as its thumbprint was not compared with one that is trusted; it is never
 * fetched from anywhere, and one with a private member is refused, since whoever publishes it has no key.
 *
 * Pure; thread-safe with a scratch for each thread. */
#ifndef SP_TOKEN_DPOP_H
#define SP_TOKEN_DPOP_H

#include "base/base64url.h"
#include "crypto/digest.h"
#include "token/htu.h"
#include "token/jws.h"

/* One of ES256 takes 500; one of RSA-4096 (twice 683 characters of key and signature) with a URL of 1 KB
 * fits. What is longer costs us more than it can be worth. */
#define SP_DPOP_BYTES_MAX 4096
#define SP_DPOP_RSA_BITS_MAX 4096 /* strangers choose the key, and we pay: 60 us; twice the bits, 200 us */
#define SP_DPOP_JTI_BYTES_MAX 256
#define SP_DPOP_NONCE_BYTES_MAX 256
#define SP_DPOP_NODES 64 /* members of the payload, and of the key */
/* The sliding window of iat: a minute for clocks and slow networks, which is how long a proof must be
 * remembered; and five seconds for clocks that are ahead. */
#define SP_DPOP_PAST_S 60
#define SP_DPOP_FUTURE_S 5
#define SP_DPOP_ALGS SP_ALG_PUBLIC /* never a shared secret: RFC 9449 section 4.3, 5 */

#define SP_JKT_CHARS SP_BASE64URL_CHARS(SP_SHA256_BYTES) /* 43 */

/* The last five come from callers, so that one list of reasons serves all. */
#define SP_DPOP_FAULT_TABLE(X)                                                                               \
    X(UNSET, "unset", "not decided: a bug if seen")                                                          \
    X(NONE, "ok", "the proof holds")                                                                         \
    X(MALFORMED, "malformed", "the proof is not a compact JWS of three canonical segments")                  \
    X(OVERSIZE, "oversize", "the proof is longer than the largest that is read")                             \
    X(BAD_HEADER, "bad_header", "the proof's header is not one JSON object of the required form")            \
    X(BAD_TYP, "bad_typ", "the proof's typ is not dpop+jwt")                                                 \
    X(BAD_ALG, "bad_alg", "the proof's alg is not an asymmetric algorithm that is accepted")                 \
    X(BAD_KEY, "bad_key", "the proof's jwk is missing, weak, or no key of its alg")                          \
    X(PRIVATE_KEY, "private_key", "the proof's jwk gives the private key away")                              \
    X(WRONG_KEY, "wrong_key", "the proof is by another key than the one that is bound")                      \
    X(BAD_SIGNATURE, "bad_signature", "the proof's signature does not verify")                               \
    X(BAD_PAYLOAD, "bad_payload",                                                                            \
      "the proof's payload is not one JSON object, or a claim is of another form")                           \
    X(MISSING_CLAIM, "missing_claim", "the proof lacks one of jti, htm, htu and iat")                        \
    X(WRONG_METHOD, "wrong_method", "the proof is for another method (htm)")                                 \
    X(WRONG_URL, "wrong_url", "the proof is for another URL (htu)")                                          \
    X(TOO_OLD, "too_old", "the proof was made too long ago (iat)")                                           \
    X(IN_FUTURE, "in_future", "the proof is from the future (iat)")                                          \
    X(WRONG_TOKEN, "wrong_token", "the proof is not for this access token (ath)")                            \
    X(INTERNAL, "internal", "could not be checked (out of memory); refused to be safe")                      \
    X(MISSING, "missing", "there is no proof")                                                               \
    X(UNBOUND_TOKEN, "unbound_token", "the token came with a proof, and is bound to no key")                 \
    X(NONCE_REQUIRED, "nonce_required", "the proof needs a nonce of this server, which is sent along")       \
    X(REPLAYED, "replayed", "the proof was used before")                                                     \
    X(TABLE_FULL, "table_full", "too many proofs at a time: it cannot be remembered that this one was used")

enum sp_dpop_fault {
#define SP_DPOP_ENUM_(name, code, doc) SP_DPOP_##name,
    SP_DPOP_FAULT_TABLE(SP_DPOP_ENUM_)
#undef SP_DPOP_ENUM_
        SP_DPOP_FAULT_COUNT
};
/* The stable code ("wrong_url"), and one sentence for people, without anything that the client sent. Static.
 */
const char *sp_dpop_fault_code(enum sp_dpop_fault fault);
const char *sp_dpop_fault_doc(enum sp_dpop_fault fault);

/* Keys of proofs that held, so that the next proof of a client need not have its key made again: for ES256
 * that is 75 us of 120. Found by the whole text of the jwk, so a remembered key is judged as a new one. Only
 * keys that were expected (sp_dpop_expect.jkt) get in: strangers push out nobody. One a thread, zeroed at
 * first. */
#define SP_DPOP_KEYS 32 /* clients that a thread serves at a time; 2 KiB each with what OpenSSL has of it */
struct sp_dpop_known_key {
    uint8_t text[SP_SHA256_BYTES]; /* of the jwk */
    char jkt[SP_JKT_CHARS];
    struct sp_sig_key *key; /* owned; NULL: none */
    uint32_t algs;
};
struct sp_dpop_keys {
    struct sp_dpop_known_key known[SP_DPOP_KEYS];
};
void sp_dpop_keys_done(struct sp_dpop_keys *keys); /* empty and usable again */

/* What the proof must be for. */
struct sp_dpop_expect {
    sp_slice method;       /* htm, exactly */
    const sp_slice *urls;  /* htu is one of these, as token/htu.h compares; their query is ignored */
    size_t urls_n;         /* one at least, or no proof is good */
    sp_slice access_token; /* its compact text: ath is required then; p == NULL: none is given */
    sp_slice jkt;          /* the key that it must be, as text; p == NULL: any */
    uint32_t algs;         /* SP_ALG_BITs; 0: all of SP_DPOP_ALGS. HS256 is never accepted */
    int64_t now_s;
    struct sp_dpop_keys *keys; /* NULL: none are remembered */
};

/* Some 20 KiB; one a thread. */
struct sp_dpop_scratch {
    struct sp_jws_header_scratch header;
    struct sp_json_node nodes[SP_DPOP_NODES];
    uint8_t payload[SP_BASE64URL_BYTES(SP_DPOP_BYTES_MAX)];
    uint8_t strings[SP_BASE64URL_BYTES(SP_DPOP_BYTES_MAX)]; /* values that were written with escapes */
    uint8_t signature[SP_DPOP_RSA_BITS_MAX / 8];
    uint8_t urls[2][SP_HTU_BYTES_MAX];
};

struct sp_dpop {
    char jkt[SP_JKT_CHARS];      /* RFC 7638 thumbprint, as cnf.jkt has it; no NUL */
    uint8_t id[SP_SHA256_BYTES]; /* of (jkt, jti): what must not come twice, ... */
    int64_t replay_until_ms;     /* ... as long as this: from then on the proof is too old by itself */
    int64_t iat;
    sp_slice nonce; /* borrowed from the scratch; p == NULL: has none */
};

/* SP_DPOP_NONE and *ret filled, or what is wrong. */
enum sp_dpop_fault sp_dpop_check(sp_slice proof, const struct sp_dpop_expect *expect,
                                 struct sp_dpop_scratch *scratch, struct sp_dpop *ret)
    __attribute__((warn_unused_result));

/* After a start nothing is remembered: may this proof have been used before it? Then a nonce must be asked
 * for. `start_s`: Unix time of the start. */
static inline bool sp_dpop_may_predate(const struct sp_dpop *dpop, int64_t start_s) {
    return dpop->iat < start_s + SP_DPOP_FUTURE_S;
}

/* A cnf.jkt, dpop_jkt and the like: 43 characters of canonical base64url. */
bool sp_jkt_valid(sp_slice jkt);

#endif
