/* A private redis-server for one test: on a free port, in a temporary directory, with the
 * durability the stores run with (appendonly, fsync always). It dies with the test program.
 * Every function waits until what it is named for is done, and ends the program when it is not
 * done within 10 s. */
#ifndef KASSA_TEST_REDIS_SERVER_H
#define KASSA_TEST_REDIS_SERVER_H

#include <stddef.h>

struct redis_server;

/* Owns: the caller, until redis_server_free. `password` NULL: none. */
struct redis_server *redis_server_start(const char *password);
/* A Sentinel instead, that watches nothing yet ("SENTINEL MONITOR .."). */
struct redis_server *redis_server_start_sentinel(void);
void redis_server_free(struct redis_server *s); /* kills it, removes its directory; NULL is fine */

const char *redis_server_node(const struct redis_server *s); /* "127.0.0.1:<port>" */
int redis_server_port(const struct redis_server *s);

void redis_server_kill9(struct redis_server *s);   /* as a crash would */
void redis_server_stop(struct redis_server *s);    /* SIGTERM: it ends in order */
void redis_server_restart(struct redis_server *s); /* the same port and data; ends it if it runs */
void redis_server_pause(struct redis_server *s);   /* SIGSTOP */
void redis_server_resume(struct redis_server *s);  /* SIGCONT */

/* From now on its disk takes so much longer for each sync (test/drill/shim/disk.c). */
void redis_server_slow(const struct redis_server *s, long sync_ms);

/* Sends one command line ("SET a 1"; blocking, on a connection of its own) and returns the raw
 * answer as far as it came within half a second of silence, e.g. "+OK\r\n". The text is static. */
const char *redis_server_ask(struct redis_server *s, const char *line);

#endif
