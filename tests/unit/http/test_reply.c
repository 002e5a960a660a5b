/* From an exchange to a stream: what its client and its owner get, and what is seen of it. */
#include "fake.h"
#include "http/exchange.h"

static struct sp_http_seen last;
static size_t times_seen, times_gone;

static void note_seen(void *arg, const struct sp_http_seen *seen) {
    (void)arg;
    last = *seen;
    times_seen++;
}

static void note_gone(void *arg, enum sp_http_gone why) {
    (void)arg;
    (void)why;
    times_gone++;
}

static struct sp_http_api api;
static const struct sp_http_stream_opts opts = {.on_gone = note_gone};

static struct sp_exchange *exchange(void) {
    struct sp_exchange *x = calloc(1, sizeof(*x));
    assert_non_null(x);
    api = (struct sp_http_api){.log = sp_log_none, .seen = note_seen};
    x->api = &api;
    x->req = fake_request("GET /feed");
    sp_buf_init(&x->out, 4096);
    sp_buf_init(&x->header_text, SP_REPLY_HEADER_TEXT_BYTES_MAX);
    x->json = SP_JSON_OUT(&x->out);
    memset(x->request_id, 'r', sizeof(x->request_id));
    times_seen = times_gone = 0;
    return x;
}

static void stream_has_the_headers_of_every_answer_and_is_seen_once(void **state) {
    (void)state;
    struct sp_exchange *x = exchange();
    struct sp_http_stream *s = NULL;
    sp_x_header(x, "Content-Type", SP_SLICE_LIT("text/event-stream"));
    assert_true(sp_ok(sp_x_stream(x, 200, &opts, &s)));
    assert_true(reply.streamed);
    assert_status(200);
    assert_string_equal(header("Cache-Control", 0), "no-store");
    assert_string_equal(header("Content-Type", 0), "text/event-stream");
    assert_int_equal(times_seen, 1);
    assert_int_equal(last.status, 200);
    assert_true(sp_ok(sp_http_stream_write(s, SP_SLICE_LIT("data"))));
    sp_http_stream_end(s);
    assert_string_equal(reply.body, "data");
    assert_int_equal(times_seen, 1);
    assert_int_equal(times_gone, 0);
}

static void body_built_before_the_stream_is_not_sent(void **state) {
    (void)state;
    struct sp_exchange *x = exchange();
    struct sp_http_stream *s = NULL;
    sp_json_out_object(&x->json, NULL);
    assert_true(sp_ok(sp_x_stream(x, 200, &opts, &s)));
    assert_int_equal(reply.body_n, 0);
    fake_stream_gone(SP_HTTP_GONE_CLIENT);
    assert_int_equal(times_gone, 1);
}

static void headers_that_do_not_fit_are_a_500_and_no_stream(void **state) {
    (void)state;
    struct sp_exchange *x = exchange();
    struct sp_http_stream *s = NULL;
    for (int i = 0; i < SP_REPLY_HEADERS_MAX; i++) sp_x_header(x, "X-Secret", SP_SLICE_LIT("s"));
    assert_false(sp_ok(sp_x_stream(x, 200, &opts, &s)));
    assert_null(s);
    assert_false(reply.streamed);
    assert_problem(500, "internal_error");
    assert_null(header("X-Secret", 0));
    assert_int_equal(times_seen, 1);
    assert_int_equal(last.status, 500);
}

static void refused_stream_leaves_nothing_behind(void **state) {
    (void)state;
    struct sp_exchange *x = exchange();
    struct sp_http_stream *s = NULL;
    fake.stream_refused = sp_err(SP_E_NOMEM);
    assert_true(sp_is(sp_x_stream(x, 200, &opts, &s), SP_E_NOMEM));
    assert_null(s);
    assert_int_equal(reply.times, 1);
    assert_int_equal(times_seen, 1);
    assert_int_equal(times_gone, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {T(stream_has_the_headers_of_every_answer_and_is_seen_once),
                                       T(body_built_before_the_stream_is_not_sent),
                                       T(headers_that_do_not_fit_are_a_500_and_no_stream),
                                       T(refused_stream_leaves_nothing_behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
