/* One pass over the members of the payload, each looked up in the table of claims.
 *
 * The arena always suffices, so running out of it is not a case: an unescaped string is never longer than its
 * text; a word takes its bytes and one space, a packed string its bytes and two, while in the JSON either
 * takes its bytes, two quotes and a comma or bracket. A token holds at most SP_PAYLOAD_BYTES_MAX bytes of
 * payload, less than the arena. (Payloads from elsewhere are bounded by the arena and refused beyond.) */
#include "token/claims.h"

#include "token/claims_own.h"

#include "base/mem.h"
#include "base/text.h"
#include "token/claims_fields.h"

#define ROW(name_, kind_, registered_, member_)                                                              \
    {                                                                                                        \
        .name = SP_SLICE_LIT(name_), .member = SP_SLICE_LIT("\"" name_ "\":"), .kind = kind_,                \
        .registered = registered_, .offset = offsetof(struct sp_claims, member_)                             \
    }
#define ROW_HAS(name_, kind_, member_, has_)                                                                 \
    {                                                                                                        \
        .name = SP_SLICE_LIT(name_), .member = SP_SLICE_LIT("\"" name_ "\":"), .kind = kind_,                \
        .offset = offsetof(struct sp_claims, member_), .has = offsetof(struct sp_claims, has_)               \
    }

const struct sp_claim_field sp_claim_fields[] = {
    ROW("iss", SP_CLAIM_STRING, true, iss),
    ROW("sub", SP_CLAIM_STRING, true, sub),
    ROW("aud", SP_CLAIM_AUDIENCE, true, aud),
    ROW("client_id", SP_CLAIM_STRING, false, client_id),
    ROW("iat", SP_CLAIM_DATE, true, iat),
    ROW("exp", SP_CLAIM_DATE, true, exp),
    ROW("nbf", SP_CLAIM_DATE, true, nbf),
    ROW("jti", SP_CLAIM_STRING, true, jti),
    ROW("sid", SP_CLAIM_STRING, false, sid),
    ROW("auth_time", SP_CLAIM_DATE, false, auth_time),
    ROW("acr", SP_CLAIM_STRING, false, acr),
    ROW("amr", SP_CLAIM_WORDS, false, amr),
    ROW_HAS("roles", SP_CLAIM_WORDS, roles, has_roles),
    ROW_HAS("permissions", SP_CLAIM_WORDS, permissions, has_permissions),
    ROW("scope", SP_CLAIM_SCOPE, false, scope),
    ROW_HAS("epu", SP_CLAIM_EPOCH, epu, has_epu),
    ROW_HAS("epg", SP_CLAIM_EPOCH, epg, has_epg),
    ROW("cnf", SP_CLAIM_CNF, false, jkt),
};
const size_t sp_claim_fields_n = SP_ARRAY_LEN(sp_claim_fields);

void sp_claims_init(struct sp_claims *claims) {
    *claims = (struct sp_claims){.iat = SP_CLAIM_NO_DATE,
                                 .exp = SP_CLAIM_NO_DATE,
                                 .nbf = SP_CLAIM_NO_DATE,
                                 .auth_time = SP_CLAIM_NO_DATE};
}

/* Where unescaped strings go. */
struct arena {
    uint8_t *p;
    size_t n;
};

static void arena_take(struct arena *a, size_t n) {
    a->p += n;
    a->n -= n;
}

static enum sp_reject read_string(const struct sp_json_node *node, struct arena *a, sp_slice *ret) {
    sp_slice s = SP_SLICE_EMPTY;
    if (!sp_ok(sp_json_string(node, a->p, a->n, &s))) return SP_REJECT_BAD_PAYLOAD;
    if (s.p == a->p) arena_take(a, s.n);
    *ret = s;
    return SP_REJECT_NONE;
}

static enum sp_reject read_scope(const struct sp_json_node *node, struct arena *a, sp_slice *ret) {
    sp_slice s;
    SP_CHECK(read_string(node, a, &s));
    if (!sp_words_valid(s, SP_CLAIM_WORD_BYTES_MAX)) return SP_REJECT_BAD_PAYLOAD;
    *ret = s;
    return SP_REJECT_NONE;
}

/* Appends one word and the space before it to the list that begins at `begin` and ends where the arena
 * begins. */
