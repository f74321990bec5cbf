/* Any method, path and query: a route with a command that can be sent, or a refusal with a short
 * sentence. The first byte picks the method, the rest is the target as it stands in a request
 * line, cut at the first '?' as the listener cuts it. */
#include "test/fuzz/fuzz.h"

#include <string.h>

#include "gateway/routes.h"
#include "test/lib/given.h"

static const struct gateway_conf *conf_get(void)
{
    static struct gateway_conf conf;
    if (conf.batch_max == 0) {
        given_load(&gateway_conf_table, given_none, &conf);
    }
    return &conf;
}

/* What the gateway adds to a command before it sends it (asking.c, asking_begin). */
static void command_complete(struct message *command, enum message_field creates)
{
    const struct slice id = SLICE_TEXT("0193a000-0000-7000-8000-000000000001");
    message_set(command, id, id);
    message_set(command, gateway, id);
    if (creates != MESSAGE_HAS_id) {
        message_put(command, creates, id);
    }
}

/* The command passes through the wire: its writer asserts the form of every field. */
static void command_check(struct route_match *match)
{
    struct buf body = {0};
    struct envelope *envelope;
    const char *detail = "";
    command_complete(&match->command, match->route->creates);
    struct envelope_head table = {0};
    envelope_add(&message_schema, &body, &table, &match->command);
    envelope_end(&body);
    int err = envelope_read(&message_schema, buf_slice(&body), &envelope, &detail);
    assert(err == 0);
    assert(envelope_count(envelope) == 1);
    assert(envelope_at(envelope, 0)->has == match->command.has);
    envelope_free(envelope);
    buf_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "POST", "HEAD", "PUT", "DELETE", "", "get", "*"};
    struct route_match match;
    struct route_text text;
    if (size < 1) {
        return 0;
    }
    const char *method = methods[data[0] % (sizeof(methods) / sizeof(methods[0]))];
    struct slice query = fuzz_slice(data + 1, size - 1), path;
    slice_cut(&query, '?', &path);
    const struct route_request request = {method, path, query, query};
    route_find(&route_api, conf_get(), &request, &text, &match);
    if (match.route == NULL) {
        assert(match.status == 400 || match.status == 404 || match.status == 405);
        assert((match.status == 405) == (match.allow[0] != '\0'));
        fuzz_check_sentence(slice_from(match.sentence), 120);
    } else {
        assert(match.status == 0);
        if (!match.route->serve) {
            command_check(&match);
        }
    }
    return 0;
}
