/* The password path, for whoever lets people in by it: the API's login (app_login.c), and the login page of
 * the authorization endpoint (oauth_signin.c).
 *
 * Throttling, device tokens, rehashing, records and the one answer for all that is wrong are the same for
 * both, because it is one path; what differs is what the session's row is like, and what happens once it is
 * there. */
#ifndef SP_CORE_APP_LOGIN_H
#define SP_CORE_APP_LOGIN_H

#include "core/app_internal.h"

struct sp_login_op {
    struct sp_tokens_op t;
    enum sp_session_mode mode;
    sp_text256 name;
    sp_text128 device;
    bool is_known;    /* t.user is the user of that name */
    bool is_usable;   /* ... who may log in with a password */
    bool is_admitted; /* both attempts have been taken */
    char device_token[SP_DEVICE_TOKEN_CHARS];
    size_t device_token_n;
    struct sp_device seen_on; /* the known device, or a new one */
    struct sp_charge address, account;
    struct sp_oauth_proof proof; /* the session is bound to its key */
    struct sp_session_row row;
    struct sp_change *expect, *insert; /* insert: NULL unless it was added */

    /* What differs. `verified` (may be NULL) looks at something else first, once it is certain who it is, and
     * then calls sp_login_commit. `add_session` (may be NULL: sp_login_insert) adds the change that makes
     * `row`, as it was prepared, a session of the store; what is in `row` then goes on record. `begun` goes
     * on when that is done, and ends the op. */
    void (*verified)(struct sp_login_op *op);
    sp_status (*add_session)(struct sp_login_op *op);
    void (*begun)(struct sp_login_op *op);
};

/* After sp_tokens_init, with `begun` set. Copies what it needs. */
void sp_login_begin(struct sp_login_op *op, const struct sp_login_request *in);
void sp_login_commit(struct sp_login_op *op);
sp_status sp_login_insert(struct sp_login_op *op);
/* For the kind's `say`: gives back the attempts that were no failures. */
void sp_login_settle(struct sp_login_op *op, enum sp_outcome outcome);

#endif
