/* Which keys must change now. Pure: rows, time and schedule in, steps out; so a year of rotations is a loop
 * in a test.
 *
 *                 older than rotate_every_s            announce_s later
 *   (signing) ------------------------------> +(announced) --------------> announced signs, the old one
 * retires (retired) -- gone_ms has come --> (gone)
 *
 * A step that makes a new key sign stands before the step that stops the old one, because each is applied by
 * itself and there must be a signing key at every moment; of two that sign, the younger one does. */
#include "core/keys.h"

#include "base/assert.h"

enum { NONE = -1, REFRESH_NUMBERS = 255 };

struct planner {
    const struct sp_key_row *rows;
    size_t n;
    const struct sp_key_schedule *schedule;
    struct sp_key_plan plan;
};

static struct planner planner_init(const struct sp_key_row *rows, size_t n,
                                   const struct sp_key_schedule *schedule) {
    return (struct planner){.rows = rows, .n = n, .schedule = schedule};
}

static void add_step(struct planner *p, struct sp_key_step step) {
    if (p->plan.n < SP_KEY_STEPS_MAX) p->plan.steps[p->plan.n++] = step;
}

static void add_move(struct planner *p, enum sp_key_step_kind kind, int row) {
    add_step(p, (struct sp_key_step){.kind = kind, .row = (size_t)row, .use = p->rows[row].use});
}

static bool row_is_younger(const struct sp_key_row *a, const struct sp_key_row *b) {
    if (a->signing_from_ms != b->signing_from_ms) return a->signing_from_ms > b->signing_from_ms;
    return a->created_ms >= b->created_ms;
}

/* The youngest row of this use and state, or NONE. */
static int find(const struct planner *p, enum sp_key_use use, enum sp_key_state state) {
    int found = NONE;
    for (size_t i = 0; i < p->n; i++) {
        if (p->rows[i].use != use || p->rows[i].state != state) continue;
        if (found == NONE || row_is_younger(&p->rows[i], &p->rows[found])) found = (int)i;
    }
    return found;
}

static bool row_is_live(const struct sp_key_row *row) {
    return row->state == SP_KEY_ANNOUNCED || row->state == SP_KEY_SIGNING || row->state == SP_KEY_RETIRED;
}

static bool access_is_full(const struct planner *p) {
    size_t live = 0;
    for (size_t i = 0; i < p->n; i++) live += p->rows[i].use == SP_KEY_ACCESS && row_is_live(&p->rows[i]);
    return live >= SP_KEYS_ACCESS_MAX;
}

static bool row_has_alg(const struct sp_key_row *row, enum sp_alg alg) {
    return sp_slice_eq_cstr(SP_TEXT_SLICE(&row->alg), sp_alg_name(alg));
}

static bool is_due(int64_t since_ms, int64_t after_s, int64_t now_ms) {
    return now_ms - since_ms >= after_s * 1000;
}

/* An announced key has been in the JWKS for long enough, and verifiers that follow the feed have it, or have
 * had the time. */
static bool announced_is_due(const struct planner *p, int row, int64_t now_ms) {
    const int64_t after_s = p->schedule->announce_s + (p->schedule->hold_announced ? SP_KEY_HOLD_MAX_S : 0);
    return is_due(p->rows[row].created_ms, after_s, now_ms);
}

/* ---- access keys ---- */

static void create_access(struct planner *p, enum sp_key_state state) {
    add_step(p,
             (struct sp_key_step){
                 .kind = SP_KEY_STEP_CREATE, .use = SP_KEY_ACCESS, .alg = p->schedule->alg, .state = state});
}

/* A key that signs at once: the announced one, which verifiers know already, or else a new one. */
static void sign_next(struct planner *p, int announced) {
    if (announced != NONE && row_has_alg(&p->rows[announced], p->schedule->alg)) {
        add_move(p, SP_KEY_STEP_SIGN, announced);
    } else {
        create_access(p, SP_KEY_SIGNING);
    }
}

static void retire_all(struct planner *p, enum sp_key_use use, int but) {
    for (size_t i = 0; i < p->n; i++) {
        bool signs = p->rows[i].use == use && p->rows[i].state == SP_KEY_SIGNING;
        if (signs && (int)i != but) add_move(p, SP_KEY_STEP_RETIRE, (int)i);
    }
}

/* Announced keys of an algorithm that is no longer wanted never signed anything: nobody misses them. */
static void drop_foreign_announced(struct planner *p) {
    for (size_t i = 0; i < p->n; i++) {
        const struct sp_key_row *row = &p->rows[i];
        bool announced = row->use == SP_KEY_ACCESS && row->state == SP_KEY_ANNOUNCED;
        if (announced && !row_has_alg(row, p->schedule->alg)) add_move(p, SP_KEY_STEP_DROP, (int)i);
    }
}

