/* The use cases: load, decide, commit, publish. What HTTP and the command line do, they do through here.
 *
 * Every use case is asynchronous: it copies what it needs of its arguments before it returns, and calls
 * `done` exactly once, later, on call->executor (never from inside the call), with a result that is good only
 * during that callback. Secrets in a result are wiped after it. Thread-safe: any loop may call at any time.
 * The app must outlive its calls.
 *
 * Nothing here knows SQL or HTTP. `outcome` says how it ended (outcomes.def); everything else in a result is
 * set only when outcome is SP_OUTCOME_OK. A change that is reported OK is durable, with its audit record. */
#ifndef SP_CORE_APP_H
#define SP_CORE_APP_H

#include "core/audit.h"
#include "core/client_options.h"
#include "core/feed.h"
#include "core/live_clients.h"
#include "core/ports.h"
#include "core/ratelimit.h"
#include "core/session.h"
#include "core/signer.h"
#include "core/store.h"
#include "crypto/password.h"  /* SP_PASSWORD_BYTES_MAX: bounds the work of Argon2id's first hash */
#include "token/permission.h" /* SP_PERMISSION_BYTES_MAX */

enum sp_outcome {
#define X(name, status, code, title) SP_OUTCOME_##name,
#include "core/outcomes.def"
#undef X
    SP_OUTCOME_COUNT
};
int sp_outcome_http_status(enum sp_outcome o);
const char *sp_outcome_code(enum sp_outcome o);
const char *sp_outcome_title(enum sp_outcome o);

enum {
    SP_NAME_BYTES_MAX = 256,   /* user name, in UTF-8, as written and normalized */
    SP_PASSWORD_CHARS_MIN = 8, /* NIST SP 800-63B; code points, not bytes */
    SP_DEVICE_BYTES_MAX = 128,
    SP_EXTERNAL_SUBJECT_BYTES_MAX = 128,
    SP_ROLE_NAME_BYTES_MAX = 64,
    SP_ACCESS_TOKEN_BYTES_MAX = 8192,
    SP_COOKIE_TOKEN_BYTES_MAX =
        3800, /* browsers keep 4,096 bytes of a cookie, name and attributes included */
    SP_CSRF_TEXT_BYTES = 43,
    SP_DEVICE_TOKEN_CHARS = 98,
    SP_DEVICE_TOKEN_TTL_S = 365 * 86400, /* a device that nobody used for a year is a new one */
};

struct sp_app_config {
    sp_text256 issuer;
    sp_text256 audience;
    sp_text128 client_id; /* of first-party sessions */
    enum sp_alg alg;      /* of new access-token keys */
    int64_t access_ttl_s;
    int64_t idle_ttl_s;
    int64_t absolute_ttl_s;
    int64_t grace_ms;
    enum sp_reuse_policy reuse;
    uint32_t sessions_max; /* live sessions a user */
    bool embed_permissions;
    int64_t key_rotate_every_s; /* 0: by hand only */
    int64_t key_announce_s;     /* a new key is in the JWKS this long before it signs */
    /* Starts and audit records that a marker outside the store remembers; when the store knows of fewer, it
     * was put back from a copy. 0: unknown. */
    uint64_t expected_boots, expected_audit_count;
    bool audit_refresh;   /* each refresh is a record; else only counted on the session */
    int64_t audit_keep_s; /* older records are pruned, in whole segments; 0: none */
    int64_t end_kept_s;   /* how long a session's end and cause are kept: 30 days */
    /* By class; all zero: nothing is limited, which is for tests. */
    struct sp_throttle_rate throttle[SP_THROTTLE_CLASSES];
    bool dpop_nonce;                /* the token endpoint takes no DPoP proof without a nonce of ours */
    bool registration_enabled;      /* whoever reaches the server may make an account */
    sp_text1024 registration_roles; /* normalized; a role that does not exist grants nothing */
};

struct sp_app_deps {
    struct sp_store *store; /* open; the app calls set_env, and does not close it */
    struct sp_clock clock;
    struct sp_random random;
    struct sp_log log;
    struct sp_authn authn;
    struct sp_hasher hasher;
    struct sp_deliver deliver;     /* submit NULL: logouts stay in the outbox */
    struct sp_revoke_set *revoked; /* the verifier's own; filled by publish and at start */
    struct sp_epochs *epochs;      /* likewise */
    struct sp_reclaim *reclaim;    /* for the role table's readers */
    sp_slice master_key;           /* 32 bytes; seals keys at rest; copied */
};

