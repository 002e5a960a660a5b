/* Carries out what the follower asks for, over HTTP. The only user of libcurl (transport_curl.c).
 *
 * One descriptor, readable when there is something to do: a thread waits for it, or the caller's loop. One
 * owner; only sp_transport_wake may be called by others.
 *
 * Trust: TLS with verified certificates and names (1.2 at least), or a loopback address. Redirects are not
 * followed, proxies of the environment are not used, and the credential is only ever sent to the one host of
 * the URL. */
#ifndef SP_VERIFY_TRANSPORT_H
#define SP_VERIFY_TRANSPORT_H

#include "base/mem.h"
#include "verify/follow.h"

#define SP_CREDENTIAL_BYTES_MAX 512 /* "NAME:SECRET": of ours about 80 */

struct sp_transport;

/* All texts are copied; the follower and the log are borrowed and outlive the transport. */
struct sp_transport_opts {
    const char *url;             /* sp_transport_url_check */
    const char *credential;      /* "NAME:SECRET", or NULL: from the file */
    const char *credential_file; /* read again when the server does not take the credential */
    const char *ca_file;         /* PEM; NULL: the system's */
    struct sp_follower *follower;
    void (*log)(void *arg, const char *event, const char *detail); /* or NULL */
    void *log_arg;
};

/* http or https, a host, perhaps a port and a path, nothing else; http only with a loopback host.
 * SP_E_MALFORMED, SP_E_REFUSED (http to another host), SP_E_NOMEM. */
sp_status sp_transport_url_check(const char *url);

/* Both clocks at one moment: who is held up between the two readings would see them jump. Any thread. */
struct sp_now sp_transport_clocks(void);

/* Process-wide beginnings of the library below; any number of times, from any thread. */
sp_status sp_transport_global(void);
/* SP_E_NOMEM, SP_E_IO (descriptors). */
sp_status sp_transport_new(const struct sp_transport_opts *opts, struct sp_transport **ret);
void sp_transport_free(struct sp_transport *t); /* accepts NULL */
SP_DEFINE_FREE(sp_transport);
/* In a child of fork: gives up the descriptors without a word to the server, whose connections are the
 * parent's. The rest is leaked. */
void sp_transport_abandon(struct sp_transport *t);

int sp_transport_fd(const struct sp_transport *t);
/* Does what there is to do, without waiting. */
void sp_transport_step(struct sp_transport *t);
/* Makes the descriptor readable. Any thread. */
void sp_transport_wake(struct sp_transport *t);

#endif
