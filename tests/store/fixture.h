/* One open store, whichever backend, with an environment that records what it is told; and short ways to make
 * rows and changes. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <cmocka.h>

#include "base/mem.h"
#include "core/store.h"

enum { FIXTURE_EVENTS_MAX = 4096 };

struct event {
    enum sp_event_kind kind;
    struct sp_revocation_row revocation;
    struct sp_role_row role;
    sp_text64 name; /* role or kid */
    sp_text128 client;
    uint64_t client_version;
    struct sp_logout_row logout;
    uint8_t feed_head[SP_ROW_HASH_BYTES];
};

struct fixture {
    const char *backend;
    char dir[64]; /* of sqlite */
    struct sp_store *store;
    pthread_mutex_t mutex;
    struct event events[FIXTURE_EVENTS_MAX];
    size_t events_n;
};

/* `backend`: "memory" or "sqlite". */
void fixture_open(struct fixture *f, const char *backend);
/* Closes and opens again, when the backend can (memory: nothing happens). */
void fixture_reopen(struct fixture *f);
void fixture_close(struct fixture *f);
/* Removes a store's directory. */
void remove_dir(const char *dir);
size_t events_count(struct fixture *f);
struct sp_store_env fixture_env(struct fixture *f);

/* The test's hash chain: anything deterministic. */
void chain_link(void *arg, uint64_t seq, const uint8_t *prev, sp_slice body, uint8_t *ret_hash);
void chain_seal(void *arg, const struct sp_meta_row *meta, uint8_t *ret_mac);

/* And its chain over revocations. */
void feed_start(void *arg, const uint8_t epoch[SP_ROW_FEED_EPOCH_BYTES], uint8_t ret_head[SP_ROW_HASH_BYTES]);
void feed_link(void *arg, const uint8_t prev[SP_ROW_HASH_BYTES], const struct sp_revocation_row *row,
               uint8_t ret_head[SP_ROW_HASH_BYTES]);
/* Epochs for a new incarnation: the same one each time would be a mistake in a server, but not here. */
#define NEXT_INCARNATION .next_incarnation = true, .feed_epoch = (const uint8_t *)"another epoch 16"

/* Commits one change set and gives its code; `failed` may be NULL. */
enum sp_code commit_set(struct fixture *f, struct sp_change *changes, size_t n, size_t *ret_failed);
enum sp_code commit_one(struct fixture *f, struct sp_change *change);
#define assert_commits(f, change) assert_int_equal(commit_one((f), (change)), SP_OK)
#define assert_refuses(f, change) assert_int_equal(commit_one((f), (change)), SP_E_CONFLICT)

enum { NOW_S = 1700000000 };
#define NOW_MS ((int64_t)NOW_S * 1000)

struct sp_user_row make_user(unsigned n);
/* Session number k of user n: client "app", generation 5, secret of 0xa0 + k. */
struct sp_session_row make_session(unsigned user, unsigned k);
struct sp_role_row make_role(const char *name, const char *permissions);
struct sp_key_row make_key(const char *kid, int64_t created_ms);
/* May follow the feed; one secret, whose hash is 0x5c over and over. */
struct sp_client_row make_client(const char *id);

void add_user(struct fixture *f, const struct sp_user_row *user);
void add_session(struct fixture *f, const struct sp_session_row *session);
/* Good for `row` as it is, at NOW_MS + 1000. `in` borrows from *row. */
struct sp_change rotation_of(const struct sp_session_row *row);

/* Reads that must succeed; those that may not give the code. */
struct sp_meta_row read_meta(struct fixture *f);
enum sp_code read_session(struct fixture *f, const uint8_t *sid, struct sp_session_row *ret);
enum sp_code read_user(struct fixture *f, const uint8_t *id, struct sp_user_row *ret);
/* The caller frees with sp_store_read_done. */
void read_all(struct fixture *f, struct sp_store_read *r);

/* The bytes behind it are zeroed, so that rows can be compared whole. */
#define text_set(text, cstr)                                                                                 \
    do {                                                                                                     \
        memset((text), 0, sizeof(*(text)));                                                                  \
        assert_true(sp_ok(SP_TEXT_SET((text), sp_slice_cstr(cstr))));                                        \
    } while (0)

#endif
