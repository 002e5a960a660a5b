/* From what is durable to what is enforced: applies the store's events to the revocation set, the epochs, the
 * role table, the key ring and the clients, and hands it to the feed, before anybody hears that the change
 * succeeded.
 *
 * Runs on the store's writing thread and never calls back into the store. If a revocation cannot be applied
 * for want of memory, or a key for want of a verifier that takes it, it logs and aborts the process: a
 * durable revocation that is not enforced is worse than a restart, which reads it again. */
#ifndef SP_CORE_PUBLISH_H
#define SP_CORE_PUBLISH_H

#include "core/directory.h"
#include "core/feed.h"
#include "core/keys.h"
#include "core/live_clients.h"
#include "core/ports.h"
#include "core/store.h"
#include "revoke/epochs.h"
#include "revoke/set.h"

/* All borrowed; outlives the store's last commit. */
struct sp_publish {
    struct sp_clock clock;
    struct sp_log log;
    struct sp_authn authn;
    struct sp_seats *seats;
    struct sp_revoke_set *revoked;
    struct sp_epochs *epochs;
    struct sp_live_roles *roles;
    struct sp_keys *keys;
    struct sp_live_clients *clients;
    struct sp_feed *feed; /* NULL: nobody is told */
};

struct sp_publisher sp_publish_port(struct sp_publish *p);

/* For opening, before any event: what the store remembers, applied in the same way, but handing failures
 * upward. */
sp_status sp_publish_revocations(struct sp_publish *p, const struct sp_revocation_row *rows, size_t n);
/* The global epoch of the meta row, which outlives its revocation row. */
void sp_publish_global_epoch(struct sp_publish *p, uint32_t epoch);
/* Gives the ring's verification keys to authn and to the feed. */
sp_status sp_publish_keys(struct sp_publish *p);

#endif
