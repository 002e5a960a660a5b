/* Honest clients, thieves, forgers, and the network between them and the server. The honest protocol is
 * docs/internals/session.md's, and is written here as a client would write it: a client sees its own clock,
 * answers, and what it has stored; never a generation. */
#include "sim.h"

#include "base/base64url.h"

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    ROTATIONS_IN_GRACE = 3, /* one less than the server remembers */
    THIEF_EVERY_MS = 8 * MINUTE,
    FORGER_EVERY_MS = 6 * MINUTE,
};

static void agent_wake(struct sim *s, struct sim_event *e);

/* ---- the network ---- */

static void request_free(struct sim *s, struct sim_request *r) {
    s->requests_n--;
    free(r);
}

/* Mostly quick, sometimes as late as it gets. */
static int64_t delay(struct sim *s) {
    return sim_chance(s, 85) ? sim_between(s, 1, 150) : sim_between(s, 150, SIM_NET_MS);
}

static bool listens_to(const struct sim_request *r) {
    return r->agent->is_waiting && r->agent->try == r->try && r->client->family == r->family;
}

static bool is_of_progress(const struct sim_client *c, const struct sim_request *r) {
    return c->family == r->family && c->in_progress && c->progress == r->progress;
}

/* Nobody listens at the server's port. A window that is open then reopens with the server: so it counts from
 * now on. */
static void connection_refused(struct sim *s, struct sim_request *r) {
    struct sim_client *c = r->client;
    if (r->actor != SIM_HONEST || !listens_to(r) || !is_of_progress(c, r)) return;
    r->agent->is_waiting = false;
    c->undecided--;
    if (s->now_ms <= c->first_send_ms + SIM_GRACE_MS) c->first_send_ms = s->now_ms;
}

static void arrive(struct sim *s, struct sim_event *e) {
    struct sim_request *r = SP_CONTAINER_OF(e, struct sim_request, event);
    if (s->down) connection_refused(s, r);
    if (s->down || r->start != s->start) {
        request_free(s, r); /* the connection is gone */
        return;
    }
    sim_refresh_begin(s, r);
    s->server->refresh(s, r);
}

static void send(struct sim *s, const struct sim_request *like) {
    struct sim_request *r = malloc(sizeof(*r));
    sp_assert(r != NULL);
    *r = *like;
    r->sim = s;
    r->start = s->start;
    s->requests_n++;
    sim_at(s, &r->event, s->now_ms + delay(s), arrive);
}

/* ---- an honest client: answers ---- */

/* When it is refreshed next: in a burst, at the edge of the window, before the access token ends, or much
 * later. */
static int64_t next_refresh_ms(struct sim *s) {
    uint64_t kind = sim_below(s, 100);
    if (kind < 25) return sim_between(s, 100, 4 * SECOND);
    if (kind < 45) return sim_between(s, 7 * SECOND, 14 * SECOND);
    if (kind < 95) return sim_between(s, 1 * MINUTE, 14 * MINUTE);
    return sim_between(s, 20 * MINUTE, 120 * MINUTE);
}

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Not while an old request may still be under way that no window covers; not more often than the server
 * remembers; and the tabs of a browser give the last answers time to arrive, because a cookie is what the
 * last one says. */
static int64_t not_before_ms(const struct sim *s, const struct sim_client *c) {
    int64_t at = c->successes_ms[ROTATIONS_IN_GRACE - 1] + SIM_GRACE_MS;
    if (c->last_send_ms + SIM_LIFE_MS > c->first_send_ms + SIM_GRACE_MS)
        at = later(at, c->last_send_ms + SIM_LIFE_MS);
    if (c->mode == SP_MODE_COOKIE) at = later(at, s->now_ms + SIM_GRACE_MS);
    return at;
}

static void store(struct sim *s, struct sim_client *c, const struct sim_request *r) {
    sim_trace(s, "client %u stores generation %u", c->index, r->next_generation);
    memcpy(c->token, r->next, sizeof(c->token));
    c->generation = r->next_generation;
    if (!is_of_progress(c, r)) return;
    c->in_progress = false;
    memmove(&c->successes_ms[1], &c->successes_ms[0], sizeof(c->successes_ms) - sizeof(c->successes_ms[0]));
    c->successes_ms[0] = s->now_ms;
    c->refresh_at_ms = later(s->now_ms + next_refresh_ms(s), not_before_ms(s, c));
}

/* The token is opaque: it is stored when the one that was presented is still the one that is stored. A
 * browser does not ask. */
