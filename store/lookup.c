/* Name look-ups on a helper thread: getaddrinfo may take many seconds, and knows no way to be
 * cancelled, so a look-up that nobody wants any more ends by itself. */
#include "store/lookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "runtime/buf.h"

#define LOOKUP_HOST_BYTES 256

struct lookup {
    lookup_on_found *on_found; /* NULL: forgotten */
    void *ctx;
    unsigned pick;
    char host[LOOKUP_HOST_BYTES];
    char address[INET6_ADDRSTRLEN]; /* empty: not found */
};

bool lookup_is_numeric(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Runs on the helper thread, alone with *ctx except for on_found. */
static void lookup_work(void *ctx)
{
    struct lookup *l = ctx;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    unsigned count = 0;
    if (getaddrinfo(l->host, NULL, &hints, &found) != 0) {
        return;
    }
    for (struct addrinfo *a = found; a; a = a->ai_next) {
        count++;
    }
    struct addrinfo *chosen = found;
    for (unsigned i = 0; count > 0 && i < l->pick % count; i++) {
        chosen = chosen->ai_next;
    }
    if (!chosen || getnameinfo(chosen->ai_addr, chosen->ai_addrlen, l->address, sizeof(l->address),
                               NULL, 0, NI_NUMERICHOST) != 0) {
        l->address[0] = '\0';
    }
    freeaddrinfo(found);
}

static void lookup_done(void *ctx)
{
    struct lookup *l = ctx;
    if (l->on_found) {
        l->on_found(l->ctx, l->address[0] ? l->address : NULL);
    }
    free(l);
}

struct lookup *lookup_start(struct loop *loop, const char *host, unsigned pick,
                            lookup_on_found *on_found, void *ctx)
{
    struct lookup *l = mem_new(sizeof(*l));
    l->on_found = on_found;
    l->ctx = ctx;
    l->pick = pick;
    snprintf(l->host, sizeof(l->host), "%s", host);
    loop_work(loop, lookup_work, lookup_done, l);
    return l;
}

void lookup_forget(struct lookup *l)
{
    if (l) {
        l->on_found = NULL;
    }
}
