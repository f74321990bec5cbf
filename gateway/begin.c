/* Checkouts begun by the gateway itself. See begin.h. */
#include "gateway/begin.h"

#include <stdlib.h>

#include "checkout/begin.h"
#include "gateway/conf.h"
#include "idempotency/once.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "store/address.h"

struct begin {
    struct loop *loop;
    struct store *store; /* of the orders */
    struct broker *broker;
    begin_on_answer *on_answer;
    void *ctx;
    const struct begin_conf *conf;
    struct args call;
    struct checkout_begun begun; /* scratch: what follows from an answer */
    struct stat_value *asks, *unreadable;
};

/* A call that is out. Who waits may have been answered by then. */
struct ask {
    struct begin *begin;
    bool is_async;
    char id[ID_BYTES_MAX + 1];
};

struct begin *begin_new(struct loop *loop, const struct conf *conf, struct broker *broker,
                        begin_on_answer *on_answer, void *ctx)
{
    struct begin *b = mem_new(sizeof(*b));
    b->loop = loop;
    b->broker = broker;
    b->on_answer = on_answer;
    b->ctx = ctx;
    b->conf = begin_conf(conf);
    b->asks = stat_counter("kassa_checkouts_begun_total", "",
                           "checkouts taken to the orders' store by the gateway itself");
    b->unreadable = stat_counter("kassa_records_unreadable_total", "",
                                 "answers of the store that no version of ours gives");
    b->store =
        store_new(loop, store_conf(conf), "order", address_of(conf, ADDRESS_ORDER), &order_library);
    return b;
}

void begin_free(struct begin *b)
{
    if (b != NULL) {
        store_free(b->store);
        args_free(&b->call);
        saga_outgoing_free(&b->begun.command);
        free(b);
    }
}

struct store *begin_store(const struct begin *b)
{
    return b->store;
}

bool begin_is_open(const struct begin *b)
{
    return store_is_up(b->store);
}

bool begin_wall_ms(const struct begin *b, int64_t *ret_ms)
{
    if (!begin_is_open(b)) {
        return false;
    }
    *ret_ms = store_wall_ms(b->store);
    return true;
}

const char *begin_refusal(const struct begin *b)
{
    return store_refusal(b->store);
}

static void on_begun(void *ctx, int err, struct texts reply)
{
    struct ask *ask = ctx;
    struct begin *b = ask->begin;
    struct message request = {.type = MESSAGE_ORDER_CHECKOUT};
    struct checkout_begun *begun = &b->begun;
    message_set(&request, id, slice_from(ask->id));
    if (ask->is_async) {
        message_set(&request, async, 1);
    }
    if (err == -ERR_TOO_OLD) {
        struct message *expired = &begun->answer;
        int64_t floor_ms;
        *expired = (struct message){.type = MESSAGE_EXPIRED};
        message_set(expired, id, request.id);
        if (once_floor(texts_at(reply, 0), &floor_ms)) {
            message_set(expired, since, floor_ms);
        }
        b->on_answer(b->ctx, expired);
        free(ask);
        return;
    }
    bool is_readable = err == 0 && checkout_begun(&request, texts_at(reply, 0), begun) == 0;
    if (err == 0 && !is_readable) {
        stat_add(b->unreadable, 1);
        log_error("record_unreadable", "type=%s id=%s record=%s", message_type_text(request.type),
                  ask->id, log_quote(texts_at(reply, 0)));
    }
    if (!is_readable) {
        free(ask); /* who waits asks again */
        return;
    }
    crash_point("gateway.begin.after");
    if (begun->command.message.type != MESSAGE_NONE) {
        broker_send(b->broker, begun->command.queue, &begun->command.message, NULL, NULL);
        crash_sent("gateway.begin.published");
    }
    if (begun->answer.type != MESSAGE_NONE) {
        b->on_answer(b->ctx, &begun->answer);
    }
    free(ask);
}

void begin_ask(struct begin *b, const struct message *request)
{
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    if (once_bucket(request->id, bucket) != 0) {
        return;
    }
    struct ask *ask = mem_new(sizeof(*ask));
    ask->begin = b;
    ask->is_async = message_has(request, async);
    slice_copy(request->id, ask->id, sizeof(ask->id));
    crash_point("gateway.begin.before");
    stat_add(b->asks, 1);
    checkout_begin(request, bucket, b->conf, &b->call);
    store_call(b->store, &b->call, on_begun, ask);
    crash_sent("gateway.begin.sent");
}
