/* What the files of the app share: the app itself, and the frame of an asynchronous use case.
 *
 * A use case is a struct that begins with `struct sp_op`, made by sp_op_new and carried from step to step: a
 * step decides, asks for one thing (sp_op_read, sp_op_commit, sp_op_hash) and names the step that follows.
 * The last one calls sp_op_finish, which says the outcome to the caller and wipes and frees everything. So an
 * op is owned by exactly one step at a time, and no lock is needed.
 *
 *   entry (caller's loop) -> sp_op_new -> sp_op_read -> step -> sp_op_commit -> step -> sp_op_finish -> done
 *
 * All that an op needs is inside its one allocation, so that after sp_op_new only buffers can run out of
 * memory; a use case whose sp_op_new failed is answered INTERNAL from a reserve that the app keeps for it.
 *
 * What is done on the side (records of refusals, the heartbeat, purging) is an op too, with nobody to answer:
 * sp_op_background. Its steps run on the thread of whoever finished the work before, and sp_app_free waits
 * for it.
 *
 * Turned down: one struct of callbacks per use case without a frame (every file then repeats posting, wiping
 * and the mapping of statuses), and coroutines on stacks of their own (sanitizers and debuggers lose their
 * way). */
#ifndef SP_CORE_APP_INTERNAL_H
#define SP_CORE_APP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/mem.h"
#include "core/app.h"
#include "core/audit.h"
#include "core/backchannel.h"
#include "core/directory.h"
#include "core/feed.h"
#include "core/keys.h"
#include "core/live_clients.h"
#include "core/oauth.h"
#include "core/publish.h"
#include "core/seats.h"
#include "core/signer_local.h"
#include "token/replay.h"

enum {
    SP_OP_CHANGES_MAX = 8, /* of the largest change set; key changes bring an array of their own */
    SP_OP_AUDITS_MAX = 3,  /* records in one change set */
    SP_OP_RETRIES_MAX =
        8, /* a row that was changed under our hands so often is not changed by honest clients */
    SP_APP_RESERVE = 64, /* use cases that can be told INTERNAL at one time with no memory at all */
};

/* ---- the app ---- */

/* The callback of a use case, cast back to its own type before it is called. */
typedef void sp_any_done(void);
struct sp_op;
struct sp_op_kind;

/* What remains of a use case that found no memory. */
struct sp_refusal {
    struct sp_task task;
    const struct sp_op_kind *kind;
    sp_any_done *done;
    void *arg;
    atomic_bool taken;
};

/* Counts since start; relaxed: each is exact, together they are not one moment. */
struct sp_app_counters {
    _Atomic uint64_t logins, login_failures, throttled, registrations, sessions_added, refreshes, reissues,
        superseded, trips, heals, codes_redeemed, code_replays, client_tokens, logouts_delivered,
        logouts_failed, logouts_given_up;
};

/* Housekeeping (app_tick.c). `last_` are the ticking loop's alone; a busy flag is cleared by whoever
 * finishes. */
struct sp_tick {
    int64_t last_purge_ms, last_expire_ms;
    int64_t last_alive_ms;
    int64_t last_checkpoint_look_ms;
    int64_t last_prune_ms;
    /* Both of the one chore that checkpoint_busy lets be under way. */
    struct sp_audit_checkpoint last_checkpoint, next_checkpoint;
    _Atomic int64_t prune_not_before_ms; /* a log that is not intact is looked at again after a while */
    atomic_bool alive_busy, purge_busy, keys_busy, checkpoint_busy, prune_busy;
};
/* Prunes one segment, if one is old enough: app_prune.c. */
void sp_app_prune_scheduled(struct sp_app *app, int64_t now_ms);

/* See app_forget.c. */
struct sp_forgetting {
    _Atomic int64_t ahead_ms; /* the wall clock before the one since boot, as far as it is believed */
    bool in_doubt;            /* and what follows: the ticking loop's alone */
    int64_t doubted_ms;
};
void sp_app_forget_init(struct sp_app *app);
void sp_app_forget_tick(struct sp_app *app);
/* Its wall clock is sp_app_forget_ms: for what holds revocations. */
struct sp_clock sp_app_forget_clock(struct sp_app *app);

/* What is being added to tables that have an end: counted before the table is looked at and until it is
 * published, so that no more becomes durable than a start can load. */
struct sp_under_way {
    _Atomic size_t clients, roles, role_bytes;
};

/* Clients whose sessions are to be ended (app_client_sweep.c). Guarded by background_mutex. */
struct sp_client_sweep {
    struct sp_swept_client *waiting; /* heap, n of cap */
    size_t n, cap;
    bool is_under_way;
};
/* Ends the sessions of the client that began at until_ms or before, in the background. `like`: who wanted
 * that. */
