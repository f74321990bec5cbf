/* The libraries of a store (store/library.lua, libraries.h): which is marked as used, which
 * is dropped, and what the mark of the schema is for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "store/libraries.h"
#include "test/lib/rig.h"

#define DAY_S 86400

extern const struct library payment_library;

RIG_FIXTURE(payment_library)

static const char *own_name(void)
{
    return text_of("kassa_payment_%s", payment_library.hash);
}

static const char *greet(void)
{
    return rig_ask(store, "FCALL", "payment_greet", "2", "payment:schema", "payment:libraries");
}

static const char *used_s(const char *name)
{
    return text_of("%s", rig_ask(store, "ZSCORE", "payment:libraries", name));
}

/* Another version's library, last used so long ago. */
static void other_load(const char *name, long long ago_s)
{
    rig_ask(
        store, "FUNCTION", "LOAD", "REPLACE",
        text_of("#!lua name=%s\nredis.register_function('f_%s', function() end)\n", name, name));
    long long now_s = atoll(rig_ask(store, "TIME"));
    rig_ask(store, "ZADD", "payment:libraries", text_of("%lld", now_s - ago_s), name);
}

static bool is_loaded(const char *name)
{
    rig_ask(store, "FUNCTION", "LIST", "LIBRARYNAME", name);
    return rig_count(store) > 0;
}

/* The same text in each connection: a greeting marks the library as used, at most once an hour. */
static void marked_as_used(void **state)
{
    (void)state;
    assert_string_equal(used_s(own_name()), "");
    assert_string_equal(greet(), "");
    const char *first = used_s(own_name());
    assert_string_not_equal(first, "");
    rig_ask(store, "ZADD", "payment:libraries", text_of("%lld", atoll(first) - 100), own_name());
    greet();
    assert_int_equal(atoll(used_s(own_name())), atoll(first) - 100);
    rig_ask(store, "ZADD", "payment:libraries", text_of("%lld", atoll(first) - 4000), own_name());
    greet();
    assert_in_range(atoll(used_s(own_name())), atoll(first), atoll(first) + 100);
}

/* What nobody has used for a day goes; what is used, and what is used by others, stays. */
static void unused_are_dropped(void **state)
{
    (void)state;
    struct libraries *l = libraries_new(rig_loop(store), rig_store(store), &payment_library);
    other_load("kassa_payment_old", 2 * DAY_S);
    other_load("kassa_payment_other", DAY_S / 2);
    libraries_look(l);
    rig_wait(store);
    assert_false(is_loaded("kassa_payment_old"));
    assert_true(is_loaded("kassa_payment_other"));
    assert_true(is_loaded(own_name()));
    assert_string_equal(used_s("kassa_payment_old"), "");
    assert_string_not_equal(used_s("kassa_payment_other"), "");
    libraries_look(l); /* freed while a call is out */
    libraries_free(l);
    rig_wait(store);
    rig_ask(store, "FUNCTION", "DELETE", "kassa_payment_other");
}

/* A store without a mark gets one. One of an older version is raised, and not lowered again. */
static void schema_is_marked(void **state)
{
    (void)state;
    greet();
    assert_string_equal(rig_ask(store, "GET", "payment:schema"), "1|1");
    rig_ask(store, "SET", "payment:schema", "0|0");
    greet();
    assert_string_equal(rig_ask(store, "GET", "payment:schema"), "1|1");
    rig_ask(store, "SET", "payment:schema", "1|7");
    greet();
    assert_string_equal(rig_ask(store, "GET", "payment:schema"), "1|7");
}

/* What this version cannot read it refuses in one sentence, and it leaves the mark as it is. */
static void schema_is_refused(void **state)
{
    (void)state;
    rig_ask(store, "SET", "payment:schema", "2|2");
    rig_expect(store, RIG_ERROR, "FCALL", "payment_greet", "2", "payment:schema",
               "payment:libraries");
    rig_wait(store);
    assert_int_equal(rig_misanswered(store), 0);
    assert_string_equal(rig_ask(store, "GET", "payment:schema"), "2|2");
    rig_ask(store, "SET", "payment:schema", "rubbish");
    rig_expect(store, RIG_ERROR, "FCALL", "payment_greet", "2", "payment:schema",
               "payment:libraries");
    rig_wait(store);
    assert_int_equal(rig_misanswered(store), 0);
}

/* A full memory is no obstacle. */
static void greeted_with_full_memory(void **state)
{
    (void)state;
    rig_ask(store, "CONFIG", "SET", "maxmemory", "1");
    greet();
    assert_string_not_equal(used_s(own_name()), "");
    rig_ask(store, "CONFIG", "SET", "maxmemory", "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(marked_as_used, setup),
        cmocka_unit_test_setup(unused_are_dropped, setup),
        cmocka_unit_test_setup(schema_is_marked, setup),
        cmocka_unit_test_setup(schema_is_refused, setup),
        cmocka_unit_test_setup(greeted_with_full_memory, setup),
    };
    return cmocka_run_group_tests_name("live/libraries", tests, group_setup, group_teardown);
}
