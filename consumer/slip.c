/* See slip.h. */
#include "consumer/slip.h"

#include "runtime/err.h"

bool slip_is_there(const struct message *in)
{
    return message_has(in, next);
}

/* A slip without a type is one of the release before, which knew one only. Goes with the release
 * that writes types (MESSAGE_SLIP_IS_WRITTEN). */
static void slip_of_before(enum message_type *ret_type, enum queue *ret_queue)
{
    *ret_type = MESSAGE_STOCK_TAKE;
    *ret_queue = QUEUE_STOCK;
}

int slip_read(const struct message *in, struct message *ret_next, enum queue *ret_queue)
{
    enum message_type type;
    enum queue queue;
    if (!message_has(in, next_type)) {
        slip_of_before(&type, &queue);
    } else if (!message_type_parse(in->next_type, &type) || !queues_parse(in->next_queue, &queue)) {
        return -ERR_FIELD;
    }
    struct message next = message_pass_on(in, type);
    message_set(&next, id, in->next);
    if (!message_is_valid(&next)) {
        return -ERR_FIELD;
    }
    *ret_next = next;
    *ret_queue = queue;
    return 0;
}

enum consumer_next slip_send(struct consumer_work *work)
{
    struct message next;
    enum queue queue;
    if (slip_read(work->in, &next, &queue) != 0) {
        return CONSUMER_UNREADABLE;
    }
    consumer_send(work, queue, &next);
    return CONSUMER_DONE;
}
