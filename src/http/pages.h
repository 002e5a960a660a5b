/* The pages of a sign-in: login, consent, logout, goodbye. What they show comes from core (sp_authz_result);
 * each writes its body and its headers, and whoever calls replies. */
#ifndef SP_HTTP_PAGES_H
#define SP_HTTP_PAGES_H

#include "http/exchange.h"

void sp_page_login(struct sp_exchange *x, const struct sp_authz_result *r);
void sp_page_consent(struct sp_exchange *x, const struct sp_authz_result *r);
void sp_page_logout(struct sp_exchange *x, const struct sp_authz_result *r);
void sp_page_goodbye(struct sp_exchange *x);

#endif
