/* The two offline commands as a program of their own, so that the tests of tokens need nothing of the server.
 */
#include "cli/cmd_token_inspect.h"
#include "cli/cmd_verify.h"

#include <string.h>

int main(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], "verify") == 0) return sp_cmd_verify(argc - 1, argv + 1);
    if (argc >= 3 && strcmp(argv[1], "token") == 0 && strcmp(argv[2], "inspect") == 0)
        return sp_cmd_token_inspect(argc - 2, argv + 2);
    return 2;
}
