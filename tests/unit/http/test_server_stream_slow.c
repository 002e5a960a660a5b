/* Streams to readers who are slow, and to many: the bound, the deadline, bodies made as they are read. */
#include "stream_fixture.h"

#include <sys/resource.h>

#define T(name) cmocka_unit_test_setup_teardown(name, start_streams, stop)
#define T_HASTY(name) cmocka_unit_test_setup_teardown(name, start_hasty_streams, stop)

enum { BOUND = 64 * 1024, PIECE = 16 * 1024 };

static const uint8_t *piece(void) {
    static uint8_t p[PIECE];
    if (p[1] == 0) {
        for (size_t i = 0; i < sizeof(p); i++) p[i] = (uint8_t)('a' + i % 26);
    }
    return p;
}

/* --- Slow readers. --- */

static void fill(struct owner *o) {
    for (int i = 0; i < 4096 && sp_http_stream_pending(o->stream) == 0; i++) {
        o->status = sp_http_stream_write(o->stream, sp_slice_of(piece(), PIECE));
        assert_true(sp_ok(o->status));
    }
    assert_true(sp_http_stream_pending(o->stream) > 0);
}

static void slow_reader_is_cut_at_the_bound_and_nobody_else(void **state) {
    (void)state;
    struct client slow, quick;
    static struct owner o, other;
    client_open(&slow);
    client_send(&slow, GET);
    begin(&o, BOUND);
    client_open(&quick);
    client_send(&quick, GET);
    begin(&other, BOUND);
    size_t most = 0, written = 0;
    do {
        const size_t pending = sp_http_stream_pending(o.stream);
        if (most < pending) most = pending;
        o.status = sp_http_stream_write(o.stream, sp_slice_of(piece(), PIECE));
        written += PIECE;
        assert_true(written < 64 * 1024 * 1024);
    } while (sp_ok(o.status));
    assert_true(sp_is(o.status, SP_E_LIMIT));
    assert_true(most <= BOUND && most > BOUND - PIECE - 16);
    assert_int_equal(o.gone, 0);
    write_text(&other, "mine");
    step();
    assert_int_equal(o.gone, 1);
    assert_int_equal(o.why, SP_HTTP_GONE_LIMIT);
    assert_int_equal(stats().streams_cut, 1);
    assert_int_equal(stats().open, 1);
    WAIT_FOR(client_has(&quick, "mine"));
    assert_int_equal(other.gone, 0);
    client_close(&slow);
    client_close(&quick);
}

static void what_the_kernel_would_take_by_now_costs_nobody_his_stream(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    static char scrap[64 * 1024];
    client_pair(&c);
    client_send(&c, GET);
    begin(&o, BOUND);
    fill(&o);
    while (sp_http_stream_pending(o.stream) < BOUND - PIECE - 16)
        assert_true(sp_ok(sp_http_stream_write(o.stream, sp_slice_of(piece(), PIECE))));
    while (recv(c.fd, scrap, sizeof(scrap), MSG_DONTWAIT) > 0) {
    }
    /* Before the loop has heard that there is room. */
    for (int i = 0; i < 3; i++)
        assert_true(sp_ok(sp_http_stream_write(o.stream, sp_slice_of(piece(), PIECE))));
    client_close(&c);
}

static void kernel_holds_little_for_a_reader_who_stopped(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_open(&c);
    const int small = 4096;
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    client_send(&c, GET);
    begin(&o, BOUND);
    size_t taken = 0;
    for (int quiet = 0; quiet < 20; quiet++, step()) {
        while (sp_http_stream_pending(o.stream) == 0) {
            assert_true(sp_ok(sp_http_stream_write(o.stream, sp_slice_of(piece(), PIECE))));
            taken += PIECE;
            quiet = 0;
        }
    }
    assert_true(taken < 1024 * 1024); /* without our option it is several MiB */
    client_close(&c);
}

