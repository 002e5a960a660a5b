/* Subscribers of a loop. See feed_streams.h.
 *
 * A subscriber is *live* when it has had everything up to `seq` of this loop. The order that docs/feed.md
 * promises (documents, revocations, then the beat that covers them) holds because each push takes one frame
 * of the feed and brings everybody to exactly that frame. */
#include "http/feed_streams.h"

#include "base/assert.h"
#include "http/exchange.h"

enum {
    BATCH = 128,                 /* revocations encoded at a time: 15 KiB */
    BATCH_BYTES_MAX = 64 * 1024, /* what they may take, and a beat, and hello */
    PENDING_BYTES_MAX =
        1024 * 1024,        /* beside documents: ten thousand revocations that somebody does not read */
    DOCUMENT_OVERHEAD = 64, /* "event: ...", "data: " and the frame of a chunk */
};

struct sp_feed_subscriber {
    struct sp_feed_streams *owner;
    struct sp_http_stream *stream; /* NULL: it has not begun */
    struct sp_feed_subscriber *next, **at;
    struct sp_client_facts client;
    sp_text64 instance; /* empty: none */
    uint64_t seq;       /* of the last revocation written */
    uint64_t roles_index, keys_index;
    const char *reset; /* to be told first; NULL: nothing */
    bool is_cut;       /* its stream has failed; on_gone comes */
};

struct sp_feed_streams {
    struct sp_app *app;
    struct sp_feed *feed;
    struct sp_feed_watcher watcher;
    struct sp_loop_timer timer;      /* beats */
    struct sp_loop_timer push_timer; /* news that wait for their turn */
    int64_t push_not_before_us;
    bool is_watching;
    struct sp_feed_subscriber *first;
    uint64_t seq;                     /* where live subscribers are */
    uint64_t roles_index, keys_index; /* documents that were pushed last */
    struct sp_buf text, framed;       /* of one push */
};

/* ---- writing ---- */

static bool put(struct sp_feed_subscriber *sub, sp_slice bytes) {
    if (sub->is_cut) return false;
    if (!sp_ok(sp_http_stream_write(sub->stream, bytes))) sub->is_cut = true;
    return !sub->is_cut;
}

static bool put_document(struct sp_feed_subscriber *sub, const char *name, const struct sp_feed_document *d,
                         uint64_t *index) {
    if (*index == d->index) return !sub->is_cut;
    SP_AUTO(sp_buf) text = SP_BUF_INIT(SP_FEED_DOCUMENT_BYTES_MAX + DOCUMENT_OVERHEAD);
    if (!sp_ok(sp_feed_write_event(name, sp_slice_of(d->bytes, d->n), &text))) return false;
    if (!put(sub, sp_buf_slice(&text))) return false;
    *index = d->index;
    return true;
}

/* A document that could not be written for want of memory is tried again with the next push, and no beat goes
 * out before it did. */
static bool put_documents(struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    return put_document(sub, "roles", frame->roles, &sub->roles_index) &&
           put_document(sub, "keys", frame->keys, &sub->keys_index);
}

/* Text of revocations after `after`, at most a batch; returns the seq of the last one, or `after`. */
static uint64_t encode(struct sp_feed_streams *s, uint64_t after, const struct sp_feed_frame *frame) {
    struct sp_feed_revocation batch[BATCH];
    size_t n = 0;
    sp_buf_truncate(&s->text, 0);
    if (!sp_ok(sp_feed_copy(s->feed, after, frame->at.seq, batch, BATCH, &n))) return after;
    for (size_t i = 0; i < n; i++) {
        if (!sp_ok(sp_feed_write_revocation(frame->at.epoch, &batch[i], &s->text))) break;
        after = batch[i].seq;
    }
    return after;
}

/* One that lost its place in the backlog begins anew: its client has to take a snapshot. */
static void cut(struct sp_feed_subscriber *sub);

static bool is_behind_backlog(struct sp_feed_streams *s, const struct sp_feed_subscriber *sub,
                              const struct sp_feed_frame *frame) {
    const struct sp_feed_position at = {.seq = sub->seq};
    struct sp_feed_position here = at;
    memcpy(here.epoch, frame->at.epoch, sizeof(here.epoch));
    return sp_feed_why_not(s->feed, &here) != NULL;
}

