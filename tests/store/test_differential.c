/* The same random change sets, from a seed, into the memory store and into SQLite: every answer and, now and
 * then, every row must be the same. (SQLite is not reopened in between: it would forget where purging was, as
 * it may.) `test_differential [seed] [steps]`; what it prints (and the same compiler) reproduces a failure.
 */
#include "fixture.h"

enum { USERS = 4, SESSIONS = 12, SIGN_INS = 3, ROLES = 3, CHANGES_MAX = 4 };

static uint64_t rng_state = 1;
static unsigned steps = 2500;

static uint64_t rng(void) { /* splitmix64 */
    uint64_t z = rng_state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static unsigned pick(unsigned n) {
    return (unsigned)(rng() % n);
}

/* Everything that the changes of one set borrow, and where their answers go. */
struct set {
    struct sp_change changes[CHANGES_MAX];
    struct sp_user_row users[CHANGES_MAX];
    struct sp_session_row sessions[CHANGES_MAX];
    struct sp_role_row roles[CHANGES_MAX];
    struct sp_key_row keys[CHANGES_MAX];
    struct sp_client_row clients[CHANGES_MAX], ret_clients[CHANGES_MAX];
    struct sp_consent_row consents[CHANGES_MAX];
    uint8_t bytes[CHANGES_MAX][SP_ROW_SECRET_BYTES];
    struct sp_user_row ret_users[CHANGES_MAX];
    struct sp_session_row ret_sessions[CHANGES_MAX];
    size_t n, failed;
    enum sp_code code;
};

/* What the sessions are thought to be: mostly right, so that most rotations succeed. */
static struct sp_session_row believed[USERS][SESSIONS];
static uint64_t believed_version[USERS];
static struct {
    uint64_t base, up_to;
    uint8_t hash[SP_ROW_HASH_BYTES];
} believed_log;
static struct {
    unsigned n;
    uint64_t seqs[8];
} believed_logouts;
static int64_t now_ms;

static uint64_t some_version(unsigned user) {
    switch (pick(6)) {
    case 0: return SP_VERSION_ANY;
    case 1: return believed_version[user] + 1;
    default: return believed_version[user];
    }
}

static struct sp_session_row *some_session(struct set *s, size_t i) {
    s->sessions[i] = believed[pick(USERS)][pick(SESSIONS)];
    return &s->sessions[i];
}

static void make_directory_change(struct set *s, size_t i) {
    struct sp_change *c = &s->changes[i];
    unsigned user = pick(USERS);
    s->users[i] = make_user(user);
    s->users[i].disabled = pick(8) == 0;
    if (pick(4) == 0) text_set(&s->users[i].name, pick(2) == 0 ? "shared" : "user001");
    switch (pick(8)) {
    case 0:
    case 1: *c = (struct sp_change){.kind = SP_CHANGE_USER_INSERT, .user_insert = {&s->users[i]}}; break;
    case 2:
        *c = (struct sp_change){
            .kind = SP_CHANGE_USER_UPDATE,
            .user_update = {&s->users[i], some_version(user), pick(2) == 0, now_ms / 1000 + pick(50), 0}};
        break;
    case 3:
        *c = (struct sp_change){.kind = SP_CHANGE_USER_EPOCH,
                                .user_epoch = {1, s->users[i].id, now_ms / 1000 + pick(50), 0}};
        break;
    case 4:
        *c = (struct sp_change){.kind = SP_CHANGE_USER_EXPECT,
                                .user_expect = {.tenant = 1,
                                                .id = s->users[i].id,
                                                .expect_version = some_version(user),
                                                .ret_user = &s->ret_users[i]}};
        break;
    case 5:
        s->roles[i] = make_role(pick(2) == 0 ? "admin" : "reader", pick(2) == 0 ? "a" : "a b");
        *c = (struct sp_change){.kind = SP_CHANGE_ROLE_PUT,
                                .role_put = {&s->roles[i], pick(2) == 0 ? SP_VERSION_ANY : 1 + pick(4)}};
        break;
    case 6:
        if (pick(3) == 0)
            *c = (struct sp_change){.kind = SP_CHANGE_USER_DELETE,
                                    .user_delete = {1, s->users[i].id, some_version(user)}};
        else
            *c = (struct sp_change){.kind = SP_CHANGE_ROLE_DELETE, .role_delete = {1, SP_SLICE_LIT("admin")}};
        break;
    default:
        s->keys[i] = make_key(pick(2) == 0 ? "k1" : "k2", pick(100));
        *c = (struct sp_change){.kind = SP_CHANGE_KEY_PUT,
                                .key_put = {&s->keys[i], pick(2) == 0 ? SP_VERSION_ANY : SP_VERSION_ABSENT}};
    }
}

static void make_client_change(struct set *s, size_t i) {
    struct sp_change *c = &s->changes[i];
    static const char *const ids[] = {"orders", "order", "billing"};
    const uint64_t expect = pick(2) == 0 ? SP_VERSION_ANY : pick(2) == 0 ? SP_VERSION_ABSENT : 1 + pick(4);
    s->clients[i] = make_client(ids[pick(SP_ARRAY_LEN(ids))]);
    s->clients[i].disabled = pick(2) == 0;
    s->clients[i].secrets[1].hash[0] = (uint8_t)pick(256);
    s->clients[i].epoch = pick(20);
    const int64_t epoch_expires_s = pick(2) * (now_ms / 1000 + pick(50));
    switch (pick(4)) {
    case 0:
        *c = (struct sp_change){
            .kind = SP_CHANGE_CLIENT_DELETE,
            .client_delete = {1, SP_TEXT_SLICE(&s->clients[i].id), expect, epoch_expires_s}};
        break;
    case 1:
        *c = (struct sp_change){
            .kind = SP_CHANGE_CLIENT_EXPECT,
            .client_expect = {1, SP_TEXT_SLICE(&s->clients[i].id), expect, &s->ret_clients[i], 0, NULL}};
        break;
    default:
        *c = (struct sp_change){
            .kind = SP_CHANGE_CLIENT_PUT,
            .client_put = {&s->clients[i], expect, epoch_expires_s != 0, epoch_expires_s, 0}};
    }
}

static void make_consent_change(struct set *s, size_t i) {
    struct sp_change *c = &s->changes[i];
    static const char *const ids[] = {"orders", "order", "billing"};
    struct sp_consent_row *row = &s->consents[i];
    const struct sp_user_row user = make_user(pick(USERS));
    row->tenant = SP_TENANT_DEFAULT;
    memcpy(row->user_id, user.id, sizeof(user.id));
    text_set(&row->client_id, ids[pick(SP_ARRAY_LEN(ids))]);
    text_set(&row->scopes, pick(2) == 0 ? "openid" : "openid a");
    row->granted_ms = now_ms;
    if (pick(3) == 0)
        *c = (struct sp_change){
            .kind = SP_CHANGE_CONSENT_DELETE,
            .consent_delete = {1, row->user_id,
                               pick(4) == 0 ? SP_SLICE_EMPTY : SP_TEXT_SLICE(&row->client_id), 0}};
    else
        *c = (struct sp_change){.kind = SP_CHANGE_CONSENT_PUT, .consent_put = {row}};
}

/* A row of the outbox that is there, mostly. */
static void make_logout_change(struct set *s, size_t i) {
    const uint64_t seq = believed_logouts.n == 0 ? 1 : believed_logouts.seqs[pick(believed_logouts.n)];
    if (pick(2) == 0)
        s->changes[i] =
            (struct sp_change){.kind = SP_CHANGE_LOGOUT_TRIED, .logout_tried = {seq, pick(9), now_ms}};
    else
        s->changes[i] = (struct sp_change){.kind = SP_CHANGE_LOGOUT_DONE, .logout_done = {seq}};
}

/* One of the user's sign-ins of a browser, which the first few sessions are, mostly; rather one that is not
 * over. */
static const struct sp_session_row *some_sign_in(unsigned user) {
    unsigned k = pick(SIGN_INS);
    for (unsigned i = 0; i < SIGN_INS && believed[user][k].state != SP_SESSION_ACTIVE; i++)
        k = (k + 1) % SIGN_INS;
    return &believed[user][k];
}

static void give_family(struct sp_session_row *row, unsigned user) {
    memset(row->parent, 0, sizeof(row->parent));
    const bool is_child = row->sid[SP_ROW_SID_BYTES - 1] < SIGN_INS ? pick(20) == 0 : pick(4) != 0;
    if (is_child) memcpy(row->parent, some_sign_in(user)->sid, sizeof(row->parent));
    row->offline = pick(4) == 0;
    row->backchannel = pick(2) == 0;
}

static void make_session_change(struct set *s, size_t i) {
    struct sp_change *c = &s->changes[i];
    struct sp_session_row *row = some_session(s, i);
    switch (pick(11)) {
    case 0:
    case 1:
    case 6:
    case 7:
        row->created_ms = now_ms;
        give_family(row, row->sid[0]);
        row->idle_expires_ms = now_ms + 1000 + pick(200000);
        row->absolute_expires_ms = now_ms + 1000 + pick(200000);
        row->access_exp_max_s = now_ms / 1000 + pick(20);
        *c = (struct sp_change){.kind = SP_CHANGE_SESSION_INSERT,
                                .session_insert = {.row = row, .live_max = pick(6)}};
        break;
    case 2:
        if (pick(2) == 0) *row = *some_sign_in(row->sid[0]);
        *c =
            (struct sp_change){.kind = SP_CHANGE_SESSION_END,
                               .session_end = {1, row->sid, pick(2) == 0 ? NULL : row->user_id,
                                               pick(2) == 0 ? SP_GENERATION_ANY : row->generation,
                                               SP_SESSION_ENDED, SP_END_LOGOUT, now_ms, &s->ret_sessions[i]}};
        break;
    case 3:
        *c = (struct sp_change){.kind = SP_CHANGE_SESSIONS_END,
                                .sessions_end = {1, row->user_id, row->sid, pick(2) == 0 ? NULL : row->sid,
                                                 SP_SESSION_TRIPPED, SP_END_REUSE_ELSEWHERE, now_ms, 0}};
        break;
    case 4:
        *c = (struct sp_change){.kind = SP_CHANGE_SESSION_REISSUE,
                                .reissue = {1, row->sid, row->generation, row->secret,
                                            SP_TEXT_SLICE(&row->client_id), SP_TEXT_SLICE(&row->jkt), now_ms,
                                            pick(2) * (now_ms + 60000), now_ms / 1000 + 5, pick(2) == 0,
                                            &s->ret_sessions[i], &s->ret_users[i], 0}};
        break;
    case 5: /* or the places of those that ended would never be free */
        *c = (struct sp_change){.kind = SP_CHANGE_SESSIONS_FORGET,
                                .sessions_forget = {1, row->user_id, row->sid, 1 + pick(SESSIONS), 0}};
        break;
    default:
        *c = rotation_of(row);
        memset(s->bytes[i], (int)pick(256), sizeof(s->bytes[i]));
        c->rotate.next_secret = s->bytes[i];
        c->rotate.attempt = pick(2) == 0 ? s->bytes[i] : NULL;
        c->rotate.now_ms = now_ms;
        c->rotate.idle_expires_ms = now_ms + 50000;
        c->rotate.ret_session = &s->ret_sessions[i];
        c->rotate.ret_user = &s->ret_users[i];
        c->rotate.heal = pick(20) == 0;
    }
}

static void make_other_change(struct set *s, size_t i) {
    struct sp_change *c = &s->changes[i];
    memset(s->bytes[i], (int)pick(256), sizeof(s->bytes[i]));
    switch (pick(8)) {
    case 7:
        *c = (struct sp_change){.kind = SP_CHANGE_AUDIT_PRUNE,
                                .audit_prune = {believed_log.base + (pick(6) == 0),
                                                believed_log.up_to + (pick(6) == 0), believed_log.hash}};
        break;
    case 0:
        *c = (struct sp_change){.kind = SP_CHANGE_REVOKE_JTI,
                                .revoke_jti = {1, s->bytes[i], now_ms / 1000 + pick(20)}};
        break;
    case 1:
        *c = (struct sp_change){
            .kind = SP_CHANGE_GLOBAL_EPOCH,
            .global_epoch = {now_ms, now_ms / 1000 + pick(20), pick(6) == 0, SP_END_EVERYONE, 0}};
        break;
    case 2:
        *c = (struct sp_change){.kind = SP_CHANGE_META,
                                .meta = {.alive_ms = now_ms,
                                         .count_boot = pick(2) == 0,
                                         .next_incarnation = pick(10) == 0,
                                         .feed_epoch = s->bytes[i],
                                         .access_ttl_max_s = pick(1000)}};
        break;
    case 3:
        *c = (struct sp_change){
            .kind = SP_CHANGE_PURGE,
            .purge = {now_ms / 1000, now_ms - (int64_t)pick(100000), 1 + pick(10), pick(20), 0}};
        break;
    default:
        *c = (struct sp_change){.kind = SP_CHANGE_AUDIT,
                                .audit = {.time_ms = now_ms,
                                          .action = SP_SLICE_LIT("act"),
                                          .outcome = SP_SLICE_LIT("ok"),
                                          .body = sp_slice_of(s->bytes[i], pick(16)),
                                          .personal = sp_slice_of(s->bytes[i], pick(2) * 5)}};
    }
}

static void make_set(struct set *s) {
    memset(s, 0, sizeof(*s));
    s->n = 1 + pick(1 + pick(CHANGES_MAX));
    for (size_t i = 0; i < s->n; i++) {
        unsigned room = pick(10);
        if (room < 2 && pick(3) == 0)
            make_client_change(s, i);
        else if (room < 2 && pick(5) == 0)
            make_consent_change(s, i);
        else if (room < 2)
            make_directory_change(s, i);
        else if (room < 8 && pick(12) == 0)
            make_logout_change(s, i);
        else if (room < 8)
            make_session_change(s, i);
        else
            make_other_change(s, i);
    }
}

/* ---- two stores ---- */

static unsigned consents_seen, logouts_seen, children_ended;

static void apply(struct fixture *f, struct set *s) {
    memset(s->ret_users, 0, sizeof(s->ret_users));
    memset(s->ret_sessions, 0, sizeof(s->ret_sessions));
    memset(s->ret_clients, 0, sizeof(s->ret_clients));
    s->code = commit_set(f, s->changes, s->n, &s->failed);
}

static void assert_same_answers(const struct set *a, const struct set *b) {
    assert_int_equal(a->code, b->code);
    assert_int_equal(a->failed, b->failed);
    if (a->changes[a->failed].kind == SP_CHANGE_SESSION_INSERT) /* says why also when it is refused */
        assert_int_equal(a->changes[a->failed].session_insert.ret_parent_gone,
                         b->changes[b->failed].session_insert.ret_parent_gone);
    if (a->code != SP_OK) return;
    assert_memory_equal(a->changes, b->changes, a->n * sizeof(a->changes[0]));
    assert_memory_equal(a->ret_users, b->ret_users, sizeof(a->ret_users));
    assert_memory_equal(a->ret_sessions, b->ret_sessions, sizeof(a->ret_sessions));
    assert_memory_equal(a->ret_clients, b->ret_clients, sizeof(a->ret_clients));
}

/* Made inside the stores, so that the bytes between its fields are nobody's. */
static void assert_same_revocation(const struct sp_revocation_row *a, const struct sp_revocation_row *b) {
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->tenant, b->tenant);
    assert_int_equal(a->what, b->what);
    assert_memory_equal(a->id, b->id, sizeof(a->id));
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->expires_s, b->expires_s);
}

