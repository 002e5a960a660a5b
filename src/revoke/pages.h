/* Zeroed memory for tables, from a few hundred bytes to hundreds of megabytes.
 *
 * Small pieces come from the allocator; large ones are mapped by themselves, so that giving one back gives it
 * to the system, whatever else lives on the heap. From a huge page on, a mapping begins at the boundary of
 * one and asks for them: a lookup in a table of 100 MiB otherwise misses the TLB before it misses the cache.
 * The tail that fills no huge page stays in small ones, so nothing is rounded up to 2 MiB. */
#ifndef SP_REVOKE_PAGES_H
#define SP_REVOKE_PAGES_H

#include <stddef.h>

/* n (> 0) bytes of zeros at a boundary of 64; NULL without memory. Thread-safe. */
void *sp_pages_new(size_t n);
/* With the n it was made with. Accepts NULL. */
void sp_pages_free(void *p, size_t n);
/* What n bytes really take. */
size_t sp_pages_bytes(size_t n);

#endif
