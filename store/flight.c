/* See flight.h. */
#include "store/flight.h"

#include <stdio.h>

#include "catalogue/names.h"
#include "runtime/log.h"
#include "store/info.h"

#define FLIGHT_NOBODY "kassa.nobody" /* a channel without listeners */

/* Its scratch, empty: the next command of its own. */
static struct args *flight_word(struct flight *f)
{
    args_reset(&f->word);
    return &f->word;
}

static void flight_say(struct flight *f, enum waiter_kind kind, unsigned needed, flight_send *send,
                       void *ctx)
{
    send(ctx, (struct waiter){.kind = kind, .needed = needed}, &f->word);
}

static void flight_ask_role(struct flight *f, enum waiter_kind kind, unsigned needed,
                            flight_send *send, void *ctx)
{
    args_text(flight_word(f), "ROLE");
    flight_say(f, kind, needed, send, ctx);
}

/* The server and `replicas` have what was written in their files; WAITAOF counts both. */
static void flight_waitaof(struct args *c, unsigned replicas, int64_t timeout_ms)
{
    args_text(c, "WAITAOF");
    args_int(c, 1);
    args_int(c, replicas);
    args_int(c, timeout_ms);
}

void flight_ask_files(struct args *c)
{
    flight_waitaof(c, 0, 1); /* 0 ms would be for ever */
}

/* Of WAITAOF: the own file and those of the replicas. While the master's own file lacks it, no
 * replica counts: the master would come back without it. */
static bool flight_read_count(const struct flight *f, struct texts reply, unsigned *ret_count)
{
    int64_t own = 1, replicas;
    unsigned at = f->is_by_files ? 1 : 0;
    if (reply.count != at + 1 || (at > 0 && !slice_int64(texts_at(reply, 0), &own)) ||
        !slice_int64(texts_at(reply, at), &replicas) || replicas < 0) {
        return false;
    }
    *ret_count = own > 0 ? (unsigned)replicas : 0;
    return true;
}

bool flight_files(struct flight *f, struct texts reply, bool is_error)
{
    unsigned count;
    f->is_by_files = true;
    f->is_by_files = !is_error && flight_read_count(f, reply, &count);
    return f->is_by_files;
}

/* A server that nobody watches has no such list, and one of another version may refuse it. */
static void flight_ask_kept(struct flight *f, unsigned needed, flight_send *send, void *ctx)
{
    struct args *c = flight_word(f);
    args_text(c, "HGET");
    args_text(c, KEY.kassa_copy);
    args_text(c, "with");
    flight_say(f, WAITER_KEPT, needed, send, ctx);
}

/* Who is listed, and whether somebody has come since this was asked last. */
static void flight_ask_who(struct flight *f, enum waiter_kind kind, unsigned needed,
                           flight_send *send, void *ctx)
{
    struct args *c = flight_word(f);
    args_text(c, "INFO");
    args_text(c, "stats");
    flight_say(f, WAITER_CAME, needed, send, ctx);
    flight_ask_role(f, kind, needed, send, ctx);
}

/* Something that the replicas have to acknowledge: else an old acknowledgement would do. */
static void flight_publish(struct flight *f, unsigned needed, flight_send *send, void *ctx)
{
    struct args *c = flight_word(f);
    args_text(c, "PUBLISH");
    args_text(c, FLIGHT_NOBODY);
    args_text(c, "");
    flight_say(f, WAITER_PUBLISH, needed, send, ctx);
}

static void flight_wait(struct flight *f, unsigned needed, int64_t timeout_ms, flight_send *send,
                        void *ctx)
{
    unsigned asked = copies_asked(&f->copies, needed);
    int64_t wait_ms = timeout_ms / (f->is_by_files ? 4 : 2);
    struct args *c = flight_word(f);
    args_text(c, "WAIT");
    args_int(c, asked);
    args_int(c, wait_ms);
    flight_say(f, f->is_by_files ? WAITER_PUBLISH : WAITER_WAIT, needed, send, ctx);
    if (f->is_by_files) {
        flight_waitaof(flight_word(f), asked, wait_ms);
        flight_say(f, WAITER_WAIT, needed, send, ctx);
    }
}

