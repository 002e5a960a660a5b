#include "conformance.h"

/* A user, a session, and a rotation that would succeed: each test spoils one thing. */
struct scene {
    struct fixture *f;
    struct sp_user_row user;
    struct sp_session_row session;
    struct sp_change rotation;
};

static void scene_init(struct scene *s, void **state) {
    s->f = *state;
    s->user = make_user(1);
    s->session = make_session(1, 1);
    add_user(s->f, &s->user);
    add_session(s->f, &s->session);
    s->rotation = rotation_of(&s->session);
}

static void assert_unchanged(struct scene *s) {
    struct sp_session_row now;
    assert_int_equal(read_session(s->f, s->session.sid, &now), SP_OK);
    assert_memory_equal(&now, &s->session, sizeof(now));
}

static void assert_refused(struct scene *s) {
    assert_refuses(s->f, &s->rotation);
    assert_unchanged(s);
}

static void rotation_writes_the_successor_and_answers_with_it(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_session_row given, stored;
    struct sp_user_row user;
    static const uint8_t attempt[SP_ROW_ATTEMPT_BYTES] = "attempt";
    s.rotation.rotate.ret_session = &given;
    s.rotation.rotate.ret_user = &user;
    s.rotation.rotate.attempt = attempt;
    s.rotation.rotate.ret_global_epoch = 99;
    assert_commits(s.f, &s.rotation);
    assert_int_equal(s.rotation.rotate.ret_global_epoch, 0);

    struct sp_session_row expected = s.session;
    expected.generation = 6;
    memcpy(expected.secret, "next secret 16 b", sizeof(expected.secret));
    expected.rotated_ms[1] = NOW_MS;
    expected.rotated_ms[0] = NOW_MS + 1000;
    expected.has_attempt = true;
    memcpy(expected.attempt, attempt, sizeof(attempt));
    expected.last_seen_ms = NOW_MS + 1000;
    expected.idle_expires_ms = NOW_MS + 200000;
    expected.access_exp_max_s = NOW_S + 901;
    expected.refreshes = 1;
    assert_memory_equal(&given, &expected, sizeof(given));
    assert_int_equal(read_session(s.f, s.session.sid, &stored), SP_OK);
    assert_memory_equal(&stored, &expected, sizeof(stored));
    assert_memory_equal(&user, &s.user, sizeof(user));
}

static void rotation_forgets_the_attempt_of_the_one_before(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_session_row row;
    static const uint8_t attempt[SP_ROW_ATTEMPT_BYTES] = "attempt";
    s.rotation.rotate.attempt = attempt;
    s.rotation.rotate.ret_session = &row;
    assert_commits(s.f, &s.rotation);
    s.session = row;
    s.rotation = rotation_of(&s.session);
    s.rotation.rotate.ret_session = &row;
    assert_commits(s.f, &s.rotation);
    assert_false(row.has_attempt);
    assert_int_equal(row.attempt[0], 0);
    assert_int_equal(row.generation, 7);
    assert_int_equal(row.refreshes, 2);
}

static void rotation_times_of_the_last_four_are_kept(void **state) {
    struct scene s;
    scene_init(&s, state);
    for (int i = 1; i <= 5; i++) {
        struct sp_session_row row;
        s.rotation = rotation_of(&s.session);
        s.rotation.rotate.now_ms = NOW_MS + i * 100;
        s.rotation.rotate.ret_session = &row;
        assert_commits(s.f, &s.rotation);
        s.session = row;
    }
    for (int i = 0; i < SP_ROW_ROTATIONS_KEPT; i++)
        assert_int_equal(s.session.rotated_ms[i], NOW_MS + (5 - i) * 100);
}

static void rotation_never_extends_the_absolute_end(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_session_row row;
    s.rotation.rotate.idle_expires_ms = NOW_MS + 900000;
    s.rotation.rotate.ret_session = &row;
    assert_commits(s.f, &s.rotation);
    assert_int_equal(row.idle_expires_ms, s.session.absolute_expires_ms);
}

static void rotation_never_lowers_the_latest_access_expiry(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_session_row row;
    s.rotation.rotate.access_exp_s = NOW_S + 10;
    s.rotation.rotate.ret_session = &row;
    assert_commits(s.f, &s.rotation);
    assert_int_equal(row.access_exp_max_s, NOW_S + 900);
}

static void rotation_of_an_unknown_session_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_session_row other = make_session(1, 2);
    s.rotation.rotate.sid = other.sid;
    assert_refused(&s);
}

static void rotation_in_another_tenant_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    s.rotation.rotate.tenant = 2;
    assert_refused(&s);
}

static void rotation_at_another_generation_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    s.rotation.rotate.generation = 4;
    s.rotation.rotate.next_generation = 5;
    assert_refused(&s);
}

static void rotation_that_skips_a_generation_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    s.rotation.rotate.next_generation = 7;
    assert_refused(&s);
}

