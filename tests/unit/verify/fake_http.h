/* The fake feed behind HTTP/1.1 on a loopback port: a thread for each connection, and bad manners on demand.
 */
#ifndef TEST_FAKE_HTTP_H
#define TEST_FAKE_HTTP_H

#include <pthread.h>
#include <stdatomic.h>

#include "fake_feed.h"

enum fake_manner {
    FAKE_GOOD,
    FAKE_REDIRECT,  /* 302 to /elsewhere of itself */
    FAKE_503,       /* to everything */
    FAKE_CUT,       /* the stream ends within its first chunk, with a reset */
    FAKE_HUGE_LINE, /* in the stream */
    FAKE_HANG,      /* no answer ever */
    FAKE_ONE_BYTE,  /* the stream byte by byte */
};

struct fake_http {
    struct fake_feed feed; /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic int manner;
    char authorization[256]; /* wanted; under the lock */
    char last_ack[1024];
    unsigned acks, streams, elsewhere, denied; /* requests; under the lock */
    _Atomic bool stops;
    _Atomic int connections;
    int listener;
    uint16_t port;
    pthread_t thread;
};

void fake_http_start(struct fake_http *s, const char *issuer, const char *credential);
void fake_http_stop(struct fake_http *s);
/* "http://127.0.0.1:PORT" */
void fake_http_url(const struct fake_http *s, char *out, size_t cap);
void fake_http_revoke(struct fake_http *s, const uint8_t jti[16], int64_t until_s);
/* Waits (in real time, at most 20 s) until cond(arg). */
bool fake_http_wait(bool (*cond)(void *arg), void *arg);

#endif
