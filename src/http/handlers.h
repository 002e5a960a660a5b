/* The handlers of routes.def, each in the h_*.c of its subject. A handler is entered once everything that its
 * row asks for holds, and owns the exchange until it has replied: at once, or in the completion of a use
 * case. */
#ifndef SP_HTTP_HANDLERS_H
#define SP_HTTP_HANDLERS_H

struct sp_exchange;

#define R(method, pattern, handler, auth, body, csrf, parameters) void sp_h_##handler(struct sp_exchange *x);
#include "http/routes.def"
#undef R

#endif
