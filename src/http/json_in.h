/* Request bodies: one JSON object, read into fields that the caller declares.
 *
 * Refused, each with a code of its own that clients may rely on: text that is not JSON (malformed UTF-8,
 * U+0000 in a string, numbers out of range and anything after the object included), a name that comes twice,
 * a name that was not declared, a value of another type, one longer than its bound, a required one that is
 * missing. `null` is a type of its own and never means "absent".
 *
 * jansson does the parsing and rejects duplicates; the memory that it frees is wiped, since passwords pass
 * through it (the wiping allocator is installed before main and serves every user of jansson in the process).
 * Values borrow from the document until sp_json_in_done. Thread-safe on distinct documents. */
#ifndef SP_HTTP_JSON_IN_H
#define SP_HTTP_JSON_IN_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/slice.h"

enum sp_json_in_type {
    SP_JSON_IN_TEXT,   /* ret.text; 1 to `max` bytes of UTF-8, any characters but U+0000 */
    SP_JSON_IN_LABEL,  /* ret.text; 1 to `max` bytes of UTF-8 without control characters */
    SP_JSON_IN_MAYBE,  /* as LABEL, or empty */
    SP_JSON_IN_BOOL,   /* ret.flag */
    SP_JSON_IN_COUNT,  /* ret.count; an integer from 0 to `max` */
    SP_JSON_IN_OBJECT, /* ret.words: an object, written again as JSON of at most `max` bytes; its members are
                          the caller's to judge */
    SP_JSON_IN_WORDS,  /* ret.words: array of strings, each an OAuth scope token, none twice, gathered into a
                          word list of at most `max` bytes */
};

struct sp_json_in_field {
    const char *name;
    enum sp_json_in_type type;
    bool required;
    size_t max;
    union {
        sp_slice *text;
        bool *flag;
        int64_t *count;
        struct sp_buf *words;
    } ret;
    bool present; /* out */
};

enum sp_json_in_error {
    SP_JSON_IN_OK,
    SP_JSON_IN_NOT_JSON,
    SP_JSON_IN_NOT_OBJECT,
    SP_JSON_IN_DUPLICATE,
    SP_JSON_IN_UNKNOWN,
    SP_JSON_IN_WRONG_TYPE,
    SP_JSON_IN_BAD_VALUE,
    SP_JSON_IN_TOO_LONG,
    SP_JSON_IN_MISSING,
    SP_JSON_IN_NO_MEMORY,
    SP_JSON_IN_ERRORS
};
/* Stable text ("unknown_field"), and a sentence. */
const char *sp_json_in_code(enum sp_json_in_error e);
const char *sp_json_in_title(enum sp_json_in_error e);

enum {
    SP_JSON_IN_FIELDS_MAX = 24,
    SP_JSON_IN_UNKNOWN_BYTES_MAX = 64, /* twice our longest name: whoever misspells one reads it whole */
};

struct sp_json_in {
    void *root; /* json_t; owned */
    /* On error: the field concerned, or NULL. With SP_JSON_IN_UNKNOWN it is the client's word, which only the
     * client may be told: printable and short, else NULL; it stands in `unknown`. */
    const char *field;
    char unknown[SP_JSON_IN_UNKNOWN_BYTES_MAX + 1];
};
#define SP_JSON_IN_INIT                                                                                      \
    { .root = NULL, .field = NULL }

/* On failure nothing is stored through `ret`, but `words` buffers may have grown. */
enum sp_json_in_error sp_json_in_parse(struct sp_json_in *doc, sp_slice body, struct sp_json_in_field *fields,
                                       size_t n);
void sp_json_in_done(struct sp_json_in *doc);

#endif
