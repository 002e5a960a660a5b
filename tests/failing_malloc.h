/* malloc, calloc and realloc that fail when their turn comes, for single-threaded programs that are linked
 * with
 * --wrap for the three. */
#ifndef SP_TESTS_FAILING_MALLOC_H
#define SP_TESTS_FAILING_MALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* The nth allocation from now on (the next is 1) fails, and the `times - 1` after it. */
void failing_malloc_arm(uint64_t nth, uint64_t times);
/* From now on none fails. Whether one did. */
bool failing_malloc_disarm(void);

#endif
