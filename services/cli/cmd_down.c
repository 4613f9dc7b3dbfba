// SPDX-License-Identifier: Apache-2.0
// millrace down: tells the supervisor to stop and waits until it has.
#include "commands.h"

#include "base/mem.h"
#include "cluster.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// A descriptor of the process that becomes readable when it ends; the number cannot come to mean another one.
static int process_open(int pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static enum cli_exit stop(const struct cluster *cluster, int64_t wait_s)
{
    int fd = process_open(cluster->pid);
    if (fd < 0)
        return cli_fail(CLI_ABSENT, "the cluster in %s has just ended", cluster->data);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    enum cli_exit code = CLI_DONE;
    if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) != 0)
        code = cli_fail(CLI_FAILED, "process %d cannot be told to stop: %s", cluster->pid, strerror(errno));
    else if (poll(&ended, 1, (int)wait_s * 1000) != 1)
        code = cli_fail(CLI_TIMEOUT, "the cluster in %s still stops after %lld s", cluster->data,
                        (long long)wait_s);
    close(fd);
    return code;
}

enum cli_exit cmd_down(int argc, char **argv)
{
    const char *data = NULL;
    int64_t wait_s = 60;
    bool json = false;
    const struct cli_arg args[] = {
        {"--data", CLI_TEXT, &data, 0, 0, "DIR",
         "the cluster there ($MILLRACE_DATA, else the newest running one)"},
        {"--timeout", CLI_INT, &wait_s, 1, 3600, "S", "seconds to wait at most (60)"},
        {"--json", CLI_FLAG, &json, 0, 0, NULL, "print the result as JSON"}};
    const struct cli_usage usage = {
        .line = "down [options]",
        .help = "Stops a local cluster: its daemons leave in order and keep their data.",
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
    if (code == CLI_DONE)
        code = stop(cluster, wait_s);
    if (code == CLI_DONE)
        printf(json ? "{\"stopped\":true}\n" : "stopped\n");
    mem_free(cluster);
    return code;
}
