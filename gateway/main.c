/* The gateway process. */
#include "gateway/gateway.h"

int main(int argc, char **argv)
{
    const struct service gateway = {
        .name = "gateway",
        .summary = "Serves the HTTP API: turns requests into commands, notices into answers.",
        .has_own_http = true,
        .start = gateway_start,
        .drain = gateway_drain,
        .is_drained = gateway_is_drained,
        .stop = gateway_stop,
    };
    return service_run(&gateway, argc, argv);
}
