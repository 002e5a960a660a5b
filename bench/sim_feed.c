/* Ten thousand verifiers behind relays, on networks that lose packets and connections, and relays that die:
 * how long until each of them refuses a token that was revoked?
 *
 *   sim_feed [--seed N] [--verifiers N] [--relays N] [--minutes N] [--rate N] [--loss P] [--cut-hours H]
 * [--cut-s S]
 * [--json]
 *
 * A model, not the program: what it takes from the program are the measured costs below and the protocol's
 * own times (beat, silence after three beats, backoff, max_staleness). Each link is a TCP connection with a
 * latency, a chance that a segment is lost (then a retransmission time-out, doubling), and outages: a cut
 * that nobody hears of is noticed by silence, then the client connects again after a backoff with jitter and
 * goes on where it was. Events of a link never overtake one another. An event reaches a verifier through two
 * links, origin to relay and relay to verifier; a relay that dies takes its verifiers with it until they have
 * connected to another one.
 *
 * It counts the lag of every (revocation, verifier) from the revocation's 2xx, and for how long verifiers
 * were stale: beats travel like revocations, and a verifier is stale while the last one that it got was
 * signed longer than max_staleness ago. At every late revocation it checks the promise: whoever gets it after
 * more than max_staleness was stale until then. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Protocol. */
#define BEAT_S 0.5
#define SILENCE_S (3 * BEAT_S)
#define BACKOFF_FIRST_S 0.1
#define STALENESS_S 30.0
/* Measured: bench/feed.py (a write to one of many subscribers), bench_verify (an entry in the set). */
#define PUSH_S 8e-6
#define APPLY_S 1e-6
/* Networks: between sites, and within one. TCP's smallest retransmission time-out in Linux. */
#define WAN_S 0.020
#define LAN_S 0.0003
#define RTO_S 0.2

static struct {
    uint64_t seed;
    int verifiers, relays;
    double minutes, rate, loss, cut_hours, cut_s, relay_days, failover_s;
    bool json;
} opt = {.seed = 1,
         .verifiers = 10000,
         .relays = 100,
         .minutes = 60,
         .rate = 5,
         .loss = 0.001,
         .cut_hours = 6,
         .cut_s = 2,
         .relay_days = 1,
         .failover_s = 1};

/* ---- chance ---- */

static uint64_t state;
static double uniform(void) { /* splitmix64; (0, 1] */
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 1) / 9007199254740992.0;
}
static double exponential(double mean) {
    return -mean * log(uniform());
}

/* ---- a link ---- */

struct link {
    double latency;
    double next_cut, up_again; /* the coming outage */
    double last;               /* arrival of what was sent before */
    double mean_up, mean_down;
};

static void plan_cut(struct link *l, double from) {
    l->next_cut = from + exponential(l->mean_up);
    /* The network is away, silence is noticed, and the first attempt after it succeeds. */
    const double away = exponential(l->mean_down);
    const double noticed = away < SILENCE_S ? SILENCE_S : away;
    l->up_again = l->next_cut + noticed + uniform() * BACKOFF_FIRST_S + 3 * l->latency;
}

static void link_init(struct link *l, double latency, double mean_up, double mean_down) {
    *l = (struct link){.latency = latency, .mean_up = mean_up, .mean_down = mean_down};
    plan_cut(l, 0);
}

/* When what is sent at `at` arrives. */
static double deliver(struct link *l, double at) {
    while (at > l->up_again) plan_cut(l, l->up_again);
    double start = at >= l->next_cut ? l->up_again : at;
    double takes = l->latency * (0.8 + exponential(0.2));
    for (double rto = RTO_S + 2 * l->latency; uniform() < opt.loss && rto < STALENESS_S; rto *= 2)
        takes += rto;
    double arrival = start + takes;
    if (arrival < l->last) arrival = l->last;
    return l->last = arrival;
}

/* ---- the run ---- */

static float *lags;
static size_t n_lags, late, broken;
static double *as_of, *fresh_until; /* of each verifier: what it can prove, and what it does not refuse */
static double stale_s;

static void hear_beat(int v, double signed_at, double at) {
    if (at > fresh_until[v]) stale_s += at - fresh_until[v];
    as_of[v] = signed_at;
    fresh_until[v] = signed_at + STALENESS_S > at ? signed_at + STALENESS_S : at;
}

static void hear_revocation(int v, double acknowledged, double at) {
    const double lag = at - acknowledged;
    lags[n_lags++] = (float)lag;
    if (lag <= STALENESS_S) return;
    late++;
    if (as_of[v] >= acknowledged) broken++; /* it would have let the token in */
}

