/* A presented refresh token whose rotation did not apply, or shall be recorded: read, prove, ask the machine,
 * act.
 *
 *   meta, session -> sp_tripwire_prove -> sp_session_step -> one conditional write, or a refusal
 *
 * Every act but a trip for reuse expects the row as it was read; when someone was faster, everything is read
 * and asked anew. A trip expects a session that lives, so two presenters of one token never make two trips.
 */
#include "core/app_refresh.h"

#include "core/directory.h"
#include "core/oauth_internal.h"
#include "core/tripwire.h"
#include "token/ids.h"

static void refuse(struct sp_refresh_op *op) {
    sp_op_finish(&op->t.base, SP_OUTCOME_INVALID_GRANT);
}

/* ---- records ---- */

struct record {
    char target[SP_ID_CHARS];
    struct sp_log_field detail[3];
    struct sp_audit_event event;
};

static void record_of(const struct sp_refresh_op *op, enum sp_audit_action action,
                      enum sp_audit_outcome outcome, struct record *ret) {
    sp_id user;
    memcpy(user.b, op->seen.user_id, sizeof(user.b));
    sp_id_text(user, ret->target);
    ret->detail[0] = SP_LOGF_I64("presented", op->token.generation);
    ret->detail[1] = SP_LOGF_I64("current", op->seen.generation);
    ret->event = (struct sp_audit_event){.action = action,
                                         .outcome = outcome,
                                         .target = SP_SLICE_ARRAY(ret->target),
                                         .sid = op->seen.sid,
                                         .detail = ret->detail,
                                         .detail_n = 2};
    if (op->t.client == NULL) return;
    ret->detail[2] = SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->client_id)); /* who presented it */
    ret->event.detail_n = 3;
}

static enum sp_audit_action action_of(enum sp_end_cause cause) {
    return cause == SP_END_GENERATION_IMPOSSIBLE ? SP_AUDIT_GENERATION_IMPOSSIBLE
                                                 : SP_AUDIT_REFRESH_REUSE_DETECTED;
}

/* Nothing unless audit.refresh. `kind` says how the machine answered; the generation is the one given out. */
static sp_status record_refresh(struct sp_refresh_op *op, const char *kind, uint32_t generation) {
    if (!op->t.base.app->config.audit_refresh) return SP_SUCCESS;
    struct record record;
    record_of(op, SP_AUDIT_REFRESHED, SP_AUDIT_OK, &record);
    record.detail[0] = SP_LOGF_TEXT("kind", sp_slice_cstr(kind));
    record.detail[1] = SP_LOGF_I64("generation", generation);
    return sp_op_audit(&op->t.base, &record.event);
}

/* ---- acts ---- */

static void tripped(struct sp_op *base, sp_status status) {
    struct sp_refresh_op *op = (struct sp_refresh_op *)(void *)base;
    if (sp_is(status, SP_E_CONFLICT)) {
        sp_refresh_ask(op);
        return;
    }
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    atomic_fetch_add_explicit(&base->app->counters.trips, 1, memory_order_relaxed);
    op->t.reuse_detected = true;
    refuse(op);
}

static void add_nuclear(struct sp_refresh_op *op) {
    struct sp_op *base = &op->t.base;
    sp_op_change(base, SP_CHANGE_SESSIONS_END)->sessions_end =
        (struct sp_sessions_end){.tenant = SP_TENANT_DEFAULT,
                                 .user_id = op->seen.user_id,
                                 .sid_tag = op->seen.sid,
                                 .except_sid = op->seen.sid,
                                 .state = SP_SESSION_ENDED,
                                 .cause = SP_END_REUSE_ELSEWHERE,
                                 .now_ms = base->now_ms};
    sp_op_change(base, SP_CHANGE_USER_EPOCH)->user_epoch =
        (struct sp_user_epoch){.tenant = SP_TENANT_DEFAULT,
                               .id = op->seen.user_id,
                               .expires_s = sp_app_epoch_expires_s(base->app, base->now_ms)};
}

/* What is old stays old, however often the session moves on meanwhile; a thief who refreshes without a pause
 * must not outrun the trip. What is impossible now may have become possible. */
