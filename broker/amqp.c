/* One AMQP connection that is open (amqp_open.c opens it): a small state machine takes the frames
 * as they come.
 *
 *   socket --> rabbitmq-c --frames--> method --> confirm, blocked, cancel, close: at once
 *                                        '-----> deliver, return --> header --> body.. --> event
 *
 * No call waits for an answer of the broker. */
#include "broker/amqp_peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include "runtime/err.h"

#define AMQP_PEER_RELEASE_FRAMES 32 /* frames the library may keep memory for */

int amqp_peer_fail(struct amqp_peer *p, int err, const char *doing, const char *text)
{
    snprintf(p->why, sizeof(p->why), "%s: %s", doing, text);
    return -err;
}

int amqp_peer_check_status(struct amqp_peer *p, int status, const char *doing)
{
    if (status == AMQP_STATUS_OK) {
        return 0;
    }
    return amqp_peer_fail(p, ERR_BROKER_DOWN, doing, amqp_error_string2(status));
}

int amqp_peer_refused(struct amqp_peer *p, const char *doing, int code, amqp_bytes_t text)
{
    char reply[AMQP_PEER_WHY_MAX / 2];
    snprintf(reply, sizeof(reply), "%d %.*s", code, (int)text.len, (const char *)text.bytes);
    return amqp_peer_fail(p, ERR_BROKER_REPLY, doing, reply);
}

amqp_table_entry_t amqp_peer_text_argument(const char *key, const char *value)
{
    return (amqp_table_entry_t){amqp_cstring_bytes(key),
                                {AMQP_FIELD_KIND_UTF8, {.bytes = amqp_cstring_bytes(value)}}};
}

void amqp_peer_close(struct amqp_peer *p)
{
    if (p == NULL) {
        return;
    }
    if (p->why[0] == '\0') {
        amqp_connection_close_t bye = {AMQP_REPLY_SUCCESS, amqp_cstring_bytes("bye"), 0, 0};
        amqp_send_method(p->connection, 0, AMQP_CONNECTION_CLOSE_METHOD, &bye);
    }
    amqp_destroy_connection(p->connection);
    buf_free(&p->body);
    free(p);
}

int amqp_peer_fd(const struct amqp_peer *p)
{
    return amqp_get_sockfd(p->connection);
}

size_t amqp_peer_room_bytes(const struct amqp_peer *p)
{
    return p->room_bytes;
}

const char *amqp_peer_why(const struct amqp_peer *p)
{
    return p->why;
}

/* ---- frames ---- */

/* An event that this peer's owner has no callback for was never asked for. */
static int amqp_peer_unasked(struct amqp_peer *p, const char *method)
{
    return amqp_peer_fail(p, ERR_BROKER_REPLY, method, "nobody has asked for it");
}

static int amqp_peer_on_ack(struct amqp_peer *p, const void *decoded)
{
    const amqp_basic_ack_t *ack = decoded;
    if (!p->events->on_confirm) {
        return amqp_peer_unasked(p, "basic.ack");
    }
    p->events->on_confirm(p->ctx, ack->delivery_tag, ack->multiple != 0, true);
    return 0;
}

static int amqp_peer_on_nack(struct amqp_peer *p, const void *decoded)
{
    const amqp_basic_nack_t *nack = decoded;
    if (!p->events->on_confirm) {
        return amqp_peer_unasked(p, "basic.nack");
    }
    p->events->on_confirm(p->ctx, nack->delivery_tag, nack->multiple != 0, false);
    return 0;
}

static int amqp_peer_on_deliver(struct amqp_peer *p, const void *decoded)
{
    const amqp_basic_deliver_t *deliver = decoded;
    for (unsigned q = 0; p->events->on_delivery && q < p->topology->count; q++) {
        size_t bytes = strlen(p->consumer_tags[q]);
        if (deliver->consumer_tag.len == bytes &&
            memcmp(deliver->consumer_tag.bytes, p->consumer_tags[q], bytes) == 0) {
            p->queue = q;
            p->tag = deliver->delivery_tag;
            p->is_redelivered = deliver->redelivered != 0;
            p->is_return = false;
            p->expected = AMQP_PEER_HEADER;
            return 0;
        }
    }
    return amqp_peer_fail(p, ERR_BROKER_REPLY, "delivery", "an unknown consumer tag");
}

static int amqp_peer_on_return(struct amqp_peer *p, const void *decoded)
{
    (void)decoded;
    if (!p->events->on_return) {
        return amqp_peer_unasked(p, "basic.return");
    }
    p->is_return = true;
    p->sequence = 0;
    p->expected = AMQP_PEER_HEADER;
    return 0;
}

static int amqp_peer_on_blocked(struct amqp_peer *p, const void *decoded)
{
    (void)decoded;
    if (p->events->on_blocked) {
        p->events->on_blocked(p->ctx, true);
    }
    return 0;
}

static int amqp_peer_on_unblocked(struct amqp_peer *p, const void *decoded)
{
    (void)decoded;
    if (p->events->on_blocked) {
        p->events->on_blocked(p->ctx, false);
    }
    return 0;
}

