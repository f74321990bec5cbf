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

/* What the gateway adds to a command before it sends it (gateway.c, pending_begin). */
static void command_complete(struct message *command, enum message_field creates)
{
    const struct slice id = SLICE_TEXT("0193a000-0000-7000-8000-000000000001");
    message_set(command, id, id);
    message_set(command, gateway, id);
    switch (creates) {
    case MESSAGE_HAS_user:
        message_set(command, user, id);
        break;
    case MESSAGE_HAS_item:
        message_set(command, item, id);
        break;
    case MESSAGE_HAS_order:
        message_set(command, order, id);
        break;
    default:
        break;
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
    static struct route_match match;
    if (size < 1) {
        return 0;
    }
    const char *method = methods[data[0] % (sizeof(methods) / sizeof(methods[0]))];
    struct slice query = fuzz_slice(data + 1, size - 1), path;
    slice_cut(&query, '?', &path);
    memset(&match, 0, sizeof(match));
    route_find(conf_get(), method, path, query, &match);
    if (match.route == NULL) {
        assert(match.status == 400 || match.status == 404 || match.status == 405);
        assert((match.status == 405) == (match.allow[0] != '\0'));
        fuzz_check_sentence(buf_slice(&match.refusal), 120);
    } else {
        assert(match.status == 0);
        if (match.route->place == ROUTE_SERVICE) {
            command_check(&match);
        }
    }
    route_match_free(&match);
    return 0;
}
