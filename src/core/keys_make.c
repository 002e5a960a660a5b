/* From steps to rows: generating, sealing, moving on.
 *
 * Every secret is 32 random bytes or a private key in the form of crypto/sig.h. It exists in the clear only
 * in buffers that wipe themselves, and leaves here sealed. */
#include "base/assert.h"
#include "core/audit.h"
#include "core/keys.h"
#include "crypto/aead.h"
#include "token/ids.h"

#define SEAL_DOMAIN "sallyport sealed key v1"
#define SECRET_ALG "HMAC-SHA-256" /* what is written for keys that are not for JWS */

enum {
    SECRET_BYTES = 32,
    SEAL_AD_BYTES_MAX = 256,
};

void sp_key_changes_done(struct sp_key_changes *c) {
    if (c->v != NULL) sp_free_wiped(c->v, c->n * sizeof(*c->v));
    *c = (struct sp_key_changes)SP_KEY_CHANGES_INIT;
}

/* ---- sealing ---- */

/* Names what is sealed and where it belongs. State and times are left out: they change while the key does
 * not. */
static sp_status seal_ad(const struct sp_key_row *row, struct sp_buf *ad) {
    SP_TRY(sp_buf_append(ad, SP_SLICE_LIT(SEAL_DOMAIN)));
    SP_TRY(sp_buf_append_u32be(ad, row->tenant));
    SP_TRY(sp_buf_append_u8(ad, (uint8_t)row->use));
    SP_TRY(sp_buf_append_u8(ad, row->number));
    SP_TRY(sp_buf_append_u8(ad, (uint8_t)row->kid.n));
    SP_TRY(sp_buf_append(ad, SP_TEXT_SLICE(&row->kid)));
    SP_TRY(sp_buf_append_u8(ad, (uint8_t)row->alg.n));
    return sp_buf_append(ad, SP_TEXT_SLICE(&row->alg));
}

static sp_status seal(struct sp_key_row *row, sp_slice master_key, const struct sp_random *random,
                      sp_slice plain) {
    SP_AUTO(sp_buf) ad = SP_BUF_INIT(SEAL_AD_BYTES_MAX);
    SP_AUTO(sp_buf) sealed = SP_BUF_INIT(sizeof(row->sealed.s));
    SP_TRY(seal_ad(row, &ad));
    SP_TRY(sp_aead_seal(master_key.p, random, sp_buf_slice(&ad), plain, &sealed));
    return SP_TEXT_SET(&row->sealed, sp_buf_slice(&sealed));
}

sp_status sp_key_unseal(const struct sp_key_row *row, sp_slice master_key, struct sp_buf *ret) {
    SP_AUTO(sp_buf) ad = SP_BUF_INIT(SEAL_AD_BYTES_MAX);
    sp_assert(master_key.n == SP_MASTER_KEY_BYTES);
    SP_TRY(seal_ad(row, &ad));
    return sp_aead_open(master_key.p, sp_buf_slice(&ad), SP_TEXT_SLICE(&row->sealed), ret);
}

/* ---- making ---- */

struct maker {
    sp_slice master_key;
    const struct sp_random *random;
    int64_t now_ms;
    const struct sp_key_schedule *schedule;
};

static sp_status set_base64url(sp_slice bytes, sp_text64 *ret) {
    SP_AUTO(sp_buf) text = SP_BUF_INIT(sizeof(ret->s));
    SP_TRY(sp_buf_append_base64url(&text, bytes));
    return SP_TEXT_SET(ret, sp_buf_slice(&text));
}

static sp_status set_random_kid(const struct maker *m, sp_text64 *ret) {
    uint8_t id[SP_ID_BYTES];
    SP_TRY(sp_random_fill(m->random, id, sizeof(id)));
    return set_base64url(SP_SLICE_ARRAY(id), ret);
}

static sp_status name_public_key(struct sp_key_row *row, enum sp_alg alg, const struct sp_sig_key *key) {
    uint8_t thumbprint[SP_SHA256_BYTES];
    SP_AUTO(sp_buf) jwk = SP_BUF_INIT(sizeof(row->public_jwk.s));
    SP_TRY(sp_jwk_thumbprint(key, thumbprint));
    SP_TRY(set_base64url(SP_SLICE_ARRAY(thumbprint), &row->kid));
    SP_TRY(sp_jwk_write_public(SP_TEXT_SLICE(&row->kid), alg, key, &jwk));
    return SP_TEXT_SET(&row->public_jwk, sp_buf_slice(&jwk));
}

