/* The server's end of the revocation feed (docs/feed.md): what subscribers are told, what is signed, and who
 * has confirmed what.
 *
 *   publisher (the store's writing thread)  --->  backlog, documents  --->  watchers: one a loop, which pull
 *   verifiers (POST /feed/ack)              --->  registry            --->  waiters: receipts; key rotation
 *
 * Nothing is pushed into a loop but a task: a loop that is told of news copies what its subscribers have not
 * had yet. So a slow loop or subscriber costs no memory here, and one that lags behind the backlog begins
 * again with a snapshot.
 *
 * A frame (beat and documents) is taken in the order that docs/feed.md promises: first the boot-time clock,
 * then all the rest under the lock, then the signature, outside of it.
 *
 * Thread-safe throughout, but for new, load and free. One mutex, held for copies and short walks, never
 * across I/O, signing or callbacks. */
#ifndef SP_CORE_FEED_H
#define SP_CORE_FEED_H

#include <stdatomic.h>

#include "base/ports.h"
#include "core/directory.h"
#include "core/keys.h"
#include "core/store.h"
#include "revoke/epochs.h"
#include "revoke/feed.h"
#include "revoke/feed_snapshot.h"
#include "revoke/set.h"

enum {
    SP_FEED_BEAT_MS = 500,
    SP_FEED_BACKLOG_MAX =
        1 << 18, /* 12 MiB when full: five seconds at 50,000 revocations a second, days at usual rates */
    SP_FEED_VERIFIERS_MAX = 4096,   /* in the registry; 1 KiB each */
    SP_FEED_WAITERS_MAX = 1024,     /* requests that wait for a receipt: half a MiB */
    SP_FEED_STALENESS_MAX_S = 3600, /* the most that a verifier may name */
    SP_FEED_FORGET_S = 24 * 3600,   /* a verifier that was not heard of for so long leaves the list */
};

struct sp_feed;

struct sp_feed_opts {
    struct sp_clock clock;
    const struct sp_random *random; /* borrowed for the call: draws the node id */
    sp_slice issuer;                /* copied; at most SP_FEED_ISSUER_BYTES_MAX */
    struct sp_seats *seats;         /* these outlive the feed */
    struct sp_keys *keys;
    struct sp_live_roles *roles;
    struct sp_revoke_set *revoked;
    struct sp_epochs *epochs;
};

/* SP_E_NOMEM, SP_E_LIMIT (issuer, documents), SP_E_UNAVAILABLE. */
sp_status sp_feed_new(const struct sp_feed_opts *opts, struct sp_feed **ret);
void sp_feed_free(struct sp_feed *f); /* nobody watches or waits; accepts NULL */
SP_DEFINE_FREE(sp_feed);

/* The key of fingerprints that a deployment has for ever: derived from its sid tag key. */
void sp_feed_fingerprint_key(const struct sp_keys *keys, uint8_t ret[SP_REVOKE_KEY_BYTES]);

/* ---- from the store ---- */

/* Before anything else: rows that are stored, in order of seq; gaps are fine (what is before one cannot be
 * resumed). Then where the chain stands. SP_E_NOMEM. */
sp_status sp_feed_load(struct sp_feed *f, const struct sp_revocation_row *rows, size_t n);
void sp_feed_load_position(struct sp_feed *f, const uint8_t epoch[SP_FEED_EPOCH_BYTES], uint64_t seq,
                           const uint8_t head[SP_FEED_HEAD_BYTES]);

/* The publisher's, in order of commit, after what they say is enforced here. A revocation always succeeds:
 * without memory the backlog is cut short, and subscribers that lack something begin again. Documents:
 * SP_E_NOMEM or SP_E_LIMIT, the old one stays. */
void sp_feed_publish_revocation(struct sp_feed *f, const struct sp_revocation_row *row,
                                const uint8_t head[SP_FEED_HEAD_BYTES]);
sp_status sp_feed_publish_roles(struct sp_feed *f);
sp_status sp_feed_publish_keys(struct sp_feed *f);

