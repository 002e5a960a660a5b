/* `sallyport verify --feed`: tokens are judged by libsallyport, with revocation.
 *
 * The library is loaded when it is needed, and not linked: it brings libcurl and what that brings, which took
 * the idle server from 10.7 to 14.6 MiB and doubled the time that every command takes to start
 * (docs/internals/libsallyport.md).
 */
#ifndef SP_CLI_VERIFY_FEED_H
#define SP_CLI_VERIFY_FEED_H

#include "token/check.h"

struct sp_verify_feed;

struct sp_verify_feed_opts {
    const char *url, *credential_file;
    const char *feed_key, *ca_file; /* or NULL */
    sp_slice issuer, audience;      /* ended by NUL; empty: the URL, and the issuer */
    uint32_t algs;                  /* SP_ALG_BITs; 0: all that the feed has keys for */
    uint32_t leeway_s;
};

/* Opens, and waits until revocations are known. An exit status; what was wrong has been said. */
int sp_verify_feed_open(const struct sp_verify_feed_opts *opts, struct sp_verify_feed **ret);
void sp_verify_feed_close(struct sp_verify_feed *f); /* accepts NULL */
/* NULL: accepted, and *ret_payload is in the scratch. Otherwise the code of the refusal. */
const char *sp_verify_feed_judge(struct sp_verify_feed *f, sp_slice token, struct sp_check_scratch *scratch,
                                 sp_slice *ret_payload);

#endif
