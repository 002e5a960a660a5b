/* The use cases of administration on a whole app: what they answer, what is enforced afterwards, what the log
 * says. */
#include "app_bench.h"

#include "core/app_internal.h"
#include "token/ids.h"

/* ---- asking ---- */

struct users {
    uint32_t answers;
    enum sp_outcome outcome;
    size_t n;
    struct sp_user_row rows[8];
    char next[128];
    size_t next_n;
};

static void users_done(void *arg, const struct sp_users_result *r) {
    struct users *u = arg;
    u->answers++;
    u->outcome = r->outcome;
    u->n = r->n;
    assert_true(r->n <= SP_ARRAY_LEN(u->rows) && r->next.n <= sizeof(u->next));
    for (size_t i = 0; i < r->n; i++) {
        u->rows[i] = r->rows[i];
        assert_int_equal(r->rows[i].password.n, 0); /* never leaves */
    }
    if (r->next.n != 0) memcpy(u->next, r->next.p, u->next_n = r->next.n);
}

static struct users add(struct bench *b, const char *name, const char *password, const char *roles) {
    struct users u = {0};
    struct sp_call call = bench_call_admin(b);
    struct sp_user_add_request in = {sp_slice_cstr(name), sp_slice_cstr(password), sp_slice_cstr(roles)};
    sp_app_user_add(b->app, &call, &in, users_done, &u);
    assert_int_equal(u.answers, 0);
    bench_run(b);
    assert_int_equal(u.answers, 1);
    return u;
}

static struct users show(struct bench *b, sp_slice who) {
    struct users u = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_user_show(b->app, &call, who, users_done, &u);
    bench_run(b);
    assert_int_equal(u.answers, 1);
    return u;
}

static struct plain edit(struct bench *b, const char *who, enum sp_user_edit what, const char *value) {
    struct plain p = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_user_edit(b->app, &call, sp_slice_cstr(who), what, sp_slice_cstr(value), bench_plain_done, &p);
    assert_int_equal(p.answers, 0);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p;
}

static struct plain revoke(struct bench *b, enum sp_revoke_target target, sp_slice value) {
    struct plain p = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_revoke(b->app, &call, target, value, bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p;
}

static enum sp_outcome role_set(struct bench *b, const char *name, const char *permissions) {
    struct plain p = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_role_set(b->app, &call, sp_slice_cstr(name), sp_slice_cstr(permissions), bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p.outcome;
}

static enum sp_outcome role_delete(struct bench *b, const char *name) {
    struct plain p = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_role_delete(b->app, &call, sp_slice_cstr(name), bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p.outcome;
}

static bool permits(struct bench *b, const struct tokens *t, const char *permission) {
    struct sp_principal p;
    assert_int_equal(sp_app_authenticate(b->app, sp_slice_of(t->access, t->access_n), &p), SP_REJECT_NONE);
    return sp_app_permits(b->app, &p, sp_slice_cstr(permission));
}

/* ---- users ---- */

static void added_user_can_log_in_and_is_recorded(void **state) {
    struct bench *b = *state;
    struct users u = add(b, "Grace Hopper", "a fine password", "writer writer");
    assert_int_equal(u.outcome, SP_OUTCOME_OK);
    assert_int_equal(u.n, 1);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&u.rows[0].name), "grace hopper"));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&u.rows[0].display), "Grace Hopper"));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&u.rows[0].roles), "writer"));
    assert_int_equal(bench_login_as(b, "GRACE hopper", "a fine password", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_OK);
    assert_int_equal(bench_records(b, "user_added"), 1);
}

