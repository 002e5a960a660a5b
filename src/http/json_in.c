#include "http/json_in.h"

#include <jansson.h>
#include <malloc.h>

#include "base/assert.h"
#include "base/text.h"

/* Set when an allocation of jansson's failed. It calls a string that it could not allocate a syntax error,
 * and the client would be told that its body is not JSON. Worse, it does not look when its buffer cannot
 * grow, and goes on with a character less: nothing that it has read under want of memory is used. */
static _Thread_local bool out_of_memory;

static void *allocate(size_t n) {
    void *p = malloc(n);
    if (p == NULL) out_of_memory = true;
    return p;
}

/* What jansson frees may have held a password. malloc_usable_size makes this work on memory that was
 * allocated before the pair was installed, so the order in which things start does not matter. */
static void free_wiping(void *p) {
    if (p == NULL) return;
    sp_wipe(p, malloc_usable_size(p));
    free(p);
}

__attribute__((constructor)) static void install_wiping_allocator(void) {
    json_set_alloc_funcs(allocate, free_wiping);
}

static const struct {
    const char *code, *title;
} errors[SP_JSON_IN_ERRORS] = {
    [SP_JSON_IN_OK] = {"ok", "OK"},
    [SP_JSON_IN_NOT_JSON] = {"malformed_json", "The body is not JSON"},
    [SP_JSON_IN_NOT_OBJECT] = {"not_an_object", "The body is not a JSON object"},
    [SP_JSON_IN_DUPLICATE] = {"duplicate_field", "A field is given twice"},
    [SP_JSON_IN_UNKNOWN] = {"unknown_field", "The body has a field that is not known here"},
    [SP_JSON_IN_WRONG_TYPE] = {"wrong_type", "A field has the wrong type"},
    [SP_JSON_IN_BAD_VALUE] = {"bad_value", "A field has a value that is not allowed"},
    [SP_JSON_IN_TOO_LONG] = {"too_long", "A field is too long"},
    [SP_JSON_IN_MISSING] = {"missing_field", "A required field is missing"},
    [SP_JSON_IN_NO_MEMORY] = {"internal_error", "Internal error"},
};

const char *sp_json_in_code(enum sp_json_in_error e) {
    return errors[e].code;
}
const char *sp_json_in_title(enum sp_json_in_error e) {
    return errors[e].title;
}

static enum sp_json_in_error load_error(const json_error_t *err) {
    if (out_of_memory) return SP_JSON_IN_NO_MEMORY;
    return json_error_code(err) == json_error_duplicate_key ? SP_JSON_IN_DUPLICATE : SP_JSON_IN_NOT_JSON;
}

static struct sp_json_in_field *find(struct sp_json_in_field *fields, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].name, name) == 0) return &fields[i];
    }
    return NULL;
}

static enum sp_json_in_error check_text(const struct sp_json_in_field *f, const json_t *v) {
    if (!json_is_string(v)) return SP_JSON_IN_WRONG_TYPE;
    sp_slice s = sp_slice_of(json_string_value(v), json_string_length(v));
    if (s.n > f->max) return SP_JSON_IN_TOO_LONG;
    if (s.n == 0 && f->type != SP_JSON_IN_MAYBE) return SP_JSON_IN_BAD_VALUE;
    if (f->type != SP_JSON_IN_TEXT && !sp_utf8_printable(s)) return SP_JSON_IN_BAD_VALUE;
    return SP_JSON_IN_OK;
}

static enum sp_json_in_error add_word(struct sp_buf *words, sp_slice word, size_t max) {
    if (!sp_words_valid(word, word.n) || sp_words_count(word) != 1) return SP_JSON_IN_BAD_VALUE;
    if (sp_words_contain(sp_buf_slice(words), word)) return SP_JSON_IN_BAD_VALUE;
    if (words->n + word.n + 1 > max) return SP_JSON_IN_TOO_LONG;
    if (words->n != 0 && !sp_ok(sp_buf_append_u8(words, ' '))) return SP_JSON_IN_NO_MEMORY;
    return sp_ok(sp_buf_append(words, word)) ? SP_JSON_IN_OK : SP_JSON_IN_NO_MEMORY;
}

static enum sp_json_in_error gather_words(const struct sp_json_in_field *f, const json_t *v) {
    if (!json_is_array(v)) return SP_JSON_IN_WRONG_TYPE;
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item) {
        if (!json_is_string(item)) return SP_JSON_IN_WRONG_TYPE;
        sp_slice word = sp_slice_of(json_string_value(item), json_string_length(item));
        enum sp_json_in_error e = add_word(f->ret.words, word, f->max);
        if (e != SP_JSON_IN_OK) return e;
    }
    return SP_JSON_IN_OK;
}

