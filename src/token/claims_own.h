/* The payload as our own servers write it, read without building a tree. Internal to src/token.
 *
 * Every cold check reads one, and a tree of JSON that is searched by name afterwards costs three times the
 * HMAC beside it. What is read here is a part of what sp_claims_parse accepts: ASCII, no escapes, no white
 * space, the members of claims_fields.h in their order (which alone makes duplicates impossible), each of its
 * plainest form. Everything else is not refused but declined, and read by the tree. fuzz/token/fuzz_claims.c
 * holds both against each other. */
#ifndef SP_TOKEN_CLAIMS_OWN_H
#define SP_TOKEN_CLAIMS_OWN_H

#include "token/claims.h"

/* False: not of that form; *ret_claims is then as it was. */
bool sp_claims_parse_own(sp_slice payload, struct sp_claims_scratch *scratch, struct sp_claims *ret_claims);
/* sp_claims_parse without it. */
enum sp_reject sp_claims_parse_tree(sp_slice payload, enum sp_claims_profile profile,
                                    struct sp_claims_scratch *scratch, struct sp_claims *ret_claims);

#endif
