/* Opening a connection: a chain of blocking calls, for a helper thread.
 *
 *   TCP connect --> login --> channel --> queues, as the topology says --> confirms, or prefetch
 */
#include "broker/amqp_peer.h"

#include <amqp_tcp_socket.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "runtime/err.h"

#define AMQP_PEER_FRAME_BYTES_MAX 131072 /* what RabbitMQ offers */
#define AMQP_PEER_STEP_TIMEOUT_S  2      /* TCP connect, handshake, and each RPC of the opening */
#define AMQP_PEER_SILENCE_MS      10000  /* data unacknowledged by the peer's kernel for so long */
#define AMQP_PEER_SEND_BYTES      (4 << 20) /* asked for; the kernel may give less */

static const amqp_table_entry_t amqp_peer_capabilities[] = {
    {{18, "publisher_confirms"}, {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
    {{10, "basic.nack"}, {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
    {{22, "consumer_cancel_notify"}, {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
    {{18, "connection.blocked"}, {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
};

static int amqp_peer_check_reply(struct amqp_peer *p, amqp_rpc_reply_t reply, const char *doing)
{
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
        return 0;
    }
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        return amqp_peer_check_status(p, reply.library_error, doing);
    }
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
            const amqp_channel_close_t *close = reply.reply.decoded;
            return amqp_peer_refused(p, doing, close->reply_code, close->reply_text);
        }
        if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
            const amqp_connection_close_t *close = reply.reply.decoded;
            return amqp_peer_refused(p, doing, close->reply_code, close->reply_text);
        }
    }
    return amqp_peer_fail(p, ERR_BROKER_REPLY, doing, "an unexpected answer");
}

/* The timeouts of the kernel, and a send buffer that takes a whole confirm window. */
static void amqp_peer_tune(struct amqp_peer *p)
{
    int fd = amqp_get_sockfd(p->connection);
    int on = 1;
    int silence_ms = AMQP_PEER_SILENCE_MS;
    int send_bytes = AMQP_PEER_SEND_BYTES;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    socklen_t length = sizeof(send_bytes);
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, &length) == 0) {
        p->room_bytes = (size_t)send_bytes / 2; /* the other half is the kernel's own use */
    }
}

static int amqp_peer_login(struct amqp_peer *p, const struct amqp_peer_setup *setup)
{
    const struct broker_conf *conf = setup->conf;
    char host[CONF_TEXT_MAX];
    int port;
    if (!conf_node(conf->rabbitmq_nodes, setup->node, host, sizeof(host), &port)) {
        return amqp_peer_fail(p, ERR_BROKER_DOWN, "RABBITMQ_NODES", "malformed");
    }
    char doing[CONF_TEXT_MAX + 16];
    snprintf(doing, sizeof(doing), "%s:%d", host, port);
    amqp_socket_t *socket = amqp_tcp_socket_new(p->connection);
    struct timeval timeout = {.tv_sec = AMQP_PEER_STEP_TIMEOUT_S};
    amqp_set_handshake_timeout(p->connection, &timeout);
    amqp_set_rpc_timeout(p->connection, &timeout);
    int err =
        amqp_peer_check_status(p, amqp_socket_open_noblock(socket, host, port, &timeout), doing);
    if (err != 0) {
        return err;
    }
    amqp_peer_tune(p);
    char name[64];
    snprintf(name, sizeof(name), "kassa-%s-%s-%d", setup->service,
             setup->is_publisher ? "publisher" : "consumer", (int)getpid());
    amqp_table_t capabilities = {sizeof(amqp_peer_capabilities) / sizeof(amqp_peer_capabilities[0]),
                                 (amqp_table_entry_t *)amqp_peer_capabilities}; /* only read */
    amqp_table_entry_t entries[] = {
        {amqp_cstring_bytes("connection_name"),
         {AMQP_FIELD_KIND_UTF8, {.bytes = amqp_cstring_bytes(name)}}},
        {amqp_cstring_bytes("capabilities"), {AMQP_FIELD_KIND_TABLE, {.table = capabilities}}},
    };
    amqp_table_t properties = {2, entries};
    amqp_rpc_reply_t reply = amqp_login_with_properties(
        p->connection, conf->rabbitmq_vhost, AMQP_DEFAULT_MAX_CHANNELS, AMQP_PEER_FRAME_BYTES_MAX,
        (int)conf->rabbitmq_heartbeat_s, &properties, AMQP_SASL_METHOD_PLAIN, conf->rabbitmq_user,
        conf->rabbitmq_password);
    return amqp_peer_check_reply(p, reply, doing);
}

/* A queue that is there keeps its arguments: they have to come in the same form each time. */
static amqp_table_entry_t amqp_peer_argument(const struct topology_argument *argument)
{
    if (argument->text != NULL) {
        return amqp_peer_text_argument(argument->key, argument->text);
    }
    amqp_table_entry_t entry = {amqp_cstring_bytes(argument->key), {AMQP_FIELD_KIND_I64, {}}};
    if (argument->number <= INT32_MAX) {
        entry.value.kind = AMQP_FIELD_KIND_I32;
        entry.value.value.i32 = (int32_t)argument->number;
    } else {
        entry.value.value.i64 = argument->number;
    }
    return entry;
}

static int amqp_peer_declare_queue(struct amqp_peer *p, const char *queue,
                                   const struct topology_argument *arguments, unsigned count)
{
    amqp_table_entry_t entries[TOPOLOGY_ARGUMENTS_MAX];
    for (unsigned i = 0; i < count; i++) {
        entries[i] = amqp_peer_argument(&arguments[i]);
    }
    amqp_table_t table = {(int)count, entries};
    amqp_queue_declare(p->connection, AMQP_PEER_CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0,
                       table);
    return amqp_peer_check_reply(p, amqp_get_rpc_reply(p->connection), queue);
}

/* The queue, and where its dead letters go: topology.h has the picture. */
static int amqp_peer_declare(struct amqp_peer *p, const struct topology_queue *queue)
{
    struct topology_argument arguments[TOPOLOGY_ARGUMENTS_MAX];
    unsigned count = topology_parked_arguments(arguments);
    int err = amqp_peer_declare_queue(p, queue->parked, arguments, count);
    if (err == 0 && topology_has_dead_letters(queue)) {
        amqp_queue_bind(p->connection, AMQP_PEER_CHANNEL, amqp_cstring_bytes(queue->parked),
                        amqp_cstring_bytes(TOPOLOGY_DEAD_EXCHANGE), amqp_cstring_bytes(queue->name),
                        amqp_empty_table);
        err = amqp_peer_check_reply(p, amqp_get_rpc_reply(p->connection), queue->parked);
    }
    if (err != 0) {
        return err;
    }
    count = topology_arguments(queue, arguments);
    return amqp_peer_declare_queue(p, queue->name, arguments, count);
}

static int amqp_peer_declare_all(struct amqp_peer *p, unsigned queues)
{
    int err = 0;
    if (queues != 0) {
        amqp_exchange_declare(p->connection, AMQP_PEER_CHANNEL,
                              amqp_cstring_bytes(TOPOLOGY_DEAD_EXCHANGE),
                              amqp_cstring_bytes("direct"), 0, 1, 0, 0, amqp_empty_table);
        err = amqp_peer_check_reply(p, amqp_get_rpc_reply(p->connection), TOPOLOGY_DEAD_EXCHANGE);
    }
    for (unsigned q = 0; q < p->topology->count && err == 0; q++) {
        if (queues & (1u << q)) {
            err = amqp_peer_declare(p, &p->topology->queues[q]);
        }
    }
    return err;
}

static int amqp_peer_prepare(struct amqp_peer *p, const struct amqp_peer_setup *setup)
{
    amqp_connection_state_t c = p->connection;
    amqp_channel_open(c, AMQP_PEER_CHANNEL);
    int err = amqp_peer_check_reply(p, amqp_get_rpc_reply(c), "channel");
    if (err != 0) {
        return err;
    }
    err = amqp_peer_declare_all(p, setup->queues);
    if (err != 0) {
        return err;
    }
    if (setup->is_publisher) {
        amqp_confirm_select(c, AMQP_PEER_CHANNEL);
    } else {
        amqp_basic_qos(c, AMQP_PEER_CHANNEL, 0, (uint16_t)setup->conf->rabbitmq_prefetch, 0);
    }
    return amqp_peer_check_reply(p, amqp_get_rpc_reply(c), "confirm.select or basic.qos");
}

int amqp_peer_open(const struct amqp_peer_setup *setup, struct amqp_peer **ret_peer,
                   char ret_why[AMQP_PEER_WHY_MAX])
{
    struct amqp_peer *p = mem_new(sizeof(*p));
    p->topology = setup->topology;
    p->connection = amqp_new_connection();
    assert(p->connection != NULL);
    for (unsigned q = 0; q < p->topology->count; q++) {
        snprintf(p->consumer_tags[q], AMQP_PEER_TAG_MAX, "%s-%d-%u-%s", setup->service,
                 (int)getpid(), setup->nonce, setup->topology->queues[q].name);
    }
    int err = amqp_peer_login(p, setup);
    if (err == 0) {
        err = amqp_peer_prepare(p, setup);
    }
    if (err != 0) {
        memcpy(ret_why, p->why, AMQP_PEER_WHY_MAX);
        amqp_peer_close(p);
        return err;
    }
    *ret_peer = p;
    return 0;
}
