/* Builds the server from the inside out, runs it, and takes it apart in the opposite order.
 *
 *   store -> keys -> verifier, hash pool -> app -> loops with their HTTP servers -> keeper
 *
 * One struct holds it all, so that every way out of starting up is the same way down. What goes wrong while
 * starting is said in a sentence with the setting that would mend it; what goes wrong later is the log's. */
#include "server/wire_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
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
#include "server/last_exit.h"
#include "server/masterkey.h"
#include "store/sqlite.h"

enum {
    CACHE_BYTES =
        64 * 1024 * 1024,   /* verified tokens, filled as they come: 80,000 of 600 bytes with their claims */
    BEATS_PER_WATCHDOG = 3, /* one may be late without harm */
};

sp_status sp_wire_say(sp_status s, const char *what, const char *how_to_mend) {
    if (!sp_ok(s)) fprintf(stderr, "sallyport: %s: %s. %s\n", what, sp_code_name(s.code), how_to_mend);
    return s;
}

/* ---- log, data, store, keys ---- */

void sp_wire_set_log(struct server *s) {
    bool plain = strcmp(text(s, SP_CFG_log_format), "plain") == 0 ||
                 (strcmp(text(s, SP_CFG_log_format), "auto") == 0 && isatty(STDERR_FILENO));
    enum sp_log_level least = SP_LOG_INFO;
    sp_assert(sp_log_level_parse(text(s, SP_CFG_log_level), &least)); /* the table allows no other */
    atomic_store(&s->sink.format, plain ? SP_LOG_PLAIN : SP_LOG_JSON);
    atomic_store(&s->sink.least, least);
}

static void open_log(struct server *s) {
    s->sink.fd = STDERR_FILENO;
    s->sink.clock = sp_clock_system;
    sp_wire_set_log(s);
    s->log = sp_log_sink_port(&s->sink);
}

/* ---- what we were given ---- */

sp_status sp_server_check(const struct sp_config *config, char error[SP_CONFIG_ERROR_BYTES]) {
    struct sp_tls *tls = NULL;
    SP_TRY(sp_wire_load_tls(config, error, &tls));
    sp_tls_unref(tls);
    return SP_SUCCESS;
}

/* Before the store: a refusal here has touched nothing. */
static sp_status take_given(struct server *s) {
    char error[SP_CONFIG_ERROR_BYTES] = "";
    sp_status status = sp_inherited_take(&s->inherited, error);
    if (sp_ok(status)) status = sp_wire_load_tls(s->config, error, &s->tls);
    if (!sp_ok(status)) fprintf(stderr, "sallyport: %s\n", error);
    return status;
}

/* NULL, or why not, for people. */
static const char *why_not_data(const char *dir) {
    struct stat st;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return strerror(errno);
    if (stat(dir, &st) != 0) return strerror(errno);
    if (!S_ISDIR(st.st_mode)) return strerror(ENOTDIR);
    if (st.st_uid != geteuid()) return "it belongs to another user: run as that user";
    return (st.st_mode & 077) == 0 ? NULL : "others than its owner may use it: its mode must be 0700";
}

static sp_status open_data(const char *dir) {
    const char *why = why_not_data(dir);
    if (why == NULL) return SP_SUCCESS;
    fprintf(stderr,
            "sallyport: %s: %s. The data directory (server.data, --data) is a directory of this user with "
            "mode 0700; it is made when it is missing, not what it lies in.\n",
            dir, why);
    return sp_err(SP_E_REFUSED);
}

