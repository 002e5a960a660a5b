/* The role table of a verifier: swapped whole by the follower, read without a lock. See token/roles.h for
 * what it holds. Readers look between enter and exit of the verifier (reclaim.h). */
#ifndef SP_VERIFY_ROLE_TABLE_H
#define SP_VERIFY_ROLE_TABLE_H

#include "revoke/reclaim.h"
#include "token/roles.h"

struct sp_role_table {
    _Atomic(struct sp_role_table_version *) current; /* NULL: none yet */
    struct sp_reclaim *reclaim;                      /* borrowed; outlives the table */
};

void sp_role_table_init(struct sp_role_table *t, struct sp_reclaim *reclaim);
/* No reader is inside any more. */
void sp_role_table_done(struct sp_role_table *t);
/* Takes the roles, unless it fails: SP_E_NOMEM. One writer. */
sp_status sp_role_table_take(struct sp_role_table *t, struct sp_roles *roles);
/* Inside enter/exit. As sp_roles_permit; without a table no role grants anything. */
bool sp_role_table_permits(const struct sp_role_table *t, sp_slice role_words,
                           struct sp_permission_limit limit, sp_slice wanted)
    __attribute__((warn_unused_result));

#endif
