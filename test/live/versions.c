/* A system is renewed while the form of its messages changes: consumers of two releases on one queue
 * of a real RabbitMQ, each with its own catalogue (test/lib/releases.h), each sending to the other.
 * RABBITMQ_NODES, _USER, _PASSWORD, _VHOST tell where. The queues are this test's own, and deleted.
 *
 *   process --send--> test's queue -------> the other one, or itself --read--> done, once
 *                         ^                             '--not understood--> later --.
 *                         '----------------------------------------------------------'
 *
 * Processes are objects of this one. Source: protocol.md, "Versions side by side". */
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
#include "consumer/later.h"
#include "runtime/err.h"
#include "test/lib/given.h"
#include "test/lib/releases.h"

#define PATIENCE_MS  30000
#define MESSAGES_MAX 1000
#define SEND         20 /* messages of a process between two steps */
#define PROCESSES    2

/* One for each test: a broker that has just deleted a quorum queue may fail to make it anew. */
static const struct topology_queue queues[] = {
    {"kassa.test.versions.1", "kassa.test.versions.1.parked", TOPOLOGY_QUORUM, 0},
    {"kassa.test.versions.2", "kassa.test.versions.2.parked", TOPOLOGY_QUORUM, 0},
    {"kassa.test.versions.3", "kassa.test.versions.3.parked", TOPOLOGY_QUORUM, 0},
};
static const struct topology topology = {queues, sizeof(queues) / sizeof(queues[0])};
static unsigned tests_begun;

struct process {
    struct fixture *fixture;
    enum release release;
    struct broker *broker;
    struct later *later;
    unsigned taken; /* since the last step */
};

struct fixture {
    struct broker_conf conf;
    struct loop *loop;
    struct loop_timer *tick; /* so that waiting for a turn always ends */
    unsigned queue;
    struct process processes[PROCESSES];
    int64_t sent;
    unsigned done[MESSAGES_MAX]; /* how often the n-th message was done */
    int64_t done_distinct;
    unsigned held, given_back;
};

/* A message that a process gives back, until the broker has it again. */
struct return_of {
    struct process *process;
    uint64_t epoch, tag;
};

static void tick(void *ctx)
{
    (void)ctx;
}

static void on_given_back(void *ctx)
{
    struct return_of *r = ctx;
    r->process->fixture->given_back++;
    broker_ack_one(r->process->broker, r->epoch, r->tag);
    free(r);
}

static void on_delivery(void *ctx, const struct broker_delivery *delivery)
{
    struct process *p = ctx;
    struct fixture *f = p->fixture;
    struct envelope *e = NULL;
    const char *detail = "";
    int err = envelope_read(&releases[p->release], delivery->body, &e, &detail);
    if (err != 0) {
        struct return_of *r = mem_new(sizeof(*r));
        f->held++;
        *r = (struct return_of){p, delivery->epoch, delivery->tag};
        assert_int_equal(err_disposition(err), ERR_LATER);
        assert_true(later_take(p->later, delivery, err, detail, on_given_back, r));
        return;
    }
    for (unsigned i = 0; i < envelope_count(e); i++) {
        int64_t n = envelope_at(e, i)->number;
        assert_in_range(n, 0, MESSAGES_MAX - 1);
        f->done_distinct += f->done[n]++ == 0;
        p->taken++;
    }
    envelope_free(e);
    broker_ack_one(p->broker, delivery->epoch, delivery->tag);
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
            fail_msg("never: %s (sent %lld, done %lld, given back %u)", #claim,                    \
                     (long long)(f)->sent, (long long)(f)->done_distinct, (f)->given_back);        \
        }                                                                                          \
    } while (0)

static void process_end(struct process *p)
{
    later_free(p->later);
    broker_free(p->broker);
    *p = (struct process){0};
}

/* In the place of whatever was there. */
static void process_begin(struct fixture *f, unsigned at, enum release release)
{
    struct process *p = &f->processes[at];
    process_end(p);
    p->fixture = f;
    p->release = release;
    p->broker = broker_new(f->loop, &f->conf, "test", &releases[release], &topology);
    p->later = later_new(f->loop, p->broker);
    broker_consume(p->broker, f->queue, on_delivery, p);
    turn_until(f, broker_is_up(p->broker));
}

