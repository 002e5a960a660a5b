#include "server/metrics_process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/ports.h"

void sp_process_start(struct sp_process_start *ret) {
    ret->wall_ms = sp_clock_wall_ms(&sp_clock_system);
}

static void look_at_memory(struct sp_process_facts *ret) {
    uint64_t virtual_pages, resident_pages, page = (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL) return;
    /* NOLINTNEXTLINE: numbers of the kernel's own */
    if (fscanf(f, "%" SCNu64 " %" SCNu64, &virtual_pages, &resident_pages) == 2) {
        ret->virtual_bytes = virtual_pages * page;
        ret->resident_bytes = resident_pages * page;
    }
    fclose(f);
}

static void look_at_descriptors(struct sp_process_facts *ret) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) ret->max_fds = limit.rlim_cur;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) return;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) ret->open_fds += entry->d_name[0] != '.';
    ret->open_fds--; /* the directory's own */
    closedir(dir);
}

static uint64_t us_of(struct timeval t) {
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

void sp_process_look(const struct sp_process_start *start, struct sp_process_facts *ret) {
    struct rusage usage;
    memset(ret, 0, sizeof(*ret));
    ret->started_ms = start->wall_ms;
    if (getrusage(RUSAGE_SELF, &usage) == 0) ret->cpu_us = us_of(usage.ru_utime) + us_of(usage.ru_stime);
    look_at_memory(ret);
    look_at_descriptors(ret);
}
