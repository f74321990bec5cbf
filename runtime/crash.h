/* Crash points: named places at which a test build can be made to die.
 *
 *   make VARIANT=crash    the only variant that has them
 *   KASSA_CRASH=consumer.ack.before:payment.charge:2    dies there at the second hit, by SIGKILL
 *   KASSA_CRASH=@<directory>    reads the same text from <directory>/<service> at each hit;
 *                               the death empties it; the text `trace` logs each hit
 *   kassa-order --crash-points  prints the points that this binary has
 *
 * A point is one row here and one call in the source. Those marked SENT die at the end of the turn
 * of the loop: what was to be written has left then, and no answer has been read.
 * Source: testing.md, "Crash points". */
#ifndef KASSA_RUNTIME_CRASH_H
#define KASSA_RUNTIME_CRASH_H

/* X(name, PLAIN | COMMAND, AT | SENT, what has happened by then). COMMAND: the type of the command
 * is part of the full name, as in consumer.durable.after:payment.refund. */
#define CRASH_POINTS(X)                                                                            \
    /* the five beats, consumer/work.c */                                                          \
    X("consumer.record.before", COMMAND, AT, "taken from the broker; nothing recorded")            \
    X("consumer.record.after", COMMAND, AT, "the store call is made, and not written yet")         \
    X("consumer.durable.before", COMMAND, SENT, "the store call is written, not answered")         \
    X("consumer.durable.after", COMMAND, AT, "recorded and durable; nothing follows from it yet")  \
    X("consumer.publish.before", COMMAND, AT, "what follows is decided, not handed to the broker") \
    X("consumer.publish.after", COMMAND, AT, "it is in the outbox, not written")                   \
    X("consumer.confirm.before", COMMAND, SENT, "it is written, not confirmed")                    \
    X("consumer.confirm.after", COMMAND, AT, "a quorum of the broker has it")                      \
    X("consumer.ack.before", COMMAND, AT, "all is done but the ack")                               \
    X("consumer.ack.after", COMMAND, SENT, "the ack is gathered with others")                      \
    /* acknowledgements, broker/broker.c */                                                        \
    X("broker.ack.before", PLAIN, AT, "deliveries are done; the broker does not know")             \
    X("broker.ack.after", PLAIN, SENT, "their ack is written")                                     \
    /* a store that is another, consumer/announce.c */                                             \
    X("replay.ask", PLAIN, AT, "a store is up; it is not asked yet which it is")                   \
    X("replay.announce.before", PLAIN, AT, "it is another; nobody knows")                          \
    X("replay.announce.after", PLAIN, SENT, "the announcement is written, not confirmed")          \
    X("replay.confirmed", PLAIN, AT, "it is confirmed; the store does not know")                   \
    X("replay.written", PLAIN, SENT, "the store is told, and has not answered")                    \
    /* what it may have lost is sent again, saga/restore.c */                                      \
    X("replaying.look.sent", PLAIN, SENT, "a journal that nobody has is asked for")                \
    X("replaying.taken", PLAIN, AT, "it is taken; nothing is read")                                \
    X("replaying.read.sent", PLAIN, SENT, "the next part is asked for")                            \
    X("replaying.read.after", PLAIN, AT, "it is here; nothing is sent")                            \
    X("replaying.sent", PLAIN, SENT, "its commands are written, not confirmed")                    \
    X("replaying.confirmed", PLAIN, AT, "they are confirmed; the journal does not know")           \
    X("replaying.end.sent", PLAIN, SENT, "all is confirmed; the journal's end is asked for")       \
    X("replaying.end.after", PLAIN, AT, "the journal is gone")                                     \
    /* what answers a gateway, consumer/notice.c */                                                \
    X("notice.publish.before", PLAIN, AT, "the answers of a turn are collected")                   \
    X("notice.publish.after", PLAIN, SENT, "they are written")                                     \
    /* the sweep, consumer/sweep.c */                                                              \
    X("sweep.before", PLAIN, AT, "a look at old buckets is due")                                   \
    X("sweep.sent", PLAIN, SENT, "its call is written")                                            \
    X("sweep.after", PLAIN, AT, "its call is answered")                                            \
    /* due sagas, saga/recovery.c */                                                               \
    X("recovery.lease.before", PLAIN, AT, "a look at due sagas is due")                            \
    X("recovery.lease.sent", PLAIN, SENT, "the leases are asked for")                              \
    X("recovery.lease.after", PLAIN, AT, "the answer is here")                                     \
    X("recovery.resend.before", PLAIN, AT, "a saga is leased; its command is not sent")            \
    X("recovery.resend.after", PLAIN, SENT, "its command is written")                              \
    X("recovery.move.before", PLAIN, AT, "a saga is to be given up, or is stuck")                  \
    X("recovery.move.sent", PLAIN, SENT, "the journal's move is written, not answered")            \
    X("recovery.move.after", PLAIN, AT, "the journal has moved; nothing follows from it yet")      \
    /* an operator's cancel, saga/cancel.c */                                                      \
    X("cancel.looked", PLAIN, AT, "the saga was found where it can be given up")                   \
    X("cancel.moved", PLAIN, AT, "the journal has moved; nobody is told")                          \
    /* connections: broker/link.c, store/connection.c */                                           \
    X("link.connect", PLAIN, AT, "an attempt at the broker is due")                                \
    X("link.up.before", PLAIN, AT, "connected; the owner does not know")                           \
    X("link.up.after", PLAIN, SENT, "its first frames are written")                                \
    X("link.down", PLAIN, AT, "a connection was lost; the owner does not know")                    \
    X("redis.connect", PLAIN, AT, "an attempt at a store is due")                                  \
    X("redis.greet", PLAIN, SENT, "a step of the greeting is written")                             \
    X("redis.up.before", PLAIN, AT, "the greeting is over; nobody knows")                          \
    X("redis.up.after", PLAIN, SENT, "the first calls are written")                                \
    X("redis.down", PLAIN, AT, "a connection was lost; who waits for answers does not know")       \
    /* requests, gateway/gateway.c and begin.c */                                                  \
    X("gateway.park.before", PLAIN, AT, "a request is here and admitted")                          \
    X("gateway.park.after", PLAIN, AT, "it is parked, and has an id")                              \
    X("gateway.claim.before", PLAIN, AT, "its key is not claimed")                                 \
    X("gateway.claim.sent", PLAIN, SENT, "the claim is written")                                   \
    X("gateway.claim.after", PLAIN, AT, "the claim is answered; nothing is asked")                 \
    X("gateway.ask.before", PLAIN, AT, "its command is not handed to the broker")                  \
    X("gateway.ask.after", PLAIN, SENT, "its command is written")                                  \
    X("gateway.begin.before", PLAIN, AT, "its checkout is not begun")                              \
    X("gateway.begin.sent", PLAIN, SENT, "the call that begins it is written, not answered")       \
    X("gateway.begin.after", PLAIN, AT, "it is begun and durable; nothing follows from it yet")    \
    X("gateway.begin.published", PLAIN, SENT, "what follows is written, not confirmed")            \
    X("gateway.notice", PLAIN, AT, "answers are here, unread")                                     \
    X("gateway.reply.before", PLAIN, AT, "the client's answer is known, not written")              \
    X("gateway.reply.after", PLAIN, SENT, "the client's answer is written")

