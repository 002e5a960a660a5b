#include "cli/verify_feed.h"

#include <dlfcn.h>
#include <stdatomic.h>

#include "cli/command.h"
#include "sallyport/verify.h"

#define LIBRARY "libsallyport.so.0"
enum {
    FRESH_MS = 15 * 1000,
    LOOK_MS = 100, /* how soon a hopeless wait ends */
    ORIGIN_CHARS_MAX = 512
};

/* What is used of the library, by the types of its header. */
#define FUNCTIONS(X) X(sp_open) X(sp_open_error) X(sp_close) X(sp_wait_fresh) X(sp_verify) X(sp_verdict_code)

struct sp_verify_feed {
    void *library;
#define MEMBER_(name) __typeof__(&name) name;
    FUNCTIONS(MEMBER_)
#undef MEMBER_
    struct sallyport *sp;
    char told[256];                 /* the following thread's: the last that was said */
    _Atomic(const char *) hopeless; /* set by the following thread: why waiting does not help; static */
};

static bool load(struct sp_verify_feed *f) {
    f->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (f->library == NULL) return false;
#define FIND_(name)                                                                                          \
    *(void **)(&f->name) = dlsym(f->library, #name);                                                         \
    if (f->name == NULL) return false;
    FUNCTIONS(FIND_)
#undef FIND_
    return true;
}

/* What trying again does not mend, and what to look at. The feed's signatures cover the issuer's name, which
 * the snapshot does not show: a wrong one is told by a signature that does not verify. */
static const struct {
    const char *event, *says;
} final_events[] = {
    {"bad_signature", "wrong_issuer, or a forged feed: nothing of it is signed for the issuer"},
    {"wrong_issuer", "wrong_issuer: the server's issuer is not"},
    {"denied", ""}, /* the event's own sentence says it all */
    {"untrusted", ""},
};

static void look_for_the_end(struct sp_verify_feed *f, const char *event) {
    for (size_t i = 0; i < SP_ARRAY_LEN(final_events); i++)
        if (strcmp(event, final_events[i].event) == 0) atomic_store(&f->hopeless, final_events[i].says);
}

/* What the feed says while we wait is what explains why we wait; each thing once. */
static void on_log(void *arg, const char *event, const char *detail) {
    struct sp_verify_feed *f = arg;
    static const char *const worth_telling[] = {"connection",   "denied",        "failure",
                                                "untrusted",    "timeout",       "malformed",
                                                "wrong_issuer", "bad_signature", "stale"};
    char line[sizeof f->told];
    look_for_the_end(f, event);
    bool tells = false;
    for (size_t i = 0; i < SP_ARRAY_LEN(worth_telling); i++) tells |= strcmp(event, worth_telling[i]) == 0;
    (void)snprintf(line, sizeof line, "sallyport verify: %s: %s\n", event, detail);
    if (!tells || strcmp(line, f->told) == 0) return;
    memcpy(f->told, line, sizeof line);
    fputs(line, stderr);
}

static uint32_t algorithms_of(uint32_t algs) {
    return algs & ~SP_ALG_BIT(SP_ALG_HS256);
}

static bool wait_fresh(struct sp_verify_feed *f) {
    for (int waited = 0; waited < FRESH_MS && atomic_load(&f->hopeless) == NULL; waited += LOOK_MS)
        if (f->sp_wait_fresh(f->sp, LOOK_MS) == 1) return true;
    return false;
}

static int open_feed(struct sp_verify_feed *f, const struct sp_verify_feed_opts *opts) {
    struct sp_options o = SP_OPTIONS_INIT;
    char origin[ORIGIN_CHARS_MAX];
    (void)snprintf(origin, sizeof origin, "%s", opts->url);
    size_t n = strlen(origin);
    if (n != 0 && origin[n - 1] == '/') origin[n - 1] = 0;
    o.issuer = opts->issuer.n != 0 ? (const char *)opts->issuer.p : origin;
    o.audience = opts->audience.n != 0 ? (const char *)opts->audience.p : o.issuer;
    o.feed_url = opts->url;
    o.credential_file = opts->credential_file;
    o.feed_key = opts->feed_key;
    o.ca_file = opts->ca_file;
    o.algorithms = algorithms_of(opts->algs);
    o.leeway_s = opts->leeway_s;
    o.log = on_log;
    o.log_arg = f;
    if (opts->algs != 0 && o.algorithms == 0) {
        fputs("sallyport verify: HS256 goes with --jwks: the feed never carries secrets\n", stderr);
        return SP_EXIT_USAGE;
    }
    if (f->sp_open(&o, &f->sp) != SP_OPEN_OK) {
        fprintf(stderr, "sallyport verify: %s\n", f->sp_open_error());
        return SP_EXIT_FAILED;
    }
    if (wait_fresh(f)) return SP_EXIT_OK;
    const char *why = atomic_load(&f->hopeless);
    if (why != NULL && *why != 0) {
        fprintf(stderr, "sallyport verify: %s %s; --iss is the server's tokens.issuer\n", why, o.issuer);
        return SP_EXIT_FAILED;
    }
    fprintf(stderr, "sallyport verify: the feed of %s cannot be followed\n", opts->url);
    return SP_EXIT_UNREACHABLE;
}

int sp_verify_feed_open(const struct sp_verify_feed_opts *opts, struct sp_verify_feed **ret) {
    struct sp_verify_feed *f = calloc(1, sizeof *f);
    if (f == NULL) return SP_EXIT_FAILED;
    *ret = f; /* also when it fails: the caller closes it */
    if (load(f)) return open_feed(f, opts);
    fprintf(stderr, "sallyport verify: --feed needs " LIBRARY ": %s\n", dlerror());
    return SP_EXIT_FAILED;
}

/* The library stays loaded: threads of it may still be ending. */
void sp_verify_feed_close(struct sp_verify_feed *f) {
    if (f == NULL) return;
    if (f->sp != NULL) f->sp_close(f->sp);
    free(f);
}

/* Of an accepted token, so that it is canonical and fits. */
static bool read_payload(sp_slice token, struct sp_check_scratch *scratch, sp_slice *ret_payload) {
    struct sp_jws jws;
    size_t n;
    if (!sp_reject_is_ok(sp_jws_split(token, &jws))) return false;
    if (!sp_ok(sp_base64url_decode(jws.payload, scratch->payload, sizeof scratch->payload, &n))) return false;
    *ret_payload = sp_slice_of(scratch->payload, n);
    return true;
}

const char *sp_verify_feed_judge(struct sp_verify_feed *f, sp_slice token, struct sp_check_scratch *scratch,
                                 sp_slice *ret_payload) {
    struct sp_request request = SP_REQUEST_INIT;
    request.token = token.n == 0 ? "" : (const char *)token.p;
    request.token_bytes = token.n;
    enum sp_verdict v = f->sp_verify(f->sp, &request, NULL);
    if (v != SP_ACCEPTED) return f->sp_verdict_code(v);
    return read_payload(token, scratch, ret_payload) ? NULL : sp_reject_code(SP_REJECT_INTERNAL);
}
