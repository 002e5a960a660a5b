/* Streams through TLS: records instead of segments, OpenSSL's own rules about what is retried. */
#include "stream_fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

enum { BOUND = 256 * 1024, PIECE = 40 * 1000 }; /* three records, the last one short */

static char directory[] = "/tmp/sp-stream-tls-XXXXXX";
static char certificate_path[64], key_path[64];
static struct sp_tls *tls;
static SSL_CTX *client_ctx;

static void write_pem(const char *path, const X509 *x, EVP_PKEY *key) {
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    if (x != NULL) assert_int_equal(PEM_write_X509(f, (X509 *)(uintptr_t)x), 1);
    if (key != NULL) assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(fclose(f), 0);
}

static void make_certificate(void) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_non_null(key);
    assert_non_null(x);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    write_pem(certificate_path, x, NULL);
    write_pem(key_path, NULL, key);
    X509_free(x);
    EVP_PKEY_free(key);
}

static int load_certificate(void **state) {
    (void)state;
    char error[SP_TLS_ERROR_BYTES];
    assert_non_null(mkdtemp(directory));
    (void)snprintf(certificate_path, sizeof(certificate_path), "%s/c.pem", directory);
    (void)snprintf(key_path, sizeof(key_path), "%s/k.pem", directory);
    make_certificate();
    assert_true(
        sp_ok(sp_tls_load(certificate_path, key_path, sp_clock_wall_ms(&sp_clock_system), error, &tls)));
    client_ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(client_ctx);
    return 0;
}

static int unload_certificate(void **state) {
    (void)state;
    SSL_CTX_free(client_ctx);
    sp_tls_unref(tls);
    (void)unlink(certificate_path);
    (void)unlink(key_path);
    return rmdir(directory);
}

static int start_tls(void **state) {
    (void)start_streams(state);
    sp_http_server_set_tls(fx.server, &fx, tls);
    return 0;
}

/* --- A client. --- */

struct tls_client {
    struct client c;
    SSL *ssl;
};

static bool shaken(struct tls_client *t) {
    return SSL_connect(t->ssl) == 1;
}

static void tls_open(struct tls_client *t) {
    client_open(&t->c);
    assert_int_equal(evutil_make_socket_nonblocking(t->c.fd), 0);
    t->ssl = SSL_new(client_ctx);
    assert_non_null(t->ssl);
    assert_int_equal(SSL_set_fd(t->ssl, t->c.fd), 1);
    WAIT_FOR(shaken(t));
}

static void tls_send(struct tls_client *t, const char *text) {
    assert_int_equal(SSL_write(t->ssl, text, (int)strlen(text)), (int)strlen(text));
}

static bool tls_has(struct tls_client *t, const char *text) {
    struct client *c = &t->c;
    const int n = SSL_read(t->ssl, c->got + c->n, (int)(sizeof(c->got) - 1 - c->n));
    if (n > 0) c->n += (size_t)n;
    if (n <= 0 && SSL_get_error(t->ssl, n) != SSL_ERROR_WANT_READ) c->ended = true;
    c->got[c->n] = '\0';
    return strstr(c->got, text) != NULL;
}

static void tls_close(struct tls_client *t) {
    SSL_free(t->ssl);
    ERR_clear_error();
    client_close(&t->c);
}

/* --- Claims. --- */

static void chunks_arrive_through_tls(void **state) {
    (void)state;
    static struct tls_client t;
    static struct owner o;
    tls_open(&t);
    tls_send(&t, GET);
    begin(&o, 0);
    write_text(&o, "one");
    SP_AUTO(sp_buf) b = SP_BUF_INIT(64);
    struct sp_http_chunk chunk;
    assert_true(sp_ok(sp_http_chunk_make(SP_SLICE_LIT("two"), &b, &chunk)));
    assert_true(sp_ok(sp_http_stream_write_chunk(o.stream, &chunk)));
    WAIT_FOR(tls_has(&t, "\r\n\r\n3\r\none\r\n3\r\ntwo\r\n"));
    fx.park = false;
    tls_send(&t, GET);
    sp_http_stream_end(o.stream);
    WAIT_FOR(tls_has(&t, "0\r\n\r\nHTTP/1.1 200 OK\r\n"));
    tls_close(&t);
    WAIT_FOR(stats().open == 0);
}

