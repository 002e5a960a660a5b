/* TLS on a connection's socket, for server_llhttp_*.c: nobody else includes it.
 *
 * After the handshake neither reading nor writing may need the other direction. Without renegotiation that
 * only happens when a client cuts post-handshake messages into pieces; waiting for it would let him make us
 * spin on a socket that is always ready the wrong way, so it counts as a failure.
 *
 * SIGPIPE must be ignored by the process: OpenSSL writes with write(2). */
#ifndef SP_HTTP_SERVER_TLS_H
#define SP_HTTP_SERVER_TLS_H

#include "base/mem.h"
#include "base/status.h"
#include "http/tls.h"

enum sp_tls_result {
    SP_TLS_DONE,
    SP_TLS_WANT_READ,
    SP_TLS_WANT_WRITE,
    SP_TLS_END,        /* nothing more will come */
    SP_TLS_PLAIN_HTTP, /* handshake only: the client speaks HTTP without TLS */
    SP_TLS_FAILED,
};

struct sp_tls_conn;
/* On a nonblocking socket, which stays the caller's. Keeps the certificate as long as it lives. SP_E_NOMEM.
 */
sp_status sp_tls_conn_new(struct sp_tls *tls, int fd, struct sp_tls_conn **ret_conn);
void sp_tls_conn_free(struct sp_tls_conn *t); /* accepts NULL */

enum sp_tls_result sp_tls_handshake(struct sp_tls_conn *t);
/* DONE, WANT_READ, END or FAILED; *ret_n > 0 with DONE. */
enum sp_tls_result sp_tls_read(struct sp_tls_conn *t, void *p, size_t cap, size_t *ret_n);
/* DONE (some of it, *ret_n > 0), WANT_WRITE or FAILED. n > 0. */
enum sp_tls_result sp_tls_write(struct sp_tls_conn *t, const void *p, size_t n, size_t *ret_n);
/* Bytes are decrypted and wait: the socket may stay silent about them. */
bool sp_tls_has_pending(const struct sp_tls_conn *t);
/* Says that nothing more follows, if it can be said at once. */
void sp_tls_say_end(struct sp_tls_conn *t);

/* A fresh SSL with this certificate; NULL: no memory. For server_tls_conn.c. */
struct ssl_st *sp_tls_ssl_new(struct sp_tls *tls);

#endif
