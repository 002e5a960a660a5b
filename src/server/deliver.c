#include "server/deliver.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/assert.h"
#include "base/buf.h"
#include "core/client_uri.h"
#include "server/wire.h"

#define LIBRARY "libcurl.so.4"

enum {
    CONNECT_TIMEOUT_MS = 2000,    /* a name, a connection, TLS: what is not there by then is away */
    URL_BYTES_MAX = 1024,         /* a client's is half as long at most */
    ANSWER_BYTES_MAX = 16 * 1024, /* read so that the connection can be kept; of one that says more, not */
    HEADS_BYTES_MAX = 32 * 1024,  /* libcurl keeps them */
    IDLE_CONNECTIONS_MAX = 4,     /* to clients that are told more than once in a minute */
    IDLE_S_MAX = 60,
    WAIT_MS_MAX = 60 * 1000, /* nothing waits for this: we are woken */
};

/* What is used of libcurl, by the types of its headers. */
#define FUNCTIONS(X)                                                                                         \
    X(curl_global_init)                                                                                      \
    X(curl_easy_init)                                                                                        \
    X(curl_easy_cleanup)                                                                                     \
    X(curl_easy_setopt)                                                                                      \
    X(curl_easy_getinfo)                                                                                     \
    X(curl_easy_strerror)                                                                                    \
    X(curl_slist_append)                                                                                     \
    X(curl_slist_free_all)                                                                                   \
    X(curl_multi_init)                                                                                       \
    X(curl_multi_cleanup)                                                                                    \
    X(curl_multi_add_handle)                                                                                 \
    X(curl_multi_remove_handle)                                                                              \
    X(curl_multi_perform)                                                                                    \
    X(curl_multi_poll)                                                                                       \
    X(curl_multi_info_read)                                                                                  \
    X(curl_multi_setopt)

/* Macros of its headers, which check options where the functions themselves are called. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct library {
    void *handle;
#define MEMBER_(name) __typeof__(&name) name;
    FUNCTIONS(MEMBER_)
#undef MEMBER_
};

struct sending {
    struct sp_deliverer *d;
    struct sp_delivery *job;
    CURL *easy;
    struct sending *next; /* in d->under_way */
    size_t head_bytes, body_bytes;
    bool has_answer; /* the head of the final answer is complete */
};

struct sp_deliverer {
    struct sp_executor executor;
    struct sp_log log;
    char *ca_file;
    pthread_t thread;
    int event; /* readable: there is something to look at */

    pthread_mutex_t mutex; /* the next four */
    struct sp_task *tasks, **tasks_tail;
    struct sp_task *jobs, **jobs_tail; /* linked through their tasks */
    bool is_stopping, is_ending;

    /* The thread's own. */
    struct library curl;
    CURLM *multi; /* NULL: libcurl is not loaded */
    struct curl_slist *fields;
    struct sending *under_way;
    bool has_complained;
};

/* ---- libcurl ---- */

static bool find_functions(struct library *l) {
#define FIND_(name)                                                                                          \
    *(void **)(&l->name) = dlsym(l->handle, #name);                                                          \
    if (l->name == NULL) return false;
    FUNCTIONS(FIND_)
#undef FIND_
    return true;
}

/* The library stays loaded whatever happens: threads of it may still be ending. */
static bool load(struct library *l) {
    if (l->handle != NULL) return true;
    struct library fresh = {.handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)};
    if (fresh.handle == NULL) return false;
    if (!find_functions(&fresh) || fresh.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)dlclose(fresh.handle);
        return false;
    }
    *l = fresh;
    return true;
}

bool sp_deliverer_has_library(void) {
    struct library l = {.handle = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL)};
    const bool has = l.handle != NULL && find_functions(&l);
    if (l.handle != NULL) (void)dlclose(l.handle);
    return has;
}

static bool add_field(struct sp_deliverer *d, const char *line) {
    struct curl_slist *more = d->curl.curl_slist_append(d->fields, line);
    if (more != NULL) d->fields = more;
    return more != NULL;
}

