/* The words of the feed against answers that were computed apart from it (with Python's hashlib), and against
 * itself: what is written is read again, whatever the pieces. */
#include "support.h"

#include "revoke/feed.h"
#include "revoke/feed_snapshot.h"

#define ISSUER SP_SLICE_LIT("https://id.example.com")

static void count_up(uint8_t *p, size_t n, uint8_t from) {
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(from + i);
}
static void assert_hex(const uint8_t *got, size_t n, const char *want) {
    char text[128];
    for (size_t i = 0; i < n; i++) (void)snprintf(text + 2 * i, 3, "%02x", got[i]);
    assert_string_equal(text, want);
}
static void assert_signed(const struct sp_feed_signed *s, const char *want) {
    uint8_t hash[SP_SHA256_BYTES];
    sp_sha256(sp_feed_signed_slice(s), hash);
    assert_hex(hash, sizeof hash, want);
}

static struct sp_feed_revocation a_session(void) {
    struct sp_feed_revocation r = {.seq = 1042, .what = SP_FEED_SID, .until_s = 1767225600};
    count_up(r.id, 20, 0x20);
    return r;
}
static struct sp_feed_revocation a_user(void) {
    struct sp_feed_revocation r = {.seq = 1043, .what = SP_FEED_EPU, .epoch = 7, .until_s = 1767225601};
    count_up(r.id, 16, 0x40);
    return r;
}
static struct sp_feed_beat a_beat(void) {
    struct sp_feed_beat b = {.boot_ms = 123456789, .seq = 1043};
    uint8_t epoch[16];
    struct sp_feed_revocation first = a_session(), second = a_user();
    count_up(epoch, sizeof epoch, 0);
    count_up(b.node, sizeof b.node, 0x60);
    sp_feed_chain_start(epoch, b.head);
    sp_feed_chain_link(b.head, &first, b.head);
    sp_feed_chain_link(b.head, &second, b.head);
    memset(b.roles, 0xaa, sizeof b.roles);
    memset(b.keys, 0xbb, sizeof b.keys);
    return b;
}

/* ---- known answers ---- */

static void the_chain_is_as_documented(void **state) {
    (void)state;
    uint8_t epoch[16], head[32];
    struct sp_feed_revocation first = a_session(), second = a_user();
    count_up(epoch, sizeof epoch, 0);
    sp_feed_chain_start(epoch, head);
    assert_hex(head, 32, "22d9cad03487a104819494404a8034c44d4546ff16d6dce48b38f3bed7556c48");
    sp_feed_chain_link(head, &first, head);
    assert_hex(head, 32, "bbb046b78f75ef42273458cb25532b922f17fb56440a085da832502845ea24a8");
    sp_feed_chain_link(head, &second, head);
    assert_hex(head, 32, "c120d2d5ed0b1ae810111eeba9bc536a084e2dbdeeaf1203c250da1cf1ec5927");
}

static void signed_texts_are_as_documented(void **state) {
    (void)state;
    struct sp_feed_signed s;
    uint8_t epoch[16], body[32], a[32], b[32];
    struct sp_feed_beat beat = a_beat();
    struct sp_feed_nonce_answer answer = {.boot_ms = 123456790};
    count_up(epoch, sizeof epoch, 0);
    count_up(answer.epoch, 16, 0);
    count_up(answer.node, 16, 0x60);
    count_up(answer.nonce, 16, 0x70);
    sp_sha256(SP_SLICE_LIT("body"), body);
    memset(a, 0xaa, sizeof a);
    memset(b, 0xbb, sizeof b);

    assert_true(sp_ok(sp_feed_signed_beat(ISSUER, epoch, &beat, &s)));
    assert_int_equal(s.n, 190);
    assert_signed(&s, "f8c2d04f3d031daee277cf348ebeea414910ef04b84231f606bfd801bb5fcb9b");
    assert_true(sp_ok(sp_feed_signed_nonce(ISSUER, &answer, &s)));
    assert_signed(&s, "9b216683855a77a22ac68b234d6b67faf08b3f1586b7eae64f14b85044467df7");
    assert_true(sp_ok(sp_feed_signed_snapshot(ISSUER, body, &s)));
    assert_signed(&s, "c639d538df91812ea678cae6909f0cc3963ac4983144b2088de3c10f8e405170");
    assert_true(sp_ok(sp_feed_signed_succession(ISSUER, a, b, &s)));
    assert_signed(&s, "d2e28f607455cc3092de3ab08a13bc7c7c53633ecfd6e4cd4f02578b61763062");
}

