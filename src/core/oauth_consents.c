/* What a person has allowed to whom: the list, and taking it back.
 *
 * Taking back ends what the client has of the person as well, those with offline_access too. First the
 * consent goes, in one commit with the record; then the client's sessions, a few at a time, each with its
 * record. Whoever is told OK has seen all of them go. A code that is under way becomes no session any more:
 * redeeming asks for the consent in its own commit (oauth_grant_code.c). One of a trusted client, for which
 * nobody is asked, still may; that session stands in the list of sessions. */
#include "core/oauth_internal.h"

/* ---- the list ---- */

struct consents_op {
    struct sp_op base;
    size_t n;
};

static void consents_say(struct sp_op *base, sp_any_done *done, void *arg, enum sp_outcome outcome) {
    struct sp_consents_result result = {.outcome = outcome};
    if (outcome == SP_OUTCOME_OK) {
        result.rows = base->read.ret.consents;
        result.n = ((const struct consents_op *)(const void *)base)->n;
    }
    ((sp_consents_done *)done)(arg, &result);
}
static const struct sp_op_kind consents_kind = {.size = sizeof(struct consents_op), .say = consents_say};

/* One of a client that is gone, or has another life by now, is worth nothing and is not shown. */
static bool still_counts(struct sp_app *app, const struct sp_consent_row *row) {
    const struct sp_client *client = sp_live_clients_get(app->clients, SP_TEXT_SLICE(&row->client_id));
    const bool counts = client != NULL && row->granted_ms >= client->row.created_ms;
    sp_client_release(client);
    return counts;
}

static void consents_read(struct sp_op *base, sp_status status) {
    struct consents_op *op = (struct consents_op *)(void *)base;
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    struct sp_consent_row *rows = base->read.ret.consents;
    for (uint32_t i = 0; i < base->read.ret.n; i++) {
        if (!still_counts(base->app, &rows[i])) continue;
        if (op->n != i) rows[op->n] = rows[i];
        op->n++;
    }
    sp_op_finish(base, SP_OUTCOME_OK);
}

/* One page: nobody has allowed a thousand clients. */
void sp_app_consents_own(struct sp_app *app, const struct sp_call *call, sp_consents_done *done, void *arg) {
    struct consents_op *op = sp_op_new(app, call, &consents_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    const enum sp_outcome own = sp_op_judge_own_session(&op->base);
    if (own != SP_OUTCOME_OK) {
        sp_op_finish(&op->base, own);
        return;
    }
    struct sp_store_read *r = sp_op_read_begin(&op->base, SP_READ_CONSENTS);
    r->key = SP_SLICE_ARRAY(op->base.principal.user_id);
    r->limit = SP_READ_PAGE_MAX;
    sp_op_read(&op->base, consents_read);
}

/* ---- taking back ---- */

enum {
    ENDS_AT_ONCE = SP_OP_AUDITS_MAX, /* in one change set, each with its record */
    PAGE = 50,                       /* rows of 3 KiB: bounds one read */
};

struct withdraw_op {
    struct sp_plain_op plain; /* count: sessions ended */
    sp_text128 client_id;
    bool was_there; /* the consent */
    struct sp_change *deleted;
    uint8_t after[SP_ROW_SID_BYTES];      /* where the next page begins, unless this is the first ... */
    bool is_first, is_last;               /* ... or there is none */
    uint8_t sids[PAGE][SP_ROW_SID_BYTES]; /* of this page, still to be ended: taken from the end */
    uint32_t n;
    uint32_t ending; /* of them, in the set that is under way */
    bool one_by_one; /* one of the set before was over: which one does not matter then */
};
static const struct sp_op_kind withdraw_kind = {.size = sizeof(struct withdraw_op), .say = sp_plain_say};
_Static_assert(2 * ENDS_AT_ONCE <= SP_OP_CHANGES_MAX, "an end and a record each");

static struct withdraw_op *withdraw_of(struct sp_op *op) {
    return (struct withdraw_op *)(void *)op;
}

static void go_on(struct withdraw_op *op);

static sp_status record(struct withdraw_op *op, enum sp_audit_action action, const uint8_t *sid) {
    struct sp_op *base = &op->plain.base;
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("client", SP_TEXT_SLICE(&op->client_id))};
    return sp_op_audit(base, &(struct sp_audit_event){.action = action,
                                                      .outcome = SP_AUDIT_OK,
                                                      .target = SP_TEXT_SLICE(&base->actor),
                                                      .sid = sid,
                                                      .detail = detail,
                                                      .detail_n = SP_ARRAY_LEN(detail)});
}

static void commit_or_fail(struct withdraw_op *op, sp_status built, sp_op_step *next) {
    if (sp_ok(built)) {
        sp_op_commit(&op->plain.base, next);
    } else {
        sp_op_fail(&op->plain.base, built);
    }
}

/* -- the client's sessions -- */

static void some_ended(struct sp_op *base, sp_status status) {
    struct withdraw_op *op = withdraw_of(base);
    if (!sp_ok(status) && !sp_is(status, SP_E_CONFLICT)) {
        sp_op_fail(base, status);
        return;
    }
    if (sp_ok(status)) op->plain.count += op->ending;
    const bool retry = !sp_ok(status) && op->ending > 1;
    if (!retry) op->n -= op->ending; /* ended, or the one that was over already */
    op->one_by_one = retry || (op->one_by_one && op->n != 0);
    go_on(op);
}

