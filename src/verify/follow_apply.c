/* What the follower puts into force: revocations at once, documents when a signature covers them. */
#include "verify/feed_documents.h"
#include "verify/follow_internal.h"

static sp_status enforce(struct sp_follower *f, const struct sp_feed_revocation *r, int64_t now_s) {
    struct sp_revoke_set *set = sp_verifier_revoke_set(f->opts.verifier);
    struct sp_epochs *epochs = sp_verifier_epochs(f->opts.verifier);
    switch (r->what) {
    case SP_FEED_JTI:
        return sp_revoke_set_add(set, SP_REVOKE_JTI, sp_slice_of(r->id, SP_ID_BYTES), r->until_s, now_s);
    case SP_FEED_SID:
        return sp_revoke_set_add(set, SP_REVOKE_SID, sp_slice_of(r->id, SP_SID_BYTES), r->until_s, now_s);
    case SP_FEED_EPU:
        return sp_epochs_raise_user(epochs, sp_slice_of(r->id, SP_ID_BYTES), r->epoch, r->until_s, now_s);
    case SP_FEED_EPG: sp_epochs_raise_global(epochs, r->epoch); return SP_SUCCESS;
    }
    return sp_err(SP_E_MALFORMED);
}

sp_status sp_follower_apply(struct sp_follower *f, struct sp_now now, const struct sp_feed_revocation *r) {
    sp_status s = enforce(f, r, now.wall_ms / 1000);
    if (sp_ok(s))
        sp_follower_note(f, SP_FOLLOWER_REVOCATION);
    else
        sp_follower_close(f, r->seq);
    return s;
}

/* ---- documents ---- */

static void drop_held(struct document *d) {
    free(d->held);
    d->held = NULL;
    d->held_n = 0;
}

/* One that is in force already is not held again: after each new connection they come anew. */
sp_status sp_follower_hold(struct document *d, sp_slice data) {
    uint8_t digest[SP_FEED_DIGEST_BYTES];
    sp_sha256(data, digest);
    if (d->in_force && sp_same32(digest, d->digest)) {
        drop_held(d);
        return SP_SUCCESS;
    }
    uint8_t *held = malloc(data.n == 0 ? 1 : data.n);
    if (held == NULL) return sp_err(SP_E_NOMEM);
    if (data.n != 0) memcpy(held, data.p, data.n);
    drop_held(d);
    d->held = held;
    d->held_n = data.n;
    memcpy(d->held_digest, digest, sizeof digest);
    return SP_SUCCESS;
}

static bool is_held(const struct document *d, const uint8_t *digest) {
    return d->held != NULL && sp_same32(d->held_digest, digest);
}
bool sp_follower_has_document(const struct document *d, const uint8_t *digest) {
    return is_held(d, digest) || (d->in_force && sp_same32(d->digest, digest));
}

static void now_in_force(struct document *d) {
    memcpy(d->digest, d->held_digest, sizeof d->digest);
    d->in_force = true;
    drop_held(d);
}

static sp_status put_roles(struct sp_follower *f, sp_slice json) {
    SP_AUTO_FREE(sp_roles) roles = NULL;
    SP_TRY(sp_feed_read_roles(json, &roles));
    SP_TRY(sp_role_table_take(f->opts.roles, roles));
    (void)sp_steal(&roles); /* the table's */
    return SP_SUCCESS;
}

/* First the keys of tokens, then those of the feed: when the second fails the document is tried again as a
 * whole, and putting the same keys twice changes nothing. */
static sp_status put_keys(struct sp_follower *f, sp_slice json) {
    SP_AUTO(sp_jwks) jwks = SP_JWKS_INIT;
    SP_TRY(sp_jwks_parse(json, SP_JWK_PUBLIC_ONLY, &jwks));
    SP_TRY(sp_verifier_set_keys(f->opts.verifier, jwks.keys, jwks.n));
    return sp_feed_trust_replace(&f->trust, json);
}

static void remember(struct sp_follower *f, struct sp_now now, const struct sp_feed_beat *b) {
    f->covered =
        (struct covered){.is_set = true, .seq = b->seq, .server_ms = b->boot_ms, .at_ms = now.boot_ms};
    memcpy(f->covered.epoch, f->epoch, sizeof f->covered.epoch);
    memcpy(f->covered.node, b->node, sizeof f->covered.node);
}

sp_status sp_follower_cover(struct sp_follower *f, struct sp_now now, const struct sp_feed_beat *b) {
    if (is_held(&f->roles, b->roles)) {
        SP_TRY(put_roles(f, sp_slice_of(f->roles.held, f->roles.held_n)));
        now_in_force(&f->roles);
        remember(f, now, b);
        sp_follower_note(f, SP_FOLLOWER_NEW_ROLES);
    }
    if (is_held(&f->keys, b->keys)) {
        SP_TRY(put_keys(f, sp_slice_of(f->keys.held, f->keys.held_n)));
        now_in_force(&f->keys);
        remember(f, now, b);
        sp_follower_note(f, SP_FOLLOWER_NEW_KEYS);
    }
    return SP_SUCCESS;
}
