#include "sim_app.h"

#include "core/keys.h"

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    DAY = 24 * 60 * MINUTE,
    SPAN = 3 * 60 * MINUTE,
    STEP_MS = 30, /* between two steps of one loop, at most */
    BEAT_MS = SECOND,
    ACTIVE_MS = 20 * SECOND, /* after a refresh: longer than any window and its last proof of life */
    READERS = 16,
};

const char *sim_app_password(bool second) {
    return second ? "the second password" : "the first password";
}

/* ---- ports ---- */

static void loop_run(struct sim *s, struct sim_event *e);

int64_t sim_app_step_ms(struct sim *s) {
    return sim_chance(s, 70) ? sim_between(s, 0, 2) : sim_between(s, 0, STEP_MS);
}

static void loop_post(struct sp_executor *self, struct sp_task *task) {
    struct sim_loop *l = SP_CONTAINER_OF(self, struct sim_loop, executor);
    task->next = NULL;
    *l->tail = task;
    l->tail = &task->next;
    if (l->is_armed) return;
    l->is_armed = true;
    sim_at(l->sim, &l->event, l->sim->now_ms + sim_app_step_ms(l->sim), loop_run);
}

static bool loop_step(struct sim_loop *l) {
    struct sp_task *t = l->head;
    if (t == NULL) return false;
    l->head = t->next;
    if (l->head == NULL) l->tail = &l->head;
    t->run(t);
    return true;
}

static void loop_run(struct sim *s, struct sim_event *e) {
    struct sim_loop *l = SP_CONTAINER_OF(e, struct sim_loop, event);
    loop_step(l);
    l->is_armed = l->head != NULL;
    if (l->is_armed) sim_at(s, e, s->now_ms + sim_app_step_ms(s), loop_run);
}

static void loops_drain(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    bool ran = true;
    while (ran) {
        ran = false;
        for (size_t i = 0; i < SIM_LOOPS; i++) ran = loop_step(&a->loops[i]) || ran;
        ran = a->door->drain(s) || ran;
    }
}

static int64_t clock_ms(void *arg) {
    return ((struct sim *)arg)->now_ms;
}

static sp_status random_fill(void *arg, void *p, size_t n) {
    sim_bytes(arg, p, n);
    return SP_SUCCESS;
}

static sp_status hash_submit(void *arg, struct sp_hash_job *job) {
    (void)arg;
    job->status = SP_SUCCESS;
    if (job->op == SP_HASH_MAKE)
        job->status = SP_TEXT_SET(&job->phc, job->password);
    else
        job->matches = job->phc.n != 0 && sp_slice_eq(SP_TEXT_SLICE(&job->phc), job->password);
    job->needs_rehash = false;
    sp_executor_post(job->executor, &job->task);
    return SP_SUCCESS;
}

static enum sp_reject authn_check(void *arg, sp_slice token, int64_t now_ms, enum sp_authn_flags flags,
                                  struct sp_claims *ret) {
    struct sim_app *a = sim_app_of(arg);
    const struct sp_claims *claims;
    const unsigned how = (unsigned)flags; /* the same bits: see server/authn.c */
    sp_verifier_enter(a->reader);
    enum sp_reject r = sp_verifier_check_flags(a->verifier, a->reader, how, token, now_ms / 1000, &claims);
    if (r == SP_REJECT_NONE)
        *ret = *claims;
    else
        sp_verifier_exit(a->reader);
    return r;
}

static void authn_release(void *arg) {
    sp_verifier_exit(sim_app_of(arg)->reader);
}

static sp_status authn_set_keys(void *arg, const struct sp_jwk *keys, size_t n) {
    return sp_verifier_set_keys(sim_app_of(arg)->verifier, keys, n);
}

struct sp_call sim_app_call(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    return (struct sp_call){.executor = &a->loops[sim_below(s, SIM_LOOPS)].executor,
                            .address = SP_SLICE_LIT("192.0.2.7"),
                            .user_agent = SP_SLICE_LIT("simulation"),
                            .request_id = SP_SLICE_LIT("r")};
}

/* ---- start and stop ---- */

