/* Every allocation of a change set fails, and then every one from there on: the set has happened as a whole
 * or not at all, and nobody hears of what has not. (Leaks are the sanitizer's to find.) */
#include "failing_malloc.h"
#include "fixture.h"

enum { CHANGES_MAX = 4, NTH_MAX = 200 };

struct scene {
    struct fixture f;
    struct sp_user_row user;
    struct sp_session_row parent, child, newcomer;
    struct sp_client_row client;
    struct sp_consent_row consent;
    struct sp_change set[CHANGES_MAX];
    size_t n;
};

/* ---- what there is ---- */

static void add_consents(struct scene *s) {
    static const char *const clients[] = {"shop", "blog", "mail"};
    memset(&s->consent, 0, sizeof(s->consent));
    s->consent.tenant = 1;
    memcpy(s->consent.user_id, s->user.id, sizeof(s->user.id));
    for (size_t i = 0; i < SP_ARRAY_LEN(clients); i++) {
        text_set(&s->consent.client_id, clients[i]);
        struct sp_change c = {.kind = SP_CHANGE_CONSENT_PUT, .consent_put = {&s->consent}};
        assert_commits(&s->f, &c);
    }
}

static void add_logout(struct scene *s) {
    struct sp_session_row row = make_session(2, 1);
    row.backchannel = true;
    add_session(&s->f, &row);
    struct sp_change c = {
        .kind = SP_CHANGE_SESSIONS_END,
        .sessions_end = {1, row.user_id, row.sid, NULL, SP_SESSION_ENDED, SP_END_LOGOUT, NOW_MS, 0}};
    assert_commits(&s->f, &c);
}

static void scene_open(struct scene *s) {
    fixture_open(&s->f, "memory");
    s->user = make_user(1);
    s->client = make_client("shop");
    s->parent = make_session(1, 1);
    s->child = make_session(1, 2);
    s->newcomer = make_session(1, 3);
    memcpy(s->child.parent, s->parent.sid, sizeof(s->child.parent));
    s->parent.backchannel = s->child.backchannel = true;
    add_user(&s->f, &s->user);
    add_session(&s->f, &s->parent);
    add_session(&s->f, &s->child);
    struct sp_change c = {.kind = SP_CHANGE_CLIENT_PUT, .client_put = {&s->client, SP_VERSION_ANY}};
    assert_commits(&s->f, &c);
    add_consents(s);
    add_logout(s);
    s->f.events_n = 0;
    s->n = 0;
}

/* ---- what is to happen ---- */

static struct sp_change *add(struct scene *s, struct sp_change c) {
    s->set[s->n] = c;
    return &s->set[s->n++];
}

static void add_jti(struct scene *s) {
    add(s, (struct sp_change){.kind = SP_CHANGE_REVOKE_JTI, .revoke_jti = {1, s->user.id, NOW_S}});
}

static void make_end(struct scene *s) {
    add(s, (struct sp_change){.kind = SP_CHANGE_SESSION_END,
                              .session_end = {.tenant = 1,
                                              .sid = s->parent.sid,
                                              .expect_generation = SP_GENERATION_ANY,
                                              .state = SP_SESSION_ENDED,
                                              .cause = SP_END_LOGOUT,
                                              .now_ms = NOW_MS}});
}
static void make_evicting_insert(struct scene *s) {
    add(s, (struct sp_change){.kind = SP_CHANGE_SESSION_INSERT,
                              .session_insert = {.row = &s->newcomer, .live_max = 1}});
}
static void make_raise(struct scene *s) {
    add(s, (struct sp_change){.kind = SP_CHANGE_CLIENT_PUT,
                              .client_put = {&s->client, SP_VERSION_ANY, true, NOW_S, 0}});
    add_jti(s);
    add_jti(s);
}
static void make_client_delete(struct scene *s) {
    add(s, (struct sp_change){.kind = SP_CHANGE_CLIENT_DELETE,
                              .client_delete = {1, SP_SLICE_LIT("shop"), SP_VERSION_ANY, NOW_S}});
    add_jti(s);
}
static void make_user_delete(struct scene *s) {
    add(s, (struct sp_change){.kind = SP_CHANGE_USER_DELETE, .user_delete = {1, s->user.id, SP_VERSION_ANY}});
}
static void make_consent_put(struct scene *s) {
    text_set(&s->consent.scopes, "more");
    add(s, (struct sp_change){.kind = SP_CHANGE_CONSENT_PUT, .consent_put = {&s->consent}});
}
static void make_consent_delete(struct scene *s) {
    add(s, (struct sp_change){.kind = SP_CHANGE_CONSENT_DELETE,
                              .consent_delete = {1, s->user.id, SP_SLICE_EMPTY, 0}});
}
static void make_tried(struct scene *s) {
    add(s, (struct sp_change){.kind = SP_CHANGE_LOGOUT_TRIED, .logout_tried = {1, 3, NOW_MS}});
}
static void make_done(struct scene *s) {
    add(s, (struct sp_change){.kind = SP_CHANGE_LOGOUT_DONE, .logout_done = {1}});
}

