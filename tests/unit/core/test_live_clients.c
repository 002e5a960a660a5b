#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "core/live_clients.h"

#define NOW_MS INT64_C(1790000000000)
#define OK(expr) assert_int_equal((expr).code, SP_OK)

/* ---- ids ---- */

static void ids_are_short_words(void **state) {
    (void)state;
    static const char *const good[] = {"a",
                                       "orders",
                                       "Orders.eu-1_b",
                                       "0",
                                       "-",
                                       "...",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const char *const bad[] = {
        "",      "a b",         "a:b",
        "a/b",   "\xc3\xa9",    "a\n",
        "a%20b", "a@b",         "a,b",
        "spcs_", "spcs_orders", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) assert_true(sp_client_id_valid(sp_slice_cstr(good[i])));
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) assert_false(sp_client_id_valid(sp_slice_cstr(bad[i])));
    assert_false(sp_client_id_valid(sp_slice_of("a\0b", 3)));
}

/* 22 characters of base64url are a user's id when the last one leaves no bits over. */
static void id_that_could_be_a_users_is_refused(void **state) {
    (void)state;
    assert_false(sp_client_id_valid(SP_SLICE_LIT("AAAAAAAAAAAAAAAAAAAAAA")));
    assert_false(sp_client_id_valid(SP_SLICE_LIT("q83vEjRWeJASNFZ4kBI0VA")));
    assert_true(sp_client_id_valid(SP_SLICE_LIT("q83vEjRWeJASNFZ4kBI0VB"))); /* no id's text */
    assert_true(sp_client_id_valid(SP_SLICE_LIT("q83vEjRWeJASNFZ4kBI0V")));
    assert_true(sp_client_id_valid(SP_SLICE_LIT("q83vEjRWeJASNFZ4kBI0VAA")));
    assert_true(sp_client_id_valid(SP_SLICE_LIT("q83vEjRWeJASNFZ4kBI0.A")));
}

/* ---- the table ---- */

struct fixture {
    struct sp_reclaim *reclaim;
    struct sp_seats *seats;
    struct sp_live_clients *live;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    OK(sp_reclaim_new(8, &f->reclaim));
    OK(sp_seats_new(f->reclaim, &f->seats));
    OK(sp_live_clients_new(f->seats, &f->live));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    sp_live_clients_free(f->live);
    sp_seats_free(f->seats);
    sp_reclaim_free(f->reclaim);
    free(f);
    return 0;
}

static struct sp_client_row *row_new(const char *id) {
    struct sp_client_row *row = calloc(1, sizeof(*row));
    assert_non_null(row);
    row->feed = true;
    OK(SP_TEXT_SET(&row->id, sp_slice_cstr(id)));
    return row;
}

struct secret {
    char text[SP_CLIENT_SECRET_CHARS];
};

static struct secret give_secret(struct sp_client_row *row, size_t place, int64_t expires_ms) {
    struct secret secret;
    row->secrets[place] =
        (struct sp_client_secret){.used = true, .created_ms = NOW_MS, .expires_ms = expires_ms};
    OK(sp_client_secret_new(&sp_random_system, secret.text, row->secrets[place].hash));
    return secret;
}

static enum sp_client_check check_at(struct fixture *f, const char *id, const struct secret *secret,
                                     int64_t now_ms) {
    struct sp_client_facts facts;
    return sp_live_clients_check(f->live, sp_slice_cstr(id), SP_SLICE_ARRAY(secret->text), now_ms, &facts);
}

static void secret_is_random_and_never_in_its_row(void **state) {
    (void)state;
    struct sp_client_row *row = row_new("orders");
    const struct secret one = give_secret(row, 0, 0), two = give_secret(row, 1, 0);
    assert_memory_equal(one.text, "spcs_", 5);
    assert_memory_not_equal(one.text, two.text, sizeof(one.text));
    assert_null(memmem(row, sizeof(*row), one.text + 5, sizeof(one.text) - 5));
    uint8_t hash[SP_ROW_HASH_BYTES];
    sp_client_secret_hash(SP_SLICE_ARRAY(two.text), hash);
    assert_memory_equal(row->secrets[1].hash, hash, sizeof(hash));
    free(row);
}

