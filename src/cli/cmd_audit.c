/* The audit log on the command line. Everything goes page by page, so that a long log needs no memory here
 * and shows how far it is. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/checkpoint.h"
#include "cli/client.h"
#include "cli/confirm.h"
#include "cli/output.h"
#include "http/query_values.h"

enum {
    PATH_BYTES_MAX = 4096, /* the server refuses longer ones anyway */
    PAGE_ROWS = 200,       /* the server's largest page */
    TAIL_DEFAULT = 10,
    TAIL_MAX = 1000000,
    FOLLOW_MS = 500,
    CHECKPOINT_BYTES_MAX = 4096,
};

static const struct sp_column columns[] = {{"SEQ", "seq"},         {"TIME", "time"},   {"ACTION", "action"},
                                           {"OUTCOME", "outcome"}, {"ACTOR", "actor"}, {"TARGET", "target"}};

/* ---- pages ---- */

/* Nonzero ends the walk: an exit status plus one. */
typedef int each_record(void *arg, const json_t *record);

struct walk {
    const struct sp_invocation *in;
    const char *filters; /* "&user=..." or "" */
    uint64_t after;
    each_record *each;
    void *arg;
    bool ended; /* the end of the log was reached; else `each` ended the walk */
};

static int take_page(struct walk *w, const json_t *page) {
    size_t i;
    json_t *record;
    json_array_foreach(json_object_get(page, "records"), i, record) {
        w->after = (uint64_t)json_integer_value(json_object_get(record, "seq"));
        int stop = w->each(w->arg, record);
        if (stop) return stop;
    }
    const json_t *next = json_object_get(page, "next");
    w->ended = !json_is_integer(next);
    if (!w->ended) w->after = (uint64_t)json_integer_value(next);
    return 0;
}

static int walk_page(struct walk *w) {
    char path[PATH_BYTES_MAX];
    struct sp_answer a = {0};
    int n = snprintf(path, sizeof(path), "/admin/v1/audit?limit=%d&after=%" PRIu64 "%s", PAGE_ROWS, w->after,
                     w->filters);
    if (n < 0 || (size_t)n >= sizeof(path)) return sp_usage_error(w->in->command, "too long") + 1;
    int failed = sp_client_call(w->in, "GET", path, NULL, &a);
    if (failed) return failed + 1;
    int stop = take_page(w, a.body);
    sp_answer_done(&a);
    return stop;
}

/* An exit status. */
static int walk(struct walk *w) {
    int stop = 0;
    w->ended = false;
    while (!stop && !w->ended) stop = walk_page(w);
    return stop ? stop - 1 : SP_EXIT_OK;
}

static int number_option(const struct sp_invocation *in, const char *name, uint64_t fallback, uint64_t max,
                         uint64_t *ret) {
    const char *text = sp_invocation_option(in, name);
    *ret = fallback;
    if (text == NULL) return SP_EXIT_OK;
    if (sp_slice_to_u64(sp_slice_cstr(text), ret) && *ret > 0 && *ret <= max) return SP_EXIT_OK;
    return sp_usage_error(in->command, "%s is not a number from 1 to %" PRIu64, text, max);
}

/* ---- show ---- */

/* "24h" is the moment so long ago; anything else is RFC 3339. */
static int append_time(const struct sp_invocation *in, struct sp_buf *b, const char *name) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    const char *text = sp_invocation_option(in, name);
    if (text == NULL) return SP_EXIT_OK;
    char moment[32];
    uint64_t count;
    size_t n = strlen(text);
    for (size_t i = 0; n > 1 && i < SP_ARRAY_LEN(units); i++) {
        if (text[n - 1] != units[i].unit || !sp_slice_to_u64(sp_slice_of(text, n - 1), &count)) continue;
        struct tm t;
        time_t at = count > 10000 * 366 ? 0 : time(NULL) - (time_t)count * units[i].seconds;
        if (at < 0) at = 0;
        gmtime_r(&at, &t);
        strftime(moment, sizeof(moment), "%Y-%m-%dT%H:%M:%SZ", &t);
        text = moment;
        break;
    }
    int64_t ms;
    if (!sp_ok(sp_time_parse(sp_slice_cstr(text), &ms)))
        return sp_usage_error(
            in->command,
            "--%s \"%s\" is not a time: RFC 3339, such as 2026-01-31T12:00:00Z, or how long "
            "ago (90s, 15m, 24h, 7d)",
            name, text);
    sp_status s = sp_buf_printf(b, "&%s=", name);
    if (sp_ok(s)) s = sp_path_append(b, text);
    return sp_ok(s) ? SP_EXIT_OK : sp_usage_error(in->command, "--%s is too long", name);
}

