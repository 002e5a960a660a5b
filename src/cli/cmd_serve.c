/* Commands that need no running server: serve, config, version. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/load_config.h"
#include "server/wire.h"

static sp_status load_again(void *arg, struct sp_config *ret, char error[SP_CONFIG_ERROR_BYTES]) {
    const struct sp_invocation *in = arg;
    return sp_load_config_again(in, sp_invocation_option(in, "listen"), ret, error);
}

int sp_cmd_serve(const struct sp_invocation *in) {
    struct sp_config *config = calloc(1, sizeof(*config));
    if (config == NULL) return SP_EXIT_FAILED;
    const struct sp_config_source source = {.load = load_again, .arg = (void *)(uintptr_t)in};
    int failed = sp_load_config(in, sp_invocation_option(in, "listen"), config);
    if (!failed && !sp_ok(sp_server_run(config, &source))) failed = SP_EXIT_FAILED;
    free(config);
    return failed;
}

int sp_cmd_config_check(const struct sp_invocation *in) {
    struct sp_config *config = calloc(1, sizeof(*config));
    if (config == NULL) return SP_EXIT_FAILED;
    char error[SP_CONFIG_ERROR_BYTES] = "";
    int failed = sp_load_config(in, NULL, config);
    if (!failed && !sp_ok(sp_server_check(config, error))) {
        fprintf(stderr, "sallyport: %s\n", error);
        failed = SP_EXIT_USAGE;
    }
    if (!failed) puts("The configuration is valid.");
    free(config);
    return failed;
}

int sp_cmd_config_show(const struct sp_invocation *in) {
    struct sp_config *config = calloc(1, sizeof(*config));
    if (config == NULL) return SP_EXIT_FAILED;
    int failed = sp_load_config(in, NULL, config);
    if (!failed) sp_config_show(config, stdout);
    free(config);
    return failed;
}

int sp_cmd_config_doc(const struct sp_invocation *in) {
    (void)in;
    sp_config_doc(stdout);
    return SP_EXIT_OK;
}

int sp_cmd_version(const struct sp_invocation *in) {
    (void)in;
    printf("sallyport %s\n", SP_VERSION);
    return SP_EXIT_OK;
}
