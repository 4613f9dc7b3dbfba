// SPDX-License-Identifier: Apache-2.0
// Walks the batches of a segment file through a window of memory: headers only, or whole batches with their
// checksums. Recovery, truncation, cold reads and timestamp lookups use it. Blocking.
#ifndef LOG_SCAN_H
#define LOG_SCAN_H

#include "io/env.h"
#include "kafka/batch.h"
#include "log/epochs.h"

struct log_scan {
    struct env *env;
    struct file *file;
    int64_t at;  // position of the next batch
    int64_t end; // where the file, or what counts of it, ends
    uint8_t *window;
    size_t window_cap, window_len;
    int64_t window_at; // file position of the window
};

void log_scan_init(struct log_scan *scan, struct env *env, struct file *file, int64_t at, int64_t end);
void log_scan_fini(struct log_scan *scan);

// The next batch's header and position; its bytes are read and its checksum verified when check is set. ST_OK
// and at has moved behind it; ST_NOT_FOUND exactly at the end; ST_TRUNCATED when the last batch is cut;
// ST_CORRUPT for bytes that are no batch or a wrong checksum; ST_NO_MEMORY; I/O errors.
enum status log_scan_next(struct log_scan *scan, bool check, struct batch_header *header, int64_t *position);

// Whether the batch's leader epoch, which no checksum covers, is the one the list knows of.
bool log_scan_epoch_ok(const struct log_epochs *epochs, const struct batch_header *header);
// If not: what the batch with that base offset and its neighbours say (log_epochs_damaged). Headers are
// walked from a batch at `at`, at or before it, up to `end`. False: it is not found, or cannot be read.
bool log_scan_said(struct env *env, struct file *file, int64_t at, int64_t end, int64_t base,
                   struct log_said said[3]);

// The bytes of the batch just returned with check set; valid until the next call.
struct slice log_scan_batch(const struct log_scan *scan, const struct batch_header *header);

#endif
