#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/app.h"
#include "core/directory.h"

/* ---- names ---- */

static void expect_name(const char *name, const char *normalized) {
    sp_text256 got;
    assert_true(sp_ok(sp_name_normalize(sp_slice_cstr(name), &got)));
    assert_int_equal(got.n, strlen(normalized));
    assert_memory_equal(got.s, normalized, got.n);
}

static void expect_refused(const char *name) {
    sp_text256 got = {.n = 7};
    assert_int_equal(sp_name_normalize(sp_slice_cstr(name), &got).code, SP_E_MALFORMED);
    assert_int_equal(got.n, 7); /* untouched */
}

static void names_are_one_whatever_their_case_and_width(void **state) {
    (void)state;
    expect_name("ada", "ada");
    expect_name("ADA", "ada");
    expect_name("\uFF21\uFF44\uFF41", "ada"); /* full width */
    expect_name("Ada Lovelace", "ada lovelace");
    expect_name("Ada\u00A0Lovelace", "ada lovelace"); /* a no-break space is a space */
    expect_name("stra\u00DFe", "strasse");
    expect_name("STRASSE", "strasse");
    expect_name("ada@example.org", "ada@example.org");
}

static void kelvin_sign_is_k(void **state) {
    (void)state;
    expect_name("\u212Aelvin", "kelvin");
    expect_name("\u212Bngstr\u00F6m", "\u00E5ngstr\u00F6m");
}

static void combining_and_composed_are_one_name(void **state) {
    (void)state;
    expect_name("Jos\u00E9", "jos\u00E9");
    expect_name("Jose\u0301", "jos\u00E9");
    expect_name("JOSE\u0301", "jos\u00E9");
}

static void normalizing_is_idempotent_where_one_pass_is_not(void **state) {
    (void)state;
    expect_name("\u2121", "tel"); /* TELEPHONE SIGN composes to TEL after its case was folded */
    expect_name("\u33A9", "pa");
    static const char *const samples[] = {"\u2121\u212A", "\u1E9E", "\uFB03x", "\u0345x\u0345",
                                          "\u01C5",       "\u1FB4", "\u2460a"};
    for (size_t i = 0; i < SP_ARRAY_LEN(samples); i++) {
        sp_text256 once, twice;
        sp_status s = sp_name_normalize(sp_slice_cstr(samples[i]), &once);
        if (!sp_ok(s)) continue;
        assert_true(sp_ok(sp_name_normalize(SP_TEXT_SLICE(&once), &twice)));
        assert_true(sp_slice_eq(SP_TEXT_SLICE(&once), SP_TEXT_SLICE(&twice)));
    }
}

static void invisible_and_reordering_characters_are_refused(void **state) {
    (void)state;
    expect_refused("a\u200Dda");       /* ZWJ */
    expect_refused("a\u200Bda");       /* zero width space */
    expect_refused("a\u202Eda");       /* right-to-left override */
    expect_refused("a\u2066da\u2069"); /* isolates */
    expect_refused("\uFEFF"
                   "ada");           /* byte order mark */
    expect_refused("a\u00ADda");     /* soft hyphen */
    expect_refused("a\uFE0Fda");     /* variation selector */
    expect_refused("a\u3164da");     /* Hangul filler: a letter that is drawn as nothing */
    expect_refused("a\u034Fda");     /* combining grapheme joiner */
    expect_refused("a\U000E0041da"); /* tag character */
    expect_refused("a\u2028da");     /* line separator */
    expect_refused("a\uE000da");     /* private use */
    expect_refused("a\u0378da");     /* unassigned */
}

static void controls_are_refused(void **state) {
    (void)state;
    expect_refused("a\nda");
    expect_refused("a\x7F");
    expect_refused("a\xC2\x85"
                   "da"); /* C1: next line */
    sp_text256 got;
    assert_false(sp_ok(sp_name_normalize(SP_SLICE_LIT("a\0da"), &got)));
}

static void white_space_at_the_ends_is_refused_also_when_it_appears_late(void **state) {
    (void)state;
    expect_refused("");
    expect_refused(" ");
    expect_refused(" ada");
    expect_refused("ada ");
    expect_refused("ada\u3000");
    expect_refused("\u00A8x");   /* its normal form begins with a space */
    expect_refused("\u0301ada"); /* a mark without a base */
}

