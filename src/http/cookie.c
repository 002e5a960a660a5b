#include "http/cookie.h"

#include "base/mem.h"

static bool is_cookie_octet(uint8_t c) { /* RFC 6265 section 4.1.1 */
    return c == 0x21 || (c >= 0x23 && c <= 0x2B) || (c >= 0x2D && c <= 0x3A) || (c >= 0x3C && c <= 0x5B) ||
           (c >= 0x5D && c <= 0x7E);
}

static bool is_token_char(uint8_t c) { /* RFC 9110 section 5.6.2 */
    if (c <= 0x20 || c >= 0x7F) return false;
    return memchr("\"(),/:;<=>?@[\\]{}", c, 17) == NULL;
}

sp_status sp_cookie_names_set(struct sp_cookie_names *names, sp_slice prefix) {
    static const char *const base[SP_COOKIE_KINDS] = {"sp_access", "sp_refresh", "sp_device", "sp_sso"};
    if (prefix.n == 0) prefix = SP_SLICE_LIT("__Host-");
    for (size_t i = 0; i < prefix.n; i++) {
        if (!is_token_char(prefix.p[i])) return sp_err(SP_E_MALFORMED);
    }
    struct sp_cookie_names made;
    for (int k = 0; k < SP_COOKIE_KINDS; k++) {
        SP_AUTO(sp_buf) b = SP_BUF_INIT(SP_COOKIE_NAME_BYTES_MAX);
        SP_TRY(sp_buf_append(&b, prefix));
        SP_TRY(sp_buf_append_cstr(&b, base[k]));
        SP_TRY(SP_TEXT_SET(&made.name[k], sp_buf_slice(&b)));
    }
    *names = made;
    return SP_SUCCESS;
}

/* Takes the next pair off the header: up to ';', without leading SP and HTAB. */
static bool next_pair(sp_slice *rest, sp_slice *ret_pair) {
    if (rest->n == 0) return false;
    const uint8_t *semi = memchr(rest->p, ';', rest->n);
    size_t n = semi == NULL ? rest->n : (size_t)(semi - rest->p);
    sp_slice pair = {rest->p, n};
    size_t taken = semi == NULL ? n : n + 1;
    *rest = (sp_slice){rest->p + taken, rest->n - taken};
    while (pair.n > 0 && (pair.p[0] == ' ' || pair.p[0] == '\t')) pair = (sp_slice){pair.p + 1, pair.n - 1};
    *ret_pair = pair;
    return true;
}

static void read_pair(const struct sp_cookie_names *names, sp_slice pair, struct sp_cookies *cookies) {
    const uint8_t *eq = pair.n == 0 ? NULL : memchr(pair.p, '=', pair.n);
    if (eq == NULL) return;
    sp_slice name = {pair.p, (size_t)(eq - pair.p)};
    sp_slice value = {eq + 1, pair.n - name.n - 1};
    while (value.n > 0 && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t')) value.n--;
    for (int k = 0; k < SP_COOKIE_KINDS; k++) {
        if (!sp_slice_eq(name, SP_TEXT_SLICE(&names->name[k]))) continue;
        cookies->value[k] = value;
        cookies->seen[k]++;
    }
}

void sp_cookies_read(const struct sp_cookie_names *names, sp_slice header, struct sp_cookies *cookies) {
    sp_slice pair;
    while (next_pair(&header, &pair)) read_pair(names, pair, cookies);
}

sp_status sp_cookie_write(const struct sp_cookie_names *names, enum sp_cookie_kind kind, sp_slice value,
                          int64_t max_age_s, struct sp_buf *ret) {
    for (size_t i = 0; i < value.n; i++) {
        if (!is_cookie_octet(value.p[i])) return sp_err(SP_E_MALFORMED);
    }
    /* The access cookie is Lax, so that following a link into the application finds the session, and so is
     * the sign-in's, since it is applications that send people to its pages; the others are only ever wanted
     * by our own pages' requests. */
    const bool lax = kind == SP_COOKIE_ACCESS || kind == SP_COOKIE_SSO;
    size_t before = ret->n;
    sp_slice name = SP_TEXT_SLICE(&names->name[kind]);
    sp_status st = sp_buf_append(ret, name);
    if (sp_ok(st)) st = sp_buf_append_u8(ret, '=');
    if (sp_ok(st)) st = sp_buf_append(ret, value);
    if (sp_ok(st)) st = sp_buf_append_cstr(ret, "; Path=/");
    if (sp_ok(st) && max_age_s != SP_COOKIE_UNTIL_CLOSED)
        st = sp_buf_printf(ret, "; Max-Age=%lld", (long long)(max_age_s < 0 ? 0 : max_age_s));
    if (sp_ok(st)) st = sp_buf_printf(ret, "; HttpOnly; Secure; SameSite=%s", lax ? "Lax" : "Strict");
    if (!sp_ok(st)) sp_buf_truncate(ret, before);
    return st;
}
