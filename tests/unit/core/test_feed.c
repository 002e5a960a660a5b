/* The feed as it stands: beats, the backlog, watchers, documents, snapshots. */
#include "feed_fixture.h"

#include "base/json.h"

static const struct sp_feed_key *feed_key(struct fixture *f, size_t i) {
    const struct sp_feed_key *keys;
    sp_seats_enter(f->seats);
    const size_t n = sp_snapshot_feed_keys(sp_keys_now(f->keys), &keys);
    sp_seats_leave(f->seats);
    assert_true(i < n);
    return &keys[i];
}

static void assert_signed(struct fixture *f, const struct sp_feed_signed *text, const uint8_t *kid,
                          const uint8_t *signature) {
    const struct sp_feed_key *key = feed_key(f, 0);
    assert_memory_equal(kid, key->thumbprint, SP_SHA256_BYTES);
    OK(sp_sig_verify(key->key, SP_ALG_EDDSA, sp_feed_signed_slice(text),
                     sp_slice_of(signature, SP_FEED_SIGNATURE_BYTES)));
}

/* ---- beats ---- */

static void beat_signs_the_position_the_chain_and_the_documents(void **state) {
    struct fixture *f = *state;
    struct sp_feed_frame frame;
    struct sp_feed_signed text;
    for (int i = 0; i < 3; i++) revoke_one(f);
    OK(sp_feed_beat(f->feed, &frame));
    assert_int_equal(frame.beat.seq, 103);
    assert_int_equal(frame.at.seq, 103);
    assert_memory_equal(frame.beat.head, f->head, sizeof(f->head));
    assert_int_equal(frame.beat.boot_ms, f->boot_ms);
    assert_memory_equal(frame.beat.roles, frame.roles->digest, SP_FEED_DIGEST_BYTES);
    OK(sp_feed_signed_beat(ISSUER, epoch, &frame.beat, &text));
    assert_signed(f, &text, frame.beat.kid, frame.beat.signature);
    sp_feed_frame_done(&frame);
}

static void nonce_answer_is_signed_and_its_clock_is_not_early(void **state) {
    struct fixture *f = *state;
    const uint8_t nonce[SP_FEED_NONCE_BYTES] = {3};
    struct sp_feed_nonce_answer a;
    struct sp_feed_signed text;
    OK(sp_feed_answer_nonce(f->feed, nonce, &a));
    assert_true(a.boot_ms > (uint64_t)f->boot_ms);
    assert_memory_equal(a.nonce, nonce, sizeof(nonce));
    assert_memory_equal(a.epoch, epoch, sizeof(epoch));
    OK(sp_feed_signed_nonce(ISSUER, &a, &text));
    assert_signed(f, &text, a.kid, a.signature);
}

/* ---- the backlog ---- */

static void backlog_gives_what_comes_after_and_says_what_it_has_not(void **state) {
    struct fixture *f = *state;
    struct sp_feed_revocation got[8];
    size_t n;
    for (int i = 0; i < 5; i++) revoke_one(f);
    OK(sp_feed_copy(f->feed, 102, UINT64_MAX, got, 8, &n));
    assert_int_equal(n, 3);
    assert_int_equal(got[0].seq, 103);
    OK(sp_feed_copy(f->feed, 102, 104, got, 8, &n));
    assert_int_equal(n, 2);
    OK(sp_feed_copy(f->feed, 100, UINT64_MAX, got, 2, &n));
    assert_int_equal(n, 2);
    OK(sp_feed_copy(f->feed, 105, UINT64_MAX, got, 8, &n));
    assert_int_equal(n, 0);
    assert_int_equal(sp_feed_copy(f->feed, 99, UINT64_MAX, got, 8, &n).code, SP_E_NOT_FOUND);
    assert_int_equal(sp_feed_copy(f->feed, 106, UINT64_MAX, got, 8, &n).code, SP_E_CONFLICT);
}

static void who_cannot_go_on_is_told_why(void **state) {
    struct fixture *f = *state;
    struct sp_feed_position at = {.seq = 100};
    revoke_one(f);
    assert_string_equal(sp_feed_why_not(f->feed, &at), "epoch");
    memcpy(at.epoch, epoch, sizeof(epoch));
    assert_null(sp_feed_why_not(f->feed, &at));
    at.seq = 101;
    assert_null(sp_feed_why_not(f->feed, &at));
    at.seq = 102;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "ahead");
    at.seq = 99;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "backlog");
    at.seq = UINT64_MAX;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "ahead");
}

