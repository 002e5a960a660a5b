#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/password.h"
#include "server/config.h"

static struct sp_config config;
static char error[SP_CONFIG_ERROR_BYTES];

static int defaults(void **state) {
    (void)state;
    memset(error, 0, sizeof(error));
    sp_config_defaults(&config);
    return 0;
}

static bool set(const char *assignment) {
    return sp_ok(sp_config_set(&config, assignment, "test", error));
}

static void defaults_run_as_they_are(void **state) {
    (void)state;
    for (size_t i = 0; i < SP_CFG_COUNT; i++) assert_string_equal(config.values[i].source, "default");
    assert_true(sp_ok(sp_config_finish(&config, error)));
    assert_string_equal(sp_config_text(&config, SP_CFG_tokens_issuer), "http://127.0.0.1:8420");
    assert_string_equal(sp_config_text(&config, SP_CFG_tokens_audience), "http://127.0.0.1:8420");
    assert_string_equal(sp_config_text(&config, SP_CFG_server_public_origins), "http://127.0.0.1:8420");
    assert_string_equal(sp_config_text(&config, SP_CFG_keys_master_key_file), "sallyport-data.master-key");
    assert_int_equal(sp_config_number(&config, SP_CFG_tokens_access_ttl), 900);
    assert_int_equal(sp_config_number(&config, SP_CFG_sessions_grace), 10000);
}

static void durations_are_in_the_unit_of_their_key(void **state) {
    (void)state;
    assert_true(set("tokens.access_ttl=2m"));
    assert_int_equal(sp_config_number(&config, SP_CFG_tokens_access_ttl), 120);
    assert_true(set("tokens.access_ttl=90"));
    assert_int_equal(sp_config_number(&config, SP_CFG_tokens_access_ttl), 90);
    assert_true(set("sessions.grace=250ms"));
    assert_int_equal(sp_config_number(&config, SP_CFG_sessions_grace), 250);
    assert_true(set("sessions.grace=3s"));
    assert_int_equal(sp_config_number(&config, SP_CFG_sessions_grace), 3000);
}

static void bad_values_are_refused_and_change_nothing(void **state) {
    (void)state;
    static const char *const bad[] = {
        "tokens.access_ttl=",
        "tokens.access_ttl=-5",
        "tokens.access_ttl=1.5m",
        "tokens.access_ttl=15 m",
        "tokens.access_ttl=015m",
        "tokens.access_ttl=9",
        "tokens.access_ttl=2d",
        "tokens.access_ttl=1500ms",
        "tokens.access_ttl=999999999999d",
        "tokens.access_ttl=0x10",
        "tokens.alg=none",
        "tokens.alg=es256",
        "tokens.alg=ES256|HS256",
        "tokens.embed_permissions=yes",
        "server.threads=0",
        "server.threads=65",
        "server.threads=1 ",
        "server.listen=",
        "tokens.client_id=a\nb",
        "tokens.issuer=\xff",
        "server.public_origins=https://a.example,; https://b.example",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sp_config before = config;
        if (set(bad[i])) fail_msg("accepted: %s", bad[i]);
        assert_memory_equal(&before, &config, sizeof(config));
        assert_non_null(strstr(error, "expected"));
    }
}

/* What the configuration allows, the hashing must be able to do. */
static void costs_of_passwords_end_where_hashing_ends(void **state) {
    (void)state;
    char at_most[64], above[64];
    snprintf(at_most, sizeof(at_most), "passwords.memory_kib=%d", SP_PASSWORD_M_KIB_MAX);
    snprintf(above, sizeof(above), "passwords.memory_kib=%d", SP_PASSWORD_M_KIB_MAX + 1);
    assert_true(set(at_most));
    assert_false(set(above));
    snprintf(at_most, sizeof(at_most), "passwords.passes=%d", SP_PASSWORD_T_MAX);
    snprintf(above, sizeof(above), "passwords.passes=%d", SP_PASSWORD_T_MAX + 1);
    assert_true(set(at_most));
    assert_false(set(above));
}