/* Brings one subscriber closer to the frame, as far as goes out at once. False: it is no more. */
static bool catch_up(struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    struct sp_feed_streams *s = sub->owner;
    while (sub->seq < frame->at.seq && sp_http_stream_pending(sub->stream) == 0) {
        const uint64_t to = encode(s, sub->seq, frame);
        if (to == sub->seq) {
            if (!is_behind_backlog(s, sub, frame)) return true;
            cut(sub);
            return false;
        }
        if (!put(sub, sp_buf_slice(&s->text))) return true;
        sub->seq = to;
    }
    return true;
}

/* ---- pushes ---- */

/* Everybody who is where the loop is, batch by batch, framed once. */
static void push_revocations(struct sp_feed_streams *s, const struct sp_feed_frame *frame) {
    while (s->seq < frame->at.seq) {
        struct sp_http_chunk chunk;
        const uint64_t to = encode(s, s->seq, frame);
        sp_buf_truncate(&s->framed, 0);
        /* Without memory, or behind the backlog, each one catches up by itself. */
        if (to == s->seq || !sp_ok(sp_http_chunk_make(sp_buf_slice(&s->text), &s->framed, &chunk))) break;
        for (struct sp_feed_subscriber *sub = s->first; sub != NULL; sub = sub->next) {
            if (sub->is_cut || sub->seq != s->seq) continue;
            if (sp_ok(sp_http_stream_write_chunk(sub->stream, &chunk))) {
                sub->seq = to;
            } else {
                sub->is_cut = true;
            }
        }
        s->seq = to;
    }
    s->seq = frame->at.seq;
}

static void push_documents(struct sp_feed_streams *s, const struct sp_feed_frame *frame) {
    for (struct sp_feed_subscriber *sub = s->first; sub != NULL; sub = sub->next) {
        if (!sub->is_cut) (void)put_documents(sub, frame);
    }
    s->roles_index = frame->roles->index;
    s->keys_index = frame->keys->index;
}

static bool has_all_of(const struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    return !sub->is_cut && sub->seq == frame->at.seq && sub->roles_index == frame->roles->index &&
           sub->keys_index == frame->keys->index;
}

static void push_beat(struct sp_feed_streams *s, const struct sp_feed_frame *frame) {
    struct sp_http_chunk chunk;
    sp_buf_truncate(&s->text, 0);
    sp_buf_truncate(&s->framed, 0);
    if (!sp_ok(sp_feed_write_beat(&frame->beat, &s->text)) ||
        !sp_ok(sp_http_chunk_make(sp_buf_slice(&s->text), &s->framed, &chunk)))
        return;
    for (struct sp_feed_subscriber *sub = s->first; sub != NULL; sub = sub->next) {
        if (!has_all_of(sub, frame)) continue;
        if (!sp_ok(sp_http_stream_write_chunk(sub->stream, &chunk))) sub->is_cut = true;
    }
}

static void catch_up_all(struct sp_feed_streams *s, const struct sp_feed_frame *frame) {
    for (struct sp_feed_subscriber *sub = s->first, *next; sub != NULL; sub = next) {
        next = sub->next;
        if (!sub->is_cut && sub->seq < frame->at.seq) (void)catch_up(sub, frame);
    }
}

static void push(struct sp_feed_streams *s, const struct sp_feed_frame *frame) {
    push_documents(s, frame);
    push_revocations(s, frame);
    catch_up_all(s, frame);
}

/* Revocations need no signature to be obeyed and go out at once. Documents do, so a beat comes with them. */
static void push_news(struct sp_feed_streams *s) {
    struct sp_feed_frame frame;
    sp_feed_look(s->feed, &frame);
    const bool has_documents = frame.roles->index != s->roles_index || frame.keys->index != s->keys_index;
    if (has_documents) {
        sp_feed_frame_done(&frame);
        if (!sp_ok(sp_feed_beat(s->feed, &frame))) return; /* the timer's beat makes up for it */
    }
    push(s, &frame);
    if (has_documents) push_beat(s, &frame);
    sp_feed_frame_done(&frame);
}

/* Writing to 2,000 sockets takes some 15 ms, and the loop has other work. So the answer that the news belong
 * to goes first (it stands in the same queue, after us), and after a push the next one waits for as long as
 * this one took: what comes meanwhile goes out together. */
