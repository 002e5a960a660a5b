/* `user erase`, `backup` and `restore`: what takes long or cannot be taken back. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/client.h"
#include "cli/confirm.h"
#include "cli/load_config.h"
#include "cli/output.h"
#include "core/app_restore.h"
#include "server/boot_mark.h"
#include "server/masterkey.h"
#include "store/sqlite.h"

enum { PATH_BYTES_MAX = 4096, POLL_MS = 100 };

/* ---- erase ---- */

struct erasing {
    char who[512];
    int64_t after, erased, sessions;
    bool complete;
};

static int erase_part(const struct sp_invocation *in, struct erasing *e) {
    SP_AUTO(sp_buf) path = SP_BUF_INIT(PATH_BYTES_MAX);
    const char *text;
    struct sp_answer a = {0};
    sp_status s = sp_buf_append_cstr(&path, "/admin/v1/users/");
    if (sp_ok(s)) s = sp_path_append(&path, e->who);
    if (sp_ok(s)) s = sp_buf_printf(&path, "/erase?after=%" PRIi64, e->after);
    if (sp_ok(s)) s = sp_buf_cstr(&path, &text);
    if (!sp_ok(s)) return sp_usage_error(in->command, "the name is too long");
    int failed = sp_client_call(in, "POST", text, NULL, &a);
    if (failed) return failed;
    e->complete = json_is_true(json_object_get(a.body, "complete"));
    e->after = json_integer_value(json_object_get(a.body, "next"));
    e->erased += json_integer_value(json_object_get(a.body, "erased"));
    e->sessions += json_integer_value(json_object_get(a.body, "sessions_ended"));
    snprintf(e->who, sizeof(e->who), "%s", json_string_value(json_object_get(a.body, "user_id")));
    sp_progress("looked at", (uint64_t)e->after,
                (uint64_t)json_integer_value(json_object_get(a.body, "total")));
    sp_answer_done(&a);
    return SP_EXIT_OK;
}

int sp_cmd_user_erase(const struct sp_invocation *in) {
    struct erasing e = {.complete = false};
    int n = snprintf(e.who, sizeof(e.who), "%s", in->args[0]);
    if (n < 0 || (size_t)n >= sizeof(e.who)) return sp_usage_error(in->command, "the name is too long");
    char question[1024];
    snprintf(
        question, sizeof(question),
        "This deletes %s and erases the personal values of every record. Type the name again: ", in->args[0]);
    int failed = sp_confirm(in, question, in->args[0]);
    while (!failed && !e.complete) failed = erase_part(in, &e);
    sp_progress_end();
    if (failed) return failed;
    if (in->json) {
        json_t *said = json_pack("{s:s, s:I, s:I}", "user_id", e.who, "erased", (json_int_t)e.erased,
                                 "sessions_ended", (json_int_t)e.sessions);
        sp_print_json(stdout, said);
        json_decref(said);
    } else {
        printf("erased: the user %s is deleted, %" PRIi64 " sessions ended, personal values of %" PRIi64
               " records erased\nBackups that were made before still hold them.\n",
               e.who, e.sessions, e.erased);
    }
    return SP_EXIT_OK;
}

/* ---- backup ---- */

static int absolute(const struct sp_invocation *in, const char *file, char ret[PATH_BYTES_MAX]) {
    char here[PATH_BYTES_MAX / 2];
    int n;
    if (file[0] == '/') {
        n = snprintf(ret, PATH_BYTES_MAX, "%s", file);
    } else {
        if (getcwd(here, sizeof(here)) == NULL) return sp_usage_error(in->command, "%s", strerror(errno));
        n = snprintf(ret, PATH_BYTES_MAX, "%s/%s", here, file);
    }
    return n > 0 && n < PATH_BYTES_MAX ? SP_EXIT_OK : sp_usage_error(in->command, "the path is too long");
}

static int backup_failed(const char *file, const char *failure) {
    const char *why = failure == NULL ? "?" : failure;
    if (strcmp(why, "conflict") == 0) why = "it, or its .partial, exists already; nothing was replaced";
    if (strcmp(why, "io_failed") == 0)
        why = "the server cannot write there (its user needs the permission, the disk the room)";
    fprintf(stderr, "sallyport: no backup at %s: %s\n", file, why);
    return SP_EXIT_FAILED;
}

