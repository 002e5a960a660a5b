/* The table of oauth_step.h, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "core/oauth_step.h"

enum { NOW_S = 1700000000 };

struct facts {
    struct sp_authz_request request;
    struct sp_authz_signin_facts signin;
    struct sp_authz_consent_facts consent;
};

/* Somebody who signed in ten minutes ago and has allowed the client all that it asks for. */
static struct facts ready(void) {
    struct facts f = {.signin = {.is_on = true, .sid = {1}, .user_id = {2}, .auth_time_s = NOW_S - 600},
                      .consent = {.was_given = true,
                                  .granted_ms = 2000,
                                  .client_created_ms = 1000,
                                  .given = SP_SLICE_LIT("openid documents:read"),
                                  .wanted = SP_SLICE_LIT("documents:read openid")}};
    return f;
}

static struct sp_authz_step step(const struct facts *f) {
    return sp_authz_step(&f->request, &f->signin, &f->consent, NOW_S);
}

/* What the same facts come to for a person who can be asked, and for one who must not be. */
static void assert_row(const struct facts *f, enum sp_authz_step_kind asked, enum sp_oauth_error silent) {
    struct facts g = *f;
    const struct sp_authz_step a = step(&g);
    assert_int_equal(a.kind, asked);
    if (a.kind == SP_STEP_ERROR) assert_int_equal(a.error, silent);
    g.request.prompt_none = true;
    const struct sp_authz_step b = step(&g);
    assert_int_equal(b.kind, silent == SP_OAUTH_NONE ? SP_STEP_CODE : SP_STEP_ERROR);
    assert_int_equal(b.error, silent);
}

static void nothing_missing_gives_a_code(void **state) {
    (void)state;
    const struct facts f = ready();
    assert_row(&f, SP_STEP_CODE, SP_OAUTH_NONE);
}

static void nobody_signed_in_gives_a_login_whatever_else_is_there(void **state) {
    (void)state;
    struct facts f = ready();
    f.signin.is_on = false;
    f.consent.just_given = true;
    assert_row(&f, SP_STEP_LOGIN, SP_OAUTH_LOGIN_REQUIRED);
}

static void another_than_the_hint_names_gives_a_login(void **state) {
    (void)state;
    struct facts f = ready();
    f.request.has_hint = true;
    f.request.hint_user[0] = 3;
    assert_row(&f, SP_STEP_LOGIN, SP_OAUTH_LOGIN_REQUIRED);
    f.request.hint_user[0] = 2;
    assert_row(&f, SP_STEP_CODE, SP_OAUTH_NONE);
}

static void another_who_signed_in_for_this_request_is_told_to_the_client(void **state) {
    (void)state;
    struct facts f = ready();
    f.request.has_hint = true;
    f.request.hint_user[0] = 3;
    f.request.signed_in[0] = 1;
    assert_row(&f, SP_STEP_ERROR, SP_OAUTH_LOGIN_REQUIRED);
}

static void prompt_login_is_met_by_the_sign_in_for_this_request_alone(void **state) {
    (void)state;
    struct facts f = ready();
    f.request.prompt_login = true;
    assert_int_equal(step(&f).kind, SP_STEP_LOGIN);
    f.request.signed_in[0] = 9; /* a stranger's sign-in */
    assert_int_equal(step(&f).kind, SP_STEP_LOGIN);
    f.request.signed_in[0] = 1;
    assert_int_equal(step(&f).kind, SP_STEP_CODE);
    f.signin.auth_time_s--; /* ten minutes ago, and a second */
    assert_int_equal(step(&f).kind, SP_STEP_LOGIN);
    f.signin.auth_time_s = NOW_S + 1;
    assert_int_equal(step(&f).kind, SP_STEP_LOGIN);
}

static void no_sign_in_for_a_request_is_not_the_sign_in_of_zeros(void **state) {
    (void)state;
    struct facts f = ready();
    memset(f.signin.sid, 0, sizeof(f.signin.sid));
    f.request.prompt_login = true;
    assert_int_equal(step(&f).kind, SP_STEP_LOGIN);
}

static void max_age_is_counted_to_the_second(void **state) {
    (void)state;
    struct facts f = ready();
    f.request.has_max_age = true;
    f.request.max_age_s = 600;
    assert_row(&f, SP_STEP_CODE, SP_OAUTH_NONE);
    f.request.max_age_s = 599;
    assert_row(&f, SP_STEP_LOGIN, SP_OAUTH_LOGIN_REQUIRED);
    f.request.signed_in[0] = 1;
    assert_int_equal(step(&f).kind, SP_STEP_CODE);
}

static void max_age_zero_is_prompt_login(void **state) {
    (void)state;
    struct facts f = ready();
    f.signin.auth_time_s = NOW_S;
    f.request.has_max_age = true;
    assert_row(&f, SP_STEP_LOGIN, SP_OAUTH_LOGIN_REQUIRED);
    f.request.signed_in[0] = 1;
    assert_int_equal(step(&f).kind, SP_STEP_CODE);
}