static void app_start(struct sim *s, uint64_t expected_boots) {
    static const uint8_t master_key[SP_MASTER_KEY_BYTES] = {7};
    struct sim_app *a = sim_app_of(s);
    const struct sp_random random = {random_fill, s};
    struct sp_verifier_opts opts = {.issuer = SP_TEXT_SLICE(&a->config.issuer),
                                    .audience = SP_TEXT_SLICE(&a->config.audience),
                                    .alg_mask = SP_ALG_ALL,
                                    .reclaim = a->reclaim,
                                    .random = &random};
    SIM_OK(s, sp_verifier_new(&opts, &a->verifier));
    SIM_OK(s, sp_verifier_reader_new(a->verifier, &a->reader));
    struct sp_app_deps deps = {.store = a->store,
                               .clock = {clock_ms, clock_ms, s},
                               .random = random,
                               .log = sp_log_none,
                               .authn = {authn_check, authn_release, authn_set_keys, s},
                               .hasher = {hash_submit, s},
                               .revoked = sp_verifier_revoke_set(a->verifier),
                               .epochs = sp_verifier_epochs(a->verifier),
                               .reclaim = a->reclaim,
                               .master_key = SP_SLICE_ARRAY(master_key)};
    a->config.expected_boots = expected_boots;
    SIM_OK(s, sp_app_open(&a->config, &deps, &a->app));
    a->boots = sp_app_boots(a->app);
    a->door->open(s);
}

static void nobody_hears(void *arg, const struct sp_store_event *event) {
    (void)arg, (void)event;
}

static void app_free(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    const struct sp_store_env nobody = {.publisher = {.publish = nobody_hears}, .log = sp_log_none};
    a->door->close(s);
    sp_app_free(a->app);
    a->app = NULL;
    a->store->ops->set_env(a->store, &nobody); /* a restore commits without an app */
    sp_verifier_reader_free(a->reader);
    sp_verifier_free(a->verifier);
}

/* Killed: what was committed stays, nothing more is; and no answer gets out. */
static void app_kill(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    s->down = true;
    a->down_ms = s->now_ms;
    sp_store_memory_fail(a->store, 1, UINT64_MAX, SP_MEMORY_FAULT_UNAVAILABLE);
    sp_store_memory_fail_reads(a->store, true);
    loops_drain(s);
    app_free(s);
    sp_store_memory_fail(a->store, 0, 0, SP_MEMORY_FAULT_NONE);
    sp_store_memory_fail_reads(a->store, false);
    a->reads_fail = false;
}

struct start_event {
    struct sim_event event;
    uint64_t expected_boots;
    bool is_restored;
};

static void start_again(struct sim *s, struct sim_event *e) {
    struct sim_app *a = sim_app_of(s);
    struct start_event *start = SP_CONTAINER_OF(e, struct start_event, event);
    app_start(s, start->expected_boots);
    sim_trace(s, "the server is ready");
    if (start->is_restored) a->restored_start = s->start + 1;
    sim_restarted(s, a->down_ms);
    for (uint32_t i = 0; start->is_restored && i < s->users_n; i++) sim_app_enable(s, &s->users[i]);
    free(start);
}

static void start_later(struct sim *s, uint64_t expected_boots, bool is_restored) {
    struct start_event *start = calloc(1, sizeof(*start));
    sp_assert(start != NULL);
    start->expected_boots = expected_boots;
    start->is_restored = is_restored;
    int64_t pause_ms = sim_chance(s, 60) ? sim_between(s, 50, 8 * SECOND) : sim_between(s, 1, 15 * MINUTE);
    sim_at(s, &start->event, s->now_ms + pause_ms, start_again);
}

static void restart(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    sim_trace(s, "the server is killed");
    app_kill(s);
    start_later(s, a->boots, false);
}

/* ---- housekeeping ---- */

static void tick(struct sim *s, struct sim_event *e) {
    struct sim_app *a = sim_app_of(s);
    if (!s->down) sp_app_tick(a->app, &a->loops[0].executor);
    if (s->now_ms < s->until_ms) sim_at(s, e, s->now_ms + MINUTE, tick);
}

/* Every second while windows may be open; a quiet server need not be simulated so closely. */
static void beat(struct sim *s, struct sim_event *e) {
    struct sim_app *a = sim_app_of(s);
    if (!s->down) sp_app_tick(a->app, &a->loops[0].executor);
    a->beat_is_armed = s->now_ms - a->active_ms <= ACTIVE_MS;
    if (a->beat_is_armed) sim_at(s, e, s->now_ms + BEAT_MS, beat);
}

