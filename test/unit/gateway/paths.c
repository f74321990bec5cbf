/* What clients may put into a path or a query to get past the table (gateway/routes). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/routes.h"

#define ID_64 "0123456789012345678901234567890123456789012345678901234567890123"

static const struct gateway_conf conf = {.batch_max = 10000000};
static struct route_match match;
static struct route_text text;
static char *sent; /* the last path: the command borrows from it */

static int teardown(void **state)
{
    (void)state;
    free(sent);
    return 0;
}

/* Matched from a copy without a terminator, so that ASan sees a byte too many. */
static unsigned status_of(const char *method, const char *path, const char *query)
{
    size_t bytes = strlen(path);
    free(sent);
    sent = malloc(bytes > 0 ? bytes : 1);
    memcpy(sent, path, bytes);
    const struct route_request request = {method, {sent, bytes}, slice_from(query), {0}};
    route_find(&route_api, &conf, &request, &text, &match);
    assert_int_equal(match.route == NULL, match.status != 0);
    return match.status;
}

/* Paths that are no route are 404, however near they are. */
static void path_unknown(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",
        "/",
        "//",
        "health",
        "/health/",
        "//health",
        "/Health",
        "/healthz",
        "/he%61lth", /* the fixed parts of a route are never decoded */
        "/%2fhealth",
        "/payment",
        "/payment/create_user/",
        "/payment/create_user/x",
        "/payment/find_user",
        "/payment/find_user/a/b",
        "/payment//find_user/a",
        "/payment/add_funds/u",
        "/payment/add_funds/u/1/2",
        "/payment/find_user/a/../b",
        "/orders/checkout/o/",
        "/sagas/s/",
        "/a/b/c/d/e/f/g/h/i/j/k",
        "/orders/batch_init/1/1/1/1/1/1/1/1/1",
        "*",
        "http://localhost/health",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(status_of("GET", paths[i], NULL), 404);
        assert_int_equal(status_of("POST", paths[i], NULL), 404);
        assert_string_equal(match.sentence, "no such path");
    }
    route_find(&route_api, &conf, &(struct route_request){.method = "GET"}, &text, &match);
    assert_int_equal(match.status, 404);
}

/* Ids are decoded before they are judged; either case of hex digits will do. */
static void path_percent_decoding(void **state)
{
    (void)state;
    assert_int_equal(status_of("GET", "/payment/find_user/%75%2D%5f1", NULL), 0);
    assert_true(slice_is(match.command.user, "u-_1"));
    assert_int_equal(status_of("POST", "/payment/pay/%61/%31%35%2E0", NULL), 0);
    assert_true(slice_is(match.command.user, "a"));
    assert_int_equal(match.command.amount, 15);
}

/* What is not an id after decoding is 400: slashes, NUL, line ends, dots, escapes twice over. */
static void path_bad_ids(void **state)
{
    (void)state;
    static const char *const ids[] = {
        "",    "%2F",    "a%2fb", "%00",    "a%00",     "a%0d%0aX", "%0A",   "..",
        ".",   "%2e%2e", "a b",   "a+b",    "a%20b",    "a:b",      "a*1",   "a|b",
        "a,b", "{user}", "%2541", "%C3%A9", "\xc3\xa9", "a\x01",    "a\x7f", "\xff",
        "a'b", "a\"",    "a\\b",  "a;b",    "a=b",      "a&b",      "a?b",   "<script>",
    };
    char path[256];
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        snprintf(path, sizeof(path), "/payment/find_user/%s", ids[i]);
        assert_int_equal(status_of("GET", path, NULL), 400);
        assert_string_equal(match.sentence,
                            "malformed user id: 1 to 64 letters, digits, '-' or '_'");
    }
}

/* A percent sign without two hex digits behind it is 400, also at the very end. */
static void path_bad_escapes(void **state)
{
    (void)state;
    static const char *const ids[] = {"%",   "%4",   "a%",     "a%4",  "%zz", "%4z",
                                      "%-1", "%%41", "%u0041", "% 41", "a%4g"};
    char path[256];
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        snprintf(path, sizeof(path), "/stock/find/%s", ids[i]);
        assert_int_equal(status_of("GET", path, NULL), 400);
        assert_string_equal(match.sentence, "malformed percent-encoding in the path");
    }
}

/* Ids have up to 64 characters: 65 are refused, also when they are escaped. */
static void path_id_length(void **state)
{
    (void)state;
    char path[1024];
    assert_int_equal(status_of("GET", "/stock/find/" ID_64, NULL), 0);
    assert_true(slice_is(match.command.item, ID_64));
    assert_int_equal(status_of("GET", "/stock/find/" ID_64 "4", NULL), 400);
    assert_int_equal(status_of("GET", "/stock/find/" ID_64 ID_64 ID_64, NULL), 400);
    strcpy(path, "/stock/find/");
    for (int i = 0; i < 64; i++) {
        strcat(path, "%61");
    }
    assert_int_equal(status_of("GET", path, NULL), 0);
    assert_int_equal(match.command.item.bytes, 64);
    strcat(path, "%61");
    assert_int_equal(status_of("GET", path, NULL), 400);
}

