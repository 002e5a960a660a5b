/* The app's beginning and end.
 *
 * Opening reads everything that is enforced from memory (keys, roles, revocations, epochs), and ends with one
 * commit that counts this start. The store's hooks need keys that are in the store, so they are set first and
 * reach through the app: events of our own first commits are skipped, since what they say is read right
 * after. */
#include "core/app_internal.h"

#include "base/assert.h"
#include "core/feed_chain.h"

enum {
    REVOCATIONS_PAGE = 1000,
    CLIENTS_PAGE = 200, /* rows of 11 KiB */
};

/* ---- what the store calls ---- */

static void on_event(void *arg, const struct sp_store_event *event) {
    struct sp_app *app = arg;
    if (!app->is_live) return;
    app->publisher.publish(app->publisher.arg, event);
    if (event->kind == SP_EVENT_LOGOUT) sp_backchannel_hear(app, event->logout);
}

static void on_link(void *arg, uint64_t seq, const uint8_t *prev, sp_slice body, uint8_t *ret_hash) {
    struct sp_app *app = arg;
    app->hooks.link(app->hooks.arg, seq, prev, body, ret_hash);
}

static void on_seal(void *arg, const struct sp_meta_row *meta, uint8_t *ret_mac) {
    struct sp_app *app = arg;
    app->hooks.seal(app->hooks.arg, meta, ret_mac);
}

static void set_env(struct sp_app *app) {
    struct sp_store_env env = {.publisher = {.publish = on_event, .arg = app},
                               .audit = {.link = on_link, .seal = on_seal, .arg = app},
                               .feed = sp_feed_hooks_make(),
                               .log = app->deps.log};
    app->deps.store->ops->set_env(app->deps.store, &env);
}

static void run_inline(struct sp_executor *self, struct sp_task *task) {
    (void)self;
    task->run(task);
}

/* ---- reading ---- */

static sp_status read_meta(struct sp_app *app, struct sp_meta_row *ret) {
    struct sp_store_read r = {.kind = SP_READ_META, .tenant = SP_TENANT_DEFAULT, .limit = 1};
    sp_status s = sp_store_read_wait(app->deps.store, &r);
    if (sp_ok(s)) *ret = r.ret.meta;
    sp_store_read_done(&r);
    return s;
}

static sp_status load_roles(struct sp_app *app) {
    struct sp_store_read r = {.kind = SP_READ_ROLES, .tenant = SP_TENANT_DEFAULT, .limit = SP_READ_PAGE_MAX};
    sp_status s = sp_store_read_wait(app->deps.store, &r);
    if (sp_ok(s)) s = sp_live_roles_new(app->seats, r.ret.roles, r.ret.n, &app->roles);
    sp_store_read_done(&r);
    return s;
}

static sp_status load_clients_page(struct sp_app *app, sp_text128 *after, bool *ret_more) {
    struct sp_store_read r = {.kind = SP_READ_CLIENTS,
                              .tenant = SP_TENANT_DEFAULT,
                              .after = SP_TEXT_SLICE(after),
                              .limit = CLIENTS_PAGE};
    sp_status s = sp_store_read_wait(app->deps.store, &r);
    if (sp_ok(s)) s = sp_live_clients_put(app->clients, r.ret.clients, r.ret.n);
    if (sp_ok(s)) {
        if (r.ret.n != 0) *after = r.ret.clients[r.ret.n - 1].id;
        *ret_more = r.ret.more && r.ret.n != 0;
    }
    sp_store_read_done(&r);
    return s;
}

static sp_status load_clients(struct sp_app *app) {
    sp_text128 after = {0};
    bool more = true;
    SP_TRY(sp_live_clients_new(app->seats, &app->clients));
    while (more) SP_TRY(load_clients_page(app, &after, &more));
    /* Its tokens would be those of people's own sessions, which may look after the account. Nobody registers
     * one under this id; but the configuration may have taken the id of one that was there. */
    const struct sp_client *namesake =
        sp_live_clients_get(app->clients, SP_TEXT_SLICE(&app->config.client_id));
    sp_client_release(namesake);
    return namesake == NULL ? SP_SUCCESS : sp_err(SP_E_CONFLICT);
}

