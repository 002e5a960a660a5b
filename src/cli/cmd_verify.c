/* One line in, one line out, in order, with memory that does not depend on the input: a line longer than the
 * largest token is answered `reject oversize` and skipped. What was answered is written out before the
 * program waits for more, so that it can stand behind a pipe.
 *
 * A line ends with a newline, and only the newline is not part of the token: a carriage return, a space or a
 * NUL belongs to it, and makes it `reject not_canonical`. Being forgiving here would hide what a stricter
 * verifier refuses. */
#include "base/base64url.h"
#include "base/buf.h"
#include "base/ports.h"
#include "cli/command.h"
#include "cli/verify_feed.h"
#include "token/check.h"
#include "token/json_line.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    /* base64 of one byte more than the largest token, so that a longer one is told apart by the check itself
     */
    LINE_BYTES_MAX = 4 * (SP_TOKEN_BYTES_MAX / 3 + 1),
    READ_BYTES = 64 * 1024,
    JSON_BYTES_MAX = 6 * SP_PAYLOAD_BYTES_MAX, /* every byte escaped */
};

struct options {
    const char *jwks_path;
    struct sp_verify_feed_opts feed; /* url NULL: by jwks_path */
    bool has_local_rules;            /* --typ, --raw */
    struct sp_check_policy policy;
    bool b64;
};

/* Options */

static bool set_leeway(struct options *o, const char *text) {
    uint64_t v;
    if (!sp_slice_to_u64(sp_slice_cstr(text), &v) || v > SP_CHECK_LEEWAY_MAX_S) return false;
    o->policy.leeway_s = (uint32_t)v;
    return true;
}

static bool add_alg(struct options *o, const char *name) {
    enum sp_alg alg;
    if (!sp_ok(sp_alg_from_name(sp_slice_cstr(name), &alg))) return false;
    o->policy.algs |= SP_ALG_BIT(alg);
    return true;
}

static bool set_issuer(struct options *o, const char *text) {
    o->policy.issuer = sp_slice_cstr(text);
    return *text != 0; /* --iss "" would silently check nothing */
}

static bool set_audience(struct options *o, const char *text) {
    o->policy.audience = sp_slice_cstr(text);
    return *text != 0;
}

static bool set_typ(struct options *o, const char *text) {
    o->policy.typ_rule = SP_CHECK_TYP_EXACT;
    o->policy.typ = sp_slice_cstr(text);
    o->has_local_rules = true;
    return *text != 0;
}

static bool set_raw(struct options *o, const char *text) {
    (void)text;
    o->policy.raw = o->has_local_rules = true;
    o->policy.kid = SP_CHECK_KID_OPTIONAL;
    return true;
}

static bool set_b64(struct options *o, const char *text) {
    (void)text;
    o->b64 = true;
    return true;
}

static bool set_feed(struct options *o, const char *text) {
    o->feed.url = text;
    return true;
}

static bool set_credential_file(struct options *o, const char *text) {
    o->feed.credential_file = text;
    return true;
}

static bool set_feed_key(struct options *o, const char *text) {
    o->feed.feed_key = text;
    return true;
}

static bool set_ca_file(struct options *o, const char *text) {
    o->feed.ca_file = text;
    return true;
}

static bool set_jwks(struct options *o, const char *text) {
    o->jwks_path = text;
    return true;
}

static const struct {
    const char *name;
    bool (*set)(struct options *o, const char *text);
} setters[] = {
    {"jwks", set_jwks},         {"feed", set_feed},       {"credential-file", set_credential_file},
    {"feed-key", set_feed_key}, {"ca-file", set_ca_file}, {"iss", set_issuer},
    {"aud", set_audience},      {"typ", set_typ},         {"alg", add_alg},
    {"leeway", set_leeway},     {"raw", set_raw},         {"b64", set_b64},
};

/* Which options go together; NULL: these do. */
static const char *misfit(const struct options *o) {
    const struct sp_verify_feed_opts *f = &o->feed;
    if ((o->jwks_path == NULL) == (f->url == NULL)) return "expected --jwks FILE or --feed URL";
    if (f->url == NULL && (f->credential_file != NULL || f->feed_key != NULL || f->ca_file != NULL))
        return "--credential-file, --feed-key and --ca-file go with --feed";
    if (f->url != NULL && f->credential_file == NULL) return "expected --credential-file FILE with --feed";
    if (f->url != NULL && o->has_local_rules) return "--typ and --raw go with --jwks";
    return NULL;
}