static int append_filter(const struct sp_invocation *in, struct sp_buf *b, const char *name) {
    const char *text = sp_invocation_option(in, name);
    if (text == NULL) return SP_EXIT_OK;
    sp_status s = sp_buf_printf(b, "&%s=", name);
    if (sp_ok(s)) s = sp_path_append(b, text);
    return sp_ok(s) ? SP_EXIT_OK : sp_usage_error(in->command, "--%s is too long", name);
}

static int filters(const struct sp_invocation *in, struct sp_buf *b, const char **ret) {
    int failed = append_filter(in, b, "user");
    if (!failed) failed = append_filter(in, b, "action");
    if (!failed) failed = append_time(in, b, "since");
    if (!failed) failed = append_time(in, b, "until");
    if (!failed && !sp_ok(sp_buf_cstr(b, ret))) failed = sp_usage_error(in->command, "too long");
    return failed;
}

struct gather {
    json_t *rows;
    uint64_t limit;
};

static int gather_record(void *arg, const json_t *record) {
    struct gather *g = arg;
    json_array_append(g->rows, (json_t *)(uintptr_t)record);
    return json_array_size(g->rows) >= g->limit ? SP_EXIT_OK + 1 : 0;
}

int sp_cmd_audit_show(const struct sp_invocation *in) {
    SP_AUTO(sp_buf) query = SP_BUF_INIT(PATH_BYTES_MAX / 2);
    struct gather g = {.rows = json_array()};
    const char *text;
    int failed = number_option(in, "limit", UINT64_MAX, UINT64_MAX, &g.limit);
    if (!failed) failed = filters(in, &query, &text);
    if (!failed) failed = walk(&(struct walk){.in = in, .filters = text, .each = gather_record, .arg = &g});
    if (!failed && in->json) sp_print_json(stdout, g.rows);
    if (!failed && !in->json) sp_print_table(stdout, columns, SP_ARRAY_LEN(columns), g.rows);
    json_decref(g.rows);
    return failed;
}

/* ---- tail ---- */

