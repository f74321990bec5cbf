/* The outbox on its connection. See publisher.h. */
#include "broker/publisher.h"

#include <assert.h>
#include <stdlib.h>
#include "broker/link.h"
#include "broker/outbox.h"
#include "runtime/log.h"
#include "runtime/stat.h"

/* What the broker refused or could not route is tried again after this: not in a hurry, the
 * cause (no leader, a queue that was deleted) lasts longer than a turn. */
#define PUBLISHER_KEEP_BACK_MS 200

/* A confirm that is missing may be here already: after a pause of this process. So the loop gets
 * some more turns to find it. */
#define PUBLISHER_SUSPECT_MS 100

#define PUBLISHER_STATS(X)                                                                         \
    X(counter, published_envelopes, "kassa_broker_published_envelopes_total",                      \
      "envelopes published, repeats included")                                                     \
    X(counter, published_commands, "kassa_broker_published_commands_total",                        \
      "commands given to the broker's outbox")                                                     \
    X(counter, confirmed_commands, "kassa_broker_confirmed_commands_total",                        \
      "commands that a broker quorum has")                                                         \
    X(counter, returned, "kassa_broker_returned_total", "envelopes that could not be routed")      \
    X(counter, nacked, "kassa_broker_nacked_total", "negative confirms")                           \
    X(counter, reconnects, "kassa_broker_reconnects_total", "connections made after the first")    \
    X(counter, parked, "kassa_broker_parked_total", "messages parked by this process")             \
    X(gauge, up, "kassa_broker_up", "1: publisher connected and not blocked")                      \
    X(gauge, unconfirmed, "kassa_broker_unconfirmed_commands", "commands sent and not confirmed")

struct publisher_stats {
#define X(kind, field, name, help) struct stat_value *field;
    PUBLISHER_STATS(X)
#undef X
};

struct publisher {
    struct loop *loop;
    const struct broker_conf *conf;
    struct publisher_stats stats;
    struct link *link;
    bool is_connected;
    bool was_connected;
    bool is_blocked;        /* by the broker: connection.blocked */
    bool is_failure_logged; /* of the attempts, since it was up last */
    struct outbox *outbox;
    struct loop_timer *release; /* what the broker refused goes out again */
    bool is_release_due;
    int64_t suspect_ms;         /* since when a confirm is overdue; 0: none is */
    struct loop_timer *suspect; /* makes a turn happen, to look again */
};

static int publisher_publish(void *ctx, const char *queue, struct slice body, uint64_t sequence,
                             struct broker_header header)
{
    struct publisher *p = ctx;
    struct amqp_peer *peer = link_peer(p->link);
    assert(peer != NULL);
    int err = amqp_peer_publish(peer, queue, body, sequence, header);
    link_sent(p->link, err);
    if (err == 0) {
        stat_add(p->stats.published_envelopes, 1);
    }
    return err;
}

static void publisher_release_later(struct publisher *p)
{
    if (!p->is_release_due) {
        p->is_release_due = true;
        loop_timer_start(p->release, PUBLISHER_KEEP_BACK_MS, 0);
    }
}

static void publisher_on_release(void *ctx)
{
    struct publisher *p = ctx;
    p->is_release_due = false;
    outbox_release(p->outbox);
}

static void publisher_on_confirm(void *ctx, uint64_t tag, bool is_multiple, bool is_ack)
{
    struct publisher *p = ctx;
    if (!is_ack) {
        stat_add(p->stats.nacked, 1);
    }
    stat_add(p->stats.confirmed_commands,
             (int64_t)outbox_confirm(p->outbox, tag, is_multiple, is_ack));
    if (outbox_has_kept_back(p->outbox)) {
        publisher_release_later(p);
    }
}

/* There is no such queue, until its consumer has declared it: the envelope goes out again later. */
static void publisher_on_return(void *ctx, uint64_t sequence)
{
    struct publisher *p = ctx;
    if (outbox_return(p->outbox, sequence)) {
        stat_add(p->stats.returned, 1);
    }
}

/* Only so that there is a turn. */
static void publisher_on_suspect(void *ctx)
{
    (void)ctx;
}

/* A node that has lost the leader of a queue may keep what it was given, and confirm it only when
 * all nodes are back, while the others serve. Heartbeats go on, so only this shows it. */
