// SPDX-License-Identifier: Apache-2.0
// See clean_job.h.
#include "log/clean_job.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "log/files.h"
#include "log/swap.h"

#include <stdlib.h>

enum { PENDING_MAX = 512 << 20 };

// ---- reading the sources ----

static enum status open_source(struct clean_job *clean)
{
    const struct log_source *source = &clean->sources[clean->at];
    struct log_path path = log_path_join(clean->path, log_segment_name(source->base, ".log").text);
    enum status status = file_open(clean->env, path.text, FILE_READ, &clean->file);
    if (status != ST_OK)
        return status;
    log_scan_init(&clean->scan, clean->env, clean->file, 0, source->size);
    clean->reading = true;
    return ST_OK;
}

static void close_source(struct clean_job *clean)
{
    if (!clean->reading)
        return;
    log_scan_fini(&clean->scan);
    file_close(clean->env, &clean->file);
    clean->reading = false;
}

// The next batch of the source at hand; ST_NOT_FOUND at its end.
static enum status next_batch(struct clean_job *clean, struct batch_header *header)
{
    int64_t position;
    enum status status = clean->reading ? ST_OK : open_source(clean);
    if (status == ST_OK)
        status = log_scan_next(&clean->scan, true, header, &position);
    if (status == ST_OK)
        clean->slice_bytes += (int64_t)batch_size(header);
    return status == ST_TRUNCATED ? ST_CORRUPT : status;
}

// ---- the map ----

// The map is full: everything from offset on waits.
static void stop_at(struct clean_job *clean, int64_t offset)
{
    clean->end = offset;
    clean->at = clean->count;
}

static enum status map_batch(struct clean_job *clean, const struct batch_header *header)
{
    struct batch_reader reader;
    struct record record;
    struct slice batch = log_scan_batch(&clean->scan, header);
    if (header->count == 0 || header->attributes & BATCH_CONTROL || log_fates_aborted(&clean->fates, header))
        return ST_OK;
    enum status status = batch_reader_init(&reader, batch, header, &compress_limits_default, &clean->scratch);
    while (status == ST_OK && (status = batch_next(&reader, &record)) == ST_OK) {
        if (record.offset < clean->first || record.key.data == NULL)
            continue;
        if (!log_key_map_put(&clean->map, record.key, record.offset)) {
            stop_at(clean, record.offset);
            return ST_OK;
        }
    }
    return status == ST_NOT_FOUND ? ST_OK : status == ST_MALFORMED ? ST_CORRUPT : status;
}

// Reads on in the source; behind its last batch the next one is at hand.
static enum status map_step(struct clean_job *clean)
{
    struct batch_header header;
    enum status status = next_batch(clean, &header);
    if (status == ST_NOT_FOUND) {
        close_source(clean);
        clean->at++;
        return ST_OK;
    }
    if (status != ST_OK || batch_last_offset(&header) < clean->first)
        return status;
    return map_batch(clean, &header);
}

// ---- groups ----

static enum status create(struct clean_job *clean, const char *suffix, struct file **file)
{
    struct log_path path = log_path_join(clean->path, log_segment_name(clean->out->base, suffix).text);
    return file_open(clean->env, path.text, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, file);
}

// The next group of sources that begin below the end; or all is done.
static enum status begin_group(struct clean_job *clean)
{
    int left = 0;
    while (clean->group + left < clean->count && clean->sources[clean->group + left].base < clean->end)
        left++;
    if (left == 0) {
        clean->phase = CLEAN_DONE;
        return ST_OK;
    }
    clean->phase = CLEAN_GROUP;
    clean->at = clean->group;
    clean->group_end = clean->group + log_dirty_group(&clean->sources[clean->group], left, &clean->config);
    clean->out = log_segment_new(clean->sources[clean->group].base);
    return create(clean, ".log.cleaned", &clean->out_file);
}

static enum status end_mapping(struct clean_job *clean)
{
    close_source(clean);
    clean->filter.map = &clean->map;
    clean->filter.map_end = clean->end;
    clean->phase = clean->end > clean->first ? CLEAN_NEXT : CLEAN_DONE;
    return ST_OK;
}

