/* One table (config.def), one setter for every source. */
#include "server/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <strings.h>

#include "base/ip.h"
#include "base/mem.h"
#include "base/text.h"

enum type { TEXT, COUNT, SECONDS, MILLIS, BOOL, LIST, CHOICE };
enum reload { COLD, HOT };

static const struct key {
    const char *section, *name;
    enum type type;
    const char *def;
    int64_t min, max;
    enum reload reload;
    const char *doc;
} keys[SP_CFG_COUNT] = {
#define KEY(section, name, type, def, min, max, reload, doc)                                                 \
    {#section, #name, type, def, min, max, reload, doc},
#include "server/config.def"
#undef KEY
};

static sp_status complain(char error[SP_CONFIG_ERROR_BYTES], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static sp_status complain(char error[SP_CONFIG_ERROR_BYTES], const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(error, SP_CONFIG_ERROR_BYTES, fmt, args);
    va_end(args);
    return sp_err(SP_E_MALFORMED);
}

/* "15m" in the key's unit. No fractions, no sign: nothing here needs them. */
static bool parse_duration(const char *s, bool millis, int64_t *ret) {
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = strspn(s, "0123456789");
    uint64_t n;
    if (digits == 0 || digits > 12 || !sp_slice_to_u64(sp_slice_of(s, digits), &n)) return false;
    int64_t ms = s[digits] == 0 ? (millis ? 1 : 1000) : 0;
    for (size_t i = 0; i < SP_ARRAY_LEN(units); i++) {
        if (strcmp(s + digits, units[i].suffix) == 0) ms = units[i].ms;
    }
    int64_t total;
    if (ms == 0 || __builtin_mul_overflow((int64_t)n, ms, &total)) return false;
    if (!millis && total % 1000 != 0) return false;
    *ret = millis ? total : total / 1000;
    return true;
}

static bool parse_bool(const char *s, int64_t *ret) {
    if (strcmp(s, "true") != 0 && strcmp(s, "false") != 0) return false;
    *ret = s[0] == 't';
    return true;
}

static bool parse_count(const char *s, int64_t *ret) {
    uint64_t n;
    if (!sp_slice_to_u64(sp_slice_cstr(s), &n) || n > INT64_MAX) return false;
    *ret = (int64_t)n;
    return true;
}

static bool parse_choice(const char *choices, const char *s, int64_t *ret) {
    struct {
        const char *at;
        int64_t index;
    } c = {choices, 0};
    size_t n = strlen(s);
    for (; *c.at != 0; c.index++) {
        size_t len = strcspn(c.at, "|");
        if (len == n && memcmp(c.at, s, n) == 0) {
            *ret = c.index;
            return true;
        }
        c.at += c.at[len] == '|' ? len + 1 : len;
    }
    return false;
}

/* Words separated by single spaces, whatever separated them before. */
static void normalize_list(const char *s, char *out, size_t cap) {
    size_t n = 0;
    while (*s != 0 && n + 1 < cap) {
        size_t skip = strspn(s, " ,\t");
        s += skip;
        size_t len = strcspn(s, " ,\t");
        if (len == 0) break;
        if (n + len + 2 > cap) break; /* the caller has checked the length; separators only shrink */
        if (n != 0) out[n++] = ' ';
        memcpy(out + n, s, len);
        n += len;
        s += len;
    }
    out[n] = 0;
}

/* A word that begins with one could not be written into a file again, where a comment would begin. */
static bool has_semicolon_word(const char *list) {
    for (const char *s = list; (s = strchr(s, ';')) != NULL; s++)
        if (s == list || strchr(" ,\t", s[-1]) != NULL) return true;
    return false;
}

static const char *expectation(const struct key *k, char *buf, size_t cap) {
    switch (k->type) {
    case TEXT: snprintf(buf, cap, "%" PRId64 " to %" PRId64 " bytes of text", k->min, k->max); break;
    case LIST:
        snprintf(buf, cap, "words of %" PRId64 " to %" PRId64 " bytes together, none beginning with ';'",
                 k->min, k->max);
        break;
    case COUNT: snprintf(buf, cap, "a whole number from %" PRId64 " to %" PRId64, k->min, k->max); break;
    case SECONDS:
        snprintf(buf, cap, "a duration from %" PRId64 "s to %" PRId64 "s, such as 90s, 15m, 12h, 30d", k->min,
                 k->max);
        break;
    case MILLIS:
        snprintf(buf, cap, "a duration from %" PRId64 "ms to %" PRId64 "ms, such as 250ms or 10s", k->min,
                 k->max);
        break;
    case BOOL: snprintf(buf, cap, "true or false"); break;
    case CHOICE: snprintf(buf, cap, "one of %s", k->def); break;
    }
    return buf;
}

static bool parse_number(const struct key *k, const char *value, int64_t *ret) {
    switch (k->type) {
    case TEXT: *ret = (int64_t)strlen(value); break;
    case LIST:
        if (has_semicolon_word(value)) return false;
        *ret = (int64_t)strlen(value);
        break;
    case COUNT:
        if (!parse_count(value, ret)) return false;
        break;
    case SECONDS:
    case MILLIS:
        if (!parse_duration(value, k->type == MILLIS, ret)) return false;
        break;
    case BOOL: return parse_bool(value, ret);
    case CHOICE: return parse_choice(k->def, value, ret);
    }
    return *ret >= k->min && *ret <= k->max;
}

static sp_status set_value(struct sp_config *c, size_t i, const char *value, const char *source,
                           char error[SP_CONFIG_ERROR_BYTES]) {
    const struct key *k = &keys[i];
    char expected[256];
    int64_t number = 0;
    if (!sp_utf8_printable(sp_slice_cstr(value)) || !parse_number(k, value, &number))
        return complain(error, "%s: %s.%s = \"%.80s\": expected %s", source, k->section, k->name, value,
                        expectation(k, expected, sizeof(expected)));
    if (k->type == LIST) {
        normalize_list(value, c->values[i].text, sizeof(c->values[i].text));
    } else {
        snprintf(c->values[i].text, sizeof(c->values[i].text), "%s", value);
    }
    c->values[i].number = number;
    snprintf(c->values[i].source, sizeof(c->values[i].source), "%s", source);
    return SP_SUCCESS;
}

static size_t find_key(const char *section, size_t section_n, const char *name) {
    for (size_t i = 0; i < SP_CFG_COUNT; i++) {
        if (strlen(keys[i].section) == section_n && memcmp(keys[i].section, section, section_n) == 0 &&
            strcmp(keys[i].name, name) == 0)
            return i;
    }
    return SP_CFG_COUNT;
}

void sp_config_defaults(struct sp_config *c) {
    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < SP_CFG_COUNT; i++) {
        char value[64], error[SP_CONFIG_ERROR_BYTES];
        size_t n = keys[i].type == CHOICE ? strcspn(keys[i].def, "|") : strlen(keys[i].def);
        snprintf(value, sizeof(value), "%.*s", (int)n, keys[i].def);
        SP_IGNORE(set_value(c, i, value, "default", error)); /* a unit test sets each of them */
    }
}

sp_status sp_config_set(struct sp_config *c, const char *assignment, const char *source,
                        char error[SP_CONFIG_ERROR_BYTES]) {
    const char *equals = strchr(assignment, '=');
    const char *dot = strchr(assignment, '.');
    if (equals == NULL || dot == NULL || dot > equals)
        return complain(error, "%s: \"%.80s\": expected section.key=value", source, assignment);
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)(equals - dot - 1), dot + 1);
    size_t i = find_key(assignment, (size_t)(dot - assignment), name);
    if (i == SP_CFG_COUNT)
        return complain(error, "%s: unknown key \"%.*s\"", source, (int)(equals - assignment), assignment);
    return set_value(c, i, equals + 1, source, error);
}

