// SPDX-License-Identifier: Apache-2.0
// See replay.h. Blocks are read in the order of their numbers, groups in theirs. Nothing is believed that its
// checksums do not prove; and an end is believed only if nothing later is there: a valid group behind a
// damaged one shows that the damaged one had been durable.
#include "log/replay.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "kafka/batch.h"
#include "log/files.h"
#include "log/journal.h"
#include "log/segment.h"

#include <stdlib.h>

struct found { // batches of one log in one group
    int block; // index of the file
    int64_t at, bytes;
    int64_t base, end, segment_base, position;
};

struct found_log {
    struct found *rows;
    int count, cap;
    bool claimed; // by a log that is there
};

struct block_file {
    uint64_t number; // 0: never used
    int64_t size;
    int64_t used; // bytes of valid groups, the header's page included
};

struct log_replay {
    struct env *env;
    const char *dir;
    uint64_t id;
    struct block_file blocks[JOURNAL_BLOCKS];
    struct map logs; // key of 20 bytes → found_log
    uint8_t *bytes;  // of the block read now
    uint64_t group;  // number of the last valid group
    int64_t written;
};

struct key {
    uint8_t bytes[20];
};

static struct key key_of(struct uuid id, int32_t partition)
{
    struct key key;
    memcpy(key.bytes, id.bytes, sizeof id.bytes);
    store_le32(key.bytes + 16, (uint32_t)partition);
    return key;
}

static struct found_log *log_of(struct log_replay *replay, const struct key *key)
{
    struct slice name = slice_of(key->bytes, sizeof key->bytes);
    struct found_log *log = map_get(&replay->logs, name);
    if (log == NULL) {
        log = mem_calloc(1, sizeof *log);
        map_put(&replay->logs, name, log);
    }
    return log;
}

// ---- groups ----

struct group {
    uint64_t number;
    int64_t at, bytes, previous;
    uint32_t items;
};

static bool parse_group(const struct log_replay *replay, const struct block_file *block, int64_t at,
                        struct group *group)
{
    if (block->size - at < JOURNAL_HEAD)
        return false;
    const uint8_t *head = replay->bytes + at;
    if (load_le32(head) != JOURNAL_MAGIC_GROUP || load_le64(head + 8) != replay->id ||
        load_le64(head + 16) != block->number || load_le32(head + 4) != crc32c(0, head + 8, JOURNAL_HEAD - 8))
        return false;
    *group = (struct group){.number = load_le64(head + 24),
                            .at = at,
                            .bytes = (int64_t)load_le64(head + 32),
                            .previous = (int64_t)load_le64(head + 40),
                            .items = load_le32(head + 48)};
    return group->bytes >= JOURNAL_HEAD && group->bytes <= block->size - at && group->number > replay->group;
}

static struct found parse_item(const uint8_t *head)
{
    return (struct found){.bytes = load_le32(head + 28),
                          .base = (int64_t)load_le64(head + 32),
                          .end = (int64_t)load_le64(head + 40),
                          .segment_base = (int64_t)load_le64(head + 48),
                          .position = (int64_t)load_le64(head + 56)};
}

// Whether the bytes are whole batches from base to end, and the item's checksum fits them.
static bool batches_fit(const uint8_t *head, const struct found *item, struct slice bytes)
{
    uint32_t crc = crc32c(0, head + 4, JOURNAL_HEAD - 4);
    int64_t next = item->base;
    while (bytes.len > 0) {
        struct batch_header header;
        if (batch_parse(bytes, &header) != ST_OK || batch_size(&header) > bytes.len ||
            header.base_offset < next || !batch_crc_ok(slice_of(bytes.data, batch_size(&header)), &header))
            return false;
        crc = crc32c(crc, bytes.data, BATCH_HEADER_SIZE);
        next = batch_last_offset(&header) + 1;
        bytes = slice_of(bytes.data + batch_size(&header), bytes.len - batch_size(&header));
    }
    return crc == load_le32(head) && (item->bytes == 0 || next == item->end);
}

