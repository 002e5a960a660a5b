/* What a restored store must say of itself before a server may use it. The store is a copy that nobody else
 * has open; src/store moves the files.
 *
 * The copy is of a past that others have moved on from, so:
 *   incarnation    a new one: tokens that are ahead of the store are healed instead of tripped, and whoever
 *                  follows the feed starts over
 *   global epoch   raised: every access token of before is over, and unless sessions are kept every session.
 *                  By a jump, since epochs that were given after the backup was taken must not be given
 *                  again: a token that bears one would survive the next revocation of its user or everyone.
 *   audit          a record, in the restored chain, of who did it and how */
#include "core/app_restore.h"

#include "core/audit.h"
#include "core/feed_chain.h"
#include "core/keys.h"

struct restore {
    const struct sp_restore_request *in;
    struct sp_store *store;
    struct sp_reclaim *reclaim;
    struct sp_seats *seats;
    struct sp_keys *keys;
    struct sp_audit_verifier verifier;
    struct sp_meta_row meta;
};

static sp_status read_meta(struct restore *r) {
    struct sp_store_read read = {.kind = SP_READ_META, .tenant = SP_TENANT_DEFAULT, .limit = 1};
    sp_status s = sp_store_read_wait(r->store, &read);
    if (sp_ok(s)) r->meta = read.ret.meta;
    sp_store_read_done(&read);
    return s;
}

/* The master key must open them: without it the backup is worth nothing here. */
static sp_status open_keys(struct restore *r) {
    struct sp_store_read read = {
        .kind = SP_READ_KEYS, .tenant = SP_TENANT_DEFAULT, .limit = SP_READ_PAGE_MAX};
    SP_TRY(sp_reclaim_new(1, &r->reclaim));
    SP_TRY(sp_seats_new(r->reclaim, &r->seats));
    sp_status s = sp_store_read_wait(r->store, &read);
    if (sp_ok(s)) s = sp_keys_new_past(r->seats, r->in->master_key, read.ret.keys, read.ret.n, &r->keys);
    sp_store_read_done(&read);
    return s;
}

static sp_status verify_page(struct restore *r, uint64_t *at, bool *ret_more) {
    struct sp_store_read read = {
        .kind = SP_READ_AUDIT, .tenant = SP_TENANT_DEFAULT, .after_seq = *at, .limit = SP_READ_PAGE_MAX};
    sp_status s = sp_store_read_wait(r->store, &read);
    for (uint32_t i = 0; sp_ok(s) && i < read.ret.n; i++) {
        *at = read.ret.audit[i].seq;
        sp_audit_verifier_row(&r->verifier, &read.ret.audit[i]);
    }
    if (sp_ok(s)) *ret_more = read.ret.more;
    sp_store_read_done(&read);
    return s;
}

static sp_status verify_audit(struct restore *r) {
    uint64_t at = r->meta.audit_base;
    bool more = true;
    sp_audit_verifier_init_from(&r->verifier, at, r->meta.audit_base_hash);
    while (more && r->verifier.why == NULL) {
        SP_TRY(verify_page(r, &at, &more));
        if (r->in->progress != NULL) r->in->progress(r->in->progress_arg, at, r->meta.audit_count);
    }
    sp_audit_verifier_finish(&r->verifier, &r->meta, sp_keys_audit(r->keys));
    return SP_SUCCESS;
}

/* The restored log is sealed anew, too: app_open.c says what that must not hide. */
static sp_status build_seal_record(const struct restore *r, struct sp_audit_entry *ret) {
    const struct sp_audit_event event = {
        .action = SP_AUDIT_AUDIT_SEAL_BROKEN, .outcome = SP_AUDIT_ALARM, .actor = SP_AUDIT_ACTOR_SYSTEM};
    return sp_audit_build(&event, r->in->now_ms, &r->in->random, ret);
}

