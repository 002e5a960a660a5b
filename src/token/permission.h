/* Permissions: names such as `documents:read`, or `sallyport:admin`.
 *
 * One to 128 characters: segments of letters, digits, '.', '_' and '-', separated by ':'. In a *granted*
 * permission the last segment may be `*`, which stands for one or more segments: `documents:*` grants
 * `documents:read` and `documents:archive:read`, not `documents` itself. `*` alone grants everything. A
 * *wanted* permission has no `*`: a check for `documents:*` is a mistake of the caller and is never granted.
 * Case-sensitive. Pure, thread-safe. */
#ifndef SP_TOKEN_PERMISSION_H
#define SP_TOKEN_PERMISSION_H

#include "base/buf.h"
#include "base/slice.h"

#define SP_PERMISSION_BYTES_MAX 128 /* a few of them must fit into a token */

enum sp_permission_kind { SP_PERMISSION_WANTED, SP_PERMISSION_GRANTED };

bool sp_permission_valid(sp_slice permission, enum sp_permission_kind kind);
/* False whenever either is not valid. */
bool sp_permission_matches(sp_slice granted, sp_slice wanted);
/* Does any word of `granted_words` match? */
bool sp_permissions_grant(sp_slice granted_words, sp_slice wanted);
/* Scopes (RFC 6749 section 3.3). A word of a scope is a granted permission, except for those that the
 * protocol has for itself: openid, profile, offline_access. */
bool sp_scope_is_protocol_word(sp_slice word);
/* Does any word of the scope, those of the protocol aside, match? */
bool sp_scope_grants(sp_slice scope_words, sp_slice wanted);

/* Appends what both lists grant, in the order of `a`, each once: of `documents:*` and `documents:read` it is
 * the latter. For a role's permissions within a scope: the protocol's words, and what is no permission, are
 * left out. */
sp_status sp_permissions_intersect(sp_slice a_words, sp_slice b_words, struct sp_buf *out);

/* What limits a token, beside its roles. */
struct sp_permission_limit {
    sp_slice scope; /* the token's claim; p == NULL: it has none, which limits nothing. "" allows nothing */
    bool is_client; /* its subject is a client (sp_subject_of), which has no roles: the scope alone decides */
};
/* Is the bearer permitted `wanted`, by the permissions that stand in the token? The rule, once for all who
 * ask: a user's token when these grant it and the scope, if there is one, does too; a client's when its scope
 * does. sp_roles_permit (token/roles.h) is the same for a role table. */
bool sp_permissions_permit(sp_slice permissions, struct sp_permission_limit limit, sp_slice wanted);

#endif