static int append_dumped(const char *text, size_t n, void *arg) {
    return sp_ok(sp_buf_append(arg, sp_slice_of(text, n))) ? 0 : -1;
}

static enum sp_json_in_error write_object(const struct sp_json_in_field *f, const json_t *v) {
    if (!json_is_object(v)) return SP_JSON_IN_WRONG_TYPE;
    if (json_dump_callback(v, append_dumped, f->ret.words, JSON_COMPACT) != 0)
        return out_of_memory ? SP_JSON_IN_NO_MEMORY : SP_JSON_IN_TOO_LONG;
    return f->ret.words->n <= f->max ? SP_JSON_IN_OK : SP_JSON_IN_TOO_LONG;
}

static enum sp_json_in_error check_count(const struct sp_json_in_field *f, const json_t *v) {
    if (!json_is_integer(v)) return SP_JSON_IN_WRONG_TYPE;
    json_int_t i = json_integer_value(v);
    return i >= 0 && (uint64_t)i <= f->max ? SP_JSON_IN_OK : SP_JSON_IN_BAD_VALUE;
}

static enum sp_json_in_error check(const struct sp_json_in_field *f, const json_t *v) {
    switch (f->type) {
    case SP_JSON_IN_TEXT:
    case SP_JSON_IN_MAYBE:
    case SP_JSON_IN_LABEL: return check_text(f, v);
    case SP_JSON_IN_BOOL: return json_is_boolean(v) ? SP_JSON_IN_OK : SP_JSON_IN_WRONG_TYPE;
    case SP_JSON_IN_COUNT: return check_count(f, v);
    case SP_JSON_IN_WORDS: return gather_words(f, v);
    case SP_JSON_IN_OBJECT: return write_object(f, v);
    }
    return SP_JSON_IN_WRONG_TYPE;
}

static void store(const struct sp_json_in_field *f, const json_t *v) {
    switch (f->type) {
    case SP_JSON_IN_TEXT:
    case SP_JSON_IN_MAYBE:
    case SP_JSON_IN_LABEL: *f->ret.text = sp_slice_of(json_string_value(v), json_string_length(v)); break;
    case SP_JSON_IN_BOOL: *f->ret.flag = json_is_true(v); break;
    case SP_JSON_IN_COUNT: *f->ret.count = json_integer_value(v); break;
    case SP_JSON_IN_OBJECT:
    case SP_JSON_IN_WORDS: break; /* gathered already */
    }
}

static void name_unknown(struct sp_json_in *doc, const char *name) {
    const sp_slice s = sp_slice_cstr(name);
    if (s.n == 0 || s.n > SP_JSON_IN_UNKNOWN_BYTES_MAX || !sp_utf8_printable(s)) return;
    memcpy(doc->unknown, name, s.n + 1);
    doc->field = doc->unknown;
}

static enum sp_json_in_error check_members(struct sp_json_in *doc, json_t *root,
                                           struct sp_json_in_field *fields, size_t n) {
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value) {
        struct sp_json_in_field *f = find(fields, n, name);
        if (f == NULL) {
            name_unknown(doc, name);
            return SP_JSON_IN_UNKNOWN;
        }
        doc->field = f->name;
        enum sp_json_in_error e = check(f, value);
        if (e != SP_JSON_IN_OK) return e;
        doc->field = NULL;
        f->present = true;
    }
    for (size_t i = 0; i < n; i++) {
        if (fields[i].present || !fields[i].required) continue;
        doc->field = fields[i].name;
        return SP_JSON_IN_MISSING;
    }
    return SP_JSON_IN_OK;
}

enum sp_json_in_error sp_json_in_parse(struct sp_json_in *doc, sp_slice body, struct sp_json_in_field *fields,
                                       size_t n) {
    sp_assert(doc->root == NULL && n <= SP_JSON_IN_FIELDS_MAX);
    doc->field = NULL;
    for (size_t i = 0; i < n; i++) fields[i].present = false;
    out_of_memory = false;
    json_error_t err;
    json_t *root = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &err);
    if (root == NULL) return body.n == 0 ? SP_JSON_IN_NOT_JSON : load_error(&err);
    if (out_of_memory) {
        json_decref(root);
        return SP_JSON_IN_NO_MEMORY;
    }
    enum sp_json_in_error e = SP_JSON_IN_NOT_OBJECT;
    if (json_is_object(root)) e = check_members(doc, root, fields, n);
    if (e != SP_JSON_IN_OK) {
        json_decref(root);
        return e;
    }
    for (size_t i = 0; i < n; i++) {
        if (fields[i].present) store(&fields[i], json_object_get(root, fields[i].name));
    }
    doc->root = root;
    return SP_JSON_IN_OK;
}

void sp_json_in_done(struct sp_json_in *doc) {
    json_decref(doc->root);
    doc->root = NULL;
}
