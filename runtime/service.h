/* The same main for every process: configuration, log, loop, signals, metrics, drain.
 *
 *   start --> run --> SIGTERM/SIGINT: drain --> drained? (asked each 10 ms, DRAIN_MS at most)
 *                                                 --> stop --> exit 0
 * Exit status: 0 stopped cleanly, 2 wrong configuration or usage, 1 anything else. */
#ifndef KASSA_RUNTIME_SERVICE_H
#define KASSA_RUNTIME_SERVICE_H

#include <stdbool.h>
#include "runtime/conf.h"
#include "runtime/loop.h"

struct service_context {
    const char *name;
    struct conf conf;
    struct loop *loop;
    void *state;            /* the service's own, from start to stop */
    const void *definition; /* what kind of service, for those that are made of a table */
};

struct service {
    const char *name;                       /* "order" */
    const char *summary;                    /* one sentence for --help */
    const void *definition;                 /* handed on in the context */
    const struct conf_table *const *tables; /* of all that it reads, then NULL: service_conf's, its
                                             * HTTP listener's, and those of its rooms */
    /* The gateway: where it serves /metrics and /health itself, borrowed from conf. NULL: that is
     * done here, by metrics_conf. */
    const char *(*own_http)(const struct conf *conf, int *ret_port);
    /* Errors of start: anything negative ends the process with status 1; it says why itself. */
    int (*start)(struct service_context *context);
    void (*drain)(struct service_context *context);      /* take nothing new */
    bool (*is_drained)(struct service_context *context); /* everything taken is finished */
    void (*stop)(struct service_context *context);
};

/* --help, --version, --config (prints the table with effective values) and no argument: run. */
int service_run(const struct service *service, int argc, char **argv);

#endif
