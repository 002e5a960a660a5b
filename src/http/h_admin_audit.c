/* The audit log, and the state of the server.
 *
 *   GET /admin/v1/audit?after=SEQ&limit=&user=&action=&since=&until=
 *     -> 200 {records: [{seq, time, action, outcome, actor, target, body, personal | null, hash}],
 *             next: SEQ | null}; times are RFC 3339; filtered pages may be short, or empty, and have a next
 *   GET
 * /admin/v1/audit/verify?after=&head=&checkpoint_count=&checkpoint_time=&checkpoint_head=&checkpoint_mac=
 *     -> 200 {intact, complete, records, base, total, head, checkpoint, checkpoint_record, bad_seq | null,
 *        why | null}; while not complete, go on with after=records and head
 *   GET /admin/v1/audit/checkpoint -> 200 {issuer, count, time_ms, head, mac}
 *   POST /admin/v1/audit/prune {count, time_ms, head, mac} of a checkpoint
 *     -> 200 {complete, proved, base, total, pruned}; while not complete, the same again
 *   GET /admin/v1/status -> 200 {store, issuer, started_at, incarnation, boots, global_epoch, session_floor,
 *     revoke_seq, revoked_entries, audit_count, audit_base, audit_head}
 *
 * `body` and `personal` are the stored JSON itself, as values, since the chain covers the bytes of the one
 * and commitments of the other. Hashes are hexadecimal. */
#include "http/exchange.h"
#include "http/handlers.h"
#include "http/query_values.h"

static void put_json_or_null(struct sp_json_out *o, const char *name, const char *json, size_t n) {
    if (json != NULL && n != 0) {
        sp_json_out_raw(o, name, sp_slice_of(json, n));
    } else {
        sp_json_out_null(o, name);
    }
}

static void put_record(struct sp_json_out *o, const struct sp_audit_row *row) {
    sp_json_out_object(o, NULL);
    sp_json_out_u64(o, "seq", row->seq);
    sp_json_out_time_ms(o, "time", row->time_ms);
    sp_json_out_text(o, "action", SP_TEXT_SLICE(&row->action));
    sp_json_out_text(o, "outcome", SP_TEXT_SLICE(&row->outcome));
    sp_json_out_text(o, "actor", SP_TEXT_SLICE(&row->actor));
    sp_json_out_text(o, "target", SP_TEXT_SLICE(&row->target));
    put_json_or_null(o, "body", row->body, row->body_n);
    put_json_or_null(o, "personal", row->personal, row->personal_n);
    sp_json_out_hex(o, "hash", SP_SLICE_ARRAY(row->hash));
    sp_json_out_object_end(o);
}

static void put_u64_or_null(struct sp_json_out *o, const char *name, uint64_t v) {
    if (v != 0) {
        sp_json_out_u64(o, name, v);
    } else {
        sp_json_out_null(o, name);
    }
}

static void list_done(void *arg, const struct sp_audit_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_array(&x->json, "records");
    for (size_t i = 0; i < r->n; i++) put_record(&x->json, &r->rows[i]);
    sp_json_out_array_end(&x->json);
    put_u64_or_null(&x->json, "next", r->next_seq);
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

/* Absent: *ret stays. */
static enum sp_step read_u64(struct sp_exchange *x, const char *name, uint64_t *ret) {
    sp_slice text = sp_query_get(&x->query, name);
    if (text.n == 0 || sp_slice_to_u64(text, ret)) return SP_GO_ON;
    sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, name);
    return SP_ANSWERED;
}

static enum sp_step read_time(struct sp_exchange *x, const char *name, int64_t *ret_ms) {
    sp_slice text = sp_query_get(&x->query, name);
    if (text.n == 0 || sp_ok(sp_time_parse(text, ret_ms))) return SP_GO_ON;
    sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, name);
    return SP_ANSWERED;
}

static enum sp_step read_hash(struct sp_exchange *x, const char *name, uint8_t ret[SP_ROW_HASH_BYTES]) {
    sp_slice text = sp_query_get(&x->query, name);
    if (text.n == 0 || sp_hex_decode_exact(text, ret, SP_ROW_HASH_BYTES)) return SP_GO_ON;
    sp_x_problem_detail(x, SP_PROBLEM_BAD_PARAMETER, name);
    return SP_ANSWERED;
}