static sp_status load_revocations_page(struct sp_app *app, uint64_t *after_seq, bool *ret_more) {
    struct sp_store_read r = {.kind = SP_READ_REVOCATIONS,
                              .tenant = SP_TENANT_DEFAULT,
                              .after_seq = *after_seq,
                              .now_s = 0, /* lapsed ones too: the feed goes on from them */
                              .limit = REVOCATIONS_PAGE};
    sp_status s = sp_store_read_wait(app->deps.store, &r);
    if (sp_ok(s)) s = sp_publish_revocations(&app->publish, r.ret.revocations, r.ret.n);
    if (sp_ok(s)) {
        if (r.ret.n != 0) *after_seq = r.ret.revocations[r.ret.n - 1].seq;
        *ret_more = r.ret.more && r.ret.n != 0;
    }
    sp_store_read_done(&r);
    return s;
}

static sp_status load_revocations(struct sp_app *app) {
    uint64_t after_seq = 0;
    bool more = true;
    while (more) SP_TRY(load_revocations_page(app, &after_seq, &more));
    return SP_SUCCESS;
}

/* ---- keys ---- */

static sp_status load_keys(struct sp_app *app) {
    struct sp_store_read r = {.kind = SP_READ_KEYS, .tenant = SP_TENANT_DEFAULT, .limit = SP_READ_PAGE_MAX};
    sp_status s = sp_store_read_wait(app->deps.store, &r);
    if (sp_ok(s)) {
        s = sp_keys_new(app->seats, SP_SLICE_ARRAY(app->master_key), r.ret.keys, r.ret.n, &app->keys);
    }
    sp_store_read_done(&r);
    return s;
}

/* The first start. The records follow with the boot, when there is a key for the audit chain. */
static sp_status make_keys(struct sp_app *app, struct sp_key_set *ret_made) {
    struct sp_key_schedule schedule = sp_app_key_schedule(app);
    struct sp_store_read r = {.kind = SP_READ_KEYS, .tenant = SP_TENANT_DEFAULT, .limit = SP_READ_PAGE_MAX};
    sp_status s = sp_store_read_wait(app->deps.store, &r);
    if (sp_ok(s)) {
        const struct sp_audit_event by_us = {.actor = SP_AUDIT_ACTOR_SYSTEM};
        struct sp_key_plan plan;
        sp_keys_plan(r.ret.keys, r.ret.n, sp_app_now_ms(app), &schedule, &plan);
        s = sp_key_set_make(app, &plan, r.ret.keys, r.ret.n, &by_us, ret_made);
    }
    sp_store_read_done(&r);
    SP_TRY(s);
    return sp_store_commit_wait(app->deps.store, ret_made->set, ret_made->changes.n, NULL);
}

static sp_status open_keys(struct sp_app *app, struct sp_key_set *ret_made) {
    sp_status s = load_keys(app);
    if (!sp_is(s, SP_E_NOT_FOUND)) return s;
    SP_TRY(make_keys(app, ret_made));
    return load_keys(app);
}

/* ---- the boot ---- */

static sp_status build_boot_record(struct sp_app *app, enum sp_audit_action action,
                                   enum sp_audit_outcome outcome, const struct sp_meta_row *meta,
                                   struct sp_audit_entry *ret) {
    struct sp_log_field detail[] = {SP_LOGF_I64("boots", (int64_t)meta->boots)};
    struct sp_audit_event event = {.action = action,
                                   .outcome = outcome,
                                   .actor = SP_AUDIT_ACTOR_SYSTEM,
                                   .detail = detail,
                                   .detail_n = SP_ARRAY_LEN(detail)};
    return sp_audit_build(&event, sp_app_now_ms(app), &app->deps.random, ret);
}

/* Epochs that were given in the time that was lost are not known, and must not be given again: a token that
 * bears one would survive being revoked. Sessions live on; their access tokens are asked for anew. */
static struct sp_change epoch_jump(const struct sp_app *app, const struct sp_meta_row *meta) {
    const int64_t now_ms = sp_app_now_ms(app);
    return (struct sp_change){.kind = SP_CHANGE_GLOBAL_EPOCH,
                              .global_epoch = {.now_ms = now_ms,
                                               .expires_s = sp_app_epoch_expires_s(app, now_ms),
                                               .at_least = sp_epoch_after_jump(meta->global_epoch)}};
}

/* This start will seal the log anew, and so must not hide that the seal was broken: the record does, and no
 * later verification passes it. */
static bool is_seal_broken(const struct sp_app *app, const struct sp_meta_row *meta) {
    return meta->boots != 0 && !sp_audit_head_is_ours(meta, sp_keys_audit(app->keys));
}

