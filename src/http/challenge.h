/* WWW-Authenticate: how to do better (RFC 9110 section 11.6.1, RFC 6750 section 3, RFC 9449 section 7.1, RFC
 * 9470). Pure, thread-safe. */
#ifndef SP_HTTP_CHALLENGE_H
#define SP_HTTP_CHALLENGE_H

#include "base/buf.h"

enum sp_challenge_scheme { SP_CHALLENGE_BEARER, SP_CHALLENGE_DPOP };

struct sp_challenge {
    enum sp_challenge_scheme scheme;
    const char *error;       /* NULL: no token was shown, and nothing is said of one */
    const char *description; /* NULL: none. Ours: printable ASCII without '"' and '\' */
    sp_slice scope;          /* a word list; left out when it is none, whoever chose it */
    sp_slice acr_values;     /* likewise */
    int64_t max_age_s;       /* -1: none */
};
#define SP_CHALLENGE_INIT                                                                                    \
    { .error = NULL, .max_age_s = -1 }

/* What may sign a proof or an assertion: all that is asymmetric (crypto/sig.h, SP_ALG_PUBLIC). */
#define SP_PUBLIC_ALGS "ES256 RS256 PS256 EdDSA"

enum { SP_CHALLENGE_BYTES_MAX = 1024 }; /* with the longest permission and a handful of acr */
/* Appends one challenge. SP_E_LIMIT, SP_E_NOMEM. */
sp_status sp_challenge_write(const struct sp_challenge *c, struct sp_buf *ret);

#endif
