// SPDX-License-Identifier: Apache-2.0
// The state file of a local cluster and everything derived from it. Written atomically by the supervisor,
// read by down, status and logs. See cluster.h.
#include "cluster.h"

#include "http/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATE_MAX = 1 << 20 };

// ---- files ----

enum status file_replace(const char *path, struct slice text)
{
    char draft[CLUSTER_PATH_MAX + 8];
    snprintf(draft, sizeof draft, "%s.new", path);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    enum status status = ST_OK;
    if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len)
        status = status_from_errno(errno);
    if (fd >= 0)
        close(fd);
    if (status == ST_OK && rename(draft, path) != 0)
        status = status_from_errno(errno);
    return status;
}

enum status file_slurp(const char *path, size_t max, struct buf *out)
{
    enum { STEP = 64 << 10 };
    buf_init(out, max + STEP);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status_from_errno(errno);
    enum status status = ST_OK;
    ssize_t got = 1;
    while (status == ST_OK && got > 0) {
        status = out->len > max ? ST_LIMIT : buf_reserve(out, STEP);
        if (status != ST_OK)
            break;
        got = read(fd, out->data + out->len, STEP);
        if (got < 0)
            status = status_from_errno(errno);
        else
            out->len += (size_t)got;
    }
    close(fd);
    return status;
}

enum status directory_make(const char *path)
{
    char part[CLUSTER_PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return ST_INVALID;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return status_from_errno(errno);
    }
    return ST_OK;
}

// ---- names ----

void cluster_daemon_name(const struct cluster_daemon *daemon, char name[32])
{
    snprintf(name, 32, "%s-%d", daemon->role, daemon->id);
}

void cluster_daemon_data(const struct cluster *cluster, const struct cluster_daemon *daemon,
                         char path[CLUSTER_PATH_MAX])
{
    bool keeps = strcmp(daemon->role, "coordinator") != 0 && strcmp(daemon->role, "registry") != 0;
    path[0] = '\0';
    if (keeps)
        snprintf(path, CLUSTER_PATH_MAX, "%.440s/%s-%d", cluster->data, daemon->role, daemon->id);
}

void cluster_daemon_log(const struct cluster *cluster, const struct cluster_daemon *daemon,
                        char path[CLUSTER_PATH_MAX])
{
    snprintf(path, CLUSTER_PATH_MAX, "%.440s/logs/%s-%d.log", cluster->data, daemon->role, daemon->id);
}

void cluster_kafka(const struct cluster *cluster, struct buf *out)
{
    const char *comma = "";
    for (size_t i = 0; i < cluster->count; i++) {
        if (cluster->daemons[i].kafka_port == 0)
            continue;
        buf_printf(out, "%s127.0.0.1:%d", comma, cluster->daemons[i].kafka_port);
        comma = ",";
    }
}

void cluster_registry(const struct cluster *cluster, char url[64])
{
    url[0] = '\0';
    for (size_t i = cluster->count; i > 0; i--)
        if (cluster->daemons[i - 1].rest_port != 0)
            snprintf(url, 64, "http://127.0.0.1:%d", cluster->daemons[i - 1].rest_port);
}

// ---- JSON ----

static void address_put(struct buf *out, const char *name, int port)
{
    if (port != 0)
        buf_printf(out, ",\"%s\":\"127.0.0.1:%d\"", name, port);
    else
        buf_printf(out, ",\"%s\":\"\"", name);
}

static void daemon_put(const struct cluster *cluster, const struct cluster_daemon *daemon, struct buf *out)
{
    char data[CLUSTER_PATH_MAX];
    cluster_daemon_data(cluster, daemon, data);
    buf_printf(out, "{\"role\":\"%s\",\"id\":%d,\"pid\":%d", daemon->role, daemon->id, daemon->pid);
    address_put(out, "kafka", daemon->kafka_port);
    if (daemon->rest_port != 0)
        address_put(out, "rest", daemon->rest_port);
    address_put(out, "rpc", daemon->rpc_port);
    address_put(out, "http", daemon->http_port);
    buf_printf(out, ",\"data\":");
    json_put_string(out, slice_str(data));
    buf_printf(out, "}");
}

void cluster_ready_json(const struct cluster *cluster, struct buf *out)
{
    char registry[64];
    buf_printf(out, "{\"kafka\":\"");
    cluster_kafka(cluster, out);
    cluster_registry(cluster, registry);
    buf_printf(out, "\",\n \"registry\":\"%s", registry);
    buf_printf(out, "\",\n \"pid\":%d,\n \"data\":", cluster->pid);
    json_put_string(out, slice_str(cluster->data));
    buf_printf(out, ",\n \"daemons\":[");
    for (size_t i = 0; i < cluster->count; i++) {
        buf_printf(out, "%s\n  ", i > 0 ? "," : "");
        daemon_put(cluster, &cluster->daemons[i], out);
    }
    buf_printf(out, "]}\n");
}

static void state_path(const char *data, char path[CLUSTER_PATH_MAX])
{
    snprintf(path, CLUSTER_PATH_MAX, "%.440s/cluster.json", data);
}

