/* What the command line reads from elsewhere. The first byte says which: 'a', an answer of the server; 'c', a
 * checkpoint. An answer that is accepted is whole, and means the same when it is written anew; a checkpoint
 * becomes a query that is nothing but one. */
#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/checkpoint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096, TEXT_MAX = 16 * INPUT_MAX };

static void means_the_same_anew(const struct sp_answer *a) {
    SP_AUTO(sp_buf) text = SP_BUF_INIT(TEXT_MAX);
    struct sp_answer again;
    char *body = a->body == NULL ? NULL : json_dumps(a->body, JSON_COMPACT);
    sp_assert(sp_ok(sp_buf_printf(&text, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", a->status,
                                  body == NULL ? 0 : strlen(body), body == NULL ? "" : body)));
    free(body);
    sp_assert(sp_ok(sp_answer_parse(sp_buf_slice(&text), &again)));
    sp_assert(again.status == a->status &&
              (a->body == NULL ? again.body == NULL : json_equal(again.body, a->body)));
    sp_answer_done(&again);
}

static void check_answer(sp_slice text) {
    uint8_t longer[INPUT_MAX + 1];
    struct sp_answer a = {.status = 7}, none = {.status = 7};
    if (!sp_ok(sp_answer_parse(text, &a))) {
        sp_assert(a.status == 7 && a.body == NULL);
        return;
    }
    sp_assert(a.status >= 100 && a.status <= 599);
    means_the_same_anew(&a);
    sp_answer_done(&a);
    sp_assert(!sp_ok(sp_answer_parse(sp_slice_of(text.p, text.n - 1), &none)));
    memcpy(longer, text.p, text.n);
    longer[text.n] = ' ';
    sp_assert(!sp_ok(sp_answer_parse(sp_slice_of(longer, text.n + 1), &none)));
}

static void check_checkpoint(sp_slice text) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_&=";
    SP_AUTO(sp_buf) query = SP_BUF_INIT(INPUT_MAX);
    char error[SP_CHECKPOINT_ERROR_BYTES] = "";
    const char *s;
    size_t parameters = 0;
    bool accepted = sp_ok(sp_checkpoint_query(text, &query, error));
    sp_assert(accepted ? query.n != 0 : query.n == 0 && error[0] != 0);
    sp_assert(memchr(error, 0, sizeof(error)) != NULL);
    if (!accepted) return;
    sp_assert(sp_ok(sp_buf_cstr(&query, &s)) && strspn(s, safe) == strlen(s));
    for (; *s != 0; s++) parameters += *s == '&';
    sp_assert(parameters == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > INPUT_MAX) return 0;
    const sp_slice text = sp_slice_of(data + 1, size - 1);
    if (data[0] == 'a') check_answer(text);
    if (data[0] == 'c') check_checkpoint(text);
    return 0;
}
