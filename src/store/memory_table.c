#include "store/memory_table.h"

#include "base/assert.h"

enum { AT_FIRST = 16 };

static void row_free(const struct sp_mtype *type, void *row) {
    if (row == NULL) return;
    if (type->done != NULL) type->done(row);
    sp_free_wiped(row, type->bytes); /* users, sessions and keys carry secrets */
}

static void *row_copy(const struct sp_mtype *type, const void *row) {
    void *copy = malloc(type->bytes);
    if (copy == NULL) return NULL;
    if (type->copy == NULL) {
        memcpy(copy, row, type->bytes);
    } else if (!sp_ok(type->copy(copy, row))) {
        free(copy);
        return NULL;
    }
    return copy;
}

/* Room for n elements of `bytes`; doubles. */
static sp_status make_room(void *array, size_t *cap, size_t n, size_t bytes) {
    if (n <= *cap) return SP_SUCCESS;
    size_t wanted = *cap == 0 ? AT_FIRST : *cap * 2, total;
    if (wanted < n) wanted = n;
    if (!sp_mul_size(wanted, bytes, &total)) return sp_err(SP_E_NOMEM);
    void *old, *grown;
    memcpy(&old, array, sizeof(old));
    grown = realloc(old, total);
    if (grown == NULL) return sp_err(SP_E_NOMEM);
    memcpy(array, &grown, sizeof(grown));
    *cap = wanted;
    return SP_SUCCESS;
}

/* ---- finding ---- */

size_t sp_mtable_from(const struct sp_mtable *t, const void *key) {
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->type->compare(t->rows[mid], key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool is_at(const struct sp_mtable *t, size_t i, const void *key) {
    return i < t->n && t->type->compare(t->rows[i], key) == 0;
}

void *sp_mtable_find(const struct sp_mtable *t, const void *key) {
    size_t i = sp_mtable_from(t, key);
    return is_at(t, i, key) ? t->rows[i] : NULL;
}

/* ---- changing: the array has room and the log too, so nothing below fails ---- */

static void place(struct sp_mtable *t, size_t i, void *row) {
    memmove(&t->rows[i + 1], &t->rows[i], (t->n - i) * sizeof(t->rows[0]));
    t->rows[i] = row;
    t->n++;
}

static void displace(struct sp_mtable *t, size_t i) {
    t->n--;
    memmove(&t->rows[i], &t->rows[i + 1], (t->n - i) * sizeof(t->rows[0]));
}

static sp_status log_room(struct sp_mlog *log) {
    return make_room(&log->entries, &log->cap, log->n + 1, sizeof(log->entries[0]));
}

sp_status sp_mtable_put(struct sp_mtable *t, struct sp_mlog *log, const void *row) {
    SP_TRY(log_room(log));
    SP_TRY(make_room(&t->rows, &t->cap, t->n + 1, sizeof(t->rows[0])));
    void *copy = row_copy(t->type, row), *was = NULL;
    if (copy == NULL) return sp_err(SP_E_NOMEM);
    size_t i = sp_mtable_from(t, row);
    if (is_at(t, i, row)) {
        was = t->rows[i];
        t->rows[i] = copy;
    } else {
        place(t, i, copy);
    }
    log->entries[log->n++] = (struct sp_mundo){t, was, copy};
    return SP_SUCCESS;
}

sp_status sp_mtable_remove(struct sp_mtable *t, struct sp_mlog *log, const void *key) {
    SP_TRY(log_room(log));
    size_t i = sp_mtable_from(t, key);
    if (!is_at(t, i, key)) return SP_SUCCESS;
    log->entries[log->n++] = (struct sp_mundo){t, t->rows[i], NULL};
    displace(t, i);
    return SP_SUCCESS;
}

/* A removal left its room in the array, so putting it back needs none. */
static void undo_one(const struct sp_mundo *u) {
    struct sp_mtable *t = u->table;
    size_t i = sp_mtable_from(t, u->is != NULL ? u->is : u->was);
    if (u->is == NULL) {
        place(t, i, u->was);
        return;
    }
    sp_assert(i < t->n && t->rows[i] == u->is);
    if (u->was != NULL)
        t->rows[i] = u->was;
    else
        displace(t, i);
    row_free(t->type, u->is);
}

void sp_mlog_undo(struct sp_mlog *log, size_t n) {
    while (log->n > n) undo_one(&log->entries[--log->n]);
}

void sp_mlog_keep(struct sp_mlog *log) {
    for (size_t i = 0; i < log->n; i++) row_free(log->entries[i].table->type, log->entries[i].was);
    log->n = 0;
}

void sp_mlog_done(struct sp_mlog *log) {
    sp_mlog_keep(log);
    free(log->entries);
    *log = (struct sp_mlog){0};
}

/* ---- whole tables ---- */

void sp_mtable_done(struct sp_mtable *t) {
    for (size_t i = 0; i < t->n; i++) row_free(t->type, t->rows[i]);
    free(t->rows);
    *t = (struct sp_mtable){.type = t->type};
}

sp_status sp_mtable_assign(struct sp_mtable *t, const struct sp_mtable *from) {
    struct sp_mtable copy = {.type = from->type};
    SP_TRY(make_room(&copy.rows, &copy.cap, from->n, sizeof(copy.rows[0])));
    for (; copy.n < from->n; copy.n++) {
        copy.rows[copy.n] = row_copy(from->type, from->rows[copy.n]);
        if (copy.rows[copy.n] != NULL) continue;
        sp_mtable_done(&copy);
        return sp_err(SP_E_NOMEM);
    }
    sp_mtable_done(t);
    *t = copy;
    return SP_SUCCESS;
}
