/* The server that is a whole app: real verifier, memory store, three loops, a clock that the simulation
 * moves. What only it has: access tokens, users, administrators, faults of the store, and stops in the
 * middle.
 *
 * Everybody comes in by a door: straight into the use cases (sim_door.c), or as bytes on a connection,
 * through parser, routes, cookies and handlers (sim_http.c). The histories and the promises are the same. */
#ifndef SP_TESTS_SIM_SIM_APP_H
#define SP_TESTS_SIM_SIM_APP_H

#include "sim.h"
#include "store/memory.h"
#include "verify/verifier.h"

enum { SIM_LOOPS = 3 };

struct sim_loop {
    struct sp_executor executor;
    struct sim *sim;
    struct sp_task *head, **tail;
    struct sim_event event;
    bool is_armed;
};

struct sim_app_user {
    uint8_t id[SP_ROW_ID_BYTES];
    bool has_second_password, password_unsure;
    bool maybe_disabled;
    bool has_role, roles_unsure; /* SIM_ROLE */
    uint32_t ending;             /* under way: changes that end sessions or raise the epoch */
    int64_t quiet_since_ms;      /* the last of them was answered */
    int64_t epoch_raised_ms;     /* the last acknowledged raise was submitted */
};

struct sim_backup {
    struct sp_memory_snapshot *store;
    uint64_t boots;
    uint32_t families_n;
    int64_t ended_ms[SIM_FAMILIES_MAX]; /* 0: not ended */
    int64_t epoch_raised_ms[SIM_USERS_MAX];
};

struct sim_person { /* who has an access token that is good now */
    struct sim_family *family;
    const struct sim_access *access;
};

/* Each way in ends in `done`, later, with what the client is told. Texts need not outlive the call. */
struct sim_door {
    void (*open)(struct sim *s);  /* the app has started */
    bool (*drain)(struct sim *s); /* works on what is under way; false: nothing is left that it can do */
    void (*close)(struct sim *s); /* the app is about to go */
    void (*refresh)(struct sim *s, struct sim_family *f, const struct sp_refresh_request *in,
                    sp_tokens_done *done, void *arg);
    void (*login)(struct sim *s, const struct sp_login_request *in, sp_tokens_done *done, void *arg);
    void (*logout)(struct sim *s, struct sim_family *f, const struct sp_logout_request *in,
                   sp_plain_done *done, void *arg);
    void (*logout_all)(struct sim *s, const struct sim_person *p, sp_plain_done *done, void *arg);
    void (*end_own)(struct sim *s, const struct sim_person *p, sp_slice sid, sp_plain_done *done, void *arg);
    void (*password)(struct sim *s, const struct sim_person *p, const struct sp_password_request *in,
                     sp_plain_done *done, void *arg);
    /* Administrators. */
    void (*revoke)(struct sim *s, enum sp_revoke_target target, sp_slice what, sp_plain_done *done,
                   void *arg);
    void (*user_edit)(struct sim *s, sp_slice name, enum sp_user_edit what, sp_slice value,
                      sp_plain_done *done, void *arg);
    void (*rotate)(struct sim *s, enum sp_key_use use, bool immediately);
};
extern const struct sim_door sim_door_direct;

struct sim_app {
    const struct sim_door *door;
    void *door_state;
    struct sp_reclaim *reclaim;
    struct sp_verifier *verifier;
    struct sp_verifier_reader *reader;
    struct sp_store *store;
    struct sp_app_config config;
    struct sp_app *app;
    struct sim_loop loops[SIM_LOOPS];
    struct sim_event tick, beat, reads;
    bool beat_is_armed, reads_fail;
    bool is_calm;     /* the store never fails, and nothing is restored */
    bool had_trouble; /* a fault of the store was armed, or a backup restored: 503 is an answer since */
    int64_t active_ms;
    int64_t down_ms;
    uint64_t boots;
    uint32_t restored_start; /* the start that followed the last restore */
    bool kept_sessions;      /* ... which was one with --keep-sessions */
    uint32_t epoch_max;      /* the highest global epoch of all times that were lost */
    struct sim_app_user users[SIM_USERS_MAX];
    struct sim_backup backups[SIM_SNAPSHOTS_MAX];
    uint32_t backups_n;
};

extern const struct sim_server sim_app_server;
/* Its beginning, for servers that are this one with another door. */
void sim_app_begin(struct sim *s, const struct sim_door *door, void *door_state);

static inline struct sim_app *sim_app_of(struct sim *s) {
    return s->state;
}
static inline struct sim_app_user *sim_app_user_of(struct sim *s, const struct sim_user *u) {
    return &sim_app_of(s)->users[u->index];
}
struct sp_call sim_app_call(struct sim *s);
int64_t sim_app_step_ms(struct sim *s); /* until a loop takes its next step */
const char *sim_app_password(bool second);
#define SIM_ROLE "writer" /* that users have or have not */

/* sim_app_ends.c: somebody ends something. */
void sim_app_end_something(struct sim *s);
void sim_app_logout(struct sim *s, struct sim_family *f, const char *token);
/* Until it is acknowledged. */
void sim_app_enable(struct sim *s, struct sim_user *u);

/* sim_app_tokens.c: remembers an access token, and judges those that are remembered. */
void sim_app_access_issued(struct sim *s, struct sim_family *f, const struct sp_tokens_result *t,
                           int64_t begun_ms);
void sim_app_access_check(struct sim *s, struct sim_family *f);
/* NULL: none that passes. */
struct sim_access *sim_app_access_valid(struct sim *s, const struct sim_family *f, struct sp_principal *ret);
/* What anyone who checks it now must find. */
enum sim_access_must { SIM_ACCESS_EITHER, SIM_ACCESS_PASS, SIM_ACCESS_REFUSED };
enum sim_access_must sim_app_access_must(struct sim *s, const struct sim_family *f,
                                         const struct sim_access *a);

#endif
