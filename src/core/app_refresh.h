/* Shared by the two halves of a refresh: the one write that nearly always suffices (app_refresh.c), and what
 * is done when it does not apply (app_trip.c). */
#ifndef SP_CORE_APP_REFRESH_H
#define SP_CORE_APP_REFRESH_H

#include "core/app_internal.h"

struct sp_refresh_op {
    struct sp_tokens_op t;
    struct sp_refresh_token token; /* as presented; its tag was right */
    enum sp_session_mode mode;
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

/* Adds the write, with every precondition. The first at now_ms and the operator's terms; the second for the
 * row as seen. */
void sp_refresh_add_rotate(struct sp_refresh_op *op, uint32_t generation, const uint8_t *secret,
                           bool is_heal);
void sp_refresh_add_reissue(struct sp_refresh_op *op, bool mark_used);

/* The write has been applied: takes epochs from it, and answers. */
void sp_refresh_applied(struct sp_refresh_op *op);
/* The optimistic write did not apply: reads the session and asks the machine. */
void sp_refresh_ask(struct sp_refresh_op *op);

#endif
