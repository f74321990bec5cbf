/* The same main for every process.
 *
 *   arguments --> configuration --> log, loop, metrics --> start --> [loop] --> stop
 *                                                                      ^
 *   SIGTERM: drain, then ask is_drained each 10 ms until DRAIN_MS ----'
 *   SIGTERM once more: exit at once */
#include "runtime/service.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/crash.h"
#include "runtime/err.h"
#include "runtime/http.h"
#include "runtime/log.h"
#include "runtime/probe.h"
#include "runtime/service_conf.h"
#include "runtime/stat.h"

#define SERVICE_VERSION         "0.1.0"
#define SERVICE_DRAIN_ASK_MS    10
#define SERVICE_DESCRIPTORS_MAX 65536

enum { SERVICE_OK = 0, SERVICE_FAILED = 1, SERVICE_USAGE = 2 };

struct service_process {
    const struct service *service;
    struct service_context context;
    struct http *metrics; /* NULL: none */
    struct loop_timer *drain_timer;
    int64_t drain_until_ms;
    bool is_draining;
};

/* ---- metrics and health of a service without an HTTP listener of its own ---- */

static void service_on_request(void *ctx, struct http_request *r)
{
    const struct service_process *p = ctx;
    const char *method = http_request_method(r);
    struct slice path = http_request_path(r);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        struct http_header allow = {"Allow", "GET, HEAD"};
        http_reply(r, 405, &allow, 1, SLICE_TEXT("{\"error\":\"method not allowed\"}"));
    } else if (slice_is(path, "/metrics")) {
        struct http_header type = {"Content-Type", "text/plain; version=0.0.4"};
        struct buf text = {0};
        stat_print(&text);
        http_reply(r, 200, &type, 1, buf_slice(&text));
        buf_free(&text);
    } else if (slice_is(path, "/health")) {
        struct buf text = {0};
        buf_addf(&text, "{\"status\":\"%s %s\",\"ok\":%s}", p->service->name,
                 p->is_draining ? "draining" : "up", p->is_draining ? "false" : "true");
        http_reply(r, p->is_draining ? 503 : 200, NULL, 0, buf_slice(&text));
        buf_free(&text);
    } else {
        http_reply(r, 404, NULL, 0, SLICE_TEXT("{\"error\":\"not found\"}"));
    }
}

static int service_open_metrics(struct service_process *p)
{
    if (p->service->own_http) {
        return 0;
    }
    const struct metrics_conf *conf = metrics_conf(&p->context.conf);
    if (conf->metrics_port == 0) {
        return 0;
    }
    struct buf sentence = {0};
    const struct http_listener listener = {.host = conf->metrics_host,
                                           .port = (int)conf->metrics_port,
                                           .on_request = service_on_request,
                                           .ctx = p};
    int err =
        http_open(p->context.loop, http_conf(&p->context.conf), &listener, &p->metrics, &sentence);
    if (err) {
        log_error("metrics_failed", "error=%s reason=%s", err_name(err),
                  log_quote(buf_slice(&sentence)));
    }
    buf_free(&sentence);
    return err;
}

/* ---- signals ---- */

static void service_on_drain_timer(void *ctx)
{
    struct service_process *p = ctx;
    bool is_drained = !p->service->is_drained || p->service->is_drained(&p->context);
    if (!is_drained && loop_now_ms(p->context.loop) < p->drain_until_ms) {
        return;
    }
    if (is_drained) {
        log_info("drained", "left_ms=%lld",
                 (long long)(p->drain_until_ms - loop_now_ms(p->context.loop)));
    } else {
        log_warn("drain_timeout", "limit_ms=%lld",
                 (long long)service_conf(&p->context.conf)->drain_ms);
    }
    loop_timer_stop(p->drain_timer);
    loop_stop(p->context.loop);
}

static void service_on_signal(void *ctx, int number)
{
    struct service_process *p = ctx;
    const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
    if (p->is_draining) {
        /* A second signal means: do not wait. A sudden death loses nothing that a crash
         * could not lose. */
        log_warn("exit", "signal=%s reason=asked_twice", name);
        log_stop();
        _exit(SERVICE_FAILED);
    }
    p->is_draining = true;
    log_info("drain", "signal=%s limit_ms=%lld", name,
             (long long)service_conf(&p->context.conf)->drain_ms);
    if (p->service->drain) {
        p->service->drain(&p->context);
    }
    p->drain_until_ms = loop_now_ms(p->context.loop) + service_conf(&p->context.conf)->drain_ms;
    loop_timer_start(p->drain_timer, 0, SERVICE_DRAIN_ASK_MS);
}

/* ---- the life of the process ---- */