static void plan_access(struct planner *p, int64_t now_ms) {
    const int signing = find(p, SP_KEY_ACCESS, SP_KEY_SIGNING);
    const int announced = find(p, SP_KEY_ACCESS, SP_KEY_ANNOUNCED);
    const struct sp_key_schedule *s = p->schedule;

    if (signing == NONE || !row_has_alg(&p->rows[signing], s->alg)) {
        sign_next(p, announced);
        retire_all(p, SP_KEY_ACCESS, NONE);
        drop_foreign_announced(p);
    } else if (announced != NONE && announced_is_due(p, announced, now_ms)) {
        sign_next(p, announced);
        retire_all(p, SP_KEY_ACCESS, NONE);
    } else if (announced == NONE && s->rotate_every_s != 0 && !access_is_full(p) &&
               is_due(p->rows[signing].signing_from_ms, s->rotate_every_s, now_ms)) {
        create_access(p, SP_KEY_ANNOUNCED);
    } else {
        retire_all(p, SP_KEY_ACCESS, signing); /* two that sign: a plan that was cut short */
    }
}

/* ---- refresh keys ---- */

static bool number_is_taken(const struct planner *p, int number) {
    for (size_t i = 0; i < p->n; i++) {
        if (p->rows[i].use == SP_KEY_REFRESH && row_is_live(&p->rows[i]) && p->rows[i].number == number)
            return true;
    }
    return false;
}

/* The next free number after the current one, going round, so that a number comes back as late as possible.
 * 0: none. */
static uint8_t next_number(const struct planner *p, int signing) {
    const int from = signing == NONE ? 0 : p->rows[signing].number;
    for (int i = 0; i < REFRESH_NUMBERS; i++) {
        int number = (from + i) % REFRESH_NUMBERS + 1;
        if (!number_is_taken(p, number)) return (uint8_t)number;
    }
    return 0;
}

/* Verifiers never see these, so a new one needs no announcing. False: every number is taken. */
static bool create_refresh(struct planner *p, int signing) {
    const uint8_t number = next_number(p, signing);
    if (number == 0) return false;
    add_step(
        p, (struct sp_key_step){
               .kind = SP_KEY_STEP_CREATE, .use = SP_KEY_REFRESH, .state = SP_KEY_SIGNING, .number = number});
    return true;
}

static void plan_refresh(struct planner *p, int64_t now_ms) {
    const int signing = find(p, SP_KEY_REFRESH, SP_KEY_SIGNING);
    const int64_t every_s = p->schedule->rotate_every_s;
    const bool old =
        signing != NONE && every_s != 0 && is_due(p->rows[signing].signing_from_ms, every_s, now_ms);
    if (signing != NONE && !old) {
        retire_all(p, SP_KEY_REFRESH, signing);
    } else if (create_refresh(p, signing)) {
        retire_all(p, SP_KEY_REFRESH, NONE);
    }
}

/* ---- feed keys ---- */

static void create_feed(struct planner *p, enum sp_key_state state) {
    add_step(p, (struct sp_key_step){
                    .kind = SP_KEY_STEP_CREATE, .use = SP_KEY_FEED, .alg = SP_ALG_EDDSA, .state = state});
}

static bool feed_is_full(const struct planner *p) {
    size_t live = 0;
    for (size_t i = 0; i < p->n; i++) live += p->rows[i].use == SP_KEY_FEED && row_is_live(&p->rows[i]);
    return live >= SP_KEYS_FEED_MAX;
}

/* A store from before the feed gets its first key here. */
static void plan_feed(struct planner *p, int64_t now_ms) {
    const int signing = find(p, SP_KEY_FEED, SP_KEY_SIGNING);
    const int announced = find(p, SP_KEY_FEED, SP_KEY_ANNOUNCED);
    if (signing == NONE) {
        if (announced == NONE)
            create_feed(p, SP_KEY_SIGNING);
        else
            add_move(p, SP_KEY_STEP_SIGN, announced);
    } else if (announced != NONE && announced_is_due(p, announced, now_ms)) {
        add_move(p, SP_KEY_STEP_SIGN, announced);
        retire_all(p, SP_KEY_FEED, NONE);
    } else {
        retire_all(p, SP_KEY_FEED, signing);
    }
}

/* ---- the others ---- */

/* Only a server without any key makes these: made anew beside an existing store, a SID_TAG key would lose
 * every user's sessions and an AUDIT key would disown the log. A ring that lacks one does not open. */
static void plan_fixed(struct planner *p) {
    static const enum sp_key_use fixed[] = {SP_KEY_SID_TAG, SP_KEY_CSRF, SP_KEY_AUDIT};
    if (p->n != 0) return;
    for (size_t i = 0; i < SP_ARRAY_LEN(fixed); i++) {
        add_step(p,
                 (struct sp_key_step){.kind = SP_KEY_STEP_CREATE, .use = fixed[i], .state = SP_KEY_SIGNING});
    }
}

