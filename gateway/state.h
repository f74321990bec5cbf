/* What the files of this room share. */
#ifndef KASSA_GATEWAY_STATE_H
#define KASSA_GATEWAY_STATE_H

#include "broker/broker.h"
#include "gateway/checkout.h"
#include "gateway/conf.h"
#include "gateway/overload.h"
#include "gateway/pending.h"
#include "gateway/ready.h"
#include "gateway/shortage.h"
#include "idempotency/conf.h"
#include "runtime/stat.h"

#define GATEWAY_CLOCKS_DIFFER "clocks differ, nothing was begun"

/* A route's counters, by status; each is made when it is first counted. */
#define GATEWAY_STATUS_MIN 200
#define GATEWAY_STATUS_MAX 599
struct gateway_answered {
    struct stat_value *by_status[GATEWAY_STATUS_MAX - GATEWAY_STATUS_MIN + 1];
};

struct gateway {
    struct service_context *context;
    const struct gateway_conf *conf;
    const struct once_conf *once;
    struct http *http;
    struct broker *broker;
    struct checkout *checkout;
    struct store *store; /* of the idempotency keys */
    struct sweep *sweep; /* of those that are old */
    struct pulse *pulse; /* of that store */
    struct subscription *notices;
    struct libraries *libraries; /* of that store */
    struct ready *ready;
    struct pending_table table;
    struct overload overload;
    struct http_answer *turned_away; /* the 429 */
    struct shortage *shortage;
    struct http_answer *short_of[SHORTAGE_COUNT]; /* the same, because a store is nearly full */
    struct loop_timer *tick;
    struct uuid id; /* names its notice channel; a new one at each start */
    struct args call;
    struct gateway_answered *answered; /* by row, and one more for what is no route */
    struct stat_value *asks;
    struct stat_value *shed;
    struct stat_value *left;              /* by their clients */
    struct stat_value *late, *unreadable; /* answers */
    struct stat_value *front_refused;
    struct stat_histogram *wait_ms;
};

#endif
