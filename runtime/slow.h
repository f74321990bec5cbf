/* Clients that keep a server waiting: connections whose request is not complete in time, and
 * idle ones that take up room.
 *
 * The HTTP library's own timeout is one of silence: a byte now and then keeps a connection for
 * good. So this looks at each connection once a second, and shuts down one that has sent
 * something since its last request and has not completed the next one within `receive_ms`. It
 * asks the kernel only at that look, not with each request; so it misses what came between a
 * request's end and the look, if that is less than a line. A client that pauses there is treated
 * as idle; its next byte makes it visible again.
 *
 * Idle connections may stay until others need the room: then the longest idle goes first. */
#ifndef KASSA_RUNTIME_SLOW_H
#define KASSA_RUNTIME_SLOW_H

#include "runtime/loop.h"

#define SLOW_LOOK_MS 1000 /* how late a slow client may be noticed */

struct slow;        /* all connections of a server */
struct slow_client; /* one of them */

struct slow *slow_new(struct loop *loop, int64_t receive_ms);
void slow_free(struct slow *s); /* when all have gone: asserted; NULL is fine */

/* `fd` is a TCP socket, borrowed until slow_gone. It is shut down, not closed: its owner reads the
 * end of file. */
struct slow_client *slow_came(struct slow *s, int fd);
void slow_gone(struct slow_client *c);

/* A request has started; is complete (from here on the delay is ours); has ended. */
void slow_line(struct slow_client *c);
void slow_complete(struct slow_client *c);
void slow_over(struct slow_client *c);

/* Makes room: shuts down up to `count` connections without a complete request, the longest idle
 * first. Returns how many: fewer when no other is idle. */
unsigned slow_make_room(struct slow *s, unsigned count);

#endif
