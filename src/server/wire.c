/* Builds the server from the inside out, runs it, and takes it apart in the opposite order.
 *
 *   store -> keys -> verifier, hash pool -> app -> loops with their HTTP servers -> keeper
 *
 * One struct holds it all, so that every way out of starting up is the same way down. What goes wrong while
 * starting is said in a sentence with the setting that would mend it; what goes wrong later is the log's. */
#include "server/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/app.h"
#include "crypto/sig.h"
#include "http/api.h"
#include "server/authn.h"
#include "server/boot_mark.h"
#include "server/hashpool.h"
#include "server/log.h"
#include "server/masterkey.h"
#include "store/sqlite.h"

enum {
    CACHE_BYTES =
        64 * 1024 * 1024, /* verified tokens, filled as they come: 80,000 of 600 bytes with their claims */
    PATH_BYTES = 1280,
};

struct front {
    struct sp_loop *loop;
    struct sp_http_server *http;
    struct sp_http_api *api;
    pthread_t thread;
    bool started;
    struct server *server;
    struct sp_task drain;
};

struct server {
    const struct sp_config *config;
    struct sp_log_sink sink;
    struct sp_log log;
    struct sp_store *store;
    struct sp_reclaim *reclaim;
    struct sp_verifier *verifier;
    struct sp_authn_local *authn;
    struct sp_hashpool *hashpool;
    struct sp_app *app;
    struct sp_loop_timer tick;
    bool draining;
    size_t n_fronts;
    struct front fronts[64]; /* server.threads ends there */
};

static sp_status say(sp_status s, const char *what, const char *how_to_mend) {
    if (!sp_ok(s)) fprintf(stderr, "sallyport: %s: %s. %s\n", what, sp_code_name(s.code), how_to_mend);
    return s;
}

static const char *text(const struct server *s, enum sp_config_key key) {
    return sp_config_text(s->config, key);
}
static int64_t number(const struct server *s, enum sp_config_key key) {
    return sp_config_number(s->config, key);
}
static sp_slice slice(const struct server *s, enum sp_config_key key) {
    return sp_slice_cstr(text(s, key));
}

/* ---- log, data, store, keys ---- */

static void open_log(struct server *s) {
    bool plain = strcmp(text(s, SP_CFG_log_format), "plain") == 0 ||
                 (strcmp(text(s, SP_CFG_log_format), "auto") == 0 && isatty(STDERR_FILENO));
    s->sink = (struct sp_log_sink){.fd = STDERR_FILENO,
                                   .format = plain ? SP_LOG_PLAIN : SP_LOG_JSON,
                                   .least = SP_LOG_INFO,
                                   .clock = sp_clock_system};
    sp_assert(sp_log_level_parse(text(s, SP_CFG_log_level), &s->sink.least)); /* the table allows no other */
    s->log = sp_log_sink_port(&s->sink);
}

static sp_status open_data(const char *dir) {
    struct stat st;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return sp_err(SP_E_IO);
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) return sp_err(SP_E_IO);
    return (st.st_mode & 077) == 0 ? SP_SUCCESS : sp_err(SP_E_REFUSED);
}

static sp_status open_store(struct server *s) {
    const char *dir = text(s, SP_CFG_server_data);
    SP_TRY(say(open_data(dir), dir,
               "The data directory must be a directory of this user with mode 0700 (server.data)."));
    const struct sp_sqlite_opts opts = {.dir = dir, .log = s->log};
    return say(sp_store_sqlite_open(&opts, &s->store), dir,
               "The store cannot be opened; `conflict` means that another server is using it.");
}

static sp_status store_has_keys(struct server *s, bool *ret) {
    struct sp_store_read read = {
        .kind = SP_READ_KEYS, .tenant = SP_TENANT_DEFAULT, .limit = SP_READ_PAGE_MAX};
    sp_status status = sp_store_read_wait(s->store, &read);
    if (sp_ok(status)) *ret = read.ret.n != 0;
    sp_store_read_done(&read);
    return status;
}

