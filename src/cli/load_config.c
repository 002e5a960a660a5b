#include "cli/load_config.h"

#include <stdlib.h>
#include <unistd.h>

static const char default_file[] = "sallyport.conf";

static sp_status load_files(const struct sp_invocation *in, struct sp_config *c, char *error) {
    const char *file = sp_invocation_option(in, "config");
    if (file == NULL) file = getenv("SALLYPORT_CONFIG");
    if (file != NULL) return sp_config_load_file(c, file, error);
    return access(default_file, F_OK) == 0 ? sp_config_load_file(c, default_file, error) : SP_SUCCESS;
}

static sp_status set_flag(struct sp_config *c, const char *key, const char *value, const char *source,
                          char *error) {
    char assignment[SP_CONFIG_VALUE_BYTES + 64];
    if (value == NULL) return SP_SUCCESS;
    snprintf(assignment, sizeof(assignment), "%s=%s", key, value);
    return sp_config_set(c, assignment, source, error);
}

sp_status sp_load_config_again(const struct sp_invocation *in, const char *listen, struct sp_config *c,
                               char error[SP_CONFIG_ERROR_BYTES]) {
    sp_config_defaults(c);
    SP_TRY(load_files(in, c, error));
    SP_TRY(sp_config_load_environment(c, environ, error));
    const char *const *sets;
    size_t n = sp_invocation_values(in, "set", &sets);
    for (size_t i = 0; i < n; i++) SP_TRY(sp_config_set(c, sets[i], "--set", error));
    SP_TRY(set_flag(c, "server.data", in->data, "--data", error));
    SP_TRY(set_flag(c, "server.listen", listen, "--listen", error));
    return sp_config_finish(c, error);
}

int sp_load_config(const struct sp_invocation *in, const char *listen, struct sp_config *ret) {
    char error[SP_CONFIG_ERROR_BYTES] = "";
    if (sp_ok(sp_load_config_again(in, listen, ret, error))) return SP_EXIT_OK;
    fprintf(stderr, "sallyport: %s\n", error);
    return SP_EXIT_USAGE;
}
