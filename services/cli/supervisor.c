// SPDX-License-Identifier: Apache-2.0
// The supervisor: one loop over signals (children that ended), inotify (ready files that appeared) and timers
// (restarts). A daemon that died is started again at once, then with growing pauses; before the cluster was
// ready for the first time, a daemon that fails again and again ends the whole start with its last log lines.
// Stopping goes registries, coordinators, storage nodes, controllers: each can still reach what it needs to
// leave in order.
#include "supervisor.h"

#include "base/assert.h"
#include "base/mem.h"
#include "http/json.h"
#include "io/env_posix.h"
#include "plan.h"
#include "probe.h"
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RESTART_MS_FIRST = 20,
    RESTART_MS_MAX = 5000,
    STEADY_MS = 10000,       // a daemon that ran this long starts again without a pause
    FAILURES_MAX = 8,        // in a row, before the cluster was ever ready
    STOP_MS = 15000,         // then SIGKILL
    LOG_KEEP_MAX = 64 << 20, // bytes; a longer log is set aside as .1
    LOG_CHECK_MS = 30000,
    EXIT_CONFIG = 2 // a daemon's exit code for wrong parameters
};

struct supervisor;

struct child {
    struct supervisor *supervisor;
    struct cluster_daemon *daemon;
    char name[32];
    bool ready;
    bool told;    // to end
    int failures; // in a row
    int64_t began_us;
    struct timer restart;
};

enum phase { PHASE_STARTING, PHASE_PROBING, PHASE_UP, PHASE_STOPPING };

struct supervisor {
    const struct supervisor_config *config;
    struct cluster *cluster;
    struct env *env;
    enum phase phase;
    enum cli_exit code;
    int64_t began_us;
    int signal_fd, inotify_fd;
    struct timer stop_timer, log_timer;
    struct probe *probe;
    struct child children[CLUSTER_DAEMONS_MAX];
};

static void stop_begin(struct supervisor *supervisor, enum cli_exit code);

// ---- starting a daemon ----

static void log_rotate(const struct cluster *cluster, const struct cluster_daemon *daemon)
{
    char path[CLUSTER_PATH_MAX], kept[CLUSTER_PATH_MAX + 4];
    struct stat info;
    cluster_daemon_log(cluster, daemon, path);
    if (stat(path, &info) != 0 || info.st_size <= LOG_KEEP_MAX)
        return;
    snprintf(kept, sizeof kept, "%s.1", path);
    rename(path, kept);
}

static enum status child_spawn(struct child *child)
{
    struct supervisor *supervisor = child->supervisor;
    char program[64], path[CLUSTER_PATH_MAX], log[CLUSTER_PATH_MAX];
    snprintf(program, sizeof program, "millrace-%s", child->daemon->role);
    enum status status = launch_program(program, path);
    if (status != ST_OK) {
        cli_fail(CLI_FAILED, "%s is not beside this program", program);
        return status;
    }
    log_rotate(supervisor->cluster, child->daemon);
    cluster_daemon_log(supervisor->cluster, child->daemon, log);
    char **args = plan_args(supervisor->cluster, child->daemon, path, supervisor->config->settings);
    struct launch launch = {.path = path, .args = args, .log = log, .keep_fd = -1};
    status = launch_start(&launch, &child->daemon->pid);
    plan_args_free(args);
    child->ready = false;
    child->began_us = env_now_us(supervisor->env);
    if (status != ST_OK)
        child->daemon->pid = 0;
    return status;
}

static void on_restart(struct timer *timer)
{
    struct child *child = timer->context;
    if (child->supervisor->phase == PHASE_STOPPING)
        return;
    if (child_spawn(child) != ST_OK)
        timer_start_ms(child->supervisor->env, timer, RESTART_MS_MAX);
    else
        cluster_save(child->supervisor->cluster);
}

// ---- a daemon ended ----

