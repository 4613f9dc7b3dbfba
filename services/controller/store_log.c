// SPDX-License-Identifier: Apache-2.0
// The log file and the snapshot files. The log is only appended to; a truncation is a record of its own, and
// a new file replaces it when a snapshot makes its front superfluous. At its end a write cut short by a power
// loss is dropped (nobody was told of it); anything else that does not check is damage, and refused. Every
// write begins by saying that what is before it was durable, which tells the two apart.
#include "store_files.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SECTOR = 512,
    ZEROS_MIN = 8, // so many zeros at least are taken for bytes that were never written
    HEADER_CRC_AT = RECORD_HEADER - 4,
    LOG_MAX = 1 << 30,
    SNAPSHOT_MAX = 1 << 30,
    // Magic 8, version 4, crc 4, index 8, term 8, next offset 8, length 8, crc of the records 4, cluster 16,
    // length of the configuration 2, configuration.
    CONFIG_AT = 70,
    SNAPSHOT_HEADER = 256,
    WIDE_VERSION = 2, // a configuration with addresses may not fit
    WIDE_HEADER = 4096
};

static const char log_magic[8] = {'M', 'R', 'R', 'A', 'F', 'T', 'L', 'G'};
static const char snapshot_magic[8] = {'M', 'R', 'R', 'A', 'F', 'T', 'S', 'N'};

void store_log_put_header(const struct files *files, struct buf *out, int64_t base_index)
{
    uint8_t bytes[LOG_HEADER] = {0};
    memcpy(bytes, log_magic, sizeof log_magic);
    store_be32(bytes + 8, FILES_VERSION);
    store_be64(bytes + 16, (uint64_t)base_index);
    memcpy(bytes + 24, files->cluster.bytes, 16);
    store_be32(bytes + 40, (uint32_t)files->node_id);
    store_be32(bytes + 12, crc32c(0, bytes + 16, LOG_HEADER - 16));
    buf_append(out, bytes, sizeof bytes);
}

static void put_record(struct buf *out, enum record_type type, const struct raft_entry *entry)
{
    struct slice data = entry->data != NULL ? block_slice(entry->data) : slice_of("", 0);
    uint8_t head[RECORD_HEADER] = {0};
    store_be32(head, (uint32_t)data.len);
    head[8] = (uint8_t)type;
    head[9] = (uint8_t)entry->kind;
    store_be64(head + 12, (uint64_t)entry->index);
    store_be64(head + 20, (uint64_t)entry->term);
    store_be32(head + 4, crc32c(0, data.data, data.len));
    store_be32(head + HEADER_CRC_AT, crc32c(0, head, HEADER_CRC_AT));
    buf_append(out, head, sizeof head);
    buf_append(out, data.data, data.len);
}

void store_log_put_entry(struct buf *out, const struct raft_entry *entry)
{
    put_record(out, RECORD_ENTRY, entry);
}

void store_log_put_truncate(struct buf *out, int64_t from)
{
    put_record(out, RECORD_TRUNCATE, &(struct raft_entry){.index = from});
}

void store_log_put_synced(struct buf *out, int64_t at)
{
    put_record(out, RECORD_SYNCED, &(struct raft_entry){.index = at});
}

static void boot_truncate(struct store_boot *boot, int64_t from)
{
    while (boot->entry_count > 0 && boot->entries[boot->entry_count - 1].index >= from)
        block_unref(&boot->entries[--boot->entry_count].data);
}

static bool boot_append(struct store_boot *boot, const uint8_t *head, struct slice data)
{
    struct raft_entry entry = {.index = (int64_t)load_be64(head + 12),
                               .term = (int64_t)load_be64(head + 20),
                               .kind = (enum raft_entry_kind)head[9]};
    const struct raft_entry *last = boot->entry_count > 0 ? &boot->entries[boot->entry_count - 1] : NULL;
    if (entry.index < 1 || entry.kind > RAFT_ENTRY_CONFIG ||
        (last != NULL && (entry.index != last->index + 1 || entry.term < last->term)))
        return false;
    if (entry.kind != RAFT_ENTRY_NOOP)
        entry.data = block_copy(data);
    if ((boot->entry_count & (boot->entry_count - 1)) == 0) // grow at powers of two
        boot->entries = mem_realloc(boot->entries,
                                    (size_t)(boot->entry_count ? boot->entry_count * 2 : 1) * sizeof entry);
    boot->entries[boot->entry_count++] = entry;
    return true;
}

