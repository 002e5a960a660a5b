/* See seats.h. Each thread has a list of its seats, one for each handle that it used; a seat is compared by
 * the number of its handle, which is never given twice, so a handle at the address of a closed one finds no
 * seat of that one. One lock for all lists of handles: it is taken when a thread meets a handle for the first
 * time, when a thread ends, and for statistics.
 *
 * Turned down: a thread-specific key for each handle (closing cannot wait for a destructor that has begun,
 * and there are only 1,024 of them). */
#include "verify/seats.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key; /* only for its destructor: its value says that there is something to give back */
static bool is_ready;
static _Atomic uint64_t process = 1; /* raised in each child */
static _Thread_local struct sp_seat *mine;

/* Under the lock. */
static void unlink_from_home(struct sp_seat *seat) {
    struct sp_seats *home = seat->home;
    struct sp_seat **at = &home->first;
    while (*at != seat) at = &(*at)->next_of_home;
    *at = seat->next_of_home;
    for (unsigned i = 0; i < SP_SEAT_COUNTS; i++)
        home->gone[i] += atomic_load_explicit(&seat->counts[i], memory_order_relaxed);
}
static void clear(struct sp_seat *seat) {
    sp_verifier_reader_free(seat->reader);
    sp_dpop_keys_done(&seat->dpop_keys);
    seat->reader = NULL;
}
static void give_back(struct sp_seat *seat) {
    if (seat->home != NULL) {
        unlink_from_home(seat);
        clear(seat);
    }
    free(seat);
}

static void thread_ends(void *value) {
    (void)value;
    pthread_mutex_lock(&lock);
    while (mine != NULL) {
        struct sp_seat *seat = mine;
        mine = seat->next_of_thread;
        give_back(seat);
    }
    pthread_mutex_unlock(&lock);
}

/* The lock is held over a fork, so that the child gets it free. */
static void before_fork(void) {
    pthread_mutex_lock(&lock);
}
static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&lock);
}
/* What the forking thread has of the parent's handles is left alone: their locks may be held for ever. */
static void after_fork_in_child(void) {
    mine = NULL;
    atomic_fetch_add_explicit(&process, 1, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
}

static void get_ready(void) {
    is_ready = pthread_key_create(&key, thread_ends) == 0 &&
               pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

sp_status sp_seats_init(struct sp_seats *s, struct sp_verifier *verifier) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Atomic uint64_t last;
    (void)pthread_once(&once, get_ready);
    if (!is_ready) return sp_err(SP_E_IO);
    *s = (struct sp_seats){.id = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1,
                           .process = atomic_load_explicit(&process, memory_order_relaxed),
                           .verifier = verifier};
    return SP_SUCCESS;
}

/* The seats themselves stay with their threads, which alone may touch their lists. */
void sp_seats_done(struct sp_seats *s) {
    pthread_mutex_lock(&lock);
    for (struct sp_seat *seat = s->first, *next; seat != NULL; seat = next) {
        next = seat->next_of_home;
        clear(seat);
        seat->home = NULL;
    }
    s->first = NULL;
    pthread_mutex_unlock(&lock);
}

bool sp_seats_are_a_childs(const struct sp_seats *s) {
    return s->process != atomic_load_explicit(&process, memory_order_relaxed);
}

/* Under the lock: those of handles that were closed since. */
static void drop_closed(void) {
    struct sp_seat **at = &mine;
    while (*at != NULL) {
        struct sp_seat *seat = *at;
        if (seat->home != NULL) {
            at = &seat->next_of_thread;
        } else {
            *at = seat->next_of_thread;
            free(seat);
        }
    }
}

static struct sp_seat *sit_down(struct sp_seats *s) {
    struct sp_seat *seat = calloc(1, sizeof *seat);
    if (seat == NULL) return NULL;
    if (!sp_ok(sp_verifier_reader_new(s->verifier, &seat->reader)) || pthread_setspecific(key, &lock) != 0) {
        sp_verifier_reader_free(seat->reader);
        free(seat);
        return NULL;
    }
    seat->id = s->id;
    seat->home = s;
    pthread_mutex_lock(&lock);
    drop_closed();
    seat->next_of_home = s->first;
    s->first = seat;
    seat->next_of_thread = mine;
    mine = seat;
    pthread_mutex_unlock(&lock);
    return seat;
}

struct sp_seat *sp_seats_mine(struct sp_seats *s) {
    for (struct sp_seat *seat = mine; seat != NULL; seat = seat->next_of_thread)
        if (seat->id == s->id) return seat;
    return sit_down(s);
}

void sp_seats_sum(struct sp_seats *s, uint64_t ret[SP_SEAT_COUNTS]) {
    pthread_mutex_lock(&lock);
    memcpy(ret, s->gone, sizeof s->gone);
    for (struct sp_seat *seat = s->first; seat != NULL; seat = seat->next_of_home)
        for (unsigned i = 0; i < SP_SEAT_COUNTS; i++)
            ret[i] += atomic_load_explicit(&seat->counts[i], memory_order_relaxed);
    pthread_mutex_unlock(&lock);
}
