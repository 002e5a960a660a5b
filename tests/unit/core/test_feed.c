#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "core/feed.h"
#include "core/feed_chain.h"

#define NOW_S INT64_C(1790000000)
#define ISSUER SP_SLICE_LIT("https://id.example.com")
#define OK(expr) assert_int_equal((expr).code, SP_OK)

static const uint8_t master[SP_MASTER_KEY_BYTES] = {1};
static const uint8_t epoch[SP_FEED_EPOCH_BYTES] = {7, 7};

/* A loop that runs what was posted when it is told to. */
struct fixture {
    struct sp_executor executor;
    struct sp_task *first, **last;
    int64_t boot_ms, wall_ms;
    struct sp_reclaim *reclaim;
    struct sp_seats *seats;
    struct sp_revoke_set *revoked;
    struct sp_epochs *epochs;
    struct sp_live_roles *roles;
    struct sp_keys *keys;
    struct sp_feed *feed;
    struct sp_key_row rows[16];
    size_t n_rows;
    uint64_t seq;
    uint8_t head[SP_FEED_HEAD_BYTES];
    int news;
};

static int64_t wall(void *arg) {
    return ((struct fixture *)arg)->wall_ms;
}
static int64_t boot(void *arg) {
    return ((struct fixture *)arg)->boot_ms;
}
static void post(struct sp_executor *self, struct sp_task *task) {
    struct fixture *f = SP_CONTAINER_OF(self, struct fixture, executor);
    task->next = NULL;
    *f->last = task;
    f->last = &task->next;
}
static void run_posted(struct fixture *f) {
    while (f->first != NULL) {
        struct sp_task *t = f->first;
        f->first = t->next;
        if (f->first == NULL) f->last = &f->first;
        t->run(t);
    }
}

static struct sp_key_schedule schedule(void) {
    return (struct sp_key_schedule){.alg = SP_ALG_ES256, .access_ttl_max_s = 900, .absolute_ttl_s = 86400};
}

static void carry_out(struct fixture *f, const struct sp_key_plan *plan) {
    const struct sp_key_schedule s = schedule();
    struct sp_key_changes made = SP_KEY_CHANGES_INIT;
    OK(sp_keys_carry_out(plan, f->rows, f->n_rows, SP_SLICE_ARRAY(master), &sp_random_system, f->wall_ms, &s,
                         &made));
    for (size_t i = 0; i < made.n; i++) {
        size_t at = f->n_rows;
        for (size_t j = 0; j < f->n_rows; j++) {
            if (sp_slice_eq(SP_TEXT_SLICE(&f->rows[j].kid), SP_TEXT_SLICE(&made.v[i].row.kid))) at = j;
        }
        assert_true(at < SP_ARRAY_LEN(f->rows));
        if (at == f->n_rows) f->n_rows++;
        f->rows[at] = made.v[i].row;
        if (f->keys != NULL) OK(sp_keys_apply(f->keys, &made.v[i].row));
    }
    sp_key_changes_done(&made);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    const struct sp_key_schedule s = schedule();
    struct sp_key_plan plan;
    assert_non_null(f);
    f->executor.post = post;
    f->last = &f->first;
    f->boot_ms = 5000000;
    f->wall_ms = NOW_S * 1000;
    OK(sp_reclaim_new(8, &f->reclaim));
    OK(sp_seats_new(f->reclaim, &f->seats));
    OK(sp_revoke_set_new(&(struct sp_revoke_set_opts){.reclaim = f->reclaim, .random = &sp_random_system},
                         &f->revoked));
    OK(sp_epochs_new(&(struct sp_epochs_opts){.reclaim = f->reclaim, .random = &sp_random_system},
                     &f->epochs));
    OK(sp_live_roles_new(f->seats, NULL, 0, &f->roles));
    sp_keys_plan(NULL, 0, f->wall_ms, &s, &plan);
    carry_out(f, &plan);
    OK(sp_keys_new(f->seats, SP_SLICE_ARRAY(master), f->rows, f->n_rows, &f->keys));
    OK(sp_feed_new(&(struct sp_feed_opts){.clock = {wall, boot, f},
                                          .random = &sp_random_system,
                                          .issuer = ISSUER,
                                          .seats = f->seats,
                                          .keys = f->keys,
                                          .roles = f->roles,
                                          .revoked = f->revoked,
                                          .epochs = f->epochs},
                   &f->feed));
    f->seq = 100;
    sp_feed_chain_start(epoch, f->head);
    sp_feed_load_position(f->feed, epoch, f->seq, f->head);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    sp_feed_free(f->feed);
    sp_keys_free(f->keys);
    sp_live_roles_free(f->roles);
    sp_epochs_free(f->epochs);
    sp_revoke_set_free(f->revoked);
    sp_seats_free(f->seats);
    sp_reclaim_free(f->reclaim);
    free(f);
    return 0;
}

