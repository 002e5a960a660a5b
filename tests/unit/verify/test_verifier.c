#include "support.h"

#include <pthread.h>

/* Each of these holds for a token that is new and for one that is cached. */
#define assert_cold_and_warm(f, now, name)                                                                   \
    do {                                                                                                     \
        assert_verdict(check((f), &(f)->token, (now)), name);                                                \
        assert_verdict(check((f), &(f)->token, (now)), name);                                                \
    } while (0)

static void good_token_is_accepted_and_then_found(void **state) {
    (void)state;
    for (unsigned alg = 0; alg < SP_ALG_COUNT; alg++) {
        struct fixture f;
        fixture_init(&f, (enum sp_alg)alg, CACHE_BYTES);
        assert_cold_and_warm(&f, T0, NONE);
        struct sp_verifier_stats st = stats(&f);
        assert_int_equal(st.misses, 1);
        assert_int_equal(st.hits, 1);
        assert_int_equal(st.verdicts[SP_REJECT_NONE], 2);
        assert_int_equal(st.cache.entries, 1);
        fixture_done(&f);
    }
}

static void claims_are_the_same_cold_and_warm(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_EDDSA, CACHE_BYTES);
    for (int i = 0; i < 2; i++) {
        const struct sp_claims *c = NULL;
        sp_verifier_enter(f.reader);
        assert_verdict(sp_verifier_check(f.v, f.reader, slice_of(&f.token), T0, &c), NONE);
        assert_true(sp_slice_eq(c->sub, f.claims.sub));
        assert_true(sp_slice_eq(c->sid, f.claims.sid));
        assert_true(sp_slice_eq(c->permissions, f.claims.permissions));
        assert_true(sp_strings_contain(c->aud, SP_SLICE_LIT(AUDIENCE)));
        assert_int_equal(c->exp, f.claims.exp);
        sp_verifier_exit(f.reader);
    }
    fixture_done(&f);
}

/* What a caller does who keeps the claims beyond the exit. */
static void claims_are_kept_by_one_copy_of_their_block(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    for (int warm = 0; warm < 2; warm++) {
        const struct sp_claims *claims = NULL;
        uint8_t mine[SP_VERIFIER_BLOCK_BYTES_MAX];
        sp_verifier_enter(f.reader);
        assert_verdict(sp_verifier_check(f.v, f.reader, slice_of(&f.token), T0, &claims), NONE);
        sp_slice block = sp_verifier_claims_block(f.reader);
        struct sp_claims kept = *claims;
        memcpy(mine, block.p, block.n);
        sp_claims_rebase(&kept, block, mine);
        sp_verifier_exit(f.reader);
        sp_slice all[] = {kept.iss,       kept.sub,   kept.jti,         kept.sid,
                          kept.client_id, kept.scope, kept.permissions, kept.aud.bytes};
        for (size_t i = 0; i < SP_ARRAY_LEN(all); i++)
            assert_true(all[i].p == NULL || (all[i].p >= mine && all[i].p + all[i].n <= mine + block.n));
        assert_true(sp_slice_eq_cstr(kept.iss, ISSUER));
        assert_true(sp_slice_eq(kept.sid, f.claims.sid));
        assert_true(sp_strings_contain(kept.aud, SP_SLICE_LIT(AUDIENCE)));
        assert_null(kept.scope.p);
        assert_int_equal(block.n, sp_claims_bytes(&f.claims));
    }
    assert_int_equal(stats(&f).hits, 1);
    fixture_done(&f);
}

static void no_cache_means_every_check_is_cold(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, 0);
    assert_cold_and_warm(&f, T0, NONE);
    assert_int_equal(stats(&f).misses, 2);
    fixture_done(&f);
}

static void expiry_is_judged_on_the_warm_path(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_verdict(check(&f, &f.token, T0), NONE);
    assert_verdict(check(&f, &f.token, T0 + LIFETIME_S - 1), NONE);
    assert_verdict(check(&f, &f.token, T0 + LIFETIME_S), EXPIRED);
    assert_verdict(check(&f, &f.token, T0 - 1), ISSUED_IN_FUTURE);
    assert_int_equal(stats(&f).misses, 1);
    fixture_done(&f);
}

