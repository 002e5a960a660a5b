/* Guessing, spraying, locking others out, and registration, on a whole app with a clock that we move. */
#include "app_bench.h"

enum { BURST = 3, REFILL_MS = 60000, SPRAY_BURST = 8, SPRAY_REFILL_MS = 1000, REGISTER_BURST = 2 };

struct answer {
    uint32_t answers;
    enum sp_outcome outcome;
    uint32_t retry_after_s;
    const char *reason;
    char device[SP_DEVICE_TOKEN_CHARS];
    size_t device_n;
};

static void tokens_done(void *arg, const struct sp_tokens_result *r) {
    struct answer *a = arg;
    a->answers++;
    a->outcome = r->outcome;
    a->retry_after_s = r->why.retry_after_s;
    a->reason = r->why.reason;
    a->device_n = r->device_token.n;
    if (a->device_n != 0) memcpy(a->device, r->device_token.p, a->device_n);
}

static void plain_done(void *arg, const struct sp_plain_result *r) {
    struct answer *a = arg;
    a->answers++;
    a->outcome = r->outcome;
    a->retry_after_s = r->why.retry_after_s;
    a->reason = r->why.reason;
}

static struct answer login_from(struct bench *b, const char *address, const char *name, const char *password,
                                sp_slice device) {
    struct answer a = {0};
    struct sp_call call = bench_call(b);
    call.address = sp_slice_cstr(address);
    const struct sp_login_request in = {.username = sp_slice_cstr(name),
                                        .password = sp_slice_cstr(password),
                                        .mode = SP_MODE_TOKEN,
                                        .device_token = device};
    sp_app_login(b->app, &call, &in, tokens_done, &a);
    bench_run(b);
    assert_int_equal(a.answers, 1);
    return a;
}

