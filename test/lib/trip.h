/* A second saga on the same engine: a trip, whose flight, hotel and car are booked one after the
 * other. Flight and hotel can be given back; the car is the pivot. Its library in the store is
 * test/live/trip.lua. It proves that the engine knows no orders. */
#ifndef KASSA_TEST_TRIP_H
#define KASSA_TEST_TRIP_H

#include "saga/journal.h"
#include "saga/step.h"

enum { TRIP_FLIGHT, TRIP_HOTEL, TRIP_CAR, TRIP_ROWS };

extern const struct saga_row trip_rows[TRIP_ROWS];
extern const struct saga_definition trip_definition;
extern const struct library trip_library;

enum { TRIP_TRAVELLER, TRIP_NIGHTS, TRIP_FROZEN_COUNT };

#endif
