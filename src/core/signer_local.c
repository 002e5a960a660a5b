#include "core/signer_local.h"

static sp_status sign_with(const struct sp_sig_key *key, enum sp_alg alg, sp_slice input,
                           struct sp_buf *ret) {
    uint8_t *out = NULL;
    size_t n = 0;
    SP_TRY(sp_buf_reserve(ret, sp_sig_bytes(key), &out));
    SP_TRY(sp_sig_sign(key, alg, input, out, sp_sig_bytes(key), &n));
    sp_buf_advance(ret, n);
    return SP_SUCCESS;
}

static sp_status sign(void *arg, sp_slice kid, sp_slice input, struct sp_buf *ret) {
    struct sp_signer_local *local = arg;
    enum sp_alg alg;
    sp_seats_enter(local->seats);
    const struct sp_sig_key *key = sp_snapshot_private(sp_keys_now(local->keys), kid, &alg);
    sp_status s = key == NULL ? sp_err(SP_E_NOT_FOUND) : sign_with(key, alg, input, ret);
    sp_seats_leave(local->seats);
    return s;
}

struct sp_signer sp_signer_local_port(struct sp_signer_local *local) {
    return (struct sp_signer){.sign = sign, .arg = local};
}
