#include "http/forwarded.h"

static bool is_proxy(const sp_ip *ip, const struct sp_cidr *proxies, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (sp_cidr_has(&proxies[i], ip)) return true;
    }
    return false;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

/* Takes the last element off a list; an empty one is an element too. */
static sp_slice take_last(sp_slice *list, bool *ret_more) {
    size_t begin = list->n;
    while (begin > 0 && list->p[begin - 1] != ',') begin--;
    sp_slice last = sp_slice_of(list->p + begin, list->n - begin);
    *ret_more = begin > 0;
    list->n = begin > 0 ? begin - 1 : 0;
    while (last.n > 0 && is_blank(last.p[0])) last = sp_slice_of(last.p + 1, last.n - 1);
    while (last.n > 0 && is_blank(last.p[last.n - 1])) last.n--;
    return last;
}

sp_ip sp_forwarded_client(sp_ip peer, const sp_slice *lines, size_t n_lines, const struct sp_cidr *proxies,
                          size_t n_proxies) {
    sp_ip speaker = peer;
    for (size_t line = n_lines; line > 0; line--) {
        sp_slice list = lines[line - 1];
        for (bool more = true; more;) {
            if (!is_proxy(&speaker, proxies, n_proxies)) return speaker;
            sp_ip named;
            if (!sp_ok(sp_ip_parse(take_last(&list, &more), &named))) return peer;
            speaker = named;
        }
    }
    return speaker;
}
