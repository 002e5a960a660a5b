/* Subscribers of a loop. See feed_streams.h.
 *
 * Idea: a subscriber has a place (the documents that it has, the seq that it has had) and nothing else waits
 * for it here. Each push takes one frame of the feed and brings everybody to exactly that frame, which is the
 * order that docs/feed.md promises: documents and revocations, then the beat that covers them. Who is where
 * the loop is, and has nothing pending, is written to in one pass, from text that was encoded once. Everybody
 * else lags: it is served by itself, from its own place, whenever its socket has taken what it had.
 *
 * So what a reader that does not read costs is one piece (below 64 KiB) until its deadline cuts it, however
 * much is revoked meanwhile and however large the documents are; and a fleet that reconnects after a pause
 * shares the loop with everybody else, because a turn serves laggards a bounded number of pieces.
 *
 * Invariants: while a document is being written nothing else is (an event must not stand inside another). A
 * stream that has failed is only marked; its on_gone, which comes from the loop, takes it off the list.
 *
 * Turned down: a queue for each subscriber (a slow one would hold a megabyte, 2,000 of them two gigabytes);
 * the bound of the stream layer as the only bound (the same); one event to one subscriber at a time (seven
 * times the system calls in a burst). */
#include "http/feed_streams.h"

#include "base/assert.h"
#include "http/exchange.h"

enum {
    BATCH = 128,                        /* revocations encoded at a time: 20 KiB */
    BATCH_BYTES_MAX = 64 * 1024,        /* what they may take, and a beat, and hello */
    PIECE_BYTES = 32 * 1024,            /* of a document */
    SMALL_DOCUMENT_BYTES = PIECE_BYTES, /* goes out whole, encoded once for all */
    CHUNK_OVERHEAD = 64,
    /* Beside what lags behind by itself, a subscriber may owe us short things: beats, and one piece. */
    PENDING_BYTES_MAX = 1024 * 1024,
    /* Pieces that one turn gives to laggards: 8,192 revocations, some 3 ms. */
    TURN_PIECES = 64,
    ONE_PIECES = 16, /* of these, to one of them */
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
    /* The document that is being written, if any. */
    struct sp_feed_document *document;
    size_t written;
    bool is_roles; /* or keys */
};

struct sp_feed_streams {
    struct sp_app *app;
    struct sp_feed *feed;
    struct sp_feed_watcher watcher;
    struct sp_loop_timer timer;      /* beats */
    struct sp_loop_timer push_timer; /* news that wait for their turn */
    struct sp_loop_timer lag_timer;  /* laggards that could take more */
    int64_t push_not_before_us;
    bool is_watching;
    struct sp_feed_subscriber *first;
    struct sp_feed_subscriber *next_served; /* the laggard whose turn is next; NULL: from the first one on */
    uint64_t seq;                           /* where those are who do not lag */
    uint64_t roles_index, keys_index;       /* documents that were pushed last */
    struct sp_buf text, framed;             /* of one push */
};

/* ---- writing ---- */

static bool put(struct sp_feed_subscriber *sub, sp_slice bytes) {
    if (sub->is_cut) return false;
    if (!sp_ok(sp_http_stream_write(sub->stream, bytes))) sub->is_cut = true;
    return !sub->is_cut;
}

static bool has_documents(const struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    return sub->document == NULL && sub->roles_index == frame->roles->index &&
           sub->keys_index == frame->keys->index;
}

static bool is_ready(const struct sp_feed_subscriber *sub) {
    return !sub->is_cut && sp_http_stream_pending(sub->stream) == 0;
}

static uint64_t *index_of(struct sp_feed_subscriber *sub, bool is_roles) {
    return is_roles ? &sub->roles_index : &sub->keys_index;
}

static bool encode_document(struct sp_feed_streams *s, const struct sp_feed_document *d, bool is_roles) {
    sp_buf_truncate(&s->text, 0);
    return sp_ok(sp_feed_write_event(is_roles ? "roles" : "keys", sp_slice_of(d->bytes, d->n), &s->text));
}

static void document_done(struct sp_feed_subscriber *sub) {
    sp_feed_document_unref(sub->document);
    sub->document = NULL;
}

/* Straight from the document that all share: as an event it is its bytes between two short texts. */
static void put_document_piece(struct sp_feed_subscriber *sub) {
    const struct sp_feed_document *d = sub->document;
    const size_t left = d->n - sub->written, n = left < PIECE_BYTES ? left : PIECE_BYTES;
    if (!put(sub, sp_slice_of(d->bytes + sub->written, n))) return;
    sub->written += n;
    if (sub->written < d->n || !put(sub, SP_SLICE_LIT("\n\n"))) return;
    *index_of(sub, sub->is_roles) = d->index;
    document_done(sub);
}

