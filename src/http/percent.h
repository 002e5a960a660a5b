/* Percent-encoding (RFC 3986), in one form only.
 *
 * Decoding accepts what an encoder would have written: hexadecimal digits in upper case, no escape for a
 * character that needs none
 * (`%61`), and never an encoded control character, '/' or '\\', which somebody between us and the client may
 * already have decoded. So two spellings that some proxy takes for one path are never two paths here. '+' in
 * a query is refused: half of the world means a space by it. Results are well-formed UTF-8 without control
 * characters.
 *
 * Pure, thread-safe. */
#ifndef SP_HTTP_PERCENT_H
#define SP_HTTP_PERCENT_H

#include "base/buf.h"

enum sp_percent_part { SP_PERCENT_SEGMENT, SP_PERCENT_QUERY_VALUE };

/* Decodes into out, which has room for in.n bytes (may be `in` itself). SP_E_MALFORMED. */
sp_status sp_percent_decode(sp_slice in, enum sp_percent_part part, uint8_t *out, size_t *ret_n);
/* Is every segment of a path of that form, and none of them "." or ".."? `path` begins with '/'. */
bool sp_percent_path_valid(sp_slice path);

/* Appends a word list for a header: each word encoded but for unreserved characters and ":*" (which
 * permissions are made of), words still separated by one space; an empty list is "-", and the word "-" alone
 * is "%2D". */
sp_status sp_percent_encode_words(sp_slice words, struct sp_buf *ret);

#endif
