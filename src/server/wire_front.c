/* A thread's loop with its HTTP server and API, and the sockets on which they listen.
 *
 * Each loop accepts for itself. Sockets of our own are bound once a loop (SO_REUSEPORT: the kernel spreads
 * the connections); inherited ones exist once, so every loop polls a duplicate and whoever comes first
 * accepts. */
#include "server/wire_internal.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATH_BYTES = 1280 };

/* Binds, or says why it cannot be. */
static sp_status bind_to(const char *key, const char *listen, bool reuseport, int *ret_fd) {
    char host[SP_CONFIG_HOST_BYTES];
    uint16_t port = 0;
    sp_status status = sp_config_split_listen(listen, host, &port);
    if (sp_ok(status)) status = sp_http_listen_tcp(host, port, reuseport, ret_fd);
    const char *why = sp_is(status, SP_E_CONFLICT)  ? "address already in use: something else listens there"
                      : sp_is(status, SP_E_REFUSED) ? "permission denied: ports below 1024 are for root, or "
                                                      "need CAP_NET_BIND_SERVICE"
                      : sp_is(status, SP_E_MALFORMED) ? "the host has no address"
                      : sp_is(status, SP_E_IO) ? "the system refuses it: is it an address of this machine?"
                                               : sp_code_name(status.code);
    if (!sp_ok(status)) fprintf(stderr, "sallyport: %s: %s (%s)\n", listen, why, key);
    return status;
}

static sp_status listen_tcp(struct server *s, struct front *f) {
    int fd = -1;
    const char *listen = text(s, SP_CFG_server_listen);
    SP_TRY(bind_to("server.listen", listen, s->n_fronts > 1, &fd));
    sp_status status = sp_http_server_listen(f->http, fd, sp_http_listener_public);
    if (!sp_ok(status)) close(fd);
    return status;
}

static sp_status listen_on_copy(struct front *f, int fd, void *user) {
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return sp_err(SP_E_IO);
    sp_status status = sp_http_server_listen(f->http, copy, user);
    if (!sp_ok(status)) close(copy);
    return status;
}

static size_t count_inherited(const struct server *s, bool admin) {
    size_t n = 0;
    for (size_t i = 0; i < s->inherited.n; i++) n += s->inherited.sockets[i].admin == admin;
    return n;
}

static sp_status listen_inherited(struct server *s, struct front *f, bool admin) {
    void *user = admin ? sp_http_listener_admin : sp_http_listener_public;
    for (size_t i = 0; i < s->inherited.n; i++) {
        if (s->inherited.sockets[i].admin != admin) continue;
        SP_TRY(sp_wire_say(listen_on_copy(f, s->inherited.sockets[i].fd, user), "an inherited socket",
                           "It cannot be listened on."));
    }
    return SP_SUCCESS;
}

static sp_status listen_public(struct server *s, struct front *f) {
    SP_TRY(count_inherited(s, false) != 0 ? listen_inherited(s, f, false) : listen_tcp(s, f));
    sp_http_server_set_tls(f->http, sp_http_listener_public, s->tls);
    return SP_SUCCESS;
}

static sp_status listen_admin(struct server *s, struct front *f) {
    if (count_inherited(s, true) != 0) return listen_inherited(s, f, true);
    char path[PATH_BYTES];
    int fd = -1;
    snprintf(path, sizeof(path), "%s/admin.sock", text(s, SP_CFG_server_data));
    SP_TRY(sp_wire_say(sp_http_listen_unix(path, 0600, &fd), path,
                       "`limit_exceeded`: choose a shorter path for server.data."));
    sp_status status = sp_http_server_listen(f->http, fd, sp_http_listener_admin);
    if (!sp_ok(status)) close(fd);
    return status;
}

static sp_status words_of(sp_slice list, size_t max, sp_slice *ret, size_t *ret_n) {
    size_t n = 0;
    while (n < max && sp_words_next(&list, &ret[n])) n++;
    if (list.n != 0) return sp_err(SP_E_LIMIT);
    *ret_n = n;
    return SP_SUCCESS;
}

/* ---- metrics ---- */

static void sample(struct front *f) {
    struct sp_http_stats stats;
    sp_http_server_stats(f->http, &stats);
    sp_metrics_connections(f->lane, &stats);
}

void sp_wire_on_sample(struct sp_loop_timer *timer) {
    struct front *f = SP_CONTAINER_OF(timer, struct front, sample);
    sample(f);
    sp_loop_timer_start(timer, SP_TICK_MS);
}

static sp_status write_metrics(void *arg, const struct sp_measures *measures, struct sp_buf *ret) {
    struct front *f = arg;
    sample(f);
    return sp_metrics_write(f->server->metrics, measures, ret);
}

static sp_status make_lanes(struct server *s) {
    const struct sp_metrics_sources sources = {.verifier = s->verifier, .hashpool = s->hashpool};
    SP_TRY(sp_metrics_new(s->n_fronts, &sources, &s->metrics));
    for (size_t i = 0; i < s->n_fronts; i++) s->fronts[i].lane = sp_metrics_lane(s->metrics, i);
    return SP_SUCCESS;
}

/* ---- loops ---- */

