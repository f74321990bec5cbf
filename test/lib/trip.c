/* The trip's tables. */
#include "test/lib/trip.h"

static const struct saga_row trip_rows[] = {
    [TRIP_FLIGHT] = {.name = "flight",
                     .acting = "BOOKING_FLIGHT",
                     .compensating = "DROPPING_FLIGHT",
                     .stuck = "FLIGHT_STUCK",
                     .action = TRIP_BOOK_FLIGHT,
                     .compensation = TRIP_DROP_FLIGHT},
    [TRIP_HOTEL] = {.name = "hotel",
                    .acting = "BOOKING_HOTEL",
                    .compensating = "DROPPING_HOTEL",
                    .stuck = "HOTEL_STUCK",
                    .action = TRIP_BOOK_HOTEL,
                    .compensation = TRIP_DROP_HOTEL},
    [TRIP_CAR] = {.name = "car",
                  .acting = "RENTING_CAR",
                  .cancelling = "CANCELLING_CAR",
                  .action = TRIP_RENT_CAR,
                  .cancel = TRIP_CANCEL_CAR},
};

const struct saga_definition trip_definition = {
    .name = "trip",
    .completed = "BOOKED",
    .aborted = "CALLED_OFF",
    .rows = trip_rows,
    .row_count = 3,
};

extern const struct redis_library trip_library;

const struct journal trip_journal = {
    .library = &trip_library,
    .entity_prefix = "trip:trip:",
    .frozen_count = TRIP_FROZEN_COUNT,
};
