/* A second saga, end to end: a trip is driven by the engine, as orders are, with a real store and a
 * real broker; this test is the participants and the gateway that waits.
 *
 *   trip_begin --> journal --> driver, recovery, cancel, restore (a consumer of its own)
 *                                 |  ^
 *                       trip.book v  | trip.booked, trip.refused, ..
 *                              participants: do, refuse, or say nothing, as told
 *
 * RABBITMQ_NODES, _USER, _PASSWORD, _VHOST tell where; the virtual host must be the tests' own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/notice.h"
#include "runtime/service.h"
#include "runtime/stat.h"
#include "runtime/uuid.h"
#include "saga/driver.h"
#include "saga/restore.h"
#include "store/subscription.h"
#include "test/lib/rig.h"
#include "test/lib/trip.h"

#define PATIENCE_MS 20000
#define GATEWAY     "trip-gateway"

/* ---- the orchestrator: a table, and nothing else ---- */

static struct saga_row trip_other[TRIP_ROWS]; /* the same steps in another order */
static struct saga_definition trip_used;

static void *trip_start(struct consumer *consumer)
{
    return driver_new(consumer, &trip_used);
}

static const struct consumer_handler trip_commands[] = {
    {MESSAGE_ORDER_CANCEL, driver_cancel_record, driver_cancel_answer},
    {MESSAGE_ORDER_REPLAY, restore_record, restore_answer},
    {MESSAGE_TRIP_BOOKED, driver_event_record, driver_event_answer},
    {MESSAGE_TRIP_REFUSED, driver_event_record, driver_event_answer},
    {MESSAGE_TRIP_DROPPED, driver_event_record, driver_event_answer},
    {MESSAGE_TRIP_CANCELLED, driver_event_record, driver_event_answer},
};

static const struct conf_table *const trip_tables[] = {CONSUMER_TABLES, &saga_conf_table,
                                                       &begin_conf_table, NULL};

static const struct consumer_definition trip_orchestrator = {
    .name = "trip",
    .summary = "Drives trips.",
    .library = &trip_library,
    .address = ADDRESS_SAGA,
    .tables = trip_tables,
    .handlers = trip_commands,
    .handler_count = sizeof(trip_commands) / sizeof(trip_commands[0]),
    .queues = {QUEUE_ORDER, QUEUE_SAGA},
    .queue_count = 2,
    .on_start = trip_start,
    .on_stop = driver_free,
};

/* ---- the fixture ---- */

enum doing { BOOKS, REFUSES, IS_SILENT };

struct fixture {
    struct rig *store; /* which has a server, and asks it what the orchestrator has done */
    struct service service;
    struct service_context context;
    struct broker *broker; /* of the participants */
    struct subscription *gateway;
    enum doing doing[TRIP_ROWS]; /* of each participant */
    struct buf seen;             /* what they were told: flight flight-undo .. */
    struct buf told;             /* what the gateway was told */
    char saga[64];
    char entity[16];
    unsigned trips;
};

static const char *lookup(const char *variable)
{
    return getenv(variable);
}

static void on_message(void *ctx, struct slice payload)
{
    struct fixture *f = ctx;
    struct envelope *e;
    const char *detail;
    assert_int_equal(envelope_read(&message_schema, payload, &e, &detail), 0);
    for (unsigned i = 0; i < envelope_count(e); i++) {
        const struct message *m = envelope_at(e, i);
        buf_addf(&f->told, "%s %.*s %d;", message_type_text(m->type), SLICE_ARG(m->reason),
                 (int)m->count);
    }
    envelope_free(e);
}

