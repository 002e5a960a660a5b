/* Is this an authorization request that we would serve? Parameters and a client in, the request that later
 * steps work with out (oauth_seal.h), or what is wrong with it.
 *
 * What is wrong is told in one of two places, and the difference is a matter of security. As long as it is
 * not known that the client has registered the address, nobody is sent there: the person is told on a page of
 * ours (RFC 6749 4.1.2.1; else anyone could make this server a relay to wherever he likes). Once it is known,
 * the client is told, by a redirect with `error`, `state` and `iss`.
 *
 * No store and no clock: the same request gives the same answer. The id_token_hint, which needs keys, and
 * request_uri, which holds another request, are the caller's (oauth_authorize.c). */
#ifndef SP_CORE_OAUTH_REQUEST_H
#define SP_CORE_OAUTH_REQUEST_H

#include "core/oauth_internal.h"

/* A max_age beyond this says nothing: no sign-in is that old. Keeps sums far from overflow. */
#define SP_OAUTH_MAX_AGE_S_MAX ((int64_t)100 * 365 * 86400)

struct sp_authz_checked {
    struct sp_oauth_trouble trouble; /* NONE: `request` is good, but for expires_s and is_pushed */
    bool may_redirect;               /* trouble: request.redirect_uri and state may be used to tell it */
    struct sp_authz_request request;
};
/* `openid`: id_tokens are made here. `c` may be NULL (there is no such client) or disabled. `pushed`: over a
 * channel where the client has authenticated itself, so that require_par is met. */
struct sp_authz_facts {
    const struct sp_client *client;
    bool openid;
    bool pushed;
};
void sp_authz_check(const struct sp_app *app, const struct sp_authz_facts *facts,
                    const struct sp_authz_params *params, struct sp_authz_checked *ret);

/* What is asked for, without the words of OpenID Connect whose claims nobody has here (email, address,
 * phone): beside openid they are ignored. A list that is malformed comes back as it is, for the caller to
 * refuse. SP_E_LIMIT. */
sp_status sp_authz_scope_meant(sp_slice asked, sp_text512 *ret);

/* May a request that was found good earlier, and sealed, still be served for this client as it is now? NULL:
 * yes; else what the page says. */
const char *sp_authz_still_good(const struct sp_client *client, const struct sp_authz_request *request);

#endif
