#include "fake.h"

#define USER                                                                                                 \
    "{\"id\":\"" SUB                                                                                         \
    "\",\"name\":\"bob\",\"display\":\"Bob\",\"roles\":[\"staff\",\"ops\"],\"disabled\":false,"              \
    "\"version\":3,\"created_at\":\"2023-11-14T22:13:20.000Z\",\"password_changed_at\":null}"

static const struct sp_user_row *bob(void) {
    static struct sp_user_row row = {.version = 3,
                                     .name = {3, "bob"},
                                     .display = {3, "Bob"},
                                     .password = {6, "SECRET"},
                                     .roles = {9, "staff ops"},
                                     .created_ms = 1700000000000};
    memset(row.id, 0x22, sizeof(row.id));
    return &row;
}

static int setup(void **state) {
    int rc = fake_setup(state);
    fake.listener = sp_http_listener_admin;
    fake.peer.kind = SP_HTTP_PEER_UNIX;
    fake.peer.uid = 0;
    fake.users = bob();
    fake.n_users = 1;
    return rc;
}

static void user_add(void **state) {
    (void)state;
    ask("POST /admin/v1/users", "{\"name\":\"bob\",\"password\":\"pass word\",\"roles\":[\"staff\",\"ops\"]}",
        JSON, NULL);
    assert_status(201);
    assert_body(USER);
    assert_calls("user_add bob|pass word|staff ops\n");
    ask("POST /admin/v1/users", "{\"name\":\"bob\"}", JSON, NULL);
    assert_status(201);
    assert_calls("user_add bob||\n");
    fake.outcome = SP_OUTCOME_ALREADY_EXISTS;
    ask("POST /admin/v1/users", "{\"name\":\"bob\"}", JSON, NULL);
    assert_problem(409, "already_exists");
}

static void session_add(void **state) {
    (void)state;
    ask("POST /admin/v1/sessions",
        "{\"subject\":\"shop/7\",\"roles\":[\"a\"],\"scope\":\"x y\",\"amr\":[\"pwd\",\"otp\"],"
        "\"device\":\"till\",\"mode\":\"token\",\"auth_time\":12}",
        JSON, NULL);
    assert_status(201);
    assert_calls("session_add shop/7|roles a|x y|pwd otp|till|12\n");
    ask("POST /admin/v1/sessions", "{\"subject\":\"7\"}", JSON, NULL);
    assert_status(201);
    assert_calls("session_add 7|||||0\n");
    ask("POST /admin/v1/sessions", "{\"subject\":\"7\",\"mode\":\"cookie\"}", JSON, NULL);
    assert_problem(400, "bad_value");
    ask("POST /admin/v1/sessions", "{\"subject\":\"7\",\"auth_time\":-1}", JSON, NULL);
    assert_problem(400, "bad_value");
    ask("POST /admin/v1/sessions", "{\"subject\":\"7\",\"auth_time\":1.5}", JSON, NULL);
    assert_problem(400, "wrong_type");
    ask("POST /admin/v1/sessions", "{}", JSON, NULL);
    assert_problem(400, "missing_field");
}

static void roles_in_a_body_are_words_each_once(void **state) {
    (void)state;
    static const struct {
        const char *roles, *code;
    } cases[] = {
        {"\"staff\"", "wrong_type"},       {"[1]", "wrong_type"},        {"[null]", "wrong_type"},
        {"[[\"a\"]]", "wrong_type"},       {"[\"\"]", "bad_value"},      {"[\"a b\"]", "bad_value"},
        {"[\"a\",\"a\"]", "bad_value"},    {"[\"a\\nb\"]", "bad_value"}, {"[\"a\\\"b\"]", "bad_value"},
        {"[\"caf\\u00e9\"]", "bad_value"},
    };
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        char body[128];
        snprintf(body, sizeof(body), "{\"roles\":%s}", cases[i].roles);
        ask("PUT /admin/v1/users/bob/roles", body, JSON, NULL);
        assert_problem(400, cases[i].code);
        assert_calls("");
    }
    static char many[8192] = "{\"roles\":[\"x\"";
    for (int i = 0; i < 300; i++) snprintf(many + strlen(many), 16, ",\"role%d\"", i);
    snprintf(many + strlen(many), 8, "]}");
    ask("PUT /admin/v1/users/bob/roles", many, JSON, NULL);
    assert_problem(400, "too_long");
}

