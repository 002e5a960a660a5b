/* What is kept, as plain values: one struct a row, with no pointers, so that a row has no heap to lose and
 * no owner to forget. Backends lay them out as they like. Times are Unix milliseconds (…_ms) or seconds
 * (…_s); 0 means "never" or "not set" where that is possible.
 *
 * `tenant` is in every key from the first day; a server of one tenant uses SP_TENANT_DEFAULT. */
#ifndef SP_CORE_ROWS_H
#define SP_CORE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum {
    SP_TENANT_DEFAULT = 1,
    SP_ROW_ID_BYTES = 16,
    SP_ROW_SID_BYTES = 20,
    SP_ROW_SECRET_BYTES = 16,
    SP_ROW_ATTEMPT_BYTES = 16, /* SHA-256 of the client's attempt, cut: it need only not collide */
    SP_ROW_ROTATIONS_KEPT = 4, /* DESIGN 5: times of the last four rotations */
    SP_ROW_HASH_BYTES = 32,
    SP_ROW_FEED_EPOCH_BYTES = 16,
    SP_ROW_CLIENT_SECRETS = 2, /* one is replaced while the other still works */
};

struct sp_user_row {
    uint32_t tenant;
    uint8_t id[SP_ROW_ID_BYTES]; /* `sub`: random, immutable, never reused */
    uint64_t version;            /* raised by every change; compare-and-set */
    sp_text256 name;             /* normalized (NFKC, case-folded): unique */
    sp_text256 display;          /* as the person wrote it */
    sp_text256 password;         /* PHC string; empty: cannot log in with a password. Wipe after use. */
    sp_text1024 roles;           /* word list */
    uint32_t epoch;              /* `epu`: access tokens with a lower one are refused */
    bool disabled;
    int64_t created_ms;
    int64_t password_changed_ms;
};

struct sp_role_row {
    uint32_t tenant;
    uint64_t version;
    sp_text64 name;
    sp_text4096 permissions; /* word list, sorted, unique */
    int64_t updated_ms;
};

enum sp_session_state { SP_SESSION_ACTIVE = 1, SP_SESSION_ENDED = 2, SP_SESSION_TRIPPED = 3 };
enum sp_session_mode { SP_MODE_TOKEN = 1, SP_MODE_COOKIE = 2 };

/* Why a session ended. Stored: never renumber. Texts: sp_end_cause_name. */
enum sp_end_cause {
    SP_END_NONE = 0,
    SP_END_LOGOUT = 1,
    SP_END_LOGOUT_ALL = 2,
    SP_END_PASSWORD_CHANGE = 3,
    SP_END_REUSE_DETECTED = 4,
    SP_END_GENERATION_IMPOSSIBLE = 5,
    SP_END_ADMIN = 6,
    SP_END_EXPIRED_IDLE = 7,
    SP_END_EXPIRED_ABSOLUTE = 8,
    SP_END_USER_DISABLED = 9,
    SP_END_USER_DELETED = 10,
    SP_END_RESTORE = 11,
    SP_END_TOO_MANY_SESSIONS = 12,
    SP_END_EVERYONE = 13,        /* `revoke --everyone` */
    SP_END_USER_ENDED = 14,      /* the person ended it from another session */
    SP_END_REUSE_ELSEWHERE = 15, /* nuclear revoke: a refresh token of another session was replayed */
    SP_END_CODE_REPLAYED = 16,   /* the authorization code that it began with was redeemed a second time */
    SP_END_CLIENT_REVOKED = 17,  /* its client asked for it: POST /oauth2/revoke */
    SP_END_PARENT = 18,          /* the browser's sign-in that it came from ended */
    SP_END_CAUSE_COUNT
};

struct sp_session_row {
    uint32_t tenant;
    uint8_t sid[SP_ROW_SID_BYTES]; /* begins with the 4-byte tag of its user: a user's sessions are one key
                                      range */
    uint8_t user_id[SP_ROW_ID_BYTES];
    sp_text128 client_id;
    sp_text256 aud;
    sp_text512 scope;
    sp_text64 acr;
    sp_text64 amr;                    /* word list */
    sp_text64 jkt;                    /* DPoP key thumbprint, or empty */
    sp_text256 act;                   /* who acts for the subject, or empty (RFC 8693) */
    uint8_t parent[SP_ROW_SID_BYTES]; /* the browser's sign-in that it came from, which takes it along when
                                         it ends; zeros: none. One level: a parent has none itself. */
    bool offline;                     /* outlives its parent's end (offline_access was granted) */
    bool backchannel;                 /* its end goes into the outbox of logouts */
    enum sp_session_mode mode;
    sp_text128 device;     /* as the client named it */
    sp_text64 address;     /* of the login */
    sp_text256 user_agent; /* of the login, cut */

