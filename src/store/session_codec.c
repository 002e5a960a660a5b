#include "store/session_codec.h"

#include "base/assert.h"
#include "base/reader.h"

enum { LOGIN_VERSION_PLAIN = 1, LOGIN_VERSION_FAMILY = 2, HOT_VERSION = 1 };
enum { FLAG_ATTEMPT = 1, FLAG_USED = 2, FLAGS_KNOWN = FLAG_ATTEMPT | FLAG_USED };
enum { LOGIN_PARENT = 1, LOGIN_OFFLINE = 2, LOGIN_BACKCHANNEL = 4, LOGIN_FLAGS_KNOWN = 7 };

/* ---- writing ---- */

struct out {
    uint8_t *p;
    size_t n;
};

static void put(struct out *o, const void *p, size_t n) {
    memcpy(o->p + o->n, p, n);
    o->n += n;
}

static void put_u8(struct out *o, unsigned v) {
    o->p[o->n++] = (uint8_t)v;
}

static void put_u16(struct out *o, uint16_t v) {
    uint16_t be = __builtin_bswap16(v);
    put(o, &be, sizeof(be));
}

static void put_u32(struct out *o, uint32_t v) {
    uint32_t be = __builtin_bswap32(v);
    put(o, &be, sizeof(be));
}

static void put_i64(struct out *o, int64_t v) {
    uint64_t be = __builtin_bswap64((uint64_t)v);
    put(o, &be, sizeof(be));
}

static void put_text(struct out *o, sp_slice s) {
    put_u16(o, (uint16_t)s.n);
    if (s.n != 0) put(o, s.p, s.n);
}

void sp_session_hot_encode(const struct sp_session_row *row, uint8_t ret[SP_SESSION_HOT_BYTES]) {
    struct out o = {ret, 0};
    put_u8(&o, HOT_VERSION);
    put_u8(&o, row->state);
    put_u8(&o, row->cause);
    put_u8(&o, (row->has_attempt ? FLAG_ATTEMPT : 0U) | (row->generation_used ? FLAG_USED : 0U));
    put_u32(&o, row->generation);
    put_u32(&o, row->incarnation);
    put(&o, row->secret, sizeof(row->secret));
    put(&o, row->attempt, sizeof(row->attempt));
    for (size_t i = 0; i < SP_ROW_ROTATIONS_KEPT; i++) put_i64(&o, row->rotated_ms[i]);
    put_i64(&o, row->ended_ms);
    put_i64(&o, row->last_seen_ms);
    put_i64(&o, row->idle_expires_ms);
    put_i64(&o, row->access_exp_max_s);
    put_i64(&o, (int64_t)row->refreshes);
    sp_assert(o.n == SP_SESSION_HOT_BYTES);
}

static unsigned family_flags(const struct sp_session_row *row) {
    return (sp_session_has_parent(row) ? LOGIN_PARENT : 0U) | (row->offline ? LOGIN_OFFLINE : 0U) |
           (row->backchannel ? LOGIN_BACKCHANNEL : 0U);
}

static void put_family(struct out *o, const struct sp_session_row *row) {
    put_u8(o, family_flags(row));
    if (sp_session_has_parent(row)) put(o, row->parent, sizeof(row->parent));
}

size_t sp_session_login_encode(const struct sp_session_row *row, uint8_t ret[SP_SESSION_LOGIN_BYTES_MAX]) {
    struct out o = {ret, 0};
    const bool plain = family_flags(row) == 0;
    put_u8(&o, plain ? LOGIN_VERSION_PLAIN : LOGIN_VERSION_FAMILY);
    put_u8(&o, row->mode);
    put_u8(&o, row->refresh_key);
    put_u32(&o, row->global_epoch);
    put_i64(&o, row->created_ms);
    put_i64(&o, row->auth_time_s);
    put_i64(&o, row->absolute_expires_ms);
    put_text(&o, SP_TEXT_SLICE(&row->client_id));
    put_text(&o, SP_TEXT_SLICE(&row->aud));
    put_text(&o, SP_TEXT_SLICE(&row->scope));
    put_text(&o, SP_TEXT_SLICE(&row->acr));
    put_text(&o, SP_TEXT_SLICE(&row->amr));
    put_text(&o, SP_TEXT_SLICE(&row->jkt));
    put_text(&o, SP_TEXT_SLICE(&row->act));
    put_text(&o, SP_TEXT_SLICE(&row->device));
    put_text(&o, SP_TEXT_SLICE(&row->address));
    put_text(&o, SP_TEXT_SLICE(&row->user_agent));
    if (!plain) put_family(&o, row);
    return o.n;
}

/* ---- reading ---- */

static sp_status get_i64(struct sp_reader *r, int64_t *ret) {
    uint64_t v;
    SP_TRY(sp_reader_u64be(r, &v));
    *ret = (int64_t)v;
    return SP_SUCCESS;
}

/* A byte in min..max. */
static sp_status get_in_range(struct sp_reader *r, uint8_t min, uint8_t max, uint8_t *ret) {
    uint8_t v;
    SP_TRY(sp_reader_u8(r, &v));
    if (v < min || v > max) return sp_err(SP_E_MALFORMED);
    *ret = v;
    return SP_SUCCESS;
}

