#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "core/session.h"
#include "core/tripwire.h"

enum { NOW = 1000000000, GRACE = SP_GRACE_DEFAULT_MS, G = 7 };

static struct sp_session_policy policy(void) {
    return (struct sp_session_policy){.grace_ms = GRACE, .reuse = SP_REUSE_SESSION, .incarnation = 1};
}

/* Generation 7; it and its three ancestors became current 60, 120, 180 and 240 s ago. */
static struct sp_session_row row(void) {
    struct sp_session_row r = {
        .mode = SP_MODE_TOKEN, .state = SP_SESSION_ACTIVE, .generation = G, .incarnation = 1};
    for (int k = 0; k < SP_ROW_ROTATIONS_KEPT; k++) r.rotated_ms[k] = NOW - 60000 * (k + 1);
    r.created_ms = NOW - 3600 * 1000;
    r.idle_expires_ms = NOW + 1000;
    r.absolute_expires_ms = NOW + 2000;
    return r;
}

static struct sp_refresh_event presents(uint32_t g) {
    return (struct sp_refresh_event){.proof = SP_PROOF_GENUINE, .generation = g, .same_client = true};
}

static struct sp_session_decision step(struct sp_session_row r, struct sp_refresh_event e,
                                       struct sp_session_policy p) {
    return sp_session_step(&r, &e, NOW, &p);
}

static void current_generation_rotates(void **state) {
    (void)state;
    assert_int_equal(step(row(), presents(G), policy()).action, SP_ACT_ROTATE);
}

static void wrong_secret_changes_nothing_however_old_it_claims_to_be(void **state) {
    (void)state;
    for (uint32_t g = 0; g < 12; g++) {
        struct sp_refresh_event e = presents(g);
        e.proof = SP_PROOF_WRONG;
        assert_int_equal(step(row(), e, policy()).action, SP_ACT_REFUSE);
    }
}

static void genuine_token_of_another_client_is_refused_and_audited_without_trip(void **state) {
    (void)state;
    for (uint32_t g = 0; g < 12; g++) {
        struct sp_refresh_event e = presents(g);
        e.same_client = false;
        assert_int_equal(step(row(), e, policy()).action, SP_ACT_REFUSE_AUDIT);
    }
}

static void previous_generation_within_grace_gets_the_same_successor(void **state) {
    (void)state;
    struct sp_session_row r = row();
    r.rotated_ms[0] = NOW - GRACE; /* the last instant that counts */
    assert_int_equal(step(r, presents(G - 1), policy()).action, SP_ACT_SUCCESSOR);
    r.generation_used = true; /* grace is about time alone */
    assert_int_equal(step(r, presents(G - 1), policy()).action, SP_ACT_SUCCESSOR);
}

static void refresh_reused_after_grace_trips_family(void **state) {
    (void)state;
    struct sp_session_row r = row();
    r.rotated_ms[0] = NOW - GRACE - 1;
    struct sp_session_decision d = step(r, presents(G - 1), policy());
    assert_int_equal(d.action, SP_ACT_TRIP);
    assert_int_equal(d.cause, SP_END_REUSE_DETECTED);
    assert_int_equal(d.reach, SP_REUSE_SESSION);
}

static void same_attempt_is_answered_however_late(void **state) {
    (void)state;
    struct sp_session_row r = row();
    struct sp_refresh_event e = presents(G - 1);
    r.has_attempt = e.has_attempt = true;
    memset(r.attempt, 7, sizeof(r.attempt));
    memset(e.attempt, 7, sizeof(e.attempt));
    assert_int_equal(step(r, e, policy()).action, SP_ACT_SUCCESSOR);
    e.attempt[15] ^= 1;
    assert_int_equal(step(r, e, policy()).action, SP_ACT_TRIP);
    e.attempt[15] ^= 1;
    r.generation_used = true; /* the successor arrived after all: whoever retries now is someone else */
    assert_int_equal(step(r, e, policy()).action, SP_ACT_TRIP);
}

