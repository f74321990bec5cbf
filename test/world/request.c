/* Clients who ask, hear, and ask again. See request.h. */
#include "test/world/request.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "test/world/books.h"
#include "test/world/group.h"
#include "test/world/proxy.h"

#define LOOK_MS 6000 /* what was told is looked at within this time */

struct shop shop;
static uint64_t left_out;

void request_leave_out(uint64_t requests)
{
    left_out = requests;
}

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

bool request_body_has(const struct request *r, const char *text)
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

void request_send(void *ctx)
{
    struct request *r = ctx;
    request_ask(r, on_answered);
}

/* The id was made by a clock that was days behind. So it was refused, but who made it has not heard
 * of that; or its record went that early. */
bool request_is_expired(unsigned status)
{
    return status == 422 && world.leapt_us > 0 && world.chances.clocks > 0;
}

/* A late repeat: the same key is sent once more and must be told the same. */
static void on_repeat_answered(void *ctx, unsigned status, const char *body)
{
    struct request *r = ctx;
    if (is_sent_again(r, status, request_repeat)) {
        return;
    }
    shop.answered++;
    if (request_is_expired(status)) {
        return;
    }
    if (r->is_answered && (r->status != status || strcmp(r->body, body) != 0)) {
        world_fault("%s %s: told %u %s, and then %u %s", r->key, r->path, r->status, r->body,
                    status, body);
    }
}

void request_repeat(void *ctx)
{
    struct request *r = ctx;
    request_ask(r, on_repeat_answered);
}

struct request *request_new(enum kind kind)
{
    assert(shop.request_count < REQUESTS_MAX);
    struct request *r = &shop.requests[shop.request_count];
    *r = (struct request){.kind = kind};
    snprintf(r->key, sizeof(r->key), "request-%02u", shop.request_count++);
    return r;
}

/* Behind nginx not everybody needs a key: nginx repeats what has none, too. True: it has one. */
bool request_has_key(struct request *r)
{
    if (world.proxy_us > 0 && world_random(3) == 0) {
        r->key[0] = '\0';
    }
    return r->key[0] != '\0';
}

/* Schedules it, unless it is left out: then it is as good as answered. */
void request_at(struct request *r, int64_t at_us, world_event *send)
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
static void on_turned_away(void *ctx, unsigned status, const char *body)
{
    struct request *r = ctx;
    if (status == 0 || (world.proxy_us > 0 && status == 503)) {
        world_after(NULL, 100000, request_turned_away, r);
        return;
    }
    if (status != 429 || strstr(body, "is nearly full") == NULL) {
        world_fault("%s: %u %s, but a store is full", r->path, status, body);
    }
    on_answered(r, status, body);
}

void request_turned_away(void *ctx)
{
    struct request *r = ctx;
    if (!group_are_whole()) {
        shop.settled_us = world.now_us + FULL_TOLD_US;
    }
    if (world.now_us <
        shop.settled_us) { /* who tells the gateways has to reach the store of keys */
        bool is_in_time = shop.settled_us < shop.room_us;
        world_after(NULL, is_in_time ? 500000 : 0, is_in_time ? request_turned_away : request_send,
                    r);
        return;
    }
    request_ask(r, on_turned_away);
}
