/* The snapshot of a feed (docs/feed.md): written row by row, read from pieces of any size.
 *
 * Both sides hash what passes; the signature over that hash stands at the end. So a reader hands out rows
 * before it knows that they are genuine: whoever loads them must be closed until the end has verified. That
 * is safe, since rows only ever revoke. */
#ifndef SP_REVOKE_FEED_SNAPSHOT_H
#define SP_REVOKE_FEED_SNAPSHOT_H

#include "base/mem.h"
#include "revoke/feed.h"

enum {
    SP_SNAPSHOT_KEY_BYTES = 16,
    SP_SNAPSHOT_HEADER_BYTES = 8 + 16 + 8 + 32 + 8 + 16 + 4,
    SP_SNAPSHOT_BLOCK_BYTES = 1 + 4, /* before the rows of a block */
    SP_SNAPSHOT_ENTRY_BYTES = 8 + 4,
    SP_SNAPSHOT_USER_BYTES = 16 + 4 + 8,
    SP_SNAPSHOT_TRAILER_BYTES = 32 + 64,
    SP_SNAPSHOT_BLOCK_ROWS_MAX = 65536,
    SP_SNAPSHOT_ROWS_MAX = 1 << 25, /* twice what a set holds: rows may come twice */
};

struct sp_snapshot_header {
    struct sp_feed_position at;
    uint8_t head[SP_FEED_HEAD_BYTES];
    int64_t time_s;
    uint8_t fingerprint_key[SP_SNAPSHOT_KEY_BYTES];
    uint32_t global_epoch;
};
struct sp_snapshot_entry {
    uint64_t fingerprint; /* not 0 */
    uint32_t until_s;
};
struct sp_snapshot_user {
    uint8_t sub[16];
    uint32_t epoch;
    int64_t until_s;
};
struct sp_snapshot_trailer {
    uint8_t kid[SP_SHA256_BYTES];
    uint8_t signature[SP_FEED_SIGNATURE_BYTES];
};

/* Append to `out`, and to the hash. Blocks have 1 to SP_SNAPSHOT_BLOCK_ROWS_MAX rows. On failure (SP_E_NOMEM,
 * SP_E_LIMIT) the hash is as it was. */
struct sp_snapshot_writer {
    struct sp_sha256 hash;
};
sp_status sp_snapshot_begin(struct sp_snapshot_writer *w, const struct sp_snapshot_header *header,
                            struct sp_buf *out);
sp_status sp_snapshot_entries(struct sp_snapshot_writer *w, const struct sp_snapshot_entry *rows, size_t n,
                              struct sp_buf *out);
sp_status sp_snapshot_users(struct sp_snapshot_writer *w, const struct sp_snapshot_user *rows, size_t n,
                            struct sp_buf *out);
/* The end mark; *ret_body is what is to be signed (sp_feed_signed_snapshot). */
sp_status sp_snapshot_end(struct sp_snapshot_writer *w, struct sp_buf *out,
                          uint8_t ret_body[SP_SHA256_BYTES]);
sp_status sp_snapshot_trailer(const struct sp_snapshot_trailer *trailer, struct sp_buf *out);

/* Reading. In the caller's storage; no allocation. */
enum sp_snapshot_part {
    SP_SNAPSHOT_MORE,
    SP_SNAPSHOT_HEADER,
    SP_SNAPSHOT_ENTRY,
    SP_SNAPSHOT_USER,
    SP_SNAPSHOT_END
};
struct sp_snapshot_reader {
    struct sp_sha256 hash;
    uint8_t held[SP_SNAPSHOT_HEADER_BYTES + 16]; /* of a part that came in pieces */
    size_t held_n;
    int state;
    uint32_t rows_left;
    uint64_t rows_seen;
    union {
        struct sp_snapshot_header header;
        struct sp_snapshot_entry entry;
        struct sp_snapshot_user user;
        struct sp_snapshot_trailer trailer;
    } part;                        /* what the last call gave */
    uint8_t body[SP_SHA256_BYTES]; /* at END */
};
void sp_snapshot_reader_init(struct sp_snapshot_reader *r);
/* Takes bytes from the front of *piece until a part is complete. MORE: the piece is used up. END: r->body and
 * part.trailer are set; whatever stays in the piece is too much. SP_E_MALFORMED, SP_E_LIMIT. */
sp_status sp_snapshot_reader_next(struct sp_snapshot_reader *r, sp_slice *piece, enum sp_snapshot_part *ret);

#endif
