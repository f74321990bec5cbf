/* A private redis-server for one test: fork, wait for its PONG, signal it, clean up after it. */
#include "test/lib/redis_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REDIS_SERVER_HEARD_US     100000 /* the shim looks each 50 ms */
#define REDIS_SERVER_WAIT_MS      10000
#define REDIS_SERVER_ANSWER_BYTES 65536

struct redis_server {
    pid_t pid; /* 0: not running */
    int port;
    char node[32];
    char directory[64];
    char password[64]; /* empty: none */
    bool is_sentinel;
};

static void redis_server_fail(const char *what)
{
    fprintf(stderr, "test/lib/redis_server: %s: %s\n", what, strerror(errno));
    abort();
}

static void redis_server_sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static struct sockaddr_in redis_server_address(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int redis_server_free_port(void)
{
    struct sockaddr_in a = redis_server_address(0);
    socklen_t bytes = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &bytes) != 0) {
        redis_server_fail("no free port");
    }
    close(fd);
    return ntohs(a.sin_port);
}

/* Runs in the child. The descriptors of the test are closed: a client connection that the server
 * inherited would stay open when the client closes it. */
static void redis_server_exec(const struct redis_server *s, pid_t parent)
{
    char port[16], shim[PATH_MAX];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1); /* the test was gone before the line above */
    }
    snprintf(port, sizeof(port), "%d", s->port);
    if (realpath(REDIS_SERVER_SHIM, shim)) {
        setenv("LD_PRELOAD", shim, 1);
        setenv("KASSA_SHIM", s->directory, 1);
    }
    if (chdir(s->directory) != 0) {
        _exit(1);
    }
    int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, 1);
    dup2(log, 2);
    close_range(3, ~0U, 0);
    if (s->is_sentinel) {
        close(open("sentinel.conf", O_WRONLY | O_CREAT, 0600)); /* it writes down what it learns */
        execlp("redis-server", "redis-server", "sentinel.conf", "--sentinel", "--port", port,
               "--bind", "127.0.0.1", (char *)NULL);
        _exit(127);
    }
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--appendonly",
           "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
           "--requirepass", s->password, (char *)NULL);
    _exit(127);
}

static int redis_server_connect(const struct redis_server *s)
{
    struct sockaddr_in a = redis_server_address(s->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* One line out, what comes back in; stops after 500 ms of silence, or 20 once something came. */
static void redis_server_exchange(int fd, const char *line, char *ret_answer, size_t size)
{
    size_t bytes = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 || send(fd, "\r\n", 2, MSG_NOSIGNAL) < 0) {
        ret_answer[0] = '\0';
        return;
    }
    while (bytes < size - 1 && poll(&p, 1, bytes == 0 ? 500 : 20) == 1) {
        ssize_t n = read(fd, ret_answer + bytes, size - 1 - bytes);
        if (n <= 0) {
            break;
        }
        bytes += (size_t)n;
    }
    ret_answer[bytes] = '\0';
}

const char *redis_server_ask(struct redis_server *s, const char *line)
{
    static char answer[REDIS_SERVER_ANSWER_BYTES];
    int fd = redis_server_connect(s);
    answer[0] = '\0';
    if (fd < 0) {
        return answer;
    }
    if (s->password[0] != '\0') {
        char auth[80];
        snprintf(auth, sizeof(auth), "AUTH %s", s->password);
        redis_server_exchange(fd, auth, answer, sizeof(answer));
    }
    redis_server_exchange(fd, line, answer, sizeof(answer));
    close(fd);
    return answer;
}

/* Errors: 0, or -1 when the process ended instead (its port was taken, say). */
static int redis_server_launch(struct redis_server *s)
{
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid < 0) {
        redis_server_fail("fork");
    }
    if (s->pid == 0) {
        redis_server_exec(s, parent);
    }
    for (int waited = 0; waited < REDIS_SERVER_WAIT_MS; waited += 10) {
        if (strncmp(redis_server_ask(s, "PING"), "+PONG", 5) == 0) {
            return 0;
        }
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            return -1;
        }
        redis_server_sleep_ms(10);
    }
    errno = ETIMEDOUT;
    redis_server_fail("redis-server does not answer");
    return -1;
}

