// SPDX-License-Identifier: Apache-2.0
// Blocks and groups of the journal as files. See journal.h; reading them back is replay.c.
//
// Block header, twice in page 0, in sectors of their own: magic, CRC of the rest, journal id, number.
// Group header: magic, CRC of the rest, journal id, block, group, bytes, items, previous. Item head: CRC of
// the rest of it and of each batch's header (the batches' own checksums cover what is behind those), then the
// fields of struct journal_item. Everything little-endian.
#include "log/journal.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"
#include "kafka/batch.h"
#include "log/files.h"

#include <stdio.h>

enum { FILL_STEP = 1 << 20, VOIDS_SHARE = 8 }; // of the last block an eighth is for voids alone

void journal_init(struct journal *journal, struct env *env, const char *dir, int64_t block_bytes)
{
    ASSERT(block_bytes == 0 || (block_bytes >= 2 * JOURNAL_PAGE && block_bytes % JOURNAL_PAGE == 0));
    *journal = (struct journal){.env = env, .dir = dir, .block_bytes = block_bytes, .head = 1, .tail = 1};
    journal->used = JOURNAL_PAGE;
    journal->id = env_random(env);
}

void journal_fini(struct journal *journal)
{
    for (int i = 0; i < JOURNAL_BLOCKS; i++)
        file_close(journal->env, &journal->files[i]);
}

// ---- places, on the loop ----

static int64_t group_bytes(int items, int64_t bytes)
{
    return journal_pages(JOURNAL_HEAD * (int64_t)(items + 1) + bytes);
}

int journal_blocks(const struct journal *journal)
{
    return (int)(journal->head - journal->tail) + 1;
}

bool journal_fits(const struct journal *journal, int items, int64_t bytes)
{
    int64_t need = group_bytes(items, bytes);
    if (journal->head <= journal->ready && need <= journal->block_bytes - journal->used)
        return true;
    return journal->head < journal->ready && need <= journal->block_bytes - JOURNAL_PAGE;
}

bool journal_takes(const struct journal *journal, int items, int64_t bytes)
{
    int64_t need = group_bytes(items, bytes);
    int64_t spared = journal_pages(journal->block_bytes / VOIDS_SHARE);
    if (journal->head < journal->ready && need <= journal->block_bytes - journal->used)
        return true;
    int64_t next = journal->head + 1 == journal->ready ? need + spared : need;
    if (journal->head < journal->ready)
        return next <= journal->block_bytes - JOURNAL_PAGE;
    return journal->head == journal->ready && need + spared <= journal->block_bytes - journal->used;
}

bool journal_wants_block(const struct journal *journal)
{
    if (journal->block_bytes == 0 || journal->ready >= JOURNAL_BLOCKS || journal->head < journal->ready)
        return false;
    return journal->ready == 0 || journal->used > journal->block_bytes / 2;
}

struct journal_place journal_take(struct journal *journal, int items, int64_t bytes)
{
    ASSERT(journal_fits(journal, items, bytes));
    struct journal_place place = {.block = journal->head, .group = journal->group + 1, .at = journal->used};
    if (group_bytes(items, bytes) > journal->block_bytes - journal->used) {
        place.block++;
        place.at = JOURNAL_PAGE;
        place.previous = journal->used;
    }
    return place;
}

void journal_wrote(struct journal *journal, const struct journal_place *place)
{
    if (place->bytes == 0)
        return;
    journal->head = place->block;
    journal->used = place->at + place->bytes;
    journal->group = place->group;
}

void journal_restamped(struct journal *journal)
{
    ASSERT(journal->tail < journal->head);
    journal->tail++;
    journal->ready++;
}

void journal_made(struct journal *journal)
{
    ASSERT(journal->ready < JOURNAL_BLOCKS);
    journal->ready++;
}

// ---- files ----

struct journal_name journal_file_name(int index)
{
    struct journal_name name;
    snprintf(name.text, sizeof name.text, "millrace-journal-%d", index);
    return name;
}

