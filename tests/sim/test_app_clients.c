/* Clients on a whole app: their life, and what is enforced at every point of it. */
#include "app_bench.h"

#include "core/app_internal.h"

/* ---- asking ---- */

struct clients {
    uint32_t answers;
    enum sp_outcome outcome;
    size_t n;
    struct sp_client_row first;
    char next[128];
    size_t next_n;
    char secret[SP_CLIENT_SECRET_CHARS];
    size_t secret_n;
};

static void clients_done(void *arg, const struct sp_clients_result *r) {
    static const uint8_t zeros[SP_ROW_HASH_BYTES] = {0};
    struct clients *c = arg;
    c->answers++;
    c->outcome = r->outcome;
    c->n = r->n;
    assert_true(r->next.n <= sizeof(c->next) && r->secret.n <= sizeof(c->secret));
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < SP_ARRAY_LEN(r->rows[i].secrets); k++)
            assert_memory_equal(r->rows[i].secrets[k].hash, zeros, sizeof(zeros)); /* never leave */
    }
    if (r->n != 0) c->first = r->rows[0];
    if (r->next.n != 0) memcpy(c->next, r->next.p, c->next_n = r->next.n);
    if (r->secret.n != 0) memcpy(c->secret, r->secret.p, c->secret_n = r->secret.n);
}

static struct clients answered(struct bench *b, struct clients *c) {
    assert_int_equal(c->answers, 0);
    bench_run(b);
    assert_int_equal(c->answers, 1);
    return *c;
}

static struct clients add(struct bench *b, const char *id, bool feed) {
    struct clients c = {0};
    const struct sp_call call = bench_call_admin(b);
    const struct sp_client_add_request in = {.id = sp_slice_cstr(id), .options = {.feed = feed}};
    sp_app_client_add(b->app, &call, &in, clients_done, &c);
    return answered(b, &c);
}

static struct clients rotate(struct bench *b, const char *id, int64_t overlap_s) {
    struct clients c = {0};
    const struct sp_call call = bench_call_admin(b);
    const struct sp_client_rotate_request in = {.overlap_s = overlap_s};
    sp_app_client_rotate(b->app, &call, sp_slice_cstr(id), &in, clients_done, &c);
    return answered(b, &c);
}

static struct clients show(struct bench *b, const char *id) {
    struct clients c = {0};
    const struct sp_call call = bench_call_admin(b);
    sp_app_client_show(b->app, &call, sp_slice_cstr(id), clients_done, &c);
    return answered(b, &c);
}

static struct clients list(struct bench *b, sp_slice after, uint32_t limit) {
    struct clients c = {0};
    const struct sp_call call = bench_call_admin(b);
    sp_app_clients_list(b->app, &call, after, limit, clients_done, &c);
    return answered(b, &c);
}

static enum sp_outcome edit(struct bench *b, const char *id, enum sp_client_edit what) {
    struct plain p = {0};
    const struct sp_call call = bench_call_admin(b);
    sp_app_client_edit(b->app, &call, sp_slice_cstr(id), what, bench_plain_done, &p);
    assert_int_equal(p.answers, 0);
    bench_run(b);
    assert_int_equal(p.answers, 1);
    return p.outcome;
}

static enum sp_client_check check(struct bench *b, const char *id, const struct clients *with) {
    struct sp_client_facts facts;
    const struct sp_call call = bench_call(b);
    const enum sp_client_check c = sp_app_client_check(b->app, &call, sp_slice_cstr(id),
                                                       sp_slice_of(with->secret, with->secret_n), &facts);
    bench_run(b);
    return c;
}

#define assert_outcome(expr, outcome) assert_int_equal((expr), SP_OUTCOME_##outcome)
#define assert_check(b, id, with, is) assert_int_equal(check((b), (id), (with)), SP_CLIENT_##is)

/* ---- tests ---- */

