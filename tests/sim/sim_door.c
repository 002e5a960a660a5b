/* Straight into the use cases, as handlers call them. */
#include "sim_app.h"

static void nothing(struct sim *s) {
    (void)s;
}

static bool nothing_left(struct sim *s) {
    (void)s;
    return false;
}

static void refresh(struct sim *s, struct sim_family *f, const struct sp_refresh_request *in,
                    sp_tokens_done *done, void *arg) {
    (void)f;
    struct sp_call call = sim_app_call(s);
    sp_app_refresh(sim_app_of(s)->app, &call, in, done, arg);
}

static void login(struct sim *s, const struct sp_login_request *in, sp_tokens_done *done, void *arg) {
    struct sp_call call = sim_app_call(s);
    sp_app_login(sim_app_of(s)->app, &call, in, done, arg);
}

static void logout(struct sim *s, struct sim_family *f, const struct sp_logout_request *in,
                   sp_plain_done *done, void *arg) {
    (void)f;
    struct sp_call call = sim_app_call(s);
    sp_app_logout(sim_app_of(s)->app, &call, in, done, arg);
}

static struct sp_call call_of(struct sim *s, const struct sim_person *p, struct sp_principal *principal) {
    struct sp_call call = sim_app_call(s);
    const sp_slice token = sp_slice_of(p->access->text, p->access->n);
    sp_assert(sp_app_authenticate(sim_app_of(s)->app, token, principal) == SP_REJECT_NONE);
    call.principal = principal;
    return call;
}

static void logout_all(struct sim *s, const struct sim_person *p, sp_plain_done *done, void *arg) {
    struct sp_principal principal;
    struct sp_call call = call_of(s, p, &principal);
    sp_app_logout_all(sim_app_of(s)->app, &call, done, arg);
}

static void end_own(struct sim *s, const struct sim_person *p, sp_slice sid, sp_plain_done *done, void *arg) {
    struct sp_principal principal;
    struct sp_call call = call_of(s, p, &principal);
    sp_app_session_end_own(sim_app_of(s)->app, &call, sid, done, arg);
}

static void password(struct sim *s, const struct sim_person *p, const struct sp_password_request *in,
                     sp_plain_done *done, void *arg) {
    struct sp_principal principal;
    struct sp_call call = call_of(s, p, &principal);
    sp_app_password_change(sim_app_of(s)->app, &call, in, done, arg);
}

static void revoke_it(struct sim *s, enum sp_revoke_target target, sp_slice what, sp_plain_done *done,
                      void *arg) {
    struct sp_call call = sim_app_call(s);
    sp_app_revoke(sim_app_of(s)->app, &call, target, what, done, arg);
}

static void user_edit(struct sim *s, sp_slice name, enum sp_user_edit what, sp_slice value,
                      sp_plain_done *done, void *arg) {
    struct sp_call call = sim_app_call(s);
    sp_app_user_edit(sim_app_of(s)->app, &call, name, what, value, done, arg);
}

static void rotated(void *arg, const struct sp_keys_result *result) {
    (void)arg, (void)result;
}

static void rotate(struct sim *s, enum sp_key_use use, bool immediately) {
    struct sp_call call = sim_app_call(s);
    sp_app_key_rotate(sim_app_of(s)->app, &call, use, immediately, rotated, NULL);
}

const struct sim_door sim_door_direct = {.open = nothing,
                                         .drain = nothing_left,
                                         .close = nothing,
                                         .refresh = refresh,
                                         .login = login,
                                         .logout = logout,
                                         .logout_all = logout_all,
                                         .end_own = end_own,
                                         .password = password,
                                         .revoke = revoke_it,
                                         .user_edit = user_edit,
                                         .rotate = rotate};