static sp_status load_master_key(struct server *s, uint8_t key[SP_MASTER_KEY_BYTES]) {
    const char *path = text(s, SP_CFG_keys_master_key_file);
    bool has_keys = true;
    enum sp_master_key_origin origin;
    SP_TRY(say(store_has_keys(s, &has_keys), "reading the keys", "The store does not answer."));
    SP_TRY(say(
        sp_master_key_load(path, !has_keys, &sp_random_system, key, &origin), path,
        "The master key (keys.master_key_file or SALLYPORT_MASTER_KEY) must be 43 characters of base64url in "
        "a file "
        "that only its owner can read; without the one that sealed them, the stored keys cannot be used."));
    if (origin == SP_MASTER_KEY_MADE)
        SP_LOG(&s->log, SP_LOG_WARN, "master_key_made", SP_LOGF_TEXT("file", sp_slice_cstr(path)));
    return SP_SUCCESS;
}

/* ---- verifier, hashing, app ---- */

static sp_status open_verifier(struct server *s) {
    SP_TRY(sp_reclaim_new(SP_RECLAIM_READERS_MAX, &s->reclaim));
    const struct sp_verifier_opts opts = {.issuer = slice(s, SP_CFG_tokens_issuer),
                                          .audience = slice(s, SP_CFG_tokens_audience),
                                          .alg_mask = SP_ALG_ALL,
                                          .cache_bytes = CACHE_BYTES,
                                          .reclaim = s->reclaim,
                                          .random = &sp_random_system};
    SP_TRY(sp_verifier_new(&opts, &s->verifier));
    SP_TRY(sp_authn_local_new(s->verifier, &s->authn));
    const struct sp_password_params params = {.m_kib = (uint32_t)number(s, SP_CFG_passwords_memory_kib),
                                              .t = (uint32_t)number(s, SP_CFG_passwords_passes),
                                              .p = 1};
    return sp_hashpool_new(&params, (uint32_t)number(s, SP_CFG_passwords_threads),
                           (uint32_t)number(s, SP_CFG_passwords_queue), &s->hashpool);
}

static sp_status app_config(const struct server *s, struct sp_app_config *ret) {
    struct sp_app_config c = {
        .access_ttl_s = number(s, SP_CFG_tokens_access_ttl),
        .idle_ttl_s = number(s, SP_CFG_sessions_idle_ttl),
        .absolute_ttl_s = number(s, SP_CFG_sessions_absolute_ttl),
        .grace_ms = number(s, SP_CFG_sessions_grace),
        .sessions_max = (uint32_t)number(s, SP_CFG_sessions_max_per_user),
        .embed_permissions = number(s, SP_CFG_tokens_embed_permissions) != 0,
        .key_rotate_every_s = number(s, SP_CFG_keys_rotate_every),
        .key_announce_s = number(s, SP_CFG_keys_announce),
        .end_kept_s = number(s, SP_CFG_sessions_end_kept),
    };
    static const enum sp_reuse_policy policies[] = {SP_REUSE_SESSION, SP_REUSE_USER, SP_REUSE_REPORT};
    c.reuse = policies[number(s, SP_CFG_sessions_reuse_policy)]; /* in config.def's order */
    SP_TRY(SP_TEXT_SET(&c.issuer, slice(s, SP_CFG_tokens_issuer)));
    SP_TRY(SP_TEXT_SET(&c.audience, slice(s, SP_CFG_tokens_audience)));
    SP_TRY(SP_TEXT_SET(&c.client_id, slice(s, SP_CFG_tokens_client_id)));
    SP_TRY(sp_alg_from_name(slice(s, SP_CFG_tokens_alg), &c.alg));
    *ret = c;
    return SP_SUCCESS;
}

static sp_status open_app(struct server *s) {
    struct sp_app_config config;
    uint8_t master_key[SP_MASTER_KEY_BYTES];
    SP_TRY(app_config(s, &config));
    SP_TRY(sp_boot_mark_read(text(s, SP_CFG_server_data), &config.expected_boots));
    SP_TRY(load_master_key(s, master_key));
    const struct sp_app_deps deps = {.store = s->store,
                                     .clock = sp_clock_system,
                                     .random = sp_random_system,
                                     .log = s->log,
                                     .authn = sp_authn_local_port(s->authn),
                                     .hasher = sp_hashpool_port(s->hashpool),
                                     .revoked = sp_verifier_revoke_set(s->verifier),
                                     .epochs = sp_verifier_epochs(s->verifier),
                                     .reclaim = s->reclaim,
                                     .master_key = SP_SLICE_ARRAY(master_key)};
    sp_status status = sp_app_open(&config, &deps, &s->app);
    sp_wipe(master_key, sizeof(master_key));
    SP_TRY(say(status, "opening the store's keys and revocations",
               "`crypto_failed` means that the master key is not the one that sealed them."));
    return sp_boot_mark_write(text(s, SP_CFG_server_data), sp_app_boots(s->app));
}