static void full_backlog_forgets_the_oldest(void **state) {
    struct fixture *f = *state;
    struct sp_feed_revocation got[1];
    size_t n;
    const uint64_t first = f->seq + 1;
    for (int i = 0; i < SP_FEED_BACKLOG_MAX + 10; i++) {
        struct sp_revocation_row row = {.what = SP_REVOKED_JTI, .seq = ++f->seq, .expires_s = 1};
        sp_feed_publish_revocation(f->feed, &row, f->head);
    }
    assert_int_equal(sp_feed_copy(f->feed, first + 8, UINT64_MAX, got, 1, &n).code, SP_E_NOT_FOUND);
    OK(sp_feed_copy(f->feed, first + 9, UINT64_MAX, got, 1, &n));
    assert_int_equal(got[0].seq, first + 10);
}

static void stored_tail_is_resumable_and_what_is_before_a_gap_is_not(void **state) {
    struct fixture *f = *state;
    const struct sp_revocation_row rows[] = {{.what = SP_REVOKED_JTI, .seq = 7},
                                             {.what = SP_REVOKED_JTI, .seq = 9},
                                             {.what = SP_REVOKED_JTI, .seq = 10}};
    struct sp_feed_position at = {.seq = 8};
    memcpy(at.epoch, epoch, sizeof(epoch));
    OK(sp_feed_load(f->feed, rows, 3));
    sp_feed_load_position(f->feed, epoch, 10, f->head);
    assert_null(sp_feed_why_not(f->feed, &at));
    at.seq = 7;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "backlog");
    /* Rows that end before the chain does are of no use to anybody. */
    sp_feed_load_position(f->feed, epoch, 11, f->head);
    at.seq = 10;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "backlog");
    at.seq = 11;
    assert_null(sp_feed_why_not(f->feed, &at));
}

/* ---- watchers ---- */

struct watching {
    struct sp_feed_watcher watcher;
    int called;
};
static void on_news(struct sp_feed_watcher *w) {
    SP_CONTAINER_OF(w, struct watching, watcher)->called++;
}

static void watcher_is_told_once_for_a_burst_and_again_after_it_looked(void **state) {
    struct fixture *f = *state;
    struct watching w = {.watcher = {.executor = &f->executor, .news = on_news}};
    sp_feed_watch(f->feed, &w.watcher);
    revoke_one(f);
    revoke_one(f);
    run_posted(f);
    assert_int_equal(w.called, 1);
    revoke_one(f);
    run_posted(f);
    assert_int_equal(w.called, 2);
    revoke_one(f);
    sp_feed_unwatch(f->feed, &w.watcher); /* with its task under way */
    run_posted(f);
    assert_int_equal(w.called, 2);
}

/* ---- documents ---- */

static void changed_roles_are_a_new_document_and_unchanged_ones_the_old(void **state) {
    struct fixture *f = *state;
    struct sp_feed_frame before, after, same;
    struct sp_role_row row = {.tenant = SP_TENANT_DEFAULT};
    OK(SP_TEXT_SET(&row.name, SP_SLICE_LIT("editor")));
    OK(SP_TEXT_SET(&row.permissions, SP_SLICE_LIT("documents:read documents:write")));
    sp_feed_look(f->feed, &before);
    assert_true(sp_slice_eq_cstr(sp_slice_of(before.roles->bytes, before.roles->n), "{\"roles\":{}}"));
    OK(sp_live_roles_put(f->roles, &row));
    OK(sp_feed_publish_roles(f->feed));
    sp_feed_look(f->feed, &after);
    assert_true(sp_slice_eq_cstr(sp_slice_of(after.roles->bytes, after.roles->n),
                                 "{\"roles\":{\"editor\":[\"documents:read\",\"documents:write\"]}}"));
    assert_int_equal(after.roles->index, before.roles->index + 1);
    OK(sp_feed_publish_roles(f->feed));
    sp_feed_look(f->feed, &same);
    assert_ptr_equal(same.roles, after.roles);
    sp_feed_frame_done(&before);
    sp_feed_frame_done(&after);
    sp_feed_frame_done(&same);
}

static void keys_document_has_access_and_feed_keys_and_no_secret(void **state) {
    struct fixture *f = *state;
    struct sp_json_node nodes[64];
    struct sp_json doc = {.nodes = nodes, .cap = 64};
    struct sp_feed_frame frame;
    sp_feed_look(f->feed, &frame);
    OK(sp_json_parse(sp_slice_of(frame.keys->bytes, frame.keys->n), &doc));
    assert_int_equal(sp_json_get(&doc, &nodes[0], "keys")->count, 1);
    assert_int_equal(sp_json_get(&doc, &nodes[0], "feed_keys")->count, 1);
    assert_null(memmem(frame.keys->bytes, frame.keys->n, "\"d\"", 3));
    sp_feed_frame_done(&frame);
}