static void client_works_at_once_and_after_a_restart(void **state) {
    struct bench *b = *state;
    const struct clients made = add(b, "orders", true);
    assert_outcome(made.outcome, OK);
    assert_int_equal(made.secret_n, SP_CLIENT_SECRET_CHARS);
    assert_true(made.first.feed);
    assert_int_equal(made.first.version, 1);
    assert_check(b, "orders", &made, GENUINE);
    bench_stop(b);
    bench_start(b);
    assert_check(b, "orders", &made, GENUINE);
    assert_int_equal(show(b, "orders").secret_n, 0); /* shown once */
    assert_int_equal(bench_records(b, "client_created"), 1);
    assert_int_equal(bench_records(b, "client_refused"), 0);
}

static void client_that_cannot_be_is_refused_with_its_reason(void **state) {
    struct bench *b = *state;
    const struct clients made = add(b, "orders", true);
    const struct clients again = add(b, "orders", true);
    assert_outcome(again.outcome, ALREADY_EXISTS);
    assert_int_equal(again.secret_n, 0);
    assert_check(b, "orders", &made, GENUINE); /* as before */
    assert_outcome(add(b, "", true).outcome, INVALID_REQUEST);
    assert_outcome(add(b, "a b", true).outcome, INVALID_REQUEST);
    assert_outcome(add(b, "AAAAAAAAAAAAAAAAAAAAAA", true).outcome, INVALID_REQUEST);
    char first_party[129] = "";
    memcpy(first_party, b->config.client_id.s, b->config.client_id.n);
    assert_outcome(add(b, first_party, true).outcome, ALREADY_EXISTS);
    assert_int_equal(bench_records(b, "client_created"), 1);
}

static void wrong_secrets_are_refused_and_recorded_once_a_minute(void **state) {
    struct bench *b = *state;
    const struct clients orders = add(b, "orders", true), billing = add(b, "billing", true);
    for (int i = 0; i < 5; i++) assert_check(b, "orders", &billing, REFUSED);
    assert_check(b, "billing", &orders, REFUSED);
    assert_check(b, "nobody", &orders, REFUSED);
    assert_int_equal(bench_records(b, "client_refused"), 3);
}

/* Credentials get into the wrong field; the record must not become the place where they are found. */
static void secret_in_the_place_of_the_id_is_not_recorded(void **state) {
    struct bench *b = *state;
    const struct clients orders = add(b, "orders", true);
    char text[SP_CLIENT_SECRET_CHARS + 1] = "";
    memcpy(text, orders.secret, sizeof(orders.secret));
    assert_check(b, text, &orders, REFUSED);
    assert_int_equal(bench_records(b, "client_refused"), 1);
    struct sp_store_read r = {.kind = SP_READ_AUDIT, .tenant = SP_TENANT_DEFAULT, .limit = 1000};
    assert_int_equal(sp_store_read_wait(b->store, &r).code, SP_OK);
    for (uint32_t i = 0; i < r.ret.n; i++) {
        const struct sp_audit_row *row = &r.ret.audit[i];
        assert_null(memmem(row->body, row->body_n, orders.secret, sizeof(orders.secret)));
        assert_null(memmem(row->target.s, row->target.n, orders.secret, sizeof(orders.secret)));
        if (row->personal != NULL)
            assert_null(memmem(row->personal, row->personal_n, orders.secret, sizeof(orders.secret)));
    }
    sp_store_read_done(&r);
}

static void after_a_rotation_both_work_until_the_overlap_is_over(void **state) {
    struct bench *b = *state;
    const struct clients old = add(b, "orders", true), new = rotate(b, "orders", 60);
    assert_outcome(new.outcome, OK);
    assert_int_equal(new.first.version, 2);
    assert_check(b, "orders", &old, GENUINE);
    assert_check(b, "orders", &new, GENUINE);
    b->now_ms += 60 * 1000 - 1;
    assert_check(b, "orders", &old, GENUINE);
    b->now_ms += 1;
    assert_check(b, "orders", &old, REFUSED);
    assert_check(b, "orders", &new, GENUINE);
    bench_stop(b);
    bench_start(b);
    assert_check(b, "orders", &old, REFUSED);
    assert_check(b, "orders", &new, GENUINE);
    assert_int_equal(bench_records(b, "client_secret_rotated"), 1);
}

static void rotation_without_overlap_ends_the_old_secret_at_once(void **state) {
    struct bench *b = *state;
    const struct clients old = add(b, "orders", true), new = rotate(b, "orders", 0);
    assert_check(b, "orders", &old, REFUSED);
    assert_check(b, "orders", &new, GENUINE);
}

