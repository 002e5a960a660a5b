/* A mark beside the database: how often the server had started when it last did. A database that counts fewer
 * starts than its mark is an older copy that was put back, and its sessions may have moved on: DESIGN section
 * 5, incarnation.
 *
 * It finds a database file that was replaced; it cannot find a whole data directory that was
 * (docs/THREATS.md). */
#ifndef SP_SERVER_BOOT_MARK_H
#define SP_SERVER_BOOT_MARK_H

#include "base/status.h"

#include <stdint.h>

/* 0 when there is no mark. SP_E_MALFORMED, SP_E_IO. */
sp_status sp_boot_mark_read(const char *data_dir, uint64_t *ret);
/* Replaces it atomically. */
sp_status sp_boot_mark_write(const char *data_dir, uint64_t boots);

#endif
