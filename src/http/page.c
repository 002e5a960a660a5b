#include "http/page.h"

#include "http/html.h"

/* Contrast is 4.5:1 at least for text and 3:1 for borders and the focus, in both schemes; nothing moves; 320
 * CSS pixels are enough. A change needs a new hash: the unit test tells it. */
const char sp_page_style[] =
    ":root{color-scheme:light dark;--ink:#1a1c1e;--soft:#44474b;--paper:#fff;--edge:#72767c;--act:#0b57d0;"
    "--on-act:#fff;--bad:#a3170f;--bad-paper:#fdeceb}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e7e9;--soft:#c3c6ca;--paper:#16181b;--edge:#8e9298;"
    "--act:#a8c7fa;--on-act:#0a2a5c;--bad:#ffb4ab;--bad-paper:#3b1512}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}"
    "main{max-width:26rem;margin:0 auto;padding:2rem 1rem;overflow-wrap:anywhere}"
    "h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25}"
    "p,ul,dl{margin:0 0 1rem}"
    "ul{padding-left:1.25rem}"
    "small,dt{color:var(--soft);font-size:.875rem}"
    "dd{margin:0 0 .5rem}"
    "a{color:var(--act)}"
    "code{font-family:ui-monospace,monospace}"
    "label{display:block;margin:0 0 .25rem;font-weight:600}"
    "input{display:block;width:100%;margin:0 0 1rem;padding:.625rem;border:1px solid var(--edge);"
    "border-radius:.25rem;background:var(--paper);color:var(--ink);font:inherit}"
    "input[aria-invalid]{border:2px solid var(--bad)}"
    "button{display:block;width:100%;min-height:2.75rem;margin:0 0 .75rem;padding:.5rem 1rem;"
    "border:1px solid var(--act);border-radius:.25rem;background:var(--act);color:var(--on-act);"
    "font:inherit;font-weight:600}"
    "button.other{background:var(--paper);color:var(--act)}"
    ":focus-visible{outline:3px solid var(--act);outline-offset:2px}"
    ".problem{margin:0 0 1rem;padding:.75rem 1rem;border-left:.25rem solid var(--bad);"
    "background:var(--bad-paper)}"
    ".problem p{margin:0}";
const char sp_page_style_hash[] = "sha256-fHiUTTGTjsVDZ6PCN9IU2SbHheoxBRVtVWxoeMAivEA=";

enum { POLICY_BYTES_MAX = 1024, SOURCE_BYTES_MAX = 512 }; /* SP_OAUTH's longest address, and our own words */

void sp_page_html(struct sp_exchange *x, const char *html) {
    if (!sp_ok(sp_buf_append_cstr(&x->out, html))) x->failed = true;
}

void sp_page_text(struct sp_exchange *x, sp_slice text) {
    if (!sp_ok(sp_html_escape(text, &x->out))) x->failed = true;
}

void sp_page_hidden(struct sp_exchange *x, const char *name, sp_slice value) {
    if (value.n == 0) return;
    sp_page_html(x, "<input type=\"hidden\" name=\"");
    sp_page_html(x, name);
    sp_page_html(x, "\" value=\"");
    sp_page_text(x, value);
    sp_page_html(x, "\">\n");
}

void sp_page_begin(struct sp_exchange *x, const char *title) {
    sp_page_html(x, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
    sp_page_html(x, title);
    sp_page_html(x, "</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                    "<meta name=\"robots\" content=\"noindex\">\n<style>");
    sp_page_html(x, sp_page_style);
    sp_page_html(x, "</style>\n</head>\n<body>\n<main>\n");
}

void sp_page_end(struct sp_exchange *x) {
    sp_page_html(x, "</main>\n</body>\n</html>\n");
}

/* ---- headers ---- */

static bool is_scheme_char(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-' || c == '.';
}

/* CSP Level 3's host-source: letters, digits, '-', '.' and a port. */
static bool is_host_source(sp_slice authority) {
    for (size_t i = 0; i < authority.n; i++) {
        const uint8_t c = authority.p[i];
        if (!is_scheme_char(c) && c != ':') return false;
        if (c == '+') return false;
    }
    return authority.n != 0;
}

sp_status sp_page_form_source(sp_slice address, struct sp_buf *ret) {
    size_t scheme = 0;
    while (scheme < address.n && is_scheme_char(address.p[scheme])) scheme++;
    if (scheme == 0 || scheme == address.n || address.p[scheme] != ':') return SP_SUCCESS;
    const sp_slice rest = sp_slice_of(address.p + scheme + 1, address.n - scheme - 1);
    const bool is_web = sp_slice_eq_nocase(sp_slice_of(address.p, scheme), SP_SLICE_LIT("https")) ||
                        sp_slice_eq_nocase(sp_slice_of(address.p, scheme), SP_SLICE_LIT("http"));
    size_t end = 2;
    if (is_web && sp_slice_starts(rest, SP_SLICE_LIT("//"))) {
        while (end < rest.n && strchr("/?#", rest.p[end]) == NULL) end++;
        if (is_host_source(sp_slice_of(rest.p + 2, end - 2)))
            return sp_buf_append(ret, sp_slice_of(address.p, scheme + 1 + end));
    }
    return sp_buf_append(ret, sp_slice_of(address.p, scheme + 1));
}

static void add_policy(struct sp_exchange *x, sp_slice goes_to) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(POLICY_BYTES_MAX);
    SP_AUTO(sp_buf) source = SP_BUF_INIT(SOURCE_BYTES_MAX);
    sp_status st = sp_page_form_source(goes_to, &source);
    if (sp_ok(st))
        st = sp_buf_printf(&b, "default-src 'none'; style-src '%s'; form-action 'self'%s", sp_page_style_hash,
                           source.n == 0 ? "" : " ");
    if (sp_ok(st)) st = sp_buf_append(&b, sp_buf_slice(&source));
    if (sp_ok(st)) st = sp_buf_append(&b, SP_SLICE_LIT("; base-uri 'none'; frame-ancestors 'none'"));
    if (!sp_ok(st)) x->failed = true;
    sp_x_header(x, "Content-Security-Policy", sp_buf_slice(&b));
}