static void third_secret_takes_the_place_of_the_one_that_lapses(void **state) {
    struct bench *b = *state;
    const struct clients one = add(b, "orders", true), two = rotate(b, "orders", 3600),
                         three = rotate(b, "orders", 7200);
    assert_check(b, "orders", &one, REFUSED);
    assert_check(b, "orders", &two, GENUINE);
    assert_check(b, "orders", &three, GENUINE);
    const struct clients four = rotate(b, "orders", 10);
    assert_check(b, "orders", &two, REFUSED);
    assert_check(b, "orders", &three, GENUINE);
    assert_check(b, "orders", &four, GENUINE);
    b->now_ms += 10 * 1000;
    assert_check(b, "orders", &three, REFUSED);
    assert_check(b, "orders", &four, GENUINE);
}

static void overlap_out_of_range_changes_nothing(void **state) {
    struct bench *b = *state;
    const struct clients made = add(b, "orders", true);
    assert_outcome(rotate(b, "orders", -1).outcome, INVALID_REQUEST);
    assert_outcome(rotate(b, "orders", INT64_MAX).outcome, INVALID_REQUEST);
    assert_outcome(rotate(b, "orders", SP_CLIENT_OVERLAP_S_MAX + 1).outcome, INVALID_REQUEST);
    assert_check(b, "orders", &made, GENUINE);
    assert_outcome(rotate(b, "orders", SP_CLIENT_OVERLAP_S_MAX).outcome, OK);
}

static void disabled_client_is_refused_until_it_is_enabled(void **state) {
    struct bench *b = *state;
    const struct clients made = add(b, "orders", true);
    assert_outcome(edit(b, "orders", SP_CLIENT_DISABLE), OK);
    assert_outcome(edit(b, "orders", SP_CLIENT_DISABLE), OK); /* again: nothing to record */
    assert_check(b, "orders", &made, DISABLED);
    const struct clients new = rotate(b, "orders", 60); /* stays disabled */
    assert_check(b, "orders", &new, DISABLED);
    bench_stop(b);
    bench_start(b);
    assert_check(b, "orders", &made, DISABLED);
    assert_outcome(edit(b, "orders", SP_CLIENT_ENABLE), OK);
    assert_check(b, "orders", &made, GENUINE);
    assert_int_equal(bench_records(b, "client_disabled"), 1);
    assert_int_equal(bench_records(b, "client_enabled"), 1);
    assert_int_equal(bench_records(b, "client_refused"), 1 + 1); /* one a start */
}

static void deleted_client_is_gone_and_its_name_free_for_another(void **state) {
    struct bench *b = *state;
    const struct clients made = add(b, "orders", true);
    assert_outcome(edit(b, "orders", SP_CLIENT_DELETE), OK);
    assert_check(b, "orders", &made, REFUSED);
    assert_outcome(edit(b, "orders", SP_CLIENT_DELETE), NOT_FOUND);
    assert_outcome(edit(b, "orders", SP_CLIENT_ENABLE), NOT_FOUND);
    assert_outcome(rotate(b, "orders", 0).outcome, NOT_FOUND);
    assert_outcome(show(b, "orders").outcome, NOT_FOUND);
    assert_outcome(show(b, "not/an id").outcome, NOT_FOUND);
    const struct clients other = add(b, "orders", false);
    assert_check(b, "orders", &made, REFUSED);
    assert_check(b, "orders", &other, GENUINE);
    assert_int_equal(bench_records(b, "client_deleted"), 1);
}

static void connection_that_stays_is_told_of_what_changed(void **state) {
    struct bench *b = *state;
    const struct clients made = add(b, "orders", true);
    struct sp_client_facts facts;
    const struct sp_call call = bench_call(b);
    assert_int_equal(
        sp_app_client_check(b->app, &call, SP_SLICE_LIT("orders"), SP_SLICE_ARRAY(made.secret), &facts),
        SP_CLIENT_GENUINE);
    (void)rotate(b, "orders", 60);
    assert_int_equal(sp_app_client_check_again(b->app, &facts), SP_CLIENT_GENUINE);
    b->now_ms += 60 * 1000;
    assert_int_equal(sp_app_client_check_again(b->app, &facts), SP_CLIENT_REFUSED);
}

