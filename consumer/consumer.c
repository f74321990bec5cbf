/* A service around the five beats: what it is made of, its start and its end. */
#include "consumer/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/names.h"
#include "consumer/work.h"
#include "runtime/crash.h"

#define UNCONFIRMED_MAX 10000 /* commands; more and re-sends wait */
#define SHORT_KEEP_MS   3000  /* that a store is short is written each second: MEMORY_MS */

void consumer_resend(struct consumer *c, enum queue queue, const struct message *m,
                     broker_on_confirm *on_sent, void *ctx)
{
    broker_send(c->broker, queue, m, on_sent, ctx);
}

bool consumer_is_congested(const struct consumer *c)
{
    return !broker_is_up(c->broker) || broker_unconfirmed(c->broker) > UNCONFIRMED_MAX;
}

void consumer_tell(struct consumer *c, struct slice gateway, const struct message *m)
{
    notice_add(c->notices, gateway, m);
}

int64_t consumer_now_ms(const struct consumer *c)
{
    return store_wall_ms(c->store);
}

const struct conf *consumer_conf(const struct consumer *c)
{
    return &c->context->conf;
}

struct loop *consumer_loop(const struct consumer *c)
{
    return c->context->loop;
}

struct store *consumer_store(const struct consumer *c)
{
    return c->store;
}

void *consumer_side(const struct consumer *c)
{
    return c->side;
}

void consumer_call(const struct consumer_work *work, struct args *call, const char *name,
                   int key_count)
{
    library_call(call, work->consumer->definition->library, name, key_count);
    args_join(call, work->consumer->once.data, slice_from(work->bucket));
}

/* ---- a service that is nothing but a consumer ---- */

static void consumer_open_stats(struct consumer *c)
{
#define X(field, name, help) c->field = stat_counter(name, "", help);
    WORK_COUNTERS(X)
#undef X
    for (unsigned i = 0; i < c->definition->handler_count; i++) {
        const struct consumer_handler *handler = &c->definition->handlers[i];
        struct buf labels = {0};
        buf_addf(&labels, "type=\"%s\"", message_type_text(handler->type));
        c->handlers[handler->type] = handler;
        c->count_of[handler->type] =
            stat_counter("kassa_commands_total", labels.data, "commands taken, repeats included");
        buf_free(&labels);
    }
    struct stat_value *unknown =
        stat_counter("kassa_commands_total", "type=\"unknown\"", "commands taken");
    for (unsigned i = 0; i < MESSAGE_TYPE_COUNT; i++) {
        if (!c->count_of[i]) {
            c->count_of[i] = unknown;
        }
    }
}

/* Gateways read it: what begins something is refused meanwhile. When it is over they need not wait
 * until the key has gone by itself; another process that sees it otherwise writes it again. */
static void consumer_on_short(void *ctx, bool is_short)
{
    struct consumer *c = ctx;
    args_reset(&c->call);
    args_text(&c->call, "SET");
    args_join(&c->call, KEY.kassa_short, slice_from(c->definition->name));
    args_text(&c->call, "1");
    args_text(&c->call, "PX");
    args_int(&c->call, is_short ? SHORT_KEEP_MS : 1);
    store_call(c->notice_store, &c->call, NULL, NULL);
}

static void consumer_sweep(void *ctx, struct args *call, const char *seen, int64_t rise_ms,
                           const char *cursor)
{
    struct consumer *c = ctx;
    char keep[24] = "";
    int64_t bucket;
    if (keep_from(c->keep, &bucket)) {
        snprintf(keep, sizeof(keep), "%lld", (long long)bucket);
    }
    once_sweep(call, c->definition->library,
               once_life(once_conf(&c->context->conf), memory_is_tight(c->memory)), keep, seen,
               rise_ms, SWEEP_LIMIT, cursor);
}

static void consumer_on_tick(void *ctx)
{
    work_tick(ctx);
}

static void consumer_on_store_up(void *ctx)
{
    work_retry(ctx);
}