/* ---- file ---- */

enum {
    FILE_BYTES_MAX = 256 * 1024, /* every key at its longest, and twice as much of comments */
    LINE_BYTES_MAX = 2000 + 2,   /* a key, the longest value, a comment behind it; newline and NUL */
};

struct file_load {
    struct sp_config *c;
    sp_slice rest; /* the text from the next line on */
    const char *name;
    int line; /* counted here: Debian's inih tells its handler no line numbers */
    char *error;
    bool failed;
    bool seen[SP_CFG_COUNT];
};

static char *stop_reading(struct file_load *f, const char *what) {
    SP_IGNORE(complain(f->error, "%.200s:%d: %s", f->name, f->line, what));
    f->failed = true;
    return NULL;
}

/* inih would cut a line that does not fit, and take the rest (of a comment, say) for a line of its own; what
 * stands behind a NUL it would not see. */
static char *read_ini_line(char *into, int cap, void *user) {
    struct file_load *f = user;
    if (f->rest.n == 0) return NULL;
    const uint8_t *newline = memchr(f->rest.p, '\n', f->rest.n);
    const size_t n = newline == NULL ? f->rest.n : (size_t)(newline - f->rest.p) + 1;
    f->line++;
    if (cap < 1 || n >= (size_t)cap) return stop_reading(f, "the line is longer than 2000 bytes");
    if (memchr(f->rest.p, 0, n) != NULL) return stop_reading(f, "a NUL byte, this is not text");
    memcpy(into, f->rest.p, n);
    into[n] = 0;
    f->rest = sp_slice_of(f->rest.p + n, f->rest.n - n);
    return into;
}