void sp_h_admin_audit(struct sp_exchange *x) {
    struct sp_audit_query in = {.user = sp_query_get(&x->query, "user"),
                                .action = sp_query_get(&x->query, "action")};
    if (sp_x_read_limit(x, &in.limit) == SP_ANSWERED) return;
    if (read_u64(x, "after", &in.after_seq) == SP_ANSWERED) return;
    if (read_time(x, "since", &in.since_ms) == SP_ANSWERED) return;
    if (read_time(x, "until", &in.until_ms) == SP_ANSWERED) return;
    sp_app_audit_list(x->app, &x->call, &in, list_done, x);
}

/* ---- proof ---- */

static const char *place_name(enum sp_audit_checkpoint_place place) {
    switch (place) {
    case SP_CHECKPOINT_NONE: return NULL;
    case SP_CHECKPOINT_IN_LOG: return "in_log";
    case SP_CHECKPOINT_ON_RECORD: return "on_record";
    case SP_CHECKPOINT_PRUNED: return "pruned";
    }
    return NULL;
}

static void put_text_or_null(struct sp_json_out *o, const char *name, const char *text) {
    if (text != NULL) {
        sp_json_out_text(o, name, sp_slice_cstr(text));
    } else {
        sp_json_out_null(o, name);
    }
}

