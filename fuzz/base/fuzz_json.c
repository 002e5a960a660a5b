/* The strict reader held against jansson: what one accepts, the other accepts, with the same tree. They may
 * differ only where jansson has limits of its own (numbers beyond its types, NUL in a name) or we have ours
 * (depth, nodes). */
#include <jansson.h>

#include "base/assert.h"
#include "base/json.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { NODES = 512, STRING_MAX = 8192 };

static struct sp_json_node nodes[NODES];
static struct sp_json doc;

static void same_value(const struct sp_json_node *node, json_t *value);

static sp_slice unescaped(const struct sp_json_node *node, uint8_t *scratch) {
    sp_slice s = SP_SLICE_EMPTY;
    sp_assert(sp_ok(sp_json_string(node, scratch, STRING_MAX, &s)));
    sp_assert(s.n <= node->raw.n);
    return s;
}

static void same_object(const struct sp_json_node *node, json_t *value) {
    const char *name;
    json_t *each;
    sp_assert(json_object_size(value) == node->count);
    json_object_foreach(value, name, each) {
        const struct sp_json_node *member = sp_json_get(&doc, node, name);
        sp_assert(member != NULL);
        same_value(member, each);
    }
}

static void same_array(const struct sp_json_node *node, json_t *value) {
    const struct sp_json_node *each = NULL;
    size_t i = 0;
    while ((each = sp_json_next(&doc, node, each)) != NULL) same_value(each, json_array_get(value, i++));
    sp_assert(i == json_array_size(value) && i == node->count);
}

static void same_string(const struct sp_json_node *node, json_t *value) {
    uint8_t scratch[STRING_MAX];
    sp_assert(sp_slice_eq(unescaped(node, scratch),
                          sp_slice_of(json_string_value(value), json_string_length(value))));
}

static void same_number(const struct sp_json_node *node, json_t *value) {
    int64_t v;
    if (json_is_integer(value)) {
        sp_assert(sp_ok(sp_json_i64(node, &v)));
        sp_assert(v == json_integer_value(value));
    } else {
        sp_assert(!sp_ok(sp_json_i64(node, &v)));
    }
}

static void same_value(const struct sp_json_node *node, json_t *value) {
    static const json_type types[] = {
        [SP_JSON_OBJECT] = JSON_OBJECT, [SP_JSON_ARRAY] = JSON_ARRAY, [SP_JSON_STRING] = JSON_STRING,
        [SP_JSON_NUMBER] = JSON_REAL,   [SP_JSON_TRUE] = JSON_TRUE,   [SP_JSON_FALSE] = JSON_FALSE,
        [SP_JSON_NULL] = JSON_NULL};
    sp_assert(value != NULL);
    if (node->type == SP_JSON_NUMBER) {
        sp_assert(json_is_number(value));
        same_number(node, value);
        return;
    }
    sp_assert(types[node->type] == json_typeof(value));
    if (node->type == SP_JSON_OBJECT) same_object(node, value);
    if (node->type == SP_JSON_ARRAY) same_array(node, value);
    if (node->type == SP_JSON_STRING) same_string(node, value);
}

static int is_limit_of_jansson(const json_error_t *e) {
    enum json_error_code code = json_error_code(e);
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           code == json_error_null_character || code == json_error_out_of_memory;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n == 0 || n > STRING_MAX) return 0;
    json_error_t error = {0};
    doc = (struct sp_json){.nodes = nodes, .cap = NODES};
    sp_status ours = sp_json_parse(sp_slice_of(data, n), &doc);
    if (sp_is(ours, SP_E_LIMIT)) return 0;
    if (memchr(data, 0, n) != NULL) { /* jansson 2.14 drops a NUL that follows a number */
        sp_assert(!sp_ok(ours));
        return 0;
    }
    json_t *theirs =
        json_loadb((const char *)data, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!sp_ok(ours))
        sp_assert(theirs == NULL);
    else if (theirs == NULL)
        sp_assert(is_limit_of_jansson(&error));
    else
        same_value(&nodes[0], theirs);
    json_decref(theirs);
    return 0;
}
