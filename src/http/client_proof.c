#include "http/client_proof.h"

static enum sp_step refuse(struct sp_exchange *x, enum sp_oauth_error error, const char *why) {
    sp_x_oauth_error(x, error, why);
    return SP_ANSWERED;
}

/* RFC 6749 section 2.3.1: both parts are form-encoded before they are joined. Ids and secrets of ours look
 * the same either way; an encoder that escapes more than it must is right too. */
static sp_status decode_basic(struct sp_client_form *f, sp_slice authorization, struct sp_client_proof *ret) {
    size_t id_n, secret_n;
    SP_TRY(sp_basic_parse(authorization, &f->basic));
    SP_TRY(sp_form_decode(f->basic.user, f->id_bytes, &id_n));
    SP_TRY(sp_form_decode(f->basic.password, f->secret_bytes, &secret_n));
    if (id_n == 0) return sp_err(SP_E_MALFORMED);
    *ret = (struct sp_client_proof){.how = SP_CLIENT_SHOWS_BASIC,
                                    .id = sp_slice_of(f->id_bytes, id_n),
                                    .secret = sp_slice_of(f->secret_bytes, secret_n)};
    return SP_SUCCESS;
}

static enum sp_step by_header(struct sp_exchange *x, struct sp_client_form *f, sp_slice authorization,
                              struct sp_client_proof *ret) {
    x->shows_authorization = true;
    if (f->secret.n != 0 || f->assertion.n != 0)
        return refuse(x, SP_OAUTH_INVALID_REQUEST, "the client authenticates in more than one way");
    if (!sp_ok(decode_basic(f, authorization, ret)))
        return refuse(x, SP_OAUTH_INVALID_CLIENT, "the Authorization header is not a client's id and secret");
    if (f->id.n != 0 && !sp_slice_eq(f->id, ret->id))
        return refuse(x, SP_OAUTH_INVALID_REQUEST, "client_id is not the client of the Authorization header");
    return SP_GO_ON;
}

static enum sp_step by_assertion(struct sp_exchange *x, const struct sp_client_form *f,
                                 struct sp_client_proof *ret) {
    if (f->secret.n != 0)
        return refuse(x, SP_OAUTH_INVALID_REQUEST, "the client authenticates in more than one way");
    if (f->assertion.n == 0 || f->assertion_type.n == 0)
        return refuse(x, SP_OAUTH_INVALID_REQUEST, "client_assertion and client_assertion_type go together");
    if (!sp_slice_eq_cstr(f->assertion_type, SP_CLIENT_ASSERTION_TYPE))
        return refuse(x, SP_OAUTH_INVALID_CLIENT, "this client_assertion_type is not known here");
    *ret = (struct sp_client_proof){.how = SP_CLIENT_SHOWS_ASSERTION, .id = f->id, .assertion = f->assertion};
    return SP_GO_ON;
}

enum sp_step sp_x_read_client(struct sp_exchange *x, struct sp_client_form *f, struct sp_client_proof *ret) {
    sp_slice authorization;
    if (sp_http_req_header(x->req, "Authorization", &authorization) != SP_HTTP_ABSENT)
        return by_header(x, f, authorization, ret);
    if (f->assertion.n != 0 || f->assertion_type.n != 0) return by_assertion(x, f, ret);
    if (f->secret.n != 0 && f->id.n == 0)
        return refuse(x, SP_OAUTH_INVALID_REQUEST, "client_secret without client_id");
    *ret = (struct sp_client_proof){.how = f->secret.n != 0 ? SP_CLIENT_SHOWS_POST : SP_CLIENT_SHOWS_NOTHING,
                                    .id = f->id,
                                    .secret = f->secret};
    return SP_GO_ON;
}
