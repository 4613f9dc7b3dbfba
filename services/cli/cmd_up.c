// SPDX-License-Identifier: Apache-2.0
// millrace up: plan the cluster (or take up the one in --data again), then supervise it; with --detach a copy
// of this program does so in a session of its own and tells over a pipe when a first record can be produced.
#include "commands.h"

#include "base/mem.h"
#include "plan.h"
#include "launch.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTIFY_FD = 3, READY_TEXT_MAX = 1 << 20 };

struct up {
    struct plan_wish wish;
    const char *data, *ready_file;
    const char *temporary; // data directory that goes away with the cluster
    bool detach, ephemeral, json;
    bool notify;    // inside --detach: tell over descriptor 3
    int64_t wait_s; // for --detach
    struct cli_many settings;
    struct cluster *cluster;
    char path[PATH_MAX];
};

// ---- directories ----

static const char *default_data(char path[PATH_MAX])
{
    const char *named = getenv("MILLRACE_DATA");
    const char *share = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    if (named != NULL && *named != '\0')
        return named;
    if (share != NULL && *share == '/')
        snprintf(path, PATH_MAX, "%.3000s/millrace", share);
    else if (home != NULL && *home == '/')
        snprintf(path, PATH_MAX, "%.3000s/.local/share/millrace", home);
    else
        return NULL;
    return path;
}

static enum cli_exit data_choose(struct up *up)
{
    char fallback[PATH_MAX], temporary[] = "/tmp/millrace-XXXXXX";
    const char *data = up->temporary != NULL ? up->temporary : up->data;
    if (data == NULL && up->ephemeral)
        data = mkdtemp(temporary);
    else if (data == NULL)
        data = default_data(fallback);
    if (data == NULL)
        return cli_fail(CLI_USAGE, "no place for the data: give --data DIR");
    enum status status = directory_make(data);
    if (status != ST_OK || realpath(data, up->path) == NULL)
        return cli_fail(CLI_FAILED, "%s cannot be made: %s", data, strerror(errno));
    if (strlen(up->path) >= CLUSTER_PATH_MAX - 80)
        return cli_fail(CLI_USAGE, "%s: path too long", up->path);
    return CLI_DONE;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    return remove(path);
}

// ---- telling ----

static void addresses_print(const struct cluster *cluster, bool json)
{
    char registry[64];
    struct buf text;
    buf_init(&text, READY_TEXT_MAX);
    if (json) {
        cluster_ready_json(cluster, &text);
    } else {
        buf_printf(&text, "  kafka          ");
        cluster_kafka(cluster, &text);
        buf_printf(&text, "\n");
        cluster_registry(cluster, registry);
        if (registry[0] != '\0')
            buf_printf(&text, "  schemas        %s\n", registry);
        for (size_t i = 0; i < cluster->count; i++) {
            char name[32];
            cluster_daemon_name(&cluster->daemons[i], name);
            buf_printf(&text, "  %-14s http://127.0.0.1:%d/metrics\n", name, cluster->daemons[i].http_port);
        }
        buf_printf(&text, "  data           %s\n", cluster->data);
    }
    fwrite(text.data, 1, text.len, stdout);
    fflush(stdout);
    buf_fini(&text);
}

static void ready_file_write(const struct up *up, const struct cluster *cluster)
{
    if (up->ready_file == NULL)
        return;
    struct buf text;
    buf_init(&text, READY_TEXT_MAX);
    cluster_ready_json(cluster, &text);
    enum status status = file_replace(up->ready_file, buf_slice(&text));
    buf_fini(&text);
    if (status != ST_OK)
        cli_fail(CLI_FAILED, "%s cannot be written: %s", up->ready_file, status_text(status));
}

static void on_ready(struct cluster *cluster, int64_t after_ms, void *context)
{
    const struct up *up = context;
    ready_file_write(up, cluster);
    if (up->notify) {
        char text[32];
        int len = snprintf(text, sizeof text, "%lld", (long long)after_ms);
        if (write(NOTIFY_FD, text, (size_t)len) == len)
            close(NOTIFY_FD);
        return;
    }
    if (!up->json)
        printf("millrace is up after %lld ms\n", (long long)after_ms);
    addresses_print(cluster, up->json);
    if (!up->json)
        printf("Ctrl-C stops it.\n");
    fflush(stdout);
}

