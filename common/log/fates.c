// SPDX-License-Identifier: Apache-2.0
// Rows are found by producer and offset, so that a look can begin anywhere in the log. See fates.h.
#include "log/fates.h"

#include "base/mem.h"

#include <stdlib.h>

static int by_producer(const void *a, const void *b)
{
    const struct log_aborted *x = a, *y = b;
    if (x->producer_id != y->producer_id)
        return x->producer_id < y->producer_id ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

void log_fates_init(struct log_fates *fates, struct log_aborted *rows_take, int count)
{
    *fates = (struct log_fates){.rows = rows_take, .count = count};
    fates->met = mem_calloc((size_t)count + 1, sizeof *fates->met);
    if (count > 0)
        qsort(rows_take, (size_t)count, sizeof *rows_take, by_producer);
    map_init(&fates->committed, 0);
}

void log_fates_fini(struct log_fates *fates)
{
    mem_free(fates->rows);
    mem_free(fates->met);
    map_fini(&fates->committed);
    *fates = (struct log_fates){0};
}

// The producer's aborted transaction that is open at offset or ends there; -1: none. A producer has one at a
// time.
static int find(const struct log_fates *fates, int64_t producer_id, int64_t offset)
{
    const struct log_aborted key = {.producer_id = producer_id, .first = offset};
    int low = 0, high = fates->count; // rows below low begin at or before it
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (by_producer(&fates->rows[middle], &key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || fates->rows[low - 1].producer_id != producer_id)
        return -1;
    return fates->rows[low - 1].last >= offset ? low - 1 : -1;
}

static int find_of_data(const struct log_fates *fates, const struct batch_header *header)
{
    bool data = (header->attributes & (BATCH_TRANSACTIONAL | BATCH_CONTROL)) == BATCH_TRANSACTIONAL;
    return data ? find(fates, header->producer_id, header->base_offset) : -1;
}

bool log_fates_aborted(const struct log_fates *fates, const struct batch_header *header)
{
    return find_of_data(fates, header) >= 0;
}

static bool show_data(struct log_fates *fates, const struct batch_header *header)
{
    int row = find_of_data(fates, header);
    if (row >= 0)
        fates->met[row] = true;
    else if (header->attributes & BATCH_TRANSACTIONAL)
        map_put_u64(&fates->committed, (uint64_t)header->producer_id, fates);
    return row >= 0;
}

// An abort whose transaction no row tells is as good as a commit: what it had is read, and would look open
// without the marker.
static bool show_marker(struct log_fates *fates, struct slice batch, const struct batch_header *header,
                        const struct log_aborted **entry)
{
    struct batch_marker marker;
    enum status status = batch_marker_parse(batch, header, &marker);
    if (status != ST_OK)
        return status == ST_NOT_FOUND; // emptied by an earlier cleaning; else another kind of control record
    int row = marker.abort ? find(fates, header->producer_id, batch_last_offset(header)) : -1;
    bool committed = map_remove_u64(&fates->committed, (uint64_t)header->producer_id) != NULL;
    if (row >= 0 && fates->met[row])
        *entry = &fates->rows[row];
    return !committed && *entry == NULL;
}

bool log_fates_show(struct log_fates *fates, struct slice batch, const struct batch_header *header,
                    const struct log_aborted **entry)
{
    *entry = NULL;
    return header->attributes & BATCH_CONTROL ? show_marker(fates, batch, header, entry)
                                              : show_data(fates, header);
}