static void assert_same_rows(struct fixture *a, struct fixture *b, enum sp_read_kind kind, size_t row_bytes) {
    struct sp_store_read x = {.kind = kind, .limit = SP_READ_PAGE_MAX}, y = x;
    read_all(a, &x);
    read_all(b, &y);
    assert_int_equal(x.ret.n, y.ret.n);
    assert_int_equal(x.ret.more, y.ret.more);
    assert_memory_equal(&x.ret.meta, &y.ret.meta, sizeof(x.ret.meta));
    if (row_bytes != 0 && x.ret.n != 0) assert_memory_equal(x.ret.rows, y.ret.rows, x.ret.n * row_bytes);
    for (uint32_t i = 0; kind == SP_READ_REVOCATIONS && i < x.ret.n; i++)
        assert_same_revocation(&x.ret.revocations[i], &y.ret.revocations[i]);
    for (uint32_t i = 0; kind == SP_READ_AUDIT && i < x.ret.n; i++) {
        assert_memory_equal(x.ret.audit[i].hash, y.ret.audit[i].hash, SP_ROW_HASH_BYTES);
        assert_int_equal(x.ret.audit[i].personal_n, y.ret.audit[i].personal_n);
    }
    sp_store_read_done(&x);
    sp_store_read_done(&y);
}

