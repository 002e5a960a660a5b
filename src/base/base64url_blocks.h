/* Blocks of 16 characters of base64url at once, where the processor can (x86-64 with SSSE3). Internal to
 * base64url.c: the part of a token's check that touches every byte of it costs 30 ns for 500 characters so,
 * and 140 by tables. */
#ifndef SP_BASE_BASE64URL_BLOCKS_H
#define SP_BASE_BASE64URL_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SP_BASE64URL_BLOCK_CHARS 16
#define SP_BASE64URL_BLOCK_BYTES 12

bool sp_base64url_has_blocks(void);
/* Decodes `n` blocks; each writes 16 bytes, of which the last 4 are zero and belong to what follows. False:
 * one of the characters is a stranger, and what was written is rubbish. Only where there are blocks. */
bool sp_base64url_decode_blocks(const uint8_t *text, size_t n, uint8_t *out);

#endif
