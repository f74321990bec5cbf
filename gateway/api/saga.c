/* The routes of sagas: their stories, and giving one up. */
#include "gateway/routes.h"
#include "runtime/json.h"

#define SAGA_LIMIT_DEFAULT 20
#define SAGA_LIMIT_MAX     100

/* "state:wall_ms:retries,.." ; the last one's retries are the journal's, beside the story. */
static void saga_add_steps(struct buf *body, struct slice story, int64_t last_retries)
{
    struct slice entry;
    json_open(body, "steps", '[');
    while (slice_cut(&story, ',', &entry)) {
        struct slice state = {0}, ms = {0}, retries = {0};
        int64_t at_ms = 0, count = 0;
        slice_cut(&entry, ':', &state);
        slice_cut(&entry, ':', &ms);
        slice_cut(&entry, ':', &retries);
        slice_int64(ms, &at_ms);
        slice_int64(retries, &count);
        json_open(body, NULL, '{');
        json_add_text(body, "state", state);
        json_add_int(body, "at_ms", at_ms);
        json_add_int(body, "retries", story.data ? count : last_retries);
        json_close(body, '}');
    }
    json_close(body, ']');
}

/* "saga|order|attempt|state|began_ms|retries|reason|story" */
static void saga_add(struct buf *body, struct slice line)
{
    enum { SAGA, ORDER, ATTEMPT, STATE, BEGAN_MS, RETRIES, REASON, STORY, FIELDS };
    struct slice field[FIELDS] = {0};
    int64_t attempt = 0, began_ms = 0, retries = 0;
    for (unsigned i = 0; i < FIELDS && slice_cut(&line, '|', &field[i]); i++) {
    }
    slice_int64(field[ATTEMPT], &attempt);
    slice_int64(field[BEGAN_MS], &began_ms);
    slice_int64(field[RETRIES], &retries);
    json_add_text(body, "saga_id", field[SAGA]);
    json_add_text(body, "order_id", field[ORDER]);
    json_add_text(body, "state", field[STATE]);
    json_add_int(body, "attempt", attempt);
    if (field[REASON].bytes > 0) {
        json_add_text(body, "reason", field[REASON]);
    } else {
        json_add_null(body, "reason");
    }
    json_add_int(body, "began_ms", began_ms);
    saga_add_steps(body, field[STORY], retries);
}

static bool saga_found(struct buf *body, const struct message *command,
                       const struct message *answer)
{
    (void)command;
    saga_add(body, answer->story);
    return answer->type == MESSAGE_SAGAS;
}

static bool saga_listed(struct buf *body, const struct message *command,
                        const struct message *answer)
{
    (void)command;
    struct slice story = answer->story, line;
    json_open(body, "sagas", '[');
    while (story.bytes > 0 && slice_cut(&story, '\n', &line)) {
        json_open(body, NULL, '{');
        saga_add(body, line);
        json_close(body, '}');
    }
    json_close(body, ']');
    return answer->type == MESSAGE_SAGAS;
}

/* Who cancels is told that it has begun: 202. */
static bool saga_check_cancel(const struct gateway_conf *conf, struct route_match *match)
{
    (void)conf;
    message_set(&match->command, async, 1);
    return true;
}

static bool saga_limit(struct slice value, struct route_match *match)
{
    int64_t limit;
    if (route_is_cut(value) || !route_amount(value, &limit) || limit < 1 ||
        limit > SAGA_LIMIT_MAX) {
        return route_refuse(match, 400, "limit must be a whole number from 1 to %d",
                            SAGA_LIMIT_MAX);
    }
    message_set(&match->command, limit, limit);
    return true;
}

/* An empty value is as good as none. */
static bool saga_filter(struct slice name, struct slice value, struct route_match *match)
{
    bool is_order = slice_is(name, "order");
    if ((!is_order && !slice_is(name, "state")) || (value.bytes > 0 && !slice_is_id(value))) {
        return route_refuse(match, 400,
                            "the query may have state, order and limit, each well-formed");
    }
    return value.bytes == 0 ||
           message_put(&match->command, is_order ? MESSAGE_HAS_order : MESSAGE_HAS_state, value);
}

/* state=&order=&limit= */
static bool saga_query(struct slice query, struct route_text *text, struct route_match *match)
{
    struct slice part, name, value;
    unsigned count = 0;
    message_set(&match->command, limit, SAGA_LIMIT_DEFAULT);
    while (slice_cut(&query, '&', &part)) {
        slice_cut(&part, '=', &name);
        if (name.bytes == 0 && !part.data) {
            continue; /* no query, or && */
        }
        if (++count > ROUTE_PARAMETERS_MAX) { /* there is no room for more of them */
            return route_refuse(match, 400, "too many parts in the query");
        }
        if (!route_decode(part, text, &value)) {
            return route_refuse(match, 400, "malformed percent-encoding in the query");
        }
        bool is_good =
            slice_is(name, "limit") ? saga_limit(value, match) : saga_filter(name, value, match);
        if (!is_good) {
            return false;
        }
    }
    return true;
}

static const struct route saga_rows[] = {
    {"GET", "/sagas/{saga}", "find_saga", MESSAGE_ORDER_SAGA, QUEUE_ORDER, .reply = saga_found},
    {"POST", "/sagas/{saga}/cancel", "cancel_saga", MESSAGE_ORDER_CANCEL, QUEUE_ORDER,
     .is = ROUTE_ENDS, .check = saga_check_cancel},
    {"GET", "/sagas", "list_sagas", MESSAGE_ORDER_SAGAS, QUEUE_ORDER, .query = saga_query,
     .reply = saga_listed},
};
const struct route_table saga_routes = ROUTE_TABLE(saga_rows);