/* ---- loops ---- */

static sp_status split_listen(const char *listen, char host[256], uint16_t *ret_port) {
    const char *colon = strrchr(listen, ':');
    uint64_t port;
    if (colon == NULL || !sp_slice_to_u64(sp_slice_cstr(colon + 1), &port) || port > 65535)
        return sp_err(SP_E_MALFORMED);
    bool brackets = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']';
    snprintf(host, 256, "%.*s", (int)(colon - listen) - 2 * brackets, listen + brackets);
    *ret_port = (uint16_t)port;
    return SP_SUCCESS;
}

static sp_status listen_tcp(struct server *s, struct front *f) {
    char host[256];
    uint16_t port;
    int fd;
    const char *listen = text(s, SP_CFG_server_listen);
    SP_TRY(say(split_listen(listen, host, &port), listen, "server.listen is HOST:PORT."));
    SP_TRY(say(sp_http_listen_tcp(host, port, s->n_fronts > 1, &fd), listen,
               "`conflict` means that something else listens there (server.listen)."));
    sp_status status = sp_http_server_listen(f->http, fd, sp_http_listener_public);
    if (!sp_ok(status)) close(fd);
    return status;
}

static sp_status listen_admin(struct server *s, struct front *f) {
    char path[PATH_BYTES];
    int fd;
    snprintf(path, sizeof(path), "%s/admin.sock", text(s, SP_CFG_server_data));
    SP_TRY(say(sp_http_listen_unix(path, 0600, &fd), path,
               "`limit_exceeded`: choose a shorter path for server.data."));
    sp_status status = sp_http_server_listen(f->http, fd, sp_http_listener_admin);
    if (!sp_ok(status)) close(fd);
    return status;
}

static sp_status make_api(struct server *s, struct front *f) {
    sp_slice origins[SP_ORIGINS_MAX], list = slice(s, SP_CFG_server_public_origins);
    size_t n = 0;
    while (n < SP_ORIGINS_MAX && sp_words_next(&list, &origins[n])) n++;
    if (list.n != 0) return say(sp_err(SP_E_LIMIT), "server.public_origins", "Too many of them.");
    const struct sp_http_api_config config = {
        .public_origins = origins, .n_public_origins = n, .log = s->log, .random = sp_random_system};
    return sp_http_api_new(s->app, &config, &f->api);
}

static sp_status open_front(struct server *s, struct front *f) {
    f->server = s;
    SP_TRY(sp_loop_new(NULL, &f->loop));
    SP_TRY(make_api(s, f));
    const struct sp_http_opts opts = {.on_request = sp_http_api_on_request,
                                      .arg = f->api,
                                      .connections_max =
                                          (size_t)number(s, SP_CFG_server_connections_max) / s->n_fronts + 1,
                                      .header_deadline_ms = number(s, SP_CFG_server_header_timeout),
                                      .body_deadline_ms = number(s, SP_CFG_server_body_timeout),
                                      .idle_ms = number(s, SP_CFG_server_idle_timeout)};
    SP_TRY(sp_http_server_new(f->loop, &opts, &f->http));
    return listen_tcp(s, f);
}

static sp_status open_fronts(struct server *s) {
    s->n_fronts = (size_t)number(s, SP_CFG_server_threads);
    for (size_t i = 0; i < s->n_fronts; i++) SP_TRY(open_front(s, &s->fronts[i]));
    return listen_admin(s, &s->fronts[0]);
}

/* ---- keeper: the timer of housekeeping, and signals; both on the first loop ---- */

static void on_tick(struct sp_loop_timer *timer) {
    struct server *s = SP_CONTAINER_OF(timer, struct server, tick);
    struct sp_loop *loop = s->fronts[0].loop;
    if (s->draining) return;
    sp_app_tick(s->app, sp_loop_executor(loop));
    sp_verifier_tick(s->verifier, sp_loop_wall_ms(loop) / 1000);
    sp_loop_timer_start(&s->tick, SP_TICK_MS);
}

static void front_drained(void *arg) {
    struct front *f = arg;
    sp_loop_stop(f->loop);
}

static void drain_front(struct sp_task *task) {
    struct front *f = SP_CONTAINER_OF(task, struct front, drain);
    sp_http_server_drain(f->http, SP_DRAIN_MS, front_drained, f);
}

