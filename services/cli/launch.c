// SPDX-License-Identifier: Apache-2.0
// See launch.h.
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

enum status launch_program(const char *name, char path[CLUSTER_PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return ST_NOT_FOUND;
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return ST_NOT_FOUND;
    *slash = '\0';
    snprintf(path, CLUSTER_PATH_MAX, "%.460s/%.40s", self, name);
    return access(path, X_OK) == 0 ? ST_OK : ST_NOT_FOUND;
}

static int attributes_fill(const struct launch *launch, posix_spawnattr_t *attributes)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    posix_spawnattr_setpgroup(attributes, 0);
    int group = launch->new_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
    return posix_spawnattr_setflags(attributes,
                                    (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group));
}

enum status launch_start(const struct launch *launch, int *pid)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    pid_t started = 0;
    int failed = posix_spawnattr_init(&attributes);
    if (failed != 0)
        return status_from_errno(failed);
    failed = posix_spawn_file_actions_init(&files);
    if (failed == 0) {
        attributes_fill(launch, &attributes);
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&files, 1, launch->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        posix_spawn_file_actions_adddup2(&files, 1, 2);
        if (launch->keep_fd >= 0)
            posix_spawn_file_actions_adddup2(&files, launch->keep_fd, 3);
        failed = posix_spawn(&started, launch->path, &files, &attributes, launch->args, environ);
        posix_spawn_file_actions_destroy(&files);
    }
    posix_spawnattr_destroy(&attributes);
    *pid = (int)started;
    return failed == 0 ? ST_OK : status_from_errno(failed);
}