static void malformed_utf8_is_refused(void **state) {
    (void)state;
    expect_refused("ada\x80");
    expect_refused("\xC0\xAF");     /* overlong */
    expect_refused("\xED\xA0\x80"); /* surrogate */
    expect_refused("ada\xC3");      /* cut */
}

/* Said plainly in directory.h: letters of different scripts are different letters. */
static void homoglyphs_of_other_scripts_are_other_names(void **state) {
    (void)state;
    sp_text256 latin, cyrillic;
    assert_true(sp_ok(sp_name_normalize(sp_slice_cstr("ada"), &latin)));
    assert_true(sp_ok(sp_name_normalize(sp_slice_cstr("\u0430d\u0430"), &cyrillic)));
    assert_false(sp_slice_eq(SP_TEXT_SLICE(&latin), SP_TEXT_SLICE(&cyrillic)));
}

static void names_have_a_longest_length_before_and_after(void **state) {
    (void)state;
    char name[SP_NAME_BYTES_MAX + 1];
    sp_text256 got;
    memset(name, 'a', sizeof(name));
    assert_true(sp_ok(sp_name_normalize(sp_slice_of(name, SP_NAME_BYTES_MAX), &got)));
    assert_int_equal(sp_name_normalize(sp_slice_of(name, SP_NAME_BYTES_MAX + 1), &got).code, SP_E_LIMIT);
    /* One character of 3 bytes that becomes 18 letters of Arabic: 33 bytes. */
    char grows[84];
    for (size_t i = 0; i < sizeof(grows); i += 3) memcpy(grows + i, "\uFDFA", 3);
    assert_int_equal(sp_name_normalize(sp_slice_of(grows, sizeof(grows)), &got).code, SP_E_LIMIT);
}

static void display_name_stays_as_it_was_written(void **state) {
    (void)state;
    sp_text256 name, display;
    assert_true(sp_ok(sp_name_accept(sp_slice_cstr("Ada \u212A"), &name, &display)));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&display), "Ada \u212A"));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&name), "ada k"));
}

static void name_of_the_form_of_an_id_is_allowed(void **state) {
    (void)state;
    expect_name("AAAAAAAAAAAAAAAAAAAAAA", "aaaaaaaaaaaaaaaaaaaaaa");
}

/* ---- passwords ---- */

static enum sp_password_fault judge(const char *password) {
    return sp_password_judge(sp_slice_cstr(password), SP_SLICE_LIT("ada lovelace"));
}

static void password_length_is_counted_in_characters(void **state) {
    (void)state;
    assert_int_equal(judge("eight ch"), SP_PASSWORD_ACCEPTED);
    assert_int_equal(judge("seven c"), SP_PASSWORD_TOO_SHORT);
    assert_int_equal(judge(""), SP_PASSWORD_TOO_SHORT);
    assert_int_equal(judge("\u00E4\u00E4\u00E4\u00E4"), SP_PASSWORD_TOO_SHORT); /* 8 bytes, 4 characters */
    assert_int_equal(
        judge("\U0001F512\U0001F40E\U0001F50B\U0001F4CE\U0001F512\U0001F40E\U0001F50B\U0001F4CE"),
        SP_PASSWORD_ACCEPTED);
}

static void password_has_a_longest_length(void **state) {
    (void)state;
    char p[SP_PASSWORD_BYTES_MAX + 1];
    for (size_t i = 0; i < sizeof(p); i++) p[i] = "staple"[i % 6];
    assert_int_equal(sp_password_judge(sp_slice_of(p, SP_PASSWORD_BYTES_MAX), SP_SLICE_EMPTY),
                     SP_PASSWORD_ACCEPTED);
    assert_int_equal(sp_password_judge(sp_slice_of(p, sizeof(p)), SP_SLICE_EMPTY), SP_PASSWORD_TOO_LONG);
}

static void password_is_text_without_nul(void **state) {
    (void)state;
    assert_int_equal(sp_password_judge(SP_SLICE_LIT("abcd\0efghijk"), SP_SLICE_EMPTY), SP_PASSWORD_NOT_TEXT);
    assert_int_equal(judge("abcdefgh\xFF"), SP_PASSWORD_NOT_TEXT);
}

