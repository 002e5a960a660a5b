/* The state of a memory store. Inside src/store/memory*.c only. */
#ifndef SP_STORE_MEMORY_INT_H
#define SP_STORE_MEMORY_INT_H

#include <pthread.h>

#include "store/apply.h"
#include "store/memory.h"
#include "store/memory_table.h"

enum sp_mkind {
    SP_MUSERS, /* by (tenant, id) */
    SP_MNAMES, /* struct sp_mname, by (tenant, name) */
    SP_MROLES,
    SP_MKEYS,
    SP_MSESSIONS, /* by (tenant, sid) */
    SP_MREVOCATIONS,
    SP_MAUDIT,
    SP_MCLIENTS,
    SP_MCONSENTS, /* by (tenant, user, client) */
    SP_MLOGOUTS,
    SP_MTABLES
};

struct sp_mname {
    uint32_t tenant;
    sp_text256 name;
    uint8_t id[SP_ROW_ID_BYTES];
};

struct sp_memory_tables {
    struct sp_tables tables;
    struct sp_mtable t[SP_MTABLES];
    struct sp_mlog log;
    size_t marked; /* length of the log at the mark */
};

void sp_memory_tables_init(struct sp_memory_tables *m);
void sp_memory_tables_done(struct sp_memory_tables *m);
/* Copies into an initialized *to. SP_E_NOMEM: *to is as it was. */
sp_status sp_memory_tables_assign(struct sp_memory_tables *to, const struct sp_memory_tables *from);

/* Fills r->ret and r->status (memory_read.c). `meta`: as of the last commit. */
void sp_memory_serve_read(const struct sp_memory_tables *m, const struct sp_meta_row *meta,
                          struct sp_store_read *r);

/* Deep. */
sp_status sp_audit_row_copy(void *to, const void *from);

#endif
