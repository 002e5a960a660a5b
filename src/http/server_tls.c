/* Certificates and keys, and what we speak with them. With server_tls_conn.c the only user of libssl.
 *
 * Why libssl stands here and not in crypto: it is a protocol on a socket, driven by the loop's readiness
 * events, and no other layer has sockets; crypto stays pure.
 *
 * No resumption, neither by tickets nor by a cache. A ticket key that outlives its use takes the forward
 * secrecy of TLS 1.2 with it, rotating it must be done across threads (and nodes), and what it would save is
 * one signature a connection: clients of this server keep their connections.
 *
 * The key file is opened once, and what was opened is what is checked and read: its name cannot come to mean
 * another file in between. A key with a passphrase is refused instead of asking on a terminal that a service
 * does not have. */
#include "http/server_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

static const char ciphers_1_2[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                  "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                  "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char ciphers_1_3[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";
/* RFC 7301: each name with its length before it. */
static const unsigned char protocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

struct sp_tls {
    SSL_CTX *ctx; /* OpenSSL's own count keeps it for the connections that began with it */
    atomic_uint refs;
    int64_t not_after_s;
};

static sp_status complain(char error[SP_TLS_ERROR_BYTES], enum sp_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static sp_status complain(char error[SP_TLS_ERROR_BYTES], enum sp_code code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(error, SP_TLS_ERROR_BYTES, fmt, args);
    va_end(args);
    return sp_err(code);
}

/* --- What we speak. --- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                           unsigned in_n, void *arg) {
    (void)ssl;
    (void)arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_n, protocols, sizeof(protocols), in, in_n) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_protocol(SSL_CTX *ctx) {
    /* An end of the stream without close_notify reads like one with it: a request says its own length, so
     * there is nothing that cutting it short could make us believe. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS); /* the last: an idle connection holds no 32 KiB */
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    return SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, ciphers_1_2) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, ciphers_1_3) == 1 && SSL_CTX_set1_groups_list(ctx, groups) == 1;
}

/* --- Files. --- */

static int no_passphrase(char *buf, int cap, int writing, void *arg) {
    (void)buf;
    (void)cap;
    (void)writing;
    (void)arg;
    return 0;
}

static sp_status check_key_mode(int fd, const char *path, char *error) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return complain(error, SP_E_REFUSED, "server.tls_key: %.200s: not a regular file", path);
    if ((st.st_mode & 027) != 0)
        return complain(error, SP_E_REFUSED,
                        "server.tls_key: %.200s: its mode is %03o, but others must not read it nor its group "
                        "write it: chmod 600 it",
                        path, (unsigned)st.st_mode & 0777);
    return SP_SUCCESS;
}

static sp_status open_key(const char *path, char *error, FILE **ret_file) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */
    if (fd < 0)
        return complain(error, SP_E_IO, "server.tls_key: %.200s: cannot be read: %s", path, strerror(errno));
    const sp_status status = check_key_mode(fd, path, error);
    FILE *file = sp_ok(status) ? fdopen(fd, "r") : NULL;
    if (file == NULL) {
        close(fd);
        return sp_ok(status) ? sp_err(SP_E_NOMEM) : status;
    }
    *ret_file = file;
    return SP_SUCCESS;
}

static sp_status use_key(SSL_CTX *ctx, const char *path, char *error) {
    FILE *file = NULL;
    SP_TRY(open_key(path, error, &file));
    char buffer[BUFSIZ];
    (void)setvbuf(file, buffer, _IOFBF, sizeof(buffer)); /* so that what was read can be wiped */
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
    (void)fclose(file);
    sp_wipe(buffer, sizeof(buffer));
    if (key == NULL)
        return complain(error, SP_E_MALFORMED,
                        "server.tls_key: %.200s: expected a private key in PEM, without a passphrase", path);
    const bool fits = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    if (!fits)
        return complain(error, SP_E_CONFLICT,
                        "server.tls_key: %.200s: this key does not belong to server.tls_certificate", path);
    return SP_SUCCESS;
}

