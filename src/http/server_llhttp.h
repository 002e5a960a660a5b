/* What the files of the HTTP server share; nobody else includes it.
 *
 *   server_llhttp.c          the server: listeners, accepting, caps, deadlines, draining
 *   server_llhttp_conn.c     a connection: its states, reading, giving out requests, closing
 *   server_llhttp_parse.c    from bytes to a request: the only user of llhttp, and our own strict reader
 * beside it
 *   server_llhttp_request.c  what handlers may ask of a request
 *   server_llhttp_reply.c    from a response to bytes
 *   server_llhttp_stream.c   answers that grow while they are read
 *   server_llhttp_address.c  connections by client address
 *   server_llhttp_listen.c   listening sockets
 *   server_tls.c, server_tls_conn.c   certificates; TLS on a connection's socket
 *
 * A connection owns at most one request object at a time; it has the buffer. Idle connections have none. */
#ifndef SP_HTTP_SERVER_LLHTTP_H
#define SP_HTTP_SERVER_LLHTTP_H

#include <llhttp.h>

#include "base/buf.h"
#include "http/server.h"
#include "http/server_tls.h"

#define SP_HTTP_LINGER_MS 2000 /* reading on after a refusal, so that its answer arrives before our reset */
#define SP_HTTP_LINGER_BYTES (256 * 1024) /* and no more than this */
#define SP_HTTP_EMPTY_LINES_MAX 2         /* before a request line; RFC 9112 2.2 asks for at least one */
#define SP_HTTP_BODY_WIRE_FACTOR 8        /* chunks of one byte take 6 on the wire; and room for trailers */
#define SP_HTTP_BODY_WIRE_EXTRA 1024      /* likewise, when the body itself is short */
#define SP_HTTP_RESPONSE_HEAD_MAX (64 * 1024) /* status line and headers: cookies of 4 KiB, a few of them */
#define SP_HTTP_REQS_KEPT 64        /* free request objects kept; each about 40 KiB, mostly untouched pages */
#define SP_HTTP_PIPELINE_TURN 16    /* requests of one connection before the others get a turn */
#define SP_HTTP_ACCEPT_TURN 64      /* likewise, connections of one listener */
#define SP_HTTP_DRAIN_FRESH_MS 1000 /* a client that connected just before we drain may still ask once */
#define SP_HTTP_ACCEPT_PAUSE_MS 100 /* after EMFILE and friends */
/* What the kernel takes for a stream beyond what it can send: enough to keep a fast line busy until our next
 * turn, little enough that a reader who has stopped holds our memory and not megabytes of the kernel's. */
#define SP_HTTP_STREAM_UNSENT_BYTES (128 * 1024)

/* Why this layer itself answers; rows of a table in server_llhttp_reply.c. */
enum sp_http_failure {
    FAIL_NONE,
    FAIL_MALFORMED,
    FAIL_PLAIN,
    FAIL_TIMEOUT,
    FAIL_BODY_TOO_LARGE,
    FAIL_URL_TOO_LONG,
    FAIL_EXPECTATION,
    FAIL_HEADERS_TOO_LARGE,
    FAIL_INTERNAL,
    FAIL_METHOD,
    FAIL_CODING,
    FAIL_VERSION,
    FAIL_COUNT
};

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

/* The buffer: [0, start) empty lines skipped; [start, head_end) request line and headers; then the body,
 * chunks put together in place; [parsed, end) bytes not looked at yet. Slices point into it and it never
 * moves, so it is as large as a request may be, plus the read-ahead. */
struct sp_http_req {
    struct sp_http_conn *conn;
    struct sp_http_req *next_free;
    void *context;
    int64_t wall_ms, boot_ms;
    enum sp_http_method method;
    enum body_kind body_kind;
    enum sp_http_failure failure;
    bool head_done, keep_alive, http_1_0, expect_continue;
    size_t start, head_end, parsed, end;
    size_t high; /* bytes ever used: wiped at the end */
    size_t body_n, body_wire_n;
    uint64_t content_length;
    sp_slice method_text, target, path, query, host;
    size_t n_headers;
    struct sp_http_header headers[SP_HTTP_HEADERS_MAX];
    llhttp_t parser;
    size_t cap;
    uint8_t buf[];
};

