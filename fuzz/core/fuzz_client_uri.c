/* Two URIs, divided by a newline: the one that is registered, and the one that is sent. What counts as the
 * same must be the same text, or lead to the same loopback address; and whatever may be registered has no
 * place in it where two readers could disagree about the host. */
#include "base/assert.h"
#include "core/client_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has(sp_slice s, char c) {
    return s.n != 0 && memchr(s.p, c, s.n) != NULL;
}

/* Behind the host of an http URI on a loopback address: "", or what begins with a colon, a path or a query.
 */
static bool is_loopback(sp_slice uri, sp_slice *ret_behind) {
    static const char *const fronts[] = {"http://127.0.0.1", "http://[::1]"};
    for (size_t i = 0; i < 2; i++) {
        const sp_slice front = sp_slice_cstr(fronts[i]);
        if (!sp_slice_starts(uri, front)) continue;
        *ret_behind = sp_slice_of(uri.p + front.n, uri.n - front.n);
        return ret_behind->n == 0 || strchr(":/?", ret_behind->p[0]) != NULL;
    }
    return false;
}

static sp_slice without_port(sp_slice behind) {
    size_t n = 0;
    if (behind.n != 0 && behind.p[0] == ':') {
        n = 1;
        while (n < behind.n && behind.p[n] >= '0' && behind.p[n] <= '9') n++;
    }
    return sp_slice_of(behind.p + n, behind.n - n);
}

static void check_same(sp_slice registered, sp_slice sent) {
    sp_slice a, b;
    if (!sp_uri_is_registered(registered, sent) || sp_slice_eq(registered, sent)) return;
    sp_assert(is_loopback(registered, &a) && is_loopback(sent, &b));
    sp_assert(registered.p[7] == sent.p[7]); /* of one address family */
    sp_assert(sp_slice_eq(without_port(a), without_port(b)));
}

static void check_registered(sp_slice uri, enum sp_uri_use use) {
    if (sp_uri_check(uri, use) != SP_URI_OK) return;
    sp_assert(!has(uri, '#') && !has(uri, '\\') && !has(uri, ' ') && !has(uri, '"') && has(uri, ':'));
    sp_assert(sp_uri_is_registered(uri, uri));
    if (use == SP_URI_NAME) return;
    sp_assert(!has(uri, '*'));
    sp_slice behind;
    const bool is_web = sp_slice_starts(uri, SP_SLICE_LIT("https://")) || is_loopback(uri, &behind) ||
                        sp_slice_starts(uri, SP_SLICE_LIT("http://localhost"));
    sp_assert(is_web || (use == SP_URI_REDIRECT_PRIVATE && has(uri, '.')));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
    if (newline == NULL) return 0;
    const size_t n = (size_t)(newline - data);
    const sp_slice registered = sp_slice_of(data, n), sent = sp_slice_of(newline + 1, size - n - 1);
    check_same(registered, sent);
    for (int use = SP_URI_REDIRECT; use <= SP_URI_NAME; use++)
        check_registered(registered, (enum sp_uri_use)use);
    return 0;
}
