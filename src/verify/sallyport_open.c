/* libsallyport: opening, following, closing. */
#include "verify/handle.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/base64url.h"
#include "revoke/feed.h"
#include "token/jwk.h"
#include "verify/small_file.h"

enum {
    CA_FILE_BYTES_MAX = 4 << 20, /* all the roots of the world are 220 KiB */
    STALENESS_DEFAULT_MS = 30 * 1000,
    STALENESS_MIN_MS = 1000,
    STALENESS_MAX_MS = 3600 * 1000,
    CACHE_DEFAULT_BYTES = 64 << 20,
    LEAVE_MS_MAX = 1500, /* the follower gives up after 1 s */
    HOST_CHARS_MAX = 40,
    SUFFIX_CHARS = 8,
};

_Static_assert((int)SP_ALGORITHM_ES256 == SP_ALG_BIT(SP_ALG_ES256) &&
                   (int)SP_ALGORITHM_HS256 == SP_ALG_BIT(SP_ALG_HS256) &&
                   (int)SP_ALGORITHM_RS256 == SP_ALG_BIT(SP_ALG_RS256) &&
                   (int)SP_ALGORITHM_PS256 == SP_ALG_BIT(SP_ALG_PS256) &&
                   (int)SP_ALGORITHM_EDDSA == SP_ALG_BIT(SP_ALG_EDDSA),
               "the public names of algorithms are ours");

static _Thread_local char open_error[256] = "no sp_open of this thread has failed";

const char *sp_open_error(void) {
    return open_error;
}
/* `about` may be NULL; it is a path or a name of an option, never a secret. */
static enum sp_open_result fail(enum sp_open_result result, const char *what, const char *about) {
    (void)snprintf(open_error, sizeof open_error, "%s%s%s", what, about == NULL ? "" : ": ",
                   about == NULL ? "" : about);
    return result;
}
static enum sp_open_result fail_status(sp_status s) {
    if (sp_is(s, SP_E_NOMEM)) return fail(SP_OPEN_NO_MEMORY, "out of memory", NULL);
    return fail(SP_OPEN_SYSTEM, "the system refused",
                sp_is(s, SP_E_IO) ? strerror(errno) : sp_code_name(s.code));
}

/* ---- options ---- */

#define BAD(what) return fail(SP_OPEN_BAD_OPTION, what, NULL)

static bool is_empty(const char *text) {
    return text == NULL || *text == 0;
}

static enum sp_open_result check_feed(const struct sp_options *o) {
    sp_status s = sp_transport_url_check(o->feed_url);
    if (sp_is(s, SP_E_NOMEM)) return fail_status(s);
    if (sp_is(s, SP_E_REFUSED)) BAD("feed_url: https is required, unless the host is a loopback address");
    if (!sp_ok(s)) BAD("feed_url: expected http(s)://HOST[:PORT], without user, query or fragment");
    if (o->jwks_file != NULL) BAD("jwks_file and feed_url: one of them");
    if ((o->credential == NULL) == (o->credential_file == NULL))
        BAD("credential or credential_file: exactly one of them is required with feed_url");
    if (o->credential != NULL && (strlen(o->credential) >= SP_CREDENTIAL_BYTES_MAX ||
                                  !sp_credential_valid(sp_slice_cstr(o->credential))))
        BAD("credential: expected NAME:SECRET");
    if ((o->algorithms & SP_ALGORITHM_HS256) != 0)
        BAD("algorithms: HS256 needs jwks_file, since the feed never carries secrets");
    if (strlen(o->issuer) > SP_FEED_ISSUER_BYTES_MAX) BAD("issuer: too long");
    if (o->instance != NULL && !sp_feed_instance_valid(sp_slice_cstr(o->instance)))
        BAD("instance: expected 1 to 64 characters of A-Z a-z 0-9 . _ -");
    return SP_OPEN_OK;
}

