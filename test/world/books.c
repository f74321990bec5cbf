/* Adds the records of the modelled store up, as an auditor would. */
#include "test/world/books.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "test/world/world.h"

#define RECORDS_MAX 1024

struct entry {
    char id[96];
    char record[160];
};

/* The records of one read. */
static struct {
    struct entry payment[RECORDS_MAX], stock[RECORDS_MAX], order[RECORDS_MAX];
    unsigned payment_count, stock_count, order_count;
} records;

const char *text_of(const char *format, ...)
{
    static char ring[16][160];
    static unsigned next;
    char *text = ring[next++ % 16];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(ring[0]), format, arguments);
    va_end(arguments);
    return text;
}

const char *text_order(unsigned order)
{
    return text_of("order:order:o%u", order);
}

void books_set_text(const char *key, const char *field, const char *value)
{
    store_set(key, field, value);
}

void books_set(const char *key, const char *field, int64_t value)
{
    store_set(key, field, text_of("%lld", (long long)value));
}

/* ---- reading ---- */

static const char *behind(const char *key, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return strncmp(key, prefix, bytes) == 0 ? key + bytes : NULL;
}

static void entry_add(struct entry *list, unsigned *count, const char *id, const char *record)
{
    assert(*count < RECORDS_MAX);
    snprintf(list[*count].id, sizeof(list[0].id), "%s", id);
    snprintf(list[*count].record, sizeof(list[0].record), "%s", record);
    (*count)++;
}

static struct books_account *account_at(struct books_account *list, unsigned *count, const char *id)
{
    for (unsigned i = 0; i < *count; i++) {
        if (strcmp(list[i].id, id) == 0) {
            return &list[i];
        }
    }
    assert(*count < BOOKS_MAX);
    snprintf(list[*count].id, sizeof(list[0].id), "%s", id);
    return &list[(*count)++];
}

static void order_field(struct books *books, const char *id, const char *field, const char *value)
{
    struct books_order *o = NULL;
    for (unsigned i = 0; i < books->order_count && o == NULL; i++) {
        o = strcmp(books->orders[i].id, id) == 0 ? &books->orders[i] : NULL;
    }
    if (o == NULL) {
        assert(books->order_count < BOOKS_MAX);
        o = &books->orders[books->order_count++];
        snprintf(o->id, sizeof(o->id), "%s", id);
    }
    if (strcmp(field, "user") == 0) {
        snprintf(o->user, sizeof(o->user), "%s", value);
    } else if (strcmp(field, "journal") == 0) {
        struct slice rest = slice_from(value), saga, attempt, state;
        slice_cut(&rest, '|', &saga);
        slice_cut(&rest, '|', &attempt);
        slice_cut(&rest, '|', &state);
        snprintf(o->saga, sizeof(o->saga), "%.*s", SLICE_ARG(saga));
        snprintf(o->state, sizeof(o->state), "%.*s", SLICE_ARG(state));
    } else if (strcmp(field, "lines") == 0) {
        snprintf(o->lines, sizeof(o->lines), "%s", value);
    } else if (strcmp(field, "total") == 0) {
        o->total = atoll(value);
    }
}

/* A batch's users and items have numbers; nobody buys or pays with them. */
static bool is_of_batch(const char *key)
{
    const char *id = strrchr(key, ':');
    return (behind(key, "payment:user:") || behind(key, "stock:item:")) && id[1] >= '0' &&
           id[1] <= '9';
}

static void on_field(void *ctx, const char *key, const char *field, const char *value)
{
    struct books *books = ctx;
    const char *id;
    if (is_of_batch(key)) {
        return;
    }
    if ((id = behind(key, "payment:user:")) != NULL) {
        struct books_account *a = account_at(books->users, &books->user_count, id);
        *(strcmp(field, "credit") == 0 ? &a->left : &a->given) = atoll(value);
    } else if ((id = behind(key, "stock:item:")) != NULL) {
        struct books_account *a = account_at(books->items, &books->item_count, id);
        if (strcmp(field, "price") != 0) {
            *(strcmp(field, "quantity") == 0 ? &a->left : &a->given) = atoll(value);
        }
    } else if ((id = behind(key, "order:order:")) != NULL) {
        order_field(books, id, field, value);
    } else if (behind(key, "payment:once:") != NULL) {
        entry_add(records.payment, &records.payment_count, field, value);
    } else if (behind(key, "stock:once:") != NULL) {
        entry_add(records.stock, &records.stock_count, field, value);
    } else if (behind(key, "order:once:") != NULL) {
        entry_add(records.order, &records.order_count, field, value);
    }
}

/* The order whose saga a command belongs to; NULL: none, it came from a client. */
static struct books_order *order_of(struct books *books, const char *command)
{
    char saga[40], order[24];
    if (sscanf(command, "%39[^:]:", saga) != 1 || strchr(command, ':') == NULL) {
        return NULL;
    }
    for (unsigned i = 0; i < records.order_count; i++) {
        const char *record = records.order[i].record;
        if (strcmp(records.order[i].id, saga) == 0 &&
            (sscanf(record, "begun|%23[^|]|", order) == 1 ||
             sscanf(record, "ended|%23[^|]|", order) == 1)) {
            return (struct books_order *)books_order(books, text_of("order:order:%s", order));
        }
    }
    world_fault("%s: a command without a saga has acted", command);
    return NULL;
}