static void on_stop_signal(void *arg, int signo) {
    struct server *s = arg;
    if (s->draining) return;
    s->draining = true;
    SP_LOG(&s->log, SP_LOG_INFO, "server_stopping", SP_LOGF_I64("signal", signo));
    for (size_t i = 0; i < s->n_fronts; i++) {
        s->fronts[i].drain.run = drain_front;
        sp_executor_post(sp_loop_executor(s->fronts[i].loop), &s->fronts[i].drain);
    }
}

static void *front_thread(void *arg) {
    struct front *f = arg;
    SP_IGNORE(sp_loop_run(f->loop)); /* fails only when the kernel refuses to poll; the first loop says so */
    return NULL;
}

static sp_status start_threads(struct server *s) {
    for (size_t i = 1; i < s->n_fronts; i++) {
        if (pthread_create(&s->fronts[i].thread, NULL, front_thread, &s->fronts[i]) != 0)
            return sp_err(SP_E_UNAVAILABLE);
        s->fronts[i].started = true;
    }
    return SP_SUCCESS;
}

static void greet(const struct server *s) {
    const char *listen = text(s, SP_CFG_server_listen), *data = text(s, SP_CFG_server_data);
    SP_LOG(&s->log, SP_LOG_INFO, "server_ready", SP_LOGF_TEXT("listen", sp_slice_cstr(listen)),
           SP_LOGF_TEXT("data", sp_slice_cstr(data)), SP_LOGF_TEXT("version", sp_slice_cstr(SP_VERSION)));
    printf("Sallyport listens on http://%s, its data is in %s.\nTry, in another terminal:\n\n"
           "  build/sallyport --data %s user add alice\n"
           "  curl -s http://%s/auth/login -H 'Content-Type: application/json' \\\n"
           "       -d '{\"username\":\"alice\",\"password\":\"THE PASSWORD\"}'\n"
           "  build/sallyport --data %s session list\n\n",
           listen, data, data, listen, data);
    fflush(stdout);
}

static sp_status run(struct server *s) {
    struct front *first = &s->fronts[0];
    SP_TRY(sp_loop_on_signal(first->loop, SIGTERM, on_stop_signal, s));
    SP_TRY(sp_loop_on_signal(first->loop, SIGINT, on_stop_signal, s));
    SP_TRY(start_threads(s));
    sp_loop_timer_init(&s->tick, first->loop, on_tick);
    sp_loop_timer_start(&s->tick, 0);
    greet(s);
    return sp_loop_run(first->loop);
}

/* ---- down ---- */

static void join_threads(struct server *s) {
    for (size_t i = 1; i < s->n_fronts; i++) {
        if (!s->fronts[i].started) continue;
        sp_loop_stop(s->fronts[i].loop); /* drained already, or starting up failed */
        pthread_join(s->fronts[i].thread, NULL);
    }
}

static void close_server(struct server *s) {
    join_threads(s);
    if (s->tick.run != NULL) sp_loop_timer_cancel(&s->tick);
    for (size_t i = 0; i < s->n_fronts; i++) {
        sp_http_server_free(s->fronts[i].http);
        sp_http_api_free(s->fronts[i].api);
    }
    sp_app_free(s->app); /* waits for its own work in the background, so the store is still there */
    sp_store_close(s->store);
    sp_hashpool_free(s->hashpool);
    for (size_t i = 0; i < s->n_fronts; i++) sp_loop_free(s->fronts[i].loop);
    sp_authn_local_free(s->authn);
    sp_verifier_free(s->verifier);
    sp_reclaim_free(s->reclaim);
}

static sp_status start_and_run(struct server *s) {
    SP_TRY(open_store(s));
    SP_TRY(open_verifier(s));
    SP_TRY(open_app(s));
    SP_TRY(open_fronts(s));
    return run(s);
}

sp_status sp_server_run(const struct sp_config *config) {
    struct server *s = calloc(1, sizeof(*s));
    if (s == NULL) return say(sp_err(SP_E_NOMEM), "starting", "");
    s->config = config;
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    open_log(s);
    sp_status status = start_and_run(s);
    close_server(s);
    SP_LOG(&s->log, SP_LOG_INFO, "server_stopped",
           SP_LOGF_TEXT("status", sp_slice_cstr(sp_code_name(status.code))));
    free(s);
    return status;
}
