/* The trip's tables. */
#include "test/lib/trip.h"

#define F(field, part)                                                                             \
    {                                                                                              \
        MESSAGE_HAS_##field, TRIP_##part                                                           \
    }
#define FIELDS                                                                                     \
    .fields = {F(user, TRAVELLER), F(count, NIGHTS), SAGA_FIELD_NONE},                             \
    .undo_fields = {F(user, TRAVELLER), SAGA_FIELD_NONE}

const struct saga_row trip_rows[TRIP_ROWS] = {
    [TRIP_FLIGHT] = {.name = "flight",
                     .acting = "BOOKING_FLIGHT",
                     .compensating = "DROPPING_FLIGHT",
                     .stuck = "FLIGHT_STUCK",
                     .action = MESSAGE_TRIP_BOOK,
                     .compensation = MESSAGE_TRIP_DROP,
                     .participant = "flight",
                     .queue = QUEUE_PAYMENT,
                     FIELDS},
    [TRIP_HOTEL] = {.name = "hotel",
                    .acting = "BOOKING_HOTEL",
                    .compensating = "DROPPING_HOTEL",
                    .stuck = "HOTEL_STUCK",
                    .action = MESSAGE_TRIP_BOOK,
                    .compensation = MESSAGE_TRIP_DROP,
                    .participant = "hotel",
                    .queue = QUEUE_STOCK,
                    FIELDS},
    [TRIP_CAR] = {.name = "car",
                  .acting = "RENTING_CAR",
                  .cancelling = "CANCELLING_CAR",
                  .action = MESSAGE_TRIP_BOOK,
                  .cancel = MESSAGE_TRIP_CANCEL,
                  .participant = "car",
                  .queue = QUEUE_STOCK,
                  FIELDS},
};

static const struct saga_answer trip_answers[] = {
    {MESSAGE_TRIP_BOOKED, SAGA_EVENT_ACTED},
    {MESSAGE_TRIP_REFUSED, SAGA_EVENT_REFUSED},
    {MESSAGE_TRIP_DROPPED, SAGA_EVENT_COMPENSATED},
    {MESSAGE_TRIP_CANCELLED, SAGA_EVENT_CANCELLED},
};

const struct saga_definition trip_definition = {
    .name = "trip",
    .completed = "BOOKED",
    .aborted = "CALLED_OFF",
    .rows = trip_rows,
    .row_count = TRIP_ROWS,
    .entity = MESSAGE_HAS_order,
    .journal = {.library = &trip_library,
                .entity_prefix = "trip:trip:",
                .frozen_count = TRIP_FROZEN_COUNT},
    .answers = trip_answers,
    .answer_count = sizeof(trip_answers) / sizeof(trip_answers[0]),
    .completion = MESSAGE_TRIP_DONE,
    .completion_fields = {F(count, NIGHTS), SAGA_FIELD_NONE},
};
