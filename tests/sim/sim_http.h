/* The same server behind its HTTP: what goes in and out are bytes on connections.
 *
 * Two real loops with the simulation's clock, each with the real HTTP server and API. A connection is a pair
 * of sockets of which the server has adopted one end; the other end is the client's, or a proxy's who puts
 * requests of many clients on one connection. Nothing waits: a loop takes a step when the simulation says so,
 * so that the seed decides in which order bytes come and requests meet.
 *
 *   sim_http.c        loops, connections, who waits for which answer
 *   sim_http_text.c   a request as text; an answer from text, judged by what every answer must be
 *   sim_http_door.c   the door (sim_app.h): each use case as a request, each answer as its result
 *   sim_http_foes.c   other sites' pages, people who hang up, and looks at access tokens
 *
 * Beside the promises of sim_model.c: no 5xx unless a fault was injected; tokens only in answers to those
 * whose session they are of, with no-store; no token in a body in cookie mode and no cookie otherwise; what
 * another site's page asks for is refused as such. */
#ifndef SP_TESTS_SIM_SIM_HTTP_H
#define SP_TESTS_SIM_SIM_HTTP_H

#include <jansson.h>

#include "http/api.h"
#include "sim_app.h"

enum {
    SIM_FRONTS = 2,
    SIM_CONNS = 32,
    SIM_REQUEST_BYTES = 8 * 1024,
    SIM_ANSWER_BYTES = 32 * 1024,
    SIM_ID_CHARS = 22, /* of X-Request-Id */
};

#define SIM_ORIGIN "https://app.example"

struct sim_front {
    struct sim *sim;
    struct sp_loop *loop;
    struct sp_http_server *server;
    struct sp_http_api *api;
    struct sim_event step;
    bool step_is_armed;
};

struct sim_conn {
    struct sim_front *front;
    int fd;
    bool is_open;
    void *listener;
    struct sim_exchange *exchange; /* NULL: idle */
    char in[SIM_ANSWER_BYTES];
    size_t in_n;
};

struct sim_text {
    char p[SIM_REQUEST_BYTES];
    size_t n;
};

struct sim_answer {
    int status;
    const char *head;
    size_t head_n, n;
    sp_slice body;
    json_t *json;  /* NULL: no body */
    char code[40]; /* of a problem */
    char id[SIM_ID_CHARS + 1];
    sp_slice access_cookie, refresh_cookie; /* .p NULL: not set; empty: expired */
    bool closes;
};

/* What an answer may hold. */
enum sim_secrets { SIM_NO_TOKENS, SIM_TOKENS_IN_BODY, SIM_TOKENS_IN_COOKIES };

struct sim_exchange {
    struct sim_event send; /* of the next piece */
    bool send_is_armed, is_over;
    struct sim_conn *conn;
    size_t sent, piece;
    size_t skip; /* answers to pipelined requests before this one */
    enum sim_secrets secrets;
    bool is_cookie;
    const char *what;
    /* The client hangs up as soon as the use case has begun; what it would have been told is known from
     * there. */
    uint64_t number;
    bool will_be_lost, has_result;
    struct sp_tokens_result result;
    char result_access[SP_ACCESS_TOKEN_BYTES_MAX], result_refresh[SP_REFRESH_CHARS];
    /* NULL answer: the connection ended without one, and the server is going down. Never both. */
    void (*answered)(struct sim *s, struct sim_exchange *x, const struct sim_answer *a);
    struct sim_family *family;
    sp_tokens_done *tokens_done;
    sp_plain_done *plain_done;
    void *arg;
    int status; /* foes: what must come back */
    const char *code;
    enum sim_access_must must;
    struct sim_text request;
};

struct sim_http {
    struct sim *sim;
    struct sp_clock clock;
    struct sim_front fronts[SIM_FRONTS];
    struct sim_conn *conns; /* SIM_CONNS */
    struct sim_event foe, look;
    bool foes_have_begun;
    /* What the app itself said to each refresh, by request id; found again when the answer comes. */
    struct sim_said {
        char id[SIM_ID_CHARS];
        enum sp_outcome outcome;
        bool reuse_detected;
    } said[64];
    uint64_t said_n;
    uint64_t exchanges;
};

static inline struct sim_http *sim_http_of(struct sim *s) {
    return sim_app_of(s)->door_state;
}

struct sim_server sim_http_server(void);
uint64_t sim_http_exchanges(void); /* in the histories that have ended well */
extern const struct sim_door sim_http_door;

/* sim_http.c. A zeroed exchange, on the heap, to be filled in and sent, which takes it. */
struct sim_exchange *sim_exchange_new(struct sim *s, const char *what);
void sim_exchange_send(struct sim *s, struct sim_exchange *x, void *listener);
/* Bytes on a connection of its own, which is closed after some steps of the loop. */
void sim_http_abandon(struct sim *s, const struct sim_text *bytes);
void sim_http_open(struct sim *s);
bool sim_http_drain(struct sim *s);
void sim_http_close(struct sim *s);

/* sim_http_text.c */
struct sim_ask {
    const char *method, *path;
    sp_slice bearer;                        /* Authorization */
    sp_slice access_cookie, refresh_cookie; /* Cookie */
    const char *origin, *fetch_site, *csrf; /* NULL: none */
    const char *body;                       /* NULL: none */
    uint64_t number;                        /* of the exchange: its User-Agent; 0: none */
};
void sim_text_add(struct sim_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_ask_write(struct sim *s, const struct sim_ask *ask, struct sim_text *ret);
/* 0: not yet whole. Fails the history when it is not what an answer must be. */
size_t sim_answer_read(struct sim *s, const struct sim_exchange *x, const char *p, size_t n,
                       struct sim_answer *ret);
void sim_answer_done(struct sim_answer *a);
sp_slice sim_answer_text(const struct sim_answer *a, const char *name);
int64_t sim_answer_number(const struct sim_answer *a, const char *name);

/* sim_http_foes.c */
void sim_http_foes_begin(struct sim *s);
/* As our own page would: where it comes from, and the token against forgery. */
void sim_own_page(struct sim *s, struct sim_ask *ask);

#endif
