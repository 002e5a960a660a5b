/* `sallyport doctor`: looks at a deployment as an operator on call would, and says for each finding how to
 * mend it. Checks are rows of a table; each looks at one thing and never changes anything. What needs the
 * running server is asked over the admin socket; without one those checks are left out. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/load_config.h"
#include "cli/output.h"
#include "http/query_values.h"
#include "server/deliver.h"

enum {
    ACCESS_TTL_MAX_S = 15 * 60,       /* what an unconnected service keeps accepting after a revocation */
    IDLE_TTL_MAX_S = 30 * 86400,      /* a device that was lost longer ago than that */
    ABSOLUTE_TTL_MAX_S = 365 * 86400, /* NIST SP 800-63B asks for far less at its higher levels */
    GRACE_MAX_MS = 30 * 1000,         /* a thief's window, THREATS.md */
    ARGON2_KIB_MIN = 19456,           /* OWASP's minimum */
    KEY_AGE_MAX_S = 366 * 86400,
    NOFILE_EXTRA = 128, /* descriptors besides connections: store, loops, log, sockets of verifiers */
    DISK_WARN_MIB = 512,
    DISK_FAIL_MIB = 64,
    CLOCK_SLACK_S = 60,
    BACKUP_AGE_S = 7 * 86400,
    TAIL_RECORDS = 1000,
    TEXT_BYTES = 512,
    PATH_BYTES = 1400,
};

enum level { GOOD, WARN, FAIL, SKIPPED };
static const char *const level_names[] = {"ok", "warn", "fail", "skipped"};

struct doctor {
    const struct sp_invocation *in;
    const struct sp_config *config;
    bool running;
    long pid;
    json_t *findings;
    enum level worst;
    /* of the check under way */
    enum level level;
    char says[TEXT_BYTES], mend[TEXT_BYTES];
};

static const char *text(const struct doctor *d, enum sp_config_key key) {
    return sp_config_text(d->config, key);
}
static int64_t number(const struct doctor *d, enum sp_config_key key) {
    return sp_config_number(d->config, key);
}

__attribute__((format(printf, 3, 4))) static void say(struct doctor *d, enum level level, const char *fmt,
                                                      ...) {
    va_list args;
    d->level = level;
    va_start(args, fmt);
    vsnprintf(d->says, sizeof(d->says), fmt, args);
    va_end(args);
}

static void mend(struct doctor *d, const char *how) {
    snprintf(d->mend, sizeof(d->mend), "%s", how);
}

/* ---- configuration ---- */

static bool is_loopback_url(const char *url) {
    return strncmp(url, "http://", 7) == 0 && sp_host_is_loopback(sp_slice_cstr(url + 7));
}

static void check_listen(struct doctor *d) {
    const char *listen = text(d, SP_CFG_server_listen);
    bool tls = text(d, SP_CFG_server_tls_certificate)[0] != 0;
    if (sp_host_is_loopback(sp_slice_cstr(listen))) {
        say(d, GOOD, "%s: only this machine can connect", listen);
    } else if (tls) {
        say(d, GOOD, "%s, with TLS", listen);
    } else {
        say(d, WARN, "%s can be reached from other machines without TLS", listen);
        mend(d, "set server.tls_certificate and server.tls_key, or listen on 127.0.0.1 behind a proxy");
    }
}

static void check_issuer(struct doctor *d) {
    const char *issuer = text(d, SP_CFG_tokens_issuer);
    if (strncmp(issuer, "https://", 8) == 0) {
        say(d, GOOD, "%s", issuer);
    } else if (is_loopback_url(issuer)) {
        say(d, GOOD, "%s: of this machine only, for development", issuer);
    } else {
        say(d, FAIL, "%s is not https", issuer);
        mend(d, "set tokens.issuer to the https URL that clients use");
    }
}

static void check_origins(struct doctor *d) {
    sp_slice list = sp_slice_cstr(text(d, SP_CFG_server_public_origins)), origin;
    while (sp_words_next(&list, &origin)) {
        char copy[TEXT_BYTES];
        snprintf(copy, sizeof(copy), "%.*s", (int)origin.n, (const char *)origin.p);
        if (strncmp(copy, "https://", 8) == 0 || is_loopback_url(copy)) continue;
        say(d, FAIL, "%s is not https: browsers keep __Host- cookies for https only", copy);
        mend(d, "list https origins in server.public_origins");
        return;
    }
    say(d, GOOD, "https, or of this machine");
}