/* One message from the origin to everybody. */
static void send_all(struct link *relays, struct link *verifiers, double at, bool is_beat) {
    for (int r = 0; r < opt.relays; r++) {
        const double relayed = deliver(&relays[r], at + PUSH_S * r);
        int place = 0;
        for (int v = r; v < opt.verifiers; v += opt.relays) {
            const double heard = deliver(&verifiers[v], relayed + PUSH_S * ++place) + APPLY_S;
            if (is_beat) {
                hear_beat(v, at, heard);
            } else {
                hear_revocation(v, at, heard);
            }
        }
    }
}

static void run(struct link *relays, struct link *verifiers) {
    const double end = opt.minutes * 60;
    double beat = BEAT_S, revocation = exponential(1 / opt.rate);
    while (beat < end || revocation < end) {
        if (beat < revocation) {
            send_all(relays, verifiers, beat, true);
            beat += BEAT_S;
        } else {
            send_all(relays, verifiers, revocation, false);
            revocation += exponential(1 / opt.rate);
        }
    }
}

static int compare(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static double at_quantile(double q) {
    return (double)lags[(size_t)((double)(n_lags - 1) * q)] * 1e3;
}

static double stale_ppm(void) {
    return stale_s / (opt.minutes * 60 * opt.verifiers) * 1e6;
}

static void report(void) {
    static const double q[] = {0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    qsort(lags, n_lags, sizeof(*lags), compare);
    if (opt.json) {
        printf("{\"seed\":%llu,\"deliveries\":%zu,\"lag_ms\":[", (unsigned long long)opt.seed, n_lags);
        for (size_t i = 0; i < 6; i++) printf("%s%.2f", i == 0 ? "" : ",", at_quantile(q[i]));
        printf("],\"late\":%zu,\"broken\":%zu,\"stale_ppm\":%.3f}\n", late, broken, stale_ppm());
        return;
    }
    printf("%d verifiers behind %d relays, %.0f minutes, %.1f revocations/s, seed %llu\n", opt.verifiers,
           opt.relays, opt.minutes, opt.rate, (unsigned long long)opt.seed);
    for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++)
        printf("  %7.2f %% of %zu deliveries within %10.2f ms\n", q[i] * 100, n_lags, at_quantile(q[i]));
    printf("  later than max_staleness: %zu, of them to a verifier that was not stale: %zu\n"
           "  stale, of all the time of all verifiers: %.3f ppm\n",
           late, broken, stale_ppm());
}

static void options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            opt.json = true;
            continue;
        }
        const char *name = argv[i], *value = i + 1 < argc ? argv[++i] : "";
        const double v = strtod(value, NULL);
        if (strcmp(name, "--seed") == 0)
            opt.seed = (uint64_t)v;
        else if (strcmp(name, "--verifiers") == 0 && v >= 1 && v <= 1e6)
            opt.verifiers = (int)v;
        else if (strcmp(name, "--relays") == 0 && v >= 1 && v <= 1e5)
            opt.relays = (int)v;
        else if (strcmp(name, "--minutes") == 0 && v > 0)
            opt.minutes = v;
        else if (strcmp(name, "--rate") == 0 && v > 0)
            opt.rate = v;
        else if (strcmp(name, "--loss") == 0 && v >= 0 && v < 1)
            opt.loss = v;
        else if (strcmp(name, "--cut-hours") == 0 && v > 0)
            opt.cut_hours = v;
        else if (strcmp(name, "--cut-s") == 0 && v > 0)
            opt.cut_s = v;
        else {
            fprintf(stderr, "sim_feed: %s %s: see the head of bench/sim_feed.c\n", name, value);
            exit(2);
        }
    }
}

int main(int argc, char **argv) {
    options(argc, argv);
    state = opt.seed;
    const double most = opt.minutes * 60 * opt.rate * 1.2 + 100;
    lags = malloc((size_t)(most * opt.verifiers) * sizeof(*lags));
    struct link *relays = calloc((size_t)opt.relays, sizeof(*relays));
    struct link *verifiers = calloc((size_t)opt.verifiers, sizeof(*verifiers));
    as_of = calloc((size_t)opt.verifiers, sizeof(*as_of));
    fresh_until = calloc((size_t)opt.verifiers, sizeof(*fresh_until));
    if (lags == NULL || relays == NULL || verifiers == NULL || as_of == NULL || fresh_until == NULL) {
        fprintf(stderr, "sim_feed: out of memory\n");
        return 1;
    }
    /* A relay that dies, and a line between sites that breaks, look alike from below. */
    for (int i = 0; i < opt.relays; i++)
        link_init(&relays[i], WAN_S, opt.relay_days * 86400, opt.failover_s + opt.cut_s);
    for (int i = 0; i < opt.verifiers; i++) link_init(&verifiers[i], LAN_S, opt.cut_hours * 3600, opt.cut_s);
    for (int i = 0; i < opt.verifiers; i++) fresh_until[i] = STALENESS_S; /* all begin fresh */
    run(relays, verifiers);
    report();
    free(fresh_until);
    free(as_of);
    free(verifiers);
    free(relays);
    free(lags);
    return broken == 0 ? 0 : 1;
}
