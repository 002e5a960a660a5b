/* Our cookies: found in a request's Cookie header, and written into Set-Cookie.
 *
 * Reading is exact: a pair begins after ';' and SP or HTAB, its name is compared byte for byte (no Unicode
 * white space is stripped, no quotes are taken off, no `$Version` and no ',' is understood), because every
 * leniency here has let someone smuggle a
 * `__Host-` cookie past the browser that guards the prefix. A name of ours that comes twice is never chosen
 * between: that is cookie tossing, and the caller expires it and refuses. Other people's cookies may look
 * like anything.
 *
 * Pure, thread-safe. */
#ifndef SP_HTTP_COOKIE_H
#define SP_HTTP_COOKIE_H

#include "base/buf.h"
#include "base/text.h"

enum { SP_COOKIE_NAME_BYTES_MAX = 64 };

/* DEVICE is no credential: it says that someone has logged in here before, and outlives every session. SSO is
 * the sign-in of the pages at /oauth2, and good for nothing else. */
enum sp_cookie_kind { SP_COOKIE_ACCESS, SP_COOKIE_REFRESH, SP_COOKIE_DEVICE, SP_COOKIE_SSO, SP_COOKIE_KINDS };

struct sp_cookie_names {
    sp_text64 name[SP_COOKIE_KINDS];
};
/* Sets `<prefix>sp_access`, `<prefix>sp_refresh` and so on; an empty prefix reads as "__Host-".
 * SP_E_MALFORMED unless the prefix is an RFC 6265 token, SP_E_LIMIT. Any other prefix gives up the browser's
 * guarantee that a sibling domain cannot plant the cookie. */
sp_status sp_cookie_names_set(struct sp_cookie_names *names, sp_slice prefix);

/* What a request carried. Values borrow from the headers. */
struct sp_cookies {
    sp_slice value[SP_COOKIE_KINDS];
    uint32_t seen[SP_COOKIE_KINDS]; /* how often */
};
#define SP_COOKIES_INIT                                                                                      \
    {                                                                                                        \
        .seen = { 0 }                                                                                        \
    }

/* Adds one Cookie header's content; call it for each such header. Never fails: what is not a pair is not
 * ours. */
void sp_cookies_read(const struct sp_cookie_names *names, sp_slice header, struct sp_cookies *cookies);
/* Credentials of /auth only. */
static inline bool sp_cookies_any(const struct sp_cookies *c) {
    return c->seen[SP_COOKIE_ACCESS] != 0 || c->seen[SP_COOKIE_REFRESH] != 0;
}
static inline bool sp_cookies_repeated(const struct sp_cookies *c) {
    return c->seen[SP_COOKIE_ACCESS] > 1 || c->seen[SP_COOKIE_REFRESH] > 1;
}

/* Appends a Set-Cookie value. `value` must be cookie octets (our tokens are); SP_E_MALFORMED otherwise.
 * max_age_s <= 0 expires; SP_COOKIE_UNTIL_CLOSED is as long as the browser's own session. */
#define SP_COOKIE_UNTIL_CLOSED INT64_MAX
sp_status sp_cookie_write(const struct sp_cookie_names *names, enum sp_cookie_kind kind, sp_slice value,
                          int64_t max_age_s, struct sp_buf *ret);

#endif
