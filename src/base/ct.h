/* Comparison in constant time, for secrets. Lengths are public. */
#ifndef SP_BASE_CT_H
#define SP_BASE_CT_H

#include "base/slice.h"

bool sp_ct_equal(sp_slice a, sp_slice b);

#endif