static void user_that_cannot_be_is_refused_with_its_reason(void **state) {
    struct bench *b = *state;
    assert_int_equal(add(b, "ADA", "a fine password", "").outcome, SP_OUTCOME_ALREADY_EXISTS);
    assert_int_equal(add(b, " grace", "a fine password", "").outcome, SP_OUTCOME_INVALID_REQUEST);
    assert_int_equal(add(b, "grace", "short", "").outcome, SP_OUTCOME_PASSWORD_REJECTED);
    assert_int_equal(add(b, "gracehopper", "GraceHopper", "").outcome, SP_OUTCOME_PASSWORD_REJECTED);
    assert_int_equal(add(b, "grace", "a fine password", "writer pilot").outcome, SP_OUTCOME_UNKNOWN_ROLE);
    assert_int_equal(add(b, "grace", "a fine password", "bad!role").outcome, SP_OUTCOME_INVALID_REQUEST);
    b->hash_full = true;
    assert_int_equal(add(b, "grace", "a fine password", "").outcome, SP_OUTCOME_OVERLOADED);
    b->hash_full = false;
    assert_int_equal(bench_records(b, "user_added"), 0);
}

static void user_without_a_password_cannot_log_in_with_one(void **state) {
    struct bench *b = *state;
    assert_int_equal(add(b, "robot", "", "").outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_login_as(b, "robot", "", SP_MODE_TOKEN).outcome, SP_OUTCOME_INVALID_CREDENTIALS);
}

static void user_is_shown_by_name_and_by_id(void **state) {
    struct bench *b = *state;
    struct sp_user_row ada = bench_user(b, "ada");
    sp_text64 id;
    sp_audit_actor_user(ada.id, &id);
    assert_int_equal(show(b, SP_SLICE_LIT("ADA")).outcome, SP_OUTCOME_OK);
    struct users u = show(b, SP_TEXT_SLICE(&id));
    assert_int_equal(u.outcome, SP_OUTCOME_OK);
    assert_memory_equal(u.rows[0].id, ada.id, sizeof(ada.id));
    assert_int_equal(show(b, SP_SLICE_LIT("nobody")).outcome, SP_OUTCOME_NOT_FOUND);
    assert_int_equal(show(b, SP_SLICE_LIT("AAAAAAAAAAAAAAAAAAAAAA")).outcome, SP_OUTCOME_NOT_FOUND);
    assert_int_equal(show(b, SP_SLICE_EMPTY).outcome, SP_OUTCOME_NOT_FOUND);
}

/* The attack: take a name that reads as another's id, so that what is done to the id is done to you instead.
 */
static void name_that_looks_like_an_id_does_not_stand_before_it(void **state) {
    struct bench *b = *state;
    struct sp_user_row ada = bench_user(b, "ada");
    sp_text64 id;
    sp_audit_actor_user(ada.id, &id);
    char name[SP_ID_CHARS + 1] = {0};
    memcpy(name, id.s, SP_ID_CHARS);
    assert_int_equal(add(b, name, "a fine password", "").outcome, SP_OUTCOME_OK);
    struct users u = show(b, SP_TEXT_SLICE(&id));
    assert_memory_equal(u.rows[0].id, ada.id, sizeof(ada.id));
}

static void disabled_user_is_out_at_once_and_enabled_one_may_come_back(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    struct plain p = edit(b, "ada", SP_USER_DISABLE, "");
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 1);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
    assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(bench_session(b, t.sid).cause, SP_END_USER_DISABLED);
    assert_int_equal(bench_login_as(b, "ada", "correct horse", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_INVALID_CREDENTIALS);
    assert_int_equal(edit(b, "ada", SP_USER_DISABLE, "").outcome, SP_OUTCOME_OK); /* so already */
    assert_int_equal(bench_records(b, "user_disabled"), 1);

    assert_int_equal(edit(b, "ada", SP_USER_ENABLE, "").outcome, SP_OUTCOME_OK);
    struct tokens again = bench_login(b);
    assert_int_equal(bench_check(b, &again), SP_REJECT_NONE);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
}

static void deleted_user_is_gone_and_its_name_is_another_user(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    struct sp_user_row ada = bench_user(b, "ada");
    assert_int_equal(edit(b, "ada", SP_USER_DELETE, "").outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
    assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_INVALID_GRANT);
    assert_int_equal(show(b, SP_SLICE_LIT("ada")).outcome, SP_OUTCOME_NOT_FOUND);
    assert_int_equal(edit(b, "ada", SP_USER_DELETE, "").outcome, SP_OUTCOME_NOT_FOUND);
    struct users u = add(b, "ada", "a fine password", "");
    assert_int_equal(u.outcome, SP_OUTCOME_OK);
    assert_memory_not_equal(u.rows[0].id, ada.id, sizeof(ada.id));
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
}

