// SPDX-License-Identifier: Apache-2.0
// See history.h.
#include "history.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

void history_acknowledged(struct history *history, struct history_ack ack)
{
    if (history->ack_count == history->ack_cap) {
        history->ack_cap = history->ack_cap ? history->ack_cap * 2 : 1024;
        history->acks = mem_realloc(history->acks, (size_t)history->ack_cap * sizeof *history->acks);
    }
    history->acks[history->ack_count++] = ack;
    world_count(history->world, COUNT_record_acknowledged);
}

void history_read(struct history *history, int partition, int64_t offset, int producer, int64_t number)
{
    struct history_reads *reads = &history->reads[partition];
    while (reads->count <= offset) {
        if ((reads->count & (reads->count - 1)) == 0)
            reads->records =
                mem_realloc(reads->records, (size_t)(reads->count ? 2 * reads->count : 1) * sizeof(uint64_t));
        reads->records[reads->count++] = 0;
    }
    uint64_t record = history_record(producer, number), *seen = &reads->records[offset];
    if (*seen != 0 && *seen != record)
        history_violation(history, "what-was-read-stays", "t-%d offset %lld is p%d-%lld, it was p%d-%lld",
                          partition, (long long)offset, producer, (long long)number, (int)((*seen - 1) >> 48),
                          (long long)((*seen - 1) & 0xffffffffffff));
    *seen = record;
}

void history_violation(struct history *history, const char *checker, const char *format, ...)
{
    if (history_failed(history))
        return;
    int len = snprintf(history->violation, sizeof history->violation, "%s: ", checker);
    va_list args;
    va_start(args, format);
    vsnprintf(history->violation + len, sizeof history->violation - (size_t)len, format, args);
    va_end(args);
    if (history->world->verbose)
        fprintf(stderr, "%10.6f VIOLATION %s\n", (double)history->world->now_us / 1e6, history->violation);
}
