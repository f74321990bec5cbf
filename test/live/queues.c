/* The kinds of queues against a real RabbitMQ: each is declared as its row says, and behaves so.
 * RABBITMQ_NODES, _USER, _PASSWORD, _VHOST tell where. The queues are this test's own, and deleted at
 * the end of each test, so that nothing of it is left for others on the same broker.
 *
 *   tested: struct broker, on a topology of the test --> RabbitMQ <-- side: a plain connection that
 *   declares the same queues, which the broker refuses where one argument differs */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "broker/broker.h"
#include "catalogue/message.h"
#include "runtime/stat.h"
#include "test/lib/given.h"

#define PATIENCE_MS  20000
#define BOUND        3
#define STREAM_BOUND 5000000000 /* more than 32 bits */

/* The last is a quorum queue, too, and not the first one again: a broker that has just deleted one
 * may fail to make it anew. */
enum { KINDS_QUORUM, KINDS_CLASSIC, KINDS_STREAM, KINDS_EARLIER, KINDS_COUNT };

static const struct topology_queue kinds_queues[KINDS_COUNT] = {
    [KINDS_QUORUM] = {"kassa.test.quorum", "kassa.test.quorum.parked", TOPOLOGY_QUORUM, 0},
    [KINDS_CLASSIC] = {"kassa.test.classic", "kassa.test.classic.parked", TOPOLOGY_CLASSIC, BOUND},
    [KINDS_STREAM] = {"kassa.test.stream", "kassa.test.stream.parked", TOPOLOGY_STREAM,
                      STREAM_BOUND},
    [KINDS_EARLIER] = {"kassa.test.earlier", "kassa.test.earlier.parked", TOPOLOGY_QUORUM, 0},
};
static const struct topology kinds = {kinds_queues, KINDS_COUNT};

struct fixture {
    struct broker_conf conf;
    struct loop *loop;
    struct loop_timer *tick; /* so that waiting for a turn always ends */
    struct broker *broker;
    amqp_connection_state_t side;
    amqp_channel_t channel; /* a refusal closes it, and the next one is opened */
    bool is_acking;
    unsigned confirmed;
    unsigned seen;
    struct broker_delivery last;
};

/* ---- the side connection ---- */

static void side_channel(struct fixture *f)
{
    amqp_channel_open(f->side, ++f->channel);
    assert_int_equal(amqp_get_rpc_reply(f->side).reply_type, AMQP_RESPONSE_NORMAL);
}

static void side_open(struct fixture *f)
{
    char host[256];
    int port;
    assert_true(conf_node(f->conf.rabbitmq_nodes, 0, host, sizeof(host), &port));
    f->side = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(f->side);
    assert_int_equal(amqp_socket_open(socket, host, port), AMQP_STATUS_OK);
    amqp_login(f->side, f->conf.rabbitmq_vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
               f->conf.rabbitmq_user, f->conf.rabbitmq_password);
    side_channel(f);
}

/* Declares the queue with these, or passively. Errors: NULL: the broker refuses. */
static const amqp_queue_declare_ok_t *side_declare(struct fixture *f, const char *queue,
                                                   bool is_passive, amqp_table_t arguments)
{
    amqp_queue_declare_ok_t *ok = amqp_queue_declare(f->side, f->channel, amqp_cstring_bytes(queue),
                                                     is_passive, 1, 0, 0, arguments);
    if (ok == NULL) {
        amqp_channel_close_ok_t closed = {0};
        amqp_send_method(f->side, f->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &closed);
        side_channel(f);
    }
    return ok;
}

static amqp_table_entry_t side_text(const char *key, const char *value)
{
    return (amqp_table_entry_t){amqp_cstring_bytes(key),
                                {AMQP_FIELD_KIND_UTF8, {.bytes = amqp_cstring_bytes(value)}}};
}

