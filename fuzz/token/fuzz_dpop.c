/* Proofs of possession; see sign_here.h for the form of an input, but for first bytes of 64 to 127: then the
 * rest is a URL. What is accepted is in its window, by a key whose thumbprint is told, and accepted again;
 * the form of a URL is its own form. */
#include "sign_here.h"
#include "token/dpop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1700000000 };

static struct sp_dpop_scratch scratch;

static void check_url(sp_slice url) {
    static uint8_t once[SP_HTU_BYTES_MAX], twice[SP_HTU_BYTES_MAX];
    size_t n = 0, m = 0;
    if (!sp_ok(sp_htu_normalize(url, once, &n))) return;
    sp_assert(n <= SP_HTU_BYTES_MAX);
    sp_slice form = sp_slice_of(once, n);
    sp_assert(sp_slice_starts(form, SP_SLICE_LIT("http")));
    for (size_t i = 0; i < n; i++)
        sp_assert(once[i] > 0x20 && once[i] < 0x7F && once[i] != '?' && once[i] != '#');
    sp_assert(memmem(once, n, "/../", 4) == NULL && memmem(once, n, "/./", 3) == NULL);
    sp_assert(sp_ok(sp_htu_normalize(form, twice, &m)));
    sp_assert(sp_slice_eq(form, sp_slice_of(twice, m)));
}

static void check_proof(sp_slice proof) {
    const sp_slice url = SP_SLICE_LIT("https://api.example/orders");
    struct sp_dpop_expect e = {.method = SP_SLICE_LIT("GET"), .urls = &url, .urls_n = 1, .now_s = NOW};
    struct sp_dpop dpop, again;
    enum sp_dpop_fault f = sp_dpop_check(proof, &e, &scratch, &dpop);
    sp_assert(f != SP_DPOP_UNSET && f != SP_DPOP_INTERNAL && f < SP_DPOP_FAULT_COUNT);
    if (f != SP_DPOP_NONE) return;
    sp_assert(dpop.iat >= NOW - SP_DPOP_PAST_S && dpop.iat <= NOW + SP_DPOP_FUTURE_S);
    sp_assert(dpop.replay_until_ms > NOW * 1000LL);
    sp_assert(sp_jkt_valid(SP_SLICE_ARRAY(dpop.jkt)));
    e.jkt = SP_SLICE_ARRAY(dpop.jkt);
    sp_assert(sp_dpop_check(proof, &e, &scratch, &again) == SP_DPOP_NONE);
    sp_assert(memcmp(dpop.id, again.id, sizeof dpop.id) == 0);
    e.method = SP_SLICE_LIT("POST");
    sp_assert(sp_dpop_check(proof, &e, &scratch, &again) == SP_DPOP_WRONG_METHOD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size != 0 && data[0] >= 64 && data[0] < 128)
        check_url(sp_slice_of(data + 1, size - 1));
    else
        check_proof(sign_here_input(data, size));
    return 0;
}
