/* One table. See stats.h. */
#include "order/stats.h"

const struct order_stats *order_stats(void)
{
    static struct order_stats s;
    if (s.paid == NULL) {
        s.paid = stat_counter("kassa_sagas_ended_total", "state=\"PAID\"", "sagas that ended");
        s.failed = stat_counter("kassa_sagas_ended_total", "state=\"FAILED\"", "sagas that ended");
        s.stale = stat_counter("kassa_saga_events_stale_total", "",
                               "answers that did not fit the saga's state: repeats, mostly");
        s.denied = stat_counter("kassa_replay_refused_total", "",
                                "answers that deny what a saga has done: a store lost more than "
                                "could be mended, look here");
        s.resent = stat_counter("kassa_saga_resends_total", "", "saga commands sent again");
        s.cancelled = stat_counter("kassa_saga_cancels_total", "", "sagas past their deadline");
        s.stuck = stat_counter("kassa_sagas_stuck_total", "",
                               "compensations that do not succeed: look here");
        s.immovable = stat_counter("kassa_sagas_immovable_total", "",
                                   "sagas whose journal could not be moved on: look here");
        s.unreadable = stat_counter("kassa_journals_unreadable_total", "",
                                    "journals that no version of ours writes: look here");
        s.replayed = stat_counter("kassa_saga_replays_total", "",
                                  "saga commands sent again because a store may have lost them");
        s.replay_short = stat_counter("kassa_replay_short_total", "",
                                      "replays that could not go back as far as a store has lost "
                                      "what it had, look here");
        s.open = stat_gauge("kassa_sagas_open", "", "sagas begun and not ended");
        s.oldest =
            stat_gauge("kassa_saga_oldest_seconds", "", "age of the oldest saga that is due");
        s.replay_oldest = stat_gauge("kassa_replay_oldest_seconds", "",
                                     "how long ago the oldest replay under way was announced");
    }
    return &s;
}
