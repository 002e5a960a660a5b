/* Sealed texts: oauth_seal.h tells what for.
 *
 *   base64url( AEAD( version 1 | fields ) ), key = HKDF(master key, "sallyport seal v1 " kind)
 *
 * Each kind has one list of its fields, which both writes and reads: so the two cannot differ. Numbers are 8
 * bytes, texts 2 bytes of length before them, flags one byte that is 0 or 1. What does not read exactly is
 * not ours, or of another version.
 *
 * The key is derived at each use: microseconds, against a secret more in memory for as long as the server. */
#include "core/oauth_seal.h"

#include "core/oauth_internal.h"

#include "base/base64url.h"
#include "base/reader.h"
#include "crypto/aead.h"

enum {
    VERSION = 1,
    PLAIN_BYTES_MAX = SP_OAUTH_SEALED_BYTES_MAX / 4 * 3 - SP_AEAD_OVERHEAD_BYTES,
};

static const char *const labels[SP_SEAL_KINDS] = {
    [SP_SEAL_CODE] = "sallyport seal v1 code",   [SP_SEAL_PUSHED] = "sallyport seal v1 pushed request",
    [SP_SEAL_PAGE] = "sallyport seal v1 page",   [SP_SEAL_LOGOUT] = "sallyport seal v1 logout",
    [SP_SEAL_SSO] = "sallyport seal v1 sign-in",
};

/* ---- fields, both ways ---- */

struct fields {
    struct sp_buf *out;  /* NULL: reading */
    struct sp_reader in; /* when reading */
    sp_status status;    /* the first failure; the rest is then passed over */
};

static void bytes(struct fields *f, void *p, size_t n) {
    if (!sp_ok(f->status)) return;
    f->status = f->out != NULL ? sp_buf_append(f->out, sp_slice_of(p, n)) : sp_reader_copy(&f->in, p, n);
}

static void number(struct fields *f, int64_t *v) {
    uint64_t raw = (uint64_t)*v;
    if (!sp_ok(f->status)) return;
    f->status = f->out != NULL ? sp_buf_append_u64be(f->out, raw) : sp_reader_u64be(&f->in, &raw);
    if (sp_ok(f->status)) *v = (int64_t)raw;
}

static void flag(struct fields *f, bool *v) {
    uint8_t raw = *v ? 1 : 0;
    bytes(f, &raw, 1);
    if (sp_ok(f->status) && raw > 1) f->status = sp_err(SP_E_MALFORMED);
    if (sp_ok(f->status)) *v = raw == 1;
}

static void text(struct fields *f, char *s, size_t cap, uint16_t *n) {
    uint8_t length[2] = {(uint8_t)(*n >> 8), (uint8_t)*n};
    bytes(f, length, sizeof(length));
    if (!sp_ok(f->status)) return;
    const size_t told = (size_t)length[0] << 8 | length[1];
    if (told > cap) {
        f->status = sp_err(SP_E_MALFORMED);
        return;
    }
    *n = (uint16_t)told;
    bytes(f, s, told);
}
#define TEXT(f, t) text((f), (t)->s, sizeof((t)->s), &(t)->n)

static void code_fields(struct fields *f, struct sp_authz_code *c) {
    number(f, &c->expires_s);
    bytes(f, c->sid, sizeof(c->sid));
    bytes(f, c->parent, sizeof(c->parent));
    bytes(f, c->user_id, sizeof(c->user_id));
    TEXT(f, &c->client_id);
    bytes(f, c->redirect_uri_hash, sizeof(c->redirect_uri_hash));
    flag(f, &c->redirect_uri_sent);
    TEXT(f, &c->nonce);
    TEXT(f, &c->code_challenge);
    TEXT(f, &c->scope);
    TEXT(f, &c->aud);
    TEXT(f, &c->jkt);
    TEXT(f, &c->acr);
    TEXT(f, &c->amr);
    number(f, &c->auth_time_s);
}