static sp_status use_certificate(SSL_CTX *ctx, const char *path, char *error) {
    if (access(path, R_OK) != 0)
        return complain(error, SP_E_IO, "server.tls_certificate: %.200s: cannot be read: %s", path,
                        strerror(errno));
    if (SSL_CTX_use_certificate_chain_file(ctx, path) == 1) return SP_SUCCESS;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return complain(error, SP_E_MALFORMED,
                    "server.tls_certificate: %.200s: expected certificates in PEM, ours first (%s)", path,
                    reason == NULL ? "unknown reason" : reason);
}

/* --- Dates. --- */

static bool unix_time_of(const ASN1_TIME *t, int64_t *ret_s) {
    struct tm tm = {0};
    if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1) return false;
    *ret_s = (int64_t)timegm(&tm);
    return true;
}

static sp_status check_dates(const SSL_CTX *ctx, const char *path, int64_t now_s, char *error,
                             int64_t *ret_not_after_s) {
    const X509 *x = SSL_CTX_get0_certificate(ctx);
    int64_t from, until;
    if (x == NULL || !unix_time_of(X509_get0_notBefore(x), &from) ||
        !unix_time_of(X509_get0_notAfter(x), &until))
        return complain(error, SP_E_MALFORMED, "server.tls_certificate: %.200s: it has no readable dates",
                        path);
    const int64_t limit = now_s < from ? from : until;
    char date[32] = "";
    struct tm tm;
    const time_t t = (time_t)limit;
    if (gmtime_r(&t, &tm) != NULL) (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (now_s < from)
        return complain(error, SP_E_REFUSED, "server.tls_certificate: %.200s: not valid before %s", path,
                        date);
    if (now_s > until)
        return complain(error, SP_E_REFUSED, "server.tls_certificate: %.200s: expired at %s", path, date);
    *ret_not_after_s = until;
    return SP_SUCCESS;
}

/* --- Life. --- */

static sp_status fill(SSL_CTX *ctx, const char *certificate_path, const char *key_path, int64_t now_s,
                      char *error, int64_t *ret_not_after_s) {
    if (!set_protocol(ctx))
        return complain(error, SP_E_CRYPTO, "OpenSSL refuses the TLS settings of this server");
    SP_TRY(use_certificate(ctx, certificate_path, error));
    SP_TRY(use_key(ctx, key_path, error));
    return check_dates(ctx, certificate_path, now_s, error, ret_not_after_s);
}

sp_status sp_tls_load(const char *certificate_path, const char *key_path, int64_t wall_ms,
                      char error[SP_TLS_ERROR_BYTES], struct sp_tls **ret_tls) {
    struct sp_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) return complain(error, SP_E_NOMEM, "out of memory");
    atomic_init(&tls->refs, 1);
    ERR_clear_error();
    tls->ctx = SSL_CTX_new(TLS_server_method());
    sp_status status = tls->ctx == NULL ? complain(error, SP_E_NOMEM, "out of memory")
                                        : fill(tls->ctx, certificate_path, key_path, wall_ms / 1000, error,
                                               &tls->not_after_s);
    ERR_clear_error();
    if (!sp_ok(status)) {
        sp_tls_unref(tls);
        return status;
    }
    *ret_tls = tls;
    return SP_SUCCESS;
}

struct sp_tls *sp_tls_ref(struct sp_tls *tls) {
    if (tls != NULL) atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    return tls;
}

void sp_tls_unref(struct sp_tls *tls) {
    /* acq_rel: whoever frees sees what every other holder did before letting go */
    if (tls == NULL || atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) != 1) return;
    SSL_CTX_free(tls->ctx);
    free(tls);
}

int64_t sp_tls_not_after_s(const struct sp_tls *tls) {
    return tls->not_after_s;
}

SSL *sp_tls_ssl_new(struct sp_tls *tls) {
    return SSL_new(tls->ctx);
}
