/* How long, as people type it. */
#ifndef SP_CLI_DURATION_H
#define SP_CLI_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds, or with a unit: 90s, 15m, 24h, 7d. False: not one, or above the maximum. */
bool sp_duration_parse(const char *text, uint64_t max_s, uint64_t *ret_s);

#endif
