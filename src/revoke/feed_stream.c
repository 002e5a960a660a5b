/* Server-sent events from pieces of any size.
 *
 * A line is gathered until its end, then taken apart: so a piece may end anywhere, between CR and LF too.
 * Only three fields matter (event, id, data); `retry`, comments and unknown fields are passed over, as the
 * standard asks. Data lines are joined by LF.
 *
 * What an event may hold is bounded by its kind: documents are large, all else fits a few lines. The kind is
 * known from the `event` line, which ours always send before `data`; an event that names itself later gets
 * the small bound. */
#include "base/mem.h"
#include "base/text.h"
#include "revoke/feed.h"

struct sp_feed_reader {
    struct sp_buf line, data;
    uint8_t name[SP_FEED_INSTANCE_BYTES_MAX]; /* longer names are none of ours: cut, and so never equal */
    size_t name_n;
    uint8_t id[SP_FEED_LAST_ID_CHARS_MAX + 1];
    size_t id_n;
    bool has_data, after_cr, was_given;
};

sp_status sp_feed_reader_new(struct sp_feed_reader **ret) {
    struct sp_feed_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return sp_err(SP_E_NOMEM);
    sp_buf_init(&r->line, SP_FEED_LINE_BYTES_MAX);
    sp_buf_init(&r->data, SP_FEED_LINE_BYTES_MAX);
    *ret = r;
    return SP_SUCCESS;
}

void sp_feed_reader_free(struct sp_feed_reader *r) {
    if (r == NULL) return;
    sp_buf_done(&r->line);
    sp_buf_done(&r->data);
    free(r);
}

static sp_slice name_of(const struct sp_feed_reader *r) {
    return r->name_n == 0 ? SP_SLICE_LIT("message") : sp_slice_of(r->name, r->name_n);
}
static bool is_document(const struct sp_feed_reader *r) {
    return sp_slice_eq_cstr(name_of(r), "roles") || sp_slice_eq_cstr(name_of(r), "keys");
}
static void set_bounds(struct sp_feed_reader *r) {
    r->data.max = is_document(r) ? SP_FEED_DOCUMENT_BYTES_MAX : SP_FEED_LINE_BYTES_MAX;
    r->line.max = r->data.max + sizeof "data: ";
}

/* Memory that a document took is given back: the next one is far away. */
static void begin_event(struct sp_feed_reader *r) {
    if (r->data.cap > SP_FEED_LINE_BYTES_MAX) sp_buf_done(&r->data);
    if (r->line.cap > SP_FEED_LINE_BYTES_MAX) sp_buf_done(&r->line);
    sp_buf_truncate(&r->data, 0);
    r->name_n = 0;
    r->has_data = r->was_given = false;
    set_bounds(r);
}

static size_t keep(uint8_t *to, size_t cap, sp_slice value) {
    const size_t n = value.n < cap ? value.n : cap;
    if (n != 0) memcpy(to, value.p, n);
    return n;
}

static sp_status add_data(struct sp_feed_reader *r, sp_slice value) {
    if (r->has_data) SP_TRY(sp_buf_append_u8(&r->data, '\n'));
    r->has_data = true;
    return sp_buf_append(&r->data, value);
}

/* "name: value", "name:value" or "name". */
static void split(sp_slice line, sp_slice *ret_name, sp_slice *ret_value) {
    const uint8_t *colon = memchr(line.p, ':', line.n);
    const size_t n = colon == NULL ? line.n : (size_t)(colon - line.p);
    sp_slice value = sp_slice_of(line.p + n, line.n - n);
    if (value.n != 0) value = sp_slice_of(value.p + 1, value.n - 1);
    if (value.n != 0 && value.p[0] == ' ') value = sp_slice_of(value.p + 1, value.n - 1);
    *ret_name = sp_slice_of(line.p, n);
    *ret_value = value;
}

static sp_status take_field(struct sp_feed_reader *r, sp_slice line) {
    sp_slice name, value;
    if (memchr(line.p, 0, line.n) != NULL || !sp_utf8_valid(line)) return sp_err(SP_E_MALFORMED);
    split(line, &name, &value);
    if (sp_slice_eq_cstr(name, "data")) return add_data(r, value);
    if (sp_slice_eq_cstr(name, "id")) r->id_n = keep(r->id, sizeof r->id, value);
    if (sp_slice_eq_cstr(name, "event")) {
        r->name_n = keep(r->name, sizeof r->name, value);
        set_bounds(r);
    }
    return SP_SUCCESS;
}

/* The line in r->line is whole. An empty one ends the event, if there is one. */
static sp_status take_line(struct sp_feed_reader *r, bool *ret_complete) {
    *ret_complete = false;
    if (r->line.n != 0) {
        sp_status s = take_field(r, sp_buf_slice(&r->line));
        sp_buf_truncate(&r->line, 0);
        return s;
    }
    if (r->has_data) {
        *ret_complete = true;
    } else {
        begin_event(r);
    }
    return SP_SUCCESS;
}

static size_t until_line_end(sp_slice s) {
    size_t n = 0;
    while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r') n++;
    return n;
}

static void skip(sp_slice *piece, size_t n) {
    *piece = sp_slice_of(piece->p + n, piece->n - n);
}

sp_status sp_feed_reader_next(struct sp_feed_reader *r, sp_slice *piece, bool *ret_complete,
                              struct sp_feed_event *ret) {
    *ret_complete = false;
    if (r->was_given) begin_event(r);
    while (piece->n != 0) {
        if (r->after_cr && piece->p[0] == '\n') skip(piece, 1);
        r->after_cr = false;
        const size_t n = until_line_end(*piece);
        SP_TRY(sp_buf_append(&r->line, sp_slice_of(piece->p, n)));
        skip(piece, n);
        if (piece->n == 0) return SP_SUCCESS;
        r->after_cr = piece->p[0] == '\r';
        skip(piece, 1);
        SP_TRY(take_line(r, ret_complete));
        if (!*ret_complete) continue;
        r->was_given = true;
        *ret = (struct sp_feed_event){name_of(r), sp_slice_of(r->id, r->id_n), sp_buf_slice(&r->data)};
        return SP_SUCCESS;
    }
    return SP_SUCCESS;
}
