/* One word for each step; who judges the answers is redis.c. */
#include "idempotency/greeting.h"

bool greeting_say(struct greeting *g, enum greeting_step step, struct redis_command *c)
{
    if (step == GREETING_AUTH && g->password[0]) {
        redis_arg_text(c, "AUTH");
        if (g->user[0]) {
            redis_arg_text(c, g->user);
        }
        redis_arg_text(c, g->password);
    } else if (step <= GREETING_ROLE) {
        step = GREETING_ROLE;
        redis_arg_text(c, g->is_listener ? "PING" : "ROLE");
    } else if (step == GREETING_TIME && !g->is_listener) {
        redis_arg_text(c, "TIME");
    } else if (step <= GREETING_LIBRARY && g->library) {
        step = GREETING_LIBRARY;
        redis_arg_text(c, "FUNCTION");
        redis_arg_text(c, "LOAD");
        redis_arg_text(c, "REPLACE");
        redis_arg_text(c, g->library);
    } else {
        step = GREETING_DONE;
    }
    g->step = step;
    return step != GREETING_DONE;
}
