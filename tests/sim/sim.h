/* The simulation: clients, thieves and forgers around a server, on one thread, under one seed.
 *
 * Time is a number that the event queue moves; chance is one generator that the seed starts. So a seed is a
 * whole history, and a failing one is played again by itself with its trace printed.
 *
 *   actors ---- network (late, lost, twice) ----> server (struct sim_server)
 *     ^                                              |
 *     +------------------ answers ------------- model: is this answer allowed?
 *
 * The server is either the pure machine over one array of rows (sim_machine.c: thousands of histories a
 * second), or a whole app over the memory store (sim_app.c). Actors and model are the same for both, and the
 * model knows nothing of how the server decides: it remembers what was issued, used, stolen and acknowledged,
 * and refuses what the promises forbid. docs/internals/session.md states both, the protocol of an honest
 * client and the promises, in the same words. */
#ifndef SP_TESTS_SIM_SIM_H
#define SP_TESTS_SIM_SIM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "core/app.h"
#include "token/refresh_token.h"

enum {
    SIM_GRACE_MS = SP_GRACE_DEFAULT_MS,
    SIM_NET_MS = 3000,                      /* no message is older when it arrives */
    SIM_WORK_MS = 1000,                     /* ... and no request takes longer in the server */
    SIM_LIFE_MS = SIM_NET_MS + SIM_WORK_MS, /* what a client may count on: its request is decided or dead */
    SIM_AGENTS_MAX = 3,
    SIM_CLIENTS_MAX = 12,
    SIM_FAMILIES_MAX = 512,
    SIM_USERS_MAX = 4,
    SIM_LOOT_MAX = 64,
    SIM_ACCESS_KEPT = 4,
    SIM_SNAPSHOTS_MAX = 3,
    SIM_RESTARTS_KEPT = 8,
};

struct sim;

/* ---- time ---- */

struct sim_event {
    int64_t at_ms;
    uint64_t seq; /* of two at one time the older one is first */
    void (*run)(struct sim *s, struct sim_event *e);
};

/* ---- what is remembered ---- */

/* One generation of a family, as the model has seen it. */
struct sim_generation {
    bool issued;
    char text[SP_REFRESH_CHARS];
    int64_t rotated_ms; /* first answer that gave its successor; 0: none seen */
};

struct sim_access {
    char *text; /* heap; NULL: none */
    size_t n;
    int64_t exp_s, begun_ms, ended_ms;
    uint32_t start; /* of the server */
    bool jti_asked, jti_revoked;
};

struct sim_family {
    uint32_t index;
    struct sim_user *user;
    enum sp_session_mode mode;
    bool born; /* its login was answered */
    uint8_t sid[SP_ROW_SID_BYTES];
    int64_t born_ms;
    struct sim_generation *generations;
    size_t generations_n;

    bool has_moved;     /* rotated, since it began or was restored */
    bool used_by_thief; /* from the moment a thief sends one of its tokens */
    bool maybe_ended;   /* somebody asked for its end, or it may be lost in a restore */
    bool ended;         /* ... and has the answer that it is over */
    int64_t ended_ms;
    bool tripped;
    struct sim_access access[SIM_ACCESS_KEPT];
    uint32_t access_at;
};

struct sim_user {
    uint32_t index;
    char name[16];
    char password[32], other_password[32]; /* the second may have become the first */
    uint32_t password_n;
    bool used_by_thief;
    bool maybe_disabled;
    bool busy;                               /* somebody changes the user */
    int64_t epoch_asked_ms, epoch_raised_ms; /* last raise: submitted, acknowledged (its submission's time) */
};

/* What several agents of one client share: a browser's tabs, or threads of one program. */
struct sim_client {
    uint32_t index;
    struct sim_user *user;
    enum sp_session_mode mode;
    bool uses_attempt;
    uint32_t agents_n;

    struct sim_family *family; /* NULL: logged out */
    bool logging_in;
    char token[SP_REFRESH_CHARS];
    uint32_t generation;
    int64_t refresh_at_ms;

    /* The refresh in progress, if any. */
    uint64_t progress; /* its number */
    bool in_progress;
    uint8_t attempt[SP_ROW_ATTEMPT_BYTES];
    int64_t first_send_ms, last_send_ms;
    uint32_t undecided;      /* requests of it of which nobody said that they changed nothing */
    int64_t successes_ms[3]; /* newest first */

    struct sim_agent {
        struct sim_event wake;
        struct sim_client *client;
        bool is_waiting;
        uint64_t try; /* answers to another one are nobody's */
    } agents[SIM_AGENTS_MAX];
};

struct sim_loot {
    struct sim_event event;
    bool is_taken;
    struct sim_family *family;
    char token[SP_REFRESH_CHARS];
    uint32_t generation;
    bool has_attempt;
    uint8_t attempt[SP_ROW_ATTEMPT_BYTES];
    uint32_t uses;
};

enum sim_actor { SIM_HONEST, SIM_THIEF, SIM_FORGER };

/* A refresh under way. */
struct sim_request {
    struct sim_event event;
    struct sim *sim;
    enum sim_actor actor;
    struct sim_client *client;
    struct sim_agent *agent;
    struct sim_loot *loot;
    uint64_t try, progress;
    uint32_t start; /* of the server when it was sent: a connection does not survive it */
    struct sim_family *family;
    char token[SP_REFRESH_CHARS];
    uint32_t generation;
    bool has_attempt;
    uint8_t attempt[SP_ROW_ATTEMPT_BYTES];
    enum sp_session_mode mode;
    int64_t begun_ms;
    bool was_over; /* its end had been acknowledged before this began */
    bool has_moved;
    bool rotates;  /* by the row at its beginning, rather than being a retry */
    bool is_ahead; /* of the server's row */
    bool must_be_caught;