static void expired_token_is_not_cached(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_cold_and_warm(&f, T0 + LIFETIME_S, EXPIRED);
    assert_int_equal(stats(&f).cache.entries, 0);
    fixture_done(&f);
}

static void revoked_jti_is_refused_cold_and_warm(void **state) {
    (void)state;
    for (int warm = 0; warm < 2; warm++) {
        struct fixture f;
        fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
        if (warm) assert_verdict(check(&f, &f.token, T0), NONE);
        struct sp_revoke_set *set = sp_verifier_revoke_set(f.v);
        assert_true(sp_ok(sp_revoke_set_add(set, SP_REVOKE_JTI, SP_SLICE_ARRAY(f.ids.jti.b), T0 + 2000, T0)));
        assert_cold_and_warm(&f, T0, REVOKED);
        fixture_done(&f);
    }
}

static void revoked_sid_is_refused_cold_and_warm(void **state) {
    (void)state;
    for (int warm = 0; warm < 2; warm++) {
        struct fixture f;
        fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
        if (warm) assert_verdict(check(&f, &f.token, T0), NONE);
        struct sp_revoke_set *set = sp_verifier_revoke_set(f.v);
        assert_true(sp_ok(sp_revoke_set_add(set, SP_REVOKE_SID, SP_SLICE_ARRAY(f.ids.sid.b), T0 + 2000, T0)));
        assert_cold_and_warm(&f, T0, REVOKED);
        fixture_done(&f);
    }
}

/* A follower takes over the key of its server's set: the marks of tokens that were cached before are void. */
static void session_revoked_after_the_set_was_rekeyed_is_refused(void **state) {
    (void)state;
    struct fixture f;
    const uint8_t key[SP_REVOKE_KEY_BYTES] = "another set key";
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    struct sp_revoke_set *set = sp_verifier_revoke_set(f.v);
    assert_cold_and_warm(&f, T0, NONE);
    assert_true(sp_ok(sp_revoke_set_rekey(set, key)));
    assert_cold_and_warm(&f, T0, NONE);
    assert_int_equal(stats(&f).misses, 2);
    assert_int_equal(stats(&f).cache.entries, 1);
    assert_true(sp_ok(sp_revoke_set_add(set, SP_REVOKE_SID, SP_SLICE_ARRAY(f.ids.sid.b), T0 + 2000, T0)));
    assert_cold_and_warm(&f, T0, REVOKED);
    fixture_done(&f);
}

static void revoking_another_session_does_not_touch_this_one(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    struct ids other = make_ids(7, 2);
    struct sp_revoke_set *set = sp_verifier_revoke_set(f.v);
    assert_true(sp_ok(sp_revoke_set_add(set, SP_REVOKE_SID, SP_SLICE_ARRAY(other.sid.b), T0 + 2000, T0)));
    assert_true(sp_ok(sp_revoke_set_add(set, SP_REVOKE_SID, SP_SLICE_ARRAY(f.ids.jti.b), T0 + 2000, T0)));
    assert_cold_and_warm(&f, T0, NONE);
    fixture_done(&f);
}

static void foreign_jti_is_revoked_by_its_text(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    f.claims.jti = SP_SLICE_LIT("order 66");
    f.token = issue(&f.key, &f.claims);
    assert_verdict(check(&f, &f.token, T0), NONE);
    assert_true(
        sp_ok(sp_revoke_set_add(sp_verifier_revoke_set(f.v), SP_REVOKE_JTI, f.claims.jti, T0 + 99, T0)));
    assert_verdict(check(&f, &f.token, T0), REVOKED);
    fixture_done(&f);
}

static void raised_user_epoch_refuses_older_tokens_only(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_verdict(check(&f, &f.token, T0), NONE);
    sp_slice sub = SP_SLICE_ARRAY(f.ids.sub.b);
    assert_true(sp_ok(sp_epochs_raise_user(sp_verifier_epochs(f.v), sub, 2, T0 + 2000, T0)));
    assert_cold_and_warm(&f, T0, REVOKED);
    f.claims.epu = 2; /* a login in the same second */
    f.token = issue(&f.key, &f.claims);
    assert_cold_and_warm(&f, T0, NONE);
    fixture_done(&f);
}