struct sp_app;
/* Loads keys (making them at the first start), roles, revocations and epochs; blocks; for starting up. Writes
 * the boot into the store's meta row and learns from it which windows reopen. */
sp_status sp_app_open(const struct sp_app_config *config, const struct sp_app_deps *deps,
                      struct sp_app **ret);
/* Starts of this store, this one included: for the marker that config.expected_boots comes from. */
uint64_t sp_app_boots(const struct sp_app *app);
/* No call may be in flight. Waits for what the app does on the side: the store and the hasher still work, or
 * have finished all that they took. The store must not commit or publish afterwards (close it before, or
 * right after). */
void sp_app_free(struct sp_app *app);
SP_DEFINE_FREE(sp_app);
/* Housekeeping: heartbeat while windows may be open, purge, key schedule, expiry of the sets. Call about
 * every second from one loop; returns at once. */
void sp_app_tick(struct sp_app *app, struct sp_executor *executor);
/* The time up to which revocations may be forgotten: the wall clock's, unless that has jumped forward. Any
 * thread. */
int64_t sp_app_forget_ms(const struct sp_app *app);

struct sp_dpop_shown; /* core/oauth.h */
struct sp_oauth_trouble;

/* ---- who calls ---- */

enum sp_channel { SP_CHANNEL_HTTP, SP_CHANNEL_ADMIN_SOCKET };

/* Whom an access token (or the admin socket's peer) stands for. A value: borrows nothing. */
struct sp_principal {
    bool is_local_admin; /* admin socket; then only uid is set */
    uint32_t uid;
    uint8_t user_id[SP_ROW_ID_BYTES];
    uint8_t sid[SP_ROW_SID_BYTES]; /* zeros: is_client */
    uint8_t jti[SP_ROW_ID_BYTES];
    int64_t exp_s;
    int64_t auth_time_s; /* 0: not told */
    sp_text128 client_id;
    sp_text1024 roles;
    bool has_scope; /* the token has a scope, perhaps "", and may no more than that */
    sp_text512 scope;
    bool is_client; /* a client that acts on its own: sub is client_id, and user_id what stands for it */
    sp_text64 jkt;  /* the key that the token is bound to; empty: none */
    sp_text64 acr;  /* how the person logged in; empty: not told */
};

struct sp_call {
    struct sp_executor *executor;
    enum sp_channel channel;
    sp_slice address;    /* text; empty on the socket */
    sp_slice user_agent; /* as sent; cut when stored */
    sp_slice request_id;
    const struct sp_principal *principal; /* NULL: nobody yet */
};

/* Synchronous, local, no store. enum sp_reject says why not. */
enum sp_reject sp_app_authenticate(struct sp_app *app, sp_slice access_token, struct sp_principal *ret);
/* Does any of the principal's roles grant it, by the live role table, and its token's scope, if it has one?
 * A client that acts on its own has its scope alone. The local admin has every permission. */
bool sp_app_permits(struct sp_app *app, const struct sp_principal *p, sp_slice permission);
/* All that it may now, word list. */
sp_status sp_app_permissions(struct sp_app *app, const struct sp_principal *p, struct sp_buf *ret);
/* Records that a permission was refused: fire and forget, at most one record per (actor, permission, target)
 * and minute. */
void sp_app_audit_denial(struct sp_app *app, const struct sp_call *call, sp_slice permission,
                         sp_slice target);
/* The configuration was read again, and taken or refused; names of keys with spaces between, never values.
 * Recorded in the background; a record that is lost is said in the log. */
enum sp_reload { SP_RELOAD_REFUSED, SP_RELOAD_TAKEN };
void sp_app_audit_reload(struct sp_app *app, enum sp_reload how, sp_slice changed, sp_slice needs_restart);
/* A service's own credential (live_clients.h), for what services do. Synchronous, local, no store. A refusal
 * is recorded as those of permissions are. */
enum sp_client_check sp_app_client_check(struct sp_app *app, const struct sp_call *call, sp_slice id,
                                         sp_slice secret, struct sp_client_facts *ret_facts);
