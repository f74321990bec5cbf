/* The stages of what is sent, against a publisher that only takes notes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/outbox.h"
#include "catalogue/message.h"
#include "catalogue/queues.h"

#define PUBLISHED_MAX 10000

struct published {
    const char *queue;
    uint64_t sequence;
    unsigned commands;
    int64_t first;   /* number of its first command */
    char header[64]; /* name: value */
};

struct fixture {
    struct outbox_limits limits;
    struct outbox *outbox;
    int publish_error; /* what publishing fails with; 0: it works */
    struct published published[PUBLISHED_MAX];
    unsigned published_count;
    unsigned confirmed;
    int64_t sent;
    unsigned resend; /* commands that on_confirm is to add */
    int64_t now_ms;
};

static int note_publish(void *ctx, const char *queue, struct slice body, uint64_t sequence,
                        struct broker_header header)
{
    struct fixture *f = ctx;
    if (f->publish_error != 0) {
        return f->publish_error;
    }
    assert_true(f->published_count < PUBLISHED_MAX);
    struct published *p = &f->published[f->published_count++];
    *p = (struct published){.queue = queue, .sequence = sequence};
    snprintf(p->header, sizeof(p->header), "%s: %s", header.name ? header.name : "",
             header.value ? header.value : "");
    if (header.name == NULL) {
        struct envelope *e;
        const char *detail;
        assert_int_equal(envelope_read(&message_schema, body, &e, &detail), 0);
        p->commands = envelope_count(e);
        p->first = envelope_at(e, 0)->count;
        for (unsigned i = 0; i < p->commands; i++) {
            assert_int_equal(envelope_at(e, i)->count, p->first + i);
        }
        envelope_free(e);
    }
    return 0;
}

static void on_confirm(void *ctx);

static void add(struct fixture *f, enum queue queue, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct message m = {.type = MESSAGE_PAYMENT_INIT};
        message_set(&m, id, SLICE_TEXT("s:1:init"));
        message_set(&m, gateway, SLICE_TEXT("g"));
        message_set(&m, credit, 0);
        message_set(&m, count, f->sent);
        f->sent++;
        outbox_add(f->outbox, queue, &m, on_confirm, f);
    }
}

static void on_confirm(void *ctx)
{
    struct fixture *f = ctx;
    f->confirmed++;
    if (f->resend > 0) {
        f->resend--;
        add(f, QUEUE_SAGA, 1);
    }
}

static void flush(struct fixture *f)
{
    outbox_flush(f->outbox, SIZE_MAX, f->now_ms);
}

static int fixture_setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    f->limits = (struct outbox_limits){
        .window_envelopes = 4,
        .window_bytes = 1 << 20,
        .envelope_commands = 10,
        .envelope_bytes = 65536,
    };
    f->outbox = outbox_new(&message_schema, &queues_topology, &f->limits, note_publish, f);
    *state = f;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    outbox_free(f->outbox);
    free(f);
    return 0;
}

static void limits_set(struct fixture *f, unsigned window_envelopes, size_t window_bytes)
{
    outbox_free(f->outbox);
    f->limits.window_envelopes = window_envelopes;
    f->limits.window_bytes = window_bytes;
    f->outbox = outbox_new(&message_schema, &queues_topology, &f->limits, note_publish, f);
}

/* All of a turn's commands for one queue leave together, each queue in its own envelope. */
static void outbox_makes_one_envelope_for_each_queue(void **state)
{
    struct fixture *f = *state;
    add(f, QUEUE_STOCK, 3);
    add(f, QUEUE_ORDER, 2);
    assert_int_equal(f->published_count, 0);
    flush(f);
    assert_int_equal(f->published_count, 2);
    assert_string_equal(f->published[0].queue, "kassa.stock");
    assert_int_equal(f->published[0].commands, 3);
    assert_string_equal(f->published[1].queue, "kassa.order");
    assert_int_equal(f->published[1].commands, 2);
    assert_int_equal(outbox_unconfirmed(f->outbox), 5);
    assert_int_equal(outbox_confirm(f->outbox, 2, true, true), 5);
    assert_int_equal(f->confirmed, 5);
    assert_int_equal(outbox_unconfirmed(f->outbox), 0);
    flush(f);
    assert_int_equal(f->published_count, 2);
}