static sp_status make_api(struct server *s, struct front *f) {
    sp_slice origins[SP_ORIGINS_MAX], cors[SP_ORIGINS_MAX], proxies[SP_PROXIES_MAX];
    size_t n_origins = 0, n_cors = 0, n_proxies = 0;
    SP_TRY(sp_wire_say(words_of(slice(s, SP_CFG_server_public_origins), SP_ORIGINS_MAX, origins, &n_origins),
                       "server.public_origins", "Too many of them."));
    SP_TRY(sp_wire_say(words_of(slice(s, SP_CFG_server_cors_origins), SP_ORIGINS_MAX, cors, &n_cors),
                       "server.cors_origins", "Too many of them."));
    SP_TRY(sp_wire_say(words_of(slice(s, SP_CFG_server_trusted_proxies), SP_PROXIES_MAX, proxies, &n_proxies),
                       "server.trusted_proxies", "Too many of them."));
    const struct sp_http_api_config config = {
        .public_origins = origins,
        .n_public_origins = n_origins,
        .cors_origins = cors,
        .n_cors_origins = n_cors,
        .trusted_proxies = proxies,
        .n_trusted_proxies = n_proxies,
        .hsts_max_age_s = number(s, SP_CFG_server_hsts_max_age),
        .log = s->log,
        .seen = sp_metrics_seen,
        .seen_arg = f->lane,
        .request_log = (enum sp_http_request_log)number(s, SP_CFG_log_requests), /* in config.def's order */
        .metrics = write_metrics,
        .metrics_arg = f,
        .random = sp_random_system};
    return sp_http_api_new(s->app, &config, &f->api);
}

/* A loop's share; the kernel spreads the connections of one address over the loops. */
static size_t per_address_max(const struct server *s) {
    const size_t max = (size_t)number(s, SP_CFG_server_connections_per_address);
    return max == 0 ? 0 : (max + s->n_fronts - 1) / s->n_fronts;
}

static sp_status open_front(struct server *s, struct front *f) {
    f->server = s;
    SP_TRY(sp_loop_new(NULL, &f->loop));
    SP_TRY(make_api(s, f));
    const struct sp_http_opts opts = {.on_request = sp_http_api_on_request,
                                      .arg = f->api,
                                      .connections_max =
                                          (size_t)number(s, SP_CFG_server_connections_max) / s->n_fronts + 1,
                                      .connections_per_address_max = per_address_max(s),
                                      .handshake_deadline_ms = number(s, SP_CFG_server_header_timeout),
                                      .header_deadline_ms = number(s, SP_CFG_server_header_timeout),
                                      .body_deadline_ms = number(s, SP_CFG_server_body_timeout),
                                      .idle_ms = number(s, SP_CFG_server_idle_timeout)};
    SP_TRY(sp_http_server_new(f->loop, &opts, &f->http));
    return listen_public(s, f);
}

static sp_status listen_metrics(struct server *s, struct front *f) {
    int fd = -1;
    const char *listen = text(s, SP_CFG_server_metrics_listen);
    if (listen[0] == 0) return SP_SUCCESS;
    SP_TRY(bind_to("server.metrics_listen", listen, false, &fd));
    sp_status status = sp_http_server_listen(f->http, fd, sp_http_listener_metrics);
    if (!sp_ok(status)) close(fd);
    return status;
}

/* HOST:PORT of an inherited socket, in numbers. */
static void name_of_inherited(const struct server *s, char *ret, size_t cap) {
    for (size_t i = 0; i < s->inherited.n; i++) {
        struct sockaddr_storage ss = {0};
        socklen_t n = sizeof(ss);
        char host[64], port[8];
        if (s->inherited.sockets[i].admin) continue;
        if (getsockname(s->inherited.sockets[i].fd, (struct sockaddr *)&ss, &n) != 0 ||
            getnameinfo((struct sockaddr *)&ss, n, host, sizeof(host), port, sizeof(port),
                        NI_NUMERICHOST | NI_NUMERICSERV) != 0)
            continue;
        snprintf(ret, cap, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
        return;
    }
}

static void find_name(struct server *s) {
    snprintf(s->listening_on, sizeof(s->listening_on), "%s", text(s, SP_CFG_server_listen));
    if (count_inherited(s, false) == 0) return;
    name_of_inherited(s, s->listening_on, sizeof(s->listening_on));
    if (strcmp(s->config->values[SP_CFG_tokens_issuer].source, "from server.listen") == 0)
        SP_LOG(&s->log, SP_LOG_WARN, "issuer_not_configured",
               SP_LOGF_TEXT("issuer", slice(s, SP_CFG_tokens_issuer)),
               SP_LOGF_TEXT("mend", SP_SLICE_LIT("server.listen is not used here: set tokens.issuer")));
}

sp_status sp_wire_fronts_open(struct server *s) {
    s->n_fronts = (size_t)number(s, SP_CFG_server_threads);
    SP_TRY(make_lanes(s));
    for (size_t i = 0; i < s->n_fronts; i++) SP_TRY(open_front(s, &s->fronts[i]));
    SP_TRY(listen_metrics(s, &s->fronts[0]));
    SP_TRY(listen_admin(s, &s->fronts[0]));
    find_name(s);
    sp_inherited_done(&s->inherited); /* every loop has its own copy */
    return SP_SUCCESS;
}
