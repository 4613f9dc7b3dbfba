// SPDX-License-Identifier: Apache-2.0
// millrace status: asks every daemon of a local cluster by the survey, which they answer also when their loop
// hangs. With --json the same `daemons` list as in the ready file, with the state of each.
#include "commands.h"

#include "base/mem.h"
#include "cluster.h"
#include "http/json.h"
#include "survey/survey.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { HUNG_US = 2000000, OUT_MAX = 32 << 20, ASK_MS = 2000 };

struct report {
    const struct cluster *cluster;
    struct buf out;
    bool json, all;
    int printed, unready;
    bool answered[CLUSTER_DAEMONS_MAX];
};

static const struct cluster_daemon *daemon_of(struct report *report, const char *name)
{
    for (size_t i = 0; i < report->cluster->count; i++) {
        char own[32];
        cluster_daemon_name(&report->cluster->daemons[i], own);
        if (strcmp(own, name) != 0)
            continue;
        report->answered[i] = true;
        return &report->cluster->daemons[i];
    }
    return NULL;
}

static const char *state_of(const struct cluster_daemon *daemon, const struct survey_answer *answer,
                            char reason[200])
{
    char ready[8] = "";
    reason[0] = '\0';
    if (!answer->answered)
        return daemon->pid != 0 && kill(daemon->pid, 0) == 0 ? "silent" : "down";
    if (strcmp(answer->handler, "idle") != 0 && answer->turn_age_us > HUNG_US) {
        snprintf(reason, 200, "in %.100s for %lld ms", answer->handler,
                 (long long)answer->turn_age_us / 1000);
        return "hung";
    }
    survey_value(answer->dump, "ready", ready, sizeof ready);
    survey_value(answer->dump, "reason", reason, 200);
    return strcmp(ready, "true") == 0 ? "ready" : "starting";
}

static void address_text(int port, char text[32])
{
    text[0] = '\0';
    if (port != 0)
        snprintf(text, 32, "127.0.0.1:%d", port);
}

// Where it is, by the cluster's plan: known also of a daemon that does not answer.
static void places_put(struct buf *out, const struct cluster *cluster, const struct cluster_daemon *daemon)
{
    char address[32], data[CLUSTER_PATH_MAX];
    address_text(daemon->kafka_port, address);
    buf_printf(out, ",\"kafka\":\"%s\"", address);
    address_text(daemon->rpc_port, address);
    buf_printf(out, ",\"rpc\":\"%s\"", address);
    address_text(daemon->http_port, address);
    buf_printf(out, ",\"http\":\"%s\",\"data\":", address);
    cluster_daemon_data(cluster, daemon, data);
    json_put_string(out, slice_str(data));
}

// Everything in the dump as an object of strings.
static void dump_put(struct buf *out, const char *dump)
{
    const char *comma = "";
    buf_printf(out, ",\"state_dump\":{");
    for (const char *line = dump; *line != '\0';) {
        size_t width = strcspn(line, "\n");
        const char *equals = memchr(line, '=', width);
        if (equals != NULL) {
            buf_printf(out, "%s", comma);
            json_put_string(out, slice_of(line, (size_t)(equals - line)));
            buf_printf(out, ":");
            json_put_string(out, slice_of(equals + 1, width - (size_t)(equals - line) - 1));
            comma = ",";
        }
        line += width + (line[width] == '\n');
    }
    buf_printf(out, "}");
}

static void json_line(struct report *report, const struct cluster_daemon *daemon,
                      const struct survey_answer *answer, const char *state, const char *reason)
{
    struct buf *out = &report->out;
    buf_printf(out, "%s\n  {\"role\":\"%s\",\"id\":%d,\"pid\":%d,\"state\":\"%s\",\"reason\":",
               report->printed > 0 ? "," : "", daemon->role, daemon->id, answer->pid, state);
    json_put_string(out, slice_str(reason));
    places_put(out, report->cluster, daemon);
    buf_printf(out, ",\"turns\":%llu,\"handler\":", (unsigned long long)answer->turns);
    json_put_string(out, slice_str(answer->handler));
    dump_put(out, answer->dump);
    buf_printf(out, "}");
}

