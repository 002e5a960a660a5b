/* Passwords at rest: Argon2id as a PHC string ($argon2id$v=19$m=19456,t=2,p=1$salt$hash).
 *
 * Each call costs what the parameters say (10 ms and 19 MiB by default): only ever from the bounded hash
 * pool, never from an event loop. Parallelism is 1: libsodium offers no other when hashing, and throughput of
 * a server comes from many logins at once. Strings with other costs, also from other software, are verified
 * as they are, within the maxima, when they have one lane, 16 bytes of salt and 32 of hash. Others are
 * refused: libsodium verifies more lanes, but calls it a mismatch when memory is missing, and nobody must
 * hear "wrong password", or be throttled, for that. Thread-safe. Passwords are compared as bytes: normalize
 * before. */
#ifndef SP_CRYPTO_PASSWORD_H
#define SP_CRYPTO_PASSWORD_H

#include "base/buf.h"

#define SP_PASSWORD_BYTES_MAX                                                                                \
    1024 /* longer is a mistake or an attack; hashing time would start to depend on it */
#define SP_PASSWORD_PHC_BYTES_MAX 128 /* libsodium's longest string, NUL included */
#define SP_PASSWORD_M_KIB_MIN 8
#define SP_PASSWORD_M_KIB_MAX (1024 * 1024) /* a stored row may not demand more than 1 GiB of a login */
#define SP_PASSWORD_T_MAX 64

struct sp_password_params {
    uint32_t m_kib;
    uint32_t t;
    uint32_t p; /* must be 1 */
};
/* OWASP's minimum for p = 1 (Password Storage Cheat Sheet): 10 ms and 19 MiB. */
#define SP_PASSWORD_PARAMS_DEFAULT                                                                           \
    { .m_kib = 19456, .t = 2, .p = 1 }

/* A verdict must be looked at by name; the zero value is the refusal. */
enum sp_password_verdict { SP_PASSWORD_WRONG = 0, SP_PASSWORD_RIGHT = 1 };

enum { SP_PASSWORD_SALT_BYTES = 16, SP_PASSWORD_HASH_BYTES = 32 };
/* What a PHC string says. */
struct sp_password_phc {
    struct sp_password_params params;
    uint8_t salt[SP_PASSWORD_SALT_BYTES], hash[SP_PASSWORD_HASH_BYTES];
};
/* SP_E_MALFORMED: not the one text of an Argon2id PHC string (version 19, plain numbers, canonical base64
 * without padding); SP_E_UNSUPPORTED: it is one, but of more lanes than one or of other lengths; SP_E_LIMIT:
 * it demands more than the maxima. */
sp_status sp_password_phc_parse(sp_slice text, struct sp_password_phc *ret);

/* SP_E_REFUSED when libsodium cannot hash with these (p != 1, m or t out of range). */
sp_status sp_password_params_check(const struct sp_password_params *params);
/* Appends the PHC string (no NUL) to *ret_phc. SP_E_LIMIT: password too long; SP_E_NOMEM. */
sp_status sp_password_hash(const struct sp_password_params *params, sp_slice password,
                           struct sp_buf *ret_phc);
/* As sp_password_phc_parse; SP_E_LIMIT: password too long; SP_E_NOMEM. In every such case *ret is untouched:
 * treat it as "could not check", never as right. */
sp_status sp_password_verify(sp_slice phc, sp_slice password, enum sp_password_verdict *ret);
/* What an unknown user costs: one hash with `params`, whose result is thrown away. Takes as long as
 * sp_password_verify of a string with the same parameters (rows that still carry older ones differ until
 * their next login). */
sp_status sp_password_verify_absent(const struct sp_password_params *params, sp_slice password);
/* True when `phc` is not exactly what sp_password_hash would make now; malformed counts. */
bool sp_password_needs_rehash(sp_slice phc, const struct sp_password_params *params);

#endif
