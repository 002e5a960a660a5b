/* The audit log: what a record says, how records are chained, and how the chain is proved.
 *
 *   body      canonical JSON: fixed members in a fixed order, no white space. The chain covers exactly these
 * bytes. personal  {"salt":...,"address":...,...}: clear values, which may be erased. The body holds a
 * commitment to each, SHA-256(salt || name || 0 || value), so that erasing breaks nothing and guessing costs
 * the salt. hash      SHA-256(domain || seq || previous hash || body) meta      (count, head) under a MAC of
 * the AUDIT key: a chain that was cut or computed anew does not fit. When the oldest records were pruned, the
 * MAC covers (base, hash of the last that went) too: where the chain begins is as little to be chosen as
 * where it ends.
 *
 * Never in a record: a secret, a token, a password. A token appears as its jti. Pure and thread-safe, but for
 * the coalescer's own lock. */
#ifndef SP_CORE_AUDIT_H
#define SP_CORE_AUDIT_H

#include "base/buf.h"
#include "base/mem.h"
#include "core/rows.h"
#include "core/store.h"
#include "crypto/digest.h"

enum sp_audit_action {
#define X(NAME, name, doc) SP_AUDIT_##NAME,
#include "core/audit_actions.def"
#undef X
    SP_AUDIT_ACTION_COUNT
};
const char *sp_audit_action_name(enum sp_audit_action action); /* "login_failed": stable, stored */
const char *sp_audit_action_doc(enum sp_audit_action action);

enum sp_audit_outcome { SP_AUDIT_OK, SP_AUDIT_FAILED, SP_AUDIT_DENIED, SP_AUDIT_ALARM };
const char *sp_audit_outcome_name(enum sp_audit_outcome outcome);

enum {
    SP_AUDIT_BODY_BYTES_MAX = 16 * 1024, /* every detail at its longest, every character escaped */
    SP_AUDIT_PERSONAL_BYTES_MAX = 2048,
    SP_AUDIT_VALUE_BYTES_MAX = 256, /* longer texts of strangers are cut at a character, and the cut marked */
    SP_AUDIT_SALT_BYTES = 16,
    SP_AUDIT_DETAILS_MAX = 16,
};

/* What happened. Borrowed during the build only. Texts of strangers may be any bytes: what is not printable
 * UTF-8 is replaced by '?'. */
struct sp_audit_event {
    enum sp_audit_action action;
    enum sp_audit_outcome outcome;
    sp_slice actor;     /* sp_audit_actor_*, or empty */
    sp_slice target;    /* user id text, sid text, role name, kid, jti ...; empty: none */
    const uint8_t *sid; /* SP_ROW_SID_BYTES; NULL: none */
    sp_slice request_id;
    sp_slice address, user_agent, username; /* personal */
    const struct sp_log_field *detail;      /* in this order; SP_LOGF_TEXT, SP_LOGF_I64 */
    size_t detail_n;
    /* Coalesced beside actor and target: one of few, static; NULL: none. Records of repeats have it. */
    const char *reason;
};

/* The actor and target texts. */
void sp_audit_actor_user(const uint8_t id[SP_ROW_ID_BYTES], sp_text64 *ret);
void sp_audit_actor_admin(uint32_t uid, sp_text64 *ret);        /* "admin:0" */
void sp_audit_actor_client(sp_slice client_id, sp_text64 *ret); /* "client:billing", a long id cut */
#define SP_AUDIT_ACTOR_SYSTEM SP_SLICE_LIT("system")

/* A record ready to be appended: owns its texts. */
struct sp_audit_entry {
    int64_t time_ms;
    enum sp_audit_action action;
    enum sp_audit_outcome outcome;
    sp_text64 actor, target;
    struct sp_buf body;
    struct sp_buf personal;
};
#define SP_AUDIT_ENTRY_INIT                                                                                  \
    { .body = SP_BUF_INIT(SP_AUDIT_BODY_BYTES_MAX), .personal = SP_BUF_INIT(SP_AUDIT_PERSONAL_BYTES_MAX) }
void sp_audit_entry_done(struct sp_audit_entry *e);

/* Fills *ret, which is initialised and is reused if it held something. SP_E_NOMEM, SP_E_UNAVAILABLE (no
 * salt). Never fails for the length or content of strangers' texts. */
sp_status sp_audit_build(const struct sp_audit_event *event, int64_t time_ms, const struct sp_random *random,
                         struct sp_audit_entry *ret);
/* The AUDIT change; borrows from the entry until the commit is done. */
struct sp_change sp_audit_entry_change(const struct sp_audit_entry *e);

/* ---- the chain ---- */

/* `key` (sp_keys_audit) is borrowed and outlives the store. */
struct sp_audit_hooks sp_audit_hooks_make(const struct sp_hmac_key *key);

/* The commitment to a personal value: SHA-256(salt || name || 0 || value). */
void sp_audit_commit(sp_slice salt, sp_slice name, sp_slice value, uint8_t ret[SP_SHA256_BYTES]);
/* 2026-11-21T02:33:37.123Z (RFC 3339, UTC), without a NUL. */
enum { SP_AUDIT_TIME_CHARS = 24 };
void sp_audit_time_text(int64_t time_ms, char ret[SP_AUDIT_TIME_CHARS]);
/* Appends it. */
sp_status sp_audit_append_time(struct sp_buf *b, int64_t time_ms);

