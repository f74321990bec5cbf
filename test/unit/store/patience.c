/* How long silence is borne, and how much is out after it (store/patience), and the calls
 * that wait meanwhile (store/backlog). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "store/backlog.h"
#include "store/patience.h"

#define FIRST_MS 1000

static struct patience fresh(void)
{
    struct patience p;
    patience_init(&p, FIRST_MS);
    return p;
}

/* As many as may go out now. */
static unsigned send_all(struct patience *p, unsigned wanted)
{
    unsigned sent = 0;
    while (sent < wanted && patience_lets(p, false)) {
        patience_sent(p, false);
        sent++;
    }
    return sent;
}

/* A server that was never silent is not spared anything. */
static void no_limit_at_first(void **state)
{
    (void)state;
    struct patience p = fresh();
    assert_int_equal(send_all(&p, 100000), 100000);
    assert_int_equal(p.ms, FIRST_MS);
    patience_lost(&p); /* a connection that breaks says nothing */
    assert_int_equal(send_all(&p, 100000), 100000);
    assert_int_equal(p.ms, FIRST_MS);
}

/* After each silence it is asked for half of it, in twice the time: never the same again. */
static void each_retry_is_cheaper(void **state)
{
    (void)state;
    struct patience p = fresh();
    unsigned out = send_all(&p, 60);
    int64_t ms = p.ms;
    for (int i = 0; i < 10; i++) {
        patience_silent(&p);
        unsigned next = send_all(&p, 60);
        assert_int_equal(next, out > 1 ? out / 2 : 1);
        assert_true(p.ms == 2 * ms || p.ms == PATIENCE_MAX_MS);
        out = next;
        ms = p.ms;
    }
    assert_int_equal(out, 1);
    assert_int_equal(ms, PATIENCE_MAX_MS);
}

/* 60 calls of which each takes so long, and nothing is answered before the last of those that were
 * sent together: all are answered, and soon; with the same slice and patience none ever is. */
static void calls_that_take_long_end(void **state)
{
    (void)state;
    static const int64_t costs_ms[] = {20, 50, 400, 900, 5000};
    for (unsigned i = 0; i < sizeof(costs_ms) / sizeof(costs_ms[0]); i++) {
        struct patience p = fresh();
        int64_t now_ms = 1;
        unsigned left = 60, silences = 0;
        while (left > 0) {
            unsigned sent = send_all(&p, left);
            int64_t takes_ms = sent * costs_ms[i];
            if (takes_ms >= p.ms) {
                now_ms += takes_ms; /* it finishes what it was asked */
                patience_silent(&p);
                assert_true(++silences < 10);
                continue;
            }
            now_ms += takes_ms;
            patience_heard(&p, takes_ms, now_ms);
            for (left -= sent; sent > 0; sent--) {
                patience_answered(&p);
            }
        }
        assert_true(now_ms < 60 * costs_ms[i] * 5);
    }
}

/* A slice doubles with each round that is answered, until it is none. */
static void a_slice_grows(void **state)
{
    (void)state;
    struct patience p = fresh();
    send_all(&p, 16);
    patience_silent(&p);
    for (unsigned slice = 8; slice < PATIENCE_SLICE_MAX; slice *= 2) {
        unsigned sent = send_all(&p, 1000000);
        assert_int_equal(sent, slice);
        while (sent-- > 0) {
            patience_answered(&p);
        }
    }
    assert_int_equal(send_all(&p, 100000), 100000);
}

/* Silence while greeting is no reason to ask for less. */
static void silence_without_calls(void **state)
{
    (void)state;
    struct patience p = fresh();
    patience_silent(&p);
    assert_int_equal(p.ms, 2 * FIRST_MS);
    assert_int_equal(send_all(&p, 1000), 1000);
}

/* One that is alone waits for all others, and they for it. */
static void alone(void **state)
{
    (void)state;
    struct patience p = fresh();
    patience_sent(&p, false);
    assert_false(patience_lets(&p, true));
    patience_answered(&p);
    assert_true(patience_lets(&p, true));
    patience_sent(&p, true);
    assert_false(patience_lets(&p, false));
    assert_false(patience_lets(&p, true));
    patience_answered(&p);
    assert_true(patience_lets(&p, false));
    patience_sent(&p, true);
    patience_lost(&p);
    assert_true(patience_lets(&p, false));
}

/* What a server takes is what it gets: twice that at once, and less when it was better for long. */
static void follows_the_server(void **state)
{
    (void)state;
    struct patience p = fresh();
    int64_t now_ms = 50000;
    patience_heard(&p, 900, now_ms);
    assert_int_equal(p.ms, 1800);
    patience_heard(&p, 2400, now_ms);
    assert_int_equal(p.ms, 4800);
    for (; now_ms < 50000 + PATIENCE_LOOK_MS; now_ms += 500) {
        patience_heard(&p, 5, now_ms);
        assert_int_equal(p.ms, 4800);
    }
    patience_heard(&p, 5, now_ms); /* the look began with the slow ones */
    assert_int_equal(p.ms, 4800);
    now_ms += PATIENCE_LOOK_MS;
    patience_heard(&p, 700, now_ms);
    assert_int_equal(p.ms, 1400);
    patience_heard(&p, 5, now_ms + PATIENCE_LOOK_MS);
    assert_int_equal(p.ms, FIRST_MS);
    patience_heard(&p, 1000000, now_ms);
    assert_int_equal(p.ms, PATIENCE_MAX_MS);
}

/* Calls come out in their order, whole. */
static void backlog_in_order(void **state)
{
    (void)state;
    static struct args c, out;
    struct backlog b;
    backlog_init(&b);
    for (uintptr_t i = 0; i < 100; i++) {
        args_reset(&c);
        args_text(&c, "SET");
        args_text(&c, "");
        args_int(&c, (int64_t)i);
        c.is_alone = i == 7;
        backlog_push(&b, &c, (struct waiter){.ctx = (void *)i});
    }
    for (uintptr_t i = 0; i < 99; i++) {
        assert_int_equal(backlog_is_alone(&b), i == 7);
        assert_int_equal((uintptr_t)backlog_pop(&b, &out).ctx, i);
        assert_int_equal(out.is_alone, i == 7);
        assert_int_equal(out.count, 3);
        assert_int_equal(out.end[1], 3);
        assert_int_equal(out.end[2], i < 10 ? 4 : 5);
    }
    backlog_pop(&b, NULL);
    assert_int_equal(b.count, 0);
    args_free(&c);
    args_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_at_first),        cmocka_unit_test(each_retry_is_cheaper),
        cmocka_unit_test(calls_that_take_long_end), cmocka_unit_test(a_slice_grows),
        cmocka_unit_test(silence_without_calls),    cmocka_unit_test(alone),
        cmocka_unit_test(follows_the_server),       cmocka_unit_test(backlog_in_order),
    };
    return cmocka_run_group_tests_name("store/patience", tests, NULL, NULL);
}
