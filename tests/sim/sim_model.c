/* What the model remembers, and what it refuses. docs/internals/session.md lists the promises. */
#include "sim.h"

#include "base/base64url.h"
#include "crypto/digest.h"

enum {
    HEARTBEAT_SLACK_MS =
        40 * 1000, /* how far the last proof of life may lie before a stop, faults included */
};

/* ---- families ---- */

struct sim_family *sim_family_new(struct sim *s, struct sim_user *user, enum sp_session_mode mode) {
    if (s->families_n == SIM_FAMILIES_MAX) return NULL;
    struct sim_family *f = calloc(1, sizeof(*f));
    sp_assert(f != NULL);
    f->index = s->families_n;
    f->user = user;
    f->mode = mode;
    s->families[s->families_n++] = f;
    return f;
}

void sim_family_free(struct sim_family *f) {
    for (size_t i = 0; i < SIM_ACCESS_KEPT; i++) free(f->access[i].text);
    free(f->generations);
    free(f);
}

static struct sim_generation *generation_of(struct sim_family *f, uint32_t g) {
    if (g >= f->generations_n) {
        size_t n = (size_t)g * 2 + 16;
        f->generations = realloc(f->generations, n * sizeof(struct sim_generation));
        sp_assert(f->generations != NULL);
        memset(f->generations + f->generations_n, 0, (n - f->generations_n) * sizeof(struct sim_generation));
        f->generations_n = n;
    }
    return &f->generations[g];
}

void sim_family_forget(struct sim_family *f, uint32_t generation) {
    f->has_moved = false;
    for (size_t g = generation; g < f->generations_n; g++) f->generations[g].rotated_ms = 0;
}

void sim_family_over(struct sim *s, struct sim_family *f, const char *why) {
    if (f->ended) return;
    f->ended = f->maybe_ended = true;
    f->ended_ms = s->now_ms;
    s->counts.ends++;
    sim_trace(s, "  family %u is over: %s", f->index, why);
}

bool sim_is_over(const struct sim *s, const struct sp_session_row *row) {
    return row->state != SP_SESSION_ACTIVE || row->idle_expires_ms <= s->now_ms ||
           row->absolute_expires_ms <= s->now_ms;
}

/* ---- tokens ---- */

static void token_bytes(const char *token, uint8_t ret[SP_REFRESH_BYTES]) {
    const size_t prefix = sizeof(SP_REFRESH_PREFIX) - 1;
    sp_status s = sp_base64url_decode_exact(sp_slice_of(token + prefix, SP_REFRESH_CHARS - prefix), ret,
                                            SP_REFRESH_BYTES);
    sp_assert(sp_ok(s));
}

uint32_t sim_token_generation(const char *token) {
    uint8_t b[SP_REFRESH_BYTES];
    token_bytes(token, b);
    return (uint32_t)b[22] << 24 | (uint32_t)b[23] << 16 | (uint32_t)b[24] << 8 | b[25];
}

/* Two different successors of one generation never exist, and none is another family's. */
static void note_issued(struct sim *s, struct sim_family *f, const char *token) {
    uint8_t b[SP_REFRESH_BYTES];
    token_bytes(token, b);
    if (memcmp(b + 2, f->sid, sizeof(f->sid)) != 0)
        sim_fail(s, "family %u was given another family's token", f->index);
    struct sim_generation *g = generation_of(f, sim_token_generation(token));
    if (g->issued && memcmp(g->text, token, sizeof(g->text)) != 0)
        sim_fail(s, "family %u has two tokens of generation %u", f->index, sim_token_generation(token));
    g->issued = true;
    memcpy(g->text, token, sizeof(g->text));
}

/* ---- windows ---- */

/* One that was open when the server stopped may be open again, and again after the next stop. */
static bool may_have_reopened(const struct sim *s, int64_t opened_ms) {
    int64_t from_ms = opened_ms;
    for (size_t i = SIM_RESTARTS_KEPT; i-- > 0;) {
        bool spans = from_ms <= s->ready_ms[i] && from_ms + HEARTBEAT_SLACK_MS >= s->down_ms[i];
        if (s->ready_ms[i] != 0 && spans) from_ms = s->ready_ms[i];
    }
    return from_ms != opened_ms && s->now_ms - from_ms <= 2 * SIM_GRACE_MS;
}

