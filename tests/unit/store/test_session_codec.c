#include "store/session_codec.h"

#include "fixture.h"

static struct sp_session_row full_row(void) {
    struct sp_session_row row = make_session(1, 1);
    text_set(&row.act, "someone");
    row.state = SP_SESSION_TRIPPED;
    row.cause = SP_END_REUSE_DETECTED;
    row.ended_ms = NOW_MS;
    row.has_attempt = row.generation_used = true;
    memset(row.attempt, 0x5a, sizeof(row.attempt));
    row.rotated_ms[3] = -1;
    row.refreshes = 77;
    row.global_epoch = UINT32_MAX;
    row.absolute_expires_ms = INT64_MAX;
    row.access_exp_max_s = INT64_MIN;
    memset(row.parent, 0x9a, sizeof(row.parent));
    row.offline = row.backchannel = true;
    return row;
}

struct coded {
    uint8_t hot[SP_SESSION_HOT_BYTES], login[SP_SESSION_LOGIN_BYTES_MAX];
    size_t login_n;
};

static struct coded encode(const struct sp_session_row *row) {
    struct coded c;
    sp_session_hot_encode(row, c.hot);
    c.login_n = sp_session_login_encode(row, c.login);
    return c;
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    struct sp_session_row row = full_row(), back;
    struct coded c = encode(&row);
    memset(&back, 0, sizeof(back));
    back.tenant = row.tenant;
    memcpy(back.sid, row.sid, sizeof(row.sid));
    memcpy(back.user_id, row.user_id, sizeof(row.user_id));
    assert_true(sp_ok(sp_session_hot_decode(SP_SLICE_ARRAY(c.hot), &back)));
    assert_true(sp_ok(sp_session_login_decode(sp_slice_of(c.login, c.login_n), &back)));
    assert_memory_equal(&back, &row, sizeof(row));
}

#define FILL(text)                                                                                           \
    do {                                                                                                     \
        memset((text)->s, 'x', sizeof((text)->s));                                                           \
        (text)->n = sizeof((text)->s);                                                                       \
    } while (0)

static void the_longest_login_fits(void **state) {
    (void)state;
    struct sp_session_row row = full_row(), back;
    FILL(&row.client_id);
    FILL(&row.aud);
    FILL(&row.scope);
    FILL(&row.acr);
    FILL(&row.amr);
    FILL(&row.jkt);
    FILL(&row.act);
    FILL(&row.device);
    FILL(&row.address);
    FILL(&row.user_agent);
    struct coded c = encode(&row);
    assert_int_equal(c.login_n, SP_SESSION_LOGIN_BYTES_MAX);
    assert_true(sp_ok(sp_session_login_decode(sp_slice_of(c.login, c.login_n), &back)));
}

