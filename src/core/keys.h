/* The key ring: every secret of the server, sealed at rest, prepared in memory.
 *
 *   announced -> signing -> retired -> gone        (and from each: revoked)
 *
 * At rest a key is a row whose private bytes are sealed (AEAD) under the master key, bound to its kid, use
 * and alg: a row moved to another place does not open. In memory there is one immutable snapshot, replaced
 * whole by every change and freed (its secrets wiped) when its last reader has left; so loops read without a
 * lock.
 *
 *   ACCESS   signs access tokens; kid is the RFC 7638 thumbprint, or random for HS256
 *   REFRESH  tag and ratchet of refresh tokens, numbered 1..255; a retired one lives as long as the longest
 *            session
 *   FEED     signs the revocation feed (Ed25519); kid is the thumbprint. Rotated by hand; a retired one
 * stays, to vouch for its successor SID_TAG, CSRF, AUDIT   made once, never rotated
 *
 * What must change and when is decided by sp_keys_plan, which is pure; sp_keys_carry_out makes the rows; the
 * caller commits them; the store's publisher brings each row back through sp_keys_apply. */
#ifndef SP_CORE_KEYS_H
#define SP_CORE_KEYS_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/ports.h"
#include "core/rows.h"
#include "core/seats.h"
#include "core/store.h"
#include "crypto/sig.h"
#include "token/jwk.h"
#include "token/refresh_token.h"

enum {
    SP_MASTER_KEY_BYTES = 32,
    SP_KEYS_ACCESS_MAX = 16,  /* live access keys that rotating may make ... */
    SP_KEYS_ACCESS_HELD = 32, /* ... and that a verifier holds: the rest is for keys that must be replaced */
    SP_KEYS_FEED_MAX = 8,     /* live feed keys: rotated by hand, kept for SP_KEY_FEED_KEPT_S */
    SP_KEYS_MAX = SP_KEYS_ACCESS_HELD + 255 + SP_KEYS_FEED_MAX +
                  3,                 /* live rows: with every number of refresh keys, and the fixed ones */
    SP_KEY_FEED_KEPT_S = 90 * 86400, /* how long a verifier may be away and still learn the new feed key */
    SP_KEY_HOLD_MAX_S = 60, /* how long an announced key waits for verifiers that do not have it yet */
    SP_KEY_STEPS_MAX = 64,  /* one plan; a longer one goes on at the next tick */
    SP_KEY_GONE_EXTRA_S =
        60, /* a retired key outlives the last token that it signed by the slack and this much */
};

/* Stable texts ("access", "retired"). Static storage. */
const char *sp_key_use_name(enum sp_key_use use);
const char *sp_key_state_name(enum sp_key_state state);
/* Bits of an RSA key's modulus, by its public_jwk: for people, not for decisions. 0: another kind of key. */
uint32_t sp_key_rsa_bits(const struct sp_key_row *row);

/* ---- planning: pure ---- */

struct sp_key_schedule {
    enum sp_alg alg;        /* of new access keys; another one than the signing key's is replaced at once */
    int64_t rotate_every_s; /* 0: by hand only */
    int64_t announce_s;
    int64_t access_ttl_max_s; /* longest ever configured (meta.access_ttl_max_s) */
    int64_t absolute_ttl_s;   /* longest session */
    /* A live verifier has not confirmed the keys as they are: announced ones that are due wait for it, at
     * most SP_KEY_HOLD_MAX_S. */
    bool hold_announced;
};

enum sp_key_step_kind {
    SP_KEY_STEP_CREATE, /* a new key of (use, alg, number) in `state` */
    SP_KEY_STEP_SIGN,   /* rows[row]: announced -> signing */
    SP_KEY_STEP_RETIRE, /* rows[row]: signing -> retired */
    SP_KEY_STEP_DROP,   /* rows[row]: announced, retired -> gone; the sealed bytes are forgotten */
    SP_KEY_STEP_REVOKE, /* rows[row]: any of these -> revoked; the sealed bytes are forgotten */
};
/* The state machine of a key, as a table in keys_make.c. SP_E_CONFLICT: no step from there. */
sp_status sp_key_next_state(enum sp_key_state from, enum sp_key_step_kind kind, enum sp_key_state *ret);
struct sp_key_step {
    enum sp_key_step_kind kind;
    size_t row;
    enum sp_key_use use;
    enum sp_alg alg; /* CREATE of ACCESS, FEED */
    enum sp_key_state state;
    uint8_t number; /* CREATE of REFRESH */
};
struct sp_key_plan {
    struct sp_key_step steps[SP_KEY_STEPS_MAX];
    size_t n; /* 0: nothing to do */
};
/* What time and configuration ask for: with no rows at all, everything that a first start makes. */
void sp_keys_plan(const struct sp_key_row *rows, size_t n, int64_t now_ms,
                  const struct sp_key_schedule *schedule, struct sp_key_plan *ret);
/* What an administrator asks for. `use` is ACCESS, REFRESH or FEED; refresh keys always sign at once, because
 * no verifier has to learn them; feed keys never do (SP_E_REFUSED), because no verifier would believe them.
 * SP_E_LIMIT: every number of refresh keys is taken. SP_E_BUSY: a successor is announced already (and not
 * immediately). */
sp_status sp_keys_plan_rotate(const struct sp_key_row *rows, size_t n, enum sp_key_use use, bool immediately,
                              const struct sp_key_schedule *schedule, struct sp_key_plan *ret);
/* SP_E_NOT_FOUND: no such kid; SP_E_REFUSED: SID_TAG, CSRF and AUDIT keys, which are never revoked, and a
 * FEED key that signs, which must be rotated first; SP_E_CONFLICT: it is gone or revoked already. */
