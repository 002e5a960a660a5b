/* The HTTP/1.1 server: connections on an event loop in, whole requests out.
 *
 * on_request is called once headers and body have been read and checked. The handler answers with
 * sp_http_reply or sp_http_stream_begin exactly once: at once, or later from the same loop (park: keep the
 * pointer, submit work, reply in its completion). Until the reply the request and all slices taken from it
 * are good, whatever the client does; if the client has gone, the reply is dropped. After the reply they are
 * gone.
 *
 * Strict by design (RFC 9112): whatever two parsers could read differently is refused before a handler sees
 * it. One request of a connection is handled at a time; pipelined ones wait in a bounded buffer.
 *
 * Everything here belongs to the loop's thread; nothing is thread-safe. One server a loop, any number of
 * loops (SO_REUSEPORT). */
#ifndef SP_HTTP_SERVER_H
#define SP_HTTP_SERVER_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/status.h"
#include "http/tls.h"
#include "loop/loop.h"

/* Limits. Those with a field in sp_http_opts are its defaults. */
#define SP_HTTP_HEADER_BYTES_MAX                                                                             \
    (16 * 1024)                 /* request line and headers; browsers with fat cookies stay below 8 KiB */
#define SP_HTTP_HEADERS_MAX 100 /* header lines; Apache's and h2o's figure */
#define SP_HTTP_URL_BYTES_MAX (8 * 1024)    /* our longest is an authorization request that was sealed */
#define SP_HTTP_BODY_BYTES_MAX (16 * 1024)  /* our largest body is a policy document */
#define SP_HTTP_READ_AHEAD_BYTES (4 * 1024) /* pipelined bytes kept beside a full request */
#define SP_HTTP_CONNECTIONS_MAX                                                                              \
    10000 /* a loop; below 1 KiB each while idle (15 with TLS), 40 at most in a request */
#define SP_HTTP_RESPONSE_BYTES_MAX                                                                           \
    (8 * 1024 * 1024)                   /* what one reply may make us buffer for a slow reader               \
                                         */
#define SP_HTTP_RESPONSE_HEADERS_MAX 64 /* lines a handler may add */
#define SP_HTTP_HANDSHAKE_DEADLINE_MS 10000
#define SP_HTTP_HEADER_DEADLINE_MS 10000
#define SP_HTTP_BODY_DEADLINE_MS 10000
#define SP_HTTP_IDLE_MS 60000 /* between requests of a connection */
#define SP_HTTP_WRITE_DEADLINE_MS 10000
#define SP_HTTP_STREAM_PENDING_BYTES (256 * 1024) /* of a stream whose owner names no bound of his own */

enum sp_http_method {
    SP_HTTP_GET,
    SP_HTTP_HEAD,
    SP_HTTP_POST,
    SP_HTTP_PUT,
    SP_HTTP_PATCH,
    SP_HTTP_DELETE,
    SP_HTTP_OPTIONS,
    SP_HTTP_OTHER, /* well-formed and known to the parser (PURGE, QUERY, ...), but none of ours: answer 405 */
};

enum sp_http_peer_kind { SP_HTTP_PEER_TCP, SP_HTTP_PEER_UNIX };

struct sp_http_peer {
    enum sp_http_peer_kind kind;
    char address[46]; /* TCP: numeric, NUL-terminated; IPv4 inside IPv6 as IPv4. Unix: "unix" */
    uint16_t port;    /* TCP */
    uid_t uid;        /* Unix: SO_PEERCRED of the connection's opener */
    gid_t gid;
    pid_t pid;
};

struct sp_http_req;
struct sp_http_server;