static uint32_t generation_to_trip(const struct sp_refresh_op *op) {
    return op->decision.cause == SP_END_REUSE_DETECTED ? SP_GENERATION_ANY : op->seen.generation;
}

/* Whoever holds old tokens of a session can trip it at will. A client is not to end by that what is not its
 * own, unless it is one of the operator's. */
static bool reaches_user(const struct sp_refresh_op *op) {
    const struct sp_client *client = op->t.client;
    return op->decision.reach == SP_REUSE_USER && (client == NULL || client->row.trusted);
}

static void trip(struct sp_refresh_op *op) {
    struct sp_op *base = &op->t.base;
    sp_op_change(base, SP_CHANGE_SESSION_END)->session_end =
        (struct sp_session_end){.tenant = SP_TENANT_DEFAULT,
                                .sid = op->seen.sid,
                                .user_id = op->seen.user_id,
                                .expect_generation = generation_to_trip(op),
                                .state = SP_SESSION_TRIPPED,
                                .cause = op->decision.cause,
                                .now_ms = base->now_ms};
    if (reaches_user(op)) add_nuclear(op);
    struct record record;
    record_of(op, action_of(op->decision.cause), SP_AUDIT_ALARM, &record);
    sp_status recorded = sp_op_audit(base, &record.event);
    if (sp_ok(recorded)) {
        sp_op_commit(base, tripped);
    } else {
        sp_op_fail(base, recorded);
    }
}

static void report(struct sp_refresh_op *op) {
    struct record record;
    record_of(op, action_of(op->decision.cause), SP_AUDIT_ALARM, &record);
    sp_op_audit_coalesced(&op->t.base, &record.event);
    op->t.reuse_detected = true;
    refuse(op);
}

/* A client's own token, bound to a key, and no proof at all: most likely one that has forgotten it. */
static bool lacks_proof(const struct sp_refresh_op *op) {
    return op->t.client != NULL && op->seen.mode == op->mode && op->seen.jkt.n != 0 && op->t.jkt.n == 0 &&
           sp_slice_eq(SP_TEXT_SLICE(&op->seen.client_id), SP_TEXT_SLICE(&op->client_id));
}

/* The machine says this of proved tokens alone. Strangers, and holders of another key, are told nothing. */
static void refuse_client(struct sp_refresh_op *op) {
    struct record record;
    record_of(op, SP_AUDIT_CLIENT_MISMATCH, SP_AUDIT_DENIED, &record);
    sp_op_audit_coalesced(&op->t.base, &record.event);
    if (lacks_proof(op))
        op->t.base.trouble = sp_oauth_trouble_of(SP_OAUTH_INVALID_GRANT,
                                                 "this refresh token is bound to a key; send a DPoP proof");
    refuse(op);
}

static void supersede(struct sp_refresh_op *op) {
    atomic_fetch_add_explicit(&op->t.base.app->counters.superseded, 1, memory_order_relaxed);
    sp_op_finish(&op->t.base, SP_OUTCOME_REFRESH_SUPERSEDED);
}

static void written(struct sp_op *base, sp_status status) {
    struct sp_refresh_op *op = (struct sp_refresh_op *)(void *)base;
    if (sp_ok(status)) {
        if (op->decision.action == SP_ACT_HEAL) {
            atomic_fetch_add_explicit(&base->app->counters.heals, 1, memory_order_relaxed);
        }
        sp_refresh_applied(op);
    } else if (sp_is(status, SP_E_CONFLICT)) {
        sp_refresh_ask(op);
    } else {
        sp_op_fail(base, status);
    }
}

static void commit_recorded(struct sp_refresh_op *op, sp_status recorded) {
    if (sp_ok(recorded)) {
        sp_op_commit(&op->t.base, written);
    } else {
        sp_op_fail(&op->t.base, recorded);
    }
}

static void rotate(struct sp_refresh_op *op) {
    if (!sp_ok(sp_refresh_successor(op))) {
        refuse(op); /* the key was withdrawn in between */
        return;
    }
    sp_refresh_add_rotate(op, op->token.generation, op->token.secret, false);
    commit_recorded(op, record_refresh(op, "rotated", op->next_generation));
}

