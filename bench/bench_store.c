/* Rotations a second through the SQLite store, and what a session takes on disk, as one JSON object:
 * `bench_store [sessions] [outstanding] [seconds]`.
 *
 * Each of `outstanding` clients rotates sessions of its own, one after the other, and submits the next when
 * the last is durable: what a server with that many busy connections asks of the store. The keys of a
 * client's sessions are far apart, so that a rotation seldom finds its page where the last one was. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "store/sqlite.h"

enum { OUTSTANDING_MAX = 4096 };

static atomic_bool stop;
static atomic_ulong rotations, in_flight;
static struct sp_store *store;

struct client {
    struct sp_store_commit commit;
    struct sp_change change;
    struct sp_session_row row;
    struct sp_user_row user;
    uint8_t sid[SP_ROW_SID_BYTES]; /* of the change under way */
    uint32_t *generations;         /* of its sessions */
    unsigned first, n, at;
    int64_t now_ms;
};

static const uint8_t secret[SP_ROW_SECRET_BYTES] = "always the same";

static void run_here(struct sp_executor *self, struct sp_task *task) {
    (void)self;
    task->run(task);
}
static struct sp_executor here = {run_here};

static void make_sid(unsigned n, uint8_t ret[SP_ROW_SID_BYTES]) {
    uint32_t spread = n * 2654435761U; /* keys in no order, as keyed tags are */
    memset(ret, 0, SP_ROW_SID_BYTES);
    memcpy(ret, &spread, sizeof(spread));
    memcpy(ret + 16, &n, sizeof(n));
}

static void make_session(struct sp_session_row *s, unsigned n) {
    memset(s, 0, sizeof(*s));
    s->tenant = 1;
    make_sid(n, s->sid);
    unsigned user = n % 1000;
    memcpy(s->user_id, &user, sizeof(user));
    SP_IGNORE(SP_TEXT_SET(&s->client_id, SP_SLICE_LIT("web")));
    SP_IGNORE(SP_TEXT_SET(&s->aud, SP_SLICE_LIT("https://api.example.com")));
    SP_IGNORE(SP_TEXT_SET(&s->amr, SP_SLICE_LIT("pwd")));
    SP_IGNORE(SP_TEXT_SET(&s->device, SP_SLICE_LIT("Firefox on Linux")));
    SP_IGNORE(SP_TEXT_SET(&s->address, SP_SLICE_LIT("192.0.2.17")));
    SP_IGNORE(
        SP_TEXT_SET(&s->user_agent,
                    SP_SLICE_LIT("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")));
    s->mode = SP_MODE_TOKEN;
    s->state = SP_SESSION_ACTIVE;
    memcpy(s->secret, secret, sizeof(secret));
    s->created_ms = s->last_seen_ms = 1700000000000;
    s->idle_expires_ms = s->absolute_expires_ms = INT64_MAX;
}

static void must(sp_status s, const char *what) {
    if (sp_ok(s)) return;
    fprintf(stderr, "%s: %s\n", what, sp_code_name(s.code));
    exit(1);
}

static void add_users(void) {
    for (unsigned i = 0; i < 1000; i++) {
        struct sp_user_row u = {.tenant = 1};
        char name[16];
        int n = snprintf(name, sizeof(name), "user%u", i);
        memcpy(u.id, &i, sizeof(i));
        SP_IGNORE(SP_TEXT_SET(&u.name, sp_slice_of(name, (size_t)n)));
        SP_IGNORE(SP_TEXT_SET(
            &u.password,
            SP_SLICE_LIT(
                "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")));
        SP_IGNORE(SP_TEXT_SET(&u.roles, SP_SLICE_LIT("reader writer")));
        struct sp_change c = {.kind = SP_CHANGE_USER_INSERT, .user_insert = {&u}};
        must(sp_store_commit_wait(store, &c, 1, NULL), "user");
    }
}

enum { FILL = 500 };
static void add_sessions(unsigned sessions) {
    struct sp_session_row *rows = calloc(FILL, sizeof(*rows));
    struct sp_change *changes = calloc(FILL, sizeof(*changes));
    sp_assert(rows != NULL && changes != NULL);
    for (unsigned i = 0; i < sessions; i += FILL) {
        unsigned n = sessions - i < FILL ? sessions - i : FILL;
        for (unsigned k = 0; k < n; k++) {
            make_session(&rows[k], i + k);
            changes[k] =
                (struct sp_change){.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &rows[k]}};
        }
        must(sp_store_commit_wait(store, changes, n, NULL), "sessions");
    }
    free(rows);
    free(changes);
}

