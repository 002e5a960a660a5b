/* What the rooms of the public library share: sallyport.c (verifying), sallyport_open.c (opening, following
 * and closing), verdict.c (what a refusal is called). */
#ifndef SP_VERIFY_HANDLE_H
#define SP_VERIFY_HANDLE_H

#include <pthread.h>

#include "sallyport/verify.h"
#include "verify/proofs.h"
#include "verify/seats.h"
#include "verify/transport.h"

struct sallyport {
    struct sp_reclaim *reclaim;
    struct sp_verifier *verifier;
    struct sp_seats seats;
    struct sp_role_table roles;
    struct sp_proofs proofs;
    struct sp_freshness freshness;
    bool is_followed, accepts_unproven;
    struct sp_follower *follower;   /* NULL: not followed */
    struct sp_transport *transport; /* likewise */
    void (*log)(void *arg, const char *event, const char *detail);
    void *log_arg;

    bool has_thread;
    pthread_t thread;
    _Atomic bool is_closing;
    pthread_mutex_t lock; /* guards nothing but the waiting for `changed` */
    pthread_cond_t changed;
    bool has_lock;
};

enum sp_verdict sp_verdict_of(enum sp_reject r);
enum sp_verdict sp_verdict_of_proof(enum sp_dpop_fault f);

#endif
