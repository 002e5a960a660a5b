/* One server speaks to us, and we know it: HTTP/1.1, one answer, Content-Length wherever there is a body,
 * JSON. So this is not a client for any server; what is not of this form is an error. Above all an answer
 * that was cut off: without the length, an empty body would look like nothing to say. */
#include "cli/answer.h"

#include <string.h>

#include "base/reader.h"

enum { NO_CONTENT = 204 };

void sp_answer_done(struct sp_answer *a) {
    json_decref(a->body);
    a->body = NULL;
}

/* "HTTP/1.1 200 OK" */
static sp_status parse_status_line(sp_slice line, int *ret) {
    const sp_slice version = SP_SLICE_LIT("HTTP/1.1 ");
    uint64_t status;
    if (line.n < version.n + 4 || !sp_slice_starts(line, version) || line.p[version.n + 3] != ' ' ||
        !sp_slice_to_u64(sp_slice_of(line.p + version.n, 3), &status) || status < 100 || status > 599)
        return sp_err(SP_E_MALFORMED);
    *ret = (int)status;
    return SP_SUCCESS;
}

/* One line, of which CR LF is taken off. */
static sp_status take_line(struct sp_reader *r, sp_slice *ret) {
    sp_slice line;
    SP_TRY(sp_reader_until(r, '\n', &line));
    if (line.n == 0 || line.p[line.n - 1] != '\r') return sp_err(SP_E_MALFORMED);
    *ret = sp_slice_of(line.p, line.n - 1);
    return SP_SUCCESS;
}

/* Of the headers only the length counts; a body in chunks is none of ours. */
static sp_status take_headers(struct sp_reader *r, bool *ret_has_length, uint64_t *ret_length) {
    const sp_slice length = SP_SLICE_LIT("Content-Length: ");
    sp_slice line;
    *ret_has_length = false;
    for (;;) {
        SP_TRY(take_line(r, &line));
        if (line.n == 0) return SP_SUCCESS;
        if (line.n >= 18 && sp_slice_eq_nocase(sp_slice_of(line.p, 18), SP_SLICE_LIT("Transfer-Encoding:")))
            return sp_err(SP_E_MALFORMED);
        if (line.n < length.n || !sp_slice_eq_nocase(sp_slice_of(line.p, length.n), length)) continue;
        if (*ret_has_length ||
            !sp_slice_to_u64(sp_slice_of(line.p + length.n, line.n - length.n), ret_length))
            return sp_err(SP_E_MALFORMED);
        *ret_has_length = true;
    }
}

sp_status sp_answer_parse(sp_slice all, struct sp_answer *ret) {
    struct sp_reader r = SP_READER(all);
    struct sp_answer got = {.body = NULL};
    bool has_length;
    uint64_t length = 0;
    sp_slice line;
    SP_TRY(take_line(&r, &line));
    SP_TRY(parse_status_line(line, &got.status));
    SP_TRY(take_headers(&r, &has_length, &length));
    const sp_slice body = sp_reader_rest(&r);
    if (length != body.n || (!has_length && got.status != NO_CONTENT)) return sp_err(SP_E_MALFORMED);
    if (body.n != 0) {
        got.body = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
        if (got.body == NULL) return sp_err(SP_E_MALFORMED);
    }
    *ret = got;
    return SP_SUCCESS;
}
