/* The healthcheck's client. See probe.h. */
#include "runtime/probe.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "runtime/err.h"

static int probe_fail(struct buf *ret_sentence, const char *host, int port, const char *why)
{
    buf_reset(ret_sentence);
    buf_addf(ret_sentence, "%s:%d is not well: %s", host, port, why);
    return -ERR_SYSTEM;
}

/* A connected descriptor, or -1 with errno. */
static int probe_connect(const struct addrinfo *address)
{
    const struct timeval wait = {PROBE_WAIT_MS / 1000, PROBE_WAIT_MS % 1000 * 1000};
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
                    connect(fd, address->ai_addr, address->ai_addrlen) != 0)) {
        int failed = errno;
        close(fd);
        errno = failed;
        return -1;
    }
    return fd;
}

/* The status line is in the first bytes, and they come at once. */
static bool probe_is_ok(int fd)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    static const char expected[] = "HTTP/1.1 200 ";
    char answer[sizeof(expected) - 1];
    return send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == sizeof(request) - 1 &&
           recv(fd, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer) &&
           memcmp(answer, expected, sizeof(answer)) == 0;
}

int probe_health(const char *host, int port, struct buf *ret_sentence)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    char service[16];
    bool is_any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    snprintf(service, sizeof(service), "%d", port);
    int failed = getaddrinfo(is_any ? "127.0.0.1" : host, service, &hints, &address);
    if (failed) {
        return probe_fail(ret_sentence, host, port, gai_strerror(failed));
    }
    int fd = probe_connect(address);
    int connect_errno = errno;
    freeaddrinfo(address);
    if (fd < 0) {
        return probe_fail(ret_sentence, host, port, strerror(connect_errno));
    }
    bool is_ok = probe_is_ok(fd);
    close(fd);
    return is_ok ? 0 : probe_fail(ret_sentence, host, port, "it does not say 200");
}
