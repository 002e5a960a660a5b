/* What the OAuth use cases share, beyond the frame of app_internal.h.
 *
 * An op that fails says so twice: by an outcome, as every op, and by op->trouble, for the client. Whoever has
 * nothing to add ends with an outcome alone (sp_op_fail, sp_op_finish), and sp_oauth_trouble_told translates.
 */
#ifndef SP_CORE_OAUTH_INTERNAL_H
#define SP_CORE_OAUTH_INTERNAL_H

#include "core/app_internal.h"
#include "core/client_auth.h"
#include "core/oauth.h"
#include "core/oauth_seal.h"
#include "core/tripwire.h"
#include "token/dpop.h"

/* ---- trouble ---- */

/* `description`: static. */
static inline struct sp_oauth_trouble sp_oauth_trouble_of(enum sp_oauth_error error,
                                                          const char *description) {
    return (struct sp_oauth_trouble){.error = error, .description = description};
}
/* End the op with it. */
void sp_oauth_refuse(struct sp_op *op, enum sp_oauth_error error, const char *description);
void sp_oauth_refuse_as(struct sp_op *op, struct sp_oauth_trouble trouble);
/* Why an access token was refused: INVALID_TOKEN, TEMPORARILY_UNAVAILABLE, SERVER_ERROR. */
struct sp_oauth_trouble sp_oauth_trouble_of_reject(enum sp_reject why);
/* For `say`: NONE for OK. op NULL: there was no memory for one. */
struct sp_oauth_trouble sp_oauth_trouble_told(const struct sp_op *op, enum sp_outcome outcome);

/* ---- scopes ---- */

/* Appends a word to a word list; SP_E_LIMIT. */
#define SP_OAUTH_WORDS_ADD(t, word) sp_oauth_words_add_((t)->s, sizeof((t)->s), &(t)->n, (word))
sp_status sp_oauth_words_add_(char *s, size_t cap, uint16_t *n, sp_slice word);
/* What is left of `scope` for a user with these roles: the protocol's own words, and permissions that the
 * live roles grant as a whole. */
sp_status sp_oauth_scope_of_user(struct sp_app *app, sp_slice scope, sp_slice roles, sp_text512 *ret);

/* ---- POST /oauth2/token (oauth_token.c) ---- */

/* What a grant is given, the client authenticated and allowed this grant_type. Good during the call; a grant
 * takes the reference. */
struct sp_oauth_grant {
    const struct sp_call *call;
    const struct sp_oauth_token_request *in;
    const struct sp_client *client;
    sp_oauth_tokens_done *done;
    void *arg;
};
void sp_oauth_grant_code(struct sp_app *app, const struct sp_oauth_grant *g);
void sp_oauth_grant_refresh(struct sp_app *app, const struct sp_oauth_grant *g);
void sp_oauth_grant_client(struct sp_app *app, const struct sp_oauth_grant *g);
/* A kind's `say`, of an op that begins with struct sp_tokens_op. */
void sp_oauth_tokens_say(struct sp_op *op, sp_any_done *done, void *arg, enum sp_outcome outcome);
/* sp_op_new for a grant, initialized; NULL: answered already, the client given back. */
void *sp_oauth_grant_op(struct sp_app *app, const struct sp_oauth_grant *g, const struct sp_op_kind *kind);

/* ---- tokens (app_issue.c) ---- */

/* `aud` of a word list; packs into room[0..cap) when there are several, which they fit twice. */
struct sp_strings sp_oauth_audience_claim(sp_slice words, uint8_t *room, size_t cap);
/* Signs the claims, with what they may within the limit where config.embed_permissions, unless that makes the
 * token longer than bytes_max. */
sp_status sp_app_sign_access(struct sp_app *app, struct sp_claims *claims, struct sp_permission_limit limit,
                             size_t bytes_max, struct sp_buf *ret);

/* ---- proofs (oauth_dpop.c) ---- */

enum sp_dpop_nonce_rule {
    SP_DPOP_NONCE_AS_CONFIGURED, /* where tokens are given out: config.dpop_nonce */
    SP_DPOP_NONCE_IF_GIVEN,      /* elsewhere; a proof that may be from before the start needs one anyway */
};
/* The proof of a request. NONE with *ret_jkt empty when none was sent (shown NULL, or its proof.p). With
 * `access_token` (p not NULL) the proof must be for it, with `jkt` (p not NULL) by that key. A good proof is
 * remembered: call this last, and once. */
struct sp_oauth_trouble sp_oauth_dpop_check(struct sp_app *app, const struct sp_dpop_shown *shown,
                                            enum sp_dpop_nonce_rule rule, sp_slice access_token, sp_slice jkt,
                                            sp_text64 *ret_jkt);
/* The same in two steps, for who has other things to decide in between: strangers must not fill the table.
 * The second does nothing for a proof that it has remembered, or for none. */
struct sp_oauth_trouble sp_oauth_dpop_look(struct sp_app *app, const struct sp_dpop_shown *shown,
                                           enum sp_dpop_nonce_rule rule, sp_slice access_token, sp_slice jkt,
                                           struct sp_oauth_proof *ret);
struct sp_oauth_trouble sp_oauth_dpop_remember(struct sp_app *app, struct sp_oauth_proof *proof);
/* May this genuine access token, bound to `jkt` (empty: to none), pass as it was shown? NONE, PROOF_REQUIRED,
 * BAD_PROOF, INTERNAL; *ret_trouble is set unless NONE. */
enum sp_reject sp_oauth_dpop_of_token(struct sp_app *app, sp_slice access_token, sp_slice jkt,
                                      bool is_dpop_scheme, const struct sp_dpop_shown *dpop,
                                      struct sp_oauth_trouble *ret_trouble);

#endif
