/* Back-channel logout: what is delivered, what is tried again and when, and what is given up. */
#include "logout_bench.h"

#include <stdio.h>

#include "base/base64url.h"
#include "core/backchannel.h"
#include "token/ids.h"
#include "token/jws.h"

enum { SECOND = 1000, HOUR = 3600 * 1000, DAY = 24 * HOUR };

/* The longest wait after so many failures in a row. */
static int64_t longest_wait(unsigned failures) {
    int64_t ms = SP_LOGOUT_RETRY_MS;
    for (unsigned i = 1; i < failures && ms < SP_LOGOUT_RETRY_MAX_MS; i++) ms *= 2;
    if (ms > SP_LOGOUT_RETRY_MAX_MS) ms = SP_LOGOUT_RETRY_MAX_MS;
    return ms + ms / 4;
}

/* Answers the first to the client; fails when there is none. */
static void answer(struct logout_bench *l, const char *client_id, int status) {
    struct sent *s = logout_to(l, client_id);
    if (s == NULL) fail_msg("nothing is sent to %s", client_id);
    logout_answer(l, s, status);
}

/* ---- what is sent ---- */

static void part(sp_slice from, char *to, size_t cap) {
    size_t n;
    assert_int_equal(sp_base64url_decode(from, (uint8_t *)to, cap - 1, &n).code, SP_OK);
    to[n] = 0;
}

static void a_session_that_ends_is_told_to_its_client_with_a_token_for_it_alone(void **state) {
    LOGOUTS;
    uint8_t sid[SP_ROW_SID_BYTES];
    logout_client(l, "shop");
    logout_begin(l, "shop", sid);
    assert_int_equal(logout_open(l), 0);
    logout_end(l, sid);
    struct sent *s = logout_to(l, "shop");
    assert_non_null(s);
    assert_int_equal(strncmp(s->body, "logout_token=", 13), 0);
    struct sp_jws jws;
    assert_int_equal(sp_jws_split(sp_slice_cstr(s->body + 13), &jws), SP_REJECT_NONE);
    char head[512], payload[2048], expected[1024], sub[SP_ID_CHARS], sid_text[SP_SID_CHARS];
    part(jws.header, head, sizeof(head));
    part(jws.payload, payload, sizeof(payload));
    assert_non_null(strstr(head, "\"typ\":\"logout+jwt\""));
    assert_non_null(strstr(head, "\"alg\":\"ES256\""));
    sp_id user;
    sp_sid session;
    const struct sp_user_row ada = bench_user(b, "ada");
    memcpy(user.b, ada.id, sizeof(user.b));
    memcpy(session.b, sid, sizeof(session.b));
    sp_id_text(user, sub);
    sp_sid_text(session, sid_text);
    const long long now_s = b->now_ms / 1000;
    snprintf(expected, sizeof(expected), "\"sub\":\"%.*s\"", SP_ID_CHARS, sub);
    assert_non_null(strstr(payload, expected));
    snprintf(expected, sizeof(expected), "\"sid\":\"%.*s\"", SP_SID_CHARS, sid_text);
    assert_non_null(strstr(payload, expected));
    snprintf(expected, sizeof(expected), "\"iat\":%lld", now_s);
    assert_non_null(strstr(payload, expected));
    snprintf(expected, sizeof(expected), "\"exp\":%lld", now_s + 120);
    assert_non_null(strstr(payload, expected));
    assert_non_null(strstr(payload, "\"iss\":\"https://auth.example\""));
    assert_non_null(strstr(payload, "\"aud\":\"shop\""));
    assert_non_null(
        strstr(payload, "\"events\":{\"http://schemas.openid.net/event/backchannel-logout\":{}}"));
    assert_null(strstr(payload, "nonce"));
}

static void a_2xx_ends_it_and_is_on_record_with_client_and_session(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "shop");
    logout_one(l, "shop");
    assert_int_equal(logout_rows(l), 1);
    assert_int_equal(logout_measures(l).logouts_waiting, 1);
    answer(l, "shop", 204);
    assert_int_equal(logout_rows(l), 0);
    assert_int_equal(logout_open(l), 0);
    assert_int_equal(logout_records(l, "ok"), 1);
    assert_true(logout_record_says(l, "\"client\":\"shop\",\"tries\":1"));
    const struct sp_measures m = logout_measures(l);
    assert_int_equal(m.logouts_delivered, 1);
    assert_int_equal(m.logouts_waiting, 0);
    logout_after(l, DAY);
    assert_int_equal(l->submissions, 1);
}

