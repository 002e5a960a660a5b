/* The table of DESIGN section 5. A presented token is first placed (where does its generation stand, and is a
 * window open?), then the place alone decides. Placing needs arithmetic and deserves tests of its own;
 * deciding is a row.
 *
 * Invariants
 *   - nothing that was not proved ours can change a session;
 *   - from one generation there is one successor, so any number of answers to a retry are the same answer;
 *   - a session that is over never comes back.
 *
 * Turned down: "last seen address or user agent differs" as a trigger (phones change networks; thieves copy
 * headers), and a list of used tokens (grows with every refresh, while the ratchet proves any of them). */
#include "core/session.h"

#include "base/assert.h"
#include "base/ct.h"
#include "base/mem.h"

enum place {
    PLACE_UNPROVED,
    PLACE_OTHER_CLIENT,
    PLACE_CURRENT,            /* g == G */
    PLACE_CURRENT_IN_GRACE,   /* g == G in cookie mode, G young: another tab */
    PLACE_PREVIOUS_IN_WINDOW, /* g == G-1 within grace, or the rotation's own attempt while G is unused */
    PLACE_RECENT,             /* g < G-1, rotated away within grace */
    PLACE_OLD,                /* g < G, no window open */
    PLACE_AHEAD_OF_OLD_STORE, /* g > G by what a store that went back can have lost */
    PLACE_AHEAD,              /* g > G: impossible */
    PLACE_COUNT
};

static const struct {
    enum sp_session_action action;
    enum sp_end_cause cause;
} table[PLACE_COUNT] = {
    [PLACE_UNPROVED] = {SP_ACT_REFUSE, SP_END_NONE},
    [PLACE_OTHER_CLIENT] = {SP_ACT_REFUSE_AUDIT, SP_END_NONE},
    [PLACE_CURRENT] = {SP_ACT_ROTATE, SP_END_NONE},
    [PLACE_CURRENT_IN_GRACE] = {SP_ACT_SAME, SP_END_NONE},
    [PLACE_PREVIOUS_IN_WINDOW] = {SP_ACT_SUCCESSOR, SP_END_NONE},
    [PLACE_RECENT] = {SP_ACT_SUPERSEDED, SP_END_NONE},
    [PLACE_OLD] = {SP_ACT_TRIP, SP_END_REUSE_DETECTED},
    [PLACE_AHEAD_OF_OLD_STORE] = {SP_ACT_HEAL, SP_END_NONE},
    [PLACE_AHEAD] = {SP_ACT_TRIP, SP_END_GENERATION_IMPOSSIBLE},
};

/* A window that was open at the last proof of life reopens when the server is ready again: the client could
 * not have retried in between. A time in the future (the clock was set back) counts as now: that cannot be an
 * attacker's doing, and the other reading would trip the honest. */
static bool window_open(int64_t opened_ms, int64_t now_ms, const struct sp_session_policy *p) {
    if (opened_ms == 0) return false;
    bool spans_restart =
        p->ready_ms != 0 && opened_ms < p->ready_ms && opened_ms + p->grace_ms >= p->alive_ms;
    int64_t from_ms = spans_restart ? p->ready_ms : opened_ms;
    return now_ms - from_ms <= p->grace_ms;
}

static bool same_attempt(const struct sp_session_row *row, const struct sp_refresh_event *e) {
    return row->has_attempt && e->has_attempt &&
           sp_ct_equal(SP_SLICE_ARRAY(row->attempt), SP_SLICE_ARRAY(e->attempt));
}

/* Tabs: the window of the clock alone, which does not reopen. It is there for answers that are still on their
 * way, and those ended with the connections. And a client cannot know of a restart: it would be answered
 * without a rotation when it counts on one, and a late copy of the same request would then rotate unheard. */
static enum place place_current(const struct sp_session_row *row, int64_t now_ms,
                                const struct sp_session_policy *p) {
    bool young = row->rotated_ms[0] != 0 && now_ms - row->rotated_ms[0] <= p->grace_ms;
    return row->mode == SP_MODE_COOKIE && young ? PLACE_CURRENT_IN_GRACE : PLACE_CURRENT;
}

/* rotated_ms[k] is when generation G-k became current, and so when G-k-1 was rotated away. */
static enum place place_older(const struct sp_session_row *row, const struct sp_refresh_event *e,
                              int64_t now_ms, const struct sp_session_policy *p) {
    uint32_t k = row->generation - e->generation - 1;
    bool open = k < SP_ROW_ROTATIONS_KEPT && window_open(row->rotated_ms[k], now_ms, p);
    if (k != 0) return open ? PLACE_RECENT : PLACE_OLD;
    bool retry = same_attempt(row, e) && !row->generation_used;
    return open || retry ? PLACE_PREVIOUS_IN_WINDOW : PLACE_OLD;
}

