#include "http/json_out.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/text.h"

#define TIME_MAX_S INT64_C(253402300799) /* the year 9999: RFC 3339 has four digits */

static void note(struct sp_json_out *o, sp_status st) {
    if (!sp_ok(st)) o->failed = true;
}

static void put(struct sp_json_out *o, const char *s) {
    if (!o->failed) note(o, sp_buf_append_cstr(o->b, s));
}

/* What stands before every value. */
static void lead(struct sp_json_out *o, const char *name) {
    if (o->comma) put(o, ",");
    o->comma = true;
    if (name == NULL) return;
    put(o, "\"");
    put(o, name); /* ours: needs no escape */
    put(o, "\":");
}

static void open_with(struct sp_json_out *o, const char *name, const char *bracket) {
    lead(o, name);
    put(o, bracket);
    o->comma = false;
}
static void close_with(struct sp_json_out *o, const char *bracket) {
    put(o, bracket);
    o->comma = true;
}

void sp_json_out_object(struct sp_json_out *o, const char *name) {
    open_with(o, name, "{");
}
void sp_json_out_object_end(struct sp_json_out *o) {
    close_with(o, "}");
}
void sp_json_out_array(struct sp_json_out *o, const char *name) {
    open_with(o, name, "[");
}
void sp_json_out_array_end(struct sp_json_out *o) {
    close_with(o, "]");
}

/* Length of the well-formed character at the front, 0 if there is none. */
static size_t character(sp_slice s) {
    for (size_t n = 1; n <= 4 && n <= s.n; n++) {
        if (sp_utf8_valid(sp_slice_of(s.p, n))) return n;
    }
    return 0;
}

static sp_status mend(sp_slice text, struct sp_buf *ret) {
    while (text.n > 0) {
        size_t n = character(text);
        SP_TRY(sp_buf_append(ret, n == 0 ? SP_SLICE_LIT("\xEF\xBF\xBD") : sp_slice_of(text.p, n)));
        if (n == 0) n = 1;
        text = sp_slice_of(text.p + n, text.n - n);
    }
    return SP_SUCCESS;
}

static sp_status put_text(struct sp_buf *b, sp_slice text) {
    if (sp_utf8_valid(text)) return sp_buf_append_json_string(b, text);
    SP_AUTO(sp_buf) mended = SP_BUF_INIT(3 * text.n);
    SP_TRY(mend(text, &mended));
    return sp_buf_append_json_string(b, sp_buf_slice(&mended));
}

void sp_json_out_text(struct sp_json_out *o, const char *name, sp_slice text) {
    lead(o, name);
    if (!o->failed) note(o, put_text(o->b, text));
}

void sp_json_out_i64(struct sp_json_out *o, const char *name, int64_t v) {
    lead(o, name);
    if (!o->failed) note(o, sp_buf_append_i64_text(o->b, v));
}

void sp_json_out_u64(struct sp_json_out *o, const char *name, uint64_t v) {
    lead(o, name);
    if (!o->failed) note(o, sp_buf_printf(o->b, "%" PRIu64, v));
}

void sp_json_out_bool(struct sp_json_out *o, const char *name, bool v) {
    lead(o, name);
    put(o, v ? "true" : "false");
}

void sp_json_out_null(struct sp_json_out *o, const char *name) {
    lead(o, name);
    put(o, "null");
}

void sp_json_out_base64url(struct sp_json_out *o, const char *name, sp_slice bytes) {
    lead(o, name);
    put(o, "\"");
    if (!o->failed) note(o, sp_buf_append_base64url(o->b, bytes));
    put(o, "\"");
}

void sp_json_out_hex(struct sp_json_out *o, const char *name, sp_slice bytes) {
    lead(o, name);
    put(o, "\"");
    if (!o->failed) note(o, sp_buf_append_hex(o->b, bytes));
    put(o, "\"");
}

void sp_json_out_words(struct sp_json_out *o, const char *name, sp_slice words) {
    sp_json_out_array(o, name);
    sp_slice word;
    while (sp_words_next(&words, &word)) sp_json_out_text(o, NULL, word);
    sp_json_out_array_end(o);
}

/* `width` digits, by hand: a page of sessions has hundreds of times, and every /auth/me has two. */
static char *digits(char *at, int width, int v) {
    for (int i = width; i-- > 0; v /= 10) at[i] = (char)('0' + v % 10);
    return at + width;
}

static char *sign(char *at, char c) {
    *at = c;
    return at + 1;
}

/* RFC 3339, UTC. */
static void put_time(struct sp_json_out *o, int64_t wall_s, int milliseconds) {
    time_t t = (time_t)wall_s;
    struct tm tm;
    char text[sizeof("\"9999-12-31T23:59:60.999Z\"")], *at = text;
    if (wall_s > TIME_MAX_S || gmtime_r(&t, &tm) == NULL) {
        put(o, "null"); /* not a time of ours */
        return;
    }
    at = sign(digits(sign(at, '"'), 4, tm.tm_year + 1900), '-');
    at = sign(digits(at, 2, tm.tm_mon + 1), '-');
    at = sign(digits(at, 2, tm.tm_mday), 'T');
    at = sign(digits(at, 2, tm.tm_hour), ':');
    at = sign(digits(at, 2, tm.tm_min), ':');
    at = digits(at, 2, tm.tm_sec);
    if (milliseconds >= 0) at = digits(sign(at, '.'), 3, milliseconds);
    at = sign(sign(at, 'Z'), '"');
    if (!o->failed) note(o, sp_buf_append(o->b, sp_slice_of(text, (size_t)(at - text))));
}

void sp_json_out_time_ms(struct sp_json_out *o, const char *name, int64_t wall_ms) {
    lead(o, name);
    if (wall_ms <= 0) {
        put(o, "null");
    } else {
        put_time(o, wall_ms / 1000, (int)(wall_ms % 1000));
    }
}

void sp_json_out_time_s(struct sp_json_out *o, const char *name, int64_t wall_s) {
    lead(o, name);
    if (wall_s <= 0) {
        put(o, "null");
    } else {
        put_time(o, wall_s, -1);
    }
}

void sp_json_out_raw(struct sp_json_out *o, const char *name, sp_slice json) {
    lead(o, name);
    if (!o->failed) note(o, sp_buf_append(o->b, json));
}
