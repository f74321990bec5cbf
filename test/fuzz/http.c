/* Any bytes on a connection to the listener: never more requests than a
 * reader finds who takes nothing for a head but what RFC 9112 calls one. */
#include "test/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/http.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "test/lib/given.h"

#define TURNS_QUIET 4

static struct loop *loop;
static struct http *http;
static unsigned requests;

#define BODY_MAX 100

static void on_request(void *ctx, struct http_request *r)
{
    (void)ctx;
    struct slice path = http_request_path(r), query = http_request_query(r);
    assert(path.bytes <= HTTP_PATH_MAX && memchr(path.data, '\0', path.bytes) == NULL);
    assert(memchr(path.data, '?', path.bytes) == NULL);
    assert(query.bytes == 0 || memchr(query.data, '\0', query.bytes) == NULL);
    http_request_header(r, "Idempotency-Key");
    assert(http_request_body(r).bytes <= BODY_MAX);
    requests++;
    http_reply(r, 200, NULL, 0, SLICE_TEXT("{}"));
}

/* Every other path has bodies. */
static size_t body_max(void *ctx, const char *method, struct slice path)
{
    (void)ctx;
    return strlen(method) > 0 && path.bytes % 2 == 0 ? BODY_MAX : 0;
}

static void setup(void)
{
    struct http_conf conf;
    struct buf sentence = {0};
    given_load(&http_conf_table, given_none, &conf);
    loop = loop_new();
    log_start(loop, "fuzz", "error");
    const struct http_listener listener = {
        .host = "127.0.0.1", .on_request = on_request, .body_max = body_max};
    int err = http_open(loop, &conf, &listener, &http, &sentence);
    assert(err == 0);
}

/* ---- the reader who takes nothing else ---- */

/* CR LF; or LF with a NUL in the place of the CR or behind it: the library overwrites all of them
 * with NUL before we see them. So it does with a line of a colon and LF, which it takes for an
 * empty one: a proxy must not send that on (test_hostile.py sees to it that nginx does not). Who
 * lets a NUL pass, and takes LF for the end of a line, sees the same lines; nginx refuses it. */
static bool is_line_end(struct slice text, size_t at)
{
    if (at + 1 >= text.bytes) {
        return false;
    }
    char first = text.data[at], second = text.data[at + 1];
    return (second == '\n' && (first == '\r' || first == '\0')) ||
           (first == '\n' && second == '\0') || (at == 0 && first == ':' && second == '\n');
}

/* Cuts a line that has no control character but tabs. */
static bool line_cut(struct slice *rest, struct slice *ret_line)
{
    for (size_t i = 0; i + 1 < rest->bytes; i++) {
        unsigned char c = (unsigned char)rest->data[i];
        if (is_line_end(*rest, i)) {
            *ret_line = (struct slice){rest->data, i};
            *rest = (struct slice){rest->data + i + 2, rest->bytes - i - 2};
            return true;
        }
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return false;
}

static bool is_named(struct slice name, const char *text)
{
    return name.bytes == strlen(text) && strncasecmp(name.data, text, name.bytes) == 0;
}

/* "method target HTTP/1.x": of the target, only what would end the line is looked at. */
static bool first_line(struct slice *rest)
{
    struct slice line;
    if (!line_cut(rest, &line) || line.bytes < 12) {
        return false;
    }
    struct slice version = {line.data + line.bytes - 9, 9};
    return slice_is(version, " HTTP/1.1") || slice_is(version, " HTTP/1.0");
}

/* Cuts one request. Errors: false for anything else, and for one that is not complete. */
static bool request_cut(struct slice *rest, bool *ret_is_chunked)
{
    struct slice line, name;
    int64_t length = 0;
    unsigned lengths = 0, encodings = 0;
    if (!first_line(rest)) {
        return false;
    }
    while (line_cut(rest, &line)) {
        if (line.bytes == 0) {
            *ret_is_chunked = encodings > 0;
            if (lengths + encodings > 1 || (int64_t)rest->bytes < length) {
                return false;
            }
            *rest = (struct slice){rest->data + length, rest->bytes - (size_t)length};
            return true;
        }
        if (!memchr(line.data, ':', line.bytes) || !slice_cut(&line, ':', &name) ||
            name.bytes == 0 || memchr(name.data, ' ', name.bytes) ||
            memchr(name.data, '\t', name.bytes)) {
            return false;
        }
        while (line.bytes > 0 && (line.data[0] == ' ' || line.data[0] == '\t')) {
            line = (struct slice){line.data + 1, line.bytes - 1};
        }
        if (is_named(name, "Content-Length")) {
            lengths++;
            if (!slice_int64(line, &length) || length < 0) {
                return false;
            }
        } else if (is_named(name, "Transfer-Encoding")) {
            encodings++;
        }
    }
    return false;
}

/* Empty lines before a request are skipped (RFC 9112 section 2.2). The library takes what begins
 * with NUL for one: nothing of it is carried out, and no proxy sends such a line on. */
static void empty_lines_cut(struct slice *rest)
{
    while (rest->bytes > 0 && memchr("\r\n", rest->data[0], 3) != NULL) {
        size_t bytes = 1;
        while (rest->data[0] == '\0' && bytes < rest->bytes && rest->data[bytes - 1] != '\n') {
            bytes++;
        }
        *rest = (struct slice){rest->data + bytes, rest->bytes - bytes};
    }
}

static unsigned requests_in(struct slice rest)
{
    unsigned count = 0;
    bool is_chunked = false;
    while (!is_chunked) {
        empty_lines_cut(&rest);
        if (!request_cut(&rest, &is_chunked)) {
            return count;
        }
        count++;
    }
    return count;
}

/* The end of a head, CR LF CR LF, with NULs before two bare LFs: the same four NULs to us, once the
 * library has overwritten them, and the same lines to who lets a NUL pass. */
static struct slice ends_made_whole(struct slice text)
{
    static char whole[1 << 16];
    assert(text.bytes <= sizeof(whole));
    memcpy(whole, text.data, text.bytes);
    for (size_t i = 0; i + 4 <= text.bytes; i++) {
        bool is_first = memchr("\r", whole[i], 2) != NULL && memchr("\r", whole[i + 1], 2) != NULL;
        if (is_first && whole[i + 2] == '\n' && whole[i + 3] == '\n') {
            memcpy(whole + i, "\r\n\r\n", 4);
        }
    }
    return (struct slice){whole, text.bytes};
}

/* ---- the listener ---- */

/* From one of many addresses: each connection may keep its ports for a minute (TIME_WAIT). */
static int client_try(void)
{
    static unsigned count;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + count++ % 250)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_port(http)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger hard = {.l_onoff = 1};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
        return fd;
    }
    int failed = errno;
    close(fd);
    errno = failed;
    return -1;
}

/* libFuzzer's clock is a signal, and may interrupt it. */
static int client(void)
{
    int fd;
    do {
        fd = client_try();
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        perror("connect");
        abort();
    }
    return fd;
}

/* Loopback has no delays: what a few turns do not answer is not going to be. */
static void talk(const uint8_t *data, size_t size)
{
    char answer[65536];
    int fd = client();
    ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    for (unsigned quiet = 0; n != 0 && quiet < TURNS_QUIET; quiet++) {
        loop_turn(loop, false);
        n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
        quiet = n > 0 ? 0 : quiet;
    }
    close(fd);
    loop_turn(loop, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!loop) {
        setup();
    }
    requests = 0;
    talk(data, size);
    assert(requests <= requests_in(ends_made_whole((struct slice){(const char *)data, size})));
    return 0;
}
