/* The ring in memory: rows unsealed and prepared into an immutable snapshot behind an atomic root.
 *
 * Invariants of a snapshot: exactly one access key and one refresh key of the moment; no two live keys with
 * one kid or one refresh number; a public key's kid is its own thumbprint. Public keys are derived from the
 * sealed private ones and never read from the public_jwk column: whoever can write rows but has no master key
 * must not be able to make us trust a key.
 *
 * Turned down: preparing keys at each use (a PKCS#8 parse costs more than the signature), and changing the
 * snapshot in place under a lock (every request of every loop would take it). */
#include "core/keys.h"

#include "base/assert.h"
#include "base/base64url.h"
#include "base/json.h"
#include "crypto/secret.h"

enum {
    REFRESH_SLOTS = 256,
    SECRET_BYTES = 32,
    JWKS_BYTES_MAX = SP_KEYS_ACCESS_HELD * 1200, /* one JWK of RSA-4096 has 800 */
    FIXED_COUNT = 3,
};

/* A row and what was prepared from it; which member is used follows from the row's use. */
struct loaded {
    struct sp_key_row row;
    enum sp_alg alg;
    struct sp_sig_key *key;         /* ACCESS, FEED */
    struct sp_refresh_key *refresh; /* REFRESH */
};

struct sp_key_snapshot {
    struct sp_retired link;
    struct loaded *loaded;
    struct sp_key_row *rows; /* the same rows side by side, for the planner */
    size_t n;
    size_t signing; /* index of the access key of the moment */
    const struct sp_refresh_key *refresh_current;
    const struct sp_refresh_key *refresh[REFRESH_SLOTS];
    struct sp_jwk *verification;
    size_t n_verification;
    struct sp_buf jwks;
    struct sp_feed_key feed[SP_KEYS_FEED_MAX];
    size_t n_feed;
};

struct sp_keys {
    struct sp_seats *seats;
    struct sp_secret master_key;
    struct sp_hmac_key fixed[FIXED_COUNT]; /* SID_TAG, CSRF, AUDIT */
    _Atomic(struct sp_key_snapshot *) now; /* seq_cst both ways, as revoke/reclaim.h asks of a root */
};

static bool row_is_live(const struct sp_key_row *row) {
    return row->state == SP_KEY_ANNOUNCED || row->state == SP_KEY_SIGNING || row->state == SP_KEY_RETIRED;
}

/* ---- one key ---- */

static void loaded_done(struct loaded *l) {
    if (l == NULL) return;
    sp_sig_key_free(l->key);
    if (l->refresh != NULL) sp_refresh_key_done(l->refresh);
    free(l->refresh);
}

static sp_status type_of(enum sp_alg alg, enum sp_key_type *ret) {
    switch (alg) {
    case SP_ALG_ES256: *ret = SP_KEY_EC_P256; return SP_SUCCESS;
    case SP_ALG_HS256: *ret = SP_KEY_HMAC; return SP_SUCCESS;
    case SP_ALG_RS256:
    case SP_ALG_PS256: *ret = SP_KEY_RSA; return SP_SUCCESS;
    case SP_ALG_EDDSA: *ret = SP_KEY_ED25519; return SP_SUCCESS;
    case SP_ALG_COUNT: break;
    }
    return sp_err(SP_E_MALFORMED);
}

uint32_t sp_key_rsa_bits(const struct sp_key_row *row) {
    enum { JWK_NODES = 16 }; /* ours have at most seven members */
    struct sp_json_node nodes[JWK_NODES];
    struct sp_json jwk = {.nodes = nodes, .cap = JWK_NODES};
    uint8_t modulus[SP_RSA_BITS_MAX / 8];
    size_t n = 0;
    if (row->public_jwk.n == 0 || !sp_ok(sp_json_parse(SP_TEXT_SLICE(&row->public_jwk), &jwk))) return 0;
    const struct sp_json_node *text = sp_json_get(&jwk, &nodes[0], "n");
    if (text == NULL || text->type != SP_JSON_STRING ||
        !sp_ok(sp_base64url_decode(text->raw, modulus, sizeof modulus, &n)) || n == 0 || modulus[0] == 0)
        return 0;
    return (uint32_t)(8 * n) - (uint32_t)(__builtin_clz(modulus[0]) - 24);
}