static void a_row_of_a_browser_is_compact(void **state) {
    (void)state;
    struct sp_session_row row = make_session(1, 1);
    text_set(&row.user_agent, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
    struct coded c = encode(&row);
    assert_true(sizeof(c.hot) + c.login_n + sizeof(row.sid) + sizeof(row.user_id) < 400);
}

/* A row without a family is what it always was: version 1. A child costs its parent's 20 bytes and one. */
static void families_have_one_encoding(void **state) {
    (void)state;
    struct sp_session_row row = make_session(1, 1), back;
    const struct coded plain = encode(&row);
    assert_int_equal(plain.login[0], 1);
    memset(&back, 0xff, sizeof(back));
    assert_true(sp_ok(sp_session_login_decode(sp_slice_of(plain.login, plain.login_n), &back)));
    assert_memory_equal(back.parent, row.parent, sizeof(row.parent));
    assert_false(back.offline || back.backchannel);
    for (unsigned flags = 1; flags < 4; flags++) {
        row.offline = (flags & 1) != 0;
        row.backchannel = (flags & 2) != 0;
        struct coded c = encode(&row);
        assert_int_equal(c.login[0], 2);
        assert_int_equal(c.login_n, plain.login_n + 1);
        assert_true(sp_ok(sp_session_login_decode(sp_slice_of(c.login, c.login_n), &back)));
        assert_int_equal(back.offline, row.offline);
        assert_int_equal(back.backchannel, row.backchannel);
        c.login[c.login_n - 1] = 0; /* version 2 that says nothing */
        assert_false(sp_ok(sp_session_login_decode(sp_slice_of(c.login, c.login_n), &back)));
        c.login[c.login_n - 1] = 8; /* a flag that nobody knows */
        assert_false(sp_ok(sp_session_login_decode(sp_slice_of(c.login, c.login_n), &back)));
    }
    memset(row.parent, 1, sizeof(row.parent));
    struct coded child = encode(&row);
    assert_int_equal(child.login_n, plain.login_n + 1 + SP_ROW_SID_BYTES);
    assert_true(sp_ok(sp_session_login_decode(sp_slice_of(child.login, child.login_n), &back)));
    assert_memory_equal(back.parent, row.parent, sizeof(row.parent));
    memset(child.login + child.login_n - SP_ROW_SID_BYTES, 0, SP_ROW_SID_BYTES); /* a parent that is none */
    assert_false(sp_ok(sp_session_login_decode(sp_slice_of(child.login, child.login_n), &back)));
}

static void versions_of_nobody_are_refused(void **state) {
    (void)state;
    struct sp_session_row row = full_row(), back;
    struct coded c = encode(&row);
    for (unsigned version = 0; version < 256; version++) {
        c.login[0] = (uint8_t)version;
        const bool read = sp_ok(sp_session_login_decode(sp_slice_of(c.login, c.login_n), &back));
        assert_int_equal(read, version == 2);
    }
}

/* Cut anywhere, or with a byte more: refused. */
static void wrong_lengths_are_refused(void **state) {
    (void)state;
    struct sp_session_row row = full_row(), back;
    struct coded c = encode(&row);
    uint8_t longer[SP_SESSION_LOGIN_BYTES_MAX + 1];
    for (size_t n = 0; n < sizeof(c.hot); n++)
        assert_false(sp_ok(sp_session_hot_decode(sp_slice_of(c.hot, n), &back)));
    for (size_t n = 0; n < c.login_n; n++)
        assert_false(sp_ok(sp_session_login_decode(sp_slice_of(c.login, n), &back)));
    memcpy(longer, c.hot, sizeof(c.hot));
    assert_false(sp_ok(sp_session_hot_decode(sp_slice_of(longer, sizeof(c.hot) + 1), &back)));
    memcpy(longer, c.login, c.login_n);
    longer[c.login_n] = 0;
    assert_false(sp_ok(sp_session_login_decode(sp_slice_of(longer, c.login_n + 1), &back)));
}

static void values_out_of_range_are_refused(void **state) {
    (void)state;
    struct sp_session_row row = full_row(), back;
    const struct coded good = encode(&row);
    static const struct {
        size_t at;
        uint8_t value;
    } bad_hot[] = {
        {0, 0},          {0, 2}, {1, 0}, {1, 4}, {2, SP_END_CAUSE_COUNT}, {3, 4}, {1, SP_SESSION_ACTIVE},
        {2, SP_END_NONE}};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad_hot); i++) {
        struct coded c = good;
        c.hot[bad_hot[i].at] = bad_hot[i].value;
        assert_false(sp_ok(sp_session_hot_decode(SP_SLICE_ARRAY(c.hot), &back)));
    }
    for (uint8_t mode = 0; mode < 5; mode++) {
        struct coded c = good;
        c.login[1] = mode;
        bool known = mode == SP_MODE_TOKEN || mode == SP_MODE_COOKIE;
        assert_int_equal(sp_ok(sp_session_login_decode(sp_slice_of(c.login, c.login_n), &back)), known);
    }
}

static void a_text_longer_than_its_place_is_refused(void **state) {
    (void)state;
    struct sp_session_row row = make_session(1, 1), back;
    FILL(&row.client_id);
    struct coded c = encode(&row);
    c.login[3 + 4 + 24 + 1] = 129; /* 128 fit */
    assert_false(sp_ok(sp_session_login_decode(sp_slice_of(c.login, c.login_n), &back)));
}

/* The disk is another author: whatever stands there, nothing but an answer comes out (run under sanitizers).
 */
static void any_flipped_bit_is_survived(void **state) {
    (void)state;
    struct sp_session_row row = full_row(), back;
    struct coded c = encode(&row);
    unsigned refused = 0;
    for (size_t bit = 0; bit < c.login_n * 8; bit++) {
        c.login[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        refused += !sp_ok(sp_session_login_decode(sp_slice_of(c.login, c.login_n), &back));
        c.login[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    assert_true(refused > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(the_longest_login_fits),
        cmocka_unit_test(a_row_of_a_browser_is_compact),
        cmocka_unit_test(families_have_one_encoding),
        cmocka_unit_test(versions_of_nobody_are_refused),
        cmocka_unit_test(wrong_lengths_are_refused),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(a_text_longer_than_its_place_is_refused),
        cmocka_unit_test(any_flipped_bit_is_survived),
    };
    return cmocka_run_group_tests_name("session codec", tests, NULL, NULL);
}
