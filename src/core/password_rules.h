/* What makes a new password guessable, whatever its length: NIST SP 800-63B section 5.1.1.2 asks to compare
 * it with common passwords, dictionary words, and repetitive or sequential characters. There are no rules of
 * composition: they make people write `Password1!`.
 *
 * The word list is somebody else's (server/dictionary.h reads cracklib's); here is only what is looked up in
 * it. It is asked for the password itself and for what people make of a word to please a rule: digits
 * and signs around it (up to DECORATION_MAX), letters written as digits and signs, separators inside, the
 * word twice. Pure. Thread-safe as far as the list is. */
#ifndef SP_CORE_PASSWORD_RULES_H
#define SP_CORE_PASSWORD_RULES_H

#include "base/mem.h"
#include "base/slice.h"

enum {
    SP_LISTED_WORD_CHARS_MAX = 31, /* cracklib keeps no longer ones */
};

struct sp_word_list {
    /* Is this word in the list? It is given in lower case, 1 to SP_LISTED_WORD_CHARS_MAX characters of a-z
     * and 0-9. May block for some microseconds. NULL: there is no list. */
    bool (*has)(void *arg, const char *word);
    void *arg;
};

/* `prepared`: as sp_password_prepare left it. */
bool sp_password_is_common(sp_slice prepared, const struct sp_word_list *list);

/* Runs (12345678, aaaaaaaa, abcdefgh), rows of keys (qwertyui), and at most one break between two of them
 * (qwer1234); one to three characters over and over (abcabcabc). */
bool sp_password_is_simple(sp_slice prepared);

#endif