/* The seal binds the kid, so this can only differ when we made the row wrong; it is the cheap proof that we
 * did not. */
static sp_status check_thumbprint(const struct sp_key_row *row, const struct sp_sig_key *key) {
    uint8_t thumbprint[SP_SHA256_BYTES];
    char text[SP_BASE64URL_CHARS(SP_SHA256_BYTES)];
    if (sp_sig_key_type(key) == SP_KEY_HMAC) return SP_SUCCESS;
    SP_TRY(sp_jwk_thumbprint(key, thumbprint));
    sp_base64url_encode(SP_SLICE_ARRAY(thumbprint), text);
    return sp_slice_eq(SP_TEXT_SLICE(&row->kid), SP_SLICE_ARRAY(text)) ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}

static sp_status load_access(struct loaded *l, sp_slice plain) {
    enum sp_key_type type;
    SP_TRY(sp_alg_from_name(SP_TEXT_SLICE(&l->row.alg), &l->alg));
    SP_TRY(type_of(l->alg, &type));
    SP_TRY(sp_sig_key_import_private(type, plain, &l->key));
    return check_thumbprint(&l->row, l->key);
}

/* Only what signs the feed today: a row that names another algorithm is none of ours. */
static sp_status load_feed(struct loaded *l, sp_slice plain) {
    SP_TRY(load_access(l, plain));
    return l->alg == SP_ALG_EDDSA ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}

static sp_status load_refresh(struct loaded *l, sp_slice plain) {
    if (plain.n != SP_REFRESH_KEY_BYTES || l->row.number == 0) return sp_err(SP_E_MALFORMED);
    l->refresh = calloc(1, sizeof(*l->refresh));
    if (l->refresh == NULL) return sp_err(SP_E_NOMEM);
    sp_refresh_key_init(l->refresh, l->row.number, plain.p);
    return SP_SUCCESS;
}

static sp_status load(struct loaded *l, sp_slice master_key) {
    SP_AUTO(sp_buf) plain = SP_BUF_INIT(SP_SIG_PRIVATE_BYTES_MAX);
    SP_TRY(sp_key_unseal(&l->row, master_key, &plain));
    if (l->row.use == SP_KEY_ACCESS) return load_access(l, sp_buf_slice(&plain));
    if (l->row.use == SP_KEY_FEED) return load_feed(l, sp_buf_slice(&plain));
    if (l->row.use == SP_KEY_REFRESH) return load_refresh(l, sp_buf_slice(&plain));
    return plain.n == SECRET_BYTES ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}

/* ---- a snapshot ---- */

static void snapshot_free(struct sp_key_snapshot *s) {
    if (s == NULL) return;
    for (size_t i = 0; i < s->n_verification; i++) sp_jwk_done(&s->verification[i]);
    for (size_t i = 0; i < s->n; i++) loaded_done(&s->loaded[i]);
    free(s->verification);
    free(s->loaded);
    free(s->rows);
    sp_buf_done(&s->jwks);
    free(s);
}

static void snapshot_reclaimed(struct sp_retired *link) {
    snapshot_free(SP_CONTAINER_OF(link, struct sp_key_snapshot, link));
}

static struct sp_key_snapshot *snapshot_alloc(size_t n) {
    struct sp_key_snapshot *s = calloc(1, sizeof(*s));
    if (s == NULL) return NULL;
    sp_buf_init(&s->jwks, JWKS_BYTES_MAX);
    s->loaded = calloc(n + 1, sizeof(*s->loaded));
    s->rows = calloc(n + 1, sizeof(*s->rows));
    s->verification = calloc(n + 1, sizeof(*s->verification));
    if (s->loaded != NULL && s->rows != NULL && s->verification != NULL) return s;
    snapshot_free(s);
    return NULL;
}

static bool kid_is_taken(const struct sp_key_snapshot *s, const struct sp_key_row *row) {
    for (size_t i = 0; i < s->n; i++) {
        if (sp_slice_eq(SP_TEXT_SLICE(&s->rows[i].kid), SP_TEXT_SLICE(&row->kid))) return true;
        if (row->use == SP_KEY_REFRESH && s->rows[i].use == SP_KEY_REFRESH &&
            s->rows[i].number == row->number)
            return true;
    }
    return false;
}

