/* The revocation set at full size: `revoke_set [entries]`, ten million by default.
 *
 * What loading it costs and holds, at its peak too; what a lookup costs that finds nothing and one that
 * finds, with the filter and without; and what a writer beside them costs two readers. Everything in one run:
 * compare the lines with each other and the ratios from run to run. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "revoke/pages.h"
#include "revoke/set.h"
#include "revoke/shards.h"

#define T0 1800000000
#define LOOKUPS 500000u
#define ROUNDS 15 /* the best of them: the machine is seldom ours alone */
#define ROUNDS_BESIDE 5
#define BESIDE_S 0.5
#define MIB (1024.0 * 1024.0)

static double read_clock(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
static double now_s(void) {
    return read_clock(CLOCK_MONOTONIC);
}
/* Of this thread, faults included: what one thread does alone is measured by it, since the machine is seldom
 * ours alone. */
static double cpu_s(void) {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static void must(sp_status st, const char *what) {
    if (sp_ok(st)) return;
    fprintf(stderr, "revoke_set: %s: %s\n", what, sp_code_name(st.code));
    exit(1);
}

static void say(const char *label, double value, const char *unit) {
    printf("%-58s %10.1f %s\n", label, value, unit);
    fflush(stdout);
}

/* The n-th fingerprint, without a pattern: splitmix64, which is a permutation. */
static uint64_t fingerprint(uint64_t n) {
    uint64_t z = n * 0x9e3779b97f4a7c15u + 1;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t rss_bytes(void) {
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%lu %lu", &size, &resident) != 2) resident = 0;
    if (f != NULL) (void)fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static struct sp_reclaim *reclaim;

static struct sp_revoke_set *set_new(bool without_filter) {
    static const uint8_t key[SP_REVOKE_KEY_BYTES];
    struct sp_revoke_set *set = NULL;
    must(sp_revoke_set_new(
             &(struct sp_revoke_set_opts){.reclaim = reclaim, .key = key, .without_filter = without_filter},
             &set),
         "set");
    return set;
}

/* ---- loading ---- */

static void load(struct sp_revoke_set *set, size_t entries, const char *label) {
    double t = cpu_s();
    for (uint64_t i = 0; i < entries; i++)
        must(sp_revoke_set_add_fingerprint(set, fingerprint(i), T0 + 900, T0), "add");
    t = cpu_s() - t;
    printf("%-58s %10.2f s, %.0f ns an entry\n", label, t, t / (double)entries * 1e9);
}

static void load_ids(size_t entries) {
    SP_AUTO_FREE(sp_revoke_set) set = set_new(false);
    double t = cpu_s();
    for (uint64_t i = 0; i < entries; i++) {
        uint64_t id[2] = {i, 0};
        must(sp_revoke_set_add(set, SP_REVOKE_JTI, SP_SLICE_ARRAY(id), T0 + 900, T0), "add");
    }
    t = cpu_s() - t;
    printf("%-58s %10.2f s, %.0f ns an entry\n", "load by id (SipHash), growth included", t,
           t / (double)entries * 1e9);
}

/* As a verifier does: what the server dumped, in its order. */
static void load_dump(const struct sp_revoke_set *from, size_t entries, struct sp_reclaim_reader *reader,
                      size_t reserve, const char *label) {
    static struct sp_revoke_entry page[4096];
    SP_AUTO_FREE(sp_revoke_set) set = set_new(false);
    struct sp_revoke_dump cursor = {0};
    double dumping = 0, loading = 0;
    size_t given = 0;
    must(sp_revoke_set_reserve(set, reserve), "reserve");
    for (bool end = false; !end;) {
        double t = cpu_s();
        sp_reclaim_enter(reader);
        size_t n = sp_revoke_set_dump(from, &cursor, T0, page, SP_ARRAY_LEN(page), &end);
        sp_reclaim_exit(reader);
        dumping += cpu_s() - t;
        t = cpu_s();
        for (size_t i = 0; i < n; i++)
            must(sp_revoke_set_add_fingerprint(set, page[i].fingerprint, page[i].expiry_s, T0), "add");
        loading += cpu_s() - t;
        given += n;
    }
    printf("%-58s %10.2f s, %.0f ns an entry\n", "dump", dumping, dumping / (double)given * 1e9);
    printf("%-58s %10.2f s, %.0f ns an entry\n", label, loading, loading / (double)given * 1e9);
    if (given != entries) printf("WRONG: %zu entries dumped\n", given);
}

/* What an add waits for when its shard grows: 1/64 of the whole, copied. */
static void grow(struct sp_revoke_set *set, size_t entries) {
    double t = cpu_s();
    must(sp_revoke_set_reserve(set, entries / 4), "reserve");
    say("growing one shard, on the average", (cpu_s() - t) / SP_SHARDS * 1e3, "ms");
}

static void say_memory(struct sp_revoke_set *set, size_t rss_before) {
    struct sp_revoke_set_stats st;
    sp_revoke_set_stats(set, &st);
    say("set and filter", (double)st.bytes / MIB, "MiB");
    say("  of it filter", (double)st.filter_bytes / MIB, "MiB");
    say("  an entry", (double)st.bytes / (double)st.entries, "bytes");
    say("  at the peak of growth", (double)st.peak_bytes / MIB, "MiB");
    printf("%-58s %10.2f\n", "  peak / final", (double)st.peak_bytes / (double)st.bytes);
    say("resident, as the system counts", (double)(rss_bytes() - rss_before) / MIB, "MiB");
}

/* ---- lookups in one thread ---- */

/* Of what was added, or of what was not, in no order that memory knows. */
struct probes {
    uint64_t from, n;
};
static inline uint64_t probe(struct probes p, uint64_t i) {
    return fingerprint(p.from + (i * 0x9e3779b97f4a7c15u >> 32) * p.n / ((uint64_t)1 << 32));
}

static double lookups_ns(const struct sp_revoke_set *set, struct probes probes, bool expect) {
    double best = 1e9;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        size_t right = 0;
        double t = cpu_s();
        for (uint64_t i = 0; i < LOOKUPS; i++)
            right +=
                sp_revoke_set_contains_fingerprint(set, probe(probes, round * LOOKUPS + i), T0) == expect;
        t = (cpu_s() - t) / LOOKUPS * 1e9;
        if (t < best) best = t;
        if (right != LOOKUPS) printf("WRONG: %zu of %u answers\n", right, LOOKUPS);
    }
    return best;
}

/* What the memory alone costs: one line of as many bytes as the filters have, at random. */
static double line_ns(size_t bytes) {
    size_t lines = bytes / 64;
    uint8_t *p = sp_pages_new(lines * 64);
    double best = 1e9;
    size_t sum = 0;
    if (p == NULL) exit(1);
    for (size_t i = 0; i < lines; i++) p[i * 64] = 1;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        double t = cpu_s();
        for (uint64_t i = 0; i < LOOKUPS; i++)
            sum += p[(fingerprint(round * LOOKUPS + i) >> 32) * lines / ((uint64_t)1 << 32) * 64];
        t = (cpu_s() - t) / LOOKUPS * 1e9;
        if (t < best) best = t;
    }
    sp_pages_free(p, lines * 64);
    if (sum != (size_t)ROUNDS * LOOKUPS) printf("WRONG: %zu\n", sum);
    return best;
}

static void compare_lookups(struct sp_revoke_set *set, const struct sp_revoke_set *bare, struct probes hits,
                            struct probes misses) {
    double miss = lookups_ns(set, misses, false), bare_miss = lookups_ns(bare, misses, false);
    double hit = lookups_ns(set, hits, true), bare_hit = lookups_ns(bare, hits, true);
    struct sp_revoke_set_stats st;
    sp_revoke_set_stats(set, &st);
    say("one line of memory of the size of the filters", line_ns(st.filter_bytes), "ns");
    say("miss", miss, "ns");
    say("miss, without the filter", bare_miss, "ns");
    say("hit", hit, "ns");
    say("hit, without the filter", bare_hit, "ns");
    printf("%-58s %10.2f\n", "  miss with / without", miss / bare_miss);
    printf("%-58s %10.2f\n", "  hit with / without", hit / bare_hit);
}

/* ---- two readers beside a writer ---- */

struct reader {
    const struct sp_revoke_set *set;
    struct probes probes;
    _Atomic bool *stop;
    uint64_t looks;
    double cpu; /* seconds */
    bool late;  /* starts elsewhere */
};

static void *read_on(void *arg) {
    struct reader *r = arg;
    struct sp_reclaim_reader *seat = NULL;
    uint64_t i = r->late ? (uint64_t)1 << 40 : 0;
    size_t found = 0;
    must(sp_reclaim_reader_join(reclaim, &seat), "reader");
    while (!atomic_load_explicit(r->stop, memory_order_relaxed)) {
        for (int n = 0; n < 64; n++, i++) {
            sp_reclaim_enter(seat); /* as for each token */
            found += sp_revoke_set_contains_fingerprint(r->set, probe(r->probes, i), T0);
            sp_reclaim_exit(seat);
        }
        r->looks += 64;
    }
    sp_reclaim_reader_leave(reclaim, seat);
    r->cpu = cpu_s();
    if (found == 1) printf(" \n");
    return NULL;
}

static void nap(long ns) {
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* Adds at `per_s` for `seconds`, in batches of a millisecond; 0: only waits. */
static uint64_t write_on(struct sp_revoke_set *set, uint64_t first, double per_s, double seconds) {
    double start = now_s();
    uint64_t n = 0;
    for (double t = 0; t < seconds; t = now_s() - start) {
        for (; (double)n < t * per_s; n++)
            must(sp_revoke_set_add_fingerprint(set, fingerprint(first + n), T0 + 900, T0), "add");
        nap(1000000);
    }
    return n;
}

/* Of two readers together: lookups a second, and in a second of processor time. */
struct rate {
    double wall, cpu;
    uint64_t added;
};

static struct rate readers_rate(struct sp_revoke_set *set, struct probes probes, uint64_t first,
                                double per_s) {
    _Atomic bool stop = false;
    struct reader r[2] = {{.set = set, .probes = probes, .stop = &stop},
                          {.set = set, .probes = probes, .stop = &stop, .late = true}};
    pthread_t thread[2];
    double start = now_s();
    for (size_t i = 0; i < 2; i++)
        if (pthread_create(&thread[i], NULL, read_on, &r[i]) != 0) exit(1);
    struct rate rate = {.added = write_on(set, first, per_s, BESIDE_S)};
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    double looks = (double)(r[0].looks + r[1].looks);
    rate.wall = looks / (now_s() - start);
    rate.cpu = looks / (r[0].cpu + r[1].cpu);
    return rate;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* Alone and beside take turns; the best of each counts. */
static void beside_a_writer(struct sp_revoke_set *set, struct probes probes, uint64_t first) {
    static const double adds[] = {0, 50000, 500000};
    struct rate best[SP_ARRAY_LEN(adds)] = {0};
    for (int round = 0; round < ROUNDS_BESIDE; round++)
        for (size_t i = 0; i < SP_ARRAY_LEN(adds); i++) {
            struct rate rate = readers_rate(set, probes, first, adds[i]);
            first += rate.added;
            best[i].wall = larger(best[i].wall, rate.wall);
            best[i].cpu = larger(best[i].cpu, rate.cpu);
        }
    for (size_t i = 0; i < SP_ARRAY_LEN(adds); i++) {
        char label[64];
        (void)snprintf(label, sizeof label, "two readers beside %.0f adds/s: lookups", adds[i]);
        say(label, best[i].wall / 1e6, "million/s");
        printf("%-58s %10.2f (in processor time %.2f)\n", "  beside / alone", best[i].wall / best[0].wall,
               best[i].cpu / best[0].cpu);
    }
}

int main(int argc, char **argv) {
    size_t entries = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000000;
    if (entries == 0 || entries > SP_REVOKE_ENTRIES_MAX / 4 * 3) return 2;
    struct sp_reclaim_reader *reader = NULL;
    must(sp_reclaim_new(8, &reclaim), "reclaim");
    must(sp_reclaim_reader_join(reclaim, &reader), "reader");
    printf("%zu entries\n", entries);
    size_t rss = rss_bytes();
    struct sp_revoke_set *set = set_new(false);
    load(set, entries, "load by fingerprint, growth included");
    say_memory(set, rss);
    load_dump(set, entries, reader, entries, "load a dump, reserved");
    load_dump(set, entries, reader, 0, "load a dump, growth included");
    struct sp_revoke_set *bare = set_new(true);
    load(bare, entries, "load by fingerprint, without the filter");
    struct probes hits = {0, entries}, misses = {SP_REVOKE_ENTRIES_MAX * 2, entries};
    compare_lookups(set, bare, hits, misses);
    sp_revoke_set_free(bare);
    load_ids(entries);
    grow(set, entries);
    beside_a_writer(set, misses, entries);
    sp_revoke_set_free(set);
    sp_reclaim_reader_leave(reclaim, reader);
    sp_reclaim_free(reclaim);
    return 0;
}