static int consumer_start(struct service_context *context)
{
    struct consumer *c = mem_new(sizeof(*c));
    const struct conf *conf = &context->conf;
    c->definition = context->definition;
    const char *node = address_of(conf, c->definition->address);
    const char *notice_node = address_of(conf, ADDRESS_SAGA);
    context->state = c;
    c->context = context;
    TAILQ_INIT(&c->deliveries);
    TAILQ_INIT(&c->waiting);
    buf_addf(&c->once, "%s%s", c->definition->name, PART.once);
    consumer_open_stats(c);
    c->store = store_new(context->loop, store_conf(conf), c->definition->name, node,
                         c->definition->library);
    c->notice_store = strcmp(node, notice_node) == 0
                          ? c->store
                          : store_new(context->loop, store_conf(conf), "saga", notice_node, NULL);
    c->notices = notices_new(context->loop, c->notice_store);
    store_watch_up(c->store, consumer_on_store_up, c);
    c->tick = loop_timer_new(context->loop, consumer_on_tick, c);
    c->keep = keep_new(context->loop, c->definition->is_participant ? NULL : c->store,
                       c->definition->library, c->notice_store, KEEP_DELAY_MS);
    c->sweep = sweep_new(context->loop, c->store, consumer_sweep, c);
    c->libraries = libraries_new(context->loop, c->store, c->definition->library);
    c->pulse = pulse_new(context->loop, c->store, c->definition->name);
    c->memory = memory_new(context->loop, c->store, c->definition->name, consumer_on_short, c);
    c->broker = broker_new(context->loop, broker_conf(conf), c->definition->name, &message_schema,
                           &queues_topology);
    c->later = later_new(context->loop, c->broker);
    if (c->definition->is_participant) {
        c->announce = announce_new(context->loop, c->store, c->broker, c->definition->name,
                                   c->definition->restored_by);
    }
    for (unsigned i = 0; i < c->definition->queue_count; i++) {
        broker_consume(c->broker, c->definition->queues[i], work_deliver, c);
    }
    if (c->definition->on_start) {
        c->side = c->definition->on_start(c);
    }
    return 0;
}

static void consumer_drain(struct service_context *context)
{
    struct consumer *c = context->state;
    broker_consume_stop(c->broker);
}

static bool consumer_is_drained(struct service_context *context)
{
    struct consumer *c = context->state;
    return TAILQ_EMPTY(&c->deliveries) && broker_unconfirmed(c->broker) == 0;
}

/* What is still open is handed back: the broker delivers it again to the next consumer. */
static void consumer_stop(struct service_context *context)
{
    struct consumer *c = context->state;
    later_free(c->later);
    broker_free(c->broker);
    loop_timer_free(c->tick);
    sweep_free(c->sweep);
    libraries_free(c->libraries);
    notices_free(c->notices);
    if (c->notice_store != c->store) {
        store_free(c->notice_store);
    }
    store_free(c->store);
    pulse_free(c->pulse);
    memory_free(c->memory);
    announce_free(c->announce);
    keep_free(c->keep);
    if (c->definition->on_stop) {
        c->definition->on_stop(c->side);
    }
    work_forget(c);
    args_free(&c->call);
    buf_free(&c->once);
    buf_free(&c->text);
    free(c);
    context->state = NULL;
}

struct service consumer_service(const struct consumer_definition *definition)
{
    return (struct service){
        .name = definition->name,
        .summary = definition->summary,
        .definition = definition,
        .tables = definition->tables,
        .start = consumer_start,
        .drain = consumer_drain,
        .is_drained = consumer_is_drained,
        .stop = consumer_stop,
    };
}

int consumer_run(const struct consumer_definition *definition, int argc, char **argv)
{
    const struct service service = consumer_service(definition);
    for (unsigned i = 0; i < definition->handler_count; i++) {
        crash_kind(message_type_text(definition->handlers[i].type));
    }
    return service_run(&service, argc, argv);
}