static void assert_same_consents(struct fixture *a, struct fixture *b, unsigned u) {
    const struct sp_user_row user = make_user(u);
    struct sp_store_read x = {
        .kind = SP_READ_CONSENTS, .key = SP_SLICE_ARRAY(user.id), .limit = SP_READ_PAGE_MAX};
    struct sp_store_read y = x;
    read_all(a, &x);
    read_all(b, &y);
    assert_int_equal(x.ret.n, y.ret.n);
    if (x.ret.n != 0) assert_memory_equal(x.ret.rows, y.ret.rows, x.ret.n * sizeof(x.ret.consents[0]));
    consents_seen += x.ret.n;
    sp_store_read_done(&x);
    sp_store_read_done(&y);
}

static void assert_same_state(struct fixture *a, struct fixture *b) {
    assert_same_rows(a, b, SP_READ_META, 0);
    assert_same_rows(a, b, SP_READ_USERS, sizeof(struct sp_user_row));
    assert_same_rows(a, b, SP_READ_ROLES, sizeof(struct sp_role_row));
    assert_same_rows(a, b, SP_READ_KEYS, sizeof(struct sp_key_row));
    assert_same_rows(a, b, SP_READ_CLIENTS, sizeof(struct sp_client_row));
    assert_same_rows(a, b, SP_READ_SESSIONS, sizeof(struct sp_session_row));
    assert_same_rows(a, b, SP_READ_LOGOUTS, sizeof(struct sp_logout_row));
    for (unsigned u = 0; u < USERS; u++) assert_same_consents(a, b, u);
    assert_same_rows(a, b, SP_READ_REVOCATIONS, 0);
    assert_same_rows(a, b, SP_READ_AUDIT, 0);
}

