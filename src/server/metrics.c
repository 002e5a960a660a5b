#include "server/metrics.h"

#include <stdarg.h>
#include <stdatomic.h>

#include "core/keys.h"
#include "http/route.h"
#include "server/metrics_process.h"
#include "server/wire.h"
#include "token/reject.h"

/* Upper bounds of the latency histogram: from a memory lookup to a full queue of password hashes. */
static const struct {
    int64_t us;
    const char *s;
} bounds[] = {{50, "0.00005"},  {100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},
              {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},
              {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"},
              {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"}, {5000000, "5"}};
enum { BOUNDS = sizeof(bounds) / sizeof(bounds[0]), CLASSES = 5 /* 1xx to 5xx */ };

struct series {
    _Atomic uint64_t classes[CLASSES];
    _Atomic uint64_t buckets[BOUNDS + 1]; /* the last one: above every bound */
    _Atomic uint64_t sum_us;
};

enum connection_count {
    ACCEPTED,
    REFUSED,
    ACCEPT_ERRORS,
    MALFORMED,
    HANDSHAKES_FAILED,
    TIMEOUTS,
    DROPPED,
    OPEN,
    PARKED,
    STREAMS,
    STREAMS_CUT,
    CONNECTION_COUNTS
};

/* Each lane is an allocation of its own, and so has its cache lines to itself but for the edges. */
struct sp_metrics_lane {
    _Atomic uint64_t connections[CONNECTION_COUNTS];
    struct series routes[]; /* sp_routes_n, and one for requests that found no route */
};

struct sp_metrics {
    struct sp_metrics_sources sources;
    struct sp_process_start start;
    size_t n;
    struct sp_metrics_lane *lanes[];
};

/* ---- counting ---- */

static void add(_Atomic uint64_t *counter, uint64_t n) {
    /* relaxed, and no read-modify-write: a lane has one writer. */
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void sp_metrics_seen(void *lane, const struct sp_http_seen *seen) {
    struct series *s = &((struct sp_metrics_lane *)lane)->routes[seen->route];
    size_t i = 0;
    while (i < BOUNDS && seen->took_us > bounds[i].us) i++;
    add(&s->buckets[i], 1);
    add(&s->sum_us, seen->took_us < 0 ? 0 : (uint64_t)seen->took_us);
    add(&s->classes[(seen->status / 100 - 1) % CLASSES], 1);
}

void sp_metrics_connections(struct sp_metrics_lane *lane, const struct sp_http_stats *stats) {
    const uint64_t now[CONNECTION_COUNTS] = {[ACCEPTED] = stats->accepted,
                                             [REFUSED] = stats->refused,
                                             [ACCEPT_ERRORS] = stats->accept_errors,
                                             [MALFORMED] = stats->malformed,
                                             [HANDSHAKES_FAILED] = stats->handshakes_failed,
                                             [TIMEOUTS] = stats->timeouts,
                                             [DROPPED] = stats->dropped,
                                             [STREAMS_CUT] = stats->streams_cut,
                                             [OPEN] = stats->open,
                                             [STREAMS] = stats->streams,
                                             [PARKED] = stats->parked};
    for (size_t i = 0; i < CONNECTION_COUNTS; i++)
        atomic_store_explicit(&lane->connections[i], now[i], memory_order_relaxed);
}

/* ---- birth ---- */

static sp_status make_lanes(struct sp_metrics *m, size_t n) {
    size_t bytes = sizeof(struct sp_metrics_lane) + (sp_routes_n + 1) * sizeof(struct series);
    for (; m->n < n; m->n++) {
        m->lanes[m->n] = calloc(1, bytes);
        if (m->lanes[m->n] == NULL) return sp_err(SP_E_NOMEM);
    }
    return SP_SUCCESS;
}

sp_status sp_metrics_new(size_t lanes, const struct sp_metrics_sources *sources, struct sp_metrics **ret) {
    /* NOLINTNEXTLINE: an array of pointers, and that is what is meant */
    SP_AUTO_FREE(sp_metrics) m = calloc(1, sizeof(*m) + lanes * sizeof(m->lanes[0]));
    if (m == NULL) return sp_err(SP_E_NOMEM);
    m->sources = *sources;
    sp_process_start(&m->start);
    SP_TRY(make_lanes(m, lanes));
    *ret = sp_steal(&m);
    return SP_SUCCESS;
}

void sp_metrics_free(struct sp_metrics *m) {
    if (m == NULL) return;
    for (size_t i = 0; i < m->n; i++) free(m->lanes[i]);
    free(m);
}

struct sp_metrics_lane *sp_metrics_lane(struct sp_metrics *m, size_t i) {
    return m->lanes[i];
}

/* ---- the format ---- */

/* The first failure sticks; the caller asks once, at the end. */
struct text {
    struct sp_buf *b;
    bool failed;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...) {
    char line[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(line) || !sp_ok(sp_buf_append(t->b, sp_slice_of(line, (size_t)n))))
        t->failed = true;
}

static void family(struct text *t, const char *name, const char *type, const char *help) {
    put(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct text *t, const char *name, const char *type, const char *help, uint64_t v) {
    family(t, name, type, help);
    put(t, "%s %llu\n", name, (unsigned long long)v);
}

static void labelled(struct text *t, const char *name, const char *label, const char *value, uint64_t v) {
    put(t, "%s{%s=\"%s\"} %llu\n", name, label, value, (unsigned long long)v);
}

static void seconds_of_us(struct text *t, const char *name, const char *labels, uint64_t us) {
    put(t, "%s%s %llu.%06llu\n", name, labels, (unsigned long long)(us / 1000000),
        (unsigned long long)(us % 1000000));
}

/* ---- requests ---- */

/* One route over all lanes; what a scrape shows of it is one set of numbers, added up once. */
struct route_sum {
    uint64_t classes[CLASSES], buckets[BOUNDS + 1], sum_us, n;
};

static struct route_sum sum_route(const struct sp_metrics *m, size_t route) {
    struct route_sum sum = {.n = 0};
    for (size_t lane = 0; lane < m->n; lane++) {
        const struct series *s = &m->lanes[lane]->routes[route];
        for (size_t i = 0; i < CLASSES; i++) sum.classes[i] += get(&s->classes[i]);
        for (size_t i = 0; i <= BOUNDS; i++) sum.buckets[i] += get(&s->buckets[i]);
        sum.sum_us += get(&s->sum_us);
    }
    for (size_t i = 0; i <= BOUNDS; i++) sum.n += sum.buckets[i];
    return sum;
}

static void route_labels(size_t route, char out[160]) {
    bool found = route < sp_routes_n;
    snprintf(out, 160, "method=\"%s\",route=\"%s\"",
             found ? sp_route_method_name(sp_routes[route].method) : "other",
             found ? sp_routes[route].pattern : "none");
}

static void put_requests(struct text *t, const struct sp_metrics *m) {
    static const char name[] = "sallyport_http_requests_total";
    family(t, name, "counter", "Requests answered, by route and class of status; HEAD counts as GET.");
    for (size_t route = 0; route <= sp_routes_n; route++) {
        char labels[160];
        route_labels(route, labels);
        struct route_sum sum = sum_route(m, route);
        for (size_t i = 0; i < CLASSES; i++) {
            if (sum.classes[i] == 0) continue;
            put(t, "%s{%s,status=\"%zuxx\"} %llu\n", name, labels, i + 1, (unsigned long long)sum.classes[i]);
        }
    }
}

static void put_route_latency(struct text *t, const char *name, size_t route, const struct route_sum *sum) {
    char labels[160];
    uint64_t below = 0;
    route_labels(route, labels);
    for (size_t i = 0; i <= BOUNDS; i++) {
        below += sum->buckets[i];
        put(t, "%s_bucket{%s,le=\"%s\"} %llu\n", name, labels, i == BOUNDS ? "+Inf" : bounds[i].s,
            (unsigned long long)below);
    }
    put(t, "%s_sum{%s} %llu.%06llu\n", name, labels, (unsigned long long)(sum->sum_us / 1000000),
        (unsigned long long)(sum->sum_us % 1000000));
    put(t, "%s_count{%s} %llu\n", name, labels, (unsigned long long)below);
}

static void put_latency(struct text *t, const struct sp_metrics *m) {
    static const char name[] = "sallyport_http_request_duration_seconds";
    family(t, name, "histogram",
           "Time from a whole request to its answer; routes that were never asked are absent.");
    for (size_t route = 0; route <= sp_routes_n; route++) {
        struct route_sum sum = sum_route(m, route);
        if (sum.n != 0) put_route_latency(t, name, route, &sum);
    }
}

static void put_connections(struct text *t, const struct sp_metrics *m) {
    static const struct {
        enum connection_count count;
        const char *name, *type, *help;
    } rows[] = {
        {OPEN, "sallyport_http_connections_open", "gauge", "Open connections."},
        {STREAMS, "sallyport_http_streams_open", "gauge", "Open connections whose answer is being streamed."},
        {PARKED, "sallyport_http_requests_in_flight", "gauge", "Requests that wait for their use case."},
        {ACCEPTED, "sallyport_http_connections_accepted_total", "counter", "Connections accepted."},
        {REFUSED, "sallyport_http_connections_refused_total", "counter", "Connections over a limit."},
        {ACCEPT_ERRORS, "sallyport_http_accept_errors_total", "counter",
         "Failed accepts (no descriptors, no memory)."},
        {MALFORMED, "sallyport_http_malformed_requests_total", "counter",
         "Requests refused before they had a route: not HTTP, too large, ambiguous."},
        {HANDSHAKES_FAILED, "sallyport_tls_handshakes_failed_total", "counter",
         "TLS handshakes refused or broken off, and plain HTTP on a TLS listener."},
        {TIMEOUTS, "sallyport_http_timeouts_total", "counter", "Connections closed by a deadline."},
        {DROPPED, "sallyport_http_replies_dropped_total", "counter", "Answers whose client had gone."},
        {STREAMS_CUT, "sallyport_http_streams_cut_total", "counter",
         "Streams cut because their client read too slowly."},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(rows); i++) {
        uint64_t sum = 0;
        for (size_t lane = 0; lane < m->n; lane++) sum += get(&m->lanes[lane]->connections[rows[i].count]);
        one(t, rows[i].name, rows[i].type, rows[i].help, sum);
    }
}

/* ---- use cases ---- */

static void put_sessions(struct text *t, const struct sp_measures *a) {
    family(t, "sallyport_logins_total", "counter", "Logins with a password, by how they ended.");
    labelled(t, "sallyport_logins_total", "result", "ok", a->logins);
    labelled(t, "sallyport_logins_total", "result", "failed", a->login_failures);
    one(t, "sallyport_throttled_total", "counter",
        "Logins, registrations and changes of password refused unheard, after too many failures.",
        a->throttled);
    one(t, "sallyport_registrations_total", "counter", "Accounts made by POST /auth/register.",
        a->registrations);
    one(t, "sallyport_sessions_created_total", "counter",
        "Sessions made by POST /admin/v1/sessions, without a password.", a->sessions_added);
    family(t, "sallyport_refreshes_total", "counter",
           "Refreshes: rotated, retried (same tokens again), superseded (a late request, refused without a "
           "trip).");
    labelled(t, "sallyport_refreshes_total", "result", "rotated", a->refreshes - a->reissues);
    labelled(t, "sallyport_refreshes_total", "result", "retried", a->reissues);
    labelled(t, "sallyport_refreshes_total", "result", "superseded", a->superseded);
    one(t, "sallyport_tripwires_total", "counter", "Sessions ended because a refresh token was replayed.",
        a->trips);
    one(t, "sallyport_store_heals_total", "counter",
        "Sessions that were ahead of a store that had gone back in time.", a->heals);
    one(t, "sallyport_oauth_codes_redeemed_total", "counter",
        "Sessions that OAuth clients got for authorization codes.", a->codes_redeemed);
    one(t, "sallyport_oauth_code_replays_total", "counter",
        "Sessions ended because their authorization code was redeemed a second time.", a->code_replays);
    one(t, "sallyport_oauth_client_tokens_total", "counter",
        "Access tokens that clients got for themselves (client_credentials).", a->client_tokens);
    one(t, "sallyport_revocation_entries", "gauge", "Entries in the revocation set.", a->revoked_entries);
}

static void put_logouts(struct text *t, const struct sp_measures *a) {
    family(t, "sallyport_backchannel_logouts_total", "counter",
           "Back-channel logouts that are done with: delivered to their client, or given up.");
    labelled(t, "sallyport_backchannel_logouts_total", "result", "delivered", a->logouts_delivered);
    labelled(t, "sallyport_backchannel_logouts_total", "result", "given_up", a->logouts_given_up);
    one(t, "sallyport_backchannel_failed_tries_total", "counter",
        "Back-channel logouts that a client did not take, and that are tried again.", a->logouts_failed);
    one(t, "sallyport_backchannel_waiting", "gauge", "Back-channel logouts that wait to be delivered.",
        a->logouts_waiting);
}

/* ---- the feed ---- */

static void put_lag(struct text *t, const struct sp_feed_counts *c) {
    static const char name[] = "sallyport_feed_lag_seconds";
    uint64_t below = 0;
    family(t, name, "histogram",
           "From a revocation to its confirmation by the last of the verifiers that are live; sampled.");
    for (size_t i = 0; i < SP_FEED_LAG_BOUNDS; i++) {
        below += c->lag[i];
        put(t, "%s_bucket{le=\"%u.%03u\"} %llu\n", name, (unsigned)(sp_feed_lag_bounds_ms[i] / 1000),
            (unsigned)(sp_feed_lag_bounds_ms[i] % 1000), (unsigned long long)below);
    }
    below += c->lag[SP_FEED_LAG_BOUNDS];
    put(t, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)below);
    seconds_of_us(t, "sallyport_feed_lag_seconds_sum", "", c->lag_ms_sum * 1000);
    put(t, "%s_count %llu\n", name, (unsigned long long)below);
}

static void put_feed(struct text *t, const struct sp_feed_counts *c) {
    one(t, "sallyport_feed_subscribers", "gauge", "Open streams of the feed.", c->subscribers);
    one(t, "sallyport_feed_verifiers_live", "gauge",
        "Verifiers that may let anybody in, by their last acknowledgement and the staleness that they allow.",
        c->live);
    one(t, "sallyport_feed_verifiers_known", "gauge", "Verifiers heard of within a day.", c->known);
    one(t, "sallyport_feed_behind_max", "gauge",
        "Revocations that the live verifier furthest behind has not confirmed.", c->behind_max);
    one(t, "sallyport_feed_acks_total", "counter", "Acknowledgements of verifiers.", c->acks);
    one(t, "sallyport_feed_nonces_total", "counter", "Questions for the time of the feed.", c->nonces);
    one(t, "sallyport_feed_beats_total", "counter", "Beats signed.", c->beats);
    one(t, "sallyport_feed_snapshots_total", "counter", "Snapshots begun.", c->snapshots);
    one(t, "sallyport_feed_resets_total", "counter", "Followers that could not go on from where they were.",
        c->resets);
    put_lag(t, c);
}

/* ---- store ---- */

static void put_batches(struct text *t, const struct sp_store_stats *s) {
    static const char name[] = "sallyport_store_batch_change_sets";
    uint64_t below = 0;
    family(t, name, "histogram", "Change sets to a transaction.");
    for (size_t i = 0; i + 1 < SP_STORE_BATCH_BUCKETS; i++) {
        below += s->batch[i];
        put(t, "%s_bucket{le=\"%llu\"} %llu\n", name, 1ULL << i, (unsigned long long)below);
    }
    below += s->batch[SP_STORE_BATCH_BUCKETS - 1];
    put(t, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)below);
    unsigned long long sets = s->sets;
    sets += s->conflicts;
    put(t, "%s_sum %llu\n%s_count %llu\n", name, sets, name, (unsigned long long)below);
}

static void put_transactions(struct text *t, const struct sp_store_stats *s) {
    static const char name[] = "sallyport_store_transaction_duration_seconds";
    uint64_t below = 0;
    family(t, name, "histogram",
           "Time from BEGIN until COMMIT returned, so that what it holds is on the disk.");
    for (size_t i = 0; i + 1 < SP_STORE_LATENCY_BUCKETS; i++) {
        below += s->took[i];
        uint64_t us = (uint64_t)SP_STORE_LATENCY_UNIT_US << i;
        put(t, "%s_bucket{le=\"%llu.%04llu\"} %llu\n", name, (unsigned long long)(us / 1000000),
            (unsigned long long)(us % 1000000 / 100), (unsigned long long)below);
    }
    below += s->took[SP_STORE_LATENCY_BUCKETS - 1];
    put(t, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)below);
    seconds_of_us(t, "sallyport_store_transaction_duration_seconds_sum", "", s->took_us_sum);
    put(t, "%s_count %llu\n", name, (unsigned long long)below);
}

static void put_store_counts(struct text *t, const struct sp_store_stats *s) {
    family(t, "sallyport_store_change_sets_total", "counter",
           "Change sets: applied, or refused because a precondition did not hold.");
    labelled(t, "sallyport_store_change_sets_total", "result", "applied", s->sets);
    labelled(t, "sallyport_store_change_sets_total", "result", "conflict", s->conflicts);
    family(
        t, "sallyport_store_failures_total", "counter",
        "Transactions that failed: nothing changed, or COMMIT failed and the outcome had to be read again.");
    labelled(t, "sallyport_store_failures_total", "outcome", "unchanged", s->failed);
    labelled(t, "sallyport_store_failures_total", "outcome", "unknown", s->unknown);
    family(t, "sallyport_store_queue", "gauge", "Requests that wait for the store.");
    labelled(t, "sallyport_store_queue", "kind", "write", s->writes_waiting);
    labelled(t, "sallyport_store_queue", "kind", "read", s->reads_waiting);
}

static void put_store(struct text *t, const struct sp_measures *a) {
    one(t, "sallyport_ready", "gauge", "1 when the store can take a change.", a->is_ready ? 1 : 0);
    if (!a->has_store_stats) return;
    put_batches(t, &a->store);
    put_transactions(t, &a->store);
    put_store_counts(t, &a->store);
}

static void put_meta(struct text *t, const struct sp_meta_row *meta) {
    if (meta == NULL) return;
    one(t, "sallyport_audit_records", "gauge", "Records ever written to the audit log, the pruned ones too.",
        meta->audit_count);
    one(t, "sallyport_audit_pruned_records", "gauge", "Records pruned from the beginning of the audit log.",
        meta->audit_base);
    one(t, "sallyport_revocation_sequence", "gauge", "Sequence of the newest revocation.", meta->revoke_seq);
    one(t, "sallyport_store_incarnation", "gauge",
        "Changes when the store has gone back in time or was restored.", meta->incarnation);
}

/* ---- keys ---- */

static void put_key_counts(struct text *t, const struct sp_measures *a) {
    static const char name[] = "sallyport_keys";
    for (int use = SP_KEY_ACCESS; use <= SP_KEY_FEED; use++) {
        for (int state = SP_KEY_ANNOUNCED; state <= SP_KEY_REVOKED; state++) {
            uint64_t n = 0;
            for (size_t i = 0; i < a->n_keys; i++)
                n += (int)a->keys[i].use == use && (int)a->keys[i].state == state;
            if (n == 0) continue;
            put(t, "%s{use=\"%s\",state=\"%s\"} %llu\n", name, sp_key_use_name((enum sp_key_use)use),
                sp_key_state_name((enum sp_key_state)state), (unsigned long long)n);
        }
    }
}

static void put_key_age(struct text *t, const struct sp_measures *a, enum sp_key_use use) {
    int64_t newest_ms = INT64_MIN;
    for (size_t i = 0; i < a->n_keys; i++) {
        const struct sp_key_row *k = &a->keys[i];
        if (k->use == use && k->state == SP_KEY_SIGNING && k->signing_from_ms > newest_ms)
            newest_ms = k->signing_from_ms;
    }
    if (newest_ms == INT64_MIN) return;
    int64_t age_ms = a->now_ms > newest_ms ? a->now_ms - newest_ms : 0;
    labelled(t, "sallyport_signing_key_age_seconds", "use", sp_key_use_name(use), (uint64_t)age_ms / 1000);
}

static void put_keys(struct text *t, const struct sp_measures *a) {
    if (a->keys == NULL) return;
    family(t, "sallyport_keys", "gauge", "Keys by use and state.");
    put_key_counts(t, a);
    family(t, "sallyport_signing_key_age_seconds", "gauge", "For how long the key in use has been in use.");
    put_key_age(t, a, SP_KEY_ACCESS);
    put_key_age(t, a, SP_KEY_REFRESH);
    put_key_age(t, a, SP_KEY_FEED);
}

/* ---- verifier, hash pool ---- */

static void put_verdicts(struct text *t, const struct sp_verifier_stats *s) {
    static const char name[] = "sallyport_verifier_verdicts_total";
    family(t, name, "counter",
           "Access tokens checked here, by verdict; verdicts that never came are absent.");
    for (size_t i = 0; i < SP_REJECT_COUNT; i++) {
        if (s->verdicts[i] == 0 && i != SP_REJECT_NONE) continue;
        labelled(t, name, "verdict", i == SP_REJECT_NONE ? "accepted" : sp_reject_code((enum sp_reject)i),
                 s->verdicts[i]);
    }
}

static void put_verifier(struct text *t, struct sp_verifier *verifier) {
    struct sp_verifier_stats s;
    sp_verifier_stats(verifier, &s);
    one(t, "sallyport_verifier_cache_hits_total", "counter",
        "Tokens whose signature had been verified before.", s.hits);
    one(t, "sallyport_verifier_cache_misses_total", "counter", "Tokens whose signature was not in the cache.",
        s.misses);
    one(t, "sallyport_verifier_cache_entries", "gauge", "Tokens in the cache.", s.cache.entries);
    one(t, "sallyport_verifier_cache_bytes", "gauge", "Memory of the cache.", s.cache.bytes);
    one(t, "sallyport_verifier_cache_evictions_total", "counter", "Tokens that made room.",
        s.cache.evictions);
    put_verdicts(t, &s);
}

static void put_hashpool(struct text *t, struct sp_hashpool *pool) {
    struct sp_hashpool_stats s;
    sp_hashpool_stats(pool, &s);
    one(t, "sallyport_password_hash_queue", "gauge", "Passwords that wait to be hashed.", s.waiting);
    one(t, "sallyport_password_hash_queue_limit", "gauge", "Passwords that may wait; more are refused.",
        s.waiting_max);
    one(t, "sallyport_password_hash_active", "gauge", "Passwords that are being hashed.", s.active);
    one(t, "sallyport_password_hash_threads", "gauge", "Passwords that can be hashed at one time.",
        s.threads);
    one(t, "sallyport_password_hashes_total", "counter", "Passwords hashed.", s.finished);
    one(t, "sallyport_password_hash_refused_total", "counter",
        "Passwords refused because the queue was full.", s.refused);
}

/* ---- all of it ---- */

static void put_process(struct text *t, const struct sp_process_start *start) {
    struct sp_process_facts f;
    sp_process_look(start, &f);
    family(t, "process_start_time_seconds", "gauge", "When the process started, in Unix time.");
    seconds_of_us(t, "process_start_time_seconds", "", (uint64_t)f.started_ms * 1000);
    family(t, "process_cpu_seconds_total", "counter", "Processor time used.");
    seconds_of_us(t, "process_cpu_seconds_total", "", f.cpu_us);
    one(t, "process_resident_memory_bytes", "gauge", "Memory in use.", f.resident_bytes);
    one(t, "process_virtual_memory_bytes", "gauge", "Address space in use.", f.virtual_bytes);
    one(t, "process_open_fds", "gauge", "Open descriptors.", f.open_fds);
    one(t, "process_max_fds", "gauge", "Descriptors that may be open.", f.max_fds);
}

sp_status sp_metrics_write(struct sp_metrics *m, const struct sp_measures *a, struct sp_buf *ret) {
    struct text t = {.b = ret};
    family(&t, "sallyport_build_info", "gauge", "Always 1.");
    put(&t, "sallyport_build_info{version=\"%s\",store=\"%s\"} 1\n", SP_VERSION, a->store_name);
    put_process(&t, &m->start);
    put_requests(&t, m);
    put_latency(&t, m);
    put_connections(&t, m);
    put_sessions(&t, a);
    put_logouts(&t, a);
    put_hashpool(&t, m->sources.hashpool);
    put_verifier(&t, m->sources.verifier);
    put_feed(&t, &a->feed);
    put_store(&t, a);
    put_meta(&t, a->meta);
    put_keys(&t, a);
    return t.failed ? sp_err(SP_E_LIMIT) : SP_SUCCESS;
}