struct sp_http_opts {
    void (*on_request)(void *arg, struct sp_http_req *req);
    void *arg;
    /* 0 means the default above. */
    size_t header_bytes_max;
    size_t url_bytes_max;
    size_t body_bytes_max;
    size_t connections_max;
    size_t connections_per_address_max; /* IPv6 by /64; 0: no such limit. Unix peers are not counted */
    size_t response_bytes_max;
    int64_t handshake_deadline_ms;
    int64_t header_deadline_ms;
    int64_t body_deadline_ms;
    int64_t idle_ms;
    int64_t write_deadline_ms;
};

struct sp_http_stats { /* since start, but for `open`, `streams` and `parked` */
    uint64_t accepted;
    uint64_t refused;           /* connections over a cap */
    uint64_t accept_errors;     /* EMFILE and friends; each pauses accepting for a moment */
    uint64_t requests;          /* given to on_request */
    uint64_t malformed;         /* answered by this layer: 400, 413, 414, 417, 431, 501, 505 */
    uint64_t handshakes_failed; /* TLS: refused, broken off, or plain HTTP; too slow ones are timeouts */
    uint64_t timeouts;          /* a deadline passed, of whatever kind */
    uint64_t dropped;           /* replies whose client had gone */
    uint64_t streams_cut;       /* over their bound or stalled; the latter are timeouts too */
    size_t open;                /* connections */
    size_t streams;             /* of these, being streamed to */
    size_t parked;              /* requests given out and not yet replied to, gone clients included */
};

/* SP_E_NOMEM; SP_E_MALFORMED when on_request is missing. The loop must outlive the server. */
sp_status sp_http_server_new(struct sp_loop *loop, const struct sp_http_opts *opts,
                             struct sp_http_server **ret_server);
/* Takes the listening descriptor (TCP or Unix, from below or inherited): the server closes it. `user` comes
 * back from sp_http_req_user, and tells requests of the admin socket from others. Fails: fd stays the
 * caller's. */
sp_status sp_http_server_listen(struct sp_http_server *server, int take_fd, void *user);
/* Connections that the listeners of this `user` accept from now on speak TLS with this certificate; NULL:
 * none. Those that are open go on as they began. Takes a reference of its own. */
void sp_http_server_set_tls(struct sp_http_server *server, const void *user, struct sp_tls *tls);
/* Takes a connected stream socket, without TLS, as if it had been accepted. SP_E_BUSY over a cap; fails: fd
 * stays the caller's. */
sp_status sp_http_server_adopt(struct sp_http_server *server, int take_fd, void *user);
/* Stops accepting, closes idle connections, cuts streams, lets requests in flight finish with `Connection:
 * close`, gives who has just connected a second for the first request; what is still open after limit_ms is
 * cut. done(arg) is called once, from the loop, when no connection and no request is left (a parked request
 * is always waited for). Call once. */
void sp_http_server_drain(struct sp_http_server *server, int64_t limit_ms, void (*done)(void *arg),
                          void *arg);
/* Closes everything; owners of streams are told before it returns. Requests still parked stay good until
 * their (dropped) reply. Accepts NULL. */
void sp_http_server_free(struct sp_http_server *server);
SP_DEFINE_FREE(sp_http_server);
void sp_http_server_stats(const struct sp_http_server *server, struct sp_http_stats *ret_stats);

/* --- The request. Slices are good until sp_http_reply. --- */

enum sp_http_method sp_http_req_method(const struct sp_http_req *req);
sp_slice sp_http_req_method_text(const struct sp_http_req *req);
/* Raw, still percent-encoded; begins with '/' (or is "*" of OPTIONS). Of an absolute-form target only the
 * path. */
sp_slice sp_http_req_path(const struct sp_http_req *req);
/* Raw, without '?'; empty when there is none. A fragment, if sent, belongs to neither. */
sp_slice sp_http_req_query(const struct sp_http_req *req);
/* The authority in force: of an absolute-form target, otherwise the Host header; empty in HTTP/1.0 without
 * Host. */
sp_slice sp_http_req_host(const struct sp_http_req *req);
/* Transfer codings other than `chunked` are not undone: such a body arrives as it was sent. */
sp_slice sp_http_req_body(const struct sp_http_req *req);