static void user_show_takes_names_in_canonical_encoding(void **state) {
    (void)state;
    ask("GET /admin/v1/users/b%C3%B6b%20%3Ax@example.com", NULL, NULL);
    assert_status(200);
    assert_body(USER);
    assert_null(strstr(reply.body, "SECRET"));
    assert_calls("user_show b\xC3\xB6"
                 "b :x@example.com\n");
    fake.outcome = SP_OUTCOME_NOT_FOUND;
    ask("GET /admin/v1/users/nobody", NULL, NULL);
    assert_problem(404, "not_found");
}

static void users_list_pages(void **state) {
    (void)state;
    ask("GET /admin/v1/users", NULL, NULL);
    assert_status(200);
    assert_body("{\"users\":[" USER "],\"next\":null}");
    assert_calls("users_list |50\n");
    fake.next = SP_SLICE_LIT("CURSOR");
    ask("GET /admin/v1/users?after=abc&limit=200", NULL, NULL);
    assert_body("{\"users\":[" USER "],\"next\":\"CURSOR\"}");
    assert_calls("users_list abc|200\n");
    static const char *const bad[] = {"0", "201", "-1", "1e2", "01", "99999999999999999999", "0x10"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        char line[64];
        snprintf(line, sizeof(line), "GET /admin/v1/users?limit=%s", bad[i]);
        ask(line, NULL, NULL);
        assert_problem(400, "bad_parameter");
    }
}

static void user_edits(void **state) {
    (void)state;
    static const struct {
        const char *line, *body, *calls;
    } cases[] = {
        {"DELETE /admin/v1/users/bob", NULL, "user_edit bob|2|\n"},
        {"POST /admin/v1/users/bob/disable", NULL, "user_edit bob|0|\n"},
        {"POST /admin/v1/users/bob/enable", NULL, "user_edit bob|1|\n"},
        {"PUT /admin/v1/users/bob/roles", "{\"roles\":[]}", "user_edit bob|3|\n"},
        {"PUT /admin/v1/users/bob/roles", "{\"roles\":[\"a\",\"b:c\"]}", "user_edit bob|3|a b:c\n"},
        {"PUT /admin/v1/users/bob/password", "{\"password\":\"new one\"}", "user_edit bob|4|new one\n"},
    };
    fake.count = 2;
    for (size_t i = 0; i < SP_ARRAY_LEN(cases); i++) {
        ask(cases[i].line, cases[i].body, cases[i].body == NULL ? "X-Nothing: x" : JSON, NULL);
        assert_status(200);
        assert_body("{\"sessions_ended\":2}");
        assert_calls(cases[i].calls);
    }
    ask("PUT /admin/v1/users/bob/roles", "{}", JSON, NULL);
    assert_problem(400, "missing_field");
    fake.outcome = SP_OUTCOME_UNKNOWN_ROLE;
    ask("PUT /admin/v1/users/bob/roles", "{\"roles\":[\"x\"]}", JSON, NULL);
    assert_problem(422, "unknown_role");
}

static void roles(void **state) {
    (void)state;
    ask("GET /admin/v1/roles", NULL, NULL);
    assert_body(
        "{\"roles\":[{\"name\":\"staff\",\"permissions\":[\"documents:read\"],\"version\":2,\"updated_at\":"
        "\"2023-11-14T22:13:20.123Z\"}]}");
    ask("PUT /admin/v1/roles/staff", "{\"permissions\":[\"documents:*\",\"a\"]}", JSON, NULL);
    assert_status(204);
    assert_calls("role_set staff|documents:* a\n");
    ask("DELETE /admin/v1/roles/staff", NULL, NULL);
    assert_status(204);
    assert_calls("role_delete staff\n");
}

static void sessions_list_filters(void **state) {
    (void)state;
    static struct sp_session_row row = {.client_id = {3, "web"},
                                        .mode = SP_MODE_TOKEN,
                                        .secret = {0xAA, 0xAA},
                                        .device = {3, "\"p\""},
                                        .address = {9, "192.0.2.9"},
                                        .user_agent = {5, "x\xFFy\x01\xC3"},
                                        .created_ms = 1700000000000,
                                        .last_seen_ms = 1700000000000,
                                        .idle_expires_ms = 1700000600000,
                                        .absolute_expires_ms = 1700000500000,
                                        .refreshes = 5};
    const struct sp_session_view view = {.row = &row, .username = SP_SLICE_LIT("bob")};
    fake.views = &view;
    fake.n_views = 1;
    ask("GET /admin/v1/sessions?user=bob&ended=true&after=x&limit=10", NULL, NULL);
    assert_status(200);
    assert_calls("sessions_list bob|1|x|10\n");
    assert_body(
        "{\"sessions\":[{\"user_id\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"username\":\"bob\",\"client_id\":\"web\","
        "\"refreshes\":5,\"session_id\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"device\":\"\\\"p\\\"\",\"address\":"
        "\"192.0.2.9\",\"user_agent\":\"x\xEF\xBF\xBDy\\u0001\xEF\xBF\xBD\",\"mode\":\"token\",\"created_"
        "at\":"
        "\"2023-11-14T22:13:20.000Z\",\"last_seen_at\":\"2023-11-14T22:13:20.000Z\",\"expires_at\":"
        "\"2023-11-14T22:21:40.000Z\",\"current\":false}],\"next\":null}");
    ask("GET /admin/v1/sessions?ended=false", NULL, NULL);
    assert_calls("sessions_list |0||50\n");
    ask("GET /admin/v1/sessions?ended=yes", NULL, NULL);
    assert_problem(400, "bad_parameter");
    ask("DELETE /admin/v1/sessions/" SID, NULL, NULL);
    assert_status(204);
    assert_calls("revoke 1|" SID "\n");
}

