#include "cli/confirm.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* On the terminal itself: standard input may be a pipe that has nothing to do with the question. */
int sp_confirm(const struct sp_invocation *in, const char *question, const char *word) {
    char line[1024] = "";
    if (sp_invocation_option(in, "yes") != NULL) return SP_EXIT_OK;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    FILE *terminal = tty < 0 ? NULL : fdopen(tty, "r+");
    if (terminal == NULL)
        return sp_usage_error(in->command, "there is no terminal to ask for confirmation; use --yes");
    fputs(question, terminal);
    fflush(terminal);
    char *got = fgets(line, sizeof(line), terminal);
    fclose(terminal);
    line[strcspn(line, "\n")] = 0;
    if (got != NULL && strcmp(line, word) == 0) return SP_EXIT_OK;
    fprintf(stderr, "sallyport: nothing was changed\n");
    return SP_EXIT_FAILED;
}
