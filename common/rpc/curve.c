// SPDX-License-Identifier: Apache-2.0
// Key files and the table of who has which key. The table is shared by the loop (finding a server's key) and
// the ZAP thread (finding a client's, reading the directory again): a lock guards it, held for look-ups and
// for the exchange of a table that was read aside. Files are read with plain calls: keys are not simulated.
#include "rpc/curve.h"

#include "base/assert.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

struct entry {
    struct curve_pair pair;
    uint8_t public_bytes[32];
};

struct table {
    struct entry *entries;
    int count, cap;
};

struct curve_keys {
    struct diag *diag;
    struct curve_pair own;
    char *directory;
    pthread_mutex_t lock;
    struct table table;
    int64_t read_s; // when, CLOCK_BOOTTIME
};

// ---- names ----

static const struct {
    enum rpc_role role;
    const char *text;
} roles[] = {{RPC_CONTROLLER, "controller"},
             {RPC_STORAGE, "storage"},
             {RPC_COORDINATOR, "coordinator"},
             {RPC_REGISTRY, "registry"},
             {RPC_TOOL, "tool"}};

enum rpc_role curve_role_parse(const char *text)
{
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(roles[i].text, text) == 0)
            return roles[i].role;
    return (enum rpc_role)0;
}

const char *curve_role_text(enum rpc_role role)
{
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (roles[i].role == role)
            return roles[i].text;
    return NULL;
}

// ---- files ----

static enum status key_take(char key[CURVE_TEXT_SIZE], const char *value)
{
    uint8_t bytes[32];
    if (strlen(value) != CURVE_TEXT_SIZE - 1 || zmq_z85_decode(bytes, value) == NULL)
        return ST_MALFORMED;
    memcpy(key, value, CURVE_TEXT_SIZE);
    return ST_OK;
}

static enum status line_take(struct curve_pair *pair, const char *line)
{
    const char *equals = strchr(line, '=');
    if (line[0] == '#' || line[0] == '\0')
        return ST_OK;
    if (equals == NULL)
        return ST_MALFORMED;
    size_t len = (size_t)(equals - line);
    if (len == 4 && memcmp(line, "role", len) == 0) {
        pair->node.role = curve_role_parse(equals + 1);
        return pair->node.role != 0 ? ST_OK : ST_MALFORMED;
    }
    if (len == 4 && memcmp(line, "node", len) == 0) {
        char *end;
        long node = strtol(equals + 1, &end, 10);
        pair->node.node = (int32_t)node;
        return end != equals + 1 && *end == '\0' && node >= -1 && node <= INT32_MAX ? ST_OK : ST_MALFORMED;
    }
    if (len == 6 && memcmp(line, "public", len) == 0)
        return key_take(pair->public_text, equals + 1);
    if (len == 6 && memcmp(line, "secret", len) == 0)
        return key_take(pair->secret_text, equals + 1);
    return ST_MALFORMED;
}

static enum status text_take(struct curve_pair *pair, char *text)
{
    enum status status = ST_OK;
    char *rest = NULL;
    *pair = (struct curve_pair){.node = {.node = -2}};
    for (char *line = strtok_r(text, "\r\n", &rest); line != NULL && status == ST_OK;
         line = strtok_r(NULL, "\r\n", &rest))
        status = line_take(pair, line);
    if (pair->node.role == 0 || pair->node.node == -2 || pair->public_text[0] == '\0')
        return ST_MALFORMED;
    return status;
}

static enum status file_take(const char *path, bool secret, struct curve_pair *pair)
{
    char text[CURVE_FILE_MAX + 1];
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status_from_errno(errno);
    enum status status = fstat(fd, &info) == 0 ? ST_OK : status_from_errno(errno);
    if (status == ST_OK && secret && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        status = ST_DENIED;
    ssize_t len = read(fd, text, sizeof text);
    close(fd);
    if (status != ST_OK)
        return status;
    if (len < 0 || len > CURVE_FILE_MAX)
        return ST_MALFORMED;
    text[len] = '\0';
    status = text_take(pair, text);
    explicit_bzero(text, sizeof text);
    if (status == ST_OK && secret && pair->secret_text[0] == '\0')
        return ST_MALFORMED;
    return status;
}

// ---- the directory ----

static void table_add(struct table *table, const struct curve_pair *pair)
{
    if (table->count == table->cap) {
        table->cap = table->cap ? table->cap * 2 : 16;
        table->entries = mem_realloc(table->entries, (size_t)table->cap * sizeof *table->entries);
    }
    struct entry *entry = &table->entries[table->count++];
    entry->pair = *pair;
    memset(entry->pair.secret_text, 0, sizeof entry->pair.secret_text);
    zmq_z85_decode(entry->public_bytes, pair->public_text);
}

static bool is_pub(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, ".pub") == 0 && name[0] != '.';
}

static enum status table_read(struct curve_keys *keys, struct table *table)
{
    DIR *dir = opendir(keys->directory);
    if (dir == NULL)
        return status_from_errno(errno);
    const struct dirent *item;
    while (table->count < CURVE_KEYS_MAX && (item = readdir(dir)) != NULL) {
        struct curve_pair pair;
        if (!is_pub(item->d_name))
            continue;
        char *path = mem_printf("%s/%s", keys->directory, item->d_name);
        enum status status = file_take(path, false, &pair);
        if (status == ST_OK)
            table_add(table, &pair);
        else
            DIAG_WARN(keys->diag, "key file is not used file=%s reason=\"%s\"", path, status_text(status));
        mem_free(path);
    }
    closedir(dir);
    return ST_OK;
}

