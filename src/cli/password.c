#include "cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/ct.h"
#include "base/mem.h"

/* Byte by byte with read(2): stdio would keep a copy in its buffer. False: end of file before anything, an
 * error, a NUL, or too long. */
static bool read_line(int fd, char ret[SP_CLI_PASSWORD_BYTES]) {
    size_t n = 0;
    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 || (got == 0 && n == 0)) return false;
        if (got == 0 || c == '\n') break;
        if (c == 0 || n == SP_CLI_PASSWORD_BYTES - 1) return false;
        ret[n++] = c;
    }
    ret[n] = 0;
    return true;
}

static bool ask(int tty, const char *prompt, char ret[SP_CLI_PASSWORD_BYTES]) {
    struct termios before, silent;
    if (tcgetattr(tty, &before) != 0) return false;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    dprintf(tty, "%s", prompt);
    tcsetattr(tty, TCSAFLUSH, &silent);
    bool ok = read_line(tty, ret);
    tcsetattr(tty, TCSAFLUSH, &before);
    dprintf(tty, "\n");
    return ok;
}

static int ask_twice(const struct sp_invocation *in, char ret[SP_CLI_PASSWORD_BYTES]) {
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return sp_usage_error(in->command,
                              "there is no terminal to ask for the password; use --password-stdin");
    char again[SP_CLI_PASSWORD_BYTES] = "";
    bool same = ask(tty, "Password: ", ret) && ask(tty, "Again: ", again) &&
                sp_ct_equal(sp_slice_cstr(ret), sp_slice_cstr(again));
    sp_wipe(again, sizeof(again));
    close(tty);
    return same ? SP_EXIT_OK : sp_usage_error(in->command, "the two passwords differ");
}

int sp_password_get(const struct sp_invocation *in, char ret[SP_CLI_PASSWORD_BYTES]) {
    if (sp_invocation_option(in, "password-stdin") == NULL) return ask_twice(in, ret);
    if (!read_line(STDIN_FILENO, ret))
        return sp_usage_error(in->command, "no password of up to 1024 bytes on standard input");
    return SP_EXIT_OK;
}

bool sp_secret_line_get(char ret[SP_CLI_PASSWORD_BYTES]) {
    return read_line(STDIN_FILENO, ret);
}