// Calls take for every item of the group; false when one is not valid.
static bool each_item(struct log_replay *replay, int block, const struct group *group,
                      void (*take)(struct log_replay *, const uint8_t *head, struct found *))
{
    int64_t at = group->at + JOURNAL_HEAD, end = group->at + group->bytes;
    for (uint32_t i = 0; i < group->items; i++) {
        if (end - at < JOURNAL_HEAD)
            return false;
        const uint8_t *head = replay->bytes + at;
        struct found item = parse_item(head);
        at += JOURNAL_HEAD;
        if (item.bytes > end - at ||
            !batches_fit(head, &item, slice_of(replay->bytes + at, (size_t)item.bytes)))
            return false;
        item.block = block;
        item.at = at;
        at += item.bytes;
        if (take != NULL)
            take(replay, head, &item);
    }
    return at == end;
}

// Items that end at or below `below` are void, all of them when it is 0. They come in order of offsets.
static void drop_items(struct found_log *log, int64_t below)
{
    int gone = 0;
    while (gone < log->count && (below == 0 || log->rows[gone].end <= below))
        gone++;
    log->count -= gone;
    if (log->count > 0)
        memmove(log->rows, log->rows + gone, (size_t)log->count * sizeof *log->rows);
}

static void take_item(struct log_replay *replay, const uint8_t *head, struct found *item)
{
    struct uuid id;
    memcpy(id.bytes, head + 8, sizeof id.bytes);
    struct key key = key_of(id, (int32_t)load_le32(head + 24));
    struct found_log *log = log_of(replay, &key);
    if (load_le32(head + 4) != 0) {
        drop_items(log, item->end);
        return;
    }
    if (log->count == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 4;
        log->rows = mem_realloc(log->rows, (size_t)log->cap * sizeof *log->rows);
    }
    log->rows[log->count++] = *item;
}

// ---- blocks ----

static enum status damaged(struct log_replay *replay, int index, int64_t at)
{
    DIAG_ERROR(&replay->env->diag,
               "journal is damaged, acknowledged records are missing file=%s/%s position=%lld", replay->dir,
               journal_file_name(index).text, (long long)at);
    return ST_CORRUPT;
}

static enum status open_block(struct log_replay *replay, int index, struct file **file)
{
    struct log_path path = log_path_join(replay->dir, journal_file_name(index).text);
    return file_open(replay->env, path.text, FILE_READ, file);
}

static bool header_ok(const uint8_t *header)
{
    return load_le32(header) == JOURNAL_MAGIC_BLOCK &&
           load_le32(header + 4) == crc32c(0, header + 8, JOURNAL_HEAD - 8);
}

// One of the header's two copies; NULL when neither is whole. A torn first one leaves the second as it was
// before: a file whose second copy is all zeroes was never used.
static const uint8_t *choose_header(const uint8_t *page)
{
    if (header_ok(page))
        return page;
    return header_ok(page + JOURNAL_COPY) ? page + JOURNAL_COPY : NULL;
}

static enum status read_header(struct log_replay *replay, int index, struct file *file)
{
    static const uint8_t zeroes[JOURNAL_HEAD];
    struct block_file *block = &replay->blocks[index];
    uint8_t page[JOURNAL_PAGE];
    size_t got;
    file_drop_cache(replay->env, file, 0);
    enum status status = file_size(replay->env, file, &block->size);
    if (status == ST_OK)
        status = file_pread(replay->env, file, page, sizeof page, 0, &got);
    if (status != ST_OK || got < sizeof page)
        return status;
    const uint8_t *header = choose_header(page);
    if (header == NULL && memcmp(page + JOURNAL_COPY, zeroes, sizeof zeroes) == 0)
        return ST_OK;
    if (header == NULL || (replay->id != 0 && replay->id != load_le64(header + 8)))
        return damaged(replay, index, 0);
    replay->id = load_le64(header + 8);
    block->number = load_le64(header + 16);
    return ST_OK;
}