void sp_page_headers(struct sp_exchange *x, sp_slice goes_to) {
    sp_x_header(x, "Content-Type", SP_SLICE_LIT("text/html; charset=utf-8"));
    add_policy(x, goes_to);
    sp_x_header(x, "X-Frame-Options", SP_SLICE_LIT("DENY"));
    sp_x_header(x, "Referrer-Policy", SP_SLICE_LIT("same-origin"));
    sp_x_header(x, "Cross-Origin-Opener-Policy", SP_SLICE_LIT("same-origin"));
    sp_x_header(x, "Cross-Origin-Resource-Policy", SP_SLICE_LIT("same-origin"));
    sp_x_header(
        x, "Permissions-Policy",
        SP_SLICE_LIT("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"));
}

/* ---- the error page ---- */

/* What happened, and what to do, in the words of people; the rest is for those who run the application. */
static const struct {
    const char *error, *happened, *help;
} explanations[] = {
    {"access_denied",
     "This page was opened under another address than the server's own, or another site sent you.",
     "Go back to the application and begin again there."},
    {"temporarily_unavailable", "The server cannot do this at the moment.",
     "Wait a little, then go back to the application and try again."},
    {"server_error", "Something went wrong on the server.",
     "Go back to the application and try again. If it happens again, tell whoever runs this server."},
    /* The last one is for all others. */
    {"", "The application sent a request that cannot be used, or this page was open for too long.",
     "Go back to the application and begin again there. If it happens again, tell whoever runs the "
     "application."},
};

static size_t explanation(const char *error) {
    size_t i = 0;
    while (i + 1 < SP_ARRAY_LEN(explanations) && strcmp(explanations[i].error, error) != 0) i++;
    return i;
}

/* Only the Origin rule denies access on a page. Its address is no secret: it is the issuer of every token. */
static void put_own_address(struct sp_exchange *x) {
    sp_page_html(x, "<p><small>If you run this server: its own address is <code>");
    sp_page_text(x, SP_TEXT_SLICE(&sp_app_config(x->app)->issuer));
    sp_page_html(x, "</code> (tokens.issuer). People must open it there; where else it was opened is in "
                    "the log, as origin_refused.</small></p>\n");
}

void sp_page_error(struct sp_exchange *x, const char *error, const char *description, const char *detail) {
    const size_t i = explanation(error);
    sp_page_begin(x, "This did not work");
    sp_page_html(x, "<h1>This did not work</h1>\n<p>");
    sp_page_html(x, explanations[i].happened);
    sp_page_html(x, "</p>\n<p>");
    sp_page_html(x, explanations[i].help);
    sp_page_html(x, "</p>\n");
    if (strcmp(error, "access_denied") == 0) put_own_address(x);
    sp_page_html(x, "<dl>\n<dt>Error</dt>\n<dd><code>");
    sp_page_text(x, sp_slice_cstr(error));
    sp_page_html(x, "</code></dd>\n");
    if (description != NULL) {
        sp_page_html(x, "<dt>Details</dt>\n<dd>");
        sp_page_text(x, sp_slice_cstr(description));
        if (detail != NULL) sp_page_html(x, ": ");
        sp_page_text(x, sp_slice_cstr(detail));
        sp_page_html(x, "</dd>\n");
    }
    sp_page_html(x, "<dt>Request</dt>\n<dd><code>");
    sp_page_text(x, SP_SLICE_ARRAY(x->request_id));
    sp_page_html(x, "</code></dd>\n</dl>\n");
    sp_page_end(x);
    sp_page_headers(x, SP_SLICE_EMPTY);
}
