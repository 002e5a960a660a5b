/* Building a record. The order of members is part of the format: the chain covers the bytes, and a second
 * writer (a migration, a test) must be able to make the same ones.
 *
 * {"v":1,"time":"2026-11-21T02:33:37.123Z","action":"login","outcome":"ok","actor":"...","target":"...","session":"...",
 *  "request_id":"...","detail":{...},"commitments":{"address":"...","user_agent":"...","username":"..."}}
 *
 * Every member is always there, empty when there is nothing to say; commitments only for values that there
 * are. */
#include "core/audit.h"

#include "base/assert.h"
#include "base/base64url.h"
#include "token/ids.h"

#define CUT_MARK "\xE2\x80\xA6" /* U+2026: a text of a stranger that was longer than we keep */

struct action {
    const char *name, *doc;
};
static const struct action actions[SP_AUDIT_ACTION_COUNT] = {
#define X(NAME, name_, doc_) [SP_AUDIT_##NAME] = {name_, doc_},
#include "core/audit_actions.def"
#undef X
};

const char *sp_audit_action_name(enum sp_audit_action action) {
    sp_assert((unsigned)action < SP_AUDIT_ACTION_COUNT);
    return actions[action].name;
}

const char *sp_audit_action_doc(enum sp_audit_action action) {
    sp_assert((unsigned)action < SP_AUDIT_ACTION_COUNT);
    return actions[action].doc;
}

const char *sp_audit_outcome_name(enum sp_audit_outcome outcome) {
    switch (outcome) {
    case SP_AUDIT_OK: return "ok";
    case SP_AUDIT_FAILED: return "failed";
    case SP_AUDIT_DENIED: return "denied";
    case SP_AUDIT_ALARM: return "alarm";
    }
    return "unknown";
}

void sp_audit_actor_user(const uint8_t id[SP_ROW_ID_BYTES], sp_text64 *ret) {
    sp_id user;
    memcpy(user.b, id, sizeof(user.b));
    sp_id_text(user, ret->s);
    ret->n = SP_ID_CHARS;
}

void sp_audit_actor_admin(uint32_t uid, sp_text64 *ret) {
    int n = snprintf(ret->s, sizeof(ret->s), "admin:%u", uid);
    ret->n = (uint16_t)n;
}

void sp_audit_actor_client(sp_slice client_id, sp_text64 *ret) {
    int n = snprintf(ret->s, sizeof(ret->s), "client:%.*s", SP_SLICE_FMT(client_id));
    ret->n = (uint16_t)((size_t)n < sizeof(ret->s) ? (size_t)n : sizeof(ret->s) - 1);
}

void sp_audit_entry_done(struct sp_audit_entry *e) {
    sp_buf_done(&e->body);
    sp_buf_done(&e->personal);
}

/* ---- texts of strangers ---- */

/* A text that is safe in a log: printable UTF-8, bounded. Never fails. */
struct clean {
    uint8_t p[SP_AUDIT_VALUE_BYTES_MAX + sizeof(CUT_MARK)];
    size_t n;
};

static bool byte_is_cut_inside(uint8_t b) {
    return (b & 0xC0) == 0x80; /* a continuation: the character began before it */
}

static size_t cut_at_character(sp_slice s, size_t max) {
    if (s.n <= max) return s.n;
    while (max > 0 && byte_is_cut_inside(s.p[max])) max--;
    return max;
}

static void replace_unprintable(struct clean *c, bool ascii_only) {
    for (size_t i = 0; i < c->n; i++) {
        uint8_t b = c->p[i];
        bool is_control = b < 0x20 || b == 0x7F;
        if (is_control || (ascii_only && b >= 0x80)) c->p[i] = '?';
        /* C1 controls are C2 80 .. C2 9F. */
        if (!ascii_only && b == 0xC2 && i + 1 < c->n && c->p[i + 1] < 0xA0) c->p[i] = c->p[i + 1] = '?';
    }
}

