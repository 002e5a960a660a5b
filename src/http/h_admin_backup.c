/* Backups.
 *
 *   POST /admin/v1/backup   {file} -> 202 the backup, begun; by the admin socket only, since `file` is an
 * absolute path on the server's machine GET  /admin/v1/backup   -> 200 the last backup since the start:
 *     {state: "none" | "running" | "done" | "failed", file | null, started_at, pages, pages_done, bytes,
 *      failure | null} */
#include "http/exchange.h"
#include "http/handlers.h"

static const char *state_name(enum sp_backup_state state) {
    switch (state) {
    case SP_BACKUP_NONE: return "none";
    case SP_BACKUP_RUNNING: return "running";
    case SP_BACKUP_DONE: return "done";
    case SP_BACKUP_FAILED: return "failed";
    }
    return "unknown";
}

static void put_backup(struct sp_json_out *o, const struct sp_backup_result *r) {
    sp_json_out_object(o, NULL);
    sp_json_out_text(o, "state", sp_slice_cstr(state_name(r->state)));
    if (r->path.n != 0) {
        sp_json_out_text(o, "file", SP_TEXT_SLICE(&r->path));
    } else {
        sp_json_out_null(o, "file");
    }
    sp_json_out_time_ms(o, "started_at", r->started_ms);
    sp_json_out_u64(o, "pages", r->pages);
    sp_json_out_u64(o, "pages_done", r->pages_done);
    sp_json_out_u64(o, "bytes", r->bytes);
    if (r->state == SP_BACKUP_FAILED) {
        sp_json_out_text(o, "failure", sp_slice_cstr(sp_code_name(r->failure)));
    } else {
        sp_json_out_null(o, "failure");
    }
    sp_json_out_object_end(o);
}

static void reply(struct sp_exchange *x, const struct sp_backup_result *r, int status) {
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    put_backup(&x->json, r);
    sp_x_reply(x, status);
}

static void status_done(void *arg, const struct sp_backup_result *r) {
    reply(arg, r, 200);
}
static void start_done(void *arg, const struct sp_backup_result *r) {
    reply(arg, r, 202);
}

void sp_h_admin_backup(struct sp_exchange *x) {
    sp_app_backup_status(x->app, &x->call, status_done, x);
}

void sp_h_admin_backup_start(struct sp_exchange *x) {
    sp_slice file = SP_SLICE_EMPTY;
    struct sp_json_in_field fields[] = {
        {"file", SP_JSON_IN_LABEL, true, SP_BACKUP_PATH_BYTES_MAX, {.text = &file}}};
    if (sp_x_read_body(x, fields, SP_ARRAY_LEN(fields)) == SP_ANSWERED) return;
    sp_app_backup_start(x->app, &x->call, file, start_done, x);
}