/* A participant knows its own work, and nothing of what comes before or behind it. */
static void participate(struct fixture *f, const struct message *in)
{
    struct message answer = {.type = MESSAGE_TRIP_BOOKED};
    struct saga_command command;
    assert_true(saga_command_parse(&trip_used, in->id, &command));
    const char *name = trip_used.rows[command.row].name;
    enum doing doing = f->doing[strcmp(name, "flight") == 0  ? TRIP_FLIGHT
                                : strcmp(name, "hotel") == 0 ? TRIP_HOTEL
                                                             : TRIP_CAR];
    buf_addf(&f->seen, "%s%s ", name,
             in->type == MESSAGE_TRIP_DROP     ? "-undo"
             : in->type == MESSAGE_TRIP_CANCEL ? "?"
                                               : "");
    message_set(&answer, id, in->id);
    message_set(&answer, order, in->order);
    if (in->type == MESSAGE_TRIP_DROP) {
        assert_true(slice_is(in->user, "Ada"));
        answer.type = MESSAGE_TRIP_DROPPED;
    } else if (in->type == MESSAGE_TRIP_CANCEL) {
        answer.type = MESSAGE_TRIP_CANCELLED;
    } else if (doing == REFUSES) {
        answer.type = MESSAGE_TRIP_REFUSED;
        message_set(&answer, reason, SLICE_TEXT("none left"));
    } else if (doing == IS_SILENT) {
        return;
    } else {
        assert_int_equal(in->count, 3); /* nights */
    }
    broker_send(f->broker, QUEUE_SAGA, &answer, NULL, NULL);
}

static void on_delivery(void *ctx, const struct broker_delivery *from)
{
    struct fixture *f = ctx;
    struct envelope *e;
    const char *detail;
    assert_int_equal(envelope_read(&message_schema, from->body, &e, &detail), 0);
    for (unsigned i = 0; i < envelope_count(e); i++) {
        const struct message *m = envelope_at(e, i);
        if (slice_is(m->order, f->entity)) { /* else it is of a trip before */
            participate(f, m);
        }
    }
    envelope_free(e);
    broker_ack_up_to(f->broker, from->epoch, from->tag);
}

#define turn_until(f, claim)                                                                       \
    do {                                                                                           \
        int64_t until_ms = loop_now_ms((f)->context.loop) + PATIENCE_MS;                           \
        while (!(claim) && loop_now_ms((f)->context.loop) < until_ms) {                            \
            loop_turn((f)->context.loop, true);                                                    \
        }                                                                                          \
        if (!(claim)) {                                                                            \
            fail_msg("never: %s (seen %s, told %s)", #claim, (f)->seen.data, (f)->told.data);      \
        }                                                                                          \
    } while (0)

static int group_setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    struct buf text = {0};
    struct conf *conf = &f->context.conf;
    *state = f;
    trip_used = trip_definition;
    f->store = rig_new(&trip_library);
    assert_int_equal(conf_load(conf, trip_tables, lookup, &text), 0);
    struct address_conf *address = conf_values(conf, &address_tables[ADDRESS_SAGA]);
    snprintf(address->node, sizeof(address->node), "%s", rig_node(f->store));
    ((struct store_conf *)conf_values(conf, &store_conf_table))->redis_password[0] = '\0';
    ((struct begin_conf *)conf_values(conf, &begin_conf_table))->saga_resend_ms = 300;
    f->context.loop = rig_loop(f->store);
    f->context.definition = &trip_orchestrator;
    f->service = consumer_service(&trip_orchestrator);
    assert_int_equal(f->service.start(&f->context), 0);
    f->broker = broker_new(f->context.loop, broker_conf(conf), "participants", &message_schema,
                           &queues_topology);
    broker_consume(f->broker, QUEUE_PAYMENT, on_delivery, f);
    broker_consume(f->broker, QUEUE_STOCK, on_delivery, f);
    buf_reset(&text);
    notice_channel(SLICE_TEXT(GATEWAY), &text);
    f->gateway = subscription_new(f->context.loop, store_conf(conf), address->node, text.data,
                                  on_message, f);
    turn_until(f, subscription_is_up(f->gateway) && broker_is_up(f->broker));
    buf_free(&text);
    return 0;
}

static int group_teardown(void **state)
{
    struct fixture *f = *state;
    subscription_free(f->gateway);
    broker_free(f->broker);
    f->service.drain(&f->context);
    f->service.stop(&f->context);
    rig_free(f->store);
    buf_free(&f->seen);
    buf_free(&f->told);
    free(f);
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = *state;
    trip_used = trip_definition;
    memset(f->doing, 0, sizeof(f->doing));
    snprintf(f->entity, sizeof(f->entity), "t%u", ++f->trips);
    return 0;
}

