/* What the rooms of the follower share: follow.c is the machine and its errands, follow_stream.c the events,
 * follow_snapshot.c the snapshot, follow_apply.c what is put into force. */
#ifndef SP_VERIFY_FOLLOW_INTERNAL_H
#define SP_VERIFY_FOLLOW_INTERNAL_H

#include "revoke/feed_snapshot.h"
#include "verify/feed_trust.h"
#include "verify/follow.h"

enum {
    ANSWER_BYTES_MAX = 1024, /* to a nonce: 300 of ours */
    TARGET_CHARS = 96,       /* "/feed?verifier=" and 64 */
};

/* No trouble: what functions answer that otherwise say what is to be counted. */
#define SP_FOLLOWER_FINE SP_FOLLOWER_COUNTS

/* A document: the version in force, and one that came and that no signature covers yet. */
struct document {
    uint8_t digest[SP_FEED_DIGEST_BYTES]; /* in force */
    bool in_force;
    uint8_t held_digest[SP_FEED_DIGEST_BYTES];
    uint8_t *held; /* owned; NULL: nothing waits */
    size_t held_n;
};

/* Where the chain is. */
struct place {
    uint64_t seq;
    uint8_t head[SP_FEED_HEAD_BYTES];
};

struct exchange {
    bool wanted, running, unwanted; /* to be started; under way; to be stopped first */
    int64_t deadline_ms;            /* while running: boot-time clock; INT64_MAX: none */
};

/* Something asked again and again beside the stream: the time, and acknowledgements. */
struct errand {
    int64_t due_ms;
    unsigned failures;
};

struct anchor {
    bool is_set;
    uint8_t node[SP_FEED_NODE_BYTES];
    uint64_t server_ms; /* S */
    int64_t t0_ms;
};

/* The beat that put the documents into force. What is older than it must not take their place: a document
 * moves no sequence, so an old one and its beat fit as well as they ever did. */
struct covered {
    bool is_set;
    uint8_t epoch[SP_FEED_EPOCH_BYTES], node[SP_FEED_NODE_BYTES];
    uint64_t seq, server_ms;
    int64_t at_ms; /* when it came, by our clock */
};

/* What a beat that fitted proves, given an anchor. */
struct fitted {
    bool is_set;
    uint8_t node[SP_FEED_NODE_BYTES];
    uint64_t server_ms; /* B */
};

struct sp_follower {
    struct sp_follower_opts opts; /* its slices are the texts below */
    sp_text256 issuer;
    sp_text64 instance;
    struct sp_feed_trust trust;

    /* The machine. */
    uint8_t state;
    bool need_keys, need_snapshot;
    int64_t due_ms;    /* in WAIT */
    unsigned failures; /* since a beat fitted */
    struct exchange exchanges[SP_EXCHANGES];
    int64_t look_ms, upkeep_ms; /* when clocks and staleness, and when what has lapsed, are looked at again */
    bool was_fresh;

    /* History. */
    bool has_epoch; /* a snapshot was loaded; the rest counts only then */
    uint8_t epoch[SP_FEED_EPOCH_BYTES];
    struct place at, good; /* applied; the last that a signature confirmed */
    uint64_t signed_seq;   /* the highest that the server has signed in this epoch */
    unsigned strikes;      /* gaps since a beat fitted */
    bool rolled_back;      /* the server knows less than signed_seq */
    bool owes_snapshot;    /* one is needed, and could not be taken while rolled back */
    bool closed;           /* the verifier, by us: a revocation could not be kept */
    uint64_t closed_seq;   /* ... with this seq; 0: one of a snapshot */

    /* The stream. */
    struct sp_feed_reader *reader;
    bool greeted;
    uint8_t node[SP_FEED_NODE_BYTES];
    int64_t beat_ms, silent_ms; /* connect again at silent_ms */
    struct document roles, keys;
    struct covered covered;
    struct fitted fitted; /* the last beat of this connection that fitted */

    /* The snapshot. */
    struct sp_snapshot_reader snapshot;
    struct sp_snapshot_header header;
    bool snapshot_ended;

    /* The time. */
    struct errand question;
    uint8_t nonce[SP_FEED_NONCE_BYTES];
    struct sp_now asked; /* t0 */
    struct anchor anchor;
    bool is_anchored;       /* the freshness has a distance of the clocks */
    int64_t offset_ms;      /* that distance */
    int64_t offset_high_ms; /* the highest that was ever used to let entries lapse */
    bool has_jumped;        /* until the answer */

