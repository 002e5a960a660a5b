/* The store port: what core needs of a backend, and all that a backend is.
 *
 *   read    fetches a row or a page
 *   commit  applies one change set: all of it or, when any precondition fails, none of it
 *
 * Both are asynchronous. The caller owns the request (and everything that it borrows) until its `done` has
 * been entered, on the executor that the request names. Requests may be submitted from any thread; done is
 * never called from inside the submitting call.
 *
 * Guarantees
 *   - A change set is atomic and durable before its done sees SP_OK; change sets are totally ordered, and a
 *     read submitted after a done sees that change.
 *   - The publisher is called for each applied change in commit order, on the store's writing thread, after
 * the change is durable and before any done of the same group runs. So whoever has a 2xx in hand knows that
 * this server already enforces it.
 *   - No decisions here: only preconditions, compared, and values, set. The one arithmetic is on counters
 * that must be serial (versions, epochs, sequences, the audit chain).
 *
 * Statuses of done: SP_OK; SP_E_CONFLICT (commit: precondition of changes[failed] does not hold, nothing
 * changed); SP_E_NOT_FOUND (read of one row); SP_E_BUSY (queue full, nothing changed); SP_E_UNAVAILABLE (the
 * backend failed, nothing changed); SP_E_UNKNOWN (COMMIT itself failed: may or may not have happened;
 * the backend has reopened and read again before it answers anything else). */
#ifndef SP_CORE_STORE_H
#define SP_CORE_STORE_H

#include <stdatomic.h>

#include "base/ports.h"
#include "core/rows.h"

/* ---- commit ---- */

enum sp_change_kind {
    SP_CHANGE_USER_INSERT,
    SP_CHANGE_USER_UPDATE,
    SP_CHANGE_USER_DELETE,
    SP_CHANGE_USER_EXPECT,
    SP_CHANGE_ROLE_PUT,
    SP_CHANGE_ROLE_DELETE,
    SP_CHANGE_SESSION_INSERT,
    SP_CHANGE_SESSION_ROTATE,
    SP_CHANGE_SESSION_REISSUE,
    SP_CHANGE_SESSION_END,
    SP_CHANGE_SESSIONS_END,
    SP_CHANGE_REVOKE_JTI,
    SP_CHANGE_USER_EPOCH,
    SP_CHANGE_GLOBAL_EPOCH,
    SP_CHANGE_KEY_PUT,
    SP_CHANGE_AUDIT,
    SP_CHANGE_META,
    SP_CHANGE_PURGE,
    SP_CHANGE_PERSONAL_ERASE,
    SP_CHANGE_SESSIONS_FORGET,
    SP_CHANGE_AUDIT_PRUNE,
    SP_CHANGE_CLIENT_PUT,
    SP_CHANGE_CLIENT_DELETE,
    SP_CHANGE_CLIENT_EXPECT,
    SP_CHANGE_CONSENT_PUT,
    SP_CHANGE_CONSENT_DELETE,
    SP_CHANGE_LOGOUT_TRIED,
    SP_CHANGE_LOGOUT_DONE,
};

#define SP_VERSION_ABSENT UINT64_MAX /* the row must not exist */
#define SP_VERSION_ANY (UINT64_MAX - 1)
#define SP_GENERATION_ANY UINT32_MAX /* no live session reaches it: SP_GENERATION_MAX is below */

/* After an end, tokens may still pass elsewhere for exp + leeway + clock skew: DESIGN 7. */
enum { SP_REVOKE_SLACK_S = 60 + 60 };

/* Conflict when the name or the id is taken. row.version is stored as 1. */
struct sp_user_insert {
    const struct sp_user_row *row;
};
/* All values of `row` are stored but id, epoch and created_ms, which stay. Conflict when absent, when the
 * version differs (SP_VERSION_ANY: no check), or when the new name is taken. raise_epoch: epoch + 1 and a
 * revocation until epoch_expires_s. */
struct sp_user_update {
    const struct sp_user_row *row;
    uint64_t expect_version;
    bool raise_epoch;
    int64_t epoch_expires_s;
    uint32_t ret_epoch;
};
/* Forgets what the user consented to, too. Sessions are the caller's to end, in the same set. */
struct sp_user_delete {
    uint32_t tenant;
    const uint8_t *id;
    uint64_t expect_version;
};
/* Changes nothing: the user exists, is enabled and has this version; the password hash is compared instead
 * when expect_password is not NULL (so that a changed role does not fail a login). Gives the row and the
 * global epoch. */
