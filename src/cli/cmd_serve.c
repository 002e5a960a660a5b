/* Commands that need no running server: serve, config, version. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/load_config.h"
#include "server/wire.h"

int sp_cmd_serve(const struct sp_invocation *in) {
    struct sp_config *config = calloc(1, sizeof(*config));
    if (config == NULL) return SP_EXIT_FAILED;
    int failed = sp_load_config(in, sp_invocation_option(in, "listen"), config);
    if (!failed && !sp_ok(sp_server_run(config))) failed = SP_EXIT_FAILED;
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
