/* Forms: whatever is accepted is text within its bounds, from the input, and can be encoded and read again to
 * the same values; what is refused writes nothing. */
#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/form.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUE_MAX = 24, INPUT_MAX = 4096 };

struct seen {
    sp_slice scope, password, code;
    struct sp_form_list resources;
};

static enum sp_form_error parse(sp_slice raw, uint8_t *text, struct seen *s) {
    const struct sp_form_field fields[] = {
        {"scope", VALUE_MAX, &s->scope, NULL, SP_FORM_PRINTABLE},
        {"password", VALUE_MAX, &s->password, NULL, SP_FORM_ANY},
        {"code", INPUT_MAX, &s->code, NULL, SP_FORM_PRINTABLE},
        {"resource", VALUE_MAX, NULL, &s->resources, SP_FORM_PRINTABLE},
    };
    const char *name = NULL;
    return sp_form_parse(raw, text, fields, SP_ARRAY_LEN(fields), &name);
}

static void check_value(sp_slice v, size_t max, bool printable) {
    if (v.p == NULL) return;
    sp_assert(v.n > 0 && v.n <= max && sp_utf8_valid(v) && memchr(v.p, 0, v.n) == NULL);
    sp_assert(!printable || sp_utf8_printable(v));
}

static void check(const struct seen *s) {
    check_value(s->scope, VALUE_MAX, true);
    check_value(s->password, VALUE_MAX, false);
    check_value(s->code, INPUT_MAX, true);
    sp_assert(s->resources.n <= SP_FORM_LIST_MAX);
    for (size_t i = 0; i < s->resources.n; i++) check_value(s->resources.item[i], VALUE_MAX, true);
}

/* Every byte escaped, the name too. */
static void put(struct sp_buf *b, const char *name, sp_slice value) {
    if (value.p == NULL) return;
    sp_assert(sp_ok(sp_buf_printf(b, "&%%%02x%s=", (unsigned)name[0], name + 1)));
    for (size_t i = 0; i < value.n; i++)
        sp_assert(sp_ok(sp_buf_printf(b, i % 2 == 0 ? "%%%02X" : "%%%02x", value.p[i])));
}

static void write_and_read_again(const struct seen *s) {
    struct sp_buf out;
    sp_buf_init(&out, 8 * INPUT_MAX);
    put(&out, "scope", s->scope);
    put(&out, "password", s->password);
    put(&out, "code", s->code);
    for (size_t i = 0; i < s->resources.n; i++) put(&out, "resource", s->resources.item[i]);
    struct seen again = {.resources = {.n = 0}};
    uint8_t *text = malloc(out.n + 1);
    sp_assert(text != NULL && parse(sp_buf_slice(&out), text, &again) == SP_FORM_OK);
    sp_assert(sp_slice_eq(again.scope, s->scope) && sp_slice_eq(again.password, s->password) &&
              sp_slice_eq(again.code, s->code) && again.resources.n == s->resources.n);
    for (size_t i = 0; i < s->resources.n; i++)
        sp_assert(sp_slice_eq(again.resources.item[i], s->resources.item[i]));
    free(text);
    sp_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    struct seen s = {.resources = {.n = 0}};
    uint8_t *text = malloc(size == 0 ? 1 : size); /* exactly as much as is promised */
    sp_assert(text != NULL);
    if (parse(sp_slice_of(data, size), text, &s) == SP_FORM_OK) {
        check(&s);
        write_and_read_again(&s);
    } else {
        sp_assert(s.scope.p == NULL && s.password.p == NULL && s.code.p == NULL && s.resources.n == 0);
    }
    free(text);
    return 0;
}
