/* The transport over libcurl's multi interface. See transport.h.
 *
 * An epoll descriptor holds libcurl's sockets, a timer for whichever is due first (libcurl or the follower),
 * and an event that wakes it. Each exchange has an easy handle of its own, made when it is first needed and
 * used again, so that connections are kept.
 *
 * libcurl's callbacks tell the follower what came; what the follower then wants is carried out after libcurl
 * has returned, since a handle may not be removed inside its own callback.
 *
 * Turned down: HTTP/2 (one stream that never ends and four short ones gain nothing), a request over our own
 * sockets and OpenSSL (name resolution, proxies of TLS, timeouts: all of it would be ours to get right). */
#include "verify/transport.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/assert.h"
#include "base/ip.h"
#include "verify/small_file.h"
#include "verify/transport_cloexec.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    EVENTS_AT_ONCE = 16,
    IDLE_CONNECTIONS_MAX = 4,
    SOCKETS_MAX = 16, /* five exchanges, each trying two addresses, and connections that wait */
    /* Of an answer that is not 2xx, or to a question: read, so that the connection can be kept. What is
     * larger is no proxy's page of an error. */
    ASIDE_BYTES_MAX = 64 * 1024,
    HEADS_BYTES_MAX = 64 * 1024, /* of one answer, interim ones and trailers included: ours are 300 bytes */
    URL_BYTES_MAX = 2048,
    ONE_MOMENT_MS = 100,
};

struct carried {
    struct sp_transport *t;
    enum sp_exchange x;
    CURL *easy;                /* NULL until it is first needed */
    struct curl_slist *fields; /* of the request under way */
    bool is_added, has_begun;
    size_t head_bytes, aside_bytes;
    char error[CURL_ERROR_SIZE];
};

struct sp_transport {
    struct sp_transport_opts opts;
    char *url, *credential_file, *ca_file;
    struct sp_buf credential; /* "NAME:SECRET" with a NUL */
    bool rereads;             /* from the file, before the next request */
    CURLM *multi;
    int epoll, timer, event;
    int64_t curl_due_ms; /* boot-time clock; INT64_MAX: nothing */
    int sockets[SOCKETS_MAX];
    struct carried carried[SP_EXCHANGES];
};

struct sp_now sp_transport_clocks(void) {
    struct sp_now now;
    int64_t after_ms;
    do {
        now.boot_ms = sp_clock_boot_ms(&sp_clock_system);
        now.wall_ms = sp_clock_wall_ms(&sp_clock_system);
        after_ms = sp_clock_boot_ms(&sp_clock_system);
    } while (after_ms - now.boot_ms > ONE_MOMENT_MS);
    return now;
}
static void tell(const struct sp_transport *t, const char *event, const char *detail) {
    if (t->opts.log != NULL) t->opts.log(t->opts.log_arg, event, detail);
}

/* ---- URLs ---- */

static bool has_part(CURLU *u, CURLUPart part) {
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK && text != NULL && *text != 0;
    curl_free(text);
    return has;
}
static sp_status check_parts(CURLU *u) {
    char *scheme = NULL, *host = NULL;
    sp_status s = sp_err(SP_E_MALFORMED);
    if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD)) return s;
    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        if (strcmp(scheme, "https") == 0)
            s = SP_SUCCESS;
        else if (strcmp(scheme, "http") == 0)
            s = sp_host_is_loopback(sp_slice_cstr(host)) ? SP_SUCCESS : sp_err(SP_E_REFUSED);
    }
    curl_free(scheme);
    curl_free(host);
    return s;
}

sp_status sp_transport_url_check(const char *url) {
    if (strlen(url) > URL_BYTES_MAX || strpbrk(url, "?#") != NULL) return sp_err(SP_E_MALFORMED);
    CURLU *u = curl_url();
    if (u == NULL) return sp_err(SP_E_NOMEM);
    CURLUcode c = curl_url_set(u, CURLUPART_URL, url, 0);
    sp_status s = c == CURLUE_OK              ? check_parts(u)
                  : c == CURLUE_OUT_OF_MEMORY ? sp_err(SP_E_NOMEM)
                                              : sp_err(SP_E_MALFORMED);
    curl_url_cleanup(u);
    return s;
}

