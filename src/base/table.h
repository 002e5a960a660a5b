/* The state-table checker: proves that a machine answers every event in every state, once.
 *
 * A machine is an array of rows, each beginning with its key:
 *
 *   struct row { struct sp_table_key key; enum action action; };
 *   static const struct row rows[] = {{{SIGNING, EV_ROTATE, RETIRED}, publish}, ...};
 *
 * A refusal is a row like any other. What is missing was not thought about, and what stands there twice was
 * thought about twice; both are faults, found by a test or at the start, never by an event that comes in.
 *
 * Pure; quadratic, for tables of tens of rows. */
#ifndef SP_BASE_TABLE_H
#define SP_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct sp_table_key {
    uint8_t state;
    uint8_t event;
    uint8_t next;
};

struct sp_table {
    const void *rows;
    size_t row_bytes; /* each row begins with a struct sp_table_key */
    size_t n;
    unsigned states; /* 0 .. states - 1 */
    unsigned events;
};

#define SP_TABLE(rows_, states_, events_)                                                                    \
    ((struct sp_table){(rows_), sizeof((rows_)[0]), sizeof(rows_) / sizeof((rows_)[0]), (states_), (events_)})

enum sp_table_verdict {
    SP_TABLE_COMPLETE,
    SP_TABLE_OUT_OF_RANGE, /* a row names a state or an event that does not exist */
    SP_TABLE_MISSING,      /* no row for this pair */
    SP_TABLE_TWICE,        /* more than one */
};

struct sp_table_report {
    enum sp_table_verdict verdict;
    unsigned state, event; /* of the first fault */
};

struct sp_table_report sp_table_check(const struct sp_table *table);

/* The row for (state, event); NULL when there is none, which a checked table never answers. */
const void *sp_table_find(const struct sp_table *table, unsigned state, unsigned event);

#endif