static void password_is_not_the_name_in_any_dress(void **state) {
    (void)state;
    assert_int_equal(judge("ada lovelace"), SP_PASSWORD_IS_NAME);
    assert_int_equal(judge("ADA Lovelace"), SP_PASSWORD_IS_NAME);
    assert_int_equal(judge("\uFF21da\u00A0Lovelace"), SP_PASSWORD_IS_NAME);
    assert_int_equal(judge("ada lovelace!"), SP_PASSWORD_ACCEPTED);
}

static void password_of_two_keyboards_is_one_password(void **state) {
    (void)state;
    SP_AUTO(sp_buf) a = SP_BUF_INIT(SP_PASSWORD_BYTES_MAX);
    SP_AUTO(sp_buf) b = SP_BUF_INIT(SP_PASSWORD_BYTES_MAX);
    assert_true(sp_ok(sp_password_prepare(sp_slice_cstr("caf\u00E9\u00A0noir"), &a)));
    assert_true(sp_ok(sp_password_prepare(sp_slice_cstr("cafe\u0301 noir"), &b)));
    assert_true(sp_slice_eq(sp_buf_slice(&a), sp_buf_slice(&b)));
    sp_buf_clear(&b); /* but case, width and ligatures are kept: they are what the person chose */
    assert_true(sp_ok(sp_password_prepare(sp_slice_cstr("CAF\u00C9 noir"), &b)));
    assert_false(sp_slice_eq(sp_buf_slice(&a), sp_buf_slice(&b)));
}

/* ---- word lists, roles ---- */

static void words_are_sorted_and_unique(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(64);
    assert_true(sp_ok(sp_words_normalize(SP_SLICE_LIT("b a c a b"), 8, &out)));
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&out), "a b c"));
    assert_int_equal(sp_words_normalize(SP_SLICE_LIT("a  b"), 8, &out).code, SP_E_MALFORMED);
    assert_int_equal(sp_words_normalize(SP_SLICE_LIT("toolongword"), 8, &out).code, SP_E_MALFORMED);
    assert_true(sp_slice_eq_cstr(sp_buf_slice(&out), "a b c"));
}

static void words_within_is_a_subset(void **state) {
    (void)state;
    assert_true(sp_words_within(SP_SLICE_LIT("a c"), SP_SLICE_LIT("a b c")));
    assert_true(sp_words_within(SP_SLICE_EMPTY, SP_SLICE_LIT("a")));
    assert_false(sp_words_within(SP_SLICE_LIT("a d"), SP_SLICE_LIT("a b c")));
    assert_false(sp_words_within(SP_SLICE_LIT("ab"), SP_SLICE_LIT("a b abc")));
}

static void role_is_stored_normalized_or_refused(void **state) {
    (void)state;
    struct sp_role_row row;
    assert_true(
        sp_ok(sp_role_accept(SP_SLICE_LIT("editor"), SP_SLICE_LIT("doc:write doc:read doc:write"), &row)));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&row.permissions), "doc:read doc:write"));
    assert_true(sp_ok(sp_role_accept(SP_SLICE_LIT("none"), SP_SLICE_EMPTY, &row)));
    assert_true(sp_ok(sp_role_accept(SP_SLICE_LIT("all"), SP_SLICE_LIT("*"), &row)));
    assert_int_equal(sp_role_accept(SP_SLICE_LIT("bad role"), SP_SLICE_LIT("a"), &row).code, SP_E_MALFORMED);
    assert_int_equal(sp_role_accept(SP_SLICE_EMPTY, SP_SLICE_LIT("a"), &row).code, SP_E_MALFORMED);
    assert_int_equal(sp_role_accept(SP_SLICE_LIT("r"), SP_SLICE_LIT("doc:*:read"), &row).code,
                     SP_E_MALFORMED);
    assert_int_equal(sp_role_accept(SP_SLICE_LIT("r"), SP_SLICE_LIT("a;drop"), &row).code, SP_E_MALFORMED);
}

static void user_roles_are_role_names(void **state) {
    (void)state;
    sp_text1024 roles;
    assert_true(sp_ok(sp_user_roles_accept(SP_SLICE_LIT("b a b"), &roles)));
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&roles), "a b"));
    assert_true(sp_ok(sp_user_roles_accept(SP_SLICE_EMPTY, &roles)));
    assert_int_equal(roles.n, 0);
    assert_int_equal(sp_user_roles_accept(SP_SLICE_LIT("a b!"), &roles).code, SP_E_MALFORMED);
}

/* ---- the live table ---- */