static void only_the_right_secret_of_the_right_client_passes(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *orders = row_new("orders"), *billing = row_new("billing");
    const struct secret of_orders = give_secret(orders, 0, 0), of_billing = give_secret(billing, 1, 0);
    billing->feed = false;
    OK(sp_live_clients_put(f->live, orders, 1));
    OK(sp_live_clients_put(f->live, billing, 1));
    assert_int_equal(sp_live_clients_count(f->live), 2);

    struct sp_client_facts facts;
    assert_int_equal(sp_live_clients_check(f->live, SP_SLICE_LIT("orders"), SP_SLICE_ARRAY(of_orders.text),
                                           NOW_MS, &facts),
                     SP_CLIENT_GENUINE);
    assert_true(facts.feed);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&facts.id), "orders"));
    assert_int_equal(sp_live_clients_check(f->live, SP_SLICE_LIT("billing"), SP_SLICE_ARRAY(of_billing.text),
                                           NOW_MS, &facts),
                     SP_CLIENT_GENUINE);
    assert_false(facts.feed);

    assert_int_equal(check_at(f, "orders", &of_billing, NOW_MS), SP_CLIENT_REFUSED);
    assert_int_equal(check_at(f, "billing", &of_orders, NOW_MS), SP_CLIENT_REFUSED);
    assert_int_equal(check_at(f, "order", &of_orders, NOW_MS), SP_CLIENT_REFUSED);
    assert_int_equal(check_at(f, "orders2", &of_orders, NOW_MS), SP_CLIENT_REFUSED);
    assert_int_equal(check_at(f, "", &of_orders, NOW_MS), SP_CLIENT_REFUSED);
    free(orders);
    free(billing);
}

static void near_misses_of_a_secret_are_refused(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *row = row_new("orders");
    const struct secret secret = give_secret(row, 0, 0);
    OK(sp_live_clients_put(f->live, row, 1));
    struct sp_client_facts facts;
    const sp_slice id = SP_SLICE_LIT("orders"), whole = SP_SLICE_ARRAY(secret.text);
    assert_int_equal(sp_live_clients_check(f->live, id, SP_SLICE_EMPTY, NOW_MS, &facts), SP_CLIENT_REFUSED);
    for (size_t n = 1; n < whole.n; n++)
        assert_int_equal(sp_live_clients_check(f->live, id, sp_slice_of(whole.p, n), NOW_MS, &facts),
                         SP_CLIENT_REFUSED);
    for (size_t i = 0; i < whole.n; i++) {
        struct secret other = secret;
        other.text[i] ^= 1;
        assert_int_equal(check_at(f, "orders", &other, NOW_MS), SP_CLIENT_REFUSED);
    }
    /* what is stored is not what is asked for */
    assert_int_equal(sp_live_clients_check(f->live, id, SP_SLICE_ARRAY(row->secrets[0].hash), NOW_MS, &facts),
                     SP_CLIENT_REFUSED);
    free(row);
}

/* A place that is not taken has a hash of zeros; nobody must find what hashes to it, nor use what was there.
 */
static void empty_place_is_no_secret(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *row = row_new("orders");
    const struct secret secret = give_secret(row, 0, 0);
    row->secrets[0].used = false;
    OK(sp_live_clients_put(f->live, row, 1));
    assert_int_equal(check_at(f, "orders", &secret, NOW_MS), SP_CLIENT_REFUSED);
    free(row);
}