static bool is_retry_of_the_rotation(struct sim *s, const struct sim_request *r) {
    struct sp_session_row row;
    uint8_t hash[SP_SHA256_BYTES];
    if (!r->has_attempt || !s->server->peek(s, r->family, &row)) return false;
    sp_sha256(SP_SLICE_ARRAY(r->attempt), hash);
    return row.generation == r->generation + 1 && row.has_attempt &&
           memcmp(row.attempt, hash, sizeof(row.attempt)) == 0;
}

/* The generation was rotated away before, by whomever, and no window is open: a thief's use, or the first
 * honest use after a thief's. */
static bool must_be_caught(struct sim *s, const struct sim_request *r) {
    int64_t rotated_ms = generation_of(r->family, r->generation)->rotated_ms;
    if (rotated_ms == 0 || s->now_ms - rotated_ms <= SIM_GRACE_MS) return false;
    return !may_have_reopened(s, rotated_ms) && !is_retry_of_the_rotation(s, r);
}

/* ---- a refresh ---- */

void sim_refresh_begin(struct sim *s, struct sim_request *r) {
    r->begun_ms = s->now_ms;
    struct sp_session_row row;
    bool there = s->server->peek(s, r->family, &row);
    r->was_over = r->family->ended || (there && sim_is_over(s, &row));
    r->has_moved = r->family->has_moved;
    r->rotates = there && row.generation <= r->generation;
    r->is_ahead = there && row.generation < r->generation;
    r->must_be_caught = r->actor != SIM_FORGER && must_be_caught(s, r);
    if (r->actor == SIM_THIEF) r->family->used_by_thief = true;
    if (r->actor == SIM_THIEF && s->reuse == SP_REUSE_USER) r->family->user->used_by_thief = true;
}

static const char *actor_name(enum sim_actor actor) {
    static const char *const names[] = {"client", "thief", "forger"};
    return names[actor];
}

static bool is_excused(struct sim *s, const struct sim_family *f) {
    struct sp_session_row row;
    if (f->maybe_ended || f->used_by_thief || f->user->used_by_thief) return true;
    return s->server->peek(s, f, &row) && row.state == SP_SESSION_ACTIVE && sim_is_over(s, &row);
}

static void granted(struct sim *s, struct sim_request *r) {
    struct sim_family *f = r->family;
    if (r->actor == SIM_FORGER) sim_fail(s, "a forger was given a token of family %u", f->index);
    if (r->was_over) sim_fail(s, "family %u was over, and refreshed", f->index);
    if (r->must_be_caught)
        sim_fail(s, "reuse of family %u, generation %u, was not caught", f->index, r->generation);
    r->next_generation = sim_token_generation(r->next);
    bool same = r->next_generation == r->generation;
    if (r->next_generation != r->generation + 1 && !(same && r->mode == SP_MODE_COOKIE))
        sim_fail(s, "family %u: generation %u after %u", f->index, r->next_generation, r->generation);
    note_issued(s, f, r->next);
    struct sim_generation *g = generation_of(f, r->generation);
    if (!same && g->rotated_ms != 0) s->counts.retries_served++;
    if (!same && g->rotated_ms == 0) g->rotated_ms = s->now_ms;
    /* Two that both think they are the newest: one of them is a thief. */
    if (r->is_ahead && r->has_moved) sim_fail(s, "family %u was healed after it had moved on", f->index);
    f->has_moved = f->has_moved || (!same && r->rotates);
    s->counts.same += same;
    s->counts.heals += r->is_ahead;
    s->counts.refreshes++;
}

static void alarmed(struct sim *s, struct sim_request *r) {
    struct sim_family *f = r->family;
    if (!f->used_by_thief) sim_fail(s, "family %u was tripped, and no thief was near", f->index);
    if (s->reuse == SP_REUSE_REPORT) {
        s->counts.reports++;
        return;
    }
    if (r->was_over) sim_fail(s, "family %u was tripped after it was over", f->index);
    s->counts.trips++;
    f->tripped = true;
    sim_family_over(s, f, "tripped");
    for (uint32_t i = 0; s->reuse == SP_REUSE_USER && i < s->families_n; i++) {
        struct sim_family *other = s->families[i];
        if (other->user != f->user) continue;
        other->maybe_ended = true;
        if (other->born && other->born_ms < r->begun_ms) sim_family_over(s, other, "reuse elsewhere");
    }
}