    enum sp_session_state state;
    enum sp_end_cause cause;
    int64_t ended_ms;

    uint32_t generation;                       /* G */
    uint8_t secret[SP_ROW_SECRET_BYTES];       /* s_G. Wipe after use. */
    uint8_t refresh_key;                       /* number of the refresh key under which it was born */
    uint32_t incarnation;                      /* of the store, when last written by a rotation */
    int64_t rotated_ms[SP_ROW_ROTATIONS_KEPT]; /* newest first; 0: none. [0] is when G became current */
    bool has_attempt;                          /* of the rotation that made G current */
    uint8_t attempt[SP_ROW_ATTEMPT_BYTES];
    bool generation_used; /* G itself has been presented (cookie mode answers without rotating) */

    int64_t created_ms;
    int64_t auth_time_s;
    int64_t last_seen_ms; /* last refresh */
    int64_t idle_expires_ms;
    int64_t absolute_expires_ms;
    int64_t access_exp_max_s; /* latest exp of any access token issued for it */
    uint64_t refreshes;
    uint32_t global_epoch; /* at birth; the session is over when the store's session floor is above it */
};
/* Ids of random bytes are never all zeros, which stand for none. */
static inline bool sp_row_id_is_none(const uint8_t *id, size_t n) {
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++) any |= id[i];
    return any == 0;
}
static inline bool sp_session_has_parent(const struct sp_session_row *row) {
    return !sp_row_id_is_none(row->parent, sizeof(row->parent));
}

enum sp_key_use {
    SP_KEY_ACCESS = 1,  /* signs access tokens */
    SP_KEY_REFRESH = 2, /* tag and ratchet of refresh tokens; has a number */
    SP_KEY_SID_TAG = 3, /* user tag in session ids; never rotates */
    SP_KEY_CSRF = 4,
    SP_KEY_AUDIT = 5, /* MAC over the audit head */
    SP_KEY_FEED = 6,  /* signs the revocation feed; never a token */
};
enum sp_key_state {
    SP_KEY_ANNOUNCED = 1,
    SP_KEY_SIGNING = 2,
    SP_KEY_RETIRED = 3,
    SP_KEY_GONE = 4,
    SP_KEY_REVOKED = 5
};

struct sp_key_row {
    uint32_t tenant;
    uint64_t version;
    sp_text64 kid; /* primary key */
    enum sp_key_use use;
    sp_text32 alg;
    enum sp_key_state state;
    uint8_t number; /* refresh keys: the id byte inside the token */
    int64_t created_ms;
    int64_t signing_from_ms;
    int64_t retired_ms;
    int64_t gone_ms;        /* when a retired key is dropped from the JWKS */
    sp_text1024 public_jwk; /* empty for secrets */
    sp_text4096 sealed;     /* AEAD of the private bytes; binary */
};

/* A secret that a client shows: SHA-256 of its text, never the text. It is random (32 bytes), so that a plain
 * hash cannot be guessed backwards. */
struct sp_client_secret {
    bool used; /* this place is taken */
    uint8_t hash[SP_ROW_HASH_BYTES];
    int64_t created_ms;
    int64_t expires_ms; /* from then on it is refused; 0: never */
};

/* A program that authenticates itself: a service that follows the feed, an OAuth client. */
struct sp_client_row {
    uint32_t tenant;
    uint64_t version;
    sp_text128 id;
    bool is_public;
    bool feed; /* may follow the feed of revocations */
    bool disabled;
    sp_text64 auth_method;
    sp_text256 grants;     /* word list */
    sp_text1024 scopes;    /* word list */
    sp_text1024 audiences; /* word list */
    sp_text4096 redirect_uris;
    sp_text4096 jwks;
    bool rotate_refresh;
    sp_text128 name;                       /* as it is shown to people */
    sp_text512 backchannel_logout_uri;     /* where its logout tokens go; empty: nowhere */
    sp_text1024 post_logout_redirect_uris; /* word list */
    bool trusted;                          /* nobody is asked for consent */
    bool require_par;                      /* an authorization request must have been pushed (RFC 9126) */
    bool require_dpop;                     /* no tokens without a proof of a key (RFC 9449) */
    /* What stands for its own access tokens (sub == client_id) among the users' epochs. Zeros: not yet, in a
     * row from before there was one; whoever puts the row next fills it in. Once there, it stays. */
    uint8_t subject[SP_ROW_ID_BYTES];
    uint32_t epoch; /* its tokens with a lower one are refused */
    struct sp_client_secret secrets[SP_ROW_CLIENT_SECRETS];
    int64_t created_ms;
};
static inline bool sp_client_has_subject(const struct sp_client_row *row) {
    return !sp_row_id_is_none(row->subject, sizeof(row->subject));
}