static int on_ini_line(void *user, const char *section, const char *name, const char *value) {
    struct file_load *f = user;
    if (f->failed) return 1;
    char source[64];
    snprintf(source, sizeof(source), "%.40s:%d", f->name, f->line);
    size_t i = find_key(section, strlen(section), name);
    sp_status s;
    if (i == SP_CFG_COUNT) {
        s = complain(f->error, "%s: unknown key \"%.40s.%.40s\"", source, section, name);
    } else if (f->seen[i]) {
        s = complain(f->error, "%s: %s.%s is set twice in this file", source, section, name);
    } else {
        f->seen[i] = true;
        s = set_value(f->c, i, value == NULL ? "" : value, source, f->error);
    }
    f->failed = !sp_ok(s);
    return 1;
}

sp_status sp_config_load_text(struct sp_config *c, sp_slice text, const char *name,
                              char error[SP_CONFIG_ERROR_BYTES]) {
    struct file_load f = {.c = c, .rest = text, .name = name, .error = error};
    ini_use_stack = false; /* on the stack it has room for 200 bytes */
    ini_max_line = ini_initial_alloc = LINE_BYTES_MAX;
    int bad_line = ini_parse_stream(read_ini_line, &f, on_ini_line, &f);
    if (f.failed) return sp_err(SP_E_MALFORMED);
    if (bad_line < 0) return complain(error, "%.200s: no memory to read it", name);
    if (bad_line != 0)
        return complain(error, "%.200s:%d: expected [section], key = value, or a comment", name, bad_line);
    return SP_SUCCESS;
}

/* 0, or errno. */
static int read_file(const char *path, struct sp_buf *b) {
    FILE *in = fopen(path, "re");
    int failed = in == NULL ? errno : 0;
    for (size_t n = 1; !failed && n != 0;) {
        uint8_t *p;
        if (!sp_ok(sp_buf_reserve(b, 4096, &p))) {
            failed = EFBIG;
            break;
        }
        errno = 0;
        n = fread(p, 1, 4096, in);
        sp_buf_advance(b, n);
        if (ferror(in)) failed = errno != 0 ? errno : EIO;
    }
    if (in != NULL) fclose(in);
    return failed;
}

sp_status sp_config_load_file(struct sp_config *c, const char *path, char error[SP_CONFIG_ERROR_BYTES]) {
    SP_AUTO(sp_buf) text = SP_BUF_INIT(FILE_BYTES_MAX);
    int failed = read_file(path, &text);
    if (failed) return complain(error, "%.200s: cannot be read: %s", path, strerror(failed));
    return sp_config_load_text(c, sp_buf_slice(&text), path, error);
}

/* ---- environment ---- */

/* SALLYPORT_TOKENS_ACCESS_TTL -> tokens.access_ttl. The section has no underscore, so the first one ends it.
 */
