/* One word for each step; who judges the answers is connection.c. */
#include "store/greeting.h"

#include "store/flight.h"

bool greeting_say(struct greeting *g, enum greeting_step step, struct args *c)
{
    if (step == GREETING_AUTH && g->password[0]) {
        args_text(c, "AUTH");
        if (g->user[0]) {
            args_text(c, g->user);
        }
        args_text(c, g->password);
    } else if (step <= GREETING_ROLE) {
        step = GREETING_ROLE;
        args_text(c, g->is_listener ? "PING" : "ROLE");
    } else if (step == GREETING_TIME && !g->is_listener) {
        args_text(c, "TIME");
    } else if (step <= GREETING_FILES && g->has_replicas && !g->is_listener) {
        step = GREETING_FILES;
        flight_ask_files(c);
    } else if (step <= GREETING_LIBRARY && g->library) {
        step = GREETING_LIBRARY;
        library_greet(g->library, c);
    } else if (step == GREETING_LOAD) {
        g->has_loaded = true;
        library_load(g->library, c);
    } else {
        step = GREETING_DONE;
    }
    g->step = step;
    return step != GREETING_DONE;
}

bool greeting_next(const struct greeting *g, bool is_error, struct slice text,
                   enum greeting_step *ret_step)
{
    static const enum greeting_step after[] = {
        [GREETING_AUTH] = GREETING_ROLE,    [GREETING_ROLE] = GREETING_TIME,
        [GREETING_TIME] = GREETING_FILES,   [GREETING_FILES] = GREETING_LIBRARY,
        [GREETING_LIBRARY] = GREETING_DONE, [GREETING_LOAD] = GREETING_LIBRARY,
    };
    bool is_missing = is_error && g->step == GREETING_LIBRARY && library_is_missing(text);
    bool is_answer = g->step == GREETING_FILES; /* whatever it is */
    if (is_error && !is_answer && (!is_missing || g->has_loaded)) {
        return false;
    }
    *ret_step = is_missing ? GREETING_LOAD : after[g->step];
    return true;
}
