/* libcurl before 8 opens a pair of sockets for itself, to wake itself with, and leaves them to programs that
 * are exec-ed. This closes that. */
#ifndef SP_VERIFY_TRANSPORT_CLOEXEC_H
#define SP_VERIFY_TRANSPORT_CLOEXEC_H

/* `multi`: a CURLM, just made. Best effort; touches nothing that is not surely its own. */
void sp_transport_close_on_exec(void *multi);

#endif
