/* Subscribers of a loop against a real hub, with doubles of streams, timers and the app: what each of them is
 * sent, in which order, and what one that does not read costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/feed_chain.h"
#include "http/exchange.h"
#include "http/feed_streams.h"

#define NOW_S INT64_C(1790000000)
#define OK(expr) assert_int_equal((expr).code, SP_OK)

static const uint8_t master[SP_MASTER_KEY_BYTES] = {1};
static const uint8_t epoch[SP_FEED_EPOCH_BYTES] = {7, 7};

/* ---- doubles ---- */

enum { STREAMS = 128, TIMERS = 3, BEAT = 0, EVERYTHING_ELSE = 1 };

struct sp_http_stream {
    bool is_open, is_blocked, is_broken; /* broken: the next write fails, and its owner is told later */
    size_t pending;
    struct sp_http_stream_opts opts;
    struct sp_buf text;
    int writes;
};

static struct {
    struct sp_executor executor;
    struct sp_task *first, **last;
    struct {
        struct sp_loop_timer *timer;
        bool is_running;
    } timer[TIMERS];
    size_t n_timers;
    enum sp_client_check client;
    int64_t boot_ms, clock_us;
    struct sp_reclaim *reclaim;
    struct sp_seats *seats;
    struct sp_revoke_set *revoked;
    struct sp_epochs *epochs;
    struct sp_live_roles *roles;
    struct sp_keys *keys;
    struct sp_key_row rows[16];
    size_t n_rows;
    struct sp_feed *feed;
    uint64_t seq;
    uint8_t head[SP_FEED_HEAD_BYTES];
    struct sp_feed_streams *streams;
    struct sp_http_stream stream[STREAMS];
} t;

struct sp_feed *sp_app_feed(struct sp_app *app) {
    (void)app;
    return t.feed;
}
enum sp_client_check sp_app_client_check_again(struct sp_app *app, struct sp_client_facts *facts) {
    (void)app;
    (void)facts;
    return t.client;
}
int64_t sp_x_clock_us(void) {
    return t.clock_us;
}
struct sp_executor *sp_loop_executor(struct sp_loop *loop) {
    (void)loop;
    return &t.executor;
}
static size_t timer_at(const struct sp_loop_timer *timer) {
    size_t i = 0;
    while (t.timer[i].timer != timer) i++;
    assert_true(i < t.n_timers);
    return i;
}
void sp_loop_timer_init(struct sp_loop_timer *timer, struct sp_loop *loop,
                        void (*run)(struct sp_loop_timer *timer)) {
    (void)loop;
    assert_true(t.n_timers < TIMERS);
    timer->run = run;
    t.timer[t.n_timers].timer = timer;
    t.timer[t.n_timers++].is_running = false;
}
void sp_loop_timer_start(struct sp_loop_timer *timer, int64_t delay_ms) {
    (void)delay_ms;
    t.timer[timer_at(timer)].is_running = true;
}
void sp_loop_timer_cancel(struct sp_loop_timer *timer) {
    t.timer[timer_at(timer)].is_running = false;
}
bool sp_loop_timer_is_running(const struct sp_loop_timer *timer) {
    return t.timer[timer_at(timer)].is_running;
}

static sp_status stream_take(struct sp_http_stream *st, sp_slice bytes) {
    if (st->is_broken) st->is_open = false;
    if (!st->is_open) return sp_err(SP_E_UNAVAILABLE);
    st->writes++;
    if (st->is_blocked) st->pending += bytes.n;
    return sp_buf_append(&st->text, bytes);
}
sp_status sp_http_stream_write(struct sp_http_stream *st, sp_slice bytes) {
    return stream_take(st, bytes);
}
sp_status sp_http_stream_write_chunk(struct sp_http_stream *st, const struct sp_http_chunk *chunk) {
    return stream_take(st, chunk->bytes);
}
sp_status sp_http_chunk_make(sp_slice bytes, struct sp_buf *framed, struct sp_http_chunk *ret_chunk) {
    SP_TRY(sp_buf_append(framed, bytes));
    const sp_slice own = sp_slice_of(framed->p + framed->n - bytes.n, bytes.n);
    *ret_chunk = (struct sp_http_chunk){own, own};
    return SP_SUCCESS;
}
size_t sp_http_stream_pending(const struct sp_http_stream *st) {
    return st->pending;
}
void sp_http_stream_abort(struct sp_http_stream *st) {
    assert_true(st->is_open);
    st->is_open = false;
    st->opts.on_gone = NULL; /* its owner knows */
}

