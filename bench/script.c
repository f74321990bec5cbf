/* Scripts: from the command line, or from the table of mixes. */
#include "bench/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const script_names[SCRIPT_VARIABLES] = {"n", "user", "item", "order"};

#define MIX_PRICE  "3"
#define MIX_CREDIT "100"
#define MIX_STOCK  "5"

struct script_mix {
    const char *mix;
    const char *method;
    const char *path;
    enum script_variable capture;
    const char *expect;
};

/* One row is one step; a mix is its rows from top to bottom, again and again. */
static const struct script_mix script_mixes[] = {
    {"shop", "POST", "/payment/create_user", SCRIPT_USER, "create user=200 {\"user_id\":\""},
    {"shop", "POST", "/payment/add_funds/{user}/" MIX_CREDIT, SCRIPT_N,
     "add funds=200 {\"done\":true,\"credit\":" MIX_CREDIT "}"},
    {"shop", "GET", "/payment/find_user/{user}", SCRIPT_N,
     "find user=200 {\"user_id\":\"{user}\",\"credit\":" MIX_CREDIT "}"},
    {"shop", "POST", "/stock/item/create/" MIX_PRICE, SCRIPT_ITEM,
     "create item=200 {\"item_id\":\""},
    {"shop", "POST", "/stock/add/{item}/" MIX_STOCK, SCRIPT_N,
     "add stock=200 {\"added\":true,\"stock\":" MIX_STOCK "}"},
    {"shop", "GET", "/stock/find/{item}", SCRIPT_N,
     "find item=200 {\"stock\":" MIX_STOCK ",\"price\":" MIX_PRICE "}"},
    {"shop", "POST", "/orders/create/{user}", SCRIPT_ORDER, "create order=200 {\"order_id\":\""},
    {"shop", "POST", "/orders/addItem/{order}/{item}/1", SCRIPT_N,
     "add item=200 {\"added\":true,\"order_id\":\"{order}\",\"total_cost\":" MIX_PRICE "}"},
    {"shop", "GET", "/orders/find/{order}", SCRIPT_N,
     "find order=200 {\"order_id\":\"{order}\",\"paid\":false,\"items\":[[\"{item}\",1]],"
     "\"user_id\":\"{user}\",\"total_cost\":" MIX_PRICE "}"},
};

bool script_add_step(struct script *s, const char *method, const char *path,
                     enum script_variable capture)
{
    if (s->step_count == SCRIPT_STEPS_MAX) {
        return false;
    }
    s->steps[s->step_count++] =
        (struct script_step){.method = method, .path = path, .capture = capture};
    return true;
}

bool script_add_expect(struct script *s, const char *text)
{
    struct script_step *step = &s->steps[s->step_count - 1];
    struct script_expect expect = {0};
    bool is_named = *text < '0' || *text > '9';
    size_t name_bytes = is_named ? strcspn(text, "=") : strlen(text);
    const char *status = is_named ? text + name_bytes + (text[name_bytes] == '=') : text;
    char *end;
    expect.status = (int)strtol(status, &end, 10);
    if (end != status + 3 || expect.status < 200 || (*end != '\0' && *end != ' ') ||
        step->expect_count == SCRIPT_EXPECTS_MAX || s->kind_count == SCRIPT_KINDS_MAX) {
        return false;
    }
    snprintf(expect.name, sizeof(expect.name), "%.*s", (int)name_bytes, text);
    expect.text = *end == ' ' ? end + 1 : end;
    expect.kind = s->kind_count++;
    step->expects[step->expect_count++] = expect;
    return true;
}

bool script_load_mix(struct script *s, const char *name)
{
    for (size_t i = 0; i < sizeof(script_mixes) / sizeof(script_mixes[0]); i++) {
        const struct script_mix *row = &script_mixes[i];
        if (strcmp(row->mix, name) == 0 &&
            (!script_add_step(s, row->method, row->path, row->capture) ||
             !script_add_expect(s, row->expect))) {
            return false;
        }
    }
    return s->step_count > 0;
}

/* The variable whose name in braces `text` begins with; its bytes, braces included. */
static enum script_variable script_variable_at(const char *text, size_t *ret_bytes)
{
    for (unsigned i = 0; i < SCRIPT_VARIABLES; i++) {
        size_t bytes = strlen(script_names[i]);
        if (strncmp(text + 1, script_names[i], bytes) == 0 && text[1 + bytes] == '}') {
            *ret_bytes = bytes + 2;
            return (enum script_variable)i;
        }
    }
    return SCRIPT_VARIABLES; /* a brace like any other: JSON has them too */
}

int script_fill(const char *text, const struct script_values *values, char *ret_text, size_t size)
{
    size_t used = 0;
    while (*text != '\0') {
        size_t skip = 1, bytes = 1;
        const char *piece = text;
        if (*text == '{') {
            enum script_variable variable = script_variable_at(text, &skip);
            if (variable != SCRIPT_VARIABLES) {
                piece = values->text[variable];
                bytes = strlen(piece);
            }
        }
        if (used + bytes >= size) {
            return -1;
        }
        memcpy(ret_text + used, piece, bytes);
        used += bytes;
        text += skip;
    }
    ret_text[used] = '\0';
    return (int)used;
}

/* The value of "<name>_id":"<value>" in a body. Errors: false, and *values untouched. */
static bool script_capture(enum script_variable variable, struct slice body,
                           struct script_values *values)
{
    char key[32];
    int bytes = snprintf(key, sizeof(key), "\"%s_id\":\"", script_names[variable]);
    const char *at = memmem(body.data, body.bytes, key, (size_t)bytes);
    if (at == NULL) {
        return false;
    }
    at += bytes;
    const char *end = memchr(at, '"', (size_t)(body.data + body.bytes - at));
    struct slice id = {at, end != NULL ? (size_t)(end - at) : 0};
    if (!slice_is_id(id)) {
        return false;
    }
    memcpy(values->text[variable], id.data, id.bytes);
    values->text[variable][id.bytes] = '\0';
    return true;
}

const struct script_expect *script_judge(const struct script_step *step,
                                         const struct answer *answer, struct script_values *values)
{
    for (unsigned i = 0; i < step->expect_count; i++) {
        const struct script_expect *expect = &step->expects[i];
        char text[SCRIPT_PATH_MAX];
        if (expect->status != answer->status) {
            continue;
        }
        int bytes = script_fill(expect->text, values, text, sizeof(text));
        if (bytes < 0 || (bytes > 0 && memmem(answer->body.data, answer->body.bytes, text,
                                              (size_t)bytes) == NULL)) {
            continue;
        }
        if (step->capture != SCRIPT_N && !script_capture(step->capture, answer->body, values)) {
            continue;
        }
        return expect;
    }
    return NULL;
}