static sp_slice clean_text(sp_slice text, size_t max, struct clean *c) {
    const bool is_utf8 = sp_utf8_valid(text);
    const size_t kept = is_utf8 ? cut_at_character(text, max) : (text.n < max ? text.n : max);
    if (kept != 0) memcpy(c->p, text.p, kept);
    c->n = kept;
    if (!sp_utf8_printable(sp_slice_of(c->p, c->n))) replace_unprintable(c, !is_utf8);
    if (kept < text.n && max == SP_AUDIT_VALUE_BYTES_MAX) {
        memcpy(c->p + c->n, CUT_MARK, sizeof(CUT_MARK) - 1);
        c->n += sizeof(CUT_MARK) - 1;
    }
    return sp_slice_of(c->p, c->n);
}

/* A column: cut to what it holds, without a mark. */
static void set_column(sp_text64 *t, sp_slice text) {
    struct clean c;
    sp_slice kept = clean_text(text, sizeof(t->s), &c);
    memcpy(t->s, kept.p, kept.n);
    t->n = (uint16_t)kept.n;
}

static sp_status append_clean(struct sp_buf *b, sp_slice text) {
    struct clean c;
    return sp_buf_append_json_string(b, clean_text(text, SP_AUDIT_VALUE_BYTES_MAX, &c));
}

/* ---- members ---- */

/* ,"name": */
static sp_status append_name(struct sp_buf *b, const char *name) {
    if (b->n != 0 && b->p[b->n - 1] != '{') SP_TRY(sp_buf_append_u8(b, ','));
    SP_TRY(sp_buf_append_json_string(b, sp_slice_cstr(name)));
    return sp_buf_append_u8(b, ':');
}

static sp_status append_text(struct sp_buf *b, const char *name, sp_slice text) {
    SP_TRY(append_name(b, name));
    return append_clean(b, text);
}

void sp_audit_time_text(int64_t time_ms, char ret[SP_AUDIT_TIME_CHARS]) {
    const int64_t last_ms =
        INT64_C(253402300799999); /* the end of year 9999, the last that RFC 3339 can write */
    struct tm tm;
    char text[96]; /* for the compiler, which does not know that a year has four digits here */
    if (time_ms < 0) time_ms = 0;
    if (time_ms > last_ms) time_ms = last_ms;
    const time_t s = (time_t)(time_ms / 1000);
    sp_assert(gmtime_r(&s, &tm) != NULL);
    const int n =
        snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(time_ms % 1000));
    sp_assert(n == SP_AUDIT_TIME_CHARS);
    memcpy(ret, text, SP_AUDIT_TIME_CHARS);
}

sp_status sp_audit_append_time(struct sp_buf *b, int64_t time_ms) {
    char text[SP_AUDIT_TIME_CHARS];
    sp_audit_time_text(time_ms, text);
    return sp_buf_append(b, SP_SLICE_ARRAY(text));
}

static sp_status append_time_member(struct sp_buf *b, int64_t time_ms) {
    SP_TRY(append_name(b, "time"));
    SP_TRY(sp_buf_append_u8(b, '"'));
    SP_TRY(sp_audit_append_time(b, time_ms));
    return sp_buf_append_u8(b, '"');
}

static sp_status append_session(struct sp_buf *b, const uint8_t *sid) {
    char text[SP_SID_CHARS];
    sp_sid s;
    if (sid == NULL) return append_text(b, "session", SP_SLICE_EMPTY);
    memcpy(s.b, sid, sizeof(s.b));
    sp_sid_text(s, text);
    return append_text(b, "session", SP_SLICE_ARRAY(text));
}

static sp_status append_detail(struct sp_buf *b, const struct sp_log_field *fields, size_t n) {
    sp_assert(n <= SP_AUDIT_DETAILS_MAX);
    SP_TRY(append_name(b, "detail"));
    SP_TRY(sp_buf_append_u8(b, '{'));
    for (size_t i = 0; i < n; i++) {
        if (fields[i].type == SP_LOG_TEXT) {
            SP_TRY(append_text(b, fields[i].name, fields[i].text));
        } else {
            SP_TRY(append_name(b, fields[i].name));
            SP_TRY(sp_buf_append_i64_text(b, fields[i].i64));
        }
    }
    return sp_buf_append_u8(b, '}');
}

/* ---- personal values ---- */

struct personal {
    const char *name;
    sp_slice value;
};

