/* The feed's hash chain over stored revocations: what the store calls while it writes them.
 *
 * The store gives sequences and keeps the head, in one transaction; revoke/feed.h knows the forms. This is
 * the one place where a stored row becomes a revocation of the feed, so that the chain and whoever sends the
 * events cannot differ. Pure, thread-safe. */
#ifndef SP_CORE_FEED_CHAIN_H
#define SP_CORE_FEED_CHAIN_H

#include "core/store.h"
#include "revoke/feed.h"

struct sp_feed_revocation sp_feed_revocation_of(const struct sp_revocation_row *row);
struct sp_feed_hooks sp_feed_hooks_make(void);

#endif
