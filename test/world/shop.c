/* Clients with little money before shelves with little on them: who comes when, and what has to be
 * true in the end. */
#include "test/world/shop.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "test/world/books.h"
#include "test/world/request.h"

#define OPEN_MS     4000 /* requests come within this time */
#define UNKNOWN_MAX 8
#define LISTS       40   /* that are asked for at once */
#define BATCH_MORE  400  /* users, or items */
#define PLENTY      1000 /* what is sent again because it was lost must not be refused now */

void shop_is_full(int64_t from_us, int64_t to_us)
{
    shop.settled_us = world.now_us + from_us + FULL_TOLD_US;
    shop.room_us = world.now_us + to_us - FULL_TOLD_US;
    struct request *r = request_new(FUND);
    r->user = world_random(USERS);
    r->amount = 1;
    snprintf(r->path, sizeof(r->path), "/payment/add_funds/u%u/1", r->user);
    request_at(r, from_us, request_turned_away);
    r = request_new(CHECKOUT);
    r->order = world_random(ORDERS);
    snprintf(r->path, sizeof(r->path), "/orders/checkout/o%u", r->order);
    request_at(r, from_us, request_turned_away);
}

static int64_t soon_us(void)
{
    return 20000 + (int64_t)world_random(OPEN_MS) * 1000;
}

static bool is_loss_of(const char *service)
{
    return shop.loss != NULL && strcmp(shop.loss, service) == 0;
}

static void shop_fill(void)
{
    for (unsigned u = 0; u < USERS; u++) {
        shop.credit[u] = world_random(14) + (is_loss_of("payment") ? PLENTY : 0);
        books_set(text_of("payment:user:u%u", u), "credit", shop.credit[u]);
        books_set(text_of("payment:user:u%u", u), "funded", shop.credit[u]);
    }
    for (unsigned i = 0; i < ITEMS; i++) {
        shop.stock[i] = world_random(7) + (is_loss_of("stock") ? PLENTY : 0);
        books_set(text_of("stock:item:i%u", i), "quantity", shop.stock[i]);
        books_set(text_of("stock:item:i%u", i), "added", shop.stock[i]);
        books_set(text_of("stock:item:i%u", i), "price", 1 + i);
    }
    for (unsigned o = 0; o < ORDERS; o++) {
        char lines[64] = "";
        unsigned total = 0, first = world_random(ITEMS);
        for (unsigned l = 0; l < 1 + world_random(2); l++) {
            unsigned item = (first + l) % ITEMS, pieces = 1 + world_random(2);
            size_t at = strlen(lines);
            snprintf(lines + at, sizeof(lines) - at, "%si%u*%u", l > 0 ? "," : "", item, pieces);
            total += pieces * (1 + item);
            if (l == 1) {
                break;
            }
        }
        books_set_text(text_order(o), "user", text_of("u%u", world_random(USERS)));
        books_set_text(text_order(o), "lines", lines);
        books_set(text_order(o), "total", total);
    }
}

static void shop_schedule(void)
{
    for (unsigned n = 0; n < 20; n++) {
        struct request *r = request_new(CHECKOUT);
        r->order = world_random(ORDERS);
        snprintf(r->path, sizeof(r->path), "/orders/checkout/o%u", r->order);
        int64_t at_us = soon_us();
        request_at(r, at_us, request_send);
        if (request_has_key(r) && world_random(3) == 0) {
            request_at(r, at_us + (int64_t)world_random(6000) * 1000, request_repeat);
        }
    }
    for (unsigned n = 0; n < (is_loss_of("payment") ? 0 : 5); n++) {
        struct request *r = request_new(FUND);
        r->user = world_random(USERS);
        r->amount = 1 + world_random(5);
        snprintf(r->path, sizeof(r->path), "/payment/add_funds/u%u/%u", r->user, r->amount);
        request_at(r, soon_us(), request_send);
        if (request_has_key(r)) {
            request_at(r, soon_us(), request_repeat);
        }
    }
    for (unsigned n = 0; n < 5; n++) {
        struct request *r = request_new(ADD);
        snprintf(r->path, sizeof(r->path), "/orders/addItem/o%u/i%u/1", world_random(ORDERS),
                 world_random(ITEMS));
        request_at(r, soon_us(), request_send);
    }
}