/* Until it is no longer running; the last answer in *ret. */
static int wait_for_backup(const struct sp_invocation *in, struct sp_answer *ret) {
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    for (;;) {
        struct sp_answer a = {0};
        int failed = sp_client_call(in, "GET", "/admin/v1/backup", NULL, &a);
        if (failed) return failed;
        const char *state = json_string_value(json_object_get(a.body, "state"));
        if (state == NULL || strcmp(state, "running") != 0) {
            sp_progress_end();
            *ret = a;
            return SP_EXIT_OK;
        }
        sp_progress("copied", (uint64_t)json_integer_value(json_object_get(a.body, "pages_done")),
                    (uint64_t)json_integer_value(json_object_get(a.body, "pages")));
        sp_answer_done(&a);
        nanosleep(&pause, NULL);
    }
}

int sp_cmd_backup(const struct sp_invocation *in) {
    char file[PATH_BYTES_MAX];
    int failed = absolute(in, in->args[0], file);
    if (failed) return failed;
    struct sp_answer a = {0};
    json_t *body = json_pack("{s:s}", "file", file);
    failed = body == NULL ? sp_usage_error(in->command, "the path is not UTF-8")
                          : sp_client_call(in, "POST", "/admin/v1/backup", body, &a);
    json_decref(body);
    sp_answer_done(&a);
    if (!failed) failed = wait_for_backup(in, &a);
    if (failed) return failed;
    const char *state = json_string_value(json_object_get(a.body, "state"));
    if (state == NULL || strcmp(state, "done") != 0) {
        failed = backup_failed(file, json_string_value(json_object_get(a.body, "failure")));
    } else if (in->json) {
        sp_print_json(stdout, a.body);
    } else {
        printf("%s: %lld bytes, checked. It is of no use without the master key, which is not in it.\n", file,
               (long long)json_integer_value(json_object_get(a.body, "bytes")));
    }
    sp_answer_done(&a);
    return failed;
}

/* ---- restore ---- */

struct restoring {
    const struct sp_invocation *in;
    const char *data, *file;
    bool made_data; /* a refused restore takes the directory away again */
    char staging[PATH_BYTES_MAX], aside[PATH_BYTES_MAX];
    uint8_t master_key[SP_MASTER_KEY_BYTES];
    struct sp_store_counters old;
    struct sp_restore_result done;
};

static int explain(const char *what, const char *how) {
    fprintf(stderr, "sallyport: %s: %s\n", what, how);
    return SP_EXIT_FAILED;
}

static int explain_stage(const char *file, sp_status s) {
    switch (s.code) {
    case SP_E_NOT_FOUND: return explain(file, "there is no such file");
    case SP_E_UNSUPPORTED: return explain(file, "not a backup of Sallyport, or of a newer version");
    case SP_E_UNAVAILABLE: return explain(file, "damaged: the integrity check fails");
    case SP_E_REFUSED:
        return explain(file, "a log (-wal) lies beside it: a copy of a live database, not a backup");
    case SP_OK:
    case SP_E_NOMEM:
    case SP_E_MALFORMED:
    case SP_E_LIMIT:
    case SP_E_CONFLICT:
    case SP_E_BUSY:
    case SP_E_UNKNOWN:
    case SP_E_CRYPTO:
    case SP_E_IO:
    case SP_CODE_COUNT: break;
    }
    return explain(file, sp_code_name(s.code));
}

static void show_copied(void *arg, uint64_t done, uint64_t total) {
    (void)arg;
    sp_progress("copied", done, total);
}

static void show_verified(void *arg, uint64_t done, uint64_t total) {
    (void)arg;
    sp_progress("verified", done, total);
}

/* The restored store, as a store, must open with our key and say what it must. */
static int finish_store(struct restoring *r) {
    struct sp_store *store;
    const struct sp_sqlite_opts opts = {.dir = r->staging};
    sp_status s = sp_store_sqlite_open(&opts, &store);
    if (!sp_ok(s)) return explain(r->file, "cannot be opened as a store");
    const struct sp_restore_request request = {
        .master_key = SP_SLICE_ARRAY(r->master_key),
        .keep_sessions = sp_invocation_option(r->in, "keep-sessions") != NULL,
        .incarnation_above = r->old.known ? r->old.incarnation : 0,
        .uid = getuid(),
        .file = sp_slice_cstr(r->file),
        .now_ms = sp_clock_wall_ms(&sp_clock_system),
        .random = sp_random_system,
        .progress = show_verified,
    };
    s = sp_restore_finish(store, &request, &r->done);
    sp_progress_end();
    if (sp_ok(s)) return SP_EXIT_OK;
    return explain(r->file, sp_is(s, SP_E_CRYPTO)
                                ? "the master key is not the one that sealed its keys; nothing was changed"
                                : sp_code_name(s.code));
}

