/* See connection.h. */
#include "store/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/stat.h"
#include "store/copies.h"
#include "store/lookup.h"
#include "store/master.h"
#include "store/pace.h"
#include "store/wire.h"

#define CONNECTION_SUSPECT_MS 10 /* a silent one gets this much more: it may be us who slept */

enum connection_state {
    CONNECTION_WAITING,
    CONNECTION_FINDING, /* the Sentinels are asked where the master is */
    CONNECTION_RESOLVING,
    CONNECTION_GREETING,
    CONNECTION_UP
};

struct connection {
    struct loop *loop;
    const struct connection_events *events;
    void *ctx;
    char group[64];
    char node[COPIES_NODE_BYTES]; /* host:port */
    char host[CONF_TEXT_MAX];
    int port;
    char user[CONF_TEXT_MAX];              /* empty: the default one */
    char password[CONF_TEXT_MAX];          /* empty: none */
    char sentinels[CONF_TEXT_MAX];         /* empty: host and port stay as they are */
    char sentinel_password[CONF_TEXT_MAX]; /* empty: none */
    char master[CONF_TEXT_MAX];            /* its name there */
    int64_t timeout_ms;                    /* of silence, until a Sentinel is asked */

    enum connection_state state;
    struct greeting greeting; /* while GREETING */
    struct args word;         /* .. its command */
    struct pace pace;
    bool is_up_news;        /* that it is down was logged, so that it is up is worth a line too */
    struct master *finding; /* while FINDING, and when it is asked whether another is the master */
    unsigned questions;     /* to the Sentinels: each goes to another one first */
    struct lookup *lookup;  /* while RESOLVING a name */
    struct wire *wire;      /* while GREETING and UP */

    struct patience patience;
    unsigned owed;            /* answers */
    int64_t heard_ms;         /* when the server said something last, or began to owe an answer */
    bool is_timing;           /* the timer runs, for silence */
    bool is_suspect;          /* it found silence once */
    struct loop_timer *timer; /* WAITING: the next attempt; GREETING, UP: silence */

    struct stat_value *stat_reconnects, *stat_up, *stat_silences;
};

/* ---- what is owed ---- */

static void connection_owes(struct connection *c)
{
    if (c->owed++ == 0) {
        c->heard_ms = loop_now_ms(c->loop);
    }
    if (!c->is_timing) {
        c->is_timing = true;
        c->is_suspect = false;
        loop_timer_start(c->timer, c->timeout_ms, 0);
    }
}

void connection_send(struct connection *c, const struct args *command)
{
    assert(c->state == CONNECTION_UP);
    connection_owes(c);
    wire_send(c->wire, command);
}

bool connection_write(struct connection *c)
{
    return c->wire != NULL && wire_write(c->wire);
}

struct texts_box *connection_take(struct connection *c)
{
    return wire_take(c->wire);
}

/* ---- its end ---- */

void connection_say(struct connection *c, enum log_level level, const char *event,
                    const char *reason)
{
    if (pace_tell(&c->pace, loop_now_ms(c->loop), reason)) {
        c->is_up_news = true;
        log_write(level, event, "group=%s node=%s reason=%s", c->group, c->node,
                  log_quote(slice_from(reason)));
    }
}

/* It is over, or the attempt at one: another is due, and what was known of the master is old. */
static void connection_end(struct connection *c, const char *reason, int err)
{
    uint32_t dice = 0;
    crash_point("redis.down");
    connection_say(c, LOG_WARN, "store_down", reason);
    patience_lost(&c->patience);
    master_forget(c->finding);
    c->finding = NULL;
    c->wire = NULL;
    c->owed = 0;
    c->is_timing = false;
    c->state = CONNECTION_WAITING;
    stat_set(c->stat_up, 0);
    stat_add(c->stat_reconnects, 1);
    c->events->on_down(c->ctx, err);
    if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) != (ssize_t)sizeof(dice)) {
        dice = (uint32_t)loop_now_ms(c->loop); /* less random, and good enough for jitter */
    }
    loop_timer_start(c->timer, pace_lost(&c->pace, loop_now_ms(c->loop), dice), 0);
}

static void connection_on_lost(void *ctx, const char *reason)
{
    connection_end(ctx, reason, -ERR_STORE_DOWN);
}

void connection_drop(struct connection *c, const char *reason)
{
    wire_close(c->wire);
    connection_end(c, reason, -ERR_STORE_DOWN);
}

static void connection_drop_silent(struct connection *c)
{
    patience_silent(&c->patience);
    stat_add(c->stat_silences, 1);
    wire_close(c->wire);
    connection_end(c, "no answer in time", -ERR_STORE_TIMEOUT);
}

/* ---- greeting ---- */

