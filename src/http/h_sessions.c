/* A person's own sessions.
 *
 *   GET /auth/sessions -> 200 {sessions: [{session_id, device, address, user_agent, mode, created_at,
 * last_seen_at, expires_at, current}], ended: [{... without current, ended_at, cause}]} DELETE
 * /auth/sessions/{sid} -> 204; somebody else's, an unknown and an ended one are 404 alike
 *
 * Times are RFC 3339 in UTC. sp_session_view_write is shared with the administrator's list. */
#include "http/h_sessions.h"
#include "base/base64url.h"
#include "http/exchange.h"
#include "http/handlers.h"

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* A session that merely ran out has nobody who wrote down when. */
static int64_t ended_ms(const struct sp_session_view *v) {
    if (v->row->ended_ms != 0) return v->row->ended_ms;
    if (v->over == SP_END_EXPIRED_IDLE) return v->row->idle_expires_ms;
    if (v->over == SP_END_EXPIRED_ABSOLUTE) return v->row->absolute_expires_ms;
    return 0;
}

void sp_session_view_write(struct sp_json_out *o, const struct sp_session_view *v) {
    const struct sp_session_row *row = v->row;
    sp_json_out_base64url(o, "session_id", SP_SLICE_ARRAY(row->sid));
    sp_json_out_text(o, "device", SP_TEXT_SLICE(&row->device));
    sp_json_out_text(o, "address", SP_TEXT_SLICE(&row->address));
    sp_json_out_text(o, "user_agent", SP_TEXT_SLICE(&row->user_agent));
    sp_json_out_text(o, "mode", sp_slice_cstr(row->mode == SP_MODE_COOKIE ? "cookie" : "token"));
    sp_json_out_time_ms(o, "created_at", row->created_ms);
    sp_json_out_time_ms(o, "last_seen_at", row->last_seen_ms);
    sp_json_out_time_ms(o, "expires_at", earlier(row->idle_expires_ms, row->absolute_expires_ms));
    if (v->over == SP_END_NONE) {
        sp_json_out_bool(o, "current", v->current);
    } else {
        sp_json_out_time_ms(o, "ended_at", ended_ms(v));
        sp_json_out_text(o, "cause", sp_slice_cstr(sp_end_cause_name(v->over)));
    }
}

enum which { LIVE, ENDED };

static void put_list(struct sp_json_out *o, const char *name, const struct sp_sessions_result *r,
                     enum which which) {
    sp_json_out_array(o, name);
    for (size_t i = 0; i < r->n; i++) {
        if ((r->views[i].over == SP_END_NONE) != (which == LIVE)) continue;
        sp_json_out_object(o, NULL);
        sp_session_view_write(o, &r->views[i]);
        sp_json_out_object_end(o);
    }
    sp_json_out_array_end(o);
}

static void own_done(void *arg, const struct sp_sessions_result *r) {
    struct sp_exchange *x = arg;
    if (r->outcome != SP_OUTCOME_OK) {
        sp_x_outcome(x, r->outcome);
        return;
    }
    sp_json_out_object(&x->json, NULL);
    put_list(&x->json, "sessions", r, LIVE);
    put_list(&x->json, "ended", r, ENDED);
    sp_json_out_object_end(&x->json);
    sp_x_reply(x, 200);
}

void sp_h_sessions(struct sp_exchange *x) {
    sp_app_sessions_own(x->app, &x->call, own_done, x);
}

static void end_done(void *arg, const struct sp_plain_result *r) {
    sp_x_done_revoked(arg, r);
}

void sp_h_session_end(struct sp_exchange *x) {
    uint8_t sid[SP_ROW_SID_BYTES];
    if (!sp_ok(sp_base64url_decode_exact(x->segment[0], sid, sizeof(sid)))) {
        sp_x_outcome(x, SP_OUTCOME_NOT_FOUND);
        return;
    }
    bool own = memcmp(sid, x->principal.sid, sizeof(sid)) == 0; /* sids are public */
    x->ends_cookies = own && x->credential == SP_CREDENTIAL_COOKIE;
    sp_app_session_end_own(x->app, &x->call, x->segment[0], end_done, x);
}
