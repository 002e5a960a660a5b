/* Payloads. What is read and written again reads the same; what is packed and unpacked is the same; an access
 * token's payload is also anyone's JWT. */
#include "base/assert.h"
#include "token/claims.h"
#include "token/claims_own.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sp_claims_scratch scratch, scratch_again;

static sp_slice written(const struct sp_claims *c, struct sp_buf *out) {
    sp_assert(sp_ok(sp_claims_write_json(c, out)));
    return sp_buf_slice(out);
}

static void must_read_the_same(const struct sp_claims *c) {
    SP_AUTO(sp_buf) first = SP_BUF_INIT(16 * SP_TOKEN_BYTES_MAX);
    SP_AUTO(sp_buf) second = SP_BUF_INIT(16 * SP_TOKEN_BYTES_MAX);
    SP_AUTO(sp_buf) third = SP_BUF_INIT(16 * SP_TOKEN_BYTES_MAX);
    struct sp_claims again, copy;
    size_t n = sp_claims_bytes(c);
    uint8_t *block = malloc(n + 1);
    sp_assert(block != NULL);
    sp_slice a = written(c, &first);
    struct sp_claims_packed packed;
    sp_assert(sp_ok(sp_claims_pack(c, block, &packed)));
    sp_claims_unpack(&packed, block, &copy);
    sp_assert(sp_slice_eq(a, written(&copy, &third)));
    free(block);
    if (a.n > SP_PAYLOAD_BYTES_MAX) return; /* escaping made it longer than a token can be */
    sp_assert(sp_reject_is_ok(sp_claims_parse(a, SP_CLAIMS_ACCESS_TOKEN, &scratch_again, &again)));
    sp_assert(sp_slice_eq(a, written(&again, &second)));
}

/* What is read without the tree is what the tree reads, to the last field. */
static void must_agree_with_the_tree(sp_slice payload) {
    SP_AUTO(sp_buf) first = SP_BUF_INIT(16 * SP_TOKEN_BYTES_MAX);
    SP_AUTO(sp_buf) second = SP_BUF_INIT(16 * SP_TOKEN_BYTES_MAX);
    struct sp_claims own, tree;
    struct sp_claims_packed a, b;
    if (!sp_claims_parse_own(payload, &scratch, &own)) return;
    sp_assert(sp_reject_is_ok(sp_claims_parse_tree(payload, SP_CLAIMS_ACCESS_TOKEN, &scratch_again, &tree)));
    static uint8_t block_a[SP_PAYLOAD_BYTES_MAX], block_b[SP_PAYLOAD_BYTES_MAX];
    sp_assert(sp_ok(sp_claims_pack(&own, block_a, &a)) && sp_ok(sp_claims_pack(&tree, block_b, &b)));
    sp_assert(sp_slice_eq(SP_SLICE_ARRAY(a.string_n), SP_SLICE_ARRAY(b.string_n)) && a.flags == b.flags);
    sp_assert(sp_slice_eq(written(&own, &first), written(&tree, &second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sp_claims c, jwt;
    if (size > SP_PAYLOAD_BYTES_MAX) return 0;
    sp_slice payload = sp_slice_of(data, size);
    must_agree_with_the_tree(payload);
    enum sp_reject strict = sp_claims_parse(payload, SP_CLAIMS_ACCESS_TOKEN, &scratch, &c);
    enum sp_reject lax = sp_claims_parse(payload, SP_CLAIMS_JWT, &scratch_again, &jwt);
    sp_assert(!sp_reject_is_ok(strict) || sp_reject_is_ok(lax));
    if (sp_reject_is_ok(strict)) must_read_the_same(&c);
    return 0;
}
