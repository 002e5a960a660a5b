/* The follower against a server that behaves, and one that does not: rows of the table "When something does
 * not fit" of docs/feed.md that are about the chain, the keys that sign, and connections; and
 * acknowledgements. What it puts into force is in test_follow_apply.c, clocks and the age of beats in
 * test_follow_time.c. */
#include "follow_rig.h"

#include "base/table.h"

static struct rig rig; /* large */

static void table_has_a_row_for_everything(void **state) {
    (void)state;
    struct sp_table table = sp_follower_table();
    struct sp_table_report report = sp_table_check(&table);
    assert_int_equal(report.verdict, SP_TABLE_COMPLETE);
}

/* ---- when all is well ---- */

static void connects_and_becomes_fresh_within_a_round_trip(void **state) {
    (void)state;
    rig_init(&rig);
    assert_false(is_fresh(&rig));
    rig_pass(&rig, 1);
    assert_true(is_fresh(&rig));
    assert_int_equal(counted(&rig, SP_FOLLOWER_CONNECT), 1);
    assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 1);
    assert_int_equal(counted(&rig, SP_FOLLOWER_NONCE), 1);
    assert_true(was_logged(&rig, "connected"));
    assert_true(was_logged(&rig, "fresh"));
    rig_done(&rig);
}

static void stays_fresh_by_beats_alone(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    for (int i = 0; i < 200; i++) {
        rig_pass(&rig, 1000);
        assert_true(staleness(&rig) <= 600);
    }
    assert_int_equal(counted(&rig, SP_FOLLOWER_CONNECT), 1);
    assert_int_equal(rig.started[SP_EX_NONCE], 1);
    rig_pass(&rig, 200 * 1000); /* five minutes are over */
    assert_int_equal(rig.started[SP_EX_NONCE], 2);
    rig_done(&rig);
}

static void enforces_a_revocation_on_arrival_before_any_beat(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    fake_revoke_sid(&rig.server, id_b, UNTIL);
    rig_send_revocations(&rig, 0);
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    assert_true(is_revoked(&rig, SP_REVOKE_SID, SID_B));
    assert_false(is_revoked(&rig, SP_REVOKE_JTI, sp_slice_of(id_b, 16)));
    assert_int_equal(sp_follower_seq(rig.f), 2);
    rig_pass(&rig, 1000);
    assert_true(is_fresh(&rig));
    assert_int_equal(counted(&rig, SP_FOLLOWER_GAP), 0);
    rig_done(&rig);
}

static void enforces_epochs_of_users_and_of_everyone(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    struct sp_epochs *epochs = sp_verifier_epochs(rig.verifier);
    fake_raise_user(&rig.server, id_a, 5, UNTIL);
    fake_raise_global(&rig.server, 3);
    rig_send_revocations(&rig, 0);
    sp_verifier_enter(rig.reader);
    assert_int_equal(sp_epochs_check(epochs, JTI_A, 4, 3), SP_EPOCH_REVOKED);
    assert_int_equal(sp_epochs_check(epochs, JTI_A, 5, 3), SP_EPOCH_CURRENT);
    assert_int_equal(sp_epochs_check(epochs, sp_slice_of(id_b, 16), 0, 2), SP_EPOCH_REVOKED);
    sp_verifier_exit(rig.reader);
    rig_pass(&rig, 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void what_was_revoked_before_it_came_is_in_the_snapshot(void **state) {
    (void)state;
    rig_init(&rig);
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    fake_raise_global(&rig.server, 7);
    fake_raise_user(&rig.server, id_b, 2, UNTIL);
    rig_pass(&rig, 1);
    assert_true(is_fresh(&rig));
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    assert_int_equal(sp_epochs_global(sp_verifier_epochs(rig.verifier)), 7);
    sp_verifier_enter(rig.reader);
    assert_int_equal(sp_epochs_check(sp_verifier_epochs(rig.verifier), sp_slice_of(id_b, 16), 1, 7),
                     SP_EPOCH_REVOKED);
    sp_verifier_exit(rig.reader);
    assert_non_null(strstr(rig.last_event_id, ":3"));
    rig_done(&rig);
}

static void a_cut_resumes_where_it_was_without_a_snapshot(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig.running[SP_EX_STREAM] = false;
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    rig_pass(&rig, 200);
    assert_true(is_fresh(&rig));
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 1);
    assert_int_equal(counted(&rig, SP_FOLLOWER_CONNECT), 2);
    assert_int_equal(counted(&rig, SP_FOLLOWER_LOST), 1);
    rig_done(&rig);
}

static void a_restarted_server_is_asked_the_time_anew(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_restart(&rig.server, 0x77);
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig.running[SP_EX_STREAM] = false;
    rig.mute[SP_EX_NONCE] = true;
    rig_pass(&rig, 2000);
    assert_true(staleness(&rig) >= 1900); /* beats of another node prove nothing yet */
    rig.mute[SP_EX_NONCE] = false;
    rig_pass(&rig, 10 * 1000);
    assert_true(staleness(&rig) <= 600);
    rig_done(&rig);
}

static void bytes_may_come_one_by_one(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    rig_init_fresh(&rig);
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    fake_write_revocations(&rig.server, 0, &b);
    fake_write_beat(&rig.server, rig_server_ms(&rig), &b);
    for (size_t i = 0; i < b.n; i++) rig_bytes(&rig, SP_EX_STREAM, sp_slice_of(b.p + i, 1));
    assert_int_equal(sp_follower_seq(rig.f), 1);
    assert_int_equal(counted(&rig, SP_FOLLOWER_GAP), 0);
    assert_int_equal(counted(&rig, SP_FOLLOWER_BEAT), 2);
    rig_done(&rig);
}

/* ---- what does not fit: the chain ---- */

static void missing_revocation_is_noticed_and_healed_by_resuming(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    uint64_t second = fake_revoke_sid(&rig.server, id_b, UNTIL);
    rig_send_revocations(&rig, second - 1); /* the first one never arrives */
    assert_int_equal(counted(&rig, SP_FOLLOWER_GAP), 1);
    assert_true(was_logged(&rig, "gap"));
    assert_true(is_revoked(&rig, SP_REVOKE_SID, SID_B)); /* it counts all the same */
    rig_pass(&rig, 200);
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    assert_true(is_fresh(&rig));
    assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 1);
    rig_done(&rig);
}