static void stalled_reader_is_cut_by_the_clock(void **state) {
    (void)state;
    struct client stalled, quiet;
    static struct owner o, idle;
    client_pair(&stalled);
    client_send(&stalled, GET);
    begin(&o, BOUND);
    client_pair(&quiet);
    client_send(&quiet, GET);
    begin(&idle, BOUND);
    fill(&o);
    WAIT_FOR(o.gone == 1);
    assert_int_equal(o.why, SP_HTTP_GONE_STALLED);
    assert_int_equal(stats().timeouts, 1);
    assert_int_equal(stats().streams_cut, 1);
    /* Idle for as long, and for longer than a connection may be between requests. */
    pass(150);
    assert_int_equal(idle.gone, 0);
    client_close(&stalled);
    client_close(&quiet);
}

static void reader_who_stopped_is_noticed_by_what_the_kernel_holds(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_open(&c);
    const int small = 4096;
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    client_send(&c, GET);
    begin(&o, BOUND);
    /* More than the client's kernel takes, less than ours does: nothing is pending with us. */
    for (int i = 0; i < 7; i++)
        assert_true(sp_ok(sp_http_stream_write(o.stream, sp_slice_of(piece(), PIECE))));
    assert_int_equal(sp_http_stream_pending(o.stream), 0);
    WAIT_FOR(o.gone == 1);
    assert_int_equal(o.why, SP_HTTP_GONE_CLIENT);
    client_close(&c);
}

static void dripping_reader_is_cut_as_well(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_pair_of(&c, 4096); /* so that each drop makes room for another one */
    client_send(&c, GET);
    begin(&o, 1024 * 1024);
    fill(&o);
    while (sp_http_stream_pending(o.stream) < 512 * 1024)
        assert_true(sp_ok(sp_http_stream_write(o.stream, sp_slice_of(piece(), PIECE))));
    char scrap[2048];
    int64_t next = 0;
    while (o.gone == 0) {
        const int64_t now = sp_clock_boot_ms(&sp_clock_system);
        if (now >= next) {
            (void)recv(c.fd, scrap, sizeof(scrap), MSG_DONTWAIT);
            next = now + 10;
        }
        step();
    }
    assert_int_equal(o.why, SP_HTTP_GONE_STALLED);
    client_close(&c);
}

static void reader_who_keeps_up_stays_though_something_is_always_pending(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    client_pair(&c);
    client_send(&c, GET);
    begin(&o, 2 * 1024 * 1024);
    fill(&o);
    static char scrap[8 * PIECE];
    const int64_t until = fx.boot_ms + 500;
    while (fx.boot_ms < until) {
        while (sp_http_stream_pending(o.stream) < 1024 * 1024)
            assert_true(sp_ok(sp_http_stream_write(o.stream, sp_slice_of(piece(), PIECE))));
        (void)recv(c.fd, scrap, sizeof(scrap), MSG_DONTWAIT);
        step();
        assert_int_equal(o.gone, 0);
        assert_true(sp_http_stream_pending(o.stream) > 0);
    }
    client_close(&c);
}

/* The bytes behind the chunks, checked against the pattern of piece(). */
struct dechunker {
    size_t left, at, total; /* of the chunk; in the pattern; of all */
    enum { SIZE, DATA, TAIL, DONE } in;
    size_t line_n;
    char line[32];
};

static void dechunk(struct dechunker *d, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        switch (d->in) {
        case SIZE:
            assert_true(d->line_n < sizeof(d->line) - 1);
            d->line[d->line_n++] = p[i];
            if (p[i] != '\n') break;
            d->line[d->line_n] = '\0';
            d->left = strtoul(d->line, NULL, 16);
            d->line_n = 0;
            d->in = d->left == 0 ? DONE : DATA;
            d->at = 0;
            break;
        case DATA:
            if (p[i] != (char)('a' + d->at % 26)) fail_msg("byte %zu is wrong", d->total);
            d->at++;
            d->total++;
            if (--d->left == 0) d->in = TAIL;
            break;
        case TAIL:
            if (p[i] == '\n') d->in = SIZE;
            break;
        case DONE: assert_true(p[i] == '\r' || p[i] == '\n'); break;
        }
    }
}

