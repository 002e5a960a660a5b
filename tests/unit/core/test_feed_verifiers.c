/* Who follows the feed, what they have confirmed, and whose seat it is when all are taken. */
#include "feed_fixture.h"

static void list_tells_who_follows_and_how_far_behind(void **state) {
    struct fixture *f = *state;
    struct sp_feed_verifier v[4];
    ack(f, "b", 100);
    revoke_one(f);
    ack(f, "a", 101);
    sp_feed_attach(f->feed, SP_SLICE_LIT("watch"), SP_SLICE_LIT("c"), SP_SLICE_LIT("::1"));
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, v, 4), 3);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&v[0].instance), "a"));
    assert_int_equal(v[0].behind, 0);
    assert_int_equal(v[1].behind, 1);
    assert_true(v[1].is_live && v[1].has_keys && !v[1].is_attached);
    assert_true(!v[2].is_live && !v[2].has_acked && v[2].is_attached);
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("a"), v, 4), 2);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&v[0].instance), "b"));
    f->boot_ms += LIVE_MS;
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, v, 1), 1);
    assert_true(v[0].is_live);
    f->boot_ms += 1;
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, v, 1), 1);
    assert_false(v[0].is_live);
}

static void acknowledgement_of_another_history_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_feed_ack a = ack_of(f, "a", 101);
    assert_int_equal(sp_feed_acknowledge(f->feed, &a).code, SP_E_CONFLICT); /* ahead of us */
    a.at.seq = 100;
    a.at.epoch[0] ^= 1;
    assert_int_equal(sp_feed_acknowledge(f->feed, &a).code, SP_E_CONFLICT);
    a.at.epoch[0] ^= 1;
    OK(sp_feed_acknowledge(f->feed, &a));
}

static void full_registry_refuses_newcomers_until_somebody_has_gone(void **state) {
    struct fixture *f = *state;
    char name[16];
    for (int i = 0; i < SP_FEED_VERIFIERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "v%d", i);
        ack(f, name, 100);
    }
    struct sp_feed_ack a = ack_of(f, "late", 100);
    assert_int_equal(sp_feed_acknowledge(f->feed, &a).code, SP_E_BUSY);
    ack(f, "v7", 100); /* who has a seat keeps it */
    f->boot_ms += 30000;
    ack(f, "v8", 100);
    f->boot_ms += 30000; /* all but v8 are no longer live */
    OK(sp_feed_acknowledge(f->feed, &a));
    struct sp_feed_counts c;
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, SP_FEED_VERIFIERS_MAX);
    assert_int_equal(c.live, 2);
}

static sp_status ack_by(struct fixture *f, const char *client, const char *name) {
    struct sp_feed_ack a = ack_of(f, name, 100);
    a.client = sp_slice_cstr(client);
    a.max_staleness_s = SP_FEED_STALENESS_MAX_S;
    return sp_feed_acknowledge(f->feed, &a);
}

static void one_credential_cannot_keep_the_verifiers_of_others_out(void **state) {
    struct fixture *f = *state;
    char name[16];
    for (int i = 0; i < SP_FEED_VERIFIERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "v%d", i);
        OK(ack_by(f, "greedy", name));
        f->boot_ms++;
    }
    assert_int_equal(ack_by(f, "greedy", "more").code, SP_E_BUSY);
    OK(ack_by(f, "honest", "a"));
    OK(ack_by(f, "honest", "b"));
    /* Who was heard longest ago has lost its seat, and cannot take one back from those who have fewer. */
    assert_int_equal(ack_by(f, "greedy", "v0").code, SP_E_BUSY);
    assert_int_equal(ack_by(f, "greedy", "v1").code, SP_E_BUSY);
    OK(ack_by(f, "greedy", "v2"));
    OK(ack_by(f, "honest", "a"));
    OK(ack_by(f, "third", "a"));
    /* And what is not full is first come, first served, down to equal shares. */
    for (int i = 2; i < SP_FEED_VERIFIERS_MAX / 2 - 1; i++) {
        (void)snprintf(name, sizeof(name), "h%d", i);
        OK(ack_by(f, "honest", name));
    }
    assert_int_equal(ack_by(f, "honest", "one more").code, SP_E_BUSY);
    OK(ack_by(f, "third", "b"));
    struct sp_feed_counts c;
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, SP_FEED_VERIFIERS_MAX);
    assert_int_equal(c.live, SP_FEED_VERIFIERS_MAX);
}

