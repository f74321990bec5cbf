/* The checkout saga, as a table. */
#include "checkout/checkout.h"

#include "catalogue/names.h"

/* What order.lua freezes. */
enum { PART_USER, PART_TOTAL, PART_LINES, PART_COUNT };

#define F(field, part)                                                                             \
    {                                                                                              \
        MESSAGE_HAS_##field, PART_##part                                                           \
    }

static const struct saga_row checkout_rows[] = {
    {.name = "charge",
     .acting = "CHARGING",
     .compensating = "REFUNDING",
     .stuck = "STUCK",
     .action = MESSAGE_PAYMENT_CHARGE,
     .compensation = MESSAGE_PAYMENT_REFUND,
     .passes_on = true,
     .participant = "payment",
     .queue = QUEUE_PAYMENT,
     .fields = {F(user, USER), F(amount, TOTAL), SAGA_FIELD_NONE},
     .undo_fields = {F(user, USER), SAGA_FIELD_NONE}},
    {.name = "take",
     .cancelling = "CANCELLING",
     .action = MESSAGE_STOCK_TAKE,
     .cancel = MESSAGE_STOCK_CANCEL,
     .participant = "stock",
     .queue = QUEUE_STOCK,
     .fields = {F(lines, LINES), SAGA_FIELD_NONE},
     .undo_fields = {SAGA_FIELD_NONE}},
};

static const struct saga_answer checkout_answers[] = {
    {MESSAGE_PAYMENT_CHARGED, SAGA_EVENT_ACTED},
    {MESSAGE_STOCK_TAKEN, SAGA_EVENT_ACTED},
    {MESSAGE_PAYMENT_REFUSED, SAGA_EVENT_REFUSED},
    {MESSAGE_STOCK_REFUSED, SAGA_EVENT_REFUSED},
    {MESSAGE_PAYMENT_REFUNDED, SAGA_EVENT_COMPENSATED},
    {MESSAGE_STOCK_CANCELLED, SAGA_EVENT_CANCELLED},
};

const struct saga_definition checkout_definition = {
    .name = "checkout",
    .completed = "PAID",
    .aborted = "FAILED",
    .rows = checkout_rows,
    .row_count = sizeof(checkout_rows) / sizeof(checkout_rows[0]),
    .entity = MESSAGE_HAS_order,
    .journal = {.library = &order_library,
                .entity_prefix = KEY.order_order,
                .frozen_count = PART_COUNT},
    .answers = checkout_answers,
    .answer_count = sizeof(checkout_answers) / sizeof(checkout_answers[0]),
    .completion = MESSAGE_SAGA_PAID,
    .completion_fields = {F(total, TOTAL), SAGA_FIELD_NONE},
};