static int print_line(void *arg, const json_t *record) {
    const struct sp_invocation *in = arg;
    if (in->json) {
        json_dumpf(record, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        fputc('\n', stdout);
    } else {
        sp_print_line(stdout, columns, SP_ARRAY_LEN(columns), record);
    }
    return fflush(stdout) == 0 ? 0 : SP_EXIT_FAILED + 1;
}

static int count_records(const struct sp_invocation *in, uint64_t *ret) {
    struct sp_answer a = {0};
    int failed = sp_client_call(in, "GET", "/admin/v1/status", NULL, &a);
    if (failed) return failed;
    *ret = (uint64_t)json_integer_value(json_object_get(a.body, "audit_count"));
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

int sp_cmd_audit_tail(const struct sp_invocation *in) {
    uint64_t n, count = 0;
    int failed = number_option(in, "n", TAIL_DEFAULT, TAIL_MAX, &n);
    if (!failed) failed = count_records(in, &count);
    struct walk w = {.in = in,
                     .filters = "",
                     .after = count > n ? count - n : 0,
                     .each = print_line,
                     .arg = (void *)(uintptr_t)in};
    if (!failed) failed = walk(&w);
    const struct timespec pause = {.tv_nsec = FOLLOW_MS * 1000000L};
    while (!failed && sp_invocation_option(in, "follow") != NULL) {
        nanosleep(&pause, NULL);
        failed = walk(&w);
    }
    return failed;
}

/* ---- export ---- */

static int export_record(void *arg, const json_t *record) {
    (void)arg;
    if (json_dumpf(record, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) != 0) return SP_EXIT_FAILED + 1;
    return fputc('\n', stdout) == EOF ? SP_EXIT_FAILED + 1 : 0;
}

int sp_cmd_audit_export(const struct sp_invocation *in) {
    int failed = walk(&(struct walk){.in = in, .filters = "", .each = export_record});
    /* A log that ends in the middle because the disk is full must not look like one that ends there. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "sallyport: writing failed: %s\n", strerror(errno));
        return SP_EXIT_FAILED;
    }
    return failed;
}

/* ---- checkpoint ---- */

int sp_cmd_audit_checkpoint(const struct sp_invocation *in) {
    struct sp_answer a = {0};
    int failed = sp_client_call(in, "GET", "/admin/v1/audit/checkpoint", NULL, &a);
    if (failed) return failed;
    sp_print_json(stdout, a.body);
    sp_answer_done(&a);
    return fflush(stdout) == 0 ? SP_EXIT_OK : SP_EXIT_FAILED;
}

/* The text of a checkpoint's file, in `room`. */
static int read_checkpoint(const struct sp_invocation *in, const char *file, char room[CHECKPOINT_BYTES_MAX],
                           sp_slice *ret) {
    FILE *f = fopen(file, "re");
    if (f == NULL) return sp_usage_error(in->command, "%s: %s", file, strerror(errno));
    size_t n = fread(room, 1, CHECKPOINT_BYTES_MAX, f);
    bool whole = !ferror(f) && n < CHECKPOINT_BYTES_MAX;
    fclose(f);
    if (!whole) return sp_usage_error(in->command, "%s is not a checkpoint: it is too long", file);
    *ret = sp_slice_of(room, n);
    return SP_EXIT_OK;
}

static int checkpoint_query(const struct sp_invocation *in, const char *file, struct sp_buf *query) {
    char room[CHECKPOINT_BYTES_MAX], error[SP_CHECKPOINT_ERROR_BYTES] = "out of memory";
    sp_slice text = SP_SLICE_EMPTY;
    int failed = read_checkpoint(in, file, room, &text);
    if (failed || sp_ok(sp_checkpoint_query(text, query, error))) return failed;
    return sp_usage_error(in->command, "%s is not a checkpoint: %s", file, error);
}

/* ---- verify ---- */

static int verify_part(const struct sp_invocation *in, const char *checkpoint, uint64_t after,
                       const char *head, struct sp_answer *ret) {
    char path[PATH_BYTES_MAX];
    int n = snprintf(path, sizeof(path), "/admin/v1/audit/verify?after=%" PRIu64 "%s%s%s", after,
                     head[0] == 0 ? "" : "&head=", head, checkpoint);
    if (n < 0 || (size_t)n >= sizeof(path)) return sp_usage_error(in->command, "too long");
    return sp_client_call(in, "GET", path, NULL, ret);
}

static int64_t integer_of(const struct sp_answer *a, const char *name) {
    return json_integer_value(json_object_get(a->body, name));
}

/* An earlier part of the log has told what became of the records of the checkpoint. */
static void put_on_record(json_t *body, int64_t record) {
    const char *place = json_string_value(json_object_get(body, "checkpoint"));
    if (place == NULL || strcmp(place, "pruned") != 0) return;
    json_object_set_new(body, "checkpoint", json_string("on_record"));
    json_object_set_new(body, "checkpoint_record", json_integer(record));
}

int sp_audit_verify_from(const struct sp_invocation *in, const char *checkpoint, uint64_t after,
                         const char *head, struct sp_answer *ret) {
    char at[2 * 32 + 1];
    int64_t told = 0;
    snprintf(at, sizeof(at), "%s", head);
    for (;;) {
        struct sp_answer a = {0};
        int failed = verify_part(in, checkpoint, after, at, &a);
        if (failed) return failed;
        if (told == 0) told = integer_of(&a, "checkpoint_record");
        if (json_is_true(json_object_get(a.body, "complete"))) {
            sp_progress_end();
            if (told != 0) put_on_record(a.body, told);
            *ret = a;
            return SP_EXIT_OK;
        }
        after = (uint64_t)integer_of(&a, "records");
        snprintf(at, sizeof(at), "%s", json_string_value(json_object_get(a.body, "head")));
        sp_progress("verified", after, (uint64_t)integer_of(&a, "total"));
        sp_answer_done(&a);
    }
}

static bool checkpoint_is(const struct sp_answer *a, const char *place) {
    const char *is = json_string_value(json_object_get(a->body, "checkpoint"));
    return is != NULL && strcmp(is, place) == 0;
}

static void say_intact(const struct sp_answer *a) {
    const int64_t records = integer_of(a, "records"), base = integer_of(a, "base");
    printf("intact: %" PRIi64 " records", records - base);
    if (base != 0) printf(", from %" PRIi64 " on; those before were pruned", base + 1);
    if (checkpoint_is(a, "in_log"))
        printf("%s", base == 0 ? ", and the checkpoint is among them" : "; the checkpoint fits them");
    if (checkpoint_is(a, "on_record"))
        printf("; what the checkpoint covers was pruned by it, as record %" PRIi64 " tells",
               integer_of(a, "checkpoint_record"));
    putchar('\n');
    if (checkpoint_is(a, "pruned"))
        printf("NOT PROVEN: what the checkpoint covers was pruned, and nothing that is left tells of it\n");
}

static void say_broken(const struct sp_answer *a) {
    const char *why = json_string_value(json_object_get(a->body, "why"));
    const int64_t good = integer_of(a, "records") - integer_of(a, "base");
    printf("NOT INTACT: %s (record %" PRIi64 "; %" PRIi64 " before it are good)\n", why ? why : "?",
           integer_of(a, "bad_seq"), good > 0 ? good : 0);
}

int sp_cmd_audit_verify(const struct sp_invocation *in) {
    SP_AUTO(sp_buf) query = SP_BUF_INIT(CHECKPOINT_BYTES_MAX);
    const char *file = sp_invocation_option(in, "checkpoint"), *checkpoint = "";
    struct sp_answer a = {0};
    int failed = file == NULL ? SP_EXIT_OK : checkpoint_query(in, file, &query);
    if (!failed && !sp_ok(sp_buf_cstr(&query, &checkpoint))) failed = SP_EXIT_FAILED;
    if (!failed) failed = sp_audit_verify_from(in, checkpoint, 0, "", &a);
    if (failed) return failed;
    const bool intact = json_is_true(json_object_get(a.body, "intact"));
    const bool proven = intact && !checkpoint_is(&a, "pruned");
    if (in->json) {
        sp_print_json(stdout, a.body);
    } else if (intact) {
        say_intact(&a);
    } else {
        say_broken(&a);
    }
    sp_answer_done(&a);
    return proven ? SP_EXIT_OK : SP_EXIT_FAILED;
}

/* ---- prune ---- */

static int load_checkpoint(const struct sp_invocation *in, json_t **ret) {
    char room[CHECKPOINT_BYTES_MAX], error[SP_CHECKPOINT_ERROR_BYTES] = "out of memory";
    const char *file = sp_invocation_option(in, "checkpoint");
    sp_slice text = SP_SLICE_EMPTY;
    if (file == NULL) return sp_usage_error(in->command, "--checkpoint FILE is needed");
    int failed = read_checkpoint(in, file, room, &text);
    if (failed || sp_ok(sp_checkpoint_body(text, ret, error))) return failed;
    return sp_usage_error(in->command, "%s is not a checkpoint: %s", file, error);
}

struct pruning {
    json_t *checkpoint;
    int64_t pruned, base;
    bool complete;
};

static int prune_part(const struct sp_invocation *in, struct pruning *p) {
    struct sp_answer a = {0};
    int failed = sp_client_call(in, "POST", "/admin/v1/audit/prune", p->checkpoint, &a);
    if (failed) return failed;
    p->complete = json_is_true(json_object_get(a.body, "complete"));
    p->pruned += integer_of(&a, "pruned");
    p->base = integer_of(&a, "base");
    if (p->pruned == 0)
        sp_progress("proved", (uint64_t)integer_of(&a, "proved"), (uint64_t)integer_of(&a, "total"));
    else
        sp_progress("pruned", (uint64_t)p->base, (uint64_t)integer_of(&a, "total"));
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

static void say_pruned(const struct sp_invocation *in, const struct pruning *p) {
    if (in->json) {
        json_t *said = json_pack("{s:I, s:I}", "pruned", (json_int_t)p->pruned, "base", (json_int_t)p->base);
        sp_print_json(stdout, said);
        json_decref(said);
    } else {
        printf("pruned: %" PRIi64 " records; the log begins with record %" PRIi64 "\n", p->pruned,
               p->base + 1);
    }
}

static int confirm_pruning(const struct sp_invocation *in, const json_t *checkpoint) {
    char question[160];
    snprintf(question, sizeof(question),
             "This drops the audit records up to %" JSON_INTEGER_FORMAT " for good. Type prune: ",
             json_integer_value(json_object_get(checkpoint, "count")));
    return sp_confirm(in, question, "prune");
}

int sp_cmd_audit_prune(const struct sp_invocation *in) {
    struct pruning p = {.complete = false};
    int failed = load_checkpoint(in, &p.checkpoint);
    if (!failed) failed = confirm_pruning(in, p.checkpoint);
    while (!failed && !p.complete) failed = prune_part(in, &p);
    sp_progress_end();
    json_decref(p.checkpoint);
    if (!failed) say_pruned(in, &p);
    return failed;
}
