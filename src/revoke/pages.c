#include "revoke/pages.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE_BYTES ((size_t)64)
#define PAGE_BYTES ((size_t)4096)
#define HUGE_BYTES ((size_t)2 << 20)
/* From here on a mapping of its own: the last page wastes 3 % at most, and the call is paid once for 800
 * entries. */
#define MAP_BYTES_MIN ((size_t)64 * 1024)

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

static bool is_mapped(size_t n) {
    return n >= MAP_BYTES_MIN;
}

size_t sp_pages_bytes(size_t n) {
    return round_up(n, is_mapped(n) ? PAGE_BYTES : LINE_BYTES);
}

static void *map(size_t n, int flags) {
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Maps a huge page too much and gives back what lies before and after. */
static void *map_huge(size_t n) {
    uint8_t *p = map(n + HUGE_BYTES, 0);
    if (p == NULL) return NULL;
    size_t before = (HUGE_BYTES - (uintptr_t)p % HUGE_BYTES) % HUGE_BYTES;
    if (before != 0) (void)munmap(p, before);
    if (before != HUGE_BYTES) (void)munmap(p + before + n, HUGE_BYTES - before);
    (void)madvise(p + before, n, MADV_HUGEPAGE); /* without them it is slower, nothing else */
    return p + before;
}

static void *allocate(size_t n) {
    void *p = aligned_alloc(LINE_BYTES, n);
    if (p != NULL) memset(p, 0, n);
    return p;
}

void *sp_pages_new(size_t n) {
    size_t bytes = sp_pages_bytes(n);
    if (!is_mapped(n)) return allocate(bytes);
    /* Small pages are made at once: a table is filled at once, and 400 faults would cost more than the
     * filling. */
    return bytes < HUGE_BYTES ? map(bytes, MAP_POPULATE) : map_huge(bytes);
}

void sp_pages_free(void *p, size_t n) {
    if (p == NULL) return;
    if (is_mapped(n))
        (void)munmap(p, sp_pages_bytes(n));
    else
        free(p);
}
