/* What queues are declared with: for a queue that is there, the same for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/topology.h"

static void arguments_are(const struct topology_argument *arguments, unsigned count,
                          const char *expected)
{
    struct buf text = {0};
    buf_add_text(&text, "");
    for (unsigned i = 0; i < count; i++) {
        if (arguments[i].text != NULL) {
            buf_addf(&text, " %s=%s", arguments[i].key, arguments[i].text);
        } else {
            buf_addf(&text, " %s=%lld", arguments[i].key, (long long)arguments[i].number);
        }
    }
    assert_string_equal(text.data, expected);
    buf_free(&text);
}

static void queue_is(const char *name, enum topology_kind kind, int64_t bound, const char *expected)
{
    const struct topology_queue queue = {name, "parked", kind, bound};
    struct topology_argument arguments[TOPOLOGY_ARGUMENTS_MAX];
    arguments_are(arguments, topology_arguments(&queue, arguments), expected);
}

/* Those of the queues of the first release, in its order: a broker that has them accepts no others.
 */
static void topology_declares_quorum_queue(void **state)
{
    (void)state;
    queue_is("kassa.order", TOPOLOGY_QUORUM, 0,
             " x-queue-type=quorum x-dead-letter-exchange=kassa.dead"
             " x-dead-letter-routing-key=kassa.order x-delivery-limit=50");
    struct topology_argument arguments[TOPOLOGY_ARGUMENTS_MAX];
    arguments_are(arguments, topology_parked_arguments(arguments), " x-queue-type=quorum");
}

/* A queue that is bounded refuses what is over, so that its sender still has it. */
static void topology_declares_bounded_queue(void **state)
{
    (void)state;
    queue_is("q", TOPOLOGY_CLASSIC, 100,
             " x-queue-type=classic x-dead-letter-exchange=kassa.dead"
             " x-dead-letter-routing-key=q x-max-length=100 x-overflow=reject-publish");
    queue_is("q", TOPOLOGY_QUORUM, 100,
             " x-queue-type=quorum x-dead-letter-exchange=kassa.dead"
             " x-dead-letter-routing-key=q x-delivery-limit=50"
             " x-max-length=100 x-overflow=reject-publish");
}

/* A stream has no dead letters, and its bound is one of bytes. */
static void topology_declares_stream(void **state)
{
    (void)state;
    queue_is("q", TOPOLOGY_STREAM, 0, " x-queue-type=stream");
    queue_is("q", TOPOLOGY_STREAM, 5000000000,
             " x-queue-type=stream x-max-length-bytes=5000000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topology_declares_quorum_queue),
        cmocka_unit_test(topology_declares_bounded_queue),
        cmocka_unit_test(topology_declares_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
