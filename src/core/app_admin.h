/* What the administrative use cases share: finding a user, cursors of pages, and a change set of any length.
 *
 * Each use case is one change set with its audit record in the same transaction. Rows carry versions: a
 * change is built from the row that was read, and when somebody else was faster, the row is read again and
 * the change is built anew, a bounded number of times. */
#ifndef SP_CORE_APP_ADMIN_H
#define SP_CORE_APP_ADMIN_H

#include "core/app_internal.h"
#include "token/ids.h"

enum {
    SP_ADMIN_PAGE_DEFAULT = 100,
    SP_CURSOR_BYTES_MAX = 512, /* base64url of the longest name */
};

/* Every administrative op begins with this: sp_plain_say works on it. */
struct sp_admin_op {
    struct sp_plain_op plain;
    sp_text256 who;  /* a user's name or id, as given */
    sp_text256 name; /* ... normalized */
    sp_op_step *found;
    bool id_will_do; /* an id of nobody (any more) is as good */
    bool user_exists;
    struct sp_user_row user;           /* what was found */
    uint8_t sid_tag[SP_SID_TAG_BYTES]; /* of that user */
    sp_text64 user_text;               /* its id, for records */
    struct sp_buf cursor;              /* text of the next page's cursor */
};

static inline struct sp_admin_op *sp_admin_of(struct sp_op *op) {
    return (struct sp_admin_op *)(void *)op;
}
void *sp_admin_op_new(struct sp_app *app, const struct sp_call *call, const struct sp_op_kind *kind,
                      sp_any_done *done, void *arg);
/* The kinds' release; kinds that have more call it. */
void sp_admin_release(struct sp_op *op);

/* Finds the user: by id when the text is one and such a user exists, else by name. (Ids first: a name may
 * look like another user's id, an id that was drawn cannot look like a name that somebody chose.) `found`
 * runs when op->user is there; otherwise the op ends with NOT_FOUND or what the store said. */
void sp_admin_find(struct sp_admin_op *op, sp_slice name_or_id, sp_op_step *found);
/* Reads the same user again, by its id. */
void sp_admin_find_again(struct sp_admin_op *op, sp_op_step *found);
/* The same two, for what concerns the records of users who are gone: an id that nobody has is found too, with
 * op->user_exists false and nothing but the id in op->user. */
void sp_admin_find_or_id(struct sp_admin_op *op, sp_slice name_or_id, sp_op_step *found);
void sp_admin_find_or_id_again(struct sp_admin_op *op, sp_op_step *found);

/* Whether a record is about the found user (or a session of it), or by it. */
bool sp_admin_is_target(const struct sp_admin_op *op, const struct sp_audit_row *row);
bool sp_admin_is_actor(const struct sp_admin_op *op, const struct sp_audit_row *row);
/* After a conflict: true when another try is allowed (the op was reset), false when the op was ended with
 * CHANGED_MEANWHILE. */
bool sp_admin_may_retry(struct sp_op *op);

/* Role names as they will be stored, each of a role that exists now: OK, INVALID_REQUEST, LIMIT_EXCEEDED or
 * UNKNOWN_ROLE. */
enum sp_outcome sp_admin_accept_roles(struct sp_app *app, sp_slice words, sp_text1024 *ret);

uint32_t sp_admin_limit(uint32_t limit);
/* A cursor as it was given: SP_E_MALFORMED when it is not one of ours. */
sp_status sp_admin_cursor_read(sp_slice text, size_t max, struct sp_buf *ret);

/* Ends every session of the found user, into the op's change set. The change's ret_ended counts. */
struct sp_change *sp_admin_end_sessions(struct sp_admin_op *op, enum sp_end_cause cause);

#endif