static void assert_same_events(struct fixture *a, struct fixture *b) {
    assert_int_equal(a->events_n, b->events_n);
    for (size_t i = 0; i < a->events_n; i++) {
        const struct event *x = &a->events[i], *y = &b->events[i];
        assert_int_equal(x->kind, y->kind);
        assert_same_revocation(&x->revocation, &y->revocation);
        assert_memory_equal(&x->role, &y->role, sizeof(x->role));
        assert_memory_equal(&x->name, &y->name, sizeof(x->name));
        assert_memory_equal(&x->client, &y->client, sizeof(x->client));
        assert_int_equal(x->client_version, y->client_version);
        assert_memory_equal(x->feed_head, y->feed_head, sizeof(x->feed_head));
        assert_memory_equal(&x->logout, &y->logout, sizeof(x->logout));
        logouts_seen += x->kind == SP_EVENT_LOGOUT;
    }
    a->events_n = b->events_n = 0;
}

/* The log has a few records more than the base, perhaps: some record of them, and its hash. */
static void believe_log(struct fixture *f) {
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .limit = 1 + pick(4)};
    believed_log.base = read_meta(f).audit_base;
    read_all(f, &r);
    if (r.ret.n != 0) {
        believed_log.up_to = r.ret.audit[r.ret.n - 1].seq;
        memcpy(believed_log.hash, r.ret.audit[r.ret.n - 1].hash, sizeof(believed_log.hash));
    }
    sp_store_read_done(&r);
}