/* Would the same secret pass now? For connections that stay: *facts is brought up to date unless refused. */
enum sp_client_check sp_app_client_check_again(struct sp_app *app, struct sp_client_facts *facts);
/* CSRF token of a session: HMAC bound to its sid. Compare in constant time (sp_app_csrf_valid). */
void sp_app_csrf_token(struct sp_app *app, const uint8_t *sid, char ret[SP_CSRF_TEXT_BYTES]);
bool sp_app_csrf_valid(struct sp_app *app, const uint8_t *sid, sp_slice presented);
/* Appends the public JWKS: announced, signing and retired keys. */
sp_status sp_app_jwks(struct sp_app *app, struct sp_buf *ret);
/* The feed that tells others what is revoked: core/feed.h. Good as long as the app. */
struct sp_feed *sp_app_feed(struct sp_app *app);
/* SP_OK when the store can take a change now. */
sp_status sp_app_ready(struct sp_app *app);
const struct sp_app_config *sp_app_config(const struct sp_app *app);

/* What a client may be told beside the outcome, to do better next time. */
struct sp_why {
    const char *reason;     /* PASSWORD_REJECTED, clients: stable text, static; NULL: none */
    const char *detail;     /* a sentence about it, static; NULL: none */
    uint32_t retry_after_s; /* TOO_MANY_ATTEMPTS: at least 1 */
};

/* ---- login, refresh, logout ---- */

struct sp_tokens_result {
    enum sp_outcome outcome;
    bool reuse_detected; /* INVALID_GRANT because the tripwire fired: for metrics, never told to the client */
    enum sp_session_mode mode;
    sp_slice access_token;
    int64_t access_expires_in_s;
    sp_slice refresh_token;
    int64_t refresh_expires_in_s; /* until the idle or absolute end, whichever is first */
    uint8_t sid[SP_ROW_SID_BYTES];
    uint8_t user_id[SP_ROW_ID_BYTES];
    sp_slice device_token; /* login and register: tells this device from a stranger's at the next login */
    struct sp_why why;
    bool is_dpop;                           /* token_type: the access token is bound to the proof's key */
    const struct sp_oauth_trouble *trouble; /* INVALID_PROOF: what is wrong with it */
};
typedef void sp_tokens_done(void *arg, const struct sp_tokens_result *result);

struct sp_login_request {
    sp_slice username;
    sp_slice password;
    sp_slice device; /* may be empty */
    enum sp_session_mode mode;
    sp_slice device_token; /* of an earlier login on this device; empty or anything else: not known */
    /* The session is bound to the proof's key, and each refresh needs a proof by it. Not in cookie mode,
     * whose browsers have no key: INVALID_REQUEST. NULL: none was shown. A proof that does not hold:
     * INVALID_PROOF, and in the result what is wrong with it. */
    const struct sp_dpop_shown *dpop;
};
/* TOO_MANY_ATTEMPTS when the address, or the user name on devices that are not known, or the user on this
 * known device, has failed too often. Whether the name exists makes no difference. */
void sp_app_login(struct sp_app *app, const struct sp_call *call, const struct sp_login_request *in,
                  sp_tokens_done *done, void *arg);

/* Makes a user with the configured roles and logs in at once. The caller has looked at
 * config.registration_enabled. INVALID_REQUEST: the name; PASSWORD_REJECTED; ALREADY_EXISTS. */
struct sp_register_request {
    sp_slice username;
    sp_slice password;
    sp_slice device; /* may be empty */
    enum sp_session_mode mode;
    const struct sp_dpop_shown *dpop; /* as at login */
};
void sp_app_register(struct sp_app *app, const struct sp_call *call, const struct sp_register_request *in,
                     sp_tokens_done *done, void *arg);

struct sp_refresh_request {
    sp_slice refresh_token;
    sp_slice attempt; /* empty, or 16 bytes (decoded) */
    enum sp_session_mode mode;
    const struct sp_dpop_shown *dpop; /* as at login */
};
void sp_app_refresh(struct sp_app *app, const struct sp_call *call, const struct sp_refresh_request *in,
                    sp_tokens_done *done, void *arg);

/* A use case whose only answer is how it ended. */
struct sp_plain_result {
    enum sp_outcome outcome;
    uint32_t count; /* sessions ended, where that is what was asked */
    struct sp_why why;
};
typedef void sp_plain_done(void *arg, const struct sp_plain_result *result);

/* Ends the session that a genuine refresh token of any generation, or an access token with a valid signature
 * (expired or not), names. Exactly one is given. Idempotent; never trips. INVALID_GRANT / INVALID_TOKEN when
 * neither proves a session. */
