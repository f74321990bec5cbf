/* Asks one Sentinel after the other. See master.h. */
#include "store/master.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/log.h"
#include "store/lookup.h"
#include "store/pace.h"
#include "store/wire.h"

struct master {
    struct loop *loop;
    const char *sentinels;
    const char *password;
    const char *group;
    unsigned next, left; /* which to ask, and how many have not been */
    master_on_found *on_found;
    void *ctx;
    char host[CONF_TEXT_MAX]; /* of the one that is asked */
    int port;
    bool is_authenticating;
    struct lookup *lookup;
    struct wire *wire;
    struct args command;
    struct loop_timer *timer; /* the end of its time; or the next one is due */
};

static void master_on_turn_end(void *ctx)
{
    struct master *m = ctx;
    if (m->wire) {
        wire_write(m->wire);
    }
}

static void master_free(struct master *m)
{
    loop_hook_remove(m->loop, LOOP_HOOK_STORE, master_on_turn_end, m);
    lookup_forget(m->lookup);
    wire_close(m->wire);
    loop_timer_free(m->timer);
    args_free(&m->command);
    free(m);
}

void master_forget(struct master *m)
{
    if (m) {
        master_free(m);
    }
}

static void master_tell(struct master *m, const char *host, int port)
{
    master_on_found *on_found = m->on_found;
    void *ctx = m->ctx;
    unsigned sentinel = (m->next - 1) % conf_node_count(m->sentinels);
    master_free(m);
    on_found(ctx, host, port, sentinel);
}

/* This one is of no use. The next is asked in another turn: a wire may be in its callback. */
static void master_skip(struct master *m, const char *reason)
{
    log_debug("sentinel_silent", "group=%s sentinel=%s:%d reason=%s", m->group, m->host, m->port,
              log_quote(slice_from(reason)));
    lookup_forget(m->lookup);
    m->lookup = NULL;
    wire_close(m->wire);
    m->wire = NULL;
    loop_timer_start(m->timer, 0, 0);
}

static void master_send(struct master *m)
{
    struct args *c = &m->command;
    args_reset(c);
    if (m->is_authenticating) {
        args_text(c, "AUTH");
        args_text(c, m->password);
    } else {
        args_text(c, "SENTINEL");
        args_text(c, "GET-MASTER-ADDR-BY-NAME");
        args_text(c, m->group);
    }
    wire_send(m->wire, c);
}

static void master_on_heard(void *ctx)
{
    (void)ctx;
}

static void master_on_answer(void *ctx, struct texts reply, bool is_error)
{
    struct master *m = ctx;
    struct slice host = texts_at(reply, 0), port_text = texts_at(reply, 1);
    int64_t port;
    if (is_error) {
        char reason[PACE_REASON_BYTES];
        snprintf(reason, sizeof(reason), "%.*s", SLICE_ARG(host));
        master_skip(m, reason);
    } else if (m->is_authenticating) {
        m->is_authenticating = false;
        master_send(m);
    } else if (host.bytes == 0 || host.bytes >= sizeof(m->host) || !slice_int64(port_text, &port) ||
               port < 1 || port > 65535) {
        master_skip(m, "it does not know the master");
    } else {
        char found[CONF_TEXT_MAX];
        slice_copy(host, found, sizeof(found));
        master_tell(m, found, (int)port);
    }
}

static void master_on_lost(void *ctx, const char *reason)
{
    struct master *m = ctx;
    m->wire = NULL;
    master_skip(m, reason);
}

static void master_connect(struct master *m, const char *address)
{
    static const struct wire_events events = {master_on_heard, master_on_answer, master_on_lost};
    char reason[PACE_REASON_BYTES];
    m->wire = wire_open(m->loop, address, m->port, &events, m, reason, sizeof(reason));
    if (!m->wire) {
        master_skip(m, reason);
        return;
    }
    m->is_authenticating = m->password[0] != '\0';
    master_send(m);
}

static void master_on_address(void *ctx, const char *address)
{
    struct master *m = ctx;
    m->lookup = NULL;
    if (address) {
        master_connect(m, address);
    } else {
        master_skip(m, "the name has no address");
    }
}

static void master_next(struct master *m)
{
    if (m->left == 0) {
        master_tell(m, NULL, 0);
        return;
    }
    m->left--;
    conf_node(m->sentinels, m->next++, m->host, sizeof(m->host), &m->port);
    loop_timer_start(m->timer, MASTER_ASK_MS, 0);
    if (lookup_is_numeric(m->host)) {
        master_connect(m, m->host);
    } else {
        m->lookup = lookup_start(m->loop, m->host, 0, master_on_address, m);
    }
}

static void master_on_timer(void *ctx)
{
    struct master *m = ctx;
    if (m->wire || m->lookup) {
        master_skip(m, "no answer in time");
    } else {
        master_next(m);
    }
}

struct master *master_ask(struct loop *loop, const char *sentinels, const char *password,
                          const char *group, unsigned first, master_on_found *on_found, void *ctx)
{
    struct master *m = mem_new(sizeof(*m));
    m->loop = loop;
    m->sentinels = sentinels;
    m->password = password;
    m->group = group;
    m->on_found = on_found;
    m->ctx = ctx;
    m->next = first;
    m->left = conf_node_count(sentinels);
    loop_hook_add(loop, LOOP_HOOK_STORE, master_on_turn_end, m);
    m->timer = loop_timer_new(loop, master_on_timer, m);
    loop_timer_start(m->timer, 0, 0);
    return m;
}
