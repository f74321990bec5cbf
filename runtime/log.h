/* The log: one logfmt line for each event, on standard error, written when the turn ends.
 *
 *   ts=2026-11-21T14:03:22.123Z level=info service=order event=saga_failed saga=0193.. reason=".."
 *
 * What a client sent is only logged through log_quote, which quotes and escapes. */
#ifndef KASSA_RUNTIME_LOG_H
#define KASSA_RUNTIME_LOG_H

#include "runtime/buf.h"

struct loop;

/* Lines a second of one event, debug lines excepted; the next one says how many were left out: a
 * common fault must not fill the disk. */
#define LOG_EVENT_LINES 10

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Before log_start, lines are written at once. Errors: -ERR_CONFIG for an unknown level. */
int log_start(struct loop *loop, const char *service, const char *level);
void log_stop(void); /* writes what is left */

/* `format` makes the key=value pairs after the event; values must be free of spaces and quotes. */
void log_write(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool log_is_on(enum log_level level);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

/* Appends `text` as a logfmt value: bare when safe, else quoted with escapes; at most 200 bytes. */
void log_value(struct buf *out, struct slice text);

/* The same for printf's %s: a static ring of four, valid until four calls later. */
const char *log_quote(struct slice text);

#endif
