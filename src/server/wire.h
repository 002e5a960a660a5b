/* The only place where layers are joined: a server from a configuration. */
#ifndef SP_SERVER_WIRE_H
#define SP_SERVER_WIRE_H

#include "server/config.h"

#define SP_VERSION "0.1.0"

enum {
    SP_DRAIN_MS = 4000, /* for requests in flight at SIGTERM; the process is gone within 5 s (last_exit.h) */
    SP_DRAIN_HASH_MS = 3000, /* passwords that still wait for hashing then are refused */
    SP_TICK_MS = 1000,
};

/* Where the configuration comes from, to read it again. Fails with a sentence in error[]. */
struct sp_config_source {
    sp_status (*load)(void *arg, struct sp_config *ret, char error[SP_CONFIG_ERROR_BYTES]);
    void *arg;
};

/* Runs until SIGTERM or SIGINT, then drains; a second one ends it at once. SIGHUP reads the configuration
 * again and changes hot keys in `config`. What stops it from starting is said on stderr for people. */
sp_status sp_server_run(struct sp_config *config, const struct sp_config_source *source);
/* What no reading of the configuration shows: certificate and key fit. Fails with a sentence in error[]. */
sp_status sp_server_check(const struct sp_config *config, char error[SP_CONFIG_ERROR_BYTES]);

#endif
