/* What an answer from inside means for those who wait for it.
 *
 *   notice --> envelope --> answer --+-- a readiness check's (ready)
 *   the short way (checkout) --------'-- an id that is refused: asked again under another (asking)
 *                                    '-- everybody else's: a reply (answering), or only progress */
#include "gateway/hearing.h"

#include "gateway/answering.h"
#include "gateway/asking.h"
#include "gateway/state.h"
#include "idempotency/once.h"
#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/log.h"

/* The store would not know this command from its repeat. Is its id of this very request, by a clock
 * that is wrong by so much that it can never have acted, then nothing was begun, and its key, if it
 * has one, is free again. Else, under a key, it may have been done long ago. */
static struct reply hearing_expired(struct gateway *gw, const struct pending *p,
                                    const struct message *answer)
{
    int64_t elapsed_ms = loop_now_ms(gw->context->loop) - p->began_ms;
    bool is_never = p->is_fresh && message_has(answer, since) &&
                    once_never_acted(gw->once, slice_from(p->id.text), answer->since, elapsed_ms);
    if (is_never && !p->is_front) {
        asking_release(gw, p);
    }
    return is_never || p->is_front || p->key[0] == '\0'
               ? reply_error(429, SLICE_TEXT(GATEWAY_CLOCKS_DIFFER))
               : reply_error(422, SLICE_TEXT("the Idempotency-Key has expired"));
}

/* The id that nginx' clock has made is refused, for good, so nothing is or will be done under it:
 * then a key stands for another one, by our clock. All that get to know of that refusal, at
 * whichever gateway, find the same key. False: that is not so, or was done before. */
static bool hearing_front_again(struct gateway *gw, const struct message *answer)
{
    struct pending *p = pending_find(&gw->table, answer->id);
    if ((answer->type != MESSAGE_EXPIRED && answer->type != MESSAGE_LATER) || !p || !p->is_front ||
        p->is_again) {
        return false;
    }
    stat_add(gw->front_refused, 1);
    p = pending_withdraw(&gw->table, answer->id);
    for (struct pending *next; p; p = next) {
        next = p->next_same;
        p->next_same = NULL;
        asking_release(gw, p); /* of a gateway with FRONT_IDS=0, or of another version */
        p->is_again = true;
        asking_again(p);
    }
    return true;
}

/* False: it is progress for who waits for the end. */
static bool hearing_reply(struct gateway *gw, const struct pending *p, const struct message *answer,
                          struct reply *ret_reply)
{
    if (answer->type == MESSAGE_EXPIRED) {
        *ret_reply = hearing_expired(gw, p, answer);
    } else if (!reply_make(p->route, &p->command, answer, ret_reply)) {
        if (answer->type == MESSAGE_SAGA_RUNNING) {
            return false;
        }
        *ret_reply = reply_pending(); /* an answer that no version of ours gives */
    }
    return true;
}

void hearing_on_answer(void *ctx, const struct message *answer)
{
    struct gateway *gw = ctx;
    if (ready_on_answer(gw->ready, answer) || hearing_front_again(gw, answer)) {
        return;
    }
    /* That a saga runs is an end for those only who asked for 202. */
    bool is_end = answer->type != MESSAGE_SAGA_RUNNING;
    struct pending *p =
        is_end ? pending_take(&gw->table, answer->id) : pending_find(&gw->table, answer->id);
    stat_add(gw->late, is_end && !p); /* a repeat: it was answered before */
    if (answer->type == MESSAGE_LATER && p) {
        asking_release(gw, p);
    }
    for (struct pending *next; p; p = next) {
        struct reply reply;
        next = p->next_same;
        if (hearing_reply(gw, p, answer, &reply)) {
            if (!is_end) {
                pending_remove(&gw->table, p);
            }
            answering_reply(p, reply);
        }
    }
}

void hearing_on_notice(void *ctx, struct slice payload)
{
    struct gateway *gw = ctx;
    struct envelope *envelope;
    const char *detail = "";
    crash_point("gateway.notice");
    int err = envelope_read(&message_schema, payload, &envelope, &detail);
    if (err) {
        stat_add(gw->unreadable, 1);
        log_error("notice_unreadable", "reason=%s detail=%s", err_name(err),
                  log_quote(slice_from(detail)));
        return;
    }
    for (unsigned i = 0; i < envelope_count(envelope); i++) {
        hearing_on_answer(gw, envelope_at(envelope, i));
    }
    envelope_free(envelope);
}