/* The socket has taken everything. */
static void drain(struct sp_http_stream *st) {
    st->is_blocked = false;
    st->pending = 0;
    assert_int_equal(st->opts.drained, SP_HTTP_DRAINED_BLOCKED);
    if (st->is_open) st->opts.on_drained(st->opts.arg);
}
static void go(struct sp_http_stream *st) {
    st->is_open = false;
    if (st->opts.on_gone != NULL) st->opts.on_gone(st->opts.arg, SP_HTTP_GONE_CLIENT);
    st->opts.on_gone = NULL;
}

/* ---- the loop ---- */

static void post(struct sp_executor *self, struct sp_task *task) {
    (void)self;
    task->next = NULL;
    *t.last = task;
    t.last = &task->next;
}
static void run_posted(void) {
    while (t.first != NULL) {
        struct sp_task *task = t.first;
        t.first = task->next;
        if (t.first == NULL) t.last = &t.first;
        task->run(task);
    }
}
static void fire(size_t i) {
    assert_true(t.timer[i].is_running);
    t.timer[i].is_running = false;
    t.timer[i].timer->run(t.timer[i].timer);
}
/* Everything that waits for nothing but its turn; says how many turns there were. */
static int settle(void) {
    int turns = 0;
    run_posted();
    for (bool any = true; any; turns++) {
        any = false;
        for (size_t i = EVERYTHING_ELSE; i < TIMERS; i++) {
            if (!t.timer[i].is_running) continue;
            fire(i);
            any = true;
        }
        assert_true(turns < 100000);
    }
    return turns - 1;
}
static void beat(void) {
    t.boot_ms += SP_FEED_BEAT_MS;
    fire(BEAT);
    settle();
}

/* ---- the hub ---- */

static int64_t wall(void *arg) {
    (void)arg;
    return NOW_S * 1000;
}
static int64_t boot(void *arg) {
    (void)arg;
    return t.boot_ms;
}

static void make_keys(void) {
    const struct sp_key_schedule s = {.alg = SP_ALG_ES256, .access_ttl_max_s = 900, .absolute_ttl_s = 86400};
    struct sp_key_changes made = SP_KEY_CHANGES_INIT;
    struct sp_key_plan plan;
    sp_keys_plan(NULL, 0, NOW_S * 1000, &s, &plan);
    OK(sp_keys_carry_out(&plan, NULL, 0, SP_SLICE_ARRAY(master), &sp_random_system, NOW_S * 1000, &s, &made));
    assert_true(made.n <= SP_ARRAY_LEN(t.rows));
    for (size_t i = 0; i < made.n; i++) t.rows[t.n_rows++] = made.v[i].row;
    sp_key_changes_done(&made);
    OK(sp_keys_new(t.seats, SP_SLICE_ARRAY(master), t.rows, t.n_rows, &t.keys));
}

static int setup(void **state) {
    (void)state;
    memset(&t, 0, sizeof(t));
    t.executor.post = post;
    t.last = &t.first;
    t.boot_ms = 5000000;
    t.seq = 100;
    OK(sp_reclaim_new(8, &t.reclaim));
    OK(sp_seats_new(t.reclaim, &t.seats));
    OK(sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = t.reclaim, .random = &sp_random_system},
                         &t.revoked));
    OK(sp_epochs_new(&(struct sp_epochs_opts){.reclaim = t.reclaim, .random = &sp_random_system}, &t.epochs));
    OK(sp_live_roles_new(t.seats, NULL, 0, &t.roles));
    make_keys();
    OK(sp_feed_new(&(struct sp_feed_opts){.clock = {wall, boot, NULL},
                                          .random = &sp_random_system,
                                          .issuer = SP_SLICE_LIT("https://id.example.com"),
                                          .seats = t.seats,
                                          .keys = t.keys,
                                          .roles = t.roles,
                                          .revoked = t.revoked,
                                          .epochs = t.epochs},
                   &t.feed));
    sp_feed_chain_start(epoch, t.head);
    sp_feed_load_position(t.feed, epoch, t.seq, t.head);
    OK(sp_feed_streams_new(NULL, NULL, &t.streams));
    return 0;
}