static void clients_are_listed_page_by_page(void **state) {
    struct bench *b = *state;
    char id[] = "client-0";
    for (int i = 0; i < 5; i++, id[sizeof(id) - 2]++) assert_outcome(add(b, id, true).outcome, OK);
    struct clients page = list(b, SP_SLICE_EMPTY, 3);
    assert_int_equal(page.n, 3);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&page.first.id), "client-0"));
    page = list(b, sp_slice_of(page.next, page.next_n), 3);
    assert_int_equal(page.n, 2);
    assert_int_equal(page.next_n, 0);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&page.first.id), "client-3"));
    assert_outcome(list(b, SP_SLICE_LIT("!"), 3).outcome, INVALID_REQUEST);
}

static void store_that_fails_gives_no_secret(void **state) {
    struct bench *b = *state;
    const struct clients made = add(b, "orders", true);
    sp_store_memory_fail(b->store, 1, 2, SP_MEMORY_FAULT_UNAVAILABLE);
    struct clients c = rotate(b, "orders", 0);
    assert_outcome(c.outcome, STORE_UNAVAILABLE);
    assert_int_equal(c.secret_n, 0);
    c = add(b, "billing", true);
    assert_outcome(c.outcome, STORE_UNAVAILABLE);
    assert_int_equal(c.secret_n, 0);
    assert_check(b, "orders", &made, GENUINE);
    sp_store_memory_fail(b->store, 1, 1, SP_MEMORY_FAULT_UNKNOWN_APPLIED);
    c = rotate(b, "orders", 0);
    assert_outcome(c.outcome, OUTCOME_UNKNOWN);
    assert_int_equal(c.secret_n, 0);
    assert_check(b, "orders", &made, REFUSED); /* it did happen: ask for another */
    c = rotate(b, "orders", 0);
    assert_check(b, "orders", &c, GENUINE);
}

/* ---- options ---- */

static enum sp_outcome done_with(struct bench *b, struct clients *c) {
    *c = answered(b, c);
    return c->outcome;
}

static struct sp_client_options machine(const char *scopes) {
    return (struct sp_client_options){.grants = SP_SLICE_LIT("client_credentials"),
                                      .scopes = sp_slice_cstr(scopes)};
}

static struct clients add_with(struct bench *b, const char *id, const struct sp_client_options *options,
                               const char *secret) {
    struct clients c = {0};
    const struct sp_call call = bench_call_admin(b);
    const struct sp_client_add_request in = {
        .id = sp_slice_cstr(id), .options = *options, .secret = sp_slice_cstr(secret)};
    sp_app_client_add(b->app, &call, &in, clients_done, &c);
    (void)done_with(b, &c);
    return c;
}

static struct clients set_at(struct bench *b, const char *id, const struct sp_client_options *options,
                             uint64_t version) {
    struct clients c = {0};
    const struct sp_call call = bench_call_admin(b);
    sp_app_client_set(b->app, &call, sp_slice_cstr(id), options, version, clients_done, &c);
    (void)done_with(b, &c);
    return c;
}
static struct clients set(struct bench *b, const char *id, const struct sp_client_options *options) {
    return set_at(b, id, options, SP_VERSION_ANY);
}

/* Would an access token of the client's own with this epoch pass? */
static bool passes(struct bench *b, const char *id, uint32_t epoch) {
    uint8_t subject[SP_ROW_ID_BYTES];
    sp_client_subject(sp_slice_cstr(id), subject);
    sp_seats_enter(b->app->seats);
    const enum sp_epoch_verdict v =
        sp_epochs_check(b->app->deps.epochs, SP_SLICE_ARRAY(subject), epoch, UINT32_MAX);
    sp_seats_leave(b->app->seats);
    return v == SP_EPOCH_CURRENT;
}

static const char own_secret[] = "tn2LQ8uRzX5vKf0WcYb7HjMdE3sGaP9o";