static void check_lifetimes(struct doctor *d) {
    int64_t access = number(d, SP_CFG_tokens_access_ttl), idle = number(d, SP_CFG_sessions_idle_ttl);
    if (access > ACCESS_TTL_MAX_S) {
        say(d, WARN,
            "access tokens live %" PRIi64 " s: so long a service without the feed accepts revoked ones",
            access);
        mend(d, "set tokens.access_ttl to 15m or less");
    } else if (idle > IDLE_TTL_MAX_S || number(d, SP_CFG_sessions_absolute_ttl) > ABSOLUTE_TTL_MAX_S) {
        say(d, WARN, "sessions live longer than 30 days idle or a year in all");
        mend(d, "lower sessions.idle_ttl and sessions.absolute_ttl");
    } else {
        say(d, GOOD, "access %" PRIi64 " s, idle %" PRIi64 " s", access, idle);
    }
}

static void check_grace(struct doctor *d) {
    int64_t grace = number(d, SP_CFG_sessions_grace);
    if (grace <= GRACE_MAX_MS) {
        say(d, GOOD, "%" PRIi64 " ms", grace);
        return;
    }
    say(d, WARN, "%" PRIi64 " ms: so long a stolen refresh token can be replayed unseen", grace);
    mend(d, "lower sessions.grace to 10s; clients may send `attempt` instead");
}

static void check_reuse(struct doctor *d) {
    const char *policy = text(d, SP_CFG_sessions_reuse_policy);
    if (strcmp(policy, "report") != 0) {
        say(d, GOOD, "a replayed refresh token ends: %s", policy);
        return;
    }
    say(d, WARN, "a replayed refresh token is recorded, and ends nothing");
    mend(d, "set sessions.reuse_policy to session or user");
}

static void check_log(struct doctor *d) {
    if (strcmp(text(d, SP_CFG_log_level), "debug") != 0) {
        say(d, GOOD, "%s", text(d, SP_CFG_log_level));
        return;
    }
    say(d, WARN, "debug: much is written, names and addresses among it");
    mend(d, "set log.level to info");
}

static void check_alg(struct doctor *d) {
    const char *alg = text(d, SP_CFG_tokens_alg);
    if (strcmp(alg, "HS256") != 0) {
        say(d, GOOD, "%s", alg);
        return;
    }
    say(d, WARN, "HS256: whoever can verify a token can also make one");
    mend(d, "set tokens.alg to ES256 unless this server is the only verifier");
}

static void check_passwords(struct doctor *d) {
    int64_t kib = number(d, SP_CFG_passwords_memory_kib), passes = number(d, SP_CFG_passwords_passes);
    if (kib >= ARGON2_KIB_MIN && (passes >= 2 || kib >= 2 * ARGON2_KIB_MIN)) {
        say(d, GOOD, "Argon2id, %" PRIi64 " KiB, %" PRIi64 " passes", kib, passes);
        return;
    }
    say(d, WARN, "Argon2id with %" PRIi64 " KiB and %" PRIi64 " passes is cheap to guess", kib, passes);
    mend(d, "set passwords.memory_kib to 19456 and passwords.passes to 2, or more");
}

/* ---- files ---- */

/* false: said already. */
static bool is_private(struct doctor *d, const char *path, const struct stat *st, const char *how) {
    if ((st->st_mode & 077) != 0) {
        say(d, FAIL, "%s is open to others (mode %03o)", path, (unsigned)(st->st_mode & 0777));
        mend(d, how);
        return false;
    }
    if (st->st_uid != geteuid() && geteuid() != 0) {
        say(d, WARN, "%s belongs to another user (uid %u)", path, (unsigned)st->st_uid);
        mend(d, "run this as the server's user, or chown the file to it");
        return false;
    }
    return true;
}

static void check_data(struct doctor *d) {
    const char *dir = text(d, SP_CFG_server_data);
    struct stat st;
    if (stat(dir, &st) != 0) {
        say(d, WARN, "%s: %s", dir, strerror(errno));
        mend(d, "the first start makes it; or give --data");
    } else if (!S_ISDIR(st.st_mode)) {
        say(d, FAIL, "%s is not a directory", dir);
        mend(d, "set server.data to a directory");
    } else if (is_private(d, dir, &st, "chmod 700 the data directory")) {
        say(d, GOOD, "%s, mode %03o", dir, (unsigned)(st.st_mode & 0777));
    }
}