/* Streaming proof: init, every row in order, finish. */
struct sp_audit_verifier {
    uint64_t count;
    uint8_t head[SP_ROW_HASH_BYTES];
    uint64_t bad_seq; /* of the first record that does not fit; stays */
    const char *why;  /* static text; NULL while all fits */
};
void sp_audit_verifier_init(struct sp_audit_verifier *v);
/* From behind record `seq`, whose hash is `head`: the base of a log that was pruned, or where an earlier
 * proof ended. */
void sp_audit_verifier_init_from(struct sp_audit_verifier *v, uint64_t seq,
                                 const uint8_t head[SP_ROW_HASH_BYTES]);
/* After the first failure further rows are ignored. */
void sp_audit_verifier_row(struct sp_audit_verifier *v, const struct sp_audit_row *row);
/* Count, head and MAC of the meta row. A meta read *before* the rows may be older than them: read it before,
 * and feed rows only up to meta.audit_count. True when everything fits. */
bool sp_audit_verifier_finish(struct sp_audit_verifier *v, const struct sp_meta_row *meta,
                              const struct sp_hmac_key *key);

/* The MAC of the meta row is ours. */
bool sp_audit_head_is_ours(const struct sp_meta_row *meta, const struct sp_hmac_key *key);

/* What leaves the machine, so that even an owner of disk and keys cannot shorten or rewrite the log without
 * being found out: that so many records ended in this head at this time, under a MAC of the AUDIT key. */
struct sp_audit_checkpoint {
    uint64_t count;
    int64_t time_ms;
    uint8_t head[SP_ROW_HASH_BYTES];
    uint8_t mac[SP_ROW_HASH_BYTES];
};
void sp_audit_checkpoint_make(const struct sp_meta_row *meta, int64_t time_ms, const struct sp_hmac_key *key,
                              struct sp_audit_checkpoint *ret);
bool sp_audit_checkpoint_is_ours(const struct sp_audit_checkpoint *c, const struct sp_hmac_key *key);
/* After each row: fails when this is where the checkpoint was taken and the head is another. */
void sp_audit_verifier_checkpoint(struct sp_audit_verifier *v, const struct sp_audit_checkpoint *c);

/* The members of a checkpoint, for the server's log and for records. Borrows from itself: do not copy. */
enum { SP_AUDIT_HASH_CHARS = 2 * SP_ROW_HASH_BYTES, SP_AUDIT_CHECKPOINT_FIELDS = 4 };
struct sp_audit_checkpoint_fields {
    struct sp_log_field field[SP_AUDIT_CHECKPOINT_FIELDS];
    char head[SP_AUDIT_HASH_CHARS], mac[SP_AUDIT_HASH_CHARS];
};
void sp_audit_checkpoint_fields(const struct sp_audit_checkpoint *c, struct sp_audit_checkpoint_fields *ret);
/* The checkpoint that a record of this action tells of; false when it is another record, or the checkpoint
 * not ours. */
bool sp_audit_row_checkpoint(const struct sp_audit_row *row, enum sp_audit_action action,
                             const struct sp_hmac_key *key, struct sp_audit_checkpoint *ret);
void sp_audit_hash_text(const uint8_t hash[SP_ROW_HASH_BYTES], char ret[SP_AUDIT_HASH_CHARS]);

/* ---- coalescing ---- */

/* Denials and failed logins, so that nobody can buy a disk write each: per (action, actor, target, reason)
 * the first of a minute is written at once, the others are counted and written as one record when the minute
 * is over. Bounded; what finds no place is counted per action. Thread-safe. */
struct sp_audit_coalescer;

enum { SP_AUDIT_COALESCE_MAX = 4096, SP_AUDIT_COALESCE_MS = 60 * 1000 };

sp_status sp_audit_coalescer_new(size_t max, const struct sp_random *random, struct sp_audit_coalescer **ret);
void sp_audit_coalescer_free(struct sp_audit_coalescer *c);
SP_DEFINE_FREE(sp_audit_coalescer);

enum sp_audit_admission { SP_AUDIT_COUNTED, SP_AUDIT_WRITE };
/* WRITE: the first of its minute, build and append it. COUNTED: nothing to do. Never fails, never allocates.
 */
enum sp_audit_admission sp_audit_coalesce(struct sp_audit_coalescer *c, const struct sp_audit_event *event,
                                          int64_t now_ms);

struct sp_audit_repeats {
    enum sp_audit_action action;
    enum sp_audit_outcome outcome;
    sp_text64 actor, target; /* empty when many were folded into one */
    const char *reason;      /* static; NULL: none, or many */
    uint64_t count;          /* further ones, after the first that was written */
    int64_t since_ms;
};
/* Takes up to `cap` entries whose minute is over and that have repeats; call from the tick until it gives
 * fewer than cap. */
size_t sp_audit_coalescer_take(struct sp_audit_coalescer *c, int64_t now_ms, struct sp_audit_repeats *ret,
                               size_t cap);
enum { SP_AUDIT_REPEATS_FIELDS = 3 };
/* The event for the record of repeats: detail has `repeats`, `since_ms` and, if there is one, `reason`.
 * `field` is borrowed by *ret. */
void sp_audit_repeats_event(const struct sp_audit_repeats *r,
                            struct sp_log_field field[SP_AUDIT_REPEATS_FIELDS], struct sp_audit_event *ret);

#endif
