// SPDX-License-Identifier: Apache-2.0
// See dirty.h.
#include "log/dirty.h"

// Kafka compares the segment's newest record: if that one is old enough, all are.
static bool old_enough(const struct log_segment *segment, const struct log_config *config, int64_t now_ms)
{
    return config->compaction_lag_ms_min <= 0 ||
           segment->max_timestamp <= now_ms - config->compaction_lag_ms_min;
}

static bool is_overdue(const struct log_segment *segment, const struct log_config *config, int64_t now_ms)
{
    return config->compaction_lag_ms_max < INT64_MAX && segment->first_timestamp >= 0 &&
           now_ms - segment->first_timestamp > config->compaction_lag_ms_max;
}

struct log_dirty log_dirty_find(const struct log_state *state, const struct log_config *config,
                                const struct log_dirty_bounds *bounds)
{
    struct log_dirty dirty = {.first = bounds->first};
    if (state->count > 0 && dirty.first < state->segments[0]->base)
        dirty.first = state->segments[0]->base;
    dirty.end = dirty.first;
    for (int i = 0; i + 1 < state->count; i++) {
        const struct log_segment *segment = state->segments[i];
        int64_t next = state->segments[i + 1]->base;
        if (!segment->sealed || next > bounds->limit)
            break;
        if (next <= dirty.first) {
            dirty.clean_bytes += segment->size;
            continue;
        }
        if (!old_enough(segment, config, bounds->now_ms))
            break;
        dirty.dirty_bytes += segment->size;
        dirty.end = next;
        dirty.overdue = dirty.overdue || is_overdue(segment, config, bounds->now_ms);
    }
    return dirty;
}

double log_dirty_ratio(const struct log_dirty *dirty)
{
    int64_t all = dirty->clean_bytes + dirty->dirty_bytes;
    return all > 0 ? (double)dirty->dirty_bytes / (double)all : 0;
}

bool log_dirty_due(const struct log_dirty *dirty, const struct log_config *config)
{
    return dirty->dirty_bytes > 0 && (dirty->overdue || log_dirty_ratio(dirty) > config->dirty_ratio_min);
}

int log_dirty_group(const struct log_source *sources, int count, const struct log_config *config)
{
    int64_t size = sources[0].size, index = sources[0].index_bytes, times = sources[0].times_bytes;
    int joined = 1;
    for (; joined < count; joined++) {
        const struct log_source *next = &sources[joined];
        size += next->size;
        index += next->index_bytes;
        times += next->times_bytes;
        if (size > config->segment_bytes || index > config->index_bytes_max ||
            times > config->index_bytes_max || next->next - 1 - sources[0].base > INT32_MAX)
            break;
    }
    return joined;
}