/* An exit status; what was wrong has been said. */
static int read_options(const struct sp_invocation *in, struct options *o) {
    const char *const *values;
    for (size_t i = 0; i < SP_ARRAY_LEN(setters); i++) {
        size_t n = sp_invocation_values(in, setters[i].name, &values);
        for (size_t j = 0; j < n; j++) {
            if (!setters[i].set(o, values[j]))
                return sp_usage_error(in->command, "not a value of --%s: \"%s\"", setters[i].name, values[j]);
        }
    }
    const char *wrong = misfit(o);
    if (wrong != NULL) return sp_usage_error(in->command, "%s", wrong);
    o->feed.issuer = o->policy.issuer;
    o->feed.audience = o->policy.audience;
    o->feed.algs = o->policy.algs;
    o->feed.leeway_s = o->policy.leeway_s;
    if (o->policy.algs == 0) o->policy.algs = SP_ALG_ALL;
    return SP_EXIT_OK;
}

/* Keys */

static sp_status read_file(const char *path, struct sp_buf *out) {
    uint8_t *p;
    ssize_t n = 1;
    sp_status s = SP_SUCCESS;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sp_err(SP_E_IO);
    while (n > 0 && sp_ok(s)) {
        size_t chunk = out->max - out->n < 4096 ? out->max - out->n : 4096;
        s = chunk == 0 ? sp_err(SP_E_LIMIT) : sp_buf_reserve(out, chunk, &p);
        if (!sp_ok(s)) break;
        n = read(fd, p, chunk);
        if (n < 0 && errno != EINTR) s = sp_err(SP_E_IO);
        if (n > 0) sp_buf_advance(out, (size_t)n);
        if (n < 0) n = 1; /* interrupted: once more */
    }
    close(fd);
    return s;
}

static sp_status load_keys(const char *path, struct sp_jwks *ret_jwks) {
    SP_AUTO(sp_buf) json = SP_BUF_INIT(SP_JWKS_BYTES_MAX + 1);
    SP_TRY(read_file(path, &json));
    return sp_jwks_parse(sp_buf_slice(&json), SP_JWK_WITH_SECRETS, ret_jwks);
}

/* Lines */

struct lines {
    uint8_t buf[READ_BYTES];
    size_t at, n;
    uint8_t line[LINE_BYTES_MAX];
    size_t line_n;
    bool too_long;
};
enum line_result { LINE, LINE_END, LINE_ERROR };

/* Whatever was answered goes out before we wait. */
static enum line_result refill(struct lines *in) {
    ssize_t n;
    if (fflush(stdout) != 0) return LINE_ERROR;
    do n = read(STDIN_FILENO, in->buf, sizeof in->buf);
    while (n < 0 && errno == EINTR);
    if (n < 0) return LINE_ERROR;
    in->at = 0;
    in->n = (size_t)n;
    return n == 0 ? LINE_END : LINE;
}

static void take(struct lines *in, const uint8_t *p, size_t n) {
    if (n > sizeof in->line - in->line_n) {
        in->too_long = true;
        n = sizeof in->line - in->line_n;
    }
    memcpy(in->line + in->line_n, p, n);
    in->line_n += n;
}

/* The next line into in->line. A last line without a newline counts if it is not empty. */
static enum line_result next_line(struct lines *in) {
    in->line_n = 0;
    in->too_long = false;
    for (;;) {
        if (in->at == in->n) {
            enum line_result r = refill(in);
            if (r == LINE_END && in->line_n != 0) return LINE;
            if (r != LINE) return r;
        }
        const uint8_t *from = in->buf + in->at, *newline = memchr(from, '\n', in->n - in->at);
        size_t n = newline == NULL ? in->n - in->at : (size_t)(newline - from);
        take(in, from, n);
        in->at += n + (newline == NULL ? 0 : 1);
        if (newline != NULL) return LINE;
    }
}

/* Standard base64 with its padding, in place; canonical like everything else. */
static enum sp_reject decode_b64(uint8_t *text, size_t n, sp_slice *ret) {
    size_t bytes = 0, pad = 0;
    if (n % 4 != 0) return SP_REJECT_MALFORMED;
    while (pad < 2 && pad < n && text[n - 1 - pad] == '=') pad++;
    for (size_t i = 0; i < n - pad; i++) {
        if (text[i] == '-' || text[i] == '_') return SP_REJECT_MALFORMED;
        if (text[i] == '+') text[i] = '-';
        if (text[i] == '/') text[i] = '_';
    }
    if (!sp_ok(sp_base64url_decode(sp_slice_of(text, n - pad), text, n, &bytes))) return SP_REJECT_MALFORMED;
    *ret = sp_slice_of(text, bytes);
    return SP_REJECT_NONE;
}