static void revocations_name_exactly_one_target(void **state) {
    (void)state;
    static const struct {
        const char *body, *calls;
    } good[] = {
        {"{\"jti\":\"J\"}", "revoke 0|J\n"},
        {"{\"session\":\"S\"}", "revoke 1|S\n"},
        {"{\"user\":\"bob\"}", "revoke 2|bob\n"},
        {"{\"everyone\":true}", "revoke 3|\n"},
    };
    fake.count = 4;
    for (size_t i = 0; i < SP_ARRAY_LEN(good); i++) {
        ask("POST /admin/v1/revocations", good[i].body, JSON, NULL);
        assert_status(200);
        assert_body("{\"sessions_ended\":4}");
        assert_calls(good[i].calls);
    }
    static const char *const bad[] = {"{}", "{\"everyone\":false}", "{\"user\":\"a\",\"everyone\":true}",
                                      "{\"user\":\"a\",\"everyone\":false}",
                                      "{\"jti\":\"a\",\"session\":\"b\"}"};
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        ask("POST /admin/v1/revocations", bad[i], JSON, NULL);
        assert_problem(400, "invalid_request");
        assert_calls("");
    }
    ask("POST /admin/v1/revocations", "{\"everyone\":\"true\"}", JSON, NULL);
    assert_problem(400, "wrong_type");
    ask("POST /admin/v1/revocations", "{\"everyone\":1}", JSON, NULL);
    assert_problem(400, "wrong_type");
}

#define CLIENT                                                                                               \
    "{\"client_id\":\"orders\",\"name\":\"\",\"feed\":true,\"auth_method\":\"\",\"grants\":[],"              \
    "\"scopes\":[],\"audiences\":[],\"redirect_uris\":[],\"post_logout_redirect_uris\":[],"                  \
    "\"backchannel_logout_uri\":\"\",\"jwks\":null,\"rotate_refresh\":false,\"trusted\":false,"              \
    "\"require_par\":false,\"require_dpop\":false,\"disabled\":false,\"version\":4,"                         \
    "\"created_at\":\"2023-11-14T22:13:20.000Z\",\"secret_created_at\":\"2023-11-14T22:13:21.000Z\","        \
    "\"previous_secret_expires_at\":"

static void clients_are_shown_with_the_times_of_their_secrets(void **state) {
    (void)state;
    fake.now_ms = 1700000060000 - 1;
    ask("GET /admin/v1/clients/orders", NULL, NULL);
    assert_status(200);
    assert_body(CLIENT "\"2023-11-14T22:14:20.000Z\"}");
    assert_calls("client_show orders\n");
    fake.now_ms++; /* it has lapsed */
    ask("GET /admin/v1/clients/orders", NULL, NULL);
    assert_body(CLIENT "null}");
    assert_calls("client_show orders\n");
    ask("GET /admin/v1/clients?after=b3JkZXI&limit=7", NULL, NULL);
    assert_body("{\"clients\":[" CLIENT "null}],\"next\":null}");
    assert_calls("clients_list b3JkZXI|7\n");
    fake.outcome = SP_OUTCOME_NOT_FOUND;
    ask("GET /admin/v1/clients/orders", NULL, NULL);
    assert_problem(404, "not_found");
}

