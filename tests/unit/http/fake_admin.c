/* The use cases of the administration and of /metrics: users, sessions of others, roles, services, keys, the
 * audit trail, backups. Most of them see to it that an administrator asks. Doubles of core/app.h. */
#include "fake_internal.h"

static void run_users(void) {
    const struct sp_users_result r = {fake.outcome, fake.users, fake.n_users, fake.next};
    ((sp_users_done *)later.done)(later.arg, &r);
}
static void run_roles(void) {
    static const struct sp_role_row row = {.version = 2,
                                           .name = {5, "staff"},
                                           .permissions = {14, "documents:read"},
                                           .updated_ms = 1700000000123};
    const struct sp_roles_result r = {fake.outcome, &row, 1};
    ((sp_roles_done *)later.done)(later.arg, &r);
}
/* A hash here is what a careless handler would show. */
static void run_clients(void) {
    static const struct sp_client_row row = {
        .id = {6, "orders"},
        .version = 4,
        .feed = true,
        .created_ms = 1700000000000,
        .secrets = {{true, "HASH", 1700000000000, 1700000060000}, {true, "HASH", 1700000001000, 0}}};
    const struct sp_clients_result r = {fake.outcome, &row, 1, fake.next, fake.secret, fake.now_ms};
    ((sp_clients_done *)later.done)(later.arg, &r);
}
static void run_keys(void) {
    static const struct sp_key_row row = {.kid = {2, "k1"},
                                          .use = SP_KEY_ACCESS,
                                          .alg = {5, "ES256"},
                                          .state = SP_KEY_SIGNING,
                                          .created_ms = 1700000000000,
                                          .signing_from_ms = 1700000000000,
                                          .sealed = {6, "SECRET"}};
    const struct sp_keys_result r = {fake.outcome, &row, 1};
    ((sp_keys_done *)later.done)(later.arg, &r);
}
static void run_audit(void) {
    static char body[] = "{\"n\":1}";
    static const struct sp_audit_row row = {.seq = 7,
                                            .time_ms = 1700000000000,
                                            .action = {5, "login"},
                                            .outcome = {2, "ok"},
                                            .body = body,
                                            .body_n = 7};
    const struct sp_audit_result r = {fake.outcome, &row, 1, 0};
    ((sp_audit_done *)later.done)(later.arg, &r);
}
static void run_checkpoint(void) {
    const struct sp_audit_checkpoint_result r = {.outcome = fake.outcome, .checkpoint = {.count = 9}};
    ((sp_audit_checkpoint_done *)later.done)(later.arg, &r);
}
static void run_erase(void) {
    const struct sp_erase_result r = {
        .outcome = fake.outcome, .complete = true, .total = 9, .erased = 2, .sessions_ended = 1};
    ((sp_erase_done *)later.done)(later.arg, &r);
}
static void run_backup(void) {
    const struct sp_backup_result r = {.outcome = fake.outcome, .state = SP_BACKUP_NONE};
    ((sp_backup_done *)later.done)(later.arg, &r);
}
static void run_audit_prune(void) {
    const struct sp_audit_prune_result r = {
        .outcome = fake.outcome, .complete = true, .proved = 9, .base = 9, .total = 9, .pruned = 4};
    ((sp_audit_prune_done *)later.done)(later.arg, &r);
}

static void run_audit_verify(void) {
    const struct sp_audit_verify_result r = {
        .outcome = fake.outcome, .complete = true, .records = 6, .total = 9, .bad_seq = 7, .why = "hash"};
    ((sp_audit_verify_done *)later.done)(later.arg, &r);
}
static void run_status(void) {
    const struct sp_status_result r = {
        .outcome = fake.outcome, .store_name = "memory", .started_ms = 1700000000000};
    ((sp_status_done *)later.done)(later.arg, &r);
}

static void run_measures(void) {
    const struct sp_measures m = {.outcome = fake.outcome, .store_name = "memory"};
    ((sp_measures_done *)later.done)(later.arg, &m);
}

