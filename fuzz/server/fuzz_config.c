/* Configuration. The first byte says from where: 'f', a file; 'e', a variable of the environment (what stands
 * behind SALLYPORT_); 's', an assignment as of --set. Whatever comes, each value of the result could have
 * been set by itself; what a file has set gives the same from a file with these values; and what is finished
 * is finished. */
#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "server/config.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096, TEXT_MAX = SP_CFG_COUNT * (SP_CONFIG_NAME_BYTES + SP_CONFIG_VALUE_BYTES + 8) };

static struct sp_config defaults, config, other;
static char error[SP_CONFIG_ERROR_BYTES];

static void same(const struct sp_config *a, const struct sp_config *b) {
    for (enum sp_config_key key = 0; key < SP_CFG_COUNT; key++) sp_assert(!sp_config_differs(a, b, key));
}

static void each_value_stands_by_itself(void) {
    char assignment[SP_CONFIG_NAME_BYTES + 1 + SP_CONFIG_VALUE_BYTES];
    other = defaults;
    for (enum sp_config_key key = 0; key < SP_CFG_COUNT; key++) {
        sp_config_key_name(key, assignment);
        size_t n = strlen(assignment);
        snprintf(assignment + n, sizeof(assignment) - n, "=%s", config.values[key].text);
        sp_assert(sp_ok(sp_config_set(&other, assignment, "again", error)));
    }
    same(&config, &other);
}

/* section.name=value as the lines of a file */
static sp_status append_line(struct sp_buf *b, enum sp_config_key key) {
    char name[SP_CONFIG_NAME_BYTES];
    sp_config_key_name(key, name);
    const int dot = (int)strcspn(name, ".");
    return sp_buf_printf(b, "[%.*s]\n%s=%s\n", dot, name, name + dot + 1, config.values[key].text);
}

static void a_file_of_it_says_the_same(void) {
    SP_AUTO(sp_buf) text = SP_BUF_INIT(TEXT_MAX);
    for (enum sp_config_key key = 0; key < SP_CFG_COUNT; key++) {
        if (strcmp(config.values[key].source, "default") != 0) sp_assert(sp_ok(append_line(&text, key)));
    }
    other = defaults;
    sp_assert(sp_ok(sp_config_load_text(&other, sp_buf_slice(&text), "again", error)));
    same(&config, &other);
}

static bool load(uint8_t how, sp_slice text) {
    char variable[INPUT_MAX + 16];
    char *environment[] = {variable, NULL};
    if (how == 'f') return sp_ok(sp_config_load_text(&config, text, "file", error));
    snprintf(variable, sizeof(variable), "%s%.*s", how == 'e' ? "SALLYPORT_" : "", SP_SLICE_FMT(text));
    if (how == 'e') return sp_ok(sp_config_load_environment(&config, environment, error));
    return sp_ok(sp_config_set(&config, variable, "--set", error));
}

static void finished_is_finished(void) {
    if (!sp_ok(sp_config_finish(&config, error))) {
        sp_assert(error[0] != 0);
        return;
    }
    const char *host = strstr(sp_config_text(&config, SP_CFG_tokens_issuer), "://");
    sp_assert(host != NULL && host[3] != 0 && host[3] != '/');
    sp_assert(sp_config_number(&config, SP_CFG_tokens_access_ttl) <=
                  sp_config_number(&config, SP_CFG_sessions_idle_ttl) &&
              sp_config_number(&config, SP_CFG_sessions_idle_ttl) <=
                  sp_config_number(&config, SP_CFG_sessions_absolute_ttl));
    each_value_stands_by_itself();
    other = config;
    sp_assert(sp_ok(sp_config_finish(&other, error)));
    same(&config, &other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (defaults.values[0].source[0] == 0) sp_config_defaults(&defaults);
    if (size == 0 || size > INPUT_MAX || strchr("fes", data[0]) == NULL || data[0] == 0) return 0;
    config = defaults;
    error[0] = 0;
    bool loaded = load(data[0], sp_slice_of(data + 1, size - 1));
    sp_assert(loaded || error[0] != 0);
    sp_assert(memchr(error, 0, sizeof(error)) != NULL);
    each_value_stands_by_itself();
    if (loaded && data[0] == 'f') a_file_of_it_says_the_same();
    if (loaded) finished_is_finished();
    return 0;
}
