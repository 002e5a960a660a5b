#include "check.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

enum { NODES = 64 };

static struct sp_json_node nodes[NODES];
static struct sp_json doc;

static sp_status parse_slice(sp_slice text) {
    doc = (struct sp_json){.nodes = nodes, .cap = NODES};
    return sp_json_parse(text, &doc);
}

static sp_status parse(const char *text) {
    return parse_slice(sp_slice_cstr(text));
}

static const struct sp_json_node *member(const char *name) {
    const struct sp_json_node *found = sp_json_get(&doc, &doc.nodes[0], name);
    assert_non_null(found);
    return found;
}

static void assert_all_refused(const char *const *texts, size_t n, enum sp_code code) {
    for (size_t i = 0; i < n; i++) {
        sp_status s = parse(texts[i]);
        if (!sp_is(s, code)) fail_msg("%s: %s", sp_code_name(s.code), texts[i]);
        assert_int_equal(doc.n, 0);
    }
}

static void assert_all_malformed(const char *const *texts, size_t n) {
    assert_all_refused(texts, n, SP_E_MALFORMED);
}

static void a_token_header_is_read(void **state) {
    (void)state;
    assert_ok(parse(" {\"alg\":\"ES256\", \"typ\":\"at+jwt\",\"n\":[1,{\"x\":null},true,false] }\r\n"));
    assert_int_equal(nodes[0].type, SP_JSON_OBJECT);
    assert_int_equal(nodes[0].count, 3);
    assert_true(sp_json_string_is(member("alg"), "ES256"));
    assert_false(sp_json_string_is(member("alg"), "ES25"));
    assert_false(sp_json_string_is(member("alg"), "ES2567"));
    const struct sp_json_node *n = member("n");
    assert_int_equal(n->count, 4);
    assert_slice(n->raw, "[1,{\"x\":null},true,false]");
    static const enum sp_json_type types[] = {SP_JSON_NUMBER, SP_JSON_OBJECT, SP_JSON_TRUE, SP_JSON_FALSE};
    const struct sp_json_node *each = NULL;
    for (size_t i = 0; i < 4; i++) {
        each = sp_json_next(&doc, n, each);
        assert_non_null(each);
        assert_int_equal(each->type, types[i]);
    }
    assert_null(sp_json_next(&doc, n, each));
    assert_null(sp_json_get(&doc, &doc.nodes[0], "al"));
    assert_null(sp_json_get(&doc, n, "alg"));
    assert_null(sp_json_next(&doc, member("alg"), NULL));
}

static void empty_containers_have_no_children(void **state) {
    (void)state;
    assert_ok(parse("[{},[],\"\",{}]"));
    assert_int_equal(nodes[0].count, 4);
    assert_int_equal(doc.n, 5);
    assert_null(sp_json_next(&doc, &nodes[1], NULL));
    assert_int_equal(nodes[2].count, 0);
}

static void duplicate_names_are_refused_however_written(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"b\":2,\"\\u0061\":1}",
        "{\"\\u0061\":1,\"a\":1}",
        "{\"\\u0061\":1,\"\\u0061\":1}",
        "{\"\":1,\"\":2}",
        "{\"x\":{\"a\":1,\"a\":2}}",
        "{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
        "{\"/\":1,\"\\/\":2}",
    };
    assert_all_refused(bad, SP_ARRAY_LEN(bad), SP_E_CONFLICT);
}

static void names_of_others_are_no_duplicates(void **state) {
    (void)state;
    assert_ok(parse("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}],\"A\":1,\"\\\\u0061\":1}"));
    assert_int_equal(nodes[0].count, 4);
    assert_ok(parse_slice(SP_SLICE_LIT("{\"a\":1,\"a\\u0000\":2}")));
}

static void names_are_found_unescaped(void **state) {
    (void)state;
    assert_ok(parse("{\"\\u0061lg\":\"\\u0045S256\"}"));
    assert_true(sp_json_string_is(member("alg"), "ES256"));
    assert_null(sp_json_get(&doc, &doc.nodes[0], "\\u0061lg"));
}

static void strings_unescape(void **state) {
    (void)state;
    uint8_t scratch[32];
    sp_slice s;
    assert_ok(parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\ude00\\u0000.\""));
    assert_ok(sp_json_string(&nodes[0], scratch, sizeof(scratch), &s));
    assert_slice(s, "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0.");
}

