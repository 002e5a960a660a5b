/* The stream of a feed. Cut at any place, the same events come out; what is read and written again is the
 * same bytes, and reads the same. */
#include "base/assert.h"
#include "revoke/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_write_the_same(const struct sp_feed_event *e) {
    SP_AUTO(sp_buf) out = SP_BUF_INIT(SP_FEED_LINE_BYTES_MAX);
    uint8_t epoch[SP_FEED_EPOCH_BYTES], epoch_again[SP_FEED_EPOCH_BYTES];
    struct sp_feed_revocation r, again;
    if (!sp_ok(sp_feed_read_revocation(e->name, e->id, e->data, epoch, &r))) return;
    sp_assert(sp_ok(sp_feed_write_revocation(epoch, &r, &out)));

    SP_AUTO_FREE(sp_feed_reader) reader = NULL;
    struct sp_feed_event event;
    bool complete;
    sp_slice piece = sp_buf_slice(&out);
    sp_assert(sp_ok(sp_feed_reader_new(&reader)));
    sp_assert(sp_ok(sp_feed_reader_next(reader, &piece, &complete, &event)) && complete);
    sp_assert(sp_ok(sp_feed_read_revocation(event.name, event.id, event.data, epoch_again, &again)));
    sp_assert(memcmp(epoch, epoch_again, sizeof epoch) == 0);
    sp_assert(again.seq == r.seq && again.what == r.what && again.epoch == r.epoch);
    sp_assert(again.until_s == r.until_s && memcmp(again.id, r.id, sizeof r.id) == 0);
}

static void look_at(const struct sp_feed_event *e, struct sp_sha256 *seen) {
    struct sp_feed_beat beat;
    struct sp_feed_hello hello;
    struct sp_feed_nonce_answer answer;
    must_write_the_same(e);
    (void)sp_feed_read_beat(e->data, &beat);
    (void)sp_feed_read_hello(e->data, &hello);
    (void)sp_feed_read_nonce_answer(e->data, &answer);
    sp_sha256_update(seen, e->name);
    sp_sha256_update(seen, e->id);
    sp_sha256_update(seen, e->data);
}

static void read_in_pieces(sp_slice in, size_t step, uint8_t ret_seen[SP_SHA256_BYTES]) {
    SP_AUTO_FREE(sp_feed_reader) r = NULL;
    struct sp_sha256 seen;
    sp_status s = SP_SUCCESS;
    sp_sha256_init(&seen);
    sp_assert(sp_ok(sp_feed_reader_new(&r)));
    while (in.n != 0 && sp_ok(s)) {
        sp_slice piece = sp_slice_of(in.p, in.n < step ? in.n : step);
        in = sp_slice_of(in.p + piece.n, in.n - piece.n);
        for (bool complete = true; complete && sp_ok(s);) {
            struct sp_feed_event e;
            s = sp_feed_reader_next(r, &piece, &complete, &e);
            if (sp_ok(s) && complete) look_at(&e, &seen);
        }
    }
    sp_sha256_final(&seen, ret_seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t whole[SP_SHA256_BYTES], cut[SP_SHA256_BYTES];
    if (size < 1) return 0;
    sp_slice in = sp_slice_of(data + 1, size - 1);
    read_in_pieces(in, in.n + 1, whole);
    read_in_pieces(in, 1 + (size_t)data[0] % 31, cut);
    sp_assert(memcmp(whole, cut, sizeof cut) == 0);
    return 0;
}