static void client_keeps_what_it_was_made_with(void **state) {
    struct bench *b = *state;
    const struct sp_client_options options = {
        .auth_method = SP_SLICE_LIT("none"),
        .grants = SP_SLICE_LIT("authorization_code refresh_token"),
        .scopes = SP_SLICE_LIT("openid orders:read"),
        .redirect_uris = SP_SLICE_LIT("com.example.app:/cb"),
        .require_par = true,
    };
    const struct clients made = add_with(b, "app", &options, NULL);
    assert_outcome(made.outcome, OK);
    assert_int_equal(made.secret_n, 0);
    bench_stop(b);
    bench_start(b);
    const struct sp_client_row row = show(b, "app").first;
    uint8_t subject[SP_ROW_ID_BYTES];
    sp_client_subject(SP_SLICE_LIT("app"), subject);
    assert_true(row.is_public && row.require_par && row.rotate_refresh && !row.trusted && !row.feed);
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&row.redirect_uris), options.redirect_uris));
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&row.scopes), options.scopes));
    assert_false(row.secrets[0].used);
    assert_memory_equal(row.subject, subject, sizeof(subject));
    assert_int_equal(row.epoch, b->now_ms / 1000);
    assert_true(passes(b, "app", row.epoch));
}

static void options_that_do_not_fit_make_no_client(void **state) {
    struct bench *b = *state;
    struct sp_client_options options = machine("a");
    options.auth_method = SP_SLICE_LIT("none");
    assert_outcome(add_with(b, "app", &options, NULL).outcome, INVALID_REQUEST);
    options.grants = SP_SLICE_EMPTY;
    assert_outcome(add_with(b, "app", &options, own_secret).outcome, INVALID_REQUEST); /* it has none */
    options = machine("a");
    assert_outcome(add_with(b, "app", &options, "short").outcome, INVALID_REQUEST);
    assert_outcome(show(b, "app").outcome, NOT_FOUND);
    assert_int_equal(bench_records(b, "client_created"), 0);
}

static void own_secret_works_and_is_not_told_back(void **state) {
    struct bench *b = *state;
    const struct sp_client_options options = machine("a");
    const struct clients made = add_with(b, "job", &options, own_secret);
    assert_outcome(made.outcome, OK);
    assert_int_equal(made.secret_n, 0);
    struct clients with = {.secret_n = sizeof(own_secret) - 1};
    memcpy(with.secret, own_secret, with.secret_n);
    assert_check(b, "job", &with, GENUINE);
    with.secret[0]++;
    assert_check(b, "job", &with, REFUSED);
}

static void change_replaces_options_and_keeps_the_secret(void **state) {
    struct bench *b = *state;
    struct sp_client_options options = machine("a b");
    const struct clients made = add_with(b, "job", &options, NULL);
    options.name = SP_SLICE_LIT("Nightly");
    options.redirect_uris = SP_SLICE_LIT("https://a.example/cb");
    const struct clients changed = set(b, "job", &options);
    assert_outcome(changed.outcome, OK);
    assert_int_equal(changed.first.version, 2);
    assert_int_equal(changed.secret_n, 0);
    assert_int_equal(changed.first.created_ms, made.first.created_ms);
    assert_check(b, "job", &made, GENUINE);
    assert_true(passes(b, "job", made.first.epoch)); /* nothing was taken away */
    assert_int_equal(bench_records(b, "client_changed"), 1);
    assert_outcome(set(b, "job", &options).outcome, OK); /* as it is already: nothing to record */
    assert_int_equal(show(b, "job").first.version, 2);
    assert_int_equal(bench_records(b, "client_changed"), 1);
    assert_outcome(set(b, "nobody", &options).outcome, NOT_FOUND);
    options.redirect_uris = SP_SLICE_LIT("http://a.example/cb");
    assert_outcome(set(b, "job", &options).outcome, INVALID_REQUEST);
    assert_int_equal(show(b, "job").first.version, 2);
}

static void change_of_what_somebody_else_changed_is_refused(void **state) {
    struct bench *b = *state;
    struct sp_client_options options = machine("a");
    assert_outcome(add_with(b, "job", &options, NULL).outcome, OK);
    options.trusted = true;
    assert_outcome(set_at(b, "job", &options, 1).outcome, OK);
    options.trusted = false;
    assert_outcome(set_at(b, "job", &options, 1).outcome, CHANGED_MEANWHILE);
    assert_true(show(b, "job").first.trusted);
    assert_outcome(set_at(b, "job", &options, 2).outcome, OK);
}