static struct redis_server *redis_server_begin(const char *password, bool is_sentinel)
{
    struct redis_server *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        redis_server_fail("memory");
    }
    s->is_sentinel = is_sentinel;
    snprintf(s->password, sizeof(s->password), "%s", password == NULL ? "" : password);
    snprintf(s->directory, sizeof(s->directory), "/tmp/kassa-test-redis-XXXXXX");
    if (mkdtemp(s->directory) == NULL) {
        redis_server_fail("mkdtemp");
    }
    for (int tries = 0; tries < 5; tries++) {
        s->port = redis_server_free_port();
        snprintf(s->node, sizeof(s->node), "127.0.0.1:%d", s->port);
        if (redis_server_launch(s) == 0) {
            return s;
        }
    }
    redis_server_fail("redis-server does not start; is it installed?");
    return NULL;
}

struct redis_server *redis_server_start(const char *password)
{
    return redis_server_begin(password, false);
}

struct redis_server *redis_server_start_sentinel(void)
{
    return redis_server_begin(NULL, true);
}

static void redis_server_signal(struct redis_server *s, int signal)
{
    if (s->pid != 0 && kill(s->pid, signal) != 0) {
        redis_server_fail("kill");
    }
}

static void redis_server_end(struct redis_server *s, int signal)
{
    if (s->pid == 0) {
        return;
    }
    redis_server_signal(s, signal);
    for (int waited = 0; waitpid(s->pid, NULL, WNOHANG) != s->pid; waited += 5) {
        if (waited > REDIS_SERVER_WAIT_MS) {
            errno = ETIMEDOUT;
            redis_server_fail("redis-server does not end");
        }
        redis_server_sleep_ms(5);
    }
    s->pid = 0;
}

void redis_server_kill9(struct redis_server *s)
{
    redis_server_end(s, SIGKILL);
}

void redis_server_stop(struct redis_server *s)
{
    redis_server_end(s, SIGTERM);
}

void redis_server_restart(struct redis_server *s)
{
    redis_server_end(s, SIGTERM);
    for (int tries = 0; tries < 20; tries++) {
        if (redis_server_launch(s) == 0) {
            return;
        }
        redis_server_sleep_ms(50);
    }
    redis_server_fail("redis-server does not come back");
}

void redis_server_pause(struct redis_server *s)
{
    int status = 0;
    redis_server_signal(s, SIGSTOP);
    if (s->pid != 0 && waitpid(s->pid, &status, WUNTRACED) != s->pid) {
        redis_server_fail("SIGSTOP");
    }
}

void redis_server_resume(struct redis_server *s)
{
    redis_server_signal(s, SIGCONT);
}

void redis_server_slow(const struct redis_server *s, long sync_ms)
{
    char name[96];
    snprintf(name, sizeof(name), "%s/disk", s->directory);
    FILE *file = fopen(name, "w");
    if (file == NULL || fprintf(file, "%ld\n", sync_ms) < 0 || fclose(file) != 0) {
        redis_server_fail(name);
    }
    if (access(REDIS_SERVER_SHIM, R_OK) != 0) {
        redis_server_fail(REDIS_SERVER_SHIM);
    }
    usleep(REDIS_SERVER_HEARD_US);
}

const char *redis_server_node(const struct redis_server *s)
{
    return s->node;
}

int redis_server_port(const struct redis_server *s)
{
    return s->port;
}

static int redis_server_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void redis_server_free(struct redis_server *s)
{
    if (s == NULL) {
        return;
    }
    redis_server_kill9(s); /* ends a paused one as well */
    nftw(s->directory, redis_server_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(s);
}