static void revoke_one(struct fixture *f) {
    struct sp_revocation_row row = {.what = SP_REVOKED_JTI, .seq = ++f->seq, .expires_s = NOW_S + 900};
    memcpy(row.id, &f->seq, sizeof(f->seq));
    const struct sp_feed_revocation r = sp_feed_revocation_of(&row);
    sp_feed_chain_link(f->head, &r, f->head);
    OK(sp_revoke_set_add(f->revoked, SP_REVOKE_JTI, sp_slice_of(row.id, 16), row.expires_s, NOW_S));
    sp_feed_publish_revocation(f->feed, &row, f->head);
}

static const struct sp_feed_key *feed_key(struct fixture *f, size_t i) {
    const struct sp_feed_key *keys;
    sp_seats_enter(f->seats);
    const size_t n = sp_snapshot_feed_keys(sp_keys_now(f->keys), &keys);
    sp_seats_leave(f->seats);
    assert_true(i < n);
    return &keys[i];
}

static void assert_signed(struct fixture *f, const struct sp_feed_signed *text, const uint8_t *kid,
                          const uint8_t *signature) {
    const struct sp_feed_key *key = feed_key(f, 0);
    assert_memory_equal(kid, key->thumbprint, SP_SHA256_BYTES);
    OK(sp_sig_verify(key->key, SP_ALG_EDDSA, sp_feed_signed_slice(text),
                     sp_slice_of(signature, SP_FEED_SIGNATURE_BYTES)));
}

/* ---- beats ---- */

static void beat_signs_the_position_the_chain_and_the_documents(void **state) {
    struct fixture *f = *state;
    struct sp_feed_frame frame;
    struct sp_feed_signed text;
    for (int i = 0; i < 3; i++) revoke_one(f);
    OK(sp_feed_beat(f->feed, &frame));
    assert_int_equal(frame.beat.seq, 103);
    assert_int_equal(frame.at.seq, 103);
    assert_memory_equal(frame.beat.head, f->head, sizeof(f->head));
    assert_int_equal(frame.beat.boot_ms, f->boot_ms);
    assert_memory_equal(frame.beat.roles, frame.roles->digest, SP_FEED_DIGEST_BYTES);
    OK(sp_feed_signed_beat(ISSUER, epoch, &frame.beat, &text));
    assert_signed(f, &text, frame.beat.kid, frame.beat.signature);
    sp_feed_frame_done(&frame);
}

static void nonce_answer_is_signed_and_its_clock_is_not_early(void **state) {
    struct fixture *f = *state;
    const uint8_t nonce[SP_FEED_NONCE_BYTES] = {3};
    struct sp_feed_nonce_answer a;
    struct sp_feed_signed text;
    OK(sp_feed_answer_nonce(f->feed, nonce, &a));
    assert_true(a.boot_ms > (uint64_t)f->boot_ms);
    assert_memory_equal(a.nonce, nonce, sizeof(nonce));
    assert_memory_equal(a.epoch, epoch, sizeof(epoch));
    OK(sp_feed_signed_nonce(ISSUER, &a, &text));
    assert_signed(f, &text, a.kid, a.signature);
}

/* ---- the backlog ---- */

static void backlog_gives_what_comes_after_and_says_what_it_has_not(void **state) {
    struct fixture *f = *state;
    struct sp_feed_revocation got[8];
    size_t n;
    for (int i = 0; i < 5; i++) revoke_one(f);
    OK(sp_feed_copy(f->feed, 102, UINT64_MAX, got, 8, &n));
    assert_int_equal(n, 3);
    assert_int_equal(got[0].seq, 103);
    OK(sp_feed_copy(f->feed, 102, 104, got, 8, &n));
    assert_int_equal(n, 2);
    OK(sp_feed_copy(f->feed, 100, UINT64_MAX, got, 2, &n));
    assert_int_equal(n, 2);
    OK(sp_feed_copy(f->feed, 105, UINT64_MAX, got, 8, &n));
    assert_int_equal(n, 0);
    assert_int_equal(sp_feed_copy(f->feed, 99, UINT64_MAX, got, 8, &n).code, SP_E_NOT_FOUND);
    assert_int_equal(sp_feed_copy(f->feed, 106, UINT64_MAX, got, 8, &n).code, SP_E_CONFLICT);
}

static void who_cannot_go_on_is_told_why(void **state) {
    struct fixture *f = *state;
    struct sp_feed_position at = {.seq = 100};
    revoke_one(f);
    assert_string_equal(sp_feed_why_not(f->feed, &at), "epoch");
    memcpy(at.epoch, epoch, sizeof(epoch));
    assert_null(sp_feed_why_not(f->feed, &at));
    at.seq = 101;
    assert_null(sp_feed_why_not(f->feed, &at));
    at.seq = 102;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "ahead");
    at.seq = 99;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "backlog");
    at.seq = UINT64_MAX;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "ahead");
}

