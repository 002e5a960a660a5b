/* A strict JSON reader (RFC 8259) for what stands inside tokens and keys.
 *
 * The whole text is checked once into a flat array of nodes that the caller owns; nothing is allocated.
 * Refused: duplicate names (after unescaping), anything after the value, malformed UTF-8, lone
 * surrogates, control characters, depth beyond SP_JSON_DEPTH_MAX, more nodes than given. Other JSON
 * (request bodies, answers) goes through jansson; this one exists because tokens are an attacker's
 * bytes on our fastest path. fuzz/base/fuzz_json.c holds it against jansson.
 *
 * Node slices borrow from the text. Pure; thread-safe. */
#ifndef SP_BASE_JSON_H
#define SP_BASE_JSON_H

#include "base/slice.h"
#include "base/status.h"

#define SP_JSON_DEPTH_MAX 16 /* our deepest token claim (cnf.jwk) needs 3 */

enum sp_json_type {
    SP_JSON_OBJECT,
    SP_JSON_ARRAY,
    SP_JSON_STRING,
    SP_JSON_NUMBER,
    SP_JSON_TRUE,
    SP_JSON_FALSE,
    SP_JSON_NULL
};

struct sp_json_node {
    enum sp_json_type type;
    bool escaped;      /* string: contains a backslash, so `raw` is not yet its value */
    bool key_escaped;  /* likewise for key */
    uint32_t key_hash; /* of a name without escapes; the reader's own */
    sp_slice key;      /* the member's raw name when the parent is an object */
    sp_slice raw;      /* string: between the quotes; otherwise the text of the whole value */
    uint32_t next;     /* index of the next sibling; 0: none */
    uint32_t child;    /* index of the first child; 0: none */
    uint32_t count;    /* children */
};

struct sp_json {
    struct sp_json_node *nodes; /* the caller's; nodes[0] is the root after success */
    uint32_t cap;
    uint32_t n;
};

/* SP_E_MALFORMED; SP_E_CONFLICT for a name that an object has already; SP_E_LIMIT when depth or nodes run
 * out. */
sp_status sp_json_parse(sp_slice text, struct sp_json *doc);

/* The member `name` of object `obj`; NULL when absent. Names with escapes are compared unescaped. */
const struct sp_json_node *sp_json_get(const struct sp_json *doc, const struct sp_json_node *obj,
                                       const char *name);
/* Iterates children: NULL begins; returns NULL at the end. */
const struct sp_json_node *sp_json_next(const struct sp_json *doc, const struct sp_json_node *parent,
                                        const struct sp_json_node *prev);
/* The string's value: borrowed from the text when it has no escapes, otherwise unescaped into scratch. */
sp_status sp_json_string(const struct sp_json_node *node, uint8_t *scratch, size_t cap, sp_slice *ret);
/* True when the node is a string with exactly this value. */
bool sp_json_string_is(const struct sp_json_node *node, const char *value);
/* An integer written as -?(0|[1-9][0-9]*) that fits; fractions and exponents are SP_E_MALFORMED. */
sp_status sp_json_i64(const struct sp_json_node *node, int64_t *ret);

#endif
