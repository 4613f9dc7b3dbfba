// SPDX-License-Identifier: Apache-2.0
// See share_cut.h.
#include "share_cut.h"

#include "base/mem.h"
#include "kafka/batch.h"

static bool is_aborted(const struct batch_header *header, const struct share_aborted *aborted)
{
    if ((header->attributes & BATCH_TRANSACTIONAL) == 0)
        return false;
    for (int i = 0; i < aborted->count; i++) {
        const struct log_aborted *row = &aborted->rows[i];
        if (row->producer_id == header->producer_id && row->first <= header->base_offset &&
            header->base_offset <= row->last)
            return true;
    }
    return false;
}

// With what compaction took before the batch, or nobody would ever get over that when nothing else was read.
// from: behind the batch before, or where the log was read from.
static void pass(struct share_cut *cut, int64_t from, const struct share_cut_batch *batch)
{
    int64_t first = from < batch->first ? from : batch->first;
    struct share_span *former = cut->passed_count > 0 ? &cut->passed[cut->passed_count - 1] : NULL;
    if (former != NULL && former->last + 1 == first)
        former->last = batch->last;
    else
        cut->passed[cut->passed_count++] = (struct share_span){first, batch->last};
}

static void add(struct share_cut *cut, size_t *room, int64_t from, const struct share_cut_batch *batch)
{
    if (cut->count == *room) {
        *room = *room == 0 ? 16 : 2 * *room;
        cut->batches = mem_realloc(cut->batches, *room * sizeof *cut->batches);
        cut->spans = mem_realloc(cut->spans, *room * sizeof *cut->spans);
        cut->passed = mem_realloc(cut->passed, *room * sizeof *cut->passed);
    }
    if (batch->skipped)
        pass(cut, cut->count > 0 ? cut->batches[cut->count - 1].last + 1 : from, batch);
    cut->batches[cut->count++] = *batch;
    if (!batch->skipped)
        cut->spans[cut->span_count++] = (struct share_span){batch->first, batch->last};
}

enum status share_cut_parse(struct share_cut *cut, const struct piece *pieces, int count, int64_t from,
                            const struct share_aborted *aborted)
{
    size_t room = 0;
    *cut = (struct share_cut){0};
    for (int i = 0; i < count; i++) {
        for (size_t at = 0; at < pieces[i].len;) {
            struct batch_header header;
            struct slice rest = slice_of(pieces[i].data + at, pieces[i].len - at);
            if (batch_parse(rest, &header) != ST_OK || batch_size(&header) > rest.len)
                return ST_CORRUPT;
            struct share_cut_batch batch = {.first = header.base_offset,
                                            .last = batch_last_offset(&header),
                                            .piece = i,
                                            .from = at,
                                            .len = batch_size(&header),
                                            .skipped = (header.attributes & BATCH_CONTROL) != 0 ||
                                                       is_aborted(&header, aborted)};
            add(cut, &room, from, &batch);
            at += batch.len;
        }
    }
    return ST_OK;
}

void share_cut_fini(struct share_cut *cut)
{
    mem_free(cut->batches);
    mem_free(cut->spans);
    mem_free(cut->passed);
    *cut = (struct share_cut){0};
}

// Cuts one piece; false when nothing of it is kept.
static bool trim_piece(const struct share_cut *cut, struct piece *piece, int number, struct share_span kept)
{
    size_t from = SIZE_MAX, end = 0;
    for (size_t i = 0; i < cut->count; i++) {
        const struct share_cut_batch *batch = &cut->batches[i];
        if (batch->piece != number || batch->last < kept.first || batch->first > kept.last)
            continue;
        from = from < batch->from ? from : batch->from;
        end = batch->from + batch->len;
    }
    if (end == 0)
        return false;
    piece->data += from;
    piece->len = end - from;
    return true;
}

int share_cut_trim(const struct share_cut *cut, struct piece *pieces, int count, struct share_span kept)
{
    int left = 0;
    for (int i = 0; i < count; i++) {
        if (trim_piece(cut, &pieces[i], i, kept))
            pieces[left++] = pieces[i];
        else
            piece_release(&pieces[i]);
    }
    return left;
}
