/* Ends: each in two halves, since the answer may be lost. When it is submitted, what it concerns may be over;
 * when it is acknowledged, it is. */
#include "sim_app.h"

#include "token/ids.h"

enum { ENABLE_AGAIN_MS = 5000 };

enum kind {
    END_LOGOUT,
    END_LOGOUT_ALL,
    END_OWN,
    END_PASSWORD,
    END_ADMIN_SESSION,
    END_ADMIN_USER,
    END_ADMIN_EVERYONE,
    END_ADMIN_JTI,
    END_ADMIN_PASSWORD,
    END_DISABLE,
    END_ENABLE,
    END_ROLES,
    END_KINDS
};

struct op {
    struct sim_event event;
    struct sim *sim;
    enum kind kind;
    struct sim_user *user;        /* NULL: everyone */
    struct sim_family *family;    /* NULL: all of the user's */
    const struct sim_family *but; /* ... but this */
    struct sim_access *access;
    const char *access_text; /* that it had then */
    bool second_password;
    bool has_role, takes_role;
    int64_t begun_ms;
    uint32_t families_n;
    uint32_t start;
};

static const char *const names[END_KINDS] = {
    "logout",       "logout of all", "end of another",   "change of password",
    "end by admin", "user revoked",  "everyone revoked", "token revoked",
    "password set", "disabled",      "enabled",          "roles set"};

static bool is_of_user(const struct op *op, const struct sim_user *u) {
    return op->user == NULL || op->user == u;
}

static bool concerns(const struct op *op, const struct sim_family *f) {
    if (op->kind == END_ADMIN_JTI || op->kind == END_ENABLE || op->kind == END_ROLES) return false;
    if (op->family != NULL) return f == op->family;
    return is_of_user(op, f->user) && f != op->but;
}

static void count_users(struct op *op, int by) {
    struct sim *s = op->sim;
    for (uint32_t i = 0; i < s->users_n; i++) {
        if (!is_of_user(op, &s->users[i])) continue;
        struct sim_app_user *u = sim_app_user_of(s, &s->users[i]);
        u->ending += (uint32_t)by;
        u->quiet_since_ms = s->now_ms;
    }
}

static struct op *op_new(struct sim *s, const struct op *like) {
    struct op *op = malloc(sizeof(*op));
    sp_assert(op != NULL);
    *op = *like;
    op->sim = s;
    op->begun_ms = s->now_ms;
    op->families_n = s->families_n;
    op->start = s->start;
    sim_trace(s, "%s is asked for (user %d, family %d)", names[op->kind],
              op->user != NULL ? (int)op->user->index : -1, op->family != NULL ? (int)op->family->index : -1);
    count_users(op, 1);
    for (uint32_t i = 0; i < s->families_n; i++) {
        if (concerns(op, s->families[i])) s->families[i]->maybe_ended = true;
    }
    return op;
}

static bool raises_epoch(const struct op *op) {
    return op->kind == END_LOGOUT_ALL || op->kind == END_ADMIN_USER || op->kind == END_ADMIN_EVERYONE ||
           op->kind == END_DISABLE || op->takes_role;
}

static void acknowledged(struct op *op) {
    struct sim *s = op->sim;
    for (uint32_t i = 0; i < op->families_n; i++) {
        struct sim_family *f = s->families[i];
        if (concerns(op, f) && f->born) sim_family_over(s, f, names[op->kind]);
    }
    for (uint32_t i = 0; raises_epoch(op) && i < s->users_n; i++) {
        if (is_of_user(op, &s->users[i])) sim_app_user_of(s, &s->users[i])->epoch_raised_ms = op->begun_ms;
    }
    if (op->kind == END_ADMIN_JTI && op->access->text == op->access_text) op->access->jti_revoked = true;
    struct sim_app_user *u = op->user != NULL ? sim_app_user_of(s, op->user) : NULL;
    if (op->kind == END_PASSWORD || op->kind == END_ADMIN_PASSWORD) {
        u->has_second_password = op->second_password;
        u->password_unsure = u->ending != 0;
    }
    if (op->kind == END_ROLES) {
        u->has_role = op->has_role;
        u->roles_unsure = u->ending != 0;
    }
    if (op->kind == END_ENABLE && u->ending == 0) u->maybe_disabled = false;
}