static sp_status snapshot_load(struct sp_key_snapshot *s, const struct sp_key_row *row, sp_slice master_key) {
    if (kid_is_taken(s, row)) return sp_err(SP_E_MALFORMED);
    struct loaded *l = &s->loaded[s->n];
    l->row = *row;
    s->rows[s->n] = *row;
    s->n++; /* from here on snapshot_free sees it */
    return load(l, master_key);
}

/* Of several that sign, which a change passes through, the youngest counts; of equals the one that came last.
 */
static bool signs_instead(const struct sp_key_row *row, const struct sp_key_row *other) {
    return other == NULL || row->signing_from_ms >= other->signing_from_ms;
}

static sp_status snapshot_choose(struct sp_key_snapshot *s) {
    const struct sp_key_row *access = NULL, *refresh = NULL;
    for (size_t i = 0; i < s->n; i++) {
        const struct loaded *l = &s->loaded[i];
        if (l->refresh != NULL) s->refresh[l->row.number] = l->refresh;
        if (l->row.state != SP_KEY_SIGNING) continue;
        if (l->row.use == SP_KEY_ACCESS && signs_instead(&l->row, access)) {
            access = &l->row;
            s->signing = i;
        } else if (l->row.use == SP_KEY_REFRESH && signs_instead(&l->row, refresh)) {
            refresh = &l->row;
            s->refresh_current = l->refresh;
        }
    }
    return access != NULL && refresh != NULL ? SP_SUCCESS : sp_err(SP_E_NOT_FOUND);
}

/* Who signs now stands first, then by age; of several that sign, which a change passes through, the youngest.
 */
static bool feed_key_before(const struct sp_key_row *a, const struct sp_key_row *b) {
    if (a->state != b->state) {
        if (a->state == SP_KEY_SIGNING || b->state == SP_KEY_SIGNING) return a->state == SP_KEY_SIGNING;
        return a->state == SP_KEY_ANNOUNCED;
    }
    return a->signing_from_ms >= b->signing_from_ms;
}

static sp_status snapshot_feed(struct sp_key_snapshot *s, bool is_past) {
    const struct loaded *sorted[SP_KEYS_FEED_MAX] = {NULL};
    for (size_t i = 0; i < s->n; i++) {
        const struct loaded *l = &s->loaded[i];
        if (l->row.use != SP_KEY_FEED) continue;
        if (s->n_feed == SP_KEYS_FEED_MAX) return sp_err(SP_E_LIMIT);
        size_t at = s->n_feed++;
        while (at != 0 && feed_key_before(&l->row, &sorted[at - 1]->row)) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = l;
    }
    for (size_t i = 0; i < s->n_feed; i++) {
        struct sp_feed_key *f = &s->feed[i];
        sp_assert(sorted[i] != NULL);
        f->kid = SP_TEXT_SLICE(&sorted[i]->row.kid);
        f->state = sorted[i]->row.state;
        f->key = sorted[i]->key;
        SP_TRY(sp_jwk_thumbprint(f->key, f->thumbprint));
    }
    if (is_past && s->n_feed == 0) return SP_SUCCESS;
    return s->n_feed != 0 && s->feed[0].state == SP_KEY_SIGNING ? SP_SUCCESS : sp_err(SP_E_NOT_FOUND);
}

static sp_status snapshot_publish(struct sp_key_snapshot *s) {
    struct sp_jwk_public_row public_rows[SP_KEYS_ACCESS_HELD];
    for (size_t i = 0; i < s->n; i++) {
        const struct loaded *l = &s->loaded[i];
        if (l->row.use != SP_KEY_ACCESS) continue;
        if (s->n_verification == SP_KEYS_ACCESS_HELD) return sp_err(SP_E_LIMIT);
        struct sp_jwk *jwk = &s->verification[s->n_verification];
        jwk->has_kid = true;
        jwk->algs = SP_ALG_BIT(l->alg);
        jwk->key = sp_sig_key_ref(l->key);
        public_rows[s->n_verification++] =
            (struct sp_jwk_public_row){SP_TEXT_SLICE(&l->row.kid), l->alg, l->key};
        SP_TRY(SP_TEXT_SET(&jwk->kid, SP_TEXT_SLICE(&l->row.kid)));
    }
    return sp_jwks_write_public(public_rows, s->n_verification, &s->jwks);
}

