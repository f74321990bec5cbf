/* The idempotent consumer: the five beats of every service, written once.
 *
 *   delivery -> decode -> [1 record] store call, with the command's once-record
 *                         [2 durable] its reply: the store fsyncs before it answers
 *                         [3 publish] what the answer causes: commands, or notices
 *                         [4 confirm] a quorum of the broker has them
 *                         [5 ack]     only now is the delivery done
 *
 * A service hands in a table of commands and is called with decoded ones; it never sees a
 * delivery, a confirm or an ack. Store calls of one turn may become rows of one call
 * (store/rows.h); each command is answered alone. A crash between any two beats repeats the
 * delivery, and the once-record answers it. A message that no version understands is parked; a
 * command that the store cannot take now is kept and retried.
 * Source: protocol.md, "Five beats", "The windows" (5, 7, 13). */
#ifndef KASSA_CONSUMER_CONSUMER_H
#define KASSA_CONSUMER_CONSUMER_H

#include "broker/broker.h"
#include "catalogue/message.h"
#include "catalogue/queues.h"
#include "idempotency/once.h"
#include "runtime/http_conf.h"
#include "runtime/service.h"
#include "runtime/service_conf.h"
#include "store/address.h"
#include "store/store.h"

struct consumer;

#define CONSUMER_SCRATCH_BYTES 192
/* The handler's own struct, of this type, for as long as the command is here; zeroed at first. */
#define consumer_scratch(work, type)                                                               \
    ({                                                                                             \
        _Static_assert(sizeof(type) <= CONSUMER_SCRATCH_BYTES, "it does not fit");                 \
        (type *)(void *)(work)->scratch;                                                           \
    })

/* One command on its way through the beats. Borrowed from the consumer. */
struct consumer_work {
    struct consumer *consumer;
    const struct message *in;
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1]; /* of the command's once-record */
    unsigned round;      /* store calls of this command that were answered before */
    struct buf gathered; /* what they have gathered for the answer; freed for them */
    /* What a handler remembers from one round to the next: consumer_scratch. */
    _Alignas(max_align_t) unsigned char scratch[CONSUMER_SCRATCH_BYTES];
};

enum consumer_next {
    CONSUMER_DONE,  /* answered: what was sent needs only its confirms */
    CONSUMER_AGAIN, /* another store call: record() is called again, with round + 1 */
    CONSUMER_LATER, /* the same, after a pause: within half a second */
    /* No version of Kassa writes such a record. It proves nothing, least of all that nothing was
     * done: a gateway gets just that answer, any other command is parked. */
    CONSUMER_UNREADABLE,
};

struct consumer_handler {
    enum message_type type;
    /* Builds the store call. Pure but for consumer_now_ms. Called again, with the same round,
     * when the store was lost on the way. Errors: -ERR_X with disposition POISON parks the
     * command with that reason. */
    int (*record)(struct consumer_work *work, struct args *call);
    /* The reply is durable: send what follows from it. */
    enum consumer_next (*answer)(struct consumer_work *work, struct texts reply);
};

/* The configuration that every consumer reads: the first of its tables. */
#define CONSUMER_TABLES                                                                            \
    &service_conf_table, &metrics_conf_table, &http_conf_table, &broker_conf_table,                \
        &store_conf_table, &address_tables[ADDRESS_SAGA], &once_conf_table

struct consumer_definition {
    const char *name;                       /* of the service, and of its keys in the store */
    const char *summary;                    /* for --help */
    const struct library *library;          /* functions of its store */
    enum address address;                   /* of its store */
    const struct conf_table *const *tables; /* CONSUMER_TABLES, its own, NULL */
    const struct consumer_handler *handlers;
    unsigned handler_count;
    enum queue queues[2];
    unsigned queue_count;
    bool is_participant;    /* of sagas: it announces a store that may have lost its tail .. */
    enum queue restored_by; /* .. to the consumer of this queue */
    /* May be NULL. For what a service does besides answering commands; on_start's result is
     * handed to on_stop, when the store has failed all its calls. */
    void *(*on_start)(struct consumer *consumer);
    void (*on_stop)(void *side);
};

/* A service that is nothing but a consumer, for service_run. */
struct service consumer_service(const struct consumer_definition *definition);
/* Its main. */
int consumer_run(const struct consumer_definition *definition, int argc, char **argv);

/* Beat 3, inside answer(): the delivery is acknowledged after the confirm of this. */
void consumer_send(struct consumer_work *work, enum queue queue, const struct message *m);
/* Beat 3, an answer to a gateway: a hint without confirm; the gateway retries if it is lost. */
void consumer_tell(struct consumer *consumer, struct slice gateway, const struct message *m);
/* Outside any delivery, for re-sends, whose durability is the journal. on_confirm (may be NULL) as
 * of broker_send. Not while the consumer is congested: what the broker
 * does not take gathers here. */
void consumer_resend(struct consumer *consumer, enum queue queue, const struct message *m,
                     broker_on_confirm *on_confirm, void *ctx);

bool consumer_is_congested(const struct consumer *consumer);

int64_t consumer_now_ms(const struct consumer *consumer); /* wall clock of this turn */
const struct conf *consumer_conf(const struct consumer *consumer);
struct loop *consumer_loop(const struct consumer *consumer);
struct store *consumer_store(const struct consumer *consumer);
void *consumer_side(const struct consumer *consumer); /* what on_start has made */

/* Begins a call of a function: FCALL <name>, <key_count>, <service>:once:<bucket>. The other keys
 * and the arguments follow. */
void consumer_call(const struct consumer_work *work, struct args *call, const char *name,
                   int key_count);

#endif
