// SPDX-License-Identifier: Apache-2.0
// The life of a daemon's process, once for all daemons. See daemon.h for the contract.
#include "daemon/internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/env_posix.h"
#include "rpc/curve.h"
#include "rpc/zmq.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    POOL_THREADS_DEFAULT = 2,
    DRAIN_MS_MAX = 10000,
    READY_POLL_MS = 5, // until the daemon is ready for the first time
    EXIT_FAILED = 1,
    EXIT_USAGE = 2
};

struct env *daemon_env(struct daemon *daemon)
{
    return daemon->env;
}

const struct config *daemon_config(struct daemon *daemon)
{
    return daemon->config;
}

struct rpc *daemon_rpc(struct daemon *daemon)
{
    return daemon->rpc;
}

const char *daemon_rpc_endpoint(struct daemon *daemon)
{
    return daemon->endpoint;
}

uint64_t daemon_incarnation(struct daemon *daemon)
{
    return daemon->incarnation;
}

void daemon_fail(struct daemon *daemon, const char *why)
{
    DIAG_ERROR(&daemon->env->diag, "daemon gives up why=%s", why);
    daemon->exit_code = EXIT_FAILED;
    env_posix_stop(daemon->env);
}

// ---- leaving ----

static void on_drained(void *context)
{
    struct daemon *daemon = context;
    timer_stop(daemon->env, &daemon->drain_timer);
    DIAG_INFO(&daemon->env->diag, "drained");
    env_posix_stop(daemon->env);
}

static void on_drain_late(struct timer *timer)
{
    struct daemon *daemon = timer->context;
    DIAG_WARN(&daemon->env->diag, "drain took too long, ending without limit_ms=%d", DRAIN_MS_MAX);
    env_posix_stop(daemon->env);
}

static void drain_begin(struct daemon *daemon, uint32_t signal)
{
    if (daemon->phase == DAEMON_DRAINING) {
        DIAG_WARN(&daemon->env->diag, "second signal, ending at once");
        env_posix_stop(daemon->env);
        return;
    }
    DIAG_INFO(&daemon->env->diag, "draining signal=%s", signal == SIGTERM ? "TERM" : "INT");
    daemon->phase = DAEMON_DRAINING;
    timer_stop(daemon->env, &daemon->ready_timer);
    timer_stop(daemon->env, &daemon->heap_timer);
    timer_start_ms(daemon->env, &daemon->drain_timer, DRAIN_MS_MAX);
    if (daemon->spec->drain != NULL)
        daemon->spec->drain(daemon->service, on_drained, daemon);
    else
        on_drained(daemon);
}

static void on_signal(int fd, int events, void *context)
{
    struct signalfd_siginfo info;
    loop_handler(((struct daemon *)context)->env, "signal");
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            drain_begin(context, info.ssi_signo);
}

// ---- becoming ready ----

static void on_ready_poll(struct timer *timer)
{
    struct daemon *daemon = timer->context;
    struct buf reason;
    buf_init(&reason, 1000);
    if (admin_ready(daemon, &reason)) {
        daemon->phase = DAEMON_READY;
        DIAG_INFO(&daemon->env->diag, "ready after_ms=%lld",
                  (long long)(env_now_us(daemon->env) - daemon->began_us) / 1000);
        report_ready_file(daemon, true);
        if (daemon->survey != NULL)
            survey_refresh(daemon->survey);
    } else {
        timer_start_ms(daemon->env, timer, READY_POLL_MS);
    }
    buf_fini(&reason);
}

// ---- the process ----

// Before any thread exists: signals are taken by signalfd alone, files are the owner's.
static void process_prepare(void)
{
    sigset_t taken;
    struct rlimit files;
    umask(077);
    heap_prepare();
    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGHUP);
    sigprocmask(SIG_BLOCK, &taken, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

// Children of `millrace up` end with it, also when it is killed. False: it is gone already.
static bool parent_watch(long parent)
{
    if (parent == 0)
        return true;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == parent;
}

static enum status signals_start(struct daemon *daemon)
{
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGHUP); // taken and passed over: a closed terminal does not end a daemon
    daemon->signal_fd = signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC);
    if (daemon->signal_fd < 0)
        return status_from_errno(errno);
    return loop_fd_add(daemon->env, daemon->signal_fd, STREAM_READABLE, on_signal, daemon);
}