static sp_status add_end(struct withdraw_op *op, const uint8_t *sid) {
    struct sp_op *base = &op->plain.base;
    sp_op_change(base, SP_CHANGE_SESSION_END)->session_end =
        (struct sp_session_end){.tenant = SP_TENANT_DEFAULT,
                                .sid = sid,
                                .user_id = base->principal.user_id,
                                .expect_generation = SP_GENERATION_ANY,
                                .state = SP_SESSION_ENDED,
                                .cause = SP_END_USER_ENDED,
                                .now_ms = base->now_ms};
    return record(op, SP_AUDIT_SESSION_ENDED, sid);
}

static void end_some(struct withdraw_op *op) {
    const uint32_t most = op->one_by_one ? 1 : ENDS_AT_ONCE;
    sp_status s = SP_SUCCESS;
    op->ending = op->n < most ? op->n : most;
    sp_op_reset(&op->plain.base);
    for (uint32_t i = 0; sp_ok(s) && i < op->ending; i++) s = add_end(op, op->sids[op->n - 1 - i]);
    commit_or_fail(op, s, some_ended);
}

static void page_read(struct sp_op *base, sp_status status) {
    struct withdraw_op *op = withdraw_of(base);
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    const struct sp_session_row *rows = base->read.ret.sessions;
    const uint32_t n = base->read.ret.n;
    op->is_first = false;
    op->is_last = n == 0 || !base->read.ret.more;
    if (n != 0) memcpy(op->after, rows[n - 1].sid, sizeof(op->after));
    for (uint32_t i = 0; i < n && op->n < PAGE; i++) {
        const bool theirs = sp_slice_eq(SP_TEXT_SLICE(&rows[i].client_id), SP_TEXT_SLICE(&op->client_id));
        if (theirs && rows[i].state == SP_SESSION_ACTIVE)
            memcpy(op->sids[op->n++], rows[i].sid, sizeof(op->sids[0]));
    }
    go_on(op);
}

static void read_page(struct withdraw_op *op) {
    struct sp_op *base = &op->plain.base;
    struct sp_store_read *r = sp_op_read_begin(base, SP_READ_USER_SESSIONS);
    r->key = SP_SLICE_ARRAY(base->principal.user_id);
    r->sid_tag = base->principal.sid;
    if (!op->is_first) r->after = SP_SLICE_ARRAY(op->after);
    r->limit = PAGE;
    sp_op_read(base, page_read);
}

static void go_on(struct withdraw_op *op) {
    if (op->n != 0) {
        end_some(op);
    } else if (!op->is_last) {
        read_page(op);
    } else {
        const bool any = op->was_there || op->plain.count != 0;
        sp_op_finish(&op->plain.base, any ? SP_OUTCOME_OK : SP_OUTCOME_NOT_FOUND);
    }
}

/* -- the consent -- */

static void deleted(struct sp_op *base, sp_status status) {
    struct withdraw_op *op = withdraw_of(base);
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->was_there = op->deleted != NULL && op->deleted->consent_delete.ret_deleted != 0;
    op->is_first = true;
    go_on(op);
}

static void found(struct sp_op *base, sp_status status) {
    struct withdraw_op *op = withdraw_of(base);
    if (sp_is(status, SP_E_NOT_FOUND)) { /* a trusted client may have sessions without one */
        deleted(base, SP_SUCCESS);
        return;
    }
    if (!sp_ok(status)) {
        sp_op_fail(base, status);
        return;
    }
    op->deleted = sp_op_change(base, SP_CHANGE_CONSENT_DELETE);
    op->deleted->consent_delete = (struct sp_consent_delete){.tenant = SP_TENANT_DEFAULT,
                                                             .user_id = base->principal.user_id,
                                                             .client_id = SP_TEXT_SLICE(&op->client_id)};
    commit_or_fail(op, record(op, SP_AUDIT_CONSENT_WITHDRAWN, NULL), deleted);
}

/* A client's id, and not the one of our own sessions: those are ended one by one, or all at once. */
static bool is_a_clients(const struct sp_app *app, sp_slice client_id) {
    return sp_client_id_valid(client_id) && !sp_slice_eq(client_id, SP_TEXT_SLICE(&app->config.client_id));
}

void sp_app_consent_end_own(struct sp_app *app, const struct sp_call *call, sp_slice client_id,
                            sp_plain_done *done, void *arg) {
    struct withdraw_op *op = sp_op_new(app, call, &withdraw_kind, (sp_any_done *)done, arg);
    if (op == NULL) return;
    struct sp_op *base = &op->plain.base;
    const enum sp_outcome own = sp_op_judge_own_session(base);
    if (own != SP_OUTCOME_OK) {
        sp_op_finish(base, own);
        return;
    }
    if (!is_a_clients(app, client_id) || !sp_ok(SP_TEXT_SET(&op->client_id, client_id))) {
        sp_op_finish(base, SP_OUTCOME_NOT_FOUND);
        return;
    }
    struct sp_store_read *r = sp_op_read_begin(base, SP_READ_CONSENT);
    r->key = SP_SLICE_ARRAY(base->principal.user_id);
    r->after = SP_TEXT_SLICE(&op->client_id);
    sp_op_read(base, found);
}