static void a_sign_in_from_the_future_is_too_old(void **state) {
    (void)state;
    struct facts f = ready();
    f.signin.auth_time_s = NOW_S + 1;
    f.request.has_max_age = true;
    f.request.max_age_s = 1000000;
    assert_row(&f, SP_STEP_LOGIN, SP_OAUTH_LOGIN_REQUIRED);
}

static void a_second_factor_comes_after_the_first_and_before_consent(void **state) {
    (void)state;
    struct facts f = ready();
    f.signin.second_factor_due = true;
    assert_row(&f, SP_STEP_SECOND_FACTOR, SP_OAUTH_INTERACTION_REQUIRED);
    f.consent.was_given = false;
    assert_row(&f, SP_STEP_SECOND_FACTOR, SP_OAUTH_INTERACTION_REQUIRED);
    f.signin.is_on = false;
    assert_row(&f, SP_STEP_LOGIN, SP_OAUTH_LOGIN_REQUIRED);
}

static void what_was_never_allowed_is_asked(void **state) {
    (void)state;
    struct facts f = ready();
    f.consent.was_given = false;
    assert_row(&f, SP_STEP_CONSENT, SP_OAUTH_CONSENT_REQUIRED);
    f.consent.wanted = SP_SLICE_EMPTY; /* who somebody is, is something too */
    assert_row(&f, SP_STEP_CONSENT, SP_OAUTH_CONSENT_REQUIRED);
}

static void more_than_was_allowed_is_asked_and_less_is_not(void **state) {
    (void)state;
    struct facts f = ready();
    f.consent.wanted = SP_SLICE_LIT("openid documents:read documents:write");
    assert_row(&f, SP_STEP_CONSENT, SP_OAUTH_CONSENT_REQUIRED);
    f.consent.wanted = SP_SLICE_LIT("openid");
    assert_row(&f, SP_STEP_CODE, SP_OAUTH_NONE);
}

static void what_an_earlier_client_of_that_id_was_allowed_does_not_count(void **state) {
    (void)state;
    struct facts f = ready();
    f.consent.client_created_ms = 2001;
    assert_row(&f, SP_STEP_CONSENT, SP_OAUTH_CONSENT_REQUIRED);
    f.consent.client_created_ms = 2000;
    assert_row(&f, SP_STEP_CODE, SP_OAUTH_NONE);
}

static void prompt_consent_asks_again_until_it_was_given_for_this_request(void **state) {
    (void)state;
    struct facts f = ready();
    f.request.prompt_consent = true;
    assert_int_equal(step(&f).kind, SP_STEP_CONSENT);
    f.consent.just_given = true;
    assert_int_equal(step(&f).kind, SP_STEP_CODE);
}

static void a_trusted_client_is_never_asked_for(void **state) {
    (void)state;
    struct facts f = ready();
    f.consent = (struct sp_authz_consent_facts){.is_needless = true, .wanted = SP_SLICE_LIT("openid")};
    assert_row(&f, SP_STEP_CODE, SP_OAUTH_NONE);
    f.request.prompt_consent = true;
    assert_int_equal(step(&f).kind, SP_STEP_CODE);
}

static void what_a_client_that_anybody_can_be_was_allowed_is_asked_again(void **state) {
    (void)state;
    struct facts f = ready();
    f.consent.is_anybodys = true;
    assert_row(&f, SP_STEP_CONSENT, SP_OAUTH_CONSENT_REQUIRED);
    f.consent.just_given = true;
    assert_row(&f, SP_STEP_CODE, SP_OAUTH_NONE);
    f.consent.just_given = false;
    f.consent.is_needless = true;
    assert_row(&f, SP_STEP_CODE, SP_OAUTH_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_missing_gives_a_code),
        cmocka_unit_test(nobody_signed_in_gives_a_login_whatever_else_is_there),
        cmocka_unit_test(another_than_the_hint_names_gives_a_login),
        cmocka_unit_test(another_who_signed_in_for_this_request_is_told_to_the_client),
        cmocka_unit_test(prompt_login_is_met_by_the_sign_in_for_this_request_alone),
        cmocka_unit_test(no_sign_in_for_a_request_is_not_the_sign_in_of_zeros),
        cmocka_unit_test(max_age_is_counted_to_the_second),
        cmocka_unit_test(max_age_zero_is_prompt_login),
        cmocka_unit_test(a_sign_in_from_the_future_is_too_old),
        cmocka_unit_test(a_second_factor_comes_after_the_first_and_before_consent),
        cmocka_unit_test(what_was_never_allowed_is_asked),
        cmocka_unit_test(more_than_was_allowed_is_asked_and_less_is_not),
        cmocka_unit_test(what_an_earlier_client_of_that_id_was_allowed_does_not_count),
        cmocka_unit_test(prompt_consent_asks_again_until_it_was_given_for_this_request),
        cmocka_unit_test(a_trusted_client_is_never_asked_for),
        cmocka_unit_test(what_a_client_that_anybody_can_be_was_allowed_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
