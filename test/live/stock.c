/* The stock library in a real server: every function twice, every refusal, every order of take
 * and cancel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "test/lib/rig.h"

extern const struct library stock_library;

#define NOW_MS       INT64_C(1733754220544)
#define INT_MAX_TEXT "9223372036854775807"
#define LINES_MAX    32

RIG_FIXTURE(stock_library)

static const char *key_of(const char *item)
{
    return text_of("stock:item:%s", item);
}

static const char *records(const char *id)
{
    return bucket_of("stock", id);
}

static const char *create(const char *id, const char *item, const char *price)
{
    return rig_ask(store, "FCALL", "stock_create", "2", records(id), key_of(item), id, price);
}

static const char *find(const char *item)
{
    return rig_ask(store, "FCALL", "stock_find", "2", "stock:once:0", key_of(item), "-");
}

static const char *add(const char *id, const char *item, const char *pieces)
{
    return rig_ask(store, "FCALL", "stock_add", "2", records(id), key_of(item), id, pieces);
}

static const char *subtract(const char *id, const char *item, const char *pieces)
{
    return rig_ask(store, "FCALL", "stock_subtract", "2", records(id), key_of(item), id, item,
                   pieces);
}

/* lines: 'item*pieces,..' */
static const char *take(const char *saga, const char *lines)
{
    return rig_ask(store, "FCALL", "stock_take", "1", records(saga), text_of("%s:1:take", saga),
                   lines);
}

static const char *cancel(const char *saga)
{
    return rig_ask(store, "FCALL", "stock_cancel", "1", records(saga), text_of("%s:1:take", saga));
}

static const char *init(const char *id, const char *end, const char *pieces, const char *price,
                        const char *gen)
{
    return rig_ask(store, "FCALL", "stock_init", "1", records(id), text_of("%s:0", id), "0", end,
                   pieces, price, gen);
}

static void assert_answer(const char *answer, const char *expected)
{
    assert_string_equal(answer, expected);
}

static void assert_stock(const char *item, const char *pieces, const char *added)
{
    assert_string_equal(rig_ask(store, "HGET", key_of(item), "quantity"), pieces);
    assert_string_equal(rig_ask(store, "HGET", key_of(item), "added"), added);
}

static void item_with(const char *item, const char *pieces)
{
    create(id_at(NOW_MS), item, "3");
    add(id_at(NOW_MS), item, pieces);
}

/* An item is made once: the repeat of a create does not empty a shelf that was filled meanwhile. */
static void create_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    assert_answer(find("i"), "unknown");
    assert_answer(create(id, "i", "3"), "created");
    assert_answer(find("i"), "item|0|3");
    add(id_at(NOW_MS), "i", "5");
    assert_answer(create(id, "i", "3"), "created");
    assert_answer(find("i"), "item|5|3");
}

/* Pieces are added once, and the repeat hears the same even after the stock has changed. */
static void add_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    create(id_at(NOW_MS), "i", "3");
    assert_answer(add(id, "i", "5"), "item|5");
    add(id_at(NOW_MS), "i", "100");
    assert_answer(add(id, "i", "5"), "item|5");
    assert_stock("i", "105", "105");
}

/* A subtraction takes once; the repeat is answered from the record, not from the stock. */
static void subtract_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    item_with("i", "7");
    assert_answer(subtract(id, "i", "5"), "subtracted|i*5*|2");
    assert_answer(subtract(id, "i", "5"), "subtracted|i*5*|2");
    assert_stock("i", "2", "7");
}

/* A take takes once; its repeat is answered though the stock would not cover it any more. */
static void take_once(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    item_with("a", "5");
    item_with("b", "2");
    assert_answer(take(saga, "a*5,b*1"), "taken|a*5*,b*1*");
    assert_answer(take(saga, "a*5,b*1"), "taken|a*5*,b*1*");
    assert_stock("a", "0", "5");
    assert_stock("b", "1", "2");
}

