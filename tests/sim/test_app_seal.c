/* Sealed texts: what is given out comes back as it was, or not at all. */
#include "token_bench.h"

#include "core/oauth_internal.h"

#define OK(expr) assert_int_equal((expr).code, SP_OK)
#define FILL(t) ((t)->n = sizeof((t)->s), memset((t)->s, 'x', sizeof((t)->s)))

/* Everything at its longest. */
static struct sp_authz_request longest(struct bench *b) {
    struct sp_authz_request r = {.expires_s = b->now_ms / 1000 + 1, .has_max_age = true, .max_age_s = 77};
    FILL(&r.client_id), FILL(&r.redirect_uri), FILL(&r.state), FILL(&r.nonce), FILL(&r.code_challenge);
    FILL(&r.scope), FILL(&r.aud), FILL(&r.jkt), FILL(&r.login_hint);
    r.is_pushed = r.prompt_login = r.has_hint = true;
    memset(r.hint_user, 5, sizeof(r.hint_user));
    memset(r.signed_in, 6, sizeof(r.signed_in));
    return r;
}

static void request_comes_back_as_it_was_at_its_longest(void **state) {
    BENCH;
    const struct sp_authz_request r = longest(b);
    struct sp_authz_request back;
    SP_AUTO(sp_buf) text = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX);
    OK(sp_seal_request(b->app, SP_SEAL_PUSHED, &r, &text));
    OK(sp_unseal_request(b->app, SP_SEAL_PUSHED, sp_buf_slice(&text), b->now_ms / 1000, &back));
    assert_int_equal(back.max_age_s, 77);
    assert_true(back.is_pushed && back.prompt_login && back.has_hint && back.has_max_age);
    assert_false(back.prompt_none || back.prompt_consent || back.redirect_uri_sent);
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&back.state), SP_TEXT_SLICE(&r.state)));
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&back.login_hint), SP_TEXT_SLICE(&r.login_hint)));
    assert_memory_equal(back.signed_in, r.signed_in, sizeof(back.signed_in));
    assert_memory_equal(back.hint_user, r.hint_user, sizeof(back.hint_user));
}

static void code_comes_back_as_it_was(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    struct sp_authz_code back;
    OK(sp_unseal_code(b->app, code_text(b, &code), b->now_ms / 1000, &back));
    assert_int_equal(back.expires_s, code.expires_s);
    assert_int_equal(back.auth_time_s, code.auth_time_s);
    assert_memory_equal(back.sid, code.sid, sizeof(back.sid));
    assert_memory_equal(back.redirect_uri_hash, code.redirect_uri_hash, sizeof(back.redirect_uri_hash));
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&back.scope), SP_TEXT_SLICE(&code.scope)));
    assert_true(sp_slice_eq(SP_TEXT_SLICE(&back.amr), SP_TEXT_SLICE(&code.amr)));
}

static void what_has_expired_is_refused_and_leaves_the_output_alone(void **state) {
    BENCH;
    const struct sp_authz_code code = code_new(b, "app");
    struct sp_authz_code back, before;
    memset(&back, 0x5A, sizeof(back));
    before = back;
    const sp_status s = sp_unseal_code(b->app, code_text(b, &code), code.expires_s, &back);
    assert_int_equal(s.code, SP_E_REFUSED);
    assert_memory_equal(&back, &before, sizeof(back));
}

static void one_kind_is_never_read_as_another(void **state) {
    BENCH;
    const struct sp_authz_request r = longest(b);
    static const enum sp_seal_kind kinds[] = {SP_SEAL_PUSHED, SP_SEAL_PAGE, SP_SEAL_LOGOUT};
    for (size_t i = 0; i < SP_ARRAY_LEN(kinds); i++) {
        SP_AUTO(sp_buf) text = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX);
        struct sp_authz_request back;
        struct sp_authz_code code;
        struct sp_sso_cookie cookie;
        OK(sp_seal_request(b->app, kinds[i], &r, &text));
        for (size_t k = 0; k < SP_ARRAY_LEN(kinds); k++) {
            const sp_status s = sp_unseal_request(b->app, kinds[k], sp_buf_slice(&text), 0, &back);
            assert_int_equal(s.code, k == i ? SP_OK : SP_E_MALFORMED);
        }
        assert_int_equal(sp_unseal_code(b->app, sp_buf_slice(&text), 0, &code).code, SP_E_MALFORMED);
        assert_int_equal(sp_unseal_sso(b->app, sp_buf_slice(&text), &cookie).code, SP_E_MALFORMED);
        assert_int_equal(sp_unseal_request(b->app, SP_SEAL_CODE, sp_buf_slice(&text), 0, &back).code,
                         SP_E_MALFORMED);
    }
}

static void changed_text_is_none_of_ours(void **state) {
    BENCH;
    const struct sp_sso_cookie cookie = {.sid = {1}, .secret = {2}};
    struct sp_sso_cookie back;
    SP_AUTO(sp_buf) text = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX);
    OK(sp_seal_sso(b->app, &cookie, &text));
    OK(sp_unseal_sso(b->app, sp_buf_slice(&text), &back));
    assert_memory_equal(&back, &cookie, sizeof(back));
    for (size_t i = 0; i < text.n; i++) {
        const uint8_t was = text.p[i];
        text.p[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(sp_unseal_sso(b->app, sp_buf_slice(&text), &back).code, SP_E_MALFORMED);
        text.p[i] = was;
        assert_int_equal(sp_unseal_sso(b->app, sp_slice_of(text.p, i), &back).code, SP_E_MALFORMED);
    }
    assert_int_equal(sp_unseal_sso(b->app, SP_SLICE_EMPTY, &back).code, SP_E_MALFORMED);
}

static void same_thing_sealed_twice_is_two_texts(void **state) {
    BENCH;
    const struct sp_sso_cookie cookie = {.sid = {1}, .secret = {2}};
    SP_AUTO(sp_buf) one = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX),
                    two = SP_BUF_INIT(SP_OAUTH_SEALED_BYTES_MAX);
    OK(sp_seal_sso(b->app, &cookie, &one));
    OK(sp_seal_sso(b->app, &cookie, &two));
    assert_false(sp_slice_eq(sp_buf_slice(&one), sp_buf_slice(&two)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(request_comes_back_as_it_was_at_its_longest, token_setup_memory,
                                        oauth_teardown),
        cmocka_unit_test_setup_teardown(code_comes_back_as_it_was, token_setup_memory, oauth_teardown),
        cmocka_unit_test_setup_teardown(what_has_expired_is_refused_and_leaves_the_output_alone,
                                        token_setup_memory, oauth_teardown),
        cmocka_unit_test_setup_teardown(one_kind_is_never_read_as_another, token_setup_memory,
                                        oauth_teardown),
        cmocka_unit_test_setup_teardown(changed_text_is_none_of_ours, token_setup_memory, oauth_teardown),
        cmocka_unit_test_setup_teardown(same_thing_sealed_twice_is_two_texts, token_setup_memory,
                                        oauth_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