/* Root restores for the server's user. */
static void give_to_owner(const struct restoring *r) {
    static const char *const names[] = {"sallyport.db", "sallyport.lock", "boots"};
    struct stat st;
    char path[PATH_BYTES_MAX + 32];
    if (geteuid() != 0 || stat(r->data, &st) != 0) return;
    for (size_t i = 0; i < SP_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", r->data, names[i]);
        if (lchown(path, st.st_uid, st.st_gid) != 0 && errno != ENOENT)
            fprintf(stderr, "sallyport: %s: %s\n", path, strerror(errno));
    }
}

static int swap(struct restoring *r) {
    char moment[32];
    struct tm t;
    time_t now = time(NULL);
    strftime(moment, sizeof(moment), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &t));
    snprintf(r->aside, sizeof(r->aside), "%s/sallyport.db.before-restore-%s", r->data, moment);
    sp_status s = sp_store_sqlite_swap(r->data, r->staging, r->aside);
    if (!sp_ok(s)) return explain(r->data, "the database could not be put in its place; see the directory");
    /* Otherwise the next start would take this for a rollback that nobody asked for: harmless, but alarming.
     */
    const struct sp_boot_mark mark = {.boots = r->done.boots, .audit_count = r->done.audit_count};
    s = sp_boot_mark_write(r->data, &mark);
    give_to_owner(r);
    return sp_ok(s) ? SP_EXIT_OK : explain(r->data, "restored, but the mark `boots` could not be written");
}

static int stage_and_swap(struct restoring *r) {
    sp_status s = sp_store_sqlite_stage(r->file, r->staging, show_copied, NULL);
    sp_progress_end();
    if (!sp_ok(s)) return explain_stage(r->file, s);
    sp_store_sqlite_settle(r->data, &r->old);
    int failed = finish_store(r);
    return failed ? failed : swap(r);
}

static int locked(struct restoring *r) {
    snprintf(r->staging, sizeof(r->staging), "%s/restore.XXXXXX", r->data);
    if (mkdtemp(r->staging) == NULL) return explain(r->data, strerror(errno));
    int failed = stage_and_swap(r);
    sp_store_sqlite_unstage(r->staging);
    return failed;
}

static void report(const struct restoring *r) {
    bool kept = sp_invocation_option(r->in, "keep-sessions") != NULL;
    printf("restored from %s; %s.\n", r->file,
           kept ? "sessions go on, also those that were ended after the backup was made"
                : "all sessions have ended");
    if (r->old.exists) printf("The old database is kept: %s\n", r->aside);
    if (r->done.audit_why != NULL)
        printf("WARNING: the audit log in the backup is not intact: %s (record %" PRIu64 ")\n",
               r->done.audit_why, r->done.audit_bad_seq);
}

/* The directory that we made, unless there is a store in it. While we hold the lock: nobody else has put
 * anything beside it. */
static void remove_made(const char *data) {
    char path[PATH_BYTES_MAX + 32];
    snprintf(path, sizeof(path), "%s/sallyport.db", data);
    if (access(path, F_OK) == 0) return;
    snprintf(path, sizeof(path), "%s/sallyport.lock", data);
    unlink(path);
    rmdir(data);
}

static int with_lock(struct restoring *r) {
    int lock;
    sp_status s = sp_store_sqlite_lock(r->data, &lock);
    if (sp_is(s, SP_E_BUSY)) return explain(r->data, "a server is running there; stop it first");
    if (!sp_ok(s)) return explain(r->data, "cannot be locked");
    int failed = locked(r);
    if (failed && r->made_data) remove_made(r->data);
    close(lock);
    return failed;
}

static int restore(struct restoring *r, const char *key_file) {
    enum sp_master_key_origin origin;
    if (!sp_ok(sp_master_key_load(key_file, false, &sp_random_system, r->master_key, &origin)))
        return explain(key_file,
                       "the master key cannot be read (keys.master_key_file or SALLYPORT_MASTER_KEY)");
    r->made_data = mkdir(r->data, 0700) == 0;
    if (!r->made_data && errno != EEXIST) return explain(r->data, strerror(errno));
    return with_lock(r);
}

int sp_cmd_restore(const struct sp_invocation *in) {
    struct sp_config *config = calloc(1, sizeof(*config));
    if (config == NULL) return SP_EXIT_FAILED;
    umask(077);
    int failed = sp_load_config(in, NULL, config);
    struct restoring r = {.in = in, .data = sp_config_text(config, SP_CFG_server_data), .file = in->args[0]};
    if (!failed) failed = restore(&r, sp_config_text(config, SP_CFG_keys_master_key_file));
    if (!failed) report(&r);
    sp_wipe(r.master_key, sizeof(r.master_key));
    free(config);
    return failed;
}
