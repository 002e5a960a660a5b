#include "cli/near.h"

#include <string.h>

/* Two slips of the finger; of a short word one, or everything would be near it. */
enum { DISTANCE_MAX = 2, SHORT_CHARS = 4 };

struct sp_near sp_near_begin(const char *typed, size_t n) {
    return (struct sp_near){
        .typed = typed, .typed_n = n, .distance = n < SHORT_CHARS ? DISTANCE_MAX : DISTANCE_MAX + 1};
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Levenshtein's, of one row: insertions, deletions, other letters. */
static size_t distance_of(const char *a, size_t a_n, const char *b, size_t b_n) {
    size_t row[SP_NEAR_BYTES + 1];
    for (size_t j = 0; j <= b_n; j++) row[j] = j;
    for (size_t i = 1; i <= a_n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_n; j++) {
            const size_t other = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(other, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_n];
}

void sp_near_try(struct sp_near *near, const char *word, size_t n) {
    if (near->typed_n == 0 || near->typed_n > SP_NEAR_BYTES || n > SP_NEAR_BYTES || n < 2) return;
    const size_t distance = distance_of(near->typed, near->typed_n, word, n);
    if (distance >= near->distance) return;
    near->distance = distance;
    near->word = word;
    near->word_n = n;
}
