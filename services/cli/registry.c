// SPDX-License-Identifier: Apache-2.0
// Which clusters this user runs: a directory that belongs to the user alone with one small file per cluster,
// named by a hash of its data directory. Files of clusters that are gone are recognised by their lock. See
// cluster.h.
#include "cluster.h"

#include "base/hash.h"
#include "base/mem.h"
#include "http/json.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ENTRY_MAX = 4096, SOCKET_DIR_MAX = 70, RUN_NAME = 17 };

// Makes a directory that is the user's alone. DENIED when somebody else owns it or others may enter.
static enum status own_dir(const char *dir)
{
    struct stat info;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return status_from_errno(errno);
    if (lstat(dir, &info) != 0)
        return status_from_errno(errno);
    if (!S_ISDIR(info.st_mode) || info.st_uid != getuid() || (info.st_mode & 077) != 0)
        return ST_DENIED;
    return ST_OK;
}

static void short_dir(char dir[CLUSTER_PATH_MAX])
{
    snprintf(dir, CLUSTER_PATH_MAX, "/tmp/millrace-%u", (unsigned)getuid());
}

// The directory, made when absent.
static enum status registry_dir(char dir[CLUSTER_PATH_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat info;
    if (runtime != NULL && runtime[0] == '/' && stat(runtime, &info) == 0 && info.st_uid == getuid())
        snprintf(dir, CLUSTER_PATH_MAX, "%.480s/millrace", runtime);
    else
        short_dir(dir);
    return own_dir(dir);
}

static uint64_t data_hash(const char *data)
{
    return hash_bytes(0x6d696c6c72616365, data, strlen(data));
}

static enum status entry_path(const char *data, char path[CLUSTER_PATH_MAX])
{
    char dir[CLUSTER_PATH_MAX];
    enum status status = registry_dir(dir);
    snprintf(path, CLUSTER_PATH_MAX, "%.480s/%016" PRIx64 ".json", dir, data_hash(data));
    return status;
}

enum status registry_add(const struct cluster *cluster)
{
    char path[CLUSTER_PATH_MAX];
    enum status status = entry_path(cluster->data, path);
    if (status != ST_OK)
        return status;
    struct timespec now;
    struct buf text;
    clock_gettime(CLOCK_REALTIME, &now);
    buf_init(&text, ENTRY_MAX);
    buf_printf(&text, "{\"started_ms\":%lld,\"data\":", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    json_put_string(&text, slice_str(cluster->data));
    buf_printf(&text, "}\n");
    status = file_replace(path, buf_slice(&text));
    buf_fini(&text);
    return status;
}

void registry_remove(const struct cluster *cluster)
{
    char path[CLUSTER_PATH_MAX];
    if (entry_path(cluster->data, path) == ST_OK)
        unlink(path);
}

enum status registry_run_dir(const char *data, char run[CLUSTER_PATH_MAX])
{
    char dir[CLUSTER_PATH_MAX];
    snprintf(run, CLUSTER_PATH_MAX, "%.480s/run", data);
    if (strlen(run) <= SOCKET_DIR_MAX)
        return directory_make(run);
    enum status status = registry_dir(dir);
    if (strlen(dir) > SOCKET_DIR_MAX - RUN_NAME) {
        short_dir(dir);
        status = own_dir(dir);
    }
    if (status != ST_OK)
        return status;
    snprintf(run, CLUSTER_PATH_MAX, "%.480s/%016" PRIx64, dir, data_hash(data));
    return directory_make(run);
}

// Reads one entry; false when it is damaged or its cluster does not run.
static bool entry_read(const char *path, char data[CLUSTER_PATH_MAX], int64_t *started_ms)
{
    struct buf text;
    cJSON *json = NULL;
    size_t at;
    bool good = false;
    if (file_slurp(path, ENTRY_MAX, &text) == ST_OK && json_parse(buf_slice(&text), &json, &at) == ST_OK) {
        const char *named = json_string(json, "data");
        good = named != NULL && strlen(named) < CLUSTER_PATH_MAX &&
               json_integer(json, "started_ms", started_ms) == ST_OK && cluster_running(named);
        if (good)
            memcpy(data, named, strlen(named) + 1);
    }
    cJSON_Delete(json);
    buf_fini(&text);
    return good;
}

static bool newest_running(char data[CLUSTER_PATH_MAX])
{
    char dir[CLUSTER_PATH_MAX];
    int64_t newest_ms = -1;
    if (registry_dir(dir) != ST_OK)
        return false;
    DIR *entries = opendir(dir);
    if (entries == NULL)
        return false;
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        char path[CLUSTER_PATH_MAX + 300], found[CLUSTER_PATH_MAX];
        int64_t started_ms;
        size_t len = strlen(entry->d_name);
        if (len < 5 || strcmp(entry->d_name + len - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (!entry_read(path, found, &started_ms) || started_ms <= newest_ms)
            continue;
        newest_ms = started_ms;
        memcpy(data, found, sizeof found);
    }
    closedir(entries);
    return newest_ms >= 0;
}

enum cli_exit cluster_find(const char *data, struct cluster *cluster)
{
    char path[PATH_MAX];
    const char *named = getenv("MILLRACE_DATA");
    if (data == NULL && named != NULL && *named != '\0')
        data = named;
    if (data == NULL && !newest_running(path))
        return cli_fail(CLI_ABSENT,
                        "no cluster of yours is running; 'millrace up' starts one, --data DIR names one");
    if (data != NULL && (realpath(data, path) == NULL || strlen(path) >= CLUSTER_PATH_MAX - 80))
        return cli_fail(CLI_ABSENT, "%s: no such directory", data);
    enum status status = cluster_load(path, cluster);
    if (status == ST_NOT_FOUND)
        return cli_fail(CLI_ABSENT, "%s: no cluster was ever started there", path);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "%s/cluster.json cannot be used: %s", path, status_text(status));
    if (!cluster_running(path))
        cluster->pid = 0;
    return CLI_DONE;
}

void cluster_find_registry(char url[64])
{
    char path[PATH_MAX];
    const char *named = getenv("MILLRACE_DATA");
    bool found = named != NULL && *named != '\0' ? realpath(named, path) != NULL : newest_running(path);
    struct cluster *cluster = mem_calloc(1, sizeof *cluster);
    url[0] = '\0';
    if (found && strlen(path) < CLUSTER_PATH_MAX - 80 && cluster_load(path, cluster) == ST_OK)
        cluster_registry(cluster, url);
    mem_free(cluster);
}
