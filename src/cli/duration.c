#include "cli/duration.h"

#include <string.h>

#include "base/mem.h"
#include "base/slice.h"

bool sp_duration_parse(const char *text, uint64_t max_s, uint64_t *ret_s) {
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    size_t n = strlen(text);
    uint64_t count, seconds = 1;
    for (size_t i = 0; n > 1 && i < SP_ARRAY_LEN(units); i++) {
        if (text[n - 1] != units[i].unit) continue;
        seconds = units[i].seconds;
        n--;
        break;
    }
    if (!sp_slice_to_u64(sp_slice_of(text, n), &count) || count > max_s / seconds) return false;
    *ret_s = count * seconds;
    return true;
}