static void pump(struct owner *o) {
    if (o->left == 0) {
        sp_http_stream_end(o->stream);
        o->stream = NULL;
        return;
    }
    const size_t n = o->left < PIECE ? o->left : PIECE;
    o->left -= n;
    o->status = sp_http_stream_write(o->stream, sp_slice_of(piece(), n));
    assert_true(sp_ok(o->status));
}

/* Reads the body; true when it is complete. */
static bool read_body(struct client *c, struct dechunker *d, size_t n) {
    char bytes[256 * 1024];
    assert_true(n <= sizeof(bytes));
    const ssize_t got = recv(c->fd, bytes, n, MSG_DONTWAIT);
    if (got > 0) dechunk(d, bytes, (size_t)got);
    return d->in == DONE;
}

static void begin_pump(struct client *c, struct owner *o, size_t n) {
    *o = (struct owner){.more = pump, .left = n};
    client_send(c, GET);
    WAIT_FOR(fx.n_parked == 1);
    assert_true(sp_ok(begin_with(unpark(), o, PIECE + 16, true)));
    assert_int_equal(o->drained, 0);
    for (const char *end = "\r\n\r\n"; *end != '\0';) { /* up to the body */
        char byte;
        if (recv(c->fd, &byte, 1, MSG_DONTWAIT) == 1)
            end = byte == *end ? end + 1 : byte == '\r' ? "\n\r\n" : "\r\n\r\n";
        else
            step();
    }
}

static void long_body_is_made_as_it_is_read(void **state) {
    (void)state;
    enum { SIZE_OF_BODY = 32 * 1024 * 1024 + 5 };
    struct client c, other;
    static struct owner o;
    struct dechunker d = {0};
    client_open(&c);
    begin_pump(&c, &o, SIZE_OF_BODY);
    /* Who does not read is not written for. */
    size_t left;
    do {
        left = o.left;
        for (int i = 0; i < 20; i++) step();
    } while (o.left != left);
    assert_true(left > SIZE_OF_BODY / 2);
    /* Others have their turn. */
    fx.park = false;
    client_open(&other);
    client_send(&other, GET);
    while (!client_has(&other, "hello")) {
        assert_false(read_body(&c, &d, 256 * 1024));
        step();
    }
    WAIT_FOR(read_body(&c, &d, 256 * 1024));
    assert_int_equal(d.total, SIZE_OF_BODY);
    assert_true(o.drained > SIZE_OF_BODY / PIECE);
    assert_int_equal(o.gone, 0);
    client_close(&other);
    /* And the connection goes on. */
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "hello"));
    client_close(&c);
}

static void owner_without_more_to_write_is_not_asked_again(void **state) {
    (void)state;
    struct client c;
    static struct owner o = {0};
    client_open(&c);
    client_send(&c, GET);
    WAIT_FOR(fx.n_parked == 1);
    assert_true(sp_ok(begin_with(unpark(), &o, 0, true)));
    WAIT_FOR(o.drained == 1); /* the headers */
    for (int i = 0; i < 5; i++) step();
    assert_int_equal(o.drained, 1);
    write_text(&o, "a");
    write_text(&o, "b");
    assert_int_equal(o.drained, 1);
    WAIT_FOR(o.drained == 2);
    for (int i = 0; i < 5; i++) step();
    assert_int_equal(o.drained, 2);
    client_close(&c);
}

static void owner_of_short_writes_is_told_only_when_the_socket_had_not_taken_one(void **state) {
    (void)state;
    static const enum sp_http_drained blocked = SP_HTTP_DRAINED_BLOCKED;
    struct client c;
    static struct owner o = {0};
    client_pair(&c);
    client_send(&c, GET);
    WAIT_FOR(fx.n_parked == 1);
    assert_true(sp_ok(begin_and(unpark(), &o, 0, &blocked)));
    WAIT_FOR(client_has(&c, "\r\n\r\n"));
    write_text(&o, "a");
    for (int i = 0; i < 5; i++) step();
    assert_int_equal(o.drained, 0);
    fill(&o);
    for (int i = 0; i < 5; i++) step();
    assert_int_equal(o.drained, 0); /* not before it has */
    client_forget(&c);
    while (o.drained == 0) {
        (void)client_has(&c, "nothing of the kind");
        client_forget(&c);
        step();
    }
    write_text(&o, "b");
    for (int i = 0; i < 5; i++) step();
    assert_int_equal(o.drained, 1);
    client_close(&c);
}

