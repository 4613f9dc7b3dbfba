// SPDX-License-Identifier: Apache-2.0
// The derived state of a log as a container, and cutting its files. Loading is load.c.
#include "log/state.h"

#include "base/mem.h"
#include "log/files.h"
#include "log/scan.h"

void log_state_init(struct log_state *state, int producers_max)
{
    *state = (struct log_state){0};
    log_producers_init(&state->producers, producers_max);
}

void log_state_fini(struct log_state *state)
{
    for (int i = 0; i < state->count; i++)
        log_segment_destroy(&state->segments[i]);
    mem_free(state->segments);
    log_epochs_fini(&state->epochs);
    log_producers_fini(&state->producers);
    *state = (struct log_state){0};
}

struct log_segment *log_state_add_segment(struct log_state *state, int64_t base)
{
    if (state->count == state->cap) {
        state->cap = state->cap ? state->cap * 2 : 1;
        state->segments = mem_realloc(state->segments, (size_t)state->cap * sizeof(struct log_segment *));
    }
    return state->segments[state->count++] = log_segment_new(base);
}

int log_state_segment_at(const struct log_state *state, int64_t offset)
{
    int low = 0, high = state->count; // segments below low begin at or below offset
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (state->segments[middle]->base <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

enum status log_segment_remove(struct env *env, const char *dir, int64_t base)
{
    static const char *const suffixes[] = {".index", ".timeindex", ".txnindex"};
    // The snapshot must not come back when the log has grown past it again with other batches.
    enum status status = log_file_remove(env, dir, log_segment_name(base, ".snapshot").text);
    if (status == ST_OK)
        status = log_file_remove(env, dir, log_segment_name(base, ".log").text);
    if (status == ST_OK)
        status = path_sync_dir(env, dir);
    for (int i = 0; i < 3 && status == ST_OK; i++)
        status = log_file_remove(env, dir, log_segment_name(base, suffixes[i]).text);
    return status;
}

// The first batch that reaches `to`, by walking the headers; at the end when there is none. *cut: where what
// stays ends, which is below `to` when that lies in a batch or in a gap that compaction left.
static enum status find_cut(struct log_scan *scan, int64_t to, int64_t *position, int64_t *cut)
{
    struct batch_header header;
    for (;;) {
        enum status status = log_scan_next(scan, false, &header, position);
        if (status == ST_NOT_FOUND) {
            *position = scan->at;
            return ST_OK;
        }
        if (status != ST_OK || batch_last_offset(&header) >= to)
            return status;
        *cut = batch_last_offset(&header) + 1;
    }
}

static enum status cut_segment(const struct log_load *load, const struct log_segment *segment, int64_t to,
                               int64_t *cut)
{
    struct log_path path = log_path_join(load->path, log_segment_name(segment->base, ".log").text);
    struct file *file;
    int64_t position = 0;
    *cut = segment->base;
    enum status status = file_open(load->env, path.text, FILE_WRITE, &file);
    if (status != ST_OK)
        return status;
    struct log_scan scan;
    log_scan_init(&scan, load->env, file, 0, segment->written);
    if (to > segment->base) // else nothing of it stays, and it may be damaged
        status = find_cut(&scan, to, &position, cut);
    log_scan_fini(&scan);
    int64_t bytes = 0; // more than was written when a write of the tail has met a full disk half-way
    if (status == ST_OK)
        status = file_size(load->env, file, &bytes);
    if (status == ST_OK && position < bytes)
        status = file_truncate(load->env, file, position);
    if (status == ST_OK)
        status = file_sync(load->env, file);
    file_close(load->env, &file);
    return status;
}

enum status log_state_cut_files(const struct log_load *load, const struct log_state *state, int64_t to,
                                int64_t *cut)
{
    int keep = log_state_segment_at(state, to);
    for (int i = state->count - 1; i > keep; i--) {
        if (!state->segments[i]->exists)
            continue;
        enum status status = log_segment_remove(load->env, load->path, state->segments[i]->base);
        if (status != ST_OK)
            return status;
    }
    *cut = to;
    while (keep >= 0 && !state->segments[keep]->exists) // rolled, but not written yet: the cut is before it
        keep--;
    if (keep < 0)
        return ST_OK;
    return cut_segment(load, state->segments[keep], to, cut);
}
