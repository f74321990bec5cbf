/* A private redis-server, a loop, and the store connection between them. */
#include "test/lib/store.h"

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
#include "test/lib/redis_server.h"

#define STORE_WAIT_MS   20000
#define STORE_TEXTS_MAX 4096
#define LIBRARIES_MAX   4
#define RING            1024
#define RING_BYTES      4096 /* a journal with all its waiters */

struct store {
    struct redis_server *server;
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct redis *redis;
    struct redis_library libraries[LIBRARIES_MAX]; /* with another clock */
    struct buf sources[LIBRARIES_MAX];
    unsigned library_count;
    struct redis_command command;
    struct buf texts;              /* of the last reply, each terminated */
    size_t begin[STORE_TEXTS_MAX]; /* where each begins */
    unsigned count, skipped;
    int err; /* of the last ask */
    unsigned misanswered;
    store_on_reply *on_reply;
    void *on_reply_ctx;
};

struct expectation {
    struct store *store;
    char *expected;
};

static void on_tick(void *ctx)
{
    (void)ctx;
}

static const char *lookup_none(const char *variable)
{
    (void)variable;
    return NULL;
}

/* The library with another clock: the time of the key test:ms, where that is set (store_clock). */
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

static const struct redis_library *library_add(struct store *s, const struct redis_library *library)
{
    unsigned i = s->library_count++;
    assert_in_range(i, 0, LIBRARIES_MAX - 1);
    library_with_clock(library->source, &s->sources[i]);
    s->libraries[i] = *library;
    s->libraries[i].source = s->sources[i].data;
    return &s->libraries[i];
}

struct store *store_new(const struct redis_library *library)
{
    static struct conf conf;
    struct buf sentence = {0};
    struct store *s = mem_new(sizeof(*s));
    assert_int_equal(conf_load(&conf, lookup_none, &sentence), 0);
    buf_free(&sentence);
    conf.redis_timeout_ms = STORE_WAIT_MS; /* a busy machine is not what is tested here */
    s->server = redis_server_start(NULL);
    s->loop = loop_new();
    s->tick = loop_timer_new(s->loop, on_tick, NULL);
    loop_timer_start(s->tick, 5, 5);
    s->redis = redis_new(s->loop, &conf, "test", redis_server_node(s->server),
                         library != NULL ? library_add(s, library) : NULL);
    int64_t until_ms = loop_now_ms(s->loop) + STORE_WAIT_MS;
    while (!redis_is_up(s->redis)) {
        assert_true(loop_now_ms(s->loop) < until_ms);
        loop_turn(s->loop, true);
    }
    return s;
}

void store_free(struct store *s)
{
    if (s == NULL) {
        return;
    }
    redis_free(s->redis);
    redis_command_free(&s->command);
    buf_free(&s->texts);
    for (unsigned i = 0; i < s->library_count; i++) {
        buf_free(&s->sources[i]);
    }
    loop_timer_free(s->tick);
    loop_free(s->loop);
    redis_server_free(s->server);
    free(s);
}

void store_wait(struct store *s)
{
    int64_t until_ms = loop_now_ms(s->loop) + STORE_WAIT_MS;
    while (redis_outstanding(s->redis) > 0) {
        assert_true(loop_now_ms(s->loop) < until_ms);
        loop_turn(s->loop, true);
    }
}

void store_load(struct store *s, const struct redis_library *library)
{
    store_ask(s, "FUNCTION", "LOAD", library_add(s, library)->source);
}

/* <library>_<what> with the library's hash. */
static const char *function_of(const struct store *s, const char *name)
{
    for (unsigned i = 0; i < s->library_count; i++) {
        const struct redis_library *library = &s->libraries[i];
        size_t bytes = strlen(library->name);
        if (strncmp(name, library->name, bytes) == 0 && name[bytes] == '_') {
            return text_of("%s_%s", name, library->hash);
        }
    }
    return name;
}

