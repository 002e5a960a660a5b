/* Complete tables only. A switch in a switch was turned down: the compiler warns of a forgotten state, but
 * not of a forgotten pair, and nobody can read the whole machine at a glance. */
#include "base/table.h"

static const struct sp_table_key *key_at(const struct sp_table *t, size_t i) {
    return (const struct sp_table_key *)(const void *)((const char *)t->rows + i * t->row_bytes);
}

static size_t rows_for(const struct sp_table *t, unsigned state, unsigned event) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += key_at(t, i)->state == state && key_at(t, i)->event == event;
    return n;
}

static struct sp_table_report check_ranges(const struct sp_table *t) {
    for (size_t i = 0; i < t->n; i++) {
        const struct sp_table_key *k = key_at(t, i);
        if (k->state >= t->states || k->event >= t->events || k->next >= t->states)
            return (struct sp_table_report){SP_TABLE_OUT_OF_RANGE, k->state, k->event};
    }
    return (struct sp_table_report){SP_TABLE_COMPLETE, 0, 0};
}

struct sp_table_report sp_table_check(const struct sp_table *t) {
    struct sp_table_report report = check_ranges(t);
    if (report.verdict != SP_TABLE_COMPLETE) return report;
    for (unsigned state = 0; state < t->states; state++) {
        for (unsigned event = 0; event < t->events; event++) {
            size_t n = rows_for(t, state, event);
            if (n == 0) return (struct sp_table_report){SP_TABLE_MISSING, state, event};
            if (n > 1) return (struct sp_table_report){SP_TABLE_TWICE, state, event};
        }
    }
    return report;
}

const void *sp_table_find(const struct sp_table *t, unsigned state, unsigned event) {
    for (size_t i = 0; i < t->n; i++)
        if (key_at(t, i)->state == state && key_at(t, i)->event == event) return key_at(t, i);
    return NULL;
}
