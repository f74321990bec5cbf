/* See backlog.h. */
#include "store/backlog.h"

#include <assert.h>
#include <stdlib.h>

struct backlog_call {
    STAILQ_ENTRY(backlog_call) in_calls;
    struct waiter waiter;
    struct args command;
};

void backlog_init(struct backlog *b)
{
    STAILQ_INIT(&b->calls);
    b->count = 0;
}

void backlog_push(struct backlog *b, const struct args *c, struct waiter waiter)
{
    struct backlog_call *call = mem_new(sizeof(*call));
    call->waiter = waiter;
    args_append(&call->command, c, 0, c->count);
    call->command.is_alone = c->is_alone;
    STAILQ_INSERT_TAIL(&b->calls, call, in_calls);
    b->count++;
}

bool backlog_is_alone(const struct backlog *b)
{
    assert(b->count > 0);
    return STAILQ_FIRST(&b->calls)->command.is_alone;
}

struct waiter backlog_pop(struct backlog *b, struct args *ret_command)
{
    assert(b->count > 0);
    struct backlog_call *call = STAILQ_FIRST(&b->calls);
    struct waiter waiter = call->waiter;
    STAILQ_REMOVE_HEAD(&b->calls, in_calls);
    b->count--;
    if (ret_command) {
        args_free(ret_command);
        *ret_command = call->command;
    } else {
        args_free(&call->command);
    }
    free(call);
    return waiter;
}
