/* The follower of a revocation feed (docs/feed.md), as a pure state machine: it has no sockets and no clock.
 * Whoever drives it tells it what happened and when, and asks it what to do next:
 *
 *   sp_follower_tick(f, now);                                      time has passed
 *   sp_follower_begun / _bytes / _ended(f, exchange, ...);         an exchange with the server went on
 *   while (sp_follower_next(f, now, &command)) ...                 after each of these
 *   sp_follower_wait_until(f)                                      and then sleep
 *
 * There are five exchanges, each at most once at a time: the keys of the feed, the snapshot, the stream, a
 * question for the time (nonce) and an acknowledgement. What it learns it puts where checks find it: the
 * verifier's set, epochs and keys, the role table, and the freshness.
 *
 * What it holds, whatever the server or anybody on the way sends:
 *   - Revocations are enforced when they arrive, and never forgotten before their time.
 *   - Permissions and keys count only when a signature covers them.
 *   - The freshness is raised only by a signed beat that fits everything that was applied, by an anchor that
 *     a signed answer to our own question made, and only within one run of the server.
 *   - When a revocation cannot be kept (no memory), everything is refused until a whole snapshot was loaded.
 *   - Whatever does not fit is counted, logged, and ends in a new connection, after a delay that grows.
 *
 * A forged revocation, by somebody who can write into the stream, is enforced like a true one until it
 * lapses: he could as well have cut the connection, and refusing too much is the safe side. The next beat
 * shows it (SP_FOLLOWER_GAP).
 *
 * One owner; counters and positions may be read by any thread. */
#ifndef SP_VERIFY_FOLLOW_H
#define SP_VERIFY_FOLLOW_H

#include "base/mem.h"
#include "base/ports.h"
#include "verify/freshness.h"
#include "verify/role_table.h"
#include "verify/verifier.h"

struct sp_follower;

/* One moment on both clocks. */
struct sp_now {
    int64_t boot_ms, wall_ms;
};

/* What it counts and logs: name for the log, sentence for the log. The first are no trouble. */
#define SP_FOLLOWER_TABLE(X)                                                                                 \
    X(CONNECT, "connected", "the feed's stream is open")                                                     \
    X(SNAPSHOT, "snapshot", "a snapshot has been loaded")                                                    \
    X(BEAT, NULL, NULL)                                                                                      \
    X(NONCE, NULL, NULL)                                                                                     \
    X(ACK, NULL, NULL)                                                                                       \
    X(REVOCATION, NULL, NULL)                                                                                \
    X(NEW_KEYS, "keys", "another set of keys is in force")                                                   \
    X(NEW_ROLES, "roles", "another role table is in force")                                                  \
    X(NEW_EPOCH, "new_epoch", "the server's history begins anew: loading a snapshot")                        \
    X(CAUGHT_UP, "caught_up", "the server knows again all that was revoked")                                 \
    X(GAP, "gap", "a revocation is missing or is not the server's: connecting again")                        \
    X(ROLLBACK, "server_lost_revocations", "the server knows of fewer revocations than it had signed")       \
    X(RESET, "reset", "the server cannot go on where we were: loading a snapshot")                           \
    X(BAD_SIGNATURE, "bad_signature",                                                                        \
      "a signature of the feed does not verify: another issuer than the server's, or not its key")           \
    X(UNKNOWN_KEY, "unknown_key", "the feed is signed by a key that is not trusted")                         \
    X(UNTRUSTED, "untrusted", "none of the keys that the server offers is the one that is pinned")           \
    X(WRONG_ISSUER, "wrong_issuer", "the server is not the issuer's")                                        \
    X(WRONG_DIGEST, "wrong_digest", "what is signed is not the role table or key set that was sent")         \
    X(OLD_DOCUMENT, "old_document", "a role table or key set is older than the one that is in force")        \
    X(SILENCE, "silence", "no beat for three times as long as promised: connecting again")                   \
    X(CLOCK_JUMP, "clock_jump", "the clocks have moved against each other: asking the server again")         \
    X(FOREIGN, "foreign_snapshot", "the snapshot is of another deployment")                                  \
    X(MALFORMED, "malformed", "the server sent what is not of the feed's form")                              \
    X(DENIED, "denied", "the server does not take the credential")                                           \
    X(FAILURE, "failure", "the server answered with a failure")                                              \
    X(LOST, "lost", "the connection to the server was lost or cannot be made")                               \
    X(TIMEOUT, "timeout", "the server did not answer in time")                                               \
    X(NO_MEMORY, "no_memory", "out of memory, or more revocations than can be held")                         \
    X(NO_RANDOM, "no_random", "the system gave no random bytes")

