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
    FAKE_GZIP,      /* answers that say that they are compressed */
    FAKE_OLD,       /* HTTP/0.9: the body, without a head */
    FAKE_HEADS,     /* a head without end */
    FAKE_INTERIM,   /* 103 Early Hints without end */
    FAKE_BODIES,    /* answers to acknowledgements, and to questions for the time, without end */
    FAKE_204,       /* to everything */
};

struct fake_http {
    struct fake_feed feed; /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic int manner;
    char authorization[256]; /* wanted; under the lock */
    char last_ack[1024];
    unsigned changes; /* of documents: open streams get them anew; under the lock */
    unsigned requests, acks, streams, elsewhere, denied; /* under the lock */
    const char *redirect_to;                             /* of FAKE_REDIRECT; NULL: /elsewhere */
    _Atomic size_t poured; /* the most bytes that a client took of something without end */
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
