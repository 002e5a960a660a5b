/* libsodium does the hashing; what stands here is the reading of PHC strings, so that a stored row cannot
 * demand more memory or time than we agreed to, and the telling apart of "wrong password" from "could not
 * check". */
#include "crypto/password.h"

#include "base/ct.h"
#include "base/mem.h"
#include "base/reader.h"
#include "crypto/sodium_once.h"

#include <errno.h>
#include <sodium.h>

_Static_assert(SP_PASSWORD_PHC_BYTES_MAX == crypto_pwhash_STRBYTES, "PHC string");

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

/* $argon2id$v=19$m=..,t=..,p=..$salt$hash; libsodium reads salt and hash. */
static sp_status parse_phc(sp_slice phc, struct sp_password_params *ret) {
    static const sp_slice prefix = SP_SLICE_LIT("$argon2id$v=19$");
    struct sp_password_params got;
    sp_slice salt;
    if (phc.n >= SP_PASSWORD_PHC_BYTES_MAX || !sp_slice_starts(phc, prefix)) return sp_err(SP_E_MALFORMED);
    if (memchr(phc.p, 0, phc.n) != NULL) return sp_err(SP_E_MALFORMED);
    struct sp_reader r = SP_READER(sp_slice_of(phc.p + prefix.n, phc.n - prefix.n));
    SP_TRY(take_number(&r, "m=", ',', &got.m_kib));
    SP_TRY(take_number(&r, "t=", ',', &got.t));
    SP_TRY(take_number(&r, "p=", '$', &got.p));
    SP_TRY(sp_reader_until(&r, '$', &salt));
    if (salt.n == 0 || sp_reader_rest(&r).n == 0) return sp_err(SP_E_MALFORMED);
    *ret = got;
    return SP_SUCCESS;
}

static bool within_maxima(const struct sp_password_params *p) {
    return p->m_kib <= SP_PASSWORD_M_KIB_MAX && p->t <= SP_PASSWORD_T_MAX && p->p >= 1 && p->p <= 16;
}

enum { HASH_BYTES = 32 }; /* as libsodium writes them */

/* The last two fields, when they have the lengths of our own strings. */
static bool salt_and_hash(sp_slice phc, uint8_t salt[crypto_pwhash_SALTBYTES], uint8_t hash[HASH_BYTES]) {
    struct sp_reader r = SP_READER(phc);
    sp_slice field;
    size_t n;
    for (int i = 0; i < 4; i++)
        if (!sp_ok(sp_reader_until(&r, '$', &field))) return false;
    if (!sp_ok(sp_reader_until(&r, '$', &field))) return false;
    const sp_slice last[2] = {field, sp_reader_rest(&r)};
    const int variant = sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
    return sodium_base642bin(salt, crypto_pwhash_SALTBYTES, (const char *)last[0].p, last[0].n, NULL, &n,
                             NULL, variant) == 0 &&
           n == crypto_pwhash_SALTBYTES &&
           sodium_base642bin(hash, HASH_BYTES, (const char *)last[1].p, last[1].n, NULL, &n, NULL, variant) ==
               0 &&
           n == HASH_BYTES;
}

/* libsodium's verification calls it a mismatch when memory for the hash is missing, and nobody must hear
 * "wrong password", or be throttled, for that. So strings of our own form are hashed and compared here. */
static sp_status verify_ours(const struct sp_password_params *params, const uint8_t *salt,
                             const uint8_t *hash, sp_slice password, enum sp_password_verdict *ret) {
    uint8_t out[HASH_BYTES];
    int rc = crypto_pwhash(out, sizeof out, chars_of(password), password.n, salt, params->t,
                           (size_t)params->m_kib * 1024, crypto_pwhash_ALG_ARGON2ID13);
    bool same = rc == 0 && sp_ct_equal(SP_SLICE_ARRAY(out), sp_slice_of(hash, HASH_BYTES));
    sp_wipe(out, sizeof out);
    if (rc != 0) return sp_err(SP_E_NOMEM);
    *ret = same ? SP_PASSWORD_RIGHT : SP_PASSWORD_WRONG;
    return SP_SUCCESS;
}

sp_status sp_password_verify(sp_slice phc, sp_slice password, enum sp_password_verdict *ret) {
    struct sp_password_params params;
    char text[SP_PASSWORD_PHC_BYTES_MAX] = {0};
    SP_TRY(sp_sodium_once());
    SP_TRY(parse_phc(phc, &params));
    if (!within_maxima(&params) || password.n > SP_PASSWORD_BYTES_MAX) return sp_err(SP_E_LIMIT);
    uint8_t salt[crypto_pwhash_SALTBYTES], hash[HASH_BYTES];
    if (sp_ok(sp_password_params_check(&params)) && salt_and_hash(phc, salt, hash))
        return verify_ours(&params, salt, hash, password, ret);
    memcpy(text, phc.p, phc.n);
    errno = 0;
    int rc = crypto_pwhash_str_verify(text, chars_of(password), password.n);
    sp_wipe(text, sizeof text);
    /* libsodium says EINVAL for a mismatch only; anything else is a string it cannot read or no memory. */
    if (rc != 0 && errno != EINVAL) return sp_err(errno == ENOMEM ? SP_E_NOMEM : SP_E_MALFORMED);
    *ret = rc == 0 ? SP_PASSWORD_RIGHT : SP_PASSWORD_WRONG;
    return SP_SUCCESS;
}

sp_status sp_password_verify_absent(const struct sp_password_params *params, sp_slice password) {
    static const uint8_t salt[crypto_pwhash_SALTBYTES] = "nobody lives he";
    uint8_t out[crypto_pwhash_argon2id_BYTES_MIN > 32 ? crypto_pwhash_argon2id_BYTES_MIN : 32];
    SP_TRY(usable(params, password));
    int rc = crypto_pwhash(out, sizeof out, chars_of(password), password.n, salt, params->t,
                           (size_t)params->m_kib * 1024, crypto_pwhash_ALG_ARGON2ID13);
    sp_wipe(out, sizeof out);
    return rc == 0 ? SP_SUCCESS : sp_err(SP_E_NOMEM);
}

bool sp_password_needs_rehash(sp_slice phc, const struct sp_password_params *params) {
    struct sp_password_params got;
    if (!sp_ok(parse_phc(phc, &got))) return true;
    return got.m_kib != params->m_kib || got.t != params->t || got.p != params->p;
}
