/* The documents of the feed, read: the role table, and the keys of access tokens. Called only with bytes that
 * a signature covers. Pure. */
#ifndef SP_VERIFY_FEED_DOCUMENTS_H
#define SP_VERIFY_FEED_DOCUMENTS_H

#include "token/jwk.h"
#include "token/roles.h"

/* Values in a `roles` document, one a permission: as many as 8 MiB of short ones. */
#define SP_FEED_ROLES_NODES_MAX ((uint32_t)1 << 20)

/* {"roles": {"editor": ["documents:read", ...], ...}}; other members are not looked at. SP_E_MALFORMED,
 * SP_E_CONFLICT, SP_E_LIMIT: not a role table; SP_E_NOMEM. */
sp_status sp_feed_read_roles(sp_slice json, struct sp_roles **ret_roles);

#endif