static enum status make_path(const char *path)
{
    char *part = mem_strdup(path);
    enum status status = ST_OK;
    for (char *at = part + 1; status == ST_OK && *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            status = status_from_errno(errno);
        *at = '/';
    }
    if (status == ST_OK && mkdir(part, 0777) != 0 && errno != EEXIST)
        status = status_from_errno(errno);
    mem_free(part);
    return status;
}

static enum status data_dir_make(struct daemon *daemon)
{
    const char *key = daemon->spec->data_key;
    const struct config *config = daemon->config;
    const char *dir = "";
    if (key != NULL && config_row_of(config, key)->type == CONFIG_LIST)
        dir = config_list_count(config, key) > 0 ? config_list_at(config, key, 0) : "";
    else if (key != NULL)
        dir = config_string(config, key);
    daemon->data_dir = mem_strdup(dir);
    if (*dir == '\0')
        return ST_OK;
    enum status status = make_path(dir);
    if (status != ST_OK)
        DIAG_ERROR(&daemon->env->diag, "data directory cannot be made %s=%s status=%s", key, dir,
                   status_name(status));
    return status;
}

// Keys, when configured. Their process leaves no core file: it would hold them.
static enum status keys_load(struct daemon *daemon, struct curve_keys **keys)
{
    const char *file = config_string(daemon->config, "rpc.key.file");
    const char *dir = config_string(daemon->config, "rpc.keys.dir");
    *keys = NULL;
    if (*file == '\0' && *dir == '\0')
        return ST_OK;
    if (*file == '\0' || *dir == '\0') {
        DIAG_ERROR(&daemon->env->diag, "rpc.key.file and rpc.keys.dir belong together");
        return ST_INVALID;
    }
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    enum status status = curve_keys_load(&daemon->env->diag, file, dir, keys);
    if (status != ST_OK)
        DIAG_ERROR(&daemon->env->diag, "keys cannot be loaded rpc.key.file=%s rpc.keys.dir=%s status=%s",
                   file, dir, status_name(status));
    return status;
}

static enum status rpc_start(struct daemon *daemon)
{
    const char *listen = config_string(daemon->config, "rpc.listen");
    const char *advertised = config_string(daemon->config, "rpc.advertised");
    char host[256], endpoint[300];
    struct curve_keys *keys;
    int port;
    if (config_address(listen, NULL, host, &port) != ST_OK) {
        DIAG_ERROR(&daemon->env->diag, "rpc.listen is not host:port value=%s", listen);
        return ST_INVALID;
    }
    enum status status = keys_load(daemon, &keys);
    if (status != ST_OK)
        return status;
    daemon->transport = zmq_transport_new(daemon->env, keys);
    struct rpc_config config = {
        .env = daemon->env,
        .transport = daemon->transport,
        .self = {.role = daemon->spec->role, .node = (int32_t)config_int(daemon->config, "node.id")},
        .incarnation = daemon->incarnation,
        .calls_per_peer = (int)config_int(daemon->config, "rpc.calls.per.peer.max"),
    };
    daemon->rpc = rpc_new(&config);
    snprintf(endpoint, sizeof endpoint, "tcp://%s:%d", *host != '\0' ? host : "0.0.0.0", port);
    status = rpc_listen(daemon->rpc, endpoint, &port);
    if (status != ST_OK) {
        DIAG_ERROR(&daemon->env->diag, "cannot listen rpc.listen=%s status=%s", listen, status_name(status));
        return status;
    }
    daemon->rpc_bound = mem_printf("%s:%d", host, port);
    daemon->endpoint = mem_printf("tcp://%s", *advertised != '\0' ? advertised : daemon->rpc_bound);
    return ST_OK;
}