static amqp_table_entry_t side_number(const char *key, int64_t value)
{
    return (amqp_table_entry_t){amqp_cstring_bytes(key), {AMQP_FIELD_KIND_I64, {.i64 = value}}};
}

/* Whatever became of the test. */
static void side_delete_all(struct fixture *f)
{
    for (unsigned q = 0; q < KINDS_COUNT; q++) {
        const char *names[] = {kinds_queues[q].name, kinds_queues[q].parked};
        for (unsigned i = 0; i < 2; i++) {
            amqp_queue_delete(f->side, f->channel, amqp_cstring_bytes(names[i]), 0, 0);
            assert_int_equal(amqp_get_rpc_reply(f->side).reply_type, AMQP_RESPONSE_NORMAL);
        }
    }
}

/* ---- the tested side ---- */

static void tick(void *ctx)
{
    (void)ctx;
}

static void on_confirm(void *ctx)
{
    ((struct fixture *)ctx)->confirmed++;
}

static void on_delivery(void *ctx, const struct broker_delivery *delivery)
{
    struct fixture *f = ctx;
    f->seen++;
    f->last = *delivery;
    if (f->is_acking) {
        broker_ack_up_to(f->broker, delivery->epoch, delivery->tag);
    }
}

/* One message for each command: conf says so. */
static void send_messages(struct fixture *f, unsigned queue, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct message m = {.type = MESSAGE_PONG};
        message_set(&m, id, SLICE_TEXT("a"));
        broker_send(f->broker, queue, &m, on_confirm, f);
    }
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#define turn_until(f, claim)                                                                       \
    do {                                                                                           \
        int64_t until_ms = now_ms() + PATIENCE_MS;                                                 \
        while (!(claim) && now_ms() < until_ms) {                                                  \
            loop_turn((f)->loop, true);                                                            \
        }                                                                                          \
        if (!(claim)) {                                                                            \
            fail_msg("never: %s (confirmed %u, seen %u)", #claim, (f)->confirmed, (f)->seen);      \
        }                                                                                          \
    } while (0)

/* A process that consumes `queue`, and so has declared it. */
static void broker_begin(struct fixture *f, unsigned queue)
{
    broker_free(f->broker);
    f->broker = broker_new(f->loop, &f->conf, "test", &message_schema, &kinds);
    broker_consume(f->broker, queue, on_delivery, f);
    f->confirmed = f->seen = 0;
    send_messages(f, queue, 1);
    turn_until(f, f->confirmed == 1 && f->seen == 1);
}

static int fixture_setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    given_load(&broker_conf_table, (conf_lookup *)getenv, &f->conf);
    f->conf.envelope_commands_max = 1;
    f->conf.rabbitmq_prefetch = 1;
    f->is_acking = true;
    f->loop = loop_new();
    f->tick = loop_timer_new(f->loop, tick, NULL);
    loop_timer_start(f->tick, 10, 10);
    side_open(f);
    *state = f;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    broker_free(f->broker);
    side_delete_all(f);
    amqp_destroy_connection(f->side);
    loop_timer_free(f->tick);
    loop_free(f->loop);
    free(f);
    return 0;
}

/* ---- the tests ---- */

/* Each queue has just the arguments of its columns: with one less, or another one, the broker says
 * that it is another queue. */
