#include "core/feed_chain.h"

_Static_assert((int)SP_FEED_JTI == (int)SP_REVOKED_JTI && (int)SP_FEED_SID == (int)SP_REVOKED_SID &&
                   (int)SP_FEED_EPU == (int)SP_REVOKED_USER_EPOCH &&
                   (int)SP_FEED_EPG == (int)SP_REVOKED_GLOBAL_EPOCH,
               "what is stored is what is sent");
_Static_assert((int)SP_FEED_ID_BYTES_MAX == (int)SP_ROW_SID_BYTES &&
                   (int)SP_FEED_HEAD_BYTES == (int)SP_ROW_HASH_BYTES &&
                   (int)SP_FEED_EPOCH_BYTES == (int)SP_ROW_FEED_EPOCH_BYTES,
               "and has the same room");

struct sp_feed_revocation sp_feed_revocation_of(const struct sp_revocation_row *row) {
    struct sp_feed_revocation r = {
        .seq = row->seq,
        .what = (enum sp_feed_what)row->what,
        .epoch = row->epoch,
        .until_s = row->expires_s < 0 ? 0 : row->expires_s,
    };
    memcpy(r.id, row->id, sizeof(r.id));
    return r;
}

static void start(void *arg, const uint8_t epoch[SP_ROW_FEED_EPOCH_BYTES],
                  uint8_t ret_head[SP_ROW_HASH_BYTES]) {
    (void)arg;
    sp_feed_chain_start(epoch, ret_head);
}

static void link_row(void *arg, const uint8_t prev[SP_ROW_HASH_BYTES], const struct sp_revocation_row *row,
                     uint8_t ret_head[SP_ROW_HASH_BYTES]) {
    (void)arg;
    const struct sp_feed_revocation r = sp_feed_revocation_of(row);
    sp_feed_chain_link(prev, &r, ret_head);
}

struct sp_feed_hooks sp_feed_hooks_make(void) {
    return (struct sp_feed_hooks){.start = start, .link = link_row};
}