static void is_active(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    a->active_ms = s->now_ms;
    if (a->beat_is_armed) return;
    a->beat_is_armed = true;
    sim_at(s, &a->beat, s->now_ms + BEAT_MS, beat);
}

/* ---- a refresh, a login ---- */

static void refreshed(void *arg, const struct sp_tokens_result *t) {
    struct sim_request *r = arg;
    struct sim *s = r->sim;
    r->outcome = t->outcome;
    r->reuse_detected = t->reuse_detected;
    is_active(s);
    if (t->outcome == SP_OUTCOME_OK) {
        sp_assert(t->refresh_token.n == sizeof(r->next));
        memcpy(r->next, t->refresh_token.p, sizeof(r->next));
        sim_app_access_issued(s, r->family, t, r->begun_ms);
    }
    struct sim_family *f = r->family;
    sim_refresh_done(s, r);
    if (!s->down) sim_app_access_check(s, f);
}

static void refresh(struct sim *s, struct sim_request *r) {
    struct sp_refresh_request in = {.refresh_token = SP_SLICE_ARRAY(r->token),
                                    .attempt =
                                        sp_slice_of(r->attempt, r->has_attempt ? sizeof(r->attempt) : 0),
                                    .mode = r->mode};
    is_active(s);
    sim_app_of(s)->door->refresh(s, r->family, &in, refreshed, r);
}

struct login {
    struct sim *sim;
    struct sim_client *client;
    bool second_password;
    int64_t begun_ms;
};

static void logged_in(void *arg, const struct sp_tokens_result *t) {
    struct login l = *(struct login *)arg;
    struct sim *s = l.sim;
    struct sim_app_user *u = sim_app_user_of(s, l.client->user);
    free(arg);
    bool is_sure = !u->password_unsure && !u->maybe_disabled && l.begun_ms > u->quiet_since_ms;
    if (t->outcome == SP_OUTCOME_INVALID_CREDENTIALS && is_sure)
        sim_fail(s, "user %u cannot log in", l.client->user->index);
    struct sim_family *f = NULL;
    if (t->outcome == SP_OUTCOME_OK) f = sim_family_new(s, l.client->user, l.client->mode);
    if (f == NULL) {
        sim_login_done(s, l.client, NULL, NULL);
        return;
    }
    if (memcmp(t->user_id, u->id, sizeof(u->id)) != 0) sim_fail(s, "a login of somebody else");
    memcpy(f->sid, t->sid, sizeof(f->sid));
    f->maybe_ended = u->ending != 0 || l.begun_ms <= u->quiet_since_ms;
    char token[SP_REFRESH_CHARS];
    memcpy(token, t->refresh_token.p, sizeof(token));
    sim_app_access_issued(s, f, t, l.begun_ms);
    sim_login_done(s, l.client, f, token);
}

static void login(struct sim *s, struct sim_client *c) {
    struct sim_app_user *u = sim_app_user_of(s, c->user);
    struct login *l = calloc(1, sizeof(*l));
    sp_assert(l != NULL);
    if (s->down) {
        free(l);
        sim_login_done(s, c, NULL, NULL);
        return;
    }
    bool second = u->password_unsure ? sim_chance(s, 50) : u->has_second_password;
    *l = (struct login){.sim = s, .client = c, .second_password = second, .begun_ms = s->now_ms};
    struct sp_login_request in = {.username = sp_slice_cstr(c->user->name),
                                  .password = sp_slice_cstr(sim_app_password(second)),
                                  .mode = c->mode};
    sim_app_of(s)->door->login(s, &in, logged_in, l);
}

/* ---- looking ---- */

static struct sp_meta_row meta_of(struct sim *s) {
    struct sp_store_read r = {.kind = SP_READ_META, .tenant = SP_TENANT_DEFAULT, .limit = 1};
    SIM_OK(s, sp_store_read_wait(sim_app_of(s)->store, &r));
    struct sp_meta_row meta = r.ret.meta;
    sp_store_read_done(&r);
    return meta;
}