static void text_line(struct report *report, const struct cluster_daemon *daemon,
                      const struct survey_answer *answer, const char *state, const char *reason)
{
    char kafka[32], http[32], name[32];
    address_text(daemon->kafka_port, kafka);
    address_text(daemon->http_port, http);
    cluster_daemon_name(daemon, name);
    buf_printf(&report->out, "%-18s %-9s %8d  %-22s %-22s %s\n", name, state, answer->pid,
               *kafka != '\0' ? kafka : "-", http, reason);
    if (report->all)
        buf_printf(&report->out, "%s", answer->dump);
}

static void on_answer(const struct survey_answer *answer, void *context)
{
    struct report *report = context;
    char reason[200];
    const struct cluster_daemon *daemon = daemon_of(report, answer->name);
    if (daemon == NULL)
        return; // a socket left by a former, larger cluster
    const char *state = state_of(daemon, answer, reason);
    struct survey_answer shown = *answer;
    if (!answer->answered && strcmp(state, "down") != 0)
        shown.pid = daemon->pid;
    report->unready += strcmp(state, "ready") != 0;
    if (report->json)
        json_line(report, daemon, &shown, state, reason);
    else
        text_line(report, daemon, &shown, state, reason);
    report->printed++;
}

// Daemons without even a socket.
static void report_absent(struct report *report)
{
    for (size_t i = 0; i < report->cluster->count; i++) {
        if (report->answered[i])
            continue;
        char name[32];
        cluster_daemon_name(&report->cluster->daemons[i], name);
        struct survey_answer none = {.name = name, .handler = "", .dump = ""};
        on_answer(&none, report);
    }
}

static void report_print(struct report *report)
{
    struct buf head;
    buf_init(&head, OUT_MAX);
    if (report->json) {
        buf_printf(&head, "{\"kafka\":\"");
        cluster_kafka(report->cluster, &head);
        buf_printf(&head, "\",\"pid\":%d,\"data\":", report->cluster->pid);
        json_put_string(&head, slice_str(report->cluster->data));
        buf_printf(&head, ",\"daemons\":[");
        buf_printf(&report->out, "]}\n");
    } else {
        buf_printf(&head, "cluster in %s, supervisor %d\n%-18s %-9s %8s  %-22s %-22s\n",
                   report->cluster->data, report->cluster->pid, "DAEMON", "STATE", "PID", "KAFKA", "HTTP");
    }
    fwrite(head.data, 1, head.len, stdout);
    fwrite(report->out.data, 1, report->out.len, stdout);
    buf_fini(&head);
}

enum cli_exit cmd_status(int argc, char **argv)
{
    const char *data = NULL;
    struct report report = {0};
    const struct cli_arg args[] = {
        {"--data", CLI_TEXT, &data, 0, 0, "DIR",
         "the cluster there ($MILLRACE_DATA, else the newest running one)"},
        {"--all", CLI_FLAG, &report.all, 0, 0, NULL, "everything the daemons tell"},
        {"--json", CLI_FLAG, &report.json, 0, 0, NULL, "print it as JSON"}};
    const struct cli_usage usage = {
        .line = "status [options]",
        .help = "Shows what the daemons of a local cluster do. Exit code 1 when one is not ready.",
        .args = args,
        .count = sizeof args / sizeof *args};
    struct cli_many positional = {0};
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    struct cluster *cluster = mem_calloc(1, sizeof *cluster);
    code = cluster_find(data, cluster);
    if (code == CLI_DONE && cluster->pid == 0)
        code = cli_fail(CLI_ABSENT, "the cluster in %s does not run", cluster->data);
    if (code == CLI_DONE) {
        report.cluster = cluster;
        buf_init(&report.out, OUT_MAX);
        survey_ask(cluster->run, ASK_MS, on_answer, &report);
        report_absent(&report);
        report_print(&report);
        buf_fini(&report.out);
        code = report.unready > 0 ? CLI_FAILED : CLI_DONE;
    }
    mem_free(cluster);
    return code;
}