static void client_granted(struct sim *s, struct sim_client *c, const struct sim_request *r) {
    if (is_of_progress(c, r) || c->mode == SP_MODE_COOKIE) store(s, c, r);
}

static void log_in(struct sim *s, struct sim_client *c) {
    if (c->logging_in) return;
    c->logging_in = true;
    c->family = NULL;
    c->in_progress = false;
    s->server->login(s, c);
}

static void client_answered(struct sim *s, struct sim_event *e) {
    struct sim_request *r = SP_CONTAINER_OF(e, struct sim_request, event);
    struct sim_client *c = r->client;
    struct sim_agent *a = r->agent;
    if (listens_to(r)) {
        a->is_waiting = false;
        sim_trace(s, "client %u, agent %u hears %s", c->index, (unsigned)(a - c->agents),
                  sp_outcome_code(r->outcome));
        if (r->outcome != SP_OUTCOME_OUTCOME_UNKNOWN && c->progress == r->progress) c->undecided--;
        if (r->outcome == SP_OUTCOME_OK) client_granted(s, c, r);
        /* Superseded: whoever has the newer one has stored it. */
        if (r->outcome == SP_OUTCOME_INVALID_GRANT) c->family = NULL;
    }
    request_free(s, r);
}

/* ---- a thief ---- */

static void use_loot(struct sim *s, struct sim_event *e) {
    struct sim_loot *l = SP_CONTAINER_OF(e, struct sim_loot, event);
    if (s->now_ms >= s->until_ms) return;
    struct sim_request r = {.actor = SIM_THIEF,
                            .loot = l,
                            .family = l->family,
                            .generation = l->generation,
                            .mode = l->family->mode,
                            .has_attempt = l->has_attempt};
    memcpy(r.token, l->token, sizeof(r.token));
    memcpy(r.attempt, l->attempt, sizeof(r.attempt));
    sim_trace(s, "thief %u presents family %u generation %u", (unsigned)(l - s->loot), l->family->index,
              l->generation);
    send(s, &r);
}

static int64_t thief_patience_ms(struct sim *s) {
    uint64_t kind = sim_below(s, 3);
    if (kind == 0) return sim_between(s, 0, 12 * SECOND);
    if (kind == 1) return sim_between(s, 12 * SECOND, 10 * MINUTE);
    return sim_between(s, 10 * MINUTE, 60 * MINUTE);
}

static void thief_answered(struct sim *s, const struct sim_request *r) {
    struct sim_loot *l = r->loot;
    if (r->outcome == SP_OUTCOME_OK) {
        memcpy(l->token, r->next, sizeof(l->token));
        l->generation = r->next_generation;
    }
    if (++l->uses < 6) {
        sim_at(s, &l->event, s->now_ms + thief_patience_ms(s), use_loot);
    } else {
        l->is_taken = false;
    }
}

static void steal(struct sim *s, struct sim_client *c, struct sim_loot *l) {
    *l = (struct sim_loot){.is_taken = true, .family = c->family, .generation = c->generation};
    memcpy(l->token, c->token, sizeof(l->token));
    if (sim_chance(s, 30)) { /* of his own; or of the refresh that is in progress */
        l->has_attempt = true;
        sim_bytes(s, l->attempt, sizeof(l->attempt));
    } else if (c->in_progress && c->uses_attempt) {
        l->has_attempt = true;
        memcpy(l->attempt, c->attempt, sizeof(l->attempt));
    }
    sim_trace(s, "thief %u steals from client %u: family %u generation %u", (unsigned)(l - s->loot), c->index,
              c->family->index, c->generation);
    sim_at(s, &l->event, s->now_ms + thief_patience_ms(s), use_loot);
}

static void theft(struct sim *s, struct sim_event *e) {
    if (s->now_ms >= s->until_ms) return;
    struct sim_client *c = &s->clients[sim_below(s, s->clients_n)];
    for (uint32_t i = 0; c->family != NULL && i < SIM_LOOT_MAX; i++) {
        if (s->loot[i].is_taken) continue;
        steal(s, c, &s->loot[i]);
        break;
    }
    sim_at(s, e, s->now_ms + sim_between(s, 1, 2 * (int64_t)THIEF_EVERY_MS), theft);
}

/* ---- a forger: knows sids, generations and tags, and other sessions' tokens; no secret of this one ---- */

