/* What a trip's saga says, in builds for tests: one set of messages for flight, hotel and car. */
#ifndef KASSA_TEST_TRIP_MESSAGES_H
#define KASSA_TEST_TRIP_MESSAGES_H

#define MORE_MESSAGES(X)                                                                           \
    X(TRIP_BOOK, "trip.book", M(id) | M(order) | M(user) | M(count), "book one's part of a trip")  \
    X(TRIP_DROP, "trip.drop", M(id) | M(undoes) | M(order) | M(user), "give it back")              \
    X(TRIP_CANCEL, "trip.cancel", M(id) | M(order), "cancel it, or tell that it is done")          \
    X(TRIP_BOOKED, "trip.booked", M(id) | M(order), "done")                                        \
    X(TRIP_REFUSED, "trip.refused", M(id) | M(order) | M(reason), "none left")                     \
    X(TRIP_DROPPED, "trip.dropped", M(id) | M(order), "given back, or never booked")               \
    X(TRIP_CANCELLED, "trip.cancelled", M(id) | M(order), "never booked, and never will be")       \
    X(TRIP_DONE, "trip.done", M(id) | M(order) | M(count), "all is booked, for so many nights")

#define MORE_FIELDS(X) X(VALUE, wish, "what the traveller asks for, in words")

#endif