static enum sp_reject append_word(const struct sp_json_node *node, const uint8_t *begin, struct arena *a) {
    sp_slice word = SP_SLICE_EMPTY;
    size_t space = a->p == begin ? 0 : 1;
    if (a->n <= space || !sp_ok(sp_json_string(node, a->p + space, a->n - space, &word)))
        return SP_REJECT_BAD_PAYLOAD;
    bool is_word =
        word.n != 0 && memchr(word.p, ' ', word.n) == NULL && sp_words_valid(word, SP_CLAIM_WORD_BYTES_MAX);
    if (!is_word || word.n > a->n - space) return SP_REJECT_BAD_PAYLOAD;
    memmove(a->p + space, word.p, word.n);
    if (space != 0) a->p[0] = ' ';
    arena_take(a, space + word.n);
    return SP_REJECT_NONE;
}

static enum sp_reject read_words(const struct sp_json *doc, const struct sp_json_node *array, struct arena *a,
                                 sp_slice *ret) {
    const uint8_t *begin = a->p;
    const struct sp_json_node *each = NULL;
    if (array->type != SP_JSON_ARRAY) return SP_REJECT_BAD_PAYLOAD;
    while ((each = sp_json_next(doc, array, each)) != NULL) SP_CHECK(append_word(each, begin, a));
    *ret = sp_slice_of(begin, (size_t)(a->p - begin));
    return SP_REJECT_NONE;
}

static enum sp_reject append_packed(const struct sp_json_node *node, struct arena *a) {
    sp_slice s = SP_SLICE_EMPTY;
    const size_t length_bytes = SP_STRINGS_PACKED_BYTES(0);
    if (a->n < length_bytes || !sp_ok(sp_json_string(node, a->p + length_bytes, a->n - length_bytes, &s)))
        return SP_REJECT_BAD_PAYLOAD;
    size_t n = sp_strings_pack(s, a->p, a->n);
    if (n == 0) return SP_REJECT_BAD_PAYLOAD;
    arena_take(a, n);
    return SP_REJECT_NONE;
}

static enum sp_reject read_audience(const struct sp_json *doc, const struct sp_json_node *node,
                                    struct arena *a, struct sp_strings *ret) {
    const uint8_t *begin = a->p;
    const struct sp_json_node *each = NULL;
    sp_slice one;
    if (node->type == SP_JSON_STRING) {
        SP_CHECK(read_string(node, a, &one));
        *ret = sp_strings_one(one);
        return SP_REJECT_NONE;
    }
    if (node->type != SP_JSON_ARRAY) return SP_REJECT_BAD_PAYLOAD;
    while ((each = sp_json_next(doc, node, each)) != NULL) SP_CHECK(append_packed(each, a));
    *ret = (struct sp_strings){.bytes = sp_slice_of(begin, (size_t)(a->p - begin))};
    return SP_REJECT_NONE;
}

/* 1700000000, and nothing else that a JSON number can be: 1.7e9, 1700000000.0, -0 and "1700000000" all have
 * readers that take them for something, and not all for the same. */
static enum sp_reject read_date(const struct sp_json_node *node, int64_t *ret) {
    int64_t v;
    if (!sp_ok(sp_json_i64(node, &v)) || node->raw.p[0] == '-') return SP_REJECT_BAD_DATE;
    if (v > SP_CLAIM_DATE_MAX) return SP_REJECT_BAD_DATE;
    *ret = v;
    return SP_REJECT_NONE;
}

static enum sp_reject read_epoch(const struct sp_json_node *node, uint32_t *ret) {
    int64_t v;
    if (!sp_ok(sp_json_i64(node, &v)) || node->raw.p[0] == '-') return SP_REJECT_BAD_PAYLOAD;
    if (v > UINT32_MAX) return SP_REJECT_BAD_PAYLOAD;
    *ret = (uint32_t)v;
    return SP_REJECT_NONE;
}

/* A confirmation that we cannot check (a certificate's, say) must not turn the token into a bearer token. */
static enum sp_reject read_cnf(const struct sp_json *doc, const struct sp_json_node *node, struct arena *a,
                               sp_slice *ret) {
    const struct sp_json_node *jkt = sp_json_get(doc, node, "jkt");
    sp_slice s;
    if (node->type != SP_JSON_OBJECT || node->count != 1 || jkt == NULL) return SP_REJECT_BAD_PAYLOAD;
    SP_CHECK(read_string(jkt, a, &s));
    if (s.n == 0) return SP_REJECT_BAD_PAYLOAD;
    *ret = s;
    return SP_REJECT_NONE;
}

