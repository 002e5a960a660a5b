#include "core/client_options.h"

#include "base/mem.h"
#include "core/client_uri.h"
#include "token/client_assertion.h"
#include "token/jwk.h"

static const struct {
    const char *code, *doc;
} faults[SP_CLIENT_FAULT_COUNT] = {
#define ROW(name, code, doc) [SP_CLIENT_FAULT_##name] = {code, doc},
    SP_CLIENT_FAULT_TABLE(ROW)
#undef ROW
};

const char *sp_client_fault_code(enum sp_client_fault fault) {
    return faults[fault].code;
}
const char *sp_client_fault_doc(enum sp_client_fault fault) {
    return faults[fault].doc;
}

/* The faults are tried in one order, and the first is told. */
#define CHECK(expr)                                                                                          \
    do {                                                                                                     \
        const enum sp_client_fault fault_ = (expr);                                                          \
        if (fault_ != SP_CLIENT_FAULT_NONE) return fault_;                                                   \
    } while (0)

static enum sp_client_fault unless(bool holds, enum sp_client_fault fault) {
    return holds ? SP_CLIENT_FAULT_NONE : fault;
}

/* ---- words and lists of them ---- */

static bool is_method(sp_slice method) {
    return sp_slice_eq_cstr(method, SP_CLIENT_AUTH_BASIC) || sp_slice_eq_cstr(method, SP_CLIENT_AUTH_POST) ||
           sp_slice_eq_cstr(method, SP_CLIENT_AUTH_PRIVATE_KEY_JWT) ||
           sp_slice_eq_cstr(method, SP_CLIENT_AUTH_NONE);
}

static bool is_grant(sp_slice grant) {
    return sp_slice_eq_cstr(grant, SP_GRANT_AUTHORIZATION_CODE) ||
           sp_slice_eq_cstr(grant, SP_GRANT_REFRESH_TOKEN) ||
           sp_slice_eq_cstr(grant, SP_GRANT_CLIENT_CREDENTIALS);
}

static bool lists(const sp_text256 *words, const char *word) {
    return sp_words_contain(SP_TEXT_SLICE(words), sp_slice_cstr(word));
}

static bool has_method(const struct sp_client_row *row, const char *method) {
    return sp_slice_eq_cstr(SP_TEXT_SLICE(&row->auth_method), method);
}

bool sp_client_has_secret_method(const struct sp_client_row *row) {
    return has_method(row, SP_CLIENT_AUTH_BASIC) || has_method(row, SP_CLIENT_AUTH_POST);
}

static enum sp_client_fault fault_of_uri(enum sp_uri_fault fault) {
    switch (fault) {
    case SP_URI_OK: return SP_CLIENT_FAULT_NONE;
    case SP_URI_MALFORMED: return SP_CLIENT_FAULT_URI_MALFORMED;
    case SP_URI_FRAGMENT: return SP_CLIENT_FAULT_URI_FRAGMENT;
    case SP_URI_USERINFO: return SP_CLIENT_FAULT_URI_USERINFO;
    case SP_URI_WILDCARD: return SP_CLIENT_FAULT_URI_WILDCARD;
    case SP_URI_SCHEME: return SP_CLIENT_FAULT_URI_SCHEME;
    }
    return SP_CLIENT_FAULT_URI_MALFORMED;
}

static enum sp_client_fault check_uris(sp_slice uris, size_t n_max, size_t bytes_max, enum sp_uri_use use) {
    sp_slice uri;
    for (size_t n = 0; sp_words_next(&uris, &uri); n++) {
        if (n == n_max) return SP_CLIENT_FAULT_TOO_MANY;
        if (uri.n > bytes_max) return SP_CLIENT_FAULT_TOO_LONG;
        CHECK(fault_of_uri(sp_uri_check(uri, use)));
    }
    return SP_CLIENT_FAULT_NONE;
}

/* ---- keys ---- */

static enum sp_client_fault check_jwks_count(sp_slice json) {
    struct sp_jwks jwks = SP_JWKS_INIT;
    const sp_status s = sp_jwks_parse(json, SP_JWK_PUBLIC_ONLY, &jwks);
    const size_t n = jwks.n + jwks.skipped;
    sp_jwks_done(&jwks);
    if (sp_is(s, SP_E_NOMEM)) return SP_CLIENT_FAULT_MEMORY;
    if (!sp_ok(s)) return SP_CLIENT_FAULT_JWKS_MALFORMED;
    if (n == 0) return SP_CLIENT_FAULT_JWKS_MISSING;
    return unless(n <= SP_CLIENT_KEYS_MAX, SP_CLIENT_FAULT_TOO_MANY);
}

