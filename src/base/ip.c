#include "base/ip.h"

#include <arpa/inet.h>

#include "base/mem.h"

enum { V4_AT = 12, V4_BITS = 32, ALL_BITS = 128 };

static const uint8_t mapped_prefix[V4_AT] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

sp_status sp_ip_parse(sp_slice text, sp_ip *ret) {
    char z[SP_IP_TEXT_BYTES];
    sp_ip ip;
    if (text.n == 0 || text.n >= sizeof(z) || memchr(text.p, 0, text.n) != NULL)
        return sp_err(SP_E_MALFORMED);
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    memcpy(ip.b, mapped_prefix, sizeof(mapped_prefix));
    if (inet_pton(AF_INET, z, ip.b + V4_AT) != 1 && inet_pton(AF_INET6, z, ip.b) != 1)
        return sp_err(SP_E_MALFORMED);
    *ret = ip;
    return SP_SUCCESS;
}

bool sp_ip_is_v4(const sp_ip *ip) {
    return memcmp(ip->b, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

void sp_ip_text(const sp_ip *ip, char ret[SP_IP_TEXT_BYTES]) {
    bool v4 = sp_ip_is_v4(ip);
    /* cannot fail: the room is that of the longest */
    (void)inet_ntop(v4 ? AF_INET : AF_INET6, ip->b + (v4 ? V4_AT : 0), ret, SP_IP_TEXT_BYTES);
}

static bool bit_at(const sp_ip *ip, unsigned i) {
    return (ip->b[i / 8] >> (7 - i % 8) & 1) != 0;
}

static bool is_clear_after(const sp_ip *ip, unsigned bits) {
    for (unsigned i = bits; i < ALL_BITS; i++) {
        if (bit_at(ip, i)) return false;
    }
    return true;
}

sp_status sp_cidr_parse(sp_slice text, struct sp_cidr *ret) {
    const uint8_t *slash = text.n == 0 ? NULL : memchr(text.p, '/', text.n);
    size_t n = slash == NULL ? text.n : (size_t)(slash - text.p);
    struct sp_cidr block = {.bits = ALL_BITS};
    SP_TRY(sp_ip_parse(sp_slice_of(text.p, n), &block.base));
    if (slash != NULL) {
        /* The length counts the bits of the family that was written: "::ffff:10.0.0.0/104" is IPv6. */
        bool as_v4 = memchr(text.p, ':', n) == NULL;
        uint64_t bits;
        if (!sp_slice_to_u64(sp_slice_of(slash + 1, text.n - n - 1), &bits) ||
            bits > (as_v4 ? V4_BITS : ALL_BITS))
            return sp_err(SP_E_MALFORMED);
        block.bits = (unsigned)bits + (as_v4 ? ALL_BITS - V4_BITS : 0);
    }
    if (!is_clear_after(&block.base, block.bits)) return sp_err(SP_E_MALFORMED);
    *ret = block;
    return SP_SUCCESS;
}

bool sp_cidr_has(const struct sp_cidr *block, const sp_ip *ip) {
    for (unsigned i = 0; i < block->bits; i++) {
        if (bit_at(&block->base, i) != bit_at(ip, i)) return false;
    }
    return true;
}

/* ---- this machine ---- */

static bool is_loopback_v4(sp_slice host) {
    sp_ip ip;
    return sp_ok(sp_ip_parse(host, &ip)) && sp_ip_is_v4(&ip) && ip.b[V4_AT] == IN_LOOPBACKNET;
}

bool sp_host_is_loopback(sp_slice authority) {
    const sp_slice v6 = SP_SLICE_LIT("[::1]");
    const bool in_brackets = sp_slice_starts(authority, v6);
    size_t n = in_brackets ? v6.n : 0;
    while (n < authority.n && authority.p[n] != ':' && authority.p[n] != '/') n++;
    const sp_slice host = sp_slice_of(authority.p, n);
    if (in_brackets) return host.n == v6.n;
    return sp_slice_eq(host, SP_SLICE_LIT("localhost")) || is_loopback_v4(host);
}