static void full_backlog_forgets_the_oldest(void **state) {
    struct fixture *f = *state;
    struct sp_feed_revocation got[1];
    size_t n;
    const uint64_t first = f->seq + 1;
    for (int i = 0; i < SP_FEED_BACKLOG_MAX + 10; i++) {
        struct sp_revocation_row row = {.what = SP_REVOKED_JTI, .seq = ++f->seq, .expires_s = 1};
        sp_feed_publish_revocation(f->feed, &row, f->head);
    }
    assert_int_equal(sp_feed_copy(f->feed, first + 8, UINT64_MAX, got, 1, &n).code, SP_E_NOT_FOUND);
    OK(sp_feed_copy(f->feed, first + 9, UINT64_MAX, got, 1, &n));
    assert_int_equal(got[0].seq, first + 10);
}

static void stored_tail_is_resumable_and_what_is_before_a_gap_is_not(void **state) {
    struct fixture *f = *state;
    const struct sp_revocation_row rows[] = {{.what = SP_REVOKED_JTI, .seq = 7},
                                             {.what = SP_REVOKED_JTI, .seq = 9},
                                             {.what = SP_REVOKED_JTI, .seq = 10}};
    struct sp_feed_position at = {.seq = 8};
    memcpy(at.epoch, epoch, sizeof(epoch));
    OK(sp_feed_load(f->feed, rows, 3));
    sp_feed_load_position(f->feed, epoch, 10, f->head);
    assert_null(sp_feed_why_not(f->feed, &at));
    at.seq = 7;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "backlog");
    /* Rows that end before the chain does are of no use to anybody. */
    sp_feed_load_position(f->feed, epoch, 11, f->head);
    at.seq = 10;
    assert_string_equal(sp_feed_why_not(f->feed, &at), "backlog");
    at.seq = 11;
    assert_null(sp_feed_why_not(f->feed, &at));
}

/* ---- watchers ---- */

struct watching {
    struct sp_feed_watcher watcher;
    int called;
};
static void on_news(struct sp_feed_watcher *w) {
    SP_CONTAINER_OF(w, struct watching, watcher)->called++;
}

static void watcher_is_told_once_for_a_burst_and_again_after_it_looked(void **state) {
    struct fixture *f = *state;
    struct watching w = {.watcher = {.executor = &f->executor, .news = on_news}};
    sp_feed_watch(f->feed, &w.watcher);
    revoke_one(f);
    revoke_one(f);
    run_posted(f);
    assert_int_equal(w.called, 1);
    revoke_one(f);
    run_posted(f);
    assert_int_equal(w.called, 2);
    revoke_one(f);
    sp_feed_unwatch(f->feed, &w.watcher); /* with its task under way */
    run_posted(f);
    assert_int_equal(w.called, 2);
}

/* ---- documents ---- */

static void changed_roles_are_a_new_document_and_unchanged_ones_the_old(void **state) {
    struct fixture *f = *state;
    struct sp_feed_frame before, after, same;
    struct sp_role_row row = {.tenant = SP_TENANT_DEFAULT};
    OK(SP_TEXT_SET(&row.name, SP_SLICE_LIT("editor")));
    OK(SP_TEXT_SET(&row.permissions, SP_SLICE_LIT("documents:read documents:write")));
    sp_feed_look(f->feed, &before);
    assert_true(sp_slice_eq_cstr(sp_slice_of(before.roles->bytes, before.roles->n), "{\"roles\":{}}"));
    OK(sp_live_roles_put(f->roles, &row));
    OK(sp_feed_publish_roles(f->feed));
    sp_feed_look(f->feed, &after);
    assert_true(sp_slice_eq_cstr(sp_slice_of(after.roles->bytes, after.roles->n),
                                 "{\"roles\":{\"editor\":[\"documents:read\",\"documents:write\"]}}"));
    assert_int_equal(after.roles->index, before.roles->index + 1);
    OK(sp_feed_publish_roles(f->feed));
    sp_feed_look(f->feed, &same);
    assert_ptr_equal(same.roles, after.roles);
    sp_feed_frame_done(&before);
    sp_feed_frame_done(&after);
    sp_feed_frame_done(&same);
}