static void absent_attempts_do_not_match_each_other(void **state) {
    (void)state;
    struct sp_session_row r = row(); /* both all zero, neither given */
    assert_int_equal(step(r, presents(G - 1), policy()).action, SP_ACT_TRIP);
    r.has_attempt = true;
    assert_int_equal(step(r, presents(G - 1), policy()).action, SP_ACT_TRIP);
    struct sp_refresh_event e = presents(G - 1);
    e.has_attempt = true;
    r.has_attempt = false;
    assert_int_equal(step(r, e, policy()).action, SP_ACT_TRIP);
}

static void attempt_never_excuses_older_generations(void **state) {
    (void)state;
    struct sp_session_row r = row();
    struct sp_refresh_event e = presents(G - 2);
    r.has_attempt = e.has_attempt = true;
    assert_int_equal(step(r, e, policy()).action, SP_ACT_TRIP);
}

static void delayed_request_of_a_busy_client_is_superseded(void **state) {
    (void)state;
    struct sp_session_row r = row();
    for (int k = 0; k < SP_ROW_ROTATIONS_KEPT; k++) r.rotated_ms[k] = NOW - 1000 * (k + 1);
    for (uint32_t g = G - 4; g <= G - 2; g++)
        assert_int_equal(step(r, presents(g), policy()).action, SP_ACT_SUPERSEDED);
    assert_int_equal(step(r, presents(G - 5), policy()).action,
                     SP_ACT_TRIP); /* beyond what the row remembers */
    r.rotated_ms[1] = NOW - GRACE - 1;
    assert_int_equal(step(r, presents(G - 2), policy()).action, SP_ACT_TRIP);
}

static void cookie_mode_answers_tabs_without_rotating(void **state) {
    (void)state;
    struct sp_session_row r = row();
    r.mode = SP_MODE_COOKIE;
    r.rotated_ms[0] = NOW - GRACE;
    assert_int_equal(step(r, presents(G), policy()).action, SP_ACT_SAME);
    r.rotated_ms[0] = NOW - GRACE - 1;
    assert_int_equal(step(r, presents(G), policy()).action, SP_ACT_ROTATE);
    r.generation = 0;
    memset(r.rotated_ms, 0, sizeof(r.rotated_ms)); /* just logged in: never rotated */
    assert_int_equal(step(r, presents(0), policy()).action, SP_ACT_ROTATE);
}

static void policy_user_reaches_every_session_and_report_leaves_it_alone(void **state) {
    (void)state;
    struct sp_session_policy p = policy();
    p.reuse = SP_REUSE_USER;
    struct sp_session_decision d = step(row(), presents(G - 1), p);
    assert_int_equal(d.action, SP_ACT_TRIP);
    assert_int_equal(d.reach, SP_REUSE_USER);
    p.reuse = SP_REUSE_REPORT;
    d = step(row(), presents(G - 1), p);
    assert_int_equal(d.action, SP_ACT_REPORT);
    assert_int_equal(d.cause, SP_END_REUSE_DETECTED);
}

static void impossible_generation_trips_with_its_own_cause(void **state) {
    (void)state;
    struct sp_session_decision d = step(row(), presents(G + 1), policy());
    assert_int_equal(d.action, SP_ACT_TRIP);
    assert_int_equal(d.cause, SP_END_GENERATION_IMPOSSIBLE);
}

static void store_that_went_back_is_healed_within_bounds_and_once(void **state) {
    (void)state;
    struct sp_session_policy p = policy();
    p.incarnation = 2;
    assert_int_equal(step(row(), presents(G + 1), p).action, SP_ACT_HEAL);
    assert_int_equal(step(row(), presents(G + SP_HEAL_MAX), p).action, SP_ACT_HEAL);
    assert_int_equal(step(row(), presents(G + SP_HEAL_MAX + 1), p).action, SP_ACT_TRIP);
    struct sp_refresh_event beyond = presents(G + SP_HEAL_MAX);
    beyond.proof = SP_PROOF_BEYOND;
    assert_int_equal(step(row(), beyond, p).action, SP_ACT_TRIP);
    struct sp_session_row healed = row();
    healed.incarnation = 2; /* a rotation has written it since */
    assert_int_equal(step(healed, presents(G + 1), p).action, SP_ACT_TRIP);
}

