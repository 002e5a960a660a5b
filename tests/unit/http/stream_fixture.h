/* Streams on the server of server_fixture.h, and their owners: each notes what it is told. They are static,
 * since a stream that a test leaves open is cut when its server is freed. */
#ifndef SP_TESTS_HTTP_STREAM_FIXTURE_H
#define SP_TESTS_HTTP_STREAM_FIXTURE_H

#include "server_fixture.h"

struct owner {
    struct sp_http_stream *stream;
    size_t drained, gone;
    enum sp_http_gone why;
    void (*more)(struct owner *o); /* on_drained does this too */
    size_t left;
    sp_status status; /* of the last write */
};

static inline void note_drained(void *arg) {
    struct owner *o = arg;
    o->drained++;
    if (o->more != NULL) o->more(o);
}

static inline void note_gone(void *arg, enum sp_http_gone why) {
    struct owner *o = arg;
    o->gone++;
    o->why = why;
    o->stream = NULL;
}

/* `drained`: which writes are followed by note_drained; NULL: none. */
static inline sp_status begin_and(struct sp_http_req *req, struct owner *o, size_t pending_bytes_max,
                                  const enum sp_http_drained *drained) {
    static const struct sp_http_header type = {{(const uint8_t *)"Content-Type", 12},
                                               {(const uint8_t *)"text/event-stream", 17}};
    const struct sp_http_response head = {.status = 200, .headers = &type, .n_headers = 1};
    const struct sp_http_stream_opts opts = {.pending_bytes_max = pending_bytes_max,
                                             .on_drained = drained != NULL ? note_drained : NULL,
                                             .drained = drained != NULL ? *drained : SP_HTTP_DRAINED_ALWAYS,
                                             .on_gone = note_gone,
                                             .arg = o};
    return sp_http_stream_begin(req, &head, &opts, &o->stream);
}

static inline sp_status begin_with(struct sp_http_req *req, struct owner *o, size_t pending_bytes_max,
                                   bool wants_drained) {
    static const enum sp_http_drained always = SP_HTTP_DRAINED_ALWAYS;
    return begin_and(req, o, pending_bytes_max, wants_drained ? &always : NULL);
}

/* Takes the request that was parked first. */
static inline struct sp_http_req *unpark(void) {
    assert_true(fx.n_parked > 0);
    struct sp_http_req *req = fx.parked[0];
    fx.n_parked--;
    memmove(fx.parked, fx.parked + 1, fx.n_parked * sizeof(*fx.parked));
    return req;
}

static inline void begin(struct owner *o, size_t pending_bytes_max) {
    *o = (struct owner){0};
    WAIT_FOR(fx.n_parked > 0);
    assert_true(sp_ok(begin_with(unpark(), o, pending_bytes_max, false)));
}

static inline void write_text(struct owner *o, const char *text) {
    o->status = sp_http_stream_write(o->stream, sp_slice_cstr(text));
}

static inline int start_streams(void **state) {
    (void)state;
    start((struct sp_http_opts){0});
    fx.park = true;
    return 0;
}

static inline int start_hasty_streams(void **state) {
    (void)state;
    start((struct sp_http_opts){.write_deadline_ms = 100, .idle_ms = 100});
    fx.park = true;
    return 0;
}

/* A client on a pair of Unix sockets: what it does not read fills the server's send buffer and no more. */
static inline void client_pair_of(struct client *c, int send_buffer) {
    int pair[2];
    memset(c, 0, sizeof(*c));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer)), 0);
    c->fd = pair[1];
    assert_true(sp_ok(sp_http_server_adopt(fx.server, pair[0], &fx)));
}

static inline void client_pair(struct client *c) {
    client_pair_of(c, 128 * 1024);
}

#endif
