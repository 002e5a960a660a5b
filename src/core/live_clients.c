#include "core/live_clients.h"

#include "base/assert.h"
#include "base/base64url.h"
#include "base/ct.h"
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

/* ---- the table: sorted by id ---- */

struct entry {
    sp_text64 id;
    bool feed, disabled;
    struct sp_client_secret secrets[SP_ROW_CLIENT_SECRETS];
};
struct table {
    struct sp_retired link;
    size_t n;
    struct entry entries[];
};
struct sp_live_clients {
    struct sp_seats *seats;
    _Atomic(struct table *) now; /* seq_cst both ways, as revoke/reclaim.h asks of a root */
};

static void table_free(struct table *t) {
    if (t != NULL) sp_free_wiped(t, sizeof(*t) + t->n * sizeof(t->entries[0]));
}

static void table_reclaimed(struct sp_retired *link) {
    table_free(SP_CONTAINER_OF(link, struct table, link));
}

static struct table *table_new(size_t n_max) {
    return calloc(1, sizeof(struct table) + n_max * sizeof(struct entry)); /* n_max is bounded */
}

/* Index of the first entry whose id is not below. */
static size_t table_from(const struct table *t, sp_slice id) {
    size_t low = 0, high = t->n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (sp_slice_cmp(SP_TEXT_SLICE(&t->entries[mid].id), id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const struct entry *table_find(const struct table *t, sp_slice id) {
    const size_t i = table_from(t, id);
    return i < t->n && sp_slice_eq(SP_TEXT_SLICE(&t->entries[i].id), id) ? &t->entries[i] : NULL;
}

static sp_status entry_of(const struct sp_client_row *row, struct entry *ret) {
    const sp_slice id = SP_TEXT_SLICE(&row->id);
    if (!sp_client_id_valid(id)) return sp_err(SP_E_MALFORMED);
    *ret = (struct entry){.feed = row->feed, .disabled = row->disabled};
    memcpy(ret->secrets, row->secrets, sizeof(ret->secrets));
    return SP_TEXT_SET(&ret->id, id);
}

/* There is room for one more. */
static sp_status table_put(struct table *t, const struct sp_client_row *row) {
    struct entry added;
    SP_TRY(entry_of(row, &added));
    const size_t i = table_from(t, SP_TEXT_SLICE(&added.id));
    const bool is_there = i < t->n && sp_slice_eq(SP_TEXT_SLICE(&t->entries[i].id), SP_TEXT_SLICE(&added.id));
    if (!is_there) {
        memmove(&t->entries[i + 1], &t->entries[i], (t->n - i) * sizeof(t->entries[0]));
        t->n++;
    }
    t->entries[i] = added;
    return SP_SUCCESS;
}

/* ---- readers ---- */

/* Every place is compared, and what is in it decides by arithmetic only. */
static bool has_secret(const struct entry *e, const uint8_t *hash, int64_t now_ms) {
    bool right = false;
    for (size_t i = 0; i < SP_ARRAY_LEN(e->secrets); i++) {
        const bool equal =
            sp_ct_equal(SP_SLICE_ARRAY(e->secrets[i].hash), sp_slice_of(hash, SP_ROW_HASH_BYTES));
        right |= equal & sp_client_secret_is_live(&e->secrets[i], now_ms);
    }
    return right;
}

static enum sp_client_check check(const struct table *t, sp_slice id, const uint8_t *hash, int64_t now_ms,
                                  struct sp_client_facts *ret_facts) {
    static const struct entry nobody = {0};
    const struct entry *e = table_find(t, id);
    if (e == NULL) e = &nobody; /* compared all the same; its places are not taken */
    if (!has_secret(e, hash, now_ms)) return SP_CLIENT_REFUSED;
    struct sp_client_facts facts = {.id = e->id, .feed = e->feed};
    memcpy(facts.hash, hash, sizeof(facts.hash));
    *ret_facts = facts;
    return e->disabled ? SP_CLIENT_DISABLED : SP_CLIENT_GENUINE;
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

sp_status sp_live_clients_put(struct sp_live_clients *live, const struct sp_client_row *rows, size_t n) {
    struct table *old = atomic_load(&live->now); /* the only writer: nobody retires it meanwhile */
    if (n > SP_CLIENTS_MAX) return sp_err(SP_E_LIMIT);
    struct table *next = table_new(old->n + n);
    if (next == NULL) return sp_err(SP_E_NOMEM);
    next->n = old->n;
    memcpy(next->entries, old->entries, old->n * sizeof(old->entries[0]));
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
        if (!sp_slice_eq(SP_TEXT_SLICE(&old->entries[i].id), id)) next->entries[next->n++] = old->entries[i];
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