/* ---- all that there is, as bytes that can be compared ---- */

static uint64_t mixed(uint64_t h, const void *p, size_t n) {
    for (size_t i = 0; i < n; i++) h = (h ^ ((const uint8_t *)p)[i]) * 0x100000001b3U;
    return h;
}

static uint64_t state_of(struct scene *s) {
    static const struct {
        enum sp_read_kind kind;
        size_t bytes;
    } kinds[] = {{SP_READ_USERS, sizeof(struct sp_user_row)},
                 {SP_READ_SESSIONS, sizeof(struct sp_session_row)},
                 {SP_READ_CLIENTS, sizeof(struct sp_client_row)},
                 {SP_READ_CONSENTS, sizeof(struct sp_consent_row)},
                 {SP_READ_LOGOUTS, sizeof(struct sp_logout_row)}};
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < SP_ARRAY_LEN(kinds); i++) {
        struct sp_store_read r = {
            .kind = kinds[i].kind, .limit = SP_READ_PAGE_MAX, .key = SP_SLICE_ARRAY(s->user.id)};
        if (kinds[i].kind != SP_READ_CONSENTS) r.key = SP_SLICE_EMPTY;
        read_all(&s->f, &r);
        h = mixed(h, &r.ret.n, sizeof(r.ret.n));
        h = mixed(h, r.ret.rows, r.ret.n * kinds[i].bytes);
        sp_store_read_done(&r);
    }
    const struct sp_meta_row meta = read_meta(&s->f);
    return mixed(mixed(h, &meta.revoke_seq, sizeof(meta.revoke_seq)), &meta.logout_seq,
                 sizeof(meta.logout_seq));
}

/* One scene, one failure. false: it came too late to happen. */
static bool fails_as_a_whole(struct scene *s, void (*make)(struct scene *s), uint64_t nth, uint64_t times) {
    scene_open(s);
    make(s);
    const uint64_t before = state_of(s);
    failing_malloc_arm(nth, times);
    const enum sp_code code = commit_set(&s->f, s->set, s->n, NULL);
    const bool failed = failing_malloc_disarm();
    if (failed) {
        assert_int_equal(code, SP_E_UNAVAILABLE);
        assert_int_equal(state_of(s), before);
        assert_int_equal(events_count(&s->f), 0);
        assert_int_equal(commit_set(&s->f, s->set, s->n, NULL), SP_OK); /* and now it can */
    } else {
        assert_int_equal(code, SP_OK);
    }
    fixture_close(&s->f);
    return failed;
}

static void set_that_runs_out_of_memory_leaves_nothing(void **state) {
    (void)state;
    static void (*const makes[])(struct scene *) = {
        make_end,         make_evicting_insert, make_raise, make_client_delete, make_user_delete,
        make_consent_put, make_consent_delete,  make_tried, make_done};
    struct scene *s = malloc(sizeof(*s));
    unsigned failures = 0; /* a removal may need no memory at all */
    assert_non_null(s);
    for (size_t i = 0; i < SP_ARRAY_LEN(makes); i++) {
        for (uint64_t times = 1; times <= UINT32_MAX; times += UINT32_MAX - 1) {
            uint64_t nth = 1;
            while (fails_as_a_whole(s, makes[i], nth, times)) nth++;
            assert_true(nth < NTH_MAX);
            failures += (unsigned)nth - 1;
        }
    }
    print_message("%u failures\n", failures);
    assert_true(failures > 20);
    free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(set_that_runs_out_of_memory_leaves_nothing)};
    return cmocka_run_group_tests_name("store out of memory", tests, NULL, NULL);
}
