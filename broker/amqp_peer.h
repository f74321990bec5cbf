/* Inside the peer: what its two halves share, the opening (amqp_open.c) and the frames (amqp.c). */
#ifndef KASSA_BROKER_AMQP_PEER_H
#define KASSA_BROKER_AMQP_PEER_H

#include <amqp.h>
#include "broker/amqp.h"

#define AMQP_PEER_CHANNEL 1
#define AMQP_PEER_TAG_MAX 96

struct amqp_peer {
    amqp_connection_state_t connection;
    const struct topology *topology;
    size_t room_bytes;
    char consumer_tags[TOPOLOGY_QUEUES_MAX][AMQP_PEER_TAG_MAX];
    char why[AMQP_PEER_WHY_MAX];

    /* The message whose header and body frames are still to come. */
    enum { AMQP_PEER_METHOD, AMQP_PEER_HEADER, AMQP_PEER_BODY } expected;
    bool is_return; /* else a delivery */
    bool is_redelivered;
    unsigned returns;
    unsigned queue;
    uint64_t tag;
    uint64_t sequence;
    uint64_t body_bytes;     /* announced by the header */
    uint64_t body_bytes_got; /* more than body.bytes when the body is too large to keep */
    struct buf body;

    const struct amqp_peer_events *events; /* of the drain that runs */
    void *ctx;
};

/* Each notes the reason, and returns -err, or what the library's status says. */
int amqp_peer_fail(struct amqp_peer *p, int err, const char *doing, const char *text);
int amqp_peer_check_status(struct amqp_peer *p, int status, const char *doing);
int amqp_peer_refused(struct amqp_peer *p, const char *doing, int code, amqp_bytes_t text);

/* Borrows both. */
amqp_table_entry_t amqp_peer_text_argument(const char *key, const char *value);

#endif
