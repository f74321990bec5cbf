/* The log: logfmt lines gathered during a turn and written with one write(2) at its end.
 *
 *   log_write --> [line, cut at LOG_LINE_MAX] --> [buffer] --turn's end, or 64 KiB--> stderr
 *
 * A log that cannot be written is dropped: nothing in here may stop the service. */
#include "runtime/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/err.h"
#include "runtime/loop.h"
#include "runtime/stat.h"

#define LOG_LINE_MAX    2048
#define LOG_BUFFER_MAX  65536
#define LOG_VALUE_MAX   200
#define LOG_QUOTES      4
#define LOG_SERVICE_MAX 32
#define LOG_EVENTS_MAX  128 /* ours are fewer: what is beyond them is not limited */
#define LOG_SECOND_MS   1000

static const char *const log_level_names[] = {"debug", "info", "warn", "error"};

/* The lines of one event in the second that began with the first of them. */
struct log_event {
    const char *name;
    int64_t since_ms;
    unsigned lines;
    int64_t left_out; /* and not told of yet */
};

static struct {
    struct loop *loop; /* NULL: not started, lines are written at once */
    char service[LOG_SERVICE_MAX];
    enum log_level level;
    struct buf lines;
    time_t seconds; /* that seconds_text tells: a busy service writes many lines in each */
    char seconds_text[40];
    struct log_event events[LOG_EVENTS_MAX];
    unsigned event_count;
    struct stat_value *left_out;
    char quotes[LOG_QUOTES][LOG_VALUE_MAX + 1]; /* log_quote's, in turn */
    unsigned next_quote;
} logger = {.level = LOG_INFO};

static void log_flush(void *unused)
{
    (void)unused;
    size_t written = 0;
    while (written < logger.lines.bytes) {
        ssize_t n = write(STDERR_FILENO, logger.lines.data + written, logger.lines.bytes - written);
        if (n < 0 && errno != EINTR) {
            break;
        }
        written += n > 0 ? (size_t)n : 0;
    }
    buf_reset(&logger.lines);
}

int log_start(struct loop *loop, const char *service, const char *level)
{
    assert(!logger.loop);
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcmp(level, log_level_names[i]) == 0) {
            logger.level = (enum log_level)i;
            logger.loop = loop;
            logger.event_count = 0;
            logger.left_out = stat_counter("kassa_log_lines_left_out_total", "",
                                           "lines of the log not written, too many of one event");
            snprintf(logger.service, sizeof(logger.service), "%s", service);
            loop_hook_add(loop, LOOP_HOOK_LOG, log_flush, NULL);
            return 0;
        }
    }
    return -ERR_CONFIG;
}

void log_stop(void)
{
    log_flush(NULL);
    buf_free(&logger.lines);
    if (logger.loop) {
        loop_hook_remove(logger.loop, LOOP_HOOK_LOG, log_flush, NULL);
        logger.loop = NULL;
    }
    logger.level = LOG_INFO;
}

bool log_is_on(enum log_level level)
{
    return level >= logger.level;
}

static void log_add_time(struct buf *out)
{
    int64_t wall_ms;
    if (logger.loop) {
        wall_ms = loop_wall_ms(logger.loop);
    } else {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        wall_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    }
    time_t seconds = (time_t)(wall_ms / 1000);
    if (seconds != logger.seconds || logger.seconds_text[0] == '\0') {
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(logger.seconds_text, sizeof(logger.seconds_text), "%Y-%m-%dT%H:%M:%S", &tm);
        logger.seconds = seconds;
    }
    int ms = (int)(wall_ms % 1000);
    char digits[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10),
                     'Z'};
    buf_add_text(out, "ts=");
    buf_add_text(out, logger.seconds_text);
    buf_add(out, digits, sizeof(digits));
}

static void log_add_pair(struct buf *out, const char *key, const char *value)
{
    buf_add_text(out, key);
    buf_add_text(out, value);
}

static struct log_event *log_event_at(const char *name)
{
    for (unsigned i = 0; i < logger.event_count; i++) {
        if (strcmp(logger.events[i].name, name) == 0) {
            return &logger.events[i];
        }
    }
    if (logger.event_count == LOG_EVENTS_MAX) {
        return NULL;
    }
    struct log_event *event = &logger.events[logger.event_count++];
    *event = (struct log_event){.name = name};
    return event;
}