/* Declared passively: that asks, and changes nothing. */
static int amqp_peer_on_declared(struct amqp_peer *p, const void *decoded)
{
    const amqp_queue_declare_ok_t *declared = decoded;
    struct slice name = {declared->queue.bytes, declared->queue.len};
    for (unsigned q = 0; p->events->on_parked && q < p->topology->count; q++) {
        if (slice_is(name, p->topology->queues[q].parked)) {
            p->events->on_parked(p->ctx, q, declared->message_count);
        }
    }
    return 0;
}

/* The queue was deleted or its leader is gone; a new connection declares and subscribes again. */
static int amqp_peer_on_cancel(struct amqp_peer *p, const void *decoded)
{
    (void)decoded;
    return amqp_peer_fail(p, ERR_BROKER_REPLY, "basic.cancel", "the broker ended a subscription");
}

static int amqp_peer_on_channel_close(struct amqp_peer *p, const void *decoded)
{
    const amqp_channel_close_t *close = decoded;
    return amqp_peer_refused(p, "channel.close", close->reply_code, close->reply_text);
}

static int amqp_peer_on_connection_close(struct amqp_peer *p, const void *decoded)
{
    const amqp_connection_close_t *close = decoded;
    amqp_connection_close_ok_t ok = {0};
    amqp_send_method(p->connection, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
    return amqp_peer_refused(p, "connection.close", close->reply_code, close->reply_text);
}

/* Any other method is an answer that nobody waits for. */
static const struct amqp_peer_method {
    amqp_method_number_t id;
    int (*on_method)(struct amqp_peer *p, const void *decoded);
} amqp_peer_methods[] = {
    {AMQP_BASIC_DELIVER_METHOD, amqp_peer_on_deliver},
    {AMQP_BASIC_ACK_METHOD, amqp_peer_on_ack},
    {AMQP_BASIC_NACK_METHOD, amqp_peer_on_nack},
    {AMQP_BASIC_RETURN_METHOD, amqp_peer_on_return},
    {AMQP_BASIC_CANCEL_METHOD, amqp_peer_on_cancel},
    {AMQP_QUEUE_DECLARE_OK_METHOD, amqp_peer_on_declared},
    {AMQP_CONNECTION_BLOCKED_METHOD, amqp_peer_on_blocked},
    {AMQP_CONNECTION_UNBLOCKED_METHOD, amqp_peer_on_unblocked},
    {AMQP_CHANNEL_CLOSE_METHOD, amqp_peer_on_channel_close},
    {AMQP_CONNECTION_CLOSE_METHOD, amqp_peer_on_connection_close},
};

static int amqp_peer_take_method(struct amqp_peer *p, const amqp_method_t *method)
{
    for (size_t i = 0; i < sizeof(amqp_peer_methods) / sizeof(amqp_peer_methods[0]); i++) {
        if (amqp_peer_methods[i].id == method->id) {
            return amqp_peer_methods[i].on_method(p, method->decoded);
        }
    }
    return 0;
}

/* The header and all of the body are there. */
static int amqp_peer_complete(struct amqp_peer *p)
{
    int err = 0;
    p->expected = AMQP_PEER_METHOD;
    if (p->is_return) {
        p->events->on_return(p->ctx, p->sequence);
    } else if (p->body_bytes > AMQP_PEER_BODY_MAX) {
        err = amqp_peer_check_status(
            p, amqp_basic_reject(p->connection, AMQP_PEER_CHANNEL, p->tag, 0), "basic.reject");
    } else {
        struct slice body = {p->body.bytes > 0 ? p->body.data : "", p->body.bytes};
        p->events->on_delivery(p->ctx, p->queue, p->tag, p->is_redelivered, p->returns, body);
    }
    buf_reset(&p->body);
    return err;
}

/* How often a delivery was given back. */
static unsigned amqp_peer_returns(const amqp_basic_properties_t *properties)
{
    static const struct slice name = SLICE_TEXT(BROKER_HEADER_RETURNS);
    bool has_headers = (properties->_flags & AMQP_BASIC_HEADERS_FLAG) != 0;
    for (int i = 0; has_headers && i < properties->headers.num_entries; i++) {
        const amqp_table_entry_t *entry = &properties->headers.entries[i];
        struct slice key = {entry->key.bytes, entry->key.len};
        int64_t returns;
        if (slice_equal(key, name) && entry->value.kind == AMQP_FIELD_KIND_UTF8) {
            struct slice value = {entry->value.value.bytes.bytes, entry->value.value.bytes.len};
            bool is_count = slice_int64(value, &returns) && returns >= 0 && returns <= INT32_MAX;
            return is_count ? (unsigned)returns : 0;
        }
    }
    return 0;
}

static int amqp_peer_take_header(struct amqp_peer *p, const amqp_frame_t *frame)
{
    const amqp_basic_properties_t *properties = frame->payload.properties.decoded;
    if (p->is_return && (properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0) {
        struct slice id = {properties->message_id.bytes, properties->message_id.len};
        int64_t sequence;
        if (slice_int64(id, &sequence)) {
            p->sequence = (uint64_t)sequence;
        }
    }
    p->returns = amqp_peer_returns(properties);
    p->body_bytes = frame->payload.properties.body_size;
    p->body_bytes_got = 0;
    p->expected = AMQP_PEER_BODY;
    return p->body_bytes == 0 ? amqp_peer_complete(p) : 0;
}

static int amqp_peer_take_body(struct amqp_peer *p, amqp_bytes_t fragment)
{
    p->body_bytes_got += fragment.len;
    if (!p->is_return && p->body_bytes <= AMQP_PEER_BODY_MAX) {
        buf_add(&p->body, fragment.bytes, fragment.len);
    }
    return p->body_bytes_got >= p->body_bytes ? amqp_peer_complete(p) : 0;
}

static int amqp_peer_take(struct amqp_peer *p, const amqp_frame_t *frame)
{
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        return amqp_peer_take_method(p, &frame->payload.method);
    }
    if (frame->frame_type == AMQP_FRAME_HEADER && p->expected == AMQP_PEER_HEADER) {
        return amqp_peer_take_header(p, frame);
    }
    if (frame->frame_type == AMQP_FRAME_BODY && p->expected == AMQP_PEER_BODY) {
        return amqp_peer_take_body(p, frame->payload.body_fragment);
    }
    return amqp_peer_fail(p, ERR_BROKER_REPLY, "frame", "out of order");
}

int amqp_peer_drain(struct amqp_peer *p, unsigned frames_max, const struct amqp_peer_events *events,
                    void *ctx, bool *ret_has_more)
{
    p->events = events;
    p->ctx = ctx;
    for (unsigned n = 1; n <= frames_max; n++) {
        struct timeval at_once = {0, 0};
        amqp_frame_t frame;
        int status = amqp_simple_wait_frame_noblock(p->connection, &frame, &at_once);
        if (status == AMQP_STATUS_TIMEOUT) {
            amqp_maybe_release_buffers(p->connection);
            *ret_has_more = false;
            return 0;
        }
        int err = amqp_peer_check_status(p, status, "connection");
        if (err == 0) {
            err = amqp_peer_take(p, &frame);
        }
        if (err != 0) {
            return err;
        }
        if (n % AMQP_PEER_RELEASE_FRAMES == 0) {
            amqp_maybe_release_buffers(p->connection);
        }
    }
    *ret_has_more = true;
    return 0;
}

bool amqp_peer_has_more(struct amqp_peer *p)
{
    return amqp_frames_enqueued(p->connection) || amqp_data_in_buffer(p->connection);
}

/* ---- sending, on the loop ---- */

int amqp_peer_publish(struct amqp_peer *p, const char *queue, struct slice body, uint64_t sequence,
                      struct broker_header header)
{
    char id[24];
    int id_bytes = snprintf(id, sizeof(id), "%" PRIu64, sequence);
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                  AMQP_BASIC_MESSAGE_ID_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .message_id = {(size_t)id_bytes, id},
    };
    amqp_table_entry_t entry;
    if (header.name != NULL) {
        entry = amqp_peer_text_argument(header.name, header.value);
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
        properties.headers = (amqp_table_t){1, &entry};
    }
    amqp_bytes_t bytes = {body.bytes, (void *)(uintptr_t)body.data}; /* only read */
    int status = amqp_basic_publish(p->connection, AMQP_PEER_CHANNEL, amqp_empty_bytes,
                                    amqp_cstring_bytes(queue), 1, 0, &properties, bytes);
    return amqp_peer_check_status(p, status, "basic.publish");
}