static void raised_global_epoch_refuses_everyones_older_tokens(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_verdict(check(&f, &f.token, T0), NONE);
    sp_epochs_raise_global(sp_verifier_epochs(f.v), 2);
    assert_cold_and_warm(&f, T0, REVOKED);
    f.claims.epg = 3;
    f.token = issue(&f.key, &f.claims);
    assert_cold_and_warm(&f, T0, NONE);
    fixture_done(&f);
}

static void token_without_epochs_counts_as_epoch_zero(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    f.claims.has_epu = f.claims.has_epg = false;
    f.token = issue(&f.key, &f.claims);
    assert_cold_and_warm(&f, T0, NONE);
    sp_epochs_raise_global(sp_verifier_epochs(f.v), 1);
    assert_cold_and_warm(&f, T0, REVOKED);
    fixture_done(&f);
}

static void token_that_nobody_could_revoke_is_refused(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    char longest[SP_REVOKE_ID_BYTES_MAX + 1];
    memset(longest, 'a', sizeof longest);
    struct sp_claims bad[4];
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) bad[i] = f.claims;
    bad[0].jti = SP_SLICE_EMPTY;
    bad[1].sub = SP_SLICE_EMPTY;
    bad[2].sub = SP_SLICE_LIT("alice");
    bad[3].jti = SP_SLICE_ARRAY(longest);
    for (size_t i = 0; i < SP_ARRAY_LEN(bad); i++) {
        f.token = issue(&f.key, &bad[i]);
        assert_cold_and_warm(&f, T0, BAD_PAYLOAD);
    }
    f.claims.sid = SP_SLICE_EMPTY; /* no session: nothing to revoke but the token */
    f.token = issue(&f.key, &f.claims);
    assert_cold_and_warm(&f, T0, NONE);
    fixture_done(&f);
}

static void changed_signature_tail_is_refused_after_the_original_was_cached(void **state) {
    (void)state;
    for (unsigned alg = 0; alg < SP_ALG_COUNT; alg++) {
        struct fixture f;
        fixture_init(&f, (enum sp_alg)alg, CACHE_BYTES);
        assert_verdict(check(&f, &f.token, T0), NONE);
        for (size_t back = 2; back < 20; back++) {
            struct token t = f.token;
            t.text[t.n - back] = t.text[t.n - back] == 'A' ? 'B' : 'A';
            assert_verdict(check(&f, &t, T0), BAD_SIGNATURE);
        }
        assert_int_equal(stats(&f).hits, 0);
        fixture_done(&f);
    }
}

/* ES256 is malleable: (r, n - s) verifies too. It is another text of the same token: a miss, and revoked with
 * it. Here the tail is swapped for that of a second signature, which is just as valid on its own. */
static void second_valid_signature_misses_and_is_revoked_alike(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_ES256, CACHE_BYTES);
    struct token second = issue(&f.key, &f.claims);
    assert_false(sp_slice_eq(slice_of(&f.token), slice_of(&second)));
    assert_verdict(check(&f, &f.token, T0), NONE);
    assert_verdict(check(&f, &second, T0), NONE);
    assert_int_equal(stats(&f).misses, 2);
    struct sp_revoke_set *set = sp_verifier_revoke_set(f.v);
    assert_true(sp_ok(sp_revoke_set_add(set, SP_REVOKE_JTI, SP_SLICE_ARRAY(f.ids.jti.b), T0 + 2000, T0)));
    assert_verdict(check(&f, &f.token, T0), REVOKED);
    assert_verdict(check(&f, &second, T0), REVOKED);
    fixture_done(&f);
}