static enum sp_reject read_value(const struct sp_json *doc, const struct sp_json_node *node,
                                 const struct sp_claim_field *field, struct arena *a,
                                 struct sp_claims *claims) {
    void *value = (char *)claims + field->offset;
    switch (field->kind) {
    case SP_CLAIM_STRING: return read_string(node, a, value);
    case SP_CLAIM_SCOPE: return read_scope(node, a, value);
    case SP_CLAIM_WORDS: return read_words(doc, node, a, value);
    case SP_CLAIM_AUDIENCE: return read_audience(doc, node, a, value);
    case SP_CLAIM_DATE: return read_date(node, value);
    case SP_CLAIM_EPOCH: return read_epoch(node, value);
    case SP_CLAIM_CNF: return read_cnf(doc, node, a, value);
    }
    return SP_REJECT_BAD_PAYLOAD;
}

static bool is_named(const struct sp_json_node *member, sp_slice name) {
    if (!member->key_escaped) return sp_slice_eq(member->key, name);
    const struct sp_json_node as_string = {.type = SP_JSON_STRING, .escaped = true, .raw = member->key};
    return sp_json_string_is(&as_string, (const char *)name.p); /* the table's names are literals */
}

/* Our own tokens have the members in the table's order: so the search begins behind the last that was found.
 */
static const struct sp_claim_field *find_field(const struct sp_json_node *member, size_t *next) {
    for (size_t n = 0, i = *next; n < sp_claim_fields_n; n++, i++) {
        if (i >= sp_claim_fields_n) i = 0;
        if (!is_named(member, sp_claim_fields[i].name)) continue;
        *next = i + 1;
        return &sp_claim_fields[i];
    }
    return NULL;
}

static enum sp_reject read_member(const struct sp_json *doc, const struct sp_json_node *member, size_t *next,
                                  enum sp_claims_profile profile, struct arena *a, struct sp_claims *claims) {
    const struct sp_claim_field *field = find_field(member, next);
    if (field == NULL || (profile == SP_CLAIMS_JWT && !field->registered)) return SP_REJECT_NONE;
    SP_CHECK(read_value(doc, member, field, a, claims));
    if (field->has != 0) *(bool *)((char *)claims + field->has) = true;
    return SP_REJECT_NONE;
}

static enum sp_reject parse_object(sp_slice payload, struct sp_json *doc) {
    sp_status s = sp_json_parse(payload, doc);
    if (sp_is(s, SP_E_CONFLICT)) return SP_REJECT_DUPLICATE_NAME;
    return sp_ok(s) && doc->nodes[0].type == SP_JSON_OBJECT ? SP_REJECT_NONE : SP_REJECT_BAD_PAYLOAD;
}

enum sp_reject sp_claims_parse_tree(sp_slice payload, enum sp_claims_profile profile,
                                    struct sp_claims_scratch *scratch, struct sp_claims *ret_claims) {
    struct sp_json doc = {.nodes = scratch->nodes, .cap = SP_PAYLOAD_NODES};
    struct arena a = {.p = scratch->arena, .n = sizeof scratch->arena};
    const struct sp_json_node *member = NULL;
    struct sp_claims claims;
    size_t next = 0;
    sp_claims_init(&claims);
    SP_CHECK(parse_object(payload, &doc));
    while ((member = sp_json_next(&doc, doc.nodes, member)) != NULL)
        SP_CHECK(read_member(&doc, member, &next, profile, &a, &claims));
    *ret_claims = claims;
    return SP_REJECT_NONE;
}

enum sp_reject sp_claims_parse(sp_slice payload, enum sp_claims_profile profile,
                               struct sp_claims_scratch *scratch, struct sp_claims *ret_claims) {
    if (profile == SP_CLAIMS_ACCESS_TOKEN && sp_claims_parse_own(payload, scratch, ret_claims))
        return SP_REJECT_NONE;
    return sp_claims_parse_tree(payload, profile, scratch, ret_claims);
}

/* The strings in the order in which they lie in a block. */
#define STRING(member_) offsetof(struct sp_claims, member_)
static const size_t string_at[SP_CLAIMS_STRINGS] = {
    [SP_CLAIMS_ISS] = STRING(iss),
    [SP_CLAIMS_SUB] = STRING(sub),
    [SP_CLAIMS_AUD] = STRING(aud.bytes),
    [SP_CLAIMS_CLIENT_ID] = STRING(client_id),
    [SP_CLAIMS_JTI] = STRING(jti),
    [SP_CLAIMS_SID] = STRING(sid),
    [SP_CLAIMS_AMR] = STRING(amr),
    [SP_CLAIMS_ROLES] = STRING(roles),
    [SP_CLAIMS_PERMISSIONS] = STRING(permissions),
    [SP_CLAIMS_SCOPE] = STRING(scope),
    [SP_CLAIMS_JKT] = STRING(jkt),
    [SP_CLAIMS_ACR] = STRING(acr),
};
/* These loops are worth 40 of 700 ns of a cold check when the places are constants in them; with the twelfth
 * string gcc stopped unrolling them by itself. */