enum status cluster_save(const struct cluster *cluster)
{
    struct buf text;
    char path[CLUSTER_PATH_MAX];
    buf_init(&text, STATE_MAX);
    buf_printf(&text, "{\"version\":%d,\"ephemeral\":%s,\"pid\":%d,\n \"run\":", CLUSTER_VERSION,
               cluster->ephemeral ? "true" : "false", cluster->pid);
    json_put_string(&text, slice_str(cluster->run));
    buf_printf(&text, ",\n \"daemons\":[");
    for (size_t i = 0; i < cluster->count; i++) {
        const struct cluster_daemon *daemon = &cluster->daemons[i];
        buf_printf(&text,
                   "%s\n  {\"role\":\"%s\",\"id\":%d,\"pid\":%d,\"kafka_port\":%d,\"rest_port\":%d,"
                   "\"rpc_port\":%d,\"http_port\":%d}",
                   i > 0 ? "," : "", daemon->role, daemon->id, daemon->pid, daemon->kafka_port,
                   daemon->rest_port, daemon->rpc_port, daemon->http_port);
    }
    buf_printf(&text, "]}\n");
    state_path(cluster->data, path);
    enum status status = file_replace(path, buf_slice(&text));
    buf_fini(&text);
    return status;
}

static enum status member_int(const cJSON *object, const char *name, int max, int *out)
{
    int64_t value;
    if (json_integer(object, name, &value) != ST_OK || value < 0 || value > max)
        return ST_MALFORMED;
    *out = (int)value;
    return ST_OK;
}

static enum status daemon_read(const cJSON *item, struct cluster_daemon *daemon)
{
    static const char *const roles[] = {"controller", "storage", "coordinator", "registry"};
    const char *role = json_string(item, "role");
    size_t known = 0;
    while (known < sizeof roles / sizeof *roles && (role == NULL || strcmp(role, roles[known]) != 0))
        known++;
    if (known == sizeof roles / sizeof *roles)
        return ST_MALFORMED;
    snprintf(daemon->role, sizeof daemon->role, "%s", role);
    if (member_int(item, "id", INT32_MAX, &daemon->id) != ST_OK ||
        member_int(item, "pid", INT32_MAX, &daemon->pid) != ST_OK ||
        member_int(item, "kafka_port", 65535, &daemon->kafka_port) != ST_OK ||
        member_int(item, "rpc_port", 65535, &daemon->rpc_port) != ST_OK ||
        member_int(item, "http_port", 65535, &daemon->http_port) != ST_OK)
        return ST_MALFORMED;
    if (json_get(item, "rest_port") != NULL && // since there are registries
        member_int(item, "rest_port", 65535, &daemon->rest_port) != ST_OK)
        return ST_MALFORMED;
    return ST_OK;
}

static enum status state_read(const cJSON *json, struct cluster *cluster)
{
    const char *run = json_string(json, "run");
    const cJSON *list = json_get(json, "daemons");
    int version = 0;
    if (member_int(json, "version", INT32_MAX, &version) != ST_OK)
        return ST_MALFORMED;
    if (version != CLUSTER_VERSION)
        return ST_UNSUPPORTED;
    if (run == NULL || strlen(run) >= sizeof cluster->run || !cJSON_IsArray(list) ||
        member_int(json, "pid", INT32_MAX, &cluster->pid) != ST_OK)
        return ST_MALFORMED;
    snprintf(cluster->run, sizeof cluster->run, "%s", run);
    cluster->ephemeral = cJSON_IsTrue(json_get(json, "ephemeral"));
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (cluster->count == CLUSTER_DAEMONS_MAX ||
            daemon_read(item, &cluster->daemons[cluster->count++]) != ST_OK)
            return ST_MALFORMED;
    }
    return ST_OK;
}

enum status cluster_load(const char *data, struct cluster *cluster)
{
    char path[CLUSTER_PATH_MAX];
    struct buf text;
    cJSON *json = NULL;
    size_t at;
    memset(cluster, 0, sizeof *cluster);
    snprintf(cluster->data, sizeof cluster->data, "%s", data);
    state_path(data, path);
    enum status status = file_slurp(path, STATE_MAX, &text);
    if (status == ST_OK)
        status = json_parse(buf_slice(&text), &json, &at);
    if (status == ST_OK)
        status = state_read(json, cluster);
    cJSON_Delete(json);
    buf_fini(&text);
    return status;
}

// ---- the lock ----

enum status cluster_lock(const char *data, int *fd)
{
    char path[CLUSTER_PATH_MAX];
    snprintf(path, sizeof path, "%.440s/up.lock", data);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return status_from_errno(errno);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return ST_OK;
    enum status status = errno == EWOULDBLOCK ? ST_EXISTS : status_from_errno(errno);
    close(*fd);
    *fd = -1;
    return status;
}

bool cluster_running(const char *data)
{
    char path[CLUSTER_PATH_MAX];
    snprintf(path, sizeof path, "%.440s/up.lock", data);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}