/* ---- libcurl's callbacks ---- */

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
    struct sp_transport *t = arg;
    (void)purpose;
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    for (size_t i = 0; fd >= 0 && i < SOCKETS_MAX; i++) {
        if (t->sockets[i] >= 0) continue;
        t->sockets[i] = fd;
        return fd;
    }
    if (fd >= 0) (void)close(fd);
    return CURL_SOCKET_BAD;
}
static int on_close_socket(void *arg, curl_socket_t fd) {
    struct sp_transport *t = arg;
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (t->sockets[i] == fd) t->sockets[i] = -1;
    return close(fd);
}

/* Sockets of libcurl's own come here too, to be watched: of the thread that resolves a name. */
static int on_watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known) {
    struct sp_transport *t = arg;
    struct epoll_event e = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(t->epoll, EPOLL_CTL_DEL, fd, NULL);
        (void)curl_multi_assign(t->multi, fd, NULL);
        return 0;
    }
    if ((what & CURL_POLL_IN) != 0) e.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0) e.events |= EPOLLOUT;
    int how = known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    bool set = epoll_ctl(t->epoll, how, fd, &e) == 0;
    /* A number that was closed and given again is not what epoll knew under it. */
    if (!set && (errno == ENOENT || errno == EEXIST))
        set = epoll_ctl(t->epoll, how == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) == 0;
    if (set)
        (void)curl_multi_assign(t->multi, fd, t);
    else
        tell(t, "connection", "a socket cannot be watched: the system has no room");
    return 0; /* what is not watched stands still until its time is over; libcurl crashes on -1 (7.88) */
}
static int on_timer(CURLM *multi, long timeout_ms, void *arg) {
    struct sp_transport *t = arg;
    (void)multi;
    t->curl_due_ms = timeout_ms < 0 ? INT64_MAX : sp_transport_clocks().boot_ms + timeout_ms;
    return 0;
}

static long status_of(const struct carried *c) {
    long status = 0;
    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}
static bool is_success(long status) {
    return status >= 200 && status < 300;
}

/* The empty line that ends a head. */
static size_t on_header(char *p, size_t size, size_t n, void *arg) {
    struct carried *c = arg;
    c->head_bytes += size * n;
    if (c->head_bytes > HEADS_BYTES_MAX) return 0; /* libcurl keeps them all, in old versions without bound */
    if (size * n <= 2 && p[0] != ' ' && is_success(status_of(c)) && !c->has_begun) {
        c->has_begun = true;
        sp_follower_begun(c->t->opts.follower, c->x, sp_transport_clocks());
    }
    return size * n;
}
/* The follower bounds what it keeps; this bounds what is taken off the network for nothing. */
static bool is_aside(const struct carried *c) {
    return c->x == SP_EX_NONCE || c->x == SP_EX_ACK || !is_success(status_of(c));
}
static size_t on_body(char *p, size_t size, size_t n, void *arg) {
    struct carried *c = arg;
    if (is_aside(c)) c->aside_bytes += size * n;
    if (c->aside_bytes > ASIDE_BYTES_MAX) return 0;
    if (!is_success(status_of(c))) return size * n;
    sp_follower_bytes(c->t->opts.follower, c->x, sp_transport_clocks(), sp_slice_of(p, size * n));
    return size * n;
}

/* ---- requests ---- */

#define SET(option, value)                                                                                   \
    do {                                                                                                     \
        if (curl_easy_setopt(c->easy, option, value) != CURLE_OK) return false;                              \
    } while (0)