static void log_tail_print(const struct cluster *cluster, const struct cluster_daemon *daemon)
{
    enum { TAIL = 2000 };
    char path[CLUSTER_PATH_MAX], text[TAIL + 1];
    cluster_daemon_log(cluster, daemon, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t len = pread(fd, text, TAIL, size > TAIL ? size - TAIL : 0);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    const char *from = size > TAIL && strchr(text, '\n') != NULL ? strchr(text, '\n') + 1 : text;
    fprintf(stderr, "--- %s ---\n%s", path, from);
}

static void child_ended(struct child *child, int how)
{
    struct supervisor *supervisor = child->supervisor;
    int64_t ran_ms = (env_now_us(supervisor->env) - child->began_us) / 1000;
    int code = WIFEXITED(how) ? WEXITSTATUS(how) : -1;
    child->daemon->pid = 0;
    child->ready = false;
    if (supervisor->phase == PHASE_STOPPING)
        return;
    child->failures = ran_ms >= STEADY_MS ? 0 : child->failures + 1;
    if (WIFSIGNALED(how))
        DIAG_WARN(&supervisor->env->diag, "daemon died name=%s signal=%d ran_ms=%lld", child->name,
                  WTERMSIG(how), (long long)ran_ms);
    else
        DIAG_WARN(&supervisor->env->diag, "daemon ended name=%s exit_code=%d ran_ms=%lld", child->name, code,
                  (long long)ran_ms);
    bool hopeless = code == EXIT_CONFIG || child->failures >= FAILURES_MAX;
    if (supervisor->phase != PHASE_UP && hopeless) {
        cli_fail(CLI_FAILED, "%s cannot start", child->name);
        log_tail_print(supervisor->cluster, child->daemon);
        stop_begin(supervisor, CLI_FAILED);
        return;
    }
    int64_t pause_ms = RESTART_MS_FIRST;
    for (int i = 1; i < child->failures && pause_ms < RESTART_MS_MAX; i++)
        pause_ms *= 2;
    timer_start_ms(supervisor->env, &child->restart, pause_ms < RESTART_MS_MAX ? pause_ms : RESTART_MS_MAX);
}

static void stop_go_on(struct supervisor *supervisor);

static void children_reap(struct supervisor *supervisor)
{
    int how;
    pid_t pid;
    bool any = false;
    while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
        for (size_t i = 0; i < supervisor->cluster->count; i++) {
            if (supervisor->children[i].daemon->pid != pid)
                continue;
            child_ended(&supervisor->children[i], how);
            any = true;
            break;
        }
    }
    if (!any)
        return;
    if (supervisor->phase == PHASE_STOPPING)
        stop_go_on(supervisor);
    else
        cluster_save(supervisor->cluster);
}

// ---- stopping ----

// Tells the daemons of the first role that still has some to end. Owners of shards go one after the other:
// the last one sees that nobody is left to take its shards, two at once would wait for each other.
static void stop_go_on(struct supervisor *supervisor)
{
    static const char *const order[] = {"registry", "coordinator", "storage", "controller"};
    enum { OWNERS = 2 };
    for (size_t r = 0; r < sizeof order / sizeof *order; r++) {
        bool waiting = false;
        for (size_t i = 0; i < supervisor->cluster->count && !(waiting && r < OWNERS); i++) {
            struct child *child = &supervisor->children[i];
            if (child->daemon->pid == 0 || strcmp(child->daemon->role, order[r]) != 0)
                continue;
            if (!child->told)
                kill(child->daemon->pid, SIGTERM);
            child->told = true;
            waiting = true;
        }
        if (waiting)
            return;
    }
    env_posix_stop(supervisor->env);
}

static void on_stop_late(struct timer *timer)
{
    struct supervisor *supervisor = timer->context;
    for (size_t i = 0; i < supervisor->cluster->count; i++)
        if (supervisor->children[i].daemon->pid != 0)
            kill(supervisor->children[i].daemon->pid, SIGKILL);
    timer_start_ms(supervisor->env, timer, STOP_MS);
}