/* ---- for subscribers ---- */

/* Told of news: at least once after each publish, on its executor; several at once are one call. */
struct sp_feed_watcher {
    struct sp_task task;
    struct sp_executor *executor;
    void (*news)(struct sp_feed_watcher *self);
    struct sp_feed_watcher *next; /* the feed's */
    atomic_bool posted;
};
void sp_feed_watch(struct sp_feed *f, struct sp_feed_watcher *w);
/* On the executor's own thread. The watcher's task may still be under way: *w must live until the executor is
 * done. `news` is not called again. */
void sp_feed_unwatch(struct sp_feed *f, struct sp_feed_watcher *w);

/* Immutable, shared. */
struct sp_feed_document {
    _Atomic uint32_t refs;
    uint64_t index; /* counts the documents of this kind since start; 1 is the first */
    uint8_t digest[SP_FEED_DIGEST_BYTES];
    size_t n;
    uint8_t bytes[];
};
void sp_feed_document_unref(struct sp_feed_document *d); /* accepts NULL */

/* Where the feed stands at one moment. */
struct sp_feed_frame {
    struct sp_feed_position at;
    struct sp_feed_beat beat; /* signed when asked for */
    struct sp_feed_document *roles, *keys;
};
void sp_feed_frame_done(struct sp_feed_frame *frame);
/* Without a signature; never fails. */
void sp_feed_look(struct sp_feed *f, struct sp_feed_frame *ret);
/* With one. SP_E_CRYPTO, SP_E_NOMEM. A subscriber is to get the documents that it does not have, all
 * revocations up to at.seq and none beyond, and then the beat. */
sp_status sp_feed_beat(struct sp_feed *f, struct sp_feed_frame *ret);
void sp_feed_hello(struct sp_feed *f, struct sp_feed_hello *ret); /* issuer borrows from the feed */

/* Copies revocations after_seq+1 .. at most until_seq, at most `most`. Fewer than asked for and than there
 * are: only because of `most`. SP_E_NOT_FOUND: after_seq is before the backlog; SP_E_CONFLICT: it is ahead of
 * the feed. */
sp_status sp_feed_copy(struct sp_feed *f, uint64_t after_seq, uint64_t until_seq,
                       struct sp_feed_revocation *ret, size_t most, size_t *ret_n);
/* Can a client go on from there? NULL: yes; otherwise the reason that `reset` names. */
const char *sp_feed_why_not(struct sp_feed *f, const struct sp_feed_position *from);

sp_status sp_feed_answer_nonce(struct sp_feed *f, const uint8_t nonce[SP_FEED_NONCE_BYTES],
                               struct sp_feed_nonce_answer *ret);
/* {"keys": [...], "successions": [...]} */
sp_status sp_feed_write_keys(struct sp_feed *f, struct sp_buf *out);

/* A snapshot that is made while it is read: the client's speed is nobody else's matter. Not thread-safe. */
struct sp_feed_snapshot {
    struct sp_feed *feed;
    struct sp_snapshot_writer writer;
    struct sp_revoke_dump set;
    struct sp_epochs_dump users;
    int stage;
};
void sp_feed_snapshot_init(struct sp_feed_snapshot *s, struct sp_feed *f);
/* Appends the next piece (up to SP_FEED_SNAPSHOT_PIECE bytes); *ret_end after the last. */
enum { SP_FEED_SNAPSHOT_PIECE = 64 * 1024 };
sp_status sp_feed_snapshot_next(struct sp_feed_snapshot *s, struct sp_buf *out, bool *ret_end);

/* ---- who follows ---- */

