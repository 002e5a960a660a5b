/* Clients, what people consented to, and the outbox of logouts. */
#include "base/assert.h"
#include "store/apply.h"

/* ---- clients ---- */

/* Verifiers look a client's subject up where they look for users. */
static struct sp_revocation_row client_epoch_raised(const struct sp_client_row *row, int64_t expires_s) {
    struct sp_revocation_row r = {
        .tenant = row->tenant,
        .what = SP_REVOKED_USER_EPOCH,
        .epoch = row->epoch,
        .expires_s = expires_s,
    };
    memcpy(r.id, row->subject, sizeof(row->subject));
    return r;
}

/* What the store decides of a row that is put: `old` is zeros when there was none. */
static sp_status complete(const struct sp_client_put *in, const struct sp_client_row *old, uint64_t version,
                          struct sp_client_row *row) {
    row->version = version;
    if (!sp_client_has_subject(row)) memcpy(row->subject, old->subject, sizeof(row->subject));
    if (in->raise_epoch) {
        uint32_t raised = old->epoch;
        sp_assert(sp_client_has_subject(row));
        SP_TRY(sp_apply_epoch_raise(&raised));
        if (row->epoch < raised) row->epoch = raised;
    } else if (version != 1) {
        row->epoch = old->epoch;
    }
    return SP_SUCCESS;
}

static sp_status put_completed(struct sp_apply *a, const struct sp_client_put *in,
                               const struct sp_client_row *old, uint64_t version, struct sp_client_row *row) {
    SP_TRY(complete(in, old, version, row));
    return a->tables->ops->client_put(a->tables, row);
}

sp_status sp_apply_client_put(struct sp_apply *a, struct sp_client_put *in) {
    SP_WIPED(client_row) old = {0};
    sp_status found =
        a->tables->ops->client_get(a->tables, in->row->tenant, SP_TEXT_SLICE(&in->row->id), &old);
    uint64_t version;
    SP_TRY(sp_apply_next_version(found, old.version, in->expect_version, &version));
    SP_TRY(sp_apply_reserve(a, 2));
    struct sp_client_row *row = malloc(sizeof(*row));
    if (row == NULL) return sp_err(SP_E_NOMEM);
    *row = *in->row;
    sp_status put = put_completed(a, in, &old, version, row);
    if (!sp_ok(put)) {
        sp_free_wiped(row, sizeof(*row));
        return put;
    }
    sp_apply_event_row(a, SP_EVENT_CLIENT, row->tenant, SP_TEXT_SLICE(&row->id), row);
    in->ret_epoch = row->epoch;
    if (!in->raise_epoch) return SP_SUCCESS;
    struct sp_revocation_row r = client_epoch_raised(row, in->epoch_expires_s);
    return sp_apply_revoke(a, &r);
}

sp_status sp_apply_client_delete(struct sp_apply *a, struct sp_client_delete *in) {
    SP_WIPED(client_row) old;
    SP_TRY(sp_apply_present(a->tables->ops->client_get(a->tables, in->tenant, in->id, &old)));
    if (!sp_apply_version_holds(in->expect_version, old.version)) return sp_err(SP_E_CONFLICT);
    const bool revokes = in->epoch_expires_s != 0 && sp_client_has_subject(&old);
    if (revokes) SP_TRY(sp_apply_epoch_raise(&old.epoch));
    SP_TRY(sp_apply_reserve(a, 2));
    SP_TRY(a->tables->ops->client_remove(a->tables, in->tenant, in->id));
    sp_apply_event_row(a, SP_EVENT_CLIENT_GONE, in->tenant, SP_TEXT_SLICE(&old.id), NULL);
    if (!revokes) return SP_SUCCESS;
    struct sp_revocation_row r = client_epoch_raised(&old, in->epoch_expires_s);
    return sp_apply_revoke(a, &r);
}

/* One that was given to an earlier client of this id is none. */
static sp_status is_allowed(struct sp_apply *a, const struct sp_client_row *client, const uint8_t *user_id) {
    struct sp_consent_row row;
    if (user_id == NULL || client->trusted) return SP_SUCCESS;
    SP_TRY(sp_apply_present(
        a->tables->ops->consent_get(a->tables, client->tenant, user_id, SP_TEXT_SLICE(&client->id), &row)));
    return row.granted_ms < client->created_ms ? sp_err(SP_E_CONFLICT) : SP_SUCCESS;
}

