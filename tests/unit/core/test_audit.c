#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/json.h"
#include "core/audit.h"

#define T0 INT64_C(1795228417123) /* 2026-11-21T02:33:37.123Z */
enum { RECORDS = 5 };

static const uint8_t user_id[SP_ROW_ID_BYTES] = {1, 2, 3, 4};
static const uint8_t sid[SP_ROW_SID_BYTES] = {5, 6, 7, 8};

static struct sp_audit_event login(void) {
    return (struct sp_audit_event){
        .action = SP_AUDIT_LOGIN,
        .outcome = SP_AUDIT_OK,
        .actor = SP_SLICE_LIT("AQIDBAAAAAAAAAAAAAAAAA"),
        .target = SP_SLICE_LIT("AQIDBAAAAAAAAAAAAAAAAA"),
        .sid = sid,
        .request_id = SP_SLICE_LIT("req-1"),
        .address = SP_SLICE_LIT("192.0.2.7"),
        .user_agent = SP_SLICE_LIT("Browser/1.0 \"quoted\" \\ back"),
        .username = SP_SLICE_LIT("Ada"),
    };
}

static sp_status no_random(void *arg, void *p, size_t n) {
    (void)arg, (void)p, (void)n;
    return sp_err(SP_E_UNAVAILABLE);
}
static sp_status fixed_random(void *arg, void *p, size_t n) {
    (void)arg;
    memset(p, 7, n);
    return SP_SUCCESS;
}
static const struct sp_random fixed = {fixed_random, NULL};

static void build(const struct sp_audit_event *event, struct sp_audit_entry *e) {
    assert_true(sp_ok(sp_audit_build(event, T0, &sp_random_system, e)));
}

static bool has(const struct sp_buf *b, const char *needle) {
    return b->n != 0 && memmem(b->p, b->n, needle, strlen(needle)) != NULL;
}

/* ---- what a record says ---- */

static void record_has_its_members_in_their_order(void **state) {
    (void)state;
    const struct sp_log_field detail[] = {SP_LOGF_TEXT("device", SP_SLICE_LIT("phone")),
                                          SP_LOGF_I64("n", -3)};
    struct sp_audit_event event = login();
    event.detail = detail;
    event.detail_n = 2;
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    assert_true(sp_ok(sp_audit_build(&event, T0, &fixed, &e)));
    const char *begin =
        "{\"v\":1,\"time\":\"2026-11-21T02:33:37.123Z\",\"action\":\"login\",\"outcome\":\"ok\","
        "\"actor\":\"AQIDBAAAAAAAAAAAAAAAAA\",\"target\":\"AQIDBAAAAAAAAAAAAAAAAA\","
        "\"session\":\"BQYHCAAAAAAAAAAAAAAAAAAAAAA\",\"request_id\":\"req-1\","
        "\"detail\":{\"device\":\"phone\",\"n\":-3},\"commitments\":{\"address\":\"";
    assert_true(e.body.n > strlen(begin));
    assert_memory_equal(e.body.p, begin, strlen(begin));
    SP_AUTO(sp_audit_entry) again = SP_AUDIT_ENTRY_INIT;
    assert_true(sp_ok(sp_audit_build(&event, T0, &fixed, &again)));
    assert_true(sp_slice_eq(sp_buf_slice(&e.body), sp_buf_slice(&again.body))); /* canonical */
}

static void personal_values_stand_beside_the_body_and_not_in_it(void **state) {
    (void)state;
    struct sp_audit_event event = login();
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    /* Not under a salt of chance: one in two thousand has "Ada" in its commitments. */
    assert_true(sp_ok(sp_audit_build(&event, T0, &fixed, &e)));
    assert_false(has(&e.body, "192.0.2.7"));
    assert_false(has(&e.body, "Browser"));
    assert_false(has(&e.body, "Ada"));
    assert_true(has(&e.personal, "\"address\":\"192.0.2.7\""));
    assert_true(has(&e.personal, "\"username\":\"Ada\""));
}