static bool set_trust(struct carried *c) {
    const struct sp_transport *t = c->t;
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (t->ca_file == NULL) return true;
    SET(CURLOPT_CAINFO, t->ca_file);
    SET(CURLOPT_CAPATH, NULL); /* this one, not this one as well */
    return true;
}
static bool set_callbacks(struct carried *c) {
    struct sp_transport *t = c->t;
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, t);
    SET(CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, t);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, c);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, c);
    SET(CURLOPT_ERRORBUFFER, c->error);
    SET(CURLOPT_PRIVATE, c);
    return true;
}
static bool set_manners(struct carried *c) {
    SET(CURLOPT_NOSIGNAL, 1L);
    /* The thread that asks the name servers, for half a minute when they are silent, is not waited for, by
     * whoever closes as little as by the caller's loop: it cleans up after itself. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_USERAGENT, "libsallyport/0.1");
    return true;
}
static bool make_easy(struct carried *c) {
    if (c->easy != NULL) return true;
    c->easy = curl_easy_init();
    if (c->easy == NULL) return false;
    if (set_trust(c) && set_callbacks(c) && set_manners(c)) return true;
    curl_easy_cleanup(c->easy);
    c->easy = NULL;
    return false;
}

/* The file may have been written anew, with another secret. */
static void reread_credential(struct sp_transport *t) {
    SP_AUTO(sp_buf) fresh = SP_BUF_INIT(SP_CREDENTIAL_BYTES_MAX);
    const char *text;
    if (!t->rereads || t->credential_file == NULL) return;
    t->rereads = false;
    sp_status s = sp_credential_file_read(t->credential_file, &fresh);
    if (!sp_ok(s) || !sp_ok(sp_buf_cstr(&fresh, &text))) {
        tell(t, "credential_unreadable", "the credential file cannot be read again");
        return;
    }
    sp_buf_done(&t->credential);
    t->credential = fresh;
    sp_buf_init(&fresh, 0);
}

static bool add_field(struct carried *c, const char *line) {
    struct curl_slist *more = curl_slist_append(c->fields, line);
    if (more == NULL) return false;
    c->fields = more;
    return true;
}
static bool set_body(struct carried *c, sp_slice body) {
    if (body.n == 0) {
        SET(CURLOPT_HTTPGET, 1L);
        return true;
    }
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE, (long)body.n);
    SET(CURLOPT_COPYPOSTFIELDS, (const char *)body.p);
    return add_field(c, "Content-Type: application/json") && add_field(c, "Expect:");
}
static bool set_request(struct carried *c, const struct sp_follower_command *cmd) {
    char url[URL_BYTES_MAX + 128], field[96];
    const char *credential;
    (void)snprintf(url, sizeof url, "%s%s", c->t->url, cmd->target);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    if (!sp_ok(sp_buf_cstr(&c->t->credential, &credential))) return false;
    SET(CURLOPT_USERPWD, credential);
    if (!set_body(c, cmd->body)) return false;
    if (cmd->last_event_id != NULL) {
        (void)snprintf(field, sizeof field, "Last-Event-ID: %s", cmd->last_event_id);
        if (!add_field(c, field)) return false;
    }
    if (cmd->exchange == SP_EX_STREAM && !add_field(c, "Accept: text/event-stream")) return false;
    SET(CURLOPT_HTTPHEADER, c->fields);
    return true;
}

static void drop_fields(struct carried *c) {
    if (c->easy != NULL) (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(c->fields);
    c->fields = NULL;
}
static void end_request(struct carried *c) {
    if (c->is_added) (void)curl_multi_remove_handle(c->t->multi, c->easy);
    c->is_added = false;
    drop_fields(c);
}

static void start(struct sp_transport *t, const struct sp_follower_command *cmd) {
    struct carried *c = &t->carried[cmd->exchange];
    sp_assert(!c->is_added);
    reread_credential(t);
    c->has_begun = false;
    c->head_bytes = c->aside_bytes = 0;
    c->error[0] = 0;
    if (make_easy(c) && set_request(c, cmd) && curl_multi_add_handle(t->multi, c->easy) == CURLM_OK) {
        c->is_added = true;
        return;
    }
    drop_fields(c);
    tell(t, "no_memory", "a request could not be made");
    sp_follower_ended(t->opts.follower, cmd->exchange, sp_transport_clocks(), SP_OUTCOME_LOST);
}

/* ---- steps ---- */

static enum sp_outcome outcome_of(struct carried *c, CURLcode code) {
    long status = status_of(c);
    if (code != CURLE_OK) {
        tell(c->t, "connection", c->error[0] != 0 ? c->error : curl_easy_strerror(code));
        return SP_OUTCOME_LOST;
    }
    if (is_success(status)) return SP_OUTCOME_DONE;
    char text[64];
    (void)snprintf(text, sizeof text, "the server answered with status %ld", status);
    tell(c->t, "connection", text);
    if (status != 401 && status != 403) return SP_OUTCOME_FAILURE;
    c->t->rereads = true;
    return SP_OUTCOME_DENIED;
}

static void collect_ended(struct sp_transport *t) {
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(t->multi, &left)) != NULL) {
        struct carried *c = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        enum sp_outcome outcome = outcome_of(c, m->data.result);
        end_request(c);
        sp_follower_ended(t->opts.follower, c->x, sp_transport_clocks(), outcome);
    }
}

