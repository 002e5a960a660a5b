#include "server/last_exit.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static void say(const char *words, size_t n) {
    const ssize_t written = write(STDERR_FILENO, words, n);
    (void)written; /* who cannot be told is not told */
}

/* Async-signal-safe: write and _exit only. */
static void leave(int signo) {
    static const char late[] = "sallyport: not stopped in time, leaving at once\n";
    static const char again[] = "sallyport: told to stop again, leaving at once\n";
    if (signo == SIGALRM) {
        say(late, sizeof(late) - 1);
    } else {
        say(again, sizeof(again) - 1);
    }
    _exit(SP_LAST_EXIT_CODE);
}

void sp_last_exit_arm(void) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = leave;
    sigemptyset(&action.sa_mask);
    const int signals[] = {SIGALRM, SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaction(signals[i], &action, NULL);
    const struct itimerval limit = {
        .it_value = {.tv_sec = SP_LAST_EXIT_MS / 1000, .tv_usec = SP_LAST_EXIT_MS % 1000 * 1000}};
    (void)setitimer(ITIMER_REAL, &limit, NULL);
}
