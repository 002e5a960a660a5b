/* The log sink: one JSON object a line, or plain text for a person at a terminal. Each line is one write(2),
 * so lines of threads do not mix; a line that does not fit SP_LOG_LINE_BYTES is cut, never split.
 * Thread-safe. */
#ifndef SP_SERVER_LOG_H
#define SP_SERVER_LOG_H

#include <stdatomic.h>

#include "base/ports.h"

enum { SP_LOG_LINE_BYTES = 4096 }; /* a pipe takes this much in one piece (PIPE_BUF) */

enum sp_log_format { SP_LOG_JSON, SP_LOG_PLAIN };

struct sp_log_sink {
    int fd;
    /* May be changed at any time from any thread: a line takes the old or the new one. */
    _Atomic(enum sp_log_format) format;
    _Atomic(enum sp_log_level) least;
    struct sp_clock clock;
};
/* The port; borrows the sink. */
struct sp_log sp_log_sink_port(struct sp_log_sink *sink);
bool sp_log_level_parse(const char *name, enum sp_log_level *ret);

#endif