static sp_status snapshot_fill(struct sp_key_snapshot *s, const struct sp_key_row *rows, size_t n,
                               sp_slice master_key, bool is_past) {
    for (size_t i = 0; i < n; i++) {
        if (row_is_live(&rows[i])) SP_TRY(snapshot_load(s, &rows[i], master_key));
    }
    SP_TRY(snapshot_choose(s));
    SP_TRY(snapshot_feed(s, is_past));
    return snapshot_publish(s);
}

static sp_status snapshot_new(const struct sp_key_row *rows, size_t n, sp_slice master_key, bool is_past,
                              struct sp_key_snapshot **ret) {
    size_t live = 0;
    for (size_t i = 0; i < n; i++) live += row_is_live(&rows[i]);
    if (live > SP_KEYS_MAX) return sp_err(SP_E_LIMIT);
    struct sp_key_snapshot *s = snapshot_alloc(live);
    if (s == NULL) return sp_err(SP_E_NOMEM);
    sp_status filled = snapshot_fill(s, rows, n, master_key, is_past);
    if (!sp_ok(filled)) {
        snapshot_free(s);
        return filled;
    }
    *ret = s;
    return SP_SUCCESS;
}

/* ---- the ring ---- */

static const enum sp_key_use fixed_uses[FIXED_COUNT] = {SP_KEY_SID_TAG, SP_KEY_CSRF, SP_KEY_AUDIT};

static const struct sp_key_row *find_fixed(const struct sp_key_row *rows, size_t n, enum sp_key_use use) {
    for (size_t i = 0; i < n; i++) {
        if (rows[i].use == use && rows[i].state == SP_KEY_SIGNING) return &rows[i];
    }
    return NULL;
}

static sp_status keys_load_fixed(struct sp_keys *keys, const struct sp_key_row *rows, size_t n) {
    for (size_t i = 0; i < FIXED_COUNT; i++) {
        SP_AUTO(sp_buf) plain = SP_BUF_INIT(SECRET_BYTES);
        const struct sp_key_row *row = find_fixed(rows, n, fixed_uses[i]);
        if (row == NULL) return sp_err(SP_E_NOT_FOUND);
        SP_TRY(sp_key_unseal(row, sp_secret_slice(&keys->master_key), &plain));
        if (plain.n != SECRET_BYTES) return sp_err(SP_E_MALFORMED);
        sp_hmac_key_init(&keys->fixed[i], sp_buf_slice(&plain));
    }
    return SP_SUCCESS;
}

static sp_status keys_load(struct sp_keys *keys, sp_slice master_key, const struct sp_key_row *rows, size_t n,
                           bool is_past) {
    struct sp_key_snapshot *first = NULL;
    SP_TRY(sp_secret_set(&keys->master_key, master_key));
    SP_TRY(keys_load_fixed(keys, rows, n));
    SP_TRY(snapshot_new(rows, n, sp_secret_slice(&keys->master_key), is_past, &first));
    atomic_store(&keys->now, first);
    return SP_SUCCESS;
}

static sp_status keys_new(struct sp_seats *seats, sp_slice master_key, const struct sp_key_row *rows,
                          size_t n, bool is_past, struct sp_keys **ret) {
    if (master_key.n != SP_MASTER_KEY_BYTES) return sp_err(SP_E_MALFORMED);
    SP_AUTO_FREE(sp_keys) keys = calloc(1, sizeof(*keys));
    if (keys == NULL) return sp_err(SP_E_NOMEM);
    keys->seats = seats;
    SP_TRY(keys_load(keys, master_key, rows, n, is_past));
    *ret = sp_steal(&keys);
    return SP_SUCCESS;
}

sp_status sp_keys_new(struct sp_seats *seats, sp_slice master_key, const struct sp_key_row *rows, size_t n,
                      struct sp_keys **ret) {
    return keys_new(seats, master_key, rows, n, false, ret);
}

sp_status sp_keys_new_past(struct sp_seats *seats, sp_slice master_key, const struct sp_key_row *rows,
                           size_t n, struct sp_keys **ret) {
    return keys_new(seats, master_key, rows, n, true, ret);
}