struct sp_logout_request {
    sp_slice refresh_token;
    sp_slice access_token;
};
void sp_app_logout(struct sp_app *app, const struct sp_call *call, const struct sp_logout_request *in,
                   sp_plain_done *done, void *arg);
/* Ends every session of call->principal and raises the user's epoch. */
void sp_app_logout_all(struct sp_app *app, const struct sp_call *call, sp_plain_done *done, void *arg);

struct sp_password_request {
    sp_slice current;
    sp_slice wanted;
};
/* Of call->principal; ends its other sessions. INVALID_CREDENTIALS when `current` is wrong, TOO_MANY_ATTEMPTS
 * when it was so too often, PASSWORD_REJECTED. */
void sp_app_password_change(struct sp_app *app, const struct sp_call *call,
                            const struct sp_password_request *in, sp_plain_done *done, void *arg);

/* ---- sessions ---- */

struct sp_session_view {
    const struct sp_session_row *row; /* secret is wiped out of it */
    enum sp_end_cause over;           /* SP_END_NONE: alive */
    bool current;                     /* the caller's own */
    sp_slice username;                /* admin lists only; may be empty */
};
struct sp_sessions_result {
    enum sp_outcome outcome;
    const struct sp_session_view *views;
    size_t n;
    sp_slice next; /* cursor (base64url text) of the next page; empty: the end */
};
typedef void sp_sessions_done(void *arg, const struct sp_sessions_result *result);

/* Own sessions of call->principal: the live ones, and the ended ones that are still remembered. */
void sp_app_sessions_own(struct sp_app *app, const struct sp_call *call, sp_sessions_done *done, void *arg);
/* `sid` as text. NOT_FOUND for someone else's, for an unknown and for an ended one alike. */
void sp_app_session_end_own(struct sp_app *app, const struct sp_call *call, sp_slice sid, sp_plain_done *done,
                            void *arg);

/* ---- administration: the caller has checked the permission sallyport:admin ---- */

struct sp_users_result {
    enum sp_outcome outcome;
    const struct sp_user_row *rows; /* without password */
    size_t n;
    sp_slice next;
    struct sp_why why;
};
typedef void sp_users_done(void *arg, const struct sp_users_result *result);

struct sp_user_add_request {
    sp_slice name;
    sp_slice password; /* empty: the user cannot log in with a password */
    sp_slice roles;    /* word list */
};
void sp_app_user_add(struct sp_app *app, const struct sp_call *call, const struct sp_user_add_request *in,
                     sp_users_done *done, void *arg);
/* One user, by id text or by name: an id that exists comes first, because a name may be chosen to look like
 * somebody's id, and not the other way round. */
void sp_app_user_show(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                      sp_users_done *done, void *arg);
void sp_app_users_list(struct sp_app *app, const struct sp_call *call, sp_slice after, uint32_t limit,
                       sp_users_done *done, void *arg);

enum sp_user_edit {
    SP_USER_DISABLE, /* ends the sessions, raises the epoch */
    SP_USER_ENABLE,
    SP_USER_DELETE,    /* ends the sessions, raises the epoch, forgets the user; the id is never used again */
    SP_USER_SET_ROLES, /* `value`: word list. Raises the epoch when a role is taken away */
    SP_USER_SET_PASSWORD, /* `value`: the password. Ends the sessions */
};
void sp_app_user_edit(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                      enum sp_user_edit what, sp_slice value, sp_plain_done *done, void *arg);

struct sp_roles_result {
    enum sp_outcome outcome;
    const struct sp_role_row *rows;
    size_t n;
};
typedef void sp_roles_done(void *arg, const struct sp_roles_result *result);
void sp_app_roles_list(struct sp_app *app, const struct sp_call *call, sp_roles_done *done, void *arg);
/* Creates or replaces. `permissions`: word list. INVALID_REQUEST for a bad name or permission. */
void sp_app_role_set(struct sp_app *app, const struct sp_call *call, sp_slice name, sp_slice permissions,
                     sp_plain_done *done, void *arg);
/* Users keep the name among their roles; it grants nothing. */
void sp_app_role_delete(struct sp_app *app, const struct sp_call *call, sp_slice name, sp_plain_done *done,
                        void *arg);