static void role_taken_away_ends_tokens_but_not_the_session(void **state) {
    struct bench *b = *state;
    assert_int_equal(role_set(b, "reader", "documents:read"), SP_OUTCOME_OK);
    struct tokens t = bench_login(b);
    assert_int_equal(edit(b, "ada", SP_USER_SET_ROLES, "reader writer").outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_check(b, &t), SP_REJECT_NONE); /* one more: the token may go on */
    assert_int_equal(edit(b, "ada", SP_USER_SET_ROLES, "reader").outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
    struct tokens fresh = bench_refresh(b, &t);
    assert_int_equal(fresh.outcome, SP_OUTCOME_OK);
    assert_true(permits(b, &fresh, "documents:read"));
    assert_false(permits(b, &fresh, "documents:write"));
    assert_int_equal(edit(b, "ada", SP_USER_SET_ROLES, "pilot").outcome, SP_OUTCOME_UNKNOWN_ROLE);
    assert_int_equal(bench_records(b, "user_roles_changed"), 2);
}

static void password_that_an_administrator_sets_ends_the_sessions(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    assert_int_equal(edit(b, "ada", SP_USER_SET_PASSWORD, "short").outcome, SP_OUTCOME_PASSWORD_REJECTED);
    assert_int_equal(bench_check(b, &t), SP_REJECT_NONE);
    struct plain p = edit(b, "ada", SP_USER_SET_PASSWORD, "quite another");
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 1);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
    assert_int_equal(bench_login_as(b, "ada", "correct horse", SP_MODE_TOKEN).outcome,
                     SP_OUTCOME_INVALID_CREDENTIALS);
    assert_int_equal(bench_login_as(b, "ada", "quite another", SP_MODE_TOKEN).outcome, SP_OUTCOME_OK);
}

static void users_are_listed_page_by_page(void **state) {
    struct bench *b = *state;
    assert_int_equal(add(b, "bob", "", "").outcome, SP_OUTCOME_OK);
    assert_int_equal(add(b, "cid", "", "").outcome, SP_OUTCOME_OK);
    struct users first = {0}, second = {0}, bad = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_users_list(b->app, &call, SP_SLICE_EMPTY, 2, users_done, &first);
    bench_run(b);
    assert_int_equal(first.n, 2);
    assert_true(first.next_n != 0);
    sp_app_users_list(b->app, &call, sp_slice_of(first.next, first.next_n), 2, users_done, &second);
    bench_run(b);
    assert_int_equal(second.n, 1);
    assert_int_equal(second.next_n, 0);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&second.rows[0].name), "cid"));
    sp_app_users_list(b->app, &call, SP_SLICE_LIT("not=a=cursor"), 2, users_done, &bad);
    bench_run(b);
    assert_int_equal(bad.outcome, SP_OUTCOME_INVALID_REQUEST);
}

/* ---- roles ---- */

static void changed_role_counts_for_tokens_that_are_out_already(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    assert_true(permits(b, &t, "documents:write"));
    assert_int_equal(role_set(b, "writer", "documents:read"), SP_OUTCOME_OK);
    assert_false(permits(b, &t, "documents:write"));
    assert_int_equal(role_delete(b, "writer"), SP_OUTCOME_OK);
    assert_false(permits(b, &t, "documents:read"));
    assert_int_equal(role_delete(b, "writer"), SP_OUTCOME_NOT_FOUND);
    assert_int_equal(role_set(b, "bad name", "x"), SP_OUTCOME_INVALID_REQUEST);
    assert_int_equal(role_set(b, "r", "a:*:b"), SP_OUTCOME_INVALID_REQUEST);
    assert_int_equal(bench_records(b, "role_set"), 1);
    assert_int_equal(bench_records(b, "role_deleted"), 1);
}

/* 400 roles of 3,000 bytes are more than the table of roles may be: as a document of the feed it would not go
 * out. */
