/* A whole app on a bench: memory store, real verifier, a clock that we move, an executor that runs when we
 * say so, and a hasher that costs nothing. One thread. */
#ifndef SP_TESTS_SIM_APP_BENCH_H
#define SP_TESTS_SIM_APP_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "core/app.h"
#include "core/store.h"
#include "store/memory.h"
#include "token/replay.h"
#include "verify/verifier.h"

enum { BENCH_BEGIN_MS_HIGH = 1700000000 };

struct bench_queue {
    struct sp_executor executor;
    struct sp_task *head, **tail;
};

struct bench {
    struct bench_queue queue;
    int64_t now_ms;
    int64_t
        wall_ahead_ms; /* of the clock that counts since boot: changes when somebody sets the wall clock */
    struct sp_reclaim *reclaim;
    struct sp_verifier *verifier;
    struct sp_verifier_reader *reader;
    struct sp_store *store;
    struct sp_app_config config;
    struct sp_app *app;
    struct sp_principal principal;
    /* the hasher */
    bool hash_full;
    _Atomic uint32_t hashes;
    _Atomic uint32_t checkpoints; /* lines of the server's log */
    struct sp_deliver deliver;    /* set before the app is started; nothing: logouts wait */
    const void *lanes_tick;       /* whichever thread does the housekeeping, for tests with threads */
};

/* A copy of a result, whose slices live here. */
struct tokens {
    uint32_t answers;
    enum sp_outcome outcome;
    bool reuse_detected;
    char access[SP_ACCESS_TOKEN_BYTES_MAX];
    size_t access_n;
    char refresh[128];
    size_t refresh_n;
    int64_t access_s, refresh_s;
    uint8_t sid[SP_ROW_SID_BYTES];
};
struct plain {
    uint32_t answers;
    enum sp_outcome outcome;
    uint32_t count;
};

void bench_defaults(struct bench *b); /* config, clock; the rest empty */
/* Everything, with user "ada", password "correct horse", role "writer"; on b->store, or in memory. */
void bench_open(struct bench *b);
void bench_start(struct bench *b); /* only the app, on the store that is there */
/* ... in two halves, of which the second may fail; undo takes the first back. */
void bench_start_begin(struct bench *b);
sp_status bench_start_app(struct bench *b);
void bench_start_undo(struct bench *b);
void bench_stop(struct bench *b); /* only the app */
void bench_close(struct bench *b);
void bench_run(struct bench *b); /* until nothing is posted */
/* What has expired is forgotten when somebody comes across it, and at last when the table is full: fills it,
 * which takes two seconds. */
void bench_sweep_replays(struct bench *b, struct sp_replay *table);

/* A bench of its own for each test: struct bench *b. */
int bench_setup(void **state);
int bench_teardown(void **state);
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
#define BENCH struct bench *b = *state

struct sp_call bench_call(struct bench *b);
struct sp_call bench_call_admin(struct bench *b); /* root, on the admin socket */
/* A call by whom the token stands for. */
struct sp_call bench_call_as(struct bench *b, const struct tokens *t);

struct tokens bench_login_as(struct bench *b, const char *name, const char *password,
                             enum sp_session_mode mode);
struct tokens bench_login(struct bench *b);
struct tokens bench_login_cookie(struct bench *b);
void bench_refresh_begin(struct bench *b, const struct tokens *with, const char *attempt, struct tokens *ret);
struct tokens bench_refresh(struct bench *b, const struct tokens *with);
struct tokens bench_refresh_mode(struct bench *b, const struct tokens *with, const char *attempt,
                                 enum sp_session_mode mode);
struct plain bench_logout_refresh(struct bench *b, const struct tokens *with);
struct plain bench_logout_access(struct bench *b, const struct tokens *with);

void bench_assert_same_refresh(const struct tokens *x, const struct tokens *y);
enum sp_reject bench_check(struct bench *b, const struct tokens *t);
struct sp_session_row bench_session(struct bench *b, const uint8_t *sid);
struct sp_user_row bench_user(struct bench *b, const char *name);
void bench_user_put(struct bench *b, const struct sp_user_row *row);
struct sp_user_row bench_user_new(struct bench *b, const char *name, const char *phc);
/* Records with this action. */
uint32_t bench_records(struct bench *b, const char *action);

void bench_tokens_done(void *arg, const struct sp_tokens_result *r);
void bench_plain_done(void *arg, const struct sp_plain_result *r);

#endif