struct sp_clients_result {
    enum sp_outcome outcome;
    const struct sp_client_row *rows; /* without the hashes of their secrets */
    size_t n;
    sp_slice next;
    sp_slice secret; /* add, rotate: the text, shown this once; empty when it is the caller's own, or none */
    int64_t now_ms;
    struct sp_why why; /* INVALID_REQUEST: the reason is a sp_client_fault_code, or NULL */
};
typedef void sp_clients_done(void *arg, const struct sp_clients_result *result);
void sp_app_clients_list(struct sp_app *app, const struct sp_call *call, sp_slice after, uint32_t limit,
                         sp_clients_done *done, void *arg);
void sp_app_client_show(struct sp_app *app, const struct sp_call *call, sp_slice id, sp_clients_done *done,
                        void *arg);
/* INVALID_REQUEST: the id is none (sp_client_id_valid), or the options do not fit together; ALREADY_EXISTS,
 * which the client of first-party sessions does; LIMIT_EXCEEDED. */
struct sp_client_add_request {
    sp_slice id;
    struct sp_client_options options;
    sp_slice secret; /* the caller's own (sp_client_secret_own_check); empty: one is made, if it has any */
};
void sp_app_client_add(struct sp_app *app, const struct sp_call *call, const struct sp_client_add_request *in,
                       sp_clients_done *done, void *arg);
/* These options instead of those that it has. Secrets stay, unless it authenticates itself otherwise from now
 * on; a client that comes to secrets has none until a rotation. When grants, scopes or audiences become fewer
 * its own access tokens are refused from then on. CHANGED_MEANWHILE: another version than expect_version
 * (SP_VERSION_ANY: whichever). */
void sp_app_client_set(struct sp_app *app, const struct sp_call *call, sp_slice id,
                       const struct sp_client_options *options, uint64_t expect_version,
                       sp_clients_done *done, void *arg);
/* Another secret; the current one still works for overlap_s (0: not at all). Of an older one that still did,
 * nothing is left: there are two at most. INVALID_REQUEST: longer than SP_CLIENT_OVERLAP_S_MAX, or a client
 * without secrets. */
enum { SP_CLIENT_OVERLAP_S = 86400, SP_CLIENT_OVERLAP_S_MAX = 90 * 86400 };
struct sp_client_rotate_request {
    int64_t overlap_s;
    sp_slice secret; /* as in sp_client_add_request */
};
void sp_app_client_rotate(struct sp_app *app, const struct sp_call *call, sp_slice id,
                          const struct sp_client_rotate_request *in, sp_clients_done *done, void *arg);
/* DISABLE and DELETE refuse its credentials, its refresh tokens and the access tokens of its own at once; the
 * sessions that it has of people are ended in the background (app_client_sweep.c). */
enum sp_client_edit { SP_CLIENT_DISABLE, SP_CLIENT_ENABLE, SP_CLIENT_DELETE };
void sp_app_client_edit(struct sp_app *app, const struct sp_call *call, sp_slice id, enum sp_client_edit what,
                        sp_plain_done *done, void *arg);

/* All sessions, or (user not empty) those of one user. Live ones only unless `with_ended`. */
void sp_app_sessions_list(struct sp_app *app, const struct sp_call *call, sp_slice user, bool with_ended,
                          sp_slice after, uint32_t limit, sp_sessions_done *done, void *arg);

struct sp_session_add_request {
    sp_slice subject;    /* the application's own id of a person: 1 to SP_EXTERNAL_SUBJECT_BYTES_MAX bytes */
    bool has_roles;      /* false: those of an earlier session stay */
    sp_slice roles;      /* word list */
    sp_slice scope;      /* word list, may be empty */
    sp_slice amr;        /* word list, may be empty (RFC 8176) */
    sp_slice device;     /* may be empty */
    int64_t auth_time_s; /* when the person was last checked; 0: now */
};
/* A session in token mode for whom the caller has checked itself, as user "ext:SUBJECT", made when there is
 * none. USER_DISABLED, UNKNOWN_ROLE. */
void sp_app_session_add(struct sp_app *app, const struct sp_call *call,
                        const struct sp_session_add_request *in, sp_tokens_done *done, void *arg);

enum sp_revoke_target { SP_TARGET_JTI, SP_TARGET_SESSION, SP_TARGET_USER, SP_TARGET_EVERYONE };
/* JTI: `value` is the jti text; SESSION: the sid text; USER: name or id; EVERYONE: empty. A USER or EVERYONE
 * revocation ends the sessions too. NOT_FOUND for an unknown session or user; revoking an ended session again
 * is OK with count 0. */
