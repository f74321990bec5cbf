/* Answers from inside become what the client reads. */
#include "gateway/reply.h"

#include "runtime/json.h"
#include "runtime/log.h"

static struct reply reply_json(unsigned status, struct json *body)
{
    struct reply reply = {.status = status};
    json_print(body, &reply.body);
    json_free(body);
    return reply;
}

struct reply reply_error(unsigned status, struct slice sentence)
{
    struct json *body = json_object();
    json_set_text(body, "error", sentence);
    struct reply reply = reply_json(status, body);
    reply.has_retry_after = status == 429;
    return reply;
}

struct reply reply_pending(void)
{
    struct json *body = json_object();
    json_set_text(body, "status", SLICE_TEXT("pending"));
    struct reply reply = reply_json(503, body);
    reply.has_retry_after = true;
    return reply;
}

void reply_free(struct reply *reply)
{
    buf_free(&reply->body);
}

/* What `created` means depends on what was asked for. */
static void body_created(struct json *body, const struct message *command)
{
    switch (command->type) {
    case MESSAGE_PAYMENT_CREATE:
        json_set_text(body, "user_id", command->user);
        break;
    case MESSAGE_STOCK_CREATE:
        json_set_text(body, "item_id", command->item);
        break;
    case MESSAGE_ORDER_CREATE:
        json_set_text(body, "order_id", command->order);
        break;
    case MESSAGE_PAYMENT_INIT:
        json_set_text(body, "msg", SLICE_TEXT("Batch init for users successful"));
        break;
    case MESSAGE_STOCK_INIT:
        json_set_text(body, "msg", SLICE_TEXT("Batch init for stock successful"));
        break;
    default:
        json_set_text(body, "msg", SLICE_TEXT("Batch init for orders successful"));
    }
}

static void body_user(struct json *body, const struct message *command,
                      const struct message *answer)
{
    if (command->type == MESSAGE_PAYMENT_FIND) {
        json_set_text(body, "user_id", command->user);
    } else {
        json_set_bool(body, command->type == MESSAGE_PAYMENT_PAY ? "paid" : "done", true);
    }
    json_set_int(body, "credit", answer->credit);
}

static void body_item(struct json *body, const struct message *command,
                      const struct message *answer)
{
    if (command->type == MESSAGE_STOCK_ADD) {
        json_set_bool(body, "added", true);
    } else if (command->type == MESSAGE_STOCK_SUBTRACT) {
        json_set_bool(body, "subtracted", true);
    }
    json_set_int(body, "stock", answer->stock);
    if (message_has(answer, price)) {
        json_set_int(body, "price", answer->price);
    }
}

static void body_order(struct json *body, const struct message *command,
                       const struct message *answer)
{
    if (command->type == MESSAGE_STOCK_QUOTE) { /* addItem: answered by the order service */
        json_set_bool(body, "added", true);
        json_set_text(body, "order_id", command->order);
        json_set_int(body, "total_cost", answer->total);
        return;
    }
    struct json *items = json_array();
    struct slice rest = answer->lines, item;
    int64_t quantity;
    while (lines_next(&rest, &item, &quantity)) {
        struct json *line = json_array();
        json_push_text(line, item);
        json_push_int(line, quantity);
        json_push(items, line);
    }
    json_set_text(body, "order_id", command->order);
    json_set_bool(body, "paid", answer->paid == 1);
    json_set(body, "items", items);
    json_set_text(body, "user_id", answer->user);
    json_set_int(body, "total_cost", answer->total);
}

/* "state:wall_ms:retries,.." ; the last one's retries are the journal's, beside the story. */
static struct json *body_steps(struct slice story, int64_t last_retries)
{
    struct json *steps = json_array();
    struct slice entry;
    while (slice_cut(&story, ',', &entry)) {
        struct slice state = {0}, ms = {0}, retries = {0};
        int64_t at_ms = 0, count = 0;
        slice_cut(&entry, ':', &state);
        slice_cut(&entry, ':', &ms);
        slice_cut(&entry, ':', &retries);
        slice_int64(ms, &at_ms);
        slice_int64(retries, &count);
        struct json *step = json_object();
        json_set_text(step, "state", state);
        json_set_int(step, "at_ms", at_ms);
        json_set_int(step, "retries", story.data == NULL ? last_retries : count);
        json_push(steps, step);
    }
    return steps;
}

