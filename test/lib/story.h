/* Texts of sagas, for the tests of test/live: what they are made of is in saga/journal.lua. */
#ifndef KASSA_TEST_STORY_H
#define KASSA_TEST_STORY_H

#include <stdint.h>

/* The n-th part, from 0, of 'a|b|c'; "" when there is none. Good as text_of's. */
const char *journal_part(const char *text, unsigned n);

/* A story whose times are told from began_ms on, as it is stored: "CHARGING:0:0,PAID:9:0". */
const char *story_from(int64_t began_ms, const char *from_then_on);

#endif
