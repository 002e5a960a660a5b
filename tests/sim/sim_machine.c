/* Each request is decided at one instant, so a history costs little more than its HMACs. What a store and an
 * app add (conflicts, faults, access tokens) is sim_app.c's. */
#include "sim_machine.h"

#include "core/tripwire.h"
#include "crypto/digest.h"

enum { MINUTE = 60 * 1000, DAY = 24 * 60 * MINUTE, SPAN = 6 * 60 * MINUTE, REFRESH_KEY = 1 };

struct rows {
    uint32_t n;
    uint32_t incarnation;
    struct sp_session_row v[SIM_FAMILIES_MAX];
};

struct machine {
    struct sp_refresh_key key;
    struct rows now;
    int64_t alive_ms, ready_ms, down_ms;
    struct snapshot {
        struct rows *rows; /* heap */
        bool ended[SIM_FAMILIES_MAX];
    } snapshots[SIM_SNAPSHOTS_MAX];
    uint32_t snapshots_n;
};

static void rows_copy(struct rows *to, const struct rows *from) {
    memcpy(to, from, offsetof(struct rows, v) + from->n * sizeof(from->v[0]));
}

static struct machine *machine_of(struct sim *s) {
    return s->state;
}

/* NULL: unknown, or lost in a restore. */
static struct sp_session_row *row_of(struct sim *s, const struct sim_family *f) {
    struct machine *m = machine_of(s);
    struct sp_session_row *row = &m->now.v[f->index];
    return f->index < m->now.n && row->state != 0 ? row : NULL;
}

static struct sp_session_policy policy_of(struct sim *s) {
    struct machine *m = machine_of(s);
    return (struct sp_session_policy){.grace_ms = SIM_GRACE_MS,
                                      .reuse = s->reuse,
                                      .alive_ms = m->alive_ms,
                                      .ready_ms = m->ready_ms,
                                      .incarnation = m->now.incarnation};
}

static void begin(struct sim *s) {
    struct machine *m = calloc(1, sizeof(*m));
    sp_assert(m != NULL);
    uint8_t secret[SP_REFRESH_KEY_BYTES];
    sim_bytes(s, secret, sizeof(secret));
    sp_refresh_key_init(&m->key, REFRESH_KEY, secret);
    m->now.incarnation = 1;
    s->state = m;
    s->reuse = (enum sp_reuse_policy)sim_below(s, 3);
    s->idle_ttl_ms = sim_chance(s, 30) ? 40 * MINUTE : 7 * (int64_t)DAY;
    s->absolute_ttl_ms = sim_chance(s, 20) ? 90 * MINUTE : 30 * (int64_t)DAY;
    s->users_n = (uint32_t)sim_between(s, 1, SIM_USERS_MAX);
    for (uint32_t i = 0; i < s->users_n; i++) s->users[i].index = i;
}

static void end(struct sim *s) {
    struct machine *m = machine_of(s);
    for (uint32_t i = 0; i < m->snapshots_n; i++) free(m->snapshots[i].rows);
    sp_refresh_key_done(&m->key);
    free(m);
}

/* ---- tokens ---- */

static sp_sid sid_of(const uint8_t *sid) {
    sp_sid ret;
    memcpy(ret.b, sid, sizeof(ret.b));
    return ret;
}

static void encode(struct machine *m, const struct sp_session_row *row, char *ret) {
    struct sp_refresh_token t = {
        .key_id = REFRESH_KEY, .sid = sid_of(row->sid), .generation = row->generation};
    memcpy(t.secret, row->secret, sizeof(t.secret));
    sp_refresh_token_encode(&t, &m->key, ret);
}

static const struct sp_refresh_key *find_key(void *arg, uint8_t id) {
    struct machine *m = arg;
    return id == m->key.id ? &m->key : NULL;
}

static void login(struct sim *s, struct sim_client *c) {
    struct machine *m = machine_of(s);
    struct sim_family *f = s->down ? NULL : sim_family_new(s, c->user, c->mode);
    if (f == NULL) {
        sim_login_done(s, c, NULL, NULL);
        return;
    }
    struct sp_session_row *row = &m->now.v[f->index];
    m->now.n = f->index + 1;
    memset(row, 0, sizeof(*row));
    sim_bytes(s, row->sid, sizeof(row->sid));
    sim_bytes(s, row->secret, sizeof(row->secret));
    memcpy(f->sid, row->sid, sizeof(f->sid));
    row->mode = c->mode;
    row->state = SP_SESSION_ACTIVE;
    row->refresh_key = REFRESH_KEY;
    row->incarnation = m->now.incarnation;
    row->created_ms = s->now_ms;
    row->absolute_expires_ms = s->now_ms + s->absolute_ttl_ms;
    row->idle_expires_ms = s->now_ms + s->idle_ttl_ms;
    if (row->idle_expires_ms > row->absolute_expires_ms) row->idle_expires_ms = row->absolute_expires_ms;
    char token[SP_REFRESH_CHARS];
    encode(m, row, token);
    sim_login_done(s, c, f, token);
}

