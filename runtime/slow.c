/* A list of all, with a timer that runs while somebody is in it; and one of those that rest, in the
 * order in which they began to. */
#include "runtime/slow.h"

#include <assert.h>
#include <linux/tcp.h> /* what netinet/tcp.h has of tcp_info ends before tcpi_bytes_received */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "runtime/buf.h"

#define SLOW_UNREAD_MAX                                                                            \
    16 /* passed by in a search for room; whose bytes wait has just come to life */

struct slow {
    struct loop *loop;
    struct loop_timer *timer;
    int64_t receive_ms;
    struct slow_client *first;
    TAILQ_HEAD(, slow_client) resting; /* who began to rest first comes first */
};

struct slow_client {
    struct slow *slow;
    struct slow_client *next;
    struct slow_client *previous;
    TAILQ_ENTRY(slow_client) in_resting; /* while is_resting */
    bool is_resting;                     /* no request of it is complete */
    bool is_sent_away;                   /* it is shut down, and only its end is to come */
    int fd;
    bool is_served;        /* a request of it is complete, and not yet answered: we are slow then */
    bool is_begun;         /* the line of a request is here */
    bool is_done;          /* a request was done with since the last look */
    int64_t since_ms;      /* of the first look that has found bytes of a request; 0: none yet */
    uint64_t bytes_served; /* received by the first look after the last request was done with */
};

/* What the kernel has received, whoever has read it. */
static uint64_t slow_bytes(const struct slow_client *c)
{
    struct tcp_info info = {0};
    socklen_t bytes = sizeof(info);
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0) {
        return c->bytes_served;
    }
    return info.tcpi_bytes_received;
}

static void slow_look(struct slow_client *c, int64_t now_ms)
{
    if (c->is_served) {
        return;
    }
    if (c->is_done) {
        c->is_done = false;
        c->bytes_served = slow_bytes(c);
    }
    if (c->since_ms == 0) {
        c->since_ms = c->is_begun || slow_bytes(c) > c->bytes_served ? now_ms : 0;
    } else if (now_ms - c->since_ms >= c->slow->receive_ms) {
        shutdown(c->fd, SHUT_RDWR);
    }
}

/* ---- who rests ---- */

static void slow_rest(struct slow_client *c)
{
    if (!c->is_resting && !c->is_sent_away) {
        TAILQ_INSERT_TAIL(&c->slow->resting, c, in_resting);
        c->is_resting = true;
    }
}

static void slow_rise(struct slow_client *c)
{
    if (c->is_resting) {
        TAILQ_REMOVE(&c->slow->resting, c, in_resting);
        c->is_resting = false;
    }
}

static bool slow_is_unread(const struct slow_client *c)
{
    char byte;
    return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

unsigned slow_make_room(struct slow *s, unsigned count)
{
    unsigned made = 0;
    struct slow_client *c;
    for (unsigned unread = 0; made < count && (c = TAILQ_FIRST(&s->resting));) {
        slow_rise(c);
        if (slow_is_unread(c)) {
            slow_rest(c);
            if (++unread == SLOW_UNREAD_MAX) {
                break;
            }
        } else {
            c->is_sent_away = true;
            shutdown(c->fd, SHUT_RDWR);
            made++;
        }
    }
    return made;
}

/* ---- who is slow ---- */

static void slow_on_timer(void *ctx)
{
    struct slow *s = ctx;
    int64_t now_ms = loop_now_ms(s->loop);
    if (!s->first) {
        loop_timer_stop(s->timer);
    }
    for (struct slow_client *c = s->first; c; c = c->next) {
        slow_look(c, now_ms);
    }
}

struct slow *slow_new(struct loop *loop, int64_t receive_ms)
{
    struct slow *s = mem_new(sizeof(*s));
    s->loop = loop;
    s->receive_ms = receive_ms;
    TAILQ_INIT(&s->resting);
    s->timer = loop_timer_new(loop, slow_on_timer, s);
    return s;
}

void slow_free(struct slow *s)
{
    if (s) {
        assert(!s->first);
        loop_timer_free(s->timer);
        free(s);
    }
}

struct slow_client *slow_came(struct slow *s, int fd)
{
    struct slow_client *c = mem_new(sizeof(*c));
    c->slow = s;
    c->fd = fd;
    c->next = s->first;
    if (c->next) {
        c->next->previous = c;
    } else {
        loop_timer_start(s->timer, SLOW_LOOK_MS, SLOW_LOOK_MS);
    }
    s->first = c;
    slow_rest(c);
    return c;
}

void slow_gone(struct slow_client *c)
{
    slow_rise(c);
    if (c->next) {
        c->next->previous = c->previous;
    }
    if (c->previous) {
        c->previous->next = c->next;
    } else {
        c->slow->first = c->next;
    }
    free(c);
}

void slow_line(struct slow_client *c)
{
    c->is_begun = true;
}

void slow_complete(struct slow_client *c)
{
    c->is_served = true;
    slow_rise(c);
}

void slow_over(struct slow_client *c)
{
    c->is_served = false;
    c->is_begun = false;
    c->is_done = true;
    c->since_ms = 0;
    slow_rise(c); /* it may have been refused before it was complete: it rests from now on */
    slow_rest(c);
}