void flight_end(struct flight *f, int64_t now_ms, int64_t timeout_ms, flight_send *send, void *ctx)
{
    if (f->copies.all == 0 || f->is_out || (!f->is_begun && !f->is_late) ||
        flight_is_paced(f, now_ms)) {
        return;
    }
    f->asked_ms = now_ms;
    unsigned needed = copies_needed(&f->copies, now_ms);
    if (f->copies.sentinels > 0 && copies_are_missing(&f->copies)) {
        flight_ask_kept(f, needed, send, ctx);
    }
    if (f->is_begun) { /* else the offset stays the same */
        flight_publish(f, needed, send, ctx);
    }
    flight_wait(f, needed, timeout_ms, send, ctx);
    f->is_out = true;
    (needed < f->copies.all ? flight_ask_who : flight_ask_role)(f, WAITER_ROLE, needed, send, ctx);
    f->is_begun = false;
}

bool flight_is_out(const struct flight *f)
{
    return f->is_out || f->is_late;
}

bool flight_is_paced(const struct flight *f, int64_t now_ms)
{
    return f->is_late && !f->is_out && now_ms < f->asked_ms + FLIGHT_PACE_MS;
}

void flight_lost(struct flight *f)
{
    f->is_begun = f->is_out = f->is_late = false;
}

void flight_free(struct flight *f)
{
    waiters_free(&f->held);
    args_free(&f->word);
}

void flight_look(struct flight *f, flight_send *send, void *ctx)
{
    flight_ask_who(f, WAITER_LOOK, 0, send, ctx);
}

/* "master", its offset, and for each replica address, port and offset, which is 0 for one that has
 * acknowledged nothing yet: it is still loading, and cannot be promoted. */
bool flight_role(struct flight *f, struct texts reply)
{
    struct copies_list list = {0};
    if (reply.count == 0 || !slice_is(texts_at(reply, 0), "master")) {
        return false;
    }
    for (unsigned i = 2; i + 2 < reply.count; i += 3) {
        char node[COPIES_NODE_BYTES];
        snprintf(node, sizeof(node), "%.*s:%.*s", SLICE_ARG(texts_at(reply, i)),
                 SLICE_ARG(texts_at(reply, i + 1)));
        if (!slice_is(texts_at(reply, i + 2), "0")) {
            copies_list_add(&list, &f->copies, node);
        }
    }
    if (f->copies.all > 0 && list.count > f->copies.all && !f->has_too_many) {
        f->has_too_many = true;
        log_error("store_replicas", "replicas=%u waited_for=%u", list.count, f->copies.all);
    }
    copies_listed(&f->copies, &list);
    return true;
}

/* -1: it does not say. */
static int64_t flight_comings(struct texts reply, int err)
{
    int64_t comings = -1;
    if (err == 0) {
        info_number(texts_at(reply, 0), "sync_partial_ok", &comings);
    }
    return comings;
}

static enum flight_verdict flight_count(struct flight *f, unsigned needed, int64_t now_ms)
{
    f->is_out = false;
    f->is_late = !copies_counted(&f->copies, needed, f->waited, now_ms);
    return f->is_late ? FLIGHT_IS_SHORT : FLIGHT_IS_DONE;
}

enum flight_verdict flight_answer(struct flight *f, struct waiter waiter, struct texts reply,
                                  int err, int64_t now_ms)
{
    switch (waiter.kind) {
    case WAITER_KEPT:
        copies_kept(&f->copies, err ? SLICE_TEXT("") : texts_at(reply, 0));
        return FLIGHT_GOES_ON;
    case WAITER_PUBLISH:
        return err ? FLIGHT_IS_BROKEN : FLIGHT_GOES_ON;
    case WAITER_WAIT: /* how many replicas have all that this connection has written */
        return err || !flight_read_count(f, reply, &f->waited) ? FLIGHT_IS_BROKEN : FLIGHT_GOES_ON;
    case WAITER_ROLE:
        return flight_role(f, reply) ? flight_count(f, waiter.needed, now_ms) : FLIGHT_IS_BROKEN;
    case WAITER_CAME:
        copies_came(&f->copies, flight_comings(reply, err), now_ms);
        return FLIGHT_GOES_ON;
    case WAITER_LOOK:
        return flight_role(f, reply) ? FLIGHT_GOES_ON : FLIGHT_IS_BROKEN;
    case WAITER_CALL:
    case WAITER_TIME:
    case WAITER_ASK:
        break; /* of nobody here */
    }
    return FLIGHT_IS_BROKEN;
}
