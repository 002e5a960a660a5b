/* JSONTestSuite against the strict reader. We are stricter in two places, both by design and both named here;
 * what the suite leaves open must end in a clean answer either way. */
#include "vectors.h"

#include "base/json.h"
#include "base/mem.h"

enum { NODES = 4096 };

/* Well-formed by RFC 8259, which only says that names SHOULD be unique. */
static const char *const duplicates[] = {"jsontestsuite/y_object_duplicated_key",
                                         "jsontestsuite/y_object_duplicated_key_and_value"};

static bool refused_by_design(const char *id) {
    for (size_t i = 0; i < SP_ARRAY_LEN(duplicates); i++)
        if (strcmp(id, duplicates[i]) == 0) return true;
    return false;
}

static void row_is_judged_as_expected(void **state) {
    static struct sp_json_node nodes[NODES];
    const json_t *row = *state;
    const char *expect = vectors_text(row, "expect"), *id = vectors_text(row, "id");
    sp_slice text = vectors_base64(vectors_text(row, "json_b64"));
    struct sp_json doc = {.nodes = nodes, .cap = NODES};
    sp_status s = sp_json_parse(text, &doc);
    free((void *)text.p);
    assert_int_equal(json_integer_value(json_object_get(row, "bytes")), text.n);
    if (refused_by_design(id))
        assert_true(sp_is(s, SP_E_CONFLICT));
    else if (strcmp(expect, "accept") == 0)
        assert_true(sp_ok(s));
    else if (strcmp(expect, "reject") == 0)
        assert_false(sp_ok(s)); /* SP_E_LIMIT for the deepest ones */
    else
        assert_string_equal(expect, "either");
}

int main(void) {
    return vectors_run("jsontestsuite.jsonl", row_is_judged_as_expected);
}
