/* A strict JSON reader for what stands inside tokens and keys.
 *
 * Idea: one pass over the text, without recursion and without an allocation. What is open (the objects and
 * arrays around the current place) stands on a stack of SP_JSON_DEPTH_MAX frames; every value becomes one
 * node in the caller's array, linked to its parent and its next sibling by index.
 *
 * Invariants: no frame without a container node; a node's `raw` and `key` lie within the text; a string is
 * scanned once and afterwards known to unescape without error.
 *
 * Duplicate names are found by comparing a new name with its elder siblings: first one bit with all of them
 * at once, then 32 bits of hash, then, only when these agree, the bytes. A name with escapes has no hash and
 * is compared with all. The hash has no key, so an attacker can make all names collide; what he then buys is
 * bounded by the number of nodes that the caller offers: at most (nodes * length of the text) bytes compared.
 * A hash table with a random key, or sorting, was turned down: either needs memory or a port that this layer
 * does not have, for objects that hold a dozen names.
 *
 * Turned down as well: jansson on this path (an allocation for each value), and
 * reading numbers as doubles (a date in a token is an integer, or it is refused). */
#include "base/json.h"

#include "base/mem.h"
#include "base/plain.h"
#include "base/text.h"

enum expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END,
    EXPECT_NAME,
    EXPECT_NAME_OR_END,
    EXPECT_COMMA_OR_END,
    EXPECT_NOTHING
};

struct frame {
    uint32_t node;
    uint32_t last;  /* its youngest child so far; 0: none */
    uint64_t names; /* a bit for each name in it, by hash: most new names are told from all of them at once */
};

/* What is left of the text is two pointers, of which one moves, and everything below moves it in place: a
 * slice that is written as pointer and length and at once read as a whole waits for the memory in between,
 * which took more time than the reading. */
struct parser {
    const uint8_t *at, *end;
    struct sp_json_node *nodes;
    uint32_t cap;
    uint32_t n;
    uint32_t depth;
    struct frame open[SP_JSON_DEPTH_MAX];
    /* The name that the next value belongs to. */
    const uint8_t *key;
    size_t key_n;
    bool key_escaped;
    uint32_t key_hash;
};

static sp_slice rest_of(const struct parser *p) {
    return sp_slice_of(p->at, (size_t)(p->end - p->at));
}
static sp_slice key_of(const struct parser *p) {
    return sp_slice_of(p->key, p->key_n);
}

static bool take_char(struct parser *p, char c) {
    if (p->at == p->end || *p->at != (uint8_t)c) return false;
    p->at++;
    return true;
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static void skip_space(struct parser *p) {
    while (p->at != p->end && is_space(*p->at)) p->at++;
}

static void skip(sp_slice *s, size_t n) {
    s->p += n;
    s->n -= n;
}

static bool take(sp_slice *s, char c) {
    if (s->n == 0 || s->p[0] != (uint8_t)c) return false;
    skip(s, 1);
    return true;
}

/* Strings */

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Takes "uXXXX". */
static bool take_u16(sp_slice *s, uint32_t *ret) {
    if (s->n < 5 || s->p[0] != 'u') return false;
    uint32_t v = 0;
    for (size_t i = 1; i <= 4; i++) {
        int digit = hex_digit(s->p[i]);
        if (digit < 0) return false;
        v = v << 4 | (uint32_t)digit;
    }
    skip(s, 5);
    *ret = v;
    return true;
}

/* Takes what follows the backslash of a \u escape, the second half of a surrogate pair included. */
static bool take_codepoint(sp_slice *s, uint32_t *ret) {
    uint32_t high, low;
    if (!take_u16(s, &high)) return false;
    if (high < 0xd800 || high > 0xdfff) {
        *ret = high;
        return true;
    }
    if (high > 0xdbff || !take(s, '\\') || !take_u16(s, &low) || low < 0xdc00 || low > 0xdfff) return false;
    *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static size_t utf8_encode(uint32_t cp, uint8_t out[4]) {
    if (cp < 0x80) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (uint8_t)(0xc0 | cp >> 6);
        out[1] = (uint8_t)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (uint8_t)(0xe0 | cp >> 12);
        out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | cp >> 18);
    out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (cp & 0x3f));
    return 4;
}

/* Takes what follows a backslash; the number of bytes that it stands for, or 0 when it is malformed. */
static size_t take_escape(sp_slice *s, uint8_t out[4]) {
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (s->n == 0) return 0;
    if (s->p[0] == 'u') {
        uint32_t cp;
        return take_codepoint(s, &cp) ? utf8_encode(cp, out) : 0;
    }
    const char *at = s->p[0] == 0 ? NULL : strchr(letters, s->p[0]);
    if (at == NULL) return 0;
    out[0] = (uint8_t)values[at - letters];
    skip(s, 1);
    return 1;
}