/* An envelope is closed at its bounds; what follows begins the next one, in order. */
static void outbox_bounds_envelopes(void **state)
{
    struct fixture *f = *state;
    add(f, QUEUE_STOCK, 25);
    flush(f);
    assert_int_equal(f->published_count, 3);
    assert_int_equal(f->published[0].commands, 10);
    assert_int_equal(f->published[1].first, 10);
    assert_int_equal(f->published[2].commands, 5);
}

/* When the window is full, commands gather until a confirm makes room. */
static void outbox_gathers_over_the_window(void **state)
{
    struct fixture *f = *state;
    for (unsigned turn = 0; turn < 10; turn++) {
        add(f, QUEUE_STOCK, 1);
        flush(f);
    }
    assert_int_equal(f->published_count, 4);
    assert_int_equal(outbox_confirm(f->outbox, 2, false, true), 1);
    flush(f);
    assert_int_equal(f->published_count, 5);
    assert_int_equal(f->published[4].commands, 6);
    assert_int_equal(f->published[4].first, 4);
}

/* The window is bounded in bytes too, but never so that nothing at all could leave. */
static void outbox_bounds_window_bytes(void **state)
{
    struct fixture *f = *state;
    limits_set(f, 4, 100);
    add(f, QUEUE_STOCK, 1);
    add(f, QUEUE_ORDER, 1);
    flush(f);
    assert_int_equal(f->published_count, 1);
    outbox_confirm(f->outbox, 1, false, true);
    flush(f);
    assert_int_equal(f->published_count, 2);
    limits_set(f, 4, 1 << 20);
    add(f, QUEUE_STOCK, 1);
    add(f, QUEUE_ORDER, 1);
    outbox_flush(f->outbox, 100, 0); /* the connection's room counts as well */
    assert_int_equal(f->published_count, 3);
}

/* Under a window of one, every queue gets its turn. */
static void outbox_starves_no_queue(void **state)
{
    struct fixture *f = *state;
    limits_set(f, 1, 1 << 20);
    bool was_published[QUEUE_COUNT] = {false};
    add(f, QUEUE_SAGA, 1);
    add(f, QUEUE_PAYMENT, 1);
    for (unsigned turn = 1; turn <= 2 * QUEUE_COUNT; turn++) {
        add(f, QUEUE_ORDER, f->limits.envelope_commands); /* a busy queue, full in each turn */
        add(f, QUEUE_STOCK, turn == 1);
        flush(f);
        outbox_confirm(f->outbox, turn, false, true);
    }
    for (unsigned i = 0; i < f->published_count; i++) {
        for (unsigned q = 0; q < QUEUE_COUNT; q++) {
            was_published[q] |= strcmp(queues_text((enum queue)q), f->published[i].queue) == 0;
        }
    }
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        assert_true(was_published[q]);
    }
}

/* Tags that are not out, are confirmed already, or never were, change nothing. */
static void outbox_ignores_foreign_tags(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(outbox_confirm(f->outbox, 1, true, true), 0);
    add(f, QUEUE_STOCK, 1);
    flush(f);
    assert_int_equal(outbox_confirm(f->outbox, 2, true, true), 0);
    assert_int_equal(outbox_confirm(f->outbox, 0, true, true), 0);
    assert_int_equal(outbox_confirm(f->outbox, 1, false, true), 1);
    assert_int_equal(outbox_confirm(f->outbox, 1, false, true), 0);
    assert_int_equal(f->confirmed, 1);
}

/* A nacked envelope is not confirmed; it goes out again when it is released. */
static void outbox_repeats_nacked(void **state)
{
    struct fixture *f = *state;
    add(f, QUEUE_STOCK, 2);
    flush(f);
    assert_int_equal(outbox_confirm(f->outbox, 1, false, false), 0);
    assert_true(outbox_has_kept_back(f->outbox));
    flush(f);
    assert_int_equal(f->published_count, 1);
    outbox_release(f->outbox);
    assert_false(outbox_has_kept_back(f->outbox));
    flush(f);
    assert_int_equal(f->published_count, 2);
    assert_int_equal(f->published[1].sequence, f->published[0].sequence);
    assert_int_equal(outbox_confirm(f->outbox, 2, false, true), 2);
    assert_int_equal(f->confirmed, 2);
}