static void a_plain_string_borrows_and_needs_no_scratch(void **state) {
    (void)state;
    sp_slice s = SP_SLICE_EMPTY;
    assert_ok(parse("\"plain\""));
    assert_ok(sp_json_string(&nodes[0], NULL, 0, &s));
    assert_slice(s, "plain");
}

static void scratch_is_never_overrun(void **state) {
    (void)state;
    uint8_t scratch[5] = {0, 0, 0, 0, 0xaa};
    sp_slice s = SP_SLICE_LIT("old");
    assert_ok(parse("\"a\\ud83d\\ude00\""));
    assert_code(sp_json_string(&nodes[0], scratch, 4, &s), SP_E_LIMIT);
    assert_int_equal(scratch[4], 0xaa);
    assert_slice(s, "old");
    assert_ok(sp_json_string(&nodes[0], scratch, 5, &s));
    assert_int_equal(s.n, 5);
}

static void other_types_are_not_strings(void **state) {
    (void)state;
    sp_slice s;
    int64_t v;
    assert_ok(parse("[1,\"1\",null]"));
    assert_code(sp_json_string(&nodes[1], NULL, 0, &s), SP_E_MALFORMED);
    assert_false(sp_json_string_is(&nodes[1], "1"));
    assert_code(sp_json_i64(&nodes[2], &v), SP_E_MALFORMED);
    assert_code(sp_json_i64(&nodes[3], &v), SP_E_MALFORMED);
}

static void integers_in_range_only(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum sp_code code;
        int64_t value;
    } rows[] = {
        {"0", SP_OK, 0},
        {"-0", SP_OK, 0},
        {"1700000000", SP_OK, 1700000000},
        {"9223372036854775807", SP_OK, INT64_MAX},
        {"-9223372036854775808", SP_OK, INT64_MIN},
        {"9223372036854775808", SP_E_MALFORMED, 0},
        {"-9223372036854775809", SP_E_MALFORMED, 0},
        {"99999999999999999999999999", SP_E_MALFORMED, 0},
        {"1.0", SP_E_MALFORMED, 0},
        {"1e3", SP_E_MALFORMED, 0},
        {"1E+3", SP_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(rows); i++) {
        int64_t v = 0;
        assert_ok(parse(rows[i].text));
        assert_code(sp_json_i64(&nodes[0], &v), rows[i].code);
        assert_true(v == rows[i].value);
    }
}

static void malformed_numbers_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"01",    "-",   "+1",   ".5",          "5.",  "1e",
                                      "1e+",   "-01", "0x10", "1.e1",        "NaN", "-Infinity",
                                      "1_000", "--1", "1 2",  "\xef\xbc\x91"};
    assert_all_malformed(bad, SP_ARRAY_LEN(bad));
}

static void malformed_strings_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\"",
        "\"a",
        "\"\\",
        "\"\\\"",
        "\"\\x41\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u123g\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800x\"",
        "\"\\ud800\\",
        "\"\\ud800\\ud800\"",
        "\"\n\"",
        "\"\x1f\"",
        "'a'",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\"\\\xc3\xa9\"",
        "\"\\u00\xc3\xa9\"",
    };
    assert_all_malformed(bad, SP_ARRAY_LEN(bad));
    assert_code(parse_slice(SP_SLICE_LIT("\"\0\"")), SP_E_MALFORMED);
    assert_code(parse_slice(SP_SLICE_LIT("\"\\\0\"")), SP_E_MALFORMED);
}

static void malformed_structures_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,]",
        "[,1]",
        "[1 1]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1]",
        "[1}",
        "{}{}",
        "{} x",
        "nul",
        "nulll",
        "True",
        "[1]//",
        "/**/1",
        "\xef\xbb\xbf{}",
        "{1:2}",
        "[1],",
        "\v1",
        "\xc2\xa0-1",
        ":",
        ",",
        "{\"a\":1:2}",
        "{\"a\":1,,\"b\":2}",
    };
    assert_all_malformed(bad, SP_ARRAY_LEN(bad));
    assert_code(parse_slice(SP_SLICE_LIT("{}\0")), SP_E_MALFORMED);
    assert_code(parse_slice(SP_SLICE_EMPTY), SP_E_MALFORMED);
}

