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

/* A period's: sagas|their ids|credits|pieces|.. */
static void sums_add(struct books_sums *sums, const char *field, const char *value)
{
    long long sagas, credits, pieces;
    if ((field[0] == 'p' || field[0] == 'c') &&
        sscanf(value, "%lld|%*d|%lld|%lld|", &sagas, &credits, &pieces) == 3) {
        sums->sagas += sagas;
        sums->credits += credits;
        sums->pieces += pieces;
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
    } else if (strcmp(key, "payment:floor") == 0) {
        books->payment_floor = atoll(value);
    } else if (strcmp(key, "stock:floor") == 0) {
        books->stock_floor = atoll(value);
    } else if (strcmp(key, "order:floor") == 0) {
        books->order_floor = atoll(value);
    } else if (strcmp(key, "payment:folded") == 0) {
        sums_add(&books->payment_folded, field, value);
    } else if (strcmp(key, "stock:folded") == 0) {
        sums_add(&books->stock_folded, field, value);
    } else if (strstr(key, ":unfolded")) {
        books->has_unfolded = true;
    } else if (behind(key, "payment:once:") != NULL) {
        entry_add(records.payment, &records.payment_count, field, value);
    } else if (behind(key, "stock:once:") != NULL) {
        entry_add(records.stock, &records.stock_count, field, value);
    } else if (behind(key, "order:once:") != NULL) {
        entry_add(records.order, &records.order_count, field, value);
    }
}

/* The number of the bucket of an id's records: its first 9 digits. */
static int64_t bucket_of(const char *id)
{
    char digits[10];
    snprintf(digits, sizeof(digits), "%.8s%.1s", id, strlen(id) > 9 ? id + 9 : "");
    return strtoll(digits, NULL, 16);
}

/* The order whose saga a command belongs to; NULL: none, it came from a client, or of a failed saga
 * whose record is gone. */
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
    for (unsigned i = 0; i < books->order_count; i++) {
        if (strcmp(books->orders[i].saga, saga) == 0) {
            return &books->orders[i];
        }
    }
    if (bucket_of(saga) >= books->order_floor) {
        world_fault("%s: a command without a saga has acted", command);
    }
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
    } else if (strchr(e->id, ':')) {
        books->orphaned += sign * amount;
    }
}

/* Over the lines of an order or a take. */
struct lines_walk {
    const char *at; /* NULL: there are no more */
    char item[24];
    long long pieces;
};

static bool lines_next(struct lines_walk *walk)
{
    if (!walk->at || sscanf(walk->at, "%23[^*]*%lld", walk->item, &walk->pieces) != 2) {
        return false;
    }
    const char *comma = strchr(walk->at, ',');
    walk->at = comma ? comma + 1 : NULL;
    return true;
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
    } else {
        world_fault("%s: taken by a saga that is not there", e->id);
    }
    struct lines_walk walk = {lines, "", 0};
    size_t at = 0;
    while (lines_next(&walk)) {
        account_at(books->items, &books->item_count, walk.item)->taken += walk.pieces;
        if (o != NULL) {
            at += (size_t)snprintf(o->taken + at, sizeof(o->taken) - at, "%s%s*%lld",
                                   at > 0 ? "," : "", walk.item, walk.pieces);
        }
    }
}

/* A paid order whose charge or take has no record any more, because it is that old: it was taken
 * off what the user or item was given. */
static void add_gone(struct books *books, struct books_order *o)
{
    int64_t bucket = bucket_of(o->saga);
    if (o->charges == 0 && bucket < books->payment_floor) {
        struct books_account *user = account_at(books->users, &books->user_count, o->user);
        user->taken += o->total;
        user->given += o->total;
        o->charged += o->total;
        o->charges = 1;
        books->payment_gone.sagas++;
        books->payment_gone.credits += o->total;
    }
    if (o->takes == 0 && bucket < books->stock_floor) {
        struct lines_walk walk = {o->lines, "", 0};
        while (lines_next(&walk)) {
            struct books_account *item = account_at(books->items, &books->item_count, walk.item);
            item->taken += walk.pieces;
            item->given += walk.pieces;
            books->stock_gone.pieces += walk.pieces;
        }
        o->takes = 1;
        o->is_taken = true;
        memcpy(o->taken, o->lines, sizeof(o->taken));
        books->stock_gone.sagas++;
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
    for (unsigned i = 0; i < books->order_count; i++) {
        if (strcmp(books->orders[i].state, "PAID") == 0) {
            add_gone(books, &books->orders[i]);
        }
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

/* What was dropped is in the sums, and nothing else. */
static void check_sums(const char *service, const struct books_sums *have,
                       const struct books_sums *want)
{
    if (memcmp(have, want, sizeof(*have)) != 0) {
        world_fault("%s: sums of %lld sagas, %lld credits, %lld pieces; gone are %lld, %lld, %lld",
                    service, (long long)have->sagas, (long long)have->credits,
                    (long long)have->pieces, (long long)want->sagas, (long long)want->credits,
                    (long long)want->pieces);
    }
}

void books_check_orders(const struct books *books)
{
    check_sums("payment", &books->payment_folded, &books->payment_gone);
    check_sums("stock", &books->stock_folded, &books->stock_gone);
    if (books->orphaned != 0) {
        world_fault("%lld are charged by sagas that are not there", (long long)books->orphaned);
    }
    if (books->has_unfolded) {
        world_fault("a record could not be taken into the books");
    }
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
