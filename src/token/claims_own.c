#include "token/claims_own.h"

#include "base/plain.h"
#include "base/text.h"
#include "token/claims_fields.h"

/* Words that a payload may have before we leave it to the tree to say that it has too many values: with each
 * claim once and all containers the tree would have a node to spare. */
#define WORDS_MAX (SP_PAYLOAD_NODES - 32)

/* All that takes from it is inlined, so that it lies in registers: one call that is not costs 15 of 95 ns. */
struct cursor {
    const uint8_t *at, *end;
    uint8_t *arena; /* where the next word list goes; lists are shorter than their arrays, see claims.c */
    size_t words;
};

static bool take(struct cursor *c, char wanted) {
    if (c->at == c->end || *c->at != (uint8_t)wanted) return false;
    c->at++;
    return true;
}

static uint64_t first_four(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint64_t first_eight(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* memcmp for a member's 6 to 14 bytes, by two words that may overlap: the calls were a tenth of the reading.
 */
static bool is_same(const uint8_t *a, const uint8_t *b, size_t n) {
    if (n < 4 || n > 16) return memcmp(a, b, n) == 0;
    if (n < 8) return first_four(a) == first_four(b) && first_four(a + n - 4) == first_four(b + n - 4);
    return first_eight(a) == first_eight(b) && first_eight(a + n - 8) == first_eight(b + n - 8);
}

/* A member up to its value, with what stands before it. */
static bool take_member(struct cursor *c, sp_slice member, char before) {
    if ((size_t)(c->end - c->at) <= member.n || *c->at != (uint8_t)before) return false;
    if (!is_same(c->at + 1, member.p, member.n)) return false;
    c->at += 1 + member.n;
    return true;
}

/* Nothing but what stands for itself. */
static inline bool take_plain(struct cursor *c, enum sp_plain kind, sp_slice *ret) {
    if (!take(c, '"')) return false;
    const uint8_t *p = sp_plain_end(c->at, c->end, kind);
    if (p == c->end || *p != '"') return false;
    *ret = sp_slice_of(c->at, (size_t)(p - c->at));
    c->at = p + 1;
    return true;
}

static bool take_string(struct cursor *c, sp_slice *ret) {
    return take_plain(c, SP_PLAIN_ASCII, ret);
}

/* A word of a list. */
static bool take_word(struct cursor *c, sp_slice *ret) {
    return take_plain(c, SP_PLAIN_WORD, ret) && ret->n != 0 && ret->n <= SP_CLAIM_WORD_BYTES_MAX;
}

static bool take_scope(struct cursor *c, sp_slice *ret) {
    return take_string(c, ret) && sp_words_valid(*ret, SP_CLAIM_WORD_BYTES_MAX);
}

/* Eight digits at once: bytes become pairs, pairs fours, fours the number. Every date begins with eight. */
static bool read_eight_digits(const uint8_t *p, int64_t *ret) {
    uint64_t v = le64toh(first_eight(p)); /* the first digit is the lowest byte */
    uint64_t above = v + SP_EACH_BYTE(0x7f - '9'), digits = v - SP_EACH_BYTE('0');
    if (((above | digits) & SP_EACH_BYTE(0x80)) != 0) return false;
    v = (digits * 10 + (digits >> 8)) & 0x00ff00ff00ff00ff;
    v = (v * 100 + (v >> 16)) & 0x0000ffff0000ffff;
    *ret = (int64_t)((v * 10000 + (v >> 32)) & 0xffffffff);
    return true;
}

/* A number of 1 to 15 digits, no more than max. */
static inline bool take_number(struct cursor *c, int64_t max, int64_t *ret) {
    enum { DIGITS_MAX = 15 };
    const uint8_t *p = c->at, *end = c->end - p > DIGITS_MAX ? p + DIGITS_MAX : c->end;
    int64_t v = 0;
    if (end - p >= 8 && read_eight_digits(p, &v)) p += 8;
    for (; p != end && *p >= '0' && *p <= '9'; p++) v = v * 10 + (*p - '0');
    ptrdiff_t digits = p - c->at;
    if (digits == 0 || v > max || (c->at[0] == '0' && digits > 1)) return false;
    c->at = p;
    *ret = v;
    return true;
}

static bool take_epoch(struct cursor *c, uint32_t *ret) {
    int64_t v;
    if (!take_number(c, UINT32_MAX, &v)) return false;
    *ret = (uint32_t)v;
    return true;
}

static void append_word(struct cursor *c, sp_slice word, bool first) {
    if (!first) *c->arena++ = ' ';
    memcpy(c->arena, word.p, word.n);
    c->arena += word.n;
}

static bool take_words(struct cursor *c, sp_slice *ret) {
    const uint8_t *begin = c->arena;
    sp_slice word;
    if (!take(c, '[')) return false;
    for (bool first = true; !take(c, ']'); first = false) {
        if (!first && !take(c, ',')) return false;
        if (!take_word(c, &word)) return false;
        if (c->words++ == WORDS_MAX) return false;
        append_word(c, word, first);
    }
    *ret = sp_slice_of(begin, (size_t)(c->arena - begin));
    return true;
}

static bool take_one_audience(struct cursor *c, struct sp_strings *ret) {
    sp_slice one;
    if (!take_string(c, &one)) return false;
    *ret = sp_strings_one(one);
    return true;
}

static bool take_cnf(struct cursor *c, sp_slice *ret) {
    sp_slice jkt;
    if (!take_member(c, SP_SLICE_LIT("\"jkt\":"), '{') || !take_string(c, &jkt) || jkt.n == 0) return false;
    *ret = jkt;
    return take(c, '}');
}

static bool take_value(struct cursor *c, const struct sp_claim_field *field, struct sp_claims *claims) {
    void *value = (char *)claims + field->offset;
    switch (field->kind) {
    case SP_CLAIM_STRING: return take_string(c, value);
    case SP_CLAIM_SCOPE: return take_scope(c, value);
    case SP_CLAIM_WORDS: return take_words(c, value);
    case SP_CLAIM_AUDIENCE: return take_one_audience(c, value);
    case SP_CLAIM_DATE: return take_number(c, SP_CLAIM_DATE_MAX, value);
    case SP_CLAIM_EPOCH: return take_epoch(c, value);
    case SP_CLAIM_CNF: return take_cnf(c, value);
    }
    return false;
}

bool sp_claims_parse_own(sp_slice payload, struct sp_claims_scratch *scratch, struct sp_claims *ret_claims) {
    if (payload.n == 0 || payload.n > sizeof scratch->arena) return false;
    struct cursor c = {.at = payload.p, .end = payload.p + payload.n, .arena = scratch->arena};
    struct sp_claims claims;
    char before = '{';
    sp_claims_init(&claims);
    for (size_t i = 0; i < sp_claim_fields_n; i++) {
        const struct sp_claim_field *field = &sp_claim_fields[i];
        if (!take_member(&c, field->member, before)) continue;
        if (!take_value(&c, field, &claims)) return false;
        if (field->has != 0) *(bool *)((char *)&claims + field->has) = true;
        before = ',';
    }
    if (before == '{' || !take(&c, '}') || c.at != c.end) return false;
    *ret_claims = claims;
    return true;
}
