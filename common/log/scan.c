// SPDX-License-Identifier: Apache-2.0
// The window over a segment file. See scan.h.
#include "log/scan.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>

enum { WINDOW_HEADERS = 4 << 10, WINDOW_WHOLE = 256 << 10 };

void log_scan_init(struct log_scan *scan, struct env *env, struct file *file, int64_t at, int64_t end)
{
    *scan = (struct log_scan){.env = env, .file = file, .at = at, .end = end};
}

void log_scan_fini(struct log_scan *scan)
{
    free(scan->window);
    scan->window = NULL;
}

static enum status window_grow(struct log_scan *scan, size_t cap)
{
    if (cap <= scan->window_cap)
        return ST_OK;
    uint8_t *window = realloc(scan->window, cap); // sized by file content: may fail
    if (window == NULL)
        return ST_NO_MEMORY;
    scan->window = window;
    scan->window_cap = cap;
    return ST_OK;
}

// Makes need bytes at scan->at available in the window, reading up to `ahead`. The caller has checked the
// end.
static enum status window_fill(struct log_scan *scan, size_t need, size_t ahead)
{
    if (scan->at >= scan->window_at &&
        scan->at + (int64_t)need <= scan->window_at + (int64_t)scan->window_len)
        return ST_OK;
    size_t want = need > ahead ? need : ahead;
    if ((int64_t)want > scan->end - scan->at)
        want = (size_t)(scan->end - scan->at);
    enum status status = window_grow(scan, want);
    if (status != ST_OK)
        return status;
    scan->window_at = scan->at;
    scan->window_len = 0;
    status = file_pread(scan->env, scan->file, scan->window, want, scan->at, &scan->window_len);
    return status == ST_OK && scan->window_len < need ? ST_TRUNCATED : status;
}

struct slice log_scan_batch(const struct log_scan *scan, const struct batch_header *header)
{
    size_t size = batch_size(header);
    int64_t from = scan->at - (int64_t)size - scan->window_at;
    ASSERT(from >= 0 && from + (int64_t)size <= (int64_t)scan->window_len);
    return slice_of(scan->window + from, size);
}

enum status log_scan_next(struct log_scan *scan, bool check, struct batch_header *header, int64_t *position)
{
    if (scan->at == scan->end)
        return ST_NOT_FOUND;
    if (scan->end - scan->at < BATCH_HEADER_SIZE)
        return ST_TRUNCATED;
    enum status status = window_fill(scan, BATCH_HEADER_SIZE, check ? WINDOW_WHOLE : WINDOW_HEADERS);
    if (status != ST_OK)
        return status;
    struct slice head = slice_of(scan->window + (scan->at - scan->window_at), BATCH_HEADER_SIZE);
    if (batch_parse(head, header) != ST_OK)
        return ST_CORRUPT;
    if ((int64_t)batch_size(header) > scan->end - scan->at)
        return ST_TRUNCATED;
    if (check)
        status = window_fill(scan, batch_size(header), WINDOW_WHOLE);
    if (status != ST_OK)
        return status;
    *position = scan->at;
    scan->at += (int64_t)batch_size(header);
    return check && !batch_crc_ok(log_scan_batch(scan, header), header) ? ST_CORRUPT : ST_OK;
}

static struct log_said said_by(const struct batch_header *header)
{
    return (struct log_said){
        .base = header->base_offset, .last = batch_last_offset(header), .epoch = header->leader_epoch};
}

bool log_scan_said(struct env *env, struct file *file, int64_t at, int64_t end, int64_t base,
                   struct log_said said[3])
{
    struct log_scan scan;
    struct batch_header header = {.base_offset = -1};
    int64_t position;
    log_scan_init(&scan, env, file, at, end);
    said[0].last = said[1].last = said[2].last = -1;
    while (header.base_offset < base && log_scan_next(&scan, false, &header, &position) == ST_OK) {
        said[0] = said[1];
        said[1] = said_by(&header);
    }
    bool found = header.base_offset == base;
    if (found && log_scan_next(&scan, false, &header, &position) == ST_OK)
        said[2] = said_by(&header);
    log_scan_fini(&scan);
    return found;
}

bool log_scan_epoch_ok(const struct log_epochs *epochs, const struct batch_header *header)
{
    return !log_epochs_differ(epochs, said_by(header));
}
