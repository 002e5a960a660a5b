/* What people see: aligned tables, and JSON for those who pipe. */
#ifndef SP_CLI_OUTPUT_H
#define SP_CLI_OUTPUT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct sp_column {
    const char *title;
    const char *member; /* of each row; lists are joined with ", ", booleans are yes or no, absent is "-" */
};
/* One row for each object of the array. Text that a terminal could act on is escaped. */
void sp_print_table(FILE *out, const struct sp_column *columns, size_t n, const json_t *rows);
/* One line for each member that the columns name: "title: value". */
void sp_print_record(FILE *out, const struct sp_column *columns, size_t n, const json_t *object);
void sp_print_json(FILE *out, const json_t *value);
/* The values of one row on one line, for lists that never end. */
void sp_print_line(FILE *out, const struct sp_column *columns, size_t n, const json_t *object);
/* "what  42%" on a terminal's stderr, nothing elsewhere. */
void sp_progress(const char *what, uint64_t done, uint64_t total);
void sp_progress_end(void);

#endif