static void keys_document_has_access_and_feed_keys_and_no_secret(void **state) {
    struct fixture *f = *state;
    struct sp_json_node nodes[64];
    struct sp_json doc = {.nodes = nodes, .cap = 64};
    struct sp_feed_frame frame;
    sp_feed_look(f->feed, &frame);
    OK(sp_json_parse(sp_slice_of(frame.keys->bytes, frame.keys->n), &doc));
    assert_int_equal(sp_json_get(&doc, &nodes[0], "keys")->count, 1);
    assert_int_equal(sp_json_get(&doc, &nodes[0], "feed_keys")->count, 1);
    assert_null(memmem(frame.keys->bytes, frame.keys->n, "\"d\"", 3));
    sp_feed_frame_done(&frame);
}

static void rotate_feed_key(struct fixture *f) {
    struct sp_key_schedule s = schedule();
    struct sp_key_plan plan;
    OK(sp_keys_plan_rotate(f->rows, f->n_rows, SP_KEY_FEED, false, &s, &plan));
    carry_out(f, &plan);
    OK(sp_feed_publish_keys(f->feed));
}

static void old_feed_key_announces_its_successor_and_vouches_for_it_later(void **state) {
    struct fixture *f = *state;
    const struct sp_key_schedule s = schedule();
    struct sp_key_plan plan;
    struct sp_feed_frame frame;
    struct sp_feed_signed text;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(65536);
    uint8_t first[SP_SHA256_BYTES];
    memcpy(first, feed_key(f, 0)->thumbprint, sizeof(first));
    rotate_feed_key(f);
    OK(sp_feed_beat(f->feed, &frame));
    assert_memory_equal(frame.beat.kid, first, sizeof(first)); /* which covers the document with both */
    assert_non_null(memmem(frame.keys->bytes, frame.keys->n, feed_key(f, 1)->kid.p, 43));
    sp_feed_frame_done(&frame);

    sp_keys_plan(f->rows, f->n_rows, f->wall_ms, &s, &plan); /* announce_s is 0 */
    carry_out(f, &plan);
    OK(sp_feed_publish_keys(f->feed));
    assert_int_equal(feed_key(f, 1)->state, SP_KEY_RETIRED);
    OK(sp_feed_beat(f->feed, &frame));
    assert_memory_equal(frame.beat.kid, feed_key(f, 0)->thumbprint, SP_SHA256_BYTES);
    assert_memory_not_equal(frame.beat.kid, first, sizeof(first));
    assert_null(memmem(frame.keys->bytes, frame.keys->n, feed_key(f, 1)->kid.p, 43));
    sp_feed_frame_done(&frame);

    OK(sp_feed_write_keys(f->feed, &out));
    const char *at = memmem(out.p, out.n, "\"signature\":\"", 13);
    assert_non_null(at);
    SP_AUTO(sp_buf) again = SP_BUF_INIT(256);
    uint8_t signature[SP_FEED_SIGNATURE_BYTES];
    size_t n;
    OK(sp_feed_signed_succession(ISSUER, feed_key(f, 0)->thumbprint, first, &text));
    OK(sp_sig_sign(feed_key(f, 1)->key, SP_ALG_EDDSA, sp_feed_signed_slice(&text), signature,
                   sizeof(signature), &n));
    OK(sp_buf_append_base64url(&again, SP_SLICE_ARRAY(signature))); /* Ed25519 is deterministic */
    assert_memory_equal(at + 13, again.p, again.n);
}

/* ---- snapshots ---- */

static void snapshot_has_everything_and_is_signed(void **state) {
    struct fixture *f = *state;
    struct sp_feed_snapshot snapshot;
    struct sp_snapshot_reader reader;
    struct sp_feed_signed text;
    SP_AUTO(sp_buf) out = SP_BUF_INIT(16 << 20);
    const uint8_t sub[16] = {9};
    const int many = 10000;
    size_t entries = 0, users = 0;
    bool end = false;
    for (int i = 0; i < many; i++) revoke_one(f);
    OK(sp_epochs_raise_user(f->epochs, SP_SLICE_ARRAY(sub), 4, NOW_S + 5, NOW_S));
    sp_epochs_raise_global(f->epochs, 3);
    sp_feed_snapshot_init(&snapshot, f->feed);
    while (!end) {
        const size_t before = out.n;
        OK(sp_feed_snapshot_next(&snapshot, &out, &end));
        assert_true(out.n - before <= SP_FEED_SNAPSHOT_PIECE);
        if (before != 0 && !end) revoke_one(f); /* life goes on */
    }
    sp_snapshot_reader_init(&reader);
    sp_slice rest = sp_buf_slice(&out);
    enum sp_snapshot_part part = SP_SNAPSHOT_MORE;
    while (part != SP_SNAPSHOT_END) {
        OK(sp_snapshot_reader_next(&reader, &rest, &part));
        entries += part == SP_SNAPSHOT_ENTRY;
        users += part == SP_SNAPSHOT_USER;
        if (part == SP_SNAPSHOT_HEADER) {
            assert_int_equal(reader.part.header.at.seq, 100 + many);
            assert_int_equal(reader.part.header.global_epoch, 3);
        }
    }
    assert_true(entries >= (size_t)many);
    assert_int_equal(users, 1);
    assert_int_equal(rest.n, 0);
    OK(sp_feed_signed_snapshot(ISSUER, reader.body, &text));
    assert_signed(f, &text, reader.part.trailer.kid, reader.part.trailer.signature);
}