/* A batch is made once: its repeat does not restock what was sold. */
static void init_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS), *saga = id_at(NOW_MS);
    assert_answer(init(id, "3", "10", "4", "g1"), "created");
    assert_answer(find("0"), "item|10|4");
    assert_answer(find("2"), "item|10|4");
    assert_answer(find("3"), "unknown");
    assert_answer(take(saga, "1*4"), "taken|1*4*g1");
    assert_answer(init(id, "3", "10", "4", "g1"), "created");
    assert_stock("1", "6", "10");
}

/* All lines or none: one that is short, or unknown, wherever it stands, leaves all untouched. */
static void take_all_or_nothing(void **state)
{
    (void)state;
    item_with("a", "5");
    item_with("b", "5");
    item_with("c", "1");
    assert_answer(take(id_at(NOW_MS), "a*1,b*1,c*2"), "refused|out of stock");
    assert_answer(take(id_at(NOW_MS), "c*2,a*1,b*1"), "refused|out of stock");
    assert_answer(take(id_at(NOW_MS), "a*1,c*2,b*1"), "refused|out of stock");
    assert_answer(take(id_at(NOW_MS), "a*1,gone*1"), "refused|out of stock");
    assert_answer(take(id_at(NOW_MS), "gone*1,a*1"), "refused|out of stock");
    assert_stock("a", "5", "5");
    assert_stock("b", "5", "5");
    assert_stock("c", "1", "1");
    assert_answer(rig_ask(store, "EXISTS", key_of("gone")), "0");
    assert_answer(take(id_at(NOW_MS), "a*5,b*5,c*1"), "taken|a*5*,b*5*,c*1*");
}

/* What was refused stays refused, though by now there would be enough. */
static void refusals_are_recorded(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS), *id = id_at(NOW_MS);
    item_with("i", "4");
    assert_answer(take(saga, "i*5"), "refused|out of stock");
    assert_answer(subtract(id, "i", "5"), "refused|out of stock");
    add(id_at(NOW_MS), "i", "100");
    assert_answer(take(saga, "i*5"), "refused|out of stock");
    assert_answer(subtract(id, "i", "5"), "refused|out of stock");
    assert_stock("i", "104", "104");
}

/* What was unknown stays unknown to the same command, though the item exists by now. */
static void unknown_items(void **state)
{
    (void)state;
    const char *a = id_at(NOW_MS), *b = id_at(NOW_MS);
    assert_answer(add(a, "i", "5"), "unknown");
    assert_answer(subtract(b, "i", "5"), "unknown");
    assert_answer(rig_ask(store, "EXISTS", key_of("i")), "0");
    item_with("i", "9");
    assert_answer(add(a, "i", "5"), "unknown");
    assert_answer(subtract(b, "i", "5"), "unknown");
    assert_stock("i", "9", "9");
}

/* The last piece can be taken, and not one more. */
static void take_to_the_last(void **state)
{
    (void)state;
    item_with("i", "10");
    assert_answer(take(id_at(NOW_MS), "i*11"), "refused|out of stock");
    assert_answer(take(id_at(NOW_MS), "i*9"), "taken|i*9*");
    assert_answer(take(id_at(NOW_MS), "i*2"), "refused|out of stock");
    assert_answer(subtract(id_at(NOW_MS), "i", "2"), "refused|out of stock");
    assert_answer(take(id_at(NOW_MS), "i*1"), "taken|i*1*");
    assert_answer(take(id_at(NOW_MS), "i*1"), "refused|out of stock");
    assert_stock("i", "0", "10");
}

/* A cancel that comes first leaves a tombstone: the late take takes nothing, for ever. */
static void cancel_before_take(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    item_with("i", "7");
    assert_answer(cancel(saga), "cancelled");
    assert_answer(take(saga, "i*5"), "cancelled");
    assert_answer(cancel(saga), "cancelled");
    assert_answer(take(saga, "i*5"), "cancelled");
    assert_stock("i", "7", "7");
}

