/* One keep-alive connection to an HTTP server, with at most one request out.
 *
 *   client_open --> on_up --> client_send --> on_answer --> client_send ..
 *                          '----------------------------'--> on_lost */
#ifndef KASSA_BENCH_CLIENT_H
#define KASSA_BENCH_CLIENT_H

#include "bench/answer.h"
#include "runtime/loop.h"

#define CONNECTION_REQUEST_MAX 1024
#define CONNECTION_ANSWER_MAX  65536

struct client;

enum client_loss {
    CONNECTION_REFUSED, /* it was never up */
    CONNECTION_RESET,   /* it was */
    CONNECTION_BROKEN,  /* what came is no answer that is understood, or was not asked for */
};

/* client_close is allowed inside each. */
struct client_events {
    void (*on_up)(void *ctx);
    void (*on_answer)(void *ctx, const struct answer *answer); /* borrowed for the call */
    void (*on_lost)(void *ctx, enum client_loss why);          /* gone when this returns */
};

/* `host` is a numeric IPv4 address. Events come in later turns, never from inside.
 * Owns: the caller, until client_close or on_lost. */
struct client *client_open(struct loop *loop, const char *host, int port,
                           const struct client_events *events, void *ctx);
void client_close(struct client *c); /* NULL is fine */

/* A whole request, at most CONNECTION_REQUEST_MAX bytes. Only when up, with none out. */
void client_send(struct client *c, struct slice request);

#endif
