/* A store that the test plays itself: it hears the bytes that the connection under test sends, and
 * says what it is told to, by the letter. Against it one store connection, and who calls there. */
#ifndef KASSA_TEST_PEER_H
#define KASSA_TEST_PEER_H

#include "store/store.h"

#define PEER_SILENCE_MS 400 /* much longer than a busy machine needs for an answer */
#define PEER_CALLS_MAX  64

/* Answers of a server: to ROLE, and to WAITAOF when it knows none. */
#define PEER_MASTER     "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
#define PEER_REPLICA    "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:1\r\n$7\r\nconnect\r\n:-1\r\n"
#define PEER_NO_COMMAND "-ERR unknown command 'WAITAOF', with args beginning with: '1' '0' '1' \r\n"

struct peer {
    struct loop *loop;
    struct loop_timer *tick; /* so that a turn that waits ends soon */
    struct store_conf conf;
    struct store *redis;
    struct args command;
    int listener;
    int fd; /* -1: nobody connected */
    char heard[65536];
    size_t heard_bytes;
    bool is_inside; /* store_call is running */
    unsigned count; /* answers */
    int errs[PEER_CALLS_MAX];
    unsigned numbers[PEER_CALLS_MAX];
    char text[256]; /* of the last reply, joined by | */
    unsigned ups;
};

struct peer_call {
    struct peer *p;
    unsigned number;
};
extern struct peer_call peer_calls[PEER_CALLS_MAX];

/* For cmocka: *state is the peer. The second one's store waits for two replicas. */
int peer_setup(void **state);
int peer_setup_replicas(void **state);
int peer_teardown(void **state);

/* Waits for the next connection; the last one is closed. */
void peer_accept(struct peer *p);
/* Waits until the client has sent `text`, and forgets what came up to then. */
void peer_hear(struct peer *p, const char *text);
void peer_say(struct peer *p, const char *text);
void peer_turns(struct peer *p, int turns);
/* Accepts, and answers as a master would until the store is up. `files` is the answer to WAITAOF,
 * which is asked for when there are replicas. */
void peer_greet_by(struct peer *p, const char *files);
void peer_greet(struct peer *p); /* PEER_NO_COMMAND */

/* Notes who was answered what: errs, numbers and text of the peer. Its ctx is a peer_call. */
void peer_on_reply(void *ctx, int err, struct texts reply);
/* GET k<number>, by peer_on_reply with peer_calls[number]. */
void peer_call(struct peer *p, unsigned number);
void peer_wait(struct peer *p, unsigned count); /* until so many were answered */

#endif