static void client_that_may_less_has_its_own_tokens_refused(void **state) {
    struct bench *b = *state;
    const struct sp_client_options wide = machine("a b"), narrow = machine("a");
    const uint32_t epoch = add_with(b, "job", &wide, NULL).first.epoch;
    assert_true(passes(b, "job", epoch));
    assert_outcome(set(b, "job", &narrow).outcome, OK);
    assert_false(passes(b, "job", epoch));
    assert_true(passes(b, "job", epoch + 1));
    assert_int_equal(show(b, "job").first.epoch, epoch + 1); /* in the same second */
    b->now_ms += 60 * 1000;
    assert_outcome(set(b, "job", &wide).outcome, OK);
    assert_true(passes(b, "job", epoch + 1));
    assert_outcome(set(b, "job", &narrow).outcome, OK);
    assert_int_equal(show(b, "job").first.epoch, b->now_ms / 1000);
}

static void client_without_secrets_has_none_to_rotate_and_who_comes_to_them_asks_for_one(void **state) {
    struct bench *b = *state;
    struct sp_client_options options = machine("a");
    const struct clients made = add_with(b, "job", &options, NULL);
    options = (struct sp_client_options){.auth_method = SP_SLICE_LIT("none")};
    assert_outcome(set(b, "job", &options).outcome, OK);
    assert_check(b, "job", &made, REFUSED);
    assert_outcome(rotate(b, "job", 0).outcome, INVALID_REQUEST);
    options = machine("a");
    const struct clients back = set(b, "job", &options);
    assert_outcome(back.outcome, OK);
    assert_false(back.first.secrets[0].used || back.first.secrets[1].used);
    assert_check(b, "job", &made, REFUSED);
    const struct clients given = rotate(b, "job", 0);
    assert_check(b, "job", &given, GENUINE);
}

/* ---- the end of its tokens and sessions ---- */

static void own_tokens_end_with_their_client_and_not_those_of_the_next_of_its_name(void **state) {
    struct bench *b = *state;
    const struct sp_client_options options = machine("a");
    const uint32_t first = add_with(b, "job", &options, NULL).first.epoch;
    assert_outcome(edit(b, "job", SP_CLIENT_DISABLE), OK);
    assert_false(passes(b, "job", first));
    assert_outcome(edit(b, "job", SP_CLIENT_ENABLE), OK);
    const uint32_t second = show(b, "job").first.epoch;
    assert_false(passes(b, "job", first));
    assert_true(passes(b, "job", second));
    assert_outcome(edit(b, "job", SP_CLIENT_DELETE), OK);
    assert_false(passes(b, "job", second));
    const uint32_t third = add_with(b, "job", &options, NULL).first.epoch; /* within the same second */
    assert_true(passes(b, "job", third));
    assert_false(passes(b, "job", second));
    bench_stop(b);
    bench_start(b);
    assert_false(passes(b, "job", second));
    assert_true(passes(b, "job", third));
}

enum { MANY = 700 }; /* sessions: some pages of the walk */

/* Sessions of a client, as ada's; the store is what they are written to. */
static void put_sessions(struct bench *b, const char *client, uint8_t mark, size_t n) {
    const struct tokens t = bench_login(b);
    struct sp_session_row row = bench_session(b, t.sid);
    assert_int_equal(SP_TEXT_SET(&row.client_id, sp_slice_cstr(client)).code, SP_OK);
    row.created_ms = b->now_ms;
    for (size_t i = 0; i < n; i++) {
        row.sid[5] = mark;
        row.sid[6] = (uint8_t)(i >> 8);
        row.sid[7] = (uint8_t)i;
        struct sp_change change = {.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = &row}};
        assert_int_equal(sp_store_commit_wait(b->store, &change, 1, NULL).code, SP_OK);
    }
}

struct tally {
    size_t active, ended;
};

