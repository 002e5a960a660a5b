/* CORS: which other origins' pages may read our answers (the Fetch standard).
 *
 * Those that are configured (server.cors_origins), compared byte for byte, on the routes that applications
 * call with tokens or that are public (sp_route_is_shared). Never with cookies: there is no
 * Access-Control-Allow-Credentials, so whoever calls from elsewhere shows a token of his own; what acts by
 * cookie has the Origin rule (csrf.h) besides. Nothing of a request is repeated in an answer: an allowed
 * origin is written from the configuration, methods and headers from our own lists. */
#ifndef SP_HTTP_CORS_H
#define SP_HTTP_CORS_H

#include "http/exchange.h"

enum { SP_CORS_MAX_AGE_S = 600 }; /* a preflight counts as long: Chromium keeps none longer than two hours */

/* On every answer of a shared route, so that no cache gives one origin's answer to another. */
void sp_x_cors(struct sp_exchange *x);
/* On the answer to OPTIONS of such a path: `methods` are what it has, `allow` the same as text. */
void sp_x_preflight(struct sp_exchange *x, uint32_t methods, sp_slice allow);

#endif