void sp_keys_free(struct sp_keys *keys) {
    if (keys == NULL) return;
    snapshot_free(atomic_load(&keys->now));
    for (size_t i = 0; i < FIXED_COUNT; i++) sp_hmac_key_done(&keys->fixed[i]);
    sp_secret_done(&keys->master_key);
    free(keys);
}

/* The rows of now with `row` in its place, or after the others. */
static struct sp_key_row *rows_with(const struct sp_key_snapshot *now, const struct sp_key_row *row,
                                    size_t *ret_n) {
    struct sp_key_row *rows = calloc(now->n + 1, sizeof(*rows));
    if (rows == NULL) return NULL;
    size_t at = now->n;
    for (size_t i = 0; i < now->n; i++) {
        rows[i] = now->rows[i];
        if (sp_slice_eq(SP_TEXT_SLICE(&rows[i].kid), SP_TEXT_SLICE(&row->kid))) at = i;
    }
    rows[at] = *row;
    *ret_n = at == now->n ? now->n + 1 : now->n;
    return rows;
}

sp_status sp_keys_apply(struct sp_keys *keys, const struct sp_key_row *row) {
    struct sp_key_snapshot *old = atomic_load(&keys->now),
                           *next = NULL; /* the only writer: nobody retires it meanwhile */
    size_t n;
    struct sp_key_row *rows = rows_with(old, row, &n);
    if (rows == NULL) return sp_err(SP_E_NOMEM);
    sp_status s = snapshot_new(rows, n, sp_secret_slice(&keys->master_key), false, &next);
    free(rows);
    SP_TRY(s);
    atomic_store(&keys->now, next);
    sp_reclaim_retire(sp_seats_reclaim(keys->seats), &old->link, snapshot_reclaimed);
    return SP_SUCCESS;
}

const struct sp_hmac_key *sp_keys_sid_tag(const struct sp_keys *keys) {
    return &keys->fixed[0];
}
const struct sp_hmac_key *sp_keys_csrf(const struct sp_keys *keys) {
    return &keys->fixed[1];
}
const struct sp_hmac_key *sp_keys_audit(const struct sp_keys *keys) {
    return &keys->fixed[2];
}

/* ---- reading a snapshot ---- */

const struct sp_key_snapshot *sp_keys_now(const struct sp_keys *keys) {
    return atomic_load(&keys->now);
}

struct sp_key_signing sp_snapshot_signing(const struct sp_key_snapshot *s) {
    const struct loaded *l = &s->loaded[s->signing];
    return (struct sp_key_signing){SP_TEXT_SLICE(&l->row.kid), l->alg};
}

const struct sp_sig_key *sp_snapshot_private(const struct sp_key_snapshot *s, sp_slice kid,
                                             enum sp_alg *ret_alg) {
    for (size_t i = 0; i < s->n; i++) {
        const struct loaded *l = &s->loaded[i];
        if (l->row.use != SP_KEY_ACCESS || !sp_slice_eq(SP_TEXT_SLICE(&l->row.kid), kid)) continue;
        *ret_alg = l->alg;
        return l->key;
    }
    return NULL;
}

size_t sp_snapshot_feed_keys(const struct sp_key_snapshot *s, const struct sp_feed_key **ret) {
    *ret = s->feed;
    return s->n_feed;
}

const struct sp_refresh_key *sp_snapshot_refresh_current(const struct sp_key_snapshot *s) {
    return s->refresh_current;
}

const struct sp_refresh_key *sp_snapshot_refresh_find(void *snapshot, uint8_t number) {
    const struct sp_key_snapshot *s = snapshot;
    return s->refresh[number];
}

sp_slice sp_snapshot_jwks(const struct sp_key_snapshot *s) {
    return sp_buf_slice(&s->jwks);
}

const struct sp_jwk *sp_snapshot_verification(const struct sp_key_snapshot *s, size_t *ret_n) {
    *ret_n = s->n_verification;
    return s->verification;
}

const struct sp_key_row *sp_snapshot_rows(const struct sp_key_snapshot *s, size_t *ret_n) {
    *ret_n = s->n;
    return s->rows;
}
