/* The bounded pool for Argon2id and for making keys: a few threads, a queue with an end. Overload is
 * SP_E_BUSY at once, never a loop that waits. Any thread may submit. */
#ifndef SP_SERVER_HASHPOOL_H
#define SP_SERVER_HASHPOOL_H

#include "base/mem.h"
#include "core/password_rules.h"
#include "core/ports.h"
#include "crypto/password.h"

struct sp_hashpool;
sp_status sp_hashpool_new(const struct sp_password_params *params, uint32_t threads, uint32_t queue_max,
                          struct sp_hashpool **ret);
/* Answers what waits with SP_E_BUSY, as everything that is submitted from now on; what is being hashed is
 * finished. For a server that has no time left. */
void sp_hashpool_stop(struct sp_hashpool *pool);
/* Finishes what was taken, then joins its threads. Accepts NULL. */
void sp_hashpool_free(struct sp_hashpool *pool);
SP_DEFINE_FREE(sp_hashpool);
/* In which new passwords are looked up, before they are hashed. Borrowed; before the port is made. */
void sp_hashpool_set_words(struct sp_hashpool *pool, const struct sp_word_list *words);
struct sp_hashpool_stats {
    uint32_t threads, waiting, waiting_max, active; /* now */
    uint64_t finished, refused;                     /* since start */
};
/* Any thread; takes the pool's lock. */
void sp_hashpool_stats(struct sp_hashpool *pool, struct sp_hashpool_stats *ret);
struct sp_hasher sp_hashpool_port(struct sp_hashpool *pool);

#endif
