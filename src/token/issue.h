/* Builds a compact JWS. Two steps, so that the signature may come from another thread or process;
 * sp_jws_issue does both. */
#ifndef SP_TOKEN_ISSUE_H
#define SP_TOKEN_ISSUE_H

#include "base/buf.h"
#include "crypto/sig.h"
#include "token/jws.h"

struct sp_jws_issue_header {
    enum sp_alg alg;
    sp_slice kid; /* empty: none is written */
    sp_slice typ; /* "at+jwt"; empty: none is written */
};

/* Appends header '.' payload, the bytes to be signed, to *out (which should be empty: the whole buffer is the
 * token). SP_E_LIMIT: kid or typ too long. */
sp_status sp_jws_begin(const struct sp_jws_issue_header *header, sp_slice payload, struct sp_buf *out);
/* Appends '.' signature. SP_E_LIMIT when the token would exceed SP_TOKEN_BYTES_MAX, which no verifier would
 * read. */
sp_status sp_jws_finish(sp_slice signature, struct sp_buf *out);

/* Signs `input` into sig[0..cap). */
typedef sp_status (*sp_jws_sign_fn)(void *arg, sp_slice input, uint8_t *sig, size_t cap, size_t *ret_n);
/* *out must be empty; on failure it is empty again. */
sp_status sp_jws_issue(const struct sp_jws_issue_header *header, sp_slice payload, sp_jws_sign_fn sign,
                       void *arg, struct sp_buf *out);
/* The same with a key in this process. */
sp_status sp_jws_issue_with_key(const struct sp_jws_issue_header *header, sp_slice payload,
                                const struct sp_sig_key *key, struct sp_buf *out);

#endif
