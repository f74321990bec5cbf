/* Checkouts begun by the gateway itself. See checkout.h. */
#include "gateway/checkout.h"

#include <stdlib.h>

#include "checkout/begin.h"
#include "idempotency/once.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"
#include "runtime/stat.h"
#include "store/address.h"

struct checkout {
    struct loop *loop;
    struct store *store; /* of the orders */
    struct broker *broker;
    checkout_on_answer *on_answer;
    void *ctx;
    const struct begin_conf *conf;
    struct args call;
    struct checkout_begun begun; /* scratch: what follows from an answer */
    struct stat_value *asks, *unreadable;
};

/* A call that is out. Its request may have been answered by then. */
struct ask {
    struct checkout *checkout;
    bool is_async;
    char id[ID_BYTES_MAX + 1];
};

struct checkout *checkout_new(struct loop *loop, const struct conf *conf, struct broker *broker,
                              checkout_on_answer *on_answer, void *ctx)
{
    struct checkout *c = mem_new(sizeof(*c));
    c->loop = loop;
    c->broker = broker;
    c->on_answer = on_answer;
    c->ctx = ctx;
    c->conf = begin_conf(conf);
    c->asks = stat_counter("kassa_checkouts_begun_total", "",
                           "checkouts taken to the orders' store by the gateway itself");
    c->unreadable = stat_counter("kassa_records_unreadable_total", "",
                                 "answers of the store that no version of ours gives");
    c->store =
        store_new(loop, store_conf(conf), "order", address_of(conf, ADDRESS_ORDER), &order_library);
    return c;
}

void checkout_free(struct checkout *c)
{
    if (c) {
        store_free(c->store);
        args_free(&c->call);
        saga_outgoing_free(&c->begun.command);
        free(c);
    }
}

struct store *checkout_store(const struct checkout *c)
{
    return c->store;
}

bool checkout_is_open(const struct checkout *c)
{
    return store_is_up(c->store);
}

bool checkout_wall_ms(const struct checkout *c, int64_t *ret_ms)
{
    if (!checkout_is_open(c)) {
        return false;
    }
    *ret_ms = store_wall_ms(c->store);
    return true;
}

const char *checkout_refusal(const struct checkout *c)
{
    return store_refusal(c->store);
}

static void checkout_on_begun(void *ctx, int err, struct texts reply)
{
    struct ask *ask = ctx;
    struct checkout *c = ask->checkout;
    struct message request = {.type = MESSAGE_ORDER_CHECKOUT};
    struct checkout_begun *begun = &c->begun;
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
        c->on_answer(c->ctx, expired);
        free(ask);
        return;
    }
    bool is_readable = err == 0 && checkout_begun(&request, texts_at(reply, 0), begun) == 0;
    if (err == 0 && !is_readable) {
        stat_add(c->unreadable, 1);
        log_error("record_unreadable", "type=%s id=%s record=%s", message_type_text(request.type),
                  ask->id, log_quote(texts_at(reply, 0)));
    }
    if (!is_readable) {
        free(ask); /* the request is retried */
        return;
    }
    crash_point("gateway.begin.after");
    if (begun->command.message.type != MESSAGE_NONE) {
        broker_send(c->broker, begun->command.queue, &begun->command.message, NULL, NULL);
        crash_sent("gateway.begin.published");
    }
    if (begun->answer.type != MESSAGE_NONE) {
        c->on_answer(c->ctx, &begun->answer);
    }
    free(ask);
}

void checkout_ask(struct checkout *c, const struct message *request)
{
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    if (once_bucket(request->id, bucket) != 0) {
        return;
    }
    struct ask *ask = mem_new(sizeof(*ask));
    ask->checkout = c;
    ask->is_async = message_has(request, async);
    slice_copy(request->id, ask->id, sizeof(ask->id));
    crash_point("gateway.begin.before");
    stat_add(c->asks, 1);
    checkout_begin(request, bucket, c->conf, &c->call);
    store_call(c->store, &c->call, checkout_on_begun, ask);
    crash_sent("gateway.begin.sent");
}
