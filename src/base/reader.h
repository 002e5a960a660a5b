/* Reads a slice from left to right. Every function either takes exactly what it names, or fails with
 * SP_E_MALFORMED and leaves the reader where it was. Taken slices borrow from the input. */
#ifndef SP_BASE_READER_H
#define SP_BASE_READER_H

#include "base/slice.h"
#include "base/status.h"

struct sp_reader {
    sp_slice rest;
};

#define SP_READER(s) ((struct sp_reader){(s)})

sp_status sp_reader_u8(struct sp_reader *r, uint8_t *ret);
sp_status sp_reader_u32be(struct sp_reader *r, uint32_t *ret);
sp_status sp_reader_u64be(struct sp_reader *r, uint64_t *ret);
sp_status sp_reader_bytes(struct sp_reader *r, size_t n, sp_slice *ret);
/* Copies exactly n bytes to p. */
sp_status sp_reader_copy(struct sp_reader *r, void *p, size_t n);
/* Up to the next `delim`, which is taken too and is not part of *ret; fails when there is none. */
sp_status sp_reader_until(struct sp_reader *r, char delim, sp_slice *ret);
/* Everything that is left; possibly nothing. */
sp_slice sp_reader_rest(struct sp_reader *r);
/* Leftover bytes are an attack, not a detail. */
sp_status sp_reader_end(const struct sp_reader *r);

#endif
