/* A listener that answers at once or makes a request wait, as its path says, and its clients: raw
 * sockets in the same loop. */
#ifndef KASSA_TEST_PORTER_H
#define KASSA_TEST_PORTER_H

#include "test/lib/web.h"

#define PORTER_PARKED_MAX 64

struct porter {
    struct loop *loop;
    struct http_conf conf;
    struct http *http;
    struct http_request *parked[PORTER_PARKED_MAX];
    int parked_count;
    struct http_answer *same;
    int requests;
    char seen[512]; /* the last request: method path?query [X-Test] */
};

/* For cmocka: *state is the porter; it listens, with nothing but defaults. */
int porter_setup(void **state);
int porter_teardown(void **state);
/* Listens anew, on another port, after a change of conf. */
void porter_listen(struct porter *p);

/* /park waits, /release answers all that wait and then itself, /big is large, /headers has some of
 * its own, /same is the answer made once; everything else is answered {"ok":true} at once. */
void porter_on_request(void *ctx, struct http_request *r);
void porter_answer(struct http_request *r);
void porter_answer_parked(void *ctx); /* ctx is the porter */

/* web.h's, with the porter's loop and port. */
int porter_client(struct porter *p);
void porter_say_bytes(struct porter *p, int fd, const char *data, size_t bytes);
void porter_say(struct porter *p, int fd, const char *text);
void porter_turns(struct porter *p, int64_t ms);
bool porter_hear(struct porter *p, int fd, struct buf *heard, const char *text, int count);
/* Turns the loop until `count` requests wait for their reply. */
void porter_await(struct porter *p, int count);

#endif