/* ---- verifiers ---- */

static struct sp_feed_ack ack_of(struct fixture *f, const char *instance, uint64_t seq) {
    struct sp_feed_frame frame;
    struct sp_feed_ack a = {.client = SP_SLICE_LIT("orders"),
                            .instance = sp_slice_cstr(instance),
                            .address = SP_SLICE_LIT("127.0.0.1"),
                            .at.seq = seq,
                            .max_staleness_s = 30};
    memcpy(a.at.epoch, epoch, sizeof(epoch));
    sp_feed_look(f->feed, &frame);
    memcpy(a.roles, frame.roles->digest, SP_FEED_DIGEST_BYTES);
    memcpy(a.keys, frame.keys->digest, SP_FEED_DIGEST_BYTES);
    sp_feed_frame_done(&frame);
    return a;
}
static void ack(struct fixture *f, const char *instance, uint64_t seq) {
    const struct sp_feed_ack a = ack_of(f, instance, seq);
    OK(sp_feed_acknowledge(f->feed, &a));
}

/* That long a verifier may let somebody in after its acknowledgement: its staleness of 30 s, and the third of
 * it in which it may have heard a beat. */
enum { LIVE_MS = 40000 };

static void list_tells_who_follows_and_how_far_behind(void **state) {
    struct fixture *f = *state;
    struct sp_feed_verifier v[4];
    ack(f, "b", 100);
    revoke_one(f);
    ack(f, "a", 101);
    sp_feed_attach(f->feed, SP_SLICE_LIT("watch"), SP_SLICE_LIT("c"), SP_SLICE_LIT("::1"));
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, v, 4), 3);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&v[0].instance), "a"));
    assert_int_equal(v[0].behind, 0);
    assert_int_equal(v[1].behind, 1);
    assert_true(v[1].is_live && v[1].has_keys && !v[1].is_attached);
    assert_true(!v[2].is_live && !v[2].has_acked && v[2].is_attached);
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("a"), v, 4), 2);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&v[0].instance), "b"));
    f->boot_ms += LIVE_MS;
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, v, 1), 1);
    assert_true(v[0].is_live);
    f->boot_ms += 1;
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, v, 1), 1);
    assert_false(v[0].is_live);
}

static void acknowledgement_of_another_history_is_refused(void **state) {
    struct fixture *f = *state;
    struct sp_feed_ack a = ack_of(f, "a", 101);
    assert_int_equal(sp_feed_acknowledge(f->feed, &a).code, SP_E_CONFLICT); /* ahead of us */
    a.at.seq = 100;
    a.at.epoch[0] ^= 1;
    assert_int_equal(sp_feed_acknowledge(f->feed, &a).code, SP_E_CONFLICT);
    a.at.epoch[0] ^= 1;
    OK(sp_feed_acknowledge(f->feed, &a));
}

static void full_registry_refuses_newcomers_until_somebody_has_gone(void **state) {
    struct fixture *f = *state;
    char name[16];
    for (int i = 0; i < SP_FEED_VERIFIERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "v%d", i);
        ack(f, name, 100);
    }
    struct sp_feed_ack a = ack_of(f, "late", 100);
    assert_int_equal(sp_feed_acknowledge(f->feed, &a).code, SP_E_BUSY);
    ack(f, "v7", 100); /* who has a seat keeps it */
    f->boot_ms += 30000;
    ack(f, "v8", 100);
    f->boot_ms += 30000; /* all but v8 are no longer live */
    OK(sp_feed_acknowledge(f->feed, &a));
    struct sp_feed_counts c;
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, SP_FEED_VERIFIERS_MAX);
    assert_int_equal(c.live, 2);
}

static sp_status ack_by(struct fixture *f, const char *client, const char *name) {
    struct sp_feed_ack a = ack_of(f, name, 100);
    a.client = sp_slice_cstr(client);
    a.max_staleness_s = SP_FEED_STALENESS_MAX_S;
    return sp_feed_acknowledge(f->feed, &a);
}

