/* Addresses that a browser is sent to: a registered one, or our own, with parameters added to its query.
 *
 * Names and values are percent-encoded but for the unreserved characters of RFC 3986, so that nothing of a
 * stranger's value is ever more than a value: neither a second parameter, nor a fragment, nor a line of a
 * header. What the address itself may hold is looked at again, although registering did so: it goes into a
 * header, and the disk is another author. Pure, thread-safe. */
#ifndef SP_CORE_OAUTH_REDIRECT_H
#define SP_CORE_OAUTH_REDIRECT_H

#include "base/buf.h"

/* May it stand in a Location header and be added to? A scheme (RFC 3986 3.1), a colon and more, printable
 * ASCII without white space, quotes, angle brackets, backslash or a fragment. */
bool sp_redirect_target_valid(sp_slice uri);

/* Appends `uri`. SP_E_MALFORMED: it is no target. */
sp_status sp_redirect_begin(sp_slice uri, struct sp_buf *ret);
/* Appends one parameter, with whichever separator is due: `ret` holds one address and nothing else. An empty
 * value is written, one with p == NULL is left out. */
sp_status sp_redirect_param(struct sp_buf *ret, const char *name, sp_slice value);

#endif