static void check_database(struct doctor *d) {
    char path[PATH_BYTES];
    struct stat st;
    snprintf(path, sizeof(path), "%s/sallyport.db", text(d, SP_CFG_server_data));
    if (lstat(path, &st) != 0) {
        say(d, errno == ENOENT ? SKIPPED : FAIL, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        say(d, FAIL, "%s is not a plain file", path);
        mend(d, "the server does not follow links to its database; put it into the data directory");
    } else if (is_private(d, path, &st, "chmod 600 the database")) {
        say(d, GOOD, "%lld bytes, mode %03o", (long long)st.st_size, (unsigned)(st.st_mode & 0777));
    }
}

static bool is_inside(const char *file, const char *dir) {
    char *real_file = realpath(file, NULL), *real_dir = realpath(dir, NULL);
    size_t n = real_dir == NULL ? 0 : strlen(real_dir);
    bool inside = real_file != NULL && n != 0 && strncmp(real_file, real_dir, n) == 0 && real_file[n] == '/';
    free(real_file);
    free(real_dir);
    return inside;
}

static void check_key_file(struct doctor *d, const char *file, const struct stat *st) {
    const char *data = text(d, SP_CFG_server_data);
    struct stat dir;
    bool same = stat(data, &dir) == 0 && dir.st_dev == st->st_dev;
    if (!is_private(d, file, st, "chmod 600 the master key")) return;
    if (is_inside(file, data)) {
        say(d, WARN, "%s lies inside the data directory: whoever copies the data has the key", file);
        mend(d, "move it, and set keys.master_key_file");
    } else {
        say(d, GOOD, "%s, outside the data directory%s", file,
            same ? " (on the same file system: a copy of the disk has both)" : "");
    }
}

static void check_master_key(struct doctor *d) {
    const char *file = text(d, SP_CFG_keys_master_key_file);
    char db[PATH_BYTES];
    struct stat st;
    snprintf(db, sizeof(db), "%s/sallyport.db", text(d, SP_CFG_server_data));
    if (getenv("SALLYPORT_MASTER_KEY") != NULL) {
        say(d, WARN, "in the environment: children and crash reports may inherit it");
        mend(d, "put it into a file that only the server's user can read (keys.master_key_file)");
    } else if (stat(file, &st) == 0) {
        check_key_file(d, file, &st);
    } else if (access(db, F_OK) != 0) {
        say(d, SKIPPED, "%s: the first start makes it", file);
    } else if (d->running) {
        say(d, WARN, "%s is not there, but the server runs: from its environment, or it is lost", file);
        mend(d, "make sure that a copy of the master key exists elsewhere");
    } else {
        say(d, FAIL, "%s is not there, and the database needs it", file);
        mend(d, "bring the master key back: without it the stored keys cannot be opened");
    }
}

static void check_disk(struct doctor *d) {
    struct statvfs fs;
    if (statvfs(text(d, SP_CFG_server_data), &fs) != 0) {
        say(d, SKIPPED, "%s", strerror(errno));
        return;
    }
    uint64_t mib = (uint64_t)fs.f_bavail * fs.f_frsize / (1024 * 1024);
    enum level level = mib < DISK_FAIL_MIB ? FAIL : mib < DISK_WARN_MIB ? WARN : GOOD;
    say(d, level, "%" PRIu64 " MiB are free", mib);
    if (level != GOOD) mend(d, "make room: a store that cannot write refuses every change");
}

/* ---- system ---- */

static bool server_nofile(const struct doctor *d, long long *ret) {
    char path[64], line[256];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%ld/limits", d->pid);
    FILE *f = d->pid == 0 ? NULL : fopen(path, "re");
    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
        found = sscanf(line, "Max open files %lld", ret) == 1; /* NOLINT: a number of the kernel's own */
    if (f != NULL) fclose(f);
    return found;
}

static void check_nofile(struct doctor *d) {
    long long limit, wanted = number(d, SP_CFG_server_connections_max) + NOFILE_EXTRA;
    if (!server_nofile(d, &limit)) {
        say(d, SKIPPED, "the server does not run, or its limits cannot be read");
    } else if (limit >= wanted) {
        say(d, GOOD, "%lld open files for %lld connections", limit, wanted - NOFILE_EXTRA);
    } else {
        say(d, WARN, "%lld open files are too few for %lld connections", limit, wanted - NOFILE_EXTRA);
        mend(d, "raise LimitNOFILE (systemd) or ulimit -n, or lower server.connections_max");
    }
}

static void check_clock(struct doctor *d) {
    struct timex t = {.modes = 0};
    if (time(NULL) < 1700000000) { /* November 2023: before this program was written */
        say(d, FAIL, "the clock stands in the past");
        mend(d, "set the clock and run an NTP client: tokens are valid by it");
    } else if (adjtimex(&t) == TIME_ERROR || (t.status & STA_UNSYNC) != 0) {
        say(d, WARN, "the kernel does not know the clock to be synchronized");
        mend(d, "run an NTP client (chrony, systemd-timesyncd): other services check expiry by their own");
    } else {
        say(d, GOOD, "synchronized");
    }
}

/* ---- the running server ---- */

static bool ask(struct doctor *d, const char *path, struct sp_answer *ret) {
    if (!d->running) {
        say(d, SKIPPED, "the server does not run");
        return false;
    }
    if (sp_client_call(d->in, "GET", path, NULL, ret) == SP_EXIT_OK) return true;
    say(d, FAIL, "the server does not answer %s", path);
    mend(d, "see the server's log");
    return false;
}

static void check_server(struct doctor *d) {
    if (d->running) {
        say(d, GOOD, "runs");
        return;
    }
    say(d, WARN, "does not run (or --data is not its directory): live checks are left out");
    mend(d, "start it: sallyport serve");
}

static void check_store(struct doctor *d) {
    struct sp_answer a = {0};
    if (!ask(d, "/readyz", &a)) return;
    sp_answer_done(&a);
    say(d, GOOD, "takes changes");
}

/* Seconds since an RFC 3339 text; negative: none. */
static int64_t age_s(const json_t *value) {
    int64_t ms;
    const char *at = json_string_value(value);
    if (at == NULL || !sp_ok(sp_time_parse(sp_slice_cstr(at), &ms))) return -1;
    return time(NULL) - ms / 1000;
}

/* "ES256", "RS256 (2048 bits)" */
static void name_key(const json_t *key, char ret[64]) {
    const char *alg = json_string_value(json_object_get(key, "alg"));
    const json_t *bits = json_object_get(key, "rsa_bits");
    snprintf(ret, 64, "%.30s", alg ? alg : "?");
    if (json_is_integer(bits))
        snprintf(ret + strlen(ret), 64 - strlen(ret), " (%lld bits)", (long long)json_integer_value(bits));
}

static void judge_signing_key(struct doctor *d, const json_t *key) {
    int64_t every = number(d, SP_CFG_keys_rotate_every), age = age_s(json_object_get(key, "signing_from"));
    int64_t most = every != 0 ? every + every / 10 + 86400 : KEY_AGE_MAX_S;
    char name[64];
    name_key(key, name);
    if (age > most) {
        say(d, WARN, "the signing key, %s, is %" PRIi64 " days old", name, age / 86400);
        mend(d, every != 0 ? "rotation is late: see the server's log" : "sallyport key rotate");
    } else {
        say(d, GOOD, "%s, signing for %" PRIi64 " days", name, age < 0 ? 0 : age / 86400);
    }
}

static bool is_key(const json_t *key, const char *use, const char *state) {
    const char *u = json_string_value(json_object_get(key, "use")),
               *s = json_string_value(json_object_get(key, "state"));
    return u != NULL && s != NULL && strcmp(u, use) == 0 && strcmp(s, state) == 0;
}

static void check_keys(struct doctor *d) {
    struct sp_answer a = {0};
    size_t i;
    json_t *key;
    if (!ask(d, "/admin/v1/keys", &a)) return;
    say(d, FAIL, "no access key signs");
    mend(d, "sallyport key rotate --immediately");
    json_array_foreach(json_object_get(a.body, "keys"), i, key) {
        if (!is_key(key, "access", "signing")) continue;
        d->mend[0] = 0;
        judge_signing_key(d, key);
    }
    sp_answer_done(&a);
}

/* The hash of the record before the tail, from which the tail is proved. */
static bool find_tail(struct doctor *d, uint64_t *ret_after, char head[65]) {
    struct sp_answer a = {0};
    char path[128];
    head[0] = 0;
    if (!ask(d, "/admin/v1/status", &a)) return false;
    uint64_t count = (uint64_t)json_integer_value(json_object_get(a.body, "audit_count"));
    sp_answer_done(&a);
    *ret_after = count > TAIL_RECORDS ? count - TAIL_RECORDS : 0;
    if (*ret_after == 0) return true;
    snprintf(path, sizeof(path), "/admin/v1/audit?limit=1&after=%" PRIu64, *ret_after - 1);
    if (!ask(d, path, &a)) return false;
    const json_t *first = json_array_get(json_object_get(a.body, "records"), 0);
    const char *hash = json_string_value(json_object_get(first, "hash"));
    snprintf(head, 65, "%s", hash ? hash : "");
    sp_answer_done(&a);
    return true;
}

static void check_audit(struct doctor *d) {
    struct sp_answer a = {0};
    uint64_t after;
    char head[65];
    if (!find_tail(d, &after, head)) return;
    if (sp_audit_verify_from(d->in, "", after, head, &a) != SP_EXIT_OK) {
        say(d, FAIL, "the audit log cannot be verified");
    } else if (json_is_true(json_object_get(a.body, "intact"))) {
        const uint64_t base = (uint64_t)json_integer_value(json_object_get(a.body, "base"));
        say(d, GOOD, "the last %" PRIu64 " records are intact",
            (uint64_t)json_integer_value(json_object_get(a.body, "records")) - (after > base ? after : base));
    } else {
        const char *why = json_string_value(json_object_get(a.body, "why"));
        say(d, FAIL, "NOT INTACT: %s", why ? why : "?");
    }
    if (d->level == FAIL) mend(d, "sallyport audit verify tells where; keep a copy of the data directory");
    sp_answer_done(&a);
}

static void check_future(struct doctor *d) {
    struct sp_answer a = {0};
    char path[128];
    uint64_t after;
    if (!ask(d, "/admin/v1/status", &a)) return;
    after = (uint64_t)json_integer_value(json_object_get(a.body, "audit_count"));
    sp_answer_done(&a);
    snprintf(path, sizeof(path), "/admin/v1/audit?limit=1&after=%" PRIu64, after == 0 ? 0 : after - 1);
    if (!ask(d, path, &a)) return;
    int64_t age = age_s(json_object_get(json_array_get(json_object_get(a.body, "records"), 0), "time"));
    sp_answer_done(&a);
    if (age >= -CLOCK_SLACK_S) {
        say(d, GOOD, "the clock has not gone back");
        return;
    }
    say(d, FAIL, "the newest record is %" PRIi64 " s in the future: the clock was set back", -age);
    mend(d, "set the clock right; tokens of the meantime may live too long");
}

static void check_backup(struct doctor *d) {
    struct sp_answer a = {0};
    char path[128];
    time_t since = time(NULL) - BACKUP_AGE_S;
    struct tm t;
    strftime(path, sizeof(path), "/admin/v1/audit?action=backup_made&limit=1&since=%Y-%m-%dT%H:%M:%SZ",
             gmtime_r(&since, &t));
    if (!ask(d, path, &a)) return;
    bool any = json_array_size(json_object_get(a.body, "records")) != 0 ||
               json_is_integer(json_object_get(a.body, "next")); /* a long log: not looked at to the end */
    sp_answer_done(&a);
    if (any) {
        say(d, GOOD, "one was made within 7 days");
        return;
    }
    say(d, WARN, "none was made within 7 days");
    mend(d, "sallyport backup FILE, and keep it and the master key apart");
}

static bool has_backchannel(const json_t *clients) {
    size_t i;
    json_t *client;
    json_array_foreach(clients, i, client) {
        const char *uri = json_string_value(json_object_get(client, "backchannel_logout_uri"));
        if (uri != NULL && *uri != 0) return true;
    }
    return false;
}

/* false: said already. */
static bool find_backchannel(struct doctor *d, bool *ret_wanted) {
    char path[PATH_BYTES] = "/admin/v1/clients?limit=200";
    bool wanted = false;
    for (bool more = true; more && !wanted;) {
        struct sp_answer a = {0};
        if (!ask(d, path, &a)) return false;
        const char *next = json_string_value(json_object_get(a.body, "next")); /* an id: nothing to escape */
        wanted = has_backchannel(json_object_get(a.body, "clients"));
        more = next != NULL;
        if (more) snprintf(path, sizeof(path), "/admin/v1/clients?limit=200&after=%s", next);
        sp_answer_done(&a);
    }
    *ret_wanted = wanted;
    return true;
}

static void check_deliver(struct doctor *d) {
    const char *ca_file = text(d, SP_CFG_oauth_backchannel_ca_file);
    bool wanted;
    if (!find_backchannel(d, &wanted)) return;
    if (!wanted) {
        say(d, GOOD, "no client asks for it");
    } else if (!sp_deliverer_has_library()) {
        say(d, FAIL, "clients ask for it, and libcurl.so.4 cannot be loaded: logouts wait");
        mend(d, "apt-get install libcurl4");
    } else if (ca_file[0] != 0 && access(ca_file, R_OK) != 0) {
        say(d, FAIL, "%s: %s: no https address can be trusted", ca_file, strerror(errno));
        mend(d, "set oauth.backchannel_ca_file to a PEM file that the server's user can read, or to nothing");
    } else {
        say(d, GOOD, "libcurl is there");
    }
}

/* ---- the table ---- */

static const struct check {
    const char *name;
    void (*run)(struct doctor *d);
} checks[] = {
    {"server", check_server},         {"listen", check_listen},
    {"issuer", check_issuer},         {"origins", check_origins},
    {"lifetimes", check_lifetimes},   {"grace", check_grace},
    {"reuse policy", check_reuse},    {"algorithm", check_alg},
    {"passwords", check_passwords},   {"log level", check_log},
    {"data directory", check_data},   {"database", check_database},
    {"master key", check_master_key}, {"disk", check_disk},
    {"clock", check_clock},           {"open files", check_nofile},
    {"store", check_store},           {"signing key", check_keys},
    {"audit log", check_audit},       {"time of records", check_future},
    {"backup", check_backup},         {"back-channel", check_deliver},
};

static void run_check(struct doctor *d, const struct check *c) {
    d->level = GOOD;
    d->says[0] = d->mend[0] = 0;
    c->run(d);
    if (d->level != SKIPPED && d->level > d->worst) d->worst = d->level;
    json_array_append_new(d->findings, json_pack("{s:s, s:s, s:s, s:s?}", "check", c->name, "result",
                                                 level_names[d->level], "detail", d->says, "mend",
                                                 d->mend[0] ? d->mend : NULL));
}

static void print_findings(const struct doctor *d) {
    size_t i;
    json_t *f;
    json_array_foreach(d->findings, i, f) {
        const char *how = json_string_value(json_object_get(f, "mend"));
        printf("%-8s %-16s %s\n", json_string_value(json_object_get(f, "result")),
               json_string_value(json_object_get(f, "check")),
               json_string_value(json_object_get(f, "detail")));
        if (how != NULL) printf("%-25s -> %s\n", "", how);
    }
}

int sp_cmd_doctor(const struct sp_invocation *in) {
    struct sp_config *config = calloc(1, sizeof(*config));
    if (config == NULL) return SP_EXIT_FAILED;
    int failed = sp_load_config(in, NULL, config);
    struct sp_invocation at = *in; /* the data directory may be the configuration's */
    at.data = sp_config_text(config, SP_CFG_server_data);
    struct doctor d = {.in = &at, .config = config, .findings = json_array()};
    if (!failed) {
        d.running = sp_client_probe(&at, &d.pid);
        for (size_t i = 0; i < SP_ARRAY_LEN(checks); i++) run_check(&d, &checks[i]);
        if (in->json) {
            json_t *all = json_pack("{s:s, s:O}", "result", level_names[d.worst], "checks", d.findings);
            sp_print_json(stdout, all);
            json_decref(all);
        } else {
            print_findings(&d);
        }
    }
    json_decref(d.findings);
    free(config);
    return failed ? failed : d.worst == FAIL ? SP_EXIT_FAILED : SP_EXIT_OK;
}