static void rotation_with_another_secret_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    uint8_t secret[SP_ROW_SECRET_BYTES];
    memcpy(secret, s.session.secret, sizeof(secret));
    secret[15] ^= 1;
    s.rotation.rotate.secret = secret;
    assert_refused(&s);
}

static void rotation_by_another_client_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    s.rotation.rotate.client_id = SP_SLICE_LIT("app2");
    assert_refused(&s);
}

static void rotation_by_another_dpop_key_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    s.rotation.rotate.jkt = SP_SLICE_EMPTY;
    assert_refused(&s);
}

static void rotation_in_another_mode_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    s.rotation.rotate.mode = SP_MODE_COOKIE;
    assert_refused(&s);
}

static void rotation_under_another_refresh_key_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    s.rotation.rotate.refresh_key = 4;
    assert_refused(&s);
}

static void rotation_at_the_idle_end_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    s.rotation.rotate.now_ms = s.session.idle_expires_ms;
    assert_refused(&s);
    s.rotation.rotate.now_ms--;
    assert_commits(s.f, &s.rotation);
}

static void rotation_at_the_absolute_end_is_refused(void **state) {
    struct scene s;
    s.f = *state;
    s.user = make_user(1);
    s.session = make_session(1, 1);
    s.session.absolute_expires_ms = NOW_MS + 50000;
    add_user(s.f, &s.user);
    add_session(s.f, &s.session);
    s.rotation = rotation_of(&s.session);
    s.rotation.rotate.now_ms = NOW_MS + 50000;
    assert_refused(&s);
    s.rotation.rotate.now_ms--;
    assert_commits(s.f, &s.rotation);
}

static void rotation_inside_the_cookie_grace_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    s.rotation.rotate.rotated_before_ms = NOW_MS;
    assert_refused(&s);
    s.rotation.rotate.rotated_before_ms = NOW_MS + 1;
    assert_commits(s.f, &s.rotation);
}

static void rotation_of_an_ended_session_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_change end = {.kind = SP_CHANGE_SESSION_END,
                            .session_end = {.tenant = 1,
                                            .sid = s.session.sid,
                                            .expect_generation = SP_GENERATION_ANY,
                                            .state = SP_SESSION_ENDED,
                                            .cause = SP_END_LOGOUT,
                                            .now_ms = NOW_MS,
                                            .ret_session = &s.session}};
    assert_commits(s.f, &end);
    assert_refused(&s);
}

static void rotation_below_the_session_floor_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_change raise = {.kind = SP_CHANGE_GLOBAL_EPOCH,
                              .global_epoch = {NOW_MS, NOW_S + 900, false, SP_END_NONE, 0}};
    assert_commits(s.f, &raise);
    struct sp_change rotation = s.rotation;
    struct sp_session_row row;
    rotation.rotate.ret_session = &row;
    assert_commits(s.f, &rotation); /* tokens of old epochs are refused, sessions go on */
    assert_int_equal(rotation.rotate.ret_global_epoch, 1);
    s.session = row;
    s.rotation = rotation_of(&s.session);
    raise.global_epoch.end_sessions = true;
    raise.global_epoch.cause = SP_END_EVERYONE;
    assert_commits(s.f, &raise);
    assert_refused(&s);
}

static void rotation_for_a_disabled_user_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_user_row disabled = s.user;
    disabled.disabled = true;
    struct sp_change update = {.kind = SP_CHANGE_USER_UPDATE, .user_update = {&disabled, 1, false, 0, 0}};
    assert_commits(s.f, &update);
    assert_refused(&s);
}

static void rotation_for_a_deleted_user_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_change gone = {.kind = SP_CHANGE_USER_DELETE, .user_delete = {1, s.user.id, SP_VERSION_ANY}};
    assert_commits(s.f, &gone);
    assert_refused(&s);
}

static void healing_needs_an_older_incarnation(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_session_row row;
    s.rotation.rotate.heal = true;
    s.rotation.rotate.next_generation = 12;
    s.rotation.rotate.ret_session = &row;
    assert_refused(&s);
    struct sp_change next = {.kind = SP_CHANGE_META, .meta = {NEXT_INCARNATION}};
    assert_commits(s.f, &next);
    assert_commits(s.f, &s.rotation);
    assert_int_equal(row.generation, 12);
    assert_int_equal(row.incarnation, 2);
    s.session = row;
    s.rotation = rotation_of(&s.session);
    s.rotation.rotate.heal = true;
    s.rotation.rotate.next_generation = 20;
    assert_refused(&s); /* healed once, it is of this incarnation */
}

static struct sp_change reissue_of(const struct sp_session_row *row) {
    return (struct sp_change){.kind = SP_CHANGE_SESSION_REISSUE,
                              .reissue = {.tenant = row->tenant,
                                          .sid = row->sid,
                                          .generation = row->generation,
                                          .secret = row->secret,
                                          .client_id = SP_TEXT_SLICE(&row->client_id),
                                          .jkt = SP_TEXT_SLICE(&row->jkt),
                                          .now_ms = NOW_MS + 2000,
                                          .access_exp_s = NOW_S + 950,
                                          .mark_used = true}};
}

