/* Request bodies: whatever is accepted keeps the bounds that were declared, and can be written out again as
 * JSON that reads the same. */
#include "base/assert.h"
#include "base/text.h"
#include "http/json_in.h"
#include "http/json_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 32, LABEL_MAX = 16, WORDS_MAX = 64, OBJECT_MAX = 256 };

struct seen {
    sp_slice text, label;
    bool flag;
    struct sp_buf words, object;
};

static enum sp_json_in_error parse(struct sp_json_in *doc, sp_slice in, struct seen *s) {
    struct sp_json_in_field fields[] = {
        {"text", SP_JSON_IN_TEXT, true, TEXT_MAX, {.text = &s->text}},
        {"label", SP_JSON_IN_LABEL, false, LABEL_MAX, {.text = &s->label}},
        {"flag", SP_JSON_IN_BOOL, false, 0, {.flag = &s->flag}},
        {"words", SP_JSON_IN_WORDS, false, WORDS_MAX, {.words = &s->words}},
        {"object", SP_JSON_IN_OBJECT, false, OBJECT_MAX, {.words = &s->object}}};
    return sp_json_in_parse(doc, in, fields, SP_ARRAY_LEN(fields));
}

static void check(const struct seen *s) {
    sp_slice words = sp_buf_slice(&s->words);
    sp_assert(s->text.n >= 1 && s->text.n <= TEXT_MAX && sp_utf8_valid(s->text));
    sp_assert(memchr(s->text.p, 0, s->text.n) == NULL);
    sp_assert(s->label.n <= LABEL_MAX && sp_utf8_printable(s->label));
    sp_assert(words.n <= WORDS_MAX && (words.n == 0 || sp_words_valid(words, WORDS_MAX)));
}

static void write_and_read_again(const struct seen *s) {
    struct sp_buf out;
    sp_buf_init(&out, 4096);
    struct sp_json_out o = SP_JSON_OUT(&out);
    sp_json_out_object(&o, NULL);
    sp_json_out_text(&o, "text", s->text);
    if (s->label.n != 0) sp_json_out_text(&o, "label", s->label);
    sp_json_out_bool(&o, "flag", s->flag);
    sp_json_out_words(&o, "words", sp_buf_slice(&s->words));
    if (s->object.n != 0) sp_json_out_raw(&o, "object", sp_buf_slice(&s->object));
    sp_json_out_object_end(&o);
    sp_assert(!o.failed);
    struct seen again = {.flag = false};
    sp_buf_init(&again.words, WORDS_MAX);
    sp_buf_init(&again.object, OBJECT_MAX);
    struct sp_json_in doc = SP_JSON_IN_INIT;
    sp_assert(parse(&doc, sp_buf_slice(&out), &again) == SP_JSON_IN_OK);
    sp_assert(sp_slice_eq(again.text, s->text) && sp_slice_eq(again.label, s->label) &&
              again.flag == s->flag);
    sp_assert(sp_slice_eq(sp_buf_slice(&again.words), sp_buf_slice(&s->words)));
    sp_assert(sp_slice_eq(sp_buf_slice(&again.object), sp_buf_slice(&s->object)));
    sp_json_in_done(&doc);
    sp_buf_done(&again.words);
    sp_buf_done(&again.object);
    sp_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct seen s = {.flag = false};
    sp_buf_init(&s.words, WORDS_MAX);
    sp_buf_init(&s.object, OBJECT_MAX);
    struct sp_json_in doc = SP_JSON_IN_INIT;
    enum sp_json_in_error e = parse(&doc, sp_slice_of(data, size), &s);
    if (e == SP_JSON_IN_OK) {
        check(&s);
        write_and_read_again(&s);
    } else {
        sp_assert(doc.root == NULL && s.text.n == 0 && sp_json_in_code(e) != NULL);
    }
    sp_json_in_done(&doc);
    sp_buf_done(&s.words);
    sp_buf_done(&s.object);
    return 0;
}
