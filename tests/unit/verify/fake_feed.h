/* A server of the feed without a network: it revokes, signs, and writes the bytes of its answers, right or
 * wrong as a test wants them. */
#ifndef TEST_FAKE_FEED_H
#define TEST_FAKE_FEED_H

#include "base/buf.h"
#include "base/ports.h"
#include "crypto/sig.h"
#include "revoke/feed_snapshot.h"

enum { FAKE_LOG_MAX = 4096, FAKE_BYTES_MAX = 4 << 20, FAKE_BEAT_MS = 500 };

struct fake_feed {
    char issuer[128];
    uint8_t epoch[SP_FEED_EPOCH_BYTES], node[SP_FEED_NODE_BYTES];
    uint8_t fingerprint_key[16];
    struct sp_sig_key *key; /* signs */
    uint8_t kid[SP_SHA256_BYTES];
    struct sp_sig_key *old_key; /* the one before; NULL: none */
    uint8_t old_kid[SP_SHA256_BYTES];
    size_t n;            /* of the log: the seq of the last one */
    size_t epoch_from;   /* where this epoch's chain begins */
    size_t backlog_from; /* what came before cannot be resumed */
    struct sp_feed_revocation log[FAKE_LOG_MAX];
    uint8_t heads[FAKE_LOG_MAX + 1][SP_FEED_HEAD_BYTES]; /* heads[i]: after i of the log */
    uint32_t global_epoch;
    char roles[4096], keys[4096]; /* documents */
    /* How it lies. */
    bool sign_badly, hide_successions;
};

void fake_init(struct fake_feed *s, const char *issuer, uint8_t seed);
void fake_done(struct fake_feed *s);
/* `jwks`: members of "keys", joined by commas. */
void fake_set_keys(struct fake_feed *s, const char *jwks);
void fake_set_roles(struct fake_feed *s, const char *roles);
void fake_restart(struct fake_feed *s, uint8_t node); /* another node */
void fake_new_epoch(struct fake_feed *s, uint8_t epoch);
void fake_rotate(struct fake_feed *s);           /* signs with a new key from now on */
void fake_forget(struct fake_feed *s, size_t n); /* the last n revocations: back in time */

/* Returns its seq. */
uint64_t fake_revoke_jti(struct fake_feed *s, const uint8_t id[16], int64_t until_s);
uint64_t fake_revoke_sid(struct fake_feed *s, const uint8_t id[20], int64_t until_s);
uint64_t fake_raise_user(struct fake_feed *s, const uint8_t sub[16], uint32_t epoch, int64_t until_s);
uint64_t fake_raise_global(struct fake_feed *s, uint32_t epoch);
uint64_t fake_seq(const struct fake_feed *s);

/* All append to out. */
void fake_write_feed_keys(const struct fake_feed *s, struct sp_buf *out);
void fake_write_snapshot(const struct fake_feed *s, int64_t now_s, struct sp_buf *out);
void fake_write_hello(const struct fake_feed *s, struct sp_buf *out);
void fake_write_reset(const char *reason, struct sp_buf *out);
void fake_write_documents(const struct fake_feed *s, struct sp_buf *out);
/* Those after seq. */
void fake_write_revocations(const struct fake_feed *s, uint64_t seq, struct sp_buf *out);
void fake_write_beat(const struct fake_feed *s, uint64_t boot_ms, struct sp_buf *out);
/* What a stream begins with, a reset included when one is due. */
void fake_write_beginning(const struct fake_feed *s, const char *last_event_id, uint64_t boot_ms,
                          struct sp_buf *out);
/* False: the body is not a question. */
bool fake_write_answer(const struct fake_feed *s, sp_slice question, uint64_t boot_ms, struct sp_buf *out);

#endif
