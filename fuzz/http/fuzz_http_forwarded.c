/* X-Forwarded-For: whatever it says, the client is the peer or an address that was written there; without a
 * trusted peer it is the peer; and an entry that is appended by the proxy hides all that stood before. */
#include "base/assert.h"
#include "http/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sp_ip ip_of(const char *text) {
    sp_ip ip = {{0}};
    sp_assert(sp_ok(sp_ip_parse(sp_slice_cstr(text), &ip)));
    return ip;
}

static bool same(sp_ip a, sp_ip b) {
    return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

/* The client's text, as an address wrote it, must be readable again. */
static void check_text(sp_ip ip) {
    char text[SP_IP_TEXT_BYTES];
    sp_ip_text(&ip, text);
    sp_assert(same(ip_of(text), ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char seen[] = ", 192.0.2.7";
    uint8_t longer[4096 + sizeof(seen)];
    struct sp_cidr proxy, parsed;
    if (size > 4096) return 0;
    sp_assert(sp_ok(sp_cidr_parse(SP_SLICE_LIT("10.0.0.0/8"), &proxy)));
    const sp_ip peer = ip_of("10.0.0.1"), stranger = ip_of("192.0.2.1");
    const sp_slice line = {data, size};
    check_text(sp_forwarded_client(peer, &line, 1, &proxy, 1));
    sp_assert(same(sp_forwarded_client(stranger, &line, 1, &proxy, 1), stranger));

    if (size != 0) memcpy(longer, data, size);
    memcpy(longer + size, seen, sizeof(seen) - 1);
    const sp_slice appended = {longer, size + sizeof(seen) - 1};
    sp_assert(same(sp_forwarded_client(peer, &appended, 1, &proxy, 1), ip_of("192.0.2.7")));
    const sp_slice lines[] = {line, SP_SLICE_LIT("192.0.2.7")};
    sp_assert(same(sp_forwarded_client(peer, lines, 2, &proxy, 1), ip_of("192.0.2.7")));

    if (sp_ok(sp_cidr_parse(line, &parsed))) sp_assert(sp_cidr_has(&parsed, &parsed.base));
    return 0;
}