struct sp_http_header {
    sp_slice name; /* a token, as sent; compared without regard to case */
    sp_slice
        value; /* without surrounding white space; no control characters but HTAB; bytes >= 0x80 possible */
};
size_t sp_http_req_header_count(const struct sp_http_req *req);
const struct sp_http_header *sp_http_req_header_at(const struct sp_http_req *req, size_t i); /* i < count */

/* Whoever trusts a header must say what a repeated one means. */
enum sp_http_presence { SP_HTTP_ABSENT, SP_HTTP_SINGLE, SP_HTTP_REPEATED };
/* *ret_value: set when single or repeated (then the first); untouched when absent. ret_value may be NULL. */
enum sp_http_presence sp_http_req_header(const struct sp_http_req *req, const char *name,
                                         sp_slice *ret_value);

const struct sp_http_peer *sp_http_req_peer(const struct sp_http_req *req);
bool sp_http_req_keep_alive(const struct sp_http_req *req); /* the connection may serve another request */
bool sp_http_req_client_gone(
    const struct sp_http_req *req); /* known to be gone: work for it can be given up */
int64_t sp_http_req_wall_ms(const struct sp_http_req *req); /* when its first byte came */
int64_t sp_http_req_boot_ms(const struct sp_http_req *req);
void *sp_http_req_user(const struct sp_http_req *req); /* the listener's */
struct sp_loop *sp_http_req_loop(const struct sp_http_req *req);
/* A pointer for whoever handles the request; NULL at first. */
void sp_http_req_set_context(struct sp_http_req *req, void *context);
void *sp_http_req_context(const struct sp_http_req *req);

/* --- The reply. --- */

struct sp_http_response {
    int status; /* 200 to 599 */
    const struct sp_http_header *headers;
    size_t n_headers; /* repeated names (Set-Cookie) are sent as given */
    sp_slice body; /* copied if it cannot be sent at once; not sent, but counted, for HEAD; must be empty for
                      204, 304 */
    bool close;    /* end the connection afterwards */
};

/* Ends the request, whatever it returns. Date, Content-Length and Connection are ours; they and
 * Transfer-Encoding are refused in `headers`, as is a name that is no token and a value with a control
 * character: SP_E_MALFORMED. Too many headers or too large: SP_E_LIMIT. The client then gets a 500, never
 * half an answer. Success says nothing about the client: it may be gone. */
sp_status sp_http_reply(struct sp_http_req *req, const struct sp_http_response *response);

/* --- The streamed reply: a body that grows while the client reads it. ---
 *
 * Chunked; to HTTP/1.0 until the connection closes. What the socket does not take at once is kept, within the
 * stream's bound: whoever reads more slowly than is written is cut instead of holding memory. No byte waits
 * longer than twice write_deadline_ms, however the client drips; one that has vanished without a word is
 * noticed as soon. A stream to which nothing is written has no deadline.
 *
 * A client that ends its side has gone: nothing else would tell us before the next write. What it sends
 * meanwhile waits for the end of the stream, as pipelined requests do.
 *
 * All of this may be called from anywhere on the loop's thread. Callbacks come from the loop alone, never
 * from within a call of these functions, so that one may write to all of a list while walking it. */

struct sp_http_stream;

enum sp_http_gone {
    SP_HTTP_GONE_CLIENT,  /* closed, reset, or asked for the headers only (HEAD) */
    SP_HTTP_GONE_LIMIT,   /* more would have been pending than pending_bytes_max */
    SP_HTTP_GONE_STALLED, /* did not take in time what was pending */
    SP_HTTP_GONE_DRAINED, /* the server drains, or was freed */
    SP_HTTP_GONE_FAILED,  /* no memory */
};

