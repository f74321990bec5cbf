/* Drives the sagas of one definition: an answer, an operator or a timer moves the journal, and
 * the driver then follows the new state. Every transition is: step (pure), compare-and-set, then
 * follow the state that the journal now has.
 *
 *   answer ----> driver_event_*  --.
 *   operator --> driver_cancel_* --+--> saga_step --> journal_advance -> driver_follow --> command,
 *   no answer -> recovery ---------'                                                    or notices
 *   lost tail -> restore: replays the participant's commands
 *
 * A service has one: its consumer's on_start makes it, and its table of commands names the
 * handlers below. Source: protocol.md, "The journal is the truth", "Command ids are
 * deterministic", "Five beats", "Re-send, lease, deadline". */
#ifndef KASSA_SAGA_DRIVER_H
#define KASSA_SAGA_DRIVER_H

#include "consumer/consumer.h"
#include "runtime/stat.h"
#include "saga/command.h"
#include "saga/conf.h"

/* X(field, kind, name, help). All exist from the start, at 0: a counter that appears with its
 * first increment hides that one. */
#define DRIVER_STATS(X)                                                                            \
    X(stale, counter, "kassa_saga_events_stale_total",                                             \
      "answers that did not fit the saga's state: repeats, mostly")                                \
    X(denied, counter, "kassa_replay_refused_total",                                               \
      "answers that deny what a saga has done: a store lost more than could be mended, look here") \
    X(resent, counter, "kassa_saga_resends_total", "saga commands sent again")                     \
    X(cancelled, counter, "kassa_saga_cancels_total", "sagas past their deadline")                 \
    X(stuck, counter, "kassa_sagas_stuck_total", "compensations that do not succeed: look here")   \
    X(immovable, counter, "kassa_sagas_immovable_total",                                           \
      "sagas whose journal could not be moved on: look here")                                      \
    X(unreadable, counter, "kassa_journals_unreadable_total",                                      \
      "journals that no version of ours writes: look here")                                        \
    X(replayed, counter, "kassa_saga_replays_total",                                               \
      "saga commands sent again because a store may have lost them")                               \
    X(replay_short, counter, "kassa_replay_short_total",                                           \
      "replays that could not go back as far as a store has lost what it had, look here")          \
    X(open, gauge, "kassa_sagas_open", "sagas begun and not ended")                                \
    X(oldest, gauge, "kassa_saga_oldest_seconds", "age of the oldest saga that is due")            \
    X(replay_oldest, gauge, "kassa_replay_oldest_seconds",                                         \
      "how long ago the oldest replay under way was announced")

struct driver {
    struct consumer *consumer;
    const struct saga_definition *def;
    const struct saga_conf *conf;
    const struct begin_conf *begin;
    struct saga_outgoing out; /* scratch: what is being sent */
    struct recovery *recovery;
    struct restore *restore;
    struct stat_value *completed, *aborted;
#define X(field, kind, name, help) struct stat_value *field;
    DRIVER_STATS(X)
#undef X
};

/* For a consumer's on_start. The definition must be sound: asserted. Owns: the caller, until
 * driver_free, after the consumer's store was freed. */
struct driver *driver_new(struct consumer *consumer, const struct saga_definition *def);
void driver_free(void *driver); /* NULL is fine; for on_stop */
/* The driver of a command's service: what its on_start has made. */
struct driver *driver_of(const struct consumer_work *work);

/* Builds the compare-and-set of a saga's journal from move.from to where the event leads. The other
 * fields of move that are needed: entity, saga, attempt, reason.
 * Errors: -ERR_TRANSITION when the event does not fit move.from; those of journal_advance. */
int driver_move(struct driver *d, struct journal_move move, struct saga_event event,
                struct args *call);

/* Sends the journal's outstanding command, or the notices of the end. work NULL: outside
 * a delivery (recovery). */
void driver_follow(struct driver *d, struct consumer_work *work,
                   const struct journal_record *record);

/* A journal that no version of Kassa writes: counted and logged. */
void driver_unreadable(struct driver *d, const struct journal_record *record);

/* Handlers: every answer to a saga command. */
int driver_event_record(struct consumer_work *work, struct args *call);
enum consumer_next driver_event_answer(struct consumer_work *work, struct texts reply);

/* Handler: an operator gives a saga up. Cancel or tell: it either starts the way back, or answers
 * that it is too late (cancel.c). */
int driver_cancel_record(struct consumer_work *work, struct args *call);
enum consumer_next driver_cancel_answer(struct consumer_work *work, struct texts reply);

/* The call that reads one saga by its id. */
void driver_look(struct consumer_work *work, struct args *call);

#endif