/* The proof has walked the row's secret forward to the token's, so the token's own secret is what the lost
 * rows held. */
static void heal(struct sp_refresh_op *op) {
    if (!sp_ok(sp_refresh_successor(op))) {
        refuse(op);
        return;
    }
    sp_refresh_add_rotate(op, op->seen.generation, op->seen.secret, true);
    struct record record;
    record_of(op, SP_AUDIT_STORE_ROLLBACK, SP_AUDIT_ALARM, &record);
    sp_status recorded = sp_op_audit(&op->t.base, &record.event);
    if (sp_ok(recorded)) recorded = record_refresh(op, "healed", op->next_generation);
    commit_recorded(op, recorded);
}

/* Generation G again, for another tab (which presents G, and so has used it) or for a retry (which presents G
 * - 1). */
static void reissue(struct sp_refresh_op *op, bool mark_used) {
    if (!sp_ok(sp_refresh_current(op))) {
        refuse(op);
        return;
    }
    sp_refresh_add_reissue(op, mark_used);
    commit_recorded(op, record_refresh(op, "reissued", op->seen.generation));
}

/* A confidential client may be one whose tokens are not rotated: then the current one stays current, however
 * often it comes. The tripwire is still there for older ones, from when they were rotated. */
static void keep(struct sp_refresh_op *op) {
    if (!sp_ok(sp_refresh_add_keep(op))) {
        refuse(op);
        return;
    }
    commit_recorded(op, record_refresh(op, "kept", op->seen.generation));
}

static bool gives_tokens(enum sp_session_action action) {
    return action == SP_ACT_ROTATE || action == SP_ACT_SAME || action == SP_ACT_SUCCESSOR ||
           action == SP_ACT_HEAL;
}

/* RFC 6749 section 6: never more than was granted. NONE, or what is too much; looked at before anything
 * moves.
 */
static enum sp_oauth_error too_much(const struct sp_refresh_op *op) {
    if (!gives_tokens(op->decision.action)) return SP_OAUTH_NONE;
    if (op->t.scope_asked && !sp_words_within(SP_TEXT_SLICE(&op->t.scope), SP_TEXT_SLICE(&op->seen.scope)))
        return SP_OAUTH_INVALID_SCOPE;
    if (!sp_words_within(SP_TEXT_SLICE(&op->t.aud), SP_TEXT_SLICE(&op->seen.aud)))
        return SP_OAUTH_INVALID_TARGET;
    return SP_OAUTH_NONE;
}

static void act(struct sp_refresh_op *op) {
    sp_op_reset(&op->t.base);
    const enum sp_oauth_error excess = too_much(op);
    if (excess != SP_OAUTH_NONE) {
        sp_oauth_refuse(&op->t.base, excess, "more than was granted");
        return;
    }
    switch (op->decision.action) {
    case SP_ACT_REFUSE: refuse(op); break;
    case SP_ACT_REFUSE_AUDIT: refuse_client(op); break;
    case SP_ACT_ROTATE: op->keeps_token ? keep(op) : rotate(op); break;
    case SP_ACT_SAME: reissue(op, true); break;
    case SP_ACT_SUCCESSOR: reissue(op, false); break;
    case SP_ACT_SUPERSEDED: supersede(op); break;
    case SP_ACT_HEAL: heal(op); break;
    case SP_ACT_TRIP: trip(op); break;
    case SP_ACT_REPORT: report(op); break;
    }
}

/* ---- reading and asking ---- */

/* A proof for a session that is bound to no key binds the access token alone. */
static bool same_client(const struct sp_refresh_op *op) {
    const sp_slice bound = SP_TEXT_SLICE(&op->seen.jkt);
    if (sp_client_inherits(op->t.client, &op->seen)) return false;
    return op->seen.mode == op->mode && (bound.n == 0 || sp_slice_eq(bound, SP_TEXT_SLICE(&op->t.jkt))) &&
           sp_slice_eq(SP_TEXT_SLICE(&op->seen.client_id), SP_TEXT_SLICE(&op->client_id));
}

