/* The books of a store, kept by the test: what was given, what the records say is gone, and what
 * must be left. */
#ifndef KASSA_TEST_BOOKS_H
#define KASSA_TEST_BOOKS_H

#include "test/lib/rig.h"

#define BOOKS_ACCOUNTS_MAX 16

struct account { /* of a user, or of an item */
    int64_t left;
    int64_t given;
    unsigned gen; /* 0: made singly */
};

const char *text_int(int64_t value);
const char *books_gen(unsigned gen); /* as the stores have it: "" or g1, g2, .. */

/* Asserts that accounts `key`:0.. of a store are as given here, field by field, that what the
 * records of the present generation took explains exactly what is left of what was given, and
 * that account number account_count was never made. */
void books_assert(struct rig *store, const char *service, const char *key, const char *left,
                  const char *given, const struct account *accounts, unsigned account_count);

#endif