struct sp_user_expect {
    uint32_t tenant;
    const uint8_t *id;
    uint64_t expect_version;
    const sp_text256 *expect_password;
    struct sp_user_row *ret_user;
    uint32_t ret_global_epoch;
};
struct sp_role_put {
    const struct sp_role_row *row;
    uint64_t expect_version; /* SP_VERSION_ABSENT, SP_VERSION_ANY or the version read */
};
struct sp_role_delete {
    uint32_t tenant;
    sp_slice name;
};
/* Conflict when the sid exists; with a parent also when that is not a session of the same user, active,
 * unexpired at row.created_ms, not below the session floor, and without a parent of its own (then
 * ret_parent_gone, which is written on conflict too: nobody gets a child of a sign-in that has ended).
 *
 * When the user then has more than live_max active, unexpired sessions, the oldest (by created_ms) are ended
 * with SP_END_TOO_MANY_SESSIONS, and their children as an end of one does, until live_max are left; the
 * newcomer's parent is never among them, so that with live_max 1 a parent and its child live. A child takes
 * the oldest of its own client, as long as there is one: no client ends others by coming often. Of more than
 * SP_SESSIONS_OVER_MAX that are over, the one that has been for longest is forgotten. live_max 0: no limits.
 * row.global_epoch and row.incarnation are set by the store to the current ones. */
enum {
    SP_SESSIONS_OVER_MAX = 200, /* of a user: bounds what a login and a list of sessions walk through */
};
struct sp_session_insert {
    const struct sp_session_row *row;
    uint32_t live_max;
    uint32_t ret_evicted; /* without their children */
    bool ret_parent_gone;
};
/* The hot one: every precondition of a rotation and its effect in one write. Holds when the row is active;
 * generation, secret, client_id, mode, jkt and refresh_key equal; idle_expires_ms and absolute_expires_ms
 * above now_ms; its global_epoch not below the session floor; the user enabled; and, if rotated_before_ms is
 * not 0, rotated_ms[0] below it (cookie grace). Effect: generation + 1, secret, rotated_ms pushed with
 * now_ms, attempt, generation_used false, incarnation current, last_seen_ms = now_ms, idle_expires_ms =
 * min(idle_expires_ms given, absolute), access_exp_max_s = max, refreshes + 1. Touches no secondary index.
 * Gives what is needed to issue an access token, from the same transaction. */
struct sp_session_rotate {
    uint32_t tenant;
    const uint8_t *sid;
    uint32_t generation;
    const uint8_t *secret;
    uint8_t refresh_key;
    sp_slice client_id;
    sp_slice jkt;
    enum sp_session_mode mode;
    int64_t rotated_before_ms;
    int64_t now_ms;
    uint32_t next_generation; /* generation + 1, or the healed one: see `heal` */
    const uint8_t *next_secret;
    const uint8_t *attempt; /* NULL: none */
    int64_t idle_expires_ms;
    int64_t access_exp_s;
    bool heal; /* after a rollback: next_generation may be further; requires row.incarnation < current */
    struct sp_session_row *ret_session; /* as it is after the write */
    struct sp_user_row *ret_user;
    uint32_t ret_global_epoch;
};
/* Issues again without rotating. Holds when the row is active, unexpired, not below the session floor;
 * generation, secret (s_G here too), client_id and jkt equal; the user enabled. Effect: last_seen_ms,
 * access_exp_max_s = max, generation_used = mark_used or as it was; and with idle_expires_ms, which makes it
 * the refresh of a client that does not rotate, idle_expires_ms and refreshes as in a rotation. */
struct sp_session_reissue {
    uint32_t tenant;
    const uint8_t *sid;
    uint32_t generation;   /* G */
    const uint8_t *secret; /* s_G */
    sp_slice client_id;
    sp_slice jkt;
    int64_t now_ms;
    int64_t idle_expires_ms; /* 0: stays */
    int64_t access_exp_s;
    bool mark_used;
    struct sp_session_row *ret_session;
    struct sp_user_row *ret_user;
    uint32_t ret_global_epoch;
};
/* Conflict when absent, not active, or (not SP_GENERATION_ANY) at another generation, or (user_id not NULL)
 * someone else's. Writes a revocation of the sid that expires at access_exp_max_s + SP_REVOKE_SLACK_S, unless
 * that is past.
 *
 * Whatever ends an active session (this, SESSIONS_END, an insert that makes room) puts a row into the outbox
 * of logouts when the session has `backchannel`, in the same transaction: SP_EVENT_LOGOUT. A session that
 * merely expires, or falls below the session floor, is not ended by anybody, and gives none.
 *
 * The children of what ends here end with it: those of its user with parent == sid that are active and not
 * `offline`, with SP_SESSION_ENDED and SP_END_PARENT. */