/* A connection is a descriptor, and the usual soft limit of 1024 is below HTTP_CONNECTIONS_MAX.
 * Failing is no error: the listener then waits for descriptors to come back. */
static void service_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < SERVICE_DESCRIPTORS_MAX) {
        limit.rlim_cur =
            limit.rlim_max < SERVICE_DESCRIPTORS_MAX ? limit.rlim_max : SERVICE_DESCRIPTORS_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int service_live(struct service_process *p)
{
    int status = SERVICE_FAILED;
    const struct service *service = p->service;
    if (service_open_metrics(p)) {
        return status;
    }
    p->drain_timer = loop_timer_new(p->context.loop, service_on_drain_timer, p);
    loop_signal(p->context.loop, SIGTERM, service_on_signal, p);
    loop_signal(p->context.loop, SIGINT, service_on_signal, p);
    log_info("start", "version=%s pid=%d", SERVICE_VERSION, (int)getpid());
    if (service->start(&p->context) < 0) {
        goto metrics;
    }
    loop_run(p->context.loop);
    if (service->stop) {
        service->stop(&p->context);
    }
    log_info("stop", "status=%d", SERVICE_OK);
    status = SERVICE_OK;

metrics:
    loop_timer_free(p->drain_timer);
    http_close(p->metrics);
    return status;
}

static int service_usage(const struct service *service, FILE *out, int status)
{
    fprintf(out,
            "usage: kassa-%s [--help | --version | --config | --health]\n"
            "%s\n\n"
            "Without an argument it runs until SIGTERM or SIGINT. It is configured by environment\n"
            "variables; kassa-%s --config lists each with its value, its default and what it is.\n"
            "--health asks the one that runs with the same configuration whether it is well, and\n"
            "ends with 0 when it is: for the healthcheck of a container.\n",
            service->name, service->summary, service->name);
    return status;
}

static int service_print_config(const struct conf *conf)
{
    struct buf text = {0};
    conf_print(conf, &text);
    fwrite(text.data, 1, text.bytes, stdout);
    buf_free(&text);
    return fflush(stdout) == 0 ? SERVICE_OK : SERVICE_FAILED;
}

static const char *service_lookup(const char *variable)
{
    return getenv(variable);
}

static int service_ask_health(const struct service *service, const struct conf *conf)
{
    struct buf sentence = {0};
    const char *host;
    int port;
    if (service->own_http) {
        host = service->own_http(conf, &port);
    } else {
        host = metrics_conf(conf)->metrics_host;
        port = (int)metrics_conf(conf)->metrics_port;
    }
    int err = probe_health(host, port, &sentence);
    if (err) {
        fprintf(stderr, "kassa-%s: %s\n", service->name, sentence.data);
    }
    buf_free(&sentence);
    return err ? SERVICE_FAILED : SERVICE_OK;
}

static int service_with_conf(struct service_process *p)
{
    signal(SIGPIPE, SIG_IGN); /* a peer that left is an error of write, not the end */
    service_raise_descriptors();
    p->context.loop = loop_new();
    int err =
        log_start(p->context.loop, p->service->name, service_conf(&p->context.conf)->log_level);
    assert(!err); /* service_conf.c has checked the level */
    int status = service_live(p);
    log_stop();
    loop_free(p->context.loop);
    return status;
}

int service_run(const struct service *service, int argc, char **argv)
{
    const char *argument = argc > 1 ? argv[1] : "";
    crash_begin(service->name, argc, argv);
    bool is_config = strcmp(argument, "--config") == 0;
    bool is_health = strcmp(argument, "--health") == 0;
    if (argc == 2 && strcmp(argument, "--help") == 0) {
        return service_usage(service, stdout, SERVICE_OK);
    }
    if (argc == 2 && strcmp(argument, "--version") == 0) {
        printf("kassa-%s %s\n", service->name, SERVICE_VERSION);
        return SERVICE_OK;
    }
    if (argc > 2 || (argc == 2 && !is_config && !is_health)) {
        return service_usage(service, stderr, SERVICE_USAGE);
    }
    struct service_process process = {
        .service = service, .context = {.name = service->name, .definition = service->definition}};
    struct buf sentence = {0};
    int err = conf_load(&process.context.conf, service->tables, service_lookup, &sentence);
    if (err) {
        fprintf(stderr, "kassa-%s: %s\n", service->name, sentence.data);
    }
    buf_free(&sentence);
    if (err) {
        return SERVICE_USAGE;
    }
    if (is_config) {
        return service_print_config(&process.context.conf);
    }
    return is_health ? service_ask_health(service, &process.context.conf)
                     : service_with_conf(&process);
}
