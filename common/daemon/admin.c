// SPDX-License-Identifier: Apache-2.0
// The admin HTTP port of every daemon: /metrics (Prometheus text, in slices), /health/live (the loop turns),
// /health/ready (200 when clients may be sent here, else 503 with the reason), /v1/daemon (who it is, as in
// the ready file), and the routes of the service.
#include "daemon/internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { METRICS_PER_SLICE = 16 };

struct metrics_walk {
    struct env *env;
    size_t position;
};

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void process_metrics_print(struct buf *out)
{
    int64_t own;
    buf_printf(out,
               "# HELP millrace_build_info Version of the program.\n# TYPE millrace_build_info gauge\n"
               "millrace_build_info{version=\"%s\"} 1\n",
               MILLRACE_VERSION);
    buf_printf(out,
               "# HELP process_resident_memory_bytes Resident memory.\n"
               "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %lld\n",
               (long long)heap_resident(&own));
    buf_printf(out,
               "# HELP process_cpu_seconds_total User and system time.\n"
               "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.3f\n",
               cpu_seconds());
}

static enum http_next metrics_next(struct buf *out, void *context)
{
    struct metrics_walk *walk = context;
    if (walk->position == 0)
        process_metrics_print(out);
    size_t printed = metric_print_some(walk->env->metrics, walk->position, METRICS_PER_SLICE, out);
    walk->position += printed;
    return printed == METRICS_PER_SLICE ? HTTP_MORE : HTTP_END;
}

static void on_metrics(struct http_request *request, void *context)
{
    static const struct http_source source = {metrics_next, mem_free};
    struct metrics_walk *walk = mem_calloc(1, sizeof *walk);
    walk->env = ((struct daemon *)context)->env;
    http_reply_stream(request, 200, "text/plain; version=0.0.4; charset=utf-8", &source, walk);
}

static void on_live(struct http_request *request, void *context)
{
    http_reply(request, 200, "text/plain", slice_str("live\n"));
}

bool admin_ready(struct daemon *daemon, struct buf *reason)
{
    const struct daemon_spec *spec = daemon->spec;
    if (daemon->phase == DAEMON_DRAINING) {
        buf_printf(reason, "draining");
        return false;
    }
    if (!daemon->started) {
        buf_printf(reason, "starting");
        return false;
    }
    return spec->ready == NULL || spec->ready(daemon->service, reason);
}

static void on_ready(struct http_request *request, void *context)
{
    struct buf reason;
    buf_init(&reason, 1000);
    if (admin_ready(context, &reason)) {
        http_reply(request, 200, "text/plain", slice_str("ready\n"));
    } else {
        buf_printf(&reason, "\n");
        http_reply(request, 503, "text/plain", buf_slice(&reason));
    }
    buf_fini(&reason);
}

static void on_daemon(struct http_request *request, void *context)
{
    struct buf reason, text;
    buf_init(&reason, 1000);
    buf_init(&text, 16 << 10);
    report_text(context, admin_ready(context, &reason), &text);
    http_reply(request, 200, "application/json", buf_slice(&text));
    buf_fini(&reason);
    buf_fini(&text);
}

enum status admin_start(struct daemon *daemon)
{
    static const struct http_route routes[] = {{"GET", "/metrics", on_metrics},
                                               {"GET", "/health/live", on_live},
                                               {"GET", "/health/ready", on_ready},
                                               {"GET", "/v1/daemon", on_daemon}};
    const char *listen = config_string(daemon->config, "admin.listen");
    char host[256];
    int port;
    if (config_address(listen, NULL, host, &port) != ST_OK) {
        DIAG_ERROR(&daemon->env->diag, "admin.listen is not host:port value=%s", listen);
        return ST_INVALID;
    }
    struct http_config config = {
        .env = daemon->env,
        .host = host,
        .port = port,
        .tables = {{routes, sizeof routes / sizeof *routes, daemon},
                   {daemon->spec->routes, daemon->spec->route_count, daemon->service}},
    };
    enum status status = http_server_new(&config, &daemon->http);
    if (status != ST_OK) {
        DIAG_ERROR(&daemon->env->diag, "cannot listen admin.listen=%s status=%s", listen,
                   status_name(status));
        return status;
    }
    daemon->http_bound = mem_printf("%s:%d", host, http_server_port(daemon->http));
    return ST_OK;
}