static void both_secrets_pass_until_the_old_one_lapses(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *row = row_new("orders");
    const struct secret old = give_secret(row, 0, NOW_MS + 1000), new = give_secret(row, 1, 0);
    OK(sp_live_clients_put(f->live, row, 1));
    assert_int_equal(check_at(f, "orders", &old, NOW_MS), SP_CLIENT_GENUINE);
    assert_int_equal(check_at(f, "orders", &new, NOW_MS), SP_CLIENT_GENUINE);
    assert_int_equal(check_at(f, "orders", &old, NOW_MS + 999), SP_CLIENT_GENUINE);
    assert_int_equal(check_at(f, "orders", &old, NOW_MS + 1000), SP_CLIENT_REFUSED);
    assert_int_equal(check_at(f, "orders", &new, NOW_MS + 1000), SP_CLIENT_GENUINE);
    free(row);
}

static void disabled_is_told_only_to_who_has_the_secret(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *row = row_new("orders");
    const struct secret secret = give_secret(row, 0, 0);
    struct secret wrong = secret;
    wrong.text[20] ^= 2;
    row->disabled = true;
    OK(sp_live_clients_put(f->live, row, 1));
    assert_int_equal(check_at(f, "orders", &secret, NOW_MS), SP_CLIENT_DISABLED);
    assert_int_equal(check_at(f, "orders", &wrong, NOW_MS), SP_CLIENT_REFUSED);
    free(row);
}

static void connection_that_stays_is_found_out_by_every_change(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *row = row_new("orders");
    const struct secret secret = give_secret(row, 0, NOW_MS + 1000);
    struct sp_client_facts facts, before;
    OK(sp_live_clients_put(f->live, row, 1));
    assert_int_equal(
        sp_live_clients_check(f->live, SP_SLICE_LIT("orders"), SP_SLICE_ARRAY(secret.text), NOW_MS, &facts),
        SP_CLIENT_GENUINE);
    assert_int_equal(sp_live_clients_check_again(f->live, NOW_MS, &facts), SP_CLIENT_GENUINE);
    before = facts;
    assert_int_equal(sp_live_clients_check_again(f->live, NOW_MS + 1000, &facts), SP_CLIENT_REFUSED);
    assert_memory_equal(&facts, &before, sizeof(facts)); /* who it was */

    row->feed = false;
    OK(sp_live_clients_put(f->live, row, 1));
    assert_int_equal(sp_live_clients_check_again(f->live, NOW_MS, &facts), SP_CLIENT_GENUINE);
    assert_false(facts.feed);
    row->disabled = true;
    OK(sp_live_clients_put(f->live, row, 1));
    assert_int_equal(sp_live_clients_check_again(f->live, NOW_MS, &facts), SP_CLIENT_DISABLED);
    row->disabled = false;
    (void)give_secret(row, 0, 0); /* another in its place */
    OK(sp_live_clients_put(f->live, row, 1));
    assert_int_equal(sp_live_clients_check_again(f->live, NOW_MS, &facts), SP_CLIENT_REFUSED);
    OK(sp_live_clients_remove(f->live, SP_SLICE_LIT("orders")));
    assert_int_equal(sp_live_clients_check_again(f->live, NOW_MS, &facts), SP_CLIENT_REFUSED);
    free(row);
}

static void put_replaces_and_remove_forgets(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *row = row_new("orders");
    const struct secret first = give_secret(row, 0, 0);
    OK(sp_live_clients_put(f->live, row, 1));
    const struct secret second = give_secret(row, 0, 0);
    OK(sp_live_clients_put(f->live, row, 1));
    assert_int_equal(sp_live_clients_count(f->live), 1);
    assert_int_equal(check_at(f, "orders", &first, NOW_MS), SP_CLIENT_REFUSED);
    assert_int_equal(check_at(f, "orders", &second, NOW_MS), SP_CLIENT_GENUINE);
    OK(sp_live_clients_remove(f->live, SP_SLICE_LIT("nobody")));
    OK(sp_live_clients_remove(f->live, SP_SLICE_LIT("orders")));
    assert_int_equal(sp_live_clients_count(f->live), 0);
    assert_int_equal(check_at(f, "orders", &second, NOW_MS), SP_CLIENT_REFUSED);
    free(row);
}

