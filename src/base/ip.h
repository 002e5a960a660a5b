/* Internet addresses as values: for buckets by client, and for the list of proxies that are believed.
 *
 * An IPv4 address is held as its IPv4-mapped IPv6 form (::ffff:a.b.c.d), so that one client has one value
 * however the socket or a header wrote it. Only the strict textual forms of inet_pton(3) are read: no zone,
 * port, brackets or white space, and no `127.1`. Pure, thread-safe. */
#ifndef SP_BASE_IP_H
#define SP_BASE_IP_H

#include "base/slice.h"
#include "base/status.h"

enum {
    SP_IP_BYTES = 16,
    SP_IP_TEXT_BYTES = 46,  /* INET6_ADDRSTRLEN, the NUL included */
    SP_CIDR_TEXT_BYTES = 50 /* and "/128" */
};

typedef struct sp_ip {
    uint8_t b[SP_IP_BYTES];
} sp_ip;

/* SP_E_MALFORMED. */
sp_status sp_ip_parse(sp_slice text, sp_ip *ret);
bool sp_ip_is_v4(const sp_ip *ip);
/* The canonical text with a NUL after it; IPv4 as IPv4. */
void sp_ip_text(const sp_ip *ip, char ret[SP_IP_TEXT_BYTES]);

/* A block of addresses: "10.0.0.0/8", "2001:db8::/32", or one address without a length. */
struct sp_cidr {
    sp_ip base;
    unsigned bits; /* of the 128 */
};
/* SP_E_MALFORMED: also when bits are set after the prefix, which is a typing error more often than not. */
sp_status sp_cidr_parse(sp_slice text, struct sp_cidr *ret);
bool sp_cidr_has(const struct sp_cidr *block, const sp_ip *ip);

/* Whether a URL whose authority begins here ("host", "host:port", "host/path") stays on this machine, by its
 * text alone: localhost, [::1], 127.0.0.0/8. "127.0.0.1.example.com", "127.0.0.1." and
 * "localhost.example.com" are names that somebody's DNS answers. */
bool sp_host_is_loopback(sp_slice authority);

#endif