static bool is_older_copy(const struct sp_app *app, const struct sp_meta_row *meta) {
    return meta->boots < app->config.expected_boots || meta->audit_count < app->config.expected_audit_count;
}

/* META, "started", perhaps "rolled back" or "seal broken", and the keys that were made. */
static sp_status commit_boot(struct sp_app *app, const struct sp_meta_row *meta, struct sp_key_set *made) {
    bool rolled_back = is_older_copy(app, meta), broken = is_seal_broken(app, meta);
    SP_AUTO(sp_audit_entry) started = SP_AUDIT_ENTRY_INIT;
    SP_AUTO(sp_audit_entry) rollback = SP_AUDIT_ENTRY_INIT;
    SP_AUTO(sp_audit_entry) seal = SP_AUDIT_ENTRY_INIT;
    SP_TRY(build_boot_record(app, SP_AUDIT_SERVER_STARTED, SP_AUDIT_OK, meta, &started));
    SP_TRY(build_boot_record(app, SP_AUDIT_STORE_ROLLBACK, SP_AUDIT_ALARM, meta, &rollback));
    SP_TRY(build_boot_record(app, SP_AUDIT_AUDIT_SEAL_BROKEN, SP_AUDIT_ALARM, meta, &seal));

    uint8_t feed_epoch[SP_ROW_FEED_EPOCH_BYTES];
    SP_TRY(sp_random_fill(&app->deps.random, feed_epoch, sizeof(feed_epoch)));

    struct sp_change *set = calloc(5 + made->changes.n, sizeof(*set));
    if (set == NULL) return sp_err(SP_E_NOMEM);
    size_t n = 0;
    set[n++] = (struct sp_change){.kind = SP_CHANGE_META,
                                  .meta = {.count_boot = true,
                                           .next_incarnation = rolled_back,
                                           .feed_epoch = feed_epoch,
                                           .access_ttl_max_s = app->access_ttl_max_s}};
    for (size_t i = 0; i < made->changes.n; i++) set[n++] = made->set[made->changes.n + i];
    if (broken) set[n++] = sp_audit_entry_change(&seal);
    set[n++] = sp_audit_entry_change(&started);
    if (rolled_back) {
        set[n++] = epoch_jump(app, meta);
        set[n++] = sp_audit_entry_change(&rollback);
    }
    sp_status s = sp_store_commit_wait(app->deps.store, set, n, NULL);
    free(set);
    return s;
}

/* Its key is fixed before anything is in the set: what the feed's snapshots hold are fingerprints. */
static sp_status open_feed(struct sp_app *app) {
    uint8_t key[SP_REVOKE_KEY_BYTES];
    sp_feed_fingerprint_key(app->keys, key);
    sp_status s = sp_revoke_set_rekey(app->deps.revoked, key);
    sp_wipe(key, sizeof(key));
    SP_TRY(s);
    return sp_feed_new(&(struct sp_feed_opts){.clock = sp_app_forget_clock(app),
                                              .random = &app->deps.random,
                                              .issuer = SP_TEXT_SLICE(&app->config.issuer),
                                              .seats = app->seats,
                                              .keys = app->keys,
                                              .roles = app->roles,
                                              .revoked = app->deps.revoked,
                                              .epochs = app->deps.epochs},
                       &app->feed);
}

/* Where the chain stands once this start is on record: a rollback has begun a new one. */
static sp_status place_feed(struct sp_app *app) {
    struct sp_meta_row meta;
    SP_TRY(read_meta(app, &meta));
    sp_feed_load_position(app->feed, meta.feed_epoch, meta.revoke_seq, meta.feed_head);
    return SP_SUCCESS;
}

static void wire(struct sp_app *app) {
    app->publish = (struct sp_publish){.clock = sp_app_forget_clock(app),
                                       .log = app->deps.log,
                                       .authn = app->deps.authn,
                                       .seats = app->seats,
                                       .revoked = app->deps.revoked,
                                       .epochs = app->deps.epochs,
                                       .roles = app->roles,
                                       .keys = app->keys,
                                       .clients = app->clients,
                                       .feed = app->feed};
    app->publisher = sp_publish_port(&app->publish);
    app->hooks = sp_audit_hooks_make(sp_keys_audit(app->keys));
    app->signer_local = (struct sp_signer_local){.keys = app->keys, .seats = app->seats};
    app->signer = sp_signer_local_port(&app->signer_local);
}