/* Takes one unit of a string that has been scanned: a plain byte, or an escape. 0 at the end. */
static size_t take_unit(sp_slice *s, bool escaped, uint8_t out[4]) {
    if (s->n == 0) return 0;
    if (escaped && take(s, '\\')) return take_escape(s, out);
    out[0] = s->p[0];
    skip(s, 1);
    return 1;
}

/* After the escape whose backslash stands before p; NULL when it is malformed. */
static const uint8_t *after_escape(const uint8_t *p, const uint8_t *end) {
    sp_slice s = sp_slice_of(p, (size_t)(end - p));
    uint8_t ignored[4];
    return take_escape(&s, ignored) == 0 ? NULL : s.p;
}

/* The quote that ends the string which begins at p; NULL: there is none. Its UTF-8 has been checked with the
 * whole text. */
static const uint8_t *end_of_string(const uint8_t *p, const uint8_t *end, bool *ret_escaped) {
    for (p = sp_plain_end(p, end, SP_PLAIN_ANY); p != end && *p != '"';
         p = sp_plain_end(p, end, SP_PLAIN_ANY)) {
        if (*p < 0x20) return NULL;
        if (*p++ != '\\') continue;
        *ret_escaped = true;
        if ((p = after_escape(p, end)) == NULL) return NULL;
    }
    return p == end ? NULL : p;
}

/* Takes a string with both quotes: what lies between them. */
static bool take_string(struct parser *p, const uint8_t **ret_begin, size_t *ret_n, bool *ret_escaped) {
    if (p->at == p->end || *p->at != '"') return false;
    bool escaped = false;
    const uint8_t *begin = p->at + 1, *quote = end_of_string(begin, p->end, &escaped);
    if (quote == NULL) return false;
    p->at = quote + 1;
    *ret_begin = begin;
    *ret_n = (size_t)(quote - begin);
    *ret_escaped = escaped;
    return true;
}

/* The bytes of a name shorter than a word, each at least once. */
static uint64_t short_word(const uint8_t *p, size_t n) {
    uint32_t first, last;
    if (n == 0) return 0;
    if (n < sizeof first) return p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
    memcpy(&first, p, sizeof first);
    memcpy(&last, p + n - sizeof last, sizeof last);
    return first | (uint64_t)last << 32;
}

/* Of a name without escapes, by words; only spares comparisons, see above. */
static uint32_t hash_of(sp_slice name) {
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t h = name.n, word;
    if (name.n < sizeof word) return (uint32_t)(((h ^ short_word(name.p, name.n)) * odd) >> 32);
    for (size_t i = 0; i + sizeof word < name.n; i += sizeof word) {
        memcpy(&word, name.p + i, sizeof word);
        h = (h ^ word) * odd;
        h ^= h >> 32;
    }
    memcpy(&word, name.p + name.n - sizeof word, sizeof word);
    return (uint32_t)(((h ^ word) * odd) >> 32);
}

/* An iterator over the unescaped bytes. */
struct bytes {
    sp_slice rest;
    bool escaped;
    uint8_t unit[4];
    size_t n, at;
};

static bool bytes_next(struct bytes *b, uint8_t *ret) {
    if (b->at == b->n) {
        b->n = take_unit(&b->rest, b->escaped, b->unit);
        b->at = 0;
        if (b->n == 0) return false;
    }
    *ret = b->unit[b->at++];
    return true;
}

static bool unescaped_eq(sp_slice a, bool a_escaped, sp_slice b, bool b_escaped) {
    if (!a_escaped && !b_escaped) return sp_slice_eq(a, b);
    struct bytes x = {.rest = a, .escaped = a_escaped}, y = {.rest = b, .escaped = b_escaped};
    for (;;) {
        uint8_t cx = 0, cy = 0;
        bool more_x = bytes_next(&x, &cx), more_y = bytes_next(&y, &cy);
        if (more_x != more_y || cx != cy) return false;
        if (!more_x) return true;
    }
}

/* Numbers and words */

static bool is_digit(sp_slice s) {
    return s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9';
}

static bool skip_digits(sp_slice *s) {
    if (!is_digit(*s)) return false;
    while (is_digit(*s)) skip(s, 1);
    return true;
}

static bool take_number(struct parser *p) {
    sp_slice s = rest_of(p);
    (void)take(&s, '-');
    if (!take(&s, '0') && !skip_digits(&s)) return false;
    if (take(&s, '.') && !skip_digits(&s)) return false;
    if (take(&s, 'e') || take(&s, 'E')) {
        if (!take(&s, '+')) (void)take(&s, '-');
        if (!skip_digits(&s)) return false;
    }
    p->at = s.p;
    return true;
}

