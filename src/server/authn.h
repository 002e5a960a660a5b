/* The authn port of core over src/verify, and each thread's reader. */
#ifndef SP_SERVER_AUTHN_H
#define SP_SERVER_AUTHN_H

#include "core/ports.h"
#include "verify/verifier.h"

struct sp_authn_local;
/* The verifier is borrowed. */
sp_status sp_authn_local_new(struct sp_verifier *verifier, struct sp_authn_local **ret);
/* No thread checks any more. Accepts NULL. */
void sp_authn_local_free(struct sp_authn_local *a);
SP_DEFINE_FREE(sp_authn_local);
struct sp_authn sp_authn_local_port(struct sp_authn_local *a);

#endif