struct live {
    struct sp_reclaim *reclaim;
    struct sp_seats *seats;
    struct sp_live_roles *roles;
};

static void live_init(struct live *l) {
    struct sp_role_row row;
    assert_true(sp_ok(sp_role_accept(SP_SLICE_LIT("reader"), SP_SLICE_LIT("doc:read"), &row)));
    assert_true(sp_ok(sp_reclaim_new(8, &l->reclaim)));
    assert_true(sp_ok(sp_seats_new(l->reclaim, &l->seats)));
    assert_true(sp_ok(sp_live_roles_new(l->seats, &row, 1, &l->roles)));
}

static void live_done(struct live *l) {
    sp_live_roles_free(l->roles);
    sp_seats_free(l->seats);
    sp_reclaim_free(l->reclaim);
}

static bool grants(struct live *l, const char *role, const char *permission) {
    sp_seats_enter(l->seats);
    bool r = sp_roles_grant(sp_live_roles_get(l->roles), sp_slice_cstr(role), sp_slice_cstr(permission));
    sp_seats_leave(l->seats);
    return r;
}

static void changed_role_is_seen_at_once_and_the_old_table_stays_for_its_reader(void **state) {
    (void)state;
    struct live l;
    struct sp_role_row row;
    live_init(&l);
    assert_true(grants(&l, "reader", "doc:read"));

    sp_seats_enter(l.seats);
    const struct sp_roles *old = sp_live_roles_get(l.roles);
    assert_true(sp_ok(sp_role_accept(SP_SLICE_LIT("reader"), SP_SLICE_LIT("doc:list"), &row)));
    assert_true(sp_ok(sp_live_roles_put(l.roles, &row)));
    sp_reclaim_collect(l.reclaim);
    assert_true(
        sp_roles_grant(old, SP_SLICE_LIT("reader"), SP_SLICE_LIT("doc:read"))); /* still there to look at */
    sp_seats_leave(l.seats);

    assert_false(grants(&l, "reader", "doc:read"));
    assert_true(grants(&l, "reader", "doc:list"));
    assert_true(sp_ok(sp_live_roles_remove(l.roles, SP_SLICE_LIT("reader"))));
    assert_false(grants(&l, "reader", "doc:list"));
    assert_true(sp_ok(sp_live_roles_remove(l.roles, SP_SLICE_LIT("nobody"))));
    live_done(&l);
}

static void bad_row_from_the_disk_changes_nothing(void **state) {
    (void)state;
    struct live l;
    struct sp_role_row row = {.tenant = 1};
    live_init(&l);
    assert_true(sp_ok(SP_TEXT_SET(&row.name, SP_SLICE_LIT("bad name"))));
    assert_false(sp_ok(sp_live_roles_put(l.roles, &row)));
    assert_true(grants(&l, "reader", "doc:read"));
    live_done(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_one_whatever_their_case_and_width),
        cmocka_unit_test(kelvin_sign_is_k),
        cmocka_unit_test(combining_and_composed_are_one_name),
        cmocka_unit_test(normalizing_is_idempotent_where_one_pass_is_not),
        cmocka_unit_test(invisible_and_reordering_characters_are_refused),
        cmocka_unit_test(controls_are_refused),
        cmocka_unit_test(white_space_at_the_ends_is_refused_also_when_it_appears_late),
        cmocka_unit_test(malformed_utf8_is_refused),
        cmocka_unit_test(homoglyphs_of_other_scripts_are_other_names),
        cmocka_unit_test(names_have_a_longest_length_before_and_after),
        cmocka_unit_test(display_name_stays_as_it_was_written),
        cmocka_unit_test(name_of_the_form_of_an_id_is_allowed),
        cmocka_unit_test(password_length_is_counted_in_characters),
        cmocka_unit_test(password_has_a_longest_length),
        cmocka_unit_test(password_is_text_without_nul),
        cmocka_unit_test(password_is_not_the_name_in_any_dress),
        cmocka_unit_test(password_of_two_keyboards_is_one_password),
        cmocka_unit_test(words_are_sorted_and_unique),
        cmocka_unit_test(words_within_is_a_subset),
        cmocka_unit_test(role_is_stored_normalized_or_refused),
        cmocka_unit_test(user_roles_are_role_names),
        cmocka_unit_test(changed_role_is_seen_at_once_and_the_old_table_stays_for_its_reader),
        cmocka_unit_test(bad_row_from_the_disk_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
