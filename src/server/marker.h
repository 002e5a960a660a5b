/* Keeps the mark beside the database up to date (boot_mark.h): when it is made, every few seconds when there
 * are new audit records, and at the end.
 *
 * A thread of its own, since the mark is synced to disk: no loop, and not the store's writer, waits for that.
 * What it writes it has read from the store, so it is committed. A crash leaves the mark some seconds behind:
 * a copy that is younger than the mark is not found. */
#ifndef SP_SERVER_MARKER_H
#define SP_SERVER_MARKER_H

#include "base/ports.h"
#include "core/store.h"

struct sp_marker;

/* Writes the first mark before it returns. data_dir and store are borrowed. */
sp_status sp_marker_new(const char *data_dir, struct sp_store *store, struct sp_log log,
                        struct sp_marker **ret);
/* Writes the last mark; the store still works. */
void sp_marker_free(struct sp_marker *m);

#endif
