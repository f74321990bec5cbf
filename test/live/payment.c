/* The payment library in a real server: every function twice, every refusal, every order of
 * charge and refund. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "test/lib/rig.h"

extern const struct library payment_library;

#define NOW_MS       INT64_C(1733754220544)
#define INT_MAX_TEXT "9223372036854775807"

RIG_FIXTURE(payment_library)

static const char *key_of(const char *user)
{
    return text_of("payment:user:%s", user);
}

static const char *records(const char *id)
{
    return bucket_of("payment", id);
}

static const char *create(const char *id, const char *user)
{
    return rig_ask(store, "FCALL", "payment_create", "2", records(id), key_of(user), id);
}

static const char *find(const char *user)
{
    return rig_ask(store, "FCALL", "payment_find", "2", "payment:once:0", key_of(user), "-");
}

static const char *fund(const char *id, const char *user, const char *amount)
{
    return rig_ask(store, "FCALL", "payment_fund", "2", records(id), key_of(user), id, amount);
}

static const char *pay(const char *id, const char *user, const char *amount)
{
    return rig_ask(store, "FCALL", "payment_pay", "2", records(id), key_of(user), id, user, amount);
}

static const char *charge(const char *saga, const char *user, const char *amount)
{
    return rig_ask(store, "FCALL", "payment_charge", "1", records(saga),
                   text_of("%s:1:charge", saga), user, amount);
}

static const char *refund(const char *saga, const char *user)
{
    return rig_ask(store, "FCALL", "payment_refund", "2", records(saga), key_of(user),
                   text_of("%s:1:charge-undo", saga), text_of("%s:1:charge", saga));
}

static const char *init(const char *id, const char *end, const char *credit, const char *gen)
{
    return rig_ask(store, "FCALL", "payment_init", "1", records(id), text_of("%s:0", id), "0", end,
                   credit, gen);
}

static void assert_answer(const char *answer, const char *expected)
{
    assert_string_equal(answer, expected);
}

static void assert_credit(const char *user, const char *credit)
{
    assert_string_equal(find(user), text_of("user|%s", credit));
}

static void assert_funded(const char *user, const char *funded)
{
    assert_string_equal(rig_ask(store, "HGET", key_of(user), "funded"), funded);
}

static void user_with(const char *user, const char *credit)
{
    create(id_at(NOW_MS), user);
    fund(id_at(NOW_MS), user, credit);
}

/* A user is made once: the repeat of a create does not empty a purse that was filled meanwhile. */
static void create_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    assert_answer(find("u"), "unknown");
    assert_answer(create(id, "u"), "created");
    assert_credit("u", "0");
    fund(id_at(NOW_MS), "u", "5");
    assert_answer(create(id, "u"), "created");
    assert_credit("u", "5");
}

/* Credit is added once, and the repeat hears the same even after the balance has changed. */
static void fund_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    create(id_at(NOW_MS), "u");
    assert_answer(fund(id, "u", "5"), "user|5");
    fund(id_at(NOW_MS), "u", "100");
    assert_answer(fund(id, "u", "5"), "user|5");
    assert_credit("u", "105");
    assert_funded("u", "105");
}

/* A payment takes once; the repeat is answered from the record, not from the balance. */
static void pay_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    user_with("u", "7");
    assert_answer(pay(id, "u", "5"), "paid|u|5||2");
    assert_answer(pay(id, "u", "5"), "paid|u|5||2");
    assert_credit("u", "2");
    assert_funded("u", "7");
}

/* A charge takes once; its repeat is answered though the credit would not cover it any more. */
static void charge_once(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    user_with("u", "7");
    assert_answer(charge(saga, "u", "7"), "charged|u|7|");
    assert_answer(charge(saga, "u", "7"), "charged|u|7|");
    assert_credit("u", "0");
}

/* A refund gives back once. */
static void refund_once(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    user_with("u", "7");
    charge(saga, "u", "5");
    assert_answer(refund(saga, "u"), "refunded|u|5|");
    assert_answer(refund(saga, "u"), "refunded|u|5|");
    assert_credit("u", "7");
    assert_funded("u", "7");
}