static enum status put_header(struct journal *journal, struct file *file, const uint8_t *header, int64_t at)
{
    enum status status = file_pwrite(journal->env, file, header, JOURNAL_HEAD, at);
    return status == ST_OK ? file_sync(journal->env, file) : status;
}

// One copy after the other: whatever a power cut makes of one, the other is whole or as it was before.
static enum status stamp(struct journal *journal, struct file *file, uint64_t block)
{
    uint8_t header[JOURNAL_HEAD] = {0};
    store_le32(header, JOURNAL_MAGIC_BLOCK);
    store_le64(header + 8, journal->id);
    store_le64(header + 16, block);
    store_le32(header + 4, crc32c(0, header + 8, JOURNAL_HEAD - 8));
    enum status status = put_header(journal, file, header, 0);
    return status == ST_OK ? put_header(journal, file, header, JOURNAL_COPY) : status;
}

// In steps, each synced, so that a flush round beside it never waits for more than one.
static enum status fill(struct journal *journal, struct file *file)
{
    uint8_t *zeroes = mem_calloc(1, FILL_STEP);
    enum status status = ST_OK;
    for (int64_t at = 0; at < journal->block_bytes && status == ST_OK; at += FILL_STEP) {
        int64_t rest = journal->block_bytes - at;
        status =
            file_pwrite(journal->env, file, zeroes, rest < FILL_STEP ? (size_t)rest : (size_t)FILL_STEP, at);
        if (status == ST_OK)
            status = file_sync(journal->env, file);
    }
    mem_free(zeroes);
    return status;
}

