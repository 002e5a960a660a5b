#include "http/form.h"

#include "base/assert.h"
#include "base/text.h"

static const char *const error_texts[SP_FORM_ERRORS] = {
    [SP_FORM_OK] = "OK",
    [SP_FORM_MALFORMED] =
        "the parameters are not well-formed application/x-www-form-urlencoded (a space is written + or %20)",
    [SP_FORM_CHARACTERS] = "a parameter has characters that are not allowed",
    [SP_FORM_REPEATED] = "a parameter is given twice",
    [SP_FORM_TOO_LONG] = "a parameter is too long",
    [SP_FORM_TOO_MANY] = "there are too many parameters",
};

const char *sp_form_error_text(enum sp_form_error e) {
    sp_assert(e < SP_FORM_ERRORS);
    return error_texts[e];
}

static int hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* The byte that two digits stand for, or -1. */
static int escaped(sp_slice digits) {
    if (digits.n < 2) return -1;
    const int high = hex(digits.p[0]), low = hex(digits.p[1]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

sp_status sp_form_decode(sp_slice in, uint8_t *out, size_t *ret_n) {
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        int c = in.p[i];
        if (c <= 0x20 || c >= 0x7F) return sp_err(SP_E_MALFORMED);
        if (c == '%') {
            c = escaped(sp_slice_of(in.p + i + 1, in.n - i - 1));
            if (c <= 0) return sp_err(SP_E_MALFORMED); /* U+0000 is in no text */
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[n++] = (uint8_t)c;
    }
    if (!sp_utf8_valid(sp_slice_of(out, n))) return sp_err(SP_E_MALFORMED);
    *ret_n = n;
    return SP_SUCCESS;
}

/* "a=b" off the front of "a=b&c=d". A name alone has an empty value, as everybody reads it. */
static void take_pair(sp_slice *rest, sp_slice *ret_name, sp_slice *ret_value) {
    const uint8_t *amp = memchr(rest->p, '&', rest->n);
    const size_t n = amp == NULL ? rest->n : (size_t)(amp - rest->p);
    const uint8_t *eq = n == 0 ? NULL : memchr(rest->p, '=', n);
    const size_t name_n = eq == NULL ? n : (size_t)(eq - rest->p);
    *ret_name = sp_slice_of(rest->p, name_n);
    *ret_value = eq == NULL ? SP_SLICE_EMPTY : sp_slice_of(eq + 1, n - name_n - 1);
    const size_t taken = amp == NULL ? n : n + 1;
    *rest = sp_slice_of(rest->p + taken, rest->n - taken);
}

/* A form as it is read: what will be handed out once all of it was found good. */
struct reading {
    const struct sp_form_field *fields;
    size_t n;
    sp_slice value[SP_FORM_FIELDS_MAX];
    bool seen[SP_FORM_FIELDS_MAX];
    struct sp_form_list list;
    const char *name; /* of the field that is being read */
};

static const struct sp_form_field *find(const struct reading *r, sp_slice name) {
    for (size_t i = 0; i < r->n; i++) {
        if (sp_slice_eq_cstr(name, r->fields[i].name)) return &r->fields[i];
    }
    return NULL;
}

static enum sp_form_error keep(struct reading *r, const struct sp_form_field *field, sp_slice value) {
    const size_t i = (size_t)(field - r->fields);
    if (field->list == NULL && r->seen[i]) return SP_FORM_REPEATED;
    r->seen[i] = true;
    if (value.n == 0) return SP_FORM_OK;
    if (value.n > field->max) return SP_FORM_TOO_LONG;
    if (field->characters == SP_FORM_PRINTABLE && !sp_utf8_printable(value)) return SP_FORM_CHARACTERS;
    if (field->list == NULL) {
        r->value[i] = value;
        return SP_FORM_OK;
    }
    if (r->list.n == SP_FORM_LIST_MAX) return SP_FORM_TOO_MANY;
    r->list.item[r->list.n++] = value;
    return SP_FORM_OK;
}

/* Decodes both parts to *text and moves it behind what must stay. */
static enum sp_form_error read_pair(struct reading *r, sp_slice name, sp_slice value, uint8_t **text) {
    size_t name_n, value_n;
    uint8_t *at = *text;
    r->name = NULL;
    if (!sp_ok(sp_form_decode(name, at, &name_n))) return SP_FORM_MALFORMED;
    const struct sp_form_field *field = find(r, sp_slice_of(at, name_n));
    if (field != NULL) r->name = field->name;
    if (!sp_ok(sp_form_decode(value, at, &value_n))) return SP_FORM_MALFORMED;
    if (field == NULL) return SP_FORM_OK;
    *text += value_n;
    return keep(r, field, sp_slice_of(at, value_n));
}

static void hand_out(const struct reading *r) {
    for (size_t i = 0; i < r->n; i++) {
        if (r->fields[i].list != NULL) {
            *r->fields[i].list = r->list;
        } else {
            *r->fields[i].ret = r->value[i];
        }
    }
}

enum sp_form_error sp_form_parse(sp_slice raw, uint8_t *text, const struct sp_form_field *fields, size_t n,
                                 const char **ret_name) {
    sp_assert(n <= SP_FORM_FIELDS_MAX);
    struct reading r = {.fields = fields, .n = n};
    for (size_t pairs = 0; raw.n > 0; pairs++) {
        sp_slice name, value;
        take_pair(&raw, &name, &value);
        enum sp_form_error e =
            pairs == SP_FORM_PAIRS_MAX ? SP_FORM_TOO_MANY : read_pair(&r, name, value, &text);
        if (e == SP_FORM_OK) continue;
        *ret_name = r.name;
        return e;
    }
    hand_out(&r);
    return SP_FORM_OK;
}