// ---- running it here ----

static enum cli_exit cluster_prepare(struct up *up)
{
    struct cluster *cluster = up->cluster;
    enum status status = cluster_load(up->path, cluster);
    char logs[CLUSTER_PATH_MAX + 8];
    if (status != ST_OK && status != ST_NOT_FOUND)
        return cli_fail(CLI_FAILED, "%s/cluster.json cannot be used: %s", up->path, status_text(status));
    snprintf(cluster->data, sizeof cluster->data, "%.500s", up->path);
    snprintf(logs, sizeof logs, "%s/logs", cluster->data);
    cluster->ephemeral = up->ephemeral;
    status = registry_run_dir(up->path, cluster->run);
    if (status == ST_OK)
        status = directory_make(logs);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "directories cannot be made: %s", status_text(status));
    up->wish.free_ports = up->ephemeral;
    return plan_make(&up->wish, cluster);
}

static enum cli_exit run_here(struct up *up)
{
    int lock;
    enum status status = cluster_lock(up->path, &lock);
    if (status == ST_EXISTS)
        return cli_fail(CLI_FAILED, "the cluster in %s runs already; 'millrace status' tells more", up->path);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "%s cannot be locked: %s", up->path, status_text(status));
    enum cli_exit code = cluster_prepare(up);
    if (code == CLI_DONE) {
        status = registry_add(up->cluster);
        if (status != ST_OK)
            cli_fail(CLI_FAILED, "other commands will need --data: %s", status_text(status));
        struct supervisor_config config = {
            .cluster = up->cluster, .settings = &up->settings, .on_ready = on_ready, .context = up};
        code = supervisor_run(&config);
        registry_remove(up->cluster);
    }
    if (up->ephemeral)
        nftw(up->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    close(lock);
    return code;
}

// ---- running it behind ----

// The supervisor's arguments: what was given here, with the data directory settled.
static void detached_args(const struct up *up, int argc, char **argv, char **args, size_t size)
{
    size_t count = 0;
    args[count++] = (char *)(uintptr_t) "millrace";
    args[count++] = (char *)(uintptr_t) "up";
    for (int i = 1; i < argc && count < size - 5; i++) {
        if (strcmp(argv[i], "--data") == 0)
            i++;
        else if (strcmp(argv[i], "--detach") != 0 && strncmp(argv[i], "--data=", 7) != 0)
            args[count++] = argv[i];
    }
    args[count++] = (char *)(uintptr_t)(up->ephemeral ? "--temporary" : "--data");
    args[count++] = (char *)(uintptr_t)up->path;
    args[count++] = (char *)(uintptr_t) "--notify";
    args[count] = NULL;
}

static void log_print(const char *path, off_t from)
{
    char text[4096];
    ssize_t len;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (len = pread(fd, text, sizeof text, from)) > 0) {
        fwrite(text, 1, (size_t)len, stderr);
        from += len;
    }
    if (fd >= 0)
        close(fd);
}

static enum cli_exit detached_wait(struct up *up, int fd, const char *log, off_t log_from)
{
    char text[32];
    struct pollfd told = {.fd = fd, .events = POLLIN};
    if (poll(&told, 1, (int)up->wait_s * 1000) != 1)
        return cli_fail(
            CLI_TIMEOUT,
            "not ready after %lld s; it goes on trying, 'millrace status' and 'millrace logs' tell more",
            (long long)up->wait_s);
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0) {
        log_print(log, log_from);
        return cli_fail(CLI_FAILED, "the cluster did not start; its log is %s", log);
    }
    text[len] = '\0';
    enum status status = cluster_load(up->path, up->cluster);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "%s/cluster.json cannot be used: %s", up->path, status_text(status));
    if (!up->json)
        printf("millrace is up after %s ms\n", text);
    addresses_print(up->cluster, up->json);
    if (!up->json)
        printf("'millrace down' stops it.\n");
    return CLI_DONE;
}