static sp_status append_commitment(struct sp_buf *b, const struct personal *v, sp_slice salt) {
    struct clean c;
    uint8_t hash[SP_SHA256_BYTES];
    if (v->value.n == 0) return SP_SUCCESS;
    sp_audit_commit(salt, sp_slice_cstr(v->name), clean_text(v->value, SP_AUDIT_VALUE_BYTES_MAX, &c), hash);
    SP_TRY(append_name(b, v->name));
    SP_TRY(sp_buf_append_u8(b, '"'));
    SP_TRY(sp_buf_append_base64url(b, SP_SLICE_ARRAY(hash)));
    return sp_buf_append_u8(b, '"');
}

static sp_status append_commitments(struct sp_buf *b, const struct personal *values, size_t n,
                                    sp_slice salt) {
    SP_TRY(append_name(b, "commitments"));
    SP_TRY(sp_buf_append_u8(b, '{'));
    for (size_t i = 0; i < n; i++) SP_TRY(append_commitment(b, &values[i], salt));
    return sp_buf_append_u8(b, '}');
}

static sp_status append_personal(struct sp_buf *b, const struct personal *values, size_t n, sp_slice salt) {
    SP_TRY(sp_buf_append_cstr(b, "{\"salt\":\""));
    SP_TRY(sp_buf_append_base64url(b, salt));
    SP_TRY(sp_buf_append_u8(b, '"'));
    for (size_t i = 0; i < n; i++) {
        if (values[i].value.n != 0) SP_TRY(append_text(b, values[i].name, values[i].value));
    }
    return sp_buf_append_u8(b, '}');
}

static bool any_personal(const struct personal *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (values[i].value.n != 0) return true;
    }
    return false;
}

/* ---- the whole ---- */

static sp_status append_body(const struct sp_audit_event *event, const struct sp_audit_entry *e,
                             struct sp_buf *b) {
    SP_TRY(sp_buf_append_cstr(b, "{\"v\":1"));
    SP_TRY(append_time_member(b, e->time_ms));
    SP_TRY(append_text(b, "action", sp_slice_cstr(sp_audit_action_name(e->action))));
    SP_TRY(append_text(b, "outcome", sp_slice_cstr(sp_audit_outcome_name(e->outcome))));
    SP_TRY(append_text(b, "actor", SP_TEXT_SLICE(&e->actor)));
    SP_TRY(append_text(b, "target", SP_TEXT_SLICE(&e->target)));
    SP_TRY(append_session(b, event->sid));
    SP_TRY(append_text(b, "request_id", event->request_id));
    return append_detail(b, event->detail, event->detail_n);
}

static sp_status build(const struct sp_audit_event *event, sp_slice salt, struct sp_audit_entry *e) {
    const struct personal values[] = {
        {"address", event->address}, {"user_agent", event->user_agent}, {"username", event->username}};
    const size_t n = SP_ARRAY_LEN(values);
    SP_TRY(append_body(event, e, &e->body));
    SP_TRY(append_commitments(&e->body, values, n, salt));
    SP_TRY(sp_buf_append_u8(&e->body, '}'));
    return any_personal(values, n) ? append_personal(&e->personal, values, n, salt) : SP_SUCCESS;
}

sp_status sp_audit_build(const struct sp_audit_event *event, int64_t time_ms, const struct sp_random *random,
                         struct sp_audit_entry *ret) {
    uint8_t salt[SP_AUDIT_SALT_BYTES];
    SP_TRY(sp_random_fill(random, salt, sizeof(salt)));
    sp_buf_clear(&ret->body);
    sp_buf_clear(&ret->personal);
    ret->time_ms = time_ms;
    ret->action = event->action;
    ret->outcome = event->outcome;
    set_column(&ret->actor, event->actor);
    set_column(&ret->target, event->target);
    return build(event, SP_SLICE_ARRAY(salt), ret);
}

struct sp_change sp_audit_entry_change(const struct sp_audit_entry *e) {
    return (struct sp_change){
        .kind = SP_CHANGE_AUDIT,
        .audit = {.time_ms = e->time_ms,
                  .action = sp_slice_cstr(sp_audit_action_name(e->action)),
                  .outcome = sp_slice_cstr(sp_audit_outcome_name(e->outcome)),
                  .actor = SP_TEXT_SLICE(&e->actor),
                  .target = SP_TEXT_SLICE(&e->target),
                  .body = sp_buf_slice(&e->body),
                  .personal = sp_buf_slice(&e->personal)},
    };
}
