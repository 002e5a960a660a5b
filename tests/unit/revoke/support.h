/* What the tests of this layer share: a seeded generator, and the seed to run a failure again. */
#ifndef TEST_REVOKE_SUPPORT_H
#define TEST_REVOKE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ports.h"
#include "revoke/reclaim.h"

/* splitmix64 */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* SP_TEST_SEED=n runs the same operations again. */
static inline uint64_t test_seed(void) {
    const char *s = getenv("SP_TEST_SEED");
    uint64_t seed = 0;
    if (s == NULL) {
        assert_true(sp_ok(sp_random_fill(&sp_random_system, &seed, sizeof seed)));
    } else {
        seed = strtoull(s, NULL, 0);
    }
    return seed;
}

#define assert_model(cond, seed, step)                                                                       \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            fail_msg("%s: SP_TEST_SEED=%#llx step %zu", #cond, (unsigned long long)(seed), (size_t)(step));  \
    } while (0)

#endif