static sp_status build_record(const struct restore *r, struct sp_audit_entry *ret) {
    const struct sp_restore_request *in = r->in;
    sp_text64 actor;
    sp_audit_actor_admin(in->uid, &actor);
    const struct sp_log_field detail[] = {
        SP_LOGF_TEXT("file", in->file),
        SP_LOGF_TEXT("sessions", in->keep_sessions ? SP_SLICE_LIT("kept") : SP_SLICE_LIT("ended")),
        SP_LOGF_TEXT("audit", r->verifier.why == NULL ? SP_SLICE_LIT("intact") : SP_SLICE_LIT("not intact")),
        SP_LOGF_I64("records", (int64_t)r->meta.audit_count)};
    const struct sp_audit_event event = {.action = SP_AUDIT_STORE_RESTORED,
                                         .outcome = SP_AUDIT_ALARM,
                                         .actor = SP_TEXT_SLICE(&actor),
                                         .detail = detail,
                                         .detail_n = SP_ARRAY_LEN(detail)};
    return sp_audit_build(&event, in->now_ms, &in->random, ret);
}

static sp_status commit(struct restore *r) {
    const struct sp_restore_request *in = r->in;
    SP_AUTO(sp_audit_entry) record = SP_AUDIT_ENTRY_INIT;
    SP_AUTO(sp_audit_entry) seal = SP_AUDIT_ENTRY_INIT;
    SP_TRY(build_record(r, &record));
    SP_TRY(build_seal_record(r, &seal));
    uint8_t feed_epoch[SP_ROW_FEED_EPOCH_BYTES];
    SP_TRY(sp_random_fill(&in->random, feed_epoch, sizeof(feed_epoch)));
    struct sp_change set[4];
    size_t n = 0;
    set[n++] = (struct sp_change){.kind = SP_CHANGE_META,
                                  .meta = {.next_incarnation = true,
                                           .incarnation_above = in->incarnation_above,
                                           .feed_epoch = feed_epoch}};
    set[n++] = (struct sp_change){
        .kind = SP_CHANGE_GLOBAL_EPOCH,
        .global_epoch = {.now_ms = in->now_ms,
                         .expires_s = in->now_ms / 1000 + r->meta.access_ttl_max_s + SP_REVOKE_SLACK_S,
                         .end_sessions = !in->keep_sessions,
                         .cause = SP_END_RESTORE,
                         .at_least = sp_epoch_after_jump(r->meta.global_epoch)}};
    if (!sp_audit_head_is_ours(&r->meta, sp_keys_audit(r->keys))) set[n++] = sp_audit_entry_change(&seal);
    set[n++] = sp_audit_entry_change(&record);
    return sp_store_commit_wait(r->store, set, n, NULL);
}

static sp_status carry_out(struct restore *r) {
    SP_TRY(read_meta(r));
    SP_TRY(open_keys(r));
    SP_TRY(verify_audit(r));
    if (r->meta.global_epoch > UINT32_MAX - SP_EPOCH_JUMP) return sp_err(SP_E_LIMIT);
    const struct sp_store_env env = {.audit = sp_audit_hooks_make(sp_keys_audit(r->keys)),
                                     .feed = sp_feed_hooks_make(),
                                     .log = sp_log_none};
    r->store->ops->set_env(r->store, &env);
    return commit(r);
}

sp_status sp_restore_finish(struct sp_store *store, const struct sp_restore_request *in,
                            struct sp_restore_result *ret) {
    struct restore r = {.in = in, .store = store};
    sp_status s = carry_out(&r);
    if (sp_ok(s)) {
        *ret = (struct sp_restore_result){.boots = r.meta.boots,
                                          .audit_count = r.meta.audit_count,
                                          .audit_why = r.verifier.why,
                                          .audit_bad_seq = r.verifier.bad_seq};
    }
    sp_store_close(store); /* its hooks borrow the keys */
    sp_keys_free(r.keys);
    sp_seats_free(r.seats);
    sp_reclaim_free(r.reclaim);
    return s;
}
