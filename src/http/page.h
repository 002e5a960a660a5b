/* What every page of ours has: its frame, its one stylesheet, and the headers that keep it ours.
 *
 * A page is HTML that works without a script and loads nothing, so its Content-Security-Policy allows nothing
 * but the one stylesheet, by its hash, and a form that leads to us. `form-action` also names the origin of
 * the address that the answer to the form may redirect to: Chromium holds the redirects after a form to it.
 * Everything that we did not write is escaped (html.h), names of others stand in <bdi>. Forms point to
 * `login`, `consent` and `logout` beside the page, so that a server below a path of somebody's proxy needs to
 * know nothing of it.
 *
 * Referrer-Policy is same-origin and not no-referrer, which would make browsers send `Origin: null` with the
 * form, and the Origin rule could not tell it from a stranger's. */
#ifndef SP_HTTP_PAGE_H
#define SP_HTTP_PAGE_H

#include "http/exchange.h"

/* The frame: from <!doctype> to <main><h1>; `title` is ours. */
void sp_page_begin(struct sp_exchange *x, const char *title);
/* HTML that we wrote. */
void sp_page_html(struct sp_exchange *x, const char *html);
/* Text of anybody's, escaped. */
void sp_page_text(struct sp_exchange *x, sp_slice text);
/* A hidden field of a form; nothing when the value is empty. `name` is ours. */
void sp_page_hidden(struct sp_exchange *x, const char *name, sp_slice value);
void sp_page_end(struct sp_exchange *x);
/* Adds the headers. `goes_to`: the address that the page's form may lead to, or empty. */
void sp_page_headers(struct sp_exchange *x, sp_slice goes_to);

/* The error page, with its headers; whoever calls replies. `error` is OAuth's code; the others may be NULL.
 */
void sp_page_error(struct sp_exchange *x, const char *error, const char *description, const char *detail);

/* Appends what form-action may name of an address: its origin, or its scheme where that has no origin that
 * the grammar knows (another scheme than http and https, an IPv6 address); nothing of an address that is
 * none. Pure. SP_E_LIMIT, SP_E_NOMEM. */
sp_status sp_page_form_source(sp_slice address, struct sp_buf *ret);

/* The stylesheet, and its hash as the policy names it. */
extern const char sp_page_style[];
extern const char sp_page_style_hash[];

#endif