static enum sp_client_fault check_jwks(sp_slice json) {
    CHECK(check_jwks_count(json));
    const sp_status s = sp_client_jwks_check(json);
    if (sp_is(s, SP_E_REFUSED)) return SP_CLIENT_FAULT_JWKS_PRIVATE;
    if (sp_is(s, SP_E_UNSUPPORTED)) return SP_CLIENT_FAULT_JWKS_UNSUPPORTED;
    if (sp_is(s, SP_E_LIMIT)) return SP_CLIENT_FAULT_TOO_LONG;
    if (sp_is(s, SP_E_NOMEM)) return SP_CLIENT_FAULT_MEMORY;
    return unless(sp_ok(s), SP_CLIENT_FAULT_JWKS_MALFORMED);
}

/* ---- one option each ---- */

static enum sp_client_fault set_method(const struct sp_client_options *o, struct sp_client_row *row) {
    const sp_slice method = o->auth_method.n != 0 ? o->auth_method : SP_SLICE_LIT(SP_CLIENT_AUTH_BASIC);
    if (!is_method(method) || !sp_ok(SP_TEXT_SET(&row->auth_method, method)))
        return SP_CLIENT_FAULT_AUTH_METHOD;
    row->is_public = has_method(row, SP_CLIENT_AUTH_NONE);
    return SP_CLIENT_FAULT_NONE;
}

static enum sp_client_fault set_grants(const struct sp_client_options *o, struct sp_client_row *row) {
    sp_slice rest = o->grants, grant;
    while (sp_words_next(&rest, &grant)) CHECK(unless(is_grant(grant), SP_CLIENT_FAULT_GRANT));
    if (!sp_ok(SP_TEXT_SET(&row->grants, o->grants))) return SP_CLIENT_FAULT_TOO_LONG;
    if (row->is_public && lists(&row->grants, SP_GRANT_CLIENT_CREDENTIALS))
        return SP_CLIENT_FAULT_GRANT_NEEDS_CONFIDENTIAL;
    const bool has_code = lists(&row->grants, SP_GRANT_AUTHORIZATION_CODE);
    return unless(has_code || !lists(&row->grants, SP_GRANT_REFRESH_TOKEN), SP_CLIENT_FAULT_GRANT_NEEDS_CODE);
}

static enum sp_client_fault set_scopes(const struct sp_client_options *o, struct sp_client_row *row) {
    if (o->scopes.n > SP_CLIENT_SCOPES_BYTES_MAX) return SP_CLIENT_FAULT_TOO_LONG;
    if (!sp_words_valid(o->scopes, SP_CLIENT_SCOPE_BYTES_MAX)) return SP_CLIENT_FAULT_SCOPE;
    return unless(sp_ok(SP_TEXT_SET(&row->scopes, o->scopes)), SP_CLIENT_FAULT_TOO_LONG);
}

static enum sp_client_fault set_audiences(const struct sp_client_options *o, struct sp_client_row *row) {
    const enum sp_client_fault fault =
        check_uris(o->audiences, SP_CLIENT_AUDIENCES_MAX, SP_CLIENT_AUDIENCE_BYTES_MAX, SP_URI_NAME);
    const bool is_of_count = fault == SP_CLIENT_FAULT_TOO_MANY || fault == SP_CLIENT_FAULT_TOO_LONG;
    if (fault != SP_CLIENT_FAULT_NONE) return is_of_count ? fault : SP_CLIENT_FAULT_AUDIENCE;
    return unless(sp_ok(SP_TEXT_SET(&row->audiences, o->audiences)), SP_CLIENT_FAULT_TOO_LONG);
}

static enum sp_client_fault set_redirects(const struct sp_client_options *o, struct sp_client_row *row) {
    const enum sp_uri_use use = row->is_public ? SP_URI_REDIRECT_PRIVATE : SP_URI_REDIRECT;
    CHECK(check_uris(o->redirect_uris, SP_CLIENT_REDIRECT_URIS_MAX, SP_CLIENT_URI_BYTES_MAX, use));
    CHECK(check_uris(o->post_logout_redirect_uris, SP_CLIENT_POST_LOGOUT_URIS_MAX, SP_CLIENT_URI_BYTES_MAX,
                     use));
    if (o->redirect_uris.n == 0 && lists(&row->grants, SP_GRANT_AUTHORIZATION_CODE))
        return SP_CLIENT_FAULT_REDIRECT_URI_MISSING;
    const bool fits = sp_ok(SP_TEXT_SET(&row->redirect_uris, o->redirect_uris)) &&
                      sp_ok(SP_TEXT_SET(&row->post_logout_redirect_uris, o->post_logout_redirect_uris));
    return unless(fits, SP_CLIENT_FAULT_TOO_LONG);
}

static enum sp_client_fault set_backchannel(const struct sp_client_options *o, struct sp_client_row *row) {
    const sp_slice uri = o->backchannel_logout_uri;
    if (uri.n > SP_CLIENT_URI_BYTES_MAX) return SP_CLIENT_FAULT_TOO_LONG;
    if (uri.n != 0) CHECK(fault_of_uri(sp_uri_check(uri, SP_URI_CALL)));
    return unless(sp_ok(SP_TEXT_SET(&row->backchannel_logout_uri, uri)), SP_CLIENT_FAULT_TOO_LONG);
}

