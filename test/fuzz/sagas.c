/* Any text as the id of a saga command, as a saga's state, and as the stories that a client reads.
 * What is parsed is what was printed; every story makes one JSON value. */
#include "test/fuzz/fuzz.h"

#include "checkout/checkout.h"
#include "saga/step.h"
#include "gateway/reply.h"
#include "runtime/json.h"

static void command_check(const struct saga_definition *def, struct slice id)
{
    struct saga_command command;
    if (!saga_command_parse(def, id, &command)) {
        return;
    }
    assert(slice_is_id(command.saga) && command.row < def->row_count);
    struct buf action = {0}, undo = {0};
    saga_command_text(def, command.saga, command.attempt, command.row, false, &action);
    saga_command_text(def, command.saga, command.attempt, command.row, true, &undo);
    assert(slice_equal(id, buf_slice(&action)) || slice_equal(id, buf_slice(&undo)));
    buf_free(&action);
    buf_free(&undo);
}

static void state_check(const struct saga_definition *def, struct slice name)
{
    struct saga_state state;
    if (saga_state_parse(def, name, &state)) {
        assert(slice_is(name, saga_state_text(def, state)));
        for (unsigned kind = 0; kind < SAGA_EVENT_COUNT; kind++) {
            struct saga_output output;
            struct saga_event event = {.kind = kind, .row = state.row};
            if (saga_step(def, state, event, &output) == 0) {
                assert(saga_state_text(def, output.next) != NULL);
            }
        }
    }
}

/* The story as it comes over the wire: a text field that does not have the form of one has been
 * refused there. */
static bool story_is_text(struct slice text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        if ((c != '\n' && (c < ' ' || c > '~')) || c == '"' || c == '\\') {
            return false;
        }
    }
    return text.bytes <= KIND_TEXT_MAX;
}

extern const struct route_table saga_routes; /* gateway/api/saga.c */

static void story_check(const struct route *route, struct slice story)
{
    struct message command = {.type = route->type}, answer = {.type = MESSAGE_SAGAS};
    struct reply reply;
    message_set(&command, saga, SLICE_TEXT("s"));
    message_set(&answer, story, story);
    bool is_made = reply_make(route, &command, &answer, &reply);
    assert(is_made && reply.status == 200);
    struct json *body = json_parse(buf_slice(&reply.body));
    assert(body != NULL);
    json_free(body);
    reply_free(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = fuzz_slice(data, size);
    command_check(&checkout_definition, text);
    state_check(&checkout_definition, text);
    if (story_is_text(text)) {
        for (unsigned i = 0; i < saga_routes.count; i++) {
            if (saga_routes.routes[i].reply) {
                story_check(&saga_routes.routes[i], text);
            }
        }
    }
    return 0;
}
