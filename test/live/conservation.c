/* Money and pieces are conserved: 20 000 commands, drawn at random and repeated at random, sent to
 * real servers and to a model in C that knows the rules. Every answer must be the model's; at the
 * end so must every balance, and the records alone must account for every credit and piece.
 * Charges and takes that follow one another are rows of one call, also when they are repeats.
 *
 *   seed --> command --> model: expected answer --> pipeline --> store: answer == expected?
 *               '------- again, any time later: the same answer, and no effect */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/lib/model.h"

extern const struct library payment_library;
extern const struct library stock_library;

#define NOW_MS   INT64_C(1733754220544)
#define COMMANDS 20000
#define BATCH    250 /* commands in one pipeline */
#define ROWS     20

static unsigned draw(struct model *m, unsigned below)
{
    return (unsigned)rand_r(&m->seed) % below;
}

/* Mostly small; now and then beyond what a double carries, up to a quarter of int64: that much is
 * given to the first two only, so that the others stay poor enough to be refused. */
static int64_t draw_amount(struct model *m, bool is_gift, unsigned entity)
{
    if (draw(m, 25) > 0 || (is_gift && entity > 1)) {
        return 1 + draw(m, 60);
    }
    return INT64_C(9007199254740993) + (int64_t)draw(m, 1u << 30) * draw(m, 1u << 31);
}

/* ---- the same, to the stores ---- */

static void rows_send(struct model *m, struct model_rows *r)
{
    if (r->count > 0) {
        m->calls_of_many += r->count > 1;
        rig_expect_command(r->store, r->expected.data, &r->call);
        r->count = 0;
    }
}

/* Begins a row; the caller adds its arguments. */
static struct args *rows_begin(struct model *m, struct model_rows *r, const struct library *library,
                               const char *function, const char *bucket, const char *expected)
{
    if (r->count == ROWS || (r->count > 0 && strcmp(r->bucket, bucket) != 0)) {
        rows_send(m, r);
    }
    if (r->count == 0) {
        snprintf(r->bucket, sizeof(r->bucket), "%s", bucket);
        buf_reset(&r->expected);
        args_reset(&r->call);
        library_call(&r->call, library, function, 1);
        args_text(&r->call, bucket);
    }
    buf_add_text(&r->expected, r->count++ > 0 ? "\n" : "");
    buf_add_text(&r->expected, expected);
    return &r->call;
}

static void send_to_payment(struct model *m, const struct model_command *c)
{
    const char *id = c->saga ? c->saga->id : c->id, *bucket = bucket_of("payment", id);
    const char *user = text_of("%u", c->saga ? c->saga->user : c->entity);
    const char *key = text_of("payment:user:%s", user);
    const char *charge = text_of("%s:1:charge", id);
    if (c->kind == CHARGE) {
        struct args *call =
            rows_begin(m, &m->charges, &payment_library, "payment_charge", bucket, c->answer);
        args_text(call, charge);
        args_text(call, user);
        args_int(call, c->saga->amount);
        return;
    }
    rows_send(m, &m->charges);
    if (c->kind == FUND) {
        rig_expect(m->payment, c->answer, "FCALL", "payment_fund", "2", bucket, key, id,
                   text_int(c->amount));
    } else if (c->kind == PAY) {
        rig_expect(m->payment, c->answer, "FCALL", "payment_pay", "2", bucket, key, id, user,
                   text_int(c->amount));
    } else if (c->kind == REFUND) {
        rig_expect(m->payment, c->answer, "FCALL", "payment_refund", "2", bucket, key,
                   text_of("%s-undo", charge), charge);
    } else {
        rig_expect(m->payment, c->answer, "FCALL", "payment_init", "1", bucket, text_of("%s:0", id),
                   "0", text_int(MODEL_MADE), text_int(c->amount), books_gen(c->entity));
    }
}