/* False: no memory, another time. */
static bool begin_document(struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    struct sp_feed_streams *s = sub->owner;
    sub->is_roles = sub->roles_index != frame->roles->index;
    struct sp_feed_document *d = sub->is_roles ? frame->roles : frame->keys;
    if (d->n <= SMALL_DOCUMENT_BYTES) {
        if (!encode_document(s, d, sub->is_roles)) return false;
        if (put(sub, sp_buf_slice(&s->text))) *index_of(sub, sub->is_roles) = d->index;
    } else if (put(sub, sub->is_roles ? SP_SLICE_LIT("event: roles\ndata: ")
                                      : SP_SLICE_LIT("event: keys\ndata: "))) {
        sub->document = d;
        sub->written = 0;
        atomic_fetch_add(&d->refs, 1);
    }
    return true;
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

enum progress { NOTHING_TO_DO, MOVED, GONE };

static enum progress put_revocations(struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    struct sp_feed_streams *s = sub->owner;
    const uint64_t to = encode(s, sub->seq, frame);
    if (to == sub->seq) {
        if (!is_behind_backlog(s, sub, frame)) return NOTHING_TO_DO; /* no memory: another time */
        cut(sub);
        return GONE;
    }
    if (put(sub, sp_buf_slice(&s->text))) sub->seq = to;
    return MOVED;
}

/* The next piece of what a subscriber lacks of the frame. */
static enum progress put_piece(struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    if (sub->document != NULL) {
        put_document_piece(sub);
    } else if (!has_documents(sub, frame)) {
        return begin_document(sub, frame) ? MOVED : NOTHING_TO_DO;
    } else if (sub->seq < frame->at.seq) {
        return put_revocations(sub, frame);
    } else {
        return NOTHING_TO_DO;
    }
    return MOVED;
}

static bool lags(const struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    return !has_documents(sub, frame) || sub->seq < frame->at.seq;
}

/* Brings one subscriber closer to the frame, at most by `most` pieces and as far as its socket takes them.
 * GONE: it is no more. */
static enum progress catch_up(struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame,
                              size_t *most) {
    enum progress p = MOVED;
    for (size_t i = 0; p == MOVED && is_ready(sub) && lags(sub, frame); i++) {
        if (*most == 0 || i == ONE_PIECES) {
            sp_loop_timer_start(&sub->owner->lag_timer, 0);
            break;
        }
        (*most)--;
        p = put_piece(sub, frame);
    }
    return p;
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
            if (sub->seq != s->seq || sub->document != NULL || !is_ready(sub)) continue;
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

/* A small document, to everybody who had the one before; what is larger goes out by pieces. */
static void push_document(struct sp_feed_streams *s, const struct sp_feed_document *d, uint64_t *index,
                          bool is_roles) {
    struct sp_http_chunk chunk;
    if (*index == d->index) return;
    *index = d->index;
    if (d->n > SMALL_DOCUMENT_BYTES || !encode_document(s, d, is_roles)) return;
    sp_buf_truncate(&s->framed, 0);
    if (!sp_ok(sp_http_chunk_make(sp_buf_slice(&s->text), &s->framed, &chunk))) return;
    for (struct sp_feed_subscriber *sub = s->first; sub != NULL; sub = sub->next) {
        if (*index_of(sub, is_roles) == d->index || sub->document != NULL || !is_ready(sub)) continue;
        if (sp_ok(sp_http_stream_write_chunk(sub->stream, &chunk))) {
            *index_of(sub, is_roles) = d->index;
        } else {
            sub->is_cut = true;
        }
    }
}

static bool has_all_of(const struct sp_feed_subscriber *sub, const struct sp_feed_frame *frame) {
    return !sub->is_cut && sub->seq == frame->at.seq && has_documents(sub, frame);
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

/* From the one whose turn it is to the last; when the turn is over, or began in the middle, another follows
 * after whatever else the loop has to do. */
static void serve_laggards(struct sp_feed_streams *s, const struct sp_feed_frame *frame) {
    struct sp_feed_subscriber *sub = s->next_served != NULL ? s->next_served : s->first;
    size_t most = TURN_PIECES;
    if (sub != s->first) sp_loop_timer_start(&s->lag_timer, 0);
    while (sub != NULL && most != 0) {
        struct sp_feed_subscriber *next = sub->next;
        (void)catch_up(sub, frame, &most);
        sub = next;
    }
    s->next_served = sub;
    if (sub != NULL) sp_loop_timer_start(&s->lag_timer, 0);
}

static void on_lag(struct sp_loop_timer *timer) {
    struct sp_feed_streams *s = SP_CONTAINER_OF(timer, struct sp_feed_streams, lag_timer);
    struct sp_feed_frame frame;
    if (s->first == NULL) return;
    sp_feed_look(s->feed, &frame);
    serve_laggards(s, &frame);
    sp_feed_frame_done(&frame);
}

static void push(struct sp_feed_streams *s, const struct sp_feed_frame *frame) {
    push_document(s, frame->roles, &s->roles_index, true);
    push_document(s, frame->keys, &s->keys_index, false);
    push_revocations(s, frame);
    serve_laggards(s, frame);
}

/* Revocations need no signature to be obeyed and go out at once. Documents do, so a beat comes with them. */
static void push_news(struct sp_feed_streams *s) {
    struct sp_feed_frame frame;
    sp_feed_look(s->feed, &frame);
    const bool is_document = frame.roles->index != s->roles_index || frame.keys->index != s->keys_index;
    if (is_document) {
        sp_feed_frame_done(&frame);
        if (!sp_ok(sp_feed_beat(s->feed, &frame))) return; /* the timer's beat makes up for it */
    }
    push(s, &frame);
    if (is_document) push_beat(s, &frame);
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
    sp_loop_timer_cancel(&s->lag_timer);
}

static void leave(struct sp_feed_subscriber *sub) {
    struct sp_feed_streams *s = sub->owner;
    *sub->at = sub->next;
    if (sub->next != NULL) sub->next->at = sub->at;
    if (s->next_served == sub) s->next_served = sub->next;
    sp_feed_subscriber_free(sub);
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
    size_t most = ONE_PIECES;
    if (sub->is_cut) return;
    sp_feed_look(sub->owner->feed, &frame);
    (void)catch_up(sub, &frame, &most);
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
    sp_loop_timer_init(&s->lag_timer, loop, on_lag);
    sp_buf_init(&s->text, BATCH_BYTES_MAX);
    sp_buf_init(&s->framed, BATCH_BYTES_MAX + CHUNK_OVERHEAD);
    *ret = s;
    return SP_SUCCESS;
}

void sp_feed_streams_free(struct sp_feed_streams *s) {
    if (s == NULL) return;
    sp_assert(s->first == NULL);
    if (s->is_watching) sp_feed_unwatch(s->feed, &s->watcher);
    unwatch_when_empty(s);
    sp_buf_done(&s->text);
    sp_buf_done(&s->framed);
    free(s);
}

sp_status sp_feed_subscriber_new(struct sp_feed_streams *s, const struct sp_feed_subscription *in,
                                 struct sp_http_stream_opts *ret_opts, struct sp_feed_subscriber **ret) {
    struct sp_feed_frame frame;
    struct sp_feed_subscriber *sub = calloc(1, sizeof(*sub));
    if (sub == NULL) return sp_err(SP_E_NOMEM);
    sub->owner = s;
    sub->client = in->client;
    SP_IGNORE(SP_TEXT_SET(&sub->instance, in->instance)); /* checked: it fits */
    sp_feed_look(s->feed, &frame);
    sub->seq = frame.at.seq;
    if (in->has_position) {
        sub->reset = sp_feed_why_not(s->feed, &in->position);
        if (sub->reset == NULL) sub->seq = in->position.seq;
    }
    sp_feed_frame_done(&frame);
    *ret_opts = (struct sp_http_stream_opts){.pending_bytes_max = PENDING_BYTES_MAX,
                                             .on_drained = on_drained,
                                             .drained = SP_HTTP_DRAINED_BLOCKED,
                                             .on_gone = on_gone,
                                             .arg = sub};
    sp_feed_attach(s->feed, SP_TEXT_SLICE(&sub->client.id), in->instance, in->address);
    watch(s);
    *ret = sub;
    return SP_SUCCESS;
}

void sp_feed_subscriber_free(struct sp_feed_subscriber *sub) {
    if (sub == NULL) return;
    struct sp_feed_streams *s = sub->owner;
    sp_feed_detach(s->feed, SP_TEXT_SLICE(&sub->client.id), SP_TEXT_SLICE(&sub->instance));
    document_done(sub);
    free(sub);
    unwatch_when_empty(s);
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
    size_t most = ONE_PIECES;
    sp_status signed_ = sp_feed_beat(sub->owner->feed, &frame);
    if (!sp_ok(signed_)) sp_feed_look(sub->owner->feed, &frame);
    sub->stream = stream;
    enlist(sub, &frame);
    greet(sub);
    if (catch_up(sub, &frame, &most) != GONE && sp_ok(signed_)) put_beat(sub, &frame);
    sp_feed_frame_done(&frame);
}
