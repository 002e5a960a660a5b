#include "fake.h"

static struct sp_session_row row = {.mode = SP_MODE_COOKIE,
                                    .device = {5, "phone"},
                                    .address = {9, "192.0.2.9"},
                                    .created_ms = 1700000000000,
                                    .last_seen_ms = 1700000000000,
                                    .idle_expires_ms = 1700000600000,
                                    .absolute_expires_ms = 1700000700000};

static void own_sessions_live_and_ended(void **state) {
    (void)state;
    static struct sp_session_row over;
    over = row;
    over.ended_ms = 1700000100000;
    const struct sp_session_view views[] = {{.row = &over, .over = SP_END_LOGOUT},
                                            {.row = &row, .current = true},
                                            {.row = &row, .over = SP_END_EXPIRED_IDLE}};
    fake.views = views;
    fake.n_views = 3;
    ask("GET /auth/sessions", NULL, BEARER, NULL);
    assert_status(200);
#define COMMON                                                                                               \
    "{\"session_id\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"device\":\"phone\",\"address\":\"192.0.2.9\","        \
    "\"user_agent\":\"\",\"mode\":\"cookie\",\"created_at\":\"2023-11-14T22:13:20.000Z\",\"last_seen_at\":"  \
    "\"2023-11-14T22:13:20.000Z\",\"expires_at\":\"2023-11-14T22:23:20.000Z\","
    assert_body("{\"sessions\":[" COMMON "\"current\":true}],\"ended\":[" COMMON
                "\"ended_at\":\"2023-11-14T22:15:00.000Z\",\"cause\":\"logout\"}," COMMON
                "\"ended_at\":\"2023-11-14T22:23:20.000Z\",\"cause\":\"expired_idle\"}]}");
}

static void ending_another_session_keeps_the_cookies(void **state) {
    (void)state;
    ask("DELETE /auth/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, COOKIES, ORIGIN, CSRF, NULL);
    assert_status(204);
    assert_no_cookies();
    assert_calls("session_end_own AAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
}

static void ending_this_session_expires_the_cookies(void **state) {
    (void)state;
    ask("DELETE /auth/sessions/" SID, NULL, COOKIES, ORIGIN, CSRF, NULL);
    assert_status(204);
    assert_cookies_expired();
    ask("DELETE /auth/sessions/" SID, NULL, BEARER, NULL);
    assert_status(204);
    assert_no_cookies();
}

static void somebody_elses_and_nonsense_are_not_found_alike(void **state) {
    (void)state;
    fake.outcome = SP_OUTCOME_NOT_FOUND;
    ask("DELETE /auth/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, BEARER, NULL);
    assert_problem(404, "not_found");
    static const char *const bad[] = {"x", "AAAAAAAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                      "caf%C3%A9"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        char line[128];
        snprintf(line, sizeof(line), "DELETE /auth/sessions/%s", bad[i]);
        ask(line, NULL, BEARER, NULL);
        assert_problem(404, "not_found");
        assert_calls("");
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(own_sessions_live_and_ended),
        T(ending_another_session_keeps_the_cookies),
        T(ending_this_session_expires_the_cookies),
        T(somebody_elses_and_nonsense_are_not_found_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
