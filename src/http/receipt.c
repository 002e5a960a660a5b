/* Receipts of revocations: `Prefer: wait=N` (RFC 7240) on a request that revokes.
 *
 * The revocation is durable and enforced here before anything waits; the answer then waits for the verifiers.
 * It says how many there were, how many have confirmed, and after how many milliseconds, and its status does
 * not depend on it: what was asked for has happened. */
#include "http/exchange.h"

enum { WAIT_MAX_S = 30 }; /* the usual staleness: who has not confirmed by then refuses by itself */

struct sp_receipt_wait {
    struct sp_feed_waiter waiter;
    struct sp_loop_timer timer;
    struct sp_exchange *x;
    struct sp_receipt_wait *next, **at;
    uint32_t wait_s;
    bool has_count;
    uint32_t count;
};

/* ---- Prefer ---- */

static sp_slice trim(sp_slice s) {
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) s = sp_slice_of(s.p + 1, s.n - 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

static sp_slice cut_at(sp_slice *rest, char delimiter) {
    const uint8_t *at = rest->n == 0 ? NULL : memchr(rest->p, delimiter, rest->n);
    const size_t n = at == NULL ? rest->n : (size_t)(at - rest->p);
    const sp_slice part = sp_slice_of(rest->p, n);
    *rest = at == NULL ? SP_SLICE_EMPTY : sp_slice_of(at + 1, rest->n - n - 1);
    return trim(part);
}

/* The first `wait` counts, as RFC 7240 section 2 says of repeated preferences; what cannot be read is as if
 * it were not there. */
bool sp_prefer_wait(sp_slice prefer, uint32_t *ret_wait_s) {
    while (prefer.n != 0) {
        sp_slice preference = cut_at(&prefer, ',');
        sp_slice value = cut_at(&preference, ';'); /* parameters mean nothing to us */
        const sp_slice name = cut_at(&value, '=');
        uint64_t seconds;
        if (!sp_slice_eq_nocase(name, SP_SLICE_LIT("wait"))) continue;
        if (!sp_slice_to_u64(trim(value), &seconds)) return false;
        *ret_wait_s = seconds > WAIT_MAX_S ? WAIT_MAX_S : (uint32_t)seconds;
        return true;
    }
    return false;
}

static bool is_asked_for(const struct sp_exchange *x, uint32_t *ret_wait_s) {
    const size_t n = sp_http_req_header_count(x->req);
    for (size_t i = 0; i < n; i++) {
        const struct sp_http_header *h = sp_http_req_header_at(x->req, i);
        if (!sp_slice_eq_nocase(h->name, SP_SLICE_LIT("Prefer"))) continue;
        if (sp_prefer_wait(h->value, ret_wait_s)) return true;
    }
    return false;
}

/* ---- waiting ---- */

static void wait_unlink(struct sp_receipt_wait *w) {
    *w->at = w->next;
    if (w->next != NULL) w->next->at = w->at;
    sp_loop_timer_cancel(&w->timer);
}

static void write_receipt(struct sp_json_out *o, const struct sp_receipt_wait *w) {
    sp_json_out_object(o, NULL);
    if (w->has_count) sp_json_out_u64(o, "sessions_ended", w->count);
    sp_json_out_u64(o, "verifiers", w->waiter.receipt.verifiers);
    sp_json_out_u64(o, "confirmed", w->waiter.receipt.confirmed);
    sp_json_out_i64(o, "after_ms", w->waiter.receipt.after_ms);
    sp_json_out_object_end(o);
}

static void wait_done(struct sp_feed_waiter *waiter) {
    struct sp_receipt_wait *w = SP_CONTAINER_OF(waiter, struct sp_receipt_wait, waiter);
    struct sp_exchange *x = w->x;
    char applied[32];
    const int n = snprintf(applied, sizeof(applied), "wait=%u", w->wait_s);
    wait_unlink(w);
    if (x->ends_cookies) sp_x_expire_cookies(x);
    sp_x_header(x, "Preference-Applied", sp_slice_of(applied, (size_t)n));
    write_receipt(&x->json, w);
    free(w);
    sp_x_reply(x, 200);
}

static void wait_over(struct sp_loop_timer *timer) {
    struct sp_receipt_wait *w = SP_CONTAINER_OF(timer, struct sp_receipt_wait, timer);
    sp_feed_wait_no_longer(sp_app_feed(w->x->app), &w->waiter);
}

static void wait_begin(struct sp_exchange *x, struct sp_receipt_wait *w, uint32_t wait_s) {
    struct sp_loop *loop = sp_http_req_loop(x->req);
    w->x = x;
    w->wait_s = wait_s;
    w->waiter.executor = sp_loop_executor(loop);
    w->waiter.done = wait_done;
    w->at = &x->api->waits;
    w->next = x->api->waits;
    if (w->next != NULL) w->next->at = &w->next;
    x->api->waits = w;
    sp_loop_timer_init(&w->timer, loop, wait_over);
    sp_loop_timer_start(&w->timer, (int64_t)wait_s * 1000);
    sp_feed_wait(sp_app_feed(x->app), &w->waiter, sp_http_req_boot_ms(x->req));
    if (x->api->draining) sp_feed_wait_no_longer(sp_app_feed(x->app), &w->waiter);
}

void sp_receipts_hurry(struct sp_http_api *api) {
    for (struct sp_receipt_wait *w = api->waits; w != NULL; w = w->next)
        sp_feed_wait_no_longer(sp_app_feed(api->app), &w->waiter);
}

/* False: nobody asked, or no memory to wait with; the plain answer is as true. */
static bool waits(struct sp_exchange *x, const struct sp_plain_result *result, bool has_count) {
    uint32_t wait_s;
    if (result->outcome != SP_OUTCOME_OK || !is_asked_for(x, &wait_s)) return false;
    struct sp_receipt_wait *w = calloc(1, sizeof(*w));
    if (w == NULL) return false;
    w->has_count = has_count;
    w->count = result->count;
    wait_begin(x, w, wait_s);
    return true;
}

void sp_x_done_revoked(struct sp_exchange *x, const struct sp_plain_result *result) {
    if (!waits(x, result, false)) sp_x_done_plain(x, result);
}

void sp_x_done_revoked_count(struct sp_exchange *x, const struct sp_plain_result *result) {
    if (!waits(x, result, true)) sp_x_done_count(x, result);
}