/* A cancel that comes after tells that it was taken, and gives nothing back: only forward now. */
static void cancel_after_take(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    item_with("i", "7");
    take(saga, "i*5");
    assert_answer(cancel(saga), "taken|i*5*");
    assert_answer(cancel(saga), "taken|i*5*");
    assert_answer(take(saga, "i*5"), "taken|i*5*");
    assert_stock("i", "2", "7");
}

/* A cancel after a refusal tells the refusal. */
static void cancel_after_refusal(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    item_with("i", "4");
    take(saga, "i*5");
    assert_answer(cancel(saga), "refused|out of stock");
}

/* A tombstone is for one command: another saga takes of the same item. */
static void tombstone_of_one_command(void **state)
{
    (void)state;
    item_with("i", "7");
    cancel(id_at(NOW_MS));
    assert_answer(take(id_at(NOW_MS), "i*5"), "taken|i*5*");
    assert_stock("i", "2", "7");
}

/* Quantities beyond what a double carries are exact to the last piece. */
static void quantities_above_2_53(void **state)
{
    (void)state;
    item_with("i", "9007199254740993");
    assert_answer(subtract(id_at(NOW_MS), "i", "9007199254740994"), "refused|out of stock");
    assert_answer(take(id_at(NOW_MS), "i*9007199254740992"), "taken|i*9007199254740992*");
    assert_stock("i", "1", "9007199254740993");
    assert_answer(subtract(id_at(NOW_MS), "i", "1"), "subtracted|i*1*|0");
    item_with("j", "9007199254740992"); /* the same double as the quantity one above it */
    assert_answer(subtract(id_at(NOW_MS), "j", "9007199254740993"), "refused|out of stock");
    assert_answer(take(id_at(NOW_MS), "j*9007199254740993"), "refused|out of stock");
    assert_stock("j", "9007199254740992", "9007199254740992");
}

/* A shelf holds up to 2^63-1 ever added, and more is refused and changes nothing. */
static void quantities_at_the_limit(void **state)
{
    (void)state;
    const char *refused = id_at(NOW_MS);
    item_with("i", INT_MAX_TEXT);
    assert_answer(find("i"), "item|" INT_MAX_TEXT "|3");
    assert_answer(add(refused, "i", "1"), "refused|stock too large");
    assert_answer(subtract(id_at(NOW_MS), "i", INT_MAX_TEXT), "subtracted|i*" INT_MAX_TEXT "*|0");
    assert_answer(add(refused, "i", "1"), "refused|stock too large");
    assert_stock("i", "0", INT_MAX_TEXT);
}

/* An order of many lines is taken in one step. */
static void take_many_lines(void **state)
{
    (void)state;
    char lines[16 * LINES_MAX] = "";
    assert_answer(init(id_at(NOW_MS), text_of("%d", LINES_MAX), "1", "1", "g"), "created");
    for (int i = 0; i < LINES_MAX; i++) {
        snprintf(lines + strlen(lines), 16, "%s%d*1", i > 0 ? "," : "", i);
    }
    assert_memory_equal(take(id_at(NOW_MS), lines), "taken|0*1*g,1*1*g,", 18);
    for (int i = 0; i < LINES_MAX; i++) {
        assert_stock(text_of("%d", i), "0", "1");
    }
    assert_answer(take(id_at(NOW_MS), lines), "refused|out of stock");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_once),
        TEST(add_once),
        TEST(subtract_once),
        TEST(take_once),
        TEST(init_once),
        TEST(take_all_or_nothing),
        TEST(refusals_are_recorded),
        TEST(unknown_items),
        TEST(take_to_the_last),
        TEST(cancel_before_take),
        TEST(cancel_after_take),
        TEST(cancel_after_refusal),
        TEST(tombstone_of_one_command),
        TEST(quantities_above_2_53),
        TEST(quantities_at_the_limit),
        TEST(take_many_lines),
    };
    return cmocka_run_group_tests_name("stock", tests, group_setup, group_teardown);
}