static void a_session_without_backchannel_tells_nobody(void **state) {
    LOGOUTS;
    logout_client(l, "shop");
    const struct tokens t = bench_login(b);
    assert_int_equal(bench_logout_refresh(b, &t).outcome, SP_OUTCOME_OK);
    logout_after(l, HOUR);
    assert_int_equal(l->submissions, 0);
}

/* ---- failures ---- */

static void a_400_is_the_clients_last_word(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "shop");
    logout_one(l, "shop");
    answer(l, "shop", 400);
    assert_int_equal(logout_rows(l), 0);
    assert_int_equal(logout_records(l, "failed"), 1);
    assert_true(logout_record_says(l, "\"reason\":\"refused\""));
    logout_after(l, DAY);
    assert_int_equal(l->submissions, 1);
    assert_int_equal(logout_measures(l).logouts_given_up, 1);
}

static void anything_else_is_tried_again_with_another_token_and_longer_waits(void **state) {
    LOGOUTS;
    (void)b;
    static const int statuses[] = {500, 302, 404, 401};
    logout_client(l, "shop");
    logout_one(l, "shop");
    char before[sizeof(l->sent[0].body)];
    int64_t least_ms = 0;
    for (unsigned i = 0; i < SP_ARRAY_LEN(statuses); i++) {
        snprintf(before, sizeof(before), "%s", logout_to(l, "shop")->body);
        answer(l, "shop", statuses[i]);
        assert_int_equal(logout_open(l), 0);
        least_ms = longest_wait(i + 1) * 3 / 5; /* 3/4 of the mean, where the longest is 5/4 of it */
        logout_after(l, least_ms - 1);
        assert_int_equal(logout_open(l), 0);
        logout_after(l, longest_wait(i + 1) - least_ms + 1);
        assert_non_null(logout_to(l, "shop"));
        assert_string_not_equal(before, logout_to(l, "shop")->body);
    }
    assert_true(least_ms > 4 * SP_LOGOUT_RETRY_MS);
    answer(l, "shop", 200);
    assert_int_equal(logout_rows(l), 0);
    assert_true(logout_record_says(l, "\"tries\":5"));
    assert_int_equal(logout_measures(l).logouts_failed, 4);
    assert_int_equal(logout_records(l, "failed"), 0);
}

static void a_client_that_does_not_answer_holds_up_nobody_and_is_asked_one_thing_at_a_time(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "dead");
    logout_client(l, "shop");
    for (int i = 0; i < 50; i++) logout_one(l, "dead");
    assert_int_equal(logout_open(l), 1);
    for (int i = 0; i < 20; i++) {
        logout_one(l, "shop");
        answer(l, "shop", 200);
    }
    assert_int_equal(logout_records(l, "ok"), 20);
    assert_int_equal(logout_open(l), 1); /* still that one */
    for (int i = 0; i < 3600; i++) {     /* an hour of nothing */
        struct sent *s = logout_to(l, "dead");
        if (s != NULL) logout_tell(l, s, SP_DELIVERY_FAILED);
        logout_after(l, SECOND);
    }
    assert_in_range(l->submissions - 20, 8, 13); /* doubling from 5 s: not once for each of the fifty */
    assert_int_equal(logout_rows(l), 50);
    logout_one(l, "shop");
    answer(l, "shop", 200);
}

static void when_a_client_comes_back_all_of_it_follows(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "shop");
    for (int i = 0; i < 30; i++) logout_one(l, "shop");
    logout_tell(l, logout_to(l, "shop"), SP_DELIVERY_FAILED);
    logout_after(l, longest_wait(1));
    int answered = 0;
    for (struct sent *s; (s = logout_to(l, "shop")) != NULL; answered++) {
        assert_int_equal(logout_open(l), 1);
        logout_answer(l, s, 200);
    }
    assert_in_range(answered, 29, 30); /* the one that failed may wait a little longer */
    logout_after(l, longest_wait(1));
    if (answered == 29) answer(l, "shop", 200);
    assert_int_equal(logout_rows(l), 0);
    assert_int_equal(logout_records(l, "ok"), 30);
}

