/* What core needs besides the store and base/ports.h: someone who signs, someone who verifies, someone who
 * hashes passwords off the loop. Wired by src/server; tests and simulations wire their own. */
#ifndef SP_CORE_PORTS_H
#define SP_CORE_PORTS_H

#include "base/buf.h"
#include "base/ports.h"
#include "token/claims.h"
#include "token/jwk.h"
#include "token/reject.h"

/* Verification of our own access tokens: signature, times, issuer, audience, epochs, revocation. */
/* A set of bits. */
enum sp_authn_flags {
    SP_AUTHN_STRICT = 0,
    /* Logout: expired and revoked tokens still name their session. */
    SP_AUTHN_IGNORE_END = 1,
    /* The caller checks the proof of a token that is bound to a key (claims.jkt, token/dpop.h); without this
     * such a token is refused (PROOF_REQUIRED), since it is no bearer token. */
    SP_AUTHN_PROOF_BY_CALLER = 2,
    /* Where the issuer itself is asked (userinfo, introspection, revocation): tokens for any audience. */
    SP_AUTHN_ANY_AUDIENCE = 4,
};
struct sp_authn {
    /* SP_REJECT_NONE and *ret filled, or why not. Its slices are good until `release`, which must follow
     * every accepted check on the same thread, at once: copy and release, no waiting in between. Any thread.
     */
    enum sp_reject (*check)(void *arg, sp_slice token, int64_t now_ms, enum sp_authn_flags flags,
                            struct sp_claims *ret);
    void (*release)(void *arg);
    /* Replaces the whole set of verification keys. */
    sp_status (*set_keys)(void *arg, const struct sp_jwk *keys, size_t n);
    void *arg;
};

/* Bounded pool for what would hold up a loop: Argon2id, and making RSA keys. The job is the caller's until
 * `task.run`, which the pool posts to `executor`. */
enum sp_hash_op { SP_HASH_MAKE, SP_HASH_VERIFY, SP_HASH_WORK };
struct sp_hash_job {
    struct sp_task task; /* set task.run; posted when finished */
    struct sp_executor *executor;
    enum sp_hash_op op;
    sp_slice password; /* borrowed until finished */
    bool is_new;       /* MAKE: of a password that somebody chooses now; is refused when it is common */
    sp_text256 phc; /* VERIFY: in. MAKE: out. Empty in VERIFY: unknown user; costs the same, never matches */
    sp_status (*work)(struct sp_hash_job *job); /* WORK: run on a thread of the pool */
    sp_status status;                           /* out */
    bool is_common;    /* out, MAKE and is_new: no hash was made, another one must be chosen */
    bool matches;      /* out, VERIFY */
    bool needs_rehash; /* out, VERIFY and matches: parameters are no longer the configured ones */
};
struct sp_hasher {
    /* SP_E_BUSY when the queue is full: the job was not taken. */
    sp_status (*submit)(void *arg, struct sp_hash_job *job);
    void *arg;
    bool has_word_list; /* new passwords are looked up; false: is_common never happens */
};

/* A message to a client's own address: POST of a form. The job is the caller's until `task.run`, which is
 * posted to `executor`. */
enum sp_delivery_result {
    SP_DELIVERY_ANSWERED, /* `http_status` says what */
    SP_DELIVERY_FAILED,   /* no answer; `reason` says why */
    SP_DELIVERY_UNABLE,   /* nothing can be sent from here at all at the moment */
    SP_DELIVERY_STOPPED,  /* we are stopping: whether it arrived is not known */
};
struct sp_delivery {
    struct sp_task task; /* set task.run */
    struct sp_executor *executor;
    sp_slice url;                   /* borrowed until finished, as is body */
    sp_slice body;                  /* application/x-www-form-urlencoded */
    int64_t timeout_ms;             /* for all of it */
    enum sp_delivery_result result; /* out, and what follows */
    int http_status;
    const char *reason; /* static text */
};
struct sp_deliver {
    /* SP_E_BUSY: it stops, the job was not taken. */
    sp_status (*submit)(void *arg, struct sp_delivery *job);
    struct sp_executor *executor; /* its own thread: where what is to be delivered is got ready */
    void *arg;
};

#endif