/* "saga|order|attempt|state|began_ms|retries|reason|story" */
static struct json *body_saga(struct slice line)
{
    enum { SAGA, ORDER, ATTEMPT, STATE, BEGAN_MS, RETRIES, REASON, STORY, FIELDS };
    struct slice field[FIELDS] = {0};
    int64_t attempt = 0, began_ms = 0, retries = 0;
    for (unsigned i = 0; i < FIELDS && slice_cut(&line, '|', &field[i]); i++) {
    }
    slice_int64(field[ATTEMPT], &attempt);
    slice_int64(field[BEGAN_MS], &began_ms);
    slice_int64(field[RETRIES], &retries);
    struct json *saga = json_object();
    json_set_text(saga, "saga_id", field[SAGA]);
    json_set_text(saga, "order_id", field[ORDER]);
    json_set_text(saga, "state", field[STATE]);
    json_set_int(saga, "attempt", attempt);
    if (field[REASON].bytes > 0) {
        json_set_text(saga, "reason", field[REASON]);
    } else {
        json_set(saga, "reason", NULL);
    }
    json_set_int(saga, "began_ms", began_ms);
    json_set(saga, "steps", body_steps(field[STORY], retries));
    return saga;
}

static struct json *body_sagas(const struct message *command, const struct message *answer)
{
    struct slice story = answer->story, line;
    if (command->type == MESSAGE_ORDER_SAGA) {
        return body_saga(story);
    }
    struct json *sagas = json_array();
    while (story.bytes > 0 && slice_cut(&story, '\n', &line)) {
        json_push(sagas, body_saga(line));
    }
    struct json *body = json_object();
    json_set(body, "sagas", sagas);
    return body;
}

static void body_paid(struct json *body, const struct message *command,
                      const struct message *answer)
{
    json_set_text(body, "status", SLICE_TEXT("paid"));
    json_set_text(body, "order_id", command->order);
    json_set_int(body, "total_cost", answer->total);
}

bool reply_make(const struct message *command, const struct message *answer,
                struct reply *ret_reply)
{
    struct json *body = NULL;
    unsigned status = 200;
    switch (answer->type) {
    case MESSAGE_UNKNOWN:
        *ret_reply = reply_error(404, answer->reason);
        return true;
    case MESSAGE_REFUSED:
        *ret_reply = reply_error(400, answer->reason);
        ret_reply->saga = answer->saga;
        return true;
    case MESSAGE_CONFLICT:
        *ret_reply = reply_error(409, answer->reason);
        return true;
    case MESSAGE_BROKEN:
        *ret_reply = reply_error(500, answer->reason);
        return true;
    case MESSAGE_SAGA_RUNNING:
        if (!message_has(command, async)) {
            return false;
        }
        status = 202;
        body = json_object();
        json_set_text(body, "saga_id", answer->saga);
        json_set_text(body, "state", answer->state);
        break;
    case MESSAGE_CREATED:
        body = json_object();
        body_created(body, command);
        break;
    case MESSAGE_USER:
        body = json_object();
        body_user(body, command, answer);
        break;
    case MESSAGE_ITEM:
        body = json_object();
        body_item(body, command, answer);
        break;
    case MESSAGE_ORDER:
        body = json_object();
        body_order(body, command, answer);
        break;
    case MESSAGE_SAGA_PAID:
        body = json_object();
        body_paid(body, command, answer);
        break;
    case MESSAGE_SAGAS:
        body = body_sagas(command, answer);
        break;
    default:
        log_error("answer_unexpected", "type=%s", message_type_text(answer->type));
        return false;
    }
    *ret_reply = reply_json(status, body);
    ret_reply->saga = answer->saga;
    return true;
}
