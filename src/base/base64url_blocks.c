/* After W. Mula and D. Lemire, "Faster Base64 Encoding and Decoding using AVX2 Instructions" (2018), with the
 * tables for the URL alphabet: both halves of a character are looked up in tables of 16 bits sets, which have
 * a bit in common exactly for strangers; the upper half gives what to add to make a digit of it. */
#include "base/base64url_blocks.h"

#if defined(__x86_64__)
#include <tmmintrin.h>

bool sp_base64url_has_blocks(void) {
    return __builtin_cpu_supports("ssse3") != 0;
}

/* Which characters are strangers: a bit for each kind of upper half. 2: only '-'; 3: 0 to 9; 4 and 6: from 1
 * on; 5: up to 'Z', and '_'; 7: up to 'z'; all others: none. */
enum { DASH = 1, DIGIT = 2, LETTER = 4, UPPER_END = 8, LOWER_END = 16, NEVER = 32 };
#define UPPER_HALVES                                                                                         \
    NEVER, NEVER, DASH, DIGIT, LETTER, UPPER_END, LETTER, LOWER_END, NEVER, NEVER, NEVER, NEVER, NEVER,      \
        NEVER, NEVER, NEVER
#define ENDS (UPPER_END | LOWER_END)
#define LOWER_HALVES                                                                                         \
    NEVER | DASH | LETTER, NEVER | DASH, NEVER | DASH, NEVER | DASH, NEVER | DASH, NEVER | DASH,             \
        NEVER | DASH, NEVER | DASH, NEVER | DASH, NEVER | DASH, NEVER | DASH | DIGIT,                        \
        NEVER | DASH | DIGIT | ENDS, NEVER | DASH | DIGIT | ENDS, NEVER | DIGIT | ENDS,                      \
        NEVER | DASH | DIGIT | ENDS, NEVER | DASH | DIGIT | LOWER_END

/* What makes a digit of a character, by its upper half; '_' counts as 8. */
#define TO_DIGIT 0, 0, 62 - '-', 52 - '0', -'A', -'A', 26 - 'a', 26 - 'a', 63 - '_', 0, 0, 0, 0, 0, 0, 0

__attribute__((target("ssse3"))) static __m128i pack(__m128i digits) {
    /* 6 + 6 bits in every second byte, then 12 + 12 in every fourth, then the three bytes of each in order */
    const __m128i order = _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    __m128i twelve = _mm_maddubs_epi16(digits, _mm_set1_epi32(0x01400140));
    __m128i all = _mm_madd_epi16(twelve, _mm_set1_epi32(0x00011000));
    return _mm_shuffle_epi8(all, order);
}

__attribute__((target("ssse3"))) bool sp_base64url_decode_blocks(const uint8_t *text, size_t n,
                                                                 uint8_t *out) {
    const __m128i upper_halves = _mm_setr_epi8(UPPER_HALVES), lower_halves = _mm_setr_epi8(LOWER_HALVES);
    const __m128i to_digit = _mm_setr_epi8(TO_DIGIT), half = _mm_set1_epi8(0x0f);
    const __m128i underscore = _mm_set1_epi8('_'), three = _mm_set1_epi8(3);
    __m128i strangers = _mm_setzero_si128();
    for (; n > 0; n--, text += SP_BASE64URL_BLOCK_CHARS, out += SP_BASE64URL_BLOCK_BYTES) {
        __m128i c = _mm_loadu_si128((const __m128i *)(const void *)text);
        __m128i upper = _mm_and_si128(_mm_srli_epi32(c, 4), half), lower = _mm_and_si128(c, half);
        __m128i found =
            _mm_and_si128(_mm_shuffle_epi8(upper_halves, upper), _mm_shuffle_epi8(lower_halves, lower));
        __m128i is_underscore = _mm_cmpeq_epi8(c, underscore);
        __m128i row = _mm_add_epi8(upper, _mm_and_si128(is_underscore, three));
        __m128i digits = _mm_add_epi8(c, _mm_shuffle_epi8(to_digit, row));
        strangers = _mm_or_si128(strangers, found);
        _mm_storeu_si128((__m128i *)(void *)out, pack(digits));
    }
    return _mm_movemask_epi8(_mm_cmpeq_epi8(strangers, _mm_setzero_si128())) == 0xffff;
}

#else

bool sp_base64url_has_blocks(void) {
    return false;
}
bool sp_base64url_decode_blocks(const uint8_t *text, size_t n, uint8_t *out) {
    (void)text;
    (void)out;
    return n == 0;
}

#endif
