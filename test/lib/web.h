/* Clients of a listener: raw sockets, in the same loop as the listener itself. What a browser would
 * never send has to be sent by somebody. */
#ifndef KASSA_TEST_LIB_WEB_H
#define KASSA_TEST_LIB_WEB_H

#include "runtime/http.h"
#include "runtime/loop.h"

#define WEB_HOST "Host: kassa\r\n"

int64_t web_clock_ms(void);
/* A configuration of nothing but defaults. */
void web_conf(struct http_conf *ret_conf);
/* Connects to a port of this machine. Owns: the caller, the socket. */
int web_client(int port);
void web_say_bytes(struct loop *loop, int fd, const char *data, size_t bytes);
void web_say(struct loop *loop, int fd, const char *text);
void web_turns(struct loop *loop, int64_t ms);
/* Turns the loop until `count` times `text` has arrived, or the end of the connection when it is
 * NULL. Errors: false after two seconds. */
bool web_hear(struct loop *loop, int fd, struct buf *heard, const char *text, int count);

#endif