#ifdef KASSA_CRASH_POINTS

struct crash_site {
    const char *name;
    _Bool is_sent;
};

/* First thing of a main: --crash-points prints and exits 0; a KASSA_CRASH that names no point of
 * this binary exits 2 with one sentence. */
void crash_begin(const char *service, int argc, char **argv);
/* A command of this service, for the points that are marked COMMAND. Before crash_begin. */
void crash_kind(const char *kind);
/* kind NULL: a PLAIN point. */
void crash_hit(const struct crash_site *site, const char *kind);
void crash_turn_end(void);

/* The sites lie side by side in a section of their own, so that they can be listed. */
#define crash_site_hit(name, sent, kind)                                                           \
    do {                                                                                           \
        static const struct crash_site row_ = {name, sent};                                        \
        static const struct crash_site *const site_                                                \
            __attribute__((section("crash_sites"), used)) = &row_;                                 \
        crash_hit(site_, kind);                                                                    \
    } while (0)

#else

#define crash_begin(service, argc, argv) ((void)0)
#define crash_kind(kind)                 ((void)0)
#define crash_turn_end()                 ((void)0)
#define crash_site_hit(name, sent, kind) ((void)0)

#endif

#define crash_point(name)          crash_site_hit(name, 0, NULL)
#define crash_point_of(name, kind) crash_site_hit(name, 0, kind)
#define crash_sent(name)           crash_site_hit(name, 1, NULL)
#define crash_sent_of(name, kind)  crash_site_hit(name, 1, kind)

#endif