// In steps, so that there is never much for the disk to write at once.
static enum status write_pending(struct clean_job *clean, bool sync)
{
    int64_t len = (int64_t)clean->pending.len, at = clean->out->size - len;
    enum status status = ST_OK;
    if (len > 0)
        status = file_pwrite(clean->env, clean->out_file, clean->pending.data, clean->pending.len, at);
    buf_clear(&clean->pending);
    clean->unsynced += len;
    clean->written_bytes += len;
    if (status == ST_OK && (sync || clean->unsynced >= CLEAN_SYNC)) {
        status = file_sync(clean->env, clean->out_file);
        clean->unsynced = 0;
    }
    return status;
}

// Notes what the filter has added behind `from`.
static enum status note_kept(struct clean_job *clean, size_t from)
{
    struct batch_header header;
    struct slice kept = slice_of(clean->pending.data + from, clean->pending.len - from);
    if (kept.len == 0)
        return ST_OK;
    enum status status = batch_parse(kept, &header);
    ASSERT(status == ST_OK && batch_size(&header) == kept.len);
    if (clean->out->size + (int64_t)kept.len > INT32_MAX)
        return ST_LIMIT; // compressed anew it became larger than any segment may be
    log_segment_note(clean->out, &header, clean->config.index_interval_bytes);
    clean->slice_bytes += (int64_t)kept.len;
    return ST_OK;
}

static enum status write_index(struct clean_job *clean, const char *suffix, struct log_index *index)
{
    struct file *file;
    enum status status = create(clean, suffix, &file);
    if (status != ST_OK)
        return status;
    if (index->pending.len > 0)
        status = file_pwrite(clean->env, file, index->pending.data, index->pending.len, 0);
    if (status == ST_OK)
        status = file_sync(clean->env, file);
    file_close(clean->env, &file);
    index->written = (int64_t)index->pending.len;
    buf_clear(&index->pending);
    return status;
}

static bool had_aborted(const struct clean_job *clean)
{
    for (int i = clean->group; i < clean->group_end; i++)
        if (clean->sources[i].aborted)
            return true;
    return false;
}

static enum status end_group(struct clean_job *clean)
{
    struct log_segment *out = clean->out;
    enum status status = write_pending(clean, true);
    file_close(clean->env, &clean->out_file);
    log_segment_finish(out);
    if (status == ST_OK)
        status = write_index(clean, ".index.cleaned", &out->index);
    if (status == ST_OK)
        status = write_index(clean, ".timeindex.cleaned", &out->times);
    if (status == ST_OK && had_aborted(clean)) // also without entries, to take the old one's place
        status = write_index(clean, ".txnindex.cleaned", &out->aborted);
    if (status == ST_OK)
        status = path_sync_dir(clean->env, clean->path);
    out->written = out->size;
    out->exists = out->sealed = true;
    clean->phase = CLEAN_SWAP;
    return status;
}

static enum status group_step(struct clean_job *clean)
{
    struct batch_header header;
    enum status status = next_batch(clean, &header);
    if (status == ST_NOT_FOUND) {
        close_source(clean);
        return ++clean->at < clean->group_end ? ST_OK : end_group(clean);
    }
    if (status != ST_OK)
        return status;
    // The segment's last batch stays, be it empty: it says where the segment ends (KAFKA-17076), by which the
    // next one joins and a swap knows what it replaces.
    bool last = clean->at + 1 == clean->group_end && clean->scan.at == clean->scan.end;
    struct slice batch = log_scan_batch(&clean->scan, &header);
    const struct log_aborted *entry;
    unsigned how = last ? LOG_FILTER_KEEP_HEADER : 0;
    how |= log_fates_show(&clean->fates, batch, &header, &entry) ? LOG_FILTER_USELESS : 0;
    size_t from = clean->pending.len;
    status = log_filter_batch(&clean->filter, batch, &header, how, &clean->pending);
    if (status == ST_OK && entry != NULL)
        log_segment_note_aborted(clean->out, entry);
    return status == ST_OK ? note_kept(clean, from) : status;
}

