/* What a change set does, said once for every backend that keeps whole rows and has one writer (memory,
 * SQLite).
 *
 * A backend brings tables and a transaction around a group of change sets; this brings the preconditions, the
 * effects, the counters that must be serial, the audit chain, and the events.
 *
 *   sp_apply_set ...            each change set: applied, or undone and refused
 *   sp_apply_finish             the meta row, sealed; once a group
 *   COMMIT                      the backend's
 *   sp_apply_kept / _dropped    counters move (and events go out) only after it
 *
 * Invariant: `kept` is what is durable; `now` runs ahead of it only inside a group.
 *
 * Preconditions are compared here on a row that was read in the same transaction, instead of in the WHERE of
 * one UPDATE: with a single writer inside BEGIN IMMEDIATE that is the same, a rotation needs the row anyway
 * to answer, and both backends then cannot differ in meaning. One writer thread; no locks. */
#ifndef SP_STORE_APPLY_H
#define SP_STORE_APPLY_H

#include "base/mem.h"
#include "store/tables.h"

struct sp_apply_state {
    struct sp_meta_row meta;
    struct sp_session_key purge_at; /* where the next purge step goes on */
    uint32_t logouts;               /* rows of their outbox, once that has been looked at */
    bool logouts_known;
};

struct sp_apply_event;

struct sp_apply {
    struct sp_tables *tables;
    struct sp_store_env env;
    struct sp_apply_state now, kept;
    struct sp_apply_event *events; /* of the open group, in order */
    size_t n, cap;
    size_t settled; /* the first ones, after an unknown outcome: published if they happened */
};

void sp_apply_init(struct sp_apply *a, struct sp_tables *tables, const struct sp_meta_row *meta);
void sp_apply_done(struct sp_apply *a);
/* After reopening: what the disk says now. */
void sp_apply_reload(struct sp_apply *a, const struct sp_meta_row *meta);

/* SP_OK; SP_E_CONFLICT with c->failed; else trouble. Not SP_OK: the set has left nothing behind, provided
 * that the backend drops the group when its tables reported trouble. Sets c->failed only; the caller owns
 * c->status. */
sp_status sp_apply_set(struct sp_apply *a, struct sp_store_commit *c);
/* Writes the meta row if it has changed. */
sp_status sp_apply_finish(struct sp_apply *a);
void sp_apply_kept(struct sp_apply *a);
void sp_apply_dropped(struct sp_apply *a);
/* After an unknown outcome and a reload: publishes of the group's events those that turn out to have
 * happened, each once, also when this fails and is called again. The events stay until it succeeds or
 * sp_apply_dropped is called. */
sp_status sp_apply_settle(struct sp_apply *a);

/* For apply*.c only. Room for events is made before anything is written, so that a set of simple changes
 * cannot fail half way. */
sp_status sp_apply_reserve(struct sp_apply *a, size_t more);
sp_status sp_apply_revoke(struct sp_apply *a, const struct sp_revocation_row *row);
/* An event of a row that has been written: takes it over. Room for it was made before. */
void sp_apply_event_row(struct sp_apply *a, enum sp_event_kind kind, uint32_t tenant, sp_slice name,
                        void *row);
/* SP_E_UNAVAILABLE instead of a wrap: a counter that wrapped would un-revoke everything. */
sp_status sp_apply_epoch_raise(uint32_t *epoch);
/* The version that a put gives, from what was found (SP_OK or SP_E_NOT_FOUND) and what was expected. */
sp_status sp_apply_next_version(sp_status found, uint64_t is, uint64_t expected, uint64_t *ret);
static inline bool sp_apply_version_holds(uint64_t expected, uint64_t is) {
    return expected == SP_VERSION_ANY || expected == is;
}
/* Of a row that a precondition wants. */
static inline sp_status sp_apply_present(sp_status found) {
    return sp_is(found, SP_E_NOT_FOUND) ? sp_err(SP_E_CONFLICT) : found;
}
/* Another epoch of the feed; its chain begins at the current revoke_seq. */
void sp_apply_feed_renew(struct sp_apply *a, const uint8_t *epoch);
sp_status sp_apply_session_insert(struct sp_apply *a, struct sp_session_insert *in);
sp_status sp_apply_session_rotate(struct sp_apply *a, struct sp_session_rotate *in);
sp_status sp_apply_session_reissue(struct sp_apply *a, struct sp_session_reissue *in);
sp_status sp_apply_session_end(struct sp_apply *a, struct sp_session_end *in);
sp_status sp_apply_sessions_end(struct sp_apply *a, struct sp_sessions_end *in);
sp_status sp_apply_purge(struct sp_apply *a, struct sp_purge *in);
sp_status sp_apply_sessions_forget(struct sp_apply *a, struct sp_sessions_forget *in);
/* apply_client.c */
sp_status sp_apply_client_put(struct sp_apply *a, struct sp_client_put *in);
sp_status sp_apply_client_delete(struct sp_apply *a, struct sp_client_delete *in);
sp_status sp_apply_client_expect(struct sp_apply *a, struct sp_client_expect *in);
sp_status sp_apply_consent_put(struct sp_apply *a, struct sp_consent_put *in);
sp_status sp_apply_consent_delete(struct sp_apply *a, struct sp_consent_delete *in);
/* Of a session that has just ended: into the outbox. */
sp_status sp_apply_logout(struct sp_apply *a, const struct sp_session_row *ended);
sp_status sp_apply_logout_tried(struct sp_apply *a, struct sp_logout_tried *in);
sp_status sp_apply_logout_done(struct sp_apply *a, struct sp_logout_done *in);

/* Rows on the stack that carry secrets are wiped on every path out. */
static inline void sp_wipe_user_row(struct sp_user_row *row) {
    sp_wipe(row, sizeof(*row));
}
static inline void sp_wipe_session_row(struct sp_session_row *row) {
    sp_wipe(row, sizeof(*row));
}
static inline void sp_wipe_key_row(struct sp_key_row *row) {
    sp_wipe(row, sizeof(*row));
}
static inline void sp_wipe_client_row(struct sp_client_row *row) {
    sp_wipe(row, sizeof(*row));
}
#define SP_WIPED(T) __attribute__((cleanup(sp_wipe_##T))) struct sp_##T

#endif
