/* A list of calls, each with its command in one piece: bytes, and where each argument ends. */
#include "idempotency/backlog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct backlog_call {
    STAILQ_ENTRY(backlog_call) in_calls;
    struct waiter waiter;
    bool is_alone;
    unsigned count;
    size_t bytes;
    char *data;     /* behind `end` */
    uint32_t end[]; /* of each argument */
};

void backlog_init(struct backlog *b)
{
    STAILQ_INIT(&b->calls);
    b->count = 0;
}

void backlog_push(struct backlog *b, const struct redis_command *c, struct waiter waiter)
{
    size_t ends_bytes = c->count * sizeof(c->end[0]), bytes = c->bytes.bytes;
    struct backlog_call *call = mem_new(sizeof(*call) + ends_bytes + bytes);
    call->waiter = waiter;
    call->is_alone = c->is_alone;
    call->count = c->count;
    call->bytes = bytes;
    call->data = (char *)call->end + ends_bytes;
    memcpy(call->end, c->end, ends_bytes);
    if (bytes > 0) {
        memcpy(call->data, c->bytes.data, bytes);
    }
    STAILQ_INSERT_TAIL(&b->calls, call, in_calls);
    b->count++;
}

bool backlog_is_alone(const struct backlog *b)
{
    assert(b->count > 0);
    return STAILQ_FIRST(&b->calls)->is_alone;
}

struct waiter backlog_pop(struct backlog *b, struct redis_command *ret_command)
{
    assert(b->count > 0);
    struct backlog_call *call = STAILQ_FIRST(&b->calls);
    struct waiter waiter = call->waiter;
    STAILQ_REMOVE_HEAD(&b->calls, in_calls);
    b->count--;
    if (ret_command) {
        redis_command_reset(ret_command);
        ret_command->is_alone = call->is_alone;
        for (unsigned i = 0; i < call->count; i++) {
            uint32_t begin = i > 0 ? call->end[i - 1] : 0;
            redis_arg(ret_command, (struct slice){call->data + begin, call->end[i] - begin});
        }
    }
    free(call);
    return waiter;
}
