/* The way out when nothing else helps. Once stopping has begun, the process is gone when the limit has passed
 * or another stop signal comes, whatever its threads are doing: by a signal handler that calls _exit.
 *
 * Nothing is lost by it. What was acknowledged is durable before its acknowledgement; what was not may be
 * asked for again. */
#ifndef SP_SERVER_LAST_EXIT_H
#define SP_SERVER_LAST_EXIT_H

enum {
    SP_LAST_EXIT_MS = 4800, /* together with the drain's limit: gone within 5 s of the first signal */
    SP_LAST_EXIT_CODE = 1,
};

/* Takes SIGTERM, SIGINT, SIGALRM and the real-time interval timer over, for good. */
void sp_last_exit_arm(void);

#endif
