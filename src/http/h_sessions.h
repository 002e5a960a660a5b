/* A session as JSON, for its owner's list and for the administrator's. */
#ifndef SP_HTTP_H_SESSIONS_H
#define SP_HTTP_H_SESSIONS_H

#include "core/app.h"
#include "http/json_out.h"

/* Writes the members; the caller opens and closes the object. */
void sp_session_view_write(struct sp_json_out *o, const struct sp_session_view *v);

/* The members of a login's answer in token mode: h_auth.c. */
struct sp_exchange;
void sp_tokens_write(struct sp_exchange *x, const struct sp_tokens_result *r);

#endif
