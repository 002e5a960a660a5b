#include "http/query_values.h"

#include <string.h>
#include <time.h>

#define LAST_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z: later, the year has five digits */

/* Exactly n decimal digits off the front. */
static bool take_digits(sp_slice *s, size_t n, int *ret) {
    int v = 0;
    if (s->n < n) return false;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') return false;
        v = v * 10 + (s->p[i] - '0');
    }
    *s = sp_slice_of(s->p + n, s->n - n);
    *ret = v;
    return true;
}

static bool take_char(sp_slice *s, const char *any) {
    if (s->n == 0 || s->p[0] == 0 || strchr(any, s->p[0]) == NULL) return false;
    *s = sp_slice_of(s->p + 1, s->n - 1);
    return true;
}

static bool take_fraction(sp_slice *s, int *ret_ms) {
    int scale = 100, digit;
    *ret_ms = 0;
    if (!take_char(s, ".")) return true;
    if (!take_digits(s, 1, &digit)) return false;
    do {
        *ret_ms += digit * scale;
        scale /= 10;
    } while (take_digits(s, 1, &digit));
    return true;
}

static bool take_offset(sp_slice *s, int *ret_s) {
    int hours, minutes, sign = s->n != 0 && s->p[0] == '-' ? -1 : 1;
    *ret_s = 0;
    if (take_char(s, "Zz")) return true;
    if (!take_char(s, "+-") || !take_digits(s, 2, &hours) || !take_char(s, ":") ||
        !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool take_date(sp_slice *s, struct tm *t) {
    return take_digits(s, 4, &t->tm_year) && take_char(s, "-") && take_digits(s, 2, &t->tm_mon) &&
           take_char(s, "-") && take_digits(s, 2, &t->tm_mday) && take_char(s, "Tt ") &&
           take_digits(s, 2, &t->tm_hour) && take_char(s, ":") && take_digits(s, 2, &t->tm_min) &&
           take_char(s, ":") && take_digits(s, 2, &t->tm_sec);
}

/* timegm would make 3 March of 31 February. */
static bool is_date(const struct tm *given, int64_t seconds) {
    struct tm t;
    time_t at = seconds;
    return gmtime_r(&at, &t) != NULL && t.tm_year == given->tm_year && t.tm_mon == given->tm_mon &&
           t.tm_mday == given->tm_mday && t.tm_hour == given->tm_hour && t.tm_min == given->tm_min &&
           t.tm_sec == given->tm_sec;
}

sp_status sp_time_parse(sp_slice text, int64_t *ret_ms) {
    struct tm t = {0};
    int ms, offset_s;
    if (!take_date(&text, &t) || !take_fraction(&text, &ms) || !take_offset(&text, &offset_s) || text.n != 0)
        return sp_err(SP_E_MALFORMED);
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    struct tm normal = t;
    int64_t seconds = timegm(&normal);
    if (!is_date(&t, seconds) || seconds < offset_s || seconds - offset_s > LAST_S)
        return sp_err(SP_E_MALFORMED);
    *ret_ms = (seconds - offset_s) * 1000 + ms;
    return SP_SUCCESS;
}