static bool is_newest(const struct books_order *o, const char *command)
{
    return strncmp(o->saga, command, strlen(o->saga)) == 0;
}

static void add_payment(struct books *books, const struct entry *e)
{
    char outcome[16], user[24];
    long long amount;
    if (sscanf(e->record, "%15[^|]|%23[^|]|%lld", outcome, user, &amount) != 3) {
        return; /* refused, cancelled, refunded nothing */
    }
    int64_t sign = strcmp(outcome, "refunded") == 0                                  ? -1
                   : strcmp(outcome, "charged") == 0 || strcmp(outcome, "paid") == 0 ? 1
                                                                                     : 0;
    if (sign == 0) {
        return;
    }
    account_at(books->users, &books->user_count, user)->taken += sign * amount;
    struct books_order *o = order_of(books, e->id);
    if (o != NULL) {
        o->charged += sign * amount;
        o->charges += sign > 0 && is_newest(o, e->id);
    }
}

static void add_take(struct books *books, const struct entry *e)
{
    const char *lines = behind(e->record, "taken|");
    if (lines == NULL) {
        return;
    }
    struct books_order *o = order_of(books, e->id);
    if (o != NULL) {
        o->takes++;
        o->is_taken = is_newest(o, e->id);
    }
    char item[24];
    long long pieces;
    size_t at = 0;
    for (const char *line = lines; sscanf(line, "%23[^*]*%lld", item, &pieces) == 2;) {
        account_at(books->items, &books->item_count, item)->taken += pieces;
        if (o != NULL) {
            at += (size_t)snprintf(o->taken + at, sizeof(o->taken) - at, "%s%s*%lld",
                                   at > 0 ? "," : "", item, pieces);
        }
        line = strchr(line, ',');
        if (line == NULL) {
            break;
        }
        line++;
    }
}

void books_read(struct books *books)
{
    memset(books, 0, sizeof(*books));
    records.payment_count = records.stock_count = records.order_count = 0;
    store_each(on_field, books);
    for (unsigned i = 0; i < records.payment_count; i++) {
        add_payment(books, &records.payment[i]);
    }
    for (unsigned i = 0; i < records.stock_count; i++) {
        add_take(books, &records.stock[i]);
    }
}

void books_free(struct books *books)
{
    (void)books;
}

const struct books_order *books_order(const struct books *books, const char *key)
{
    const char *id = behind(key, "order:order:");
    for (unsigned i = 0; i < books->order_count; i++) {
        if (strcmp(books->orders[i].id, id) == 0) {
            return &books->orders[i];
        }
    }
    return NULL;
}

bool books_has_stock(const struct books *books, const char *lines)
{
    struct slice rest = slice_from(lines), line, item;
    while (rest.bytes > 0 && slice_cut(&rest, ',', &line)) {
        int64_t pieces = 0;
        slice_cut(&line, '*', &item);
        slice_int64(line, &pieces);
        for (unsigned i = 0; i < books->item_count; i++) {
            if (slice_is(item, books->items[i].id) && books->items[i].left < pieces) {
                return false;
            }
        }
    }
    return true;
}

/* ---- checks ---- */

static void check_account(const struct books_account *list, unsigned count, const char *what,
                          const char *id, int64_t given)
{
    for (unsigned i = 0; i < count; i++) {
        const struct books_account *a = &list[i];
        if (strcmp(a->id, id) != 0) {
            continue;
        }
        if (a->left < 0) {
            world_fault("%s %s: %lld left", what, id, (long long)a->left);
        }
        if (a->left + a->taken != given || a->given != given) {
            world_fault("%s %s: %lld left and %lld taken, of %lld (the store says %lld)", what, id,
                        (long long)a->left, (long long)a->taken, (long long)given,
                        (long long)a->given);
        }
    }
}

int64_t books_given(const struct books *books, const char *user)
{
    for (unsigned i = 0; i < books->user_count; i++) {
        if (strcmp(books->users[i].id, user) == 0) {
            return books->users[i].given;
        }
    }
    return 0;
}

void books_check_user(const struct books *books, const char *id, int64_t given)
{
    check_account(books->users, books->user_count, "user", id, given);
}

void books_check_item(const struct books *books, const char *id, int64_t given)
{
    check_account(books->items, books->item_count, "item", id, given);
}

void books_check_orders(const struct books *books)
{
    for (unsigned i = 0; i < books->order_count; i++) {
        const struct books_order *o = &books->orders[i];
        bool is_paid = strcmp(o->state, "PAID") == 0;
        bool has_ended = is_paid || strcmp(o->state, "FAILED") == 0 || o->state[0] == '\0';
        if (!has_ended) {
            world_fault("order %s: still %s", o->id, o->state);
        }
        if (is_paid && (o->charged != o->total || o->charges != 1 || o->takes != 1 ||
                        strcmp(o->taken, o->lines) != 0)) {
            world_fault("order %s: paid %lld with %lld charged, lines %s with %s taken", o->id,
                        (long long)o->total, (long long)o->charged, o->lines, o->taken);
        }
        if (!is_paid && (o->charged != 0 || o->takes != 0)) {
            world_fault("order %s: not paid, but %lld charged and %u taken", o->id,
                        (long long)o->charged, o->takes);
        }
    }
}
