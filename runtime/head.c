/* The head of an HTTP request: each line is looked at as it comes, and all together at the end. */
#include "runtime/head.h"

#include <string.h>
#include <strings.h>

static bool is_named(struct slice name, const char *text)
{
    return name.bytes == strlen(text) && strncasecmp(name.data, text, name.bytes) == 0;
}

/* tchar */
static bool is_name(struct slice name)
{
    for (size_t i = 0; i < name.bytes; i++) {
        char c = name.data[i];
        bool is_alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alphanumeric && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return name.bytes > 0;
}

static bool is_value(struct slice value)
{
    for (size_t i = 0; i < value.bytes; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* What is in a path is the router's business, as long as it is one word. */
static bool is_target(struct slice target)
{
    for (size_t i = 0; i < target.bytes; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= ' ' || c == 0x7f) {
            return false;
        }
    }
    return target.bytes > 0;
}

static bool is_host(struct slice host)
{
    for (size_t i = 0; i < host.bytes; i++) {
        if (host.data[i] <= ' ' || strchr("\"<>/\\?#@", host.data[i])) {
            return false;
        }
    }
    return true;
}

/* Digits only: not "+5", and not "5, 5" either. */
static bool is_length(struct slice value, int64_t *ret_length)
{
    return value.bytes > 0 && value.data[0] != '-' && slice_int64(value, ret_length);
}

/* Behind a text and the CR and LF that ended it. */
static const char *line_end(const struct head *h, const char *end)
{
    bool is_inside = end && end + 2 <= h->end;
    return is_inside && end[0] == '\0' && end[1] == '\0' ? end + 2 : NULL;
}

void head_begin(struct head *h, const struct head_line *line, const char *end)
{
    struct slice method = slice_from(line->method), target = line->target;
    *h = (struct head){.version = line->version, .end = end};
    h->is_cut = !is_name(method) || !is_target(target);
    if (end) {
        /* One separator is between each two; a NUL byte inside would end the text as well, and the
         * next one be further away. */
        h->is_cut = h->is_cut || line->uri != method.data + method.bytes + 1 ||
                    line->version != line->uri + target.bytes + 1;
        h->at = line_end(h, line->version + strlen(line->version));
    }
}

void head_add(struct head *h, struct slice name, struct slice value)
{
    bool is_good = is_name(name) && is_value(value);
    if (h->end) {
        is_good = is_good && name.data == h->at;
        h->at = line_end(h, value.data + value.bytes);
    }
    if (is_named(name, "Content-Length")) {
        h->lengths++;
        is_good = is_good && is_length(value, &h->length);
    } else if (is_named(name, "Transfer-Encoding")) {
        h->encodings++;
        is_good = is_good && is_named(value, "chunked");
    } else if (is_named(name, "Host")) {
        h->hosts++;
        is_good = is_good && is_host(value);
    }
    h->is_malformed = h->is_malformed || !is_good;
}

unsigned head_check(struct head *h, size_t path_bytes, const char **ret_sentence)
{
    bool is_1_1 = strcmp(h->version, "HTTP/1.1") == 0;
    if (h->is_cut) {
        *ret_sentence = "malformed request line";
        return 400;
    }
    if (!is_1_1 && strcmp(h->version, "HTTP/1.0") != 0) {
        *ret_sentence = "neither HTTP/1.1 nor HTTP/1.0";
        return 505;
    }
    if (h->lengths > 1) {
        *ret_sentence = "more than one Content-Length";
        return 400;
    }
    if (h->encodings > 0 && (h->lengths > 0 || !is_1_1)) {
        *ret_sentence = "Content-Length and Transfer-Encoding exclude each other";
        return 400;
    }
    bool is_ended = line_end(h, h->at) == h->end; /* by an empty line */
    if (h->is_malformed || !is_ended || h->encodings > 1 || h->hosts > 1) {
        *ret_sentence = "malformed header";
        return 400;
    }
    if (h->hosts == 0 && is_1_1) {
        *ret_sentence = "no Host header";
        return 400;
    }
    if (path_bytes > HTTP_PATH_MAX) {
        *ret_sentence = "path too long";
        return 414;
    }
    return 0;
}