static void need_admin(struct sp_app *app, const struct sp_call *call) {
    fake_need_principal(call);
    assert_true(sp_app_permits(app, call->principal, SP_SLICE_LIT("sallyport:admin")));
}
void sp_app_user_add(struct sp_app *app, const struct sp_call *call, const struct sp_user_add_request *in,
                     sp_users_done *done, void *arg) {
    need_admin(app, call);
    fake_say("user_add %.*s|%.*s|%.*s", S(in->name), S(in->password), S(in->roles));
    fake_later(run_users, done, arg);
}
void sp_app_session_add(struct sp_app *app, const struct sp_call *call,
                        const struct sp_session_add_request *in, sp_tokens_done *done, void *arg) {
    need_admin(app, call);
    fake_say("session_add %.*s|%s%.*s|%.*s|%.*s|%.*s|%lld", S(in->subject), in->has_roles ? "roles " : "",
             S(in->roles), S(in->scope), S(in->amr), S(in->device), (long long)in->auth_time_s);
    later.mode = SP_MODE_TOKEN;
    fake_later(fake_run_tokens, done, arg);
}
void sp_app_user_show(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                      sp_users_done *done, void *arg) {
    need_admin(app, call);
    fake_say("user_show %.*s", S(name_or_id));
    fake_later(run_users, done, arg);
}
void sp_app_users_list(struct sp_app *app, const struct sp_call *call, sp_slice after, uint32_t limit,
                       sp_users_done *done, void *arg) {
    need_admin(app, call);
    fake_say("users_list %.*s|%u", S(after), limit);
    fake_later(run_users, done, arg);
}
void sp_app_user_edit(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                      enum sp_user_edit what, sp_slice value, sp_plain_done *done, void *arg) {
    need_admin(app, call);
    fake_say("user_edit %.*s|%d|%.*s", S(name_or_id), (int)what, S(value));
    fake_later(fake_run_plain, done, arg);
}
void sp_app_roles_list(struct sp_app *app, const struct sp_call *call, sp_roles_done *done, void *arg) {
    need_admin(app, call);
    fake_say("roles_list");
    fake_later(run_roles, done, arg);
}
void sp_app_role_set(struct sp_app *app, const struct sp_call *call, sp_slice name, sp_slice permissions,
                     sp_plain_done *done, void *arg) {
    need_admin(app, call);
    fake_say("role_set %.*s|%.*s", S(name), S(permissions));
    fake_later(fake_run_plain, done, arg);
}
void sp_app_role_delete(struct sp_app *app, const struct sp_call *call, sp_slice name, sp_plain_done *done,
                        void *arg) {
    need_admin(app, call);
    fake_say("role_delete %.*s", S(name));
    fake_later(fake_run_plain, done, arg);
}
void sp_app_sessions_list(struct sp_app *app, const struct sp_call *call, sp_slice user, bool with_ended,
                          sp_slice after, uint32_t limit, sp_sessions_done *done, void *arg) {
    need_admin(app, call);
    fake_say("sessions_list %.*s|%d|%.*s|%u", S(user), with_ended, S(after), limit);
    fake_later(fake_run_sessions, done, arg);
}
void sp_app_revoke(struct sp_app *app, const struct sp_call *call, enum sp_revoke_target target,
                   sp_slice value, sp_plain_done *done, void *arg) {
    need_admin(app, call);
    fake_say("revoke %d|%.*s", (int)target, S(value));
    fake_later(fake_run_plain, done, arg);
}
void sp_app_clients_list(struct sp_app *app, const struct sp_call *call, sp_slice after, uint32_t limit,
                         sp_clients_done *done, void *arg) {
    need_admin(app, call);
    fake_say("clients_list %.*s|%u", S(after), limit);
    fake_later(run_clients, done, arg);
}
void sp_app_client_show(struct sp_app *app, const struct sp_call *call, sp_slice id, sp_clients_done *done,
                        void *arg) {
    need_admin(app, call);
    fake_say("client_show %.*s", S(id));
    fake_later(run_clients, done, arg);
}
void sp_app_client_add(struct sp_app *app, const struct sp_call *call, const struct sp_client_add_request *in,
                       sp_clients_done *done, void *arg) {
    need_admin(app, call);
    const struct sp_client_options *o = &in->options;
    fake_say("client_add %.*s|%.*s|%d|%.*s|%.*s|%.*s|%d", S(in->id), S(in->secret), o->feed,
             S(o->auth_method), S(o->redirect_uris), S(o->jwks), o->keeps_refresh);
    fake_later(run_clients, done, arg);
}
void sp_app_client_set(struct sp_app *app, const struct sp_call *call, sp_slice id,
                       const struct sp_client_options *options, uint64_t expect_version,
                       sp_clients_done *done, void *arg) {
    need_admin(app, call);
    fake_say("client_set %.*s|%llu|%.*s|%d", S(id), (unsigned long long)expect_version, S(options->scopes),
             options->trusted);
    fake_later(run_clients, done, arg);
}
void sp_app_client_rotate(struct sp_app *app, const struct sp_call *call, sp_slice id,
                          const struct sp_client_rotate_request *in, sp_clients_done *done, void *arg) {
    need_admin(app, call);
    fake_say("client_rotate %.*s|%lld|%.*s", S(id), (long long)in->overlap_s, S(in->secret));
    fake_later(run_clients, done, arg);
}
void sp_app_client_edit(struct sp_app *app, const struct sp_call *call, sp_slice id, enum sp_client_edit what,
                        sp_plain_done *done, void *arg) {
    need_admin(app, call);
    fake_say("client_edit %.*s|%d", S(id), (int)what);
    fake_later(fake_run_plain, done, arg);
}

