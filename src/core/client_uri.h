/* URIs that a client registers: what each kind may be, and when one that is sent is the one that was
 * registered.
 *
 * They are compared as texts, byte by byte (RFC 9700 4.1.3): nothing is normalised, so there is nothing about
 * which this server and a browser could disagree. What is refused at registration is therefore wider than RFC
 * 3986 asks: whatever has a user, a fragment or a wildcard in it, a scheme in capitals, a host that is more
 * than letters, digits, dots and hyphens.
 *
 * Pure; any thread. */
#ifndef SP_CORE_CLIENT_URI_H
#define SP_CORE_CLIENT_URI_H

#include "base/slice.h"

enum sp_uri_use {
    SP_URI_REDIRECT,         /* https; http on loopback */
    SP_URI_REDIRECT_PRIVATE, /* ... or a private-use scheme with a dot in it (RFC 8252 7.1): public clients */
    SP_URI_CALL,             /* where this server itself posts: https; http on loopback */
    SP_URI_NAME,             /* of an audience (RFC 8707): any scheme, no fragment; nobody goes there */
};

enum sp_uri_fault {
    SP_URI_OK,
    SP_URI_MALFORMED, /* not an absolute URI, or characters that have no business in one */
    SP_URI_FRAGMENT,
    SP_URI_USERINFO,
    SP_URI_WILDCARD,
    SP_URI_SCHEME, /* not one that this use allows; http to elsewhere than loopback among them */
};
enum sp_uri_fault sp_uri_check(sp_slice uri, enum sp_uri_use use);

/* The same text; but of an http URI on 127.0.0.1 or [::1] the port may differ, or be missing on either side,
 * since a native program takes the port that it is given (RFC 8252 7.3). `localhost` is a name like any
 * other. */
bool sp_uri_is_registered(sp_slice registered, sp_slice sent);

#endif
