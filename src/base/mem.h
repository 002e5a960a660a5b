/* Ownership, spelled out: cleanup on scope exit, stealing, checked sizes, wiping.
 *
 *   SP_AUTO(sp_buf) body = SP_BUF_INIT(4096);   sp_buf_done(&body) on every path
 *   SP_AUTO_FREE(sp_key) key = NULL;            sp_key_free(key) on every path
 *   *ret_key = sp_steal(&key);                  the one place where ownership leaves
 *
 * A heap type offers sp_T_free(struct sp_T *) which accepts NULL, and declares SP_DEFINE_FREE(sp_T). */
#ifndef SP_BASE_MEM_H
#define SP_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SP_AUTO(T) __attribute__((cleanup(T##_done))) struct T
#define SP_AUTO_FREE(T) __attribute__((cleanup(T##_freep_))) struct T *

#define SP_DEFINE_FREE(T)                                                                                    \
    static inline void T##_freep_(struct T **p) {                                                            \
        T##_free(*p);                                                                                        \
        *p = NULL;                                                                                           \
    }                                                                                                        \
    struct T

#define sp_steal(pp)                                                                                         \
    __extension__({                                                                                          \
        __typeof__(*(pp)) sp_stolen_ = *(pp);                                                                \
        *(pp) = NULL;                                                                                        \
        sp_stolen_;                                                                                          \
    })

/* a * b and a + b that cannot wrap; false means overflow and *ret is untouched. */
static inline bool sp_mul_size(size_t a, size_t b, size_t *ret) {
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *ret = r;
    return true;
}
static inline bool sp_add_size(size_t a, size_t b, size_t *ret) {
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *ret = r;
    return true;
}

/* Zeroes memory in a way the compiler may not drop. */
static inline void sp_wipe(void *p, size_t n) {
    if (n != 0) explicit_bzero(p, n);
}
/* Frees the n bytes at p (or NULL) after wiping them. */
static inline void sp_free_wiped(void *p, size_t n) {
    if (p != NULL) sp_wipe(p, n);
    free(p);
}

#define SP_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SP_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