static void judge(struct sp_refresh_op *op) {
    struct sp_op *base = &op->t.base;
    struct sp_refresh_event event = {.proof = op->proof,
                                     .generation = op->token.generation,
                                     .same_client = same_client(op),
                                     .has_attempt = op->has_attempt};
    memcpy(event.attempt, op->attempt, sizeof(event.attempt));
    sp_op_actor_user(base, op->seen.user_id);
    base->now_ms = sp_app_now_ms(base->app);
    op->decision = sp_session_step(&op->seen, &event, base->now_ms, &op->policy);
    act(op);
}

static sp_status prove(struct sp_op *base) {
    struct sp_refresh_op *op = (struct sp_refresh_op *)(void *)base;
    op->proof = sp_app_refresh_prove(op->t.base.app, &op->seen, &op->token);
    return SP_SUCCESS;
}

static void proved(struct sp_op *base, sp_status status) {
    if (sp_ok(status)) {
        judge((struct sp_refresh_op *)(void *)base);
    } else {
        sp_op_fail(base, status);
    }
}

/* Of a session that is over nothing need be proved: the machine refuses before it looks. */
static void decide(struct sp_refresh_op *op) {
    struct sp_op *base = &op->t.base;
    op->policy = sp_app_policy(base->app, &op->meta);
    op->proof = SP_PROOF_WRONG;
    if (sp_session_over(&op->seen, sp_app_now_ms(base->app), &op->policy) != SP_END_NONE) {
        judge(op);
    } else {
        sp_op_proof(base, sp_tripwire_is_long(&op->seen, &op->token), prove, proved);
    }
}

/* A write that the machine allowed and the store keeps refusing has one reason left: its user is not allowed
 * to. */
static void user_read(struct sp_op *base, sp_status status) {
    struct sp_refresh_op *op = (struct sp_refresh_op *)(void *)base;
    bool gone = sp_is(status, SP_E_NOT_FOUND);
    if (!sp_ok(status) && !gone) {
        sp_op_fail(base, status);
    } else if (gone || base->read.ret.users[0].disabled) {
        refuse(op);
    } else {
        decide(op);
    }
}

static void read_user(struct sp_refresh_op *op) {
    struct sp_store_read *r = sp_op_read_begin(&op->t.base, SP_READ_USER_BY_ID);
    r->key = SP_SLICE_ARRAY(op->seen.user_id);
    sp_op_read(&op->t.base, user_read);
}

static void session_read(struct sp_op *base, sp_status status) {
    struct sp_refresh_op *op = (struct sp_refresh_op *)(void *)base;
    if (sp_is(status, SP_E_NOT_FOUND)) {
        refuse(op);
        return;
    }
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->seen = base->read.ret.sessions[0];
    op->bound = op->seen.jkt;
    if (!sp_ok(sp_session_row_check(&op->seen))) {
        SP_LOG(&base->app->deps.log, SP_LOG_ERROR, "session_row_impossible",
               SP_LOGF_I64("generation", op->seen.generation));
        sp_op_finish(base, SP_OUTCOME_INTERNAL);
    } else if (base->tries > 1) {
        read_user(op);
    } else {
        decide(op);
    }
}

static void meta_read(struct sp_op *base, sp_status status) {
    struct sp_refresh_op *op = (struct sp_refresh_op *)(void *)base;
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->meta = base->read.ret.meta;
    struct sp_store_read *r = sp_op_read_begin(base, SP_READ_SESSION);
    r->key = SP_SLICE_ARRAY(op->token.sid.b);
    sp_op_read(base, session_read);
}

/* The meta row first: a session floor that is raised after it makes the write conflict, and we are back here.
 */
void sp_refresh_ask(struct sp_refresh_op *op) {
    struct sp_op *base = &op->t.base;
    if (++base->tries > SP_OP_RETRIES_MAX) {
        sp_op_finish(base, SP_OUTCOME_STORE_UNAVAILABLE);
        return;
    }
    sp_op_read_begin(base, SP_READ_META);
    sp_op_read(base, meta_read);
}