static void roles_end_where_the_feed_could_not_carry_them(void **state) {
    enum { WIDE = 3000 };
    struct bench *b = *state;
    char name[16], wide[WIDE + 1];
    int n = 0;
    for (size_t i = 0; i < WIDE; i += 10) (void)snprintf(wide + i, 11, "p%08zu ", i);
    wide[WIDE - 1] = 0;
    do {
        (void)snprintf(name, sizeof(name), "r%d", n++);
    } while (n < 400 && role_set(b, name, wide) == SP_OUTCOME_OK);
    assert_in_range(n, 300, 399);
    assert_int_equal(role_set(b, name, "small"), SP_OUTCOME_OK);
    assert_int_equal(role_set(b, "r0", "small"), SP_OUTCOME_OK);
    assert_int_equal(role_set(b, "r0", wide), SP_OUTCOME_OK);
    assert_int_equal(role_set(b, "r_more", wide), SP_OUTCOME_LIMIT_EXCEEDED);
}

/* ---- revoking ---- */

static void revoked_token_is_refused_and_its_session_goes_on(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    struct sp_principal p;
    sp_text64 jti;
    assert_int_equal(sp_app_authenticate(b->app, sp_slice_of(t.access, t.access_n), &p), SP_REJECT_NONE);
    sp_audit_actor_user(p.jti, &jti);
    assert_int_equal(revoke(b, SP_TARGET_JTI, SP_TEXT_SLICE(&jti)).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
    struct tokens fresh = bench_refresh(b, &t);
    assert_int_equal(bench_check(b, &fresh), SP_REJECT_NONE);
    assert_int_equal(revoke(b, SP_TARGET_JTI, SP_SLICE_LIT("nonsense")).outcome, SP_OUTCOME_INVALID_REQUEST);
}

static void set_wall_clock(struct bench *b, int64_t by_ms) {
    b->now_ms += by_ms;
    b->wall_ahead_ms += by_ms;
}

static void housekeeping(struct bench *b, int times) {
    for (int i = 0; i < times; i++) {
        b->now_ms += 5000;
        sp_app_tick(b->app, &b->queue.executor);
        bench_run(b);
    }
}

/* By a clock that is a day ahead the revocations have lapsed, and so have the tokens; when it is right again,
 * only the tokens would come back. */
static void clock_that_is_wrong_for_a_while_forgets_no_revocation(void **state) {
    enum { DAY_MS = 24 * 3600 * 1000 };
    struct bench *b = *state;
    bench_stop(b);
    b->config.access_ttl_s = 3600;
    bench_start(b);
    struct tokens by_session = bench_login(b), by_user = bench_login(b);
    assert_int_equal(bench_logout_access(b, &by_session).outcome, SP_OUTCOME_OK);
    assert_int_equal(revoke(b, SP_TARGET_USER, SP_SLICE_LIT("ada")).outcome, SP_OUTCOME_OK);
    set_wall_clock(b, DAY_MS);
    housekeeping(b, 400);
    set_wall_clock(b, -DAY_MS);
    assert_int_equal(bench_check(b, &by_session), SP_REJECT_REVOKED);
    assert_int_equal(bench_check(b, &by_user), SP_REJECT_REVOKED);
}

static size_t revocations_held(struct bench *b) {
    struct sp_revoke_set_stats stats;
    sp_revoke_set_stats(sp_verifier_revoke_set(b->verifier), &stats);
    return stats.entries;
}

static void clock_that_was_set_forward_is_believed_after_an_hour(void **state) {
    enum { DAY_MS = 24 * 3600 * 1000, TICKS_AN_HOUR = 720 };
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    assert_int_equal(bench_logout_access(b, &t).outcome, SP_OUTCOME_OK);
    set_wall_clock(b, DAY_MS);
    housekeeping(b, 100);
    assert_int_equal(revocations_held(b), 1);
    housekeeping(b, TICKS_AN_HOUR);
    assert_int_equal(revocations_held(b), 0);
}

static void revoked_session_ends_once_and_stays_ended(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b), other = bench_login(b);
    sp_sid sid;
    char text[SP_SID_CHARS];
    memcpy(sid.b, t.sid, sizeof(sid.b));
    sp_sid_text(sid, text);
    struct plain p = revoke(b, SP_TARGET_SESSION, SP_SLICE_ARRAY(text));
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 1);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
    assert_int_equal(bench_check(b, &other), SP_REJECT_NONE);
    p = revoke(b, SP_TARGET_SESSION, SP_SLICE_ARRAY(text));
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 0);
    assert_int_equal(bench_session(b, t.sid).cause, SP_END_ADMIN);
    sid.b[19] ^= 1;
    sp_sid_text(sid, text);
    assert_int_equal(revoke(b, SP_TARGET_SESSION, SP_SLICE_ARRAY(text)).outcome, SP_OUTCOME_NOT_FOUND);
}