void sp_client_sweep(struct sp_app *app, const struct sp_op *like, sp_slice client_id, int64_t until_ms);
void sp_client_sweep_done(struct sp_app *app);

/* The proof that a pruning in several requests has come to (app_prune.c): a checkpoint's MAC tells whose. */
struct sp_prune_proof {
    uint8_t mac[SP_ROW_HASH_BYTES];
    struct sp_audit_verifier verifier;
};

/* The backup that runs, or how the last one ended (app_backup.c). */
struct sp_app_backup {
    pthread_mutex_t mutex;       /* everything below */
    struct sp_store_backup *job; /* NULL: none runs */
    bool closing;
    struct sp_backup_result last;
};
void sp_app_backup_init(struct sp_app *app);
void sp_app_backup_cancel(struct sp_app *app);
void sp_app_backup_done(struct sp_app *app);

/* Erasures that need more than one request, and the last record that each has looked at: app_erase.c. */
enum { SP_ERASURES_MAX = 64 }; /* requests back; administrators erase one after another */
struct sp_erasures {
    struct sp_erasure {
        uint8_t user_id[SP_ROW_ID_BYTES];
        uint64_t at;
    } slots[SP_ERASURES_MAX];
    size_t next;
};

struct sp_app {
    struct sp_app_config config;
    struct sp_app_deps deps;
    uint8_t master_key[SP_MASTER_KEY_BYTES];

    struct sp_seats *seats;
    struct sp_keys *keys;
    struct sp_live_roles *roles;
    struct sp_live_clients *clients;
    struct sp_feed *feed;
    struct sp_publish publish;
    struct sp_publisher publisher;
    struct sp_audit_hooks hooks;
    bool is_live; /* set once, before the app is handed out; until then events of our own first commits are
                     skipped */
    struct sp_signer_local signer_local;
    struct sp_signer signer;
    struct sp_audit_coalescer *coalescer;
    struct sp_ratelimit *limits;
    struct sp_hmac_key device_key; /* of device tokens; derived from the CSRF key */
    struct sp_replay *assertions;  /* of clients, that were used: client_auth.c */
    struct sp_replay *proofs;      /* DPoP proofs that were used: oauth_dpop.c */
    struct sp_dpop_nonces nonces;  /* for such proofs */

    /* Of this start, fixed before the app is handed out: session.h says what the first two mean. */
    int64_t alive_ms;
    int64_t ready_ms;
    int64_t started_ms;
    uint64_t boots;
    int64_t access_ttl_max_s;

    _Atomic int64_t last_rotation_ms; /* wall; drives the heartbeat */
    atomic_bool proving;              /* a long proof is under way */
    atomic_bool rotating;             /* a rotation by hand is under way */
    struct sp_tick tick;
    struct sp_app_counters counters;
    struct sp_app_backup backup;
    struct sp_erasures erasures;
    struct sp_forgetting forgetting;
    struct sp_under_way under_way;
    struct sp_prune_proof prune_proof;
    struct sp_client_sweep client_sweep;
    struct sp_backchannel backchannel;
    atomic_bool is_stopping; /* long work in the background ends at its next step */

    struct sp_executor inline_executor; /* runs a task where it is posted: for work in the background */
    pthread_mutex_t background_mutex;   /* guards background_n, erasures, prune_proof, client_sweep */
    pthread_cond_t background_idle;
    uint32_t background_n;
    struct sp_refusal reserve[SP_APP_RESERVE];
};

static inline int64_t sp_app_now_ms(const struct sp_app *app) {
    return sp_clock_wall_ms(&app->deps.clock);
}
/* Policy of the session machine, with what the store's meta row adds. */
struct sp_session_policy sp_app_policy(const struct sp_app *app, const struct sp_meta_row *meta);
/* Last second at which an access token issued until now can still pass anywhere: for epochs and jti. */
int64_t sp_app_epoch_expires_s(const struct sp_app *app, int64_t now_ms);
struct sp_key_schedule sp_app_key_schedule(const struct sp_app *app);

/* Appends the URL of an endpoint, as clients know it: the issuer, which may end with a slash, and the path,
 * which begins with one. */
sp_status sp_app_url(const struct sp_app *app, sp_slice path, struct sp_buf *ret);

/* As sp_app_authenticate; logout reads expired and revoked tokens too. */
enum sp_reject sp_app_principal(struct sp_app *app, sp_slice access_token, enum sp_authn_flags flags,
                                struct sp_principal *ret);

