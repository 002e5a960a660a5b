/* The only place where layers are joined: a server from a configuration. */
#ifndef SP_SERVER_WIRE_H
#define SP_SERVER_WIRE_H

#include "server/config.h"

#define SP_VERSION "0.1.0"

enum {
    SP_DRAIN_MS = 4000, /* for requests in flight at SIGTERM; the process is gone within 5 s */
    SP_TICK_MS = 1000,
};

/* Runs until SIGTERM or SIGINT, then drains. What stops it from starting is said on stderr for people. */
sp_status sp_server_run(const struct sp_config *config);

#endif
