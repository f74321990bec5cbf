/* Keeps one connection to the broker open: connects, drains, notices the loss, tries the next
 * node. Source: protocol.md, "The broker". */
#ifndef KASSA_BROKER_LINK_H
#define KASSA_BROKER_LINK_H

#include "broker/amqp.h"
#include "runtime/loop.h"

struct link;

struct link_owner {
    void (*on_up)(void *ctx);
    /* Lost, or an attempt failed (then it was not up). The next attempt is already due. */
    void (*on_down)(void *ctx, const char *why);
    struct amqp_peer_events events;
};

/* The first attempt is made in the first turn. `owner`, `conf` and `topology` outlive the link. */
struct link *link_new(struct loop *loop, const struct broker_conf *conf, const char *service,
                      const struct topology *topology, bool is_publisher,
                      const struct link_owner *owner, void *ctx);
void link_free(struct link *l); /* NULL is fine */
/* Before the first attempt: each connection declares this queue, too. */
void link_declare(struct link *l, unsigned queue);

/* The peer to send on; NULL when there is none. Whoever sent, or failed to, says so with
 * link_sent in the same turn. */
struct amqp_peer *link_peer(struct link *l);
void link_sent(struct link *l, int err);
/* An owner's on_down says so in the log: loud once for each outage, not for each attempt. */
void link_log_down(const char *connection, const char *why, bool *is_logged);
/* The connection is up, but of no use: the next node is tried. */
void link_give_up(struct link *l, const char *why);

#endif
