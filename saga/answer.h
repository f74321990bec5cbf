/* What every service's answers have in common: reading a once-record, telling the gateway, the
 * ping, and batches in chunks. */
#ifndef KASSA_SAGA_ANSWER_H
#define KASSA_SAGA_ANSWER_H

#include "saga/consumer.h"

/* A record 'outcome|detail|..' taken apart. Fields that are not there are absent slices. */
#define RECORD_DETAILS_MAX 8
struct record {
    struct slice outcome;
    struct slice detail[RECORD_DETAILS_MAX];
};
struct record record_read(struct slice text);
struct record record_of(const struct redis_reply *reply); /* of its first slice */

/* An answer to work's gateway, under work's command id: set what else it has, then send it. */
struct message answer_begin(const struct consumer_work *work, enum message_type type);
/* What a record said is checked here, for all: CONSUMER_UNREADABLE, and nothing is sent, when the
 * answer is not valid. */
enum consumer_next answer_send(const struct consumer_work *work, const struct message *answer);
/* The same for what goes to a queue instead: an answer to the saga, or what follows from it. */
enum consumer_next answer_publish(struct consumer_work *work, enum topology_queue queue,
                                  const struct message *m);

/* The outcomes that mean the same everywhere: created, unknown, refused|why, conflict|why.
 * `unknown_text` is what the client reads for the second. Anything else: CONSUMER_UNREADABLE. */
enum consumer_next answer_outcome(const struct consumer_work *work, struct record record,
                                  const char *unknown_text);

/* The number of a detail; -1, which no message can have, for anything but an int64 >= 0. */
int64_t record_int(struct slice detail);

/* payment.ping, stock.ping, order.ping: the service answers when its store does. */
int answer_ping_record(struct consumer_work *work, struct redis_command *call);
enum consumer_next answer_ping(struct consumer_work *work, const struct redis_reply *reply);

/* batch_init runs in chunks, so that no call holds the store for long; each chunk is a command of
 * its own, exactly once: <id>:<chunk>. */
#define BATCH_CHUNK 1000
/* Begins the call of this round's chunk: FCALL name 1 bucket, then ARGV id:chunk, first, end. */
void batch_call(const struct consumer_work *work, struct redis_command *call, const char *name);
/* What every entity of one batch is marked with. */
struct slice batch_gen(const struct message *in);
enum consumer_next batch_answer(struct consumer_work *work, const struct redis_reply *reply);

#endif