// ---- slices ----

static enum status step(struct clean_job *clean)
{
    if (clean->phase == CLEAN_MAP)
        return clean->at == clean->count ? end_mapping(clean) : map_step(clean);
    return clean->phase == CLEAN_NEXT ? begin_group(clean) : group_step(clean);
}

static void clean_run(struct job *job)
{
    struct clean_job *clean = (struct clean_job *)job;
    clean->slice_bytes = 0;
    if (clean->phase == CLEAN_FORGET) {
        log_swap_forget(clean->env, clean->path, clean->out->base);
        clean->phase = CLEAN_OVER;
        return;
    }
    while (clean->status == ST_OK && clean->phase <= CLEAN_GROUP && clean->slice_bytes < CLEAN_SLICE)
        clean->status = step(clean);
    if (clean->status == ST_OK && clean->phase == CLEAN_GROUP)
        clean->status = write_pending(clean, false);
    clean->read_bytes += clean->slice_bytes;
}

void clean_job_swapped(struct clean_job *clean)
{
    ASSERT(clean->phase == CLEAN_SWAP);
    clean->out = NULL;
    clean->group = clean->group_end;
    clean->phase = CLEAN_NEXT;
}

bool clean_job_forget(struct clean_job *clean)
{
    if (clean->out == NULL)
        return false;
    clean->phase = CLEAN_FORGET;
    return true;
}

// ---- life ----

static int by_id(const void *a, const void *b)
{
    const struct log_last_batch *x = a, *y = b;
    return x->producer_id < y->producer_id ? -1 : x->producer_id > y->producer_id;
}

static void init_filter(struct clean_job *clean, const struct clean_spec *spec)
{
    struct log_filter *filter = &clean->filter;
    log_filter_init(filter);
    filter->now_ms = env_wall_ms(spec->env);
    filter->delete_retention_ms = spec->config->delete_retention_ms;
    clean->producers = spec->producers;
    filter->producers = spec->producers;
    filter->producer_count = spec->producer_count;
    if (spec->producer_count > 0)
        qsort(spec->producers, spec->producer_count, sizeof *spec->producers, by_id);
}

struct clean_job *clean_job_new(const struct clean_spec *spec)
{
    struct clean_job *clean = mem_calloc(1, sizeof *clean);
    *clean = (struct clean_job){.job = {.run = clean_run},
                                .env = spec->env,
                                .path = mem_strdup(spec->path),
                                .config = *spec->config,
                                .sources = spec->sources,
                                .count = spec->count,
                                .first = spec->first,
                                .end = spec->end};
    init_filter(clean, spec);
    log_fates_init(&clean->fates, spec->aborted, spec->aborted_count);
    buf_init(&clean->scratch, compress_limits_default.bytes_max);
    buf_init(&clean->pending, PENDING_MAX);
    uint8_t secret[HASH_SIP_SIZE];
    store_le64(secret, env_random(spec->env));
    store_le64(secret + 8, env_random(spec->env));
    while (clean->at < clean->count && clean->sources[clean->at].next <= clean->first)
        clean->at++; // clean already: its keys are not needed
    if (log_key_map_init(&clean->map, secret, spec->end - spec->first, spec->map_bytes, spec->map_load) !=
        ST_OK)
        clean_job_destroy(&clean);
    return clean;
}

void clean_job_destroy(struct clean_job **pointer)
{
    struct clean_job *clean = *pointer;
    *pointer = NULL;
    if (clean == NULL)
        return;
    close_source(clean);
    file_close(clean->env, &clean->out_file);
    log_segment_destroy(&clean->out);
    log_key_map_fini(&clean->map);
    log_filter_fini(&clean->filter);
    log_fates_fini(&clean->fates);
    buf_fini(&clean->scratch);
    buf_fini(&clean->pending);
    mem_free(clean->sources);
    mem_free(clean->producers);
    mem_free(clean->path);
    mem_free(clean);
}