static enum status read_headers(struct log_replay *replay)
{
    for (int i = 0; i < JOURNAL_BLOCKS; i++) {
        struct file *file;
        enum status status = open_block(replay, i, &file);
        if (status == ST_NOT_FOUND)
            continue;
        if (status == ST_OK) {
            status = read_header(replay, i, file);
            file_close(replay->env, &file);
        }
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

static enum status read_bytes(struct log_replay *replay, int index)
{
    struct block_file *block = &replay->blocks[index];
    free(replay->bytes);
    replay->bytes = malloc((size_t)block->size);
    if (replay->bytes == NULL)
        return ST_NO_MEMORY;
    struct file *file;
    size_t got = 0;
    enum status status = open_block(replay, index, &file);
    if (status != ST_OK)
        return status;
    status = file_pread(replay->env, file, replay->bytes, (size_t)block->size, 0, &got);
    file_close(replay->env, &file);
    return status == ST_OK && (int64_t)got < block->size ? ST_IO : status;
}

// The first valid group on a page from `at` on.
static bool later_group(const struct log_replay *replay, const struct block_file *block, int64_t at)
{
    struct group group;
    for (; at < block->size; at += JOURNAL_PAGE)
        if (parse_group(replay, block, at, &group))
            return true;
    return false;
}

// The block before must have been read to its end.
static bool joins(const struct log_replay *replay, const struct block_file *before, const struct group *group,
                  uint64_t number)
{
    if (group->at != JOURNAL_PAGE)
        return true;
    if (before == NULL)
        return true; // it was given back
    return before->number + 1 == number && before->used == group->previous;
}

static enum status read_groups(struct log_replay *replay, int index, const struct block_file *before)
{
    struct block_file *block = &replay->blocks[index];
    struct group group;
    enum status status = read_bytes(replay, index);
    if (status != ST_OK)
        return status;
    block->used = JOURNAL_PAGE;
    while (parse_group(replay, block, block->used, &group) && each_item(replay, index, &group, NULL)) {
        if (!joins(replay, before, &group, block->number))
            return damaged(replay, (int)(before->number % JOURNAL_BLOCKS), before->used);
        each_item(replay, index, &group, take_item);
        replay->group = group.number;
        block->used += journal_pages(group.bytes);
    }
    // The group there may be torn; behind it there is nothing unless it was durable.
    return later_group(replay, block, block->used + JOURNAL_PAGE) ? damaged(replay, index, block->used)
                                                                  : ST_OK;
}

// Index of the block with the lowest number above `after`; -1 when there is none.
static int next_block(const struct log_replay *replay, uint64_t after)
{
    int next = -1;
    for (int i = 0; i < JOURNAL_BLOCKS; i++)
        if (replay->blocks[i].number > after &&
            (next < 0 || replay->blocks[i].number < replay->blocks[next].number))
            next = i;
    return next;
}

static enum status read_blocks(struct log_replay *replay)
{
    const struct block_file *before = NULL;
    enum status status = ST_OK;
    int next;
    while (status == ST_OK && (next = next_block(replay, before != NULL ? before->number : 0)) >= 0) {
        status = read_groups(replay, next, before);
        before = &replay->blocks[next];
    }
    return status;
}

enum status log_replay_remove(const struct log_replay *replay)
{
    int oldest = next_block(replay, 0);
    return journal_remove(replay->env, replay->dir, oldest >= 0 ? oldest : 0);
}

enum status log_replay_read(struct env *env, const char *dir, struct log_replay **result)
{
    struct log_replay *replay = mem_calloc(1, sizeof *replay);
    *replay = (struct log_replay){.env = env, .dir = dir};
    map_init(&replay->logs, 0);
    *result = replay;
    enum status status = read_headers(replay);
    if (status == ST_OK)
        status = read_blocks(replay);
    free(replay->bytes);
    replay->bytes = NULL;
    return status;
}

void log_replay_destroy(struct log_replay **pointer)
{
    struct log_replay *replay = *pointer;
    *pointer = NULL;
    if (replay == NULL)
        return;
    struct map_entry *at = NULL;
    void *value;
    while (map_next(&replay->logs, &at, NULL, &value)) {
        struct found_log *log = value;
        mem_free(log->rows);
        mem_free(log);
    }
    map_fini(&replay->logs);
    mem_free(replay);
}

int64_t log_replay_bytes(const struct log_replay *replay)
{
    return replay->written;
}

// ---- writing ----

static enum status load_batches(struct log_replay *replay, const struct found *item, uint8_t **bytes)
{
    struct file *file;
    size_t got = 0;
    *bytes = malloc((size_t)item->bytes);
    if (*bytes == NULL)
        return ST_NO_MEMORY;
    enum status status = open_block(replay, item->block, &file);
    if (status != ST_OK)
        return status;
    status = file_pread(replay->env, file, *bytes, (size_t)item->bytes, item->at, &got);
    file_close(replay->env, &file);
    return status == ST_OK && (int64_t)got < item->bytes ? ST_IO : status;
}

// What lies below the recovery point is in its place, and may have been compacted there: it is left alone.
static size_t skip_below(const struct found *item, const uint8_t *bytes, int64_t recovery_point)
{
    size_t at = 0;
    struct batch_header header;
    while (at < (size_t)item->bytes &&
           batch_parse(slice_of(bytes + at, (size_t)item->bytes - at), &header) == ST_OK &&
           batch_last_offset(&header) < recovery_point)
        at += batch_size(&header);
    return at;
}

static enum status write_item(struct log_replay *replay, const char *path, const struct found *item,
                              int64_t recovery_point)
{
    struct env *env = replay->env;
    struct file *file;
    struct log_path name = log_path_join(path, log_segment_name(item->segment_base, ".log").text);
    enum status status = file_open(env, name.text, FILE_WRITE, &file);
    if (status != ST_OK)
        return status;
    uint8_t *bytes;
    status = load_batches(replay, item, &bytes);
    if (status == ST_OK) {
        size_t from = skip_below(item, bytes, recovery_point);
        status =
            file_pwrite(env, file, bytes + from, (size_t)item->bytes - from, item->position + (int64_t)from);
        replay->written += item->bytes - (int64_t)from;
    }
    free(bytes);
    file_close(env, &file);
    return status;
}

// What the journal holds of a log. A damaged partition.metadata may name the log by an id that is not quite
// its own.
static struct found_log *find_log(const struct log_replay *replay, struct uuid id, int32_t partition)
{
    struct key key = key_of(id, partition);
    struct found_log *log = map_get(&replay->logs, slice_of(key.bytes, sizeof key.bytes));
    struct map_entry *at = NULL;
    struct slice name;
    void *value;
    while (log == NULL && map_next(&replay->logs, &at, &name, &value)) {
        struct uuid other;
        memcpy(other.bytes, name.data, sizeof other.bytes);
        if (uuid_near(other, id) && memcmp(name.data + sizeof other.bytes, key.bytes + sizeof other.bytes,
                                           sizeof key.bytes - sizeof other.bytes) == 0)
            log = value;
    }
    return log;
}

enum status log_replay_apply(struct log_replay *replay, struct uuid id, int32_t partition, const char *path,
                             int64_t recovery_point, int64_t *end)
{
    struct found_log *log = uuid_is_zero(id) ? NULL : find_log(replay, id, partition);
    *end = -1;
    if (log == NULL || log->count == 0)
        return ST_OK;
    log->claimed = true;
    *end = log->rows[log->count - 1].end;
    for (int i = 0; i < log->count; i++) {
        if (log->rows[i].end <= recovery_point)
            continue;
        enum status status = write_item(replay, path, &log->rows[i], recovery_point);
        if (status != ST_OK)
            return status == ST_NOT_FOUND ? ST_OK : status;
    }
    return ST_OK;
}

int log_replay_unclaimed(const struct log_replay *replay, int32_t partition, struct uuid *id)
{
    struct map_entry *at = NULL;
    struct slice name;
    void *value;
    int count = 0;
    while (map_next(&replay->logs, &at, &name, &value)) {
        const struct found_log *log = value;
        if (log->claimed || log->count == 0 || (int32_t)load_le32(name.data + sizeof id->bytes) != partition)
            continue;
        memcpy(id->bytes, name.data, sizeof id->bytes);
        count++;
    }
    return count;
}
