/* The load generator's scripts and its command line: what is asked, and what is a right answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "bench/options.h"

static const struct script_values values = {.text = {"7", "u1", "i1", "o1"}};

static const struct script_expect *judge(const struct script_step *step, int status,
                                         const char *body, struct script_values *v)
{
    struct answer answer = {.status = status, .body = slice_from(body)};
    return script_judge(step, &answer, v);
}

/* Variables are replaced, other braces stay, and what does not fit is not cut. */
static void script_fills(void **state)
{
    (void)state;
    char text[32];
    assert_int_equal(script_fill("/a/{n}/{item}", &values, text, sizeof(text)), 7);
    assert_string_equal(text, "/a/7/i1");
    script_fill("{\"n\":{n},\"x\":{}{user}", &values, text, sizeof(text));
    assert_string_equal(text, "{\"n\":7,\"x\":{}u1");
    assert_int_equal(script_fill("{order}", &values, text, 3), 2);
    assert_int_equal(script_fill("{order}", &values, text, 2), -1);
}

/* Status and text and number must all be right; each kind is told apart. */
static void script_judges(void **state)
{
    (void)state;
    struct script s = {0};
    struct script_values v = values;
    script_add_step(&s, "POST", "/orders/checkout/{n}", SCRIPT_N);
    assert_true(script_add_expect(&s, "paid=200 {\"status\":\"paid\",\"order_id\":\"{n}\""));
    assert_true(script_add_expect(&s, "no credit=400 insufficient credit"));
    assert_true(script_add_expect(&s, "404"));
    const struct script_step *step = &s.steps[0];
    const char *paid = "{\"status\":\"paid\",\"order_id\":\"7\",\"total_cost\":2}";
    assert_string_equal(judge(step, 200, paid, &v)->name, "paid");
    assert_null(judge(step, 200, "{\"status\":\"paid\",\"order_id\":\"8\"}", &v));
    assert_null(judge(step, 200, "", &v));
    assert_null(judge(step, 500, paid, &v));
    assert_null(judge(step, 400, "{\"error\":\"out of stock\"}", &v));
    const struct script_expect *no_credit =
        judge(step, 400, "{\"error\":\"insufficient credit\"}", &v);
    assert_string_equal(no_credit->name, "no credit");
    assert_int_equal(no_credit->kind, 1);
    assert_string_equal(judge(step, 404, "", &v)->name, "404");
}

/* An id that the answer gives is there for the next step; an answer without one is wrong. */
static void script_captures(void **state)
{
    (void)state;
    struct script s = {0};
    struct script_values v = values;
    assert_true(script_load_mix(&s, "shop"));
    assert_string_equal(judge(&s.steps[0], 200, "{\"user_id\":\"u-2\"}", &v)->name, "create user");
    assert_string_equal(v.text[SCRIPT_USER], "u-2");
    assert_non_null(judge(&s.steps[2], 200, "{\"user_id\":\"u-2\",\"credit\":100}", &v));
    assert_null(judge(&s.steps[2], 200, "{\"user_id\":\"u-3\",\"credit\":100}", &v));
    assert_null(judge(&s.steps[0], 200, "{\"user_id\":\"u", &v));
    assert_null(judge(&s.steps[0], 200, "{\"user_id\":\"\"}", &v));
    assert_null(judge(&s.steps[0], 200, "{\"user_id\":\"a b\"}", &v));
    assert_string_equal(v.text[SCRIPT_USER], "u-2");
}

static bool reads(struct options *o, struct buf *sentence, char **words, int count)
{
    buf_reset(sentence);
    return options_read(count, words, o, sentence);
}
#define READS(...)                                                                                 \
    reads(&o, &sentence, (char *[]){"kassa-load", __VA_ARGS__, NULL},                              \
          (int)(sizeof((char *[]){"kassa-load", __VA_ARGS__}) / sizeof(char *)))

static void options_right(void **state)
{
    (void)state;
    struct options o;
    struct buf sentence = {0};
    assert_true(READS("--path", "/x/{n}", "--expect", "200", "--random", "5..9", "--rate", "12.5",
                      "--url", "http://127.0.0.2:81/", "--seconds", "3", "--warm", "0"));
    assert_string_equal(o.host, "127.0.0.2");
    assert_int_equal(o.port, 81);
    assert_true(o.is_random && o.low == 5 && o.high == 9);
    assert_true(o.rate > 12.4 && o.rate < 12.6);
    assert_int_equal(o.seconds, 3);
    assert_true(READS("--mix", "shop"));
    assert_int_equal(o.script.step_count, 9);
    assert_true(READS("--help"));
    assert_true(o.is_help);
    buf_free(&sentence);
}

/* Each is one sentence, and takes nothing. */
static void options_wrong(void **state)
{
    (void)state;
    struct options o;
    struct buf sentence = {0};
    assert_false(READS("--path", "/x"));
    assert_false(READS("--expect", "200"));
    assert_false(READS("--mix", "shop", "--path", "/x", "--expect", "200"));
    assert_false(READS("--mix", "shop", "--expect", "200"));
    assert_false(READS("--mix", "none"));
    assert_false(READS("--path", "/a b", "--expect", "200"));
    assert_false(READS("--path", "/x", "--expect", "20"));
    assert_false(READS("--path", "/x", "--expect", "paid"));
    assert_false(READS("--path", "/x", "--expect", "paid=2000"));
    assert_false(READS("--path", "/x", "--expect", "200", "--seconds", "0"));
    assert_false(READS("--path", "/x", "--expect", "200", "--connections", "1e3"));
    assert_false(READS("--path", "/x", "--expect", "200", "--rate", "nan"));
    assert_false(READS("--path", "/x", "--expect", "200", "--random", "9..5"));
    assert_false(READS("--path", "/x", "--expect", "200", "--method", "PATCH"));
    assert_false(READS("--path", "/x", "--expect", "200", "--url", "http://localhost"));
    assert_false(READS("--path", "/x", "--expect", "200", "--url", "127.0.0.1:80"));
    assert_false(READS("--path", "/x", "--expect", "200", "extra"));
    assert_false(READS("--path", "/x", "--expect", "200", "--seconds"));
    assert_false(READS("--unknown"));
    assert_true(sentence.bytes > 0);
    buf_free(&sentence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(script_fills),    cmocka_unit_test(script_judges),
        cmocka_unit_test(script_captures), cmocka_unit_test(options_right),
        cmocka_unit_test(options_wrong),
    };
    return cmocka_run_group_tests_name("script", tests, NULL, NULL);
}