static void an_issuer_that_is_too_long_is_not_cut(void **state) {
    (void)state;
    static uint8_t issuer[SP_FEED_ISSUER_BYTES_MAX + 1];
    uint8_t epoch[16] = {0};
    struct sp_feed_beat beat = a_beat();
    struct sp_feed_signed s;
    assert_true(sp_ok(sp_feed_signed_beat(sp_slice_of(issuer, SP_FEED_ISSUER_BYTES_MAX), epoch, &beat, &s)));
    assert_int_equal(sp_feed_signed_beat(SP_SLICE_ARRAY(issuer), epoch, &beat, &s).code, SP_E_LIMIT);
}

static void a_revocation_is_written_as_documented(void **state) {
    (void)state;
    uint8_t epoch[16];
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    struct sp_feed_revocation first = a_session(), second = a_user();
    count_up(epoch, sizeof epoch, 0);
    assert_true(sp_ok(sp_feed_write_revocation(epoch, &first, &out)));
    assert_true(sp_ok(sp_feed_write_revocation(epoch, &second, &out)));
    assert_true(sp_slice_eq_cstr(
        sp_buf_slice(&out), "id: AAECAwQFBgcICQoLDA0ODw:1042\nevent: revoke\n"
                            "data: {\"sid\":\"ICEiIyQlJicoKSorLC0uLzAxMjM\",\"until\":1767225600}\n\n"
                            "id: AAECAwQFBgcICQoLDA0ODw:1043\nevent: epoch\n"
                            "data: {\"sub\":\"QEFCQ0RFRkdISUpLTE1OTw\",\"epu\":7,\"until\":1767225601}\n\n"));
}

/* ---- there and back ---- */

static void feed_bytes(struct sp_feed_reader *r, sp_slice bytes, size_t step, struct sp_feed_event *got,
                       struct sp_buf *names) {
    while (bytes.n != 0) {
        sp_slice piece = sp_slice_of(bytes.p, bytes.n < step ? bytes.n : step);
        bytes = sp_slice_of(bytes.p + piece.n, bytes.n - piece.n);
        for (;;) {
            bool complete;
            assert_true(sp_ok(sp_feed_reader_next(r, &piece, &complete, got)));
            if (!complete) break;
            assert_true(sp_ok(sp_buf_append(names, got->name)));
            assert_true(sp_ok(sp_buf_append_u8(names, '=')));
            assert_true(sp_ok(sp_buf_append(names, got->id)));
            assert_true(sp_ok(sp_buf_append_u8(names, '=')));
            assert_true(sp_ok(sp_buf_append(names, got->data)));
            assert_true(sp_ok(sp_buf_append_u8(names, ';')));
        }
    }
}

static void pieces_of_any_size_give_the_same_events(void **state) {
    (void)state;
    static const char text[] =
        ": a comment\r\n\r\nid: 1\nevent: revoke\ndata: {}\n\n"
        "event:beat\r\ndata:a\r\ndata: b\r\ndata\r\n\r\nretry: 5\rdata: x\r\rid\ndata: y\n\n";
    for (size_t step = 1; step <= sizeof text; step++) {
        SP_AUTO_FREE(sp_feed_reader) r = NULL;
        SP_AUTO(sp_buf) seen = SP_BUF_INIT(4096);
        struct sp_feed_event got;
        assert_true(sp_ok(sp_feed_reader_new(&r)));
        feed_bytes(r, sp_slice_of(text, sizeof text - 1), step, &got, &seen);
        assert_true(
            sp_slice_eq_cstr(sp_buf_slice(&seen), "revoke=1={};beat=1=a\nb\n;message=1=x;message==y;"));
    }
}