static bool peek_now(struct sim *s, const struct sim_family *f, struct sp_session_row *ret) {
    struct sp_store_read r = {
        .kind = SP_READ_SESSION, .tenant = SP_TENANT_DEFAULT, .key = SP_SLICE_ARRAY(f->sid), .limit = 1};
    sp_status status = sp_store_read_wait(sim_app_of(s)->store, &r);
    if (sp_ok(status)) *ret = r.ret.sessions[0];
    sp_store_read_done(&r);
    if (!sp_ok(status)) return false;
    const struct sp_meta_row meta = meta_of(s);
    if (ret->state == SP_SESSION_ACTIVE && ret->global_epoch < meta.session_floor) {
        ret->state = SP_SESSION_ENDED;
        ret->cause = meta.floor_cause;
    }
    return true;
}

static bool peek(struct sim *s, const struct sim_family *f, struct sp_session_row *ret) {
    struct sim_app *a = sim_app_of(s);
    sp_store_memory_fail_reads(a->store, false);
    bool found = peek_now(s, f, ret);
    sp_store_memory_fail_reads(a->store, s->down ? false : a->reads_fail);
    return found;
}

static void look(struct sim *s, struct sim_family *f) {
    if (!s->down) sim_app_access_check(s, f);
}

/* ---- what happens to it ---- */

static void backup(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    uint32_t slot =
        a->backups_n < SIM_SNAPSHOTS_MAX ? a->backups_n++ : (uint32_t)sim_below(s, SIM_SNAPSHOTS_MAX);
    struct sim_backup *b = &a->backups[slot];
    sp_memory_snapshot_free(b->store);
    *b = (struct sim_backup){.boots = a->boots, .families_n = s->families_n};
    SIM_OK(s, sp_store_memory_snapshot(a->store, &b->store));
    for (uint32_t i = 0; i < s->families_n; i++)
        b->ended_ms[i] = s->families[i]->ended ? s->families[i]->ended_ms : 0;
    for (uint32_t i = 0; i < s->users_n; i++) b->epoch_raised_ms[i] = a->users[i].epoch_raised_ms;
    sim_trace(s, "a backup is made");
}

static void families_go_back(struct sim *s, const struct sim_backup *b) {
    for (uint32_t i = 0; i < s->families_n; i++) {
        struct sim_family *f = s->families[i];
        struct sp_session_row row;
        bool there = peek(s, f, &row);
        f->ended_ms = i < b->families_n ? b->ended_ms[i] : 0;
        f->ended = f->ended_ms != 0;
        f->tripped = f->tripped && f->ended;
        f->maybe_ended = f->maybe_ended || !there;
        if (there) sim_family_forget(f, row.generation);
        for (size_t k = 0; k < SIM_ACCESS_KEPT; k++) f->access[k].jti_revoked = false; /* jti_asked stays */
    }
    for (uint32_t i = 0; i < s->users_n; i++) {
        struct sim_app_user *u = &sim_app_of(s)->users[i];
        u->epoch_raised_ms = b->epoch_raised_ms[i];
        u->password_unsure = u->maybe_disabled = u->roles_unsure = true;
    }
}

/* As `sallyport restore` does it without --keep-sessions: nothing that was issued before counts. The epoch is
 * raised above every one that the lost time may have known. */
static void end_all(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    struct sp_change c = {.kind = SP_CHANGE_GLOBAL_EPOCH,
                          .global_epoch = {.now_ms = s->now_ms,
                                           .expires_s = s->now_ms / 1000 + a->config.access_ttl_s + 120,
                                           .end_sessions = true,
                                           .cause = SP_END_RESTORE}};
    do SIM_OK(s, sp_store_commit_wait(a->store, &c, 1, NULL));
    while (c.global_epoch.ret_epoch <= a->epoch_max);
    for (uint32_t i = 0; i < s->families_n; i++)
        sim_family_over(s, s->families[i], "restored without sessions");
}