static void submit(struct client *c) {
    uint32_t generation = c->generations[c->at];
    make_sid(c->first + c->at, c->sid);
    c->change = (struct sp_change){.kind = SP_CHANGE_SESSION_ROTATE,
                                   .rotate = {.tenant = 1,
                                              .sid = c->sid,
                                              .generation = generation,
                                              .secret = secret,
                                              .client_id = SP_SLICE_LIT("web"),
                                              .mode = SP_MODE_TOKEN,
                                              .now_ms = ++c->now_ms,
                                              .next_generation = generation + 1,
                                              .next_secret = secret,
                                              .idle_expires_ms = INT64_MAX - 1,
                                              .ret_session = &c->row,
                                              .ret_user = &c->user}};
    sp_store_commit_submit(store, &c->commit);
}

static void rotated(struct sp_store_commit *commit) {
    struct client *c = SP_CONTAINER_OF(commit, struct client, commit);
    must(commit->status, "rotate");
    c->generations[c->at]++;
    c->at = (c->at + 1) % c->n;
    atomic_fetch_add(&rotations, 1);
    if (atomic_load(&stop))
        atomic_fetch_sub(&in_flight, 1);
    else
        submit(c);
}

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct result {
    double rate, cpu_us; /* rotations a second; CPU time of one, in all threads */
};

static struct result measure(struct client *clients, unsigned outstanding, unsigned seconds) {
    double begin = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    atomic_store(&in_flight, outstanding);
    for (unsigned i = 0; i < outstanding; i++) {
        clients[i].commit = (struct sp_store_commit){
            .executor = &here, .done = rotated, .changes = &clients[i].change, .n = 1};
        submit(&clients[i]);
    }
    sleep(seconds);
    atomic_store(&stop, true);
    while (atomic_load(&in_flight) != 0) usleep(1000);
    double n = (double)atomic_load(&rotations);
    return (struct result){.rate = n / (seconds_of(CLOCK_MONOTONIC) - begin),
                           .cpu_us = (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / n};
}

static unsigned arg_or(int argc, char **argv, int i, unsigned fallback) {
    return i < argc ? (unsigned)strtoul(argv[i], NULL, 10) : fallback;
}

static void close_and_measure(const char *dir, int64_t *ret_bytes) {
    char path[64];
    struct stat st;
    sp_store_close(store); /* empties the log */
    snprintf(path, sizeof(path), "%s/sallyport.db", dir);
    sp_assert(stat(path, &st) == 0);
    *ret_bytes = st.st_size;
}

static void open_store(const char *dir) {
    const struct sp_sqlite_opts opts = {.dir = dir};
    must(sp_store_sqlite_open(&opts, &store), "open");
}

static struct result run(unsigned sessions, unsigned outstanding, unsigned seconds) {
    struct client *clients = calloc(outstanding, sizeof(*clients));
    uint32_t *generations = calloc(sessions, sizeof(*generations));
    sp_assert(clients != NULL && generations != NULL);
    for (unsigned i = 0; i < outstanding; i++) {
        struct client *c = &clients[i];
        c->n = sessions / outstanding;
        c->first = i * c->n;
        c->generations = generations + c->first;
        c->now_ms = 1700000000000;
    }
    struct result result = measure(clients, outstanding, seconds);
    free(clients);
    free(generations);
    return result;
}

int main(int argc, char **argv) {
    unsigned sessions = arg_or(argc, argv, 1, 10000), outstanding = arg_or(argc, argv, 2, 64),
             seconds = arg_or(argc, argv, 3, 3);
    if (outstanding == 0 || outstanding > OUTSTANDING_MAX || sessions < outstanding) return 2;
    char dir[] = "bench-store-XXXXXX"; /* here, not in /tmp: that may be memory */
    int64_t empty, full;
    sp_assert(mkdtemp(dir) != NULL);
    open_store(dir);
    add_users();
    close_and_measure(dir, &empty);
    open_store(dir);
    add_sessions(sessions);
    struct result r = run(sessions, outstanding, seconds);
    close_and_measure(dir, &full);
    printf("{\"sessions\":%u,\"outstanding\":%u,\"rate\":%.0f,\"ms\":%.3f,\"cpu_us\":%.2f,"
           "\"bytes_a_session\":%.0f}\n",
           sessions, outstanding, r.rate, 1000.0 * outstanding / r.rate, r.cpu_us,
           (double)(full - empty) / sessions);
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command) == 0 ? 0 : 1;
}