static enum sp_open_result check_numbers(const struct sp_options *o) {
    if ((o->algorithms & ~(uint32_t)SP_ALG_ALL) != 0) BAD("algorithms: an unknown one");
    if (o->leeway_s > SP_CHECK_LEEWAY_MAX_S) BAD("leeway_s: at most 60");
    if (o->max_staleness_ms != 0 &&
        (o->max_staleness_ms < STALENESS_MIN_MS || o->max_staleness_ms > STALENESS_MAX_MS))
        BAD("max_staleness_ms: 1000 to 3600000");
    if (o->when_stale != SP_WHEN_STALE_REFUSE && o->when_stale != SP_WHEN_STALE_ACCEPT_UNPROVEN)
        BAD("when_stale: an unknown value");
    if (o->follow != SP_FOLLOW_THREAD && o->follow != SP_FOLLOW_BY_CALLER) BAD("follow: an unknown value");
    if (o->dpop_proofs != 0 &&
        (o->dpop_proofs < SP_REPLAY_ENTRIES_MIN || o->dpop_proofs > SP_REPLAY_ENTRIES_MAX))
        BAD("dpop_proofs: 64 to 16777216, or 0");
    if (o->dpop_require_nonce != 0 && o->dpop_require_nonce != 1) BAD("dpop_require_nonce: 0 or 1");
    if (o->cache_bytes != 0 && o->cache_bytes != SP_NO_CACHE &&
        (o->cache_bytes < SP_TOKEN_CACHE_BYTES_MIN || o->cache_bytes > SP_TOKEN_CACHE_BYTES_MAX))
        BAD("cache_bytes: 65536 to 17179869184, 0 or SP_NO_CACHE");
    return SP_OPEN_OK;
}

static enum sp_open_result check_options(const struct sp_options *o) {
    if (is_empty(o->issuer)) BAD("issuer: required");
    if (is_empty(o->audience)) BAD("audience: required");
    if (strlen(o->issuer) > SP_VERIFIER_NAME_BYTES_MAX) BAD("issuer: too long");
    if (strlen(o->audience) > SP_VERIFIER_NAME_BYTES_MAX) BAD("audience: too long");
    enum sp_open_result r = check_numbers(o);
    if (r != SP_OPEN_OK) return r;
    if (o->feed_url != NULL) return check_feed(o);
    if (o->jwks_file == NULL) BAD("feed_url or jwks_file: one of them is required");
    return SP_OPEN_OK;
}

/* ---- keys of a file ---- */

static enum sp_open_result load_jwks(struct sallyport *sp, const char *path) {
    SP_AUTO(sp_buf) json = SP_BUF_INIT(SP_JWKS_BYTES_MAX + 1);
    SP_AUTO(sp_jwks) jwks = SP_JWKS_INIT;
    sp_status s = sp_small_file_read(path, &json);
    if (sp_is(s, SP_E_IO)) return fail(SP_OPEN_UNREADABLE, "jwks_file cannot be read", path);
    if (sp_ok(s)) s = sp_jwks_parse(sp_buf_slice(&json), SP_JWK_WITH_SECRETS, &jwks);
    if (sp_ok(s)) s = sp_verifier_set_keys(sp->verifier, jwks.keys, jwks.n);
    if (sp_is(s, SP_E_NOMEM)) return fail_status(s);
    if (!sp_ok(s) || jwks.n == 0)
        return fail(SP_OPEN_BAD_FILE, "jwks_file holds no key that we can use", path);
    return SP_OPEN_OK;
}

/* ---- following ---- */

static void forward_log(void *arg, const char *event, const char *detail) {
    const struct sallyport *sp = arg;
    if (sp->log != NULL) sp->log(sp->log_arg, event, detail);
}

static enum sp_open_result check_ca_file(const char *path) {
    SP_AUTO(sp_buf) pem = SP_BUF_INIT(CA_FILE_BYTES_MAX);
    static const char begin[] = "-----BEGIN";
    if (path == NULL) return SP_OPEN_OK;
    sp_status s = sp_small_file_read(path, &pem);
    if (sp_is(s, SP_E_IO)) return fail(SP_OPEN_UNREADABLE, "ca_file cannot be read", path);
    if (sp_is(s, SP_E_NOMEM)) return fail_status(s);
    if (!sp_ok(s) || pem.n == 0 || memmem(pem.p, pem.n, begin, sizeof begin - 1) == NULL)
        return fail(SP_OPEN_BAD_FILE, "ca_file holds no certificate", path);
    return SP_OPEN_OK;
}

