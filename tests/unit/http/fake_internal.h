/* What the files of the fake share among themselves: tests include fake.h. */
#ifndef SP_TESTS_HTTP_FAKE_INTERNAL_H
#define SP_TESTS_HTTP_FAKE_INTERNAL_H

#include "fake.h"

/* A slice for "%.*s". */
#define S(s) (int)(s).n, (s).n == 0 ? "" : (const char *)(s).p

/* Ends of use cases of /auth that use cases of the administration have, too: for fake_later. */
void fake_run_tokens(void);
void fake_run_plain(void);
void fake_run_sessions(void);

/* fake_check_call, and somebody is signed in. */
void fake_need_principal(const struct sp_call *call);

#endif
