/* The load generator's reader of answers: torn anywhere it waits, odd anywhere it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "bench/answer.h"

#define WHOLE                                                                                      \
    "HTTP/1.1 400 Bad Request\r\nDate: Sat, 21 Nov 2026 15:13:41 GMT\r\ncontent-length:  5\r\n"    \
    "Content-Type: application/json\r\n\r\nhello"

static void answer_whole(void **state)
{
    (void)state;
    struct answer answer;
    assert_int_equal(answer_read(slice_from(WHOLE "HTTP/1.1 200"), &answer), ANSWER_WHOLE);
    assert_int_equal(answer.status, 400);
    assert_int_equal(answer.bytes, strlen(WHOLE));
    assert_true(slice_is(answer.body, "hello"));
    assert_false(answer.is_last);
}

/* Every beginning is torn, wherever it ends; from memory of its own size, so that a sanitizer sees
 * a step too far. */
static void answer_torn(void **state)
{
    (void)state;
    struct answer answer;
    assert_int_equal(answer_read((struct slice){NULL, 0}, &answer), ANSWER_TORN);
    for (size_t bytes = 1; bytes < strlen(WHOLE); bytes++) {
        char *torn = mem_new(bytes);
        memcpy(torn, WHOLE, bytes);
        assert_int_equal(answer_read((struct slice){torn, bytes}, &answer), ANSWER_TORN);
        free(torn);
    }
}

static void answer_empty_body(void **state)
{
    (void)state;
    struct answer answer;
    const char *text = "HTTP/1.1 204\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n";
    assert_int_equal(answer_read(slice_from(text), &answer), ANSWER_WHOLE);
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body.bytes, 0);
    assert_true(answer.is_last);
}

static void answer_broken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 17000000\r\n\r\n",
        "\r\n\r\n",
    };
    struct answer answer;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (answer_read(slice_from(texts[i]), &answer) != ANSWER_BROKEN) {
            fail_msg("taken for an answer: %s", texts[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_whole),
        cmocka_unit_test(answer_torn),
        cmocka_unit_test(answer_empty_body),
        cmocka_unit_test(answer_broken),
    };
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
