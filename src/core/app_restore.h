/* The use case of `sallyport restore`: offline, on a copy of a backup that is about to become the store. */
#ifndef SP_CORE_APP_RESTORE_H
#define SP_CORE_APP_RESTORE_H

#include "base/ports.h"
#include "core/store.h"

struct sp_restore_request {
    sp_slice master_key;
    bool keep_sessions;
    uint32_t incarnation_above; /* of the store that it replaces; 0: unknown */
    uint32_t uid;               /* who restores */
    sp_slice file;              /* the backup's name, for the record */
    int64_t now_ms;
    struct sp_random random;
    void (*progress)(void *arg, uint64_t done, uint64_t total); /* audit records verified; may be NULL */
    void *progress_arg;
};
struct sp_restore_result {
    uint64_t boots;        /* that the backup counts: for the mark beside the database */
    uint64_t audit_count;  /* records in the backup */
    const char *audit_why; /* NULL: the backup's audit log is intact; it is restored either way */
    uint64_t audit_bad_seq;
};
/* Checks the store and makes it say what it must; takes it, and closes it whatever happens. Blocks.
 * SP_E_CRYPTO: the master key is not the one that sealed its keys. */
sp_status sp_restore_finish(struct sp_store *store, const struct sp_restore_request *in,
                            struct sp_restore_result *ret);

#endif
