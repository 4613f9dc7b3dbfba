// SPDX-License-Identifier: Apache-2.0
// See client.h.
#include "client.h"

#include "admin.h"
#include "base/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static enum cli_exit conf_set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char error[256];
    if (rd_kafka_conf_set(conf, key, value, error, sizeof error) != RD_KAFKA_CONF_OK)
        return cli_fail(CLI_USAGE, "%s", error);
    return CLI_DONE;
}

enum cli_exit client_conf(const struct client_options *options, rd_kafka_conf_t **out)
{
    struct admin_options admin = {.bootstrap = options->bootstrap};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum cli_exit code = conf_set(conf, "bootstrap.servers", admin_bootstrap(&admin));
    if (code == CLI_DONE)
        code = conf_set(conf, "client.id", "millrace");
    for (int i = 0; code == CLI_DONE && i < options->settings.count; i++) {
        const char *equals = strchr(options->settings.items[i], '=');
        if (equals == NULL) {
            code = cli_fail(CLI_USAGE, "-X %s: not KEY=VALUE", options->settings.items[i]);
            break;
        }
        char *key = mem_strndup(options->settings.items[i], (size_t)(equals - options->settings.items[i]));
        code = conf_set(conf, key, equals + 1);
        mem_free(key);
    }
    if (code == CLI_DONE)
        *out = conf;
    else
        rd_kafka_conf_destroy(conf);
    return code;
}

enum cli_exit client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf_take, rd_kafka_t **client)
{
    char error[256];
    *client = rd_kafka_new(type, conf_take, error, sizeof error);
    if (*client != NULL)
        return CLI_DONE;
    rd_kafka_conf_destroy(conf_take);
    return cli_fail(CLI_FAILED, "%s", error);
}

int client_signals(void)
{
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGTERM);
    sigprocmask(SIG_BLOCK, &taken, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool client_interrupted(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == (ssize_t)sizeof info;
}