static void publisher_look_for_confirms(struct publisher *p)
{
    int64_t now_ms = loop_now_ms(p->loop);
    if (!outbox_is_overdue(p->outbox, p->conf->rabbitmq_confirm_ms, now_ms)) {
        p->suspect_ms = 0;
    } else if (p->suspect_ms == 0) {
        p->suspect_ms = now_ms;
        loop_timer_start(p->suspect, PUBLISHER_SUSPECT_MS, 0);
    } else if (now_ms - p->suspect_ms >= PUBLISHER_SUSPECT_MS) {
        p->suspect_ms = 0;
        outbox_give_up(p->outbox);
        link_give_up(p->link, "no confirm in time");
    }
}

static void publisher_on_blocked(void *ctx, bool is_blocked)
{
    struct publisher *p = ctx;
    p->is_blocked = is_blocked;
    log_warn(is_blocked ? "broker_blocked" : "broker_unblocked", "connection=publisher");
}

static void publisher_on_up(void *ctx)
{
    struct publisher *p = ctx;
    p->is_connected = true;
    p->is_blocked = false;
    p->is_failure_logged = false;
    if (p->was_connected) {
        stat_add(p->stats.reconnects, 1);
    }
    p->was_connected = true;
    log_info("broker_up", "connection=publisher unconfirmed=%llu",
             (unsigned long long)outbox_unconfirmed(p->outbox));
    outbox_reset(p->outbox);
    outbox_release(p->outbox);
}

static void publisher_on_down(void *ctx, const char *why)
{
    struct publisher *p = ctx;
    p->is_connected = false;
    link_log_down("publisher", why, &p->is_failure_logged);
}

static const struct link_owner publisher_owner = {
    .on_up = publisher_on_up,
    .on_down = publisher_on_down,
    .events =
        {
            .on_confirm = publisher_on_confirm,
            .on_return = publisher_on_return,
            .on_blocked = publisher_on_blocked,
        },
};

void publisher_flush(struct publisher *p)
{
    struct amqp_peer *peer = link_peer(p->link);
    if (peer != NULL && !p->is_blocked) {
        outbox_flush(p->outbox, amqp_peer_room_bytes(peer), loop_now_ms(p->loop));
        publisher_look_for_confirms(p);
    }
    stat_set(p->stats.up, publisher_is_up(p));
    stat_set(p->stats.unconfirmed, (int64_t)outbox_unconfirmed(p->outbox));
}

struct publisher *publisher_new(struct loop *loop, const struct broker_conf *conf,
                                const char *service, const struct envelope_schema *schema,
                                const struct topology *topology)
{
    struct publisher *p = mem_new(sizeof(*p));
    p->loop = loop;
    p->conf = conf;
#define X(kind, field, name, help) p->stats.field = stat_##kind(name, "", help);
    PUBLISHER_STATS(X)
#undef X
    const struct outbox_limits limits = {
        .window_envelopes = (unsigned)conf->window_envelopes,
        .window_bytes = (size_t)conf->window_bytes,
        .envelope_commands = (unsigned)conf->envelope_commands_max,
        .envelope_bytes = (size_t)conf->envelope_bytes_max,
    };
    p->outbox = outbox_new(schema, topology, &limits, publisher_publish, p);
    p->release = loop_timer_new(loop, publisher_on_release, p);
    p->suspect = loop_timer_new(loop, publisher_on_suspect, p);
    p->link = link_new(loop, conf, service, topology, true, &publisher_owner, p);
    return p;
}

void publisher_free(struct publisher *p)
{
    if (p == NULL) {
        return;
    }
    link_free(p->link);
    loop_timer_free(p->release);
    loop_timer_free(p->suspect);
    outbox_free(p->outbox);
    free(p);
}

bool publisher_is_up(const struct publisher *p)
{
    return p->is_connected && !p->is_blocked;
}

uint64_t publisher_unconfirmed(const struct publisher *p)
{
    return outbox_unconfirmed(p->outbox);
}

void publisher_send(struct publisher *p, unsigned queue, const struct message *m,
                    broker_on_confirm *on_confirm, void *ctx)
{
    outbox_add(p->outbox, queue, m, on_confirm, ctx);
    stat_add(p->stats.published_commands, 1);
}

void publisher_park(struct publisher *p, unsigned queue, struct slice body, const char *reason,
                    broker_on_confirm *on_confirm, void *ctx)
{
    outbox_park(p->outbox, queue, body, reason, on_confirm, ctx);
    stat_add(p->stats.parked, 1);
}

void publisher_give_back(struct publisher *p, unsigned queue, struct slice body, unsigned returns,
                         broker_on_confirm *on_confirm, void *ctx)
{
    outbox_give_back(p->outbox, queue, body, returns, on_confirm, ctx);
}
