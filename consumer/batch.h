/* batch_init: a million entities in one command, in chunks. */
#ifndef KASSA_CONSUMER_BATCH_H
#define KASSA_CONSUMER_BATCH_H

#include "consumer/consumer.h"

/* It runs in chunks, so that no call holds the store for long; each chunk is a command of
 * its own, exactly once: <id>:<chunk>. */
#define BATCH_CHUNK 1000
/* Begins the call of this round's chunk: FCALL name 1 bucket, then ARGV id:chunk, first, end. */
void batch_call(const struct consumer_work *work, struct args *call, const char *name);
/* The mark of every entity of one batch. */
struct slice batch_gen(const struct message *in);
enum consumer_next batch_answer(struct consumer_work *work, struct texts reply);

#endif