/*   state     event                        next
 *   HANDSHAKE done                         READING
 *   HANDSHAKE plain HTTP                   WRITING, then LINGER
 *   HANDSHAKE failed, end of stream        GONE
 *   READING   request complete             HANDED    (on_request)
 *   READING   refused                      WRITING, then LINGER
 *   READING   end of stream, reset         GONE
 *   HANDED    reply, sent at once          READING | LINGER | GONE
 *   HANDED    reply, not all sent          WRITING
 *   HANDED    end of stream                HANDED, `eof`: the client may have closed only its half
 *   HANDED    reset                        GONE, and the memory stays until the reply
 *   HANDED    a stream begins              STREAMING
 *   STREAMING the stream ends, all sent    READING | LINGER | GONE
 *   STREAMING the stream ends, not all     WRITING
 *   STREAMING end of stream, reset, cut    GONE, and the stream's owner is told
 *   WRITING   all sent                     READING | LINGER | GONE
 *   LINGER    end of stream, limit         GONE
 *   any       deadline                     READING in a request: 408; otherwise GONE */
enum conn_state {
    CONN_HANDSHAKE,
    CONN_READING,
    CONN_HANDED,
    CONN_STREAMING,
    CONN_WRITING,
    CONN_LINGER,
    CONN_GONE
};

/* Each kind of deadline has one length, so a queue in order of arrival is in order of expiry: O(1) to set and
 * to clear, and one timer for all of them. */
enum deadline {
    DEADLINE_HANDSHAKE,
    DEADLINE_IDLE,
    DEADLINE_HEADER,
    DEADLINE_BODY,
    DEADLINE_WRITE,
    DEADLINE_LINGER,
    DEADLINE_COUNT,
    DEADLINE_NONE
};

struct sp_http_conn {
    struct sp_http_server *server;
    int fd;
    struct sp_tls_conn *tls; /* NULL: plain */
    enum conn_state state;
    unsigned depth; /* our calls on the stack that still need this memory */
    bool handed;    /* the request is with its handler: so is this memory, even when the state is GONE */
    bool eof;       /* nothing more will come */
    bool reading;   /* read_ev is added */
    bool served;    /* a request was given out */
    bool close_after;
    bool deadline_anew;
    enum deadline deadline;
    int64_t deadline_ms;
    struct sp_http_conn *dl_prev, *dl_next; /* the queue of its deadline */
    struct sp_http_conn *prev, *next;       /* all connections of the server */
    struct sp_http_req *req;
    struct event read_ev, write_ev;
    struct sp_buf out; /* what the socket did not take */
    size_t out_sent;
    union {
        size_t lingered;               /* LINGER */
        struct sp_http_stream *stream; /* STREAMING */
    };
    uint64_t address_key; /* 0: not counted */
    void *user;
    struct sp_http_peer peer;
};

struct listener {
    struct sp_http_server *server;
    struct listener *next;
    int fd;
    void *user;
    struct sp_tls *tls; /* a reference, or NULL: plain */
    struct event ev;
};

struct address_table {
    struct {
        uint64_t key; /* 0: free */
        size_t n;
    } * slots;
    size_t mask;
    uint64_t seed[2];
};

struct conn_queue {
    struct sp_http_conn *first, *last;
};

struct sp_http_server {
    struct sp_loop *loop;
    struct sp_http_opts opts; /* every 0 replaced by its default */
    int64_t limit_ms[DEADLINE_COUNT];
    struct sp_http_stats stats;
    struct listener *listeners, *closing;
    struct sp_loop_timer close_listeners;
    struct sp_http_conn *conns;
    struct conn_queue queues[DEADLINE_COUNT];
    struct sp_loop_timer sweep;
    int64_t sweep_at_ms;
    struct sp_loop_timer accept_again;
    struct sp_http_req *free_reqs;
    size_t n_free_reqs;
    struct address_table addresses;
    struct sp_buf head;                            /* the response head being made */
    struct sp_http_stream *gone_first, *gone_last; /* streams that were cut, their owners not told yet */
    struct event tell_gone;
    int64_t date_s;
    char date[32];
    bool draining, freed;
    struct sp_loop_timer drain_fresh, drain_limit, drain_done;
    void (*done)(void *arg);
    void *done_arg;
};

