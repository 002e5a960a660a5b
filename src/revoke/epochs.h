/* Revocation epochs: a user's or everyone's tokens at once, without naming them.
 *
 * Every access token carries its user's epoch (epu) and the global one (epg) as they were when it was issued.
 * Raising an epoch refuses all tokens that carry a lower one; a token with a higher epoch than we know is
 * younger than our knowledge, and fine. A token issued after the raise carries the new epoch, so a login in
 * the same second is not caught.
 *
 * The map from user to epoch is exact: 16-byte ids in full. A client that acts for itself is a subject of its
 * own (an id of a user is never that of a client), and is raised the same way. Users that were never raised
 * within the lifetime of a token have no entry: that is what keeps it small.
 *
 * Readers take no lock: see reclaim.h; they look between enter and exit. Writers take the mutex. */
#ifndef SP_REVOKE_EPOCHS_H
#define SP_REVOKE_EPOCHS_H

#include "base/ports.h"
#include "revoke/reclaim.h"

#define SP_EPOCHS_SUB_BYTES 16
/* Users raised within one token lifetime: 2^22 are 4,600 a second at 15 minutes, and at most 210 MiB. Who
 * must end more than that raises the global epoch. Lapsed users do not count. */
#define SP_EPOCHS_USERS_MAX ((size_t)1 << 22)

struct sp_epochs;

struct sp_epochs_opts {
    struct sp_reclaim *reclaim;     /* borrowed; outlives the map */
    const struct sp_random *random; /* borrowed for the call: draws the hash key */
    size_t users_max;               /* 0: SP_EPOCHS_USERS_MAX, the most that there may be */
    /* For tests: forces collisions. NULL: keyed SipHash-2-4. */
    uint64_t (*hash_for_test)(const uint8_t *key, sp_slice sub);
};

enum sp_epoch_verdict {
    SP_EPOCH_REVOKED = 0, /* the user's or the global epoch is higher than the token's */
    SP_EPOCH_CURRENT = 1,
};

/* SP_E_NOMEM, SP_E_LIMIT, SP_E_UNAVAILABLE. */
sp_status sp_epochs_new(const struct sp_epochs_opts *opts, struct sp_epochs **ret);
/* No reader is inside any more. Accepts NULL. */
void sp_epochs_free(struct sp_epochs *e);
SP_DEFINE_FREE(sp_epochs);

/* From now on tokens of `sub` need epu >= epoch. Only ever raises; idempotent. Until expiry_s inclusive: the
 * last moment at which a token with a lower epoch could pass for another reason. Any thread.
 * SP_E_MALFORMED: `sub` has not 16 bytes. SP_E_NOMEM, SP_E_LIMIT: NOT raised, all else stands; the caller
 * must fail closed, as for sp_revoke_set_add (raising the global epoch instead needs no memory). */
sp_status sp_epochs_raise_user(struct sp_epochs *e, sp_slice sub, uint32_t epoch, int64_t expiry_s,
                               int64_t now_s);
/* From now on every token needs epg >= epoch. Only ever raises; never lapses; never fails. Any thread. */
void sp_epochs_raise_global(struct sp_epochs *e, uint32_t epoch);
uint32_t sp_epochs_global(const struct sp_epochs *e);

/* May a token of `sub` with these epochs pass? A `sub` of another length than 16 is nobody whom we can raise:
 * refused. Inside enter/exit. Any thread, no lock. */
enum sp_epoch_verdict sp_epochs_check(const struct sp_epochs *e, sp_slice sub, uint32_t epu, uint32_t epg)
    __attribute__((warn_unused_result));

struct sp_epochs_entry {
    uint8_t sub[SP_EPOCHS_SUB_BYTES];
    uint32_t epoch;
    int64_t expiry_s; /* the last second in force; UINT32_MAX: for ever */
};
/* Where a dump has come to: {0} begins. As struct sp_revoke_dump: a plain value, to be kept at will. */
struct sp_epochs_dump {
    uint64_t at;                        /* users with a lower hash have been given */
    uint8_t after[SP_EPOCHS_SUB_BYTES]; /* of those with this hash, the ones up to here */
    bool has_after;
};
/* The next users in force at now_s, at most n_max (> 0), perhaps fewer, perhaps none, before *ret_end. With
 * the guarantee of sp_revoke_set_dump: who is in the map before the first step and does not lapse is given.
 * The global epoch is not in it: read it (sp_epochs_global) before the first step. Inside enter/exit. */
size_t sp_epochs_dump(const struct sp_epochs *e, struct sp_epochs_dump *cursor, int64_t now_s,
                      struct sp_epochs_entry *ret, size_t n_max, bool *ret_end);

/* Drops users whose expiry is before now_s, in turns, where that is worth a rebuild: as sp_revoke_set_expire.
 */
void sp_epochs_expire(struct sp_epochs *e, int64_t now_s);
/* Forgets every user; the global epoch stays. As sp_revoke_set_clear. */
void sp_epochs_clear_users(struct sp_epochs *e);
/* Users in the map, lapsed ones included. Any thread; takes the lock. */
size_t sp_epochs_users(struct sp_epochs *e);

#endif