static const char *state_of(struct fixture *f)
{
    return text_of(
        "%.*s",
        SLICE_ARG(journal_record_read(
                      &trip_definition.journal,
                      slice_from(text_of("x|%s|%s", f->entity,
                                         rig_ask(f->store, "HGET",
                                                 text_of("trip:trip:%s", f->entity), "journal"))))
                      .state));
}

/* A trip begins; its first command goes out when it is due. */
static void trip_begin(struct fixture *f)
{
    const struct uuid saga = uuid_make(loop_wall_ms(f->context.loop));
    snprintf(f->saga, sizeof(f->saga), "%s", saga.text);
    buf_reset(&f->seen);
    buf_reset(&f->told);
    buf_add_text(&f->seen, "");
    buf_add_text(&f->told, "");
    rig_ask(f->store, "FCALL", "trip_begin", "3", bucket_of("trip", f->saga),
            text_of("trip:trip:%s", f->entity), "trip:open", f->saga, f->entity,
            GATEWAY "/request-1", "1", saga_state_text(&trip_used, saga_begin(&trip_used).next),
            "Ada", "3");
}

static void assert_ends(struct fixture *f, const char *seen, const char *told, const char *state)
{
    turn_until(f, strcmp(f->told.data, told) == 0);
    assert_string_equal(f->seen.data, seen);
    assert_string_equal(state_of(f), state);
    assert_string_equal(rig_ask(f->store, "ZCARD", "trip:open"), "0");
}

/* ---- tests ---- */

static void trip_is_booked(void **state)
{
    struct fixture *f = *state;
    trip_begin(f);
    assert_ends(f, "flight hotel car ", "trip.done  3;", "BOOKED");
}

/* The pivot refuses: what was done is given back, the latest first. */
static void trip_is_given_back(void **state)
{
    struct fixture *f = *state;
    f->doing[TRIP_CAR] = REFUSES;
    trip_begin(f);
    assert_ends(f, "flight hotel car hotel-undo flight-undo ", "refused none left 0;",
                "CALLED_OFF");
}

/* Two steps change places in the table: no participant notices. */
static void trip_steps_change_places(void **state)
{
    struct fixture *f = *state;
    trip_other[0] = trip_rows[TRIP_HOTEL];
    trip_other[1] = trip_rows[TRIP_FLIGHT];
    trip_other[2] = trip_rows[TRIP_CAR];
    trip_used.rows = trip_other;
    trip_begin(f);
    assert_ends(f, "hotel flight car ", "trip.done  3;", "BOOKED");
    snprintf(f->entity, sizeof(f->entity), "t%u", ++f->trips);
    f->doing[TRIP_FLIGHT] = REFUSES;
    trip_begin(f);
    assert_ends(f, "hotel flight hotel-undo ", "refused none left 0;", "CALLED_OFF");
}

/* Nobody answers: it is asked again, under the same id, and the answer moves it on. */
static void trip_is_asked_again(void **state)
{
    struct fixture *f = *state;
    f->doing[TRIP_HOTEL] = IS_SILENT;
    trip_begin(f);
    turn_until(f, strcmp(f->seen.data, "flight hotel hotel ") == 0);
    assert_string_equal(state_of(f), "BOOKING_HOTEL");
    f->doing[TRIP_HOTEL] = BOOKS;
    turn_until(f, strcmp(f->told.data, "trip.done  3;") == 0);
    assert_string_equal(state_of(f), "BOOKED");
}

static void operator_cancels(struct fixture *f)
{
    const struct uuid id = uuid_make(loop_wall_ms(f->context.loop));
    struct message cancel = {.type = MESSAGE_ORDER_CANCEL};
    message_set(&cancel, id, slice_from(id.text));
    message_set(&cancel, gateway, SLICE_TEXT(GATEWAY));
    message_set(&cancel, saga, slice_from(f->saga));
    broker_send(f->broker, QUEUE_ORDER, &cancel, NULL, NULL);
}