static struct sp_client_row *many_rows(size_t n) {
    struct sp_client_row *rows = calloc(n, sizeof(*rows));
    assert_non_null(rows);
    for (size_t i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof(id), "c%05zu", i * 7919 % n); /* in no order */
        OK(SP_TEXT_SET(&rows[i].id, sp_slice_cstr(id)));
    }
    return rows;
}

static void table_is_bounded_and_finds_the_first_and_the_last(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *rows = many_rows(SP_CLIENTS_MAX), *extra = row_new("extra");
    const struct secret of_first = give_secret(&rows[0], 0, 0);
    OK(sp_live_clients_put(f->live, rows, SP_CLIENTS_MAX));
    assert_int_equal(sp_live_clients_count(f->live), SP_CLIENTS_MAX);
    assert_int_equal(check_at(f, "c00000", &of_first, NOW_MS), SP_CLIENT_GENUINE);
    assert_int_equal(sp_live_clients_put(f->live, extra, 1).code, SP_E_LIMIT);
    assert_int_equal(sp_live_clients_count(f->live), SP_CLIENTS_MAX);
    const struct secret of_last = give_secret(&rows[SP_CLIENTS_MAX - 1], 0, 0);
    OK(sp_live_clients_put(f->live, &rows[SP_CLIENTS_MAX - 1], 1)); /* not one more */
    char id[16];
    snprintf(id, sizeof(id), "%.*s", rows[SP_CLIENTS_MAX - 1].id.n, rows[SP_CLIENTS_MAX - 1].id.s);
    assert_int_equal(check_at(f, id, &of_last, NOW_MS), SP_CLIENT_GENUINE);
    free(rows);
    free(extra);
}

static void row_whose_id_is_none_changes_nothing(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *rows = many_rows(2);
    OK(SP_TEXT_SET(&rows[1].id, SP_SLICE_LIT("not an id")));
    assert_int_equal(sp_live_clients_put(f->live, rows, 2).code, SP_E_MALFORMED);
    assert_int_equal(sp_live_clients_count(f->live), 0);
    free(rows);
}

/* ---- clients that are held ---- */

static void client_that_is_held_stays_as_it_was(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *row = row_new("orders");
    const struct secret first = give_secret(row, 0, 0);
    OK(sp_live_clients_put(f->live, row, 1));
    const struct sp_client *held = sp_live_clients_get(f->live, SP_SLICE_LIT("orders"));
    const struct sp_client *again = sp_client_hold(held);
    const struct secret second = give_secret(row, 0, 0);
    row->disabled = true;
    OK(sp_live_clients_put(f->live, row, 1));
    assert_false(held->row.disabled);
    assert_true(sp_client_has_secret(held, SP_SLICE_ARRAY(first.text), NOW_MS));
    assert_false(sp_client_has_secret(held, SP_SLICE_ARRAY(second.text), NOW_MS));
    const struct sp_client *now = sp_live_clients_get(f->live, SP_SLICE_LIT("orders"));
    assert_true(now->row.disabled); /* given all the same */
    assert_true(sp_client_has_secret(now, SP_SLICE_ARRAY(second.text), NOW_MS));
    sp_client_release(held);
    OK(sp_live_clients_remove(f->live, SP_SLICE_LIT("orders")));
    assert_null(sp_live_clients_get(f->live, SP_SLICE_LIT("orders")));
    assert_true(sp_client_has_secret(again, SP_SLICE_ARRAY(first.text), NOW_MS));
    sp_client_release(again);
    sp_client_release(now);
    sp_client_release(NULL);
    free(row);
}