void sp_app_revoke(struct sp_app *app, const struct sp_call *call, enum sp_revoke_target target,
                   sp_slice value, sp_plain_done *done, void *arg);

struct sp_keys_result {
    enum sp_outcome outcome;
    const struct sp_key_row *rows; /* without the sealed bytes */
    size_t n;
};
typedef void sp_keys_done(void *arg, const struct sp_keys_result *result);
void sp_app_keys_list(struct sp_app *app, const struct sp_call *call, sp_keys_done *done, void *arg);
/* A new access-token key: announced now, signs after key_announce_s, or at once with `immediately`. `use`
 * ACCESS or REFRESH. */
void sp_app_key_rotate(struct sp_app *app, const struct sp_call *call, enum sp_key_use use, bool immediately,
                       sp_keys_done *done, void *arg);
/* A compromised key: out of the JWKS and refused at once. A signing key is replaced in the same transaction.
 */
void sp_app_key_revoke(struct sp_app *app, const struct sp_call *call, sp_slice kid, sp_plain_done *done,
                       void *arg);

struct sp_audit_result {
    enum sp_outcome outcome;
    const struct sp_audit_row *rows;
    size_t n;
    uint64_t next_seq; /* 0: the end */
};
typedef void sp_audit_done(void *arg, const struct sp_audit_result *result);
/* Filters go together. `user`: records that a user (name or id) is the actor or target of, or a session of it
 * is; an id whose user is gone will do. since <= time < until, Unix milliseconds; 0: open. With filters a
 * page may have fewer rows than `limit`, even none, and still a next_seq: a request looks at a bounded
 * number. */
struct sp_audit_query {
    uint64_t after_seq;
    uint32_t limit;
    sp_slice user, action;
    int64_t since_ms, until_ms;
};
void sp_app_audit_list(struct sp_app *app, const struct sp_call *call, const struct sp_audit_query *in,
                       sp_audit_done *done, void *arg);

/* Where the records are that a checkpoint covers. */
enum sp_audit_checkpoint_place {
    SP_CHECKPOINT_NONE,      /* none was given */
    SP_CHECKPOINT_IN_LOG,    /* the log, or the hash that it begins with, is the one that it was taken of */
    SP_CHECKPOINT_ON_RECORD, /* pruned; a record in the log tells that they were pruned by this checkpoint */
    SP_CHECKPOINT_PRUNED,    /* pruned; nothing that is left says anything about them */
};
struct sp_audit_verify_result {
    enum sp_outcome outcome;
    bool intact;
    bool complete;    /* false: intact so far; go on after `records` with `head` */
    uint64_t records; /* the last that was verified; the pruned ones are counted */
    uint64_t base;    /* so many were pruned; the rest was verified */
    uint64_t total;   /* as counted under the seal */
    uint8_t head[SP_ROW_HASH_BYTES];
    enum sp_audit_checkpoint_place checkpoint;
    uint64_t checkpoint_record; /* ON_RECORD: which */
    uint64_t bad_seq;           /* first record that does not fit; 0: none */
    const char *why;            /* static text when not intact */
};
struct sp_audit_verify_request {
    uint64_t after_seq;                           /* 0: from the start; what was pruned is passed over */
    uint8_t head[SP_ROW_HASH_BYTES];              /* of record after_seq; zeros for the start */
    const struct sp_audit_checkpoint *checkpoint; /* NULL: none. INVALID_REQUEST when its MAC is not ours */
};
typedef void sp_audit_verify_done(void *arg, const struct sp_audit_verify_result *result);
void sp_app_audit_verify(struct sp_app *app, const struct sp_call *call,
                         const struct sp_audit_verify_request *in, sp_audit_verify_done *done, void *arg);

struct sp_audit_checkpoint_result {
    enum sp_outcome outcome;
    struct sp_audit_checkpoint checkpoint;
};
typedef void sp_audit_checkpoint_done(void *arg, const struct sp_audit_checkpoint_result *result);
/* AUDIT_NOT_INTACT when the sealed head is not ours. */
void sp_app_audit_checkpoint(struct sp_app *app, const struct sp_call *call, sp_audit_checkpoint_done *done,
                             void *arg);

