/* The follower and time: a beat proves no more than its age allows, a clock that jumps or stands still makes
 * stale, and only a genuine answer to our own question anchors the server's clock to ours. */
#include "follow_rig.h"

static struct rig rig; /* large */

/* ---- the age of beats ---- */

static void replayed_old_beat_proves_nothing(void **state) {
    (void)state;
    SP_AUTO(sp_buf) old = SP_BUF_INIT(FAKE_BYTES_MAX);
    rig_init_fresh(&rig);
    fake_write_beat(&rig.server, rig_server_ms(&rig), &old);
    rig.silent = true;
    for (int i = 0; i < STALENESS_MS / 1000 + 1; i++) { /* somebody plays it again and again */
        rig_bytes(&rig, SP_EX_STREAM, sp_buf_slice(&old));
        rig_pass(&rig, 1000);
    }
    assert_false(is_fresh(&rig));
    rig_done(&rig);
}

static void beats_that_lay_in_a_buffer_are_as_old_as_they_are(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.beats_held_ms = 12000;
    rig_pass(&rig, 20 * 1000);
    assert_true(is_fresh(&rig));
    assert_in_range(staleness(&rig), 11900, 13000);
    rig.beats_held_ms = STALENESS_MS + 1000;
    rig_pass(&rig, STALENESS_MS);
    assert_false(is_fresh(&rig));
    rig_done(&rig);
}

/* ---- clocks ---- */

