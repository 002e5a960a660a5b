/* What a request to /oauth2 shows of its client (RFC 6749 section 2.3, RFC 7523 section 2.2): found in the
 * header and the form, and judged by core. Two ways at once are two stories, and refused; `client_id` beside
 * another way is none, when it says the same. */
#ifndef SP_HTTP_CLIENT_PROOF_H
#define SP_HTTP_CLIENT_PROOF_H

#include "http/basic.h"
#include "http/exchange.h"

#define SP_CLIENT_ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/* The form's parameters about the client, and the header's bytes. Wipe after use. */
struct sp_client_form {
    sp_slice id, secret, assertion, assertion_type;
    struct sp_basic basic;
    uint8_t id_bytes[SP_BASIC_BYTES_MAX], secret_bytes[SP_BASIC_BYTES_MAX]; /* of the header, decoded */
};
/* For the declaration of a form. Values are bounded by the body alone; what a client has is core's. */
#define SP_CLIENT_FORM_FIELDS(f)                                                                             \
    {"client_id", SP_HTTP_BODY_BYTES_MAX, &(f)->id, NULL, SP_FORM_PRINTABLE},                                \
        {"client_secret", SP_HTTP_BODY_BYTES_MAX, &(f)->secret, NULL, SP_FORM_PRINTABLE},                    \
        {"client_assertion", SP_HTTP_BODY_BYTES_MAX, &(f)->assertion, NULL, SP_FORM_PRINTABLE}, {            \
        "client_assertion_type", SP_HTTP_BODY_BYTES_MAX, &(f)->assertion_type, NULL, SP_FORM_PRINTABLE       \
    }

/* *ret borrows from the form and from *f. invalid_request, or invalid_client for a header that is none. */
enum sp_step sp_x_read_client(struct sp_exchange *x, struct sp_client_form *f, struct sp_client_proof *ret);

#endif
