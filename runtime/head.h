/* The head of an HTTP request: what makes us refuse it. A server that reads on after a head that
 * two servers understand differently carries out requests that nobody sent.
 * Source: RFC 9110 sections 5.5 and 5.6.2; RFC 9112 sections 2.2, 5.1, 5.2 and 6.3. */
#ifndef KASSA_RUNTIME_HEAD_H
#define KASSA_RUNTIME_HEAD_H

#include "runtime/http.h"

struct head {
    unsigned lengths;
    unsigned encodings;
    unsigned hosts;
    int64_t length; /* of the body; 0: none, or in chunks */
    bool is_malformed;
    bool is_cut;         /* the request line: by a NUL, or by a blank too many */
    const char *version; /* "HTTP/1.1" */
    const char *at;      /* where the next line has to begin; NULL: the last one ends badly */
    const char *end;     /* behind the head; NULL: the texts are not in place */
};

/* The request line, in three texts. */
struct head_line {
    const char *method;
    struct slice target; /* a copy of what is at uri, where the library may have cut it meanwhile */
    const char *uri;
    const char *version;
};

/* The library takes a lone LF for the end of a line, joins folded lines, and hands over strings
 * that end where a NUL was: a proxy may see other lines than it does. But it works in its buffer,
 * with NUL for the separators that it has read: so a line that is what it seems ends in two of
 * them, and there the next one begins. `end` is where the head ends in that buffer, NULL when the
 * texts are elsewhere. */
void head_begin(struct head *h, const struct head_line *line, const char *end);
void head_add(struct head *h, struct slice name, struct slice value);

/* 0, or the status that refuses the request, with its sentence. */
unsigned head_check(struct head *h, size_t path_bytes, const char **ret_sentence);

#endif