/* No prefix of a good text is good. (A buffer of exact size lets the sanitizer see a read beyond it.) */
static void no_proper_prefix_parses(void **state) {
    (void)state;
    static const char text[] =
        "{\"a\\u00e9\\ud83d\\ude00\":[1.5e-3,{\"b\":null}],\"c\":\"\\n\xf0\x9f\x98\x80\",\"d\":true}";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        SP_AUTO(sp_buf) exact = SP_BUF_INIT(n);
        assert_ok(sp_buf_append(&exact, sp_slice_of(text, n)));
        assert_code(parse_slice(sp_buf_slice(&exact)), SP_E_MALFORMED);
    }
    assert_ok(parse(text));
}

static void depth_ends_where_it_says(void **state) {
    (void)state;
    char text[2 * (SP_JSON_DEPTH_MAX + 1) + 1];
    for (int depth = SP_JSON_DEPTH_MAX; depth <= SP_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        assert_code(parse_slice(sp_slice_of(text, 2 * (size_t)depth)),
                    depth <= SP_JSON_DEPTH_MAX ? SP_OK : SP_E_LIMIT);
    }
}

static void nodes_end_where_they_say(void **state) {
    (void)state;
    static struct sp_json_node three[4];
    three[3].count = 77;
    struct sp_json small = {.nodes = three, .cap = 3};
    assert_ok(sp_json_parse(SP_SLICE_LIT("[1,2]"), &small));
    small.n = 0;
    assert_code(sp_json_parse(SP_SLICE_LIT("[1,2,3]"), &small), SP_E_LIMIT);
    assert_code(sp_json_parse(SP_SLICE_LIT("[1,2,[]]"), &small), SP_E_LIMIT);
    assert_int_equal(small.n, 0);
    assert_int_equal(three[3].count, 77);
    small.cap = 0;
    assert_code(sp_json_parse(SP_SLICE_LIT("1"), &small), SP_E_LIMIT);
}

/* Equal 32-bit hashes must not make different names equal: these two collide in the reader's. */
static void names_with_colliding_hashes_differ(void **state) {
    (void)state;
    assert_ok(parse("{\"lflnaa\":1,\"ygjlyo\":2,\"c\":3}"));
    assert_int_equal(nodes[1].key_hash, nodes[2].key_hash);
    assert_true(sp_json_get(&doc, &nodes[0], "ygjlyo") == &nodes[2]);
}

/* More names than the reader's quick test can tell apart, and one of them again at the end. */
static void name_among_hundreds_is_found_twice(void **state) {
    (void)state;
    char text[4096] = "{";
    size_t n = 1;
    for (int i = 0; i < 60; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "\"%d name\":%d,", i * i, i);
    size_t unique = n;
    (void)snprintf(text + n, sizeof text - n, "\"3481\":0}");
    assert_ok(parse(text));
    for (int i = 0; i < 60; i++) {
        (void)snprintf(text + unique, sizeof text - unique, "\"%d name\":0}", i * i);
        assert_code(parse(text), SP_E_CONFLICT);
        (void)snprintf(text + unique, sizeof text - unique, "\"%d n\\u0061me\":0}", i * i);
        assert_code(parse(text), SP_E_CONFLICT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_header_is_read),
        cmocka_unit_test(empty_containers_have_no_children),
        cmocka_unit_test(duplicate_names_are_refused_however_written),
        cmocka_unit_test(names_of_others_are_no_duplicates),
        cmocka_unit_test(names_are_found_unescaped),
        cmocka_unit_test(strings_unescape),
        cmocka_unit_test(a_plain_string_borrows_and_needs_no_scratch),
        cmocka_unit_test(scratch_is_never_overrun),
        cmocka_unit_test(other_types_are_not_strings),
        cmocka_unit_test(integers_in_range_only),
        cmocka_unit_test(malformed_numbers_are_refused),
        cmocka_unit_test(malformed_strings_are_refused),
        cmocka_unit_test(malformed_structures_are_refused),
        cmocka_unit_test(no_proper_prefix_parses),
        cmocka_unit_test(depth_ends_where_it_says),
        cmocka_unit_test(nodes_end_where_they_say),
        cmocka_unit_test(names_with_colliding_hashes_differ),
        cmocka_unit_test(name_among_hundreds_is_found_twice),
    };
    return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
