// SPDX-License-Identifier: Apache-2.0
// Finding the first record at or after a timestamp (ListOffsets). Segments are asked in order, each on the
// pool: its time index tells how many batches need no look, the rest is walked and the first batch that has
// such a record is opened. Batches still in memory come last; they are taken along from the beginning, so
// that one written meanwhile is not missed.
#include "base/mem.h"
#include "log/internal.h"
#include "log/scan.h"

#include <stddef.h>

struct tail_batch {
    struct block *block;
    size_t from, size;
};

struct time_search {
    struct job job;
    struct log_parked parked;
    uint64_t swaps; // log->clean.swaps when the search began
    struct log *log;
    int64_t timestamp, from, up_to;
    log_time_fn *done;
    void *context;
    uint64_t generation;
    enum status status; // ST_NOT_FOUND: not in this segment
    char *path;
    int64_t base, written, index_bytes, times_bytes; // of the segment searched now; base -1: the tail
    struct tail_batch *tail;
    uint32_t tail_count;
    struct log_time_answer answer;
};

static enum status open_part(const struct time_search *search, const char *suffix, struct file **file)
{
    struct log_path path = log_path_join(search->path, log_segment_name(search->base, suffix).text);
    return file_open(search->log->set->env, path.text, FILE_READ, file);
}

// Position of the first batch that can have the timestamp.
static int64_t look_up(const struct time_search *search)
{
    struct env *env = search->log->set->env;
    struct file *file;
    int64_t offset = search->base - 1, position = 0;
    if (search->times_bytes > 0 && open_part(search, ".timeindex", &file) == ST_OK) {
        if (log_times_find(env, file, search->times_bytes, search->base, search->timestamp, &offset) != ST_OK)
            offset = search->base - 1;
        file_close(env, &file);
    }
    if (offset < search->base || search->index_bytes == 0 || open_part(search, ".index", &file) != ST_OK)
        return 0;
    if (log_index_find(env, file, search->index_bytes, search->base, offset, &position) != ST_OK)
        position = 0;
    file_close(env, &file);
    return position < search->written ? position : 0;
}

// The first record of a batch that qualifies.
static enum status search_batch(struct time_search *search, struct slice batch,
                                const struct batch_header *header)
{
    struct buf scratch;
    struct batch_reader reader;
    struct record record;
    buf_init(&scratch, compress_limits_default.bytes_max);
    enum status status = batch_reader_init(&reader, batch, header, &compress_limits_default, &scratch);
    while (status == ST_OK && (status = batch_next(&reader, &record)) == ST_OK) {
        if (record.timestamp < search->timestamp || record.offset < search->from)
            continue;
        if (record.offset < search->up_to)
            search->answer = (struct log_time_answer){
                .timestamp = record.timestamp, .offset = record.offset, .leader_epoch = header->leader_epoch};
        break;
    }
    buf_fini(&scratch);
    return status;
}

static enum status search_file(struct time_search *search, struct file *file)
{
    struct log_scan scan;
    struct batch_header header;
    int64_t position;
    log_scan_init(&scan, search->log->set->env, file, look_up(search), search->written);
    enum status status = ST_OK;
    while (status == ST_OK || status == ST_NOT_FOUND) {
        status = log_scan_next(&scan, true, &header, &position);
        if (status != ST_OK || header.base_offset >= search->up_to)
            break;
        if (header.max_timestamp < search->timestamp || batch_last_offset(&header) < search->from)
            continue;
        status = search_batch(search, log_scan_batch(&scan, &header), &header);
        if (search->answer.offset >= 0)
            break;
    }
    log_scan_fini(&scan);
    return status == ST_TRUNCATED ? ST_CORRUPT : status;
}

static enum status search_tail(struct time_search *search)
{
    enum status status = ST_NOT_FOUND;
    for (uint32_t i = 0; i < search->tail_count && search->answer.offset < 0; i++) {
        struct slice batch =
            slice_of(search->tail[i].block->data + search->tail[i].from, search->tail[i].size);
        struct batch_header header;
        status = batch_parse(batch, &header);
        if (status == ST_OK)
            status = search_batch(search, batch, &header);
        if (status != ST_OK && status != ST_NOT_FOUND)
            return status;
    }
    return status;
}

static void search_run(struct job *job)
{
    struct time_search *search = (struct time_search *)job;
    if (search->status != ST_OK)
        return;
    if (search->base < 0) {
        search->status = search_tail(search);
        return;
    }
    struct file *file;
    search->status = open_part(search, ".log", &file);
    if (search->status == ST_NOT_FOUND)
        search->status = ST_IO; // NOT_FOUND means: not in this segment
    if (search->status != ST_OK)
        return;
    search->status = search_file(search, file);
    file_close(search->log->set->env, &file);
}

