#include "core/publish.h"

#include <stdlib.h>

#include "base/assert.h"
#include "token/ids.h"

/* ---- applying ---- */

static sp_status apply_revocation(struct sp_publish *p, const struct sp_revocation_row *r) {
    const int64_t now_s = sp_clock_wall_ms(&p->clock) / 1000;
    switch (r->what) {
    case SP_REVOKED_JTI:
        return sp_revoke_set_add(p->revoked, SP_REVOKE_JTI, sp_slice_of(r->id, SP_ID_BYTES), r->expires_s,
                                 now_s);
    case SP_REVOKED_SID:
        return sp_revoke_set_add(p->revoked, SP_REVOKE_SID, sp_slice_of(r->id, SP_SID_BYTES), r->expires_s,
                                 now_s);
    case SP_REVOKED_USER_EPOCH:
        return sp_epochs_raise_user(p->epochs, sp_slice_of(r->id, SP_ID_BYTES), r->epoch, r->expires_s,
                                    now_s);
    case SP_REVOKED_GLOBAL_EPOCH: sp_epochs_raise_global(p->epochs, r->epoch); return SP_SUCCESS;
    }
    return sp_err(SP_E_MALFORMED); /* the disk is another author */
}

/* Enforced here before anybody else is told: a receipt never outruns the server itself. */
static sp_status apply_revoked(struct sp_publish *p, const struct sp_store_event *event) {
    SP_TRY(apply_revocation(p, event->revocation));
    if (p->feed != NULL) sp_feed_publish_revocation(p->feed, event->revocation, event->feed_head);
    return SP_SUCCESS;
}

static sp_status roles_changed(struct sp_publish *p, sp_status s) {
    if (!sp_ok(s) || p->feed == NULL) return s;
    return sp_feed_publish_roles(p->feed);
}

static sp_status apply_key(struct sp_publish *p, const struct sp_key_row *row) {
    SP_TRY(sp_keys_apply(p->keys, row));
    return sp_publish_keys(p);
}

static sp_status apply(struct sp_publish *p, const struct sp_store_event *event) {
    switch (event->kind) {
    case SP_EVENT_REVOKED: return apply_revoked(p, event);
    case SP_EVENT_ROLE: return roles_changed(p, sp_live_roles_put(p->roles, event->role));
    case SP_EVENT_ROLE_GONE: return roles_changed(p, sp_live_roles_remove(p->roles, event->role_name));
    case SP_EVENT_KEY: return apply_key(p, event->key);
    case SP_EVENT_CLIENT: return sp_live_clients_put(p->clients, event->client, 1);
    case SP_EVENT_CLIENT_GONE: return sp_live_clients_remove(p->clients, event->client_id);
    case SP_EVENT_LOGOUT: return SP_SUCCESS; /* nothing of it is enforced here: the outbox has it */
    }
    return sp_err(SP_E_MALFORMED);
}

static const char *event_name(enum sp_event_kind kind) {
    switch (kind) {
    case SP_EVENT_REVOKED: return "revocation";
    case SP_EVENT_ROLE: return "role";
    case SP_EVENT_ROLE_GONE: return "role_gone";
    case SP_EVENT_KEY: return "key";
    case SP_EVENT_CLIENT: return "client";
    case SP_EVENT_CLIENT_GONE: return "client_gone";
    case SP_EVENT_LOGOUT: return "logout";
    }
    return "unknown";
}

/* ---- the port ---- */

/* A change that is durable but not enforced would be a lie in every answer from now on. The start that
 * follows reads everything again. */
static void publish(void *arg, const struct sp_store_event *event) {
    struct sp_publish *p = arg;
    sp_status s = apply(p, event);
    if (sp_ok(s)) return;
    SP_LOG(&p->log, SP_LOG_ERROR, "publish_failed",
           SP_LOGF_TEXT("event", sp_slice_cstr(event_name(event->kind))),
           SP_LOGF_TEXT("reason", sp_slice_cstr(sp_code_name(s.code))));
    abort();
}

struct sp_publisher sp_publish_port(struct sp_publish *p) {
    return (struct sp_publisher){.publish = publish, .arg = p};
}

sp_status sp_publish_revocations(struct sp_publish *p, const struct sp_revocation_row *rows, size_t n) {
    const int64_t now_s = sp_clock_wall_ms(&p->clock) / 1000;
    for (size_t i = 0; i < n; i++) {
        if (rows[i].expires_s >= now_s) SP_TRY(apply_revocation(p, &rows[i]));
    }
    return p->feed == NULL ? SP_SUCCESS : sp_feed_load(p->feed, rows, n);
}

void sp_publish_global_epoch(struct sp_publish *p, uint32_t epoch) {
    sp_epochs_raise_global(p->epochs, epoch);
}

sp_status sp_publish_keys(struct sp_publish *p) {
    size_t n;
    sp_seats_enter(p->seats);
    const struct sp_jwk *keys = sp_snapshot_verification(sp_keys_now(p->keys), &n);
    sp_status s = p->authn.set_keys(p->authn.arg, keys, n);
    sp_seats_leave(p->seats);
    if (!sp_ok(s) || p->feed == NULL) return s;
    return sp_feed_publish_keys(p->feed);
}
