/* The URL in a DPoP proof (RFC 9449 section 4.3, `htu`), compared with the URL of the request.
 *
 * Both are brought into one form (RFC 3986 sections 6.2.2 and 6.2.3), and then compared byte by byte:
 *
 *   query and fragment are cut off               https://a.example/b?c#d     https://a.example/b
 *   scheme and host in lower case                HTTPS://A.Example/B         https://a.example/B
 *   the scheme's own port is left out            https://a.example:443/b     https://a.example/b
 *   an empty path is "/"                         https://a.example           https://a.example/
 *   escapes in upper case, needless ones undone  /%7euser%2fx                /~user%2Fx
 *
 * What can be read in two ways has no such form, and so never matches: user information, dot segments (also
 * "%2e"), backslashes, escapes in the host, schemes other than http and https, spaces, controls, bytes beyond
 * ASCII. RFC 3986 would resolve dot segments; whoever sends them in a proof means something else than he asks
 * for. A host with a dot at its end is another host.
 *
 * Pure, thread-safe. */
#ifndef SP_TOKEN_HTU_H
#define SP_TOKEN_HTU_H

#include "base/slice.h"
#include "base/status.h"

#define SP_HTU_BYTES_MAX 2048 /* without query; longer ones do not get through most proxies */

/* Writes the form of `url` to out[0..SP_HTU_BYTES_MAX). SP_E_MALFORMED: it has none; SP_E_LIMIT. */
sp_status sp_htu_normalize(sp_slice url, uint8_t out[SP_HTU_BYTES_MAX], size_t *ret_n);

#endif