    enum sp_outcome outcome;
    bool reuse_detected;
    char next[SP_REFRESH_CHARS];
    uint32_t next_generation;
};

/* ---- the server ---- */

struct sim_server {
    const char *name, *test; /* of the executable that replays a seed */
    uint64_t seeds;          /* by default */
    int64_t span_ms;         /* of one history */
    void (*begin)(struct sim *s);
    void (*end)(struct sim *s);
    /* Ends in sim_refresh_done, at once or later. */
    void (*refresh)(struct sim *s, struct sim_request *r);
    /* Ends in sim_login_done. */
    void (*login)(struct sim *s, struct sim_client *c);
    /* Ends the family by its refresh token, if the server has a way; may do nothing. */
    void (*logout)(struct sim *s, struct sim_family *f, const char *token);
    /* false: no such row. Takes no time. */
    bool (*peek)(struct sim *s, const struct sim_family *f, struct sp_session_row *ret);
    /* Something that happens to servers: restarts, restores, faults, administrators. */
    void (*happen)(struct sim *s);
    void (*look)(struct sim *s, struct sim_family *f); /* checks of its own, on a family that is there */
};

struct sim_counts {
    uint64_t refreshes, retries_served, superseded, trips, heals, caught, forged, restarts, restores, reports,
        same, ends;
};

struct sim {
    uint64_t seed, random;
    int64_t now_ms, until_ms;
    struct sim_event **heap;
    size_t heap_n, heap_cap;
    uint64_t seq;
    bool tracing, printing;
    char (*ring)[192];
    uint64_t ring_n;
    jmp_buf failed;

    const struct sim_server *server;
    void *state; /* the server's */
    bool down;
    bool answer_is_lost; /* the one that is being told: the client has hung up */
    uint32_t start;      /* how often it has started, restores included */
    int64_t ready_ms[SIM_RESTARTS_KEPT], down_ms[SIM_RESTARTS_KEPT];
    enum sp_reuse_policy reuse;
    int64_t idle_ttl_ms, absolute_ttl_ms;
    bool has_thieves;

    struct sim_user users[SIM_USERS_MAX];
    uint32_t users_n;
    struct sim_client clients[SIM_CLIENTS_MAX];
    uint32_t clients_n;
    struct sim_family *families[SIM_FAMILIES_MAX];
    uint32_t families_n;
    struct sim_loot loot[SIM_LOOT_MAX];
    struct sim_event theft, forgery, happening;
    uint32_t requests_n; /* alive */
    struct sim_counts counts;
};

/* ---- sim.c ---- */

/* Under a sanitizer there is time for few seeds only: what is rare need not happen in them. */
bool sim_is_shortened(void);

uint64_t sim_random(struct sim *s);
/* Below n; n > 0. */
uint64_t sim_below(struct sim *s, uint64_t n);
int64_t sim_between(struct sim *s, int64_t low, int64_t high);
bool sim_chance(struct sim *s, uint32_t percent);
void sim_bytes(struct sim *s, void *p, size_t n);
void sim_at(struct sim *s, struct sim_event *e, int64_t at_ms, void (*run)(struct sim *, struct sim_event *));
void sim_trace(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the history. */
_Noreturn void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define SIM_OK(s, expr)                                                                                      \
    do {                                                                                                     \
        sp_status sim_status_ = (expr);                                                                      \
        if (!sp_ok(sim_status_)) sim_fail((s), "%s: %s", #expr, sp_code_name(sim_status_.code));             \
    } while (0)
/* Every seed that the environment asks for; fails the cmocka test when one of them fails. */
void sim_main(const struct sim_server *server, struct sim_counts *ret_counts);

/* ---- sim_actors.c ---- */

void sim_actors_begin(struct sim *s);
void sim_network_answer(struct sim *s, struct sim_request *r);
void sim_client_logged_in(struct sim *s, struct sim_client *c, struct sim_family *f, const char *token);
void sim_client_log_out(struct sim *s, struct sim_client *c);

/* ---- sim_model.c ---- */

struct sim_family *sim_family_new(struct sim *s, struct sim_user *user, enum sp_session_mode mode);
void sim_family_free(struct sim_family *f);
uint32_t sim_token_generation(const char *token);
/* The server is about to work on it, and has: checks, and hands it back to the network. */
void sim_refresh_begin(struct sim *s, struct sim_request *r);
void sim_refresh_done(struct sim *s, struct sim_request *r);
/* token NULL: refused, or no answer. */
void sim_login_done(struct sim *s, struct sim_client *c, struct sim_family *f, const char *token);
/* Acknowledged: over from now on. */
void sim_family_over(struct sim *s, struct sim_family *f, const char *why);
/* The server has come back; `snapshot_ms` not 0: as it was then. */
void sim_restarted(struct sim *s, int64_t down_ms);
/* Rotations after the one to `generation` have not happened. */
void sim_family_forget(struct sim_family *f, uint32_t generation);
bool sim_is_over(const struct sim *s, const struct sp_session_row *row);
/* At the end of a history. */
void sim_model_end(struct sim *s);

#endif
