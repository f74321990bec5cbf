/* One connection to a broker node, through rabbitmq-c; its headers are included by nobody else.
 *
 *   helper thread: amqp_peer_open (blocks) --> peer --> loop: drain, publish, ack; never blocks
 *
 * A peer is used by one thread at a time. Nothing here reconnects: link.h does.
 * Names begin with amqp_peer because amqp_ is the library's.
 * Source: AMQP 0-9-1; RabbitMQ manual: Publisher Confirms, Consumer Cancel, Blocked Connections. */
#ifndef KASSA_BROKER_AMQP_H
#define KASSA_BROKER_AMQP_H

#include "broker/topology.h"
#include "broker/conf.h"
#include "runtime/buf.h"

struct amqp_peer;

#define AMQP_PEER_WHY_MAX 512
/* A larger delivery is none of ours: it is rejected, which parks it. */
#define AMQP_PEER_BODY_MAX (4 << 20)

struct amqp_peer_setup {
    const struct broker_conf *conf;
    const char *service; /* names the connection at the broker */
    const struct topology *topology;
    bool is_publisher; /* else a consumer */
    unsigned node;     /* which of conf's nodes, wrapping around */
    unsigned nonce;    /* makes consumer tags fresh */
    unsigned queues;   /* 1 << queue, of each that it consumes and so declares */
};

/* Connects, logs in, opens the channel, declares its queues. Blocks for up to some seconds.
 * Errors: -ERR_BROKER_DOWN, -ERR_BROKER_REPLY (both RETRY), with a sentence in ret_why. */
int amqp_peer_open(const struct amqp_peer_setup *setup, struct amqp_peer **ret_peer,
                   char ret_why[AMQP_PEER_WHY_MAX]);
/* Says goodbye and does not wait for the answer. NULL is fine. */
void amqp_peer_close(struct amqp_peer *p);

int amqp_peer_fd(const struct amqp_peer *p);
/* Bytes that may be on their way to the broker without a publish having to wait. */
size_t amqp_peer_room_bytes(const struct amqp_peer *p);
/* Why the last call failed. Borrowed. */
const char *amqp_peer_why(const struct amqp_peer *p);

/* What a drain finds. Texts are borrowed for the call. A peer has no callback (NULL) for what it
 * does not ask for: a publisher consumes and looks at nothing, a consumer publishes nothing. Should
 * it come even so, the drain fails; whether the broker blocks is then not told. */
struct amqp_peer_events {
    void (*on_confirm)(void *ctx, uint64_t tag, bool is_multiple, bool is_ack);
    void (*on_return)(void *ctx, uint64_t sequence); /* comes before its confirm */
    void (*on_blocked)(void *ctx, bool is_blocked);
    void (*on_delivery)(void *ctx, unsigned queue, uint64_t tag, bool is_redelivered,
                        unsigned returns, struct slice body);
    void (*on_parked)(void *ctx, unsigned queue, uint32_t count);
};

/* Handles what has arrived, at most frames_max frames; also keeps heartbeats going, so call it
 * each second even when nothing comes. *ret_has_more: stopped by frames_max.
 * Errors: -ERR_BROKER_DOWN, -ERR_BROKER_REPLY: the peer is of no more use. */
int amqp_peer_drain(struct amqp_peer *p, unsigned frames_max, const struct amqp_peer_events *events,
                    void *ctx, bool *ret_has_more);
/* The library may read while it writes: then the descriptor stays silent and a drain is due. */
bool amqp_peer_has_more(struct amqp_peer *p);

/* Persistent and mandatory; the n-th publish of a peer is confirmed by tag n. `sequence` comes
 * back when the broker returns it. Without a header when that has no name.
 * Errors: -ERR_BROKER_DOWN. */
int amqp_peer_publish(struct amqp_peer *p, const char *queue, struct slice body, uint64_t sequence,
                      struct broker_header header);
/* Errors: -ERR_BROKER_DOWN */
int amqp_peer_ack(struct amqp_peer *p, uint64_t tag, bool is_multiple);
/* Both without waiting; what goes wrong shows in a drain. Errors: -ERR_BROKER_DOWN. */
int amqp_peer_consume(struct amqp_peer *p, unsigned queue);
int amqp_peer_cancel(struct amqp_peer *p, unsigned queue);
/* Asks how many messages are parked beside a queue that it has declared; likewise. */
int amqp_peer_count_parked(struct amqp_peer *p, unsigned queue);

#endif