static void revoked_user_may_log_in_again_in_the_same_second(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b), other = bench_login(b);
    struct plain p = revoke(b, SP_TARGET_USER, SP_SLICE_LIT("ada"));
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_equal(p.count, 2);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
    assert_int_equal(bench_refresh(b, &other).outcome, SP_OUTCOME_INVALID_GRANT);
    struct tokens fresh = bench_login(b);
    assert_int_equal(bench_check(b, &fresh), SP_REJECT_NONE);
    assert_int_equal(revoke(b, SP_TARGET_USER, SP_SLICE_LIT("nobody")).outcome, SP_OUTCOME_NOT_FOUND);
}

static void everyone_is_everyone_until_they_log_in_again(void **state) {
    struct bench *b = *state;
    assert_int_equal(add(b, "bob", "a fine password", "").outcome, SP_OUTCOME_OK);
    struct tokens ada = bench_login(b), bob = bench_login_as(b, "bob", "a fine password", SP_MODE_TOKEN);
    assert_int_equal(revoke(b, SP_TARGET_EVERYONE, SP_SLICE_EMPTY).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_check(b, &ada), SP_REJECT_REVOKED);
    assert_int_equal(bench_check(b, &bob), SP_REJECT_REVOKED);
    assert_int_equal(bench_refresh(b, &bob).outcome, SP_OUTCOME_INVALID_GRANT);
    struct tokens fresh = bench_login(b);
    assert_int_equal(bench_check(b, &fresh), SP_REJECT_NONE);
    assert_int_equal(bench_refresh(b, &fresh).outcome, SP_OUTCOME_OK);
}

/* Nothing of this is kept only in memory. */
static void revocations_hold_after_a_restart(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    assert_int_equal(revoke(b, SP_TARGET_USER, SP_SLICE_LIT("ada")).outcome, SP_OUTCOME_OK);
    struct tokens fresh = bench_login(b);
    bench_stop(b);
    bench_start(b);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
    assert_int_equal(bench_check(b, &fresh), SP_REJECT_NONE);
}

/* ---- sessions ---- */

struct sessions {
    enum sp_outcome outcome;
    size_t n, over;
    size_t secrets;
};

static void sessions_done(void *arg, const struct sp_sessions_result *r) {
    static const uint8_t zeros[SP_ROW_SECRET_BYTES];
    struct sessions *s = arg;
    s->outcome = r->outcome;
    s->n = r->n;
    for (size_t i = 0; i < r->n; i++) {
        s->over += r->views[i].over != SP_END_NONE;
        s->secrets += memcmp(r->views[i].row->secret, zeros, sizeof(zeros)) != 0;
    }
}

static struct sessions sessions(struct bench *b, const char *user, bool with_ended) {
    struct sessions s = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_sessions_list(b->app, &call, sp_slice_cstr(user), with_ended, SP_SLICE_EMPTY, 0, sessions_done,
                         &s);
    bench_run(b);
    assert_int_equal(s.secrets, 0);
    return s;
}

