/* base64url without padding (RFC 4648 section 5), canonical only: exactly one text for each byte string.
 * Padding, other alphabets, white space, a length of 4k+1 and non-zero trailing bits are malformed.
 * Not constant-time: for texts whose content is public or checked by a MAC afterwards. */
#ifndef SP_BASE_BASE64URL_H
#define SP_BASE_BASE64URL_H

#include "base/slice.h"
#include "base/status.h"

/* Characters that n bytes take, and the most bytes that n characters can give. */
#define SP_BASE64URL_CHARS(n) ((((n) / 3) * 4) + ((n) % 3 == 0 ? 0 : (n) % 3 + 1))
#define SP_BASE64URL_BYTES(n) ((((n) / 4) * 3) + ((n) % 4 < 2 ? 0 : (n) % 4 - 1))

/* Writes SP_BASE64URL_CHARS(in.n) characters to out, without a NUL. */
void sp_base64url_encode(sp_slice in, char *out);
/* Decodes into out[0..cap), which may be the text itself; SP_E_MALFORMED, or SP_E_LIMIT when it does not fit.
 */
sp_status sp_base64url_decode(sp_slice text, uint8_t *out, size_t cap, size_t *ret_n);
/* Decodes a text that must give exactly n bytes. */
sp_status sp_base64url_decode_exact(sp_slice text, uint8_t *out, size_t n);

#endif
