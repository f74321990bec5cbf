/* The modelled servers, by number: each has data and the log that made it. A replica's log is the
 * beginning of its master's. */
#ifndef KASSA_TEST_SERVER_H
#define KASSA_TEST_SERVER_H

#include "store/store.h"
#include "test/world/world.h"

/* Each library is there in two versions, which do the same: the hash of the other one begins so. */
#define SERVER_OTHER_VERSION 'z'

void server_world_reset(const struct library *const *libraries, unsigned count);

void server_open(unsigned server);

void server_clock(int64_t wall_ms); /* what time it is, for the next command */
struct server_reply {
    struct texts_box *box; /* NULL: it was taken */
    bool is_error;
};
/* Texts and records that were looked at since it was asked last, by all servers. */
int64_t server_looked(void);
/* Owns: the caller, until server_reply_free. */
struct server_reply *server_execute(unsigned server, const struct args *c);
/* One that is made of texts. */
struct server_reply *server_reply_of(const char *const *texts, unsigned count);
struct texts server_reply_texts(const struct server_reply *reply);
/* Moves its texts out. Owns: the caller, until texts_box_free. */
struct texts_box *server_reply_take(struct server_reply *reply);
void server_reply_free(struct server_reply *reply); /* NULL is fine */

/* It starts anew, with what it has, and another run id. */
void server_restart(unsigned server);
uint64_t server_position(unsigned server);            /* how long its log is */
void server_copy(unsigned server, unsigned master);   /* takes all that the master has */
void server_follow(unsigned server, unsigned master); /* takes the rest of its log */
bool server_is_same(unsigned server, unsigned other); /* have they the same data? */
void server_keep(unsigned server);                    /* remembers what it has now */
void server_restore(unsigned server);                 /* has that again, as another server */
/* Gives it a limit to its memory, of which it uses so much now; 0: none. Returns it, in bytes. */
int64_t server_limit(unsigned server, unsigned percent);
void server_limit_like(unsigned server, unsigned other); /* the same limit */
bool server_is_announced(unsigned server, const char *service);
uint64_t server_packed(unsigned server); /* orders */
bool server_has(unsigned server, const char *key);
void server_each(unsigned server, store_on_field *on_field, void *ctx);

#endif
