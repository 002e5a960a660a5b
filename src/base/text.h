/* Short texts that live inside their owner, so that rows have no heap of their own to lose.
 *
 *   sp_text64 name;  SP_TEXT_SET(&name, slice) -> sp_status;  SP_TEXT_SLICE(&name) -> sp_slice
 *
 * Word lists (roles, permissions, scopes) are texts too: words separated by one space, in the form of an
 * OAuth scope (RFC 6749 section 3.3), which no word may contain. */
#ifndef SP_BASE_TEXT_H
#define SP_BASE_TEXT_H

#include "base/slice.h"
#include "base/status.h"

#define SP_TEXT_TYPE(cap)                                                                                    \
    typedef struct sp_text##cap {                                                                            \
        uint16_t n;                                                                                          \
        char s[cap];                                                                                         \
    } sp_text##cap
SP_TEXT_TYPE(32);
SP_TEXT_TYPE(64);
SP_TEXT_TYPE(128);
SP_TEXT_TYPE(256);
SP_TEXT_TYPE(512);
SP_TEXT_TYPE(1024);
SP_TEXT_TYPE(4096);

/* SP_E_LIMIT when it does not fit; *t is then as it was. */
#define SP_TEXT_SET(t, slice) sp_text_set_((t)->s, sizeof((t)->s), &(t)->n, (slice))
#define SP_TEXT_SLICE(t) sp_slice_of((t)->s, (t)->n)
sp_status sp_text_set_(char *s, size_t cap, uint16_t *n, sp_slice value);

/* Word lists. The iterator: sp_slice list = ..., word; while (sp_words_next(&list, &word)) ... */
bool sp_words_next(sp_slice *list, sp_slice *ret_word);
bool sp_words_contain(sp_slice list, sp_slice word);
size_t sp_words_count(sp_slice list);
/* Words separated by exactly one space, each of 1 to word_max characters of RFC 6749's scope-token. */
bool sp_words_valid(sp_slice list, size_t word_max);

/* Well-formed UTF-8 (Unicode table 3-7: no surrogates, no overlong forms, at most U+10FFFF). */
bool sp_utf8_valid(sp_slice s);
/* Well-formed UTF-8 without C0, DEL or C1 control characters. */
bool sp_utf8_printable(sp_slice s);

#endif
