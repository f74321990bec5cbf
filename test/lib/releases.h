/* Three releases that follow one another while the form of messages changes: their catalogues, for
 * tests of what happens while a system is renewed.
 *
 *   before   reads version 2       writes 2
 *   reads    reads versions 2, 3   writes 2   knows a field and a type more
 *   writes   reads versions 2, 3   writes 3   writes them
 *
 * Not together with catalogue/message.h: a message is another one here. */
#ifndef KASSA_TEST_RELEASES_H
#define KASSA_TEST_RELEASES_H

#include "broker/envelope.h"

enum release { RELEASE_BEFORE, RELEASE_READS, RELEASE_WRITES, RELEASE_COUNT };

enum { RELEASES_NOTE = 1, RELEASES_NEWS }; /* types; the news are new */

struct message {
    unsigned type;
    uint64_t has;
    int64_t number;
    struct slice mood; /* new */
};
#define RELEASES_HAS_NUMBER 1u
#define RELEASES_HAS_MOOD   2u

extern const struct envelope_schema releases[RELEASE_COUNT];

/* The n-th message, as this release would write it: from RELEASE_WRITES on there is something new
 * in each. */
struct message releases_message(enum release release, int64_t n);

#endif