/* The head of one good token under the tail by which another is found. */
static void swapped_payload_under_a_cached_tail_is_refused(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_verdict(check(&f, &f.token, T0), NONE);
    struct ids other_ids = make_ids(8, 1);
    struct sp_claims other = make_claims(&other_ids);
    struct token forged = issue(&f.key, &other);
    assert_int_equal(forged.n, f.token.n);
    memcpy(forged.text + forged.n - 43, f.token.text + f.token.n - 43, 43); /* the whole HS256 signature */
    assert_verdict(check(&f, &forged, T0), BAD_SIGNATURE);
    struct token truncated = f.token;
    truncated.n = SP_TOKEN_CACHE_TAIL_BYTES;
    memmove(truncated.text, f.token.text + f.token.n - truncated.n, truncated.n);
    assert_verdict(check(&f, &truncated, T0), MALFORMED);
    assert_int_equal(stats(&f).hits, 0);
    fixture_done(&f);
}

static void removed_key_takes_its_cached_tokens_along(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_verdict(check(&f, &f.token, T0), NONE);
    assert_true(sp_ok(sp_verifier_set_keys(f.v, NULL, 0)));
    assert_cold_and_warm(&f, T0, UNKNOWN_KID);
    fixture_done(&f);
}

static void key_replaced_under_its_kid_takes_its_cached_tokens_along(void **state) {
    (void)state;
    for (unsigned alg = 0; alg < SP_ALG_COUNT; alg++) {
        struct fixture f;
        fixture_init(&f, (enum sp_alg)alg, CACHE_BYTES);
        assert_verdict(check(&f, &f.token, T0), NONE);
        struct sp_jwk other = make_jwk("k1", (enum sp_alg)alg);
        assert_true(sp_ok(sp_verifier_set_keys(f.v, &other, 1)));
        assert_cold_and_warm(&f, T0, BAD_SIGNATURE);
        sp_jwk_done(&other);
        fixture_done(&f);
    }
}

static void rotation_keeps_the_cached_tokens_of_keys_that_stay(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_verdict(check(&f, &f.token, T0), NONE);
    struct sp_jwk keys[2] = {make_jwk("k2", SP_ALG_ES256), f.key};
    assert_true(sp_ok(sp_verifier_set_keys(f.v, keys, 2)));
    assert_verdict(check(&f, &f.token, T0), NONE);
    assert_int_equal(stats(&f).hits, 1);
    sp_jwk_done(&keys[0]);
    fixture_done(&f);
}

static void key_that_comes_back_verifies_afresh(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_verdict(check(&f, &f.token, T0), NONE);
    assert_true(sp_ok(sp_verifier_set_keys(f.v, NULL, 0)));
    assert_true(sp_ok(sp_verifier_set_keys(f.v, &f.key, 1)));
    assert_cold_and_warm(&f, T0, NONE);
    assert_int_equal(stats(&f).misses, 2);
    assert_int_equal(stats(&f).hits, 1);
    assert_int_equal(stats(&f).cache.entries, 1);
    fixture_done(&f);
}

static void wrong_issuer_audience_and_typ_are_refused(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    struct sp_claims c = f.claims;
    c.iss = SP_SLICE_LIT(ISSUER "/");
    f.token = issue(&f.key, &c);
    assert_cold_and_warm(&f, T0, BAD_ISSUER);
    c = f.claims;
    c.aud = sp_strings_one(SP_SLICE_LIT("https://other.example"));
    f.token = issue(&f.key, &c);
    assert_cold_and_warm(&f, T0, BAD_AUDIENCE);
    f.token = issue_typ(&f.key, &f.claims, "JWT");
    assert_cold_and_warm(&f, T0, BAD_TYP);
    fixture_done(&f);
}

static void junk_is_refused_and_not_cached(void **state) {
    (void)state;
    struct fixture f;
    static struct token t;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    memset(t.text, 'A', sizeof t.text);
    for (t.n = 0; t.n < 64; t.n++) assert_verdict(check(&f, &t, T0), MALFORMED);
    uint8_t big[SP_TOKEN_BYTES_MAX + 1] = {0};
    const struct sp_claims *claims = &f.claims;
    sp_verifier_enter(f.reader);
    assert_verdict(sp_verifier_check(f.v, f.reader, SP_SLICE_ARRAY(big), T0, &claims), OVERSIZE);
    assert_null(claims);
    assert_verdict(sp_verifier_check(f.v, f.reader, SP_SLICE_EMPTY, T0, NULL), MALFORMED);
    sp_verifier_exit(f.reader);
    assert_int_equal(stats(&f).cache.entries, 0);
    assert_int_equal(stats(&f).verdicts[SP_REJECT_MALFORMED], 65);
    fixture_done(&f);
}

