/* What does not have the form of a checkpoint is told here; whether it is one, the server decides. */
#include "cli/checkpoint.h"

#include <jansson.h>
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

static sp_status query_of(const json_t *c, struct sp_buf *query, char error[SP_CHECKPOINT_ERROR_BYTES]) {
    json_int_t count = 0, time_ms = 0;
    const char *head = NULL, *mac = NULL;
    if (json_unpack((json_t *)(uintptr_t)c, "{s:I, s:I, s:s, s:s}", "count", &count, "time_ms", &time_ms,
                    "head", &head, "mac", &mac) != 0)
        return complain(error, "count, time_ms, head or mac is missing, or of another type");
    if (count < 0 || time_ms < 0 || !is_hash(head) || !is_hash(mac))
        return complain(error, "count and time_ms are not negative, head and mac are 64 hexadecimal digits");
    return sp_buf_printf(query,
                         "&checkpoint_count=%lld&checkpoint_time=%lld&checkpoint_head=%s&checkpoint_mac=%s",
                         (long long)count, (long long)time_ms, head, mac);
}

sp_status sp_checkpoint_query(sp_slice text, struct sp_buf *query, char error[SP_CHECKPOINT_ERROR_BYTES]) {
    json_error_t why = {.line = 0};
    json_t *c = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    if (c == NULL) return complain(error, why.text[0] != 0 ? why.text : "no JSON");
    sp_status s = query_of(c, query, error);
    json_decref(c);
    return s;
}