static void stop_begin(struct supervisor *supervisor, enum cli_exit code)
{
    if (supervisor->phase == PHASE_STOPPING)
        return;
    supervisor->phase = PHASE_STOPPING;
    supervisor->code = code;
    probe_destroy(&supervisor->probe);
    for (size_t i = 0; i < supervisor->cluster->count; i++)
        timer_stop(supervisor->env, &supervisor->children[i].restart);
    timer_start_ms(supervisor->env, &supervisor->stop_timer, STOP_MS);
    stop_go_on(supervisor);
}

static void on_signal(int fd, int events, void *context)
{
    struct supervisor *supervisor = context;
    struct signalfd_siginfo info;
    bool ended = false;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            ended = true;
        else if (supervisor->phase == PHASE_STOPPING)
            on_stop_late(&supervisor->stop_timer); // the second signal: no more patience
        else
            stop_begin(supervisor, CLI_DONE);
    }
    if (ended)
        children_reap(supervisor);
}

// ---- becoming ready ----

static void on_probed(void *context)
{
    struct supervisor *supervisor = context;
    const struct supervisor_config *config = supervisor->config;
    supervisor->phase = PHASE_UP;
    cluster_save(supervisor->cluster);
    config->on_ready(supervisor->cluster, (env_now_us(supervisor->env) - supervisor->began_us) / 1000,
                     config->context);
}

static void ready_check(struct supervisor *supervisor)
{
    if (supervisor->phase != PHASE_STARTING)
        return;
    for (size_t i = 0; i < supervisor->cluster->count; i++)
        if (!supervisor->children[i].ready)
            return;
    supervisor->phase = PHASE_PROBING;
    supervisor->probe = probe_new(supervisor->env, supervisor->cluster, on_probed, supervisor);
}

static void child_ready_read(struct child *child)
{
    enum { READY_MAX = 16 << 10 };
    char path[CLUSTER_PATH_MAX + 64];
    struct buf text;
    cJSON *json = NULL;
    size_t at;
    int64_t pid;
    snprintf(path, sizeof path, "%s/%s.ready", child->supervisor->cluster->run, child->name);
    if (file_slurp(path, READY_MAX, &text) == ST_OK && json_parse(buf_slice(&text), &json, &at) == ST_OK &&
        json_integer(json, "pid", &pid) == ST_OK && pid == child->daemon->pid && pid != 0)
        child->ready = cJSON_IsTrue(json_get(json, "ready"));
    cJSON_Delete(json);
    buf_fini(&text);
}

static void on_files(int fd, int events, void *context)
{
    struct supervisor *supervisor = context;
    char drained[4096];
    while (read(fd, drained, sizeof drained) > 0)
        ;
    for (size_t i = 0; i < supervisor->cluster->count; i++)
        if (!supervisor->children[i].ready)
            child_ready_read(&supervisor->children[i]);
    ready_check(supervisor);
}

// ---- life ----

