/* Text into HTML: the one way in which anything that we did not write ourselves gets into a page.
 *
 * The result is good as element content and inside a quoted attribute, and nowhere else: there are no scripts
 * and no style attributes here, and no address of others becomes a link. Bytes that are not well-formed
 * UTF-8, and control characters, become U+FFFD; so do the marks that turn the direction of the text around
 * them (a client could show its name as another's with them). Pure, thread-safe. */
#ifndef SP_HTTP_HTML_H
#define SP_HTTP_HTML_H

#include "base/buf.h"

enum { SP_HTML_GROWTH_MAX = 5 }; /* bytes that one byte becomes at most: "&#39;" and "&amp;" */

/* Appends. SP_E_LIMIT, SP_E_NOMEM; then the buffer is as it was. */
sp_status sp_html_escape(sp_slice text, struct sp_buf *ret);

#endif