static void client_secrets_are_in_the_answers_that_made_them(void **state) {
    (void)state;
    fake.now_ms = 1700000060000;
    fake.secret = SP_SLICE_LIT("spcs_x");
    ask("POST /admin/v1/clients", "{\"client_id\":\"orders\",\"feed\":true}", JSON, NULL);
    assert_status(201);
    assert_body(CLIENT "null,\"client_secret\":\"spcs_x\"}");
    assert_calls("client_add orders||1||||0\n");
    ask("POST /admin/v1/clients/orders/rotate-secret", NULL, NULL);
    assert_status(200);
    assert_body(CLIENT "null,\"client_secret\":\"spcs_x\"}");
    assert_calls("client_rotate orders|86400|\n");
    ask("POST /admin/v1/clients/orders/rotate-secret", "{\"overlap_s\":0}", JSON, NULL);
    assert_calls("client_rotate orders|0|\n");
    ask("POST /admin/v1/clients/orders/rotate-secret", "{\"client_secret\":\"mine\"}", JSON, NULL);
    assert_calls("client_rotate orders|86400|mine\n");
    ask("POST /admin/v1/clients/orders/rotate-secret", "{\"overlap_s\":7776001}", JSON, NULL);
    assert_problem(400, "bad_value");
    ask("POST /admin/v1/clients", "{\"feed\":true}", JSON, NULL);
    assert_problem(400, "missing_field");
    ask("POST /admin/v1/clients", "{\"client_id\":\"orders\",\"feed\":1}", JSON, NULL);
    assert_problem(400, "wrong_type");
    /* from a list it would be anybody's */
    ask("GET /admin/v1/clients", NULL, NULL);
    assert_body("{\"clients\":[" CLIENT "null}],\"next\":null}");
}

static void client_options_reach_the_use_case(void **state) {
    (void)state;
    ask("POST /admin/v1/clients",
        "{\"client_id\":\"web\",\"auth_method\":\"private_key_jwt\",\"rotate_refresh\":false,"
        "\"redirect_uris\":[\"https://a.example/cb\",\"https://b.example/cb\"],"
        "\"jwks\": {\"keys\": [ {\"kty\": \"EC\"} ]}}",
        JSON, NULL);
    assert_status(201);
    assert_calls("client_add web||0|private_key_jwt|https://a.example/cb https://b.example/cb|"
                 "{\"keys\":[{\"kty\":\"EC\"}]}|1\n");
    ask("PUT /admin/v1/clients/web", "{\"scopes\":[\"read\",\"write\"],\"trusted\":true}", JSON, NULL);
    assert_status(200);
    assert_calls("client_set web|18446744073709551614|read write|1\n");
    ask("PUT /admin/v1/clients/web", "{\"version\":7}", JSON, NULL);
    assert_calls("client_set web|7||0\n");
}

static void client_options_of_another_form_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"{\"scopes\":\"read\"}", "wrong_type"},
        {"{\"scopes\":[\"read\",\"read\"]}", "bad_value"},
        {"{\"scopes\":[\"a b\"]}", "bad_value"},
        {"{\"redirect_uris\":[\"https://a.example/\\\"\"]}", "bad_value"},
        {"{\"jwks\":\"{}\"}", "wrong_type"},
        {"{\"jwks\":[]}", "wrong_type"},
        {"{\"jwks\":null}", "wrong_type"},
        {"{\"rotate_refresh\":0}", "wrong_type"},
        {"{\"version\":-1}", "bad_value"},
        {"{\"client_id\":\"other\"}", "unknown_field"}, /* nobody is renamed */
        {"{\"client_secret\":\"x\"}", "unknown_field"},
        {"{\"disabled\":true}", "unknown_field"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask("PUT /admin/v1/clients/web", cases[i].body, JSON, NULL);
        assert_problem(400, cases[i].code);
        assert_calls("");
    }
}

static void client_edits(void **state) {
    (void)state;
    ask("POST /admin/v1/clients/orders/disable", NULL, NULL);
    assert_status(204);
    assert_calls("client_edit orders|0\n");
    ask("POST /admin/v1/clients/orders/enable", NULL, NULL);
    assert_status(204);
    assert_calls("client_edit orders|1\n");
    ask("DELETE /admin/v1/clients/orders", NULL, NULL);
    assert_status(204);
    assert_calls("client_edit orders|2\n");
}

static void keys(void **state) {
    (void)state;
    const char *list =
        "{\"keys\":[{\"kid\":\"k1\",\"use\":\"access\",\"alg\":\"ES256\",\"rsa_bits\":null,\"state\":"
        "\"signing\","
        "\"created_at\":\"2023-11-14T22:13:20.000Z\",\"signing_from\":\"2023-11-14T22:13:20.000Z\","
        "\"retired_at\":null,\"gone_at\":null}]}";
    ask("GET /admin/v1/keys", NULL, NULL);
    assert_body(list);
    ask("POST /admin/v1/keys/rotate", NULL, NULL);
    assert_body(list);
    assert_calls("key_rotate 1|0\n");
    ask("POST /admin/v1/keys/rotate", "{\"use\":\"refresh\",\"immediately\":true}", JSON, NULL);
    assert_calls("key_rotate 2|1\n");
    ask("POST /admin/v1/keys/rotate", "{\"use\":\"sid_tag\"}", JSON, NULL);
    assert_problem(400, "bad_value");
    ask("DELETE /admin/v1/keys/k1", NULL, NULL);
    assert_status(204);
    assert_calls("key_revoke k1\n");
}