static void sessions_are_listed_with_and_without_the_ended(void **state) {
    struct bench *b = *state;
    assert_int_equal(add(b, "bob", "a fine password", "").outcome, SP_OUTCOME_OK);
    struct tokens t = bench_login(b);
    bench_login(b);
    bench_login_as(b, "bob", "a fine password", SP_MODE_TOKEN);
    bench_logout_refresh(b, &t);
    assert_int_equal(sessions(b, "", false).n, 2);
    assert_int_equal(sessions(b, "ada", false).n, 1);
    struct sessions all = sessions(b, "ada", true);
    assert_int_equal(all.n, 2);
    assert_int_equal(all.over, 1);
    assert_int_equal(sessions(b, "nobody", true).outcome, SP_OUTCOME_NOT_FOUND);
    b->now_ms += INT64_C(8) * 86400 * 1000; /* idle for too long */
    assert_int_equal(sessions(b, "", false).n, 0);
}

/* ---- keys ---- */

struct keys {
    enum sp_outcome outcome;
    size_t n;
    struct sp_key_row rows[16];
};

static void keys_done(void *arg, const struct sp_keys_result *r) {
    struct keys *k = arg;
    k->outcome = r->outcome;
    k->n = r->n;
    assert_true(r->n <= SP_ARRAY_LEN(k->rows));
    for (size_t i = 0; i < r->n; i++) {
        k->rows[i] = r->rows[i];
        assert_int_equal(r->rows[i].sealed.n, 0); /* never leaves */
    }
}

static struct keys rotate(struct bench *b, enum sp_key_use use, bool immediately) {
    struct keys k = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_key_rotate(b->app, &call, use, immediately, keys_done, &k);
    bench_run(b);
    return k;
}

static void rotated_key_signs_and_the_old_one_still_verifies(void **state) {
    struct bench *b = *state;
    struct tokens before = bench_login(b);
    struct keys k = rotate(b, SP_KEY_ACCESS, true);
    assert_int_equal(k.outcome, SP_OUTCOME_OK);
    assert_int_equal(k.n, 2);
    assert_int_equal(k.rows[0].state, SP_KEY_SIGNING);
    assert_int_equal(k.rows[1].state, SP_KEY_RETIRED);
    struct tokens after = bench_login(b);
    assert_int_equal(bench_check(b, &before), SP_REJECT_NONE);
    assert_int_equal(bench_check(b, &after), SP_REJECT_NONE);
    assert_int_equal(bench_records(b, "key_created"), 7);
    assert_int_equal(bench_records(b, "key_retired"), 1);
}

static void revoked_key_takes_its_tokens_along_at_once(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    struct keys list = {0};
    struct plain p = {0};
    struct sp_call call = bench_call_admin(b);
    sp_app_keys_list(b->app, &call, keys_done, &list);
    bench_run(b);
    assert_int_equal(list.n, 6);
    sp_text64 kid = {0};
    for (size_t i = 0; i < list.n; i++) {
        if (list.rows[i].use == SP_KEY_ACCESS) kid = list.rows[i].kid;
    }
    assert_int_equal(bench_check(b, &t), SP_REJECT_NONE); /* cached by now */
    sp_app_key_revoke(b->app, &call, SP_TEXT_SLICE(&kid), bench_plain_done, &p);
    bench_run(b);
    assert_int_equal(p.outcome, SP_OUTCOME_OK);
    assert_int_not_equal(bench_check(b, &t), SP_REJECT_NONE);
    struct tokens fresh = bench_refresh(b, &t);
    assert_int_equal(fresh.outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_check(b, &fresh), SP_REJECT_NONE);
}

static void rotated_refresh_key_leaves_old_sessions_alone(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    assert_int_equal(rotate(b, SP_KEY_REFRESH, true).outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_refresh(b, &t).outcome, SP_OUTCOME_OK);
    struct tokens fresh = bench_login(b);
    assert_int_equal(bench_refresh(b, &fresh).outcome, SP_OUTCOME_OK);
    assert_int_equal(rotate(b, SP_KEY_AUDIT, true).outcome, SP_OUTCOME_INVALID_REQUEST);
}

static void announced_key_signs_when_its_time_has_come(void **state) {
    struct bench *b = *state;
    assert_int_equal(rotate(b, SP_KEY_ACCESS, false).outcome, SP_OUTCOME_OK);
    assert_int_equal(rotate(b, SP_KEY_ACCESS, false).outcome, SP_OUTCOME_ALREADY_EXISTS);
    b->now_ms += b->config.key_announce_s * 1000;
    sp_app_tick(b->app, &b->queue.executor);
    bench_run(b);
    assert_int_equal(bench_records(b, "key_rotated"), 1);
    struct tokens t = bench_login(b);
    assert_int_equal(bench_check(b, &t), SP_REJECT_NONE);
}

