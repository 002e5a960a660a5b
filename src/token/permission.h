/* Permissions: names such as `documents:read`, or `sallyport:admin`.
 *
 * One to 128 characters: segments of letters, digits, '.', '_' and '-', separated by ':'. In a *granted*
 * permission the last segment may be `*`, which stands for one or more segments: `documents:*` grants
 * `documents:read` and `documents:archive:read`, not `documents` itself. `*` alone grants everything. A
 * *wanted* permission has no `*`: a check for `documents:*` is a mistake of the caller and is never granted.
 * Case-sensitive. Pure, thread-safe. */
#ifndef SP_TOKEN_PERMISSION_H
#define SP_TOKEN_PERMISSION_H

#include "base/slice.h"

#define SP_PERMISSION_BYTES_MAX 128 /* a few of them must fit into a token */

enum sp_permission_kind { SP_PERMISSION_WANTED, SP_PERMISSION_GRANTED };

bool sp_permission_valid(sp_slice permission, enum sp_permission_kind kind);
/* False whenever either is not valid. */
bool sp_permission_matches(sp_slice granted, sp_slice wanted);
/* Does any word of `granted_words` match? */
bool sp_permissions_grant(sp_slice granted_words, sp_slice wanted);

#endif