static void ended_token_still_names_its_session_for_logout(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    struct sp_revoke_set *set = sp_verifier_revoke_set(f.v);
    assert_true(sp_ok(sp_revoke_set_add(set, SP_REVOKE_SID, SP_SLICE_ARRAY(f.ids.sid.b), T0 + 2000, T0)));
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_IGNORE_END, T0), NONE);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_IGNORE_END, T0 + LIFETIME_S), NONE);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_IGNORE_END, T0 + 100 * LIFETIME_S), NONE);
    struct token forged = f.token;
    char *c = &forged.text[forged.n - 5];
    *c = *c == 'A' ? 'B' : 'A'; /* still base64url */
    assert_int_not_equal(check_flags(&f, &forged, SP_VERIFY_IGNORE_END, T0), SP_REJECT_NONE);
    f.claims.aud = sp_strings_one(SP_SLICE_LIT("https://other.example"));
    f.token = issue(&f.key, &f.claims);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_IGNORE_END, T0), BAD_AUDIENCE);
    fixture_done(&f);
}

static void bound_token_needs_its_proof(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    f.claims.jkt = SP_SLICE_LIT("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    f.token = issue(&f.key, &f.claims);
    assert_cold_and_warm(&f, T0, PROOF_REQUIRED);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_PROOF_BY_CALLER, T0), NONE);
    fixture_done(&f);
}

static void client_acting_on_its_own_is_raised_by_its_derived_subject(void **state) {
    (void)state;
    struct fixture f;
    uint8_t subject[SP_ID_BYTES];
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    f.claims.sub = f.claims.client_id = SP_SLICE_LIT("reports");
    f.claims.sid = SP_SLICE_EMPTY;
    f.claims.epu = 5;
    f.token = issue(&f.key, &f.claims);
    assert_cold_and_warm(&f, T0, NONE);
    sp_client_subject(SP_SLICE_LIT("other"), subject);
    assert_true(
        sp_ok(sp_epochs_raise_user(sp_verifier_epochs(f.v), SP_SLICE_ARRAY(subject), 9, T0 + 2000, T0)));
    assert_cold_and_warm(&f, T0, NONE);
    sp_client_subject(SP_SLICE_LIT("reports"), subject);
    assert_true(
        sp_ok(sp_epochs_raise_user(sp_verifier_epochs(f.v), SP_SLICE_ARRAY(subject), 6, T0 + 2000, T0)));
    assert_cold_and_warm(&f, T0, REVOKED);
    f.claims.epu = 6;
    f.token = issue(&f.key, &f.claims);
    assert_cold_and_warm(&f, T0, NONE);
    fixture_done(&f);
}

static void any_audience_forgives_the_audience_alone(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    struct sp_claims other = f.claims;
    other.aud = sp_strings_one(SP_SLICE_LIT("https://other.example"));
    f.token = issue(&f.key, &other);
    assert_cold_and_warm(&f, T0, BAD_AUDIENCE);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_ANY_AUDIENCE, T0), NONE);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_ANY_AUDIENCE, T0 + LIFETIME_S), EXPIRED);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_ANY_AUDIENCE | SP_VERIFY_IGNORE_END, T0 + LIFETIME_S),
                   NONE);
    assert_cold_and_warm(&f, T0, BAD_AUDIENCE); /* what was forgiven once is not remembered */
    other.jkt = SP_SLICE_LIT("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    f.token = issue(&f.key, &other);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_ANY_AUDIENCE, T0), PROOF_REQUIRED);
    other.iss = SP_SLICE_LIT("https://evil.example");
    f.token = issue(&f.key, &other);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_ANY_AUDIENCE, T0), BAD_ISSUER);
    fixture_done(&f);
}