static void forge(struct sim *s, const struct sim_family *victim, const struct sim_family *own, char *ret) {
    uint8_t b[SP_REFRESH_BYTES], other[SP_REFRESH_BYTES];
    const size_t prefix = sizeof(SP_REFRESH_PREFIX) - 1;
    uint32_t of = (uint32_t)sim_below(s, 64);
    while (of != 0 && (of >= victim->generations_n || !victim->generations[of].issued)) of--;
    SIM_OK(s,
           sp_base64url_decode_exact(
               sp_slice_of(victim->generations[of].text + prefix, SP_REFRESH_CHARS - prefix), b, sizeof(b)));
    SIM_OK(s, sp_base64url_decode_exact(
                  sp_slice_of(own->generations[0].text + prefix, SP_REFRESH_CHARS - prefix), other,
                  sizeof(other)));
    const size_t tag = 26, secret = tag + SP_REFRESH_TAG_BYTES;
    uint64_t how = sim_below(s, 4);
    if (how == 0)
        memcpy(b + tag, other + tag, SP_REFRESH_BYTES - tag); /* a tag and secret of his own session */
    if (how == 1) b[secret + sim_below(s, SP_REFRESH_SECRET_BYTES)] ^= (uint8_t)(1u << sim_below(s, 8));
    if (how == 2) sim_bytes(s, b + secret, SP_REFRESH_SECRET_BYTES); /* the true tag, a guessed secret */
    if (how == 3) b[25]++;                                           /* a generation that it is not */
    memcpy(ret, SP_REFRESH_PREFIX, prefix);
    sp_base64url_encode(SP_SLICE_ARRAY(b), ret + prefix);
}

static void forgery(struct sim *s, struct sim_event *e) {
    if (s->now_ms >= s->until_ms) return;
    sim_at(s, e, s->now_ms + sim_between(s, 1, 2 * (int64_t)FORGER_EVERY_MS), forgery);
    if (s->families_n == 0) return;
    struct sim_family *victim = s->families[sim_below(s, s->families_n)];
    const struct sim_family *own = s->families[sim_below(s, s->families_n)];
    if (!victim->born || !own->born || own == victim) return;
    struct sim_request r = {.actor = SIM_FORGER, .family = victim, .mode = victim->mode};
    forge(s, victim, own, r.token);
    r.generation = sim_token_generation(r.token);
    sim_trace(s, "a forger presents family %u generation %u", victim->index, r.generation);
    send(s, &r);
}

void sim_network_answer(struct sim *s, struct sim_request *r) {
    if (r->actor == SIM_THIEF) thief_answered(s, r);
    if (r->actor != SIM_HONEST || s->down || s->answer_is_lost || sim_chance(s, 6)) {
        request_free(s, r);
        return;
    }
    sim_at(s, &r->event, s->now_ms + delay(s), client_answered);
}

/* ---- an honest client: asking ---- */

static void sleep_until(struct sim *s, struct sim_agent *a, int64_t at_ms) {
    int64_t soon = s->now_ms + 1;
    if (soon >= s->until_ms) return;
    sim_at(s, &a->wake, later(at_ms, soon), agent_wake);
}

/* A browser cannot see which token it has. If a request of its last refresh was never answered, that one may
 * have rotated after another one was answered without: so the attempt stays the same. */
static void begin_refresh(struct sim *s, struct sim_client *c) {
    bool keeps_attempt = c->mode == SP_MODE_COOKIE && c->undecided != 0;
    c->in_progress = true;
    c->progress++;
    c->undecided = 0;
    c->first_send_ms = s->now_ms;
    if (!keeps_attempt) sim_bytes(s, c->attempt, sizeof(c->attempt));
}

static void present(struct sim *s, struct sim_agent *a) {
    struct sim_client *c = a->client;
    struct sim_request r = {.actor = SIM_HONEST,
                            .client = c,
                            .agent = a,
                            .try = ++a->try,
                            .progress = c->progress,
                            .family = c->family,
                            .generation = c->generation,
                            .has_attempt = c->uses_attempt,
                            .mode = c->mode};
    memcpy(r.token, c->token, sizeof(r.token));
    memcpy(r.attempt, c->attempt, sizeof(r.attempt));
    c->last_send_ms = s->now_ms;
    c->undecided++;
    a->is_waiting = true;
    sim_trace(s, "client %u, agent %u sends generation %u of family %u", c->index, (unsigned)(a - c->agents),
              c->generation, c->family->index);
    if (sim_chance(s, 92)) send(s, &r);
    if (c->uses_attempt && sim_chance(s, 5)) send(s, &r); /* a proxy that repeats */
}

/* Without attempts a retry is safe only while the window of a rotation that may have happened is certainly
 * open when it is decided. If all requests are known to have changed nothing, there was none. */