static void one_value_is_committed_to_differently_each_time(void **state) {
    (void)state;
    struct sp_audit_event event = login();
    SP_AUTO(sp_audit_entry) a = SP_AUDIT_ENTRY_INIT;
    SP_AUTO(sp_audit_entry) b = SP_AUDIT_ENTRY_INIT;
    build(&event, &a);
    build(&event, &b);
    assert_false(sp_slice_eq(sp_buf_slice(&a.body), sp_buf_slice(&b.body)));
}

static void record_of_nobody_has_no_personal_values(void **state) {
    (void)state;
    const struct sp_audit_event event = {.action = SP_AUDIT_SERVER_STARTED, .actor = SP_AUDIT_ACTOR_SYSTEM};
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    build(&event, &e);
    assert_int_equal(e.personal.n, 0);
    assert_true(has(&e.body, "\"commitments\":{}}"));
    assert_true(has(&e.body, "\"session\":\"\""));
}

static void texts_of_strangers_are_made_harmless_and_never_fail(void **state) {
    (void)state;
    char long_text[20000];
    memset(long_text, '"', sizeof(long_text));
    struct sp_log_field detail[SP_AUDIT_DETAILS_MAX];
    for (size_t i = 0; i < SP_ARRAY_LEN(detail); i++) {
        detail[i] = SP_LOGF_TEXT("a_rather_long_name_of_a_detail", sp_slice_of(long_text, sizeof(long_text)));
    }
    struct sp_audit_event event = login();
    event.actor = event.target = event.request_id = sp_slice_of(long_text, sizeof(long_text));
    event.address = SP_SLICE_LIT("a\nb\x7f\xFF\x00z");
    event.user_agent = sp_slice_of(long_text, sizeof(long_text));
    event.username = SP_SLICE_LIT("x\xC2\x85y\xE2\x82"); /* C1, and a cut character */
    event.detail = detail;
    event.detail_n = SP_ARRAY_LEN(detail);
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    build(&event, &e);
    assert_int_equal(e.actor.n, 64);
    assert_true(has(&e.personal, "\"address\":\"a?b???z\""));
    assert_true(sp_utf8_printable(sp_buf_slice(&e.body)));
    assert_true(sp_utf8_printable(sp_buf_slice(&e.personal)));
}

static void long_text_is_cut_at_a_character_and_marked(void **state) {
    (void)state;
    char text[SP_AUDIT_VALUE_BYTES_MAX + 4];
    memset(text, 'x', sizeof(text));
    memcpy(text + SP_AUDIT_VALUE_BYTES_MAX - 1, "\u20AC", 3); /* begins inside, ends outside */
    struct sp_audit_event event = login();
    event.username = sp_slice_of(text, sizeof(text));
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    build(&event, &e);
    assert_true(has(&e.personal, "xxx\u2026\""));
    assert_false(has(&e.personal, "\u20AC"));
}

static void record_without_a_salt_is_not_made(void **state) {
    (void)state;
    const struct sp_random none = {no_random, NULL};
    struct sp_audit_event event = login();
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    assert_int_equal(sp_audit_build(&event, T0, &none, &e).code, SP_E_UNAVAILABLE);
}

static void actor_texts(void **state) {
    (void)state;
    sp_text64 t;
    sp_audit_actor_user(user_id, &t);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&t), "AQIDBAAAAAAAAAAAAAAAAA"));
    sp_audit_actor_admin(4294967295u, &t);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&t), "admin:4294967295"));
}

static void action_names_are_unique_and_fit_their_column(void **state) {
    (void)state;
    for (int i = 0; i < SP_AUDIT_ACTION_COUNT; i++) {
        const char *name = sp_audit_action_name((enum sp_audit_action)i);
        assert_in_range(strlen(name), 1, 64);
        assert_true(strlen(sp_audit_action_doc((enum sp_audit_action)i)) > 10);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, sp_audit_action_name((enum sp_audit_action)j));
    }
}

/* ---- the chain ---- */

/* What a store keeps, in an array. */
struct log {
    struct sp_hmac_key key;
    struct sp_audit_row rows[RECORDS];
    size_t n;
    struct sp_meta_row meta;
};