struct sp_session_end {
    uint32_t tenant;
    const uint8_t *sid;
    const uint8_t *user_id;
    uint32_t expect_generation;
    enum sp_session_state state; /* ENDED or TRIPPED */
    enum sp_end_cause cause;
    int64_t now_ms;
    struct sp_session_row *ret_session; /* may be NULL */
    uint32_t ret_children;
};
/* Every active session of the user but except_sid (NULL: none), children and offline ones like any other.
 * Always holds. Revocations and logouts as above. */
struct sp_sessions_end {
    uint32_t tenant;
    const uint8_t *user_id;
    const uint8_t *sid_tag; /* 4 bytes: where the user's key range begins */
    const uint8_t *except_sid;
    enum sp_session_state state;
    enum sp_end_cause cause;
    int64_t now_ms;
    uint32_t ret_ended;
};
struct sp_revoke_jti {
    uint32_t tenant;
    const uint8_t *jti; /* 16 bytes */
    int64_t expires_s;
};
/* epoch + 1; conflict when the user is absent. Does not change the user's version. */
struct sp_user_epoch {
    uint32_t tenant;
    const uint8_t *id;
    int64_t expires_s;
    uint32_t ret_epoch;
};
enum {
    /* More raises than anybody makes between a copy of the store and its return; the counter has room for
     * 65,536 jumps. */
    SP_EPOCH_JUMP = 65536,
};
static inline uint32_t sp_epoch_after_jump(uint32_t epoch) {
    return epoch < UINT32_MAX - SP_EPOCH_JUMP ? epoch + SP_EPOCH_JUMP : epoch;
}
/* global epoch + 1; with end_sessions the session floor is raised to it. */
struct sp_global_epoch {
    int64_t now_ms;
    int64_t expires_s;
    bool end_sessions;
    enum sp_end_cause cause;
    /* 0: none. After a rollback or restore the epochs that were given since are not known, and must not be
     * given again: sp_epoch_after_jump. */
    uint32_t at_least;
    uint32_t ret_epoch;
};
struct sp_key_put {
    const struct sp_key_row *row;
    uint64_t expect_version;
};
/* Appends to the chain: seq = count + 1, hash and MAC by the hooks that the store was opened with. */
struct sp_audit_append {
    int64_t time_ms;
    sp_slice action, outcome, actor, target;
    sp_slice body;     /* canonical JSON */
    sp_slice personal; /* may be empty */
    uint64_t ret_seq;
};
/* Only the fields that are set (non-zero) are written. A new incarnation begins the feed anew: another epoch,
 * and a chain that starts at the current revoke_seq, which goes on counting. */
struct sp_meta_change {
    int64_t alive_ms;
    bool count_boot;
    bool next_incarnation;
    uint32_t incarnation_above; /* with next_incarnation: the new one is above this, too */
    const uint8_t *feed_epoch;  /* with next_incarnation, required: SP_ROW_FEED_EPOCH_BYTES, fresh */
    int64_t access_ttl_max_s;   /* stored when larger than what is there */
};
/* One bounded step of forgetting (at most `most` rows each): revocations with expires_s < now_s, but for the
 * keep_last newest, which stay without a gap; sessions that ended, or expired, before sessions_before_ms,
 * walking on from where the last step stopped. */
enum {
    /* The last so many stay when a store is purged: 60 bytes each, and what a server that starts can serve to
     * those who were connected before. Who is further behind takes a snapshot. */
    SP_REVOCATIONS_KEPT = 4096,
};
struct sp_purge {
    int64_t now_s;
    int64_t sessions_before_ms;
    uint32_t most;
    uint32_t keep_last;
    uint32_t ret_purged;
};

/* Forgets the personal values of these audit records; the chain, which covers only commitments to them, stays
 * whole. Records that have none are not an error. The caller bounds n. */