static bool take_word(struct parser *p, enum sp_json_type *ret) {
    static const struct {
        sp_slice text;
        enum sp_json_type type;
    } words[] = {{SP_SLICE_LIT("true"), SP_JSON_TRUE},
                 {SP_SLICE_LIT("false"), SP_JSON_FALSE},
                 {SP_SLICE_LIT("null"), SP_JSON_NULL}};
    for (size_t i = 0; i < SP_ARRAY_LEN(words); i++) {
        if (!sp_slice_starts(rest_of(p), words[i].text)) continue;
        p->at += words[i].text.n;
        *ret = words[i].type;
        return true;
    }
    return false;
}

/* The tree */

static bool is_container(enum sp_json_type type) {
    return type == SP_JSON_OBJECT || type == SP_JSON_ARRAY;
}

static struct frame *innermost(struct parser *p) {
    return &p->open[p->depth - 1];
}

/* Makes the node the youngest child of the innermost container, under the name read before it. */
static void link_node(struct parser *p, uint32_t at) {
    struct frame *f = innermost(p);
    struct sp_json_node *parent = &p->nodes[f->node], *node = &p->nodes[at];
    if (f->last == 0)
        parent->child = at;
    else
        p->nodes[f->last].next = at;
    f->last = at;
    parent->count++;
    if (parent->type != SP_JSON_OBJECT) return;
    node->key = key_of(p);
    node->key_escaped = p->key_escaped;
    node->key_hash = p->key_hash;
}

static sp_status append_node(struct parser *p, enum sp_json_type type, const uint8_t *begin, size_t n,
                             bool escaped) {
    if (p->n == p->cap) return sp_err(SP_E_LIMIT);
    uint32_t at = p->n++;
    p->nodes[at] = (struct sp_json_node){.type = type, .escaped = escaped, .raw = {begin, n}};
    if (p->depth > 0) link_node(p, at);
    return SP_SUCCESS;
}

/* The bracket has been taken; the node's end is known when the container closes. */
static sp_status open_container(struct parser *p, enum sp_json_type type) {
    if (p->depth == SP_JSON_DEPTH_MAX) return sp_err(SP_E_LIMIT);
    uint32_t at = p->n;
    SP_TRY(append_node(p, type, p->at - 1, 1, false));
    p->open[p->depth++] = (struct frame){.node = at, .last = 0};
    return SP_SUCCESS;
}

static enum expect after_value(const struct parser *p) {
    return p->depth == 0 ? EXPECT_NOTHING : EXPECT_COMMA_OR_END;
}

static sp_status read_value(struct parser *p, enum expect *next) {
    enum sp_json_type type = SP_JSON_STRING;
    const uint8_t *begin = p->at;
    size_t n = 0;
    bool escaped = false;
    if (take_char(p, '{')) {
        *next = EXPECT_NAME_OR_END;
        return open_container(p, SP_JSON_OBJECT);
    }
    if (take_char(p, '[')) {
        *next = EXPECT_VALUE_OR_END;
        return open_container(p, SP_JSON_ARRAY);
    }
    *next = after_value(p);
    if (take_string(p, &begin, &n, &escaped)) return append_node(p, type, begin, n, escaped);
    if (take_number(p))
        type = SP_JSON_NUMBER;
    else if (!take_word(p, &type))
        return sp_err(SP_E_MALFORMED);
    return append_node(p, type, begin, (size_t)(p->at - begin), false);
}

static bool is_same_name(const struct sp_json_node *elder, const struct parser *p) {
    bool escaped = elder->key_escaped || p->key_escaped;
    if (!escaped && elder->key_hash != p->key_hash) return false;
    return unescaped_eq(elder->key, elder->key_escaped, key_of(p), p->key_escaped);
}

/* The bit of a name in its object; one with escapes has no hash and could be any. */
static uint64_t name_bit(const struct parser *p) {
    return p->key_escaped ? UINT64_MAX : (uint64_t)1 << (p->key_hash & 63);
}

static bool name_is_taken(struct parser *p) {
    struct frame *f = innermost(p);
    bool maybe = (f->names & name_bit(p)) != 0;
    f->names |= name_bit(p);
    if (!maybe) return false;
    for (uint32_t i = p->nodes[f->node].child; i != 0; i = p->nodes[i].next) {
        if (is_same_name(&p->nodes[i], p)) return true;
    }
    return false;
}

static sp_status read_name(struct parser *p, enum expect *next) {
    if (!take_string(p, &p->key, &p->key_n, &p->key_escaped)) return sp_err(SP_E_MALFORMED);
    p->key_hash = p->key_escaped ? 0 : hash_of(key_of(p));
    if (name_is_taken(p)) return sp_err(SP_E_CONFLICT);
    skip_space(p);
    if (!take_char(p, ':')) return sp_err(SP_E_MALFORMED);
    *next = EXPECT_VALUE;
    return SP_SUCCESS;
}

