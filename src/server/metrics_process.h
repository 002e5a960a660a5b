/* What the kernel knows about this process, for metrics. */
#ifndef SP_SERVER_METRICS_PROCESS_H
#define SP_SERVER_METRICS_PROCESS_H

#include <stdint.h>

struct sp_process_start {
    int64_t wall_ms;
};
struct sp_process_facts { /* 0: not known */
    int64_t started_ms;
    uint64_t cpu_us, resident_bytes, virtual_bytes, open_fds, max_fds;
};

void sp_process_start(struct sp_process_start *ret);
void sp_process_look(const struct sp_process_start *start, struct sp_process_facts *ret);

#endif