/* A batch is made once: its repeat does not refill what was spent. */
static void init_once(void **state)
{
    (void)state;
    const char *id = id_at(NOW_MS);
    assert_answer(init(id, "3", "10", "g1"), "created");
    assert_credit("0", "10");
    assert_credit("2", "10");
    assert_answer(find("3"), "unknown");
    pay(id_at(NOW_MS), "1", "4");
    assert_answer(init(id, "3", "10", "g1"), "created");
    assert_credit("1", "6");
    assert_funded("1", "10");
}

/* Different commands of the same content are different commands. */
static void two_commands_two_effects(void **state)
{
    (void)state;
    user_with("u", "7");
    charge(id_at(NOW_MS), "u", "2");
    charge(id_at(NOW_MS), "u", "2");
    assert_credit("u", "3");
}

/* What was refused stays refused, though by now there would be enough. */
static void refusals_are_recorded(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS), *id = id_at(NOW_MS);
    user_with("u", "4");
    assert_answer(charge(saga, "u", "5"), "refused|insufficient credit");
    assert_answer(pay(id, "u", "5"), "refused|insufficient credit");
    fund(id_at(NOW_MS), "u", "100");
    assert_answer(charge(saga, "u", "5"), "refused|insufficient credit");
    assert_answer(pay(id, "u", "5"), "refused|insufficient credit");
    assert_credit("u", "104");
}

/* Who was unknown stays unknown to the same command, though the user exists by now. */
static void unknown_users(void **state)
{
    (void)state;
    const char *a = id_at(NOW_MS), *b = id_at(NOW_MS), *saga = id_at(NOW_MS);
    assert_answer(fund(a, "u", "5"), "unknown");
    assert_answer(pay(b, "u", "5"), "unknown");
    assert_answer(charge(saga, "u", "0"), "refused|insufficient credit");
    assert_answer(rig_ask(store, "EXISTS", key_of("u")), "0");
    user_with("u", "9");
    assert_answer(fund(a, "u", "5"), "unknown");
    assert_answer(pay(b, "u", "5"), "unknown");
    assert_answer(charge(saga, "u", "0"), "refused|insufficient credit");
    assert_credit("u", "9");
}

/* The whole credit can be taken, and not one more. */
static void take_to_the_last(void **state)
{
    (void)state;
    user_with("u", "10");
    assert_answer(pay(id_at(NOW_MS), "u", "11"), "refused|insufficient credit");
    assert_answer(pay(id_at(NOW_MS), "u", "9"), "paid|u|9||1");
    assert_answer(pay(id_at(NOW_MS), "u", "2"), "refused|insufficient credit");
    assert_answer(pay(id_at(NOW_MS), "u", "1"), "paid|u|1||0");
    assert_answer(pay(id_at(NOW_MS), "u", "1"), "refused|insufficient credit");
}

/* An order that costs nothing is charged nothing, and that succeeds: also of an empty purse. */
static void charge_of_nothing(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS), *other = id_at(NOW_MS);
    create(id_at(NOW_MS), "u");
    assert_answer(charge(saga, "u", "0"), "charged|u|0|");
    assert_answer(refund(saga, "u"), "refunded|u|0|");
    assert_credit("u", "0");
    fund(id_at(NOW_MS), "u", "3");
    assert_answer(charge(other, "u", "0"), "charged|u|0|");
    assert_credit("u", "3");
}

/* A refund that comes first leaves a tombstone: the late charge takes nothing, for ever. */
static void refund_before_charge(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    user_with("u", "7");
    assert_answer(refund(saga, "u"), "refunded");
    assert_answer(charge(saga, "u", "5"), "cancelled");
    assert_answer(refund(saga, "u"), "refunded");
    assert_answer(charge(saga, "u", "5"), "cancelled");
    assert_credit("u", "7");
}

/* The refund of a refused charge gives nothing. */
static void refund_of_a_refusal(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    user_with("u", "4");
    charge(saga, "u", "5");
    assert_answer(refund(saga, "u"), "refunded");
    assert_credit("u", "4");
}

