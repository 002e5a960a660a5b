#include "crypto_test.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "crypto/password.h"

/* As cheap as Argon2id gets: these tests are about strings and verdicts. */
static const struct sp_password_params cheap = {.m_kib = 64, .t = 1, .p = 1};

static sp_slice hash_of(const char *password, struct sp_buf *phc) {
    assert_status(sp_password_hash(&cheap, sp_slice_cstr(password), phc), SP_OK);
    return sp_buf_slice(phc);
}

static enum sp_password_verdict verdict(sp_slice phc, sp_slice password) {
    enum sp_password_verdict v = SP_PASSWORD_WRONG;
    assert_status(sp_password_verify(phc, password, &v), SP_OK);
    return v;
}

static void right_password_is_right_and_others_are_wrong(void **state) {
    (void)state;
    SP_AUTO(sp_buf) buf = SP_BUF_INIT(SP_PASSWORD_PHC_BYTES_MAX);
    sp_slice phc = hash_of("correct horse", &buf);
    assert_int_equal(verdict(phc, SP_SLICE_LIT("correct horse")), SP_PASSWORD_RIGHT);
    assert_int_equal(verdict(phc, SP_SLICE_LIT("correct horsf")), SP_PASSWORD_WRONG);
    assert_int_equal(verdict(phc, SP_SLICE_LIT("correct horse ")), SP_PASSWORD_WRONG);
    assert_int_equal(verdict(phc, SP_SLICE_EMPTY), SP_PASSWORD_WRONG);
}

static void password_is_not_cut_at_nul(void **state) {
    (void)state;
    SP_AUTO(sp_buf) buf = SP_BUF_INIT(SP_PASSWORD_PHC_BYTES_MAX);
    assert_status(sp_password_hash(&cheap, SP_SLICE_LIT("a\0b"), &buf), SP_OK);
    assert_int_equal(verdict(sp_buf_slice(&buf), SP_SLICE_LIT("a\0b")), SP_PASSWORD_RIGHT);
    assert_int_equal(verdict(sp_buf_slice(&buf), SP_SLICE_LIT("a")), SP_PASSWORD_WRONG);
    assert_int_equal(verdict(sp_buf_slice(&buf), SP_SLICE_LIT("a\0c")), SP_PASSWORD_WRONG);
}

static void default_hash_states_its_costs(void **state) {
    (void)state;
    const struct sp_password_params defaults = SP_PASSWORD_PARAMS_DEFAULT;
    SP_AUTO(sp_buf) buf = SP_BUF_INIT(SP_PASSWORD_PHC_BYTES_MAX);
    assert_status(sp_password_hash(&defaults, SP_SLICE_LIT("pw"), &buf), SP_OK);
    assert_true(sp_slice_starts(sp_buf_slice(&buf), SP_SLICE_LIT("$argon2id$v=19$m=19456,t=2,p=1$")));
    assert_false(sp_password_needs_rehash(sp_buf_slice(&buf), &defaults));
    assert_true(sp_password_needs_rehash(sp_buf_slice(&buf), &cheap));
}

/* Made by the reference implementation (argon2-cffi): "password", t=2, m=64. */
#define REFERENCE                                                                                            \
    "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6E"

static void hash_of_other_software_verifies(void **state) {
    (void)state;
    assert_int_equal(verdict(SP_SLICE_LIT(REFERENCE), SP_SLICE_LIT("password")), SP_PASSWORD_RIGHT);
    assert_int_equal(verdict(SP_SLICE_LIT(REFERENCE), SP_SLICE_LIT("Password")), SP_PASSWORD_WRONG);
}

static void refused(const char *phc, enum sp_code how) {
    enum sp_password_verdict v = SP_PASSWORD_WRONG;
    assert_status(sp_password_verify(sp_slice_cstr(phc), SP_SLICE_LIT("password"), &v), how);
    assert_int_equal(v, SP_PASSWORD_WRONG);
    assert_true(sp_password_needs_rehash(sp_slice_cstr(phc), &cheap));
}

/* The password is right for each of them: what cannot be verified for sure is not called wrong. */
static void hash_of_another_form_is_unsupported_and_not_wrong(void **state) {
    (void)state;
    refused("$argon2id$v=19$m=64,t=2,p=4$c29tZXNhbHRzb21lc2FsdA$QRGpImb4AVxCJOY0/cc1La1+F6vjYtI4YzEzMib4GJ4",
            SP_E_UNSUPPORTED);
    refused("$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$FqGkmHNGCd0BRW2kBt6fPZ2pPmyGwwChL8FGUhTOSSI",
            SP_E_UNSUPPORTED);
    refused("$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$eSqXvpoaUP6jbXltItIBAw", SP_E_UNSUPPORTED);
}

