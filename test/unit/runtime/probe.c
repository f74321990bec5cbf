/* The healthcheck's client (runtime/probe), against listeners that behave in all the ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/err.h"
#include "runtime/listener.h"
#include "runtime/probe.h"

/* Answers the next connection with this text, in a process of its own. Returns the port. */
static int answer_once(const char *text, pid_t *ret_pid)
{
    int fd, port;
    struct buf sentence = {0};
    assert_int_equal(listener_open("127.0.0.1", 0, &fd, &port, &sentence), 0);
    *ret_pid = fork();
    assert_true(*ret_pid >= 0);
    if (*ret_pid == 0) {
        int client = -1;
        while (client < 0) {
            client = accept(fd, NULL, NULL);
            usleep(1000);
        }
        char request[256];
        ssize_t bytes = recv(client, request, sizeof(request) - 1, 0);
        request[bytes > 0 ? bytes : 0] = '\0';
        bool is_asked = strncmp(request, "GET /health HTTP/1.1\r\n", 22) == 0;
        send(client, text, is_asked ? strlen(text) : 0, MSG_NOSIGNAL);
        _exit(0);
    }
    close(fd);
    return port;
}

static int probe(const char *text, struct buf *sentence)
{
    pid_t pid;
    int port = answer_once(text, &pid);
    int err = probe_health("0.0.0.0", port, sentence); /* as it listens in a container */
    waitpid(pid, NULL, 0);
    return err;
}

static void probe_test(void **state)
{
    (void)state;
    struct buf sentence = {0};
    assert_int_equal(probe("HTTP/1.1 200 OK\r\n\r\n{}", &sentence), 0);
    static const char *const ill[] = {"HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/1.1 2", "",
                                      "HTTP/1.1 2000 OK\r\n\r\n"};
    for (size_t i = 0; i < sizeof(ill) / sizeof(ill[0]); i++) {
        assert_int_equal(probe(ill[i], &sentence), -ERR_SYSTEM);
        assert_non_null(strstr(sentence.data, " is not well: it does not say 200"));
    }
    buf_free(&sentence);
}

/* Nobody listens: said with the address. */
static void nobody_test(void **state)
{
    (void)state;
    int fd, port;
    char expected[80];
    struct buf sentence = {0};
    assert_int_equal(listener_open("127.0.0.1", 0, &fd, &port, &sentence), 0);
    close(fd);
    assert_int_equal(probe_health("127.0.0.1", port, &sentence), -ERR_SYSTEM);
    snprintf(expected, sizeof(expected), "127.0.0.1:%d is not well: Connection refused", port);
    assert_string_equal(sentence.data, expected);
    buf_free(&sentence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probe_test),
        cmocka_unit_test(nobody_test),
    };
    return cmocka_run_group_tests_name("runtime/probe", tests, NULL, NULL);
}
