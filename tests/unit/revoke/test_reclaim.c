#include "support.h"

#include <pthread.h>

struct object {
    struct sp_retired retired;
    int *freed;
    _Atomic uint64_t value; /* LIVE until freed */
};
#define LIVE 0x11feu

static void object_free(struct sp_retired *link) {
    struct object *o = SP_CONTAINER_OF(link, struct object, retired);
    if (o->freed != NULL) (*o->freed)++;
    atomic_store(&o->value, 0);
    free(o);
}

static struct object *object_new(int *freed) {
    struct object *o = calloc(1, sizeof *o);
    assert_non_null(o);
    o->freed = freed;
    atomic_init(&o->value, LIVE);
    return o;
}

static struct sp_reclaim *new_reclaim(uint32_t readers) {
    struct sp_reclaim *r = NULL;
    assert_true(sp_ok(sp_reclaim_new(readers, &r)));
    return r;
}
static struct sp_reclaim_reader *join(struct sp_reclaim *r) {
    struct sp_reclaim_reader *reader = NULL;
    assert_true(sp_ok(sp_reclaim_reader_join(r, &reader)));
    return reader;
}

static void retired_object_waits_for_reader_inside(void **state) {
    (void)state;
    int freed = 0;
    SP_AUTO_FREE(sp_reclaim) r = new_reclaim(2);
    struct sp_reclaim_reader *a = join(r);
    sp_reclaim_enter(a);
    sp_reclaim_retire(r, &object_new(&freed)->retired, object_free);
    assert_int_equal(sp_reclaim_collect(r), 1);
    assert_int_equal(freed, 0);
    sp_reclaim_exit(a);
    assert_int_equal(sp_reclaim_collect(r), 0);
    assert_int_equal(freed, 1);
}

static void reader_that_entered_after_retiring_holds_nothing(void **state) {
    (void)state;
    int freed = 0;
    SP_AUTO_FREE(sp_reclaim) r = new_reclaim(2);
    struct sp_reclaim_reader *a = join(r);
    sp_reclaim_retire(r, &object_new(&freed)->retired, object_free);
    sp_reclaim_enter(a);
    assert_int_equal(sp_reclaim_collect(r), 0);
    assert_int_equal(freed, 1);
    sp_reclaim_exit(a);
}

static void early_reader_holds_later_retirements_too(void **state) {
    (void)state;
    int freed = 0;
    SP_AUTO_FREE(sp_reclaim) r = new_reclaim(2);
    struct sp_reclaim_reader *a = join(r), *b = join(r);
    sp_reclaim_retire(r, &object_new(&freed)->retired, object_free);
    sp_reclaim_enter(a);
    sp_reclaim_retire(r, &object_new(&freed)->retired, object_free);
    sp_reclaim_enter(b);
    sp_reclaim_retire(r, &object_new(&freed)->retired, object_free);
    assert_int_equal(sp_reclaim_collect(r), 2);
    sp_reclaim_exit(a);
    assert_int_equal(sp_reclaim_collect(r), 1);
    sp_reclaim_exit(b);
    assert_int_equal(sp_reclaim_collect(r), 0);
    assert_int_equal(freed, 3);
}

static void nested_section_ends_with_the_outermost(void **state) {
    (void)state;
    int freed = 0;
    SP_AUTO_FREE(sp_reclaim) r = new_reclaim(1);
    struct sp_reclaim_reader *a = join(r);
    sp_reclaim_enter(a);
    sp_reclaim_enter(a);
    sp_reclaim_retire(r, &object_new(&freed)->retired, object_free);
    sp_reclaim_exit(a);
    assert_true(sp_reclaim_is_inside(a));
    assert_int_equal(sp_reclaim_collect(r), 1);
    sp_reclaim_exit(a);
    assert_int_equal(sp_reclaim_collect(r), 0);
}

static void retiring_alone_frees_in_batches(void **state) {
    (void)state;
    int freed = 0;
    SP_AUTO_FREE(sp_reclaim) r = new_reclaim(1);
    for (int i = 0; i < SP_RECLAIM_BATCH * 3; i++)
        sp_reclaim_retire(r, &object_new(&freed)->retired, object_free);
    assert_int_equal(freed, SP_RECLAIM_BATCH * 3);
}

static void end_frees_what_waits(void **state) {
    (void)state;
    int freed = 0;
    struct sp_reclaim *r = new_reclaim(1);
    sp_reclaim_retire(r, &object_new(&freed)->retired, object_free);
    sp_reclaim_free(r);
    assert_int_equal(freed, 1);
    sp_reclaim_free(NULL);
}