static sp_status get_version(struct sp_reader *r, uint8_t version) {
    uint8_t v;
    return get_in_range(r, version, version, &v);
}

static sp_status get_slice(struct sp_reader *r, sp_slice *ret) {
    uint8_t high, low;
    SP_TRY(sp_reader_u8(r, &high));
    SP_TRY(sp_reader_u8(r, &low));
    return sp_reader_bytes(r, ((size_t)high << 8) | low, ret);
}

#define GET_TEXT(r, text)                                                                                    \
    do {                                                                                                     \
        sp_slice got_;                                                                                       \
        SP_TRY(get_slice((r), &got_));                                                                       \
        if (!sp_ok(SP_TEXT_SET((text), got_))) return sp_err(SP_E_MALFORMED);                                \
    } while (0)

static sp_status get_state(struct sp_reader *r, struct sp_session_row *row) {
    uint8_t state, cause, flags;
    SP_TRY(get_in_range(r, SP_SESSION_ACTIVE, SP_SESSION_TRIPPED, &state));
    SP_TRY(get_in_range(r, SP_END_NONE, SP_END_CAUSE_COUNT - 1, &cause));
    SP_TRY(get_in_range(r, 0, FLAGS_KNOWN, &flags));
    if ((state == SP_SESSION_ACTIVE) != (cause == SP_END_NONE)) return sp_err(SP_E_MALFORMED);
    row->state = (enum sp_session_state)state;
    row->cause = (enum sp_end_cause)cause;
    row->has_attempt = (flags & FLAG_ATTEMPT) != 0;
    row->generation_used = (flags & FLAG_USED) != 0;
    return SP_SUCCESS;
}

sp_status sp_session_hot_decode(sp_slice hot, struct sp_session_row *row) {
    struct sp_reader r = SP_READER(hot);
    int64_t refreshes;
    SP_TRY(get_version(&r, HOT_VERSION));
    SP_TRY(get_state(&r, row));
    SP_TRY(sp_reader_u32be(&r, &row->generation));
    SP_TRY(sp_reader_u32be(&r, &row->incarnation));
    SP_TRY(sp_reader_copy(&r, row->secret, sizeof(row->secret)));
    SP_TRY(sp_reader_copy(&r, row->attempt, sizeof(row->attempt)));
    for (size_t i = 0; i < SP_ROW_ROTATIONS_KEPT; i++) SP_TRY(get_i64(&r, &row->rotated_ms[i]));
    SP_TRY(get_i64(&r, &row->ended_ms));
    SP_TRY(get_i64(&r, &row->last_seen_ms));
    SP_TRY(get_i64(&r, &row->idle_expires_ms));
    SP_TRY(get_i64(&r, &row->access_exp_max_s));
    SP_TRY(get_i64(&r, &refreshes));
    row->refreshes = (uint64_t)refreshes;
    return sp_reader_end(&r);
}

/* No flags, and a parent of zeros, would be second ways to write that there is nothing. */
static sp_status get_family(struct sp_reader *r, struct sp_session_row *row) {
    uint8_t flags;
    SP_TRY(get_in_range(r, 1, LOGIN_FLAGS_KNOWN, &flags));
    row->offline = (flags & LOGIN_OFFLINE) != 0;
    row->backchannel = (flags & LOGIN_BACKCHANNEL) != 0;
    if ((flags & LOGIN_PARENT) == 0) return SP_SUCCESS;
    SP_TRY(sp_reader_copy(r, row->parent, sizeof(row->parent)));
    return sp_session_has_parent(row) ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}

sp_status sp_session_login_decode(sp_slice login, struct sp_session_row *row) {
    struct sp_reader r = SP_READER(login);
    uint8_t version, mode;
    SP_TRY(get_in_range(&r, LOGIN_VERSION_PLAIN, LOGIN_VERSION_FAMILY, &version));
    SP_TRY(get_in_range(&r, SP_MODE_TOKEN, SP_MODE_COOKIE, &mode));
    row->mode = (enum sp_session_mode)mode;
    SP_TRY(sp_reader_u8(&r, &row->refresh_key));
    SP_TRY(sp_reader_u32be(&r, &row->global_epoch));
    SP_TRY(get_i64(&r, &row->created_ms));
    SP_TRY(get_i64(&r, &row->auth_time_s));
    SP_TRY(get_i64(&r, &row->absolute_expires_ms));
    GET_TEXT(&r, &row->client_id);
    GET_TEXT(&r, &row->aud);
    GET_TEXT(&r, &row->scope);
    GET_TEXT(&r, &row->acr);
    GET_TEXT(&r, &row->amr);
    GET_TEXT(&r, &row->jkt);
    GET_TEXT(&r, &row->act);
    GET_TEXT(&r, &row->device);
    GET_TEXT(&r, &row->address);
    GET_TEXT(&r, &row->user_agent);
    row->offline = row->backchannel = false;
    memset(row->parent, 0, sizeof(row->parent));
    if (version != LOGIN_VERSION_PLAIN) SP_TRY(get_family(&r, row));
    return sp_reader_end(&r);
}
