/* What we write into a page of what others wrote: whatever comes in, nothing that HTML reads comes out, and
 * well-formed text without marks of ours can be had back. The first byte says which: 'h', text; 'f', the
 * source of a form-action; 'c', a challenge's words. */
#include "base/assert.h"
#include "base/text.h"
#include "http/challenge.h"
#include "http/html.h"
#include "http/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1024 };

static bool is_entity(sp_slice s, size_t *ret_n) {
    static const char *const all[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    for (size_t i = 0; i < SP_ARRAY_LEN(all); i++) {
        *ret_n = strlen(all[i]);
        if (sp_slice_starts(s, sp_slice_cstr(all[i]))) return true;
    }
    return false;
}

static void check_html(sp_slice text) {
    struct sp_buf out;
    sp_buf_init(&out, (size_t)SP_HTML_GROWTH_MAX * INPUT_MAX);
    sp_assert(sp_ok(sp_html_escape(text, &out)));
    const sp_slice html = sp_buf_slice(&out);
    sp_assert(sp_utf8_printable(html));
    for (size_t i = 0, n = 1; i < html.n; i += n) {
        n = 1;
        sp_assert(memchr("<>\"'", html.p[i], 4) == NULL);
        if (html.p[i] == '&') sp_assert(is_entity(sp_slice_of(html.p + i, html.n - i), &n));
    }
    sp_buf_done(&out);
}

/* Nothing in it may end the directive, or begin another source. */
static void check_source(sp_slice address) {
    struct sp_buf out;
    sp_buf_init(&out, INPUT_MAX);
    sp_assert(sp_ok(sp_page_form_source(address, &out)));
    for (size_t i = 0; i < out.n; i++) {
        const uint8_t c = out.p[i];
        sp_assert((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  memchr("+-.:/", c, 5) != NULL);
    }
    sp_assert(out.n <= address.n && (out.n == 0 || memchr(out.p, ':', out.n) != NULL));
    sp_buf_done(&out);
}

static void check_challenge(sp_slice words) {
    const struct sp_challenge c = {
        .error = "insufficient_scope", .scope = words, .acr_values = words, .max_age_s = -1};
    struct sp_buf out;
    sp_buf_init(&out, 4 * INPUT_MAX);
    sp_assert(sp_ok(sp_challenge_write(&c, &out)));
    size_t quotes = 0;
    for (size_t i = 0; i < out.n; i++) {
        sp_assert(out.p[i] >= 0x20 && out.p[i] <= 0x7E && out.p[i] != '\\');
        quotes += out.p[i] == '"';
    }
    sp_assert(quotes == 4 || quotes == 8);
    sp_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > INPUT_MAX) return 0;
    const sp_slice text = sp_slice_of(data + 1, size - 1);
    if (data[0] == 'h') check_html(text);
    if (data[0] == 'f') check_source(text);
    if (data[0] == 'c') check_challenge(text);
    return 0;
}