static sp_status open_store(struct server *s) {
    const char *dir = text(s, SP_CFG_server_data);
    SP_TRY(open_data(dir));
    const struct sp_sqlite_opts opts = {.dir = dir, .log = s->log};
    return sp_wire_say(sp_store_sqlite_open(&opts, &s->store), dir,
                       "The store cannot be opened; `busy` means that another server is using it.");
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
    SP_TRY(sp_wire_say(store_has_keys(s, &has_keys), "reading the keys", "The store does not answer."));
    SP_TRY(sp_wire_say(
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
    SP_TRY(sp_hashpool_new(&params, (uint32_t)number(s, SP_CFG_passwords_threads),
                           (uint32_t)number(s, SP_CFG_passwords_queue), &s->hashpool));
    sp_wire_dictionary_open(s);
    const struct sp_deliver_opts deliver = {.ca_file = text(s, SP_CFG_oauth_backchannel_ca_file),
                                            .log = s->log};
    return sp_deliverer_new(&deliver, &s->deliverer);
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
        .audit_refresh = number(s, SP_CFG_audit_refresh) != 0,
        .audit_keep_s = number(s, SP_CFG_audit_keep_days) * 86400,
        .dpop_nonce = number(s, SP_CFG_oauth_dpop_nonce) != 0,
    };
    static const enum sp_reuse_policy policies[] = {SP_REUSE_SESSION, SP_REUSE_USER, SP_REUSE_REPORT};
    c.reuse = policies[number(s, SP_CFG_sessions_reuse_policy)]; /* in config.def's order */
    SP_TRY(SP_TEXT_SET(&c.issuer, slice(s, SP_CFG_tokens_issuer)));
    SP_TRY(SP_TEXT_SET(&c.audience, slice(s, SP_CFG_tokens_audience)));
    SP_TRY(SP_TEXT_SET(&c.client_id, slice(s, SP_CFG_tokens_client_id)));
    SP_TRY(sp_alg_from_name(slice(s, SP_CFG_tokens_alg), &c.alg));
    SP_TRY(sp_wire_limits(s, &c));
    *ret = c;
    return SP_SUCCESS;
}

static sp_status open_app(struct server *s) {
    struct sp_app_config config;
    uint8_t master_key[SP_MASTER_KEY_BYTES];
    SP_TRY(app_config(s, &config));
    struct sp_boot_mark mark;
    SP_TRY(sp_wire_say(sp_boot_mark_read(text(s, SP_CFG_server_data), &mark), "reading the mark `boots`",
                       "It lies in the data directory and holds two numbers."));
    config.expected_boots = mark.boots;
    config.expected_audit_count = mark.audit_count;
    SP_TRY(load_master_key(s, master_key));
    const struct sp_app_deps deps = {.store = s->store,
                                     .clock = sp_clock_system,
                                     .random = sp_random_system,
                                     .log = s->log,
                                     .authn = sp_authn_local_port(s->authn),
                                     .hasher = sp_hashpool_port(s->hashpool),
                                     .deliver = sp_deliverer_port(s->deliverer),
                                     .revoked = sp_verifier_revoke_set(s->verifier),
                                     .epochs = sp_verifier_epochs(s->verifier),
                                     .reclaim = s->reclaim,
                                     .master_key = SP_SLICE_ARRAY(master_key)};
    sp_status status = sp_app_open(&config, &deps, &s->app);
    sp_wipe(master_key, sizeof(master_key));
    SP_TRY(
        sp_wire_say(status, "opening the store's keys and revocations",
                    "`crypto_failed` means that the master key is not the one that sealed them; `conflict`, "
                    "that a client is registered under the id in tokens.client_id."));
    return sp_wire_say(sp_marker_new(text(s, SP_CFG_server_data), s->store, s->log, &s->marker),
                       "writing the mark `boots`", "It must be possible to write to the data directory.");
}

/* ---- keeper: the timer of housekeeping, and signals; both on the first loop ---- */

static void on_tick(struct sp_loop_timer *timer) {
    struct server *s = SP_CONTAINER_OF(timer, struct server, tick);
    struct sp_loop *loop = s->fronts[0].loop;
    if (s->draining) return;
    sp_app_tick(s->app, sp_loop_executor(loop));
    sp_verifier_tick(s->verifier, sp_app_forget_ms(s->app) / 1000);
    sp_wire_watch_tls(s, sp_loop_wall_ms(loop) / 1000);
    sp_loop_timer_start(&s->tick, SP_TICK_MS);
}

static void on_alive(void *arg) {
    struct server *s = arg;
    sp_notify(&s->notify, "WATCHDOG=1");
}

static sp_status start_heartbeat(struct server *s) {
    const int64_t us = sp_notify_watchdog_us();
    if (us == 0) return SP_SUCCESS;
    struct sp_loop *loops[SP_THREADS_MAX];
    for (size_t i = 0; i < s->n_fronts; i++) loops[i] = s->fronts[i].loop;
    const int64_t every_ms = us / 1000 / BEATS_PER_WATCHDOG;
    return sp_heartbeat_new(loops, s->n_fronts, s->store, every_ms > 0 ? every_ms : 1, on_alive, s,
                            &s->heartbeat);
}

static void front_drained(void *arg) {
    struct front *f = arg;
    sp_loop_stop(f->loop);
}

static void drain_front(struct sp_task *task) {
    struct front *f = SP_CONTAINER_OF(task, struct front, drain);
    sp_http_api_drain(f->api);
    sp_http_server_drain(f->http, SP_DRAIN_MS, front_drained, f);
}

/* Who still waits for his turn would not get it before the end. */
static void on_hash_limit(struct sp_loop_timer *timer) {
    sp_hashpool_stop(SP_CONTAINER_OF(timer, struct server, hash_limit)->hashpool);
}

static void on_stop_signal(void *arg, int signo) {
    struct server *s = arg;
    if (s->draining) return;
    s->draining = true;
    sp_last_exit_arm();
    sp_notify(&s->notify, "STOPPING=1\nSTATUS=Finishing what is in flight");
    sp_loop_timer_start(&s->hash_limit, SP_DRAIN_HASH_MS);
    SP_LOG(&s->log, SP_LOG_INFO, "server_stopping", SP_LOGF_I64("signal", signo));
    for (size_t i = 0; i < s->n_fronts; i++) {
        s->fronts[i].drain.run = drain_front;
        sp_executor_post(sp_loop_executor(s->fronts[i].loop), &s->fronts[i].drain);
    }
}

static void on_reload_signal(void *arg, int signo) {
    struct server *s = arg;
    (void)signo;
    if (!s->draining) sp_wire_reload(s);
}

static void *front_thread(void *arg) {
    struct front *f = arg;
    SP_IGNORE(sp_loop_run(f->loop)); /* fails only when the kernel refuses to poll; the first loop says so */
    return NULL;
}

static sp_status start_threads(struct server *s) {
    for (size_t i = 0; i < s->n_fronts; i++) {
        sp_loop_timer_init(&s->fronts[i].sample, s->fronts[i].loop, sp_wire_on_sample);
        sp_loop_timer_start(&s->fronts[i].sample, 0);
    }
    for (size_t i = 1; i < s->n_fronts; i++) {
        if (pthread_create(&s->fronts[i].thread, NULL, front_thread, &s->fronts[i]) != 0)
            return sp_err(SP_E_UNAVAILABLE);
        s->fronts[i].started = true;
    }
    return SP_SUCCESS;
}

static void greet(const struct server *s) {
    const char *listen = s->listening_on, *data = text(s, SP_CFG_server_data);
    const char *scheme = s->tls == NULL ? "http" : "https", *program = program_invocation_name;
    SP_LOG(&s->log, SP_LOG_INFO, "server_ready", SP_LOGF_TEXT("listen", sp_slice_cstr(listen)),
           SP_LOGF_TEXT("scheme", sp_slice_cstr(scheme)), SP_LOGF_TEXT("data", sp_slice_cstr(data)),
           SP_LOGF_TEXT("version", sp_slice_cstr(SP_VERSION)));
    if (!isatty(STDOUT_FILENO)) return; /* a supervisor has the log */
    printf("Sallyport listens on %s://%s, its data is in %s.\nTry, in another terminal:\n\n"
           "  %s --data %s user add alice\n"
           "  curl -s %s://%s/auth/login -H 'Content-Type: application/json' \\\n"
           "       -d '{\"username\":\"alice\",\"password\":\"THE PASSWORD\"}'\n"
           "  %s --data %s session list\n\n",
           scheme, listen, data, program, data, scheme, listen, program, data);
    fflush(stdout);
}

static sp_status run(struct server *s) {
    struct front *first = &s->fronts[0];
    SP_TRY(sp_loop_on_signal(first->loop, SIGTERM, on_stop_signal, s));
    SP_TRY(sp_loop_on_signal(first->loop, SIGINT, on_stop_signal, s));
    SP_TRY(sp_loop_on_signal(first->loop, SIGHUP, on_reload_signal, s));
    sp_loop_timer_init(&s->hash_limit, first->loop, on_hash_limit);
    SP_TRY(start_heartbeat(s));
    SP_TRY(start_threads(s));
    sp_loop_timer_init(&s->tick, first->loop, on_tick);
    sp_loop_timer_start(&s->tick, 0);
    greet(s);
    sp_wire_log_tls(s);
    sp_notify(&s->notify, "READY=1\nSTATUS=Serving on %s", s->listening_on);
    return sp_loop_run(first->loop);
}

/* ---- down ---- */

static void join_threads(struct server *s) {
    for (size_t i = 1; i < s->n_fronts; i++) {
        if (!s->fronts[i].started) continue;
        if (!s->draining) sp_loop_stop(s->fronts[i].loop); /* a drained one stops by itself */
        pthread_join(s->fronts[i].thread, NULL);
    }
}

static void close_server(struct server *s) {
    join_threads(s);
    if (s->tick.run != NULL) sp_loop_timer_cancel(&s->tick);
    if (s->hash_limit.run != NULL) sp_loop_timer_cancel(&s->hash_limit);
    for (size_t i = 0; i < s->n_fronts; i++) {
        if (s->fronts[i].sample.run != NULL) sp_loop_timer_cancel(&s->fronts[i].sample);
        sp_http_server_free(s->fronts[i].http);
        sp_http_api_free(s->fronts[i].api);
    }
    sp_deliverer_stop(s->deliverer);
    sp_app_free(s->app); /* waits for its own work in the background, so the store is still there */
    sp_marker_free(s->marker);
    sp_store_close(s->store);
    sp_heartbeat_free(s->heartbeat);
    sp_wire_change_over_free(s->change_over);
    sp_hashpool_free(s->hashpool);
    sp_deliverer_free(s->deliverer);
    sp_dictionary_free(s->dictionary);
    sp_metrics_free(s->metrics);
    for (size_t i = 0; i < s->n_fronts; i++) sp_loop_free(s->fronts[i].loop);
    sp_authn_local_free(s->authn);
    sp_verifier_free(s->verifier);
    sp_reclaim_free(s->reclaim);
    sp_tls_unref(s->tls);
    sp_inherited_done(&s->inherited);
}

static sp_status start_and_run(struct server *s) {
    SP_TRY(take_given(s));
    SP_TRY(open_store(s));
    SP_TRY(open_verifier(s));
    SP_TRY(open_app(s));
    SP_TRY(sp_wire_fronts_open(s));
    return run(s);
}

/* A core file would hold every key and token that we hold. */
static void leave_no_core(void) {
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    (void)setrlimit(RLIMIT_CORE, &none); /* lowering one's own limit is always allowed */
}

sp_status sp_server_run(struct sp_config *config, const struct sp_config_source *source) {
    struct server *s = calloc(1, sizeof(*s));
    if (s == NULL) return sp_wire_say(sp_err(SP_E_NOMEM), "starting", "");
    s->config = config;
    s->source = source;
    sp_notify_open(&s->notify);
    umask(077);
    leave_no_core();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write, not the end */
    open_log(s);
    sp_status status = start_and_run(s);
    close_server(s);
    SP_LOG(&s->log, SP_LOG_INFO, "server_stopped",
           SP_LOGF_TEXT("status", sp_slice_cstr(sp_code_name(status.code))));
    sp_notify_close(&s->notify);
    free(s);
    return status;
}