static void request_fields(struct fields *f, struct sp_authz_request *r) {
    number(f, &r->expires_s);
    flag(f, &r->is_pushed);
    TEXT(f, &r->client_id);
    TEXT(f, &r->redirect_uri);
    flag(f, &r->redirect_uri_sent);
    TEXT(f, &r->state);
    TEXT(f, &r->nonce);
    TEXT(f, &r->code_challenge);
    TEXT(f, &r->scope);
    TEXT(f, &r->aud);
    TEXT(f, &r->jkt);
    TEXT(f, &r->login_hint);
    flag(f, &r->has_max_age);
    number(f, &r->max_age_s);
    flag(f, &r->prompt_none);
    flag(f, &r->prompt_login);
    flag(f, &r->prompt_consent);
    flag(f, &r->has_hint);
    bytes(f, r->hint_user, sizeof(r->hint_user));
    bytes(f, r->signed_in, sizeof(r->signed_in));
    bytes(f, r->shown, sizeof(r->shown));
}

static void sso_fields(struct fields *f, struct sp_sso_cookie *c) {
    bytes(f, c->sid, sizeof(c->sid));
    bytes(f, c->secret, sizeof(c->secret));
}

/* ---- the seal ---- */

static void key_of(const struct sp_app *app, enum sp_seal_kind kind, uint8_t ret[SP_AEAD_KEY_BYTES]) {
    sp_hkdf_sha256(SP_SLICE_ARRAY(app->master_key), SP_SLICE_EMPTY, sp_slice_cstr(labels[kind]), ret,
                   SP_AEAD_KEY_BYTES);
}

static sp_status seal(struct sp_app *app, enum sp_seal_kind kind, const struct sp_buf *plain,
                      struct sp_buf *ret) {
    SP_AUTO(sp_buf) sealed = SP_BUF_INIT(PLAIN_BYTES_MAX + SP_AEAD_OVERHEAD_BYTES);
    uint8_t key[SP_AEAD_KEY_BYTES];
    key_of(app, kind, key);
    sp_status s =
        sp_aead_seal(key, &app->deps.random, sp_slice_cstr(labels[kind]), sp_buf_slice(plain), &sealed);
    sp_wipe(key, sizeof(key));
    SP_TRY(s);
    return sp_buf_append_base64url(ret, sp_buf_slice(&sealed));
}

/* SP_E_NOMEM is handed on; everything else that is wrong with a text makes it none of ours. */
static sp_status unseal(struct sp_app *app, enum sp_seal_kind kind, sp_slice given,
                        struct sp_buf *ret_plain) {
    SP_AUTO(sp_buf) sealed = SP_BUF_INIT(PLAIN_BYTES_MAX + SP_AEAD_OVERHEAD_BYTES);
    uint8_t key[SP_AEAD_KEY_BYTES], *room;
    size_t n = 0;
    if (given.n == 0 || given.n > SP_OAUTH_SEALED_BYTES_MAX) return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_buf_reserve(&sealed, SP_BASE64URL_BYTES(given.n), &room));
    if (!sp_ok(sp_base64url_decode(given, room, SP_BASE64URL_BYTES(given.n), &n)))
        return sp_err(SP_E_MALFORMED);
    sp_buf_advance(&sealed, n);
    key_of(app, kind, key);
    sp_status s = sp_aead_open(key, sp_slice_cstr(labels[kind]), sp_buf_slice(&sealed), ret_plain);
    sp_wipe(key, sizeof(key));
    return sp_ok(s) || sp_is(s, SP_E_NOMEM) ? s : sp_err(SP_E_MALFORMED);
}

/* One kind of record: `list` writes or reads all of it. */
typedef void fields_fn(struct fields *f, void *record);
static void list_code(struct fields *f, void *record) {
    code_fields(f, record);
}
static void list_request(struct fields *f, void *record) {
    request_fields(f, record);
}
static void list_sso(struct fields *f, void *record) {
    sso_fields(f, record);
}