static void send_take(struct model *m, const struct model_command *c, const char *bucket)
{
    struct args *call = rows_begin(m, &m->takes, &stock_library, "stock_take", bucket, c->answer);
    char lines[128] = "";
    for (unsigned i = 0; i < c->saga->line_count; i++) {
        size_t bytes = strlen(lines);
        snprintf(lines + bytes, sizeof(lines) - bytes, "%s%u*%lld", i > 0 ? "," : "",
                 c->saga->lines[i].item, (long long)c->saga->lines[i].pieces);
    }
    args_format(call, "%s:1:take", c->saga->id);
    args_text(call, lines);
}

static void send_to_stock(struct model *m, const struct model_command *c)
{
    const char *id = c->saga ? c->saga->id : c->id, *bucket = bucket_of("stock", id);
    const char *key = text_of("stock:item:%u", c->entity);
    if (c->kind == TAKE) {
        send_take(m, c, bucket);
        return;
    }
    rows_send(m, &m->takes);
    if (c->kind == ADD) {
        rig_expect(m->stock, c->answer, "FCALL", "stock_add", "2", bucket, key, id,
                   text_int(c->amount));
    } else if (c->kind == SUBTRACT) {
        rig_expect(m->stock, c->answer, "FCALL", "stock_subtract", "2", bucket, key, id,
                   text_int(c->entity), text_int(c->amount));
    } else if (c->kind == CANCEL) {
        rig_expect(m->stock, c->answer, "FCALL", "stock_cancel", "1", bucket,
                   text_of("%s:1:take", id));
    } else {
        rig_expect(m->stock, c->answer, "FCALL", "stock_init", "1", bucket, text_of("%s:0", id),
                   "0", text_int(MODEL_MADE), text_int(c->amount), "3", books_gen(c->entity));
    }
}

static void command_send(struct model *m, const struct model_command *c)
{
    if (c->kind <= INIT_USERS) {
        send_to_payment(m, c);
    } else {
        send_to_stock(m, c);
    }
}

/* ---- drawing ---- */

/* Now and then just what is left, or one more: there a comparison that rounds goes wrong. */
static int64_t draw_near(struct model *m, const struct account *account, int64_t amount)
{
    int64_t near = account->left + draw(m, 2);
    return draw(m, 8) == 0 && account->left < INT64_MAX && near > 0 ? near : amount;
}

static struct model_saga *saga_draw(struct model *m)
{
    if (m->saga_count > 0 && draw(m, 3) > 0) {
        unsigned newest = m->saga_count < 50 ? m->saga_count : 50;
        return &m->saga[m->saga_count - 1 - draw(m, newest)];
    }
    struct model_saga *s = &m->saga[m->saga_count++];
    strcpy(s->id, id_at(NOW_MS + m->command_count * 8));
    s->user = draw(m, 40) == 0 ? MODEL_MADE : draw(m, MODEL_MADE);
    s->amount =
        draw(m, 20) == 0 ? 0 : draw_amount(m, false, s->user); /* an order may cost nothing */
    s->amount = draw_near(m, &m->user[s->user], s->amount);
    unsigned first = draw(m, draw(m, 10) == 0 ? MODEL_ENTITIES : MODEL_MADE);
    s->line_count = 1 + draw(m, MODEL_LINES);
    for (unsigned i = 0; i < s->line_count; i++) {
        s->lines[i] = (struct model_line){(first + i) % MODEL_ENTITIES, 1 + draw(m, 20)};
    }
    return s;
}