static bool may_send(struct sim *s, struct sim_client *c) {
    if (!c->in_progress) {
        begin_refresh(s, c);
        return true;
    }
    if (c->uses_attempt) return true;
    if (c->undecided == 0) c->first_send_ms = s->now_ms;
    return s->now_ms + SIM_LIFE_MS <= c->first_send_ms + SIM_GRACE_MS;
}

static void refresh(struct sim *s, struct sim_agent *a) {
    struct sim_client *c = a->client;
    if (may_send(s, c)) {
        present(s, a);
        /* The answer that does not come by then does not come. */
        sleep_until(s, a, s->now_ms + sim_between(s, 300, SIM_LIFE_MS + SIM_NET_MS));
        return;
    }
    sim_trace(s, "client %u gives up family %u", c->index, c->family->index);
    c->family = NULL;
    sleep_until(s, a, s->now_ms + 1);
}

/* With an attempt a client may come back whenever it likes: the lid of the laptop was closed. */
static int64_t pause_ms(struct sim *s, const struct sim_client *c) {
    if (c->uses_attempt && sim_chance(s, 10)) return sim_between(s, 1 * MINUTE, 90 * MINUTE);
    return sim_between(s, 50, 1500);
}

static void agent_wake(struct sim *s, struct sim_event *e) {
    struct sim_agent *a = SP_CONTAINER_OF(e, struct sim_agent, wake);
    struct sim_client *c = a->client;
    if (s->now_ms >= s->until_ms) return;
    bool gave_up_waiting = a->is_waiting;
    a->is_waiting = false;
    if (c->family == NULL) {
        log_in(s, c);
        sleep_until(s, a, s->now_ms + sim_between(s, 1 * SECOND, 20 * SECOND));
    } else if (gave_up_waiting) {
        sleep_until(s, a, s->now_ms + pause_ms(s, c));
    } else if (c->refresh_at_ms > s->now_ms) {
        sleep_until(s, a, c->refresh_at_ms + sim_between(s, 0, 2 * SECOND));
    } else if (sim_chance(s, 3)) {
        sim_client_log_out(s, c);
        sleep_until(s, a, s->now_ms + sim_between(s, 1 * SECOND, 10 * MINUTE));
    } else {
        refresh(s, a);
    }
}

/* ---- begin and end of a login ---- */

void sim_client_logged_in(struct sim *s, struct sim_client *c, struct sim_family *f, const char *token) {
    c->logging_in = false;
    if (token == NULL || s->down || sim_chance(s, 5)) return; /* the answer is lost, too */
    c->family = f;
    c->in_progress = false;
    memcpy(c->token, token, sizeof(c->token));
    c->generation = 0;
    c->first_send_ms = c->last_send_ms = 0;
    c->undecided = 0;
    c->refresh_at_ms = s->now_ms + next_refresh_ms(s);
}

void sim_client_log_out(struct sim *s, struct sim_client *c) {
    struct sim_family *f = c->family;
    c->family = NULL;
    sim_trace(s, "client %u logs out of family %u", c->index, f->index);
    s->server->logout(s, f, c->token);
}

static void happening(struct sim *s, struct sim_event *e) {
    if (s->now_ms >= s->until_ms) return;
    s->server->happen(s);
    sim_at(s, e, s->now_ms + sim_between(s, 1, 10 * MINUTE), happening);
}

static void client_begin(struct sim *s, struct sim_client *c, uint32_t index) {
    c->index = index;
    c->user = &s->users[sim_below(s, s->users_n)];
    c->mode = sim_chance(s, 50) ? SP_MODE_COOKIE : SP_MODE_TOKEN;
    c->uses_attempt = sim_chance(s, 60);
    c->agents_n = (uint32_t)sim_between(s, 1, SIM_AGENTS_MAX);
    for (uint32_t i = 0; i < c->agents_n; i++) {
        c->agents[i].client = c;
        sim_at(s, &c->agents[i].wake, s->now_ms + sim_between(s, 1, 30 * SECOND), agent_wake);
    }
}

void sim_actors_begin(struct sim *s) {
    s->clients_n = (uint32_t)sim_between(s, 2, SIM_CLIENTS_MAX);
    for (uint32_t i = 0; i < s->clients_n; i++) client_begin(s, &s->clients[i], i);
    s->has_thieves = sim_chance(s, 60);
    if (s->has_thieves) sim_at(s, &s->theft, s->now_ms + 1 * MINUTE, theft);
    sim_at(s, &s->forgery, s->now_ms + 1 * MINUTE, forgery);
    sim_at(s, &s->happening, s->now_ms + 1 * MINUTE, happening);
}