#ifdef __clang__
#define EACH_STRING _Pragma("unroll") for (size_t i = 0; i < SP_CLAIMS_STRINGS; i++)
#else
#define EACH_STRING _Pragma("GCC unroll 16") for (size_t i = 0; i < SP_CLAIMS_STRINGS; i++)
#endif
static sp_slice *string_of(struct sp_claims *claims, size_t i) {
    return (sp_slice *)(void *)((char *)claims + string_at[i]);
}
static sp_slice string_in(const struct sp_claims *claims, size_t i) {
    return *(const sp_slice *)(const void *)((const char *)claims + string_at[i]);
}

size_t sp_claims_bytes(const struct sp_claims *claims) {
    size_t n = 0;
    EACH_STRING n += string_in(claims, i).n;
    return n;
}

void sp_claims_rebase(struct sp_claims *claims, sp_slice block, const uint8_t *dst) {
    EACH_STRING {
        sp_slice *s = string_of(claims, i);
        if (s->p != NULL) s->p = dst + (s->p - block.p);
    }
}

enum packed_flag {
    AUD_IS_ONE = 1 << SP_CLAIMS_STRINGS,
    HAS_ROLES = AUD_IS_ONE << 1,
    HAS_PERMISSIONS = HAS_ROLES << 1,
    HAS_EPU = HAS_PERMISSIONS << 1,
    HAS_EPG = HAS_EPU << 1
};
_Static_assert(HAS_EPG <= UINT32_MAX, "the flags fit");

static unsigned flags_of(const struct sp_claims *c) {
    unsigned flags = 0;
    if (c->aud.is_one) flags |= AUD_IS_ONE;
    if (c->has_roles) flags |= HAS_ROLES;
    if (c->has_permissions) flags |= HAS_PERMISSIONS;
    if (c->has_epu) flags |= HAS_EPU;
    if (c->has_epg) flags |= HAS_EPG;
    return flags;
}

sp_status sp_claims_pack(const struct sp_claims *claims, uint8_t *dst, struct sp_claims_packed *ret_packed) {
    struct sp_claims_packed p = {.iat = claims->iat,
                                 .exp = claims->exp,
                                 .nbf = claims->nbf,
                                 .auth_time = claims->auth_time,
                                 .epu = claims->has_epu ? claims->epu : 0,
                                 .epg = claims->has_epg ? claims->epg : 0};
    unsigned flags = flags_of(claims);
    EACH_STRING {
        sp_slice s = string_in(claims, i);
        if (s.n > UINT16_MAX) return sp_err(SP_E_LIMIT);
        if (s.p == NULL) continue;
        memcpy(dst, s.p, s.n);
        dst += s.n;
        p.string_n[i] = (uint16_t)s.n;
        flags |= 1u << i;
    }
    p.flags = flags;
    *ret_packed = p;
    return SP_SUCCESS;
}

void sp_claims_unpack(const struct sp_claims_packed *packed, const uint8_t *block,
                      struct sp_claims *ret_claims) {
    EACH_STRING {
        bool present = (packed->flags >> i & 1) != 0;
        *string_of(ret_claims, i) = (sp_slice){present ? block : NULL, packed->string_n[i]};
        block += packed->string_n[i];
    }
    ret_claims->aud.is_one = (packed->flags & AUD_IS_ONE) != 0;
    ret_claims->has_roles = (packed->flags & HAS_ROLES) != 0;
    ret_claims->has_permissions = (packed->flags & HAS_PERMISSIONS) != 0;
    ret_claims->has_epu = (packed->flags & HAS_EPU) != 0;
    ret_claims->has_epg = (packed->flags & HAS_EPG) != 0;
    ret_claims->iat = packed->iat;
    ret_claims->exp = packed->exp;
    ret_claims->nbf = packed->nbf;
    ret_claims->auth_time = packed->auth_time;
    ret_claims->epu = packed->epu;
    ret_claims->epg = packed->epg;
}
