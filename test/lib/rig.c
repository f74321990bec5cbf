/* A private redis-server, a loop, and the store connection between them. */
#include "test/lib/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idempotency/once.h"
#include "runtime/err.h"
#include "test/lib/given.h"
#include "test/lib/redis_server.h"

#define STORE_WAIT_MS   20000
#define STORE_TEXTS_MAX 4096
#define LIBRARIES_MAX   4
#define RING            1024
#define RING_BYTES      4096 /* a journal with all its waiters */

struct rig {
    struct redis_server *server;
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct store *redis;
    struct library libraries[LIBRARIES_MAX]; /* with another clock */
    struct buf sources[LIBRARIES_MAX];
    unsigned library_count;
    struct args command;
    struct buf texts;              /* of the last reply, each terminated */
    size_t begin[STORE_TEXTS_MAX]; /* where each begins */
    unsigned count, skipped;
    int err; /* of the last ask */
    unsigned misanswered;
    rig_on_reply *on_reply;
    void *on_reply_ctx;
};

struct expectation {
    struct rig *store;
    char *expected;
};

static void on_tick(void *ctx)
{
    (void)ctx;
}

/* The library with another clock: the time of the key test:ms, where that is set (rig_clock). */
static void library_with_clock(const char *library, struct buf *out)
{
    static const char time[] = "local time = redis.call('TIME')";
    static const char get[] = "redis.call('GET', 'test:ms')";
    const char *found = strstr(library, time);
    size_t before = found != NULL ? (size_t)(found - library) : 0;
    buf_add(out, library, before);
    if (found != NULL) {
        buf_addf(out, "%s; if %s then time = {math.floor(%s / 1000), %s %% 1000 * 1000} end", time,
                 get, get, get);
        before += strlen(time);
    }
    buf_add_text(out, library + before);
}

static const struct library *library_add(struct rig *s, const struct library *library)
{
    unsigned i = s->library_count++;
    assert_in_range(i, 0, LIBRARIES_MAX - 1);
    library_with_clock(library->source, &s->sources[i]);
    s->libraries[i] = *library;
    s->libraries[i].source = s->sources[i].data;
    return &s->libraries[i];
}

struct rig *rig_new(const struct library *library)
{
    struct store_conf conf;
    struct rig *s = mem_new(sizeof(*s));
    given_load(&store_conf_table, given_none, &conf);
    conf.redis_timeout_ms = STORE_WAIT_MS; /* a busy machine is not what is tested here */
    s->server = redis_server_start(NULL);
    s->loop = loop_new();
    s->tick = loop_timer_new(s->loop, on_tick, NULL);
    loop_timer_start(s->tick, 5, 5);
    s->redis = store_new(s->loop, &conf, "test", redis_server_node(s->server),
                         library != NULL ? library_add(s, library) : NULL);
    int64_t until_ms = loop_now_ms(s->loop) + STORE_WAIT_MS;
    while (!store_is_up(s->redis)) {
        assert_true(loop_now_ms(s->loop) < until_ms);
        loop_turn(s->loop, true);
    }
    return s;
}

void rig_free(struct rig *s)
{
    if (s == NULL) {
        return;
    }
    store_free(s->redis);
    args_free(&s->command);
    buf_free(&s->texts);
    for (unsigned i = 0; i < s->library_count; i++) {
        buf_free(&s->sources[i]);
    }
    loop_timer_free(s->tick);
    loop_free(s->loop);
    redis_server_free(s->server);
    free(s);
}

void rig_wait(struct rig *s)
{
    int64_t until_ms = loop_now_ms(s->loop) + STORE_WAIT_MS;
    while (store_outstanding(s->redis) > 0) {
        assert_true(loop_now_ms(s->loop) < until_ms);
        loop_turn(s->loop, true);
    }
}

void rig_load(struct rig *s, const struct library *library)
{
    rig_ask(s, "FUNCTION", "LOAD", library_add(s, library)->source);
}

/* <library>_<what> with the library's hash. */
static const char *function_of(const struct rig *s, const char *name)
{
    for (unsigned i = 0; i < s->library_count; i++) {
        const struct library *library = &s->libraries[i];
        size_t bytes = strlen(library->name);
        if (strncmp(name, library->name, bytes) == 0 && name[bytes] == '_') {
            return text_of("%s_%s", name, library->hash);
        }
    }
    return name;
}

static void words_build(struct rig *s, struct args *c, const char *const *words)
{
    args_reset(c);
    if (strncmp(words[0], "FCALL", 5) == 0) {
        args_text(c, *words++);
        args_text(c, function_of(s, *words++));
    }
    for (; *words != NULL; words++) {
        args_text(c, *words);
    }
}

