/* The chain and its proof. The hash of a record covers the one before it, so that a record can neither be
 * changed nor taken out nor moved without changing every hash after it; and the last hash is under a MAC, so
 * that whoever computes them all anew needs the AUDIT key, which is sealed. What an owner of disk and keys
 * could still do, a checkpoint that has left the machine shows. */
#include "core/audit.h"

#include "base/base64url.h"
#include "base/ct.h"
#include "base/json.h"

#define LINK_DOMAIN "sallyport audit link v1"
#define HEAD_DOMAIN "sallyport audit head v1"
#define PRUNED_HEAD_DOMAIN "sallyport audit pruned head v1"
#define CHECKPOINT_DOMAIN "sallyport audit checkpoint v1"

enum {
    BODY_NODES =
        64, /* 11 members, SP_AUDIT_DETAILS_MAX details, 3 commitments, and room for later versions */
    PERSONAL_NODES = 16, /* the salt and 3 values, and room */
};

static void put_u64be(uint64_t v, uint8_t out[8]) {
    for (int i = 7; i >= 0; i--, v >>= 8) out[i] = (uint8_t)v;
}

void sp_audit_commit(sp_slice salt, sp_slice name, sp_slice value, uint8_t ret[SP_SHA256_BYTES]) {
    struct sp_sha256 h;
    sp_sha256_init(&h);
    sp_sha256_update(&h, salt);
    sp_sha256_update(&h, name);
    sp_sha256_update(&h, sp_slice_of("\0", 1));
    sp_sha256_update(&h, value);
    sp_sha256_final(&h, ret);
}

/* ---- hooks ---- */

static void link_record(void *arg, uint64_t seq, const uint8_t *prev, sp_slice body, uint8_t *ret_hash) {
    (void)arg;
    uint8_t seq_be[8];
    struct sp_sha256 h;
    put_u64be(seq, seq_be);
    sp_sha256_init(&h);
    sp_sha256_update(&h, SP_SLICE_LIT(LINK_DOMAIN));
    sp_sha256_update(&h, SP_SLICE_ARRAY(seq_be));
    sp_sha256_update(&h, sp_slice_of(prev, SP_ROW_HASH_BYTES));
    sp_sha256_update(&h, body);
    sp_sha256_final(&h, ret_hash);
}

/* A log that was never pruned is sealed as it was before there was pruning, so that the seals of older stores
 * stay good. The two forms have domains of their own: neither can be passed off as the other. */
static void seal_head(void *arg, const struct sp_meta_row *meta, uint8_t *ret_mac) {
    uint8_t count_be[8], base_be[8];
    put_u64be(meta->audit_count, count_be);
    put_u64be(meta->audit_base, base_be);
    if (meta->audit_base == 0) {
        const sp_slice parts[] = {SP_SLICE_LIT(HEAD_DOMAIN), SP_SLICE_ARRAY(count_be),
                                  SP_SLICE_ARRAY(meta->audit_head)};
        sp_hmac_parts(arg, parts, SP_ARRAY_LEN(parts), ret_mac);
    } else {
        const sp_slice parts[] = {SP_SLICE_LIT(PRUNED_HEAD_DOMAIN), SP_SLICE_ARRAY(count_be),
                                  SP_SLICE_ARRAY(meta->audit_head), SP_SLICE_ARRAY(base_be),
                                  SP_SLICE_ARRAY(meta->audit_base_hash)};
        sp_hmac_parts(arg, parts, SP_ARRAY_LEN(parts), ret_mac);
    }
}

struct sp_audit_hooks sp_audit_hooks_make(const struct sp_hmac_key *key) {
    /* The port's arg is not const; seal_head only reads. */
    return (struct sp_audit_hooks){.link = link_record, .seal = seal_head, .arg = (void *)(uintptr_t)key};
}

/* ---- columns ---- */

static bool member_is(const struct sp_json *doc, const char *name, sp_slice value) {
    uint8_t scratch[512];
    sp_slice text;
    const struct sp_json_node *node = sp_json_get(doc, &doc->nodes[0], name);
    if (node == NULL || !sp_ok(sp_json_string(node, scratch, sizeof(scratch), &text))) return false;
    return sp_slice_eq(text, value);
}

/* Without memory of its own, as all of the proof: want of memory must not look like meddling. */
static bool time_is(const struct sp_json *doc, int64_t time_ms) {
    char text[SP_AUDIT_TIME_CHARS];
    sp_audit_time_text(time_ms, text);
    return member_is(doc, "time", SP_SLICE_ARRAY(text));
}