static size_t key_of_variable(const char *name, size_t n) {
    char lower[96];
    if (n >= sizeof(lower)) return SP_CFG_COUNT;
    for (size_t i = 0; i < n; i++) lower[i] = (char)tolower((unsigned char)name[i]);
    lower[n] = 0;
    const char *underscore = strchr(lower, '_');
    return underscore == NULL ? SP_CFG_COUNT : find_key(lower, (size_t)(underscore - lower), underscore + 1);
}

/* Variables that are ours but are not keys. */
static bool is_other_variable(sp_slice name) {
    return sp_slice_eq_cstr(name, "MASTER_KEY") || sp_slice_eq_cstr(name, "DATA") ||
           sp_slice_eq_cstr(name, "CONFIG");
}

sp_status sp_config_load_environment(struct sp_config *c, char **environment,
                                     char error[SP_CONFIG_ERROR_BYTES]) {
    static const char prefix[] = "SALLYPORT_";
    for (char **e = environment; e != NULL && *e != NULL; e++) {
        const char *equals = strchr(*e, '=');
        if (equals == NULL || strncmp(*e, prefix, sizeof(prefix) - 1) != 0) continue;
        const char *name = *e + sizeof(prefix) - 1;
        size_t n = (size_t)(equals - name), i = key_of_variable(name, n);
        if (is_other_variable(sp_slice_of(name, n))) continue;
        if (i == SP_CFG_COUNT)
            return complain(error, "environment: unknown variable %.*s", (int)(equals - *e), *e);
        SP_TRY(set_value(c, i, equals + 1, "environment", error));
    }
    return SP_SUCCESS;
}

/* ---- as a whole ---- */

static sp_status derive(struct sp_config *c, enum sp_config_key key, const char *value, const char *from,
                        char error[SP_CONFIG_ERROR_BYTES]) {
    return sp_config_text(c, key)[0] != 0 ? SP_SUCCESS : set_value(c, key, value, from, error);
}

static bool is_http_url(const char *s) {
    sp_slice url = sp_slice_cstr(s);
    if (!sp_slice_starts(url, SP_SLICE_LIT("http://")) && !sp_slice_starts(url, SP_SLICE_LIT("https://")))
        return false;
    const char *host = strstr(s, "://") + 3;
    return *host != 0 && *host != '/' && *host != '*' && strpbrk(s, "?# \"") == NULL;
}

/* scheme://host[:port], without the path. */
static void origin_of(const char *url, char *out, size_t cap) {
    const char *host = strstr(url, "://") + 3;
    snprintf(out, cap, "%.*s", (int)(host - url + (int)strcspn(host, "/")), url);
}

/* Of the last days is what an incident is looked into with. And what is pruned must have left a checkpoint in
 * the server's log, which is at level info. */
static sp_status check_audit(const struct sp_config *c, char error[SP_CONFIG_ERROR_BYTES]) {
    enum { KEEP_DAYS_MIN = 7, LEVEL_INFO = 0, LEVEL_DEBUG = 1 }; /* levels: in config.def's order */
    const int64_t keep = sp_config_number(c, SP_CFG_audit_keep_days);
    const int64_t level = sp_config_number(c, SP_CFG_log_level);
    const char *from = c->values[SP_CFG_audit_keep_days].source;
    if (keep == 0) return SP_SUCCESS;
    if (keep < KEEP_DAYS_MIN)
        return complain(error, "%s: audit.keep_days: expected 0, or at least %d", from, KEEP_DAYS_MIN);
    if (level != LEVEL_INFO && level != LEVEL_DEBUG)
        return complain(error,
                        "%s: audit.keep_days needs log.level info or debug: what is pruned must have left a "
                        "checkpoint in the log",
                        from);
    return SP_SUCCESS;
}

static sp_status check_origins(const struct sp_config *c, enum sp_config_key key, const char *name,
                               char error[SP_CONFIG_ERROR_BYTES]) {
    sp_slice list = sp_slice_cstr(sp_config_text(c, key)), word;
    while (sp_words_next(&list, &word)) {
        char url[SP_CONFIG_VALUE_BYTES];
        snprintf(url, sizeof(url), "%.*s", SP_SLICE_FMT(word));
        if (!is_http_url(url) || strchr(strstr(url, "://") + 3, '/') != NULL)
            return complain(error, "%s: %s: \"%.80s\": expected scheme://host[:port] without a path",
                            c->values[key].source, name, url);
    }
    return SP_SUCCESS;
}