static char *copy_of(sp_slice s) {
    if (s.n == 0) return NULL;
    char *p = malloc(s.n);
    assert_non_null(p);
    memcpy(p, s.p, s.n);
    return p;
}

static void append(struct log *l, const struct sp_audit_entry *e) {
    const struct sp_change c = sp_audit_entry_change(e);
    struct sp_audit_row *row = &l->rows[l->n++];
    *row = (struct sp_audit_row){.seq = l->meta.audit_count + 1, .time_ms = c.audit.time_ms};
    assert_true(sp_ok(SP_TEXT_SET(&row->action, c.audit.action)));
    assert_true(sp_ok(SP_TEXT_SET(&row->outcome, c.audit.outcome)));
    assert_true(sp_ok(SP_TEXT_SET(&row->actor, c.audit.actor)));
    assert_true(sp_ok(SP_TEXT_SET(&row->target, c.audit.target)));
    row->body = copy_of(c.audit.body);
    row->body_n = c.audit.body.n;
    row->personal = copy_of(c.audit.personal);
    row->personal_n = c.audit.personal.n;
    struct sp_audit_hooks hooks = sp_audit_hooks_make(&l->key);
    hooks.link(hooks.arg, row->seq, l->meta.audit_head, c.audit.body, row->hash);
    memcpy(l->meta.audit_head, row->hash, sizeof(row->hash));
    l->meta.audit_count++;
    hooks.seal(hooks.arg, &l->meta, l->meta.audit_mac);
}

static int log_make(void **state) {
    struct log *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    sp_hmac_key_init(&l->key, SP_SLICE_LIT("an audit key of thirty-two bytes"));
    for (int i = 0; i < RECORDS; i++) {
        SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
        struct sp_audit_event event = login();
        if (i % 2 == 1) event.action = SP_AUDIT_LOGOUT;
        assert_true(sp_ok(sp_audit_build(&event, T0 + i, &sp_random_system, &e)));
        append(l, &e);
    }
    *state = l;
    return 0;
}

static int log_free(void **state) {
    struct log *l = *state;
    for (size_t i = 0; i < RECORDS; i++) {
        free(l->rows[i].body);
        free(l->rows[i].personal);
    }
    free(l);
    return 0;
}

static struct sp_audit_verifier verify(struct log *l) {
    struct sp_audit_verifier v;
    sp_audit_verifier_init(&v);
    for (size_t i = 0; i < l->n; i++) sp_audit_verifier_row(&v, &l->rows[i]);
    bool intact = sp_audit_verifier_finish(&v, &l->meta, &l->key);
    assert_true(intact == (v.why == NULL));
    return v;
}

static void expect_intact(struct log *l) {
    struct sp_audit_verifier v = verify(l);
    if (v.why != NULL) fail_msg("%s", v.why);
    assert_int_equal(v.count, RECORDS);
    assert_int_equal(v.bad_seq, 0);
}

static void expect_broken(struct log *l, uint64_t at) {
    struct sp_audit_verifier v = verify(l);
    assert_non_null(v.why);
    assert_int_equal(v.bad_seq, at);
}

static void whole_log_verifies(void **state) {
    expect_intact(*state);
}

static void every_changed_byte_of_a_body_is_found(void **state) {
    struct log *l = *state;
    for (size_t i = 0; i < l->rows[2].body_n; i++) {
        l->rows[2].body[i] ^= 1;
        expect_broken(l, 3);
        l->rows[2].body[i] ^= 1;
    }
    expect_intact(l);
}

static void changed_column_is_found_though_the_body_is_whole(void **state) {
    struct log *l = *state;
    l->rows[1].time_ms++;
    expect_broken(l, 2);
    l->rows[1].time_ms--;
    l->rows[1].actor.s[0] ^= 1;
    expect_broken(l, 2);
    l->rows[1].actor.s[0] ^= 1;
    const sp_text64 action = l->rows[1].action;
    assert_true(sp_ok(SP_TEXT_SET(&l->rows[1].action, SP_SLICE_LIT("login"))));
    expect_broken(l, 2);
    l->rows[1].action = action;
    l->rows[1].target.n = 0;
    expect_broken(l, 2);
}