static void unknown_keys_are_refused(void **state) {
    (void)state;
    assert_false(set("tokens.acces_ttl=5m"));
    assert_non_null(strstr(error, "unknown key \"tokens.acces_ttl\""));
    assert_false(set("nonsense"));
    assert_false(set("a=b.c"));
    assert_false(set(".listen=x"));
}

static const char *write_file(const char *content) {
    static char path[] = "/tmp/sp_config_XXXXXX";
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
    return path;
}

static bool load(const char *content) {
    const char *path = write_file(content);
    sp_status s = sp_config_load_file(&config, path, error);
    unlink(path);
    return sp_ok(s);
}

static void a_file_sets_values_and_is_named_as_their_source(void **state) {
    (void)state;
    assert_true(load("; comment\n[tokens]\nissuer = https://auth.example.com\n\n[sessions]\ngrace = 5s\n"));
    assert_string_equal(sp_config_text(&config, SP_CFG_tokens_issuer), "https://auth.example.com");
    assert_non_null(strstr(config.values[SP_CFG_sessions_grace].source, ":6"));
}

static void a_bad_file_is_told_with_line_key_and_expectation(void **state) {
    (void)state;
    assert_false(load("[tokens]\nissuer = https://a.example\naccess_ttl = soon\n"));
    assert_non_null(strstr(error, ":3: tokens.access_ttl = \"soon\": expected a duration"));
    assert_false(load("[tokens]\nacess_ttl = 5m\n"));
    assert_non_null(strstr(error, ":2: unknown key"));
    assert_false(load("[tokens]\naccess_ttl = 5m\naccess_ttl = 6m\n"));
    assert_non_null(strstr(error, "set twice"));
    assert_false(load("[tokens]\njust words\n"));
    assert_non_null(strstr(error, ":2: expected"));
    assert_false(sp_ok(sp_config_load_file(&config, "/nonexistent/sallyport.conf", error)));
}

/* inih cuts a line at 200 bytes and takes the rest for a line of its own. */
static void a_long_line_is_one_line(void **state) {
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof(text));
    memcpy(text, "[tokens]\n#", 10);
    snprintf(text + 9 + 199, sizeof(text) - 9 - 199, "alg = RS256\naudience = a\n");
    assert_true(load(text));
    assert_string_equal(sp_config_text(&config, SP_CFG_tokens_alg), "ES256");
    assert_string_equal(sp_config_text(&config, SP_CFG_tokens_audience), "a");

    int n = snprintf(text, sizeof(text), "[server]\npublic_origins =");
    for (int i = 0; i < 36; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, " https://a%02d.example.com,", i);
    assert_true(n > 900);
    assert_true(load(text));
    assert_non_null(strstr(sp_config_text(&config, SP_CFG_server_public_origins), "https://a35.example.com"));
}

static void a_line_that_is_too_long_or_not_text_is_refused(void **state) {
    (void)state;
    char text[4096] = "[tokens]\n";
    memset(text + 9, '#', 3000);
    text[3009] = '\n';
    assert_false(load(text));
    assert_non_null(strstr(error, ":2: the line is longer than"));
    static const char hidden[] = "[tokens]\naudience = a\0b\n";
    assert_false(sp_ok(sp_config_load_text(&config, sp_slice_of(hidden, sizeof(hidden) - 1), "f", error)));
    assert_non_null(strstr(error, "f:2: a NUL"));
}

static void the_environment_wins_over_the_file_and_is_checked_too(void **state) {
    (void)state;
    assert_true(load("[sessions]\ngrace = 5s\n"));
    char *good[] = {(char[]){"PATH=/bin"}, (char[]){"SALLYPORT_SESSIONS_GRACE=7s"},
                    (char[]){"SALLYPORT_MASTER_KEY=x"}, NULL};
    assert_true(sp_ok(sp_config_load_environment(&config, good, error)));
    assert_int_equal(sp_config_number(&config, SP_CFG_sessions_grace), 7000);
    char *unknown[] = {(char[]){"SALLYPORT_SESSIONS_GRACES=7s"}, NULL};
    assert_false(sp_ok(sp_config_load_environment(&config, unknown, error)));
    char *bad[] = {(char[]){"SALLYPORT_TOKENS_ACCESS_TTL=never"}, NULL};
    assert_false(sp_ok(sp_config_load_environment(&config, bad, error)));
    assert_non_null(strstr(error, "environment: tokens.access_ttl"));
}

