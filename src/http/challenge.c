#include "http/challenge.h"

#include "base/text.h"

/* Words of RFC 6749's scope-token have neither '"' nor '\', so they stand in quotes as they are. */
static sp_status put_words(const char *name, sp_slice words, struct sp_buf *ret) {
    if (words.n == 0 || !sp_words_valid(words, words.n)) return SP_SUCCESS;
    return sp_buf_printf(ret, ", %s=\"%.*s\"", name, SP_SLICE_FMT(words));
}

/* RFC 6750 section 3: no '"' and no '\\', and nothing but printable ASCII. */
static bool is_quotable(const char *text) {
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7E || *text == '"' || *text == '\\') return false;
    }
    return true;
}

static sp_status put_text(const char *name, const char *text, struct sp_buf *ret) {
    if (text == NULL || text[0] == '\0' || !is_quotable(text)) return SP_SUCCESS;
    return sp_buf_printf(ret, ", %s=\"%s\"", name, text);
}

static sp_status write_all(const struct sp_challenge *c, struct sp_buf *ret) {
    const bool dpop = c->scheme == SP_CHALLENGE_DPOP;
    SP_TRY(sp_buf_append_cstr(ret, dpop ? "DPoP realm=\"sallyport\"" : "Bearer realm=\"sallyport\""));
    SP_TRY(put_text("error", c->error, ret));
    SP_TRY(put_text("error_description", c->description, ret));
    SP_TRY(put_words("scope", c->scope, ret));
    SP_TRY(put_words("acr_values", c->acr_values, ret));
    if (c->max_age_s >= 0) SP_TRY(sp_buf_printf(ret, ", max_age=\"%lld\"", (long long)c->max_age_s));
    return dpop ? put_text("algs", SP_PUBLIC_ALGS, ret) : SP_SUCCESS;
}

sp_status sp_challenge_write(const struct sp_challenge *c, struct sp_buf *ret) {
    const size_t before = ret->n;
    const sp_status st = write_all(c, ret);
    if (!sp_ok(st)) sp_buf_truncate(ret, before);
    return st;
}
