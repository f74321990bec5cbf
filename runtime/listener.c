/* A listening TCP socket, and a sentence when it cannot be had: which address, and what the system
 * said. The HTTP library could open one itself, but would not say what is wrong. */
#include "runtime/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/err.h"

static int listener_refuse(struct buf *ret_sentence, const char *host, int port, const char *why)
{
    buf_reset(ret_sentence);
    buf_addf(ret_sentence, "cannot listen on %s:%d: %s", host, port, why);
    return -ERR_SYSTEM;
}

static int listener_port(int fd)
{
    struct sockaddr_storage bound;
    socklen_t bytes = sizeof(bound);
    if (getsockname(fd, (struct sockaddr *)&bound, &bytes)) {
        return -1;
    }
    return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
}

/* A descriptor, or -1 with errno. */
static int listener_bind(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
        bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, LISTENER_BACKLOG)) {
        int failed = errno;
        close(fd);
        errno = failed;
        return -1;
    }
    return fd;
}

int listener_open(const char *host, int port, int *ret_fd, int *ret_port, struct buf *ret_sentence)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    char service[16];
    snprintf(service, sizeof(service), "%d", port);
    int failed = getaddrinfo(host, service, &hints, &address);
    if (failed) {
        return listener_refuse(ret_sentence, host, port, gai_strerror(failed));
    }
    int fd = listener_bind(address);
    int bind_errno = errno;
    freeaddrinfo(address);
    if (fd < 0) {
        return listener_refuse(ret_sentence, host, port, strerror(bind_errno));
    }
    *ret_fd = fd;
    *ret_port = listener_port(fd);
    return 0;
}