/* The host's name, as far as it is one of ours, and random characters: two processes of a host differ. */
static sp_status make_instance(const char *given, sp_text64 *ret) {
    char text[HOST_CHARS_MAX + 1 + SUFFIX_CHARS + 1] = {0};
    uint8_t random[SUFFIX_CHARS * 3 / 4];
    if (given != NULL) return SP_TEXT_SET(ret, sp_slice_cstr(given));
    if (gethostname(text, HOST_CHARS_MAX) != 0) text[0] = 0;
    size_t n = 0;
    while (text[n] != 0 && sp_feed_instance_valid(sp_slice_of(text + n, 1))) n++;
    SP_TRY(sp_random_fill(&sp_random_system, random, sizeof random));
    if (n != 0) text[n++] = '-';
    sp_base64url_encode(SP_SLICE_ARRAY(random), text + n);
    return SP_TEXT_SET(ret, sp_slice_of(text, n + SUFFIX_CHARS));
}

static enum sp_open_result read_pin(const char *text, uint8_t ret[SP_SHA256_BYTES]) {
    if (text != NULL && !sp_ok(sp_base64url_decode_exact(sp_slice_cstr(text), ret, SP_SHA256_BYTES)))
        return fail(SP_OPEN_BAD_OPTION, "feed_key: expected a thumbprint of 43 characters", NULL);
    return SP_OPEN_OK;
}

static enum sp_open_result make_follower(struct sallyport *sp, const struct sp_options *o) {
    uint8_t pin[SP_SHA256_BYTES];
    sp_text64 instance = {0};
    enum sp_open_result r = read_pin(o->feed_key, pin);
    if (r != SP_OPEN_OK) return r;
    sp_status s = make_instance(o->instance, &instance);
    const struct sp_follower_opts opts = {
        .issuer = sp_slice_cstr(o->issuer),
        .instance = SP_TEXT_SLICE(&instance),
        .pin = o->feed_key != NULL ? pin : NULL,
        .max_staleness_ms = sp->freshness.max_staleness_ms,
        .verifier = sp->verifier,
        .roles = &sp->roles,
        .freshness = &sp->freshness,
        .random = &sp_random_system,
        .log = forward_log,
        .log_arg = sp,
    };
    if (sp_ok(s)) s = sp_follower_new(&opts, sp_transport_clocks(), &sp->follower);
    return sp_ok(s) ? SP_OPEN_OK : fail_status(s);
}

static enum sp_open_result make_transport(struct sallyport *sp, const struct sp_options *o) {
    const struct sp_transport_opts opts = {
        .url = o->feed_url,
        .credential = o->credential,
        .credential_file = o->credential_file,
        .ca_file = o->ca_file,
        .follower = sp->follower,
        .log = forward_log,
        .log_arg = sp,
    };
    SP_AUTO(sp_buf) credential = SP_BUF_INIT(SP_CREDENTIAL_BYTES_MAX);
    if (o->credential_file != NULL) {
        sp_status s = sp_credential_file_read(o->credential_file, &credential);
        if (sp_is(s, SP_E_IO))
            return fail(SP_OPEN_UNREADABLE, "credential_file cannot be read", o->credential_file);
        if (sp_is(s, SP_E_NOMEM)) return fail_status(s);
        if (!sp_ok(s))
            return fail(SP_OPEN_BAD_FILE, "credential_file is not NAME:SECRET", o->credential_file);
    }
    sp_status s = sp_transport_new(&opts, &sp->transport);
    return sp_ok(s) ? SP_OPEN_OK : fail_status(s);
}

static void tell_waiters(struct sallyport *sp) {
    pthread_mutex_lock(&sp->lock);
    pthread_cond_broadcast(&sp->changed);
    pthread_mutex_unlock(&sp->lock);
}

/* Until the fd is readable, or the time is over (-1: without end). */
static void wait_for_work(const struct sallyport *sp, int timeout_ms) {
    struct pollfd p = {.fd = sp_transport_fd(sp->transport), .events = POLLIN};
    (void)poll(&p, 1, timeout_ms);
}

static int64_t boot_ms(void) {
    return sp_clock_boot_ms(&sp_clock_system);
}
/* Never below 0, which poll would take for "without end". */
static int left_ms(int64_t end_ms) {
    int64_t ms = end_ms - boot_ms();
    return ms < 0 ? 0 : (int)ms;
}
static void say_goodbye(struct sallyport *sp) {
    int64_t end_ms = boot_ms() + LEAVE_MS_MAX;
    sp_follower_leave(sp->follower, sp_transport_clocks());
    sp_transport_step(sp->transport);
    while (!sp_follower_is_gone(sp->follower) && boot_ms() < end_ms) {
        wait_for_work(sp, left_ms(end_ms));
        sp_transport_step(sp->transport);
    }
}