// A file of its full size, written once: later writes change neither size nor extents.
enum status journal_make(struct journal *journal, uint64_t block)
{
    struct env *env = journal->env;
    int index = (int)(block % JOURNAL_BLOCKS);
    struct log_path path = log_path_join(journal->dir, journal_file_name(index).text);
    struct file *file;
    enum status status = file_open(env, path.text, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
    if (status != ST_OK)
        return status;
    status = file_reserve(env, file, 0, journal->block_bytes);
    if (status == ST_UNSUPPORTED)
        status = ST_OK;
    if (status == ST_OK)
        status = fill(journal, file);
    if (status == ST_OK)
        status = stamp(journal, file, block);
    if (status == ST_OK)
        status = path_sync_dir(env, journal->dir);
    if (status == ST_OK)
        journal->files[index] = file;
    else
        file_close(env, &file);
    return status;
}

enum status journal_restamp(struct journal *journal, uint64_t block)
{
    return stamp(journal, journal->files[block % JOURNAL_BLOCKS], block + JOURNAL_BLOCKS);
}

enum status journal_blank(struct journal *journal)
{
    static const uint8_t zeroes[JOURNAL_PAGE];
    enum status status = ST_OK;
    for (uint64_t block = journal->head; block <= journal->ready && block <= journal->head + 1; block++) {
        struct file *file = journal->files[block % JOURNAL_BLOCKS];
        int64_t at = block == journal->head ? journal->used : JOURNAL_PAGE;
        if (status == ST_OK && at < journal->block_bytes)
            status = file_pwrite(journal->env, file, zeroes, sizeof zeroes, at);
        if (status == ST_OK)
            status = file_sync(journal->env, file);
    }
    return status;
}

enum status journal_remove(struct env *env, const char *dir, int oldest)
{
    for (int i = 0; i < JOURNAL_BLOCKS; i++) {
        struct file_info info;
        struct log_path path = log_path_join(dir, journal_file_name((oldest + i) % JOURNAL_BLOCKS).text);
        if (path_info(env, path.text, &info) != ST_OK)
            continue;
        enum status status = path_unlink(env, path.text);
        if (status == ST_OK)
            status = path_sync_dir(env, dir);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

// ---- groups ----

static void put_item(uint8_t *head, const struct journal_item *item)
{
    memset(head, 0, JOURNAL_HEAD);
    store_le32(head + 4, item->voids);
    memcpy(head + 8, item->id.bytes, sizeof item->id.bytes);
    store_le32(head + 24, (uint32_t)item->partition);
    store_le32(head + 28, (uint32_t)item->bytes);
    store_le64(head + 32, (uint64_t)item->base);
    store_le64(head + 40, (uint64_t)item->end);
    store_le64(head + 48, (uint64_t)item->segment_base);
    store_le64(head + 56, (uint64_t)item->position);
    uint32_t crc = crc32c(0, head + 4, JOURNAL_HEAD - 4);
    for (int i = 0; i < item->count; i++)
        crc = crc32c(crc, item->batches[i].iov_base, BATCH_HEADER_SIZE);
    store_le32(head, crc);
}

static void put_group(uint8_t *head, const struct journal *journal, const struct journal_place *place,
                      int items, int64_t bytes)
{
    memset(head, 0, JOURNAL_HEAD);
    store_le32(head, JOURNAL_MAGIC_GROUP);
    store_le64(head + 8, journal->id);
    store_le64(head + 16, place->block);
    store_le64(head + 24, place->group);
    store_le64(head + 32, (uint64_t)bytes);
    store_le64(head + 40, (uint64_t)place->previous);
    store_le32(head + 48, (uint32_t)items);
    store_le32(head + 4, crc32c(0, head + 8, JOURNAL_HEAD - 8));
}

// A group as one list of buffers: its header, then each item's head and batches, then zeroes to the page's
// end.
struct gather {
    uint8_t *heads;
    struct iovec *iov;
    int count;
    int64_t bytes;
};

static void gather_items(struct gather *gather, const struct journal_item *items, int count)
{
    size_t buffers = 2;
    for (int i = 0; i < count; i++)
        buffers += 1 + (size_t)items[i].count;
    gather->heads = mem_calloc((size_t)count + 1, JOURNAL_HEAD);
    gather->iov = mem_calloc(buffers, sizeof *gather->iov);
    gather->iov[gather->count++] = (struct iovec){gather->heads, JOURNAL_HEAD};
    gather->bytes = JOURNAL_HEAD;
    for (int i = 0; i < count; i++) {
        uint8_t *head = gather->heads + (size_t)(i + 1) * JOURNAL_HEAD;
        put_item(head, &items[i]);
        gather->iov[gather->count++] = (struct iovec){head, JOURNAL_HEAD};
        if (items[i].count > 0)
            memcpy(gather->iov + gather->count, items[i].batches,
                   (size_t)items[i].count * sizeof *gather->iov);
        gather->count += items[i].count;
        gather->bytes += JOURNAL_HEAD + items[i].bytes;
    }
}

static void gather_padding(struct gather *gather)
{
    static const uint8_t zeroes[JOURNAL_PAGE];
    size_t rest = (size_t)(journal_pages(gather->bytes) - gather->bytes);
    if (rest > 0)
        gather->iov[gather->count++] = (struct iovec){(void *)(uintptr_t)zeroes, rest};
}

// Its space was taken when the block was made: running out of it now is a failure like any other.
static enum status write_group(struct journal *journal, struct journal_place *place,
                               const struct gather *gather)
{
    struct file *file = journal->files[place->block % JOURNAL_BLOCKS];
    enum status status = file_pwritev(journal->env, file, gather->iov, gather->count, place->at);
    if (status == ST_OK)
        status = file_sync(journal->env, file);
    if (status == ST_OK)
        place->bytes = journal_pages(gather->bytes);
    return status == ST_NO_SPACE ? ST_IO : status;
}

enum status journal_write(struct journal *journal, struct journal_place *place,
                          const struct journal_item *items, int count)
{
    struct gather gather = {0};
    gather_items(&gather, items, count);
    put_group(gather.heads, journal, place, count, gather.bytes);
    gather_padding(&gather);
    ASSERT(place->at + journal_pages(gather.bytes) <= journal->block_bytes);
    place->status = write_group(journal, place, &gather);
    mem_free(gather.iov);
    mem_free(gather.heads);
    return place->status;
}
