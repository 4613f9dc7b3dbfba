// SPDX-License-Identifier: Apache-2.0
// Which transactions a read_committed reader must skip in a range it was given: on the loop a look at each
// segment's bounds, then on the pool the entries of their .txnindex, as Kafka's UnifiedLog
// collectAbortedTransactions. Entries not yet in the file are copied from memory.
#include "base/bytes.h"
#include "base/mem.h"
#include "log/internal.h"

#include <stddef.h>

enum { ROWS_MAX = 4 << 20, CHUNK_ENTRIES = 256 };

// One segment's share of a lookup.
struct source {
    int64_t base, written; // bytes of the file
    struct buf pending;
};

struct lookup {
    struct job job;
    struct log *log;
    char *path;
    int64_t from, to;
    bool below_start; // also what lies there
    log_aborted_fn *done;
    void *context;
    uint64_t generation;
    uint64_t swaps; // log->clean.swaps when the sources were taken
    struct log_parked parked;
    enum status status;
    struct source *sources;
    int source_count;
    bool complete; // a later entry cannot reach the range
    struct log_aborted *rows;
    int count, cap;
};

static bool may_have(const struct log_segment *segment, int64_t from, int64_t to)
{
    return segment->aborted_last >= from && segment->aborted_first < to;
}

// Its marker follows a record: segments from that of `from` on.
static int first_segment(const struct log *log, int64_t from)
{
    int at = log_state_segment_at(&log->state, from);
    return at < 0 ? 0 : at;
}

bool log_may_have_aborted(const struct log *log, int64_t from, int64_t to)
{
    for (int i = first_segment(log, from); i < log->state.count; i++)
        if (may_have(log->state.segments[i], from, to))
            return true;
    return false;
}

// ---- on the pool ----

static enum status add_row(struct lookup *lookup, const struct log_aborted *row)
{
    if (lookup->count == ROWS_MAX)
        return ST_LIMIT;
    if (lookup->count == lookup->cap) {
        lookup->cap = lookup->cap > 0 ? lookup->cap * 2 : 16;
        lookup->rows = mem_realloc(lookup->rows, (size_t)lookup->cap * sizeof *lookup->rows);
    }
    lookup->rows[lookup->count++] = *row;
    return ST_OK;
}

static enum status take_entries(struct lookup *lookup, struct slice bytes)
{
    enum status status = ST_OK;
    for (size_t at = 0; at + LOG_ABORTED_ENTRY <= bytes.len && !lookup->complete && status == ST_OK;
         at += LOG_ABORTED_ENTRY) {
        struct log_aborted row;
        log_aborted_parse(bytes.data + at, &row);
        if (row.last >= lookup->from && row.first < lookup->to)
            status = add_row(lookup, &row);
        lookup->complete = row.stable >= lookup->to;
    }
    return status;
}

// The first entry whose marker is at or behind from.
static enum status find_entry(const struct lookup *lookup, struct file *file, int64_t written, int64_t *at)
{
    int64_t low = 0, high = written / LOG_ABORTED_ENTRY; // entries below low end before from
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        uint8_t entry[LOG_ABORTED_ENTRY];
        struct log_aborted row;
        size_t got;
        enum status status =
            file_pread(lookup->log->set->env, file, entry, sizeof entry, middle * LOG_ABORTED_ENTRY, &got);
        if (status != ST_OK || got < sizeof entry)
            return status != ST_OK ? status : ST_CORRUPT;
        log_aborted_parse(entry, &row);
        if (row.last < lookup->from)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low * LOG_ABORTED_ENTRY;
    return ST_OK;
}

static enum status read_file(struct lookup *lookup, const struct source *source)
{
    struct env *env = lookup->log->set->env;
    struct log_path path = log_path_join(lookup->path, log_segment_name(source->base, ".txnindex").text);
    uint8_t chunk[CHUNK_ENTRIES * LOG_ABORTED_ENTRY];
    struct file *file;
    int64_t at = 0;
    enum status status = file_open(env, path.text, FILE_READ, &file);
    if (status != ST_OK)
        return status == ST_NOT_FOUND ? ST_IO : status;
    status = find_entry(lookup, file, source->written, &at);
    while (status == ST_OK && at < source->written && !lookup->complete) {
        int64_t left = source->written - at;
        size_t want = left < (int64_t)sizeof chunk ? (size_t)left : sizeof chunk, got;
        status = file_pread(env, file, chunk, want, at, &got);
        if (status == ST_OK && got < want)
            status = ST_CORRUPT;
        if (status == ST_OK)
            status = take_entries(lookup, slice_of(chunk, want));
        at += (int64_t)want;
    }
    file_close(env, &file);
    return status;
}

