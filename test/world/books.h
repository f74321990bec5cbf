/* The books, read from the modelled store as it is at this instant: what is charged, taken, paid.
 */
#ifndef KASSA_TEST_WORLD_BOOKS_H
#define KASSA_TEST_WORLD_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

#define BOOKS_MAX 64

struct books_order {
    char id[24], user[24], state[16], saga[40], lines[96];
    int64_t total;
    int64_t charged;  /* over all its sagas, less what was refunded */
    unsigned charges; /* of its newest saga */
    bool is_taken;    /* by its newest saga */
    unsigned takes;   /* by any */
    char taken[96];   /* the lines, as stock has them */
};

struct books_account {
    char id[24];
    int64_t left;  /* credit, or quantity */
    int64_t given; /* funded, or added */
    int64_t taken; /* by records */
};

/* What the store says of records that it has dropped: sums over sagas. */
struct books_sums {
    int64_t sagas, credits, pieces;
};

struct books {
    struct books_order orders[BOOKS_MAX];
    unsigned order_count;
    struct books_account users[BOOKS_MAX], items[BOOKS_MAX];
    unsigned user_count, item_count;
    int64_t payment_floor, stock_floor,
        order_floor; /* numbers of buckets: records below may be gone */
    struct books_sums payment_folded, stock_folded; /* as the store has them */
    struct books_sums payment_gone, stock_gone;     /* as they should be, by the orders */
    int64_t orphaned; /* charged, less refunded, by failed sagas whose own records are gone */
    bool has_unfolded;
};

void books_read(struct books *books);
void books_free(struct books *books);
const struct books_order *books_order(const struct books *books, const char *key);
/* Are all lines there, now? */
bool books_has_stock(const struct books *books, const char *lines);

/* What a user was given in all, by the store. */
int64_t books_given(const struct books *books, const char *user);

/* Faults of the world, if any. `given`: what the clients were told that it should be. */
void books_check_user(const struct books *books, const char *id, int64_t given);
void books_check_item(const struct books *books, const char *id, int64_t given);
void books_check_orders(const struct books *books);

/* Writes a field of a hash, before the run begins. */
void books_set(const char *key, const char *field, int64_t value);
void books_set_text(const char *key, const char *field, const char *value);

/* Texts that live until the next 16. */
const char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *text_order(unsigned order); /* "order:order:o<n>" */

#endif