static void deletion_in_the_middle_is_found(void **state) {
    struct log *l = *state;
    const struct sp_audit_row gone = l->rows[2];
    memmove(&l->rows[2], &l->rows[3], 2 * sizeof(l->rows[0]));
    l->rows[4] = gone; /* only so that it is freed */
    l->n--;
    expect_broken(l, 3);
}

static void deletion_with_renumbering_is_found(void **state) {
    struct log *l = *state;
    const struct sp_audit_row gone = l->rows[2];
    memmove(&l->rows[2], &l->rows[3], 2 * sizeof(l->rows[0]));
    l->rows[4] = gone;
    l->n--;
    l->rows[2].seq = 3;
    l->rows[3].seq = 4;
    expect_broken(l, 3);
}

static void cut_tail_is_found(void **state) {
    struct log *l = *state;
    l->n--;
    expect_broken(l, 5);
}

/* The thief also moves count and head back, but has no MAC for them. */
static void cut_tail_with_moved_head_is_found(void **state) {
    struct log *l = *state;
    l->n--;
    l->meta.audit_count--;
    memcpy(l->meta.audit_head, l->rows[3].hash, SP_ROW_HASH_BYTES);
    expect_broken(l, 5);
}

static void swapped_records_are_found(void **state) {
    struct log *l = *state;
    struct sp_audit_row t = l->rows[1];
    l->rows[1] = l->rows[2];
    l->rows[2] = t;
    expect_broken(l, 2);
    l->rows[1].seq = 2;
    l->rows[2].seq = 3;
    expect_broken(l, 2);
}

/* Everything computed anew by somebody who has no AUDIT key. */
static void recomputed_chain_is_found(void **state) {
    struct log *l = *state;
    struct sp_hmac_key theirs;
    sp_hmac_key_init(&theirs, SP_SLICE_LIT("guess"));
    struct sp_audit_hooks hooks = sp_audit_hooks_make(&theirs);
    uint8_t head[SP_ROW_HASH_BYTES] = {0};
    char *at = memmem(l->rows[0].body, l->rows[0].body_n, "req-1", 5);
    assert_non_null(at);
    at[4] = '2';
    for (size_t i = 0; i < l->n; i++) {
        hooks.link(hooks.arg, i + 1, head, sp_slice_of(l->rows[i].body, l->rows[i].body_n), l->rows[i].hash);
        memcpy(head, l->rows[i].hash, sizeof(head));
    }
    expect_broken(l, RECORDS + 1); /* head differs from the sealed one */
    memcpy(l->meta.audit_head, head, sizeof(head));
    hooks.seal(hooks.arg, &l->meta, l->meta.audit_mac);
    expect_broken(l, RECORDS + 1); /* and their seal is not ours */
}

static void emptied_log_is_found(void **state) {
    struct log *l = *state;
    l->n = 0;
    expect_broken(l, 1);
    memset(&l->meta, 0, sizeof(l->meta));
    expect_broken(l, 1);
}

static void erased_personal_values_still_verify(void **state) {
    struct log *l = *state;
    for (size_t i = 0; i < l->n; i++) {
        free(l->rows[i].personal);
        l->rows[i].personal = NULL;
        l->rows[i].personal_n = 0;
    }
    expect_intact(l);
}

static void every_changed_personal_byte_is_found(void **state) {
    struct log *l = *state;
    for (size_t i = 0; i < l->rows[0].personal_n; i++) {
        l->rows[0].personal[i] ^= 1;
        expect_broken(l, 1);
        l->rows[0].personal[i] ^= 1;
    }
    expect_intact(l);
}

static void personal_values_of_another_record_are_found(void **state) {
    struct log *l = *state;
    char *p = l->rows[0].personal;
    size_t n = l->rows[0].personal_n;
    l->rows[0].personal = l->rows[1].personal;
    l->rows[0].personal_n = l->rows[1].personal_n;
    l->rows[1].personal = p;
    l->rows[1].personal_n = n;
    expect_broken(l, 1);
}