static void lookup_run(struct job *job)
{
    struct lookup *lookup = (struct lookup *)job;
    for (int i = 0; i < lookup->source_count && lookup->status == ST_OK && !lookup->complete; i++) {
        const struct source *source = &lookup->sources[i];
        if (source->written > 0)
            lookup->status = read_file(lookup, source);
        if (lookup->status == ST_OK)
            lookup->status = take_entries(lookup, buf_slice(&source->pending));
    }
}

// ---- on the loop ----

static void drop_sources(struct lookup *lookup)
{
    for (int i = 0; i < lookup->source_count; i++)
        buf_fini(&lookup->sources[i].pending);
    mem_free(lookup->sources);
    lookup->sources = NULL;
    lookup->source_count = 0;
}

static bool overtaken(struct lookup *lookup)
{
    struct log *log = lookup->log;
    if (log->deleted || lookup->generation != log->generation)
        return false;
    for (int i = 0; i < lookup->source_count; i++)
        if (log_swap_overtook(log, lookup->sources[i].base, lookup->swaps, &lookup->parked))
            return true;
    return false;
}

static void lookup_done(struct job *job)
{
    struct lookup *lookup = (struct lookup *)job;
    struct log *log = lookup->log;
    if (overtaken(lookup))
        return;
    if (log->deleted)
        lookup->status = ST_CLOSED;
    else if (lookup->generation != log->generation)
        lookup->status = ST_AGAIN;
    else if (lookup->from < log->start && !lookup->below_start)
        lookup->status = ST_OUT_OF_RANGE; // retention may have taken the files
    lookup->done(log, lookup->status, lookup->rows, lookup->status == ST_OK ? lookup->count : 0,
                 lookup->context);
    drop_sources(lookup);
    mem_free(lookup->rows);
    mem_free(lookup->path);
    mem_free(lookup);
    log_reader_ended(log);
}

static void take_sources(struct lookup *lookup)
{
    const struct log_state *state = &lookup->log->state;
    int first = first_segment(lookup->log, lookup->from);
    lookup->sources = mem_calloc((size_t)(state->count - first) + 1, sizeof *lookup->sources);
    for (int i = first; i < state->count; i++) {
        const struct log_segment *segment = state->segments[i];
        if (!may_have(segment, lookup->from, lookup->to))
            continue;
        struct source *source = &lookup->sources[lookup->source_count++];
        source->base = segment->base;
        source->written = segment->aborted.written;
        buf_init(&source->pending, segment->aborted.pending.max);
        buf_append(&source->pending, segment->aborted.pending.data, segment->aborted.pending.len);
    }
}

static void lookup_submit(struct lookup *lookup)
{
    struct log *log = lookup->log;
    lookup->status = log->lost ? ST_CORRUPT : log->status;
    lookup->swaps = log->clean.swaps;
    take_sources(lookup);
    env_submit(log->set->env, log->set->env->pool, &lookup->job);
}

// Compaction has put other segments in the place of those looked at.
static void lookup_again(struct log_parked *parked)
{
    struct lookup *lookup = (struct lookup *)((char *)parked - offsetof(struct lookup, parked));
    drop_sources(lookup);
    lookup->count = 0;
    lookup->complete = false;
    lookup_submit(lookup);
}

// question: its range, and whom to answer.
static void lookup_begin(struct log *log, const struct lookup *question)
{
    struct lookup *lookup = mem_calloc(1, sizeof *lookup);
    *lookup = *question;
    lookup->job = (struct job){.run = lookup_run, .done = lookup_done};
    lookup->log = log;
    lookup->parked.again = lookup_again;
    lookup->generation = log->generation;
    lookup->path = mem_strdup(log->path);
    log_reader_began(log);
    lookup_submit(lookup);
}

void log_find_aborted(struct log *log, int64_t from, int64_t to, log_aborted_fn *done, void *context)
{
    struct lookup question = {.from = from, .to = to, .done = done, .context = context};
    lookup_begin(log, &question);
}

void log_list_aborted(struct log *log, int64_t to, log_aborted_fn *done, void *context)
{
    struct lookup question = {.from = log->state.segments[0]->base,
                              .to = to,
                              .below_start = true,
                              .done = done,
                              .context = context};
    lookup_begin(log, &question);
}
