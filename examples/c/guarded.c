/* A service that says hello to whoever brings an access token that is good now and permits documents:read. */
#include <sallyport/verify.h>

#include <err.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void log_event(void *arg, const char *event, const char *detail) {
    (void)arg;
    fprintf(stderr, "sallyport: %s: %s\n", event, detail);
}

static void on_request(struct evhttp_request *http, void *sp) {
    static struct sp_token token; /* one for each thread; here is one thread */
    struct sp_request request = SP_REQUEST_INIT;
    const char *field = evhttp_find_header(evhttp_request_get_input_headers(http), "Authorization");
    if (field == NULL || strncmp(field, "Bearer ", 7) != 0) {
        evhttp_send_error(http, 401, "no access token");
        return;
    }
    request.token = field + 7;
    request.token_bytes = strlen(field + 7);
    enum sp_verdict verdict = sp_verify(sp, &request, &token);
    if (verdict != SP_ACCEPTED) { /* SP_STALE: not the token's fault, the feed is away */
        evhttp_send_error(http, verdict == SP_STALE ? 503 : 401, sp_verdict_text(verdict));
    } else if (!sp_permits(&token, "documents:read")) {
        evhttp_send_error(http, 403, "documents:read is not permitted");
    } else {
        struct evbuffer *body = evbuffer_new();
        evbuffer_add_printf(body, "hello %.*s\n", (int)token.subject.n, token.subject.p);
        evhttp_send_reply(http, 200, "OK", body);
        evbuffer_free(body);
    }
}

int main(int argc, char **argv) {
    struct sp_options options = SP_OPTIONS_INIT;
    struct sallyport *sp;
    if (argc != 6) errx(2, "usage: guarded PORT SERVER ISSUER AUDIENCE CREDENTIAL_FILE");
    options.feed_url = argv[2];
    options.issuer = argv[3];
    options.audience = argv[4];
    options.credential_file = argv[5];
    options.log = log_event;
    if (sp_open(&options, &sp) != SP_OPEN_OK) errx(1, "%s", sp_open_error());
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    evhttp_set_gencb(http, on_request, sp);
    if (evhttp_bind_socket(http, "127.0.0.1", (unsigned short)atoi(argv[1])) != 0) err(1, "port %s", argv[1]);
    event_base_dispatch(base);
    sp_close(sp);
    return 0;
}