static void every_kind_of_revocation_comes_back(void **state) {
    (void)state;
    uint8_t epoch[16], got_epoch[16];
    count_up(epoch, sizeof epoch, 9);
    for (int what = SP_FEED_JTI; what <= SP_FEED_EPG; what++) {
        SP_AUTO_FREE(sp_feed_reader) r = NULL;
        SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
        struct sp_feed_revocation in = {.seq = 77, .what = (enum sp_feed_what)what, .until_s = 5}, back;
        struct sp_feed_event event;
        bool complete;
        if (what != SP_FEED_EPG) count_up(in.id, what == SP_FEED_SID ? 20 : 16, 1);
        if (what >= SP_FEED_EPU) in.epoch = UINT32_MAX;
        assert_true(sp_ok(sp_feed_write_revocation(epoch, &in, &out)));
        assert_true(sp_ok(sp_feed_reader_new(&r)));
        sp_slice piece = sp_buf_slice(&out);
        assert_true(sp_ok(sp_feed_reader_next(r, &piece, &complete, &event)));
        assert_true(complete);
        assert_true(sp_ok(sp_feed_read_revocation(event.name, event.id, event.data, got_epoch, &back)));
        assert_memory_equal(epoch, got_epoch, sizeof epoch);
        assert_int_equal(back.seq, in.seq);
        assert_int_equal(back.what, in.what);
        assert_int_equal(back.epoch, in.epoch);
        assert_int_equal(back.until_s, in.until_s);
        assert_memory_equal(back.id, in.id, sizeof in.id);
    }
}

static void a_beat_an_answer_and_a_hello_come_back(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    struct sp_feed_beat beat = a_beat(), beat_back;
    memset(beat.kid, 1, sizeof beat.kid);
    memset(beat.signature, 2, sizeof beat.signature);
    assert_true(sp_ok(sp_feed_write_beat(&beat, &out)));
    const size_t skip = strlen("event: beat\ndata: ");
    assert_true(sp_ok(sp_feed_read_beat(sp_slice_of(out.p + skip, out.n - skip - 2), &beat_back)));
    assert_memory_equal(&beat, &beat_back, sizeof beat);

    struct sp_feed_nonce_answer answer = {.boot_ms = 4}, answer_back;
    count_up(answer.nonce, 16, 3);
    sp_buf_clear(&out);
    assert_true(sp_ok(sp_feed_write_nonce_answer(&answer, &out)));
    assert_true(sp_ok(sp_feed_read_nonce_answer(sp_buf_slice(&out), &answer_back)));
    assert_memory_equal(&answer, &answer_back, sizeof answer);

    struct sp_feed_hello hello = {.issuer = ISSUER, .seq = 12, .beat_ms = 500}, hello_back;
    sp_buf_clear(&out);
    assert_true(sp_ok(sp_feed_write_hello(&hello, &out)));
    const size_t skip_hello = strlen("event: hello\ndata: ");
    assert_true(
        sp_ok(sp_feed_read_hello(sp_slice_of(out.p + skip_hello, out.n - skip_hello - 2), &hello_back)));
    assert_true(sp_slice_eq(hello_back.issuer, ISSUER));
    assert_int_equal(hello_back.seq, 12);
}

/* ---- what is refused ---- */

