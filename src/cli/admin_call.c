#include "cli/admin_call.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static int call(const struct sp_invocation *in, const char *method, const char *prefix, const char *segment,
                const char *suffix, const json_t *body, int64_t wait_s, struct sp_answer *ret) {
    SP_AUTO(sp_buf) path = SP_BUF_INIT(SP_ADMIN_PATH_BYTES_MAX);
    const char *text;
    sp_status s = sp_buf_append_cstr(&path, prefix);
    if (sp_ok(s)) s = sp_path_append(&path, segment);
    if (sp_ok(s)) s = sp_buf_append_cstr(&path, suffix);
    if (sp_ok(s)) s = sp_buf_cstr(&path, &text);
    if (!sp_ok(s)) return sp_usage_error(in->command, "%s is too long", in->command->args);
    return sp_client_call_wait(in, method, text, body, wait_s, ret);
}

int sp_admin_call(const struct sp_invocation *in, const char *method, const char *prefix, const char *segment,
                  const char *suffix, const json_t *body, struct sp_answer *ret) {
    return call(in, method, prefix, segment, suffix, body, SP_CLIENT_NO_WAIT, ret);
}

int sp_admin_call_wait(const struct sp_invocation *in, const char *method, const char *prefix,
                       const char *segment, const char *suffix, int64_t wait_s, struct sp_answer *ret) {
    return call(in, method, prefix, segment, suffix, NULL, wait_s, ret);
}

int sp_admin_change(const struct sp_invocation *in, const char *method, const char *prefix,
                    const char *segment, const char *suffix, const json_t *body, const char *said) {
    struct sp_answer a = {0};
    int failed = sp_admin_call(in, method, prefix, segment, suffix, body, &a);
    if (failed) return failed;
    if (in->json) {
        sp_print_json(stdout, a.body != NULL ? a.body : json_null());
    } else {
        printf("%s\n", said);
    }
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

/* ---- lists, page by page ---- */

/* Appends the page's rows; gives the cursor of the next page or NULL. */
static int fetch_page(const struct sp_invocation *in, const char *path, const char *member, json_t *rows,
                      json_t **ret_next) {
    struct sp_answer a = {0};
    int failed = sp_client_call(in, "GET", path, NULL, &a);
    if (failed) return failed;
    json_array_extend(rows, json_object_get(a.body, member));
    json_t *next = json_object_get(a.body, "next");
    *ret_next = json_is_string(next) || json_is_integer(next) ? json_incref(next) : NULL;
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

static sp_status page_path(struct sp_buf *path, const char *base, const json_t *after) {
    SP_TRY(sp_buf_append_cstr(path, base));
    if (after == NULL) return SP_SUCCESS;
    SP_TRY(sp_buf_append_cstr(path, strchr(base, '?') != NULL ? "&after=" : "?after="));
    if (json_is_integer(after)) return sp_buf_append_i64_text(path, json_integer_value(after));
    return sp_path_append(path, json_string_value(after));
}

static int fetch_all(const struct sp_invocation *in, const char *base, const char *member, json_t *rows) {
    json_t *after = NULL;
    int failed;
    do {
        SP_AUTO(sp_buf) path = SP_BUF_INIT(SP_ADMIN_PATH_BYTES_MAX);
        const char *text;
        sp_status s = page_path(&path, base, after);
        if (sp_ok(s)) s = sp_buf_cstr(&path, &text);
        json_decref(after);
        after = NULL;
        failed =
            sp_ok(s) ? fetch_page(in, text, member, rows, &after) : sp_usage_error(in->command, "too long");
    } while (!failed && after != NULL);
    return failed;
}

int sp_admin_list(const struct sp_invocation *in, const char *base, const char *member,
                  const struct sp_column *columns, size_t n) {
    json_t *rows = json_array();
    int failed = fetch_all(in, base, member, rows);
    if (!failed && in->json) sp_print_json(stdout, rows);
    if (!failed && !in->json) sp_print_table(stdout, columns, n, rows);
    json_decref(rows);
    return failed;
}

json_t *sp_admin_strings(const char *const *values, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, json_string(values[i]));
    return a;
}