/* The columns are what people filter by; a record whose columns lie is hidden from them though its body is
 * whole. */
static bool columns_fit(const struct sp_json *doc, const struct sp_audit_row *row) {
    return time_is(doc, row->time_ms) && member_is(doc, "action", SP_TEXT_SLICE(&row->action)) &&
           member_is(doc, "outcome", SP_TEXT_SLICE(&row->outcome)) &&
           member_is(doc, "actor", SP_TEXT_SLICE(&row->actor)) &&
           member_is(doc, "target", SP_TEXT_SLICE(&row->target));
}

/* ---- personal values ---- */

static bool commitment_fits(const struct sp_json *body, const struct sp_json_node *commitments, sp_slice salt,
                            const struct sp_json_node *value) {
    uint8_t scratch[2 * SP_AUDIT_VALUE_BYTES_MAX], hash[SP_SHA256_BYTES];
    char name[32], expected[SP_BASE64URL_CHARS(SP_SHA256_BYTES)];
    sp_slice text;
    if (value->key.n >= sizeof(name) || !sp_ok(sp_json_string(value, scratch, sizeof(scratch), &text)))
        return false;
    memcpy(name, value->key.p, value->key.n);
    name[value->key.n] = '\0';

    const struct sp_json_node *committed = sp_json_get(body, commitments, name);
    if (committed == NULL || committed->type != SP_JSON_STRING) return false;
    sp_audit_commit(salt, value->key, text, hash);
    sp_base64url_encode(SP_SLICE_ARRAY(hash), expected);
    return sp_slice_eq(committed->raw, SP_SLICE_ARRAY(expected));
}

static bool salt_of(const struct sp_json *personal, uint8_t ret[SP_AUDIT_SALT_BYTES]) {
    const struct sp_json_node *salt = sp_json_get(personal, &personal->nodes[0], "salt");
    return salt != NULL && salt->type == SP_JSON_STRING &&
           sp_ok(sp_base64url_decode_exact(salt->raw, ret, SP_AUDIT_SALT_BYTES));
}

/* Erased values leave their commitments; values that are there must be the ones committed to, and none may be
 * missing. */
static bool personal_fits(const struct sp_json *body, const struct sp_audit_row *row) {
    struct sp_json_node nodes[PERSONAL_NODES];
    struct sp_json personal = {.nodes = nodes, .cap = PERSONAL_NODES};
    uint8_t salt[SP_AUDIT_SALT_BYTES];
    if (row->personal == NULL || row->personal_n == 0) return true;
    if (!sp_ok(sp_json_parse(sp_slice_of(row->personal, row->personal_n), &personal))) return false;
    if (nodes[0].type != SP_JSON_OBJECT || !salt_of(&personal, salt)) return false;

    const struct sp_json_node *commitments = sp_json_get(body, &body->nodes[0], "commitments");
    if (commitments == NULL || commitments->type != SP_JSON_OBJECT) return false;
    if (nodes[0].count != commitments->count + 1) return false;
    const struct sp_json_node *value = NULL;
    while ((value = sp_json_next(&personal, &nodes[0], value)) != NULL) {
        bool is_salt = sp_slice_eq_cstr(value->key, "salt");
        if (!is_salt && !commitment_fits(body, commitments, SP_SLICE_ARRAY(salt), value)) return false;
    }
    return true;
}

/* ---- the verifier ---- */

void sp_audit_verifier_init(struct sp_audit_verifier *v) {
    *v = (struct sp_audit_verifier){.count = 0};
}

void sp_audit_verifier_init_from(struct sp_audit_verifier *v, uint64_t seq,
                                 const uint8_t head[SP_ROW_HASH_BYTES]) {
    *v = (struct sp_audit_verifier){.count = seq};
    memcpy(v->head, head, sizeof(v->head));
}

static void fail(struct sp_audit_verifier *v, uint64_t seq, const char *why) {
    v->bad_seq = seq;
    v->why = why;
}

/* NULL: the record is as it was written. */
static const char *judge_content(const struct sp_audit_row *row) {
    struct sp_json_node nodes[BODY_NODES];
    struct sp_json body = {.nodes = nodes, .cap = BODY_NODES};
    if (!sp_ok(sp_json_parse(sp_slice_of(row->body, row->body_n), &body)) ||
        nodes[0].type != SP_JSON_OBJECT) {
        return "the body is not a record";
    }
    /* Written by a start that found the seal broken, and sealed the log anew. */
    if (sp_slice_eq_cstr(SP_TEXT_SLICE(&row->action), sp_audit_action_name(SP_AUDIT_AUDIT_SEAL_BROKEN)))
        return "the seal was broken before this start of the server";
    if (!columns_fit(&body, row)) return "the columns differ from the body";
    if (!personal_fits(&body, row)) return "the personal values differ from their commitments";
    return NULL;
}

