/* Commands on their way through RabbitMQ. See courier.h. */
#include "test/lib/courier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <amqp_tcp_socket.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "runtime/stat.h"
#include "test/lib/given.h"

/* ---- the side connection ---- */

static void check_side(struct courier *c)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(c->side);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail_msg("the side connection failed: %s",
                 reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION
                     ? amqp_error_string2(reply.library_error)
                     : "refused by the broker");
    }
}

static void open_side(struct courier *c)
{
    char host[256];
    assert_true(conf_node(c->conf.rabbitmq_nodes, 0, host, sizeof(host), &c->port));
    c->side = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(c->side);
    assert_int_equal(amqp_socket_open(socket, host, c->port), AMQP_STATUS_OK);
    amqp_login(c->side, c->conf.rabbitmq_vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
               c->conf.rabbitmq_user, c->conf.rabbitmq_password);
    amqp_channel_open(c->side, 1);
    check_side(c);
}

static void close_side(struct courier *c)
{
    amqp_destroy_connection(c->side);
}

static void purge_all(struct courier *c)
{
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        enum queue queue = (enum queue)q;
        amqp_queue_purge(c->side, 1, amqp_cstring_bytes(queues_text(queue)));
        check_side(c);
        amqp_queue_purge(c->side, 1, amqp_cstring_bytes(queues_parked_text(queue)));
        check_side(c);
    }
}

void courier_delete(struct courier *c, const char *queue)
{
    amqp_queue_delete(c->side, 1, amqp_cstring_bytes(queue), 0, 0);
    check_side(c);
}

unsigned courier_count(struct courier *c, const char *queue)
{
    amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(c->side, 1, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    check_side(c);
    return ok->message_count;
}

void courier_put(struct courier *c, const char *queue, const void *data, size_t bytes)
{
    amqp_bytes_t body = {bytes, (void *)(uintptr_t)data};
    assert_int_equal(amqp_basic_publish(c->side, 1, amqp_empty_bytes, amqp_cstring_bytes(queue), 0,
                                        0, NULL, body),
                     AMQP_STATUS_OK);
}

void courier_take(struct courier *c, const char *queue, bool is_rejected, struct buf *ret_body,
                  struct buf *ret_reason)
{
    amqp_rpc_reply_t reply;
    amqp_basic_get_empty_t *nothing = NULL;
    for (int i = 0; i < 200; i++) {
        reply = amqp_basic_get(c->side, 1, amqp_cstring_bytes(queue), 0);
        assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
        if (reply.reply.id == AMQP_BASIC_GET_OK_METHOD) {
            break;
        }
        nothing = reply.reply.decoded;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    (void)nothing;
    assert_int_equal(reply.reply.id, AMQP_BASIC_GET_OK_METHOD);
    uint64_t tag = ((amqp_basic_get_ok_t *)reply.reply.decoded)->delivery_tag;
    amqp_message_t message;
    assert_int_equal(amqp_read_message(c->side, 1, &message, 0).reply_type, AMQP_RESPONSE_NORMAL);
    buf_add(ret_body, message.body.bytes, message.body.len);
    buf_add_text(ret_reason, "");
    for (int i = 0; i < message.properties.headers.num_entries; i++) {
        amqp_table_entry_t *entry = &message.properties.headers.entries[i];
        if (slice_is((struct slice){entry->key.bytes, entry->key.len}, "x-kassa-reason")) {
            buf_add(ret_reason, entry->value.value.bytes.bytes, entry->value.value.bytes.len);
        }
    }
    amqp_destroy_message(&message);
    if (is_rejected) {
        amqp_basic_reject(c->side, 1, tag, 0);
    } else {
        amqp_basic_ack(c->side, 1, tag, 0);
    }
}

/* ---- the tested side ---- */

static void tick(void *ctx)
{
    (void)ctx;
}

void courier_on_confirm(void *ctx)
{
    ((struct courier *)ctx)->confirmed++;
}

void courier_on_delivery(void *ctx, const struct broker_delivery *delivery)
{
    struct courier *c = ctx;
    struct envelope *e;
    const char *detail;
    assert_int_equal(envelope_read(&message_schema, delivery->body, &e, &detail), 0);
    for (unsigned i = 0; i < envelope_count(e); i++) {
        int64_t number = envelope_at(e, i)->count;
        assert_true(number >= 0 && number < COURIER_COMMANDS_MAX);
        c->seen_distinct += c->seen[number]++ == 0;
        c->in_order += number == c->in_order;
    }
    envelope_free(e);
    c->deliveries++;
    c->redeliveries += delivery->redelivered;
    c->last = *delivery;
    if (c->is_acking) {
        broker_ack_up_to(c->broker, delivery->epoch, delivery->tag);
    }
}

void courier_send(struct courier *c, enum queue queue, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_true(c->sent < COURIER_COMMANDS_MAX);
        struct message m = {.type = MESSAGE_PAYMENT_INIT};
        char id[64];
        snprintf(id, sizeof(id), "0193a000-0000-7000-8000-%012u:1:init", c->sent);
        message_set(&m, id, slice_from(id));
        message_set(&m, gateway, SLICE_TEXT("gateway-0193a000-0000-7000-8000-000000000001"));
        message_set(&m, count, (int64_t)c->sent);
        message_set(&m, credit, 1);
        broker_send(c->broker, queue, &m, courier_on_confirm, c);
        c->sent++;
    }
}

int64_t courier_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void courier_turn_for(struct courier *c, int64_t ms)
{
    int64_t until_ms = courier_clock_ms() + ms;
    while (courier_clock_ms() < until_ms) {
        loop_turn(c->loop, true);
    }
}

unsigned courier_cut(struct courier *c)
{
    unsigned cut = 0;
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t length = sizeof(peer);
        if (fd != amqp_get_sockfd(c->side) &&
            getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == c->port) {
            shutdown(fd, SHUT_RDWR);
            cut++;
        }
    }
    return cut;
}