static struct tally sessions_of(struct bench *b, const char *client) {
    struct tally tally = {0};
    uint8_t after[SP_ROW_SID_BYTES];
    bool more = true, has_after = false;
    while (more) {
        struct sp_store_read r = {.kind = SP_READ_SESSIONS, .tenant = SP_TENANT_DEFAULT, .limit = 100};
        if (has_after) r.after = SP_SLICE_ARRAY(after);
        assert_int_equal(sp_store_read_wait(b->store, &r).code, SP_OK);
        for (uint32_t i = 0; i < r.ret.n; i++) {
            const struct sp_session_row *row = &r.ret.sessions[i];
            memcpy(after, row->sid, sizeof(after));
            has_after = true;
            if (!sp_slice_eq_cstr(SP_TEXT_SLICE(&row->client_id), client)) continue;
            tally.active += row->state == SP_SESSION_ACTIVE;
            tally.ended += row->state == SP_SESSION_ENDED && row->cause == SP_END_CLIENT_REVOKED;
        }
        more = r.ret.more;
        sp_store_read_done(&r);
    }
    return tally;
}

#define assert_sessions(b, client, n_active, n_ended)                                                        \
    do {                                                                                                     \
        const struct tally tally_ = sessions_of((b), (client));                                              \
        assert_int_equal(tally_.active, (n_active));                                                         \
        assert_int_equal(tally_.ended, (n_ended));                                                           \
    } while (0)

static void sessions_of_a_client_that_goes_are_ended_and_nobody_elses(void **state) {
    struct bench *b = *state;
    const struct clients web = add(b, "web", true), app = add(b, "app", true);
    assert_outcome(web.outcome, OK);
    assert_outcome(app.outcome, OK);
    put_sessions(b, "app", 2, 3); /* first: a login would make room among many */
    put_sessions(b, "web", 1, MANY);
    assert_outcome(edit(b, "web", SP_CLIENT_DISABLE), OK);
    bench_run(b);
    assert_sessions(b, "web", 0, MANY);
    assert_sessions(b, "app", 3, 0);
    assert_int_equal(sessions_of(b, "first-party").active, 2); /* ada's logins */
    assert_int_equal(bench_records(b, "client_sessions_ended"), 1);
    assert_outcome(edit(b, "app", SP_CLIENT_DELETE), OK);
    assert_sessions(b, "app", 0, 3);
    assert_int_equal(bench_records(b, "client_sessions_ended"), 2);
    assert_outcome(edit(b, "web", SP_CLIENT_DELETE), OK); /* nothing is left to end */
    assert_int_equal(bench_records(b, "client_sessions_ended"), 2);
}

/* A store that fails in the middle ends fewer; disabling again, which changes nothing, goes on. */
static void walk_that_was_broken_off_is_begun_again_by_disabling_again(void **state) {
    struct bench *b = *state;
    assert_outcome(add(b, "web", true).outcome, OK);
    put_sessions(b, "web", 1, 5);
    sp_store_memory_fail(b->store, 2, 1, SP_MEMORY_FAULT_UNAVAILABLE); /* the one after the change itself */
    assert_outcome(edit(b, "web", SP_CLIENT_DISABLE), OK);
    assert_sessions(b, "web", 5, 0);
    assert_outcome(edit(b, "web", SP_CLIENT_DISABLE), OK);
    assert_sessions(b, "web", 0, 5);
    assert_int_equal(bench_records(b, "client_disabled"), 1);
    assert_int_equal(bench_records(b, "client_sessions_ended"), 1);
}

static void what_a_walk_that_was_broken_off_has_ended_is_on_record(void **state) {
    struct bench *b = *state;
    assert_outcome(add(b, "web", true).outcome, OK);
    put_sessions(b, "web", 1, MANY);
    sp_store_memory_fail(b->store, 3, 1, SP_MEMORY_FAULT_UNAVAILABLE); /* the second page */
    assert_outcome(edit(b, "web", SP_CLIENT_DISABLE), OK);
    bench_run(b);
    const struct tally t = sessions_of(b, "web");
    assert_true(t.ended != 0 && t.active != 0);
    assert_int_equal(bench_records(b, "client_sessions_ended"), 1);
}

