/* Answers from inside become what the client reads. */
#include "gateway/reply.h"

#include "runtime/json.h"
#include "runtime/log.h"

struct reply reply_error(unsigned status, struct slice sentence)
{
    struct reply reply = {.status = status, .has_retry_after = status == 429};
    json_open(&reply.body, NULL, '{');
    json_add_text(&reply.body, "error", sentence);
    json_close(&reply.body, '}');
    return reply;
}

struct reply reply_pending(void)
{
    struct reply reply = {.status = 503, .has_retry_after = true};
    json_open(&reply.body, NULL, '{');
    json_add_text(&reply.body, "status", SLICE_TEXT("pending"));
    json_close(&reply.body, '}');
    return reply;
}

void reply_free(struct reply *reply)
{
    buf_free(&reply->body);
}

/* 0: it is no refusal. */
static unsigned reply_refusal(enum message_type type)
{
    switch (type) {
    case MESSAGE_UNKNOWN:
        return 404;
    case MESSAGE_REFUSED:
        return 400;
    case MESSAGE_CONFLICT:
        return 409;
    case MESSAGE_LATER:
        return 429;
    case MESSAGE_BROKEN:
        return 500;
    default:
        return 0;
    }
}

static bool reply_add(struct buf *body, const struct route *route, const struct message *command,
                      const struct message *answer)
{
    if (answer->type == MESSAGE_SAGA_RUNNING) {
        json_add_text(body, "saga_id", answer->saga);
        json_add_text(body, "state", answer->state);
        return true;
    }
    return route->reply && route->reply(body, command, answer);
}

bool reply_make(const struct route *route, const struct message *command,
                const struct message *answer, struct reply *ret_reply)
{
    unsigned status = reply_refusal(answer->type);
    if (status != 0) {
        *ret_reply = reply_error(status, answer->reason);
        if (answer->type == MESSAGE_REFUSED) {
            ret_reply->saga = answer->saga;
        }
        return true;
    }
    bool is_running = answer->type == MESSAGE_SAGA_RUNNING;
    if (is_running && !message_has(command, async)) {
        return false;
    }
    struct reply reply = {.status = is_running ? 202 : 200, .saga = answer->saga};
    json_open(&reply.body, NULL, '{');
    if (!reply_add(&reply.body, route, command, answer)) {
        log_error("answer_unexpected", "type=%s", message_type_text(answer->type));
        reply_free(&reply);
        return false;
    }
    json_close(&reply.body, '}');
    *ret_reply = reply;
    return true;
}