/* An operator gives it up while the pivot is silent, which is cancelled, and so is the rest. One
 * that has ended cannot be given up. */
static void trip_is_cancelled(void **state)
{
    struct fixture *f = *state;
    f->doing[TRIP_CAR] = IS_SILENT;
    trip_begin(f);
    turn_until(f, strstr(f->seen.data, "car ") != NULL);
    operator_cancels(f);
    turn_until(f, strstr(f->told.data, "refused the trip was cancelled 0;") != NULL);
    assert_non_null(strstr(f->told.data, "saga.running "));
    assert_non_null(strstr(f->seen.data, "car? hotel-undo flight-undo "));
    assert_string_equal(state_of(f), "CALLED_OFF");
    buf_reset(&f->told);
    operator_cancels(f);
    turn_until(f, strstr(f->told.data, "conflict the saga has ended") != NULL);
}

/* A participant's store is another: what trips have done there is sent again, and nobody else is
 * told anything. */
static void trip_is_restored(void **state)
{
    struct fixture *f = *state;
    trip_begin(f);
    turn_until(f, strcmp(f->told.data, "trip.done  3;") == 0);
    const struct uuid id = uuid_make(loop_wall_ms(f->context.loop));
    struct message lost = {.type = MESSAGE_ORDER_REPLAY};
    buf_reset(&f->seen);
    buf_add_text(&f->seen, "");
    rig_ask(f->store, "ZADD", "trip:buckets", "0", "x");
    rig_ask(f->store, "DEL", "trip:buckets");
    int64_t bucket = loop_wall_ms(f->context.loop) >> ONCE_BUCKET_SHIFT;
    for (int64_t at = bucket - 1; at <= bucket; at++) {
        rig_ask(f->store, "ZADD", "trip:buckets", text_of("%lld", (long long)at),
                text_of("%09llx", (long long)at));
    }
    message_set(&lost, id, slice_from(id.text));
    message_set(&lost, service, SLICE_TEXT("hotel"));
    message_set(&lost, since, loop_wall_ms(f->context.loop) - 10000);
    broker_send(f->broker, QUEUE_ORDER, &lost, NULL, NULL);
    turn_until(f, strcmp(f->seen.data, "hotel ") == 0);
    turn_until(f, strcmp(rig_ask(f->store, "EXISTS", "trip:replay:hotel"), "0") == 0);
    assert_string_equal(f->seen.data, "hotel ");
    assert_string_equal(f->told.data, "trip.done  3;");
}

/* One that is past its deadline and cannot be moved on is told of each time that it is due, and
 * counted: else nobody would ever look at it. Its id is none, so it has no record to be moved by.
 */
static void trip_is_immovable(void **state)
{
    struct fixture *f = *state;
    const struct stat_value *told = stat_counter("kassa_sagas_immovable_total", "", "");
    int64_t before = stat_get(told);
    rig_ask(f->store, "HSET", text_of("trip:trip:%s", f->entity), "journal",
            "no-id|1|BOOKING_HOTEL|1|9||" GATEWAY "/request-1|Ada|3|"
            "BOOKING_FLIGHT:1:0,BOOKING_HOTEL:2:0");
    rig_ask(f->store, "ZADD", "trip:open", "1", f->entity);
    turn_until(f, stat_get(told) >= before + 2);
    assert_string_equal(state_of(f), "BOOKING_HOTEL");
    rig_ask(f->store, "ZREM", "trip:open", f->entity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(trip_is_booked, setup),
        cmocka_unit_test_setup(trip_is_given_back, setup),
        cmocka_unit_test_setup(trip_steps_change_places, setup),
        cmocka_unit_test_setup(trip_is_asked_again, setup),
        cmocka_unit_test_setup(trip_is_cancelled, setup),
        cmocka_unit_test_setup(trip_is_immovable, setup),
        cmocka_unit_test_setup(trip_is_restored, setup),
    };
    return cmocka_run_group_tests_name("trip", tests, group_setup, group_teardown);
}
