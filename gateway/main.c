/* The gateway process. */
#include "gateway/conf.h"
#include "gateway/gateway.h"

static const char *gateway_http(const struct conf *conf, int *ret_port)
{
    *ret_port = (int)gateway_conf(conf)->http_port;
    return gateway_conf(conf)->http_host;
}

int main(int argc, char **argv)
{
    const struct service gateway = {
        .name = "gateway",
        .summary = "Serves the HTTP API: turns requests into commands, notices into answers.",
        .tables = gateway_tables,
        .own_http = gateway_http,
        .start = gateway_start,
        .drain = gateway_drain,
        .is_drained = gateway_is_drained,
        .stop = gateway_stop,
    };
    return service_run(&gateway, argc, argv);
}