/* server_llhttp.c */
void sp_http_deadline_set(struct sp_http_conn *c, enum deadline kind);
void sp_http_conn_forgotten(struct sp_http_server *s); /* a connection or a parked request has ended */
struct sp_http_req *sp_http_req_take(struct sp_http_server *s, struct sp_http_conn *c); /* NULL: no memory */
void sp_http_req_release(struct sp_http_server *s, struct sp_http_req *req);

/* server_llhttp_conn.c */
/* Takes `user` and TLS from the listener. */
sp_status sp_http_conn_new(struct sp_http_server *s, int take_fd, const struct sp_http_peer *peer,
                           uint64_t address_key, const struct listener *from);
/* Between enter and leave the memory stays, whatever happens to the connection. */
void sp_http_conn_enter(struct sp_http_conn *c);
void sp_http_conn_leave(struct sp_http_conn *c);
void sp_http_conn_close(struct sp_http_conn *c);
void sp_http_conn_expired(struct sp_http_conn *c);
/* The reply is on its way, or as much of it as there will be. */
void sp_http_conn_replied(struct sp_http_conn *c);
void sp_http_conn_sent(struct sp_http_conn *c);
enum flush_result { FLUSH_DONE, FLUSH_BLOCKED, FLUSH_FAILED };
/* Sends from `out`; empties it when all of it is sent. */
enum flush_result sp_http_conn_flush(struct sp_http_conn *c);
bool sp_http_conn_is_idle(const struct sp_http_conn *c);
/* Lets go of the request that was answered and keeps what was read ahead of it for the next one, if anything
 * was. False: no memory. */
bool sp_http_conn_next_req(struct sp_http_conn *c);
void sp_http_conn_reading_on(struct sp_http_conn *c);
static inline size_t sp_http_conn_pending(const struct sp_http_conn *c) {
    return c->out.n - c->out_sent;
}

/* server_llhttp_parse.c */
enum parse_result { PARSE_MORE, PARSE_COMPLETE, PARSE_FAILED /* req->failure says why */ };
void sp_http_parse_begin(struct sp_http_req *req); /* for the bytes from `parsed` on */
enum parse_result sp_http_parse(struct sp_http_req *req);

/* server_llhttp_reply.c */
void sp_http_fail(struct sp_http_conn *c, enum sp_http_failure failure); /* answers and ends the connection */
sp_status sp_http_send_continue(struct sp_http_conn *c);
void sp_http_send_internal_error(struct sp_http_conn *c); /* in the place of an answer that cannot be sent */
enum reply_framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_UNTIL_CLOSE };
/* Whether a handler's response can be sent as it is. */
sp_status sp_http_check_response(const struct sp_http_server *s, const struct sp_http_response *r);
/* Into s->head, which the caller clears. */
sp_status sp_http_make_head(struct sp_http_server *s, const struct sp_http_response *r,
                            enum reply_framing framing, bool close);
/* A whole answer: what the socket does not take follows by itself. */
void sp_http_send(struct sp_http_conn *c, sp_slice head, sp_slice body);

/* server_llhttp_stream.c */
void sp_http_stream_cut(struct sp_http_conn *c, enum sp_http_gone why);
void sp_http_stream_lost(struct sp_http_conn *c); /* its connection closes */
void sp_http_stream_writable(struct sp_http_conn *c);
void sp_http_streams_init(struct sp_http_server *s);
void sp_http_streams_done(struct sp_http_server *s); /* tells those who were not told yet */

/* server_llhttp_address.c */
sp_status sp_http_address_init(struct address_table *t, size_t connections_max);
void sp_http_address_done(struct address_table *t);
/* Counts one more connection of this peer; false: it has max already. */
bool sp_http_address_enter(struct address_table *t, const void *address, size_t n, size_t max,
                           uint64_t *ret_key);
void sp_http_address_leave(struct address_table *t, uint64_t key);

#endif