/* One value left out, the others kept: erasing is all or nothing. */
static void partly_erased_personal_values_are_found(void **state) {
    struct log *l = *state;
    char *at = memmem(l->rows[0].personal, l->rows[0].personal_n, ",\"username\":\"Ada\"", 17);
    assert_non_null(at);
    at[0] = '}';
    l->rows[0].personal_n = (size_t)(at - l->rows[0].personal) + 1;
    expect_broken(l, 1);
}

/* ---- a log that was pruned ---- */

/* What a pruning leaves: the rows are only passed over here. */
static struct sp_audit_verifier verify_pruned(struct log *l) {
    struct sp_audit_verifier v;
    sp_audit_verifier_init_from(&v, l->meta.audit_base, l->meta.audit_base_hash);
    for (size_t i = l->meta.audit_base; i < l->n; i++) sp_audit_verifier_row(&v, &l->rows[i]);
    sp_audit_verifier_finish(&v, &l->meta, &l->key);
    return v;
}

static void move_base(struct log *l, uint64_t base) {
    l->meta.audit_base = base;
    memset(l->meta.audit_base_hash, 0, SP_ROW_HASH_BYTES);
    if (base != 0) memcpy(l->meta.audit_base_hash, l->rows[base - 1].hash, SP_ROW_HASH_BYTES);
}

static void prune(struct log *l, uint64_t base) {
    const struct sp_audit_hooks hooks = sp_audit_hooks_make(&l->key);
    move_base(l, base);
    hooks.seal(hooks.arg, &l->meta, l->meta.audit_mac);
}

/* Stores that were written before there was pruning open with the seal that they have. */
static void seal_of_a_log_that_was_never_pruned_is_what_it_always_was(void **state) {
    struct log *l = *state;
    const uint8_t count_be[8] = {0, 0, 0, 0, 0, 0, 0, RECORDS};
    const sp_slice parts[] = {SP_SLICE_LIT("sallyport audit head v1"), SP_SLICE_ARRAY(count_be),
                              SP_SLICE_ARRAY(l->meta.audit_head)};
    uint8_t mac[SP_ROW_HASH_BYTES];
    sp_hmac_parts(&l->key, parts, SP_ARRAY_LEN(parts), mac);
    assert_memory_equal(l->meta.audit_mac, mac, sizeof(mac));
}

static void pruned_log_verifies_from_its_base(void **state) {
    struct log *l = *state;
    for (uint64_t base = 0; base < RECORDS; base++) {
        prune(l, base);
        const struct sp_audit_verifier v = verify_pruned(l);
        if (v.why != NULL) fail_msg("%s", v.why);
        assert_int_equal(v.count, RECORDS);
    }
}

static void head_cut_off_is_found(void **state) {
    struct log *l = *state;
    struct sp_audit_verifier v;
    sp_audit_verifier_init_from(&v, 0, l->meta.audit_base_hash);
    for (size_t i = 2; i < l->n; i++) sp_audit_verifier_row(&v, &l->rows[i]);
    assert_false(sp_audit_verifier_finish(&v, &l->meta, &l->key));
    assert_int_equal(v.bad_seq, 1);
}

/* By somebody who knows the hashes, which everybody may, and has no AUDIT key. */
static void base_moved_without_the_key_is_found(void **state) {
    struct log *l = *state;
    move_base(l, 2);
    assert_non_null(verify_pruned(l).why);
    assert_false(sp_audit_head_is_ours(&l->meta, &l->key));
    prune(l, 2);
    move_base(l, 3);
    assert_non_null(verify_pruned(l).why);
    move_base(l, 0);
    assert_non_null(verify_pruned(l).why);
    prune(l, 2);
    l->meta.audit_base_hash[0] ^= 1;
    assert_non_null(verify_pruned(l).why);
}

