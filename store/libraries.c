/* Asks the store once an hour which libraries may go, and lets them go. See libraries.h. */
#include "store/libraries.h"

#include <stdlib.h>

#include "catalogue/names.h"
#include "runtime/log.h"

struct libraries {
    struct store *store;
    const struct library *library;
    struct loop_timer *timer;
    struct args call;
    bool is_calling;
    bool is_freed; /* while a call is out: its reply frees the rest */
};

static void library_drop(struct libraries *l, struct slice name)
{
    log_info("library_dropped", "library=%.*s", SLICE_ARG(name));
    args_reset(&l->call);
    args_text(&l->call, "FUNCTION");
    args_text(&l->call, "DELETE");
    args_add(&l->call, name);
    store_call(l->store, &l->call, NULL, NULL);
    /* Behind it, so that one that is still there is still listed. */
    args_reset(&l->call);
    args_text(&l->call, "ZREM");
    args_join(&l->call, l->library->name, SLICE_TEXT(PART.libraries));
    args_add(&l->call, name);
    store_call(l->store, &l->call, NULL, NULL);
}

static void on_unused(void *ctx, int err, struct texts reply)
{
    struct libraries *l = ctx;
    l->is_calling = false;
    if (l->is_freed) {
        free(l);
        return;
    }
    for (unsigned i = 0; err == 0 && i < reply.count; i++) {
        library_drop(l, texts_at(reply, i));
    }
}

void libraries_look(struct libraries *l)
{
    if (l->is_calling || !store_is_up(l->store)) {
        return;
    }
    l->is_calling = true;
    args_reset(&l->call);
    library_greet(l->library, &l->call);
    store_call(l->store, &l->call, on_unused, l);
}

static void on_timer(void *ctx)
{
    libraries_look(ctx);
}

struct libraries *libraries_new(struct loop *loop, struct store *store,
                                const struct library *library)
{
    struct libraries *l = mem_new(sizeof(*l));
    l->store = store;
    l->library = library;
    l->timer = loop_timer_new(loop, on_timer, l);
    loop_timer_start(l->timer, LIBRARIES_MS, LIBRARIES_MS);
    return l;
}

void libraries_free(struct libraries *l)
{
    if (l == NULL) {
        return;
    }
    loop_timer_free(l->timer);
    args_free(&l->call);
    l->is_freed = true;
    if (!l->is_calling) {
        free(l);
    }
}