static void whatever_is_not_exactly_of_the_form_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *event, *id, *data;
    } rows[] = {
        {"revoke", "AAECAwQFBgcICQoLDA0ODw:1", "{\"jti\":\"AAECAwQFBgcICQoLDA0ODw\"}"},
        {"revoke", "AAECAwQFBgcICQoLDA0ODw:1", "{\"until\":1}"},
        {"revoke", "AAECAwQFBgcICQoLDA0ODw:1", "{\"jti\":\"AAECAwQFBgcICQoLDA0ODw\",\"until\":-1}"},
        {"revoke", "AAECAwQFBgcICQoLDA0ODw:1", "{\"jti\":\"AAECAwQFBgcICQoLDA0ODw\",\"until\":1.0}"},
        {"revoke", "AAECAwQFBgcICQoLDA0ODw:1", "{\"jti\":\"AAECAwQFBgcICQoLDA0ODw\",\"until\":1,\"x\":2}"},
        {"revoke", "AAECAwQFBgcICQoLDA0ODw:1", "{\"jti\":\"AAECAwQFBgcICQoLDA0ODx\",\"until\":1}"},
        {"revoke", "AAECAwQFBgcICQoLDA0ODw:1", "{\"jti\":\"AAECAwQFBgcICQoLDA0O\",\"until\":1}"},
        {"revoke", "AAECAwQFBgcICQoLDA0ODw:1", "{\"sid\":\"AAECAwQFBgcICQoLDA0ODw\",\"until\":1}"},
        {"revoke", "AAECAwQFBgcICQoLDA0ODw:1",
         "{\"jti\":\"AAECAwQFBgcICQoLDA0ODw\",\"jti\":\"AAECAwQFBgcICQoLDA0ODw\",\"until\":1}"},
        {"epoch", "AAECAwQFBgcICQoLDA0ODw:1", "{\"sub\":\"AAECAwQFBgcICQoLDA0ODw\",\"until\":1}"},
        {"epoch", "AAECAwQFBgcICQoLDA0ODw:1", "{\"epg\":4294967296,\"until\":1}"},
        {"epoch", "AAECAwQFBgcICQoLDA0ODw:1", "{\"sub\":\"AAECAwQFBgcICQoLDA0ODw\",\"epg\":1,\"until\":1}"},
        {"epoch", "", "{\"epg\":1,\"until\":1}"},
        {"epoch", "AAECAwQFBgcICQoLDA0ODw", "{\"epg\":1,\"until\":1}"},
        {"epoch", "AAECAwQFBgcICQoLDA0ODw:", "{\"epg\":1,\"until\":1}"},
        {"epoch", "AAECAwQFBgcICQoLDA0ODw:01", "{\"epg\":1,\"until\":1}"},
        {"epoch", "AAECAwQFBgcICQoLDA0ODw:+1", "{\"epg\":1,\"until\":1}"},
        {"epochs", "AAECAwQFBgcICQoLDA0ODw:1", "{\"epg\":1,\"until\":1}"},
        {"epoch", "AAECAwQFBgcICQoLDA0ODw:1", "[]"},
        {"epoch", "AAECAwQFBgcICQoLDA0ODw:1", ""},
    };
    uint8_t epoch[16];
    struct sp_feed_revocation r;
    for (size_t i = 0; i < SP_ARRAY_LEN(rows); i++) {
        sp_status s = sp_feed_read_revocation(sp_slice_cstr(rows[i].event), sp_slice_cstr(rows[i].id),
                                              sp_slice_cstr(rows[i].data), epoch, &r);
        if (s.code != SP_E_MALFORMED) print_error("row %zu is read\n", i);
        assert_int_equal(s.code, SP_E_MALFORMED);
    }
    assert_true(sp_ok(sp_feed_read_revocation(SP_SLICE_LIT("epoch"), SP_SLICE_LIT("AAECAwQFBgcICQoLDA0ODw:1"),
                                              SP_SLICE_LIT("{\"epg\":1,\"until\":1}"), epoch, &r)));
}