static sp_status make_access(const struct maker *m, enum sp_alg alg, struct sp_key_row *row) {
    SP_AUTO_FREE(sp_sig_key) key = NULL;
    SP_AUTO(sp_buf) plain = SP_BUF_INIT(SP_SIG_PRIVATE_BYTES_MAX);
    SP_TRY(SP_TEXT_SET(&row->alg, sp_slice_cstr(sp_alg_name(alg))));
    SP_TRY(sp_sig_key_generate(alg, m->random, &key));
    if (alg == SP_ALG_HS256) {
        SP_TRY(set_random_kid(m, &row->kid));
    } else {
        SP_TRY(name_public_key(row, alg, key));
    }
    SP_TRY(sp_sig_key_export_private(key, &plain));
    return seal(row, m->master_key, m->random, sp_buf_slice(&plain));
}

static sp_status make_secret(const struct maker *m, struct sp_key_row *row) {
    uint8_t secret[SECRET_BYTES];
    SP_TRY(SP_TEXT_SET(&row->alg, SP_SLICE_LIT(SECRET_ALG)));
    SP_TRY(set_random_kid(m, &row->kid));
    SP_TRY(sp_random_fill(m->random, secret, sizeof(secret)));
    sp_status s = seal(row, m->master_key, m->random, SP_SLICE_ARRAY(secret));
    sp_wipe(secret, sizeof(secret));
    return s;
}

static sp_status create(const struct maker *m, const struct sp_key_step *step, struct sp_key_change *ret) {
    struct sp_key_row *row = &ret->row;
    *row = (struct sp_key_row){
        .tenant = SP_TENANT_DEFAULT,
        .use = step->use,
        .state = step->state,
        .number = step->number,
        .created_ms = m->now_ms,
        .signing_from_ms = step->state == SP_KEY_SIGNING ? m->now_ms : 0,
    };
    ret->expect_version = SP_VERSION_ABSENT;
    const bool is_pair = step->use == SP_KEY_ACCESS || step->use == SP_KEY_FEED;
    return is_pair ? make_access(m, step->alg, row) : make_secret(m, row);
}

/* ---- moving on ---- */

/* Nothing that the key vouches for can pass anywhere after this. */
static int64_t gone_ms(const struct maker *m, enum sp_key_use use) {
    if (use == SP_KEY_FEED) return m->now_ms + (int64_t)SP_KEY_FEED_KEPT_S * 1000;
    const int64_t lifetime_s =
        use == SP_KEY_ACCESS ? m->schedule->access_ttl_max_s : m->schedule->absolute_ttl_s;
    return m->now_ms + (lifetime_s + SP_REVOKE_SLACK_S + SP_KEY_GONE_EXTRA_S) * 1000;
}

static void forget_secret(struct sp_key_row *row) {
    sp_wipe(&row->sealed, sizeof(row->sealed));
}

/* Where each step leads from each state; what is not here is refused. A revoked key is revoked for good. */
static const enum sp_key_state moves[][SP_KEY_STEP_REVOKE + 1] = {
    [SP_KEY_ANNOUNCED] = {[SP_KEY_STEP_SIGN] = SP_KEY_SIGNING,
                          [SP_KEY_STEP_DROP] = SP_KEY_GONE,
                          [SP_KEY_STEP_REVOKE] = SP_KEY_REVOKED},
    [SP_KEY_SIGNING] = {[SP_KEY_STEP_RETIRE] = SP_KEY_RETIRED, [SP_KEY_STEP_REVOKE] = SP_KEY_REVOKED},
    [SP_KEY_RETIRED] = {[SP_KEY_STEP_DROP] = SP_KEY_GONE, [SP_KEY_STEP_REVOKE] = SP_KEY_REVOKED},
    [SP_KEY_REVOKED] = {0},
};

sp_status sp_key_next_state(enum sp_key_state from, enum sp_key_step_kind kind, enum sp_key_state *ret) {
    const bool known = (unsigned)from < SP_ARRAY_LEN(moves) && (unsigned)kind < SP_ARRAY_LEN(moves[0]);
    if (!known || moves[from][kind] == 0) return sp_err(SP_E_CONFLICT);
    *ret = moves[from][kind];
    return SP_SUCCESS;
}

