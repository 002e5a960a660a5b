/* Role tables, and keys that may sign a feed: any bytes. What is read as a role table has rows that could
 * have been made by hand; no key is trusted that is not an Ed25519 key, and none beside the pinned one. */
#include "base/assert.h"
#include "verify/feed_documents.h"
#include "verify/feed_trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_roles(sp_slice in) {
    SP_AUTO_FREE(sp_roles) roles = NULL;
    if (!sp_ok(sp_feed_read_roles(in, &roles))) return;
    for (size_t i = 0; i < sp_roles_count(roles); i++)
        sp_assert(sp_role_name_valid(sp_roles_at(roles, i).name));
}

static void read_keys(sp_slice in, const uint8_t *pin) {
    struct sp_feed_trust t;
    sp_feed_trust_init(&t, SP_SLICE_LIT("https://issuer.example"), pin);
    sp_status s = sp_feed_trust_offer(&t, in);
    sp_assert(sp_ok(s) == (t.n != 0) || sp_is(s, SP_E_MALFORMED));
    sp_assert(pin == NULL || t.n == 0);
    (void)sp_ok(sp_feed_trust_replace(&t, in));
    for (size_t i = 0; i < t.n; i++) sp_assert(sp_sig_key_type(t.keys[i].key) == SP_KEY_ED25519);
    sp_feed_trust_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t pin[SP_SHA256_BYTES] = {1};
    read_roles(sp_slice_of(data, size));
    read_keys(sp_slice_of(data, size), NULL);
    read_keys(sp_slice_of(data, size), pin);
    return 0;
}