static sp_status load(struct sp_app *app, struct sp_key_set *made) {
    struct sp_meta_row meta;
    SP_TRY(read_meta(app, &meta));
    if (meta.access_ttl_max_s > app->access_ttl_max_s) app->access_ttl_max_s = meta.access_ttl_max_s;
    SP_TRY(open_keys(app, made));
    SP_TRY(load_roles(app));
    SP_TRY(load_clients(app));
    SP_TRY(open_feed(app));
    wire(app);
    sp_publish_global_epoch(&app->publish, meta.global_epoch);
    SP_TRY(load_revocations(app));
    SP_TRY(sp_publish_keys(&app->publish));
    sp_device_key_init(app);
    sp_backchannel_begin(app, meta.logout_seq);
    app->is_live = true; /* read on the store's thread: the next submission orders it */
    SP_TRY(commit_boot(app, &meta, made));
    SP_TRY(place_feed(app));
    app->boots = meta.boots + 1;
    app->alive_ms = meta.alive_ms;
    app->started_ms = app->ready_ms = sp_app_now_ms(app);
    return SP_SUCCESS;
}

/* ---- beginning and end ---- */

static sp_status prepare(struct sp_app *app, sp_slice master_key) {
    if (master_key.n != sizeof(app->master_key)) return sp_err(SP_E_MALFORMED);
    memcpy(app->master_key, master_key.p, sizeof(app->master_key));
    app->deps.master_key = SP_SLICE_EMPTY; /* the caller's, and perhaps gone soon */
    app->access_ttl_max_s = app->config.access_ttl_s;
    sp_app_forget_init(app);
    SP_TRY(sp_ratelimit_new(app->config.throttle, &app->deps.random, &app->limits));
    SP_TRY(sp_seats_new(app->deps.reclaim, &app->seats));
    SP_TRY(sp_oauth_dpop_open(app));
    SP_TRY(sp_replay_new(SP_REPLAY_ENTRIES_DEFAULT, &app->deps.random, &app->assertions));
    return sp_audit_coalescer_new(SP_AUDIT_COALESCE_MAX, &app->deps.random, &app->coalescer);
}

static sp_status open_app(struct sp_app *app, sp_slice master_key) {
    SP_TRY(prepare(app, master_key));
    set_env(app);
    struct sp_key_set made = SP_KEY_SET_INIT;
    sp_status s = load(app, &made);
    sp_key_set_done(&made);
    return s;
}

sp_status sp_app_open(const struct sp_app_config *config, const struct sp_app_deps *deps,
                      struct sp_app **ret) {
    struct sp_app *app = calloc(1, sizeof(*app));
    if (app == NULL) return sp_err(SP_E_NOMEM);
    app->config = *config;
    app->deps = *deps;
    app->inline_executor.post = run_inline;
    sp_assert(pthread_mutex_init(&app->background_mutex, NULL) == 0);
    sp_assert(pthread_cond_init(&app->background_idle, NULL) == 0);
    sp_app_backup_init(app);
    sp_backchannel_init(app);
    sp_status s = open_app(app, deps->master_key);
    if (!sp_ok(s)) {
        sp_app_free(app);
        return s;
    }
    *ret = app;
    return SP_SUCCESS;
}

void sp_app_free(struct sp_app *app) {
    if (app == NULL) return;
    atomic_store(&app->is_stopping, true);
    sp_app_backup_cancel(app);
    pthread_mutex_lock(&app->background_mutex);
    while (app->background_n != 0) pthread_cond_wait(&app->background_idle, &app->background_mutex);
    pthread_mutex_unlock(&app->background_mutex);
    pthread_cond_destroy(&app->background_idle);
    pthread_mutex_destroy(&app->background_mutex);
    sp_app_backup_done(app);
    sp_client_sweep_done(app);
    sp_backchannel_done(app);
    sp_audit_coalescer_free(app->coalescer);
    sp_ratelimit_free(app->limits);
    sp_replay_free(app->proofs);
    sp_replay_free(app->assertions);
    sp_feed_free(app->feed);
    sp_live_clients_free(app->clients);
    sp_live_roles_free(app->roles);
    sp_keys_free(app->keys);
    sp_seats_free(app->seats);
    sp_free_wiped(app, sizeof(*app));
}
