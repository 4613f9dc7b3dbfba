// SPDX-License-Identifier: Apache-2.0
// Starting other programs of millrace. posix_spawn, not fork: libraries with threads (NNG panics, ZeroMQ
// breaks) must not see a fork.
#ifndef CLI_LAUNCH_H
#define CLI_LAUNCH_H

#include "base/status.h"
#include "cluster.h"

// The path of a program beside this one ("millrace-storage"). NOT_FOUND when it is not there.
enum status launch_program(const char *name, char path[CLUSTER_PATH_MAX]);

struct launch {
    const char *path;
    char *const *args;
    const char *log;  // file that gets standard output and error, appended
    int keep_fd;      // handed down as descriptor 3; -1: none
    bool new_session; // leaves the terminal; else only a process group of its own
};
enum status launch_start(const struct launch *launch, int *pid);

#endif