enum sp_follower_count {
#define SP_FOLLOWER_ENUM_(name, event, detail) SP_FOLLOWER_##name,
    SP_FOLLOWER_TABLE(SP_FOLLOWER_ENUM_)
#undef SP_FOLLOWER_ENUM_
        SP_FOLLOWER_COUNTS
};

/* All borrowed but the texts, which are copied; everything outlives the follower. */
struct sp_follower_opts {
    sp_slice issuer;    /* 1 to SP_FEED_ISSUER_BYTES_MAX */
    sp_slice instance;  /* sp_feed_instance_valid */
    const uint8_t *pin; /* thumbprint of the feed's key, or NULL: the server is asked */
    int64_t max_staleness_ms;
    struct sp_verifier *verifier;
    struct sp_role_table *roles;
    struct sp_freshness *freshness;
    const struct sp_random *random;
    void (*log)(void *arg, const char *event, const char *detail); /* or NULL */
    void *log_arg;
};

/* SP_E_LIMIT, SP_E_MALFORMED (issuer, instance), SP_E_NOMEM. */
sp_status sp_follower_new(const struct sp_follower_opts *opts, struct sp_now now, struct sp_follower **ret);
void sp_follower_free(struct sp_follower *f); /* accepts NULL */
SP_DEFINE_FREE(sp_follower);

/* ---- what to do ---- */

enum sp_exchange { SP_EX_KEYS, SP_EX_SNAPSHOT, SP_EX_STREAM, SP_EX_NONCE, SP_EX_ACK, SP_EXCHANGES };
enum sp_follower_verb {
    SP_FOLLOWER_START, /* this exchange; an answer is told by begun, bytes, ended */
    SP_FOLLOWER_STOP   /* it: no more is to be told of it */
};
/* Its texts are the follower's, good until the next call. */
struct sp_follower_command {
    enum sp_follower_verb verb;
    enum sp_exchange exchange;
    const char *target;        /* "/feed?verifier=a1"; GET, or POST with a body of JSON */
    const char *last_event_id; /* or NULL */
    sp_slice body;             /* or empty */
};
/* True: *ret is to be done now, and the question to be asked again. `now` is read just before the call: it is
 * what a question for the time is measured from. */
bool sp_follower_next(struct sp_follower *f, struct sp_now now, struct sp_follower_command *ret);
/* The boot-time moment of the next tick at the latest. */
int64_t sp_follower_wait_until(const struct sp_follower *f);

/* ---- what happened ---- */

enum sp_outcome {
    SP_OUTCOME_DONE,    /* 2xx, and the body was whole */
    SP_OUTCOME_DENIED,  /* 401, 403 */
    SP_OUTCOME_FAILURE, /* another status */
    SP_OUTCOME_LOST     /* no connection, or it broke, or was not to be trusted */
};
void sp_follower_tick(struct sp_follower *f, struct sp_now now);
/* The head of a 2xx answer has come. */
void sp_follower_begun(struct sp_follower *f, enum sp_exchange x, struct sp_now now);
/* A piece of its body. Whatever comes after the exchange was stopped is not looked at. */
void sp_follower_bytes(struct sp_follower *f, enum sp_exchange x, struct sp_now now, sp_slice piece);
void sp_follower_ended(struct sp_follower *f, enum sp_exchange x, struct sp_now now, enum sp_outcome outcome);

/* Ends everything and says goodbye: afterwards the only command is the last acknowledgement, and
 * sp_follower_is_gone says when it was sent, or cannot be. */
void sp_follower_leave(struct sp_follower *f, struct sp_now now);
bool sp_follower_is_gone(const struct sp_follower *f);

/* ---- looking inside, from any thread ---- */

uint64_t sp_follower_counted(const struct sp_follower *f, enum sp_follower_count what);
uint64_t sp_follower_seq(const struct sp_follower *f); /* applied */

struct sp_table;
struct sp_table sp_follower_table(void); /* for the test that looks for holes in it */

#endif
