/* Posts messages to clients' own addresses: the port sp_deliver of core, by libcurl.
 *
 * libcurl is loaded (libcurl.so.4) when the first message is to be sent and not before: it brings 30
 * libraries and 4 MiB, and most servers never send one. Without it messages are not sent (UNABLE), which is
 * said once in the log.
 *
 * One thread, which is the port's executor as well: what it is given is got ready, sent (several at once, by
 * libcurl's multi handle) and told from there.
 *
 * Trust: https with a verified certificate and name (TLS 1.2 at least), or http to a loopback host, decided
 * by the URL's text alone (core/client_uri.h). Redirects are not followed. There are no cookies, no
 * credentials, no .netrc, and no proxies, not even those of the environment: what an administrator has
 * registered is where it goes, and nobody in between gets to see tokens. Of an answer only the status is
 * looked at.
 *
 * Turned down: a thread for each message with libcurl's easy interface (a stack and a wait for each client
 * that does not answer); a request over our own sockets (name resolution, TLS, timeouts: all of it would be
 * ours to get right). */
#ifndef SP_SERVER_DELIVER_H
#define SP_SERVER_DELIVER_H

#include "base/mem.h"
#include "core/ports.h"

struct sp_deliverer;

/* Copied; the log is borrowed. */
struct sp_deliver_opts {
    const char *ca_file; /* PEM; "": the system's */
    struct sp_log log;
};
/* SP_E_NOMEM, SP_E_IO, SP_E_UNAVAILABLE (no thread). */
sp_status sp_deliverer_new(const struct sp_deliver_opts *opts, struct sp_deliverer **ret);
struct sp_deliver sp_deliverer_port(struct sp_deliverer *d);
/* What is under way ends with STOPPED, and nothing more is taken; the executor goes on. Any thread. */
void sp_deliverer_stop(struct sp_deliverer *d);
/* After stop. Nobody posts any more. Runs what was posted, and ends the thread. Accepts NULL. */
void sp_deliverer_free(struct sp_deliverer *d);
SP_DEFINE_FREE(sp_deliverer);

/* Can libcurl be loaded? For `doctor`. */
bool sp_deliverer_has_library(void);

#endif
