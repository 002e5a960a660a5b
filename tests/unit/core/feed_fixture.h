/* A feed with all that it publishes, a loop that runs when it is told to, and verifiers that acknowledge: for
 * the tests of the feed. */
#ifndef TEST_CORE_FEED_FIXTURE_H
#define TEST_CORE_FEED_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
};

static inline int64_t wall(void *arg) {
    return ((struct fixture *)arg)->wall_ms;
}
static inline int64_t boot(void *arg) {
    return ((struct fixture *)arg)->boot_ms;
}
static inline void post(struct sp_executor *self, struct sp_task *task) {
    struct fixture *f = SP_CONTAINER_OF(self, struct fixture, executor);
    task->next = NULL;
    *f->last = task;
    f->last = &task->next;
}
static inline void run_posted(struct fixture *f) {
    while (f->first != NULL) {
        struct sp_task *t = f->first;
        f->first = t->next;
        if (f->first == NULL) f->last = &f->first;
        t->run(t);
    }
}

static inline struct sp_key_schedule schedule(void) {
    return (struct sp_key_schedule){.alg = SP_ALG_ES256, .access_ttl_max_s = 900, .absolute_ttl_s = 86400};
}

static inline void carry_out(struct fixture *f, const struct sp_key_plan *plan) {
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

static inline int setup(void **state) {
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

static inline int teardown(void **state) {
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static inline void revoke_one(struct fixture *f) {
    struct sp_revocation_row row = {.what = SP_REVOKED_JTI, .seq = ++f->seq, .expires_s = NOW_S + 900};
    memcpy(row.id, &f->seq, sizeof(f->seq));
    const struct sp_feed_revocation r = sp_feed_revocation_of(&row);
    sp_feed_chain_link(f->head, &r, f->head);
    OK(sp_revoke_set_add(f->revoked, SP_REVOKE_JTI, sp_slice_of(row.id, 16), row.expires_s, NOW_S));
    sp_feed_publish_revocation(f->feed, &row, f->head);
}

static inline void rotate_feed_key(struct fixture *f) {
    struct sp_key_schedule s = schedule();
    struct sp_key_plan plan;
    OK(sp_keys_plan_rotate(f->rows, f->n_rows, SP_KEY_FEED, false, &s, &plan));
    carry_out(f, &plan);
    OK(sp_feed_publish_keys(f->feed));
}

/* ---- verifiers ---- */

static inline struct sp_feed_ack ack_of(struct fixture *f, const char *instance, uint64_t seq) {
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
static inline void ack(struct fixture *f, const char *instance, uint64_t seq) {
    const struct sp_feed_ack a = ack_of(f, instance, seq);
    OK(sp_feed_acknowledge(f->feed, &a));
}

/* That long a verifier may let somebody in after its acknowledgement: its staleness of 30 s, and the third of
 * it in which it may have heard a beat. */
enum { LIVE_MS = 40000 };

#endif