static int teardown(void **state) {
    struct sp_feed_counts c;
    (void)state;
    for (size_t i = 0; i < STREAMS; i++) {
        go(&t.stream[i]);
        sp_buf_done(&t.stream[i].text);
    }
    run_posted();
    sp_feed_count(t.feed, &c);
    assert_int_equal(c.subscribers, 0);
    sp_feed_streams_free(t.streams);
    sp_feed_free(t.feed);
    sp_keys_free(t.keys);
    sp_live_roles_free(t.roles);
    sp_epochs_free(t.epochs);
    sp_revoke_set_free(t.revoked);
    sp_seats_free(t.seats);
    sp_reclaim_free(t.reclaim);
    return 0;
}

static void revoke(size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct sp_revocation_row row = {.what = SP_REVOKED_JTI, .seq = ++t.seq, .expires_s = NOW_S + 900};
        memcpy(row.id, &t.seq, sizeof(t.seq));
        sp_feed_publish_revocation(t.feed, &row, t.head);
    }
}

static void put_roles(size_t n, const char *permission) {
    for (size_t i = 0; i < n; i++) {
        struct sp_role_row row = {.version = 1};
        char name[16];
        (void)snprintf(name, sizeof(name), "role%zu", i);
        OK(SP_TEXT_SET(&row.name, sp_slice_cstr(name)));
        OK(SP_TEXT_SET(&row.permissions, sp_slice_cstr(permission)));
        OK(sp_live_roles_put(t.roles, &row));
    }
    OK(sp_feed_publish_roles(t.feed));
}

/* ---- subscribers ---- */

/* Before its first byte; `from`: after this seq, or 0. */
static struct sp_http_stream *begin(size_t i, uint64_t from, struct sp_feed_subscriber **ret) {
    struct sp_http_stream *st = &t.stream[i];
    struct sp_feed_subscription in = {
        .client = {.feed = true}, .has_position = from != 0, .position = {.seq = from}};
    OK(SP_TEXT_SET(&in.client.id, SP_SLICE_LIT("orders")));
    memcpy(in.position.epoch, epoch, sizeof(epoch));
    sp_buf_init(&st->text, 64 << 20);
    OK(sp_feed_subscriber_new(t.streams, &in, &st->opts, ret));
    st->is_open = true;
    return st;
}
static struct sp_http_stream *follow(size_t i, uint64_t from) {
    struct sp_feed_subscriber *sub;
    struct sp_http_stream *st = begin(i, from, &sub);
    sp_feed_subscriber_start(sub, st);
    return st;
}

/* The names of all whole events so far, and of revocations their seq: "hello roles keys beat 101 ". What is
 * not an event of ours fails. */
static const char *events(struct sp_http_stream *st) {
    static char said[1 << 16];
    const char *at = (const char *)st->text.p, *end = at + st->text.n;
    size_t n = 0;
    said[0] = '\0';
    while (at < end) {
        const char *over = memmem(at, (size_t)(end - at), "\n\n", 2);
        if (over == NULL) break; /* the rest is on its way */
        char name[16] = "";
        unsigned long long seq;
        const char *event = memmem(at, (size_t)(over - at), "event: ", 7);
        assert_non_null(event);
        assert_null(memmem(event + 7, (size_t)(over - event - 7), "event: ", 7)); /* one inside another */
        assert_int_equal(sscanf(event, "event: %15s", name), 1);
        if (sscanf(at, "id: %*22c:%llu", &seq) == 1) (void)snprintf(name, sizeof(name), "%llu", seq);
        n += (size_t)snprintf(said + n, sizeof(said) - n, "%s ", name);
        assert_true(n < sizeof(said) - 32);
        at = over + 2;
    }
    return said;
}
static void assert_events(struct sp_http_stream *st, const char *wanted) {
    assert_string_equal(events(st), wanted);
}
static void forget(struct sp_http_stream *st) {
    sp_buf_truncate(&st->text, 0);
}
/* Exactly after+1 to the newest, each once and in order, then a beat or none. */
static void assert_all_after(struct sp_http_stream *st, uint64_t after) {
    const char *at = (const char *)st->text.p, *end = at + st->text.n;
    uint64_t seq = after;
    while (at < end && (at = memmem(at, (size_t)(end - at), "id: ", 4)) != NULL) {
        unsigned long long found;
        assert_int_equal(sscanf(at, "id: %*22c:%llu", &found), 1);
        assert_int_equal(found, ++seq);
        at += 4;
    }
    assert_int_equal(seq, t.seq);
}

/* ---- tests ---- */

