/* A private store with one function library in it, and a connection that asks one thing at a time
 * or many in a row. The connection is idempotency/redis, as in the services. */
#ifndef KASSA_TEST_STORE_H
#define KASSA_TEST_STORE_H

#include "idempotency/redis.h"
#include "runtime/uuid.h"

struct store;

/* Owns: the caller, until store_free (NULL is fine). */
struct store *store_new(const struct redis_library *library);
/* Another library in the same store. */
void store_load(struct store *s, const struct redis_library *library);
void store_free(struct store *s);

/* One store for all tests of a file, emptied before each: `store`, with the functions for cmocka's
 * group_setup, group_teardown and setup. */
#define STORE_FIXTURE(library)                                                                     \
    static struct store *store;                                                                    \
    static int group_setup(void **state)                                                           \
    {                                                                                              \
        (void)state;                                                                               \
        store = store_new(&(library));                                                             \
        return 0;                                                                                  \
    }                                                                                              \
    static int group_teardown(void **state)                                                        \
    {                                                                                              \
        (void)state;                                                                               \
        store_free(store);                                                                         \
        return 0;                                                                                  \
    }                                                                                              \
    static int setup(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        store_ask(store, "FLUSHALL");                                                              \
        return 0;                                                                                  \
    }

/* Sends the words and waits. A function is called by its name, <library>_<what>, without the hash.
 * The first text of the reply, "" for none or nil; static until the next ask. An error of the
 * server fails the test. */
#define store_ask(s, ...) store_ask_words(s, (const char *const[]){__VA_ARGS__, NULL})
const char *store_ask_words(struct store *s, const char *const *words);
/* Sends what a builder made, and calls on_reply (may be NULL) while the reply is there. */
typedef void store_on_reply(void *ctx, const struct redis_reply *reply);
void store_ask_command(struct store *s, const struct redis_command *c, store_on_reply *on_reply,
                       void *ctx);
/* Sends the words without waiting; the reply's texts must be `expected` when it comes, a line for
 * each. What was misanswered is counted. */
void store_expect_words(struct store *s, const char *expected, const char *const *words);
#define store_expect(s, expected, ...)                                                             \
    store_expect_words(s, expected, (const char *const[]){__VA_ARGS__, NULL})
/* The same of what a builder made. STORE_ERROR: an error of the server is expected. */
#define STORE_ERROR   "-"
#define STORE_TOO_OLD "-TOOOLD"
#define STORE_FULL    "-full"
void store_expect_command(struct store *s, const char *expected, const struct redis_command *c);
void store_wait(struct store *s);            /* until everything is answered */
unsigned store_misanswered(struct store *s); /* since it was asked last */

/* The last reply to store_ask, all of it. */
unsigned store_count(const struct store *s);
const char *store_at(const struct store *s, unsigned i); /* "" for nil and behind the end */
void store_skip(struct store *s, unsigned texts);        /* of it: its first texts */

/* From now on until FLUSHALL that is what time it is, for the functions of the store's library. */
void store_clock(struct store *s, int64_t ms);

/* For what takes a connection of its own accord (saga/sweep.h). */
struct loop *store_loop(struct store *s);
struct redis *store_redis(struct store *s);
const char *store_node(const struct store *s); /* host:port of its server */

/* Texts of a call, each good until the next 1024: a formatted one; a saga or request id made at
 * wall_ms, that of a client's key; the key of an id's bucket of records, <service>:once:<bucket>.
 */
const char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *id_at(int64_t wall_ms);
const char *id_kept_at(int64_t wall_ms);
const char *bucket_of(const char *service, const char *id);

#endif
