/* Completion notices, collected for each gateway and published once a turn.
 *
 *   notice_add(g1, a)  notice_add(g2, b)  notice_add(g1, c)   --turn's end-->
 *        PUBLISH kassa.notice.g1 (a, c)    PUBLISH kassa.notice.g2 (b)
 *
 * There are a handful of gateways, and they stay; so a table that is searched from the front is
 * enough, and its buffers are kept from turn to turn. */
#include "consumer/notice.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/crash.h"
#include "runtime/log.h"
#include "runtime/stat.h"

#define NOTICE_GATEWAYS_MAX 256
#define NOTICE_IDLE_MS      60000 /* a gateway without notices for this long gives its place back */
#define NOTICE_BYTES_MAX                                                                           \
    65536 /* a payload that has grown past this leaves at once: what reads                         \
           * it bounds the answers of one payload */
#define NOTICE_GATEWAY_BYTES ID_BYTES_MAX

struct notice {
    char gateway[NOTICE_GATEWAY_BYTES];
    size_t gateway_bytes;
    struct buf payload;         /* empty: nothing this turn */
    struct envelope_head table; /* of the envelope */
    int64_t used_ms;
};

struct notices {
    struct loop *loop;
    struct store *store;
    struct notice *table[NOTICE_GATEWAYS_MAX];
    unsigned count;
    int64_t swept_ms;
    struct args command;
    struct stat_value *sent, *published, *dropped;
};

void notice_channel(struct slice gateway, struct buf *out)
{
    buf_add_text(out, "kassa.notice.");
    buf_add_slice(out, gateway);
}

static void notice_publish(struct notices *n, struct notice *notice)
{
    struct args *c = &n->command;
    crash_point("notice.publish.before");
    envelope_end(&notice->payload);
    args_reset(c);
    args_text(c, "PUBLISH");
    args_format(c, "kassa.notice.%.*s", (int)notice->gateway_bytes, notice->gateway);
    args_add(c, buf_slice(&notice->payload));
    store_call(n->store, c, NULL, NULL); /* a hint: nobody waits for it, nobody repeats it */
    crash_sent("notice.publish.after");
    buf_reset(&notice->payload);
    notice->table = (struct envelope_head){0};
    stat_add(n->published, 1);
}

static void notice_forget(struct notices *n, unsigned i)
{
    buf_free(&n->table[i]->payload);
    free(n->table[i]);
    n->table[i] = n->table[--n->count];
}

static void notice_sweep(struct notices *n, int64_t now_ms)
{
    n->swept_ms = now_ms;
    for (unsigned i = n->count; i-- > 0;) {
        if (now_ms - n->table[i]->used_ms >= NOTICE_IDLE_MS) {
            notice_forget(n, i);
        }
    }
}

static void notice_flush(void *ctx)
{
    struct notices *n = ctx;
    int64_t now_ms = loop_now_ms(n->loop);
    for (unsigned i = 0; i < n->count; i++) {
        if (n->table[i]->payload.bytes > 0) {
            notice_publish(n, n->table[i]);
            n->table[i]->used_ms = now_ms;
        }
    }
    if (now_ms - n->swept_ms >= NOTICE_IDLE_MS) {
        notice_sweep(n, now_ms);
    }
}

/* A place for one more gateway: a new one, or that of one that gets nothing this turn. */
static struct notice *notice_place(struct notices *n)
{
    if (n->count == NOTICE_GATEWAYS_MAX) {
        unsigned i = 0;
        while (i < n->count && n->table[i]->payload.bytes > 0) {
            i++;
        }
        if (i == n->count) {
            return NULL;
        }
        notice_forget(n, i);
    }
    return n->table[n->count++] = mem_new(sizeof(struct notice));
}

static struct notice *notice_find(struct notices *n, struct slice gateway)
{
    for (unsigned i = 0; i < n->count; i++) {
        struct slice name = {n->table[i]->gateway, n->table[i]->gateway_bytes};
        if (slice_equal(name, gateway)) {
            return n->table[i];
        }
    }
    if (!slice_is_id(gateway)) {
        return NULL;
    }
    struct notice *notice = notice_place(n);
    if (notice) {
        memcpy(notice->gateway, gateway.data, gateway.bytes);
        notice->gateway_bytes = gateway.bytes;
        notice->used_ms = loop_now_ms(n->loop);
    }
    return notice;
}

void notice_add(struct notices *n, struct slice gateway, const struct message *answer)
{
    struct notice *notice = notice_find(n, gateway);
    if (!notice) {
        stat_add(n->dropped, 1);
        log_warn("notice_dropped", "gateway=%s", log_quote(gateway));
        return;
    }
    envelope_add(&message_schema, &notice->payload, &notice->table, answer);
    stat_add(n->sent, 1);
    if (notice->payload.bytes > NOTICE_BYTES_MAX) {
        notice_publish(n, notice);
    }
}

struct notices *notices_new(struct loop *loop, struct store *store)
{
    struct notices *n = mem_new(sizeof(*n));
    n->loop = loop;
    n->store = store;
    n->swept_ms = loop_now_ms(loop);
    n->sent = stat_counter("kassa_notices_total", "", "answers sent to gateways");
    n->published = stat_counter("kassa_notices_published_total", "", "messages they were sent in");
    n->dropped = stat_counter("kassa_notices_dropped_total", "",
                              "answers not sent: no such gateway name, or too many gateways");
    loop_hook_add(loop, LOOP_HOOK_NOTICE, notice_flush, n);
    return n;
}

void notices_free(struct notices *n)
{
    if (!n) {
        return;
    }
    loop_hook_remove(n->loop, LOOP_HOOK_NOTICE, notice_flush, n);
    while (n->count > 0) {
        notice_forget(n, n->count - 1);
    }
    args_free(&n->command);
    free(n);
}