static enum cli_exit run_detached(struct up *up, int argc, char **argv)
{
    enum { ARGS = 2 * CLI_MANY_MAX + 32 };
    char *args[ARGS], log[PATH_MAX + 32], program[CLUSTER_PATH_MAX];
    struct stat info = {0};
    int ends[2], pid;
    if (cluster_running(up->path)) {
        cluster_load(up->path, up->cluster);
        cli_fail(CLI_DONE, "the cluster in %s runs already", up->path);
        addresses_print(up->cluster, up->json);
        return CLI_DONE;
    }
    snprintf(log, sizeof log, "%s/logs", up->path);
    if (directory_make(log) != ST_OK || pipe2(ends, O_CLOEXEC) != 0)
        return cli_fail(CLI_FAILED, "%s cannot be used: %s", up->path, strerror(errno));
    snprintf(log, sizeof log, "%s/logs/up.log", up->path);
    stat(log, &info);
    detached_args(up, argc, argv, args, ARGS);
    if (launch_program("millrace", program) != ST_OK)
        return cli_fail(CLI_FAILED, "this program is not where it was");
    struct launch launch = {
        .path = program, .args = args, .log = log, .keep_fd = ends[1], .new_session = true};
    enum status status = launch_start(&launch, &pid);
    close(ends[1]);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "cannot start: %s", status_text(status));
    return detached_wait(up, ends[0], log, info.st_size);
}

enum cli_exit cmd_up(int argc, char **argv)
{
    struct up up = {.wait_s = 60, .wish.registries = -1};
    const struct cli_arg args[] = {
        {"--storage", CLI_INT, &up.wish.storages, 1, PLAN_ROLE_MAX, "N", "storage nodes (as before, else 1)"},
        {"--controllers", CLI_INT, &up.wish.controllers, 1, 5, "N", "controllers: 1, 3 or 5"},
        {"--coordinators", CLI_INT, &up.wish.coordinators, 1, PLAN_ROLE_MAX, "N", "coordinators"},
        {"--registries", CLI_INT, &up.wish.registries, 0, PLAN_ROLE_MAX, "N",
         "schema registries (1; 0: none)"},
        {"--data", CLI_TEXT, &up.data, 0, 0, "DIR",
         "where it keeps its data ($MILLRACE_DATA, ~/.local/share)"},
        {"--port", CLI_INT, &up.wish.kafka_port, 1, 65535, "P",
         "Kafka port of the first storage node (9092)"},
        {"--registry-port", CLI_INT, &up.wish.rest_port, 1, 65535, "P",
         "REST port of the first registry (8081)"},
        {"--detach", CLI_FLAG, &up.detach, 0, 0, NULL, "return when ready, leave it running"},
        {"--timeout", CLI_INT, &up.wait_s, 1, 3600, "S", "with --detach: seconds to wait for it (60)"},
        {"--ephemeral", CLI_FLAG, &up.ephemeral, 0, 0, NULL, "temporary data, free ports; gone afterwards"},
        {"--ready-file", CLI_TEXT, &up.ready_file, 0, 0, "FILE", "write addresses as JSON there when ready"},
        {"--set", CLI_MANY, &up.settings, 0, 0, "KEY=VALUE", "parameter for every daemon (repeatable)"},
        {"--json", CLI_FLAG, &up.json, 0, 0, NULL, "print the addresses as JSON"},
        {"--temporary", CLI_TEXT, &up.temporary, 0, 0, "DIR", NULL},
        {"--notify", CLI_FLAG, &up.notify, 0, 0, NULL, NULL},
    };
    const struct cli_usage usage = {.line = "up [options]",
                                    .help = "Starts a local cluster and keeps it running: a daemon that dies "
                                            "is started again. Started again\n"
                                            "on the same --data it has the same nodes, ports and records.",
                                    .args = args,
                                    .count = sizeof args / sizeof *args};
    struct cli_many positional = {0};
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    if (up.wish.controllers == 2 || up.wish.controllers == 4)
        return cli_fail(CLI_USAGE, "--controllers: 1, 3 or 5; an even number tolerates no more failures");
    if (up.ephemeral && up.data != NULL)
        return cli_fail(CLI_USAGE, "--ephemeral makes a directory of its own; leave --data out");
    umask(077);
    up.cluster = mem_calloc(1, sizeof *up.cluster);
    code = data_choose(&up);
    if (code == CLI_DONE)
        code = up.detach ? run_detached(&up, argc, argv) : run_here(&up);
    mem_free(up.cluster);
    return code;
}