static void over_sessions_refuse_everything_and_name_the_cause(void **state) {
    (void)state;
    struct sp_session_row r = row();
    r.idle_expires_ms = NOW;
    assert_int_equal(step(r, presents(G), policy()).cause, SP_END_EXPIRED_IDLE);
    r.absolute_expires_ms = NOW;
    assert_int_equal(step(r, presents(G), policy()).cause, SP_END_EXPIRED_ABSOLUTE);
    r = row();
    r.state = SP_SESSION_TRIPPED;
    r.cause = SP_END_REUSE_DETECTED;
    for (uint32_t g = 0; g < 12; g++) {
        struct sp_session_decision d = step(r, presents(g), policy());
        assert_int_equal(d.action, SP_ACT_REFUSE);
        assert_int_equal(d.cause, SP_END_REUSE_DETECTED);
    }
    struct sp_session_policy p = policy();
    p.session_floor = 1;
    p.floor_cause = SP_END_RESTORE;
    assert_int_equal(step(row(), presents(G), p).cause, SP_END_RESTORE);
}

static void windows_open_at_the_stop_reopen_when_ready(void **state) {
    (void)state;
    struct sp_session_policy p = policy();
    struct sp_session_row r = row();
    r.rotated_ms[0] = NOW - 100000;
    p.alive_ms = NOW - 95000; /* 5 s into the window the server died, and was back 3 s ago */
    p.ready_ms = NOW - 3000;
    assert_int_equal(step(r, presents(G - 1), p).action, SP_ACT_SUCCESSOR);
    p.ready_ms = NOW - GRACE - 1; /* back for longer than the grace time */
    assert_int_equal(step(r, presents(G - 1), p).action, SP_ACT_TRIP);
    p.ready_ms = NOW - 3000;
    p.alive_ms = NOW - 89999; /* the window had closed before the stop */
    assert_int_equal(step(r, presents(G - 1), p).action, SP_ACT_TRIP);
}

static void a_clock_set_back_does_not_trip_the_honest(void **state) {
    (void)state;
    struct sp_session_row r = row();
    r.rotated_ms[0] = NOW + 5000;
    assert_int_equal(step(r, presents(G - 1), policy()).action, SP_ACT_SUCCESSOR);
}

static void rows_that_no_code_of_ours_wrote_are_found(void **state) {
    (void)state;
    struct sp_session_row good = row(), r;
    assert_true(sp_ok(sp_session_row_check(&good)));
    r = good, r.state = 9;
    assert_false(sp_ok(sp_session_row_check(&r)));
    r = good, r.mode = 0;
    assert_false(sp_ok(sp_session_row_check(&r)));
    r = good, r.cause = SP_END_LOGOUT;
    assert_false(sp_ok(sp_session_row_check(&r)));
    r = good, r.state = SP_SESSION_ENDED;
    assert_false(sp_ok(sp_session_row_check(&r)));
    r = good, r.idle_expires_ms = r.absolute_expires_ms + 1;
    assert_false(sp_ok(sp_session_row_check(&r)));
    r = good, r.rotated_ms[0] = 0;
    assert_false(sp_ok(sp_session_row_check(&r)));
    r = good, r.cause = SP_END_CAUSE_COUNT;
    assert_false(sp_ok(sp_session_row_check(&r)));
}

/* ---- proof ---- */

struct family {
    struct sp_refresh_key key;
    struct sp_session_row row;
    sp_sid sid;
    uint8_t secrets[SP_HEAL_MAX + 20][SP_ROW_SECRET_BYTES];
};

static struct family *family_at(uint32_t generation) {
    static struct family f;
    memset(&f, 0, sizeof(f));
    const uint8_t master[SP_REFRESH_KEY_BYTES] = {1, 2, 3};
    sp_refresh_key_init(&f.key, 3, master);
    memset(f.sid.b, 0x5A, sizeof(f.sid.b));
    memset(f.secrets[0], 0x11, SP_ROW_SECRET_BYTES);
    for (uint32_t g = 0; g + 1 < SP_ARRAY_LEN(f.secrets); g++) {
        memcpy(f.secrets[g + 1], f.secrets[g], SP_ROW_SECRET_BYTES);
        sp_refresh_ratchet(&f.key, f.sid, g, f.secrets[g + 1]);
    }
    f.row.refresh_key = 3;
    f.row.generation = generation;
    memcpy(f.row.secret, f.secrets[generation], SP_ROW_SECRET_BYTES);
    return &f;
}