static enum sp_client_fault set_jwks(const struct sp_client_options *o, struct sp_client_row *row) {
    const bool has_use = has_method(row, SP_CLIENT_AUTH_PRIVATE_KEY_JWT);
    if (o->jwks.n == 0 && has_use) return SP_CLIENT_FAULT_JWKS_MISSING;
    if (o->jwks.n != 0 && !has_use) return SP_CLIENT_FAULT_JWKS_WITHOUT_USE;
    if (o->jwks.n != 0) CHECK(check_jwks(o->jwks));
    return unless(sp_ok(SP_TEXT_SET(&row->jwks, o->jwks)), SP_CLIENT_FAULT_TOO_LONG);
}

static enum sp_client_fault set_name(const struct sp_client_options *o, struct sp_client_row *row) {
    if (!sp_utf8_printable(o->name)) return SP_CLIENT_FAULT_NAME;
    return unless(sp_ok(SP_TEXT_SET(&row->name, o->name)), SP_CLIENT_FAULT_TOO_LONG);
}

/* A service follows the feed by its secret. A public client's refresh token is all that it has, so only
 * rotation shows that it was stolen (RFC 9700 4.14.2). */
static enum sp_client_fault set_flags(const struct sp_client_options *o, struct sp_client_row *row) {
    if (o->feed && !sp_client_has_secret_method(row)) return SP_CLIENT_FAULT_FEED_NEEDS_SECRET;
    if (o->keeps_refresh && row->is_public) return SP_CLIENT_FAULT_ROTATION_NEEDED;
    row->feed = o->feed;
    row->trusted = o->trusted;
    row->require_par = o->require_par;
    row->require_dpop = o->require_dpop;
    row->rotate_refresh = !o->keeps_refresh;
    return SP_CLIENT_FAULT_NONE;
}

/* The method comes first: much of the rest depends on it. */
static enum sp_client_fault apply(const struct sp_client_options *o, struct sp_client_row *row) {
    CHECK(set_name(o, row));
    CHECK(set_method(o, row));
    CHECK(set_grants(o, row));
    CHECK(set_scopes(o, row));
    CHECK(set_audiences(o, row));
    CHECK(set_redirects(o, row));
    CHECK(set_backchannel(o, row));
    CHECK(set_jwks(o, row));
    return set_flags(o, row);
}

enum sp_client_fault sp_client_options_apply(const struct sp_client_options *options,
                                             struct sp_client_row *row) {
    struct sp_client_row next = *row;
    const enum sp_client_fault fault = apply(options, &next);
    if (fault == SP_CLIENT_FAULT_NONE) *row = next;
    sp_wipe(next.secrets, sizeof(next.secrets));
    return fault;
}

/* ---- the rest ---- */

static bool is_hex(uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool looks_random(sp_slice secret) {
    bool seen[UINT8_MAX + 1] = {false}, all_hex = true;
    size_t distinct = 0;
    for (size_t i = 0; i < secret.n; i++) {
        distinct += !seen[secret.p[i]];
        seen[secret.p[i]] = true;
        all_hex &= is_hex(secret.p[i]);
    }
    sp_wipe(seen, sizeof(seen));
    return distinct >= (all_hex ? SP_CLIENT_SECRET_OWN_DISTINCT_HEX_MIN : SP_CLIENT_SECRET_OWN_DISTINCT_MIN);
}

enum sp_client_fault sp_client_secret_own_check(sp_slice secret) {
    if (secret.n < SP_CLIENT_SECRET_OWN_CHARS_MIN) return SP_CLIENT_FAULT_SECRET_TOO_SHORT;
    if (secret.n > SP_CLIENT_SECRET_OWN_CHARS_MAX) return SP_CLIENT_FAULT_SECRET_TOO_LONG;
    for (size_t i = 0; i < secret.n; i++) {
        if (secret.p[i] <= ' ' || secret.p[i] > '~') return SP_CLIENT_FAULT_SECRET_CHARACTERS;
    }
    return unless(looks_random(secret), SP_CLIENT_FAULT_SECRET_NOT_RANDOM);
}

void sp_client_row_complete(struct sp_client_row *row) {
    if (row->auth_method.n != 0) return;
    if (sp_ok(SP_TEXT_SET(&row->auth_method, SP_SLICE_LIT(SP_CLIENT_AUTH_BASIC)))) row->rotate_refresh = true;
}

static bool lacks(sp_slice next, sp_slice was) {
    sp_slice word;
    while (sp_words_next(&was, &word)) {
        if (!sp_words_contain(next, word)) return true;
    }
    return false;
}

bool sp_client_is_narrower(const struct sp_client_row *next, const struct sp_client_row *was) {
    return lacks(SP_TEXT_SLICE(&next->grants), SP_TEXT_SLICE(&was->grants)) ||
           lacks(SP_TEXT_SLICE(&next->scopes), SP_TEXT_SLICE(&was->scopes)) ||
           lacks(SP_TEXT_SLICE(&next->audiences), SP_TEXT_SLICE(&was->audiences));
}
