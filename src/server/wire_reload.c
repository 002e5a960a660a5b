/* SIGHUP: the configuration again, from the same sources as at the start.
 *
 * All or nothing: what is new is read, checked and loaded first; only then does anything change. What cannot
 * change while running is named in the log and keeps its old value. A new certificate travels through the
 * loops by message and back; connections that are open keep the one that they began with. The reload is over
 * when every loop has it: the service manager is told then, so that `systemctl reload` means what it says. */
#include "server/wire_internal.h"

struct leg {
    struct sp_task task;
    struct change_over *whole;
    struct front *front;
    bool returning;
};

struct change_over {
    struct server *server;
    struct sp_tls *tls;
    size_t left; /* of the first loop's thread */
    struct leg legs[SP_THREADS_MAX];
};

/* ---- certificates ---- */

sp_status sp_wire_load_tls(const struct sp_config *c, char error[SP_CONFIG_ERROR_BYTES],
                           struct sp_tls **ret_tls) {
    _Static_assert((int)SP_TLS_ERROR_BYTES <= (int)SP_CONFIG_ERROR_BYTES, "one sentence fits the other");
    const char *certificate = sp_config_text(c, SP_CFG_server_tls_certificate);
    if (certificate[0] == 0) {
        *ret_tls = NULL;
        return SP_SUCCESS;
    }
    return sp_tls_load(certificate, sp_config_text(c, SP_CFG_server_tls_key),
                       sp_clock_wall_ms(&sp_clock_system), error, ret_tls);
}

void sp_wire_log_tls(const struct server *s) {
    if (s->tls == NULL) return;
    SP_LOG(&s->log, SP_LOG_INFO, "tls_certificate_loaded",
           SP_LOGF_TEXT("file", slice(s, SP_CFG_server_tls_certificate)),
           SP_LOGF_I64("days_left",
                       (sp_tls_not_after_s(s->tls) - sp_clock_wall_ms(&sp_clock_system) / 1000) / 86400));
}

void sp_wire_watch_tls(struct server *s, int64_t now_s) {
    enum { DAY_S = 86400, SOON_S = 14 * DAY_S }; /* renewal by ACME comes at 30 days: by then it has failed */
    if (s->tls == NULL || sp_tls_not_after_s(s->tls) - now_s > SOON_S || now_s - s->tls_warned_s < DAY_S)
        return;
    s->tls_warned_s = now_s;
    SP_LOG(&s->log, SP_LOG_WARN, "tls_certificate_expires",
           SP_LOGF_TEXT("file", slice(s, SP_CFG_server_tls_certificate)),
           SP_LOGF_I64("seconds_left", sp_tls_not_after_s(s->tls) - now_s));
}

/* ---- what differs ---- */

/* Between plain HTTP and HTTPS the issuer changes, too. */
static bool needs_restart(const struct server *s, const struct sp_config *next, enum sp_config_key key) {
    if (!sp_config_is_hot(key)) return true;
    if (key != SP_CFG_server_tls_certificate && key != SP_CFG_server_tls_key) return false;
    return (text(s, key)[0] == 0) != (sp_config_text(next, key)[0] == 0);
}

/* Takes what can change now; names the rest. */
static void take_values(struct server *s, const struct sp_config *next, struct sp_buf *taken,
                        struct sp_buf *cold) {
    for (enum sp_config_key key = 0; key < SP_CFG_COUNT; key++) {
        if (!sp_config_differs(s->config, next, key)) continue;
        char name[SP_CONFIG_NAME_BYTES];
        sp_config_key_name(key, name);
        const bool restart = needs_restart(s, next, key);
        if (!restart) s->config->values[key] = next->values[key];
        /* A list too long for its buffer ends early: it is for a person's eyes. */
        SP_IGNORE(
            sp_buf_printf(restart ? cold : taken, "%s%s", (restart ? cold : taken)->n == 0 ? "" : " ", name));
    }
}