/* What a person allowed a client to have. It is worth nothing when it is older than the client: a client that
 * was deleted leaves these behind. */
struct sp_consent_row {
    uint32_t tenant;
    uint8_t user_id[SP_ROW_ID_BYTES];
    sp_text128 client_id;
    sp_text1024 scopes; /* word list */
    int64_t granted_ms;
};

/* A session that has ended, of which its client is still to be told (OpenID Connect Back-Channel Logout). */
struct sp_logout_row {
    uint32_t tenant;
    uint64_t seq; /* never given twice, but by a store that went back in time */
    uint8_t sid[SP_ROW_SID_BYTES];
    uint8_t user_id[SP_ROW_ID_BYTES];
    sp_text128 client_id;
    enum sp_end_cause cause;
    int64_t created_ms; /* when the session ended */
    uint32_t tries;     /* that failed */
    int64_t next_ms;    /* not to be tried before */
};

/* Facts about the store as a whole. */
struct sp_meta_row {
    uint32_t incarnation;          /* changes when the store went back in time or a backup was restored */
    uint64_t boots;                /* raised at every start */
    int64_t alive_ms;              /* last proof of life, kept fresh while any retry window may be open */
    uint32_t global_epoch;         /* `epg` */
    uint32_t session_floor;        /* sessions born under a lower global epoch are over ... */
    enum sp_end_cause floor_cause; /* ... for this reason ... */
    int64_t floor_ms;              /* ... since then */
    uint64_t revoke_seq;           /* last sequence given to a revocation */
    int64_t access_ttl_max_s;      /* longest access token lifetime ever configured */
    uint64_t audit_count;          /* records ever written, the pruned ones too */
    uint8_t audit_head[SP_ROW_HASH_BYTES];
    uint8_t audit_mac[SP_ROW_HASH_BYTES];
    uint8_t feed_epoch[SP_ROW_FEED_EPOCH_BYTES]; /* random; a new one whenever the incarnation changes */
    uint8_t feed_head[SP_ROW_HASH_BYTES]; /* of the chain over revocations, at revoke_seq; zeros: not begun */
    uint64_t audit_base;                  /* records 1 .. audit_base have been pruned; 0: none */
    uint8_t
        audit_base_hash[SP_ROW_HASH_BYTES]; /* of record audit_base: where the chain begins; zeros for 0 */
    uint64_t logout_seq;                    /* last one given to a row of the outbox of logouts */
};

enum sp_revoke_what {
    SP_REVOKED_JTI = 1,
    SP_REVOKED_SID = 2,
    SP_REVOKED_USER_EPOCH = 3,
    SP_REVOKED_GLOBAL_EPOCH = 4
};

struct sp_revocation_row {
    uint32_t tenant;
    uint64_t seq;
    enum sp_revoke_what what;
    uint8_t id[SP_ROW_SID_BYTES]; /* jti or user id: 16 bytes and zeros; sid: 20 */
    uint32_t epoch;               /* for epochs */
    int64_t expires_s;            /* nothing that it concerns can pass anywhere after this */
};

/* A stored audit record. `body` and `personal` are the heap's; sp_audit_row_done frees them. */
struct sp_audit_row {
    uint64_t seq; /* 1, 2, 3, ... without gaps */
    int64_t time_ms;
    sp_text64 action;
    sp_text32 outcome;
    sp_text64 actor; /* user id text, "admin:uid", "system", or empty */
    sp_text64 target;
    char *body; /* canonical JSON: exactly the bytes that the chain covers */
    size_t body_n;
    char *personal; /* salted personal values as JSON; NULL when erased or none */
    size_t personal_n;
    uint8_t hash[SP_ROW_HASH_BYTES];
};
void sp_audit_row_done(struct sp_audit_row *row);

const char *sp_end_cause_name(enum sp_end_cause cause);

#endif