/* Takes the bracket that closes the innermost container, if it stands here. */
static bool close_container(struct parser *p, enum expect *next) {
    struct sp_json_node *node = &p->nodes[innermost(p)->node];
    if (!take_char(p, node->type == SP_JSON_OBJECT ? '}' : ']')) return false;
    node->raw.n = (size_t)(p->at - node->raw.p);
    p->depth--;
    *next = after_value(p);
    return true;
}

static sp_status read_comma(struct parser *p, enum expect *next) {
    if (!take_char(p, ',')) return sp_err(SP_E_MALFORMED);
    *next = p->nodes[innermost(p)->node].type == SP_JSON_OBJECT ? EXPECT_NAME : EXPECT_VALUE;
    return SP_SUCCESS;
}

static sp_status step(struct parser *p, enum expect *expect) {
    switch (*expect) {
    case EXPECT_VALUE_OR_END: return close_container(p, expect) ? SP_SUCCESS : read_value(p, expect);
    case EXPECT_NAME_OR_END: return close_container(p, expect) ? SP_SUCCESS : read_name(p, expect);
    case EXPECT_COMMA_OR_END: return close_container(p, expect) ? SP_SUCCESS : read_comma(p, expect);
    case EXPECT_VALUE: return read_value(p, expect);
    case EXPECT_NAME: return read_name(p, expect);
    case EXPECT_NOTHING: break;
    }
    return sp_err(SP_E_MALFORMED); /* something stands after the value */
}

/* The stack of frames is written as far as it is used, and no further. */
static void parser_init(struct parser *p, sp_slice text, const struct sp_json *doc) {
    p->at = text.p;
    p->end = text.p + text.n;
    p->nodes = doc->nodes;
    p->cap = doc->cap;
    p->n = p->depth = 0;
    p->key = NULL;
    p->key_n = p->key_hash = 0;
    p->key_escaped = false;
}

sp_status sp_json_parse(sp_slice text, struct sp_json *doc) {
    struct parser p;
    enum expect expect = EXPECT_VALUE;
    if (text.n == 0 || !sp_utf8_valid(text)) return sp_err(SP_E_MALFORMED);
    parser_init(&p, text, doc);
    for (skip_space(&p); p.at != p.end; skip_space(&p)) SP_TRY(step(&p, &expect));
    if (expect != EXPECT_NOTHING) return sp_err(SP_E_MALFORMED);
    doc->n = p.n;
    return SP_SUCCESS;
}

/* Reading the tree */

const struct sp_json_node *sp_json_next(const struct sp_json *doc, const struct sp_json_node *parent,
                                        const struct sp_json_node *prev) {
    if (prev == NULL && !is_container(parent->type)) return NULL;
    uint32_t at = prev == NULL ? parent->child : prev->next;
    return at == 0 ? NULL : &doc->nodes[at];
}

const struct sp_json_node *sp_json_get(const struct sp_json *doc, const struct sp_json_node *obj,
                                       const char *name) {
    if (obj->type != SP_JSON_OBJECT) return NULL;
    const struct sp_json_node *member = NULL;
    const sp_slice wanted = sp_slice_cstr(name);
    while ((member = sp_json_next(doc, obj, member)) != NULL)
        if (unescaped_eq(member->key, member->key_escaped, wanted, false)) return member;
    return NULL;
}

sp_status sp_json_string(const struct sp_json_node *node, uint8_t *scratch, size_t cap, sp_slice *ret) {
    if (node->type != SP_JSON_STRING) return sp_err(SP_E_MALFORMED);
    if (!node->escaped) {
        *ret = node->raw;
        return SP_SUCCESS;
    }
    struct bytes in = {.rest = node->raw, .escaped = true};
    size_t n = 0;
    for (uint8_t c; bytes_next(&in, &c); n++) {
        if (n == cap) return sp_err(SP_E_LIMIT);
        scratch[n] = c;
    }
    *ret = sp_slice_of(scratch, n);
    return SP_SUCCESS;
}

bool sp_json_string_is(const struct sp_json_node *node, const char *value) {
    return node->type == SP_JSON_STRING &&
           unescaped_eq(node->raw, node->escaped, sp_slice_cstr(value), false);
}

sp_status sp_json_i64(const struct sp_json_node *node, int64_t *ret) {
    if (node->type != SP_JSON_NUMBER) return sp_err(SP_E_MALFORMED);
    sp_slice s = node->raw;
    bool negative = take(&s, '-');
    int64_t v = 0;
    for (; is_digit(s); skip(&s, 1)) {
        int64_t digit = negative ? -(s.p[0] - '0') : s.p[0] - '0';
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
            return sp_err(SP_E_MALFORMED);
    }
    if (s.n > 0) return sp_err(SP_E_MALFORMED); /* a fraction or an exponent */
    *ret = v;
    return SP_SUCCESS;
}