static void last_revocation_left_out_is_noticed_by_the_beat(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    rig_send_beat(&rig);
    assert_int_equal(counted(&rig, SP_FOLLOWER_GAP), 1);
    rig_pass(&rig, 200);
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void revocations_in_another_order_do_not_fit(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    rig_init_fresh(&rig);
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    fake_revoke_sid(&rig.server, id_b, UNTIL);
    assert_true(sp_ok(sp_feed_write_revocation(rig.server.epoch, &rig.server.log[1], &b)));
    assert_true(sp_ok(sp_feed_write_revocation(rig.server.epoch, &rig.server.log[0], &b)));
    rig_bytes(&rig, SP_EX_STREAM, sp_buf_slice(&b));
    rig_run(&rig);
    assert_int_equal(counted(&rig, SP_FOLLOWER_GAP), 1);
    rig_pass(&rig, 200);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void forged_revocation_is_shown_by_the_next_beat(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    rig_init_fresh(&rig);
    struct sp_feed_revocation forged = {.seq = 1, .what = SP_FEED_JTI, .until_s = UNTIL};
    memcpy(forged.id, id_a, 16);
    assert_true(sp_ok(sp_feed_write_revocation(rig.server.epoch, &forged, &b)));
    rig_bytes(&rig, SP_EX_STREAM, sp_buf_slice(&b));
    rig_run(&rig);
    fake_revoke_sid(&rig.server, id_b, UNTIL); /* the true first one */
    uint64_t proved = staleness(&rig);
    rig.boot_ms += 100;
    rig.wall_ms += 100;
    rig_send_beat(&rig);
    assert_int_equal(counted(&rig, SP_FOLLOWER_GAP), 1);
    assert_int_equal(staleness(&rig), proved + 100); /* that beat proved nothing */
    rig_pass(&rig, 200);
    assert_true(is_fresh(&rig));
    assert_true(is_revoked(&rig, SP_REVOKE_SID, SID_B));
    rig_done(&rig);
}

/* Every stream lacks the first revocation, so only the snapshot can heal it. */
static void leave_out_first(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    (void)r;
    uint8_t *at = x == SP_EX_STREAM ? memmem(b->p, b->n, "event: revoke", 13) : NULL;
    if (at != NULL) memcpy(at, "event: others", 13);
}
static void gap_that_resuming_does_not_heal_takes_a_snapshot(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.alter = leave_out_first;
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    rig_send_beat(&rig);
    rig_pass(&rig, 2000);
    assert_true(counted(&rig, SP_FOLLOWER_GAP) >= 2);
    assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 2);
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void too_old_position_takes_a_snapshot(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig.running[SP_EX_STREAM] = false;
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    rig.server.backlog_from = rig.server.n;
    rig_pass(&rig, 1000);
    assert_int_equal(counted(&rig, SP_FOLLOWER_RESET), 1);
    assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 2);
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

/* ---- the server went back in time ---- */

static void go_back(struct rig *r) {
    fake_revoke_jti(&r->server, id_a, UNTIL);
    fake_revoke_sid(&r->server, id_b, UNTIL);
    rig_send_revocations(r, 0);
    rig_send_beat(r);
    fake_forget(&r->server, 1);
}

static void server_that_lost_revocations_makes_stale_and_frees_nobody(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    go_back(&rig);
    rig_pass(&rig, STALENESS_MS + 2000);
    assert_false(is_fresh(&rig));
    assert_true(counted(&rig, SP_FOLLOWER_ROLLBACK) >= 1);
    assert_true(was_logged(&rig, "server_lost_revocations"));
    assert_true(is_revoked(&rig, SP_REVOKE_SID, SID_B));
    assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 1);
    rig_done(&rig);
}

static void lost_numbers_given_to_others_do_not_heal(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    go_back(&rig);
    rig_send_beat(&rig);
    uint8_t id_c[16] = {9};
    fake_revoke_jti(&rig.server, id_c, UNTIL); /* takes the number of the lost one */
    fake_revoke_jti(&rig.server, id_c, UNTIL + 1);
    rig_pass(&rig, 3 * STALENESS_MS);
    assert_false(is_fresh(&rig));
    assert_true(is_revoked(&rig, SP_REVOKE_SID, SID_B));
    rig_done(&rig);
}

static void server_that_knows_all_again_is_believed_again(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    go_back(&rig);
    rig_send_beat(&rig);
    assert_int_equal(counted(&rig, SP_FOLLOWER_ROLLBACK), 1);
    rig_pass(&rig, 5000);
    rig.server.n++; /* a node that had only been behind */
    rig_pass(&rig, 11 * 1000);
    assert_int_equal(counted(&rig, SP_FOLLOWER_CAUGHT_UP), 1);
    assert_true(staleness(&rig) < 1000);
    rig_done(&rig);
}

static void new_epoch_takes_a_snapshot_and_forgets_nothing(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    go_back(&rig);
    rig_send_beat(&rig);
    rig_pass(&rig, 1000);
    fake_new_epoch(&rig.server, 0x33);
    rig_pass(&rig, 11 * 1000);
    assert_true(counted(&rig, SP_FOLLOWER_NEW_EPOCH) >= 1);
    assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 2);
    assert_true(is_fresh(&rig));
    assert_true(is_revoked(&rig, SP_REVOKE_SID, SID_B));
    rig_done(&rig);
}

