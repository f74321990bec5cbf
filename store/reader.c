/* hiredis' parser: the only includer of its headers.
 *
 *   bytes --> redisReader --reader_make_*, for each piece--> box --> texts
 *
 * Only the parser is used. hiredis' connections keep a callback for each command and a tree of
 * objects for each reply; here answers come in the order of the commands anyway, and are wanted as
 * texts. The box is what the parser takes for its objects, at every level, so what is nested is
 * flattened; it is used again for the next reply, unless somebody has taken it. Levels are bounded:
 * the parser takes more than seven for a fault. */
#include "store/reader.h"

#include <assert.h>
#include <hiredis/read.h>
#include <stdio.h>
#include <stdlib.h>

#define READER_DIGITS 24 /* of an int64, with room */

struct reader {
    redisReader *parser;
    struct texts_box *box; /* the reply in hand; NULL: it was taken */
    bool is_error;         /* .. says */
};

static struct texts_box *reader_box(const redisReadTask *task)
{
    struct reader *r = task->privdata;
    if (task->parent == NULL) {
        if (r->box == NULL) {
            r->box = mem_new(sizeof(*r->box));
        }
        texts_box_reset(r->box);
        r->is_error = task->type == REDIS_REPLY_ERROR;
    }
    return r->box;
}

static void *reader_make_string(const redisReadTask *task, char *text, size_t bytes)
{
    struct texts_box *box = reader_box(task);
    texts_box_add(box, (struct slice){text, bytes});
    return box;
}

static void *reader_make_array(const redisReadTask *task, int elements)
{
    (void)elements;
    return reader_box(task);
}

static void *reader_make_integer(const redisReadTask *task, long long value)
{
    char digits[READER_DIGITS];
    int bytes = snprintf(digits, sizeof(digits), "%lld", value);
    return reader_make_string(task, digits, (size_t)bytes);
}

static void *reader_make_nil(const redisReadTask *task)
{
    struct texts_box *box = reader_box(task);
    texts_box_add(box, (struct slice){NULL, 0});
    return box;
}

/* Of a reply that was read in part: the box stays the reader's. */
static void reader_unmake(void *box)
{
    (void)box;
}

struct reader *reader_new(void)
{
    static const redisReplyObjectFunctions functions = {.createString = reader_make_string,
                                                        .createArray = reader_make_array,
                                                        .createInteger = reader_make_integer,
                                                        .createNil = reader_make_nil,
                                                        .freeObject = reader_unmake};
    struct reader *r = mem_new(sizeof(*r));
    r->parser = redisReaderCreateWithFunctions((redisReplyObjectFunctions *)&functions);
    assert(r->parser); /* out of memory */
    r->parser->privdata = r;
    return r;
}

void reader_free(struct reader *r)
{
    if (r) {
        redisReaderFree(r->parser);
        texts_box_free(r->box);
        free(r);
    }
}

void reader_feed(struct reader *r, const char *data, size_t bytes)
{
    redisReaderFeed(r->parser, data, bytes); /* after a fault it is for nothing */
}

enum reader_found reader_next(struct reader *r, struct texts *ret_reply, bool *ret_is_error)
{
    void *reply = NULL;
    if (redisReaderGetReply(r->parser, &reply) != REDIS_OK) {
        return READER_FAULT;
    }
    if (reply == NULL) {
        return READER_MORE;
    }
    *ret_reply = texts_box_view(r->box);
    *ret_is_error = r->is_error;
    return READER_REPLY;
}

const char *reader_fault(const struct reader *r)
{
    return r->parser->errstr;
}

struct texts_box *reader_take(struct reader *r)
{
    struct texts_box *box = r->box;
    assert(box != NULL);
    r->box = NULL;
    return box;
}
