/* A store connection to a real server, and who calls there: the server of SAGA_REDIS for what does
 * no harm, a private one where it is killed, paused, demoted or filled. */
#ifndef KASSA_TEST_LIVE_H
#define KASSA_TEST_LIVE_H

#include "store/store.h"
#include "test/lib/redis_server.h"

#define LIVE_WAIT_MS 10000

/* A library of which there are versions: each has its echo, and says which it is. */
#define LIVE_LIBRARY(version)                                                                      \
    {                                                                                              \
        .name = "live", .hash = "0000000" version,                                                 \
        .source = "#!lua name=kassa_live_0000000" version "\n"                                     \
                  "redis.register_function{function_name = 'live_greet_0000000" version "',\n"     \
                  "  flags = {'no-writes'}, callback = function(keys)\n"                           \
                  "  return redis.call('GET', keys[1]) and redis.error_reply('SCHEMA no') or {}\n" \
                  "end}\n"                                                                         \
                  "redis.register_function('live_echo_0000000" version "', function(keys, args)\n" \
                  "  redis.call('INCR', keys[1])\n"                                                \
                  "  return {args[1], {7, false}, '" version "'}\n"                                \
                  "end)\n"                                                                         \
    }

extern const struct library live_library, live_newer;

struct live {
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct store_conf conf;
    struct store *redis;
    struct redis_server *server; /* NULL: that of SAGA_REDIS */
    struct args command;
    unsigned ups;
    unsigned answers;
    unsigned failures;
    unsigned timeouts; /* of them */
    unsigned misplaced;
    char text[4096]; /* the last reply, its texts joined by | */
};

/* For cmocka: *state is the struct, its store is up. */
int live_setup_shared(void **state);
int live_setup_private(void **state);
int live_teardown(void **state);

/* Another connection, in the place of one that was freed. */
void live_connect(struct live *t, const char *node, const struct library *library);
/* The words of `line`; live_on_reply counts what comes, with ctx the struct. */
void live_call(struct live *t, const char *line);
void live_on_reply(void *ctx, int err, struct texts reply);
/* The reply to one call that is made when the store is up. */
const char *live_ask(struct live *t, const char *line);

/* It was away once, is up within LIVE_WAIT_MS, and answers. */
void live_check_recovers(struct live *t);
/* Errors: false when it is not so within LIVE_WAIT_MS. */
bool live_wait(struct live *t, bool (*is_done)(struct live *));
bool live_is_up(struct live *t);
bool live_is_down(struct live *t);
bool live_is_idle(struct live *t);

#endif