/* ---- signatures and keys ---- */

static void badly_signed_beat_is_not_used(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.server.sign_badly = true;
    rig_pass(&rig, STALENESS_MS + 1000);
    assert_false(is_fresh(&rig));
    assert_true(counted(&rig, SP_FOLLOWER_BAD_SIGNATURE) > 1);
    assert_true(was_logged(&rig, "bad_signature"));
    rig.server.sign_badly = false;
    rig_pass(&rig, 11 * 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void only_the_pinned_key_begins(void **state) {
    (void)state;
    rig_init_unfollowed(&rig);
    uint8_t other[SP_SHA256_BYTES] = {1};
    struct sp_follower_opts opts = rig_opts(&rig);
    opts.pin = other;
    assert_true(sp_ok(sp_follower_new(&opts, rig_now(&rig), &rig.f)));
    rig_pass(&rig, 20 * 1000);
    assert_true(counted(&rig, SP_FOLLOWER_UNTRUSTED) > 1);
    assert_int_equal(rig.started[SP_EX_SNAPSHOT], 0);
    sp_follower_free(rig.f);
    opts.pin = rig.server.kid;
    assert_true(sp_ok(sp_follower_new(&opts, rig_now(&rig), &rig.f)));
    rig_pass(&rig, 1);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void pinned_predecessor_vouches_for_its_successor(void **state) {
    (void)state;
    rig_init_unfollowed(&rig);
    struct sp_follower_opts opts = rig_opts(&rig);
    opts.pin = rig.server.old_kid;
    fake_rotate(&rig.server);
    fake_set_keys(&rig.server, "");
    assert_true(sp_ok(sp_follower_new(&opts, rig_now(&rig), &rig.f)));
    rig_pass(&rig, 1);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void announced_successor_takes_over_without_asking(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    struct sp_sig_key *first = rig.server.key;
    uint8_t first_kid[SP_SHA256_BYTES];
    memcpy(first_kid, rig.server.kid, sizeof first_kid);
    fake_rotate(&rig.server);
    fake_set_keys(&rig.server, "");
    struct sp_sig_key *second = rig.server.key;
    uint8_t second_kid[SP_SHA256_BYTES];
    memcpy(second_kid, rig.server.kid, sizeof second_kid);
    rig.server.key = first; /* announced, not yet signing */
    memcpy(rig.server.kid, first_kid, sizeof first_kid);
    rig_send_documents(&rig);
    rig_send_beat(&rig);
    rig.server.key = second;
    memcpy(rig.server.kid, second_kid, sizeof second_kid);
    rig_pass(&rig, 5000);
    assert_int_equal(counted(&rig, SP_FOLLOWER_UNKNOWN_KEY), 0);
    assert_true(staleness(&rig) < 1000);
    rig_done(&rig);
}

static void key_that_nobody_vouches_for_is_not_trusted_later(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_rotate(&rig.server);
    rig.server.hide_successions = true;
    rig_pass(&rig, STALENESS_MS + 5000);
    assert_true(counted(&rig, SP_FOLLOWER_UNKNOWN_KEY) > 0);
    assert_false(is_fresh(&rig));
    rig.server.hide_successions = false; /* the old key says so: the succession is enough */
    rig_pass(&rig, 11 * 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void another_issuer_is_not_followed(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    (void)snprintf(rig.server.issuer, sizeof rig.server.issuer, "https://elsewhere.example");
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig.running[SP_EX_STREAM] = false;
    rig_pass(&rig, STALENESS_MS + 1000);
    assert_true(counted(&rig, SP_FOLLOWER_WRONG_ISSUER) > 1);
    assert_false(is_fresh(&rig));
    rig_done(&rig);
}

/* ---- silence, failures, delays ---- */

static void silent_stream_is_given_up_after_three_beats(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.silent = true;
    rig_pass(&rig, 3 * FAKE_BEAT_MS - 20);
    assert_int_equal(counted(&rig, SP_FOLLOWER_SILENCE), 0);
    rig_pass(&rig, 20);
    assert_int_equal(counted(&rig, SP_FOLLOWER_SILENCE), 1);
    rig.silent = false;
    rig_pass(&rig, 200);
    assert_true(staleness(&rig) < 300);
    rig_done(&rig);
}

static void server_that_never_answers_is_given_up_and_tried_again(void **state) {
    (void)state;
    for (unsigned x = SP_EX_KEYS; x <= SP_EX_STREAM; x++) {
        rig_init(&rig);
        rig.mute[x] = true;
        rig_pass(&rig, 12 * 1000);
        assert_true(counted(&rig, SP_FOLLOWER_TIMEOUT) >= 1);
        rig.mute[x] = false;
        rig_pass(&rig, 21 * 1000);
        assert_true(is_fresh(&rig));
        rig_done(&rig);
    }
}

static void stale_when_the_server_is_away_and_fresh_when_it_is_back(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    for (unsigned x = 0; x < SP_EXCHANGES; x++) rig.outcome[x] = SP_OUTCOME_LOST;
    sp_follower_ended(rig.f, SP_EX_STREAM, rig_now(&rig), SP_OUTCOME_LOST);
    rig.running[SP_EX_STREAM] = false;
    rig_pass(&rig, STALENESS_MS - 1000);
    assert_true(is_fresh(&rig));
    rig_pass(&rig, 2000);
    assert_false(is_fresh(&rig));
    assert_true(was_logged(&rig, "stale"));
    unsigned tries = rig.started[SP_EX_STREAM];
    rig_pass(&rig, 100 * 1000);
    assert_in_range(rig.started[SP_EX_STREAM] - tries, 9, 25); /* every 5 to 10 s */
    for (unsigned x = 0; x < SP_EXCHANGES; x++) rig.outcome[x] = SP_OUTCOME_DONE;
    rig_pass(&rig, 11 * 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void refused_credential_is_told_and_tried_seldom(void **state) {
    (void)state;
    rig_init(&rig);
    for (unsigned x = 0; x < SP_EXCHANGES; x++) rig.outcome[x] = SP_OUTCOME_DENIED;
    rig_pass(&rig, 60 * 1000);
    assert_true(was_logged(&rig, "denied"));
    assert_in_range(rig.started[SP_EX_KEYS], 5, 30);
    for (unsigned x = 0; x < SP_EXCHANGES; x++) rig.outcome[x] = SP_OUTCOME_DONE;
    rig_pass(&rig, 11 * 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void junk_in_the_stream_is_a_new_connection(void **state) {
    (void)state;
    static const char *const junk[] = {"event: beat\ndata: {}\n\n",
                                       "event: revoke\nid: x:1\ndata: {\"jti\":\"\"}\n\n",
                                       "event: reset\ndata: []\n\n", "event: \xff\n\n"};
    for (size_t i = 0; i < SP_ARRAY_LEN(junk); i++) {
        rig_init_fresh(&rig);
        rig_bytes(&rig, SP_EX_STREAM, sp_slice_cstr(junk[i]));
        assert_int_equal(counted(&rig, SP_FOLLOWER_MALFORMED), 1);
        rig_pass(&rig, 200);
        assert_int_equal(counted(&rig, SP_FOLLOWER_CONNECT), 2);
        assert_true(is_fresh(&rig));
        rig_done(&rig);
    }
}

static void events_of_a_later_version_are_passed_over(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig_bytes(&rig, SP_EX_STREAM, SP_SLICE_LIT(": comment\n\nevent: news\ndata: {\"x\":1}\n\n"));
    rig_pass(&rig, 2000);
    assert_int_equal(counted(&rig, SP_FOLLOWER_CONNECT), 1);
    rig_done(&rig);
}

/* ---- acknowledgements ---- */

static void acknowledges_what_it_enforces(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    assert_non_null(strstr(rig.ack, "\"verifier\":\"unit-1\""));
    assert_non_null(strstr(rig.ack, "\"seq\":0,"));
    assert_non_null(strstr(rig.ack, "\"max_staleness_s\":30}"));
    unsigned acks = rig.started[SP_EX_ACK];
    rig_pass(&rig, 1000);
    assert_int_equal(rig.started[SP_EX_ACK], acks); /* no news */
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    rig_send_revocations(&rig, 0);
    assert_int_equal(rig.started[SP_EX_ACK], acks + 1); /* at once */
    assert_non_null(strstr(rig.ack, "\"seq\":1,"));
    rig_pass(&rig, STALENESS_MS / 3 + 10);
    assert_int_equal(rig.started[SP_EX_ACK], acks + 2);
    rig_done(&rig);
}

/* The server counts on it that a verifier refuses by itself after what it names: not a moment earlier. */
static void staleness_that_is_no_whole_second_is_named_by_the_next(void **state) {
    (void)state;
    rig_init_unfollowed(&rig);
    struct sp_follower_opts opts = rig_opts(&rig);
    opts.max_staleness_ms = 1500;
    assert_true(sp_ok(sp_follower_new(&opts, rig_now(&rig), &rig.f)));
    rig_pass(&rig, 10);
    assert_non_null(strstr(rig.ack, "\"max_staleness_s\":2}"));
    rig_done(&rig);
}

static void acknowledgements_run_one_at_a_time(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig_pass(&rig, 100);
    rig.mute[SP_EX_ACK] = true;
    unsigned acks = rig.started[SP_EX_ACK];
    for (int i = 0; i < 20; i++) {
        uint64_t seq = fake_revoke_jti(&rig.server, id_a, UNTIL + i);
        rig_send_revocations(&rig, seq - 1);
    }
    assert_int_equal(rig.started[SP_EX_ACK], acks + 1);
    rig.mute[SP_EX_ACK] = false;
    rig.running[SP_EX_ACK] = false;
    sp_follower_ended(rig.f, SP_EX_ACK, rig_now(&rig), SP_OUTCOME_DONE);
    rig_pass(&rig, 20);
    assert_int_equal(rig.started[SP_EX_ACK], acks + 2);
    assert_non_null(strstr(rig.ack, "\"seq\":20,"));
    rig_done(&rig);
}

static void full_registry_does_not_disturb_following(void **state) {
    (void)state;
    rig_init(&rig);
    rig.outcome[SP_EX_ACK] = SP_OUTCOME_FAILURE;
    rig_pass(&rig, 60 * 1000);
    assert_true(is_fresh(&rig));
    assert_int_equal(counted(&rig, SP_FOLLOWER_CONNECT), 1);
    assert_in_range(rig.started[SP_EX_ACK], 5, 25);
    rig_done(&rig);
}

static void says_goodbye_when_it_leaves(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    sp_follower_leave(rig.f, rig_now(&rig));
    rig_run(&rig);
    assert_non_null(strstr(rig.ack, "\"leaving\":true}"));
    assert_false(rig.running[SP_EX_STREAM]);
    assert_true(sp_follower_is_gone(rig.f));
    rig_done(&rig);
}

static void goodbye_comes_after_the_acknowledgement_that_is_under_way(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig_pass(&rig, 100);
    rig.mute[SP_EX_ACK] = true;
    fake_revoke_jti(&rig.server, id_a, UNTIL);
    rig_send_revocations(&rig, 0);
    assert_true(rig.running[SP_EX_ACK]);
    rig.mute[SP_EX_ACK] = false;
    sp_follower_leave(rig.f, rig_now(&rig));
    rig_run(&rig);
    assert_true(rig.running[SP_EX_ACK]); /* not stopped, and no other one begun */
    assert_null(strstr(rig.ack, "leaving"));
    rig.running[SP_EX_ACK] = false;
    sp_follower_ended(rig.f, SP_EX_ACK, rig_now(&rig), SP_OUTCOME_DONE);
    rig_run(&rig);
    assert_non_null(strstr(rig.ack, "\"leaving\":true}"));
    assert_true(sp_follower_is_gone(rig.f));
    rig_done(&rig);
}

static void goodbye_that_nobody_answers_ends_within_a_second(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.mute[SP_EX_ACK] = true;
    sp_follower_leave(rig.f, rig_now(&rig));
    rig_run(&rig);
    assert_false(sp_follower_is_gone(rig.f));
    rig_pass(&rig, 1000);
    assert_true(sp_follower_is_gone(rig.f));
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_has_a_row_for_everything),
        cmocka_unit_test(connects_and_becomes_fresh_within_a_round_trip),
        cmocka_unit_test(stays_fresh_by_beats_alone),
        cmocka_unit_test(enforces_a_revocation_on_arrival_before_any_beat),
        cmocka_unit_test(enforces_epochs_of_users_and_of_everyone),
        cmocka_unit_test(what_was_revoked_before_it_came_is_in_the_snapshot),
        cmocka_unit_test(a_cut_resumes_where_it_was_without_a_snapshot),
        cmocka_unit_test(a_restarted_server_is_asked_the_time_anew),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(missing_revocation_is_noticed_and_healed_by_resuming),
        cmocka_unit_test(last_revocation_left_out_is_noticed_by_the_beat),
        cmocka_unit_test(revocations_in_another_order_do_not_fit),
        cmocka_unit_test(forged_revocation_is_shown_by_the_next_beat),
        cmocka_unit_test(gap_that_resuming_does_not_heal_takes_a_snapshot),
        cmocka_unit_test(too_old_position_takes_a_snapshot),
        cmocka_unit_test(server_that_lost_revocations_makes_stale_and_frees_nobody),
        cmocka_unit_test(lost_numbers_given_to_others_do_not_heal),
        cmocka_unit_test(server_that_knows_all_again_is_believed_again),
        cmocka_unit_test(new_epoch_takes_a_snapshot_and_forgets_nothing),
        cmocka_unit_test(badly_signed_beat_is_not_used),
        cmocka_unit_test(only_the_pinned_key_begins),
        cmocka_unit_test(pinned_predecessor_vouches_for_its_successor),
        cmocka_unit_test(announced_successor_takes_over_without_asking),
        cmocka_unit_test(key_that_nobody_vouches_for_is_not_trusted_later),
        cmocka_unit_test(another_issuer_is_not_followed),
        cmocka_unit_test(silent_stream_is_given_up_after_three_beats),
        cmocka_unit_test(server_that_never_answers_is_given_up_and_tried_again),
        cmocka_unit_test(stale_when_the_server_is_away_and_fresh_when_it_is_back),
        cmocka_unit_test(refused_credential_is_told_and_tried_seldom),
        cmocka_unit_test(junk_in_the_stream_is_a_new_connection),
        cmocka_unit_test(events_of_a_later_version_are_passed_over),
        cmocka_unit_test(acknowledges_what_it_enforces),
        cmocka_unit_test(staleness_that_is_no_whole_second_is_named_by_the_next),
        cmocka_unit_test(acknowledgements_run_one_at_a_time),
        cmocka_unit_test(full_registry_does_not_disturb_following),
        cmocka_unit_test(says_goodbye_when_it_leaves),
        cmocka_unit_test(goodbye_comes_after_the_acknowledgement_that_is_under_way),
        cmocka_unit_test(goodbye_that_nobody_answers_ends_within_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
