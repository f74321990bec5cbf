/* Overload control (gateway/overload): what it decides for a server of known capacity under load,
 * bursts and faults. The server takes one after the other; a tick is 1 ms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gateway/overload.h"

#define CAPACITY  5     /* a ms */
#define LEAST_MS  5     /* a request takes that long when nobody else is there */
#define QUEUE_MAX 20000 /* ring; more than PENDING_MAX */

static const struct gateway_conf conf = {
    .pending_max = 10000, .admission_min = 1024, .admission_target_ms = 50, .reask_ms = 1000};

struct model {
    struct overload overload;
    int64_t now_ms;
    int64_t began_ms[QUEUE_MAX];
    unsigned first, count;
    bool is_down; /* takes nothing */
    enum overload_kind kind;
    unsigned clients; /* closed loop: who got an answer comes again; 0: open loop */
    /* since the last model_reset: */
    unsigned answered, shed, most;
    int64_t longest_ms;
};

static int setup(void **state)
{
    struct model *m = mem_new(sizeof(*m));
    overload_init(&m->overload, &conf);
    m->now_ms = 123456;
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void model_reset(struct model *m)
{
    m->answered = m->shed = m->most = 0;
    m->longest_ms = 0;
}

static void model_arrive(struct model *m, unsigned requests)
{
    for (unsigned i = 0; i < requests; i++) {
        if (overload_let_in(&m->overload, m->count, m->now_ms)) {
            m->began_ms[(m->first + m->count++) % QUEUE_MAX] = m->now_ms;
        } else {
            m->shed++;
        }
    }
    m->most = m->count > m->most ? m->count : m->most;
}

/* What the server does in this ms. Returns how many it has answered. */
static unsigned model_serve(struct model *m)
{
    unsigned done = 0;
    while (!m->is_down && done < CAPACITY && m->count > 0 &&
           m->began_ms[m->first] <= m->now_ms - LEAST_MS) {
        int64_t wait_ms = m->now_ms - m->began_ms[m->first];
        m->first = (m->first + 1) % QUEUE_MAX;
        m->count--;
        done++;
        m->longest_ms = wait_ms > m->longest_ms ? wait_ms : m->longest_ms;
        overload_ended(&m->overload, m->kind, wait_ms, m->count, m->now_ms);
    }
    m->answered += done;
    return done;
}

/* Open loop: `tenths` of the capacity come. Closed loop: those who were answered. */
static void model_run(struct model *m, int64_t ms, unsigned tenths)
{
    unsigned come = 0, taken = 0;
    for (int64_t end_ms = m->now_ms + ms; m->now_ms < end_ms; m->now_ms++) {
        unsigned again = model_serve(m);
        come += tenths * CAPACITY;
        model_arrive(m, m->clients > 0 ? again : come / 10 - taken);
        taken = come / 10;
    }
}

static void closed_loop(struct model *m, unsigned clients)
{
    m->clients = clients;
    model_arrive(m, clients);
}

/* Half of what is possible, and nearly all of it: nobody is turned away. */
static void load_that_fits(void **state)
{
    struct model *m = *state;
    model_run(m, 10000, 5);
    model_run(m, 10000, 9);
    assert_int_equal(m->shed, 0);
    assert_false(m->overload.is_overloaded);
    assert_int_equal(m->overload.limit, conf.pending_max);
}

/* Three times what is possible: the server stays busy, the waits stay near the target, the rest is
 * turned away. */
static void three_times_too_much(void **state)
{
    struct model *m = *state;
    model_run(m, 2000, 30);
    assert_true(m->longest_ms < conf.reask_ms);
    model_reset(m);
    model_run(m, 10000, 30);
    assert_true(m->overload.is_overloaded);
    assert_true(m->answered >= 10000 * CAPACITY * 99 / 100);
    assert_true(m->longest_ms <= 2 * conf.admission_target_ms);
    assert_in_range(m->shed, 10000 * CAPACITY * 19 / 10, 10000 * CAPACITY * 21 / 10);
}

/* Also when it comes all at once, ten times of it. */
static void ten_times_too_much(void **state)
{
    struct model *m = *state;
    model_run(m, 5000, 100);
    assert_true(m->most <= conf.pending_max);
    model_reset(m);
    model_run(m, 5000, 100);
    assert_true(m->answered >= 5000 * CAPACITY * 99 / 100);
    assert_true(m->longest_ms <= 2 * conf.admission_target_ms);
}

/* A little too much for long: the queue is bounded all the same. */
static void a_tenth_too_much(void **state)
{
    struct model *m = *state;
    model_run(m, 60000, 11);
    assert_true(m->shed > 0);
    assert_true(m->longest_ms < conf.reask_ms);
    assert_true(m->most < 2 * conf.admission_min);
}

/* When the pressure is gone, nobody is turned away any more, and soon all is as before. */
static void recovery(void **state)
{
    struct model *m = *state;
    model_run(m, 5000, 30);
    model_run(m, OVERLOAD_WINDOW_MS, 5);
    model_reset(m);
    model_run(m, 1000, 5);
    assert_int_equal(m->shed, 0);
    assert_true(m->longest_ms <= 2 * LEAST_MS);
    assert_false(m->overload.is_overloaded);
    assert_int_equal(m->overload.limit, conf.pending_max);
}

/* A door that was not looked at for a moment, since the process did not run, stays one: what is
 * in flight then was not answered, and nobody was asked. */
static void a_stall_in_an_overload(void **state)
{
    struct model *m = *state;
    model_run(m, 5000, 30);
    for (int i = 0; i < 20; i++) {
        m->now_ms += 2 * OVERLOAD_WINDOW_MS;
        model_run(m, 300, 30);
        assert_true(m->overload.is_overloaded);
        assert_true(m->overload.limit < conf.pending_max / 2);
    }
}

/* A pause forgets an overload, too: who comes after it is let in. */
static void recovery_in_silence(void **state)
{
    struct model *m = *state;
    model_run(m, 5000, 30);
    model_run(m, 1000, 0);
    model_reset(m);
    model_arrive(m, 1000);
    model_run(m, 1000, 0);
    assert_int_equal(m->shed, 0);
    assert_int_equal(m->answered, 1000);
}

/* A crowd that comes at once is let in, and so is a second one. */
static void bursts(void **state)
{
    struct model *m = *state;
    for (int i = 0; i < 5; i++) {
        model_arrive(m, 1000);
        model_run(m, 500, 1);
    }
    assert_int_equal(m->shed, 0);
}

/* A thousand clients that wait for their answers, whatever these take. */
static void many_clients(void **state)
{
    struct model *m = *state;
    closed_loop(m, 1000);
    model_run(m, 60000, 0);
    assert_int_equal(m->shed, 0);
    assert_true(m->longest_ms > conf.admission_target_ms);
}

/* The same with a server that is down for a minute: they wait. */
static void an_outage_with_many_clients(void **state)
{
    struct model *m = *state;
    for (unsigned clients = 50; clients <= 1000; clients += 950) {
        m->first = m->count = 0;
        closed_loop(m, clients);
        for (int i = 0; i < 3; i++) {
            model_run(m, 5000, 0);
            m->is_down = true;
            model_run(m, 60000, 0);
            m->is_down = false;
        }
        model_run(m, 5000, 0);
        assert_int_equal(m->shed, 0);
    }
}

/* And with clients that keep coming: the queue of the outage is longer than any other, and still
 * nobody is turned away, since it gets shorter. */
static void an_outage_with_ever_new_clients(void **state)
{
    struct model *m = *state;
    m->is_down = true;
    for (int i = 0; i < 6000; i++) {
        model_arrive(m, 1);
        m->now_ms += 10;
    }
    m->is_down = false;
    model_run(m, 10000, 1);
    assert_int_equal(m->shed, 0);
}

/* But a queue that stays is one, however it has begun: asking again must not keep it alive. */
static void a_queue_that_stays_after_a_fault(void **state)
{
    struct model *m = *state;
    m->is_down = true;
    model_run(m, 1900, 10);
    m->is_down = false;
    model_run(m, 6000, 10);
    assert_true(m->shed > 0);
    model_reset(m);
    model_run(m, 5000, 10);
    assert_true(m->longest_ms < conf.reask_ms);
}

/* PENDING_MAX holds whatever is known of the waits. */
static void the_last_limit(void **state)
{
    struct model *m = *state;
    m->is_down = true;
    model_run(m, 10000, 10);
    assert_int_equal(m->count, conf.pending_max);
    assert_int_equal(m->shed, 10000 * CAPACITY - conf.pending_max);
}

/* Others tell of the waits only where no checkout does. */
static void kinds(void **state)
{
    struct model *m = *state;
    struct overload *a = &m->overload;
    m->kind = OVERLOAD_OTHER;
    model_run(m, 3000, 30);
    assert_true(a->is_overloaded);
    model_run(m, 3000, 1);
    assert_false(a->is_overloaded);
    for (int ms = 0; ms < 5000; ms++) {
        overload_ended(a, OVERLOAD_CHECKOUT, 10, 5000, m->now_ms + ms);
        overload_ended(a, OVERLOAD_OTHER, 700, 5000, m->now_ms + ms);
    }
    assert_false(a->is_overloaded);
    for (int ms = 5000; ms < 6000; ms++) {
        overload_ended(a, OVERLOAD_CHECKOUT, 100, 5000, m->now_ms + ms);
        overload_ended(a, OVERLOAD_OTHER, 2, 5000, m->now_ms + ms);
        overload_let_in(a, 5000, m->now_ms + ms);
    }
    assert_true(a->is_overloaded);
}

/* The smallest values that are allowed make a door that lets somebody in. */
static void smallest_limits(void **state)
{
    struct model *m = *state;
    static const struct gateway_conf small = {
        .pending_max = 1, .admission_min = 8, .admission_target_ms = 1, .reask_ms = 50};
    overload_init(&m->overload, &small);
    model_run(m, 1000, 30);
    assert_int_equal(m->most, 1);
    assert_true(m->answered >= 1000 / LEAST_MS - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(load_that_fits),
        TEST(three_times_too_much),
        TEST(ten_times_too_much),
        TEST(a_tenth_too_much),
        TEST(recovery),
        TEST(a_stall_in_an_overload),
        TEST(recovery_in_silence),
        TEST(bursts),
        TEST(many_clients),
        TEST(an_outage_with_many_clients),
        TEST(an_outage_with_ever_new_clients),
        TEST(a_queue_that_stays_after_a_fault),
        TEST(the_last_limit),
        TEST(kinds),
        TEST(smallest_limits),
    };
    return cmocka_run_group_tests_name("gateway/overload", tests, NULL, NULL);
}
