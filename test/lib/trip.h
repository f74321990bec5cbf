/* A second saga on the same engine: a trip, whose flight, hotel and car are booked one after the
 * other. Flight and hotel can be given back; the car is the pivot. Its library in the store is
 * test/live/trip.lua. It proves that the engine knows no orders. */
#ifndef KASSA_TEST_TRIP_H
#define KASSA_TEST_TRIP_H

#include "saga/journal.h"
#include "saga/step.h"

enum { TRIP_FLIGHT, TRIP_HOTEL, TRIP_CAR };

enum trip_command {
    TRIP_NONE,
    TRIP_BOOK_FLIGHT,
    TRIP_DROP_FLIGHT,
    TRIP_BOOK_HOTEL,
    TRIP_DROP_HOTEL,
    TRIP_RENT_CAR,
    TRIP_CANCEL_CAR,
};

extern const struct saga_definition trip_definition;

enum { TRIP_TRAVELLER, TRIP_NIGHTS, TRIP_FROZEN_COUNT };
extern const struct journal trip_journal;

#endif
