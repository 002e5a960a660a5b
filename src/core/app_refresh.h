/* Shared by the two halves of a refresh: the one write that nearly always suffices (app_refresh.c), and what
 * is done when it does not apply (app_trip.c); and by its two doors, POST /auth/refresh (app_refresh.c) and
 * grant_type=refresh_token (oauth_grant_refresh.c), which are one path, because it is one machine. */
#ifndef SP_CORE_APP_REFRESH_H
#define SP_CORE_APP_REFRESH_H

#include "core/app_internal.h"

struct sp_refresh_op {
    struct sp_tokens_op t;
    struct sp_refresh_token token; /* as presented; its tag was right */
    /* Who asks: set by the door. */
    sp_text128 client_id;
    bool keeps_token; /* a confidential client's: the same token is good until the session ends */
    enum sp_session_mode mode;
    sp_text64 bound; /* the key that the session must be bound to; empty: to none */
    bool has_attempt;
    uint8_t attempt[SP_ROW_ATTEMPT_BYTES]; /* hashed */

    /* What is being written: the generation that will be answered, and its secret. */
    uint32_t next_generation;
    uint8_t next_secret[SP_ROW_SECRET_BYTES];
    struct sp_change *write; /* rotate or reissue, inside the op's change set */

    /* The slow path's: as read, and what the machine said about it. */
    struct sp_meta_row meta;
    struct sp_session_row seen;
    struct sp_session_policy policy;
    enum sp_proof proof;
    struct sp_session_decision decision;
};

/* SP_E_NOT_FOUND: the key is gone meanwhile. Both take a seat.
 * Computes next_generation, next_secret and refresh_text: the successor of generation g with the token's own
 * secret. */
sp_status sp_refresh_successor(struct sp_refresh_op *op);
/* refresh_text is the row's own generation again, which the token was proved against. */
sp_status sp_refresh_current(struct sp_refresh_op *op);

/* After sp_tokens_init, and with what the door sets. Copies what it needs; ends the op. t.scope_asked and
 * t.aud narrow what is given: within what the session has, or INVALID_SCOPE, INVALID_TARGET, before anything
 * is rotated. */
void sp_refresh_begin(struct sp_refresh_op *op, const struct sp_refresh_request *in);

/* Adds the write, with every precondition. The first at now_ms and the operator's terms; the second for the
 * row as seen; the third for a token that is kept. */
void sp_refresh_add_rotate(struct sp_refresh_op *op, uint32_t generation, const uint8_t *secret,
                           bool is_heal);
void sp_refresh_add_reissue(struct sp_refresh_op *op, bool mark_used);
sp_status sp_refresh_add_keep(struct sp_refresh_op *op);

/* The write has been applied: takes epochs from it, and answers. */
void sp_refresh_applied(struct sp_refresh_op *op);
/* The optimistic write did not apply: reads the session and asks the machine. */
void sp_refresh_ask(struct sp_refresh_op *op);

#endif
