/* The sp_signer whose keys are in this process: signs with the key ring's snapshot of the moment. */
#ifndef SP_CORE_SIGNER_LOCAL_H
#define SP_CORE_SIGNER_LOCAL_H

#include "core/keys.h"
#include "core/signer.h"

struct sp_signer_local {
    struct sp_keys *keys;
    struct sp_seats *seats;
};
/* `local` is borrowed and outlives the port. */
struct sp_signer sp_signer_local_port(struct sp_signer_local *local);

#endif
