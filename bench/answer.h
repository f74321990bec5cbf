/* An HTTP/1.1 answer, taken from the bytes that have come so far. Pure. It understands what a
 * service answers to a load generator, and calls everything else broken instead of guessing: an
 * answer needs one Content-Length. Source: RFC 9112. */
#ifndef KASSA_BENCH_ANSWER_H
#define KASSA_BENCH_ANSWER_H

#include "runtime/buf.h"

enum answer_state {
    ANSWER_TORN,   /* the beginning of one: read on, and ask again with all of it */
    ANSWER_WHOLE,  /* *ret is filled */
    ANSWER_BROKEN, /* this connection can't be understood any more */
};

struct answer {
    int status;
    bool is_last;      /* Connection: close */
    size_t bytes;      /* of all of it; what is behind belongs to the next */
    struct slice body; /* borrowed from the text */
};

enum answer_state answer_read(struct slice text, struct answer *ret);

#endif
