#include "core/seats.h"

#include <pthread.h>

#include "base/assert.h"

/* A thread's seat is found by pthread_getspecific, whose destructor gives it back. The seats themselves lie
 * in an array of the owner, so that joining needs no memory and freeing the owner leaves nothing behind in
 * threads that live on. */
struct seat {
    struct sp_seats *owner;
    struct sp_reclaim_reader *reader; /* NULL: free. Written under the mutex, read by its thread */
};
struct sp_seats {
    struct sp_reclaim *reclaim;
    pthread_key_t key;
    pthread_mutex_t mutex; /* guards who has which seat */
    struct seat seats[SP_RECLAIM_READERS_MAX];
};

static void seat_give_back(void *p) {
    struct seat *seat = p;
    pthread_mutex_lock(&seat->owner->mutex);
    sp_reclaim_reader_leave(seat->owner->reclaim, seat->reader);
    seat->reader = NULL;
    pthread_mutex_unlock(&seat->owner->mutex);
}

sp_status sp_seats_new(struct sp_reclaim *reclaim, struct sp_seats **ret) {
    struct sp_seats *s = calloc(1, sizeof(*s));
    if (s == NULL) return sp_err(SP_E_NOMEM);
    s->reclaim = reclaim;
    if (pthread_key_create(&s->key, seat_give_back) != 0) {
        free(s);
        return sp_err(SP_E_IO);
    }
    sp_assert(pthread_mutex_init(&s->mutex, NULL) == 0);
    *ret = s;
    return SP_SUCCESS;
}

void sp_seats_free(struct sp_seats *seats) {
    if (seats == NULL) return;
    pthread_key_delete(seats->key); /* no destructor runs after this: what is taken is given back here */
    for (size_t i = 0; i < SP_ARRAY_LEN(seats->seats); i++) {
        if (seats->seats[i].reader != NULL) sp_reclaim_reader_leave(seats->reclaim, seats->seats[i].reader);
    }
    pthread_mutex_destroy(&seats->mutex);
    free(seats);
}

static struct seat *seat_take(struct sp_seats *s) {
    struct seat *seat = NULL;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < SP_ARRAY_LEN(s->seats) && seat == NULL; i++) {
        if (s->seats[i].reader == NULL) seat = &s->seats[i];
    }
    sp_assert(seat != NULL);
    seat->owner = s;
    sp_assert(sp_ok(sp_reclaim_reader_join(s->reclaim, &seat->reader)));
    pthread_mutex_unlock(&s->mutex);
    sp_assert(pthread_setspecific(s->key, seat) == 0);
    return seat;
}

void sp_seats_enter(struct sp_seats *seats) {
    struct seat *seat = pthread_getspecific(seats->key);
    if (seat == NULL) seat = seat_take(seats);
    sp_reclaim_enter(seat->reader);
}

void sp_seats_leave(struct sp_seats *seats) {
    struct seat *seat = pthread_getspecific(seats->key);
    sp_assert(seat != NULL);
    sp_reclaim_exit(seat->reader);
}

struct sp_reclaim *sp_seats_reclaim(struct sp_seats *seats) {
    return seats->reclaim;
}