static void believe_logouts(struct fixture *f) {
    struct sp_store_read r = {.kind = SP_READ_LOGOUTS, .limit = SP_ARRAY_LEN(believed_logouts.seqs)};
    read_all(f, &r);
    for (uint32_t i = 0; i < r.ret.n; i++) believed_logouts.seqs[i] = r.ret.logouts[i].seq;
    believed_logouts.n = r.ret.n;
    sp_store_read_done(&r);
}

/* Looks at the truth, so that the next sets have a chance. */
static void believe(struct fixture *f) {
    believe_log(f);
    believe_logouts(f);
    for (unsigned u = 0; u < USERS; u++) {
        struct sp_user_row user = make_user(u);
        if (read_user(f, user.id, &user) == SP_OK) believed_version[u] = user.version;
        for (unsigned k = 0; k < SESSIONS; k++) {
            believed[u][k] = make_session(u, k);
            SP_IGNORE(sp_err(read_session(f, believed[u][k].sid, &believed[u][k])));
        }
    }
}

static void count_children(const struct set *s) {
    for (size_t i = 0; i < s->n && s->code == SP_OK; i++) {
        if (s->changes[i].kind == SP_CHANGE_SESSION_END)
            children_ended += s->changes[i].session_end.ret_children;
    }
}

static void memory_and_sqlite_never_differ(void **state) {
    (void)state;
    struct fixture *memory = malloc(sizeof(*memory)), *sqlite = malloc(sizeof(*sqlite));
    struct set *mine = malloc(sizeof(*mine)), *theirs = malloc(sizeof(*theirs));
    unsigned applied = 0;
    assert_true(memory != NULL && sqlite != NULL && mine != NULL && theirs != NULL);
    print_message("seed %llu, %u steps\n", (unsigned long long)rng_state, steps);
    fixture_open(memory, "memory");
    fixture_open(sqlite, "sqlite");
    struct sp_change same_epoch = {.kind = SP_CHANGE_META, .meta = {NEXT_INCARNATION}};
    assert_commits(memory, &same_epoch); /* each was born with one of its own */
    assert_commits(sqlite, &same_epoch);
    now_ms = NOW_MS;
    for (unsigned step = 0; step < steps; step++) {
        if (step % 2 == 0) believe(memory);
        now_ms += pick(2000);
        make_set(mine);
        apply(sqlite, mine);
        *theirs =
            *mine; /* the answers; both stores are asked through `mine`, from which the changes borrow */
        apply(memory, mine);
        assert_same_answers(mine, theirs);
        applied += mine->code == SP_OK;
        count_children(mine);
        assert_same_events(memory, sqlite);
        if (step % 50 == 49) assert_same_state(memory, sqlite);
    }
    print_message("%u of %u sets were applied, %llu records pruned\n", applied, steps,
                  (unsigned long long)read_meta(memory).audit_base);
    print_message("%u logouts, %u children ended, %u consents seen\n", logouts_seen, children_ended,
                  consents_seen);
    assert_true(logouts_seen > 0 && children_ended > 0 && consents_seen > 0);
    assert_true(read_meta(memory).audit_base > 0);
    assert_true(applied > steps / 5);
    fixture_close(memory);
    fixture_close(sqlite);
    free(memory);
    free(sqlite);
    free(mine);
    free(theirs);
}

int main(int argc, char **argv) {
    if (argc > 1) rng_state = strtoull(argv[1], NULL, 10);
    if (argc > 2) steps = (unsigned)strtoul(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_and_sqlite_never_differ)};
    return cmocka_run_group_tests_name("store differential", tests, NULL, NULL);
}
