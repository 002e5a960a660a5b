/* A mark beside the database: how often the server had started, and how many records its audit log had, when
 * the mark was last written. A database that counts less is an older copy that was put back, and its sessions
 * may have moved on: DESIGN section 5, incarnation.
 *
 * It is written from what was committed and never before, so it may be behind the database and is never ahead
 * of it. It finds a database file that was replaced; it cannot find a whole data directory that was
 * (docs/THREATS.md). */
#ifndef SP_SERVER_BOOT_MARK_H
#define SP_SERVER_BOOT_MARK_H

#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

struct sp_boot_mark {
    uint64_t boots, audit_count;
};

enum { SP_BOOT_MARK_TEXT_BYTES = 20 + 1 + 20 + 1 + 1 }; /* two numbers, space, newline, NUL */
/* "BOOTS AUDIT_COUNT\n", without the newline, or BOOTS alone, as it once was. SP_E_MALFORMED. */
sp_status sp_boot_mark_parse(sp_slice text, struct sp_boot_mark *ret);
/* The text that is written; its length. */
size_t sp_boot_mark_text(const struct sp_boot_mark *mark, char ret[SP_BOOT_MARK_TEXT_BYTES]);

/* All 0 when there is no mark. SP_E_MALFORMED, SP_E_IO. */
sp_status sp_boot_mark_read(const char *data_dir, struct sp_boot_mark *ret);
/* Replaces it atomically, and durably. */
sp_status sp_boot_mark_write(const char *data_dir, const struct sp_boot_mark *mark);

#endif
