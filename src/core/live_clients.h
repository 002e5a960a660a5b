/* Clients: what an id and a secret may be, and the table that a request is checked against without asking the
 * store.
 *
 * A secret is made here, shown once, and kept as a hash: 32 random bytes, so that one SHA-256 is enough
 * (there is nothing to guess) and a request costs a microsecond. A client has up to two, so that the next one
 * can be rolled out while the old one still works.
 *
 * The table is immutable and swapped whole, as the role table is. It holds pointers to clients, which are
 * immutable, too, and counted: a change makes one client (13 KiB) and copies the pointers of the others, and
 * whoever holds a client may look at it for as long as a request takes, whatever happens to the table.
 * Turned down: copying the row for each request (13 KiB where a dozen bytes are looked at). */
#ifndef SP_CORE_LIVE_CLIENTS_H
#define SP_CORE_LIVE_CLIENTS_H

#include <stdatomic.h>

#include "base/mem.h"
#include "base/ports.h"
#include "core/rows.h"
#include "core/seats.h"

enum {
    SP_CLIENTS_MAX = 4096, /* programs, not people: 52 MiB when full; each change copies 32 KiB of pointers */
    SP_CLIENT_ID_BYTES_MAX = 64,
    SP_CLIENT_SECRET_BYTES = 32,
    SP_CLIENT_SECRET_CHARS = 5 + 43, /* "spcs_" and base64url */
};

/* ---- ids and secrets ---- */

/* 1 to 64 of A-Z a-z 0-9 . _ -, and neither a text that a user's id could have (RFC 9068 section 5: `sub` and
 * `client_id` must not be confused) nor one that begins as a secret does. */
bool sp_client_id_valid(sp_slice id);
/* It begins as a secret does: never to be logged. */
bool sp_client_secret_looks(sp_slice text);

/* A new secret and its hash. The text is the caller's to show once and to wipe. SP_E_UNAVAILABLE. */
sp_status sp_client_secret_new(const struct sp_random *random, char ret_text[SP_CLIENT_SECRET_CHARS],
                               uint8_t ret_hash[SP_ROW_HASH_BYTES]);
void sp_client_secret_hash(sp_slice text, uint8_t ret[SP_ROW_HASH_BYTES]);
bool sp_client_secret_is_live(const struct sp_client_secret *secret, int64_t now_ms);

/* ---- one client ---- */

/* As it was when somebody looked; secrets are hashes, wiped when the last reference goes. */
struct sp_client {
    _Atomic uint32_t refs;
    struct sp_client_row row;
};
const struct sp_client *sp_client_hold(const struct sp_client *client);
void sp_client_release(const struct sp_client *client); /* NULL is fine */
/* Is it one of its live secrets? NULL, and a client without secrets, cost the same. Disabled or not. */
bool sp_client_has_secret(const struct sp_client *client, sp_slice secret, int64_t now_ms);

/* ---- the table ---- */

enum sp_client_check {
    SP_CLIENT_GENUINE,
    SP_CLIENT_REFUSED,  /* no such client, or not a secret of it, or one that has lapsed */
    SP_CLIENT_DISABLED, /* the secret is right */
};

/* Who it was, as of the check; and enough to ask later whether that still holds. */
struct sp_client_facts {
    sp_text64 id;
    bool feed;
    uint8_t hash[SP_ROW_HASH_BYTES]; /* of the secret that was shown */
};

struct sp_live_clients;

sp_status sp_live_clients_new(struct sp_seats *seats, struct sp_live_clients **ret);
void sp_live_clients_free(struct sp_live_clients *live);
SP_DEFINE_FREE(sp_live_clients);

/* Any thread. *ret_facts is set unless REFUSED. An unknown id costs the same as a wrong secret, and neither
 * tells which it was. */
enum sp_client_check sp_live_clients_check(struct sp_live_clients *live, sp_slice id, sp_slice secret,
                                           int64_t now_ms, struct sp_client_facts *ret_facts);
/* Would the same secret pass now? For connections that outlive many changes. *facts is brought up to date. */
enum sp_client_check sp_live_clients_check_again(struct sp_live_clients *live, int64_t now_ms,
                                                 struct sp_client_facts *facts);
/* A reference, or NULL: none has this id. Disabled ones are given, too: look. Any thread. */
const struct sp_client *sp_live_clients_get(struct sp_live_clients *live, sp_slice id);
size_t sp_live_clients_count(struct sp_live_clients *live);

/* One thread writes at a time: the store's writer, through publish.c, or whoever opens. SP_E_NOMEM;
 * SP_E_LIMIT: more than SP_CLIENTS_MAX; SP_E_MALFORMED: an id that is none. Then nothing changed. */
sp_status sp_live_clients_put(struct sp_live_clients *live, const struct sp_client_row *rows, size_t n);
sp_status sp_live_clients_remove(struct sp_live_clients *live, sp_slice id);

#endif
