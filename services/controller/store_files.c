// SPDX-License-Identifier: Apache-2.0
// Small files of the store: paths, atomic replacement, meta.properties, hard-state. See store_files.h.
#include "store_files.h"

#include "base/bytes.h"
#include "base/config.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    META_MAX = 4096,
    HARD_BYTES = 64, // of one of the two copies
    HARD_CRC_AT = 12,
    HARD_COPY_AT = 4096, // in a block of its own, so that no torn write meets both
    HARD_FILE = HARD_COPY_AT + HARD_BYTES
};

static const char hard_magic[8] = {'M', 'R', 'H', 'A', 'R', 'D', 'S', 'T'};

char *store_files_path(const struct files *files, const char *name)
{
    return mem_printf("%s/%s", files->directory, name);
}

char *store_files_snapshot_name(int64_t index)
{
    return mem_printf("snapshot-%020lld", (long long)index);
}

static enum status write_synced(const struct files *files, const char *path, const struct iovec *iov,
                                int count)
{
    struct file *file = NULL;
    enum status status = file_open(files->env, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
    if (status != ST_OK)
        return status;
    status = file_pwritev(files->env, file, iov, count, 0);
    if (status == ST_OK)
        status = file_sync(files->env, file);
    file_close(files->env, &file);
    return status;
}

enum status store_files_replace(const struct files *files, const char *name, const struct iovec *iov,
                                int count)
{
    char *path = store_files_path(files, name);
    char *temporary = mem_printf("%s.tmp", path);
    enum status status = write_synced(files, temporary, iov, count);
    if (status == ST_OK)
        status = path_rename(files->env, temporary, path);
    if (status == ST_OK && path_sync_dir(files->env, files->directory) != ST_OK)
        status = ST_IO;
    mem_free(temporary);
    mem_free(path);
    return status;
}

enum status store_files_read(const struct files *files, const char *name, size_t max, struct buf *out)
{
    char *path = store_files_path(files, name);
    struct file *file = NULL;
    int64_t size = 0;
    enum status status = file_open(files->env, path, FILE_READ, &file);
    if (status == ST_OK) {
        file_drop_cache(files->env, file, 0); // a process before this one may have seen a sync fail
        status = file_size(files->env, file, &size);
    }
    if (status == ST_OK && (uint64_t)size > max)
        status = ST_LIMIT;
    if (status == ST_OK)
        status = buf_reserve(out, (size_t)size);
    size_t got = 0;
    if (status == ST_OK && size > 0)
        status = file_pread(files->env, file, out->data + out->len, (size_t)size, 0, &got);
    if (status == ST_OK && got != (size_t)size)
        status = ST_TRUNCATED;
    out->len += got;
    file_close(files->env, &file);
    mem_free(path);
    return status;
}

// ---- meta.properties: Kafka's file of that name and keys, and a checksum over the lines before it ----

enum status store_meta_write(const struct files *files)
{
    char directory[UUID_TEXT_SIZE], cluster[UUID_TEXT_SIZE];
    uuid_format(files->directory_id, directory);
    uuid_format(files->cluster, cluster);
    struct buf text;
    buf_init(&text, META_MAX);
    buf_printf(&text, "version=1\nnode.id=%d\ndirectory.id=%s\n", files->node_id, directory);
    if (!uuid_is_zero(files->cluster))
        buf_printf(&text, "cluster.id=%s\n", cluster);
    buf_printf(&text, "checksum=%08x\n", crc32c(0, text.data, text.len));
    enum status status = buf_status(&text);
    if (status == ST_OK)
        status = store_files_replace(files, "meta.properties",
                                     &(struct iovec){.iov_base = text.data, .iov_len = text.len}, 1);
    buf_fini(&text);
    return status;
}

struct meta {
    int version;
    long node_id;
    struct uuid directory, cluster;
    bool complete;
};

static enum status meta_pair(const char *key, const char *value, void *context)
{
    struct meta *meta = context;
    if (strcmp(key, "version") == 0)
        meta->version = atoi(value);
    else if (strcmp(key, "node.id") == 0)
        meta->node_id = strtol(value, NULL, 10);
    else if (strcmp(key, "directory.id") == 0 && !uuid_parse(value, &meta->directory))
        return ST_CORRUPT;
    else if (strcmp(key, "cluster.id") == 0 && !uuid_parse(value, &meta->cluster))
        return ST_CORRUPT;
    else if (strcmp(key, "checksum") == 0)
        meta->complete = true;
    return ST_OK;
}

static enum status meta_parse(struct buf *text, struct meta *meta)
{
    static const char mark[] = "checksum=";
    size_t tail = sizeof mark - 1 + 9;
    if (text->len < tail || memcmp(text->data + text->len - tail, mark, sizeof mark - 1) != 0)
        return ST_CORRUPT;
    char hex[9] = {0};
    memcpy(hex, text->data + text->len - 9, 8);
    if (strtoul(hex, NULL, 16) != crc32c(0, text->data, text->len - tail))
        return ST_CORRUPT;
    int line = 0;
    enum status status = config_parse(buf_slice(text), meta_pair, meta, &line);
    return status == ST_OK && meta->complete && !uuid_is_zero(meta->directory) ? ST_OK : ST_CORRUPT;
}

enum status store_meta_read(struct files *files)
{
    struct buf text;
    buf_init(&text, META_MAX);
    struct meta meta = {.node_id = -1};
    enum status status = store_files_read(files, "meta.properties", META_MAX, &text);
    if (status == ST_OK) {
        status = meta_parse(&text, &meta);
        if (status != ST_OK)
            DIAG_ERROR(&files->env->diag, "%s/meta.properties is damaged", files->directory);
    }
    buf_fini(&text);
    if (status != ST_OK)
        return status;
    if (meta.version != FILES_VERSION) {
        DIAG_ERROR(&files->env->diag, "%s/meta.properties has version %d, this build understands %d",
                   files->directory, meta.version, FILES_VERSION);
        return ST_UNSUPPORTED;
    }
    if (meta.node_id != files->node_id) {
        DIAG_ERROR(&files->env->diag, "directory %s belongs to node.id %ld, this node is configured as %d",
                   files->directory, meta.node_id, files->node_id);
        return ST_MISMATCH;
    }
    files->directory_id = meta.directory;
    files->cluster = meta.cluster;
    return ST_OK;
}

// ---- hard-state: two copies of magic 8, version 4, crc 4, term 8, vote id 4, zero 4, vote directory 16, own
// directory 16 ----

static void hard_encode(const struct files *files, const struct raft_hard *hard, uint8_t bytes[HARD_BYTES])
{
    memset(bytes, 0, HARD_BYTES);
    memcpy(bytes, hard_magic, sizeof hard_magic);
    store_be32(bytes + 8, FILES_VERSION);
    store_be64(bytes + 16, (uint64_t)hard->term);
    store_be32(bytes + 24, (uint32_t)hard->vote.id);
    memcpy(bytes + 32, hard->vote.directory.bytes, 16);
    memcpy(bytes + 48, files->directory_id.bytes, 16);
    store_be32(bytes + HARD_CRC_AT, crc32c(0, bytes + 16, HARD_BYTES - 16));
}

enum status store_hard_make(const struct files *files, const struct raft_hard *hard)
{
    uint8_t bytes[HARD_FILE] = {0};
    hard_encode(files, hard, bytes);
    memcpy(bytes + HARD_COPY_AT, bytes, HARD_BYTES);
    return store_files_replace(files, "hard-state",
                               &(struct iovec){.iov_base = bytes, .iov_len = sizeof bytes}, 1);
}

static enum status put_copy(const struct files *files, struct file *file, const uint8_t *copy, int64_t at)
{
    enum status status = file_pwrite(files->env, file, copy, HARD_BYTES, at);
    return status == ST_OK ? file_sync(files->env, file) : status;
}

enum status store_hard_write(const struct files *files, const struct raft_hard *hard)
{
    uint8_t bytes[HARD_BYTES];
    struct file *file = NULL;
    char *path = store_files_path(files, "hard-state");
    hard_encode(files, hard, bytes);
    enum status status = file_open(files->env, path, FILE_WRITE, &file);
    if (status == ST_OK)
        status = put_copy(files, file, bytes, 0);
    if (status == ST_OK)
        status = put_copy(files, file, bytes, HARD_COPY_AT);
    file_close(files->env, &file);
    mem_free(path);
    return status;
}

static bool hard_decode(const struct files *files, const struct buf *file, size_t at, struct raft_hard *hard)
{
    const uint8_t *bytes = file->data + at;
    if (file->len < at + HARD_BYTES || memcmp(bytes, hard_magic, sizeof hard_magic) != 0 ||
        load_be32(bytes + 8) != FILES_VERSION ||
        load_be32(bytes + HARD_CRC_AT) != crc32c(0, bytes + 16, HARD_BYTES - 16) ||
        memcmp(bytes + 48, files->directory_id.bytes, 16) != 0)
        return false;
    *hard = (struct raft_hard){.term = (int64_t)load_be64(bytes + 16),
                               .vote = {.id = (int32_t)load_be32(bytes + 24)}};
    memcpy(hard->vote.directory.bytes, bytes + 32, 16);
    return true;
}

// The first copy is the newer one when both are whole: the second is written when the first is durable. One
// that is not whole was being written, and nobody has been answered yet, or is damaged: the other counts.
static bool hard_choose(const struct files *files, const struct buf *file, struct raft_hard *hard)
{
    struct raft_hard first, second;
    bool has_first = hard_decode(files, file, 0, &first);
    bool has_second = hard_decode(files, file, HARD_COPY_AT, &second);
    if (!has_first && !has_second)
        return false;
    *hard = has_first ? first : second;
    if (!has_first || !has_second)
        DIAG_WARN(&files->env->diag,
                  "%s/hard-state: one of its two copies was damaged or unfinished, the other is used",
                  files->directory);
    return true;
}

enum status store_hard_read(const struct files *files, struct raft_hard *hard)
{
    struct buf buf;
    buf_init(&buf, HARD_FILE);
    enum status status = store_files_read(files, "hard-state", HARD_FILE, &buf);
    if (status != ST_OK || !hard_choose(files, &buf, hard)) {
        DIAG_ERROR(&files->env->diag,
                   "%s/hard-state (term and vote) is missing or damaged; this controller must not vote: "
                   "replace its directory by an empty one and let it join again",
                   files->directory);
        status = ST_CORRUPT;
    } else if (buf.len != HARD_FILE || memcmp(buf.data, buf.data + HARD_COPY_AT, HARD_BYTES) != 0) {
        status = store_hard_write(files, hard); // both copies alike again
    }
    buf_fini(&buf);
    return status;
}