/* What every message has. An interim answer is nothing that we would wait for. */
static bool make_fields(struct sp_deliverer *d) {
    if (d->fields != NULL) return true;
    if (add_field(d, "Content-Type: application/x-www-form-urlencoded") && add_field(d, "Expect:") &&
        add_field(d, "Accept:"))
        return true;
    d->curl.curl_slist_free_all(d->fields);
    d->fields = NULL;
    return false;
}

static bool open_library(struct sp_deliverer *d) {
    if (d->multi != NULL) return true;
    const char *why = NULL;
    if (!load(&d->curl))
        why = LIBRARY " cannot be loaded";
    else if (!make_fields(d) || (d->multi = d->curl.curl_multi_init()) == NULL)
        why = "no memory";
    if (why == NULL) {
        (void)d->curl.curl_multi_setopt(d->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
        (void)d->curl.curl_multi_setopt(d->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
        return true;
    }
    if (!d->has_complained)
        SP_LOG(&d->log, SP_LOG_WARN, "delivery_impossible", SP_LOGF_TEXT("reason", sp_slice_cstr(why)));
    d->has_complained = true;
    return false;
}

/* ---- one message ---- */

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
    (void)arg, (void)purpose;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static long status_of(const struct sending *s) {
    long status = 0;
    (void)s->d->curl.curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* The empty line that ends a head. */
static size_t on_header(char *p, size_t size, size_t n, void *arg) {
    struct sending *s = arg;
    (void)size; /* 1 */
    s->head_bytes += n;
    if (s->head_bytes > HEADS_BYTES_MAX) return 0;
    if (n <= 2 && (p[0] == '\r' || p[0] == '\n') && status_of(s) >= 200) s->has_answer = true;
    return n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg) {
    struct sending *s = arg;
    (void)p, (void)size;
    s->body_bytes += n;
    return s->body_bytes > ANSWER_BYTES_MAX ? 0 : n;
}

#define SET(option, value)                                                                                   \
    do {                                                                                                     \
        if (s->d->curl.curl_easy_setopt(s->easy, option, value) != CURLE_OK) return false;                   \
    } while (0)

static bool set_trust(const struct sending *s, bool is_https) {
    const char *ca_file = s->d->ca_file;
    SET(CURLOPT_PROTOCOLS_STR, is_https ? "https" : "http");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (ca_file[0] == 0) return true;
    SET(CURLOPT_CAINFO, ca_file);
    SET(CURLOPT_CAPATH, (char *)NULL); /* this one, not this one as well */
    return true;
}

static bool set_manners(const struct sending *s) {
    SET(CURLOPT_NOSIGNAL, 1L);
    /* The thread that asks the name servers is not waited for when we are done with it. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    SET(CURLOPT_TIMEOUT_MS, (long)s->job->timeout_ms);
    SET(CURLOPT_MAXAGE_CONN, (long)IDLE_S_MAX);
    SET(CURLOPT_USERAGENT, "sallyport/" SP_VERSION);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    return true;
}

static bool set_message(struct sending *s, const char *url) {
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPHEADER, s->d->fields);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE, (long)s->job->body.n);
    SET(CURLOPT_POSTFIELDS, (const char *)s->job->body.p);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, s);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, s);
    SET(CURLOPT_PRIVATE, s);
    return true;
}

static void tell(struct sp_delivery *job, enum sp_delivery_result result, int status, const char *reason) {
    job->result = result;
    job->http_status = status;
    job->reason = reason;
    sp_executor_post(job->executor, &job->task);
}

static void sending_free(struct sending *s) {
    if (s->easy != NULL) s->d->curl.curl_easy_cleanup(s->easy);
    free(s);
}

static bool set_up(struct sending *s, sp_slice url) {
    char text[URL_BYTES_MAX + 1];
    if (url.n > URL_BYTES_MAX) return false;
    memcpy(text, url.p, url.n);
    text[url.n] = 0;
    s->easy = s->d->curl.curl_easy_init();
    return s->easy != NULL && set_trust(s, sp_slice_starts(url, SP_SLICE_LIT("https:"))) && set_manners(s) &&
           set_message(s, text);
}

static void start(struct sp_deliverer *d, struct sp_delivery *job) {
    if (sp_uri_check(job->url, SP_URI_CALL) !=
        SP_URI_OK) { /* rows were checked; the disk is another author */
        tell(job, SP_DELIVERY_FAILED, 0, "not an address that we post to");
        return;
    }
    struct sending *s = open_library(d) ? calloc(1, sizeof(*s)) : NULL;
    if (s != NULL) {
        s->d = d;
        s->job = job;
        if (set_up(s, job->url) && d->curl.curl_multi_add_handle(d->multi, s->easy) == CURLM_OK) {
            s->next = d->under_way;
            d->under_way = s;
            return;
        }
        sending_free(s);
    }
    tell(job, SP_DELIVERY_UNABLE, 0, "");
}

/* What was answered counts, even if the rest of it came too slowly, or was too much. */
static void finish(struct sp_deliverer *d, struct sending *s, CURLcode code) {
    struct sp_delivery *job = s->job;
    struct sending **at = &d->under_way;
    const int status = s->has_answer ? (int)status_of(s) : 0;
    while (*at != NULL && *at != s) at = &(*at)->next;
    sp_assert(*at == s);
    *at = s->next;
    (void)d->curl.curl_multi_remove_handle(d->multi, s->easy);
    sending_free(s);
    if (status != 0)
        tell(job, SP_DELIVERY_ANSWERED, status, "");
    else
        tell(job, SP_DELIVERY_FAILED, 0, code == CURLE_OK ? "no answer" : d->curl.curl_easy_strerror(code));
}

static void collect(struct sp_deliverer *d) {
    CURLMsg *m;
    int left;
    while ((m = d->curl.curl_multi_info_read(d->multi, &left)) != NULL) {
        char *mine = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        const CURLcode code = m->data.result;
        (void)d->curl.curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &mine);
        finish(d, (struct sending *)(void *)mine, code);
    }
}

/* ---- the thread ---- */

struct turn {
    struct sp_task *tasks, *jobs;
    bool is_stopping, is_ending;
};

static struct turn take_turn(struct sp_deliverer *d) {
    pthread_mutex_lock(&d->mutex);
    const struct turn t = {d->tasks, d->jobs, d->is_stopping, d->is_ending};
    d->tasks = d->jobs = NULL;
    d->tasks_tail = &d->tasks;
    d->jobs_tail = &d->jobs;
    pthread_mutex_unlock(&d->mutex);
    return t;
}

static void run_tasks(struct sp_task *task) {
    while (task != NULL) {
        struct sp_task *next = task->next;
        task->run(task);
        task = next;
    }
}

static void start_jobs(struct sp_deliverer *d, struct sp_task *task, bool is_stopping) {
    while (task != NULL) {
        struct sp_delivery *job = SP_CONTAINER_OF(task, struct sp_delivery, task);
        task = task->next;
        if (is_stopping)
            tell(job, SP_DELIVERY_STOPPED, 0, "");
        else
            start(d, job);
    }
}

static void abandon(struct sp_deliverer *d) {
    while (d->under_way != NULL) {
        struct sending *s = d->under_way;
        struct sp_delivery *job = s->job;
        d->under_way = s->next;
        (void)d->curl.curl_multi_remove_handle(d->multi, s->easy);
        sending_free(s);
        tell(job, SP_DELIVERY_STOPPED, 0, "");
    }
}

static void wait_for_something(struct sp_deliverer *d) {
    uint64_t count;
    struct curl_waitfd event = {.fd = d->event, .events = CURL_WAIT_POLLIN};
    struct pollfd alone = {.fd = d->event, .events = POLLIN};
    if (d->multi != NULL)
        (void)d->curl.curl_multi_poll(d->multi, &event, 1, WAIT_MS_MAX, NULL);
    else
        (void)poll(&alone, 1, WAIT_MS_MAX);
    (void)!read(d->event, &count, sizeof(count)); /* does not block */
}

static void *deliver_thread(void *arg) {
    struct sp_deliverer *d = arg;
    int running;
    for (;;) {
        const struct turn t = take_turn(d);
        run_tasks(t.tasks);
        start_jobs(d, t.jobs, t.is_stopping);
        if (t.is_stopping) abandon(d);
        if (t.is_ending && t.tasks == NULL && t.jobs == NULL) break;
        if (d->multi != NULL) {
            (void)d->curl.curl_multi_perform(d->multi, &running);
            collect(d);
        }
        if (!t.is_ending) wait_for_something(d);
    }
    if (d->multi != NULL) d->curl.curl_multi_cleanup(d->multi);
    if (d->fields != NULL) d->curl.curl_slist_free_all(d->fields);
    return NULL;
}

static void wake(struct sp_deliverer *d) {
    const uint64_t one = 1;
    while (write(d->event, &one, sizeof(one)) < 0 && errno == EINTR) continue;
}

/* ---- the port ---- */

static void post(struct sp_executor *self, struct sp_task *task) {
    struct sp_deliverer *d = SP_CONTAINER_OF(self, struct sp_deliverer, executor);
    task->next = NULL;
    pthread_mutex_lock(&d->mutex);
    *d->tasks_tail = task;
    d->tasks_tail = &task->next;
    pthread_mutex_unlock(&d->mutex);
    wake(d);
}

static sp_status submit(void *arg, struct sp_delivery *job) {
    struct sp_deliverer *d = arg;
    pthread_mutex_lock(&d->mutex);
    const bool takes = !d->is_stopping;
    if (takes) {
        job->task.next = NULL;
        *d->jobs_tail = &job->task;
        d->jobs_tail = &job->task.next;
    }
    pthread_mutex_unlock(&d->mutex);
    if (takes) wake(d);
    return takes ? SP_SUCCESS : sp_err(SP_E_BUSY);
}

struct sp_deliver sp_deliverer_port(struct sp_deliverer *d) {
    return (struct sp_deliver){.submit = submit, .executor = &d->executor, .arg = d};
}

/* ---- life ---- */

/* Signals are the first loop's. */
static bool start_thread(struct sp_deliverer *d) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started = pthread_create(&d->thread, NULL, deliver_thread, d) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void release(struct sp_deliverer *d) {
    if (d->event >= 0) (void)close(d->event);
    pthread_mutex_destroy(&d->mutex);
    free(d->ca_file);
    free(d);
}

sp_status sp_deliverer_new(const struct sp_deliver_opts *opts, struct sp_deliverer **ret) {
    struct sp_deliverer *d = calloc(1, sizeof(*d));
    if (d == NULL) return sp_err(SP_E_NOMEM);
    d->executor.post = post;
    d->log = opts->log;
    d->tasks_tail = &d->tasks;
    d->jobs_tail = &d->jobs;
    sp_assert(pthread_mutex_init(&d->mutex, NULL) == 0);
    d->ca_file = strdup(opts->ca_file);
    d->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sp_status s = d->ca_file == NULL ? sp_err(SP_E_NOMEM) : d->event < 0 ? sp_err(SP_E_IO) : SP_SUCCESS;
    if (sp_ok(s) && !start_thread(d)) s = sp_err(SP_E_UNAVAILABLE);
    if (sp_ok(s))
        *ret = d;
    else
        release(d);
    return s;
}

void sp_deliverer_stop(struct sp_deliverer *d) {
    if (d == NULL) return;
    pthread_mutex_lock(&d->mutex);
    d->is_stopping = true;
    pthread_mutex_unlock(&d->mutex);
    wake(d);
}

void sp_deliverer_free(struct sp_deliverer *d) {
    if (d == NULL) return;
    pthread_mutex_lock(&d->mutex);
    d->is_stopping = d->is_ending = true;
    pthread_mutex_unlock(&d->mutex);
    wake(d);
    pthread_join(d->thread, NULL);
    release(d);
}