struct sp_personal_erase {
    const uint64_t *seqs;
    size_t n;
    uint32_t ret_erased;
};
/* Removes sessions of the user that are not active, at most `most`: addresses and devices go with them. */
struct sp_sessions_forget {
    uint32_t tenant;
    const uint8_t *user_id;
    const uint8_t *sid_tag;
    uint32_t most;
    uint32_t ret_forgotten;
};
enum {
    SP_AUDIT_PRUNE_MOST = 1000, /* records a change: some milliseconds of the writer's time */
};
/* Drops the oldest records, up to `up_to`, with their personal values; from then on the chain begins with the
 * hash of record up_to, and the seal covers that. Conflict when the base is not expect_base any more; when
 * up_to is not above it, by SP_AUDIT_PRUNE_MOST at most; when no newer record would be left; when record
 * up_to has another hash; or when one of them is missing. */
struct sp_audit_prune {
    uint64_t expect_base, up_to;
    const uint8_t *hash; /* of record up_to */
};

/* row.version is not looked at: what is stored is 1, or one more than what was there. Nor is row.epoch, for a
 * client that exists, without raise_epoch. A subject that is stored stays when row.subject is zeros.
 * raise_epoch: the epoch becomes row.epoch or one more than what was there (0 when absent), whichever is
 * higher, with a revocation of the subject as of a user's, until epoch_expires_s; there must be a subject. */
struct sp_client_put {
    const struct sp_client_row *row;
    uint64_t expect_version; /* SP_VERSION_ABSENT, SP_VERSION_ANY or the version read */
    bool raise_epoch;
    int64_t epoch_expires_s;
    uint32_t ret_epoch; /* as stored */
};
/* Conflict when absent, or when the version differs (SP_VERSION_ANY: no check). epoch_expires_s not 0: a
 * revocation of the subject, with the stored epoch + 1; none for a client that never had a subject, and so
 * never a token of its own. Consents stay: they are older than whoever gets the id next. */
struct sp_client_delete {
    uint32_t tenant;
    sp_slice id;
    uint64_t expect_version;
    int64_t epoch_expires_s;
};
/* Changes nothing: the client exists, is not disabled and has this version (SP_VERSION_ANY: no check); and,
 * with `allowed_by`, that user has consented to it, or it is trusted. */
struct sp_client_expect {
    uint32_t tenant;
    sp_slice id;
    uint64_t expect_version;
    struct sp_client_row *ret_client; /* may be NULL */
    uint32_t ret_global_epoch;
    const uint8_t *allowed_by; /* NULL: nobody is asked */
};

/* Takes the place of what the user allowed this client before. Conflict when the user is absent. */
struct sp_consent_put {
    const struct sp_consent_row *row;
};
/* Always holds. */
struct sp_consent_delete {
    uint32_t tenant;
    const uint8_t *user_id;
    sp_slice client_id; /* empty: all of the user's */
    uint32_t ret_deleted;
};

/* The outbox of logouts. Whoever delivers reads it from the beginning at start, hears of new rows by
 * SP_EVENT_LOGOUT, and says here how it went. Conflict when the row is absent. */
enum {
    /* Some 20 MiB: hours of logouts while every client is away. When it is full the oldest goes, since what
     * is news to a client is more likely the newest. */
    SP_LOGOUTS_MAX = 100000,
};
struct sp_logout_tried {
    uint64_t seq;
    uint32_t tries;
    int64_t next_ms;
};
struct sp_logout_done {
    uint64_t seq;
};

struct sp_change {
    enum sp_change_kind kind;
    union {
        struct sp_user_insert user_insert;
        struct sp_user_update user_update;
        struct sp_user_delete user_delete;
        struct sp_user_expect user_expect;
        struct sp_role_put role_put;
        struct sp_role_delete role_delete;
        struct sp_session_insert session_insert;
        struct sp_session_rotate rotate;
        struct sp_session_reissue reissue;
        struct sp_session_end session_end;
        struct sp_sessions_end sessions_end;
        struct sp_revoke_jti revoke_jti;
        struct sp_user_epoch user_epoch;
        struct sp_global_epoch global_epoch;
        struct sp_key_put key_put;
        struct sp_audit_append audit;
        struct sp_meta_change meta;
        struct sp_purge purge;
        struct sp_personal_erase personal_erase;
        struct sp_sessions_forget sessions_forget;
        struct sp_audit_prune audit_prune;
        struct sp_client_put client_put;
        struct sp_client_delete client_delete;
        struct sp_client_expect client_expect;
        struct sp_consent_put consent_put;
        struct sp_consent_delete consent_delete;
        struct sp_logout_tried logout_tried;
        struct sp_logout_done logout_done;
    };
};

struct sp_store_commit {
    struct sp_task task; /* the store's while in flight; task.run is set by the store */
    struct sp_executor *executor;
    void (*done)(struct sp_store_commit *self);
    struct sp_change *changes; /* applied in this order */
    size_t n;
    sp_status status; /* out */
    size_t failed;    /* out: index of the change whose precondition failed */
};

