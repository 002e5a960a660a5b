/* The revocation feed (docs/feed.md), for services with a credential of their own.
 *
 *   GET  /feed?verifier=NAME   server-sent events, without end; Last-Event-ID: EPOCH:SEQ goes on from there
 *   GET  /feed/snapshot        everything that is revoked, binary
 *   GET  /feed/keys            -> 200 {keys: [JWK], successions: [..]}
 *   POST /feed/nonce           {nonce} -> 200 {nonce, epoch, node, boot_ms, kid, signature}
 *   POST /feed/ack             {verifier, epoch, seq, roles, keys, max_staleness_s, leaving?} -> 204 */
#include "base/base64url.h"
#include "http/exchange.h"
#include "http/feed_streams.h"
#include "http/handlers.h"

enum {
    B64_32_CHARS = SP_BASE64URL_CHARS(32),
    B64_16_CHARS = SP_BASE64URL_CHARS(16),
    KEYS_BYTES_MAX = 16 * 1024, /* SP_KEYS_FEED_MAX keys and statements of 400 bytes each */
};

/* ---- the stream ---- */

static enum sp_step read_position(struct sp_exchange *x, struct sp_feed_subscription *in) {
    sp_slice last;
    const enum sp_http_presence p = sp_http_req_header(x->req, "Last-Event-ID", &last);
    if (p == SP_HTTP_ABSENT || (p == SP_HTTP_SINGLE && last.n == 0)) return SP_GO_ON;
    in->has_position = true;
    if (p == SP_HTTP_SINGLE && sp_ok(sp_feed_position_parse(last, &in->position))) return SP_GO_ON;
    sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, "Last-Event-ID");
    return SP_ANSWERED;
}

static enum sp_step read_subscription(struct sp_exchange *x, struct sp_feed_subscription *in) {
    in->client = x->client;
    in->instance = sp_query_get(&x->query, "verifier");
    in->address = x->call.address;
    if (in->instance.n != 0 && !sp_feed_instance_valid(in->instance)) {
        sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, "verifier");
        return SP_ANSWERED;
    }
    return read_position(x, in);
}

static sp_status open_streams(struct sp_exchange *x) {
    if (x->api->streams != NULL) return SP_SUCCESS;
    return sp_feed_streams_new(x->app, sp_http_req_loop(x->req), &x->api->streams);
}

void sp_h_feed(struct sp_exchange *x) {
    struct sp_feed_subscription in = {.has_position = false};
    struct sp_http_stream_opts opts;
    struct sp_feed_subscriber *sub = NULL;
    struct sp_http_stream *stream;
    if (read_subscription(x, &in) == SP_ANSWERED) return;
    sp_status s = open_streams(x);
    if (sp_ok(s)) s = sp_feed_subscriber_new(x->api->streams, &in, &opts, &sub);
    if (!sp_ok(s)) {
        sp_x_problem(x, SP_PROBLEM_NO_MEMORY);
        return;
    }
    sp_x_header(x, "Content-Type", SP_SLICE_LIT("text/event-stream"));
    sp_x_header(x, "X-Accel-Buffering", SP_SLICE_LIT("no")); /* nginx: pass on at once */
    if (sp_ok(sp_x_stream(x, 200, &opts, &stream))) {
        sp_feed_subscriber_start(sub, stream);
    } else {
        sp_feed_subscriber_free(sub);
    }
}

/* ---- the snapshot ---- */

struct download {
    struct sp_feed_snapshot snapshot;
    struct sp_http_stream *stream;
    struct sp_buf piece;
};

static void download_free(struct download *d) {
    sp_buf_done(&d->piece);
    free(d);
}

static void download_gone(void *arg, enum sp_http_gone why) {
    (void)why;
    download_free(arg);
}

/* One piece each time the last one has gone out: so it is as fast as its reader, and holds no more. */
static void download_next(void *arg) {
    struct download *d = arg;
    bool end = false;
    sp_status s = SP_SUCCESS;
    sp_buf_truncate(&d->piece, 0);
    /* A stretch that has lapsed gives an empty piece, after which nothing would call us again. */
    while (sp_ok(s) && !end && d->piece.n == 0) s = sp_feed_snapshot_next(&d->snapshot, &d->piece, &end);
    if (!sp_ok(s)) {
        sp_http_stream_abort(d->stream);
        download_free(d);
        return;
    }
    if (d->piece.n != 0 && !sp_ok(sp_http_stream_write(d->stream, sp_buf_slice(&d->piece)))) return;
    if (!end) return;
    sp_http_stream_end(d->stream);
    download_free(d);
}