static void values_that_contradict_each_other_are_refused(void **state) {
    (void)state;
    assert_true(set("sessions.idle_ttl=31d"));
    assert_false(sp_ok(sp_config_finish(&config, error)));
    assert_non_null(strstr(error, "longer than sessions.absolute_ttl"));
}

static void issuer_and_origins_must_be_what_they_are_for(void **state) {
    (void)state;
    static const char *const bad[] = {"tokens.issuer=auth.example.com",
                                      "tokens.issuer=ftp://a",
                                      "tokens.issuer=https://a/?x",
                                      "server.public_origins=https://a/path",
                                      "server.public_origins=https://a https://",
                                      "server.public_origins=*"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        sp_config_defaults(&config);
        assert_true(set(bad[i]));
        if (sp_ok(sp_config_finish(&config, error))) fail_msg("accepted: %s", bad[i]);
    }
    sp_config_defaults(&config); /* the origins are not made from it here */
    assert_true(set("tokens.issuer=http:///path") && set("server.public_origins=https://a.example"));
    assert_false(sp_ok(sp_config_finish(&config, error)));
    sp_config_defaults(&config);
    assert_true(set("server.public_origins=https://a.example,  https://b.example:8443"));
    assert_true(sp_ok(sp_config_finish(&config, error)));
    assert_string_equal(sp_config_text(&config, SP_CFG_server_public_origins),
                        "https://a.example https://b.example:8443");
}

/* A week at least, and in a log where its checkpoints are seen. */
static void audit_is_kept_for_a_sensible_time_or_forever(void **state) {
    (void)state;
    static const struct {
        const char *days, *level;
        bool good;
    } cases[] = {{"0", "info", true},  {"1", "info", false}, {"6", "info", false},  {"7", "info", true},
                 {"7", "debug", true}, {"7", "warn", false}, {"7", "error", false}, {"0", "error", true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char keep[64], level[64];
        snprintf(keep, sizeof(keep), "audit.keep_days=%s", cases[i].days);
        snprintf(level, sizeof(level), "log.level=%s", cases[i].level);
        sp_config_defaults(&config);
        assert_true(set(keep) && set(level));
        if (sp_ok(sp_config_finish(&config, error)) != cases[i].good) fail_msg("%s %s", keep, level);
        if (!cases[i].good) assert_non_null(strstr(error, "audit.keep_days"));
    }
    sp_config_defaults(&config);
    assert_false(set("audit.keep_days=36501"));
}

static void certificate_and_key_go_together(void **state) {
    (void)state;
    assert_true(set("server.tls_certificate=a.crt"));
    assert_true(sp_is(sp_config_finish(&config, error), SP_E_MALFORMED));
    assert_non_null(strstr(error, "a certificate alone"));
    assert_true(set("server.tls_certificate="));
    assert_true(set("server.tls_key=a.key"));
    assert_true(sp_is(sp_config_finish(&config, error), SP_E_MALFORMED));
    assert_non_null(strstr(error, "a key alone"));
    assert_true(set("server.tls_certificate=a.crt"));
    assert_true(sp_ok(sp_config_finish(&config, error)));
    assert_string_equal(sp_config_text(&config, SP_CFG_tokens_issuer), "https://127.0.0.1:8420");
    assert_string_equal(sp_config_text(&config, SP_CFG_server_public_origins), "https://127.0.0.1:8420");
}

/* What `serve` could not listen on is refused by `config check`, and the key is named. */
static void addresses_to_listen_on_are_host_and_port(void **state) {
    (void)state;
    static const char *const bad[] = {
        "127.0.0.1", ":8420", "0.0.0.0:99999", "127.0.0.1:", "127.0.0.1:http",        "127.0.0.1:-1",
        "::1:8420",  "[::1]", "[]:8420",       "[::1:8420",  "http://127.0.0.1:8420", "127.0.0.1:8420/",
        "a b:1"};
    static const char *const good[] = {"127.0.0.1:8420", "127.0.0.1:0", "[::1]:65535", "localhost:1"};
    static const char *const keys[] = {"server.listen", "server.metrics_listen"};
    char assignment[128];
    for (size_t k = 0; k < SP_ARRAY_LEN(keys); k++) {
        for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
            sp_config_defaults(&config);
            snprintf(assignment, sizeof(assignment), "%s=%s", keys[k], bad[i]);
            assert_true(set(assignment));
            if (sp_ok(sp_config_finish(&config, error))) fail_msg("accepted: %s", assignment);
            assert_non_null(strstr(error, keys[k]));
        }
        for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) {
            sp_config_defaults(&config);
            snprintf(assignment, sizeof(assignment), "%s=%s", keys[k], good[i]);
            assert_true(set(assignment));
            if (!sp_ok(sp_config_finish(&config, error))) fail_msg("refused: %s", error);
        }
    }
    sp_config_defaults(&config); /* every address is no name that an issuer could have */
    assert_true(set("server.listen=*:8420"));
    assert_false(sp_ok(sp_config_finish(&config, error)));
    assert_true(set("tokens.issuer=https://a.example"));
    assert_true(sp_ok(sp_config_finish(&config, error)));
    char host[SP_CONFIG_HOST_BYTES];
    uint16_t port = 0;
    assert_true(sp_ok(sp_config_split_listen("[::1]:65535", host, &port)));
    assert_string_equal(host, "::1");
    assert_int_equal(port, 65535);
}

