/* Time, chance, the trace, and the running of seeds. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RING_LINES = 400, FIRST_SEED = 1, BEGIN_S = 1700000000 };

/* ---- chance: splitmix64, which has no state that a seed could start badly ---- */

uint64_t sim_random(struct sim *s) {
    uint64_t z = (s->random += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *s, uint64_t n) {
    return sim_random(s) % n;
}

int64_t sim_between(struct sim *s, int64_t low, int64_t high) {
    return low + (int64_t)sim_below(s, (uint64_t)(high - low + 1));
}

bool sim_chance(struct sim *s, uint32_t percent) {
    return sim_below(s, 100) < percent;
}

void sim_bytes(struct sim *s, void *p, size_t n) {
    uint8_t *at = p;
    for (size_t i = 0; i < n; i++) at[i] = (uint8_t)sim_random(s);
}

/* ---- time: a binary heap ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b) {
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->seq < b->seq;
}

void sim_at(struct sim *s, struct sim_event *e, int64_t at_ms,
            void (*run)(struct sim *, struct sim_event *)) {
    e->at_ms = at_ms > s->now_ms ? at_ms : s->now_ms;
    e->seq = s->seq++;
    e->run = run;
    if (s->heap_n == s->heap_cap) {
        s->heap_cap = s->heap_cap * 2 + 64;
        s->heap = realloc(s->heap, s->heap_cap * sizeof(struct sim_event *));
        sp_assert(s->heap != NULL);
    }
    size_t i = s->heap_n++;
    while (i > 0 && is_before(e, s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = e;
}

static struct sim_event *next_event(struct sim *s) {
    struct sim_event *first = s->heap[0], *last = s->heap[--s->heap_n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_n) break;
        if (child + 1 < s->heap_n && is_before(s->heap[child + 1], s->heap[child])) child++;
        if (!is_before(s->heap[child], last)) break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return first;
}

/* ---- the trace ---- */

static void trace(struct sim *s, const char *format, va_list args) {
    char *line = s->ring[s->ring_n++ % RING_LINES];
    int n = snprintf(line, sizeof(s->ring[0]), "%10.3f  ",
                     (double)(s->now_ms - (int64_t)BEGIN_S * 1000) / 1000.0);
    vsnprintf(line + n, sizeof(s->ring[0]) - (size_t)n, format, args);
    if (s->printing) print_message("# %s\n", line);
}

void sim_trace(struct sim *s, const char *format, ...) {
    if (!s->tracing) return;
    va_list args;
    va_start(args, format);
    trace(s, format, args);
    va_end(args);
}

void sim_fail(struct sim *s, const char *format, ...) {
    if (s->tracing) {
        va_list args;
        va_start(args, format);
        trace(s, format, args);
        va_end(args);
    }
    longjmp(s->failed, 1);
}

static void print_ring(const struct sim *s) {
    uint64_t from = s->ring_n > RING_LINES ? s->ring_n - RING_LINES : 0;
    for (uint64_t i = from; i < s->ring_n; i++) print_message("# %s\n", s->ring[i % RING_LINES]);
}

/* ---- one history ---- */

static void play(struct sim *s) {
    s->server->begin(s);
    sim_actors_begin(s);
    while (s->heap_n != 0) {
        struct sim_event *e = next_event(s);
        s->now_ms = e->at_ms;
        e->run(s, e);
    }
    sim_model_end(s);
    s->server->end(s);
}

static void add_counts(struct sim_counts *to, const struct sim_counts *from) {
    uint64_t *a = (uint64_t *)(void *)to;
    const uint64_t *b = (const uint64_t *)(const void *)from;
    for (size_t i = 0; i < sizeof(*to) / sizeof(*a); i++) a[i] += b[i];
}

/* A history that failed stops where it is: what it holds is left to the end of the process. */
static bool run_seed(const struct sim_server *server, uint64_t seed, bool tracing, bool printing,
                     struct sim_counts *counts) {
    struct sim *s = calloc(1, sizeof(*s));
    sp_assert(s != NULL);
    s->ring = calloc(tracing ? RING_LINES : 1, sizeof(s->ring[0]));
    sp_assert(s->ring != NULL);
    s->seed = seed;
    s->random = seed * 0xD1342543DE82EF95u + 1;
    s->now_ms = (int64_t)BEGIN_S * 1000;
    s->until_ms = s->now_ms + server->span_ms;
    s->server = server;
    s->tracing = tracing;
    s->printing = printing;
    if (setjmp(s->failed) != 0) {
        if (tracing && !printing) print_ring(s);
        return false;
    }
    play(s);
    add_counts(counts, &s->counts);
    for (uint32_t i = 0; i < s->families_n; i++) sim_family_free(s->families[i]);
    free(s->heap);
    free(s->ring);
    free(s);
    return true;
}

/* ---- many ---- */

static uint64_t from_environment(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

bool sim_is_shortened(void) {
    return from_environment("SP_SANITIZED", 0) != 0 && from_environment("SP_SLOWNESS", 1) != 0;
}
static uint64_t default_seeds(const struct sim_server *server) {
    uint64_t slowness = from_environment("SP_SLOWNESS", 1);
    return sim_is_shortened() ? server->seeds / (slowness * 2) + 1 : server->seeds;
}

static void report_failure(const struct sim_server *server, uint64_t seed) {
    struct sim_counts counts = {0};
    print_message("# %s: seed %llu fails; its last events:\n", server->name, (unsigned long long)seed);
    run_seed(server, seed, true, false, &counts);
    print_message("# the whole of it: SP_SEED=%llu %s\n", (unsigned long long)seed, server->test);
}

void sim_main(const struct sim_server *server, struct sim_counts *ret_counts) {
    uint64_t one = from_environment("SP_SEED", 0);
    if (one != 0) {
        if (!run_seed(server, one, true, true, ret_counts)) fail_msg("seed %llu", (unsigned long long)one);
        return;
    }
    uint64_t first = from_environment("SP_FIRST_SEED", FIRST_SEED);
    uint64_t n = from_environment("SP_SEEDS", default_seeds(server));
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t seed = first; seed < first + n; seed++) {
        if (run_seed(server, seed, false, false, ret_counts)) continue;
        report_failure(server, seed);
        fail_msg("seed %llu", (unsigned long long)seed);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    print_message("# %s: %llu seeds, %.0f a second; %llu refreshes, %llu trips, %llu caught, %llu heals, "
                  "%llu superseded, %llu restarts, %llu restores, %llu ends\n",
                  server->name, (unsigned long long)n, (double)n / seconds,
                  (unsigned long long)ret_counts->refreshes, (unsigned long long)ret_counts->trips,
                  (unsigned long long)ret_counts->caught, (unsigned long long)ret_counts->heals,
                  (unsigned long long)ret_counts->superseded, (unsigned long long)ret_counts->restarts,
                  (unsigned long long)ret_counts->restores, (unsigned long long)ret_counts->ends);
}