static void connection_came_up(struct connection *c)
{
    crash_point("redis.up.before");
    c->state = CONNECTION_UP;
    pace_up(&c->pace, loop_now_ms(c->loop));
    if (c->is_up_news) {
        c->is_up_news = false;
        log_info("store_up", "group=%s node=%s", c->group, c->node);
    }
    stat_set(c->stat_up, 1);
    crash_sent("redis.up.after");
    c->events->on_up(c->ctx);
}

static void connection_greet(struct connection *c, enum greeting_step step)
{
    args_reset(&c->word);
    if (greeting_say(&c->greeting, step, &c->word)) {
        connection_owes(c);
        wire_send(c->wire, &c->word);
        crash_sent("redis.greet");
    } else {
        connection_came_up(c);
    }
}

static void connection_on_greeting(struct connection *c, struct texts reply, bool is_error)
{
    struct slice text = texts_at(reply, 0);
    enum greeting_step next;
    if (!greeting_next(&c->greeting, is_error, text, &next)) {
        char reason[PACE_REASON_BYTES];
        slice_copy(text, reason, sizeof(reason));
        /* An operator has to mend a wrong password or a broken library; LOADING mends itself. */
        if (texts_error(text) != -ERR_STORE_DOWN) {
            bool is_library = c->greeting.step >= GREETING_LIBRARY;
            connection_say(c, LOG_ERROR, is_library ? "store_library" : "store_greeting", reason);
        }
        connection_drop(c, reason);
    } else if (!c->events->on_greeting(c->ctx, c->greeting.step, reply, is_error)) {
        connection_drop(c, "the server is not a master");
    } else {
        connection_greet(c, next);
    }
}

/* ---- what the wire tells ---- */

static void connection_on_heard(void *ctx)
{
    struct connection *c = ctx;
    int64_t now_ms = loop_now_ms(c->loop);
    if (c->owed > 0) {
        patience_heard(&c->patience, now_ms - c->heard_ms, now_ms);
    }
    c->heard_ms = now_ms;
    c->is_suspect = false;
}

static void connection_on_answer(void *ctx, struct texts reply, bool is_error)
{
    struct connection *c = ctx;
    if (c->state == CONNECTION_GREETING) {
        c->owed = 0; /* word by word */
        connection_on_greeting(c, reply, is_error);
        return;
    }
    if (c->owed == 0 && !c->greeting.is_listener) {
        connection_drop(c, "an answer to nothing");
        return;
    }
    if (c->events->on_answer(c->ctx, reply, is_error) && c->owed > 0) { /* 0: it was dropped */
        c->owed--;
    }
}

/* ---- attempts ---- */

static void connection_connect(struct connection *c, const char *address)
{
    static const struct wire_events events = {connection_on_heard, connection_on_answer,
                                              connection_on_lost};
    char reason[PACE_REASON_BYTES];
    c->wire = wire_open(c->loop, address, c->port, &events, c, reason, sizeof(reason));
    if (!c->wire) {
        connection_on_lost(c, reason);
        return;
    }
    c->state = CONNECTION_GREETING;
    c->greeting.has_loaded = false;
    connection_greet(c, GREETING_AUTH);
}

static void connection_on_found(void *ctx, const char *address)
{
    struct connection *c = ctx;
    c->lookup = NULL;
    if (address) {
        connection_connect(c, address);
    } else {
        connection_on_lost(c, "the name has no address");
    }
}

static void connection_reach(struct connection *c)
{
    snprintf(c->node, sizeof(c->node), "%s:%d", c->host, c->port);
    c->state = CONNECTION_RESOLVING;
    if (lookup_is_numeric(c->host)) {
        connection_connect(c, c->host);
    } else {
        c->lookup = lookup_start(c->loop, c->host, c->pace.attempts, connection_on_found, c);
    }
}

/* While there is a connection, to a master or to what was one, it is only looked whether another
 * has taken its place. */
static void connection_on_master(void *ctx, const char *host, int port, unsigned sentinel)
{
    struct connection *c = ctx;
    char node[COPIES_NODE_BYTES];
    snprintf(node, sizeof(node), "%s:%d", host ? host : "", port);
    c->finding = NULL;
    if (c->state != CONNECTION_FINDING && host && strcmp(c->node, node) != 0) {
        connection_drop(c, "another master was named");
        return;
    }
    if (host) {
        c->events->on_named(c->ctx, node, sentinel);
    }
    if (c->state != CONNECTION_FINDING) {
        return;
    }
    if (host) {
        snprintf(c->host, sizeof(c->host), "%s", host);
        c->port = port;
        connection_reach(c);
    } else {
        connection_on_lost(c, "no Sentinel knows the master");
    }
}