/* What stands between colon and port may be any name: only the resolver knows. But a colon in it is an IPv6
 * address without brackets or a URL, and no host at all would make an issuer without one. */
sp_status sp_config_split_listen(const char *listen, char ret_host[SP_CONFIG_HOST_BYTES],
                                 uint16_t *ret_port) {
    const char *colon = strrchr(listen, ':'), *host = listen;
    uint64_t port;
    if (colon == NULL || !sp_slice_to_u64(sp_slice_cstr(colon + 1), &port) || port > UINT16_MAX)
        return sp_err(SP_E_MALFORMED);
    size_t n = (size_t)(colon - listen);
    const bool brackets = n > 2 && listen[0] == '[' && colon[-1] == ']';
    if (brackets) host++, n -= 2;
    if (n == 0 || n >= SP_CONFIG_HOST_BYTES || strcspn(host, "[]/ ") < n) return sp_err(SP_E_MALFORMED);
    if (!brackets && memchr(host, ':', n) != NULL) return sp_err(SP_E_MALFORMED);
    memcpy(ret_host, host, n);
    ret_host[n] = 0;
    *ret_port = (uint16_t)port;
    return SP_SUCCESS;
}

static sp_status check_listen(const struct sp_config *c, enum sp_config_key key,
                              char error[SP_CONFIG_ERROR_BYTES]) {
    char host[SP_CONFIG_HOST_BYTES], name[SP_CONFIG_NAME_BYTES];
    uint16_t port;
    const char *listen = sp_config_text(c, key);
    if (sp_ok(sp_config_split_listen(listen, host, &port))) return SP_SUCCESS;
    sp_config_key_name(key, name);
    return complain(error,
                    "%s: %s = \"%.80s\": expected HOST:PORT with a port up to 65535, such as 127.0.0.1:8420, "
                    "[::1]:8420, or 0.0.0.0:8420 for every address",
                    c->values[key].source, name, listen);
}

/* A certificate without its key would quietly be plain HTTP. */
static sp_status check_tls(const struct sp_config *c, char error[SP_CONFIG_ERROR_BYTES]) {
    const bool certificate = sp_config_text(c, SP_CFG_server_tls_certificate)[0] != 0;
    if (certificate == (sp_config_text(c, SP_CFG_server_tls_key)[0] != 0)) return SP_SUCCESS;
    return complain(error, "server.tls_certificate and server.tls_key: expected both or none of them, not %s",
                    certificate ? "a certificate alone" : "a key alone");
}

static sp_status check_proxies(const struct sp_config *c, char error[SP_CONFIG_ERROR_BYTES]) {
    sp_slice list = sp_slice_cstr(sp_config_text(c, SP_CFG_server_trusted_proxies)), word;
    struct sp_cidr block;
    while (sp_words_next(&list, &word)) {
        if (!sp_ok(sp_cidr_parse(word, &block)))
            return complain(
                error,
                "%s: server.trusted_proxies: \"%.*s\": expected an address, or a block with no bits set "
                "after its prefix, such as 10.0.0.0/8",
                c->values[SP_CFG_server_trusted_proxies].source, SP_SLICE_FMT(word));
    }
    return SP_SUCCESS;
}