sp_status sp_apply_client_expect(struct sp_apply *a, struct sp_client_expect *in) {
    SP_WIPED(client_row) row;
    SP_TRY(sp_apply_present(a->tables->ops->client_get(a->tables, in->tenant, in->id, &row)));
    if (row.disabled || !sp_apply_version_holds(in->expect_version, row.version))
        return sp_err(SP_E_CONFLICT);
    SP_TRY(is_allowed(a, &row, in->allowed_by));
    if (in->ret_client != NULL) *in->ret_client = row;
    in->ret_global_epoch = a->now.meta.global_epoch;
    return SP_SUCCESS;
}

/* ---- consents ---- */

/* The user is looked at, so that no consent comes after the deletion that forgets them. */
sp_status sp_apply_consent_put(struct sp_apply *a, struct sp_consent_put *in) {
    SP_WIPED(user_row) user;
    SP_TRY(sp_apply_present(a->tables->ops->user_get(a->tables, in->row->tenant, in->row->user_id, &user)));
    return a->tables->ops->consent_put(a->tables, in->row);
}

sp_status sp_apply_consent_delete(struct sp_apply *a, struct sp_consent_delete *in) {
    return a->tables->ops->consents_remove(a->tables, in->tenant, in->user_id, in->client_id,
                                           &in->ret_deleted);
}

/* ---- the outbox of logouts ---- */

/* Counted once, when the first one comes, and then kept count of. */
static sp_status outbox_room(struct sp_apply *a) {
    struct sp_apply_state *now = &a->now;
    if (!now->logouts_known) SP_TRY(a->tables->ops->logouts_count(a->tables, &now->logouts));
    now->logouts_known = true;
    for (; now->logouts >= SP_LOGOUTS_MAX; now->logouts--)
        SP_TRY(a->tables->ops->logout_remove_oldest(a->tables));
    return SP_SUCCESS;
}

static void logout_of(const struct sp_session_row *ended, uint64_t seq, struct sp_logout_row *ret) {
    ret->tenant = ended->tenant;
    ret->seq = seq;
    memcpy(ret->sid, ended->sid, sizeof(ret->sid));
    memcpy(ret->user_id, ended->user_id, sizeof(ret->user_id));
    ret->client_id = ended->client_id;
    ret->cause = ended->cause;
    ret->created_ms = ret->next_ms = ended->ended_ms;
}

sp_status sp_apply_logout(struct sp_apply *a, const struct sp_session_row *ended) {
    SP_TRY(sp_apply_reserve(a, 1));
    SP_TRY(outbox_room(a));
    struct sp_logout_row *row = calloc(1, sizeof(*row));
    if (row == NULL) return sp_err(SP_E_NOMEM);
    logout_of(ended, a->now.meta.logout_seq + 1, row);
    sp_status put = a->tables->ops->logout_put(a->tables, row);
    if (!sp_ok(put)) {
        free(row);
        return put;
    }
    a->now.meta.logout_seq = row->seq;
    a->now.logouts++;
    sp_apply_event_row(a, SP_EVENT_LOGOUT, row->tenant, SP_SLICE_EMPTY, row);
    return SP_SUCCESS;
}

sp_status sp_apply_logout_tried(struct sp_apply *a, struct sp_logout_tried *in) {
    struct sp_logout_row row;
    SP_TRY(sp_apply_present(a->tables->ops->logout_get(a->tables, in->seq, &row)));
    row.tries = in->tries;
    row.next_ms = in->next_ms;
    return a->tables->ops->logout_put(a->tables, &row);
}

sp_status sp_apply_logout_done(struct sp_apply *a, struct sp_logout_done *in) {
    struct sp_logout_row row;
    SP_TRY(sp_apply_present(a->tables->ops->logout_get(a->tables, in->seq, &row)));
    SP_TRY(a->tables->ops->logout_remove(a->tables, in->seq));
    if (a->now.logouts_known) a->now.logouts--;
    return SP_SUCCESS;
}