/* Drops the records that a checkpoint covers, but for the newest of the log: app_prune.c. A long log takes
 * several requests with the same checkpoint, until `complete`. INVALID_REQUEST when its MAC is not ours,
 * AUDIT_NOT_INTACT when the records are not those that it was taken of. */
struct sp_audit_prune_result {
    enum sp_outcome outcome;
    bool complete;
    uint64_t proved; /* last record that was found to be as it was written */
    uint64_t base;   /* last record that is gone */
    uint64_t total;  /* last record that is to go */
    uint64_t pruned; /* records, in this request */
};
typedef void sp_audit_prune_done(void *arg, const struct sp_audit_prune_result *result);
void sp_app_audit_prune(struct sp_app *app, const struct sp_call *call,
                        const struct sp_audit_checkpoint *checkpoint, sp_audit_prune_done *done, void *arg);

/* Erases the personal values of a user and deletes the user: app_erase.c. Idempotent; an id whose user is
 * gone will do. A long log takes several requests: until `complete`, go on with next_seq and the user's id;
 * an after_seq that this start did not give for the user begins again. */
struct sp_erase_result {
    enum sp_outcome outcome;
    bool complete;
    uint64_t next_seq, total;
    uint64_t erased; /* records that had personal values, in this request */
    uint32_t sessions_ended;
    uint8_t user_id[SP_ROW_ID_BYTES];
};
typedef void sp_erase_done(void *arg, const struct sp_erase_result *result);
void sp_app_user_erase(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                       uint64_t after_seq, sp_erase_done *done, void *arg);

/* ---- backup ---- */

enum sp_backup_state { SP_BACKUP_NONE, SP_BACKUP_RUNNING, SP_BACKUP_DONE, SP_BACKUP_FAILED };
enum { SP_BACKUP_PATH_BYTES_MAX = 1024 };
struct sp_backup_result {
    enum sp_outcome outcome;
    enum sp_backup_state state; /* of the last one since the start */
    sp_text1024 path;
    int64_t started_ms;
    uint64_t pages, pages_done;
    uint64_t bytes;       /* DONE */
    enum sp_code failure; /* FAILED */
};
typedef void sp_backup_done(void *arg, const struct sp_backup_result *result);
/* Begins one, of an absolute path at the server's own machine: so only by the admin socket (PERMISSION_DENIED
 * elsewhere), whose users could write there themselves. IN_USE while another runs; ALREADY_EXISTS for a path
 * that does. Its end is on record. */
void sp_app_backup_start(struct sp_app *app, const struct sp_call *call, sp_slice path, sp_backup_done *done,
                         void *arg);
void sp_app_backup_status(struct sp_app *app, const struct sp_call *call, sp_backup_done *done, void *arg);

struct sp_status_result {
    enum sp_outcome outcome;
    struct sp_meta_row meta;
    const char *store_name;
    uint64_t revoked_entries;
    int64_t started_ms; /* wall */
    bool has_word_list; /* new passwords are looked up among common ones */
    struct sp_feed_counts feed;
};
typedef void sp_status_done(void *arg, const struct sp_status_result *result);
void sp_app_status(struct sp_app *app, const struct sp_call *call, sp_status_done *done, void *arg);

/* For metrics; needs no permission of its own. Counts are since start. */
struct sp_measures {
    enum sp_outcome outcome; /* OK, or INTERNAL for want of memory */
    int64_t now_ms;
    uint64_t logins, login_failures, sessions_added, registrations;
    uint64_t throttled; /* logins, registrations and changes of password refused with TOO_MANY_ATTEMPTS */
    uint64_t refreshes, reissues; /* all that gave tokens; of those, the ones that did not rotate */
    uint64_t superseded, trips, heals;
    uint64_t codes_redeemed, code_replays, client_tokens;         /* /oauth2/token */
    uint64_t logouts_delivered, logouts_failed, logouts_given_up; /* failed: tries */
    uint64_t logouts_waiting;                                     /* now */
    uint64_t revoked_entries;
    struct sp_feed_counts feed;
    bool is_ready;
    const char *store_name;
    bool has_store_stats;
    struct sp_store_stats store;
    /* NULL while the store does not answer. */
    const struct sp_meta_row *meta;
    const struct sp_key_row *keys;
    size_t n_keys;
};
typedef void sp_measures_done(void *arg, const struct sp_measures *measures);
void sp_app_measure(struct sp_app *app, const struct sp_call *call, sp_measures_done *done, void *arg);

#endif