/* ---- the log ---- */

static void verified(void *arg, const struct sp_audit_verify_result *r) {
    *(struct sp_audit_verify_result *)arg = *r;
}

static void log_of_a_busy_day_verifies(void **state) {
    struct bench *b = *state;
    struct sp_audit_verify_result r = {0};
    struct sp_call call = bench_call_admin(b);
    struct tokens t = bench_login(b);
    bench_login_as(b, "ada", "wrong", SP_MODE_TOKEN);
    bench_logout_refresh(b, &t);
    rotate(b, SP_KEY_ACCESS, true);
    edit(b, "ada", SP_USER_DISABLE, "");
    bench_stop(b);
    bench_start(b);
    sp_app_audit_verify(b->app, &call, &(struct sp_audit_verify_request){0}, verified, &r);
    bench_run(b);
    assert_int_equal(r.outcome, SP_OUTCOME_OK);
    if (!r.intact) fail_msg("record %u: %s", (unsigned)r.bad_seq, r.why);
    assert_true(r.records >= 12);
}

static void store_that_fails_is_said_and_nothing_is_done(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    sp_store_memory_fail(b->store, 1, 1, SP_MEMORY_FAULT_UNAVAILABLE);
    assert_int_equal(edit(b, "ada", SP_USER_DISABLE, "").outcome, SP_OUTCOME_STORE_UNAVAILABLE);
    assert_int_equal(bench_check(b, &t), SP_REJECT_NONE);
    sp_store_memory_fail(b->store, 1, 1, SP_MEMORY_FAULT_UNKNOWN_APPLIED);
    assert_int_equal(edit(b, "ada", SP_USER_DISABLE, "").outcome, SP_OUTCOME_OUTCOME_UNKNOWN);
    assert_int_equal(bench_check(b, &t), SP_REJECT_REVOKED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(added_user_can_log_in_and_is_recorded),
        BENCH_TEST(user_that_cannot_be_is_refused_with_its_reason),
        BENCH_TEST(user_without_a_password_cannot_log_in_with_one),
        BENCH_TEST(user_is_shown_by_name_and_by_id),
        BENCH_TEST(name_that_looks_like_an_id_does_not_stand_before_it),
        BENCH_TEST(disabled_user_is_out_at_once_and_enabled_one_may_come_back),
        BENCH_TEST(deleted_user_is_gone_and_its_name_is_another_user),
        BENCH_TEST(role_taken_away_ends_tokens_but_not_the_session),
        BENCH_TEST(roles_end_where_the_feed_could_not_carry_them),
        BENCH_TEST(password_that_an_administrator_sets_ends_the_sessions),
        BENCH_TEST(users_are_listed_page_by_page),
        BENCH_TEST(changed_role_counts_for_tokens_that_are_out_already),
        BENCH_TEST(revoked_token_is_refused_and_its_session_goes_on),
        BENCH_TEST(clock_that_is_wrong_for_a_while_forgets_no_revocation),
        BENCH_TEST(clock_that_was_set_forward_is_believed_after_an_hour),
        BENCH_TEST(revoked_session_ends_once_and_stays_ended),
        BENCH_TEST(revoked_user_may_log_in_again_in_the_same_second),
        BENCH_TEST(everyone_is_everyone_until_they_log_in_again),
        BENCH_TEST(revocations_hold_after_a_restart),
        BENCH_TEST(sessions_are_listed_with_and_without_the_ended),
        BENCH_TEST(rotated_key_signs_and_the_old_one_still_verifies),
        BENCH_TEST(revoked_key_takes_its_tokens_along_at_once),
        BENCH_TEST(rotated_refresh_key_leaves_old_sessions_alone),
        BENCH_TEST(announced_key_signs_when_its_time_has_come),
        BENCH_TEST(log_of_a_busy_day_verifies),
        BENCH_TEST(store_that_fails_is_said_and_nothing_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
