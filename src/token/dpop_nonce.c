#include "token/dpop_nonce.h"

#include "base/base64url.h"
#include "base/ct.h"
#include "base/mem.h"

enum {
    KEY_BYTES = 32,
    NONCE_BYTES = 16,
    /* Two clocks that are read one after the other differ by less, on a busy machine too. */
    SET_BACK_MS = 1000,
};
_Static_assert(SP_BASE64URL_CHARS(NONCE_BYTES) == SP_DPOP_NONCE_CHARS, "text of a nonce");

static void nonce_of_slot(const struct sp_hmac_key *key, uint64_t slot, char ret[SP_DPOP_NONCE_CHARS]) {
    uint8_t mac[SP_SHA256_BYTES], number[8];
    for (size_t i = 0; i < sizeof number; i++) number[i] = (uint8_t)(slot >> (8 * (sizeof number - 1 - i)));
    const sp_slice parts[] = {SP_SLICE_LIT("sallyport dpop nonce v1"), SP_SLICE_ARRAY(number)};
    sp_hmac_parts(key, parts, 2, mac);
    sp_base64url_encode(sp_slice_of(mac, NONCE_BYTES), ret);
}

static uint64_t slot_at(const struct sp_dpop_nonces *n, int64_t boot_ms) {
    const int64_t now_ms = boot_ms + atomic_load(&n->skip_ms);
    return now_ms < 0 ? 0 : (uint64_t)now_ms / SP_DPOP_NONCE_SLOT_MS;
}

sp_status sp_dpop_nonces_init(struct sp_dpop_nonces *n, const struct sp_random *random) {
    uint8_t key[KEY_BYTES];
    memset(n, 0, sizeof *n);
    SP_TRY(sp_random_fill(random, key, sizeof key));
    sp_hmac_key_init(&n->key, SP_SLICE_ARRAY(key));
    sp_wipe(key, sizeof key);
    return SP_SUCCESS;
}

void sp_dpop_nonces_done(struct sp_dpop_nonces *n) {
    sp_hmac_key_done(&n->key);
}

void sp_dpop_nonce_make(const struct sp_dpop_nonces *n, int64_t boot_ms, char ret[SP_DPOP_NONCE_CHARS]) {
    nonce_of_slot(&n->key, slot_at(n, boot_ms), ret);
}

bool sp_dpop_nonce_is_good(const struct sp_dpop_nonces *n, int64_t boot_ms, sp_slice nonce) {
    char good[SP_DPOP_NONCE_CHARS];
    uint64_t slot = slot_at(n, boot_ms);
    nonce_of_slot(&n->key, slot, good);
    if (sp_ct_equal(SP_SLICE_ARRAY(good), nonce)) return true; /* it is a MAC, so not byte by byte */
    if (slot == 0) return false;
    nonce_of_slot(&n->key, slot - 1, good);
    return sp_ct_equal(SP_SLICE_ARRAY(good), nonce);
}

/* ---- a clock that is set back ---- */

/* True once each time that the wall clock was set back against the other. */
static bool was_set_back(struct sp_dpop_nonces *n, int64_t ahead_ms) {
    int64_t most_ms = atomic_load(&n->wall_ahead_ms);
    while (ahead_ms > most_ms && !atomic_compare_exchange_weak(&n->wall_ahead_ms, &most_ms, ahead_ms))
        continue;
    return ahead_ms < most_ms - SET_BACK_MS &&
           atomic_compare_exchange_strong(&n->wall_ahead_ms, &most_ms, ahead_ms);
}

void sp_dpop_nonces_look(struct sp_dpop_nonces *n, int64_t wall_ms, int64_t boot_ms) {
    if (was_set_back(n, wall_ms - boot_ms)) atomic_fetch_add(&n->skip_ms, 2 * SP_DPOP_NONCE_SLOT_MS);
}
