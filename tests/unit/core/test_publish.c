#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/publish.h"

#define NOW_S INT64_C(1790000000)

static const uint8_t master[SP_MASTER_KEY_BYTES] = {1};

static int64_t fixed_ms(void *arg) {
    (void)arg;
    return NOW_S * 1000;
}

/* The verifier's side: takes keys, or refuses them. */
struct verifier {
    size_t n;
    bool refuses;
};

static sp_status set_keys(void *arg, const struct sp_jwk *keys, size_t n) {
    struct verifier *v = arg;
    (void)keys;
    if (v->refuses) return sp_err(SP_E_NOMEM);
    v->n = n;
    return SP_SUCCESS;
}

struct fixture {
    struct sp_reclaim *reclaim;
    struct sp_seats *seats;
    struct sp_revoke_set *revoked;
    struct sp_epochs *epochs;
    struct sp_live_roles *roles;
    struct sp_live_clients *clients;
    struct sp_keys *keys;
    struct verifier verifier;
    struct sp_publish publish;
    struct sp_key_changes made;
};

#define OK(expr) assert_int_equal((expr).code, SP_OK)

static void make_keys(struct fixture *f) {
    const struct sp_key_schedule s = {.alg = SP_ALG_EDDSA, .access_ttl_max_s = 900, .absolute_ttl_s = 86400};
    struct sp_key_plan plan;
    struct sp_key_row rows[8];
    sp_keys_plan(NULL, 0, NOW_S * 1000, &s, &plan);
    OK(sp_keys_carry_out(&plan, NULL, 0, SP_SLICE_ARRAY(master), &sp_random_system, NOW_S * 1000, &s,
                         &f->made));
    assert_true(f->made.n <= SP_ARRAY_LEN(rows));
    for (size_t i = 0; i < f->made.n; i++) rows[i] = f->made.v[i].row;
    OK(sp_keys_new(f->seats, SP_SLICE_ARRAY(master), rows, f->made.n, &f->keys));
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    OK(sp_reclaim_new(8, &f->reclaim));
    OK(sp_seats_new(f->reclaim, &f->seats));
    OK(sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = f->reclaim, .random = &sp_random_system},
                         &f->revoked));
    OK(sp_epochs_new(&(struct sp_epochs_opts){.reclaim = f->reclaim, .random = &sp_random_system},
                     &f->epochs));
    OK(sp_live_roles_new(f->seats, NULL, 0, &f->roles));
    OK(sp_live_clients_new(f->seats, &f->clients));
    make_keys(f);
    f->publish = (struct sp_publish){.clock = {fixed_ms, fixed_ms, NULL},
                                     .log = sp_log_none,
                                     .authn = {.set_keys = set_keys, .arg = &f->verifier},
                                     .seats = f->seats,
                                     .revoked = f->revoked,
                                     .epochs = f->epochs,
                                     .roles = f->roles,
                                     .keys = f->keys,
                                     .clients = f->clients};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    sp_key_changes_done(&f->made);
    sp_keys_free(f->keys);
    sp_live_clients_free(f->clients);
    sp_live_roles_free(f->roles);
    sp_epochs_free(f->epochs);
    sp_revoke_set_free(f->revoked);
    sp_seats_free(f->seats);
    sp_reclaim_free(f->reclaim);
    free(f);
    return 0;
}

static void publish(struct fixture *f, const struct sp_store_event *event) {
    struct sp_publisher port = sp_publish_port(&f->publish);
    port.publish(port.arg, event);
}

static void publish_revocation(struct fixture *f, enum sp_revoke_what what, uint8_t id, uint32_t epoch) {
    const struct sp_revocation_row row = {.what = what, .id = {id}, .epoch = epoch, .expires_s = NOW_S + 100};
    publish(f, &(struct sp_store_event){.kind = SP_EVENT_REVOKED, .revocation = &row});
}

static bool is_revoked(struct fixture *f, enum sp_revoke_kind kind, uint8_t id, size_t n) {
    const uint8_t bytes[SP_ROW_SID_BYTES] = {id};
    sp_seats_enter(f->seats);
    bool r = sp_revoke_set_contains(f->revoked, kind, sp_slice_of(bytes, n), NOW_S);
    sp_seats_leave(f->seats);
    return r;
}

static enum sp_epoch_verdict check_epoch(struct fixture *f, uint8_t id, uint32_t epu, uint32_t epg) {
    const uint8_t bytes[SP_ROW_ID_BYTES] = {id};
    sp_seats_enter(f->seats);
    enum sp_epoch_verdict v = sp_epochs_check(f->epochs, SP_SLICE_ARRAY(bytes), epu, epg);
    sp_seats_leave(f->seats);
    return v;
}

static void revocations_are_enforced_when_publish_returns(void **state) {
    struct fixture *f = *state;
    publish_revocation(f, SP_REVOKED_JTI, 1, 0);
    publish_revocation(f, SP_REVOKED_SID, 2, 0);
    publish_revocation(f, SP_REVOKED_USER_EPOCH, 3, 5);
    assert_true(is_revoked(f, SP_REVOKE_JTI, 1, SP_ROW_ID_BYTES));
    assert_true(is_revoked(f, SP_REVOKE_SID, 2, SP_ROW_SID_BYTES));
    assert_false(is_revoked(f, SP_REVOKE_SID, 1, SP_ROW_SID_BYTES));
    assert_false(is_revoked(f, SP_REVOKE_JTI, 2, SP_ROW_ID_BYTES));
    assert_int_equal(check_epoch(f, 3, 4, 0), SP_EPOCH_REVOKED);
    assert_int_equal(check_epoch(f, 3, 5, 0), SP_EPOCH_CURRENT);
    assert_int_equal(check_epoch(f, 4, 0, 0), SP_EPOCH_CURRENT);
    publish_revocation(f, SP_REVOKED_GLOBAL_EPOCH, 0, 2);
    assert_int_equal(check_epoch(f, 4, 0, 1), SP_EPOCH_REVOKED);
    assert_int_equal(check_epoch(f, 4, 0, 2), SP_EPOCH_CURRENT);
}