/* An operator looks for what is open and cancels it; what he is told is of no account. */
static void on_cancel_answered(void *ctx, unsigned status, const char *body)
{
    (void)ctx, (void)status, (void)body;
}

static void operator_looks(void *ctx)
{
    struct books books;
    (void)ctx;
    books_read(&books);
    for (unsigned i = 0; i < books.order_count; i++) {
        const struct books_order *o = &books.orders[i];
        if (o->saga[0] != '\0' && strcmp(o->state, "PAID") != 0 && world_random(2) == 0) {
            http_world_request(shop.gateways[0], "POST", text_of("/sagas/%s/cancel", o->saga), NULL,
                               on_cancel_answered, NULL);
            break;
        }
    }
    books_free(&books);
}

/* Where looking takes time, many ask for a list, and nobody waits for it. */
static void lists_look(void *ctx)
{
    static const char *const lists[] = {"/sagas", "/sagas?state=STUCK", "/sagas?state=open",
                                        "/sagas?limit=1"};
    (void)ctx;
    for (unsigned n = 0; n < LISTS; n++) {
        http_world_glance(shop.gateways[n % shop.gateway_count], lists[world_random(4)]);
    }
}

/* .. and some have very much made. */
static void batches_schedule(void)
{
    struct request *r = request_new(BATCH);
    snprintf(r->path, sizeof(r->path), "/payment/batch_init/%u/1", 200 + world_random(BATCH_MORE));
    request_at(r, soon_us(), request_send);
    r = request_new(BATCH);
    snprintf(r->path, sizeof(r->path), "/stock/batch_init/%u/1/1", 200 + world_random(BATCH_MORE));
    request_at(r, soon_us(), request_send);
}

static void poison_look(void *ctx)
{
    (void)ctx;
    http_world_glance(shop.gateways[0], "/stock/find/" STORE_POISON);
}

void shop_open(struct node *const *gateways, unsigned count, const char *loss)
{
    memset(&shop, 0, sizeof(shop));
    shop.gateways = gateways;
    shop.gateway_count = count;
    shop.loss = loss;
    shop_fill();
    shop_schedule();
    for (unsigned n = is_loss_of("stock") ? 0 : world_random(6); n > 0; n--) {
        world_after(NULL, soon_us(), operator_looks, NULL);
    }
    if (world.costs.has_poison) {
        world_after(NULL, soon_us(), poison_look, NULL);
    }
    if (world.costs.look_us > 0) {
        world_after(NULL, soon_us(), lists_look, NULL);
        batches_schedule();
    }
}

void shop_again(int64_t within_us)
{
    unsigned count = shop.request_count;
    for (unsigned i = 0; i < count; i++) {
        struct request *r = &shop.requests[i];
        if (r->key[0] != '\0' && r->status > 0 && (r->kind == CHECKOUT || r->kind == FUND) &&
            world_random(2) == 0) {
            request_at(r, world_random((uint32_t)within_us), request_repeat);
        }
    }
    for (unsigned n = 0; n < 8; n++) {
        struct request *r = request_new(CHECKOUT);
        r->order = world_random(ORDERS);
        snprintf(r->path, sizeof(r->path), "/orders/checkout/o%u", r->order);
        request_has_key(r);
        request_at(r, world_random((uint32_t)within_us), request_send);
    }
    for (unsigned n = 0; n < 3; n++) {
        struct request *r = request_new(FUND);
        r->user = world_random(USERS);
        r->amount = 1 + world_random(5);
        snprintf(r->path, sizeof(r->path), "/payment/add_funds/u%u/%u", r->user, r->amount);
        request_at(r, world_random((uint32_t)within_us), request_send);
    }
    for (unsigned n = 0; n < 2; n++) {
        struct request *r = request_new(ADD);
        snprintf(r->path, sizeof(r->path), "/orders/addItem/o%u/i%u/1", world_random(ORDERS),
                 world_random(ITEMS));
        request_at(r, world_random((uint32_t)within_us), request_send);
    }
}

