/* Routes that a later capability may have (gateway/routes): with a body, with PUT and DELETE on one
 * path, with a parameter of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/routes.h"
#include "test/lib/web.h"

#define BODY_MAX 32

static const struct gateway_conf conf;

/* "reason=TEXT" */
static bool note_body(struct slice body, struct route_match *match)
{
    struct slice name;
    slice_cut(&body, '=', &name);
    if (!slice_is(name, "reason") || body.bytes == 0) {
        return route_refuse(match, 400, "the body must be reason=TEXT");
    }
    message_set(&match->command, reason, body);
    return true;
}

/* With what the path has, a check sees what the body had. */
static bool note_check(const struct gateway_conf *c, struct route_match *match)
{
    (void)c;
    return !slice_is(match->command.reason, "none") ||
           route_refuse(match, 409, "%s is no reason", "none");
}

static const struct route_parameter note_parameters[] = {
    ROUTE_ID("note", order),
    ROUTE_NUMBER("limit", limit, 3),
};
static const struct route note_rows[] = {
    {"GET", "/notes/{note}", "find_note", MESSAGE_ORDER_FIND, QUEUE_ORDER, .reply = NULL},
    {"PUT", "/notes/{note}", "put_note", MESSAGE_ORDER_CREATE, QUEUE_ORDER, .check = note_check,
     .body = note_body, .body_max = BODY_MAX},
    {"DELETE", "/notes/{note}", "delete_note", MESSAGE_ORDER_CANCEL, QUEUE_ORDER, .reply = NULL},
    {"POST", "/notes/{note}/{limit}", "post_note", MESSAGE_ORDER_ADD, QUEUE_ORDER, .reply = NULL},
};
static const struct route other_rows[] = {
    {"POST", "/notes/{user}", "other", MESSAGE_PAYMENT_FIND, QUEUE_PAYMENT, .reply = NULL},
};
static const struct route_table notes = ROUTE_TABLE_WITH(note_rows, note_parameters);
static const struct route_table others = ROUTE_TABLE(other_rows);
static const struct route_table *const tables[] = {&notes, &others};
static const struct route_list list = {tables, 2};

static struct route_match match;
static struct route_text text;

static unsigned status_of(const char *method, const char *path, const char *body)
{
    const struct route_request request = {method, slice_from(path), {0}, slice_from(body)};
    route_find(&list, &conf, &request, &text, &match);
    return match.status;
}

/* The body is read behind the path, and checked with it; what it fills is borrowed from it. */
static void body_fills_the_command(void **state)
{
    (void)state;
    const char *body = "reason=late";
    assert_int_equal(status_of("PUT", "/notes/n%311", body), 0);
    assert_string_equal(match.route->name, "put_note");
    assert_true(slice_is(match.command.order, "n11"));
    assert_true(slice_is(match.command.reason, "late"));
    struct message kept;
    struct route_text kept_text;
    route_command_keep(&match.command, &text, &kept, &kept_text);
    memset(&text, 0, sizeof(text));
    assert_true(slice_is(kept.order, "n11"));
    assert_ptr_equal(kept.reason.data, body + strlen("reason="));
}

/* A body that is not what it must be is refused with its sentence; an empty one is read, too. */
static void body_refused(void **state)
{
    (void)state;
    assert_int_equal(status_of("PUT", "/notes/n1", "reasons"), 400);
    assert_string_equal(match.sentence, "the body must be reason=TEXT");
    assert_int_equal(match.row, route_count(&list));
    assert_int_equal(status_of("PUT", "/notes/n1", NULL), 400);
    assert_int_equal(status_of("PUT", "/notes/n1", "reason=none"), 409);
    assert_string_equal(match.sentence, "none is no reason");
    assert_int_equal(status_of("PUT", "/notes/%2F", "reason=late"), 400); /* the path comes first */
    assert_string_equal(match.sentence, "malformed note id: 1 to 64 letters, digits, '-' or '_'");
}

/* How long a body may be is its route's, by method and path. */
static void body_limits(void **state)
{
    (void)state;
    assert_int_equal(route_body_max(&list, "PUT", SLICE_TEXT("/notes/n1")), BODY_MAX);
    assert_int_equal(route_body_max(&list, "GET", SLICE_TEXT("/notes/n1")), 0);
    assert_int_equal(route_body_max(&list, "PUT", SLICE_TEXT("/notes")), 0);
    assert_int_equal(route_body_max(&list, "PUT", (struct slice){0}), 0);
}

/* Allow names all methods that a path has, over all tables, each once and in one order. */
static void allow_of_several(void **state)
{
    (void)state;
    assert_int_equal(status_of("PATCH", "/notes/n1", NULL), 405);
    assert_string_equal(match.allow, "GET, HEAD, POST, PUT, DELETE");
    assert_int_equal(status_of("PUT", "/notes/n1/5", NULL), 405);
    assert_string_equal(match.allow, "POST");
    assert_int_equal(status_of("DELETE", "/notes/n1", NULL), 0);
    assert_string_equal(match.route->name, "delete_note");
    assert_true(route_acts(match.route));
    assert_int_equal(status_of("HEAD", "/notes/n1", NULL), 0);
    assert_false(route_acts(match.route));
}

/* A table's own parameters come before those that all have, and are not those of other tables. */
static void own_parameters(void **state)
{
    (void)state;
    assert_int_equal(status_of("POST", "/notes/n1/2", NULL), 400);
    assert_string_equal(match.sentence,
                        "limit must be a whole number from 3 to 9223372036854775807");
    assert_int_equal(status_of("POST", "/notes/n1/3", NULL), 0);
    assert_true(match.command.limit == 3);
    assert_int_equal(status_of("POST", "/notes/u1", NULL), 0);
    assert_string_equal(route_name(&list, match.row), "other");
    assert_true(slice_is(match.command.user, "u1"));
}

static size_t on_head(void *ctx, const char *method, struct slice path)
{
    (void)ctx;
    return route_body_max(&list, method, path);
}

static void on_request(void *ctx, struct http_request *http)
{
    const struct route_request request = gateway_request(http);
    (void)ctx;
    route_find(&list, &conf, &request, &text, &match);
    http_reply(http, match.status ? match.status : 200, NULL, 0, match.command.reason);
}

/* What a client sends as a body is what the routes read. */
static void body_comes_from_the_client(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct http_conf http_conf;
    struct http *http;
    struct buf sentence = {0}, heard = {0};
    const struct http_listener listener = {
        .host = "127.0.0.1", .on_request = on_request, .body_max = on_head};
    web_conf(&http_conf);
    assert_int_equal(http_open(loop, &http_conf, &listener, &http, &sentence), 0);
    int fd = web_client(http_port(http));
    web_say(loop, fd,
            "PUT /notes/n1 HTTP/1.1\r\n" WEB_HOST "Content-Length: 11\r\n\r\nreason=late");
    assert_true(web_hear(loop, fd, &heard, "\r\n\r\nlate", 1));
    close(fd);
    http_close(http);
    loop_free(loop);
    buf_free(&heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_fills_the_command),
        cmocka_unit_test(body_refused),
        cmocka_unit_test(body_limits),
        cmocka_unit_test(allow_of_several),
        cmocka_unit_test(own_parameters),
        cmocka_unit_test(body_comes_from_the_client),
    };
    return cmocka_run_group_tests_name("gateway/bodies", tests, NULL, NULL);
}