int64_t courier_stat(const char *name)
{
    return stat_get(stat_counter(name, "", ""));
}

/* Who consumes declares, so somebody has to have been there; what is confirmed has a queue. */
static void declare_all(struct courier *c)
{
    c->broker = broker_new(c->loop, &c->conf, "test", &message_schema, &queues_topology);
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        broker_consume(c->broker, (enum queue)q, courier_on_delivery, c);
        courier_send(c, (enum queue)q, 1);
    }
    courier_turn_until(c, c->confirmed == c->sent);
    broker_free(c->broker);
    purge_all(c);
    c->sent = c->confirmed = c->seen_distinct = c->in_order = c->deliveries = c->redeliveries = 0;
    memset(c->seen, 0, sizeof(c->seen));
}

void courier_begin(struct courier *c)
{
    declare_all(c);
    c->broker = broker_new(c->loop, &c->conf, "test", &message_schema, &queues_topology);
    courier_turn_until(c, broker_is_up(c->broker));
}

/* The consuming link is made at the first broker_consume, before the first turn. */
void courier_begin_consuming(struct courier *c, enum queue queue)
{
    courier_begin(c);
    broker_free(c->broker);
    c->broker = broker_new(c->loop, &c->conf, "test", &message_schema, &queues_topology);
    broker_consume(c->broker, queue, courier_on_delivery, c);
    courier_turn_until(c, broker_is_up(c->broker));
}

int courier_setup(void **state)
{
    struct courier *c = mem_new(sizeof(*c));
    given_load(&broker_conf_table, (conf_lookup *)getenv, &c->conf);
    c->is_acking = true;
    c->loop = loop_new();
    c->tick = loop_timer_new(c->loop, tick, NULL);
    loop_timer_start(c->tick, 10, 10);
    open_side(c);
    *state = c;
    return 0;
}

int courier_teardown(void **state)
{
    struct courier *c = *state;
    broker_free(c->broker);
    loop_timer_free(c->tick);
    loop_free(c->loop);
    close_side(c);
    free(c);
    return 0;
}