/* Who copies files behind our back is found out by the number of starts, if the copy is of an earlier one. */
static void restore(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    if (a->backups_n == 0) return;
    const struct sim_backup *b = &a->backups[sim_below(s, a->backups_n)];
    bool behind = b->boots < a->boots && sim_chance(s, 30);
    a->kept_sessions = behind || sim_chance(s, 60);
    sim_trace(s, "the server is killed, and a backup restored%s%s", behind ? " behind our back" : "",
              a->kept_sessions ? ", sessions kept" : "");
    uint64_t boots = a->boots;
    a->had_trouble = true;
    app_kill(s);
    uint32_t epoch = meta_of(s).global_epoch;
    if (epoch > a->epoch_max) a->epoch_max = epoch;
    SIM_OK(s, sp_store_memory_restore(a->store, b->store, !behind));
    families_go_back(s, b);
    if (!a->kept_sessions) end_all(s);
    s->counts.restores++;
    start_later(s, behind ? boots : 0, true);
}

static void reads_work(struct sim *s, struct sim_event *e) {
    struct sim_app *a = sim_app_of(s);
    (void)e;
    a->reads_fail = false;
    if (!s->down) sp_store_memory_fail_reads(a->store, false);
}

static void store_trouble(struct sim *s) {
    static const enum sp_memory_fault faults[] = {SP_MEMORY_FAULT_UNAVAILABLE,
                                                  SP_MEMORY_FAULT_UNKNOWN_APPLIED,
                                                  SP_MEMORY_FAULT_UNKNOWN_NOT_APPLIED, SP_MEMORY_FAULT_BUSY};
    struct sim_app *a = sim_app_of(s);
    a->had_trouble = true;
    if (!a->reads_fail && sim_chance(s, 20)) {
        a->reads_fail = true;
        sp_store_memory_fail_reads(a->store, true);
        sim_at(s, &a->reads, s->now_ms + sim_between(s, 1, 3 * MINUTE), reads_work);
        return;
    }
    uint64_t which = sim_below(s, sizeof(faults) / sizeof(faults[0]));
    sim_trace(s, "the store will fail: %u", (unsigned)which);
    sp_store_memory_fail(a->store, 1 + sim_below(s, 10), 1 + sim_below(s, 5), faults[which]);
}

static void rotate_keys(struct sim *s) {
    enum sp_key_use use = sim_chance(s, 50) ? SP_KEY_ACCESS : SP_KEY_REFRESH;
    sim_trace(s, "%s keys are rotated", use == SP_KEY_ACCESS ? "access" : "refresh");
    sim_app_of(s)->door->rotate(s, use, sim_chance(s, 50));
}

static void happen(struct sim *s) {
    if (s->down) return;
    const bool is_calm = sim_app_of(s)->is_calm;
    uint64_t what = sim_below(s, 100);
    if (is_calm && what >= 25 && what < 49) what = 99;
    if (what < 15)
        restart(s);
    else if (what < 25)
        backup(s);
    else if (what < 29)
        restore(s);
    else if (what < 49)
        store_trouble(s);
    else if (what < 55)
        rotate_keys(s);
    else
        sim_app_end_something(s);
}

/* ---- beginning and end ---- */

static void user_begin(struct sim *s, uint32_t i) {
    struct sim_app *a = sim_app_of(s);
    struct sp_user_row row = {.tenant = SP_TENANT_DEFAULT, .created_ms = s->now_ms};
    sim_bytes(s, row.id, sizeof(row.id));
    memcpy(a->users[i].id, row.id, sizeof(row.id));
    s->users[i].index = i;
    int n = snprintf(s->users[i].name, sizeof(s->users[i].name), "user-%u", i);
    SIM_OK(s, SP_TEXT_SET(&row.name, sp_slice_of(s->users[i].name, (size_t)n)));
    row.display = row.name;
    SIM_OK(s, SP_TEXT_SET(&row.password, sp_slice_cstr(sim_app_password(false))));
    a->users[i].has_role = sim_chance(s, 50);
    if (a->users[i].has_role) SIM_OK(s, SP_TEXT_SET(&row.roles, SP_SLICE_LIT(SIM_ROLE)));
    struct sp_change c = {.kind = SP_CHANGE_USER_INSERT, .user_insert = {&row}};
    SIM_OK(s, sp_store_commit_wait(a->store, &c, 1, NULL));
}