static void queues_are_declared_by_their_columns(void **state)
{
    struct fixture *f = *state;
    for (unsigned q = 0; q < KINDS_EARLIER; q++) {
        broker_begin(f, q);
    }
    amqp_table_entry_t quorum[] = {
        side_text("x-queue-type", "quorum"),
        side_text("x-dead-letter-exchange", "kassa.dead"),
        side_text("x-dead-letter-routing-key", "kassa.test.quorum"),
        side_number("x-delivery-limit", 50),
    };
    amqp_table_entry_t classic[] = {
        side_text("x-queue-type", "classic"),
        side_text("x-dead-letter-exchange", "kassa.dead"),
        side_text("x-dead-letter-routing-key", "kassa.test.classic"),
        side_number("x-max-length", BOUND),
        side_text("x-overflow", "reject-publish"),
    };
    amqp_table_entry_t stream[] = {
        side_text("x-queue-type", "stream"),
        side_number("x-max-length-bytes", STREAM_BOUND),
    };
    amqp_table_t all[KINDS_EARLIER] = {{4, quorum}, {5, classic}, {2, stream}};
    for (unsigned q = 0; q < KINDS_EARLIER; q++) {
        assert_non_null(side_declare(f, kinds_queues[q].name, false, all[q]));
        assert_non_null(side_declare(f, kinds_queues[q].parked, false, (amqp_table_t){1, quorum}));
        all[q].num_entries--;
        assert_null(side_declare(f, kinds_queues[q].name, false, all[q]));
    }
    stream[1].value.value.i64++;
    all[KINDS_STREAM].num_entries++;
    assert_null(side_declare(f, kinds_queues[KINDS_STREAM].name, false, all[KINDS_STREAM]));
}

/* A quorum queue that an earlier release has declared, with its 32-bit number, is the same one. */
static void queue_of_an_earlier_release_is_taken(void **state)
{
    struct fixture *f = *state;
    const char *queue = kinds_queues[KINDS_EARLIER].name;
    amqp_table_entry_t arguments[] = {
        side_text("x-queue-type", "quorum"),
        side_text("x-dead-letter-exchange", "kassa.dead"),
        side_text("x-dead-letter-routing-key", queue),
        {amqp_cstring_bytes("x-delivery-limit"), {AMQP_FIELD_KIND_I32, {.i32 = 50}}},
    };
    assert_non_null(side_declare(f, queue, false, (amqp_table_t){4, arguments}));
    broker_begin(f, KINDS_EARLIER);
}

/* What exceeds the bound of a queue is nacked and stays with its sender, until there is room. */
static void bounded_queue_refuses_and_its_sender_keeps(void **state)
{
    struct fixture *f = *state;
    struct stat_value *nacked = stat_counter("kassa_broker_nacked_total", "", "");
    broker_begin(f, KINDS_CLASSIC);
    int64_t before = stat_get(nacked);
    f->is_acking = false;
    send_messages(f, KINDS_CLASSIC, 10);
    turn_until(f, f->seen == 2 && f->confirmed == 1 + 1 + BOUND && stat_get(nacked) > before);
    assert_int_equal(broker_unconfirmed(f->broker), 10 - 1 - BOUND);
    const amqp_queue_declare_ok_t *ok =
        side_declare(f, kinds_queues[KINDS_CLASSIC].name, true, amqp_empty_table);
    assert_int_equal(ok->message_count, BOUND);
    f->is_acking = true;
    broker_ack_up_to(f->broker, f->last.epoch, f->last.tag);
    turn_until(f, f->confirmed == 11 && f->seen == 11);
    assert_int_equal(broker_unconfirmed(f->broker), 0);
}

/* What was taken from a stream and acknowledged is still in it. */
static void stream_keeps_what_was_read(void **state)
{
    struct fixture *f = *state;
    broker_begin(f, KINDS_STREAM);
    send_messages(f, KINDS_STREAM, 4);
    turn_until(f, f->confirmed == 5 && f->seen == 5);
    unsigned count = 0;
    int64_t until_ms = now_ms() + PATIENCE_MS; /* the broker counts a stream once in a while */
    while (count < 5 && now_ms() < until_ms) {
        loop_turn(f->loop, true);
        count =
            side_declare(f, kinds_queues[KINDS_STREAM].name, true, amqp_empty_table)->message_count;
    }
    assert_int_equal(count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(queues_are_declared_by_their_columns, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(queue_of_an_earlier_release_is_taken, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(bounded_queue_refuses_and_its_sender_keeps, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(stream_keeps_what_was_read, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