/* May one more line of it be written? Then *ret_left_out is how many could not since the last. */
static bool log_lets(const char *name, int64_t *ret_left_out)
{
    struct log_event *event = log_event_at(name);
    int64_t now_ms = loop_now_ms(logger.loop);
    *ret_left_out = 0;
    if (!event) {
        return true;
    }
    if (event->lines == 0 || now_ms - event->since_ms >= LOG_SECOND_MS) {
        event->since_ms = now_ms;
        event->lines = 0;
    }
    if (event->lines == LOG_EVENT_LINES) {
        event->left_out++;
        stat_add(logger.left_out, 1);
        return false;
    }
    event->lines++;
    *ret_left_out = event->left_out;
    event->left_out = 0;
    return true;
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    int64_t left_out = 0;
    if (!log_is_on(level) || (logger.loop && level > LOG_DEBUG && !log_lets(event, &left_out))) {
        return;
    }
    log_add_time(&logger.lines);
    log_add_pair(&logger.lines, " level=", log_level_names[level]);
    if (logger.service[0]) {
        log_add_pair(&logger.lines, " service=", logger.service);
    }
    log_add_pair(&logger.lines, " event=", event);

    char pairs[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(pairs, sizeof(pairs), format, args);
    va_end(args);
    if (pairs[0]) {
        buf_add_text(&logger.lines, " ");
    }
    /* The rule is log_value for whatever comes from outside; should one place forget it, a line
     * still stays one line. */
    for (char *c = pairs; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = '?';
        }
    }
    buf_add_text(&logger.lines, pairs);
    if (left_out > 0) {
        buf_addf(&logger.lines, " lines_left_out=%lld", (long long)left_out);
    }
    buf_add_text(&logger.lines, "\n");
    if (!logger.loop || logger.lines.bytes > LOG_BUFFER_MAX) {
        log_flush(NULL);
    }
}

static bool log_value_is_bare(struct slice text)
{
    if (text.bytes == 0 || text.bytes > LOG_VALUE_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') {
            return false;
        }
    }
    return true;
}

/* One byte as it stands between quotes. Anything a terminal could act on is escaped, bytes above
 * 127 too: some of them, decoded, are control characters as well. */
static int log_escape(char c, char ret_text[5])
{
    switch (c) {
    case '"':
    case '\\':
        return snprintf(ret_text, 5, "\\%c", c);
    case '\n':
        return snprintf(ret_text, 5, "\\n");
    case '\r':
        return snprintf(ret_text, 5, "\\r");
    case '\t':
        return snprintf(ret_text, 5, "\\t");
    default:
        return c >= ' ' && c < 0x7f ? snprintf(ret_text, 5, "%c", c)
                                    : snprintf(ret_text, 5, "\\x%02x", (unsigned char)c);
    }
}

/* Writes at most LOG_VALUE_MAX bytes and a terminator; a value that was cut ends in "...". */
static size_t log_value_print(struct slice text, char ret_value[LOG_VALUE_MAX + 1])
{
    if (log_value_is_bare(text)) {
        memcpy(ret_value, text.data, text.bytes);
        ret_value[text.bytes] = '\0';
        return text.bytes;
    }
    size_t bytes = 0;
    size_t cut_at = 1; /* the longest that leaves room for ..." */
    ret_value[bytes++] = '"';
    for (size_t i = 0; i < text.bytes; i++) {
        char escaped[5];
        size_t n = (size_t)log_escape(text.data[i], escaped);
        if (bytes + n > LOG_VALUE_MAX - 1) {
            memcpy(ret_value + cut_at, "...", 3);
            bytes = cut_at + 3;
            break;
        }
        memcpy(ret_value + bytes, escaped, n);
        bytes += n;
        if (bytes <= LOG_VALUE_MAX - 4) {
            cut_at = bytes;
        }
    }
    ret_value[bytes++] = '"';
    ret_value[bytes] = '\0';
    return bytes;
}

void log_value(struct buf *out, struct slice text)
{
    char value[LOG_VALUE_MAX + 1];
    size_t bytes = log_value_print(text, value);
    buf_add(out, value, bytes);
}

const char *log_quote(struct slice text)
{
    char *value = logger.quotes[logger.next_quote++ % LOG_QUOTES];
    log_value_print(text, value);
    return value;
}
