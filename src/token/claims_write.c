#include "base/text.h"
#include "token/claims.h"
#include "token/claims_fields.h"

static sp_status write_string(sp_slice s, struct sp_buf *out) {
    if (!sp_utf8_valid(s)) return sp_err(SP_E_MALFORMED);
    return sp_buf_append_json_string(out, s);
}

sp_status sp_claims_write_words(sp_slice words, struct sp_buf *out) {
    sp_slice each;
    bool first = true;
    if (!sp_words_valid(words, SP_CLAIM_WORD_BYTES_MAX)) return sp_err(SP_E_MALFORMED);
    SP_TRY(sp_buf_append_u8(out, '['));
    while (sp_words_next(&words, &each)) {
        if (!first) SP_TRY(sp_buf_append_u8(out, ','));
        SP_TRY(write_string(each, out));
        first = false;
    }
    return sp_buf_append_u8(out, ']');
}

static sp_status write_audience(struct sp_strings list, struct sp_buf *out) {
    sp_slice each;
    bool first = true, one = sp_strings_count(list) == 1;
    if (!one) SP_TRY(sp_buf_append_u8(out, '['));
    while (sp_strings_next(&list, &each)) {
        if (!first) SP_TRY(sp_buf_append_u8(out, ','));
        SP_TRY(write_string(each, out));
        first = false;
    }
    return one ? SP_SUCCESS : sp_buf_append_u8(out, ']');
}

static sp_status write_scope(sp_slice words, struct sp_buf *out) {
    if (!sp_words_valid(words, SP_CLAIM_WORD_BYTES_MAX)) return sp_err(SP_E_MALFORMED);
    return write_string(words, out);
}

static sp_status write_date(int64_t v, struct sp_buf *out) {
    if (v < 0 || v > SP_CLAIM_DATE_MAX) return sp_err(SP_E_MALFORMED);
    return sp_buf_append_i64_text(out, v);
}

static sp_status write_cnf(sp_slice jkt, struct sp_buf *out) {
    SP_TRY(sp_buf_append_cstr(out, "{\"jkt\":"));
    SP_TRY(write_string(jkt, out));
    return sp_buf_append_u8(out, '}');
}

static sp_status write_value(const struct sp_claim_field *field, const void *value, struct sp_buf *out) {
    switch (field->kind) {
    case SP_CLAIM_STRING: return write_string(*(const sp_slice *)value, out);
    case SP_CLAIM_SCOPE: return write_scope(*(const sp_slice *)value, out);
    case SP_CLAIM_WORDS: return sp_claims_write_words(*(const sp_slice *)value, out);
    case SP_CLAIM_AUDIENCE: return write_audience(*(const struct sp_strings *)value, out);
    case SP_CLAIM_DATE: return write_date(*(const int64_t *)value, out);
    case SP_CLAIM_EPOCH: return sp_buf_append_i64_text(out, *(const uint32_t *)value);
    case SP_CLAIM_CNF: return write_cnf(*(const sp_slice *)value, out);
    }
    return sp_err(SP_E_UNSUPPORTED);
}

static bool is_present(const struct sp_claim_field *field, const struct sp_claims *claims) {
    const void *value = (const char *)claims + field->offset;
    if (field->has != 0) return *(const bool *)((const char *)claims + field->has);
    if (field->kind == SP_CLAIM_DATE) return *(const int64_t *)value != SP_CLAIM_NO_DATE;
    if (field->kind == SP_CLAIM_AUDIENCE) return ((const struct sp_strings *)value)->bytes.p != NULL;
    return ((const sp_slice *)value)->p != NULL;
}

static sp_status write_members(const struct sp_claims *claims, struct sp_buf *out) {
    bool first = true;
    for (size_t i = 0; i < sp_claim_fields_n; i++) {
        const struct sp_claim_field *field = &sp_claim_fields[i];
        if (!is_present(field, claims)) continue;
        if (!first) SP_TRY(sp_buf_append_u8(out, ','));
        SP_TRY(sp_buf_append(out, field->member));
        SP_TRY(write_value(field, (const char *)claims + field->offset, out));
        first = false;
    }
    return SP_SUCCESS;
}

static sp_status write_object(const struct sp_claims *claims, struct sp_buf *out) {
    SP_TRY(sp_buf_append_u8(out, '{'));
    SP_TRY(write_members(claims, out));
    return sp_buf_append_u8(out, '}');
}

sp_status sp_claims_write_json(const struct sp_claims *claims, struct sp_buf *out) {
    size_t before = out->n;
    sp_status s = write_object(claims, out);
    if (!sp_ok(s)) sp_buf_truncate(out, before);
    return s;
}