/* A returned envelope is confirmed by the broker, but not by us. */
static void outbox_repeats_returned(void **state)
{
    struct fixture *f = *state;
    add(f, QUEUE_STOCK, 2);
    flush(f);
    assert_false(outbox_return(f->outbox, 77));
    assert_true(outbox_return(f->outbox, f->published[0].sequence));
    assert_int_equal(outbox_confirm(f->outbox, 1, false, true), 0);
    assert_int_equal(outbox_unconfirmed(f->outbox), 2);
    outbox_release(f->outbox);
    flush(f);
    assert_int_equal(outbox_confirm(f->outbox, 2, false, true), 2);
}

/* After a break everything unconfirmed goes out again, oldest first, under new tags. */
static void outbox_repeats_all_after_reset(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 4; i++) {
        add(f, QUEUE_STOCK, 1);
        flush(f);
    }
    outbox_confirm(f->outbox, 1, false, false); /* kept back: the oldest */
    outbox_confirm(f->outbox, 3, false, true);
    outbox_release(f->outbox);
    flush(f); /* now the oldest has the newest tag */
    add(f, QUEUE_STOCK, 30);
    f->published_count = 0;
    outbox_reset(f->outbox);
    flush(f);
    assert_int_equal(f->published_count, 4);
    assert_int_equal(f->published[0].first, 0);
    assert_int_equal(f->published[1].first, 1);
    assert_int_equal(f->published[2].first, 3);
    assert_int_equal(f->published[3].first, 4);
    assert_int_equal(outbox_confirm(f->outbox, 4, true, true), 13);
    flush(f);
    assert_int_equal(outbox_confirm(f->outbox, 8, true, true), 0); /* only two more were left */
    assert_int_equal(outbox_confirm(f->outbox, 6, true, true), 20);
    assert_int_equal(outbox_unconfirmed(f->outbox), 0);
    assert_int_equal(f->confirmed, 34);
}

/* When publishing fails, the envelope stays and goes first the next time. */
static void outbox_keeps_what_could_not_be_published(void **state)
{
    struct fixture *f = *state;
    add(f, QUEUE_STOCK, 2);
    f->publish_error = -1;
    flush(f);
    add(f, QUEUE_STOCK, 2);
    f->publish_error = 0;
    flush(f);
    assert_int_equal(f->published_count, 2);
    assert_int_equal(f->published[0].first, 0);
    assert_int_equal(f->published[1].first, 2);
}

/* on_confirm may send at once: the new command waits for the next flush. */
static void outbox_may_be_added_to_while_confirming(void **state)
{
    struct fixture *f = *state;
    add(f, QUEUE_STOCK, 20);
    flush(f);
    f->resend = 15;
    assert_int_equal(outbox_confirm(f->outbox, 2, true, true), 20);
    assert_int_equal(outbox_unconfirmed(f->outbox), 15);
    flush(f);
    assert_int_equal(f->published_count, 4);
    assert_int_equal(outbox_confirm(f->outbox, 4, true, true), 15);
    assert_int_equal(f->confirmed, 35);
}

/* One envelope that is never confirmed stops the rest when tags would run into it. */
static void outbox_bounds_span_of_tags(void **state)
{
    struct fixture *f = *state;
    for (unsigned tag = 1; tag <= 5000; tag++) {
        add(f, QUEUE_STOCK, 1);
        flush(f);
        if (tag > 1) {
            outbox_confirm(f->outbox, tag, false, true);
        }
    }
    assert_true(f->published_count < 5000);
    assert_int_equal(outbox_confirm(f->outbox, 1, false, true), 1);
    for (unsigned i = 0; i < 1000 && outbox_unconfirmed(f->outbox) > 0; i++) {
        flush(f);
        outbox_confirm(f->outbox, f->published_count, true, true);
    }
    assert_int_equal(f->confirmed, f->sent);
}

/* A parked message counts and is confirmed like a command, in the parked queue. */
static void outbox_parks(void **state)
{
    struct fixture *f = *state;
    outbox_park(f->outbox, QUEUE_ORDER, SLICE_TEXT("\x01 poison"), "why", on_confirm, f);
    outbox_park(f->outbox, QUEUE_ORDER, (struct slice){NULL, 0}, "empty", NULL, NULL);
    assert_int_equal(outbox_unconfirmed(f->outbox), 2);
    flush(f);
    assert_int_equal(f->published_count, 2);
    assert_string_equal(f->published[0].header, "x-kassa-reason: why");
    assert_string_equal(f->published[0].queue, "kassa.order.parked");
    assert_int_equal(outbox_confirm(f->outbox, 2, true, true), 2);
    assert_int_equal(f->confirmed, 1);
}