static void a_logout_that_its_client_chokes_on_does_not_stop_the_others(void **state) {
    LOGOUTS;
    (void)b;
    uint8_t sid[SP_ROW_SID_BYTES];
    char poison[SP_SID_CHARS], payload[2048];
    logout_client(l, "shop");
    logout_begin(l, "shop", sid);
    sp_sid session;
    memcpy(session.b, sid, sizeof(session.b));
    sp_sid_text(session, poison);
    logout_end(l, sid);
    for (int i = 0; i < 10; i++) logout_one(l, "shop");
    for (int i = 0; i < 120; i++) {
        struct sent *s;
        while ((s = logout_to(l, "shop")) != NULL) {
            struct sp_jws jws;
            assert_int_equal(sp_jws_split(sp_slice_cstr(s->body + 13), &jws), SP_REJECT_NONE);
            part(jws.payload, payload, sizeof(payload));
            const bool is_poison = memmem(payload, strlen(payload), poison, sizeof(poison)) != NULL;
            logout_answer(l, s, is_poison ? 500 : 200);
        }
        logout_after(l, SECOND);
    }
    assert_int_equal(logout_records(l, "ok"), 10);
    assert_int_equal(logout_rows(l), 1);
}

static void there_is_an_end_to_deliveries_at_once(void **state) {
    LOGOUTS;
    (void)b;
    char id[32];
    for (int i = 0; i < 2 * SP_LOGOUTS_AT_ONCE; i++) {
        snprintf(id, sizeof(id), "client-%d", i);
        logout_client(l, id);
        logout_one(l, id);
    }
    assert_int_equal(logout_open(l), SP_LOGOUTS_AT_ONCE);
    uint64_t answered = 0;
    while (logout_open(l) != 0) {
        for (size_t i = 0; i < l->n; i++) {
            if (l->sent[i].job == NULL) continue;
            logout_answer(l, &l->sent[i], 200);
            answered++;
            break;
        }
        assert_true(logout_open(l) <= SP_LOGOUTS_AT_ONCE);
    }
    assert_int_equal(answered, 2 * SP_LOGOUTS_AT_ONCE);
    assert_int_equal(logout_rows(l), 0);
}

static void what_was_tried_in_vain_for_a_day_is_given_up_on_one_record_with_all_that_is_as_old(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "dead");
    for (int i = 0; i < 100; i++) logout_one(l, "dead");
    for (int i = 0; i < 26 * 60; i++) {
        struct sent *s = logout_to(l, "dead");
        if (s != NULL) logout_tell(l, s, SP_DELIVERY_FAILED);
        if (logout_rows(l) != 100) break;
        logout_after(l, 60 * SECOND);
    }
    assert_int_equal(logout_rows(l), 0);
    assert_int_equal(logout_records(l, "failed"), 1);
    assert_true(logout_record_says(l, "\"reason\":\"too_old\""));
    assert_int_equal(logout_measures(l).logouts_given_up, 100);
    logout_after(l, 2 * 60 * SECOND);
    assert_int_equal(logout_records(l, "failed"), 2); /* that there were more */
    assert_true(logout_record_says(l, "\"repeats\":"));
}

/* ---- clients that change ---- */

static void a_client_that_is_gone_is_not_told_and_that_is_on_record(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "shop");
    logout_one(l, "shop");
    answer(l, "shop", 500);
    for (int i = 0; i < 3; i++) logout_one(l, "shop");
    logout_client_delete(l, "shop");
    logout_after(l, longest_wait(1));
    assert_int_equal(logout_open(l), 0);
    assert_int_equal(logout_rows(l), 0);
    assert_int_equal(logout_records(l, "failed"), 1);
    assert_true(logout_record_says(l, "\"logouts\":4,\"reason\":\"client_gone\""));
}

