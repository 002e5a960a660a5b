/* What comes next of an authorization request? A place is found for the facts, and the place decides: for a
 * person who can be asked, and (prompt=none) for one who must not be.
 *
 *   place              asked              not to be asked
 *   SIGNED_OUT         LOGIN              login_required
 *   ANOTHER            LOGIN              login_required       not whom the id_token_hint names
 *   ANOTHER_AGAIN      login_required     login_required       ... and has just signed in for this request
 *   STALE              LOGIN              login_required       prompt=login, or older than max_age
 *   ONE_FACTOR         SECOND_FACTOR      interaction_required
 *   UNASKED            CONSENT            consent_required
 *   READY              CODE               CODE
 *
 * Pure: facts in, a step out. Who asks for a step gathers facts in the order of the places, and may leave out
 * those that the place found so far does not need: consent is looked at last. */
#ifndef SP_CORE_OAUTH_STEP_H
#define SP_CORE_OAUTH_STEP_H

#include "core/oauth_seal.h"

enum sp_authz_step_kind {
    SP_STEP_LOGIN,
    SP_STEP_SECOND_FACTOR,
    SP_STEP_CONSENT,
    SP_STEP_CODE,
    SP_STEP_ERROR,
};

struct sp_authz_signin_facts {
    bool is_on; /* a browser's sign-in that is good now; nothing else counts without it */
    uint8_t sid[SP_ROW_SID_BYTES];
    uint8_t user_id[SP_ROW_ID_BYTES];
    int64_t auth_time_s;
    /* More is asked of this person than the sign-in has shown (its acr). No person here has a second factor
     * yet, so that nobody sets it; the step, its page's place and acr and amr on their way are what is there
     * for the day on which somebody does. */
    bool second_factor_due;
};
struct sp_authz_consent_facts {
    bool is_needless; /* a client of the operator's own: nobody is asked */
    bool is_anybodys; /* whoever asks may be another program under this client's id: RFC 8252 section 8.6 */
    bool just_given;  /* for this very request */
    bool was_given;   /* there is a row, ... */
    int64_t granted_ms,
        client_created_ms;  /* ... and it is of this client, not of one that had its id before */
    sp_slice given, wanted; /* word lists */
};

struct sp_authz_step {
    enum sp_authz_step_kind kind;
    enum sp_oauth_error error; /* ERROR */
};
struct sp_authz_step sp_authz_step(const struct sp_authz_request *request,
                                   const struct sp_authz_signin_facts *signin,
                                   const struct sp_authz_consent_facts *consent, int64_t now_s);

#endif