static void on_news(struct sp_feed_watcher *w) {
    struct sp_feed_streams *s = SP_CONTAINER_OF(w, struct sp_feed_streams, watcher);
    if (s->first == NULL || sp_loop_timer_is_running(&s->push_timer)) return;
    const int64_t wait_us = s->push_not_before_us - sp_x_clock_us();
    sp_loop_timer_start(&s->push_timer, wait_us <= 0 ? 0 : wait_us / 1000 + 1);
}

static void on_turn(struct sp_loop_timer *timer) {
    struct sp_feed_streams *s = SP_CONTAINER_OF(timer, struct sp_feed_streams, push_timer);
    if (s->first == NULL) return;
    const int64_t began_us = sp_x_clock_us();
    push_news(s);
    const int64_t ended_us = sp_x_clock_us();
    s->push_not_before_us = ended_us + (ended_us - began_us);
}

/* A client that was disabled, or whose secret has lapsed, is not told any more. */
static void check_clients(struct sp_feed_streams *s) {
    for (struct sp_feed_subscriber *sub = s->first, *next; sub != NULL; sub = next) {
        next = sub->next;
        if (sub->is_cut) continue;
        const enum sp_client_check c = sp_app_client_check_again(s->app, &sub->client);
        if (c != SP_CLIENT_GENUINE || !sub->client.feed) cut(sub);
    }
}

static void on_time(struct sp_loop_timer *timer) {
    struct sp_feed_streams *s = SP_CONTAINER_OF(timer, struct sp_feed_streams, timer);
    struct sp_feed_frame frame;
    sp_loop_timer_start(&s->timer, SP_FEED_BEAT_MS);
    check_clients(s);
    if (s->first == NULL || !sp_ok(sp_feed_beat(s->feed, &frame))) return;
    push(s, &frame);
    push_beat(s, &frame);
    sp_feed_frame_done(&frame);
}

/* ---- subscribers ---- */

static void watch(struct sp_feed_streams *s) {
    if (!s->is_watching) sp_feed_watch(s->feed, &s->watcher);
    s->is_watching = true;
    if (!sp_loop_timer_is_running(&s->timer)) sp_loop_timer_start(&s->timer, SP_FEED_BEAT_MS);
}

static void unwatch_when_empty(struct sp_feed_streams *s) {
    if (s->first != NULL) return;
    /* The watcher stays: its task may be under way. Without subscribers it does nothing. */
    sp_loop_timer_cancel(&s->timer);
    sp_loop_timer_cancel(&s->push_timer);
}

static void leave(struct sp_feed_subscriber *sub) {
    struct sp_feed_streams *s = sub->owner;
    *sub->at = sub->next;
    if (sub->next != NULL) sub->next->at = sub->at;
    if (sub->instance.n != 0)
        sp_feed_detach(s->feed, SP_TEXT_SLICE(&sub->client.id), SP_TEXT_SLICE(&sub->instance));
    unwatch_when_empty(s);
    free(sub);
}

static void cut(struct sp_feed_subscriber *sub) {
    sp_http_stream_abort(sub->stream);
    leave(sub);
}

static void on_gone(void *arg, enum sp_http_gone why) {
    (void)why;
    leave(arg);
}

/* The socket has taken everything: who lags behind goes on. */
static void on_drained(void *arg) {
    struct sp_feed_subscriber *sub = arg;
    struct sp_feed_frame frame;
    if (sub->is_cut || sub->seq >= sub->owner->seq) return;
    sp_feed_look(sub->owner->feed, &frame);
    (void)catch_up(sub, &frame);
    sp_feed_frame_done(&frame);
}

sp_status sp_feed_streams_new(struct sp_app *app, struct sp_loop *loop, struct sp_feed_streams **ret) {
    struct sp_feed_streams *s = calloc(1, sizeof(*s));
    if (s == NULL) return sp_err(SP_E_NOMEM);
    s->app = app;
    s->feed = sp_app_feed(app);
    s->watcher.executor = sp_loop_executor(loop);
    s->watcher.news = on_news;
    sp_loop_timer_init(&s->timer, loop, on_time);
    sp_loop_timer_init(&s->push_timer, loop, on_turn);
    sp_buf_init(&s->text, BATCH_BYTES_MAX);
    sp_buf_init(&s->framed, BATCH_BYTES_MAX + DOCUMENT_OVERHEAD);
    *ret = s;
    return SP_SUCCESS;
}

