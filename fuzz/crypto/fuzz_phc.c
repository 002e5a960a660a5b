/* PHC strings of passwords: what is accepted is the one text of its fields, within the maxima; what is
 * refused leaves nothing behind, and would be hashed anew. */
#include "base/assert.h"
#include "crypto/password.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sp_slice text_of(const struct sp_password_phc *phc, char ret[SP_PASSWORD_PHC_BYTES_MAX]) {
    const int variant = sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
    char salt[32], hash[48];
    sodium_bin2base64(salt, sizeof(salt), phc->salt, sizeof(phc->salt), variant);
    sodium_bin2base64(hash, sizeof(hash), phc->hash, sizeof(phc->hash), variant);
    int n = snprintf(ret, SP_PASSWORD_PHC_BYTES_MAX, "$argon2id$v=19$m=%u,t=%u,p=%u$%s$%s", phc->params.m_kib,
                     phc->params.t, phc->params.p, salt, hash);
    return sp_slice_of(ret, (size_t)n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const sp_slice text = {data, size};
    const struct sp_password_params some = SP_PASSWORD_PARAMS_DEFAULT;
    struct sp_password_phc phc, before;
    char again[SP_PASSWORD_PHC_BYTES_MAX];
    memset(&phc, 0xa5, sizeof(phc));
    before = phc;
    if (!sp_ok(sp_password_phc_parse(text, &phc))) {
        sp_assert(memcmp(&phc, &before, sizeof(phc)) == 0);
        sp_assert(sp_password_needs_rehash(text, &some));
        return 0;
    }
    sp_assert(sp_slice_eq(text_of(&phc, again), text));
    sp_assert(sp_ok(sp_password_params_check(&phc.params)));
    sp_assert(!sp_password_needs_rehash(text, &phc.params));
    return 0;
}