/* One that is given back goes to the end of its own queue, as it came, with how often it did. */
static void outbox_gives_back(void **state)
{
    struct fixture *f = *state;
    outbox_give_back(f->outbox, QUEUE_STOCK, SLICE_TEXT("{\"v\":3}"), 17, on_confirm, f);
    assert_int_equal(outbox_unconfirmed(f->outbox), 1);
    flush(f);
    assert_int_equal(f->published_count, 1);
    assert_string_equal(f->published[0].header, "x-kassa-returns: 17");
    assert_string_equal(f->published[0].queue, "kassa.stock");
    assert_int_equal(outbox_confirm(f->outbox, 1, true, true), 1);
    assert_int_equal(f->confirmed, 1);
}

static bool is_overdue_at(struct fixture *f, int64_t now_ms)
{
    f->now_ms = now_ms;
    return outbox_is_overdue(f->outbox, 1000, now_ms);
}

/* Only what is out, and only the oldest of it. */
static void outbox_knows_what_is_overdue(void **state)
{
    struct fixture *f = *state;
    assert_false(is_overdue_at(f, 5000)); /* nothing was sent */
    add(f, QUEUE_SAGA, 1);
    assert_false(is_overdue_at(f, 9000)); /* nothing is out */
    flush(f);
    assert_false(is_overdue_at(f, 9999));
    add(f, QUEUE_STOCK, 1);
    flush(f);
    assert_true(is_overdue_at(f, 10000));
    outbox_confirm(f->outbox, 1, false, true);
    assert_false(is_overdue_at(f, 10998)); /* the second one went out at 9999 */
    assert_true(is_overdue_at(f, 10999));
    outbox_confirm(f->outbox, 2, false, true);
    assert_false(is_overdue_at(f, 99999));
    assert_int_equal(f->confirmed, 2);
}

/* A queue that nobody can publish to does not cost a connection each second for ever. */
static void outbox_has_more_patience_with_what_was_overdue(void **state)
{
    struct fixture *f = *state;
    static const int64_t patience_ms[] = {1000, 2000, 4000, 8000, 16000, 16000, 16000};
    add(f, QUEUE_SAGA, 1);
    for (size_t i = 0; i < sizeof(patience_ms) / sizeof(patience_ms[0]); i++) {
        int64_t out_ms = f->now_ms;
        flush(f);
        assert_false(is_overdue_at(f, out_ms + patience_ms[i] - 1));
        assert_true(is_overdue_at(f, out_ms + patience_ms[i]));
        outbox_give_up(f->outbox);
        outbox_reset(f->outbox);
        assert_false(is_overdue_at(f, f->now_ms)); /* it waits for the next connection */
    }
    flush(f);
    outbox_confirm(f->outbox, 1, false, true);
    assert_int_equal(f->confirmed, 1);
}

int main(void)
{
#define OUTBOX_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        OUTBOX_TEST(outbox_makes_one_envelope_for_each_queue),
        OUTBOX_TEST(outbox_bounds_envelopes),
        OUTBOX_TEST(outbox_gathers_over_the_window),
        OUTBOX_TEST(outbox_bounds_window_bytes),
        OUTBOX_TEST(outbox_starves_no_queue),
        OUTBOX_TEST(outbox_ignores_foreign_tags),
        OUTBOX_TEST(outbox_repeats_nacked),
        OUTBOX_TEST(outbox_repeats_returned),
        OUTBOX_TEST(outbox_repeats_all_after_reset),
        OUTBOX_TEST(outbox_keeps_what_could_not_be_published),
        OUTBOX_TEST(outbox_may_be_added_to_while_confirming),
        OUTBOX_TEST(outbox_bounds_span_of_tags),
        OUTBOX_TEST(outbox_parks),
        OUTBOX_TEST(outbox_gives_back),
        OUTBOX_TEST(outbox_knows_what_is_overdue),
        OUTBOX_TEST(outbox_has_more_patience_with_what_was_overdue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