void sp_feed_streams_free(struct sp_feed_streams *s) {
    if (s == NULL) return;
    sp_assert(s->first == NULL);
    if (s->is_watching) sp_feed_unwatch(s->feed, &s->watcher);
    sp_loop_timer_cancel(&s->timer);
    sp_loop_timer_cancel(&s->push_timer);
    sp_buf_done(&s->text);
    sp_buf_done(&s->framed);
    free(s);
}

sp_status sp_feed_subscriber_new(struct sp_feed_streams *s, const struct sp_feed_subscription *in,
                                 struct sp_http_stream_opts *ret_opts, struct sp_feed_subscriber **ret) {
    struct sp_feed_frame frame;
    struct sp_feed_subscriber *sub = calloc(1, sizeof(*sub));
    if (sub == NULL) return sp_err(SP_E_NOMEM);
    watch(s);
    sub->owner = s;
    sub->client = in->client;
    SP_IGNORE(SP_TEXT_SET(&sub->instance, in->instance)); /* checked: it fits */
    sp_feed_look(s->feed, &frame);
    sub->seq = frame.at.seq;
    if (in->has_position) {
        sub->reset = sp_feed_why_not(s->feed, &in->position);
        if (sub->reset == NULL) sub->seq = in->position.seq;
    }
    *ret_opts =
        (struct sp_http_stream_opts){.pending_bytes_max = PENDING_BYTES_MAX + frame.roles->n + frame.keys->n,
                                     .on_drained = on_drained,
                                     .on_gone = on_gone,
                                     .arg = sub};
    sp_feed_frame_done(&frame);
    if (sub->instance.n != 0)
        sp_feed_attach(s->feed, SP_TEXT_SLICE(&sub->client.id), in->instance, in->address);
    *ret = sub;
    return SP_SUCCESS;
}

void sp_feed_subscriber_free(struct sp_feed_subscriber *sub) {
    if (sub == NULL) return;
    if (sub->instance.n != 0)
        sp_feed_detach(sub->owner->feed, SP_TEXT_SLICE(&sub->client.id), SP_TEXT_SLICE(&sub->instance));
    free(sub);
}

static void greet(struct sp_feed_subscriber *sub) {
    struct sp_feed_streams *s = sub->owner;
    struct sp_feed_hello hello;
    char reason[64];
    sp_feed_hello(s->feed, &hello);
    sp_buf_truncate(&s->text, 0);
    sp_status st = sp_feed_write_hello(&hello, &s->text);
    if (sp_ok(st) && sub->reset != NULL) {
        const int n = snprintf(reason, sizeof(reason), "{\"reason\":\"%s\"}", sub->reset);
        st = sp_feed_write_event("reset", sp_slice_of(reason, (size_t)n), &s->text);
        sp_feed_count_reset(s->feed);
    }
    if (sp_ok(st)) (void)put(sub, sp_buf_slice(&s->text));
}

/* The first one sets where the loop is. Of others it may be ahead or behind: the next push brings all
 * together. */
static void enlist(struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    struct sp_feed_streams *s = sub->owner;
    if (s->first == NULL) {
        s->seq = frame->at.seq;
        s->roles_index = frame->roles->index;
        s->keys_index = frame->keys->index;
    }
    sub->at = &s->first;
    sub->next = s->first;
    if (sub->next != NULL) sub->next->at = &sub->next;
    s->first = sub;
}

static void put_beat(struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    struct sp_feed_streams *s = sub->owner;
    sp_buf_truncate(&s->text, 0);
    if (has_all_of(sub, frame) && sp_ok(sp_feed_write_beat(&frame->beat, &s->text)))
        (void)put(sub, sp_buf_slice(&s->text));
}

void sp_feed_subscriber_start(struct sp_feed_subscriber *take_sub, struct sp_http_stream *stream) {
    struct sp_feed_subscriber *sub = take_sub;
    struct sp_feed_frame frame;
    sp_status signed_ = sp_feed_beat(sub->owner->feed, &frame);
    if (!sp_ok(signed_)) sp_feed_look(sub->owner->feed, &frame);
    sub->stream = stream;
    enlist(sub, &frame);
    greet(sub);
    if (put_documents(sub, &frame) && catch_up(sub, &frame) && sp_ok(signed_)) put_beat(sub, &frame);
    sp_feed_frame_done(&frame);
}
