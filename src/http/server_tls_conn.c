/* OpenSSL on a nonblocking socket: it reads and writes the descriptor itself (SSL_set_fd), the connection's
 * events tell when to call it again.
 *
 * Turned down: libevent's bufferevent_openssl (evbuffer chains between the socket and the buffer that our
 * slices point into; plain connections left bufferevents for the same reason); memory BIOs (one copy more).
 */
#include "http/server_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

struct sp_tls_conn {
    SSL *ssl;
    bool broken; /* after a fatal error OpenSSL wants no SSL_shutdown */
    bool ended;  /* our close_notify is out */
};

sp_status sp_tls_conn_new(struct sp_tls *tls, int fd, struct sp_tls_conn **ret_conn) {
    struct sp_tls_conn *t = calloc(1, sizeof(*t));
    if (t == NULL) return sp_err(SP_E_NOMEM);
    t->ssl = sp_tls_ssl_new(tls);
    if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1) {
        sp_tls_conn_free(t);
        return sp_err(SP_E_NOMEM);
    }
    SSL_set_accept_state(t->ssl);
    *ret_conn = t;
    return SP_SUCCESS;
}

void sp_tls_conn_free(struct sp_tls_conn *t) {
    if (t == NULL) return;
    SSL_free(t->ssl);
    ERR_clear_error();
    free(t);
}

/* The error queue is the thread's and must be empty before each call, or SSL_get_error reads another
 * connection's trouble. */
static enum sp_tls_result result_of(struct sp_tls_conn *t, int r) {
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_NONE: return SP_TLS_DONE;
    case SSL_ERROR_WANT_READ: return SP_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return SP_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return SP_TLS_END;
    default: t->broken = true; return SP_TLS_FAILED;
    }
}

static enum sp_tls_result broken(struct sp_tls_conn *t) {
    t->broken = true;
    return SP_TLS_FAILED;
}

enum sp_tls_result sp_tls_handshake(struct sp_tls_conn *t) {
    ERR_clear_error();
    const enum sp_tls_result result = result_of(t, SSL_accept(t->ssl));
    if (result != SP_TLS_FAILED) return result;
    const int reason = ERR_GET_REASON(ERR_peek_error());
    return reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST ? SP_TLS_PLAIN_HTTP : result;
}

enum sp_tls_result sp_tls_read(struct sp_tls_conn *t, void *p, size_t cap, size_t *ret_n) {
    ERR_clear_error();
    size_t n = 0;
    const enum sp_tls_result result = result_of(t, SSL_read_ex(t->ssl, p, cap, &n));
    if (result == SP_TLS_WANT_WRITE) return broken(t);
    if (result == SP_TLS_DONE) *ret_n = n;
    return result;
}

enum sp_tls_result sp_tls_write(struct sp_tls_conn *t, const void *p, size_t n, size_t *ret_n) {
    ERR_clear_error();
    size_t written = 0;
    const enum sp_tls_result result = result_of(t, SSL_write_ex(t->ssl, p, n, &written));
    if (result == SP_TLS_WANT_READ || result == SP_TLS_END) return broken(t);
    if (result == SP_TLS_DONE) *ret_n = written;
    return result;
}

bool sp_tls_has_pending(const struct sp_tls_conn *t) {
    return SSL_pending(t->ssl) > 0;
}

void sp_tls_say_end(struct sp_tls_conn *t) {
    if (t->broken || t->ended || !SSL_is_init_finished(t->ssl)) return;
    t->ended = true;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl); /* what the socket does not take now is not worth waiting for */
    ERR_clear_error();
}