/* Each from an address of its own: what the account's bucket does, alone. */
static struct answer guess(struct bench *b, const char *name, sp_slice device) {
    static unsigned n;
    char address[32];
    n++;
    snprintf(address, sizeof(address), "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
    return login_from(b, address, name, "wrong password", device);
}

static struct answer honest(struct bench *b, sp_slice device) {
    return login_from(b, "192.0.2.1", "ada", "correct horse", device);
}

static sp_slice device_of(const struct answer *a) {
    return sp_slice_of(a->device, a->device_n);
}

static void guesses_are_stopped_before_they_are_hashed(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < BURST; i++)
        assert_int_equal(guess(b, "ada", SP_SLICE_EMPTY).outcome, SP_OUTCOME_INVALID_CREDENTIALS);
    uint32_t hashes = b->hashes;
    struct answer a = guess(b, "ada", SP_SLICE_EMPTY);
    assert_int_equal(a.outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    assert_int_equal(a.retry_after_s, REFILL_MS / 1000);
    assert_int_equal(b->hashes, hashes);
    assert_int_equal(honest(b, SP_SLICE_EMPTY).outcome,
                     SP_OUTCOME_TOO_MANY_ATTEMPTS); /* even the right one */
    b->now_ms += REFILL_MS - 1;
    assert_int_equal(guess(b, "ada", SP_SLICE_EMPTY).outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    b->now_ms += 1;
    assert_int_equal(honest(b, SP_SLICE_EMPTY).outcome, SP_OUTCOME_OK);
}

static void names_that_nobody_has_are_throttled_alike(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < BURST; i++)
        assert_int_equal(guess(b, "nobody", SP_SLICE_EMPTY).outcome, SP_OUTCOME_INVALID_CREDENTIALS);
    struct answer unknown = guess(b, "NoBody", SP_SLICE_EMPTY); /* the name counts, however it is written */
    for (int i = 0; i < BURST; i++) (void)guess(b, "ada", SP_SLICE_EMPTY);
    struct answer known = guess(b, "ada", SP_SLICE_EMPTY);
    assert_int_equal(unknown.outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    assert_int_equal(unknown.outcome, known.outcome);
    assert_int_equal(unknown.retry_after_s, known.retry_after_s);
}

static void a_stranger_cannot_lock_out_a_known_device(void **state) {
    struct bench *b = *state;
    struct answer first = honest(b, SP_SLICE_EMPTY);
    assert_int_equal(first.device_n, SP_DEVICE_TOKEN_CHARS);
    for (int i = 0; i < 100; i++) (void)guess(b, "ada", SP_SLICE_EMPTY);
    assert_int_equal(honest(b, SP_SLICE_EMPTY).outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    struct answer again = honest(b, device_of(&first));
    assert_int_equal(again.outcome, SP_OUTCOME_OK);
    assert_int_equal(honest(b, device_of(&again)).outcome,
                     SP_OUTCOME_OK); /* the new token is the same device */
}

static void a_known_device_has_no_more_guesses_than_a_stranger(void **state) {
    struct bench *b = *state;
    struct answer first = honest(b, SP_SLICE_EMPTY);
    for (int i = 0; i < BURST; i++)
        assert_int_equal(guess(b, "ada", device_of(&first)).outcome, SP_OUTCOME_INVALID_CREDENTIALS);
    assert_int_equal(guess(b, "ada", device_of(&first)).outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    assert_int_equal(honest(b, SP_SLICE_EMPTY).outcome, SP_OUTCOME_OK);
}

static void successes_cost_nothing(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < 5 * SPRAY_BURST; i++)
        assert_int_equal(honest(b, SP_SLICE_EMPTY).outcome, SP_OUTCOME_OK);
    /* ... and wash nothing clean: what was lost before stays lost. */
    for (int i = 0; i < BURST - 1; i++) (void)guess(b, "ada", SP_SLICE_EMPTY);
    assert_int_equal(honest(b, SP_SLICE_EMPTY).outcome, SP_OUTCOME_OK);
    assert_int_equal(guess(b, "ada", SP_SLICE_EMPTY).outcome, SP_OUTCOME_INVALID_CREDENTIALS);
    assert_int_equal(guess(b, "ada", SP_SLICE_EMPTY).outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
}

static void a_forged_or_foreign_device_token_is_a_strangers(void **state) {
    struct bench *b = *state;
    bench_user_new(b, "bob", "plain:bobs password");
    struct answer mine = honest(b, SP_SLICE_EMPTY);
    struct answer bobs = login_from(b, "192.0.2.1", "bob", "bobs password", SP_SLICE_EMPTY);
    for (int i = 0; i < BURST; i++) (void)guess(b, "ada", SP_SLICE_EMPTY);
    assert_int_equal(honest(b, device_of(&bobs)).outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    for (size_t i = 0; i < mine.device_n; i++) {
        struct answer forged = mine;
        forged.device[i] = forged.device[i] == 'A' ? 'B' : 'A';
        assert_int_equal(guess(b, "ada", device_of(&forged)).outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    }
    const sp_slice cut = sp_slice_of(mine.device, mine.device_n - 1);
    assert_int_equal(guess(b, "ada", cut).outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    assert_int_equal(guess(b, "ada", device_of(&mine)).outcome, SP_OUTCOME_INVALID_CREDENTIALS);
}

static void device_tokens_die_with_age_and_with_the_password(void **state) {
    struct bench *b = *state;
    struct answer old = honest(b, SP_SLICE_EMPTY);
    b->now_ms += (int64_t)SP_DEVICE_TOKEN_TTL_S * 1000 - 1;
    for (int i = 0; i < BURST; i++) (void)guess(b, "ada", SP_SLICE_EMPTY);
    assert_int_equal(honest(b, device_of(&old)).outcome, SP_OUTCOME_OK);
    b->now_ms += 1;
    assert_int_equal(honest(b, device_of(&old)).outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);

    b->now_ms += 10 * REFILL_MS;
    struct answer fresh = honest(b, SP_SLICE_EMPTY);
    b->now_ms += 1;
    struct sp_user_row user = bench_user(b, "ada");
    user.password_changed_ms = b->now_ms;
    bench_user_put(b, &user);
    for (int i = 0; i < BURST; i++) (void)guess(b, "ada", SP_SLICE_EMPTY);
    assert_int_equal(honest(b, device_of(&fresh)).outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
}

static void a_spray_from_one_address_is_bounded_and_others_are_served(void **state) {
    struct bench *b = *state;
    char name[16];
    for (int i = 0; i < SPRAY_BURST; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        assert_int_equal(login_from(b, "2001:db8::1", name, "Summer2026!", SP_SLICE_EMPTY).outcome,
                         SP_OUTCOME_INVALID_CREDENTIALS);
    }
    struct answer a = login_from(b, "2001:db8::ffff", "ada", "correct horse", SP_SLICE_EMPTY);
    assert_int_equal(a.outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    assert_int_equal(a.retry_after_s, 1);
    assert_int_equal(login_from(b, "2001:db8:0:1::1", "ada", "correct horse", SP_SLICE_EMPTY).outcome,
                     SP_OUTCOME_OK);
}

static void overload_is_not_the_accounts_fault(void **state) {
    struct bench *b = *state;
    b->hash_full = true;
    for (int i = 0; i < 2 * BURST; i++)
        assert_int_equal(guess(b, "ada", SP_SLICE_EMPTY).outcome, SP_OUTCOME_OVERLOADED);
    b->hash_full = false;
    assert_int_equal(guess(b, "ada", SP_SLICE_EMPTY).outcome, SP_OUTCOME_INVALID_CREDENTIALS);
}

static void throttling_is_recorded_once_a_minute(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < 50; i++) (void)guess(b, "ada", SP_SLICE_EMPTY);
    bench_run(b);
    assert_int_equal(bench_records(b, "login_throttled"), 1);
}

/* ---- change of password ---- */

static struct answer change(struct bench *b, const struct tokens *as, const char *current,
                            const char *wanted) {
    struct answer a = {0};
    struct sp_call call = bench_call_as(b, as);
    const struct sp_password_request in = {.current = sp_slice_cstr(current),
                                           .wanted = sp_slice_cstr(wanted)};
    sp_app_password_change(b->app, &call, &in, plain_done, &a);
    bench_run(b);
    assert_int_equal(a.answers, 1);
    return a;
}

static void a_stolen_session_cannot_guess_the_password(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    for (int i = 0; i < BURST; i++)
        assert_int_equal(change(b, &t, "wrong password", "a new password").outcome,
                         SP_OUTCOME_INVALID_CREDENTIALS);
    struct answer a = change(b, &t, "correct horse", "a new password");
    assert_int_equal(a.outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    assert_int_equal(a.retry_after_s, REFILL_MS / 1000);
    assert_int_equal(bench_records(b, "password_change_throttled"), 1);
    assert_int_equal(honest(b, SP_SLICE_EMPTY).outcome, SP_OUTCOME_OK); /* logging in is another matter */
    b->now_ms += REFILL_MS;
    assert_int_equal(change(b, &t, "correct horse", "a new password").outcome, SP_OUTCOME_OK);
}

static void strangers_at_the_login_do_not_stop_a_change(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    for (int i = 0; i < 2 * BURST; i++) (void)guess(b, "ada", SP_SLICE_EMPTY);
    assert_int_equal(change(b, &t, "correct horse", "a new password").outcome, SP_OUTCOME_OK);
}

static void rejected_passwords_say_why_and_cost_nothing(void **state) {
    struct bench *b = *state;
    struct tokens t = bench_login(b);
    static const struct {
        const char *wanted, *reason;
    } cases[] = {{"short", "too_short"},
                 {"12345678", "too_simple"},
                 {"ADA", "too_short"},
                 {"common pw", "common"},
                 {"qwertyuiop", "too_simple"}};
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        struct answer a = change(b, &t, "correct horse", cases[i].wanted);
        assert_int_equal(a.outcome, SP_OUTCOME_PASSWORD_REJECTED);
        assert_string_equal(a.reason, cases[i].reason);
    }
    assert_int_equal(change(b, &t, "correct horse", "a new password").outcome, SP_OUTCOME_OK);
}

/* ---- registration ---- */

static struct answer enrol(struct bench *b, const char *address, const char *name, const char *password) {
    struct answer a = {0};
    struct sp_call call = bench_call(b);
    call.address = sp_slice_cstr(address);
    const struct sp_register_request in = {.username = sp_slice_cstr(name),
                                           .password = sp_slice_cstr(password),
                                           .device = SP_SLICE_LIT("laptop"),
                                           .mode = SP_MODE_TOKEN};
    sp_app_register(b->app, &call, &in, tokens_done, &a);
    bench_run(b);
    assert_int_equal(a.answers, 1);
    return a;
}

static void who_registers_is_a_user_with_the_default_roles(void **state) {
    struct bench *b = *state;
    struct answer a = enrol(b, "192.0.2.9", "Grace", "a good password");
    assert_int_equal(a.outcome, SP_OUTCOME_OK);
    struct sp_user_row user = bench_user(b, "grace");
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&user.roles), "reader"));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&user.display), "Grace"));
    assert_int_equal(bench_records(b, "user_registered"), 1);
    assert_int_equal(bench_records(b, "login"), 1);
    for (int i = 0; i < BURST; i++) (void)guess(b, "grace", SP_SLICE_EMPTY);
    assert_int_equal(login_from(b, "192.0.2.9", "grace", "a good password", device_of(&a)).outcome,
                     SP_OUTCOME_OK);
}

static void a_taken_name_is_told_and_costs_an_attempt(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < REGISTER_BURST; i++)
        assert_int_equal(enrol(b, "192.0.2.9", "ADA", "a good password").outcome, SP_OUTCOME_ALREADY_EXISTS);
    assert_int_equal(enrol(b, "192.0.2.9", "eve", "a good password").outcome, SP_OUTCOME_TOO_MANY_ATTEMPTS);
    assert_int_equal(enrol(b, "192.0.2.10", "eve", "a good password").outcome, SP_OUTCOME_OK);
    assert_int_equal(bench_records(b, "registration_failed"), 1);
    assert_int_equal(bench_records(b, "registration_throttled"), 1);
    assert_int_equal(honest(b, SP_SLICE_EMPTY).outcome, SP_OUTCOME_OK); /* ada is as she was */
}

static void registration_judges_names_and_passwords_for_free(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < 2 * REGISTER_BURST; i++) {
        assert_int_equal(enrol(b, "192.0.2.9", " eve", "a good password").outcome,
                         SP_OUTCOME_INVALID_REQUEST);
        struct answer a = enrol(b, "192.0.2.9", "eve the third", "Eve The Third");
        assert_int_equal(a.outcome, SP_OUTCOME_PASSWORD_REJECTED);
        assert_string_equal(a.reason, "is_user_name");
    }
    assert_int_equal(enrol(b, "192.0.2.9", "eve", "a good password").outcome, SP_OUTCOME_OK);
}