static void a_client_that_took_its_address_back_is_not_told(void **state) {
    LOGOUTS;
    (void)b;
    uint8_t sid[SP_ROW_SID_BYTES];
    logout_client(l, "shop");
    logout_begin(l, "shop", sid);
    logout_client_without_uri(l, "shop");
    logout_end(l, sid);
    assert_int_equal(logout_open(l), 0);
    assert_int_equal(logout_rows(l), 0);
    assert_true(logout_record_says(l, "\"tries\":0,\"reason\":\"no_address\""));
}

static void with_hs256_nobody_could_check_the_token_and_nobody_is_told(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "shop");
    logout_one(l, "shop");
    assert_int_equal(l->submissions, 0);
    assert_int_equal(logout_rows(l), 0);
    assert_true(logout_record_says(l, "\"reason\":\"no_openid\""));
}

/* ---- restarts, clocks, trouble of our own ---- */

static void what_a_crash_left_is_delivered_after_the_start(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "shop");
    logout_client(l, "other");
    for (int i = 0; i < 3; i++) logout_one(l, "shop");
    logout_one(l, "other");
    logout_restart(l);
    assert_non_null(logout_to(l, "other"));
    answer(l, "other", 200);
    for (int i = 0; i < 3; i++) answer(l, "shop", 200);
    assert_int_equal(logout_rows(l), 0);
    assert_int_equal(logout_records(l, "ok"), 4);
}

static void a_stop_in_the_middle_is_no_failed_try(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "shop");
    logout_one(l, "shop");
    assert_int_equal(logout_open(l), 1);
    logout_restart(l);
    assert_int_equal(logout_open(l), 1);
    answer(l, "shop", 200);
    assert_true(logout_record_says(l, "\"tries\":1"));
}

static void a_restart_forgets_neither_the_tries_nor_the_wait(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "shop");
    logout_one(l, "shop");
    for (unsigned i = 1; i < 8; i++) {
        answer(l, "shop", 503);
        logout_after(l, longest_wait(i));
    }
    answer(l, "shop", 503);
    logout_restart(l);
    assert_int_equal(logout_open(l), 0);
    logout_after(l, longest_wait(8));
    answer(l, "shop", 200);
    assert_true(logout_record_says(l, "\"tries\":9"));
}

static void a_clock_that_jumps_forward_gives_up_nothing_unheard(void **state) {
    LOGOUTS;
    logout_client(l, "shop");
    logout_client(l, "dead");
    for (int i = 0; i < 3; i++) logout_one(l, "shop");
    logout_one(l, "dead");
    answer(l, "shop", 500);
    logout_tell(l, logout_to(l, "dead"), SP_DELIVERY_FAILED);
    b->wall_ahead_ms += 30 * (int64_t)DAY; /* nothing passes by the clock since boot */
    logout_after(l, 30 * (int64_t)DAY);
    assert_int_equal(logout_open(l), 0);
    logout_after(l, longest_wait(1));
    for (int i = 0; i < 3; i++) answer(l, "shop", 200);
    logout_tell(l, logout_to(l, "dead"), SP_DELIVERY_FAILED); /* tried once more, and then it is too old */
    assert_int_equal(logout_rows(l), 0);
    assert_int_equal(logout_records(l, "ok"), 3);
    assert_int_equal(logout_records(l, "failed"), 1);
}

static void a_clock_that_goes_back_makes_nobody_wait_longer(void **state) {
    LOGOUTS;
    logout_client(l, "shop");
    logout_one(l, "shop");
    answer(l, "shop", 500);
    b->wall_ahead_ms -= 30 * (int64_t)DAY;
    logout_after(l, -30 * (int64_t)DAY);
    logout_after(l, longest_wait(1));
    answer(l, "shop", 500);
    logout_restart(l); /* what is stored lies a month ahead: cut to the longest wait */
    logout_after(l, SP_LOGOUT_RETRY_MAX_MS + SP_LOGOUT_RETRY_MAX_MS / 4);
    answer(l, "shop", 200);
    assert_int_equal(logout_rows(l), 0);
}

static void tries_have_an_end_even_if_the_clock_stands_still(void **state) {
    LOGOUTS;
    logout_client(l, "shop");
    logout_one(l, "shop");
    uint32_t tries = 0;
    for (; logout_rows(l) != 0 && tries < 100; tries++) {
        answer(l, "shop", 500);
        b->wall_ahead_ms -= longest_wait(tries + 1);
        logout_after(l, 0);
    }
    assert_int_equal(tries, SP_LOGOUT_TRIES_MAX);
    assert_int_equal(logout_records(l, "failed"), 1);
}

