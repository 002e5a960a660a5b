/* The master key, the boot mark and the log sink: what the server keeps in files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/boot_mark.h"
#include "server/log.h"
#include "server/masterkey.h"

static char dir[] = "/tmp/sp_files_XXXXXX";
static char path[64];

static int make_dir(void **state) {
    (void)state;
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    unsetenv("SALLYPORT_MASTER_KEY");
    if (mkdtemp(dir) == NULL) return -1;
    snprintf(path, sizeof(path), "%s/key", dir);
    return 0;
}

static int remove_dir(void **state) {
    (void)state;
    static const char *const names[] = {"key", "boots", "boots.new"};
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        char each[64];
        snprintf(each, sizeof(each), "%s/%s", dir, names[i]);
        unlink(each);
    }
    return rmdir(dir);
}

static sp_status load(bool may_make, uint8_t *key) {
    enum sp_master_key_origin origin;
    return sp_master_key_load(path, may_make, &sp_random_system, key, &origin);
}

static void master_key_is_made_once_and_read_again(void **state) {
    (void)state;
    uint8_t first[SP_MASTER_KEY_BYTES], second[SP_MASTER_KEY_BYTES];
    assert_true(sp_ok(load(true, first)));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(sp_ok(load(true, second)));
    assert_memory_equal(first, second, sizeof(first));
}

static void master_key_is_not_made_when_sealed_keys_exist(void **state) {
    (void)state;
    uint8_t key[SP_MASTER_KEY_BYTES];
    assert_true(sp_is(load(false, key), SP_E_NOT_FOUND));
    assert_int_not_equal(access(path, F_OK), 0);
}

static void master_key_that_others_can_read_is_refused(void **state) {
    (void)state;
    uint8_t key[SP_MASTER_KEY_BYTES];
    assert_true(sp_ok(load(true, key)));
    assert_int_equal(chmod(path, 0640), 0);
    assert_true(sp_is(load(true, key), SP_E_REFUSED));
}

static void credential_may_show_the_groups_bit_and_no_more(void **state) {
    (void)state;
    uint8_t key[SP_MASTER_KEY_BYTES];
    assert_true(sp_ok(load(true, key)));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
    assert_int_equal(chmod(path, 0440), 0);
    assert_true(sp_ok(load(false, key)));
    static const mode_t too_much[] = {0444, 0460, 0441};
    for (size_t i = 0; i < SP_ARRAY_LEN(too_much); i++) {
        assert_int_equal(chmod(path, too_much[i]), 0);
        assert_true(sp_is(load(false, key), SP_E_REFUSED));
    }
    assert_int_equal(chmod(path, 0440), 0);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/run/credentials/other.service", 1), 0);
    assert_true(sp_is(load(false, key), SP_E_REFUSED));
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void write_key(const char *content) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static void master_key_must_be_exactly_32_bytes_of_base64url(void **state) {
    (void)state;
    uint8_t key[SP_MASTER_KEY_BYTES];
    static const char *const bad[] = {"",
                                      "\n",
                                      "AAAA",
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\n"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        write_key(bad[i]);
        memset(key, 0xa5, sizeof(key));
        if (!sp_is(load(true, key), SP_E_MALFORMED)) fail_msg("accepted: %s", bad[i]);
        for (size_t j = 0; j < sizeof(key); j++) assert_int_equal(key[j], 0xa5);
    }
    write_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_true(sp_ok(load(true, key)));
}

static void master_key_of_the_environment_wins_and_does_not_stay_there(void **state) {
    (void)state;
    uint8_t key[SP_MASTER_KEY_BYTES];
    setenv("SALLYPORT_MASTER_KEY", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 1);
    assert_true(sp_ok(load(true, key)));
    assert_int_equal(key[0], 1);
    assert_null(getenv("SALLYPORT_MASTER_KEY"));
    assert_int_not_equal(access(path, F_OK), 0);
    setenv("SALLYPORT_MASTER_KEY", "short", 1);
    assert_true(sp_is(load(true, key), SP_E_MALFORMED));
}

static void boot_mark_is_what_was_written_last(void **state) {
    (void)state;
    struct sp_boot_mark mark = {.boots = 99, .audit_count = 99};
    assert_true(sp_ok(sp_boot_mark_read(dir, &mark)));
    assert_int_equal(mark.boots + mark.audit_count, 0);
    assert_true(sp_ok(sp_boot_mark_write(dir, &(struct sp_boot_mark){.boots = 1, .audit_count = 2})));
    const struct sp_boot_mark last = {.boots = INT64_MAX, .audit_count = INT64_MAX - 1};
    assert_true(sp_ok(sp_boot_mark_write(dir, &last)));
    assert_true(sp_ok(sp_boot_mark_read(dir, &mark)));
    assert_memory_equal(&mark, &last, sizeof(mark));
}

static void boot_mark_of_the_older_form_counts_starts_only(void **state) {
    (void)state;
    struct sp_boot_mark mark = {.boots = 99, .audit_count = 99};
    snprintf(path, sizeof(path), "%s/boots", dir);
    write_key("12\n");
    assert_true(sp_ok(sp_boot_mark_read(dir, &mark)));
    assert_int_equal(mark.boots, 12);
    assert_int_equal(mark.audit_count, 0);
}

static void boot_mark_of_another_form_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"12x\n", "12 \n", " 12\n", "1 2 3\n", "1 -2\n", "\n"};
    snprintf(path, sizeof(path), "%s/boots", dir);
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        struct sp_boot_mark mark;
        write_key(bad[i]);
        if (!sp_is(sp_boot_mark_read(dir, &mark), SP_E_MALFORMED)) fail_msg("accepted: %s", bad[i]);
    }
}

static void log_lines(enum sp_log_format format, char out[SP_LOG_LINE_BYTES + 1], sp_slice text) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct sp_log_sink sink = {
        .fd = ends[1], .format = format, .least = SP_LOG_INFO, .clock = sp_clock_system};
    struct sp_log log = sp_log_sink_port(&sink);
    SP_LOG(&log, SP_LOG_DEBUG, "not_written", SP_LOGF_I64("n", 1));
    SP_LOG(&log, SP_LOG_WARN, "an_event", SP_LOGF_TEXT("text", text), SP_LOGF_I64("n", -5));
    close(ends[1]);
    ssize_t n = read(ends[0], out, SP_LOG_LINE_BYTES);
    assert_true(n > 0);
    out[n] = 0;
    close(ends[0]);
}

static void log_cannot_be_forged_by_what_it_shows(void **state) {
    (void)state;
    char line[SP_LOG_LINE_BYTES + 1];
    log_lines(SP_LOG_JSON, line, SP_SLICE_LIT("quote \" back \\"));
    assert_non_null(strstr(line, "\"text\":\"quote \\\" back \\\\\",\"n\":-5}\n"));
    assert_null(strstr(line, "not_written"));
    log_lines(SP_LOG_JSON, line, SP_SLICE_LIT("a\n{\"event\":\"forged\"}"));
    assert_null(strstr(line, "forged"));
    log_lines(SP_LOG_PLAIN, line, SP_SLICE_LIT("\x1b[2J"));
    assert_null(strchr(line, 0x1b));
}

static void log_line_that_does_not_fit_stays_well_formed(void **state) {
    (void)state;
    static char big[SP_LOG_LINE_BYTES];
    char line[SP_LOG_LINE_BYTES + 1];
    memset(big, 'x', sizeof(big));
    log_lines(SP_LOG_JSON, line, SP_SLICE_ARRAY(big));
    assert_non_null(strstr(line, "\"n\":-5}\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(master_key_is_made_once_and_read_again, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(master_key_is_not_made_when_sealed_keys_exist, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(master_key_that_others_can_read_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(credential_may_show_the_groups_bit_and_no_more, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(master_key_must_be_exactly_32_bytes_of_base64url, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(master_key_of_the_environment_wins_and_does_not_stay_there, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(boot_mark_is_what_was_written_last, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(boot_mark_of_the_older_form_counts_starts_only, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(boot_mark_of_another_form_is_refused, make_dir, remove_dir),
        cmocka_unit_test(log_cannot_be_forged_by_what_it_shows),
        cmocka_unit_test(log_line_that_does_not_fit_stays_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