static void end_with_bytes_pending_sends_them_all(void **state) {
    (void)state;
    struct client c;
    static struct owner o;
    struct dechunker d = {0};
    client_pair(&c);
    client_send(&c, GET);
    begin(&o, 0);
    WAIT_FOR(client_has(&c, "\r\n\r\n"));
    fill(&o);
    sp_http_stream_end(o.stream);
    assert_int_equal(stats().streams, 0);
    WAIT_FOR(read_body(&c, &d, 16 * 1024));
    assert_int_equal(d.total % PIECE, 0);
    assert_true(d.total > 0);
    fx.park = false;
    client_forget(&c);
    client_send(&c, GET);
    WAIT_FOR(client_has(&c, "hello"));
    client_close(&c);
}

/* --- Many. --- */

static size_t resident_kib(void) {
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    size_t pages = 0;
    assert_int_equal(fscanf(f, "%*s %zu", &pages), 1);
    (void)fclose(f);
    return pages * 4;
}

static int64_t now_us(void) {
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void thousands_get_the_same_bytes_at_once(void **state) {
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    const size_t n = limit.rlim_cur > 4200 ? 2000 : (limit.rlim_cur - 100) / 2;
    struct owner *owners = calloc(n, sizeof(*owners));
    int *fds = calloc(n, sizeof(*fds));
    assert_non_null(owners);
    assert_non_null(fds);
    static struct client c;
    const size_t before = resident_kib();
    for (size_t i = 0; i < n; i++) {
        client_open(&c);
        client_send(&c, GET);
        fds[i] = c.fd;
        begin(&owners[i], BOUND);
    }
    assert_int_equal(stats().streams, n);
    print_message("%zu streams, %zu bytes each\n", n, (resident_kib() - before) * 1024 / n);
    SP_AUTO(sp_buf) b = SP_BUF_INIT(256);
    struct sp_http_chunk chunk;
    assert_true(sp_ok(sp_http_chunk_make(SP_SLICE_LIT("event: beat\ndata: 1\n\n"), &b, &chunk)));
    const int64_t since = now_us();
    for (size_t i = 0; i < n; i++) assert_true(sp_ok(sp_http_stream_write_chunk(owners[i].stream, &chunk)));
    print_message("written to all in %lld us\n", (long long)(now_us() - since));
    for (size_t i = 0; i < n; i++) {
        c = (struct client){.fd = fds[i]};
        WAIT_FOR(client_has(&c, "15\r\nevent: beat\ndata: 1\n\n\r\n"));
        client_close(&c);
    }
    for (size_t i = 0; i < n; i++) WAIT_FOR(owners[i].gone == 1);
    assert_int_equal(stats().open, 0);
    free(owners);
    free(fds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(slow_reader_is_cut_at_the_bound_and_nobody_else),
        T(what_the_kernel_would_take_by_now_costs_nobody_his_stream),
        T(kernel_holds_little_for_a_reader_who_stopped),
        T_HASTY(stalled_reader_is_cut_by_the_clock),
        T_HASTY(reader_who_stopped_is_noticed_by_what_the_kernel_holds),
        T_HASTY(dripping_reader_is_cut_as_well),
        T_HASTY(reader_who_keeps_up_stays_though_something_is_always_pending),
        T(long_body_is_made_as_it_is_read),
        T(owner_without_more_to_write_is_not_asked_again),
        T(owner_of_short_writes_is_told_only_when_the_socket_had_not_taken_one),
        T(end_with_bytes_pending_sends_them_all),
        T(thousands_get_the_same_bytes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
