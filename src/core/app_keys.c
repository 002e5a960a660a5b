/* A plan for the keys, made into one change set: each row together with its record. */
#include "core/app_internal.h"

void sp_key_set_done(struct sp_key_set *set) {
    for (size_t i = 0; set->records != NULL && i < set->changes.n; i++) sp_audit_entry_done(&set->records[i]);
    free(set->records);
    free(set->set);
    sp_key_changes_done(&set->changes);
    *set = (struct sp_key_set)SP_KEY_SET_INIT;
}

/* `like` says who and from where. */
static sp_status record(const struct sp_app *app, const struct sp_audit_event *like, int64_t now_ms,
                        struct sp_key_set *set, size_t i) {
    struct sp_log_field fields[3];
    struct sp_audit_event event;
    sp_key_change_event(&set->changes.v[i], fields, &event);
    event.actor = like->actor;
    event.address = like->address;
    event.user_agent = like->user_agent;
    event.request_id = like->request_id;
    return sp_audit_build(&event, now_ms, &app->deps.random, &set->records[i]);
}

static sp_status fill(const struct sp_app *app, const struct sp_audit_event *like, int64_t now_ms,
                      struct sp_key_set *set) {
    size_t n = set->changes.n;
    set->records = calloc(n + 1, sizeof(*set->records));
    set->set = calloc(2 * n + 1, sizeof(*set->set));
    if (set->records == NULL || set->set == NULL) return sp_err(SP_E_NOMEM);
    for (size_t i = 0; i < n; i++) set->records[i] = (struct sp_audit_entry)SP_AUDIT_ENTRY_INIT;
    for (size_t i = 0; i < n; i++) {
        SP_TRY(record(app, like, now_ms, set, i));
        set->set[i] = sp_key_change_put(&set->changes, i);
        set->set[n + i] = sp_audit_entry_change(&set->records[i]);
    }
    return SP_SUCCESS;
}

sp_status sp_key_set_make(const struct sp_app *app, const struct sp_key_plan *plan,
                          const struct sp_key_row *rows, size_t n, const struct sp_audit_event *like,
                          struct sp_key_set *ret) {
    struct sp_key_schedule schedule = sp_app_key_schedule(app);
    int64_t now_ms = sp_app_now_ms(app);
    struct sp_key_set set = SP_KEY_SET_INIT;
    sp_status s = sp_keys_carry_out(plan, rows, n, SP_SLICE_ARRAY(app->master_key), &app->deps.random, now_ms,
                                    &schedule, &set.changes);
    if (sp_ok(s)) s = fill(app, like, now_ms, &set);
    if (!sp_ok(s)) {
        sp_key_set_done(&set);
        return s;
    }
    *ret = set;
    return SP_SUCCESS;
}
