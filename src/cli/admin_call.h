/* Calls of the admin API as the commands make them: one resource, a change, a list of all pages. Each says on
 * stderr what went wrong and returns an exit status. */
#ifndef SP_CLI_ADMIN_CALL_H
#define SP_CLI_ADMIN_CALL_H

#include "cli/client.h"
#include "cli/output.h"

enum { SP_ADMIN_PATH_BYTES_MAX = 4096 }; /* the server refuses longer ones anyway */

/* At prefix + encoded segment + suffix: "/admin/v1/users/", a name, "/disable". `body` may be NULL. */
int sp_admin_call(const struct sp_invocation *in, const char *method, const char *prefix, const char *segment,
                  const char *suffix, const json_t *body, struct sp_answer *ret);
int sp_admin_call_wait(const struct sp_invocation *in, const char *method, const char *prefix,
                       const char *segment, const char *suffix, int64_t wait_s, struct sp_answer *ret);
/* A change whose answer holds nothing worth a table: prints `said`, or the answer with --json. */
int sp_admin_change(const struct sp_invocation *in, const char *method, const char *prefix,
                    const char *segment, const char *suffix, const json_t *body, const char *said);
/* Prints the rows of `member` of every page, as a table or as one JSON array. */
int sp_admin_list(const struct sp_invocation *in, const char *base, const char *member,
                  const struct sp_column *columns, size_t n);
json_t *sp_admin_strings(const char *const *values, size_t n);

#endif