int amqp_peer_ack(struct amqp_peer *p, uint64_t tag, bool is_multiple)
{
    int status = amqp_basic_ack(p->connection, AMQP_PEER_CHANNEL, tag, is_multiple);
    return amqp_peer_check_status(p, status, "basic.ack");
}

int amqp_peer_consume(struct amqp_peer *p, unsigned queue)
{
    amqp_basic_consume_t consume = {
        .queue = amqp_cstring_bytes(p->topology->queues[queue].name),
        .consumer_tag = amqp_cstring_bytes(p->consumer_tags[queue]),
        .nowait = 1,
    };
    int status =
        amqp_send_method(p->connection, AMQP_PEER_CHANNEL, AMQP_BASIC_CONSUME_METHOD, &consume);
    return amqp_peer_check_status(p, status, "basic.consume");
}

int amqp_peer_cancel(struct amqp_peer *p, unsigned queue)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(p->consumer_tags[queue]),
                                  .nowait = 1};
    int status =
        amqp_send_method(p->connection, AMQP_PEER_CHANNEL, AMQP_BASIC_CANCEL_METHOD, &cancel);
    return amqp_peer_check_status(p, status, "basic.cancel");
}

int amqp_peer_count_parked(struct amqp_peer *p, unsigned queue)
{
    amqp_queue_declare_t declare = {
        .queue = amqp_cstring_bytes(p->topology->queues[queue].parked),
        .passive = 1,
    };
    int status =
        amqp_send_method(p->connection, AMQP_PEER_CHANNEL, AMQP_QUEUE_DECLARE_METHOD, &declare);
    return amqp_peer_check_status(p, status, "queue.declare");
}
