/* Readers, words, UTF-8 and JSON strings: their laws, on anything. */
#include "base/assert.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/reader.h"
#include "base/text.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { INPUT_MAX = 2048, WORD_MAX = 64 };

/* Splitting at dots and joining again gives the input. */
static void reader_loses_nothing(sp_slice in) {
    SP_AUTO(sp_buf) joined = SP_BUF_INIT(INPUT_MAX);
    struct sp_reader r = SP_READER(in);
    sp_slice part;
    while (sp_ok(sp_reader_until(&r, '.', &part))) {
        sp_assert(sp_ok(sp_buf_append(&joined, part)));
        sp_assert(sp_ok(sp_buf_append_u8(&joined, '.')));
    }
    sp_assert(sp_ok(sp_buf_append(&joined, sp_reader_rest(&r))));
    sp_assert(sp_ok(sp_reader_end(&r)));
    sp_assert(sp_slice_eq(sp_buf_slice(&joined), in));
}

/* The integer reader driven by the input itself: first a kind, then its bytes. */
static void reader_stays_inside(sp_slice in) {
    struct sp_reader r = SP_READER(in);
    uint8_t kind, copy[32];
    uint32_t u32;
    uint64_t u64;
    sp_slice s;
    while (sp_ok(sp_reader_u8(&r, &kind))) {
        size_t before = r.rest.n;
        sp_status took = kind % 4 == 0   ? sp_reader_u32be(&r, &u32)
                         : kind % 4 == 1 ? sp_reader_u64be(&r, &u64)
                         : kind % 4 == 2 ? sp_reader_bytes(&r, kind, &s)
                                         : sp_reader_copy(&r, copy, kind % sizeof(copy));
        sp_assert(sp_ok(took) ? r.rest.n <= before : r.rest.n == before);
    }
}

static void valid_words_are_their_words(sp_slice in) {
    if (!sp_words_valid(in, WORD_MAX)) return;
    SP_AUTO(sp_buf) joined = SP_BUF_INIT(INPUT_MAX);
    sp_slice rest = in, word;
    size_t n = 0;
    for (; sp_words_next(&rest, &word); n++) {
        sp_assert(word.n >= 1 && word.n <= WORD_MAX && sp_words_contain(in, word));
        if (n > 0) sp_assert(sp_ok(sp_buf_append_u8(&joined, ' ')));
        sp_assert(sp_ok(sp_buf_append(&joined, word)));
    }
    sp_assert(n == sp_words_count(in));
    sp_assert(sp_slice_eq(sp_buf_slice(&joined), in));
}

/* Any valid UTF-8, written as a JSON string, is read back as itself. */
static void json_string_round_trips(sp_slice in) {
    if (!sp_utf8_valid(in)) return;
    SP_AUTO(sp_buf) text = SP_BUF_INIT(6 * INPUT_MAX + 2);
    struct sp_json_node node;
    struct sp_json doc = {.nodes = &node, .cap = 1};
    uint8_t scratch[INPUT_MAX];
    sp_slice back;
    sp_assert(sp_ok(sp_buf_append_json_string(&text, in)));
    sp_assert(sp_ok(sp_json_parse(sp_buf_slice(&text), &doc)));
    sp_assert(sp_ok(sp_json_string(&node, scratch, sizeof(scratch), &back)));
    sp_assert(sp_slice_eq(back, in));
}

static void numbers_print_as_they_were(sp_slice in) {
    SP_AUTO(sp_buf) text = SP_BUF_INIT(32);
    uint64_t v;
    if (!sp_slice_to_u64(in, &v)) return;
    sp_assert(sp_ok(sp_buf_printf(&text, "%llu", (unsigned long long)v)));
    sp_assert(sp_slice_eq(sp_buf_slice(&text), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n > INPUT_MAX) return 0;
    sp_slice in = sp_slice_of(data, n);
    reader_loses_nothing(in);
    reader_stays_inside(in);
    valid_words_are_their_words(in);
    json_string_round_trips(in);
    numbers_print_as_they_were(in);
    if (sp_utf8_printable(in)) sp_assert(sp_utf8_valid(in));
    return 0;
}