/* The base, or all of the row, as it was at another time. */
static void base_of_another_time_is_found(void **state) {
    struct log *l = *state;
    const struct sp_meta_row unpruned = l->meta;
    prune(l, 2);
    const struct sp_meta_row pruned = l->meta;
    memcpy(l->meta.audit_mac, unpruned.audit_mac, SP_ROW_HASH_BYTES);
    assert_false(sp_audit_head_is_ours(&l->meta, &l->key));
    prune(l, 3);
    l->meta.audit_base = pruned.audit_base;
    memcpy(l->meta.audit_base_hash, pruned.audit_base_hash, SP_ROW_HASH_BYTES);
    assert_false(sp_audit_head_is_ours(&l->meta, &l->key));

    l->meta = pruned; /* all of the row: its seal fits, and the third record is missing */
    struct sp_audit_verifier v;
    sp_audit_verifier_init_from(&v, l->meta.audit_base, l->meta.audit_base_hash);
    for (size_t i = 3; i < l->n; i++) sp_audit_verifier_row(&v, &l->rows[i]);
    assert_false(sp_audit_verifier_finish(&v, &l->meta, &l->key));
    assert_int_equal(v.bad_seq, 3);
}

/* ---- checkpoints in records ---- */

static void checkpoint_in_a_record_is_read_back_and_believed_for_its_mac(void **state) {
    struct log *l = *state;
    struct sp_audit_checkpoint c, found = {0};
    struct sp_audit_checkpoint_fields f;
    sp_audit_checkpoint_make(&l->meta, T0, &l->key, &c);
    sp_audit_checkpoint_fields(&c, &f);
    const struct sp_audit_event event = {
        .action = SP_AUDIT_AUDIT_CHECKPOINT, .detail = f.field, .detail_n = SP_AUDIT_CHECKPOINT_FIELDS};
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    assert_true(sp_ok(sp_audit_build(&event, T0, &sp_random_system, &e)));
    struct sp_audit_row row = {.body = (char *)e.body.p, .body_n = e.body.n};
    assert_true(sp_ok(SP_TEXT_SET(&row.action, SP_SLICE_LIT("audit_checkpoint"))));
    assert_true(sp_audit_row_checkpoint(&row, SP_AUDIT_AUDIT_CHECKPOINT, &l->key, &found));
    assert_memory_equal(&found, &c, sizeof(c));
    assert_false(sp_audit_row_checkpoint(&row, SP_AUDIT_AUDIT_PRUNED, &l->key, &found));

    char *head = memmem(row.body, row.body_n, "\"head\":\"", 8);
    assert_non_null(head);
    for (size_t i = 8; i < 8 + SP_AUDIT_HASH_CHARS; i++) {
        const char was = head[i];
        head[i] = was == '0' ? '1' : '0';
        assert_false(sp_audit_row_checkpoint(&row, SP_AUDIT_AUDIT_CHECKPOINT, &l->key, &found));
        head[i] = 'g';
        assert_false(sp_audit_row_checkpoint(&row, SP_AUDIT_AUDIT_CHECKPOINT, &l->key, &found));
        head[i] = was;
    }
    for (size_t n = 0; n < row.body_n; n++) {
        struct sp_audit_row cut = row;
        cut.body_n = n;
        assert_false(sp_audit_row_checkpoint(&cut, SP_AUDIT_AUDIT_CHECKPOINT, &l->key, &found));
    }
}

/* ---- coalescing ---- */

static struct sp_audit_event denial(const char *actor, const char *target) {
    return (struct sp_audit_event){.action = SP_AUDIT_PERMISSION_DENIED,
                                   .outcome = SP_AUDIT_DENIED,
                                   .actor = sp_slice_cstr(actor),
                                   .target = sp_slice_cstr(target)};
}

