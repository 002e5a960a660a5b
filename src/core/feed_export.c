/* A snapshot of what is revoked, made piece by piece from the set and the epochs as they are enforced here.
 *
 * The position is read first, and the rows after it, while the server goes on: so the snapshot holds
 * everything up to its seq, and perhaps some that came later. Rows may come twice. Both only ever revoke.
 * What lapses meanwhile may be missing, and is not missed. */
#include "core/feed_internal.h"

enum {
    STAGE_HEADER,
    STAGE_SET,
    STAGE_USERS,
    STAGE_END,
    STAGE_DONE,
    ENTRIES_A_PIECE = 4096,
    USERS_A_PIECE = 1024
};
_Static_assert(ENTRIES_A_PIECE *SP_SNAPSHOT_ENTRY_BYTES < SP_FEED_SNAPSHOT_PIECE, "a piece holds them");
_Static_assert(USERS_A_PIECE *SP_SNAPSHOT_USER_BYTES < SP_FEED_SNAPSHOT_PIECE, "a piece holds them");

void sp_feed_snapshot_init(struct sp_feed_snapshot *s, struct sp_feed *f) {
    memset(s, 0, sizeof(*s));
    s->feed = f;
    s->stage = STAGE_HEADER;
}

static int64_t now_s(const struct sp_feed *f) {
    return sp_clock_wall_ms(&f->clock) / 1000;
}

static sp_status put_header(struct sp_feed_snapshot *s, struct sp_buf *out) {
    struct sp_feed *f = s->feed;
    struct sp_snapshot_header h = {.time_s = now_s(f)};
    feed_lock(f);
    h.at = f->at;
    memcpy(h.head, f->head, sizeof(h.head));
    f->counts.snapshots++;
    feed_unlock(f);
    sp_revoke_set_key(f->revoked, h.fingerprint_key);
    h.global_epoch = sp_epochs_global(f->epochs); /* after the position: not lower than it says */
    SP_TRY(sp_snapshot_begin(&s->writer, &h, out));
    s->stage = STAGE_SET;
    return SP_SUCCESS;
}

static sp_status put_entries(struct sp_feed_snapshot *s, struct sp_buf *out) {
    struct sp_revoke_entry found[ENTRIES_A_PIECE];
    struct sp_snapshot_entry rows[ENTRIES_A_PIECE];
    struct sp_feed *f = s->feed;
    struct sp_revoke_dump at = s->set;
    bool end;
    sp_seats_enter(f->seats);
    const size_t n = sp_revoke_set_dump(f->revoked, &at, now_s(f), found, ENTRIES_A_PIECE, &end);
    sp_seats_leave(f->seats);
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct sp_snapshot_entry){found[i].fingerprint, found[i].expiry_s};
    if (n != 0) SP_TRY(sp_snapshot_entries(&s->writer, rows, n, out));
    s->set = at;
    if (end) s->stage = STAGE_USERS;
    return SP_SUCCESS;
}

static sp_status put_users(struct sp_feed_snapshot *s, struct sp_buf *out) {
    struct sp_epochs_entry found[USERS_A_PIECE];
    struct sp_snapshot_user rows[USERS_A_PIECE];
    struct sp_feed *f = s->feed;
    struct sp_epochs_dump at = s->users;
    bool end;
    sp_seats_enter(f->seats);
    const size_t n = sp_epochs_dump(f->epochs, &at, now_s(f), found, USERS_A_PIECE, &end);
    sp_seats_leave(f->seats);
    for (size_t i = 0; i < n; i++) {
        rows[i] = (struct sp_snapshot_user){.epoch = found[i].epoch, .until_s = found[i].expiry_s};
        memcpy(rows[i].sub, found[i].sub, sizeof(rows[i].sub));
    }
    if (n != 0) SP_TRY(sp_snapshot_users(&s->writer, rows, n, out));
    s->users = at;
    if (end) s->stage = STAGE_END;
    return SP_SUCCESS;
}

static sp_status put_end(struct sp_feed_snapshot *s, struct sp_buf *out) {
    struct sp_feed_signed text;
    struct sp_snapshot_trailer trailer;
    uint8_t body[SP_SHA256_BYTES];
    SP_TRY(sp_snapshot_end(&s->writer, out, body));
    SP_TRY(sp_feed_signed_snapshot(SP_TEXT_SLICE(&s->feed->issuer), body, &text));
    SP_TRY(sp_feed_sign(s->feed, &text, trailer.kid, trailer.signature));
    SP_TRY(sp_snapshot_trailer(&trailer, out));
    s->stage = STAGE_DONE;
    return SP_SUCCESS;
}

sp_status sp_feed_snapshot_next(struct sp_feed_snapshot *s, struct sp_buf *out, bool *ret_end) {
    sp_status status = SP_SUCCESS;
    switch (s->stage) {
    case STAGE_HEADER: status = put_header(s, out); break;
    case STAGE_SET: status = put_entries(s, out); break;
    case STAGE_USERS: status = put_users(s, out); break;
    case STAGE_END: status = put_end(s, out); break;
    default: break;
    }
    *ret_end = s->stage == STAGE_DONE;
    return status;
}