unsigned shop_waiting(void)
{
    unsigned waiting = 0;
    for (unsigned i = 0; i < shop.request_count; i++) {
        waiting += !shop.requests[i].is_answered;
    }
    return waiting;
}

void shop_leave_out(uint64_t requests)
{
    request_leave_out(requests);
}

unsigned shop_requests(void)
{
    return shop.request_count;
}

unsigned shop_checkouts(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < shop.request_count; i++) {
        n += shop.requests[i].kind == CHECKOUT;
    }
    return n;
}

/* ---- the end ---- */

static void check_request(const struct books *books, const struct request *r)
{
    if (!r->is_answered) {
        world_fault("%s %s: never answered", r->key, r->path);
        return;
    }
    if (r->status == 0 || request_is_expired(r->status)) {
        return; /* left out, or nothing was done */
    }
    if (r->kind != CHECKOUT) {
        if (r->status != 200 && r->kind != ADD && !r->is_unknown) {
            world_fault("%s: %u %s", r->path, r->status, r->body);
        }
        return;
    }
    const struct books_order *o = books_order(books, text_order(r->order));
    if (!o) {
        world_fault("%s: the order is not there any more", r->path);
        return;
    }
    if (r->status == 200 && strcmp(o->state, "PAID") != 0) {
        world_fault("%s: told paid, ended %s", r->path, o->state);
    }
    if (r->status != 200 && r->status != 400) {
        world_fault("%s: %u %s", r->path, r->status, r->body);
    }
    if (r->status == 400 && request_body_has(r, "out of stock") &&
        books_has_stock(books, o->lines)) {
        world_fault("%s: told out of stock, but it is all there", r->path);
    }
}

void shop_check_ended(void)
{
    struct books books;
    books_read(&books);
    for (unsigned i = 0; i < books.order_count; i++) {
        const struct books_order *o = &books.orders[i];
        if (o->saga[0] != '\0' && strcmp(o->state, "PAID") != 0 &&
            strcmp(o->state, "FAILED") != 0) {
            world_fault("order %s: still %s, since a store is full", o->id, o->state);
        }
    }
    books_free(&books);
}

/* Of what nobody knows, some may have been done: which ones the store says, if any sum of them
 * fits.
 */
static void check_user(const struct books *books, unsigned user)
{
    int64_t told = shop.credit[user], sums[1 << UNKNOWN_MAX] = {0};
    unsigned unknown = 0;
    for (unsigned i = 0; i < shop.request_count; i++) {
        const struct request *r = &shop.requests[i];
        if (r->kind != FUND || r->user != user || !r->is_answered) {
            continue;
        }
        told += r->status == 200 ? r->amount : 0;
        if (r->is_unknown && unknown < UNKNOWN_MAX) {
            for (unsigned n = 0; n < 1u << unknown; n++) {
                sums[n | 1u << unknown] = sums[n] + r->amount;
            }
            unknown++;
        }
    }
    const char *id = text_of("u%u", user);
    int64_t given = books_given(books, id);
    for (unsigned n = 1; n < 1u << unknown; n++) {
        if (told + sums[n] == given) {
            told = given;
            break;
        }
    }
    books_check_user(books, id, told);
}

void shop_check(void)
{
    struct books books;
    books_read(&books);
    for (unsigned i = 0; i < shop.request_count; i++) {
        check_request(&books, &shop.requests[i]);
    }
    for (unsigned u = 0; u < USERS; u++) {
        check_user(&books, u);
    }
    for (unsigned i = 0; i < ITEMS; i++) {
        books_check_item(&books, text_of("i%u", i), shop.stock[i]);
    }
    books_check_orders(&books);
    books_free(&books);
}
