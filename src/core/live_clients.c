#include "core/live_clients.h"

#include "base/assert.h"
#include "base/base64url.h"
#include "base/ct.h"
#include "core/client_options.h"
#include "crypto/digest.h"
#include "token/ids.h"

/* ---- ids ---- */

static bool is_id_char(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool sp_client_id_valid(sp_slice id) {
    sp_id user;
    if (id.n == 0 || id.n > SP_CLIENT_ID_BYTES_MAX) return false;
    for (size_t i = 0; i < id.n; i++) {
        if (!is_id_char((char)id.p[i])) return false;
    }
    return !sp_client_secret_looks(id) && !sp_ok(sp_id_parse(id, &user));
}

/* ---- secrets ---- */

static const char prefix[] = "spcs_"; /* so that scanners of source code can tell what they have found */

bool sp_client_secret_looks(sp_slice text) {
    return text.n >= sizeof(prefix) - 1 && memcmp(text.p, prefix, sizeof(prefix) - 1) == 0;
}

void sp_client_secret_hash(sp_slice text, uint8_t ret[SP_ROW_HASH_BYTES]) {
    struct sp_sha256 hash;
    sp_sha256_init(&hash);
    sp_sha256_update(&hash, SP_SLICE_LIT("sallyport client secret v1\0"));
    sp_sha256_update(&hash, text);
    sp_sha256_final(&hash, ret);
}

sp_status sp_client_secret_new(const struct sp_random *random, char ret_text[SP_CLIENT_SECRET_CHARS],
                               uint8_t ret_hash[SP_ROW_HASH_BYTES]) {
    uint8_t bytes[SP_CLIENT_SECRET_BYTES];
    SP_TRY(sp_random_fill(random, bytes, sizeof(bytes)));
    memcpy(ret_text, prefix, sizeof(prefix) - 1);
    sp_base64url_encode(SP_SLICE_ARRAY(bytes), ret_text + sizeof(prefix) - 1);
    sp_wipe(bytes, sizeof(bytes));
    sp_client_secret_hash(sp_slice_of(ret_text, SP_CLIENT_SECRET_CHARS), ret_hash);
    return SP_SUCCESS;
}

bool sp_client_secret_is_live(const struct sp_client_secret *secret, int64_t now_ms) {
    return secret->used && (secret->expires_ms == 0 || now_ms < secret->expires_ms);
}

/* ---- one client ---- */

/* NULL: no memory. One reference, the caller's. */
static struct sp_client *client_new(const struct sp_client_row *row) {
    struct sp_client *c = malloc(sizeof(*c));
    if (c == NULL) return NULL;
    atomic_init(&c->refs, 1);
    c->row = *row;
    sp_client_row_complete(&c->row);
    return c;
}

/* Those who read see it as const; only the count of references and the end of its life are not. */
static struct sp_client *own(const struct sp_client *client) {
    return (struct sp_client *)(uintptr_t)client;
}

const struct sp_client *sp_client_hold(const struct sp_client *client) {
    /* relaxed: whoever holds one more has a reference, or a seat that keeps the table's */
    atomic_fetch_add_explicit(&own(client)->refs, 1, memory_order_relaxed);
    return client;
}

void sp_client_release(const struct sp_client *client) {
    if (client == NULL) return;
    /* acq_rel: what others read of it was read before it is wiped */
    if (atomic_fetch_sub_explicit(&own(client)->refs, 1, memory_order_acq_rel) == 1)
        sp_free_wiped(own(client), sizeof(*client));
}

/* ---- the table: sorted by id ---- */

struct table {
    struct sp_retired link;
    size_t n;
    const struct sp_client *clients[]; /* a reference each */
};
struct sp_live_clients {
    struct sp_seats *seats;
    _Atomic(struct table *) now; /* seq_cst both ways, as revoke/reclaim.h asks of a root */
};

static void table_free(struct table *t) {
    if (t == NULL) return;
    for (size_t i = 0; i < t->n; i++) sp_client_release(t->clients[i]);
    free(t);
}

static void table_reclaimed(struct sp_retired *link) {
    table_free(SP_CONTAINER_OF(link, struct table, link));
}

static struct table *table_new(size_t n_max) {
    return calloc(1, sizeof(struct table) + n_max * sizeof(struct sp_client *)); /* n_max is bounded */
}

static sp_slice id_at(const struct table *t, size_t i) {
    return SP_TEXT_SLICE(&t->clients[i]->row.id);
}

/* Index of the first client whose id is not below. */
static size_t table_from(const struct table *t, sp_slice id) {
    size_t low = 0, high = t->n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (sp_slice_cmp(id_at(t, mid), id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const struct sp_client *table_find(const struct table *t, sp_slice id) {
    const size_t i = table_from(t, id);
    return i < t->n && sp_slice_eq(id_at(t, i), id) ? t->clients[i] : NULL;
}

/* There is room for one more. */
static sp_status table_put(struct table *t, const struct sp_client_row *row) {
    const sp_slice id = SP_TEXT_SLICE(&row->id);
    if (!sp_client_id_valid(id)) return sp_err(SP_E_MALFORMED);
    struct sp_client *added = client_new(row);
    if (added == NULL) return sp_err(SP_E_NOMEM);
    const size_t i = table_from(t, id);
    if (i < t->n && sp_slice_eq(id_at(t, i), id)) {
        sp_client_release(t->clients[i]);
    } else {
        memmove(&t->clients[i + 1], &t->clients[i], (t->n - i) * sizeof(struct sp_client *));
        t->n++;
    }
    t->clients[i] = added;
    return SP_SUCCESS;
}

/* ---- readers ---- */

/* Every place is compared, and what is in it decides by arithmetic only. */
static bool has_secret(const struct sp_client_secret secrets[SP_ROW_CLIENT_SECRETS], const uint8_t *hash,
                       int64_t now_ms) {
    bool right = false;
    for (size_t i = 0; i < SP_ROW_CLIENT_SECRETS; i++) {
        const bool equal = sp_ct_equal(SP_SLICE_ARRAY(secrets[i].hash), sp_slice_of(hash, SP_ROW_HASH_BYTES));
        right |= equal & sp_client_secret_is_live(&secrets[i], now_ms);
    }
    return right;
}

static const struct sp_client_secret nobodys[SP_ROW_CLIENT_SECRETS]; /* not taken; compared all the same */

bool sp_client_has_secret(const struct sp_client *client, sp_slice secret, int64_t now_ms) {
    uint8_t hash[SP_ROW_HASH_BYTES];
    sp_client_secret_hash(secret, hash);
    return has_secret(client == NULL ? nobodys : client->row.secrets, hash, now_ms);
}

static enum sp_client_check check(const struct table *t, sp_slice id, const uint8_t *hash, int64_t now_ms,
                                  struct sp_client_facts *ret_facts) {
    const struct sp_client *c = table_find(t, id);
    const bool right = has_secret(c == NULL ? nobodys : c->row.secrets, hash, now_ms);
    if (c == NULL || !right) return SP_CLIENT_REFUSED;
    struct sp_client_facts facts = {.feed = c->row.feed};
    if (!sp_ok(SP_TEXT_SET(&facts.id, SP_TEXT_SLICE(&c->row.id)))) return SP_CLIENT_REFUSED;
    memcpy(facts.hash, hash, sizeof(facts.hash));
    *ret_facts = facts;
    return c->row.disabled ? SP_CLIENT_DISABLED : SP_CLIENT_GENUINE;
}

enum sp_client_check sp_live_clients_check(struct sp_live_clients *live, sp_slice id, sp_slice secret,
                                           int64_t now_ms, struct sp_client_facts *ret_facts) {
    uint8_t hash[SP_ROW_HASH_BYTES];
    sp_client_secret_hash(secret, hash); /* the length is the request's own, and so is what it costs */
    sp_seats_enter(live->seats);
    const enum sp_client_check c = check(atomic_load(&live->now), id, hash, now_ms, ret_facts);
    sp_seats_leave(live->seats);
    return c;
}

enum sp_client_check sp_live_clients_check_again(struct sp_live_clients *live, int64_t now_ms,
                                                 struct sp_client_facts *facts) {
    const struct sp_client_facts was = *facts;
    sp_seats_enter(live->seats);
    const enum sp_client_check c =
        check(atomic_load(&live->now), SP_TEXT_SLICE(&was.id), was.hash, now_ms, facts);
    sp_seats_leave(live->seats);
    return c;
}

const struct sp_client *sp_live_clients_get(struct sp_live_clients *live, sp_slice id) {
    sp_seats_enter(live->seats);
    const struct sp_client *c = table_find(atomic_load(&live->now), id);
    if (c != NULL) sp_client_hold(c);
    sp_seats_leave(live->seats);
    return c;
}

size_t sp_live_clients_count(struct sp_live_clients *live) {
    sp_seats_enter(live->seats);
    const size_t n = atomic_load(&live->now)->n;
    sp_seats_leave(live->seats);
    return n;
}

/* ---- writers ---- */

static void replace(struct sp_live_clients *live, struct table *old, struct table *next) {
    atomic_store(&live->now, next);
    sp_reclaim_retire(sp_seats_reclaim(live->seats), &old->link, table_reclaimed);
}

static void table_share(struct table *t, const struct sp_client *client) {
    t->clients[t->n++] = sp_client_hold(client);
}

sp_status sp_live_clients_put(struct sp_live_clients *live, const struct sp_client_row *rows, size_t n) {
    struct table *old = atomic_load(&live->now); /* the only writer: nobody retires it meanwhile */
    if (n > SP_CLIENTS_MAX) return sp_err(SP_E_LIMIT);
    struct table *next = table_new(old->n + n);
    if (next == NULL) return sp_err(SP_E_NOMEM);
    for (size_t i = 0; i < old->n; i++) table_share(next, old->clients[i]);
    sp_status s = SP_SUCCESS;
    for (size_t i = 0; sp_ok(s) && i < n; i++) s = table_put(next, &rows[i]);
    if (sp_ok(s) && next->n > SP_CLIENTS_MAX) s = sp_err(SP_E_LIMIT);
    if (!sp_ok(s)) {
        table_free(next);
        return s;
    }
    replace(live, old, next);
    return SP_SUCCESS;
}

sp_status sp_live_clients_remove(struct sp_live_clients *live, sp_slice id) {
    struct table *old = atomic_load(&live->now);
    if (table_find(old, id) == NULL) return SP_SUCCESS;
    struct table *next = table_new(old->n);
    if (next == NULL) return sp_err(SP_E_NOMEM);
    for (size_t i = 0; i < old->n; i++) {
        if (!sp_slice_eq(id_at(old, i), id)) table_share(next, old->clients[i]);
    }
    replace(live, old, next);
    return SP_SUCCESS;
}

/* ---- beginning and end ---- */

sp_status sp_live_clients_new(struct sp_seats *seats, struct sp_live_clients **ret) {
    struct sp_live_clients *live = calloc(1, sizeof(*live));
    struct table *empty = table_new(0);
    if (live == NULL || empty == NULL) {
        free(live);
        free(empty);
        return sp_err(SP_E_NOMEM);
    }
    live->seats = seats;
    atomic_init(&live->now, empty);
    *ret = live;
    return SP_SUCCESS;
}

void sp_live_clients_free(struct sp_live_clients *live) {
    if (live == NULL) return;
    table_free(atomic_load(&live->now));
    free(live);
}