/* ---- a refresh ---- */

static void rotate(struct sim *s, struct sp_session_row *row, const struct sp_refresh_token *t,
                   const struct sp_refresh_event *e) {
    struct machine *m = machine_of(s);
    memcpy(row->secret, t->secret, sizeof(row->secret));
    sp_refresh_ratchet(&m->key, t->sid, t->generation, row->secret);
    row->generation = t->generation + 1;
    memmove(&row->rotated_ms[1], &row->rotated_ms[0], sizeof(row->rotated_ms) - sizeof(row->rotated_ms[0]));
    row->rotated_ms[0] = s->now_ms;
    row->has_attempt = e->has_attempt;
    memcpy(row->attempt, e->attempt, sizeof(row->attempt));
    row->generation_used = false;
    row->incarnation = m->now.incarnation;
    row->idle_expires_ms = s->now_ms + s->idle_ttl_ms;
    if (row->idle_expires_ms > row->absolute_expires_ms) row->idle_expires_ms = row->absolute_expires_ms;
}

static void end_row(struct sim *s, struct sp_session_row *row, enum sp_session_state state,
                    enum sp_end_cause cause) {
    if (row->state != SP_SESSION_ACTIVE) return;
    row->state = state;
    row->cause = cause;
    row->ended_ms = s->now_ms;
}

static void trip(struct sim *s, struct sim_request *r, const struct sp_session_decision *d) {
    struct machine *m = machine_of(s);
    end_row(s, &m->now.v[r->family->index], SP_SESSION_TRIPPED, d->cause);
    for (uint32_t i = 0; d->reach == SP_REUSE_USER && i < m->now.n; i++) {
        if (s->families[i]->user == r->family->user)
            end_row(s, &m->now.v[i], SP_SESSION_ENDED, SP_END_REUSE_ELSEWHERE);
    }
}

static enum sp_outcome act(struct sim *s, struct sim_request *r, const struct sp_refresh_token *t,
                           const struct sp_refresh_event *e, const struct sp_session_decision *d) {
    struct machine *m = machine_of(s);
    struct sp_session_row *row = &m->now.v[r->family->index];
    switch (d->action) {
    case SP_ACT_REFUSE:
    case SP_ACT_REFUSE_AUDIT: return SP_OUTCOME_INVALID_GRANT;
    case SP_ACT_SUPERSEDED: return SP_OUTCOME_REFRESH_SUPERSEDED;
    case SP_ACT_TRIP:
        trip(s, r, d);
        r->reuse_detected = true;
        return SP_OUTCOME_INVALID_GRANT;
    case SP_ACT_REPORT: r->reuse_detected = true; return SP_OUTCOME_INVALID_GRANT;
    case SP_ACT_HEAL:
    case SP_ACT_ROTATE: rotate(s, row, t, e); break;
    case SP_ACT_SAME: row->generation_used = true; break;
    case SP_ACT_SUCCESSOR: break;
    }
    encode(m, row, r->next);
    return SP_OUTCOME_OK;
}

static void event_of(const struct sim_request *r, const struct sp_refresh_token *t,
                     struct sp_refresh_event *ret) {
    uint8_t hash[SP_SHA256_BYTES];
    *ret = (struct sp_refresh_event){
        .generation = t->generation, .same_client = true, .has_attempt = r->has_attempt};
    if (!r->has_attempt) return;
    sp_sha256(SP_SLICE_ARRAY(r->attempt), hash);
    memcpy(ret->attempt, hash, sizeof(ret->attempt));
}

static enum sp_outcome decide(struct sim *s, struct sim_request *r) {
    struct machine *m = machine_of(s);
    struct sp_refresh_token t;
    struct sp_refresh_event e;
    if (!sp_ok(sp_refresh_token_parse(SP_SLICE_ARRAY(r->token), find_key, m, &t)))
        return SP_OUTCOME_INVALID_GRANT;
    struct sp_session_row *row = row_of(s, r->family);
    if (row == NULL) return SP_OUTCOME_INVALID_GRANT;
    SIM_OK(s, sp_session_row_check(row));
    event_of(r, &t, &e);
    e.proof = sp_tripwire_prove(row, &t, &m->key);
    struct sp_session_policy policy = policy_of(s);
    struct sp_session_decision d = sp_session_step(row, &e, s->now_ms, &policy);
    return act(s, r, &t, &e, &d);
}

static void refresh(struct sim *s, struct sim_request *r) {
    struct machine *m = machine_of(s);
    struct sp_session_row before = m->now.v[r->family->index];
    r->outcome = decide(s, r);
    if (r->actor == SIM_FORGER && memcmp(&before, &m->now.v[r->family->index], sizeof(before)) != 0)
        sim_fail(s, "a forger changed family %u", r->family->index);
    sim_refresh_done(s, r);
}

