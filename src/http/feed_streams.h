/* The subscribers of one loop: open streams of the revocation feed, and what each has had.
 *
 * One watcher and one timer serve all of them. News are encoded once and written to everybody who is up to
 * date; whoever is not catches up from the backlog, a piece whenever the last one has gone out. A beat is
 * signed once and goes to those who have everything that it covers.
 *
 * Belongs to the loop's thread. */
#ifndef SP_HTTP_FEED_STREAMS_H
#define SP_HTTP_FEED_STREAMS_H

#include "base/mem.h"
#include "core/app.h"
#include "core/feed.h"
#include "core/live_clients.h"
#include "http/server.h"

struct sp_feed_streams;

/* The first subscriber brings the loop. */
sp_status sp_feed_streams_new(struct sp_app *app, struct sp_loop *loop, struct sp_feed_streams **ret);
/* No stream is open. The loop runs no more. Accepts NULL. */
void sp_feed_streams_free(struct sp_feed_streams *s);
SP_DEFINE_FREE(sp_feed_streams);

struct sp_feed_subscription {
    struct sp_client_facts client;
    sp_slice instance; /* may be empty */
    sp_slice address;
    bool has_position; /* Last-Event-ID */
    struct sp_feed_position position;
};

/* In two steps, because the stream begins between them: a subscriber that is given to opts of the stream ...
 */
struct sp_feed_subscriber;
sp_status sp_feed_subscriber_new(struct sp_feed_streams *s, const struct sp_feed_subscription *in,
                                 struct sp_http_stream_opts *ret_opts, struct sp_feed_subscriber **ret);
void sp_feed_subscriber_free(struct sp_feed_subscriber *sub); /* whose stream did not begin */
/* ... and takes it: from here on it lives as long as its stream. */
void sp_feed_subscriber_start(struct sp_feed_subscriber *take_sub, struct sp_http_stream *stream);

#endif
