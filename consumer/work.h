/* Inside the consumer: a delivery, its commands, and the state that brings each through the
 * five beats (work.c). Services see consumer.h only. */
#ifndef KASSA_CONSUMER_WORK_H
#define KASSA_CONSUMER_WORK_H

#include <sys/queue.h>

#include "consumer/announce.h"
#include "consumer/consumer.h"
#include "consumer/flood.h"
#include "consumer/keep.h"
#include "consumer/later.h"
#include "consumer/notice.h"
#include "consumer/sweep.h"
#include "runtime/stat.h"
#include "store/libraries.h"
#include "store/memory.h"
#include "store/pulse.h"

/* Where a command is: which of its beats is next. */
enum work_beat {
    WORK_RECORD,  /* to be recorded, or waiting for the store */
    WORK_DURABLE, /* its store call is out */
    WORK_PUBLISH, /* its answer is here, and what follows from it is sent */
    WORK_CONFIRM, /* the broker has been given all of that, or the command ended otherwise */
};

struct delivery;

struct work {
    struct consumer_work is; /* first: handlers see only this */
    struct delivery *delivery;
    const struct consumer_handler *handler; /* NULL: not a command of this service */
    enum work_beat beat;
    unsigned store_errors;
    unsigned silences; /* of the store, in which this was out */
    TAILQ_ENTRY(work) in_waiting;
};

/* An envelope until its ack. `open` counts its unanswered commands and unconfirmed messages. */
struct delivery {
    struct consumer *consumer;
    struct broker_delivery from; /* body is not valid any more */
    struct envelope *envelope;
    unsigned open;
    TAILQ_ENTRY(delivery) in_order;
    unsigned count;
    struct work works[];
};

/* X(field, name, help) */
#define WORK_COUNTERS(X)                                                                           \
    X(parked, "kassa_commands_parked_total", "commands and messages parked")                       \
    X(parked_again, "kassa_commands_parked_again_total",                                           \
      "commands not parked: they had been lately")                                                 \
    X(dropped, "kassa_commands_dropped_total",                                                     \
      "commands given up that their gateways ask for again")                                       \
    X(retried, "kassa_commands_retried_total",                                                     \
      "store calls of commands that have to be made again")                                        \
    X(too_old, "kassa_commands_too_old_total",                                                     \
      "commands not run because their records may have been dropped")                              \
    X(unreadable, "kassa_records_unreadable_total",                                                \
      "answers of the store that no version of ours gives")

struct consumer {
    const struct consumer_definition *definition;
    struct service_context *context;
    struct broker *broker;
    struct store *store;
    struct store *notice_store; /* the same as store where both are one server */
    struct notices *notices;
    const struct consumer_handler *handlers[MESSAGE_TYPE_COUNT];
    TAILQ_HEAD(, delivery) deliveries; /* in the order of arrival: acks are multiple */
    TAILQ_HEAD(, work) waiting;        /* for the store, or for the next tick */
    uint64_t epoch;                    /* of the newest delivery */
    struct loop_timer *tick;
    struct keep *keep;
    struct sweep *sweep;
    struct libraries *libraries;
    struct later *later;
    struct pulse *pulse;
    struct memory *memory;
    struct flood_lines store_errors, drops;
    struct flood_parked parked_lately;
    struct announce *announce; /* of a participant; else NULL */
    void *side;                /* of definition->on_start */
    struct args call;
    struct buf once; /* what its buckets' keys begin with */
    struct buf text;
    struct stat_value *count_of[MESSAGE_TYPE_COUNT];
#define X(field, name, help) struct stat_value *field;
    WORK_COUNTERS(X)
#undef X
};

/* Takes a delivery of the broker: broker_on_delivery. */
void work_deliver(void *consumer, const struct broker_delivery *from);
/* Twice a second, and when the store comes up: retries what waits. */
void work_tick(struct consumer *c);
void work_retry(struct consumer *c);
void work_forget(struct consumer *c); /* all deliveries; nothing is acknowledged */

#endif