static void seats_are_bounded_and_come_back(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_reclaim) r = new_reclaim(2);
    struct sp_reclaim_reader *a = join(r), *b = join(r), *c = NULL;
    assert_true(sp_is(sp_reclaim_reader_join(r, &c), SP_E_LIMIT));
    assert_null(c);
    sp_reclaim_reader_leave(r, a);
    assert_ptr_equal(join(r), a);
    sp_reclaim_reader_leave(r, b);
    sp_reclaim_reader_leave(r, NULL);
    struct sp_reclaim *none = NULL;
    assert_true(sp_is(sp_reclaim_new(0, &none), SP_E_LIMIT));
    assert_true(sp_is(sp_reclaim_new(SP_RECLAIM_READERS_MAX + 1, &none), SP_E_LIMIT));
    assert_null(none);
}

/* Seats are made when they are first taken; one in the middle of thousands still holds what it may see. */
static void every_seat_of_thousands_is_looked_at(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_reclaim) r = new_reclaim(SP_RECLAIM_READERS_MAX);
    static struct sp_reclaim_reader *seats[SP_RECLAIM_READERS_MAX];
    const uint32_t looked_at[] = {0, 1, SP_RECLAIM_READERS_MAX / 2, SP_RECLAIM_READERS_MAX - 1};
    struct sp_reclaim_reader *none = NULL;
    for (uint32_t i = 0; i < SP_RECLAIM_READERS_MAX; i++) seats[i] = join(r);
    assert_true(sp_is(sp_reclaim_reader_join(r, &none), SP_E_LIMIT));
    for (size_t i = 0; i < SP_ARRAY_LEN(looked_at); i++) {
        int freed = 0;
        sp_reclaim_enter(seats[looked_at[i]]);
        sp_reclaim_retire(r, &object_new(&freed)->retired, object_free);
        assert_int_equal(sp_reclaim_collect(r), 1);
        sp_reclaim_exit(seats[looked_at[i]]);
        assert_int_equal(sp_reclaim_collect(r), 0);
        assert_int_equal(freed, 1);
    }
    sp_reclaim_reader_leave(r, seats[7]);
    assert_ptr_equal(join(r), seats[7]);
}

/* Readers follow a root that a writer replaces all the time; an object is LIVE for as long as they look. */
#define REPLACEMENTS 20000
struct race {
    struct sp_reclaim *r;
    _Atomic(struct object *) root;
    _Atomic bool stop;
    _Atomic size_t dead_seen;
};

static void *race_reader(void *arg) {
    struct race *race = arg;
    struct sp_reclaim_reader *reader = NULL;
    if (!sp_ok(sp_reclaim_reader_join(race->r, &reader))) return NULL;
    while (!atomic_load(&race->stop)) {
        sp_reclaim_enter(reader);
        struct object *o = atomic_load_explicit(&race->root, memory_order_seq_cst);
        for (int i = 0; i < 8; i++)
            if (atomic_load(&o->value) != LIVE) atomic_fetch_add(&race->dead_seen, 1);
        sp_reclaim_exit(reader);
    }
    sp_reclaim_reader_leave(race->r, reader);
    return NULL;
}

static void readers_never_see_freed_memory(void **state) {
    (void)state;
    struct race race = {.r = new_reclaim(4)};
    atomic_init(&race.root, object_new(NULL));
    pthread_t t[2];
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, race_reader, &race), 0);
    for (int i = 0; i < REPLACEMENTS; i++) {
        struct object *old = atomic_exchange_explicit(&race.root, object_new(NULL), memory_order_seq_cst);
        sp_reclaim_retire(race.r, &old->retired, object_free);
    }
    atomic_store(&race.stop, true);
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&race.dead_seen), 0);
    assert_int_equal(sp_reclaim_collect(race.r), 0);
    free(atomic_load(&race.root));
    sp_reclaim_free(race.r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retired_object_waits_for_reader_inside),
        cmocka_unit_test(reader_that_entered_after_retiring_holds_nothing),
        cmocka_unit_test(early_reader_holds_later_retirements_too),
        cmocka_unit_test(nested_section_ends_with_the_outermost),
        cmocka_unit_test(retiring_alone_frees_in_batches),
        cmocka_unit_test(end_frees_what_waits),
        cmocka_unit_test(seats_are_bounded_and_come_back),
        cmocka_unit_test(every_seat_of_thousands_is_looked_at),
        cmocka_unit_test(readers_never_see_freed_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
