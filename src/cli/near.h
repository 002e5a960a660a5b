/* What somebody may have meant: the nearest of some words to one that is not among them. */
#ifndef SP_CLI_NEAR_H
#define SP_CLI_NEAR_H

#include <stddef.h>

enum { SP_NEAR_BYTES = 48 /* longer words are not compared: no command or option is as long */ };

struct sp_near {
    const char *typed; /* borrowed */
    size_t typed_n, distance;
    size_t word_n;
    const char *word; /* the nearest so far, borrowed; NULL: none is near enough */
};
struct sp_near sp_near_begin(const char *typed, size_t n);
void sp_near_try(struct sp_near *near, const char *word, size_t n);

#endif
