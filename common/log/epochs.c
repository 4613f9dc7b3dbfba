// SPDX-License-Identifier: Apache-2.0
// Leader epochs of a log: what followers and consumers ask to find where histories part (KIP-101, KIP-279,
// KIP-320). See epochs.h.
#include "log/epochs.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void log_epochs_fini(struct log_epochs *epochs)
{
    mem_free(epochs->rows);
    *epochs = (struct log_epochs){0};
}

void log_epochs_assign(struct log_epochs *epochs, int32_t epoch, int64_t offset)
{
    if (epoch <= log_epochs_last(epochs))
        return;
    if (epochs->count == LOG_EPOCHS_MAX) {
        memmove(epochs->rows, epochs->rows + 1, (size_t)(epochs->count - 1) * sizeof *epochs->rows);
        epochs->count--;
    }
    if (epochs->count == epochs->cap) {
        epochs->cap = epochs->cap ? epochs->cap * 2 : 2;
        epochs->rows = mem_realloc(epochs->rows, (size_t)epochs->cap * sizeof *epochs->rows);
    }
    epochs->rows[epochs->count++] = (struct log_epoch){.epoch = epoch, .start = offset};
    epochs->changed = true;
}

void log_epochs_copy(struct log_epochs *to, const struct log_epochs *from)
{
    for (int i = 0; i < from->count; i++)
        log_epochs_assign(to, from->rows[i].epoch, from->rows[i].start);
}

bool log_epochs_equal(const struct log_epochs *a, const struct log_epochs *b)
{
    for (int i = 0; i < a->count && i < b->count; i++)
        if (a->rows[i].epoch != b->rows[i].epoch || a->rows[i].start != b->rows[i].start)
            return false;
    return a->count == b->count;
}

int32_t log_epochs_last(const struct log_epochs *epochs)
{
    return epochs->count > 0 ? epochs->rows[epochs->count - 1].epoch : -1;
}

void log_epochs_cut(struct log_epochs *epochs, int64_t end)
{
    while (epochs->count > 0 && epochs->rows[epochs->count - 1].start >= end) {
        epochs->count--;
        epochs->changed = true;
    }
}

void log_epochs_trim(struct log_epochs *epochs, int64_t start)
{
    int below = 0;
    while (below < epochs->count && epochs->rows[below].start <= start)
        below++;
    if (below == 0 || (below == 1 && epochs->rows[0].start == start))
        return;
    epochs->count -= below - 1;
    memmove(epochs->rows, epochs->rows + below - 1, (size_t)epochs->count * sizeof *epochs->rows);
    epochs->rows[0].start = start;
    epochs->changed = true;
}

// Number of epochs <= requested.
static int rows_up_to(const struct log_epochs *epochs, int32_t requested)
{
    int low = 0, high = epochs->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (epochs->rows[middle].epoch <= requested)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void log_epochs_end(const struct log_epochs *epochs, int32_t requested, int64_t log_end, int32_t *epoch,
                    int64_t *end)
{
    int below = rows_up_to(epochs, requested);
    bool unknown = requested < 0 || requested > log_epochs_last(epochs);
    *epoch = unknown ? -1 : below > 0 ? epochs->rows[below - 1].epoch : requested;
    *end = unknown ? -1 : below < epochs->count ? epochs->rows[below].start : log_end;
}

int32_t log_epochs_at(const struct log_epochs *epochs, int64_t offset)
{
    for (int i = epochs->count - 1; i >= 0; i--)
        if (epochs->rows[i].start <= offset)
            return epochs->rows[i].epoch;
    return -1;
}

void log_epochs_copy_range(struct log_epochs *to, const struct log_epochs *from, int64_t offset,
                           int64_t up_to)
{
    int i = from->count;
    while (i > 0 && from->rows[i - 1].start > offset)
        i--;
    for (i = i > 0 ? i - 1 : 0; i < from->count && from->rows[i].start < up_to; i++)
        log_epochs_assign(to, from->rows[i].epoch, from->rows[i].start);
}

bool log_epochs_contradict(const struct log_epochs *epochs, int32_t epoch, int64_t offset)
{
    int32_t known = log_epochs_at(epochs, offset);
    if (known >= 0)
        return known != epoch;
    return epochs->count == 0 || epoch > epochs->rows[0].epoch;
}

// A batch is of one epoch: where the list has another begin inside of it, either will do.
bool log_epochs_differ(const struct log_epochs *epochs, struct log_said batch)
{
    int32_t known = log_epochs_at(epochs, batch.last);
    return known >= 0 && known != batch.epoch && log_epochs_at(epochs, batch.base) != batch.epoch;
}

bool log_epochs_damaged(const struct log_epochs *epochs, const struct log_said said[3])
{
    const struct log_said before = said[0], batch = said[1], behind = said[2];
    int32_t known = log_epochs_at(epochs, batch.last);
    bool goes_back =
        (before.last >= 0 && before.epoch > batch.epoch) || (behind.last >= 0 && behind.epoch < batch.epoch);
    bool agreed = false;
    if (!log_epochs_differ(epochs, batch))
        return false;
    for (int i = 0; i < 3; i += 2) {
        if (said[i].last < 0 || log_epochs_at(epochs, said[i].last) != known)
            continue;
        if (said[i].epoch != known)
            return false; // two in a row: it may be the list
        agreed = true;
    }
    return agreed || goes_back;
}

static bool take_number(const char **at, char end, int64_t *value)
{
    char *after;
    errno = 0;
    *value = strtoll(*at, &after, 10);
    if (after == *at || *after != end || errno != 0)
        return false;
    *at = after + 1;
    return true;
}

static enum status parse_rows(const char *at, struct log_epochs *epochs)
{
    int64_t version, count, epoch, start;
    if (!take_number(&at, '\n', &version))
        return ST_MALFORMED;
    if (version != 0)
        return ST_UNSUPPORTED;
    if (!take_number(&at, '\n', &count) || count < 0 || count > LOG_EPOCHS_MAX)
        return ST_MALFORMED;
    for (int64_t i = 0; i < count; i++) {
        if (!take_number(&at, ' ', &epoch) || !take_number(&at, '\n', &start))
            return ST_MALFORMED;
        bool ascends = epoch > log_epochs_last(epochs) && epoch <= INT32_MAX && start >= 0 &&
                       (epochs->count == 0 || start >= epochs->rows[epochs->count - 1].start);
        if (!ascends)
            return ST_MALFORMED;
        log_epochs_assign(epochs, (int32_t)epoch, start);
    }
    return *at == 0 ? ST_OK : ST_MALFORMED;
}

enum status log_epochs_parse(struct slice text, struct log_epochs *epochs)
{
    char *copy = mem_strndup((const char *)text.data, text.len);
    enum status status = parse_rows(copy, epochs);
    mem_free(copy);
    if (status != ST_OK)
        log_epochs_fini(epochs);
    epochs->changed = false;
    return status;
}

enum status log_epochs_print(const struct log_epochs *epochs, struct buf *out)
{
    buf_printf(out, "0\n%d\n", epochs->count);
    for (int i = 0; i < epochs->count; i++)
        buf_printf(out, "%d %lld\n", epochs->rows[i].epoch, (long long)epochs->rows[i].start);
    return buf_status(out);
}