static void roles_follow_their_events(void **state) {
    struct fixture *f = *state;
    struct sp_role_row row;
    OK(sp_role_accept(SP_SLICE_LIT("r"), SP_SLICE_LIT("a:b"), &row));
    publish(f, &(struct sp_store_event){.kind = SP_EVENT_ROLE, .role = &row});
    sp_seats_enter(f->seats);
    assert_true(sp_roles_grant(sp_live_roles_get(f->roles), SP_SLICE_LIT("r"), SP_SLICE_LIT("a:b")));
    sp_seats_leave(f->seats);
    publish(f, &(struct sp_store_event){.kind = SP_EVENT_ROLE_GONE, .role_name = SP_SLICE_LIT("r")});
    sp_seats_enter(f->seats);
    assert_false(sp_roles_grant(sp_live_roles_get(f->roles), SP_SLICE_LIT("r"), SP_SLICE_LIT("a:b")));
    sp_seats_leave(f->seats);
}

static enum sp_client_check check_client(struct fixture *f, sp_slice secret) {
    struct sp_client_facts facts;
    return sp_live_clients_check(f->clients, SP_SLICE_LIT("orders"), secret, NOW_S * 1000, &facts);
}

static void clients_follow_their_events(void **state) {
    struct fixture *f = *state;
    struct sp_client_row row = {.tenant = SP_TENANT_DEFAULT, .secrets[0].used = true};
    char secret[SP_CLIENT_SECRET_CHARS];
    OK(SP_TEXT_SET(&row.id, SP_SLICE_LIT("orders")));
    OK(sp_client_secret_new(&sp_random_system, secret, row.secrets[0].hash));
    publish(f, &(struct sp_store_event){.kind = SP_EVENT_CLIENT, .client = &row});
    assert_int_equal(check_client(f, SP_SLICE_ARRAY(secret)), SP_CLIENT_GENUINE);
    row.disabled = true;
    publish(f, &(struct sp_store_event){.kind = SP_EVENT_CLIENT, .client = &row});
    assert_int_equal(check_client(f, SP_SLICE_ARRAY(secret)), SP_CLIENT_DISABLED);
    publish(f, &(struct sp_store_event){.kind = SP_EVENT_CLIENT_GONE, .client_id = SP_SLICE_LIT("orders")});
    assert_int_equal(check_client(f, SP_SLICE_ARRAY(secret)), SP_CLIENT_REFUSED);
}

static struct sp_key_row *access_row(struct fixture *f) {
    for (size_t i = 0; i < f->made.n; i++) {
        if (f->made.v[i].row.use == SP_KEY_ACCESS) return &f->made.v[i].row;
    }
    return NULL;
}

static void key_events_reach_the_verifier(void **state) {
    struct fixture *f = *state;
    OK(sp_publish_keys(&f->publish));
    assert_int_equal(f->verifier.n, 1);
    f->verifier.n = 0;
    publish(f, &(struct sp_store_event){.kind = SP_EVENT_KEY, .key = access_row(f)});
    assert_int_equal(f->verifier.n, 1);
}

static int signal_of_publishing(struct fixture *f, const struct sp_store_event *event) {
    const struct rlimit no_core = {0, 0};
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        publish(f, event);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void what_is_durable_and_cannot_be_enforced_ends_the_process(void **state) {
    struct fixture *f = *state;
    const struct sp_revocation_row nonsense = {.what = (enum sp_revoke_what)99};
    assert_int_equal(
        signal_of_publishing(f, &(struct sp_store_event){.kind = SP_EVENT_REVOKED, .revocation = &nonsense}),
        SIGABRT);
    const struct sp_store_event key = {.kind = SP_EVENT_KEY, .key = access_row(f)};
    assert_int_equal(signal_of_publishing(f, &key), 0);
    f->verifier.refuses = true;
    assert_int_equal(signal_of_publishing(f, &key), SIGABRT);
}

/* ---- seats ---- */

static void *look_once(void *arg) {
    struct fixture *f = arg;
    sp_seats_enter(f->seats);
    sp_seats_enter(f->seats); /* may nest */
    (void)sp_live_roles_get(f->roles);
    sp_seats_leave(f->seats);
    sp_seats_leave(f->seats);
    return NULL;
}

/* The reclaimer has 8 seats: 40 threads one after another find one each only if the others gave theirs back.
 */
static void thread_that_ends_gives_its_seat_back(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, look_once, f), 0);
        pthread_join(thread, NULL);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(revocations_are_enforced_when_publish_returns),
        T(roles_follow_their_events),
        T(clients_follow_their_events),
        T(key_events_reach_the_verifier),
        T(what_is_durable_and_cannot_be_enforced_ends_the_process),
        T(thread_that_ends_gives_its_seat_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