/* What roles grant within a limit: for tokens and principals. */
sp_status sp_app_permissions_of(struct sp_app *app, sp_slice roles, struct sp_permission_limit limit,
                                struct sp_buf *ret);
/* A token of a session of our own (/auth/login), not one that an OAuth client was given: what a person does
 * with the account itself (password, sessions, consents) asks for it. */
bool sp_app_is_own_session(const struct sp_app *app, const struct sp_principal *p);
/* For those use cases: OK; INVALID_TOKEN: nobody, or the local admin; PERMISSION_DENIED, on record. */
enum sp_outcome sp_op_judge_own_session(const struct sp_op *op);

/* ---- the frame of a use case ---- */

typedef void sp_op_step(struct sp_op *op, sp_status status);

struct sp_op_kind {
    size_t size; /* of the struct that begins with struct sp_op */
    /* Calls the caller's `done`. `op` is NULL when there was no memory for one: the outcome is then INTERNAL.
     */
    void (*say)(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome);
    void (*release)(struct sp_op *op); /* what the kind has beyond its one allocation; may be NULL */
};

struct sp_op {
    const struct sp_op_kind *kind;
    struct sp_app *app;
    struct sp_task task;
    sp_any_done *done;
    void *arg;
    enum sp_outcome outcome;
    struct sp_why why;               /* for kinds whose results have one */
    struct sp_oauth_trouble trouble; /* likewise: oauth_internal.h */
    bool is_later;                   /* a step has run: we are no longer inside the caller's call */
    bool is_background;              /* nobody waits for it but sp_app_free */

    /* The call, copied and cut to what is stored. */
    struct sp_executor *executor;
    enum sp_channel channel;
    sp_text64 address;
    sp_text256 user_agent;
    sp_text64 request_id;
    bool has_principal;
    struct sp_principal principal;
    sp_text64 actor;
    int64_t now_ms; /* when the use case began; steps that wait long set it anew */

    sp_op_step *next;
    struct sp_store_commit commit;
    struct sp_store_read read;
    struct sp_hash_job hash;
    sp_status (*work)(struct sp_op *op);
    bool is_proving;         /* holds app->proving, until its job is done */
    struct sp_buf secret[2]; /* passwords; wiped at the end */
    uint32_t tries;

    size_t changes_n, audits_n;
    struct sp_change changes[SP_OP_CHANGES_MAX];
    struct sp_audit_entry audits[SP_OP_AUDITS_MAX];
};

/* NULL: no memory; `done` will be told INTERNAL, and the caller of this just returns. Zeroed beyond the base.
 */
void *sp_op_new(struct sp_app *app, const struct sp_call *call, const struct sp_op_kind *kind,
                sp_any_done *done, void *arg);
/* An op that answers nobody; NULL: no memory, which its caller may ignore. `like` (may be NULL) lends who
 * calls and from where. */
void *sp_op_background(struct sp_app *app, const struct sp_op *like, const struct sp_op_kind *kind);
/* For what is done in the background and is no op: sp_app_free waits until it has ended. */
void sp_background_began(struct sp_app *app);
void sp_background_ended(struct sp_app *app);
/* The kind for an op in the background that has nothing of its own. */
extern const struct sp_op_kind sp_op_kind_background;
void sp_background_say(struct sp_op *op, sp_any_done *done, void *arg,
                       enum sp_outcome outcome); /* to nobody */

/* The end of the op: says the outcome on the caller's executor, once the entry has returned. Do not touch it
 * after. */
void sp_op_finish(struct sp_op *op, enum sp_outcome outcome);
/* The same, for a status that is not SP_OK: UNAVAILABLE, BUSY: STORE_UNAVAILABLE; UNKNOWN: OUTCOME_UNKNOWN;
 * all else: INTERNAL. */
void sp_op_fail(struct sp_op *op, sp_status status);
enum sp_outcome sp_outcome_of(sp_status status);

/* The next change of the set, zeroed. */
struct sp_change *sp_op_change(struct sp_op *op, enum sp_change_kind kind);
/* Forgets changes and records: before a set is built anew. */
void sp_op_reset(struct sp_op *op);
/* Adds an audit record to the set. Empty actor, address, user agent and request id become the op's. */
sp_status sp_op_audit(struct sp_op *op, const struct sp_audit_event *event);
/* Appends a record by an op of its own, unless one like it was written within the minute (false). The answer
 * to the caller does not wait for it: whether a record was needed must not show in time. */
