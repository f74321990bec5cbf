/* A once-record, taken apart. Source: protocol.md, "A step is one function call in the store". */
#ifndef KASSA_CONSUMER_RECORD_H
#define KASSA_CONSUMER_RECORD_H

#include "store/texts.h"

/* A record 'outcome|detail|..' taken apart. Fields that are not there are absent slices. */
#define RECORD_DETAILS_MAX 8
struct record {
    struct slice outcome;
    struct slice detail[RECORD_DETAILS_MAX];
};
struct record record_read(struct slice text);
struct record record_of(struct texts reply); /* of its first slice */

/* The number of a detail; -1, which no message can have, for anything but an int64 >= 0. */
int64_t record_int(struct slice detail);

#endif
