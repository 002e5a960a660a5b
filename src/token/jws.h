/* Compact JWS (RFC 7515 section 7.1), read strictly: exactly three segments of canonical base64url, and a
 * header that is one JSON object without duplicate names. Nothing here looks at keys or believes what a
 * header says.
 *
 * Header members that matter are `alg kid typ crit b64`. `crit` and `b64` refuse the token, since we
 * implement no extension. `enc` refuses it, since it names a JWE. `jwk jku x5u x5c x5t` are never used to
 * find a key; `jwk` is handed out because a DPoP proof is checked with it, by a caller who has decided so.
 * All other members are ignored, as RFC 7515 section 4 demands. */
#ifndef SP_TOKEN_JWS_H
#define SP_TOKEN_JWS_H

#include "base/json.h"
#include "base/slice.h"
#include "crypto/sig.h"
#include "token/reject.h"

#define SP_TOKEN_BYTES_MAX 8192      /* what servers and proxies let through in one header field */
#define SP_JWS_HEADER_BYTES_MAX 2048 /* decoded; a header with a certificate chain is not one of ours */
#define SP_JWS_HEADER_NODES 64
#define SP_KID_BYTES_MAX 256
#define SP_TYP_BYTES_MAX 128

/* The segments, borrowed from the token. */
struct sp_jws {
    sp_slice header;        /* base64url */
    sp_slice payload;       /* base64url */
    sp_slice signature;     /* base64url */
    sp_slice signing_input; /* header '.' payload */
};

/* SP_REJECT_OVERSIZE, SP_REJECT_MALFORMED. Payload and signature may be empty here (an empty payload is
 * signable). */
enum sp_reject sp_jws_split(sp_slice token, struct sp_jws *ret_jws);

struct sp_jws_header {
    enum sp_alg alg;
    bool has_kid, has_typ;
    sp_slice kid;
    sp_slice typ;
    sp_slice jwk; /* the raw JSON of the member, or empty; an attacker's, see above */
};

/* Memory for one header; its slices live there until it is used again. */
struct sp_jws_header_scratch {
    struct sp_json_node nodes[SP_JWS_HEADER_NODES];
    uint8_t json[SP_JWS_HEADER_BYTES_MAX];
    uint8_t strings[SP_KID_BYTES_MAX + SP_TYP_BYTES_MAX]; /* values that were written with escapes */
};

/* Decodes and checks the header segment. NOT_CANONICAL, OVERSIZE, BAD_HEADER, DUPLICATE_NAME,
 * CRIT_UNSUPPORTED, ALG_NOT_ALLOWED (an algorithm that we do not offer). */
enum sp_reject sp_jws_header_parse(sp_slice header_base64url, struct sp_jws_header_scratch *scratch,
                                   struct sp_jws_header *ret_header);

/* Is `typ` the media type `wanted`? ASCII case and one "application/" in front do not matter (RFC 7515
 * section 4.1.9, RFC 9068 section 4). */
bool sp_jws_typ_is(sp_slice typ, sp_slice wanted);

#endif