static void when_nothing_can_be_sent_all_wait_and_no_try_is_counted(void **state) {
    LOGOUTS;
    (void)b;
    logout_client(l, "shop");
    logout_client(l, "other");
    logout_one(l, "shop");
    logout_one(l, "other");
    logout_tell(l, logout_to(l, "shop"), SP_DELIVERY_UNABLE);
    logout_tell(l, logout_to(l, "other"), SP_DELIVERY_UNABLE);
    logout_one(l, "other");
    assert_int_equal(logout_open(l), 0);
    logout_after(l, SP_LOGOUT_UNABLE_MS - 1);
    assert_int_equal(logout_open(l), 0);
    logout_after(l, 1);
    assert_int_equal(logout_open(l), 2);
    answer(l, "shop", 200);
    assert_true(logout_record_says(l, "\"tries\":1"));
    answer(l, "other", 200);
    answer(l, "other", 200);
    assert_int_equal(logout_measures(l).logouts_failed, 0);
}

static void a_row_that_made_room_meanwhile_is_forgotten(void **state) {
    LOGOUTS;
    logout_client(l, "shop");
    logout_one(l, "shop");
    logout_one(l, "shop");
    for (uint64_t seq = 1; seq <= 2; seq++) {
        struct sp_change c = {.kind = SP_CHANGE_LOGOUT_DONE, .logout_done = {.seq = seq}};
        assert_int_equal(sp_store_commit_wait(b->store, &c, 1, NULL).code, SP_OK);
    }
    answer(l, "shop", 200); /* its row is gone when that is to be noted */
    answer(l, "shop", 500); /* likewise */
    logout_after(l, DAY);
    assert_int_equal(logout_open(l), 0);
    const struct sp_measures m = logout_measures(l);
    assert_int_equal(m.logouts_waiting, 0);
    assert_int_equal(m.logouts_delivered, 1); /* it was, whatever the outbox says */
    assert_int_equal(m.logouts_given_up, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOGOUT_TEST(a_session_that_ends_is_told_to_its_client_with_a_token_for_it_alone),
        LOGOUT_TEST(a_2xx_ends_it_and_is_on_record_with_client_and_session),
        LOGOUT_TEST(a_session_without_backchannel_tells_nobody),
        LOGOUT_TEST(a_400_is_the_clients_last_word),
        LOGOUT_TEST(anything_else_is_tried_again_with_another_token_and_longer_waits),
        LOGOUT_TEST(a_client_that_does_not_answer_holds_up_nobody_and_is_asked_one_thing_at_a_time),
        LOGOUT_TEST(when_a_client_comes_back_all_of_it_follows),
        LOGOUT_TEST(a_logout_that_its_client_chokes_on_does_not_stop_the_others),
        LOGOUT_TEST(there_is_an_end_to_deliveries_at_once),
        LOGOUT_TEST(what_was_tried_in_vain_for_a_day_is_given_up_on_one_record_with_all_that_is_as_old),
        LOGOUT_TEST(a_client_that_is_gone_is_not_told_and_that_is_on_record),
        LOGOUT_TEST(a_client_that_took_its_address_back_is_not_told),
        cmocka_unit_test_setup_teardown(with_hs256_nobody_could_check_the_token_and_nobody_is_told,
                                        logout_setup_hs256, logout_teardown),
        LOGOUT_TEST(what_a_crash_left_is_delivered_after_the_start),
        LOGOUT_TEST(a_stop_in_the_middle_is_no_failed_try),
        LOGOUT_TEST(a_restart_forgets_neither_the_tries_nor_the_wait),
        LOGOUT_TEST(a_clock_that_jumps_forward_gives_up_nothing_unheard),
        LOGOUT_TEST(a_clock_that_goes_back_makes_nobody_wait_longer),
        LOGOUT_TEST(tries_have_an_end_even_if_the_clock_stands_still),
        LOGOUT_TEST(when_nothing_can_be_sent_all_wait_and_no_try_is_counted),
        LOGOUT_TEST(a_row_that_made_room_meanwhile_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
