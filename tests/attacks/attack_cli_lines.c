/* `sallyport verify` as a program: one answer a line, in order, whatever the lines are. argv[1]: the program.
 */
#include "forge.h"

#include <sys/wait.h>
#include <unistd.h>

static const char *tool;
static char jwks_path[] = "/tmp/sp_attack_cli_XXXXXX";
static char out[1 << 16];

/* Runs the tool with the arguments (NULL at the end) and the input; its output in `out`, its status returned.
 */
static int run(const char *const *args, sp_slice input) {
    char command[1024];
    size_t n = 0;
    char in_path[] = "/tmp/sp_attack_in_XXXXXX";
    int fd = mkstemp(in_path);
    assert_true(fd >= 0 && write(fd, input.p, input.n) == (ssize_t)input.n);
    close(fd);
    int len = snprintf(command, sizeof command, "'%s'", tool);
    for (; *args != NULL; args++)
        len += snprintf(command + len, sizeof command - (size_t)len, " '%s'", *args);
    snprintf(command + len, sizeof command - (size_t)len, " < %s 2>/dev/null", in_path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    n = fread(out, 1, sizeof out - 1, f);
    out[n] = 0;
    int status = pclose(f);
    unlink(in_path);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int setup(void **state) {
    uint8_t k[32];
    char text[SP_BASE64URL_CHARS(32) + 1] = "";
    if (forge_setup(state) != 0) return -1;
    SP_AUTO(sp_buf) raw = SP_BUF_INIT(64);
    assert_status(sp_sig_key_export_private(forge.keys[SP_ALG_HS256], &raw), SP_OK);
    memcpy(k, raw.p, sizeof k);
    sp_base64url_encode(SP_SLICE_ARRAY(k), text);
    int fd = mkstemp(jwks_path);
    FILE *f = fdopen(fd, "w");
    fprintf(
        f,
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"HS256\",\"alg\":\"HS256\",\"k\":\"%s\"},{\"kty\":\"weird\"}]}",
        text);
    return fclose(f);
}

static int teardown(void **state) {
    unlink(jwks_path);
    return forge_teardown(state);
}

static const char far_future[] =
    "{\"iss\":\"i\",\"aud\":[\"a\",\"b\"],\"exp\":253402300799, \"x\": [1.50, 10000000000000000000000]}";

static sp_slice lines_of(const char *const *lines, size_t n) {
    static char text[1 << 16];
    int len = 0;
    for (size_t i = 0; i < n; i++) len += snprintf(text + len, sizeof text - (size_t)len, "%s\n", lines[i]);
    return sp_slice_of(text, (size_t)len);
}

static const char *copy(sp_slice token) {
    static char text[4][FORGE_TOKEN_MAX];
    static int turn;
    char *to = text[turn = (turn + 1) % 4];
    snprintf(to, FORGE_TOKEN_MAX, "%.*s", SP_SLICE_FMT(token));
    return to;
}

static const char *good_token(void) {
    return copy(forge_sign(SP_ALG_HS256, "{\"alg\":\"HS256\",\"kid\":\"HS256\"}", far_future));
}

static void each_line_has_its_answer(void **state) {
    (void)state;
    const char *args[] = {"verify", "--jwks", jwks_path, NULL};
    const char *lines[] = {good_token(), "", "x", "a.b.c", good_token()};
    const char *ok =
        "ok "
        "{\"iss\":\"i\",\"aud\":[\"a\",\"b\"],\"exp\":253402300799,\"x\":[1.50,10000000000000000000000]}\n";
    char wanted[1024];
    assert_int_equal(run(args, lines_of(lines, 5)), 0);
    snprintf(wanted, sizeof wanted, "%sreject malformed\nreject malformed\nreject not_canonical\n%s", ok, ok);
    assert_string_equal(out, wanted);
}

static void carriage_return_is_part_of_the_token(void **state) {
    (void)state;
    char line[FORGE_TOKEN_MAX];
    const char *args[] = {"verify", "--jwks", jwks_path, "--raw", NULL};
    snprintf(line, sizeof line, "%s\r", good_token());
    const char *lines[] = {line};
    assert_int_equal(run(args, lines_of(lines, 1)), 0);
    assert_string_equal(out, "reject not_canonical\n");
}

static void last_line_needs_no_newline(void **state) {
    (void)state;
    const char *args[] = {"verify", "--jwks", jwks_path, "--raw", NULL};
    assert_int_equal(run(args, sp_slice_cstr(good_token())), 0);
    assert_string_equal(out, "ok\n");
    assert_int_equal(run(args, SP_SLICE_EMPTY), 0);
    assert_string_equal(out, "");
}

static void endless_line_is_answered_once_and_skipped(void **state) {
    (void)state;
    static char text[300000];
    const char *args[] = {"verify", "--jwks", jwks_path, "--raw", NULL};
    memset(text, 'A', sizeof text);
    int n = snprintf(text + 200000, 90000, "\n%s\n", good_token());
    assert_int_equal(run(args, sp_slice_of(text, (size_t)(200000 + n))), 0);
    assert_string_equal(out, "reject oversize\nok\n");
}

static void nul_bytes_do_not_end_a_line(void **state) {
    (void)state;
    const char *args[] = {"verify", "--jwks", jwks_path, "--raw", NULL};
    assert_int_equal(run(args, SP_SLICE_LIT("a.b\0.c\n\0\n")), 0);
    assert_string_equal(out, "reject not_canonical\nreject malformed\n");
}

static void base64_lines_carry_any_bytes(void **state) {
    (void)state;
    const char *args[] = {"verify", "--jwks", jwks_path, "--raw", "--b64", NULL};
    const char *lines[] = {"YS5iCi5j", "!!!!", "YQ", "YQ==", "YR==", "", "YS5i_j5j"};
    assert_int_equal(run(args, lines_of(lines, 7)), 0);
    assert_string_equal(
        out, "reject not_canonical\nreject malformed\nreject malformed\nreject malformed\nreject malformed\n"
             "reject malformed\nreject malformed\n");
}

static void wrong_usage_is_2_and_missing_keys_are_1(void **state) {
    (void)state;
    const char *const usages[][8] = {
        {"verify", NULL},
        {"verify", "--jwks", jwks_path, "--leeway", "61", NULL},
        {"verify", "--jwks", jwks_path, "--leeway", "-1", NULL},
        {"verify", "--jwks", jwks_path, "--alg", "none", NULL},
        {"verify", "--jwks", jwks_path, "--iss", "", NULL},
        {"verify", "--jwks", jwks_path, "--strange", NULL},
        {"verify", "--jwks", jwks_path, "extra", NULL},
        {"verify", "--jwks", jwks_path, "--iss", "i", "--iss", "j", NULL},
        {"verify", "--jwks", jwks_path, "--raw=1", NULL},
    };
    const char *missing[] = {"verify", "--jwks", "/nonexistent", NULL},
               *not_json[] = {"verify", "--jwks", tool, NULL};
    for (size_t i = 0; i < SP_ARRAY_LEN(usages); i++)
        assert_int_equal(run(usages[i], SP_SLICE_LIT("x\n")), 2);
    assert_int_equal(run(missing, SP_SLICE_LIT("x\n")), 1);
    assert_int_equal(run(not_json, SP_SLICE_LIT("x\n")), 1);
}

static void options_are_checked_against_claims(void **state) {
    (void)state;
    const char *const cases[][10] = {
        {"verify", "--jwks", jwks_path, "--iss", "i", "--aud", "b", NULL},
        {"verify", "--jwks", jwks_path, "--iss", "j", NULL},
        {"verify", "--jwks", jwks_path, "--aud", "c", NULL},
        {"verify", "--jwks", jwks_path, "--typ", "at+jwt", NULL},
        {"verify", "--jwks", jwks_path, "--alg", "ES256", NULL},
    };
    const char *const wanted[] = {"ok {", "reject bad_issuer", "reject bad_audience", "reject bad_typ",
                                  "reject alg_not_allowed"};
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        assert_int_equal(run(cases[i], sp_slice_cstr(good_token())), 0);
        assert_memory_equal(out, wanted[i], strlen(wanted[i]));
    }
}

static void inspect_shows_and_says_that_it_did_not_verify(void **state) {
    (void)state;
    const char *args[] = {"token", "inspect", NULL};
    assert_int_equal(run(args, sp_slice_cstr(good_token())), 0);
    assert_non_null(strstr(out, "NOT VERIFIED"));
    assert_non_null(strstr(out, "{\"alg\":\"HS256\",\"kid\":\"HS256\"}"));
    sp_slice escape = forge_sign(SP_ALG_HS256, "{\"alg\":\"HS256\",\"a\":\"\x7f\xc2\x9b\"}", "\x1b[2J");
    assert_int_equal(run(args, escape), 0);
    assert_null(strchr(out, 0x1b));
    assert_null(strchr(out, 0x7f));
    assert_non_null(strstr(out, "\\u007f\\u009b"));
    assert_non_null(strstr(out, "1b5b324a"));
    assert_int_equal(run(args, SP_SLICE_LIT("no token")), 1);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_has_its_answer),
        cmocka_unit_test(carriage_return_is_part_of_the_token),
        cmocka_unit_test(last_line_needs_no_newline),
        cmocka_unit_test(endless_line_is_answered_once_and_skipped),
        cmocka_unit_test(nul_bytes_do_not_end_a_line),
        cmocka_unit_test(base64_lines_carry_any_bytes),
        cmocka_unit_test(wrong_usage_is_2_and_missing_keys_are_1),
        cmocka_unit_test(options_are_checked_against_claims),
        cmocka_unit_test(inspect_shows_and_says_that_it_did_not_verify),
    };
    if (argc < 2) return 2;
    tool = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
