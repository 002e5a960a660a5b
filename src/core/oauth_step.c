#include "core/oauth_step.h"

enum place {
    PLACE_SIGNED_OUT,
    PLACE_ANOTHER,
    PLACE_ANOTHER_AGAIN,
    PLACE_STALE,
    PLACE_ONE_FACTOR,
    PLACE_UNASKED,
    PLACE_READY,
    PLACE_COUNT
};

static const struct {
    enum sp_authz_step_kind asked;
    enum sp_oauth_error error; /* not to be asked; or asking again would lead nowhere (ERROR) */
} table[PLACE_COUNT] = {
    [PLACE_SIGNED_OUT] = {SP_STEP_LOGIN, SP_OAUTH_LOGIN_REQUIRED},
    [PLACE_ANOTHER] = {SP_STEP_LOGIN, SP_OAUTH_LOGIN_REQUIRED},
    [PLACE_ANOTHER_AGAIN] = {SP_STEP_ERROR, SP_OAUTH_LOGIN_REQUIRED},
    [PLACE_STALE] = {SP_STEP_LOGIN, SP_OAUTH_LOGIN_REQUIRED},
    [PLACE_ONE_FACTOR] = {SP_STEP_SECOND_FACTOR, SP_OAUTH_INTERACTION_REQUIRED},
    [PLACE_UNASKED] = {SP_STEP_CONSENT, SP_OAUTH_CONSENT_REQUIRED},
    [PLACE_READY] = {SP_STEP_CODE, SP_OAUTH_NONE},
};

/* The sign-in was made for this very request, and for one page after it: a page that is opened again is given
 * its time again, and the request in it would be fresh for ever. */
static bool is_fresh(const struct sp_authz_request *r, const struct sp_authz_signin_facts *s, int64_t now_s) {
    return !sp_row_id_is_none(r->signed_in, sizeof(r->signed_in)) &&
           memcmp(r->signed_in, s->sid, sizeof(r->signed_in)) == 0 &&
           sp_login_age_s(s->auth_time_s, now_s) <= SP_OAUTH_PAGE_TTL_S;
}

/* With max_age=0 every sign-in but a fresh one is too old. */
static bool is_too_old(const struct sp_authz_request *r, const struct sp_authz_signin_facts *s,
                       int64_t now_s) {
    return r->has_max_age && (r->max_age_s == 0 || sp_login_age_s(s->auth_time_s, now_s) > r->max_age_s);
}

static bool is_consented(const struct sp_authz_request *r, const struct sp_authz_consent_facts *c) {
    if (c->just_given || c->is_needless) return true;
    if (r->prompt_consent || c->is_anybodys || !c->was_given || c->granted_ms < c->client_created_ms)
        return false;
    sp_slice wanted = c->wanted, word;
    while (sp_words_next(&wanted, &word)) {
        if (!sp_words_contain(c->given, word)) return false;
    }
    return true;
}

static enum place place_of(const struct sp_authz_request *r, const struct sp_authz_signin_facts *s,
                           const struct sp_authz_consent_facts *c, int64_t now_s) {
    if (!s->is_on) return PLACE_SIGNED_OUT;
    const bool fresh = is_fresh(r, s, now_s);
    if (r->has_hint && memcmp(r->hint_user, s->user_id, sizeof(r->hint_user)) != 0)
        return fresh ? PLACE_ANOTHER_AGAIN : PLACE_ANOTHER;
    if (!fresh && (r->prompt_login || is_too_old(r, s, now_s))) return PLACE_STALE;
    if (s->second_factor_due) return PLACE_ONE_FACTOR;
    return is_consented(r, c) ? PLACE_READY : PLACE_UNASKED;
}

struct sp_authz_step sp_authz_step(const struct sp_authz_request *request,
                                   const struct sp_authz_signin_facts *signin,
                                   const struct sp_authz_consent_facts *consent, int64_t now_s) {
    const enum place place = place_of(request, signin, consent, now_s);
    const bool may_ask = !request->prompt_none;
    if (place == PLACE_READY) return (struct sp_authz_step){.kind = SP_STEP_CODE};
    if (may_ask && table[place].asked != SP_STEP_ERROR)
        return (struct sp_authz_step){.kind = table[place].asked};
    return (struct sp_authz_step){.kind = SP_STEP_ERROR, .error = table[place].error};
}