    /* Acknowledgement. */
    struct errand ack;
    bool owes_goodbye; /* when the one that is under way has ended */
    bool has_acked;
    struct place acked;
    uint8_t acked_roles[SP_FEED_DIGEST_BYTES], acked_keys[SP_FEED_DIGEST_BYTES];
    struct place acking;
    uint8_t acking_roles[SP_FEED_DIGEST_BYTES], acking_keys[SP_FEED_DIGEST_BYTES];

    struct sp_buf answer; /* of keys or nonce, which never run together */
    struct sp_buf body;   /* of the request in the last command */
    char target[TARGET_CHARS];
    char last_event_id[SP_FEED_LAST_ID_CHARS_MAX + 1];

    _Atomic uint64_t counts[SP_FOLLOWER_COUNTS];
    _Atomic uint64_t seq_for_others;
};

/* follow.c */
void sp_follower_note(struct sp_follower *f, enum sp_follower_count what);
/* The stream or the snapshot is not to be used any more: count, and connect again after a delay. */
void sp_follower_misfit(struct sp_follower *f, struct sp_now now, enum sp_follower_count why);
/* A revocation could not be kept. */
void sp_follower_close(struct sp_follower *f, uint64_t seq);
/* The same without counting. */
void sp_follower_reconnect(struct sp_follower *f, struct sp_now now);
/* From SP_E_NOMEM and the like to what is counted. */
enum sp_follower_count sp_follower_trouble(sp_status s);
/* A signature of the feed: SP_FOLLOWER_FINE when it is good, otherwise what is wrong. */
enum sp_follower_count sp_follower_check_signature(struct sp_follower *f, const uint8_t *kid,
                                                   const struct sp_feed_signed *text,
                                                   const uint8_t *signature);
void sp_follower_restart(struct sp_follower *f, enum sp_exchange x);
/* After a number of failures in a row, with jitter. */
int64_t sp_follower_delay_ms(struct sp_follower *f, unsigned failures);
bool sp_follower_is_busy(const struct sp_follower *f, enum sp_exchange x);

/* follow_stream.c */
void sp_follower_stream_opened(struct sp_follower *f, struct sp_now now);
void sp_follower_stream_bytes(struct sp_follower *f, struct sp_now now, sp_slice piece);

/* follow_snapshot.c: false: the misfit was told. */
void sp_follower_snapshot_begun(struct sp_follower *f);
void sp_follower_snapshot_bytes(struct sp_follower *f, struct sp_now now, sp_slice piece);
bool sp_follower_snapshot_ended(struct sp_follower *f, struct sp_now now);

/* follow_apply.c */
sp_status sp_follower_apply(struct sp_follower *f, struct sp_now now, const struct sp_feed_revocation *r);
sp_status sp_follower_hold(struct document *d, sp_slice data);
bool sp_follower_has_document(const struct document *d, const uint8_t *digest);
/* Puts what waits into force, when it is this one. */
sp_status sp_follower_cover(struct sp_follower *f, struct sp_now now, const struct sp_feed_beat *b);

/* follow_time.c */
/* At that moment, or earlier when that is planned. */
void sp_follower_ask_time(struct sp_follower *f, int64_t at_ms);
bool sp_follower_write_question(struct sp_follower *f, struct sp_now now);
void sp_follower_time_answered(struct sp_follower *f, struct sp_now now, enum sp_outcome outcome);
void sp_follower_watch_clocks(struct sp_follower *f, struct sp_now now);
/* Is a beat younger than the one that put the documents into force? Of two runs of the server an answer must
 * tell, which is asked for. */
enum beat_age { BEAT_LATER, BEAT_EARLIER, BEAT_UNKNOWN };
enum beat_age sp_follower_age_of(struct sp_follower *f, const struct sp_feed_beat *b);
/* A beat fitted: what it proves. */
void sp_follower_fitted(struct sp_follower *f, struct sp_now now, const struct sp_feed_beat *b);

static inline bool sp_same32(const uint8_t *a, const uint8_t *b) {
    return memcmp(a, b, 32) == 0;
}

#endif
