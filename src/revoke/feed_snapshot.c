/* Snapshots. See feed_snapshot.h. */
#include "revoke/feed_snapshot.h"

#include "base/assert.h"
#include "base/reader.h"

_Static_assert(sizeof(((struct sp_snapshot_reader *)0)->held) >= SP_SNAPSHOT_TRAILER_BYTES,
               "the longest part fits");

#define MAGIC "SPFEED1\n"
enum { MAGIC_BYTES = 8, TAG_END = 0, TAG_ENTRIES = 1, TAG_USERS = 2 };

/* ---- writing ---- */

/* What was appended since `from` belongs to the hash; on failure nothing was appended. */
static sp_status seal(struct sp_snapshot_writer *w, struct sp_buf *out, size_t from, sp_status s) {
    if (!sp_ok(s)) {
        sp_buf_truncate(out, from);
        return s;
    }
    sp_sha256_update(&w->hash, sp_slice_of(out->p + from, out->n - from));
    return s;
}

static sp_status write_header(const struct sp_snapshot_header *h, struct sp_buf *out) {
    SP_TRY(sp_buf_append(out, SP_SLICE_LIT(MAGIC)));
    SP_TRY(sp_buf_append(out, SP_SLICE_ARRAY(h->at.epoch)));
    SP_TRY(sp_buf_append_u64be(out, h->at.seq));
    SP_TRY(sp_buf_append(out, SP_SLICE_ARRAY(h->head)));
    SP_TRY(sp_buf_append_u64be(out, (uint64_t)h->time_s));
    SP_TRY(sp_buf_append(out, SP_SLICE_ARRAY(h->fingerprint_key)));
    return sp_buf_append_u32be(out, h->global_epoch);
}

sp_status sp_snapshot_begin(struct sp_snapshot_writer *w, const struct sp_snapshot_header *header,
                            struct sp_buf *out) {
    const size_t from = out->n;
    sp_sha256_init(&w->hash);
    return seal(w, out, from, write_header(header, out));
}

static sp_status begin_block(uint8_t tag, size_t n, struct sp_buf *out) {
    sp_assert(n != 0 && n <= SP_SNAPSHOT_BLOCK_ROWS_MAX);
    SP_TRY(sp_buf_append_u8(out, tag));
    return sp_buf_append_u32be(out, (uint32_t)n);
}

static uint8_t *put_be(uint8_t *at, uint64_t v, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    return at + bytes;
}

static sp_status write_entries(const struct sp_snapshot_entry *rows, size_t n, struct sp_buf *out) {
    uint8_t *at;
    SP_TRY(begin_block(TAG_ENTRIES, n, out));
    SP_TRY(sp_buf_reserve(out, n * SP_SNAPSHOT_ENTRY_BYTES, &at));
    for (size_t i = 0; i < n; i++) {
        at = put_be(at, rows[i].fingerprint, 8);
        at = put_be(at, rows[i].until_s, 4);
    }
    sp_buf_advance(out, n * SP_SNAPSHOT_ENTRY_BYTES);
    return SP_SUCCESS;
}

sp_status sp_snapshot_entries(struct sp_snapshot_writer *w, const struct sp_snapshot_entry *rows, size_t n,
                              struct sp_buf *out) {
    const size_t from = out->n;
    return seal(w, out, from, write_entries(rows, n, out));
}

static sp_status write_users(const struct sp_snapshot_user *rows, size_t n, struct sp_buf *out) {
    uint8_t *at;
    SP_TRY(begin_block(TAG_USERS, n, out));
    SP_TRY(sp_buf_reserve(out, n * SP_SNAPSHOT_USER_BYTES, &at));
    for (size_t i = 0; i < n; i++) {
        memcpy(at, rows[i].sub, sizeof rows[i].sub);
        at = put_be(at + sizeof rows[i].sub, rows[i].epoch, 4);
        at = put_be(at, (uint64_t)rows[i].until_s, 8);
    }
    sp_buf_advance(out, n * SP_SNAPSHOT_USER_BYTES);
    return SP_SUCCESS;
}

sp_status sp_snapshot_users(struct sp_snapshot_writer *w, const struct sp_snapshot_user *rows, size_t n,
                            struct sp_buf *out) {
    const size_t from = out->n;
    return seal(w, out, from, write_users(rows, n, out));
}