void sp_h_feed_snapshot(struct sp_exchange *x) {
    struct download *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        sp_x_problem(x, SP_PROBLEM_NO_MEMORY);
        return;
    }
    sp_feed_snapshot_init(&d->snapshot, sp_app_feed(x->app));
    sp_buf_init(&d->piece, SP_FEED_SNAPSHOT_PIECE);
    const struct sp_http_stream_opts opts = {.on_drained = download_next, .on_gone = download_gone, .arg = d};
    sp_x_header(x, "Content-Type", SP_SLICE_LIT("application/octet-stream"));
    if (!sp_ok(sp_x_stream(x, 200, &opts, &d->stream))) download_free(d);
}

/* ---- questions ---- */

static void reply_json(struct sp_exchange *x, sp_status s, sp_slice json) {
    if (sp_ok(s)) s = sp_buf_append(&x->out, json);
    if (!sp_ok(s)) {
        sp_x_outcome(x, SP_OUTCOME_INTERNAL);
        return;
    }
    sp_x_reply(x, 200);
}

void sp_h_feed_keys(struct sp_exchange *x) {
    SP_AUTO(sp_buf) json = SP_BUF_INIT(KEYS_BYTES_MAX);
    sp_status s = sp_feed_write_keys(sp_app_feed(x->app), &json);
    reply_json(x, s, sp_buf_slice(&json));
}

static bool decode(struct sp_exchange *x, const char *name, sp_slice text, uint8_t *ret, size_t n) {
    if (sp_ok(sp_base64url_decode_exact(text, ret, n))) return true;
    sp_x_problem_body(x, SP_JSON_IN_BAD_VALUE, name);
    return false;
}

void sp_h_feed_nonce(struct sp_exchange *x) {
    SP_AUTO(sp_buf) json = SP_BUF_INIT(SP_FEED_LINE_BYTES_MAX);
    struct sp_feed_nonce_answer answer;
    uint8_t nonce[SP_FEED_NONCE_BYTES];
    sp_slice text = SP_SLICE_EMPTY;
    struct sp_json_in_field fields[] = {
        {.name = "nonce", SP_JSON_IN_LABEL, true, B64_16_CHARS, {.text = &text}}};
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    if (!decode(x, "nonce", text, nonce, sizeof(nonce))) return;
    sp_status s = sp_feed_answer_nonce(sp_app_feed(x->app), nonce, &answer);
    if (sp_ok(s)) s = sp_feed_write_nonce_answer(&answer, &json);
    reply_json(x, s, sp_buf_slice(&json));
}

/* ---- acknowledgements ---- */

static enum sp_step read_ack(struct sp_exchange *x, struct sp_feed_ack *ack) {
    sp_slice epoch, roles, keys;
    int64_t seq = 0, staleness_s = 0;
    struct sp_json_in_field fields[] = {
        {"verifier", SP_JSON_IN_LABEL, true, SP_FEED_INSTANCE_BYTES_MAX, {.text = &ack->instance}, false},
        {"epoch", SP_JSON_IN_LABEL, true, B64_16_CHARS, {.text = &epoch}, false},
        {"seq", SP_JSON_IN_COUNT, true, INT64_MAX, {.count = &seq}, false},
        {"roles", SP_JSON_IN_LABEL, true, B64_32_CHARS, {.text = &roles}, false},
        {"keys", SP_JSON_IN_LABEL, true, B64_32_CHARS, {.text = &keys}, false},
        {"max_staleness_s", SP_JSON_IN_COUNT, true, SP_FEED_STALENESS_MAX_S, {.count = &staleness_s}, false},
        {"leaving", SP_JSON_IN_BOOL, false, 0, {.flag = &ack->leaving}, false},
    };
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return SP_ANSWERED;
    if (!sp_feed_instance_valid(ack->instance)) {
        sp_x_problem_body(x, SP_JSON_IN_BAD_VALUE, "verifier");
        return SP_ANSWERED;
    }
    if (staleness_s == 0) {
        sp_x_problem_body(x, SP_JSON_IN_BAD_VALUE, "max_staleness_s");
        return SP_ANSWERED;
    }
    if (!decode(x, "epoch", epoch, ack->at.epoch, sizeof(ack->at.epoch)) ||
        !decode(x, "roles", roles, ack->roles, sizeof(ack->roles)) ||
        !decode(x, "keys", keys, ack->keys, sizeof(ack->keys)))
        return SP_ANSWERED;
    ack->at.seq = (uint64_t)seq;
    ack->max_staleness_s = (uint32_t)staleness_s;
    return SP_GO_ON;
}

void sp_h_feed_ack(struct sp_exchange *x) {
    struct sp_feed_ack ack = {.client = SP_TEXT_SLICE(&x->client.id), .address = x->call.address};
    if (read_ack(x, &ack) == SP_ANSWERED) return;
    const sp_status s = sp_feed_acknowledge(sp_app_feed(x->app), &ack);
    if (sp_ok(s)) {
        sp_x_reply(x, 204);
    } else {
        sp_x_problem(x, sp_is(s, SP_E_BUSY) ? SP_PROBLEM_TOO_MANY_VERIFIERS : SP_PROBLEM_OTHER_POSITION);
    }
}
