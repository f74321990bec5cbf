/* Who keeps a server waiting: connections whose request is not complete in time, and those that
 * take up room and ask for nothing.
 *
 * The HTTP library's own timeout is one of silence: a byte now and then keeps a connection for
 * good. So each one is looked at once a second: one that has sent something since its last request
 * and has not completed the next one within `receive_ms` is shut down. Asking the kernel how much
 * it has sent is left to that look, and not done with each request; so what came between a
 * request's end and the look is missed if it is less than a line. Who stops there rests, as any
 * connection may; who goes on is found by the next byte.
 *
 * Who rests may do so until there is no room for others: then whoever has rested longest goes. */
#ifndef KASSA_RUNTIME_SLOW_H
#define KASSA_RUNTIME_SLOW_H

#include "runtime/loop.h"

#define SLOW_LOOK_MS 1000 /* how late a slow client may be noticed */

struct slow;        /* all connections of a server */
struct slow_client; /* one of them */

struct slow *slow_new(struct loop *loop, int64_t receive_ms);
void slow_free(struct slow *s); /* when all have gone: asserted; NULL is fine */

/* `fd` is a TCP socket, borrowed until slow_gone. It is shut down, not closed: its owner reads the
 * end of it. */
struct slow_client *slow_came(struct slow *s, int fd);
void slow_gone(struct slow_client *c);

/* A request's course: its line is here; it is complete, so that it is us who are slow; and it was
 * answered, or given up. */
void slow_line(struct slow_client *c);
void slow_complete(struct slow_client *c);
void slow_over(struct slow_client *c);

/* Makes room: shuts down up to `count` of those without a complete request, who has been so longest
 * first. Returns how many: fewer when nobody else rests. */
unsigned slow_make_room(struct slow *s, unsigned count);

#endif
