/* What keeps other sites from acting with a visitor's cookies: the Origin rule, and (in app) the CSRF token.
 *
 * The Origin rule looks only at what a page cannot forge: `Origin` must be one of the configured public
 * origins, compared byte for byte (never with `Host` or X-Forwarded-*, which whoever stands between may
 * write); `Sec-Fetch-Site`, if sent, must be `same-origin`; with neither header the request is refused.
 * `Origin: null` is no origin of ours. A `Referer` says nothing here: it may be left out at will.
 *
 * Pure, thread-safe. */
#ifndef SP_HTTP_CSRF_H
#define SP_HTTP_CSRF_H

#include "base/base64url.h"
#include "base/slice.h"
#include "base/status.h"

enum { SP_ORIGINS_MAX = 16 }; /* public origins of one deployment: compared one after another */

struct sp_origin_headers {
    bool has_origin, has_fetch_site;
    sp_slice origin, fetch_site;
};

bool sp_origin_rule(const struct sp_origin_headers *h, const sp_slice *public_origins, size_t n);

/* An origin as browsers write it: scheme "://" host [":" port], lower case, no path, no trailing slash, no
 * user. Configuration is held to it, because another form could never match. */
bool sp_origin_valid(sp_slice origin);

/* An issuer's URL in its parts: "https://host:port"; and the path without its last slash, "" or "/a/b". */
sp_slice sp_issuer_origin(sp_slice issuer);
sp_slice sp_issuer_path(sp_slice issuer);

/* Methods that change nothing (RFC 9110 section 9.2.1; TRACE, which no browser sends, is left out). Exact
 * case: "get" is another, unknown method. */
bool sp_method_is_safe(sp_slice method);

/* The session that a refresh cookie names, unproved: enough to know which CSRF token must accompany it, since
 * only that session's page has it; app proves the token itself. The layout is token/refresh_token.h's.
 * SP_E_MALFORMED. */
enum { SP_REFRESH_SID_BYTES = 20 };
sp_status sp_refresh_text_sid(sp_slice refresh_token, uint8_t ret_sid[SP_REFRESH_SID_BYTES]);

#endif