// A running daemon goes on writing to the descriptor it has: its long log is copied aside and emptied.
static void log_trim(const struct cluster *cluster, const struct cluster_daemon *daemon)
{
    char path[CLUSTER_PATH_MAX], kept[CLUSTER_PATH_MAX + 4];
    struct stat info;
    cluster_daemon_log(cluster, daemon, path);
    if (stat(path, &info) != 0 || info.st_size <= LOG_KEEP_MAX)
        return;
    snprintf(kept, sizeof kept, "%s.1", path);
    int from = open(path, O_RDWR | O_CLOEXEC);
    int to = open(kept, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    loff_t at = 0;
    while (from >= 0 && to >= 0 && copy_file_range(from, &at, to, NULL, LOG_KEEP_MAX, 0) > 0)
        ;
    if (from >= 0 && ftruncate(from, 0) != 0)
        cli_fail(CLI_FAILED, "%s cannot be shortened", path);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
}

static void on_log_check(struct timer *timer)
{
    struct supervisor *supervisor = timer->context;
    for (size_t i = 0; i < supervisor->cluster->count; i++)
        log_trim(supervisor->cluster, supervisor->children[i].daemon);
    timer_start_ms(supervisor->env, timer, LOG_CHECK_MS);
}

static enum status watches_start(struct supervisor *supervisor)
{
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGHUP);
    sigaddset(&taken, SIGCHLD);
    sigprocmask(SIG_BLOCK, &taken, NULL);
    signal(SIGPIPE, SIG_IGN);
    enum status status = env_posix_new("up", 1, &supervisor->env);
    if (status != ST_OK)
        return status;
    supervisor->signal_fd = signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC);
    supervisor->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (supervisor->signal_fd < 0 || supervisor->inotify_fd < 0 ||
        inotify_add_watch(supervisor->inotify_fd, supervisor->cluster->run, IN_MOVED_TO) < 0)
        return status_from_errno(errno);
    status = loop_fd_add(supervisor->env, supervisor->signal_fd, STREAM_READABLE, on_signal, supervisor);
    if (status == ST_OK)
        status = loop_fd_add(supervisor->env, supervisor->inotify_fd, STREAM_READABLE, on_files, supervisor);
    return status;
}

static enum status children_start(struct supervisor *supervisor)
{
    enum status status = ST_OK;
    for (size_t i = 0; i < supervisor->cluster->count; i++) {
        struct child *child = &supervisor->children[i];
        child->supervisor = supervisor;
        child->daemon = &supervisor->cluster->daemons[i];
        cluster_daemon_name(child->daemon, child->name);
        timer_init(&child->restart, on_restart, child);
    }
    for (size_t i = 0; i < supervisor->cluster->count && status == ST_OK; i++)
        status = child_spawn(&supervisor->children[i]);
    return status;
}

static void supervisor_end(struct supervisor *supervisor)
{
    probe_destroy(&supervisor->probe);
    timer_stop(supervisor->env, &supervisor->stop_timer);
    timer_stop(supervisor->env, &supervisor->log_timer);
    for (size_t i = 0; i < supervisor->cluster->count; i++)
        timer_stop(supervisor->env, &supervisor->children[i].restart);
    loop_fd_remove(supervisor->env, supervisor->signal_fd);
    loop_fd_remove(supervisor->env, supervisor->inotify_fd);
    close(supervisor->signal_fd);
    close(supervisor->inotify_fd);
    env_posix_destroy(&supervisor->env);
}

enum cli_exit supervisor_run(const struct supervisor_config *config)
{
    struct supervisor *supervisor = mem_calloc(1, sizeof *supervisor);
    supervisor->config = config;
    supervisor->cluster = config->cluster;
    enum status status = watches_start(supervisor);
    if (status != ST_OK) {
        mem_free(supervisor);
        return cli_fail(CLI_FAILED, "cannot watch %s: %s", config->cluster->run, status_text(status));
    }
    timer_init(&supervisor->stop_timer, on_stop_late, supervisor);
    timer_init(&supervisor->log_timer, on_log_check, supervisor);
    timer_start_ms(supervisor->env, &supervisor->log_timer, LOG_CHECK_MS);
    supervisor->began_us = env_now_us(supervisor->env);
    config->cluster->pid = (int)getpid();
    status = children_start(supervisor);
    if (status == ST_OK)
        status = cluster_save(config->cluster);
    if (status != ST_OK) {
        cli_fail(CLI_FAILED, "cannot start: %s", status_text(status));
        stop_begin(supervisor, CLI_FAILED);
    }
    env_posix_run(supervisor->env);
    supervisor_end(supervisor);
    config->cluster->pid = 0;
    cluster_save(config->cluster);
    enum cli_exit code = supervisor->code;
    mem_free(supervisor);
    return code;
}