static void carry_out(struct sp_transport *t) {
    struct sp_follower_command cmd;
    while (sp_follower_next(t->opts.follower, sp_transport_clocks(), &cmd)) {
        if (cmd.verb == SP_FOLLOWER_STOP)
            end_request(&t->carried[cmd.exchange]);
        else
            start(t, &cmd);
    }
}

static void drain(int fd) {
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR) continue;
}

static void look_at_sockets(struct sp_transport *t) {
    struct epoll_event events[EVENTS_AT_ONCE];
    int running, n = epoll_wait(t->epoll, events, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd, what = 0;
        if (fd == t->timer || fd == t->event) {
            drain(fd);
            continue;
        }
        if ((events[i].events & EPOLLIN) != 0) what |= CURL_CSELECT_IN;
        if ((events[i].events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
        if ((events[i].events & (EPOLLERR | EPOLLHUP)) != 0) what |= CURL_CSELECT_ERR;
        (void)curl_multi_socket_action(t->multi, fd, what, &running);
    }
    if (t->curl_due_ms > sp_transport_clocks().boot_ms) return;
    t->curl_due_ms = INT64_MAX;
    (void)curl_multi_socket_action(t->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void arm_timer(struct sp_transport *t) {
    int64_t due_ms = sp_follower_wait_until(t->opts.follower);
    if (t->curl_due_ms < due_ms) due_ms = t->curl_due_ms;
    struct itimerspec at = {.it_value = {0}};
    if (due_ms != INT64_MAX) {
        int64_t ms = due_ms < 1 ? 1 : due_ms; /* zero would disarm it */
        at.it_value = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    }
    sp_assert(timerfd_settime(t->timer, TFD_TIMER_ABSTIME, &at, NULL) == 0);
}

/* OpenSSL writes to sockets that may have been closed: no signal of that may reach the caller's program. */
static bool block_sigpipe(sigset_t *ret_before) {
    sigset_t pipe_only, pending;
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, ret_before);
    return sigismember(&pending, SIGPIPE) == 1;
}
static void unblock_sigpipe(const sigset_t *before, bool was_pending) {
    sigset_t pipe_only;
    const struct timespec at_once = {0};
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    if (!was_pending)
        while (sigtimedwait(&pipe_only, NULL, &at_once) < 0 && errno == EINTR) continue;
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

void sp_transport_step(struct sp_transport *t) {
    sigset_t before;
    bool was_pending = block_sigpipe(&before);
    look_at_sockets(t);
    collect_ended(t);
    sp_follower_tick(t->opts.follower, sp_transport_clocks());
    carry_out(t);
    arm_timer(t);
    unblock_sigpipe(&before, was_pending);
}

int sp_transport_fd(const struct sp_transport *t) {
    return t->epoll;
}
void sp_transport_wake(struct sp_transport *t) {
    const uint64_t one = 1;
    while (write(t->event, &one, sizeof one) < 0 && errno == EINTR) continue;
}

/* ---- life ---- */

static bool globally_ready;
static void global_once(void) {
    globally_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}
sp_status sp_transport_global(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, global_once);
    return globally_ready ? SP_SUCCESS : sp_err(SP_E_NOMEM);
}

static sp_status copy(const char *text, char **ret) {
    if (text == NULL) return SP_SUCCESS;
    char *p = strdup(text);
    if (p == NULL) return sp_err(SP_E_NOMEM);
    *ret = p;
    return SP_SUCCESS;
}
static sp_status copy_opts(struct sp_transport *t, const struct sp_transport_opts *opts) {
    t->opts = *opts;
    sp_buf_init(&t->credential, SP_CREDENTIAL_BYTES_MAX);
    SP_TRY(copy(opts->url, &t->url));
    SP_TRY(copy(opts->credential_file, &t->credential_file));
    SP_TRY(copy(opts->ca_file, &t->ca_file));
    size_t n = strlen(t->url);
    if (n != 0 && t->url[n - 1] == '/') t->url[n - 1] = 0;
    if (opts->credential != NULL) return sp_buf_append_cstr(&t->credential, opts->credential);
    return sp_credential_file_read(t->credential_file, &t->credential);
}

static sp_status watch(struct sp_transport *t, int fd) {
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    return fd >= 0 && epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &e) == 0 ? SP_SUCCESS : sp_err(SP_E_IO);
}
static sp_status open_descriptors(struct sp_transport *t) {
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    t->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    t->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->epoll < 0) return sp_err(SP_E_IO);
    SP_TRY(watch(t, t->timer));
    return watch(t, t->event);
}

static sp_status open_multi(struct sp_transport *t) {
    t->multi = curl_multi_init();
    if (t->multi == NULL) return sp_err(SP_E_NOMEM);
    sp_transport_close_on_exec(t->multi);
    bool set = curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, on_watch_socket) == CURLM_OK &&
               curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t) == CURLM_OK &&
               curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
               curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t) == CURLM_OK &&
               curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX) == CURLM_OK &&
               curl_multi_setopt(t->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK;
    return set ? SP_SUCCESS : sp_err(SP_E_NOMEM);
}