static uint8_t pattern(size_t i) {
    return (uint8_t)(i * 7 + i / 251);
}

static void blocked_records_are_retried_and_nothing_is_lost(void **state) {
    (void)state;
    static struct tls_client t;
    static uint8_t bytes[PIECE], got[PIECE];
    static struct owner o;
    tls_open(&t);
    tls_send(&t, "GET / HTTP/1.0\r\n\r\n"); /* the bytes without their framing */
    begin(&o, BOUND);
    size_t written = 0, read = 0;
    while (sp_http_stream_pending(o.stream) < BOUND - PIECE) {
        for (size_t i = 0; i < PIECE; i++) bytes[i] = pattern(written + i);
        assert_true(sp_ok(sp_http_stream_write(o.stream, sp_slice_of(bytes, PIECE))));
        written += PIECE;
    }
    sp_http_stream_end(o.stream);
    char head[4] = "";
    while (memcmp(head, "\r\n\r\n", 4) != 0) {
        char byte;
        if (SSL_read(t.ssl, &byte, 1) == 1) {
            memmove(head, head + 1, 3);
            head[3] = byte;
        } else {
            step();
        }
    }
    while (read < written) {
        const int n = SSL_read(t.ssl, got, sizeof(got));
        if (n <= 0) step();
        for (int i = 0; i < n; i++, read++) {
            if (got[i] != pattern(read)) fail_msg("byte %zu is wrong", read);
        }
    }
    WAIT_FOR(SSL_read(t.ssl, got, 1) <= 0 && (SSL_get_shutdown(t.ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
    tls_close(&t);
}

static void aborted_body_has_no_orderly_end(void **state) {
    (void)state;
    static struct tls_client t;
    static struct owner o;
    t.c.n = 0;
    tls_open(&t);
    tls_send(&t, "GET / HTTP/1.0\r\n\r\n");
    begin(&o, 0);
    write_text(&o, "half");
    WAIT_FOR(tls_has(&t, "half"));
    sp_http_stream_abort(o.stream);
    WAIT_FOR(tls_has(&t, "never") || t.c.ended);
    assert_int_equal(SSL_get_shutdown(t.ssl) & SSL_RECEIVED_SHUTDOWN, 0);
    assert_int_equal(stats().open, 0);
    tls_close(&t);
}

static void slow_reader_is_cut_through_tls(void **state) {
    (void)state;
    static struct tls_client t;
    static const uint8_t bytes[PIECE];
    static struct owner o;
    tls_open(&t);
    tls_send(&t, GET);
    begin(&o, BOUND);
    do {
        o.status = sp_http_stream_write(o.stream, sp_slice_of(bytes, PIECE));
    } while (sp_ok(o.status));
    assert_true(sp_is(o.status, SP_E_LIMIT));
    WAIT_FOR(o.gone == 1);
    assert_int_equal(o.why, SP_HTTP_GONE_LIMIT);
    assert_int_equal(stats().open, 0);
    tls_close(&t);
}

static void client_that_says_goodbye_has_gone(void **state) {
    (void)state;
    static struct tls_client t;
    static struct owner o;
    tls_open(&t);
    tls_send(&t, GET);
    begin(&o, 0);
    (void)SSL_shutdown(t.ssl);
    WAIT_FOR(o.gone == 1);
    assert_int_equal(o.why, SP_HTTP_GONE_CLIENT);
    tls_close(&t);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start_tls, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(chunks_arrive_through_tls),         T(blocked_records_are_retried_and_nothing_is_lost),
        T(aborted_body_has_no_orderly_end),   T(slow_reader_is_cut_through_tls),
        T(client_that_says_goodbye_has_gone),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, load_certificate, unload_certificate);
}