static void first_of_a_minute_is_written_and_repeats_are_counted(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_audit_coalescer) c = NULL;
    struct sp_audit_repeats out[8];
    struct sp_audit_event a = denial("u", "x"), b = denial("u", "y");
    assert_true(sp_ok(sp_audit_coalescer_new(64, &sp_random_system, &c)));
    assert_int_equal(sp_audit_coalesce(c, &a, T0), SP_AUDIT_WRITE);
    assert_int_equal(sp_audit_coalesce(c, &b, T0), SP_AUDIT_WRITE); /* another target */
    assert_int_equal(sp_audit_coalesce(c, &a, T0 + 1), SP_AUDIT_COUNTED);
    assert_int_equal(sp_audit_coalesce(c, &a, T0 + 59999), SP_AUDIT_COUNTED);
    assert_int_equal(sp_audit_coalescer_take(c, T0 + 59999, out, 8), 0);
    assert_int_equal(sp_audit_coalescer_take(c, T0 + 60000, out, 8), 1);
    assert_int_equal(out[0].count, 2);
    assert_true(sp_slice_eq_cstr(SP_TEXT_SLICE(&out[0].target), "x"));
    assert_int_equal(sp_audit_coalescer_take(c, T0 + 60001, out, 8), 0);
    assert_int_equal(sp_audit_coalesce(c, &a, T0 + 60001), SP_AUDIT_WRITE); /* a new minute */

    struct sp_log_field field[SP_AUDIT_REPEATS_FIELDS];
    struct sp_audit_event event;
    sp_audit_repeats_event(&out[0], field, &event);
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    build(&event, &e);
    assert_true(has(&e.body, "\"detail\":{\"repeats\":2,\"since_ms\":1795228417123}"));
}

static void each_reason_has_a_minute_of_its_own(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_audit_coalescer) c = NULL;
    struct sp_audit_repeats out[8];
    struct sp_audit_event a = denial("u", "x"), b = a, none = a;
    a.reason = "expired";
    b.reason = "code_verifier";
    assert_true(sp_ok(sp_audit_coalescer_new(64, &sp_random_system, &c)));
    assert_int_equal(sp_audit_coalesce(c, &a, T0), SP_AUDIT_WRITE);
    assert_int_equal(sp_audit_coalesce(c, &b, T0), SP_AUDIT_WRITE);
    assert_int_equal(sp_audit_coalesce(c, &none, T0), SP_AUDIT_WRITE);
    assert_int_equal(sp_audit_coalesce(c, &b, T0 + 1), SP_AUDIT_COUNTED);
    assert_int_equal(sp_audit_coalescer_take(c, T0 + 60000, out, 8), 1);

    struct sp_log_field field[SP_AUDIT_REPEATS_FIELDS];
    struct sp_audit_event event;
    sp_audit_repeats_event(&out[0], field, &event);
    SP_AUTO(sp_audit_entry) e = SP_AUDIT_ENTRY_INIT;
    build(&event, &e);
    assert_true(
        has(&e.body, "\"detail\":{\"repeats\":1,\"since_ms\":1795228417123,\"reason\":\"code_verifier\"}"));
}

static void unfetched_repeats_are_not_forgotten_by_a_late_event(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_audit_coalescer) c = NULL;
    struct sp_audit_repeats out[8];
    struct sp_audit_event a = denial("u", "x");
    assert_true(sp_ok(sp_audit_coalescer_new(64, &sp_random_system, &c)));
    (void)sp_audit_coalesce(c, &a, T0);
    (void)sp_audit_coalesce(c, &a, T0 + 1);
    assert_int_equal(sp_audit_coalesce(c, &a, T0 + 90000),
                     SP_AUDIT_COUNTED); /* nobody has taken the first ones */
    assert_int_equal(sp_audit_coalescer_take(c, T0 + 90000, out, 8), 1);
    assert_int_equal(out[0].count, 2);
}

static void flood_of_targets_is_bounded_and_every_event_is_counted(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_audit_coalescer) c = NULL;
    enum { EVENTS = 10000, SLOTS = 64 };
    static struct sp_audit_repeats out[SLOTS + SP_AUDIT_ACTION_COUNT];
    uint64_t written = 0, counted = 0;
    assert_true(sp_ok(sp_audit_coalescer_new(SLOTS, &sp_random_system, &c)));
    for (int i = 0; i < EVENTS; i++) {
        char target[16];
        snprintf(target, sizeof(target), "t%d", i);
        struct sp_audit_event e = denial("u", target);
        written += sp_audit_coalesce(c, &e, T0 + i / 1000) == SP_AUDIT_WRITE;
    }
    assert_in_range(written, 1, SLOTS);
    size_t n = sp_audit_coalescer_take(c, T0 + 70000, out, SP_ARRAY_LEN(out));
    for (size_t i = 0; i < n; i++) counted += out[i].count;
    assert_int_equal(written + counted, EVENTS);
}

