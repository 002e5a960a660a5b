/* The words of the revocation feed: the one place that knows its forms (docs/feed.md), for the server that
 * writes them and the verifier that reads them.
 *
 *   chain      a hash over every revocation, in order
 *   signed     the exact bytes that signatures of the feed cover
 *   events     one revocation as `event` and `data` of a server-sent event, and back
 *   stream     an incremental reader of server-sent events, for any sequence of pieces
 *   snapshot   header, blocks and trailer: feed_snapshot.h
 *
 * Pure: no clocks, no keys, no I/O. Reading is strict; what is written can be read. Thread-safe, but for the
 * reader, which has one owner. */
#ifndef SP_REVOKE_FEED_H
#define SP_REVOKE_FEED_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/status.h"
#include "crypto/digest.h"

enum {
    SP_FEED_EPOCH_BYTES = 16,
    SP_FEED_EPOCH_CHARS = 22,
    SP_FEED_NODE_BYTES = 16,
    SP_FEED_NONCE_BYTES = 16,
    SP_FEED_HEAD_BYTES = SP_SHA256_BYTES,
    SP_FEED_DIGEST_BYTES = SP_SHA256_BYTES,
    SP_FEED_SIGNATURE_BYTES = 64,
    SP_FEED_ID_BYTES_MAX = 20,
    SP_FEED_LINE_BYTES_MAX = 4096, /* of any event but a document; the longest of ours is a beat's 500 */
    SP_FEED_DOCUMENT_BYTES_MAX = 16 << 20, /* a role table at its largest, as JSON */
    SP_FEED_ISSUER_BYTES_MAX = 256,
    SP_FEED_INSTANCE_BYTES_MAX = 64,
    SP_FEED_LAST_ID_CHARS_MAX = SP_FEED_EPOCH_CHARS + 1 + 20,
    SP_FEED_SIGNED_BYTES_MAX = 512, /* of the longest text that is signed, with the longest issuer */
};

/* ---- revocations ---- */

/* As stored and on the wire: never renumber. */
enum sp_feed_what { SP_FEED_JTI = 1, SP_FEED_SID = 2, SP_FEED_EPU = 3, SP_FEED_EPG = 4 };

struct sp_feed_revocation {
    uint64_t seq;
    enum sp_feed_what what;
    uint8_t id[SP_FEED_ID_BYTES_MAX]; /* JTI, EPU: 16 bytes and zeros; SID: 20; EPG: zeros */
    uint32_t epoch;                   /* EPU, EPG; otherwise 0 */
    int64_t until_s;                  /* not negative */
};

struct sp_feed_position {
    uint8_t epoch[SP_FEED_EPOCH_BYTES];
    uint64_t seq;
};

/* The head before the first revocation of an epoch, and after one more. `ret_head` may be `head`. */
void sp_feed_chain_start(const uint8_t epoch[SP_FEED_EPOCH_BYTES], uint8_t ret_head[SP_FEED_HEAD_BYTES]);
void sp_feed_chain_link(const uint8_t head[SP_FEED_HEAD_BYTES], const struct sp_feed_revocation *r,
                        uint8_t ret_head[SP_FEED_HEAD_BYTES]);

/* ---- what is signed ---- */

struct sp_feed_beat {
    uint8_t node[SP_FEED_NODE_BYTES];
    uint64_t boot_ms;
    uint64_t seq;
    uint8_t head[SP_FEED_HEAD_BYTES];
    uint8_t roles[SP_FEED_DIGEST_BYTES], keys[SP_FEED_DIGEST_BYTES];
    uint8_t kid[SP_SHA256_BYTES]; /* thumbprint; not covered, since the signature proves it */
    uint8_t signature[SP_FEED_SIGNATURE_BYTES];
};
struct sp_feed_nonce_answer {
    uint8_t nonce[SP_FEED_NONCE_BYTES];
    uint8_t epoch[SP_FEED_EPOCH_BYTES];
    uint8_t node[SP_FEED_NODE_BYTES];
    uint64_t boot_ms;
    uint8_t kid[SP_SHA256_BYTES];
    uint8_t signature[SP_FEED_SIGNATURE_BYTES];
};

/* Bytes to be signed, in the caller's storage. */
struct sp_feed_signed {
    uint8_t b[SP_FEED_SIGNED_BYTES_MAX];
    size_t n;
};
static inline sp_slice sp_feed_signed_slice(const struct sp_feed_signed *s) {
    return sp_slice_of(s->b, s->n);
}
/* The issuer has at most SP_FEED_ISSUER_BYTES_MAX bytes: SP_E_LIMIT otherwise. */
sp_status sp_feed_signed_beat(sp_slice issuer, const uint8_t epoch[SP_FEED_EPOCH_BYTES],
                              const struct sp_feed_beat *beat, struct sp_feed_signed *ret);