static void old_feed_key_announces_its_successor_and_vouches_for_it_later(void **state) {
    struct fixture *f = *state;
    const struct sp_key_schedule s = schedule();
    struct sp_key_plan plan;
    struct sp_feed_frame frame;
    struct sp_feed_signed text;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(65536);
    uint8_t first[SP_SHA256_BYTES];
    memcpy(first, feed_key(f, 0)->thumbprint, sizeof(first));
    rotate_feed_key(f);
    OK(sp_feed_beat(f->feed, &frame));
    assert_memory_equal(frame.beat.kid, first, sizeof(first)); /* which covers the document with both */
    assert_non_null(memmem(frame.keys->bytes, frame.keys->n, feed_key(f, 1)->kid.p, 43));
    sp_feed_frame_done(&frame);

    sp_keys_plan(f->rows, f->n_rows, f->wall_ms, &s, &plan); /* announce_s is 0 */
    carry_out(f, &plan);
    OK(sp_feed_publish_keys(f->feed));
    assert_int_equal(feed_key(f, 1)->state, SP_KEY_RETIRED);
    OK(sp_feed_beat(f->feed, &frame));
    assert_memory_equal(frame.beat.kid, feed_key(f, 0)->thumbprint, SP_SHA256_BYTES);
    assert_memory_not_equal(frame.beat.kid, first, sizeof(first));
    assert_null(memmem(frame.keys->bytes, frame.keys->n, feed_key(f, 1)->kid.p, 43));
    sp_feed_frame_done(&frame);

    OK(sp_feed_write_keys(f->feed, &out));
    const char *at = memmem(out.p, out.n, "\"signature\":\"", 13);
    assert_non_null(at);
    SP_AUTO(sp_buf) again = SP_BUF_INIT(256);
    uint8_t signature[SP_FEED_SIGNATURE_BYTES];
    size_t n;
    OK(sp_feed_signed_succession(ISSUER, feed_key(f, 0)->thumbprint, first, &text));
    OK(sp_sig_sign(feed_key(f, 1)->key, SP_ALG_EDDSA, sp_feed_signed_slice(&text), signature,
                   sizeof(signature), &n));
    OK(sp_buf_append_base64url(&again, SP_SLICE_ARRAY(signature))); /* Ed25519 is deterministic */
    assert_memory_equal(at + 13, again.p, again.n);
}

/* ---- snapshots ---- */

static void snapshot_has_everything_and_is_signed(void **state) {
    struct fixture *f = *state;
    struct sp_feed_snapshot snapshot;
    struct sp_snapshot_reader reader;
    struct sp_feed_signed text;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(16 << 20);
    const uint8_t sub[16] = {9};
    const int many = 10000;
    size_t entries = 0, users = 0;
    bool end = false;
    for (int i = 0; i < many; i++) revoke_one(f);
    OK(sp_epochs_raise_user(f->epochs, SP_SLICE_ARRAY(sub), 4, NOW_S + 5, NOW_S));
    sp_epochs_raise_global(f->epochs, 3);
    sp_feed_snapshot_init(&snapshot, f->feed);
    while (!end) {
        const size_t before = out.n;
        OK(sp_feed_snapshot_next(&snapshot, &out, &end));
        assert_true(out.n - before <= SP_FEED_SNAPSHOT_PIECE);
        if (before != 0 && !end) revoke_one(f); /* life goes on */
    }
    sp_snapshot_reader_init(&reader);
    sp_slice rest = sp_buf_slice(&out);
    enum sp_snapshot_part part = SP_SNAPSHOT_MORE;
    while (part != SP_SNAPSHOT_END) {
        OK(sp_snapshot_reader_next(&reader, &rest, &part));
        entries += part == SP_SNAPSHOT_ENTRY;
        users += part == SP_SNAPSHOT_USER;
        if (part == SP_SNAPSHOT_HEADER) {
            assert_int_equal(reader.part.header.at.seq, 100 + many);
            assert_int_equal(reader.part.header.global_epoch, 3);
        }
    }
    assert_true(entries >= (size_t)many);
    assert_int_equal(users, 1);
    assert_int_equal(rest.n, 0);
    OK(sp_feed_signed_snapshot(ISSUER, reader.body, &text));
    assert_signed(f, &text, reader.part.trailer.kid, reader.part.trailer.signature);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(beat_signs_the_position_the_chain_and_the_documents),
        TEST(nonce_answer_is_signed_and_its_clock_is_not_early),
        TEST(backlog_gives_what_comes_after_and_says_what_it_has_not),
        TEST(who_cannot_go_on_is_told_why),
        TEST(full_backlog_forgets_the_oldest),
        TEST(stored_tail_is_resumable_and_what_is_before_a_gap_is_not),
        TEST(watcher_is_told_once_for_a_burst_and_again_after_it_looked),
        TEST(changed_roles_are_a_new_document_and_unchanged_ones_the_old),
        TEST(keys_document_has_access_and_feed_keys_and_no_secret),
        TEST(old_feed_key_announces_its_successor_and_vouches_for_it_later),
        TEST(snapshot_has_everything_and_is_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
