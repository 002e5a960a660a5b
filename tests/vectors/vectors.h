/* Third-party test vectors: files of JSON lines in a folder that the build names (option `vectors`), or the
 * environment (SP_VECTORS). Each row becomes a test case of its own, named by its `id`.
 *
 * A missing file is skipped loudly and with meson's exit status for that: a run that tested nothing must
 * never look like one that passed. */
#ifndef SP_TESTS_VECTORS_H
#define SP_TESTS_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "base/base64url.h"
#include "base/slice.h"

enum {
    VECTORS_SKIPPED = 77, /* what meson takes as "skipped" */
    VECTORS_ROWS_MAX = 2000,
    VECTORS_LINE_MAX = 512 * 1024, /* the longest row is a text of 250,000 brackets */
};

static inline const char *vectors_text(const json_t *row, const char *name) {
    const char *s = json_string_value(json_object_get(row, name));
    return s == NULL ? "" : s;
}

/* Standard base64 with padding, which base/base64url.h refuses. The caller frees. */
static inline sp_slice vectors_base64(const char *text) {
    size_t n = strlen(text), got = 0;
    while (n > 0 && text[n - 1] == '=') n--;
    char *url = strdup(text);
    uint8_t *bytes = malloc(n + 1);
    assert_true(url != NULL && bytes != NULL);
    for (size_t i = 0; i < n; i++) url[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    assert_true(sp_ok(sp_base64url_decode(sp_slice_of(url, n), bytes, n + 1, &got)));
    free(url);
    return sp_slice_of(bytes, got);
}

static inline FILE *vectors_open(const char *file) {
    const char *folder = getenv("SP_VECTORS");
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder == NULL ? SP_VECTORS : folder, file);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        printf(
            "1..0 # SKIP no test vectors at %s\n*** SKIPPED: %s is missing; set SP_VECTORS or -Dvectors=\n",
            path, path);
    return f;
}

static inline int vectors_load(FILE *f, json_t **rows) {
    char *line = malloc(VECTORS_LINE_MAX);
    int n = 0;
    while (line != NULL && n < VECTORS_ROWS_MAX && fgets(line, VECTORS_LINE_MAX, f) != NULL) {
        rows[n] = json_loads(line, JSON_ALLOW_NUL, NULL);
        if (rows[n] == NULL) {
            n = -1;
            break;
        }
        n++;
    }
    free(line);
    return n;
}

/* Runs `check` once for each row of the file, whose json_t is *state. The result is main's. */
static inline int vectors_run(const char *file, CMUnitTestFunction check) {
    static json_t *rows[VECTORS_ROWS_MAX];
    static struct CMUnitTest tests[VECTORS_ROWS_MAX];
    FILE *f = vectors_open(file);
    if (f == NULL) return VECTORS_SKIPPED;
    int n = vectors_load(f, rows);
    fclose(f);
    if (n <= 0) {
        printf("%s: no readable rows\n", file);
        return 1;
    }
    for (int i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){
            .name = vectors_text(rows[i], "id"), .test_func = check, .initial_state = rows[i]};
    int failed = _cmocka_run_group_tests(file, tests, (size_t)n, NULL, NULL);
    for (int i = 0; i < n; i++) json_decref(rows[i]);
    return failed;
}

#endif