static void one_credential_cannot_keep_the_verifiers_of_others_out(void **state) {
    struct fixture *f = *state;
    char name[16];
    for (int i = 0; i < SP_FEED_VERIFIERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "v%d", i);
        OK(ack_by(f, "greedy", name));
        f->boot_ms++;
    }
    assert_int_equal(ack_by(f, "greedy", "more").code, SP_E_BUSY);
    OK(ack_by(f, "honest", "a"));
    OK(ack_by(f, "honest", "b"));
    /* Who was heard longest ago has lost its seat, and cannot take one back from those who have fewer. */
    assert_int_equal(ack_by(f, "greedy", "v0").code, SP_E_BUSY);
    assert_int_equal(ack_by(f, "greedy", "v1").code, SP_E_BUSY);
    OK(ack_by(f, "greedy", "v2"));
    OK(ack_by(f, "honest", "a"));
    OK(ack_by(f, "third", "a"));
    /* And what is not full is first come, first served, down to equal shares. */
    for (int i = 2; i < SP_FEED_VERIFIERS_MAX / 2 - 1; i++) {
        (void)snprintf(name, sizeof(name), "h%d", i);
        OK(ack_by(f, "honest", name));
    }
    assert_int_equal(ack_by(f, "honest", "one more").code, SP_E_BUSY);
    OK(ack_by(f, "third", "b"));
    struct sp_feed_counts c;
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, SP_FEED_VERIFIERS_MAX);
    assert_int_equal(c.live, SP_FEED_VERIFIERS_MAX);
}

static void who_was_long_not_heard_of_is_forgotten(void **state) {
    struct fixture *f = *state;
    struct sp_feed_counts c;
    ack(f, "a", 100);
    sp_feed_attach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("b"), SP_SLICE_EMPTY);
    f->boot_ms += (int64_t)SP_FEED_FORGET_S * 1000 + 1;
    sp_feed_tick(f->feed);
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, 1); /* b is connected */
    sp_feed_detach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("b"));
    sp_feed_tick(f->feed);
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, 1);
    f->boot_ms += (int64_t)SP_FEED_FORGET_S * 1000 + 1;
    sp_feed_tick(f->feed);
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.known, 0);
}

/* ---- receipts ---- */

struct waiting {
    struct sp_feed_waiter waiter;
    int done;
};
static void on_done(struct sp_feed_waiter *w) {
    SP_CONTAINER_OF(w, struct waiting, waiter)->done++;
}
static void wait_for(struct fixture *f, struct waiting *w) {
    *w = (struct waiting){.waiter = {.executor = &f->executor, .done = on_done}};
    sp_feed_wait(f->feed, &w->waiter, f->boot_ms);
    run_posted(f);
}

static void receipt_comes_when_the_last_live_verifier_has_confirmed(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    ack(f, "a", 100);
    ack(f, "b", 100);
    revoke_one(f);
    wait_for(f, &w);
    f->boot_ms += 3;
    ack(f, "a", 101);
    ack(f, "a", 101); /* counts once */
    ack(f, "b", 100); /* lives, but has not got it */
    ack(f, "c", 101); /* came later */
    run_posted(f);
    assert_int_equal(w.done, 0);
    f->boot_ms += 4;
    ack(f, "b", 101);
    run_posted(f);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.waiter.receipt.verifiers, 2);
    assert_int_equal(w.waiter.receipt.confirmed, 2);
    assert_int_equal(w.waiter.receipt.after_ms, 7);
}

static void receipt_without_verifiers_comes_at_once_and_says_so(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    revoke_one(f);
    wait_for(f, &w);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.waiter.receipt.verifiers, 0);
}

static void receipt_that_is_not_complete_in_time_says_how_many(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    ack(f, "a", 100);
    ack(f, "b", 100);
    revoke_one(f);
    wait_for(f, &w);
    ack(f, "a", 101);
    f->boot_ms += 2000;
    sp_feed_wait_no_longer(f->feed, &w.waiter);
    sp_feed_wait_no_longer(f->feed, &w.waiter);
    run_posted(f);
    ack(f, "b", 101);
    run_posted(f);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.waiter.receipt.verifiers, 2);
    assert_int_equal(w.waiter.receipt.confirmed, 1);
    assert_int_equal(w.waiter.receipt.after_ms, 2000);
}

static void verifier_that_leaves_needs_to_confirm_nothing(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    struct sp_feed_ack bye = ack_of(f, "a", 100);
    bye.leaving = true;
    ack(f, "a", 100);
    revoke_one(f);
    wait_for(f, &w);
    assert_int_equal(w.done, 0);
    OK(sp_feed_acknowledge(f->feed, &bye));
    run_posted(f);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.waiter.receipt.confirmed, 1);
}

