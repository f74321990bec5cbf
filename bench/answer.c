/* One pass over the head, line by line. */
#include "bench/answer.h"

#include <string.h>
#include <strings.h>

#define ANSWER_BODY_MAX (1 << 24)

/* "HTTP/1.1 200 OK". Errors: 0. */
static int answer_status(struct slice line)
{
    if (line.bytes < 12 || memcmp(line.data, "HTTP/1.1 ", 9) != 0) {
        return 0;
    }
    int64_t status;
    bool is_number = slice_int64((struct slice){line.data + 9, 3}, &status) && status >= 200;
    bool is_end = line.bytes == 12 || line.data[12] == ' ';
    return is_number && is_end ? (int)status : 0;
}

/* Whether this is the header of that name; then *ret_value is what follows. */
static bool answer_header(struct slice line, const char *name, struct slice *ret_value)
{
    size_t bytes = strlen(name);
    if (line.bytes <= bytes || line.data[bytes] != ':' ||
        strncasecmp(line.data, name, bytes) != 0) {
        return false;
    }
    struct slice value = {line.data + bytes + 1, line.bytes - bytes - 1};
    while (value.bytes > 0 && *value.data == ' ') {
        value.data++;
        value.bytes--;
    }
    *ret_value = value;
    return true;
}

enum answer_state answer_read(struct slice text, struct answer *ret)
{
    const char *end = text.bytes > 0 ? memmem(text.data, text.bytes, "\r\n\r\n", 4) : NULL;
    if (end == NULL) {
        return ANSWER_TORN;
    }
    struct answer answer = {0};
    int64_t length = -1;
    for (const char *at = text.data; at < end + 2;) {
        const char *stop = memmem(at, (size_t)(end + 2 - at), "\r\n", 2);
        struct slice line = {at, (size_t)(stop - at)}, value;
        if (at == text.data) {
            answer.status = answer_status(line);
        } else if (answer_header(line, "Content-Length", &value)) {
            if (length >= 0 || !slice_int64(value, &length) || length < 0 ||
                length > ANSWER_BODY_MAX) {
                return ANSWER_BROKEN;
            }
        } else if (answer_header(line, "Connection", &value)) {
            answer.is_last = value.bytes == 5 && strncasecmp(value.data, "close", 5) == 0;
        }
        at = stop + 2;
    }
    if (answer.status == 0 || length < 0) {
        return ANSWER_BROKEN;
    }
    answer.body = (struct slice){end + 4, (size_t)length};
    answer.bytes = (size_t)(answer.body.data - text.data) + answer.body.bytes;
    if (answer.bytes > text.bytes) {
        return ANSWER_TORN;
    }
    *ret = answer;
    return ANSWER_WHOLE;
}
