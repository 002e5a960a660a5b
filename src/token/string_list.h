/* A read-only list of strings that may hold any UTF-8, spaces too: `aud` is one (RFC 7519 section 4.1.3).
 * Lists whose words are ours (roles, permissions, scopes) are word lists instead: see base/text.h.
 *
 * Either one string, or many packed as 16-bit big endian length and bytes. Borrows what it points to. */
#ifndef SP_TOKEN_STRING_LIST_H
#define SP_TOKEN_STRING_LIST_H

#include "base/slice.h"

struct sp_strings {
    bool is_one;
    sp_slice bytes; /* the string itself, or the packed list */
};

#define SP_STRINGS_NONE ((struct sp_strings){.is_one = false, .bytes = SP_SLICE_EMPTY})
#define SP_STRINGS_PACKED_BYTES(string_bytes) (2 + (string_bytes))

static inline struct sp_strings sp_strings_one(sp_slice s) {
    return (struct sp_strings){.is_one = true, .bytes = s};
}
/* The iterator: struct sp_strings rest = list; sp_slice s; while (sp_strings_next(&rest, &s)) ... */
bool sp_strings_next(struct sp_strings *list, sp_slice *ret);
bool sp_strings_contain(struct sp_strings list, sp_slice s);
size_t sp_strings_count(struct sp_strings list);
/* Packs s at out[0..cap); the bytes written, 0 when it does not fit or s exceeds 65,535 bytes. */
size_t sp_strings_pack(sp_slice s, uint8_t *out, size_t cap);

#endif
