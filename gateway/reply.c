/* Answers from inside become what the client reads. */
#include "gateway/reply.h"

#include "catalogue/lines.h"
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

/* What `created` means depends on what was asked for. */
static void body_created(struct buf *body, const struct message *command)
{
    switch (command->type) {
    case MESSAGE_PAYMENT_CREATE:
        json_add_text(body, "user_id", command->user);
        break;
    case MESSAGE_STOCK_CREATE:
        json_add_text(body, "item_id", command->item);
        break;
    case MESSAGE_ORDER_CREATE:
        json_add_text(body, "order_id", command->order);
        break;
    case MESSAGE_PAYMENT_INIT:
        json_add_text(body, "msg", SLICE_TEXT("Batch init for users successful"));
        break;
    case MESSAGE_STOCK_INIT:
        json_add_text(body, "msg", SLICE_TEXT("Batch init for stock successful"));
        break;
    default:
        json_add_text(body, "msg", SLICE_TEXT("Batch init for orders successful"));
    }
}

static void body_user(struct buf *body, const struct message *command, const struct message *answer)
{
    if (command->type == MESSAGE_PAYMENT_FIND) {
        json_add_text(body, "user_id", command->user);
    } else {
        json_add_bool(body, command->type == MESSAGE_PAYMENT_PAY ? "paid" : "done", true);
    }
    json_add_int(body, "credit", answer->credit);
}

static void body_item(struct buf *body, const struct message *command, const struct message *answer)
{
    if (command->type == MESSAGE_STOCK_ADD) {
        json_add_bool(body, "added", true);
    } else if (command->type == MESSAGE_STOCK_SUBTRACT) {
        json_add_bool(body, "subtracted", true);
    }
    json_add_int(body, "stock", answer->stock);
    if (message_has(answer, price)) {
        json_add_int(body, "price", answer->price);
    }
}

static void body_order(struct buf *body, const struct message *command,
                       const struct message *answer)
{
    if (command->type == MESSAGE_STOCK_QUOTE) { /* addItem: answered by the order service */
        json_add_bool(body, "added", true);
        json_add_text(body, "order_id", command->order);
        json_add_int(body, "total_cost", answer->total);
        return;
    }
    json_add_text(body, "order_id", command->order);
    json_add_bool(body, "paid", answer->paid == 1);
    struct slice rest = answer->lines, item;
    int64_t quantity;
    json_open(body, "items", '[');
    while (lines_next(&rest, &item, &quantity)) {
        json_open(body, NULL, '[');
        json_add_text(body, NULL, item);
        json_add_int(body, NULL, quantity);
        json_close(body, ']');
    }
    json_close(body, ']');
    json_add_text(body, "user_id", answer->user);
    json_add_int(body, "total_cost", answer->total);
}

/* "state:wall_ms:retries,.." ; the last one's retries are the journal's, beside the story. */
static void body_steps(struct buf *body, struct slice story, int64_t last_retries)
{
    struct slice entry;
    json_open(body, "steps", '[');
    while (slice_cut(&story, ',', &entry)) {
        struct slice state = {0}, ms = {0}, retries = {0};
        int64_t at_ms = 0, count = 0;
        slice_cut(&entry, ':', &state);
        slice_cut(&entry, ':', &ms);
        slice_cut(&entry, ':', &retries);
        slice_int64(ms, &at_ms);
        slice_int64(retries, &count);
        json_open(body, NULL, '{');
        json_add_text(body, "state", state);
        json_add_int(body, "at_ms", at_ms);
        json_add_int(body, "retries", story.data == NULL ? last_retries : count);
        json_close(body, '}');
    }
    json_close(body, ']');
}

/* "saga|order|attempt|state|began_ms|retries|reason|story" */
static void body_saga(struct buf *body, struct slice line)
{
    enum { SAGA, ORDER, ATTEMPT, STATE, BEGAN_MS, RETRIES, REASON, STORY, FIELDS };
    struct slice field[FIELDS] = {0};
    int64_t attempt = 0, began_ms = 0, retries = 0;
    for (unsigned i = 0; i < FIELDS && slice_cut(&line, '|', &field[i]); i++) {
    }
    slice_int64(field[ATTEMPT], &attempt);
    slice_int64(field[BEGAN_MS], &began_ms);
    slice_int64(field[RETRIES], &retries);
    json_open(body, NULL, '{');
    json_add_text(body, "saga_id", field[SAGA]);
    json_add_text(body, "order_id", field[ORDER]);
    json_add_text(body, "state", field[STATE]);
    json_add_int(body, "attempt", attempt);
    if (field[REASON].bytes > 0) {
        json_add_text(body, "reason", field[REASON]);
    } else {
        json_add_null(body, "reason");
    }
    json_add_int(body, "began_ms", began_ms);
    body_steps(body, field[STORY], retries);
    json_close(body, '}');
}

static void body_sagas(struct buf *body, struct slice story)
{
    struct slice line;
    json_open(body, "sagas", '[');
    while (story.bytes > 0 && slice_cut(&story, '\n', &line)) {
        body_saga(body, line);
    }
    json_close(body, ']');
}

static void body_paid(struct buf *body, const struct message *command, const struct message *answer)
{
    json_add_text(body, "status", SLICE_TEXT("paid"));
    json_add_text(body, "order_id", command->order);
    json_add_int(body, "total_cost", answer->total);
}

/* The members of a 200 or 202. Errors: false for a type that is no such answer. */
static bool body_members(struct buf *body, const struct message *command,
                         const struct message *answer)
{
    switch (answer->type) {
    case MESSAGE_SAGA_RUNNING:
        json_add_text(body, "saga_id", answer->saga);
        json_add_text(body, "state", answer->state);
        return true;
    case MESSAGE_CREATED:
        body_created(body, command);
        return true;
    case MESSAGE_USER:
        body_user(body, command, answer);
        return true;
    case MESSAGE_ITEM:
        body_item(body, command, answer);
        return true;
    case MESSAGE_ORDER:
        body_order(body, command, answer);
        return true;
    case MESSAGE_SAGA_PAID:
        body_paid(body, command, answer);
        return true;
    case MESSAGE_SAGAS:
        body_sagas(body, answer->story);
        return true;
    default:
        return false;
    }
}

/* 0: it is no refusal. */
static unsigned refusal_status(enum message_type type)
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

bool reply_make(const struct message *command, const struct message *answer,
                struct reply *ret_reply)
{
    unsigned status = refusal_status(answer->type);
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
    if (command->type == MESSAGE_ORDER_SAGA && answer->type == MESSAGE_SAGAS) {
        body_saga(&reply.body, answer->story);
        *ret_reply = reply;
        return true;
    }
    json_open(&reply.body, NULL, '{');
    if (!body_members(&reply.body, command, answer)) {
        log_error("answer_unexpected", "type=%s", message_type_text(answer->type));
        reply_free(&reply);
        return false;
    }
    json_close(&reply.body, '}');
    *ret_reply = reply;
    return true;
}