sp_status sp_config_finish(struct sp_config *c, char error[SP_CONFIG_ERROR_BYTES]) {
    char value[SP_CONFIG_VALUE_BYTES + 16]; /* the longest text with "https://" or ".master-key" */
    SP_TRY(check_tls(c, error));
    SP_TRY(check_listen(c, SP_CFG_server_listen, error));
    if (sp_config_text(c, SP_CFG_server_metrics_listen)[0] != 0)
        SP_TRY(check_listen(c, SP_CFG_server_metrics_listen, error));
    const char *scheme = sp_config_text(c, SP_CFG_server_tls_certificate)[0] != 0 ? "https" : "http";
    snprintf(value, sizeof(value), "%s://%s", scheme, sp_config_text(c, SP_CFG_server_listen));
    SP_TRY(derive(c, SP_CFG_tokens_issuer, value, "from server.listen", error));
    const char *issuer = sp_config_text(c, SP_CFG_tokens_issuer);
    if (!is_http_url(issuer))
        return complain(
            error, "%s: tokens.issuer = \"%.80s\": expected an http or https URL without query or fragment",
            c->values[SP_CFG_tokens_issuer].source, issuer);
    SP_TRY(derive(c, SP_CFG_tokens_audience, issuer, "from tokens.issuer", error));
    origin_of(issuer, value, sizeof(value));
    SP_TRY(derive(c, SP_CFG_server_public_origins, value, "from tokens.issuer", error));
    SP_TRY(check_origins(c, SP_CFG_server_public_origins, "server.public_origins", error));
    SP_TRY(check_origins(c, SP_CFG_server_cors_origins, "server.cors_origins", error));
    SP_TRY(check_audit(c, error));
    SP_TRY(check_proxies(c, error));
    if (sp_config_number(c, SP_CFG_sessions_idle_ttl) > sp_config_number(c, SP_CFG_sessions_absolute_ttl))
        return complain(error, "sessions.idle_ttl (%s) is longer than sessions.absolute_ttl (%s)",
                        sp_config_text(c, SP_CFG_sessions_idle_ttl),
                        sp_config_text(c, SP_CFG_sessions_absolute_ttl));
    if (sp_config_number(c, SP_CFG_tokens_access_ttl) > sp_config_number(c, SP_CFG_sessions_idle_ttl))
        return complain(error, "tokens.access_ttl (%s) is longer than sessions.idle_ttl (%s)",
                        sp_config_text(c, SP_CFG_tokens_access_ttl),
                        sp_config_text(c, SP_CFG_sessions_idle_ttl));
    snprintf(value, sizeof(value), "%s.master-key", sp_config_text(c, SP_CFG_server_data));
    return derive(c, SP_CFG_keys_master_key_file, value, "from server.data", error);
}

bool sp_config_is_hot(enum sp_config_key key) {
    return keys[key].reload == HOT;
}

void sp_config_key_name(enum sp_config_key key, char name[SP_CONFIG_NAME_BYTES]) {
    snprintf(name, SP_CONFIG_NAME_BYTES, "%s.%s", keys[key].section, keys[key].name);
}

bool sp_config_differs(const struct sp_config *a, const struct sp_config *b, enum sp_config_key key) {
    const bool is_text = keys[key].type == TEXT || keys[key].type == LIST;
    if (is_text) return strcmp(a->values[key].text, b->values[key].text) != 0;
    return a->values[key].number != b->values[key].number; /* 15m is 900s */
}

void sp_config_show(const struct sp_config *c, FILE *out) {
    for (size_t i = 0; i < SP_CFG_COUNT; i++)
        fprintf(out, "%s.%s = %s   # %s\n", keys[i].section, keys[i].name, c->values[i].text,
                c->values[i].source);
}

void sp_config_doc(FILE *out) {
    const char *section = "";
    char expected[256];
    for (size_t i = 0; i < SP_CFG_COUNT; i++) {
        const struct key *k = &keys[i];
        if (strcmp(section, k->section) != 0) {
            fprintf(out,
                    "%s## [%s]\n\n| key | default | value | reload | meaning |\n| --- | --- | --- | --- | "
                    "--- |\n",
                    i == 0 ? "" : "\n", k->section);
            section = k->section;
        }
        int def_n = (int)(k->type == CHOICE ? strcspn(k->def, "|") : strlen(k->def));
        expectation(k, expected, sizeof(expected));
        for (char *p = expected; *p != 0; p++) *p = *p == '|' ? '/' : *p; /* a bar would end the cell */
        fprintf(out, "| `%s` | %s%.*s%s | %s | %s | %s |\n", k->name, def_n ? "`" : "", def_n, k->def,
                def_n ? "`" : "", expected, k->reload == HOT ? "SIGHUP" : "restart", k->doc);
    }
}