sp_status sp_snapshot_end(struct sp_snapshot_writer *w, struct sp_buf *out,
                          uint8_t ret_body[SP_SHA256_BYTES]) {
    const size_t from = out->n;
    SP_TRY(seal(w, out, from, sp_buf_append_u8(out, TAG_END)));
    struct sp_sha256 last = w->hash;
    sp_sha256_final(&last, ret_body);
    return SP_SUCCESS;
}

static sp_status write_trailer(const struct sp_snapshot_trailer *t, struct sp_buf *out) {
    SP_TRY(sp_buf_append(out, SP_SLICE_ARRAY(t->kid)));
    return sp_buf_append(out, SP_SLICE_ARRAY(t->signature));
}

sp_status sp_snapshot_trailer(const struct sp_snapshot_trailer *trailer, struct sp_buf *out) {
    const size_t from = out->n;
    sp_status s = write_trailer(trailer, out);
    if (!sp_ok(s)) sp_buf_truncate(out, from);
    return s;
}

/* ---- reading ---- */

enum state { AT_HEADER, AT_TAG, AT_COUNT_ENTRIES, AT_COUNT_USERS, AT_ENTRY, AT_USER, AT_TRAILER, AT_END };

static size_t wanted(int state) {
    switch ((enum state)state) {
    case AT_HEADER: return SP_SNAPSHOT_HEADER_BYTES;
    case AT_TAG: return 1;
    case AT_COUNT_ENTRIES:
    case AT_COUNT_USERS: return 4;
    case AT_ENTRY: return SP_SNAPSHOT_ENTRY_BYTES;
    case AT_USER: return SP_SNAPSHOT_USER_BYTES;
    case AT_TRAILER: return SP_SNAPSHOT_TRAILER_BYTES;
    case AT_END: return 0;
    }
    return 0;
}

void sp_snapshot_reader_init(struct sp_snapshot_reader *r) {
    memset(r, 0, sizeof *r);
    sp_sha256_init(&r->hash);
    r->state = AT_HEADER;
}

static sp_status read_time(struct sp_reader *in, int64_t *ret) {
    uint64_t v;
    SP_TRY(sp_reader_u64be(in, &v));
    if (v > INT64_MAX) return sp_err(SP_E_MALFORMED);
    *ret = (int64_t)v;
    return SP_SUCCESS;
}

static sp_status read_header(struct sp_reader *in, struct sp_snapshot_header *h) {
    sp_slice magic;
    SP_TRY(sp_reader_bytes(in, MAGIC_BYTES, &magic));
    if (!sp_slice_eq_cstr(magic, MAGIC)) return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_reader_copy(in, h->at.epoch, sizeof h->at.epoch));
    SP_TRY(sp_reader_u64be(in, &h->at.seq));
    if (h->at.seq > INT64_MAX) return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_reader_copy(in, h->head, sizeof h->head));
    SP_TRY(read_time(in, &h->time_s));
    SP_TRY(sp_reader_copy(in, h->fingerprint_key, sizeof h->fingerprint_key));
    return sp_reader_u32be(in, &h->global_epoch);
}

static sp_status read_count(struct sp_snapshot_reader *r, struct sp_reader *in, int rows) {
    uint32_t n;
    SP_TRY(sp_reader_u32be(in, &n));
    if (n == 0 || n > SP_SNAPSHOT_BLOCK_ROWS_MAX) return sp_err(SP_E_MALFORMED);
    if (r->rows_seen + n > SP_SNAPSHOT_ROWS_MAX) return sp_err(SP_E_LIMIT);
    r->rows_seen += n;
    r->rows_left = n;
    r->state = rows;
    return SP_SUCCESS;
}

static sp_status read_tag(struct sp_snapshot_reader *r, uint8_t tag) {
    switch (tag) {
    case TAG_ENTRIES: r->state = AT_COUNT_ENTRIES; return SP_SUCCESS;
    case TAG_USERS: r->state = AT_COUNT_USERS; return SP_SUCCESS;
    case TAG_END: r->state = AT_TRAILER; return SP_SUCCESS;
    default: return sp_err(SP_E_MALFORMED);
    }
}