static void role_begin(struct sim *s) {
    struct sp_role_row role = {.tenant = SP_TENANT_DEFAULT};
    SIM_OK(s, SP_TEXT_SET(&role.name, SP_SLICE_LIT(SIM_ROLE)));
    SIM_OK(s, SP_TEXT_SET(&role.permissions, SP_SLICE_LIT("documents:read")));
    struct sp_change c = {.kind = SP_CHANGE_ROLE_PUT,
                          .role_put = {.row = &role, .expect_version = SP_VERSION_ANY}};
    SIM_OK(s, sp_store_commit_wait(sim_app_of(s)->store, &c, 1, NULL));
}

static void config_begin(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    s->reuse = (enum sp_reuse_policy)sim_below(s, 3);
    s->idle_ttl_ms = sim_chance(s, 20) ? 40 * MINUTE : 7 * (int64_t)DAY;
    s->absolute_ttl_ms = sim_chance(s, 20) ? 90 * MINUTE : 30 * (int64_t)DAY;
    a->config = (struct sp_app_config){.alg = SP_ALG_HS256, /* the quickest */
                                       .access_ttl_s = 900,
                                       .idle_ttl_s = s->idle_ttl_ms / 1000,
                                       .absolute_ttl_s = s->absolute_ttl_ms / 1000,
                                       .grace_ms = SIM_GRACE_MS,
                                       .reuse = s->reuse,
                                       .sessions_max = SIM_FAMILIES_MAX,
                                       .embed_permissions = true,
                                       .audit_refresh = s->seed % 4 == 0, /* refreshes then read first */
                                       .key_announce_s = 60,
                                       .end_kept_s = 30 * 86400};
    SIM_OK(s, SP_TEXT_SET(&a->config.issuer, SP_SLICE_LIT("https://auth.example")));
    SIM_OK(s, SP_TEXT_SET(&a->config.audience, SP_SLICE_LIT("https://api.example")));
    SIM_OK(s, SP_TEXT_SET(&a->config.client_id, SP_SLICE_LIT("first-party")));
}

void sim_app_begin(struct sim *s, const struct sim_door *door, void *door_state) {
    struct sim_app *a = calloc(1, sizeof(*a));
    sp_assert(a != NULL);
    s->state = a;
    a->door = door;
    a->door_state = door_state;
    for (size_t i = 0; i < SIM_LOOPS; i++) {
        a->loops[i].executor.post = loop_post;
        a->loops[i].sim = s;
        a->loops[i].tail = &a->loops[i].head;
    }
    a->is_calm = s->seed % 4 == 1;
    config_begin(s);
    SIM_OK(s, sp_reclaim_new(READERS, &a->reclaim));
    SIM_OK(s, sp_store_memory_new(&a->store));
    role_begin(s);
    s->users_n = (uint32_t)sim_between(s, 1, SIM_USERS_MAX);
    for (uint32_t i = 0; i < s->users_n; i++) user_begin(s, i);
    app_start(s, 0);
    sim_at(s, &a->tick, s->now_ms + SECOND, tick);
}

static void begin(struct sim *s) {
    sim_app_begin(s, &sim_door_direct, NULL);
}

static void audited(void *arg, const struct sp_audit_verify_result *result) {
    struct sim *s = arg;
    if (result->outcome != SP_OUTCOME_OK || !result->intact)
        sim_fail(s, "the audit log does not hold: %s", result->why != NULL ? result->why : "not verified");
}

static void end(struct sim *s) {
    struct sim_app *a = sim_app_of(s);
    sp_store_memory_fail(a->store, 0, 0, SP_MEMORY_FAULT_NONE);
    sp_store_memory_fail_reads(a->store, false);
    struct sp_call call = sim_app_call(s);
    const struct sp_audit_verify_request whole = {0};
    sp_app_audit_verify(a->app, &call, &whole, audited, s);
    loops_drain(s);
    app_free(s);
    for (uint32_t i = 0; i < a->backups_n; i++) sp_memory_snapshot_free(a->backups[i].store);
    sp_store_close(a->store);
    sp_reclaim_free(a->reclaim);
    free(a);
}

const struct sim_server sim_app_server = {.name = "app",
                                          .test = "test_sim_app",
                                          .seeds = 250,
                                          .span_ms = SPAN,
                                          .begin = begin,
                                          .end = end,
                                          .refresh = refresh,
                                          .login = login,
                                          .logout = sim_app_logout,
                                          .peek = peek,
                                          .happen = happen,
                                          .look = look};