static void newcomer_gets_hello_documents_and_a_beat(void **state) {
    (void)state;
    struct sp_http_stream *a = follow(0, 0);
    assert_events(a, "hello roles keys beat ");
    forget(a);
    beat();
    assert_events(a, "beat ");
}

static void news_go_to_everybody_in_one_write_each_and_the_beat_follows(void **state) {
    (void)state;
    struct sp_http_stream *a = follow(0, 0), *b = follow(1, 0);
    forget(a), forget(b);
    a->writes = b->writes = 0;
    revoke(3);
    assert_events(a, ""); /* in its turn */
    settle();
    assert_events(a, "101 102 103 ");
    assert_events(b, "101 102 103 ");
    assert_int_equal(a->writes, 1);
    beat();
    assert_events(a, "101 102 103 beat ");
}

static void what_comes_before_the_turn_goes_out_together(void **state) {
    (void)state;
    struct sp_http_stream *a = follow(0, 0);
    forget(a);
    a->writes = 0;
    revoke(1);
    run_posted();
    revoke(1);
    run_posted();
    settle();
    assert_events(a, "101 102 ");
    assert_int_equal(a->writes, 1);
}

static void resumed_subscriber_gets_what_it_missed_and_then_its_beat(void **state) {
    (void)state;
    revoke(300);
    struct sp_http_stream *a = follow(0, 250);
    assert_all_after(a, 250);
    const char *said = events(a);
    assert_memory_equal(said, "hello roles keys 251 ", 21);
    assert_string_equal(said + strlen(said) - 9, "400 beat ");
}

static void who_cannot_go_on_is_told_before_anything_else(void **state) {
    (void)state;
    revoke(1);
    struct sp_http_stream *a = follow(0, 50), *b = follow(1, 5000);
    assert_events(a, "hello reset roles keys beat ");
    assert_non_null(memmem(a->text.p, a->text.n, "\"backlog\"", 9));
    assert_events(b, "hello reset roles keys beat ");
    assert_non_null(memmem(b->text.p, b->text.n, "\"ahead\"", 7));
    struct sp_feed_counts c;
    sp_feed_count(t.feed, &c);
    assert_int_equal(c.resets, 2);
}

static void reader_that_stalls_is_left_alone_and_goes_on_from_its_place(void **state) {
    (void)state;
    struct sp_http_stream *slow = follow(0, 0), *quick = follow(1, 0);
    forget(slow), forget(quick);
    slow->is_blocked = true;
    revoke(1);
    settle();
    const size_t pending = slow->pending;
    revoke(5000);
    settle();
    beat();
    assert_all_after(quick, 100);
    assert_int_equal(slow->pending, pending);
    assert_events(slow, "101 ");
    drain(slow);
    settle();
    assert_all_after(slow, 100);
    forget(slow);
    beat();
    assert_events(slow, "beat ");
}

/* Nothing tells of a socket that takes everything at once, so a turn must lead to the next one. */
static void fleet_that_comes_back_is_served_turn_by_turn(void **state) {
    (void)state;
    const uint64_t from = t.seq;
    revoke(5000);
    for (size_t i = 0; i < STREAMS; i++) (void)follow(i, from);
    for (size_t i = 0; i < STREAMS; i++) {
        /* By itself each got its part of one turn, and no beat that would claim the rest. */
        assert_true(t.stream[i].text.n < 500000);
        assert_null(strstr(events(&t.stream[i]), "beat"));
    }
    assert_true(settle() >= (int)(STREAMS * (5000 - 16 * 128) / 128 / 64));
    for (size_t i = 0; i < STREAMS; i++) assert_all_after(&t.stream[i], from);
    forget(&t.stream[7]);
    beat();
    assert_events(&t.stream[7], "beat ");
}

static void subscriber_may_go_while_it_is_its_turn(void **state) {
    (void)state;
    const uint64_t from = t.seq;
    revoke(20000);
    for (size_t i = 0; i < 8; i++) (void)follow(i, from);
    run_posted();
    for (size_t left = 8; left > 1; left--) {
        if (t.timer[2].is_running) fire(2);
        go(&t.stream[left - 1]);
    }
    settle();
    assert_all_after(&t.stream[0], from);
}

static void changed_roles_come_with_a_beat_of_their_own(void **state) {
    (void)state;
    struct sp_http_stream *a = follow(0, 0), *b = follow(1, 0);
    forget(a), forget(b);
    put_roles(2, "documents:read");
    settle();
    assert_events(a, "roles beat ");
    assert_events(b, "roles beat ");
    forget(a);
    OK(sp_feed_publish_roles(t.feed)); /* says the same */
    settle();
    assert_events(a, "");
}