void sp_app_keys_list(struct sp_app *app, const struct sp_call *call, sp_keys_done *done, void *arg) {
    need_admin(app, call);
    fake_say("keys_list");
    fake_later(run_keys, done, arg);
}
void sp_app_key_rotate(struct sp_app *app, const struct sp_call *call, enum sp_key_use use, bool immediately,
                       sp_keys_done *done, void *arg) {
    need_admin(app, call);
    fake_say("key_rotate %d|%d", (int)use, immediately);
    fake_later(run_keys, done, arg);
}
void sp_app_key_revoke(struct sp_app *app, const struct sp_call *call, sp_slice kid, sp_plain_done *done,
                       void *arg) {
    need_admin(app, call);
    fake_say("key_revoke %.*s", S(kid));
    fake_later(fake_run_plain, done, arg);
}
void sp_app_audit_list(struct sp_app *app, const struct sp_call *call, const struct sp_audit_query *in,
                       sp_audit_done *done, void *arg) {
    need_admin(app, call);
    fake_say("audit_list %llu|%u|%.*s|%.*s|%lld|%lld", (unsigned long long)in->after_seq, in->limit,
             SP_SLICE_FMT(in->user), SP_SLICE_FMT(in->action), (long long)in->since_ms,
             (long long)in->until_ms);
    fake_later(run_audit, done, arg);
}
void sp_app_audit_checkpoint(struct sp_app *app, const struct sp_call *call, sp_audit_checkpoint_done *done,
                             void *arg) {
    (void)app, (void)call;
    fake_say("audit_checkpoint");
    fake_later(run_checkpoint, done, arg);
}
void sp_app_user_erase(struct sp_app *app, const struct sp_call *call, sp_slice name_or_id,
                       uint64_t after_seq, sp_erase_done *done, void *arg) {
    (void)app, (void)call;
    fake_say("user_erase %.*s|%llu", SP_SLICE_FMT(name_or_id), (unsigned long long)after_seq);
    fake_later(run_erase, done, arg);
}
void sp_app_backup_start(struct sp_app *app, const struct sp_call *call, sp_slice path, sp_backup_done *done,
                         void *arg) {
    (void)app, (void)call;
    fake_say("backup_start %.*s", SP_SLICE_FMT(path));
    fake_later(run_backup, done, arg);
}
void sp_app_backup_status(struct sp_app *app, const struct sp_call *call, sp_backup_done *done, void *arg) {
    (void)app, (void)call;
    fake_say("backup_status");
    fake_later(run_backup, done, arg);
}
void sp_app_audit_prune(struct sp_app *app, const struct sp_call *call,
                        const struct sp_audit_checkpoint *checkpoint, sp_audit_prune_done *done, void *arg) {
    need_admin(app, call);
    fake_say("audit_prune %llu|%lld|%02x|%02x", (unsigned long long)checkpoint->count,
             (long long)checkpoint->time_ms, checkpoint->head[0], checkpoint->mac[31]);
    fake_later(run_audit_prune, done, arg);
}
void sp_app_audit_verify(struct sp_app *app, const struct sp_call *call,
                         const struct sp_audit_verify_request *in, sp_audit_verify_done *done, void *arg) {
    need_admin(app, call);
    fake_say("audit_verify %llu|%llu", (unsigned long long)in->after_seq,
             (unsigned long long)(in->checkpoint == NULL ? 0 : in->checkpoint->count));
    fake_later(run_audit_verify, done, arg);
}
void sp_app_status(struct sp_app *app, const struct sp_call *call, sp_status_done *done, void *arg) {
    need_admin(app, call);
    fake_say("status");
    fake_later(run_status, done, arg);
}

void sp_app_measure(struct sp_app *app, const struct sp_call *call, sp_measures_done *done, void *arg) {
    (void)app;
    fake_check_call(call);
    fake_say("measure");
    fake_later(run_measures, done, arg);
}