sp_status sp_feed_signed_nonce(sp_slice issuer, const struct sp_feed_nonce_answer *answer,
                               struct sp_feed_signed *ret);
sp_status sp_feed_signed_snapshot(sp_slice issuer, const uint8_t body[SP_SHA256_BYTES],
                                  struct sp_feed_signed *ret);
sp_status sp_feed_signed_succession(sp_slice issuer, const uint8_t of[SP_SHA256_BYTES],
                                    const uint8_t by[SP_SHA256_BYTES], struct sp_feed_signed *ret);

/* ---- events ---- */

/* Append whole events, with their empty line. SP_E_LIMIT, SP_E_NOMEM: nothing appended. */
sp_status sp_feed_write_revocation(const uint8_t epoch[SP_FEED_EPOCH_BYTES],
                                   const struct sp_feed_revocation *r, struct sp_buf *out);
sp_status sp_feed_write_beat(const struct sp_feed_beat *beat, struct sp_buf *out);
/* Any other: `name` is ours, `data` one line. */
sp_status sp_feed_write_event(const char *name, sp_slice data, struct sp_buf *out);
/* Appends the JSON object of an answer to a nonce. */
sp_status sp_feed_write_nonce_answer(const struct sp_feed_nonce_answer *answer, struct sp_buf *out);

/* From `event`, `id` and `data`. SP_E_MALFORMED for whatever is not exactly of the form: members missing,
 * unknown, repeated, of another type; texts that are not canonical. */
sp_status sp_feed_read_revocation(sp_slice event, sp_slice id, sp_slice data,
                                  uint8_t ret_epoch[SP_FEED_EPOCH_BYTES], struct sp_feed_revocation *ret);
sp_status sp_feed_read_beat(sp_slice data, struct sp_feed_beat *ret);
sp_status sp_feed_read_nonce_answer(sp_slice json, struct sp_feed_nonce_answer *ret);

struct sp_feed_hello {
    sp_slice issuer; /* borrows from `data`; never has an escape */
    uint8_t epoch[SP_FEED_EPOCH_BYTES];
    uint8_t node[SP_FEED_NODE_BYTES];
    uint64_t seq;
    uint32_t beat_ms;
};
sp_status sp_feed_write_hello(const struct sp_feed_hello *hello, struct sp_buf *out);
sp_status sp_feed_read_hello(sp_slice data, struct sp_feed_hello *ret);

/* "EPOCH:SEQ". text has room for SP_FEED_LAST_ID_CHARS_MAX; returns the length. */
size_t sp_feed_position_text(const struct sp_feed_position *at, char *text);
sp_status sp_feed_position_parse(sp_slice text, struct sp_feed_position *ret);
/* How often a verifier acknowledges, with news or without: the server counts by it, too. */
static inline int64_t sp_feed_ack_period_ms(int64_t max_staleness_ms) {
    return max_staleness_ms / 3;
}
/* 1 to 64 of A-Z a-z 0-9 . _ - */
bool sp_feed_instance_valid(sp_slice instance);

/* ---- the stream ---- */

/* Reads server-sent events (HTML standard, section 9.2.6) from pieces of any size. One event at a time; its
 * slices are good until the next call. Lines end by LF, CRLF or CR; comments are skipped; the id stays until
 * another comes. More than SP_FEED_LINE_BYTES_MAX in an event other than `roles` and `keys`, or more than
 * SP_FEED_DOCUMENT_BYTES_MAX in those, is SP_E_LIMIT, and so is a NUL or a line that is not UTF-8
 * SP_E_MALFORMED: the reader must then be made anew. */
struct sp_feed_reader;
struct sp_feed_event {
    sp_slice name; /* "message" when there was none */
    sp_slice id;   /* the last one seen */
    sp_slice data;
};
sp_status sp_feed_reader_new(struct sp_feed_reader **ret);
void sp_feed_reader_free(struct sp_feed_reader *r);
SP_DEFINE_FREE(sp_feed_reader);
/* Takes bytes from the front of *piece until an event is complete (*ret_complete, and *ret is set) or the
 * piece is used up. SP_E_NOMEM, SP_E_LIMIT, SP_E_MALFORMED. */
sp_status sp_feed_reader_next(struct sp_feed_reader *r, sp_slice *piece, bool *ret_complete,
                              struct sp_feed_event *ret);

#endif