/* The seat of a verifier that died goes to another one, whose word must not count for the dead. */
static void seat_that_changes_hands_confirms_nothing_for_who_had_it(void **state) {
    struct fixture *f = *state;
    struct waiting w;
    char name[16];
    ack(f, "dead", 100);
    revoke_one(f);
    wait_for(f, &w);
    f->boot_ms += LIVE_MS + 1;
    for (int i = 0; i < SP_FEED_VERIFIERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "v%d", i);
        ack(f, name, 101);
    }
    run_posted(f);
    assert_int_equal(w.done, 0);
    sp_feed_wait_no_longer(f->feed, &w.waiter);
    run_posted(f);
    assert_int_equal(w.waiter.receipt.confirmed, 0);
    assert_int_equal(w.waiter.receipt.verifiers, 1);
}

static void keys_are_confirmed_when_every_live_verifier_has_the_newest(void **state) {
    struct fixture *f = *state;
    assert_true(sp_feed_keys_confirmed(f->feed));
    ack(f, "a", 100);
    assert_true(sp_feed_keys_confirmed(f->feed));
    const struct sp_feed_ack old = ack_of(f, "a", 100);
    rotate_feed_key(f);
    assert_false(sp_feed_keys_confirmed(f->feed));
    OK(sp_feed_acknowledge(f->feed, &old));
    assert_false(sp_feed_keys_confirmed(f->feed));
    ack(f, "a", 100);
    assert_true(sp_feed_keys_confirmed(f->feed));
    OK(sp_feed_acknowledge(f->feed, &old)); /* back to an older one: it restarted from somewhere */
    assert_false(sp_feed_keys_confirmed(f->feed));
    f->boot_ms += LIVE_MS + 1; /* and died */
    assert_true(sp_feed_keys_confirmed(f->feed));
}

/* Sent before the one that is known, received after it. */
static void acknowledgement_that_was_overtaken_changes_nothing_but_that_it_was_heard(void **state) {
    struct fixture *f = *state;
    struct sp_feed_verifier v;
    struct sp_feed_ack old = ack_of(f, "a", 100);
    memset(old.keys, 0x55, sizeof(old.keys));
    memset(old.roles, 0x55, sizeof(old.roles));
    revoke_one(f);
    ack(f, "a", 101);
    f->boot_ms += LIVE_MS - 1000;
    OK(sp_feed_acknowledge(f->feed, &old));
    f->boot_ms += LIVE_MS - 1000;
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, &v, 1), 1);
    assert_int_equal(v.behind, 0);
    assert_true(v.is_live && v.has_roles && v.has_keys);
    old.at.seq = 101; /* not overtaken: it is so */
    OK(sp_feed_acknowledge(f->feed, &old));
    assert_int_equal(sp_feed_verifiers(f->feed, SP_SLICE_EMPTY, SP_SLICE_EMPTY, &v, 1), 1);
    assert_true(!v.has_roles && !v.has_keys);
}

static void streams_without_a_name_are_counted_and_not_listed(void **state) {
    struct fixture *f = *state;
    struct sp_feed_counts c;
    sp_feed_attach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_EMPTY, SP_SLICE_LIT("::1"));
    sp_feed_attach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("a"), SP_SLICE_LIT("::1"));
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.subscribers, 2);
    assert_int_equal(c.known, 1);
    assert_int_equal(c.at.seq, f->seq);
    sp_feed_detach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_EMPTY);
    sp_feed_detach(f->feed, SP_SLICE_LIT("orders"), SP_SLICE_LIT("a"));
    sp_feed_count(f->feed, &c);
    assert_int_equal(c.subscribers, 0);
}

/* ---- lag ---- */

static uint64_t lags(struct fixture *f, uint32_t *ret_bucket) {
    struct sp_feed_counts c;
    uint64_t n = 0;
    sp_feed_count(f->feed, &c);
    for (uint32_t i = 0; i <= SP_FEED_LAG_BOUNDS; i++) {
        n += c.lag[i];
        if (c.lag[i] != 0) *ret_bucket = i;
    }
    return n;
}
static uint32_t bucket_of(uint32_t ms) {
    uint32_t i = 0;
    while (i < SP_FEED_LAG_BOUNDS && ms > sp_feed_lag_bounds_ms[i]) i++;
    return i;
}

static void lag_is_until_the_last_live_verifier_has_confirmed(void **state) {
    struct fixture *f = *state;
    uint32_t bucket = 0;
    ack(f, "a", 100);
    ack(f, "b", 100);
    revoke_one(f);
    f->boot_ms += 3;
    ack(f, "a", 101);
    assert_int_equal(lags(f, &bucket), 0);
    f->boot_ms += 4;
    ack(f, "b", 100); /* nothing new */
    assert_int_equal(lags(f, &bucket), 0);
    ack(f, "b", 101);
    assert_int_equal(lags(f, &bucket), 1);
    assert_int_equal(bucket, bucket_of(7));
    revoke_one(f); /* too soon for the next sample */
    ack(f, "a", 102);
    ack(f, "b", 102);
    assert_int_equal(lags(f, &bucket), 1);
    f->boot_ms += SP_FEED_LAG_EVERY_MS;
    revoke_one(f);
    ack(f, "a", 103);
    ack(f, "b", 103);
    assert_int_equal(lags(f, &bucket), 2);
}