bool sp_op_audit_coalesced(const struct sp_op *op, const struct sp_audit_event *event);
/* The same outside of an op. */
void sp_op_audit_denial(struct sp_app *app, const struct sp_call *call, const struct sp_audit_event *event);
/* Somebody showed a credential that was not good, under this id; is_ours: a client has it. `reason`: static.
 */
void sp_client_record_refusal(struct sp_app *app, const struct sp_call *call, bool is_ours, sp_slice id,
                              const char *reason);
/* What the server itself has done, written in the background as a record of its own. */
void sp_op_audit_system(struct sp_app *app, const struct sp_audit_event *event);
/* Who it turned out to be: a login and a refresh begin without a principal. */
void sp_op_actor_user(struct sp_op *op, const uint8_t *user_id);

/* Submits the change set. `next` sees the commit's status; op->commit.failed is set on SP_E_CONFLICT. */
void sp_op_commit(struct sp_op *op, sp_op_step *next);
/* The same for a change set that the kind has itself, such as many keys at once. */
void sp_op_commit_changes(struct sp_op *op, struct sp_change *changes, size_t n, sp_op_step *next);
/* Wipes and frees what the last read fetched, and gives the request to be filled in: tenant is the default
 * one. */
struct sp_store_read *sp_op_read_begin(struct sp_op *op, enum sp_read_kind kind);
void sp_op_read(struct sp_op *op, sp_op_step *next);
/* `phc` NULL: MAKE. Empty: VERIFY of an unknown user. `password` is borrowed until `next`, which sees the
 * job's status; its outputs are in op->hash. A full queue finishes the op with OVERLOADED. */
void sp_op_hash(struct sp_op *op, sp_slice password, const sp_text256 *phc, sp_op_step *next);
/* MAKE for a password that was judged and is being chosen now: a common one finishes the op. */
void sp_op_hash_new(struct sp_op *op, sp_slice password, sp_op_step *next);
/* Finishes with PASSWORD_REJECTED and the reason. */
void sp_op_reject_password(struct sp_op *op, enum sp_password_fault fault);
/* May `given` be a new password of `name` (normalized), as far as can be said without the word list?
 * OK, PASSWORD_REJECTED with op->why set, or INTERNAL. */
enum sp_outcome sp_op_judge_password(struct sp_op *op, sp_slice given, sp_slice name);

/* Runs `work` on a thread of the hash pool; `next` sees what it returned. Until then the op is its alone. A
 * full queue: `next` sees SP_E_BUSY, perhaps from inside this call. */
typedef sp_status sp_op_work_fn(struct sp_op *op);
void sp_op_work(struct sp_op *op, sp_op_work_fn *work, sp_op_step *next);

/* A proof by the ratchet: here and now, or, when the walk is long (sp_tripwire_is_long), on a thread of the
 * pool. There is one of these at a time: whoever holds one genuine token can ask for them without end, and
 * shall neither stall a loop nor keep passwords from being hashed. Another one under way, or a full queue,
 * finishes the op with OVERLOADED. */
void sp_op_proof(struct sp_op *op, bool is_long, sp_op_work_fn *work, sp_op_step *next);

/* For use cases that answer a struct sp_plain_result. */
struct sp_plain_op {
    struct sp_op base;
    uint32_t count;
};
void sp_plain_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome);

/* ---- tokens: what login and refresh share ---- */

struct sp_tokens_op {
    struct sp_op base;
    bool reuse_detected;
    /* As the transaction that decided to issue left them. */
    struct sp_session_row session;
    struct sp_user_row user;
    uint32_t global_epoch;
    int64_t access_exp_s; /* is what the session's row says */
    char refresh_text[SP_REFRESH_CHARS];
    char device_text[SP_DEVICE_TOKEN_CHARS];
    bool has_device_text;
    struct sp_buf access;

    sp_text64 jkt; /* of the proof that was shown: the access token is bound to it; empty: to none */
    /* An OAuth client's; NULL, and the rest of no meaning: first-party. */
    const struct sp_client *client; /* held */
    sp_text512 scope;               /* asked for, where scope_asked; once issued: of this access token */
    bool scope_asked;
    sp_text256 aud; /* asked for, where not empty; once issued: of this access token, word list */
    sp_text256 nonce;
    bool gives_refresh;
    struct sp_buf id_token;
};
/* Before anything else that may end the op. */
void sp_tokens_init(struct sp_tokens_op *op);
void sp_tokens_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome);
void sp_tokens_release(struct sp_op *op);
/* Signs the access token (a client's: with its scope and audience, and an id_token where that has openid) for
 * what was committed, and finishes with OK. */