static enum sp_code feed_flood(const char *head, size_t n) {
    SP_AUTO_FREE(sp_feed_reader) r = NULL;
    struct sp_feed_event event;
    bool complete;
    sp_slice piece = sp_slice_cstr(head);
    sp_status s;
    assert_true(sp_ok(sp_feed_reader_new(&r)));
    assert_true(sp_ok(sp_feed_reader_next(r, &piece, &complete, &event)));
    uint8_t x[1000];
    memset(x, 'x', sizeof x);
    for (size_t i = 0; i < n / sizeof x; i++) {
        piece = SP_SLICE_ARRAY(x);
        s = sp_feed_reader_next(r, &piece, &complete, &event);
        if (!sp_ok(s)) return s.code;
    }
    return SP_OK;
}

static void a_line_without_end_is_refused(void **state) {
    (void)state;
    assert_int_equal(feed_flood("event: beat\ndata: ", 8000), SP_E_LIMIT);
    assert_int_equal(feed_flood("event: roles\ndata: ", 8000), SP_OK);
    assert_int_equal(feed_flood("event: roles\ndata: ", (size_t)SP_FEED_DOCUMENT_BYTES_MAX + 2000),
                     SP_E_LIMIT);
    assert_int_equal(feed_flood("", 8000), SP_E_LIMIT);
}

static void nul_and_broken_text_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"data: \xff\n", "data: \xc0\x80\n"};
    for (size_t i = 0; i < 3; i++) {
        SP_AUTO_FREE(sp_feed_reader) r = NULL;
        struct sp_feed_event event;
        bool complete;
        sp_slice piece = i < 2 ? sp_slice_cstr(bad[i]) : sp_slice_of("data: a\0b\n", 10);
        assert_true(sp_ok(sp_feed_reader_new(&r)));
        assert_int_equal(sp_feed_reader_next(r, &piece, &complete, &event).code, SP_E_MALFORMED);
    }
}

/* ---- snapshots ---- */

static void write_snapshot(struct sp_buf *out, uint8_t body[32]) {
    struct sp_snapshot_writer w;
    struct sp_snapshot_header header = {.at = {.seq = 9}, .time_s = 1767225600, .global_epoch = 3};
    struct sp_snapshot_entry entries[] = {{1, 2}, {UINT64_MAX, UINT32_MAX}, {7, 8}};
    struct sp_snapshot_user users[] = {{.epoch = 4, .until_s = 5}};
    struct sp_snapshot_trailer trailer = {{1}, {2}};
    count_up(header.at.epoch, 16, 1);
    assert_true(sp_ok(sp_snapshot_begin(&w, &header, out)));
    assert_true(sp_ok(sp_snapshot_entries(&w, entries, 2, out)));
    assert_true(sp_ok(sp_snapshot_users(&w, users, 1, out)));
    assert_true(sp_ok(sp_snapshot_entries(&w, entries + 2, 1, out)));
    assert_true(sp_ok(sp_snapshot_end(&w, out, body)));
    assert_true(sp_ok(sp_snapshot_trailer(&trailer, out)));
}

/* Reads all of it in pieces of `step`; the parts seen as letters. */
static sp_status read_snapshot(sp_slice bytes, size_t step, char *parts, struct sp_snapshot_reader *r) {
    sp_snapshot_reader_init(r);
    while (bytes.n != 0) {
        sp_slice piece = sp_slice_of(bytes.p, bytes.n < step ? bytes.n : step);
        bytes = sp_slice_of(bytes.p + piece.n, bytes.n - piece.n);
        while (piece.n != 0) {
            enum sp_snapshot_part part;
            SP_TRY(sp_snapshot_reader_next(r, &piece, &part));
            if (part != SP_SNAPSHOT_MORE) *parts++ = "?heuE"[part];
        }
    }
    *parts = 0;
    return SP_SUCCESS;
}

