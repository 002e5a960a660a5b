/* Who follows the feed of revocations.
 *
 *   GET /admin/v1/verifiers?after=&limit= -> 200 {verifiers: [..], next: cursor | null}
 *
 * A verifier: {client_id, verifier, live, connected, address, seq | null, behind | null, has_roles, has_keys,
 * since, acknowledged_at | null, max_staleness_s | null}; null before its first acknowledgement. Sorted by
 * client and verifier; a cursor is the name of the last one, so that a page is right whatever came or went
 * before it. */
#include "base/base64url.h"
#include "http/exchange.h"
#include "http/handlers.h"

enum {
    NAME_BYTES_MAX = 64 + 1 + SP_FEED_INSTANCE_BYTES_MAX, /* client '/' instance: '/' is in neither */
    CURSOR_CHARS_MAX = SP_BASE64URL_CHARS(NAME_BYTES_MAX),
};

static void put_u64_or_null(struct sp_json_out *o, const char *name, bool is_known, uint64_t v) {
    if (is_known) {
        sp_json_out_u64(o, name, v);
    } else {
        sp_json_out_null(o, name);
    }
}

static void put_verifier(struct sp_json_out *o, const struct sp_feed_verifier *v) {
    sp_json_out_object(o, NULL);
    sp_json_out_text(o, "client_id", SP_TEXT_SLICE(&v->client));
    sp_json_out_text(o, "verifier", SP_TEXT_SLICE(&v->instance));
    sp_json_out_bool(o, "live", v->is_live);
    sp_json_out_bool(o, "connected", v->is_attached);
    sp_json_out_text(o, "address", SP_TEXT_SLICE(&v->address));
    put_u64_or_null(o, "seq", v->has_acked, v->seq);
    put_u64_or_null(o, "behind", v->has_acked, v->behind);
    sp_json_out_bool(o, "has_roles", v->has_roles);
    sp_json_out_bool(o, "has_keys", v->has_keys);
    sp_json_out_time_ms(o, "since", v->since_ms);
    sp_json_out_time_ms(o, "acknowledged_at", v->acked_ms);
    put_u64_or_null(o, "max_staleness_s", v->has_acked, v->max_staleness_s);
    sp_json_out_object_end(o);
}

static void put_next(struct sp_json_out *o, const struct sp_feed_verifier *last) {
    uint8_t name[NAME_BYTES_MAX];
    memcpy(name, last->client.s, last->client.n);
    name[last->client.n] = '/';
    memcpy(name + last->client.n + 1, last->instance.s, last->instance.n);
    sp_json_out_base64url(o, "next", sp_slice_of(name, (size_t)last->client.n + 1 + last->instance.n));
}

static enum sp_step read_cursor(struct sp_exchange *x, uint8_t name[NAME_BYTES_MAX], sp_slice *ret_client,
                                sp_slice *ret_instance) {
    const sp_slice after = sp_query_get(&x->query, "after");
    size_t n = 0;
    if (after.n == 0) return SP_GO_ON;
    const bool is_text =
        after.n <= CURSOR_CHARS_MAX && sp_ok(sp_base64url_decode(after, name, NAME_BYTES_MAX, &n));
    const uint8_t *slash = is_text && n != 0 ? memchr(name, '/', n) : NULL;
    if (slash != NULL) {
        *ret_client = sp_slice_of(name, (size_t)(slash - name));
        *ret_instance = sp_slice_of(slash + 1, n - ret_client->n - 1);
        if (sp_client_id_valid(*ret_client) && sp_feed_instance_valid(*ret_instance)) return SP_GO_ON;
    }
    sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, "after");
    return SP_ANSWERED;
}

/* One more than asked for tells whether there is more. */
static void put_page(struct sp_json_out *o, const struct sp_feed_verifier *v, size_t n, size_t limit) {
    const size_t shown = n < limit ? n : limit;
    sp_json_out_object(o, NULL);
    sp_json_out_array(o, "verifiers");
    for (size_t i = 0; i < shown; i++) put_verifier(o, &v[i]);
    sp_json_out_array_end(o);
    if (n > limit) {
        put_next(o, &v[limit - 1]);
    } else {
        sp_json_out_null(o, "next");
    }
    sp_json_out_object_end(o);
}

void sp_h_admin_verifiers(struct sp_exchange *x) {
    uint8_t name[NAME_BYTES_MAX];
    sp_slice client = SP_SLICE_EMPTY, instance = SP_SLICE_EMPTY;
    uint32_t limit;
    if (sp_x_read_limit(x, &limit) == SP_ANSWERED) return;
    if (read_cursor(x, name, &client, &instance) == SP_ANSWERED) return;
    struct sp_feed_verifier *v = calloc((size_t)limit + 1, sizeof(*v));
    if (v == NULL) {
        sp_x_problem(x, SP_PROBLEM_NO_MEMORY);
        return;
    }
    const size_t n = sp_feed_verifiers(sp_app_feed(x->app), client, instance, v, (size_t)limit + 1);
    put_page(&x->json, v, n, limit);
    free(v);
    sp_x_reply(x, 200);
}