static void row_that_demands_too_much_is_not_computed(void **state) {
    (void)state;
    static const char tail[] = "$c29tZXNhbHRzb21lc2FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6E";
    static const char *const costs[] = {"m=4294967295,t=2,p=1", "m=1048577,t=2,p=1", "m=7,t=2,p=1",
                                        "m=64,t=4000000000,p=1", "m=64,t=0,p=1"};
    for (size_t i = 0; i < SP_ARRAY_LEN(costs); i++) {
        char row[SP_PASSWORD_PHC_BYTES_MAX];
        snprintf(row, sizeof(row), "$argon2id$v=19$%s%s", costs[i], tail);
        refused(row, SP_E_LIMIT);
    }
}

/* As much address space as there is now, and a little: what Argon2id asks for is not to be had. */
static void missing_memory_is_not_a_wrong_password(void **state) {
    (void)state;
    static const char greedy[] =
        "$argon2id$v=19$m=1048576,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6E";
    const struct sp_password_params much = {.m_kib = SP_PASSWORD_M_KIB_MAX, .t = 1, .p = 1};
    enum sp_password_verdict v = SP_PASSWORD_RIGHT;
    SP_AUTO(sp_buf) buf = SP_BUF_INIT(SP_PASSWORD_PHC_BYTES_MAX);
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    struct rlimit before, little;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    little = before;
    little.rlim_cur = (pages + 16384) * (rlim_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
    sp_status verified = sp_password_verify(sp_slice_cstr(greedy), SP_SLICE_LIT("password"), &v);
    sp_status absent = sp_password_verify_absent(&much, SP_SLICE_LIT("password"));
    sp_status hashed = sp_password_hash(&much, SP_SLICE_LIT("password"), &buf);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_status(verified, SP_E_NOMEM);
    assert_int_equal(v, SP_PASSWORD_RIGHT); /* untouched */
    assert_status(absent, SP_E_NOMEM);
    assert_status(hashed, SP_E_NOMEM);
    assert_int_equal(buf.n, 0);
}

static void malformed_rows_are_told_from_wrong_passwords(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "password",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$abc",
        "$argon2id$v=19$m=64,t=1,p=1$",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=+64,t=1,p=1$c29$abc",
        "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        REFERENCE "$",
        REFERENCE "=",
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc\351FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6E",
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk_A",
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6F",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(rows); i++) {
        enum sp_password_verdict v = SP_PASSWORD_WRONG;
        sp_status s = sp_password_verify(sp_slice_cstr(rows[i]), SP_SLICE_LIT(""), &v);
        assert_status(s, SP_E_MALFORMED);
        assert_true(sp_password_needs_rehash(sp_slice_cstr(rows[i]), &cheap));
    }
}

static void absent_user_costs_the_same_call(void **state) {
    (void)state;
    const struct sp_password_params many_lanes = {.m_kib = 64, .t = 1, .p = 4};
    assert_status(sp_password_verify_absent(&cheap, SP_SLICE_LIT("anything")), SP_OK);
    assert_status(sp_password_verify_absent(&cheap, SP_SLICE_EMPTY), SP_OK);
    assert_status(sp_password_verify_absent(&many_lanes, SP_SLICE_EMPTY), SP_E_REFUSED);
}

static void overlong_password_is_refused_before_hashing(void **state) {
    (void)state;
    static uint8_t text[SP_PASSWORD_BYTES_MAX + 1];
    SP_AUTO(sp_buf) buf = SP_BUF_INIT(SP_PASSWORD_PHC_BYTES_MAX);
    assert_status(sp_password_hash(&cheap, SP_SLICE_ARRAY(text), &buf), SP_E_LIMIT);
    assert_status(sp_password_verify_absent(&cheap, SP_SLICE_ARRAY(text)), SP_E_LIMIT);
    assert_status(sp_password_hash(&cheap, sp_slice_of(text, SP_PASSWORD_BYTES_MAX), &buf), SP_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_password_is_right_and_others_are_wrong),
        cmocka_unit_test(password_is_not_cut_at_nul),
        cmocka_unit_test(default_hash_states_its_costs),
        cmocka_unit_test(hash_of_other_software_verifies),
        cmocka_unit_test(hash_of_another_form_is_unsupported_and_not_wrong),
        cmocka_unit_test(missing_memory_is_not_a_wrong_password),
        cmocka_unit_test(row_that_demands_too_much_is_not_computed),
        cmocka_unit_test(malformed_rows_are_told_from_wrong_passwords),
        cmocka_unit_test(absent_user_costs_the_same_call),
        cmocka_unit_test(overlong_password_is_refused_before_hashing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
