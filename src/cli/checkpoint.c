/* What does not have the form of a checkpoint is told here; whether it is one, the server decides. */
#include "cli/checkpoint.h"

#include <stdio.h>
#include <string.h>

enum { HASH_CHARS = 2 * 32 }; /* SHA-256 in hexadecimal */

static sp_status complain(char error[SP_CHECKPOINT_ERROR_BYTES], const char *what) {
    snprintf(error, SP_CHECKPOINT_ERROR_BYTES, "%s", what);
    return sp_err(SP_E_MALFORMED);
}

static bool is_hash(const char *s) {
    return strlen(s) == HASH_CHARS && strspn(s, "0123456789abcdefABCDEF") == HASH_CHARS;
}

/* Borrowed from the document. */
struct checkpoint {
    json_int_t count, time_ms;
    const char *head, *mac;
};

static sp_status judge(const json_t *doc, struct checkpoint *c, char error[SP_CHECKPOINT_ERROR_BYTES]) {
    if (json_unpack((json_t *)(uintptr_t)doc, "{s:I, s:I, s:s, s:s}", "count", &c->count, "time_ms",
                    &c->time_ms, "head", &c->head, "mac", &c->mac) != 0)
        return complain(error, "count, time_ms, head or mac is missing, or of another type");
    if (c->count < 0 || c->time_ms < 0 || !is_hash(c->head) || !is_hash(c->mac))
        return complain(error, "count and time_ms are not negative, head and mac are 64 hexadecimal digits");
    return SP_SUCCESS;
}

/* *ret_doc is the caller's to free, on every path. */
static sp_status load(sp_slice text, json_t **ret_doc, struct checkpoint *c,
                      char error[SP_CHECKPOINT_ERROR_BYTES]) {
    json_error_t why = {.line = 0};
    *ret_doc = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    if (*ret_doc == NULL) return complain(error, why.text[0] != 0 ? why.text : "no JSON");
    return judge(*ret_doc, c, error);
}

sp_status sp_checkpoint_query(sp_slice text, struct sp_buf *query, char error[SP_CHECKPOINT_ERROR_BYTES]) {
    struct checkpoint c = {0};
    json_t *doc;
    sp_status s = load(text, &doc, &c, error);
    if (sp_ok(s))
        s = sp_buf_printf(query,
                          "&checkpoint_count=%lld&checkpoint_time=%lld&checkpoint_head=%s&checkpoint_mac=%s",
                          (long long)c.count, (long long)c.time_ms, c.head, c.mac);
    json_decref(doc);
    return s;
}

sp_status sp_checkpoint_body(sp_slice text, json_t **ret, char error[SP_CHECKPOINT_ERROR_BYTES]) {
    struct checkpoint c = {0};
    json_t *doc, *body = NULL;
    sp_status s = load(text, &doc, &c, error);
    if (sp_ok(s)) {
        body = json_pack("{s:I, s:I, s:s, s:s}", "count", c.count, "time_ms", c.time_ms, "head", c.head,
                         "mac", c.mac);
        if (body == NULL) s = sp_err(SP_E_NOMEM);
    }
    json_decref(doc);
    if (sp_ok(s)) *ret = body;
    return s;
}