static void who_was_long_not_heard_of_is_forgotten(void **state) {
    struct fixture *f = *state;
    struct sp_feed_counts c;
    ack(f, "a", 100);
    sp_feed_attach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("b"), SP_SLICE_EMPTY);
    f->boot_ms += (int64_t)SP_FEED_FORGET_S * 1000 + 1;
    sp_feed_tick(f->feed);
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, 1); /* b is connected */
    sp_feed_detach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("b"));
    sp_feed_tick(f->feed);
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, 1);
    f->boot_ms += (int64_t)SP_FEED_FORGET_S * 1000 + 1;
    sp_feed_tick(f->feed);
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, 0);
}

static void keys_are_confirmed_when_every_live_verifier_has_the_newest(void **state) {
    struct fixture *f = *state;
    assert_true(sp_feed_keys_confirmed(f->feed));
    ack(f, "a", 100);
    assert_true(sp_feed_keys_confirmed(f->feed));
    const struct sp_feed_ack old = ack_of(f, "a", 100);
    rotate_feed_key(f);
    assert_false(sp_feed_keys_confirmed(f->feed));
    OK(sp_feed_acknowledge(f->feed, &old));
    assert_false(sp_feed_keys_confirmed(f->feed));
    ack(f, "a", 100);
    assert_true(sp_feed_keys_confirmed(f->feed));
    OK(sp_feed_acknowledge(f->feed, &old)); /* back to an older one: it restarted from somewhere */
    assert_false(sp_feed_keys_confirmed(f->feed));
    f->boot_ms += LIVE_MS + 1; /* and died */
    assert_true(sp_feed_keys_confirmed(f->feed));
}

/* Sent before the one that is known, received after it. */
static void acknowledgement_that_was_overtaken_changes_nothing_but_that_it_was_heard(void **state) {
    struct fixture *f = *state;
    struct sp_feed_verifier v;
    struct sp_feed_ack old = ack_of(f, "a", 100);
    memset(old.keys, 0x55, sizeof(old.keys));
    memset(old.roles, 0x55, sizeof(old.roles));
    revoke_one(f);
    ack(f, "a", 101);
    f->boot_ms += LIVE_MS - 1000;
    OK(sp_feed_acknowledge(f->feed, &old));
    f->boot_ms += LIVE_MS - 1000;
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, &v, 1), 1);
    assert_int_equal(v.behind, 0);
    assert_true(v.is_live && v.has_roles && v.has_keys);
    old.at.seq = 101; /* not overtaken: it is so */
    OK(sp_feed_acknowledge(f->feed, &old));
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, &v, 1), 1);
    assert_true(!v.has_roles && !v.has_keys);
}

static void streams_without_a_name_are_counted_and_not_listed(void **state) {
    struct fixture *f = *state;
    struct sp_feed_counts c;
    sp_feed_attach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_EMPTY, SP_SLICE_LIT("::1"));
    sp_feed_attach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("a"), SP_SLICE_LIT("::1"));
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.subscribers, 2);
    assert_int_equal(c.known, 1);
    assert_int_equal(c.at.seq, f->seq);
    sp_feed_detach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_EMPTY);
    sp_feed_detach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("a"));
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.subscribers, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(list_tells_who_follows_and_how_far_behind),
        TEST(acknowledgement_of_another_history_is_refused),
        TEST(full_registry_refuses_newcomers_until_somebody_has_gone),
        TEST(one_credential_cannot_keep_the_verifiers_of_others_out),
        TEST(who_was_long_not_heard_of_is_forgotten),
        TEST(keys_are_confirmed_when_every_live_verifier_has_the_newest),
        TEST(acknowledgement_that_was_overtaken_changes_nothing_but_that_it_was_heard),
        TEST(streams_without_a_name_are_counted_and_not_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