static void plan_drops(struct planner *p, int64_t now_ms) {
    for (size_t i = 0; i < p->n; i++) {
        if (p->rows[i].state == SP_KEY_RETIRED && now_ms >= p->rows[i].gone_ms)
            add_move(p, SP_KEY_STEP_DROP, (int)i);
    }
}

void sp_keys_plan(const struct sp_key_row *rows, size_t n, int64_t now_ms,
                  const struct sp_key_schedule *schedule, struct sp_key_plan *ret) {
    struct planner p = planner_init(rows, n, schedule);
    plan_fixed(&p);
    plan_access(&p, now_ms);
    plan_refresh(&p, now_ms);
    plan_feed(&p, now_ms);
    plan_drops(&p, now_ms);
    *ret = p.plan;
}

/* ---- what an administrator asks for ---- */

static sp_status rotate_access(struct planner *p, bool immediately) {
    const int announced = find(p, SP_KEY_ACCESS, SP_KEY_ANNOUNCED);
    if (announced != NONE && !immediately) return sp_err(SP_E_BUSY);
    if (access_is_full(p)) return sp_err(SP_E_LIMIT);
    if (!immediately) {
        create_access(p, SP_KEY_ANNOUNCED);
        return SP_SUCCESS;
    }
    sign_next(p, announced);
    retire_all(p, SP_KEY_ACCESS, NONE);
    return SP_SUCCESS;
}

static sp_status rotate_feed(struct planner *p, bool immediately) {
    if (immediately) return sp_err(SP_E_REFUSED);
    if (find(p, SP_KEY_FEED, SP_KEY_ANNOUNCED) != NONE) return sp_err(SP_E_BUSY);
    if (feed_is_full(p)) return sp_err(SP_E_LIMIT);
    create_feed(p, SP_KEY_ANNOUNCED);
    return SP_SUCCESS;
}

sp_status sp_keys_plan_rotate(const struct sp_key_row *rows, size_t n, enum sp_key_use use, bool immediately,
                              const struct sp_key_schedule *schedule, struct sp_key_plan *ret) {
    struct planner p = planner_init(rows, n, schedule);
    if (use == SP_KEY_ACCESS) {
        SP_TRY(rotate_access(&p, immediately));
    } else if (use == SP_KEY_REFRESH) {
        if (!create_refresh(&p, find(&p, SP_KEY_REFRESH, SP_KEY_SIGNING))) return sp_err(SP_E_LIMIT);
        retire_all(&p, SP_KEY_REFRESH, NONE);
    } else if (use == SP_KEY_FEED) {
        SP_TRY(rotate_feed(&p, immediately));
    } else {
        return sp_err(SP_E_REFUSED);
    }
    *ret = p.plan;
    return SP_SUCCESS;
}

static int find_kid(const struct planner *p, sp_slice kid) {
    for (size_t i = 0; i < p->n; i++) {
        if (sp_slice_eq(SP_TEXT_SLICE(&p->rows[i].kid), kid)) return (int)i;
    }
    return NONE;
}

/* Who signs in its place. The number of a revoked refresh key is still taken while this is decided, so its
 * successor has another one. */
static sp_status replace(struct planner *p, int row) {
    if (p->rows[row].state != SP_KEY_SIGNING) return SP_SUCCESS;
    if (p->rows[row].use == SP_KEY_ACCESS) {
        sign_next(p, find(p, SP_KEY_ACCESS, SP_KEY_ANNOUNCED));
        return SP_SUCCESS;
    }
    return create_refresh(p, row) ? SP_SUCCESS : sp_err(SP_E_LIMIT);
}

sp_status sp_keys_plan_revoke(const struct sp_key_row *rows, size_t n, sp_slice kid,
                              const struct sp_key_schedule *schedule, struct sp_key_plan *ret) {
    struct planner p = planner_init(rows, n, schedule);
    const int row = find_kid(&p, kid);
    if (row == NONE) return sp_err(SP_E_NOT_FOUND);
    const bool is_idle_feed = rows[row].use == SP_KEY_FEED && rows[row].state != SP_KEY_SIGNING;
    if (rows[row].use != SP_KEY_ACCESS && rows[row].use != SP_KEY_REFRESH && !is_idle_feed)
        return sp_err(SP_E_REFUSED);
    if (!row_is_live(&rows[row])) return sp_err(SP_E_CONFLICT);
    SP_TRY(replace(&p, row));
    add_move(&p, SP_KEY_STEP_REVOKE, row);
    *ret = p.plan;
    return SP_SUCCESS;
}
