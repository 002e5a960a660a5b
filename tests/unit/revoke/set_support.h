/* A set, its reclaimer and a reader, for the tests of the revocation set. */
#ifndef TEST_REVOKE_SET_SUPPORT_H
#define TEST_REVOKE_SET_SUPPORT_H

#include "support.h"

#include "revoke/set.h"

#define T0 1800000000

struct fixture {
    struct sp_reclaim *reclaim;
    struct sp_reclaim_reader *reader;
    struct sp_revoke_set *set;
};

static inline struct fixture fixture_new(const struct sp_revoke_set_opts *opts) {
    struct fixture f = {0};
    struct sp_revoke_set_opts o = opts != NULL ? *opts : (struct sp_revoke_set_opts){0};
    assert_true(sp_ok(sp_reclaim_new(8, &f.reclaim)));
    assert_true(sp_ok(sp_reclaim_reader_join(f.reclaim, &f.reader)));
    o.reclaim = f.reclaim;
    o.random = &sp_random_system;
    if (o.mix_for_test == 0) o.mix_for_test = 0xd1342543de82ef95u; /* a seed then gives the same tables */
    assert_true(sp_ok(sp_revoke_set_new(&o, &f.set)));
    return f;
}
static inline void fixture_done(struct fixture *f) {
    sp_revoke_set_free(f->set);
    sp_reclaim_reader_leave(f->reclaim, f->reader);
    sp_reclaim_free(f->reclaim);
}

static inline sp_slice id_of(const uint64_t *n) {
    return sp_slice_of(n, sizeof *n);
}
static inline bool has(struct fixture *f, enum sp_revoke_kind kind, uint64_t n, int64_t now) {
    sp_reclaim_enter(f->reader);
    bool r = sp_revoke_set_contains(f->set, kind, id_of(&n), now);
    sp_reclaim_exit(f->reader);
    return r;
}
static inline bool has_fingerprint(struct fixture *f, uint64_t fp, int64_t now) {
    sp_reclaim_enter(f->reader);
    bool r = sp_revoke_set_contains_fingerprint(f->set, fp, now);
    sp_reclaim_exit(f->reader);
    return r;
}
static inline void add(struct fixture *f, enum sp_revoke_kind kind, uint64_t n, int64_t expiry, int64_t now) {
    assert_true(sp_ok(sp_revoke_set_add(f->set, kind, id_of(&n), expiry, now)));
}
static inline void add_fingerprint(struct fixture *f, uint64_t fp, int64_t expiry, int64_t now) {
    assert_true(sp_ok(sp_revoke_set_add_fingerprint(f->set, fp, expiry, now)));
}
static inline struct sp_revoke_set_stats stats(struct fixture *f) {
    struct sp_revoke_set_stats st;
    sp_revoke_set_stats(f->set, &st);
    return st;
}
/* One step of a dump, as a reader takes it. */
static inline size_t dump_step(struct fixture *f, struct sp_revoke_dump *cursor, int64_t now,
                               struct sp_revoke_entry *ret, size_t n_max, bool *ret_end) {
    sp_reclaim_enter(f->reader);
    size_t n = sp_revoke_set_dump(f->set, cursor, now, ret, n_max, ret_end);
    sp_reclaim_exit(f->reader);
    return n;
}

/* A permutation of 64 bits: distinct n give distinct fingerprints, all over the shards. */
static inline uint64_t spread(uint64_t n) {
    return next_random(&(uint64_t){n});
}

#endif
