/* The snapshot: the base of what is revoked. Its rows are put into force as they come, which is safe because
 * rows only revoke; where they place us in the chain counts when the signature at the end has verified. */
#include "verify/follow_internal.h"

void sp_follower_snapshot_begun(struct sp_follower *f) {
    sp_snapshot_reader_init(&f->snapshot);
    f->snapshot_ended = false;
}

/* Rows are fingerprints under the deployment's key, which never changes: once a signature has covered it, it
 * must be this one. Before, what came under another one came from who could not sign: it goes, lest a
 * stranger's key and rows stay for as long as we live. */
static bool take_key(struct sp_follower *f, const uint8_t *key) {
    struct sp_revoke_set *set = sp_verifier_revoke_set(f->opts.verifier);
    uint8_t mine[SP_REVOKE_KEY_BYTES];
    sp_revoke_set_key(set, mine);
    if (memcmp(mine, key, sizeof mine) == 0) return true;
    if (f->has_epoch) return false;
    sp_revoke_set_clear(set);
    sp_epochs_clear_users(sp_verifier_epochs(f->opts.verifier));
    return sp_ok(sp_revoke_set_rekey(set, key));
}

/* A row that cannot be kept closes the verifier: it is not known which token it is about. */
static enum sp_follower_count keep(struct sp_follower *f, sp_status s) {
    if (sp_ok(s)) return SP_FOLLOWER_FINE;
    if (sp_is(s, SP_E_MALFORMED)) return SP_FOLLOWER_MALFORMED;
    sp_follower_close(f, 0);
    return SP_FOLLOWER_NO_MEMORY;
}

/* SP_FOLLOWER_FINE: goes on. */
static enum sp_follower_count take_part(struct sp_follower *f, struct sp_now now,
                                        enum sp_snapshot_part part) {
    struct sp_snapshot_reader *r = &f->snapshot;
    int64_t now_s = now.wall_ms / 1000;
    switch (part) {
    case SP_SNAPSHOT_HEADER:
        f->header = r->part.header;
        return take_key(f, f->header.fingerprint_key) ? SP_FOLLOWER_FINE : SP_FOLLOWER_FOREIGN;
    case SP_SNAPSHOT_ENTRY:
        return keep(f,
                    sp_revoke_set_add_fingerprint(sp_verifier_revoke_set(f->opts.verifier),
                                                  r->part.entry.fingerprint, r->part.entry.until_s, now_s));
    case SP_SNAPSHOT_USER:
        return keep(f, sp_epochs_raise_user(sp_verifier_epochs(f->opts.verifier),
                                            SP_SLICE_ARRAY(r->part.user.sub), r->part.user.epoch,
                                            r->part.user.until_s, now_s));
    case SP_SNAPSHOT_END: f->snapshot_ended = true; return SP_FOLLOWER_FINE;
    case SP_SNAPSHOT_MORE: break;
    }
    return SP_FOLLOWER_FINE;
}

static enum sp_follower_count take_piece(struct sp_follower *f, struct sp_now now, sp_slice piece) {
    while (piece.n != 0) {
        enum sp_snapshot_part part;
        if (f->snapshot_ended) return SP_FOLLOWER_MALFORMED; /* more than a snapshot */
        if (!sp_ok(sp_snapshot_reader_next(&f->snapshot, &piece, &part))) return SP_FOLLOWER_MALFORMED;
        enum sp_follower_count trouble = take_part(f, now, part);
        if (trouble != SP_FOLLOWER_FINE) return trouble;
    }
    return SP_FOLLOWER_FINE;
}

void sp_follower_snapshot_bytes(struct sp_follower *f, struct sp_now now, sp_slice piece) {
    enum sp_follower_count trouble = take_piece(f, now, piece);
    if (trouble != SP_FOLLOWER_FINE) sp_follower_misfit(f, now, trouble);
}

static enum sp_follower_count check_end(struct sp_follower *f) {
    const struct sp_snapshot_trailer *t = &f->snapshot.part.trailer;
    struct sp_feed_signed text;
    if (!f->snapshot_ended) return SP_FOLLOWER_LOST; /* cut */
    if (!sp_ok(sp_feed_signed_snapshot(f->opts.issuer, f->snapshot.body, &text)))
        return SP_FOLLOWER_MALFORMED;
    enum sp_follower_count trouble = sp_follower_check_signature(f, t->kid, &text, t->signature);
    if (trouble != SP_FOLLOWER_FINE) return trouble;
    bool same_epoch = f->has_epoch && memcmp(f->epoch, f->header.at.epoch, sizeof f->epoch) == 0;
    /* A base that is behind what the server once signed would hide what is missing. */
    if (same_epoch && f->header.at.seq < f->signed_seq) return SP_FOLLOWER_ROLLBACK;
    /* And while that is so, a base of the same history proves nothing: others may have got its numbers. */
    return same_epoch && f->rolled_back ? SP_FOLLOWER_ROLLBACK : SP_FOLLOWER_FINE;
}

static void take_place(struct sp_follower *f) {
    bool same_epoch = f->has_epoch && memcmp(f->epoch, f->header.at.epoch, sizeof f->epoch) == 0;
    f->at = (struct place){.seq = f->header.at.seq};
    memcpy(f->at.head, f->header.head, sizeof f->at.head);
    f->good = f->at;
    memcpy(f->epoch, f->header.at.epoch, sizeof f->epoch);
    f->has_epoch = true;
    f->signed_seq = f->at.seq;
    if (!same_epoch) f->rolled_back = f->has_acked = false;
    atomic_store_explicit(&f->seq_for_others, f->at.seq, memory_order_relaxed);
}

bool sp_follower_snapshot_ended(struct sp_follower *f, struct sp_now now) {
    enum sp_follower_count trouble = check_end(f);
    if (trouble != SP_FOLLOWER_FINE) {
        if (trouble == SP_FOLLOWER_ROLLBACK) {
            f->rolled_back = true;
            f->need_snapshot = false; /* the stream shows when the server has all again */
            f->owes_snapshot = true;
        }
        sp_follower_misfit(f, now, trouble);
        return false;
    }
    bool holds_all = !f->has_epoch || memcmp(f->epoch, f->header.at.epoch, sizeof f->epoch) != 0 ||
                     f->header.at.seq >= f->closed_seq;
    take_place(f);
    sp_epochs_raise_global(sp_verifier_epochs(f->opts.verifier), f->header.global_epoch);
    if (!holds_all) { /* a revocation that we could not keep is not in it */
        sp_follower_misfit(f, now, SP_FOLLOWER_GAP);
        return false;
    }
    f->need_snapshot = f->owes_snapshot = false;
    if (f->closed) {
        f->closed = false;
        f->closed_seq = 0;
        sp_verifier_open(f->opts.verifier);
    }
    sp_follower_note(f, SP_FOLLOWER_SNAPSHOT);
    return true;
}