void connection_find(struct connection *c)
{
    if (c->sentinels[0] && !c->finding) {
        c->finding = master_ask(c->loop, c->sentinels, c->sentinel_password, c->master,
                                c->questions++, connection_on_master, c);
    }
}

static void connection_attempt(struct connection *c)
{
    crash_point("redis.connect");
    if (c->sentinels[0]) {
        c->state = CONNECTION_FINDING;
        connection_find(c);
    } else {
        connection_reach(c);
    }
}

/* ---- silence ---- */

/* A server that does not even take the connection is not busy, but away. */
static int64_t connection_patience_ms(const struct connection *c)
{
    return wire_is_connected(c->wire) ? c->patience.ms : c->timeout_ms;
}

static void connection_on_timer(void *ctx)
{
    struct connection *c = ctx;
    if (c->state == CONNECTION_WAITING) {
        connection_attempt(c);
        return;
    }
    c->is_timing = false;
    if (c->owed == 0) {
        return;
    }
    int64_t silent_ms = loop_now_ms(c->loop) - c->heard_ms;
    int64_t patience_ms = connection_patience_ms(c);
    if (silent_ms >= patience_ms && c->is_suspect) {
        connection_drop_silent(c);
        return;
    }
    if (silent_ms >= c->timeout_ms) {
        connection_find(c);
    }
    /* Silence may be ours: after a pause of this process timers come first, and the answers have
     * been in the socket for long. So the loop gets one more look at it. */
    c->is_suspect = silent_ms >= patience_ms;
    c->is_timing = true;
    int64_t left_ms = patience_ms - silent_ms;
    int64_t ask_ms = c->timeout_ms - silent_ms % c->timeout_ms;
    int64_t next_ms = left_ms < ask_ms ? left_ms : ask_ms;
    loop_timer_start(c->timer, c->is_suspect ? CONNECTION_SUSPECT_MS : next_ms, 0);
}

/* ---- the owner's side ---- */

static void connection_address(struct connection *c, const struct store_conf *conf,
                               const char *node)
{
    if (store_conf_has_sentinels(conf)) {
        snprintf(c->sentinels, sizeof(c->sentinels), "%s", conf->redis_sentinels);
        snprintf(c->sentinel_password, sizeof(c->sentinel_password), "%s", conf->sentinel_password);
        snprintf(c->master, sizeof(c->master), "%s", node);
    } else {
        bool is_node = conf_node(node, 0, c->host, sizeof(c->host), &c->port);
        assert(is_node); /* address.c has looked at it */
    }
    snprintf(c->user, sizeof(c->user), "%s", conf->redis_user);
    snprintf(c->password, sizeof(c->password), "%s", conf->redis_password);
    c->timeout_ms = conf->redis_timeout_ms;
}

struct connection *connection_new(struct loop *loop, const struct store_conf *conf,
                                  const char *group, const char *node,
                                  const struct library *library, bool is_listener,
                                  const struct connection_events *events, void *ctx)
{
    char labels[96];
    struct connection *c = mem_new(sizeof(*c));
    c->loop = loop;
    c->events = events;
    c->ctx = ctx;
    snprintf(c->group, sizeof(c->group), "%s", group);
    connection_address(c, conf, node);
    c->greeting = (struct greeting){.user = c->user,
                                    .password = c->password,
                                    .library = library,
                                    .is_listener = is_listener,
                                    .has_replicas = conf->redis_wait_replicas > 0};
    patience_init(&c->patience, PATIENCE_FIRST * c->timeout_ms);
    c->is_up_news = true;
    snprintf(labels, sizeof(labels), "group=\"%s\"", c->group);
    c->stat_reconnects =
        stat_counter("kassa_store_reconnects_total", labels, "further attempts to connect");
    c->stat_silences = stat_counter("kassa_store_silences_total", labels,
                                    "connections that were left because nothing came");
    c->stat_up = stat_gauge("kassa_store_up", labels, "1: the store can be used");
    c->timer = loop_timer_new(loop, connection_on_timer, c);
    loop_timer_start(c->timer, 0, 0); /* the first attempt is a turn's work like any other */
    return c;
}

void connection_free(struct connection *c)
{
    if (c) {
        master_forget(c->finding);
        lookup_forget(c->lookup);
        wire_close(c->wire);
        stat_set(c->stat_up, 0);
        loop_timer_free(c->timer);
        args_free(&c->word);
        free(c);
    }
}

bool connection_is_up(const struct connection *c)
{
    return c->state == CONNECTION_UP;
}

const char *connection_reason(const struct connection *c)
{
    return c->pace.told;
}

const char *connection_node(const struct connection *c)
{
    return c->node;
}

struct patience *connection_patience(struct connection *c)
{
    return &c->patience;
}