/* Each process sends until each has taken some, and all that was sent is done. */
static void work(struct fixture *f, bool is_shared)
{
    f->processes[0].taken = f->processes[1].taken = 0;
    do {
        for (unsigned i = 0; i < PROCESSES * SEND; i++) {
            struct process *p = &f->processes[i % PROCESSES];
            assert_true(f->sent < MESSAGES_MAX);
            struct message m = releases_message(p->release, f->sent++);
            broker_send(p->broker, f->queue, &m, NULL, NULL);
        }
        turn_until(f, f->done_distinct == f->sent && f->given_back == f->held);
    } while (is_shared && (f->processes[0].taken == 0 || f->processes[1].taken == 0));
}

static amqp_connection_state_t side_open(const struct broker_conf *conf)
{
    char host[256];
    int port;
    amqp_connection_state_t side = amqp_new_connection();
    assert_true(conf_node(conf->rabbitmq_nodes, 0, host, sizeof(host), &port));
    assert_int_equal(amqp_socket_open(amqp_tcp_socket_new(side), host, port), AMQP_STATUS_OK);
    amqp_login(side, conf->rabbitmq_vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
               conf->rabbitmq_user, conf->rabbitmq_password);
    amqp_channel_open(side, 1);
    assert_int_equal(amqp_get_rpc_reply(side).reply_type, AMQP_RESPONSE_NORMAL);
    return side;
}

/* Deletes the test's queues. Returns what was parked. */
static unsigned queues_end(const struct fixture *f)
{
    const struct topology_queue *queue = &queues[f->queue];
    amqp_connection_state_t side = side_open(&f->conf);
    amqp_queue_delete(side, 1, amqp_cstring_bytes(queue->name), 0, 0);
    amqp_queue_delete_ok_t *ok =
        amqp_queue_delete(side, 1, amqp_cstring_bytes(queue->parked), 0, 0);
    unsigned parked = ok != NULL ? ok->message_count : 0;
    amqp_destroy_connection(side);
    return parked;
}

static void each_is_done_once(const struct fixture *f)
{
    for (int64_t n = 0; n < f->sent; n++) {
        assert_int_equal(f->done[n], 1);
    }
}

static int fixture_setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    given_load(&broker_conf_table, (conf_lookup *)getenv, &f->conf);
    f->queue = tests_begun++;
    f->conf.rabbitmq_prefetch = 1;
    f->conf.envelope_commands_max = 1;
    f->loop = loop_new();
    f->tick = loop_timer_new(f->loop, tick, NULL);
    loop_timer_start(f->tick, 10, 10);
    *state = f;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    process_end(&f->processes[0]);
    process_end(&f->processes[1]);
    queues_end(f);
    loop_timer_free(f->tick);
    loop_free(f->loop);
    free(f);
    return 0;
}

/* In two steps: first all read the new form, then it is written. On the way nobody meets what it does
 * not understand, and both releases of each pair do the work of both. */
static void renewal_in_two_steps_holds_nothing_up(void **state)
{
    struct fixture *f = *state;
    process_begin(f, 0, RELEASE_BEFORE);
    process_begin(f, 1, RELEASE_BEFORE);
    work(f, true);
    for (int next = RELEASE_READS; next < RELEASE_COUNT; next++) {
        for (unsigned at = 0; at < PROCESSES; at++) {
            process_begin(f, at, (enum release)next);
            work(f, true);
        }
    }
    assert_int_equal(f->given_back, 0);
    each_is_done_once(f);
    assert_int_equal(queues_end(f), 0);
}

/* And it may be taken back, to the release that reads, and from there to the one before. */
static void renewal_is_taken_back(void **state)
{
    struct fixture *f = *state;
    process_begin(f, 0, RELEASE_WRITES);
    process_begin(f, 1, RELEASE_WRITES);
    work(f, true);
    for (int next = RELEASE_READS; next >= RELEASE_BEFORE; next--) {
        for (unsigned at = 0; at < PROCESSES; at++) {
            process_begin(f, at, (enum release)next);
            work(f, true);
        }
    }
    assert_int_equal(f->given_back, 0);
    each_is_done_once(f);
    assert_int_equal(queues_end(f), 0);
}

/* In one step it is slower, and nothing is lost, done twice or parked: what the release before does
 * not understand it gives back, until the new one has it. */
static void renewal_in_one_step_gives_back(void **state)
{
    struct fixture *f = *state;
    process_begin(f, 0, RELEASE_BEFORE);
    process_begin(f, 1, RELEASE_WRITES);
    work(f, false);
    assert_true(f->given_back > 0);
    each_is_done_once(f);
    assert_int_equal(queues_end(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(renewal_in_two_steps_holds_nothing_up, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(renewal_is_taken_back, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(renewal_in_one_step_gives_back, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
