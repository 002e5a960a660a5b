/* What every unit test of base begins with. */
#ifndef SP_TESTS_BASE_CHECK_H
#define SP_TESTS_BASE_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slice.h"
#include "base/status.h"

#define assert_ok(status) assert_code((status), SP_OK)
#define assert_code(status, want)                                                                            \
    do {                                                                                                     \
        sp_status assert_status_ = (status);                                                                 \
        assert_string_equal(sp_code_name(assert_status_.code), sp_code_name(want));                          \
    } while (0)
#define assert_slice(slice, text)                                                                            \
    do {                                                                                                     \
        sp_slice assert_slice_ = (slice);                                                                    \
        assert_int_equal(assert_slice_.n, sizeof(text) - 1);                                                 \
        if (assert_slice_.n != 0) assert_memory_equal(assert_slice_.p, (text), sizeof(text) - 1);            \
    } while (0)

#endif