static void check_all(struct op *op) {
    struct sim *s = op->sim;
    for (uint32_t i = 0; i < s->families_n; i++) {
        if (is_of_user(op, s->families[i]->user)) sim_app_access_check(s, s->families[i]);
    }
}

static void enable_again(struct sim *s, struct sim_event *e) {
    struct op *op = SP_CONTAINER_OF(e, struct op, event);
    sim_app_enable(s, op->user);
    free(op);
}

static void done(void *arg, const struct sp_plain_result *result) {
    struct op *op = arg;
    struct sim *s = op->sim;
    count_users(op, -1);
    sim_trace(s, "  server: %s: %s", names[op->kind], sp_outcome_code(result->outcome));
    bool is_ok = result->outcome == SP_OUTCOME_OK;
    if (result->outcome == SP_OUTCOME_INTERNAL) sim_fail(s, "%s: internal error", names[op->kind]);
    if (is_ok) acknowledged(op);
    if (!s->down && is_ok) check_all(op);
    bool again = (op->kind == END_DISABLE) || (op->kind == END_ENABLE && !is_ok);
    again = again || (op->kind == END_ENABLE && sim_app_user_of(s, op->user)->maybe_disabled);
    if (again)
        sim_at(s, &op->event, s->now_ms + sim_between(s, 1, ENABLE_AGAIN_MS), enable_again);
    else
        free(op);
}

/* ---- each of them ---- */

void sim_app_logout(struct sim *s, struct sim_family *f, const char *token) {
    if (s->down) return;
    struct op *op = op_new(s, &(struct op){.kind = END_LOGOUT, .user = f->user, .family = f});
    struct sp_logout_request in = {.refresh_token = sp_slice_of(token, SP_REFRESH_CHARS)};
    sim_app_of(s)->door->logout(s, f, &in, done, op);
}

void sim_app_enable(struct sim *s, struct sim_user *u) {
    struct op *op = op_new(s, &(struct op){.kind = END_ENABLE, .user = u});
    if (s->down) {
        done(op, &(struct sp_plain_result){.outcome = SP_OUTCOME_STORE_UNAVAILABLE});
        return;
    }
    sim_app_of(s)->door->user_edit(s, sp_slice_cstr(u->name), SP_USER_ENABLE, SP_SLICE_EMPTY, done, op);
}

static void disable(struct sim *s, struct sim_user *u) {
    sim_app_user_of(s, u)->maybe_disabled = true;
    struct op *op = op_new(s, &(struct op){.kind = END_DISABLE, .user = u});
    sim_app_of(s)->door->user_edit(s, sp_slice_cstr(u->name), SP_USER_DISABLE, SP_SLICE_EMPTY, done, op);
}

static void set_password(struct sim *s, struct sim_user *u) {
    bool second = sim_chance(s, 50);
    struct op *op = op_new(s, &(struct op){.kind = END_ADMIN_PASSWORD, .user = u, .second_password = second});
    sim_app_user_of(s, u)->password_unsure = true;
    sim_app_of(s)->door->user_edit(s, sp_slice_cstr(u->name), SP_USER_SET_PASSWORD,
                                   sp_slice_cstr(sim_app_password(second)), done, op);
}

/* Tokens that still show a role that was taken do not pass; the sessions go on. */
static void set_roles(struct sim *s, struct sim_user *u) {
    struct sim_app_user *au = sim_app_user_of(s, u);
    const bool has_role = sim_chance(s, 50);
    const bool takes_role = au->has_role && !au->roles_unsure && !has_role;
    struct op *op =
        op_new(s, &(struct op){.kind = END_ROLES, .user = u, .has_role = has_role, .takes_role = takes_role});
    au->roles_unsure = true;
    sim_app_of(s)->door->user_edit(s, sp_slice_cstr(u->name), SP_USER_SET_ROLES,
                                   sp_slice_cstr(has_role ? SIM_ROLE : ""), done, op);
}

static void change_password(struct sim *s, const struct sim_person *p) {
    struct sim_family *f = p->family;
    struct sim_app_user *u = sim_app_user_of(s, f->user);
    bool second = !u->has_second_password;
    struct op *op =
        op_new(s, &(struct op){.kind = END_PASSWORD, .user = f->user, .but = f, .second_password = second});
    struct sp_password_request in = {.current = sp_slice_cstr(sim_app_password(!second)),
                                     .wanted = sp_slice_cstr(sim_app_password(second))};
    u->password_unsure = true;
    sim_app_of(s)->door->password(s, p, &in, done, op);
}