static void large_document_goes_by_pieces_and_nothing_stands_inside_it(void **state) {
    (void)state;
    char permission[8 * 100] = "";
    for (size_t i = 0; i < 8; i++)
        (void)snprintf(permission + strlen(permission), 100, "%s%zu:%090d", i == 0 ? "" : " ", i, 7);
    put_roles(200, permission);
    struct sp_http_stream *a = follow(0, 0), *slow = follow(1, 0);
    settle();
    assert_events(a, "hello roles keys beat ");
    forget(a), forget(slow);
    beat();
    assert_events(a, "beat ");
    forget(a), forget(slow);
    slow->is_blocked = true;
    put_roles(201, permission);
    settle();
    revoke(2);
    settle();
    beat();
    assert_true(slow->pending < 40 * 1024);
    assert_null(strstr(events(slow), "roles"));
    put_roles(202, permission); /* while the one before is on its way */
    settle();
    drain(slow);
    settle();
    assert_events(slow, "roles roles 101 102 ");
}

static void client_that_is_no_longer_good_is_cut_with_the_next_beat(void **state) {
    (void)state;
    struct sp_http_stream *a = follow(0, 0), *b = follow(1, 0);
    forget(a);
    t.client = SP_CLIENT_DISABLED;
    beat();
    assert_false(a->is_open || b->is_open);
    assert_events(a, "");
    assert_false(t.timer[BEAT].is_running); /* nobody is left */
    t.client = SP_CLIENT_GENUINE;
    assert_events(follow(2, 0), "hello roles keys beat ");
    beat();
}

static void stream_that_fails_in_the_walk_takes_nobody_along(void **state) {
    (void)state;
    struct sp_http_stream *a = follow(0, 0), *b = follow(1, 0), *c = follow(2, 0);
    forget(a), forget(c);
    b->is_broken = true;
    revoke(1);
    settle();
    beat();
    assert_events(a, "101 beat ");
    assert_events(c, "101 beat ");
    go(b);
    beat();
    assert_events(c, "101 beat beat ");
}

static void stream_that_never_opens_is_let_go(void **state) {
    (void)state;
    struct sp_feed_subscriber *sub;
    struct sp_http_stream *head = begin(0, 0, &sub);
    head->is_open = false; /* HEAD, or the client has gone */
    sp_feed_subscriber_start(sub, head);
    revoke(1);
    settle();
    beat();
    assert_int_equal(head->text.n, 0);
    go(head);
    (void)begin(1, 0, &sub);
    sp_feed_subscriber_free(sub); /* refused */
    t.stream[1].opts.on_gone = NULL;
    assert_false(t.timer[BEAT].is_running);
}

static void who_is_overrun_by_the_backlog_is_cut(void **state) {
    (void)state;
    struct sp_http_stream *slow = follow(0, 0), *quick = follow(1, 0);
    slow->is_blocked = true;
    revoke(1);
    settle();
    for (int i = 0; i < 9; i++) {
        revoke(SP_FEED_BACKLOG_MAX / 8);
        settle();
        forget(quick);
    }
    assert_true(slow->is_open && quick->is_open);
    drain(slow);
    assert_false(slow->is_open); /* it comes back, and is told to take a snapshot */
    beat();
    assert_events(quick, "beat ");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(newcomer_gets_hello_documents_and_a_beat),
        TEST(news_go_to_everybody_in_one_write_each_and_the_beat_follows),
        TEST(what_comes_before_the_turn_goes_out_together),
        TEST(resumed_subscriber_gets_what_it_missed_and_then_its_beat),
        TEST(who_cannot_go_on_is_told_before_anything_else),
        TEST(reader_that_stalls_is_left_alone_and_goes_on_from_its_place),
        TEST(fleet_that_comes_back_is_served_turn_by_turn),
        TEST(subscriber_may_go_while_it_is_its_turn),
        TEST(changed_roles_come_with_a_beat_of_their_own),
        TEST(large_document_goes_by_pieces_and_nothing_stands_inside_it),
        TEST(client_that_is_no_longer_good_is_cut_with_the_next_beat),
        TEST(stream_that_fails_in_the_walk_takes_nobody_along),
        TEST(stream_that_never_opens_is_let_go),
        TEST(who_is_overrun_by_the_backlog_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