static void values_differ_by_meaning(void **state) {
    (void)state;
    static struct sp_config other;
    sp_config_defaults(&other);
    for (enum sp_config_key key = 0; key < SP_CFG_COUNT; key++)
        assert_false(sp_config_differs(&config, &other, key));
    assert_true(set("tokens.access_ttl=900s"));
    assert_false(sp_config_differs(&config, &other, SP_CFG_tokens_access_ttl));
    assert_true(set("tokens.access_ttl=901s"));
    assert_true(sp_config_differs(&config, &other, SP_CFG_tokens_access_ttl));
    assert_true(set("server.listen=127.0.0.1:8421"));
    assert_true(sp_config_differs(&config, &other, SP_CFG_server_listen));
}

static void only_what_is_taken_at_a_reload_is_hot(void **state) {
    (void)state;
    for (enum sp_config_key key = 0; key < SP_CFG_COUNT; key++) {
        char name[SP_CONFIG_NAME_BYTES];
        sp_config_key_name(key, name);
        const bool taken = key == SP_CFG_log_level || key == SP_CFG_log_format ||
                           key == SP_CFG_server_tls_certificate || key == SP_CFG_server_tls_key;
        if (sp_config_is_hot(key) != taken) fail_msg("%s", name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults_run_as_they_are, defaults),
        cmocka_unit_test_setup(durations_are_in_the_unit_of_their_key, defaults),
        cmocka_unit_test_setup(bad_values_are_refused_and_change_nothing, defaults),
        cmocka_unit_test_setup(costs_of_passwords_end_where_hashing_ends, defaults),
        cmocka_unit_test_setup(unknown_keys_are_refused, defaults),
        cmocka_unit_test_setup(a_file_sets_values_and_is_named_as_their_source, defaults),
        cmocka_unit_test_setup(a_bad_file_is_told_with_line_key_and_expectation, defaults),
        cmocka_unit_test_setup(a_long_line_is_one_line, defaults),
        cmocka_unit_test_setup(a_line_that_is_too_long_or_not_text_is_refused, defaults),
        cmocka_unit_test_setup(the_environment_wins_over_the_file_and_is_checked_too, defaults),
        cmocka_unit_test_setup(values_that_contradict_each_other_are_refused, defaults),
        cmocka_unit_test_setup(certificate_and_key_go_together, defaults),
        cmocka_unit_test_setup(addresses_to_listen_on_are_host_and_port, defaults),
        cmocka_unit_test_setup(values_differ_by_meaning, defaults),
        cmocka_unit_test_setup(only_what_is_taken_at_a_reload_is_hot, defaults),
        cmocka_unit_test_setup(issuer_and_origins_must_be_what_they_are_for, defaults),
        cmocka_unit_test_setup(audit_is_kept_for_a_sensible_time_or_forever, defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
