/* Checkpoints as they are written into records. The members are named as those of `audit checkpoint` and of
 * the line in the server's log, so that each of the three can be shown to `audit verify`. */
#include "core/audit.h"

#include "base/assert.h"
#include "base/json.h"

enum {
    NODES = 64, /* as many as a body may have: audit_chain.c */
    DIGITS = 2 * SP_ROW_HASH_BYTES,
};

static void put_hex(const uint8_t *hash, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SP_ROW_HASH_BYTES; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 0xF];
    }
}

void sp_audit_hash_text(const uint8_t hash[SP_ROW_HASH_BYTES], char ret[SP_AUDIT_HASH_CHARS]) {
    put_hex(hash, ret);
}

void sp_audit_checkpoint_fields(const struct sp_audit_checkpoint *c, struct sp_audit_checkpoint_fields *ret) {
    put_hex(c->head, ret->head);
    put_hex(c->mac, ret->mac);
    ret->field[0] = SP_LOGF_I64("count", (int64_t)c->count);
    ret->field[1] = SP_LOGF_I64("time_ms", c->time_ms);
    ret->field[2] = SP_LOGF_TEXT("head", sp_slice_of(ret->head, DIGITS));
    ret->field[3] = SP_LOGF_TEXT("mac", sp_slice_of(ret->mac, DIGITS));
}

static bool read_i64(const struct sp_json *doc, const struct sp_json_node *obj, const char *name,
                     int64_t *ret) {
    const struct sp_json_node *node = sp_json_get(doc, obj, name);
    return node != NULL && sp_ok(sp_json_i64(node, ret)) && *ret >= 0;
}

static bool read_hash(const struct sp_json *doc, const struct sp_json_node *obj, const char *name,
                      uint8_t ret[SP_ROW_HASH_BYTES]) {
    const struct sp_json_node *node = sp_json_get(doc, obj, name);
    return node != NULL && node->type == SP_JSON_STRING &&
           sp_hex_decode_exact(node->raw, ret, SP_ROW_HASH_BYTES);
}

static bool has_checkpoint(enum sp_audit_action action, const struct sp_audit_row *row) {
    return sp_slice_eq_cstr(SP_TEXT_SLICE(&row->action), sp_audit_action_name(action));
}

/* The disk is another author: what is read here is only believed for its MAC. */
bool sp_audit_row_checkpoint(const struct sp_audit_row *row, enum sp_audit_action action,
                             const struct sp_hmac_key *key, struct sp_audit_checkpoint *ret) {
    struct sp_json_node nodes[NODES];
    struct sp_json body = {.nodes = nodes, .cap = NODES};
    struct sp_audit_checkpoint c = {0};
    int64_t count;
    if (!has_checkpoint(action, row)) return false;
    if (!sp_ok(sp_json_parse(sp_slice_of(row->body, row->body_n), &body))) return false;
    if (nodes[0].type != SP_JSON_OBJECT) return false;
    const struct sp_json_node *detail = sp_json_get(&body, &nodes[0], "detail");
    if (detail == NULL || detail->type != SP_JSON_OBJECT) return false;
    if (!read_i64(&body, detail, "count", &count) || !read_i64(&body, detail, "time_ms", &c.time_ms) ||
        !read_hash(&body, detail, "head", c.head) || !read_hash(&body, detail, "mac", c.mac))
        return false;
    c.count = (uint64_t)count;
    if (!sp_audit_checkpoint_is_ours(&c, key)) return false;
    *ret = c;
    return true;
}