static void on_asked(void *ctx, int err, struct texts reply)
{
    struct rig *s = ctx;
    s->err = err;
    s->skipped = 0;
    buf_reset(&s->texts);
    s->count = reply.count;
    assert_true(s->count <= STORE_TEXTS_MAX);
    for (unsigned i = 0; i < s->count; i++) {
        s->begin[i] = s->texts.bytes;
        buf_add_slice(&s->texts, texts_at(reply, i));
        buf_add(&s->texts, "", 1);
    }
    if (err == 0 && s->on_reply != NULL) {
        s->on_reply(s->on_reply_ctx, reply);
    }
}

void rig_ask_command(struct rig *s, const struct args *c, rig_on_reply *on_reply, void *ctx)
{
    rig_wait(s);
    s->on_reply = on_reply;
    s->on_reply_ctx = ctx;
    store_call(s->redis, c, on_asked, s);
    rig_wait(s);
    if (s->err != 0) {
        fail_msg("the store answered: %s: %s", err_name(s->err), rig_at(s, 0));
    }
}

const char *rig_ask_words(struct rig *s, const char *const *words)
{
    words_build(s, &s->command, words);
    rig_ask_command(s, &s->command, NULL, NULL);
    return rig_at(s, 0);
}

/* The reply's texts are the lines of `expected`. */
static bool is_expected(const char *expected, int err, struct texts reply)
{
    struct slice rest = slice_from(expected), line;
    unsigned i = 0;
    if (strcmp(expected, RIG_FULL) == 0) {
        return err == -ERR_STORE_FULL;
    }
    if (strcmp(expected, RIG_TOO_OLD) == 0) {
        return err == -ERR_TOO_OLD;
    }
    if (strcmp(expected, RIG_ERROR) == 0) {
        return err == -ERR_STORE_REPLY || err == -ERR_TOO_OLD;
    }
    for (; err == 0 && slice_cut(&rest, '\n', &line); i++) {
        if (!slice_equal(texts_at(reply, i), line)) {
            return false;
        }
    }
    return err == 0 && i == reply.count;
}

static void on_expected(void *ctx, int err, struct texts reply)
{
    struct expectation *e = ctx;
    if (!is_expected(e->expected, err, reply) && e->store->misanswered++ == 0) {
        struct slice got = texts_at(reply, 0);
        print_error("expected \"%s\", the store answered \"%.*s\" (%s)\n", e->expected,
                    SLICE_ARG(got), err_name(err));
    }
    free(e->expected);
    free(e);
}

void rig_expect_command(struct rig *s, const char *expected, const struct args *c)
{
    struct expectation *e = mem_new(sizeof(*e));
    *e = (struct expectation){s, mem_text(slice_from(expected))};
    store_call(s->redis, c, on_expected, e);
}

void rig_expect_words(struct rig *s, const char *expected, const char *const *words)
{
    words_build(s, &s->command, words);
    rig_expect_command(s, expected, &s->command);
}

unsigned rig_misanswered(struct rig *s)
{
    unsigned count = s->misanswered;
    s->misanswered = 0;
    return count;
}

unsigned rig_count(const struct rig *s)
{
    return s->count - s->skipped;
}

void rig_skip(struct rig *s, unsigned texts)
{
    assert_true(texts <= s->count);
    s->skipped = texts;
}

void rig_clock(struct rig *s, int64_t ms)
{
    rig_ask(s, "SET", "test:ms", text_of("%lld", (long long)ms));
}

const char *rig_at(const struct rig *s, unsigned i)
{
    i += s->skipped;
    return i < s->count ? s->texts.data + s->begin[i] : "";
}

static char *ring_next(void)
{
    static char ring[RING][RING_BYTES];
    static unsigned next;
    return ring[next++ % RING];
}

const char *text_of(const char *format, ...)
{
    char *text = ring_next();
    va_list ap;
    va_start(ap, format);
    int bytes = vsnprintf(text, RING_BYTES, format, ap);
    va_end(ap);
    assert_in_range(bytes, 0, RING_BYTES - 1);
    return text;
}

const char *id_at(int64_t wall_ms)
{
    return text_of("%s", uuid_make(wall_ms).text);
}

const char *id_kept_at(int64_t wall_ms)
{
    return text_of("%s", uuid_make_kept(wall_ms).text);
}

const char *bucket_of(const char *service, const char *id)
{
    char bucket[ONCE_BUCKET_TEXT_BYTES + 1];
    assert_int_equal(once_bucket(slice_from(id), bucket), 0);
    return text_of("%s:once:%s", service, bucket);
}

struct loop *rig_loop(struct rig *s)
{
    return s->loop;
}

struct store *rig_store(struct rig *s)
{
    return s->redis;
}

const char *rig_node(const struct rig *s)
{
    return redis_server_node(s->server);
}