/* Answers */

struct verifier {
    struct options options;
    struct sp_jwks jwks;
    struct sp_verify_feed *feed; /* NULL: by jwks */
    struct sp_check_scratch scratch;
    struct lines in;
};

/* The code of a refusal, or NULL and the payload. */
static const char *judge(struct verifier *v, sp_slice token, sp_slice *ret_payload) {
    struct sp_key_lookup keys = sp_key_lookup_jwks(&v->jwks);
    struct sp_checked checked;
    if (v->feed != NULL) return sp_verify_feed_judge(v->feed, token, &v->scratch, ret_payload);
    int64_t now_s = sp_clock_wall_ms(&sp_clock_system) / 1000;
    enum sp_reject r = sp_check_token(token, &keys, &v->options.policy, now_s, &v->scratch, &checked);
    if (!sp_reject_is_ok(r)) return sp_reject_code(r);
    *ret_payload = checked.payload;
    return NULL;
}

static const char *judge_line(struct verifier *v, sp_slice *ret_payload) {
    struct lines *in = &v->in;
    sp_slice token = sp_slice_of(in->line, in->line_n);
    enum sp_reject r = SP_REJECT_NONE;
    if (in->too_long)
        r = SP_REJECT_OVERSIZE;
    else if (v->options.b64)
        r = decode_b64(in->line, in->line_n, &token);
    return sp_reject_is_ok(r) ? judge(v, token, ret_payload) : sp_reject_code(r);
}

/* The claims as they were signed, not as we understood them. */
static sp_status print_claims(sp_slice payload) {
    SP_AUTO(sp_buf) line = SP_BUF_INIT(JSON_BYTES_MAX);
    SP_TRY(sp_json_line(payload, &line));
    printf("ok %.*s\n", SP_SLICE_FMT(sp_buf_slice(&line)));
    return SP_SUCCESS;
}

static void answer(struct verifier *v) {
    sp_slice payload = SP_SLICE_EMPTY;
    const char *refusal = judge_line(v, &payload);
    if (refusal == NULL && v->options.policy.raw)
        puts("ok");
    else if (refusal != NULL || !sp_ok(print_claims(payload)))
        printf("reject %s\n", refusal != NULL ? refusal : sp_reject_code(SP_REJECT_INTERNAL));
}

static int answer_all(struct verifier *v) {
    enum line_result r;
    while ((r = next_line(&v->in)) == LINE) answer(v);
    if (r == LINE_END && fflush(stdout) == 0 && !ferror(stdout)) return SP_EXIT_OK;
    fprintf(stderr, "sallyport verify: cannot read tokens or write answers: %s\n", strerror(errno));
    return SP_EXIT_FAILED;
}

static int run_followed(struct verifier *v) {
    int status = sp_verify_feed_open(&v->options.feed, &v->feed);
    if (status == SP_EXIT_OK) status = answer_all(v);
    sp_verify_feed_close(v->feed);
    return status;
}

static int run(struct verifier *v) {
    sp_status s = load_keys(v->options.jwks_path, &v->jwks);
    if (!sp_ok(s)) {
        fprintf(stderr, "sallyport verify: no JWK Set in %s: %s\n", v->options.jwks_path,
                sp_code_name(s.code));
        return SP_EXIT_FAILED;
    }
    if (v->jwks.skipped != 0)
        fprintf(stderr,
                "sallyport verify: %zu of %zu keys are left out: not for verifying, weak, or not offered\n",
                v->jwks.skipped, v->jwks.skipped + v->jwks.n);
    int status = answer_all(v);
    sp_jwks_done(&v->jwks);
    return status;
}

int sp_cmd_verify(const struct sp_invocation *in) {
    struct options o = {
        .policy = {.typ_rule = SP_CHECK_TYP_ANY_JWT, .kid = SP_CHECK_KID_REQUIRED, .profile = SP_CLAIMS_JWT}};
    int failed = read_options(in, &o);
    if (failed) return failed;
    struct verifier *v = calloc(1, sizeof *v);
    if (v == NULL) return SP_EXIT_FAILED;
    v->options = o;
    int status = o.feed.url != NULL ? run_followed(v) : run(v);
    sp_free_wiped(v, sizeof *v); /* it held tokens that are good elsewhere */
    return status;
}
