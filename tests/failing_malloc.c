#include "failing_malloc.h"

#include <stddef.h>

static uint64_t asked, first, count, failed;

void failing_malloc_arm(uint64_t nth, uint64_t times) {
    asked = failed = 0;
    first = nth;
    count = times;
}

bool failing_malloc_disarm(void) {
    first = 0;
    return failed != 0;
}

static bool fails(void) {
    if (first == 0 || ++asked < first || asked - first >= count) return false;
    failed++;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
    return fails() ? NULL : __real_realloc(p, n);
}
