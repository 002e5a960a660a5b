/* The default VFS of SQLite, but the nth write, sync or truncation of a file can fail. */
#ifndef TESTS_TORTURE_FAULT_VFS_H
#define TESTS_TORTURE_FAULT_VFS_H

#include <stdbool.h>

enum fault_kind {
    FAULT_IOERR, /* nothing is written */
    FAULT_FULL,  /* nothing is written, the disk is full */
    FAULT_SHORT, /* half of it is written */
    FAULT_LATE,  /* all of it is written, and the caller is told that it failed */
    FAULT_KINDS
};

#define FAULT_VFS "sallyport-fault"

/* Registers it, once. */
void fault_vfs_register(void);
/* The nth operation from now and the `times - 1` after it fail. */
void fault_arm(enum fault_kind kind, int nth, int times);
void fault_disarm(void);
/* Has any failed since it was armed? */
bool fault_fired(void);

#endif
