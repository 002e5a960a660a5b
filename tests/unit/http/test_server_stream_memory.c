/* Every allocation of a stream's life fails once: its owner is told, or was refused, exactly once; what was
 * sent is a whole answer or visibly none; nothing is left over. */
#include "failing_malloc.h"
#include "stream_fixture.h"

static bool failed;
static bool pipelined; /* and more than the buffers of the socket take */
static struct owner owner;
static size_t begun, ended;

static void stream_all(struct sp_http_req *req) {
    static const uint8_t bytes[64 * 1024];
    owner.stream = NULL;
    if (!sp_ok(begin_with(req, &owner, 1024 * 1024, false))) return;
    begun++;
    size_t n = pipelined ? 8 : 1;
    while (n > 0 && sp_ok(sp_http_stream_write(owner.stream, sp_slice_of(bytes, sizeof(bytes))))) n--;
    if (n > 0) return;
    ended++;
    sp_http_stream_end(owner.stream);
}

/* What came, in c->got from its beginning; the rest is thrown away. */
static bool read_on(struct client *c) {
    static char scrap[64 * 1024];
    if (c->n < 16)
        client_receive(c);
    else if (recv(c->fd, scrap, sizeof(scrap), MSG_DONTWAIT) == 0)
        c->ended = true;
    return c->ended;
}

/* One connection from its first byte to its end, the n-th allocation of it failing. */
static void once(uint64_t n) {
    static struct client c;
    owner = (struct owner){0};
    begun = ended = 0;
    client_pair(&c);
    client_send(&c, pipelined ? GET "GET /2 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"
                              : "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    failing_malloc_arm(n, 1);
    WAIT_FOR(read_on(&c));
    WAIT_FOR(stats().open == 0);
    step();
    failed = failing_malloc_disarm();
    if (c.n > 0) assert_memory_equal(c.got, "HTTP/1.1 ", 9);
    if (!failed) assert_int_equal(ended, pipelined ? 2 : 1);
    assert_int_equal(begun, ended + owner.gone);
    assert_int_equal(stats().streams, 0);
    assert_int_equal(stats().parked, 0);
    client_close(&c);
}

static void every_failure(void) {
    fx.park = false;
    fx.handle = stream_all;
    uint64_t n = 0;
    do {
        once(++n);
        assert_true(n < 1000);
    } while (failed);
    assert_true(n > 2);
}

static void short_stream_survives_each_failure(void **state) {
    (void)state;
    pipelined = false;
    every_failure();
}

static void blocked_and_pipelined_stream_survives_each_failure(void **state) {
    (void)state;
    pipelined = true;
    every_failure();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(short_stream_survives_each_failure, start_streams, stop),
        cmocka_unit_test_setup_teardown(blocked_and_pipelined_stream_survives_each_failure, start_streams,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