void sp_audit_verifier_row(struct sp_audit_verifier *v, const struct sp_audit_row *row) {
    uint8_t hash[SP_ROW_HASH_BYTES];
    if (v->why != NULL) return;
    if (row->seq != v->count + 1) {
        fail(v, v->count + 1, "a record is missing or out of its place");
        return;
    }
    link_record(NULL, row->seq, v->head, sp_slice_of(row->body, row->body_n), hash);
    if (!sp_slice_eq(SP_SLICE_ARRAY(hash), SP_SLICE_ARRAY(row->hash))) {
        fail(v, row->seq, "the record does not fit the chain");
        return;
    }
    const char *why = judge_content(row);
    if (why != NULL) {
        fail(v, row->seq, why);
        return;
    }
    v->count = row->seq;
    memcpy(v->head, hash, sizeof(hash));
}

bool sp_audit_head_is_ours(const struct sp_meta_row *meta, const struct sp_hmac_key *key) {
    uint8_t mac[SP_ROW_HASH_BYTES];
    seal_head((void *)(uintptr_t)key, meta, mac);
    return sp_ct_equal(SP_SLICE_ARRAY(mac), SP_SLICE_ARRAY(meta->audit_mac));
}

static const char *judge_head(const struct sp_audit_verifier *v, const struct sp_meta_row *meta,
                              const struct sp_hmac_key *key) {
    if (v->count < meta->audit_count) return "records are missing at the end";
    if (v->count > meta->audit_count) return "there are records that were never counted";
    /* An empty log has no MAC either: a server writes its first record while it starts. */
    if (!sp_audit_head_is_ours(meta, key)) return "the seal of the head is not ours";
    if (!sp_slice_eq(SP_SLICE_ARRAY(v->head), SP_SLICE_ARRAY(meta->audit_head))) {
        return "the chain was computed anew: its head is not the sealed one";
    }
    return NULL;
}

bool sp_audit_verifier_finish(struct sp_audit_verifier *v, const struct sp_meta_row *meta,
                              const struct sp_hmac_key *key) {
    if (v->why != NULL) return false;
    const char *why = judge_head(v, meta, key);
    if (why == NULL) return true;
    fail(v, v->count + 1, why);
    return false;
}

/* ---- checkpoints ---- */

static void seal_checkpoint(const struct sp_audit_checkpoint *c, const struct sp_hmac_key *key,
                            uint8_t ret[SP_ROW_HASH_BYTES]) {
    uint8_t count_be[8], time_be[8];
    put_u64be(c->count, count_be);
    put_u64be((uint64_t)c->time_ms, time_be);
    const sp_slice parts[] = {SP_SLICE_LIT(CHECKPOINT_DOMAIN), SP_SLICE_ARRAY(count_be),
                              SP_SLICE_ARRAY(time_be), SP_SLICE_ARRAY(c->head)};
    sp_hmac_parts(key, parts, SP_ARRAY_LEN(parts), ret);
}

void sp_audit_checkpoint_make(const struct sp_meta_row *meta, int64_t time_ms, const struct sp_hmac_key *key,
                              struct sp_audit_checkpoint *ret) {
    struct sp_audit_checkpoint c = {.count = meta->audit_count, .time_ms = time_ms};
    memcpy(c.head, meta->audit_head, sizeof(c.head));
    seal_checkpoint(&c, key, c.mac);
    *ret = c;
}

bool sp_audit_checkpoint_is_ours(const struct sp_audit_checkpoint *c, const struct sp_hmac_key *key) {
    uint8_t mac[SP_ROW_HASH_BYTES];
    seal_checkpoint(c, key, mac);
    return sp_ct_equal(SP_SLICE_ARRAY(mac), SP_SLICE_ARRAY(c->mac));
}

void sp_audit_verifier_checkpoint(struct sp_audit_verifier *v, const struct sp_audit_checkpoint *c) {
    if (v->why != NULL || v->count != c->count) return;
    if (!sp_slice_eq(SP_SLICE_ARRAY(v->head), SP_SLICE_ARRAY(c->head)))
        fail(v, v->count, "the log is not the one that the checkpoint was taken of");
}