/* A tombstone is for one attempt: another saga of the same user charges. */
static void tombstone_of_one_command(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    user_with("u", "7");
    refund(saga, "u");
    assert_answer(charge(id_at(NOW_MS), "u", "5"), "charged|u|5|");
    assert_credit("u", "2");
}

/* Amounts beyond what a double carries are exact to the last credit. */
static void amounts_above_2_53(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS);
    user_with("u", "9007199254740993");
    assert_credit("u", "9007199254740993");
    assert_answer(pay(id_at(NOW_MS), "u", "9007199254740994"), "refused|insufficient credit");
    assert_answer(charge(saga, "u", "9007199254740993"), "charged|u|9007199254740993|");
    assert_credit("u", "0");
    assert_answer(refund(saga, "u"), "refunded|u|9007199254740993|");
    assert_answer(pay(id_at(NOW_MS), "u", "9007199254740992"), "paid|u|9007199254740992||1");
    assert_credit("u", "1");
    user_with("v", "9007199254740992"); /* the same double as the amount one above it */
    assert_answer(pay(id_at(NOW_MS), "v", "9007199254740993"), "refused|insufficient credit");
    assert_answer(charge(id_at(NOW_MS), "v", "9007199254740993"), "refused|insufficient credit");
    assert_credit("v", "9007199254740992");
}

/* A purse holds up to 2^63-1, and a funding that would not fit is refused and changes nothing. */
static void amounts_at_the_limit(void **state)
{
    (void)state;
    const char *saga = id_at(NOW_MS), *refused = id_at(NOW_MS);
    user_with("u", INT_MAX_TEXT);
    assert_credit("u", INT_MAX_TEXT);
    assert_answer(fund(refused, "u", "1"), "refused|credit too large");
    assert_answer(charge(saga, "u", INT_MAX_TEXT), "charged|u|" INT_MAX_TEXT "|");
    assert_credit("u", "0");
    assert_answer(fund(refused, "u", "1"), "refused|credit too large");
    /* room for the refund is kept: what was given once can always come back */
    assert_answer(fund(id_at(NOW_MS), "u", "1"), "refused|credit too large");
    assert_answer(refund(saga, "u"), "refunded|u|" INT_MAX_TEXT "|");
    assert_credit("u", INT_MAX_TEXT);
    assert_funded("u", INT_MAX_TEXT);
}

/* A charge of before a batch is not given back to the batch's user, though it has the same id. */
static void refund_to_another_generation(void **state)
{
    (void)state;
    const char *before = id_at(NOW_MS), *within = id_at(NOW_MS), *late = id_at(NOW_MS);
    user_with("0", "50");
    charge(before, "0", "20");
    init(id_at(NOW_MS), "1", "100", "g1");
    charge(within, "0", "30");
    assert_answer(refund(before, "0"), "refunded|0|20|");
    assert_credit("0", "70");
    assert_answer(refund(within, "0"), "refunded|0|30|g1");
    assert_credit("0", "100");
    charge(late, "0", "10");
    init(id_at(NOW_MS), "1", "100", "g2");
    assert_answer(refund(late, "0"), "refunded|0|10|g1");
    assert_answer(refund(late, "0"), "refunded|0|10|g1");
    assert_credit("0", "100");
    assert_funded("0", "100");
}

/* Reading leaves no record behind, and needs none. */
static void find_writes_nothing(void **state)
{
    (void)state;
    find("u");
    assert_answer(rig_ask(store, "DBSIZE"), "0");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_once),
        TEST(fund_once),
        TEST(pay_once),
        TEST(charge_once),
        TEST(refund_once),
        TEST(init_once),
        TEST(two_commands_two_effects),
        TEST(refusals_are_recorded),
        TEST(unknown_users),
        TEST(take_to_the_last),
        TEST(charge_of_nothing),
        TEST(refund_before_charge),
        TEST(refund_of_a_refusal),
        TEST(tombstone_of_one_command),
        TEST(amounts_above_2_53),
        TEST(amounts_at_the_limit),
        TEST(refund_to_another_generation),
        TEST(find_writes_nothing),
    };
    return cmocka_run_group_tests_name("payment", tests, group_setup, group_teardown);
}
