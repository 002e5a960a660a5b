#include "server/log.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

static const char *const level_names[] = {
    [SP_LOG_DEBUG] = "debug", [SP_LOG_INFO] = "info", [SP_LOG_WARN] = "warn", [SP_LOG_ERROR] = "error"};

bool sp_log_level_parse(const char *name, enum sp_log_level *ret) {
    for (size_t i = 0; i < SP_ARRAY_LEN(level_names); i++) {
        if (strcmp(name, level_names[i]) != 0) continue;
        *ret = (enum sp_log_level)i;
        return true;
    }
    return false;
}

static void timestamp(int64_t wall_ms, char out[40]) {
    struct tm tm;
    time_t s = (time_t)(wall_ms / 1000);
    if (gmtime_r(&s, &tm) == NULL) memset(&tm, 0, sizeof(tm));
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 40 - n, ".%03dZ", (int)(wall_ms % 1000));
}

/* What is not text is shown as such rather than trusted to a terminal. */
static sp_slice printable(sp_slice s) {
    return sp_utf8_printable(s) ? s : SP_SLICE_LIT("(not printable)");
}

static sp_status json_field(struct sp_buf *b, const struct sp_log_field *f) {
    SP_TRY(sp_buf_printf(b, ",\"%s\":", f->name));
    if (f->type == SP_LOG_I64) return sp_buf_append_i64_text(b, f->i64);
    return sp_buf_append_json_string(b, printable(f->text));
}

static sp_status plain_field(struct sp_buf *b, const struct sp_log_field *f) {
    SP_TRY(sp_buf_printf(b, " %s=", f->name));
    if (f->type == SP_LOG_I64) return sp_buf_append_i64_text(b, f->i64);
    return sp_buf_append(b, printable(f->text));
}

/* A field that does not fit is left out whole; the line stays well-formed. */
static void write_line(void *arg, enum sp_log_level level, const char *event,
                       const struct sp_log_field *fields, size_t n) {
    struct sp_log_sink *sink = arg;
    if (level < sink->least) return;
    char time_text[40];
    timestamp(sp_clock_wall_ms(&sink->clock), time_text);
    SP_AUTO(sp_buf) line = SP_BUF_INIT(SP_LOG_LINE_BYTES);
    bool json = sink->format == SP_LOG_JSON;
    const char *form = json ? "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "%s %-5s %s";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (!sp_ok(sp_buf_printf(&line, form, time_text, level_names[level], event))) return;
#pragma GCC diagnostic pop
    line.max = SP_LOG_LINE_BYTES - 2; /* room for the end of the line */
    for (size_t i = 0; i < n; i++) {
        size_t before = line.n;
        if (!sp_ok(json ? json_field(&line, &fields[i]) : plain_field(&line, &fields[i])))
            sp_buf_truncate(&line, before);
    }
    line.max = SP_LOG_LINE_BYTES;
    if (!sp_ok(sp_buf_append_cstr(&line, json ? "}\n" : "\n"))) return;
    ssize_t written = write(sink->fd, line.p, line.n);
    (void)written; /* a log that cannot be written has nowhere to say so */
}

struct sp_log sp_log_sink_port(struct sp_log_sink *sink) {
    return (struct sp_log){.write = write_line, .arg = sink};
}