static void row_is_read(struct sp_snapshot_reader *r) {
    if (--r->rows_left == 0) r->state = AT_TAG;
}

static sp_status read_entry(struct sp_snapshot_reader *r, struct sp_reader *in) {
    struct sp_snapshot_entry e;
    SP_TRY(sp_reader_u64be(in, &e.fingerprint));
    SP_TRY(sp_reader_u32be(in, &e.until_s));
    if (e.fingerprint == 0) return sp_err(SP_E_MALFORMED);
    r->part.entry = e;
    row_is_read(r);
    return SP_SUCCESS;
}

static sp_status read_user(struct sp_snapshot_reader *r, struct sp_reader *in) {
    struct sp_snapshot_user u;
    SP_TRY(sp_reader_copy(in, u.sub, sizeof u.sub));
    SP_TRY(sp_reader_u32be(in, &u.epoch));
    SP_TRY(read_time(in, &u.until_s));
    r->part.user = u;
    row_is_read(r);
    return SP_SUCCESS;
}

static sp_status read_trailer(struct sp_snapshot_reader *r, struct sp_reader *in) {
    struct sp_snapshot_trailer t;
    SP_TRY(sp_reader_copy(in, t.kid, sizeof t.kid));
    SP_TRY(sp_reader_copy(in, t.signature, sizeof t.signature));
    sp_sha256_final(&r->hash, r->body);
    r->part.trailer = t;
    r->state = AT_END;
    return SP_SUCCESS;
}

/* One part of exactly the wanted length. */
static sp_status take(struct sp_snapshot_reader *r, sp_slice bytes, enum sp_snapshot_part *ret) {
    struct sp_reader in = SP_READER(bytes);
    *ret = SP_SNAPSHOT_MORE;
    if (r->state != AT_TRAILER) sp_sha256_update(&r->hash, bytes);
    switch ((enum state)r->state) {
    case AT_HEADER:
        SP_TRY(read_header(&in, &r->part.header));
        r->state = AT_TAG;
        *ret = SP_SNAPSHOT_HEADER;
        return SP_SUCCESS;
    case AT_TAG: return read_tag(r, bytes.p[0]);
    case AT_COUNT_ENTRIES: return read_count(r, &in, AT_ENTRY);
    case AT_COUNT_USERS: return read_count(r, &in, AT_USER);
    case AT_ENTRY: *ret = SP_SNAPSHOT_ENTRY; return read_entry(r, &in);
    case AT_USER: *ret = SP_SNAPSHOT_USER; return read_user(r, &in);
    case AT_TRAILER: *ret = SP_SNAPSHOT_END; return read_trailer(r, &in);
    case AT_END: break;
    }
    return sp_err(SP_E_MALFORMED); /* bytes after the end */
}

/* The next part, from the piece alone when it has all of it, or gathered in r->held. */
static bool gather(struct sp_snapshot_reader *r, sp_slice *piece, sp_slice *ret_bytes) {
    const size_t want = wanted(r->state);
    size_t n = want - r->held_n;
    if (r->held_n == 0 && piece->n >= want) {
        *ret_bytes = sp_slice_of(piece->p, want);
        *piece = sp_slice_of(piece->p + want, piece->n - want);
        return true;
    }
    if (n > piece->n) n = piece->n;
    memcpy(r->held + r->held_n, piece->p, n);
    r->held_n += n;
    *piece = sp_slice_of(piece->p + n, piece->n - n);
    if (r->held_n < want) return false;
    *ret_bytes = sp_slice_of(r->held, want);
    r->held_n = 0;
    return true;
}

sp_status sp_snapshot_reader_next(struct sp_snapshot_reader *r, sp_slice *piece, enum sp_snapshot_part *ret) {
    enum sp_snapshot_part part = SP_SNAPSHOT_MORE;
    while (part == SP_SNAPSHOT_MORE && piece->n != 0) {
        sp_slice bytes;
        if (r->state == AT_END) return sp_err(SP_E_MALFORMED);
        if (!gather(r, piece, &bytes)) break;
        SP_TRY(take(r, bytes, &part));
    }
    *ret = part;
    return SP_SUCCESS;
}
