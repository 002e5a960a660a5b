/* Makes one allocation of a running program fail: LD_PRELOAD, for tests only (tests/e2e/torture.test.mjs).
 *
 * The file that SP_FAILMALLOC names is mapped, so that a test arms it with one write and reads what happened:
 *   left   allocations until the one that fails, it included; 0: unarmed. It fails once
 *   hits   how many have failed so far
 *   caller, size   of the last that failed
 * glibc's own names of its functions do the work, so nothing here allocates or looks anything up. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);

struct control {
    _Atomic int64_t left, hits;
    _Atomic uint64_t caller, size;
};

static struct control unarmed, *control = &unarmed;

/* A new process starts unarmed: what a test does with it begins after its start. */
__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("SP_FAILMALLOC");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *p = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED) control = p;
}

static bool fails(size_t n, const void *caller) {
    if (atomic_load_explicit(&control->left, memory_order_relaxed) <= 0) return false;
    if (atomic_fetch_sub(&control->left, 1) != 1) return false;
    atomic_store(&control->caller, (uint64_t)(uintptr_t)caller);
    atomic_store(&control->size, n);
    atomic_fetch_add(&control->hits, 1);
    errno = ENOMEM;
    return true;
}

EXPORT void *malloc(size_t n) {
    return fails(n, __builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

EXPORT void *calloc(size_t count, size_t n) {
    return fails(n, __builtin_return_address(0)) ? NULL : __libc_calloc(count, n);
}

EXPORT void *realloc(void *p, size_t n) {
    return fails(n, __builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}