static enum status env_start(struct daemon *daemon)
{
    const struct daemon_spec *spec = daemon->spec;
    long long id = config_int(daemon->config, "node.id");
    daemon->who = id >= 0 ? mem_printf("%s-%lld", spec->name, id) : mem_strdup(spec->name);
    enum status status = env_posix_new(
        daemon->who, spec->pool_threads > 0 ? spec->pool_threads : POOL_THREADS_DEFAULT, &daemon->env);
    if (status != ST_OK)
        return status;
    daemon->began_us = env_now_us(daemon->env);
    diag_level_parse(config_string(daemon->config, "log.level"), &daemon->env->diag.level);
    do
        daemon->incarnation = env_random(daemon->env);
    while (daemon->incarnation == 0);
    timer_init(&daemon->drain_timer, on_drain_late, daemon);
    timer_init(&daemon->ready_timer, on_ready_poll, daemon);
    heap_start(daemon);
    return ST_OK;
}

static enum status service_start(struct daemon *daemon)
{
    const struct daemon_spec *spec = daemon->spec;
    enum status status = spec->create(daemon, &daemon->service);
    if (status == ST_OK)
        status = admin_start(daemon);
    if (status == ST_OK)
        status = report_survey_start(daemon);
    if (status == ST_OK && spec->start != NULL)
        status = spec->start(daemon->service);
    if (status != ST_OK)
        return status;
    daemon->started = true;
    report_started(daemon);
    report_ready_file(daemon, false);
    timer_start_ms(daemon->env, &daemon->ready_timer, 0);
    return ST_OK;
}

static void daemon_end(struct daemon *daemon)
{
    survey_destroy(&daemon->survey);
    http_server_destroy(&daemon->http);
    if (daemon->rpc != NULL)
        rpc_close(daemon->rpc);
    if (daemon->service != NULL)
        daemon->spec->destroy(&daemon->service);
    if (daemon->rpc != NULL)
        rpc_destroy(&daemon->rpc);
    if (daemon->transport != NULL)
        zmq_transport_destroy(&daemon->transport);
    if (daemon->signal_fd >= 0) {
        loop_fd_remove(daemon->env, daemon->signal_fd);
        close(daemon->signal_fd);
    }
    timer_stop(daemon->env, &daemon->drain_timer);
    timer_stop(daemon->env, &daemon->ready_timer);
    timer_stop(daemon->env, &daemon->heap_timer);
    DIAG_INFO(&daemon->env->diag, "ended exit_code=%d", daemon->exit_code);
    env_posix_destroy(&daemon->env);
    mem_free(daemon->who);
    mem_free(daemon->endpoint);
    mem_free(daemon->rpc_bound);
    mem_free(daemon->http_bound);
    mem_free(daemon->data_dir);
}

static int daemon_live(struct daemon *daemon)
{
    enum status status = env_start(daemon);
    if (status != ST_OK) {
        fprintf(stderr, "millrace-%s: no environment: %s\n", daemon->spec->name, status_text(status));
        return EXIT_FAILED;
    }
    status = signals_start(daemon);
    if (status == ST_OK)
        status = data_dir_make(daemon);
    if (status == ST_OK)
        status = rpc_start(daemon);
    if (status == ST_OK)
        status = service_start(daemon);
    if (status == ST_OK && daemon->exit_code == 0) {
        env_posix_run(daemon->env);
    } else {
        DIAG_ERROR(&daemon->env->diag, "cannot start status=%s", status_name(status));
        daemon->exit_code = EXIT_FAILED;
    }
    daemon_end(daemon);
    return daemon->exit_code;
}

int daemon_main(int argc, char **argv, const struct daemon_spec *spec)
{
    struct daemon_options options = {0};
    struct daemon daemon = {.spec = spec, .config = config_new(), .signal_fd = -1};
    int code = 0;
    process_prepare();
    if (!settings_read(spec, daemon.config, argc, argv, &options)) {
        code = EXIT_USAGE;
    } else if (options.help) {
        settings_help(spec, daemon.config);
    } else if (options.version) {
        printf("millrace-%s %s\n", spec->name, MILLRACE_VERSION);
    } else if (parent_watch(options.parent)) {
        daemon.ready_file = options.ready_file;
        code = daemon_live(&daemon);
    } else {
        code = EXIT_FAILED;
    }
    config_destroy(&daemon.config);
    return code;
}
