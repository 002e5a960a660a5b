/* Snapshots. Cut at any place, the same parts come out; what was read to its end, written again, is the same
 * bytes with the same hash. */
#include "base/assert.h"
#include "revoke/feed_snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    struct sp_sha256 seen;
    bool ended;
    uint8_t body[SP_SHA256_BYTES];
};

static void read_in_pieces(sp_slice in, size_t step, struct result *ret) {
    struct sp_snapshot_reader r;
    sp_status s = SP_SUCCESS;
    sp_snapshot_reader_init(&r);
    sp_sha256_init(&ret->seen);
    ret->ended = false;
    while (in.n != 0 && sp_ok(s)) {
        sp_slice piece = sp_slice_of(in.p, in.n < step ? in.n : step);
        in = sp_slice_of(in.p + piece.n, in.n - piece.n);
        while (piece.n != 0 && sp_ok(s)) {
            enum sp_snapshot_part part;
            const size_t before = piece.n;
            s = sp_snapshot_reader_next(&r, &piece, &part);
            if (!sp_ok(s)) break;
            sp_assert(piece.n < before);
            const uint8_t tag = (uint8_t)part;
            if (part != SP_SNAPSHOT_MORE) sp_sha256_update(&ret->seen, sp_slice_of(&tag, 1));
            if (part == SP_SNAPSHOT_ENTRY) sp_assert(r.part.entry.fingerprint != 0);
            if (part == SP_SNAPSHOT_END) ret->ended = true;
        }
    }
    memcpy(ret->body, r.body, sizeof ret->body);
    ret->ended = ret->ended && sp_ok(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct result whole, cut;
    uint8_t a[SP_SHA256_BYTES], b[SP_SHA256_BYTES], hash[SP_SHA256_BYTES];
    if (size < 1) return 0;
    sp_slice in = sp_slice_of(data + 1, size - 1);
    read_in_pieces(in, in.n + 1, &whole);
    read_in_pieces(in, 1 + (size_t)data[0] % 131, &cut);
    sp_sha256_final(&whole.seen, a);
    sp_sha256_final(&cut.seen, b);
    sp_assert(memcmp(a, b, sizeof a) == 0 && whole.ended == cut.ended);
    if (!whole.ended) return 0;
    sp_sha256(sp_slice_of(in.p, in.n - SP_SNAPSHOT_TRAILER_BYTES), hash);
    sp_assert(memcmp(hash, whole.body, sizeof hash) == 0);
    return 0;
}