// Takes the next segment that can have the record, then the tail; false when there is nothing left.
static bool next_place(struct time_search *search, int i)
{
    const struct log_state *state = &search->log->state;
    for (; i < state->count; i++) {
        const struct log_segment *segment = state->segments[i];
        bool ends_below = i + 1 < state->count && state->segments[i + 1]->base <= search->from;
        if (segment->max_timestamp < search->timestamp || segment->written == 0 || ends_below)
            continue;
        if (segment->base >= search->up_to)
            break;
        search->base = segment->base;
        search->written = segment->written;
        search->index_bytes = segment->index.written;
        search->times_bytes = segment->times.written;
        return true;
    }
    search->base = -1;
    return search->tail_count > 0;
}

static void take_tail(struct time_search *search)
{
    const struct log_ring *ring = &search->log->ring;
    search->tail = mem_calloc(ring->count - ring->written + 1, sizeof *search->tail);
    for (uint32_t i = ring->written; i < ring->count; i++) {
        const struct log_entry *entry = log_ring_at(ring, i);
        if (entry->timestamp < search->timestamp || entry->base >= search->up_to)
            continue;
        search->tail[search->tail_count++] =
            (struct tail_batch){.block = block_ref(entry->block), .from = entry->from, .size = entry->size};
    }
}

static void search_free(struct time_search *search)
{
    for (uint32_t i = 0; i < search->tail_count; i++)
        block_unref(&search->tail[i].block);
    mem_free(search->tail);
    mem_free(search->path);
    mem_free(search);
}

static const struct log_time_answer no_answer = {.timestamp = -1, .offset = -1, .leader_epoch = -1};

// Compaction has put another segment in the place of the one searched.
static void search_again(struct log_parked *parked)
{
    struct time_search *search =
        (struct time_search *)((char *)parked - offsetof(struct time_search, parked));
    struct log *log = search->log;
    search->answer = no_answer;
    search->from = log->start;
    search->swaps = log->clean.swaps;
    search->status = next_place(search, 0) ? ST_OK : ST_NOT_FOUND;
    env_submit(log->set->env, log->set->env->pool, &search->job);
}

// The start has moved past what was searched or found.
static bool overtaken(const struct time_search *search)
{
    const struct log *log = search->log;
    return (search->answer.offset >= 0 && search->answer.offset < log->start) ||
           (search->base >= 0 && search->base < log->state.segments[0]->base);
}

// Takes the place to search next; false when the search is over.
static bool search_goes_on(struct time_search *search)
{
    const struct log *log = search->log;
    if (log->deleted || search->generation != log->generation) {
        search->status = log->deleted ? ST_CLOSED : ST_AGAIN;
        return false;
    }
    if (overtaken(search)) {
        search->from = log->start;
        search->answer.offset = -1;
        search->status = ST_NOT_FOUND;
        return next_place(search, 0);
    }
    bool not_here = (search->status == ST_OK || search->status == ST_NOT_FOUND) && search->answer.offset < 0;
    return not_here && search->base >= 0 &&
           next_place(search, log_state_segment_at(&log->state, search->base) + 1);
}

static void search_done(struct job *job)
{
    struct time_search *search = (struct time_search *)job;
    struct log *log = search->log;
    if (!log->deleted && search->generation == log->generation && search->base >= 0 &&
        log_swap_overtook(log, search->base, search->swaps, &search->parked))
        return;
    if (search_goes_on(search)) {
        search->status = ST_OK;
        env_submit(log->set->env, log->set->env->pool, &search->job);
        return;
    }
    if (search->status == ST_NOT_FOUND)
        search->status = ST_OK;
    search->done(log, search->status, &search->answer, search->context);
    search_free(search);
    log_reader_ended(log);
}

void log_find_by_timestamp(struct log *log, int64_t timestamp, int64_t up_to, log_time_fn *done,
                           void *context)
{
    struct time_search *search = mem_calloc(1, sizeof *search);
    *search = (struct time_search){.job = {.run = search_run, .done = search_done},
                                   .log = log,
                                   .timestamp = timestamp,
                                   .from = log->start,
                                   .up_to = up_to,
                                   .done = done,
                                   .context = context,
                                   .parked = {.again = search_again},
                                   .swaps = log->clean.swaps,
                                   .generation = log->generation,
                                   .status = log->lost ? ST_CORRUPT : log->status,
                                   .answer = no_answer};
    search->path = mem_strdup(log->path);
    take_tail(search);
    if (search->status == ST_OK && !next_place(search, 0))
        search->status = ST_NOT_FOUND;
    log_reader_began(log);
    env_submit(log->set->env, log->set->env->pool, &search->job);
}