static void logout_all(struct sim *s, const struct sim_person *p) {
    struct op *op = op_new(s, &(struct op){.kind = END_LOGOUT_ALL, .user = p->family->user});
    sim_app_of(s)->door->logout_all(s, p, done, op);
}

static sp_slice sid_text(const struct sim_family *f, char text[SP_SID_CHARS]) {
    sp_sid sid;
    memcpy(sid.b, f->sid, sizeof(sid.b));
    sp_sid_text(sid, text);
    return sp_slice_of(text, SP_SID_CHARS);
}

static void end_own(struct sim *s, const struct sim_person *p) {
    const struct sim_family *f = p->family;
    char text[SP_SID_CHARS];
    struct sim_family *other = s->families[sim_below(s, s->families_n)];
    if (!other->born || other->user != f->user) return;
    struct op *op = op_new(s, &(struct op){.kind = END_OWN, .user = f->user, .family = other});
    sim_app_of(s)->door->end_own(s, p, sid_text(other, text), done, op);
}

static void logout_by_access(struct sim *s, const struct sim_person *p) {
    struct op *op = op_new(s, &(struct op){.kind = END_LOGOUT, .user = p->family->user, .family = p->family});
    struct sp_logout_request in = {.access_token = sp_slice_of(p->access->text, p->access->n)};
    sim_app_of(s)->door->logout(s, p->family, &in, done, op);
}

static void by_person(struct sim *s, struct sim_family *f) {
    static void (*const acts[])(struct sim *, const struct sim_person *) = {
        logout_all, end_own, change_password, logout_by_access};
    struct sp_principal principal;
    const struct sim_person p = {.family = f, .access = sim_app_access_valid(s, f, &principal)};
    if (p.access != NULL) acts[sim_below(s, SP_ARRAY_LEN(acts))](s, &p);
}

static void revoke_jti(struct sim *s, struct sim_family *f) {
    struct sp_principal p;
    struct sim_access *a = sim_app_access_valid(s, f, &p);
    if (a == NULL) return;
    char text[SP_ID_CHARS];
    sp_id jti;
    memcpy(jti.b, p.jti, sizeof(jti.b));
    sp_id_text(jti, text);
    a->jti_asked = true;
    struct op *op =
        op_new(s, &(struct op){.kind = END_ADMIN_JTI, .user = f->user, .access = a, .access_text = a->text});
    sim_app_of(s)->door->revoke(s, SP_TARGET_JTI, SP_SLICE_ARRAY(text), done, op);
}

static void by_admin(struct sim *s, struct sim_family *f) {
    const struct sim_door *door = sim_app_of(s)->door;
    char text[SP_SID_CHARS];
    uint64_t what = sim_below(s, 100);
    if (what < 30) {
        struct op *op = op_new(s, &(struct op){.kind = END_ADMIN_SESSION, .user = f->user, .family = f});
        door->revoke(s, SP_TARGET_SESSION, sid_text(f, text), done, op);
    } else if (what < 50) {
        struct op *op = op_new(s, &(struct op){.kind = END_ADMIN_USER, .user = f->user});
        door->revoke(s, SP_TARGET_USER, sp_slice_cstr(f->user->name), done, op);
    } else if (what < 58) {
        struct op *op = op_new(s, &(struct op){.kind = END_ADMIN_EVERYONE});
        door->revoke(s, SP_TARGET_EVERYONE, SP_SLICE_EMPTY, done, op);
    } else if (what < 75) {
        revoke_jti(s, f);
    } else if (what < 82) {
        set_password(s, f->user);
    } else if (what < 91) {
        set_roles(s, f->user);
    } else {
        disable(s, f->user);
    }
}

void sim_app_end_something(struct sim *s) {
    if (s->families_n == 0) return;
    uint32_t recent = s->families_n < 12 ? s->families_n : 12;
    struct sim_family *f = s->families[s->families_n - 1 - sim_below(s, recent)];
    if (!f->born) return;
    if (sim_chance(s, 50))
        by_person(s, f);
    else
        by_admin(s, f);
}