static int64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

static enum status directory_read(struct curve_keys *keys)
{
    struct table fresh = {0};
    enum status status = table_read(keys, &fresh);
    pthread_mutex_lock(&keys->lock);
    struct table old = keys->table;
    if (status == ST_OK)
        keys->table = fresh;
    keys->read_s = now_s();
    pthread_mutex_unlock(&keys->lock);
    mem_free(status == ST_OK ? old.entries : fresh.entries);
    return status;
}

void curve_refresh(struct curve_keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    bool due = now_s() - keys->read_s >= 2;
    pthread_mutex_unlock(&keys->lock);
    if (due)
        directory_read(keys);
}

// ---- life ----

enum status curve_keys_load(struct diag *diag, const char *own_file, const char *directory,
                            struct curve_keys **out)
{
    struct curve_keys *keys = mem_calloc(1, sizeof *keys);
    keys->diag = diag;
    keys->directory = mem_strdup(directory);
    pthread_mutex_init(&keys->lock, NULL);
    enum status status = file_take(own_file, true, &keys->own);
    const char *wrong = own_file;
    if (status == ST_OK) {
        status = directory_read(keys);
        wrong = directory;
    }
    if (status != ST_OK) {
        DIAG_ERROR(diag, "rpc keys cannot be read from=%s reason=\"%s\"", wrong,
                   status == ST_DENIED ? "others may read it; chmod 600" : status_text(status));
        curve_keys_destroy(&keys);
        return status;
    }
    *out = keys;
    return ST_OK;
}

void curve_keys_destroy(struct curve_keys **pointer)
{
    struct curve_keys *keys = *pointer;
    *pointer = NULL;
    if (keys == NULL)
        return;
    pthread_mutex_destroy(&keys->lock);
    mem_free(keys->table.entries);
    mem_free(keys->directory);
    explicit_bzero(&keys->own, sizeof keys->own);
    mem_free(keys);
}

// ---- look-ups ----

const struct curve_pair *curve_own(const struct curve_keys *keys)
{
    return &keys->own;
}

bool curve_find_node(struct curve_keys *keys, struct rpc_node node, char public_text[CURVE_TEXT_SIZE])
{
    const struct curve_pair *found = NULL;
    pthread_mutex_lock(&keys->lock);
    for (int i = 0; i < keys->table.count; i++) {
        const struct curve_pair *pair = &keys->table.entries[i].pair;
        if (pair->node.role != node.role)
            continue;
        if (pair->node.node == node.node || (pair->node.node == -1 && found == NULL))
            found = pair;
        if (found != NULL && found->node.node == node.node)
            break;
    }
    if (found != NULL)
        memcpy(public_text, found->public_text, CURVE_TEXT_SIZE);
    pthread_mutex_unlock(&keys->lock);
    return found != NULL;
}

bool curve_find_key(struct curve_keys *keys, const uint8_t public_bytes[32], struct rpc_node *node)
{
    bool found = false;
    pthread_mutex_lock(&keys->lock);
    for (int i = 0; i < keys->table.count && !found; i++) {
        found = memcmp(keys->table.entries[i].public_bytes, public_bytes, 32) == 0;
        if (found)
            *node = keys->table.entries[i].pair.node;
    }
    pthread_mutex_unlock(&keys->lock);
    return found;
}

// ---- making keys ----

static enum status file_write(const char *directory, const char *name, const char *suffix, mode_t mode,
                              const char *text)
{
    char *path = mem_printf("%s/%s%s", directory, name, suffix);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    enum status status = fd >= 0 ? ST_OK : status_from_errno(errno);
    mem_free(path);
    if (fd < 0)
        return status;
    size_t len = strlen(text);
    if (write(fd, text, len) != (ssize_t)len || fsync(fd) != 0)
        status = status_from_errno(errno);
    close(fd);
    return status;
}

static enum status pub_write(const char *directory, const char *name, const struct curve_pair *pair)
{
    char *text = mem_printf("role=%s\nnode=%d\npublic=%s\n", curve_role_text(pair->node.role),
                            pair->node.node, pair->public_text);
    enum status status = file_write(directory, name, ".pub", 0644, text);
    mem_free(text);
    return status;
}

enum status curve_keygen(const char *directory, const char *name, struct rpc_node node)
{
    struct curve_pair pair = {.node = node};
    ASSERT(curve_role_text(node.role) != NULL);
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL || node.node < -1)
        return ST_INVALID;
    if (zmq_curve_keypair(pair.public_text, pair.secret_text) != 0)
        return ST_UNSUPPORTED;
    char *key = mem_printf("role=%s\nnode=%d\npublic=%s\nsecret=%s\n", curve_role_text(node.role), node.node,
                           pair.public_text, pair.secret_text);
    // The secret first: a .pub without its .key would only admit somebody who does not exist.
    enum status status = file_write(directory, name, ".key", 0600, key);
    if (status == ST_OK)
        status = pub_write(directory, name, &pair);
    explicit_bzero(key, strlen(key));
    explicit_bzero(&pair, sizeof pair);
    mem_free(key);
    return status;
}

enum status curve_publish(const char *directory, const char *name)
{
    struct curve_pair pair;
    char *path = mem_printf("%s/%s.key", directory, name);
    enum status status = file_take(path, true, &pair);
    if (status == ST_OK)
        status = pub_write(directory, name, &pair);
    explicit_bzero(&pair, sizeof pair);
    mem_free(path);
    return status == ST_EXISTS ? ST_OK : status;
}