static sp_status move(const struct maker *m, enum sp_key_step_kind kind, struct sp_key_row *row) {
    SP_TRY(sp_key_next_state(row->state, kind, &row->state));
    if (row->state == SP_KEY_SIGNING) row->signing_from_ms = m->now_ms;
    if (row->state == SP_KEY_RETIRED) row->retired_ms = m->now_ms;
    if (row->state == SP_KEY_RETIRED) row->gone_ms = gone_ms(m, row->use);
    if (row->state == SP_KEY_GONE || row->state == SP_KEY_REVOKED) {
        row->gone_ms = m->now_ms;
        forget_secret(row);
    }
    return SP_SUCCESS;
}

static sp_status carry_out_step(const struct maker *m, const struct sp_key_step *step,
                                const struct sp_key_row *rows, struct sp_key_change *ret) {
    ret->kind = step->kind;
    if (step->kind == SP_KEY_STEP_CREATE) return create(m, step, ret);
    ret->row = rows[step->row];
    ret->expect_version = ret->row.version;
    return move(m, step->kind, &ret->row);
}

sp_status sp_keys_carry_out(const struct sp_key_plan *plan, const struct sp_key_row *rows, size_t n,
                            sp_slice master_key, const struct sp_random *random, int64_t now_ms,
                            const struct sp_key_schedule *schedule, struct sp_key_changes *ret) {
    const struct maker m = {master_key, random, now_ms, schedule};
    sp_assert(master_key.n == SP_MASTER_KEY_BYTES);
    struct sp_key_changes made = {.v = calloc(plan->n + 1, sizeof(*made.v)), .n = plan->n};
    if (made.v == NULL) return sp_err(SP_E_NOMEM);
    for (size_t i = 0; i < plan->n; i++) {
        sp_assert(plan->steps[i].kind == SP_KEY_STEP_CREATE || plan->steps[i].row < n);
        sp_status s = carry_out_step(&m, &plan->steps[i], rows, &made.v[i]);
        if (!sp_ok(s)) {
            sp_key_changes_done(&made);
            return s;
        }
    }
    *ret = made;
    return SP_SUCCESS;
}

struct sp_change sp_key_change_put(const struct sp_key_changes *changes, size_t i) {
    sp_assert(i < changes->n);
    return (struct sp_change){
        .kind = SP_CHANGE_KEY_PUT,
        .key_put = {.row = &changes->v[i].row, .expect_version = changes->v[i].expect_version},
    };
}

/* ---- what the audit log says of it ---- */

static enum sp_audit_action action_of(enum sp_key_step_kind kind) {
    switch (kind) {
    case SP_KEY_STEP_CREATE: return SP_AUDIT_KEY_CREATED;
    case SP_KEY_STEP_SIGN: return SP_AUDIT_KEY_ROTATED;
    case SP_KEY_STEP_RETIRE: return SP_AUDIT_KEY_RETIRED;
    case SP_KEY_STEP_DROP: return SP_AUDIT_KEY_DROPPED;
    case SP_KEY_STEP_REVOKE: return SP_AUDIT_KEY_REVOKED;
    }
    return SP_AUDIT_KEY_CREATED;
}

const char *sp_key_use_name(enum sp_key_use use) {
    switch (use) {
    case SP_KEY_ACCESS: return "access";
    case SP_KEY_REFRESH: return "refresh";
    case SP_KEY_SID_TAG: return "sid_tag";
    case SP_KEY_CSRF: return "csrf";
    case SP_KEY_AUDIT: return "audit";
    case SP_KEY_FEED: return "feed";
    }
    return "unknown";
}

const char *sp_key_state_name(enum sp_key_state state) {
    switch (state) {
    case SP_KEY_ANNOUNCED: return "announced";
    case SP_KEY_SIGNING: return "signing";
    case SP_KEY_RETIRED: return "retired";
    case SP_KEY_GONE: return "gone";
    case SP_KEY_REVOKED: return "revoked";
    }
    return "unknown";
}

void sp_key_change_event(const struct sp_key_change *change, struct sp_log_field field[3],
                         struct sp_audit_event *ret) {
    const struct sp_key_row *row = &change->row;
    field[0] = SP_LOGF_TEXT("use", sp_slice_cstr(sp_key_use_name(row->use)));
    field[1] = SP_LOGF_TEXT("alg", SP_TEXT_SLICE(&row->alg));
    field[2] = SP_LOGF_TEXT("state", sp_slice_cstr(sp_key_state_name(row->state)));
    *ret = (struct sp_audit_event){
        .action = action_of(change->kind),
        .outcome = SP_AUDIT_OK,
        .target = SP_TEXT_SLICE(&row->kid),
        .detail = field,
        .detail_n = 3,
    };
}