static bool is_fresh(struct sallyport *sp) {
    uint64_t age_ms;
    return sp_freshness_now(&sp->freshness, &age_ms) == SP_FRESH && sp_verifier_is_open(sp->verifier);
}

static void *follow(void *arg) {
    struct sallyport *sp = arg;
    bool was_fresh = false;
    while (!atomic_load_explicit(&sp->is_closing, memory_order_acquire)) {
        wait_for_work(sp, -1);
        sp_transport_step(sp->transport);
        bool now_fresh = is_fresh(sp); /* asked once: what is noted is what was told */
        if (now_fresh != was_fresh) tell_waiters(sp);
        was_fresh = now_fresh;
    }
    say_goodbye(sp);
    return NULL;
}

static enum sp_open_result start_thread(struct sallyport *sp) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(&sp->thread, NULL, follow, sp);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) return fail(SP_OPEN_SYSTEM, "no thread could be started", strerror(error));
    sp->has_thread = true;
    (void)pthread_setname_np(sp->thread, "sallyport-feed");
    return SP_OPEN_OK;
}

static enum sp_open_result open_feed(struct sallyport *sp, const struct sp_options *o) {
    enum sp_open_result r = check_ca_file(o->ca_file);
    if (r == SP_OPEN_OK) r = make_follower(sp, o);
    if (r == SP_OPEN_OK) r = make_transport(sp, o);
    if (r == SP_OPEN_OK && o->follow == SP_FOLLOW_THREAD) r = start_thread(sp);
    return r;
}

/* ---- life ---- */

static sp_status init_waiting(struct sallyport *sp) {
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) return sp_err(SP_E_NOMEM);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    sp->has_lock = pthread_cond_init(&sp->changed, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    if (!sp->has_lock) return sp_err(SP_E_NOMEM);
    (void)pthread_mutex_init(&sp->lock, NULL);
    return SP_SUCCESS;
}

static sp_status make_parts(struct sallyport *sp, const struct sp_options *o) {
    uint32_t staleness_ms = o->max_staleness_ms == 0 ? STALENESS_DEFAULT_MS : o->max_staleness_ms;
    sp->is_followed = o->feed_url != NULL;
    sp->accepts_unproven = o->when_stale == SP_WHEN_STALE_ACCEPT_UNPROVEN;
    sp->log = o->log;
    sp->log_arg = o->log_arg;
    sp_freshness_init(&sp->freshness, staleness_ms, &sp_clock_system);
    SP_TRY(init_waiting(sp));
    SP_TRY(sp_reclaim_new(SP_RECLAIM_READERS_MAX, &sp->reclaim));
    sp_role_table_init(&sp->roles, sp->reclaim);
    const struct sp_verifier_opts opts = {
        .issuer = sp_slice_cstr(o->issuer),
        .audience = sp_slice_cstr(o->audience),
        .alg_mask = o->algorithms != 0 ? o->algorithms : SP_ALG_PUBLIC,
        .leeway_s = o->leeway_s,
        .cache_bytes = o->cache_bytes == 0             ? CACHE_DEFAULT_BYTES
                       : o->cache_bytes == SP_NO_CACHE ? 0
                                                       : o->cache_bytes,
        .reclaim = sp->reclaim,
        .random = &sp_random_system,
    };
    SP_TRY(sp_verifier_new(&opts, &sp->verifier));
    SP_TRY(sp_proofs_init(&sp->proofs, o->dpop_proofs == 0 ? SP_REPLAY_ENTRIES_DEFAULT : o->dpop_proofs,
                          o->dpop_require_nonce != 0, &sp_random_system));
    return sp_seats_init(&sp->seats, sp->verifier);
}

static enum sp_open_result open_all(struct sallyport *sp, const struct sp_options *o) {
    sp_status s = make_parts(sp, o);
    if (!sp_ok(s)) return fail_status(s);
    return o->feed_url != NULL ? open_feed(sp, o) : load_jwks(sp, o->jwks_file);
}

