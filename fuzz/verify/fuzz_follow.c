/* A follower that is connected to its server, and then to somebody who can write but not sign. Whatever he
 * writes, in whatever pieces: nothing is granted, no key comes into force, and the freshness does not rise.
 *
 * Input: commands of one byte and their bytes, see act. */
#include "base/assert.h"
#include "crypto/sig.h"
#include "revoke/feed_snapshot.h"
#include "verify/follow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ISSUER SP_SLICE_LIT("https://issuer.example")
#define MUST(expr) sp_assert(sp_ok(expr))
enum { PIECE_MAX = 64, COMMANDS_MAX = 64 };

static int64_t boot_ms, wall_ms;
static int64_t read_boot(void *arg) {
    (void)arg;
    return boot_ms;
}
static int64_t read_wall(void *arg) {
    (void)arg;
    return wall_ms;
}
static const struct sp_clock still = {read_wall, read_boot, NULL};

static sp_status draw(void *arg, void *p, size_t n) {
    (void)arg;
    memset(p, 7, n);
    return SP_SUCCESS;
}
static const struct sp_random same = {draw, NULL};

static struct {
    struct sp_sig_key *key;
    uint8_t kid[SP_SHA256_BYTES];
    struct sp_buf keys; /* the answer of /feed/keys */
} server;

static void make_server(void) {
    uint8_t seed[32] = {1, 2, 3};
    if (server.key != NULL) return;
    MUST(sp_sig_key_import_private(SP_KEY_ED25519, SP_SLICE_ARRAY(seed), &server.key));
    MUST(sp_jwk_thumbprint(server.key, server.kid));
    sp_buf_init(&server.keys, 1024);
    MUST(sp_buf_append_cstr(&server.keys, "{\"keys\":["));
    MUST(sp_jwk_write_public(SP_SLICE_LIT("k"), SP_ALG_EDDSA, server.key, &server.keys));
    MUST(sp_buf_append_cstr(&server.keys, "],\"successions\":[]}"));
}

static struct sp_now now(void) {
    return (struct sp_now){boot_ms, wall_ms};
}

/* A genuine, empty snapshot, so that the stream is reached. */
static void give_snapshot(struct sp_follower *f) {
    SP_AUTO(sp_buf) b = SP_BUF_INIT(4096);
    struct sp_snapshot_writer w;
    struct sp_snapshot_header h = {.at = {.seq = 0}};
    struct sp_snapshot_trailer t;
    struct sp_feed_signed text;
    uint8_t body[SP_SHA256_BYTES];
    size_t n;
    sp_feed_chain_start(h.at.epoch, h.head);
    MUST(sp_snapshot_begin(&w, &h, &b));
    MUST(sp_snapshot_end(&w, &b, body));
    MUST(sp_feed_signed_snapshot(ISSUER, body, &text));
    memcpy(t.kid, server.kid, sizeof t.kid);
    MUST(sp_sig_sign(server.key, SP_ALG_EDDSA, sp_feed_signed_slice(&text), t.signature, sizeof t.signature,
                     &n));
    MUST(sp_snapshot_trailer(&t, &b));
    sp_follower_bytes(f, SP_EX_SNAPSHOT, now(), sp_buf_slice(&b));
}

/* The server answers for keys and snapshots; everything else is the writer's. */
static void carry_out(struct sp_follower *f) {
    struct sp_follower_command c;
    for (unsigned i = 0; sp_follower_next(f, now(), &c); i++) {
        sp_assert(i < COMMANDS_MAX);
        if (c.verb == SP_FOLLOWER_STOP) continue;
        sp_follower_begun(f, c.exchange, now());
        if (c.exchange == SP_EX_KEYS) sp_follower_bytes(f, c.exchange, now(), sp_buf_slice(&server.keys));
        if (c.exchange == SP_EX_SNAPSHOT) give_snapshot(f);
        if (c.exchange == SP_EX_KEYS || c.exchange == SP_EX_SNAPSHOT)
            sp_follower_ended(f, c.exchange, now(), SP_OUTCOME_DONE);
    }
}

static sp_slice take(sp_slice *in, size_t n) {
    sp_slice taken = sp_slice_of(in->p, n < in->n ? n : in->n);
    in->p += taken.n;
    in->n -= taken.n;
    return taken;
}

static void act(struct sp_follower *f, uint8_t what, sp_slice *in) {
    sp_slice piece = take(in, what >> 2 == 0 ? PIECE_MAX : what >> 2);
    switch (what & 3) {
    case 0: sp_follower_bytes(f, SP_EX_STREAM, now(), piece); break;
    case 1: sp_follower_bytes(f, SP_EX_NONCE, now(), piece); break;
    case 2:
        sp_follower_ended(f, piece.n % 2 == 0 ? SP_EX_NONCE : SP_EX_STREAM, now(),
                          piece.n == 0 ? SP_OUTCOME_DONE : (enum sp_outcome)(piece.p[0] % 4));
        break;
    default:
        boot_ms += 40 * (what >> 2);
        wall_ms += 40 * (what >> 2);
        if (piece.n > 2 && piece.p[0] == 0) wall_ms += (int8_t)piece.p[1] * 100;
        sp_follower_tick(f, now());
    }
}

static void follow(struct sp_verifier *v, struct sp_role_table *roles, struct sp_freshness *fresh,
                   struct sp_verifier_reader *reader, sp_slice in) {
    SP_AUTO_FREE(sp_follower) f = NULL;
    const struct sp_follower_opts opts = {.issuer = ISSUER,
                                          .instance = SP_SLICE_LIT("fuzz"),
                                          .max_staleness_ms = 30000,
                                          .verifier = v,
                                          .roles = roles,
                                          .freshness = fresh,
                                          .random = &same};
    MUST(sp_follower_new(&opts, now(), &f));
    sp_follower_tick(f, now());
    carry_out(f);
    for (unsigned i = 0; i < 2; i++) { /* keys, snapshot, stream */
        sp_follower_tick(f, now());
        carry_out(f);
    }
    while (in.n != 0) {
        act(f, *take(&in, 1).p, &in);
        carry_out(f);
    }
    sp_assert(!sp_freshness_ever(fresh));
    sp_assert(sp_follower_counted(f, SP_FOLLOWER_NEW_KEYS) == 0);
    sp_verifier_enter(reader);
    sp_assert(
        !sp_role_table_permits(roles, SP_SLICE_LIT("a"), (struct sp_permission_limit){0}, SP_SLICE_LIT("b")));
    sp_verifier_exit(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sp_reclaim *reclaim;
    struct sp_verifier *v;
    struct sp_verifier_reader *reader;
    struct sp_role_table roles;
    struct sp_freshness fresh;
    make_server();
    boot_ms = 1000000;
    wall_ms = 1800000000000;
    MUST(sp_reclaim_new(2, &reclaim));
    const struct sp_verifier_opts opts = {
        .issuer = ISSUER, .audience = ISSUER, .alg_mask = SP_ALG_PUBLIC, .reclaim = reclaim, .random = &same};
    MUST(sp_verifier_new(&opts, &v));
    MUST(sp_verifier_reader_new(v, &reader));
    sp_role_table_init(&roles, reclaim);
    sp_freshness_init(&fresh, 30000, &still);
    follow(v, &roles, &fresh, reader, sp_slice_of(data, size));
    sp_verifier_reader_free(reader);
    sp_role_table_done(&roles);
    sp_verifier_free(v);
    sp_reclaim_free(reclaim);
    return 0;
}
