#include "fake.h"

#include "http/basic.h"
#include "http/exchange.h"

static struct sp_basic basic;

static enum sp_code parse(const char *text) {
    memset(&basic, 0, sizeof(basic));
    return sp_basic_parse(sp_slice_cstr(text), &basic).code;
}

static void assert_is(const char *text, const char *user, const char *password) {
    assert_int_equal(parse(text), SP_OK);
    assert_true(sp_slice_eq_cstr(basic.user, user));
    assert_true(sp_slice_eq_cstr(basic.password, password));
}

static void credential_is_what_stands_around_the_first_colon(void **state) {
    (void)state;
    assert_is("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"); /* RFC 7617 section 2 */
    assert_is("basic YTpi", "a", "b");
    assert_is("BASIC   YTpi", "a", "b");
    assert_is("Basic YTpiOmM=", "a", "b:c");
    assert_is("Basic Og==", "", "");
    assert_is("Basic YTo=", "a", "");
    assert_is("Basic OmI=", "", "b");
    assert_is("Basic YTr/+w==", "a", "\xff\xfb"); /* the alphabet's own two */
}

static void another_scheme_is_not_ours(void **state) {
    (void)state;
    static const char *const others[] = {"Bearer YTpi", "Basi YTpi", "Basics YTpi", "Digest a=b"};
    for (size_t i = 0; i < SP_ARRAY_LEN(others); i++) assert_int_equal(parse(others[i]), SP_E_UNSUPPORTED);
}

static void only_canonical_padded_base64_with_a_colon_is_a_credential(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "Basic",
        " Basic YTpi",
        "Basic ",
        "Basic YTpi ",     /* behind it */
        "Basic YTp i",     /* in it */
        "Basic\tYTpi",     /* no tab for a space */
        "Basic YQ==",      /* a: no colon */
        "Basic YTpiOmM",   /* no padding */
        "Basic YTpiOm==",  /* bits that nobody reads */
        "Basic YTpiOmN=",  /* the same */
        "Basic YTpi====",  /* padding of nothing */
        "Basic YTo=YTo=",  /* in the middle */
        "Basic =YTp",      /* at the front */
        "Basic YTr_-w==",  /* the other alphabet */
        "Basic YTpi,YTpi", /* two */
        "Basic ====",
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        assert_int_equal(parse(bad[i]), SP_E_MALFORMED);
    }
}

/* 577 bytes are 772 characters; one byte more, and one group more, are too many. */
static void longest_credential_is_read_and_a_longer_one_refused(void **state) {
    (void)state;
    char text[1024] = "Basic Ojo6"; /* ::: */
    memset(text + 10, 'A', 768);
    memcpy(text + 10 + 764, "AA==", 5);
    assert_int_equal(parse(text), SP_OK);
    assert_int_equal(basic.password.n, SP_BASIC_BYTES_MAX - 1);
    memcpy(text + 10 + 764, "AAA=", 5);
    assert_int_equal(parse(text), SP_E_LIMIT);
    memcpy(text + 10 + 764, "AAAAAAAA", 9);
    assert_int_equal(parse(text), SP_E_LIMIT);
}

/* ---- Prefer ---- */

static void wait_is_found_among_other_preferences(void **state) {
    static const struct {
        const char *text;
        uint32_t wait_s;
    } good[] = {
        {"wait=5", 5},
        {"WAIT=5", 5},
        {"respond-async, wait=10", 10}, /* RFC 7240 section 4.1 */
        {" wait = 7 ; strict ,x", 7},
        {"return=minimal;x=\"wait\",wait=0", 0},
        {"wait=2, wait=9", 2}, /* the first counts */
        {"wait=31", 30},
        {"wait=4294967296", 30},
        {",,wait=3", 3},
    };
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) {
        uint32_t wait_s = 77;
        if (!sp_prefer_wait(sp_slice_cstr(good[i].text), &wait_s)) print_error("%s\n", good[i].text);
        assert_int_equal(wait_s, good[i].wait_s);
    }
}

static void wait_that_cannot_be_read_is_as_none(void **state) {
    static const char *const bad[] = {
        "",           "wait",
        "wait=",      "wait=-1",
        "wait=1.5",   "wait=1s",
        "wait=\"5\"", "waiting=5",
        "await=5",    "wait:5",
        "wait=5 5",   "x;wait=5",
        "wait=0x10",  "wait=99999999999999999999",
        ";",          ",",
        "=",          "x, wait=y, wait=5", /* the first counts, also when it is junk */
    };
    (void)state;
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        uint32_t wait_s = 77;
        if (sp_prefer_wait(sp_slice_cstr(bad[i]), &wait_s)) print_error("%s\n", bad[i]);
        assert_int_equal(wait_s, 77);
    }
}

/* ---- the gate of services ---- */

#define SERVICE "Authorization: Basic b3JkZXJzOnNlY3JldA==" /* orders:secret */

static void service_is_let_in_by_its_own_credential_only(void **state) {
    (void)state;
    fake.client = SP_CLIENT_REFUSED;
    static const char *const wrong[] = {SERVICE, BEARER, BEARER_ADMIN, "Authorization: Basic",
                                        "Authorization: Basic !"};
    for (size_t i = 0; i < SP_ARRAY_LEN(wrong); i++) {
        ask("GET /feed/keys", "", wrong[i], NULL);
        assert_problem(401, "invalid_client");
        assert_non_null(strstr(header("WWW-Authenticate", 0), "Basic "));
    }
    ask("GET /feed/keys", "", COOKIES, NULL);
    assert_problem(401, "invalid_client");
    ask("GET /feed/keys", "", SERVICE, SERVICE, NULL);
    assert_problem(400, "repeated_header");
    assert_calls(""); /* nobody was asked which of the two it is */
    fake.client = SP_CLIENT_DISABLED;
    ask("GET /feed/keys", "", SERVICE, NULL);
    assert_problem(401, "invalid_client");
    assert_calls("client_check orders|secret\n");
}

static void client_that_is_not_for_the_feed_is_refused(void **state) {
    (void)state;
    fake.client = SP_CLIENT_GENUINE;
    fake.client_facts.feed = false;
    static const char *const lines[] = {"GET /feed", "GET /feed/snapshot", "GET /feed/keys"};
    for (size_t i = 0; i < SP_ARRAY_LEN(lines); i++) {
        ask(lines[i], "", SERVICE, NULL);
        assert_problem(403, "not_for_the_feed");
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(credential_is_what_stands_around_the_first_colon),
        TEST(another_scheme_is_not_ours),
        TEST(only_canonical_padded_base64_with_a_colon_is_a_credential),
        TEST(longest_credential_is_read_and_a_longer_one_refused),
        TEST(wait_is_found_among_other_preferences),
        TEST(wait_that_cannot_be_read_is_as_none),
        TEST(service_is_let_in_by_its_own_credential_only),
        TEST(client_that_is_not_for_the_feed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
