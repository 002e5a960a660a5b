/* sp_assert: we are wrong. Stays on in release; an attacker's bytes must never be able to reach one. */
#ifndef SP_BASE_ASSERT_H
#define SP_BASE_ASSERT_H

_Noreturn void sp_assert_failed(const char *expr, const char *file, int line);

#define sp_assert(expr) ((expr) ? (void)0 : sp_assert_failed(#expr, __FILE__, __LINE__))

#endif