static void closed_verifier_refuses_all_until_opened_as_often(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_true(sp_verifier_is_open(f.v));
    sp_verifier_close(f.v);
    sp_verifier_close(f.v);
    assert_false(sp_verifier_is_open(f.v));
    assert_cold_and_warm(&f, T0, STALE);
    assert_verdict(check_flags(&f, &f.token, SP_VERIFY_IGNORE_END, T0), NONE);
    sp_verifier_open(f.v);
    assert_cold_and_warm(&f, T0, STALE);
    sp_verifier_open(f.v);
    assert_cold_and_warm(&f, T0, NONE);
    fixture_done(&f);
}

static void verifier_without_issuer_or_audience_cannot_be_made(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_reclaim) r = NULL;
    struct sp_verifier *v = NULL;
    assert_true(sp_ok(sp_reclaim_new(1, &r)));
    struct sp_verifier_opts o = opts_with(r, 0);
    o.issuer = SP_SLICE_EMPTY;
    assert_true(sp_is(sp_verifier_new(&o, &v), SP_E_MALFORMED));
    o = opts_with(r, 0);
    o.audience = SP_SLICE_EMPTY;
    assert_true(sp_is(sp_verifier_new(&o, &v), SP_E_MALFORMED));
    o = opts_with(r, 0);
    o.leeway_s = SP_CHECK_LEEWAY_MAX_S + 1;
    assert_true(sp_is(sp_verifier_new(&o, &v), SP_E_LIMIT));
    o = opts_with(r, SP_TOKEN_CACHE_BYTES_MIN - 1);
    assert_true(sp_is(sp_verifier_new(&o, &v), SP_E_LIMIT));
    assert_null(v);
}

static void counts_outlive_their_reader(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, CACHE_BYTES);
    assert_cold_and_warm(&f, T0, NONE);
    sp_verifier_reader_free(f.reader);
    assert_true(sp_ok(sp_verifier_reader_new(f.v, &f.reader)));
    assert_cold_and_warm(&f, T0, NONE);
    assert_int_equal(stats(&f).hits, 3);
    assert_int_equal(stats(&f).verdicts[SP_REJECT_NONE], 4);
    fixture_done(&f);
}

/* Two readers check tokens while sessions are revoked, keys come and go, and a small cache evicts. A session
 * whose revocation had returned before the check began must be refused. */
#define RACE_TOKENS 400
struct race {
    struct fixture *f;
    struct token *tokens;
    _Atomic uint32_t revoked; /* sessions below are */
    _Atomic size_t wrong, accepted;
};

static void race_check(struct race *race, struct sp_verifier_reader *reader, uint32_t i) {
    const struct sp_claims *claims = NULL;
    uint32_t revoked = atomic_load(&race->revoked);
    sp_verifier_enter(reader);
    enum sp_reject r = sp_verifier_check(race->f->v, reader, slice_of(&race->tokens[i]), T0, &claims);
    bool ok = r == SP_REJECT_NONE || r == SP_REJECT_REVOKED || r == SP_REJECT_UNKNOWN_KID;
    if (i < revoked && r == SP_REJECT_NONE) ok = false;
    if (r == SP_REJECT_NONE && (claims->exp != T0 + LIFETIME_S || !sp_slice_eq_cstr(claims->iss, ISSUER)))
        ok = false;
    sp_verifier_exit(reader);
    atomic_fetch_add(&race->wrong, !ok);
    atomic_fetch_add(&race->accepted, r == SP_REJECT_NONE);
}

static void *race_reader(void *arg) {
    struct race *race = arg;
    struct sp_verifier_reader *reader = NULL;
    if (!sp_ok(sp_verifier_reader_new(race->f->v, &reader))) return NULL;
    for (uint32_t i = 0; atomic_load(&race->revoked) < RACE_TOKENS; i++)
        race_check(race, reader, i * 7 % RACE_TOKENS);
    for (uint32_t i = 0; i < RACE_TOKENS; i++) race_check(race, reader, i);
    sp_verifier_reader_free(reader);
    return NULL;
}