sp_status sp_transport_new(const struct sp_transport_opts *opts, struct sp_transport **ret) {
    SP_TRY(sp_transport_global());
    SP_AUTO_FREE(sp_transport) t = calloc(1, sizeof *t);
    if (t == NULL) return sp_err(SP_E_NOMEM);
    t->epoll = t->timer = t->event = -1;
    t->curl_due_ms = INT64_MAX;
    for (size_t i = 0; i < SOCKETS_MAX; i++) t->sockets[i] = -1;
    for (unsigned x = 0; x < SP_EXCHANGES; x++)
        t->carried[x] = (struct carried){.t = t, .x = (enum sp_exchange)x};
    SP_TRY(copy_opts(t, opts));
    SP_TRY(open_descriptors(t));
    SP_TRY(open_multi(t));
    arm_timer(t);
    *ret = sp_steal(&t);
    return SP_SUCCESS;
}

static void close_descriptor(int fd) {
    if (fd >= 0) (void)close(fd);
}
void sp_transport_free(struct sp_transport *t) {
    if (t == NULL) return;
    sigset_t before;
    bool was_pending = block_sigpipe(&before);
    for (unsigned x = 0; x < SP_EXCHANGES; x++) {
        end_request(&t->carried[x]);
        curl_easy_cleanup(t->carried[x].easy);
    }
    curl_multi_cleanup(t->multi); /* says goodbye on TLS connections that it kept */
    unblock_sigpipe(&before, was_pending);
    close_descriptor(t->timer);
    close_descriptor(t->event);
    close_descriptor(t->epoll);
    sp_buf_done(&t->credential);
    free(t->url);
    free(t->credential_file);
    free(t->ca_file);
    free(t);
}

void sp_transport_abandon(struct sp_transport *t) {
    for (size_t i = 0; i < SOCKETS_MAX; i++) close_descriptor(t->sockets[i]);
    close_descriptor(t->timer);
    close_descriptor(t->event);
    close_descriptor(t->epoll);
}
