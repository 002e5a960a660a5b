/* Which client is this? Authentication at the OAuth endpoints, against the table of live clients:
 * synchronous, no store.
 *
 * client_secret_basic, client_secret_post, private_key_jwt (with a replay table of `jti`) and none, whichever
 * the client was made with: a client that has a better way is not let in by a worse one (RFC 9700 2.5), and a
 * public client shows no secret. Of a client with a secret, client_secret_basic means either way of sending
 * it, client_secret_post that one alone. One answer for an unknown id, a wrong secret, a wrong way and a
 * disabled client; an unknown id costs what a wrong secret does. (An assertion costs a signature only when it
 * names a client that has keys: that somebody's client_id exists is no secret, the id is in the address of
 * every authorization request.) */
#ifndef SP_CORE_CLIENT_AUTH_H
#define SP_CORE_CLIENT_AUTH_H

#include "core/live_clients.h"
#include "core/oauth.h"

/* `path`: of the endpoint; assertions may be for the issuer, for this endpoint or for the token endpoint.
 * NONE: *ret holds a reference. INVALID_CLIENT (recorded as denials are), INVALID_REQUEST (nothing was shown
 * at all), TEMPORARILY_UNAVAILABLE (the replay table is full), SERVER_ERROR (no memory). */
struct sp_oauth_trouble sp_client_authenticate(struct sp_app *app, const struct sp_call *call,
                                               const struct sp_client_proof *shown, sp_slice path,
                                               const struct sp_client **ret);

/* Is it among the client's grants? */
bool sp_client_may_grant(const struct sp_client *c, sp_slice grant_type);
/* A session of an earlier client of this id, which was deleted: it is to be ended, and is good for nothing
 * until then. NULL: a session of our own. */
bool sp_client_inherits(const struct sp_client *c, const struct sp_session_row *row);
/* As sp_uri_is_registered compares them. */
bool sp_client_has_redirect_uri(const struct sp_client *c, sp_slice uri);
bool sp_client_has_post_logout_uri(const struct sp_client *c, sp_slice uri);
/* The audience of a token: each resource must be among the client's audiences (none registered: only the
 * server's own audience). None asked for: the client's first audience, or the server's. Word list.
 * SP_E_REFUSED: invalid_target. */
sp_status sp_client_audience(const struct sp_app *app, const struct sp_client *c, const sp_slice *resources,
                             size_t n, sp_text256 *ret);
/* asked (empty: all that the client has) within the client's scopes: SP_E_REFUSED when a word is not
 * (invalid_scope), SP_E_MALFORMED when it is no scope. */
sp_status sp_client_scope(const struct sp_client *c, sp_slice asked, sp_text512 *ret);

#endif