/* The walk after the deletion was broken off: a restart, a store that failed. */
static void client_inherits_no_sessions_of_an_earlier_one_of_its_name(void **state) {
    struct bench *b = *state;
    assert_outcome(add(b, "web", true).outcome, OK);
    put_sessions(b, "web", 1, 5);
    sp_store_memory_fail(b->store, 2, 1, SP_MEMORY_FAULT_UNAVAILABLE);
    assert_outcome(edit(b, "web", SP_CLIENT_DELETE), OK);
    assert_sessions(b, "web", 5, 0);
    b->now_ms += 1000;
    assert_outcome(add(b, "web", true).outcome, OK);
    assert_sessions(b, "web", 0, 5);
}

/* The walk that a client begins with is for what an earlier one of its name has left. */
static void sessions_that_began_after_the_end_are_not_meant(void **state) {
    struct bench *b = *state;
    b->now_ms += 1000;
    put_sessions(b, "web", 1, 3); /* of a second that is to come */
    b->now_ms -= 1000;
    assert_outcome(add(b, "web", true).outcome, OK);
    assert_sessions(b, "web", 3, 0);
}

/* But nothing is too young when the client is gone: then the clock was set back. */
static void sessions_of_a_clock_that_was_set_back_are_ended_too(void **state) {
    struct bench *b = *state;
    static const enum sp_client_edit ways[] = {SP_CLIENT_DISABLE, SP_CLIENT_DELETE};
    static const char *const ids[] = {"web", "app"};
    for (uint8_t i = 0; i < 2; i++) {
        assert_outcome(add(b, ids[i], true).outcome, OK);
        b->now_ms += 10 * 1000;
        put_sessions(b, ids[i], (uint8_t)(1 + i), 3);
        b->now_ms -= 10 * 1000;
        assert_outcome(edit(b, ids[i], ways[i]), OK);
        assert_sessions(b, ids[i], 0, 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(client_works_at_once_and_after_a_restart),
        BENCH_TEST(client_that_cannot_be_is_refused_with_its_reason),
        BENCH_TEST(wrong_secrets_are_refused_and_recorded_once_a_minute),
        BENCH_TEST(secret_in_the_place_of_the_id_is_not_recorded),
        BENCH_TEST(after_a_rotation_both_work_until_the_overlap_is_over),
        BENCH_TEST(rotation_without_overlap_ends_the_old_secret_at_once),
        BENCH_TEST(third_secret_takes_the_place_of_the_one_that_lapses),
        BENCH_TEST(overlap_out_of_range_changes_nothing),
        BENCH_TEST(disabled_client_is_refused_until_it_is_enabled),
        BENCH_TEST(deleted_client_is_gone_and_its_name_free_for_another),
        BENCH_TEST(connection_that_stays_is_told_of_what_changed),
        BENCH_TEST(clients_are_listed_page_by_page),
        BENCH_TEST(store_that_fails_gives_no_secret),
        BENCH_TEST(client_keeps_what_it_was_made_with),
        BENCH_TEST(options_that_do_not_fit_make_no_client),
        BENCH_TEST(own_secret_works_and_is_not_told_back),
        BENCH_TEST(change_replaces_options_and_keeps_the_secret),
        BENCH_TEST(change_of_what_somebody_else_changed_is_refused),
        BENCH_TEST(client_that_may_less_has_its_own_tokens_refused),
        BENCH_TEST(client_without_secrets_has_none_to_rotate_and_who_comes_to_them_asks_for_one),
        BENCH_TEST(own_tokens_end_with_their_client_and_not_those_of_the_next_of_its_name),
        BENCH_TEST(sessions_of_a_client_that_goes_are_ended_and_nobody_elses),
        BENCH_TEST(walk_that_was_broken_off_is_begun_again_by_disabling_again),
        BENCH_TEST(what_a_walk_that_was_broken_off_has_ended_is_on_record),
        BENCH_TEST(client_inherits_no_sessions_of_an_earlier_one_of_its_name),
        BENCH_TEST(sessions_that_began_after_the_end_are_not_meant),
        BENCH_TEST(sessions_of_a_clock_that_was_set_back_are_ended_too),
    };
    return cmocka_run_group_tests_name("app clients", tests, NULL, NULL);
}