static bool header_ok(const struct buf *file, size_t at)
{
    const uint8_t *head = file->data + at;
    return file->len - at >= RECORD_HEADER &&
           load_be32(head + HEADER_CRC_AT) == crc32c(0, head, HEADER_CRC_AT);
}

// The record at `at` does not check. It was cut short when the file ends inside it or a sector of it was
// never written (new space reads as zeros); a flipped bit leaves no such trace.
static bool looks_torn(const struct buf *file, size_t at)
{
    size_t left = file->len - at;
    if (left < RECORD_HEADER)
        return true;
    bool known = header_ok(file, at);
    size_t size = known ? RECORD_HEADER + (size_t)load_be32(file->data + at) : RECORD_HEADER;
    if (size > left)
        return true;
    for (size_t end = at + size; at < end;) {
        size_t next = (at / SECTOR + 1) * SECTOR;
        if (next > end)
            next = end;
        size_t zeros = 0;
        while (at + zeros < next && file->data[at + zeros] == 0)
            zeros++;
        if (at + zeros == next && zeros >= ZEROS_MIN)
            return true;
        at = next;
    }
    return false;
}

// Whether a later write has said that what lies at `at` was durable: then it is damaged, however much it
// looks like a write cut short. Of the last write nobody can say so.
static bool was_durable(const struct buf *file, size_t at)
{
    for (size_t later = at + 1; file->len - later >= RECORD_HEADER; later++) {
        const uint8_t *head = file->data + later;
        if (head[8] == RECORD_SYNCED && load_be64(head + 12) == later && header_ok(file, later))
            return true;
    }
    return false;
}

// One record; the bytes it takes, 0 when it does not check.
static size_t read_record(const struct buf *file, size_t at, struct store_boot *boot)
{
    const uint8_t *head = file->data + at;
    if (!header_ok(file, at) || load_be32(head) > file->len - at - RECORD_HEADER)
        return 0;
    struct slice data = slice_of(head + RECORD_HEADER, load_be32(head));
    if (crc32c(0, data.data, data.len) != load_be32(head + 4))
        return 0;
    if (head[8] == RECORD_SYNCED)
        return load_be64(head + 12) == at ? RECORD_HEADER : 0;
    if (head[8] == RECORD_TRUNCATE)
        boot_truncate(boot, (int64_t)load_be64(head + 12));
    else if (head[8] != RECORD_ENTRY || !boot_append(boot, head, data))
        return 0;
    return RECORD_HEADER + data.len;
}

static bool log_header_ok(const struct files *files, const struct buf *file)
{
    const uint8_t *bytes = file->data;
    return file->len >= LOG_HEADER && memcmp(bytes, log_magic, sizeof log_magic) == 0 &&
           load_be32(bytes + 8) == FILES_VERSION &&
           load_be32(bytes + 12) == crc32c(0, bytes + 16, LOG_HEADER - 16) &&
           memcmp(bytes + 24, files->cluster.bytes, 16) == 0 &&
           (int32_t)load_be32(bytes + 40) == files->node_id;
}

enum status store_log_read(const struct files *files, struct store_boot *boot, int64_t *end)
{
    struct buf file;
    buf_init(&file, LOG_MAX);
    enum status status = store_files_read(files, "log", LOG_MAX, &file);
    if (status != ST_OK || !log_header_ok(files, &file)) {
        DIAG_ERROR(&files->env->diag, "%s/log is missing, damaged or of another cluster: %s",
                   files->directory, status_text(status));
        buf_fini(&file);
        return status == ST_OK ? ST_CORRUPT : status;
    }
    size_t at = LOG_HEADER;
    while (at < file.len) {
        size_t used = read_record(&file, at, boot);
        if (used == 0)
            break;
        at += used;
    }
    *end = (int64_t)at;
    if (at < file.len && (!looks_torn(&file, at) || was_durable(&file, at))) {
        DIAG_ERROR(&files->env->diag, "%s/log is damaged at byte %zu of %zu", files->directory, at, file.len);
        status = ST_CORRUPT;
    } else if (at < file.len) {
        DIAG_WARN(&files->env->diag, "%s/log: dropped an unfinished write of %zu bytes", files->directory,
                  file.len - at);
    }
    buf_fini(&file);
    return status;
}

// ---- snapshots ----