void sp_tokens_issue(struct sp_tokens_op *op);
/* Signs JSON with the access-token key of the moment: for other tokens than access tokens. Takes a seat. */
sp_status sp_app_sign_json(struct sp_app *app, sp_slice typ, sp_slice payload, struct sp_buf *ret);
/* What a new session of op->user is made of, beyond what the op knows. */
struct sp_session_birth {
    enum sp_session_mode mode;
    sp_slice device, scope, amr; /* checked */
    int64_t auth_time_s;
    sp_slice acr, jkt;
    /* A client's session; NULL: a first-party one. `sid` is then given, and perhaps a parent. */
    const struct sp_client_row *client;
    sp_slice aud;
    const uint8_t *sid, *parent;
    bool offline;
};
/* Fills the row, and in `t` the refresh token of generation 0 and access_exp_s. */
sp_status sp_session_row_new(struct sp_tokens_op *t, const struct sp_session_birth *birth,
                             struct sp_session_row *ret);
/* What the commit that expected the user and inserted `row` told, for the tokens: and a record when older
 * sessions made room for it. `insert` NULL: the session was there. */
void sp_session_begun(struct sp_tokens_op *t, const struct sp_session_row *row,
                      const struct sp_change *expect, const struct sp_change *insert);

/* ---- refresh tokens (app_refresh.c) ---- */

/* One of ours by its tag; says nothing about its session. */
sp_status sp_app_refresh_parse(struct sp_app *app, sp_slice text, struct sp_refresh_token *ret);
/* By the ratchet: see sp_tripwire_is_long. */
enum sp_proof sp_app_refresh_prove(struct sp_app *app, const struct sp_session_row *row,
                                   const struct sp_refresh_token *token);

/* ---- attempts (app_throttle.c) ---- */

/* One attempt taken from a bucket, to be given back unless it turned out to be a failure. */
struct sp_charge {
    enum sp_throttle_class class;
    uint64_t key;
    bool taken;
};
/* 0, or the milliseconds to wait. By name; or by the op's address, which costs nothing when there is none. */
__attribute__((warn_unused_result)) int64_t sp_op_charge(struct sp_op *op, struct sp_charge *charge,
                                                         enum sp_throttle_class class, sp_slice name);
__attribute__((warn_unused_result)) int64_t sp_op_charge_address(struct sp_op *op, struct sp_charge *charge,
                                                                 enum sp_throttle_class class);
void sp_op_refund(struct sp_op *op, struct sp_charge *charge);
/* Finishes with TOO_MANY_ATTEMPTS; recorded and logged once a minute. `event` has action, target, username.
 */
void sp_op_throttled(struct sp_op *op, const struct sp_charge *charge, int64_t wait_ms,
                     struct sp_audit_event event);

/* ---- device tokens (app_device.c) ---- */

enum { SP_DEVICE_ID_BYTES = 16 };
struct sp_device {
    uint8_t id[SP_DEVICE_ID_BYTES];
};
void sp_device_key_init(struct sp_app *app);
/* Is it genuine, of this user, not too old, and younger than the password? */
bool sp_device_known(const struct sp_app *app, sp_slice token, const struct sp_user_row *user, int64_t now_ms,
                     struct sp_device *ret);
void sp_device_token(const struct sp_app *app, const struct sp_device *device, const uint8_t *user_id,
                     int64_t now_ms, char ret[SP_DEVICE_TOKEN_CHARS]);

/* ---- proofs (oauth_dpop.c) ---- */

sp_status sp_oauth_dpop_open(struct sp_app *app);
/* One that was looked at, and holds; jkt empty: none was shown. */
struct sp_oauth_proof {
    sp_text64 jkt;
    uint8_t id[SP_ROW_HASH_BYTES];
    int64_t until_ms;
    bool is_remembered;
};

/* ---- keys ---- */

/* Everything that carries out a plan: the rows first, then their records, as one change set of 2 * changes.n.
 */
struct sp_key_set {
    struct sp_key_changes changes;
    struct sp_audit_entry *records; /* heap, changes.n */
    struct sp_change *set;          /* heap, 2 * changes.n */
};
#define SP_KEY_SET_INIT                                                                                      \
    { .changes = SP_KEY_CHANGES_INIT }
void sp_key_set_done(struct sp_key_set *set);
/* Generates and seals (RSA: up to seconds). `like`: the records' actor, address, user agent and request id.
 */
sp_status sp_key_set_make(const struct sp_app *app, const struct sp_key_plan *plan,
                          const struct sp_key_row *rows, size_t n, const struct sp_audit_event *like,
                          struct sp_key_set *ret);

#endif