static void words_build(struct store *s, struct redis_command *c, const char *const *words)
{
    redis_command_reset(c);
    if (strncmp(words[0], "FCALL", 5) == 0) {
        redis_arg_text(c, *words++);
        redis_arg_text(c, function_of(s, *words++));
    }
    for (; *words != NULL; words++) {
        redis_arg_text(c, *words);
    }
}

static void on_asked(void *ctx, int err, const struct redis_reply *reply)
{
    struct store *s = ctx;
    s->err = err;
    s->skipped = 0;
    buf_reset(&s->texts);
    s->count = reply ? redis_reply_count(reply) : 0;
    assert_true(s->count <= STORE_TEXTS_MAX);
    for (unsigned i = 0; i < s->count; i++) {
        s->begin[i] = s->texts.bytes;
        buf_add_slice(&s->texts, redis_reply_at(reply, i));
        buf_add(&s->texts, "", 1);
    }
    if (err == 0 && s->on_reply != NULL) {
        s->on_reply(s->on_reply_ctx, reply);
    }
}

void store_ask_command(struct store *s, const struct redis_command *c, store_on_reply *on_reply,
                       void *ctx)
{
    store_wait(s);
    s->on_reply = on_reply;
    s->on_reply_ctx = ctx;
    redis_call(s->redis, c, on_asked, s);
    store_wait(s);
    if (s->err != 0) {
        fail_msg("the store answered: %s: %s", err_name(s->err), store_at(s, 0));
    }
}

const char *store_ask_words(struct store *s, const char *const *words)
{
    words_build(s, &s->command, words);
    store_ask_command(s, &s->command, NULL, NULL);
    return store_at(s, 0);
}

/* The reply's texts are the lines of `expected`. */
static bool is_expected(const char *expected, int err, const struct redis_reply *reply)
{
    struct slice rest = slice_from(expected), line;
    unsigned i = 0;
    if (strcmp(expected, STORE_FULL) == 0) {
        return err == -ERR_STORE_FULL;
    }
    if (strcmp(expected, STORE_TOO_OLD) == 0) {
        return err == -ERR_TOO_OLD;
    }
    if (strcmp(expected, STORE_ERROR) == 0) {
        return err == -ERR_STORE_REPLY || err == -ERR_TOO_OLD;
    }
    for (; err == 0 && slice_cut(&rest, '\n', &line); i++) {
        if (!slice_equal(redis_reply_at(reply, i), line)) {
            return false;
        }
    }
    return err == 0 && i == redis_reply_count(reply);
}

static void on_expected(void *ctx, int err, const struct redis_reply *reply)
{
    struct expectation *e = ctx;
    if (!is_expected(e->expected, err, reply) && e->store->misanswered++ == 0) {
        struct slice got = reply ? redis_reply_at(reply, 0) : (struct slice){0};
        print_error("expected \"%s\", the store answered \"%.*s\" (%s)\n", e->expected,
                    SLICE_ARG(got), err_name(err));
    }
    free(e->expected);
    free(e);
}

void store_expect_command(struct store *s, const char *expected, const struct redis_command *c)
{
    struct expectation *e = mem_new(sizeof(*e));
    *e = (struct expectation){s, mem_text(slice_from(expected))};
    redis_call(s->redis, c, on_expected, e);
}

void store_expect_words(struct store *s, const char *expected, const char *const *words)
{
    words_build(s, &s->command, words);
    store_expect_command(s, expected, &s->command);
}

unsigned store_misanswered(struct store *s)
{
    unsigned count = s->misanswered;
    s->misanswered = 0;
    return count;
}

unsigned store_count(const struct store *s)
{
    return s->count - s->skipped;
}

void store_skip(struct store *s, unsigned texts)
{
    assert_true(texts <= s->count);
    s->skipped = texts;
}

void store_clock(struct store *s, int64_t ms)
{
    store_ask(s, "SET", "test:ms", text_of("%lld", (long long)ms));
}

const char *store_at(const struct store *s, unsigned i)
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

struct loop *store_loop(struct store *s)
{
    return s->loop;
}

struct redis *store_redis(struct store *s)
{
    return s->redis;
}

const char *store_node(const struct store *s)
{
    return redis_server_node(s->server);
}