static void logout(struct sim *s, struct sim_family *f, const char *token) {
    struct sp_session_row *row = row_of(s, f);
    (void)token;
    if (s->down || row == NULL) return;
    end_row(s, row, SP_SESSION_ENDED, SP_END_LOGOUT);
    sim_family_over(s, f, "logout");
}

static bool peek(struct sim *s, const struct sim_family *f, struct sp_session_row *ret) {
    const struct sp_session_row *row = row_of(s, f);
    if (row != NULL) *ret = *row;
    return row != NULL;
}

/* At most one generation of a family is alive: of all that were ever issued, one would rotate. */
static void look(struct sim *s, struct sim_family *f) {
    struct machine *m = machine_of(s);
    const struct sp_session_row *row = &m->now.v[f->index];
    struct sp_session_policy policy = policy_of(s);
    uint32_t alive = 0;
    for (uint32_t g = 0; g < f->generations_n; g++) {
        struct sp_refresh_token t;
        if (!f->generations[g].issued) continue;
        SIM_OK(s, sp_refresh_token_parse(SP_SLICE_ARRAY(f->generations[g].text), find_key, m, &t));
        struct sp_refresh_event e = {
            .generation = g, .same_client = true, .proof = sp_tripwire_prove(row, &t, &m->key)};
        enum sp_session_action a = sp_session_step(row, &e, s->now_ms, &policy).action;
        alive += a == SP_ACT_ROTATE || a == SP_ACT_SAME;
        if (f->tripped && f->ended && a != SP_ACT_REFUSE)
            sim_fail(s, "family %u was tripped, and recovers", f->index);
    }
    if (alive > 1) sim_fail(s, "family %u has %u live generations", f->index, alive);
}

/* ---- what happens to it ---- */

static void snapshot(struct sim *s) {
    struct machine *m = machine_of(s);
    uint32_t slot =
        m->snapshots_n < SIM_SNAPSHOTS_MAX ? m->snapshots_n++ : (uint32_t)sim_below(s, SIM_SNAPSHOTS_MAX);
    struct snapshot *shot = &m->snapshots[slot];
    if (shot->rows == NULL) shot->rows = malloc(sizeof(*shot->rows));
    sp_assert(shot->rows != NULL);
    rows_copy(shot->rows, &m->now);
    for (uint32_t i = 0; i < s->families_n; i++) shot->ended[i] = s->families[i]->ended;
    sim_trace(s, "a backup is made");
}

/* With the sessions kept: what was ended since then lives again, what began since then is gone. */
static void restore(struct sim *s) {
    struct machine *m = machine_of(s);
    if (m->snapshots_n == 0) return;
    const struct snapshot *shot = &m->snapshots[sim_below(s, m->snapshots_n)];
    uint32_t incarnation = m->now.incarnation;
    memset(m->now.v, 0, m->now.n * sizeof(m->now.v[0]));
    rows_copy(&m->now, shot->rows);
    m->now.incarnation = incarnation + 1;
    for (uint32_t i = 0; i < s->families_n; i++) {
        struct sim_family *f = s->families[i];
        f->ended = i < m->now.n && shot->ended[i];
        f->tripped = f->tripped && f->ended;
        f->maybe_ended = f->maybe_ended || row_of(s, f) == NULL;
        if (row_of(s, f) != NULL) sim_family_forget(f, m->now.v[i].generation);
    }
    s->counts.restores++;
    sim_trace(s, "a backup is restored, sessions kept");
}

static void start_again(struct sim *s, struct sim_event *e) {
    struct machine *m = machine_of(s);
    free(e);
    m->ready_ms = s->now_ms;
    sim_trace(s, "the server is ready");
    sim_restarted(s, m->down_ms);
}

/* The last proof of life is up to a second old; none is written before the windows of this start are over. */
static void stop(struct sim *s, bool is_restore) {
    struct machine *m = machine_of(s);
    struct sim_event *e = calloc(1, sizeof(*e));
    sp_assert(e != NULL);
    if (s->now_ms > m->ready_ms + SIM_GRACE_MS) m->alive_ms = s->now_ms - sim_between(s, 0, 1000);
    s->down = true;
    sim_trace(s, "the server stops");
    m->down_ms = s->now_ms;
    if (is_restore) restore(s);
    sim_at(s, e, s->now_ms + (sim_chance(s, 50) ? sim_between(s, 100, 8000) : sim_between(s, 1, 20 * MINUTE)),
           start_again);
}

static void happen(struct sim *s) {
    if (s->down) return;
    uint64_t what = sim_below(s, 100);
    if (what < 30)
        stop(s, false);
    else if (what < 50)
        snapshot(s);
    else if (what < 58)
        stop(s, true);
}

const struct sim_server sim_machine = {.name = "machine",
                                       .test = "test_sim_machine",
                                       .seeds = 1500,
                                       .span_ms = SPAN,
                                       .begin = begin,
                                       .end = end,
                                       .refresh = refresh,
                                       .login = login,
                                       .logout = logout,
                                       .peek = peek,
                                       .happen = happen,
                                       .look = look};
