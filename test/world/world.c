/* Virtual time: a heap of events, a stream of chance, nodes that start and die. */
#include "test/world/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/uuid.h"
#include "test/world/environment.h"

struct world world;
struct world_bugs world_bugs;
const struct world_patch *world_patch;

struct event {
    int64_t at_us;
    uint64_t order;
    struct node *node;
    uint64_t life;
    world_event *run;
    world_event *drop;
    void *ctx;
};

static struct {
    struct event *heap;
    size_t count, size;
    uint64_t order;
    unsigned faults;
    char first_fault[256];
} events;

/* xorshift64*: small, and the same everywhere. */
uint32_t world_random(uint32_t below)
{
    static const uint64_t multiplier = UINT64_C(2685821657736338717);
    world.seed ^= world.seed >> 12;
    world.seed ^= world.seed << 25;
    world.seed ^= world.seed >> 27;
    return (uint32_t)((world.seed * multiplier >> 32) % below);
}

bool world_chance(unsigned of_1000)
{
    return !world.is_calm && of_1000 > 0 && world_random(1000) < of_1000;
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void heap_push(struct event e)
{
    if (events.count == events.size) {
        events.size = events.size > 0 ? 2 * events.size : 1024;
        events.heap = realloc(events.heap, events.size * sizeof(*events.heap));
        assert(events.heap != NULL);
    }
    size_t i = events.count++;
    while (i > 0 && is_before(&e, &events.heap[(i - 1) / 2])) {
        events.heap[i] = events.heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    events.heap[i] = e;
}

static struct event heap_pop(void)
{
    struct event top = events.heap[0];
    struct event last = events.heap[--events.count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= events.count) {
            break;
        }
        if (child + 1 < events.count && is_before(&events.heap[child + 1], &events.heap[child])) {
            child++;
        }
        if (!is_before(&events.heap[child], &last)) {
            break;
        }
        events.heap[i] = events.heap[child];
        i = child;
    }
    if (events.count > 0) {
        events.heap[i] = last;
    }
    return top;
}

void world_after_or(struct node *node, int64_t delay_us, world_event *run, world_event *drop,
                    void *ctx)
{
    heap_push((struct event){.at_us = world.now_us + delay_us,
                             .order = events.order++,
                             .node = node,
                             .life = node != NULL ? node->life : 0,
                             .run = run,
                             .drop = drop,
                             .ctx = ctx});
}

void world_after(struct node *node, int64_t delay_us, world_event *run, void *ctx)
{
    world_after_or(node, delay_us, run, NULL, ctx);
}

static void event_run(const struct event *e)
{
    struct node *node = e->node;
    if (node == NULL) {
        e->run(e->ctx);
        return;
    }
    world.current = node;
    e->run(e->ctx);
    loop_turn_end(node->loop);
    world.current = NULL;
    if (node->is_dying) {
        node_kill(node);
    }
}

void world_leap(int64_t us)
{
    world.now_us += us;
    world.leapt_us += us;
}

bool world_step(void)
{
    if (events.count == 0) {
        return false;
    }
    struct event e = heap_pop();
    world.now_us = e.at_us > world.now_us ? e.at_us : world.now_us; /* time may have leapt */
    world.events++;
    if (e.node != NULL && (!e.node->is_up || e.node->life != e.life)) {
        if (e.drop != NULL) {
            e.drop(e.ctx);
        }
        return true;
    }
    if (e.node != NULL && e.node->still_us > world.now_us) {
        e.at_us = e.node->still_us;
        heap_push(e);
        return true;
    }
    event_run(&e);
    return true;
}

bool world_effect(const char *what)
{
    struct node *node = world.current;
    if (node == NULL) {
        return true;
    }
    if (!node->is_dying && !world.is_calm && world.chances.crash > 0 &&
        world_random(100000) < world.chances.crash) {
        node->is_dying = true;
        world.crashes++;
        world_say("dies before: %s", what);
    }
    return !node->is_dying;
}

struct node *world_node(const char *name, const struct service *service)
{
    assert(world.node_count < WORLD_NODES_MAX);
    struct node *node = &world.nodes[world.node_count++];
    *node = (struct node){.name = name, .service = service};
    node->context.conf = environment_conf(service);
    node->context.name = service->name;
    node->context.definition = service->definition;
    return node;
}

static void node_begin(void *ctx)
{
    struct node *node = ctx;
    assert(!node->is_up);
    node->life++;
    node->is_up = true;
    node->is_dying = false;
    node->still_us = 0;
    world.current = node;
    node->loop = loop_new();
    node->context.loop = node->loop;
    world_say("starts");
    int err = node->service->start(&node->context);
    assert(err == 0);
    loop_turn_end(node->loop);
    world.current = NULL;
    if (node->is_dying) {
        node_kill(node);
    }
}

void node_start(struct node *node)
{
    node_begin(node);
}

/* Takes the instance down without any effect, and starts another one later. */
void node_kill(struct node *node)
{
    node->is_dying = true;
    world.current = node;
    broker_node_died(node);
    node->service->stop(&node->context);
    http_node_died(node);
    loop_free(node->loop);
    node->loop = NULL;
    world.current = NULL;
    node->is_up = false;
    node->is_dying = false;
    world_after(NULL, 50000 + (int64_t)world_random(3000) * 1000, node_begin, node);
}

void node_stand_still(struct node *node, int64_t still_us)
{
    world.current = node;
    world_say("stands still");
    world.current = NULL;
    node->still_us = world.now_us + still_us;
}

void world_say(const char *format, ...)
{
    if (!world.has_transcript) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    printf("%10.4f %-10s ", (double)world.now_us / 1e6, world.current ? world.current->name : "");
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void world_fault(const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (events.faults++ == 0) {
        memcpy(events.first_fault, text, sizeof(text));
    }
    world_say("FAULT: %s", text);
}

unsigned world_faults(void)
{
    return events.faults;
}

const char *world_first_fault(void)
{
    return events.first_fault;
}

void world_reset(uint64_t seed)
{
    for (unsigned i = 0; i < world.node_count; i++) {
        struct node *node = &world.nodes[i];
        if (node->is_up) {
            node->is_dying = true;
            world.current = node;
            broker_node_died(node);
            node->service->stop(&node->context);
            http_node_died(node);
            loop_free(node->loop);
            world.current = NULL;
            node->is_up = false;
        }
    }
    while (events.count > 0) {
        struct event e = heap_pop();
        if (e.drop != NULL) {
            e.drop(e.ctx);
        }
    }
    bool has_transcript = world.has_transcript;
    memset(&world, 0, sizeof(world));
    world.has_transcript = has_transcript;
    world.seed = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    world.now_us = INT64_C(1000000); /* ids of time 0 look odd */
    events.order = 0;
    events.faults = 0;
    events.first_fault[0] = '\0';
}