/* Which writes are followed by on_drained. */
enum sp_http_drained {
    SP_HTTP_DRAINED_ALWAYS,  /* each */
    SP_HTTP_DRAINED_BLOCKED, /* those that the socket did not take at once: an event less for each write, for
                                an owner of thousands of streams whose writes are short */
};

struct sp_http_stream_opts {
    /* Written and not yet taken by the kernel (which itself takes little that it cannot send). 0: the default
     * above; SP_E_LIMIT over half of response_bytes_max. */
    size_t pending_bytes_max;
    /* Nothing is pending any more: write more. Comes once after the headers and after each write or several,
     * also if the socket took all of it at once, in its turn with other connections: so a long body is made
     * by writing one piece in each on_drained. NULL: not told. */
    void (*on_drained)(void *arg);
    enum sp_http_drained drained;
    /* The stream was cut and no longer exists. Comes exactly once, unless sp_http_stream_end or _abort came
     * before it. It must not free the server. */
    void (*on_gone)(void *arg, enum sp_http_gone why); /* never NULL */
    void *arg;
};

/* Sends the headers and ends the request, whatever it returns. Errors are those of sp_http_reply, and the
 * client then gets a 500: SP_E_MALFORMED also for a status or a response with a body, SP_E_NOMEM,
 * SP_E_UNAVAILABLE once the server was freed. Success says nothing about the client: if it has gone, or the
 * server drains, or the request was HEAD, writes fail and on_gone comes. `close` ends the connection after
 * the stream. */
sp_status sp_http_stream_begin(struct sp_http_req *req, const struct sp_http_response *head,
                               const struct sp_http_stream_opts *opts, struct sp_http_stream **ret_stream);
/* Goes to the socket at once when nothing is pending; what is not taken is copied. Fails when the stream is
 * cut, by this write (SP_E_LIMIT, SP_E_NOMEM, SP_E_IO) or before (SP_E_UNAVAILABLE); on_gone comes then. */
sp_status sp_http_stream_write(struct sp_http_stream *stream, sp_slice bytes);
size_t sp_http_stream_pending(const struct sp_http_stream *stream); /* bytes, with their framing */
/* The body is complete. The stream is gone; the connection serves the next request once all is sent. */
void sp_http_stream_end(struct sp_http_stream *stream);
/* Cuts, so that the client sees that the body is incomplete (over a Unix socket HTTP/1.0 cannot). The stream
 * is gone. */
void sp_http_stream_abort(struct sp_http_stream *stream);

/* The same bytes for any number of streams: framed once. */
struct sp_http_chunk {
    sp_slice framed, bytes; /* the latter a part of the former */
};
/* Appends to *framed, which the slices of the chunk borrow until it changes. SP_E_LIMIT, SP_E_NOMEM. */
sp_status sp_http_chunk_make(sp_slice bytes, struct sp_buf *framed, struct sp_http_chunk *ret_chunk);
sp_status sp_http_stream_write_chunk(struct sp_http_stream *stream, const struct sp_http_chunk *chunk);

/* --- Listening sockets, nonblocking and close-on-exec. --- */

/* host: numeric address or a name; "" or "*": every address, IPv6 and IPv4. port 0: any free one.
 * SP_E_MALFORMED (host not resolvable), SP_E_CONFLICT (in use), SP_E_REFUSED (EACCES), SP_E_IO. */
sp_status sp_http_listen_tcp(const char *host, uint16_t port, bool reuseport, int *ret_fd);
/* The socket has `mode` (0600) from its first instant under its name: it is bound in a fresh private
 * directory beside the path and then renamed. A leftover socket is replaced only when nobody answers on it:
 * SP_E_CONFLICT otherwise, and when something else than a socket stands there. SP_E_LIMIT: path too long for
 * a socket. SP_E_IO. */
sp_status sp_http_listen_unix(const char *path, mode_t mode, int *ret_fd);
/* The port that a TCP listener got; 0 for others. */
uint16_t sp_http_listen_port(int fd);

#endif
