#include "fixture.h"

#include <dirent.h>
#include <unistd.h>

#include "store/memory.h"
#include "store/sqlite.h"

/* ---- environment ---- */

static void record(void *arg, const struct sp_store_event *in) {
    struct fixture *f = arg;
    pthread_mutex_lock(&f->mutex);
    assert_true(f->events_n < FIXTURE_EVENTS_MAX);
    struct event *e = &f->events[f->events_n++];
    memset(e, 0, sizeof(*e));
    e->kind = in->kind;
    if (in->revocation != NULL) e->revocation = *in->revocation;
    if (in->role != NULL) e->role = *in->role;
    if (in->role != NULL) e->name = in->role->name;
    if (in->role_name.n != 0) assert_true(sp_ok(SP_TEXT_SET(&e->name, in->role_name)));
    if (in->key != NULL) e->name = in->key->kid;
    if (in->client != NULL) e->client = in->client->id;
    if (in->client != NULL) e->client_version = in->client->version;
    if (in->client_id.n != 0) assert_true(sp_ok(SP_TEXT_SET(&e->client, in->client_id)));
    assert_true((in->kind == SP_EVENT_LOGOUT) == (in->logout != NULL));
    if (in->logout != NULL) e->logout = *in->logout;
    assert_true((in->kind == SP_EVENT_REVOKED) == (in->feed_head != NULL));
    if (in->feed_head != NULL) memcpy(e->feed_head, in->feed_head, sizeof(e->feed_head));
    pthread_mutex_unlock(&f->mutex);
}

size_t events_count(struct fixture *f) {
    pthread_mutex_lock(&f->mutex);
    size_t n = f->events_n;
    pthread_mutex_unlock(&f->mutex);
    return n;
}

static void mix(uint8_t *hash, sp_slice bytes) {
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < SP_ROW_HASH_BYTES; i++) h = (h ^ hash[i]) * 0x100000001b3U;
    for (size_t i = 0; i < bytes.n; i++) h = (h ^ bytes.p[i]) * 0x100000001b3U;
    for (size_t i = 0; i < SP_ROW_HASH_BYTES; i++) {
        h = (h ^ i) * 0x100000001b3U;
        hash[i] = (uint8_t)(h >> 32);
    }
}

void chain_link(void *arg, uint64_t seq, const uint8_t *prev, sp_slice body, uint8_t *ret_hash) {
    (void)arg;
    uint8_t hash[SP_ROW_HASH_BYTES];
    memcpy(hash, prev, sizeof(hash));
    mix(hash, sp_slice_of(&seq, sizeof(seq)));
    mix(hash, body);
    memcpy(ret_hash, hash, sizeof(hash));
}

void chain_seal(void *arg, const struct sp_meta_row *meta, uint8_t *ret_mac) {
    (void)arg;
    uint8_t mac[SP_ROW_HASH_BYTES];
    memcpy(mac, meta->audit_head, sizeof(mac));
    mix(mac, sp_slice_of(&meta->audit_count, sizeof(meta->audit_count)));
    mix(mac, sp_slice_of(&meta->audit_base, sizeof(meta->audit_base)));
    mix(mac, SP_SLICE_ARRAY(meta->audit_base_hash));
    memcpy(ret_mac, mac, sizeof(mac));
}

void feed_start(void *arg, const uint8_t epoch[SP_ROW_FEED_EPOCH_BYTES],
                uint8_t ret_head[SP_ROW_HASH_BYTES]) {
    (void)arg;
    uint8_t head[SP_ROW_HASH_BYTES] = {1};
    mix(head, sp_slice_of(epoch, SP_ROW_FEED_EPOCH_BYTES));
    memcpy(ret_head, head, sizeof(head));
}

void feed_link(void *arg, const uint8_t prev[SP_ROW_HASH_BYTES], const struct sp_revocation_row *row,
               uint8_t ret_head[SP_ROW_HASH_BYTES]) {
    (void)arg;
    uint8_t head[SP_ROW_HASH_BYTES];
    memcpy(head, prev, sizeof(head));
    mix(head, sp_slice_of(&row->seq, sizeof(row->seq)));
    mix(head, sp_slice_of(&row->what, sizeof(row->what)));
    mix(head, SP_SLICE_ARRAY(row->id));
    mix(head, sp_slice_of(&row->epoch, sizeof(row->epoch)));
    mix(head, sp_slice_of(&row->expires_s, sizeof(row->expires_s)));
    memcpy(ret_head, head, sizeof(head));
}

