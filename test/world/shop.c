/* Clients with little money before shelves with little on them. Each request has a key, and is
 * sent again with it, to any gateway, when its connection is lost. */
#include "test/world/shop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/world/books.h"
#include "test/world/group.h"
#include "test/world/proxy.h"

#define USERS        4
#define ITEMS        3
#define ORDERS       8
#define REQUESTS_MAX 64
#define LOOK_MS      6000    /* what was told is looked at within this time */
#define OPEN_MS      4000    /* requests come within this time */
#define FULL_TOLD_US 6000000 /* until each gateway knows that a store is full */
#define UNKNOWN_MAX  8
#define LISTS        40  /* that are asked for at once */
#define BATCH_MORE   400 /* users, or items */

enum kind { CHECKOUT, FUND, ADD, CANCEL, BATCH };

struct request {
    enum kind kind;
    unsigned order, user;
    unsigned amount;
    char path[128];
    char key[32]; /* "": none */
    bool is_answered;
    bool is_unknown; /* it was told that nobody knows, and must not be sent again */
    unsigned status;
    char body[160];
};

static struct {
    struct node *const *gateways;
    unsigned gateway_count;
    struct request requests[REQUESTS_MAX];
    unsigned request_count, answered;
    unsigned credit[USERS], stock[ITEMS];
    const char *loss;   /* whose store loses its tail; NULL: none */
    int64_t settled_us; /* then all know which store is full */
    int64_t room_us;    /* soon it will not be so any more */
} shop;

#define PLENTY 1000 /* what is sent again because it was lost must not be refused now */
static uint64_t left_out;

static void request_send(void *ctx);

/* To some gateway, or to nginx. */
static void ask(const char *method, const char *path, const char *key, http_on_answer *on_answer,
                void *ctx)
{
    if (world.proxy_us > 0) {
        proxy_request(method, path, key, on_answer, ctx);
    } else {
        http_world_request(shop.gateways[world_random(shop.gateway_count)], method, path, key,
                           on_answer, ctx);
    }
}

static void request_ask(struct request *r, http_on_answer *on_answer)
{
    ask("POST", r->path, r->key[0] != '\0' ? r->key : NULL, on_answer, r);
}

static bool body_has(const struct request *r, const char *text)
{
    return strstr(r->body, text) != NULL;
}

/* Refund before refusal: at this instant nothing of the order is charged, unless it is open or
 * paid by another attempt. */
static void check_refusal_now(const struct request *r)
{
    struct books books;
    books_read(&books);
    const struct books_order *o = books_order(&books, text_order(r->order));
    if (o != NULL && strcmp(o->state, "FAILED") == 0 && o->charged != 0) {
        world_fault("%s: refused, but %lld are charged", r->path, (long long)o->charged);
    }
    books_free(&books);
}

static void check_payment_now(const struct request *r)
{
    struct books books;
    books_read(&books);
    const struct books_order *o = books_order(&books, text_order(r->order));
    if (o == NULL || strcmp(o->state, "PAID") != 0 || !o->is_taken || o->charged != o->total) {
        world_fault("%s: 200, but it is not paid", r->path);
    }
    books_free(&books);
}

/* Nothing was told, or to come again: it is sent again, with the same key. */
static bool is_sent_again(struct request *r, unsigned status, world_event *send)
{
    bool is_again = status == 0 || status == 429 || status == 503;
    if (is_again) {
        world_after(NULL, 100000, send, r);
    }
    return is_again;
}

/* Who was told that it is paid, and looks, sees it paid: for good. */
static void look_send(void *ctx);

static void on_looked(void *ctx, unsigned status, const char *body)
{
    struct request *r = ctx;
    if (is_sent_again(r, status, look_send)) {
        return;
    }
    if (status != 200 || strstr(body, "\"paid\":true") == NULL) {
        world_fault("o%u: told paid, and then %u %s", r->order, status, body);
    }
}

static void look_send(void *ctx)
{
    struct request *r = ctx;
    ask("GET", text_of("/orders/find/o%u", r->order), NULL, on_looked, r);
}

static void on_answered(void *ctx, unsigned status, const char *body)
{
    struct request *r = ctx;
    r->is_unknown = status == 503 && r->kind == FUND && r->key[0] == '\0';
    if (!r->is_unknown && is_sent_again(r, status, request_send)) {
        return;
    }
    world_say("client: %s %s -> %u %s", r->key, r->path, status, body);
    r->is_answered = true;
    r->status = status;
    snprintf(r->body, sizeof(r->body), "%s", body);
    shop.answered++;
    if (shop.loss != NULL) {
        return; /* until it is mended, the books are not those of which the client is told */
    }
    if (r->kind == CHECKOUT && status == 200) {
        check_payment_now(r);
        for (unsigned n = world_random(3); n > 0; n--) {
            world_after(NULL, (int64_t)world_random(LOOK_MS) * 1000, look_send, r);
        }
    } else if (r->kind == CHECKOUT && status == 400) {
        check_refusal_now(r);
    }
}

