/* What waits to be delivered, against a model that looks through a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/mem.h"
#include "core/backchannel_queue.h"

enum { MODEL_MAX = 4096, CLIENTS = 5 };

static struct sp_logout_wait wait_at(uint64_t seq, int64_t due_ms) {
    return (struct sp_logout_wait){.seq = seq, .due_ms = due_ms, .created_ms = (int64_t)seq};
}

static void put(struct sp_logout_queue *q, const char *client, uint64_t seq, int64_t due_ms) {
    const struct sp_logout_wait w = wait_at(seq, due_ms);
    assert_int_equal(sp_logout_queue_put(q, sp_slice_cstr(client), &w).code, SP_OK);
}

static bool is_client(const struct sp_logout_client *c, const char *id) {
    return c != NULL && sp_slice_eq_cstr(SP_TEXT_SLICE(&c->id), id);
}

static void nothing_is_taken_before_it_is_due(void **state) {
    (void)state;
    struct sp_logout_queue q = {.n = 0};
    assert_null(sp_logout_queue_take(&q, INT64_MAX));
    put(&q, "a", 1, 100);
    assert_false(sp_logout_queue_is_due(&q, 99));
    assert_null(sp_logout_queue_take(&q, 99));
    assert_true(sp_logout_queue_is_due(&q, 100));
    struct sp_logout_client *a = sp_logout_queue_take(&q, 100);
    assert_true(is_client(a, "a"));
    a->not_before_ms = 200;
    sp_logout_queue_give_back(&q, a);
    assert_null(sp_logout_queue_take(&q, 199));
    assert_non_null(sp_logout_queue_take(&q, 200));
    sp_logout_queue_give_back(&q, a);
    sp_logout_queue_done(&q);
}

static void a_client_that_is_taken_is_nobody_elses_and_takes_what_comes_meanwhile(void **state) {
    (void)state;
    struct sp_logout_queue q = {.n = 0};
    struct sp_logout_wait w;
    put(&q, "a", 1, 0);
    struct sp_logout_client *a = sp_logout_queue_take(&q, 0);
    assert_true(sp_logout_client_pop(&q, a, &w));
    assert_null(sp_logout_queue_take(&q, 0));
    for (uint64_t seq = 2; seq < 20; seq++) put(&q, "a", seq, 0);
    put(&q, "0", 20, 0); /* sorts before: places move */
    struct sp_logout_client *zero = sp_logout_queue_take(&q, 0);
    assert_true(is_client(zero, "0"));
    sp_logout_queue_give_back(&q, a);
    assert_ptr_equal(sp_logout_queue_take(&q, 0), a);
    assert_int_equal(q.waiting, 19);
    sp_logout_queue_give_back(&q, a);
    sp_logout_queue_give_back(&q, zero);
    sp_logout_queue_done(&q);
}

static void clients_take_turns_and_are_forgotten_when_nothing_waits(void **state) {
    (void)state;
    static const char *const turns[] = {"a", "b", "c", "a", "b", "c"};
    struct sp_logout_queue q = {.n = 0};
    struct sp_logout_wait w;
    for (uint64_t i = 0; i < 2; i++) {
        put(&q, "c", 10 + i, 0);
        put(&q, "a", 20 + i, 0);
        put(&q, "b", 30 + i, 0);
    }
    for (size_t i = 0; i < SP_ARRAY_LEN(turns); i++) {
        struct sp_logout_client *c = sp_logout_queue_take(&q, 0);
        if (!is_client(c, turns[i])) fail_msg("turn %u is not of %s", (unsigned)i, turns[i]);
        assert_true(sp_logout_client_pop(&q, c, &w));
        sp_logout_queue_give_back(&q, c);
    }
    assert_int_equal(q.n, 0);
    assert_int_equal(q.waiting, 0);
    sp_logout_queue_done(&q);
}

static void the_old_ones_are_found_wherever_they_are(void **state) {
    (void)state;
    struct sp_logout_queue q = {.n = 0};
    struct sp_logout_wait w;
    for (uint64_t seq = 1; seq <= 100; seq++) put(&q, "a", seq, (int64_t)(seq * 37 % 101));
    struct sp_logout_client *a = sp_logout_queue_take(&q, 1000);
    size_t n = 0;
    for (; sp_logout_client_pop_old(&q, a, 51, &w); n++) assert_true(w.seq <= 50);
    assert_int_equal(n, 50);
    int64_t last = -1;
    for (n = 0; sp_logout_client_pop(&q, a, &w); n++) {
        assert_true(w.seq > 50 && w.due_ms >= last);
        last = w.due_ms;
    }
    assert_int_equal(n, 50);
    sp_logout_queue_give_back(&q, a);
    sp_logout_queue_done(&q);
}

/* ---- against a model ---- */

static uint32_t dice(uint32_t *seed) {
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

struct model {
    struct {
        unsigned client;
        struct sp_logout_wait w;
    } all[MODEL_MAX];
    size_t n;
};

static size_t soonest_of(const struct model *m, unsigned client) {
    size_t best = m->n;
    for (size_t i = 0; i < m->n; i++) {
        if (m->all[i].client != client) continue;
        const struct sp_logout_wait *w = &m->all[i].w, *b = &m->all[best < m->n ? best : i].w;
        const bool sooner = w->due_ms < b->due_ms || (w->due_ms == b->due_ms && w->seq < b->seq);
        if (best == m->n || sooner) best = i;
    }
    return best;
}

static void pop_both(struct sp_logout_queue *q, struct model *m, struct sp_logout_client *c) {
    struct sp_logout_wait w;
    const unsigned client = (unsigned)(c->id.s[0] - 'a');
    const size_t i = soonest_of(m, client);
    assert_true(i < m->n);
    assert_true(sp_logout_client_pop(q, c, &w));
    assert_int_equal(w.seq, m->all[i].w.seq);
    m->all[i] = m->all[--m->n];
}

static void it_gives_what_a_plain_list_would(void **state) {
    (void)state;
    static struct model m;
    for (uint32_t run = 1; run <= 20; run++) {
        struct sp_logout_queue q = {.n = 0};
        uint32_t seed = run;
        m.n = 0;
        for (uint64_t step = 1; step < 1000; step++) {
            const unsigned client = dice(&seed) % CLIENTS;
            const char id[2] = {(char)('a' + client), 0};
            if (dice(&seed) % 3 != 0) {
                m.all[m.n].client = client;
                m.all[m.n].w = wait_at(step, dice(&seed) % 50);
                put(&q, id, step, m.all[m.n++].w.due_ms);
            } else {
                struct sp_logout_client *c = sp_logout_queue_take(&q, dice(&seed) % 60);
                if (c == NULL) continue;
                pop_both(&q, &m, c);
                sp_logout_queue_give_back(&q, c);
            }
            assert_int_equal(q.waiting, m.n);
        }
        sp_logout_queue_done(&q);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_taken_before_it_is_due),
        cmocka_unit_test(a_client_that_is_taken_is_nobody_elses_and_takes_what_comes_meanwhile),
        cmocka_unit_test(clients_take_turns_and_are_forgotten_when_nothing_waits),
        cmocka_unit_test(the_old_ones_are_found_wherever_they_are),
        cmocka_unit_test(it_gives_what_a_plain_list_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