static enum place place_newer(const struct sp_session_row *row, const struct sp_refresh_event *e,
                              const struct sp_session_policy *p) {
    bool lost = row->incarnation < p->incarnation && e->proof == SP_PROOF_GENUINE &&
                e->generation - row->generation <= SP_HEAL_MAX;
    return lost ? PLACE_AHEAD_OF_OLD_STORE : PLACE_AHEAD;
}

static enum place place(const struct sp_session_row *row, const struct sp_refresh_event *e, int64_t now_ms,
                        const struct sp_session_policy *p) {
    if (e->proof == SP_PROOF_WRONG) return PLACE_UNPROVED;
    if (!e->same_client) return PLACE_OTHER_CLIENT;
    if (e->generation == row->generation) return place_current(row, now_ms, p);
    if (e->generation < row->generation) return place_older(row, e, now_ms, p);
    return place_newer(row, e, p);
}

static struct sp_session_decision trip_by_policy(enum sp_end_cause cause, enum sp_reuse_policy reuse) {
    enum sp_session_action action = reuse == SP_REUSE_REPORT ? SP_ACT_REPORT : SP_ACT_TRIP;
    return (struct sp_session_decision){.action = action, .cause = cause, .reach = reuse};
}

struct sp_session_decision sp_session_step(const struct sp_session_row *row,
                                           const struct sp_refresh_event *event, int64_t now_ms,
                                           const struct sp_session_policy *policy) {
    enum sp_end_cause over = sp_session_over(row, now_ms, policy);
    if (over != SP_END_NONE) return (struct sp_session_decision){.action = SP_ACT_REFUSE, .cause = over};
    enum place where = place(row, event, now_ms, policy);
    if (table[where].action == SP_ACT_TRIP) return trip_by_policy(table[where].cause, policy->reuse);
    return (struct sp_session_decision){.action = table[where].action, .cause = table[where].cause};
}

enum sp_end_cause sp_session_over(const struct sp_session_row *row, int64_t now_ms,
                                  const struct sp_session_policy *policy) {
    if (row->state != SP_SESSION_ACTIVE) return row->cause;
    if (row->global_epoch < policy->session_floor) return policy->floor_cause;
    if (now_ms >= row->absolute_expires_ms) return SP_END_EXPIRED_ABSOLUTE;
    if (now_ms >= row->idle_expires_ms) return SP_END_EXPIRED_IDLE;
    return SP_END_NONE;
}

sp_status sp_session_row_check(const struct sp_session_row *row) {
    bool ended = row->state == SP_SESSION_ENDED || row->state == SP_SESSION_TRIPPED;
    bool known = (ended || row->state == SP_SESSION_ACTIVE) &&
                 (row->mode == SP_MODE_TOKEN || row->mode == SP_MODE_COOKIE) &&
                 row->cause < SP_END_CAUSE_COUNT;
    bool end_told = ended == (row->cause != SP_END_NONE) && ended == (row->ended_ms != 0);
    bool times = row->created_ms >= 0 && row->absolute_expires_ms >= row->created_ms &&
                 row->idle_expires_ms <= row->absolute_expires_ms;
    bool rotations =
        row->generation <= SP_GENERATION_MAX && (row->generation == 0) == (row->rotated_ms[0] == 0);
    return known && end_told && times && rotations ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}

const char *sp_end_cause_name(enum sp_end_cause cause) {
    static const char *const names[SP_END_CAUSE_COUNT] = {
        [SP_END_NONE] = "none",
        [SP_END_LOGOUT] = "logout",
        [SP_END_LOGOUT_ALL] = "logout_all",
        [SP_END_PASSWORD_CHANGE] = "password_change",
        [SP_END_REUSE_DETECTED] = "reuse_detected",
        [SP_END_GENERATION_IMPOSSIBLE] = "generation_impossible",
        [SP_END_ADMIN] = "admin",
        [SP_END_EXPIRED_IDLE] = "expired_idle",
        [SP_END_EXPIRED_ABSOLUTE] = "expired_absolute",
        [SP_END_USER_DISABLED] = "user_disabled",
        [SP_END_USER_DELETED] = "user_deleted",
        [SP_END_RESTORE] = "restore",
        [SP_END_TOO_MANY_SESSIONS] = "too_many_sessions",
        [SP_END_EVERYONE] = "everyone",
        [SP_END_USER_ENDED] = "ended_by_user",
        [SP_END_REUSE_ELSEWHERE] = "reuse_detected_elsewhere",
        [SP_END_CODE_REPLAYED] = "code_replayed",
        [SP_END_CLIENT_REVOKED] = "client_revoked",
        [SP_END_PARENT] = "signed_out",
    };
    return cause < SP_END_CAUSE_COUNT ? names[cause] : "invalid_cause";
}