static void refused(struct sim *s, struct sim_request *r) {
    struct sim_family *f = r->family;
    struct sp_session_row row;
    if (r->reuse_detected) alarmed(s, r);
    if (r->actor == SIM_HONEST && !is_excused(s, f))
        sim_fail(s, "client %u was locked out of family %u", r->client->index, f->index);
    if (!r->must_be_caught) return;
    s->counts.caught++;
    bool alive = s->server->peek(s, f, &row) && !sim_is_over(s, &row);
    if (alive && !r->reuse_detected)
        sim_fail(s, "reuse of family %u was refused, and the family lives", f->index);
}

static void superseded(struct sim *s, const struct sim_request *r) {
    const struct sim_family *f = r->family;
    s->counts.superseded++;
    if (r->was_over) sim_fail(s, "family %u was over, and superseded", f->index);
    if (r->must_be_caught) sim_fail(s, "reuse of family %u passed as superseded", f->index);
    if (r->actor == SIM_FORGER) sim_fail(s, "a forger was told about family %u", f->index);
    if (r->actor != SIM_HONEST || is_excused(s, f)) return;
    if (r->client->family == f && r->client->generation <= r->generation)
        sim_fail(s, "client %u was superseded and has nothing newer", r->client->index);
}

static bool is_trouble(enum sp_outcome outcome) {
    return outcome == SP_OUTCOME_STORE_UNAVAILABLE || outcome == SP_OUTCOME_OUTCOME_UNKNOWN;
}

void sim_refresh_done(struct sim *s, struct sim_request *r) {
    sim_trace(s, "  server: %s, family %u generation %u: %s%s", actor_name(r->actor), r->family->index,
              r->generation, sp_outcome_code(r->outcome), r->reuse_detected ? ", reuse detected" : "");
    if (r->actor == SIM_FORGER) s->counts.forged++;
    if (r->outcome == SP_OUTCOME_OK)
        granted(s, r);
    else if (r->outcome == SP_OUTCOME_INVALID_GRANT)
        refused(s, r);
    else if (r->outcome == SP_OUTCOME_REFRESH_SUPERSEDED)
        superseded(s, r);
    else if (!is_trouble(r->outcome))
        sim_fail(s, "a refresh ended with %s", sp_outcome_code(r->outcome));
    sim_network_answer(s, r);
}

void sim_login_done(struct sim *s, struct sim_client *c, struct sim_family *f, const char *token) {
    if (token != NULL) {
        f->born = true;
        f->born_ms = s->now_ms;
        note_issued(s, f, token);
        sim_trace(s, "  server: client %u of user %u begins family %u", c->index, c->user->index, f->index);
    }
    sim_client_logged_in(s, c, f, token);
}

/* ---- the whole ---- */

static void look_at(struct sim *s, struct sim_family *f) {
    struct sp_session_row row;
    if (!f->born) return;
    if (!s->server->peek(s, f, &row)) {
        if (!f->maybe_ended) sim_fail(s, "family %u is lost", f->index);
        return;
    }
    bool over = sim_is_over(s, &row);
    if (row.state == SP_SESSION_TRIPPED && !f->used_by_thief)
        sim_fail(s, "family %u is tripped, and no thief was near", f->index);
    if (f->ended && !over) sim_fail(s, "family %u was over, and lives", f->index);
    if (row.state != SP_SESSION_ACTIVE && !is_excused(s, f))
        sim_fail(s, "family %u has ended by itself: %s", f->index, sp_end_cause_name(row.cause));
}

static void look(struct sim *s) {
    for (uint32_t i = 0; i < s->families_n; i++) look_at(s, s->families[i]);
    if (s->families_n == 0) return;
    struct sim_family *f = s->families[sim_below(s, s->families_n)];
    struct sp_session_row row;
    if (f->born && s->server->peek(s, f, &row)) s->server->look(s, f); /* of one: it takes longer */
}

void sim_restarted(struct sim *s, int64_t down_ms) {
    size_t kept = sizeof(s->ready_ms) - sizeof(s->ready_ms[0]);
    memmove(&s->ready_ms[1], &s->ready_ms[0], kept);
    memmove(&s->down_ms[1], &s->down_ms[0], kept);
    s->ready_ms[0] = s->now_ms;
    s->down_ms[0] = down_ms;
    s->start++;
    s->down = false;
    s->counts.restarts++;
    look(s);
}

void sim_model_end(struct sim *s) {
    look(s);
    if (s->requests_n != 0) sim_fail(s, "%u requests were never answered", s->requests_n);
}
