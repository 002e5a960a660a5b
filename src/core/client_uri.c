#include "core/client_uri.h"

#include "base/ip.h"
#include "base/reader.h"

/* What an absolute URI consists of, as far as anything here depends on it. Borrowed. */
struct parts {
    sp_slice scheme;
    bool has_authority;
    sp_slice host; /* with the brackets of an address */
    sp_slice rest; /* behind the authority, or behind the colon when there is none */
};

/* ---- reading ---- */

static bool is_alpha(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}
static bool is_hex(uint8_t c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool has(sp_slice s, uint8_t c) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == c) return true;
    }
    return false;
}

/* RFC 3986's characters, and percent signs only before two hex digits. */
static bool are_uri_chars(sp_slice s) {
    const sp_slice others = SP_SLICE_LIT("-._~:/?#[]@!$&'()*+,;=%");
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t c = s.p[i];
        if (!is_alpha(c) && !is_digit(c) && !has(others, c)) return false;
        if (c == '%' && (s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))) return false;
    }
    return true;
}

static bool is_scheme(sp_slice s) {
    if (s.n == 0 || !(s.p[0] >= 'a' && s.p[0] <= 'z')) return false;
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t c = s.p[i];
        if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '+' && c != '-' && c != '.') return false;
    }
    return true;
}

/* Up to the first of "/?", or all. */
static sp_slice before_path(sp_slice s) {
    size_t n = 0;
    while (n < s.n && s.p[n] != '/' && s.p[n] != '?') n++;
    return sp_slice_of(s.p, n);
}

/* Without the front part, which it begins with. */
static sp_slice without(sp_slice s, sp_slice front) {
    return sp_slice_of(s.p + front.n, s.n - front.n);
}

static bool is_port(sp_slice s) {
    uint64_t port;
    return s.n != 0 && s.p[0] != '0' && sp_slice_to_u64(s, &port) && port <= UINT16_MAX;
}

static bool is_ipv6(sp_slice bracketed) {
    sp_ip ip;
    const bool ends = bracketed.n > 2 && bracketed.p[bracketed.n - 1] == ']';
    return ends && has(bracketed, ':') &&
           sp_ok(sp_ip_parse(sp_slice_of(bracketed.p + 1, bracketed.n - 2), &ip));
}

static bool is_name(sp_slice host) {
    for (size_t i = 0; i < host.n; i++) {
        const uint8_t c = host.p[i];
        if (!is_alpha(c) && !is_digit(c) && c != '.' && c != '-') return false;
    }
    return host.n != 0;
}

/* The host in front of `authority`: an address in brackets, or what stands before the colon. */
static sp_slice host_of(sp_slice authority) {
    const uint8_t end = authority.n != 0 && authority.p[0] == '[' ? ']' : ':';
    size_t n = 0;
    while (n < authority.n && authority.p[n] != end) n++;
    if (end == ']' && n < authority.n) n++;
    return sp_slice_of(authority.p, n);
}

static bool read_authority(sp_slice authority, struct parts *p) {
    p->host = host_of(authority);
    const sp_slice port = without(authority, p->host);
    if (port.n != 0 && (port.p[0] != ':' || !is_port(sp_slice_of(port.p + 1, port.n - 1)))) return false;
    return p->host.n != 0 && p->host.p[0] == '[' ? is_ipv6(p->host) : is_name(p->host);
}

static enum sp_uri_fault read_uri(sp_slice uri, struct parts *ret) {
    struct parts p = {.has_authority = false};
    struct sp_reader r = SP_READER(uri);
    if (has(uri, '#')) return SP_URI_FRAGMENT;
    if (!are_uri_chars(uri) || !sp_ok(sp_reader_until(&r, ':', &p.scheme)) || !is_scheme(p.scheme) ||
        r.rest.n == 0)
        return SP_URI_MALFORMED;
    p.rest = r.rest;
    if (sp_slice_starts(r.rest, SP_SLICE_LIT("//"))) {
        const sp_slice behind = without(r.rest, SP_SLICE_LIT("//")), authority = before_path(behind);
        p.has_authority = true;
        p.rest = without(behind, authority);
        if (has(authority, '@')) return SP_URI_USERINFO;
        if (!read_authority(authority, &p)) return has(authority, '*') ? SP_URI_WILDCARD : SP_URI_MALFORMED;
    }
    *ret = p;
    return SP_URI_OK;
}

/* ---- what each use allows ---- */

static bool is_loopback_address(sp_slice host) {
    return sp_slice_eq_cstr(host, "127.0.0.1") || sp_slice_eq_cstr(host, "[::1]");
}

static bool is_web(const struct parts *p) {
    if (!p->has_authority) return false;
    if (sp_slice_eq_cstr(p->scheme, "https")) return true;
    return sp_slice_eq_cstr(p->scheme, "http") &&
           (is_loopback_address(p->host) || sp_slice_eq_cstr(p->host, "localhost"));
}

/* A name that its maker owns, turned around: com.example.app. So neither javascript: nor data: is one. */
static bool is_private_use(const struct parts *p) {
    return has(p->scheme, '.') && p->scheme.p[p->scheme.n - 1] != '.';
}

enum sp_uri_fault sp_uri_check(sp_slice uri, enum sp_uri_use use) {
    struct parts p;
    const enum sp_uri_fault fault = read_uri(uri, &p);
    if (fault != SP_URI_OK || use == SP_URI_NAME) return fault;
    if (!is_web(&p) && !(use == SP_URI_REDIRECT_PRIVATE && is_private_use(&p))) return SP_URI_SCHEME;
    /* In a path it would be a character like any other, and never the wildcard that somebody hopes for. */
    return has(uri, '*') ? SP_URI_WILDCARD : SP_URI_OK;
}

/* ---- comparing ---- */

bool sp_uri_is_registered(sp_slice registered, sp_slice sent) {
    struct parts r, s;
    if (sp_slice_eq(registered, sent)) return registered.n != 0;
    if (read_uri(registered, &r) != SP_URI_OK || read_uri(sent, &s) != SP_URI_OK) return false;
    return r.has_authority && s.has_authority && sp_slice_eq_cstr(r.scheme, "http") &&
           sp_slice_eq(r.scheme, s.scheme) && is_loopback_address(r.host) && sp_slice_eq(r.host, s.host) &&
           sp_slice_eq(r.rest, s.rest);
}