static sp_status seal_record(struct sp_app *app, enum sp_seal_kind kind, fields_fn *list, void *record,
                             struct sp_buf *ret) {
    SP_AUTO(sp_buf) plain = SP_BUF_INIT(PLAIN_BYTES_MAX);
    SP_TRY(sp_buf_append_u8(&plain, VERSION));
    struct fields f = {.out = &plain, .status = SP_SUCCESS};
    list(&f, record);
    SP_TRY(f.status);
    return seal(app, kind, &plain, ret);
}

/* `record` is zeroed, and of no use after a failure. */
static sp_status unseal_record(struct sp_app *app, enum sp_seal_kind kind, fields_fn *list, sp_slice given,
                               void *record) {
    SP_AUTO(sp_buf) plain = SP_BUF_INIT(PLAIN_BYTES_MAX);
    uint8_t version;
    SP_TRY(unseal(app, kind, given, &plain));
    struct fields f = {.in = SP_READER(sp_buf_slice(&plain)), .status = SP_SUCCESS};
    SP_TRY(sp_reader_u8(&f.in, &version));
    if (version != VERSION) return sp_err(SP_E_MALFORMED);
    list(&f, record);
    SP_TRY(f.status);
    return sp_reader_end(&f.in);
}

/* ---- codes ---- */

sp_status sp_seal_code(struct sp_app *app, const struct sp_authz_code *code, struct sp_buf *ret) {
    struct sp_authz_code copy = *code;
    sp_status s = seal_record(app, SP_SEAL_CODE, list_code, &copy, ret);
    sp_wipe(&copy, sizeof(copy));
    return s;
}

sp_status sp_unseal_code(struct sp_app *app, sp_slice given, int64_t now_s, struct sp_authz_code *ret) {
    struct sp_authz_code code = {0};
    sp_status s = unseal_record(app, SP_SEAL_CODE, list_code, given, &code);
    if (sp_ok(s) && now_s >= code.expires_s) s = sp_err(SP_E_REFUSED);
    if (sp_ok(s)) *ret = code;
    sp_wipe(&code, sizeof(code));
    return s;
}

/* ---- requests ---- */

static bool is_for_requests(enum sp_seal_kind kind) {
    return kind == SP_SEAL_PUSHED || kind == SP_SEAL_PAGE || kind == SP_SEAL_LOGOUT;
}

sp_status sp_seal_request(struct sp_app *app, enum sp_seal_kind kind, const struct sp_authz_request *request,
                          struct sp_buf *ret) {
    if (!is_for_requests(kind)) return sp_err(SP_E_MALFORMED);
    struct sp_authz_request copy = *request;
    sp_status s = seal_record(app, kind, list_request, &copy, ret);
    sp_wipe(&copy, sizeof(copy));
    return s;
}

sp_status sp_unseal_request(struct sp_app *app, enum sp_seal_kind kind, sp_slice given, int64_t now_s,
                            struct sp_authz_request *ret) {
    if (!is_for_requests(kind)) return sp_err(SP_E_MALFORMED);
    struct sp_authz_request request = {0};
    sp_status s = unseal_record(app, kind, list_request, given, &request);
    if (sp_ok(s) && now_s >= request.expires_s) s = sp_err(SP_E_REFUSED);
    if (sp_ok(s)) *ret = request;
    sp_wipe(&request, sizeof(request));
    return s;
}

/* ---- the sign-in's cookie ---- */

sp_status sp_seal_sso(struct sp_app *app, const struct sp_sso_cookie *cookie, struct sp_buf *ret) {
    struct sp_sso_cookie copy = *cookie;
    sp_status s = seal_record(app, SP_SEAL_SSO, list_sso, &copy, ret);
    sp_wipe(&copy, sizeof(copy));
    return s;
}

sp_status sp_unseal_sso(struct sp_app *app, sp_slice given, struct sp_sso_cookie *ret) {
    struct sp_sso_cookie cookie = {0};
    sp_status s = unseal_record(app, SP_SEAL_SSO, list_sso, given, &cookie);
    if (sp_ok(s)) *ret = cookie;
    sp_wipe(&cookie, sizeof(cookie));
    return s;
}
