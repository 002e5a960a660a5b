/* What the follower puts into force, and when: documents as soon as a signature covers them and never older
 * ones again; the rows of a snapshot as they come, which is a base only when it is whole and genuine. */
#include "follow_rig.h"

static struct rig rig; /* large */

/* ---- documents ---- */

static void roles_and_keys_wait_for_their_signature(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    assert_true(grants(&rig, "reader", "documents:read"));
    fake_set_roles(&rig.server, "{\"reader\":[\"documents:*\"]}");
    rig_send_documents(&rig);
    assert_false(grants(&rig, "reader", "documents:write"));
    rig_send_beat(&rig);
    assert_true(grants(&rig, "reader", "documents:write"));
    assert_false(grants(&rig, "editor", "documents:read"));
    assert_int_equal(counted(&rig, SP_FOLLOWER_NEW_ROLES), 2);
    rig_done(&rig);
}

static void planted_document_never_comes_into_force(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    rig_init_fresh(&rig);
    sp_slice planted = SP_SLICE_LIT("{\"roles\":{\"reader\":[\"*\"]}}");
    assert_true(sp_ok(sp_feed_write_event("roles", planted, &b)));
    rig_bytes(&rig, SP_EX_STREAM, sp_buf_slice(&b));
    rig_pass(&rig, 3000); /* beats name the old one, which is in force */
    assert_false(grants(&rig, "reader", "billing:pay"));
    assert_true(grants(&rig, "reader", "documents:read"));
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void digest_of_a_document_that_never_came_stops_freshness(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_set_roles(&rig.server, "{\"reader\":[\"documents:*\"]}"); /* and does not send it */
    uint64_t before = counted(&rig, SP_FOLLOWER_CONNECT);
    rig_send_beat(&rig);
    assert_int_equal(counted(&rig, SP_FOLLOWER_WRONG_DIGEST), 1);
    assert_true(was_logged(&rig, "wrong_digest"));
    assert_false(grants(&rig, "reader", "documents:write"));
    rig_pass(&rig, 1000); /* connecting again brings it */
    assert_int_equal(counted(&rig, SP_FOLLOWER_CONNECT), before + 1);
    assert_true(grants(&rig, "reader", "documents:write"));
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

/* Documents and the beat that covered them, as somebody on the way has kept them. */
static void keep_covered(struct rig *r, struct sp_buf *kept) {
    fake_write_documents(&r->server, kept);
    fake_write_beat(&r->server, rig_server_ms(r), kept);
}
static void pass_with_roles(struct rig *r, const char *roles) {
    rig_pass(r, 1000);
    fake_set_roles(&r->server, roles);
    rig_send_documents(r);
    rig_send_beat(r);
}

/* Nothing was revoked meanwhile, so the place in the chain is the same. */
static void documents_played_again_with_their_beat_stay_out_of_force(void **state) {
    (void)state;
    SP_AUTO(sp_buf) old = SP_BUF_INIT(FAKE_BYTES_MAX);
    rig_init_fresh(&rig);
    keep_covered(&rig, &old);
    pass_with_roles(&rig, "{\"reader\":[]}");
    assert_false(grants(&rig, "reader", "documents:read"));
    rig_bytes(&rig, SP_EX_STREAM, sp_buf_slice(&old));
    assert_false(grants(&rig, "reader", "documents:read"));
    assert_int_equal(counted(&rig, SP_FOLLOWER_OLD_DOCUMENT), 1);
    assert_true(was_logged(&rig, "old_document"));
    rig_pass(&rig, 1000);
    assert_false(grants(&rig, "reader", "documents:read"));
    assert_true(staleness(&rig) < 1000);
    rig_done(&rig);
}

static void documents_of_an_earlier_run_of_the_server_stay_out_of_force(void **state) {
    (void)state;
    SP_AUTO(sp_buf) old = SP_BUF_INIT(FAKE_BYTES_MAX);
    rig_init_fresh(&rig);
    keep_covered(&rig, &old);
    fake_restart(&rig.server, 0x77);
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig.running[SP_EX_STREAM] = false;
    rig_pass(&rig, 3000);
    pass_with_roles(&rig, "{\"reader\":[]}");
    assert_false(grants(&rig, "reader", "documents:read"));
    rig_bytes(&rig, SP_EX_STREAM, sp_buf_slice(&old));
    assert_false(grants(&rig, "reader", "documents:read"));
    rig_pass(&rig, 2000);
    assert_false(grants(&rig, "reader", "documents:read"));
    assert_true(staleness(&rig) < 1000);
    rig_done(&rig);
}

/* A base and a stream of long ago take the place of those of now. */
static const struct sp_buf *kept_base, *kept_stream;
static void play_history(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    const struct sp_buf *kept = x == SP_EX_SNAPSHOT ? kept_base : x == SP_EX_STREAM ? kept_stream : NULL;
    (void)r;
    if (kept == NULL) return;
    sp_buf_clear(b);
    assert_true(sp_ok(sp_buf_append(b, sp_buf_slice(kept))));
}

static void documents_of_an_earlier_history_stay_out_of_force(void **state) {
    (void)state;
    SP_AUTO(sp_buf) base = SP_BUF_INIT(FAKE_BYTES_MAX);
    SP_AUTO(sp_buf) old = SP_BUF_INIT(FAKE_BYTES_MAX);
    rig_init_fresh(&rig);
    fake_write_snapshot(&rig.server, T0, &base);
    fake_write_hello(&rig.server, &old);
    keep_covered(&rig, &old);
    fake_new_epoch(&rig.server, 0x33);
    fake_restart(&rig.server, 0x77);
    fake_set_roles(&rig.server, "{\"reader\":[]}");
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig.running[SP_EX_STREAM] = false;
    rig_pass(&rig, 5000);
    assert_false(grants(&rig, "reader", "documents:read"));
    assert_true(staleness(&rig) < 1000);
    kept_base = &base;
    kept_stream = &old;
    rig.alter = play_history;
    rig.silent = true;
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig.running[SP_EX_STREAM] = false;
    rig_pass(&rig, 3000);
    assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 3);
    assert_false(grants(&rig, "reader", "documents:read"));
    rig_done(&rig);
}

static void documents_changed_while_the_server_was_away_come_into_force(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_restart(&rig.server, 0x77);
    fake_set_roles(&rig.server, "{\"reader\":[\"documents:*\"]}");
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig.running[SP_EX_STREAM] = false;
    rig_pass(&rig, 200 + 2 * FAKE_BEAT_MS);
    assert_true(grants(&rig, "reader", "documents:write"));
    assert_true(staleness(&rig) < 1000);
    assert_int_equal(counted(&rig, SP_FOLLOWER_CONNECT), 2);
    assert_int_equal(counted(&rig, SP_FOLLOWER_OLD_DOCUMENT), 0);
    rig_done(&rig);
}

static void alter_roles(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    (void)r;
    if (x != SP_EX_STREAM) return;
    uint8_t *at = memmem(b->p, b->n, "documents:write", 15);
    if (at != NULL) memcpy(at, "documents:delet", 15);
}
static void altered_document_is_not_used_and_never_fresh(void **state) {
    (void)state;
    rig_init(&rig);
    rig.alter = alter_roles;
    rig_pass(&rig, 20 * 1000);
    assert_false(is_fresh(&rig));
    assert_false(grants(&rig, "editor", "documents:delet"));
    assert_true(counted(&rig, SP_FOLLOWER_WRONG_DIGEST) > 2);
    rig.alter = NULL;
    rig_pass(&rig, 11 * 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void signed_document_of_another_form_stays_out_of_force(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_set_roles(&rig.server, "[\"not a table\"]");
    rig_send_documents(&rig);
    rig_pass(&rig, 5000);
    assert_true(counted(&rig, SP_FOLLOWER_MALFORMED) > 0);
    assert_true(grants(&rig, "reader", "documents:read"));
    rig_pass(&rig, STALENESS_MS);
    assert_false(is_fresh(&rig));
    rig_done(&rig);
}

static void keys_come_into_force_and_go(void **state) {
    (void)state;
    struct sp_jwk key = make_jwk("k1", SP_ALG_ES256);
    struct ids ids = make_ids(7, 1);
    struct sp_claims claims = make_claims(&ids);
    struct token token = issue(&key, &claims);
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(2048);
    const char *text;
    rig_init(&rig);
    assert_true(sp_ok(sp_jwk_write_public(SP_SLICE_LIT("k1"), SP_ALG_ES256, key.key, &jwk)));
    assert_true(sp_ok(sp_buf_cstr(&jwk, &text)));
    fake_set_keys(&rig.server, text);
    rig_pass(&rig, 1);
    sp_verifier_enter(rig.reader);
    assert_verdict(sp_verifier_check(rig.verifier, rig.reader, slice_of(&token), T0, NULL), NONE);
    sp_verifier_exit(rig.reader);
    fake_set_keys(&rig.server, "");
    rig_send_documents(&rig);
    rig_send_beat(&rig);
    sp_verifier_enter(rig.reader);
    assert_verdict(sp_verifier_check(rig.verifier, rig.reader, slice_of(&token), T0, NULL), UNKNOWN_KID);
    sp_verifier_exit(rig.reader);
    sp_jwk_done(&key);
    rig_done(&rig);
}

/* ---- snapshots ---- */

static void drop_a_row(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    (void)r;
    if (x != SP_EX_SNAPSHOT) return;
    size_t block = SP_SNAPSHOT_BLOCK_BYTES + SP_SNAPSHOT_ENTRY_BYTES;
    memmove(b->p + SP_SNAPSHOT_HEADER_BYTES, b->p + SP_SNAPSHOT_HEADER_BYTES + block,
            b->n - SP_SNAPSHOT_HEADER_BYTES - block);
    sp_buf_truncate(b, b->n - block);
}
static void alter_a_row(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    (void)r;
    if (x == SP_EX_SNAPSHOT) b->p[SP_SNAPSHOT_HEADER_BYTES + SP_SNAPSHOT_BLOCK_BYTES + 3] ^= 1;
}
static void cut_the_end(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    (void)r;
    if (x == SP_EX_SNAPSHOT) sp_buf_truncate(b, b->n - 1);
}
static void add_a_byte(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    (void)r;
    if (x == SP_EX_SNAPSHOT) assert_true(sp_ok(sp_buf_append_u8(b, 0)));
}
static void snapshot_that_is_not_whole_and_genuine_is_no_base(void **state) {
    (void)state;
    void (*const hooks[])(struct rig *, enum sp_exchange, struct sp_buf *) = {drop_a_row, alter_a_row,
                                                                              cut_the_end, add_a_byte};
    for (size_t i = 0; i < SP_ARRAY_LEN(hooks); i++) {
        rig_init(&rig);
        fake_revoke_jti(&rig.server, id_a, UNTIL);
        rig.alter = hooks[i];
        rig_pass(&rig, 5000);
        assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 0);
        assert_int_equal(rig.started[SP_EX_STREAM], 0);
        assert_false(is_fresh(&rig));
        rig.alter = NULL;
        rig_pass(&rig, 11 * 1000);
        assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
        assert_true(is_fresh(&rig));
        rig_done(&rig);
    }
}

static void snapshot_of_another_deployment_is_refused(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    rig_send_revocations(&rig, 0);
    memset(rig.server.fingerprint_key, 0x99, sizeof rig.server.fingerprint_key);
    fake_new_epoch(&rig.server, 0x44);
    rig_pass(&rig, STALENESS_MS + 5000);
    assert_true(counted(&rig, SP_FOLLOWER_FOREIGN) > 0);
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    assert_false(is_fresh(&rig));
    rig_done(&rig);
}

/* A key of the fingerprints, and a row that would never lapse. */
static void forge_the_base(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    static const uint8_t block[] = {1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8,    0xff, 0xff, 0xff, 0xff,
                                    2, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9,    9,    9,    9,    9,
                                    9, 9, 9, 9, 0, 0, 0, 9, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    (void)r;
    if (x != SP_EX_SNAPSHOT) return;
    memset(b->p + SP_SNAPSHOT_HEADER_BYTES - 20, 0x66, 16);
    sp_buf_truncate(b, SP_SNAPSHOT_HEADER_BYTES);
    assert_true(sp_ok(sp_buf_append(b, SP_SLICE_ARRAY(block))));
}
static size_t entries_kept(struct rig *r) {
    struct sp_revoke_set_stats s;
    sp_revoke_set_stats(sp_verifier_revoke_set(r->verifier), &s);
    return s.entries + sp_epochs_users(sp_verifier_epochs(r->verifier));
}
static void forged_first_base_leaves_nothing_behind(void **state) {
    (void)state;
    rig_init(&rig);
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    rig.alter = forge_the_base;
    rig_pass(&rig, 5000);
    assert_int_equal(entries_kept(&rig), 2);
    assert_false(is_fresh(&rig));
    rig.alter = NULL;
    rig_pass(&rig, 11 * 1000);
    assert_int_equal(counted(&rig, SP_FOLLOWER_FOREIGN), 0);
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    assert_true(is_fresh(&rig));
    assert_int_equal(entries_kept(&rig), 1);
    rig_done(&rig);
}
static void forged_later_base_does_not_change_the_key(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.alter = forge_the_base;
    fake_new_epoch(&rig.server, 0x44);
    fake_restart(&rig.server, 0x45);
    rig.running[SP_EX_STREAM] = false;
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig_pass(&rig, 5000);
    assert_true(counted(&rig, SP_FOLLOWER_FOREIGN) > 0);
    assert_int_equal(entries_kept(&rig), 0);
    rig.alter = NULL;
    rig_pass(&rig, 11 * 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_and_keys_wait_for_their_signature),
        cmocka_unit_test(planted_document_never_comes_into_force),
        cmocka_unit_test(digest_of_a_document_that_never_came_stops_freshness),
        cmocka_unit_test(documents_played_again_with_their_beat_stay_out_of_force),
        cmocka_unit_test(documents_of_an_earlier_run_of_the_server_stay_out_of_force),
        cmocka_unit_test(documents_of_an_earlier_history_stay_out_of_force),
        cmocka_unit_test(documents_changed_while_the_server_was_away_come_into_force),
        cmocka_unit_test(altered_document_is_not_used_and_never_fresh),
        cmocka_unit_test(signed_document_of_another_form_stays_out_of_force),
        cmocka_unit_test(keys_come_into_force_and_go),
        cmocka_unit_test(snapshot_that_is_not_whole_and_genuine_is_no_base),
        cmocka_unit_test(snapshot_of_another_deployment_is_refused),
        cmocka_unit_test(forged_first_base_leaves_nothing_behind),
        cmocka_unit_test(forged_later_base_does_not_change_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
