/* Access tokens: each one that is still remembered either must pass, or must not, or may do either while
 * somebody is about to change that. */
#include "sim_app.h"

void sim_app_access_issued(struct sim *s, struct sim_family *f, const struct sp_tokens_result *t,
                           int64_t begun_ms) {
    struct sim_access *a = &f->access[f->access_at++ % SIM_ACCESS_KEPT];
    free(a->text);
    *a = (struct sim_access){.text = malloc(t->access_token.n), .n = t->access_token.n};
    sp_assert(a->text != NULL);
    memcpy(a->text, t->access_token.p, a->n);
    a->exp_s = s->now_ms / 1000 + t->access_expires_in_s; /* at the latest */
    a->begun_ms = begun_ms;
    a->ended_ms = s->now_ms;
    a->start = s->start;
}

/* Sessions that a restore has forgotten are nobody's; and a token of the time that was lost may carry an
 * epoch that has come again since. */
static bool must_be_refused(struct sim *s, const struct sim_family *f, const struct sim_access *a) {
    struct sim_app *app = sim_app_of(s);
    const struct sim_app_user *u = sim_app_user_of(s, f->user);
    struct sp_session_row row;
    bool is_of_lost_time = a->start < app->restored_start;
    if (a->exp_s <= s->now_ms / 1000 || a->jti_revoked) return true;
    if (is_of_lost_time && !app->kept_sessions) return true;
    bool was_before = a->ended_ms <= f->ended_ms;
    if (f->ended) return !is_of_lost_time || (was_before && s->server->peek(s, f, &row));
    return !is_of_lost_time && a->ended_ms < u->epoch_raised_ms;
}

static bool must_pass(struct sim *s, const struct sim_family *f, const struct sim_access *a) {
    struct sim_app *app = sim_app_of(s);
    const struct sim_app_user *u = sim_app_user_of(s, f->user);
    bool quiet = u->ending == 0 && a->begun_ms > u->quiet_since_ms;
    bool thief = f->used_by_thief || f->user->used_by_thief;
    bool young = a->exp_s - sim_app_of(s)->config.access_ttl_s + 60 > s->now_ms / 1000; /* exp_s is a bound */
    return f->born && quiet && young && !thief && !f->maybe_ended && !a->jti_asked &&
           a->start >= app->restored_start;
}

enum sim_access_must sim_app_access_must(struct sim *s, const struct sim_family *f,
                                         const struct sim_access *a) {
    if (must_be_refused(s, f, a)) return SIM_ACCESS_REFUSED;
    return must_pass(s, f, a) ? SIM_ACCESS_PASS : SIM_ACCESS_EITHER;
}

static void check(struct sim *s, struct sim_family *f, struct sim_access *a) {
    struct sim_app *app = sim_app_of(s);
    struct sp_principal p;
    enum sp_reject reject = sp_app_authenticate(app->app, sp_slice_of(a->text, a->n), &p);
    if (reject != SP_REJECT_NONE) {
        if (must_pass(s, f, a))
            sim_fail(s, "a good access token of family %u is refused: %d", f->index, (int)reject);
        return;
    }
    if (must_be_refused(s, f, a)) sim_fail(s, "a bad access token of family %u passes", f->index);
    bool right = memcmp(p.sid, f->sid, sizeof(f->sid)) == 0 &&
                 memcmp(p.user_id, sim_app_user_of(s, f->user)->id, sizeof(p.user_id)) == 0;
    if (!right) sim_fail(s, "an access token of family %u is somebody else's", f->index);
}

void sim_app_access_check(struct sim *s, struct sim_family *f) {
    for (size_t i = 0; i < SIM_ACCESS_KEPT; i++) {
        if (f->access[i].text != NULL) check(s, f, &f->access[i]);
    }
}

struct sim_access *sim_app_access_valid(struct sim *s, const struct sim_family *f, struct sp_principal *ret) {
    for (size_t i = 0; i < SIM_ACCESS_KEPT; i++) {
        const struct sim_access *a = &f->access[i];
        if (a->text == NULL) continue;
        if (sp_app_authenticate(sim_app_of(s)->app, sp_slice_of(a->text, a->n), ret) == SP_REJECT_NONE)
            return (struct sim_access *)(uintptr_t)a;
    }
    return NULL;
}