/* Into the log, and without the values into the audit log. */
static void tell_values(const struct server *s, const struct sp_buf *taken, const struct sp_buf *cold) {
    SP_LOG(&s->log, SP_LOG_INFO, "config_reloaded", SP_LOGF_TEXT("changed", sp_buf_slice(taken)));
    if (cold->n != 0)
        SP_LOG(&s->log, SP_LOG_WARN, "config_needs_restart", SP_LOGF_TEXT("keys", sp_buf_slice(cold)));
    sp_app_audit_reload(s->app, SP_RELOAD_TAKEN, sp_buf_slice(taken), sp_buf_slice(cold));
}

/* ---- the change-over ---- */

void sp_wire_change_over_free(struct change_over *c) {
    if (c == NULL) return;
    sp_tls_unref(c->tls);
    free(c);
}

static void finish(struct server *s) {
    sp_wire_change_over_free(s->change_over);
    s->change_over = NULL;
    sp_notify(&s->notify, "READY=1\nSTATUS=Serving on %s", s->listening_on);
    if (s->reload_again && !s->draining) sp_wire_reload(s);
}

static void run_leg(struct sp_task *task) {
    struct leg *leg = SP_CONTAINER_OF(task, struct leg, task);
    struct change_over *c = leg->whole;
    if (leg->returning) {
        if (--c->left == 0) finish(c->server);
        return;
    }
    sp_http_server_set_tls(leg->front->http, sp_http_listener_public, c->tls);
    leg->returning = true;
    sp_executor_post(sp_loop_executor(c->server->fronts[0].loop), &leg->task);
}

static void start_change_over(struct server *s, struct change_over *c) {
    s->change_over = c;
    c->server = s;
    c->left = s->n_fronts;
    for (size_t i = 0; i < s->n_fronts; i++) {
        c->legs[i] = (struct leg){.task = {.run = run_leg}, .whole = c, .front = &s->fronts[i]};
        sp_executor_post(sp_loop_executor(s->fronts[i].loop), &c->legs[i].task);
    }
}

/* ---- the whole ---- */

static sp_status read_again(const struct server *s, struct sp_config *next, struct change_over *c,
                            char *error) {
    SP_TRY(s->source->load(s->source->arg, next, error));
    /* Plain stays plain, whatever else is said. */
    return s->tls == NULL ? SP_SUCCESS : sp_wire_load_tls(next, error, &c->tls);
}

static void apply(struct server *s, const struct sp_config *next, struct change_over *c) {
    SP_AUTO(sp_buf) taken = SP_BUF_INIT(1024), cold = SP_BUF_INIT(1024);
    take_values(s, next, &taken, &cold);
    sp_wire_set_log(s);
    if (c->tls == NULL) c->tls = sp_tls_ref(s->tls); /* HTTPS stays HTTPS until the restart */
    sp_tls_unref(s->tls);
    s->tls = sp_tls_ref(c->tls);
    tell_values(s, &taken, &cold);
    sp_wire_log_tls(s);
    start_change_over(s, c);
}

void sp_wire_reload(struct server *s) {
    s->reload_again = s->change_over != NULL;
    if (s->reload_again) return;
    sp_notify(&s->notify, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading",
              (long long)sp_notify_monotonic_us());
    char error[SP_CONFIG_ERROR_BYTES] = "out of memory";
    struct sp_config *next = calloc(1, sizeof(*next));
    struct change_over *c = calloc(1, sizeof(*c));
    if (next != NULL && c != NULL && sp_ok(read_again(s, next, c, error))) {
        apply(s, next, c);
    } else {
        SP_LOG(&s->log, SP_LOG_ERROR, "config_refused", SP_LOGF_TEXT("error", sp_slice_cstr(error)));
        sp_app_audit_reload(s->app, SP_RELOAD_REFUSED, SP_SLICE_EMPTY, SP_SLICE_EMPTY);
        sp_notify(&s->notify, "READY=1\nSTATUS=Serving on %s; the last reload was refused", s->listening_on);
        sp_wire_change_over_free(c);
    }
    free(next);
}