/* The longest ids that a path can hold all find room. */
static void path_many_long_parameters(void **state)
{
    (void)state;
    assert_int_equal(
        status_of("POST", "/orders/addItem/" ID_64 "/" ID_64 "/9223372036854775807", NULL), 0);
    assert_true(slice_is(match.command.order, ID_64));
    assert_true(slice_is(match.command.item, ID_64));
    assert_true(match.command.quantity == INT64_MAX);
    assert_int_equal(status_of("POST", "/orders/addItem/" ID_64 "/" ID_64 "5/1", NULL), 400);
    assert_string_equal(match.sentence, "malformed item id: 1 to 64 letters, digits, '-' or '_'");
}

/* A query where none is asked for changes nothing. */
static void path_query_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(status_of("GET", "/stock/find/a", "limit=0&%zz"), 0);
    assert_int_equal(status_of("GET", "/health", "x"), 0);
}

/* GET /sagas takes state, order and limit, each at most well-formed, and nothing else. */
static void query_good(void **state)
{
    (void)state;
    static const struct {
        const char *query, *state, *order;
        int64_t limit;
    } rows[] = {
        {NULL, NULL, NULL, 20},
        {"", NULL, NULL, 20},
        {"&&", NULL, NULL, 20},
        {"limit=1", NULL, NULL, 1},
        {"limit=100", NULL, NULL, 100},
        {"limit=7.0", NULL, NULL, 7},
        {"state=FAILED", "FAILED", NULL, 20},
        {"state=open&limit=5", "open", NULL, 5},
        {"order=7&state=%50AID&limit=%35", "PAID", "7", 5},
        {"state=&order=", NULL, NULL, 20},
        {"limit=5&limit=6", NULL, NULL, 6},
        {"order=" ID_64 "&state=" ID_64, ID_64, ID_64, 20},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(status_of("GET", "/sagas", rows[i].query), 0);
        assert_true(slice_is(match.command.state, rows[i].state));
        assert_true(slice_is(match.command.order, rows[i].order));
        assert_int_equal(match.command.limit, rows[i].limit);
        assert_int_equal(message_has(&match.command, state), rows[i].state != NULL);
        assert_int_equal(message_has(&match.command, order), rows[i].order != NULL);
    }
}

/* Anything else in the query is 400 with a sentence that says what may be there. */
static void query_bad(void **state)
{
    (void)state;
    static const struct {
        const char *query, *refusal;
    } rows[] = {
        {"limit=0", "limit must be a whole number from 1 to 100"},
        {"limit=101", "limit must be a whole number from 1 to 100"},
        {"limit=", "limit must be a whole number from 1 to 100"},
        {"limit", "limit must be a whole number from 1 to 100"},
        {"limit=-1", "limit must be a whole number from 1 to 100"},
        {"limit=ten", "limit must be a whole number from 1 to 100"},
        {"limit=5=6", "limit must be a whole number from 1 to 100"},
        {"state=%4", "malformed percent-encoding in the query"},
        {"state=a%20b", "the query may have state, order and limit, each well-formed"},
        {"state=a+b", "the query may have state, order and limit, each well-formed"},
        {"order=a%2Fb", "the query may have state, order and limit, each well-formed"},
        {"order=%00", "the query may have state, order and limit, each well-formed"},
        {"order=" ID_64 "4", "the query may have state, order and limit, each well-formed"},
        {"page=2", "the query may have state, order and limit, each well-formed"},
        {"=5", "the query may have state, order and limit, each well-formed"},
        {"LIMIT=5", "the query may have state, order and limit, each well-formed"},
        {"l%69mit=5", "the query may have state, order and limit, each well-formed"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(status_of("GET", "/sagas", rows[i].query), 400);
        assert_string_equal(match.sentence, rows[i].refusal);
    }
}

/* A query of many parts, or with a long one, is refused, never answered as if it were cut. */
static void query_many_parts(void **state)
{
    (void)state;
    struct buf query = {0};
    for (int i = 0; i < 100; i++) {
        buf_add_text(&query, "state=PAID&");
    }
    buf_add_text(&query, "order=order_7");
    assert_int_equal(status_of("GET", "/sagas", query.data), 400);
    assert_string_equal(match.sentence, "too many parts in the query");
    buf_reset(&query);
    buf_add_text(&query, "limit=");
    for (int i = 0; i < 70; i++) {
        buf_add_text(&query, "0");
    }
    buf_add_text(&query, "999");
    assert_int_equal(status_of("GET", "/sagas", query.data), 400);
    buf_free(&query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_unknown),
        cmocka_unit_test(path_percent_decoding),
        cmocka_unit_test(path_bad_ids),
        cmocka_unit_test(path_bad_escapes),
        cmocka_unit_test(path_id_length),
        cmocka_unit_test(path_many_long_parameters),
        cmocka_unit_test(path_query_elsewhere),
        cmocka_unit_test(query_good),
        cmocka_unit_test(query_bad),
        cmocka_unit_test(query_many_parts),
    };
    return cmocka_run_group_tests_name("gateway/paths", tests, NULL, teardown);
}