/* ---- read ---- */

enum sp_read_kind {
    SP_READ_META,          /* ret.meta */
    SP_READ_USER_BY_ID,    /* key: id -> ret.users[0] */
    SP_READ_USER_BY_NAME,  /* key: normalized name -> ret.users[0] */
    SP_READ_USERS,         /* page by name; after: name */
    SP_READ_ROLES,         /* all, by name */
    SP_READ_SESSION,       /* key: sid -> ret.sessions[0] */
    SP_READ_SESSIONS,      /* page by sid; after: sid */
    SP_READ_USER_SESSIONS, /* key: user id, sid_tag; page by sid; after: sid */
    SP_READ_KEYS,          /* all, by created_ms */
    SP_READ_REVOCATIONS,   /* page by seq; after_seq; with expires_s >= now_s. now_s 0: all that are kept */
    SP_READ_AUDIT,         /* page by seq; after_seq */
    SP_READ_CLIENT,        /* key: id -> ret.clients[0] */
    SP_READ_CLIENTS,       /* page by id; after: id */
    SP_READ_CONSENT,       /* key: user id; after: client id -> ret.consents[0] */
    SP_READ_CONSENTS,      /* key: user id; page by client id; after: client id */
    SP_READ_LOGOUTS,       /* of all tenants; page by seq; after_seq */
};

enum { SP_READ_PAGE_MAX = 1000 }; /* rows: bounds the memory of one read */

struct sp_store_read {
    struct sp_task task;
    struct sp_executor *executor;
    void (*done)(struct sp_store_read *self);
    enum sp_read_kind kind;
    uint32_t tenant;
    sp_slice key;
    const uint8_t *sid_tag;
    sp_slice after;     /* empty: from the start */
    uint64_t after_seq; /* 0: from the start */
    int64_t now_s;
    uint32_t limit; /* rows wanted, 1..SP_READ_PAGE_MAX */

    sp_status status; /* out */
    struct {
        struct sp_meta_row meta;
        uint32_t n;
        bool more; /* rows follow after the last one given */
        union {    /* heap, n rows of the kind's type; freed by sp_store_read_done */
            void *rows;
            struct sp_user_row *users;
            struct sp_role_row *roles;
            struct sp_session_row *sessions;
            struct sp_key_row *keys;
            struct sp_revocation_row *revocations;
            struct sp_audit_row *audit;
            struct sp_client_row *clients;
            struct sp_consent_row *consents;
            struct sp_logout_row *logouts;
        };
    } ret;
};
/* Wipes and frees what a read has fetched; the request can be used again. */
void sp_store_read_done(struct sp_store_read *r);

/* ---- backup ---- */

/* A copy of everything, as of one moment, while the store works on. `path` names a file that must not exist;
 * it appears there whole, checked, synced and 0600, or not at all. Statuses of done: SP_OK; SP_E_CONFLICT
 * (the file, or its ".partial", exists); SP_E_BUSY (another backup runs); SP_E_IO; SP_E_UNAVAILABLE (the copy
 * is not whole); SP_E_REFUSED (cancelled); SP_E_UNSUPPORTED (this backend has none). */
struct sp_store_backup {
    struct sp_task task;
    struct sp_executor *executor;
    void (*done)(struct sp_store_backup *self);
    const char *path;
    atomic_bool cancel;                 /* set by anyone; the backup ends soon after */
    _Atomic uint64_t pages, pages_done; /* for whoever shows progress; relaxed */
    sp_status status;                   /* out */
    uint64_t bytes;                     /* out: size of the file */
};

/* ---- what a backend is given ---- */

enum sp_event_kind {
    SP_EVENT_REVOKED,
    SP_EVENT_ROLE,
    SP_EVENT_ROLE_GONE,
    SP_EVENT_KEY,
    SP_EVENT_CLIENT,
    SP_EVENT_CLIENT_GONE,
    SP_EVENT_LOGOUT,
};
struct sp_store_event {
    enum sp_event_kind kind;
    const struct sp_revocation_row *revocation; /* REVOKED: any `what`, with its seq */
    const uint8_t *feed_head;                   /* REVOKED: of the chain after it; SP_ROW_HASH_BYTES */
    const struct sp_role_row *role;             /* ROLE */
    sp_slice role_name;                         /* ROLE_GONE */
    const struct sp_key_row *key;               /* KEY */
    const struct sp_client_row *client;         /* CLIENT */
    sp_slice client_id;                         /* CLIENT_GONE */
    const struct sp_logout_row *logout;         /* LOGOUT: as it was put into the outbox */
};
struct sp_publisher {
    void (*publish)(void *arg, const struct sp_store_event *event);
    void *arg;
};