sp_status sp_keys_plan_revoke(const struct sp_key_row *rows, size_t n, sp_slice kid,
                              const struct sp_key_schedule *schedule, struct sp_key_plan *ret);

/* ---- carrying out ---- */

struct sp_key_change {
    enum sp_key_step_kind kind;
    struct sp_key_row row;
    uint64_t expect_version; /* SP_VERSION_ABSENT for CREATE */
};
struct sp_key_changes {
    struct sp_key_change *v; /* heap */
    size_t n;
};
#define SP_KEY_CHANGES_INIT                                                                                  \
    { .v = NULL, .n = 0 }
void sp_key_changes_done(struct sp_key_changes *c);

/* Makes the rows: generates, seals. RSA takes up to seconds, the others microseconds. `master_key`:
 * SP_MASTER_KEY_BYTES. */
sp_status sp_keys_carry_out(const struct sp_key_plan *plan, const struct sp_key_row *rows, size_t n,
                            sp_slice master_key, const struct sp_random *random, int64_t now_ms,
                            const struct sp_key_schedule *schedule, struct sp_key_changes *ret);
/* The KEY_PUT change for changes->v[i], which must outlive it. */
struct sp_change sp_key_change_put(const struct sp_key_changes *changes, size_t i);

/* The audit record of one change: KEY_CREATED, KEY_ROTATED, ...; target is the kid. The caller adds actor and
 * request. `field` has room for 3 and, like the change, is borrowed by *ret. */
struct sp_audit_event;
struct sp_log_field;
void sp_key_change_event(const struct sp_key_change *change, struct sp_log_field field[3],
                         struct sp_audit_event *ret);

/* Opens a row's private bytes into *ret. SP_E_CRYPTO: another master key, or not this row's bytes. */
sp_status sp_key_unseal(const struct sp_key_row *row, sp_slice master_key, struct sp_buf *ret);

/* ---- the ring ---- */

struct sp_keys;

/* Loads and unseals rows (all of SP_READ_KEYS). SP_E_CRYPTO: the master key is not the one that sealed them;
 * SP_E_MALFORMED: a row that is none; SP_E_NOT_FOUND: a key that every server has is missing (carry out a
 * plan first, commit, read again). `seats` and what it stands on outlive the ring; the master key is copied.
 */
sp_status sp_keys_new(struct sp_seats *seats, sp_slice master_key, const struct sp_key_row *rows, size_t n,
                      struct sp_keys **ret);
/* The same of a store that nobody serves yet and that may be of before the feed: its ring may lack the feed's
 * key, which the next start makes. */
sp_status sp_keys_new_past(struct sp_seats *seats, sp_slice master_key, const struct sp_key_row *rows,
                           size_t n, struct sp_keys **ret);
void sp_keys_free(struct sp_keys *keys);
SP_DEFINE_FREE(sp_keys);
/* A row has changed (publisher). One writer at a time. On failure the ring is as it was. */
sp_status sp_keys_apply(struct sp_keys *keys, const struct sp_key_row *row);

/* Good as long as the ring; any thread, no seat needed. */
const struct sp_hmac_key *sp_keys_sid_tag(const struct sp_keys *keys);
const struct sp_hmac_key *sp_keys_csrf(const struct sp_keys *keys);
const struct sp_hmac_key *sp_keys_audit(const struct sp_keys *keys);

/* What changes is read from a snapshot: between sp_seats_enter and sp_seats_leave, and good only there. */
struct sp_key_snapshot;
const struct sp_key_snapshot *sp_keys_now(const struct sp_keys *keys);

/* The key that signs access tokens now: its kid (borrowed from the snapshot) and alg. Always there. */
struct sp_key_signing {
    sp_slice kid;
    enum sp_alg alg;
};
struct sp_key_signing sp_snapshot_signing(const struct sp_key_snapshot *s);
/* The private key of a kid that is not gone, borrowed; NULL: none. Retired ones too: a token that was begun
 * under the old key a moment ago is still finished. */
const struct sp_sig_key *sp_snapshot_private(const struct sp_key_snapshot *s, sp_slice kid,
                                             enum sp_alg *ret_alg);
/* The feed keys, the one that signs first, then the announced, then the retired from the youngest on.
 * Borrowed from the snapshot. */
struct sp_feed_key {
    sp_slice kid;
    uint8_t thumbprint[SP_SHA256_BYTES];
    enum sp_key_state state;
    const struct sp_sig_key *key; /* private */
};
/* At least 1 (but for sp_keys_new_past), at most SP_KEYS_FEED_MAX. */
size_t sp_snapshot_feed_keys(const struct sp_key_snapshot *s, const struct sp_feed_key **ret);
/* The refresh key under which new sessions are born. Always there. */
const struct sp_refresh_key *sp_snapshot_refresh_current(const struct sp_key_snapshot *s);
/* By number, signing or retired; NULL: none. An sp_refresh_key_find, with the snapshot as arg. */
const struct sp_refresh_key *sp_snapshot_refresh_find(void *snapshot, uint8_t number);
/* {"keys":[...]}: announced, signing and retired public keys. */
sp_slice sp_snapshot_jwks(const struct sp_key_snapshot *s);
/* For authn.set_keys: announced, signing and retired, HS256 too. Borrowed. */
const struct sp_jwk *sp_snapshot_verification(const struct sp_key_snapshot *s, size_t *ret_n);
/* The rows that are neither gone nor revoked, as stored, sealed bytes too: for sp_keys_plan. Borrowed. */
const struct sp_key_row *sp_snapshot_rows(const struct sp_key_snapshot *s, size_t *ret_n);

#endif