static void command_draw(struct model *m)
{
    static const enum kind kinds[] = {FUND,   FUND,   PAY,    PAY,   CHARGE,   CHARGE,
                                      CHARGE, CHARGE, REFUND, ADD,   SUBTRACT, SUBTRACT,
                                      TAKE,   TAKE,   TAKE,   CANCEL};
    struct model_command *c = &m->command[m->command_count];
    c->kind = kinds[draw(m, sizeof(kinds) / sizeof(kinds[0]))];
    if (draw(m, 400) == 0) {
        c->kind = draw(m, 2) ? INIT_USERS : INIT_ITEMS;
    }
    if (c->kind == CHARGE || c->kind == REFUND || c->kind == TAKE || c->kind == CANCEL) {
        c->saga = saga_draw(m);
    }
    strcpy(c->id, id_at(NOW_MS + m->command_count * 8));
    c->entity = draw(m, 40) == 0 ? MODEL_MADE : draw(m, MODEL_MADE);
    bool is_gift = c->kind == FUND || c->kind == ADD;
    bool is_init = c->kind == INIT_USERS || c->kind == INIT_ITEMS;
    c->amount = is_init ? draw(m, 200) : draw_amount(m, is_gift, c->entity);
    if (c->kind == PAY || c->kind == SUBTRACT) {
        struct account *accounts = c->kind == PAY ? m->user : m->item;
        c->amount = draw_near(m, &accounts[c->entity], c->amount);
    }
    m->command_count++;
    model_apply(m, c);
    command_send(m, c);
}

/* One of the last few again, or any at all: with the answer that it had. */
static void command_repeat(struct model *m)
{
    unsigned newest = draw(m, 2) && m->command_count > 20 ? 20 : m->command_count;
    m->repeats++;
    command_send(m, &m->command[m->command_count - 1 - draw(m, newest)]);
}

/* Credit + charges = funded and stock + taken = added, in the stores and in the model. */
static void conservation(void **state)
{
    struct model *m = *state;
    for (unsigned n = 0; n < COMMANDS; n++) {
        if (m->command_count > 0 && draw(m, 4) == 0) {
            command_repeat(m);
        } else {
            command_draw(m);
        }
        if (n % BATCH == BATCH - 1) {
            rows_send(m, &m->charges);
            rows_send(m, &m->takes);
            rig_wait(m->payment);
            rig_wait(m->stock);
        }
    }
    print_message("%u commands, %u repeated, %u effects, %u refusals, %u batches\n", COMMANDS,
                  m->repeats, m->effects, m->refusals, m->gens);
    assert_int_equal(rig_misanswered(m->payment), 0);
    assert_int_equal(rig_misanswered(m->stock), 0);
    books_assert(m->payment, "payment", "payment:user", "credit", "funded", m->user, MODEL_MADE);
    books_assert(m->stock, "stock", "stock:item", "quantity", "added", m->item, MODEL_MADE);
    assert_true(m->effects > COMMANDS / 10 && m->refusals > COMMANDS / 100);
    assert_true(m->calls_of_many > COMMANDS / 20);
}

static int setup(void **state)
{
    const char *given = getenv("KASSA_TEST_SEED");
    struct model *m = mem_new(sizeof(*m));
    m->seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("seed %u (KASSA_TEST_SEED)\n", m->seed);
    m->payment = rig_new(&payment_library);
    m->stock = rig_new(&stock_library);
    m->charges.store = m->payment;
    m->takes.store = m->stock;
    m->command = mem_new(COMMANDS * sizeof(*m->command));
    m->saga = mem_new(COMMANDS * sizeof(*m->saga));
    for (unsigned i = 0; i < MODEL_MADE; i++) {
        const char *id = id_at(NOW_MS);
        rig_ask(m->payment, "FCALL", "payment_create", "2", bucket_of("payment", id),
                text_of("payment:user:%u", i), id);
        rig_ask(m->stock, "FCALL", "stock_create", "2", bucket_of("stock", id),
                text_of("stock:item:%u", i), id, "3");
    }
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    struct model *m = *state;
    rig_free(m->payment);
    rig_free(m->stock);
    args_free(&m->charges.call);
    args_free(&m->takes.call);
    buf_free(&m->charges.expected);
    buf_free(&m->takes.expected);
    free(m->command);
    free(m->saga);
    free(m);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(conservation, setup, teardown),
    };
    return cmocka_run_group_tests_name("conservation", tests, NULL, NULL);
}