static void request_send(void *ctx)
{
    struct request *r = ctx;
    request_ask(r, on_answered);
}

/* A late repeat: the same key is sent once more and must be told the same. */
static void repeat_send(void *ctx);

static void on_repeat_answered(void *ctx, unsigned status, const char *body)
{
    struct request *r = ctx;
    if (is_sent_again(r, status, repeat_send)) {
        return;
    }
    shop.answered++;
    if (r->is_answered && (r->status != status || strcmp(r->body, body) != 0)) {
        world_fault("%s %s: told %u %s, and then %u %s", r->key, r->path, r->status, r->body,
                    status, body);
    }
}

static void repeat_send(void *ctx)
{
    struct request *r = ctx;
    request_ask(r, on_repeat_answered);
}

static struct request *request_new(enum kind kind)
{
    assert(shop.request_count < REQUESTS_MAX);
    struct request *r = &shop.requests[shop.request_count];
    *r = (struct request){.kind = kind};
    snprintf(r->key, sizeof(r->key), "request-%02u", shop.request_count++);
    return r;
}

/* Behind nginx not everybody needs a key: nginx repeats what has none, too. True: it has one. */
static bool request_has_key(struct request *r)
{
    if (world.proxy_us > 0 && world_random(3) == 0) {
        r->key[0] = '\0';
    }
    return r->key[0] != '\0';
}

/* Schedules it, unless it is left out: then it is as good as answered. */
static void request_at(struct request *r, int64_t at_us, world_event *send)
{
    if ((left_out >> (r - shop.requests) & 1) != 0) {
        r->is_answered = true;
        r->status = 0;
    } else {
        world_after(NULL, at_us, send, r);
    }
}

/* The first answer, while a store is full: nothing was begun. Then it is a request like any other.
 */
static void turned_away_send(void *ctx);

static void on_turned_away(void *ctx, unsigned status, const char *body)
{
    struct request *r = ctx;
    if (status == 0 || (world.proxy_us > 0 && status == 503)) {
        world_after(NULL, 100000, turned_away_send, r);
        return;
    }
    if (status != 429 || strstr(body, "is nearly full") == NULL) {
        world_fault("%s: %u %s, but a store is full", r->path, status, body);
    }
    on_answered(r, status, body);
}

static void turned_away_send(void *ctx)
{
    struct request *r = ctx;
    if (!group_are_whole()) {
        shop.settled_us = world.now_us + FULL_TOLD_US;
    }
    if (world.now_us <
        shop.settled_us) { /* who tells the gateways has to reach the store of keys */
        bool is_in_time = shop.settled_us < shop.room_us;
        world_after(NULL, is_in_time ? 500000 : 0, is_in_time ? turned_away_send : request_send, r);
        return;
    }
    request_ask(r, on_turned_away);
}

void shop_is_full(int64_t from_us, int64_t to_us)
{
    shop.settled_us = world.now_us + from_us + FULL_TOLD_US;
    shop.room_us = world.now_us + to_us - FULL_TOLD_US;
    struct request *r = request_new(FUND);
    r->user = world_random(USERS);
    r->amount = 1;
    snprintf(r->path, sizeof(r->path), "/payment/add_funds/u%u/1", r->user);
    request_at(r, from_us, turned_away_send);
    r = request_new(CHECKOUT);
    r->order = world_random(ORDERS);
    snprintf(r->path, sizeof(r->path), "/orders/checkout/o%u", r->order);
    request_at(r, from_us, turned_away_send);
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
            request_at(r, at_us + (int64_t)world_random(6000) * 1000, repeat_send);
        }
    }
    for (unsigned n = 0; n < (is_loss_of("payment") ? 0 : 5); n++) {
        struct request *r = request_new(FUND);
        r->user = world_random(USERS);
        r->amount = 1 + world_random(5);
        snprintf(r->path, sizeof(r->path), "/payment/add_funds/u%u/%u", r->user, r->amount);
        request_at(r, soon_us(), request_send);
        if (request_has_key(r)) {
            request_at(r, soon_us(), repeat_send);
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
    left_out = requests;
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
    if (r->status == 0) {
        return; /* left out */
    }
    if (r->kind != CHECKOUT) {
        if (r->status != 200 && r->kind != ADD && !r->is_unknown) {
            world_fault("%s: %u %s", r->path, r->status, r->body);
        }
        return;
    }
    const struct books_order *o = books_order(books, text_order(r->order));
    assert(o != NULL);
    if (r->status == 200 && strcmp(o->state, "PAID") != 0) {
        world_fault("%s: told paid, ended %s", r->path, o->state);
    }
    if (r->status != 200 && r->status != 400) {
        world_fault("%s: %u %s", r->path, r->status, r->body);
    }
    if (r->status == 400 && body_has(r, "out of stock") && books_has_stock(books, o->lines)) {
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