static void a_snapshot_comes_back_from_any_pieces(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    uint8_t body[32], hash[32];
    struct sp_snapshot_reader r;
    write_snapshot(&out, body);
    sp_sha256(sp_slice_of(out.p, out.n - SP_SNAPSHOT_TRAILER_BYTES), hash);
    assert_memory_equal(hash, body, 32);
    for (size_t step = 1; step <= out.n; step++) {
        char parts[16];
        assert_true(sp_ok(read_snapshot(sp_buf_slice(&out), step, parts, &r)));
        assert_string_equal(parts, "heeueE");
        assert_memory_equal(r.body, body, 32);
        assert_int_equal(r.part.trailer.signature[0], 2);
    }
}

static void a_snapshot_cut_anywhere_has_no_end_and_a_longer_one_is_refused(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    uint8_t body[32];
    char parts[16];
    struct sp_snapshot_reader r;
    write_snapshot(&out, body);
    for (size_t n = 0; n < out.n; n++) {
        assert_true(sp_ok(read_snapshot(sp_slice_of(out.p, n), 16, parts, &r)));
        assert_null(strchr(parts, 'E'));
    }
    assert_true(sp_ok(sp_buf_append_u8(&out, 0)));
    assert_int_equal(read_snapshot(sp_buf_slice(&out), out.n, parts, &r).code, SP_E_MALFORMED);
}

/* Whatever is changed or left out: either it does not parse, or another hash is to be signed. */
static void any_altered_byte_of_a_snapshot_is_noticed(void **state) {
    (void)state;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
    uint8_t body[32];
    char parts[64];
    struct sp_snapshot_reader r;
    write_snapshot(&out, body);
    for (size_t i = 0; i < out.n - SP_SNAPSHOT_TRAILER_BYTES; i++) {
        out.p[i] ^= 1;
        sp_status s = read_snapshot(sp_buf_slice(&out), 64, parts, &r);
        const bool ended = sp_ok(s) && strchr(parts, 'E') != NULL;
        assert_false(ended && memcmp(r.body, body, 32) == 0);
        out.p[i] ^= 1;
    }
}

static void an_empty_or_huge_block_is_refused(void **state) {
    (void)state;
    struct sp_snapshot_writer w;
    struct sp_snapshot_header header = {.global_epoch = 3};
    static const uint32_t counts[] = {0, SP_SNAPSHOT_BLOCK_ROWS_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < SP_ARRAY_LEN(counts); i++) {
        SP_AUTO(sp_buf) out = SP_BUF_INIT(4096);
        struct sp_snapshot_reader r;
        char parts[16];
        assert_true(sp_ok(sp_snapshot_begin(&w, &header, &out)));
        assert_true(sp_ok(sp_buf_append_u8(&out, 1)));
        assert_true(sp_ok(sp_buf_append_u32be(&out, counts[i])));
        assert_int_equal(read_snapshot(sp_buf_slice(&out), 16, parts, &r).code, SP_E_MALFORMED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_is_as_documented),
        cmocka_unit_test(signed_texts_are_as_documented),
        cmocka_unit_test(an_issuer_that_is_too_long_is_not_cut),
        cmocka_unit_test(a_revocation_is_written_as_documented),
        cmocka_unit_test(pieces_of_any_size_give_the_same_events),
        cmocka_unit_test(every_kind_of_revocation_comes_back),
        cmocka_unit_test(a_beat_an_answer_and_a_hello_come_back),
        cmocka_unit_test(whatever_is_not_exactly_of_the_form_is_refused),
        cmocka_unit_test(a_line_without_end_is_refused),
        cmocka_unit_test(nul_and_broken_text_are_refused),
        cmocka_unit_test(a_snapshot_comes_back_from_any_pieces),
        cmocka_unit_test(a_snapshot_cut_anywhere_has_no_end_and_a_longer_one_is_refused),
        cmocka_unit_test(any_altered_byte_of_a_snapshot_is_noticed),
        cmocka_unit_test(an_empty_or_huge_block_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