static void change_of_one_client_leaves_the_others_where_they_are(void **state) {
    struct fixture *f = *state;
    struct sp_client_row *rows = many_rows(3);
    OK(sp_live_clients_put(f->live, rows, 3));
    const struct sp_client *before = sp_live_clients_get(f->live, SP_SLICE_LIT("c00002"));
    rows[0].feed = true; /* c00000 */
    OK(sp_live_clients_put(f->live, rows, 1));
    OK(sp_live_clients_remove(f->live, SP_SLICE_LIT("c00000")));
    const struct sp_client *after = sp_live_clients_get(f->live, SP_SLICE_LIT("c00002"));
    assert_ptr_equal(before, after);
    sp_client_release(before);
    sp_client_release(after);
    free(rows);
}

static void nobody_has_a_secret(void **state) {
    (void)state;
    const uint8_t zeros[SP_ROW_HASH_BYTES] = {0};
    assert_false(sp_client_has_secret(NULL, SP_SLICE_EMPTY, NOW_MS));
    assert_false(sp_client_has_secret(NULL, SP_SLICE_ARRAY(zeros), NOW_MS));
}

/* ---- readers and the writer ---- */

struct reader {
    struct fixture *f;
    struct secret first, second;
    atomic_bool stop;
};

static void *read_until_told(void *arg) {
    struct reader *r = arg;
    while (!atomic_load(&r->stop)) {
        (void)check_at(r->f, "orders", &r->first, NOW_MS); /* comes and goes */
        (void)check_at(r->f, "orders", &r->second, NOW_MS);
        if (check_at(r->f, "always", &r->second, NOW_MS) != SP_CLIENT_REFUSED) return r;
        if (check_at(r->f, "always", &r->first, NOW_MS) != SP_CLIENT_GENUINE) return r;
        const struct sp_client *held = sp_live_clients_get(r->f->live, SP_SLICE_LIT("orders"));
        const bool is_whole = held == NULL || sp_slice_eq_cstr(SP_TEXT_SLICE(&held->row.id), "orders");
        sp_client_release(held);
        if (!is_whole) return r;
    }
    return NULL;
}

static void readers_see_one_table_or_the_next(void **state) {
    struct fixture *f = *state;
    struct reader r = {.f = f};
    struct sp_client_row *always = row_new("always"), *row = row_new("orders"), *other = row_new("orders");
    r.first = give_secret(row, 0, 0);
    r.second = give_secret(other, 1, 0);
    always->secrets[1] = row->secrets[0];
    OK(sp_live_clients_put(f->live, always, 1));
    pthread_t threads[2];
    for (size_t i = 0; i < SP_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_told, &r), 0);
    for (int i = 0; i < 2000; i++) {
        OK(sp_live_clients_put(f->live, i % 2 == 0 ? row : other, 1));
        if (i % 100 == 99) OK(sp_live_clients_remove(f->live, SP_SLICE_LIT("orders")));
    }
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < SP_ARRAY_LEN(threads); i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    free(always);
    free(row);
    free(other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_short_words),
        cmocka_unit_test(id_that_could_be_a_users_is_refused),
        cmocka_unit_test(secret_is_random_and_never_in_its_row),
        T(only_the_right_secret_of_the_right_client_passes),
        T(near_misses_of_a_secret_are_refused),
        T(empty_place_is_no_secret),
        T(both_secrets_pass_until_the_old_one_lapses),
        T(disabled_is_told_only_to_who_has_the_secret),
        T(connection_that_stays_is_found_out_by_every_change),
        T(put_replaces_and_remove_forgets),
        T(table_is_bounded_and_finds_the_first_and_the_last),
        T(row_whose_id_is_none_changes_nothing),
        T(client_that_is_held_stays_as_it_was),
        T(change_of_one_client_leaves_the_others_where_they_are),
        cmocka_unit_test(nobody_has_a_secret),
        T(readers_see_one_table_or_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