static void race_writer(struct race *race) {
    struct sp_revoke_set *set = sp_verifier_revoke_set(race->f->v);
    for (uint32_t i = 0; i < RACE_TOKENS; i++) {
        struct ids ids = make_ids(i, i);
        assert_true(sp_ok(sp_revoke_set_add(set, SP_REVOKE_SID, SP_SLICE_ARRAY(ids.sid.b), T0 + 2000, T0)));
        atomic_store(&race->revoked, i + 1);
        if (i % 20 == 5) assert_true(sp_ok(sp_verifier_set_keys(race->f->v, NULL, 0)));
        if (i % 20 == 6) assert_true(sp_ok(sp_verifier_set_keys(race->f->v, &race->f->key, 1)));
        if (i % 50 == 0) sp_verifier_tick(race->f->v, T0);
        for (int spin = 0; spin < 20; spin++)
            race_check(race, race->f->reader, (i + (uint32_t)spin) % RACE_TOKENS);
    }
}

static void revoked_before_the_check_is_refused_by_every_thread(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, SP_ALG_HS256, SP_TOKEN_CACHE_BYTES_MIN);
    struct race race = {.f = &f, .tokens = calloc(RACE_TOKENS, sizeof(struct token))};
    assert_non_null(race.tokens);
    for (uint32_t i = 0; i < RACE_TOKENS; i++) {
        struct ids ids = make_ids(i, i);
        struct sp_claims claims = make_claims(&ids);
        race.tokens[i] = issue(&f.key, &claims);
    }
    pthread_t t[2];
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, race_reader, &race), 0);
    race_writer(&race);
    for (size_t i = 0; i < SP_ARRAY_LEN(t); i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&race.wrong), 0);
    assert_true(atomic_load(&race.accepted) > 0);
    free(race.tokens);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_token_is_accepted_and_then_found),
        cmocka_unit_test(claims_are_the_same_cold_and_warm),
        cmocka_unit_test(claims_are_kept_by_one_copy_of_their_block),
        cmocka_unit_test(no_cache_means_every_check_is_cold),
        cmocka_unit_test(expiry_is_judged_on_the_warm_path),
        cmocka_unit_test(expired_token_is_not_cached),
        cmocka_unit_test(revoked_jti_is_refused_cold_and_warm),
        cmocka_unit_test(revoked_sid_is_refused_cold_and_warm),
        cmocka_unit_test(session_revoked_after_the_set_was_rekeyed_is_refused),
        cmocka_unit_test(revoking_another_session_does_not_touch_this_one),
        cmocka_unit_test(foreign_jti_is_revoked_by_its_text),
        cmocka_unit_test(raised_user_epoch_refuses_older_tokens_only),
        cmocka_unit_test(raised_global_epoch_refuses_everyones_older_tokens),
        cmocka_unit_test(token_without_epochs_counts_as_epoch_zero),
        cmocka_unit_test(token_that_nobody_could_revoke_is_refused),
        cmocka_unit_test(changed_signature_tail_is_refused_after_the_original_was_cached),
        cmocka_unit_test(second_valid_signature_misses_and_is_revoked_alike),
        cmocka_unit_test(swapped_payload_under_a_cached_tail_is_refused),
        cmocka_unit_test(removed_key_takes_its_cached_tokens_along),
        cmocka_unit_test(key_replaced_under_its_kid_takes_its_cached_tokens_along),
        cmocka_unit_test(rotation_keeps_the_cached_tokens_of_keys_that_stay),
        cmocka_unit_test(key_that_comes_back_verifies_afresh),
        cmocka_unit_test(wrong_issuer_audience_and_typ_are_refused),
        cmocka_unit_test(junk_is_refused_and_not_cached),
        cmocka_unit_test(ended_token_still_names_its_session_for_logout),
        cmocka_unit_test(bound_token_needs_its_proof),
        cmocka_unit_test(client_acting_on_its_own_is_raised_by_its_derived_subject),
        cmocka_unit_test(any_audience_forgives_the_audience_alone),
        cmocka_unit_test(closed_verifier_refuses_all_until_opened_as_often),
        cmocka_unit_test(verifier_without_issuer_or_audience_cannot_be_made),
        cmocka_unit_test(counts_outlive_their_reader),
        cmocka_unit_test(revoked_before_the_check_is_refused_by_every_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