#define ZEROS_31 "00000000000000000000000000000000000000000000000000000000000000"

static void audit_prune_takes_a_checkpoint(void) {
    ask("POST /admin/v1/audit/prune",
        "{\"count\":9,\"time_ms\":5,\"head\":\"ab" ZEROS_31 "\",\"mac\":\"" ZEROS_31 "cd\"}", JSON, NULL);
    assert_calls("audit_prune 9|5|ab|cd\n");
    assert_body("{\"complete\":true,\"proved\":9,\"base\":9,\"total\":9,\"pruned\":4}");
    ask("POST /admin/v1/audit/prune",
        "{\"count\":9,\"time_ms\":5,\"head\":\"ab\",\"mac\":\"" ZEROS_31 "cd\"}", JSON, NULL);
    assert_problem(400, "invalid_request");
    ask("POST /admin/v1/audit/prune", "{\"count\":9}", JSON, NULL);
    assert_problem(400, "missing_field");
}

static void audit_and_status(void **state) {
    (void)state;
    ask("GET /admin/v1/audit?after=6&limit=1", NULL, NULL);
    assert_calls("audit_list 6|1|||0|0\n");
    assert_body("{\"records\":[{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"action\":\"login\","
                "\"outcome\":\"ok\","
                "\"actor\":\"\",\"target\":\"\",\"body\":{\"n\":1},\"personal\":null,\"hash\":"
                "\"0000000000000000000000000000000000000000000000000000000000000000\"}],\"next\":null}");
    ask("GET /admin/v1/audit?after=x", NULL, NULL);
    assert_problem(400, "bad_parameter");
    ask("GET /admin/v1/audit/verify", NULL, NULL);
    assert_status(200);
    assert_non_null(
        strstr(reply.body, "\"intact\":false,\"complete\":true,\"records\":6,\"base\":0,\"total\":9,"));
    assert_non_null(strstr(reply.body, "\"bad_seq\":7,\"why\":\"hash\"}"));
    ask("GET /admin/v1/audit?user=ann&action=login&since=2026-11-21T02:33:37.123Z", NULL, NULL);
    ask("GET /admin/v1/audit?since=yesterday", NULL, NULL);
    assert_problem(400, "bad_parameter");
    ask("GET /admin/v1/audit/verify?head=00", NULL, NULL);
    assert_problem(400, "bad_parameter");
    ask("GET /admin/v1/audit/checkpoint", NULL, NULL);
    assert_status(200);
    audit_prune_takes_a_checkpoint();
    ask("GET /admin/v1/backup", NULL, NULL);
    assert_status(200);
    ask("POST /admin/v1/users/ann/erase?after=7", NULL, NULL);
    assert_status(200);
    ask("GET /admin/v1/status", NULL, NULL);
    assert_status(200);
    assert_non_null(strstr(reply.body, "\"store\":\"memory\",\"issuer\":\"https://iss\""));
}

static void failures_of_lists_are_problems(void **state) {
    (void)state;
    static const char *const lines[] = {
        "GET /admin/v1/users",  "GET /admin/v1/roles",   "GET /admin/v1/sessions",
        "GET /admin/v1/keys",   "GET /admin/v1/audit",   "GET /admin/v1/audit/verify",
        "GET /admin/v1/status", "GET /admin/v1/users/x", "DELETE /admin/v1/users/x"};
    fake.outcome = SP_OUTCOME_STORE_UNAVAILABLE;
    for (size_t i = 0; i < SP_ARRAY_LEN(lines); i++) {
        ask(lines[i], NULL, NULL);
        assert_problem(503, "store_unavailable");
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(user_add),
        T(session_add),
        T(roles_in_a_body_are_words_each_once),
        T(user_show_takes_names_in_canonical_encoding),
        T(users_list_pages),
        T(user_edits),
        T(roles),
        T(sessions_list_filters),
        T(revocations_name_exactly_one_target),
        T(clients_are_shown_with_the_times_of_their_secrets),
        T(client_secrets_are_in_the_answers_that_made_them),
        T(client_options_reach_the_use_case),
        T(client_options_of_another_form_are_refused),
        T(client_edits),
        T(keys),
        T(audit_and_status),
        T(failures_of_lists_are_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