static void free_parts(struct sallyport *sp) {
    sp_transport_free(sp->transport);
    sp_follower_free(sp->follower);
    sp_seats_done(&sp->seats);
    if (sp->reclaim != NULL) sp_role_table_done(&sp->roles);
    sp_verifier_free(sp->verifier);
    sp_proofs_done(&sp->proofs);
    sp_reclaim_free(sp->reclaim);
    if (sp->has_lock) {
        pthread_mutex_destroy(&sp->lock);
        pthread_cond_destroy(&sp->changed);
    }
    free(sp);
}

/* Members that this version does not know must be zero: silently not doing what was asked for is worse. */
static bool read_options(const struct sp_options *given, struct sp_options *ret) {
    const char *bytes = (const char *)given;
    if (given->size < offsetof(struct sp_options, log)) return false;
    for (size_t i = sizeof *ret; i < given->size; i++)
        if (bytes[i] != 0) return false;
    *ret = (struct sp_options)SP_OPTIONS_INIT;
    memcpy(ret, given, given->size < sizeof *ret ? given->size : sizeof *ret);
    return true;
}

enum sp_open_result sp_open(const struct sp_options *options, struct sallyport **ret_sp) {
    struct sp_options o;
    if (options == NULL || ret_sp == NULL || !read_options(options, &o))
        return fail(SP_OPEN_BAD_OPTION, "options: not initialised by SP_OPTIONS_INIT, or of a later version",
                    NULL);
    if (!sp_ok(sp_transport_global())) return fail(SP_OPEN_SYSTEM, "libcurl cannot be used", NULL);
    enum sp_open_result r = check_options(&o);
    if (r != SP_OPEN_OK) return r;
    struct sallyport *sp = aligned_alloc(_Alignof(struct sallyport), sizeof *sp);
    if (sp == NULL) return fail_status(sp_err(SP_E_NOMEM));
    memset(sp, 0, sizeof *sp);
    r = open_all(sp, &o);
    if (r == SP_OPEN_OK)
        *ret_sp = sp;
    else
        free_parts(sp);
    return r;
}

/* In a child of fork nothing may be said to the server, and no thread is there to be joined: only descriptors
 * are given back. */
void sp_close(struct sallyport *sp) {
    if (sp == NULL) return;
    if (sp_seats_are_a_childs(&sp->seats)) {
        if (sp->transport != NULL) sp_transport_abandon(sp->transport);
        return;
    }
    if (sp->has_thread) {
        atomic_store_explicit(&sp->is_closing, true, memory_order_release);
        sp_transport_wake(sp->transport);
        (void)pthread_join(sp->thread, NULL);
    } else if (sp->transport != NULL) {
        say_goodbye(sp);
    }
    free_parts(sp);
}

/* ---- waiting ---- */

static void wait_for_change(struct sallyport *sp, const struct timespec *end) {
    pthread_mutex_lock(&sp->lock);
    /* Looked at under the lock: what changes from here on is told after we wait. */
    if (!is_fresh(sp)) (void)pthread_cond_timedwait(&sp->changed, &sp->lock, end);
    pthread_mutex_unlock(&sp->lock);
}
static int wait_for_thread(struct sallyport *sp, int64_t end_ms) {
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t ms = end_ms - boot_ms();
    end.tv_sec += ms / 1000;
    end.tv_nsec += ms % 1000 * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    while (!is_fresh(sp) && boot_ms() < end_ms) wait_for_change(sp, &end);
    return is_fresh(sp);
}
static int wait_stepping(struct sallyport *sp, int64_t end_ms) {
    while (!is_fresh(sp) && boot_ms() < end_ms) {
        sp_transport_step(sp->transport);
        if (is_fresh(sp)) break;
        wait_for_work(sp, left_ms(end_ms));
    }
    return is_fresh(sp);
}

int sp_wait_fresh(struct sallyport *sp, uint32_t timeout_ms) {
    if (sp == NULL || sp_seats_are_a_childs(&sp->seats)) return 0;
    if (!sp->is_followed) return 1;
    int64_t end_ms = boot_ms() + (timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms);
    return sp->has_thread ? wait_for_thread(sp, end_ms) : wait_stepping(sp, end_ms);
}

int sp_follow_fd(const struct sallyport *sp) {
    bool is_callers =
        sp != NULL && sp->transport != NULL && !sp->has_thread && !sp_seats_are_a_childs(&sp->seats);
    return is_callers ? sp_transport_fd(sp->transport) : -1;
}
void sp_follow_step(struct sallyport *sp) {
    if (sp_follow_fd(sp) >= 0) sp_transport_step(sp->transport);
}
