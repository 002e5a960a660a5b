/* Who the client is behind proxies: X-Forwarded-For, as far as it can be believed.
 *
 * Each proxy appends the address that it sees, so the list is read from its right end, beginning with our own
 * peer: as long as the one who speaks is a trusted proxy, the next entry is believed. The first address that
 * is not a trusted proxy is the client; what stands to the left of it is what that client chose to send. When
 * a trusted proxy passed something that is no address, the peer is all that we know; when all are trusted,
 * the leftmost is the client (a request from inside).
 *
 * `Forwarded` (RFC 7239) is not read: of two headers that say the same a proxy in front would set one
 * and pass the other on. Pure, thread-safe. */
#ifndef SP_HTTP_FORWARDED_H
#define SP_HTTP_FORWARDED_H

#include "base/ip.h"

enum {
    SP_PROXIES_MAX = 32, /* blocks of one deployment: compared one after another */
    SP_FORWARDED_LINES_MAX =
        16, /* header lines of the name; more than any chain of proxies adds: the last count */
};

/* `lines`: the values of all X-Forwarded-For headers, in order; together they are one list. */
sp_ip sp_forwarded_client(sp_ip peer, const sp_slice *lines, size_t n_lines, const struct sp_cidr *proxies,
                          size_t n_proxies);

#endif
