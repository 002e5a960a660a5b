/* The parameters of an authorization request, as they stand in a query, a form, and in what is pushed (RFC
 * 9126): declared once. */
#ifndef SP_HTTP_AUTHZ_FORM_H
#define SP_HTTP_AUTHZ_FORM_H

#include "core/oauth.h"
#include "http/form.h"

/* All but client_id, which at /oauth2/par belongs to the client's credential as well. Core bounds each value
 * by what it is. */
#define SP_AUTHZ_FIELD_(p, name)                                                                             \
    { #name, SP_HTTP_BODY_BYTES_MAX, &(p)->name, NULL, SP_FORM_PRINTABLE }
#define SP_AUTHZ_FORM_FIELDS(p, resources)                                                                   \
    SP_AUTHZ_FIELD_(p, response_type), SP_AUTHZ_FIELD_(p, response_mode), SP_AUTHZ_FIELD_(p, redirect_uri),  \
        SP_AUTHZ_FIELD_(p, scope), SP_AUTHZ_FIELD_(p, state), SP_AUTHZ_FIELD_(p, nonce),                     \
        SP_AUTHZ_FIELD_(p, code_challenge), SP_AUTHZ_FIELD_(p, code_challenge_method),                       \
        SP_AUTHZ_FIELD_(p, prompt), SP_AUTHZ_FIELD_(p, max_age), SP_AUTHZ_FIELD_(p, acr_values),             \
        SP_AUTHZ_FIELD_(p, login_hint), SP_AUTHZ_FIELD_(p, id_token_hint), SP_AUTHZ_FIELD_(p, dpop_jkt),     \
        SP_AUTHZ_FIELD_(p, request), SP_AUTHZ_FIELD_(p, request_uri), SP_AUTHZ_FIELD_(p, registration), {    \
        "resource", SP_HTTP_BODY_BYTES_MAX, NULL, (resources), SP_FORM_PRINTABLE                             \
    }

#endif