struct sp_feed_ack {
    sp_slice client;   /* whose credential; at most 64 bytes */
    sp_slice instance; /* sp_feed_instance_valid */
    sp_slice address;
    struct sp_feed_position at;
    uint8_t roles[SP_FEED_DIGEST_BYTES], keys[SP_FEED_DIGEST_BYTES];
    uint32_t max_staleness_s; /* 1..SP_FEED_STALENESS_MAX_S */
    bool leaving;
};
/* SP_E_CONFLICT: another epoch, or ahead of the feed; SP_E_BUSY: the registry is full. */
sp_status sp_feed_acknowledge(struct sp_feed *f, const struct sp_feed_ack *ack);
/* A stream begins or ends (for the list and the counts only); an empty instance: of nobody in the list. */
void sp_feed_attach(struct sp_feed *f, sp_slice client, sp_slice instance, sp_slice address);
void sp_feed_detach(struct sp_feed *f, sp_slice client, sp_slice instance);

struct sp_feed_verifier {
    sp_text64 client, instance, address;
    bool is_live;     /* its last acknowledgement is not older than 4/3 of its max_staleness_s */
    bool is_attached; /* a stream is open */
    bool has_acked;
    uint64_t seq, behind;       /* confirmed; revocations that it has not confirmed */
    bool has_roles, has_keys;   /* the documents of now */
    int64_t since_ms, acked_ms; /* Unix milliseconds; 0: never */
    uint32_t max_staleness_s;
};
/* Copies up to `most`, sorted by client and instance, after (client, instance); returns how many. */
size_t sp_feed_verifiers(struct sp_feed *f, sp_slice after_client, sp_slice after_instance,
                         struct sp_feed_verifier *ret, size_t most);

/* Revocation lag: from the publishing of a revocation to its confirmation by the last of the verifiers that
 * were live then. One revocation is watched at a time, at most two a second; a verifier that leaves or goes
 * stale meanwhile is not waited for, and after SP_FEED_LAG_GIVE_UP_MS the rest counts as slower than any
 * bound. */
enum { SP_FEED_LAG_BOUNDS = 14, SP_FEED_LAG_EVERY_MS = 500, SP_FEED_LAG_GIVE_UP_MS = 30 * 1000 };
extern const uint32_t sp_feed_lag_bounds_ms[SP_FEED_LAG_BOUNDS];

struct sp_feed_counts {
    struct sp_feed_position at;
    uint32_t subscribers; /* open streams */
    uint32_t live, known, attached;
    uint64_t behind_max; /* of the live ones */
    uint64_t acks, nonces, beats, snapshots, resets;
    uint64_t lag[SP_FEED_LAG_BOUNDS + 1]; /* the last one: above every bound */
    uint64_t lag_ms_sum;
};
void sp_feed_count(struct sp_feed *f, struct sp_feed_counts *ret);
void sp_feed_count_reset(struct sp_feed *f);

/* Has every live verifier confirmed the keys as they are? True when there is none. */
bool sp_feed_keys_confirmed(struct sp_feed *f);
/* Forgets who was not heard of for long. Call about every second. */
void sp_feed_tick(struct sp_feed *f);

/* ---- receipts ---- */

/* Of a revocation: of the verifiers that were live when the wait began, how many have confirmed, after how
 * long. */
struct sp_feed_receipt {
    uint32_t verifiers, confirmed;
    int64_t after_ms;
};
/* In the caller's storage, from wait until `done` has run. */
struct sp_feed_waiter {
    struct sp_task task;
    struct sp_executor *executor;
    void (*done)(struct sp_feed_waiter *self); /* on the executor; receipt is set */
    struct sp_feed_receipt receipt;
    /* The feed's. */
    struct sp_feed_waiter *next;
    uint64_t seq;
    int64_t began_ms;
    uint64_t *open; /* a bit for each seat of the registry that has not confirmed */
    bool is_waiting;
};
/* For everything that has been published up to now; began_ms: boot time from which the receipt counts. `done`
 * runs when all have confirmed, at once when there is nobody (or no memory: then confirmed says how many had
 * so far). */
void sp_feed_wait(struct sp_feed *f, struct sp_feed_waiter *w, int64_t began_ms);
/* Time is up: `done` runs with what there is, unless it is on its way already. */
void sp_feed_wait_no_longer(struct sp_feed *f, struct sp_feed_waiter *w);

#endif