static struct sp_refresh_token token_of(const struct family *f, uint32_t g) {
    struct sp_refresh_token t = {.key_id = 3, .sid = f->sid, .generation = g};
    if (g < SP_ARRAY_LEN(f->secrets)) memcpy(t.secret, f->secrets[g], sizeof(t.secret));
    return t;
}

static void every_generation_of_the_family_is_proved(void **state) {
    (void)state;
    struct family *f = family_at(9);
    for (uint32_t g = 0; g < SP_ARRAY_LEN(f->secrets) && g <= 9 + SP_HEAL_MAX; g++) {
        struct sp_refresh_token t = token_of(f, g);
        assert_int_equal(sp_tripwire_prove(&f->row, &t, &f->key), SP_PROOF_GENUINE);
    }
}

static void one_wrong_bit_proves_nothing(void **state) {
    (void)state;
    struct family *f = family_at(9);
    for (uint32_t g = 0; g < 15; g++) {
        struct sp_refresh_token t = token_of(f, g);
        t.secret[g % SP_ROW_SECRET_BYTES] ^= 0x80;
        assert_int_equal(sp_tripwire_prove(&f->row, &t, &f->key), SP_PROOF_WRONG);
    }
}

static void a_secret_under_another_generation_proves_nothing(void **state) {
    (void)state;
    struct family *f = family_at(9);
    struct sp_refresh_token t = token_of(f, 5);
    t.generation = 6;
    assert_int_equal(sp_tripwire_prove(&f->row, &t, &f->key), SP_PROOF_WRONG);
    t.generation = 9;
    assert_int_equal(sp_tripwire_prove(&f->row, &t, &f->key), SP_PROOF_WRONG);
}

static void another_key_proves_nothing(void **state) {
    (void)state;
    struct family *f = family_at(9);
    struct sp_refresh_token t = token_of(f, 9);
    f->row.refresh_key = 4;
    assert_int_equal(sp_tripwire_prove(&f->row, &t, &f->key), SP_PROOF_WRONG);
}

static void far_ahead_is_beyond_and_far_behind_is_wrong(void **state) {
    (void)state;
    struct family *f = family_at(9);
    struct sp_refresh_token t = token_of(f, 9 + SP_HEAL_MAX + 1);
    assert_int_equal(sp_tripwire_prove(&f->row, &t, &f->key), SP_PROOF_BEYOND);
    t = token_of(f, 9);
    f->row.generation = 9 + SP_RATCHET_PROOF_MAX + 1;
    assert_int_equal(sp_tripwire_prove(&f->row, &t, &f->key), SP_PROOF_WRONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(current_generation_rotates),
        cmocka_unit_test(wrong_secret_changes_nothing_however_old_it_claims_to_be),
        cmocka_unit_test(genuine_token_of_another_client_is_refused_and_audited_without_trip),
        cmocka_unit_test(previous_generation_within_grace_gets_the_same_successor),
        cmocka_unit_test(refresh_reused_after_grace_trips_family),
        cmocka_unit_test(same_attempt_is_answered_however_late),
        cmocka_unit_test(absent_attempts_do_not_match_each_other),
        cmocka_unit_test(attempt_never_excuses_older_generations),
        cmocka_unit_test(delayed_request_of_a_busy_client_is_superseded),
        cmocka_unit_test(cookie_mode_answers_tabs_without_rotating),
        cmocka_unit_test(policy_user_reaches_every_session_and_report_leaves_it_alone),
        cmocka_unit_test(impossible_generation_trips_with_its_own_cause),
        cmocka_unit_test(store_that_went_back_is_healed_within_bounds_and_once),
        cmocka_unit_test(over_sessions_refuse_everything_and_name_the_cause),
        cmocka_unit_test(windows_open_at_the_stop_reopen_when_ready),
        cmocka_unit_test(a_clock_set_back_does_not_trip_the_honest),
        cmocka_unit_test(rows_that_no_code_of_ours_wrote_are_found),
        cmocka_unit_test(every_generation_of_the_family_is_proved),
        cmocka_unit_test(one_wrong_bit_proves_nothing),
        cmocka_unit_test(a_secret_under_another_generation_proves_nothing),
        cmocka_unit_test(another_key_proves_nothing),
        cmocka_unit_test(far_ahead_is_beyond_and_far_behind_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