struct sp_audit_hooks {
    /* hash of record `seq` over the hash before it (zeros for the first) and the body */
    void (*link)(void *arg, uint64_t seq, const uint8_t *prev, sp_slice body, uint8_t *ret_hash);
    /* MAC over count and head, and over the base once there is one */
    void (*seal)(void *arg, const struct sp_meta_row *meta, uint8_t *ret_mac);
    void *arg;
};

/* The chain over revocations, for the feed. Its head moves in the transaction that gives a revocation its
 * seq. A store whose chain was never begun may be without hooks (NULL): the head then stays zeros, and the
 * first change set under hooks begins it, at the revoke_seq of that moment. */
struct sp_feed_hooks {
    /* head before the first revocation of an epoch */
    void (*start)(void *arg, const uint8_t epoch[SP_ROW_FEED_EPOCH_BYTES],
                  uint8_t ret_head[SP_ROW_HASH_BYTES]);
    /* head after `row`. prev may be ret_head. */
    void (*link)(void *arg, const uint8_t prev[SP_ROW_HASH_BYTES], const struct sp_revocation_row *row,
                 uint8_t ret_head[SP_ROW_HASH_BYTES]);
    void *arg;
};

struct sp_store_env {
    struct sp_publisher publisher;
    struct sp_audit_hooks audit;
    struct sp_feed_hooks feed;
    struct sp_log log;
};

/* ---- what a backend counts of itself ---- */

enum {
    SP_STORE_BATCH_BUCKETS = 12,   /* of up to 1, 2, 4 ... 1024 change sets, and more */
    SP_STORE_LATENCY_BUCKETS = 15, /* of up to 0.1, 0.2, 0.4 ... 819.2 ms, and more */
    SP_STORE_LATENCY_UNIT_US = 100,
};
/* Since start; each number is exact, together they are not one moment. Buckets are not cumulative. */
struct sp_store_stats {
    uint64_t transactions;    /* committed */
    uint64_t sets, conflicts; /* change sets in them that applied, and that did not */
    uint64_t failed, unknown; /* transactions that failed, and whose COMMIT did */
    uint64_t batch[SP_STORE_BATCH_BUCKETS];
    uint64_t took[SP_STORE_LATENCY_BUCKETS]; /* from BEGIN until COMMIT returned */
    uint64_t took_us_sum;
    uint32_t writes_waiting, reads_waiting; /* now */
};

/* ---- the port ---- */

struct sp_store {
    const struct sp_store_ops *ops;
};
struct sp_store_ops {
    const char *name; /* "memory", "sqlite", ... */
    void (*commit)(struct sp_store *, struct sp_store_commit *);
    void (*read)(struct sp_store *, struct sp_store_read *);
    /* The hooks need keys that are themselves in the store: set once, before the first commit with an audit
     * record or a published event. */
    void (*set_env)(struct sp_store *, const struct sp_store_env *);
    void (*backup)(struct sp_store *, struct sp_store_backup *);
    /* SP_OK when commits can succeed at this moment (for /readyz). Any thread, cheap. */
    sp_status (*health)(struct sp_store *);
    /* Any thread, cheap. NULL: this backend does not count. */
    void (*stats)(struct sp_store *, struct sp_store_stats *ret);
    /* Finishes what was submitted, calls every done, then frees. No submission may follow. */
    void (*close)(struct sp_store *);
};
static inline void sp_store_commit_submit(struct sp_store *s, struct sp_store_commit *c) {
    s->ops->commit(s, c);
}
static inline void sp_store_read_submit(struct sp_store *s, struct sp_store_read *r) {
    s->ops->read(s, r);
}
static inline void sp_store_backup_submit(struct sp_store *s, struct sp_store_backup *b) {
    s->ops->backup(s, b);
}
static inline void sp_store_close(struct sp_store *s) {
    if (s != NULL) s->ops->close(s);
}

/* Submit and block until done: for starting up and for tests, never on a loop. Ignores executor and done. */
sp_status sp_store_commit_wait(struct sp_store *s, struct sp_change *changes, size_t n, size_t *ret_failed);
sp_status sp_store_read_wait(struct sp_store *s, struct sp_store_read *r);

#endif
