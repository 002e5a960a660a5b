#include "cli/output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

enum { CELL_BYTES_MAX = 16 * 1024, COLUMNS_MAX = 16 };

static sp_status append_text(struct sp_buf *b, const char *s) {
    sp_slice text = sp_slice_cstr(s);
    /* A name chosen by a stranger must not move the cursor of whoever lists it. */
    return sp_utf8_printable(text) ? sp_buf_append(b, text) : sp_buf_append_json_string(b, text);
}

static sp_status append_value(struct sp_buf *b, const json_t *v) {
    if (json_is_string(v)) return append_text(b, json_string_value(v));
    if (json_is_integer(v)) return sp_buf_append_i64_text(b, json_integer_value(v));
    if (json_is_boolean(v)) return sp_buf_append_cstr(b, json_is_true(v) ? "yes" : "no");
    size_t i;
    json_t *each;
    json_array_foreach(v, i, each) {
        if (i != 0) SP_TRY(sp_buf_append_cstr(b, ", "));
        SP_TRY(append_value(b, each));
    }
    return SP_SUCCESS;
}

/* The caller frees. */
static char *cell(const json_t *row, const char *member) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(CELL_BYTES_MAX);
    const char *s;
    sp_status status = append_value(&b, json_object_get(row, member));
    if (sp_ok(status) && b.n == 0) status = sp_buf_append_cstr(&b, "-");
    if (!sp_ok(status) || !sp_ok(sp_buf_cstr(&b, &s))) return strdup("...");
    return strdup(s);
}

/* Columns on a screen, near enough: code points, not bytes. */
static size_t width(const char *s) {
    size_t n = 0;
    for (; *s != 0; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void print_cell(FILE *out, const char *s, size_t w, int last) {
    fputs(s, out);
    for (size_t n = width(s); !last && n < w + 2; n++) fputc(' ', out);
}

static void print_rows(FILE *out, const struct sp_column *columns, size_t n, char **cells, size_t rows,
                       const size_t *widths) {
    for (size_t c = 0; c < n; c++) print_cell(out, columns[c].title, widths[c], c + 1 == n);
    fputc('\n', out);
    for (size_t i = 0; i < rows * n; i++) {
        print_cell(out, cells[i] ? cells[i] : "", widths[i % n], i % n + 1 == n);
        if (i % n + 1 == n) fputc('\n', out);
    }
}

void sp_print_table(FILE *out, const struct sp_column *columns, size_t n, const json_t *rows) {
    size_t count = json_array_size(rows), widths[COLUMNS_MAX] = {0};
    char **cells = calloc(count * n + 1, sizeof(*cells));
    if (cells == NULL || n > COLUMNS_MAX) {
        free(cells);
        return;
    }
    for (size_t c = 0; c < n; c++) widths[c] = width(columns[c].title);
    for (size_t i = 0; i < count * n; i++) {
        cells[i] = cell(json_array_get(rows, i / n), columns[i % n].member);
        size_t w = cells[i] ? width(cells[i]) : 0;
        if (w > widths[i % n]) widths[i % n] = w;
    }
    print_rows(out, columns, n, cells, count, widths);
    for (size_t i = 0; i < count * n; i++) free(cells[i]);
    free(cells);
}

void sp_print_record(FILE *out, const struct sp_column *columns, size_t n, const json_t *object) {
    size_t w = 0;
    for (size_t c = 0; c < n; c++) w = width(columns[c].title) > w ? width(columns[c].title) : w;
    for (size_t c = 0; c < n; c++) {
        char *value = cell(object, columns[c].member);
        print_cell(out, columns[c].title, w, 0);
        fprintf(out, "%s\n", value ? value : "");
        free(value);
    }
}

void sp_print_json(FILE *out, const json_t *value) {
    json_dumpf(value, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    fputc('\n', out);
}

void sp_print_line(FILE *out, const struct sp_column *columns, size_t n, const json_t *object) {
    for (size_t c = 0; c < n; c++) {
        char *value = cell(object, columns[c].member);
        fprintf(out, "%s%s", value ? value : "", c + 1 == n ? "\n" : "  ");
        free(value);
    }
}

/* ---- progress ---- */

static bool progress_shown;

void sp_progress(const char *what, uint64_t done, uint64_t total) {
    if (total == 0 || done > total || !isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r%s %3d%%", what, (int)(done * 100 / total));
    progress_shown = true;
}

void sp_progress_end(void) {
    if (progress_shown) fputs("\r\033[K", stderr);
    progress_shown = false;
}