static void verify_done(void *arg, const struct sp_audit_verify_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_bool(&x->json, "intact", r->intact);
    sp_json_out_bool(&x->json, "complete", r->complete);
    sp_json_out_u64(&x->json, "records", r->records);
    sp_json_out_u64(&x->json, "base", r->base);
    sp_json_out_u64(&x->json, "total", r->total);
    sp_json_out_hex(&x->json, "head", SP_SLICE_ARRAY(r->head));
    put_text_or_null(&x->json, "checkpoint", place_name(r->checkpoint));
    put_u64_or_null(&x->json, "checkpoint_record", r->checkpoint_record);
    put_u64_or_null(&x->json, "bad_seq", r->bad_seq);
    put_text_or_null(&x->json, "why", r->intact ? NULL : r->why);
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

static enum sp_step read_checkpoint(struct sp_exchange *x, struct sp_audit_checkpoint *ret) {
    uint64_t time_ms = 0;
    if (read_u64(x, "checkpoint_count", &ret->count) == SP_ANSWERED) return SP_ANSWERED;
    if (read_u64(x, "checkpoint_time", &time_ms) == SP_ANSWERED) return SP_ANSWERED;
    if (read_hash(x, "checkpoint_head", ret->head) == SP_ANSWERED) return SP_ANSWERED;
    ret->time_ms = (int64_t)time_ms;
    return read_hash(x, "checkpoint_mac", ret->mac);
}

void sp_h_admin_audit_verify(struct sp_exchange *x) {
    struct sp_audit_verify_request in = {0};
    struct sp_audit_checkpoint checkpoint = {0};
    if (read_u64(x, "after", &in.after_seq) == SP_ANSWERED) return;
    if (read_hash(x, "head", in.head) == SP_ANSWERED) return;
    if (read_checkpoint(x, &checkpoint) == SP_ANSWERED) return;
    /* Any part of a checkpoint makes one: a part alone has no MAC that fits. */
    static const char *const parts[] = {"checkpoint_count", "checkpoint_time", "checkpoint_head",
                                        "checkpoint_mac"};
    for (size_t i = 0; i < SP_ARRAY_LEN(parts); i++) {
        if (sp_query_get(&x->query, parts[i]).n != 0) in.checkpoint = &checkpoint;
    }
    sp_app_audit_verify(x->app, &x->call, &in, verify_done, x);
}

static void checkpoint_done(void *arg, const struct sp_audit_checkpoint_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_text(&x->json, "issuer", SP_TEXT_SLICE(&sp_app_config(x->app)->issuer));
    sp_json_out_u64(&x->json, "count", r->checkpoint.count);
    sp_json_out_i64(&x->json, "time_ms", r->checkpoint.time_ms);
    sp_json_out_hex(&x->json, "head", SP_SLICE_ARRAY(r->checkpoint.head));
    sp_json_out_hex(&x->json, "mac", SP_SLICE_ARRAY(r->checkpoint.mac));
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

void sp_h_admin_audit_checkpoint(struct sp_exchange *x) {
    sp_app_audit_checkpoint(x->app, &x->call, checkpoint_done, x);
}

/* ---- prune ---- */

static void prune_done(void *arg, const struct sp_audit_prune_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    sp_json_out_bool(&x->json, "complete", r->complete);
    sp_json_out_u64(&x->json, "proved", r->proved);
    sp_json_out_u64(&x->json, "base", r->base);
    sp_json_out_u64(&x->json, "total", r->total);
    sp_json_out_u64(&x->json, "pruned", r->pruned);
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

void sp_h_admin_audit_prune(struct sp_exchange *x) {
    enum { HASH_CHARS = 2 * SP_ROW_HASH_BYTES };
    struct sp_audit_checkpoint c = {0};
    int64_t count = 0;
    sp_slice head = SP_SLICE_EMPTY, mac = SP_SLICE_EMPTY;
    struct sp_json_in_field fields[] = {{"count", SP_JSON_IN_COUNT, true, INT64_MAX, {.count = &count}},
                                        {"time_ms", SP_JSON_IN_COUNT, true, INT64_MAX, {.count = &c.time_ms}},
                                        {"head", SP_JSON_IN_LABEL, true, HASH_CHARS, {.text = &head}},
                                        {"mac", SP_JSON_IN_LABEL, true, HASH_CHARS, {.text = &mac}}};
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    c.count = (uint64_t)count;
    if (!sp_hex_decode_exact(head, c.head, sizeof(c.head)) ||
        !sp_hex_decode_exact(mac, c.mac, sizeof(c.mac))) {
        sp_x_outcome(x, SP_OUTCOME_INVALID_REQUEST);
        return;
    }
    sp_app_audit_prune(x->app, &x->call, &c, prune_done, x);
}

/* ---- status ---- */

static void status_done(void *arg, const struct sp_status_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    struct sp_json_out *o = &x->json;
    sp_json_out_object(o, NULL);
    sp_json_out_text(o, "store", sp_slice_cstr(r->store_name));
    sp_json_out_text(o, "issuer", SP_TEXT_SLICE(&sp_app_config(x->app)->issuer));
    sp_json_out_time_ms(o, "started_at", r->started_ms);
    sp_json_out_u64(o, "incarnation", r->meta.incarnation);
    sp_json_out_u64(o, "boots", r->meta.boots);
    sp_json_out_u64(o, "global_epoch", r->meta.global_epoch);
    sp_json_out_u64(o, "session_floor", r->meta.session_floor);
    sp_json_out_u64(o, "revoke_seq", r->meta.revoke_seq);
    sp_json_out_base64url(o, "feed_epoch", SP_SLICE_ARRAY(r->feed.at.epoch));
    sp_json_out_u64(o, "feed_subscribers", r->feed.subscribers);
    sp_json_out_u64(o, "verifiers_live", r->feed.live);
    sp_json_out_u64(o, "verifiers_known", r->feed.known);
    sp_json_out_u64(o, "verifiers_behind_max", r->feed.behind_max);
    sp_json_out_u64(o, "revoked_entries", r->revoked_entries);
    sp_json_out_bool(o, "password_dictionary", r->has_word_list);
    sp_json_out_u64(o, "audit_count", r->meta.audit_count);
    sp_json_out_u64(o, "audit_base", r->meta.audit_base);
    sp_json_out_hex(o, "audit_head", SP_SLICE_ARRAY(r->meta.audit_head));
    sp_json_out_object_end(o);
    sp_x_reply(x, 200);
}

void sp_h_admin_status(struct sp_exchange *x) {
    sp_app_status(x->app, &x->call, status_done, x);
}
