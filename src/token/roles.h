/* The role table: role name -> permissions, whole and immutable. The server builds one from the directory,
 * verifiers build one from the `roles` event of the feed; a change makes a new table, and readers keep the
 * old one until they let go (the owner decides how: reference, epoch). Lookups need no lock.
 *
 * Role names: 1 to 64 characters of letters, digits, '.', '_', '-' and ':'. */
#ifndef SP_TOKEN_ROLES_H
#define SP_TOKEN_ROLES_H

#include "base/buf.h"
#include "base/mem.h"
#include "token/permission.h"

#define SP_ROLE_BYTES_MAX 64
#define SP_ROLES_MAX 4096 /* a directory with more roles than that has made one for each user */
#define SP_ROLE_PERMISSIONS_BYTES_MAX 65536
#define SP_ROLES_BYTES_MAX (8 * 1024 * 1024) /* of all texts together: what a verifier agrees to hold */

struct sp_roles_entry {
    sp_slice name;
    sp_slice permissions; /* granted permissions, space-separated; may be empty */
};

struct sp_roles;

bool sp_role_name_valid(sp_slice name);

/* Copies n rows in any order. SP_E_MALFORMED: a bad name or permission; SP_E_CONFLICT: a name twice;
 * SP_E_LIMIT, SP_E_NOMEM. */
sp_status sp_roles_new(const struct sp_roles_entry *rows, size_t n, struct sp_roles **ret_roles);
void sp_roles_free(struct sp_roles *roles);
SP_DEFINE_FREE(sp_roles);

size_t sp_roles_count(const struct sp_roles *roles);
/* The i-th row by name (i < count), borrowed from the table. */
struct sp_roles_entry sp_roles_at(const struct sp_roles *roles, size_t i);
/* SP_E_NOT_FOUND; *ret_permissions is borrowed from the table. */
sp_status sp_roles_find(const struct sp_roles *roles, sp_slice name, sp_slice *ret_permissions);
/* Does any of these roles grant `wanted`? Unknown roles grant nothing. */
bool sp_roles_grant(const struct sp_roles *roles, sp_slice role_words, sp_slice wanted);
/* Is the bearer of a token permitted `wanted`, by what its roles grant in this table? sp_permissions_permit
 * has the rule. */
bool sp_roles_permit(const struct sp_roles *roles, sp_slice role_words, struct sp_permission_limit limit,
                     sp_slice wanted);
/* Appends the permissions of these roles, sorted, each once, as a word list. Unknown roles add nothing. */
sp_status sp_roles_permissions(const struct sp_roles *roles, sp_slice role_words, struct sp_buf *out);

#endif
