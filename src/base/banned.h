/* Functions that have cost others dearly, as compile errors. Forced into every file of ours by the build
 * (-include), after the system headers that it pulls in itself. */
#ifndef SP_BASE_BANNED_H
#define SP_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef sprintf /* a macro of clang's, with _FORTIFY_SOURCE */
#undef vsprintf

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets atoi atol atoll strtok asctime ctime  \
    gmtime localtime tmpnam mktemp

/* Not poisoned, because OpenSSL's headers have parameters of that name. */
#define rand() sp_banned_rand_use_sp_random()
#define srand(seed) sp_banned_srand_use_sp_random(seed)

#endif
