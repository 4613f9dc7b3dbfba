// SPDX-License-Identifier: Apache-2.0
// Ended transactions, index entries. See transactions.h.
#include "log/transactions.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"

enum { ABORTED_VERSION = 0 };

// ---- ended, not yet replicated ----

void log_ended_fini(struct log_ended *ended)
{
    mem_free(ended->rows);
    *ended = (struct log_ended){0};
}

// Room for one more: what has been passed at the front is used again before memory is taken.
static void make_room(struct log_ended *ended)
{
    if (ended->head + ended->count < ended->cap)
        return;
    if (ended->head > 0) {
        for (int i = 0; i < ended->count; i++)
            ended->rows[i] = ended->rows[ended->head + i];
        ended->head = 0;
    }
    if (ended->count < ended->cap && ended->count * 2 <= ended->cap)
        return;
    ended->cap = ended->cap > 0 ? ended->cap * 2 : 4;
    ended->rows = mem_realloc(ended->rows, (size_t)ended->cap * sizeof *ended->rows);
}

void log_ended_push(struct log_ended *ended, int64_t first, int64_t last)
{
    while (ended->count > 0 && ended->rows[ended->head + ended->count - 1].first >= first)
        ended->count--;
    make_room(ended);
    ended->rows[ended->head + ended->count++] = (struct log_ended_row){first, last};
}

void log_ended_pass(struct log_ended *ended, int64_t high_watermark)
{
    while (ended->count > 0 && ended->rows[ended->head].last < high_watermark) {
        ended->head++;
        ended->count--;
    }
    if (ended->count == 0)
        log_ended_fini(ended);
}

int64_t log_ended_first(const struct log_ended *ended, int64_t high_watermark)
{
    for (int i = 0; i < ended->count; i++)
        if (ended->rows[ended->head + i].last >= high_watermark)
            return ended->rows[ended->head + i].first;
    return INT64_MAX;
}

// ---- index entries ----

void log_aborted_print(const struct log_aborted *aborted, struct buf *out)
{
    buf_put_be16(out, ABORTED_VERSION);
    buf_put_be64(out, (uint64_t)aborted->producer_id);
    buf_put_be64(out, (uint64_t)aborted->first);
    buf_put_be64(out, (uint64_t)aborted->last);
    buf_put_be64(out, (uint64_t)aborted->stable);
}

void log_aborted_parse(const uint8_t entry[LOG_ABORTED_ENTRY], struct log_aborted *aborted)
{
    *aborted = (struct log_aborted){.producer_id = (int64_t)load_be64(entry + 2),
                                    .first = (int64_t)load_be64(entry + 10),
                                    .last = (int64_t)load_be64(entry + 18),
                                    .stable = (int64_t)load_be64(entry + 26)};
}

size_t log_aborted_keep(struct slice bytes, int64_t base, int64_t below, bool *whole)
{
    int64_t before = base - 1;
    size_t at = 0;
    *whole = true;
    for (; at + LOG_ABORTED_ENTRY <= bytes.len; at += LOG_ABORTED_ENTRY) {
        struct log_aborted aborted;
        log_aborted_parse(bytes.data + at, &aborted);
        bool sane = load_be16(bytes.data + at) == ABORTED_VERSION && aborted.last > before &&
                    aborted.first >= 0 && aborted.first < aborted.last;
        if (sane && aborted.last >= below)
            return at;
        if (!sane)
            break;
        before = aborted.last;
    }
    *whole = at == bytes.len;
    return at;
}