struct sp_store_env fixture_env(struct fixture *f) {
    return (struct sp_store_env){.publisher = {record, f},
                                 .audit = {chain_link, chain_seal, NULL},
                                 .feed = {feed_start, feed_link, NULL},
                                 .log = sp_log_none};
}

/* ---- open, close ---- */

static void open_store(struct fixture *f) {
    if (strcmp(f->backend, "memory") == 0) {
        assert_true(sp_ok(sp_store_memory_new(&f->store)));
    } else {
        assert_string_equal(f->backend, "sqlite");
        const struct sp_sqlite_opts opts = {.dir = f->dir};
        assert_true(sp_ok(sp_store_sqlite_open(&opts, &f->store)));
    }
    struct sp_store_env env = fixture_env(f);
    f->store->ops->set_env(f->store, &env);
}

void fixture_open(struct fixture *f, const char *backend) {
    memset(f, 0, sizeof(*f));
    f->backend = backend;
    assert_int_equal(pthread_mutex_init(&f->mutex, NULL), 0);
    snprintf(f->dir, sizeof(f->dir), "/tmp/sallyport-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    open_store(f);
}

void fixture_reopen(struct fixture *f) {
    if (strcmp(f->backend, "memory") == 0) return;
    sp_store_close(f->store);
    open_store(f);
}

void remove_dir(const char *dir) {
    DIR *d = opendir(dir);
    if (d == NULL) return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.') unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
    rmdir(dir);
}

void fixture_close(struct fixture *f) {
    sp_store_close(f->store);
    remove_dir(f->dir);
    pthread_mutex_destroy(&f->mutex);
}

/* ---- commits ---- */

enum sp_code commit_set(struct fixture *f, struct sp_change *changes, size_t n, size_t *ret_failed) {
    return sp_store_commit_wait(f->store, changes, n, ret_failed).code;
}

enum sp_code commit_one(struct fixture *f, struct sp_change *change) {
    return commit_set(f, change, 1, NULL);
}

/* ---- rows: zeroed whole, so that they can be compared whole ---- */

struct sp_user_row make_user(unsigned n) {
    struct sp_user_row u;
    memset(&u, 0, sizeof(u));
    u.tenant = SP_TENANT_DEFAULT;
    u.version = 1;
    u.id[0] = (uint8_t)n;
    u.id[15] = 0x77;
    char name[32];
    snprintf(name, sizeof(name), "user%03u", n);
    text_set(&u.name, name);
    text_set(&u.display, "User");
    text_set(&u.password, "$argon2id$x");
    text_set(&u.roles, "reader writer");
    u.created_ms = NOW_MS - 1000;
    u.password_changed_ms = NOW_MS - 500;
    return u;
}

struct sp_session_row make_session(unsigned user, unsigned k) {
    struct sp_session_row s;
    memset(&s, 0, sizeof(s));
    s.tenant = SP_TENANT_DEFAULT;
    s.sid[0] = s.sid[1] = s.sid[2] = s.sid[3] = (uint8_t)user;
    s.sid[18] = (uint8_t)(k >> 8);
    s.sid[19] = (uint8_t)k;
    struct sp_user_row u = make_user(user);
    memcpy(s.user_id, u.id, sizeof(s.user_id));
    text_set(&s.client_id, "app");
    text_set(&s.aud, "https://api.example");
    text_set(&s.scope, "a b");
    text_set(&s.acr, "1");
    text_set(&s.amr, "pwd");
    text_set(&s.jkt, "thumb");
    text_set(&s.device, "Laptop");
    text_set(&s.address, "192.0.2.1");
    text_set(&s.user_agent, "Mozilla/5.0");
    s.mode = SP_MODE_TOKEN;
    s.state = SP_SESSION_ACTIVE;
    s.generation = 5;
    memset(s.secret, (int)(0xa0 + k), sizeof(s.secret));
    s.refresh_key = 3;
    s.incarnation = 1;
    s.rotated_ms[0] = NOW_MS;
    s.created_ms = NOW_MS + k;
    s.auth_time_s = NOW_S;
    s.last_seen_ms = NOW_MS;
    s.idle_expires_ms = NOW_MS + 100000;
    s.absolute_expires_ms = NOW_MS + 500000;
    s.access_exp_max_s = NOW_S + 900;
    return s;
}

struct sp_role_row make_role(const char *name, const char *permissions) {
    struct sp_role_row r;
    memset(&r, 0, sizeof(r));
    r.tenant = SP_TENANT_DEFAULT;
    r.updated_ms = NOW_MS;
    text_set(&r.name, name);
    text_set(&r.permissions, permissions);
    return r;
}

struct sp_key_row make_key(const char *kid, int64_t created_ms) {
    struct sp_key_row k;
    memset(&k, 0, sizeof(k));
    k.tenant = SP_TENANT_DEFAULT;
    text_set(&k.kid, kid);
    text_set(&k.alg, "ES256");
    text_set(&k.public_jwk, "{}");
    assert_true(sp_ok(SP_TEXT_SET(&k.sealed, SP_SLICE_LIT("\0\1\2\0binary"))));
    k.use = SP_KEY_ACCESS;
    k.state = SP_KEY_ANNOUNCED;
    k.number = 7;
    k.created_ms = created_ms;
    return k;
}

struct sp_client_row make_client(const char *id) {
    struct sp_client_row c;
    memset(&c, 0, sizeof(c));
    c.tenant = SP_TENANT_DEFAULT;
    text_set(&c.id, id);
    text_set(&c.auth_method, "client_secret_basic");
    text_set(&c.grants, "client_credentials");
    text_set(&c.scopes, "a b");
    text_set(&c.audiences, "https://api.example");
    text_set(&c.redirect_uris, "https://app.example/back");
    text_set(&c.jwks, "{\"keys\":[]}");
    text_set(&c.name, "Orders");
    c.feed = c.rotate_refresh = true;
    c.subject[0] = 0xc1;
    c.subject[15] = (uint8_t)c.id.n;
    c.epoch = NOW_S;
    c.created_ms = NOW_MS;
    c.secrets[0].used = true;
    memset(c.secrets[0].hash, 0x5c, sizeof(c.secrets[0].hash));
    c.secrets[0].created_ms = NOW_MS;
    c.secrets[0].expires_ms = NOW_MS + 1000;
    return c;
}

void add_user(struct fixture *f, const struct sp_user_row *user) {
    struct sp_change c = {.kind = SP_CHANGE_USER_INSERT, .user_insert = {user}};
    assert_commits(f, &c);
}

void add_session(struct fixture *f, const struct sp_session_row *session) {
    struct sp_change c = {.kind = SP_CHANGE_SESSION_INSERT, .session_insert = {.row = session}};
    assert_commits(f, &c);
}

struct sp_change rotation_of(const struct sp_session_row *row) {
    static const uint8_t next_secret[SP_ROW_SECRET_BYTES] = "next secret 16 b";
    return (struct sp_change){.kind = SP_CHANGE_SESSION_ROTATE,
                              .rotate = {.tenant = row->tenant,
                                         .sid = row->sid,
                                         .generation = row->generation,
                                         .secret = row->secret,
                                         .refresh_key = row->refresh_key,
                                         .client_id = SP_TEXT_SLICE(&row->client_id),
                                         .jkt = SP_TEXT_SLICE(&row->jkt),
                                         .mode = row->mode,
                                         .now_ms = NOW_MS + 1000,
                                         .next_generation = row->generation + 1,
                                         .next_secret = next_secret,
                                         .idle_expires_ms = NOW_MS + 200000,
                                         .access_exp_s = NOW_S + 901}};
}

/* ---- reads ---- */

void read_all(struct fixture *f, struct sp_store_read *r) {
    if (r->tenant == 0) r->tenant = SP_TENANT_DEFAULT;
    assert_int_equal(sp_store_read_wait(f->store, r).code, SP_OK);
}

struct sp_meta_row read_meta(struct fixture *f) {
    struct sp_store_read r = {.kind = SP_READ_META};
    read_all(f, &r);
    struct sp_meta_row meta = r.ret.meta;
    sp_store_read_done(&r);
    return meta;
}

enum sp_code read_session(struct fixture *f, const uint8_t *sid, struct sp_session_row *ret) {
    struct sp_store_read r = {
        .kind = SP_READ_SESSION, .tenant = SP_TENANT_DEFAULT, .key = sp_slice_of(sid, SP_ROW_SID_BYTES)};
    enum sp_code code = sp_store_read_wait(f->store, &r).code;
    if (code == SP_OK && ret != NULL) *ret = r.ret.sessions[0];
    sp_store_read_done(&r);
    return code;
}

enum sp_code read_user(struct fixture *f, const uint8_t *id, struct sp_user_row *ret) {
    struct sp_store_read r = {
        .kind = SP_READ_USER_BY_ID, .tenant = SP_TENANT_DEFAULT, .key = sp_slice_of(id, SP_ROW_ID_BYTES)};
    enum sp_code code = sp_store_read_wait(f->store, &r).code;
    if (code == SP_OK && ret != NULL) *ret = r.ret.users[0];
    sp_store_read_done(&r);
    return code;
}
