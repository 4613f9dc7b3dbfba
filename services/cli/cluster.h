// SPDX-License-Identifier: Apache-2.0
// A local cluster as `millrace up` keeps it: its state file DATA/cluster.json (which daemons, ids, ports),
// the lock that tells whether it runs, and the registry of this user's running clusters. See cluster.c.
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "cli.h"

enum { CLUSTER_DAEMONS_MAX = 128, CLUSTER_PATH_MAX = 512, CLUSTER_VERSION = 1 };

struct cluster_daemon {
    char role[16]; // "controller", "storage", "coordinator", "registry"
    int id;
    int pid;        // 0: not running
    int kafka_port; // 0: none
    int rest_port;  // of a registry; 0: none
    int rpc_port;
    int http_port;
};

struct cluster {
    char data[CLUSTER_PATH_MAX]; // absolute
    char run[CLUSTER_PATH_MAX];  // sockets of the survey, ready files
    int pid;                     // of the supervisor; 0: not running
    bool ephemeral;
    size_t count;
    struct cluster_daemon daemons[CLUSTER_DAEMONS_MAX];
};

// "storage-1", in a buffer of the caller.
void cluster_daemon_name(const struct cluster_daemon *daemon, char name[32]);

// DATA/storage-1 or "" for a role that keeps no data.
void cluster_daemon_data(const struct cluster *cluster, const struct cluster_daemon *daemon,
                         char path[CLUSTER_PATH_MAX]);
void cluster_daemon_log(const struct cluster *cluster, const struct cluster_daemon *daemon,
                        char path[CLUSTER_PATH_MAX]);

// "host:port,..." of all storage nodes.
void cluster_kafka(const struct cluster *cluster, struct buf *out);

// "http://127.0.0.1:port" of the first registry; "" when there is none.
void cluster_registry(const struct cluster *cluster, char url[64]);

// The `daemons` list and the rest of a ready file as JSON.
void cluster_ready_json(const struct cluster *cluster, struct buf *out);

// DATA/cluster.json. NOT_FOUND when there is none, MALFORMED or UNSUPPORTED (its version) when it cannot be
// used.
enum status cluster_load(const char *data, struct cluster *cluster);
enum status cluster_save(const struct cluster *cluster);

// Replaces a file atomically.
enum status file_replace(const char *path, struct slice text);
// Reads a whole file of at most max bytes.
enum status file_slurp(const char *path, size_t max, struct buf *out);
// Makes a directory and what leads to it.
enum status directory_make(const char *path);

// Holds DATA/up.lock as long as *fd is open. EXISTS: another `millrace up` holds it.
enum status cluster_lock(const char *data, int *fd);
bool cluster_running(const char *data);

// The registry of running clusters: $XDG_RUNTIME_DIR/millrace, else /tmp/millrace-UID (0700, own).
enum status registry_add(const struct cluster *cluster);
void registry_remove(const struct cluster *cluster);
// A directory for sockets: DATA/run, else one of one's own in the registry, else in /tmp/millrace-UID; the
// first whose path is short enough for a socket's.
enum status registry_run_dir(const char *data, char run[CLUSTER_PATH_MAX]);

// The cluster a command is about: --data when given, else $MILLRACE_DATA, else the newest running one of this
// user. A message is
// printed when there is none.
enum cli_exit cluster_find(const char *data, struct cluster *cluster);

// The URL of the schema registry of the cluster in $MILLRACE_DATA, else of the newest running one of this
// user; "" when there is none.
void cluster_find_registry(char url[64]);

#endif
