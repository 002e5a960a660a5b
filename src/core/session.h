/* The session machine: what a presented refresh token may do, as a pure table.
 *
 *   sp_session_step(facts, event, now, policy) -> decision
 *
 * No store, no clock, no crypto: tripwire.c proves the token and turns a row into facts, app.c carries the
 * decision out as one conditional write and, when that write no longer applies, reads again and asks again.
 * DESIGN section 5 is the drawing. */
#ifndef SP_CORE_SESSION_H
#define SP_CORE_SESSION_H

#include "core/rows.h"

enum {
    SP_GRACE_DEFAULT_MS =
        10 * 1000, /* covers a lost answer and its retry; THREATS.md: what a thief gains by it */
    SP_GRACE_MAX_MS = 60 * 1000,
    SP_HEAL_MAX = 1000, /* generations that a store may have lost and still be healed */
    SP_RATCHET_PROOF_MAX =
        16384, /* steps to prove an old token: 30 days at one refresh every three minutes; about 6 ms */
    SP_GENERATION_MAX = 0x7FFFFFFF,
};

/* What the ratchet said about the presented secret, the tag being right. */
enum sp_proof {
    SP_PROOF_WRONG,   /* tag or secret wrong, or too old to prove: nobody can trip a session with it */
    SP_PROOF_GENUINE, /* our own token of generation g */
    SP_PROOF_BEYOND,  /* tag ours, g too far above G to be compared */
};

enum sp_reuse_policy { SP_REUSE_SESSION, SP_REUSE_USER, SP_REUSE_REPORT };

struct sp_session_policy {
    int64_t grace_ms;
    enum sp_reuse_policy reuse;
    /* Windows reopen: one that was still open at the last proof of life before this start (alive_ms) is
     * counted from ready_ms on. Both 0: no restart to speak of. */
    int64_t alive_ms;
    int64_t ready_ms;
    uint32_t incarnation;   /* the store's current one */
    uint32_t session_floor; /* sessions born under a lower global epoch are over */
    enum sp_end_cause floor_cause;
};

struct sp_refresh_event {
    enum sp_proof proof;
    uint32_t generation; /* g */
    bool same_client;    /* client id, mode and DPoP key equal the session's */
    bool has_attempt;
    uint8_t attempt[SP_ROW_ATTEMPT_BYTES];
};

enum sp_session_action {
    SP_ACT_REFUSE,       /* invalid_grant; nothing changes */
    SP_ACT_REFUSE_AUDIT, /* the same, and an audit record: a genuine token from another client */
    SP_ACT_ROTATE,       /* G + 1 and an access token */
    SP_ACT_SAME,         /* cookie mode within the grace time: generation G again, no rotation */
    SP_ACT_SUCCESSOR,    /* the retry: generation G = g + 1 again, and an access token */
    SP_ACT_SUPERSEDED,   /* refresh_superseded: no tokens, no trip */
    SP_ACT_HEAL,         /* the store went back in time: to g + 1, audit store_rollback */
    SP_ACT_TRIP,         /* revoke by policy, one audit record, one metric */
    SP_ACT_REPORT,       /* policy `report`: refuse, record, leave the session alone */
};

struct sp_session_decision {
    enum sp_session_action action;
    enum sp_end_cause
        cause; /* TRIP, REPORT: why. REFUSE: why the session is over, for its history (or NONE) */
    enum sp_reuse_policy reach; /* TRIP: SESSION or USER */
};

struct sp_session_decision sp_session_step(const struct sp_session_row *row,
                                           const struct sp_refresh_event *event, int64_t now_ms,
                                           const struct sp_session_policy *policy);

/* Why the session is over at now_ms, or SP_END_NONE while it lives. For lists and histories as well. */
enum sp_end_cause sp_session_over(const struct sp_session_row *row, int64_t now_ms,
                                  const struct sp_session_policy *policy);

/* How long ago somebody logged in. A login that is still to come (the clock was set back) is as old as can
 * be: nobody can tell how old it is. */
static inline int64_t sp_login_age_s(int64_t auth_time_s, int64_t now_s) {
    return auth_time_s > now_s ? INT64_MAX : now_s - auth_time_s;
}

/* Invariants of a row, checked when it is loaded: the disk is another author. */
sp_status sp_session_row_check(const struct sp_session_row *row);

#endif
