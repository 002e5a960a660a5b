/* libsodium does the hashing; what stands here is the reading of PHC strings, so that a stored row cannot
 * demand more memory or time than we agreed to, and the telling apart of "wrong password" from "could not
 * check": its own verification calls missing memory a mismatch. */
#include "crypto/password.h"

#include "base/base64url.h"
#include "base/ct.h"
#include "base/mem.h"
#include "base/reader.h"
#include "crypto/sodium_once.h"

#include <sodium.h>

_Static_assert(SP_PASSWORD_PHC_BYTES_MAX == crypto_pwhash_STRBYTES, "PHC string");
_Static_assert((unsigned)SP_PASSWORD_SALT_BYTES == crypto_pwhash_SALTBYTES, "salt");

sp_status sp_password_params_check(const struct sp_password_params *p) {
    bool good = p->p == 1 && p->m_kib >= SP_PASSWORD_M_KIB_MIN && p->m_kib <= SP_PASSWORD_M_KIB_MAX &&
                p->t >= 1 && p->t <= SP_PASSWORD_T_MAX;
    return good ? SP_SUCCESS : sp_err(SP_E_REFUSED);
}

static sp_status usable(const struct sp_password_params *params, sp_slice password) {
    SP_TRY(sp_password_params_check(params));
    SP_TRY(sp_sodium_once());
    return password.n <= SP_PASSWORD_BYTES_MAX ? SP_SUCCESS : sp_err(SP_E_LIMIT);
}

static const char *chars_of(sp_slice password) {
    return password.n == 0 ? "" : (const char *)password.p;
}

sp_status sp_password_hash(const struct sp_password_params *params, sp_slice password,
                           struct sp_buf *ret_phc) {
    char phc[crypto_pwhash_STRBYTES];
    SP_TRY(usable(params, password));
    if (crypto_pwhash_str_alg(phc, chars_of(password), password.n, params->t, (size_t)params->m_kib * 1024,
                              crypto_pwhash_ALG_ARGON2ID13) != 0)
        return sp_err(SP_E_NOMEM);
    return sp_buf_append_cstr(ret_phc, phc);
}

/* Takes "<name><number>" up to `delim`. */
static sp_status take_number(struct sp_reader *r, const char *name, char delim, uint32_t *ret) {
    sp_slice field, prefix = sp_slice_cstr(name);
    uint64_t v;
    SP_TRY(sp_reader_until(r, delim, &field));
    if (!sp_slice_starts(field, prefix)) return sp_err(SP_E_MALFORMED);
    field = sp_slice_of(field.p + prefix.n, field.n - prefix.n);
    if (!sp_slice_to_u64(field, &v) || v > UINT32_MAX) return sp_err(SP_E_MALFORMED);
    *ret = (uint32_t)v;
    return SP_SUCCESS;
}

/* Canonical base64 without padding, by our own decoder: libsodium's takes bytes above ASCII for letters. */
static sp_status take_bytes(sp_slice text, uint8_t to[SP_PASSWORD_PHC_BYTES_MAX], size_t *ret_n) {
    uint8_t url[SP_PASSWORD_PHC_BYTES_MAX];
    if (text.n == 0 || text.n > sizeof url) return sp_err(SP_E_MALFORMED);
    for (size_t i = 0; i < text.n; i++) {
        const uint8_t c = text.p[i];
        if (c == '-' || c == '_') return sp_err(SP_E_MALFORMED);
        url[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    return sp_base64url_decode(sp_slice_of(url, text.n), to, SP_PASSWORD_PHC_BYTES_MAX, ret_n);
}

/* $argon2id$v=19$m=..,t=..,p=..$salt$hash */
sp_status sp_password_phc_parse(sp_slice text, struct sp_password_phc *ret) {
    static const sp_slice prefix = SP_SLICE_LIT("$argon2id$v=19$");
    struct sp_password_phc got = {.params = {0}};
    uint8_t salt[SP_PASSWORD_PHC_BYTES_MAX], hash[SP_PASSWORD_PHC_BYTES_MAX];
    size_t salt_n, hash_n;
    sp_slice field;
    if (text.n >= SP_PASSWORD_PHC_BYTES_MAX || !sp_slice_starts(text, prefix)) return sp_err(SP_E_MALFORMED);
    struct sp_reader r = SP_READER(sp_slice_of(text.p + prefix.n, text.n - prefix.n));
    SP_TRY(take_number(&r, "m=", ',', &got.params.m_kib));
    SP_TRY(take_number(&r, "t=", ',', &got.params.t));
    SP_TRY(take_number(&r, "p=", '$', &got.params.p));
    SP_TRY(sp_reader_until(&r, '$', &field));
    SP_TRY(take_bytes(field, salt, &salt_n));
    SP_TRY(take_bytes(sp_reader_rest(&r), hash, &hash_n));
    if (got.params.p != 1 || salt_n != sizeof got.salt || hash_n != sizeof got.hash)
        return sp_err(SP_E_UNSUPPORTED);
    if (!sp_ok(sp_password_params_check(&got.params))) return sp_err(SP_E_LIMIT);
    memcpy(got.salt, salt, sizeof got.salt);
    memcpy(got.hash, hash, sizeof got.hash);
    *ret = got;
    return SP_SUCCESS;
}

/* Argon2id over the bytes, as sp_password_hash does it. */
static sp_status derive(const struct sp_password_params *params, sp_slice password, const uint8_t *salt,
                        uint8_t ret[SP_PASSWORD_HASH_BYTES]) {
    int rc = crypto_pwhash(ret, SP_PASSWORD_HASH_BYTES, chars_of(password), password.n, salt, params->t,
                           (size_t)params->m_kib * 1024, crypto_pwhash_ALG_ARGON2ID13);
    return rc == 0 ? SP_SUCCESS : sp_err(SP_E_NOMEM);
}

sp_status sp_password_verify(sp_slice phc, sp_slice password, enum sp_password_verdict *ret) {
    struct sp_password_phc row;
    uint8_t out[SP_PASSWORD_HASH_BYTES];
    SP_TRY(sp_password_phc_parse(phc, &row));
    SP_TRY(usable(&row.params, password));
    SP_TRY(derive(&row.params, password, row.salt, out));
    bool same = sp_ct_equal(SP_SLICE_ARRAY(out), SP_SLICE_ARRAY(row.hash));
    sp_wipe(out, sizeof out);
    *ret = same ? SP_PASSWORD_RIGHT : SP_PASSWORD_WRONG;
    return SP_SUCCESS;
}

sp_status sp_password_verify_absent(const struct sp_password_params *params, sp_slice password) {
    static const uint8_t salt[SP_PASSWORD_SALT_BYTES] = "nobody lives he";
    uint8_t out[SP_PASSWORD_HASH_BYTES];
    SP_TRY(usable(params, password));
    sp_status s = derive(params, password, salt, out);
    sp_wipe(out, sizeof out);
    return s;
}

bool sp_password_needs_rehash(sp_slice phc, const struct sp_password_params *params) {
    struct sp_password_phc row;
    if (!sp_ok(sp_password_phc_parse(phc, &row))) return true;
    return row.params.m_kib != params->m_kib || row.params.t != params->t || row.params.p != params->p;
}
