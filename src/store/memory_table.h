/* An ordered table of rows that are never changed in place: a put replaces a pointer, and the log of replaced
 * pointers is the undo. Sorted array, binary search: an insert moves pointers (8 bytes a row), which is fine
 * for what a memory store is for; a tree was not worth its code. Inside src/store/memory*.c only. */
#ifndef SP_STORE_MEMORY_TABLE_H
#define SP_STORE_MEMORY_TABLE_H

#include "base/mem.h"
#include "store/tables.h"

struct sp_mtype {
    size_t bytes;
    int (*compare)(const void *a, const void *b);  /* by key */
    sp_status (*copy)(void *to, const void *from); /* NULL: bytes; deep, for rows with a heap of their own */
    void (*done)(void *row);                       /* NULL: none */
};

struct sp_mtable {
    const struct sp_mtype *type;
    void **rows;
    size_t n, cap;
};

/* In place of `was` (NULL: absent) is now `is` (NULL: removed). */
struct sp_mundo {
    struct sp_mtable *table;
    void *was, *is;
};
struct sp_mlog {
    struct sp_mundo *entries;
    size_t n, cap;
};

/* Index of the first row not below `key`. */
size_t sp_mtable_from(const struct sp_mtable *t, const void *key);
/* The row with that key, or NULL. Borrowed until the table changes. */
void *sp_mtable_find(const struct sp_mtable *t, const void *key);
/* Inserts or replaces by a copy. SP_E_NOMEM: nothing changed. */
sp_status sp_mtable_put(struct sp_mtable *t, struct sp_mlog *log, const void *row);
/* Removes the row with that key, if there is one. */
sp_status sp_mtable_remove(struct sp_mtable *t, struct sp_mlog *log, const void *key);
void sp_mtable_done(struct sp_mtable *t);
/* Replaces all of *t by copies of from's rows. SP_E_NOMEM: *t is as it was. */
sp_status sp_mtable_assign(struct sp_mtable *t, const struct sp_mtable *from);

/* Back to when the log had n entries. */
void sp_mlog_undo(struct sp_mlog *log, size_t n);
/* What was replaced is forgotten. */
void sp_mlog_keep(struct sp_mlog *log);
void sp_mlog_done(struct sp_mlog *log);

#endif