static int setup(void **state) {
    static struct bench b;
    const struct sp_throttle_rate account = {BURST, REFILL_MS};
    bench_defaults(&b);
    b.config.throttle[SP_THROTTLE_ACCOUNT] = account;
    b.config.throttle[SP_THROTTLE_DEVICE] = account;
    b.config.throttle[SP_THROTTLE_PASSWORD] = account;
    b.config.throttle[SP_THROTTLE_ADDRESS] = (struct sp_throttle_rate){SPRAY_BURST, SPRAY_REFILL_MS};
    b.config.throttle[SP_THROTTLE_REGISTER] = (struct sp_throttle_rate){REGISTER_BURST, REFILL_MS};
    b.config.registration_enabled = true;
    assert_true(sp_ok(SP_TEXT_SET(&b.config.registration_roles, SP_SLICE_LIT("reader"))));
    bench_open(&b);
    *state = &b;
    return 0;
}
static int teardown(void **state) {
    bench_close(*state);
    return 0;
}
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(guesses_are_stopped_before_they_are_hashed),
        TEST(names_that_nobody_has_are_throttled_alike),
        TEST(a_stranger_cannot_lock_out_a_known_device),
        TEST(a_known_device_has_no_more_guesses_than_a_stranger),
        TEST(successes_cost_nothing),
        TEST(a_forged_or_foreign_device_token_is_a_strangers),
        TEST(device_tokens_die_with_age_and_with_the_password),
        TEST(a_spray_from_one_address_is_bounded_and_others_are_served),
        TEST(overload_is_not_the_accounts_fault),
        TEST(throttling_is_recorded_once_a_minute),
        TEST(a_stolen_session_cannot_guess_the_password),
        TEST(strangers_at_the_login_do_not_stop_a_change),
        TEST(rejected_passwords_say_why_and_cost_nothing),
        TEST(who_registers_is_a_user_with_the_default_roles),
        TEST(a_taken_name_is_told_and_costs_an_attempt),
        TEST(registration_judges_names_and_passwords_for_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
