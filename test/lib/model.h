/* What credit and stock do, in C: the rules that the functions of payment and stock are held to,
 * with the answer of each command. test/live/conservation.c sends the same to real servers. */
#ifndef KASSA_TEST_MODEL_H
#define KASSA_TEST_MODEL_H

#include "test/lib/books.h"
#include "test/lib/rig.h"

#define MODEL_ENTITIES 7 /* users, and items; the last one is never made */
#define MODEL_MADE     (MODEL_ENTITIES - 1)
#define MODEL_LINES    3

enum kind { FUND, PAY, CHARGE, REFUND, INIT_USERS, ADD, SUBTRACT, TAKE, CANCEL, INIT_ITEMS };

struct model_line {
    unsigned item;
    int64_t pieces;
};

struct model_saga {
    char id[40];
    unsigned user;
    int64_t amount;
    struct model_line lines[MODEL_LINES];
    unsigned line_count;
    char charge[96], refund[96], take[192]; /* records; "": none yet */
};

struct model_command {
    enum kind kind;
    char id[40];
    unsigned entity;
    int64_t amount;
    struct model_saga *saga;
    char answer[192];
};

/* Charges, or takes, of one bucket, which become one call. */
struct model_rows {
    struct rig *store;
    struct args call;
    char bucket[64];
    struct buf expected; /* a line for each */
    unsigned count;
};

struct model {
    struct rig *payment, *stock;
    struct model_rows charges, takes;
    struct account user[MODEL_ENTITIES], item[MODEL_ENTITIES];
    unsigned gens;
    struct model_command *command; /* all that were sent, to be repeated */
    unsigned command_count;
    struct model_saga *saga;
    unsigned saga_count;
    unsigned seed;
    unsigned repeats;
    unsigned effects;
    unsigned refusals;
    unsigned calls_of_many;
};

bool model_is_made(unsigned entity);
/* Fills c->answer, which a repeat finds there, or in the saga. */
void model_apply(struct model *m, struct model_command *c);

#endif
