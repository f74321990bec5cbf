/* A private store with one function library in it, and a connection that asks one thing at a time
 * or many in a row. The connection is store/store, as in the services. */
#ifndef KASSA_TEST_RIG_H
#define KASSA_TEST_RIG_H

#include "runtime/uuid.h"
#include "store/store.h"

struct rig;

/* Owns: the caller, until rig_free (NULL is fine). */
struct rig *rig_new(const struct library *library);
/* Another library in the same store. */
void rig_load(struct rig *s, const struct library *library);
void rig_free(struct rig *s);

/* One store for all tests of a file, emptied before each: `store`, with the functions for cmocka's
 * group_setup, group_teardown and setup. */
#define RIG_FIXTURE(library)                                                                       \
    static struct rig *store;                                                                      \
    static int group_setup(void **state)                                                           \
    {                                                                                              \
        (void)state;                                                                               \
        store = rig_new(&(library));                                                               \
        return 0;                                                                                  \
    }                                                                                              \
    static int group_teardown(void **state)                                                        \
    {                                                                                              \
        (void)state;                                                                               \
        rig_free(store);                                                                           \
        return 0;                                                                                  \
    }                                                                                              \
    static int setup(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        rig_ask(store, "FLUSHALL");                                                                \
        return 0;                                                                                  \
    }

/* Sends the words and waits. A function is called by its name, <library>_<what>, without the hash.
 * The first text of the reply, "" for none or nil; static until the next ask. An error of the
 * server fails the test. */
#define rig_ask(s, ...) rig_ask_words(s, (const char *const[]){__VA_ARGS__, NULL})
const char *rig_ask_words(struct rig *s, const char *const *words);
/* Sends what a builder made, and calls on_reply (may be NULL) while the reply is there. */
typedef void rig_on_reply(void *ctx, struct texts reply);
void rig_ask_command(struct rig *s, const struct args *c, rig_on_reply *on_reply, void *ctx);
/* Sends the words without waiting; the reply's texts must be `expected` when it comes, a line for
 * each. What was misanswered is counted. */
void rig_expect_words(struct rig *s, const char *expected, const char *const *words);
#define rig_expect(s, expected, ...)                                                               \
    rig_expect_words(s, expected, (const char *const[]){__VA_ARGS__, NULL})
/* The same of what a builder made. RIG_ERROR: an error of the server is expected. */
#define RIG_ERROR   "-"
#define RIG_TOO_OLD "-TOOOLD"
#define RIG_FULL    "-full"
void rig_expect_command(struct rig *s, const char *expected, const struct args *c);
void rig_wait(struct rig *s);            /* until everything is answered */
unsigned rig_misanswered(struct rig *s); /* since it was asked last */

/* The last reply to rig_ask, all of it. */
unsigned rig_count(const struct rig *s);
const char *rig_at(const struct rig *s, unsigned i); /* "" for nil and behind the end */
void rig_skip(struct rig *s, unsigned texts);        /* of it: its first texts */

/* From now on until FLUSHALL that is what time it is, for the functions of the store's library. */
void rig_clock(struct rig *s, int64_t ms);

/* For what takes a connection of its own accord (consumer/sweep.h). */
struct loop *rig_loop(struct rig *s);
struct store *rig_store(struct rig *s);
const char *rig_node(const struct rig *s); /* host:port of its server */

/* Texts of a call, each good until the next 1024: a formatted one; a saga or request id made at
 * wall_ms, that of a client's key; the key of an id's bucket of records, <service>:once:<bucket>.
 */
const char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *id_at(int64_t wall_ms);
const char *id_kept_at(int64_t wall_ms);
const char *bucket_of(const char *service, const char *id);

#endif