static void clock_that_goes_back_does_not_keep_a_minute_open(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_audit_coalescer) c = NULL;
    struct sp_audit_event a = denial("u", "x");
    assert_true(sp_ok(sp_audit_coalescer_new(64, &sp_random_system, &c)));
    assert_int_equal(sp_audit_coalesce(c, &a, T0), SP_AUDIT_WRITE);
    assert_int_equal(sp_audit_coalesce(c, &a, T0 - 3600 * 1000), SP_AUDIT_WRITE);
}

enum { THREADS = 4, ROUNDS = 5000 };

static void *coalesce_all_the_time(void *arg) {
    uintptr_t written = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct sp_audit_event e = denial("u", i % 2 == 0 ? "x" : "y");
        written += sp_audit_coalesce(arg, &e, T0) == SP_AUDIT_WRITE;
    }
    return (void *)written;
}

static void threads_lose_no_event(void **state) {
    (void)state;
    SP_AUTO_FREE(sp_audit_coalescer) c = NULL;
    struct sp_audit_repeats out[8];
    pthread_t threads[THREADS];
    uint64_t total = 0;
    assert_true(sp_ok(sp_audit_coalescer_new(64, &sp_random_system, &c)));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, coalesce_all_the_time, c), 0);
    for (int i = 0; i < THREADS; i++) {
        void *written;
        pthread_join(threads[i], &written);
        total += (uintptr_t)written;
    }
    assert_int_equal(total, 2);
    size_t n = sp_audit_coalescer_take(c, T0 + 60000, out, 8);
    for (size_t i = 0; i < n; i++) total += out[i].count;
    assert_int_equal(total, THREADS * ROUNDS);
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, log_make, log_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_has_its_members_in_their_order),
        cmocka_unit_test(personal_values_stand_beside_the_body_and_not_in_it),
        cmocka_unit_test(one_value_is_committed_to_differently_each_time),
        cmocka_unit_test(record_of_nobody_has_no_personal_values),
        cmocka_unit_test(texts_of_strangers_are_made_harmless_and_never_fail),
        cmocka_unit_test(long_text_is_cut_at_a_character_and_marked),
        cmocka_unit_test(record_without_a_salt_is_not_made),
        cmocka_unit_test(actor_texts),
        cmocka_unit_test(action_names_are_unique_and_fit_their_column),
        LOG_TEST(whole_log_verifies),
        LOG_TEST(every_changed_byte_of_a_body_is_found),
        LOG_TEST(changed_column_is_found_though_the_body_is_whole),
        LOG_TEST(deletion_in_the_middle_is_found),
        LOG_TEST(deletion_with_renumbering_is_found),
        LOG_TEST(cut_tail_is_found),
        LOG_TEST(cut_tail_with_moved_head_is_found),
        LOG_TEST(swapped_records_are_found),
        LOG_TEST(recomputed_chain_is_found),
        LOG_TEST(emptied_log_is_found),
        LOG_TEST(erased_personal_values_still_verify),
        LOG_TEST(every_changed_personal_byte_is_found),
        LOG_TEST(personal_values_of_another_record_are_found),
        LOG_TEST(partly_erased_personal_values_are_found),
        LOG_TEST(seal_of_a_log_that_was_never_pruned_is_what_it_always_was),
        LOG_TEST(pruned_log_verifies_from_its_base),
        LOG_TEST(head_cut_off_is_found),
        LOG_TEST(base_moved_without_the_key_is_found),
        LOG_TEST(base_of_another_time_is_found),
        LOG_TEST(checkpoint_in_a_record_is_read_back_and_believed_for_its_mac),
        cmocka_unit_test(first_of_a_minute_is_written_and_repeats_are_counted),
        cmocka_unit_test(each_reason_has_a_minute_of_its_own),
        cmocka_unit_test(unfetched_repeats_are_not_forgotten_by_a_late_event),
        cmocka_unit_test(flood_of_targets_is_bounded_and_every_event_is_counted),
        cmocka_unit_test(clock_that_goes_back_does_not_keep_a_minute_open),
        cmocka_unit_test(threads_lose_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