void store_snapshot_put_header(const struct files *files, struct buf *out,
                               const struct raft_snapshot *snapshot, int64_t next_offset,
                               struct slice records)
{
    uint8_t bytes[WIDE_HEADER] = {0};
    struct block *config = raft_config_encode(&snapshot->config);
    bool wide = CONFIG_AT + config->len > SNAPSHOT_HEADER;
    size_t size = wide ? WIDE_HEADER : SNAPSHOT_HEADER;
    memcpy(bytes, snapshot_magic, sizeof snapshot_magic);
    store_be32(bytes + 8, wide ? WIDE_VERSION : FILES_VERSION);
    store_be64(bytes + 16, (uint64_t)snapshot->index);
    store_be64(bytes + 24, (uint64_t)snapshot->term);
    store_be64(bytes + 32, (uint64_t)next_offset);
    store_be64(bytes + 40, records.len);
    store_be32(bytes + 48, crc32c(0, records.data, records.len));
    memcpy(bytes + 52, files->cluster.bytes, 16);
    store_be16(bytes + 68, (uint16_t)config->len);
    ASSERT(CONFIG_AT + config->len <= size);
    memcpy(bytes + CONFIG_AT, config->data, config->len);
    store_be32(bytes + 12, crc32c(0, bytes + 16, size - 16));
    buf_append(out, bytes, size);
    block_unref(&config);
}

// Bytes of the header, 0 when it is none of ours.
static size_t snapshot_header(const struct buf *file)
{
    if (file->len < SNAPSHOT_HEADER || memcmp(file->data, snapshot_magic, sizeof snapshot_magic) != 0)
        return 0;
    uint32_t version = load_be32(file->data + 8);
    size_t size = version == FILES_VERSION ? SNAPSHOT_HEADER : version == WIDE_VERSION ? WIDE_HEADER : 0;
    return size <= file->len ? size : 0;
}

static bool snapshot_parse(const struct files *files, struct buf *file, struct store_boot *boot)
{
    const uint8_t *bytes = file->data;
    size_t size = snapshot_header(file);
    if (size == 0 || load_be32(bytes + 12) != crc32c(0, bytes + 16, size - 16) ||
        memcmp(bytes + 52, files->cluster.bytes, 16) != 0)
        return false;
    struct slice records = slice_of(bytes + size, file->len - size);
    size_t config_len = load_be16(bytes + 68);
    if (load_be64(bytes + 40) != records.len ||
        crc32c(0, records.data, records.len) != load_be32(bytes + 48) || CONFIG_AT + config_len > size)
        return false;
    boot->snapshot.index = (int64_t)load_be64(bytes + 16);
    boot->snapshot.term = (int64_t)load_be64(bytes + 24);
    boot->next_offset = (int64_t)load_be64(bytes + 32);
    return boot->snapshot.index > 0 && boot->snapshot.term > 0 && boot->next_offset >= 0 &&
           raft_config_decode(slice_of(bytes + CONFIG_AT, config_len), &boot->snapshot.config) == ST_OK;
}

enum status store_snapshot_read(const struct files *files, const char *name, struct store_boot *boot)
{
    struct buf file;
    buf_init(&file, SNAPSHOT_MAX);
    enum status status = store_files_read(files, name, SNAPSHOT_MAX, &file);
    if (status == ST_OK && !snapshot_parse(files, &file, boot))
        status = ST_CORRUPT;
    if (status != ST_OK) {
        DIAG_ERROR(&files->env->diag, "%s/%s cannot be used: %s", files->directory, name,
                   status_text(status));
        buf_fini(&file);
        return status;
    }
    buf_consume(&file, snapshot_header(&file));
    boot->records = file;
    return ST_OK;
}

static bool snapshot_index_of(const char *name, int64_t *index)
{
    static const char prefix[] = "snapshot-";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    char *end;
    *index = strtoll(name + sizeof prefix - 1, &end, 10);
    return *end == 0 && *index > 0;
}

static bool newest_visit(const char *name, void *context)
{
    int64_t *newest = context, index;
    if (snapshot_index_of(name, &index) && index > *newest)
        *newest = index;
    return true;
}

enum status store_snapshot_newest(const struct files *files, int64_t *index)
{
    *index = 0;
    return path_list(files->env, files->directory, newest_visit, index);
}

struct clean {
    const struct files *files;
    int64_t keep;
};

static bool clean_visit(const char *name, void *context)
{
    const struct clean *clean = context;
    int64_t index;
    if (snapshot_index_of(name, &index) && index != clean->keep) {
        char *path = store_files_path(clean->files, name);
        path_unlink(clean->files->env, path);
        mem_free(path);
    }
    return true;
}

void store_snapshot_clean(const struct files *files, int64_t keep)
{
    struct clean clean = {.files = files, .keep = keep};
    path_list(files->env, files->directory, clean_visit, &clean);
}
