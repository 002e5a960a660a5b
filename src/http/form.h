/* application/x-www-form-urlencoded: the bodies of /oauth2, and the queries of its pages.
 *
 * Read into fields that the caller declares, as JSON bodies are (json_in.h), but as RFC 6749 wants it: a name
 * that was not declared is ignored, a value that is empty counts as not sent, a declared name that comes
 * twice is refused, unless it is declared as a list (`resource`, RFC 8707). Names are decoded before they are
 * compared, so that no spelling of a name hides a second value of it.
 *
 * Decoding knows '+' and '%XX' in either case and takes nothing but printable ASCII besides: what browsers
 * and clients write. A value is well-formed UTF-8 without U+0000, and without other control characters unless
 * the field may have any (a password). Pure, thread-safe. */
#ifndef SP_HTTP_FORM_H
#define SP_HTTP_FORM_H

#include "base/slice.h"
#include "base/status.h"

enum {
    SP_FORM_PAIRS_MAX = 64,  /* our fullest form has 23; the rest is for what others invent, each compared
                                with every field */
    SP_FORM_FIELDS_MAX = 32, /* declared by one caller */
    SP_FORM_LIST_MAX = 8,    /* SP_OAUTH_RESOURCES_MAX */
};

/* Values of one name that may come more than once. */
struct sp_form_list {
    size_t n;
    sp_slice item[SP_FORM_LIST_MAX];
};

enum sp_form_characters { SP_FORM_PRINTABLE, SP_FORM_ANY };

struct sp_form_field {
    const char *name;
    size_t max; /* bytes of the value, decoded */
    sp_slice *ret;
    struct sp_form_list *list; /* instead of ret */
    enum sp_form_characters characters;
};

enum sp_form_error {
    SP_FORM_OK,
    SP_FORM_MALFORMED,  /* not of this encoding, or no text */
    SP_FORM_CHARACTERS, /* control characters in a value that may have none */
    SP_FORM_REPEATED,
    SP_FORM_TOO_LONG, /* a value */
    SP_FORM_TOO_MANY, /* pairs, or values of a list */
    SP_FORM_ERRORS
};
/* What is wrong, in words for developers; static. */
const char *sp_form_error_text(enum sp_form_error e);

/* `text` has room for raw.n bytes; the values borrow from it. A parameter that was not sent has p == NULL. On
 * failure nothing is written through `ret` and `list`, and *ret_name is the declared name concerned, or NULL:
 * never one that the client chose. */
enum sp_form_error sp_form_parse(sp_slice raw, uint8_t *text, const struct sp_form_field *fields, size_t n,
                                 const char **ret_name);

/* One encoded part into out, which has room for in.n bytes. SP_E_MALFORMED. */
sp_status sp_form_decode(sp_slice in, uint8_t *out, size_t *ret_n);

#endif