static void reissue_touches_only_what_it_says(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_session_row given, expected = s.session;
    struct sp_user_row user;
    s.rotation = reissue_of(&s.session);
    s.rotation.reissue.ret_session = &given;
    s.rotation.reissue.ret_user = &user;
    assert_commits(s.f, &s.rotation);
    expected.last_seen_ms = NOW_MS + 2000;
    expected.access_exp_max_s = NOW_S + 950;
    expected.generation_used = true;
    assert_memory_equal(&given, &expected, sizeof(given));
    assert_memory_equal(&user, &s.user, sizeof(user));
    s.rotation.reissue.mark_used = false;
    assert_commits(s.f, &s.rotation);
    assert_true(given.generation_used);
    s.session = given;
    assert_unchanged(&s);
}

static void reissue_that_moves_the_idle_end_is_a_refresh(void **state) {
    struct scene s;
    scene_init(&s, state);
    struct sp_session_row given;
    s.rotation = reissue_of(&s.session);
    s.rotation.reissue.idle_expires_ms = NOW_MS + 300000;
    s.rotation.reissue.ret_session = &given;
    assert_commits(s.f, &s.rotation);
    assert_int_equal(given.idle_expires_ms, NOW_MS + 300000);
    assert_int_equal(given.refreshes, s.session.refreshes + 1);
    assert_int_equal(given.generation, s.session.generation);
    assert_memory_equal(given.rotated_ms, s.session.rotated_ms, sizeof(given.rotated_ms));
    s.rotation.reissue.idle_expires_ms = INT64_MAX; /* never past the absolute end */
    assert_commits(s.f, &s.rotation);
    assert_int_equal(given.idle_expires_ms, s.session.absolute_expires_ms);
    s.session = given;
    assert_unchanged(&s);
}

static void reissue_with_a_wrong_precondition_is_refused(void **state) {
    struct scene s;
    scene_init(&s, state);
    static const uint8_t wrong[SP_ROW_SECRET_BYTES] = "wrong";
    struct sp_change good = s.rotation = reissue_of(&s.session);
    s.rotation.reissue.generation = 6;
    assert_refused(&s);
    s.rotation = good;
    s.rotation.reissue.secret = wrong;
    assert_refused(&s);
    s.rotation = good;
    s.rotation.reissue.now_ms = s.session.idle_expires_ms;
    assert_refused(&s);
    s.rotation = good;
    s.rotation.reissue.client_id = SP_SLICE_LIT("other");
    assert_refused(&s);
    s.rotation = good;
    s.rotation.reissue.jkt = SP_SLICE_EMPTY;
    assert_refused(&s);
    s.rotation = good;
    s.rotation.reissue.tenant = 2;
    assert_refused(&s);
    struct sp_user_row disabled = s.user;
    disabled.disabled = true;
    struct sp_change update = {.kind = SP_CHANGE_USER_UPDATE, .user_update = {&disabled, 1, false, 0, 0}};
    assert_commits(s.f, &update);
    s.rotation = good;
    assert_refused(&s);
}

int conformance_rotate(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(rotation_writes_the_successor_and_answers_with_it),
        STORE_TEST(rotation_forgets_the_attempt_of_the_one_before),
        STORE_TEST(rotation_times_of_the_last_four_are_kept),
        STORE_TEST(rotation_never_extends_the_absolute_end),
        STORE_TEST(rotation_never_lowers_the_latest_access_expiry),
        STORE_TEST(rotation_of_an_unknown_session_is_refused),
        STORE_TEST(rotation_in_another_tenant_is_refused),
        STORE_TEST(rotation_at_another_generation_is_refused),
        STORE_TEST(rotation_that_skips_a_generation_is_refused),
        STORE_TEST(rotation_with_another_secret_is_refused),
        STORE_TEST(rotation_by_another_client_is_refused),
        STORE_TEST(rotation_by_another_dpop_key_is_refused),
        STORE_TEST(rotation_in_another_mode_is_refused),
        STORE_TEST(rotation_under_another_refresh_key_is_refused),
        STORE_TEST(rotation_at_the_idle_end_is_refused),
        STORE_TEST(rotation_at_the_absolute_end_is_refused),
        STORE_TEST(rotation_inside_the_cookie_grace_is_refused),
        STORE_TEST(rotation_of_an_ended_session_is_refused),
        STORE_TEST(rotation_below_the_session_floor_is_refused),
        STORE_TEST(rotation_for_a_disabled_user_is_refused),
        STORE_TEST(rotation_for_a_deleted_user_is_refused),
        STORE_TEST(healing_needs_an_older_incarnation),
        STORE_TEST(reissue_touches_only_what_it_says),
        STORE_TEST(reissue_that_moves_the_idle_end_is_a_refresh),
        STORE_TEST(reissue_with_a_wrong_precondition_is_refused),
    };
    return cmocka_run_group_tests_name("rotate", tests, NULL, NULL);
}