static void lag_without_live_verifiers_is_none(void **state) {
    struct fixture *f = *state;
    uint32_t bucket = 0;
    revoke_one(f);
    ack(f, "a", 101); /* came after it was published */
    f->boot_ms += 60000;
    revoke_one(f);
    ack(f, "a", 102); /* had gone stale */
    sp_feed_tick(f->feed);
    assert_int_equal(lags(f, &bucket), 0);
}

static void lag_does_not_wait_for_who_leaves_or_goes_stale(void **state) {
    struct fixture *f = *state;
    uint32_t bucket = 0;
    struct sp_feed_ack bye = ack_of(f, "b", 100);
    bye.leaving = true;
    ack(f, "a", 100);
    ack(f, "b", 100);
    revoke_one(f);
    f->boot_ms += 2;
    struct sp_feed_ack hasty = ack_of(f, "a", 101);
    hasty.max_staleness_s = 24; /* live for 32 s */
    OK(sp_feed_acknowledge(f->feed, &hasty));
    f->boot_ms += 5000;
    OK(sp_feed_acknowledge(f->feed, &bye));
    assert_int_equal(lags(f, &bucket), 1);
    assert_int_equal(bucket, bucket_of(2));
    revoke_one(f);
    f->boot_ms += 28000; /* 33 s: a is stale by now: nobody is left, and nobody had confirmed */
    sp_feed_tick(f->feed);
    assert_int_equal(lags(f, &bucket), 1);
    ack(f, "a", 102);
    revoke_one(f); /* so the next one is measured */
    ack(f, "a", 103);
    assert_int_equal(lags(f, &bucket), 2);
}

static void lag_of_a_live_verifier_that_never_confirms_is_beyond_every_bound(void **state) {
    struct fixture *f = *state;
    uint32_t bucket = 0;
    struct sp_feed_ack patient = ack_of(f, "a", 100);
    patient.max_staleness_s = SP_FEED_STALENESS_MAX_S;
    OK(sp_feed_acknowledge(f->feed, &patient));
    revoke_one(f);
    f->boot_ms += SP_FEED_LAG_GIVE_UP_MS;
    sp_feed_tick(f->feed);
    assert_int_equal(lags(f, &bucket), 0);
    f->boot_ms += 1;
    sp_feed_tick(f->feed);
    assert_int_equal(lags(f, &bucket), 1);
    assert_int_equal(bucket, SP_FEED_LAG_BOUNDS);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(beat_signs_the_position_the_chain_and_the_documents),
        TEST(nonce_answer_is_signed_and_its_clock_is_not_early),
        TEST(backlog_gives_what_comes_after_and_says_what_it_has_not),
        TEST(who_cannot_go_on_is_told_why),
        TEST(full_backlog_forgets_the_oldest),
        TEST(stored_tail_is_resumable_and_what_is_before_a_gap_is_not),
        TEST(watcher_is_told_once_for_a_burst_and_again_after_it_looked),
        TEST(changed_roles_are_a_new_document_and_unchanged_ones_the_old),
        TEST(keys_document_has_access_and_feed_keys_and_no_secret),
        TEST(old_feed_key_announces_its_successor_and_vouches_for_it_later),
        TEST(snapshot_has_everything_and_is_signed),
        TEST(list_tells_who_follows_and_how_far_behind),
        TEST(acknowledgement_of_another_history_is_refused),
        TEST(full_registry_refuses_newcomers_until_somebody_has_gone),
        TEST(one_credential_cannot_keep_the_verifiers_of_others_out),
        TEST(who_was_long_not_heard_of_is_forgotten),
        TEST(receipt_comes_when_the_last_live_verifier_has_confirmed),
        TEST(receipt_without_verifiers_comes_at_once_and_says_so),
        TEST(receipt_that_is_not_complete_in_time_says_how_many),
        TEST(verifier_that_leaves_needs_to_confirm_nothing),
        TEST(seat_that_changes_hands_confirms_nothing_for_who_had_it),
        TEST(keys_are_confirmed_when_every_live_verifier_has_the_newest),
        TEST(acknowledgement_that_was_overtaken_changes_nothing_but_that_it_was_heard),
        TEST(streams_without_a_name_are_counted_and_not_listed),
        TEST(lag_is_until_the_last_live_verifier_has_confirmed),
        TEST(lag_without_live_verifiers_is_none),
        TEST(lag_does_not_wait_for_who_leaves_or_goes_stale),
        TEST(lag_of_a_live_verifier_that_never_confirms_is_beyond_every_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