static void wall_clock_that_is_set_makes_stale_until_an_answer(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.mute[SP_EX_NONCE] = true;
    rig.wall_ms += 2000;
    assert_false(is_fresh(&rig)); /* at once, before the follower has looked */
    rig_pass(&rig, 1000);
    assert_false(is_fresh(&rig));
    assert_int_equal(counted(&rig, SP_FOLLOWER_CLOCK_JUMP), 1);
    rig.mute[SP_EX_NONCE] = false;
    rig_pass(&rig, 11 * 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void jump_that_is_undone_before_anybody_looks_again_still_counts(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.mute[SP_EX_NONCE] = true;
    rig.wall_ms += 2000;
    assert_false(is_fresh(&rig));
    rig.wall_ms -= 2000;
    assert_false(is_fresh(&rig));
    rig.mute[SP_EX_NONCE] = false;
    rig_pass(&rig, 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void wall_clock_that_is_set_back_loads_the_base_again(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    fake_revoke_jti(&rig.server, id_a, T0 + 100);
    rig_send_revocations(&rig, 0);
    rig.wall_ms += 3600 * 1000; /* wrong by an hour: it lapses here, and is dropped */
    rig_pass(&rig, 20 * 1000);
    rig.wall_ms -= 3600 * 1000; /* put right */
    rig_pass(&rig, 1000);
    assert_int_equal(counted(&rig, SP_FOLLOWER_SNAPSHOT), 2);
    assert_true(is_fresh(&rig));
    assert_true(is_revoked(&rig, SP_REVOKE_JTI, JTI_A));
    rig_done(&rig);
}

/* The answer says what the clocks are like now, and nothing of what they were like when the proof was made.
 */
static void answer_to_an_older_question_does_not_undo_a_jump(void **state) {
    (void)state;
    SP_AUTO(sp_buf) answer = SP_BUF_INIT(1024);
    rig_init_fresh(&rig);
    rig.mute[SP_EX_NONCE] = true;
    while (!rig.running[SP_EX_NONCE]) rig_pass(&rig, 1000);
    assert_true(is_fresh(&rig));
    assert_true(fake_write_answer(&rig.server, sp_slice_cstr(rig.question), rig_server_ms(&rig), &answer));
    rig.wall_ms += 2000;
    assert_false(is_fresh(&rig)); /* a check has seen it, the follower not */
    rig.wall_ms -= 2000;
    rig_answer(&rig, SP_EX_NONCE, &answer);
    assert_false(is_fresh(&rig));
    assert_int_equal(counted(&rig, SP_FOLLOWER_CLOCK_JUMP), 1);
    rig_run(&rig);
    rig.mute[SP_EX_NONCE] = false;
    rig_pass(&rig, 11 * 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

enum { MANY = 3000 };
static void id_of(unsigned i, uint8_t id[16]) {
    memset(id, 0x33, 16);
    memcpy(id, &i, sizeof i);
}
/* Ahead for a moment in which a snapshot grows the set: what lapsed then is not to be missed later. */
static void wall_clock_that_was_ahead_while_the_base_was_loaded_loads_it_again(void **state) {
    (void)state;
    SP_AUTO(sp_buf) b = SP_BUF_INIT(FAKE_BYTES_MAX);
    uint8_t id[16];
    rig_init(&rig);
    for (unsigned i = 0; i < MANY; i++) {
        id_of(i, id);
        fake_revoke_jti(&rig.server, id, T0 + 100);
    }
    rig.mute[SP_EX_SNAPSHOT] = true;
    rig_pass(&rig, 10);
    assert_true(rig.running[SP_EX_SNAPSHOT]);
    fake_write_snapshot(&rig.server, T0, &b);
    size_t half = b.n / 2, most = b.n - b.n / 8;
    rig_bytes(&rig, SP_EX_SNAPSHOT, sp_slice_of(b.p, half));
    rig.wall_ms += 3600 * 1000;
    rig_bytes(&rig, SP_EX_SNAPSHOT, sp_slice_of(b.p + half, most - half));
    rig.wall_ms -= 3600 * 1000;
    rig_bytes(&rig, SP_EX_SNAPSHOT, sp_slice_of(b.p + most, b.n - most));
    rig.running[SP_EX_SNAPSHOT] = false;
    sp_follower_ended(rig.f, SP_EX_SNAPSHOT, rig_now(&rig), SP_OUTCOME_DONE);
    rig.mute[SP_EX_SNAPSHOT] = false;
    rig_pass(&rig, 1000);
    assert_true(is_fresh(&rig));
    for (unsigned i = 0; i < MANY; i++) {
        id_of(i, id);
        assert_true(is_revoked(&rig, SP_REVOKE_JTI, SP_SLICE_ARRAY(id)));
    }
    rig_done(&rig);
}

static void slow_steering_of_the_wall_clock_is_no_jump(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    for (int i = 0; i < 3600; i++) { /* 100 ppm for an hour */
        rig_pass(&rig, 1000);
        if (i % 10 == 0) rig.wall_ms += 1;
    }
    assert_int_equal(counted(&rig, SP_FOLLOWER_CLOCK_JUMP), 0);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void suspended_machine_is_stale_when_it_wakes(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.boot_ms += 60 * 1000; /* both clocks count it, and nobody read the stream */
    rig.wall_ms += 60 * 1000;
    assert_false(is_fresh(&rig));
    rig_pass(&rig, 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void our_clock_that_stood_still_is_noticed_by_the_next_beat(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.mute[SP_EX_NONCE] = true;
    rig.server_behind_ms = -60 * 1000; /* the server counted a minute that we did not */
    rig_pass(&rig, 1000);
    assert_false(is_fresh(&rig));
    assert_int_equal(counted(&rig, SP_FOLLOWER_CLOCK_JUMP), 1);
    rig.mute[SP_EX_NONCE] = false;
    rig_pass(&rig, 11 * 1000);
    assert_true(is_fresh(&rig));
    rig_done(&rig);
}

static void answer_as_another_node(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    uint8_t node[SP_FEED_NODE_BYTES];
    if (x != SP_EX_NONCE) return;
    memcpy(node, r->server.node, sizeof node);
    memset(r->server.node, 0x77, sizeof r->server.node);
    sp_buf_clear(b);
    assert_true(fake_write_answer(&r->server, sp_slice_cstr(r->question), rig_server_ms(r), b));
    memcpy(r->server.node, node, sizeof node);
}
/* Each for less than a second, and each time another node answers before the next one. */
static void short_pauses_add_up_while_other_nodes_answer(void **state) {
    (void)state;
    enum { HELD_MS = 10000, PAUSE_MS = 900, PAUSES = 5 };
    rig_init_fresh(&rig);
    rig.alter = answer_as_another_node;
    rig.beats_held_ms = HELD_MS;
    rig_pass(&rig, 300 * 1000);
    uint64_t answers = counted(&rig, SP_FOLLOWER_NONCE), jumps = counted(&rig, SP_FOLLOWER_CLOCK_JUMP);
    assert_true(is_fresh(&rig));
    for (int i = 0; i < PAUSES; i++) {
        rig.wall_ms += PAUSE_MS; /* our boot-time clock stood still, the server's went on */
        rig.server_behind_ms -= PAUSE_MS;
        rig_pass(&rig, 3000);
    }
    assert_true(counted(&rig, SP_FOLLOWER_NONCE) > answers);
    assert_true(counted(&rig, SP_FOLLOWER_CLOCK_JUMP) > jumps);
    assert_true(!is_fresh(&rig) || staleness(&rig) > HELD_MS - 2000);
    rig_done(&rig);
}

static void servers_clock_that_stood_still_costs_a_question(void **state) {
    (void)state;
    rig_init_fresh(&rig);
    rig.server_behind_ms = 60 * 1000;
    rig_pass(&rig, STALENESS_MS + 5000);
    assert_true(is_fresh(&rig));
    assert_in_range(rig.started[SP_EX_NONCE], 2, 5);
    rig_done(&rig);
}

static void forge_nonce(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    (void)r;
    uint8_t *at = x == SP_EX_NONCE ? memmem(b->p, b->n, "\"boot_ms\":", 10) : NULL;
    if (at != NULL) at[10] = at[10] == '9' ? '8' : (uint8_t)(at[10] + 1);
}
static void forged_answer_to_a_nonce_anchors_nothing(void **state) {
    (void)state;
    rig_init(&rig);
    rig.alter = forge_nonce;
    rig_pass(&rig, 10 * 1000);
    assert_false(is_fresh(&rig));
    assert_true(counted(&rig, SP_FOLLOWER_BAD_SIGNATURE) > 1);
    rig_done(&rig);
}

static struct sp_buf kept_answer;
static void replay_nonce(struct rig *r, enum sp_exchange x, struct sp_buf *b) {
    (void)r;
    if (x != SP_EX_NONCE) return;
    if (kept_answer.n == 0) {
        sp_buf_init(&kept_answer, 1024);
        assert_true(sp_ok(sp_buf_append(&kept_answer, sp_buf_slice(b))));
    }
    sp_buf_clear(b);
    assert_true(sp_ok(sp_buf_append(b, sp_buf_slice(&kept_answer))));
}
static void replayed_answer_to_a_nonce_anchors_nothing(void **state) {
    (void)state;
    rig_init(&rig);
    rig.alter = replay_nonce;
    rig_pass(&rig, 10);
    assert_int_equal(counted(&rig, SP_FOLLOWER_NONCE), 1);
    rig_pass(&rig, 400 * 1000);
    assert_int_equal(counted(&rig, SP_FOLLOWER_NONCE), 1);
    sp_buf_done(&kept_answer);
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replayed_old_beat_proves_nothing),
        cmocka_unit_test(beats_that_lay_in_a_buffer_are_as_old_as_they_are),
        cmocka_unit_test(wall_clock_that_is_set_makes_stale_until_an_answer),
        cmocka_unit_test(jump_that_is_undone_before_anybody_looks_again_still_counts),
        cmocka_unit_test(wall_clock_that_is_set_back_loads_the_base_again),
        cmocka_unit_test(answer_to_an_older_question_does_not_undo_a_jump),
        cmocka_unit_test(wall_clock_that_was_ahead_while_the_base_was_loaded_loads_it_again),
        cmocka_unit_test(slow_steering_of_the_wall_clock_is_no_jump),
        cmocka_unit_test(suspended_machine_is_stale_when_it_wakes),
        cmocka_unit_test(our_clock_that_stood_still_is_noticed_by_the_next_beat),
        cmocka_unit_test(short_pauses_add_up_while_other_nodes_answer),
        cmocka_unit_test(servers_clock_that_stood_still_costs_a_question),
        cmocka_unit_test(forged_answer_to_a_nonce_anchors_nothing),
        cmocka_unit_test(replayed_answer_to_a_nonce_anchors_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
